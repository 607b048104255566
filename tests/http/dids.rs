//! DIDs both ways: who the shop is towards everybody and towards one customer, and customers who come with a DID of their
//! own, replace it, and are refused with one thing wrong.

use std::collections::BTreeSet;

use firsthand::{
    CustomerId,
    customer::BindingName,
    limits::Limits,
    merchant::dids::{ENDORSEMENT_TYPE, STATEMENT_TYPE},
    protocol::{
        did::{Did, DidDocument, Relationship},
        jose::{Jws, PublicKey, SigningKey, base64url_encode, sha256},
    },
    store::{Key, Memory, Prefix, Store},
    webvh::WebvhLog,
};
use firsthand_axum::testing::{Browser, Reply, TestShop};
use http::{HeaderMap, Method, StatusCode};
use serde_json::{Map, Value, json};

use crate::setting::{browser, customer, led_to, node_with, on_every_store, refused, shop_and_store, signed_headers};

const SIGN_IN: &str = "/wallet/dids/sign-in";
const REPLACE: &str = "/wallet/dids";
const SIGN_IN_TYPE: &str = "firsthand-sign-in+jwt";
const HANDOVER: &str = "firsthand-did-handover+jwt";
const TAKEOVER: &str = "firsthand-did-takeover+jwt";
const ORIGIN: &str = "https://shop.example";

/// Somebody's wallet, as far as it is a DID with a key.
#[derive(Clone)]
struct Holder {
    key: SigningKey,
    did: String,
    kid: String,
}

impl Holder {
    /// A did:key, whose key is named by itself.
    fn key(seed: u8) -> Self {
        let key = SigningKey::from_ed25519_seed(&[seed; 32]).unwrap();
        let did = Did::key(key.public_key()).to_string();
        let kid = format!("{did}#{}", did.strip_prefix("did:key:").unwrap());
        Self { key, did, kid }
    }

    fn jwk(seed: u8) -> Self {
        let key = SigningKey::from_p256_scalar(&[seed; 32]).unwrap();
        let did = Did::jwk(key.public_key()).to_string();
        Self { kid: format!("{did}#0"), key, did }
    }

    fn peer_2(seed: u8) -> Self {
        let Self { key, did, .. } = Self::key(seed);
        let did = format!("did:peer:2.V{}", did.strip_prefix("did:key:").unwrap());
        Self { kid: format!("{did}#key-1"), key, did }
    }

    /// A did:peer:4 with this key under these relationships, and one under none.
    fn peer_4(seed: u8, relationships: &[&str]) -> Self {
        let key = SigningKey::from_p256_scalar(&[seed; 32]).unwrap();
        let idle = SigningKey::from_p256_scalar(&[seed + 1; 32]).unwrap();
        let method = |id: &str, key: &PublicKey| json!({"id": id, "type": "JsonWebKey", "publicKeyJwk": key.to_jwk()});
        let methods = [method("#me", key.public_key()), method("#idle", idle.public_key())];
        let mut document = json!({ "verificationMethod": methods });
        for relationship in relationships {
            document[relationship] = json!(["#me"]);
        }
        Self::of_document(key, &document, "me")
    }

    fn of_document(key: SigningKey, document: &Value, fragment: &str) -> Self {
        let did = Did::peer(&document.to_string(), &Limits::default()).unwrap().to_string();
        Self { kid: format!("{did}#{fragment}"), key, did }
    }

    /// The same, by the name that did:peer:4 has without its document.
    fn short(&self) -> Self {
        let did = self.did.rsplit_once(':').unwrap().0.to_owned();
        Self { kid: self.kid.replace(&self.did, &did), did, ..self.clone() }
    }

    fn sign(&self, typ: &str, claims: &Value) -> String {
        let header = json!({ "typ": typ, "kid": self.kid });
        self.key.sign_jws(header.as_object().unwrap(), claims).unwrap()
    }

    /// What a sign-in says, to be bent before it is signed.
    fn claims(&self, browser: &Browser) -> Value {
        let merchant = browser.shop().merchant();
        json!({
            "iss": self.did, "sub": self.did, "aud": ORIGIN, "iat": merchant.now(), "nonce": merchant.nonce(),
            "cnf": { "jkt": browser.key.public_key().thumbprint().to_string() },
        })
    }

    async fn sign_in(&self, browser: &mut Browser) -> Reply {
        let jwt = self.sign(SIGN_IN_TYPE, &self.claims(browser));
        post(browser, SIGN_IN, &json!({ "jwt": jwt })).await
    }
}

/// Posts, and keeps the token that comes back.
async fn post(browser: &mut Browser, path: &str, body: &Value) -> Reply {
    let reply = browser.post_json(path, body).await;
    let answer: Value = serde_json::from_slice(&reply.body).unwrap_or_default();
    if let Some(token) = answer.get("access_token").and_then(Value::as_str) {
        browser.token = Some(token.to_owned());
    }
    reply
}

/// The JWTs by which one DID takes the place of another.
fn replacement(browser: &Browser, old: &Holder, new: &Holder) -> Value {
    let claims = replacement_claims(browser, old, new);
    json!({ "handover": old.sign(HANDOVER, &claims), "takeover": new.sign(TAKEOVER, &claims) })
}

