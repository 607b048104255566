//! Two who meet by a number: a customer and a desk of the shop, a customer and a browser that nobody knows. And what a code
//! between two devices is worth: nothing of a record that is known.

use axum::response::IntoResponse;
use firsthand::{
    Ask, CustomerId, Device, Error, Merchant,
    ask::{PID, Wanted},
    customer::{Alias, Binding, BindingName, Rung},
    env::Env,
    history::Happened,
    meeting::{DeskAct, MeetingError, Number, Recognition, SHOP_TRIES_MAX, Ticket},
    merchant::{Desk, Opened, Operator, ProofRequest},
    protocol::jose::SigningKey,
    store::{Expect, Key, Memory, Record, Store, Write},
    testing::{
        issuer::{Credential, Issuer},
        wallet::Wallet,
    },
    time::UnixTime,
};
use firsthand_axum::{
    DeskAnswer, DeskOpened,
    testing::{Browser, Reply, TestShop, response_code},
};
use futures_util::future::join_all;
use http::{Method, StatusCode};
use http_body_util::BodyExt;
use serde_json::{Value, json};
use url::Url;

use crate::setting::{browser, customer, on_every_store, refused, signed_headers};

/// What a returning customer is asked for.
fn back() -> Ask {
    Ask::new("back", "Welcome back").recognise()
}

/// What a customer is asked for, new or returning.
fn name() -> Ask {
    let wanted = Wanted::sd_jwt_vc(PID).claim(["given_name"]);
    Ask::new("name", "To greet you").credential("pid", wanted).keep("given_name", "To greet you", 3600).recognise()
}

fn shop() -> (TestShop, Memory) {
    let store = Memory::new();
    (TestShop::with(|builder| builder.store(store.clone()).ask(&back()).ask(&name())), store)
}

async fn known(shop: &TestShop) -> Browser {
    let mut browser = browser(shop);
    browser.sign_in("adult").await;
    browser
}

fn desk(merchant: &Merchant) -> Desk {
    desk_of(merchant, "u-17")
}

fn desk_of(merchant: &Merchant, operator: &str) -> Desk {
    merchant.desk(&Operator { id: operator, desk: "Customer service" }).unwrap()
}

async fn open(desk: &Desk) -> Opened {
    desk.open("A question about an order", "Order 4711").await.unwrap()
}

async fn types(browser: &mut Browser, number: &str) -> Reply {
    browser.post_json("/wallet/calls", &json!({ "number": number })).await
}

/// Types the number; the path of the answer.
async fn met(browser: &mut Browser, opened: &Opened) -> String {
    let reply = types(browser, &opened.number.reveal()).await;
    assert_eq!(reply.status, StatusCode::OK, "{}", reply.text());
    format!("/wallet/calls/{}", reply.json()["id"].as_str().unwrap())
}

async fn says_yes(browser: &mut Browser, path: &str) -> Reply {
    browser.signed(Method::POST, path, None).await
}

/// A number that is nobody's at this moment.
fn wrong(right: &Number) -> String {
    let digits: String = right.reveal().chars().filter(char::is_ascii_digit).collect();
    format!("{:06}", (digits.parse::<u32>().unwrap() + 1) % 1_000_000)
}

#[track_caller]
fn says(answer: Result<Recognition, Error>, error: MeetingError) {
    match answer {
        Err(Error::Meeting(found)) => assert_eq!(found, error),
        other => panic!("{other:?}"),
    }
}

async fn history(shop: &TestShop, customer: &CustomerId) -> Vec<Happened> {
    let customer = shop.merchant().customer(customer).await.unwrap().unwrap();
    customer.history().await.unwrap().into_iter().map(|entry| entry.what).collect()
}

async fn acts(shop: &TestShop) -> Vec<(DeskAct, Option<CustomerId>)> {
    let log = shop.merchant().desk_log(None).await.unwrap();
    let mut acts: Vec<_> = log.entries.into_iter().map(|entry| (entry.at, entry.act, entry.customer)).collect();
    acts.sort_by_key(|(at, ..)| *at);
    acts.into_iter().map(|(_, act, customer)| (act, customer)).collect()
}

/// A record as another part of the shop writes it.
fn record(kind: &'static str, partition: &str, sort: &str, body: Value) -> Write {
    let record = Record { schema: 1, body: body.to_string(), expires_at: None };
    Write::put(Key::new(kind, partition, sort), record, Expect::Any)
}

/// A wallet with a relationship credential of this customer, as the shop issues them.
async fn relationship(shop: &TestShop, store: &Memory, customer: &CustomerId) -> Wallet {
    let mut wallet = Wallet::new();
    holds_relationship(&mut wallet, shop, store, customer).await;
    wallet
}

async fn holds_relationship(wallet: &mut Wallet, shop: &TestShop, store: &Memory, customer: &CustomerId) {
    let (now, clock) = (shop.clock().now(), shop.clock());
    let draw = || {
        let mut bytes = [0; 32];
        clock.fill(&mut bytes);
        bytes
    };
    let alias = Alias::from_random(draw()[..16].try_into().unwrap());
    let name = BindingName::credential(&alias);
    let binding = Binding::new(customer.clone(), Rung::RelationshipCredential, Some("did:jwk:seen".into()), now);
    let writes = [
        record("binding", name.as_str(), "", json!(binding)),
        record(
            "customer_binding",
            customer.as_str(),
            name.as_str(),
            json!({"did": null, "rung": "relationship_credential", "since": now}),
        ),
    ];
    store.commit(&writes, now).await.unwrap();

    let holder = SigningKey::from_p256_scalar(&draw()).unwrap();
    let identity = shop.keys().identity();
    let chain = identity.chain().iter().map(|certificate| certificate.der().to_vec()).collect();
    let issuer =
        Issuer::new(identity.key().clone(), chain, Url::parse("https://shop.example/wallet/status/1").unwrap());
    let mut credential = Credential::new("https://shop.example/wallet/relationship", now);
    credential.holder = Some(holder.public_key().clone());
    credential.plain.insert("iss".into(), json!("https://shop.example"));
    credential.plain.insert("sub".into(), json!(alias.as_str()));
    wallet.hold(&issuer.issue(&credential, clock).unwrap(), holder).unwrap();
}

/// The name of the only relationship credential of this customer.
async fn credential_of(shop: &TestShop, customer: &CustomerId) -> BindingName {
    let customer = shop.merchant().customer(customer).await.unwrap().unwrap();
    let mut bindings = customer.bindings().await.unwrap();
    bindings.retain(|binding| binding.rung == Rung::RelationshipCredential);
    assert_eq!(bindings.len(), 1);
    bindings.remove(0).name
}

/// The browser asks who comes back, and this wallet answers.
async fn shows(browser: &mut Browser, wallet: &Wallet, device: Device) -> Reply {
    shows_for("back", browser, wallet, device).await
}

async fn shows_for(ask: &str, browser: &mut Browser, wallet: &Wallet, device: Device) -> Reply {
    let asking = browser.ask(ask, device).await;
    let request = browser.wallet_reads(&asking).await;
    let clock = browser.shop().clock().clone();
    let form = wallet.answer(&request, &wallet.choose(&request).unwrap(), &[], &clock).unwrap();
    let answer = browser.wallet_posts(&request, &form).await;
    assert_eq!(answer.status, StatusCode::OK, "{}", answer.text());
    let redeeming = match device {
        Device::SameDevice => json!({ "presentation": asking.id, "response_code": response_code(&answer) }),
        _ => json!({ "presentation": asking.id }),
    };
    browser.redeem(&redeeming).await
}

