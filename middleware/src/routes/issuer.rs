//! Where wallets get the relationship credential, and receipts (OpenID4VCI 1.0), where its customer offers it and consents, and what
//! everybody may read of it: metadata, its type, and which credentials hold.
//!
//! Wallets are answered in OAuth's own words, `{"error": ..}`; browsers in problems, like everywhere else.

use axum::{
    Extension, Json, Router,
    extract::{DefaultBodyLimit, FromRequestParts, RawQuery, State},
    response::{IntoResponse, Response},
    routing::{get, post},
};
use firsthand::{
    Error, Merchant,
    error::{Fault, IssueError, ProofError, Refusal},
    merchant::{BrowserProof, ConsentRequest, Issued, ProofRequest, WalletAccess, WalletIdentity},
    protocol::openid4vci::{
        credential::REQUEST_BYTES_MAX, oauth::FORM_BYTES_MAX, oauth::OPENID_CREDENTIAL, offer::PRE_AUTHORIZED,
    },
};
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header, request::Parts};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{Answer, Body, JSON_BYTES_MAX, Named, act, parse, recognise};
use crate::{
    extract::page,
    lang::Lang,
    layer::keep_private,
    limit::Limits,
    problem::Problem,
    signed::{self, DPOP, Proved},
    web,
};

const ATTESTATION: HeaderName = HeaderName::from_static("oauth-client-attestation");
const ATTESTATION_PROOF: HeaderName = HeaderName::from_static("oauth-client-attestation-pop");
/// What a wallet's notification and deferred request are: a name and a word.
const NAMES_BYTES_MAX: usize = 16 * 1024;

pub(super) fn routes() -> Router<Merchant> {
    let form = || DefaultBodyLimit::max(FORM_BYTES_MAX);
    let small = || DefaultBodyLimit::max(JSON_BYTES_MAX);
    Router::new()
        .route("/issuer/offers", post(offer).layer(small()))
        .route("/issuer/offers/{id}", get(offered))
        .route("/issuer/par", post(push).layer(form()))
        .route("/issuer/authorize", get(authorize))
        .route("/issuer/consents/{id}", get(consent_request).post(consent).layer(small()))
        .route("/issuer/token", post(token).layer(form()))
        .route("/issuer/nonce", post(nonce))
        .route("/issuer/credentials", post(credentials).layer(DefaultBodyLimit::max(REQUEST_BYTES_MAX)))
        .route("/issuer/deferred", post(deferred).layer(DefaultBodyLimit::max(NAMES_BYTES_MAX)))
        .route("/issuer/notifications", post(notify).layer(DefaultBodyLimit::max(NAMES_BYTES_MAX)))
        .route("/relationship", get(type_metadata))
        .route("/receipt", get(receipt_type_metadata))
        .route("/status/{list}", get(status_list))
}

/// What stands at the root of the origin, whatever the mount path: the issuer's identifier is the origin, which has no path
/// to be put behind these.
pub(super) fn well_known() -> Router<Merchant> {
    Router::new()
        .route("/.well-known/openid-credential-issuer", get(issuer_metadata))
        .route("/.well-known/oauth-authorization-server", get(server_metadata))
        .route("/.well-known/jwt-vc-issuer", get(issuer_keys))
}

/// An offer for the customer's wallet. Whoever has the links can try the number five times, for five minutes.
#[derive(Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub(crate) struct OfferBody {
    /// The link that opens a wallet on this device.
    uri: String,
    /// The link for a QR code.
    by_reference_uri: String,
    /// The six digits that the wallet asks for.
    tx_code: String,
    /// How long the offer can be taken, in seconds.
    expires_in: u64,
}

/// What a wallet asks a customer to consent to.
#[derive(Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub(crate) struct ConsentRequestBody {
    /// What the wallet is called.
    wallet: String,
    /// Where it is answered: a host, or the scheme of a wallet of its own with its colon.
    place: String,
}

/// What the customer says.
#[derive(Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub(crate) struct ConsentBody {
    /// Whether the wallet may have the credential.
    allow: bool,
}

/// Where the browser goes now.
#[derive(Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub(crate) struct ConsentedBody {
    /// The wallet's address, with a code or the refusal.
    redirect_uri: String,
}

