//! Several asks in one presentation: answered by as few cards as hold what is asked, as a whole or not at all, and each then
//! worth what it would be worth alone.

use axum::{Router, extract::Path, routing::get};
use firsthand::{
    Ask, Device, Merchant, Wanted,
    ask::PID,
    merchant::IssuerProfile,
    protocol::{
        jose::base64url_encode,
        openid4vp::{ResponseMode, dc_api::Protocol},
        registration::RegistrationCertificate,
    },
    store::Memory,
    testing::wallet::{Fault, Request, Wallet},
    trust::Trust,
};
use firsthand_axum::{
    CustomerLayer, Known, routes,
    testing::{Asking, Browser, Reply, TestShop, response_code},
};
use http::StatusCode;
use serde_json::{Value, json};

use crate::probe::{answer, refused, standing, wallet_with};

/// A shop whose page says what an ask was shown.
fn app(shop: &TestShop) -> Router {
    let merchant: Merchant = shop.merchant().clone();
    let shown = get(move |Path(ask): Path<String>, known: Known| {
        let merchant = merchant.clone();
        async move {
            let ask = merchant.declared(&ask).expect("an ask").clone();
            let Some(verified) = known.claims(&ask).await.expect("claims") else { return "nothing".to_owned() };
            let ids = ["age", "pid", "card"];
            let all: serde_json::Map<String, Value> = ids
                .iter()
                .map(|id| ((*id).to_owned(), verified.claims::<Value>(id).unwrap()))
                .filter(|(_, claims)| claims.as_object().is_some_and(|claims| !claims.is_empty()))
                .collect();
            Value::Object(all).to_string()
        }
    });
    Router::new()
        .route("/shown/{ask}", shown)
        .merge(routes(shop.merchant()))
        .layer(CustomerLayer::new(shop.merchant().clone()))
}

fn browser(shop: &TestShop) -> Browser {
    Browser::new(shop, app(shop))
}

async fn asked(browser: &mut Browser, asks: &str) -> (Asking, Request) {
    let asking = browser.ask(asks, Device::SameDevice).await;
    let request = browser.wallet_reads(&asking).await;
    (asking, request)
}

async fn redeemed(browser: &mut Browser, asking: &Asking, answer: &Reply) -> Reply {
    assert_eq!(answer.status, StatusCode::OK, "{}", answer.text());
    browser.redeem(&json!({ "presentation": asking.id, "response_code": response_code(answer) })).await
}

/// What the customer has proved, as the shop tells them: ask and outcome.
async fn proofs(browser: &mut Browser) -> Vec<(String, String)> {
    let me = browser.get("/wallet/me").await;
    assert_eq!(me.status, StatusCode::OK, "{}", me.text());
    let text = |one: &Value, name: &str| one[name].as_str().unwrap().to_owned();
    me.json()["proofs"].as_array().unwrap().iter().map(|one| (text(one, "ask"), text(one, "outcome"))).collect()
}

async fn shown(browser: &mut Browser, ask: &str) -> String {
    browser.get(&format!("/shown/{ask}")).await.text()
}

/// The ids of a request's credential queries.
fn ids(request: &Request) -> Vec<&str> {
    request.query.credentials.iter().map(|one| one.id.as_str()).collect()
}

