//! The browser's own way to a wallet, the Digital Credentials API: the browser that asked gets its requests and brings the
//! answer, and nobody else does either.

use std::collections::BTreeSet;

use firsthand::{
    Device,
    merchant::ClientIdPrefix,
    protocol::{
        jose::{Jws, base64url_encode},
        openid4vp::{ResponseMode, dc_api::Protocol},
    },
    store::Memory,
    testing::wallet::{Fault, Request},
};
use firsthand_axum::testing::{Asking, Browser, Reply, TestShop};
use http::{Method, StatusCode};
use serde_json::{Value, json};

use crate::probe::{browser, standing};

/// A question that a wallet has by this protocol.
async fn asked(browser: &mut Browser, protocol: Protocol) -> (Asking, Request) {
    let asking = browser.ask("age", Device::SameDevice).await;
    let request = browser.dc_reads(&asking, protocol).await;
    (asking, request)
}

/// What the browser redeems an answer with.
fn redemption(asking: &Asking, reply: &Reply) -> Value {
    assert_eq!(reply.status, StatusCode::OK, "{}", reply.text());
    let body = reply.json();
    assert_eq!(body["state"], "answered");
    json!({ "presentation": asking.id, "response_code": body["response_code"] })
}

/// The requests as the page gets them, by protocol.
async fn requests(browser: &mut Browser, asking: &Asking) -> Vec<(String, Value)> {
    let reply = browser.dc_requests(asking).await;
    assert_eq!(reply.status, StatusCode::OK, "{}", reply.text());
    let body = reply.json();
    let one = |one: &Value| (one["protocol"].as_str().unwrap().to_owned(), one["data"].clone());
    body["requests"].as_array().unwrap().iter().map(one).collect()
}

/// What a request says, signed or not.
fn said(shop: &TestShop, data: &Value) -> Value {
    match data.get("request").and_then(Value::as_str) {
        Some(object) => {
            let jws = Jws::parse(object, shop.merchant().limits()).unwrap();
            Value::Object(jws.unverified_claims().clone())
        }
        None => data.clone(),
    }
}

/// Refused at once, and nothing has come of it; the code of the check that failed.
async fn refused(browser: &mut Browser, asking: &Asking, reply: &Reply) -> String {
    assert_eq!((reply.status, reply.code().as_str()), (StatusCode::BAD_REQUEST, "answer_refused"), "{}", reply.text());
    assert_eq!(reply.json()["detail"], "the answer is refused");
    let (state, code) = standing(browser, asking).await;
    assert_eq!(state, "delivered");
    let redeemed = browser.redeem(&json!({ "presentation": asking.id })).await;
    assert_eq!((redeemed.status, redeemed.code().as_str()), (StatusCode::CONFLICT, "not_answered"));
    code
}

#[tokio::test]
async fn a_browser_takes_its_question_to_a_wallet_itself_and_is_known_by_the_answer() {
    for prefix in [ClientIdPrefix::X509Hash, ClientIdPrefix::X509SanDns] {
        // Also where a shop takes answers in clear by post: between a page and a wallet everything is encrypted.
        for mode in [ResponseMode::DirectPostJwt, ResponseMode::DirectPost] {
            let set_up = |builder: firsthand::merchant::MerchantBuilder| {
                builder.store(Memory::new()).client_id_prefix(prefix.clone()).response_mode(mode)
            };
            let shop = TestShop::with(set_up);
            for protocol in Protocol::OPENID4VP {
                let mut browser = browser(&shop);
                let (asking, request) = asked(&mut browser, protocol).await;
                let reply = browser.dc_answers(&asking, protocol, &request, "adult", &[]).await;
                assert_eq!(reply.header("cache-control"), "private, no-store");
                let redeemed = browser.redeem(&redemption(&asking, &reply)).await;
                assert_eq!(redeemed.status, StatusCode::OK, "{}", redeemed.text());
                let me = browser.get("/wallet/me").await.json();
                assert_eq!(me["proofs"][0]["outcome"], "over 18");
                // The answer came to the browser that asked: what it does next is not held back as after a code.
                let sessions = browser.get("/wallet/sessions").await.json();
                assert_eq!(sessions["sessions"][0]["across_devices"], false);
            }
        }
    }
}