#[tokio::test]
async fn the_desk_sees_who_typed_the_number_that_the_operator_said() {
    on_every_store("the_desk_sees_who_typed_the_number_that_the_operator_said", async |shop| {
        let mut browser = known(&shop).await;
        let id = customer(&mut browser).await;
        let desk = desk(shop.merchant());
        let opened = open(&desk).await;
        assert_eq!(opened.link.as_str(), "https://shop.example/wallet/call");
        assert_eq!((opened.number_expires_in_s, opened.expires_in_s, opened.interval_s), (120, 720, 2));
        says(desk.recognition(&opened.ticket).await, MeetingError::Pending { interval_s: 2 });
        assert_eq!(browser.get("/wallet/calls").await.json(), json!({}));

        let reply = types(&mut browser, &opened.number.reveal()).await;
        let body = reply.json();
        assert_eq!(
            body,
            json!({
                "id": opened.id.as_str(), "desk": "Customer service", "purpose": "A question about an order",
                "binding_message": "Order 4711", "expires_in": 600,
            })
        );
        assert_eq!(browser.get("/wallet/calls").await.json(), json!({ "meeting": body }), "after a reload");
        shop.advance_s(2);
        says(desk.recognition(&opened.ticket).await, MeetingError::Pending { interval_s: 2 });

        shop.advance_s(1);
        let path = format!("/wallet/calls/{}", opened.id.as_str());
        assert_eq!(says_yes(&mut browser, &path).await.status, StatusCode::NO_CONTENT);
        let now = shop.clock().now();
        let seen = desk.recognition(&opened.ticket).await.unwrap();
        assert_eq!(
            seen,
            Recognition { customer: id.clone(), rung: Rung::BrowserKey, proved_at: now, expires_at: now.plus_s(600) }
        );
        assert_eq!(desk.recognition(&opened.ticket).await.unwrap(), seen, "as often as it looks");
        shop.advance_s(600);
        says(desk.recognition(&opened.ticket).await, MeetingError::Expired);

        refused(&says_yes(&mut browser, &path).await, 404, "no_such_meeting");
        assert_eq!(browser.get("/wallet/calls").await.json(), json!({}));
        assert_eq!(history(&shop, &id).await[0], Happened::DeskRecognised { desk: "Customer service".into() });
        let recognised = DeskAct::Recognised { rung: Rung::BrowserKey };
        let mut all = acts(&shop).await;
        assert_eq!(all.remove(0), (DeskAct::Opened, None));
        all.sort_by_key(|(act, _)| *act == DeskAct::Seen);
        assert_eq!(all, [(recognised, Some(id.clone())), (DeskAct::Seen, Some(id))]);
    })
    .await;
}

#[tokio::test]
async fn whoever_has_a_strong_binding_shows_it_first() {
    let (shop, store) = shop();
    let mut browser = known(&shop).await;
    let id = customer(&mut browser).await;
    let wallet = relationship(&shop, &store, &id).await;
    let desk = desk(shop.merchant());
    let opened = open(&desk).await;
    let path = met(&mut browser, &opened).await;
    refused(&says_yes(&mut browser, &path).await, 403, "step_up_needed");
    says(desk.recognition(&opened.ticket).await, MeetingError::Pending { interval_s: 2 });

    assert_eq!(shows(&mut browser, &wallet, Device::SameDevice).await.status, StatusCode::OK);
    let proved_at = shop.clock().now();
    shop.advance_s(301);
    refused(&says_yes(&mut browser, &path).await, 403, "step_up_needed");
    assert_eq!(shows(&mut browser, &wallet, Device::SameDevice).await.status, StatusCode::OK);
    shop.advance_s(60);
    assert_eq!(says_yes(&mut browser, &path).await.status, StatusCode::NO_CONTENT);
    let seen = desk.recognition(&opened.ticket).await.unwrap();
    assert_eq!((seen.customer, seen.rung), (id, Rung::RelationshipCredential));
    assert_eq!(seen.proved_at, proved_at.plus_s(301), "when it was shown, not when it was confirmed");
}

#[tokio::test]
async fn a_desk_may_ask_for_more_than_a_customer_has() {
    let (shop, store) = shop();
    let mut browser = known(&shop).await;
    let desk = desk(shop.merchant()).requiring(Rung::RelationshipCredential);
    let opened = open(&desk).await;
    let reply = types(&mut browser, &opened.number.reveal()).await;
    assert_eq!(reply.json()["rung"], "relationship_credential");
    let path = format!("/wallet/calls/{}", opened.id.as_str());
    refused(&says_yes(&mut browser, &path).await, 403, "rung_needed");
    let id = customer(&mut browser).await;
    let wallet = relationship(&shop, &store, &id).await;
    shows(&mut browser, &wallet, Device::SameDevice).await;
    assert_eq!(says_yes(&mut browser, &path).await.status, StatusCode::NO_CONTENT);
}

#[tokio::test]
async fn what_was_taken_away_since_it_was_shown_says_nothing_to_a_desk() {
    let (shop, store) = shop();
    let mut browser = known(&shop).await;
    let id = customer(&mut browser).await;
    let wallet = relationship(&shop, &store, &id).await;
    shows(&mut browser, &wallet, Device::SameDevice).await;
    let path = format!("/wallet/bindings/{}", credential_of(&shop, &id).await.as_str());
    assert_eq!(browser.delete(&path).await.status, StatusCode::NO_CONTENT);
    let any = desk(shop.merchant());
    let strong = desk(shop.merchant()).requiring(Rung::RelationshipCredential);
    let opened = open(&strong).await;
    let path = met(&mut browser, &opened).await;
    refused(&says_yes(&mut browser, &path).await, 403, "rung_needed");
    strong.close(&opened.ticket).await.unwrap();
    let opened = open(&any).await;
    let path = met(&mut browser, &opened).await;
    assert_eq!(says_yes(&mut browser, &path).await.status, StatusCode::NO_CONTENT);
    assert_eq!(any.recognition(&opened.ticket).await.unwrap().rung, Rung::BrowserKey);
}

#[tokio::test]
async fn whoever_came_back_by_a_code_is_nobody_at_a_desk_for_days() {
    let (shop, store) = shop();
    let mut own = known(&shop).await;
    let id = customer(&mut own).await;
    let wallet = relationship(&shop, &store, &id).await;
    shop.advance_s(60);
    let mut found = browser(&shop);
    let code = shop.merchant().customer(&id).await.unwrap().unwrap().hand_out_recovery_code().await.unwrap();
    let reply = found.post_json("/wallet/recovery", &json!({ "code": code.reveal() })).await;
    found.token = Some(reply.json()["access_token"].as_str().unwrap().to_owned());
    // With a credential that came to the record after it.
    let later = relationship(&shop, &store, &id).await;
    shows(&mut found, &later, Device::SameDevice).await;
    let desk = desk(shop.merchant());
    let opened = open(&desk).await;
    let path = met(&mut found, &opened).await;
    refused(&says_yes(&mut found, &path).await, 403, "cooling_down");
    says(desk.recognition(&opened.ticket).await, MeetingError::Pending { interval_s: 2 });
    // What was there before says who it is.
    shows(&mut found, &wallet, Device::SameDevice).await;
    assert_eq!(says_yes(&mut found, &path).await.status, StatusCode::NO_CONTENT);
}

#[tokio::test]
async fn a_number_is_good_once_and_for_two_minutes() {
    let (shop, _) = shop();
    let (mut one, mut other) = (known(&shop).await, known(&shop).await);
    let desk = desk(shop.merchant());
    let opened = open(&desk).await;
    shop.advance_s(120);
    refused(&types(&mut one, &opened.number.reveal()).await, 403, "wrong_number");
    says(desk.recognition(&opened.ticket).await, MeetingError::Expired);

    let opened = open(&desk).await;
    shop.advance_s(119);
    let path = met(&mut one, &opened).await;
    refused(&types(&mut other, &opened.number.reveal()).await, 403, "wrong_number");
    refused(&types(&mut one, &opened.number.reveal()).await, 409, "in_another_meeting");
    // The meeting is the first customer's alone.
    refused(&says_yes(&mut other, &path).await, 404, "no_such_meeting");
    refused(&other.delete(&path).await, 404, "no_such_meeting");
    for bad in ["", "12345", "1234567", "abcdef", "１２３４５６"] {
        refused(&types(&mut other, bad).await, 403, "wrong_number");
    }
    assert_eq!(says_yes(&mut one, &path).await.status, StatusCode::NO_CONTENT);
    refused(&types(&mut other, &opened.number.reveal()).await, 403, "wrong_number");
}

