//! What the layer and the extractors do to a merchant's own pages, and what they leave alone.

use std::{
    convert::Infallible,
    io::Write,
    sync::{Arc, Mutex},
    time::Duration,
};

use axum::{
    Router,
    body::{Body, Bytes},
    extract::Request,
    response::Redirect,
    routing::{get, post},
};
use firsthand::store::Memory;
use firsthand_axum::{
    CustomerLayer, Known, bare_routes, routes,
    testing::{Browser, Reply, TestShop},
};
use http::{HeaderValue, Method, StatusCode};
use http_body_util::{BodyExt, StreamBody};
use serde_json::json;
use tower::ServiceExt;

use crate::setting::{app, browser, refused, send_raw};

const NAVIGATION: [(&str, &str); 1] = [("sec-fetch-mode", "navigate")];

#[tokio::test]
async fn a_page_for_everybody_greets_whom_it_knows() {
    let shop = TestShop::new();
    let mut browser = browser(&shop);
    assert_eq!(browser.plain(&Method::GET, "/", &[], &[]).await.text(), "Hello", "no proof is nobody");
    assert_eq!(browser.get("/").await.text(), "Hello", "a proof without a token is nobody");
    browser.sign_in("adult").await;
    assert_eq!(browser.get("/").await.text(), "Welcome back");
    assert_eq!(browser.plain(&Method::GET, "/", &[], &[]).await.text(), "Hello");
    // What is wrong is not nobody.
    refused(&browser.plain(&Method::GET, "/", &[("dpop", "x")], &[]).await, 401, "invalid_dpop_proof");
    browser.token = Some("A".repeat(43));
    refused(&browser.get("/").await, 401, "invalid_token");
    // Also on a page that asks for nobody: a request that claims something is judged by it.
    refused(&browser.get("/public").await, 401, "invalid_token");
}

#[tokio::test]
async fn a_page_for_customers_turns_programs_away_with_a_problem() {
    let shop = TestShop::new();
    let mut browser = browser(&shop);
    let reply = browser.plain(&Method::GET, "/account", &[], &[]).await;
    refused(&reply, 401, "invalid_dpop_proof");
    assert_eq!(reply.header("www-authenticate"), "DPoP error=\"invalid_dpop_proof\", algs=\"ES256 EdDSA Ed25519\"");
    let problem = reply.json();
    assert_eq!(problem["type"], "urn:firsthand:invalid_dpop_proof");
    assert_eq!(problem["status"], 401);
    assert_eq!(problem["title"], "Unauthorized");
    refused(&browser.get("/account").await, 401, "not_known");
    for mode in ["cors", "same-origin", "no-cors", "Navigate"] {
        let reply = browser.plain(&Method::GET, "/account", &[("sec-fetch-mode", mode)], &[]).await;
        refused(&reply, 401, "invalid_dpop_proof");
    }
}

#[tokio::test]
async fn a_reload_of_a_page_for_customers_brings_the_page_that_signs() {
    let shop = TestShop::new();
    let policy = "default-src 'self'; img-src 'self' https://img.example";
    let layer = CustomerLayer::new(shop.merchant().clone()).content_security_policy(policy).unwrap();
    let app = crate::setting::pages().merge(routes(shop.merchant())).layer(layer);
    let mut browser = Browser::new(&shop, app);
    for (method, lang, words) in
        [(Method::GET, "de-AT,de;q=0.9", "Wird geladen"), (Method::GET, "fr", "Loading"), (Method::HEAD, "fr", "")]
    {
        let headers = [NAVIGATION[0], ("accept-language", lang)];
        let reply = browser.plain(&method, "/account", &headers, &[]).await;
        assert_eq!(reply.status, StatusCode::OK);
        assert_eq!(reply.header("content-type"), "text/html; charset=utf-8");
        assert_eq!(reply.header("content-security-policy"), policy, "the policy of the page that takes its place");
        assert_eq!(reply.header("referrer-policy"), "no-referrer");
        assert_eq!(reply.header("x-content-type-options"), "nosniff");
        private(&reply);
        assert!(reply.text().contains(words), "{}", reply.text());
        assert!(words.is_empty() || reply.text().contains("src=\"/wallet/firsthand.js\""));
    }
    // Without a policy of the merchant's, a strict one.
    let mut browser = crate::setting::browser(&shop);
    let reply = browser.plain(&Method::GET, "/account", &NAVIGATION, &[]).await;
    let policy = reply.header("content-security-policy");
    for part in ["default-src 'none'", "frame-ancestors 'none'", "require-trusted-types-for 'script'"] {
        assert!(policy.contains(part), "{policy}");
    }
    assert!(!policy.contains("unsafe"), "{policy}");
    assert!(CustomerLayer::new(shop.merchant().clone()).content_security_policy("a\nb").is_err());
}

