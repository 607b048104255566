//! A rail that does what a test says: pays, authorises and captures, declines, is silent, answers late, twice, out of
//! order, or lies.

use std::{
    collections::{BTreeMap, VecDeque},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use aws_lc_rs::hmac;
use http::{HeaderMap, HeaderValue};
use serde::{Deserialize, Serialize};

use crate::{
    money::Money,
    order::OrderId,
    protocol::jose::{base64url_decode, base64url_encode},
    rail::{
        ActOutcome, CannotCollect, CaptureRequest, Means, Notice, NoticeError, NoticeRequest, Outcome, PaymentRequest,
        Rail, RefundOutcome, RefundRequest, Said,
    },
    time::UnixTime,
};

/// The header that carries a notice's signature.
const SIGNATURE: &str = "fake-rail-signature";
/// How old a notice may be, in seconds.
const NOTICE_AGE_S: u64 = 300;

/// A rail for tests. A clone is the same rail: it remembers what it really did, whatever it said.
///
/// ```
/// use firsthand::testing::{FakeRail, Mood};
///
/// let rail = FakeRail::new();
/// rail.next(Mood::Declines); // the first payment; all others are paid
/// ```
#[derive(Clone, Debug)]
pub struct FakeRail(Arc<Mutex<State>>);

/// How the rail treats one payment, capture, void or refund.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Mood {
    /// Does it, and says so.
    Does,
    /// Authorises a payment, and says so: the money comes when it is captured.
    Authorises,
    /// Refuses, and says so.
    Declines,
    /// Says this, and decides later: [`FakeRail::decide`].
    Says(Outcome),
    /// Does it, and says that it does not know.
    DoesAndForgets,
    /// Does nothing, and says that it does not know.
    ForgetsWithout,
    /// Does it, and never answers.
    DoesAndHangs,
    /// Does nothing, and never answers.
    Hangs,
}

#[derive(Debug)]
struct State {
    moods: VecDeque<Mood>,
    payments: BTreeMap<(OrderId, u32), Deed>,
    captures: BTreeMap<(OrderId, u32, String), Captured>,
    refunds: BTreeMap<(OrderId, String, u32), Deed>,
    /// How often it was told to act, also when it did nothing new.
    calls: usize,
    key: hmac::Key,
}

/// What the rail really did.
#[derive(Clone, Debug)]
struct Deed {
    amount: Money,
    outcome: Outcome,
}

/// A part of an authorised payment, as it really is.
#[derive(Clone, Debug)]
struct Captured {
    amount: Money,
    outcome: ActOutcome,
}

/// A notice on the wire.
#[derive(Serialize, Deserialize)]
struct Wire {
    order: OrderId,
    attempt: u32,
    amount: Money,
    said: WireSaid,
    at: UnixTime,
}

/// What a notice says, on the wire.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum WireSaid {
    Payment(Outcome),
    Capture { key: String, outcome: ActOutcome },
    Refund { key: String, number: u32, done: bool },
    TakenBack { id: String },
}

impl Default for FakeRail {
    fn default() -> Self {
        Self::new()
    }
}

impl FakeRail {
    /// The name of the rail.
    pub const ID: &str = "fake";

    /// A rail that does what it is told.
    #[must_use]
    pub fn new() -> Self {
        Self(Arc::new(Mutex::new(State {
            moods: VecDeque::new(),
            payments: BTreeMap::new(),
            captures: BTreeMap::new(),
            refunds: BTreeMap::new(),
            calls: 0,
            key: hmac::Key::new(hmac::HMAC_SHA256, b"a fake rail's notices"),
        })))
    }

    /// How it treats the next payment, capture, void or refund that it has not seen before. Said several times, one after the other.
    pub fn next(&self, mood: Mood) {
        self.state().moods.push_back(mood);
    }

    /// Decides about a payment that was left open.
    pub fn decide(&self, order: &OrderId, attempt: u32, outcome: Outcome) {
        if let Some(deed) = self.state().payments.get_mut(&(order.clone(), attempt)) {
            deed.outcome = outcome;
        }
    }

    /// Decides about a capture that nobody knew about; one that is decided stays as it is.
    pub fn decide_capture(&self, order: &OrderId, attempt: u32, key: &str, outcome: ActOutcome) {
        if let Some(capture) = self.state().captures.get_mut(&(order.clone(), attempt, key.to_owned()))
            && matches!(capture.outcome, ActOutcome::UnderWay | ActOutcome::Unknown)
        {
            capture.outcome = outcome;
        }
    }