#[tokio::test]
async fn row_09_two_who_type_a_number_at_once_are_one_who_met_the_desk() {
    let (shop, _) = shop();
    let desk = desk(shop.merchant());
    let mut browsers = Vec::new();
    for _ in 0..6 {
        browsers.push(known(&shop).await);
    }
    let number = open(&desk).await.number.reveal();
    let replies = join_all(browsers.iter_mut().map(|browser| types(browser, &number))).await;
    assert_eq!(replies.iter().filter(|reply| reply.status == StatusCode::OK).count(), 1);
}

#[tokio::test]
async fn there_are_ten_minutes_to_prove_it() {
    let (shop, _) = shop();
    let mut browser = known(&shop).await;
    let desk = desk(shop.merchant());
    let opened = open(&desk).await;
    let path = met(&mut browser, &opened).await;
    shop.advance_s(600);
    refused(&says_yes(&mut browser, &path).await, 410, "expired_token");
    refused(&browser.delete(&path).await, 410, "expired_token");
    says(desk.recognition(&opened.ticket).await, MeetingError::Expired);
    // The customer is free for the next one.
    met(&mut browser, &open(&desk).await).await;
}

#[tokio::test]
async fn whoever_guesses_waits() {
    let (shop, _) = shop();
    let mut browser = known(&shop).await;
    let desk = desk(shop.merchant());
    let opened = open(&desk).await;
    for _ in 0..3 {
        refused(&types(&mut browser, &wrong(&opened.number)).await, 403, "wrong_number");
    }
    let waits = types(&mut browser, &opened.number.reveal()).await;
    refused(&waits, 429, "too_many_requests");
    assert_eq!(waits.header("retry-after"), "300");
    shop.advance_s(300);
    let opened = open(&desk).await;
    met(&mut browser, &opened).await;
}

#[tokio::test]
async fn row_07_guessing_in_parallel_is_guessing_three_times() {
    let (shop, _) = shop();
    let browser = known(&shop).await;
    let opened = open(&desk(shop.merchant())).await;
    let mut tabs: Vec<Browser> = (0..40).map(|_| browser.clone()).collect();
    let number = wrong(&opened.number);
    let replies = join_all(tabs.iter_mut().map(|tab| types(tab, &number))).await;
    let told = |code: &str| replies.iter().filter(|reply| reply.code() == code).count();
    assert_eq!(told("wrong_number"), 3);
    assert_eq!(told("wrong_number") + told("too_many_requests") + told("unavailable"), 40);
    let mut browser = browser;
    refused(&types(&mut browser, &opened.number.reveal()).await, 429, "too_many_requests");
}

#[tokio::test]
async fn a_number_is_void_after_a_hundred_wrong_ones_whoever_typed_them() {
    let (shop, _) = shop();
    let mut honest = known(&shop).await;
    let desk = desk(shop.merchant());
    let opened = open(&desk).await;
    let mut guessed = 0;
    while guessed < SHOP_TRIES_MAX {
        let mut crook = known(&shop).await;
        for _ in 0..3 {
            refused(&types(&mut crook, &wrong(&opened.number)).await, 403, "wrong_number");
            guessed += 1;
        }
    }
    refused(&types(&mut honest, &opened.number.reveal()).await, 403, "wrong_number");
    // The next one is good again.
    met(&mut honest, &open(&desk).await).await;
}

#[tokio::test]
async fn nobody_sits_at_a_desk_without_a_name_and_what_it_says_is_plain() {
    let (shop, _) = shop();
    let desk_of = |id: &str, desk: &str| shop.merchant().desk(&Operator { id, desk }).map(drop);
    for nobody in ["", "  ", "a\u{7}", &"a".repeat(65)] {
        assert_eq!(desk_of(nobody, "Till").unwrap_err().code(), "invalid_operator", "{nobody:?}");
    }
    for name in ["", "<b>Till</b>", "Till\n3", &"a".repeat(65)] {
        assert_eq!(desk_of("u-17", name).unwrap_err().code(), "invalid_meeting_text", "{name:?}");
    }
    let desk = desk(shop.merchant());
    for (purpose, message) in [
        ("", "Order 4711"),
        ("A question", ""),
        (&*"a".repeat(81), "Order 4711"),
        ("A question", &*"a".repeat(41)),
        ("A question", "www.evil.example <-"),
        ("A question\u{202e}", "Order 4711"),
    ] {
        assert_eq!(desk.open(purpose, message).await.unwrap_err().code(), "invalid_meeting_text");
    }
    assert!(desk.open(&"ü".repeat(80), &"ß".repeat(40)).await.is_ok());
}

#[tokio::test]
async fn an_operator_has_three_open_at_once() {
    let (shop, _) = shop();
    let mut browser = known(&shop).await;
    let desk = desk(shop.merchant());
    let opened = [open(&desk).await, open(&desk).await, open(&desk).await];
    let flood = async || desk.open("A question", "Order 4711").await.map(drop).unwrap_err().code();
    assert_eq!(flood().await, "too_many_meetings");
    open(&desk_of(shop.merchant(), "u-18")).await;

    desk.close(&opened[0].ticket).await.unwrap();
    says(desk.recognition(&opened[0].ticket).await, MeetingError::NoSuchMeeting);
    refused(&types(&mut browser, &opened[0].number.reveal()).await, 403, "wrong_number");
    open(&desk).await;
    assert_eq!(flood().await, "too_many_meetings");

    // A customer who has typed the number keeps the place, until they have answered.
    let path = met(&mut browser, &opened[1]).await;
    shop.advance_s(120);
    let more = [open(&desk).await, open(&desk).await];
    assert_eq!(flood().await, "too_many_meetings");
    assert_eq!(says_yes(&mut browser, &path).await.status, StatusCode::NO_CONTENT);
    open(&desk).await;
    assert_eq!(flood().await, "too_many_meetings");
    drop(more);

    let parallel = join_all(
        (0..20).map(|_| async { desk_of(shop.merchant(), "u-19").open("A question", "Order 4711").await.is_ok() }),
    )
    .await;
    assert_eq!(parallel.into_iter().filter(|is_open| *is_open).count(), 3);
}

#[tokio::test]
async fn a_desk_that_closes_ends_what_the_customer_sees() {
    let (shop, _) = shop();
    let mut browser = known(&shop).await;
    let desk = desk(shop.merchant());
    let opened = open(&desk).await;
    let path = met(&mut browser, &opened).await;
    let stranger = desk_of(shop.merchant(), "u-18");
    assert_eq!(stranger.close(&opened.ticket).await.unwrap_err().code(), "no_such_meeting");
    desk.close(&opened.ticket).await.unwrap();
    refused(&says_yes(&mut browser, &path).await, 404, "no_such_meeting");
    met(&mut browser, &open(&desk).await).await;
}

#[tokio::test]
async fn a_desk_that_looks_too_often_is_slowed_down() {
    let (shop, _) = shop();
    let mut browser = known(&shop).await;
    let desk = desk(shop.merchant());
    let opened = open(&desk).await;
    let look = async || desk.recognition(&opened.ticket).await;
    says(look().await, MeetingError::Pending { interval_s: 2 });
    shop.advance_s(2);
    says(look().await, MeetingError::Pending { interval_s: 2 });
    shop.advance_s(1);
    says(look().await, MeetingError::SlowDown { interval_s: 7 });
    shop.advance_s(6);
    says(look().await, MeetingError::SlowDown { interval_s: 12 });
    shop.advance_s(12);
    says(look().await, MeetingError::Pending { interval_s: 12 });
    // Whoever has something to see is told at once.
    let path = met(&mut browser, &opened).await;
    says_yes(&mut browser, &path).await;
    assert!(look().await.is_ok() && look().await.is_ok());
}