/// A pushed request (RFC 9126, 2.2).
#[derive(Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub(crate) struct PushedBody {
    /// What the wallet refers to it by.
    request_uri: String,
    /// How long, in seconds.
    expires_in: u64,
}

/// Tokens for a wallet (RFC 6749, 5.1; OpenID4VCI 1.0, 6.2).
#[derive(Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub(crate) struct WalletTokenBody {
    /// The access token, for the issuer's own endpoints.
    access_token: String,
    /// `DPoP`, or `Bearer` for a wallet that sent no proof.
    token_type: &'static str,
    /// How long it works, in seconds.
    expires_in: u64,
    /// What brings the next one, once.
    #[serde(skip_serializing_if = "Option::is_none")]
    refresh_token: Option<String>,
    /// What it is for.
    scope: &'static str,
    /// How credentials are asked for, if the wallet asked by authorization details.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    authorization_details: Vec<DetailBody>,
}

/// How a credential is asked for.
#[derive(Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub(crate) struct DetailBody {
    /// `openid_credential`.
    #[serde(rename = "type")]
    kind: &'static str,
    /// Its configuration.
    credential_configuration_id: String,
    /// Its names in credential requests.
    credential_identifiers: [String; 1],
}

/// A nonce for proofs of keys.
#[derive(Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub(crate) struct NonceBody {
    /// The nonce: good for ten minutes, and for each key once.
    c_nonce: String,
}

/// Credentials, or when to ask again (OpenID4VCI 1.0, 8.3).
#[derive(Default, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub(crate) struct CredentialsBody {
    /// One for each key.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    credentials: Vec<CredentialBody>,
    /// What the wallet calls them when it says what became of them.
    #[serde(skip_serializing_if = "Option::is_none")]
    notification_id: Option<String>,
    /// What to ask for later.
    #[serde(skip_serializing_if = "Option::is_none")]
    transaction_id: Option<String>,
    /// When, in seconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    interval: Option<u64>,
}

/// A credential.
#[derive(Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub(crate) struct CredentialBody {
    /// `dc+sd-jwt`.
    credential: String,
}

/// A refusal in OAuth's words (RFC 6749, 5.2).
#[derive(Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub(crate) struct OAuthErrorBody {
    /// The standard's own name for it.
    error: &'static str,
    /// What to do about it, in ASCII.
    error_description: String,
}

/// Offers the relationship credential to a wallet of the customer.
#[cfg_attr(feature = "openapi", utoipa::path(
    post, path = "/issuer/offers", operation_id = "make_offer", tag = "customer", security(("dpop" = [])),
    responses(
        (status = 201, body = OfferBody, description = "For the customer's eyes alone"),
        (status = 401, body = Problem, content_type = "application/problem+json"),
        (status = 403, body = Problem, content_type = "application/problem+json", description = "The session began on another device, or something stronger has to be shown first"),
    )
))]
pub(crate) async fn offer(
    State(merchant): State<Merchant>,
    Proved(signed): Proved,
    Extension(limits): Extension<Limits>,
    body: Body,
) -> Answer {
    let answer = async {
        let recognised = act(&merchant, &signed, &body).await?;
        limits.offer(&signed.proof)?;
        let offer = recognised.offer_relationship(&signed.proof).await?;
        let body = OfferBody {
            uri: offer.uri,
            by_reference_uri: offer.by_reference_uri,
            tx_code: offer.tx_code,
            expires_in: offer.expires_in_s,
        };
        Ok((StatusCode::CREATED, Json(body)))
    };
    Answer::signed(&merchant, answer.await)
}

/// A wallet fetches an offer (OpenID4VCI 1.0, 4.1.3).
#[cfg_attr(feature = "openapi", utoipa::path(
    get, path = "/issuer/offers/{id}", tag = "issuer", params(("id" = String, Path)),
    responses(
        (status = 200, content_type = "application/json", body = Object, description = "The credential offer"),
        (status = 404, body = OAuthErrorBody, description = "No such offer, or not any more"),
    )
))]
pub(crate) async fn offered(
    State(merchant): State<Merchant>,
    Extension(limits): Extension<Limits>,
    Named(name): Named,
) -> Response {
    let answer = async {
        limits.issuer()?;
        Ok::<_, Refused>(Json(merchant.credential_offer(&name).await?))
    };
    match answer.await {
        Err(Refused(cause, _)) if matches!(*cause, Cause::Error(Error::Issue(IssueError::Grant))) => {
            let mut response = Refused::from(Error::from(IssueError::Grant)).response(&merchant);
            *response.status_mut() = StatusCode::NOT_FOUND;
            response
        }
        other => answered(&merchant, other),
    }
}

