//! Histories that are drawn from seeds: the numbers of one, which seeds are run, and by whom.

use std::{
    collections::BTreeMap,
    env,
    sync::atomic::{AtomicBool, AtomicU64, Ordering},
    thread,
};

/// Numbers from a seed (SplitMix64).
#[derive(Clone, Debug)]
pub struct Numbers(u64);

impl Numbers {
    pub const fn new(seed: u64) -> Self {
        Self(seed)
    }

    pub const fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// Below `end`.
    pub fn below(&mut self, end: usize) -> usize {
        usize::try_from(self.next() % end.max(1) as u64).unwrap()
    }

    /// True in so many of a thousand cases.
    pub fn chance(&mut self, permille: usize) -> bool {
        self.below(1000) < permille
    }

    pub fn of<T: Clone>(&mut self, items: &[T]) -> Option<T> {
        if items.is_empty() { None } else { items.get(self.below(items.len())).cloned() }
    }
}

/// The number that an environment variable holds, if it is there.
pub fn number(name: &str) -> Option<u64> {
    env::var(name).ok().map(|text| text.parse().unwrap_or_else(|_| panic!("{name} must be a number, not {text:?}")))
}

/// How often what happened.
pub type Counts = BTreeMap<String, u64>;

/// Seeds one after the other, dealt out to whoever asks first.
#[derive(Debug)]
pub struct Seeds {
    first: u64,
    runs: u64,
    next: AtomicU64,
    stopped: AtomicBool,
}

impl Seeds {
    pub const fn new(first: u64, runs: u64) -> Self {
        Self { first, runs, next: AtomicU64::new(0), stopped: AtomicBool::new(false) }
    }

    pub fn next(&self) -> Option<u64> {
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        (!self.stopped.load(Ordering::Relaxed) && number < self.runs).then(|| self.first + number)
    }

    /// Nobody gets another one.
    pub fn stop(&self) {
        self.stopped.store(true, Ordering::Relaxed);
    }

    /// Two threads run them, each as `work` says; what they counted is added up.
    pub fn run(&self, work: impl Fn(&Self) -> Counts + Sync) -> Counts {
        thread::scope(|scope| {
            let workers = [scope.spawn(|| work(self)), scope.spawn(|| work(self))];
            let mut all = Counts::new();
            for worker in workers {
                for (what, count) in worker.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)) {
                    *all.entry(what).or_default() += count;
                }
            }
            all
        })
    }
}