#[tokio::test]
async fn a_refusal_is_told_and_the_next_number_waits() {
    let (shop, _) = shop();
    let mut browser = known(&shop).await;
    let id = customer(&mut browser).await;
    let desk = desk(shop.merchant());
    let opened = open(&desk).await;
    let path = met(&mut browser, &opened).await;
    assert_eq!(browser.delete(&path).await.status, StatusCode::NO_CONTENT);
    says(desk.recognition(&opened.ticket).await, MeetingError::Denied);
    refused(&says_yes(&mut browser, &path).await, 404, "no_such_meeting");
    assert!(history(&shop, &id).await.contains(&Happened::DeskRefused { desk: "Customer service".into() }));
    assert!(acts(&shop).await.contains(&(DeskAct::Refused, Some(id))));

    for wait_s in ["60", "120"] {
        let waits = types(&mut browser, &open(&desk).await.number.reveal()).await;
        refused(&waits, 429, "too_many_requests");
        assert_eq!(waits.header("retry-after"), wait_s);
        shop.advance_s(120);
        let path = met(&mut browser, &open(&desk).await).await;
        browser.delete(&path).await;
    }
}

#[tokio::test]
async fn only_the_operator_who_opened_it_sees_who_it_is() {
    let (shop, _) = shop();
    let mut browser = known(&shop).await;
    let desk = desk(shop.merchant());
    let opened = open(&desk).await;
    let path = met(&mut browser, &opened).await;
    says_yes(&mut browser, &path).await;
    let other = desk_of(shop.merchant(), "u-18");
    says(other.recognition(&opened.ticket).await, MeetingError::NoSuchMeeting);
    // The name that the customer's side knows opens nothing at the desk's.
    let name: Ticket = opened.id.as_str().parse().unwrap();
    says(desk.recognition(&name).await, MeetingError::NoSuchMeeting);
    assert!(!acts(&shop).await.iter().any(|(act, _)| *act == DeskAct::Seen));
    assert!(desk.recognition(&opened.ticket).await.is_ok());
}

#[tokio::test]
async fn a_session_that_came_by_a_code_says_nothing_to_a_desk() {
    let (shop, _) = shop();
    let mut browser = browser(&shop);
    let asking = browser.ask("age", Device::CrossDevice).await;
    let request = browser.wallet_reads(&asking).await;
    browser.wallet_answers(&request, "adult", &[]).await;
    browser.redeem(&json!({ "presentation": asking.id })).await;
    let opened = open(&desk(shop.merchant())).await;
    refused(&types(&mut browser, &opened.number.reveal()).await, 403, "across_devices");
    refused(&browser.get("/wallet/calls").await, 403, "across_devices");
    // Nor does the session that the key begins by itself.
    browser.token = None;
    assert_eq!(browser.redeem(&json!({})).await.status, StatusCode::OK);
    refused(&types(&mut browser, &opened.number.reveal()).await, 403, "across_devices");
    // A stranger has no session at all.
    let mut stranger = browser.another();
    refused(&types(&mut stranger, &opened.number.reveal()).await, 401, "not_known");
    refused(&stranger.get("/wallet/calls").await, 401, "not_known");
}

#[tokio::test]
async fn whoever_is_signed_out_in_between_is_not_recognised() {
    let (shop, _) = shop();
    let mut browser = known(&shop).await;
    let id = customer(&mut browser).await;
    let desk = desk(shop.merchant());
    let opened = open(&desk).await;
    let path = met(&mut browser, &opened).await;
    shop.merchant().customer(&id).await.unwrap().unwrap().revoke_all().await.unwrap();
    refused(&says_yes(&mut browser, &path).await, 401, "invalid_token");
    says(desk.recognition(&opened.ticket).await, MeetingError::Pending { interval_s: 2 });
}

#[tokio::test]
async fn a_captured_answer_is_worth_nothing() {
    let (shop, _) = shop();
    let mut browser = known(&shop).await;
    let desk = desk(shop.merchant());
    let opened = open(&desk).await;
    let body = json!({ "number": opened.number.reveal() }).to_string();
    browser.get("/wallet/me").await;
    let claims = browser.claims(&Method::POST, "/wallet/calls", Some(body.as_bytes()));
    let proof = browser.sign(&claims);
    let headers = signed_headers(&browser, &proof, Some("application/json"));
    let first = browser.send(&Method::POST, "/wallet/calls", headers.clone(), body.as_bytes()).await;
    assert_eq!(first.status, StatusCode::OK, "{}", first.text());
    let path = format!("/wallet/calls/{}", opened.id.as_str());
    browser.delete(&path).await;
    shop.advance_s(60);
    open(&desk).await;
    let again = browser.send(&Method::POST, "/wallet/calls", headers, body.as_bytes()).await;
    assert_eq!((again.status.as_u16(), again.code().as_str()), (401, "invalid_dpop_proof"), "{}", again.text());
    // A body that the proof does not name is not read.
    let headers = signed_headers(
        &browser,
        &browser.sign(&browser.claims(&Method::POST, "/wallet/calls", None)),
        Some("application/json"),
    );
    let unnamed = browser.send(&Method::POST, "/wallet/calls", headers, body.as_bytes()).await;
    assert_eq!(unnamed.status, StatusCode::UNAUTHORIZED);
}

#[tokio::test]
async fn two_shops_with_one_root_secret_share_no_number() {
    let (shop, store) = shop();
    let other = Merchant::builder(Url::parse("https://other.example").unwrap())
        .keys(shop.keys().clone())
        .trust(shop.cast().trust().unwrap())
        .fetch(shop.network().clone())
        .env(shop.clock().clone())
        .store(store)
        .build()
        .unwrap();
    let mut browser = known(&shop).await;
    let there = desk(&other);
    let opened = open(&there).await;
    refused(&types(&mut browser, &opened.number.reveal()).await, 403, "wrong_number");
    // Nor places: there are three of the same operator in each.
    open(&there).await;
    open(&there).await;
    open(&desk(shop.merchant())).await;
    assert_eq!(other.desk_log(None).await.unwrap().entries.len(), 3);
    assert_eq!(shop.merchant().desk_log(None).await.unwrap().entries.len(), 1);
}

#[tokio::test]
async fn the_log_of_the_desks_goes_on_by_pages_and_says_nothing_of_what_was_spoken() {
    let (shop, _) = shop();
    for number in 0..70 {
        let desk = desk_of(shop.merchant(), &format!("u-{number}"));
        let opened = desk.open("zqPurpose", "zqMessage").await.unwrap();
        desk.close(&opened.ticket).await.unwrap();
        shop.advance_s(1);
    }
    let first = shop.merchant().desk_log(None).await.unwrap();
    let rest = shop.merchant().desk_log(first.next.as_deref()).await.unwrap();
    assert_eq!((first.entries.len(), rest.entries.len(), rest.next.is_none()), (100, 40, true));
    assert_eq!((first.entries[0].operator.as_str(), rest.entries[39].operator.as_str()), ("u-69", "u-0"));
    let text = format!("{first:?}");
    assert!(!text.contains("zqPurpose") && !text.contains("zqMessage"));
    shop.advance_s(366 * 24 * 3600);
    assert!(shop.merchant().desk_log(None).await.unwrap().entries.is_empty(), "a year");
}

