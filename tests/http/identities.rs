//! Who the shop is towards wallets: each client identifier prefix, requests that a wallet wants encrypted, requests that
//! stand in their link, and what a registrar certified (OpenID4VP 1.0, 5.9, 5.10, 5.11; ETSI TS 119 475).

use firsthand::{
    Ask, Device, Error, Wanted,
    ask::documents::AGE_EU,
    limits::Limits,
    merchant::{ClientIdPrefix, MerchantBuilder},
    protocol::{
        jose::{ContentEncryption, DecryptionKey, SigningKey, base64url_decode, base64url_encode},
        openid4vp::{ResponseMode, VerifierAttestation},
        registration::RegistrationCertificate,
    },
    store::Memory,
    testing::wallet::{Anchors, Fault, Link, Request, encrypting_form},
    time::UnixTime,
    trust::Trust,
};
use firsthand_axum::testing::{Asking, Browser, TestShop, response_code};
use http::{Method, StatusCode};
use serde_json::{Map, Value, json};
use url::Url;

use crate::probe::{FORM, browser, plain, standing};

const NONCE: &str = "a-wallet-nonce";

fn attester() -> SigningKey {
    SigningKey::from_p256_scalar(&[9; 32]).unwrap()
}

/// An attestation for the key of a shop, until `exp`.
fn attestation(shop: &TestShop, exp: UnixTime) -> VerifierAttestation {
    let header = Map::from_iter([("typ".to_owned(), VerifierAttestation::TYP.into())]);
    let key = shop.keys().identity().key().public_key();
    let claims = json!({"iss": "https://attester.example", "sub": "shop.example", "exp": exp.as_secs(),
        "cnf": {"jwk": key.to_jwk()}});
    VerifierAttestation::parse(&attester().sign_jws(&header, &claims).unwrap(), &Limits::default()).unwrap()
}

fn path(url: &str) -> String {
    Url::parse(url).unwrap().path().to_owned()
}

/// What a wallet gets that posts this.
async fn fetched(browser: &Browser, asking: &Asking, form: &str) -> (StatusCode, String) {
    let reply = plain(browser, Method::POST, &path(&asking.request_uri), FORM, form.as_bytes()).await;
    (reply.status, reply.text())
}

fn header(object: &str) -> Value {
    serde_json::from_slice(&base64url_decode(object.split('.').next().unwrap()).unwrap()).unwrap()
}

