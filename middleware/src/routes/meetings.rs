//! Where a customer answers a desk of the shop, and where a browser that nobody knows becomes theirs.
//!
//! The desk's side has no route: the merchant's own handlers know who an operator is, and call the library.

use axum::{
    Extension, Json, Router,
    extract::{DefaultBodyLimit, State},
    response::Response,
    routing::{get, post},
};
use firsthand::{
    Merchant,
    meeting::{AnnouncedCall, MeetingError, MeetingId, Ticket},
    merchant::{JoinOpened, JoinView, MeetingView},
    time::UnixTime,
};
use http::{HeaderMap, HeaderValue, StatusCode, header};
use serde::{Deserialize, Serialize};

#[cfg(feature = "openapi")]
use super::TokenBody;
use super::{Answer, Body, JSON_BYTES_MAX, Named, act, asset, granted, parse, recognise};
use crate::{
    extract::page,
    lang::Lang,
    limit::Limits,
    problem::Problem,
    signed::{Proved, Signed},
    web,
};

pub(super) fn routes() -> Router<Merchant> {
    let small = DefaultBodyLimit::max(JSON_BYTES_MAX);
    Router::new()
        .route("/call", get(call_page))
        .route("/join", get(join_page))
        .route("/meet.js", get(meet_script))
        .route("/calls", get(calls).post(meet).layer(small))
        .route("/calls/{id}", post(confirm).delete(refuse).layer(small))
        .route("/joins", post(open_join).layer(small))
        .route("/joins/{id}", get(join_standing))
        .route("/joins/{id}/session", post(join).layer(small))
        .route("/vouchers/{id}", get(join_view).post(vouch).delete(refuse_join).layer(small))
        .route("/history/not-me", post(not_me).layer(small))
}

/// What concerns a customer at this moment.
#[derive(Debug, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub(crate) struct CallsBody {
    /// The call that the shop has announced to them. Without one, or before it is on, nobody of the shop is calling.
    #[serde(skip_serializing_if = "Option::is_none")]
    call: Option<CallBody>,
    /// What they have not answered yet.
    #[serde(skip_serializing_if = "Option::is_none")]
    meeting: Option<MeetingBody>,
}

/// A call of the shop.
#[derive(Debug, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub(crate) struct CallBody {
    /// Who calls.
    desk: String,
    /// Why.
    purpose: String,
    /// The number that the telephone shows.
    telephone: String,
    /// Whether a telephone that rings at this moment may be this call.
    is_on: bool,
    /// When it begins (RFC 3339).
    starts_at: String,
    /// Until when it is announced (RFC 3339).
    until: String,
}

/// A desk asks who somebody is.
#[derive(Debug, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub(crate) struct MeetingBody {
    /// Its name, for the answer.
    id: String,
    /// Who asks.
    desk: String,
    /// Why.
    purpose: String,
    /// What the operator's screen shows as well.
    binding_message: String,
    /// By what the customer has to be recognised at least, if the desk said so.
    #[serde(skip_serializing_if = "Option::is_none")]
    rung: Option<&'static str>,
    /// How long there is to answer, in seconds.
    expires_in: u64,
}

/// The number that an operator has said, or that another screen shows.
#[derive(Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub(crate) struct NumberBody {
    /// Six digits; spaces and dashes count for nothing.
    number: String,
}

/// A browser that waits for somebody who vouches for it.
#[derive(Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub(crate) struct JoinBody {
    /// This browser's name for it: a secret of the browser.
    id: String,
    /// What a QR code on its screen holds.
    link: String,
    /// What stands on its screen, and is typed on the other one.
    number: String,
    /// How long there is, in seconds.
    expires_in: u64,
    /// How often to look, in seconds.
    interval: u64,
}

/// How a join stands.
#[derive(Debug, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub(crate) struct JoinStandingBody {
    /// `waiting`, `vouched`, `refused` or `expired`.
    state: &'static str,
}