fn replacement_claims(browser: &Browser, old: &Holder, new: &Holder) -> Value {
    let merchant = browser.shop().merchant();
    json!({ "iss": old.did, "sub": new.did, "aud": ORIGIN, "iat": merchant.now(), "nonce": merchant.nonce() })
}

/// The browser's key as somebody who has a DID.
fn holder_of(browser: &Browser) -> Holder {
    let did = Did::key(browser.key.public_key()).to_string();
    let kid = format!("{did}#{}", did.strip_prefix("did:key:").unwrap());
    Holder { key: browser.key.clone(), did, kid }
}

fn bent(claims: &Value, name: &str, value: Value) -> Value {
    let mut claims = claims.clone();
    match value {
        Value::Null => drop(claims.as_object_mut().unwrap().remove(name)),
        value => claims[name] = value,
    }
    claims
}

async fn known(browser: &mut Browser) -> CustomerId {
    customer(browser).await
}

/// The rung of this browser's session.
async fn rung(browser: &mut Browser) -> String {
    browser.get("/wallet/me").await.json()["rung"].as_str().unwrap().to_owned()
}

/// What a DID document says that a JWT says.
fn said_by(document: &DidDocument, relationship: Relationship, typ: &str, jwt: &str) -> Map<String, Value> {
    let jws = Jws::parse(jwt, &Limits::default()).unwrap();
    let kid = jws.header().kid.clone().unwrap();
    let key = document.signing_key(relationship, &kid).unwrap_or_else(|| panic!("{kid} is not listed"));
    jws.verify(key, &[typ]).unwrap()
}

fn resolved(did: &str) -> DidDocument {
    Did::parse(did, &Limits::default()).unwrap().resolve(None, &Limits::default()).unwrap()
}

async fn public_document(browser: &mut Browser) -> DidDocument {
    let reply = browser.plain(&Method::GET, "/.well-known/did.json", &[], &[]).await;
    assert_eq!(reply.status, StatusCode::OK);
    DidDocument::from_json(&reply.json(), &Limits::default()).unwrap()
}

async fn records(store: &Memory, kind: &'static str, partition: &str) -> usize {
    let prefix = Prefix { kind, partition: partition.to_owned(), sort: String::new() };
    store.scan(&prefix, None, 50, firsthand::time::UnixTime::from_secs(0)).await.unwrap().len()
}

#[tokio::test]
async fn everybody_may_read_who_the_shop_is() {
    let shop = TestShop::new();
    let mut browser = browser(&shop);
    let reply = browser.plain(&Method::GET, "/.well-known/did.json", &[], &[]).await;
    assert_eq!(reply.status, StatusCode::OK);
    assert_eq!(reply.header("content-type"), "application/did+json");
    assert_eq!(reply.header("cache-control"), "public, max-age=3600");
    assert_eq!(reply.header("access-control-allow-origin"), "*");
    let document = DidDocument::from_json(&reply.json(), &Limits::default()).unwrap();
    assert_eq!(document.id().as_str(), "did:web:shop.example");
    let key = shop.keys().identity().key().public_key();
    let kid = format!("did:web:shop.example#{}", key.thumbprint());
    assert_eq!(document.signing_key(Relationship::AssertionMethod, &kid), Some(key));
    assert_eq!(document.methods().len(), 1);

    let tag = reply.header("etag").to_owned();
    let again = browser.plain(&Method::GET, "/.well-known/did.json", &[("if-none-match", &tag)], &[]).await;
    assert_eq!((again.status, again.body.len()), (StatusCode::NOT_MODIFIED, 0));

    let none = browser.plain(&Method::GET, "/.well-known/did.jsonl", &[], &[]).await;
    refused(&none, 404, "no_did_log");

    // A new certificate for a new key: both are the shop's, and the document is another one.
    let renewed = node_with(&shop, Memory::new(), shop.renewed_certificate());
    let mut there = led_to(&browser, &renewed);
    let reply = there.plain(&Method::GET, "/.well-known/did.json", &[("if-none-match", &tag)], &[]).await;
    let document = DidDocument::from_json(&reply.json(), &Limits::default()).unwrap();
    assert_eq!(document.methods().len(), 2);
    assert_eq!(document.signing_key(Relationship::AssertionMethod, &kid), Some(key));
}

#[tokio::test]
async fn everybody_may_read_the_history_of_who_the_shop_is() {
    let origin = "https://shop.example".parse().unwrap();
    let plain = TestShop::new();
    let then = firsthand::time::UnixTime::from_secs(1_735_689_600);
    let log = WebvhLog::begin(&origin, plain.keys(), then).unwrap();
    let shop = plain.again(|builder| builder.store(Memory::new()).webvh(log.clone()));
    let mut browser = browser(&shop);
    let reply = browser.plain(&Method::GET, "/.well-known/did.jsonl", &[], &[]).await;
    assert_eq!((reply.status, reply.header("content-type")), (StatusCode::OK, "text/jsonl"));
    let served = WebvhLog::parse(&reply.text()).unwrap();
    assert_eq!(served.did(), log.did());
    let document = public_document(&mut browser).await;
    assert_eq!(document.also_known_as(), [log.did().as_str()]);
    assert_eq!(served.document().also_known_as(), [document.id().as_str()]);
}

