//! The seam to other people's servers: all egress goes through one method.
//!
//! A fetch is decided before it is made: only URLs of issuers that are trusted already, and of status lists whose
//! credential has been verified, ever come here. [`address`] decides where a fetch may go, [`Https`] goes there.

use std::{fmt, future::Future, time::Duration};

use bytes::Bytes;
use http::HeaderMap;
use url::Url;

use crate::{store::BoxError, time::UnixTime};

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
    /// The server answered 429 or 503, and said when to come again.
    #[error("the server answered {status}: come again later")]
    Busy {
        /// What it answered.
        status: u16,
        /// When to come again.
        after: RetryAfter,
    },
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
            Self::Status(_) | Self::Busy { .. } => "fetch_status",
            Self::Timeout(_) => "fetch_timeout",
            Self::Failed(_) => "fetch_failed",
            Self::Setup(_) => "fetch_setup",
        }
    }
}

/// When a server wants to be asked again (`Retry-After`, RFC 9110, section 10.2.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum RetryAfter {
    /// After so many seconds.
    Seconds(u64),
    /// Then.
    At(UnixTime),
}

impl RetryAfter {
    /// Reads the header: a number of seconds, or a date as HTTP writes them. Anything else says nothing.
    #[must_use]
    pub fn read(text: &str) -> Option<Self> {
        let text = text.trim();
        if text.is_empty() || text.len() > 40 {
            return None;
        }
        if text.bytes().all(|b| b.is_ascii_digit()) {
            return Some(Self::Seconds(text.parse().unwrap_or(u64::MAX)));
        }
        let at = jiff::fmt::rfc2822::DateTimeParser::new().parse_timestamp(text).ok()?;
        Some(Self::At(UnixTime::from_secs(at.as_second())))
    }

    /// How long that is from now on, in seconds: none if it is past.
    #[must_use]
    pub const fn wait_s(self, now: UnixTime) -> u64 {
        match self {
            Self::Seconds(seconds) => seconds,
            Self::At(at) => at.since_s(now),
        }
    }
}

/// All egress of the library.
pub trait Fetch: fmt::Debug + Send + Sync + 'static {
    /// Fetches one document: everything that [`FetchRequest`] bounds is bounded, and only status 200 is an answer. To a
    /// POST any status from 200 to 299 is one, and a redirect is none: what is sent goes to one address. A 429 or 503 with a
    /// `Retry-After` that can be read is [`FetchError::Busy`].
    ///
    /// # Errors
    /// Why there is no document.
    fn fetch(&self, request: &FetchRequest) -> impl Future<Output = Result<Fetched, FetchError>> + Send;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn when_to_come_again_is_a_number_or_a_date() {
        let now = UnixTime::from_secs(784_100_000);
        for (text, wait_s) in [
            ("120", Some(120)),
            (" 0 ", Some(0)),
            ("99999999999999999999999", Some(u64::MAX)),
            ("Sun, 06 Nov 1994 08:49:37 GMT", Some(11_777)),
            ("Sun, 06 Nov 1993 08:49:37 GMT", None),
            ("Sat, 06 Nov 1993 08:49:37 GMT", Some(0)),
            ("", None),
            ("-1", None),
            ("1.5", None),
            ("soon", None),
            ("1994-11-06T08:49:37Z", None),
        ] {
            assert_eq!(RetryAfter::read(text).map(|after| after.wait_s(now)), wait_s, "{text}");
        }
        assert_eq!(RetryAfter::read(&"1".repeat(41)), None);
    }
}
