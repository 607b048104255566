//! An order: what was sold to whom, what was paid for it, and what goes back.
//!
//! `Draft -> Placed -> Paying -> Authorised -> Paid | Declined | Unknown | Cancelled | Expired`. A [`Draft`] is what the
//! merchant's server puts together; from `Placed` on it is an [`OrderRecord`], whose transitions take it and give back a
//! [`Step`]: the next record, and everything that is committed with it.
//!
//! Every cent that ever arrived has one place: `received = settled + owed + refunded`. What counts towards the price is
//! settled; what came too much, too late or is refunded is owed back until it has been given back. Money never revives an
//! order that is over.
//!
//! [`AfterSale`] is what becomes of it once it is sold: parcels, adjustments, withdrawals.

mod adjustment;
mod after;
mod authorised;
mod capture;
mod checkout;
mod delivery;
mod draft;
mod event;
mod filed;
mod fulfilment;
mod postal_code;
mod refund;
mod totals;
mod withdrawal;
mod worth;

use serde::{Deserialize, Serialize};

pub(crate) use self::checkout::NotAuthorised;
pub(crate) use self::delivery::DeliverTo;
pub(crate) use self::totals::Charged;
pub use self::{
    adjustment::{Adjustment, AdjustmentReason, AdjustmentRecord, AdjustmentState},
    after::{ADJUSTMENTS_MAX, AfterError, AfterSale, PARCELS_MAX, Part, WITHDRAWALS_MAX},
    capture::{AUTHORISED_LOOK_S, CAPTURES_MAX, Capture, Void},
    checkout::FromCheckout,
    delivery::{Address, AddressError, DeliveryAddress, DeliveryRecord, DeliverySource},
    draft::{Draft, DraftError, Line},
    event::{Happened, OrderEvent},
    fulfilment::{Fulfilment, Parcel, ParcelRecord},
    postal_code::PostalCodes,
    refund::{BankAccount, RefundReason, RefundRecord, RefundState},
    totals::{Carriage, LineTax, Reduction, TaxPart, Totals},
    withdrawal::{
        AcknowledgedLine, Acknowledgement, Eligibility, Exemption, WITHDRAWAL_DAYS, WITHDRAWAL_REFUND_S, Withdrawal,
        WithdrawalLine, WithdrawalRecord, WithdrawalState,
    },
};
use crate::{
    ask::Proof,
    customer::CustomerId,
    money::{Money, MoneyError},
    names::hex_name,
    rail::{ActOutcome, Outcome, Reference, RefundOutcome},
    store::Persisted,
    time::{UnixTime, Zone},
};

/// The most attempts to pay one order.
pub const ATTEMPTS_MAX: usize = 10;
/// How long an order waits for somebody to begin to pay it, in seconds.
pub const UNPAID_S: u64 = 24 * 3600;
/// How long an order is kept that came from a checkout and never was a sale, in seconds since it was over: 60 days. A promise of
/// a card ends after 30 at the latest, and a transfer arrives within days; money that comes within this time is matched and
/// given back, and then the order is kept for good. A transfer that comes later names no order of ours.
pub const NO_SALE_KEPT_S: u64 = 60 * 24 * 3600;
/// How long a rail may take to answer, in seconds. An attempt without an answer is in doubt from then on.
pub const RAIL_ANSWER_S: u64 = 30;
/// When a payment in doubt is asked about again at the latest, in seconds: each time twice as late as before.
pub const INQUIRY_PAUSE_MAX_S: u64 = 3600;
/// How many refunds of one order may be on their way at once.
pub const SENDING_MAX: usize = 8;

hex_name! {
    /// An order's name: random, and no secret. `o_` and 32 hexadecimal digits.
    OrderId = "o_";
    /// A text that is not an order's name.
    NotAnOrderId = "an order id";
}

/// Who bought.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Buyer {
    /// A customer whom the shop knows.
    Customer(CustomerId),
    /// Somebody whom nobody asked: the order's link is all that there is.
    Guest,
}

impl Buyer {
    /// The customer, if the shop knows who it is.
    #[must_use]
    pub const fn customer(&self) -> Option<&CustomerId> {
        match self {
            Self::Customer(customer) => Some(customer),
            Self::Guest => None,
        }
    }
}

/// Where an order stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum OrderState {
    /// Nobody has begun to pay.
    Placed,
    /// A payment is under way.
    Paying,
    /// The price is promised, and not here, or not all of it: deliver, and capture.
    Authorised,
    /// The whole price arrived, or all of it that is to come: see [`OrderRecord::waived`]. Refunds do not change this: what
    /// is still settled stands in the ledger.
    Paid,
    /// The last attempt was declined: another one may be made.
    Declined,
    /// Nobody knows whether the last attempt went through: it is being asked about, and nothing is tried again.
    Unknown,
    /// Called off.
    Cancelled,
    /// Not paid in time.
    Expired,
}

impl OrderState {
    /// As it stands in JSON.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Placed => "placed",
            Self::Paying => "paying",
            Self::Authorised => "authorised",
            Self::Paid => "paid",
            Self::Declined => "declined",
            Self::Unknown => "unknown",
            Self::Cancelled => "cancelled",
            Self::Expired => "expired",
        }
    }

    /// Whether it came to nothing.
    #[must_use]
    pub const fn is_over(self) -> bool {
        matches!(self, Self::Cancelled | Self::Expired)
    }

    /// Whether money that arrives still counts towards the price.
    #[must_use]
    pub const fn is_open(self) -> bool {
        matches!(self, Self::Placed | Self::Paying | Self::Authorised | Self::Declined | Self::Unknown)
    }
}

