//! The customer as an argument of a handler.

use std::ops::Deref;

use axum::{
    extract::{FromRequestParts, OptionalFromRequestParts},
    response::{Html, IntoResponse, Response},
};
use firsthand::merchant::Recognised;
use http::{HeaderName, HeaderValue, Method, StatusCode, header, request::Parts};

use crate::{
    lang::Lang,
    layer::{Visit, keep_private, not_known, visit},
    problem::challenge,
    signed::{is_navigation, refused},
    web,
};

/// A customer who is there: whoever sent this request controls a key of theirs.
///
/// As an argument, a handler is for known customers alone; as `Option<Known>`, it is for everybody, and `None` is a
/// request that claims nothing. A wrong claim is a 401 in both cases, before the handler runs. There is no other way
/// to make one.
///
/// Dereferences to [`Recognised`]: the name, the proofs and the claims.
#[derive(Clone, Debug)]
pub struct Known(Recognised);

impl Deref for Known {
    type Target = Recognised;

    fn deref(&self) -> &Recognised {
        &self.0
    }
}

impl<S: Sync> FromRequestParts<S> for Known {
    /// A person gets a page that signs and fetches the same address; a program gets a problem.
    type Rejection = Response;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Response> {
        let visit = visit(parts).map_err(IntoResponse::into_response)?;
        match visit.ask().await? {
            Some(recognised) => Ok(Self(recognised.clone())),
            None => Err(turn_away(visit, parts, None)),
        }
    }
}

impl<S: Sync> OptionalFromRequestParts<S> for Known {
    type Rejection = Response;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Option<Self>, Response> {
        let visit = visit(parts).map_err(IntoResponse::into_response)?;
        Ok(visit.ask().await?.cloned().map(Self))
    }
}

/// What somebody gets who is not known where a customer is needed.
pub(crate) fn turn_away(visit: &Visit, parts: &Parts, ask: Option<&str>) -> Response {
    if !visit.is_signed() && is_navigation(&parts.headers) {
        let lang = Lang::of(&parts.headers);
        let mount = visit.merchant.mount();
        return if matches!(parts.method, Method::GET | Method::HEAD) {
            // Nothing is wrong: a typed address or a reload cannot carry a proof, and this page brings one.
            page(StatusCode::OK, web::shell_page(mount, lang), &visit.settings.content_security_policy)
        } else {
            let policy = HeaderValue::from_static(web::PAGE_CSP);
            let page = page(StatusCode::UNAUTHORIZED, web::post_page_asking(mount, lang, ask), &policy);
            let mut page = not_known(false).into_page(page);
            page.headers_mut().insert(header::WWW_AUTHENTICATE, challenge(""));
            page
        };
    }
    let problem = not_known(visit.is_signed());
    refused(
        &visit.merchant,
        match ask {
            Some(ask) => problem.about_ask(ask),
            None => problem,
        },
    )
}

/// One of our own pages: for this moment alone, and telling nobody where it was.
pub(crate) fn page(status: StatusCode, html: String, policy: &HeaderValue) -> Response {
    let mut response = (status, Html(html)).into_response();
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_SECURITY_POLICY, policy.clone());
    headers.insert(header::REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    // The browser may take a question to a wallet for this page, and for no frame in it.
    let ours = HeaderValue::from_static("digital-credentials-get=(self)");
    headers.insert(HeaderName::from_static("permissions-policy"), ours);
    keep_private(&mut response);
    response
}
