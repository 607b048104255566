//! The routes under the mount path: what browsers and wallets talk to. Wire bodies are structs of this file, or of the file
//! below it that has their topic, and turned into the library's types by hand.

use axum::{
    Extension, Json, Router,
    body::Bytes,
    extract::{DefaultBodyLimit, FromRequestParts, Path, Request, State},
    middleware::{Next, from_fn, from_fn_with_state},
    response::{IntoResponse, Response},
    routing::{delete, get, post},
};
use firsthand::{
    Device, Error, Merchant,
    checkout::{CheckoutError, CheckoutId, Status},
    customer::{DeviceName, NotADeviceName},
    error::Refusal,
    merchant::{
        AskTogether, BrowserProof, Ending, GuestLink, IdempotencyKey, Invitation, NotAnIdempotencyKey, OneTap, Order,
        Recognised, Redemption, SessionGrant, Tapped,
    },
    money::Money,
    order::OrderId,
    presentation::{PresentationId, RequestId, ResponseCode},
    protocol::openid4vp::{RequestPost, read_request_post},
    rail::{NoticeError, NoticeRequest},
    session::SessionId,
};
use http::{HeaderMap, HeaderValue, StatusCode, header, request::Parts};
use serde::{Deserialize, Serialize, de::DeserializeOwned};

use crate::{
    checkouts, events,
    extract::page,
    lang::Lang,
    layer::{BODY_WITHIN, Began, body_too_slow},
    limit::Limits,
    observe::named_at_least,
    problem::Problem,
    signed::{self, Proved, Signed},
    task::finished,
    web,
};

pub(crate) mod cookie;
pub(crate) mod dc_api;
pub(crate) mod dids;
pub(crate) mod issuer;
pub(crate) mod ladder;
pub(crate) mod meetings;
#[cfg(feature = "passkey")]
pub(crate) mod passkeys;
pub(crate) mod tab;

/// What a browser sends is small: a name, a path, an id and a code.
const JSON_BYTES_MAX: usize = 8 * 1024;
/// What a wallet sends to fetch its request: a nonce, and metadata that are not kept.
const REQUEST_POST_BYTES_MAX: usize = 64 * 1024;
/// What a rail sends: an order, an attempt and an outcome, in whatever envelope it likes.
const NOTICE_BYTES_MAX: usize = 64 * 1024;

/// Everything under the mount path, and the [well-known](well_known_routes) documents beside it:
/// `.merge(firsthand_axum::routes(&merchant))`. A development set-up (`Merchant::dev()`) has its wallet and the status list
/// of its issuer there as well, under `/_dev`.
///
/// If the router is itself nested under a path, tell the builder the whole path by
/// [`mount`](firsthand::merchant::MerchantBuilder::mount), nest [`bare_routes`] where it ends up, and merge
/// [`well_known_routes`] at the root of the origin.
pub fn routes<S: Clone + Send + Sync + 'static>(merchant: &Merchant) -> Router<S> {
    let router = Router::new().nest(merchant.mount(), bare_routes(merchant)).merge(well_known_routes(merchant));
    #[cfg(feature = "dev")]
    if merchant.development().is_some() {
        return router.merge(crate::dev_wallet::routes(merchant));
    }
    router
}

/// What everybody may read at the root of the origin: `/.well-known/did.json`, the shop's public identity, and
/// `/.well-known/did.jsonl`, its history.
pub fn well_known_routes<S: Clone + Send + Sync + 'static>(merchant: &Merchant) -> Router<S> {
    let issuing = if merchant.issues_relationship() { issuer::well_known() } else { Router::new() };
    dids::well_known().merge(issuing).with_state(merchant.clone())
}

/// The same without the mount path.
pub fn bare_routes<S: Clone + Send + Sync + 'static>(merchant: &Merchant) -> Router<S> {
    let small = DefaultBodyLimit::max(JSON_BYTES_MAX);
    let issuing = if merchant.issues_relationship() { issuer::routes() } else { Router::new() };
    let router = Router::new();
    #[cfg(feature = "passkey")]
    let router = router.merge(passkeys::routes());
    let router = if merchant.sells_by_checkout() { router.merge(checkouts::routes()) } else { router };
    router
        .route("/presentations", post(ask).layer(small))
        .route("/presentations/{id}", get(standing).delete(withdraw))
        .route("/presentations/{id}/events", get(follow))
        .route("/requests/{id}", get(request).post(request_post).layer(DefaultBodyLimit::max(REQUEST_POST_BYTES_MAX)))
        .route("/responses/{id}", post(respond).layer(DefaultBodyLimit::max(merchant.limits().response_bytes)))
        .route("/return/{id}", get(come_back))
        .route("/sessions", post(begin_session).layer(small).get(list_sessions).delete(revoke_all))
        .route("/sessions/{id}", delete(revoke))
        .route("/me", get(me).delete(forget_me))
        .route("/me/export", get(export))
        .route("/export.v1.json", get(export_schema))
        .route("/device", delete(forget_device).put(rename_device).layer(small))
        .merge(cookie::routes().layer(small))
        .merge(issuing)
        .merge(dc_api::routes(merchant))
        .merge(meetings::routes())
        .merge(tab::routes())
        .merge(ladder::routes())
        .route("/notices/{rail}", post(notice).layer(DefaultBodyLimit::max(NOTICE_BYTES_MAX)))
        .merge(dids::routes())
        .route("/firsthand.js", get(script))
        .route("/account.js", get(account_script))
        .route("/page.css", get(style))
        .layer(from_fn_with_state(Limits::new(std::sync::Arc::default(), None), limited_at_least))
        .layer(from_fn(named_at_least))
        .with_state(merchant.clone())
}

/// Routes that somebody put outside of the customer layer still have limits.
async fn limited_at_least(State(limits): State<Limits>, mut request: Request, next: Next) -> Response {
    if request.extensions().get::<Limits>().is_none() {
        request.extensions_mut().insert(limits);
    }
    next.run(request).await
}

/// What a browser asks for.
#[derive(Debug, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub(crate) struct AskBody {
    /// The names of declared asks with a space between them, at most eight: all is asked in one presentation.
    ask: String,
    /// Where the wallet is expected.
    flow: Flow,
    /// What is paid, for one of the asks that is for payments.
    #[serde(default)]
    payment: Option<PaymentBody>,
    /// The path of this shop to go to afterwards; begins with one `/`.
    #[serde(default)]
    return_to: Option<String>,
}

