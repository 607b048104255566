//! Who asks for a page of a checkout, how they read it, and how they are answered.

use std::sync::Arc;

use axum::{
    body::Bytes,
    extract::{FromRequest, OriginalUri, Request},
    response::{IntoResponse, Response},
};
use firsthand::{
    Error, Merchant,
    checkout::CheckoutId,
    error::Refusal,
    merchant::{Checkout, GuestLink, Order, Recognised},
    order::OrderId,
    time::Zone,
};
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};

use super::{
    CheckoutPage,
    form::Sent,
    view::{self, Frame},
};
use crate::{
    extract::page as hosted,
    lang::Lang,
    layer::{Visit, keep_private, not_known, soften_redirect},
    limit::{self, Limits},
    problem::{Problem, challenge},
    request_id::RequestId,
    routes::Body,
    same_origin,
    signed::{self, Signed, is_navigation, is_safe, refused},
    web,
};

/// Who asks for a page, and how they read it.
pub(crate) struct Caller {
    pub(super) known: Option<Recognised>,
    /// The proof of a signed request.
    pub(super) signed: Option<Signed>,
    is_navigation: bool,
    /// Whether it only looks.
    is_safe: bool,
    pub(super) settings: Arc<CheckoutPage>,
    pub(super) limits: Option<Limits>,
    pub(super) lang: Lang,
    zone: Zone,
    lang_said: bool,
    pub(super) mount: String,
    shop: String,
    pub(super) path: String,
    /// What the address says besides: `said`, `was`, `go`, `wait`.
    query: Vec<(String, String)>,
    /// The form that was sent, or what is wrong with it; nothing by whoever only looks.
    form: Result<Bytes, Problem>,
    /// What the request is called.
    request: Option<RequestId>,
}

impl FromRequest<Merchant> for Caller {
    type Rejection = Response;

    async fn from_request(request: Request, merchant: &Merchant) -> Result<Self, Response> {
        let (parts, body) = request.into_parts();
        let refuse = |problem: Problem| refused(merchant, problem);
        let (safe, limits) = (is_safe(&parts.method), limit::of(&parts).cloned());
        let visit = parts.extensions.get::<Visit>().cloned();
        let signed = signed::check(merchant, &parts).map_err(refuse)?;
        let uri = parts.extensions.get::<OriginalUri>().map_or(&parts.uri, |original| &original.0);
        let query: Vec<(String, String)> = url::form_urlencoded::parse(uri.query().unwrap_or_default().as_bytes())
            .take(8)
            .map(|(name, value)| (name.into_owned(), value.into_owned()))
            .collect();
        let said = Lang::named(uri);
        let settings = visit.as_ref().map(|visit| visit.settings.checkout_page.clone()).unwrap_or_default();
        let host = || merchant.origin().host_str().unwrap_or_default().to_owned();
        let mut caller = Self {
            known: None,
            signed: None,
            is_navigation: is_navigation(&parts.headers),
            is_safe: safe,
            limits,
            lang: said.unwrap_or_else(|| Lang::of(&parts.headers)),
            zone: merchant.time_zone(),
            lang_said: said.is_some(),
            mount: merchant.mount().trim_end_matches('/').to_owned(),
            shop: settings.shop.clone().unwrap_or_else(host),
            path: uri.path().to_owned(),
            settings,
            query,
            form: Ok(Bytes::new()),
            request: parts.extensions.get().cloned(),
        };
        if signed.is_none() {
            if !safe {
                let from_here = same_origin::check(merchant, &parts.headers);
                let allowed = from_here.and_then(|()| caller.limits.as_ref().map_or(Ok(()), Limits::form));
                // A person reads why in a page, whoever sent them here.
                allowed.map_err(|problem| match reads_pages(&parts.headers) {
                    true => caller.finish(merchant, Err(problem.into())),
                    false => refuse(problem),
                })?;
            }
            if let Some(visit) = visit.as_ref().filter(|visit| visit.cookie().is_some()) {
                caller.known = visit.ask().await?.cloned();
            }
        }
        caller.signed = signed;
        let mut sent = None;
        if !safe {
            let headers = parts.headers.clone();
            let Ok(body) = Body::from_request(Request::from_parts(parts, body), merchant).await;
            match &body.0 {
                Ok(bytes) => sent = Some(bytes.clone()),
                Err(problem) => return Err(caller.finish(merchant, Err(problem.clone().into()))),
            }
            caller.form = body.form(&headers);
        }
        if let Some(signed) = &caller.signed {
            caller.known = signed::admit(merchant, signed, sent.as_deref()).await.map_err(refuse)?;
        }
        Ok(caller)
    }
}