/// One attempt to pay.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Attempt {
    /// Which one, from 1.
    pub number: u32,
    /// The rail.
    pub rail: String,
    /// What was asked of it: the price less what had arrived already.
    pub amount: Money,
    /// When it began.
    pub begun_at: UnixTime,
    /// What the rail said; nothing yet while it is being asked.
    pub outcome: Option<Outcome>,
    /// Whether something was said later that does not fit.
    pub contradicted: bool,
    /// What was captured of it, or is being captured, if it was authorised first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub captures: Vec<Capture>,
    /// That what is left of it is given up.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub void: Option<Void>,
    /// What the provider took back by itself, by the names that it gave.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub taken_back: Vec<String>,
    /// What the provider took beyond what was here and owed: it went back twice, unless a refund on its way fails.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lost: Option<Money>,
}

impl Attempt {
    /// Whether it has to be asked about: no answer came, or none that says anything.
    #[must_use]
    pub const fn is_in_doubt(&self) -> bool {
        matches!(self.outcome, None | Some(Outcome::Unknown))
    }
}

/// By which way settled money came, and so by which it goes back.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Source {
    /// An attempt on a rail that says when it is paid.
    Attempt(u32),
    /// Transfers to the merchant's account.
    Transfer,
}

/// Settled money of one source.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Settled {
    /// Where it came from.
    pub by: Source,
    /// How much of it counts towards the price.
    pub amount: Money,
}

/// Where every cent of an order is: `received = settled + owed + refunded`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Ledger {
    /// All that ever arrived.
    pub received: Money,
    /// What counts towards the price, by source.
    pub settled: Vec<Settled>,
    /// What has to go back and has not.
    pub owed: Money,
    /// What was refunded.
    pub refunded: Money,
}

impl Ledger {
    fn new(nothing: Money) -> Self {
        Self { received: nothing, settled: Vec::new(), owed: nothing, refunded: nothing }
    }

    /// What counts towards the price.
    ///
    /// # Errors
    /// Never for a ledger that transitions made: a part is not more than the price.
    pub fn settled(&self) -> Result<Money, MoneyError> {
        Money::sum(self.settled.iter().map(|part| part.amount), self.received.currency())
    }

    /// Whether every cent has its place.
    #[must_use]
    pub fn is_balanced(&self) -> bool {
        let all = || self.settled()?.plus(self.owed)?.plus(self.refunded);
        all() == Ok(self.received)
    }

    fn settle(&mut self, by: Source, amount: Money) -> Result<(), MoneyError> {
        if amount.is_zero() {
            return Ok(());
        }
        match self.settled.iter_mut().find(|part| part.by == by) {
            Some(part) => part.amount = part.amount.plus(amount)?,
            None => self.settled.push(Settled { by, amount }),
        }
        Ok(())
    }

    /// Takes an amount out of what is settled, the newest source first, and owes it back.
    fn unsettle(&mut self, amount: Money) -> Result<Vec<Settled>, MoneyError> {
        let mut drawn = Vec::new();
        let mut left = amount;
        while !left.is_zero() {
            // More than is settled: the caller has compared.
            let Some(last) = self.settled.last_mut() else { return Err(MoneyError::BelowZero) };
            let part = last.amount.at_most(left)?;
            last.amount = last.amount.minus(part)?;
            left = left.minus(part)?;
            drawn.push(Settled { by: last.by, amount: part });
            if last.amount.is_zero() {
                self.settled.pop();
            }
        }
        self.owed = self.owed.plus(amount)?;
        Ok(drawn)
    }

    /// Money of this source is gone without our doing. Says how much of it had counted.
    fn take_back(&mut self, by: Source, amount: Money) -> Result<Money, MoneyError> {
        let Some(part) = self.settled.iter_mut().find(|part| part.by == by) else {
            return Ok(Money::zero(amount.currency()));
        };
        let taken = part.amount.at_most(amount)?;
        part.amount = part.amount.minus(taken)?;
        self.settled.retain(|part| !part.amount.is_zero());
        self.refunded = self.refunded.plus(taken)?;
        Ok(taken)
    }
}