#[tokio::test]
async fn a_customer_is_told_who_the_shop_is_by_both_of_its_names() {
    on_every_store("relationship statements", async |shop: TestShop| {
        let mut browser = browser(&shop);
        browser.sign_in("adult").await;
        // By hand, to know the `jti` that the statement answers.
        browser.token = None;
        let claims = browser.claims(&Method::POST, "/wallet/sessions", Some(b"{}"));
        let headers = signed_headers(&browser, &browser.sign(&claims), Some("application/json"));
        let reply = browser.send(&Method::POST, "/wallet/sessions", headers, b"{}").await;
        let relationship = &reply.json()["relationship"];
        let did = relationship["did"].as_str().unwrap();
        let document = resolved(did);
        let statement = relationship["statement"].as_str().unwrap();
        let said = said_by(&document, Relationship::AssertionMethod, STATEMENT_TYPE, statement);
        let public = public_document(&mut browser).await;
        let endorsement = said["endorsement"].as_str().unwrap();
        let endorsed = said_by(&public, Relationship::AssertionMethod, ENDORSEMENT_TYPE, endorsement);

        let (key, now) = (browser.key.public_key(), json!(shop.merchant().now()));
        let browsers = Did::key(key).to_string();
        let expected = json!({
            "iss": did, "sub": browsers, "aud": browsers, "cnf": { "jkt": key.thumbprint().to_string() },
            "iat": now, "nonce": claims["jti"], "public": "did:web:shop.example", "endorsement": endorsement,
        });
        assert_eq!(Value::Object(said), expected);
        let expected = json!({
            "iss": "did:web:shop.example", "sub": document.name().as_str(), "aud": browsers, "iat": now,
            "nonce": claims["jti"],
        });
        assert_eq!(Value::Object(endorsed), expected);
    })
    .await;
}

#[tokio::test]
async fn the_shop_is_the_same_to_one_customer_and_another_to_each() {
    let (shop, store) = shop_and_store();
    let mut seen = BTreeSet::new();
    for seed in 1..=4 {
        let wallet = Holder::key(seed);
        let mut phone = browser(&shop);
        let first = wallet.sign_in(&mut phone).await.json()["relationship"]["did"].as_str().unwrap().to_owned();
        let mut laptop = phone.another();
        let second = wallet.sign_in(&mut laptop).await.json()["relationship"]["did"].clone();
        assert_eq!(second, first.as_str(), "another browser of theirs");
        let id = known(&mut phone).await;
        let restarted = node_with(&shop, store.clone(), shop.keys().clone());
        assert_eq!(restarted.shop_did(&id).await.unwrap().long().as_str(), first);
        let own = restarted.own_did(&first).await.unwrap().unwrap();
        assert_eq!((own.customer, own.is_current), (id, true));
        for (_, key) in resolved(&first).agreement_keys() {
            assert!(seen.insert(key.to_multikey()));
        }
        assert!(seen.insert(first));
    }
    let merchant = shop.merchant();
    let nobody = CustomerId::from_random([9; 16]);
    assert_eq!(merchant.shop_did(&nobody).await.unwrap_err().code(), "not_recognised");
    for text in ["", "shop", "did:peer:4zQmWDzehivpL6537qB7dv6rgupcqMQ1HM75PaW6pLtsu8Gv", "did:web:shop.example"] {
        assert!(merchant.own_did(text).await.unwrap().is_none(), "{text}");
    }
}

#[tokio::test]
async fn an_old_did_of_the_shop_leads_to_the_customer_for_ever() {
    let (shop, store) = shop_and_store();
    let merchant = shop.merchant();
    let mut browser = browser(&shop);
    browser.sign_in("adult").await;
    let id = known(&mut browser).await;
    let first = merchant.shop_did(&id).await.unwrap();
    let rotation = merchant.rotate_shop_did(&id).await.unwrap();
    assert_eq!((first.epoch(), rotation.did.epoch()), (0, 1));
    let old = resolved(first.long().as_str());
    let said = said_by(&old, Relationship::Authentication, "JWT", &rotation.from_prior);
    let now = json!(merchant.now());
    let expected = json!({"iss": first.short().as_str(), "sub": rotation.did.long().as_str(), "iat": now});
    assert_eq!(Value::Object(said), expected);

    // With a new root secret, the DIDs that were made under the old one are still made again.
    let renewed = node_with(&shop, store.clone(), shop.renewed_root());
    assert_eq!(renewed.shop_did(&id).await.unwrap().short(), rotation.did.short());
    let last = renewed.rotate_shop_did(&id).await.unwrap().did;
    for (did, is_current) in [(first.short(), false), (rotation.did.long(), false), (last.short(), true)] {
        let own = renewed.own_did(did.as_str()).await.unwrap().unwrap();
        assert_eq!((&own.customer, own.is_current), (&id, is_current));
        assert!([own.did.short(), own.did.long()].contains(&did));
    }
    let forged = format!("{}:{}", first.short(), last.long().as_str().rsplit_once(':').unwrap().1);
    assert!(renewed.own_did(&forged).await.unwrap().is_none(), "another document under the name");

    // What the customer is told names every DID that they may hold.
    let mut there = led_to(&browser, &renewed);
    there.token = None;
    let relationship = there.redeem(&json!({})).await.json()["relationship"].clone();
    assert_eq!(relationship["did"], last.long().as_str());
    let statement = relationship["statement"].as_str().unwrap();
    let said = said_by(&resolved(last.long().as_str()), Relationship::AssertionMethod, STATEMENT_TYPE, statement);
    let priors = said["from_prior"].as_array().unwrap();
    for (prior, did) in priors.iter().zip([rotation.did.long(), first.long()]) {
        let said = said_by(&resolved(did.as_str()), Relationship::Authentication, "JWT", prior.as_str().unwrap());
        assert_eq!(said["sub"], last.long().as_str());
    }
    assert_eq!(priors.len(), 2);
    let history = there.get("/wallet/history").await.text();
    assert_eq!(history.matches("shop_did_replaced").count(), 2, "{history}");

    // Without the root secret they cannot be made. The customer is told of a new one, which nothing ties to the old.
    let lost = node_with(&shop, store, shop.keys().clone());
    assert_eq!(lost.own_did(last.short().as_str()).await.unwrap_err().code(), "misuse");
    assert_eq!(lost.shop_did(&id).await.unwrap().epoch(), 3);
}

