//! What an error of PostgreSQL says about a commit.

use std::borrow::Cow;

use sqlx::postgres::{PgDatabaseError, PgSeverity};

use super::{BoxError, StoreError};

/// A serialisation failure.
const GIVEN_UP_SERIAL: &str = "40001";
/// A deadlock.
const GIVEN_UP_DEADLOCK: &str = "40P01";

/// Why a commit failed.
pub(super) enum Failed {
    /// PostgreSQL gave it up for another's sake: the same commit may succeed now.
    Retry(StoreError),
    /// For good, as far as this call goes: trying again is the caller's to decide.
    Final(StoreError),
}

impl Failed {
    /// What an error means that came before a commit could be sent, or where it was not: nothing was committed.
    pub(super) fn before_commit(error: sqlx::Error) -> Self {
        if let Some(refused) = refusal(&error) {
            return Self::Final(refused);
        }
        match code(&error).as_deref() {
            Some(GIVEN_UP_SERIAL | GIVEN_UP_DEADLOCK) => Self::Retry(unavailable(error)),
            _ => Self::Final(unavailable(error)),
        }
    }

    /// What an error means that came after the commit was sent. An answer of the server that leaves the connection
    /// alive says that the transaction was aborted; everything else may have come after it was committed.
    pub(super) fn from_commit(error: sqlx::Error) -> Self {
        if let Some(refused) = refusal(&error) {
            return Self::Final(refused);
        }
        let aborted = error.as_database_error().and_then(|e| {
            let e = e.try_downcast_ref::<PgDatabaseError>()?;
            let fatal = matches!(e.severity(), PgSeverity::Fatal | PgSeverity::Panic);
            (!fatal).then(|| e.code().to_owned())
        });
        match aborted.as_deref() {
            Some(GIVEN_UP_SERIAL | GIVEN_UP_DEADLOCK) => Self::Retry(unavailable(error)),
            // Statement completion unknown, connection exceptions, shutdown.
            Some(code) if code != "40003" && !code.starts_with("08") && !code.starts_with("57P") => {
                Self::Final(unavailable(error))
            }
            _ => Self::Final(StoreError::Unknown(cause(error))),
        }
    }
}

/// What PostgreSQL will not do however often it is asked.
pub(super) fn refusal(error: &sqlx::Error) -> Option<StoreError> {
    let code = code(error)?;
    let refusal = match &*code {
        "FH001" => "the transaction is not READ COMMITTED: begin it without another isolation level".to_owned(),
        // A value that the database does not take.
        code if code.starts_with("22") => format!("PostgreSQL does not take a value ({code})"),
        _ => return None,
    };
    Some(StoreError::Refused(refusal))
}

pub(super) fn code(error: &sqlx::Error) -> Option<Cow<'_, str>> {
    error.as_database_error()?.code()
}

pub(super) fn unavailable(error: sqlx::Error) -> StoreError {
    StoreError::Unavailable(cause(error))
}

/// The error as it may be logged. PostgreSQL's detail and context quote values, so only code and message are kept.
pub(super) fn cause(error: sqlx::Error) -> BoxError {
    match error.as_database_error() {
        Some(e) => format!("PostgreSQL: {} ({})", e.message(), e.code().unwrap_or_default()).into(),
        None => error.into(),
    }
}