/// A wallet pushes its authorization request (RFC 9126).
#[cfg_attr(feature = "openapi", utoipa::path(
    post, path = "/issuer/par", tag = "issuer",
    request_body(content = String, content_type = "application/x-www-form-urlencoded", description = "An authorization request with PKCE (S256), and `issuer_state` from the offer"),
    responses(
        (status = 201, body = PushedBody),
        (status = 400, body = OAuthErrorBody),
        (status = 401, body = OAuthErrorBody, description = "The wallet is not known, or its attestation does not count"),
    )
))]
pub(crate) async fn push(
    State(merchant): State<Merchant>,
    Extension(limits): Extension<Limits>,
    headers: HeaderMap,
    caller: Caller,
    body: Body,
) -> Response {
    let answer = async {
        limits.issuer()?;
        let bytes = body.form(&headers)?;
        let caller = caller.0?;
        let pushed = merchant.push_authorization(&bytes, &caller.identity(), caller.dpop.as_ref()).await?;
        let body = PushedBody { request_uri: pushed.request_uri, expires_in: pushed.expires_in_s };
        Ok((StatusCode::CREATED, Json(body)))
    };
    answered(&merchant, answer.await)
}

/// The page to which a wallet leads its owner: it asks whether the wallet may have the credential. The browser that the shop
/// knows answers by script; the page itself knows nobody.
#[cfg_attr(feature = "openapi", utoipa::path(
    get, path = "/issuer/authorize", tag = "browser",
    params(("client_id" = String, Query), ("request_uri" = String, Query)),
    responses(
        (status = 200, content_type = "text/html", body = String),
        (status = 400, content_type = "text/html", body = String, description = "No such request, or not any more: there is nobody to send an answer to"),
    )
))]
pub(crate) async fn authorize(
    State(merchant): State<Merchant>,
    Extension(limits): Extension<Limits>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    limits.issuer()?;
    let (mount, lang) = (merchant.mount(), Lang::of(&headers));
    let page = |html| page(StatusCode::OK, html, &HeaderValue::from_static(web::PAGE_CSP));
    match merchant.authorization_request(&query.unwrap_or_default()).await {
        Ok(ConsentRequest { wallet, place, .. }) => Ok(page(web::consent_page(mount, lang, &wallet, &place))),
        // A person reads this, whether the wallet was too late or wrote what nobody can read.
        Err(over @ Error::Issue(IssueError::RequestUri | IssueError::Message(_))) => {
            Ok(Problem::from(over).into_page(page(web::consent_over_page(mount, lang))))
        }
        Err(error) => Err(error.into()),
    }
}

/// What a wallet asks the customer to consent to.
#[cfg_attr(feature = "openapi", utoipa::path(
    get, path = "/issuer/consents/{id}", tag = "customer", security(("dpop" = [])),
    params(("id" = String, Path, description = "What follows the last colon of the `request_uri`")),
    responses(
        (status = 200, body = ConsentRequestBody),
        (status = 400, body = Problem, content_type = "application/problem+json", description = "No such request, or not any more"),
        (status = 401, body = Problem, content_type = "application/problem+json"),
        (status = 403, body = Problem, content_type = "application/problem+json", description = "The offer was made to somebody else, or something has to be shown first"),
    )
))]
pub(crate) async fn consent_request(
    State(merchant): State<Merchant>,
    Proved(signed): Proved,
    Named(id): Named,
) -> Answer {
    let answer = async {
        let request = recognise(&merchant, &signed).await?.consent_request(&id).await?;
        Ok(Json(ConsentRequestBody { wallet: request.wallet, place: request.place }))
    };
    Answer::signed(&merchant, answer.await)
}