/// A browser that wants to become a customer's.
#[derive(Debug, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub(crate) struct VoucherBody {
    /// What it says that it is.
    #[serde(skip_serializing_if = "Option::is_none")]
    browser: Option<String>,
    /// How long there is to answer, in seconds.
    expires_in: u64,
}

/// An entry of the history, or a way in, that the customer does not know of.
#[derive(Debug, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub(crate) struct NotMeBody {
    /// Its time, as the history says it, or the list of bindings.
    at: String,
}

/// The page on which a customer answers a desk. The same for everybody.
#[cfg_attr(feature = "openapi", utoipa::path(
    get, path = "/call", tag = "browser",
    responses((status = 200, content_type = "text/html", body = String, description = "A page on which a customer types the number that an operator says, and sees whether the shop is calling"))
))]
pub(crate) async fn call_page(State(merchant): State<Merchant>, headers: HeaderMap) -> Response {
    ours(web::meet::call_page(merchant.mount(), Lang::of(&headers), way_back(&merchant)))
}

/// The page on which a browser asks to become a customer's, and the customer answers it. The same for everybody: what it is
/// about stands in the fragment, which no server sees.
#[cfg_attr(feature = "openapi", utoipa::path(
    get, path = "/join", tag = "browser",
    responses((status = 200, content_type = "text/html", body = String, description = "A page that shows a number and a QR code, or asks for the number of another screen"))
))]
pub(crate) async fn join_page(State(merchant): State<Merchant>, headers: HeaderMap) -> Response {
    ours(web::meet::join_page(merchant.mount(), Lang::of(&headers), way_back(&merchant)))
}

fn ours(html: String) -> Response {
    page(StatusCode::OK, html, &HeaderValue::from_static(web::PAGE_CSP))
}

/// The ask by which a wallet says whose it is, as the pages offer it.
fn way_back(merchant: &Merchant) -> Option<&str> {
    merchant.asks().find(|ask| ask.recognises()).map(firsthand::Ask::name)
}

/// The script of these two pages.
#[cfg_attr(feature = "openapi", utoipa::path(
    get, path = "/meet.js", tag = "browser",
    responses((status = 200, content_type = "text/javascript", body = String), (status = 304, description = "Known already"))
))]
pub(crate) async fn meet_script(headers: HeaderMap) -> Response {
    asset(&headers, "text/javascript; charset=utf-8", &web::meet::SCRIPT, web::meet::script_etag())
}

/// Whether the shop is calling, and what a desk waits for.
#[cfg_attr(feature = "openapi", utoipa::path(
    get, path = "/calls", tag = "customer", security(("dpop" = [])),
    responses(
        (status = 200, body = CallsBody),
        (status = 401, body = Problem, content_type = "application/problem+json"),
        (status = 403, body = Problem, content_type = "application/problem+json", description = "A session that came by a code between two devices"),
    )
))]
pub(crate) async fn calls(State(merchant): State<Merchant>, Proved(signed): Proved) -> Answer {
    let answer = async {
        let recognised = recognise(&merchant, &signed).await?;
        let call = recognised.announced_call().await?.map(|call| CallBody::at(call, merchant.now()));
        let meeting = recognised.meeting().await?.map(MeetingBody::from);
        Ok(Json(CallsBody { call, meeting }))
    };
    Answer::signed(&merchant, answer.await)
}