#[tokio::test]
async fn each_protocol_has_a_nonce_and_a_key_of_its_own_and_is_told_the_same_again() {
    let shop = TestShop::new();
    let mut browser = browser(&shop);
    let asking = browser.ask("age", Device::SameDevice).await;
    let first = requests(&mut browser, &asking).await;
    let names: Vec<&str> = first.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(names, ["openid4vp-v1-signed", "openid4vp-v1-unsigned"]);
    let told: Vec<Value> = first.iter().map(|(_, data)| said(&shop, data)).collect();
    let again: Vec<Value> = requests(&mut browser, &asking).await.iter().map(|(_, data)| said(&shop, data)).collect();
    assert_eq!(told, again);
    let mut nonces: BTreeSet<String> = told.iter().map(|one| one["nonce"].to_string()).collect();
    let mut keys: BTreeSet<String> =
        told.iter().map(|one| one["client_metadata"]["jwks"]["keys"][0]["x"].to_string()).collect();
    // And the link, which may be used as well, has its own, too.
    let link = browser.wallet_reads(&asking).await;
    nonces.insert(json!(link.nonce).to_string());
    keys.insert(link.encryption.unwrap().0["x"].to_string());
    assert_eq!((nonces.len(), keys.len()), (3, 3));

    let [signed, unsigned] = told.as_slice() else { panic!("{told:?}") };
    assert_eq!(signed["expected_origins"], json!(["https://shop.example"]));
    assert_eq!(signed["client_id"], json!(link.client_id));
    for absent in ["client_id", "expected_origins"] {
        assert!(unsigned.get(absent).is_none(), "{absent}");
    }
    for told in &told {
        assert_eq!(told["response_mode"], "dc_api.jwt");
        for absent in ["response_uri", "redirect_uri", "state"] {
            assert!(told.get(absent).is_none(), "{absent}");
        }
    }
}

#[tokio::test]
async fn row_25_an_answer_for_another_origin_is_refused() {
    let shop = TestShop::new();
    let faults = [Fault::OtherOrigin, Fault::OriginWithSlash, Fault::AudienceIsClientId, Fault::WrongAudience];
    for protocol in Protocol::OPENID4VP {
        for fault in faults {
            // The name of an unsigned request is its origin, so this is no fault there.
            if protocol == Protocol::Unsigned && fault == Fault::AudienceIsClientId {
                continue;
            }
            let mut browser = browser(&shop);
            let (asking, request) = asked(&mut browser, protocol).await;
            let reply = browser.dc_answers(&asking, protocol, &request, "adult", &[fault]).await;
            assert_eq!(refused(&mut browser, &asking, &reply).await, "key_binding_audience", "{protocol} {fault:?}");
            // A wallet may stumble: the same question is still open.
            let reply = browser.dc_answers(&asking, protocol, &request, "adult", &[]).await;
            assert_eq!(reply.status, StatusCode::OK, "{}", reply.text());
        }
    }
}

#[tokio::test]
async fn row_25_the_origin_is_the_configured_one_whatever_a_page_says() {
    // A wallet was shown the request by a page of another origin: a careless one that answers does so for that origin.
    let shop = TestShop::new();
    let mut browser = browser(&shop);
    let (asking, mut request) = asked(&mut browser, Protocol::Unsigned).await;
    request.origin = Some("https://shop.example.attacker.example".to_owned());
    let wallet = &shop.persona("adult").wallet;
    let data = wallet.answer_by_browser(&request, &wallet.choose(&request).unwrap(), &[], shop.clock()).unwrap();
    let body = json!({ "protocol": "openid4vp-v1-unsigned", "data": data, "origin": request.origin });
    let path = format!("/wallet/presentations/{}/dc/response", asking.id);
    let reply = browser.post_json(&path, &body).await;
    assert_eq!(refused(&mut browser, &asking, &reply).await, "key_binding_audience");
    // A careful one does not answer a signed request that another page shows.
    let data = requests(&mut browser, &asking).await.remove(0).1;
    let read = |origin: &str| {
        let (root, now) = (shop.access_root(), shop.merchant().now());
        Request::read_by_browser(Protocol::Signed, &data, origin, &[root], now, shop.merchant().limits())
    };
    assert!(read("https://shop.example").is_ok());
    for other in ["https://shop.example/", "https://SHOP.example", "https://shop.example:443", "http://shop.example"] {
        assert!(read(other).is_err(), "{other}");
    }
}

