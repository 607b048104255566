//! Passkeys as a browser and its authenticator bring them: made, used, listed and removed, and everything that can be
//! wrong with each, one thing at a time.

use std::collections::BTreeSet;

use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use firsthand::{
    env::Env,
    history::Happened,
    store::{Memory, Prefix, Store},
    testing::{
        authenticator::{Authenticator, Mistake},
        faulty::{Fault, Faulty},
    },
};
use firsthand_axum::testing::{Browser, Reply, TestShop};
use http::{Method, StatusCode};
use serde_json::{Value, json};

use crate::setting::{browser, customer, exported, on_every_store, refused, shop_and_store};

const OPTIONS: &str = "/wallet/passkeys/options";
const PASSKEYS: &str = "/wallet/passkeys";
const SIGN_IN_OPTIONS: &str = "/wallet/passkeys/sign-in/options";
const SIGN_IN: &str = "/wallet/passkeys/sign-in";

fn authenticator(shop: &TestShop) -> Authenticator {
    let mut seed = [0; 32];
    shop.clock().fill(&mut seed);
    Authenticator::new(shop.merchant().origin().clone(), seed)
}

async fn options(browser: &mut Browser, path: &str) -> Value {
    let reply = browser.post_json(path, &json!({})).await;
    assert_eq!(reply.status, StatusCode::OK, "{}", reply.text());
    reply.json()["publicKey"].clone()
}

/// Makes a passkey, and sends what the authenticator says.
async fn make(browser: &mut Browser, authenticator: &mut Authenticator, mistake: Option<Mistake>) -> Reply {
    let options = options(browser, OPTIONS).await;
    let credential = authenticator.create(&options, mistake).expect("a new passkey");
    browser.post_json(PASSKEYS, &json!({ "credential": credential, "name": "Firefox on Android" })).await
}

/// Uses a passkey, and sends what the authenticator says.
async fn show(browser: &mut Browser, authenticator: &mut Authenticator, mistake: Option<Mistake>) -> Reply {
    let options = options(browser, SIGN_IN_OPTIONS).await;
    let credential = authenticator.get(&options, mistake).expect("a passkey");
    browser.post_json(SIGN_IN, &json!({ "credential": credential })).await
}

/// Becomes a customer by a new passkey.
async fn begin(browser: &mut Browser, authenticator: &mut Authenticator) {
    let reply = make(browser, authenticator, None).await;
    assert_eq!(reply.status, StatusCode::CREATED, "{}", reply.text());
    let body = reply.json();
    assert_eq!(body["session"]["token_type"], "DPoP");
    assert_eq!(body.get("passkey"), None);
    browser.token = body["session"]["access_token"].as_str().map(str::to_owned);
}

/// Adds a passkey to the customer of this browser.
async fn add(browser: &mut Browser, authenticator: &mut Authenticator) {
    let reply = make(browser, authenticator, None).await;
    assert_eq!(reply.status, StatusCode::CREATED, "{}", reply.text());
    assert_eq!(reply.json().get("session"), None);
}

/// Signs in by a passkey.
async fn sign_in(browser: &mut Browser, authenticator: &mut Authenticator) {
    let reply = show(browser, authenticator, None).await;
    assert_eq!(reply.status, StatusCode::OK, "{}", reply.text());
    browser.token = reply.json()["access_token"].as_str().map(str::to_owned);
}

async fn list(browser: &mut Browser) -> Vec<Value> {
    let reply = browser.get(PASSKEYS).await;
    assert_eq!(reply.status, StatusCode::OK, "{}", reply.text());
    reply.json()["passkeys"].as_array().unwrap().clone()
}

fn decoded(text: &Value) -> Vec<u8> {
    BASE64_URL_SAFE_NO_PAD.decode(text.as_str().unwrap()).unwrap()
}

/// How many records of a kind there are, whosever they are.
async fn count(store: &Memory, shop: &TestShop, kind: &'static str, partition: &str) -> usize {
    let prefix = Prefix { kind, partition: partition.to_owned(), sort: String::new() };
    store.scan(&prefix, None, 100, shop.merchant().now()).await.unwrap().len()
}

#[tokio::test]
async fn a_customer_without_anything_lives_on_a_passkey_on_every_store() {
    on_every_store("passkeys", async |shop| {
        let (mut first, mut authenticator) = (browser(&shop), authenticator(&shop));
        begin(&mut first, &mut authenticator).await;
        let id = customer(&mut first).await;
        assert_eq!(first.get("/wallet/me").await.json()["rung"], "passkey");
        assert_eq!(first.get("/").await.text(), "Welcome back");

        // A browser that was never here, and one that was signed out.
        let mut second = first.another();
        sign_in(&mut second, &mut authenticator).await;
        assert_eq!(customer(&mut second).await, id);
        assert_eq!(first.delete("/wallet/sessions/current").await.status, StatusCode::NO_CONTENT);
        first.token = None;
        refused(&first.redeem(&json!({})).await, 403, "binding_locked");
        refused(&first.post_json(OPTIONS, &json!({})).await, 403, "binding_locked");
        sign_in(&mut first, &mut authenticator).await;
        assert_eq!(customer(&mut first).await, id);

        let passkeys = list(&mut first).await;
        assert_eq!(passkeys.len(), 1);
        assert_eq!(passkeys[0]["name"], "Firefox on Android");
        assert_eq!(passkeys[0]["only_way"], true);
    })
    .await;
}

