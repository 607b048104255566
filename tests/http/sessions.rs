//! A visit and its end: how long it lasts, what it shows, and what is left after signing out, forgetting and revoking.

use firsthand::{
    Device, Merchant,
    store::{Key, Memory, Prefix, Store},
};
use firsthand_axum::testing::{Browser, TestShop};
use http::{Method, StatusCode};
use serde_json::{Value, json};

use crate::setting::{
    answered, browser, customer, led_to, node, on_every_store, refused, send_claims, sessions, shop_and_store,
    signed_headers,
};

const DAY_S: u64 = 24 * 3600;

async fn signed_in(shop: &TestShop) -> Browser {
    let mut browser = browser(shop);
    browser.sign_in("adult").await;
    browser
}

/// A second session of the same key: the browser as it was before, with the token that it had then.
async fn second_session(browser: &mut Browser) -> Browser {
    let earlier = browser.clone();
    browser.token = None;
    assert_eq!(browser.redeem(&json!({})).await.status, StatusCode::OK);
    assert_ne!(browser.token, earlier.token);
    earlier
}

#[tokio::test]
async fn a_session_ends_a_week_after_its_last_use() {
    let shop = TestShop::new();
    let mut browser = signed_in(&shop).await;
    shop.advance_s(7 * DAY_S - 1);
    assert_eq!(browser.get("/").await.text(), "Welcome back");
    shop.advance_s(7 * DAY_S - 1);
    assert_eq!(browser.get("/").await.text(), "Welcome back", "counted from the last use");
    shop.advance_s(7 * DAY_S);
    refused(&browser.get("/").await, 401, "invalid_token");
    refused(&browser.get("/wallet/me").await, 401, "invalid_token");
    // The key is still the customer's.
    assert_eq!(browser.redeem(&json!({})).await.status, StatusCode::OK);
    assert_eq!(browser.get("/").await.text(), "Welcome back");
}

#[tokio::test]
async fn a_session_ends_after_thirty_days_however_much_it_is_used() {
    let shop = TestShop::new();
    let mut browser = signed_in(&shop).await;
    let id = customer(&mut browser).await;
    for _ in 0..29 {
        shop.advance_s(DAY_S);
        assert_eq!(browser.get("/").await.text(), "Welcome back");
    }
    let list = browser.get("/wallet/sessions").await.json();
    assert_eq!(list["sessions"][0]["expires_at"], "2026-12-22T12:00:00Z");
    shop.advance_s(DAY_S);
    refused(&browser.get("/").await, 401, "invalid_token");
    assert_eq!(browser.redeem(&json!({})).await.status, StatusCode::OK);
    assert_eq!(customer(&mut browser).await, id);
}

#[tokio::test]
async fn the_last_use_is_written_down_to_five_minutes() {
    let shop = TestShop::new();
    let mut browser = signed_in(&shop).await;
    for (later_s, last_seen) in [
        (0, "2026-11-22T12:00:00Z"),
        (299, "2026-11-22T12:00:00Z"),
        (1, "2026-11-22T12:05:00Z"),
        (60, "2026-11-22T12:05:00Z"),
    ] {
        shop.advance_s(later_s);
        browser.get("/").await;
        let list = browser.get("/wallet/sessions").await.json();
        let session = &list["sessions"][0];
        assert_eq!(session["last_seen"], last_seen);
        assert_eq!(session["since"], "2026-11-22T12:00:00Z");
        assert!(session["did"].as_str().unwrap().starts_with("did:key:"));
        assert_eq!(session["current"], true);
        assert_eq!(
            (&session["rung"], &session["across_devices"], &session["cookie"]),
            (&json!("browser_key"), &json!(false), &json!(false))
        );
        assert_eq!(session.as_object().unwrap().len(), 9, "{session}");
    }
}

