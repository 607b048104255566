//! From an answer to a session: only the browser that asked has it, once, in time, and with what the wallet carried back.

use axum::Router;
use firsthand::{
    Ask, CustomerId, Device,
    ask::{PID, Wanted},
    limits::Limits,
    merchant::ProofRequest,
    store::{Memory, Store},
};
use firsthand_axum::testing::{
    Asking, Browser, Reply, TestShop, response_code,
    wallet::{Fault, Link, Request},
};
use http::{Method, StatusCode};
use serde_json::{Value, json};

use crate::setting::{
    answered, app, browser, customer, led_to, node, node_with, on_every_store, refused, rotated_keys, sessions,
    shop_and_store,
};

#[tokio::test]
async fn a_customer_walks_in_comes_back_and_leaves_on_every_store() {
    on_every_store("the way of a customer", async |shop| {
        let mut browser = browser(&shop);
        assert_eq!(browser.get("/").await.text(), "Hello");
        browser.sign_in("adult").await;
        assert_eq!(browser.get("/").await.text(), "Welcome back");
        let id = customer(&mut browser).await;
        assert!(shop.merchant().customer(&id).await.unwrap().is_some());

        // Closed and opened again: the key is all that it kept.
        (browser.token, browser.nonce) = (None, None);
        let resumed = browser.redeem(&json!({})).await;
        assert_eq!(resumed.status, StatusCode::OK, "{}", resumed.text());
        assert_eq!(resumed.json()["token_type"], "DPoP");
        assert_eq!(resumed.json()["expires_in"], 7 * 24 * 3600);
        assert_eq!(customer(&mut browser).await, id);

        browser.prove("address", "adult").await;
        assert_eq!(customer(&mut browser).await, id, "a second presentation adds to the same record");
        let me = browser.get("/wallet/me").await.json();
        let asks: Vec<&str> = me["proofs"].as_array().unwrap().iter().map(|p| p["ask"].as_str().unwrap()).collect();
        assert_eq!(asks, ["age", "address"]);
        assert_eq!(me["proofs"][0]["outcome"], "over 18");
        assert_eq!(me["rung"], "browser_key");
        assert_eq!(me["dids"].as_array().unwrap().len(), 1);

        assert_eq!(browser.delete("/wallet/sessions/current").await.status, StatusCode::NO_CONTENT);
        refused(&browser.get("/wallet/me").await, 401, "invalid_token");
        browser.token = None;
        refused(&browser.redeem(&json!({})).await, 403, "binding_locked");
        assert_eq!(browser.get("/").await.text(), "Hello");
    })
    .await;
}

#[tokio::test]
async fn row_04_another_browser_with_the_id_and_the_code_gets_nothing() {
    let shop = TestShop::new();
    let mut victim = browser(&shop);
    let mut thief = victim.another();
    let (asking, code) = answered(&mut victim, "age", Device::SameDevice, "adult").await;
    let redemption = json!({ "presentation": asking.id, "response_code": code });
    refused(&thief.redeem(&redemption).await, 403, "other_browser");
    refused(&thief.redeem(&json!({ "presentation": asking.id })).await, 403, "other_browser");
    assert!(thief.token.is_none());
    refused(&thief.redeem(&json!({})).await, 403, "unknown_key");
    // Nothing was used up.
    assert_eq!(victim.redeem(&redemption).await.status, StatusCode::OK);
}

