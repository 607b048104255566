//! A browser for tests: it talks to any tower service like `firsthand.js` does, with a key of its own, and no socket.
//!
//! ```
//! use axum::{Router, routing::get};
//! use firsthand_axum::{CustomerLayer, Known, routes, testing::{Browser, TestShop}};
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() {
//! let shop = TestShop::new();
//! let app: Router = Router::new()
//!     .route("/", get(|known: Option<Known>| async move { if known.is_some() { "Welcome back" } else { "Hello" } }))
//!     .merge(routes(shop.merchant()))
//!     .layer(CustomerLayer::new(shop.merchant().clone()));
//!
//! let mut browser = Browser::new(&shop, app);
//! assert_eq!(browser.get("/").await.text(), "Hello");
//! browser.sign_in("adult").await;
//! assert_eq!(browser.get("/").await.text(), "Welcome back");
//! # }
//! ```

#![expect(
    clippy::expect_used,
    clippy::panic,
    reason = "a test wants to stop at once, and nothing here comes from a stranger"
)]

use std::{
    convert::Infallible,
    future::Future,
    pin::Pin,
    sync::{Arc, Mutex},
};

use axum::{Router, body::Body, routing::get};
use bytes::Bytes;
pub use firsthand::testing::*;
use firsthand::{
    Device,
    env::Env,
    limits::Limits,
    protocol::{
        dpop::content_digest,
        jose::{SigningKey, base64url_encode, sha256},
        openid4vp::dc_api::Protocol,
    },
    testing::wallet::{Fault, Link, Request as WalletRequest},
};
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, Response, StatusCode, Uri, header};
use http_body_util::BodyExt;
use serde_json::{Map, Value, json};
use tower::{Service, ServiceExt};
use url::Url;

use crate::{CustomerLayer, Known, routes};

type Answering = Pin<Box<dyn Future<Output = Response<Bytes>> + Send>>;
type App = Arc<dyn Fn(Request<Body>) -> Answering + Send + Sync>;

/// A browser with a key, in front of a shop.
///
/// What it sends can be bent: the fields are public, and [`Browser::claims`] with [`Browser::sign`] and
/// [`Browser::send`] make any proof.
#[derive(Clone)]
pub struct Browser {
    app: App,
    shop: TestShop,
    /// The key that signs.
    pub key: SigningKey,
    /// The token of the session, if there is one.
    pub token: Option<String>,
    /// The nonce that the last answer brought.
    pub nonce: Option<String>,
    /// How far its own clock is off, in seconds, until a challenge tells it the time.
    pub clock_off_s: i64,
}

impl std::fmt::Debug for Browser {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Browser").field("signed_in", &self.token.is_some()).finish_non_exhaustive()
    }
}

/// What came back.
#[derive(Clone, Debug)]
pub struct Reply {
    /// The status.
    pub status: StatusCode,
    /// The headers.
    pub headers: HeaderMap,
    /// The body.
    pub body: Bytes,
}

impl Reply {
    /// The body as text.
    #[must_use]
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// The body as JSON.
    ///
    /// # Panics
    /// If it is none.
    #[must_use]
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|e| panic!("{} {:?}: {e}", self.status, self.text()))
    }

    /// The body as text, without the name of the request, which differs each time: to compare what is told.
    #[must_use]
    pub fn told(&self) -> String {
        let (told, id) = (self.text(), self.header("x-request-id"));
        if id.is_empty() { told } else { told.replace(&format!(",\"request_id\":\"{id}\""), "").replace(id, "") }
    }

    /// The `code` of a problem; empty if it is none.
    #[must_use]
    pub fn code(&self) -> String {
        let problem: Value = serde_json::from_slice(&self.body).unwrap_or_default();
        problem.get("code").and_then(Value::as_str).unwrap_or_default().to_owned()
    }

    /// A header as text; empty if it is not there.
    #[must_use]
    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
    }
}

/// A question to a wallet that is under way.
#[derive(Clone, Debug)]
pub struct Asking {
    /// The browser's name for it.
    pub id: String,
    /// The link that opens a wallet.
    pub wallet_uri: String,
    /// Where the wallet fetches the request.
    pub request_uri: String,
    /// The whole answer.
    pub body: Value,
}

