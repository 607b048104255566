//! What goes wrong, and what the customer reads then.

use axum::{
    http::StatusCode,
    response::{IntoResponse, Response},
};
use firsthand_axum::Problem;

use crate::pages;

/// What went wrong.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Trouble {
    /// The library refuses, and says why: `firsthand.js` knows what to do about most of it.
    #[error(transparent)]
    Refused(#[from] Problem),
    /// The database does not answer.
    #[error("the database: {0}")]
    Database(#[from] sqlx::Error),
    /// The sessions of the old login cannot be read or written.
    #[error("the old sessions: {0}")]
    Sessions(#[from] tower_sessions::session::Error),
    /// Nobody is signed in the old way.
    #[error("Sign in the old way once more: we move the account that you show us.")]
    NoOldSession,
    /// The account has moved.
    #[error("This account has moved: come in by your wallet or passkey. If that was not you, ask us.")]
    Moved,
    /// Whoever moves has moved another account already.
    #[error("You have moved another account already. If both are yours, ask us to join them.")]
    Another,
    /// The last day of the old login is over.
    #[error("The old login is closed for new accounts: come in by your wallet or passkey.")]
    Over,
    /// Not a form of ours.
    #[error("Fill in the form: a provider of ours, an account there and an address.")]
    Form,
}

impl From<firsthand_axum::Error> for Trouble {
    fn from(error: firsthand_axum::Error) -> Self {
        Self::Refused(error.into())
    }
}

impl IntoResponse for Trouble {
    fn into_response(self) -> Response {
        let status = match self {
            Self::Refused(problem) => return problem.into_response(),
            Self::Database(_) | Self::Sessions(_) => {
                tracing::error!(error = %self, "a request failed");
                return pages::trouble(
                    StatusCode::SERVICE_UNAVAILABLE,
                    "Something is broken on our side. Try again later.",
                );
            }
            Self::NoOldSession => StatusCode::UNAUTHORIZED,
            Self::Moved | Self::Another => StatusCode::CONFLICT,
            Self::Over => StatusCode::FORBIDDEN,
            Self::Form => StatusCode::UNPROCESSABLE_ENTITY,
        };
        pages::trouble(status, &self.to_string())
    }
}
