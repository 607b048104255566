//! A store in PostgreSQL, for any number of nodes.

mod failed;
mod load;
mod schema;

use std::str::FromStr;

use failed::{Failed, cause, code, refusal, unavailable};

/// A connection to PostgreSQL that is in a transaction of the merchant's.
pub use sqlx::PgConnection;
use sqlx::{
    Connection, PgPool, Row,
    postgres::{PgArguments, PgConnectOptions, PgRow},
    query::Query,
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
///
#[doc = include_str!("postgres.md")]
#[derive(Clone, Debug)]
pub struct Postgres {
    pool: PgPool,
    way: Way,
    identity: StoreIdentity,
    epoch: u64,
}

/// What lies between us and the server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Way {
    /// Nothing that a statement would notice: what was prepared on a connection is there next time.
    Direct,
    /// A pooler that lends a server's connection for one transaction. Who speaks outside of one may speak to another server
    /// process in each sentence.
    Pooled,
}

/// How often a commit is tried that PostgreSQL gave up for another's sake.
const TRIES: u32 = 5;

impl Postgres {
    /// The store in the database of `pool`; makes its schema if it is not there. Any number of nodes may start at once.
    ///
    /// # Errors
    /// [`StoreError::Refused`] if the database is not in UTF8 or the pool's transactions are not READ COMMITTED by
    /// default; [`StoreError::Unavailable`] if it does not answer or does not let the role make the schema.
    pub async fn new(pool: PgPool) -> Result<Self, StoreError> {
        Self::open(pool, Way::Direct).await
    }

    /// The store behind a pooler that lends a connection for one transaction, such as PgBouncer with
    /// `pool_mode = transaction`: see "Behind a pooler" above. The schema must be there already.
    ///
    /// # Errors
    /// As [`Postgres::new`]; [`StoreError::Refused`] also if the schema is not there or is an older program's, since
    /// it is changed over a direct connection alone.
    pub async fn pooled(pool: PgPool) -> Result<Self, StoreError> {
        Self::open(pool, Way::Pooled).await
    }

    /// The store in the database that `url` names (`postgres://shop@db.example/shop`), with a pool of its own.
    ///
    /// # Errors
    /// As [`Postgres::new`].
    pub async fn connect(url: &str) -> Result<Self, StoreError> {
        Self::new(connect(options(url)?).await?).await
    }

    /// The same for a URL that leads to a pooler: [`Postgres::pooled`] with a pool of its own, whose connections begin with
    /// nothing that PgBouncer would refuse.
    ///
    /// # Errors
    /// As [`Postgres::pooled`].
    pub async fn connect_pooled(url: &str) -> Result<Self, StoreError> {
        Self::pooled(connect(options(url)?.extra_float_digits(None).statement_cache_capacity(0)).await?).await
    }

    /// Whether the database that `url` names holds a store of ours. Makes nothing.
    ///
    /// # Errors
    /// [`StoreError::Refused`] for what is no URL, [`StoreError::Unavailable`] if it does not answer.
    pub async fn is_in(url: &str) -> Result<bool, StoreError> {
        let pool = connect(options(url)?).await?;
        let applied = schema::applied(&pool).await;
        pool.close().await;
        Ok(applied? > 0)
    }

    /// For a database that was put back from a backup: ends what may have ended since the backup was made, as
    /// `postgres_restored.sql` beside this file tells. Once, before any node uses the database, and with a role that may
    /// change `firsthand.identity`. The command `firsthand restored URL` does the same.
    ///
    /// # Errors
    /// As [`Postgres::new`].
    pub async fn restored(self) -> Result<Self, StoreError> {
        let mut tx = self.pool.begin().await.map_err(unavailable)?;
        sqlx::raw_sql(include_str!("postgres_restored.sql")).execute(&mut *tx).await.map_err(unavailable)?;
        tx.commit().await.map_err(unavailable)?;
        Self::open(self.pool, self.way).await
    }

