//! The seam to durable memory: versioned records, and nothing else.
//!
//! One operation decides everything: [`Store::commit`] applies all of its writes or none, and each write may demand
//! that its key is absent or still at the version that was read. Replay guards, idempotency, the lock of every state
//! machine, indexes, queues and feeds are all built from that.
//!
//! Rules every store keeps (and `testing::store_conformance` checks):
//! - a record whose `expires_at` is not after the passed `now` is absent, in every operation;
//! - a version is never used twice, also not after a delete: version 7 read once can never match another record;
//! - `scan` goes in the order of the keys' bytes;
//! - a commit that may or may not have happened is [`StoreError::Unknown`], never a plain failure.

mod any;
mod memory;
mod ordered;
#[cfg(feature = "postgres")]
mod postgres;
mod rules;
#[cfg(feature = "sqlite")]
mod sqlite;
mod typed;

use std::{fmt, future::Future, sync::Arc};

pub(crate) use any::{AnyStore, was_decided_long_ago};
pub use memory::Memory;
pub(crate) use ordered::{by_time, due_at, named, newest_first, shard_of, shards};
#[cfg(feature = "postgres")]
pub use postgres::{PgConnection, Postgres};
#[cfg(feature = "sqlite")]
pub use sqlite::{Sqlite, SqliteConnection};
pub(crate) use typed::Persisted;

use crate::time::UnixTime;

/// The name of a record: what it is (`kind`), what it is stored with (`partition`), and which it is (`sort`).
///
/// A commit stays in one partition where it can, so that a store may be split by partition. `kind` is 1 to
/// [`Key::KIND_BYTES_MAX`] bytes of `[a-z_]`, partition and sort at most [`Key::PART_BYTES_MAX`] bytes each, without
/// NUL. A key shows in logs: it is made of random names and digests, never of what a customer told us.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Key {
    /// What the record is.
    pub kind: &'static str,
    /// What it is stored with.
    pub partition: String,
    /// Which one it is, within its partition; may be empty.
    pub sort: String,
}

impl Key {
    /// The longest kind, in bytes.
    pub const KIND_BYTES_MAX: usize = 32;
    /// The longest partition and the longest sort, in bytes: both fit any database's index entry.
    pub const PART_BYTES_MAX: usize = 256;

    /// A key of three parts.
    pub fn new(kind: &'static str, partition: impl Into<String>, sort: impl Into<String>) -> Self {
        Self { kind, partition: partition.into(), sort: sort.into() }
    }
}

/// Where a scan looks: one kind, one partition, and the keys whose `sort` begins with a text.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Prefix {
    /// What the records are.
    pub kind: &'static str,
    /// The partition they are in.
    pub partition: String,
    /// What their `sort` begins with; empty for all.
    pub sort: String,
}

/// The version of one record as it was read or written: opaque, never used twice in a store.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Version(pub u64);

/// What is kept under a key.
#[derive(Clone, PartialEq, Eq)]
pub struct Record {
    /// The number of the body's shape; a reader accepts its own and the one before.
    pub schema: u16,
    /// JSON text, at most [`Record::BYTES_MAX`] bytes, without the character NUL in any string (`\u0000`), at most 127
    /// levels deep. A store keeps the value, not the spelling: spaces, the order of members and the notation of
    /// fractions may come back different.
    pub body: String,
    /// From this time on the record is absent; `None` keeps it.
    pub expires_at: Option<UnixTime>,
}

impl Record {
    /// The largest body, in bytes.
    pub const BYTES_MAX: usize = 256 * 1024;
}

impl fmt::Debug for Record {
    /// Without the body: it may hold what a customer told us.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Record")
            .field("schema", &self.schema)
            .field("body_bytes", &self.body.len())
            .field("expires_at", &self.expires_at)
            .finish()
    }
}

/// A record as it was read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stored {
    /// The record.
    pub record: Record,
    /// Its version at the time of reading.
    pub version: Version,
}

/// What a write demands of its key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Expect {
    /// Nothing.
    Any,
    /// That no record (or an expired one) is there.
    Absent,
    /// That the record is still the one that was read.
    Version(Version),
}

/// One part of a commit. A commit names each key at most once.
#[derive(Clone, Debug)]
pub enum Write {
    /// Writes a record.
    Put {
        /// Its name.
        key: Key,
        /// What to write.
        record: Record,
        /// What must be true of the key.
        expect: Expect,
    },
    /// Removes a record. With `Expect::Any` it may be absent already.
    Delete {
        /// Its name.
        key: Key,
        /// What must be true of the key.
        expect: Expect,
    },
    /// Writes nothing, but the commit fails unless this holds.
    Check {
        /// The record that is looked at.
        key: Key,
        /// What must be true of the key.
        expect: Expect,
    },
}

impl Write {
    /// Writes `record` under `key`.
    #[must_use]
    pub const fn put(key: Key, record: Record, expect: Expect) -> Self {
        Self::Put { key, record, expect }
    }

    /// Removes the record under `key`.
    #[must_use]
    pub const fn delete(key: Key, expect: Expect) -> Self {
        Self::Delete { key, expect }
    }

    /// Writes nothing, and lets the commit fail unless `expect` holds of `key`.
    #[must_use]
    pub const fn check(key: Key, expect: Expect) -> Self {
        Self::Check { key, expect }
    }

    /// The key that this write concerns.
    #[must_use]
    pub const fn key(&self) -> &Key {
        match self {
            Self::Put { key, .. } | Self::Delete { key, .. } | Self::Check { key, .. } => key,
        }
    }