#[tokio::test]
async fn a_customer_who_is_known_adds_a_passkey_and_comes_back_by_it() {
    let shop = TestShop::new();
    let (mut browser, mut authenticator) = (browser(&shop), authenticator(&shop));
    browser.sign_in("adult").await;
    let id = customer(&mut browser).await;
    add(&mut browser, &mut authenticator).await;
    let passkeys = list(&mut browser).await;
    assert_eq!(
        passkeys,
        [json!({
            "id": passkeys[0]["id"], "name": "Firefox on Android", "since": "2026-11-22T12:00:00Z",
            "synced": false, "backed_up": false, "only_way": true,
        })]
    );
    let me = browser.get("/wallet/me").await.json();
    assert_eq!(me["dids"].as_array().unwrap().len(), 2, "a passkey is shown as a DID, like every key: {me}");

    shop.advance_s(3600);
    let mut other = browser.another();
    sign_in(&mut other, &mut authenticator).await;
    assert_eq!(customer(&mut other).await, id);
    assert_eq!(list(&mut other).await[0]["used_at"], "2026-11-22T13:00:00Z");
    let history = shop.merchant().customer(&id).await.unwrap().unwrap().history().await.unwrap();
    let device = history.iter().find(|entry| matches!(entry.what, Happened::BindingAdded { .. })).unwrap();
    assert_eq!(device.device.as_deref(), Some("Firefox on Android"));
}

#[tokio::test]
async fn what_an_authenticator_is_asked_says_nothing_of_the_customer() {
    let shop = TestShop::new();
    let (mut browser, mut held) = (browser(&shop), authenticator(&shop));
    let mut stranger = browser.another();
    let public = options(&mut stranger, OPTIONS).await;
    assert_eq!(
        public,
        json!({
            "rp": { "id": "shop.example", "name": "shop.example" },
            "user": { "id": public["user"]["id"], "name": "shop.example", "displayName": "shop.example" },
            "challenge": public["challenge"],
            "pubKeyCredParams": [
                { "type": "public-key", "alg": -7 },
                { "type": "public-key", "alg": -35 },
                { "type": "public-key", "alg": -257 },
            ],
            "timeout": 300_000,
            "excludeCredentials": [],
            "authenticatorSelection": {
                "residentKey": "required", "requireResidentKey": true, "userVerification": "preferred",
            },
            "attestation": "none",
        })
    );
    assert_eq!(decoded(&public["user"]["id"]).len(), 32);
    assert_eq!(decoded(&public["challenge"]).len(), 32);
    let again = options(&mut stranger, OPTIONS).await;
    assert_ne!(public["user"]["id"], again["user"]["id"]);
    assert_ne!(public["challenge"], again["challenge"]);

    let asked = options(&mut stranger, SIGN_IN_OPTIONS).await;
    assert_eq!(
        asked,
        json!({
            "challenge": asked["challenge"], "timeout": 300_000, "rpId": "shop.example",
            "allowCredentials": [], "userVerification": "preferred",
        })
    );

    // The next passkey of the same customer is another one of the same account.
    begin(&mut browser, &mut held).await;
    let id = customer(&mut browser).await.to_string();
    let next = options(&mut browser, OPTIONS).await;
    assert!(!next.to_string().contains(id.trim_start_matches("c_")), "{next}");
    assert_eq!(next["excludeCredentials"].as_array().unwrap().len(), 1);
    assert_eq!(held.create(&next, None), None, "the authenticator knows that it has one");
    let mut another = authenticator(&shop);
    add(&mut browser, &mut another).await;
    let third = options(&mut browser, OPTIONS).await;
    assert_eq!(third["user"]["id"], next["user"]["id"]);
    assert_eq!(third["excludeCredentials"].as_array().unwrap().len(), 2);
}