/// The customer types the number that an operator says to them, and is shown who asks and why.
///
/// The desk learns nothing yet. A shop never asks a customer for a number: they ask the operator.
#[cfg_attr(feature = "openapi", utoipa::path(
    post, path = "/calls", tag = "customer", security(("dpop" = [])), request_body = NumberBody,
    responses(
        (status = 200, body = MeetingBody),
        (status = 401, body = Problem, content_type = "application/problem+json"),
        (status = 403, body = Problem, content_type = "application/problem+json", description = "Not a number that is open, or a session that came by a code between two devices"),
        (status = 409, body = Problem, content_type = "application/problem+json", description = "The customer has not answered another desk yet"),
        (status = 429, body = Problem, content_type = "application/problem+json", description = "After three wrong numbers, or shortly after a refusal: `Retry-After` says how long"),
    )
))]
pub(crate) async fn meet(
    State(merchant): State<Merchant>,
    Proved(signed): Proved,
    Extension(limits): Extension<Limits>,
    headers: HeaderMap,
    body: Body,
) -> Answer {
    let answer = async {
        let NumberBody { number } = said(&signed, body, &headers)?;
        let recognised = recognise(&merchant, &signed).await?;
        limits.number()?;
        Ok(Json(MeetingBody::from(recognised.meet(&signed.proof, &number).await?)))
    };
    Answer::signed(&merchant, answer.await)
}

/// The customer says yes: the desk sees who they are, for ten minutes.
#[cfg_attr(feature = "openapi", utoipa::path(
    post, path = "/calls/{id}", tag = "customer", security(("dpop" = [])), params(("id" = String, Path)),
    responses(
        (status = 204, description = "The desk sees who it is"),
        (status = 401, body = Problem, content_type = "application/problem+json"),
        (status = 403, body = Problem, content_type = "application/problem+json", description = "Something stronger has to be shown first, and then this again"),
        (status = 404, body = Problem, content_type = "application/problem+json"),
        (status = 410, body = Problem, content_type = "application/problem+json"),
    )
))]
pub(crate) async fn confirm(
    State(merchant): State<Merchant>,
    Proved(signed): Proved,
    Named(id): Named,
    body: Body,
) -> Answer {
    let answer = async {
        let recognised = act(&merchant, &signed, &body).await?;
        recognised.confirm_meeting(&signed.proof, &meeting(&id)?).await?;
        Ok(StatusCode::NO_CONTENT)
    };
    Answer::signed(&merchant, answer.await)
}

/// The customer says no.
#[cfg_attr(feature = "openapi", utoipa::path(
    delete, path = "/calls/{id}", tag = "customer", security(("dpop" = [])), params(("id" = String, Path)),
    responses(
        (status = 204, description = "The desk is told that the customer said no"),
        (status = 401, body = Problem, content_type = "application/problem+json"),
        (status = 404, body = Problem, content_type = "application/problem+json"),
        (status = 410, body = Problem, content_type = "application/problem+json"),
    )
))]
pub(crate) async fn refuse(
    State(merchant): State<Merchant>,
    Proved(signed): Proved,
    Named(id): Named,
    body: Body,
) -> Answer {
    let answer = async {
        let recognised = act(&merchant, &signed, &body).await?;
        recognised.refuse_meeting(&signed.proof, &meeting(&id)?).await?;
        Ok(StatusCode::NO_CONTENT)
    };
    Answer::signed(&merchant, answer.await)
}

/// A browser that nobody knows asks to become a customer's.
#[cfg_attr(feature = "openapi", utoipa::path(
    post, path = "/joins", tag = "browser",
    params(("DPoP" = String, Header, description = "A proof by the browser's key")),
    responses(
        (status = 201, body = JoinBody),
        (status = 401, body = Problem, content_type = "application/problem+json"),
        (status = 403, body = Problem, content_type = "application/problem+json", description = "The key was signed out"),
        (status = 409, body = Problem, content_type = "application/problem+json", description = "The key is somebody's already"),
        (status = 429, body = Problem, content_type = "application/problem+json"),
    )
))]
pub(crate) async fn open_join(
    State(merchant): State<Merchant>,
    Proved(Signed { proof, .. }): Proved,
    Extension(limits): Extension<Limits>,
    headers: HeaderMap,
) -> Answer {
    let answer = async {
        limits.join(&proof)?;
        let browser = headers.get(header::USER_AGENT).and_then(|value| value.to_str().ok()).map(browser_name);
        let opened = merchant.open_join(&proof, browser.as_deref()).await?;
        let JoinOpened { ticket, link, number, expires_in_s, interval_s } = opened;
        let body = JoinBody {
            id: ticket.reveal().to_owned(),
            link: link.into(),
            number: number.reveal(),
            expires_in: expires_in_s,
            interval: interval_s,
        };
        Ok((StatusCode::CREATED, Json(body)))
    };
    Answer::signed(&merchant, answer.await)
}

