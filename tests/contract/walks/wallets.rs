//! What a wallet does: it takes credentials of the shop, and says what became of them.

use firsthand::{
    protocol::{
        jose::SigningKey,
        openid4vci::oauth::{CodeChallenge, REQUEST_URI_PREFIX},
    },
    testing::{collector::Collector, wallet::Wallet},
};
use firsthand_axum::testing::Browser;
use http::{Method, Request};
use serde_json::{Value, json};

use super::{
    Named,
    people::{text, went},
    walk,
};
use crate::place::{CALLBACK, WALLET, Walk};

const VERIFIER: &str = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";

pub fn walks() -> Vec<Named> {
    vec![walk!(takes_a_credential), walk!(is_consented_to), walk!(reads_what_is_published)]
}

async fn offered(browser: &mut Browser) -> Value {
    went(&browser.signed(Method::POST, "/wallet/issuer/offers", None).await)
}

async fn takes_a_credential(walk: Walk) {
    let mut browser = walk.known().await;
    let offered = offered(&mut browser).await;
    let (side, clock) = (browser.clone(), walk.place().shop.clock().clone());
    let send = async |request| side.carry(request).await;
    let mut visit = Collector::open(&text(&offered, "by_reference_uri"), &clock, send).await.unwrap();
    visit.redeem(Some(&text(&offered, "tx_code"))).await.unwrap();
    let nonce = visit.nonce().await.unwrap();
    let proof = visit.proof(&SigningKey::from_p256_scalar(&[5; 32]).unwrap(), &nonce).unwrap();
    let issued = visit.credentials(&json!({ "proofs": { "jwt": [proof] } })).await;
    visit.answer = serde_json::from_slice(issued.body()).unwrap();
    assert!(visit.notify("credential_accepted").await.status().is_success());
    visit.refresh().await.unwrap();
}

async fn is_consented_to(walk: Walk) {
    let mut browser = walk.known().await;
    let offered = offered(&mut browser).await;
    let (side, clock) = (browser.clone(), walk.place().shop.clock().clone());
    let send = async |request| side.carry(request).await;
    let mut visit = Collector::open(&text(&offered, "uri"), &clock, send).await.unwrap();
    let state = visit.offer.authorization_code.clone().unwrap().issuer_state.unwrap();
    let challenge = CodeChallenge::of(VERIFIER);
    let pushed = visit
        .push(&[
            ("response_type", "code"),
            ("client_id", WALLET),
            ("redirect_uri", CALLBACK),
            ("state", "a state"),
            ("scope", "relationship"),
            ("code_challenge", challenge.as_str()),
            ("code_challenge_method", "S256"),
            ("issuer_state", &state),
        ])
        .await;
    let pushed: Value = serde_json::from_slice(pushed.body()).unwrap();
    let name = text(&pushed, "request_uri").strip_prefix(REQUEST_URI_PREFIX).unwrap().to_owned();
    let query = format!("client_id={WALLET}&request_uri={REQUEST_URI_PREFIX}{name}");
    went(&browser.plain(&Method::GET, &format!("/wallet/issuer/authorize?{query}"), &[], b"").await);
    let here = format!("/wallet/issuer/consents/{name}");
    went(&browser.get(&here).await);
    let consented = went(&browser.post_json(&here, &json!({ "allow": true })).await);
    let answer: url::Url = text(&consented, "redirect_uri").parse().unwrap();
    let code = answer.query_pairs().find(|(known, _)| known == "code").unwrap().1.into_owned();
    let tokens = visit
        .token(&[
            ("grant_type", "authorization_code"),
            ("client_id", WALLET),
            ("code", &code),
            ("redirect_uri", CALLBACK),
            ("code_verifier", VERIFIER),
        ])
        .await;
    visit.take_tokens(tokens).unwrap();
}

async fn reads_what_is_published(walk: Walk) {
    let mut browser = walk.known().await;
    let mut wallet = Wallet::new();
    browser.give_credential(&mut wallet).await;
    let list = text(&wallet.holdings()[0].claims()["status"]["status_list"], "uri");
    let mut request = Request::new(Vec::new());
    *request.uri_mut() = list.parse().unwrap();
    assert!(browser.carry(request).await.status().is_success());
}
