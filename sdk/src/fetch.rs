//! The seam to other people's servers: all egress goes through one method.
//!
//! A fetch is decided before it is made: only URLs of issuers that are trusted already, and of status lists whose
//! credential has been verified, ever come here. [`address`] decides where a fetch may go, [`Https`] goes there.

use std::{fmt, future::Future, time::Duration};

use bytes::Bytes;
use http::HeaderMap;
use url::Url;

use crate::store::BoxError;

pub mod address;
pub(crate) mod any;
pub(crate) mod cached;
#[cfg(feature = "https")]
mod https;

#[cfg(feature = "https")]
pub use https::Https;

/// One GET, or one POST.
#[derive(Clone, Debug)]
pub struct FetchRequest {
    /// Where from.
    pub url: Url,
    /// The media type that is asked for, as `Accept`.
    pub accept: &'static str,
    /// The largest body, in bytes; reading stops there.
    pub body_bytes_max: usize,
    /// How many redirects may be followed, each checked like the first address. 0 for most; 3 for status lists. A POST
    /// follows none, whatever stands here.
    pub redirects_max: u8,
    /// How long the whole fetch may take.
    pub timeout: Duration,
    /// What is sent: none for a GET.
    pub post: Option<Post>,
}

impl FetchRequest {
    /// A GET that follows no redirect and may take five seconds.
    #[must_use]
    pub const fn get(url: Url, accept: &'static str, body_bytes_max: usize) -> Self {
        Self { url, accept, body_bytes_max, redirects_max: 0, timeout: TIMEOUT, post: None }
    }

    /// The same as a POST of this.
    #[must_use]
    pub fn post(self, post: Post) -> Self {
        Self { redirects_max: 0, post: Some(post), ..self }
    }
}

/// How long a fetch may take unless somebody says otherwise.
const TIMEOUT: Duration = Duration::from_secs(5);

/// What a POST sends. Its answer is never kept.
#[derive(Clone, PartialEq, Eq)]
pub struct Post {
    /// `Content-Type`.
    pub content_type: &'static str,
    /// More headers, by names in lower case. Their values may be secrets.
    pub headers: Vec<(&'static str, String)>,
    /// The body.
    pub body: Bytes,
}

impl fmt::Debug for Post {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<&str> = self.headers.iter().map(|(name, _)| *name).collect();
        f.debug_struct("Post")
            .field("content_type", &self.content_type)
            .field("headers", &names)
            .field("body_bytes", &self.body.len())
            .finish_non_exhaustive()
    }
}

/// What came back: with status 200 to a GET, with any of 200 to 299 to a POST.
#[derive(Clone, Debug)]
pub struct Fetched {
    /// `Content-Type`, lower case, without parameters.
    pub content_type: Option<String>,
    /// The body.
    pub body: Bytes,
    /// How long the sender says it may be kept, in seconds, by `Cache-Control`.
    pub max_age_s: Option<u64>,
    /// All headers, for whoever checks a signature that stands there.
    pub headers: HeaderMap,
}

/// Why nothing was fetched.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum FetchError {
    /// The address is not one that we connect to; no packet was sent to it.
    #[error("refused to connect: {reason}")]
    Refused {
        /// Which rule the address breaks.
        reason: &'static str,
    },
    /// The body is larger than asked for.
    #[error("the body is larger than {max} bytes")]
    TooLarge {
        /// The bound.
        max: usize,
    },
    /// More redirects than allowed.
    #[error("more than {max} redirects")]
    TooManyRedirects {
        /// The bound.
        max: u8,
    },
    /// The server answered, but not with 200 (to a POST: not with 200 to 299).
    #[error("the server answered {0}")]
    Status(u16),
    /// It took too long.
    #[error("no answer within {0:?}")]
    Timeout(Duration),
    /// The connection failed, or broke before the body was whole.
    #[error("the connection failed")]
    Failed(#[source] BoxError),
    /// This machine cannot make TLS connections.
    #[error("this machine cannot make https connections; see that it has a store of root certificates")]
    Setup(#[source] BoxError),
}

impl FetchError {
    /// A stable name of the check that failed.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Refused { .. } => "fetch_refused",
            Self::TooLarge { .. } => "fetch_too_large",
            Self::TooManyRedirects { .. } => "fetch_too_many_redirects",
            Self::Status(_) => "fetch_status",
            Self::Timeout(_) => "fetch_timeout",
            Self::Failed(_) => "fetch_failed",
            Self::Setup(_) => "fetch_setup",
        }
    }
}

/// All egress of the library.
pub trait Fetch: fmt::Debug + Send + Sync + 'static {
    /// Fetches one document: everything that [`FetchRequest`] bounds is bounded, and only status 200 is an answer. To a
    /// POST any status from 200 to 299 is one, and a redirect is none: what is sent goes to one address.
    ///
    /// # Errors
    /// Why there is no document.
    fn fetch(&self, request: &FetchRequest) -> impl Future<Output = Result<Fetched, FetchError>> + Send;
}
