//! A form that came from a page of the shop itself.

use axum::{
    extract::FromRequestParts,
    response::{IntoResponse, Response},
};
use firsthand::Merchant;
use http::{HeaderMap, StatusCode, header, request::Parts};

use crate::{
    layer::visit,
    limit,
    problem::Problem,
    signed::{is_safe, refused},
};

/// The request comes from a page of this shop, as the visitor's browser says:
/// `async fn checkout(_: SameOrigin, Form(form): Form<Checkout>)`.
///
/// For forms that no key signs: a guest's checkout. The form's token ([`Merchant::guest_form`](firsthand::Merchant::guest_form))
/// is not enough by itself: another site can fetch a token of its own, put it into a form, and have a visitor's browser
/// send that. The browser says where a form comes from, and no page can make it say otherwise.
///
/// Refused with 403 `cross_site`, unless
/// - `Origin`, if it is there, is the origin that the merchant was built with (RFC 6454, 7);
/// - `Sec-Fetch-Site`, if it is there, is `same-origin` (Fetch Metadata);
/// - at least one of them is there: every browser of the last years sends them with a form.
///
/// `Host` says nothing here: it is what the sender wants it to be. Safe methods pass, since they change nothing. A signed
/// request needs none of this: other sites have no key.
///
/// From one client address come at most 600 such forms a minute, as far as the shop knows addresses
/// ([`ClientAddress`](crate::ClientAddress)).
///
/// The page with the form must not be sent with `Referrer-Policy: no-referrer`: browsers then say `Origin: null`, as they do
/// for sandboxed frames and files, and that is refused. `same-origin` tells other sites as little.
#[derive(Clone, Copy, Debug)]
pub struct SameOrigin(());

impl<S: Sync> FromRequestParts<S> for SameOrigin {
    type Rejection = Response;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Response> {
        let visit = visit(parts).map_err(IntoResponse::into_response)?;
        if is_safe(&parts.method) {
            return Ok(Self(()));
        }
        let from_here = check(&visit.merchant, &parts.headers);
        match from_here.and_then(|()| limit::of(parts).map_or(Ok(()), limit::Limits::form)) {
            Ok(()) => Ok(Self(())),
            Err(problem) => Err(refused(&visit.merchant, problem)),
        }
    }
}

/// Refuses what does not come from a page of this shop. The layer asks the same of whatever rests on a cookie.
pub(crate) fn check(merchant: &Merchant, headers: &HeaderMap) -> Result<(), Problem> {
    if is_from(&merchant.origin().origin().ascii_serialization(), headers) {
        return Ok(());
    }
    tracing::info!("a form of another site is refused");
    Err(Problem::new(
        StatusCode::FORBIDDEN,
        "cross_site",
        "this form does not come from a page of this shop: open the page here and send it again",
    ))
}

/// Whether a browser says that a page of this origin sent a request.
fn is_from(own: &str, headers: &HeaderMap) -> bool {
    let says = |name: &str, wanted: &str| {
        let mut values = headers.get_all(name).iter();
        match (values.next(), values.next()) {
            (None, _) => None,
            (Some(value), None) => Some(value == wanted),
            // Two of them are no browser's.
            (Some(_), Some(_)) => Some(false),
        }
    };
    match (says(header::ORIGIN.as_str(), own), says("sec-fetch-site", "same-origin")) {
        (None, None) => false,
        (origin, site) => origin.unwrap_or(true) && site.unwrap_or(true),
    }
}

#[cfg(test)]
mod tests {
    use http::{HeaderName, HeaderValue};

    use super::*;

    #[test]
    fn a_request_is_from_here_only_if_all_that_the_browser_says_agrees() {
        let own = "https://shop.example";
        let (origin, site) = ("origin", "sec-fetch-site");
        let cases: [(&[(&str, &str)], bool); 17] = [
            (&[(origin, own), (site, "same-origin")], true),
            (&[(origin, own)], true),
            (&[(site, "same-origin")], true),
            (&[], false),
            (&[("host", "shop.example"), ("referer", "https://shop.example/")], false),
            (&[(origin, own), (site, "cross-site")], false),
            (&[(origin, own), (site, "same-site")], false),
            (&[(origin, own), (site, "none")], false),
            (&[(site, "none")], false),
            (&[(origin, "null"), (site, "same-origin")], false),
            (&[(origin, "null")], false),
            (&[(origin, "https://other.example"), (site, "same-origin")], false),
            (&[(origin, "http://shop.example")], false),
            (&[(origin, "https://shop.example:8443")], false),
            (&[(origin, "https://shop.example.evil.example")], false),
            (&[(origin, "https://shop.example/")], false),
            (&[(origin, own), (origin, own)], false),
        ];
        for (headers, from_here) in cases {
            let mut map = HeaderMap::new();
            for (name, value) in headers {
                map.append(HeaderName::from_static(name), HeaderValue::from_static(value));
            }
            assert_eq!(is_from(own, &map), from_here, "{headers:?}");
        }
    }
}