#[tokio::test]
async fn who_forgets_the_customer_forgets_the_dids() {
    let (shop, store) = shop_and_store();
    let mut browser = browser(&shop);
    let (old, new) = (Holder::key(1), Holder::peer_4(3, &["authentication"]));
    assert_eq!(old.sign_in(&mut browser).await.status, StatusCode::OK);
    let body = replacement(&browser, &old, &new);
    assert_eq!(browser.post_json(REPLACE, &body).await.status, StatusCode::NO_CONTENT);
    let id = known(&mut browser).await;
    let did = shop.merchant().shop_did(&id).await.unwrap();
    shop.merchant().rotate_shop_did(&id).await.unwrap();
    assert_eq!(records(&store, "shop_did", id.as_str()).await, 2);
    // What the session had shown is no longer the customer's.
    refused(&browser.delete("/wallet/me").await, 403, "step_up_needed");
    assert_eq!(new.sign_in(&mut browser).await.status, StatusCode::OK);
    assert_eq!(browser.delete("/wallet/me").await.status, StatusCode::OK);
    assert!(shop.merchant().own_did(did.long().as_str()).await.unwrap().is_none());
    for (kind, partition) in [
        ("shop_did", id.to_string()),
        ("shop_did_of", did.short().to_string()),
        ("replaced_binding", id.to_string()),
        ("binding", BindingName::did(sha256(old.did.as_bytes())).as_str().to_owned()),
    ] {
        assert_eq!(records(&store, kind, &partition).await, 0, "{kind}");
    }
}

#[tokio::test]
async fn a_wallets_own_did_begins_a_customer_and_is_known_again() {
    on_every_store("sign-in by DID", async |shop: TestShop| {
        for wallet in [Holder::key(1), Holder::jwk(2), Holder::peer_2(3), Holder::peer_4(4, &["authentication"])] {
            let mut phone = browser(&shop);
            let reply = wallet.sign_in(&mut phone).await;
            assert_eq!(reply.status, StatusCode::OK, "{}: {}", wallet.did, reply.text());
            assert_eq!(rung(&mut phone).await, "did");
            let id = known(&mut phone).await;
            let bindings = phone.get("/wallet/bindings").await.json()["bindings"].clone();
            assert_eq!((&bindings[0]["rung"], &bindings[0]["did"]), (&json!("did"), &json!(wallet.did)));
            // Known again: in the same browser, in another one, and where it was signed out.
            assert_eq!(wallet.sign_in(&mut phone).await.status, StatusCode::OK);
            let mut laptop = phone.another();
            assert_eq!(wallet.sign_in(&mut laptop).await.status, StatusCode::OK);
            assert_eq!(known(&mut laptop).await, id);
            assert_eq!(phone.delete("/wallet/sessions/current").await.status, StatusCode::NO_CONTENT);
            phone.token = None;
            assert_eq!(wallet.sign_in(&mut phone).await.status, StatusCode::OK);
            assert_eq!(known(&mut phone).await, id);
            let history = laptop.get("/wallet/history").await.text();
            assert!(!history.contains("credential_new_key"), "{history}");
        }
    })
    .await;
}

#[tokio::test]
async fn a_short_form_is_known_once_its_long_form_was_shown() {
    let shop = TestShop::new();
    let wallet = Holder::peer_4(4, &["authentication"]);
    let mut browser = browser(&shop);
    refused(&wallet.short().sign_in(&mut browser).await, 400, "did_not_stored");
    assert_eq!(wallet.sign_in(&mut browser).await.status, StatusCode::OK);
    let id = known(&mut browser).await;
    let mut other = browser.another();
    for holder in [wallet.short(), wallet.clone(), wallet.short()] {
        assert_eq!(holder.sign_in(&mut other).await.status, StatusCode::OK);
        assert_eq!(known(&mut other).await, id);
    }
    let bindings = other.get("/wallet/bindings").await.json()["bindings"].clone();
    assert_eq!(bindings[0]["did"], wallet.did.as_str(), "the form that resolves is kept");
}

