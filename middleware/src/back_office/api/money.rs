//! What the merchant's API says and is told of money, and of what other programs were told.

use firsthand::{
    Error,
    merchant::{Became, Booking, DeadWebhook, Refund, StatementLine, UnmatchedTransfer},
    order::{RefundReason, RefundState, Source},
};
use serde::{Deserialize, Serialize};

use super::body::AmountBody;
use crate::back_office::bank::order_of;

/// Refunds.
#[derive(Debug, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub(crate) struct RefundsBody {
    /// The refunds.
    pub(super) refunds: Vec<RefundBody>,
}

/// A refund.
#[derive(Debug, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub(crate) struct RefundBody {
    /// The order.
    order: String,
    /// Its name within the order.
    key: String,
    /// `overpaid`, `order_ended` or `requested`.
    reason: &'static str,
    /// How much.
    amount: AmountBody,
    /// The attempt by whose rail it goes back; absent for a transfer.
    #[serde(skip_serializing_if = "Option::is_none")]
    attempt: Option<u32>,
    /// `owed`, `sending`, `in_doubt`, `by_hand` or `done`.
    state: &'static str,
    /// Where a transfer goes; absent if nobody knows.
    #[serde(skip_serializing_if = "Option::is_none")]
    account: Option<AccountBody>,
    /// The name of its transfer in a file for the bank.
    #[serde(skip_serializing_if = "Option::is_none")]
    end_to_end: Option<String>,
}

impl RefundBody {
    pub(super) fn of(refund: &Refund) -> Result<Self, Error> {
        let account = refund.account()?;
        Ok(Self {
            order: refund.order().id().to_string(),
            key: refund.key().to_owned(),
            reason: match refund.reason() {
                RefundReason::Overpaid => "overpaid",
                RefundReason::OrderEnded => "order_ended",
                RefundReason::Requested => "requested",
                _ => "other",
            },
            amount: refund.amount().into(),
            attempt: match refund.by() {
                Source::Attempt(number) => Some(number),
                Source::Transfer => None,
            },
            state: match refund.state() {
                RefundState::Owed => "owed",
                RefundState::Sending => "sending",
                RefundState::InDoubt => "in_doubt",
                RefundState::ByHand => "by_hand",
                RefundState::Done => "done",
                _ => "other",
            },
            account: account.map(|account| AccountBody {
                holder: account.holder().to_owned(),
                iban: account.iban().as_str().to_owned(),
            }),
            end_to_end: refund.end_to_end().map(str::to_owned),
        })
    }
}

/// An account of somebody.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub(crate) struct AccountBody {
    /// Whose it is.
    pub(super) holder: String,
    /// Its number.
    pub(super) iban: String,
}

impl std::fmt::Debug for AccountBody {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("AccountBody([redacted])")
    }
}

/// What is to be refunded.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub(crate) struct RefundAskBody {
    /// How much.
    pub(super) amount: AmountBody,
    /// What names the refund: 1 to 64 visible ASCII characters without `/`.
    pub(super) key: String,
}

/// What is to be captured.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub(crate) struct CaptureBody {
    /// How much.
    pub(super) amount: AmountBody,
    /// What names the capture: 1 to 64 visible ASCII characters without `/`.
    pub(super) key: String,
}

/// How something in doubt went.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub(crate) struct DecideBody {
    /// The attempt.
    pub(super) attempt: u32,
    /// The capture of it that is in doubt; absent if it is the attempt itself.
    #[serde(default)]
    pub(super) capture: Option<String>,
    /// Whether it happened.
    pub(super) happened: bool,
}

/// How a refund in doubt went.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub(crate) struct RefundDecideBody {
    /// Whether it was sent.
    pub(super) was_sent: bool,
}

/// Transfers that name no order.
#[derive(Debug, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub(crate) struct TransfersBody {
    /// The transfers, the oldest first.
    pub(super) transfers: Vec<TransferBody>,
}

/// A transfer that names no order.
#[derive(Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub(crate) struct TransferBody {
    /// Its name.
    name: String,
    /// How much.
    amount: AmountBody,
    /// When it was booked (RFC 3339).
    booked_at: String,
    /// What the payer wrote.
    text: String,
    /// Who paid.
    #[serde(skip_serializing_if = "Option::is_none")]
    payer: Option<AccountBody>,
    /// Why it waits: `waits_no_order`, `waits_differs`, `waits_maybe_same`, `waits_came_back` or `waits_batch`.
    why: &'static str,
}

impl std::fmt::Debug for TransferBody {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("TransferBody").field("name", &self.name).finish_non_exhaustive()
    }
}

impl TransferBody {
    pub(super) fn of(transfer: &UnmatchedTransfer) -> Self {
        Self {
            name: transfer.name.clone(),
            amount: transfer.amount.into(),
            booked_at: transfer.booked_at.to_string(),
            text: transfer.text.clone(),
            payer: transfer
                .payer
                .as_ref()
                .map(|payer| AccountBody { holder: payer.holder().to_owned(), iban: payer.iban().as_str().to_owned() }),
            why: transfer.why.code(),
        }
    }
}