/// The payment of an order, or of a checkout that becomes one.
#[derive(Debug, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub(crate) struct PaymentBody {
    /// The order: `o_` and 32 hexadecimal digits. One of the customer's own, whose session is sent along.
    #[serde(default)]
    order: Option<String>,
    /// The checkout that is completed by this, instead of an order: what it lacks is asked in the same question.
    #[serde(default)]
    checkout: Option<TapBody>,
    /// The link of the order or the checkout, for a guest's.
    #[serde(default)]
    link: Option<String>,
}

/// What a customer agrees to by showing their wallet.
#[derive(Debug, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub(crate) struct TapBody {
    /// The checkout: `c_` and 32 hexadecimal digits.
    id: String,
    /// The revision that they saw.
    revision: u64,
    /// The total that they saw, in the currency's minor unit.
    total_minor: i64,
    /// The currency: three letters (ISO 4217).
    currency: String,
    /// Makes it happen once: 1 to 128 visible ASCII characters.
    key: String,
}

/// Where a wallet is, as seen from the browser.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(rename_all = "snake_case")]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub(crate) enum Flow {
    /// On the device of the browser.
    SameDevice,
    /// On another device, by a QR code.
    CrossDevice,
}

impl From<Flow> for Device {
    fn from(flow: Flow) -> Self {
        match flow {
            Flow::SameDevice => Self::SameDevice,
            Flow::CrossDevice => Self::CrossDevice,
        }
    }
}

/// What a browser needs to bring a wallet here.
#[derive(Debug, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub(crate) struct InvitationBody {
    /// The browser's name for the presentation: a secret of the browser that asked.
    id: String,
    /// How long a wallet has, in seconds.
    expires_in: u64,
    /// Where the wallet fetches the request; left out where the link holds all of it.
    #[serde(skip_serializing_if = "Option::is_none")]
    request_uri: Option<String>,
    /// The link that opens whichever wallet is installed, also what a QR code holds.
    wallet_uri: String,
    /// A link for each wallet that the shop lists.
    wallets: Vec<WalletBody>,
}

/// A link to one wallet.
#[derive(Debug, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub(crate) struct WalletBody {
    /// What it says.
    name: String,
    /// Where it leads.
    url: String,
}

/// How a presentation stands.
#[derive(Debug, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub(crate) struct StandingBody {
    /// `requested`, `delivered`, `answered`, `redeemed`, `declined` or `expired`.
    pub(crate) state: &'static str,
    /// The code of the last refused answer, or why the wallet declined.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) refused: Option<String>,
}

/// What a wallet is told after its answer.
#[derive(Debug, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub(crate) struct AnsweredBody {
    /// Where it sends its owner; absent if it is on another device.
    #[serde(skip_serializing_if = "Option::is_none")]
    redirect_uri: Option<String>,
}

/// What a browser brings to begin a session; empty for a key that is known.
#[derive(Debug, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub(crate) struct SessionBody {
    /// The browser's name for the presentation.
    #[serde(default)]
    presentation: Option<String>,
    /// What the wallet brought back, on the same device.
    #[serde(default)]
    response_code: Option<String>,
    /// What the browser says it is, such as `Firefox on Android`: 1 to 40 characters. The device is called that until its
    /// customer calls it otherwise.
    #[serde(default)]
    device: Option<String>,
}

/// What a device is called from now on.
#[derive(Debug, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub(crate) struct DeviceBody {
    /// The name: 1 to 40 characters, without control and direction marks.
    name: String,
    /// A session on that device; this device if it is absent.
    #[serde(default)]
    session: Option<String>,
}

/// A new session (RFC 6749, 5.1).
#[derive(Debug, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub(crate) struct TokenBody {
    /// The token, which works together with the key that asked for it.
    access_token: String,
    /// `DPoP`.
    token_type: &'static str,
    /// How long it lives if it is not used, in seconds.
    expires_in: u64,
    /// The path of this shop to go to now.
    #[serde(skip_serializing_if = "Option::is_none")]
    return_to: Option<String>,
    /// Who the shop is towards this customer.
    #[serde(skip_serializing_if = "Option::is_none")]
    relationship: Option<RelationshipBody>,
}

/// Who the shop is towards one customer: a DID that nobody else is told, to be kept and known again.
#[derive(Debug, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub(crate) struct RelationshipBody {
    /// The shop's did:peer:4 for this customer, in its long form.
    did: String,
    /// A JWT (`firsthand-relationship+jwt`) by `#key-1` of that DID: `iss` the DID, `sub` and `aud` the browser's key as a DID,
    /// `cnf.jkt` its thumbprint, `iat`, `nonce` the `jti` of this request's proof, `public` the shop's did:web,
    /// `endorsement` a JWT by which that one agrees, and `from_prior` what earlier DIDs of the shop say of this one.
    statement: String,
}

/// Tells the layer that somebody was recognised anew.
impl IntoResponse for TokenBody {
    fn into_response(self) -> Response {
        let mut response = Json(self).into_response();
        response.extensions_mut().insert(Began);
        response
    }
}

/// The sessions of a customer.
#[derive(Debug, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub(crate) struct SessionsBody {
    /// The sessions.
    sessions: Vec<SessionEntryBody>,
}

/// One session.
#[derive(Debug, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub(crate) struct SessionEntryBody {
    /// Its name, for revocation.
    id: String,
    /// When it began (RFC 3339).
    since: String,
    /// When it was last seen, to five minutes (RFC 3339).
    last_seen: String,
    /// When it ends if it is not used again (RFC 3339).
    expires_at: String,
    /// The key it belongs to, as a DID.
    did: String,
    /// What the customer calls its device.
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<String>,
    /// How surely the customer was recognised in it: `recovery_code`, `browser_key`, `did`, `passkey` or
    /// `relationship_credential`.
    rung: &'static str,
    /// Whether it began by a wallet on another device.
    across_devices: bool,
    /// Whether a cookie carries it.
    cookie: bool,
    /// Whether it is the one of this request.
    current: bool,
}

