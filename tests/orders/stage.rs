//! The world that a run happens in, all of it drawn from one seed: the time, randomness, a store that lets others go first
//! around every call and now and then loses an answer, and a rail of every mood.

use std::{
    collections::{BTreeMap, BTreeSet},
    future::Future,
    pin::Pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::{Context, Poll},
};

use firsthand::{
    env::Env,
    money::{Currency, Money},
    order::OrderId,
    rail::{
        ActOutcome, CannotCollect, CaptureRequest, Notice, NoticeError, NoticeRequest, Outcome, PaymentRequest, Rail,
        RefundOutcome, RefundRequest,
    },
    store::{Key, Memory, Prefix, Store, StoreError, Stored, Version, Write},
    testing::{FakeRail, Mood},
    time::UnixTime,
};
use firsthand_tests::seeds::Numbers;
use serde_json::Value;
use url::Url;

use crate::{oracle::Oracle, shop::ITEMS};

/// When every run begins: the day of a [`firsthand::testing::TestShop`].
pub const BEGIN: i64 = 1_795_348_800;

/// Who is at work: a browser, the merchant, a notice, housekeeping.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Actor {
    pub number: u64,
    pub does: &'static str,
}

/// The state of the world, behind one lock.
#[derive(Debug)]
pub struct World {
    pub numbers: Numbers,
    randomness: Numbers,
    pub now: UnixTime,
    pub memory: Memory,
    /// Where the shelf is counted: in the shop's own store, or in another.
    pub shelf: Memory,
    /// What things cost, in the order of the catalogue.
    pub prices: Vec<i64>,
    pub rail: FakeRail,
    /// Whether commits are lost and moods are bad.
    pub trouble: bool,
    pub actor: Actor,
    pub oracle: Oracle,
    /// What the rail was asked to collect, in order.
    pub asked: Vec<PaymentRequest>,
    /// Payments of which a message that carries the rail's signature said something against the truth.
    pub lied: BTreeSet<(OrderId, u32)>,
    /// Captures that the shop never asked for: made at the rail's own desk.
    pub at_the_desk: BTreeSet<(OrderId, u32, String)>,
    /// How often what happened, over all runs.
    pub counts: BTreeMap<String, u64>,
    pub trace: Option<Vec<String>>,
}

/// The world, shared by everybody in it. It outlasts runs, so that the shop in it is made once.
#[derive(Clone, Debug)]
pub struct Stage(Arc<Mutex<World>>);

impl Stage {
    pub fn new() -> Self {
        Self(Arc::new(Mutex::new(World {
            numbers: Numbers::new(0),
            randomness: Numbers::new(0),
            now: UnixTime::from_secs(BEGIN),
            memory: Memory::new(),
            shelf: Memory::new(),
            prices: Vec::new(),
            rail: FakeRail::new(),
            trouble: false,
            actor: Actor { number: 0, does: "nobody" },
            oracle: Oracle::default(),
            asked: Vec::new(),
            lied: BTreeSet::new(),
            at_the_desk: BTreeSet::new(),
            counts: BTreeMap::new(),
            trace: None,
        })))
    }

    pub fn world(&self) -> MutexGuard<'_, World> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A new run: nothing is left of the one before but the customers, who signed in once.
    pub fn begin(&self, seed: u64, memory: Memory, shelf: Memory, trace: bool) {
        let mut world = self.world();
        world.numbers = Numbers::new(seed);
        world.randomness = Numbers::new(!seed);
        world.now = UnixTime::from_secs(BEGIN);
        world.memory = memory;
        world.shelf = shelf;
        world.prices = ITEMS.iter().map(|(_, minor, _)| *minor).collect();
        world.rail = FakeRail::new();
        world.trouble = false;
        world.oracle = Oracle::default();
        world.asked.clear();
        world.lied.clear();
        world.at_the_desk.clear();
        world.trace = trace.then(Vec::new);
    }

    pub fn count(&self, what: &str) {
        self.world().count(what);
    }

    pub fn note(&self, text: impl FnOnce() -> String) {
        self.world().note(text);
    }
}

impl World {
    pub fn count(&mut self, what: &str) {
        match self.counts.get_mut(what) {
            Some(count) => *count += 1,
            None => drop(self.counts.insert(what.to_owned(), 1)),
        }
    }

