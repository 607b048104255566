//! The layer that knows who sends a request.

use std::{
    convert::Infallible,
    future::Future,
    num::NonZeroU32,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    task::{Context, Poll},
    time::Duration,
};

use axum::{
    body::{Body, Bytes},
    extract::{OriginalUri, Request},
    response::{IntoResponse, Response},
};
use firsthand::{
    Error, Merchant,
    error::{ProofError, Refusal},
    merchant::Recognised,
};
use http::{HeaderName, HeaderValue, StatusCode, header};
use http_body_util::{BodyExt, LengthLimitError, Limited};
use tower_layer::Layer;
use tower_service::Service;

use crate::{
    checkouts::CheckoutPage,
    client::ClientAddress,
    cookie::{self, Carried},
    limit::Limiter,
    observe::Served,
    operations::Operations,
    problem::{Problem, misuse},
    request_id::RequestIds,
    same_origin,
    signed::{self, is_safe},
};

/// Where a signed request should go next: redirects of signed requests come as 204 with this header, since a browser
/// would follow a 3xx without a proof.
pub(crate) const FIRSTHAND_LOCATION: HeaderName = HeaderName::from_static("firsthand-location");

/// Checks the proof of every request that brings one, recognises its customer, and keeps what was computed from that
/// out of every cache. Wrap it around the whole router.
///
/// A request without a proof passes: the extractors and [`require`](crate::require) decide what it may see.
#[derive(Clone, Debug)]
pub struct CustomerLayer {
    merchant: Merchant,
    settings: Arc<Settings>,
}

#[derive(Clone, Debug)]
pub(crate) struct Settings {
    body_bytes_max: usize,
    client_address: ClientAddress,
    pub(crate) content_security_policy: HeaderValue,
    limiter: Arc<Limiter>,
    pub(crate) host_cookie: bool,
    pub(crate) checkout_page: Arc<CheckoutPage>,
    request_ids: RequestIds,
    served: Arc<Served>,
}

/// A signed body is held until its digest is checked: large enough for any form, too small to fill a memory.
const BODY_BYTES_MAX: usize = 1024 * 1024;
/// How long a body that is held may take to arrive: else whoever sends a byte now and then holds memory for ever.
pub(crate) const BODY_WITHIN: Duration = Duration::from_secs(30);

impl CustomerLayer {
    /// A layer for this merchant.
    #[must_use]
    pub fn new(merchant: Merchant) -> Self {
        let checkout_page = Arc::new(CheckoutPage::new().sending_to(&merchant.sends_to()));
        Self {
            merchant,
            settings: Arc::new(Settings {
                body_bytes_max: BODY_BYTES_MAX,
                client_address: ClientAddress::None,
                content_security_policy: HeaderValue::from_static(crate::web::PAGE_CSP),
                limiter: Arc::new(Limiter::default()),
                host_cookie: false,
                checkout_page,
                request_ids: RequestIds::Own,
                served: Arc::default(),
            }),
        }
    }

    /// The largest signed body of a request to the merchant's own handlers, in bytes. 1 MiB unless said here.
    #[must_use]
    pub fn body_bytes_max(mut self, bytes: usize) -> Self {
        Arc::make_mut(&mut self.settings).body_bytes_max = bytes;
        self
    }

    /// How the address of a client is known, for limits. Unless said here it is not known, and limits go by key, by
    /// presentation and in all.
    #[must_use]
    pub fn client_address(mut self, from: ClientAddress) -> Self {
        Arc::make_mut(&mut self.settings).client_address = from;
        self
    }

    /// Among how many nodes the limits are divided, whose customers are sent to any of them: then all together let in what is
    /// let in by one. Unless said here each node counts as if it were alone, and n of them let in n times as much; which is
    /// right where what stands in front sends one address always to the same node. How many streams are open is what one
    /// node can bear, and is not divided.
    #[must_use]
    pub fn nodes(mut self, nodes: NonZeroU32) -> Self {
        Arc::make_mut(&mut self.settings).limiter = Arc::new(Limiter::of_nodes(nodes));
        self
    }

    /// How requests get the names under which they stand in the log, in `x-request-id` and in problems. Unless said here each
    /// gets one of its own.
    #[must_use]
    pub fn request_ids(mut self, from: RequestIds) -> Self {
        Arc::make_mut(&mut self.settings).request_ids = from;
        self
    }

