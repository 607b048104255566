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