#[tokio::test]
async fn a_form_sent_without_a_proof_does_nothing_and_says_how_to_go_on() {
    let shop = TestShop::new();
    let mut browser = browser(&shop);
    for method in [Method::POST, Method::DELETE] {
        let reply = browser.plain(&method, "/account", &NAVIGATION, b"a=1").await;
        assert_eq!(reply.status, StatusCode::UNAUTHORIZED);
        assert_eq!(reply.header("content-type"), "text/html; charset=utf-8");
        assert!(reply.text().contains("data-firsthand-page=\"post\""));
        assert!(reply.header("www-authenticate").starts_with("DPoP "), "RFC 9110, 15.5.2");
        private(&reply);
    }
}

#[tokio::test]
async fn what_depends_on_who_asks_is_in_no_cache() {
    let shop = TestShop::new();
    let mut browser = browser(&shop);
    private(&browser.plain(&Method::GET, "/", &[], &[]).await);
    private(&browser.plain(&Method::GET, "/account", &[], &[]).await);
    private(&browser.plain(&Method::GET, "/account", &NAVIGATION, &[]).await);
    private(&browser.plain(&Method::POST, "/wine", &[], &[]).await);
    private(&browser.plain(&Method::GET, "/", &[("dpop", "x")], &[]).await);
    private(&browser.plain(&Method::GET, "/wallet/me", &[], &[]).await);
    private(&browser.get("/").await);
    private(&browser.get("/account").await);
    browser.sign_in("adult").await;
    for path in ["/", "/public", "/account", "/wine", "/wallet/me", "/wallet/sessions", "/nowhere"] {
        private(&browser.get(path).await);
    }
    private(&browser.signed(Method::POST, "/order", None).await);
    // What does not, is left alone.
    for path in ["/public", "/nowhere", "/old"] {
        let open = browser.plain(&Method::GET, path, &[], &[]).await;
        for name in ["cache-control", "vary", "dpop-nonce", "date"] {
            assert_eq!(open.header(name), "", "{path} {name}");
        }
    }
}

#[tokio::test]
async fn a_merchants_own_cache_headers_do_not_make_a_customers_page_public() {
    let shop = TestShop::new();
    let cached = || async { ([("cache-control", "public, max-age=3600"), ("vary", "Accept")], "x") };
    let app = Router::new()
        .route("/greeting", get(move |_: Option<Known>| cached()))
        .route("/logo", get(cached))
        .layer(CustomerLayer::new(shop.merchant().clone()));
    let mut browser = Browser::new(&shop, app);
    private(&browser.plain(&Method::GET, "/greeting", &[], &[]).await);
    private(&browser.get("/logo").await);
    let open = browser.plain(&Method::GET, "/logo", &[], &[]).await;
    assert_eq!((open.header("cache-control"), open.header("vary")), ("public, max-age=3600", "Accept"));
}

#[tokio::test]
async fn no_cache_is_told_anything_else() {
    let shop = TestShop::new();
    let words = ["CDN-Cache-Control", "Cloudflare-CDN-Cache-Control", "Surrogate-Control", "Expires", "Age"];
    let page =
        move |_: Option<Known>| async move { (words.map(|name| (name, "max-age=60")), [("etag", "\"1\"")], "x") };
    let app = Router::new().route("/", get(page)).layer(CustomerLayer::new(shop.merchant().clone()));
    let mut browser = Browser::new(&shop, app);
    for reply in [browser.plain(&Method::GET, "/", &[], &[]).await, browser.get("/").await] {
        private(&reply);
        assert!(words.iter().all(|name| !reply.headers.contains_key(*name)), "{reply:?}");
        assert_eq!(reply.header("etag"), "\"1\"");
    }
}

