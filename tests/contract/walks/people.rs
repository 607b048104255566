//! What a browser does for its customer.

use firsthand::{
    Device,
    env::Env,
    merchant::Operator,
    protocol::{did::Did, jose::SigningKey, openid4vp::dc_api::Protocol},
    testing::authenticator::Authenticator,
};
use firsthand_axum::testing::{Browser, Reply};
use http::Method;
use serde_json::{Value, json};

use super::{Named, walk};
use crate::place::Walk;

const ORIGIN: &str = "https://shop.example";

pub fn walks() -> Vec<Named> {
    vec![
        walk!(looks_at_itself),
        walk!(is_renamed_and_signs_out),
        walk!(signs_out_everywhere),
        walk!(forgets_the_device),
        walk!(is_forgotten),
        walk!(follows_a_question),
        walk!(withdraws_a_question),
        walk!(asks_the_browser),
        walk!(is_called),
        walk!(refuses_a_call),
        walk!(is_joined),
        walk!(refuses_a_join),
        walk!(makes_passkeys),
        walk!(comes_with_a_did),
        walk!(recovers),
        walk!(merges),
        walk!(carries_a_cookie),
    ]
}

#[track_caller]
pub fn went(reply: &Reply) -> Value {
    assert!(reply.status.is_success() || reply.status.is_redirection(), "{} {}", reply.status, reply.text());
    serde_json::from_slice(&reply.body).unwrap_or_default()
}

pub fn text(value: &Value, name: &str) -> String {
    value[name].as_str().unwrap_or_else(|| panic!("{name} in {value}")).to_owned()
}

async fn looks_at_itself(walk: Walk) {
    let mut browser = walk.known().await;
    for path in ["me", "bindings", "calls", "history", "merges", "passkeys", "sessions", "me/export", "events"] {
        went(&browser.get(&format!("/wallet/{path}")).await);
    }
}

async fn is_renamed_and_signs_out(walk: Walk) {
    let mut browser = walk.known().await;
    went(&browser.put_json("/wallet/device", &json!({ "name": "Firefox on Android" })).await);
    went(&browser.signed(Method::POST, "/wallet/recovery-code", None).await);
    let sessions = went(&browser.get("/wallet/sessions").await);
    let session = text(&sessions["sessions"][0], "id");
    went(&browser.delete(&format!("/wallet/sessions/{session}")).await);
}

async fn signs_out_everywhere(walk: Walk) {
    went(&walk.known().await.delete("/wallet/sessions").await);
}

async fn forgets_the_device(walk: Walk) {
    went(&walk.known().await.delete("/wallet/device").await);
}

async fn is_forgotten(walk: Walk) {
    went(&walk.known().await.delete("/wallet/me").await);
}

async fn follows_a_question(walk: Walk) {
    let mut browser = walk.browser();
    let asking = browser.ask("age", Device::CrossDevice).await;
    let here = format!("/wallet/presentations/{}", asking.id);
    went(&browser.get(&here).await);
    went(&browser.get(&format!("{here}/events")).await);
    let request = asking.request_uri.strip_prefix(ORIGIN).unwrap();
    went(&browser.plain(&Method::GET, request, &[], b"").await);
}

async fn withdraws_a_question(walk: Walk) {
    let mut browser = walk.browser();
    let asking = browser.ask("age", Device::SameDevice).await;
    went(&browser.delete(&format!("/wallet/presentations/{}", asking.id)).await);
}

async fn asks_the_browser(walk: Walk) {
    let mut browser = walk.browser();
    let asking = browser.ask("age", Device::SameDevice).await;
    let request = browser.dc_reads(&asking, Protocol::Signed).await;
    let answer = browser.dc_answers(&asking, Protocol::Signed, &request, "adult", &[]).await;
    went(&answer);
}

/// A number that a desk says, and the customer types.
async fn typed(walk: &Walk, browser: &mut Browser) -> String {
    let operator = walk.place().fresh("u");
    let desk = walk.merchant().desk(&Operator { id: &operator, desk: "Customer service" }).unwrap();
    let opened = desk.open("A question about an order", "Order 4711").await.unwrap();
    let typed = browser.post_json("/wallet/calls", &json!({ "number": opened.number.reveal() })).await;
    format!("/wallet/calls/{}", text(&went(&typed), "id"))
}