/// An order as it is stored. Its delivery address, what happened and what goes back are records of their own.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct OrderRecord {
    /// Its name.
    pub id: OrderId,
    /// The order's number: what a payer quotes, what people call it, and by which it is found again. It is random: invoices
    /// that the law wants numbered one after the other have numbers of their own.
    pub reference: Reference,
    /// Who bought.
    pub buyer: Buyer,
    /// What was bought.
    pub lines: Vec<Line>,
    /// What was let off, by name.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub reductions: Vec<Reduction>,
    /// How it is sent, and for how much.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub carriage: Option<Carriage>,
    /// What it costs.
    pub total: Money,
    /// What of that will not be collected: an authorisation ended, or was given up, before all of it was captured.
    pub waived: Money,
    /// What was proved for it: outcomes without values.
    pub proofs: Vec<Proof>,
    /// When it was placed.
    pub placed_at: UnixTime,
    /// Where it stands.
    pub state: OrderState,
    /// The attempts to pay it.
    pub attempts: Vec<Attempt>,
    /// Where the money is.
    pub ledger: Ledger,
    /// When it expires unless it is paid; none once it is over or paid.
    pub expires_at: Option<UnixTime>,
    /// When what is in doubt is asked about next.
    pub inquire_at: Option<UnixTime>,
    /// How often it was asked about.
    pub inquiries: u32,
    /// The keys of the refunds that are on their way, or in doubt.
    pub sending: Vec<String>,
    /// The checkout that it came from, if it did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub checkout: Option<FromCheckout>,
    /// What became of it after the sale: parcels, adjustments, withdrawals.
    #[serde(default, skip_serializing_if = "AfterSale::is_untouched")]
    pub after: AfterSale,
    /// Money that it was to be sent for is gone, or will not come: nothing more of it leaves the shop until somebody has looked
    /// ([`Order::send_anyway`](crate::Order::send_anyway)).
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub stopped: bool,
    /// How many events there are.
    pub events: u32,
    /// The last operation: says whether a commit happened whose answer was lost.
    pub operation: String,
}

impl Persisted for OrderRecord {
    const KIND: &'static str = "order";
    const SCHEMA: u16 = 1;
}

/// What a transition leads to, to be committed as one.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Step {
    /// The order from now on.
    pub order: OrderRecord,
    /// What happened, in order.
    pub happened: Vec<Happened>,
    /// What is owed back from now on.
    pub owed: Vec<RefundRecord>,
    /// What was owed before, and stands elsewhere now.
    pub changed: Vec<RefundRecord>,
}

/// Why a step cannot be taken from where an order stands.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum OrderError {
    /// It is paid.
    #[error("the order is paid already")]
    AlreadyPaid,
    /// A part of it is on its way, or there.
    #[error("a parcel of the order was sent: it can be withdrawn from, and not called off")]
    AlreadySent,
    /// It was cancelled or has expired.
    #[error("the order is {}: place another one", .0.name())]
    Over(OrderState),
    /// A payment is under way on another rail, or is being asked for at this moment.
    #[error("a payment of this order is under way")]
    PaymentUnderWay,
    /// Nobody knows whether the last payment went through.
    #[error("a payment of this order is in doubt: it is being asked about, and nothing is tried again until then")]
    PaymentInDoubt,
    /// It was tried too often.
    #[error("the order was tried to be paid {ATTEMPTS_MAX} times: place another one")]
    TooManyAttempts,
    /// It was not paid, so there is nothing to refund.
    #[error("the order is {}: only a paid one is refunded", .0.name())]
    NotPaid(OrderState),
    /// More than is left of what was paid.
    #[error("{asked} is more than the {left} that can be refunded")]
    RefundTooLarge {
        /// What was asked for.
        asked: Money,
        /// What is left.
        left: Money,
    },
    /// Nothing is to be refunded.
    #[error("an amount of nothing")]
    NoAmount,
    /// No such attempt.
    #[error("the order has no attempt {0}")]
    NoSuchAttempt(u32),
    /// Somebody speaks of another amount than the attempt's.
    #[error("attempt {attempt} is about {expected}, not about {found}")]
    OtherAmount {
        /// The attempt.
        attempt: u32,
        /// Its amount.
        expected: Money,
        /// The amount that was spoken of.
        found: Money,
    },
    /// Too many refunds are on their way at once.
    #[error("{SENDING_MAX} refunds of this order are on their way: wait for one")]
    TooManyRefunds,
    /// The refund is on its way, or done.
    #[error("this was refunded, or is on its way")]
    AlreadyRefunded,
    /// The provider has taken more than was here: whoever is owed this has it.
    #[error("the provider has taken this money back by itself: say that it is done, and send nothing")]
    TakenAlready,
    /// A transfer back has to be begun before it can be done.
    #[error("begin this refund first: that settles the account it goes to")]
    RefundNotBegun,
    /// A transfer back needs an account to go to.
    #[error("nobody knows which account this refund goes to: name it first")]
    NoAccount,
    /// Nothing is in doubt here.
    #[error("nothing is in doubt here")]
    NotInDoubt,
    /// The refund stands in no file for the bank.
    #[error("this refund stands in no file for the bank")]
    NotInFile,
    /// Nothing is authorised, so there is nothing to capture.
    #[error("the order is {}: only an authorised one is captured", .0.name())]
    NotAuthorised(OrderState),
    /// The rail has said that nothing can be captured any more.
    #[error("the authorisation has ended: nothing can be captured any more")]
    AuthorisationEnded,
    /// More than is left of what was authorised, or of the price.
    #[error("{asked} is more than the {left} that can be captured")]
    CaptureTooLarge {
        /// What was asked for.
        asked: Money,
        /// What is left.
        left: Money,
    },
    /// The key was used for a capture of another amount.
    #[error("this key was used to capture another amount")]
    CaptureDiffers,
    /// A key that is none.
    #[error("the key of a capture is 1 to 64 visible ASCII characters without `/`")]
    CaptureKey,
    /// No such capture.
    #[error("the attempt has no such capture")]
    NoSuchCapture,
    /// The attempt has as many parts as are kept.
    #[error("an attempt is captured in {CAPTURES_MAX} parts at most, and as many are taken back")]
    AttemptFull,
    /// Nothing of the price has arrived: an order of which nothing comes is cancelled.
    #[error("nothing was captured: cancel the order instead")]
    NothingCaptured,
    /// It cannot be sent, adjusted or withdrawn from like this.
    #[error(transparent)]
    After(#[from] AfterError),
    /// It was priced for another place.
    #[error("the price was for another country or postal code: ask the shop")]
    AddressElsewhere,
    /// The amounts do not fit together: another currency, or more than can be counted.
    #[error(transparent)]
    Money(#[from] MoneyError),
}

impl OrderError {
    /// The stable name of the refusal.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::AlreadyPaid => "already_paid",
            Self::AlreadySent => "already_sent",
            Self::Over(_) => "order_over",
            Self::PaymentUnderWay => "payment_under_way",
            Self::PaymentInDoubt => "payment_in_doubt",
            Self::TooManyAttempts => "too_many_attempts",
            Self::NotPaid(_) => "order_not_paid",
            Self::RefundTooLarge { .. } => "refund_too_large",
            Self::NoAmount => "no_amount",
            Self::NoSuchAttempt(_) => "no_such_attempt",
            Self::OtherAmount { .. } => "other_amount",
            Self::TooManyRefunds => "too_many_refunds",
            Self::AlreadyRefunded => "already_refunded",
            Self::TakenAlready => "taken_already",
            Self::RefundNotBegun => "refund_not_begun",
            Self::NoAccount => "refund_account_unknown",
            Self::NotInDoubt => "not_in_doubt",
            Self::NotInFile => "refund_not_in_file",
            Self::NotAuthorised(_) => "order_not_authorised",
            Self::AuthorisationEnded => "authorisation_ended",
            Self::CaptureTooLarge { .. } => "capture_too_large",
            Self::CaptureDiffers => "capture_differs",
            Self::CaptureKey => "capture_key",
            Self::NoSuchCapture => "no_such_capture",
            Self::AttemptFull => "attempt_full",
            Self::NothingCaptured => "nothing_captured",
            Self::AddressElsewhere => "address_elsewhere",
            Self::After(e) => e.code(),
            Self::Money(e) => e.code(),
        }
    }
}

