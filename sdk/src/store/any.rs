//! The one boxed adapter: whichever store a merchant gave, the rest of the library holds this.

use std::{fmt, future::Future, pin::Pin, sync::Arc};

#[cfg(any(test, feature = "sqlite", feature = "postgres"))]
use super::StoreIdentity;
use super::{Key, Prefix, Store, StoreError, Stored, Version, Write};
use crate::time::UnixTime;

/// Some [`Store`]; a clone shares it. The library's code takes this, and so has no type parameter.
#[derive(Clone)]
pub(crate) struct AnyStore(Arc<dyn DynStore>);

impl AnyStore {
    pub(crate) fn new(store: impl Store) -> Self {
        Self(Arc::new(store))
    }

    /// [`Store::load`].
    pub(crate) async fn load(&self, keys: &[Key], now: UnixTime) -> Result<Vec<Option<Stored>>, StoreError> {
        self.0.load(keys, now).await
    }

    /// [`Store::commit`].
    pub(crate) async fn commit(&self, writes: &[Write], now: UnixTime) -> Result<Vec<Option<Version>>, StoreError> {
        self.0.commit(writes, now).await
    }

    /// [`Store::scan`].
    pub(crate) async fn scan(
        &self,
        prefix: &Prefix,
        after: Option<&str>,
        limit: usize,
        now: UnixTime,
    ) -> Result<Vec<(Key, Stored)>, StoreError> {
        self.0.scan(prefix, after, limit, now).await
    }

    /// [`Store::sweep`].
    pub(crate) async fn sweep(&self, now: UnixTime, limit: usize) -> Result<usize, StoreError> {
        self.0.sweep(now, limit).await
    }

    /// [`Store::identity`].
    #[cfg(any(test, feature = "sqlite", feature = "postgres"))]
    pub(crate) fn identity(&self) -> Option<&StoreIdentity> {
        self.0.identity()
    }
}

impl fmt::Debug for AnyStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
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
