//! Where tower-sessions keeps its records: a table beside the customers, so that moving an account and ending its old
//! sessions are one commit.
//!
//! The published store for PostgreSQL (`tower-sessions-sqlx-store` 0.15) is for older versions of sqlx and of tower-sessions;
//! this is what it takes to write one.

use async_trait::async_trait;
use sqlx::{PgConnection, PgPool};
use tower_sessions::{
    SessionStore,
    session::{Id, Record},
    session_store::{Error, Result},
};

/// The sessions of the old login.
#[derive(Clone, Debug)]
pub struct Sessions {
    pool: PgPool,
}

impl Sessions {
    /// Over the table `old_sessions`.
    #[must_use]
    pub const fn new(pool: PgPool) -> Self {
        Self { pool }
    }
}

#[async_trait]
impl SessionStore for Sessions {
    async fn create(&self, record: &mut Record) -> Result<()> {
        loop {
            let made = sqlx::query(
                "INSERT INTO old_sessions (id, record, expires_at) VALUES ($1, $2::jsonb, to_timestamp($3::bigint))
                 ON CONFLICT DO NOTHING",
            )
            .bind(record.id.to_string())
            .bind(text(record)?)
            .bind(record.expiry_date.unix_timestamp())
            .execute(&self.pool)
            .await
            .map_err(failed)?;
            if made.rows_affected() == 1 {
                return Ok(());
            }
            record.id = Id::default();
        }
    }

    /// Only of what is there: a session that was ended while a request of it was under way stays ended.
    async fn save(&self, record: &Record) -> Result<()> {
        let save = "UPDATE old_sessions SET record = $2::jsonb, expires_at = to_timestamp($3::bigint) WHERE id = $1";
        sqlx::query(save)
            .bind(record.id.to_string())
            .bind(text(record)?)
            .bind(record.expiry_date.unix_timestamp())
            .execute(&self.pool)
            .await
            .map_err(failed)?;
        Ok(())
    }

    async fn load(&self, id: &Id) -> Result<Option<Record>> {
        let found: Option<String> =
            sqlx::query_scalar("SELECT record::text FROM old_sessions WHERE id = $1 AND expires_at > now()")
                .bind(id.to_string())
                .fetch_optional(&self.pool)
                .await
                .map_err(failed)?;
        found.map(|text| serde_json::from_str(&text).map_err(|e| Error::Decode(e.to_string()))).transpose()
    }

    async fn delete(&self, id: &Id) -> Result<()> {
        sqlx::query("DELETE FROM old_sessions WHERE id = $1")
            .bind(id.to_string())
            .execute(&self.pool)
            .await
            .map_err(failed)?;
        Ok(())
    }
}

/// Ends every session of the old login that a customer has, on whatever device.
///
/// # Errors
/// Whatever the database says.
pub async fn end_all_of(connection: &mut PgConnection, customer: i64) -> sqlx::Result<()> {
    sqlx::query("DELETE FROM old_sessions WHERE record #>> '{data,old,customer}' = $1::text")
        .bind(customer.to_string())
        .execute(connection)
        .await?;
    Ok(())
}

fn text(record: &Record) -> Result<String> {
    serde_json::to_string(record).map_err(|e| Error::Encode(e.to_string()))
}

fn failed(error: sqlx::Error) -> Error {
    Error::Backend(error.to_string())
}
