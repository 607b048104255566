//! The modules of the OpenID Foundation's verifier plan for OpenID4VP 1.0 and HAIP (SD-JWT VC), under their names, for
//! both client identifier prefixes and both response modes.
//!
//! The suite plays the wallet; a refusal counts at once only as a 4xx of the response endpoint, so that is what every
//! negative asserts. What the suite checks of the request it checks in every module: here it is [`happy_flow`].

use std::collections::BTreeSet;

use base64::{Engine, prelude::BASE64_STANDARD};
use firsthand::{
    Device,
    limits::Limits,
    merchant::ClientIdPrefix,
    protocol::{
        jose::{Jws, SigningKey, base64url_decode, base64url_encode, sha256},
        openid4vp::ResponseMode,
        x509::{Certificate, verify_path},
    },
    store::Memory,
    testing::{
        issuer::Credential,
        wallet::{Fault, Link, Wallet},
    },
};
use firsthand_axum::testing::{Asking, Browser, Reply, TestShop, response_code};
use http::{Method, StatusCode};
use serde_json::{Map, Value, json};
use url::Url;

use crate::probe::{self, FORM, PID, delivered, refused, shapes, standing};

/// A shop of this shape.
fn shop(prefix: ClientIdPrefix, mode: ResponseMode) -> TestShop {
    TestShop::with(|builder| builder.store(Memory::new()).client_id_prefix(prefix).response_mode(mode))
}

/// A request object, as it came.
struct Object {
    header: Map<String, Value>,
    claims: Map<String, Value>,
    text: String,
}

impl Object {
    fn of(reply: &Reply) -> Self {
        assert_eq!(reply.status, StatusCode::OK, "{}", reply.text());
        assert_eq!(reply.header("content-type"), "application/oauth-authz-req+jwt");
        let text = reply.text();
        let part = |at: usize| {
            let part = base64url_decode(text.split('.').nth(at).expect("three parts")).expect("base64url");
            serde_json::from_slice::<Map<String, Value>>(&part).expect("an object")
        };
        Self { header: part(0), claims: part(1), text }
    }

    fn chain(&self) -> Vec<Vec<u8>> {
        let chain = self.header["x5c"].as_array().expect("x5c");
        chain.iter().map(|der| BASE64_STANDARD.decode(der.as_str().expect("text")).expect("base64")).collect()
    }

    fn text(&self, claim: &str) -> &str {
        self.claims[claim].as_str().expect("text")
    }
}

async fn fetched(browser: &Browser, asking: &Asking) -> Object {
    let path = Url::parse(&asking.request_uri).expect("a URL").path().to_owned();
    Object::of(&probe::plain(browser, Method::GET, &path, FORM, b"").await)
}