/// Whether a page is an answer to this request, as browsers say it of what a person will read (RFC 9110, 12.5.1).
fn reads_pages(headers: &HeaderMap) -> bool {
    let accepted = headers.get_all(header::ACCEPT).iter().filter_map(|value| value.to_str().ok());
    let mut ranges = accepted.flat_map(|value| value.split(',')).take(32);
    ranges.any(|range| range.split(';').next().is_some_and(|kind| kind.trim().eq_ignore_ascii_case("text/html")))
}

/// What a name leads to.
pub(super) enum Found {
    Checkout(Box<Checkout>),
    Order(Box<Order>),
    /// A customer's checkout that is gone, and the order that it became: that one has a name of its own.
    Became(Box<Order>),
    /// It is a customer's, and nobody is known.
    Stranger,
}

/// Why a page is not shown.
pub(super) enum Trouble {
    /// The library refuses it.
    Refused(Error),
    /// What was sent is not what a form of this shop sends.
    Unreadable(Problem),
}

impl From<Error> for Trouble {
    fn from(error: Error) -> Self {
        Self::Refused(error)
    }
}

impl From<Refusal> for Trouble {
    fn from(refusal: Refusal) -> Self {
        Self::Refused(refusal.into())
    }
}

impl From<Problem> for Trouble {
    fn from(problem: Problem) -> Self {
        Self::Unreadable(problem)
    }
}