/// What is wrong with a passkey that is made, and how it is refused.
const WRONGLY_MADE: [(Mistake, u16, &str); 16] = [
    (Mistake::OtherOrigin, 403, "passkey_origin"),
    (Mistake::OtherPort, 403, "passkey_origin"),
    (Mistake::Subdomain, 403, "passkey_origin"),
    (Mistake::OtherRelyingParty, 403, "passkey_relying_party"),
    (Mistake::CrossOrigin, 403, "passkey_cross_origin"),
    (Mistake::TopOrigin, 403, "passkey_cross_origin"),
    (Mistake::OtherChallenge, 410, "passkey_ceremony_over"),
    (Mistake::OtherCeremony, 403, "passkey_type"),
    (Mistake::NotPresent, 403, "passkey_user_presence"),
    (Mistake::OtherRawId, 403, "passkey_credential_id"),
    (Mistake::OtherId, 403, "passkey_credential_id"),
    (Mistake::BackedUpUnasked, 403, "passkey_backup"),
    (Mistake::Attested, 403, "passkey_attestation"),
    (Mistake::OtherAlgorithm, 403, "passkey_algorithm"),
    (Mistake::TwiceTheMember, 400, "passkey_malformed"),
    (Mistake::Excluded, 403, "passkey_excluded"),
];

#[tokio::test]
async fn a_passkey_that_is_wrongly_made_is_refused_and_nothing_changes() {
    for (mistake, status, code) in WRONGLY_MADE {
        let (shop, store) = shop_and_store();
        let (mut browser, mut authenticator) = (browser(&shop), authenticator(&shop));
        begin(&mut browser, &mut authenticator).await;
        let before = list(&mut browser).await;
        let mut held = match mistake {
            Mistake::Excluded => authenticator.clone(),
            _ => self::authenticator(&shop),
        };
        refused(&make(&mut browser, &mut held, Some(mistake)).await, status, code);
        assert_eq!(list(&mut browser).await, before, "{mistake:?}");

        // Somebody new does not begin by it either, where there is nothing to exclude.
        if mistake != Mistake::Excluded {
            let mut stranger = browser.another();
            let mut held = self::authenticator(&shop);
            refused(&make(&mut stranger, &mut held, Some(mistake)).await, status, code);
            refused(&stranger.redeem(&json!({})).await, 403, "unknown_key");
        }
        let id = customer(&mut browser).await;
        assert_eq!(count(&store, &shop, "customer_binding", id.as_str()).await, 2, "{mistake:?}");
    }
}

/// What is wrong with a passkey that is used, and how it is refused.
const WRONGLY_USED: [(Mistake, u16, &str); 18] = [
    (Mistake::OtherOrigin, 403, "passkey_origin"),
    (Mistake::OtherPort, 403, "passkey_origin"),
    (Mistake::Subdomain, 403, "passkey_origin"),
    (Mistake::OtherRelyingParty, 403, "passkey_relying_party"),
    (Mistake::CrossOrigin, 403, "passkey_cross_origin"),
    (Mistake::TopOrigin, 403, "passkey_cross_origin"),
    (Mistake::OtherChallenge, 410, "passkey_ceremony_over"),
    (Mistake::OtherCeremony, 403, "passkey_type"),
    (Mistake::NotPresent, 403, "passkey_user_presence"),
    (Mistake::NotVerified, 403, "passkey_user_verification"),
    (Mistake::CounterStands, 403, "passkey_counter"),
    (Mistake::OtherUserHandle, 403, "passkey_user_handle"),
    (Mistake::NoUserHandle, 403, "passkey_user_handle"),
    (Mistake::OtherKey, 403, "passkey_signature"),
    (Mistake::OtherRawId, 403, "passkey_credential_id"),
    (Mistake::BackedUpUnasked, 403, "passkey_backup"),
    (Mistake::OtherEligibility, 403, "passkey_backup"),
    (Mistake::TwiceTheMember, 400, "passkey_malformed"),
];

#[tokio::test]
async fn a_passkey_that_is_wrongly_used_is_refused_and_nobody_comes_in() {
    for (mistake, status, code) in WRONGLY_USED {
        let shop = TestShop::new();
        let (mut owner, mut authenticator) = (browser(&shop), authenticator(&shop));
        begin(&mut owner, &mut authenticator).await;
        sign_in(&mut owner, &mut authenticator).await;
        let id = customer(&mut owner).await;
        let before = list(&mut owner).await;
        shop.advance_s(1);

        let mut visitor = owner.another();
        refused(&show(&mut visitor, &mut authenticator, Some(mistake)).await, status, code);
        refused(&visitor.redeem(&json!({})).await, 403, "unknown_key");
        assert_eq!(list(&mut owner).await, before, "{mistake:?}");
        let history = shop.merchant().customer(&id).await.unwrap().unwrap().history().await.unwrap();
        let copies = history.iter().filter(|entry| entry.what == Happened::PasskeyCloned).count();
        assert_eq!(copies, usize::from(mistake == Mistake::CounterStands), "{mistake:?}");

        sign_in(&mut visitor, &mut authenticator).await;
        assert_eq!(customer(&mut visitor).await, id, "{mistake:?}");
    }
}