/// Who the customer is to this shop.
#[derive(Debug, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub(crate) struct MeBody {
    /// The customer's name in this shop.
    id: String,
    /// Their keys as DIDs.
    dids: Vec<String>,
    /// How surely they were recognised in this session: `recovery_code`, `browser_key`, `did`, `passkey` or
    /// `relationship_credential`.
    rung: &'static str,
    /// What they proved.
    proofs: Vec<ProofBody>,
    /// What is kept, why and until when; no values.
    kept: Vec<KeptBody>,
}

/// What a customer proved.
#[derive(Debug, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub(crate) struct ProofBody {
    /// The ask.
    ask: String,
    /// When (RFC 3339).
    at: String,
    /// Why it was asked.
    purpose: String,
    /// What it established.
    outcome: String,
}

/// A value that is kept.
#[derive(Debug, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub(crate) struct KeptBody {
    /// The claim.
    claim: String,
    /// Why it is kept.
    purpose: String,
    /// Until when (RFC 3339).
    until: String,
}

/// A browser asks, and gets what brings a wallet here.
///
/// Several asks are answered by one presentation, as a whole or not at all. With a payment, an attempt to pay the order begins;
/// it is authorised when the answer is redeemed, and declined if the wallet declines. The key of the proof is the only one that can redeem the answer.
#[cfg_attr(feature = "openapi", utoipa::path(
    post, path = "/presentations", tag = "browser", request_body = AskBody,
    params(("DPoP" = String, Header, description = "A proof by the browser's key (RFC 9449)")),
    responses(
        (status = 201, body = InvitationBody),
        (status = 400, body = Problem, content_type = "application/problem+json", description = "`return_to` is no path of this shop, these are not asked together, or the body is not what it should be"),
        (status = 401, body = Problem, content_type = "application/problem+json", description = "No proof, a wrong one, or one without a fresh nonce: `DPoP-Nonce` brings it"),
        (status = 403, body = Problem, content_type = "application/problem+json", description = "The customer signed out with this key"),
        (status = 404, body = Problem, content_type = "application/problem+json", description = "No such ask, or no such order of this browser's"),
        (status = 409, body = Problem, content_type = "application/problem+json", description = "The order is paid, over, or being paid in another way"),
        (status = 422, body = Problem, content_type = "application/problem+json", description = "The amount cannot be paid by wallet"),
        (status = 429, body = Problem, content_type = "application/problem+json"),
    )
))]
pub(crate) async fn ask(
    State(merchant): State<Merchant>,
    Proved(signed): Proved,
    Extension(limits): Extension<Limits>,
    headers: HeaderMap,
    body: Body,
) -> Answer {
    let answer = async {
        let (bytes, proof) = (body.json(&headers)?, &signed.proof);
        proof.check_body(&bytes, false)?;
        let body: AskBody = parse(&bytes)?;
        // What cannot be asked costs nobody one of the asks that they have.
        let asks: Vec<&str> = body.ask.split(' ').collect();
        if asks.iter().any(|name| merchant.declared(name).is_none()) {
            return Err(Refusal::NoSuchAsk.into());
        }
        limits.ask(proof)?;
        let order = match &body.payment {
            Some(PaymentBody { checkout: Some(_), .. }) | None => None,
            Some(payment) => Some(payable(&merchant, &signed, payment).await?),
        };
        let invitation = match body.payment.as_ref().and_then(|payment| payment.checkout.as_ref()) {
            Some(tap) => tapped(&merchant, &signed, &body, tap).await?,
            None => {
                let (device, return_to) = (body.flow.into(), body.return_to.as_deref());
                let request = AskTogether { asks: &asks, payment: order.as_ref(), device, return_to };
                merchant.ask_together(proof, &request).await?
            }
        };
        let body = InvitationBody {
            id: invitation.id.as_str().to_owned(),
            expires_in: invitation.expires_in_s,
            request_uri: invitation.request_uri.map(Into::into),
            wallet_uri: invitation.wallet_uri,
            wallets: invitation.wallets.into_iter().map(|w| WalletBody { name: w.name, url: w.url }).collect(),
        };
        Ok((StatusCode::CREATED, Json(body)))
    };
    Answer::signed(&merchant, answer.await)
}

/// How a presentation stands.
#[cfg_attr(feature = "openapi", utoipa::path(
    get, path = "/presentations/{id}", tag = "browser",
    params(("id" = String, Path), ("DPoP" = String, Header, description = "A proof by the key that asked")),
    responses(
        (status = 200, body = StandingBody),
        (status = 401, body = Problem, content_type = "application/problem+json"),
        (status = 404, body = Problem, content_type = "application/problem+json", description = "No such presentation, or another key's"),
    )
))]
pub(crate) async fn standing(
    State(merchant): State<Merchant>,
    Proved(Signed { proof, .. }): Proved,
    Named(id): Named,
) -> Answer {
    let answer = async {
        let standing = merchant.standing(&presentation(&id)?, &proof).await?;
        Ok(Json(StandingBody { state: standing.state.name(), refused: standing.last_refusal }))
    };
    Answer::signed(&merchant, answer.await)
}

/// The browser that asked gives up: no wallet answers any more, and an attempt to pay is declined.
#[cfg_attr(feature = "openapi", utoipa::path(
    delete, path = "/presentations/{id}", tag = "browser",
    params(("id" = String, Path), ("DPoP" = String, Header, description = "A proof by the key that asked")),
    responses(
        (status = 204, description = "Nobody answers it any more"),
        (status = 401, body = Problem, content_type = "application/problem+json"),
        (status = 404, body = Problem, content_type = "application/problem+json", description = "No such presentation, or another key's"),
        (status = 409, body = Problem, content_type = "application/problem+json", description = "Answered already"),
        (status = 410, body = Problem, content_type = "application/problem+json", description = "Expired"),
    )
))]
pub(crate) async fn withdraw(
    State(merchant): State<Merchant>,
    Proved(Signed { proof, .. }): Proved,
    Named(id): Named,
    body: Body,
) -> Answer {
    let answer = async {
        let bytes = body.0?;
        proof.check_body(&bytes, !bytes.is_empty())?;
        merchant.withdraw(&presentation(&id)?, &proof).await?;
        Ok(StatusCode::NO_CONTENT)
    };
    Answer::signed(&merchant, answer.await)
}