#[tokio::test]
async fn a_did_is_bound_to_whoever_is_there() {
    let shop = TestShop::new();
    let mut laptop = browser(&shop);
    laptop.sign_in("adult").await;
    let id = known(&mut laptop).await;
    let (wallet, other) = (Holder::key(1), Holder::key(2));
    // Without its session, a known key binds nothing.
    let token = laptop.token.take();
    refused(&wallet.sign_in(&mut laptop).await, 401, "not_known");
    laptop.token = token;
    assert_eq!(wallet.sign_in(&mut laptop).await.status, StatusCode::NO_CONTENT);
    let mut phone = laptop.another();
    assert_eq!(wallet.sign_in(&mut phone).await.status, StatusCode::OK);
    assert_eq!(known(&mut phone).await, id);
    // The record has something stronger than a browser's key now: what is added next needs it shown.
    refused(&other.sign_in(&mut laptop).await, 403, "step_up_needed");
    assert_eq!(wallet.sign_in(&mut laptop).await.status, StatusCode::OK);
    assert_eq!(other.sign_in(&mut laptop).await.status, StatusCode::NO_CONTENT);
    // Somebody else's DID in this browser: a merge is offered, and nothing else happens.
    let mut stranger = laptop.another();
    let third = Holder::key(3);
    assert_eq!(third.sign_in(&mut stranger).await.status, StatusCode::OK);
    refused(&third.sign_in(&mut laptop).await, 409, "another_customer");
    assert_eq!(known(&mut laptop).await, id);
}

#[tokio::test]
async fn a_sign_in_with_one_thing_wrong_is_refused_and_changes_nothing() {
    let (shop, store) = shop_and_store();
    let mut browser = browser(&shop);
    let wallet = Holder::peer_4(4, &["authentication"]);
    let claims = wallet.claims(&browser);
    let now = shop.merchant().now();
    let old_nonce = shop.merchant().nonce();
    shop.advance_s(1);
    let jkt = |key: &SigningKey| json!({ "jkt": key.public_key().thumbprint().to_string() });
    let stranger = Holder::key(77);
    let cases: Vec<(&str, Value)> = vec![
        ("did_proof_audience", bent(&claims, "aud", json!("https://other.example"))),
        ("did_proof_audience", bent(&claims, "aud", json!(format!("{ORIGIN}/")))),
        ("did_proof_audience", bent(&claims, "aud", Value::Null)),
        ("jose_member", bent(&claims, "aud", json!(7))),
        ("did_proof_nonce", bent(&claims, "nonce", json!("another"))),
        ("did_proof_claim", bent(&claims, "nonce", Value::Null)),
        ("did_proof_issued_at", bent(&claims, "iat", json!(now.minus_s(121)))),
        ("did_proof_issued_at", bent(&claims, "iat", json!(now.plus_s(40)))),
        ("did_proof_claim", bent(&claims, "iat", Value::Null)),
        ("jose_member", bent(&claims, "iat", json!("now"))),
        ("did_proof_browser_key", bent(&claims, "cnf", jkt(&wallet.key))),
        ("did_proof_browser_key", bent(&claims, "cnf", json!({}))),
        ("did_proof_browser_key", bent(&claims, "cnf", Value::Null)),
        ("jose_base64", bent(&claims, "cnf", json!({ "jkt": "short" }))),
        ("jose_member", bent(&claims, "cnf", json!("x"))),
        ("did_proof_parties", bent(&claims, "sub", json!(stranger.did))),
        ("did_proof_claim", bent(&claims, "sub", Value::Null)),
        ("did_proof_claim", bent(&claims, "iss", Value::Null)),
        ("did_syntax", bent(&claims, "iss", json!("shop"))),
        ("did_too_long", bent(&claims, "iss", json!(format!("did:peer:4{}", "z".repeat(4096))))),
        // The name of somebody else over one's own key.
        ("did_proof_key", bent(&bent(&claims, "iss", json!(stranger.did)), "sub", json!(stranger.did))),
        ("did_unsupported_method", bent(&bent(&claims, "iss", json!("did:web:a.example")), "sub", json!("did:web:a"))),
        ("did_hash", {
            let wrong = wallet.did.replacen("did:peer:4zQm", "did:peer:4zQn", 1);
            bent(&bent(&claims, "iss", json!(wrong)), "sub", json!(wrong))
        }),
    ];
    for (code, claims) in cases {
        let reply = post(&mut browser, SIGN_IN, &json!({ "jwt": wallet.sign(SIGN_IN_TYPE, &claims) })).await;
        assert_eq!((reply.status.as_u16(), reply.code().as_str()), (400, code), "{claims}");
    }

    let with_kid = |kid: String| Holder { kid, ..wallet.clone() }.sign(SIGN_IN_TYPE, &claims);
    let other_key = Holder { key: stranger.key.clone(), ..wallet.clone() };
    let es256 = Holder { key: SigningKey::from_p256_scalar(&[9; 32]).unwrap(), ..wallet.clone() };
    let ed25519 = Holder::key(5);
    let confused = Holder { key: wallet.key.clone(), ..ed25519.clone() };
    let unlisted = Holder::peer_4(4, &["assertionMethod", "keyAgreement"]);
    let mut none = wallet.sign(SIGN_IN_TYPE, &claims);
    let signed = none.split_off(none.find('.').unwrap());
    let none =
        format!("{}{signed}", base64url_encode(json!({"alg": "none", "kid": wallet.kid}).to_string().as_bytes()));
    for (code, jwt) in [
        ("did_proof_key", with_kid(format!("{}#idle", wallet.did))),
        ("did_proof_key", with_kid("#me".into())),
        ("did_proof_key", with_kid("me".into())),
        ("did_proof_key", with_kid(stranger.kid.clone())),
        ("did_proof_key", with_kid(format!("{}#me#me", wallet.did))),
        ("did_proof_key", unlisted.sign(SIGN_IN_TYPE, &unlisted.claims(&browser))),
        ("jose_algorithm_mismatch", other_key.sign(SIGN_IN_TYPE, &claims)),
        ("jose_algorithm_mismatch", confused.sign(SIGN_IN_TYPE, &confused.claims(&browser))),
        ("jose_signature", es256.sign(SIGN_IN_TYPE, &claims)),
        ("jose_token_type", wallet.sign(HANDOVER, &claims)),
        ("jose_token_type", wallet.sign("JWT", &claims)),
        ("jose_unsupported_algorithm", none),
        ("jose_parts", "nothing".into()),
        ("did_proof_same_key", {
            let own = holder_of(&browser);
            own.sign(SIGN_IN_TYPE, &own.claims(&browser))
        }),
    ] {
        let reply = post(&mut browser, SIGN_IN, &json!({ "jwt": jwt })).await;
        assert_eq!((reply.status.as_u16(), reply.code().as_str()), (400, code), "{}", reply.text());
    }
    // A nonce of two buckets ago.
    shop.advance_s(119);
    let late = bent(&wallet.claims(&browser), "nonce", json!(old_nonce));
    let reply = post(&mut browser, SIGN_IN, &json!({ "jwt": wallet.sign(SIGN_IN_TYPE, &late) })).await;
    refused(&reply, 400, "did_proof_nonce");
    // Nothing of all this made anybody a customer.
    refused(&browser.redeem(&json!({})).await, 403, "unknown_key");
    let name = BindingName::did(sha256(wallet.short().did.as_bytes()));
    let key = Key::new("binding", name.as_str(), "");
    assert!(store.load(&[key], now).await.unwrap()[0].is_none());
    assert_eq!(wallet.sign_in(&mut browser).await.status, StatusCode::OK, "right, it is accepted");
}

