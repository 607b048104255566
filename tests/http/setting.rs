//! What the tests of the browser's side share: a small shop behind the layer, further nodes of it, and the three stores.

use std::{
    path::PathBuf,
    sync::atomic::{AtomicU32, Ordering},
};

use axum::{
    Router,
    body::{Body, Bytes},
    extract::Request,
    middleware::map_response,
    response::{Html, Redirect, Response},
    routing::{get, post},
};
use firsthand::{
    CustomerId, Device, Keys, Merchant,
    env::Env,
    keys::KeysFile,
    protocol::jose::SigningKey,
    store::{Memory, Postgres, Sqlite, Store},
    testing::authority::{Authority, Leaf, certificate_pem},
};
use firsthand_axum::{
    CustomerLayer, Known, Problem, require, routes,
    testing::{Asking, Browser, Reply, TestShop, response_code},
};
use firsthand_tests::postgres::{cluster, left_out};
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode};
use http_body_util::BodyExt;
use serde_json::{Map, Value};
use tower::ServiceExt;

/// A shop's router as a merchant writes one, with a page of every kind.
pub fn app(merchant: &Merchant) -> Router {
    let app = pages().merge(routes(merchant)).layer(CustomerLayer::new(merchant.clone()));
    app.layer(map_response(keeps_the_promises))
}

/// What holds for every answer of every test: no cookie, and what carries a nonce is in no cache.
async fn keeps_the_promises(answer: Response) -> Response {
    let headers = answer.headers();
    assert!(!headers.contains_key("set-cookie"), "{headers:?}");
    if headers.contains_key("dpop-nonce") {
        assert_eq!(headers["cache-control"], "private, no-store", "{headers:?}");
        assert_eq!(
            headers.get_all("vary").iter().filter(|vary| *vary == "Authorization, DPoP").count(),
            1,
            "{headers:?}"
        );
    }
    answer
}

/// The merchant's own pages.
pub fn pages() -> Router {
    Router::new()
        .route("/", get(greet))
        .route("/public", get(async || "open"))
        .route("/account", get(account).post(account).delete(account))
        .route("/wine", get(account).post(account).route_layer(require(&TestShop::age())))
        .route("/name", get(given_name))
        .route("/order", post(async |_: Known| Redirect::to("/thanks")))
        .route("/old", get(async || Redirect::permanent("/")))
        .route("/echo", post(async |_: Option<Known>, body: Bytes| body))
        .route("/upload", post(async |request: Request| Body::new(request.into_body())))
}

async fn greet(known: Option<Known>) -> Html<&'static str> {
    Html(if known.is_some() { "Welcome back" } else { "Hello" })
}

async fn account(known: Known) -> String {
    known.id().to_string()
}

/// The name that this session's answer to `address` showed, while it may be read.
async fn given_name(known: Known) -> Result<String, Problem> {
    let claims = known.claims(&TestShop::address()).await?;
    let name = claims.and_then(|claims| Some(claims.claim("pid", &["given_name"])?.as_str()?.to_owned()));
    Ok(name.unwrap_or_else(|| "nobody".to_owned()))
}

/// A browser in front of [`app`].
pub fn browser(shop: &TestShop) -> Browser {
    Browser::new(shop, app(shop.merchant()))
}

/// The same shop in another process: the same keys, time, issuers and asks.
pub fn node(shop: &TestShop, store: impl Store) -> Merchant {
    node_with(shop, store, shop.keys().clone())
}

/// The same with other keys.
pub fn node_with(shop: &TestShop, store: impl Store, keys: Keys) -> Merchant {
    let builder = Merchant::builder(shop.merchant().origin().clone())
        .keys(keys)
        .trust(shop.cast().trust().unwrap())
        .fetch(shop.network().clone())
        .env(shop.clock().clone())
        .store(store);
    shop.merchant().asks().fold(builder, |builder, ask| builder.ask(ask)).build().unwrap()
}