/// How a presentation stands, and every change of it, as server-sent events.
#[cfg_attr(feature = "openapi", utoipa::path(
    get, path = "/presentations/{id}/events", tag = "browser",
    params(("id" = String, Path), ("DPoP" = String, Header, description = "A proof by the key that asked")),
    responses(
        (status = 200, content_type = "text/event-stream", body = serde_json::Value, description = "`event: state` with the standing, whenever it changes; ends after a minute at most"),
        (status = 401, body = Problem, content_type = "application/problem+json"),
        (status = 404, body = Problem, content_type = "application/problem+json"),
        (status = 429, body = Problem, content_type = "application/problem+json"),
    )
))]
pub(crate) async fn follow(
    State(merchant): State<Merchant>,
    Proved(Signed { proof, .. }): Proved,
    Extension(limits): Extension<Limits>,
    Named(id): Named,
) -> Answer {
    let answer = async {
        let open = limits.stream(&proof)?;
        events::of(&merchant, presentation(&id)?, proof, open).await
    };
    Answer::signed(&merchant, answer.await)
}

/// A wallet fetches the signed request object; it may do so more than once.
#[cfg_attr(feature = "openapi", utoipa::path(
    get, path = "/requests/{id}", tag = "wallet", params(("id" = String, Path)),
    responses(
        (status = 200, content_type = "application/oauth-authz-req+jwt", body = String, description = "The signed request object (OpenID4VP 1.0, 5)"),
        (status = 404, body = Problem, content_type = "application/problem+json"),
        (status = 409, body = Problem, content_type = "application/problem+json", description = "Answered already"),
        (status = 410, body = Problem, content_type = "application/problem+json", description = "Expired"),
    )
))]
pub(crate) async fn request(
    State(merchant): State<Merchant>,
    Extension(limits): Extension<Limits>,
    Named(id): Named,
) -> Result<Response, Problem> {
    request_object(&merchant, &limits, &called(&limits, &id)?, &RequestPost::default()).await
}

/// A wallet fetches the signed request object, with a nonce of its own that comes back in it.
#[cfg_attr(feature = "openapi", utoipa::path(
    post, path = "/requests/{id}", tag = "wallet", params(("id" = String, Path)),
    request_body(content = String, content_type = "application/x-www-form-urlencoded", description = "`wallet_nonce`, `wallet_metadata` (OpenID4VP 1.0, 5.10): a key in the metadata is what the object is encrypted to, and nothing of them is kept"),
    responses(
        (status = 200, content_type = "application/oauth-authz-req+jwt", body = String, description = "The signed request object with the `wallet_nonce`"),
        (status = 400, body = Problem, content_type = "application/problem+json"),
        (status = 404, body = Problem, content_type = "application/problem+json"),
        (status = 415, body = Problem, content_type = "application/problem+json"),
    )
))]
pub(crate) async fn request_post(
    State(merchant): State<Merchant>,
    Extension(limits): Extension<Limits>,
    Named(id): Named,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Problem> {
    let id = called(&limits, &id)?;
    let bytes = body.form(&headers)?;
    let post = read_request_post(&bytes, merchant.limits()).map_err(|error| {
        tracing::debug!(%error, "a wallet's form is refused");
        Problem::new(StatusCode::BAD_REQUEST, "invalid_request", "the form cannot be read")
    })?;
    request_object(&merchant, &limits, &id, &post).await
}

async fn request_object(
    merchant: &Merchant,
    limits: &Limits,
    id: &RequestId,
    post: &RequestPost,
) -> Result<Response, Problem> {
    let object = found(limits, id, merchant.request_object(id, post).await)?;
    let media_type = HeaderValue::from_static("application/oauth-authz-req+jwt");
    Ok(([(header::CONTENT_TYPE, media_type), (header::CACHE_CONTROL, HeaderValue::from_static("no-store"))], object)
        .into_response())
}

/// A wallet answers: with what was asked for, or with an error.
#[cfg_attr(feature = "openapi", utoipa::path(
    post, path = "/responses/{id}", tag = "wallet", params(("id" = String, Path)),
    request_body(content = String, content_type = "application/x-www-form-urlencoded", description = "`response`, or `vp_token` and `state`, or `error` (OpenID4VP 1.0, 8)"),
    responses(
        (status = 200, body = AnsweredBody),
        (status = 400, body = Problem, content_type = "application/problem+json", description = "The answer is refused"),
        (status = 404, body = Problem, content_type = "application/problem+json"),
        (status = 409, body = Problem, content_type = "application/problem+json", description = "Answered already"),
        (status = 410, body = Problem, content_type = "application/problem+json", description = "Expired"),
        (status = 413, body = Problem, content_type = "application/problem+json"),
        (status = 415, body = Problem, content_type = "application/problem+json"),
    )
))]
pub(crate) async fn respond(
    State(merchant): State<Merchant>,
    Extension(limits): Extension<Limits>,
    Named(id): Named,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Problem> {
    let id = called(&limits, &id)?;
    let bytes = body.form(&headers)?;
    let answered = found(&limits, &id, merchant.answer(&id, &bytes).await).map_err(|e| Problem::for_wallet(&e))?;
    let no_store = [(header::CACHE_CONTROL, HeaderValue::from_static("no-store"))];
    Ok((no_store, Json(AnsweredBody { redirect_uri: answered.redirect_uri })).into_response())
}

/// The page to which a wallet on the same device leads back. The same for everybody: what it is about stands in the
/// fragment, which no server sees.
#[cfg_attr(feature = "openapi", utoipa::path(
    get, path = "/return/{id}", tag = "browser", params(("id" = String, Path)),
    responses((status = 200, content_type = "text/html", body = String, description = "A page that redeems the answer by script"))
))]
pub(crate) async fn come_back(State(merchant): State<Merchant>, headers: HeaderMap) -> Response {
    let lang = Lang::of(&headers);
    page(StatusCode::OK, web::return_page(merchant.mount(), lang), &HeaderValue::from_static(web::PAGE_CSP))
}

