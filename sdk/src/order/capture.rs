//! An authorised payment: the money is promised, comes when it is captured, in parts if need be, and what is not needed
//! is given up.
//!
//! An order that is over, or paid as far as it ever will be, needs nothing of an authorisation any more: the rail is told
//! so, and asked, until nothing is held. Whatever a rail says of a capture counts its money once, and in no order.

use serde::{Deserialize, Serialize};

use super::{
    Attempt, Happened, OrderError, OrderRecord, OrderState, RAIL_ANSWER_S, RefundRecord, RefundState, Source, Step,
    UNPAID_S,
};
use crate::{
    money::{Money, MoneyError},
    names::is_key,
    rail::{ActOutcome, Outcome},
    time::UnixTime,
};

/// The most captures of one attempt; as often may a provider take money back by itself.
pub const CAPTURES_MAX: usize = 20;
/// How often an authorisation is asked about whose end nobody has told, in seconds.
pub const AUTHORISED_LOOK_S: u64 = 24 * 3600;
/// The longest key of a capture, in bytes.
const KEY_BYTES_MAX: usize = 64;

/// A part of an authorised amount, or all of it, that is being collected.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Capture {
    /// Which capture of the attempt this is: 1 to 64 visible ASCII characters without `/`.
    pub key: String,
    /// How much.
    pub amount: Money,
    /// When the rail was told.
    pub begun_at: UnixTime,
    /// What it said; nothing yet while it is being told.
    pub outcome: Option<ActOutcome>,
}

impl Capture {
    /// Whether nobody knows yet what becomes of it.
    #[must_use]
    pub const fn is_open(&self) -> bool {
        matches!(self.outcome, None | Some(ActOutcome::UnderWay | ActOutcome::Unknown))
    }
}

/// That a rail is told to give up what is left of an authorisation.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Void {
    /// How often it was told.
    pub tries: u32,
    /// When it was told last.
    pub begun_at: UnixTime,
    /// What it said; nothing yet while it is being told.
    pub outcome: Option<ActOutcome>,
}

impl Attempt {
    /// How much of it has arrived: all of it, or what was captured.
    ///
    /// # Errors
    /// [`MoneyError`] if a rail captured more than can be counted.
    pub fn captured(&self) -> Result<Money, MoneyError> {
        if self.outcome == Some(Outcome::Paid) {
            return Ok(self.amount);
        }
        self.sum(|capture| capture.outcome == Some(ActOutcome::Done))
    }

    /// Whether something is still promised: it can be captured, or is to be given up.
    #[must_use]
    pub fn holds(&self) -> bool {
        let promised = matches!(self.outcome, Some(Outcome::Authorised { .. }));
        let void = self.void.as_ref().is_some_and(|void| void.outcome == Some(ActOutcome::Done));
        let left = || Ok::<_, MoneyError>(!self.amount.minus(self.captured()?)?.is_zero());
        promised && !void && left().unwrap_or_default()
    }

    /// Whether nobody knows yet what becomes of one of its captures.
    #[must_use]
    pub fn is_capturing(&self) -> bool {
        self.captures.iter().any(Capture::is_open)
    }

    /// When its promise ends, as far as the rail has said.
    #[must_use]
    pub const fn authorised_until(&self) -> Option<UnixTime> {
        match self.outcome {
            Some(Outcome::Authorised { until }) => until,
            _ => None,
        }
    }

    fn sum(&self, which: impl Fn(&Capture) -> bool) -> Result<Money, MoneyError> {
        Money::sum(self.captures.iter().filter(|capture| which(capture)).map(|c| c.amount), self.amount.currency())
    }
}