#[tokio::test]
async fn row_130_nobody_makes_no_records() {
    // The same request at two nodes of one store: only what a customer does is written down.
    let store = Memory::new();
    let shop = TestShop::with(|builder| builder.store(store.clone()));
    let other = app(&crate::setting::node(&shop, store));
    let here = app(shop.merchant());
    let mut browser = browser(&shop);
    browser.get("/").await;
    let same = |proof: &str| {
        let request = Request::builder().method(Method::POST).uri("/upload").header("dpop", proof);
        request.body(Body::empty()).unwrap()
    };
    let proof = browser.sign(&browser.claims(&Method::POST, "/upload", None));
    assert_eq!(send_raw(&here, same(&proof)).await.status, StatusCode::OK);
    refused(&send_raw(&here, same(&proof)).await, 401, "invalid_dpop_proof");
    assert_eq!(send_raw(&other, same(&proof)).await.status, StatusCode::OK, "nothing was written");
}

#[tokio::test]
async fn row_130_a_signed_body_does_not_take_for_ever() {
    let shop = TestShop::new();
    let app = app(shop.merchant());
    let mut browser = browser(&shop);
    browser.get("/").await;
    let drip = |method: Method, path: &str, proof: String| {
        let body = StreamBody::new(futures_util::stream::pending::<Result<http_body::Frame<Bytes>, Infallible>>());
        let request = Request::builder().method(method).uri(path).header("dpop", proof);
        request.header("content-type", "application/json").body(Body::new(body)).unwrap()
    };
    for path in ["/echo", "/wallet/presentations", "/wallet/sessions"] {
        let proof = browser.sign(&browser.claims(&Method::POST, path, Some(b"{}")));
        let request = drip(Method::POST, path, proof);
        tokio::time::pause();
        let reply = send_raw(&app, request).await;
        tokio::time::resume();
        refused(&reply, 408, "body_too_slow");
        assert!(!reply.header("dpop-nonce").is_empty(), "{path}");
    }
}

#[tokio::test]
async fn a_proof_for_another_address_is_told_which_one_is_ours() {
    let shop = TestShop::new();
    let mut browser = browser(&shop);
    browser.get("/").await;
    for path in ["/account", "/wallet/me"] {
        let mut claims = browser.claims(&Method::GET, path, None);
        claims.insert("htu".into(), json!(format!("https://www.shop.example{path}")));
        let reply = crate::setting::send_claims(&mut browser, &Method::GET, path, &claims).await;
        refused(&reply, 401, "invalid_dpop_proof");
        let said = "open the shop at https://shop.example";
        let expected = format!("the proof is for another address than https://shop.example{path}: {said}");
        assert_eq!(reply.json()["detail"], expected);
    }
}

#[tokio::test]
async fn redirects_of_signed_requests_are_told_to_the_script() {
    let shop = TestShop::new();
    let app = Router::new()
        .route("/303", get(async || Redirect::to("/there?a=1")))
        .route("/307", get(async || Redirect::temporary("https://elsewhere.example/")))
        .route("/308", get(async || Redirect::permanent("/there")))
        .route("/304", get(async || StatusCode::NOT_MODIFIED))
        .route("/201", get(async || (StatusCode::CREATED, [("location", "/made")])))
        .layer(CustomerLayer::new(shop.merchant().clone()));
    let mut browser = Browser::new(&shop, app);
    for (path, to) in [("/303", "/there?a=1"), ("/307", "https://elsewhere.example/"), ("/308", "/there")] {
        let open = browser.plain(&Method::GET, path, &[], &[]).await;
        assert_eq!((open.status.as_str(), open.header("location")), (&path[1..], to), "unsigned: untouched");
        assert_eq!(open.header("firsthand-location"), "");
        let signed = browser.get(path).await;
        assert_eq!((signed.status, signed.header("firsthand-location")), (StatusCode::NO_CONTENT, to));
        assert_eq!(signed.header("location"), "");
        assert!(signed.body.is_empty());
        private(&signed);
    }
    assert_eq!(browser.get("/304").await.status, StatusCode::NOT_MODIFIED);
    let made = browser.get("/201").await;
    assert_eq!((made.status, made.header("location")), (StatusCode::CREATED, "/made"));
}