/// The keys of a shop before and after it made a new root secret.
pub fn rotated_keys(shop: &TestShop) -> [Keys; 2] {
    let now = shop.clock().now();
    let mut file = KeysFile::generate([1; 32]).unwrap();
    let key = SigningKey::from_pkcs8_der(file.waiting_key().unwrap()).unwrap();
    let leaf = Leaf::new("Test Shop", now).dns_name("shop.example");
    let chain = Authority::new("Test Access CA", now).certify(&leaf, key.public_key());
    file.install(&chain.iter().map(|der| certificate_pem(der)).collect::<String>()).unwrap();
    let before = Keys::from_pem(&file.to_pem()).unwrap();
    file.add_root_secret([2; 32]).unwrap();
    [before, Keys::from_pem(&file.to_pem()).unwrap()]
}

/// The same browser, led to another node.
pub fn led_to(browser: &Browser, merchant: &Merchant) -> Browser {
    let mut there = Browser::new(browser.shop(), app(merchant));
    there.key = browser.key.clone();
    there.token.clone_from(&browser.token);
    there.nonce.clone_from(&browser.nonce);
    there
}

/// Runs a test with a shop on each store. PostgreSQL is left out, and says so, where it is not installed.
pub async fn on_every_store(what: &str, test: impl AsyncFn(TestShop)) {
    test(TestShop::new()).await;
    let folder = Folder::new();
    let store = Sqlite::connect(&folder.database()).await.unwrap();
    test(TestShop::with(|builder| builder.store(store))).await;
    match cluster() {
        None => left_out(what),
        Some(cluster) => {
            let store = Postgres::connect(&cluster.database()).await.unwrap();
            test(TestShop::with(|builder| builder.store(store))).await;
        }
    }
}

/// A shop and the store below it, for tests that restart the shop or open a second one.
pub fn shop_and_store() -> (TestShop, Memory) {
    let store = Memory::new();
    (TestShop::with(|builder| builder.store(store.clone())), store)
}

/// A folder that goes when it is dropped.
pub struct Folder(PathBuf);