impl OrderRecord {
    /// A capture of what is authorised begins. It is committed before the rail is called. `Ok(None)` if a capture of this
    /// key was begun before: what became of it stands in the attempt.
    ///
    /// # Errors
    /// If nothing is authorised, or not that much is left of it or of the price; [`OrderError::CaptureDiffers`] if the key
    /// was used for another amount.
    pub fn capturing(self, key: &str, amount: Money, now: UnixTime) -> Result<Option<Step>, OrderError> {
        check_key(key)?;
        let mut step = Step::of(self);
        let order = &mut step.order;
        let (state, outstanding) = (order.state, order.outstanding()?);
        let Some(last) = order.attempts.last_mut() else { return Err(OrderError::NotAuthorised(state)) };
        if let Some(before) = last.captures.iter().find(|capture| capture.key == key) {
            return if before.amount == amount { Ok(None) } else { Err(OrderError::CaptureDiffers) };
        }
        if state != OrderState::Authorised {
            return Err(OrderError::NotAuthorised(state));
        }
        if !last.holds() {
            return Err(OrderError::AuthorisationEnded);
        }
        if amount.is_zero() {
            return Err(OrderError::NoAmount);
        }
        // What is open may have happened: it counts as if it had.
        let open = last.sum(Capture::is_open)?;
        let left = less(last.amount, last.captured()?.plus(open)?)?.at_most(less(outstanding, open)?)?;
        match left.minus(amount) {
            Ok(_) => {}
            Err(MoneyError::BelowZero) => return Err(OrderError::CaptureTooLarge { asked: amount, left }),
            // Another currency is told as such.
            Err(other) => return Err(other.into()),
        }
        if last.captures.len() >= CAPTURES_MAX {
            return Err(OrderError::AttemptFull);
        }
        last.captures.push(Capture { key: key.to_owned(), amount, begun_at: now, outcome: None });
        let attempt = last.number;
        order.look_by(now.plus_s(2 * RAIL_ANSWER_S));
        step.happened.push(Happened::CaptureBegun { attempt, key: key.to_owned(), amount });
        Ok(Some(step))
    }

    /// The rail said how a capture went: when it was told, asked, or by itself. `Ok(None)` if that is known already.
    ///
    /// A capture counts its money once, whatever is said afterwards and in whatever order. One that the shop never asked
    /// for, made at the provider's own desk, counts too.
    ///
    /// # Errors
    /// [`OrderError::NoSuchAttempt`], [`OrderError::NoSuchCapture`], [`OrderError::OtherAmount`];
    /// [`OrderError::AttemptFull`].
    pub fn capture_answered(
        self,
        attempt: u32,
        key: &str,
        amount: Money,
        outcome: &ActOutcome,
        now: UnixTime,
    ) -> Result<Option<Step>, OrderError> {
        let mut step = Step::of(self);
        let Some(found) = step.order.attempts.iter_mut().find(|a| a.number == attempt) else {
            return Err(OrderError::NoSuchAttempt(attempt));
        };
        // Once the whole attempt is said to be here, its parts add nothing.
        let counts = *outcome == ActOutcome::Done && found.outcome != Some(Outcome::Paid);
        let held = found.holds();
        let answered = Happened::CaptureAnswered { attempt, key: key.to_owned(), outcome: outcome.name() };
        let lie = Happened::Contradicted { attempt, outcome: format!("captured: {}", outcome.name()) };
        let Some(known) = found.captures.iter_mut().find(|capture| capture.key == key) else {
            check_key(key)?;
            if *outcome != ActOutcome::Done {
                return Err(OrderError::NoSuchCapture);
            }
            if amount.currency() != found.amount.currency() || amount.is_zero() {
                return Err(OrderError::OtherAmount { attempt, expected: found.amount, found: amount });
            }
            if found.captures.len() >= CAPTURES_MAX {
                return Err(OrderError::AttemptFull);
            }
            let fits = held && less(found.amount, found.captured()?)?.minus(amount).is_ok();
            let outcome = Some(ActOutcome::Done);
            found.captures.push(Capture { key: key.to_owned(), amount, begun_at: now, outcome });
            step.happened.push(answered);
            // More than was promised, or after the promise: the money is there nevertheless, and has its place.
            if !fits && !std::mem::replace(&mut found.contradicted, true) {
                step.happened.push(lie);
            }
            return step.captured(attempt, key, amount, counts, now).map(Some);
        };
        if known.amount != amount {
            return Err(OrderError::OtherAmount { attempt, expected: known.amount, found: amount });
        }
        match &known.outcome {
            Some(was) if was == outcome && !known.is_open() => return Ok(None),
            // What is decided stays decided; that somebody says otherwise is written down once.
            Some(ActOutcome::Done) | Some(ActOutcome::Declined(_)) if *outcome != ActOutcome::Done => {
                if std::mem::replace(&mut found.contradicted, true) {
                    return Ok(None);
                }
                return Ok(Some(Step { happened: vec![lie], ..step }));
            }
            was => {
                if was.as_ref() != Some(outcome) {
                    step.happened.push(answered);
                }
                known.outcome = Some(outcome.clone());
            }
        }
        step.captured(attempt, key, amount, counts, now).map(Some)
    }

