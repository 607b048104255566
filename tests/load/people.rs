//! People with browsers and wallets: keys that sign, credentials that are shown, and every answer read as they would.

use std::{
    convert::Infallible,
    future::Future,
    pin::Pin,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, AtomicUsize, Ordering},
    },
    task::{Context, Poll},
    time::Duration,
};

use axum::body::Body;
use bytes::Bytes;
use firsthand::{
    env::Env,
    limits::Limits,
    protocol::jose::base64url_encode,
    testing::{
        FakeRail, TestShop,
        wallet::{Link, Request as WalletRequest, redirect_uri},
    },
};
use firsthand_axum::testing::{Browser, Reply};
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, Response, StatusCode, Uri, header};
use http_body_util::{BodyExt, Full};
use hyper_util::{
    client::legacy::{Client, connect::HttpConnector},
    rt::TokioExecutor,
};
use serde_json::{Value, json};
use tower::Service;

use super::{
    plan::{Dice, Visit},
    shop::{ACCOUNT, ITEMS, item_id},
};

/// How long anybody waits for one answer.
const PATIENCE: Duration = Duration::from_secs(10);
/// How many are known before the clock starts at the least: what one key asks for in a minute is limited.
const WITHIN_A_MINUTE: f64 = 600.0;

/// How many must be known so that none of them comes too often, at so many visits a second.
pub fn enough_for(per_s: f64) -> usize {
    ((per_s * 60.0 / WITHIN_A_MINUTE).ceil() as usize).max(8)
}

/// The way to a shop: each request to the next of its nodes.
#[derive(Clone, Debug)]
pub struct Way {
    client: Client<HttpConnector, Full<Bytes>>,
    nodes: Arc<[String]>,
    sent: Arc<AtomicU64>,
}

impl Way {
    /// To the nodes that listen at these addresses.
    pub fn to(addresses: &[String]) -> Self {
        let mut connector = HttpConnector::new();
        connector.set_nodelay(true);
        let client = Client::builder(TokioExecutor::new()).retry_canceled_requests(false).build(connector);
        let nodes = addresses.iter().map(|address| format!("http://{address}")).collect();
        Self { client, nodes, sent: Arc::default() }
    }

    /// How many requests were sent.
    pub fn sent(&self) -> u64 {
        self.sent.load(Ordering::Relaxed)
    }
}

impl Service<Request<Body>> for Way {
    type Response = Response<Full<Bytes>>;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Infallible>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        let this = self.clone();
        Box::pin(async move {
            let turn = this.sent.fetch_add(1, Ordering::Relaxed) as usize;
            let node = this.nodes.get(turn % this.nodes.len()).cloned().unwrap_or_default();
            let answer = tokio::time::timeout(PATIENCE, async {
                let (mut parts, body) = request.into_parts();
                let body = body.collect().await.map_err(|e| e.to_string())?.to_bytes();
                parts.uri = format!("{node}{}", parts.uri).parse::<Uri>().map_err(|e| e.to_string())?;
                let request = Request::from_parts(parts, Full::new(body));
                let (parts, body) = this.client.request(request).await.map_err(|e| e.to_string())?.into_parts();
                let body = body.collect().await.map_err(|e| e.to_string())?.to_bytes();
                Ok::<_, String>(Response::from_parts(parts, Full::new(body)))
            });
            Ok(match answer.await {
                Ok(Ok(response)) => response,
                Ok(Err(_)) => unanswered("connection"),
                Err(_) => unanswered("timeout"),
            })
        })
    }
}

/// What stands for an answer where there is none, in the shape of a problem.
fn unanswered(code: &str) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::from(json!({ "code": code }).to_string()));
    *response.status_mut() = StatusCode::GATEWAY_TIMEOUT;
    response
}

/// What went wrong: the step, and what the shop called it.
pub type Trouble = String;

/// Everybody who comes.
#[derive(Clone)]
pub struct People(Arc<Inner>);

struct Inner {
    /// A browser that was never here, to make others of.
    nobody: Browser,
    known: Vec<Mutex<Browser>>,
    next: AtomicUsize,
    numbers: Mutex<Dice>,
}

impl People {
    /// So many who have proved their age before.
    pub async fn know(shop: &TestShop, way: Way, count: usize) -> Result<Self, Trouble> {
        let nobody = Browser::new(shop, way);
        let mut known = Vec::new();
        for _ in 0..count {
            let mut browser = nobody.another();
            present(&mut browser).await?;
            known.push(Mutex::new(browser));
        }
        Ok(Self(Arc::new(Inner { nobody, known, next: AtomicUsize::new(0), numbers: Mutex::new(Dice::new(1)) })))
    }

    /// One visit, to its end.
    pub async fn come(&self, visit: Visit) -> Result<(), Trouble> {
        match visit {
            Visit::Presentation => present(&mut self.0.nobody.another()).await,
            Visit::Page => {
                let (place, mut browser) = self.somebody();
                let reply = browser.get(ACCOUNT).await;
                self.keep(place, browser);
                must(&reply, StatusCode::OK, "page")
            }
            Visit::Checkout => {
                let (place, mut browser) = self.somebody();
                let (item, key) = {
                    let mut numbers = self.0.numbers.lock().unwrap_or_else(PoisonError::into_inner);
                    (numbers.throw(ITEMS), numbers.throw(u64::MAX))
                };
                let bought = buy(&mut browser, &item_id(item), key).await;
                self.keep(place, browser);
                bought
            }
        }
    }

