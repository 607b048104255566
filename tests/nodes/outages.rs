//! Sessions while the server below the nodes is killed, and while its connections are cut: who was let in is known afterwards,
//! who was let out is not, and nobody lends a hand.

use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use firsthand::{
    env::Env,
    limits::Limits,
    testing::wallet::{Link, Request},
};
use firsthand_axum::testing::{Asking, Browser, Reply, TestShop, response_code};
use firsthand_tests::postgres::{cut_all_connections, left_out, mortal};
use http::{Method, StatusCode};
use serde_json::json;
use tokio::task::JoinSet;
use url::Url;

use crate::street::{Node, at, at_address};

const CUSTOMERS: usize = 6;
const FORM: [(&str, &str); 1] = [("content-type", "application/x-www-form-urlencoded")];

/// What all customers count together.
#[derive(Debug, Default)]
struct Counts {
    /// How often the shop could not.
    busy: AtomicU64,
    /// How often somebody who was let in was recognised.
    recognised: AtomicU64,
    /// Redemptions whose answer was lost.
    lost: AtomicU64,
    closing: AtomicBool,
}

/// Says it again until the shop can. (No function: what a closure borrows here does not go from thread to thread.)
macro_rules! insisting {
    ($counts:expr, $say:expr) => {
        loop {
            let reply: Reply = $say;
            if !reply.status.is_server_error() {
                break reply;
            }
            $counts.busy.fetch_add(1, Ordering::Relaxed);
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
}

/// Signs in by a wallet. `None` where an answer was lost so that nothing can come of this question any more.
async fn sign_in(shop: &TestShop, browser: &mut Browser, counts: &Counts) -> Option<()> {
    let body = json!({ "ask": "age", "flow": "same_device" });
    let reply = insisting!(counts, browser.post_json("/wallet/presentations", &body).await);
    assert_eq!(reply.status, StatusCode::CREATED, "{}", reply.text());
    let body = reply.json();
    let text = |name: &str| body[name].as_str().unwrap().to_owned();
    let asking =
        Asking { id: text("id"), wallet_uri: text("wallet_uri"), request_uri: text("request_uri"), body: body.clone() };

    let link = Link::parse(&asking.wallet_uri).unwrap();
    let path = Url::parse(&asking.request_uri).unwrap().path().to_owned();
    let form = Link::form("a-wallet-nonce");
    let mut wallet = browser.another();
    let reply = insisting!(counts, wallet.plain(&Method::POST, &path, &FORM, form.as_bytes()).await);
    assert_eq!(reply.status, StatusCode::OK, "{}", reply.text());
    let (root, now) = (shop.access_root(), shop.clock().now());
    let request =
        Request::read(&link, &reply.text(), Some("a-wallet-nonce"), &[root], now, &Limits::default()).unwrap();
    let holder = &shop.persona("adult").wallet;
    let form = holder.answer(&request, &holder.choose(&request).unwrap(), &[], shop.clock()).unwrap();
    let path = Url::parse(request.response_uri.as_str()).unwrap().path().to_owned();
    let answer = insisting!(counts, wallet.plain(&Method::POST, &path, &FORM, form.as_bytes()).await);
    if answer.status != StatusCode::OK {
        // It was taken the first time, and whoever answers once more gets no code.
        counts.lost.fetch_add(1, Ordering::Relaxed);
        return None;
    }
    let redemption = json!({ "presentation": asking.id, "response_code": response_code(&answer) });
    let granted = insisting!(counts, browser.redeem(&redemption).await);
    if granted.status != StatusCode::OK {
        assert_eq!(granted.code(), "already_redeemed", "{}", granted.text());
        counts.lost.fetch_add(1, Ordering::Relaxed);
        // The customer is there; their key opens a session of its own.
        let again = insisting!(counts, browser.redeem(&json!({})).await);
        assert_eq!(again.status, StatusCode::OK, "{}", again.text());
    }
    Some(())
}

/// Comes and goes until the shop closes. Who left, and who is still there.
async fn live(shop: TestShop, address: SocketAddr, counts: Arc<Counts>) -> (Vec<Browser>, Option<Browser>) {
    let mut left = Vec::new();
    loop {
        let mut browser = at_address(&shop, address);
        if sign_in(&shop, &mut browser, &counts).await.is_none() {
            continue;
        }
        for _ in 0..4 {
            let page = insisting!(counts, browser.get("/").await);
            assert_eq!((page.status, page.text()), (StatusCode::OK, "Welcome back".to_owned()), "who was let in");
            let account = insisting!(counts, browser.post_form("/account", "").await);
            assert_eq!(account.status, StatusCode::OK, "{}", account.text());
            counts.recognised.fetch_add(2, Ordering::Relaxed);
        }
        if counts.closing.load(Ordering::SeqCst) {
            return (left, Some(browser));
        }
        let gone = insisting!(counts, browser.delete("/wallet/sessions/current").await);
        // Said again after a lost answer, it has ended already.
        assert!([204, 401].contains(&gone.status.as_u16()), "{}", gone.text());
        is_out(&mut browser, &counts).await;
        left.push(browser);
    }
}

async fn is_out(browser: &mut Browser, counts: &Counts) {
    let late = insisting!(counts, browser.get("/account").await);
    assert_eq!(late.status, StatusCode::UNAUTHORIZED, "who left is let in: {}", late.text());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn no_session_is_lost_and_none_comes_back_when_the_server_is_killed() {
    let Some(server) = mortal() else { return left_out("sessions while PostgreSQL is killed") };
    let (shop, url) = (TestShop::new(), server.database());
    let nodes = [Node::open(&shop, &url).await, Node::open(&shop, &url).await];
    let counts = Arc::new(Counts::default());
    let mut customers = JoinSet::new();
    for number in 0..CUSTOMERS {
        customers.spawn(live(shop.clone(), nodes[number % 2].address, counts.clone()));
    }
    let lives_again = async || {
        let (began, before) = (Instant::now(), counts.recognised.load(Ordering::Relaxed));
        while counts.recognised.load(Ordering::Relaxed) < before + 8 {
            assert!(began.elapsed() < Duration::from_secs(60), "nobody is recognised any more");
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        began.elapsed()
    };
    let (mut cut, mut slowest) = (0, Duration::ZERO);
    for round in 0..3 {
        lives_again().await;
        tokio::time::sleep(Duration::from_millis(170 * round)).await;
        server.kill();
        tokio::task::block_in_place(|| server.start());
        slowest = slowest.max(lives_again().await);
        for _ in 0..8 {
            tokio::time::sleep(Duration::from_millis(40)).await;
            cut += cut_all_connections(&url).await;
        }
        slowest = slowest.max(lives_again().await);
    }
    counts.closing.store(true, Ordering::SeqCst);
    let all = tokio::time::timeout(Duration::from_secs(60), customers.join_all()).await.expect("everybody is served");
    let (mut out, mut there) = (0, 0);
    for (left, stays) in all {
        for mut browser in left {
            is_out(&mut browser, &counts).await;
            out += 1;
        }
        let mut browser = stays.unwrap();
        assert_eq!(browser.get("/").await.text(), "Welcome back");
        there += 1;
    }
    println!(
        "3 kills and {cut} cut connections under {CUSTOMERS} customers of 2 nodes: {} times recognised, {} times told to come \
         again, {} answers lost; {out} sessions ended and none came back, {there} of {CUSTOMERS} still there; served again \
         within {slowest:.1?}",
        counts.recognised.load(Ordering::Relaxed),
        counts.busy.load(Ordering::Relaxed),
        counts.lost.load(Ordering::Relaxed),
    );
    assert!(out > 0 && cut > 0 && counts.busy.load(Ordering::Relaxed) > 0);
    let mut stranger = at(&shop, &nodes[0]);
    assert_eq!(stranger.get("/").await.text(), "Hello");
}
