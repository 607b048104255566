//! The browser's own way to a wallet: the Digital Credentials API (OpenID4VP 1.0, annex A).

use axum::{
    Extension, Json, Router,
    extract::{DefaultBodyLimit, State},
    routing::{get, post},
};
use firsthand::{
    Merchant,
    merchant::{BrowserAnswered, BrowserRequest},
    protocol::openid4vp::dc_api::Protocol,
};
use http::HeaderMap;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{Answer, Body, Named, asset, found, invalid, presentation};
use crate::{
    limit::Limits,
    problem::Problem,
    signed::{Proved, Signed},
    web,
};

/// What an answer is wrapped in: the name of a protocol, and JSON around one text.
const AROUND_BYTES_MAX: usize = 1024;

pub(super) fn routes(merchant: &Merchant) -> Router<Merchant> {
    let answer = DefaultBodyLimit::max(merchant.limits().response_bytes.saturating_add(AROUND_BYTES_MAX));
    Router::new()
        .route("/presentations/{id}/dc", post(dc_requests))
        .route("/presentations/{id}/dc/response", post(dc_response).layer(answer))
        .route("/dc.js", get(dc_script))
}

/// What a page hands to `navigator.credentials.get({digital: ..})`.
#[derive(Debug, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub(crate) struct DcRequestsBody {
    /// One request for each protocol, the one to be preferred first. An answer to one is none to another.
    requests: Vec<DcRequestBody>,
}

/// One request of a page to a wallet.
#[derive(Debug, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub(crate) struct DcRequestBody {
    /// `openid4vp-v1-signed`, `openid4vp-v1-unsigned` or `org-iso-mdoc`.
    protocol: &'static str,
    /// What the wallet gets.
    #[cfg_attr(feature = "openapi", schema(value_type = Object))]
    data: Value,
}

/// What the promise of `navigator.credentials.get` held.
#[derive(Debug, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub(crate) struct DcResponseBody {
    /// The protocol by which a wallet answered.
    protocol: String,
    /// What it answered: `response`, or `error`.
    #[cfg_attr(feature = "openapi", schema(value_type = Object))]
    data: Value,
}

/// What came of an answer.
#[derive(Debug, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub(crate) struct DcAnsweredBody {
    /// `answered` or `declined`.
    state: &'static str,
    /// What redeems the answer, once, by the key that asked; absent if it declined.
    #[serde(skip_serializing_if = "Option::is_none")]
    response_code: Option<String>,
}

/// The browser that asked takes its question to a wallet itself.
///
/// It may ask again and gets the same.
#[cfg_attr(feature = "openapi", utoipa::path(
    post, path = "/presentations/{id}/dc", tag = "browser",
    params(("id" = String, Path), ("DPoP" = String, Header, description = "A proof by the key that asked")),
    responses(
        (status = 200, body = DcRequestsBody),
        (status = 401, body = Problem, content_type = "application/problem+json"),
        (status = 403, body = Problem, content_type = "application/problem+json", description = "The question was meant for a code, or has had too many wrong answers"),
        (status = 404, body = Problem, content_type = "application/problem+json", description = "No such presentation, or another key's"),
        (status = 409, body = Problem, content_type = "application/problem+json", description = "Answered already"),
        (status = 410, body = Problem, content_type = "application/problem+json", description = "Expired"),
        (status = 429, body = Problem, content_type = "application/problem+json"),
    )
))]
pub(crate) async fn dc_requests(
    State(merchant): State<Merchant>,
    Proved(Signed { proof, .. }): Proved,
    Extension(limits): Extension<Limits>,
    Named(id): Named,
) -> Answer {
    let answer = async {
        let id = presentation(&id)?;
        let request = id.request();
        limits.wallet(&request)?;
        let requests = found(&limits, &request, merchant.browser_requests(&id, &proof).await)?;
        let body = |one: BrowserRequest| DcRequestBody { protocol: one.protocol.name(), data: one.data };
        Ok(Json(DcRequestsBody { requests: requests.into_iter().map(body).collect() }))
    };
    Answer::signed(&merchant, answer.await)
}

/// The browser that asked brings what a wallet answered.
#[cfg_attr(feature = "openapi", utoipa::path(
    post, path = "/presentations/{id}/dc/response", tag = "browser", request_body = DcResponseBody,
    params(("id" = String, Path), ("DPoP" = String, Header, description = "A proof by the key that asked, with the digest of the body")),
    responses(
        (status = 200, body = DcAnsweredBody),
        (status = 400, body = Problem, content_type = "application/problem+json", description = "The answer is refused"),
        (status = 401, body = Problem, content_type = "application/problem+json"),
        (status = 403, body = Problem, content_type = "application/problem+json", description = "Declined before, or too many wrong answers"),
        (status = 404, body = Problem, content_type = "application/problem+json", description = "No such presentation, or another key's"),
        (status = 409, body = Problem, content_type = "application/problem+json", description = "Answered already, or this browser was given no requests"),
        (status = 410, body = Problem, content_type = "application/problem+json", description = "Expired"),
        (status = 413, body = Problem, content_type = "application/problem+json"),
        (status = 415, body = Problem, content_type = "application/problem+json"),
        (status = 429, body = Problem, content_type = "application/problem+json"),
    )
))]
pub(crate) async fn dc_response(
    State(merchant): State<Merchant>,
    Proved(Signed { proof, .. }): Proved,
    Extension(limits): Extension<Limits>,
    Named(id): Named,
    headers: HeaderMap,
    body: Body,
) -> Answer {
    let answer = async {
        let bytes = body.json(&headers)?;
        proof.check_body(&bytes, true)?;
        let id = presentation(&id)?;
        let request = id.request();
        limits.wallet(&request)?;
        let body: DcResponseBody = super::parse(&bytes)?;
        let protocol: Protocol = body.protocol.parse().map_err(|_| invalid("nobody asked by this protocol"))?;
        let answered = merchant.browser_answer(&id, &proof, protocol, &body.data).await;
        // Which check failed, a page need not know: the operator's log says it, and the standing to who asked.
        let answered = found(&limits, &request, answered).map_err(|e| Problem::for_wallet(&e))?;
        Ok(Json(match answered {
            BrowserAnswered::Answered(code) => {
                DcAnsweredBody { state: "answered", response_code: Some(code.as_str().to_owned()) }
            }
            BrowserAnswered::Declined => DcAnsweredBody { state: "declined", response_code: None },
        }))
    };
    Answer::signed(&merchant, answer.await)
}

/// The part of the button that speaks to the browser's own way to a wallet: one more ES module, loaded by the first where
/// the browser has one.
#[cfg_attr(feature = "openapi", utoipa::path(
    get, path = "/dc.js", tag = "browser",
    responses((status = 200, content_type = "text/javascript", body = String), (status = 304, description = "Known already"))
))]
pub(crate) async fn dc_script(headers: HeaderMap) -> axum::response::Response {
    asset(&headers, "text/javascript; charset=utf-8", &web::DC_SCRIPT, web::dc_script_etag())
}