#[tokio::test]
async fn a_copy_of_a_passkey_shows_by_its_counter_and_locks_nobody_out() {
    let shop = TestShop::new();
    let (mut owner, mut authenticator) = (browser(&shop), authenticator(&shop));
    begin(&mut owner, &mut authenticator).await;
    let mut copy = authenticator.clone();
    for _ in 0..3 {
        sign_in(&mut owner, &mut authenticator).await;
    }
    let mut thief = owner.another();
    for _ in 0..3 {
        refused(&show(&mut thief, &mut copy, None).await, 403, "passkey_counter");
    }
    sign_in(&mut owner, &mut authenticator).await;
    let id = customer(&mut owner).await;
    let history = shop.merchant().customer(&id).await.unwrap().unwrap().history().await.unwrap();
    let copies: Vec<_> = history.iter().filter(|entry| entry.what == Happened::PasskeyCloned).collect();
    assert_eq!(copies.len(), 3);
    assert_eq!(copies[0].device.as_deref(), Some("Firefox on Android"));
}

#[tokio::test]
async fn a_synced_passkey_counts_nothing_and_says_that_it_is_synced() {
    let shop = TestShop::new();
    let (mut phone, mut authenticator) = (browser(&shop), authenticator(&shop));
    authenticator.is_synced = true;
    begin(&mut phone, &mut authenticator).await;
    let mut laptop = phone.another();
    let mut same_account = authenticator.clone();
    for _ in 0..2 {
        sign_in(&mut laptop, &mut same_account).await;
        sign_in(&mut phone, &mut authenticator).await;
    }
    assert_eq!(customer(&mut laptop).await, customer(&mut phone).await);
    let passkey = &list(&mut phone).await[0];
    assert_eq!((&passkey["synced"], &passkey["backed_up"]), (&json!(true), &json!(true)));
}

#[tokio::test]
async fn an_answer_counts_once_within_five_minutes_for_the_browser_that_asked() {
    let shop = TestShop::new();
    let (mut owner, mut authenticator) = (browser(&shop), authenticator(&shop));
    begin(&mut owner, &mut authenticator).await;
    let mut visitor = owner.another();

    let asked = options(&mut visitor, SIGN_IN_OPTIONS).await;
    let answer = json!({ "credential": authenticator.get(&asked, None).unwrap() });
    refused(&owner.another().post_json(SIGN_IN, &answer).await, 410, "passkey_ceremony_over");
    shop.advance_s(299);
    assert_eq!(visitor.post_json(SIGN_IN, &answer).await.status, StatusCode::OK);
    refused(&visitor.post_json(SIGN_IN, &answer).await, 410, "passkey_ceremony_over");

    let asked = options(&mut visitor, SIGN_IN_OPTIONS).await;
    let answer = json!({ "credential": authenticator.get(&asked, None).unwrap() });
    shop.advance_s(300);
    refused(&visitor.post_json(SIGN_IN, &answer).await, 410, "passkey_ceremony_over");

    // Two tabs wait at the same time, as a form does that fills in passkeys.
    let (one, two) = (options(&mut visitor, SIGN_IN_OPTIONS).await, options(&mut visitor, SIGN_IN_OPTIONS).await);
    for asked in [one, two] {
        let answer = json!({ "credential": authenticator.get(&asked, None).unwrap() });
        assert_eq!(visitor.post_json(SIGN_IN, &answer).await.status, StatusCode::OK);
    }

    let mut newcomer = owner.another();
    let mut held = self::authenticator(&shop);
    let asked = options(&mut newcomer, OPTIONS).await;
    let made = json!({ "credential": held.create(&asked, None).unwrap() });
    refused(&owner.another().post_json(PASSKEYS, &made).await, 410, "passkey_ceremony_over");
    assert_eq!(newcomer.post_json(PASSKEYS, &made).await.status, StatusCode::CREATED);
    refused(&newcomer.post_json(PASSKEYS, &made).await, 410, "passkey_ceremony_over");
}

