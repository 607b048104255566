//! How much one key, one presentation and one address may do. Windows are minutes of the machine's clock: a test may
//! stand on both sides of a minute's end, so it counts to twice the limit at most.

use std::net::{IpAddr, SocketAddr};

use axum::{Extension, Router, body::Body, extract::ConnectInfo};
use firsthand::{Device, store::Memory};
use firsthand_axum::{
    ClientAddress, CustomerLayer, routes,
    testing::{Browser, FakeRail, Reply, TestShop},
};
use http::{HeaderName, Method, StatusCode};
use serde_json::{Value, json};
use tower::ServiceExt;

use crate::setting::{browser, refused, signed_headers};

const ASKS_OF_A_KEY: usize = 600;
const CALLS_FOR_A_PRESENTATION: usize = 60;
const STREAMS_OF_A_KEY: usize = 30;
const STREAMS_OPEN_OF_A_KEY: usize = 4;
const REQUESTS_OF_A_KEY: usize = 1_200;
const ASKS_FROM_AN_ADDRESS: usize = 1_200;
const KEYS_FROM_AN_ADDRESS: usize = 6_000;
const CALLS_FROM_AN_ADDRESS: usize = 6_000;

/// Calls until there are too many: at least `limit` of them get through.
async fn until_too_many(limit: usize, mut call: impl AsyncFnMut(usize) -> Reply) {
    for count in 0..=2 * limit {
        let reply = call(count).await;
        if reply.status == StatusCode::TOO_MANY_REQUESTS {
            assert!(count >= limit, "only {count} of {limit} got through");
            refused(&reply, 429, "too_many_requests");
            let retry_s: u64 = reply.header("retry-after").parse().unwrap();
            assert!((1..=60).contains(&retry_s), "{retry_s}");
            return;
        }
    }
    panic!("{} got through", 2 * limit + 1);
}

#[tokio::test]
async fn row_130_one_key_asks_only_so_often() {
    let shop = TestShop::new();
    let mut browser = browser(&shop);
    let body = json!({ "ask": "age", "flow": "cross_device" });
    let mut other = browser.another();
    until_too_many(ASKS_OF_A_KEY, async |_| browser.post_json("/wallet/presentations", &body).await).await;
    assert_eq!(browser.get("/").await.status, StatusCode::OK, "it may still look around");
    assert_eq!(other.post_json("/wallet/presentations", &body).await.status, StatusCode::CREATED, "others go on");
}

#[tokio::test]
async fn row_130_one_key_sends_only_so_many_requests() {
    let shop = TestShop::new();
    let mut browser = browser(&shop);
    until_too_many(REQUESTS_OF_A_KEY, async |_| browser.get("/").await).await;
    assert_eq!(browser.another().get("/").await.status, StatusCode::OK);
    // Without a proof it is nobody's.
    assert_eq!(browser.plain(&Method::GET, "/", &[], &[]).await.status, StatusCode::OK);
}

#[tokio::test]
async fn row_130_one_key_opens_only_so_many_streams() {
    let shop = TestShop::new();
    let mut browser = browser(&shop);
    let path = format!("/wallet/presentations/{}/events", "A".repeat(43));
    until_too_many(STREAMS_OF_A_KEY, async |_| browser.get(&path).await).await;
}

#[tokio::test]
async fn row_08_one_presentation_is_called_only_so_often() {
    let shop = TestShop::new();
    let mut browser = browser(&shop);
    let asking = browser.ask("age", Device::CrossDevice).await;
    let other = browser.ask("age", Device::CrossDevice).await;
    let path = asking.request_uri.strip_prefix("https://shop.example").unwrap().to_owned();
    until_too_many(CALLS_FOR_A_PRESENTATION, async |_| browser.plain(&Method::GET, &path, &[], &[]).await).await;
    // Fetching and answering count together.
    let answer = path.replace("requests", "responses");
    let form = [("content-type", "application/x-www-form-urlencoded")];
    refused(&browser.plain(&Method::POST, &answer, &form, b"error=access_denied").await, 429, "too_many_requests");
    browser.wallet_reads(&other).await;
}

#[tokio::test]
async fn row_08_invented_presentations_are_not_worth_a_count() {
    let shop = TestShop::new();
    let mut browser = browser(&shop);
    let nonce = [("content-type", "application/x-www-form-urlencoded")];
    for (path, status) in [("A".repeat(43), 404), ("x".to_owned(), 404)] {
        for _ in 0..=2 * CALLS_FOR_A_PRESENTATION {
            let fetched = browser.plain(&Method::GET, &format!("/wallet/requests/{path}"), &[], &[]).await;
            assert_eq!(fetched.status.as_u16(), status);
            let path = format!("/wallet/requests/{path}");
            let fetched = browser.plain(&Method::POST, &path, &nonce, b"wallet_nonce=%20").await;
            assert!([400, 404].contains(&fetched.status.as_u16()), "{fetched:?}");
        }
    }
    let asking = browser.ask("age", Device::CrossDevice).await;
    browser.wallet_reads(&asking).await;
}

