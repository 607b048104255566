//! DIDs: the shop's public one, which everybody may read, and those that customers bring.

use axum::{
    Extension, Router,
    extract::{DefaultBodyLimit, State},
    response::{IntoResponse, Response},
    routing::{get, post},
};
use firsthand::{
    Merchant,
    protocol::jose::{base64url_encode, sha256},
};
use http::{HeaderMap, HeaderValue, StatusCode, header};
use serde::Deserialize;

#[cfg(feature = "openapi")]
use super::TokenBody;
use super::{Answer, Body, act, fresh, granted, parse, recognise};
use crate::{
    limit::Limits,
    problem::Problem,
    signed::{Proved, Signed},
};

/// Two JWTs, each of which names two DIDs and may hold a third as its `kid`.
const DIDS_BYTES_MAX: usize = 40 * 1024;

/// How long others may keep the public document, in seconds: an hour. Previous keys stay in it.
const DOCUMENT_KEPT: &str = "public, max-age=3600";

pub(super) fn routes() -> Router<Merchant> {
    Router::new()
        .route("/dids", post(replace))
        .route("/dids/sign-in", post(sign_in))
        .layer(DefaultBodyLimit::max(DIDS_BYTES_MAX))
}

/// What is served outside of the mount path, at an address that a standard gives.
pub(super) fn well_known() -> Router<Merchant> {
    Router::new().route("/.well-known/did.json", get(did_document)).route("/.well-known/did.jsonl", get(did_log))
}

/// A customer's DID, shown by its own key.
#[derive(Debug, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub(crate) struct DidSignInBody {
    /// A JWT of the type `firsthand-sign-in+jwt`, signed by a key that the DID lists under `authentication`: `iss` and `sub`
    /// the DID (did:key, did:jwk or did:peer), `aud` the origin, `iat`, `nonce` the last `DPoP-Nonce`, and `cnf.jkt` the
    /// thumbprint of the key that signs this request.
    jwt: String,
}

/// One DID takes the place of another.
#[derive(Debug, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub(crate) struct DidReplacementBody {
    /// A JWT of the type `firsthand-did-handover+jwt`, signed by the old DID: `iss` the old DID, `sub` the new one, `aud` the
    /// origin, `iat`, and `nonce` the last `DPoP-Nonce`.
    handover: String,
    /// A JWT of the type `firsthand-did-takeover+jwt` with the same claims, signed by the new DID.
    takeover: String,
}

/// A customer shows a DID of their own.
///
/// A DID that is known begins a session of its customer. One that is not known is bound to the customer whose session comes
/// with the request, or begins a new customer.
#[cfg_attr(feature = "openapi", utoipa::path(
    post, path = "/dids/sign-in", tag = "customer", request_body = DidSignInBody,
    params(("DPoP" = String, Header, description = "A proof by the browser's key, with a token if the DID is to be bound to the customer of a session")),
    responses(
        (status = 200, body = TokenBody, description = "A session of the DID's customer"),
        (status = 204, description = "The DID is bound to the customer of the session"),
        (status = 400, body = Problem, content_type = "application/problem+json", description = "The JWT does not hold: `code` says which check failed"),
        (status = 401, body = Problem, content_type = "application/problem+json", description = "No proof, or the browser's key is a customer's and no session came with the request"),
        (status = 403, body = Problem, content_type = "application/problem+json", description = "Another DID took the place of this one, or the customer has to show something stronger first"),
        (status = 409, body = Problem, content_type = "application/problem+json", description = "The DID is another customer's than the browser's key: the two can be merged"),
    )
))]
pub(crate) async fn sign_in(
    State(merchant): State<Merchant>,
    Proved(signed): Proved,
    Extension(limits): Extension<Limits>,
    headers: HeaderMap,
    body: Body,
) -> Answer {
    let answer = async {
        let bytes = body.json(&headers)?;
        signed.proof.check_body(&bytes, true)?;
        let body: DidSignInBody = parse(&bytes)?;
        // A DID costs nothing to make, and each may leave a customer behind.
        limits.ask(&signed.proof)?;
        let here = match &signed.access_token {
            Some(_) => Some(recognise(&merchant, &signed).await?),
            None => None,
        };
        let Signed { proof, .. } = &signed;
        Ok(match merchant.sign_in_by_did(proof, &body.jwt, here.as_ref()).await? {
            Some(grant) => granted(&merchant, proof, grant).await.into_response(),
            None => StatusCode::NO_CONTENT.into_response(),
        })
    };
    Answer::signed(&merchant, answer.await)
}

