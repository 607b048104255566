//! What was ordered a moment ago, by a checksum of it: so that the same is not ordered twice by mistake.

use super::{Database, Transaction};
use crate::shop::order::Repeated;

/// For how long it is known, in seconds.
pub const KNOWN_S: i64 = 10 * 60;

impl Transaction {
    /// Notes that this was ordered, and forgets what is too long ago.
    ///
    /// # Errors
    /// Whatever the database says; drop the transaction then.
    pub async fn note_order(&mut self, content: &str, placed: &Repeated) -> Result<(), sqlx::Error> {
        on!(self, |transaction| {
            sqlx::query("DELETE FROM repeats WHERE placed_at <= $1")
                .bind(placed.placed_s - KNOWN_S)
                .execute(&mut **transaction)
                .await?;
            sqlx::query(
                "INSERT INTO repeats (content, number, placed_at) VALUES ($1, $2, $3)
                 ON CONFLICT (content) DO UPDATE SET number = excluded.number, placed_at = excluded.placed_at",
            )
            .bind(content)
            .bind(&placed.number)
            .bind(placed.placed_s)
            .execute(&mut **transaction)
            .await
            .map(drop)
        })
    }
}

impl Database {
    /// The order of the same that was placed a moment ago.
    ///
    /// # Errors
    /// Whatever the database says.
    pub async fn ordered_before(&self, content: &str, now_s: i64) -> Result<Option<Repeated>, sqlx::Error> {
        let row: Option<(String, i64)> = on!(self, |pool| {
            sqlx::query_as("SELECT number, placed_at FROM repeats WHERE content = $1 AND placed_at > $2")
                .bind(content)
                .bind(now_s - KNOWN_S)
                .fetch_optional(pool)
                .await?
        });
        Ok(row.map(|(number, placed_s)| Repeated { number, placed_s }))
    }
}