/// Every check that the suite makes of a request.
fn check_request(shop: &TestShop, asking: &Asking, object: &Object, prefix: &ClientIdPrefix, mode: ResponseMode) {
    let now = shop.merchant().now();
    let limits = Limits::default();
    // The link: by reference, https, no fragment.
    let link = Link::parse(&asking.wallet_uri).expect("a link");
    let link_url = Url::parse(&asking.wallet_uri).expect("a URL");
    let names: BTreeSet<String> = link_url.query_pairs().map(|(name, _)| name.into_owned()).collect();
    assert_eq!(names, ["client_id", "request_uri", "request_uri_method"].map(str::to_owned).into());
    assert_eq!((link.request_uri.scheme(), link.request_uri.fragment()), ("https", None));

    // The header, and the signature by the leaf of a chain that leads to a configured anchor.
    assert_eq!(object.header["typ"], "oauth-authz-req+jwt");
    assert_eq!(object.header["alg"], "ES256");
    let chain = object.chain();
    let leaf = Certificate::from_der(&chain[0]).expect("a certificate");
    assert!(!leaf.is_self_signed(), "HAIP: the leaf is not self-signed");
    assert!(!chain.iter().any(|der| der == shop.access_root().der()), "HAIP: the anchor is not in x5c");
    verify_path(&chain, &[shop.access_root()], now, &limits).expect("a path");
    let jws = Jws::parse(&object.text, &limits).expect("a JWS");
    jws.verify(&leaf.public_key().expect("a key"), &["oauth-authz-req+jwt"]).expect("a signature");

    // Who asks: prefix and name, the same within and without.
    let client_id = object.text("client_id");
    assert_eq!(client_id, link.client_id);
    match prefix {
        ClientIdPrefix::X509SanDns => {
            assert_eq!(client_id, "x509_san_dns:shop.example");
            assert!(leaf.dns_names().iter().any(|name| name == "shop.example"));
        }
        _ => assert_eq!(client_id, format!("x509_hash:{}", base64url_encode(&sha256(&chain[0])))),
    }

    // What is said, and nothing else.
    let known = [
        "aud",
        "client_id",
        "client_metadata",
        "dcql_query",
        "exp",
        "iat",
        "nonce",
        "response_mode",
        "response_type",
        "response_uri",
        "state",
    ];
    assert_eq!(object.claims.keys().map(String::as_str).collect::<BTreeSet<_>>(), BTreeSet::from(known));
    assert_eq!(object.text("aud"), "https://self-issued.me/v2");
    assert_eq!(object.text("response_type"), "vp_token");
    assert_eq!(object.text("response_mode"), mode.name());
    let response_uri = Url::parse(object.text("response_uri")).expect("a URL");
    assert_eq!(
        (response_uri.scheme(), response_uri.host_str(), response_uri.fragment()),
        ("https", Some("shop.example"), None)
    );
    let (iat, exp) = (object.claims["iat"].as_i64().expect("iat"), object.claims["exp"].as_i64().expect("exp"));
    assert_eq!(iat, now.as_secs());
    assert!(exp > iat && exp - iat <= 300, "a request lives shortly");

    // Nonce and state: fresh, of 128 bits at least, in the characters of RQ-2; the suite warns outside of 16 to 43.
    let unreserved = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte);
    for fresh in [object.text("nonce"), object.text("state")] {
        assert!((22..=43).contains(&fresh.len()) && fresh.bytes().all(unreserved), "{fresh}");
    }

    // The metadata.
    let metadata = object.claims["client_metadata"].as_object().expect("metadata");
    let formats = &metadata["vp_formats_supported"];
    assert_eq!(formats.as_object().expect("formats").keys().collect::<Vec<_>>(), ["dc+sd-jwt"]);
    for values in ["sd-jwt_alg_values", "kb-jwt_alg_values"] {
        assert!(formats["dc+sd-jwt"][values].as_array().expect("algorithms").contains(&json!("ES256")));
    }
    match mode {
        ResponseMode::DirectPost => assert_eq!(metadata.len(), 1),
        ResponseMode::DirectPostJwt => {
            assert_eq!(metadata.len(), 3);
            assert_eq!(metadata["encrypted_response_enc_values_supported"], json!(["A128GCM", "A256GCM"]));
            let keys = metadata["jwks"]["keys"].as_array().expect("keys");
            assert_eq!(keys.len(), 1);
            let key = keys[0].as_object().expect("a key");
            for (member, value) in [("kty", "EC"), ("crv", "P-256"), ("alg", "ECDH-ES"), ("use", "enc")] {
                assert_eq!(key[member], value);
            }
            assert!(key["kid"].as_str().is_some_and(|kid| !kid.is_empty()));
            assert!(!key.contains_key("d"), "a private key stays at home");
        }
    }

    // The query: one credential, and only claims that a holder can withhold.
    let query = &object.claims["dcql_query"];
    let credentials = query["credentials"].as_array().expect("credentials");
    assert_eq!(credentials.len(), 1);
    assert_eq!(credentials[0]["format"], "dc+sd-jwt");
    assert_eq!(credentials[0]["meta"]["vct_values"], json!([PID]));
    let claims = credentials[0]["claims"].as_array().expect("claims");
    let sets = credentials[0]["claim_sets"].as_array().expect("claim_sets");
    for claim in claims {
        assert!(sets.iter().any(|set| set.as_array().expect("a set").contains(&claim["id"])), "{claim}");
        let top = claim["path"][0].as_str().expect("a name");
        assert!(!["iss", "nbf", "exp", "cnf", "vct", "status"].contains(&top));
    }
}

