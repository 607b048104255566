//! What becomes of customers' names: two may turn out to be one, and one may wish to be forgotten. The feed tells, and the
//! shop's own rows follow.

use std::time::Duration;

use firsthand_axum::{CustomerId, customer::CustomerEvent};

use crate::{Shop, Trouble};

/// How long to wait when there was nothing to do, or the database did not answer.
const PAUSE: Duration = Duration::from_secs(5);

impl Shop {
    /// Follows the feed for ever: a future that the program spawns and stops.
    pub async fn follow_names(self) {
        loop {
            match self.follow_next().await {
                Ok(true) => {}
                Ok(false) => tokio::time::sleep(PAUSE).await,
                Err(error) => {
                    tracing::warn!(%error, "the feed was not followed; what it said comes again");
                    tokio::time::sleep(PAUSE).await;
                }
            }
        }
    }

    /// Does what the next events of the feed say, exactly once; `false` if there were none.
    ///
    /// # Errors
    /// Whatever the database says; then the events come again.
    pub async fn follow_next(&self) -> Result<bool, Trouble> {
        let Some(batch) = self.merchant.feed().next().await? else { return Ok(false) };
        let done = batch.done().await?;
        let mut tx = self.pool.begin().await?;
        for event in batch.customer_events() {
            match event {
                // Not what the event says, but where each name leads by now: that is right in whatever order events come.
                CustomerEvent::Merged { from, into, .. } | CustomerEvent::MergeUndone { from, into, .. } => {
                    let names: Vec<String> =
                        sqlx::query_scalar("SELECT firsthand_id FROM customers WHERE belongs_to IN ($1, $2)")
                            .bind(from.as_str())
                            .bind(into.as_str())
                            .fetch_all(&mut *tx)
                            .await?;
                    for name in names {
                        let Ok(id) = name.parse::<CustomerId>() else { continue };
                        let Some(customer) = self.merchant.customer(&id).await? else { continue };
                        sqlx::query("UPDATE customers SET belongs_to = $1 WHERE firsthand_id = $2")
                            .bind(customer.id().as_str())
                            .bind(name)
                            .execute(&mut *tx)
                            .await?;
                    }
                }
                // A shop with invoices would keep those, without the person.
                CustomerEvent::Forgotten { id, .. } => {
                    sqlx::query("DELETE FROM customers WHERE firsthand_id = $1")
                        .bind(id.as_str())
                        .execute(&mut *tx)
                        .await?;
                }
                _ => {}
            }
        }
        let done = self.store.commit_in(&mut tx, done).await?;
        tx.commit().await?;
        done.after_commit();
        Ok(true)
    }
}