#[tokio::test]
async fn row_04_a_link_that_somebody_else_answered_makes_them_nobody_here() {
    // The attacker asks, the victim's wallet answers, and the victim's browser comes back with id and code.
    let shop = TestShop::new();
    let mut attacker = browser(&shop);
    let mut victim = attacker.another();
    let (asking, code) = answered(&mut attacker, "address", Device::SameDevice, "adult").await;
    let redemption = json!({ "presentation": asking.id, "response_code": code });
    refused(&victim.redeem(&redemption).await, 403, "other_browser");
    // The attacker has the key, but not the code, which went to the victim's browser.
    refused(&attacker.redeem(&json!({ "presentation": asking.id })).await, 403, "wrong_response_code");
    let guess = json!({ "presentation": asking.id, "response_code": "A".repeat(43) });
    refused(&attacker.redeem(&guess).await, 403, "wrong_response_code");
    let nonsense = json!({ "presentation": asking.id, "response_code": "x" });
    refused(&attacker.redeem(&nonsense).await, 403, "wrong_response_code");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn row_09_of_two_redeems_at_once_one_wins() {
    on_every_store("two redeems at once", async |shop| {
        for _ in 0..4 {
            let mut first = browser(&shop);
            let (asking, code) = answered(&mut first, "age", Device::SameDevice, "adult").await;
            let redemption = json!({ "presentation": asking.id, "response_code": code });
            let mut second = first.clone();
            let (one, other) = (redemption.clone(), redemption);
            let (first, second) = tokio::join!(
                tokio::spawn(async move { (first.redeem(&one).await, first) }),
                tokio::spawn(async move { (second.redeem(&other).await, second) }),
            );
            let (first, second) = (first.unwrap(), second.unwrap());
            let (won, lost) = if first.0.status == StatusCode::OK { (first, second) } else { (second, first) };
            assert_eq!(won.0.status, StatusCode::OK, "{}", won.0.text());
            refused(&lost.0, 409, "already_redeemed");
            let mut winner = won.1;
            assert_eq!(sessions(&mut winner).await.len(), 1);
            assert_eq!(winner.get("/wallet/me").await.json()["proofs"].as_array().unwrap().len(), 1);
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_presentations_of_one_new_key_redeemed_at_once_make_one_customer() {
    on_every_store("two presentations at once", async |shop| {
        let mut first = browser(&shop);
        let (age, age_code) = answered(&mut first, "age", Device::SameDevice, "adult").await;
        let (address, address_code) = answered(&mut first, "address", Device::SameDevice, "adult").await;
        let mut second = first.clone();
        let (first, second) = tokio::join!(
            tokio::spawn(async move {
                let reply = first.redeem(&json!({ "presentation": age.id, "response_code": age_code })).await;
                assert_eq!(reply.status, StatusCode::OK, "{}", reply.text());
                first
            }),
            tokio::spawn(async move {
                let reply = second.redeem(&json!({ "presentation": address.id, "response_code": address_code })).await;
                assert_eq!(reply.status, StatusCode::OK, "{}", reply.text());
                second
            }),
        );
        let (mut first, mut second) = (first.unwrap(), second.unwrap());
        assert_eq!(customer(&mut first).await, customer(&mut second).await);
        assert_eq!(first.get("/wallet/me").await.json()["proofs"].as_array().unwrap().len(), 2);
    })
    .await;
}

#[tokio::test]
async fn there_is_nothing_to_redeem_before_the_answer() {
    let shop = TestShop::new();
    let mut browser = browser(&shop);
    let asking = browser.ask("age", Device::CrossDevice).await;
    let redemption = json!({ "presentation": asking.id });
    refused(&browser.redeem(&redemption).await, 409, "not_answered");
    let request = browser.wallet_reads(&asking).await;
    refused(&browser.redeem(&redemption).await, 409, "not_answered");
    browser.wallet_answers(&request, "adult", &[]).await;
    assert_eq!(browser.redeem(&redemption).await.status, StatusCode::OK);
}

#[tokio::test]
async fn row_05_an_answer_waits_five_minutes() {
    let shop = TestShop::new();
    let mut browser = browser(&shop);
    let asking = browser.ask("age", Device::CrossDevice).await;
    browser.wallet_reads(&asking).await;
    shop.advance_s(5 * 60);
    refused(&browser.redeem(&json!({ "presentation": asking.id })).await, 410, "presentation_expired");
    shop.advance_s(10 * 60);
    refused(&browser.redeem(&json!({ "presentation": asking.id })).await, 404, "no_such_presentation");

    for (waits_s, in_time) in [(5 * 60 - 1, true), (5 * 60, false)] {
        let (asking, code) = answered(&mut browser, "age", Device::SameDevice, "adult").await;
        shop.advance_s(waits_s);
        let redemption = json!({ "presentation": asking.id, "response_code": code });
        let reply = browser.redeem(&redemption).await;
        if in_time {
            assert_eq!(reply.status, StatusCode::OK, "{}", reply.text());
        } else {
            // An answer that nobody fetched leaves no trace, so nobody can say that it was there.
            refused(&reply, 404, "no_such_presentation");
        }
    }
}

#[tokio::test]
async fn a_code_belongs_to_the_same_device_alone() {
    let shop = TestShop::new();
    let mut browser = browser(&shop);
    let (same, code) = answered(&mut browser, "age", Device::SameDevice, "adult").await;
    let (cross, _) = answered(&mut browser, "age", Device::CrossDevice, "adult").await;
    let with = |id: &str, code: &Option<String>| json!({ "presentation": id, "response_code": code });
    refused(&browser.redeem(&json!({ "presentation": same.id })).await, 403, "wrong_response_code");
    refused(&browser.redeem(&with(&cross.id, &code)).await, 403, "wrong_response_code");
    // A wrong code burns nothing.
    assert_eq!(browser.redeem(&with(&same.id, &code)).await.status, StatusCode::OK);
    assert_eq!(browser.redeem(&json!({ "presentation": cross.id })).await.status, StatusCode::OK);
    refused(&browser.redeem(&json!({ "response_code": code })).await, 400, "invalid_request");
}

#[tokio::test]
async fn what_the_wallet_declined_is_not_redeemed() {
    let shop = TestShop::new();
    let mut browser = browser(&shop);
    let asking = browser.ask("age", Device::SameDevice).await;
    let request = browser.wallet_reads(&asking).await;
    let answer = browser.wallet_posts(&request, &request.error("access_denied")).await;
    assert_eq!(answer.status, StatusCode::OK, "{}", answer.text());
    let code = response_code(&answer);
    let redemption = json!({ "presentation": asking.id, "response_code": code });
    refused(&browser.redeem(&redemption).await, 403, "declined");
    let state = browser.get(&format!("/wallet/presentations/{}", asking.id)).await.json();
    assert_eq!(state, json!({ "state": "declined", "refused": "access_denied" }));
}

#[tokio::test]
async fn row_05_a_result_is_given_out_once() {
    let shop = TestShop::new();
    let mut browser = browser(&shop);
    let (asking, code) = answered(&mut browser, "age", Device::SameDevice, "adult").await;
    let redemption = json!({ "presentation": asking.id, "response_code": code });
    assert_eq!(browser.redeem(&redemption).await.status, StatusCode::OK);
    refused(&browser.redeem(&redemption).await, 409, "already_redeemed");
    assert_eq!(sessions(&mut browser).await.len(), 1);
}

#[tokio::test]
async fn a_key_that_was_signed_out_neither_asks_nor_redeems() {
    let shop = TestShop::new();
    let mut browser = browser(&shop);
    browser.sign_in("adult").await;
    let id = customer(&mut browser).await;
    let (asking, code) = answered(&mut browser, "address", Device::SameDevice, "adult").await;
    browser.delete("/wallet/sessions/current").await;
    browser.token = None;

    let ask = json!({ "ask": "age", "flow": "same_device" });
    refused(&browser.post_json("/wallet/presentations", &ask).await, 403, "binding_locked");
    let redemption = json!({ "presentation": asking.id, "response_code": code });
    refused(&browser.redeem(&redemption).await, 403, "binding_locked");
    let kept = shop.merchant().customer(&id).await.unwrap().unwrap();
    assert_eq!(kept.proofs().len(), 1, "nothing was added");
    let state = browser.get(&format!("/wallet/presentations/{}", asking.id)).await.json();
    assert_eq!(state["state"], "answered", "nothing was used up");
}

#[tokio::test]
async fn row_06_from_another_device_it_is_the_asking_keys_own_record() {
    let shop = TestShop::new();
    let mut known = browser(&shop);
    known.sign_in("adult").await;
    let id = customer(&mut known).await;

    // The same person's wallet answers a code on somebody else's screen: that screen becomes a customer of its own.
    let mut screen = known.another();
    let (asking, _) = answered(&mut screen, "age", Device::CrossDevice, "adult").await;
    assert_eq!(screen.redeem(&json!({ "presentation": asking.id })).await.status, StatusCode::OK);
    assert_ne!(customer(&mut screen).await, id);
    assert_eq!(known.get("/wallet/me").await.json()["dids"].as_array().unwrap().len(), 1);
    assert_eq!(sessions(&mut known).await.len(), 1);

    // A key that is known already stays who it is.
    let (asking, _) = answered(&mut known, "address", Device::CrossDevice, "national").await;
    assert_eq!(known.redeem(&json!({ "presentation": asking.id })).await.status, StatusCode::OK);
    assert_eq!(customer(&mut known).await, id);
    let record = shop.merchant().customer(&id).await.unwrap().unwrap();
    let devices: Vec<Device> = record.proofs().iter().map(|proof| proof.device).collect();
    assert_eq!(devices, [Device::SameDevice, Device::CrossDevice]);
}

#[tokio::test]
async fn row_24_the_same_wallet_in_two_browsers_is_two_customers() {
    // A credential that somebody else issued proves claims, and identifies nobody.
    let shop = TestShop::new();
    let (mut first, mut second) = (browser(&shop), browser(&shop));
    first.prove("address", "adult").await;
    second.prove("address", "adult").await;
    assert_ne!(customer(&mut first).await, customer(&mut second).await);
}

#[tokio::test]
async fn an_answer_that_contradicts_what_is_kept_overwrites_nothing() {
    let wanted = || Wanted::sd_jwt_vc(PID).claim(["given_name"]).claim(["family_name"]);
    let name = Ask::new("name", "To know what to call you").credential("pid", wanted()).keep(
        "given_name",
        "To greet you",
        3600,
    );
    let shop = TestShop::with(|builder| builder.store(Memory::new()).ask(&name));
    let mut browser = browser(&shop);
    browser.prove("name", "adult").await;
    let before = browser.get("/wallet/me").await.json();
    assert_eq!(before["kept"][0]["claim"], "given_name");
    assert_eq!(before["kept"][0]["purpose"], "To greet you");
    assert!(!before.to_string().contains("Anna"), "a list of what is kept shows no values");

    shop.advance_s(60);
    let (asking, code) = answered(&mut browser, "name", Device::SameDevice, "national").await;
    let redemption = json!({ "presentation": asking.id, "response_code": code });
    let reply = browser.redeem(&redemption).await;
    refused(&reply, 409, "another_person");
    assert_eq!(reply.json()["claims"], json!(["given_name"]));
    assert!(!reply.text().contains("Anna") && !reply.text().contains("Nils"));
    assert_eq!(browser.get("/wallet/me").await.json(), before);
    let id: CustomerId = customer(&mut browser).await;
    let record = shop.merchant().customer(&id).await.unwrap().unwrap();
    assert_eq!(record.kept_value("given_name").await.unwrap(), Some(json!("Anna")));
    assert_eq!(sessions(&mut browser).await.len(), 1);

    // The same person again contradicts nothing; and when nothing is kept any more, nothing can be contradicted.
    browser.prove("name", "adult").await;
    shop.advance_s(3600);
    let record = shop.merchant().customer(&id).await.unwrap().unwrap();
    assert_eq!(record.kept_value("given_name").await.unwrap(), None);
    browser.prove("name", "national").await;
    let record = shop.merchant().customer(&id).await.unwrap().unwrap();
    assert_eq!(record.kept_value("given_name").await.unwrap(), Some(json!("Nils")));
}

#[tokio::test]
async fn what_is_kept_leaves_the_store_when_its_time_is_over() {
    let store = Memory::new();
    let wanted = Wanted::sd_jwt_vc(PID).claim(["given_name"]).claim(["family_name"]);
    let name = Ask::new("name", "To greet").credential("pid", wanted).keep("given_name", "To greet you", 3600);
    let shop = TestShop::with(|builder| builder.store(store.clone()).ask(&name));
    let mut browser = browser(&shop);
    browser.prove("name", "adult").await;
    let id = customer(&mut browser).await;
    let key = [firsthand::store::Key::new("kept", id.as_str(), "given_name")];
    let record = async || store.load(&key, shop.merchant().now()).await.unwrap().remove(0);
    let kept = record().await.unwrap().record;
    assert_eq!(kept.expires_at, Some(shop.merchant().now().plus_s(3600)));
    assert!(!kept.body.contains("Anna"));
    shop.advance_s(3600);
    assert!(record().await.is_none());
    assert_eq!(browser.get("/wallet/me").await.json()["kept"], json!([]));
    assert!(store.sweep(shop.merchant().now(), 1_000).await.unwrap() > 0);
}

#[tokio::test]
async fn of_an_answer_across_devices_nothing_is_kept_and_the_merchant_can_tell() {
    let wanted = || Wanted::sd_jwt_vc(PID).claim(["given_name"]).claim(["family_name"]);
    let name = Ask::new("name", "To greet").credential("pid", wanted()).keep("given_name", "To greet you", 3600);
    for device in [Device::SameDevice, Device::CrossDevice] {
        let shop = TestShop::with(|builder| builder.store(Memory::new()).ask(&name));
        let mut browser = browser(&shop);
        let (asking, code) = answered(&mut browser, "name", device, "adult").await;
        let reply = browser.redeem(&json!({ "presentation": asking.id, "response_code": code })).await;
        assert_eq!(reply.status, StatusCode::OK, "{}", reply.text());
        let id = customer(&mut browser).await;
        let record = shop.merchant().customer(&id).await.unwrap().unwrap();
        let kept = record.kept_value("given_name").await.unwrap();
        assert_eq!(kept, (device == Device::SameDevice).then(|| json!("Anna")));

        let claims = browser.claims(&Method::GET, "/", None);
        let proof = browser.sign(&claims);
        let token = browser.token.clone().unwrap();
        let request = ProofRequest { proof: &proof, method: "GET", path: "/", access_token: Some(&token) };
        let proof = shop.merchant().check_proof(&request).unwrap();
        let known = shop.merchant().recognise(&proof, &token).await.unwrap();
        assert_eq!(known.claims(&name).await.unwrap().unwrap().device(), device);

        // Another person's answer is refused all the same.
        let (asking, code) = answered(&mut browser, "name", Device::CrossDevice, "national").await;
        let reply = browser.redeem(&json!({ "presentation": asking.id, "response_code": code })).await;
        let status = if device == Device::SameDevice { StatusCode::CONFLICT } else { StatusCode::OK };
        assert_eq!(reply.status, status, "{}", reply.text());
    }
}

#[tokio::test]
async fn a_new_root_secret_makes_nobody_another_person() {
    let wanted = Wanted::sd_jwt_vc(PID).claim(["given_name"]);
    let name =
        Ask::new("name", "To know what to call you").credential("pid", wanted).keep("given_name", "To greet you", 3600);
    let store = Memory::new();
    let shop = TestShop::with(|builder| builder.store(store.clone()).ask(&name));
    let [before, after] = rotated_keys(&shop).map(|keys| node_with(&shop, store.clone(), keys));
    let mut browser = led_to(&browser(&shop), &before);
    let prove = async |browser: &mut Browser, persona: &str| {
        let body = json!({ "ask": "name", "flow": "same_device" });
        let asked = browser.post_json("/wallet/presentations", &body).await.json();
        let link = Link::parse(asked["wallet_uri"].as_str().unwrap()).unwrap();
        let object = browser.plain(&Method::GET, link.request_uri.path(), &[], &[]).await.text();
        // No anchors: the certificates of these keys are not what this is about.
        let now = browser.shop().merchant().now();
        let request = Request::read(&link, &object, None, &[], now, &Limits::default()).unwrap();
        let code = response_code(&browser.wallet_answers(&request, persona, &[]).await);
        browser.redeem(&json!({ "presentation": asked["id"], "response_code": code })).await
    };
    assert_eq!(prove(&mut browser, "adult").await.status, StatusCode::OK);
    let mut browser = led_to(&browser, &after);
    let id = customer(&mut browser).await;
    refused(&prove(&mut browser, "national").await, 409, "another_person");
    let again = prove(&mut browser, "adult").await;
    assert_eq!(again.status, StatusCode::OK, "{}", again.text());
    assert_eq!(customer(&mut browser).await, id);
    refused(&prove(&mut browser, "national").await, 409, "another_person");
}

#[tokio::test]
async fn row_29_return_to_leads_to_this_shop_alone() {
    let shop = TestShop::new();
    let mut browser = browser(&shop);
    let good = ["/", "/wine?year=2019#notes", "/w%C3%A4in", "/a//b", "/a\u{fc}"];
    let bad = [
        "",
        "wine",
        "//evil.example",
        "//evil.example/wine",
        "///evil.example",
        "/\\evil.example",
        "\\\\evil.example",
        "/\t/evil.example",
        "/\n/evil.example",
        "/\r/evil.example",
        "\t//evil.example",
        " /wine",
        "/wine\u{0}",
        "/wine\u{7f}",
        "/wine\u{85}",
        "https://evil.example/",
        "https://shop.example/wine",
        "HTTPS:/evil.example",
        "https:evil.example",
        "javascript:alert(1)",
        "data:text/html,x",
        "?wine",
        "#wine",
        "..//evil.example",
    ];
    let long = format!("/{}", "a".repeat(2_048));
    for (return_to, expected) in
        good.iter().map(|path| (*path, 201)).chain(bad.iter().copied().chain([long.as_str()]).map(|path| (path, 400)))
    {
        let body = json!({ "ask": "age", "flow": "same_device", "return_to": return_to });
        let mut one = browser.another();
        let reply = one.post_json("/wallet/presentations", &body).await;
        assert_eq!(reply.status.as_u16(), expected, "{return_to:?} {}", reply.text());
        if expected == 400 {
            refused(&reply, 400, "invalid_return_to");
            assert!(return_to.is_empty() || !reply.text().contains("evil"), "nothing is reflected");
        }
    }
    for not_text in [json!(7), json!(["/"]), json!({})] {
        let body = json!({ "ask": "age", "flow": "same_device", "return_to": not_text });
        refused(&browser.post_json("/wallet/presentations", &body).await, 400, "invalid_request");
    }
    // It comes back with the session, to the browser that asked.
    let body = json!({ "ask": "age", "flow": "cross_device", "return_to": "/wine?year=2019" });
    let asked = browser.post_json("/wallet/presentations", &body).await.json();
    let asking = Asking {
        id: asked["id"].as_str().unwrap().to_owned(),
        wallet_uri: asked["wallet_uri"].as_str().unwrap().to_owned(),
        request_uri: asked["request_uri"].as_str().unwrap().to_owned(),
        body: asked,
    };
    assert!(!asking.wallet_uri.contains("wine"), "no wallet learns it");
    let request = browser.wallet_reads(&asking).await;
    browser.wallet_answers(&request, "adult", &[]).await;
    let session = browser.redeem(&json!({ "presentation": asking.id })).await.json();
    assert_eq!(session["return_to"], "/wine?year=2019");
}

#[tokio::test]
async fn row_07_the_wallets_name_opens_nothing_for_browsers_and_theirs_nothing_for_wallets() {
    let shop = TestShop::new();
    let mut browser = browser(&shop);
    let (asking, code) = answered(&mut browser, "age", Device::SameDevice, "adult").await;
    let request_id = asking.request_uri.rsplit('/').next().unwrap().to_owned();
    assert_ne!(request_id, asking.id);
    assert!(!asking.wallet_uri.contains(&asking.id), "the wallet is not told the browser's name");

    refused(&browser.get(&format!("/wallet/presentations/{request_id}")).await, 404, "no_such_presentation");
    let redemption = json!({ "presentation": request_id, "response_code": code });
    refused(&browser.redeem(&redemption).await, 404, "no_such_presentation");
    let fetched = browser.plain(&Method::GET, &format!("/wallet/requests/{}", asking.id), &[], &[]).await;
    refused(&fetched, 404, "no_such_presentation");
    let form = [("content-type", "application/x-www-form-urlencoded")];
    let path = format!("/wallet/responses/{}", asking.id);
    refused(&browser.plain(&Method::POST, &path, &form, b"error=access_denied").await, 404, "no_such_presentation");
}

#[tokio::test]
async fn row_07_the_state_is_for_the_key_that_asked() {
    let shop = TestShop::new();
    let mut asking_browser = browser(&shop);
    let mut other = asking_browser.another();
    let asking = asking_browser.ask("age", Device::SameDevice).await;
    let path = format!("/wallet/presentations/{}", asking.id);
    let absent = format!("/wallet/presentations/{}", "A".repeat(43));
    let state = |reply: Reply| reply.json()["state"].as_str().unwrap_or_default().to_owned();

    assert_eq!(state(asking_browser.get(&path).await), "requested");
    let request = asking_browser.wallet_reads(&asking).await;
    assert_eq!(state(asking_browser.get(&path).await), "delivered");
    let refusal = asking_browser.wallet_answers(&request, "adult", &[Fault::WrongNonce]);
    assert_eq!(refusal.await.status, StatusCode::BAD_REQUEST);
    let told = asking_browser.get(&path).await.json();
    assert_eq!(told["state"], "delivered");
    assert!(told["refused"].is_string(), "the page can say what was wrong: {told}");
    let answer = asking_browser.wallet_answers(&request, "adult", &[]).await;
    let code = response_code(&answer);
    let answered = asking_browser.get(&path).await;
    assert!(!answered.text().contains(&code), "no state carries a code");
    assert_eq!(state(answered), "answered");

    // Who did not ask learns the same as about what never was; and who signs nothing, nothing.
    for path in [&path, &absent] {
        let reply = other.get(path).await;
        refused(&reply, 404, "no_such_presentation");
        assert_eq!(reply.told(), other.get(&absent).await.told());
        refused(&other.get(&format!("{path}/events")).await, 404, "no_such_presentation");
        refused(&other.plain(&Method::GET, path, &[], &[]).await, 401, "invalid_dpop_proof");
        refused(&other.plain(&Method::GET, &format!("{path}/events"), &[], &[]).await, 401, "invalid_dpop_proof");
    }

    asking_browser.redeem(&json!({ "presentation": asking.id, "response_code": code })).await;
    assert_eq!(state(asking_browser.get(&path).await), "redeemed");
    let asking = asking_browser.ask("age", Device::SameDevice).await;
    shop.advance_s(5 * 60);
    let path = format!("/wallet/presentations/{}", asking.id);
    assert_eq!(state(asking_browser.get(&path).await), "expired");
}

#[tokio::test(start_paused = true)]
async fn the_events_tell_each_state_and_end_with_the_last() {
    let shop = TestShop::new();
    let mut browser = browser(&shop);
    let asking = browser.ask("age", Device::SameDevice).await;
    let mut wallet = browser.clone();
    let mut listener = browser.clone();
    let path = format!("/wallet/presentations/{}/events", asking.id);
    let began = tokio::time::Instant::now();
    let (events, ()) = tokio::join!(listener.get(&path), async {
        let pause = || tokio::time::sleep(std::time::Duration::from_secs(3));
        pause().await;
        let request = wallet.wallet_reads(&asking).await;
        pause().await;
        let answer = wallet.wallet_answers(&request, "adult", &[]).await;
        let code = response_code(&answer);
        pause().await;
        let redemption = json!({ "presentation": asking.id, "response_code": code });
        assert_eq!(wallet.redeem(&redemption).await.status, StatusCode::OK);
    });
    assert_eq!(events.status, StatusCode::OK);
    assert_eq!(events.header("content-type"), "text/event-stream");
    assert_eq!(events.header("cache-control"), "private, no-store");
    let expected: String = ["requested", "delivered", "answered", "redeemed"]
        .iter()
        .map(|state| format!("event: state\ndata: {{\"state\":\"{state}\"}}\n\n"))
        .collect();
    assert_eq!(events.text(), expected);
    assert_eq!(began.elapsed().as_secs(), 9, "told at once, and over with the last");
}

#[tokio::test(start_paused = true)]
async fn the_events_end_within_a_minute_and_are_never_silent_for_long() {
    let shop = TestShop::new();
    let mut browser = browser(&shop);
    let asking = browser.ask("age", Device::SameDevice).await;
    let began = tokio::time::Instant::now();
    let path = format!("/wallet/presentations/{}/events", asking.id);
    let events = browser.get(&path).await;
    assert_eq!(began.elapsed().as_secs(), 60);
    let text = events.text();
    let told = text.strip_prefix("event: state\ndata: {\"state\":\"requested\"}\n\n").unwrap();
    assert!(told.len() >= 2 * ":\n\n".len() && told.replace(":\n\n", "").is_empty(), "{told:?}");
    assert_ne!(events.header("dpop-nonce"), "");
}

#[tokio::test(start_paused = true)]
async fn the_events_see_what_another_node_was_told() {
    let (shop, store) = shop_and_store();
    let mut here = browser(&shop);
    let asking = here.ask("age", Device::CrossDevice).await;
    let mut there = led_to(&here, &node(&shop, store));
    let path = format!("/wallet/presentations/{}/events", asking.id);
    let (events, ()) = tokio::join!(here.get(&path), async {
        let request = there.wallet_reads(&asking).await;
        there.wallet_answers(&request, "adult", &[]).await;
        tokio::time::sleep(std::time::Duration::from_secs(2)).await;
        there.redeem(&json!({ "presentation": asking.id })).await;
    });
    assert!(events.text().ends_with("data: {\"state\":\"redeemed\"}\n\n"), "{}", events.text());
}

#[tokio::test]
async fn what_one_node_began_another_goes_on_with() {
    let (shop, store) = shop_and_store();
    let mut here = browser(&shop);
    let asking = here.ask("age", Device::SameDevice).await;
    let mut there = led_to(&here, &node(&shop, store.clone()));
    let request = there.wallet_reads(&asking).await;
    let answer = here.wallet_answers(&request, "adult", &[]).await;
    let code = response_code(&answer);
    let redeemed = there.redeem(&json!({ "presentation": asking.id, "response_code": code })).await;
    assert_eq!(redeemed.status, StatusCode::OK, "{}", redeemed.text());
    // And after a restart of both.
    let mut later = led_to(&there, &node(&shop, store));
    assert_eq!(later.get("/").await.text(), "Welcome back");
}

#[tokio::test]
async fn row_136_a_token_of_one_shop_opens_nothing_in_another() {
    let (shop, other) = (TestShop::new(), TestShop::new());
    let mut browser = browser(&shop);
    browser.sign_in("adult").await;
    let foreign: Router = app(other.merchant());
    let mut there = Browser::new(&other, foreign);
    (there.key, there.token) = (browser.key.clone(), browser.token.clone());
    refused(&there.get("/account").await, 401, "invalid_token");
    refused(&there.redeem(&json!({})).await, 403, "unknown_key");
    let (asking, code) = answered(&mut browser, "age", Device::SameDevice, "adult").await;
    let redemption: Value = json!({ "presentation": asking.id, "response_code": code });
    refused(&there.redeem(&redemption).await, 404, "no_such_presentation");
}