    pub fn note(&mut self, text: impl FnOnce() -> String) {
        let (now, actor) = (self.now, self.actor);
        if let Some(trace) = &mut self.trace {
            trace.push(format!("{:>8} {:>3} {:<12} {}", now.as_secs() - BEGIN, actor.number, actor.does, text()));
        }
    }

    /// What the rail knows of a payment.
    pub fn truth(&self, order: &OrderId, attempt: u32) -> Option<Outcome> {
        let (_, body) = self.rail.notice_of(order, attempt, self.now)?;
        let body: Value = serde_json::from_slice(&body).ok()?;
        serde_json::from_value(body["said"]["payment"].clone()).ok()
    }
}

impl Env for Stage {
    fn now(&self) -> UnixTime {
        self.world().now
    }

    fn fill(&self, bytes: &mut [u8]) {
        let mut world = self.world();
        for chunk in bytes.chunks_mut(8) {
            let random = world.randomness.next().to_be_bytes();
            for (to, from) in chunk.iter_mut().zip(random) {
                *to = from;
            }
        }
    }
}

/// Lets whoever polls choose who goes on.
pub fn let_others_go_first() -> impl Future<Output = ()> + Send {
    struct Once(bool);
    impl Future for Once {
        type Output = ();

        fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
            if std::mem::replace(&mut self.0, true) {
                return Poll::Ready(());
            }
            context.waker().wake_by_ref();
            Poll::Pending
        }
    }
    Once(false)
}

impl Stage {
    fn memory(&self) -> Memory {
        self.world().memory.clone()
    }

    /// One call in 250 finds no store.
    fn is_down(&self) -> Result<(), StoreError> {
        let mut world = self.world();
        if world.trouble && world.numbers.chance(4) {
            world.count("store: unavailable");
            world.note(|| "the store does not answer".to_owned());
            return Err(StoreError::Unavailable("down on purpose".into()));
        }
        Ok(())
    }

    async fn apply(
        &self,
        memory: &Memory,
        writes: &[Write],
        now: UnixTime,
    ) -> Result<Vec<Option<Version>>, StoreError> {
        let answer = memory.commit(writes, now).await;
        let mut world = self.world();
        let world = &mut *world;
        match &answer {
            Ok(_) => {
                world.note(|| crate::oracle::told(writes));
                world.oracle.committed(world.actor, writes, now);
            }
            Err(StoreError::Conflict(key)) => {
                world.count("store: conflict");
                world.note(|| format!("conflict at {key:?}"));
            }
            Err(error) => world.oracle.broken(format!("the store refuses a commit: {error}")),
        }
        answer
    }

    pub async fn load_in(
        &self,
        memory: &Memory,
        keys: &[Key],
        now: UnixTime,
    ) -> Result<Vec<Option<Stored>>, StoreError> {
        let_others_go_first().await;
        self.is_down()?;
        let answer = memory.load(keys, now).await;
        let_others_go_first().await;
        answer
    }

    pub async fn commit_in(
        &self,
        memory: &Memory,
        writes: &[Write],
        now: UnixTime,
    ) -> Result<Vec<Option<Version>>, StoreError> {
        let_others_go_first().await;
        self.is_down()?;
        // As the contract of a store says: what is under way for longer is cut off.
        if self.world().now.since_s(now) > 120 {
            self.count("store: a commit cut off");
            return Err(StoreError::Unavailable("under way for too long".into()));
        }
        let fault = {
            let mut world = self.world();
            if world.trouble && world.numbers.chance(20) { Some(world.numbers.chance(500)) } else { None }
        };
        let answer = match fault {
            None => self.apply(memory, writes, now).await,
            Some(done) => {
                self.note(|| format!("an answer is lost, and the commit {}", if done { "not" } else { "too" }));
                self.count(if done { "store: ambiguous, done" } else { "store: ambiguous, lost" });
                if done {
                    drop(self.apply(memory, writes, now).await);
                }
                Err(StoreError::Unknown("lost on purpose".into()))
            }
        };
        let_others_go_first().await;
        answer
    }

    pub async fn scan_in(
        &self,
        memory: &Memory,
        prefix: &Prefix,
        after: Option<&str>,
        limit: usize,
        now: UnixTime,
    ) -> Result<Vec<(Key, Stored)>, StoreError> {
        // The queues are scanned shard by shard: one place to stop is enough for an empty one.
        self.is_down()?;
        let answer = memory.scan(prefix, after, limit, now).await;
        if answer.as_ref().is_ok_and(|found| !found.is_empty()) {
            let_others_go_first().await;
        }
        answer
    }
}

