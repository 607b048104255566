//! The seam to money: a way to be paid that the merchant chose, and that no platform owns.
//!
//! A rail is told to act from a committed record alone, and each act names the order and the attempt, so that acting
//! twice is acting once. It says what it knows and nothing else: an answer that did not come is [`Outcome::Unknown`],
//! which is asked about again ([`Rail::inquire`]) and never executed again.
//!
//! [`sepa`] is the rail that needs nobody but a bank account, [`psp`] the one for any payment provider; by [`wallet`], the
//! customer's wallet authorises what somebody with a licence executes. Implementations run
//! `firsthand::testing::rail_conformance`.

mod any;
pub mod psp;
pub mod reference;
pub mod sepa;
pub mod wallet;

use std::{fmt, future::Future};

pub(crate) use any::AnyRail;
use serde::{Deserialize, Serialize};
use url::Url;

pub use self::{
    psp::{Psp, PspError},
    reference::Reference,
    sepa::{Iban, Sepa, Statement, TransferRequest},
    wallet::WalletRail,
};
use crate::{money::Money, order::OrderId, time::UnixTime};

/// What a rail is asked to collect.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct PaymentRequest {
    /// The order.
    pub order: OrderId,
    /// Which attempt to pay it this is, from 1. Order and attempt together are the idempotency key towards the rail.
    pub attempt: u32,
    /// How much.
    pub amount: Money,
    /// What the payer quotes: unique to the order.
    pub reference: Reference,
    /// When the attempt began.
    pub begun_at: UnixTime,
}

/// What a rail is asked to give back.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct RefundRequest {
    /// The order that the money was received for.
    pub order: OrderId,
    /// Which refund of the order this is.
    pub key: String,
    /// Which time the rail is told, from 1: what was declined is told again under the next number. Order, key and number
    /// together are the idempotency key towards the rail.
    pub number: u32,
    /// The attempt that brought the money, where one did.
    pub attempt: Option<u32>,
    /// How much.
    pub amount: Money,
    /// The order's reference.
    pub reference: Reference,
}

/// The means of payment of a rail, as a receipt names it (eReceipt rulebook 2.0, 2.8).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
#[non_exhaustive]
pub enum Means {
    /// A card.
    Card,
    /// A transfer from account to account.
    CreditTransfer,
    /// MobilePay.
    #[serde(rename = "MOBILEPAY")]
    MobilePay,
    /// A gift card.
    #[serde(rename = "GIFTCARD")]
    GiftCard,
    /// Something else, or nobody knows. Not one of the rulebook's own words, which leaves the list open.
    #[default]
    Other,
}

/// How a payment stands, as far as the rail knows.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Outcome {
    /// The money is promised, and not here yet: it comes when it is [captured](Rail::capture).
    Authorised {
        /// Until when, as far as the rail says.
        until: Option<UnixTime>,
    },
    /// The money is here, whole.
    Paid,
    /// Nothing is decided: the customer has to act, as with a transfer.
    Pending,
    /// The customer has to go on at this address.
    Continue(Url),
    /// It will not happen. Of what was authorised before: it has ended, or was given up, and what is not captured will not
    /// come.
    Declined(DeclineCode),
    /// Nobody knows whether it happened. It is asked again, and never done again.
    Unknown,
}

impl fmt::Debug for Outcome {
    /// Without the address of a payment page: whoever has it may pay there.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Outcome({})", self.name())
    }
}

/// Why a rail declined, as a code: `[a-z_]`, at most 64 bytes. Whatever else a rail says is left out.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "String")]
pub struct DeclineCode(String);

impl DeclineCode {
    /// As text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl From<&str> for DeclineCode {
    fn from(text: &str) -> Self {
        Self(text.chars().filter(|c| c.is_ascii_lowercase() || *c == '_').take(64).collect())
    }
}

impl From<String> for DeclineCode {
    fn from(text: String) -> Self {
        text.as_str().into()
    }
}

/// The longest address that a customer is sent on to, in bytes.
const ADDRESS_BYTES_MAX: usize = 2 * 1024;

impl Outcome {
    /// What can be kept of it: nobody is sent on to an address that is no address.
    pub(crate) fn bounded(self) -> Self {
        match self {
            Self::Continue(url) if url.as_str().len() > ADDRESS_BYTES_MAX => Self::Unknown,
            other => other,
        }
    }

    /// Its name, as events tell it.
    pub(crate) fn name(&self) -> String {
        match self {
            Self::Authorised { .. } => "authorised".to_owned(),
            Self::Paid => "paid".to_owned(),
            Self::Pending => "pending".to_owned(),
            Self::Continue(_) => "continue".to_owned(),
            Self::Declined(code) => format!("declined: {}", code.as_str()),
            Self::Unknown => "unknown".to_owned(),
        }
    }
}