#[tokio::test]
async fn row_130_a_signed_body_is_bounded() {
    let shop = TestShop::new();
    let layer = CustomerLayer::new(shop.merchant().clone()).body_bytes_max(16);
    let app = crate::setting::pages().merge(routes(shop.merchant())).layer(layer);
    let mut browser = Browser::new(&shop, app);
    assert_eq!(browser.post_form("/echo", &"a".repeat(16)).await.text(), "a".repeat(16));
    let reply = browser.post_form("/echo", &"a".repeat(17)).await;
    refused(&reply, 413, "body_too_large");
    assert!(!reply.header("dpop-nonce").is_empty());
    private(&reply);
    // Unsigned bodies are the merchant's own affair.
    let open = browser.plain(&Method::POST, "/upload", &[], &[b'a'; 100]).await;
    assert_eq!(open.body.len(), 100);
    // One MiB unless the merchant says otherwise.
    let mut browser = crate::setting::browser(&shop);
    let most = "a".repeat(1024 * 1024);
    assert_eq!(browser.post_form("/echo", &most).await.status, StatusCode::OK);
    refused(&browser.post_form("/echo", &format!("{most}a")).await, 413, "body_too_large");
}

#[tokio::test]
async fn row_130_a_signed_body_that_breaks_off_is_refused() {
    let shop = TestShop::new();
    let app = app(shop.merchant());
    let mut browser = browser(&shop);
    browser.get("/").await;
    let pieces: [Result<_, std::io::Error>; 2] =
        [Ok(http_body::Frame::data(Bytes::from_static(b"half"))), Err(std::io::ErrorKind::ConnectionReset.into())];
    let body = Body::new(StreamBody::new(futures_util::stream::iter(pieces)));
    let proof = browser.sign(&browser.claims(&Method::POST, "/echo", Some(b"half")));
    let mut request = Request::new(body);
    *request.method_mut() = Method::POST;
    *request.uri_mut() = "/echo".parse().unwrap();
    request.headers_mut().insert("dpop", HeaderValue::try_from(proof).unwrap());
    refused(&send_raw(&app, request).await, 400, "body_broken");
}

#[tokio::test]
async fn an_unsigned_body_streams() {
    let shop = TestShop::new();
    let first = async |request: Request| {
        let mut body = request.into_body();
        let frame = body.frame().await.unwrap().unwrap();
        frame.into_data().unwrap()
    };
    let app = Router::new().route("/first", post(first)).layer(CustomerLayer::new(shop.merchant().clone()));
    // One piece, and then nothing for ever: whoever waits for the whole never answers.
    let piece = futures_util::stream::once(async { Ok::<_, Infallible>(http_body::Frame::data(Bytes::from("first"))) });
    let body = StreamBody::new(futures_util::StreamExt::chain(piece, futures_util::stream::pending()));
    let mut request = Request::new(Body::new(body));
    *request.method_mut() = Method::POST;
    *request.uri_mut() = "/first".parse().unwrap();
    let reply =
        tokio::time::timeout(Duration::from_secs(20), send_raw(&app, request)).await.expect("an answer at once");
    assert_eq!(reply.text(), "first");
}

#[tokio::test]
async fn a_shop_below_a_path_has_its_wallet_there_too() {
    let shop = TestShop::with(|builder| builder.store(Memory::new()).mount("/shop/wallet"));
    let inner = crate::setting::pages().nest("/wallet", bare_routes(shop.merchant()));
    let layer = || CustomerLayer::new(shop.merchant().clone());
    // The layer may stand outside of the nest or inside.
    let outside = Router::new().nest("/shop", inner.clone()).layer(layer());
    let inside = Router::new().nest("/shop", inner.layer(layer()));
    let all_in_one = Router::new().nest("/shop", crate::setting::pages()).merge(routes(shop.merchant())).layer(layer());
    for app in [outside, inside, all_in_one] {
        let mut browser = Browser::new(&shop, app);
        assert_eq!(browser.get("/shop").await.text(), "Hello");
        browser.sign_in("adult").await;
        assert_eq!(browser.get("/shop").await.text(), "Welcome back");
        assert_eq!(browser.get("/shop/wallet/me").await.status, StatusCode::OK);
        assert_eq!(browser.post_form("/shop/echo", "a=1").await.text(), "a=1");
        let shell = browser.plain(&Method::GET, "/shop/account", &NAVIGATION, &[]).await;
        assert!(shell.text().contains("src=\"/shop/wallet/firsthand.js\""), "{}", shell.text());
        // The proof is for the whole address.
        let inner_path = browser.claims(&Method::GET, "/", None);
        let reply = crate::setting::send_claims(&mut browser, &Method::GET, "/shop", &inner_path).await;
        refused(&reply, 401, "invalid_dpop_proof");
        assert_eq!(browser.delete("/shop/wallet/sessions/current").await.status, StatusCode::NO_CONTENT);
    }
}