#[tokio::test]
async fn documents_that_two_readers_would_read_differently_are_refused() {
    let shop = TestShop::new();
    let mut browser = browser(&shop);
    let wallet = Holder::peer_4(4, &["authentication"]);
    let method = json!({"id": "#me", "type": "JsonWebKey", "publicKeyJwk": wallet.key.public_key().to_jwk()});
    let stranger = Holder::key(9);
    for (code, document) in [
        ("did_duplicate", json!({"verificationMethod": [method, method], "authentication": ["#me"]})),
        ("did_foreign", json!({"verificationMethod": [method], "authentication": [stranger.kid]})),
        ("did_foreign", json!({"id": wallet.did, "verificationMethod": [method], "authentication": ["#me"]})),
        ("did_document", json!({"verificationMethod": [method], "authentication": ["#other"]})),
        ("did_document", json!({"verificationMethod": [method], "authentication": ["#me"], "service": ["huge"]})),
        (
            "did_too_long",
            json!({"verificationMethod": [method], "authentication": ["#me"],
                "service": [{"id": "#s", "type": "x", "serviceEndpoint": "x".repeat(4 * 1024)}]}),
        ),
    ] {
        let did = by_hand(&document);
        let holder = Holder { kid: "#me".into(), did, key: wallet.key.clone() };
        refused(&holder.sign_in(&mut browser).await, 400, code);
    }
    // Larger than anything that a DID may be.
    let jwt = "x".repeat(41 * 1024);
    refused(&post(&mut browser, SIGN_IN, &json!({ "jwt": jwt })).await, 413, "body_too_large");
    refused(&post(&mut browser, SIGN_IN, &json!({ "token": "" })).await, 400, "invalid_request");
}

/// The did:peer:4 of a document that our own encoder would refuse: base58 by the schoolbook.
fn by_hand(document: &Value) -> String {
    let encoded = base58(&[&[0x80, 0x04], document.to_string().as_bytes()].concat());
    let hash = base58(&[[0x12, 0x20].as_slice(), &sha256(encoded.as_bytes())].concat());
    format!("did:peer:4{hash}:{encoded}")
}

fn base58(bytes: &[u8]) -> String {
    const LETTERS: &[u8] = b"123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz";
    let mut digits: Vec<usize> = Vec::new();
    for byte in bytes {
        let mut carry = usize::from(*byte);
        for digit in &mut digits {
            carry += *digit << 8;
            *digit = carry % 58;
            carry /= 58;
        }
        while carry > 0 {
            digits.push(carry % 58);
            carry /= 58;
        }
    }
    let letters: String = digits.iter().rev().map(|digit| char::from(LETTERS[*digit])).collect();
    format!("z{letters}")
}

