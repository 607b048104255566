//! The schema of the store in PostgreSQL: whether it is there, and how it comes to be.

use sqlx::{PgPool, Row};

use super::{StoreError, StoreIdentity, unavailable};

/// The files of the schema in their order. Each is applied in one transaction and writes its number itself, so that an
/// administrator can apply it by hand.
const MIGRATIONS: [(i32, &str); 5] = [
    (1, include_str!("../postgres.sql")),
    (2, include_str!("../postgres_views.sql")),
    (3, include_str!("../postgres_identity.sql")),
    (4, include_str!("../postgres_orders.sql")),
    (5, include_str!("../postgres_epoch.sql")),
];

/// Why nothing is changed behind a pooler: who changes a schema may hold one of the pooler's few connections for long, and
/// needs rights that the role behind it should not have.
pub(super) const NOT_BEHIND_A_POOLER: &str = "the schema of Firsthand is not there, or an older program's, and is not \
     changed behind a pooler: run `firsthand migrate URL` with the URL of the server itself, or apply the SQL files";

/// Refuses a database that cannot keep the rules of a store.
///
/// As everything here that is no migration, it goes as one simple query, which no pooler minds.
pub(super) async fn fit(pool: &PgPool) -> Result<(), StoreError> {
    let row = sqlx::raw_sql(
        "SELECT current_setting('server_encoding') AS encoding,
                current_setting('default_transaction_isolation') AS isolation",
    )
    .fetch_one(pool)
    .await
    .map_err(unavailable)?;
    if row.try_get::<String, _>("encoding").map_err(unavailable)? != "UTF8" {
        return Err(StoreError::Refused("the PostgreSQL database is not in UTF8".into()));
    }
    let isolation: String = row.try_get("isolation").map_err(unavailable)?;
    if isolation != "read committed" {
        let refusal = format!("transactions are {isolation} by default: give a pool that is read committed");
        return Err(StoreError::Refused(refusal));
    }
    Ok(())
}

/// Whether all migrations are applied that we know: looked up first, for it needs neither a lock nor the right to change
/// anything. More than we know are a newer program's, which keeps what we use.
pub(super) async fn is_complete(pool: &PgPool) -> Result<bool, StoreError> {
    Ok(applied(pool).await? >= MIGRATIONS.len())
}

/// How many migrations the database has.
pub(super) async fn applied(pool: &PgPool) -> Result<usize, StoreError> {
    let there = sqlx::raw_sql("SELECT to_regclass('firsthand.migrations') IS NOT NULL AS it");
    let there = there.fetch_one(pool).await.and_then(|row| row.try_get::<bool, _>("it"));
    if !there.map_err(unavailable)? {
        return Ok(0);
    }
    let count = sqlx::raw_sql("SELECT count(*) AS it FROM firsthand.migrations").fetch_one(pool).await;
    let count: i64 = count.and_then(|row| row.try_get("it")).map_err(unavailable)?;
    Ok(usize::try_from(count).unwrap_or_default())
}

/// Applies what is missing.
pub(super) async fn migrate(pool: &PgPool) -> Result<(), StoreError> {
    for (number, sql) in MIGRATIONS {
        let mut tx = pool.begin().await.map_err(unavailable)?;
        // Nodes that start together go one after the other; who comes later finds it done.
        sqlx::query("SELECT pg_advisory_xact_lock(hashtextextended('firsthand.migrations', 0))")
            .execute(&mut *tx)
            .await
            .map_err(unavailable)?;
        // Who waits to change a table keeps out all who come after. If a long reader (a backup) is in the way, this node is
        // started again later, and the others go on.
        sqlx::raw_sql("SET LOCAL lock_timeout = '5s'").execute(&mut *tx).await.map_err(unavailable)?;
        let there = sqlx::query_scalar("SELECT to_regclass('firsthand.migrations') IS NOT NULL");
        let done = there.fetch_one(&mut *tx).await.map_err(unavailable)?
            && sqlx::query_scalar("SELECT EXISTS (SELECT 1 FROM firsthand.migrations WHERE number = $1)")
                .bind(number)
                .fetch_one(&mut *tx)
                .await
                .map_err(unavailable)?;
        if !done {
            sqlx::raw_sql(sql).execute(&mut *tx).await.map_err(unavailable)?;
        }
        tx.commit().await.map_err(unavailable)?;
    }
    Ok(())
}

/// Which database this is, and how often it was put back from a backup.
pub(super) async fn identity(pool: &PgPool) -> Result<(StoreIdentity, u64), StoreError> {
    let row = sqlx::raw_sql("SELECT id::text AS id, epoch FROM firsthand.identity").fetch_one(pool).await;
    let row = row.map_err(unavailable)?;
    let id: String = row.try_get("id").map_err(unavailable)?;
    let epoch: i64 = row.try_get("epoch").map_err(unavailable)?;
    Ok((StoreIdentity(id.into()), epoch.unsigned_abs()))
}
