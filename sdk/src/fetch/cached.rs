//! What was fetched and checked, kept for as long as its sender allows: one load however many ask at once.
//!
//! Only what belongs to many customers is kept here (status lists, key sets), never anything of one credential, and never
//! the answer to a POST. It is a cache: it forgets what it has no room for, and nothing depends on its memory.

use std::{fmt, sync::Arc};

use moka::future::Cache as Moka;

use crate::time::UnixTime;

/// How long a failure is remembered, in seconds: a dead server is asked once in that time, and one that came back is
/// noticed within a customer's patience.
const FAILURE_LIFETIME_S: u64 = 5;

/// How far the clock may go back, in seconds, before what was loaded "in the future" is loaded again. Requests that
/// run at the same time have read the clock at slightly different times.
const CLOCK_BACK_S: u64 = 5;

/// What a slot weighs beside its key and its value, about.
const SLOT_BYTES: usize = 128;

/// Values `T` by name, or the error `E` of the last attempt. Clones share one memory.
pub(crate) struct Cache<T, E> {
    slots: Moka<String, Slot<T, E>>,
}

impl<T: Send + Sync + 'static, E: Send + Sync + 'static> Cache<T, E> {
    /// A cache that holds values of at most `bytes_max` together, each as large as `weigh` says. A value larger than
    /// the whole cache is handed out and not kept.
    pub(crate) fn new(bytes_max: u64, weigh: fn(&T) -> usize) -> Self {
        let slots = Moka::builder()
            .max_capacity(bytes_max)
            .weigher(move |key: &String, slot: &Slot<T, E>| {
                let value = slot.outcome.as_ref().map_or(0, |value| weigh(value));
                u32::try_from(value.saturating_add(key.len()).saturating_add(SLOT_BYTES)).unwrap_or(u32::MAX)
            })
            .build();
        Self { slots }
    }

    /// The value of `key`, if one is kept that is fresh at `now`; else what `load` gives, with the time until which
    /// that is fresh.
    ///
    /// Whoever asks while a load runs waits for it and shares its outcome, also a failure, which is remembered for
    /// five seconds. If the caller that loads is dropped, another one in line loads.
    ///
    /// # Errors
    /// The error of the load, of this call or of one shortly before.
    pub(crate) async fn get_or_fetch<F>(&self, key: &str, now: UnixTime, load: F) -> Result<Arc<T>, Arc<E>>
    where
        F: Future<Output = Result<(T, UnixTime), E>>,
    {
        let load = async { Slot::new(load.await, now) };
        self.slots.entry_by_ref(key).or_insert_with_if(load, |slot| !slot.is_fresh(now)).await.into_value().outcome
    }
}

impl<T, E> Clone for Cache<T, E> {
    fn clone(&self) -> Self {
        Self { slots: self.slots.clone() }
    }
}

impl<T, E> fmt::Debug for Cache<T, E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Cache").finish_non_exhaustive()
    }
}

struct Slot<T, E> {
    outcome: Result<Arc<T>, Arc<E>>,
    loaded: UnixTime,
    fresh_until: UnixTime,
}

impl<T, E> Slot<T, E> {
    fn new(outcome: Result<(T, UnixTime), E>, loaded: UnixTime) -> Self {
        match outcome {
            Ok((value, fresh_until)) => Self { outcome: Ok(Arc::new(value)), loaded, fresh_until },
            Err(error) => {
                Self { outcome: Err(Arc::new(error)), loaded, fresh_until: loaded.plus_s(FAILURE_LIFETIME_S) }
            }
        }
    }

    /// Whether it still holds at `now`. What was loaded in this very second does, even if it may not be kept: loading
    /// it again would give the same, and a crowd that asks at once is served by one load.
    fn is_fresh(&self, now: UnixTime) -> bool {
        (now < self.fresh_until || now == self.loaded) && self.loaded.since_s(now) <= CLOCK_BACK_S
    }
}

impl<T, E> Clone for Slot<T, E> {
    fn clone(&self) -> Self {
        Self { outcome: self.outcome.clone(), loaded: self.loaded, fresh_until: self.fresh_until }
    }
}

#[cfg(test)]
mod tests {
    use std::{
        future::pending,
        sync::atomic::{AtomicUsize, Ordering},
    };

    use tokio::sync::Notify;

    use super::*;

    fn at(secs: i64) -> UnixTime {
        UnixTime::from_secs(secs)
    }