#[tokio::test]
async fn a_challenge_to_make_a_passkey_signs_nobody_in_and_the_other_way_round() {
    let shop = TestShop::new();
    let (mut owner, mut authenticator) = (browser(&shop), authenticator(&shop));
    begin(&mut owner, &mut authenticator).await;
    let mut visitor = owner.another();
    let to_make = options(&mut visitor, OPTIONS).await;
    let asked = json!({ "challenge": to_make["challenge"], "rpId": "shop.example", "allowCredentials": [] });
    let used = json!({ "credential": authenticator.get(&asked, None).unwrap() });
    refused(&visitor.post_json(SIGN_IN, &used).await, 410, "passkey_ceremony_over");

    let to_use = options(&mut visitor, SIGN_IN_OPTIONS).await;
    let mut asked = to_make.clone();
    asked["challenge"] = to_use["challenge"].clone();
    let made = json!({ "credential": self::authenticator(&shop).create(&asked, None).unwrap() });
    refused(&visitor.post_json(PASSKEYS, &made).await, 410, "passkey_ceremony_over");

    // What was begun for somebody new is not added to who is known by now, nor the other way round.
    let made = json!({ "credential": self::authenticator(&shop).create(&to_make, None).unwrap() });
    sign_in(&mut visitor, &mut authenticator).await;
    refused(&visitor.post_json(PASSKEYS, &made).await, 410, "passkey_ceremony_over");
    let to_add = options(&mut visitor, OPTIONS).await;
    let made = json!({ "credential": self::authenticator(&shop).create(&to_add, None).unwrap() });
    visitor.token = None;
    refused(&visitor.post_json(PASSKEYS, &made).await, 410, "passkey_ceremony_over");
}

#[tokio::test]
async fn a_key_that_is_known_begins_its_session_first() {
    let shop = TestShop::new();
    let mut browser = browser(&shop);
    browser.sign_in("adult").await;
    browser.token = None;
    refused(&browser.post_json(OPTIONS, &json!({})).await, 401, "not_known");
    for (method, path) in [(Method::GET, PASSKEYS), (Method::DELETE, "/wallet/passkeys/pk.x")] {
        refused(&browser.signed(method, path, None).await, 401, "not_known");
    }
    for path in [OPTIONS, PASSKEYS, SIGN_IN_OPTIONS, SIGN_IN] {
        let json = [("content-type", "application/json")];
        refused(&browser.plain(&Method::POST, path, &json, b"{}").await, 401, "invalid_dpop_proof");
    }
}

#[tokio::test]
async fn a_passkey_of_somebody_else_is_not_registered_again() {
    let shop = TestShop::new();
    let (mut owner, mut authenticator) = (browser(&shop), authenticator(&shop));
    let same = authenticator.clone();
    begin(&mut owner, &mut authenticator).await;
    // Another authenticator that makes credentials of the same names.
    let mut thief = owner.another();
    refused(&make(&mut thief, &mut same.clone(), None).await, 409, "overtaken");
    refused(&thief.redeem(&json!({})).await, 403, "unknown_key");
    thief.sign_in("adult").await;
    refused(&make(&mut thief, &mut same.clone(), None).await, 409, "overtaken");
    let mut visitor = owner.another();
    sign_in(&mut visitor, &mut authenticator).await;
    assert_eq!(customer(&mut visitor).await, customer(&mut owner).await);
}

#[tokio::test]
async fn another_passkey_needs_one_that_was_shown_lately() {
    let shop = TestShop::new();
    let (mut browser, mut authenticator) = (browser(&shop), authenticator(&shop));
    begin(&mut browser, &mut authenticator).await;
    let asked = options(&mut browser, OPTIONS).await;
    shop.advance_s(301);
    refused(&browser.post_json(OPTIONS, &json!({})).await, 403, "step_up_needed");
    let name = list(&mut browser).await[0]["id"].as_str().unwrap().to_owned();
    refused(&browser.delete(&format!("{PASSKEYS}/{name}")).await, 403, "step_up_needed");

    // What was begun while it was fresh is not finished when it is not.
    drop(asked);
    sign_in(&mut browser, &mut authenticator).await;
    let asked = options(&mut browser, OPTIONS).await;
    browser.token = None;
    assert_eq!(browser.redeem(&json!({})).await.status, StatusCode::OK, "a session by the browser's key alone");
    let mut another = self::authenticator(&shop);
    let made = json!({ "credential": another.create(&asked, None).unwrap() });
    refused(&browser.post_json(PASSKEYS, &made).await, 403, "step_up_needed");

    sign_in(&mut browser, &mut authenticator).await;
    add(&mut browser, &mut self::authenticator(&shop)).await;
    assert_eq!(list(&mut browser).await.len(), 2);
}

#[tokio::test]
async fn a_passkey_of_another_customer_does_not_change_who_this_browser_is() {
    let shop = TestShop::new();
    let (mut owner, mut authenticator) = (browser(&shop), authenticator(&shop));
    begin(&mut owner, &mut authenticator).await;
    let mut other = owner.another();
    other.sign_in("adult").await;
    let id = customer(&mut other).await;
    refused(&show(&mut other, &mut authenticator, None).await, 409, "another_customer");
    assert_eq!(customer(&mut other).await, id);
    let owners = customer(&mut owner).await;
    assert_ne!(owners, id);

    // Unless the customer says that both are them.
    let merged = other.post_json("/wallet/merges", &json!({})).await;
    assert!(merged.status.is_success(), "{}", merged.text());
    sign_in(&mut other, &mut authenticator).await;
    assert_eq!(customer(&mut other).await, owners);
    assert_eq!(list(&mut other).await.len(), 1);
}

