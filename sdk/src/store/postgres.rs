//! A store in PostgreSQL, for any number of nodes.

mod load;

use std::borrow::Cow;

/// A connection to PostgreSQL that is in a transaction of the merchant's.
pub use sqlx::PgConnection;
use sqlx::{
    Connection, PgPool, Row,
    postgres::{PgDatabaseError, PgRow, PgSeverity},
};

use super::{BoxError, Expect, Key, Prefix, Record, Store, StoreError, StoreIdentity, Stored, Version, Write, rules};
use crate::time::UnixTime;

/// Records in the schema `firsthand` of a PostgreSQL database. A clone shares the pool.
///
/// A load, a scan and a commit are one statement each, and so is every transaction of this store's own: see
/// `postgres.sql` beside this file, which is what a database administrator needs to know. The views in
/// `postgres_views.sql` are for reports, and `postgres_identity.sql` tells one database from another.
///
/// A role that is called `firsthand`, too, finds this schema before `public` (the default `search_path` begins with
/// `"$user"`): then say `search_path`, or tables of your own are looked for, and made, in here.
#[derive(Clone, Debug)]
pub struct Postgres {
    pool: PgPool,
    identity: StoreIdentity,
    epoch: u64,
}

/// The files of the schema in their order. Each is applied in one transaction and writes its number itself, so that an
/// administrator can apply it by hand.
const MIGRATIONS: [(i32, &str); 5] = [
    (1, include_str!("postgres.sql")),
    (2, include_str!("postgres_views.sql")),
    (3, include_str!("postgres_identity.sql")),
    (4, include_str!("postgres_orders.sql")),
    (5, include_str!("postgres_epoch.sql")),
];

/// How often a commit is tried that PostgreSQL gave up for another's sake.
const TRIES: u32 = 5;

impl Postgres {
    /// The store in the database of `pool`; makes its schema if it is not there. Any number of nodes may start at once.
    ///
    /// # Errors
    /// [`StoreError::Refused`] if the database is not in UTF8 or the pool's transactions are not READ COMMITTED by
    /// default; [`StoreError::Unavailable`] if it does not answer or does not let the role make the schema.
    pub async fn new(pool: PgPool) -> Result<Self, StoreError> {
        fit(&pool).await?;
        if applied(&pool).await? < MIGRATIONS.len() {
            migrate(&pool).await?;
        }
        let (identity, epoch): (String, i64) = sqlx::query_as("SELECT id::text, epoch FROM firsthand.identity")
            .fetch_one(&pool)
            .await
            .map_err(unavailable)?;
        Ok(Self { pool, identity: StoreIdentity(identity.into()), epoch: epoch.unsigned_abs() })
    }

    /// For a database that was put back from a backup: ends what may have ended since the backup was made, as
    /// `postgres_restored.sql` beside this file tells. Once, before any node uses the database, and with a role that may
    /// change `firsthand.identity`.
    ///
    /// # Errors
    /// As [`Postgres::new`].
    pub async fn restored(self) -> Result<Self, StoreError> {
        let mut tx = self.pool.begin().await.map_err(unavailable)?;
        sqlx::raw_sql(include_str!("postgres_restored.sql")).execute(&mut *tx).await.map_err(unavailable)?;
        tx.commit().await.map_err(unavailable)?;
        Self::new(self.pool).await
    }

    /// The store in the database that `url` names (`postgres://shop@db.example/shop`), with a pool of its own.
    ///
    /// # Errors
    /// As [`Postgres::new`].
    pub async fn connect(url: &str) -> Result<Self, StoreError> {
        Self::new(PgPool::connect(url).await.map_err(unavailable)?).await
    }

