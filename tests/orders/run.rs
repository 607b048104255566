//! One run: who goes on is drawn from the seed, what is at work dies at any moment, and at the end everything comes to
//! rest and is counted.

use std::{
    collections::{BTreeMap, HashSet},
    future::Future,
    panic::{AssertUnwindSafe, catch_unwind},
    pin::Pin,
    task::{Context, Poll, Waker},
    time::Duration,
};

use firsthand::{
    rail::Sepa,
    store::{Memory, Record, Store, Write},
    testing::TestShop,
};
use firsthand_axum::testing::known;

use crate::{
    actors::{DEEDS, Doing, Node, People},
    buyers, oracle, shop,
    stage::{Actor, Far, Stage},
};

/// The most that is under way at once.
const AT_ONCE: usize = 6;

/// What people do in a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// They place orders, and pay them.
    Orders,
    /// They fill checkouts and complete them, of a shelf with too little on it.
    Checkouts,
}

/// Two processes of a shop and the stage that they stand on: made once, for many runs.
pub struct Theatre {
    pub stage: Stage,
    nodes: Vec<Node>,
    /// The customers as they are after they signed in: what a run begins with.
    customers: Vec<Write>,
}

struct Busy {
    actor: Actor,
    node: usize,
    /// How often it is passed over before it goes on.
    still: u32,
    future: Pin<Box<dyn Future<Output = ()>>>,
}

impl Theatre {
    pub async fn new() -> Self {
        let stage = Stage::new();
        let sepa = || Sepa::new("Tea Shop", "DE89370400440532013000").unwrap();
        let (a, b, c) = (stage.clone(), stage.clone(), Far(stage.clone()));
        let shop =
            TestShop::with(|builder| builder.store(a).env(b).rail(c).rail(sepa()).trade(shop::trade(&stage)).feed());
        let (a, b, c) = (stage.clone(), stage.clone(), Far(stage.clone()));
        let other =
            shop.again(|builder| builder.store(a).env(b).rail(c).rail(sepa()).trade(shop::trade(&stage)).feed());
        let mut nodes = Vec::new();
        for (number, shop) in [shop, other].into_iter().enumerate() {
            let mut customers = Vec::new();
            for _ in 0..2 {
                let signed_in = async { (*known(&shop, "adult").await).clone() };
                customers.push(signed_in.await);
            }
            nodes.push(Node { number, merchant: shop.merchant().clone(), customers });
        }
        let customers = stage
            .world()
            .oracle
            .all_of("customer")
            .map(|(key, body)| {
                let record = Record { schema: 1, body: body.clone(), expires_at: None };
                Write::put(key.clone(), record, firsthand::store::Expect::Any)
            })
            .collect();
        Self { stage, nodes, customers }
    }

    /// Everything that a seed leads to.
    ///
    /// # Errors
    /// What was not as it must be, with the trace if there is one.
    pub async fn run(&self, kind: Kind, seed: u64, trace: bool) -> Result<(), String> {
        let memory = Memory::new();
        memory.commit(&self.customers, firsthand::time::UnixTime::from_secs(0)).await.unwrap();
        let shelf = if seed.is_multiple_of(2) { memory.clone() } else { Memory::new() };
        self.stage.begin(seed, memory, shelf, trace);
        if kind == Kind::Checkouts {
            shop::stock(&self.stage).await;
        }
        self.stage.world().trouble = true;
        let mut run = Run { theatre: self, kind, people: People::default(), busy: Vec::new(), actors: 0, steps: 0 };
        run.trouble().await;
        if run.is_whole() {
            run.peace().await;
        }
        drop(run);
        let mut world = self.stage.world();
        let happened = std::mem::take(&mut world.oracle.happened);
        happened.iter().for_each(|what| world.count(what));
        if world.oracle.broken.is_empty() {
            return Ok(());
        }
        let trace = world.trace.take().unwrap_or_default().join("\n");
        Err(format!("{trace}\n{}", world.oracle.broken.join("\n")))
    }
}

struct Run<'a> {
    theatre: &'a Theatre,
    kind: Kind,
    people: People,
    busy: Vec<Busy>,
    actors: u64,
    steps: u64,
}