impl Browser {
    /// A browser that has never been here, with a new Ed25519 key.
    #[must_use]
    pub fn new<S, B>(shop: &TestShop, app: S) -> Self
    where
        S: Service<Request<Body>, Response = Response<B>, Error = Infallible> + Clone + Send + Sync + 'static,
        S::Future: Send,
        B: http_body::Body<Data = Bytes> + Send + 'static,
        B::Error: std::fmt::Debug,
    {
        let app: App = Arc::new(move |request| {
            let app = app.clone();
            Box::pin(async move {
                let response = app.oneshot(request).await.unwrap_or_else(|never| match never {});
                let (parts, body) = response.into_parts();
                let body = body.collect().await.expect("the whole body").to_bytes();
                Response::from_parts(parts, body)
            })
        });
        let mut seed = [0; 32];
        shop.clock().fill(&mut seed);
        let key = SigningKey::from_ed25519_seed(&seed).expect("any seed is a key");
        Self { app, shop: shop.clone(), key, token: None, nonce: None, clock_off_s: 0 }
    }

    /// The same with a P-256 key, as browsers without Ed25519 have.
    #[must_use]
    pub fn with_p256(mut self) -> Self {
        let mut scalar = [0; 32];
        self.shop.clock().fill(&mut scalar);
        self.key = SigningKey::from_p256_scalar(&scalar).expect("nearly any scalar is a key");
        self
    }

    /// Another browser at the same shop: another key, no session.
    #[must_use]
    pub fn another(&self) -> Self {
        let mut seed = [0; 32];
        self.shop.clock().fill(&mut seed);
        let key = SigningKey::from_ed25519_seed(&seed).expect("any seed is a key");
        Self { key, token: None, nonce: None, clock_off_s: 0, ..self.clone() }
    }

    /// The shop.
    #[must_use]
    pub fn shop(&self) -> &TestShop {
        &self.shop
    }

    /// GET, signed.
    pub async fn get(&mut self, path: &str) -> Reply {
        self.signed(Method::GET, path, None).await
    }

    /// DELETE, signed.
    pub async fn delete(&mut self, path: &str) -> Reply {
        self.signed(Method::DELETE, path, None).await
    }

    /// POST of a form, signed.
    pub async fn post_form(&mut self, path: &str, form: &str) -> Reply {
        self.signed(Method::POST, path, Some(("application/x-www-form-urlencoded", form.as_bytes()))).await
    }

    /// POST of JSON, signed.
    pub async fn post_json(&mut self, path: &str, body: &Value) -> Reply {
        self.signed(Method::POST, path, Some(("application/json", body.to_string().as_bytes()))).await
    }

    /// PUT of JSON, signed.
    pub async fn put_json(&mut self, path: &str, body: &Value) -> Reply {
        self.signed(Method::PUT, path, Some(("application/json", body.to_string().as_bytes()))).await
    }

    /// A request that is signed, and sent once more if the shop asks for its nonce.
    pub async fn signed(&mut self, method: Method, path: &str, body: Option<(&str, &[u8])>) -> Reply {
        let mut reply = self.signed_once(&method, path, body).await;
        if reply.code() == "use_dpop_nonce" {
            reply = self.signed_once(&method, path, body).await;
        }
        reply
    }

    /// A request that is signed with what the browser has, and not sent again.
    pub async fn signed_once(&mut self, method: &Method, path: &str, body: Option<(&str, &[u8])>) -> Reply {
        let claims = self.claims(method, path, body.map(|(_, bytes)| bytes));
        let proof = self.sign(&claims);
        let mut headers = HeaderMap::new();
        headers.insert(HeaderName::from_static("dpop"), HeaderValue::try_from(proof).expect("a header"));
        if let Some(token) = &self.token {
            headers.insert(header::AUTHORIZATION, HeaderValue::try_from(format!("DPoP {token}")).expect("a header"));
        }
        if let Some((media_type, _)) = body {
            headers.insert(header::CONTENT_TYPE, HeaderValue::try_from(media_type).expect("a header"));
        }
        self.send(method, path, headers, body.map(|(_, bytes)| bytes).unwrap_or_default()).await
    }

