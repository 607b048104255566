//! A store in one SQLite file: all that a shop on one machine needs.

use std::{str::FromStr, sync::Arc, time::Duration};

use sqlx::{
    Row, SqliteConnection, SqlitePool,
    sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteRow, SqliteSynchronous},
};
use tokio::sync::Mutex;

use super::{BoxError, Key, Prefix, Record, Store, StoreError, Stored, Version, Write, rules};
use crate::time::UnixTime;

/// Records in tables named `firsthand_*` of an SQLite database. A clone shares the pool.
///
/// What a commit wrote is on the disk when it returns: a connection whose `synchronous` is less than `FULL`, or whose
/// journal could lose a half-written commit, is refused.
#[derive(Clone, Debug)]
pub struct Sqlite {
    pool: SqlitePool,
    /// SQLite has one writer at a time. Waiting for it here is fair; waiting in SQLite is a race that a task can lose
    /// until it times out.
    turn: Arc<Mutex<()>>,
}

/// How often a write that found the database busy is tried again. Each try has waited the connection's busy timeout.
const TRIES: u32 = 5;

/// The connections of [`Sqlite::connect`]: one writes, the others read. More would only take threads.
const CONNECTIONS: u32 = 4;

impl Sqlite {
    /// The store in the database of `pool`; makes its tables if they are not there.
    ///
    /// # Errors
    /// [`StoreError::Refused`] if the database is not a file of UTF-8, or its connections do not write durably;
    /// [`StoreError::Unavailable`] if it cannot be opened.
    pub async fn new(pool: SqlitePool) -> Result<Self, StoreError> {
        let store = Self { pool, turn: Arc::default() };
        store.migrate().await?;
        Ok(store)
    }

    /// The store in the file that `url` names (`sqlite://shop.db`), made if it is not there, with a write-ahead log
    /// and `synchronous=FULL`.
    ///
    /// # Errors
    /// As [`Sqlite::new`].
    pub async fn connect(url: &str) -> Result<Self, StoreError> {
        let options = SqliteConnectOptions::from_str(url)
            .map_err(|e| StoreError::Refused(format!("the SQLite URL: {e}")))?
            .create_if_missing(true)
            .journal_mode(SqliteJournalMode::Wal)
            .synchronous(SqliteSynchronous::Full)
            .busy_timeout(Duration::from_secs(5));
        let mut tried = 0;
        loop {
            // Whoever turns on the log of a new file keeps others out for a moment, without a timeout of SQLite's.
            // A file does not hang up: to ask it before each use would double the way of every read.
            let pool = SqlitePoolOptions::new().max_connections(CONNECTIONS).test_before_acquire(false);
            match pool.connect_with(options.clone()).await {
                Ok(pool) => return Self::new(pool).await,
                Err(e) if is_busy(&e) && tried < TRIES => pause(&mut tried).await,
                Err(e) => return Err(unavailable(e)),
            }
        }
    }

    async fn migrate(&self) -> Result<(), StoreError> {
        let mut tx = self.begin().await?;
        fit(&mut tx).await?;
        let there = sqlx::query("SELECT 1 FROM sqlite_schema WHERE name = 'firsthand_migrations'");
        if there.fetch_optional(&mut *tx).await.map_err(unavailable)?.is_none() {
            sqlx::raw_sql(include_str!("sqlite.sql")).execute(&mut *tx).await.map_err(unavailable)?;
        }
        tx.commit().await.map_err(unavailable)
    }

    /// Begins to write: from here on no other connection can.
    async fn begin(&self) -> Result<sqlx::Transaction<'static, sqlx::Sqlite>, StoreError> {
        let mut tried = 0;
        loop {
            match self.pool.begin_with("BEGIN IMMEDIATE").await {
                Err(e) if is_busy(&e) && tried < TRIES => pause(&mut tried).await,
                begun => return begun.map_err(unavailable),
            }
        }
    }
}

impl Store for Sqlite {
    async fn load(&self, keys: &[Key], now: UnixTime) -> Result<Vec<Option<Stored>>, StoreError> {
        rules::keys(keys)?;
        // One statement, so that all keys are read at one moment; CROSS JOIN makes it one index lookup for each key.
        let rows = sqlx::query(
            "SELECT k.key AS place, r.version, r.schema, r.body, r.expires_at
             FROM json_each(?1) AS k CROSS JOIN firsthand_records AS r
               ON r.partition = k.value ->> 0 AND r.kind = k.value ->> 1 AND r.sort = k.value ->> 2
             WHERE r.expires_at IS NULL OR r.expires_at > ?2",
        )
        .bind(names(keys.iter()))
        .bind(now.as_secs())
        .fetch_all(&self.pool)
        .await
        .map_err(unavailable)?;
        let mut found = vec![None; keys.len()];
        for row in &rows {
            if let Some(place) = place(row).map_err(unavailable)?.and_then(|place| found.get_mut(place)) {
                *place = Some(stored(row).map_err(unavailable)?);
            }
        }
        Ok(found)
    }