    /// Applies all writes or none within the transaction that `tx` is in, which the merchant began on a connection of
    /// their own: they are durable when it commits, and gone when it does not. `of` is the store that the writes were
    /// made for.
    ///
    /// Until then the versions are provisional, and other commits of the same keys wait, at most for five seconds. On
    /// an error nothing of ours remains, and the transaction is as it was before. Who drops this future before it
    /// answers does not know whether the writes are in the transaction, and rolls it back.
    ///
    /// # Errors
    /// - [`StoreError::Conflict`] with the first key whose expectation did not hold;
    /// - [`StoreError::Refused`] as for any commit, and for writes of another store, a connection to another database
    ///   or without a transaction, and a transaction that is not READ COMMITTED;
    /// - [`StoreError::Unavailable`] for everything else, also for a deadlock: what to do then is for whoever began the
    ///   transaction to decide. Never [`StoreError::Unknown`].
    pub async fn commit_writes_in(
        &self,
        tx: &mut PgConnection,
        of: &StoreIdentity,
        writes: &[Write],
        now: UnixTime,
    ) -> Result<Vec<Option<Version>>, StoreError> {
        rules::writes(writes)?;
        // What sqlx holds for ended would commit each statement by itself.
        if !tx.is_in_transaction() {
            return Err(StoreError::Refused(rules::NO_TRANSACTION.into()));
        }
        let there = savepoint(tx).await?;
        let joined = match there.and_then(|there| rules::joins(&self.identity, of, &there)) {
            Ok(()) => join(tx, writes, now).await,
            Err(e) => Err(e),
        };
        let end = match joined {
            Ok(_) => "RELEASE SAVEPOINT firsthand",
            Err(_) => "ROLLBACK TO SAVEPOINT firsthand; RELEASE SAVEPOINT firsthand",
        };
        // Without an answer to this the connection is lost, and with it all of the transaction.
        sqlx::raw_sql(end).execute(tx).await.map_err(unavailable)?;
        joined
    }

    /// One call of `commit_v1`: a transaction of one statement.
    async fn try_commit(&self, writes: &Columns<'_>, now: UnixTime) -> Result<Answer, Failed> {
        let mut connection = self.pool.acquire().await.map_err(|e| Failed::Final(unavailable(e)))?;
        let rows = commit_v1(&mut connection, writes, now).await.map_err(Failed::from_commit)?;
        // From here on it is committed, so what cannot be read is not known.
        Answer::read(&rows).map_err(|e| Failed::Final(StoreError::Unknown(cause(e))))
    }
}

impl Store for Postgres {
    async fn load(&self, keys: &[Key], now: UnixTime) -> Result<Vec<Option<Stored>>, StoreError> {
        rules::keys(keys)?;
        self.found(keys, now).await
    }

    async fn commit(&self, writes: &[Write], now: UnixTime) -> Result<Vec<Option<Version>>, StoreError> {
        rules::writes(writes)?;
        let columns = Columns::of(writes);
        let mut tries = 1;
        let answer = loop {
            match self.try_commit(&columns, now).await {
                Ok(answer) => break answer,
                Err(Failed::Retry(_)) if tries < TRIES => tries += 1,
                Err(Failed::Retry(e) | Failed::Final(e)) => return Err(e),
            }
        };
        answer.versions(writes)
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
            "SELECT sort, version, schema, body::text AS body, expires_at FROM firsthand.records
             WHERE partition = $1 AND kind = $2 AND sort >= $3 AND sort < $4
               AND (expires_at IS NULL OR expires_at > $5)
             ORDER BY sort LIMIT $6",
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
        let read = |row: &PgRow| {
            let sort: String = row.try_get("sort")?;
            Ok((Key::new(prefix.kind, &*prefix.partition, sort), stored(row)?))
        };
        rows.iter().map(read).collect::<Result<_, sqlx::Error>>().map_err(unavailable)
    }

    async fn sweep(&self, now: UnixTime, limit: usize) -> Result<usize, StoreError> {
        // Rows that somebody is writing are left for the next time; one that was renewed meanwhile stays.
        let swept = sqlx::query(
            "WITH due AS (
                 SELECT partition, kind, sort FROM firsthand.records
                 WHERE expires_at <= $1 ORDER BY expires_at LIMIT $2 FOR UPDATE SKIP LOCKED
             )
             DELETE FROM firsthand.records AS r USING due
             WHERE r.partition = due.partition AND r.kind = due.kind AND r.sort = due.sort AND r.expires_at <= $1",
        )
        .bind(now.as_secs())
        .bind(i64::try_from(limit).unwrap_or(i64::MAX))
        .execute(&self.pool)
        .await
        .map_err(|e| match Failed::from_commit(e) {
            Failed::Retry(e) | Failed::Final(e) => e,
        })?;
        Ok(usize::try_from(swept.rows_affected()).unwrap_or(usize::MAX))
    }

    fn identity(&self) -> Option<&StoreIdentity> {
        Some(&self.identity)
    }

    fn epoch(&self) -> u64 {
        self.epoch
    }
}