#[tokio::test]
async fn the_list_says_which_session_is_this_one() {
    let shop = TestShop::new();
    let mut browser = signed_in(&shop).await;
    let mut earlier = second_session(&mut browser).await;
    let current = async |browser: &mut Browser| -> Vec<(String, bool)> {
        let list = browser.get("/wallet/sessions").await.json();
        let entry = |s: &Value| (s["id"].as_str().unwrap().to_owned(), s["current"] == true);
        list["sessions"].as_array().unwrap().iter().map(entry).collect()
    };
    let (now, then) = (current(&mut browser).await, current(&mut earlier).await);
    assert_eq!(now.len(), 2);
    let other_way_round: Vec<(String, bool)> = then.into_iter().map(|(id, current)| (id, !current)).collect();
    assert_eq!(now, other_way_round);
    assert!(!browser.get("/wallet/sessions").await.text().contains(browser.token.as_deref().unwrap()));
    // Over for lack of use, one of them is not shown any more.
    shop.advance_s(6 * DAY_S);
    browser.get("/").await;
    shop.advance_s(DAY_S);
    assert_eq!(sessions(&mut browser).await.len(), 1);
}

#[tokio::test]
async fn a_key_has_at_most_eight_sessions_and_the_oldest_goes_first() {
    let (shop, store) = shop_and_store();
    let mut browser = browser(&shop);
    browser.prove("address", "adult").await;
    let id = customer(&mut browser).await;
    let mut tabs = vec![browser.clone()];
    for _ in 0..11 {
        shop.advance_s(1);
        browser.token = None;
        assert_eq!(browser.redeem(&json!({})).await.status, StatusCode::OK);
        tabs.push(browser.clone());
    }
    assert_eq!(sessions(&mut browser).await.len(), 8);
    for (number, tab) in tabs.iter_mut().enumerate() {
        let reply = tab.get("/name").await;
        match number < 4 {
            true => refused(&reply, 401, "invalid_token"),
            // What an ended session brought is the key's to read.
            false => assert_eq!(reply.text(), "Anna", "{number}"),
        }
    }
    // Whoever was replaced begins again, and two tabs that do so in turn do not put each other out.
    let (mut one, mut two) = (tabs.remove(0), tabs.remove(0));
    for tab in [&mut one, &mut two] {
        shop.advance_s(1);
        tab.token = None;
        assert_eq!(tab.redeem(&json!({})).await.status, StatusCode::OK);
    }
    for _ in 0..3 {
        assert_eq!(one.get("/").await.text(), "Welcome back");
        assert_eq!(two.get("/").await.text(), "Welcome back");
    }
    assert_eq!(left_of(&store, &shop, id.as_str()).await.len(), 1 + 8 + 1 + 1, "record, sessions, key, answer");
}

#[tokio::test]
async fn a_new_answer_takes_the_place_of_the_one_before() {
    let (shop, store) = shop_and_store();
    let mut browser = browser(&shop);
    for _ in 0..2 {
        let (asking, code) = answered(&mut browser, "address", Device::SameDevice, "adult").await;
        browser.redeem(&json!({ "presentation": asking.id, "response_code": code })).await;
        // What was shown went from the presentation to its customer.
        let key = Key::new("presentation", asking.request_uri.rsplit('/').next().unwrap(), "");
        let stored = store.load(&[key], shop.merchant().now()).await.unwrap().remove(0).expect("a record");
        assert!(!stored.record.body.contains("sealed"), "{}", stored.record.body);
    }
    let id = customer(&mut browser).await;
    let answers = left_of(&store, &shop, id.as_str()).await.into_iter().filter(|key| key.starts_with("session_answer"));
    assert_eq!(answers.count(), 1);
    assert_eq!(browser.get("/name").await.text(), "Anna");
}

#[tokio::test]
async fn signing_out_locks_the_key_on_every_store() {
    on_every_store("signing out", async |shop| {
        let mut browser = signed_in(&shop).await;
        let id = customer(&mut browser).await;
        let mut earlier = second_session(&mut browser).await;
        let mut other = signed_in(&shop).await;
        assert_eq!(browser.delete("/wallet/sessions/current").await.status, StatusCode::NO_CONTENT);

        // All that this key could still do is over, an earlier session of it too.
        refused(&browser.get("/").await, 401, "invalid_token");
        refused(&earlier.get("/").await, 401, "invalid_token");
        refused(&earlier.delete("/wallet/sessions/current").await, 401, "invalid_token");
        browser.token = None;
        refused(&browser.redeem(&json!({})).await, 403, "binding_locked");
        let ask = json!({ "ask": "age", "flow": "same_device" });
        refused(&browser.post_json("/wallet/presentations", &ask).await, 403, "binding_locked");

        // The record stays; whoever proves the same with another key is another customer.
        assert!(shop.merchant().customer(&id).await.unwrap().is_some());
        let mut anew = browser.another();
        anew.sign_in("adult").await;
        assert_ne!(customer(&mut anew).await, id);
        assert_eq!(other.get("/").await.text(), "Welcome back", "others stay");
    })
    .await;
}

