//! What everybody in a history shares: the seed's numbers, the time, the records, and whose turn it is.

use std::{
    future::pending,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use firsthand::{env::Env, store::Memory, testing::Clock, time::UnixTime};
use firsthand_tests::seeds::{Counts, Numbers};
use tokio::{sync::oneshot, task_local};

use crate::{oracle::Oracle, people::Folk};

/// When every history begins: the day of a `TestShop`.
pub const BEGIN: UnixTime = UnixTime::from_secs(1_795_348_800);

task_local! {
    /// The request that is being served: what happens to it is put down to it.
    pub static REQUEST: u64;
}

/// A node from one start to its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Life {
    pub node: usize,
    pub number: u32,
}

/// Something that goes on when it is told to.
#[derive(Debug)]
struct Turn {
    of: Option<Life>,
    goes_on: oneshot::Sender<()>,
}

/// Everything that a history is made of, behind one lock.
#[derive(Debug)]
pub struct State {
    /// What decides: who goes on, what gets lost, who does what.
    pub numbers: Numbers,
    pub clock: Clock,
    pub memory: Memory,
    /// Whether anything goes wrong.
    pub trouble: bool,
    pub oracle: Oracle,
    pub folk: Folk,
    pub counts: Counts,
    /// How often each node was started.
    pub lives: Vec<u32>,
    /// A node that ends in the middle of a call.
    pub dying: Option<usize>,
    waiting: Vec<Turn>,
    /// What people and nodes are at.
    pub under_way: usize,
    history: Option<Vec<String>>,
}

/// The world of one history. A clone is the same one.
#[derive(Clone, Debug)]
pub struct World(Arc<Mutex<State>>);

impl World {
    /// A world in which nothing has happened yet.
    pub fn new(seed: u64, nodes: usize, tells: bool) -> Self {
        let mut bytes = [0; 32];
        bytes[..8].copy_from_slice(&seed.to_be_bytes());
        Self(Arc::new(Mutex::new(State {
            numbers: Numbers::new(seed),
            clock: Clock::seeded(BEGIN, bytes),
            memory: Memory::new(),
            trouble: true,
            oracle: Oracle::default(),
            folk: Folk::default(),
            counts: Counts::new(),
            lives: vec![0; nodes],
            dying: None,
            waiting: Vec::new(),
            under_way: 0,
            history: tells.then(Vec::new),
        })))
    }

    pub fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits until it is told to go on; for ever, if its node has ended.
    pub async fn turn(&self, of: Option<Life>) {
        let (goes_on, told) = oneshot::channel();
        {
            let mut state = self.state();
            if of.is_none_or(|life| state.lives[life.node] == life.number) {
                state.waiting.push(Turn { of, goes_on });
            }
        }
        if told.await.is_err() {
            pending().await
        }
    }

    /// One of those who wait goes on. False if nobody waits.
    pub fn let_one_go_on(&self) -> bool {
        let mut state = self.state();
        let State { numbers, waiting, .. } = &mut *state;
        if waiting.is_empty() {
            return false;
        }
        let turn = waiting.swap_remove(numbers.below(waiting.len()));
        // Whoever does not listen any more was dropped with its node.
        turn.goes_on.send(()).ok();
        true
    }

    /// Nothing of this life goes on any more.
    pub fn ends(&self, node: usize) {
        let mut state = self.state();
        state.lives[node] += 1;
        state.waiting.retain(|turn| turn.of.is_none_or(|life| life.node != node));
    }

    pub fn note(&self, text: impl FnOnce() -> String) {
        self.state().note(text);
    }

    pub fn count(&self, what: &str) {
        self.state().count(what);
    }

    pub fn now(&self) -> UnixTime {
        self.state().clock.now()
    }

    /// True in so many of a thousand cases, as long as things go wrong.
    pub fn mishap(&self, permille: usize) -> bool {
        let mut state = self.state();
        state.trouble && state.numbers.chance(permille)
    }

    pub fn below(&self, end: usize) -> usize {
        self.state().numbers.below(end)
    }

    pub fn chance(&self, permille: usize) -> bool {
        self.state().numbers.chance(permille)
    }

    /// Something went wrong with the request that is being served, by no fault of the shop.
    pub fn hit(&self, life: Life, what: &str) {
        let mut state = self.state();
        let request = REQUEST.try_with(|number| *number).ok();
        state.oracle.hit(request, life);
        state.count(what);
        state.note(|| match request {
            Some(number) => format!("{what}, in request {number}"),
            None => what.to_owned(),
        });
    }
}

impl State {
    pub fn count(&mut self, what: &str) {
        match self.counts.get_mut(what) {
            Some(count) => *count += 1,
            None => drop(self.counts.insert(what.to_owned(), 1)),
        }
    }

    pub fn note(&mut self, text: impl FnOnce() -> String) {
        if let Some(history) = &mut self.history {
            let seconds = self.clock.now().as_secs() - BEGIN.as_secs();
            history.push(format!("{seconds:>8} s  {}", text()));
        }
    }

    pub fn history(&mut self) -> String {
        self.history.take().unwrap_or_default().join("\n")
    }
}
