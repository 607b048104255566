//! What a page that lies open hears of its session.

use axum::Router;
use firsthand_axum::{
    CustomerLayer, routes,
    testing::{Browser, Reply, TestShop},
};
use http::{Method, StatusCode};
use serde_json::json;
use std::time::Duration;
use tokio::time::{Instant, sleep};

use crate::setting::{browser, customer, led_to, node, pages, refused, shop_and_store};

const PATH: &str = "/wallet/events";
const REVOKED: &str = "event: revoked\ndata: {}\n\n";

async fn signed_in(shop: &TestShop) -> Browser {
    let mut browser = browser(shop);
    browser.sign_in("adult").await;
    browser
}

#[tokio::test(start_paused = true)]
async fn a_page_hears_at_once_that_its_session_was_ended_here() {
    for path in ["/wallet/sessions/current", "/wallet/sessions", "/wallet/device", "/wallet/me"] {
        let shop = TestShop::new();
        let mut browser = signed_in(&shop).await;
        let mut tab = browser.clone();
        let began = Instant::now();
        let (events, ()) = tokio::join!(tab.get(PATH), async {
            sleep(Duration::from_secs(3)).await;
            assert!(browser.delete(path).await.status.is_success());
        });
        assert_eq!(events.status, StatusCode::OK);
        assert_eq!(events.header("content-type"), "text/event-stream");
        assert_eq!(events.header("cache-control"), "private, no-store");
        assert_ne!(events.header("dpop-nonce"), "");
        assert_eq!(events.text(), format!(":\n\n{REVOKED}"), "{path}");
        assert_eq!(began.elapsed().as_secs(), 3, "{path}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_page_hears_within_seconds_what_another_node_was_told() {
    let (shop, store) = shop_and_store();
    let mut here = signed_in(&shop).await;
    let mut there = led_to(&here, &node(&shop, store));
    let began = Instant::now();
    let (events, ()) = tokio::join!(here.get(PATH), async {
        sleep(Duration::from_secs(7)).await;
        there.delete("/wallet/sessions/current").await;
    });
    assert_eq!(events.text(), format!(":\n\n{REVOKED}"));
    assert_eq!(began.elapsed().as_secs(), 10);
}

#[tokio::test(start_paused = true)]
async fn a_stream_ends_after_five_minutes_and_is_never_silent_for_long() {
    let shop = TestShop::new();
    let mut browser = signed_in(&shop).await;
    let began = Instant::now();
    let text = browser.get(PATH).await.text();
    assert_eq!(began.elapsed().as_secs(), 300);
    assert!(text.matches(":\n\n").count() >= 18 && text.replace(":\n\n", "").is_empty(), "{text:?}");
    assert_eq!(browser.get("/").await.text(), "Welcome back");
}

#[tokio::test(start_paused = true)]
async fn an_open_page_is_no_use_of_its_session() {
    let shop = TestShop::new();
    let mut browser = signed_in(&shop).await;
    let mut tab = browser.clone();
    let (events, ()) = tokio::join!(tab.get(PATH), async {
        for _ in 0..7 {
            sleep(Duration::from_secs(20)).await;
            shop.advance_s(24 * 3600);
        }
    });
    assert!(events.text().ends_with(REVOKED), "a week without use");
    refused(&browser.get("/").await, 401, "invalid_token");
}

#[tokio::test(start_paused = true)]
async fn a_page_hears_that_something_happened_to_the_record() {
    let shop = TestShop::new();
    let mut browser = signed_in(&shop).await;
    let id = customer(&mut browser).await;
    assert_eq!(browser.get(PATH).await.text().matches("event:").count(), 0, "its own beginning is no news");
    let (events, ()) = tokio::join!(browser.get(PATH), async {
        sleep(Duration::from_secs(2)).await;
        shop.advance_s(1);
        let record = shop.merchant().customer(&id).await.unwrap().unwrap();
        record.hand_out_recovery_code().await.unwrap();
        sleep(Duration::from_secs(20)).await;
        record.hand_out_recovery_code().await.unwrap();
    });
    let told: String = events.text().replace(":\n\n", "");
    let notices: Vec<String> =
        (1..=2).map(|unseen| format!("event: notice\ndata: {{\"unseen\":{unseen}}}\n\n")).collect();
    assert_eq!(told, notices.concat());
}

#[tokio::test(start_paused = true)]
async fn a_stream_is_for_who_is_known() {
    let shop = TestShop::new();
    let mut browser = browser(&shop);
    refused(&browser.plain(&Method::GET, PATH, &[], &[]).await, 401, "invalid_dpop_proof");
    refused(&browser.get(PATH).await, 401, "not_known");
    browser.sign_in("adult").await;
    let mut thief = browser.another();
    thief.token.clone_from(&browser.token);
    refused(&thief.get(PATH).await, 401, "invalid_token");
    // A cookie opens no stream where there are no cookies.
    let cookie = [("cookie", "__Host-firsthand=x")];
    refused(&browser.plain(&Method::GET, PATH, &cookie, &[]).await, 401, "invalid_dpop_proof");
}

#[tokio::test(start_paused = true)]
async fn row_130_a_key_has_only_so_many_streams_open() {
    let shop = TestShop::new();
    let mut browser = signed_in(&shop).await;
    browser.get("/").await;
    let mut tabs = tokio::task::JoinSet::new();
    for _ in 0..17 {
        let mut tab = browser.clone();
        tabs.spawn(async move { tab.get(PATH).await });
    }
    let replies: Vec<Reply> = tabs.join_all().await;
    let refusals: Vec<&Reply> = replies.iter().filter(|reply| reply.status != StatusCode::OK).collect();
    assert_eq!(refusals.len(), 1);
    refused(refusals[0], 429, "too_many_requests");
    // They take no place of those who prove something.
    let asking = browser.ask("age", firsthand::Device::SameDevice).await;
    let mut tab = browser.clone();
    let path = format!("/wallet/presentations/{}/events", asking.id);
    assert_eq!(tab.get(&path).await.status, StatusCode::OK);
}

#[tokio::test(start_paused = true)]
async fn in_a_shop_with_a_cookie_the_cookie_opens_the_stream() {
    let shop = TestShop::new();
    let app: Router =
        pages().merge(routes(shop.merchant())).layer(CustomerLayer::new(shop.merchant().clone()).host_cookie());
    let mut browser = Browser::new(&shop, app);
    browser.sign_in("adult").await;
    let reply = browser.signed(Method::POST, "/wallet/cookie", None).await;
    let cookie = reply.header("set-cookie").split(';').next().unwrap().to_owned();
    let mut tab = browser.clone();
    let headers = [("cookie", cookie.as_str())];
    let (events, ()) = tokio::join!(tab.plain(&Method::GET, PATH, &headers, &[]), async {
        sleep(Duration::from_secs(3)).await;
        browser.delete("/wallet/sessions/current").await;
    });
    assert_eq!(events.text(), format!(":\n\n{REVOKED}"));
    assert!(events.headers.get_all("vary").iter().any(|vary| vary == "Cookie"));
    refused(&tab.plain(&Method::GET, PATH, &headers, &[]).await, 401, "invalid_dpop_proof");
    browser.token = None;
    refused(&browser.redeem(&json!({})).await, 403, "binding_locked");
}