/// What an order is made of, besides its draft.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Placing {
    /// Its name.
    pub id: OrderId,
    /// Its reference.
    pub reference: Reference,
    /// Who buys.
    pub buyer: Buyer,
    /// What was proved for it.
    pub proofs: Vec<Proof>,
    /// The checkout that it comes from, if it does.
    pub checkout: Option<FromCheckout>,
    /// Where the days of its periods end.
    pub zone: Zone,
    /// Now.
    pub at: UnixTime,
}

impl OrderRecord {
    /// A draft becomes an order.
    ///
    /// # Errors
    /// [`DraftError`] if nothing is in it, or its sums do not work out.
    pub fn placed(draft: &Draft, placing: Placing) -> Result<Step, DraftError> {
        let total = draft.total()?;
        let Placing { id, reference, buyer, proofs, checkout, zone, at } = placing;
        let is_free = total.is_zero();
        if is_free && checkout.is_none() {
            return Err(DraftError::NothingToPay);
        }
        let order = Self {
            id,
            reference,
            buyer,
            lines: draft.lines().to_vec(),
            reductions: draft.reductions().to_vec(),
            carriage: draft.carriage().cloned(),
            total,
            waived: Money::zero(total.currency()),
            proofs,
            placed_at: at,
            state: if is_free { OrderState::Paid } else { OrderState::Placed },
            attempts: Vec::new(),
            ledger: Ledger::new(Money::zero(total.currency())),
            expires_at: (!is_free).then(|| at.plus_s(UNPAID_S)),
            inquire_at: None,
            inquiries: 0,
            sending: Vec::new(),
            checkout,
            after: AfterSale { withdrawal_days: draft.days_to_withdraw(), zone, ..AfterSale::default() },
            stopped: false,
            events: 0,
            operation: String::new(),
        };
        let happened = std::iter::once(Happened::Placed { total }).chain(is_free.then_some(Happened::Paid)).collect();
        Ok(Step { happened, ..Step::of(order) })
    }

    /// When something has to be done by itself: something in doubt is asked about, or the order expires.
    #[must_use]
    pub fn wake_at(&self) -> Option<UnixTime> {
        match (self.inquire_at, self.expires_at) {
            // What is in doubt has to be learned before it can expire.
            (Some(look), Some(_)) if self.no_payment_in_flight().is_err() => Some(look),
            (Some(look), Some(end)) => Some(look.min(end)),
            (look, end) => look.or(end),
        }
    }

    /// What it adds up to.
    ///
    /// # Errors
    /// Never for a record that transitions made.
    pub fn totals(&self) -> Result<Totals, MoneyError> {
        let currency = self.total.currency();
        Totals::of(Charged { currency, lines: &self.lines, carriage: self.carriage.as_ref() })
    }

    /// What is still to be paid.
    ///
    /// # Errors
    /// Never for a record that transitions made.
    pub fn outstanding(&self) -> Result<Money, MoneyError> {
        self.total.minus(self.waived)?.minus(self.ledger.settled()?)
    }

    /// The attempt that decides where the order stands.
    #[must_use]
    pub fn last_attempt(&self) -> Option<&Attempt> {
        self.attempts.last()
    }

