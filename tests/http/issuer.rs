//! The relationship credential: offered, taken by a wallet, renewed, shown, revoked; and everybody who tries to get one that
//! is not theirs.

use std::{
    collections::BTreeSet,
    net::{IpAddr, SocketAddr},
};

use axum::{Extension, body::Body, extract::ConnectInfo};
use base64::{Engine, prelude::BASE64_STANDARD};
use firsthand::{
    Ask, Device,
    customer::Alias,
    env::Env,
    limits::Limits,
    merchant::{IssuerProfile, MerchantBuilder, WalletClient, WalletProviders},
    protocol::{
        jose::{Jws, SigningKey},
        openid4vci::{
            oauth::{CodeChallenge, REQUEST_URI_PREFIX},
            offer::PRE_AUTHORIZED,
        },
        status_list::{Status, StatusList},
        x509::Certificate,
    },
    store::{Memory, Sqlite},
    testing::{
        authority::{Authority, Leaf, certificate_pem},
        collector::{Collector, error_of},
        faulty::{Fault, Faulty},
        issuer::{Credential, Issuer},
        wallet::{Wallet, WalletError},
    },
    time::UnixTime,
};
use firsthand_axum::{
    ClientAddress, CustomerLayer, routes,
    testing::{Browser, Reply, TestShop, response_code},
};
use firsthand_tests::{Tally, vector};
use http::{Method, Request, Response, StatusCode};
use serde_json::{Value, json};
use tower::ServiceExt;

use crate::{
    probe,
    setting::{Folder, app, browser, customer, exported, led_to, refused},
};

const WALLET: &str = "https://wallet.example";
const CALLBACK: &str = "https://wallet.example/cb";
const VERIFIER: &str = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";

/// A shop that issues, with an ask by which customers come back.
pub fn open(builder: MerchantBuilder) -> MerchantBuilder {
    let client =
        WalletClient { client_id: WALLET.into(), name: "A Wallet".into(), redirect_uris: vec![CALLBACK.into()] };
    let other = WalletClient {
        client_id: "https://other.example".into(),
        name: "Another Wallet".into(),
        redirect_uris: vec!["https://other.example/cb".into()],
    };
    let back = Ask::new("back", "To know you again").recognise();
    builder
        .relationship(IssuerProfile::Open)
        .display_name("Test Shop")
        .wallet_client(client)
        .wallet_client(other)
        .ask(&back)
}

pub fn shop() -> TestShop {
    TestShop::with(|builder| open(builder.store(Memory::new())))
}

/// A browser whose customer is known.
pub async fn known(shop: &TestShop) -> Browser {
    let mut browser = browser(shop);
    browser.sign_in("adult").await;
    browser
}

/// What the shop offers to a wallet of this customer.
pub async fn offer(browser: &mut Browser) -> Value {
    let offer = browser.signed(Method::POST, "/wallet/issuer/offers", None).await;
    assert_eq!(offer.status, StatusCode::CREATED, "{}", offer.text());
    offer.json()
}

pub fn text<'a>(value: &'a Value, name: &str) -> &'a str {
    value[name].as_str().unwrap_or_else(|| panic!("{name} in {value}"))
}

/// A wallet that has read an offer.
pub async fn visit<'a>(
    browser: &'a Browser,
    link: &str,
) -> Collector<'a, impl AsyncFnMut(Request<Vec<u8>>) -> Response<Vec<u8>> + use<'a>> {
    let send = async |request| browser.carry(request).await;
    Collector::open(link, browser.shop().clock(), send).await.unwrap()
}

#[track_caller]
pub fn told(response: &Response<Vec<u8>>, status: u16, error: &str) {
    let body = String::from_utf8_lossy(response.body());
    assert_eq!((response.status().as_u16(), error_of(response).as_str()), (status, error), "{body}");
    assert_eq!(response.headers()["content-type"], "application/json");
    assert_eq!(response.headers()["cache-control"], "private, no-store");
}

#[track_caller]
fn told_by<T>(outcome: Result<T, WalletError>, status: u16, error: &str) {
    match outcome {
        Err(WalletError::Refused { status: got, error: said }) => assert_eq!((got, said.as_str()), (status, error)),
        Err(other) => panic!("{other}"),
        Ok(_) => panic!("it went well, for {status} {error}"),
    }
}

fn alias(wallet: &Wallet, at: usize) -> Alias {
    text(wallet.holdings()[at].claims(), "sub").parse().unwrap()
}

/// A wallet shows what it holds to a browser that asks to be known again.
pub async fn shows(browser: &mut Browser, wallet: &Wallet) -> Reply {
    let asking = browser.ask("back", Device::SameDevice).await;
    let request = browser.wallet_reads(&asking).await;
    let choice = wallet.choose(&request).unwrap();
    let form = wallet.answer(&request, &choice, &[], browser.shop().clock()).unwrap();
    let answer = browser.wallet_posts(&request, &form).await;
    if answer.status != StatusCode::OK {
        return answer;
    }
    browser.redeem(&json!({ "presentation": asking.id, "response_code": response_code(&answer) })).await
}

async fn status_of(browser: &Browser, wallet: &Wallet, at: usize) -> Status {
    let claim = &wallet.holdings()[at].claims()["status"]["status_list"];
    let mut request = Request::new(Vec::new());
    *request.uri_mut() = text(claim, "uri").parse().unwrap();
    let response = browser.carry(request).await;
    assert_eq!(response.status(), StatusCode::OK);
    assert_eq!(response.headers()["content-type"], "application/statuslist+jwt");
    assert_eq!(response.headers()["access-control-allow-origin"], "*");
    let token = String::from_utf8(response.body().clone()).unwrap();
    let limits = Limits::default();
    let parsed = StatusList::parse(&token, &limits).unwrap();
    let leaf = Certificate::from_der(&parsed.header().x5c.as_ref().unwrap()[0]).unwrap();
    let uri = text(claim, "uri").parse().unwrap();
    let list =
        StatusList::verify(parsed, &leaf.public_key().unwrap(), &uri, browser.shop().clock().now(), &limits).unwrap();
    list.status(claim["idx"].as_u64().unwrap()).unwrap()
}

#[tokio::test]
async fn a_customers_wallet_gets_the_credential_and_recognises_them_on_another_device() {
    let folder = Folder::new();
    let sqlite = Sqlite::connect(&folder.database()).await.unwrap();
    for shop in [shop(), TestShop::with(|builder| open(builder.store(sqlite)))] {
        let mut laptop = known(&shop).await;
        let id = customer(&mut laptop).await;
        let mut wallet = Wallet::new();
        laptop.give_credential(&mut wallet).await;

        let claims = wallet.holdings()[0].claims().clone();
        assert_eq!(claims["iss"], "https://shop.example");
        assert_eq!(claims["vct"], "https://shop.example/wallet/relationship");
        assert!(!claims.to_string().contains(id.as_str()), "the customer's name stays here");
        let own = shop.merchant().shop_did(&id).await.unwrap();
        assert_eq!(text(&claims, "shop_did"), own.long().as_str(), "who the shop is to this customer alone");
        let lifetime = claims["exp"].as_i64().unwrap() - claims["iat"].as_i64().unwrap();
        assert_eq!(lifetime, 90 * 24 * 3600);
        assert_eq!(claims["iat"].as_i64().unwrap() % 3600, 0, "a time that many share");
        assert_eq!(status_of(&laptop, &wallet, 0).await, Status::Valid);

        let mut phone = laptop.another();
        let shown = shows(&mut phone, &wallet).await;
        assert_eq!(shown.status, StatusCode::OK, "{}", shown.text());
        assert_eq!(customer(&mut phone).await, id);
        let bindings = phone.get("/wallet/bindings").await.json();
        assert_eq!(bindings["rung"], "relationship_credential");

        let known = shop.merchant().customer(&id).await.unwrap().unwrap();
        let credentials = known.credentials().await.unwrap();
        assert_eq!(credentials.len(), 1);
        assert!(credentials[0].confirmed && !credentials[0].revoked);
        let history: Vec<String> = known.history().await.unwrap().iter().map(|e| format!("{:?}", e.what)).collect();
        for what in ["CredentialOffered", "CredentialIssued", "CredentialAccepted"] {
            assert!(history.iter().any(|entry| entry == what), "{what} in {history:?}");
        }
    }
}

#[tokio::test]
async fn an_offer_by_reference_is_the_same_offer() {
    let shop = shop();
    let mut browser = known(&shop).await;
    let offered = offer(&mut browser).await;
    let by_value = visit(&browser, text(&offered, "uri")).await;
    let mut by_reference = visit(&browser, text(&offered, "by_reference_uri")).await;
    assert_eq!(by_value.offer, by_reference.offer);
    assert!(text(&offered, "by_reference_uri").len() < 250, "fit for a QR code");
    by_reference.redeem(Some(text(&offered, "tx_code"))).await.unwrap();
    let name = by_reference.offer.authorization_code.clone().unwrap().issuer_state.unwrap();
    let mut anybody = browser.another();
    let again = anybody.plain(&Method::GET, &format!("/wallet/issuer/offers/{name}"), &[], &[]).await;
    assert_eq!(again.status, StatusCode::NOT_FOUND, "it was taken");
    for strange in ["x", &"A".repeat(43), &"A".repeat(500), "%00"] {
        let nothing = anybody.plain(&Method::GET, &format!("/wallet/issuer/offers/{strange}"), &[], &[]).await;
        assert_eq!(nothing.status, StatusCode::NOT_FOUND, "{strange}");
    }
}