impl Store for Stage {
    async fn load(&self, keys: &[Key], now: UnixTime) -> Result<Vec<Option<Stored>>, StoreError> {
        self.load_in(&self.memory(), keys, now).await
    }

    async fn commit(&self, writes: &[Write], now: UnixTime) -> Result<Vec<Option<Version>>, StoreError> {
        self.commit_in(&self.memory(), writes, now).await
    }

    async fn scan(
        &self,
        prefix: &Prefix,
        after: Option<&str>,
        limit: usize,
        now: UnixTime,
    ) -> Result<Vec<(Key, Stored)>, StoreError> {
        self.scan_in(&self.memory(), prefix, after, limit, now).await
    }

    async fn sweep(&self, now: UnixTime, limit: usize) -> Result<usize, StoreError> {
        self.memory().sweep(now, limit).await
    }
}

/// The rail of the shop: a fake one whose moods are drawn, and which is far away.
#[derive(Clone, Debug)]
pub struct Far(pub Stage);

impl Far {
    fn rail(&self) -> FakeRail {
        self.0.world().rail.clone()
    }

    /// The mood for something new.
    fn mood(&self) {
        let mut world = self.0.world();
        let mood = if world.trouble {
            let says = |outcome: Outcome| Mood::Says(outcome);
            let until = world.numbers.chance(500).then(|| world.now.plus_s(50 + world.numbers.next() % 7_000));
            match world.numbers.below(100) {
                0..22 => Mood::Does,
                22..31 => Mood::Declines,
                31..36 => says(Outcome::Pending),
                36..41 => says(Outcome::Continue(Url::parse("https://rail.example/go/on").unwrap())),
                41..54 => Mood::Authorises,
                54..69 => says(Outcome::Authorised { until }),
                69..74 => says(Outcome::Unknown),
                74..82 => Mood::DoesAndForgets,
                82..88 => Mood::ForgetsWithout,
                88..94 => Mood::DoesAndHangs,
                _ => Mood::Hangs,
            }
        } else {
            Mood::Does
        };
        world.note(|| format!("the rail's mood: {mood:?}"));
        world.count(match mood {
            Mood::Does => "rail: does",
            Mood::Authorises => "rail: authorises",
            Mood::Declines => "rail: declines",
            Mood::Says(_) => "rail: leaves it open",
            Mood::DoesAndForgets => "rail: does and forgets",
            Mood::ForgetsWithout => "rail: forgets without",
            Mood::DoesAndHangs => "rail: does and hangs",
            _ => "rail: hangs",
        });
        world.rail.next(mood);
    }
}