    /// Metrics of what this layer and its clones serve, health and readiness: for a listener that the public does not reach.
    #[must_use]
    pub fn operations(&self) -> Operations {
        Operations::new(self.merchant.clone(), self.settings.served.clone())
    }

    /// Lets a customer who was recognised carry a cookie, for a shop that must render everything on the server: then
    /// [`Known`](crate::Known) works on the first byte, in navigations and plain forms. Unless said here, there is no
    /// cookie, ever.
    ///
    /// The cookie is `__Host-firsthand`, for this host alone, over https, out of reach of scripts. The script asks for it,
    /// signed, once somebody is known; it is a session of the same key, and ends with it. What that costs, and what stands
    /// against it:
    /// - A cookie comes by itself, also where another site starts the request. So everything that changes something and
    ///   rests on the cookie is refused with 403 `cross_site`, unless the browser says that it comes from a page of this
    ///   very origin, as for [`SameOrigin`](crate::SameOrigin). A handler for GET must change nothing; nor does the cookie
    ///   open a WebSocket for another origin.
    /// - Whoever steals the text has the session. Where the browser has Device Bound Session Credentials, the cookie is
    ///   bound to the device and lives ten minutes at a time, and it is never long again after that.
    /// - It proves nothing anew: how surely the customer was recognised and when is what the session knows that asked for
    ///   it ([`Recent`](crate::Recent)).
    ///
    /// A request with a proof is decided by the proof. For development, browsers take such a cookie at
    /// `http://localhost` too; not all do at `http://127.0.0.1`.
    #[must_use]
    pub fn host_cookie(mut self) -> Self {
        Arc::make_mut(&mut self.settings).host_cookie = true;
        self
    }

    /// The content security policy of the shop's own pages. A page that a customer reaches by a typed address or a
    /// reload is fetched by a small page in between, and it is that page's policy which the browser applies.
    ///
    /// # Errors
    /// [`Error::Misuse`] if the text is no header value.
    pub fn content_security_policy(mut self, policy: &str) -> Result<Self, Error> {
        let value = HeaderValue::from_str(policy).map_err(|e| Error::Misuse(format!("the CSP {policy:?}: {e}")))?;
        Arc::make_mut(&mut self.settings).content_security_policy = value;
        Ok(self)
    }

    /// What the shop says on its [checkout page](CheckoutPage), and in the links of a checkout.
    #[must_use]
    pub fn checkout_page(mut self, page: CheckoutPage) -> Self {
        Arc::make_mut(&mut self.settings).checkout_page = Arc::new(page.sending_to(&self.merchant.sends_to()));
        self
    }
}

impl<S> Layer<S> for CustomerLayer {
    type Service = CustomerService<S>;

    fn layer(&self, inner: S) -> CustomerService<S> {
        CustomerService { inner, layer: self.clone() }
    }
}

/// The service that [`CustomerLayer`] makes.
#[derive(Clone, Debug)]
pub struct CustomerService<S> {
    inner: S,
    layer: CustomerLayer,
}

/// What the layer leaves with a request for extractors: who sent it, and how a refusal is said.
#[derive(Clone, Debug)]
pub(crate) struct Visit {
    pub(crate) merchant: Merchant,
    pub(crate) settings: Arc<Settings>,
    who: Who,
    /// The cookie that came, also beside a proof.
    carried: Option<Carried>,
    asked: Arc<AtomicBool>,
}

/// Who sent a request, as far as the layer looked.
#[derive(Clone, Debug)]
enum Who {
    /// Whoever claims nothing. On our own routes, which check for themselves, also whoever brings a proof.
    Nobody,
    /// Whoever has the key of a proof that holds, and the customer if a token came with it.
    Signed(Box<Option<Recognised>>),
    /// Whoever has this cookie, and no proof.
    ByCookie(Carried),
}

impl Visit {
    /// Whether a proof came, and held.
    pub(crate) const fn is_signed(&self) -> bool {
        matches!(self.who, Who::Signed(_))
    }

    /// What came in place of a proof.
    pub(crate) const fn cookie(&self) -> Option<&Carried> {
        match &self.who {
            Who::ByCookie(cookie) => Some(cookie),
            Who::Nobody | Who::Signed(_) => None,
        }
    }