#[tokio::test]
async fn row_25_an_answer_to_one_protocol_is_none_to_another() {
    let shop = TestShop::new();
    let [signed, unsigned] = Protocol::OPENID4VP;
    for (asked_by, brought_as) in [(signed, unsigned), (unsigned, signed)] {
        let mut browser = browser(&shop);
        let (asking, mut request) = asked(&mut browser, asked_by).await;
        let reply = browser.dc_answers(&asking, brought_as, &request, "adult", &[]).await;
        assert_eq!(refused(&mut browser, &asking, &reply).await, "jose_decryption");
        // Encrypted to the right key, with the nonce of the other.
        request.encryption = browser.dc_reads(&asking, brought_as).await.encryption;
        let reply = browser.dc_answers(&asking, brought_as, &request, "adult", &[]).await;
        assert_eq!(refused(&mut browser, &asking, &reply).await, "key_binding_nonce");
    }
    // Nor to the link, nor the answer to the link here.
    let mut browser = browser(&shop);
    let asking = browser.ask("age", Device::SameDevice).await;
    let link = browser.wallet_reads(&asking).await;
    let mut here = browser.dc_reads(&asking, unsigned).await;
    let reply = browser.dc_answers(&asking, unsigned, &link, "adult", &[]).await;
    assert_eq!(refused(&mut browser, &asking, &reply).await, "jose_decryption");
    (here.state, here.response_uri) = (link.state.clone(), link.response_uri.clone());
    let reply = browser.wallet_answers(&here, "adult", &[]).await;
    assert_eq!(refused(&mut browser, &asking, &reply).await, "jose_decryption");
    here.encryption = link.encryption;
    let reply = browser.wallet_answers(&here, "adult", &[]).await;
    assert_eq!(refused(&mut browser, &asking, &reply).await, "key_binding_nonce");
}

#[tokio::test]
async fn row_25_the_same_question_is_answered_by_link_as_well_and_once_in_all() {
    let shop = TestShop::new();
    let mut browser = browser(&shop);
    let asking = browser.ask("age", Device::SameDevice).await;
    let here = browser.dc_reads(&asking, Protocol::Signed).await;
    let link = browser.wallet_reads(&asking).await;
    assert_eq!(browser.wallet_answers(&link, "adult", &[]).await.status, StatusCode::OK);
    let reply = browser.dc_answers(&asking, Protocol::Signed, &here, "adult", &[]).await;
    assert_eq!((reply.status, reply.code().as_str()), (StatusCode::CONFLICT, "already_answered"));
    assert_eq!(browser.dc_requests(&asking).await.code(), "already_answered");
}

#[tokio::test]
async fn row_13_an_answer_of_a_page_in_clear_is_refused() {
    let shop = TestShop::new();
    let mut browser = browser(&shop);
    let (asking, request) = asked(&mut browser, Protocol::Signed).await;
    let reply = browser.dc_answers(&asking, Protocol::Signed, &request, "adult", &[Fault::PlainAnswer]).await;
    assert_eq!(refused(&mut browser, &asking, &reply).await, "response_unencrypted");
    for (data, code) in [
        (json!({ "response": "x", "vp_token": {} }), "response_mixed_parameters"),
        (json!({ "response": "x", "error": "access_denied" }), "response_mixed_parameters"),
        (json!({}), "response_missing"),
        (json!("text"), "response_missing"),
    ] {
        let reply = browser.dc_brings(&asking, "openid4vp-v1-signed", &data).await;
        assert_eq!(refused(&mut browser, &asking, &reply).await, code, "{data}");
    }
}

#[tokio::test]
async fn each_fault_of_a_wallet_behind_a_browser_is_refused_for_what_it_is() {
    let shop = TestShop::new();
    for (fault, code) in [
        (Fault::WrongNonce, "key_binding_nonce"),
        (Fault::HolderProofInPast, "key_binding_too_old"),
        (Fault::ForeignHolderKey, "key_binding_jwt"),
        (Fault::NoHolderProof, "key_binding_missing"),
        (Fault::IssuerSignatureBroken, "sd_jwt_issuer_jwt"),
        (Fault::MissingClaim, "claim_sets_unsatisfied"),
        (Fault::UnknownQueryId, "credential_not_asked"),
        (Fault::TwoPresentations, "credential_not_multiple"),
        (Fault::DuplicateMember, "malformed_json"),
        (Fault::ForeignEncryptionKey, "jose_decryption"),
        (Fault::CompressedEncryption, "jose_extension"),
        (Fault::WrongContentEncryption, "jose_unsupported_algorithm"),
    ] {
        let mut browser = browser(&shop);
        let (asking, request) = asked(&mut browser, Protocol::Signed).await;
        let reply = browser.dc_answers(&asking, Protocol::Signed, &request, "adult", &[fault]).await;
        assert_eq!(refused(&mut browser, &asking, &reply).await, code, "{fault:?}");
    }
    let mut browser = browser(&shop);
    let (asking, request) = asked(&mut browser, Protocol::Signed).await;
    let reply = browser.dc_answers(&asking, Protocol::Signed, &request, "adult", &[Fault::OversizeBody]).await;
    assert_eq!(reply.status, StatusCode::PAYLOAD_TOO_LARGE);
}