    /// The claims of the proof of a request, to be bent before they are signed.
    #[must_use]
    pub fn claims(&self, method: &Method, path: &str, body: Option<&[u8]>) -> Map<String, Value> {
        let mut jti = [0; 16];
        self.shop.clock().fill(&mut jti);
        let path = path.split(['?', '#']).next().unwrap_or_default();
        let htu = self.shop.merchant().origin().join(path).expect("a path");
        let mut claims = Map::new();
        claims.insert("jti".into(), base64url_encode(&jti).into());
        claims.insert("htm".into(), method.as_str().into());
        claims.insert("htu".into(), htu.as_str().into());
        claims.insert("iat".into(), (self.shop.clock().now().as_secs() + self.clock_off_s).into());
        if let Some(nonce) = &self.nonce {
            claims.insert("nonce".into(), nonce.as_str().into());
        }
        if let Some(token) = &self.token {
            claims.insert("ath".into(), base64url_encode(&sha256(token.as_bytes())).into());
        }
        if let Some(body) = body.filter(|body| !body.is_empty()) {
            claims.insert("content_digest".into(), content_digest(body).into());
        }
        claims
    }

    /// A proof with these claims.
    #[must_use]
    pub fn sign(&self, claims: &Map<String, Value>) -> String {
        let mut head = Map::new();
        head.insert("typ".into(), "dpop+jwt".into());
        head.insert("jwk".into(), self.key.public_key().to_jwk());
        self.key.sign_jws(&head, &Value::Object(claims.clone())).expect("a key signs")
    }

    /// A request with exactly these headers. Takes from the answer what a browser takes: nonce and time.
    pub async fn send(&mut self, method: &Method, path: &str, headers: HeaderMap, body: &[u8]) -> Reply {
        let mut request = Request::new(Body::from(body.to_vec()));
        *request.method_mut() = method.clone();
        *request.uri_mut() = path.parse::<Uri>().expect("a path");
        *request.headers_mut() = headers;
        let host = self.shop.merchant().origin().authority().to_owned();
        request.headers_mut().insert(header::HOST, HeaderValue::try_from(host).expect("a host"));
        let response = (self.app)(request).await;
        let (parts, body) = response.into_parts();
        if let Some(nonce) = parts.headers.get("dpop-nonce").and_then(|value| value.to_str().ok()) {
            self.nonce = Some(nonce.to_owned());
            if parts.status == StatusCode::UNAUTHORIZED && parts.headers.contains_key(header::DATE) {
                self.clock_off_s = 0;
            }
        }
        Reply { status: parts.status, headers: parts.headers, body }
    }