#[tokio::test]
async fn a_passkey_that_is_removed_opens_nothing_and_leaves_nothing() {
    let (shop, store) = shop_and_store();
    let (mut browser, mut first, mut second) = (browser(&shop), authenticator(&shop), authenticator(&shop));
    begin(&mut browser, &mut first).await;
    shop.advance_s(1);
    add(&mut browser, &mut second).await;
    let passkeys = list(&mut browser).await;
    assert!(passkeys.iter().all(|passkey| passkey["only_way"] == false), "{passkeys:?}");
    let names: Vec<&str> = passkeys.iter().map(|passkey| passkey["id"].as_str().unwrap()).collect();

    let mut stranger = browser.another();
    stranger.sign_in("adult").await;
    for name in [names[0], "pk.unknown", "x"] {
        refused(&stranger.delete(&format!("{PASSKEYS}/{name}")).await, 404, "no_such_binding");
    }
    assert_eq!(browser.delete(&format!("{PASSKEYS}/{}", names[0])).await.status, StatusCode::NO_CONTENT);
    refused(&browser.delete(&format!("{PASSKEYS}/{}", names[0])).await, 404, "no_such_binding");
    refused(&show(&mut stranger.another(), &mut first, None).await, 403, "not_recognised");
    let rest = list(&mut browser).await;
    assert_eq!((rest.len(), &rest[0]["only_way"]), (1, &json!(true)));
    assert_eq!(count(&store, &shop, "passkey", names[0]).await, 0);
    assert_eq!(count(&store, &shop, "passkey", names[1]).await, 1);

    // What the session had shown is gone with it.
    refused(&browser.delete(&format!("/wallet/bindings/{}", names[1])).await, 403, "step_up_needed");
    sign_in(&mut browser, &mut second).await;
    // The last one goes as well, from the list of all ways in, and then nothing but the browser's key leads here.
    assert_eq!(browser.delete(&format!("/wallet/bindings/{}", names[1])).await.status, StatusCode::NO_CONTENT);
    refused(&show(&mut stranger.another(), &mut second, None).await, 403, "not_recognised");
    assert_eq!(browser.get("/").await.text(), "Welcome back");
    assert_eq!(count(&store, &shop, "passkey", names[1]).await, 0);
}

#[tokio::test]
async fn who_is_forgotten_leaves_no_passkey_behind() {
    let (shop, store) = shop_and_store();
    let (mut browser, mut authenticator) = (browser(&shop), authenticator(&shop));
    begin(&mut browser, &mut authenticator).await;
    let name = list(&mut browser).await[0]["id"].as_str().unwrap().to_owned();
    assert_eq!(count(&store, &shop, "passkey", &name).await, 1);
    assert!(browser.delete("/wallet/me").await.status.is_success());
    assert_eq!(count(&store, &shop, "passkey", &name).await, 0);
    refused(&show(&mut browser.another(), &mut authenticator, None).await, 403, "not_recognised");
}

#[tokio::test]
async fn a_browser_that_is_forgotten_takes_no_passkey_with_it() {
    let shop = TestShop::new();
    let (mut browser, mut authenticator) = (browser(&shop), authenticator(&shop));
    begin(&mut browser, &mut authenticator).await;
    let id = customer(&mut browser).await;
    assert_eq!(browser.delete("/wallet/device").await.status, StatusCode::NO_CONTENT);
    let mut anew = browser.another();
    sign_in(&mut anew, &mut authenticator).await;
    assert_eq!(customer(&mut anew).await, id);
}

#[tokio::test]
async fn signing_out_everywhere_leaves_the_passkeys_to_come_back_by() {
    let shop = TestShop::new();
    let (mut browser, mut authenticator) = (browser(&shop), authenticator(&shop));
    begin(&mut browser, &mut authenticator).await;
    let id = customer(&mut browser).await;
    let mut other = browser.another();
    sign_in(&mut other, &mut authenticator).await;
    assert_eq!(browser.delete("/wallet/sessions").await.status, StatusCode::NO_CONTENT);
    for browser in [&mut browser, &mut other] {
        refused(&browser.get("/").await, 401, "invalid_token");
        sign_in(browser, &mut authenticator).await;
        assert_eq!(customer(browser).await, id);
    }
    // Also by the merchant's own hand.
    shop.merchant().customer(&id).await.unwrap().unwrap().revoke_all().await.unwrap();
    refused(&browser.get("/").await, 401, "invalid_token");
    sign_in(&mut browser, &mut authenticator).await;
    assert_eq!(customer(&mut browser).await, id);
}