#[tokio::test]
async fn row_04_another_browser_neither_gets_the_requests_nor_brings_an_answer() {
    let shop = TestShop::new();
    let mut first = browser(&shop);
    let mut other = first.another();
    let (asking, request) = asked(&mut first, Protocol::Signed).await;
    for reply in
        [other.dc_requests(&asking).await, other.dc_answers(&asking, Protocol::Signed, &request, "adult", &[]).await]
    {
        assert_eq!((reply.status, reply.code().as_str()), (StatusCode::NOT_FOUND, "no_such_presentation"));
    }
    // Without any proof it is nobody.
    for path in ["dc", "dc/response"] {
        let path = format!("/wallet/presentations/{}/{path}", asking.id);
        let headers = [("content-type", "application/json")];
        assert_eq!(first.clone().plain(&Method::POST, &path, &headers, b"{}").await.status, StatusCode::UNAUTHORIZED);
    }
    // The code is the asking browser's alone, like the answer.
    let reply = first.dc_answers(&asking, Protocol::Signed, &request, "adult", &[]).await;
    let redemption = redemption(&asking, &reply);
    let stolen = other.redeem(&redemption).await;
    assert_eq!((stolen.status, stolen.code().as_str()), (StatusCode::FORBIDDEN, "other_browser"));
    let bare = first.redeem(&json!({ "presentation": asking.id })).await;
    assert_eq!((bare.status, bare.code().as_str()), (StatusCode::FORBIDDEN, "wrong_response_code"));
    assert_eq!(first.redeem(&redemption).await.status, StatusCode::OK);
}

#[tokio::test]
async fn row_01_an_answer_that_a_page_has_brought_is_not_brought_again() {
    let shop = TestShop::new();
    let mut browser = browser(&shop);
    let (asking, request) = asked(&mut browser, Protocol::Signed).await;
    let wallet = &shop.persona("adult").wallet;
    let data = wallet.answer_by_browser(&request, &wallet.choose(&request).unwrap(), &[], shop.clock()).unwrap();
    let path = format!("/wallet/presentations/{}/dc/response", asking.id);
    let body = json!({ "protocol": "openid4vp-v1-signed", "data": data }).to_string();
    // The same proof twice, with an answer that is refused: it is worth one look.
    let wrong = json!({ "protocol": "openid4vp-v1-signed", "data": {} }).to_string();
    let claims = browser.claims(&Method::POST, &path, Some(wrong.as_bytes()));
    let proof = browser.sign(&claims);
    let send = async |browser: &mut Browser, proof: &str, body: &str| {
        let headers = [("dpop", proof), ("content-type", "application/json")];
        browser.plain(&Method::POST, &path, &headers, body.as_bytes()).await
    };
    assert_eq!(send(&mut browser, &proof, &wrong).await.code(), "answer_refused");
    let replay = send(&mut browser, &proof, &wrong).await;
    assert_eq!((replay.status, replay.code().as_str()), (StatusCode::UNAUTHORIZED, "invalid_dpop_proof"));
    // A proof over another body.
    let claims = browser.claims(&Method::POST, &path, Some(wrong.as_bytes()));
    let proof = browser.sign(&claims);
    assert_eq!(send(&mut browser, &proof, &body).await.status, StatusCode::UNAUTHORIZED);
    // The answer counts once, and into its own question alone.
    let reply = browser.dc_brings(&asking, "openid4vp-v1-signed", &data).await;
    let redemption = redemption(&asking, &reply);
    assert_eq!(browser.dc_brings(&asking, "openid4vp-v1-signed", &data).await.code(), "already_answered");
    assert_eq!(browser.redeem(&redemption).await.status, StatusCode::OK);
    assert_eq!(browser.redeem(&redemption).await.code(), "already_redeemed");
    assert_eq!(browser.dc_brings(&asking, "openid4vp-v1-signed", &data).await.code(), "already_redeemed");
    let (next, _) = asked(&mut browser, Protocol::Signed).await;
    let reply = browser.dc_brings(&next, "openid4vp-v1-signed", &data).await;
    assert_eq!(refused(&mut browser, &next, &reply).await, "jose_decryption");
}