fn misuse(set_up: impl FnOnce(MerchantBuilder) -> MerchantBuilder, shop: &TestShop) -> String {
    let builder = firsthand::Merchant::builder(shop.merchant().origin().clone())
        .keys(shop.keys().clone())
        .trust(shop.cast().trust().unwrap())
        .fetch(shop.network().clone())
        .env(shop.clock().clone())
        .store(Memory::new())
        .ask(&TestShop::age())
        .ask(&TestShop::address());
    match set_up(builder).build() {
        Err(Error::Misuse(text)) => text,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_shop_is_known_by_its_did() {
    let first = TestShop::new();
    let prefix = ClientIdPrefix::DecentralizedIdentifier;
    let shop = first.again(|builder| builder.store(Memory::new()).client_id_prefix(prefix));
    let mut browser = browser(&shop);
    let asking = browser.ask("age", Device::SameDevice).await;
    let link = Link::parse(&asking.wallet_uri).unwrap();
    assert_eq!(link.client_id, "decentralized_identifier:did:web:shop.example");
    let (status, object) = fetched(&browser, &asking, &Link::form(NONCE)).await;
    assert_eq!(status, StatusCode::OK);
    assert_eq!(header(&object).get("x5c"), None);
    // The document as everybody gets it.
    let served = browser.get("/.well-known/did.json").await.json();
    let document = firsthand::protocol::did::DidDocument::from_json(&served, &Limits::default()).unwrap();
    let (documents, limits, now) = ([document], Limits::default(), shop.merchant().now());
    let anchors = Anchors::default().did_documents(&documents);
    let request = Request::read_by(&link, &object, Some(NONCE), &anchors, now, &limits).unwrap();
    let answered = browser.wallet_answers(&request, "adult", &[]).await;
    assert_eq!(answered.status, StatusCode::OK, "{}", answered.text());
    // Nobody else's key, and no other name.
    let other = TestShop::new().merchant().public_document();
    let others = [other];
    let stranger = Anchors::default().did_documents(&others);
    assert!(Request::read_by(&link, &object, Some(NONCE), &stranger, now, &limits).is_err());
    let bare = Anchors::default();
    assert!(Request::read_by(&link, &object, Some(NONCE), &bare, now, &limits).is_err());
    let wrong = browser.wallet_answers(&request, "adult", &[Fault::AudienceWithoutPrefix]).await;
    assert_ne!(wrong.status, StatusCode::OK);
}

#[tokio::test]
async fn a_shop_is_known_by_who_attests_it() {
    let first = TestShop::new();
    let exp = first.merchant().now().plus_s(3600);
    let prefix = ClientIdPrefix::VerifierAttestation(attestation(&first, exp));
    let shop = first.again(|builder| builder.store(Memory::new()).client_id_prefix(prefix.clone()));
    let mut browser = browser(&shop);
    let asking = browser.ask("age", Device::SameDevice).await;
    let link = Link::parse(&asking.wallet_uri).unwrap();
    assert_eq!(link.client_id, "verifier_attestation:shop.example");
    let (_, object) = fetched(&browser, &asking, &Link::form(NONCE)).await;
    let (limits, now, keys) = (Limits::default(), shop.merchant().now(), [attester().public_key().clone()]);
    let anchors = Anchors::default().attesters(&keys);
    let request = Request::read_by(&link, &object, Some(NONCE), &anchors, now, &limits).unwrap();
    let answered = browser.wallet_answers(&request, "adult", &[]).await;
    assert_eq!(answered.status, StatusCode::OK, "{}", answered.text());
    // By somebody else's word, or after its end, it is nobody's.
    let strangers = [SigningKey::from_p256_scalar(&[8; 32]).unwrap().public_key().clone()];
    let by = |keys| Anchors::default().attesters(keys);
    assert!(Request::read_by(&link, &object, Some(NONCE), &by(&strangers), now, &limits).is_err());
    assert!(Request::read_by(&link, &object, Some(NONCE), &by(&keys), exp, &limits).is_err());
    // A key that is not ours, as of another shop.
    let foreign = attestation(&TestShop::new(), exp);
    let text = misuse(|builder| builder.client_id_prefix(ClientIdPrefix::VerifierAttestation(foreign)), &first);
    assert!(text.contains("for a key that is not in the keys file"), "{text}");

    // Renewed keys keep the old one, which the attestation is for; and without the attestation nobody pretends.
    let renewed = first.renewed_certificate();
    let store = Memory::new();
    let old = first.again(|builder| builder.store(store.clone()).client_id_prefix(prefix.clone()));
    let new = first.again(|builder| builder.keys(renewed).store(store.clone()).client_id_prefix(prefix));
    let plain_shop = first.again(|builder| builder.store(store.clone()));
    let mut browser = crate::probe::browser(&old);
    let asking = browser.ask("age", Device::SameDevice).await;
    let link = Link::parse(&asking.wallet_uri).unwrap();
    let (_, object) = fetched(&crate::probe::moved(&browser, &new), &asking, &Link::form(NONCE)).await;
    assert!(Request::read_by(&link, &object, Some(NONCE), &anchors, now, &limits).is_ok());
    let (status, _) = fetched(&crate::probe::moved(&browser, &plain_shop), &asking, &Link::form(NONCE)).await;
    assert_eq!(status, StatusCode::INTERNAL_SERVER_ERROR);
}

#[tokio::test]
async fn a_request_that_nobody_signs_stands_in_its_link() {
    for mode in [ResponseMode::DirectPost, ResponseMode::DirectPostJwt] {
        let prefix = ClientIdPrefix::RedirectUri;
        let shop = TestShop::with(|builder| builder.store(Memory::new()).client_id_prefix(prefix).response_mode(mode));
        let mut browser = browser(&shop);
        let asking = browser.ask("age", Device::SameDevice).await;
        assert!(asking.request_uri.is_empty(), "{}", asking.request_uri);
        let (limits, now) = (Limits::default(), shop.merchant().now());
        let request = Request::by_value(&asking.wallet_uri, now, &limits).unwrap();
        assert_eq!(request.client_id, format!("redirect_uri:{}", request.response_uri));
        assert_eq!((request.response_mode, request.encryption.is_some()), (mode, mode == ResponseMode::DirectPostJwt));
        for link in asking.body["wallets"].as_array().unwrap() {
            let linked = Request::by_value(link["url"].as_str().unwrap(), now, &limits).unwrap();
            assert_eq!((&linked.nonce, &linked.state), (&request.nonce, &request.state));
        }
        // Nobody knows whether a wallet has read it, and there is nothing to fetch.
        assert_eq!(standing(&mut browser, &asking).await.0, "requested");
        let name = request.response_uri.path().rsplit('/').next().unwrap();
        let reply = plain(&browser, Method::GET, &format!("/wallet/requests/{name}"), FORM, b"").await;
        assert_eq!(reply.status, StatusCode::NOT_FOUND);

        let wrong = browser.wallet_answers(&request, "adult", &[Fault::WrongNonce]).await;
        assert_eq!(wrong.status, StatusCode::BAD_REQUEST);
        // A proof for another request of ours is for another address.
        let other = browser.ask("age", Device::SameDevice).await;
        let other = Request::by_value(&other.wallet_uri, now, &limits).unwrap();
        let mut moved = request.clone();
        moved.client_id = other.client_id;
        assert_eq!(browser.wallet_answers(&moved, "adult", &[]).await.status, StatusCode::BAD_REQUEST);
        let answered = browser.wallet_answers(&request, "adult", &[]).await;
        assert_eq!(answered.status, StatusCode::OK, "{}", answered.text());
        let body = json!({ "presentation": asking.id, "response_code": response_code(&answered) });
        assert_eq!(browser.redeem(&body).await.status, StatusCode::OK);
    }
}

#[tokio::test]
async fn a_wallet_gets_its_request_encrypted_if_it_asks_for_that() {
    let shop = TestShop::new();
    let mut browser = browser(&shop);
    let asking = browser.ask("age", Device::SameDevice).await;
    let key = DecryptionKey::from_scalar(&[6; 32], "device").unwrap();
    let limits = Limits::default();
    let link = Link::parse(&asking.wallet_uri).unwrap();
    for enc in [ContentEncryption::A128Gcm, ContentEncryption::A256Gcm] {
        let form = encrypting_form(NONCE, &key.public_jwk(), enc.name());
        let (status, jwe) = fetched(&browser, &asking, &form).await;
        assert_eq!(status, StatusCode::OK, "{jwe}");
        assert_eq!(header(&jwe)["enc"], enc.name());
        let object = String::from_utf8(key.decrypt(&jwe, &[enc], &limits).unwrap()).unwrap();
        let roots = [shop.access_root()];
        let request = Request::read(&link, &object, Some(NONCE), &roots, shop.merchant().now(), &limits).unwrap();
        assert_eq!(request.response_mode, ResponseMode::DirectPostJwt);
    }
    // What cannot be encrypted as asked is not sent in clear.
    for form in [
        encrypting_form(NONCE, &key.public_jwk(), "A128CBC-HS256"),
        encrypting_form(NONCE, &json!({"kty": "RSA", "n": "AQAB", "e": "AQAB", "use": "enc"}), "A256GCM"),
        "wallet_metadata=x".to_owned(),
        format!("wallet_metadata={}", "x".repeat(40_000)),
    ] {
        let (status, text) = fetched(&browser, &asking, &form).await;
        assert!(status.is_client_error() && !text.contains("eyJ"), "{status} {text}");
    }
    // And the one who asks for nothing gets it as ever.
    let (status, object) = fetched(&browser, &asking, &Link::form(NONCE)).await;
    assert_eq!((status, object.split('.').count()), (StatusCode::OK, 3));
}

#[tokio::test]
async fn wallets_are_told_whose_credentials_will_be_believed_where_the_merchant_says_so() {
    for named in [false, true] {
        let shop = TestShop::with(|builder| {
            let builder = builder.store(Memory::new());
            if named { builder.name_authorities() } else { builder }
        });
        let mut browser = browser(&shop);
        let (_, request) = crate::probe::delivered(&mut browser, "age").await;
        for credential in &request.query.credentials {
            assert_eq!(credential.trusted_authorities.is_some(), named, "{}", credential.id);
        }
        let ids: Vec<&str> = request
            .query
            .credentials
            .iter()
            .filter_map(|one| {
                let [authority] = one.trusted_authorities.as_deref()? else { panic!("one entry") };
                assert_eq!(authority["type"], "aki");
                authority["values"][0].as_str()
            })
            .collect();
        assert!(ids.iter().all(|id| base64url_decode(id).is_ok_and(|id| id.len() == 20)), "{ids:?}");
        let answered = browser.wallet_answers(&request, "adult", &[]).await;
        assert_eq!(answered.status, StatusCode::OK, "{}", answered.text());
    }
}

/// A registration certificate for these credentials.
fn registered(credentials: &Value, exp: UnixTime) -> String {
    let part = |value: &Value| base64url_encode(value.to_string().as_bytes());
    let header = json!({ "typ": RegistrationCertificate::TYP, "alg": "ES256" });
    let claims = json!({ "credentials": credentials, "exp": exp.as_secs(), "intended_use_id": "use-1" });
    format!("{}.{}.AA", part(&header), part(&claims))
}

fn pid(claims: &[&str]) -> Value {
    let claims: Vec<Value> = claims.iter().map(|claim| json!({ "path": [claim] })).collect();
    json!([{ "format": "dc+sd-jwt", "meta": { "vct_values": ["urn:eudi:pid:1"] }, "claims": claims }])
}

#[tokio::test]
async fn a_registration_certificate_goes_with_its_ask_alone() {
    let first = TestShop::new();
    let exp = first.merchant().now().plus_s(90 * 86_400);
    let jwt = registered(&pid(&["given_name", "family_name", "address"]), exp);
    let (age, address) = (TestShop::age(), TestShop::address());
    let shop = first.again(|builder| builder.store(Memory::new()).registration(&address, &format!("{jwt}\n")));
    let mut browser = browser(&shop);
    let (_, request) = crate::probe::delivered(&mut browser, "address").await;
    assert_eq!(request.verifier_info, [json!({ "format": "registration_cert", "data": jwt })]);
    let (_, request) = crate::probe::delivered(&mut browser, "age").await;
    assert_eq!(request.verifier_info, Vec::<Value>::new());

    // What is asked beyond it stops the shop before a customer sees it, and says which claim of which ask.
    let narrow = registered(&pid(&["given_name", "family_name"]), exp);
    let text = misuse(|builder| builder.registration(&address, &narrow), &first);
    assert!(text.contains(r#""address""#) && text.contains(r#"["address"] of "pid""#), "{text}");
    let text = misuse(|builder| builder.registration(&age, &jwt), &first);
    assert!(text.contains(r#"the ask "age" asks for more than is registered"#), "{text}");
    let text = misuse(|builder| builder.registration(&Ask::new("adress", "p"), &jwt), &first);
    assert!(text.contains("no such ask"), "{text}");
    let text = misuse(|builder| builder.registration(&address, "not a JWT"), &first);
    assert!(text.contains("cannot be read"), "{text}");
    let unsigned = |builder: MerchantBuilder| builder.client_id_prefix(ClientIdPrefix::RedirectUri);
    let text = misuse(|builder| unsigned(builder).registration(&address, &jwt), &first);
    assert!(text.contains("unsigned"), "{text}");
}

#[tokio::test]
async fn an_age_verification_app_is_asked_in_its_own_way() {
    let first = TestShop::new();
    let (roots, status) = first.cast().roots_pem();
    let trust = Trust::new().roots_with_status(roots, status, &[AGE_EU]).unwrap();
    let ask = Ask::new("adult", "Wine is sold to adults").age_eu(18);
    let shop = first.again(|builder| builder.store(Memory::new()).trust(trust).ask(&ask));
    let mut browser = browser(&shop);
    let asking = browser.ask("adult", Device::SameDevice).await;
    assert!(asking.wallet_uri.starts_with("av://?"), "{}", asking.wallet_uri);
    assert_eq!((asking.request_uri.as_str(), &asking.body["wallets"]), ("", &json!([])));
    let request = Request::by_value(&asking.wallet_uri, shop.merchant().now(), &Limits::default()).unwrap();
    assert_eq!((request.response_mode, request.encryption), (ResponseMode::DirectPost, None));
    let expected = json!({ "credentials": [{ "id": "age", "format": "mso_mdoc", "meta": { "doctype_value": AGE_EU },
        "claims": [{ "path": [AGE_EU, "age_over_18"] }] }] });
    assert_eq!(serde_json::to_value(&request.query).unwrap(), expected);
    // Everybody else is asked as ever.
    let asking = browser.ask("age", Device::SameDevice).await;
    assert!(asking.wallet_uri.starts_with("openid4vp://?client_id=x509_hash"), "{}", asking.wallet_uri);

    // Unsigned and in clear nothing else is asked.
    let person = || Wanted::mdoc(AGE_EU, AGE_EU).claim(["expiry_date"]);
    let adult = || Ask::new("adult", "Wine is sold to adults").age_eu(18);
    for more in [adult().credential("more", person()), adult().over(18), adult().age_eu(21), adult().recognise()] {
        assert!(matches!(more.check(), Err(firsthand::ask::AskError::AgeEu(name)) if name == "adult"));
    }
    assert!(adult().check().is_ok());
}
