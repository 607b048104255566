//! A store in memory: for tests, and for programs that may forget.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use super::{Key, Prefix, Record, Store, StoreError, Stored, Version, Write, rules};
use crate::time::UnixTime;

/// Records in this process's memory, gone with it. A clone shares them.
#[derive(Clone, Default)]
pub struct Memory(Arc<Mutex<Records>>);

impl Memory {
    /// An empty store.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// The records, whatever happened to another holder of the lock: nobody leaves them half written, for every commit
    /// is checked whole before its first change.
    fn records(&self) -> MutexGuard<'_, Records> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Memory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Memory").field("records", &self.records().by_key.len()).finish()
    }
}

impl Store for Memory {
    async fn load(&self, keys: &[Key], now: UnixTime) -> Result<Vec<Option<Stored>>, StoreError> {
        rules::keys(keys)?;
        let records = self.records();
        Ok(keys.iter().map(|key| records.live(key, now).cloned()).collect())
    }

    async fn commit(&self, writes: &[Write], now: UnixTime) -> Result<Vec<Option<Version>>, StoreError> {
        rules::writes(writes)?;
        let mut records = self.records();
        let found: Vec<_> = writes.iter().map(|w| records.live(w.key(), now).map(|stored| stored.version)).collect();
        if let Some(key) = rules::conflict(writes, &found) {
            return Err(StoreError::Conflict(key.clone()));
        }
        let apply = |write: &Write| match write {
            Write::Put { key, record, .. } => Some(records.put(key, record)),
            Write::Delete { key, .. } => {
                records.remove(key);
                None
            }
            Write::Check { .. } => None,
        };
        Ok(writes.iter().map(apply).collect())
    }

    async fn scan(
        &self,
        prefix: &Prefix,
        after: Option<&str>,
        limit: usize,
        now: UnixTime,
    ) -> Result<Vec<(Key, Stored)>, StoreError> {
        let span = rules::Span::new(prefix, after, limit)?;
        if span.is_empty() {
            return Ok(Vec::new());
        }
        let key = |sort| Key::new(prefix.kind, &*prefix.partition, sort);
        let records = self.records();
        let found = records.by_key.range(key(span.from)..key(span.until));
        let live = found.filter(|(_, stored)| !rules::expired(stored.record.expires_at, now));
        Ok(live.take(limit).map(|(key, stored)| (key.clone(), stored.clone())).collect())
    }

    async fn sweep(&self, now: UnixTime, limit: usize) -> Result<usize, StoreError> {
        let mut records = self.records();
        let due: Vec<Key> =
            records.by_expiry.iter().take_while(|(at, _)| *at <= now).take(limit).map(|(_, key)| key.clone()).collect();
        due.iter().for_each(|key| records.remove(key));
        Ok(due.len())
    }
}

#[derive(Default)]
struct Records {
    by_key: BTreeMap<Key, Stored>,
    /// The keys of those that expire, the next one first: sweeping looks at nothing that stays.
    by_expiry: BTreeSet<(UnixTime, Key)>,
    /// The last version given out, of whatever record.
    version: u64,
}

impl Records {
    fn live(&self, key: &Key, now: UnixTime) -> Option<&Stored> {
        self.by_key.get(key).filter(|stored| !rules::expired(stored.record.expires_at, now))
    }

    fn put(&mut self, key: &Key, record: &Record) -> Version {
        self.remove(key);
        self.version = self.version.saturating_add(1);
        let version = Version(self.version);
        if let Some(at) = record.expires_at {
            self.by_expiry.insert((at, key.clone()));
        }
        self.by_key.insert(key.clone(), Stored { record: record.clone(), version });
        version
    }

    fn remove(&mut self, key: &Key) {
        if let Some(at) = self.by_key.remove(key).and_then(|stored| stored.record.expires_at) {
            self.by_expiry.remove(&(at, key.clone()));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::Expect;

    #[tokio::test]
    async fn nothing_is_left_of_what_was_rewritten_deleted_or_swept() {
        let store = Memory::new();
        let key = |n: u32| Key::new("note", "p", n.to_string());
        let put = |n, expires_at: i64| {
            let expires_at = Some(UnixTime::from_secs(expires_at));
            Write::put(key(n), Record { schema: 1, body: "{}".into(), expires_at }, Expect::Any)
        };
        let now = UnixTime::from_secs(0);
        store.commit(&[put(1, 10), put(2, 20), put(3, 30)], now).await.unwrap();
        store.commit(&[put(1, 40), Write::delete(key(2), Expect::Any)], now).await.unwrap();
        assert_eq!(store.sweep(UnixTime::from_secs(30), 10).await.unwrap(), 1);
        let records = store.records();
        assert_eq!((records.by_key.len(), records.by_expiry.len()), (1, 1));
    }

    #[test]
    fn its_debug_counts_and_shows_nothing() {
        assert_eq!(format!("{:?}", Memory::new()), "Memory { records: 0 }");
    }
}
