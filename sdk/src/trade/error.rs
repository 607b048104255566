//! What goes wrong with the merchant's own parts while somebody buys.

use crate::{error::Fault, store::BoxError};

/// A part of the merchant's did not do what it is there for. Nothing is decided by that, and nothing is sold.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TradeError {
    /// It did not answer: the customer may try again.
    #[error("the shop's own {part} did not answer")]
    Unavailable {
        /// Which part, such as `catalogue`.
        part: &'static str,
        /// What it said.
        source: BoxError,
    },
    /// It answered what cannot be: it is the same when the customer tries again, until somebody has mended it.
    #[error("the shop's own {part} answered what cannot be: {source}")]
    Invalid {
        /// Which part, such as `catalogue`.
        part: &'static str,
        /// What is wrong with it.
        source: BoxError,
    },
}

impl TradeError {
    /// This part did not answer, because of this: `TradeError::new("catalogue", error)`.
    pub fn new(part: &'static str, source: impl Into<BoxError>) -> Self {
        Self::Unavailable { part, source: source.into() }
    }

    /// What this part has to say cannot be: a class without a rate, an answer to another question.
    pub fn invalid(part: &'static str, source: impl Into<BoxError>) -> Self {
        Self::Invalid { part, source: source.into() }
    }

    /// The stable name of what went wrong.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Unavailable { .. } => "trade_unavailable",
            Self::Invalid { .. } => "trade_invalid",
        }
    }

    /// Who has to do something about it.
    #[must_use]
    pub const fn fault(&self) -> Fault {
        match self {
            Self::Unavailable { .. } => Fault::Operations,
            Self::Invalid { .. } => Fault::Merchant,
        }
    }
}