impl Rail for Far {
    fn id(&self) -> &'static str {
        FakeRail::ID
    }

    fn patience_s(&self) -> u64 {
        self.rail().patience_s()
    }

    fn takes(&self, amount: Money) -> Result<(), CannotCollect> {
        self.rail().takes(amount)
    }

    async fn pay(&self, payment: &PaymentRequest) -> Outcome {
        let_others_go_first().await;
        let known = {
            let mut world = self.0.world();
            let world = &mut *world;
            world.oracle.rail_called(world.actor, payment);
            world.asked.push(payment.clone());
            world.truth(&payment.order, payment.attempt).is_some()
        };
        if known {
            self.0.count("rail: told too late");
        } else {
            self.mood();
        }
        self.0.note(|| format!("the rail is told to collect {payment:?}"));
        let outcome = self.rail().pay(payment).await;
        let_others_go_first().await;
        outcome
    }

    async fn inquire(&self, payment: &PaymentRequest) -> Outcome {
        let_others_go_first().await;
        let outcome = self.rail().inquire(payment).await;
        self.0.note(|| format!("the rail is asked about attempt {}: {outcome:?}", payment.attempt));
        let_others_go_first().await;
        outcome
    }

    async fn capture(&self, capture: &CaptureRequest) -> ActOutcome {
        let_others_go_first().await;
        let is_known = {
            let mut world = self.0.world();
            let actor = world.actor;
            world.oracle.capture_called(actor, capture)
        };
        if is_known {
            self.0.count("rail: told too late to capture");
        } else {
            self.mood();
        }
        self.0.note(|| format!("the rail is told to capture {capture:?}"));
        let outcome = self.rail().capture(capture).await;
        let_others_go_first().await;
        outcome
    }

    async fn inquire_capture(&self, capture: &CaptureRequest) -> ActOutcome {
        let_others_go_first().await;
        self.0.world().oracle.capture_asked_about(capture);
        let outcome = self.rail().inquire_capture(capture).await;
        self.0.note(|| format!("the rail is asked about the capture {}: {outcome:?}", capture.key));
        let_others_go_first().await;
        outcome
    }

    async fn void(&self, payment: &PaymentRequest) -> ActOutcome {
        let_others_go_first().await;
        self.0.world().oracle.void_called(payment);
        self.mood();
        self.0.note(|| format!("the rail is told to give up attempt {} of {}", payment.attempt, payment.order));
        let outcome = self.rail().void(payment).await;
        let_others_go_first().await;
        outcome
    }

    async fn refund(&self, refund: &RefundRequest) -> RefundOutcome {
        let_others_go_first().await;
        let is_known = self.0.world().oracle.refund_called(refund);
        if is_known {
            self.0.count("rail: told too late to give back");
        } else {
            self.mood();
        }
        self.0.note(|| format!("the rail is told to give back {refund:?}"));
        let outcome = self.rail().refund(refund).await;
        let_others_go_first().await;
        outcome
    }

    async fn inquire_refund(&self, refund: &RefundRequest) -> RefundOutcome {
        let_others_go_first().await;
        self.0.world().oracle.refund_asked_about(refund);
        let outcome = self.rail().inquire_refund(refund).await;
        self.0.note(|| format!("the rail is asked about {}: {outcome:?}", refund.key));
        let_others_go_first().await;
        outcome
    }

    async fn notice(&self, request: &NoticeRequest<'_>) -> Result<Notice, NoticeError> {
        self.rail().notice(request).await
    }
}

impl World {
    /// The rail makes up its mind about what it left open; what is decided stays so.
    pub fn decide(&mut self, order: &OrderId, attempt: u32, paid: bool) {
        let decided = matches!(self.truth(order, attempt), None | Some(Outcome::Paid | Outcome::Declined(_)));
        if !decided {
            let outcome = if paid { Outcome::Paid } else { Outcome::Declined("no".into()) };
            self.note(|| format!("the rail decides: attempt {attempt} of {order} is {outcome:?}"));
            self.count(if paid { "rail: paid late" } else { "rail: declined late" });
            self.rail.decide(order, attempt, outcome);
        }
    }

    /// The rail ends an authorisation, or collects all of it by itself.
    pub fn end_authorisation(&mut self, order: &OrderId, attempt: u32) {
        if matches!(self.truth(order, attempt), Some(Outcome::Authorised { .. })) {
            self.count("rail: an authorisation ended");
            self.rail.decide(order, attempt, Outcome::Declined("ended".into()));
        }
    }

    /// The rail captures something that nobody told it to.
    pub fn capture_at_the_desk(&mut self, order: &OrderId, attempt: u32, currency: Currency) -> Option<String> {
        let held = usize::try_from(self.rail.held_minor(order, attempt)).unwrap_or_default();
        if held == 0 {
            return None;
        }
        let minor = 1 + self.numbers.below(held);
        let key = format!("desk-{}", self.at_the_desk.len());
        let amount = Money::new(i64::try_from(minor).unwrap(), currency).unwrap();
        self.note(|| format!("the rail's desk captures {amount} of attempt {attempt} of {order}"));
        self.rail.capture_itself(order, attempt, &key, amount);
        self.at_the_desk.insert((order.clone(), attempt, key.clone()));
        self.count("rail: captures at its own desk");
        Some(key)
    }

    /// What was left open of captures is decided.
    pub fn decide_captures(&mut self) {
        for (order, attempt, key) in self.oracle.told_to_capture.clone() {
            let outcome = if self.numbers.chance(500) { ActOutcome::Done } else { ActOutcome::Declined("no".into()) };
            self.rail.decide_capture(&order, attempt, &key, outcome);
        }
    }

    pub fn decide_refunds(&mut self) {
        for (order, key, number) in self.oracle.told_to_refund.clone() {
            let outcome = if self.numbers.chance(500) { Outcome::Paid } else { Outcome::Declined("no".into()) };
            self.rail.decide_refund(&order, &key, number, outcome);
        }
    }
}
