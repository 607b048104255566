//! What happened to an order: append-only, numbered, without personal data.

use serde::{Deserialize, Serialize};

use super::{AdjustmentReason, OrderId, Part};
use crate::{money::Money, store::Persisted, time::UnixTime};

/// One thing that happened to an order.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct OrderEvent {
    /// The order.
    pub order: OrderId,
    /// Which of its events this is, from 1, without gaps.
    pub number: u32,
    /// When.
    pub at: UnixTime,
    /// What.
    pub what: Happened,
}

impl Persisted for OrderEvent {
    const KIND: &'static str = "order_event";
    const SCHEMA: u16 = 1;
}

/// What can happen to an order.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Happened {
    /// It was placed.
    Placed {
        /// What it costs.
        total: Money,
    },
    /// It is a sale: what a checkout led to is paid, authorised, or waits for a transfer. Told once, of orders that came
    /// from a checkout; before that they are not shown to anybody.
    Confirmed,
    /// What was sold was not there any more when it was taken from stock: the merchant gets it, or calls the order off.
    StockMissing {
        /// The items that there is too little of.
        items: Vec<String>,
    },
    /// An attempt to pay it began.
    PaymentBegun {
        /// Which.
        attempt: u32,
        /// The rail.
        rail: String,
    },
    /// A rail said how an attempt went.
    PaymentAnswered {
        /// Which.
        attempt: u32,
        /// What it said.
        outcome: String,
    },
    /// What a wallet sent to authorise an attempt was refused.
    AuthorisationRefused {
        /// Which attempt.
        attempt: u32,
        /// The name of the check that failed.
        code: String,
    },
    /// A rail said something that does not fit what it had said before; nothing came of it.
    Contradicted {
        /// Which attempt.
        attempt: u32,
        /// What it said.
        outcome: String,
    },
    /// Money arrived.
    Received {
        /// How much.
        amount: Money,
        /// By what: an attempt, or the digest of a transfer.
        by: String,
    },
    /// The whole price is here, or all of it that is to come.
    Paid,
    /// A part of what is authorised is being captured, or all of it.
    CaptureBegun {
        /// Of which attempt.
        attempt: u32,
        /// Which capture.
        key: String,
        /// How much.
        amount: Money,
    },
    /// A rail said how a capture went.
    CaptureAnswered {
        /// Of which attempt.
        attempt: u32,
        /// Which capture.
        key: String,
        /// What it said.
        outcome: String,
    },
    /// An authorisation ended before anything was captured: the order is to be paid otherwise.
    AuthorisationEnded {
        /// Of which attempt.
        attempt: u32,
    },
    /// No more will be captured than has been.
    ClosedShort {
        /// What of the price will not be collected.
        waived: Money,
    },
    /// A rail is told to give up what is left of an authorisation.
    VoidBegun {
        /// Of which attempt.
        attempt: u32,
    },
    /// A rail said whether it gave it up.
    VoidAnswered {
        /// Of which attempt.
        attempt: u32,
        /// What it said.
        outcome: String,
    },
    /// A provider took money back by itself, as after a dispute.
    TakenBack {
        /// Of which attempt.
        attempt: u32,
        /// What the provider calls it.
        id: String,
        /// How much.
        amount: Money,
        /// How much of it had counted until then; the rest had been given back, or is owed.
        settled: Money,
    },
    /// Money is owed back.
    RefundOwed {
        /// Which.
        key: String,
        /// How much.
        amount: Money,
    },
    /// Money is being given back.
    RefundBegun {
        /// Which.
        key: String,
        /// How much.
        amount: Money,
    },
    /// A rail said what becomes of money that is being given back, and it is not done.
    RefundAnswered {
        /// Which.
        key: String,
        /// What it said.
        outcome: String,
    },
    /// A rail said that a refund was done that had been done before: money may have gone back twice.
    RefundContradicted {
        /// Which.
        key: String,
        /// What it said.
        outcome: String,
    },
    /// Money was given back.
    Refunded {
        /// Which.
        key: String,
        /// How much.
        amount: Money,
    },
    /// A provider took by itself what was owed back: the customer has it.
    RefundTaken {
        /// Which.
        key: String,
        /// How much.
        amount: Money,
    },
    /// Money that goes back by transfer stands in a file for the merchant's bank.
    RefundFiled {
        /// Which.
        key: String,
        /// The file.
        file: String,
    },
    /// The merchant took a transfer back out of its file: the bank did not carry it out.
    RefundReopened {
        /// Which.
        key: String,
    },
    /// Money that was given back by transfer came back itself: it is owed again.
    RefundReturned {
        /// Which.
        key: String,
        /// How much.
        amount: Money,
        /// The bank's code of the reason (ISO 20022, `ExternalReturnReason1Code`); empty if it gave none.
        reason: String,
    },
    /// Where money goes back to was said.
    AccountNamed {
        /// Which.
        key: String,
    },
    /// A parcel left the shop. Its tracking number stands in the order.
    Sent {
        /// Which parcel.
        parcel: String,
        /// What is in it.
        lines: Vec<Part>,
    },
    /// Money that it was to be sent for is gone, or will not come, and something is unsent: it stays in the shop until somebody
    /// has looked.
    SendingStopped,
    /// Somebody looked at what was [stopped](super::OrderRecord::stopped), and lets it be sent all the same.
    SendingAllowed,
    /// A parcel arrived.
    Delivered {
        /// Which parcel.
        parcel: String,
    },
    /// The merchant took something back, or made it cheaper. What is owed for it is an event of its own.
    Adjusted {
        /// Which adjustment.
        key: String,
        /// Why.
        reason: AdjustmentReason,
        /// What it is about.
        lines: Vec<Part>,
        /// What goes back for it.
        amount: Money,
    },
    /// The customer withdrew from something: an acknowledgement of it is due at once.
    Withdrawn {
        /// Which withdrawal.
        key: String,
        /// What it is about.
        lines: Vec<Part>,
    },
    /// The delivery address was changed.
    AddressChanged,
    /// It was called off.
    Cancelled,
    /// It was not paid in time.
    Expired,
}

