//! What one node begins another goes on with, and what ended at one has ended at all.

use std::{
    net::SocketAddr,
    time::{Duration, Instant},
};

use axum::body::Body;
use firsthand::{Device, env::Env};
use firsthand_axum::testing::{Browser, TestShop, response_code};
use firsthand_tests::postgres::{cluster, left_out};
use http::{Method, Request, StatusCode, header};
use http_body_util::BodyExt;
use hyper_util::client::legacy::ResponseFuture;
use serde_json::json;
use sqlx::{Connection, PgConnection};

use crate::{
    setting::{customer, refused, send_claims, sessions},
    street::{Node, at, client, led_to, read, to},
};

/// How long after another node did something a stream here may tell of it: it looks every second (of a presentation) or
/// every five (of a session), and a busy machine is late.
const LATE: Duration = Duration::from_millis(1_500);

async fn nodes<const N: usize>(shop: &TestShop, url: &str) -> [Node; N] {
    let mut nodes = Vec::new();
    for _ in 0..N {
        nodes.push(Node::open(shop, url).await);
    }
    nodes.try_into().ok().unwrap()
}

/// A stream of events, as it comes.
struct Events {
    answer: ResponseFuture,
}

impl Events {
    fn open(browser: &Browser, address: SocketAddr, path: &str) -> Self {
        let proof = browser.sign(&browser.claims(&Method::GET, path, None));
        let mut request = Request::builder().uri(to(address.port(), &path.parse().unwrap())).header("dpop", proof);
        if let Some(token) = &browser.token {
            request = request.header(header::AUTHORIZATION, format!("DPoP {token}"));
        }
        Self { answer: client().request(request.body(Body::empty()).unwrap()) }
    }