#[tokio::test]
async fn a_forgotten_layer_is_told_to_the_log_and_to_whoever_builds_the_shop() {
    let shop = TestShop::new();
    let lines = Arc::new(Mutex::new(Vec::new()));
    let log = Log(lines.clone());
    let subscriber = tracing_subscriber::fmt().with_ansi(false).with_writer(move || log.clone()).finish();
    let _listening = tracing::subscriber::set_default(subscriber);
    let app = crate::setting::pages().merge(routes(shop.merchant()));
    let mut browser = Browser::new(&shop, app);
    for (method, path) in [(Method::GET, "/"), (Method::GET, "/account"), (Method::POST, "/wine")] {
        let reply = browser.plain(&method, path, &[], &[]).await;
        refused(&reply, 500, "misuse");
        // A build for production says nothing of it to strangers.
        assert_eq!(reply.text().contains("CustomerLayer"), cfg!(debug_assertions), "{}", reply.text());
    }
    // Listeners are registered for the whole process, and another test that begins to listen may keep a line from this one.
    for _ in 0..3 {
        if lines.lock().unwrap().is_empty() {
            refused(&browser.plain(&Method::GET, "/", &[], &[]).await, 500, "misuse");
        }
    }
    let told = String::from_utf8(lines.lock().unwrap().clone()).unwrap();
    assert!(told.contains("wrap the router in .layer(CustomerLayer::new(merchant))"), "{told}");
    // Pages that ask for nobody, and our own routes, go on.
    assert_eq!(browser.plain(&Method::GET, "/public", &[], &[]).await.text(), "open");
    let ask = json!({ "ask": "age", "flow": "same_device" });
    assert_eq!(browser.post_json("/wallet/presentations", &ask).await.status, StatusCode::CREATED);
}

#[tokio::test]
async fn no_answer_sets_a_cookie() {
    // `setting::app` looks at every answer of every test; this one walks by every page.
    let shop = TestShop::new();
    let mut browser = browser(&shop);
    for _ in 0..2 {
        for path in [
            "/",
            "/public",
            "/account",
            "/wine",
            "/order",
            "/old",
            "/nowhere",
            "/wallet/me",
            "/wallet/sessions",
            "/wallet/firsthand.js",
            "/wallet/page.css",
            "/wallet/return/x",
            "/wallet/requests/x",
        ] {
            for method in [Method::GET, Method::POST, Method::HEAD, Method::OPTIONS, Method::PUT] {
                for reply in [
                    browser.plain(&method, path, &NAVIGATION, &[]).await,
                    browser.plain(&method, path, &[("cookie", "a=b")], &[]).await,
                    browser.signed(method.clone(), path, None).await,
                ] {
                    assert!(!reply.headers.contains_key("set-cookie"), "{method} {path}");
                }
            }
        }
        browser.sign_in("adult").await;
    }
}

#[tokio::test]
async fn a_layer_is_ready_when_what_it_wraps_is() {
    // Tower's contract: `poll_ready` of the very service that is called. A service that is not ready panics.
    let shop = TestShop::new();
    let service = CustomerLayer::new(shop.merchant().clone());
    let limited = tower::ServiceBuilder::new().layer(service).service(Picky { ready: false });
    let reply = limited.oneshot(Request::new(Body::empty())).await.unwrap();
    assert_eq!(reply.status(), StatusCode::OK);
}

struct Picky {
    ready: bool,
}

impl Clone for Picky {
    fn clone(&self) -> Self {
        Self { ready: false }
    }
}

impl tower::Service<Request> for Picky {
    type Response = StatusCode;
    type Error = Infallible;
    type Future = std::future::Ready<Result<StatusCode, Infallible>>;

    fn poll_ready(&mut self, _: &mut std::task::Context<'_>) -> std::task::Poll<Result<(), Infallible>> {
        self.ready = true;
        std::task::Poll::Ready(Ok(()))
    }

    fn call(&mut self, _: Request) -> Self::Future {
        assert!(self.ready, "called without being asked whether it is ready");
        std::future::ready(Ok(StatusCode::OK))
    }
}

/// In no shared cache, and in no other.
#[track_caller]
fn private(reply: &Reply) {
    assert_eq!(reply.header("cache-control"), "private, no-store", "{reply:?}");
    let vary: Vec<&str> = reply.headers.get_all("vary").iter().map(|value| value.to_str().unwrap()).collect();
    let said = vary.iter().filter(|value| **value == "Authorization, DPoP").count();
    assert_eq!(said, 1, "{reply:?}");
}

#[derive(Clone)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl Write for Log {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}