/// A transfer that arrived.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub(crate) struct BookBody {
    /// The bank's own name for it, by which it is booked once.
    pub(super) id: String,
    /// How much.
    pub(super) amount: AmountBody,
    /// What the payer wrote.
    #[serde(default)]
    pub(super) text: String,
    /// Who paid.
    #[serde(default)]
    pub(super) payer: Option<AccountBody>,
}

/// What became of a transfer.
#[derive(Debug, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub(crate) struct BookedBody {
    /// `for_order`, `unmatched`, `returned`, `same` or `refund_returned`.
    became: &'static str,
    /// The order.
    #[serde(skip_serializing_if = "Option::is_none")]
    order: Option<String>,
    /// Its name among the transfers that wait.
    #[serde(skip_serializing_if = "Option::is_none")]
    transfer: Option<String>,
}

impl BookedBody {
    pub(super) fn of(booking: &Booking) -> Self {
        let (became, order, transfer) = match booking {
            Booking::For(order) => ("for_order", Some(order.id().to_string()), None),
            Booking::Unmatched(transfer) => ("unmatched", None, Some(transfer.name.clone())),
            Booking::Returned => ("returned", None, None),
            Booking::Same => ("same", None, None),
            Booking::RefundReturned { order, .. } => ("refund_returned", Some(order.to_string()), None),
            _ => ("other", None, None),
        };
        Self { became, order, transfer }
    }
}

/// The order that a transfer was meant for.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub(crate) struct AssignBody {
    /// Its number, `RF..`, or its name, `o_..`.
    pub(super) order: String,
}

/// What a statement did.
#[derive(Debug, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub(crate) struct StatementBody {
    /// Every movement of the file, in its order.
    pub(super) lines: Vec<StatementLineBody>,
}

/// What became of one movement.
#[derive(Debug, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub(crate) struct StatementLineBody {
    /// Which entry of the file, from 1.
    place: u32,
    /// How much; absent for an entry that is left out.
    #[serde(skip_serializing_if = "Option::is_none")]
    amount: Option<AmountBody>,
    /// `booked`, `known`, `waits`, `refund_done`, `refund_twice`, `refund_returned`, `refund_differs`, `taken_back`,
    /// `outgoing` or `left_out`.
    became: &'static str,
    /// Whether somebody has to look at it.
    look: bool,
    /// The order that it is about.
    #[serde(skip_serializing_if = "Option::is_none")]
    order: Option<String>,
    /// Its name among the transfers that wait.
    #[serde(skip_serializing_if = "Option::is_none")]
    transfer: Option<String>,
    /// Why it waits, or is left out.
    #[serde(skip_serializing_if = "Option::is_none")]
    why: Option<&'static str>,
}

impl StatementLineBody {
    pub(super) fn of(line: &StatementLine) -> Self {
        let (transfer, why) = match &line.became {
            Became::Waits { transfer, why } => (Some(transfer.clone()), Some(why.code())),
            Became::LeftOut(why) => (None, Some(why.code())),
            _ => (None, None),
        };
        Self {
            place: line.place,
            amount: line.amount.map(AmountBody::from),
            became: line.became.name(),
            look: line.became.needs_somebody(),
            order: order_of(&line.became).map(ToString::to_string),
            transfer,
            why,
        }
    }
}

/// A file of refunds that is to be made.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub(crate) struct FileAskBody {
    /// What names the file.
    pub(super) key: String,
    /// When the bank is to carry it out: `2026-11-23`.
    pub(super) on: String,
    /// Whether it is to be in `pain.001.001.03`, for banks that take nothing later.
    #[serde(default)]
    pub(super) version_of_2009: bool,
}

/// The files that were made.
#[derive(Debug, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub(crate) struct FilesBody {
    /// Their names.
    pub(super) files: Vec<String>,
}

/// Who is told what happens, and what they did not take.
#[derive(Debug, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub(crate) struct DeadsBody {
    /// The endpoints of the shop.
    pub(super) endpoints: Vec<EndpointBody>,
    /// The webhooks that were given up.
    pub(super) webhooks: Vec<DeadBody>,
}

/// An endpoint that is told what happens.
#[derive(Debug, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub(crate) struct EndpointBody {
    /// Its name.
    pub(super) name: String,
    /// Whether it is sent anything: not once it has said that it is gone.
    pub(super) enabled: bool,
}

/// A webhook that was given up.
#[derive(Debug, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub(crate) struct DeadBody {
    /// The endpoint.
    endpoint: String,
    /// The order.
    order: String,
    /// Which of its events.
    number: u32,
    /// How often it was sent.
    tries: u32,
    /// Why it was not taken.
    why: String,
    /// When it was given up (RFC 3339).
    died_at: String,
}

impl DeadBody {
    pub(super) fn of(dead: &DeadWebhook) -> Self {
        Self {
            endpoint: dead.endpoint.clone(),
            order: dead.order.to_string(),
            number: dead.number,
            tries: dead.tries,
            why: dead.why.clone(),
            died_at: dead.died_at.to_string(),
        }
    }
}