#[tokio::test]
async fn a_sign_in_is_for_one_request_of_one_browser() {
    let shop = TestShop::new();
    let mut browser = browser(&shop);
    let wallet = Holder::key(1);
    browser.get("/").await;
    let body = json!({ "jwt": wallet.sign(SIGN_IN_TYPE, &wallet.claims(&browser)) }).to_string();
    let claims = browser.claims(&Method::POST, SIGN_IN, Some(body.as_bytes()));
    let headers = signed_headers(&browser, &browser.sign(&claims), Some("application/json"));
    let send = async |browser: &mut Browser, headers: HeaderMap, body: &str| {
        browser.send(&Method::POST, SIGN_IN, headers, body.as_bytes()).await
    };
    assert_eq!(send(&mut browser, headers.clone(), &body).await.status, StatusCode::OK);
    refused(&send(&mut browser, headers.clone(), &body).await, 401, "invalid_dpop_proof");
    // Another body under the same proof, and the JWT in somebody else's hands.
    let other = json!({ "jwt": wallet.sign(SIGN_IN_TYPE, &wallet.claims(&browser)) }).to_string();
    refused(&send(&mut browser, headers, &other).await, 401, "invalid_dpop_proof");
    let mut thief = browser.another();
    refused(&thief.post_json(SIGN_IN, &serde_json::from_str(&body).unwrap()).await, 400, "did_proof_browser_key");
    let plain = browser.plain(&Method::POST, SIGN_IN, &[("content-type", "application/json")], body.as_bytes()).await;
    refused(&plain, 401, "invalid_dpop_proof");
}

#[tokio::test]
async fn a_new_did_takes_the_place_of_an_old_one() {
    on_every_store("replacing a DID", async |shop: TestShop| {
        let mut browser = browser(&shop);
        let (old, new) = (Holder::peer_4(1, &["authentication"]), Holder::peer_4(3, &["authentication"]));
        assert_eq!(old.sign_in(&mut browser).await.status, StatusCode::OK);
        let id = known(&mut browser).await;
        // An old session is enough: the old key itself says so.
        shop.advance_s(3600);
        let body = replacement(&browser, &old.short(), &new);
        assert_eq!(browser.post_json(REPLACE, &body).await.status, StatusCode::NO_CONTENT);
        let mut phone = browser.another();
        assert_eq!(new.sign_in(&mut phone).await.status, StatusCode::OK);
        assert_eq!(known(&mut phone).await, id);
        // The old one is nobody's, neither in a new browser nor in one of theirs, and never becomes anybody's.
        let mut stranger = browser.another();
        refused(&old.sign_in(&mut stranger).await, 403, "did_replaced");
        refused(&old.sign_in(&mut browser).await, 403, "did_replaced");
        let again = replacement(&browser, &old, &Holder::key(5));
        refused(&browser.post_json(REPLACE, &again).await, 403, "did_replaced");
        let back = replacement(&browser, &new, &old);
        refused(&browser.post_json(REPLACE, &back).await, 403, "did_replaced");
        let bindings = phone.get("/wallet/bindings").await.json()["bindings"].clone();
        let dids: Vec<&str> = bindings.as_array().unwrap().iter().filter_map(|b| b["did"].as_str()).collect();
        assert!(dids.contains(&new.did.as_str()) && !dids.contains(&old.did.as_str()), "{dids:?}");
        assert!(phone.get("/wallet/history").await.text().contains("did_replaced"));
    })
    .await;
}

#[tokio::test]
async fn a_browser_that_came_in_by_a_did_goes_with_the_one_that_took_its_place() {
    let shop = TestShop::new();
    let mut browser = browser(&shop);
    let (stolen, own, next) = (Holder::key(1), Holder::key(2), Holder::key(3));
    assert_eq!(own.sign_in(&mut browser).await.status, StatusCode::OK);
    assert_eq!(stolen.sign_in(&mut browser).await.status, StatusCode::NO_CONTENT);
    let mut thief = browser.another();
    assert_eq!(stolen.sign_in(&mut thief).await.status, StatusCode::OK);
    let body = replacement(&browser, &stolen, &next);
    assert_eq!(browser.post_json(REPLACE, &body).await.status, StatusCode::NO_CONTENT);
    assert_eq!(thief.get("/wallet/me").await.status, StatusCode::OK);
    let name = BindingName::did(sha256(next.did.as_bytes()));
    assert_eq!(browser.delete(&format!("/wallet/bindings/{}", name.as_str())).await.status, StatusCode::NO_CONTENT);
    refused(&thief.get("/wallet/me").await, 401, "invalid_token");
    thief.token = None;
    refused(&thief.redeem(&json!({})).await, 403, "binding_locked");
}