/// The customer consents, or does not.
#[cfg_attr(feature = "openapi", utoipa::path(
    post, path = "/issuer/consents/{id}", tag = "customer", security(("dpop" = [])), request_body = ConsentBody,
    params(("id" = String, Path, description = "What follows the last colon of the `request_uri`")),
    responses(
        (status = 200, body = ConsentedBody),
        (status = 400, body = Problem, content_type = "application/problem+json", description = "No such request, or not any more"),
        (status = 401, body = Problem, content_type = "application/problem+json"),
        (status = 403, body = Problem, content_type = "application/problem+json", description = "The offer was made to somebody else, or something has to be shown first"),
    )
))]
pub(crate) async fn consent(
    State(merchant): State<Merchant>,
    Proved(signed): Proved,
    Named(id): Named,
    headers: HeaderMap,
    body: Body,
) -> Answer {
    let answer = async {
        let bytes = body.json(&headers)?;
        signed.proof.check_body(&bytes, true)?;
        let ConsentBody { allow } = parse(&bytes)?;
        let recognised = recognise(&merchant, &signed).await?;
        let redirect_uri = recognised.consent(&signed.proof, &id, allow).await?;
        Ok(Json(ConsentedBody { redirect_uri }))
    };
    Answer::signed(&merchant, answer.await)
}

/// A wallet gets tokens, for a code or a refresh token.
#[cfg_attr(feature = "openapi", utoipa::path(
    post, path = "/issuer/token", tag = "issuer",
    request_body(content = String, content_type = "application/x-www-form-urlencoded", description = "A token request (OpenID4VCI 1.0, 6.1); with a `DPoP` proof the tokens are bound to its key"),
    responses(
        (status = 200, body = WalletTokenBody),
        (status = 400, body = OAuthErrorBody),
        (status = 401, body = OAuthErrorBody, description = "The wallet is not known, or its attestation does not count"),
    )
))]
pub(crate) async fn token(
    State(merchant): State<Merchant>,
    Extension(limits): Extension<Limits>,
    headers: HeaderMap,
    caller: Caller,
    body: Body,
) -> Response {
    let answer = async {
        limits.issuer()?;
        let bytes = body.form(&headers)?;
        // Wrong numbers of all offers together: a crowd of offers, each guessed five times, finds some.
        let offered = firsthand::protocol::form::value(&bytes, "grant_type").is_some_and(|kind| kind == PRE_AUTHORIZED);
        if offered {
            limits.may_guess()?;
        }
        let caller = caller.0?;
        let outcome = merchant.wallet_token(&bytes, &caller.identity(), caller.dpop.as_ref()).await;
        if matches!(outcome, Err(Error::Issue(IssueError::TxCodeWrong))) {
            limits.guessed();
        }
        let tokens = outcome?;
        let detail = |identifier: String| DetailBody {
            kind: OPENID_CREDENTIAL,
            credential_configuration_id: identifier.clone(),
            credential_identifiers: [identifier],
        };
        Ok(Json(WalletTokenBody {
            authorization_details: tokens.identifiers.into_iter().map(detail).collect(),
            access_token: tokens.access_token,
            token_type: if tokens.bound { "DPoP" } else { "Bearer" },
            expires_in: tokens.expires_in_s,
            refresh_token: tokens.refresh_token,
            scope: tokens.scope,
        }))
    };
    answered(&merchant, answer.await)
}

/// A wallet gets a nonce for the proofs of its keys.
#[cfg_attr(feature = "openapi", utoipa::path(
    post, path = "/issuer/nonce", tag = "issuer", responses((status = 200, body = NonceBody))
))]
pub(crate) async fn nonce(State(merchant): State<Merchant>, Extension(limits): Extension<Limits>) -> Response {
    let answer = async {
        limits.issuer()?;
        Ok(Json(NonceBody { c_nonce: merchant.credential_nonce()? }))
    };
    answered(&merchant, answer.await)
}