    /// A request that claims nothing: no proof, no token.
    pub async fn plain(&mut self, method: &Method, path: &str, headers: &[(&'static str, &str)], body: &[u8]) -> Reply {
        let mut all = HeaderMap::new();
        for (name, value) in headers {
            all.insert(HeaderName::from_static(name), HeaderValue::try_from(*value).expect("a header"));
        }
        self.send(method, path, all, body).await
    }

    /// POST of a form as a browser sends it from a page of the shop by itself: unsigned, and saying where it comes from.
    /// For guests.
    pub async fn plain_form(&mut self, path: &str, form: &str) -> Reply {
        let origin = self.shop.merchant().origin().origin().ascii_serialization();
        let headers = [
            ("content-type", "application/x-www-form-urlencoded"),
            ("origin", origin.as_str()),
            ("sec-fetch-site", "same-origin"),
            ("sec-fetch-mode", "navigate"),
        ];
        self.plain(&Method::POST, path, &headers, form.as_bytes()).await
    }

    /// What a rail posts: `POST {mount}/notices/{rail}`, with what the rail itself says and signs
    /// ([`FakeRail::notice_of`], [`FakeRail::signed`]).
    pub async fn notice(&mut self, rail: &str, notice: &(HeaderMap, Vec<u8>)) -> Reply {
        let path = format!("{}/notices/{rail}", self.shop.merchant().mount());
        self.unseen().send(&Method::POST, &path, notice.0.clone(), &notice.1).await
    }

    /// Asks: `POST {mount}/presentations`.
    ///
    /// # Panics
    /// If the shop refuses, as it does where no browser asks.
    pub async fn ask(&mut self, ask: &str, device: Device) -> Asking {
        let flow = match device {
            Device::SameDevice => "same_device",
            Device::CrossDevice => "cross_device",
            Device::AtTheTill => "at_the_till",
        };
        let path = format!("{}/presentations", self.shop.merchant().mount());
        let reply = self.post_json(&path, &json!({ "ask": ask, "flow": flow })).await;
        assert_eq!(reply.status, StatusCode::CREATED, "{}", reply.text());
        let body = reply.json();
        let text = |name: &str| body.get(name).and_then(Value::as_str).unwrap_or_default().to_owned();
        Asking { id: text("id"), wallet_uri: text("wallet_uri"), request_uri: text("request_uri"), body: body.clone() }
    }

    /// A wallet fetches a request and checks it.
    ///
    /// # Panics
    /// If the shop refuses, or the wallet does not believe the request.
    pub async fn wallet_reads(&mut self, asking: &Asking) -> WalletRequest {
        let link = Link::parse(&asking.wallet_uri).expect("a link to a wallet");
        let path = path_of(&link.request_uri);
        let wallet_nonce = "a-wallet-nonce";
        let form = [("content-type", "application/x-www-form-urlencoded")];
        let reply = self.unseen().plain(&Method::POST, &path, &form, Link::form(wallet_nonce).as_bytes()).await;
        assert_eq!(reply.status, StatusCode::OK, "{}", reply.text());
        let root = self.shop.access_root();
        let now = self.shop.clock().now();
        let read = WalletRequest::read(&link, &reply.text(), Some(wallet_nonce), &[root], now, &Limits::default());
        read.expect("a request that a careful wallet believes")
    }

    /// A persona's wallet answers, with these faults in the answer.
    ///
    /// # Panics
    /// If the wallet has nothing to answer with.
    pub async fn wallet_answers(&mut self, request: &WalletRequest, persona: &str, faults: &[Fault]) -> Reply {
        let shop = self.shop.clone();
        let wallet = &shop.persona(persona).wallet;
        let choice = wallet.choose(request).expect("something to answer with");
        let form = wallet.answer(request, &choice, faults, shop.clock()).expect("an answer");
        self.wallet_posts(request, &form).await
    }

    /// A wallet posts a form of its own making.
    pub async fn wallet_posts(&mut self, request: &WalletRequest, form: &str) -> Reply {
        let headers = [("content-type", "application/x-www-form-urlencoded")];
        let path = path_of(&request.response_uri);
        self.unseen().plain(&Method::POST, &path, &headers, form.as_bytes()).await
    }

    /// Takes its question to a wallet itself: what its page hands to `navigator.credentials.get`.
    pub async fn dc_requests(&mut self, asking: &Asking) -> Reply {
        let path = format!("{}/presentations/{}/dc", self.shop.merchant().mount(), asking.id);
        self.signed(Method::POST, &path, None).await
    }

    /// A wallet gets one of these requests from the browser, and checks it.
    ///
    /// # Panics
    /// If the shop refuses, or the wallet does not believe the request.
    pub async fn dc_reads(&mut self, asking: &Asking, protocol: Protocol) -> WalletRequest {
        let reply = self.dc_requests(asking).await;
        assert_eq!(reply.status, StatusCode::OK, "{}", reply.text());
        let body = reply.json();
        let requests = body.get("requests").and_then(Value::as_array).expect("requests");
        let named = |one: &&Value| one.get("protocol").and_then(Value::as_str) == Some(protocol.name());
        let data = requests.iter().find(named).and_then(|one| one.get("data")).expect("a request by this protocol");
        let origin = self.shop.merchant().origin().origin().ascii_serialization();
        let (root, now) = (self.shop.access_root(), self.shop.clock().now());
        let read = WalletRequest::read_by_browser(protocol, data, &origin, &[root], now, &Limits::default());
        read.expect("a request that a careful wallet believes")
    }

    /// Brings what a persona's wallet answers, with these faults in it.
    ///
    /// # Panics
    /// If the wallet has nothing to answer with.
    pub async fn dc_answers(
        &mut self,
        asking: &Asking,
        protocol: Protocol,
        request: &WalletRequest,
        persona: &str,
        faults: &[Fault],
    ) -> Reply {
        let shop = self.shop.clone();
        let wallet = &shop.persona(persona).wallet;
        let choice = wallet.choose(request).expect("something to answer with");
        let data = wallet.answer_by_browser(request, &choice, faults, shop.clock()).expect("an answer");
        self.dc_brings(asking, protocol.name(), &data).await
    }

    /// Brings whatever a page would.
    pub async fn dc_brings(&mut self, asking: &Asking, protocol: &str, data: &Value) -> Reply {
        let path = format!("{}/presentations/{}/dc/response", self.shop.merchant().mount(), asking.id);
        self.post_json(&path, &json!({ "protocol": protocol, "data": data })).await
    }

    /// Redeems: `POST {mount}/sessions`. Keeps the token, if there is one.
    pub async fn redeem(&mut self, body: &Value) -> Reply {
        let path = format!("{}/sessions", self.shop.merchant().mount());
        let token = self.token.take();
        let reply = self.post_json(&path, body).await;
        let answer: Value = serde_json::from_slice(&reply.body).unwrap_or_default();
        self.token = answer.get("access_token").and_then(Value::as_str).map(str::to_owned).or(token);
        reply
    }

    /// Proves an ask with a persona's wallet on the same device, from the ask to the session.
    ///
    /// # Panics
    /// If any step is refused.
    pub async fn prove(&mut self, ask: &str, persona: &str) {
        let asking = self.ask(ask, Device::SameDevice).await;
        let request = self.wallet_reads(&asking).await;
        let answer = self.wallet_answers(&request, persona, &[]).await;
        assert_eq!(answer.status, StatusCode::OK, "{}", answer.text());
        let redeemed =
            self.redeem(&json!({ "presentation": asking.id, "response_code": response_code(&answer) })).await;
        assert_eq!(redeemed.status, StatusCode::OK, "{}", redeemed.text());
    }

    /// Becomes a known customer, by proving the age with a persona's wallet.
    ///
    /// # Panics
    /// If any step is refused.
    pub async fn sign_in(&mut self, persona: &str) {
        self.prove("age", persona).await;
    }

    /// Carries a wallet's request to the shop: what [`Wallet::receive`](wallet::Wallet::receive) asks for. Only requests to
    /// the shop's own origin arrive.
    pub async fn carry(&self, request: Request<Vec<u8>>) -> Response<Vec<u8>> {
        let (parts, body) = request.into_parts();
        let path = parts.uri.path_and_query().map_or("/", |path| path.as_str()).to_owned();
        let ours = self.shop.merchant().origin().origin().ascii_serialization();
        let there = format!(
            "{}://{}",
            parts.uri.scheme_str().unwrap_or_default(),
            parts.uri.authority().map_or("", |a| a.as_str())
        );
        assert_eq!(there, ours, "a wallet calls somebody else");
        let reply = self.unseen().send(&parts.method, &path, parts.headers, &body).await;
        let mut response = Response::new(reply.body.to_vec());
        *response.status_mut() = reply.status;
        *response.headers_mut() = reply.headers;
        response
    }

    /// Lets a wallet get the relationship credential of this browser's customer: the offer is made on the page, and the
    /// wallet takes it. The shop must [issue](firsthand::merchant::MerchantBuilder::relationship).
    ///
    /// # Panics
    /// If any step is refused.
    pub async fn give_credential(&mut self, wallet: &mut wallet::Wallet) {
        let path = format!("{}/issuer/offers", self.shop.merchant().mount());
        let offer = self.signed(Method::POST, &path, None).await;
        assert_eq!(offer.status, StatusCode::CREATED, "{}", offer.text());
        let offer = offer.json();
        let text = |name: &str| offer.get(name).and_then(Value::as_str).unwrap_or_default().to_owned();
        let shop = self.shop.clone();
        let received = wallet
            .receive(&text("uri"), Some(&text("tx_code")), shop.clock(), async |request| self.carry(request).await)
            .await
            .map(drop);
        received.expect("a wallet receives the credential");
    }

    /// The same app seen by somebody else, whose answers tell this browser nothing.
    fn unseen(&self) -> Self {
        Self { nonce: None, token: None, ..self.clone() }
    }
}

/// The response code that a wallet on the same device was told to carry back.
///
/// # Panics
/// If there is none.
#[must_use]
pub fn response_code(answer: &Reply) -> String {
    let redirect = wallet::redirect_uri(&answer.body).ok().flatten().expect("a redirect_uri");
    let fragment = redirect.fragment().unwrap_or_default();
    fragment.strip_prefix("response_code=").expect("a response code").to_owned()
}

fn path_of(url: &Url) -> String {
    url.path().to_owned()
}

/// A known customer, for testing a handler by itself: a persona who has proved their age to this shop.
///
/// # Panics
/// If any step is refused.
pub async fn known(shop: &TestShop, persona: &str) -> Known {
    let slot: Arc<Mutex<Option<Known>>> = Arc::default();
    let found = slot.clone();
    let app: Router = Router::new()
        .route(
            "/",
            get(move |known: Known| async move {
                if let Ok(mut slot) = slot.lock() {
                    *slot = Some(known);
                }
            }),
        )
        .merge(routes(shop.merchant()))
        .layer(CustomerLayer::new(shop.merchant().clone()));
    let mut browser = Browser::new(shop, app);
    browser.sign_in(persona).await;
    browser.get("/").await;
    let known = found.lock().ok().and_then(|mut slot| slot.take());
    known.expect("a known customer")
}
