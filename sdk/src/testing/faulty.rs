//! A store, or an inventory, that fails when it is told to.

use std::{
    collections::BTreeMap,
    future::Future,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use crate::{
    order::OrderId,
    store::{Key, Prefix, Store, StoreError, StoreIdentity, Stored, Version, Write},
    time::UnixTime,
    trade::{Held, Hold, Inventory, TradeError},
};

/// What goes wrong with a call to a [`Faulty`] store or inventory. An inventory that does not answer says no more than that
/// ([`TradeError`]), whatever happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// The commit happens, and its answer is lost: [`StoreError::Unknown`].
    Done,
    /// The commit does not happen, and nobody can tell: [`StoreError::Unknown`].
    Lost,
    /// The commit does not happen, and that is known: [`StoreError::Unavailable`].
    Refused,
    /// This call and all that follow do nothing and answer [`StoreError::Unavailable`], as if the process had ended
    /// before it: continue with a clone of the store inside.
    Crash,
}

/// A store or an inventory that passes every call on, but for those planned to fail. A store's reads know only one failure,
/// [`StoreError::Unavailable`], whatever the fault. A clone shares the plan.
///
/// ```
/// # use firsthand::{store::{Expect, Key, Memory, Record, Store, StoreError, Write}};
/// # use firsthand::testing::faulty::{Fault, Faulty};
/// # use firsthand::time::UnixTime;
/// # tokio::runtime::Builder::new_current_thread().build()?.block_on(async {
/// let (store, now) = (Faulty::new(Memory::new()), UnixTime::from_secs(0));
/// let key = Key::new("note", "p", "");
/// let record = Record { schema: 1, body: "{}".into(), expires_at: None };
///
/// store.fail(0, Fault::Done);
/// let answer = store.commit(&[Write::put(key.clone(), record, Expect::Absent)], now).await;
/// assert!(matches!(answer, Err(StoreError::Unknown(_))));
/// assert!(store.load(&[key], now).await?[0].is_some());
/// # Ok::<(), StoreError>(())
/// # })?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
pub struct Faulty<S> {
    store: S,
    plan: Arc<Mutex<Plan>>,
}

#[derive(Debug, Default)]
struct Plan {
    /// Calls so far, of whatever operation.
    calls: u64,
    /// Faults by the number of the call.
    faults: BTreeMap<u64, Fault>,
    crashed: bool,
}

impl<S> Faulty<S> {
    /// Does what `store` does, a store or an inventory, until told otherwise.
    pub fn new(store: S) -> Self {
        Self { store, plan: Arc::default() }
    }

    /// Lets a call fail: the next one for 0, the one after it for 1, and so on; all operations count.
    pub fn fail(&self, after: u64, fault: Fault) {
        let mut plan = self.plan();
        let call = plan.calls.saturating_add(after);
        plan.faults.insert(call, fault);
    }

    /// How many calls there were: a test that fails each one in turn knows where to stop.
    #[must_use]
    pub fn calls(&self) -> u64 {
        self.plan().calls
    }

    /// What is inside, which never fails.
    #[must_use]
    pub const fn inner(&self) -> &S {
        &self.store
    }

    fn plan(&self) -> MutexGuard<'_, Plan> {
        self.plan.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Counts a call, and says what goes wrong with it.
    fn call(&self) -> Option<Fault> {
        let mut plan = self.plan();
        let call = plan.calls;
        plan.calls = call.saturating_add(1);
        let fault = plan.faults.remove(&call);
        plan.crashed |= fault == Some(Fault::Crash);
        if plan.crashed { Some(Fault::Crash) } else { fault }
    }

    /// A call that cannot be ambiguous.
    fn read(&self) -> Result<(), StoreError> {
        self.call().map_or(Ok(()), |fault| Err(unavailable(fault)))
    }
}

impl<S: Store> Store for Faulty<S> {
    async fn load(&self, keys: &[Key], now: UnixTime) -> Result<Vec<Option<Stored>>, StoreError> {
        self.read()?;
        self.store.load(keys, now).await
    }

    async fn commit(&self, writes: &[Write], now: UnixTime) -> Result<Vec<Option<Version>>, StoreError> {
        match self.call() {
            None => self.store.commit(writes, now).await,
            Some(Fault::Done) => {
                // Whatever it answered is lost with the connection, a conflict too.
                drop(self.store.commit(writes, now).await);
                Err(StoreError::Unknown("the answer was lost on purpose".into()))
            }
            Some(Fault::Lost) => Err(StoreError::Unknown("the commit was lost on purpose".into())),
            Some(fault @ (Fault::Refused | Fault::Crash)) => Err(unavailable(fault)),
        }
    }