#[tokio::test]
async fn happy_flow() {
    for (prefix, mode) in shapes() {
        let shop = shop(prefix.clone(), mode);
        let mut browser = probe::browser(&shop);
        let asking = browser.ask("age", Device::SameDevice).await;
        let object = fetched(&browser, &asking).await;
        check_request(&shop, &asking, &object, &prefix, mode);

        let request = browser.wallet_reads(&asking).await;
        let answer = browser.wallet_answers(&request, "adult", &[]).await;
        assert_eq!(answer.status, StatusCode::OK, "{}", answer.text());
        assert_eq!(answer.header("content-type"), "application/json");
        assert_eq!(answer.header("cache-control"), "no-store");
        let body = answer.json();
        assert_eq!(body.as_object().expect("an object").len(), 1);
        let redirect = Url::parse(body["redirect_uri"].as_str().expect("redirect_uri")).expect("a URL");
        assert_eq!(redirect.origin(), shop.merchant().origin().origin());
        assert!(response_code(&answer).len() >= 22, "a fresh random of 128 bits at least");
        assert!(redirect.query().is_none(), "the code stands where no server sees it");

        let redeemed =
            browser.redeem(&json!({ "presentation": asking.id, "response_code": response_code(&answer) })).await;
        assert_eq!(redeemed.status, StatusCode::OK, "{}", redeemed.text());
        assert_eq!(standing(&mut browser, &asking).await.0, "redeemed");
    }
}

#[tokio::test]
async fn nothing_of_one_request_is_used_in_another() {
    let shop = TestShop::new();
    let mut browser = probe::browser(&shop);
    let mut seen = BTreeSet::new();
    for _ in 0..8 {
        let asking = browser.ask("age", Device::SameDevice).await;
        let object = fetched(&browser, &asking).await;
        let key = object.claims["client_metadata"]["jwks"]["keys"][0]["x"].as_str().expect("x");
        let fresh = [
            &asking.id,
            &asking.request_uri,
            object.text("nonce"),
            object.text("state"),
            object.text("response_uri"),
            key,
        ];
        for fresh in fresh {
            assert!(seen.insert(fresh.to_owned()), "{fresh} was there before");
        }
    }
}

#[tokio::test]
async fn minimal_cnf_jwk() {
    for (prefix, mode) in shapes() {
        let shop = shop(prefix.clone(), mode);
        let mut browser = probe::browser(&shop);
        let holder = SigningKey::from_p256_scalar(&[9; 32]).expect("a key");
        let jwk = holder.public_key().to_jwk();
        let names: BTreeSet<&str> = jwk.as_object().expect("a key").keys().map(String::as_str).collect();
        assert_eq!(names, BTreeSet::from(["kty", "crv", "x", "y"]), "no kid, no alg, no use");
        let mut credential = Credential::new(PID, shop.merchant().now());
        credential.holder = Some(holder.public_key().clone());
        credential.claims.insert("age_equal_or_over".to_owned(), json!({ "18": true }));
        let mut wallet = Wallet::new();
        let issued = shop.cast().issuer().issue(&credential, shop.clock()).expect("a credential");
        wallet.hold(&issued, holder).expect("a credential that opens");
        let (_, request) = delivered(&mut browser, "age").await;
        let reply = probe::answer(&mut browser, &request, &wallet, &[]).await;
        assert_eq!(reply.status, StatusCode::OK, "{}", reply.text());
    }
}