#[tokio::test]
async fn revoking_a_session_ends_all_that_its_key_could_do() {
    let shop = TestShop::new();
    let mut browser = signed_in(&shop).await;
    let mut earlier = second_session(&mut browser).await;
    let names = sessions(&mut browser).await;
    assert_eq!(browser.delete(&format!("/wallet/sessions/{}", names[1])).await.status, StatusCode::NO_CONTENT);
    refused(&earlier.get("/").await, 401, "invalid_token");
    // It is the session of this same key: a key is signed out or it is not.
    refused(&browser.get("/").await, 401, "invalid_token");
    refused(&browser.redeem(&json!({})).await, 403, "binding_locked");
}

#[tokio::test]
async fn row_136_nobody_revokes_what_is_another_customers() {
    let shop = TestShop::new();
    let mut browser = signed_in(&shop).await;
    let mut other = browser.another();
    other.sign_in("national").await;
    let foreign = sessions(&mut other).await.remove(0);
    let reply = browser.delete(&format!("/wallet/sessions/{foreign}")).await;
    refused(&reply, 404, "no_such_session");
    for absent in ["AAAAAAAAAAAAAAAAAAAAAA", "x", "%2e%2e", "current%20", "%00", &"a".repeat(4_000)] {
        let same = browser.delete(&format!("/wallet/sessions/{absent}")).await;
        assert_eq!((same.status, same.told()), (reply.status, reply.told()), "{absent}");
    }
    assert_eq!(other.get("/").await.text(), "Welcome back");
    assert_eq!(browser.get("/").await.text(), "Welcome back");
}

#[tokio::test]
async fn revoking_all_ends_all_and_locks_their_keys() {
    let shop = TestShop::new();
    let mut browser = signed_in(&shop).await;
    let mut earlier = second_session(&mut browser).await;
    assert_eq!(browser.delete("/wallet/sessions").await.status, StatusCode::NO_CONTENT);
    for one in [&mut browser, &mut earlier] {
        refused(&one.get("/").await, 401, "invalid_token");
    }
    browser.token = None;
    refused(&browser.redeem(&json!({})).await, 403, "binding_locked");
}

#[tokio::test]
async fn a_forgotten_device_is_nobody_and_may_begin_anew() {
    let shop = TestShop::new();
    let mut browser = signed_in(&shop).await;
    let id = customer(&mut browser).await;
    let mut earlier = second_session(&mut browser).await;
    assert_eq!(browser.delete("/wallet/device").await.status, StatusCode::NO_CONTENT);
    refused(&browser.get("/").await, 401, "invalid_token");
    refused(&earlier.get("/").await, 401, "invalid_token");
    browser.token = None;
    refused(&browser.redeem(&json!({})).await, 403, "unknown_key");
    assert!(shop.merchant().customer(&id).await.unwrap().is_none(), "nobody could come back to it");
    browser.sign_in("adult").await;
    assert_ne!(customer(&mut browser).await, id);
}