async fn is_called(walk: Walk) {
    let mut browser = walk.known().await;
    let call = typed(&walk, &mut browser).await;
    went(&browser.signed(Method::POST, &call, None).await);
}

async fn refuses_a_call(walk: Walk) {
    let mut browser = walk.known().await;
    let call = typed(&walk, &mut browser).await;
    went(&browser.delete(&call).await);
}

/// A browser that wants to be somebody's: where it waits, where they say yes, and its number.
async fn waiting(browser: &mut Browser) -> (String, String, String) {
    let body = went(&browser.signed(Method::POST, "/wallet/joins", None).await);
    let link = text(&body, "link");
    let voucher = link.split_once('#').unwrap().1;
    (format!("/wallet/joins/{}", text(&body, "id")), format!("/wallet/vouchers/{voucher}"), text(&body, "number"))
}

async fn is_joined(walk: Walk) {
    let mut own = walk.known().await;
    walk.place().shop.advance_s(1);
    let mut new = walk.browser();
    let (path, voucher, number) = waiting(&mut new).await;
    went(&new.get(&path).await);
    went(&own.get(&voucher).await);
    went(&own.post_json(&voucher, &json!({ "number": number })).await);
    let at = walk.merchant().now();
    went(&new.signed(Method::POST, &format!("{path}/session"), None).await);
    went(&own.post_json("/wallet/history/not-me", &json!({ "at": at.to_string() })).await);
}

async fn refuses_a_join(walk: Walk) {
    let mut own = walk.known().await;
    let (_, voucher, _) = waiting(&mut walk.browser()).await;
    went(&own.delete(&voucher).await);
}

fn authenticator(walk: &Walk) -> Authenticator {
    let mut seed = [0; 32];
    walk.place().shop.clock().fill(&mut seed);
    Authenticator::new(walk.merchant().origin().clone(), seed)
}

async fn makes(browser: &mut Browser, authenticator: &mut Authenticator) -> Value {
    let options = went(&browser.post_json("/wallet/passkeys/options", &json!({})).await);
    let credential = authenticator.create(&options["publicKey"], None).expect("a passkey");
    went(&browser.post_json("/wallet/passkeys", &json!({ "credential": credential, "name": "Firefox" })).await)
}

async fn shows(browser: &mut Browser, authenticator: &mut Authenticator) -> Reply {
    let options = went(&browser.post_json("/wallet/passkeys/sign-in/options", &json!({})).await);
    let credential = authenticator.get(&options["publicKey"], None).expect("a passkey");
    browser.post_json("/wallet/passkeys/sign-in", &json!({ "credential": credential })).await
}

fn takes_token(browser: &mut Browser, body: &Value) {
    browser.token = Some(text(body, "access_token"));
}

async fn makes_passkeys(walk: Walk) {
    let mut browser = walk.browser();
    let mut keys = [authenticator(&walk), authenticator(&walk), authenticator(&walk)];
    let begun = makes(&mut browser, &mut keys[0]).await;
    takes_token(&mut browser, &begun["session"]);
    for key in &mut keys[1..] {
        walk.place().shop.advance_s(1);
        makes(&mut browser, key).await;
    }
    let shown = went(&shows(&mut browser, &mut keys[0]).await);
    takes_token(&mut browser, &shown);
    let listed = went(&browser.get("/wallet/passkeys").await);
    let names: Vec<String> = listed["passkeys"].as_array().unwrap().iter().map(|one| text(one, "id")).collect();
    went(&browser.delete(&format!("/wallet/passkeys/{}", names[2])).await);
    went(&browser.delete(&format!("/wallet/bindings/{}", names[1])).await);
}

/// A wallet, as far as it is a did:key.
struct Holder {
    key: SigningKey,
    did: String,
}

impl Holder {
    fn new(walk: &Walk) -> Self {
        let mut seed = [0; 32];
        walk.place().shop.clock().fill(&mut seed);
        let key = SigningKey::from_ed25519_seed(&seed).unwrap();
        Self { did: Did::key(key.public_key()).to_string(), key }
    }

    fn sign(&self, typ: &str, claims: &Value) -> String {
        let kid = format!("{}#{}", self.did, self.did.strip_prefix("did:key:").unwrap());
        let header = json!({ "typ": typ, "kid": kid });
        self.key.sign_jws(header.as_object().unwrap(), claims).unwrap()
    }
}