/// How a join stands, for the browser that waits.
#[cfg_attr(feature = "openapi", utoipa::path(
    get, path = "/joins/{id}", tag = "browser",
    params(("id" = String, Path), ("DPoP" = String, Header, description = "A proof by the key that waits")),
    responses(
        (status = 200, body = JoinStandingBody),
        (status = 401, body = Problem, content_type = "application/problem+json"),
        (status = 404, body = Problem, content_type = "application/problem+json", description = "No such join, or another key's"),
    )
))]
pub(crate) async fn join_standing(
    State(merchant): State<Merchant>,
    Proved(Signed { proof, .. }): Proved,
    Named(id): Named,
) -> Answer {
    let answer = async {
        let state = match merchant.join_standing(&proof, &ticket(&id)?).await {
            Ok(()) => "vouched",
            Err(firsthand::Error::Meeting(MeetingError::Pending { .. })) => "waiting",
            Err(firsthand::Error::Meeting(MeetingError::Denied)) => "refused",
            Err(firsthand::Error::Meeting(MeetingError::Expired)) => "expired",
            Err(other) => return Err(other.into()),
        };
        Ok(Json(JoinStandingBody { state }))
    };
    Answer::signed(&merchant, answer.await)
}

/// A browser for which a customer has vouched becomes theirs, and gets a session.
#[cfg_attr(feature = "openapi", utoipa::path(
    post, path = "/joins/{id}/session", tag = "browser",
    params(("id" = String, Path), ("DPoP" = String, Header, description = "A proof by the key that waits")),
    responses(
        (status = 200, body = TokenBody),
        (status = 401, body = Problem, content_type = "application/problem+json"),
        (status = 403, body = Problem, content_type = "application/problem+json", description = "The customer said no, or was signed out meanwhile"),
        (status = 404, body = Problem, content_type = "application/problem+json"),
        (status = 409, body = Problem, content_type = "application/problem+json", description = "Nobody has vouched yet, or the key is somebody's by now"),
        (status = 410, body = Problem, content_type = "application/problem+json"),
    )
))]
pub(crate) async fn join(
    State(merchant): State<Merchant>,
    Proved(Signed { proof, .. }): Proved,
    Named(id): Named,
) -> Answer {
    let answer = async {
        let grant = merchant.join(&proof, &ticket(&id)?).await?;
        Ok(granted(&merchant, &proof, grant).await)
    };
    Answer::signed(&merchant, answer.await)
}

/// What a browser says of itself that wants to become the customer's.
#[cfg_attr(feature = "openapi", utoipa::path(
    get, path = "/vouchers/{id}", tag = "customer", security(("dpop" = [])), params(("id" = String, Path)),
    responses(
        (status = 200, body = VoucherBody),
        (status = 401, body = Problem, content_type = "application/problem+json"),
        (status = 403, body = Problem, content_type = "application/problem+json", description = "Something stronger has to be shown first, or the session came by a code between two devices"),
        (status = 404, body = Problem, content_type = "application/problem+json"),
        (status = 410, body = Problem, content_type = "application/problem+json"),
    )
))]
pub(crate) async fn join_view(State(merchant): State<Merchant>, Proved(signed): Proved, Named(id): Named) -> Answer {
    let answer = async {
        let recognised = recognise(&merchant, &signed).await?;
        let JoinView { browser, expires_in_s } = recognised.join_view(&meeting(&id)?).await?;
        Ok(Json(VoucherBody { browser, expires_in: expires_in_s }))
    };
    Answer::signed(&merchant, answer.await)
}