impl Folder {
    pub fn new() -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let name = format!("firsthand-http-{}-{}", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed));
        let path = std::env::temp_dir().join(name);
        std::fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    /// The URL of a database in it.
    pub fn database(&self) -> String {
        format!("sqlite://{}", self.0.join("shop.db").display())
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// An ask that a persona's wallet has answered, and the code that it brought back on the same device.
pub async fn answered(browser: &mut Browser, ask: &str, device: Device, persona: &str) -> (Asking, Option<String>) {
    let asking = browser.ask(ask, device).await;
    let request = browser.wallet_reads(&asking).await;
    let answer = browser.wallet_answers(&request, persona, &[]).await;
    assert_eq!(answer.status, StatusCode::OK, "{}", answer.text());
    let code = (device == Device::SameDevice).then(|| response_code(&answer));
    (asking, code)
}

/// Who the shop says that this browser's customer is.
pub async fn customer(browser: &mut Browser) -> CustomerId {
    let me = browser.get("/wallet/me").await;
    assert_eq!(me.status, StatusCode::OK, "{}", me.text());
    me.json()["id"].as_str().unwrap().parse().unwrap()
}

/// The names of the sessions of this browser's customer, its own first.
pub async fn sessions(browser: &mut Browser) -> Vec<String> {
    let list = browser.get("/wallet/sessions").await;
    assert_eq!(list.status, StatusCode::OK, "{}", list.text());
    let mut sessions: Vec<Value> = list.json()["sessions"].as_array().unwrap().clone();
    sessions.sort_by_key(|session| session["current"] != true);
    sessions.iter().map(|session| session["id"].as_str().unwrap().to_owned()).collect()
}

/// A claim set with one claim set to something else, or removed by `null`.
pub fn bent(claims: &Map<String, Value>, name: &str, value: Value) -> Map<String, Value> {
    let mut claims = claims.clone();
    match value {
        Value::Null => claims.remove(name),
        value => claims.insert(name.to_owned(), value),
    };
    claims
}

/// The headers of a signed request: the proof, the token if the browser has one, and a type if there is a body.
pub fn signed_headers(browser: &Browser, proof: &str, media_type: Option<&str>) -> HeaderMap {
    let mut headers = HeaderMap::new();
    headers.insert(HeaderName::from_static("dpop"), HeaderValue::try_from(proof).unwrap());
    if let Some(token) = &browser.token {
        headers.insert("authorization", HeaderValue::try_from(format!("DPoP {token}")).unwrap());
    }
    if let Some(media_type) = media_type {
        headers.insert("content-type", HeaderValue::try_from(media_type).unwrap());
    }
    headers
}

/// A request with a proof of these claims.
pub async fn send_claims(browser: &mut Browser, method: &Method, path: &str, claims: &Map<String, Value>) -> Reply {
    let proof = browser.sign(claims);
    let headers = signed_headers(browser, &proof, None);
    browser.send(method, path, headers, &[]).await
}

/// A request that is exactly this, also its `Host`.
pub async fn send_raw(app: &Router, request: Request) -> Reply {
    let (parts, body) = app.clone().oneshot(request).await.unwrap().into_parts();
    Reply { status: parts.status, headers: parts.headers, body: body.collect().await.unwrap().to_bytes() }
}

/// A refusal of this status and code.
#[track_caller]
pub fn refused(reply: &Reply, status: u16, code: &str) {
    assert_eq!((reply.status.as_u16(), reply.code().as_str()), (status, code), "{}", reply.text());
    assert_eq!(reply.header("content-type"), "application/problem+json");
}

/// Everything that this browser's customer takes along, of the shape that the shop publishes.
pub async fn exported(browser: &mut Browser) -> Value {
    let reply = browser.get("/wallet/me/export").await;
    assert_eq!(reply.status, http::StatusCode::OK, "{}", reply.text());
    let export = reply.json();
    let schema = url::Url::parse(export["$schema"].as_str().unwrap()).unwrap();
    let published = browser.plain(&Method::GET, schema.path(), &[], &[]).await;
    assert_eq!(published.header("content-type"), "application/schema+json");
    let wrong = misfits(&published.json(), &export, "");
    assert!(wrong.is_empty(), "{wrong:?}: {export}");
    export
}

/// Where a value is not what a schema says, for the words of JSON Schema that ours uses.
pub fn misfits(schema: &Value, value: &Value, at: &str) -> Vec<String> {
    let known = [
        "$schema",
        "title",
        "description",
        "type",
        "format",
        "enum",
        "items",
        "properties",
        "required",
        "additionalProperties",
    ];
    let said = schema.as_object().unwrap();
    let mut wrong: Vec<String> = said.keys().filter(|word| !known.contains(&word.as_str())).cloned().collect();
    let types: Vec<&str> = match &schema["type"] {
        Value::Array(types) => types.iter().filter_map(Value::as_str).collect(),
        one => one.as_str().into_iter().collect(),
    };
    let is = match value {
        Value::Null => "null",
        Value::Bool(_) => "boolean",
        Value::Number(_) => "integer",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    };
    if !types.is_empty() && !types.contains(&is) {
        wrong.push(format!("{at} is {is}"));
    }
    if schema["enum"].as_array().is_some_and(|values| !values.contains(value)) {
        wrong.push(format!("{at} is {value}"));
    }
    if schema["format"] == "date-time" && value.as_str().is_some_and(|time| !is_a_time(time)) {
        wrong.push(format!("{at} is no time"));
    }
    for (number, item) in value.as_array().into_iter().flatten().enumerate() {
        wrong.extend(misfits(&schema["items"], item, &format!("{at}/{number}")));
    }
    if let (Some(members), Some(properties)) = (value.as_object(), schema["properties"].as_object()) {
        for (name, member) in members {
            let at = format!("{at}/{name}");
            match (properties.get(name), &schema["additionalProperties"]) {
                (Some(inner), _) => wrong.extend(misfits(inner, member, &at)),
                (None, inner @ Value::Object(_)) => wrong.extend(misfits(inner, member, &at)),
                _ => wrong.push(format!("{at} is not in the schema")),
            }
        }
        let missing = schema["required"].as_array().into_iter().flatten().filter_map(Value::as_str);
        wrong.extend(missing.filter(|name| !members.contains_key(*name)).map(|name| format!("{at}/{name} is missing")));
    }
    wrong
}

/// As `2026-11-22T08:30:00Z`.
fn is_a_time(text: &str) -> bool {
    let shape: String = text.chars().map(|c| if c.is_ascii_digit() { '0' } else { c }).collect();
    shape == "0000-00-00T00:00:00Z"
}
