//! One history: who does what, who goes on, who dies and when time leaps is drawn from the seed; then everything comes to rest,
//! and is looked at.

use std::{
    panic::AssertUnwindSafe,
    task::{Context, Waker},
    time::Duration,
};

use firsthand::testing::TestShop;
use firsthand_tests::seeds::Counts;
use futures_util::FutureExt;
use tokio::task::{LocalSet, spawn_local};

use crate::{
    audit,
    disk::Flaw,
    nodes::Nodes,
    people::{Doing, THIEF, move_in},
    till,
    world::World,
};

/// The most that is under way at once.
const AT_ONCE: usize = 5;
/// How long a history may take to come to rest, in turns.
const TURNS_MAX: usize = 50_000;

/// How far the clock leaps, in seconds.
const LEAPS_S: [u64; 16] = [1, 1, 2, 5, 20, 20, 61, 61, 70, 130, 400, 1_000, 4_000, 90_000, 610_000, 1_300_000];

/// What is done, and how often of so many.
const DEEDS: [(&str, usize); 25] = [
    ("sign in", 8),
    ("ask", 3),
    ("answer", 4),
    ("come in", 6),
    ("redeem elsewhere", 3),
    ("look", 12),
    ("act", 12),
    ("me", 3),
    ("resume", 8),
    ("sign out", 6),
    ("revoke one", 4),
    ("revoke all", 3),
    ("forget device", 2),
    ("forget me", 2),
    ("write down a code", 7),
    ("recover", 7),
    ("old token", 6),
    ("old nonce", 3),
    ("begin a checkout", 3),
    ("buy", 14),
    ("pay", 7),
    ("keep house", 5),
    ("replay", 12),
    ("bend", 5),
    ("steal", 9),
];

/// What is done most often by somebody who is known, and by nobody else.
const BY_KNOWN: [&str; 13] = [
    "look",
    "act",
    "me",
    "sign out",
    "revoke one",
    "revoke all",
    "forget device",
    "forget me",
    "write down a code",
    "begin a checkout",
    "buy",
    "old token",
    "old nonce",
];

/// What a history came to.
pub struct Ended {
    pub wrong: Vec<String>,
    pub history: String,
    pub counts: Counts,
}

/// Everything that a seed leads to, in a shop whose store has this flaw, or none.
pub fn run(base: &TestShop, seed: u64, flaw: Option<Flaw>, tells: bool) -> Ended {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build();
    let runtime = runtime.expect("a runtime");
    let world = World::new(seed, 2 + usize::from(seed.is_multiple_of(3)), tells);
    LocalSet::new().block_on(&runtime, async {
        let nodes = Nodes::new(base, &world, flaw);
        let history = History { doing: Doing { world: world.clone(), nodes } };
        till::stock(&world).await;
        move_in(&world, &history.doing.nodes);
        history.trouble().await;
        history.rest().await;
    });
    let mut state = world.state();
    let (wrong, history) = (std::mem::take(&mut state.oracle.wrong), state.history());
    Ended { wrong, history, counts: std::mem::take(&mut state.counts) }
}

struct History {
    doing: Doing,
}

impl History {
    fn world(&self) -> &World {
        &self.doing.world
    }

    fn is_whole(&self) -> bool {
        self.world().state().oracle.wrong.is_empty()
    }

    /// Whoever was told to go on does so until they wait again: no time passes of itself before that.
    async fn settle(&self) {
        tokio::time::sleep(Duration::from_millis(1)).await;
        let dying = self.world().state().dying.take();
        if let Some(node) = dying {
            self.doing.nodes.kill(node);
        }
    }

    async fn leap(&self, secs: u64) {
        self.world().note(|| format!("{secs} s pass"));
        self.world().state().clock.advance_s(secs);
        tokio::time::advance(Duration::from_secs(secs)).await;
    }

    /// Somebody begins to do something.
    fn start(&self, what: &'static str) {
        self.world().note(|| format!("somebody begins to {what}"));
        self.world().count(&format!("deed: {what}"));
        self.world().state().under_way += 1;
        let doing = self.doing.clone();
        spawn_local(async move {
            let world = doing.world.clone();
            if AssertUnwindSafe(doing.does(what)).catch_unwind().await.is_err() {
                world.state().oracle.broken(format!("whoever wants to {what} finds something that cannot be"));
            }
            world.state().under_way -= 1;
        });
    }

