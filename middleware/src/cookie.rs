//! The cookie of a shop that renders everything on the server, and chose [`CustomerLayer::host_cookie`]: read, set, cleared.
//!
//! [`CustomerLayer::host_cookie`]: crate::CustomerLayer::host_cookie

use std::sync::Arc;

use axum::response::Response;
use firsthand::{
    Merchant,
    merchant::{CookieGrant, Recognised},
};
use http::{HeaderMap, HeaderName, HeaderValue, header};
use tokio::sync::OnceCell;

use crate::{limit::Limits, problem::Problem};

/// The name of the cookie. The prefix has the browser believe it only from this very host, over https, for all paths
/// (RFC 6265bis, 4.1.3.2): no subdomain plants one.
pub(crate) const NAME: &str = "__Host-firsthand";
/// What it carries besides its value, in the answer that sets it and in what a device is told to bind.
pub(crate) const ATTRIBUTES: &str = "Secure; HttpOnly; SameSite=Lax; Path=/";
/// Tells the script, on the answer to a signed request, that this shop has a cookie, and whether one came: `none` or
/// `there`.
const FIRSTHAND_COOKIE: HeaderName = HeaderName::from_static("firsthand-cookie");

/// The cookie that came with a request, and whose it is once somebody wants to know.
#[derive(Clone, Debug)]
pub(crate) struct Carried {
    merchant: Merchant,
    limits: Limits,
    value: Arc<str>,
    whose: Arc<OnceCell<Option<Recognised>>>,
}

impl Carried {
    /// The one cookie of our name, if there is one. Two of them are none: whoever planted the second one chooses nothing.
    pub(crate) fn by(merchant: &Merchant, headers: &HeaderMap, limits: &Limits) -> Option<Self> {
        let pairs = headers.get_all(header::COOKIE).iter().filter_map(|line| line.to_str().ok());
        let mut ours = pairs.flat_map(|line| line.split(';')).filter_map(|pair| {
            let (name, value) = pair.split_once('=')?;
            (name.trim() == NAME).then(|| value.trim())
        });
        let (Some(value), None) = (ours.next(), ours.next()) else { return None };
        Some(Self { merchant: merchant.clone(), limits: limits.clone(), value: value.into(), whose: Arc::default() })
    }

    /// The text that the browser carries.
    pub(crate) fn value(&self) -> &str {
        &self.value
    }

    /// Whose it is. Looked up once, and only if somebody wants to know: a browser sends its cookie with every picture.
    pub(crate) async fn whose(&self) -> Result<Option<&Recognised>, Problem> {
        let found = self.whose.get_or_try_init(async || {
            self.limits.cookie(&self.value)?;
            Ok::<_, Problem>(self.merchant.recognise_cookie(&self.value).await?)
        });
        Ok(found.await?.as_ref())
    }

    /// Whether it turned out to be nobody's.
    pub(crate) fn is_stale(&self) -> bool {
        self.whose.get().is_some_and(Option::is_none)
    }

    /// Whether it is nobody's by now: what was done may have ended it.
    pub(crate) async fn has_ended(&self) -> bool {
        matches!(self.merchant.recognise_cookie(&self.value).await, Ok(None))
    }
}

/// Sets the cookie of a grant.
pub(crate) fn set(headers: &mut HeaderMap, grant: &CookieGrant) {
    let age = grant.max_age_s.map(|age_s| format!("; Max-Age={age_s}")).unwrap_or_default();
    append(headers, format!("{NAME}={}; {ATTRIBUTES}{age}", grant.token.reveal()));
}

/// Has the browser forget the cookie. No `Clear-Site-Data`: the merchant's own cookies are the merchant's.
pub(crate) fn clear(headers: &mut HeaderMap) {
    append(headers, format!("{NAME}=; {ATTRIBUTES}; Max-Age=0"));
}

fn append(headers: &mut HeaderMap, cookie: String) {
    if let Ok(mut value) = HeaderValue::try_from(cookie) {
        value.set_sensitive(true);
        headers.append(header::SET_COOKIE, value);
    }
}

/// Whether an answer sets or clears our cookie.
pub(crate) fn is_set(headers: &HeaderMap) -> bool {
    headers
        .get_all(header::SET_COOKIE)
        .iter()
        .any(|set| set.as_bytes().strip_prefix(NAME.as_bytes()).is_some_and(|rest| rest.starts_with(b"=")))
}

/// Says that an answer depends on the cookie.
pub(crate) fn vary(headers: &mut HeaderMap) {
    let cookie = HeaderValue::from_static("Cookie");
    if !headers.get_all(header::VARY).iter().any(|there| *there == cookie) {
        headers.append(header::VARY, cookie);
    }
}

/// Tells the script whether a cookie came.
pub(crate) fn tell_script(response: &mut Response, came: bool) {
    let said = HeaderValue::from_static(if came { "there" } else { "none" });
    response.headers_mut().insert(FIRSTHAND_COOKIE, said);
}
