//! The development wallet behind the Digital Credentials API of a browser that has no wallet: what a stand-in for
//! `navigator.credentials.get` asks, and gives back to the page.

use axum::{extract::State, response::Response};
use firsthand::{
    Merchant,
    protocol::{json, openid4vp::dc_api::Protocol, x509::Certificate},
    testing::wallet::{self, WalletError},
};
use http::{HeaderMap, StatusCode};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{WalletEnv, development, nobody, private, unreadable};
use crate::{problem::Problem, routes::Body};

/// What a page handed to the browser, and who answers.
#[derive(Deserialize)]
pub(super) struct GetBody {
    /// The requests, the one to be preferred first.
    requests: Vec<RequestBody>,
    /// Who answers; nobody declines.
    #[serde(default)]
    persona: Option<String>,
    /// With which of their choices.
    #[serde(default)]
    choice: usize,
}

#[derive(Deserialize)]
struct RequestBody {
    protocol: String,
    data: Value,
}

/// What the promise holds.
#[derive(Serialize)]
struct CredentialBody {
    protocol: &'static str,
    data: Value,
}

/// Answers the first request that the wallet understands. The origin that the wallet is told is the shop's own: nobody else's
/// page gets here.
pub(super) async fn answer(
    State(merchant): State<Merchant>,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Problem> {
    let limits = merchant.limits();
    // A query is deeper than what browsers send otherwise.
    let body =
        json::parse(&body.json(&headers)?, limits.json_depth).ok().and_then(|it| serde_json::from_value(it).ok());
    let body: GetBody =
        body.ok_or_else(|| Problem::new(StatusCode::BAD_REQUEST, "invalid_request", "not a page's requests"))?;
    let spoken = |one: &&RequestBody| Protocol::OPENID4VP.iter().any(|it| it.name() == one.protocol);
    let known = |one: &RequestBody| Some((one.protocol.parse::<Protocol>().ok()?, one.data.clone()));
    let Some((protocol, data)) = body.requests.iter().find(spoken).and_then(known) else {
        return Err(Problem::new(
            StatusCode::BAD_REQUEST,
            "request_refused",
            "the wallet speaks none of these protocols",
        ));
    };
    let origin = merchant.origin().origin().ascii_serialization();
    let anchors: Vec<&Certificate> = merchant.development_access_ca().into_iter().collect();
    let request = wallet::Request::read_by_browser(protocol, &data, &origin, &anchors, merchant.now(), limits);
    let request = request.map_err(|e| unreadable(&e))?;
    let data = match body.persona.as_deref() {
        None => serde_json::json!({ "error": "access_denied" }),
        Some(persona) => {
            let wallet = development(&merchant)?.wallet(persona).ok_or_else(nobody)?;
            let env = WalletEnv(merchant.clone());
            let choice = wallet.choices(&request).into_iter().nth(body.choice).ok_or(WalletError::Unanswerable);
            let answer = choice.and_then(|choice| wallet.answer_by_browser(&request, &choice, &[], &env));
            answer.map_err(|e| unreadable(&e))?
        }
    };
    private(CredentialBody { protocol: protocol.name(), data })
}
