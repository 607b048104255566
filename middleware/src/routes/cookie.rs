//! The cookie of a shop that chose to have one: begun by a signed request, bound to the device where the browser can (W3C
//! Device Bound Session Credentials, draft of February 2026; its section names stand beside what obeys them).

use axum::{
    Extension, Json, Router,
    extract::{FromRequestParts, State},
    response::{IntoResponse, Response},
    routing::post,
};
use firsthand::{
    Merchant,
    error::{ProofError, Refusal},
    merchant::{CookieGrant, Refreshed},
    session::SessionId,
};
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header, request::Parts};
use serde::Serialize;

use super::{Answer, Body};
use crate::{
    cookie,
    layer::{Visit, keep_private},
    limit::Limits,
    problem::Problem,
    signed::Proved,
};

const REGISTRATION: HeaderName = HeaderName::from_static("secure-session-registration");
const CHALLENGE: HeaderName = HeaderName::from_static("secure-session-challenge");
const RESPONSE: HeaderName = HeaderName::from_static("secure-session-response");
const SESSION_ID: HeaderName = HeaderName::from_static("sec-secure-session-id");
/// Nobody embeds these answers ("Server considerations"): how long they take says whether somebody is known.
const RESOURCE_POLICY: HeaderName = HeaderName::from_static("cross-origin-resource-policy");

pub(super) fn routes() -> Router<Merchant> {
    Router::new()
        .route("/cookie", post(begin_cookie))
        .route("/dbsc/registration", post(register_device))
        .route("/dbsc/refresh", post(refresh_cookie))
}

/// What a browser is told about a session that is bound to its device ("JSON Session Instruction Format").
#[derive(Debug, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub(crate) struct DeviceSessionBody {
    /// The name of the session.
    session_identifier: String,
    /// Where the cookie is renewed.
    refresh_url: String,
    /// Where the session holds.
    scope: DeviceScopeBody,
    /// The cookie that is bound.
    credentials: [DeviceCredentialBody; 1],
}

/// Where a session holds: at this origin, and at no other of its site.
#[derive(Debug, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub(crate) struct DeviceScopeBody {
    /// The shop's origin.
    origin: String,
    /// `false`.
    include_site: bool,
}

/// The cookie that is bound.
#[derive(Debug, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub(crate) struct DeviceCredentialBody {
    /// `cookie`.
    #[serde(rename = "type")]
    kind: &'static str,
    /// Its name.
    name: &'static str,
    /// What it is set with.
    attributes: &'static str,
}

/// A customer who is known gets a cookie, in a shop that chose to have one. The one before it ends.
#[cfg_attr(feature = "openapi", utoipa::path(
    post, path = "/cookie", tag = "browser", security(("dpop" = [])),
    responses(
        (status = 204, description = "`Set-Cookie` with `__Host-firsthand`, and `Secure-Session-Registration` for browsers that bind it to the device"),
        (status = 401, body = Problem, content_type = "application/problem+json"),
        (status = 404, body = Problem, content_type = "application/problem+json", description = "This shop has no cookie"),
    )
))]
pub(crate) async fn begin_cookie(
    State(merchant): State<Merchant>,
    CookieMode(visit): CookieMode,
    Proved(signed): Proved,
    body: Body,
) -> Answer {
    let answer = async {
        let bytes = body.0?;
        signed.proof.check_body(&bytes, !bytes.is_empty())?;
        let token = signed.access_token.as_deref().ok_or(Refusal::NotKnown)?;
        let grant = merchant.begin_cookie(&signed.proof, token, visit.carried()).await?;
        let mut response = StatusCode::NO_CONTENT.into_response();
        cookie::set(response.headers_mut(), &grant);
        // ES256 alone: `none` would be a session that is bound to nothing.
        let path = format!("{}/dbsc/registration", merchant.mount());
        add(&mut response, REGISTRATION, format!("(ES256);path=\"{path}\";challenge=\"{}\"", grant.challenge));
        Ok(response)
    };
    Answer::signed(&merchant, answer.await)
}

/// A browser binds the session of its cookie to the device it runs on. For good: from now on the cookie lives ten minutes
/// at a time.
#[cfg_attr(feature = "openapi", utoipa::path(
    post, path = "/dbsc/registration", tag = "browser",
    params(
        ("Cookie" = String, Header, description = "`__Host-firsthand`"),
        ("Secure-Session-Response" = String, Header, description = "A JWT of the type `dbsc+jwt` by the device's new key, which its header shows; `jti` is the challenge. ES256 alone"),
    ),
    responses(
        (status = 200, body = DeviceSessionBody, description = "Bound: with the next cookie and the next challenge"),
        (status = 400, body = Problem, content_type = "application/problem+json", description = "A header that cannot be read"),
        (status = 401, body = Problem, content_type = "application/problem+json", description = "No cookie of ours, or no proof that answers our challenge"),
        (status = 404, body = Problem, content_type = "application/problem+json", description = "This shop has no cookie"),
        (status = 409, body = Problem, content_type = "application/problem+json", description = "Bound already"),
    )
))]
pub(crate) async fn register_device(
    State(merchant): State<Merchant>,
    CookieMode(visit): CookieMode,
    Extension(limits): Extension<Limits>,
    headers: HeaderMap,
) -> Response {
    let answer = async {
        let carried = visit.cookie().ok_or(ProofError::Token)?;
        limits.cookie(carried.value())?;
        let proof = text(&headers, &RESPONSE)?.ok_or(ProofError::Challenge)?;
        Ok(renewed(&merchant, &merchant.bind_cookie(carried.value(), proof).await?))
    };
    private(answer.await.unwrap_or_else(|problem: Problem| problem.into_response()))
}

