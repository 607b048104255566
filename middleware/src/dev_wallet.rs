//! The development wallet: a phone on the screen of whoever builds the shop, with invented people in it.
//!
//! Its page speaks to the shop as any wallet does, over HTTP: it fetches the request, and posts the answer. What a
//! browser cannot do, or should not hold, happens here: reading the request, and signing for a person.
//!
//! It stands on loopback alone, and answers to nobody but its own page: a page of another site that reached it could
//! read and sign what it likes, by a form of its own or by a name that it points at this machine (DNS rebinding).

use std::net::SocketAddr;

use axum::{
    Json, Router,
    extract::{ConnectInfo, DefaultBodyLimit, Request, State},
    middleware::{Next, from_fn_with_state},
    response::{IntoResponse, Response},
    routing::{get, post},
};
use firsthand::{
    Merchant,
    env::{Env, SystemEnv},
    merchant::dev::{Development, STATUS_PATH, WALLET_PATH},
    testing::{cast::Persona, wallet::WalletError},
    time::UnixTime,
};
use http::{HeaderValue, StatusCode, header, request::Parts};
use serde::Serialize;

use crate::{lang::Lang, problem::Problem};

mod consent;
mod dc_api;
mod receive;
mod screen;
#[cfg(test)]
#[cfg(feature = "https")]
mod tests;
mod words;

const SCRIPT: &str = include_str!("dev_wallet/wallet.js");
const STYLE: &str = include_str!("dev_wallet/wallet.css");

/// What a script sends besides the request object: a link, a nonce, a name.
const BESIDES_BYTES_MAX: usize = 16 * 1024;

/// The wallet at [`WALLET_PATH`] and the status lists of the credentials in it at [`STATUS_PATH`] and below.
pub(crate) fn routes<S: Clone + Send + Sync + 'static>(merchant: &Merchant) -> Router<S> {
    let below = |name: &str| format!("{WALLET_PATH}/{name}");
    let bytes_max = merchant.limits().jws_bytes.saturating_add(BESIDES_BYTES_MAX);
    let router = Router::new();
    #[cfg(feature = "w3c")]
    let router = router.route(firsthand::merchant::dev::BITSTRING_PATH, get(bitstring_list));
    router
        .route(WALLET_PATH, get(screen::screen))
        .route(&below("wallet.js"), get(|| async { asset("text/javascript; charset=utf-8", SCRIPT) }))
        .route(&below("wallet.css"), get(|| async { asset("text/css; charset=utf-8", STYLE) }))
        .route(&below("read"), post(consent::read))
        .route(&below("answer"), post(consent::answer))
        .route(&below("decline"), post(consent::decline))
        .route(&below("dc"), post(dc_api::answer))
        .route(&below("offer"), post(receive::offer))
        .route(&below("receive"), post(receive::receive))
        .route(STATUS_PATH, get(status_list))
        .layer(DefaultBodyLimit::max(bytes_max))
        .route_layer(from_fn_with_state(merchant.clone(), only_here))
        .with_state(merchant.clone())
}

/// Lets nobody in but this machine, by the shop's own address, and nothing be done but by a page of this address.
async fn only_here(State(merchant): State<Merchant>, request: Request, next: Next) -> Response {
    let (parts, body) = request.into_parts();
    match admit(&merchant, &parts) {
        Ok(()) => next.run(Request::from_parts(parts, body)).await,
        Err(problem) => problem.into_response(),
    }
}

fn admit(merchant: &Merchant, parts: &Parts) -> Result<(), Problem> {
    let refused = |code, detail: String| Err(Problem::new(StatusCode::FORBIDDEN, code, detail));
    let peer = parts.extensions.get::<ConnectInfo<SocketAddr>>();
    if peer.is_some_and(|peer| !peer.0.ip().to_canonical().is_loopback()) {
        return refused("not_loopback", "the development wallet is for this machine alone".to_owned());
    }
    let origin = merchant.origin();
    // A name that somebody points at this machine is still another name: DNS rebinding ends here.
    let mut named = parts.headers.get_all(header::HOST).iter().map(HeaderValue::as_bytes).collect::<Vec<_>>();
    named.extend(parts.uri.authority().map(|authority| authority.as_str().as_bytes()));
    if named.is_empty() || !named.iter().all(|host| host.eq_ignore_ascii_case(origin.authority().as_bytes())) {
        return refused("wrong_host", format!("open {}{WALLET_PATH}", origin.as_str().trim_end_matches('/')));
    }
    if parts.method.is_safe() {
        return Ok(());
    }
    // CSRF: browsers say who sends. JSON, which every POST must be, needs a permission that nobody here gives.
    let all = |name: &str, allowed: &dyn Fn(&[u8]) -> bool| {
        parts.headers.get_all(name).iter().all(|value| allowed(value.as_bytes()))
    };
    let own = origin.origin().ascii_serialization();
    let by_us = all("sec-fetch-site", &|site| matches!(site, b"same-origin" | b"none"))
        && all("origin", &|sender| sender == own.as_bytes());
    if !by_us {
        return refused("cross_site", "the development wallet listens to its own page alone".to_owned());
    }
    Ok(())
}

/// What the issuer of these people says about their credentials, as of now.
async fn status_list(State(merchant): State<Merchant>) -> Result<Response, Problem> {
    let token = development(&merchant)?.cast().status_list(merchant.now())?;
    Ok(asset("application/statuslist+jwt", token))
}

/// What it says about their W3C credentials.
#[cfg(feature = "w3c")]
async fn bitstring_list(State(merchant): State<Merchant>) -> Result<Response, Problem> {
    Ok(asset("application/vc+jwt", development(&merchant)?.cast().bitstring_list(merchant.now())?))
}

/// The merchant's clock, which may have been moved, and the system's randomness.
#[derive(Debug)]
struct WalletEnv(Merchant);

impl Env for WalletEnv {
    fn now(&self) -> UnixTime {
        self.0.now()
    }

    fn fill(&self, bytes: &mut [u8]) {
        SystemEnv.fill(bytes);
    }
}

fn about(persona: &Persona, lang: Lang) -> &'static str {
    let [en, de] = persona.about;
    match lang {
        Lang::En => en,
        Lang::De => de,
    }
}

/// What is served as it is. Never kept: whoever develops wants what is there now.
fn asset(media_type: &'static str, text: impl IntoResponse) -> Response {
    let headers = [
        (header::CONTENT_TYPE, HeaderValue::from_static(media_type)),
        (header::CACHE_CONTROL, HeaderValue::from_static("no-store")),
        (header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff")),
    ];
    (headers, text).into_response()
}

/// An answer to the page's script.
fn private(body: impl Serialize) -> Result<Response, Problem> {
    let headers = [
        (header::CACHE_CONTROL, HeaderValue::from_static("no-store")),
        (header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff")),
    ];
    Ok((headers, Json(body)).into_response())
}

fn nobody() -> Problem {
    Problem::new(StatusCode::NOT_FOUND, "no_such_persona", "nobody in the development wallet is called so")
}

/// Why the wallet does not show this to a person. A developer wants the reason.
fn unreadable(error: &WalletError) -> Problem {
    let code = match error {
        WalletError::Link { .. } => "link_refused",
        WalletError::Unanswerable => "unanswerable",
        _ => "request_refused",
    };
    Problem::new(StatusCode::BAD_REQUEST, code, error.to_string())
}

/// There is one wherever these routes are.
fn development(merchant: &Merchant) -> Result<&Development, Problem> {
    let missing = || Problem::new(StatusCode::NOT_FOUND, "no_development", "this shop is no development set-up");
    merchant.development().ok_or_else(missing)
}