/// A wallet gets credentials, one for each key that it proves.
#[cfg_attr(feature = "openapi", utoipa::path(
    post, path = "/issuer/credentials", tag = "issuer", security(("wallet" = [])),
    request_body(content = Object, content_type = "application/json", description = "A credential request (OpenID4VCI 1.0, 8.2)"),
    responses(
        (status = 200, body = CredentialsBody),
        (status = 202, body = CredentialsBody, description = "Ask again later, at `/issuer/deferred`"),
        (status = 400, body = OAuthErrorBody),
        (status = 401, body = OAuthErrorBody),
    )
))]
pub(crate) async fn credentials(
    State(merchant): State<Merchant>,
    Extension(limits): Extension<Limits>,
    headers: HeaderMap,
    bearer: Bearer,
    body: Body,
) -> Response {
    let answer = async {
        limits.issuer()?;
        let bytes = body.json(&headers)?;
        let bearer = bearer.0?;
        handed(merchant.issue_credentials(&bearer.access(), &bytes).await?)
    };
    answered(&merchant, answer.await)
}

/// A wallet asks again for credentials that could not be made at once.
#[cfg_attr(feature = "openapi", utoipa::path(
    post, path = "/issuer/deferred", tag = "issuer", security(("wallet" = [])),
    request_body(content = Object, content_type = "application/json", description = "`transaction_id` (OpenID4VCI 1.0, 9.1)"),
    responses(
        (status = 200, body = CredentialsBody),
        (status = 202, body = CredentialsBody, description = "Not yet"),
        (status = 400, body = OAuthErrorBody),
        (status = 401, body = OAuthErrorBody),
    )
))]
pub(crate) async fn deferred(
    State(merchant): State<Merchant>,
    Extension(limits): Extension<Limits>,
    headers: HeaderMap,
    bearer: Bearer,
    body: Body,
) -> Response {
    let answer = async {
        limits.issuer()?;
        let bytes = body.json(&headers)?;
        let bearer = bearer.0?;
        handed(merchant.deferred_credentials(&bearer.access(), &bytes).await?)
    };
    answered(&merchant, answer.await)
}

/// A wallet says what became of credentials.
#[cfg_attr(feature = "openapi", utoipa::path(
    post, path = "/issuer/notifications", tag = "issuer", security(("wallet" = [])),
    request_body(content = Object, content_type = "application/json", description = "`notification_id` and `event` (OpenID4VCI 1.0, 11.1)"),
    responses(
        (status = 204, description = "Written down, or known already"),
        (status = 400, body = OAuthErrorBody),
        (status = 401, body = OAuthErrorBody),
    )
))]
pub(crate) async fn notify(
    State(merchant): State<Merchant>,
    Extension(limits): Extension<Limits>,
    headers: HeaderMap,
    bearer: Bearer,
    body: Body,
) -> Response {
    let answer = async {
        limits.issuer()?;
        let bytes = body.json(&headers)?;
        let bearer = bearer.0?;
        merchant.credentials_notified(&bearer.access(), &bytes).await?;
        Ok(StatusCode::NO_CONTENT)
    };
    answered(&merchant, answer.await)
}

/// What the type of the credential means (SD-JWT VC, 6.2).
#[cfg_attr(feature = "openapi", utoipa::path(
    get, path = "/relationship", tag = "issuer",
    responses((status = 200, content_type = "application/json", body = Object))
))]
pub(crate) async fn type_metadata(State(merchant): State<Merchant>) -> Response {
    public(merchant.relationship_type_metadata())
}

/// What the type of a receipt means (SD-JWT VC, 6.2), as this shop issues it. Its name is no address: nobody is led here by a
/// receipt alone.
#[cfg_attr(feature = "openapi", utoipa::path(
    get, path = "/receipt", tag = "issuer",
    responses((status = 200, content_type = "application/json", body = Object))
))]
pub(crate) async fn receipt_type_metadata(State(merchant): State<Merchant>) -> Response {
    public(merchant.receipt_type_metadata())
}