#[tokio::test]
async fn an_offer_is_taken_once_and_within_five_minutes() {
    let shop = shop();
    let mut browser = known(&shop).await;
    let offered = offer(&mut browser).await;
    let tx_code = text(&offered, "tx_code").to_owned();
    let mut first = visit(&browser, text(&offered, "uri")).await;
    let mut second = visit(&browser, text(&offered, "uri")).await;
    told_by(first.redeem(None).await, 400, "invalid_request");
    first.redeem(Some(&tx_code)).await.unwrap();
    told_by(second.redeem(Some(&tx_code)).await, 400, "invalid_grant");
    // Who has the code and the number has what the first has: nothing of it ends.
    let mut wallet = Wallet::new();
    wallet.collect(&mut first).await.unwrap();

    let mut other = browser.another();
    other.sign_in("adult").await;
    let offered = offer(&mut other).await;
    let mut late = visit(&other, text(&offered, "uri")).await;
    shop.advance_s(300);
    told_by(late.redeem(Some(text(&offered, "tx_code"))).await, 400, "invalid_grant");
    let code = json!({"code": "A".repeat(43)});
    let unknown = late
        .token(&[("grant_type", PRE_AUTHORIZED), ("pre-authorized_code", text(&code, "code")), ("tx_code", "000000")])
        .await;
    told(&unknown, 400, "invalid_grant");
}