impl Run<'_> {
    fn is_whole(&self) -> bool {
        self.theatre.stage.world().oracle.broken.is_empty()
    }

    fn doing(&self, node: usize) -> Doing {
        Doing { stage: self.theatre.stage.clone(), people: self.people.clone(), node: self.theatre.nodes[node].clone() }
    }

    fn start(&mut self, does: &'static str, node: usize, future: impl Future<Output = ()> + 'static) {
        self.actors += 1;
        let actor = Actor { number: self.actors, does };
        self.busy.push(Busy { actor, node, still: 0, future: Box::pin(future) });
    }

    /// Lets one go on, and a little time pass now and then: whoever changes the shelf waits some milliseconds for others.
    async fn go_on_in_time(&mut self, which: usize) {
        self.go_on(which);
        self.steps += 1;
        if self.kind == Kind::Checkouts && self.steps.is_multiple_of(8) {
            tokio::time::advance(Duration::from_millis(1)).await;
        }
    }

    /// Lets one go on until it meets the store, the rail or the inventory.
    fn go_on(&mut self, which: usize) {
        let busy = &mut self.busy[which];
        if let Some(less) = busy.still.checked_sub(1) {
            busy.still = less;
            return;
        }
        self.theatre.stage.world().actor = busy.actor;
        let mut context = Context::from_waker(Waker::noop());
        let polled = catch_unwind(AssertUnwindSafe(|| busy.future.as_mut().poll(&mut context)));
        match polled {
            Ok(Poll::Pending) => {}
            Ok(Poll::Ready(())) => {
                let done = self.busy.swap_remove(which);
                self.theatre.stage.world().oracle.paying.remove(&done.actor);
            }
            Err(_) => {
                drop(self.busy.swap_remove(which));
                self.theatre.stage.world().oracle.broken("it panics");
            }
        }
    }

    async fn advance(&mut self, secs: u64) {
        if secs >= 30_000 {
            // No request lives for that long; a process that is told to pay, or to give back, may be stopped for as long.
            self.busy.retain(|busy| !matches!(busy.actor.does, "place" | "begin" | "change"));
        }
        {
            let mut world = self.theatre.stage.world();
            world.now = world.now.plus_s(secs);
            world.actor = Actor { number: 0, does: "time" };
            world.note(|| format!("{secs} s pass"));
        }
        tokio::time::advance(Duration::from_secs(secs)).await;
    }

    /// A process dies: what it was doing is never finished, and nobody is told.
    fn crash(&mut self, node: usize) {
        let mut world = self.theatre.stage.world();
        world.actor = Actor { number: 0, does: "crash" };
        world.note(|| format!("node {node} dies"));
        let world = &mut *world;
        for busy in self.busy.iter().filter(|busy| busy.node == node) {
            let what = world.oracle.paying.remove(&busy.actor);
            world.count(match what {
                Some("begun") => "crash: between the attempt and the rail",
                Some("capture begun") => "crash: between the capture and the rail",
                Some("capture called") => "crash: between the rail's capture and its answer",
                Some("agreed") => "crash: between agreeing and holding",
                Some("held") => "crash: between holding and the order",
                Some("answered") => "crash: between the rail's answer and the inventory",
                Some("telling" | "told") => "crash: while the inventory is told",
                Some(_) => "crash: between the rail and its answer",
                None => "crash: elsewhere",
            });
        }
        self.busy.retain(|busy| busy.node != node);
    }

    async fn trouble(&mut self) {
        let deeds = match self.kind {
            Kind::Orders => DEEDS.as_slice(),
            Kind::Checkouts => buyers::DEEDS.as_slice(),
        };
        let deeds: Vec<&'static str> = deeds.iter().flat_map(|(deed, often)| vec![*deed; *often]).collect();
        let mut left = {
            let mut world = self.theatre.stage.world();
            15 + world.numbers.below(60)
        };
        while (left > 0 || !self.busy.is_empty()) && self.is_whole() {
            let (what, which, deed, node) = {
                let numbers = &mut self.theatre.stage.world().numbers;
                (numbers.below(1000), numbers.below(self.busy.len()), numbers.of(&deeds).unwrap(), numbers.below(2))
            };
            // Of a thousand moments: where somebody dies, and where time leaps.
            let (dies, leaps) = match self.kind {
                Kind::Orders => (4, 18),
                Kind::Checkouts => (2, 6),
            };
            match what {
                _ if what < dies => self.crash(node),
                _ if what < leaps => {
                    let secs = {
                        let numbers = &mut self.theatre.stage.world().numbers;
                        let leap = numbers.below(100);
                        match leap {
                            // Longer than stock is held.
                            60..80 if self.kind == Kind::Checkouts => 1_000,
                            80..92 if self.kind == Kind::Checkouts => 3_700,
                            // Nobody waits that long for a checkout.
                            _ if leap >= 92 && self.kind == Kind::Checkouts && numbers.chance(700) => 31,
                            0..15 => 1,
                            15..30 => 20,
                            30..50 => 31,
                            50..75 => 61,
                            75..87 => 400,
                            87..93 => 3_700,
                            93..96 => 30_000,
                            96..98 => 90_000,
                            _ => 1_900_000,
                        }
                    };
                    self.advance(secs).await;
                }
                // Somebody stands still in the middle of a payment, and housekeeping is done meanwhile.
                18..30 if !self.busy.is_empty() && (self.kind == Kind::Orders || what < 24) => {
                    let stands = &mut self.busy[which];
                    if matches!(stands.actor.does, "pay" | "capture" | "give back" | "complete") {
                        stands.still = 8;
                        self.advance(61).await;
                        let is_sale = self.busy[which].actor.does == "complete";
                        let doing = self.doing(node);
                        let housekeeping = if is_sale { "tend" } else { "due" };
                        self.start(housekeeping, node, doing.go(housekeeping));
                    }
                }
                30..400 if left > 0 && self.busy.len() < AT_ONCE => {
                    left -= 1;
                    let doing = self.doing(node);
                    self.start(deed, node, doing.go(deed));
                }
                _ if !self.busy.is_empty() => self.go_on_in_time(which).await,
                _ => {}
            }
        }
    }

    /// One thing, undisturbed.
    async fn alone(&mut self, does: &'static str, future: impl Future<Output = ()> + 'static) {
        self.start(does, 0, future);
        for _ in 0..20_000 {
            if self.busy.is_empty() {
                return;
            }
            self.go_on_in_time(0).await;
        }
        self.theatre.stage.world().oracle.broken(format!("{does} never ends"));
        self.busy.clear();
    }

    /// Nothing goes wrong any more, until nothing is left to do.
    async fn peace(&mut self) {
        self.theatre.stage.world().trouble = false;
        self.theatre.stage.note(|| "peace".to_owned());
        self.theatre.stage.world().decide_refunds();
        self.theatre.stage.world().decide_captures();
        let doing = self.doing(0);
        self.alone("last words", doing.last_words()).await;
        for round in 0.. {
            let doing = self.doing(0);
            self.alone("settle", doing.settle()).await;
            let doing = self.doing(0);
            self.alone("quiet", doing.quietly(self.kind)).await;
            let (is_empty, broken) = {
                let world = self.theatre.stage.world();
                let left = oracle::QUEUES.iter().any(|kind| world.oracle.all_of(kind).next().is_some());
                (!left, !world.oracle.broken.is_empty())
            };
            if is_empty || broken || round > 60 {
                break;
            }
            self.advance(if round < 20 { 3_601 } else { 100_000 }).await;
        }
        if self.kind == Kind::Checkouts {
            let doing = self.doing(1);
            self.alone("audit", doing.audit()).await;
        }
        let mut world = self.theatre.stage.world();
        world.actor = Actor { number: 0, does: "end" };
        let world = &mut *world;
        let attempts: BTreeMap<_, _> = world
            .oracle
            .orders
            .values()
            .flat_map(|(order, _)| {
                order
                    .attempts
                    .iter()
                    .filter(|a| a.rail == "fake")
                    .map(|a| ((order.id.clone(), a.number), ()))
                    .collect::<Vec<_>>()
            })
            .map(|(name, ())| {
                let taken = (world.rail.taken_by_minor(&name.0, name.1), world.rail.held_minor(&name.0, name.1));
                (name, taken)
            })
            .collect();
        let returned: Vec<_> =
            world.oracle.placed.iter().map(|id| (id.clone(), world.rail.refunded_minor(id))).collect();
        world.oracle.at_the_end(
            |order, attempt| attempts.get(&(order.clone(), attempt)).copied().unwrap_or_default(),
            &world.lied,
        );
        // What went back by hand, and what the rail sent, is all that went back.
        for (id, by_rail) in returned {
            let Some((_, told)) = world.oracle.orders.get(&id) else { continue };
            let hands: HashSet<&String> =
                world.oracle.by_hand.iter().filter(|(order, _)| *order == id).map(|(_, key)| key).collect();
            let by_hand: i64 =
                told.giving.iter().filter(|(key, _)| hands.contains(key)).map(|(_, (minor, _))| minor).sum();
            if by_hand + by_rail + told.taken_back != told.refunded {
                let wrong = format!("{id} gave back {}: {by_hand} by hand, {by_rail} by the rail", told.refunded);
                world.oracle.broken(wrong);
            }
        }
    }
}