/// Which credentials hold (Token Status List).
#[cfg_attr(feature = "openapi", utoipa::path(
    get, path = "/status/{list}", tag = "issuer", params(("list" = u32, Path)),
    responses(
        (status = 200, content_type = "application/statuslist+jwt", body = String, description = "The list as of now"),
        (status = 404, body = OAuthErrorBody, description = "No such list"),
        (status = 501, description = "Lists of earlier times are not kept"),
    )
))]
pub(crate) async fn status_list(
    State(merchant): State<Merchant>,
    Extension(limits): Extension<Limits>,
    Named(list): Named,
    RawQuery(query): RawQuery,
) -> Response {
    // Token Status List, 8.4.
    if query.is_some_and(|query| query.split('&').any(|pair| pair.starts_with("time="))) {
        return StatusCode::NOT_IMPLEMENTED.into_response();
    }
    let answer = async {
        limits.issuer()?;
        let number = list.parse().map_err(|_| Error::from(IssueError::NoSuchList))?;
        Ok::<_, Refused>(merchant.status_list(number).await?)
    };
    match answer.await {
        Err(refused) => refused.response(&merchant),
        Ok(token) => {
            let headers = [
                (header::CONTENT_TYPE, HeaderValue::from_static("application/statuslist+jwt")),
                (header::CACHE_CONTROL, HeaderValue::from_static("public, max-age=300")),
                // 8.1: a verifier may be a page.
                (header::ACCESS_CONTROL_ALLOW_ORIGIN, HeaderValue::from_static("*")),
                (header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff")),
            ];
            (headers, token).into_response()
        }
    }
}

/// What the issuer says of itself: signed, for whoever asks for `application/jwt` (OpenID4VCI 1.0, 12.2.2).
#[cfg_attr(feature = "openapi", utoipa::path(
    get, path = "/.well-known/openid-credential-issuer", tag = "public",
    responses((status = 200, content_type = "application/json", body = Object, description = "The metadata; as `application/jwt` for whoever accepts that"))
))]
pub(crate) async fn issuer_metadata(State(merchant): State<Merchant>, headers: HeaderMap) -> Response {
    let vary = [(header::VARY, HeaderValue::from_static("Accept"))];
    if !wants_signed(&headers) {
        return (vary, public(merchant.issuer_metadata())).into_response();
    }
    match merchant.signed_issuer_metadata() {
        Err(error) => Refused::from(error).response(&merchant),
        Ok(token) => (vary, cached("application/jwt"), token).into_response(),
    }
}

/// What the authorization server says of itself (RFC 8414).
#[cfg_attr(feature = "openapi", utoipa::path(
    get, path = "/.well-known/oauth-authorization-server", tag = "public",
    responses((status = 200, content_type = "application/json", body = Object))
))]
pub(crate) async fn server_metadata(State(merchant): State<Merchant>) -> Response {
    public(merchant.authorization_server_metadata())
}

/// The keys that sign what this shop issues (SD-JWT VC, JWT VC Issuer Metadata).
#[cfg_attr(feature = "openapi", utoipa::path(
    get, path = "/.well-known/jwt-vc-issuer", tag = "public",
    responses((status = 200, content_type = "application/json", body = Object))
))]
pub(crate) async fn issuer_keys(State(merchant): State<Merchant>) -> Response {
    public(merchant.issuer_keys())
}

/// Whether somebody asks for the signed form by name: whoever takes anything gets what every wallet can read.
fn wants_signed(headers: &HeaderMap) -> bool {
    let quality = |wanted: &str| {
        let ranges = headers.get_all(header::ACCEPT).iter().filter_map(|value| value.to_str().ok());
        let mut best: f32 = 0.0;
        for range in ranges.flat_map(|value| value.split(',')).take(16) {
            let (name, parameters) = range.split_once(';').unwrap_or((range, ""));
            if name.trim().eq_ignore_ascii_case(wanted) {
                let q = parameters.split(';').find_map(|one| one.trim().strip_prefix("q="));
                best = best.max(q.map_or(1.0, |q| q.trim().parse().unwrap_or(0.0)));
            }
        }
        best
    };
    let signed = quality("application/jwt");
    signed > 0.0 && signed >= quality("application/json")
}

fn public(described: Result<Value, Error>) -> Response {
    match described {
        Ok(value) => (cached("application/json"), value.to_string()).into_response(),
        Err(error) => Problem::from(error).into_response(),
    }
}

