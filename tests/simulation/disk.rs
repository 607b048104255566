//! The store as one node sees it: it lets others go first around every call, fails, loses the answer after it has committed,
//! and takes the node with it. And stores with a flaw, which the oracle must find.

use std::{
    collections::BTreeMap,
    future::pending,
    sync::{Arc, Mutex, PoisonError},
};

use firsthand::{
    store::{Expect, Key, Prefix, Store, StoreError, Stored, Version, Write},
    time::UnixTime,
};

use crate::world::{Life, REQUEST, World};

/// How long a commit may be under way, in seconds, before its connection is cut off.
const UNDER_WAY_S: u64 = 120;

/// What a broken store does. None of the histories with one is allowed to pass unseen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Flaw {
    /// It writes down no proof that was used up.
    ForgetsProofs,
    /// It answers who somebody is from its memory, whatever has changed since.
    KeepsSessions,
    /// It writes whatever it is told to, whoever was there before.
    ExpectsNothing,
    /// It says that it has committed, and has not.
    AnswersTooEarly,
    /// It writes the first half of a commit.
    TearsCommits,
}

impl Flaw {
    pub const ALL: [Self; 5] =
        [Self::ForgetsProofs, Self::KeepsSessions, Self::ExpectsNothing, Self::AnswersTooEarly, Self::TearsCommits];
}

/// What becomes of a call.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Fate {
    Fine,
    Down,
    Lost,
    DoneAndLost,
    DiesBefore,
    DiesAfter,
}

/// The shop's store, from one life of one node.
#[derive(Clone, Debug)]
pub struct Disk {
    world: World,
    life: Life,
    flaw: Option<Flaw>,
    read: Arc<Mutex<BTreeMap<Key, Stored>>>,
}

impl Disk {
    pub fn new(world: &World, life: Life, flaw: Option<Flaw>) -> Self {
        Self { world: world.clone(), life, flaw, read: Arc::default() }
    }

    /// What becomes of a call, of which only a commit can be in doubt.
    fn fate(&self, is_commit: bool) -> Fate {
        let mut state = self.world.state();
        if !state.trouble {
            return Fate::Fine;
        }
        match state.numbers.below(1000) {
            0..4 => Fate::Down,
            4..6 => Fate::DiesBefore,
            6..16 if is_commit => Fate::Lost,
            16..36 if is_commit => Fate::DoneAndLost,
            36..42 if is_commit => Fate::DiesAfter,
            _ => Fate::Fine,
        }
    }

    async fn dies<T>(&self, when: &str) -> T {
        self.world.hit(self.life, &format!("node: dies {when}"));
        self.world.state().dying = Some(self.life.node);
        pending().await
    }

    /// A call that is in doubt to nobody.
    async fn reads(&self) -> Result<(), StoreError> {
        match self.fate(false) {
            Fate::Fine => Ok(()),
            Fate::Down => {
                self.world.hit(self.life, "store: unavailable");
                Err(StoreError::Unavailable("down on purpose".into()))
            }
            _ => self.dies("while it reads").await,
        }
    }

    async fn apply(&self, writes: &[Write], now: UnixTime) -> Result<Vec<Option<Version>>, StoreError> {
        let memory = self.world.state().memory.clone();
        let whole = writes.len();
        let writes = self.flawed(writes);
        let answer = if writes.is_empty() { Ok(Vec::new()) } else { memory.commit(&writes, now).await };
        let mut state = self.world.state();
        match &answer {
            Ok(_) => {
                state.oracle.wrote(REQUEST.try_with(|number| *number).ok(), &writes);
                state.note(|| {
                    let kinds: Vec<&str> = writes.iter().map(|write| write.key().kind).collect();
                    format!("node {} writes {}", self.life.node, kinds.join(", "))
                });
            }
            Err(StoreError::Conflict(key)) => {
                state.count("store: conflict");
                state.note(|| format!("node {} comes too late for {}", self.life.node, key.kind));
            }
            Err(error) => state.oracle.broken(format!("the store refuses a commit: {error}")),
        }
        drop(state);
        // Whoever has a flaw hides it.
        answer.map(|mut versions| {
            versions.resize(whole, Some(Version(u64::MAX)));
            versions
        })
    }