    /// Captures at its own desk, without having been told.
    pub fn capture_itself(&self, order: &OrderId, attempt: u32, key: &str, amount: Money) {
        let captured = Captured { amount, outcome: ActOutcome::Done };
        self.state().captures.insert((order.clone(), attempt, key.to_owned()), captured);
    }

    /// Decides about a refund that nobody knew about; one that is decided, or left to the merchant, stays as it is.
    pub fn decide_refund(&self, order: &OrderId, key: &str, number: u32, outcome: Outcome) {
        if let Some(deed) = self.state().refunds.get_mut(&(order.clone(), key.to_owned(), number))
            && !matches!(deed.outcome, Outcome::Paid | Outcome::Declined(_) | Outcome::Pending)
        {
            deed.outcome = outcome;
        }
    }

    /// What it really took for an order, in minor units: all attempts together.
    #[must_use]
    pub fn taken_minor(&self, order: &OrderId) -> i64 {
        let attempts: Vec<u32> =
            self.state().payments.keys().filter(|(id, _)| id == order).map(|(_, attempt)| *attempt).collect();
        attempts.into_iter().map(|attempt| self.taken_by_minor(order, attempt)).sum()
    }

    /// What it really took by one attempt, in minor units: all of it, or what was captured.
    #[must_use]
    pub fn taken_by_minor(&self, order: &OrderId, attempt: u32) -> i64 {
        let state = self.state();
        match state.payments.get(&(order.clone(), attempt)) {
            Some(deed) if deed.outcome == Outcome::Paid => deed.amount.minor(),
            _ => state.captured_minor(order, attempt, |capture| capture.outcome == ActOutcome::Done),
        }
    }

    /// How a capture really stands. `None` if there is none.
    #[must_use]
    pub fn capture_of(&self, order: &OrderId, attempt: u32, key: &str) -> Option<ActOutcome> {
        let found = self.state().captures.get(&(order.clone(), attempt, key.to_owned())).cloned();
        found.map(|capture| capture.outcome)
    }

    /// What it really holds for an attempt, and nobody has captured or may be capturing, in minor units.
    #[must_use]
    pub fn held_minor(&self, order: &OrderId, attempt: u32) -> i64 {
        let state = self.state();
        match state.payments.get(&(order.clone(), attempt)) {
            Some(Deed { amount, outcome: Outcome::Authorised { .. } }) => {
                let taken = state.captured_minor(order, attempt, Captured::may_be);
                amount.minor().saturating_sub(taken).max(0)
            }
            _ => 0,
        }
    }

    /// What it really gave back for an order, in minor units.
    #[must_use]
    pub fn refunded_minor(&self, order: &OrderId) -> i64 {
        let state = self.state();
        let paid = state.refunds.iter().filter(|((id, ..), deed)| id == order && deed.outcome == Outcome::Paid);
        paid.map(|(_, deed)| deed.amount.minor()).sum()
    }

    /// How often it was told to pay, capture, void or refund.
    #[must_use]
    pub fn calls(&self) -> usize {
        self.state().calls
    }

    /// A notice that says what is true of an attempt, signed. `None` if there is no such attempt.
    #[must_use]
    pub fn notice_of(&self, order: &OrderId, attempt: u32, now: UnixTime) -> Option<(HeaderMap, Vec<u8>)> {
        let deed = self.state().payments.get(&(order.clone(), attempt)).cloned()?;
        let said = deed.outcome.into();
        Some(self.signed(&Notice { order: order.clone(), attempt, amount: deed.amount, said }, now))
    }

    /// A notice that says what is true of a capture, signed. `None` if there is no such capture.
    #[must_use]
    pub fn notice_of_capture(
        &self,
        order: &OrderId,
        attempt: u32,
        key: &str,
        now: UnixTime,
    ) -> Option<(HeaderMap, Vec<u8>)> {
        let found = self.state().captures.get(&(order.clone(), attempt, key.to_owned())).cloned()?;
        let said = Said::Capture { key: key.to_owned(), outcome: found.outcome };
        Some(self.signed(&Notice { order: order.clone(), attempt, amount: found.amount, said }, now))
    }