async fn comes_with_a_did(walk: Walk) {
    let (mut browser, old, new) = (walk.browser(), Holder::new(&walk), Holder::new(&walk));
    let merchant = walk.merchant();
    let claims = json!({
        "iss": old.did, "sub": old.did, "aud": ORIGIN, "iat": merchant.now(), "nonce": merchant.nonce(),
        "cnf": { "jkt": browser.key.public_key().thumbprint().to_string() },
    });
    let body = json!({ "jwt": old.sign("firsthand-sign-in+jwt", &claims) });
    let begun = went(&browser.post_json("/wallet/dids/sign-in", &body).await);
    takes_token(&mut browser, &begun);
    let claims = json!({
        "iss": old.did, "sub": new.did, "aud": ORIGIN, "iat": merchant.now(), "nonce": merchant.nonce(),
    });
    let body = json!({
        "handover": old.sign("firsthand-did-handover+jwt", &claims),
        "takeover": new.sign("firsthand-did-takeover+jwt", &claims),
    });
    went(&browser.post_json("/wallet/dids", &body).await);
}

async fn recovers(walk: Walk) {
    let (mut owner, mut key) = (walk.browser(), authenticator(&walk));
    let begun = makes(&mut owner, &mut key).await;
    takes_token(&mut owner, &begun["session"]);
    let code = text(&went(&owner.signed(Method::POST, "/wallet/recovery-code", None).await), "code");
    walk.place().shop.advance_s(1);
    went(&walk.browser().post_json("/wallet/recovery", &json!({ "code": code })).await);
    owner.token = None;
    let shown = went(&shows(&mut owner, &mut key).await);
    takes_token(&mut owner, &shown);
    went(&owner.delete("/wallet/recovery").await);
}

async fn merges(walk: Walk) {
    let (mut owner, mut key) = (walk.browser(), authenticator(&walk));
    let begun = makes(&mut owner, &mut key).await;
    takes_token(&mut owner, &begun["session"]);
    walk.place().shop.advance_s(1);
    let mut other = walk.known().await;
    let id = text(&went(&other.get("/wallet/me").await), "id");
    assert_eq!(shows(&mut other, &mut key).await.code(), "another_customer");
    went(&other.post_json("/wallet/merges", &json!({})).await);
    owner.token = None;
    let shown = went(&shows(&mut owner, &mut key).await);
    takes_token(&mut owner, &shown);
    went(&owner.delete(&format!("/wallet/merges/{id}")).await);
}

/// What stands in quotes after `challenge=`, or at the beginning.
fn challenge(header: &str, before: &str) -> String {
    header.split_once(before).unwrap().1.split('"').next().unwrap().to_owned()
}

async fn carries_a_cookie(walk: Walk) {
    let mut browser = walk.known().await;
    let device = SigningKey::from_p256_scalar(&[7; 32]).unwrap();
    let proof = |header: Value, challenge: &str| {
        let signed = device.sign_jws(header.as_object().unwrap(), &json!({ "jti": challenge })).unwrap();
        format!("\"{signed}\"")
    };
    let begun = browser.signed(Method::POST, "/wallet/cookie", None).await;
    went(&begun);
    let cookie = begun.header("set-cookie").split(';').next().unwrap().to_owned();
    let session = cookie.split_once('=').unwrap().1.split('.').next().unwrap().to_owned();
    let asked = challenge(begun.header("secure-session-registration"), "challenge=\"");
    let own = proof(json!({ "typ": "dbsc+jwt", "jwk": device.public_key().to_jwk() }), &asked);
    let headers = [("cookie", cookie.as_str()), ("secure-session-response", own.as_str())];
    let bound = browser.plain(&Method::POST, "/wallet/dbsc/registration", &headers, b"").await;
    went(&bound);
    let own = proof(json!({ "typ": "dbsc+jwt" }), &challenge(bound.header("secure-session-challenge"), "\""));
    let named = format!("\"{session}\"");
    let headers = [("sec-secure-session-id", named.as_str()), ("secure-session-response", own.as_str())];
    went(&browser.plain(&Method::POST, "/wallet/dbsc/refresh", &headers, b"").await);
}