macro_rules! names {
    ($($variant:ident => $name:literal,)+) => {
        impl Happened {
            /// The name of each, as JSON has it.
            pub const NAMES: &'static [&'static str] = &[$($name),+];

            /// Its name, one of [`NAMES`](Self::NAMES).
            #[must_use]
            pub const fn name(&self) -> &'static str {
                match self {
                    $(Self::$variant { .. } => $name,)+
                }
            }

            #[cfg(test)]
            const VARIANTS: &'static [&'static str] = &[$(stringify!($variant)),+];
        }
    };
}

names! {
    Placed => "placed",
    Confirmed => "confirmed",
    StockMissing => "stock_missing",
    PaymentBegun => "payment_begun",
    PaymentAnswered => "payment_answered",
    AuthorisationRefused => "authorisation_refused",
    Contradicted => "contradicted",
    Received => "received",
    Paid => "paid",
    CaptureBegun => "capture_begun",
    CaptureAnswered => "capture_answered",
    AuthorisationEnded => "authorisation_ended",
    ClosedShort => "closed_short",
    VoidBegun => "void_begun",
    VoidAnswered => "void_answered",
    TakenBack => "taken_back",
    RefundOwed => "refund_owed",
    RefundBegun => "refund_begun",
    RefundAnswered => "refund_answered",
    RefundContradicted => "refund_contradicted",
    Refunded => "refunded",
    RefundTaken => "refund_taken",
    RefundFiled => "refund_filed",
    RefundReopened => "refund_reopened",
    RefundReturned => "refund_returned",
    AccountNamed => "account_named",
    Sent => "sent",
    SendingStopped => "sending_stopped",
    SendingAllowed => "sending_allowed",
    Delivered => "delivered",
    Adjusted => "adjusted",
    Withdrawn => "withdrawn",
    AddressChanged => "address_changed",
    Cancelled => "cancelled",
    Expired => "expired",
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_happens_is_called_as_json_has_it() {
        for (variant, name) in Happened::VARIANTS.iter().zip(Happened::NAMES) {
            let words = variant.chars().enumerate().map(|(place, c)| match (c.is_ascii_uppercase(), place) {
                (true, 1..) => format!("_{}", c.to_ascii_lowercase()),
                _ => c.to_ascii_lowercase().to_string(),
            });
            assert_eq!(words.collect::<String>(), *name);
        }
        for what in [Happened::Paid, Happened::Delivered { parcel: "1".into() }] {
            let json = serde_json::to_value(&what).unwrap();
            let name = json.as_str().or_else(|| json.as_object()?.keys().next().map(String::as_str));
            assert_eq!(name, Some(what.name()));
        }
    }
}