/// The browser that asked redeems the answer, or a key that is known begins a session.
#[cfg_attr(feature = "openapi", utoipa::path(
    post, path = "/sessions", tag = "browser", request_body = SessionBody,
    params(("DPoP" = String, Header, description = "A proof by the key that asked, or by a key that is known")),
    responses(
        (status = 200, body = TokenBody),
        (status = 401, body = Problem, content_type = "application/problem+json"),
        (status = 403, body = Problem, content_type = "application/problem+json", description = "Another browser, a wrong or missing code, an unknown or signed-out key, or the wallet declined"),
        (status = 404, body = Problem, content_type = "application/problem+json"),
        (status = 409, body = Problem, content_type = "application/problem+json", description = "Not answered yet, redeemed already, or the answer is another person's"),
        (status = 410, body = Problem, content_type = "application/problem+json"),
    )
))]
pub(crate) async fn begin_session(
    State(merchant): State<Merchant>,
    Proved(Signed { proof, .. }): Proved,
    headers: HeaderMap,
    body: Body,
) -> Answer {
    let answer = async {
        let bytes = body.json(&headers)?;
        proof.check_body(&bytes, false)?;
        let body: SessionBody = parse(&bytes)?;
        let device = body.device.as_deref().map(device_name).transpose()?;
        let grant = match (&body.presentation, &body.response_code) {
            (None, None) => merchant.resume(&proof).await?,
            (Some(id), code) => {
                let wrong = |_| Problem::from(Error::from(firsthand::presentation::StepError::WrongCode));
                let code = code.as_deref().map(str::parse::<ResponseCode>).transpose().map_err(wrong)?;
                let redemption = Redemption { presentation: &presentation(id)?, response_code: code.as_ref() };
                merchant.redeem(&proof, &redemption).await?
            }
            (None, Some(_)) => return Err(invalid("a response_code belongs to a presentation")),
        };
        if let Some(device) = &device {
            merchant.introduce_device(&proof, device).await;
        }
        Ok(granted(&merchant, &proof, grant).await)
    };
    Answer::signed(&merchant, answer.await)
}

/// The sessions of the customer.
#[cfg_attr(feature = "openapi", utoipa::path(
    get, path = "/sessions", tag = "customer", security(("dpop" = [])),
    responses((status = 200, body = SessionsBody), (status = 401, body = Problem, content_type = "application/problem+json"))
))]
pub(crate) async fn list_sessions(State(merchant): State<Merchant>, Proved(signed): Proved) -> Answer {
    let answer = async {
        let recognised = recognise(&merchant, &signed).await?;
        let sessions = recognised.customer().await?.sessions().await?.into_iter().map(|view| SessionEntryBody {
            current: view.id == *recognised.session(),
            id: view.id.as_str().to_owned(),
            since: view.since.to_string(),
            last_seen: view.last_seen.to_string(),
            expires_at: view.expires_at.to_string(),
            did: view.did,
            name: view.name,
            rung: view.rung.name(),
            across_devices: view.across_devices,
            cookie: view.cookie,
        });
        Ok(Json(SessionsBody { sessions: sessions.collect() }))
    };
    Answer::signed(&merchant, answer.await)
}

/// Ends all sessions of the customer, this one too.
#[cfg_attr(feature = "openapi", utoipa::path(
    delete, path = "/sessions", tag = "customer", security(("dpop" = [])),
    responses((status = 204, description = "All sessions ended, their keys locked"), (status = 401, body = Problem, content_type = "application/problem+json"))
))]
pub(crate) async fn revoke_all(State(merchant): State<Merchant>, Proved(signed): Proved, body: Body) -> Answer {
    let answer = async {
        let recognised = act(&merchant, &signed, &body).await?;
        recognised.end(Ending::AllSessions, &signed.proof).await?;
        Ok(StatusCode::NO_CONTENT)
    };
    Answer::signed(&merchant, answer.await)
}

/// Ends one session; `current` signs out.
#[cfg_attr(feature = "openapi", utoipa::path(
    delete, path = "/sessions/{id}", tag = "customer", security(("dpop" = [])),
    params(("id" = String, Path, description = "The name of a session, or `current` to sign out")),
    responses(
        (status = 204, description = "The session ended, its key is locked"),
        (status = 401, body = Problem, content_type = "application/problem+json"),
        (status = 404, body = Problem, content_type = "application/problem+json"),
    )
))]
pub(crate) async fn revoke(
    State(merchant): State<Merchant>,
    Proved(signed): Proved,
    Named(id): Named,
    body: Body,
) -> Answer {
    let answer = async {
        let recognised = act(&merchant, &signed, &body).await?;
        if id == "current" {
            recognised.end(Ending::Visit, &signed.proof).await?;
        } else {
            let id: SessionId = id.parse().map_err(|_| Refusal::NoSuchSession)?;
            recognised.end(Ending::Session(&id), &signed.proof).await?;
        }
        Ok(StatusCode::NO_CONTENT)
    };
    Answer::signed(&merchant, answer.await)
}

/// What the shop knows of the customer.
#[cfg_attr(feature = "openapi", utoipa::path(
    get, path = "/me", tag = "customer", security(("dpop" = [])),
    responses((status = 200, body = MeBody), (status = 401, body = Problem, content_type = "application/problem+json"))
))]
pub(crate) async fn me(State(merchant): State<Merchant>, Proved(signed): Proved) -> Answer {
    let answer = async {
        let recognised = recognise(&merchant, &signed).await?;
        let customer = recognised.customer().await?;
        let proofs = customer.proofs().iter().map(|proof| ProofBody {
            ask: proof.ask.clone(),
            at: proof.at.to_string(),
            purpose: proof.purpose.clone(),
            outcome: proof.outcome.to_string(),
        });
        let kept = customer.kept().await?.into_iter().map(|kept| KeptBody {
            claim: kept.claim,
            purpose: kept.purpose,
            until: kept.until.to_string(),
        });
        Ok(Json(MeBody {
            id: customer.id().to_string(),
            dids: customer.dids().await?,
            rung: recognised.rung().name(),
            proofs: proofs.collect(),
            kept: kept.collect(),
        }))
    };
    Answer::signed(&merchant, answer.await)
}

/// The shape of what `/me/export` answers, a JSON Schema.
#[cfg_attr(feature = "openapi", utoipa::path(
    get, path = "/export.v1.json", tag = "browser",
    responses((status = 200, content_type = "application/schema+json", body = Object))
))]
pub(crate) async fn export_schema() -> Response {
    let headers = [
        (header::CONTENT_TYPE, "application/schema+json"),
        (header::CACHE_CONTROL, "public, max-age=86400"),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    ];
    (headers, firsthand::merchant::Export::SCHEMA).into_response()
}