#[tokio::test]
async fn one_card_answers_two_asks_and_each_reads_its_own() {
    for mode in [ResponseMode::DirectPostJwt, ResponseMode::DirectPost] {
        let shop = TestShop::with(|builder| builder.store(Memory::new()).response_mode(mode));
        let mut browser = browser(&shop);
        let (asking, request) = asked(&mut browser, "age address").await;
        assert_eq!(ids(&request), ["1-age_2-pid"]);
        assert!(request.query.credential_sets.is_none());
        let choice = shop.persona("adult").wallet.choose(&request).unwrap();
        let [card] = choice.shown() else { panic!("{choice:?}") };
        assert_eq!(card.claims(), ["given_name", "family_name", "address", "age_equal_or_over.18"]);
        let reply = browser.wallet_answers(&request, "adult", &[]).await;
        let grant = redeemed(&mut browser, &asking, &reply).await;
        assert_eq!(grant.status, StatusCode::OK, "{}", grant.text());

        let expected = [("age", "over 18"), ("address", "given_name, family_name, address")];
        assert_eq!(proofs(&mut browser).await, expected.map(|(ask, what)| (ask.to_owned(), what.to_owned())));
        let address: Value = serde_json::from_str(&shown(&mut browser, "address").await).unwrap();
        assert_eq!(address["pid"]["address"]["locality"], "Köln");
        assert_eq!(address["pid"].as_object().unwrap().len(), 3, "{address}");
        assert_eq!(shown(&mut browser, "age").await, "{}", "the age was computed, and no value goes further");

        // Asked again alone, one of them takes the place of its own answer, and leaves the other.
        browser.prove("age", "adult").await;
        assert!(shown(&mut browser, "address").await.contains("Köln"));
        shop.advance_s(15 * 60);
        assert_eq!(shown(&mut browser, "address").await, "nothing");
    }
}

const CARD: &str = "urn:example:card:1";

/// An age that may also come from a card, for a shop that believes the issuer of both.
fn age_or_card() -> Ask {
    Ask::new("age", "Wine is sold to adults").over(18).age_also_in(Wanted::sd_jwt_vc(CARD).claim(["age_over_18"]))
}

fn two_cards() -> (TestShop, Wallet, Wallet) {
    let first = TestShop::new();
    let (roots, status) = first.cast().roots_pem();
    let trust = Trust::new().roots_with_status(roots, status, &[CARD]).expect("roots");
    let shop =
        first.bare(|builder| builder.store(Memory::new()).trust(trust).ask(&age_or_card()).ask(&TestShop::address()));
    let lives = json!({ "given_name": "Anna", "family_name": "Adler", "address": { "locality": "Köln" } });
    let mut both = wallet_with(&shop, lives, |_| {});
    let alone = both.clone();
    crate::probe::hold(&shop, &mut both, json!({ "age_over_18": true }), |card| card.vct = CARD.to_owned());
    (shop, both, alone)
}

#[tokio::test]
async fn what_stands_in_two_cards_is_shown_by_two() {
    let (shop, both, _) = two_cards();
    let mut browser = browser(&shop);
    let (asking, request) = asked(&mut browser, "age address").await;
    assert_eq!(ids(&request), ["1-age_2-pid", "1-age-2", "2-pid"]);
    let choice = both.choose(&request).unwrap();
    let queries: Vec<&str> = choice.shown().iter().map(|one| one.query.as_str()).collect();
    assert_eq!(queries, ["1-age-2", "2-pid"]);
    let reply = answer(&mut browser, &request, &both, &[]).await;
    assert_eq!(redeemed(&mut browser, &asking, &reply).await.status, StatusCode::OK);
    assert_eq!(proofs(&mut browser).await.len(), 2);
    assert!(shown(&mut browser, "address").await.contains("Köln"));
}

#[tokio::test]
async fn who_has_one_of_two_has_nothing() {
    let (shop, both, alone) = two_cards();
    let mut browser = browser(&shop);
    let (asking, request) = asked(&mut browser, "age address").await;
    assert!(alone.choose(&request).is_err(), "a wallet that is careful sends nothing");
    for only in ["1-age-2", "2-pid"] {
        let mut bent = request.clone();
        bent.query.credentials.retain(|one| one.id == only);
        bent.query.credential_sets = None;
        let reply = answer(&mut browser, &bent, &both, &[]).await;
        assert_eq!(refused(&mut browser, &asking, &reply).await, "credential_set_unsatisfied", "{only}");
    }
    // The same of one card: a claim is missing, whichever ask wants it.
    let shop = TestShop::new();
    let mut browser = self::browser(&shop);
    let (asking, request) = asked(&mut browser, "age address").await;
    let reply = browser.wallet_answers(&request, "adult", &[Fault::MissingClaim]).await;
    assert_eq!(refused(&mut browser, &asking, &reply).await, "claim_sets_unsatisfied");
    assert_eq!(browser.get("/wallet/me").await.status, StatusCode::UNAUTHORIZED);
}