    fn cache() -> Cache<u32, &'static str> {
        Cache::new(1 << 20, |_| 4)
    }

    /// Loads a number that grows with each load, fresh until `until`.
    struct Counted(AtomicUsize);

    impl Counted {
        async fn load(&self, until: i64) -> Result<(u32, UnixTime), &'static str> {
            Ok((u32::try_from(self.0.fetch_add(1, Ordering::SeqCst)).unwrap(), at(until)))
        }

        fn loads(&self) -> usize {
            self.0.load(Ordering::SeqCst)
        }
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 4)]
    async fn a_hundred_at_once_make_one_load() {
        let cache = cache();
        let counted = Arc::new(Counted(AtomicUsize::new(0)));
        let go = Arc::new(Notify::new());
        let waiting = Arc::new(AtomicUsize::new(0));
        let tasks: Vec<_> = (0..100)
            .map(|_| {
                let (cache, counted, go, waiting) = (cache.clone(), counted.clone(), go.clone(), waiting.clone());
                tokio::spawn(async move {
                    waiting.fetch_add(1, Ordering::SeqCst);
                    let load = async {
                        go.notified().await;
                        counted.load(200).await
                    };
                    cache.get_or_fetch("a", at(100), load).await
                })
            })
            .collect();
        while waiting.load(Ordering::SeqCst) < 100 {
            tokio::task::yield_now().await;
        }
        go.notify_one();
        for task in tasks {
            assert_eq!(*task.await.unwrap().unwrap(), 0);
        }
        assert_eq!(counted.loads(), 1);
    }

    #[tokio::test]
    async fn a_crowd_shares_one_load_also_when_the_kept_value_is_stale_or_may_not_be_kept() {
        let (cache, counted) = (cache(), Counted(AtomicUsize::new(0)));
        cache.get_or_fetch("a", at(100), counted.load(110)).await.unwrap();
        let load = async {
            tokio::task::yield_now().await;
            counted.load(0).await
        };
        let (one, other) =
            tokio::join!(cache.get_or_fetch("a", at(110), load), cache.get_or_fetch("a", at(110), counted.load(0)));
        assert_eq!((*one.unwrap(), *other.unwrap()), (1, 1));
        assert_eq!(*cache.get_or_fetch("a", at(111), counted.load(0)).await.unwrap(), 2);
    }

    #[tokio::test]
    async fn it_is_kept_until_the_passed_time_reaches_its_end() {
        let (cache, counted) = (cache(), Counted(AtomicUsize::new(0)));
        for (now, until, expected) in [
            (100, 200, 0),
            (199, 0, 0),
            (200, 300, 1),
            (299, 0, 1),
            // A clock that goes back a little is requests overtaking each other; one that goes back far was wrong.
            (195, 0, 1),
            (194, 210, 2),
            (209, 0, 2),
            (210, 220, 3),
        ] {
            let value = cache.get_or_fetch("a", at(now), counted.load(until)).await.unwrap();
            assert_eq!(*value, expected, "at {now}");
        }
        assert_eq!(*cache.get_or_fetch("b", at(210), counted.load(220)).await.unwrap(), 4);
    }

    #[tokio::test]
    async fn a_failure_is_remembered_for_five_seconds() {
        let (cache, counted) = (cache(), Counted(AtomicUsize::new(0)));
        let error = cache.get_or_fetch("a", at(100), async { Err("down") }).await.unwrap_err();
        assert_eq!(*error, "down");
        assert_eq!(*cache.get_or_fetch("a", at(104), counted.load(200)).await.unwrap_err(), "down");
        assert_eq!(counted.loads(), 0);
        assert_eq!(*cache.get_or_fetch("a", at(105), counted.load(200)).await.unwrap(), 0);
    }

    #[tokio::test]
    async fn when_the_one_that_loads_goes_away_the_next_loads() {
        let (cache, counted) = (cache(), Arc::new(Counted(AtomicUsize::new(0))));
        let loading = Arc::new(Notify::new());
        let leader = tokio::spawn({
            let (cache, loading) = (cache.clone(), loading.clone());
            async move {
                let load = async {
                    loading.notify_one();
                    pending().await
                };
                cache.get_or_fetch("a", at(100), load).await
            }
        });
        loading.notified().await;
        let next = tokio::spawn({
            let (cache, counted) = (cache.clone(), counted.clone());
            async move { cache.get_or_fetch("a", at(100), counted.load(200)).await }
        });
        tokio::task::yield_now().await;
        assert_eq!(counted.loads(), 0);
        leader.abort();
        assert_eq!(*next.await.unwrap().unwrap(), 0);
    }

    #[tokio::test]
    async fn it_holds_no_more_than_its_capacity() {
        let cache: Cache<Vec<u8>, ()> = Cache::new(64 * 1024, Vec::len);
        for i in 0..1000 {
            let load = async { Ok((vec![0; 1024], at(200))) };
            cache.get_or_fetch(&i.to_string(), at(100), load).await.unwrap();
        }
        let huge = cache.get_or_fetch("huge", at(100), async { Ok((vec![0; 128 * 1024], at(200))) }).await;
        assert_eq!(huge.unwrap().len(), 128 * 1024);
        cache.slots.run_pending_tasks().await;
        assert!(cache.slots.weighted_size() <= 64 * 1024);
    }
}
