//! The seam to other people's DIDs: which document a DID has now.
//!
//! did:key, did:jwk, did:peer and (feature `w3c`) did:pkh resolve from their own text, did:web and (feature `webvh`)
//! did:webvh by what the merchant fetches. A [`DidResolver`] adds methods beyond these. Only a DID that the trust names is ever resolved.

use std::{fmt, future::Future};

#[cfg(feature = "webvh")]
use crate::webvh::WebvhError;
use crate::{
    fetch::FetchError,
    protocol::{
        did::{Did, DidDocument, DidError},
        json::JsonError,
    },
    store::BoxError,
};

#[cfg(feature = "w3c")]
pub(crate) mod account;
pub(crate) mod any;

/// What a DID leads to.
#[derive(Clone, Debug)]
pub struct Resolved {
    /// The document, with the DID itself as its `id`.
    pub document: DidDocument,
    /// How long it may be kept, in seconds, if its source says: at most an hour counts.
    pub max_age_s: Option<u64>,
}

/// Resolves DIDs of methods that the library does not know by itself.
pub trait DidResolver: fmt::Debug + Send + Sync + 'static {
    /// The document of a DID: bounded in size and time, and from nowhere that the method does not name.
    ///
    /// # Errors
    /// Why there is none; [`ResolveError::Method`] for a method that it does not know either.
    fn resolve(&self, did: &Did) -> impl Future<Output = Result<Resolved, ResolveError>> + Send;
}

/// Why a DID leads to no key.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ResolveError {
    /// The DID, or its document, does not hold.
    #[error(transparent)]
    Did(#[from] DidError),
    /// Nobody here knows the method.
    #[error("nobody resolves did:{0} here: add .did_resolver(..)")]
    Method(String),
    /// The document cannot be fetched.
    #[error(transparent)]
    Fetch(#[from] FetchError),
    /// The document is not strict JSON.
    #[error("the DID document is not JSON")]
    Json(#[from] JsonError),
    /// The document is of another DID.
    #[error("the document is of {found}, not of {expected}")]
    OtherDid {
        /// The DID that was asked for.
        expected: Did,
        /// The one that the document names.
        found: Did,
    },
    /// The log of a did:webvh does not hold.
    #[cfg(feature = "webvh")]
    #[error(transparent)]
    Log(#[from] WebvhError),
    /// The document has no such key to issue with.
    #[error("the DID document lists no key of that name, which we can verify with, under assertionMethod")]
    NoKey,
    /// A resolver of the merchant's own failed.
    #[error("the DID does not resolve")]
    Other(#[source] BoxError),
}

impl ResolveError {
    /// A stable name of the check that failed.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::Did(error) => error.code(),
            Self::Method(_) => "did_method_unknown",
            Self::Fetch(error) => error.code(),
            Self::Json(error) => error.code(),
            Self::OtherDid { .. } => "did_document_of_another",
            #[cfg(feature = "webvh")]
            Self::Log(WebvhError::RolledBack { .. }) => "did_log_rolled_back",
            #[cfg(feature = "webvh")]
            Self::Log(_) => "did_log",
            Self::NoKey => "did_no_key",
            Self::Other(_) => "did_resolver",
        }
    }
}