#[tokio::test]
async fn one_ask_that_fails_takes_all_with_it() {
    let shop = TestShop::new();
    let mut browser = browser(&shop);
    let (asking, request) = asked(&mut browser, "address age").await;
    let reply = browser.wallet_answers(&request, "minor", &[]).await;
    assert_eq!(refused(&mut browser, &asking, &reply).await, "age_not_reached");
    for (persona, code) in [("revoked", "credential_revoked"), ("expired", "credential_expired")] {
        let reply = browser.wallet_answers(&request, persona, &[]).await;
        assert_eq!(refused(&mut browser, &asking, &reply).await, code);
    }
    // Nothing was established by all that; an answer that holds still counts.
    let reply = browser.wallet_answers(&request, "adult", &[]).await;
    assert_eq!(redeemed(&mut browser, &asking, &reply).await.status, StatusCode::OK);
    assert_eq!(proofs(&mut browser).await.len(), 2);
}

#[tokio::test]
async fn two_asks_want_the_same_claim_and_both_have_it() {
    let wanted = |claims: &[&str]| claims.iter().fold(Wanted::sd_jwt_vc(PID), |wanted, claim| wanted.claim([*claim]));
    let name = Ask::new("name", "To greet you").credential("pid", wanted(&["given_name"]));
    let label = Ask::new("label", "To write on the parcel").credential("card", wanted(&["given_name", "family_name"]));
    let shop = TestShop::with(|builder| builder.store(Memory::new()).ask(&name).ask(&label));
    let mut browser = browser(&shop);
    let (asking, request) = asked(&mut browser, "name label").await;
    let claims: Vec<&Value> = request
        .query
        .credentials
        .iter()
        .flat_map(|one| one.claims.iter().flatten())
        .map(|claim| &claim.path[0])
        .collect();
    assert_eq!(claims, ["given_name", "family_name"]);
    let reply = browser.wallet_answers(&request, "adult", &[]).await;
    assert_eq!(redeemed(&mut browser, &asking, &reply).await.status, StatusCode::OK);
    let read =
        async |browser: &mut Browser, ask: &str| -> Value { serde_json::from_str(&shown(browser, ask).await).unwrap() };
    assert_eq!(read(&mut browser, "name").await, json!({ "pid": { "given_name": "Anna" } }));
    let both = json!({ "card": { "given_name": "Anna", "family_name": "Adler" } });
    assert_eq!(read(&mut browser, "label").await, both);
}

#[tokio::test]
async fn the_browser_brings_one_answer_to_several_asks() {
    let shop = TestShop::new();
    for protocol in Protocol::OPENID4VP {
        let mut browser = browser(&shop);
        let asking = browser.ask("age address", Device::SameDevice).await;
        let request = browser.dc_reads(&asking, protocol).await;
        assert_eq!(ids(&request), ["1-age_2-pid"]);
        let reply = browser.dc_answers(&asking, protocol, &request, "minor", &[]).await;
        assert_eq!(reply.code(), "answer_refused");
        assert_eq!(standing(&mut browser, &asking).await.1, "age_not_reached");
        let reply = browser.dc_answers(&asking, protocol, &request, "adult", &[]).await;
        assert_eq!(reply.status, StatusCode::OK, "{}", reply.text());
        let code = reply.json()["response_code"].clone();
        let grant = browser.redeem(&json!({ "presentation": asking.id, "response_code": code })).await;
        assert_eq!(grant.status, StatusCode::OK, "{}", grant.text());
        assert_eq!(proofs(&mut browser).await.len(), 2);
    }
}