    /// The text of the cookie that came.
    pub(crate) fn carried(&self) -> Option<&str> {
        self.carried.as_ref().map(Carried::value)
    }

    /// Somebody computes an answer from who the customer is.
    pub(crate) async fn ask(&self) -> Result<Option<&Recognised>, Response> {
        self.asked.store(true, Ordering::Relaxed);
        match &self.who {
            Who::Nobody => Ok(None),
            Who::Signed(recognised) => Ok((**recognised).as_ref()),
            Who::ByCookie(cookie) => cookie.whose().await.map_err(|problem| signed::refused(&self.merchant, problem)),
        }
    }
}

impl<S> Service<Request> for CustomerService<S>
where
    S: Service<Request, Error = Infallible> + Clone + Send + 'static,
    S::Response: IntoResponse,
    S::Future: Send,
{
    type Response = Response;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Response, Infallible>> + Send>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Request) -> Self::Future {
        // The clone that is ready is the one that was asked; see tower's `Service`.
        let ready = self.inner.clone();
        let inner = std::mem::replace(&mut self.inner, ready);
        let layer = self.layer.clone();
        Box::pin(async move {
            let settings = layer.settings.clone();
            let serve = |request| layer.serve(request, inner);
            Ok(settings.served.see(&settings.request_ids, request, serve).await)
        })
    }
}

impl CustomerLayer {
    async fn serve<S>(self, request: Request, mut inner: S) -> Response
    where
        S: Service<Request, Error = Infallible>,
        S::Response: IntoResponse,
    {
        let merchant = self.merchant.clone();
        let (mut parts, body) = request.into_parts();
        let address = self.settings.client_address.of(&parts);
        let limits = crate::limit::Limits::new(self.settings.limiter.clone(), address);
        parts.extensions.insert(limits.clone());
        let path = parts.extensions.get::<OriginalUri>().map_or(&parts.uri, |original| &original.0).path().to_owned();
        let ours = path.strip_prefix(merchant.mount()).is_some_and(|rest| rest.starts_with('/'));

        let carried = match self.settings.host_cookie {
            true => Carried::by(&merchant, &parts.headers, &limits),
            false => None,
        };
        let (claims, unsafe_method) = (signed::claims(&parts), !is_safe(&parts.method));
        // The proof counts, where there is one.
        let instead = carried.clone().filter(|_| !claims).map_or(Who::Nobody, Who::ByCookie);
        let (who, body) = if ours {
            // Our own routes check for themselves, since some use up a proof in the very commit of its effect.
            (instead, body)
        } else {
            match self.admit(instead, &parts, body).await {
                Ok(admitted) => admitted,
                Err(problem) => return signed::refused(&merchant, problem),
            }
        };
        let (asked, settings) = (Arc::new(AtomicBool::new(false)), self.settings.clone());
        let visit = Visit { merchant: merchant.clone(), settings, who, carried: carried.clone(), asked: asked.clone() };
        let signed = visit.is_signed();
        parts.extensions.insert(visit);
        let answer = inner.call(Request::from_parts(parts, body)).await;
        let mut response = answer.unwrap_or_else(|never| match never {}).into_response();
        if signed {
            signed::refresh(&merchant, &mut response);
            soften_redirect(&mut response);
        }
        if signed || asked.load(Ordering::Relaxed) {
            keep_private(&mut response);
        }
        if self.settings.host_cookie {
            settle(carried.as_ref(), claims, unsafe_method, asked.load(Ordering::Relaxed), &mut response).await;
        }
        response
    }

    /// Checks a request to the merchant's own handlers; says who sent it, which is `instead` without a proof.
    async fn admit(&self, instead: Who, parts: &http::request::Parts, body: Body) -> Result<(Who, Body), Problem> {
        let merchant = &self.merchant;
        let Some(signed) = signed::check(merchant, parts)? else {
            // Before anything is looked up: what another site had a browser send is nobody's wish.
            if matches!(instead, Who::ByCookie(_)) && changes_something(parts) {
                same_origin::check(merchant, &parts.headers)?;
            }
            return Ok((instead, body));
        };
        if is_safe(&parts.method) {
            return Ok((Who::Signed(Box::new(signed::admit(merchant, &signed, None).await?)), body));
        }
        let bytes = self.whole(body).await?;
        Ok((Who::Signed(Box::new(signed::admit(merchant, &signed, Some(&bytes)).await?)), Body::from(bytes)))
    }