/// Everything that the shop has of the customer, as JSON of the shape `/export.v1.json`: values in clear, times in RFC 3339,
/// amounts as decimal text.
#[cfg_attr(feature = "openapi", utoipa::path(
    get, path = "/me/export", tag = "customer", security(("dpop" = [])),
    responses(
        (status = 200, body = Object, description = "What the schema at `/export.v1.json` says, whose address is its `$schema`"),
        (status = 401, body = Problem, content_type = "application/problem+json"),
        (status = 403, body = Problem, content_type = "application/problem+json", description = "Show the passkey, credential or DID first, or wait after a recovery"),
    )
))]
pub(crate) async fn export(State(merchant): State<Merchant>, Proved(signed): Proved) -> Answer {
    let answer = async {
        let export = recognise(&merchant, &signed).await?.export().await?;
        let disposition =
            [(header::CONTENT_DISPOSITION, HeaderValue::from_static("attachment; filename=\"export.json\""))];
        Ok((disposition, Json(export)))
    };
    Answer::signed(&merchant, answer.await)
}

/// What stays of a customer who was forgotten.
#[derive(Debug, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub(crate) struct FarewellBody {
    /// What stays and why; empty if nothing does.
    stays: Vec<StaysBody>,
}

/// Something that stays.
#[derive(Debug, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub(crate) struct StaysBody {
    /// `orders`: without anything that leads to the customer.
    what: &'static str,
    /// How many.
    count: usize,
    /// `bookkeeping`: the law has books kept.
    why: &'static str,
}

/// Forgets the customer: record, proofs, keys, sessions and history. Says what stays, and why.
#[cfg_attr(feature = "openapi", utoipa::path(
    delete, path = "/me", tag = "customer", security(("dpop" = [])),
    responses((status = 200, body = FarewellBody), (status = 401, body = Problem, content_type = "application/problem+json"))
))]
pub(crate) async fn forget_me(State(merchant): State<Merchant>, Proved(signed): Proved, body: Body) -> Answer {
    let answer = async {
        let recognised = act(&merchant, &signed, &body).await?;
        let farewell = recognised.leave(&signed.proof).await?;
        let orders = StaysBody { what: "orders", count: farewell.orders, why: "bookkeeping" };
        Ok(Json(FarewellBody { stays: (farewell.orders > 0).then_some(orders).into_iter().collect() }))
    };
    Answer::signed(&merchant, answer.await)
}

/// Forgets this browser: its key is nobody's any more.
#[cfg_attr(feature = "openapi", utoipa::path(
    delete, path = "/device", tag = "customer", security(("dpop" = [])),
    responses((status = 204, description = "The key of this browser is nobody's any more"), (status = 401, body = Problem, content_type = "application/problem+json"))
))]
pub(crate) async fn forget_device(State(merchant): State<Merchant>, Proved(signed): Proved, body: Body) -> Answer {
    let answer = async {
        act(&merchant, &signed, &body).await?.end(Ending::Device, &signed.proof).await?;
        Ok(StatusCode::NO_CONTENT)
    };
    Answer::signed(&merchant, answer.await)
}

/// Calls a device otherwise: this one, or the one of another session of the customer.
#[cfg_attr(feature = "openapi", utoipa::path(
    put, path = "/device", tag = "customer", security(("dpop" = [])), request_body = DeviceBody,
    responses(
        (status = 204, description = "The device is called that"),
        (status = 400, body = Problem, content_type = "application/problem+json", description = "Not a name"),
        (status = 401, body = Problem, content_type = "application/problem+json"),
        (status = 404, body = Problem, content_type = "application/problem+json", description = "No such session, or another customer's"),
    )
))]
pub(crate) async fn rename_device(
    State(merchant): State<Merchant>,
    Proved(signed): Proved,
    headers: HeaderMap,
    body: Body,
) -> Answer {
    let answer = async {
        let bytes = body.json(&headers)?;
        signed.proof.check_body(&bytes, true)?;
        let body: DeviceBody = parse(&bytes)?;
        let name = device_name(&body.name)?;
        let session = body.session.as_deref().map(str::parse::<SessionId>).transpose();
        let session = session.map_err(|_| Refusal::NoSuchSession)?;
        let recognised = recognise(&merchant, &signed).await?;
        recognised.rename_device(&signed.proof, session.as_ref(), &name).await?;
        Ok(StatusCode::NO_CONTENT)
    };
    Answer::signed(&merchant, answer.await)
}

/// A payment rail says by itself what became of a payment.
///
/// The rail finds out whether it is a message of its own; said twice, it counts once. A rail that sends no messages is
/// not there, like one that the shop does not have.
#[cfg_attr(feature = "openapi", utoipa::path(
    post, path = "/notices/{rail}", tag = "rail",
    params(("rail" = String, Path, description = "The name of the rail")),
    request_body(content = String, content_type = "*/*", description = "Whatever the rail sends, at most 64 KiB; its headers are read, too"),
    responses(
        (status = 204, description = "Written down, or known already"),
        (status = 400, body = Problem, content_type = "application/problem+json", description = "The notice is the rail's, and cannot be read"),
        (status = 401, body = Problem, content_type = "application/problem+json", description = "The notice is not the rail's, or too old"),
        (status = 404, body = Problem, content_type = "application/problem+json", description = "No such rail, or none that sends notices; or it speaks of an order, an attempt, a capture or a refund that there is not"),
        (status = 409, body = Problem, content_type = "application/problem+json", description = "It speaks of another amount than there is, or of more parts of an attempt than are kept"),
        (status = 422, body = Problem, content_type = "application/problem+json", description = "It gives a capture a name that is none"),
    )
))]
pub(crate) async fn notice(
    State(merchant): State<Merchant>,
    Extension(limits): Extension<Limits>,
    Named(rail): Named,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Problem> {
    limits.notice()?;
    let bytes = body.0?;
    let request = NoticeRequest { headers: &headers, body: &bytes, now: merchant.now() };
    match merchant.notice(&rail, &request).await {
        Ok(_) => {
            Ok((StatusCode::NO_CONTENT, [(header::CACHE_CONTROL, HeaderValue::from_static("no-store"))])
                .into_response())
        }
        // Which rails a shop has is nobody's business who has no key of theirs.
        Err(Error::Notice(NoticeError::NoNotices)) => Err(Refusal::NoSuchRail.into()),
        Err(error) => Err(error.into()),
    }
}

/// The browser side: one ES module.
#[cfg_attr(feature = "openapi", utoipa::path(
    get, path = "/firsthand.js", tag = "browser",
    responses((status = 200, content_type = "text/javascript", body = String), (status = 304, description = "Known already"))
))]
pub(crate) async fn script(headers: HeaderMap) -> Response {
    asset(&headers, "text/javascript; charset=utf-8", &web::SCRIPT, web::script_etag())
}

