//! What whoever runs the shop sees: names of requests, metrics, health and readiness, how it closes; and that none of it
//! tells anything about anybody.

use std::{
    collections::BTreeSet,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use axum::{Router, body::Body, extract::ConnectInfo, extract::Request, routing::get};
use firsthand::{
    Device, Keys, Merchant, TrustList,
    ask::PID,
    fetch::{Fetch, FetchError, FetchRequest, Fetched},
    merchant::{
        Check, Ready,
        doctor::{Part, Severity},
    },
    store::{Key, Memory, Prefix, Store, StoreError, Stored, Version, Write},
    testing::authority::{Authority, certificate_pem},
    time::UnixTime,
};
use firsthand_axum::{
    CustomerLayer, Operations, OperatorKey, Operators, Problem, RequestIds, merchant_pages, routes,
    testing::{Browser, Reply, TestShop},
};
use http::{HeaderName, Method, StatusCode};
use serde_json::Value;

use crate::{
    privacy::Capture,
    setting::{app, led_to, node_with, pages, refused, rotated_keys, send_raw, shop_and_store},
};

/// A shop, its router as customers see it, and the pages of whoever runs it.
struct Run {
    shop: TestShop,
    app: Router,
    operations: Operations,
}

impl Run {
    fn new() -> Self {
        Self::over(Memory::new())
    }

    fn over(store: impl Store) -> Self {
        Self::with(TestShop::with(|shop| shop.store(store)), RequestIds::Own)
    }

    fn with(shop: TestShop, ids: RequestIds) -> Self {
        let layer = CustomerLayer::new(shop.merchant().clone()).request_ids(ids);
        let operations = layer.operations();
        let desk = merchant_pages(shop.merchant(), Operators::new().key("anna", OperatorKey::random().digest()));
        let app = pages()
            .route("/fails", get(async || Err::<(), _>(Problem::from(firsthand::Error::Misuse("on purpose".into())))))
            .merge(routes(shop.merchant()))
            .nest_service("/merchant", desk)
            .layer(layer);
        Self { shop, app, operations }
    }

    fn browser(&self) -> Browser {
        Browser::new(&self.shop, self.app.clone())
    }

    async fn look(&self, path: &str) -> Reply {
        look(&self.operations, path).await
    }
}

async fn look(operations: &Operations, path: &str) -> Reply {
    send_raw(&operations.router(), Request::get(path).body(Body::empty()).unwrap()).await
}

fn is_ours(id: &str) -> bool {
    id.len() == 32 && id.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'))
}

/// A sample of the metrics; 0 if it is not there.
fn sample(text: &str, name: &str) -> u64 {
    let line = text.lines().find_map(|line| line.strip_prefix(name).and_then(|rest| rest.strip_prefix(' ')));
    line.map_or(0, |value| value.parse().unwrap())
}

// --- names of requests

#[tokio::test(flavor = "current_thread")]
async fn a_problem_an_answer_and_the_log_give_a_request_the_same_name() {
    let capture = Capture::everything();
    let _guard = capture.hears();
    let run = Run::new();
    let mut browser = run.browser();
    browser.sign_in("adult").await;
    let mut names = BTreeSet::new();
    for (path, status) in [
        ("/wallet/presentations/x", 404),
        ("/wallet/nothing", 404),
        ("/fails", 500),
        ("/account", 200),
        ("/wallet/me", 200),
    ] {
        let reply = browser.get(path).await;
        assert_eq!(reply.status.as_u16(), status, "{path}");
        let id = reply.header("x-request-id");
        assert!(is_ours(id), "{path}: {id:?}");
        assert!(names.insert(id.to_owned()), "{path}");
        assert!(capture.text().contains(&format!("request_id=\"{id}\"")), "{path}");
        if reply.header("content-type") == "application/problem+json" {
            assert_eq!(reply.json()["request_id"], id, "{path}");
            assert_eq!(reply.json()["code"], reply.code(), "{path}");
        }
    }
    // A merchant's page in a router of its own, a gate, and a body that is no JSON.
    for reply in [
        browser.plain(&Method::GET, "/merchant/api/orders", &[], b"").await,
        browser.plain(&Method::GET, "/account", &[], b"").await,
        browser.plain(&Method::POST, "/wallet/presentations", &[], b"{").await,
    ] {
        assert_eq!(reply.header("content-type"), "application/problem+json", "{}", reply.text());
        assert_eq!(reply.json()["request_id"], reply.header("x-request-id"));
        let length = reply.header("content-length");
        assert!(length.is_empty() || length == reply.body.len().to_string(), "{length}");
    }
    assert!(capture.text().contains("code=\"misuse\"") && capture.text().contains("route=\"/fails\""));
}

#[tokio::test]
async fn routes_without_the_layer_have_names_for_their_requests_too() {
    let shop = TestShop::new();
    let desk = merchant_pages(shop.merchant(), Operators::new().key("anna", OperatorKey::random().digest()));
    let app: Router = routes(shop.merchant()).nest_service("/merchant", desk);
    for path in ["/merchant/api/orders", "/wallet/me"] {
        let reply = send_raw(&app, Request::get(path).body(Body::empty()).unwrap()).await;
        assert_eq!(reply.status, StatusCode::UNAUTHORIZED);
        assert_eq!(reply.json()["request_id"], reply.header("x-request-id"), "{path}");
        assert!(is_ours(reply.header("x-request-id")), "{path}");
    }
}

#[tokio::test]
async fn a_strangers_name_for_a_request_is_not_taken() {
    let given = "0af7651916cd43dd8448eb211c80319c-proxy";
    let proxy = RequestIds::Header {
        name: HeaderName::from_static("x-request-id"),
        trusted_proxies: vec!["10.0.0.1".parse().unwrap()],
    };
    let seen = async |ids: RequestIds, peer: &str, given: &str| {
        let run = Run::with(TestShop::new(), ids);
        let mut request = Request::get("/account").header("x-request-id", given).body(Body::empty()).unwrap();
        request.extensions_mut().insert(ConnectInfo(std::net::SocketAddr::new(peer.parse().unwrap(), 9)));
        let reply = send_raw(&run.app, request).await;
        assert_eq!(reply.json()["request_id"], reply.header("x-request-id"));
        reply.header("x-request-id").to_owned()
    };
    assert_eq!(seen(proxy.clone(), "10.0.0.1", given).await, given);
    for (ids, peer, given) in [
        (RequestIds::Own, "10.0.0.1", given),
        (proxy.clone(), "203.0.113.9", given),
        (proxy.clone(), "10.0.0.1", "<script>alert(1)</script>"),
        (proxy.clone(), "10.0.0.1", &"a".repeat(65)),
    ] {
        assert!(is_ours(&seen(ids, peer, given).await), "{peer} {given}");
    }
}

// --- metrics

#[tokio::test]
async fn what_is_served_is_counted_by_route_method_and_code() {
    let run = Run::new();
    let mut browser = run.browser();
    browser.sign_in("adult").await;
    let asking = browser.ask("age", Device::CrossDevice).await;
    browser.get(&format!("/wallet/presentations/{}", asking.id)).await;
    browser.plain(&Method::GET, "/account", &[], b"").await;
    browser.plain(&Method::GET, "/nobody/was/here", &[], b"").await;
    browser.plain(&Method::from_bytes(b"BREW").unwrap(), "/account", &[], b"").await;
    browser.plain(&Method::GET, "/merchant/api/orders", &[], b"").await;
    browser.get("/fails").await;
    let reply = run.look("/metrics").await;
    assert_eq!(reply.header("content-type"), "text/plain; version=0.0.4; charset=utf-8");
    assert_eq!(reply.header("cache-control"), "no-store");
    let text = reply.text();
    for (name, least) in [
        (r#"firsthand_http_requests_total{route="/wallet/presentations",method="post",status="2xx"}"#, 2),
        (r#"firsthand_http_requests_total{route="/wallet/presentations/{id}",method="get",status="2xx"}"#, 1),
        (r#"firsthand_http_requests_total{route="/wallet/responses/{id}",method="post",status="2xx"}"#, 1),
        (r#"firsthand_http_requests_total{route="/account",method="get",status="4xx"}"#, 1),
        (r#"firsthand_http_requests_total{route="/account",method="other",status="4xx"}"#, 1),
        (r#"firsthand_http_requests_total{route="/fails",method="get",status="5xx"}"#, 1),
        (r#"firsthand_http_requests_total{route="none",method="get",status="4xx"}"#, 1),
        (r#"firsthand_http_requests_total{route="/merchant/api/orders",method="get",status="4xx"}"#, 1),
        (r#"firsthand_http_request_seconds_count{route="/fails",method="get"}"#, 1),
        (r#"firsthand_problems_total{code="misuse"}"#, 1),
        (r#"firsthand_store_calls_total{call="load",outcome="done"}"#, 5),
        (r#"firsthand_store_calls_total{call="commit",outcome="done"}"#, 4),
        (r#"firsthand_store_call_seconds_count{call="commit"}"#, 4),
    ] {
        assert!(sample(&text, name) >= least, "{name} in\n{text}");
    }
    assert_eq!(sample(&text, "firsthand_http_requests_under_way"), 0, "{text}");
    assert!(!text.contains(&asking.id) && !text.contains("nobody/was") && !text.contains("BREW"), "{text}");
    well_formed(&text);

    // Customers never see it.
    for path in ["/metrics", "/health", "/ready"] {
        assert_eq!(browser.get(path).await.status, StatusCode::NOT_FOUND, "{path}");
    }
}

/// Each metric is told once, before its samples, and each sample has a number.
fn well_formed(text: &str) {
    let (mut told, mut samples) = (BTreeSet::new(), BTreeSet::new());
    for line in text.lines() {
        if let Some(rest) = line.strip_prefix("# TYPE ") {
            let (name, kind) = rest.split_once(' ').unwrap();
            let ending = match kind {
                "counter" => name.ends_with("_total"),
                "histogram" => name.ends_with("_seconds"),
                _ => !name.ends_with("_total"),
            };
            assert!(ending, "{line}");
            assert!(told.insert(rest.split(' ').next().unwrap().to_owned()), "{line} twice");
            continue;
        }
        if line.starts_with("# HELP ") {
            continue;
        }
        let (series, value) = line.rsplit_once(' ').unwrap();
        assert!(value.parse::<f64>().is_ok(), "{line}");
        assert!(samples.insert(series.to_owned()), "{line} twice");
        let name = series.split('{').next().unwrap();
        let of_histogram = ["_bucket", "_sum", "_count"].iter().filter_map(|end| name.strip_suffix(end));
        assert!([name].into_iter().chain(of_histogram).any(|name| told.contains(name)), "{line} is not told");
    }
    assert!(told.len() > 8, "{told:?}");
}

#[tokio::test(start_paused = true)]
async fn an_answer_that_nobody_waits_for_counts_as_well() {
    let run = Run::new();
    let mut browser = run.browser();
    browser.sign_in("adult").await;
    let asking = browser.ask("age", Device::CrossDevice).await;
    let never = Router::new().route("/never", get(std::future::pending::<()>));
    let layer = CustomerLayer::new(run.shop.merchant().clone());
    let operations = layer.operations();
    let app = never.layer(layer);
    let request = Request::get("/never").body(Body::empty()).unwrap();
    let waited = tokio::time::timeout(Duration::from_secs(1), send_raw(&app, request)).await;
    assert!(waited.is_err());
    let text = operations.metrics();
    assert_eq!(
        sample(&text, r#"firsthand_http_requests_total{route="/never",method="get",status="dropped"}"#),
        1,
        "{text}"
    );
    drop(asking);
}

// --- health and readiness

/// A store that can be told to be silent.
#[derive(Clone, Debug, Default)]
struct Silent {
    store: Memory,
    silent: Arc<AtomicBool>,
}

impl Silent {
    async fn wait(&self) {
        if self.silent.load(Ordering::SeqCst) {
            std::future::pending::<()>().await;
        }
    }
}

impl Store for Silent {
    async fn load(&self, keys: &[Key], now: UnixTime) -> Result<Vec<Option<Stored>>, StoreError> {
        self.wait().await;
        self.store.load(keys, now).await
    }

    async fn commit(&self, writes: &[Write], now: UnixTime) -> Result<Vec<Option<Version>>, StoreError> {
        self.wait().await;
        self.store.commit(writes, now).await
    }

    async fn scan(
        &self,
        prefix: &Prefix,
        after: Option<&str>,
        limit: usize,
        now: UnixTime,
    ) -> Result<Vec<(Key, Stored)>, StoreError> {
        self.wait().await;
        self.store.scan(prefix, after, limit, now).await
    }

    async fn sweep(&self, now: UnixTime, limit: usize) -> Result<usize, StoreError> {
        self.wait().await;
        self.store.sweep(now, limit).await
    }
}

fn check(reply: &Reply, status: u16, part: &str, ready: &str) {
    assert_eq!(reply.status.as_u16(), status, "{}", reply.text());
    assert_eq!(reply.json()["checks"][part], ready, "{}", reply.text());
    assert_eq!(reply.json()["ready"], status == 200, "{}", reply.text());
}

#[tokio::test(start_paused = true)]
async fn a_node_whose_store_is_silent_lives_and_is_not_ready() {
    let store = Silent::default();
    let run = Run::over(store.clone());
    // Housekeeping may be another node's.
    check(&run.look("/ready").await, 200, "housekeeping", "yes");
    let housekeeping = tokio::spawn(run.shop.merchant().clone().housekeeping());
    tokio::time::sleep(Duration::from_secs(1)).await;
    check(&run.look("/ready").await, 200, "housekeeping", "yes");
    check(&run.look("/ready").await, 200, "store", "yes");

    store.silent.store(true, Ordering::SeqCst);
    let began = tokio::time::Instant::now();
    check(&run.look("/ready").await, 503, "store", "no");
    assert_eq!(began.elapsed().as_secs(), 2, "a load balancer does not wait for ever");
    assert_eq!(run.look("/health").await.status, StatusCode::OK);
    let text = run.operations.metrics();
    assert!(sample(&text, r#"firsthand_store_calls_total{call="load",outcome="unanswered"}"#) >= 1, "{text}");
    assert_eq!(sample(&text, r#"firsthand_store_calls_total{call="load",outcome="dropped"}"#), 0, "nobody has left");

    store.silent.store(false, Ordering::SeqCst);
    check(&run.look("/ready").await, 200, "store", "yes");
    // Where it was begun and stands still, somebody should look, and customers come all the same.
    housekeeping.abort();
    run.shop.advance_s(11 * 60);
    check(&run.look("/ready").await, 200, "housekeeping", "poorly");
}

#[tokio::test]
async fn a_list_of_issuers_that_was_never_asked_for_keeps_customers_away_and_an_outage_does_not() {
    let shop = TestShop::new();
    let authority = Authority::new("List signer", shop.merchant().now());
    let url = "https://lists.example/pid".parse().unwrap();
    let list = TrustList::lote(url, &certificate_pem(authority.root_der())).unwrap();
    let list = list.types(TrustList::PID_ISSUANCE, &[PID]).operator("Commission", "EU");
    let shop = shop.bare(|builder| builder.store(Memory::new()).ask(&TestShop::age()).trust_list(list));
    let run = Run::with(shop, RequestIds::Own);
    check(&run.look("/ready").await, 503, "trust_lists", "no");
    run.shop.merchant().refresh_trust_lists().await;
    check(&run.look("/ready").await, 200, "trust_lists", "poorly");
    let strict = run.operations.clone().needs_trust_lists();
    check(&look(&strict, "/ready").await, 503, "trust_lists", "poorly");
    let text = run.operations.metrics();
    let until = "firsthand_trust_list_believed_until_timestamp_seconds{list=\"https://lists.example/pid\"}";
    assert!(text.contains(&format!("{until} 0\n")), "{text}");
}

// --- closing

#[tokio::test(start_paused = true)]
async fn a_shop_that_closes_ends_its_work_and_its_streams_and_answers_what_came() {
    let run = Run::new();
    let merchant: &Merchant = run.shop.merchant();
    let mut browser = run.browser();
    browser.sign_in("adult").await;
    let housekeeping = tokio::spawn(merchant.clone().housekeeping());
    let mut tab = browser.clone();
    let began = tokio::time::Instant::now();
    let (events, ()) = tokio::join!(tab.get("/wallet/events"), async {
        tokio::time::sleep(Duration::from_secs(7)).await;
        merchant.close();
    });
    assert_eq!((events.status, events.text().as_str()), (StatusCode::OK, ":\n\n"), "the page opens the next one");
    assert_eq!(began.elapsed().as_secs(), 7);
    housekeeping.await.unwrap();
    assert_eq!(began.elapsed().as_secs(), 7, "no pause is slept out");

    assert_eq!(merchant.readiness().await.of(Check::Open), Some(Ready::No));
    check(&run.look("/ready").await, 503, "open", "no");
    assert_eq!(browser.get("/account").await.status, StatusCode::OK, "whoever is here is served");
    // Nothing begins after that.
    tokio::time::timeout(Duration::from_secs(1), merchant.clone().housekeeping()).await.unwrap();
    merchant.closing().closed().await;
}

// --- the doctor

/// The way from the public to the shop: what stands there bends what goes through.
#[derive(Clone, Default)]
struct Way {
    shop: Arc<Mutex<Option<Router>>>,
    bend: Arc<Mutex<Bend>>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq)]
enum Bend {
    #[default]
    Nothing,
    /// The header of the proof is not let through.
    DropsDpop,
    /// Answers go into a cache.
    Caches,
    /// Only the mount path leads to the shop.
    LeavesOutWellKnown,
    /// The clock there is a minute ahead.
    ClockAhead,
    /// It says what a careful one says.
    SaysHsts,
    /// The name leads into the shop's own network.
    Private,
    Offline,
}

impl std::fmt::Debug for Way {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Way")
    }
}

impl Way {
    fn bend(&self, bend: Bend) {
        *self.bend.lock().unwrap() = bend;
    }
}

impl Fetch for Way {
    async fn fetch(&self, request: &FetchRequest) -> Result<Fetched, FetchError> {
        let bend = *self.bend.lock().unwrap();
        match bend {
            Bend::Private => return Err(FetchError::Refused { reason: "not a public address" }),
            Bend::Offline => return Err(FetchError::Failed("nobody listens".into())),
            Bend::LeavesOutWellKnown if request.url.path().starts_with("/.well-known") => {
                return Err(FetchError::Status(404));
            }
            _ => {}
        }
        let path = &request.url[url::Position::BeforePath..];
        let mut sent = match &request.post {
            None => Request::get(path).body(Body::empty()).unwrap(),
            Some(post) => {
                let sent = Request::post(path).header("content-type", post.content_type);
                let sent = post.headers.iter().fold(sent, |sent, (name, value)| sent.header(*name, value));
                sent.body(Body::from(post.body.clone())).unwrap()
            }
        };
        sent.headers_mut().insert("accept", request.accept.parse().unwrap());
        if bend == Bend::DropsDpop {
            sent.headers_mut().remove("dpop");
        }
        let app = self.shop.lock().unwrap().clone().expect("a shop");
        let mut reply = send_raw(&app, sent).await;
        if !reply.status.is_success() {
            return Err(FetchError::Status(reply.status.as_u16()));
        }
        assert!(reply.body.len() <= request.body_bytes_max);
        match bend {
            Bend::Caches => drop(reply.headers.insert("cache-control", "public, max-age=60".parse().unwrap())),
            Bend::SaysHsts => {
                reply.headers.insert("strict-transport-security", "max-age=31536000".parse().unwrap());
            }
            _ => {}
        }
        // What every server adds; the test's clock stands at this time.
        let ahead =
            if bend == Bend::ClockAhead { "Sun, 22 Nov 2026 12:01:00 GMT" } else { "Sun, 22 Nov 2026 12:00:00 GMT" };
        reply.headers.insert("date", ahead.parse().unwrap());
        let content_type = Some(reply.header("content-type").to_owned());
        Ok(Fetched { content_type, body: reply.body.clone(), max_age_s: None, headers: reply.headers })
    }
}

/// What was found that is not good.
async fn found(merchant: &Merchant) -> Vec<(Part, Severity)> {
    let findings = merchant.doctor().await;
    for finding in &findings {
        assert!(!finding.what.is_empty() && !finding.what.contains('\n'), "{finding}");
        assert!(
            finding.severity < Severity::Soon || !finding.advice.is_empty(),
            "{finding} says nothing of what to do"
        );
    }
    findings.iter().filter(|f| f.severity != Severity::Good).map(|f| (f.part, f.severity)).collect()
}

#[tokio::test(start_paused = true)]
async fn the_doctor_finds_each_thing_that_is_wrong_and_nothing_else() {
    let way = Way::default();
    let shop = TestShop::new();
    assert_eq!(shop.merchant().now().to_string(), "2026-11-22T12:00:00Z");
    let shop = shop.bare(|builder| builder.store(Memory::new()).fetch(way.clone()).ask(&TestShop::age()));
    let run = Run::with(shop, RequestIds::Own);
    let merchant = run.shop.merchant();
    *way.shop.lock().unwrap() = Some(run.app.clone());

    // The pages of the test shop have no policy, the one in front says nothing of plain http, and nobody keeps house.
    let usual = [(Part::Tls, Severity::Soon), (Part::ContentSecurityPolicy, Severity::Soon)];
    let with = |more: &[(Part, Severity)]| [more, &usual[..]].concat();
    assert_eq!(found(merchant).await, with(&[(Part::Housekeeping, Severity::Unseen)]));
    let housekeeping = tokio::spawn(merchant.clone().housekeeping());
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert_eq!(found(merchant).await, usual);

    for (bend, expected) in [
        (Bend::SaysHsts, vec![usual[1]]),
        (Bend::DropsDpop, vec![usual[0], (Part::Proxy, Severity::Wrong), usual[1]]),
        (Bend::Caches, vec![usual[0], (Part::Proxy, Severity::Wrong), usual[1]]),
        (Bend::ClockAhead, vec![usual[0], (Part::Clock, Severity::Wrong), usual[1]]),
        (Bend::LeavesOutWellKnown, vec![(Part::Proxy, Severity::Wrong)]),
        (Bend::Private, vec![(Part::Origin, Severity::Unseen)]),
        (Bend::Offline, vec![(Part::Tls, Severity::Wrong)]),
    ] {
        way.bend(bend);
        assert_eq!(found(merchant).await, expected, "{bend:?}");
    }

    // Another program answers: the same shop with other keys.
    way.bend(Bend::SaysHsts);
    let other = node_with(&run.shop, Memory::new(), rotated_keys(&run.shop)[0].clone());
    *way.shop.lock().unwrap() = Some(app(&other));
    assert_eq!(found(merchant).await, [(Part::Origin, Severity::Wrong)]);
    let page = run.look("/doctor").await.json();
    let wrong = page.as_array().unwrap().iter().find(|finding| finding["severity"] == "wrong").unwrap();
    assert_eq!(wrong["part"], "origin");
    assert!(wrong["advice"].as_str().unwrap().contains("same keys file"), "{wrong}");
    housekeeping.abort();
}

// --- keys

/// Two nodes while the keys change: each lets in whom the other one let in, at every step.
#[tokio::test]
async fn keys_change_on_two_nodes_one_after_the_other_and_nobody_notices() {
    let (shop, store) = shop_and_store();
    let mut file = shop.keys_file().clone();
    let before = Keys::from_pem(&file.to_pem()).unwrap();
    file.prepare_root_secret([9; 32]).unwrap();
    let between = Keys::from_pem(&file.to_pem()).unwrap();
    assert!(file.take_next_root_secret().unwrap());
    let after = Keys::from_pem(&file.to_pem()).unwrap();
    for (here, there) in [(&before, &between), (&between, &before), (&between, &after), (&after, &between)] {
        let [here, there] = [here, there].map(|keys| node_with(&shop, store.clone(), keys.clone()));
        // Asked here and answered there, redeemed here; then a visit there with the nonce that was given here.
        let mut browser = led_to(&Browser::new(&shop, app(&here)).another(), &here);
        let asking = browser.ask("address", Device::CrossDevice).await;
        let mut wallet = led_to(&browser, &there);
        let request = wallet.wallet_reads(&asking).await;
        assert_eq!(wallet.wallet_answers(&request, "adult", &[]).await.status, StatusCode::OK);
        assert_eq!(browser.redeem(&serde_json::json!({ "presentation": asking.id })).await.status, StatusCode::OK);
        let mut visit = led_to(&browser, &there);
        let reply = visit.signed_once(&Method::GET, "/name", None).await;
        assert_eq!((reply.status, reply.text()), (StatusCode::OK, browser.get("/name").await.text()));
        assert_ne!(reply.text(), "nobody", "what was sealed there is read here");
    }
}

// --- the library's own promise: what is asked of a problem still holds

#[tokio::test]
async fn a_problem_says_what_it_said_and_its_name_beside_it() {
    let run = Run::new();
    let mut browser = run.browser();
    let reply = browser.get("/account").await;
    refused(&reply, 401, "not_known");
    let mut problem = reply.json();
    let members = problem.as_object_mut().unwrap();
    assert!(members.remove("request_id").is_some_and(|id| id.as_str().is_some_and(is_ours)));
    let mut names: Vec<&str> = members.keys().map(String::as_str).collect();
    names.sort_unstable();
    assert_eq!(names, ["code", "detail", "status", "title", "type"]);
    assert_eq!(members["title"], Value::from("Unauthorized"));
}