    /// What this write demands of its key.
    #[must_use]
    pub const fn expect(&self) -> Expect {
        match self {
            Self::Put { expect, .. } | Self::Delete { expect, .. } | Self::Check { expect, .. } => *expect,
        }
    }
}

/// Why a store could not do what it was asked.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StoreError {
    /// An expectation of the commit did not hold; nothing was written.
    #[error("the {} record is not as expected: nothing was written, load it again", .0.kind)]
    Conflict(Key),
    /// Whether the commit happened is not known: the connection broke after it was sent.
    #[error("the commit may or may not have happened: read it back by its operation id")]
    Unknown(#[source] BoxError),
    /// The request cannot be served: too large, a key twice, a bad name, a store that is set up wrongly. Nothing was
    /// written, and asking again changes nothing.
    #[error("the store was asked for what it cannot do: {0}")]
    Refused(String),
    /// A record has a shape that this program does not read (too new, or older than one step back).
    #[error("record {kind} has schema {found}, this program reads {current} and the one before")]
    Schema {
        /// The kind of record.
        kind: &'static str,
        /// The schema number found.
        found: u16,
        /// The schema number that this program writes.
        current: u16,
    },
    /// A record's body is not what its schema says.
    #[error("record {kind} cannot be read")]
    Unreadable {
        /// The kind of record.
        kind: &'static str,
        /// What the reader said.
        #[source]
        source: BoxError,
    },
    /// The store did not answer; nothing was written.
    #[error("the store did not answer; nothing was written")]
    Unavailable(#[source] BoxError),
}

impl StoreError {
    /// A stable name for this error, for logs and metrics.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Conflict(_) => "store_conflict",
            Self::Unknown(_) => "store_unknown",
            Self::Refused(_) => "store_refused",
            Self::Schema { .. } => "store_schema",
            Self::Unreadable { .. } => "store_unreadable",
            Self::Unavailable(_) => "store_unavailable",
        }
    }
}

/// Which database a store keeps its records in: drawn at random when its tables are made, and the same for whoever
/// opens that database. A copy of a database has the identity of its original.
///
/// The stores that can join a transaction of the merchant's own have one. It tells that a write and a transaction
/// belong to the same database; it is not secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoreIdentity(Arc<str>);

/// A cause from below, whatever it is.
pub type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// Durable memory for versioned records. Implementations run `firsthand::testing::store_conformance`.
///
/// A store never reads a clock: every operation is told the time, and a time that goes back is served as well.
pub trait Store: fmt::Debug + Send + Sync + 'static {
    /// Reads records, in the order of `keys`; at most [`KEYS_MAX`] keys. Absent and expired ones are `None`. All are
    /// read at one moment: a commit shows in all of them or in none.
    ///
    /// # Errors
    /// [`StoreError::Refused`] for too many keys or a bad name, [`StoreError::Unavailable`].
    fn load(&self, keys: &[Key], now: UnixTime)
    -> impl Future<Output = Result<Vec<Option<Stored>>, StoreError>> + Send;

    /// Applies all writes (at most [`KEYS_MAX`]) or none, and returns the new version of each `Put` (for other writes,
    /// `None`). When it returns, the writes are durable. What takes over a minute is to be cut off and never applied
    /// later: the library commits nothing that it decided more than a minute ago, and what expires is swept two minutes
    /// later, so that whoever commits still finds the marks of what works once.
    ///
    /// # Errors
    /// - [`StoreError::Conflict`] with the first key whose expectation did not hold;
    /// - [`StoreError::Refused`] for what no store takes: too many writes, a key twice, a bad name, a body that is too
    ///   large or is not JSON;
    /// - [`StoreError::Unknown`] if the commit may have happened;
    /// - [`StoreError::Unavailable`] if it did not.
    fn commit(
        &self,
        writes: &[Write],
        now: UnixTime,
    ) -> impl Future<Output = Result<Vec<Option<Version>>, StoreError>> + Send;

    /// Reads up to `limit` (at most [`SCAN_MAX`]) records under a prefix, in the order of `sort`'s bytes, beginning
    /// after the sort text `after`.
    ///
    /// # Errors
    /// [`StoreError::Refused`] for too large a limit or a bad name, [`StoreError::Unavailable`].
    fn scan(
        &self,
        prefix: &Prefix,
        after: Option<&str>,
        limit: usize,
        now: UnixTime,
    ) -> impl Future<Output = Result<Vec<(Key, Stored)>, StoreError>> + Send;

    /// Removes up to `limit` expired records and says how many: housekeeping, never needed for correctness.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`], or [`StoreError::Unknown`] if some may have been removed.
    fn sweep(&self, now: UnixTime, limit: usize) -> impl Future<Output = Result<usize, StoreError>> + Send;

    /// Which database this is, if its writes can join a transaction of the merchant's own. A store that wraps another
    /// passes on the identity of that one; every other store leaves this as it is.
    fn identity(&self) -> Option<&StoreIdentity> {
        None
    }

    /// How often the records were put back from a backup. What the library gives out without storing it, such as nonces, is
    /// taken within one epoch alone. A store that wraps another passes on the epoch of that one.
    fn epoch(&self) -> u64 {
        0
    }
}

/// The most keys of one [`Store::load`], and the most writes of one [`Store::commit`].
pub const KEYS_MAX: usize = 64;

/// The most records of one [`Store::scan`].
pub const SCAN_MAX: usize = 1_000;