/// The elements for a page on which customers see to what recognises them: one more ES module.
#[cfg_attr(feature = "openapi", utoipa::path(
    get, path = "/account.js", tag = "browser",
    responses((status = 200, content_type = "text/javascript", body = String), (status = 304, description = "Known already"))
))]
pub(crate) async fn account_script(headers: HeaderMap) -> Response {
    asset(&headers, "text/javascript; charset=utf-8", &web::ACCOUNT_SCRIPT, web::account_script_etag())
}

/// The looks of the pages that the crate serves.
#[cfg_attr(feature = "openapi", utoipa::path(
    get, path = "/page.css", tag = "browser",
    responses((status = 200, content_type = "text/css", body = String), (status = 304, description = "Known already"))
))]
pub(crate) async fn style(headers: HeaderMap) -> Response {
    asset(&headers, "text/css; charset=utf-8", web::STYLE, web::style_etag())
}

/// Asked for again with every page, and sent again when it has changed: a shop that is updated is updated.
pub(crate) fn asset(headers: &HeaderMap, media_type: &'static str, text: &'static str, etag: String) -> Response {
    let tag = HeaderValue::try_from(etag).unwrap_or(HeaderValue::from_static("\"\""));
    let known = fresh(headers, &tag);
    let shared = [
        (header::ETAG, tag),
        (header::CACHE_CONTROL, HeaderValue::from_static("no-cache")),
        (header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff")),
    ];
    if known {
        return (StatusCode::NOT_MODIFIED, shared).into_response();
    }
    ([(header::CONTENT_TYPE, HeaderValue::from_static(media_type))], shared, text).into_response()
}

/// Whether the client has what this tag stands for.
fn fresh(headers: &HeaderMap, tag: &HeaderValue) -> bool {
    headers.get_all(header::IF_NONE_MATCH).iter().any(|known| knows(known, tag))
}

/// Whether an `If-None-Match` names this tag (RFC 9110, 13.1.2): a list, compared weakly, since a proxy that compresses
/// makes a strong tag a weak one.
fn knows(known: &HeaderValue, tag: &HeaderValue) -> bool {
    let (Ok(known), Ok(tag)) = (known.to_str(), tag.to_str()) else { return false };
    known.split(',').map(str::trim).any(|one| one == "*" || one.strip_prefix("W/").unwrap_or(one) == tag)
}

/// What a browser is told of its new session, and of who the shop is. The session has begun: what cannot be said of the
/// shop now is said with the next one.
pub(crate) async fn granted(merchant: &Merchant, proof: &BrowserProof, grant: SessionGrant) -> TokenBody {
    let SessionGrant { access_token, expires_in_s, return_to, customer, .. } = grant;
    let relationship = match merchant.relationship_statement(proof, &customer).await {
        Ok(said) => Some(RelationshipBody { did: said.did.to_string(), statement: said.statement }),
        Err(error) => {
            tracing::warn!(%error, "a session began without a word on who the shop is");
            None
        }
    };
    let access_token = access_token.reveal().to_owned();
    TokenBody { access_token, token_type: "DPoP", expires_in: expires_in_s, return_to, relationship }
}

/// The customer of a signed request.
pub(crate) async fn recognise(merchant: &Merchant, signed: &Signed) -> Result<Recognised, Problem> {
    let token = signed.access_token.as_deref().ok_or(Refusal::NotKnown)?;
    Ok(merchant.recognise(&signed.proof, token).await?)
}

/// The customer of a signed request that changes something: its body is the one that the proof names. The proof is used
/// up in the commit of the change.
async fn act(merchant: &Merchant, signed: &Signed, body: &Body) -> Result<Recognised, Problem> {
    let bytes = body.0.as_ref().map_err(Clone::clone)?;
    signed.proof.check_body(bytes, !bytes.is_empty())?;
    recognise(merchant, signed).await
}

/// The order that is to be paid, if it is this browser's: the customer's own, or a guest's with its link.
async fn payable(merchant: &Merchant, signed: &Signed, payment: &PaymentBody) -> Result<Order, Problem> {
    let id = payment.order.as_deref().unwrap_or_default();
    let id: OrderId = id.parse().map_err(|_| Refusal::NoSuchOrder)?;
    let order = match &payment.link {
        Some(link) => {
            let link: GuestLink = link.parse().map_err(|_| Refusal::NoSuchOrder)?;
            merchant.guest_order(&link).await?
        }
        None => recognise(merchant, signed).await?.order(&id).await?,
    };
    if *order.id() == id { Ok(order) } else { Err(Refusal::NoSuchOrder.into()) }
}

/// A checkout that is completed by showing a wallet, if it is this browser's.
async fn tapped(merchant: &Merchant, signed: &Signed, body: &AskBody, tap: &TapBody) -> Result<Invitation, Problem> {
    let id: CheckoutId = tap.id.parse().map_err(|_| Refusal::NoSuchCheckout)?;
    let checkout = match body.payment.as_ref().and_then(|payment| payment.link.as_ref()) {
        Some(link) => {
            let link: GuestLink = link.parse().map_err(|_| Refusal::NoSuchCheckout)?;
            merchant.guest_checkout(&link).await?
        }
        None => recognise(merchant, signed).await?.checkout(&id).await?,
    };
    if *checkout.id() != id {
        return Err(Refusal::NoSuchCheckout.into());
    }
    let key: IdempotencyKey = tap.key.parse().map_err(|error: NotAnIdempotencyKey| invalid(&error.to_string()))?;
    let total = Money::new(tap.total_minor, tap.currency.parse()?)?;
    let (revision, device, ask, return_to) = (tap.revision, body.flow.into(), body.ask.clone(), body.return_to.clone());
    let proof = signed.proof.clone();
    // An order that was begun is never left without the wallet that it waits for.
    let tapping = async move {
        let mut one_tap = OneTap::new(revision, total, &ask, device);
        one_tap.return_to = return_to.as_deref();
        checkout.tap(&proof, &one_tap, &key).await
    };
    let Tapped { checkout, invitation } = finished("tapping a checkout", tapping).await?;
    invitation.ok_or_else(|| {
        // It is paid, or something has changed: the page is to be looked at again.
        let error = match checkout.status() {
            over @ (Status::Completed | Status::Canceled) => CheckoutError::Over(over),
            _ => CheckoutError::Stale { said: tap.revision, now: checkout.revision() },
        };
        Error::from(error).into()
    })
}

fn device_name(text: &str) -> Result<DeviceName, Problem> {
    text.parse().map_err(|error: NotADeviceName| invalid(&error.to_string()))
}

fn presentation(id: &str) -> Result<PresentationId, Problem> {
    id.parse().map_err(|_| Refusal::NoSuchPresentation.into())
}

/// The wallet's name of a presentation that is called for, if there may be one of that name, and it is not called for
/// too often.
fn called(limits: &Limits, id: &str) -> Result<RequestId, Problem> {
    let id = id.parse().map_err(|_| Refusal::NoSuchPresentation)?;
    limits.wallet(&id)?;
    Ok(id)
}

/// Counts a wallet's call whose outcome shows that the presentation exists: invented names are not worth a count.
fn found<T>(limits: &Limits, id: &RequestId, outcome: Result<T, Error>) -> Result<T, Error> {
    if matches!(outcome, Ok(_) | Err(Error::Answer(_) | Error::Step(_))) {
        limits.wallet_found(id);
    }
    outcome
}

fn invalid(detail: &str) -> Problem {
    Problem::new(StatusCode::BAD_REQUEST, "invalid_request", detail)
}

pub(crate) fn parse<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, Problem> {
    // The strict reader first: one text, one meaning, and no depth that costs anything.
    let strict = firsthand::protocol::json::parse(bytes, 8).map_err(|_| invalid("the body is not JSON"))?;
    // serde would also read the members off an array, by their order.
    if !strict.is_object() {
        return Err(invalid("the body is not a JSON object"));
    }
    serde_json::from_value(strict).map_err(|_| {
        // Read once more for the member at fault: that is all that is told of it, and no value.
        let unfit = Json::<T>::from_bytes(bytes).err().and_then(|error| unfit_member(&error));
        let detail = "the body has not the members that it should have";
        unfit.map_or_else(|| invalid(detail), |unfit| invalid(&format!("{detail}: {unfit}")))
    })
}

/// What is wrong with which member of a body, or which parameter of an address, in the words of the extractors: a preamble, the
/// path of the member, the reason. Its value is never told.
pub(crate) fn unfit_member(error: &impl std::fmt::Display) -> Option<String> {
    let is_path = |text: &str| {
        let plain = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-' | b'.' | b'[' | b']');
        (1..=64).contains(&text.len()) && text.bytes().all(plain)
    };
    let text = error.to_string();
    let (_, told) = text.split_once(": ")?;
    let (path, reason) = match told.split_once(": ") {
        Some((path, reason)) if is_path(path) => (Some(path), reason),
        _ => (None, told),
    };
    let named = |reason_is: &str| reason.strip_prefix(reason_is)?.split('`').next().filter(|name| is_path(name));
    if let Some(name) = named("missing field `") {
        let within = path.map(|path| format!("{path}.")).unwrap_or_default();
        return Some(format!("`{within}{name}` is missing"));
    }
    if let Some(name) = named("unknown field `") {
        return Some(format!("`{}` is none of them", path.unwrap_or(name)));
    }
    let name = path.or_else(|| named("duplicate field `"))?;
    Some(format!("`{name}` cannot be read"))
}

/// The name in the address. What is no text is a name like any other that nobody has.
pub(crate) struct Named(pub(crate) String);

impl<S: Send + Sync> FromRequestParts<S> for Named {
    type Rejection = std::convert::Infallible;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Self::Rejection> {
        let name = Path::<String>::from_request_parts(parts, state).await;
        Ok(Self(name.map(|Path(name)| name).unwrap_or_default()))
    }
}

/// A body that arrived whole, or why not: refused where it is read, so that the refusal carries a nonce like any other.
pub(crate) struct Body(pub(crate) Result<Bytes, Problem>);

impl Body {
    pub(crate) fn json(self, headers: &HeaderMap) -> Result<Bytes, Problem> {
        self.of_type(headers, "application/json")
    }

    pub(crate) fn form(self, headers: &HeaderMap) -> Result<Bytes, Problem> {
        self.of_type(headers, "application/x-www-form-urlencoded")
    }

    /// Of whatever type.
    pub(crate) fn whole(self) -> Result<Bytes, Problem> {
        self.0
    }

    fn of_type(self, headers: &HeaderMap, media_type: &'static str) -> Result<Bytes, Problem> {
        let sent = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
        let essence = sent.split(';').next().unwrap_or_default().trim();
        if !essence.eq_ignore_ascii_case(media_type) {
            let detail = format!("send {media_type}");
            return Err(Problem::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, "unsupported_media_type", detail));
        }
        self.0
    }
}

