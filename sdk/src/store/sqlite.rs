//! A store in one SQLite file: all that a shop on one machine needs.

use std::{str::FromStr, sync::Arc, time::Duration};

/// A connection to SQLite that is in a transaction of the merchant's.
pub use sqlx::SqliteConnection;
use sqlx::{
    Connection, Row, SqlitePool,
    sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteRow, SqliteSynchronous},
};
use tokio::sync::Mutex;

use super::{BoxError, Key, Prefix, Record, Store, StoreError, StoreIdentity, Stored, Version, Write, rules};
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
    identity: StoreIdentity,
    epoch: u64,
}

/// The files of the schema in their order. Each writes its number itself.
const MIGRATIONS: [(i64, &str); 3] =
    [(1, include_str!("sqlite.sql")), (2, include_str!("sqlite_identity.sql")), (3, include_str!("sqlite_epoch.sql"))];

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
        let (identity, epoch) = migrate(&pool).await?;
        Ok(Self { pool, turn: Arc::default(), identity, epoch })
    }

    /// Whether the file that `url` names is there and holds a store of ours. Makes nothing.
    ///
    /// # Errors
    /// [`StoreError::Refused`] for what is no URL, [`StoreError::Unavailable`] if the file is there and is no database.
    pub async fn is_in(url: &str) -> Result<bool, StoreError> {
        let options = options(url)?;
        if !options.get_filename().is_file() {
            return Ok(false);
        }
        let pool = SqlitePoolOptions::new().max_connections(1).connect_with(options).await.map_err(unavailable)?;
        let there = sqlx::query("SELECT 1 FROM sqlite_schema WHERE name = 'firsthand_migrations'");
        let there = there.fetch_optional(&pool).await.map_err(unavailable);
        pool.close().await;
        Ok(there?.is_some())
    }

    /// For a file that was put back from a backup: ends what may have ended since the backup was made, as
    /// `sqlite_restored.sql` beside this file tells. Once, before any program uses the file. The command
    /// `firsthand restored URL` does the same.
    ///
    /// # Errors
    /// As [`Sqlite::new`].
    pub async fn restored(self) -> Result<Self, StoreError> {
        let mut tx = begin(&self.pool).await?;
        sqlx::raw_sql(include_str!("sqlite_restored.sql")).execute(&mut *tx).await.map_err(unavailable)?;
        tx.commit().await.map_err(unavailable)?;
        Self::new(self.pool).await
    }

    /// The store in the file that `url` names (`sqlite://shop.db`), made if it is not there, with a write-ahead log
    /// and `synchronous=FULL`.
    ///
    /// # Errors
    /// As [`Sqlite::new`].
    pub async fn connect(url: &str) -> Result<Self, StoreError> {
        let options = options(url)?
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

    /// Applies all writes or none within the transaction that `tx` is in, which the merchant began on a connection of
    /// their own, with `BEGIN IMMEDIATE`: they are durable when it commits, and gone when it does not. `of` is the
    /// store that the writes were made for.
    ///
    /// Until then the versions are provisional, and nobody else can write: do not wait for another commit of this store
    /// meanwhile. On an error nothing of ours remains, and the transaction is as it was before. Who drops this future
    /// before it answers rolls the transaction back, and runs no other statement in it. What the merchant writes to an
    /// attached database is another file's commit: a crash may part it from ours.
    ///
    /// # Errors
    /// - [`StoreError::Conflict`] with the first key whose expectation did not hold;
    /// - [`StoreError::Refused`] as for any commit, and for writes of another store, a connection to another database,
    ///   without a transaction, without the write lock, or whose commit could be lost;
    /// - [`StoreError::Unavailable`] for everything else. Never [`StoreError::Unknown`].
    pub async fn commit_writes_in(
        &self,
        tx: &mut SqliteConnection,
        of: &StoreIdentity,
        writes: &[Write],
        now: UnixTime,
    ) -> Result<Vec<Option<Version>>, StoreError> {
        rules::writes(writes)?;
        in_transaction(tx).await?;
        rules::joins(&self.identity, of, &there(tx).await?)?;
        durable(tx).await?;
        // A savepoint of sqlx: several statements follow, and its drop undoes those that were made. Dropped while it
        // only begins, it takes the transaction around it along, and later statements of the merchant's commit by
        // themselves.
        let mut savepoint = tx.begin().await.map_err(unavailable)?;
        match join(&mut savepoint, writes, now).await {
            Ok(versions) => {
                savepoint.commit().await.map_err(unavailable)?;
                Ok(versions)
            }
            Err(e) => {
                savepoint.rollback().await.map_err(unavailable)?;
                Err(e)
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
        let mut tx = begin(&self.pool).await?;
        durable(&mut tx).await?;
        let found = versions(&mut tx, writes, now).await.map_err(unavailable)?;
        if let Some(key) = rules::conflict(writes, &found) {
            let conflict = StoreError::Conflict(key.clone());
            // Begun to be rolled back by the drop at the latest; nothing was written in any case.
            tx.rollback().await.ok();
            return Err(conflict);
        }
        let versions = apply(&mut tx, writes, COUNTED).await.map_err(unavailable)?;
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
        let mut tx = begin(&self.pool).await?;
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

    fn identity(&self) -> Option<&StoreIdentity> {
        Some(&self.identity)
    }

    fn epoch(&self) -> u64 {
        self.epoch
    }
}

fn options(url: &str) -> Result<SqliteConnectOptions, StoreError> {
    SqliteConnectOptions::from_str(url).map_err(|e| StoreError::Refused(format!("the SQLite URL: {e}")))
}

/// Applies what is missing of the schema, and tells the identity of the database and its epoch.
async fn migrate(pool: &SqlitePool) -> Result<(StoreIdentity, u64), StoreError> {
    let mut tx = begin(pool).await?;
    fit(&mut tx).await?;
    for (number, sql) in MIGRATIONS {
        let there = sqlx::query("SELECT 1 FROM sqlite_schema WHERE name = 'firsthand_migrations'");
        let done = there.fetch_optional(&mut *tx).await.map_err(unavailable)?.is_some()
            && sqlx::query_scalar("SELECT EXISTS (SELECT 1 FROM firsthand_migrations WHERE number = ?1)")
                .bind(number)
                .fetch_one(&mut *tx)
                .await
                .map_err(unavailable)?;
        if !done {
            sqlx::raw_sql(sql).execute(&mut *tx).await.map_err(unavailable)?;
        }
    }
    let identity: String = sqlx::query_scalar(IDENTITY).fetch_one(&mut *tx).await.map_err(unavailable)?;
    let epoch: i64 = sqlx::query_scalar("SELECT epoch FROM main.firsthand_identity")
        .fetch_one(&mut *tx)
        .await
        .map_err(unavailable)?;
    tx.commit().await.map_err(unavailable)?;
    Ok((StoreIdentity(identity.into()), epoch.unsigned_abs()))
}

/// In the main database: a commit to one that is attached to it is not one with the commit to the main one.
const IDENTITY: &str = "SELECT id FROM main.firsthand_identity";

/// Begins to write: from here on no other connection can.
async fn begin(pool: &SqlitePool) -> Result<sqlx::Transaction<'static, sqlx::Sqlite>, StoreError> {
    let mut tried = 0;
    loop {
        match pool.begin_with("BEGIN IMMEDIATE").await {
            Err(e) if is_busy(&e) && tried < TRIES => pause(&mut tried).await,
            Err(sqlx::Error::InvalidSavePointStatement) if tried < TRIES => {
                // The one that we had is back in a moment.
                pause(&mut tried).await;
                without_the_lost(pool).await;
            }
            begun => return begun.map_err(unavailable),
        }
    }
}

/// Takes those connections out of a pool that could never write again.
///
/// SQLite ends a transaction by itself after some errors (a full disk). sqlx does not learn of it: its own ROLLBACK then
/// fails, and it holds the connection for one in a transaction as long as it lives.
async fn without_the_lost(pool: &SqlitePool) {
    let mut sound = Vec::new();
    while let Some(connection) = pool.try_acquire() {
        if connection.is_in_transaction() {
            tracing::warn!("a connection to SQLite is replaced: a transaction in it was ended by SQLite");
            // It is gone from the pool, whatever comes of this.
            connection.close().await.ok();
        } else {
            sound.push(connection);
        }
    }
}

/// Refuses a connection that is in no transaction: what we wrote would be committed at once, and by itself.
///
/// SQLite ends a transaction by itself after some errors (a full disk), and sqlx does not learn of it. SQLite can tell:
/// within a transaction it refuses to begin one, and does nothing else.
async fn in_transaction(tx: &mut SqliteConnection) -> Result<(), StoreError> {
    let refused = || StoreError::Refused(rules::NO_TRANSACTION.into());
    if !tx.is_in_transaction() {
        return Err(refused());
    }
    match sqlx::query("BEGIN").execute(&mut *tx).await {
        Err(e) if code(&e) == Some(1) => Ok(()),
        Err(e) => Err(unavailable(e)),
        Ok(_) => {
            sqlx::query("ROLLBACK").execute(tx).await.map_err(unavailable)?;
            Err(refused())
        }
    }
}

/// The identity of the store in the database of a connection.
async fn there(tx: &mut SqliteConnection) -> Result<String, StoreError> {
    sqlx::query_scalar(IDENTITY).fetch_one(tx).await.map_err(|e| match code(&e) {
        // No such table.
        Some(1) => StoreError::Refused(rules::ELSEWHERE.into()),
        _ => unlocked(e),
    })
}

/// Writes within a transaction that is not ours, and within a savepoint that is.
///
/// It does not wait for its `turn`: whoever has that may be waiting for this very transaction to end, which has the
/// write lock already.
async fn join(tx: &mut SqliteConnection, writes: &[Write], now: UnixTime) -> Result<Vec<Option<Version>>, StoreError> {
    // A write that writes nothing: with the write lock, what is read below stays so until the transaction ends.
    sqlx::query("UPDATE firsthand_sequence SET version = version WHERE false")
        .execute(&mut *tx)
        .await
        .map_err(unlocked)?;
    let found = versions(tx, writes, now).await.map_err(unavailable)?;
    if let Some(key) = rules::conflict(writes, &found) {
        return Err(StoreError::Conflict(key.clone()));
    }
    apply(tx, writes, DRAWN).await.map_err(unavailable)
}

/// An error of a transaction that may not have the write lock: one that has it waits for nobody.
fn unlocked(error: sqlx::Error) -> StoreError {
    if is_busy(&error) {
        let refusal = "somebody else writes, and this transaction cannot wait: begin it with BEGIN IMMEDIATE";
        return StoreError::Refused(refusal.into());
    }
    unavailable(error)
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

/// The next version, of a commit that tells it to nobody before it is durable.
const COUNTED: &str = "UPDATE firsthand_sequence SET version = version + 1 RETURNING version";

/// A version of a commit that joins a transaction, from 2^62 on and so behind all that were counted.
///
/// It is told before it is durable, and if the transaction or a savepoint in it is rolled back, so is the count: the
/// next number would be given out again, and whoever still has it could take another record for the one that never was.
/// One of 2^62 is not drawn twice.
const DRAWN: &str = "SELECT (random() & 0x3fffffffffffffff) | 0x4000000000000000";

/// Applies the writes; `version` is the statement that makes a new version.
async fn apply(
    db: &mut SqliteConnection,
    writes: &[Write],
    version: &'static str,
) -> Result<Vec<Option<Version>>, sqlx::Error> {
    let mut versions = Vec::with_capacity(writes.len());
    for write in writes {
        versions.push(match write {
            Write::Put { key, record, .. } => Some(put(db, key, record, version).await?),
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

async fn put(
    db: &mut SqliteConnection,
    key: &Key,
    record: &Record,
    version: &'static str,
) -> Result<Version, sqlx::Error> {
    let version: i64 = sqlx::query_scalar(version).fetch_one(&mut *db).await?;
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
    code(error).is_some_and(|code| matches!(code & 0xff, 5 | 6))
}

/// The extended code.
fn code(error: &sqlx::Error) -> Option<u32> {
    error.as_database_error()?.code()?.parse().ok()
}

/// Waits a little, longer each time: 10 ms to 160 ms.
async fn pause(tried: &mut u32) {
    tokio::time::sleep(Duration::from_millis(10_u64 << *tried)).await;
    *tried += 1;
}
