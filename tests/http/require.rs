//! The gate in front of a route, and how a handler is tested by itself.

use axum::{Router, routing::get};
use firsthand::{Ask, Device, ask::Wanted, store::Memory};
use firsthand_axum::{
    CustomerLayer, Known, require, routes,
    testing::{Browser, TestShop, known, response_code},
};
use http::{Method, StatusCode};
use serde_json::json;

use crate::{
    probe::{PID, answer, delivered, wallet_with},
    setting::{answered, browser, refused},
};

#[tokio::test]
async fn wine_is_for_whoever_proved_their_age_within_half_an_hour() {
    let shop = TestShop::new();
    let mut browser = browser(&shop);
    // Nobody yet: 401, and the page is told what to offer.
    let reply = browser.plain(&Method::POST, "/wine", &[], &[]).await;
    refused(&reply, 401, "invalid_dpop_proof");
    assert_eq!(reply.json()["ask"], "age");
    assert!(!reply.header("dpop-nonce").is_empty());
    let reply = browser.signed(Method::POST, "/wine", None).await;
    refused(&reply, 401, "not_known");
    assert_eq!(reply.json()["ask"], "age");

    // Known, but not for this.
    browser.prove("address", "adult").await;
    let reply = browser.signed(Method::POST, "/wine", None).await;
    refused(&reply, 403, "proof_needed");
    assert_eq!(reply.json()["ask"], "age");
    assert!(!reply.header("dpop-nonce").is_empty());
    assert_eq!(reply.header("cache-control"), "private, no-store");

    browser.prove("age", "adult").await;
    for (later_s, status) in [(0, 200), (30 * 60, 200), (1, 403)] {
        shop.advance_s(later_s);
        for method in [Method::GET, Method::POST] {
            assert_eq!(browser.signed(method, "/wine", None).await.status.as_u16(), status, "{later_s}");
        }
    }
    assert_eq!(browser.get("/").await.text(), "Welcome back", "a proof grows old, a customer stays");
    browser.prove("age", "adult").await;
    assert_eq!(browser.get("/wine").await.status, StatusCode::OK);
}

/// Whoever shows that they are no member has shown the claim, and is none.
#[tokio::test]
async fn a_claim_that_says_no_opens_no_gate() {
    let member = Ask::new("member", "Members pay less")
        .credential("card", Wanted::sd_jwt_vc(PID).claim(["is_member"]).claim(["given_name"]));
    let shop = TestShop::with(|builder| builder.store(Memory::new()).ask(&member));
    for (is_member, status) in [(true, StatusCode::OK), (false, StatusCode::FORBIDDEN)] {
        let app = Router::new().route("/members", get(async |_: Known| "come in").route_layer(require(&member)));
        let app = app.merge(routes(shop.merchant())).layer(CustomerLayer::new(shop.merchant().clone()));
        let mut browser = Browser::new(&shop, app);
        let wallet = wallet_with(&shop, json!({ "is_member": is_member, "given_name": "Ada" }), |_| ());
        let (asking, request) = delivered(&mut browser, "member").await;
        let reply = answer(&mut browser, &request, &wallet, &[]).await;
        let code = response_code(&reply);
        let redeemed = browser.redeem(&json!({ "presentation": asking.id, "response_code": code })).await;
        assert_eq!(redeemed.status, StatusCode::OK, "{}", redeemed.text());
        assert_eq!(browser.get("/members").await.status, status, "{is_member}");
    }
}

#[tokio::test]
async fn the_age_of_a_proof_counts_from_the_wallets_answer() {
    let shop = TestShop::new();
    let mut browser = browser(&shop);
    let (asking, code) = answered(&mut browser, "age", Device::SameDevice, "adult").await;
    shop.advance_s(4 * 60);
    browser.redeem(&json!({ "presentation": asking.id, "response_code": code })).await;
    shop.advance_s(26 * 60);
    assert_eq!(browser.get("/wine").await.status, StatusCode::OK);
    shop.advance_s(1);
    refused(&browser.get("/wine").await, 403, "proof_needed");
}

#[tokio::test]
async fn a_proof_from_another_device_counts_for_this_browser() {
    let shop = TestShop::new();
    let mut browser = browser(&shop);
    let (asking, _) = answered(&mut browser, "age", Device::CrossDevice, "rulebook").await;
    browser.redeem(&json!({ "presentation": asking.id })).await;
    assert_eq!(browser.get("/wine").await.status, StatusCode::OK);
}