    /// Refuses while a payment may be in the middle of happening.
    fn no_payment_in_flight(&self) -> Result<(), OrderError> {
        match self.last_attempt() {
            Some(Attempt { outcome: None, .. }) => Err(OrderError::PaymentUnderWay),
            Some(Attempt { outcome: Some(Outcome::Unknown), .. }) => Err(OrderError::PaymentInDoubt),
            Some(last) => match last.captures.iter().find(|capture| capture.is_open()) {
                Some(Capture { outcome: None, .. }) => Err(OrderError::PaymentUnderWay),
                Some(_) => Err(OrderError::PaymentInDoubt),
                None => Ok(()),
            },
            None => Ok(()),
        }
    }

    /// An attempt begins. It is committed before the rail is called. `Ok(None)` if this very payment is under way, so
    /// that paying twice is paying once.
    ///
    /// # Errors
    /// If the order is paid, over, in doubt, or being paid on another rail.
    pub fn paying(self, rail: &str, patience_s: u64, now: UnixTime) -> Result<Option<Step>, OrderError> {
        let mut step = self.caught_up(now)?;
        let order = &mut step.order;
        match order.state {
            OrderState::Placed | OrderState::Declined => {}
            OrderState::Paying | OrderState::Authorised
                if order.last_attempt().is_some_and(|last| last.rail == rail) =>
            {
                return Ok(None);
            }
            OrderState::Paying | OrderState::Authorised => return Err(OrderError::PaymentUnderWay),
            OrderState::Paid => return Err(OrderError::AlreadyPaid),
            OrderState::Unknown => return Err(OrderError::PaymentInDoubt),
            // What just expired is told as an expiry, by whoever makes it one.
            over @ (OrderState::Cancelled | OrderState::Expired) => return Err(OrderError::Over(over)),
        }
        if order.attempts.len() >= ATTEMPTS_MAX {
            return Err(OrderError::TooManyAttempts);
        }
        let number = order.attempts.last().map_or(1, |last| last.number.saturating_add(1));
        order.attempts.push(Attempt {
            number,
            rail: rail.to_owned(),
            amount: order.outstanding()?,
            begun_at: now,
            outcome: None,
            contradicted: false,
            captures: Vec::new(),
            void: None,
            taken_back: Vec::new(),
            lost: None,
        });
        order.state = OrderState::Paying;
        order.expires_at = Some(now.plus_s(patience_s));
        order.inquire_at = Some(now.plus_s(2 * RAIL_ANSWER_S));
        order.inquiries = 0;
        step.happened.push(Happened::PaymentBegun { attempt: number, rail: rail.to_owned() });
        Ok(Some(step))
    }

    /// The rail said how an attempt went: when it was called, asked, or by itself. `Ok(None)` if that is known already.
    ///
    /// An attempt counts its money once, whatever is said afterwards and in whatever order.
    ///
    /// # Errors
    /// [`OrderError::NoSuchAttempt`], [`OrderError::OtherAmount`].
    pub fn answered(
        self,
        attempt: u32,
        amount: Money,
        outcome: Outcome,
        now: UnixTime,
    ) -> Result<Option<Step>, OrderError> {
        let (mut order, outcome) = (self, outcome.bounded());
        let last = order.attempts.last().is_some_and(|last| last.number == attempt);
        let Some(found) = order.attempts.iter_mut().find(|a| a.number == attempt) else {
            return Err(OrderError::NoSuchAttempt(attempt));
        };
        if found.amount != amount {
            return Err(OrderError::OtherAmount { attempt, expected: found.amount, found: amount });
        }
        let was = found.outcome.clone();
        let decided = matches!(was, Some(Outcome::Paid | Outcome::Declined(_)));
        let held = matches!(was, Some(Outcome::Authorised { .. }));
        if was.as_ref() == Some(&outcome) && outcome != Outcome::Unknown && !held {
            return Ok(None);
        }
        if was == Some(Outcome::Paid) || (decided && outcome != Outcome::Paid) {
            // What is decided stays decided; that somebody says otherwise is written down once.
            if std::mem::replace(&mut found.contradicted, true) {
                return Ok(None);
            }
            let happened = vec![Happened::Contradicted { attempt, outcome: outcome.name() }];
            return Ok(Some(Step { happened, ..Step::of(order) }));
        }
        let before = found.captured()?;
        let given_up = found.void.as_ref().is_some_and(|void| void.outcome == Some(ActOutcome::Done));
        // What was promised is not undone by who does not know, or says late what was before.
        let stale = held && matches!(outcome, Outcome::Unknown | Outcome::Pending | Outcome::Continue(_));
        if !stale {
            found.outcome = Some(outcome.clone());
        }
        let unchanged = stale || was.as_ref() == Some(&outcome);
        let lies = outcome == Outcome::Paid && given_up && !std::mem::replace(&mut found.contradicted, true);
        let mut step = Step::of(order);
        if lies {
            step.happened.push(Happened::Contradicted { attempt, outcome: outcome.name() });
        }
        if !unchanged {
            step.happened.push(Happened::PaymentAnswered { attempt, outcome: outcome.name() });
        }
        let waiting = matches!(step.order.state, OrderState::Paying | OrderState::Unknown);
        match outcome {
            // A part may have been captured before.
            Outcome::Paid => {
                let rest = amount.minus(before.at_most(amount)?)?;
                step.receive(Source::Attempt(attempt), &format!("attempt-{attempt}"), rest)?;
            }
            Outcome::Declined(_) if last && waiting => step.order.state = OrderState::Declined,
            Outcome::Unknown if last && waiting => step.order.state = OrderState::Unknown,
            Outcome::Authorised { .. } if last && waiting => {
                step.order.state = OrderState::Authorised;
                step.order.expires_at = None;
            }
            Outcome::Pending | Outcome::Continue(_) if last && waiting => step.order.state = OrderState::Paying,
            _ => {}
        }
        step.conclude(now)?;
        step.order.inquire_later(now);
        Ok(Some(step))
    }

