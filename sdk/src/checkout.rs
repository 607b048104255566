//! A checkout: what somebody wants to buy, what the shop offers for it, and how far that has come.
//!
//! `Open -> Holding -> Paying -> Completed`, and back to `Open` when stock or payment fails; `Canceled` from `Open`. A
//! [`CheckoutRecord`] holds the customer's [`Wishes`] and the shop's [`Offering`] for them; from both follows its
//! [`Status`], one of the six of UCP 2026-08-25. While it is being completed nothing in it changes, so that the price that
//! the customer agreed to is the price of the order.
//!
//! The order is the truth of what was sold: a checkout follows its order, and is never ahead of it.

mod cart;
mod id;
mod message;
mod offering;
mod wishes;
mod words;

use serde::{Deserialize, Serialize};

pub(crate) use self::cart::{BuyerFacts, Cart, consignment, short_of};
pub use self::{
    id::{CheckoutId, NotACheckoutId},
    message::{Message, MessageCode, Severity},
    offering::{Coupon, NotACouponName, Offered, Offering},
    wishes::{CODES_MAX, CheckedWishes, WishError, Wishes},
    words::WRONG_WORDS_MAX,
};
use crate::{
    money::Money,
    order::{ATTEMPTS_MAX, Buyer, DeliverySource, NotAuthorised, OrderId, OrderRecord, OrderState},
    rail::{Outcome, Reference},
    store::Persisted,
    time::UnixTime,
};

/// How long a checkout stays as it is, in seconds, since it was last changed.
pub const CHECKOUT_S: u64 = 30 * 60;
/// How long a checkout stays at the longest, in seconds, however often it is changed: an address lies in it.
pub const CHECKOUT_MAX_S: u64 = 4 * 3600;
/// For how long a checkout that is over can be looked at, in seconds.
pub const OVER_S: u64 = 24 * 3600;
/// How long holding stock may take, in seconds: whoever began it is taken for lost afterwards.
pub const HOLDING_S: u64 = 60;

/// Where a checkout stands (UCP 2026-08-25, checkout status).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Status {
    /// Something is missing or wrong that whoever drives it can mend: see the messages.
    Incomplete,
    /// The customer has to do something themselves: prove what is needed.
    RequiresEscalation,
    /// It can be completed.
    ReadyForComplete,
    /// It is being completed: nothing in it changes until that is decided.
    CompleteInProgress,
    /// There is an order.
    Completed,
    /// It was given up, or nobody went on with it.
    Canceled,
}

impl Status {
    /// As it stands in JSON.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Incomplete => "incomplete",
            Self::RequiresEscalation => "requires_escalation",
            Self::ReadyForComplete => "ready_for_complete",
            Self::CompleteInProgress => "complete_in_progress",
            Self::Completed => "completed",
            Self::Canceled => "canceled",
        }
    }
}

/// A checkout as it is stored.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct CheckoutRecord {
    /// Its name.
    pub id: CheckoutId,
    /// Who is buying.
    pub buyer: Buyer,
    /// The digest of the link by which a guest finds it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub guest: Option<String>,
    /// Which state of it this is, from 1: each change is the next one.
    pub revision: u64,
    /// What the customer wants.
    pub wishes: CheckedWishes,
    /// Where it goes, sealed: a part of the checkout until the order takes it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub address: Option<SealedAddress>,
    /// What was typed of an address that is not whole yet, sealed: for whoever goes on typing it, and, by its country, for the
    /// price of sending. Nothing is ever sent to it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub so_far: Option<String>,
    /// What the shop offers for it.
    pub offering: Offering,
    /// What came of the last attempt to complete it, if it failed.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub failed: Vec<Message>,
    /// How far it is.
    pub stage: Stage,
    /// How often it was tried to be completed.
    #[serde(default)]
    pub tries: usize,
    /// How many words for a discount were wrong: at most [`WRONG_WORDS_MAX`].
    #[serde(default, skip_serializing_if = "is_none_wrong")]
    pub wrong_words: usize,
    /// When it began.
    pub begun_at: UnixTime,
    /// When it was changed last.
    pub changed_at: UnixTime,
    /// The last operation: says whether a commit happened whose answer was lost.
    pub operation: String,
}