/// What a rail is asked to collect of an amount that is authorised.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct CaptureRequest {
    /// The payment that was authorised.
    pub payment: PaymentRequest,
    /// Which capture of it this is: 1 to 64 visible ASCII characters without `/`. Order, attempt and key together are the
    /// idempotency key towards the rail.
    pub key: String,
    /// How much: a part of what was authorised, or all of it.
    pub amount: Money,
}

/// How a capture stands, or the giving up of an authorisation, as far as the rail knows.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum ActOutcome {
    /// It is done.
    Done,
    /// The rail is at it: it is asked again.
    UnderWay,
    /// It will not happen.
    Declined(DeclineCode),
    /// Nobody knows whether it happened. It is asked again, and a capture is never done again.
    Unknown,
}

impl ActOutcome {
    /// Its name, as events tell it.
    pub(crate) fn name(&self) -> String {
        match self {
            Self::Done => "done".to_owned(),
            Self::UnderWay => "under way".to_owned(),
            Self::Declined(code) => format!("declined: {}", code.as_str()),
            Self::Unknown => "unknown".to_owned(),
        }
    }
}

/// How a refund stands, as far as the rail knows.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum RefundOutcome {
    /// The money left, and will not come back by itself.
    Done,
    /// The rail is at it: it is asked again, and the merchant does nothing.
    UnderWay,
    /// The rail cannot: the merchant carries it out by hand, and says so.
    ByHand,
    /// It will not happen. It is still owed, and can be tried again.
    Declined(DeclineCode),
    /// Nobody knows whether it happened. It is asked again, and never done again.
    Unknown,
}

impl RefundOutcome {
    /// Its name, as events tell it.
    pub(crate) fn name(&self) -> String {
        match self {
            Self::Done => "done".to_owned(),
            Self::UnderWay => "under way".to_owned(),
            Self::ByHand => "by hand".to_owned(),
            Self::Declined(code) => format!("declined: {}", code.as_str()),
            Self::Unknown => "unknown".to_owned(),
        }
    }
}

/// What a rail says by itself, after it was found authentic.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Notice {
    /// The order.
    pub order: OrderId,
    /// The attempt.
    pub attempt: u32,
    /// The amount that it speaks of: the attempt's, the capture's, the refund's, or what was taken back. Another one than
    /// was asked for is refused.
    pub amount: Money,
    /// What happened.
    pub said: Said,
}

/// What a notice says.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Said {
    /// How the attempt stands: authorised, paid, ended.
    Payment(Outcome),
    /// How a capture of it stands. One that nobody asked for counts if it is done: it was made at the provider's own desk.
    Capture {
        /// Which.
        key: String,
        /// How it stands.
        outcome: ActOutcome,
    },
    /// How a refund stands.
    Refund {
        /// Which.
        key: String,
        /// Which time of telling the rail it speaks of.
        number: u32,
        /// How it stands.
        outcome: RefundOutcome,
    },
    /// The provider took money back by itself, as after a dispute.
    TakenBack {
        /// What it calls that: 1 to 64 visible ASCII characters without `/`. Said twice, it happened once.
        id: String,
    },
}

impl From<Outcome> for Said {
    fn from(outcome: Outcome) -> Self {
        Self::Payment(outcome)
    }
}

/// A message that somebody sent to the notice address of a rail: a stranger's, until the rail has checked it.
#[derive(Clone, Copy)]
pub struct NoticeRequest<'a> {
    /// A header's value by its name in lower case.
    pub headers: &'a http::HeaderMap,
    /// The body, as received.
    pub body: &'a [u8],
    /// The time now.
    pub now: UnixTime,
}

impl fmt::Debug for NoticeRequest<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("NoticeRequest")
            .field("body_bytes", &self.body.len())
            .field("now", &self.now)
            .finish_non_exhaustive()
    }
}

/// Why a notice is not believed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum NoticeError {
    /// The rail takes no notices from the network.
    #[error("this rail takes no notices")]
    NoNotices,
    /// It is not signed by whoever may speak, or too old.
    #[error("the notice is not authentic")]
    NotAuthentic,
    /// It is authentic and makes no sense.
    #[error("the notice cannot be read")]
    Unreadable,
    /// The rail did not say in time what it is, such as one that asks its provider: to be sent again.
    #[error("what the notice says is not known in time: send it again")]
    Unanswered,
}

impl NoticeError {
    /// The stable name of the refusal.
    #[must_use]
    pub const fn code(self) -> &'static str {
        match self {
            Self::NoNotices => "notice_not_taken",
            Self::NotAuthentic => "notice_not_authentic",
            Self::Unreadable => "notice_unreadable",
            Self::Unanswered => "notice_unanswered",
        }
    }
}

