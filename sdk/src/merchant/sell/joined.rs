//! Our records and the merchant's tables in one commit, where both are in one database.

#[cfg(feature = "postgres")]
use crate::store::{PgConnection, Postgres};
#[cfg(feature = "sqlite")]
use crate::store::{Sqlite, SqliteConnection};
use crate::{
    error::{Error, Refusal},
    merchant::{Pending, Provisional, lost_the_race},
    store::StoreError,
};

#[cfg(feature = "postgres")]
impl Postgres {
    /// Makes a step a part of the merchant's own transaction, which has the isolation READ COMMITTED (PostgreSQL's
    /// default): what the merchant writes in it and the step are one commit.
    ///
    /// ```no_run
    /// # use firsthand::{Error, merchant::{Merchant, GuestOrder, Pending}, store::Postgres};
    /// # async fn sell(
    /// #     pool: sqlx::PgPool, postgres: Postgres, pending: Pending<GuestOrder>,
    /// # ) -> Result<(), Box<dyn std::error::Error>> {
    /// // Not if the same form was sent before: then its stock was taken then.
    /// let is_new = pending.is_new();
    /// let mut tx = pool.begin().await?;
    /// // First: whoever presses twice at once is told `Overtaken`, and not that the last bottle is gone.
    /// let order = postgres.commit_in(&mut tx, pending).await?;
    /// if is_new {
    ///     let take = "UPDATE stock SET available = available - 1 WHERE product = 'etna' AND available > 0";
    ///     if sqlx::query(take).execute(&mut *tx).await?.rows_affected() == 0 {
    ///         return Err("sold out".into()); // the transaction is rolled back, and our order with it
    ///     }
    /// }
    /// tx.commit().await?;
    /// order.after_commit().order.pay("sepa").await?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// On any error nothing of ours remains, and the transaction can go on: it all happens in a savepoint. What it returns
    /// is provisional until the transaction commits.
    ///
    /// # Errors
    /// - [`Refusal::Overtaken`] if somebody else was first, or it was decided more than a minute ago: roll back, decide again, and begin again;
    /// - [`Error::Unavailable`] with [`StoreError::Refused`] for a step of another store, a connection to another database,
    ///   or an isolation that would hide what others commit; with [`StoreError::Unavailable`] for everything else. Never
    ///   [`StoreError::Unknown`]: the merchant's own commit says whether it happened.
    pub async fn commit_in<T: Send>(
        &self,
        tx: &mut PgConnection,
        pending: Pending<T>,
    ) -> Result<Provisional<T>, Error> {
        let (merchant, plan) = pending.into_plan();
        if !plan.writes.is_empty() {
            let store = &merchant.0.store;
            let of = store.identity().ok_or_else(other_store)?;
            if store.is_stale(plan.at) {
                return Err(Refusal::Overtaken.into());
            }
            self.commit_writes_in(tx, of, &plan.writes, plan.at).await.map_err(said)?;
        }
        Ok(Provisional::new(plan.value))
    }
}

#[cfg(feature = "sqlite")]
impl Sqlite {
    /// Makes a step a part of the merchant's own transaction, begun with `BEGIN IMMEDIATE`
    /// (`pool.begin_with("BEGIN IMMEDIATE")`) on a connection with `synchronous=FULL`: what the merchant writes in it and
    /// the step are one commit.
    ///
    /// On any error nothing of ours remains, and the transaction can go on: it all happens in a savepoint. What it returns
    /// is provisional until the transaction commits. Until then nobody else can write, this program's other connections
    /// included: do nothing in between that waits for another commit of this store.
    ///
    /// # Errors
    /// - [`Refusal::Overtaken`] if somebody else was first, or it was decided more than a minute ago: roll back, decide again, and begin again;
    /// - [`Error::Unavailable`] with [`StoreError::Refused`] for a step of another store, a connection to another database,
    ///   outside of a transaction, or one whose commit could be lost; with [`StoreError::Unavailable`] for everything
    ///   else. Never [`StoreError::Unknown`]: the merchant's own commit says whether it happened.
    pub async fn commit_in<T: Send>(
        &self,
        tx: &mut SqliteConnection,
        pending: Pending<T>,
    ) -> Result<Provisional<T>, Error> {
        let (merchant, plan) = pending.into_plan();
        if !plan.writes.is_empty() {
            let store = &merchant.0.store;
            let of = store.identity().ok_or_else(other_store)?;
            if store.is_stale(plan.at) {
                return Err(Refusal::Overtaken.into());
            }
            self.commit_writes_in(tx, of, &plan.writes, plan.at).await.map_err(said)?;
        }
        Ok(Provisional::new(plan.value))
    }
}

fn other_store() -> StoreError {
    StoreError::Refused("the step belongs to a store that joins no transactions".to_owned())
}

fn said(error: StoreError) -> Error {
    if lost_the_race(&error) { Refusal::Overtaken.into() } else { error.into() }
}