    /// A notice that says what a test wants, signed: a lie that carries the rail's own signature.
    #[must_use]
    pub fn signed(&self, notice: &Notice, now: UnixTime) -> (HeaderMap, Vec<u8>) {
        let Notice { order, attempt, amount, said } = notice.clone();
        let said = match said {
            Said::Payment(outcome) => WireSaid::Payment(outcome),
            Said::Capture { key, outcome } => WireSaid::Capture { key, outcome },
            Said::Refund { key, number, outcome } => {
                WireSaid::Refund { key, number, done: outcome == RefundOutcome::Done }
            }
            Said::TakenBack { id } => WireSaid::TakenBack { id },
        };
        let body = serde_json::to_vec(&Wire { order, attempt, amount, said, at: now }).unwrap_or_default();
        let tag = hmac::sign(&self.state().key, &body);
        let mut headers = HeaderMap::new();
        if let Ok(value) = HeaderValue::from_str(&base64url_encode(tag.as_ref())) {
            headers.insert(SIGNATURE, value);
        }
        (headers, body)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Decides about something new, and says what it says; `None` never comes.
    fn act(&self, known: Option<Deed>, amount: Money, keep: impl FnOnce(&mut State, Deed)) -> Option<Outcome> {
        let mut state = self.state();
        state.calls += 1;
        if let Some(deed) = known {
            return Some(deed.outcome);
        }
        let mood = state.moods.pop_front().unwrap_or(Mood::Does);
        let declined = || Outcome::Declined("fake_decline".into());
        let authorised = || Outcome::Authorised { until: None };
        let (does, says) = match mood {
            Mood::Does => (Outcome::Paid, Some(Outcome::Paid)),
            Mood::Authorises => (authorised(), Some(authorised())),
            Mood::Declines => (declined(), Some(declined())),
            Mood::Says(outcome) => (outcome.clone(), Some(outcome)),
            Mood::DoesAndForgets => (Outcome::Paid, Some(Outcome::Unknown)),
            Mood::ForgetsWithout => (declined(), Some(Outcome::Unknown)),
            Mood::DoesAndHangs => (Outcome::Paid, None),
            Mood::Hangs => (declined(), None),
        };
        keep(&mut state, Deed { amount, outcome: does });
        says
    }
}

impl Captured {
    const fn may_be(&self) -> bool {
        !matches!(self.outcome, ActOutcome::Declined(_))
    }
}

impl State {
    fn captured_minor(&self, order: &OrderId, attempt: u32, which: impl Fn(&Captured) -> bool) -> i64 {
        let own = self.captures.iter().filter(|((id, number, _), _)| id == order && *number == attempt);
        own.filter(|(_, capture)| which(capture)).map(|(_, capture)| capture.amount.minor()).sum()
    }
}

impl Rail for FakeRail {
    fn id(&self) -> &'static str {
        Self::ID
    }

    /// It says to be a card.
    fn means(&self) -> Means {
        Means::Card
    }

    fn patience_s(&self) -> u64 {
        3600
    }

    fn takes(&self, amount: Money) -> Result<(), CannotCollect> {
        if amount.is_zero() {
            return Err(CannotCollect { rail: Self::ID, amount, reason: "nothing to pay".to_owned() });
        }
        Ok(())
    }

    async fn pay(&self, payment: &PaymentRequest) -> Outcome {
        let key = (payment.order.clone(), payment.attempt);
        let known = self.state().payments.get(&key).cloned();
        let said = self.act(known, payment.amount, |state, deed| {
            state.payments.insert(key, deed);
        });
        or_silence(said).await
    }

    async fn inquire(&self, payment: &PaymentRequest) -> Outcome {
        let key = (payment.order.clone(), payment.attempt);
        let never = || Deed { amount: payment.amount, outcome: Outcome::Declined("never_arrived".into()) };
        // From now on it cannot arrive any more: whoever asked may rely on the answer.
        self.state().payments.entry(key).or_insert_with(never).outcome.clone()
    }

    async fn capture(&self, capture: &CaptureRequest) -> ActOutcome {
        let CaptureRequest { payment, key, amount } = capture;
        let name = (payment.order.clone(), payment.attempt, key.clone());
        let known = self.state().captures.get(&name).cloned();
        if let Some(known) = known {
            self.state().calls += 1;
            return known.outcome;
        }
        // What is not decided may still be taken.
        let refused = {
            let state = self.state();
            let held = state.payments.get(&(payment.order.clone(), payment.attempt)).map(|deed| &deed.outcome);
            let taken = state.captured_minor(&payment.order, payment.attempt, Captured::may_be);
            let fits = taken.saturating_add(amount.minor()) <= payment.amount.minor();
            !(matches!(held, Some(Outcome::Authorised { .. })) && fits)
        };
        if refused {
            let mut state = self.state();
            state.calls += 1;
            // Whatever its mood.
            state.moods.pop_front();
            let outcome = ActOutcome::Declined("not_authorised".into());
            state.captures.insert(name, Captured { amount: *amount, outcome: outcome.clone() });
            return outcome;
        }
        let said = self.act(None, *amount, |state, deed| {
            state.captures.insert(name, Captured { amount: *amount, outcome: of_act(deed.outcome) });
        });
        of_act(or_silence(said).await)
    }