#[tokio::test]
async fn across_devices_several_asks_are_proofs_and_nothing_is_kept() {
    let address = TestShop::address().keep("family_name", "To greet you", 3600);
    let first = TestShop::new();
    let shop = first.bare(|builder| builder.store(Memory::new()).ask(&TestShop::age()).ask(&address));
    for (device, kept) in [(Device::CrossDevice, 0), (Device::SameDevice, 1)] {
        let mut browser = browser(&shop);
        let asking = browser.ask("age address", device).await;
        let request = browser.wallet_reads(&asking).await;
        let reply = browser.wallet_answers(&request, "adult", &[]).await;
        assert_eq!(reply.status, StatusCode::OK, "{}", reply.text());
        let body = match device {
            Device::SameDevice => json!({ "presentation": asking.id, "response_code": response_code(&reply) }),
            _ => json!({ "presentation": asking.id }),
        };
        assert_eq!(browser.redeem(&body).await.status, StatusCode::OK);
        assert_eq!(proofs(&mut browser).await.len(), 2);
        assert_eq!(browser.get("/wallet/me").await.json()["kept"].as_array().unwrap().len(), kept, "{device:?}");
    }
}

#[tokio::test]
async fn cards_that_contradict_each_other_are_of_nobody() {
    let kept = |ask: &str, vct: &str| {
        let wanted = Wanted::sd_jwt_vc(vct).claim(["family_name"]);
        Ask::new(ask, "To greet you").credential("card", wanted).keep("family_name", "To greet you", 3600)
    };
    let first = TestShop::new();
    let (roots, status) = first.cast().roots_pem();
    let trust = Trust::new().roots_with_status(roots, status, &[CARD]).expect("roots");
    let shop = first
        .bare(|builder| builder.store(Memory::new()).trust(trust).ask(&kept("one", PID)).ask(&kept("other", CARD)));
    let card = |name: &'static str| {
        let mut wallet = wallet_with(&shop, json!({ "family_name": "Adler" }), |_| {});
        crate::probe::hold(&shop, &mut wallet, json!({ "family_name": name }), |card| card.vct = CARD.to_owned());
        wallet
    };
    let mut browser = browser(&shop);
    let (asking, request) = asked(&mut browser, "one other").await;
    let reply = answer(&mut browser, &request, &card("Bauer"), &[]).await;
    let refused = redeemed(&mut browser, &asking, &reply).await;
    assert_eq!((refused.status, refused.code().as_str()), (StatusCode::CONFLICT, "another_person"));
    assert_eq!(browser.get("/wallet/me").await.status, StatusCode::UNAUTHORIZED, "nothing came of it");
    let (asking, request) = asked(&mut browser, "one other").await;
    let reply = answer(&mut browser, &request, &card("Adler"), &[]).await;
    assert_eq!(redeemed(&mut browser, &asking, &reply).await.status, StatusCode::OK);
    assert_eq!(browser.get("/wallet/me").await.json()["kept"].as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn who_is_recognised_proves_the_rest_with_the_same_answer() {
    let back = Ask::new("back", "To know you again").recognise();
    let shop = TestShop::with(|builder| builder.store(Memory::new()).relationship(IssuerProfile::Open).ask(&back));
    let mut laptop = browser(&shop);
    laptop.sign_in("adult").await;
    let id = laptop.get("/wallet/me").await.json()["id"].clone();
    let mut wallet = shop.persona("adult").wallet.clone();
    laptop.give_credential(&mut wallet).await;

    let mut phone = browser(&shop);
    let (asking, request) = asked(&mut phone, "back address").await;
    // Without the card, somebody who is asked to be recognised has no answer, whatever else they have.
    assert!(shop.persona("adult").wallet.choose(&request).is_err());
    let reply = answer(&mut phone, &request, &wallet, &[]).await;
    assert_eq!(redeemed(&mut phone, &asking, &reply).await.status, StatusCode::OK);
    assert_eq!(phone.get("/wallet/me").await.json()["id"], id);
    let proofs = proofs(&mut phone).await;
    assert!(proofs.contains(&("back".to_owned(), "relationship".to_owned())), "{proofs:?}");
    let address = "given_name, family_name, address";
    assert!(proofs.contains(&("address".to_owned(), address.to_owned())), "no ask has what another asked: {proofs:?}");
}

#[tokio::test]
async fn only_what_is_declared_and_fits_is_asked_together() {
    let shop = TestShop::with(|builder| {
        let eu = Ask::new("eu", "Wine").age_eu(18);
        let back = Ask::new("back", "To know you again").recognise();
        builder.store(Memory::new()).ask(&back).trust(trust_in_age()).ask(&eu)
    });
    let mut browser = browser(&shop);
    for (asks, status, code) in [
        ("", 404, "no_such_ask"),
        ("age nothing", 404, "no_such_ask"),
        ("age  address", 404, "no_such_ask"),
        (" age", 404, "no_such_ask"),
        ("age,address", 404, "no_such_ask"),
        ("age address age", 404, "no_such_ask"),
        ("age age age age age age age age age", 404, "no_such_ask"),
        ("age eu", 400, "not_asked_together"),
    ] {
        let reply = browser.post_json("/wallet/presentations", &json!({ "ask": asks, "flow": "same_device" })).await;
        assert_eq!((reply.status.as_u16(), reply.code().as_str()), (status, code), "{asks:?}: {}", reply.text());
    }
    // What recognises is not asked by a code, whatever stands beside it.
    let body = json!({ "ask": "age back", "flow": "cross_device" });
    assert_eq!(browser.post_json("/wallet/presentations", &body).await.code(), "across_devices");
}

#[tokio::test]
async fn one_certificate_covers_what_is_asked_together_or_it_is_not_asked() {
    let certificate = |claims: &[&[&str]]| {
        let part = |value: &Value| base64url_encode(value.to_string().as_bytes());
        let claims: Vec<Value> = claims.iter().map(|path| json!({ "path": path })).collect();
        let credential = json!({ "format": "dc+sd-jwt", "meta": { "vct_values": [PID] }, "claim": claims.clone(), "claims": claims });
        let header = part(&json!({ "typ": RegistrationCertificate::TYP, "alg": "ES256" }));
        format!("{header}.{}.AA", part(&json!({ "credentials": [credential] })))
    };
    let address: [&[&str]; 3] = [&["given_name"], &["family_name"], &["address"]];
    let age: [&[&str]; 3] = [&["age_equal_or_over", "18"], &["age_over_18"], &["birthdate"]];
    let narrow = certificate(&address);
    let wide = certificate(&[address, age].concat());
    for (jwt, covers) in [(&narrow, false), (&wide, true)] {
        let shop =
            TestShop::new().again(|builder| builder.store(Memory::new()).registration(&TestShop::address(), jwt));
        let mut browser = browser(&shop);
        let body = json!({ "ask": "age address", "flow": "same_device" });
        let reply = browser.post_json("/wallet/presentations", &body).await;
        if !covers {
            assert_eq!((reply.status, reply.code().as_str()), (StatusCode::BAD_REQUEST, "not_asked_together"));
            continue;
        }
        let (_, request) = asked(&mut browser, "age address").await;
        assert_eq!(request.verifier_info, [json!({ "format": "registration_cert", "data": jwt })]);
        let (_, request) = asked(&mut browser, "age").await;
        assert!(request.verifier_info.is_empty(), "alone, it has none");
    }
}

/// Whoever attests ages is believed, so that an ask for one can be declared.
fn trust_in_age() -> Trust {
    let first = TestShop::new();
    let (roots, status) = first.cast().roots_pem();
    Trust::new().roots_with_status(roots, status, &[firsthand::ask::documents::AGE_EU]).expect("roots")
}