/// The customer says that a browser is theirs, by the number on its screen.
#[cfg_attr(feature = "openapi", utoipa::path(
    post, path = "/vouchers/{id}", tag = "customer", security(("dpop" = [])), request_body = NumberBody,
    params(("id" = String, Path)),
    responses(
        (status = 204, description = "The browser may take its session"),
        (status = 401, body = Problem, content_type = "application/problem+json"),
        (status = 403, body = Problem, content_type = "application/problem+json", description = "A wrong number (three end it), or something stronger has to be shown first"),
        (status = 404, body = Problem, content_type = "application/problem+json"),
        (status = 410, body = Problem, content_type = "application/problem+json"),
    )
))]
pub(crate) async fn vouch(
    State(merchant): State<Merchant>,
    Proved(signed): Proved,
    Extension(limits): Extension<Limits>,
    Named(id): Named,
    headers: HeaderMap,
    body: Body,
) -> Answer {
    let answer = async {
        let NumberBody { number } = said(&signed, body, &headers)?;
        let recognised = recognise(&merchant, &signed).await?;
        limits.number()?;
        recognised.vouch(&signed.proof, &meeting(&id)?, &number).await?;
        Ok(StatusCode::NO_CONTENT)
    };
    Answer::signed(&merchant, answer.await)
}

/// The customer says that a browser is not theirs.
#[cfg_attr(feature = "openapi", utoipa::path(
    delete, path = "/vouchers/{id}", tag = "customer", security(("dpop" = [])), params(("id" = String, Path)),
    responses(
        (status = 204, description = "The browser is told that the customer said no"),
        (status = 401, body = Problem, content_type = "application/problem+json"),
        (status = 404, body = Problem, content_type = "application/problem+json"),
        (status = 410, body = Problem, content_type = "application/problem+json"),
    )
))]
pub(crate) async fn refuse_join(
    State(merchant): State<Merchant>,
    Proved(signed): Proved,
    Named(id): Named,
    body: Body,
) -> Answer {
    let answer = async {
        let recognised = act(&merchant, &signed, &body).await?;
        recognised.refuse_join(&signed.proof, &meeting(&id)?).await?;
        Ok(StatusCode::NO_CONTENT)
    };
    Answer::signed(&merchant, answer.await)
}

/// "That was not me": closes every way in that was added since an entry of the history, and ends all other sessions.
#[cfg_attr(feature = "openapi", utoipa::path(
    post, path = "/history/not-me", tag = "customer", security(("dpop" = [])), request_body = NotMeBody,
    responses(
        (status = 204, description = "What came since then is closed, and all other sessions ended"),
        (status = 401, body = Problem, content_type = "application/problem+json"),
        (status = 403, body = Problem, content_type = "application/problem+json", description = "Something from before the entry has to be shown first"),
        (status = 404, body = Problem, content_type = "application/problem+json", description = "Neither the history nor the list of bindings has that time"),
    )
))]
pub(crate) async fn not_me(
    State(merchant): State<Merchant>,
    Proved(signed): Proved,
    headers: HeaderMap,
    body: Body,
) -> Answer {
    let answer = async {
        let NotMeBody { at } = said(&signed, body, &headers)?;
        let recognised = recognise(&merchant, &signed).await?;
        let customer = recognised.customer().await?;
        // A stranger may have pushed their own coming out of the history, and is in the list of bindings still.
        let entries = customer.history().await?.into_iter().map(|entry| entry.at);
        let mut times = entries.chain(customer.bindings().await?.into_iter().map(|binding| binding.since));
        let since = times.find(|time| time.to_string() == at).ok_or_else(no_such_entry)?;
        recognised.not_me(&signed.proof, since).await?;
        Ok(StatusCode::NO_CONTENT)
    };
    Answer::signed(&merchant, answer.await)
}

