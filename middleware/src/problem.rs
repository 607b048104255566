//! The one place that turns errors into HTTP: `application/problem+json` (RFC 9457), with a stable `code`.

use axum::response::{IntoResponse, Response};
use firsthand::{
    Error,
    error::{Fault, ProofError, Refusal},
    presentation::StepError,
};
use http::{HeaderValue, StatusCode, header};
use serde::Serialize;

/// What went wrong, as a client is told: little to strangers, the rest goes to the log.
///
/// A merchant's own handlers return it too: `async fn buy(known: Known) -> Result<Html<String>, Problem>`, and an error
/// enum of their own takes `From<firsthand::Error>`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Problem {
    /// A URN that names the kind of problem: `urn:firsthand:` and the code.
    #[serde(rename = "type", serialize_with = "urn")]
    kind: &'static str,
    /// The HTTP status in words.
    title: &'static str,
    /// The HTTP status.
    status: u16,
    /// The stable name of the problem, for programs.
    code: &'static str,
    /// What to do about it.
    detail: String,
    // Boxed: a handler's `Result` is as large as its error, and clippy tells a merchant so from 128 bytes on.
    /// The ask whose proof is missing.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(value_type = Option<String>))]
    ask: Option<Box<str>>,
    /// The claims in which an answer contradicts what is kept.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(value_type = Option<Vec<String>>))]
    claims: Option<Box<[String]>>,
    #[serde(skip)]
    retry_s: Option<u32>,
}

fn urn<S: serde::Serializer>(code: &&'static str, to: S) -> Result<S::Ok, S::Error> {
    to.collect_str(&format_args!("urn:firsthand:{code}"))
}

impl Problem {
    pub(crate) fn new(status: StatusCode, code: &'static str, detail: impl Into<String>) -> Self {
        Self {
            kind: code,
            title: status.canonical_reason().unwrap_or_default(),
            status: status.as_u16(),
            code,
            detail: detail.into(),
            ask: None,
            claims: None,
            retry_s: None,
        }
    }

    /// What a wallet is told: that its answer is refused, not which check it failed. Whoever guesses learns nothing.
    pub(crate) fn for_wallet(error: &Error) -> Self {
        match error {
            Error::Answer(_) => {
                tracing::info!(code = error.code(), error = %Causes(error), "an answer is refused");
                Self::new(StatusCode::BAD_REQUEST, "answer_refused", "the answer is refused")
            }
            other => Self::from_error(other),
        }
    }

    /// The status that goes out.
    #[must_use]
    pub fn status(&self) -> StatusCode {
        StatusCode::from_u16(self.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR)
    }

    /// The stable name of the problem.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        self.code
    }

    pub(crate) fn with_detail(mut self, detail: impl Into<String>) -> Self {
        self.detail = detail.into();
        self
    }

    pub(crate) fn about_ask(mut self, ask: &str) -> Self {
        self.ask = Some(ask.into());
        self
    }

    fn from_error(error: &Error) -> Self {
        let status = status_of(error);
        match error.fault() {
            Fault::Operations | Fault::Merchant => {
                tracing::error!(code = error.code(), error = %Causes(error), "a request failed");
                // The cause is the merchant's business.
                return Self::new(status, error.code(), "this is our fault: try again later");
            }
            _ => tracing::debug!(code = error.code(), error = %Causes(error), "a request is refused"),
        }
        let mut problem = Self::new(status, error.code(), error.to_string());
        if let Error::Refused(refusal) = error {
            match refusal {
                Refusal::ProofNeeded { ask, .. } => problem.ask = Some(ask.as_str().into()),
                Refusal::AnotherPerson { claims } => problem.claims = Some(claims.as_slice().into()),
                Refusal::TooMany { retry_s } => problem.retry_s = Some(u32::try_from(*retry_s).unwrap_or(u32::MAX)),
                _ => {}
            }
        }
        problem
    }
}

fn status_of(error: &Error) -> StatusCode {
    match error {
        Error::Answer(_) => StatusCode::BAD_REQUEST,
        Error::Proof(_) => StatusCode::UNAUTHORIZED,
        Error::Step(StepError::Expired) => StatusCode::GONE,
        Error::Step(StepError::OtherBrowser | StepError::WrongCode | StepError::Declined | StepError::Exhausted) => {
            StatusCode::FORBIDDEN
        }
        Error::Step(_) => StatusCode::CONFLICT,
        Error::Refused(refusal) => match refusal {
            Refusal::NoSuchAsk | Refusal::NoSuchPresentation | Refusal::NoSuchSession => StatusCode::NOT_FOUND,
            Refusal::ReturnTo | Refusal::WalletNonce(_) => StatusCode::BAD_REQUEST,
            Refusal::NotKnown => StatusCode::UNAUTHORIZED,
            Refusal::AnotherPerson { .. } => StatusCode::CONFLICT,
            Refusal::TooMany { .. } => StatusCode::TOO_MANY_REQUESTS,
            _ => StatusCode::FORBIDDEN,
        },
        Error::Unavailable { .. } => StatusCode::SERVICE_UNAVAILABLE,
        _ => StatusCode::INTERNAL_SERVER_ERROR,
    }
}

/// The program forgot something. The log says what; a client learns of it only from a program that is not built for
/// production, where the client is whoever writes it.
pub(crate) fn misuse(what: String) -> Problem {
    let problem = Problem::from(Error::Misuse(what.clone()));
    if cfg!(debug_assertions) { problem.with_detail(what) } else { problem }
}

impl From<Error> for Problem {
    fn from(error: Error) -> Self {
        Self::from_error(&error)
    }
}

impl From<ProofError> for Problem {
    fn from(error: ProofError) -> Self {
        Self::from_error(&error.into())
    }
}

impl From<Refusal> for Problem {
    fn from(refusal: Refusal) -> Self {
        Self::from_error(&refusal.into())
    }
}

impl std::fmt::Display for Problem {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.detail)
    }
}

impl std::error::Error for Problem {}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let status = self.status();
        let body = serde_json::to_vec(&self).unwrap_or_default();
        let mut response = (status, body).into_response();
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("private, no-store"));
        if status == StatusCode::UNAUTHORIZED {
            headers.insert(header::WWW_AUTHENTICATE, challenge(self.code));
        }
        if let Some(retry_s) = self.retry_s {
            headers.insert(header::RETRY_AFTER, HeaderValue::from(retry_s));
        }
        // Tells the layer whose answer this is: it adds the nonce that the next proof needs.
        response.extensions_mut().insert(self);
        response
    }
}

/// What a 401 says of how to prove oneself (RFC 9449, 7.1): the scheme, what is wrong, and which algorithms a proof may
/// use.
pub(crate) fn challenge(code: &str) -> HeaderValue {
    HeaderValue::from_static(match code {
        "use_dpop_nonce" => "DPoP error=\"use_dpop_nonce\", algs=\"ES256 EdDSA Ed25519\"",
        "invalid_dpop_proof" => "DPoP error=\"invalid_dpop_proof\", algs=\"ES256 EdDSA Ed25519\"",
        "invalid_token" => "DPoP error=\"invalid_token\", algs=\"ES256 EdDSA Ed25519\"",
        _ => "DPoP algs=\"ES256 EdDSA Ed25519\"",
    })
}

/// An error with its causes, for one line of a log. No error of the library carries personal data.
struct Causes<'a>(&'a Error);

impl std::fmt::Display for Causes<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}", self.0)?;
        let mut cause = std::error::Error::source(self.0);
        while let Some(error) = cause {
            write!(f, ": {error}")?;
            cause = error.source();
        }
        Ok(())
    }
}