    /// The merchant has found out how a capture in doubt went.
    ///
    /// # Errors
    /// [`OrderError::NoSuchAttempt`], [`OrderError::NoSuchCapture`], [`OrderError::NotInDoubt`].
    pub fn capture_decided(
        self,
        attempt: u32,
        key: &str,
        was_captured: bool,
        now: UnixTime,
    ) -> Result<Step, OrderError> {
        let found = self.attempts.iter().find(|a| a.number == attempt).ok_or(OrderError::NoSuchAttempt(attempt))?;
        let found = found.captures.iter().find(|c| c.key == key).ok_or(OrderError::NoSuchCapture)?;
        if !found.is_open() || found.outcome.is_none() {
            return Err(OrderError::NotInDoubt);
        }
        let amount = found.amount;
        let outcome = if was_captured { ActOutcome::Done } else { ActOutcome::Declined("decided_by_hand".into()) };
        self.capture_answered(attempt, key, amount, &outcome, now)?.ok_or(OrderError::NotInDoubt)
    }

    /// No more of what is authorised will be captured: what is missing is waived, and the order is paid as far as it ever
    /// will be. What was sent on a promise that was broken is written off so. `Ok(None)` if it was closed so before.
    ///
    /// # Errors
    /// If nothing is authorised, nothing has arrived or was sent (cancel it then), or a capture is not decided yet.
    pub fn closed_short(self, now: UnixTime) -> Result<Option<Step>, OrderError> {
        if self.state == OrderState::Paid && !self.waived.is_zero() {
            return Ok(None);
        }
        let is_sent = !self.after.parcels.is_empty();
        match self.state {
            OrderState::Authorised => {}
            OrderState::Declined | OrderState::Paying if is_sent => {}
            state => return Err(OrderError::NotAuthorised(state)),
        }
        self.no_payment_in_flight()?;
        if self.ledger.settled()?.is_zero() && !is_sent {
            return Err(OrderError::NothingCaptured);
        }
        let mut step = Step::of(self);
        step.close_short()?;
        step.order.mind_authorisations(now);
        Ok(Some(step))
    }

    /// The rail is told to give up what is left of an authorisation that the order does not need. It is committed before
    /// the rail is called. `None` if there is nothing to give up, or it is being told at this moment.
    #[must_use]
    pub fn voiding(self, attempt: u32, now: UnixTime) -> Option<Step> {
        let mut step = Step::of(self);
        let idle = step.order.idle_authorisations().any(|found| found.number == attempt);
        let found = step.order.attempts.iter_mut().find(|found| found.number == attempt && idle)?;
        let before = found.void.as_ref();
        if before.is_some_and(|void| void.outcome.is_none() && now.since_s(void.begun_at) <= RAIL_ANSWER_S) {
            return None;
        }
        let tries = before.map_or(0, |void| void.tries).saturating_add(1);
        found.void = Some(Void { tries, begun_at: now, outcome: None });
        step.order.inquire_later(now);
        step.happened.push(Happened::VoidBegun { attempt });
        Some(step)
    }