#[tokio::test]
async fn a_new_key_takes_the_place_of_the_browsers() {
    on_every_store("replacing a browser's key", async |shop: TestShop| {
        let mut browser = browser(&shop);
        browser.sign_in("adult").await;
        let id = known(&mut browser).await;
        let mut fresh = browser.another();
        let body = replacement(&browser, &holder_of(&browser), &holder_of(&fresh));
        assert_eq!(browser.post_json(REPLACE, &body).await.status, StatusCode::NO_CONTENT);
        // The sessions of the old key are over, and it begins none.
        refused(&browser.get("/wallet/me").await, 401, "invalid_token");
        refused(&browser.redeem(&json!({})).await, 403, "binding_locked");
        assert_eq!(fresh.redeem(&json!({})).await.status, StatusCode::OK);
        assert_eq!(known(&mut fresh).await, id);
        let list = fresh.get("/wallet/sessions").await.json();
        assert_eq!(list["sessions"].as_array().unwrap().len(), 1);
        // Nothing stronger opens the old key again.
        let wallet = Holder::key(1);
        assert_eq!(wallet.sign_in(&mut fresh).await.status, StatusCode::NO_CONTENT);
        browser.token = None;
        refused(&wallet.sign_in(&mut browser).await, 403, "did_replaced");
    })
    .await;
}

#[tokio::test]
async fn a_replacement_with_one_thing_wrong_is_refused_and_changes_nothing() {
    let shop = TestShop::new();
    let mut browser = browser(&shop);
    let (old, new, other) = (Holder::key(1), Holder::key(2), Holder::key(3));
    assert_eq!(old.sign_in(&mut browser).await.status, StatusCode::OK);
    let mut stranger = browser.another();
    assert_eq!(other.sign_in(&mut stranger).await.status, StatusCode::OK);
    let claims = replacement_claims(&browser, &old, &new);
    let now = shop.merchant().now();
    let good = (old.sign(HANDOVER, &claims), new.sign(TAKEOVER, &claims));
    for (name, value, code) in [
        ("aud", json!("https://other.example"), "did_proof_audience"),
        ("nonce", json!("another"), "did_proof_nonce"),
        ("iat", json!(now.minus_s(121)), "did_proof_issued_at"),
    ] {
        let wrong = bent(&claims, name, value);
        for (handover, takeover) in
            [(old.sign(HANDOVER, &wrong), good.1.clone()), (good.0.clone(), new.sign(TAKEOVER, &wrong))]
        {
            let reply = browser.post_json(REPLACE, &json!({ "handover": handover, "takeover": takeover })).await;
            refused(&reply, 400, code);
        }
    }
    let to_other = replacement_claims(&browser, &old, &Holder::key(4));
    let by = |holder: &Holder, kid: &Holder| Holder { kid: kid.kid.clone(), ..holder.clone() };
    for (code, handover, takeover) in [
        ("did_proof_key", good.1.clone(), good.0.clone()),
        ("jose_token_type", good.0.clone(), new.sign(HANDOVER, &claims)),
        ("did_proof_key", new.sign(HANDOVER, &claims), good.1.clone()),
        ("jose_signature", by(&new, &old).sign(HANDOVER, &claims), good.1.clone()),
        ("did_proof_key", good.0.clone(), old.sign(TAKEOVER, &claims)),
        ("did_proof_parties", old.sign(HANDOVER, &to_other), good.1.clone()),
        ("did_proof_parties", good.0.clone(), new.sign(TAKEOVER, &bent(&claims, "iss", json!(other.did)))),
        ("did_proof_parties", old.sign(HANDOVER, &bent(&claims, "sub", json!(old.did))), {
            old.sign(TAKEOVER, &bent(&claims, "sub", json!(old.did)))
        }),
    ] {
        let reply = browser.post_json(REPLACE, &json!({ "handover": handover, "takeover": takeover })).await;
        refused(&reply, 400, code);
    }
    // Of somebody else, onto somebody else's, and without being anybody.
    let body = replacement(&browser, &other, &new);
    refused(&browser.post_json(REPLACE, &body).await, 404, "no_such_binding");
    let body = replacement(&browser, &Holder::key(9), &new);
    refused(&browser.post_json(REPLACE, &body).await, 404, "no_such_binding");
    let body = replacement(&browser, &old, &other);
    refused(&browser.post_json(REPLACE, &body).await, 409, "overtaken");
    let body = replacement(&browser, &holder_of(&browser), &Holder::peer_2(7));
    refused(&browser.post_json(REPLACE, &body).await, 400, "did_unsupported_method");
    let body = replacement(&browser, &holder_of(&browser), &holder_of(&stranger));
    refused(&browser.post_json(REPLACE, &body).await, 409, "overtaken");
    let (token, body) = (browser.token.take(), replacement(&browser, &old, &new));
    refused(&browser.post_json(REPLACE, &body).await, 401, "not_known");
    browser.token = token;
    // The key of a browser that was lent stays in it.
    shop.advance_s(301);
    let body = replacement(&browser, &holder_of(&browser), &Holder::key(8));
    refused(&browser.post_json(REPLACE, &body).await, 403, "step_up_needed");
    // Nothing of this changed anything.
    assert_eq!(old.sign_in(&mut browser).await.status, StatusCode::OK);
    assert_eq!(other.sign_in(&mut stranger).await.status, StatusCode::OK);
    assert!(!browser.get("/wallet/history").await.text().contains("did_replaced"));
}