#[tokio::test]
async fn a_customer_sees_whether_the_shop_is_calling() {
    let (shop, _) = shop();
    let (mut browser, mut other) = (known(&shop).await, known(&shop).await);
    let id = customer(&mut browser).await;
    let desk = desk(shop.merchant());
    let starts_at = shop.clock().now().plus_s(61);
    let announce = async |starts_at| desk.announce_call(&id, "Your delivery", "+43 1 234 56", starts_at).await;
    announce(starts_at).await.unwrap();
    let told = browser.get("/wallet/calls").await.json();
    assert_eq!(
        told["call"],
        json!({
            "desk": "Customer service", "purpose": "Your delivery", "telephone": "+43 1 234 56",
            "is_on": false, "starts_at": "2026-11-22T12:01:01Z", "until": "2026-11-22T12:06:01Z",
        }),
        "whoever calls before that is not the shop"
    );
    shop.advance_s(1);
    assert_eq!(browser.get("/wallet/calls").await.json()["call"]["is_on"], true);
    assert_eq!(other.get("/wallet/calls").await.json(), json!({}), "nobody else is called");
    assert_eq!(announce(starts_at).await.unwrap_err().code(), "call_announced");
    let stranger = desk_of(shop.merchant(), "u-18");
    assert_eq!(stranger.call_over(&id).await.unwrap_err().code(), "no_such_meeting");

    desk.call_over(&id).await.unwrap();
    assert_eq!(browser.get("/wallet/calls").await.json(), json!({}));
    assert_eq!(desk.call_over(&id).await.unwrap_err().code(), "no_such_meeting");

    announce(starts_at).await.unwrap();
    shop.advance_s(60 + 300);
    assert_eq!(browser.get("/wallet/calls").await.json(), json!({}), "five minutes after it began");

    let now = shop.clock().now();
    for at in [now.minus_s(1), now.plus_s(3601), UnixTime::from_secs(i64::MAX)] {
        assert_eq!(announce(at).await.unwrap_err().code(), "invalid_starts_at");
    }
    let swapped = desk.announce_call(&id, "+43 1 234 56", "Your delivery", now).await.unwrap_err();
    assert_eq!(swapped.code(), "invalid_telephone");
    let nobody = CustomerId::from_random([9; 16]);
    let refusal = desk.announce_call(&nobody, "Your delivery", "+43 1 234 56", now).await.unwrap_err();
    assert_eq!(refusal.code(), "not_recognised");
    let did = acts(&shop).await.into_iter().map(|(act, _)| act).collect::<Vec<_>>();
    assert_eq!(did.iter().filter(|act| **act == DeskAct::CallAnnounced).count(), 2);
    assert!(did.contains(&DeskAct::CallOver));
    // Whoever is forgotten is called by nobody.
    announce(now).await.unwrap();
    shop.merchant().customer(&id).await.unwrap().unwrap().forget().await.unwrap();
    assert_eq!(desk.call_over(&id).await.unwrap_err().code(), "not_recognised");
}

#[tokio::test]
async fn a_desks_page_is_told_in_the_words_of_ciba() {
    let (shop, _) = shop();
    let mut browser = known(&shop).await;
    let desk = desk(shop.merchant());
    let opened = open(&desk).await;
    let ticket = opened.ticket.clone();
    let (status, body) = told(DeskOpened::from(opened.clone())).await;
    assert_eq!(status, 200);
    assert_eq!(body["auth_req_id"], ticket.reveal());
    assert_eq!(
        (&body["expires_in"], &body["interval"], &body["number_expires_in"]),
        (&json!(720), &json!(2), &json!(120))
    );
    assert_eq!(body["number"], opened.number.reveal());
    assert_eq!(body["link"], "https://shop.example/wallet/call");

    let look = async || told(DeskAnswer::from(desk.recognition(&ticket).await)).await;
    let (status, body) = look().await;
    assert_eq!((status, &body["error"], &body["interval"]), (400, &json!("authorization_pending"), &json!(2)));
    let (status, body) = look().await;
    assert_eq!((status, &body["error"], &body["interval"]), (400, &json!("slow_down"), &json!(7)));
    let path = met(&mut browser, &opened).await;
    says_yes(&mut browser, &path).await;
    let (status, body) = look().await;
    assert_eq!(status, 200);
    assert_eq!(body["customer"], customer(&mut browser).await.to_string());
    assert_eq!(
        (&body["rung"], &body["proved_at"], &body["expires_at"]),
        (&json!("browser_key"), &json!("2026-11-22T12:00:00Z"), &json!("2026-11-22T12:10:00Z"))
    );
    shop.advance_s(600);
    assert_eq!(look().await.1["error"], "expired_token");
    shop.advance_s(600);
    assert_eq!(look().await.1["error"], "invalid_grant");
    let refused = open(&desk).await;
    let path = met(&mut browser, &refused).await;
    browser.delete(&path).await;
    let (status, body) = told(DeskAnswer::from(desk.recognition(&refused.ticket).await)).await;
    assert_eq!((status, &body["error"]), (400, &json!("access_denied")));
}

async fn told(answer: impl IntoResponse) -> (u16, Value) {
    let response = answer.into_response();
    assert_eq!(response.headers()["cache-control"], "private, no-store");
    let status = response.status().as_u16();
    let body = response.into_body().collect().await.unwrap().to_bytes();
    (status, serde_json::from_slice(&body).unwrap())
}

/// A browser that nobody knows, and what it was told.
struct Waiting {
    browser: Browser,
    path: String,
    voucher: String,
    number: Number,
}

async fn waiting(shop: &TestShop) -> Waiting {
    waits(browser(shop)).await
}

async fn waits(mut browser: Browser) -> Waiting {
    let reply = browser.signed(Method::POST, "/wallet/joins", None).await;
    assert_eq!(reply.status, StatusCode::CREATED, "{}", reply.text());
    let body = reply.json();
    assert_eq!((&body["expires_in"], &body["interval"]), (&json!(300), &json!(2)));
    let voucher = body["link"].as_str().unwrap().strip_prefix("https://shop.example/wallet/join#").unwrap();
    Waiting {
        browser,
        path: format!("/wallet/joins/{}", body["id"].as_str().unwrap()),
        voucher: format!("/wallet/vouchers/{voucher}"),
        number: body["number"].as_str().unwrap().parse().unwrap(),
    }
}

impl Waiting {
    async fn state(&mut self) -> String {
        let reply = self.browser.get(&self.path).await;
        assert_eq!(reply.status, StatusCode::OK, "{}", reply.text());
        reply.json()["state"].as_str().unwrap().to_owned()
    }

    async fn takes(&mut self) -> Reply {
        let reply = self.browser.signed(Method::POST, &format!("{}/session", self.path), None).await;
        if reply.status == StatusCode::OK {
            self.browser.token = Some(reply.json()["access_token"].as_str().unwrap().to_owned());
        }
        reply
    }

    async fn vouched(&self, by: &mut Browser, number: &str) -> Reply {
        by.post_json(&self.voucher, &json!({ "number": number })).await
    }
}

#[tokio::test]
async fn a_browser_becomes_the_customers_by_the_number_on_its_screen() {
    on_every_store("a_browser_becomes_the_customers_by_the_number_on_its_screen", async |shop| {
        let mut own = known(&shop).await;
        let id = customer(&mut own).await;
        let mut waiting = waiting(&shop).await;
        assert_eq!(waiting.state().await, "waiting");
        refused(&waiting.takes().await, 409, "authorization_pending");
        let view = own.get(&waiting.voucher).await.json();
        assert_eq!(view, json!({ "expires_in": 300 }), "it did not say what it is");
        assert_eq!(waiting.vouched(&mut own, &waiting.number.reveal()).await.status, StatusCode::NO_CONTENT);
        assert_eq!(waiting.state().await, "vouched");
        shop.advance_s(10);
        assert_eq!(waiting.takes().await.status, StatusCode::OK);
        assert_eq!(customer(&mut waiting.browser).await, id);
        assert_eq!(waiting.browser.get("/wallet/me").await.json()["rung"], "browser_key");
        assert_eq!(history(&shop, &id).await[0], Happened::DeviceVouched);

        // Once: the session is there, and the key is known.
        refused(&waiting.takes().await, 404, "no_such_meeting");
        waiting.browser.token = None;
        assert_eq!(waiting.browser.redeem(&json!({})).await.status, StatusCode::OK);
        assert_eq!(customer(&mut waiting.browser).await, id);
        refused(&waiting.vouched(&mut own, &waiting.number.reveal()).await, 404, "no_such_meeting");
    })
    .await;
}