#[tokio::test]
async fn a_number_that_is_typed_wrong_five_times_ends_the_offer() {
    let shop = shop();
    let mut browser = known(&shop).await;
    let offered = offer(&mut browser).await;
    let right = text(&offered, "tx_code").to_owned();
    assert!(right.len() == 6 && right.bytes().all(|b| b.is_ascii_digit()));
    let wrong = if right == "123456" { "654321" } else { "123456" };
    for tries in [4, 5] {
        let offered = offer(&mut browser).await;
        let right = text(&offered, "tx_code").to_owned();
        let mut guesser = visit(&browser, text(&offered, "uri")).await;
        for odd in [wrong, "", "12345", "1234567", "abcdef"]
            .iter()
            .cycle()
            .filter(|odd| **odd != right && !odd.is_empty())
            .take(tries)
        {
            told_by(guesser.redeem(Some(odd)).await, 400, "invalid_grant");
        }
        match tries {
            4 => guesser.redeem(Some(&right)).await.unwrap(),
            _ => told_by(guesser.redeem(Some(&right)).await, 400, "invalid_grant"),
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_many_guesses_at_once_five_count() {
    let folder = Folder::new();
    let sqlite = Sqlite::connect(&folder.database()).await.unwrap();
    for shop in [shop(), TestShop::with(|builder| open(builder.store(sqlite)))] {
        let mut browser = known(&shop).await;
        let offered = offer(&mut browser).await;
        let right = text(&offered, "tx_code").to_owned();
        let guesser = visit(&browser, text(&offered, "uri")).await;
        let code = guesser.offer.pre_authorized.clone().unwrap().code;
        let router = app(shop.merchant());
        let guesses: Vec<_> = (0..60)
            .map(|guess| {
                let router = router.clone();
                let form = format!("grant_type={PRE_AUTHORIZED}&pre-authorized_code={code}&tx_code=x{guess}");
                tokio::spawn(async move {
                    let request = Request::post("/wallet/issuer/token")
                        .header("content-type", "application/x-www-form-urlencoded")
                        .body(Body::from(form))
                        .unwrap();
                    let answer = router.oneshot(request).await.unwrap();
                    let body = axum::body::to_bytes(answer.into_body(), 4096).await.unwrap();
                    serde_json::from_slice::<Value>(&body).unwrap()["error_description"].as_str().unwrap().to_owned()
                })
            })
            .collect();
        let mut counted = 0;
        for guess in guesses {
            counted += usize::from(guess.await.unwrap() == "tx_code is wrong");
        }
        assert!(counted <= 5, "{counted} guesses were judged");
        let mut late = guesser;
        if counted == 5 {
            told_by(late.redeem(Some(&right)).await, 400, "invalid_grant");
        }
    }
}

#[tokio::test]
async fn a_wallet_renews_silently_and_a_token_used_twice_ends_it_all() {
    let shop = shop();
    let mut laptop = known(&shop).await;
    let offered = offer(&mut laptop).await;
    let mut wallet = Wallet::new();
    let mut visit = visit(&laptop, text(&offered, "uri")).await;
    visit.redeem(Some(text(&offered, "tx_code"))).await.unwrap();
    wallet.collect(&mut visit).await.unwrap();
    let first = visit.refresh_token.clone().unwrap();

    shop.advance_s(60 * 24 * 3600);
    visit.refresh().await.unwrap();
    wallet.collect(&mut visit).await.unwrap();
    assert_ne!(alias(&wallet, 0), alias(&wallet, 1), "another name");
    let key = |at: usize| wallet.holdings()[at].claims()["cnf"].clone();
    assert_ne!(key(0), key(1), "another key");
    for at in 0..2 {
        assert_eq!(status_of(&laptop, &wallet, at).await, Status::Valid, "the old one holds until its end");
    }

    // A thief with the token and not the key changes nothing.
    let second = visit.refresh_token.clone().unwrap();
    let own = visit.dpop.replace(SigningKey::from_p256_scalar(&[9; 32]).unwrap());
    for token in [&first, &second] {
        let stolen = visit.token(&[("grant_type", "refresh_token"), ("refresh_token", token)]).await;
        told(&stolen, 400, "invalid_grant");
    }
    visit.dpop = None;
    let stolen = visit.token(&[("grant_type", "refresh_token"), ("refresh_token", &second)]).await;
    told(&stolen, 400, "invalid_grant");
    visit.dpop = own;
    visit.refresh().await.unwrap();

    // Two have the same token and the same key: nobody goes on.
    let third = visit.refresh_token.clone().unwrap();
    let again = visit.token(&[("grant_type", "refresh_token"), ("refresh_token", &second)]).await;
    told(&again, 400, "invalid_grant");
    let ended = visit.token(&[("grant_type", "refresh_token"), ("refresh_token", &third)]).await;
    told(&ended, 400, "invalid_grant");
    told(&visit.credentials(&json!({"proofs": {"jwt": ["x"]}})).await, 401, "invalid_token");
    // What was issued holds: it is the customer's, and they can revoke it.
    assert_eq!(status_of(&laptop, &wallet, 1).await, Status::Valid);
}

#[tokio::test]
async fn a_batch_is_one_credential_for_each_key_with_nothing_in_common() {
    let shop = TestShop::with(|builder| open(builder.store(Memory::new())).credential_batch(4));
    let mut laptop = known(&shop).await;
    let mut wallet = Wallet::new();
    laptop.give_credential(&mut wallet).await;
    assert_eq!(wallet.holdings().len(), 4);
    for name in ["sub", "cnf", "status"] {
        let all: BTreeSet<String> = wallet.holdings().iter().map(|held| held.claims()[name].to_string()).collect();
        assert_eq!(all.len(), 4, "{name}");
    }
    for at in 0..4 {
        assert_eq!(status_of(&laptop, &wallet, at).await, Status::Valid);
    }
    // Two batches of one wallet hold at the same time; a third takes the place of the first.
    let id = customer(&mut laptop).await;
    assert_eq!(shows(&mut laptop, &wallet).await.status, StatusCode::OK);
    let offered = offer(&mut laptop).await;
    let mut renewing = Wallet::new();
    let mut visit = visit(&laptop, text(&offered, "uri")).await;
    visit.redeem(Some(text(&offered, "tx_code"))).await.unwrap();
    for _ in 0..2 {
        renewing.collect(&mut visit).await.unwrap();
        shop.advance_s(3600);
        visit.refresh().await.unwrap();
    }
    assert_eq!(renewing.holdings().len(), 8);
    let known = shop.merchant().customer(&id).await.unwrap().unwrap();
    assert_eq!(known.credentials().await.unwrap().len(), 8, "four of each wallet");
    assert_eq!(status_of(&laptop, &renewing, 0).await, Status::Invalid);
    assert_eq!(status_of(&laptop, &renewing, 7).await, Status::Valid);
    assert_eq!(status_of(&laptop, &wallet, 0).await, Status::Valid, "another wallet's are left alone");
}

#[tokio::test]
async fn a_wallet_without_dpop_gets_one_credential_and_no_renewal() {
    let shop = shop();
    let mut laptop = known(&shop).await;
    let offered = offer(&mut laptop).await;
    let mut visit = visit(&laptop, text(&offered, "uri")).await;
    visit.dpop = None;
    visit.redeem(Some(text(&offered, "tx_code"))).await.unwrap();
    assert_eq!(visit.refresh_token, None, "nothing that is good for a year, for whoever has it");
    Wallet::new().collect(&mut visit).await.unwrap();
    // A key that the token is not bound to makes it no better.
    visit.dpop = Some(SigningKey::from_p256_scalar(&[9; 32]).unwrap());
    told(&visit.credentials(&json!({"proofs": {"jwt": ["x"]}})).await, 401, "invalid_token");
}

#[tokio::test]
async fn a_proof_for_anything_else_gets_nothing() {
    let shop = shop();
    let mut laptop = known(&shop).await;
    let offered = offer(&mut laptop).await;
    let mut visit = visit(&laptop, text(&offered, "uri")).await;
    visit.redeem(Some(text(&offered, "tx_code"))).await.unwrap();
    let key = SigningKey::from_p256_scalar(&[5; 32]).unwrap();
    let nonce = visit.nonce().await.unwrap();
    let good = visit.proof_claims(&nonce);
    for (name, value, error) in [
        ("aud", json!("https://other.example"), "invalid_proof"),
        ("aud", json!("https://shop.example/"), "invalid_proof"),
        ("nonce", json!("AAAA"), "invalid_nonce"),
        ("nonce", json!(laptop.nonce.clone().unwrap()), "invalid_nonce"),
        ("iss", json!(WALLET), "invalid_proof"),
        ("iat", json!(0), "invalid_proof"),
    ] {
        let mut bent = good.clone();
        bent[name] = value.clone();
        let proof = visit.signed_proof(&key, &bent).unwrap();
        told(&visit.credentials(&json!({"proofs": {"jwt": [proof]}})).await, 400, error);
    }
    let proof = visit.proof(&key, &nonce).unwrap();
    let other = visit.proof(&SigningKey::from_p256_scalar(&[6; 32]).unwrap(), &nonce).unwrap();
    for (body, error) in [
        (json!({}), "invalid_proof"),
        (json!({"proofs": {"jwt": [proof, other]}}), "invalid_proof"),
        (json!({"proofs": {"jwt": [proof, proof]}}), "invalid_proof"),
        (json!({"proofs": {"attestation": [proof]}}), "invalid_proof"),
        (json!({"credential_configuration_id": "pid", "proofs": {"jwt": [proof]}}), "unknown_credential_configuration"),
        (json!({"credential_identifier": "relationship", "proofs": {"jwt": [proof]}}), "unknown_credential_identifier"),
        (json!({"credential_response_encryption": {}, "proofs": {"jwt": [proof]}}), "invalid_encryption_parameters"),
    ] {
        told(&visit.credentials(&body).await, 400, error);
    }
    // The same proof again, while its nonce lasts: one key, one nonce, one credential.
    assert_eq!(visit.credentials(&json!({"proofs": {"jwt": [proof]}})).await.status(), StatusCode::OK);
    told(&visit.credentials(&json!({"proofs": {"jwt": [proof]}})).await, 400, "invalid_nonce");
    shop.advance_s(601);
    let late = visit.proof(&key, &nonce).unwrap();
    told(&visit.credentials(&json!({"proofs": {"jwt": [late]}})).await, 401, "invalid_token");
}

#[tokio::test]
async fn a_token_is_good_for_a_few_requests_by_its_own_key() {
    let shop = shop();
    let mut laptop = known(&shop).await;
    let offered = offer(&mut laptop).await;
    let mut visit = visit(&laptop, text(&offered, "uri")).await;
    visit.redeem(Some(text(&offered, "tx_code"))).await.unwrap();
    let own = visit.dpop.clone();
    let ask = async |visit: &mut Collector<'_, _>, scalar: u8| {
        let nonce = visit.nonce().await.unwrap();
        let key = SigningKey::from_p256_scalar(&[scalar; 32]).unwrap();
        let proof = visit.proof(&key, &nonce).unwrap();
        visit.credentials(&json!({"proofs": {"jwt": [proof]}})).await
    };
    visit.dpop = Some(SigningKey::from_p256_scalar(&[9; 32]).unwrap());
    told(&ask(&mut visit, 1).await, 401, "invalid_token");
    visit.dpop = None;
    told(&ask(&mut visit, 1).await, 401, "invalid_token");
    visit.dpop = own;
    for scalar in 1..=4 {
        assert_eq!(ask(&mut visit, scalar).await.status(), StatusCode::OK);
    }
    told(&ask(&mut visit, 5).await, 400, "credential_request_denied");
    visit.refresh().await.unwrap();
    assert_eq!(ask(&mut visit, 6).await.status(), StatusCode::OK);

    // A request that was seen is not sent again.
    let url = visit.issuer["credential_endpoint"].as_str().unwrap().to_owned();
    let request = visit.request(&url, "application/json", b"{}".to_vec(), true);
    let send = async |request: Request<Vec<u8>>| laptop.carry(request).await;
    told(&send(request.clone()).await, 400, "invalid_credential_request");
    let mut other_path = request;
    *other_path.uri_mut() = visit.issuer["notification_endpoint"].as_str().unwrap().parse().unwrap();
    told(&send(other_path).await, 401, "invalid_dpop_proof");
}

#[tokio::test]
async fn tokens_of_wallets_and_of_sessions_open_nothing_of_each_other() {
    let shop = shop();
    let mut laptop = known(&shop).await;
    let offered = offer(&mut laptop).await;
    let session = laptop.token.clone().unwrap();
    let mut visit = visit(&laptop, text(&offered, "uri")).await;
    visit.redeem(Some(text(&offered, "tx_code"))).await.unwrap();

    // The wallet's token, with the wallet's own key, at the shop.
    let mut thief = laptop.another();
    thief.key = visit.dpop.clone().unwrap();
    thief.token = visit.access_token.clone();
    for path in ["/account", "/wallet/me", "/wallet/sessions"] {
        refused(&thief.get(path).await, 401, "invalid_token");
    }
    thief.token = visit.refresh_token.clone();
    refused(&thief.get("/account").await, 401, "invalid_token");
    thief.token = None;
    refused(&thief.redeem(&json!({})).await, 403, "unknown_key");

    // The session's token, with the browser's own key, at the issuer.
    visit.access_token = Some(session.clone());
    visit.dpop = Some(laptop.key.clone());
    told(&visit.credentials(&json!({"proofs": {"jwt": ["x"]}})).await, 401, "invalid_token");
    told(&visit.deferred("x").await, 401, "invalid_token");
    told(&visit.notify("credential_accepted").await, 401, "invalid_token");
    let refresh = visit.token(&[("grant_type", "refresh_token"), ("refresh_token", &session)]).await;
    told(&refresh, 400, "invalid_grant");
    // No token, and half of one.
    let url = visit.issuer["credential_endpoint"].as_str().unwrap().to_owned();
    for value in ["", "Bearer", "Bearer ", "Basic YTpi", "DPoP", "Bearer a b"] {
        let request = Request::post(&url).header("content-type", "application/json").header("authorization", value);
        let answer = laptop.carry(request.body(b"{}".to_vec()).unwrap()).await;
        told(&answer, 401, "invalid_token");
        assert!(answer.headers().contains_key("www-authenticate"));
    }
}

/// A pushed request, complete.
fn pushed(state: &str) -> Vec<(&'static str, String)> {
    vec![
        ("response_type", "code".into()),
        ("client_id", WALLET.into()),
        ("redirect_uri", CALLBACK.into()),
        ("state", "a state".into()),
        ("scope", "relationship".into()),
        ("code_challenge", CodeChallenge::of(VERIFIER).as_str().to_owned()),
        ("code_challenge_method", "S256".into()),
        ("issuer_state", state.to_owned()),
    ]
}

fn with(parameters: &[(&'static str, String)], name: &'static str, value: &str) -> Vec<(&'static str, String)> {
    let mut bent: Vec<_> = parameters.iter().filter(|(known, _)| *known != name).cloned().collect();
    if !value.is_empty() {
        bent.push((name, value.to_owned()));
    }
    bent
}

async fn push<S>(visit: &mut Collector<'_, S>, parameters: &[(&'static str, String)]) -> Response<Vec<u8>>
where
    S: AsyncFnMut(Request<Vec<u8>>) -> Response<Vec<u8>>,
{
    let parameters: Vec<(&str, &str)> = parameters.iter().map(|(name, value)| (*name, value.as_str())).collect();
    visit.push(&parameters).await
}

/// The name of a request that was pushed.
fn name_of(pushed: &Response<Vec<u8>>) -> String {
    assert_eq!(pushed.status(), StatusCode::CREATED, "{}", String::from_utf8_lossy(pushed.body()));
    let body: Value = serde_json::from_slice(pushed.body()).unwrap();
    text(&body, "request_uri").strip_prefix(REQUEST_URI_PREFIX).unwrap().to_owned()
}

/// The customer consents; where the browser goes.
async fn consent(browser: &mut Browser, name: &str) -> url::Url {
    let reply = browser.post_json(&format!("/wallet/issuer/consents/{name}"), &json!({"allow": true})).await;
    assert_eq!(reply.status, StatusCode::OK, "{}", reply.text());
    text(&reply.json(), "redirect_uri").parse().unwrap()
}

fn parameter(url: &url::Url, name: &str) -> Option<String> {
    url.query_pairs().find(|(known, _)| known == name).map(|(_, value)| value.into_owned())
}

#[tokio::test]
async fn a_customer_consents_in_the_browser_that_the_shop_knows() {
    let shop = shop();
    let mut laptop = known(&shop).await;
    let offered = offer(&mut laptop).await;
    let wallet_side = laptop.clone();
    let mut visit = visit(&wallet_side, text(&offered, "uri")).await;
    let state = visit.offer.authorization_code.clone().unwrap().issuer_state.unwrap();
    let name = name_of(&push(&mut visit, &pushed(&state)).await);

    let query = format!("client_id={WALLET}&request_uri={REQUEST_URI_PREFIX}{name}");
    let page = laptop.plain(&Method::GET, &format!("/wallet/issuer/authorize?{query}"), &[], &[]).await;
    assert_eq!(page.status, StatusCode::OK);
    assert!(page.text().contains("A Wallet (wallet.example)") && page.text().contains("page=\"consent\""));
    let asked = laptop.get(&format!("/wallet/issuer/consents/{name}")).await.json();
    assert_eq!(asked, json!({"wallet": "A Wallet", "place": "wallet.example"}));
    let answer = consent(&mut laptop, &name).await;
    assert!(answer.as_str().starts_with("https://wallet.example/cb?code="), "{answer}");
    assert_eq!(parameter(&answer, "state").as_deref(), Some("a state"));
    assert_eq!(parameter(&answer, "iss").as_deref(), Some("https://shop.example"));

    let code = parameter(&answer, "code").unwrap();
    let parameters = [
        ("grant_type", "authorization_code"),
        ("client_id", WALLET),
        ("code", &code),
        ("redirect_uri", CALLBACK),
        ("code_verifier", VERIFIER),
    ];
    let tokens = visit.token(&parameters).await;
    visit.take_tokens(tokens).unwrap();
    let mut wallet = Wallet::new();
    wallet.collect(&mut visit).await.unwrap();
    let mut phone = laptop.another();
    assert_eq!(shows(&mut phone, &wallet).await.status, StatusCode::OK);
    assert_eq!(customer(&mut phone).await, customer(&mut laptop).await);

    // Used: the request, the offer, and the code. With the wallet's own secret, a second time ends the grant.
    let again = laptop.post_json(&format!("/wallet/issuer/consents/{name}"), &json!({"allow": true})).await;
    refused(&again, 400, "no_such_wallet_request");
    told(&push(&mut visit, &pushed(&state)).await, 400, "invalid_grant");
    told_by(visit.redeem(Some(text(&offered, "tx_code"))).await, 400, "invalid_grant");
    let stranger = with_verifier(&parameters, "A".repeat(43).as_str());
    told(&visit.token(&borrowed(&stranger)).await, 400, "invalid_grant");
    visit.refresh().await.unwrap();
    told(&visit.token(&parameters).await, 400, "invalid_grant");
    told_by(visit.refresh().await, 400, "invalid_grant");
}

fn with_verifier(parameters: &[(&'static str, &str)], verifier: &str) -> Vec<(&'static str, String)> {
    let owned: Vec<(&'static str, String)> = parameters.iter().map(|(n, v)| (*n, (*v).to_owned())).collect();
    with(&owned, "code_verifier", verifier)
}

fn borrowed<'a>(parameters: &'a [(&'static str, String)]) -> Vec<(&'a str, &'a str)> {
    parameters.iter().map(|(name, value)| (*name, value.as_str())).collect()
}

#[tokio::test]
async fn a_code_is_for_one_wallet_one_address_one_secret_and_one_minute() {
    let shop = shop();
    let mut laptop = known(&shop).await;
    let offered = offer(&mut laptop).await;
    let wallet_side = laptop.clone();
    let mut visit = visit(&wallet_side, text(&offered, "uri")).await;
    let state = visit.offer.authorization_code.clone().unwrap().issuer_state.unwrap();
    let name = name_of(&push(&mut visit, &pushed(&state)).await);
    let code = parameter(&consent(&mut laptop, &name).await, "code").unwrap();
    let good: Vec<(&'static str, String)> = vec![
        ("grant_type", "authorization_code".into()),
        ("client_id", WALLET.into()),
        ("code", code),
        ("redirect_uri", CALLBACK.into()),
        ("code_verifier", VERIFIER.into()),
    ];
    for (parameter, value) in [
        ("client_id", "https://other.example"),
        ("client_id", ""),
        ("code", "AAAA"),
        ("redirect_uri", "https://wallet.example/cb/"),
        ("redirect_uri", "https://other.example/cb"),
        ("redirect_uri", ""),
        ("code_verifier", ""),
        ("code_verifier", "short"),
        ("code_verifier", "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM"),
    ] {
        let bent = with(&good, parameter, value);
        let answer = visit.token(&borrowed(&bent)).await;
        told(&answer, 400, "invalid_grant");
    }
    // The request was signed by the wallet's key, so the code is that key's (RFC 9449, 10).
    let own = visit.dpop.replace(SigningKey::from_p256_scalar(&[9; 32]).unwrap());
    told(&visit.token(&borrowed(&good)).await, 400, "invalid_dpop_proof");
    visit.dpop = own;
    shop.advance_s(60);
    told(&visit.token(&borrowed(&good)).await, 400, "invalid_grant");
}

#[tokio::test]
async fn who_consents_is_who_the_offer_was_made_to() {
    let shop = shop();
    let mut victim = known(&shop).await;
    let mut attacker = victim.another();
    attacker.sign_in("adult").await;
    let offered = offer(&mut attacker).await;
    let wallet_side = attacker.clone();
    let mut visit = visit(&wallet_side, text(&offered, "uri")).await;
    let state = visit.offer.authorization_code.clone().unwrap().issuer_state.unwrap();
    let name = name_of(&push(&mut visit, &pushed(&state)).await);
    let path = format!("/wallet/issuer/consents/{name}");
    refused(&victim.get(&path).await, 403, "offer_of_another_customer");
    refused(&victim.post_json(&path, &json!({"allow": true})).await, 403, "offer_of_another_customer");
    let mut nobody = victim.another();
    refused(&nobody.post_json(&path, &json!({"allow": true})).await, 401, "not_known");
    let unsigned = nobody.plain(&Method::POST, &path, &[("content-type", "application/json")], b"{}").await;
    refused(&unsigned, 401, "invalid_dpop_proof");
    told(&push(&mut visit, &with(&pushed(&state), "issuer_state", &"A".repeat(43))).await, 400, "invalid_grant");

    // A refusal goes to the wallet, and uses the request up.
    let denied = attacker.post_json(&path, &json!({"allow": false})).await.json();
    let url: url::Url = text(&denied, "redirect_uri").parse().unwrap();
    assert_eq!(parameter(&url, "error").as_deref(), Some("access_denied"));
    assert_eq!(parameter(&url, "iss").as_deref(), Some("https://shop.example"));
    assert_eq!(parameter(&url, "code"), None);
    refused(&attacker.post_json(&path, &json!({"allow": true})).await, 400, "no_such_wallet_request");

    // Begun by the wallet: no offer, and the customer's own consent.
    let name = name_of(&push(&mut visit, &with(&pushed(&state), "issuer_state", "")).await);
    consent(&mut victim, &name).await;
    let name = name_of(&push(&mut visit, &pushed(&state)).await);
    shop.advance_s(300);
    let path = format!("/wallet/issuer/consents/{name}");
    refused(&attacker.post_json(&path, &json!({"allow": true})).await, 400, "no_such_wallet_request");
    for name in ["x", &"A".repeat(43), &"A".repeat(200)] {
        refused(&victim.get(&format!("/wallet/issuer/consents/{name}")).await, 400, "no_such_wallet_request");
    }
}

#[tokio::test]
async fn a_pushed_request_with_one_thing_wrong_is_refused() {
    let shop = shop();
    let mut laptop = known(&shop).await;
    let offered = offer(&mut laptop).await;
    let mut visit = visit(&laptop, text(&offered, "uri")).await;
    let state = visit.offer.authorization_code.clone().unwrap().issuer_state.unwrap();
    let good = pushed(&state);
    for (parameter, value, status, error) in [
        ("client_id", "https://stranger.example", 401, "invalid_client"),
        ("client_id", "https://other.example", 400, "invalid_request"),
        ("redirect_uri", "https://other.example/cb", 400, "invalid_request"),
        ("code_challenge_method", "plain", 400, "invalid_request"),
        ("code_challenge_method", "", 400, "invalid_request"),
        ("code_challenge", "", 400, "invalid_request"),
        ("scope", "openid", 400, "invalid_scope"),
        ("response_type", "token", 400, "unsupported_response_type"),
        ("dpop_jkt", "NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs", 400, "invalid_dpop_proof"),
    ] {
        told(&push(&mut visit, &with(&good, parameter, value)).await, status, error);
    }
    let query = |client: &str, uri: &str| format!("/wallet/issuer/authorize?client_id={client}&request_uri={uri}");
    let name = name_of(&push(&mut visit, &good).await);
    for path in [
        query("https://other.example", &format!("{REQUEST_URI_PREFIX}{name}")),
        query(WALLET, &format!("{REQUEST_URI_PREFIX}{}", "A".repeat(43))),
        query(WALLET, "https://evil.example/request"),
        "/wallet/issuer/authorize?response_type=code".to_owned(),
        "/wallet/issuer/authorize".to_owned(),
    ] {
        // Nobody is led anywhere.
        let page = laptop.clone().plain(&Method::GET, &path, &[], &[]).await;
        assert_eq!(page.status, StatusCode::BAD_REQUEST, "{path}");
        assert!(page.header("content-type").starts_with("text/html"), "a person reads it: {path}");
        assert!(!page.headers.contains_key("location"));
    }
}

#[tokio::test]
async fn a_redirect_address_is_the_registered_one_letter_by_letter() {
    let mut tally = Tally::new("attack-corpora/redirect_exact_match (route)");
    let cases = vector("attack-corpora/redirect_exact_match_shared.json");
    let cases = cases.as_array().unwrap();
    let registered: BTreeSet<String> = cases.iter().map(|case| text(case, "registered").to_owned()).collect();
    let client =
        WalletClient { client_id: "w".into(), name: "W".into(), redirect_uris: registered.into_iter().collect() };
    let shop = TestShop::with(|builder| open(builder.store(Memory::new())).wallet_client(client));
    let mut laptop = known(&shop).await;
    let offered = offer(&mut laptop).await;
    let mut visit = visit(&laptop, text(&offered, "uri")).await;
    let state = visit.offer.authorization_code.clone().unwrap().issuer_state.unwrap();
    let base = with(&pushed(&state), "client_id", "w");
    for case in cases {
        let given = text(case, "given");
        let answer = push(&mut visit, &with(&base, "redirect_uri", given)).await;
        let matches = answer.status() == StatusCode::CREATED;
        tally.holds(given, Some(matches) == case["match"].as_bool(), || format!("{}", answer.status()));
    }
    tally.finish(12);
}

#[tokio::test]
async fn a_session_that_came_across_devices_offers_and_consents_to_nothing() {
    let shop = shop();
    let mut browser = browser(&shop);
    let asking = browser.ask("age", Device::CrossDevice).await;
    let request = browser.wallet_reads(&asking).await;
    browser.wallet_answers(&request, "adult", &[]).await;
    browser.redeem(&json!({ "presentation": asking.id })).await;
    refused(&browser.signed(Method::POST, "/wallet/issuer/offers", None).await, 403, "across_devices");

    let mut owner = known(&shop).await;
    let offered = offer(&mut owner).await;
    let mut visit = visit(&owner, text(&offered, "uri")).await;
    let state = visit.offer.authorization_code.clone().unwrap().issuer_state.unwrap();
    let name = name_of(&push(&mut visit, &with(&pushed(&state), "issuer_state", "")).await);
    let path = format!("/wallet/issuer/consents/{name}");
    refused(&browser.post_json(&path, &json!({"allow": true})).await, 403, "across_devices");
    refused(&browser.another().signed(Method::POST, "/wallet/issuer/offers", None).await, 401, "not_known");
}

#[tokio::test]
async fn a_customer_with_a_credential_shows_it_before_there_is_another() {
    let shop = shop();
    let mut laptop = known(&shop).await;
    let mut wallet = Wallet::new();
    laptop.give_credential(&mut wallet).await;
    refused(&laptop.signed(Method::POST, "/wallet/issuer/offers", None).await, 403, "step_up_needed");
    assert_eq!(shows(&mut laptop, &wallet).await.status, StatusCode::OK);
    laptop.give_credential(&mut wallet).await;
    shop.advance_s(301);
    refused(&laptop.signed(Method::POST, "/wallet/issuer/offers", None).await, 403, "step_up_needed");
}

#[tokio::test]
async fn a_revoked_credential_recognises_nobody_and_the_list_says_so() {
    let shop = shop();
    let mut laptop = known(&shop).await;
    let id = customer(&mut laptop).await;
    let offered = offer(&mut laptop).await;
    let wallet_side = laptop.clone();
    let mut wallet = Wallet::new();
    let mut visit = visit(&wallet_side, text(&offered, "uri")).await;
    visit.redeem(Some(text(&offered, "tx_code"))).await.unwrap();
    wallet.collect(&mut visit).await.unwrap();
    assert_eq!(status_of(&laptop, &wallet, 0).await, Status::Valid);

    let mut other = laptop.another();
    other.sign_in("adult").await;
    let stranger = customer(&mut other).await;
    let merchant = shop.merchant();
    let wrong = merchant.revoke_credential(&stranger, &alias(&wallet, 0)).await.unwrap_err();
    assert_eq!(wrong.code(), "no_such_binding");
    let mut thief = laptop.another();
    assert_eq!(shows(&mut thief, &wallet).await.status, StatusCode::OK);
    merchant.revoke_credential(&id, &alias(&wallet, 0)).await.unwrap();
    merchant.revoke_credential(&id, &alias(&wallet, 0)).await.unwrap();
    assert_eq!(status_of(&laptop, &wallet, 0).await, Status::Invalid);
    refused(&thief.get("/wallet/me").await, 401, "invalid_token");
    assert_eq!(customer(&mut laptop).await, id, "what did not come in by it stays");
    refused(&shows(&mut laptop.another(), &wallet).await, 400, "answer_refused");
    assert!(merchant.customer(&id).await.unwrap().unwrap().credentials().await.unwrap()[0].revoked);
    let taken = exported(&mut laptop).await["credentials"][0].clone();
    assert_eq!((&taken["alias"], &taken["revoked"]), (&json!(alias(&wallet, 0)), &json!(true)));
    // The wallet gets no other by itself.
    told_by(visit.refresh().await, 400, "invalid_grant");
    told(&visit.credentials(&json!({"proofs": {"jwt": ["x"]}})).await, 401, "invalid_token");

    // Taken off the list of devices, and with a customer who is forgotten, it is the same.
    for forget in [false, true] {
        let mut browser = laptop.another();
        browser.sign_in("adult").await;
        let mut wallet = Wallet::new();
        browser.give_credential(&mut wallet).await;
        assert_eq!(shows(&mut browser, &wallet).await.status, StatusCode::OK);
        let gone = match forget {
            true => browser.delete("/wallet/me").await,
            false => browser.delete(&format!("/wallet/bindings/rc.{}", alias(&wallet, 0).as_str())).await,
        };
        assert!(gone.status.is_success(), "{}", gone.text());
        shop.advance_s(300);
        assert_eq!(status_of(&browser, &wallet, 0).await, Status::Invalid);
        refused(&shows(&mut browser.another(), &wallet).await, 400, "answer_refused");
    }
}

/// Credentials that say what ours says: the type, the issuer, and the alias of a customer.
#[tokio::test]
async fn what_anybody_else_signs_recognises_nobody_whatever_it_says() {
    type Edit = fn(&mut Credential);
    let shop = shop();
    let mut laptop = known(&shop).await;
    let id = customer(&mut laptop).await;
    let mut wallet = Wallet::new();
    laptop.give_credential(&mut wallet).await;
    let real = wallet.holdings()[0].claims().clone();
    let ours = |keys: &firsthand::Keys| {
        let identity = keys.identity();
        let chain = identity.chain().iter().map(|certificate| certificate.der().to_vec()).collect();
        Issuer::new(identity.key().clone(), chain, shop.status_uri().clone())
    };
    // A certificate of our host by the right authority, for a key that is in our file no more.
    let (own, gone) = (ours(shop.keys()), ours(&shop.renewed_certificate()));
    let nothing: Edit = |_| {};
    let cases: [(&str, &Issuer, Edit, &str); 6] = [
        ("a key that was rotated away", &gone, nothing, "issuer_unknown"),
        ("an issuer of identities, whom we trust", shop.cast().issuer(), nothing, "issuer_unknown"),
        (
            "expired",
            &own,
            |it| it.expires_at = Some(UnixTime::from_secs(it.issued_at.as_secs() - 120)),
            "credential_expired",
        ),
        (
            "nobody's alias",
            &own,
            |it| drop(it.plain.insert("sub".into(), json!("AAAAAAAAAAAAAAAAAAAAAA"))),
            "credential_revoked",
        ),
        ("no alias", &own, |it| drop(it.plain.insert("sub".into(), json!("x"))), "credential_claim"),
        // As after moving to a new phone: an unknown key with a known alias.
        ("our own, with a new key", &own, nothing, ""),
    ];
    shop.advance_s(61);
    for (name, issuer, edit, code) in cases {
        let mut scalar = [0; 32];
        shop.clock().fill(&mut scalar);
        let holder = SigningKey::from_p256_scalar(&scalar).unwrap();
        let mut credential = Credential::new(text(&real, "vct"), shop.clock().now());
        credential.holder = Some(holder.public_key().clone());
        for claim in ["iss", "sub"] {
            credential.plain.insert(claim.into(), real[claim].clone());
        }
        edit(&mut credential);
        let mut forged = Wallet::new();
        forged.hold(&issuer.issue(&credential, shop.clock()).unwrap(), holder).unwrap();
        shop.advance_s(1);
        let mut browser = laptop.another();
        let asking = browser.ask("back", Device::SameDevice).await;
        let request = browser.wallet_reads(&asking).await;
        let answer = probe::answer(&mut browser, &request, &forged, &[]).await;
        if code.is_empty() {
            assert_eq!(answer.status, StatusCode::OK, "{name}: {}", answer.text());
            let body = json!({ "presentation": asking.id, "response_code": response_code(&answer) });
            assert_eq!(browser.redeem(&body).await.status, StatusCode::OK, "{name}");
            assert_eq!(customer(&mut browser).await, id, "{name}");
            let history = laptop.get("/wallet/history").await.text();
            assert!(history.contains("credential_new_key"), "{history}");
        } else {
            refused(&answer, 400, "answer_refused");
            assert_eq!(probe::standing(&mut browser, &asking).await.1, code, "{name}");
        }
    }
}

#[tokio::test]
async fn what_a_browser_began_ends_with_it_until_a_credential_is_in_the_list() {
    for (step, later_s) in [("offered", 0), ("taken", 0), ("taken", 3600), ("fetched", 0), ("fetched", 90 * 24 * 3600)]
    {
        let shop = shop();
        let mut laptop = known(&shop).await;
        let offered = offer(&mut laptop).await;
        let tx_code = text(&offered, "tx_code");
        let wallet_side = laptop.clone();
        let mut visit = visit(&wallet_side, text(&offered, "uri")).await;
        let mut wallet = Wallet::new();
        if step != "offered" {
            visit.redeem(Some(tx_code)).await.unwrap();
        }
        if step == "fetched" {
            wallet.collect(&mut visit).await.unwrap();
        }
        match later_s {
            0 => assert!(laptop.delete("/wallet/sessions/current").await.status.is_success()),
            _ => shop.advance_s(later_s),
        }
        match (step, later_s) {
            ("offered", _) => told_by(visit.redeem(Some(tx_code)).await, 400, "invalid_grant"),
            ("fetched", 0) => {
                visit.refresh().await.unwrap();
                wallet.collect(&mut visit).await.unwrap();
            }
            _ => {
                let nonce = visit.nonce().await.unwrap();
                let key = SigningKey::from_p256_scalar(&[5; 32]).unwrap();
                let proof = visit.proof(&key, &nonce).unwrap();
                told(&visit.credentials(&json!({"proofs": {"jwt": [proof]}})).await, 401, "invalid_token");
                told_by(visit.refresh().await, 400, "invalid_grant");
            }
        }
    }
}

#[tokio::test]
async fn what_came_by_a_stolen_recovery_code_goes_with_the_recovery() {
    let shop = shop();
    let mut owner = known(&shop).await;
    let id = customer(&mut owner).await;
    let mut wallet = Wallet::new();
    owner.give_credential(&mut wallet).await;
    shop.advance_s(1);
    let record = shop.merchant().customer(&id).await.unwrap().unwrap();
    let code = record.hand_out_recovery_code().await.unwrap();
    let mut thief = owner.another();
    let recovered = thief.post_json("/wallet/recovery", &json!({ "code": code.reveal() })).await;
    assert!(recovered.status.is_success(), "{}", recovered.text());
    thief.token = Some(text(&recovered.json(), "access_token").to_owned());
    let mut stolen = Wallet::new();
    thief.give_credential(&mut stolen).await;
    let offered = offer(&mut thief).await;
    let mut visit = visit(&thief, text(&offered, "uri")).await;
    visit.redeem(Some(text(&offered, "tx_code"))).await.unwrap();

    assert_eq!(shows(&mut owner, &wallet).await.status, StatusCode::OK);
    let undone = owner.delete("/wallet/recovery").await;
    assert!(undone.status.is_success(), "{}", undone.text());
    assert_eq!(status_of(&owner, &stolen, 0).await, Status::Invalid);
    assert_eq!(status_of(&owner, &wallet, 0).await, Status::Valid);
    refused(&shows(&mut owner.another(), &stolen).await, 400, "answer_refused");
    told_by(visit.refresh().await, 400, "invalid_grant");
    told_by(Wallet::new().collect(&mut visit).await, 401, "invalid_token");
    assert_eq!(shows(&mut owner.another(), &wallet).await.status, StatusCode::OK);
}

#[tokio::test]
async fn what_a_wallet_renewed_after_a_theft_was_there_before_it() {
    let shop = shop();
    let mut owner = known(&shop).await;
    let id = customer(&mut owner).await;
    let offered = offer(&mut owner).await;
    let own = owner.clone();
    let mut visit = visit(&own, text(&offered, "uri")).await;
    visit.redeem(Some(text(&offered, "tx_code"))).await.unwrap();
    Wallet::new().collect(&mut visit).await.unwrap();
    shop.advance_s(60 * 24 * 3600);
    let record = shop.merchant().customer(&id).await.unwrap().unwrap();
    let code = record.hand_out_recovery_code().await.unwrap();
    let mut thief = owner.another();
    thief.post_json("/wallet/recovery", &json!({ "code": code.reveal() })).await;
    shop.advance_s(60);
    visit.refresh().await.unwrap();
    let mut renewed = Wallet::new();
    renewed.collect(&mut visit).await.unwrap();
    assert_eq!(shows(&mut owner, &renewed).await.status, StatusCode::OK);
    let undone = owner.delete("/wallet/recovery").await;
    assert!(undone.status.is_success(), "{}", undone.text());
    assert_eq!(status_of(&owner, &renewed, 0).await, Status::Valid);
}

#[tokio::test]
async fn what_the_other_side_of_a_merge_let_a_wallet_have_goes_with_it() {
    let shop = shop();
    let mut older = known(&shop).await;
    let mut theirs = Wallet::new();
    older.give_credential(&mut theirs).await;
    let into = customer(&mut older).await;
    shop.advance_s(1);
    let mut newer = older.another();
    newer.sign_in("adult").await;
    let id = customer(&mut newer).await;
    let mut own = Wallet::new();
    newer.give_credential(&mut own).await;
    assert_eq!(shows(&mut newer, &own).await.status, StatusCode::OK);
    refused(&shows(&mut newer, &theirs).await, 409, "another_customer");
    assert!(newer.post_json("/wallet/merges", &json!({})).await.status.is_success());
    assert_eq!(shows(&mut newer, &own).await.status, StatusCode::OK);
    assert_eq!(customer(&mut newer).await, into);
    let offered = offer(&mut newer).await;
    let side = newer.clone();
    let mut visit = visit(&side, text(&offered, "uri")).await;
    visit.redeem(Some(text(&offered, "tx_code"))).await.unwrap();
    let mut added = Wallet::new();
    added.collect(&mut visit).await.unwrap();

    assert_eq!(shows(&mut older, &theirs).await.status, StatusCode::OK);
    let undone = older.delete(&format!("/wallet/merges/{id}")).await;
    assert!(undone.status.is_success(), "{}", undone.text());
    visit.refresh().await.unwrap();
    let mut renewed = Wallet::new();
    renewed.collect(&mut visit).await.unwrap();
    for wallet in [&added, &renewed] {
        let mut phone = newer.another();
        assert_eq!(shows(&mut phone, wallet).await.status, StatusCode::OK);
        assert_eq!(customer(&mut phone).await, id);
    }
}

#[tokio::test]
async fn what_a_wallet_renewed_goes_with_the_record_that_is_taken_out_again() {
    let shop = shop();
    let mut older = known(&shop).await;
    let mut wallet = Wallet::new();
    older.give_credential(&mut wallet).await;
    shop.advance_s(1);
    let mut newer = older.another();
    newer.sign_in("adult").await;
    let id = customer(&mut newer).await;
    let offered = offer(&mut newer).await;
    let wallet_side = newer.clone();
    let mut visit = visit(&wallet_side, text(&offered, "uri")).await;
    visit.redeem(Some(text(&offered, "tx_code"))).await.unwrap();
    let mut own = Wallet::new();
    own.collect(&mut visit).await.unwrap();

    assert_eq!(shows(&mut newer, &own).await.status, StatusCode::OK);
    refused(&shows(&mut newer, &wallet).await, 409, "another_customer");
    let merged = newer.post_json("/wallet/merges", &json!({})).await;
    assert!(merged.status.is_success(), "{}", merged.text());
    visit.refresh().await.unwrap();
    let mut renewed = Wallet::new();
    renewed.collect(&mut visit).await.unwrap();
    let into = customer(&mut older).await;
    assert_ne!(into, id);
    assert_eq!(shows(&mut newer, &own).await.status, StatusCode::OK);
    assert_eq!(customer(&mut newer).await, into);
    let undone = newer.delete(&format!("/wallet/merges/{id}")).await;
    assert!(undone.status.is_success(), "{}", undone.text());
    let mut phone = newer.another();
    assert_eq!(shows(&mut phone, &renewed).await.status, StatusCode::OK);
    assert_eq!(customer(&mut phone).await, id, "and not whom it was issued to meanwhile");
}

#[tokio::test]
async fn a_wallet_gets_no_more_than_a_few_credentials_a_day() {
    let shop = shop();
    let mut laptop = known(&shop).await;
    let id = customer(&mut laptop).await;
    let offered = offer(&mut laptop).await;
    let mut visit = visit(&laptop, text(&offered, "uri")).await;
    visit.redeem(Some(text(&offered, "tx_code"))).await.unwrap();
    for _ in 0..16 {
        Wallet::new().collect(&mut visit).await.unwrap();
        visit.refresh().await.unwrap();
    }
    told_by(Wallet::new().collect(&mut visit).await, 400, "credential_request_denied");
    let known = shop.merchant().customer(&id).await.unwrap().unwrap();
    assert_eq!(known.credentials().await.unwrap().len(), 8);
    assert!(known.history().await.unwrap().len() < 10, "what repeats is said once a day");
    shop.advance_s(24 * 3600);
    visit.refresh().await.unwrap();
    Wallet::new().collect(&mut visit).await.unwrap();
}

#[tokio::test]
async fn a_wallet_says_what_became_of_a_credential() {
    let shop = shop();
    let mut laptop = known(&shop).await;
    let id = customer(&mut laptop).await;
    let offered = offer(&mut laptop).await;
    let wallet_side = laptop.clone();
    let mut visit = visit(&wallet_side, text(&offered, "uri")).await;
    visit.redeem(Some(text(&offered, "tx_code"))).await.unwrap();
    let nonce = visit.nonce().await.unwrap();
    let key = SigningKey::from_p256_scalar(&[5; 32]).unwrap();
    let proof = visit.proof(&key, &nonce).unwrap();
    let issued = visit.credentials(&json!({"proofs": {"jwt": [proof]}})).await;
    visit.answer = serde_json::from_slice(issued.body()).unwrap();
    let merchant = shop.merchant();
    let credentials = async || merchant.customer(&id).await.unwrap().unwrap().credentials().await.unwrap();
    assert!(!credentials().await[0].confirmed, "nobody has said that it arrived");
    offer(&mut laptop).await;

    for _ in 0..2 {
        assert_eq!(visit.notify("credential_accepted").await.status(), StatusCode::NO_CONTENT);
    }
    assert!(credentials().await[0].confirmed);
    refused(&laptop.signed(Method::POST, "/wallet/issuer/offers", None).await, 403, "step_up_needed");
    let accepted = merchant.customer(&id).await.unwrap().unwrap().history().await.unwrap();
    let count = accepted.iter().filter(|entry| format!("{:?}", entry.what) == "CredentialAccepted").count();
    assert_eq!(count, 1, "said twice is said once");
    told(&visit.notify("credential_lost").await, 400, "invalid_notification_request");
    let own = std::mem::replace(&mut visit.answer, json!({"notification_id": "AAAA"}));
    told(&visit.notify("credential_accepted").await, 400, "invalid_notification_id");
    visit.answer = own.clone();

    // Another wallet's name for it is nothing here.
    let mut other = laptop.another();
    other.sign_in("adult").await;
    let offered = offer(&mut other).await;
    let mut stranger = self::visit(&other, text(&offered, "uri")).await;
    stranger.redeem(Some(text(&offered, "tx_code"))).await.unwrap();
    stranger.answer = own;
    told(&stranger.notify("credential_deleted").await, 400, "invalid_notification_id");
    assert!(!credentials().await[0].revoked);

    for _ in 0..2 {
        assert_eq!(visit.notify("credential_deleted").await.status(), StatusCode::NO_CONTENT);
    }
    assert!(credentials().await[0].revoked);
}

#[tokio::test]
async fn what_the_store_could_not_do_is_fetched_later_and_made_once() {
    for fault in [Fault::Lost, Fault::Done, Fault::Refused] {
        let store = Faulty::new(Memory::new());
        let shop = TestShop::with(|builder| open(builder.store(store.clone())));
        let mut laptop = known(&shop).await;
        let id = customer(&mut laptop).await;
        let offered = offer(&mut laptop).await;
        let mut visit = visit(&laptop, text(&offered, "uri")).await;
        visit.redeem(Some(text(&offered, "tx_code"))).await.unwrap();
        let key = SigningKey::from_p256_scalar(&[5; 32]).unwrap();
        // Whichever call is the commit: tried from the first to the last.
        let mut deferred = None;
        for after in 0..40 {
            let nonce = visit.nonce().await.unwrap();
            let proof = visit.proof(&key, &nonce).unwrap();
            store.fail(after, fault);
            let answer = visit.credentials(&json!({"proofs": {"jwt": [proof]}})).await;
            if answer.status() == StatusCode::ACCEPTED {
                let body: Value = serde_json::from_slice(answer.body()).unwrap();
                assert_eq!(body["interval"], 5);
                deferred = Some(text(&body, "transaction_id").to_owned());
                break;
            }
            assert_eq!(answer.status(), StatusCode::SERVICE_UNAVAILABLE, "{fault:?} {after}");
            told_refresh(&mut visit).await;
        }
        let transaction = deferred.unwrap_or_else(|| panic!("{fault:?}: no commit was met"));
        told(&visit.deferred("AAAA").await, 400, "invalid_transaction_id");
        let answer = visit.deferred(&transaction).await;
        assert_eq!(answer.status(), StatusCode::OK, "{fault:?} {}", String::from_utf8_lossy(answer.body()));
        visit.answer = serde_json::from_slice(answer.body()).unwrap();
        let credential = visit.answer["credentials"][0]["credential"].as_str().unwrap().to_owned();
        let mut wallet = Wallet::new();
        wallet.hold(&credential, key).unwrap();
        told(&visit.deferred(&transaction).await, 400, "invalid_transaction_id");
        let known = shop.merchant().customer(&id).await.unwrap().unwrap();
        assert_eq!(known.credentials().await.unwrap().len(), 1, "{fault:?}");
        assert_eq!(shows(&mut laptop.another(), &wallet).await.status, StatusCode::OK);
    }
}

/// New tokens, so that a request that was counted does not matter.
async fn told_refresh<S>(visit: &mut Collector<'_, S>)
where
    S: AsyncFnMut(Request<Vec<u8>>) -> Response<Vec<u8>>,
{
    visit.refresh().await.unwrap();
}

/// A shop under HAIP, and the provider whose word counts there.
struct Haip {
    shop: TestShop,
    provider: SigningKey,
    chain: Vec<Vec<u8>>,
    instance: SigningKey,
}

impl Haip {
    fn new() -> Self {
        // The test clock begins on its first day.
        let now = TestShop::new().clock().now();
        let authority = Authority::new("Wallet Provider CA", now);
        let (provider, chain) = authority.issue(&Leaf::new("Wallet Provider", now));
        let providers = WalletProviders::from_pem(&certificate_pem(authority.root_der())).unwrap();
        let shop = TestShop::with(|builder| {
            let back = Ask::new("back", "To know you again").recognise();
            let builder = builder.store(Memory::new()).relationship(IssuerProfile::Haip).wallet_providers(providers);
            builder.credential_batch(2).ask(&back)
        });
        Self { shop, provider, chain, instance: SigningKey::from_p256_scalar(&[3; 32]).unwrap() }
    }

    fn says(&self, typ: &str, claims: &Value) -> String {
        let x5c: Vec<String> = self.chain.iter().map(|der| BASE64_STANDARD.encode(der)).collect();
        self.provider.sign_jws(json!({"typ": typ, "x5c": x5c}).as_object().unwrap(), claims).unwrap()
    }

    /// The headers of an attested wallet, with a proof of its own.
    fn headers(&self) -> Vec<(&'static str, String)> {
        let now = self.shop.clock().now();
        let mut jti = [0; 8];
        self.shop.clock().fill(&mut jti);
        let attestation = self.says(
            "oauth-client-attestation+jwt",
            &json!({"sub": WALLET, "exp": now.plus_s(3600), "cnf": {"jwk": self.instance.public_key().to_jwk()},
                "wallet_name": "An Attested Wallet", "redirect_uris": [CALLBACK]}),
        );
        let proof = self.instance.sign_jws(
            json!({"typ": "oauth-client-attestation-pop+jwt"}).as_object().unwrap(),
            &json!({"aud": "https://shop.example", "iat": now, "jti": format!("{jti:?}")}),
        );
        vec![("oauth-client-attestation", attestation), ("oauth-client-attestation-pop", proof.unwrap())]
    }

    fn attested_keys(&self, keys: &[&SigningKey], nonce: &str) -> String {
        let now = self.shop.clock().now();
        let keys: Vec<Value> = keys.iter().map(|key| key.public_key().to_jwk()).collect();
        let claims = json!({"iat": now, "exp": now.plus_s(600), "nonce": nonce, "attested_keys": keys});
        self.says("key-attestation+jwt", &claims)
    }
}

#[tokio::test]
async fn under_haip_wallets_and_keys_are_attested_and_tokens_bound() {
    let haip = Haip::new();
    let mut laptop = known(&haip.shop).await;
    let offered = offer(&mut laptop).await;
    assert!(text(&offered, "uri").starts_with("haip-vci://"));
    let wallet_side = laptop.clone();
    let mut visit = visit(&wallet_side, text(&offered, "uri")).await;
    let tx_code = text(&offered, "tx_code").to_owned();
    told_by(visit.redeem(Some(&tx_code)).await, 401, "invalid_client");
    visit.headers = haip.headers();
    let own = visit.dpop.take();
    told_by(visit.redeem(Some(&tx_code)).await, 400, "invalid_dpop_proof");
    visit.dpop = own;
    // The DPoP nonce is fetched by a first request, which has no effect: the proof of the client is not used up.
    visit.headers = haip.headers();
    visit.redeem(Some(&tx_code)).await.unwrap();
    // That proof was good for one request.
    told_by(visit.refresh().await, 401, "invalid_client");

    let keys = [7, 8].map(|scalar| SigningKey::from_p256_scalar(&[scalar; 32]).unwrap());
    let nonce = visit.nonce().await.unwrap();
    let mut claims = visit.proof_claims(&nonce);
    claims["iss"] = json!(WALLET);
    let bare = visit.signed_proof(&keys[0], &claims).unwrap();
    told(&visit.credentials(&json!({"proofs": {"jwt": [bare]}})).await, 400, "invalid_proof");
    let header = json!({"typ": "openid4vci-proof+jwt", "jwk": keys[0].public_key().to_jwk(),
        "key_attestation": haip.attested_keys(&[&keys[0], &keys[1]], &nonce)});
    let proof = keys[0].sign_jws(header.as_object().unwrap(), &claims).unwrap();
    let answer = visit.credentials(&json!({"proofs": {"jwt": [proof]}})).await;
    let body: Value = serde_json::from_slice(answer.body()).unwrap();
    assert_eq!(body["credentials"].as_array().unwrap().len(), 2, "one for each attested key");
    let mut wallet = Wallet::new();
    wallet.hold(text(&body["credentials"][1], "credential"), keys[1].clone()).unwrap();
    assert_eq!(shows(&mut laptop.another(), &wallet).await.status, StatusCode::OK);

    // The word of the provider alone, and that of a stranger.
    visit.headers = haip.headers();
    visit.refresh().await.unwrap();
    let nonce = visit.nonce().await.unwrap();
    let stranger = Haip::new().attested_keys(&[&keys[0]], &nonce);
    told(&visit.credentials(&json!({"proofs": {"attestation": [stranger]}})).await, 400, "invalid_proof");
    let stale = haip.attested_keys(&[&keys[0]], "AAAA");
    told(&visit.credentials(&json!({"proofs": {"attestation": [stale]}})).await, 400, "invalid_nonce");
    let attested = haip.attested_keys(&[&keys[0]], &nonce);
    let answer = visit.credentials(&json!({"proofs": {"attestation": [attested]}})).await;
    assert_eq!(answer.status(), StatusCode::OK, "{}", String::from_utf8_lossy(answer.body()));

    // The refresh token is that wallet's alone.
    visit.headers = Haip { instance: SigningKey::from_p256_scalar(&[4; 32]).unwrap(), ..haip.again() }.headers();
    told_by(visit.refresh().await, 400, "invalid_grant");
}

impl Haip {
    /// The same provider at the same shop.
    fn again(&self) -> Self {
        Self {
            shop: self.shop.clone(),
            provider: self.provider.clone(),
            chain: self.chain.clone(),
            instance: self.instance.clone(),
        }
    }
}

#[tokio::test]
async fn under_haip_the_provider_says_where_its_wallets_are_answered() {
    let haip = Haip::new();
    let mut laptop = known(&haip.shop).await;
    let offered = offer(&mut laptop).await;
    let wallet_side = laptop.clone();
    let mut visit = visit(&wallet_side, text(&offered, "uri")).await;
    let state = visit.offer.authorization_code.clone().unwrap().issuer_state.unwrap();
    told(&push(&mut visit, &pushed(&state)).await, 401, "invalid_client");
    visit.headers = haip.headers();
    let elsewhere = with(&pushed(&state), "redirect_uri", "https://wallet.example/cb2");
    told(&push(&mut visit, &elsewhere).await, 400, "invalid_request");
    let other = with(&pushed(&state), "client_id", "https://other.example");
    told(&push(&mut visit, &other).await, 401, "invalid_client");
    visit.headers = haip.headers();
    let name = name_of(&push(&mut visit, &pushed(&state)).await);
    let answer = consent(&mut laptop, &name).await;
    visit.headers = haip.headers();
    let code = parameter(&answer, "code").unwrap();
    let tokens = visit
        .token(&[
            ("grant_type", "authorization_code"),
            ("code", &code),
            ("redirect_uri", CALLBACK),
            ("code_verifier", VERIFIER),
        ])
        .await;
    visit.take_tokens(tokens).unwrap();
}

#[tokio::test]
async fn metadata_are_plain_or_signed_and_say_what_is_true() {
    let shop = shop();
    let mut browser = browser(&shop);
    let path = "/.well-known/openid-credential-issuer";
    let plain = browser.plain(&Method::GET, path, &[("accept", "application/json")], &[]).await;
    assert_eq!(plain.header("content-type"), "application/json");
    let metadata = plain.json();
    assert_eq!(metadata["credential_issuer"], "https://shop.example");
    assert_eq!(metadata["display"][0]["name"], "Test Shop");
    let described = &metadata["credential_configurations_supported"]["relationship"];
    let policy = &described["credential_metadata"]["credential_reuse_policy"];
    assert_eq!(policy["id"], "arf_annex_ii");
    assert_eq!(policy["options"][0]["batch_size"], 1);
    assert_eq!(
        described["credential_metadata"]["display"][1],
        json!({"name": "Kundenkarte von Test Shop", "locale": "de"})
    );

    let signed = browser.plain(&Method::GET, path, &[("accept", "application/jwt, application/json;q=0.5")], &[]).await;
    assert_eq!((signed.header("content-type"), signed.header("vary")), ("application/jwt", "Accept"));
    let token = signed.text();
    let jws = Jws::parse(&token, &Limits::default()).unwrap();
    let leaf = Certificate::from_der(&jws.header().x5c.as_ref().unwrap()[0]).unwrap();
    let claims = jws.verify(&leaf.public_key().unwrap(), &["openidvci-issuer-metadata+jwt"]).unwrap();
    assert_eq!(claims["sub"], "https://shop.example");
    for (name, value) in metadata.as_object().unwrap() {
        assert_eq!(&claims[name], value);
    }
    for accept in ["", "*/*", "text/html, */*", "application/json, application/jwt;q=0.5", "application/jwt;q=0"] {
        let plain = browser.plain(&Method::GET, path, &[("accept", accept)], &[]).await;
        assert_eq!(plain.header("content-type"), "application/json", "{accept}");
    }
    let server = browser.plain(&Method::GET, "/.well-known/oauth-authorization-server", &[], &[]).await.json();
    assert_eq!(server["issuer"], "https://shop.example");
    assert_eq!(server["require_pushed_authorization_requests"], true);
    let vct = text(described, "vct").strip_prefix("https://shop.example").unwrap().to_owned();
    let kind = browser.plain(&Method::GET, &vct, &[], &[]).await.json();
    assert_eq!(kind["vct"], described["vct"]);
    for path in ["/wallet/status/1", "/wallet/status/x", "/wallet/status/-1"] {
        let reply = browser.plain(&Method::GET, path, &[], &[]).await;
        assert_eq!(reply.status, StatusCode::NOT_FOUND, "{path}");
        assert_eq!(reply.json()["error_description"], "no such status list", "{path}");
    }
    assert_eq!(shop.merchant().status_list(1).await.unwrap_err().code(), "no_such_status_list");
    assert_eq!(browser.plain(&Method::GET, "/wallet/status/0?time=1", &[], &[]).await.status.as_u16(), 501);
}

#[tokio::test]
async fn a_shop_that_issues_nothing_serves_nothing_of_it() {
    let shop = TestShop::new();
    let mut browser = known(&shop).await;
    for (method, path) in [
        (Method::GET, "/.well-known/openid-credential-issuer"),
        (Method::GET, "/.well-known/oauth-authorization-server"),
        (Method::GET, "/wallet/relationship"),
        (Method::GET, "/wallet/status/0"),
        (Method::POST, "/wallet/issuer/token"),
        (Method::POST, "/wallet/issuer/nonce"),
    ] {
        assert_eq!(browser.plain(&method, path, &[], &[]).await.status, StatusCode::NOT_FOUND, "{path}");
    }
    assert_eq!(browser.signed(Method::POST, "/wallet/issuer/offers", None).await.status, StatusCode::NOT_FOUND);
    assert_eq!(shop.merchant().issuer_metadata().unwrap_err().code(), "not_issuing");
}

#[tokio::test]
async fn bodies_are_bounded_and_of_their_own_type() {
    let shop = shop();
    let mut browser = browser(&shop);
    let mut post = async |path: &str, media_type: &'static str, bytes: usize| {
        let body = vec![b'a'; bytes];
        let reply = browser.plain(&Method::POST, path, &[("content-type", media_type)], &body).await;
        (reply.status.as_u16(), reply.json()["error"].as_str().unwrap_or_default().to_owned())
    };
    let (form, json) = ("application/x-www-form-urlencoded", "application/json");
    for (path, media_type, bytes, status, error) in [
        ("/wallet/issuer/token", form, 20_000, 413, "invalid_request"),
        ("/wallet/issuer/par", form, 20_000, 413, "invalid_request"),
        ("/wallet/issuer/token", json, 10, 415, "invalid_request"),
        ("/wallet/issuer/token", form, 10, 400, "invalid_request"),
        ("/wallet/issuer/credentials", json, 300_000, 413, "invalid_request"),
        ("/wallet/issuer/credentials", json, 10, 401, "invalid_token"),
        ("/wallet/issuer/deferred", json, 20_000, 413, "invalid_request"),
        ("/wallet/issuer/notifications", form, 10, 415, "invalid_request"),
    ] {
        assert_eq!(post(path, media_type, bytes).await, (status, error.to_owned()), "{path}");
    }
}

#[tokio::test]
async fn whoever_tries_numbers_stops_nobody_elsewhere() {
    let shop = shop();
    let app = routes(shop.merchant())
        .layer(CustomerLayer::new(shop.merchant().clone()).client_address(ClientAddress::Socket));
    let from = |address: &str| {
        let address = SocketAddr::new(address.parse::<IpAddr>().unwrap(), 1234);
        Browser::new(&shop, app.clone().layer(Extension(ConnectInfo(address))))
    };
    let redeem = async |browser: &mut Browser, code: &str, tx_code: &str| {
        let form = format!("grant_type={PRE_AUTHORIZED}&pre-authorized_code={code}&tx_code={tx_code}");
        let headers = [("content-type", "application/x-www-form-urlencoded")];
        browser.plain(&Method::POST, "/wallet/issuer/token", &headers, form.as_bytes()).await
    };
    let mut browser = known(&shop).await;
    let mut offers = Vec::new();
    for _ in 0..14 {
        let offered = offer(&mut browser).await;
        let code = visit(&browser, text(&offered, "uri")).await.offer.pre_authorized.clone().unwrap().code;
        offers.push((code, text(&offered, "tx_code").to_owned()));
    }
    let (code, right) = offers.pop().unwrap();
    let mut crook = from("203.0.113.9");
    // A window is a minute of the machine's clock: the test may stand on both sides of its end.
    for count in 0..=60 {
        let reply = redeem(&mut crook, &offers[count / 5].0, "x").await;
        if reply.status == StatusCode::TOO_MANY_REQUESTS {
            assert!(count >= 30, "{count}");
            break;
        }
        assert_eq!((reply.status.as_u16(), count < 60), (400, true), "{}", reply.text());
    }
    assert_eq!(redeem(&mut from("203.0.113.10"), &code, &right).await.status, StatusCode::OK);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_status_list_is_put_together_once_for_all_who_wait() {
    let folder = Folder::new();
    let sqlite = Sqlite::connect(&folder.database()).await.unwrap();
    let shop = TestShop::with(|builder| open(builder.store(sqlite)));
    let mut browser = known(&shop).await;
    let offered = offer(&mut browser).await;
    let mut visit = visit(&browser, text(&offered, "uri")).await;
    visit.redeem(Some(text(&offered, "tx_code"))).await.unwrap();
    Wallet::new().collect(&mut visit).await.unwrap();
    let asking: Vec<_> = (0..8)
        .map(|_| {
            let merchant = shop.merchant().clone();
            tokio::spawn(async move { merchant.status_list(0).await.unwrap() })
        })
        .collect();
    let mut lists = BTreeSet::new();
    for one in asking {
        lists.insert(one.await.unwrap());
    }
    assert_eq!(lists.len(), 1, "no two signatures are the same");
}

#[tokio::test]
async fn every_node_serves_what_another_began() {
    let store = Memory::new();
    let shop = TestShop::with(|builder| open(builder.store(store.clone())));
    let other = shop.again(|builder| open(builder.store(store.clone())));
    let mut laptop = known(&shop).await;
    let offered = offer(&mut laptop).await;
    let there = led_to(&laptop, other.merchant());
    let mut calls = 0;
    let send = async |request| {
        calls += 1;
        if calls % 2 == 0 { laptop.carry(request).await } else { there.carry(request).await }
    };
    let mut wallet = Wallet::new();
    let received = wallet.receive(text(&offered, "uri"), Some(text(&offered, "tx_code")), shop.clock(), send).await;
    drop(received.unwrap());
    assert_eq!(status_of(&there, &wallet, 0).await, Status::Valid);

    // After the root secret was renewed, what was begun before goes on.
    assert_eq!(shows(&mut laptop, &wallet).await.status, StatusCode::OK);
    let offered = offer(&mut laptop).await;
    let builder = firsthand::Merchant::builder(shop.merchant().origin().clone())
        .keys(shop.renewed_root())
        .trust(shop.cast().trust().unwrap())
        .fetch(shop.network().clone())
        .env(shop.clock().clone())
        .store(store)
        .ask(&TestShop::age());
    let renewed = led_to(&laptop, &open(builder).build().unwrap());
    let mut visit = visit(&renewed, text(&offered, "by_reference_uri")).await;
    visit.redeem(Some(text(&offered, "tx_code"))).await.unwrap();
    wallet.collect(&mut visit).await.unwrap();
}

#[test]
fn a_contradictory_set_up_is_an_error_of_build() {
    let client = |uri: &str| WalletClient { client_id: "w".into(), name: "W".into(), redirect_uris: vec![uri.into()] };
    let shop = TestShop::new();
    let build = |set_up: &dyn Fn(MerchantBuilder) -> MerchantBuilder| {
        let builder = firsthand::Merchant::builder(shop.merchant().origin().clone())
            .keys(shop.keys().clone())
            .store(Memory::new())
            .trust(shop.cast().trust().unwrap())
            .fetch(shop.network().clone());
        set_up(builder).build().map(drop).map_err(|e| e.to_string())
    };
    assert_eq!(build(&|b| b.relationship(IssuerProfile::Open)), Ok(()));
    assert!(build(&|b| b.relationship(IssuerProfile::Haip)).is_err(), "nobody's word would count");
    assert!(build(&|b| b.wallet_client(client("https://w.example/cb"))).is_err(), "not issuing");
    assert!(build(&|b| b.relationship(IssuerProfile::Open).wallet_client(client("javascript:x"))).is_err());
    assert!(build(&|b| b.relationship(IssuerProfile::Open).credential_batch(5)).is_err());
    assert!(WalletProviders::from_pem("no certificate").is_err());
}