impl<S: Send + Sync> axum::extract::FromRequest<S> for Body {
    type Rejection = std::convert::Infallible;

    async fn from_request(request: Request, state: &S) -> Result<Self, Self::Rejection> {
        let bytes = tokio::time::timeout(BODY_WITHIN, Bytes::from_request(request, state)).await;
        Ok(Self(match bytes {
            Err(_) => Err(body_too_slow()),
            Ok(Ok(bytes)) => Ok(bytes),
            Ok(Err(rejection)) if rejection.status() == StatusCode::PAYLOAD_TOO_LARGE => {
                Err(Problem::new(StatusCode::PAYLOAD_TOO_LARGE, "body_too_large", "the body is too large"))
            }
            Ok(Err(_)) => Err(Problem::new(StatusCode::BAD_REQUEST, "body_broken", "the body did not arrive whole")),
        }))
    }
}

/// The answer to a signed request: with the nonce of the next one, and in no cache.
pub(crate) struct Answer(Response);

impl Answer {
    pub(crate) fn signed(merchant: &Merchant, answer: Result<impl IntoResponse, Problem>) -> Self {
        let mut response = match answer {
            Ok(answer) => answer.into_response(),
            Err(problem) => problem.into_response(),
        };
        signed::refresh(merchant, &mut response);
        crate::layer::keep_private(&mut response);
        Self(response)
    }
}

impl IntoResponse for Answer {
    fn into_response(self) -> Response {
        self.0
    }
}