    async fn open(pool: PgPool, way: Way) -> Result<Self, StoreError> {
        schema::fit(&pool).await?;
        if !schema::is_complete(&pool).await? {
            if way == Way::Pooled {
                return Err(StoreError::Refused(schema::NOT_BEHIND_A_POOLER.into()));
            }
            schema::migrate(&pool).await?;
        }
        let (identity, epoch) = schema::identity(&pool).await?;
        Ok(Self { pool, way, identity, epoch })
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
            Ok(()) => join(tx, self.way, writes, now).await,
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

    /// What a statement that only reads answers.
    async fn rows(&self, query: Query<'_, sqlx::Postgres, PgArguments>) -> Result<Vec<PgRow>, StoreError> {
        let read = async {
            match self.way {
                Way::Direct => query.fetch_all(&self.pool).await,
                Way::Pooled => {
                    let mut tx = self.pool.begin().await?;
                    let rows = query.persistent(false).fetch_all(&mut *tx).await?;
                    tx.commit().await?;
                    Ok(rows)
                }
            }
        };
        read.await.map_err(unavailable)
    }

    /// One call of `commit_v1` in a transaction of its own.
    async fn try_commit(&self, writes: &Columns<'_>, now: UnixTime) -> Result<Answer, Failed> {
        match self.way {
            Way::Direct => {
                let mut connection = self.pool.acquire().await.map_err(Failed::before_commit)?;
                let rows = commit_v1(&mut connection, self.way, writes, now).await.map_err(Failed::from_commit)?;
                // From here on it is committed, so what cannot be read is not known.
                Answer::read(&rows).map_err(|e| Failed::Final(StoreError::Unknown(cause(e))))
            }
            Way::Pooled => {
                let mut tx = self.pool.begin().await.map_err(Failed::before_commit)?;
                // Whatever goes wrong up to COMMIT, nothing is committed.
                let rows = commit_v1(&mut tx, self.way, writes, now).await.map_err(Failed::before_commit)?;
                let answer = Answer::read(&rows).map_err(Failed::before_commit)?;
                // A conflict wrote nothing, and its end lets go of the keys as well.
                tx.commit().await.map_err(Failed::from_commit)?;
                Ok(answer)
            }
        }
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
        let query = sqlx::query(
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
        .bind(i64::try_from(limit).unwrap_or(i64::MAX));
        let rows = self.rows(query).await?;
        let read = |row: &PgRow| {
            let sort: String = row.try_get("sort")?;
            Ok((Key::new(prefix.kind, &*prefix.partition, sort), stored(row)?))
        };
        rows.iter().map(read).collect::<Result<_, sqlx::Error>>().map_err(unavailable)
    }

    async fn sweep(&self, now: UnixTime, limit: usize) -> Result<usize, StoreError> {
        // Rows that somebody is writing are left for the next time; one that was renewed meanwhile stays. By their places:
        // by their names, the planner reads the whole table for each batch if much of it has expired.
        let query = sqlx::query(
            "WITH due AS MATERIALIZED (
                 SELECT tableoid AS part, ctid AS place FROM firsthand.records
                 WHERE expires_at <= $1 ORDER BY expires_at LIMIT $2 FOR UPDATE SKIP LOCKED
             )
             DELETE FROM firsthand.records AS r
             WHERE r.ctid = ANY (ARRAY(SELECT place FROM due)) AND (r.tableoid, r.ctid) IN (SELECT part, place FROM due)
               AND r.expires_at <= $1",
        )
        .bind(now.as_secs())
        .bind(i64::try_from(limit).unwrap_or(i64::MAX));
        let swept = async {
            match self.way {
                Way::Direct => query.execute(&self.pool).await,
                Way::Pooled => {
                    let mut tx = self.pool.begin().await?;
                    let swept = query.persistent(false).execute(&mut *tx).await?;
                    tx.commit().await?;
                    Ok(swept)
                }
            }
        };
        let swept = swept.await.map_err(|e| match Failed::from_commit(e) {
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

fn options(url: &str) -> Result<PgConnectOptions, StoreError> {
    PgConnectOptions::from_str(url).map_err(|e| StoreError::Refused(format!("the PostgreSQL URL: {e}")))
}

async fn connect(options: PgConnectOptions) -> Result<PgPool, StoreError> {
    PgPool::connect_with(options).await.map_err(unavailable)
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
async fn join(
    tx: &mut PgConnection,
    way: Way,
    writes: &[Write],
    now: UnixTime,
) -> Result<Vec<Option<Version>>, StoreError> {
    let rows = commit_v1(tx, way, &Columns::of(writes), now)
        .await
        .map_err(|e| refusal(&e).unwrap_or_else(|| unavailable(e)))?;
    Answer::read(&rows).map_err(unavailable)?.versions(writes)
}

/// One call of `commit_v1`. All rows are fetched: where the statement is the transaction, it commits after the last
/// one, and an answer that has not been read to its end has not been committed.
async fn commit_v1(
    db: &mut PgConnection,
    way: Way,
    writes: &Columns<'_>,
    now: UnixTime,
) -> Result<Vec<PgRow>, sqlx::Error> {
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
        .persistent(way == Way::Direct)
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

fn stored(row: &PgRow) -> Result<Stored, sqlx::Error> {
    let schema = row.try_get::<i32, _>("schema")?;
    let record = Record {
        schema: u16::try_from(schema).map_err(|e| sqlx::Error::Decode(e.into()))?,
        body: row.try_get("body")?,
        expires_at: row.try_get::<Option<i64>, _>("expires_at")?.map(UnixTime::from_secs),
    };
    Ok(Stored { record, version: Version(row.try_get::<i64, _>("version")?.unsigned_abs()) })
}