#[tokio::test]
async fn a_forgotten_customer_leaves_nothing() {
    let (shop, store) = shop_and_store();
    let mut browser = browser(&shop);
    let (asking, code) = answered(&mut browser, "address", Device::SameDevice, "adult").await;
    browser.redeem(&json!({ "presentation": asking.id, "response_code": code })).await;
    let id = customer(&mut browser).await;
    let mut earlier = second_session(&mut browser).await;
    assert_eq!(earlier.get("/name").await.text(), "Anna");
    assert!(!left_of(&store, &shop, id.as_str()).await.is_empty());

    let farewell = browser.delete("/wallet/me").await;
    assert_eq!(farewell.status, StatusCode::OK);
    assert_eq!(farewell.json()["stays"], serde_json::json!([]), "nothing was bought");
    assert!(shop.merchant().customer(&id).await.unwrap().is_none());
    assert_eq!(left_of(&store, &shop, id.as_str()).await, Vec::<String>::new());
    let request = asking.request_uri.rsplit('/').next().unwrap();
    let answer = store.load(&[Key::new("presentation", request, "")], shop.merchant().now()).await.unwrap();
    assert!(answer[0].is_none(), "the sealed claims are gone");

    for one in [&mut browser, &mut earlier] {
        refused(&one.get("/").await, 401, "invalid_token");
        refused(&one.get("/wallet/me").await, 401, "invalid_token");
    }
    browser.token = None;
    refused(&browser.redeem(&json!({})).await, 403, "unknown_key");
    browser.sign_in("adult").await;
    assert_ne!(customer(&mut browser).await, id);
}

/// What a store still has under a customer's name.
async fn left_of(store: &Memory, shop: &TestShop, id: &str) -> Vec<String> {
    let mut left = Vec::new();
    for kind in ["customer", "customer_session", "customer_binding", "session_answer", "kept"] {
        let prefix = Prefix { kind, partition: id.to_owned(), sort: String::new() };
        let found = store.scan(&prefix, None, 100, shop.merchant().now()).await.unwrap();
        left.extend(found.into_iter().map(|(key, _)| format!("{} {}", key.kind, key.sort)));
    }
    left
}

#[tokio::test]
async fn an_unknown_key_does_not_begin_by_itself() {
    let shop = TestShop::new();
    let mut browser = browser(&shop);
    refused(&browser.redeem(&json!({})).await, 403, "unknown_key");
    assert!(browser.token.is_none());
}

#[tokio::test]
async fn a_known_key_begins_again_whatever_old_token_it_still_has() {
    let shop = TestShop::new();
    let mut browser = signed_in(&shop).await;
    let id = customer(&mut browser).await;
    // Also together with a good token, and with one that nobody knows.
    for token in [browser.token.clone().unwrap(), "unknown".to_owned()] {
        browser.token = Some(token);
        let reply = browser.post_json("/wallet/sessions", &json!({})).await;
        assert_eq!(reply.status, StatusCode::OK, "{}", reply.text());
        browser.token = Some(reply.json()["access_token"].as_str().unwrap().to_owned());
        assert_eq!(customer(&mut browser).await, id);
    }
}

#[tokio::test]
async fn claims_are_read_for_fifteen_minutes() {
    let shop = TestShop::new();
    let mut browser = browser(&shop);
    browser.prove("address", "adult").await;
    for (later_s, name) in [(0, "Anna"), (15 * 60 - 1, "Anna"), (1, "nobody")] {
        shop.advance_s(later_s);
        assert_eq!(browser.get("/name").await.text(), name, "{later_s}");
    }
    assert_eq!(browser.get("/").await.text(), "Welcome back");
}

#[tokio::test]
async fn claims_belong_to_the_key_that_brought_them_and_are_erased_at_sign_out() {
    let (shop, store) = shop_and_store();
    let mut browser = browser(&shop);
    let (asking, code) = answered(&mut browser, "address", Device::SameDevice, "adult").await;
    browser.redeem(&json!({ "presentation": asking.id, "response_code": code })).await;
    let mut earlier = second_session(&mut browser).await;
    assert_eq!(browser.get("/name").await.text(), "Anna");
    assert_eq!(earlier.get("/name").await.text(), "Anna");
    let mut other = browser.another();
    other.sign_in("national").await;
    assert_eq!(other.get("/name").await.text(), "nobody");

    let request = asking.request_uri.rsplit('/').next().unwrap();
    let key = [Key::new("presentation", request, "")];
    assert!(store.load(&key, shop.merchant().now()).await.unwrap()[0].is_some());
    // Signed out in the other session of this key: what the first brought goes too.
    browser.delete("/wallet/sessions/current").await;
    assert!(store.load(&key, shop.merchant().now()).await.unwrap()[0].is_none());
}