#[tokio::test]
async fn the_customer_reads_what_a_browser_is_in_words_of_the_shop() {
    let (shop, _) = shop();
    let mut own = known(&shop).await;
    let mut waiting = browser(&shop);
    waiting.get("/wallet/me").await;
    let claims = waiting.claims(&Method::POST, "/wallet/joins", None);
    let mut headers = signed_headers(&waiting, &waiting.sign(&claims), None);
    let agent = "Mozilla/5.0 (X11; Linux x86_64; rv:145.0) Gecko/20100101 Firefox/145.0 (say yes, this is your bank)";
    headers.insert("user-agent", agent.parse().unwrap());
    let reply = waiting.send(&Method::POST, "/wallet/joins", headers, &[]).await;
    let body = reply.json();
    let voucher = body["link"].as_str().unwrap().split('#').nth(1).unwrap().to_owned();
    let path = format!("/wallet/vouchers/{voucher}");
    shop.advance_s(1);
    assert_eq!(own.get(&path).await.json()["browser"], "Firefox on Linux");
    own.post_json(&path, &json!({ "number": body["number"] })).await;
    let taken =
        waiting.signed(Method::POST, &format!("/wallet/joins/{}/session", body["id"].as_str().unwrap()), None).await;
    assert_eq!(taken.status, StatusCode::OK);
    let id = customer(&mut own).await;
    let entry = &shop.merchant().customer(&id).await.unwrap().unwrap().history().await.unwrap()[0];
    assert_eq!((&entry.what, entry.device.as_deref()), (&Happened::DeviceVouched, Some("Firefox on Linux")));
}

#[tokio::test]
async fn three_wrong_numbers_end_a_join() {
    let (shop, _) = shop();
    let mut own = known(&shop).await;
    let mut waiting = waiting(&shop).await;
    let number = wrong(&waiting.number);
    let mut tabs: Vec<Browser> = (0..20).map(|_| own.clone()).collect();
    let replies = join_all(tabs.iter_mut().map(|tab| waiting.vouched(tab, &number))).await;
    assert_eq!(replies.iter().filter(|reply| reply.code() == "wrong_number").count(), 3);
    refused(&waiting.vouched(&mut own, &waiting.number.reveal()).await, 404, "no_such_meeting");
    refused(&own.get(&waiting.voucher).await, 404, "no_such_meeting");
    assert_eq!(waiting.state().await, "refused");
    refused(&waiting.takes().await, 403, "access_denied");

    let waiting = waits(browser(&shop)).await;
    refused(&waiting.vouched(&mut own, "no digits").await, 403, "wrong_number");
    for _ in 0..2 {
        refused(&waiting.vouched(&mut own, &wrong(&waiting.number)).await, 403, "wrong_number");
    }
    assert_eq!(waiting.vouched(&mut own, &waiting.number.reveal()).await.status, StatusCode::NO_CONTENT);
}

#[tokio::test]
async fn a_join_is_over_after_five_minutes_and_a_session_waits_for_two() {
    let (shop, _) = shop();
    let mut own = known(&shop).await;
    let mut first = waiting(&shop).await;
    shop.advance_s(300);
    refused(&first.vouched(&mut own, &first.number.reveal()).await, 410, "expired_token");
    refused(&own.get(&first.voucher).await, 410, "expired_token");
    assert_eq!(first.state().await, "expired");
    refused(&first.takes().await, 410, "expired_token");

    let mut second = waiting(&shop).await;
    shop.advance_s(299);
    assert_eq!(second.vouched(&mut own, &second.number.reveal()).await.status, StatusCode::NO_CONTENT);
    shop.advance_s(120);
    refused(&second.takes().await, 410, "expired_token");
    shop.advance_s(120);
    refused(&second.takes().await, 404, "no_such_meeting");
}

#[tokio::test]
async fn a_customer_says_that_a_browser_is_not_theirs() {
    let (shop, _) = shop();
    let mut own = known(&shop).await;
    let mut waiting = waiting(&shop).await;
    assert_eq!(own.delete(&waiting.voucher).await.status, StatusCode::NO_CONTENT);
    assert_eq!(waiting.state().await, "refused");
    refused(&waiting.takes().await, 403, "access_denied");
    refused(&waiting.vouched(&mut own, &waiting.number.reveal()).await, 404, "no_such_meeting");
}

#[tokio::test]
async fn only_the_browser_that_waits_takes_the_session() {
    let (shop, _) = shop();
    let mut own = known(&shop).await;
    let mut waiting = waiting(&shop).await;
    waiting.vouched(&mut own, &waiting.number.reveal()).await;
    let mut thief = waiting.browser.another();
    refused(&thief.get(&waiting.path).await, 404, "no_such_meeting");
    let session = format!("{}/session", waiting.path);
    refused(&thief.signed(Method::POST, &session, None).await, 404, "no_such_meeting");
    // The link is not the ticket.
    let by_link = waiting.voucher.replace("/vouchers/", "/joins/") + "/session";
    refused(&waiting.browser.signed(Method::POST, &by_link, None).await, 404, "no_such_meeting");
    assert_eq!(waiting.takes().await.status, StatusCode::OK);
}

#[tokio::test]
async fn whoever_has_a_strong_binding_shows_it_before_they_vouch() {
    let (shop, store) = shop();
    let mut own = known(&shop).await;
    let id = customer(&mut own).await;
    let wallet = relationship(&shop, &store, &id).await;
    let waiting = waiting(&shop).await;
    // A right number from a session that may not vouch is no try, and no oracle.
    for number in [waiting.number.reveal(), wrong(&waiting.number)] {
        refused(&waiting.vouched(&mut own, &number).await, 403, "step_up_needed");
    }
    refused(&own.get(&waiting.voucher).await, 403, "step_up_needed");
    shows(&mut own, &wallet, Device::SameDevice).await;
    shop.advance_s(299);
    assert_eq!(waiting.vouched(&mut own, &waiting.number.reveal()).await.status, StatusCode::NO_CONTENT);
}

#[tokio::test]
async fn a_session_that_came_by_a_code_vouches_for_nobody() {
    let (shop, _) = shop();
    let mut own = browser(&shop);
    let asking = own.ask("age", Device::CrossDevice).await;
    let request = own.wallet_reads(&asking).await;
    own.wallet_answers(&request, "adult", &[]).await;
    own.redeem(&json!({ "presentation": asking.id })).await;
    let mut waiting = waiting(&shop).await;
    refused(&own.get(&waiting.voucher).await, 403, "across_devices");
    refused(&waiting.vouched(&mut own, &waiting.number.reveal()).await, 403, "across_devices");
    assert_eq!(waiting.state().await, "waiting");
    let mut stranger = own.another();
    refused(&waiting.vouched(&mut stranger, &waiting.number.reveal()).await, 401, "not_known");
}

#[tokio::test]
async fn only_a_key_that_is_nobodys_joins() {
    let (shop, _) = shop();
    let mut own = known(&shop).await;
    let mut other = known(&shop).await;
    refused(&other.signed(Method::POST, "/wallet/joins", None).await, 409, "browser_known");
    other.delete("/wallet/sessions/current").await;
    other.token = None;
    refused(&other.signed(Method::POST, "/wallet/joins", None).await, 403, "binding_locked");

    // Somebody's by the time at which the session is taken.
    let mut waiting = waiting(&shop).await;
    waiting.vouched(&mut own, &waiting.number.reveal()).await;
    waiting.browser.sign_in("adult").await;
    let theirs = customer(&mut waiting.browser).await;
    refused(&waiting.takes().await, 409, "browser_known");
    assert_eq!(customer(&mut waiting.browser).await, theirs);
    waiting.browser.delete("/wallet/sessions/current").await;
    waiting.browser.token = None;
    refused(&waiting.takes().await, 403, "binding_locked");
}

#[tokio::test]
async fn a_browser_that_is_signed_out_has_vouched_for_nobody() {
    let (shop, _) = shop();
    let mut own = known(&shop).await;
    let id = customer(&mut own).await;
    let mut waiting = waiting(&shop).await;
    waiting.vouched(&mut own, &waiting.number.reveal()).await;
    own.delete("/wallet/sessions/current").await;
    refused(&waiting.takes().await, 403, "access_denied");
    assert_eq!(history(&shop, &id).await.iter().filter(|what| **what == Happened::DeviceVouched).count(), 0);

    // Nor one whose customer is forgotten.
    let mut own = known(&shop).await;
    let mut waiting = waits(browser(&shop)).await;
    waiting.vouched(&mut own, &waiting.number.reveal()).await;
    own.delete("/wallet/me").await;
    refused(&waiting.takes().await, 403, "access_denied");
}