    /// The rail said whether it has given up what was left; `tries` is how often it had been told then. `None` if that is
    /// known already.
    #[must_use]
    pub fn void_answered(self, attempt: u32, tries: u32, outcome: &ActOutcome, now: UnixTime) -> Option<Step> {
        let mut step = Step::of(self);
        let found = step.order.attempts.iter_mut().find(|found| found.number == attempt)?;
        let void = found.void.as_mut().filter(|void| void.outcome != Some(ActOutcome::Done))?;
        // That it is done counts whenever it is said; everything else only of the last time it was told.
        if *outcome != ActOutcome::Done && void.tries != tries {
            return None;
        }
        if void.outcome.as_ref() != Some(outcome) {
            step.happened.push(Happened::VoidAnswered { attempt, outcome: outcome.name() });
        }
        void.outcome = Some(outcome.clone());
        step.order.inquire_later(now);
        Some(step)
    }

    /// The provider took money back by itself, as after a dispute: it is gone, and nothing is owed for it. `id` names the
    /// event: said twice, it happened once.
    ///
    /// It is taken from what counted; what is more than that from `owed`, the refunds of this attempt that nobody has begun,
    /// which the customer has with it. What is still more went back twice: [`Attempt::lost`]. What is unsent stays in the shop
    /// until somebody has looked ([`OrderRecord::stopped`]).
    ///
    /// # Errors
    /// [`OrderError::NoSuchAttempt`]; [`OrderError::OtherAmount`] for more than the attempt's; [`OrderError::NoAmount`];
    /// [`OrderError::AttemptFull`].
    pub fn taken_back(
        self,
        attempt: u32,
        id: &str,
        amount: Money,
        owed: Vec<RefundRecord>,
    ) -> Result<Option<Step>, OrderError> {
        check_key(id)?;
        let mut step = Step::of(self);
        let order = &mut step.order;
        let Some(found) = order.attempts.iter_mut().find(|a| a.number == attempt) else {
            return Err(OrderError::NoSuchAttempt(attempt));
        };
        if found.taken_back.iter().any(|known| known == id) {
            return Ok(None);
        }
        if amount.is_zero() {
            return Err(OrderError::NoAmount);
        }
        if found.amount.minus(amount).is_err() {
            return Err(OrderError::OtherAmount { attempt, expected: found.amount, found: amount });
        }
        if found.taken_back.len() >= CAPTURES_MAX {
            return Err(OrderError::AttemptFull);
        }
        found.taken_back.push(id.to_owned());
        let settled = order.ledger.take_back(Source::Attempt(attempt), amount)?;
        if order.state.is_open() {
            // Nobody collects once more what a customer disputes.
            order.waived = order.waived.plus(settled)?;
        }
        step.happened.push(Happened::TakenBack { attempt, id: id.to_owned(), amount, settled });
        step.stop();
        let mut rest = amount.minus(settled)?;
        let is_owed = |it: &RefundRecord| it.state == RefundState::Owed && it.by == Source::Attempt(attempt);
        for refund in owed.into_iter().filter(is_owed) {
            let part = refund.amount.at_most(rest)?;
            rest = rest.minus(part)?;
            let left = refund.amount.minus(part)?;
            if left.is_zero() {
                step.refund_taken(refund)?;
            } else if !part.is_zero() {
                // The same decision in two records: what it was together stays what was decided.
                let key = format!("{}/{id}", refund.key);
                step.changed.push(RefundRecord { amount: left, ..refund.clone() });
                step.refund_taken(RefundRecord { key, amount: part, ..refund })?;
            }
        }
        if !rest.is_zero()
            && let Some(found) = step.order.attempts.iter_mut().find(|found| found.number == attempt)
        {
            found.lost = Some(found.lost.unwrap_or_else(|| Money::zero(rest.currency())).plus(rest)?);
        }
        Ok(Some(step))
    }

    /// Authorisations of which the order needs nothing any more.
    pub(crate) fn idle_authorisations(&self) -> impl Iterator<Item = &Attempt> {
        let needed = self.last_attempt().map(|last| last.number).filter(|_| self.state == OrderState::Authorised);
        self.attempts.iter().filter(move |a| a.holds() && !a.is_capturing() && needed != Some(a.number))
    }