#[tokio::test]
async fn a_customer_has_only_so_many_passkeys() {
    let shop = TestShop::new();
    let (mut browser, mut authenticator) = (browser(&shop), authenticator(&shop));
    begin(&mut browser, &mut authenticator).await;
    // Four of the sixteen places stay free for browsers.
    for _ in 2..=12 {
        add(&mut browser, &mut self::authenticator(&shop)).await;
    }
    let more = make(&mut browser, &mut self::authenticator(&shop), None).await;
    refused(&more, 409, "too_many_bindings");
    assert_eq!(list(&mut browser).await.len(), 12);
}

#[tokio::test]
async fn a_name_is_one_line_and_short() {
    let shop = TestShop::new();
    let (mut browser, mut authenticator) = (browser(&shop), authenticator(&shop));
    let asked = options(&mut browser, OPTIONS).await;
    let credential = authenticator.create(&asked, None).unwrap();
    for name in ["x".repeat(65), "two\nlines".to_owned(), "\u{7}".to_owned()] {
        let reply = browser.post_json(PASSKEYS, &json!({ "credential": credential, "name": name })).await;
        refused(&reply, 422, "invalid_name");
    }
    let blank = json!({ "credential": credential, "name": "  " });
    let reply = browser.post_json(PASSKEYS, &blank).await;
    assert_eq!(reply.status, StatusCode::CREATED, "{}", reply.text());
    browser.token = reply.json()["session"]["access_token"].as_str().map(str::to_owned);
    assert_eq!(list(&mut browser).await[0].get("name"), None);
}

#[tokio::test]
async fn what_is_no_credential_is_refused_before_anything_is_looked_up() {
    let shop = TestShop::new();
    let (mut browser, mut authenticator) = (browser(&shop), authenticator(&shop));
    begin(&mut browser, &mut authenticator).await;
    let mut visitor = browser.another();
    let asked = options(&mut visitor, SIGN_IN_OPTIONS).await;
    let used = authenticator.get(&asked, None).unwrap();
    let long = "A".repeat(12_000);
    let mut codes = BTreeSet::new();
    for (pointer, value) in [
        ("", json!(1)),
        ("", json!([])),
        ("/type", json!("password")),
        ("/id", json!(1)),
        ("/id", json!("")),
        ("/id", json!("A")),
        ("/id", json!("AA==")),
        ("/response", json!("x")),
        ("/response/clientDataJSON", json!(long)),
        ("/response/clientDataJSON", json!("e30")),
        ("/response/clientDataJSON", json!("bnVsbA")),
        ("/response/authenticatorData", json!(long)),
        ("/response/authenticatorData", json!("AAAA")),
        ("/response/signature", json!("")),
        ("/response/signature", json!(long)),
        ("/response/userHandle", json!(long)),
        ("/response/userHandle", json!({})),
    ] {
        let mut bent = used.clone();
        *bent.pointer_mut(pointer).unwrap() = value.clone();
        if pointer == "/id" {
            bent.as_object_mut().unwrap().remove("rawId");
        }
        let reply = visitor.post_json(SIGN_IN, &json!({ "credential": bent })).await;
        assert_eq!(reply.status, StatusCode::BAD_REQUEST, "{pointer} {value}: {}", reply.text());
        codes.insert(reply.code());
    }
    assert_eq!(codes, BTreeSet::from(["passkey_malformed".to_owned()]));
    // Not ours at all, and too large to be looked at.
    for body in [json!({}), json!({ "name": "x" })] {
        refused(&visitor.post_json(SIGN_IN, &body).await, 400, "invalid_request");
    }
    let large = json!({ "credential": used, "more": "A".repeat(33_000) });
    refused(&visitor.post_json(SIGN_IN, &large).await, 413, "body_too_large");
    // All of that used nothing up.
    assert_eq!(visitor.post_json(SIGN_IN, &json!({ "credential": used })).await.status, StatusCode::OK);
}

#[tokio::test]
async fn one_answer_that_is_sent_twice_at_once_counts_once_on_every_store() {
    on_every_store("passkeys sent twice", async |shop| {
        let (mut owner, mut authenticator) = (browser(&shop), authenticator(&shop));
        begin(&mut owner, &mut authenticator).await;
        let mut visitor = owner.another();
        let asked = options(&mut visitor, SIGN_IN_OPTIONS).await;
        let answer = json!({ "credential": authenticator.get(&asked, None).unwrap() });
        let mut tab = visitor.clone();
        let both = tokio::join!(visitor.post_json(SIGN_IN, &answer), tab.post_json(SIGN_IN, &answer));
        let statuses = BTreeSet::from([both.0.status.as_u16(), both.1.status.as_u16()]);
        assert_eq!(statuses, BTreeSet::from([200, 410]), "{} {}", both.0.text(), both.1.text());

        // Two answers of one passkey at once: whichever is written first, its customer comes in.
        let asked = [options(&mut visitor, SIGN_IN_OPTIONS).await, options(&mut tab, SIGN_IN_OPTIONS).await];
        let [one, two] = asked.map(|asked| json!({ "credential": authenticator.get(&asked, None).unwrap() }));
        let both = tokio::join!(visitor.post_json(SIGN_IN, &one), tab.post_json(SIGN_IN, &two));
        assert_eq!(both.1.status, StatusCode::OK, "the later of two counters: {}", both.1.text());
        if both.0.status != StatusCode::OK {
            refused(&both.0, 403, "passkey_counter");
        }
    })
    .await;
}