/// Refuses a database that cannot keep the rules of a store.
async fn fit(pool: &PgPool) -> Result<(), StoreError> {
    let row = sqlx::query(
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

/// How many migrations the database has: looked up first, for it needs neither a lock nor the right to change
/// anything. More than we know are a newer program's, which keeps what we use.
async fn applied(pool: &PgPool) -> Result<usize, StoreError> {
    let there = sqlx::query_scalar("SELECT to_regclass('firsthand.migrations') IS NOT NULL");
    if !there.fetch_one(pool).await.map_err(unavailable)? {
        return Ok(0);
    }
    let count: i64 =
        sqlx::query_scalar("SELECT count(*) FROM firsthand.migrations").fetch_one(pool).await.map_err(unavailable)?;
    Ok(usize::try_from(count).unwrap_or_default())
}

async fn migrate(pool: &PgPool) -> Result<(), StoreError> {
    for (number, sql) in MIGRATIONS {
        let mut tx = pool.begin().await.map_err(unavailable)?;
        // Nodes that start together go one after the other; who comes later finds it done.
        sqlx::query("SELECT pg_advisory_xact_lock(hashtextextended('firsthand.migrations', 0))")
            .execute(&mut *tx)
            .await
            .map_err(unavailable)?;
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

/// The writes as `commit_v1` takes them.
struct Columns<'w> {
    operations: Vec<i16>,
    partitions: Vec<&'w str>,
    kinds: Vec<&'w str>,
    sorts: Vec<&'w str>,
    expected: Vec<Option<i64>>,
    schemas: Vec<Option<i32>>,
    bodies: Vec<Option<&'w str>>,
    expiries: Vec<Option<i64>>,
}

impl<'w> Columns<'w> {
    fn of(writes: &'w [Write]) -> Self {
        let record = |write: &'w Write| match write {
            Write::Put { record, .. } => Some(record),
            Write::Delete { .. } | Write::Check { .. } => None,
        };
        let operation = |write: &Write| match write {
            Write::Check { .. } => 0,
            Write::Delete { .. } => 1,
            Write::Put { .. } => 2,
        };
        let expected = |write: &Write| match write.expect() {
            Expect::Any => None,
            Expect::Absent => Some(0),
            // Versions begin at 1; one that was never given out matches nothing.
            Expect::Version(Version(version)) => {
                Some(i64::try_from(version).ok().filter(|version| *version > 0).unwrap_or(-1))
            }
        };
        Self {
            operations: writes.iter().map(operation).collect(),
            partitions: writes.iter().map(|write| write.key().partition.as_str()).collect(),
            kinds: writes.iter().map(|write| write.key().kind).collect(),
            sorts: writes.iter().map(|write| write.key().sort.as_str()).collect(),
            expected: writes.iter().map(expected).collect(),
            schemas: writes.iter().map(|write| record(write).map(|r| i32::from(r.schema))).collect(),
            bodies: writes.iter().map(|write| record(write).map(|r| r.body.as_str())).collect(),
            expiries: writes.iter().map(|write| record(write)?.expires_at.map(UnixTime::as_secs)).collect(),
        }
    }
}

/// Sets the savepoint that undoes what we write, and reads the identity of this database's store in the same round
/// trip. The outer `Err` says that there is no savepoint, the inner one that there is.
///
/// This is not the nested `begin` of sqlx: one that fails, or is dropped half-way, rolls back the transaction around
/// it, and each later statement of the merchant's would commit by itself.
async fn savepoint(tx: &mut PgConnection) -> Result<Result<String, StoreError>, StoreError> {
    let read = sqlx::raw_sql("SAVEPOINT firsthand; SELECT id::text AS id FROM firsthand.identity").fetch_all(tx).await;
    let error = match read {
        Ok(rows) => {
            let id = rows.first().ok_or(sqlx::Error::RowNotFound).and_then(|row| row.try_get("id"));
            return Ok(id.map_err(unavailable));
        }
        Err(error) => error,
    };
    match code(&error).as_deref() {
        // No transaction, or one that has failed already: there is no savepoint.
        Some(code) if code.starts_with("25") => Err(StoreError::Refused(rules::NO_TRANSACTION.into())),
        // No such schema, no such table, or no right to read it.
        Some("3F000" | "42P01" | "42501") => Ok(Err(StoreError::Refused(rules::ELSEWHERE.into()))),
        _ => Ok(Err(unavailable(error))),
    }
}

/// Calls `commit_v1` in a transaction that is not ours: whatever goes wrong, nothing is committed.
async fn join(tx: &mut PgConnection, writes: &[Write], now: UnixTime) -> Result<Vec<Option<Version>>, StoreError> {
    let rows =
        commit_v1(tx, &Columns::of(writes), now).await.map_err(|e| refusal(&e).unwrap_or_else(|| unavailable(e)))?;
    Answer::read(&rows).map_err(unavailable)?.versions(writes)
}

/// One call of `commit_v1`. All rows are fetched: where the statement is the transaction, it commits after the last
/// one, and an answer that has not been read to its end has not been committed.
async fn commit_v1(db: &mut PgConnection, writes: &Columns<'_>, now: UnixTime) -> Result<Vec<PgRow>, sqlx::Error> {
    sqlx::query("SELECT conflict, versions FROM firsthand.commit_v1($1, $2, $3, $4, $5, $6, $7, $8, $9)")
        .bind(now.as_secs())
        .bind(&writes.operations)
        .bind(&writes.partitions)
        .bind(&writes.kinds)
        .bind(&writes.sorts)
        .bind(&writes.expected)
        .bind(&writes.schemas)
        .bind(&writes.bodies)
        .bind(&writes.expiries)
        .fetch_all(db)
        .await
}

/// What `commit_v1` answers.
struct Answer {
    conflict: Option<i32>,
    versions: Option<Vec<Option<i64>>>,
}

impl Answer {
    fn read(rows: &[PgRow]) -> Result<Self, sqlx::Error> {
        let row = rows.first().ok_or(sqlx::Error::RowNotFound)?;
        Ok(Self { conflict: row.try_get("conflict")?, versions: row.try_get("versions")? })
    }

    /// The new versions, or the conflict.
    fn versions(self, writes: &[Write]) -> Result<Vec<Option<Version>>, StoreError> {
        if let Some(place) = self.conflict {
            // The place counts from 1.
            let write = usize::try_from(place).ok().and_then(|place| writes.get(place.checked_sub(1)?));
            return Err(match write {
                Some(write) => StoreError::Conflict(write.key().clone()),
                None => StoreError::Refused("PostgreSQL named a write that was not asked for".into()),
            });
        }
        let versions = self.versions.unwrap_or_default();
        Ok(versions.into_iter().map(|version| version.map(|v| Version(v.unsigned_abs()))).collect())
    }
}

/// Why a commit failed.
enum Failed {
    /// PostgreSQL gave it up for another's sake: the same commit may succeed now.
    Retry(StoreError),
    /// For good, as far as this call goes: trying again is the caller's to decide.
    Final(StoreError),
}

impl Failed {
    /// What an error means that came after the commit was sent. An answer of the server that leaves the connection
    /// alive says that the transaction was aborted; everything else may have come after it was committed.
    fn from_commit(error: sqlx::Error) -> Self {
        if let Some(refused) = refusal(&error) {
            return Self::Final(refused);
        }
        let aborted = error.as_database_error().and_then(|e| {
            let e = e.try_downcast_ref::<PgDatabaseError>()?;
            let fatal = matches!(e.severity(), PgSeverity::Fatal | PgSeverity::Panic);
            (!fatal).then(|| e.code().to_owned())
        });
        match aborted.as_deref() {
            // Serialisation failure, deadlock.
            Some("40001" | "40P01") => Self::Retry(unavailable(error)),
            // Statement completion unknown, connection exceptions, shutdown.
            Some(code) if code != "40003" && !code.starts_with("08") && !code.starts_with("57P") => {
                Self::Final(unavailable(error))
            }
            _ => Self::Final(StoreError::Unknown(cause(error))),
        }
    }
}

/// What PostgreSQL will not do however often it is asked.
fn refusal(error: &sqlx::Error) -> Option<StoreError> {
    let code = code(error)?;
    let refusal = match &*code {
        "FH001" => "the transaction is not READ COMMITTED: begin it without another isolation level".to_owned(),
        // A value that the database does not take.
        code if code.starts_with("22") => format!("PostgreSQL does not take a value ({code})"),
        _ => return None,
    };
    Some(StoreError::Refused(refusal))
}

fn code(error: &sqlx::Error) -> Option<Cow<'_, str>> {
    error.as_database_error()?.code()
}

fn stored(row: &PgRow) -> Result<Stored, sqlx::Error> {
    let schema = row.try_get::<i32, _>("schema")?;
    let record = Record {
        schema: u16::try_from(schema).map_err(|e| sqlx::Error::Decode(e.into()))?,
        body: row.try_get("body")?,
        expires_at: row.try_get::<Option<i64>, _>("expires_at")?.map(UnixTime::from_secs),
    };
    Ok(Stored { record, version: Version(row.try_get::<i64, _>("version")?.unsigned_abs()) })
}

fn unavailable(error: sqlx::Error) -> StoreError {
    StoreError::Unavailable(cause(error))
}

/// The error as it may be logged. PostgreSQL's detail and context quote values, so only code and message are kept.
fn cause(error: sqlx::Error) -> BoxError {
    match error.as_database_error() {
        Some(e) => format!("PostgreSQL: {} ({})", e.message(), e.code().unwrap_or_default()).into(),
        None => error.into(),
    }
}