/// A customer puts a new DID in the place of an old one: that of this browser's key, or one that was bound.
#[cfg_attr(feature = "openapi", utoipa::path(
    post, path = "/dids", tag = "customer", security(("dpop" = [])), request_body = DidReplacementBody,
    responses(
        (status = 204, description = "The new DID has taken the place of the old one; a browser's new key begins a session of its own"),
        (status = 400, body = Problem, content_type = "application/problem+json", description = "A JWT does not hold: `code` says which check failed"),
        (status = 401, body = Problem, content_type = "application/problem+json"),
        (status = 403, body = Problem, content_type = "application/problem+json", description = "One of the two was replaced before, or the customer has to show something stronger first"),
        (status = 404, body = Problem, content_type = "application/problem+json", description = "The old DID is neither this browser's nor bound to this customer"),
        (status = 409, body = Problem, content_type = "application/problem+json", description = "The new DID is bound already"),
    )
))]
pub(crate) async fn replace(
    State(merchant): State<Merchant>,
    Proved(signed): Proved,
    headers: HeaderMap,
    body: Body,
) -> Answer {
    let answer = async {
        let recognised = act(&merchant, &signed, &body).await?;
        let body: DidReplacementBody = parse(&body.json(&headers)?)?;
        recognised.replace_did(&signed.proof, &body.handover, &body.takeover).await?;
        Ok(StatusCode::NO_CONTENT)
    };
    Answer::signed(&merchant, answer.await)
}

/// Who the shop is towards everybody: the document of its did:web.
#[cfg_attr(feature = "openapi", utoipa::path(
    get, path = "/.well-known/did.json", tag = "public",
    responses(
        (status = 200, content_type = "application/did+json", body = Object, description = "A DID document: the shop's keys, current and previous"),
        (status = 304, description = "Known already"),
    )
))]
pub(crate) async fn did_document(State(merchant): State<Merchant>, headers: HeaderMap) -> Response {
    public(&headers, "application/did+json", merchant.public_document().to_json().to_string())
}

/// The history of the shop's public identity: the log of its did:webvh.
#[cfg_attr(feature = "openapi", utoipa::path(
    get, path = "/.well-known/did.jsonl", tag = "public",
    responses(
        (status = 200, content_type = "text/jsonl", body = String, description = "The log (did:webvh 1.0), one entry a line"),
        (status = 304, description = "Known already"),
        (status = 404, body = Problem, content_type = "application/problem+json", description = "The shop has no did:webvh"),
    )
))]
pub(crate) async fn did_log(State(merchant): State<Merchant>, headers: HeaderMap) -> Response {
    match merchant.public_log() {
        Some(log) => public(&headers, "text/jsonl", log.to_owned()),
        None => Problem::new(StatusCode::NOT_FOUND, "no_did_log", "this shop has no did:webvh").into_response(),
    }
}

/// A document that anybody may read, from any page, and keep for a while.
fn public(headers: &HeaderMap, media_type: &'static str, text: String) -> Response {
    let digest = base64url_encode(sha256(text.as_bytes()).get(..12).unwrap_or_default());
    let tag = HeaderValue::try_from(format!("\"{digest}\"")).unwrap_or(HeaderValue::from_static("\"\""));
    let known = fresh(headers, &tag);
    let shared = [
        (header::ETAG, tag),
        (header::CACHE_CONTROL, HeaderValue::from_static(DOCUMENT_KEPT)),
        (header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff")),
        // did:web section 5.1 ("CORS policy considerations"): pages of others resolve it, too.
        (header::ACCESS_CONTROL_ALLOW_ORIGIN, HeaderValue::from_static("*")),
    ];
    if known {
        return (StatusCode::NOT_MODIFIED, shared).into_response();
    }
    ([(header::CONTENT_TYPE, HeaderValue::from_static(media_type))], shared, text).into_response()
}
