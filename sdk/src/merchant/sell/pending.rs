//! What is decided and not committed yet: by itself, or together with the merchant's own tables.

use std::{future::Future, pin::Pin, sync::Arc};

use crate::{
    error::{Error, Refusal},
    merchant::{Merchant, RACES_MAX, lost_the_race},
    store::{Key, StoreError, Version, Write},
    time::UnixTime,
};

/// A step that is decided, and has not happened: [`commit`](Self::commit) makes it happen.
///
/// Where the merchant's tables are in the same database, [`Postgres::commit_in`](crate::store::Postgres::commit_in) or
/// [`Sqlite::commit_in`](crate::store::Sqlite::commit_in) makes it a part of the merchant's own transaction instead, so
/// that the merchant's stock and our order are one commit.
#[must_use = "nothing has happened yet: commit it"]
pub struct Pending<T> {
    merchant: Merchant,
    plan: Plan<T>,
    again: Again<T>,
}

/// What would be written, and what that means.
pub(crate) struct Plan<T> {
    pub(crate) writes: Vec<Write>,
    pub(crate) value: T,
    /// The record that says by its operation id whether the commit happened.
    pub(crate) witness: Option<Witness>,
    pub(crate) at: UnixTime,
}

impl<T> Plan<T> {
    /// Nothing is to be written: it is as it should be.
    pub(crate) const fn nothing(value: T, at: UnixTime) -> Self {
        Self { writes: Vec::new(), value, witness: None, at }
    }

    /// The same writes, meaning something else.
    pub(crate) fn map<U>(self, mean: impl FnOnce(T) -> U) -> Plan<U> {
        let Self { writes, value, witness, at } = self;
        Plan { writes, value: mean(value), witness, at }
    }
}

/// Where an operation writes its id.
pub(crate) struct Witness {
    pub(crate) key: Key,
    pub(crate) operation: String,
}

type Planning<T> = Pin<Box<dyn Future<Output = Result<Plan<T>, Error>> + Send>>;
/// Decides again, from what is stored now.
pub(crate) type Again<T> = Arc<dyn Fn() -> Planning<T> + Send + Sync>;

impl<T> std::fmt::Debug for Pending<T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Pending").field("writes", &self.plan.writes.len()).finish_non_exhaustive()
    }
}

impl<T: Send> Pending<T> {
    /// Decides about `input` once; and again, as often as somebody else is first.
    pub(in crate::merchant) async fn new<I, F, Fut>(merchant: &Merchant, input: I, decide: F) -> Result<Self, Error>
    where
        I: Clone + Send + Sync + 'static,
        F: Fn(Merchant, I) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<Plan<T>, Error>> + Send + 'static,
    {
        let again = again(merchant, input, decide);
        let plan = again().await?;
        Ok(Self { merchant: merchant.clone(), plan, again })
    }

    /// The same, decided already: from what whoever asks has just read or written.
    pub(in crate::merchant) fn decided<I, F, Fut>(merchant: &Merchant, plan: Plan<T>, input: I, decide: F) -> Self
    where
        I: Clone + Send + Sync + 'static,
        F: Fn(Merchant, I) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<Plan<T>, Error>> + Send + 'static,
    {
        Self { merchant: merchant.clone(), plan, again: again(merchant, input, decide) }
    }

    /// Whether something is to happen. `false`: this very step happened before, and a merchant who adds to it, such as by
    /// taking from the stock, did so then.
    ///
    /// For a commit of the merchant's own, which happens as it was decided or not at all
    /// ([`Postgres::commit_in`](crate::store::Postgres::commit_in)). Two who ask at once may both hear `true`: who
    /// [commits](Self::committed) hears afterwards whether it was them.
    #[must_use]
    pub const fn is_new(&self) -> bool {
        !self.plan.writes.is_empty()
    }

    /// What it will be, if nobody else is first.
    #[must_use]
    pub const fn preview(&self) -> &T {
        &self.plan.value
    }

