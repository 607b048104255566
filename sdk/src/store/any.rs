//! The one boxed adapter: whichever store a merchant gave, the rest of the library holds this.

use std::{fmt, future::Future, pin::Pin, sync::Arc, time::Duration};

use tracing::Instrument;

#[cfg(any(test, feature = "sqlite", feature = "postgres"))]
use super::StoreIdentity;
use super::{Key, Prefix, Store, StoreError, Stored, Version, Write};
use crate::{
    env::Env,
    metrics::{Calls, Dropped, Label, labels},
    time::UnixTime,
};

/// How long ago a commit may have been decided. A store believes whom it asks about the time: whoever slept since would find
/// that what expired meanwhile, such as the mark of something that works once, was never there.
const DECIDED_S: u64 = 60;
/// What a commit that was decided long ago has lost its race at: the name of no record, so that nobody takes it for the loss of
/// one, such as of the mark that a proof was used.
const DECIDED_LONG_AGO: &str = "decided_long_ago";
/// How much longer than it counts an expired record stays: for who decided while it counted, and for clocks that differ.
const SWEPT_AFTER_S: u64 = 120;

/// Whether a race was lost because it was decided long ago, and not because of a record.
pub(crate) fn was_decided_long_ago(conflict: &Key) -> bool {
    conflict.kind == DECIDED_LONG_AGO
}

/// Some [`Store`]; a clone shares it. The library's code takes this, and so has no type parameter.
///
/// Every call of the library goes through here, and is counted here.
#[derive(Clone)]
pub(crate) struct AnyStore {
    counted: Arc<Counted>,
    clock: Option<Arc<dyn Env>>,
}

struct Counted {
    store: Box<dyn DynStore>,
    calls: StoreCalls,
}

/// What a store was asked, and how it went.
pub(crate) type StoreCalls = Calls<StoreCall, StoreOutcome>;

impl AnyStore {
    pub(crate) fn new(store: impl Store) -> Self {
        Self { counted: Arc::new(Counted { store: Box::new(store), calls: Calls::default() }), clock: None }
    }

    /// Commits nothing that was decided long ago by this clock, and sweeps later than that.
    pub(crate) fn by_clock(self, clock: Arc<dyn Env>) -> Self {
        Self { clock: Some(clock), ..self }
    }

    /// Whether what was decided then is to be decided again.
    pub(crate) fn is_stale(&self, decided: UnixTime) -> bool {
        self.clock.as_ref().is_some_and(|clock| clock.now().since_s(decided) > DECIDED_S)
    }

    pub(crate) fn calls(&self) -> &StoreCalls {
        &self.counted.calls
    }

    fn store(&self) -> &dyn DynStore {
        &*self.counted.store
    }

    /// [`Store::load`].
    pub(crate) async fn load(&self, keys: &[Key], now: UnixTime) -> Result<Vec<Option<Stored>>, StoreError> {
        self.counted(StoreCall::Load, self.store().load(keys, now)).await
    }

    /// [`Store::commit`]; what was decided long ago has lost the race.
    pub(crate) async fn commit(&self, writes: &[Write], now: UnixTime) -> Result<Vec<Option<Version>>, StoreError> {
        if !writes.is_empty() && self.is_stale(now) {
            return Err(StoreError::Conflict(Key::new(DECIDED_LONG_AGO, "", "")));
        }
        self.counted(StoreCall::Commit, self.store().commit(writes, now)).await
    }

    /// [`Store::scan`].
    pub(crate) async fn scan(
        &self,
        prefix: &Prefix,
        after: Option<&str>,
        limit: usize,
        now: UnixTime,
    ) -> Result<Vec<(Key, Stored)>, StoreError> {
        self.counted(StoreCall::Scan, self.store().scan(prefix, after, limit, now)).await
    }