    /// What is told until `word` is, and when it was.
    async fn until(self, word: &str) -> Instant {
        let answer = self.answer.await.unwrap();
        assert_eq!(answer.status(), StatusCode::OK);
        let mut body = answer.into_body();
        let mut told = String::new();
        while let Some(frame) = body.frame().await {
            told += std::str::from_utf8(&frame.unwrap().into_data().unwrap()).unwrap();
            if told.contains(word) {
                return Instant::now();
            }
        }
        panic!("the stream ended without {word:?}: {told}")
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn what_one_node_begins_the_others_go_on_with() {
    let Some(cluster) = cluster() else { return left_out("three nodes of one shop") };
    let (shop, url) = (TestShop::new(), cluster.database());
    let [a, b, c] = nodes(&shop, &url).await;

    // A nonce that A gave out is taken at B and at C, at once.
    let mut browser = at(&shop, &a);
    assert_eq!(browser.get("/").await.text(), "Hello");
    for node in [&b, &c] {
        let reply = led_to(&browser, node).signed_once(&Method::GET, "/", None).await;
        assert_eq!((reply.status, reply.text()), (StatusCode::OK, "Hello".to_owned()));
    }

    let mut slowest = Duration::ZERO;
    for _ in 0..5 {
        // Asked at A, read at B, answered at C; a page at A hears of it.
        let asking = browser.ask("age", Device::SameDevice).await;
        let path = format!("/wallet/presentations/{}/events", asking.id);
        let events = tokio::spawn(Events::open(&browser, a.address, &path).until("\"answered\""));
        let request = led_to(&browser, &b).wallet_reads(&asking).await;
        let answer = led_to(&browser, &c).wallet_answers(&request, "adult", &[]).await;
        assert_eq!(answer.status, StatusCode::OK, "{}", answer.text());
        let answered = Instant::now();
        slowest = slowest.max(events.await.unwrap().saturating_duration_since(answered));

        // Redeemed at A and at B at once: once.
        let redemption = json!({ "presentation": asking.id, "response_code": response_code(&answer) });
        let (mut one, mut other) = (browser.clone(), led_to(&browser, &b));
        let replies = tokio::join!(one.redeem(&redemption), other.redeem(&redemption));
        let (won, lost, winner) = match replies {
            (won, lost) if won.status == StatusCode::OK => (won, lost, one),
            (lost, won) => (won, lost, other),
        };
        assert_eq!(won.status, StatusCode::OK, "{}", won.text());
        refused(&lost, 409, "already_redeemed");
        let mut there = led_to(&winner, &c);
        assert_eq!(sessions(&mut there).await.len(), 1);
        assert_eq!(there.get("/").await.text(), "Welcome back");
        browser = at(&shop, &a);
    }
    println!("A tells of what C did {slowest:?} later at the latest");
    assert!(slowest <= Duration::from_secs(1) + LATE, "{slowest:?}");

    for node in [a, b, c] {
        node.close(Duration::ZERO).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_proof_that_changed_something_is_refused_at_every_other_node() {
    let Some(cluster) = cluster() else { return left_out("a proof that is replayed at another node") };
    let (shop, url) = (TestShop::new(), cluster.database());
    let [a, b, c] = nodes(&shop, &url).await;
    let mut browser = at(&shop, &a);
    browser.sign_in("adult").await;
    let mut others = [led_to(&browser, &b), led_to(&browser, &c)];
    for method in [Method::POST, Method::DELETE] {
        // One after the other.
        let claims = browser.claims(&method, "/account", None);
        assert_eq!(send_claims(&mut browser, &method, "/account", &claims).await.status, StatusCode::OK);
        for there in others.iter_mut().chain([&mut browser]) {
            refused(&send_claims(there, &method, "/account", &claims).await, 401, "invalid_dpop_proof");
        }
        // All at once.
        let claims = browser.claims(&method, "/account", None);
        let [one, two] = &mut others;
        let (x, y, z) = tokio::join!(
            send_claims(&mut browser, &method, "/account", &claims),
            send_claims(one, &method, "/account", &claims),
            send_claims(two, &method, "/account", &claims),
        );
        let let_in = [x, y, z].iter().filter(|reply| reply.status == StatusCode::OK).count();
        assert_eq!(let_in, 1, "{method}");
    }
    // What only reads is remembered by each node alone, as SECURITY.md says.
    let claims = browser.claims(&Method::GET, "/account", None);
    assert_eq!(send_claims(&mut browser, &Method::GET, "/account", &claims).await.status, StatusCode::OK);
    refused(&send_claims(&mut browser, &Method::GET, "/account", &claims).await, 401, "invalid_dpop_proof");
    let [there, _] = &mut others;
    assert_eq!(send_claims(there, &Method::GET, "/account", &claims).await.status, StatusCode::OK);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_session_that_ended_at_one_node_has_ended_at_all() {
    let Some(cluster) = cluster() else { return left_out("a session that ended at another node") };
    let (shop, url) = (TestShop::new(), cluster.database());
    let [a, b] = nodes(&shop, &url).await;
    let mut slowest = Duration::ZERO;
    for round in 0..6 {
        let mut browser = at(&shop, &a);
        browser.sign_in("adult").await;
        let mut there = led_to(&browser, &b);
        // B has it in every memory that it might have.
        for _ in 0..3 {
            assert_eq!(there.get("/").await.text(), "Welcome back");
        }
        let events =
            (round == 0).then(|| tokio::spawn(Events::open(&there, b.address, "/wallet/events").until("revoked")));
        assert_eq!(browser.delete("/wallet/sessions/current").await.status, StatusCode::NO_CONTENT);
        let ended = Instant::now();
        // The very next request, in the simulated time of the shop: no second has passed.
        refused(&there.signed_once(&Method::GET, "/account", None).await, 401, "invalid_token");
        slowest = slowest.max(ended.elapsed());
        if let Some(events) = events {
            let later = events.await.unwrap().saturating_duration_since(ended);
            println!("a page at B hears {later:?} later that its session ended at A");
            assert!(later <= Duration::from_secs(5) + LATE, "{later:?}");
        }
    }
    println!("a session that ended at A is refused at B by the next request, answered {slowest:?} later at the latest");
}

/// What has expired goes, whichever node comes to it first, and nothing else does.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn all_nodes_keep_house_and_none_is_in_the_others_way() {
    let Some(cluster) = cluster() else { return left_out("housekeeping by three nodes") };
    let (shop, url) = (TestShop::new(), cluster.database());
    let [a] = nodes(&shop, &url).await;
    let mut browser = at(&shop, &a);
    browser.sign_in("adult").await;
    let id = customer(&mut browser).await;
    let mut rows = PgConnection::connect(&url).await.unwrap();
    // What forgotten questions leave, many times over.
    let made = "INSERT INTO firsthand.records (partition, kind, sort, version, schema, body, expires_at)
                SELECT 'p' || n, 'presentation', '', nextval('firsthand.versions'), 1, '{}', $1
                  FROM generate_series(1, 5000) AS n";
    let soon = shop.clock().now().plus_s(60).as_secs();
    sqlx::query(made).bind(soon).execute(&mut rows).await.unwrap();
    shop.advance_s(60 + 2 * 60 + 1);
    // A node keeps house when it opens, so these three begin together.
    let others: [Node; 3] = nodes(&shop, &url).await;
    let began = Instant::now();
    loop {
        let left: i64 = sqlx::query_scalar("SELECT count(*) FROM firsthand.records WHERE expires_at <= $1")
            .bind(soon)
            .fetch_one(&mut rows)
            .await
            .unwrap();
        if left == 0 {
            break;
        }
        assert!(began.elapsed() < Duration::from_secs(60), "{left} are left");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    println!("5000 expired records are gone {:?} after three nodes opened", began.elapsed());
    let mut there = led_to(&browser, &others[2]);
    assert_eq!(customer(&mut there).await, id);
    // None of them failed because another was there.
    for node in others.iter().chain([&a]) {
        let metrics = read(node.operations, "/metrics").await;
        let rounds = |outcome: &str| {
            let ended = format!("outcome=\"{outcome}\"");
            let of = |line: &&str| line.starts_with("firsthand_housekeeping_rounds_total") && line.contains(&ended);
            metrics.lines().filter(of).filter_map(|line| line.rsplit(' ').next()?.parse::<u64>().ok()).sum::<u64>()
        };
        assert!(rounds("done") > 0 && rounds("failed") == 0, "{metrics}");
    }
    for node in others.into_iter().chain([a]) {
        node.close(Duration::ZERO).await;
    }
}