#[tokio::test]
async fn row_128_a_token_is_random_and_stands_in_no_record() {
    let (shop, store) = shop_and_store();
    let mut browser = signed_in(&shop).await;
    let token = browser.token.clone().unwrap();
    assert_eq!(token.len(), 43, "256 bits");
    assert!(!format!("{store:?}").contains(&token));
    for altered in [token[..42].to_owned(), format!("{token}A"), token.to_lowercase(), "A".repeat(43)] {
        browser.token = Some(altered);
        refused(&browser.get("/").await, 401, "invalid_token");
    }
}

#[tokio::test]
async fn a_session_ended_on_one_node_is_over_on_another() {
    let (shop, store) = shop_and_store();
    let mut here = signed_in(&shop).await;
    let mut there = led_to(&here, &node(&shop, store));
    assert_eq!(there.get("/").await.text(), "Welcome back");
    here.delete("/wallet/sessions/current").await;
    refused(&there.get("/").await, 401, "invalid_token");
}

#[tokio::test]
async fn what_changes_a_customer_needs_the_customer() {
    let shop = TestShop::new();
    let mut browser = browser(&shop);
    for path in ["/wallet/me", "/wallet/sessions"] {
        refused(&browser.get(path).await, 401, "not_known");
        refused(&browser.plain(&Method::GET, path, &[], &[]).await, 401, "invalid_dpop_proof");
    }
    for path in ["/wallet/me", "/wallet/sessions", "/wallet/sessions/current", "/wallet/device"] {
        refused(&browser.delete(path).await, 401, "not_known");
        refused(&browser.plain(&Method::DELETE, path, &[], &[]).await, 401, "invalid_dpop_proof");
    }
}

#[tokio::test]
async fn what_ends_something_is_replayed_by_nobody() {
    for path in ["/wallet/sessions/current", "/wallet/sessions", "/wallet/device", "/wallet/me"] {
        let shop = TestShop::new();
        let mut browser = signed_in(&shop).await;
        let claims = browser.claims(&Method::DELETE, path, None);
        assert!(send_claims(&mut browser, &Method::DELETE, path, &claims).await.status.is_success(), "{path}");
        let token = browser.token.clone();
        if path == "/wallet/device" {
            // The same key begins anew; what was captured is worth nothing against it.
            browser.token = None;
            browser.sign_in("adult").await;
            let now = browser.token.clone();
            browser.token = token;
            refused(&send_claims(&mut browser, &Method::DELETE, path, &claims).await, 401, "invalid_token");
            browser.token = now;
            assert_eq!(browser.get("/").await.text(), "Welcome back");
        } else {
            refused(&send_claims(&mut browser, &Method::DELETE, path, &claims).await, 401, "invalid_token");
        }
    }
}

#[test]
fn a_shop_on_the_network_believes_no_issuer_over_http() {
    let shop = TestShop::new();
    let trust = shop.cast().trust().unwrap().danger_loopback();
    let builder = Merchant::builder(shop.merchant().origin().clone()).keys(shop.keys().clone()).trust(trust);
    let error = builder.fetch(shop.network().clone()).store(Memory::new()).build().unwrap_err();
    assert!(error.to_string().contains("danger_loopback"), "{error}");
}

/// What the devices of this browser's customer are called, by session.
async fn names(browser: &mut Browser) -> Vec<(bool, Option<String>)> {
    let list = browser.get("/wallet/sessions").await.json();
    let entry = |s: &Value| (s["current"] == true, s["name"].as_str().map(str::to_owned));
    list["sessions"].as_array().unwrap().iter().map(entry).collect()
}