#[tokio::test]
async fn who_comes_by_a_typed_address_gets_a_page_and_not_a_problem() {
    let shop = TestShop::new();
    let mut browser = browser(&shop);
    let navigation = [("sec-fetch-mode", "navigate")];
    let reply = browser.plain(&Method::GET, "/wine", &navigation, &[]).await;
    assert_eq!((reply.status, reply.header("content-type")), (StatusCode::OK, "text/html; charset=utf-8"));
    assert!(reply.text().contains("data-firsthand-page=\"shell\""));
    let reply = browser.plain(&Method::POST, "/wine", &navigation, b"count=1").await;
    assert_eq!((reply.status, reply.header("content-type")), (StatusCode::UNAUTHORIZED, "text/html; charset=utf-8"));
    assert!(reply.text().contains("data-firsthand-page=\"post\""));
}

#[tokio::test]
async fn an_ask_says_itself_how_old_a_proof_may_be() {
    let shop = TestShop::new();
    let strict = TestShop::age().within_s(60);
    let open = Router::new().route("/strict", get(async || "in").route_layer(require(&strict)));
    let app = open.merge(routes(shop.merchant())).layer(CustomerLayer::new(shop.merchant().clone()));
    let mut browser = Browser::new(&shop, app);
    browser.sign_in("adult").await;
    shop.advance_s(60);
    assert_eq!(browser.get("/strict").await.text(), "in");
    shop.advance_s(1);
    let reply = browser.get("/strict").await;
    refused(&reply, 403, "proof_needed");
    assert!(reply.json()["detail"].as_str().unwrap().contains("60 s"));
}

#[tokio::test]
async fn a_gate_for_another_ask_than_the_declared_one_lets_nobody_in() {
    let shop = TestShop::new();
    let undeclared = Ask::new("member", "For members").over(18);
    // The name of the declared one, and more than a proof of that one shows.
    let stricter = Ask::new("age", TestShop::age().purpose()).over(21);
    for ask in [undeclared, stricter] {
        let app = Router::new()
            .route("/club", get(async || "in").route_layer(require(&ask)))
            .merge(routes(shop.merchant()))
            .layer(CustomerLayer::new(shop.merchant().clone()));
        let mut browser = Browser::new(&shop, app);
        browser.prove("age", "adult").await;
        let reply = browser.get("/club").await;
        refused(&reply, 500, "misuse");
        let said = format!("by .ask(&{})", ask.name());
        assert_eq!(reply.text().contains(&said), cfg!(debug_assertions), "{}", reply.text());
    }
}

#[tokio::test]
async fn the_handler_behind_the_gate_never_runs_for_nobody() {
    use std::sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    };
    let shop = TestShop::new();
    let runs = Arc::new(AtomicUsize::new(0));
    let counted = runs.clone();
    let sell = move || {
        let counted = counted.clone();
        async move { counted.fetch_add(1, Ordering::SeqCst).to_string() }
    };
    let app = Router::new()
        .route("/wine", get(sell.clone()).post(sell).route_layer(require(&TestShop::age())))
        .merge(routes(shop.merchant()))
        .layer(CustomerLayer::new(shop.merchant().clone()));
    let mut browser = Browser::new(&shop, app);
    browser.plain(&Method::POST, "/wine", &[], &[]).await;
    browser.plain(&Method::GET, "/wine", &[("sec-fetch-mode", "navigate")], &[]).await;
    browser.plain(&Method::HEAD, "/wine", &[], &[]).await;
    browser.signed(Method::POST, "/wine", None).await;
    browser.prove("address", "minor").await;
    browser.signed(Method::POST, "/wine", None).await;
    assert_eq!(runs.load(Ordering::SeqCst), 0);
    browser.prove("age", "adult").await;
    browser.signed(Method::POST, "/wine", None).await;
    assert_eq!(runs.load(Ordering::SeqCst), 1);
}

#[tokio::test]
async fn a_handler_is_tested_by_itself_with_a_known_customer() {
    async fn greet(known: Known) -> String {
        let proofs = known.customer().await.map(|customer| customer.proofs().len()).unwrap_or_default();
        format!("{proofs} proof of {}", known.id())
    }
    let shop = TestShop::new();
    let anna = known(&shop, "adult").await;
    let id = anna.id().clone();
    assert_eq!(greet(anna).await, format!("1 proof of {id}"));
    let nils = known(&shop, "national").await;
    assert_ne!(*nils.id(), id);
    assert!(nils.proof(&TestShop::age()).await.unwrap().is_some());
    shop.advance_s(30 * 60 + 1);
    assert!(nils.proof(&TestShop::age()).await.unwrap().is_none());
    assert!(nils.claims(&TestShop::age()).await.unwrap().is_none(), "claims are read for fifteen minutes");
}