    /// [`Store::sweep`], of what nobody can still decide about.
    pub(crate) async fn sweep(&self, now: UnixTime, limit: usize) -> Result<usize, StoreError> {
        self.counted(StoreCall::Sweep, self.store().sweep(now.minus_s(SWEPT_AFTER_S), limit)).await
    }

    /// Whether it answers within this time, for whoever asks how the shop stands. What it is asked for is nobody's record.
    pub(crate) async fn answers(&self, now: UnixTime, within: Duration) -> Result<(), StoreError> {
        let call = self.counted.calls.begins(StoreCall::Load);
        let nothing = [Key::new("readiness", "readiness", "")];
        let answer = self.store().load(&nothing, now).instrument(tracing::trace_span!("store", call = "load"));
        let found = tokio::time::timeout(within, answer).await;
        call.ended(found.as_ref().map_or(StoreOutcome::Unanswered, StoreOutcome::of));
        found.map_or_else(|late| Err(StoreError::Unavailable(late.into())), |found| found.map(drop))
    }

    /// [`Store::identity`].
    #[cfg(any(test, feature = "sqlite", feature = "postgres"))]
    pub(crate) fn identity(&self) -> Option<&StoreIdentity> {
        self.store().identity()
    }

    /// [`Store::epoch`].
    pub(crate) fn epoch(&self) -> u64 {
        self.store().epoch()
    }

    async fn counted<T>(&self, which: StoreCall, answer: Answer<'_, T>) -> Result<T, StoreError> {
        let call = self.counted.calls.begins(which);
        let found = answer.instrument(tracing::trace_span!("store", call = which.name())).await;
        call.ended(StoreOutcome::of(&found));
        found
    }
}

labels! {
    /// What a store is asked.
    pub(crate) enum StoreCall {
        Load => "load",
        Commit => "commit",
        Scan => "scan",
        Sweep => "sweep",
    }
}

labels! {
    /// How it went, by the names of [`StoreError::code`].
    pub(crate) enum StoreOutcome {
        Done => "done",
        /// Somebody else was first: ordinary, and decided anew.
        Conflict => "conflict",
        Unknown => "unknown",
        Refused => "refused",
        Unreadable => "unreadable",
        Unavailable => "unavailable",
        /// It did not answer as soon as whoever asked has to know.
        Unanswered => "unanswered",
        Dropped => "dropped",
    }
}

impl StoreOutcome {
    const fn of<T>(found: &Result<T, StoreError>) -> Self {
        match found {
            Ok(_) => Self::Done,
            Err(StoreError::Conflict(_)) => Self::Conflict,
            Err(StoreError::Unknown(_)) => Self::Unknown,
            Err(StoreError::Refused(_)) => Self::Refused,
            Err(StoreError::Schema { .. } | StoreError::Unreadable { .. }) => Self::Unreadable,
            Err(StoreError::Unavailable(_)) => Self::Unavailable,
        }
    }
}

impl Dropped for StoreOutcome {
    const DROPPED: Self = Self::Dropped;
}

impl fmt::Debug for AnyStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.store().fmt(f)
    }
}

type Answer<'a, T> = Pin<Box<dyn Future<Output = Result<T, StoreError>> + Send + 'a>>;

/// [`Store`] with boxed futures, so that it can be an object.
trait DynStore: fmt::Debug + Send + Sync {
    fn load<'a>(&'a self, keys: &'a [Key], now: UnixTime) -> Answer<'a, Vec<Option<Stored>>>;
    fn commit<'a>(&'a self, writes: &'a [Write], now: UnixTime) -> Answer<'a, Vec<Option<Version>>>;
    fn scan<'a>(
        &'a self,
        prefix: &'a Prefix,
        after: Option<&'a str>,
        limit: usize,
        now: UnixTime,
    ) -> Answer<'a, Vec<(Key, Stored)>>;
    fn sweep(&self, now: UnixTime, limit: usize) -> Answer<'_, usize>;
    #[cfg(any(test, feature = "sqlite", feature = "postgres"))]
    fn identity(&self) -> Option<&StoreIdentity>;
    fn epoch(&self) -> u64;
}