    fn flawed(&self, writes: &[Write]) -> Vec<Write> {
        let mut writes = writes.to_vec();
        match self.flaw {
            Some(Flaw::ForgetsProofs) => writes.retain(|write| write.key().kind != "spent_proof"),
            Some(Flaw::ExpectsNothing) => {
                writes.retain(|write| !matches!(write, Write::Check { .. }));
                for write in &mut writes {
                    if let Write::Put { expect, .. } | Write::Delete { expect, .. } = write {
                        *expect = Expect::Any;
                    }
                }
            }
            Some(Flaw::AnswersTooEarly) if self.world.chance(60) => writes.clear(),
            Some(Flaw::TearsCommits) if self.world.chance(150) => writes.truncate(writes.len().div_ceil(2)),
            _ => {}
        }
        writes
    }
}

impl Store for Disk {
    async fn load(&self, keys: &[Key], now: UnixTime) -> Result<Vec<Option<Stored>>, StoreError> {
        self.world.turn(Some(self.life)).await;
        self.reads().await?;
        let memory = self.world.state().memory.clone();
        let mut found = memory.load(keys, now).await?;
        if self.flaw == Some(Flaw::KeepsSessions) && keys.first().is_some_and(|key| key.kind == "session") {
            let mut read = self.read.lock().unwrap_or_else(PoisonError::into_inner);
            for (key, found) in keys.iter().zip(&mut found) {
                match found {
                    Some(new) => *new = read.entry(key.clone()).or_insert(new.clone()).clone(),
                    None => *found = read.get(key).cloned(),
                }
            }
        }
        self.world.turn(Some(self.life)).await;
        Ok(found)
    }

    async fn commit(&self, writes: &[Write], now: UnixTime) -> Result<Vec<Option<Version>>, StoreError> {
        self.world.turn(Some(self.life)).await;
        // As the contract of a store says: what is under way for longer is cut off.
        if self.world.now().since_s(now) > UNDER_WAY_S {
            self.world.hit(self.life, "store: a commit is cut off");
            return Err(StoreError::Unavailable("under way for too long".into()));
        }
        let answer = match self.fate(true) {
            Fate::Fine => self.apply(writes, now).await,
            Fate::Down => {
                self.world.hit(self.life, "store: unavailable");
                return Err(StoreError::Unavailable("down on purpose".into()));
            }
            Fate::Lost => {
                self.world.hit(self.life, "store: a commit is lost, and nobody can tell");
                return Err(StoreError::Unknown("lost on purpose".into()));
            }
            Fate::DoneAndLost => {
                self.world.hit(self.life, "store: a commit is done, and its answer lost");
                drop(self.apply(writes, now).await);
                Err(StoreError::Unknown("lost on purpose".into()))
            }
            Fate::DiesBefore => return self.dies("before it commits").await,
            Fate::DiesAfter => {
                drop(self.apply(writes, now).await);
                return self.dies("after it has committed").await;
            }
        };
        self.world.turn(Some(self.life)).await;
        answer
    }

    async fn scan(
        &self,
        prefix: &Prefix,
        after: Option<&str>,
        limit: usize,
        now: UnixTime,
    ) -> Result<Vec<(Key, Stored)>, StoreError> {
        // Queues are scanned shard by shard: where nothing is, one does not stop.
        let memory = self.world.state().memory.clone();
        let found = memory.scan(prefix, after, limit, now).await?;
        if !found.is_empty() {
            self.world.turn(Some(self.life)).await;
            self.reads().await?;
        }
        Ok(found)
    }

    async fn sweep(&self, now: UnixTime, limit: usize) -> Result<usize, StoreError> {
        self.world.turn(Some(self.life)).await;
        self.reads().await?;
        let memory = self.world.state().memory.clone();
        memory.sweep(now, limit).await
    }
}