    /// Money arrived by transfer: it counts towards the price as far as it goes, and the rest is owed back. An order that
    /// is paid or over keeps none of it.
    ///
    /// # Errors
    /// [`OrderError::Money`] for another currency or more than can be counted; [`OrderError::NoAmount`].
    pub fn received(self, receipt: &str, amount: Money, now: UnixTime) -> Result<Step, OrderError> {
        if amount.is_zero() {
            return Err(OrderError::NoAmount);
        }
        let mut step = self.caught_up(now)?;
        step.receive(Source::Transfer, receipt, amount)?;
        step.order.mind_authorisations(now);
        Ok(step)
    }

    /// The order is called off: what was paid of it is owed back, and what is authorised is given up. `Ok(None)` if it was
    /// already.
    ///
    /// # Errors
    /// If it is paid (refund it), has expired, a parcel of it was sent ([withdraw](Self::withdrawn_from) or
    /// [adjust](Self::adjusted) it), or a rail has not answered yet, or nobody knows what it did.
    pub fn cancelled(self, now: UnixTime) -> Result<Option<Step>, OrderError> {
        let mut step = self.caught_up(now)?;
        match step.order.state {
            OrderState::Cancelled => return Ok(None),
            OrderState::Paid => return Err(OrderError::AlreadyPaid),
            OrderState::Expired => return Err(OrderError::Over(OrderState::Expired)),
            OrderState::Unknown => return Err(OrderError::PaymentInDoubt),
            OrderState::Placed | OrderState::Paying | OrderState::Authorised | OrderState::Declined => {
                if !step.order.after.parcels.is_empty() {
                    return Err(OrderError::AlreadySent);
                }
                step.order.no_payment_in_flight()?;
            }
        }
        step.end(OrderState::Cancelled)?;
        step.order.mind_authorisations(now);
        Ok(Some(step))
    }

    /// The time to pay is over. `Ok(None)` if it is not, or does not matter any more, or a payment is in doubt: that has
    /// to be learned first.
    ///
    /// # Errors
    /// Never for a record that transitions made.
    pub fn expired(self, now: UnixTime) -> Result<Option<Step>, OrderError> {
        let before = self.state;
        let step = self.caught_up(now)?;
        Ok((step.order.state != before).then_some(step))
    }

    /// A part of what was paid is to go back: one refund for each way by which it came.
    ///
    /// # Errors
    /// If the order is not paid, or not that much is left of what was paid.
    pub fn refunded(self, key: &str, amount: Money) -> Result<Step, OrderError> {
        if self.state != OrderState::Paid {
            return Err(OrderError::NotPaid(self.state));
        }
        if amount.is_zero() {
            return Err(OrderError::NoAmount);
        }
        let left = self.ledger.settled()?;
        match left.minus(amount) {
            Ok(_) => {}
            Err(MoneyError::BelowZero) => return Err(OrderError::RefundTooLarge { asked: amount, left }),
            // Another currency is told as such.
            Err(other) => return Err(other.into()),
        }
        let mut step = Step::of(self);
        step.owe_settled(amount, RefundReason::Requested, &format!("refund/{key}"))?;
        Ok(step)
    }

    /// The rail is told to carry a refund out. It is committed before the rail is called.
    ///
    /// # Errors
    /// [`OrderError::AlreadyRefunded`] if it is on its way or done, [`OrderError::TooManyRefunds`];
    /// [`OrderError::TakenAlready`] if the provider took it by itself; [`OrderError::NoAccount`] for a transfer to nobody knows where.
    pub fn refund_sending(self, refund: RefundRecord, now: UnixTime) -> Result<Step, OrderError> {
        let mut order = self;
        if refund.state != RefundState::Owed {
            return Err(OrderError::AlreadyRefunded);
        }
        if refund.by == Source::Transfer && refund.sealed_account.is_none() {
            return Err(OrderError::NoAccount);
        }
        if order.attempts.iter().any(|it| refund.by == Source::Attempt(it.number) && it.lost.is_some()) {
            // A refund that failed after the provider had taken more than was here.
            return Err(OrderError::TakenAlready);
        }
        if order.sending.len() >= SENDING_MAX {
            return Err(OrderError::TooManyRefunds);
        }
        order.sending.push(refund.key.clone());
        let soon = now.plus_s(2 * RAIL_ANSWER_S);
        order.inquire_at = Some(order.inquire_at.map_or(soon, |at| at.min(soon)));
        let happened = vec![Happened::RefundBegun { key: refund.key.clone(), amount: refund.amount }];
        let tries = refund.tries.saturating_add(1);
        let refund = RefundRecord { state: RefundState::Sending, begun_at: Some(now), tries, ..refund };
        Ok(Step { changed: vec![refund], happened, ..Step::of(order) })
    }