#[tokio::test]
async fn row_130_an_ask_that_there_is_not_costs_none_of_those_that_there_are() {
    let shop = TestShop::new();
    let mut browser = browser(&shop);
    let nothing = json!({ "ask": "nothing", "flow": "cross_device" });
    for _ in 0..=ASKS_OF_A_KEY {
        refused(&browser.post_json("/wallet/presentations", &nothing).await, 404, "no_such_ask");
    }
    browser.ask("age", Device::CrossDevice).await;
}

#[tokio::test]
async fn row_130_one_key_has_only_so_many_streams_open() {
    let shop = TestShop::new();
    let app = crate::setting::app(shop.merchant());
    let mut browser = browser(&shop);
    let asking = browser.ask("age", Device::CrossDevice).await;
    let path = format!("/wallet/presentations/{}/events", asking.id);
    let open = async |browser: &Browser| {
        let proof = browser.sign(&browser.claims(&Method::GET, &path, None));
        let request = http::Request::builder().uri(&path).header("dpop", proof).body(Body::empty()).unwrap();
        app.clone().oneshot(request).await.unwrap()
    };
    let mut streams = Vec::new();
    for _ in 0..STREAMS_OPEN_OF_A_KEY {
        streams.push(open(&browser).await);
    }
    assert!(streams.iter().all(|stream| stream.status() == StatusCode::OK));
    assert_eq!(open(&browser).await.status(), StatusCode::TOO_MANY_REQUESTS, "the newest is refused");
    streams.pop();
    assert_eq!(open(&browser).await.status(), StatusCode::OK, "who is gone makes room");
}

#[tokio::test]
async fn row_130_one_address_brings_only_so_many_new_keys() {
    let shop = TestShop::new();
    let app = counting(&shop, ClientAddress::Socket);
    let mut here = from(&shop, &app, "203.0.113.9");
    let nonce = nonce(&mut here).await;
    // The key that was given the nonce is one of them.
    until_too_many(KEYS_FROM_AN_ADDRESS - 1, async |_| {
        let mut one = here.another();
        one.nonce.clone_from(&nonce);
        one.get("/wallet/me").await
    })
    .await;
    let mut there = from(&shop, &app, "203.0.113.10");
    there.nonce.clone_from(&nonce);
    assert_eq!(there.get("/wallet/me").await.status, StatusCode::UNAUTHORIZED);
}

/// A browser behind this address, in front of a shop with these limits; `app` keeps its counts between browsers.
pub fn from(shop: &TestShop, app: &Router, address: &str) -> Browser {
    let address = SocketAddr::new(address.parse::<IpAddr>().unwrap(), 1234);
    Browser::new(shop, app.clone().layer(Extension(ConnectInfo(address))))
}

pub fn counting(shop: &TestShop, address: ClientAddress) -> Router {
    routes(shop.merchant()).layer(CustomerLayer::new(shop.merchant().clone()).client_address(address))
}