#[tokio::test]
async fn two_who_vouch_at_once_are_one_who_did() {
    let (shop, _) = shop();
    let mut browsers = [known(&shop).await, known(&shop).await, known(&shop).await];
    let mut waiting = waiting(&shop).await;
    let number = waiting.number.reveal();
    let replies = join_all(browsers.iter_mut().map(|browser| waiting.vouched(browser, &number))).await;
    assert_eq!(replies.iter().filter(|reply| reply.status == StatusCode::NO_CONTENT).count(), 1);
    let mut again = waiting.browser.clone();
    let session = format!("{}/session", waiting.path);
    let (one, other) = tokio::join!(waiting.takes(), again.signed(Method::POST, &session, None));
    assert_eq!([one.status, other.status].iter().filter(|status| **status == StatusCode::OK).count(), 1);
}

/// Says no to the entry of the history at that time.
async fn not_me(browser: &mut Browser, at: UnixTime) -> Reply {
    browser.post_json("/wallet/history/not-me", &json!({ "at": at.to_string() })).await
}

#[tokio::test]
async fn whoever_was_there_before_throws_out_who_came_later() {
    let (shop, _) = shop();
    let mut own = known(&shop).await;
    let id = customer(&mut own).await;
    shop.advance_s(3600);
    let mut earlier = waits(browser(&shop)).await;
    earlier.vouched(&mut own, &earlier.number.reveal()).await;
    earlier.takes().await;
    shop.advance_s(3600);
    let at = shop.clock().now();
    let mut crook = waits(browser(&shop)).await;
    crook.vouched(&mut own, &crook.number.reveal()).await;
    assert_eq!(crook.takes().await.status, StatusCode::OK);
    assert_eq!(notices(&shop, &own).await, 2, "was this you?");
    shop.advance_s(60);

    // Who came later throws out nobody.
    refused(&not_me(&mut crook.browser, at).await, 403, "across_devices");
    refused(&not_me(&mut own, at.plus_s(1)).await, 404, "no_such_entry");
    refused(&own.post_json("/wallet/history/not-me", &json!({ "at": "now" })).await, 404, "no_such_entry");
    assert_eq!(crook.browser.get("/").await.text(), "Welcome back");

    assert_eq!(not_me(&mut own, at).await.status, StatusCode::NO_CONTENT);
    refused(&crook.browser.get("/").await, 401, "invalid_token");
    crook.browser.token = None;
    refused(&crook.browser.redeem(&json!({})).await, 403, "binding_locked");
    // What was there before stays: its session ended, and its key begins the next one.
    refused(&earlier.browser.get("/").await, 401, "invalid_token");
    earlier.browser.token = None;
    assert_eq!(earlier.browser.redeem(&json!({})).await.status, StatusCode::OK);
    assert_eq!(own.get("/").await.text(), "Welcome back");
    assert_eq!(history(&shop, &id).await[0], Happened::SessionsEnded);
}

#[tokio::test]
async fn saying_that_it_was_somebody_else_needs_what_was_there_before() {
    let (shop, store) = shop();
    let mut own = known(&shop).await;
    let id = customer(&mut own).await;
    let wallet = relationship(&shop, &store, &id).await;
    shop.advance_s(3600);
    shows(&mut own, &wallet, Device::SameDevice).await;
    let at = shop.clock().now();
    let mut crook = waits(browser(&shop)).await;
    crook.vouched(&mut own, &crook.number.reveal()).await;
    crook.takes().await;
    // A crook who is in adds a strong binding of their own.
    shop.advance_s(1);
    let theirs = relationship(&shop, &store, &id).await;
    shows(&mut crook.browser, &theirs, Device::SameDevice).await;
    refused(&not_me(&mut crook.browser, at).await, 403, "step_up_needed");

    shop.advance_s(600);
    refused(&not_me(&mut own, at).await, 403, "step_up_needed");
    shows(&mut own, &wallet, Device::SameDevice).await;
    assert_eq!(not_me(&mut own, at).await.status, StatusCode::NO_CONTENT);
    crook.browser.token = None;
    refused(&crook.browser.redeem(&json!({})).await, 403, "binding_locked");
    // Their credential is closed as well, and the customer's own is not.
    let asking = crook.browser.ask("back", Device::SameDevice).await;
    let request = crook.browser.wallet_reads(&asking).await;
    let form = theirs.answer(&request, &theirs.choose(&request).unwrap(), &[], shop.clock()).unwrap();
    assert_eq!(crook.browser.wallet_posts(&request, &form).await.status, StatusCode::BAD_REQUEST);
    assert_eq!(shows(&mut browser(&shop), &wallet, Device::SameDevice).await.status, StatusCode::OK);
}

#[tokio::test]
async fn a_browser_that_joined_goes_with_what_was_shown_for_it() {
    let (shop, store) = shop();
    let mut own = known(&shop).await;
    let id = customer(&mut own).await;
    let stolen = relationship(&shop, &store, &id).await;
    let taken = format!("/wallet/bindings/{}", credential_of(&shop, &id).await.as_str());
    let wallet = relationship(&shop, &store, &id).await;
    shop.advance_s(60);
    shows(&mut own, &stolen, Device::SameDevice).await;
    let mut joined = waiting(&shop).await;
    joined.vouched(&mut own, &joined.number.reveal()).await;
    assert_eq!(joined.takes().await.status, StatusCode::OK);
    let list = joined.browser.get("/wallet/sessions").await.json();
    let is_current = |session: &&Value| session["current"] == true;
    let current = list["sessions"].as_array().unwrap().iter().find(is_current).unwrap();
    assert_eq!((&current["across_devices"], &current["rung"]), (&json!(true), &json!("browser_key")));
    // It vouches for nobody, and is nobody at a desk, before something strong is shown in it.
    let opened = open(&desk(shop.merchant())).await;
    refused(&types(&mut joined.browser, &opened.number.reveal()).await, 403, "across_devices");
    let next = waiting(&shop).await;
    refused(&next.vouched(&mut joined.browser, &next.number.reveal()).await, 403, "across_devices");

    let mut late = waiting(&shop).await;
    assert_eq!(late.vouched(&mut own, &late.number.reveal()).await.status, StatusCode::NO_CONTENT);
    shows(&mut own, &wallet, Device::SameDevice).await;
    assert_eq!(own.delete(&taken).await.status, StatusCode::NO_CONTENT);
    refused(&joined.browser.get("/").await, 401, "invalid_token");
    joined.browser.token = None;
    refused(&joined.browser.redeem(&json!({})).await, 403, "binding_locked");
    // Nor does a browser join that was vouched for by what is gone.
    refused(&late.takes().await, 403, "access_denied");
}

#[tokio::test]
async fn no_strangers_wallet_makes_a_browser_that_joined_theirs() {
    let (shop, store) = shop();
    let mut own = known(&shop).await;
    let id = customer(&mut own).await;
    let wallet = relationship(&shop, &store, &id).await;
    shop.advance_s(60);
    shows(&mut own, &wallet, Device::SameDevice).await;
    let mut joined = waiting(&shop).await;
    joined.vouched(&mut own, &joined.number.reveal()).await;
    assert_eq!(joined.takes().await.status, StatusCode::OK);
    let mut joined = joined.browser;
    let is_across = async |browser: &mut Browser| {
        let list = browser.get("/wallet/sessions").await.json();
        let is_current = |session: &&Value| session["current"] == true;
        list["sessions"].as_array().unwrap().iter().find(is_current).unwrap()["across_devices"] == true
    };
    joined.prove("name", "adult").await;
    assert!(is_across(&mut joined).await);
    joined.token = None;
    joined.redeem(&json!({})).await;
    assert!(is_across(&mut joined).await, "and the key keeps its mark");
    // What was theirs before it joined does.
    shows(&mut joined, &wallet, Device::SameDevice).await;
    joined.token = None;
    joined.redeem(&json!({})).await;
    assert!(!is_across(&mut joined).await);
}