    /// The rail said how a refund stands; `tries` is how often it had been told then. `Ok(None)` if that is known already.
    ///
    /// That it is done counts whenever it is said, and once. Everything else counts only of the last time it was told.
    ///
    /// # Errors
    /// Never for records that transitions made.
    pub fn refund_answered(
        self,
        refund: RefundRecord,
        tries: u32,
        outcome: &RefundOutcome,
        now: UnixTime,
    ) -> Result<Option<Step>, OrderError> {
        let asked = matches!(refund.state, RefundState::Sending | RefundState::InDoubt) && refund.tries == tries;
        let next = match outcome {
            // Told once more after it was said to be declined, and now both are said to be done.
            RefundOutcome::Done if refund.state == RefundState::Done => {
                return Ok((refund.done_by != Some(tries)).then(|| self.refund_contradicted(&refund, outcome)));
            }
            RefundOutcome::Done => RefundState::Done,
            _ if !asked => return Ok(None),
            RefundOutcome::Declined(_) => RefundState::Owed,
            RefundOutcome::ByHand => RefundState::ByHand,
            RefundOutcome::UnderWay | RefundOutcome::Unknown => RefundState::InDoubt,
        };
        let mut order = self;
        let unchanged = next == refund.state;
        if next != RefundState::InDoubt {
            order.sending.retain(|key| *key != refund.key);
        }
        order.inquire_later(now);
        if next == RefundState::Done {
            return Step::refunded(order, RefundRecord { done_by: Some(tries), ..refund }).map(Some);
        }
        let mut step = Step::of(order);
        if !unchanged {
            let outcome = outcome.name();
            step.happened.push(Happened::RefundAnswered { key: refund.key.clone(), outcome });
        }
        step.changed.push(RefundRecord { state: next, ..refund });
        Ok(Some(step))
    }

    /// Something was said of a refund that does not fit what is known.
    fn refund_contradicted(self, refund: &RefundRecord, outcome: &RefundOutcome) -> Step {
        let happened = vec![Happened::RefundContradicted { key: refund.key.clone(), outcome: outcome.name() }];
        // Written down once for what is known by now.
        let changed = vec![RefundRecord { done_by: Some(refund.tries), ..refund.clone() }];
        Step { happened, changed, ..Step::of(self) }
    }

    /// The merchant has found out whether a refund in doubt was sent.
    ///
    /// # Errors
    /// [`OrderError::NotInDoubt`].
    pub fn refund_decided(self, refund: RefundRecord, was_sent: bool, now: UnixTime) -> Result<Step, OrderError> {
        if refund.state != RefundState::InDoubt {
            return Err(OrderError::NotInDoubt);
        }
        let outcome = if was_sent { RefundOutcome::Done } else { RefundOutcome::Declined("decided_by_hand".into()) };
        let tries = refund.tries;
        self.refund_answered(refund, tries, &outcome, now)?.ok_or(OrderError::NotInDoubt)
    }

    /// The merchant has found out how an attempt in doubt went.
    ///
    /// # Errors
    /// [`OrderError::NoSuchAttempt`], [`OrderError::NotInDoubt`].
    pub fn decided(self, attempt: u32, was_paid: bool, now: UnixTime) -> Result<Step, OrderError> {
        let found = self.attempts.iter().find(|a| a.number == attempt).ok_or(OrderError::NoSuchAttempt(attempt))?;
        if found.outcome != Some(Outcome::Unknown) {
            return Err(OrderError::NotInDoubt);
        }
        let amount = found.amount;
        let outcome = if was_paid { Outcome::Paid } else { Outcome::Declined("decided_by_hand".into()) };
        self.answered(attempt, amount, outcome, now)?.ok_or(OrderError::NotInDoubt)
    }

    /// The merchant carried a refund out by hand: one that the rail could not, or that nobody had begun. `Ok(None)` if it
    /// is done already.
    ///
    /// # Errors
    /// [`OrderError::PaymentInDoubt`] if a rail is at it; [`OrderError::RefundNotBegun`] for a transfer that nobody has begun.
    pub fn refunded_by_hand(self, refund: RefundRecord) -> Result<Option<Step>, OrderError> {
        match refund.state {
            // Before a transfer is begun, the account that it goes to may still change under the merchant's hand.
            RefundState::Owed if refund.by == Source::Transfer => Err(OrderError::RefundNotBegun),
            RefundState::Owed | RefundState::ByHand => Step::refunded(self, refund).map(Some),
            RefundState::Sending | RefundState::InDoubt => Err(OrderError::PaymentInDoubt),
            RefundState::Done => Ok(None),
        }
    }

    /// The account that a refund goes to was named.
    ///
    /// # Errors
    /// [`OrderError::AlreadyRefunded`] if it has begun: then the account is settled.
    pub fn account_named(self, refund: RefundRecord, sealed_account: String) -> Result<Step, OrderError> {
        if refund.state != RefundState::Owed {
            return Err(OrderError::AlreadyRefunded);
        }
        let happened = vec![Happened::AccountNamed { key: refund.key.clone() }];
        let refund = RefundRecord { sealed_account: Some(sealed_account), ..refund };
        Ok(Step { happened, changed: vec![refund], ..Step::of(self) })
    }