#[tokio::test]
async fn a_wallets_error_comes_by_a_promise_that_was_kept_and_is_a_decline() {
    let shop = TestShop::new();
    for protocol in Protocol::OPENID4VP {
        let mut browser = browser(&shop);
        let (asking, _) = asked(&mut browser, protocol).await;
        let error = json!({ "error": "access_denied", "error_description": "<b>no</b>" });
        let reply = browser.dc_brings(&asking, protocol.name(), &error).await;
        assert_eq!((reply.status, reply.json()), (StatusCode::OK, json!({ "state": "declined" })));
        assert_eq!(standing(&mut browser, &asking).await, ("declined".to_owned(), "access_denied".to_owned()));
        assert_eq!(browser.redeem(&json!({ "presentation": asking.id })).await.code(), "declined");
        assert_eq!(browser.dc_requests(&asking).await.code(), "declined");
    }
}

#[tokio::test]
async fn a_question_of_a_page_is_over_after_five_minutes_and_after_five_wrong_answers() {
    let shop = TestShop::new();
    let mut browser = browser(&shop);
    let (asking, request) = asked(&mut browser, Protocol::Signed).await;
    shop.advance_s(299);
    let unread = browser.ask("age", Device::SameDevice).await;
    shop.advance_s(2);
    let reply = browser.dc_answers(&asking, Protocol::Signed, &request, "adult", &[]).await;
    assert_eq!((reply.status, reply.code().as_str()), (StatusCode::GONE, "presentation_expired"));
    assert_eq!(browser.dc_requests(&asking).await.code(), "presentation_expired");
    // Nobody has read this one, so nobody can answer it.
    let reply = browser.dc_brings(&unread, "openid4vp-v1-signed", &json!({})).await;
    assert_eq!((reply.status, reply.code().as_str()), (StatusCode::CONFLICT, "not_delivered"));

    let (asking, request) = asked(&mut browser, Protocol::Signed).await;
    for _ in 0..5 {
        let reply = browser.dc_answers(&asking, Protocol::Signed, &request, "adult", &[Fault::WrongNonce]).await;
        assert_eq!(reply.code(), "answer_refused");
    }
    let reply = browser.dc_answers(&asking, Protocol::Signed, &request, "adult", &[]).await;
    assert_eq!((reply.status, reply.code().as_str()), (StatusCode::FORBIDDEN, "too_many_wrong_answers"));
}

#[tokio::test]
async fn a_question_for_a_code_is_not_one_for_the_browser() {
    let shop = TestShop::new();
    let mut browser = browser(&shop);
    let asking = browser.ask("age", Device::CrossDevice).await;
    for reply in
        [browser.dc_requests(&asking).await, browser.dc_brings(&asking, "openid4vp-v1-signed", &json!({})).await]
    {
        assert_eq!((reply.status, reply.code().as_str()), (StatusCode::FORBIDDEN, "across_devices"));
    }
    let (state, _) = standing(&mut browser, &asking).await;
    assert_eq!(state, "requested");
    // And what nobody asked by is not answered by.
    let asking = browser.ask("age", Device::SameDevice).await;
    browser.dc_requests(&asking).await;
    for protocol in ["", "openid4vp", "openid4vp-v1-multisigned", "OPENID4VP-V1-SIGNED"] {
        let reply = browser.dc_brings(&asking, protocol, &json!({})).await;
        assert_eq!((reply.status, reply.code().as_str()), (StatusCode::BAD_REQUEST, "invalid_request"), "{protocol}");
    }
    let unknown = format!("/wallet/presentations/{}/dc", base64url_encode(&[7; 32]));
    assert_eq!(browser.signed(Method::POST, &unknown, None).await.code(), "no_such_presentation");
    assert_eq!(browser.signed(Method::POST, "/wallet/presentations/x/dc", None).await.status, StatusCode::NOT_FOUND);
}