    /// Makes it happen. If somebody else changed the same meanwhile, it is decided again from what is there now.
    ///
    /// # Errors
    /// What the step refuses by now, and [`Error::Unavailable`] if the store does not answer.
    pub async fn commit(self) -> Result<T, Error> {
        self.committed().await.map(|committed| committed.value)
    }

    /// As [`commit`](Self::commit), and says whether it was this call that made it happen.
    ///
    /// # Errors
    /// As [`commit`](Self::commit).
    pub async fn committed(self) -> Result<Committed<T>, Error> {
        let Self { merchant, mut plan, again } = self;
        for _ in 0..RACES_MAX {
            let is_new = !plan.writes.is_empty();
            if !is_new {
                return Ok(Committed { value: plan.value, is_new, written: Vec::new() });
            }
            match merchant.0.store.commit(&plan.writes, plan.at).await {
                Ok(versions) => {
                    let keys = plan.writes.iter().map(|write| write.key().clone());
                    let written = keys.zip(versions).collect();
                    return Ok(Committed { value: plan.value, is_new, written });
                }
                Err(error) if lost_the_race(&error) => plan = again().await?,
                Err(error @ StoreError::Unknown(_)) => match &plan.witness {
                    Some(witness) if witness.saw(&merchant).await? => {
                        return Ok(Committed { value: plan.value, is_new, written: Vec::new() });
                    }
                    _ => return Err(error.into()),
                },
                Err(error) => return Err(error.into()),
            }
        }
        Err(Refusal::Overtaken.into())
    }

    #[cfg(any(feature = "sqlite", feature = "postgres"))]
    pub(crate) fn into_plan(self) -> (Merchant, Plan<T>) {
        (self.merchant, self.plan)
    }
}

/// What has happened, and by whom.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Committed<T> {
    /// What it is now.
    pub value: T,
    /// Whether this call made it happen. `false`: somebody else did, or the same call before. Of those who say one thing at
    /// once, one hears `true`; none does if the one that happened never heard the store's answer.
    pub is_new: bool,
    /// At which versions its records are now, as far as this call wrote them.
    written: Vec<(Key, Option<Version>)>,
}

impl<T> Committed<T> {
    /// The version of a record that this call wrote.
    pub(super) fn version_of(&self, key: &Key) -> Option<Version> {
        self.written.iter().find(|(written, _)| written == key)?.1
    }
}

/// How something is decided, as often as it takes.
fn again<T, I, F, Fut>(merchant: &Merchant, input: I, decide: F) -> Again<T>
where
    I: Clone + Send + Sync + 'static,
    F: Fn(Merchant, I) -> Fut + Send + Sync + 'static,
    Fut: Future<Output = Result<Plan<T>, Error>> + Send + 'static,
{
    let deciding = merchant.clone();
    Arc::new(move || Box::pin(decide(deciding.clone(), input.clone())))
}

impl Witness {
    /// Whether the operation was the last one: if another came after it, nobody can tell any more, and the caller's
    /// retry finds what is there.
    async fn saw(&self, merchant: &Merchant) -> Result<bool, Error> {
        #[derive(serde::Serialize, serde::Deserialize)]
        struct Operated {
            operation: String,
        }
        let Some(stored) = merchant.load_one(&self.key).await? else { return Ok(false) };
        let found: Result<Operated, _> = serde_json::from_str(&stored.record.body);
        Ok(found.is_ok_and(|found| found.operation == self.operation))
    }
}

/// What a step is once the merchant's transaction has committed; until then it is nothing.
#[derive(Clone, Debug)]
#[must_use = "it is true once your transaction has committed"]
pub struct Provisional<T>(T);

impl<T> Provisional<T> {
    #[cfg(any(feature = "sqlite", feature = "postgres"))]
    pub(crate) const fn new(value: T) -> Self {
        Self(value)
    }

    /// What it is going to be.
    #[must_use]
    pub const fn preview(&self) -> &T {
        &self.0
    }

    /// The transaction has committed: what it was going to be, it is. Said too early it does no harm: whatever acts, such
    /// as [`Order::pay`](crate::merchant::Order::pay), loads the record that was committed, and finds none.
    pub fn after_commit(self) -> T {
        self.0
    }
}
