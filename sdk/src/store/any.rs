//! The one boxed adapter: whichever store a merchant gave, the rest of the library holds this.

use std::{fmt, future::Future, pin::Pin, sync::Arc};

use tracing::Instrument;

#[cfg(any(test, feature = "sqlite", feature = "postgres"))]
use super::StoreIdentity;
use super::{Key, Prefix, Store, StoreError, Stored, Version, Write};
use crate::{
    metrics::{Calls, Dropped, Label},
    time::UnixTime,
};

/// Some [`Store`]; a clone shares it. The library's code takes this, and so has no type parameter.
///
/// Every call of the library goes through here, and is counted here.
#[derive(Clone)]
pub(crate) struct AnyStore(Arc<Counted>);

struct Counted {
    store: Box<dyn DynStore>,
    calls: StoreCalls,
}

/// What a store was asked, and how it went.
pub(crate) type StoreCalls = Calls<StoreCall, StoreOutcome>;

impl AnyStore {
    pub(crate) fn new(store: impl Store) -> Self {
        Self(Arc::new(Counted { store: Box::new(store), calls: Calls::new() }))
    }

    pub(crate) fn calls(&self) -> &StoreCalls {
        &self.0.calls
    }

    /// [`Store::load`].
    pub(crate) async fn load(&self, keys: &[Key], now: UnixTime) -> Result<Vec<Option<Stored>>, StoreError> {
        self.counted(StoreCall::Load, self.0.store.load(keys, now)).await
    }

    /// [`Store::commit`].
    pub(crate) async fn commit(&self, writes: &[Write], now: UnixTime) -> Result<Vec<Option<Version>>, StoreError> {
        self.counted(StoreCall::Commit, self.0.store.commit(writes, now)).await
    }

    /// [`Store::scan`].
    pub(crate) async fn scan(
        &self,
        prefix: &Prefix,
        after: Option<&str>,
        limit: usize,
        now: UnixTime,
    ) -> Result<Vec<(Key, Stored)>, StoreError> {
        self.counted(StoreCall::Scan, self.0.store.scan(prefix, after, limit, now)).await
    }

    /// [`Store::sweep`].
    pub(crate) async fn sweep(&self, now: UnixTime, limit: usize) -> Result<usize, StoreError> {
        self.counted(StoreCall::Sweep, self.0.store.sweep(now, limit)).await
    }

    /// [`Store::identity`].
    #[cfg(any(test, feature = "sqlite", feature = "postgres"))]
    pub(crate) fn identity(&self) -> Option<&StoreIdentity> {
        self.0.store.identity()
    }

    async fn counted<T>(&self, which: StoreCall, answer: Answer<'_, T>) -> Result<T, StoreError> {
        let call = self.0.calls.begins(which);
        let found = answer.instrument(tracing::trace_span!("store", call = which.name())).await;
        call.ended(StoreOutcome::of(&found));
        found
    }
}

/// What a store is asked.
#[derive(Clone, Copy, Debug)]
pub(crate) enum StoreCall {
    Load,
    Commit,
    Scan,
    Sweep,
}

impl Label for StoreCall {
    const NAMES: &'static [&'static str] = &["load", "commit", "scan", "sweep"];

    fn place(self) -> usize {
        self as usize
    }
}

/// How it went, by the names of [`StoreError::code`].
#[derive(Clone, Copy, Debug)]
pub(crate) enum StoreOutcome {
    Done,
    /// Somebody else was first: ordinary, and decided anew.
    Conflict,
    Unknown,
    Refused,
    Unreadable,
    Unavailable,
    Dropped,
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

impl Label for StoreOutcome {
    const NAMES: &'static [&'static str] =
        &["done", "conflict", "unknown", "refused", "unreadable", "unavailable", "dropped"];

    fn place(self) -> usize {
        self as usize
    }
}

impl Dropped for StoreOutcome {
    const DROPPED: Self = Self::Dropped;
}

impl fmt::Debug for AnyStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.store.fmt(f)
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
        assert_eq!(store.sweep(UnixTime::from_secs(1), 9).await.unwrap(), 1);
        assert_eq!(format!("{store:?}"), format!("{memory:?}"));
        assert_eq!(store.identity(), None);
    }
}