impl Caller {
    pub(super) fn frame(&self) -> Frame<'_> {
        Frame {
            page: &self.settings,
            lang: self.lang,
            zone: self.zone,
            lang_said: self.lang_said,
            mount: &self.mount,
            shop: &self.shop,
            path: &self.path,
        }
    }

    pub(super) fn asks(&self, name: &str) -> Option<&str> {
        self.query.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    /// This page, with a word on what happened.
    pub(super) fn here(&self, query: &str) -> String {
        self.there(&self.path, query)
    }

    /// The page of a checkout or an order, by its name.
    pub(super) fn at(&self, name: &str, query: &str) -> String {
        self.there(&format!("{}/checkout/{name}", self.mount), query)
    }

    pub(super) fn there(&self, path: &str, query: &str) -> String {
        let lang = if self.lang_said { format!("lang={}", self.lang.tag()) } else { String::new() };
        let query: Vec<&str> = [lang.as_str(), query].into_iter().filter(|part| !part.is_empty()).collect();
        if query.is_empty() { path.to_owned() } else { format!("{path}?{}", query.join("&")) }
    }

    /// The form that was sent.
    pub(super) fn read(&self) -> Result<Sent, Problem> {
        self.form.as_ref().map(|bytes| Sent::read(bytes)).map_err(Clone::clone)
    }

    /// What this name leads to, for whoever asks.
    ///
    /// # Errors
    /// [`Refusal::NoSuchCheckout`], [`Refusal::NoSuchOrder`]; [`Error::Unavailable`].
    pub(super) async fn find(&self, merchant: &Merchant, name: &str) -> Result<Found, Error> {
        if let Ok(link) = name.parse::<GuestLink>() {
            return match merchant.guest_checkout(&link).await {
                Ok(checkout) => Ok(Found::Checkout(Box::new(checkout))),
                // What it was stays for longer than the checkout.
                Err(Error::Refused(Refusal::NoSuchCheckout)) => match merchant.guest_order(&link).await {
                    Ok(order) => Ok(Found::Order(Box::new(order))),
                    Err(Error::Refused(Refusal::NoSuchOrder)) => Err(Refusal::NoSuchCheckout.into()),
                    Err(error) => Err(error),
                },
                Err(error) => Err(error),
            };
        }
        let (checkout, order) = (name.parse::<CheckoutId>(), name.parse::<OrderId>());
        if checkout.is_err() && order.is_err() {
            return Err(Refusal::NoSuchCheckout.into());
        }
        let Some(known) = &self.known else { return Ok(Found::Stranger) };
        Ok(match (checkout, order) {
            (Ok(id), _) => match known.checkout(&id).await {
                Err(Error::Refused(Refusal::NoSuchCheckout)) => {
                    let order = known.order_of_checkout(&id).await?;
                    Found::Became(Box::new(order.ok_or(Refusal::NoSuchCheckout)?))
                }
                found => Found::Checkout(Box::new(found?)),
            },
            (_, Ok(id)) => Found::Order(Box::new(known.order(&id).await?)),
            _ => return Err(Refusal::NoSuchCheckout.into()),
        })
    }

    /// The link of this page, if it is a guest's.
    pub(super) fn link(&self) -> Option<GuestLink> {
        self.path.rsplit('/').next()?.parse().ok()
    }

    /// Nobody is known where a customer is needed: a person's browser brings a page that signs, or for a form one that says how
    /// to go on.
    pub(super) fn turned_away(&self, merchant: &Merchant) -> Response {
        if self.signed.is_none() && self.is_navigation {
            let (policy, mount) = (HeaderValue::from_static(web::PAGE_CSP), merchant.mount());
            if self.is_safe {
                return hosted(StatusCode::OK, web::shell_page(mount, self.lang), &policy);
            }
            let page = hosted(StatusCode::UNAUTHORIZED, web::post_page_asking(mount, self.lang, None), &policy);
            let mut page = not_known(false).into_page(page);
            page.headers_mut().insert(header::WWW_AUTHENTICATE, challenge(""));
            return page;
        }
        refused(merchant, not_known(self.signed.is_some()))
    }

    pub(super) fn page(&self, status: StatusCode, html: String) -> Response {
        let mut response = hosted(status, html, &HeaderValue::from_static(web::PAGE_CSP));
        // Other sites learn nothing of where this was, and the shop itself learns that a form comes from here.
        response.headers_mut().insert(header::REFERRER_POLICY, HeaderValue::from_static("same-origin"));
        response.headers_mut().insert(HeaderName::from_static("x-robots-tag"), HeaderValue::from_static("noindex"));
        response.headers_mut().append(header::VARY, HeaderValue::from_static("Accept-Language"));
        response
    }

    pub(super) fn to(&self, path: &str) -> Response {
        let location = HeaderValue::from_str(path).unwrap_or(HeaderValue::from_static("/"));
        let referrer = HeaderValue::from_static("same-origin");
        (StatusCode::SEE_OTHER, [(header::LOCATION, location), (header::REFERRER_POLICY, referrer)]).into_response()
    }

    /// The answer, for whoever asked: a person reads a page also of what went wrong.
    pub(super) fn finish(&self, merchant: &Merchant, answer: Result<Response, Trouble>) -> Response {
        let mut response = answer.unwrap_or_else(|trouble| self.trouble(trouble));
        if self.signed.is_some() {
            signed::refresh(merchant, &mut response);
            soften_redirect(&mut response);
        }
        keep_private(&mut response);
        response
    }

    fn trouble(&self, trouble: Trouble) -> Response {
        let is_nothing =
            matches!(trouble, Trouble::Refused(Error::Refused(Refusal::NoSuchCheckout | Refusal::NoSuchOrder)));
        let problem = match trouble {
            Trouble::Refused(error) => Problem::from(error),
            Trouble::Unreadable(problem) => problem,
        };
        if problem.status() == StatusCode::UNAUTHORIZED {
            return problem.into_response();
        }
        let not_done = self.lang.say("That did not work", "Das hat nicht geklappt");
        let (title, text) = match problem.status().as_u16() {
            _ if is_nothing => (
                self.lang.say("There is nothing here", "Hier ist nichts"),
                self.lang.say(
                    "This checkout is over, or the address is not whole. What was ordered stays ordered.",
                    "Dieser Einkauf ist vorbei, oder die Adresse ist nicht vollständig. Was bestellt ist, bleibt bestellt.",
                ),
            ),
            _ if problem.code() == "cross_site" => (
                self.lang.say("This did not come from our shop", "Das kam nicht von unserem Shop"),
                self.lang.say(
                    "Another page wanted to send this in your name, so it was not taken, and nothing has changed. To buy something, please begin in the shop.",
                    "Eine andere Seite wollte das in Ihrem Namen schicken. Darum wurde es nicht angenommen, und nichts hat sich geändert. Wenn Sie etwas kaufen möchten, beginnen Sie bitte im Shop.",
                ),
            ),
            429 => (
                not_done,
                self.lang.say(
                    "Too much came at once. Nothing is lost: please wait a minute, and load this page again.",
                    "Es kam zu viel auf einmal. Nichts ist verloren: Bitte warten Sie eine Minute und laden Sie diese Seite noch einmal.",
                ),
            ),
            500.. => (
                not_done,
                self.lang.say(
                    "It is the shop's fault, and nothing is lost. Please load this page again in a moment.",
                    "Das liegt am Shop, und nichts ist verloren. Bitte laden Sie diese Seite gleich noch einmal.",
                ),
            ),
            _ if self.path == format!("{}/checkout", self.mount) => (
                not_done,
                self.lang.say(
                    "Nothing was ordered. Please go back to the shop and begin again.",
                    "Es wurde nichts bestellt. Bitte gehen Sie zurück zum Shop und beginnen Sie neu.",
                ),
            ),
            // Below a checkout there may be an order, which stands as it was.
            _ => (
                not_done,
                self.lang.say(
                    "What was sent cannot be used, and has changed nothing. Please go back and try once more.",
                    "Was geschickt wurde, ist so nicht zu gebrauchen und hat nichts geändert. Bitte gehen Sie zurück und versuchen Sie es noch einmal.",
                ),
            ),
        };
        let html = view::refused(&self.frame(), title, text, self.request.as_ref().map(RequestId::as_str));
        let page = self.page(problem.status(), html);
        problem.into_page(page)
    }
}