    async fn commit(&self, writes: &[Write], now: UnixTime) -> Result<Vec<Option<Version>>, StoreError> {
        rules::writes(writes)?;
        let _turn = self.turn.lock().await;
        let mut tx = self.begin().await?;
        durable(&mut tx).await?;
        let found = versions(&mut tx, writes, now).await.map_err(unavailable)?;
        if let Some(key) = rules::conflict(writes, &found) {
            let conflict = StoreError::Conflict(key.clone());
            // Begun to be rolled back by the drop at the latest; nothing was written in any case.
            tx.rollback().await.ok();
            return Err(conflict);
        }
        let versions = apply(&mut tx, writes).await.map_err(unavailable)?;
        tx.commit().await.map_err(after_commit)?;
        Ok(versions)
    }

    async fn scan(
        &self,
        prefix: &Prefix,
        after: Option<&str>,
        limit: usize,
        now: UnixTime,
    ) -> Result<Vec<(Key, Stored)>, StoreError> {
        let span = rules::Span::new(prefix, after, limit)?;
        let rows = sqlx::query(
            "SELECT sort, version, schema, body, expires_at FROM firsthand_records
             WHERE partition = ?1 AND kind = ?2 AND sort >= ?3 AND sort < ?4
               AND (expires_at IS NULL OR expires_at > ?5)
             ORDER BY sort LIMIT ?6",
        )
        .bind(&prefix.partition)
        .bind(prefix.kind)
        .bind(span.from)
        .bind(span.until)
        .bind(now.as_secs())
        .bind(i64::try_from(limit).unwrap_or(i64::MAX))
        .fetch_all(&self.pool)
        .await
        .map_err(unavailable)?;
        let read = |row: &SqliteRow| {
            let sort: String = row.try_get("sort")?;
            Ok((Key::new(prefix.kind, &*prefix.partition, sort), stored(row)?))
        };
        rows.iter().map(read).collect::<Result<_, sqlx::Error>>().map_err(unavailable)
    }

    async fn sweep(&self, now: UnixTime, limit: usize) -> Result<usize, StoreError> {
        let _turn = self.turn.lock().await;
        let mut tx = self.begin().await?;
        let swept = sqlx::query(
            "DELETE FROM firsthand_records WHERE rowid IN
                 (SELECT rowid FROM firsthand_records WHERE expires_at <= ?1 ORDER BY expires_at LIMIT ?2)",
        )
        .bind(now.as_secs())
        .bind(i64::try_from(limit).unwrap_or(i64::MAX))
        .execute(&mut *tx)
        .await
        .map_err(unavailable)?;
        tx.commit().await.map_err(after_commit)?;
        Ok(usize::try_from(swept.rows_affected()).unwrap_or(usize::MAX))
    }
}

/// Refuses a database that cannot keep the rules of a store, whatever its connections do.
async fn fit(db: &mut SqliteConnection) -> Result<(), StoreError> {
    let row = sqlx::query(
        "SELECT (SELECT encoding FROM pragma_encoding) AS encoding,
                (SELECT file FROM pragma_database_list WHERE name = 'main') AS file",
    )
    .fetch_one(&mut *db)
    .await
    .map_err(unavailable)?;
    // In UTF-16 the order of the bytes is not the order of the characters.
    if row.try_get::<String, _>("encoding").map_err(unavailable)? != "UTF-8" {
        return Err(StoreError::Refused("the SQLite database is not in UTF-8".into()));
    }
    // Each connection of a pool would have a database of its own, or lose it with the last one.
    if row.try_get::<Option<String>, _>("file").map_err(unavailable)?.is_none_or(|file| file.is_empty()) {
        return Err(StoreError::Refused("the SQLite database has no file: use `store::Memory`".into()));
    }
    durable(db).await
}

/// Refuses a connection whose commit could be lost or halved by a crash.
async fn durable(db: &mut SqliteConnection) -> Result<(), StoreError> {
    let row = sqlx::query(
        "SELECT (SELECT synchronous FROM pragma_synchronous) AS synchronous,
                (SELECT journal_mode FROM pragma_journal_mode) AS journal_mode",
    )
    .fetch_one(db)
    .await
    .map_err(unavailable)?;
    let synchronous: i64 = row.try_get("synchronous").map_err(unavailable)?;
    let journal: String = row.try_get("journal_mode").map_err(unavailable)?;
    // 2 is FULL, 3 is EXTRA.
    if synchronous < 2 {
        return Err(StoreError::Refused("a connection to SQLite is not `synchronous=FULL`".into()));
    }
    if matches!(journal.as_str(), "off" | "memory") {
        return Err(StoreError::Refused(format!("a connection to SQLite has `journal_mode={journal}`: use WAL")));
    }
    Ok(())
}