    /// What nobody needs any more is given up soon.
    pub(super) fn mind_authorisations(&mut self, now: UnixTime) {
        let fresh = self.idle_authorisations().any(|attempt| attempt.void.is_none());
        if fresh {
            self.look_by(now);
        }
    }

    /// When an authorisation that nobody doubts is asked about: when it ends, and once a day.
    pub(super) fn look_at_authorisations(&self, now: UnixTime) -> Option<UnixTime> {
        let held = self.attempts.iter().filter(|attempt| attempt.holds());
        held.map(|a| {
            a.authorised_until().map_or(now.plus_s(AUTHORISED_LOOK_S), |end| end.min(now.plus_s(AUTHORISED_LOOK_S)))
        })
        .min()
    }

    /// Whether an authorisation has to be asked about: its end is past, or it is being given up.
    pub(super) fn authorisations_in_doubt(&self, now: UnixTime) -> bool {
        let ended = |attempt: &Attempt| attempt.authorised_until().is_some_and(|end| now >= end);
        self.attempts.iter().any(|a| a.is_capturing() || a.holds() && (a.void.is_some() || ended(a)))
    }

    fn look_by(&mut self, at: UnixTime) {
        self.inquire_at = Some(self.inquire_at.map_or(at, |before| before.min(at)));
    }
}

impl Step {
    /// Something was said of a capture: its money has its place if it counts, and the order goes on.
    fn captured(
        mut self,
        attempt: u32,
        key: &str,
        amount: Money,
        counts: bool,
        now: UnixTime,
    ) -> Result<Self, OrderError> {
        if counts {
            self.receive(Source::Attempt(attempt), &format!("attempt-{attempt}/{key}"), amount)?;
        }
        self.conclude(now)?;
        self.order.inquire_later(now);
        Ok(self)
    }

    /// An authorised order whose authorisation has ended: paid as far as it was captured, or to be paid otherwise. While a
    /// capture is in doubt nobody knows which.
    pub(super) fn conclude(&mut self, now: UnixTime) -> Result<(), OrderError> {
        let order = &mut self.order;
        let Some(last) = order.attempts.last().filter(|_| order.state == OrderState::Authorised) else { return Ok(()) };
        if last.holds() || last.is_capturing() {
            return Ok(());
        }
        if !last.captured()?.is_zero() {
            self.close_short()?;
            // Nobody has decided that the rest is given away.
            self.stop();
            return Ok(());
        }
        self.happened.push(Happened::AuthorisationEnded { attempt: last.number });
        order.state = OrderState::Declined;
        order.expires_at = Some(now.plus_s(UNPAID_S));
        Ok(())
    }

    /// What is unsent stays in the shop until somebody has looked.
    pub(super) fn stop(&mut self) {
        if !self.order.stopped && !self.order.unsent().is_empty() {
            self.order.stopped = true;
            self.happened.push(Happened::SendingStopped);
        }
    }

    /// The customer has what this refund owes them, for the provider took it.
    fn refund_taken(&mut self, refund: RefundRecord) -> Result<(), OrderError> {
        let ledger = &mut self.order.ledger;
        ledger.owed = ledger.owed.minus(refund.amount)?;
        ledger.refunded = ledger.refunded.plus(refund.amount)?;
        self.happened.push(Happened::RefundTaken { key: refund.key.clone(), amount: refund.amount });
        self.changed.push(RefundRecord { state: RefundState::Done, ..refund });
        Ok(())
    }

    fn close_short(&mut self) -> Result<(), OrderError> {
        let order = &mut self.order;
        let waived = order.outstanding()?;
        order.waived = order.waived.plus(waived)?;
        order.state = OrderState::Paid;
        order.expires_at = None;
        self.happened.extend([Happened::ClosedShort { waived }, Happened::Paid]);
        Ok(())
    }
}

/// What is left of an amount without another one; nothing if that is more.
fn less(amount: Money, other: Money) -> Result<Money, MoneyError> {
    amount.minus(other.at_most(amount)?)
}

fn check_key(key: &str) -> Result<(), OrderError> {
    if is_key(key, KEY_BYTES_MAX) { Ok(()) } else { Err(OrderError::CaptureKey) }
}