impl Persisted for CheckoutRecord {
    const KIND: &'static str = "checkout";
    const SCHEMA: u16 = 1;
}

impl std::fmt::Debug for CheckoutRecord {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("CheckoutRecord")
            .field("id", &self.id)
            .field("revision", &self.revision)
            .field("stage", &self.stage)
            .finish_non_exhaustive()
    }
}

/// An address that lies sealed in its checkout.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct SealedAddress {
    /// Who said it.
    pub source: DeliverySource,
    /// All of it, sealed.
    pub sealed: String,
}

impl std::fmt::Debug for SealedAddress {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SealedAddress").field("source", &self.source).finish_non_exhaustive()
    }
}

/// How far a checkout is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Stage {
    /// It can be changed.
    Open,
    /// What the customer agreed to is settled, and stock is being held for it. No money is asked for yet.
    Holding(Agreed),
    /// The order is there, and its payment is under way.
    Paying(Agreed),
    /// There is an order.
    Completed {
        /// Which.
        order: OrderId,
    },
    /// It was given up.
    Canceled,
}

/// What the customer agreed to, and under which names it is carried out: settled once, so that carrying it out twice is
/// carrying it out once.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Agreed {
    /// The order's name, also towards inventory and rail.
    pub order: OrderId,
    /// The order's reference.
    pub reference: Reference,
    /// How it is paid, by the rail's name; none if nothing is to pay and nobody said how.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rail: Option<String>,
    /// What the customer's wallet shows in the presentation that also pays: nothing of it was known when they agreed.
    #[serde(default, skip_serializing_if = "Awaited::is_nothing")]
    pub awaited: Awaited,
    /// When.
    pub at: UnixTime,
}

/// What a wallet is still to show of an order that it pays.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Awaited {
    /// The asks that have to be answered, by name.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub proofs: Vec<String>,
    /// Where it goes, by which ask, and the country that its price is for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub address: Option<AwaitedAddress>,
}

/// An address that a wallet is to tell.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct AwaitedAddress {
    /// The ask that it answers.
    pub ask: String,
    /// The country that the price is for, as two letters.
    pub country: String,
}

impl Awaited {
    pub(crate) fn is_nothing(&self) -> bool {
        self.proofs.is_empty() && self.address.is_none()
    }
}

/// Why a step cannot be taken from where a checkout stands.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CheckoutError {
    /// What is wished for cannot be.
    #[error(transparent)]
    Wish(#[from] WishError),
    /// Somebody changed it meanwhile.
    #[error("the checkout is at revision {now}, not {said}: look at it again")]
    Stale {
        /// The revision that the caller saw.
        said: u64,
        /// The revision that it has.
        now: u64,
    },
    /// It is being completed.
    #[error("the checkout is being completed: nothing in it changes until that is decided")]
    InProgress,
    /// It is over.
    #[error("the checkout is {}: begin another one", .0.name())]
    Over(Status),
    /// The customer has not agreed to it, or what they agreed to is past the step.
    #[error("the checkout is not where this step begins")]
    NotThere,
    /// It cannot be completed as it is: its messages say why.
    #[error("the checkout is {}: see its messages", .0.name())]
    NotReady(Status),
    /// The customer agreed to another total.
    #[error("the total is {now}, not {said}: look at it again")]
    OtherTotal {
        /// What the customer agreed to.
        said: Money,
        /// What it is.
        now: Money,
    },
    /// It was tried too often.
    #[error("the checkout was tried {ATTEMPTS_MAX} times: begin another one")]
    TooManyTries,
}

impl CheckoutError {
    /// The stable name of the refusal.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Wish(e) => e.code(),
            Self::Stale { .. } => "checkout_changed",
            Self::InProgress => "checkout_in_progress",
            Self::Over(_) => "checkout_over",
            Self::NotThere => "checkout_not_there",
            Self::NotReady(_) => "checkout_not_ready",
            Self::OtherTotal { .. } => "total_changed",
            Self::TooManyTries => "too_many_tries",
        }
    }
}