    /// The next one who is known. They may come twice at once, as in two tabs.
    fn somebody(&self) -> (usize, Browser) {
        let place = self.0.next.fetch_add(1, Ordering::Relaxed) % self.0.known.len();
        (place, self.0.known[place].lock().unwrap_or_else(PoisonError::into_inner).clone())
    }

    /// What a browser keeps of a visit: the newest nonce.
    fn keep(&self, place: usize, browser: Browser) {
        *self.0.known[place].lock().unwrap_or_else(PoisonError::into_inner) = browser;
    }
}

/// Proves the age, from the ask to the session.
async fn present(browser: &mut Browser) -> Result<(), Trouble> {
    let shop = browser.shop().clone();
    let asked = browser.post_json("/wallet/presentations", &json!({ "ask": "age", "flow": "same_device" })).await;
    must(&asked, StatusCode::CREATED, "ask")?;
    let (id, wallet_uri) = (text(&asked, "id")?, text(&asked, "wallet_uri")?);

    let mut wallet = browser.another();
    let form = [("content-type", "application/x-www-form-urlencoded")];
    let link = Link::parse(&wallet_uri).map_err(|e| format!("wallet: {e}"))?;
    let nonce = {
        let mut bytes = [0; 16];
        shop.clock().fill(&mut bytes);
        base64url_encode(&bytes)
    };
    let object = wallet.plain(&Method::POST, link.request_uri.path(), &form, Link::form(&nonce).as_bytes()).await;
    must(&object, StatusCode::OK, "request")?;
    let now = shop.clock().now();
    let request =
        WalletRequest::read(&link, &object.text(), Some(&nonce), &[shop.access_root()], now, &Limits::default());
    let request = request.map_err(|e| format!("wallet: {e}"))?;
    let holder = &shop.persona("adult").wallet;
    let answer = holder.choose(&request).and_then(|choice| holder.answer(&request, &choice, &[], shop.clock()));
    let answer = answer.map_err(|e| format!("wallet: {e}"))?;
    let answered = wallet.plain(&Method::POST, request.response_uri.path(), &form, answer.as_bytes()).await;
    must(&answered, StatusCode::OK, "answer")?;
    let leads_to = redirect_uri(&answered.body).ok().flatten();
    let code = leads_to.as_ref().and_then(|to| to.fragment()).and_then(|code| code.strip_prefix("response_code="));
    let code = code.ok_or("answer: no code")?;

    let redeemed = browser.redeem(&json!({ "presentation": id, "response_code": code })).await;
    must(&redeemed, StatusCode::OK, "redeem")
}

/// Buys one thing: begins a checkout, and completes it.
async fn buy(browser: &mut Browser, item: &str, key: u64) -> Result<(), Trouble> {
    let path = "/wallet/checkouts";
    let basket = json!({ "line_items": [{ "item": { "id": item }, "quantity": 1 }] });
    let begun = keyed(browser, path, &format!("{key:x}-begin"), &basket).await;
    must(&begun, StatusCode::CREATED, "checkout")?;
    let begun = read(&begun)?;
    let total = begun["totals"].as_array().and_then(|totals| totals.last()).map(|total| total["amount"].clone());
    let agreed = json!({
        "revision": begun["revision"], "total": total, "payment": { "handler_id": FakeRail::ID },
    });
    let path = format!("{path}/{}/complete", begun["id"].as_str().unwrap_or_default());
    let done = keyed(browser, &path, &format!("{key:x}-complete"), &agreed).await;
    must(&done, StatusCode::OK, "complete")?;
    let done = read(&done)?;
    match (done["status"].as_str(), done["order"]["status"].as_str()) {
        (Some("completed"), Some("paid")) => Ok(()),
        (status, order) => Err(format!("complete: {} {}", status.unwrap_or("-"), order.unwrap_or("-"))),
    }
}

/// A signed request with an idempotency key.
async fn keyed(browser: &mut Browser, path: &str, key: &str, body: &Value) -> Reply {
    let bytes = body.to_string();
    let mut turn = 0;
    loop {
        let proof = browser.sign(&browser.claims(&Method::POST, path, Some(bytes.as_bytes())));
        let mut headers = HeaderMap::new();
        let given =
            [("dpop", proof), ("idempotency-key", key.to_owned()), ("content-type", "application/json".to_owned())];
        for (name, value) in given {
            headers.insert(HeaderName::from_static(name), HeaderValue::try_from(value).expect("a header"));
        }
        let token = format!("DPoP {}", browser.token.as_deref().unwrap_or_default());
        headers.insert(header::AUTHORIZATION, HeaderValue::try_from(token).expect("a header"));
        let reply = browser.send(&Method::POST, path, headers, bytes.as_bytes()).await;
        turn += 1;
        if turn == 2 || reply.code() != "use_dpop_nonce" {
            return reply;
        }
    }
}

fn must(reply: &Reply, status: StatusCode, step: &str) -> Result<(), Trouble> {
    if reply.status == status { Ok(()) } else { Err(format!("{step}: {} {}", reply.status.as_u16(), reply.code())) }
}

fn read(reply: &Reply) -> Result<Value, Trouble> {
    serde_json::from_slice(&reply.body).map_err(|e| format!("no JSON: {e}"))
}

fn text(reply: &Reply, name: &str) -> Result<String, Trouble> {
    let body = read(reply)?;
    body[name].as_str().map(str::to_owned).ok_or_else(|| format!("an answer without {name}"))
}