fn cached(media_type: &'static str) -> [(HeaderName, HeaderValue); 3] {
    [
        (header::CONTENT_TYPE, HeaderValue::from_static(media_type)),
        (header::CACHE_CONTROL, HeaderValue::from_static("public, max-age=300")),
        (header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff")),
    ]
}

fn handed(issued: Issued) -> Result<Response, Refused> {
    Ok(match issued {
        Issued::Now { credentials, notification_id } => {
            let credentials = credentials.into_iter().map(|credential| CredentialBody { credential });
            let body = CredentialsBody {
                credentials: credentials.collect(),
                notification_id: Some(notification_id),
                ..CredentialsBody::default()
            };
            Json(body).into_response()
        }
        Issued::Later { transaction_id, interval_s } => {
            let body = CredentialsBody {
                transaction_id: Some(transaction_id),
                interval: Some(interval_s),
                ..CredentialsBody::default()
            };
            (StatusCode::ACCEPTED, Json(body)).into_response()
        }
    })
}

/// A wallet at an OAuth endpoint, as far as it says who it is: the proof of its key, and the word of its provider.
pub(crate) struct Caller(Result<Called, Refused>);

struct Called {
    dpop: Option<BrowserProof>,
    attestation: Option<String>,
    attestation_proof: Option<String>,
}

impl Called {
    fn identity(&self) -> WalletIdentity<'_> {
        WalletIdentity { attestation: self.attestation.as_deref(), proof: self.attestation_proof.as_deref() }
    }
}

impl FromRequestParts<Merchant> for Caller {
    type Rejection = std::convert::Infallible;

    async fn from_request_parts(parts: &mut Parts, merchant: &Merchant) -> Result<Self, Self::Rejection> {
        let called = || {
            Ok(Called {
                dpop: proof(merchant, parts, None)?,
                attestation: one(&parts.headers, &ATTESTATION)?,
                attestation_proof: one(&parts.headers, &ATTESTATION_PROOF)?,
            })
        };
        Ok(Self(called()))
    }
}

/// A wallet at an endpoint that needs its access token (RFC 9449, 7.1; RFC 6750, 2.1).
pub(crate) struct Bearer(Result<Borne, Refused>);

struct Borne {
    token: String,
    proof: Option<BrowserProof>,
}

impl Borne {
    fn access(&self) -> WalletAccess<'_> {
        WalletAccess { token: &self.token, proof: self.proof.as_ref() }
    }
}

impl FromRequestParts<Merchant> for Bearer {
    type Rejection = std::convert::Infallible;

    async fn from_request_parts(parts: &mut Parts, merchant: &Merchant) -> Result<Self, Self::Rejection> {
        let borne = || {
            let token = || Error::from(IssueError::Token);
            let value = one(&parts.headers, &header::AUTHORIZATION)?.ok_or_else(token)?;
            let (scheme, text) = value.split_once(' ').ok_or_else(token)?;
            let text = text.trim_matches(' ');
            if text.is_empty() || text.len() > 512 {
                return Err(token().into());
            }
            let proof = match scheme {
                _ if scheme.eq_ignore_ascii_case("DPoP") => {
                    Some(proof(merchant, parts, Some(text))?.ok_or(Error::from(ProofError::Missing))?)
                }
                // A token that is bound to a key is refused where it is looked up.
                _ if scheme.eq_ignore_ascii_case("Bearer") => None,
                _ => return Err(token().into()),
            };
            Ok(Borne { token: text.to_owned(), proof })
        };
        Ok(Self(borne().map_err(|refused: Refused| Refused(refused.0, true))))
    }
}

/// The proof of a wallet's key, if it sends one.
fn proof(merchant: &Merchant, parts: &Parts, access_token: Option<&str>) -> Result<Option<BrowserProof>, Refused> {
    let Some(proof) = one(&parts.headers, &DPOP)? else { return Ok(None) };
    let uri = parts.extensions.get::<axum::extract::OriginalUri>().map_or(&parts.uri, |original| &original.0);
    let path = uri.path_and_query().map_or("/", |path| path.as_str());
    let request = ProofRequest { proof: &proof, method: parts.method.as_str(), path, access_token };
    Ok(Some(merchant.check_proof(&request).map_err(|error| Error::from(IssueError::Dpop(error)))?))
}

/// The one value of a header. Two of them are two readers' choice.
fn one(headers: &HeaderMap, name: &HeaderName) -> Result<Option<String>, Refused> {
    let mut values = headers.get_all(name).iter();
    match (values.next(), values.next()) {
        (None, _) => Ok(None),
        (Some(value), None) => {
            let text = value.to_str().map_err(|_| Error::from(ProofError::Header))?;
            Ok(Some(text.to_owned()))
        }
        _ => Err(Error::from(ProofError::Header).into()),
    }
}