impl CheckoutRecord {
    /// Where it stands.
    #[must_use]
    pub fn status(&self) -> Status {
        match self.stage {
            Stage::Open => self.offering.status(),
            Stage::Holding(_) | Stage::Paying(_) => Status::CompleteInProgress,
            Stage::Completed { .. } => Status::Completed,
            Stage::Canceled => Status::Canceled,
        }
    }

    /// What it is said about: what came of the last attempt, and then what is missing.
    pub fn messages(&self) -> impl Iterator<Item = &Message> {
        let open = self.stage == Stage::Open;
        self.failed.iter().chain(&self.offering.messages).filter(move |_| open)
    }

    /// Until when it stays as it is if nobody goes on with it; none while it is being completed.
    #[must_use]
    pub fn expires_at(&self) -> Option<UnixTime> {
        match self.stage {
            Stage::Open => Some(self.changed_at.plus_s(CHECKOUT_S).min(self.begun_at.plus_s(CHECKOUT_MAX_S))),
            Stage::Holding(_) | Stage::Paying(_) => None,
            Stage::Completed { .. } | Stage::Canceled => Some(self.changed_at.plus_s(OVER_S)),
        }
    }

    /// The order that it was completed into, or that its payment under way would make a sale: the last may come to nothing.
    #[must_use]
    pub const fn attempted_order(&self) -> Option<&OrderId> {
        match &self.stage {
            Stage::Completed { order } | Stage::Paying(Agreed { order, .. }) => Some(order),
            _ => None,
        }
    }

    /// Whether something of it is sent, and nobody has said where to.
    pub(crate) const fn lacks_address(&self) -> bool {
        self.offering.ships && self.address.is_none()
    }

    /// Refuses what changes it, unless it is open and as the caller saw it.
    ///
    /// # Errors
    /// [`CheckoutError::InProgress`], [`CheckoutError::Over`], [`CheckoutError::Stale`].
    pub fn changeable(&self, revision: u64) -> Result<(), CheckoutError> {
        self.is_open()?;
        if revision == self.revision {
            Ok(())
        } else {
            Err(CheckoutError::Stale { said: revision, now: self.revision })
        }
    }

    /// The customer wants something else, or the shop offers something else: what failed before is past.
    ///
    /// # Errors
    /// [`CheckoutError::InProgress`], [`CheckoutError::Over`].
    pub fn changed(self, wishes: CheckedWishes, offering: Offering, now: UnixTime) -> Result<Self, CheckoutError> {
        self.is_open()?;
        let (counted, offering) = self.counting(&wishes, offering);
        Ok(Self { wishes, offering, failed: Vec::new(), ..counted }.next(now))
    }

    /// The customer agreed to it, and the shop offers something else by now: it is shown once more, and says so.
    ///
    /// # Errors
    /// As [`changed`](Self::changed).
    pub fn offered_anew(self, offering: Offering, why: Message, now: UnixTime) -> Result<Self, CheckoutError> {
        self.is_open()?;
        let offering = self.telling(offering);
        Ok(Self { offering, failed: vec![why], ..self }.next(now))
    }

    /// The customer agrees to it as it stands: from now on nothing in it changes.
    ///
    /// # Errors
    /// As [`changeable`](Self::changeable); [`CheckoutError::OtherTotal`]; [`CheckoutError::NotReady`].
    pub fn agreed(self, revision: u64, total: Money, agreed: Agreed) -> Result<Self, CheckoutError> {
        self.changeable(revision)?;
        let status = self.offering.status_with(&agreed.awaited);
        if status != Status::ReadyForComplete {
            return Err(CheckoutError::NotReady(status));
        }
        let now = self.offering.totals.total;
        if total != now {
            return Err(CheckoutError::OtherTotal { said: total, now });
        }
        if self.tries >= ATTEMPTS_MAX {
            return Err(CheckoutError::TooManyTries);
        }
        let (at, tries) = (agreed.at, self.tries.saturating_add(1));
        Ok(Self { stage: Stage::Holding(agreed), failed: Vec::new(), tries, ..self }.next(at))
    }