    /// It goes to another address.
    ///
    /// # Errors
    /// [`OrderError::Over`] if it goes nowhere any more.
    pub fn address_changed(self) -> Result<Step, OrderError> {
        match self.state {
            OrderState::Cancelled | OrderState::Expired => Err(OrderError::Over(self.state)),
            _ => Ok(Step { happened: vec![Happened::AddressChanged], ..Step::of(self) }),
        }
    }

    /// The order as the time has left it: expired if nobody paid, however late that is noticed. What was sent on a promise
    /// stays owed.
    fn caught_up(self, now: UnixTime) -> Result<Step, OrderError> {
        let is_late = self.expires_at.is_some_and(|end| now >= end);
        let mut step = Step::of(self);
        let open = matches!(step.order.state, OrderState::Placed | OrderState::Paying | OrderState::Declined);
        let is_sent = !step.order.after.parcels.is_empty();
        if is_late && open && !is_sent && step.order.no_payment_in_flight().is_ok() {
            step.end(OrderState::Expired)?;
            step.order.mind_authorisations(now);
        }
        Ok(step)
    }

    /// Sets when to ask again: about what is in doubt later each time, about what is promised when that ends.
    fn inquire_later(&mut self, now: UnixTime) {
        let in_doubt = self.attempts.iter().any(Attempt::is_in_doubt)
            || !self.sending.is_empty()
            || self.authorisations_in_doubt(now);
        if in_doubt {
            let wait_s = (2 * RAIL_ANSWER_S) << self.inquiries.min(8);
            self.inquire_at = Some(now.plus_s(wait_s.min(INQUIRY_PAUSE_MAX_S)));
            self.inquiries = self.inquiries.saturating_add(1);
        } else {
            self.inquire_at = self.look_at_authorisations(now);
            self.inquiries = 0;
        }
        self.mind_authorisations(now);
    }
}

impl Step {
    /// Nothing happened yet.
    const fn of(order: OrderRecord) -> Self {
        Self { order, happened: Vec::new(), owed: Vec::new(), changed: Vec::new() }
    }

    /// The next step of the same commit.
    pub(crate) fn then(mut self, next: Self) -> Self {
        self.happened.extend(next.happened);
        self.owed.extend(next.owed);
        self.changed.extend(next.changed);
        Self { order: next.order, ..self }
    }

    /// A refund is done: it is owed no longer.
    fn refunded(mut order: OrderRecord, refund: RefundRecord) -> Result<Self, OrderError> {
        order.ledger.owed = order.ledger.owed.minus(refund.amount)?;
        order.ledger.refunded = order.ledger.refunded.plus(refund.amount)?;
        let happened = vec![Happened::Refunded { key: refund.key.clone(), amount: refund.amount }];
        let refund = RefundRecord { state: RefundState::Done, ..refund };
        Ok(Self { happened, changed: vec![refund], ..Self::of(order) })
    }

    /// Gives every cent its place, and the order its state.
    fn receive(&mut self, by: Source, receipt: &str, amount: Money) -> Result<(), OrderError> {
        let order = &mut self.order;
        if amount.is_zero() {
            return Ok(());
        }
        order.ledger.received = order.ledger.received.plus(amount)?;
        let counts =
            if order.state.is_open() { amount.at_most(order.outstanding()?)? } else { Money::zero(amount.currency()) };
        let excess = amount.minus(counts)?;
        order.ledger.settle(by, counts)?;
        order.ledger.owed = order.ledger.owed.plus(excess)?;
        self.happened.push(Happened::Received { amount, by: receipt.to_owned() });
        if !excess.is_zero() {
            let key = format!("overpaid/{receipt}");
            self.owe(RefundRecord::owed(key, RefundReason::Overpaid, by, excess));
        }
        if self.order.state.is_open() && self.order.outstanding()?.is_zero() {
            self.order.state = OrderState::Paid;
            self.order.expires_at = None;
            self.happened.push(Happened::Paid);
        }
        Ok(())
    }

    fn end(&mut self, state: OrderState) -> Result<(), OrderError> {
        self.order.state = state;
        self.order.expires_at = None;
        self.happened.push(if state == OrderState::Expired { Happened::Expired } else { Happened::Cancelled });
        let settled = self.order.ledger.settled()?;
        if !settled.is_zero() {
            self.owe_settled(settled, RefundReason::OrderEnded, "ended")?;
        }
        Ok(())
    }

    fn owe_settled(&mut self, amount: Money, cause: RefundReason, key: &str) -> Result<(), OrderError> {
        for part in self.order.ledger.unsettle(amount)? {
            let key = match part.by {
                Source::Attempt(number) => format!("{key}/attempt-{number}"),
                Source::Transfer => format!("{key}/transfer"),
            };
            self.owe(RefundRecord::owed(key, cause, part.by, part.amount));
        }
        // All of it goes back: what is unsent was not meant to be sent for nothing.
        if self.order.state == OrderState::Paid && self.order.ledger.settled()?.is_zero() {
            self.stop();
        }
        Ok(())
    }

    fn owe(&mut self, refund: RefundRecord) {
        self.happened.push(Happened::RefundOwed { key: refund.key.clone(), amount: refund.amount });
        self.owed.push(refund);
    }
}

#[cfg(test)]
mod tests;