/// Why a rail cannot collect an amount.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{rail} cannot collect {amount}: {reason}")]
pub struct CannotCollect {
    /// The rail.
    pub rail: &'static str,
    /// The amount.
    pub amount: Money,
    /// Why not, in words.
    pub reason: String,
}

/// A way to be paid.
///
/// Every act is idempotent in the order and the attempt (a capture: and its key; a refund: in the order, its key and
/// number): said twice, it happens once. An act that fails half-way is [`Outcome::Unknown`]; there is no other error.
///
/// A rail that collects at once says [`Outcome::Paid`], and need not care for captures. One that authorises first says
/// [`Outcome::Authorised`]; the merchant captures then, in parts if need be, and what an order does not need is given up.
pub trait Rail: fmt::Debug + Send + Sync + 'static {
    /// Its name in records and addresses: `[a-z0-9-]`, at most 16 bytes.
    fn id(&self) -> &'static str;

    /// By which means customers pay, for their receipts: [`Means::Other`] unless the rail says it.
    fn means(&self) -> Means {
        Means::Other
    }

    /// How long a customer has to pay, from the beginning of an attempt until the order expires, in seconds.
    fn patience_s(&self) -> u64;

    /// Whether it can collect this amount at all: asked before anything is committed.
    ///
    /// # Errors
    /// [`CannotCollect`] with the reason: another currency, too little, too much.
    fn takes(&self, amount: Money) -> Result<(), CannotCollect>;

    /// What a customer has to transfer for a payment, of which `outstanding` is still to come: only a rail by which the
    /// customer pays by hand has an answer.
    fn transfer(&self, payment: &PaymentRequest, outstanding: Money) -> Option<TransferRequest> {
        let _ = (payment, outstanding);
        None
    }

    /// The account on which arrives what customers transfer by hand: only such a rail has one.
    fn account(&self) -> Option<&Sepa> {
        None
    }

    /// Collects.
    fn pay(&self, payment: &PaymentRequest) -> impl Future<Output = Outcome> + Send;

    /// What became of a payment: looks, and never executes. A payment that never reached the rail is
    /// [`Outcome::Declined`] once it cannot reach it any more.
    fn inquire(&self, payment: &PaymentRequest) -> impl Future<Output = Outcome> + Send;

    /// Whether somebody has to [collect](Rail::capture) what it [authorised](Outcome::Authorised). `true`, unless the rail says
    /// otherwise: where the money comes by itself, once a bank has carried out what was authorised, nobody is shown a button
    /// that cannot work.
    fn collects(&self) -> bool {
        true
    }

    /// Collects a part of what is authorised, or all of it: never more than was authorised, in all captures together, and
    /// nothing after it was given up or has ended.
    fn capture(&self, capture: &CaptureRequest) -> impl Future<Output = ActOutcome> + Send {
        let _ = capture;
        async { ActOutcome::Declined("no_captures".into()) }
    }

    /// What became of a capture: looks, and never executes. One that never reached the rail is [`ActOutcome::Declined`] once
    /// it cannot reach it any more.
    fn inquire_capture(&self, capture: &CaptureRequest) -> impl Future<Output = ActOutcome> + Send {
        let _ = capture;
        async { ActOutcome::Declined("no_captures".into()) }
    }

    /// Gives up what is left of an authorisation, after all of its captures are decided. What was captured stays so. It may
    /// be told again: [`Rail::inquire`] says before whether anything is left.
    fn void(&self, payment: &PaymentRequest) -> impl Future<Output = ActOutcome> + Send {
        let _ = payment;
        async { ActOutcome::Declined("no_voids".into()) }
    }

    /// Gives back.
    fn refund(&self, refund: &RefundRequest) -> impl Future<Output = RefundOutcome> + Send;

    /// What became of a refund: looks, and never executes. A refund that never reached the rail is
    /// [`RefundOutcome::Declined`] once it cannot reach it any more: it may be told again then, under the next number.
    fn inquire_refund(&self, refund: &RefundRequest) -> impl Future<Output = RefundOutcome> + Send;

    /// Reads a message that claims to be the rail's: checks who sent it, and what it says. A rail that leaves payments open
    /// repeats a notice until it is taken: an attempt on an order that is over is not asked about any more.
    ///
    /// # Errors
    /// [`NoticeError`]; [`NoticeError::NoNotices`] for a rail that has no such messages.
    fn notice(&self, request: &NoticeRequest<'_>) -> impl Future<Output = Result<Notice, NoticeError>> + Send;
}