    /// A body that is held until its digest is checked.
    async fn whole(&self, body: Body) -> Result<Bytes, Problem> {
        let whole = Limited::new(body, self.settings.body_bytes_max).collect();
        match tokio::time::timeout(BODY_WITHIN, whole).await {
            Err(_) => Err(body_too_slow()),
            Ok(Ok(collected)) => Ok(collected.to_bytes()),
            Ok(Err(error)) if error.downcast_ref::<LengthLimitError>().is_some() => {
                Err(Problem::new(StatusCode::PAYLOAD_TOO_LARGE, "body_too_large", "the body is too large"))
            }
            Ok(Err(_)) => Err(Problem::new(StatusCode::BAD_REQUEST, "body_broken", "the body did not arrive whole")),
        }
    }
}

/// Whether a request may change something. One that leaves HTTP for another protocol, as a WebSocket does, is a GET by name
/// alone.
fn changes_something(parts: &http::request::Parts) -> bool {
    !is_safe(&parts.method) || parts.headers.contains_key(header::UPGRADE)
}

/// What an answer says of the cookie: it depends on it, it clears one that is nobody's, and the script learns whether one
/// came.
async fn settle(carried: Option<&Carried>, claims: bool, unsafe_method: bool, asked: bool, response: &mut Response) {
    if claims {
        cookie::tell_script(response, carried.is_some());
    }
    let began = response.extensions().get::<Began>().is_some();
    let set = cookie::is_set(response.headers());
    let ended = match carried {
        // Whoever was recognised anew has no cookie yet: what the browser still carries may be somebody else's.
        Some(_) if began => true,
        Some(carried) if !set => carried.is_stale() || (unsafe_method && carried.has_ended().await),
        _ => false,
    };
    if ended {
        cookie::clear(response.headers_mut());
    }
    if ended || set {
        keep_private(response);
    }
    if ended || set || asked {
        cookie::vary(response.headers_mut());
    }
}

/// Marks an answer that begins a session.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Began;

/// What a body gets that did not arrive [in time](BODY_WITHIN).
pub(crate) fn body_too_slow() -> Problem {
    Problem::new(StatusCode::REQUEST_TIMEOUT, "body_too_slow", "the body did not arrive in time")
}

/// A browser's `fetch` follows a 3xx by itself, and without a proof: so the script is told where to go instead.
pub(crate) fn soften_redirect(response: &mut Response) {
    if !response.status().is_redirection() {
        return;
    }
    let Some(location) = response.headers_mut().remove(header::LOCATION) else { return };
    response.headers_mut().insert(FIRSTHAND_LOCATION, location);
    response.headers_mut().remove(header::CONTENT_LENGTH);
    response.headers_mut().remove(header::CONTENT_TYPE);
    *response.status_mut() = StatusCode::NO_CONTENT;
    *response.body_mut() = Body::empty();
}

/// What some caches believe more than `Cache-Control` (RFC 9213), and what says how long to keep an answer (RFC 9111).
const OTHER_WORDS_TO_CACHES: [&str; 5] =
    ["cdn-cache-control", "cloudflare-cdn-cache-control", "surrogate-control", "expires", "age"];

/// What depends on who asked, "nobody" included, is for nobody else, and not for later.
pub(crate) fn keep_private(response: &mut Response) {
    let headers = response.headers_mut();
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("private, no-store"));
    for other in OTHER_WORDS_TO_CACHES {
        headers.remove(other);
    }
    let vary = HeaderValue::from_static("Authorization, DPoP");
    if !headers.get_all(header::VARY).iter().any(|there| *there == vary) {
        headers.append(header::VARY, vary);
    }
}

/// The visit of a request, or what the program forgot.
pub(crate) fn visit(parts: &http::request::Parts) -> Result<&Visit, Problem> {
    parts
        .extensions
        .get::<Visit>()
        .ok_or_else(|| misuse("no customer layer: wrap the router in .layer(CustomerLayer::new(merchant))".to_owned()))
}

/// Why nobody is known, for a client that has to do something about it.
pub(crate) fn not_known(signed: bool) -> Problem {
    if signed { Refusal::NotKnown.into() } else { ProofError::Missing.into() }
}