    /// Stock is held, and the order is committed with this: the payment begins.
    ///
    /// # Errors
    /// [`CheckoutError::NotThere`] unless what the customer agreed to waits for that; [`CheckoutError::Over`].
    pub fn paying(self, now: UnixTime) -> Result<Self, CheckoutError> {
        match self.stage {
            Stage::Holding(agreed) => Ok(Self { stage: Stage::Paying(agreed), ..self }.next(now)),
            _ => Err(self.not_there()),
        }
    }

    /// Completing it came to nothing before money was asked for: it can be changed and tried again. From then on its order
    /// alone says what becomes of it ([`settled`](Self::settled)).
    ///
    /// # Errors
    /// As [`paying`](Self::paying).
    pub fn reopened(self, why: Message, now: UnixTime) -> Result<Self, CheckoutError> {
        match self.stage {
            Stage::Holding(_) => Ok(self.failed(why, now)),
            _ => Err(self.not_there()),
        }
    }

    /// It is given up. `Ok(None)` if it was before.
    ///
    /// # Errors
    /// [`CheckoutError::InProgress`], [`CheckoutError::Over`] if there is an order.
    pub fn canceled(self, now: UnixTime) -> Result<Option<Self>, CheckoutError> {
        if self.stage == Stage::Canceled {
            return Ok(None);
        }
        self.is_open()?;
        let nowhere = Self { address: None, so_far: None, ..self };
        Ok(Some(Self { stage: Stage::Canceled, failed: Vec::new(), ..nowhere }.next(now)))
    }

    /// What its order says of a checkout that is being paid. `None` while that is not decided.
    #[must_use]
    pub fn settled(&self, order: &OrderRecord, now: UnixTime) -> Option<Self> {
        let Stage::Paying(agreed) = &self.stage else { return None };
        if agreed.order != order.id {
            return None;
        }
        if order.is_confirmed() {
            let stage = Stage::Completed { order: order.id.clone() };
            // The order has the address.
            return Some(Self { stage, address: None, so_far: None, ..self.clone() }.next(now));
        }
        let last = order.last_attempt();
        let why = match (order.state, last.and_then(NotAuthorised::of), last.and_then(|last| last.outcome.as_ref())) {
            (OrderState::Expired, ..) => (MessageCode::PaymentExpired, "The payment was not made in time."),
            (OrderState::Cancelled, Some(NotAuthorised::GivenUp), _) => {
                (MessageCode::PaymentWithdrawn, "You called the payment off. Nothing was paid.")
            }
            (OrderState::Cancelled, Some(NotAuthorised::AddressElsewhere), _) => {
                (MessageCode::AddressElsewhere, "Sending it to that address costs something else: look at it again.")
            }
            (OrderState::Cancelled, _, Some(Outcome::Declined(_))) => {
                (MessageCode::PaymentDeclined, "The payment was declined. Choose another way to pay.")
            }
            (OrderState::Cancelled, ..) => (MessageCode::OrderCancelled, "The order was called off."),
            _ => return None,
        };
        let why = Message::failed(why.0, why.1);
        Some(self.clone().failed(why, now))
    }

    fn is_open(&self) -> Result<(), CheckoutError> {
        match self.stage {
            Stage::Open => Ok(()),
            Stage::Holding(_) | Stage::Paying(_) => Err(CheckoutError::InProgress),
            Stage::Completed { .. } | Stage::Canceled => Err(CheckoutError::Over(self.status())),
        }
    }

    /// Why a step of completing it cannot be taken.
    fn not_there(&self) -> CheckoutError {
        match self.stage {
            Stage::Open | Stage::Holding(_) | Stage::Paying(_) => CheckoutError::NotThere,
            Stage::Completed { .. } | Stage::Canceled => CheckoutError::Over(self.status()),
        }
    }

    fn failed(self, why: Message, now: UnixTime) -> Self {
        Self { stage: Stage::Open, failed: vec![why], ..self }.next(now)
    }

    fn next(self, now: UnixTime) -> Self {
        Self { revision: self.revision.saturating_add(1), changed_at: now, ..self }
    }
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "as serde calls it")]
const fn is_none_wrong(count: &usize) -> bool {
    *count == 0
}

#[cfg(test)]
mod tests;