impl<S: Store> DynStore for S {
    fn load<'a>(&'a self, keys: &'a [Key], now: UnixTime) -> Answer<'a, Vec<Option<Stored>>> {
        Box::pin(Store::load(self, keys, now))
    }

    fn commit<'a>(&'a self, writes: &'a [Write], now: UnixTime) -> Answer<'a, Vec<Option<Version>>> {
        Box::pin(Store::commit(self, writes, now))
    }

    fn scan<'a>(
        &'a self,
        prefix: &'a Prefix,
        after: Option<&'a str>,
        limit: usize,
        now: UnixTime,
    ) -> Answer<'a, Vec<(Key, Stored)>> {
        Box::pin(Store::scan(self, prefix, after, limit, now))
    }

    fn sweep(&self, now: UnixTime, limit: usize) -> Answer<'_, usize> {
        Box::pin(Store::sweep(self, now, limit))
    }

    #[cfg(any(test, feature = "sqlite", feature = "postgres"))]
    fn identity(&self) -> Option<&StoreIdentity> {
        Store::identity(self)
    }

    fn epoch(&self) -> u64 {
        Store::epoch(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::{Expect, Memory, Record};

    #[tokio::test]
    async fn it_does_what_its_store_does() {
        let memory = Memory::new();
        let (store, now) = (AnyStore::new(memory.clone()), UnixTime::from_secs(0));
        let key = Key::new("note", "p", "a");
        let record = Record { schema: 1, body: "{}".into(), expires_at: Some(UnixTime::from_secs(1)) };
        let versions = store.commit(&[Write::put(key.clone(), record, Expect::Absent)], now).await.unwrap();
        let loaded = store.load(std::slice::from_ref(&key), now).await.unwrap();
        assert_eq!(loaded[0].as_ref().map(|stored| stored.version), versions[0]);
        let prefix = Prefix { kind: "note", partition: "p".into(), sort: String::new() };
        assert_eq!(store.scan(&prefix, None, 1, now).await.unwrap().len(), 1);
        assert_eq!(store.sweep(UnixTime::from_secs(120), 9).await.unwrap(), 0);
        assert_eq!(store.sweep(UnixTime::from_secs(121), 9).await.unwrap(), 1);
        assert_eq!(format!("{store:?}"), format!("{memory:?}"));
        assert_eq!((store.identity(), store.epoch()), (None, 0));
    }

    #[derive(Debug)]
    struct At(i64);

    impl Env for At {
        fn now(&self) -> UnixTime {
            UnixTime::from_secs(self.0)
        }

        fn fill(&self, _: &mut [u8]) {}
    }

    #[tokio::test]
    async fn who_slept_decides_again() {
        let (store, decided) = (AnyStore::new(Memory::new()), UnixTime::from_secs(1_000));
        let record = Record { schema: 1, body: "{}".into(), expires_at: Some(UnixTime::from_secs(1_030)) };
        let once = [Write::put(Key::new("once", "p", "a"), record, Expect::Absent)];
        store.clone().by_clock(Arc::new(At(1_000))).commit(&once, decided).await.unwrap();
        // The mark has expired and is swept; what was decided before that finds nothing, and must not be believed.
        assert_eq!(store.sweep(UnixTime::from_secs(1_150), 9).await.unwrap(), 1);
        let late = store.clone().by_clock(Arc::new(At(1_150))).commit(&once, decided).await;
        // The race is not lost at the mark: it was not there.
        assert!(matches!(&late, Err(StoreError::Conflict(key)) if was_decided_long_ago(key)), "{late:?}");
        // Up to a minute the mark is still there to be found.
        let again = store.clone().by_clock(Arc::new(At(1_060)));
        assert!(!again.is_stale(decided));
    }
}