    async fn inquire_capture(&self, capture: &CaptureRequest) -> ActOutcome {
        let name = (capture.payment.order.clone(), capture.payment.attempt, capture.key.clone());
        let never = || Captured { amount: capture.amount, outcome: ActOutcome::Declined("never_arrived".into()) };
        // From now on it cannot arrive any more: whoever asked may rely on the answer.
        self.state().captures.entry(name).or_insert_with(never).outcome.clone()
    }

    async fn void(&self, payment: &PaymentRequest) -> ActOutcome {
        let name = (payment.order.clone(), payment.attempt);
        let held = self.state().payments.get(&name).map(|deed| deed.outcome.clone());
        if !matches!(held, Some(Outcome::Authorised { .. })) {
            let mut state = self.state();
            state.calls += 1;
            state.moods.pop_front();
            // What is paid whole cannot be given up; what has ended is.
            let gone = held != Some(Outcome::Paid);
            return if gone { ActOutcome::Done } else { ActOutcome::Declined("paid".into()) };
        }
        let said = self.act(None, payment.amount, |state, deed| {
            if let (ActOutcome::Done, Some(payment)) = (of_act(deed.outcome), state.payments.get_mut(&name)) {
                payment.outcome = Outcome::Declined("voided".into());
            }
        });
        of_act(or_silence(said).await)
    }

    async fn refund(&self, refund: &RefundRequest) -> RefundOutcome {
        let key = (refund.order.clone(), refund.key.clone(), refund.number);
        let known = self.state().refunds.get(&key).cloned();
        let said = self.act(known, refund.amount, |state, deed| {
            state.refunds.insert(key, deed);
        });
        of_refund(or_silence(said).await)
    }

    async fn inquire_refund(&self, refund: &RefundRequest) -> RefundOutcome {
        let key = (refund.order.clone(), refund.key.clone(), refund.number);
        let never = || Deed { amount: refund.amount, outcome: Outcome::Declined("never_arrived".into()) };
        // From now on it cannot arrive any more: whoever asked may rely on the answer.
        of_refund(self.state().refunds.entry(key).or_insert_with(never).outcome.clone())
    }

    async fn notice(&self, request: &NoticeRequest<'_>) -> Result<Notice, NoticeError> {
        let signature = request.headers.get(SIGNATURE).and_then(|value| value.to_str().ok());
        let tag = signature.and_then(|text| base64url_decode(text).ok()).ok_or(NoticeError::NotAuthentic)?;
        hmac::verify(&self.state().key, request.body, &tag).map_err(|_| NoticeError::NotAuthentic)?;
        let wire: Wire = serde_json::from_slice(request.body).map_err(|_| NoticeError::Unreadable)?;
        if request.now.since_s(wire.at) > NOTICE_AGE_S {
            return Err(NoticeError::NotAuthentic);
        }
        let Wire { order, attempt, amount, said, .. } = wire;
        let said = match said {
            WireSaid::Payment(outcome) => Said::Payment(outcome),
            WireSaid::Capture { key, outcome } => Said::Capture { key, outcome },
            WireSaid::Refund { key, number, done } => {
                let outcome = if done { RefundOutcome::Done } else { RefundOutcome::Declined("no".into()) };
                Said::Refund { key, number, outcome }
            }
            WireSaid::TakenBack { id } => Said::TakenBack { id },
        };
        Ok(Notice { order, attempt, amount, said })
    }
}

/// What a mood that speaks of payments means for a capture or a void.
fn of_act(outcome: Outcome) -> ActOutcome {
    match outcome {
        Outcome::Paid | Outcome::Authorised { .. } => ActOutcome::Done,
        Outcome::Pending | Outcome::Continue(_) => ActOutcome::UnderWay,
        Outcome::Declined(code) => ActOutcome::Declined(code),
        Outcome::Unknown => ActOutcome::Unknown,
    }
}

/// What a mood that speaks of payments means for a refund.
fn of_refund(outcome: Outcome) -> RefundOutcome {
    match outcome {
        Outcome::Paid => RefundOutcome::Done,
        Outcome::Pending => RefundOutcome::ByHand,
        Outcome::Declined(code) => RefundOutcome::Declined(code),
        Outcome::Authorised { .. } | Outcome::Continue(_) => RefundOutcome::UnderWay,
        Outcome::Unknown => RefundOutcome::Unknown,
    }
}

async fn or_silence(said: Option<Outcome>) -> Outcome {
    match said {
        Some(outcome) => outcome,
        None => std::future::pending().await,
    }
}