/// A browser renews the cookie of a session that is bound to its device.
#[cfg_attr(feature = "openapi", utoipa::path(
    post, path = "/dbsc/refresh", tag = "browser",
    params(
        ("Sec-Secure-Session-Id" = String, Header, description = "The name of the session"),
        ("Secure-Session-Response" = Option<String>, Header, description = "A JWT of the type `dbsc+jwt` by the device's key; `jti` is the challenge"),
    ),
    responses(
        (status = 200, body = DeviceSessionBody, description = "With the next cookie and the next challenge"),
        (status = 400, body = Problem, content_type = "application/problem+json", description = "A header that cannot be read"),
        (status = 401, body = Problem, content_type = "application/problem+json", description = "Not a proof by the session's device"),
        (status = 403, body = Problem, content_type = "application/problem+json", description = "`Secure-Session-Challenge` has the challenge to answer"),
        (status = 404, body = Problem, content_type = "application/problem+json", description = "No such session, or not any more: the browser forgets it"),
    )
))]
pub(crate) async fn refresh_cookie(
    State(merchant): State<Merchant>,
    _: CookieMode,
    Extension(limits): Extension<Limits>,
    headers: HeaderMap,
) -> Response {
    let answer = async {
        // No page can send a header of this name ("Server considerations"): the browser itself asks.
        let session = text(&headers, &SESSION_ID)?.ok_or(Refusal::NoSuchSession)?;
        let session: SessionId = session.parse().map_err(|_| Refusal::NoSuchSession)?;
        limits.cookie(session.as_str())?;
        Ok(match merchant.refresh_cookie(&session, text(&headers, &RESPONSE)?).await? {
            Refreshed::Cookie(grant) => renewed(&merchant, &grant),
            Refreshed::Challenge(next) => {
                let detail = "answer the challenge that comes with this";
                let mut response = Problem::new(StatusCode::FORBIDDEN, "device_proof_needed", detail).into_response();
                challenge(&mut response, &next, &session);
                response
            }
        })
    };
    private(answer.await.unwrap_or_else(|problem: Problem| problem.into_response()))
}

/// The routes are there only where the shop has a cookie.
pub(crate) struct CookieMode(Visit);

impl<S: Sync> FromRequestParts<S> for CookieMode {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        let visit = parts.extensions.get::<Visit>().filter(|visit| visit.settings.host_cookie);
        let no_cookie = || Problem::new(StatusCode::NOT_FOUND, "no_cookie", "this shop has no cookie");
        visit.cloned().map(Self).ok_or_else(no_cookie)
    }
}

/// The next cookie, and the session that it is bound to.
fn renewed(merchant: &Merchant, grant: &CookieGrant) -> Response {
    let session = grant.token.session();
    let body = DeviceSessionBody {
        session_identifier: session.as_str().to_owned(),
        refresh_url: format!("{}/dbsc/refresh", merchant.mount()),
        scope: DeviceScopeBody { origin: merchant.origin().origin().ascii_serialization(), include_site: false },
        credentials: [DeviceCredentialBody { kind: "cookie", name: cookie::NAME, attributes: cookie::ATTRIBUTES }],
    };
    let mut response = Json(body).into_response();
    cookie::set(response.headers_mut(), grant);
    challenge(&mut response, &grant.challenge, session);
    response
}

fn challenge(response: &mut Response, challenge: &str, session: &SessionId) {
    add(response, CHALLENGE, format!("\"{challenge}\";id=\"{}\"", session.as_str()));
}

fn add(response: &mut Response, name: HeaderName, value: String) {
    if let Ok(value) = HeaderValue::try_from(value) {
        response.headers_mut().insert(name, value);
    }
}

fn private(mut response: Response) -> Response {
    response.headers_mut().insert(RESOURCE_POLICY, HeaderValue::from_static("same-origin"));
    response.headers_mut().remove(header::WWW_AUTHENTICATE);
    keep_private(&mut response);
    response
}

/// The one string of a header (RFC 9651, 3.3.3), its parameters left aside; also bare, as earlier drafts had it. What these
/// headers hold needs no escapes.
fn text<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Result<Option<&'a str>, Problem> {
    let mut values = headers.get_all(name).iter();
    let value = match (values.next(), values.next()) {
        (None, _) => return Ok(None),
        (Some(value), None) => value.to_str().ok(),
        (Some(_), Some(_)) => None,
    };
    let wrong = || Problem::new(StatusCode::BAD_REQUEST, "invalid_request", format!("send {name} once, as one string"));
    let value = value.ok_or_else(wrong)?.trim();
    let bare = match value.strip_prefix('"') {
        Some(quoted) => quoted.split_once('"').map(|(text, _)| text),
        None => value.split(';').next(),
    };
    bare.filter(|text| !text.is_empty() && !text.contains('\\')).map(Some).ok_or_else(wrong)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_string_is_read_as_drafts_and_browsers_write_it() {
        for (value, read) in [
            ("\"abc.def-_\"", Some("abc.def-_")),
            ("\"abc\";q=1", Some("abc")),
            ("abc", Some("abc")),
            ("abc;q=1", Some("abc")),
            ("", None),
            ("\"\"", None),
            ("\"abc", None),
            ("\"a\\\"b\"", None),
        ] {
            let mut headers = HeaderMap::new();
            headers.insert(RESPONSE, HeaderValue::from_static(value));
            assert_eq!(text(&headers, &RESPONSE).ok().flatten(), read, "{value}");
        }
        let mut twice = HeaderMap::new();
        twice.append(RESPONSE, HeaderValue::from_static("a"));
        twice.append(RESPONSE, HeaderValue::from_static("a"));
        assert!(text(&twice, &RESPONSE).is_err());
        assert_eq!(text(&HeaderMap::new(), &RESPONSE), Ok(None));
    }
}