    async fn scan(
        &self,
        prefix: &Prefix,
        after: Option<&str>,
        limit: usize,
        now: UnixTime,
    ) -> Result<Vec<(Key, Stored)>, StoreError> {
        self.read()?;
        self.store.scan(prefix, after, limit, now).await
    }

    async fn sweep(&self, now: UnixTime, limit: usize) -> Result<usize, StoreError> {
        self.read()?;
        self.store.sweep(now, limit).await
    }

    fn identity(&self) -> Option<&StoreIdentity> {
        self.store.identity()
    }
}

impl<I: Inventory> Faulty<I> {
    /// Acts before the answer is lost, or not at all.
    async fn act<T>(&self, act: impl Future<Output = Result<T, TradeError>>) -> Result<T, TradeError> {
        match self.call() {
            None => act.await,
            Some(fault) => {
                if fault == Fault::Done {
                    drop(act.await);
                }
                Err(TradeError::new("inventory", format!("failed on purpose: {fault:?}")))
            }
        }
    }
}

impl<I: Inventory> Inventory for Faulty<I> {
    async fn hold(&self, hold: &Hold) -> Result<Held, TradeError> {
        self.act(self.store.hold(hold)).await
    }

    async fn sell(&self, hold: &Hold) -> Result<Held, TradeError> {
        self.act(self.store.sell(hold)).await
    }

    async fn free(&self, order: &OrderId, now: UnixTime) -> Result<(), TradeError> {
        self.act(self.store.free(order, now)).await
    }

    async fn left(&self, items: &[String], now: UnixTime) -> Result<Vec<Option<u32>>, TradeError> {
        self.act(self.store.left(items, now)).await
    }

    async fn tidy(&self, now: UnixTime) -> Result<(), TradeError> {
        self.act(self.store.tidy(now)).await
    }
}

fn unavailable(fault: Fault) -> StoreError {
    StoreError::Unavailable(format!("failed on purpose: {fault:?}").into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        money::Quantity,
        store::{Expect, Memory, Record},
        trade::Shelf,
    };

    #[tokio::test]
    async fn an_inventory_fails_before_it_acts_or_after_it() {
        let now = UnixTime::from_secs(0);
        let shelf = Shelf::new(Memory::new());
        shelf.stock("tea", 9, now).await.unwrap();
        let inventory = Faulty::new(shelf);
        let order = |n: u8| OrderId::from_random([n; 16]);
        let one = |n| Hold::new(order(n), vec![("tea".into(), Quantity::new(1).unwrap())], now.plus_s(9), now);
        let left = async || inventory.inner().count("tea", now).await.unwrap().left;

        for (n, (fault, after)) in [(Fault::Lost, 9), (Fault::Refused, 9), (Fault::Done, 8)].into_iter().enumerate() {
            inventory.fail(0, fault);
            assert!(inventory.hold(&one(n as u8)).await.is_err());
            assert_eq!(left().await, after, "{fault:?}");
        }
        assert_eq!(inventory.sell(&one(2)).await.unwrap(), Held::All);
        inventory.fail(0, Fault::Done);
        assert!(inventory.free(&order(2), now).await.is_err());
        assert_eq!(left().await, 9);
        inventory.fail(0, Fault::Crash);
        assert!(inventory.tidy(now).await.is_err() && inventory.left(&[], now).await.is_err());
    }

    #[tokio::test]
    async fn each_fault_does_what_it_says() {
        let (store, now) = (Faulty::new(Memory::new()), UnixTime::from_secs(0));
        let key = Key::new("note", "p", "");
        let put = [Write::put(key.clone(), Record { schema: 1, body: "{}".into(), expires_at: None }, Expect::Absent)];
        let there = async || store.inner().load(std::slice::from_ref(&key), now).await.unwrap()[0].is_some();

        store.fail(1, Fault::Lost);
        assert!(store.load(&[], now).await.is_ok());
        assert!(matches!(store.commit(&put, now).await, Err(StoreError::Unknown(_))));
        assert!(!there().await);

        store.fail(0, Fault::Refused);
        assert!(matches!(store.commit(&put, now).await, Err(StoreError::Unavailable(_))));
        assert!(!there().await);

        store.fail(0, Fault::Done);
        assert!(matches!(store.commit(&put, now).await, Err(StoreError::Unknown(_))));
        assert!(there().await);

        store.fail(0, Fault::Crash);
        for _ in 0..2 {
            assert!(matches!(store.load(&[], now).await, Err(StoreError::Unavailable(_))));
        }
        assert_eq!(store.calls(), 6);
    }
}