/// An ask by a new key, with a nonce that somebody was given, and these headers.
async fn ask(browser: &Browser, nonce: &Option<String>, headers: &[(&'static str, String)]) -> Reply {
    let body = json!({ "ask": "age", "flow": "cross_device" }).to_string();
    let mut one = browser.another();
    one.nonce.clone_from(nonce);
    let proof = one.sign(&one.claims(&Method::POST, "/wallet/presentations", Some(body.as_bytes())));
    let mut all = signed_headers(&one, &proof, Some("application/json"));
    for (name, value) in headers {
        all.insert(*name, value.parse().unwrap());
    }
    one.send(&Method::POST, "/wallet/presentations", all, body.as_bytes()).await
}

async fn nonce(browser: &mut Browser) -> Option<String> {
    browser.post_json("/wallet/presentations", &Value::Null).await;
    browser.nonce.clone()
}

#[tokio::test]
async fn row_130_one_address_asks_only_so_often_by_the_other_end_of_the_connection() {
    let shop = TestShop::new();
    let app = counting(&shop, ClientAddress::Socket);
    let mut here = from(&shop, &app, "203.0.113.9");
    let nonce = nonce(&mut here).await;
    // Another key each time, and another story about where it comes from.
    until_too_many(ASKS_FROM_AN_ADDRESS, async |count| {
        ask(&here, &nonce, &[("x-forwarded-for", format!("198.51.100.{}", count % 250))]).await
    })
    .await;
    for (address, status) in [("203.0.113.9", 429), ("::ffff:203.0.113.9", 429), ("203.0.113.10", 201)] {
        assert_eq!(ask(&from(&shop, &app, address), &nonce, &[]).await.status.as_u16(), status, "{address}");
    }
}

#[tokio::test]
async fn row_130_who_has_an_ipv6_network_is_counted_as_one() {
    let shop = TestShop::new();
    let app = counting(&shop, ClientAddress::Socket);
    let mut here = from(&shop, &app, "2001:db8:1:2::1");
    let nonce = nonce(&mut here).await;
    until_too_many(ASKS_FROM_AN_ADDRESS, async |count| {
        ask(&from(&shop, &app, &format!("2001:db8:1:2::{count:x}")), &nonce, &[]).await
    })
    .await;
    assert_eq!(ask(&from(&shop, &app, "2001:db8:1:3::1"), &nonce, &[]).await.status, StatusCode::CREATED);
}

#[tokio::test]
async fn row_130_a_proxys_word_counts_if_it_is_the_shops_own() {
    let shop = TestShop::new();
    let name = HeaderName::from_static("x-forwarded-for");
    let trusted_proxies = vec!["10.0.0.1".parse().unwrap()];
    let app = counting(&shop, ClientAddress::Header { name, trusted_proxies });
    let mut proxy = from(&shop, &app, "10.0.0.1");
    let nonce = nonce(&mut proxy).await;
    // What stands before the last hop is the client's own invention.
    until_too_many(ASKS_FROM_AN_ADDRESS, async |count| {
        let said = format!("198.51.100.{}, 203.0.113.9", count % 250);
        ask(&proxy, &nonce, &[("x-forwarded-for", said)]).await
    })
    .await;
    let by_proxy = |client: &str| [("x-forwarded-for", client.to_owned())];
    assert_eq!(ask(&proxy, &nonce, &by_proxy("203.0.113.10")).await.status, StatusCode::CREATED);
    // Who is no proxy is who it is.
    let stranger = from(&shop, &app, "203.0.113.11");
    assert_eq!(ask(&stranger, &nonce, &by_proxy("203.0.113.9")).await.status, StatusCode::CREATED);
    let told_off = from(&shop, &app, "203.0.113.9");
    assert_eq!(ask(&told_off, &nonce, &by_proxy("203.0.113.12")).await.status, StatusCode::TOO_MANY_REQUESTS);
}

#[tokio::test]
async fn row_08_one_address_calls_only_so_often_as_a_wallet() {
    let shop = TestShop::new();
    let app = counting(&shop, ClientAddress::Socket);
    let mut flood = from(&shop, &app, "203.0.113.9");
    until_too_many(CALLS_FROM_AN_ADDRESS, async |count| {
        flood.plain(&Method::GET, &format!("/wallet/requests/{count:0>42}A"), &[], &[]).await
    })
    .await;
    let mut other = from(&shop, &app, "203.0.113.10");
    let reply = other.plain(&Method::GET, &format!("/wallet/requests/{}", "A".repeat(43)), &[], &[]).await;
    refused(&reply, 404, "no_such_presentation");
}

#[tokio::test]
async fn row_123_one_address_sends_only_so_many_notices() {
    let shop = TestShop::with(|builder| builder.store(Memory::new()).rail(FakeRail::new()));
    let app = counting(&shop, ClientAddress::Socket);
    let forged = (http::HeaderMap::new(), b"{}".to_vec());
    let mut flood = from(&shop, &app, "203.0.113.9");
    until_too_many(CALLS_FROM_AN_ADDRESS, async |_| flood.notice("fake", &forged).await).await;
    // A true rail elsewhere is heard.
    refused(&from(&shop, &app, "203.0.113.10").notice("fake", &forged).await, 401, "notice_not_authentic");
}

#[tokio::test]
async fn without_an_address_nobody_is_told_off_for_a_strangers_deeds() {
    let shop = TestShop::new();
    let app = counting(&shop, ClientAddress::None);
    let mut here = from(&shop, &app, "203.0.113.9");
    let nonce = nonce(&mut here).await;
    for _ in 0..=2 * ASKS_FROM_AN_ADDRESS {
        assert_eq!(ask(&here, &nonce, &[]).await.status, StatusCode::CREATED);
    }
}