#[tokio::test]
async fn request_uri_method_post() {
    for (prefix, mode) in shapes() {
        let shop = shop(prefix.clone(), mode);
        let mut browser = probe::browser(&shop);
        let asking = browser.ask("age", Device::SameDevice).await;
        let link = Link::parse(&asking.wallet_uri).expect("a link");
        assert!(link.post, "the link offers POST");
        let path = link.request_uri.path();
        // What a wallet of the suite sends, with a parameter that no standard names.
        let form = "wallet_nonce=q-7.~_R4nd0m&wallet_metadata=%7B%22vp_formats_supported%22%3A%7B%7D%7D&other=1";
        let object = Object::of(&probe::plain(&browser, Method::POST, path, FORM, form.as_bytes()).await);
        assert_eq!(object.text("wallet_nonce"), "q-7.~_R4nd0m");
        let mut as_by_get =
            Object { header: object.header.clone(), claims: object.claims.clone(), text: object.text.clone() };
        as_by_get.claims.remove("wallet_nonce");
        check_request(&shop, &asking, &as_by_get, &prefix, mode);

        let without = Object::of(&probe::plain(&browser, Method::POST, path, FORM, b"").await);
        assert!(!without.claims.contains_key("wallet_nonce"));
        let by_get = fetched(&browser, &asking).await;
        assert!(!by_get.claims.contains_key("wallet_nonce"), "never by GET");

        let request = browser.wallet_reads(&asking).await;
        assert_eq!(browser.wallet_answers(&request, "adult", &[]).await.status, StatusCode::OK);
    }
}

#[tokio::test]
async fn request_uri_fetched_twice() {
    for (prefix, mode) in shapes() {
        let shop = shop(prefix.clone(), mode);
        let mut browser = probe::browser(&shop);
        let asking = browser.ask("age", Device::SameDevice).await;
        let first = fetched(&browser, &asking).await;
        shop.advance_s(60);
        let second = fetched(&browser, &asking).await;
        check_request(&shop, &asking, &second, &prefix, mode);
        for same in ["nonce", "state", "client_id", "response_uri", "client_metadata", "dcql_query", "exp"] {
            assert_eq!(first.claims[same], second.claims[same], "{same}");
        }
        // What was made for the first fetch answers after the second.
        let request = browser.wallet_reads(&asking).await;
        assert_eq!(request.nonce, first.text("nonce"));
        assert_eq!(browser.wallet_answers(&request, "adult", &[]).await.status, StatusCode::OK);
    }
}

/// A module in which one thing is wrong: refused at once with 4xx, for this reason, and the right answer still holds.
async fn negative(fault: Fault, reason: &str) {
    for (prefix, mode) in shapes() {
        let shop = shop(prefix.clone(), mode);
        let mut browser = probe::browser(&shop);
        let (asking, request) = delivered(&mut browser, "age").await;
        let reply = browser.wallet_answers(&request, "adult", &[fault]).await;
        assert_eq!(refused(&mut browser, &asking, &reply).await, reason, "{fault:?} {mode:?}");
        assert_eq!(browser.get("/").await.text(), "", "nobody is known by it");

        let right = browser.wallet_answers(&request, "adult", &[]).await;
        assert_eq!(right.status, StatusCode::OK, "the same answer without the fault: {}", right.text());
    }
}

#[tokio::test]
async fn invalid_kb_jwt_signature() {
    negative(Fault::HolderSignatureBroken, "key_binding_jwt").await;
}

#[tokio::test]
async fn invalid_credential_signature() {
    negative(Fault::IssuerSignatureBroken, "sd_jwt_issuer_jwt").await;
}

#[tokio::test]
async fn invalid_sd_hash() {
    negative(Fault::WrongSdHash, "key_binding_sd_hash").await;
}

#[tokio::test]
async fn invalid_kb_jwt_nonce() {
    negative(Fault::WrongNonce, "key_binding_nonce").await;
}

#[tokio::test]
async fn invalid_kb_jwt_aud() {
    negative(Fault::WrongAudience, "key_binding_audience").await;
}

#[tokio::test]
async fn kb_jwt_iat_in_past() {
    negative(Fault::HolderProofInPast, "key_binding_too_old").await;
}

#[tokio::test]
async fn kb_jwt_iat_in_future() {
    negative(Fault::HolderProofInFuture, "key_binding_in_future").await;
}

/// The suite waits for its screenshot; a request that nobody answers must end by itself.
#[tokio::test]
async fn a_request_that_is_not_answered_ends() {
    let shop = TestShop::new();
    let mut browser = probe::browser(&shop);
    let (asking, request) = delivered(&mut browser, "age").await;
    shop.advance_s(300);
    let late = browser.wallet_answers(&request, "adult", &[]).await;
    assert_eq!((late.status, late.code().as_str()), (StatusCode::GONE, "presentation_expired"));
    assert_eq!(standing(&mut browser, &asking).await.0, "expired");
}