/// A refusal that a wallet gets, and whether it stands at an endpoint that needs a token.
pub(crate) struct Refused(Box<Cause>, bool);

enum Cause {
    Error(Error),
    Problem(Problem),
}

impl From<Error> for Refused {
    fn from(error: Error) -> Self {
        Self(Box::new(Cause::Error(error)), false)
    }
}

impl From<Problem> for Refused {
    fn from(problem: Problem) -> Self {
        Self(Box::new(Cause::Problem(problem)), false)
    }
}

impl Refused {
    fn response(self, merchant: &Merchant) -> Response {
        let needs_token = self.1;
        let (error, status, problem) = match *self.0 {
            Cause::Problem(problem) if problem.status() == StatusCode::TOO_MANY_REQUESTS => {
                ("slow_down", problem.status(), problem)
            }
            Cause::Problem(problem) => ("invalid_request", problem.status(), problem),
            Cause::Error(error) => {
                let (name, status) = named(&error, needs_token);
                let problem = match error.fault() {
                    // Logged, and told to nobody.
                    Fault::Operations | Fault::Merchant => Problem::from_error(&error),
                    _ => {
                        tracing::info!(code = error.code(), %error, "a wallet is refused");
                        Problem::new(status, error.code(), error.to_string())
                    }
                };
                (name, status, problem)
            }
        };
        let retry = status == StatusCode::TOO_MANY_REQUESTS;
        let body = OAuthErrorBody { error, error_description: ascii(&problem.to_string()) };
        let mut response = (status, Json(body)).into_response();
        if status == StatusCode::UNAUTHORIZED {
            let challenge =
                if needs_token { crate::problem::challenge(error) } else { HeaderValue::from_static("DPoP") };
            response.headers_mut().insert(header::WWW_AUTHENTICATE, challenge);
        }
        if retry {
            response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from_static("60"));
        }
        signed::refresh(merchant, &mut response);
        keep_private(&mut response);
        problem.told_by(response)
    }
}

/// The standard's name for an error, and its status.
fn named(error: &Error, token: bool) -> (&'static str, StatusCode) {
    match error {
        Error::Issue(IssueError::NotIssuing | IssueError::NoSuchList) => ("invalid_request", StatusCode::NOT_FOUND),
        Error::Issue(issue) => {
            let name = issue.oauth();
            let status = match name {
                "invalid_client" | "invalid_token" => StatusCode::UNAUTHORIZED,
                "use_dpop_nonce" | "invalid_dpop_proof" if token => StatusCode::UNAUTHORIZED,
                "access_denied" => StatusCode::FORBIDDEN,
                _ => StatusCode::BAD_REQUEST,
            };
            (name, status)
        }
        Error::Proof(proof) => (proof.code(), if token { StatusCode::UNAUTHORIZED } else { StatusCode::BAD_REQUEST }),
        Error::Refused(Refusal::TooMany { .. }) => ("slow_down", StatusCode::TOO_MANY_REQUESTS),
        Error::Unavailable { .. } => ("temporarily_unavailable", StatusCode::SERVICE_UNAVAILABLE),
        Error::Misuse(_) => ("server_error", StatusCode::INTERNAL_SERVER_ERROR),
        _ => ("invalid_request", StatusCode::BAD_REQUEST),
    }
}

/// RFC 6749, 5.2: characters that a description may have.
fn ascii(text: &str) -> String {
    let plain = |c: char| matches!(c, ' '..='~') && c != '"' && c != '\\';
    text.chars().take(200).map(|c| if plain(c) { c } else { '\'' }).collect()
}

/// The answer to a wallet: in no cache, with the nonce of its next proof.
fn answered(merchant: &Merchant, answer: Result<impl IntoResponse, Refused>) -> Response {
    let mut response = match answer {
        Err(refused) => return refused.response(merchant),
        Ok(answer) => answer.into_response(),
    };
    signed::refresh(merchant, &mut response);
    keep_private(&mut response);
    response
}