#[tokio::test]
async fn who_vouched_without_anything_strong_vouched_for_nobody_once_there_is_something() {
    let (shop, store) = shop();
    let mut own = known(&shop).await;
    let id = customer(&mut own).await;
    let mut waiting = waiting(&shop).await;
    waiting.vouched(&mut own, &waiting.number.reveal()).await;
    shop.advance_s(1);
    relationship(&shop, &store, &id).await;
    refused(&waiting.takes().await, 403, "access_denied");
}

#[tokio::test]
async fn a_borrowed_browser_does_not_take_away_what_its_owner_added() {
    let (shop, store) = shop();
    let mut old = known(&shop).await;
    let id = customer(&mut old).await;
    shop.advance_s(60);
    let wallet = relationship(&shop, &store, &id).await;
    shop.advance_s(60);
    let mut phone = browser(&shop);
    shows(&mut phone, &wallet, Device::SameDevice).await;
    let came = shop.clock().now();
    refused(&not_me(&mut old, came).await, 403, "step_up_needed");
    assert_eq!(phone.get("/").await.text(), "Welcome back");
    assert_eq!(shows(&mut browser(&shop), &wallet, Device::SameDevice).await.status, StatusCode::OK);
}

#[tokio::test]
async fn who_had_nothing_strong_throws_out_a_browser_that_joined_with_what_it_added_for_days() {
    for (later_s, status) in [(3600, 204), (8 * 24 * 3600, 403)] {
        let (shop, store) = shop();
        let mut own = known(&shop).await;
        let id = customer(&mut own).await;
        shop.advance_s(60);
        let at = shop.clock().now();
        let mut crook = waits(browser(&shop)).await;
        crook.vouched(&mut own, &crook.number.reveal()).await;
        crook.takes().await;
        shop.advance_s(1);
        let theirs = relationship(&shop, &store, &id).await;
        assert_eq!(shows(&mut crook.browser, &theirs, Device::SameDevice).await.status, StatusCode::OK);
        // Whose coming is pushed out of what the history shows.
        for _ in 0..101 {
            shop.merchant().customer(&id).await.unwrap().unwrap().hand_out_recovery_code().await.unwrap();
        }
        shop.advance_s(later_s);
        own.token = None;
        own.redeem(&json!({})).await;
        assert_eq!(not_me(&mut own, at).await.status.as_u16(), status, "{later_s}");
        crook.browser.token = None;
        let is_out = crook.browser.redeem(&json!({})).await.code() == "binding_locked";
        assert_eq!(is_out, status == 204);
    }
}

/// How many things a page of this browser that lies open is told of.
async fn notices(shop: &TestShop, browser: &Browser) -> usize {
    let mut browser = browser.clone();
    browser.get("/").await;
    let proof = browser.sign(&browser.claims(&Method::GET, "/", None));
    let token = browser.token.clone().unwrap();
    let request = ProofRequest { proof: &proof, method: "GET", path: "/", access_token: Some(&token) };
    let proof = shop.merchant().check_proof(&request).unwrap();
    shop.merchant().recognise(&proof, &token).await.unwrap().notices().await.unwrap()
}

/// The attacker's desktop shows the victim a code, and the victim's telephone answers it with the credential by which this
/// shop recognises them.
#[tokio::test]
async fn row_06_a_code_that_a_stranger_shows_reads_nothing_of_a_record_that_is_known() {
    let (shop, store) = shop();
    let mut victim = known(&shop).await;
    victim.prove("name", "adult").await;
    let id = customer(&mut victim).await;
    let mut wallet = shop.persona("adult").wallet.clone();
    holds_relationship(&mut wallet, &shop, &store, &id).await;
    let before = victim.get("/wallet/me").await.json();
    assert_eq!(before["kept"].as_array().unwrap().len(), 1, "{before}");
    shop.advance_s(60);

    let mut attacker = browser(&shop);
    // Nobody is asked across devices for the shop's credential alone: the answer would say that somebody is a customer.
    let bare = json!({ "ask": "back", "flow": "cross_device" });
    refused(&attacker.post_json("/wallet/presentations", &bare).await, 403, "across_devices");
    let reply = shows_for("name", &mut attacker, &wallet, Device::CrossDevice).await;
    assert_eq!(reply.status, StatusCode::OK, "{}", reply.text());
    let theirs = customer(&mut attacker).await;
    assert_ne!(theirs, id, "a record of its own");
    let me = attacker.get("/wallet/me").await;
    assert_eq!(me.json()["kept"], json!([]));
    assert_eq!(me.json()["rung"], "browser_key");
    assert!(!me.text().contains(id.as_str()));
    assert_eq!(attacker.get("/name").await.text(), "nobody");
    let sessions = attacker.get("/wallet/sessions").await;
    assert_eq!(sessions.json()["sessions"].as_array().unwrap().len(), 1);
    for path in ["/wallet/history", "/wallet/merge", "/wallet/bindings"] {
        assert!(!attacker.get(path).await.text().contains(id.as_str()), "{path}");
    }
    // It reads nothing of what the credential leads to, merges with nobody, throws nobody out.
    refused(&attacker.post_json("/wallet/merges", &json!({})).await, 404, "nothing_to_merge");
    let began = attacker.get("/wallet/history").await.json();
    let at = &began["history"][0]["at"];
    refused(&attacker.post_json("/wallet/history/not-me", &json!({ "at": at })).await, 403, "across_devices");
    // It is nobody at a desk, and vouches for no browser.
    let opened = open(&desk(shop.merchant())).await;
    refused(&types(&mut attacker, &opened.number.reveal()).await, 403, "across_devices");
    let waiting = waiting(&shop).await;
    refused(&waiting.vouched(&mut attacker, &waiting.number.reveal()).await, 403, "across_devices");

    // The victim is told, also in the pages that lie open, and has lost nothing.
    assert_eq!(history(&shop, &id).await[0], Happened::ShownAcrossDevices);
    assert_eq!(notices(&shop, &victim).await, 1);
    assert_eq!(victim.get("/wallet/me").await.json(), before);
    // The same credential on the same device recognises.
    let mut new_phone = browser(&shop);
    shows(&mut new_phone, &wallet, Device::SameDevice).await;
    assert_eq!(customer(&mut new_phone).await, id);
}

#[tokio::test]
async fn the_pages_are_the_same_for_everybody_and_come_in_two_languages() {
    let (shop, _) = shop();
    let mut browser = browser(&shop);
    for (path, english, german) in [
        ("/wallet/call", "Is this call from the shop?", "Ruft wirklich der Shop an?"),
        ("/wallet/join", "A browser wants to become yours", "Ein Browser möchte Ihrer werden"),
    ] {
        let page = browser.plain(&Method::GET, path, &[], &[]).await;
        assert!(page.text().contains(english) && page.text().contains("ask=\"back\""));
        let policy = page.header("content-security-policy");
        assert!(policy.contains("default-src 'none'") && policy.contains("frame-ancestors 'none'"), "{policy}");
        assert_eq!(page.header("referrer-policy"), "no-referrer");
        assert_eq!(page.header("cache-control"), "private, no-store");
        let page = browser.plain(&Method::GET, path, &[("accept-language", "de-AT")], &[]).await;
        assert!(page.text().contains(german), "{}", page.text());
    }
    let script = browser.plain(&Method::GET, "/wallet/meet.js", &[], &[]).await;
    assert_eq!(script.header("content-type"), "text/javascript; charset=utf-8");
    let tag = script.header("etag").to_owned();
    let again = browser.plain(&Method::GET, "/wallet/meet.js", &[("if-none-match", tag.as_str())], &[]).await;
    assert_eq!(again.status, StatusCode::NOT_MODIFIED);
}