    async fn trouble(&self) {
        let deeds: Vec<&'static str> = DEEDS.iter().flat_map(|(deed, often)| vec![*deed; *often]).collect();
        let (mut left, mut idle) = (14 + self.world().below(22), 0);
        for _ in 0..TURNS_MAX {
            let (under_way, what) = {
                let mut state = self.world().state();
                (state.under_way, state.numbers.below(1000))
            };
            if !self.is_whole() || left == 0 && under_way == 0 {
                return;
            }
            match what {
                0..3 => {
                    let nodes = self.world().state().lives.len();
                    let node = self.world().below(nodes);
                    self.world().count("node: ends");
                    self.doing.nodes.kill(node);
                }
                3..14 => {
                    let secs = self.world().below(LEAPS_S.len());
                    self.leap(LEAPS_S[secs]).await;
                }
                14..150 if left > 0 && under_way < AT_ONCE => {
                    left -= 1;
                    let what = self.world().state().numbers.of(&deeds).expect("deeds");
                    self.start(what);
                }
                _ if self.world().let_one_go_on() => {}
                _ if left > 0 => {
                    left -= 1;
                    let what = self.world().state().numbers.of(&deeds).expect("deeds");
                    self.start(what);
                }
                // Whoever waits, waits for the time: a moment for others, or until somebody's patience ends.
                _ if idle < 50 => idle += 1,
                _ => {
                    idle = 0;
                    self.leap(20).await;
                }
            }
            self.settle().await;
        }
        self.world().state().oracle.broken("somebody never comes to an end");
    }

    /// Nothing goes wrong any more.
    async fn rest(&self) {
        self.world().state().trouble = false;
        self.world().note(|| "from here on nothing goes wrong".to_owned());
        if !self.is_whole() {
            return;
        }
        self.alone(audit::of_sessions(&self.doing)).await;
        // Whoever starts anew knows no more than the store.
        let nodes = self.world().state().lives.len();
        self.doing.nodes.kill(self.world().below(nodes));
        self.alone(audit::of_sessions(&self.doing)).await;
        for secs in [61, 400, 4_000, 90_000, 200_000] {
            self.leap(secs).await;
            self.alone(self.doing.nodes.keep_house(0)).await;
        }
        self.alone(audit::of_sales(&self.doing)).await;
        self.leap(40 * 24 * 3600).await;
        self.alone(audit::of_remains(&self.doing)).await;
    }

    /// One thing, and nothing beside it.
    async fn alone(&self, deed: impl Future<Output = ()>) {
        let (mut deed, mut idle) = (Box::pin(deed), 0);
        for _ in 0..TURNS_MAX {
            if deed.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_ready() {
                return;
            }
            // Whoever does not wait for a turn is at work, or waits for the time.
            idle = if self.world().let_one_go_on() { 0 } else { idle + 1 };
            if idle > 50 {
                self.leap(1).await;
            }
            self.settle().await;
        }
        self.world().state().oracle.broken("it never comes to rest");
    }
}

impl Doing {
    async fn does(&self, what: &'static str) {
        let of_known = BY_KNOWN.contains(&what) && self.world.chance(930);
        let (device, what) = match of_known.then(|| self.known_device()) {
            // Whoever is nobody yet comes in first.
            Some(None) => (self.any_device(), "sign in"),
            Some(Some(known)) => (known, what),
            None => (self.any_device(), what),
        };
        match what {
            "sign in" => self.sign_in(device).await,
            "ask" => {
                self.ask(device, self.world.chance(700)).await;
            }
            "answer" => {
                if let Some(number) = self.any_question() {
                    // Most people show their own wallet.
                    let own = self.person(self.question(number).device);
                    let person = if self.world.chance(850) { own } else { THIEF };
                    self.answer(number, person).await;
                }
            }
            "come in" => {
                if let Some(number) = self.any_question() {
                    self.come_in(number).await;
                }
            }
            "redeem elsewhere" => {
                if let Some(number) = self.any_question() {
                    let question = self.question(number);
                    self.redeem(device, &question.asking.id, question.code.as_deref()).await;
                }
            }
            "look" => {
                self.look(device).await;
            }
            "act" => self.act(device).await,
            "me" => self.me(device).await,
            "resume" => self.resume(self.device_of_before().unwrap_or(device)).await,
            "sign out" => self.sign_out(device).await,
            "revoke one" => {
                self.revoke_one(device).await;
            }
            "revoke all" => self.revoke_all(device).await,
            "forget device" => self.forget_device(device).await,
            "forget me" => self.forget_me(device).await,
            "write down a code" => {
                self.write_down_code(device).await;
            }
            "recover" => {
                self.recover().await;
            }
            "old token" => self.old_token(device).await,
            "old nonce" => {
                self.old_nonce(device).await;
            }
            "begin a checkout" => {
                self.begin_checkout(device).await;
            }
            "buy" => self.buy(device).await,
            "pay" => {
                self.pay().await;
            }
            "keep house" => {
                let nodes = self.world.state().lives.len();
                self.nodes.keep_house(self.world.below(nodes)).await;
            }
            "replay" => {
                self.replay().await;
            }
            "bend" => {
                self.bend().await;
            }
            _ => match self.world.below(3) {
                0 => {
                    self.carry_token().await;
                }
                1 => {
                    self.take_answer().await;
                }
                _ => {
                    self.present_again().await;
                }
            },
        }
    }

    fn any_question(&self) -> Option<usize> {
        let all = self.world.state().folk.questions.len();
        (all > 0).then(|| self.world.below(all))
    }
}