/// Goes on until the store has answered: a new customer, by a passkey.
async fn begin_at_last(browser: &mut Browser, authenticator: &mut Authenticator) {
    for _ in 0..3 {
        let known = browser.redeem(&json!({})).await;
        if known.status == StatusCode::OK {
            return;
        }
        let reply = browser.post_json(OPTIONS, &json!({})).await;
        if reply.status != StatusCode::OK {
            assert_eq!(reply.code(), "unavailable");
            continue;
        }
        let credential = authenticator.create(&reply.json()["publicKey"], None).unwrap();
        let reply = browser.post_json(PASSKEYS, &json!({ "credential": credential })).await;
        match reply.status {
            StatusCode::CREATED => {
                browser.token = reply.json()["session"]["access_token"].as_str().map(str::to_owned);
                return;
            }
            _ => assert_eq!(reply.code(), "unavailable"),
        }
    }
    panic!("the store fails once");
}

/// Goes on until the store has answered: a session by a passkey.
async fn sign_in_at_last(browser: &mut Browser, authenticator: &mut Authenticator) {
    for _ in 0..3 {
        let reply = browser.post_json(SIGN_IN_OPTIONS, &json!({})).await;
        if reply.status != StatusCode::OK {
            assert_eq!(reply.code(), "unavailable");
            continue;
        }
        let credential = authenticator.get(&reply.json()["publicKey"], None).unwrap();
        let reply = browser.post_json(SIGN_IN, &json!({ "credential": credential })).await;
        match reply.status {
            StatusCode::OK => {
                browser.token = reply.json()["access_token"].as_str().map(str::to_owned);
                return;
            }
            _ => assert_eq!(reply.code(), "unavailable"),
        }
    }
    panic!("the store fails once");
}

#[tokio::test]
async fn a_store_that_fails_at_any_call_loses_no_customer() {
    for fault in [Fault::Done, Fault::Lost, Fault::Refused] {
        let mut call = 0;
        loop {
            let store = Faulty::new(Memory::new());
            let inner = store.clone();
            let shop = TestShop::with(|builder| builder.store(inner));
            let (mut first, mut authenticator) = (browser(&shop), authenticator(&shop));
            store.fail(call, fault);
            begin_at_last(&mut first, &mut authenticator).await;
            let mut second = first.another();
            sign_in_at_last(&mut second, &mut authenticator).await;
            if call > store.calls() {
                break;
            }
            let name = format!("{fault:?} at call {call}");
            let id = customer_at_last(&mut first).await;
            assert_eq!(customer_at_last(&mut second).await, id, "{name}");
            assert_eq!(list(&mut second).await.len(), 1, "{name}");
            call += 1;
        }
        assert!(call > 10, "{call}");
    }
}

/// Who the customer is, if the store fails once.
async fn customer_at_last(browser: &mut Browser) -> String {
    let mut me = browser.get("/wallet/me").await;
    if me.status == StatusCode::SERVICE_UNAVAILABLE {
        me = browser.get("/wallet/me").await;
    }
    me.json()["id"].as_str().unwrap_or_else(|| panic!("{}", me.text())).to_owned()
}

#[tokio::test]
async fn a_customer_takes_along_what_the_shop_knows_of_passkeys_and_sessions() {
    let shop = TestShop::new();
    let (mut browser, mut authenticator) = (browser(&shop), authenticator(&shop));
    begin(&mut browser, &mut authenticator).await;
    shop.advance_s(60);
    sign_in(&mut browser, &mut authenticator).await;
    let export = exported(&mut browser).await;
    let passkeys = export["passkeys"].as_array().unwrap();
    assert_eq!(passkeys.len(), 1);
    assert_eq!(passkeys[0]["label"], "Firefox on Android");
    assert_eq!(passkeys[0]["used_at"], shop.merchant().now().to_string());
    assert!(passkeys[0]["synced"].is_boolean() && passkeys[0]["since"] != passkeys[0]["used_at"]);
    let sessions = export["sessions"].as_array().unwrap();
    assert!(sessions.iter().any(|session| session["rung"] == "passkey" && session["across_devices"] == false));
    assert!(sessions.iter().all(|session| session.get("id").is_none()), "nothing that names a session");
    assert_eq!(export["accounts"], json!([]));
}