/// The versions that are there and have not expired, in the order of the writes.
async fn versions(
    db: &mut SqliteConnection,
    writes: &[Write],
    now: UnixTime,
) -> Result<Vec<Option<Version>>, sqlx::Error> {
    let rows = sqlx::query(
        "SELECT k.key AS place, r.version
         FROM json_each(?1) AS k CROSS JOIN firsthand_records AS r
           ON r.partition = k.value ->> 0 AND r.kind = k.value ->> 1 AND r.sort = k.value ->> 2
         WHERE r.expires_at IS NULL OR r.expires_at > ?2",
    )
    .bind(names(writes.iter().map(Write::key)))
    .bind(now.as_secs())
    .fetch_all(db)
    .await?;
    let mut found = vec![None; writes.len()];
    for row in &rows {
        if let Some(place) = place(row)?.and_then(|place| found.get_mut(place)) {
            *place = Some(Version(row.try_get::<i64, _>("version")?.unsigned_abs()));
        }
    }
    Ok(found)
}

async fn apply(db: &mut SqliteConnection, writes: &[Write]) -> Result<Vec<Option<Version>>, sqlx::Error> {
    let mut versions = Vec::with_capacity(writes.len());
    for write in writes {
        versions.push(match write {
            Write::Put { key, record, .. } => Some(put(db, key, record).await?),
            Write::Delete { key, .. } => {
                sqlx::query("DELETE FROM firsthand_records WHERE partition = ?1 AND kind = ?2 AND sort = ?3")
                    .bind(&key.partition)
                    .bind(key.kind)
                    .bind(&key.sort)
                    .execute(&mut *db)
                    .await?;
                None
            }
            Write::Check { .. } => None,
        });
    }
    Ok(versions)
}

async fn put(db: &mut SqliteConnection, key: &Key, record: &Record) -> Result<Version, sqlx::Error> {
    let version: i64 = sqlx::query_scalar("UPDATE firsthand_sequence SET version = version + 1 RETURNING version")
        .fetch_one(&mut *db)
        .await?;
    sqlx::query(
        "INSERT INTO firsthand_records (partition, kind, sort, version, schema, body, expires_at)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)
         ON CONFLICT (partition, kind, sort) DO UPDATE
         SET version = ?4, schema = ?5, body = ?6, expires_at = ?7",
    )
    .bind(&key.partition)
    .bind(key.kind)
    .bind(&key.sort)
    .bind(version)
    .bind(record.schema)
    .bind(&record.body)
    .bind(record.expires_at.map(UnixTime::as_secs))
    .execute(db)
    .await?;
    Ok(Version(version.unsigned_abs()))
}

/// Keys as `json_each` takes them: partition, kind, sort.
fn names<'a>(keys: impl Iterator<Item = &'a Key>) -> String {
    let names = keys.map(|key| serde_json::json!([key.partition, key.kind, key.sort]));
    serde_json::Value::Array(names.collect()).to_string()
}

/// Which of the names a row belongs to.
fn place(row: &SqliteRow) -> Result<Option<usize>, sqlx::Error> {
    Ok(usize::try_from(row.try_get::<i64, _>("place")?).ok())
}

fn stored(row: &SqliteRow) -> Result<Stored, sqlx::Error> {
    let record = Record {
        schema: row.try_get("schema")?,
        body: row.try_get("body")?,
        expires_at: row.try_get::<Option<i64>, _>("expires_at")?.map(UnixTime::from_secs),
    };
    Ok(Stored { record, version: Version(row.try_get::<i64, _>("version")?.unsigned_abs()) })
}

/// What an answer to `COMMIT` means: busy says that nothing was committed yet, and the drop rolls it back. After any
/// other error the log may already hold the whole transaction, and a restart would bring it to life.
fn after_commit(error: sqlx::Error) -> StoreError {
    if is_busy(&error) { unavailable(error) } else { StoreError::Unknown(cause(error)) }
}

fn unavailable(error: sqlx::Error) -> StoreError {
    StoreError::Unavailable(cause(error))
}

/// The error as it may be logged: the database's own message and code.
fn cause(error: sqlx::Error) -> BoxError {
    match error.as_database_error() {
        Some(e) => format!("SQLite: {} ({})", e.message(), e.code().unwrap_or_default()).into(),
        None => error.into(),
    }
}

/// `SQLITE_BUSY` or `SQLITE_LOCKED`, in the low byte of the extended code.
fn is_busy(error: &sqlx::Error) -> bool {
    let code = error.as_database_error().and_then(|e| e.code()?.parse::<u32>().ok());
    code.is_some_and(|code| matches!(code & 0xff, 5 | 6))
}

/// Waits a little, longer each time: 10 ms to 160 ms.
async fn pause(tried: &mut u32) {
    tokio::time::sleep(Duration::from_millis(10_u64 << *tried)).await;
    *tried += 1;
}
