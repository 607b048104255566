//! A signed request, from its headers to a proof that holds.

use std::sync::Once;

use axum::{
    extract::{FromRequestParts, OriginalUri},
    response::{IntoResponse, Response},
};
use firsthand::{
    Merchant,
    error::ProofError,
    merchant::{BrowserProof, ProofRequest, Recognised},
    protocol::dpop::DpopError,
};
use http::{HeaderMap, HeaderName, HeaderValue, Method, header, request::Parts};

use crate::{layer::keep_private, limit, problem::Problem};

pub(crate) const DPOP: HeaderName = HeaderName::from_static("dpop");
pub(crate) const DPOP_NONCE: HeaderName = HeaderName::from_static("dpop-nonce");

/// What a request brings to prove who sends it.
pub(crate) struct Signed {
    pub(crate) proof: BrowserProof,
    pub(crate) access_token: Option<String>,
}

/// Checks the proof of a request, if it brings one, but for its reuse; counts what its key asks for.
///
/// `Ok(None)` is a request that claims nothing. A token without a proof is an error, so is any other half of a claim.
pub(crate) fn check(merchant: &Merchant, parts: &Parts) -> Result<Option<Signed>, Problem> {
    let access_token = access_token(&parts.headers)?;
    // RFC 9449, 4.3 step 1: exactly one.
    let mut proofs = parts.headers.get_all(DPOP).iter();
    let proof = match (proofs.next(), proofs.next()) {
        (None, _) if access_token.is_none() => return Ok(None),
        (None, _) => return Err(ProofError::Missing.into()),
        (Some(one), None) => one.to_str().map_err(|_| ProofError::Header)?,
        (Some(_), Some(_)) => return Err(ProofError::Header.into()),
    };
    let uri = parts.extensions.get::<OriginalUri>().map_or(&parts.uri, |original| &original.0);
    let path = uri.path_and_query().map_or("/", |path| path.as_str());
    let request = ProofRequest { proof, method: parts.method.as_str(), path, access_token: access_token.as_deref() };
    let proof = merchant.check_proof(&request).map_err(|error| match error {
        ProofError::Dpop(DpopError::Url) => another_address(merchant, uri.path()),
        other => other.into(),
    })?;
    if let Some(limits) = limit::of(parts) {
        limits.key(&proof)?;
    }
    Ok(Some(Signed { proof, access_token }))
}

/// Lets a signed request act: its body is the one that the proof names, its customer is known, and then the proof is used
/// up, in a commit of its own. So a captured request cannot be sent a second time, to any node, and one whose body was
/// exchanged on the way uses up nothing. What is to be done once also if the answer is lost has a key of its own.
///
/// `body` is none of a request that [changes nothing](is_safe): its proof is used up on this node alone.
pub(crate) async fn admit(
    merchant: &Merchant,
    signed: &Signed,
    body: Option<&[u8]>,
) -> Result<Option<Recognised>, Problem> {
    let Signed { proof, access_token } = signed;
    match body {
        Some(bytes) => proof.check_body(bytes, !bytes.is_empty())?,
        None => merchant.look_once(proof)?,
    }
    // A proof without a token is nobody. It is no error: the key may not have met us yet.
    let known = match access_token {
        Some(token) => Some(merchant.recognise(proof, token).await?),
        None => None,
    };
    match (body, &known) {
        (None, _) => {}
        (Some(_), Some(_)) => merchant.spend(proof).await?,
        // Nobody does what anybody may do without a proof: that is worth no durable write, or whoever makes keys makes
        // records without end.
        (Some(_), None) => merchant.look_once(proof)?,
    }
    Ok(known)
}

/// The proof is for another address: most often because the shop was opened at another than it was told it has, such as
/// `127.0.0.1` for `localhost`. Whoever runs it wants to know, and a stranger learns what the address bar says.
fn another_address(merchant: &Merchant, path: &str) -> Problem {
    static TOLD: Once = Once::new();
    let origin = merchant.origin().as_str().trim_end_matches('/');
    TOLD.call_once(|| tracing::warn!("a proof is for another address than this shop's: open it at {origin}"));
    let detail = format!("the proof is for another address than {origin}{path}: open the shop at {origin}");
    Problem::from(ProofError::Dpop(DpopError::Url)).with_detail(detail)
}

/// Whether a request claims anything by a proof, right or wrong.
pub(crate) fn claims(parts: &Parts) -> bool {
    parts.headers.contains_key(DPOP) || !matches!(access_token(&parts.headers), Ok(None))
}

/// The token of `Authorization: DPoP`. Other schemes are the merchant's own.
fn access_token(headers: &HeaderMap) -> Result<Option<String>, ProofError> {
    let mut found = None;
    for value in headers.get_all(header::AUTHORIZATION) {
        let text = String::from_utf8_lossy(value.as_bytes());
        let (scheme, token) = text.split_once(' ').unwrap_or((&text, ""));
        if !scheme.eq_ignore_ascii_case("DPoP") {
            continue;
        }
        let token = token.trim_matches(' ');
        let plain = !token.is_empty() && token.len() <= 512 && token.bytes().all(|b| b.is_ascii_graphic() && b != b',');
        if !plain || found.replace(token.to_owned()).is_some() {
            return Err(ProofError::Authorization);
        }
    }
    Ok(found)
}

/// Whether a method changes nothing (RFC 9110, 9.2.1).
pub(crate) fn is_safe(method: &Method) -> bool {
    matches!(*method, Method::GET | Method::HEAD | Method::OPTIONS | Method::TRACE)
}

/// Whether a person is on their way to a page, rather than a script to data (Fetch Metadata).
pub(crate) fn is_navigation(headers: &HeaderMap) -> bool {
    headers.get("sec-fetch-mode").is_some_and(|mode| mode == "navigate")
}

/// Adds what a signed request's answer carries: a nonce for the next proof, and the time for a clock that is off.
pub(crate) fn refresh(merchant: &Merchant, response: &mut Response) {
    if let Ok(nonce) = HeaderValue::from_str(&merchant.nonce()) {
        response.headers_mut().insert(DPOP_NONCE, nonce);
    }
    if let Ok(date) = HeaderValue::from_str(&http_date(merchant.now())) {
        response.headers_mut().insert(header::DATE, date);
    }
}

/// A refusal of a proof, with what the next one needs.
pub(crate) fn refused(merchant: &Merchant, problem: Problem) -> Response {
    let mut response = problem.into_response();
    refresh(merchant, &mut response);
    keep_private(&mut response);
    response
}

/// RFC 9110, 5.6.7.
fn http_date(now: firsthand::time::UnixTime) -> String {
    let at = std::time::UNIX_EPOCH + std::time::Duration::from_secs(u64::try_from(now.as_secs()).unwrap_or_default());
    httpdate::fmt_http_date(at)
}

/// For our own routes: a request that must be signed. Where it may change something, the route uses up its proof: in the
/// commit of its effect where the library makes one of both, such as for a session that ends, else by [`admit`] before it.
pub(crate) struct Proved(pub(crate) Signed);

impl FromRequestParts<Merchant> for Proved {
    type Rejection = Response;

    async fn from_request_parts(parts: &mut Parts, merchant: &Merchant) -> Result<Self, Response> {
        let refuse = |problem: Problem| refused(merchant, problem);
        let signed = check(merchant, parts).map_err(refuse)?.ok_or_else(|| refuse(ProofError::Missing.into()))?;
        if is_safe(&parts.method) {
            merchant.look_once(&signed.proof).map_err(|error| refuse(error.into()))?;
        }
        Ok(Self(signed))
    }
}