#[tokio::test]
async fn a_device_is_called_what_its_browser_says_until_its_customer_says_otherwise() {
    on_every_store("names of devices", async |shop| {
        let mut browser = browser(&shop);
        let (asking, code) = answered(&mut browser, "age", Device::SameDevice, "adult").await;
        let body = json!({ "presentation": asking.id, "response_code": code, "device": "Firefox on Android" });
        assert_eq!(browser.redeem(&body).await.status, StatusCode::OK);
        let called = |name: &str| vec![(true, Some(name.to_owned()))];
        assert_eq!(names(&mut browser).await, called("Firefox on Android"));
        // What a browser says later changes nothing: it is the customer who renames.
        let reply = browser.put_json("/wallet/device", &json!({ "name": "Annas Küchentisch" })).await;
        assert_eq!(reply.status, StatusCode::NO_CONTENT, "{}", reply.text());
        assert_eq!(names(&mut browser).await, called("Annas Küchentisch"));
        let mut earlier = second_session(&mut browser).await;
        browser.token = None;
        assert_eq!(browser.redeem(&json!({ "device": "Firefox on Linux" })).await.status, StatusCode::OK);
        assert!(names(&mut browser).await.iter().all(|(_, name)| name.as_deref() == Some("Annas Küchentisch")));
        // By the name of any session that is on it.
        let session = sessions(&mut browser).await.pop().unwrap();
        let body = json!({ "name": "Tablet", "session": session });
        assert_eq!(earlier.put_json("/wallet/device", &body).await.status, StatusCode::NO_CONTENT);
        assert!(names(&mut browser).await.iter().all(|(_, name)| name.as_deref() == Some("Tablet")));
        assert_eq!(browser.get("/").await.text(), "Welcome back");
    })
    .await;
}

#[tokio::test]
async fn row_133_a_devices_name_is_short_and_turns_nothing_around() {
    let shop = TestShop::new();
    let mut browser = signed_in(&shop).await;
    for bad in
        [json!(""), json!(" x"), json!("x".repeat(41)), json!("a\nb"), json!("\u{202e}dliw"), json!(7), json!(null)]
    {
        refused(&browser.put_json("/wallet/device", &json!({ "name": bad })).await, 400, "invalid_request");
        if !bad.is_null() {
            let token = browser.token.take();
            refused(&browser.post_json("/wallet/sessions", &json!({ "device": bad })).await, 400, "invalid_request");
            browser.token = token;
        }
    }
    refused(&browser.put_json("/wallet/device", &json!({})).await, 400, "invalid_request");
    assert_eq!(names(&mut browser).await, [(true, None)]);
}

#[tokio::test]
async fn row_136_nobody_renames_what_is_another_customers() {
    let shop = TestShop::new();
    let mut browser = signed_in(&shop).await;
    let mut other = browser.another();
    refused(&other.put_json("/wallet/device", &json!({ "name": "x" })).await, 401, "not_known");
    other.sign_in("national").await;
    let foreign = sessions(&mut other).await.remove(0);
    for session in [foreign.as_str(), "AAAAAAAAAAAAAAAAAAAAAA", "x", ""] {
        let body = json!({ "name": "mine", "session": session });
        refused(&browser.put_json("/wallet/device", &body).await, 404, "no_such_session");
    }
    assert_eq!(names(&mut other).await, [(true, None)]);
    // Replayed, it renames nothing a second time; and a body that was exchanged is refused.
    let body = json!({ "name": "mine" }).to_string();
    let claims = browser.claims(&Method::PUT, "/wallet/device", Some(body.as_bytes()));
    let headers = signed_headers(&browser, &browser.sign(&claims), Some("application/json"));
    let reply = browser.send(&Method::PUT, "/wallet/device", headers.clone(), b"{\"name\":\"evil\"}").await;
    refused(&reply, 401, "invalid_dpop_proof");
    let reply = browser.send(&Method::PUT, "/wallet/device", headers.clone(), body.as_bytes()).await;
    assert_eq!(reply.status, StatusCode::NO_CONTENT);
    let reply = browser.send(&Method::PUT, "/wallet/device", headers, body.as_bytes()).await;
    refused(&reply, 401, "invalid_dpop_proof");
}

#[tokio::test]
async fn a_session_that_began_across_devices_says_so() {
    let shop = TestShop::new();
    let mut browser = browser(&shop);
    let (asking, _) = answered(&mut browser, "age", Device::CrossDevice, "adult").await;
    browser.redeem(&json!({ "presentation": asking.id })).await;
    let list = browser.get("/wallet/sessions").await.json();
    assert_eq!(list["sessions"][0]["across_devices"], true);
    // Until its customer shows a wallet on this device.
    browser.token = None;
    browser.sign_in("adult").await;
    let list = browser.get("/wallet/sessions").await.json();
    let current = list["sessions"].as_array().unwrap().iter().find(|session| session["current"] == true).unwrap();
    assert_eq!(current["across_devices"], false, "{list}");
}