/// The body of a signed request: the one that the proof names.
fn said<T: serde::de::DeserializeOwned>(signed: &Signed, body: Body, headers: &HeaderMap) -> Result<T, Problem> {
    let bytes = body.json(headers)?;
    signed.proof.check_body(&bytes, true)?;
    parse(&bytes)
}

fn meeting(id: &str) -> Result<MeetingId, Problem> {
    id.parse().map_err(|_| no_such_meeting())
}

fn ticket(id: &str) -> Result<Ticket, Problem> {
    id.parse().map_err(|_| no_such_meeting())
}

fn no_such_meeting() -> Problem {
    firsthand::Error::from(MeetingError::NoSuchMeeting).into()
}

fn no_such_entry() -> Problem {
    Problem::new(StatusCode::NOT_FOUND, "no_such_entry", "neither the history nor the list of bindings has that time")
}

/// What a browser says that it is, in words of ours: a customer reads them, and whoever waits chose the header.
fn browser_name(user_agent: &str) -> String {
    let first = |names: &[(&str, &'static str)]| {
        names.iter().find(|(mark, _)| user_agent.contains(mark)).map(|(_, name)| *name)
    };
    // Most claim to be another one as well: the most particular mark first.
    let browser = first(&[
        ("Edg", "Edge"),
        ("OPR/", "Opera"),
        ("SamsungBrowser/", "Samsung Internet"),
        ("Firefox/", "Firefox"),
        ("FxiOS/", "Firefox"),
        ("Chrome/", "Chrome"),
        ("CriOS/", "Chrome"),
        ("Safari/", "Safari"),
    ]);
    let system = first(&[
        ("Android", "Android"),
        ("iPhone", "iPhone"),
        ("iPad", "iPad"),
        ("CrOS", "ChromeOS"),
        ("Windows", "Windows"),
        ("Mac OS X", "macOS"),
        ("Linux", "Linux"),
    ]);
    match (browser, system) {
        (Some(browser), Some(system)) => format!("{browser} on {system}"),
        (Some(one), None) | (None, Some(one)) => one.to_owned(),
        (None, None) => String::new(),
    }
}

impl CallBody {
    fn at(call: AnnouncedCall, now: UnixTime) -> Self {
        let (starts_at, until) = (call.starts_at.to_string(), call.until().to_string());
        let is_on = call.is_on(now);
        Self { desk: call.desk, purpose: call.purpose, telephone: call.telephone, is_on, starts_at, until }
    }
}

impl From<MeetingView> for MeetingBody {
    fn from(view: MeetingView) -> Self {
        let MeetingView { id, desk, purpose, binding_message, rung, expires_in_s } = view;
        Self {
            id: id.as_str().to_owned(),
            desk,
            purpose,
            binding_message,
            rung: rung.map(firsthand::customer::Rung::name),
            expires_in: expires_in_s,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_browser_is_called_by_words_of_ours_alone() {
        for (user_agent, name) in [
            ("Mozilla/5.0 (X11; Linux x86_64; rv:145.0) Gecko/20100101 Firefox/145.0", "Firefox on Linux"),
            (
                "Mozilla/5.0 (Linux; Android 10; K) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/141.0.0.0 Mobile Safari/537.36",
                "Chrome on Android",
            ),
            (
                "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/141.0 Safari/537.36 Edg/141.0",
                "Edge on Windows",
            ),
            (
                "Mozilla/5.0 (iPhone; CPU iPhone OS 18_0 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.0 Mobile/15E148 Safari/604.1",
                "Safari on iPhone",
            ),
            ("The shop's own till, please say yes", ""),
            ("curl/8", ""),
        ] {
            assert_eq!(browser_name(user_agent), name);
        }
    }
}
