//! One ask, answered with an mdoc: the modules of the OpenID Foundation's verifier plan for OpenID4VP 1.0 and HAIP
//! (`iso_mdl`) under their names, and everything that can be wrong with an mdoc. What is bent is refused at once and for
//! its own reason.

use firsthand::{
    Ask, Device,
    ask::{Wanted, documents::MDL_NAMESPACE},
    env::Env,
    protocol::{
        jose::{Algorithm, SigningKey},
        mdoc::MDL,
        openid4vp::ResponseMode,
        status_list::{Published, cwt},
    },
    store::Memory,
    testing::{
        authority::{Authority, Leaf, new_signing_key},
        mdoc::{Credential, Fault, Held, Issuer, full_date},
        wallet::{Link, Request},
    },
    time::UnixTime,
    trust::Trust,
};
use firsthand_axum::testing::{Asking, Browser, Reply, TestShop, response_code};
use http::{Method, StatusCode};
use serde_json::json;
use url::Url;

use crate::probe::{self, FORM, browser, delivered, form, refused, shapes, standing};

const SHOWN: [(&str, &str); 2] = [(MDL_NAMESPACE, "family_name"), (MDL_NAMESPACE, "driving_privileges")];
const LIST: &str = "https://status.example/lists/3";

/// An issuing authority, a document signer below it, and a shop that believes them for driving licences.
struct Stage {
    shop: TestShop,
    iaca: Authority,
    issuer: Issuer,
    now: UnixTime,
}

impl Stage {
    fn new() -> Self {
        Self::of(ResponseMode::DirectPostJwt, firsthand::merchant::ClientIdPrefix::X509Hash)
    }

    fn of(mode: ResponseMode, prefix: firsthand::merchant::ClientIdPrefix) -> Self {
        let now = TestShop::new().clock().now();
        let iaca = Authority::new("Utopia IACA", now);
        let trust = Trust::new().roots(&iaca.root_pem(), &[MDL]).unwrap();
        let licence = Wanted::mdoc(MDL, MDL_NAMESPACE).claim(["family_name"]).claim(["driving_privileges"]);
        let ask = Ask::new("licence", "To rent a car").credential("mdl", licence);
        let shop = TestShop::with(|builder| {
            builder.store(Memory::new()).trust(trust).response_mode(mode).client_id_prefix(prefix).ask(&ask)
        });
        Self { issuer: Issuer::below(&iaca, now), shop, iaca, now }
    }

    fn credential(&self) -> Credential {
        Credential::new(MDL, self.now.minus_s(1000))
            .says(MDL_NAMESPACE, "family_name", "Adler")
            .says(MDL_NAMESPACE, "birth_date", full_date("1984-05-17"))
            .says(MDL_NAMESPACE, "driving_privileges", true)
    }

    fn held(&self, credential: &Credential) -> Held {
        let holder = SigningKey::from_p256_scalar(&[9; 32]).unwrap();
        self.issuer.issue(credential, holder, self.shop.clock()).unwrap()
    }

    /// A shop's customer who has been asked.
    async fn asked(&self) -> (Browser, Asking, Request) {
        let mut browser = browser(&self.shop);
        let (asking, request) = delivered(&mut browser, "licence").await;
        (browser, asking, request)
    }

    async fn answer(&self, browser: &mut Browser, request: &Request, held: &Held, faults: &[Fault]) -> Reply {
        let presented = held.present(request, &SHOWN, faults, self.shop.clock()).unwrap();
        browser.wallet_posts(request, &form(request, &json!({ "mdl": [presented] }))).await
    }

    /// Why a document is refused although its device does everything right.
    async fn why(&self, held: &Held, faults: &[Fault]) -> String {
        let (mut browser, asking, request) = self.asked().await;
        let reply = self.answer(&mut browser, &request, held, faults).await;
        refused(&mut browser, &asking, &reply).await
    }

    async fn accepts(&self, held: &Held) {
        let (mut browser, _, request) = self.asked().await;
        let reply = self.answer(&mut browser, &request, held, &[]).await;
        assert_eq!(reply.status, StatusCode::OK, "{}", reply.text());
    }
}

#[tokio::test]
async fn happy_flow() {
    for (prefix, mode) in shapes() {
        let stage = Stage::of(mode, prefix);
        let (mut browser, asking, request) = stage.asked().await;
        let query = &request.query.credentials[0];
        assert_eq!(query.format, "mso_mdoc");
        let answer = stage.answer(&mut browser, &request, &stage.held(&stage.credential()), &[]).await;
        assert_eq!(answer.status, StatusCode::OK, "{}", answer.text());
        let body = json!({ "presentation": asking.id, "response_code": response_code(&answer) });
        let redeemed = browser.redeem(&body).await;
        assert_eq!(redeemed.status, StatusCode::OK, "{}", redeemed.text());
        assert_eq!(standing(&mut browser, &asking).await.0, "redeemed");
    }
}

#[tokio::test]
async fn a_request_says_which_algorithms_are_read() {
    let stage = Stage::new();
    let mut browser = browser(&stage.shop);
    let asking = browser.ask("licence", Device::SameDevice).await;
    let link = Link::parse(&asking.wallet_uri).unwrap();
    let object = probe::plain(&browser, Method::GET, link.request_uri.path(), FORM, b"").await.text();
    let claims = firsthand::protocol::jose::base64url_decode(object.split('.').nth(1).unwrap()).unwrap();
    let claims: serde_json::Value = serde_json::from_slice(&claims).unwrap();
    let formats = &claims["client_metadata"]["vp_formats_supported"];
    for values in ["issuerauth_alg_values", "deviceauth_alg_values"] {
        let values = formats["mso_mdoc"][values].as_array().unwrap();
        // HAIP 1.0, 7: both numbers of ES256.
        assert!(values.contains(&json!(-7)) && values.contains(&json!(-9)));
        // No key is offered for a tag.
        assert!(!values.contains(&json!(-65537)));
    }
    assert_eq!(claims["dcql_query"]["credentials"][0]["meta"], json!({ "doctype_value": MDL }));
}

#[tokio::test]
async fn request_uri_method_post_and_request_uri_fetched_twice() {
    for (prefix, mode) in shapes() {
        let stage = Stage::of(mode, prefix);
        let mut browser = browser(&stage.shop);
        let asking = browser.ask("licence", Device::SameDevice).await;
        let path = Url::parse(&asking.request_uri).unwrap().path().to_owned();
        let first = probe::plain(&browser, Method::GET, &path, FORM, b"").await;
        assert_eq!(first.status, StatusCode::OK);
        stage.shop.advance_s(60);
        // The nonce of a wallet that posts is checked where the request is read.
        let request = browser.wallet_reads(&asking).await;
        let reply = stage.answer(&mut browser, &request, &stage.held(&stage.credential()), &[]).await;
        assert_eq!(reply.status, StatusCode::OK, "{}", reply.text());
    }
}

/// Issuers and devices on every curve that is read, each with a twin that does one thing wrong.
#[tokio::test]
async fn every_curve_signs_for_issuers_and_for_devices() {
    let stage = Stage::new();
    let curves = [Algorithm::Es256, Algorithm::Es384, Algorithm::Es512, Algorithm::EdDsa];
    let signer = |algorithm| {
        let key = new_signing_key(algorithm);
        let leaf = Leaf::new("A document signer", stage.now).signs_documents();
        let chain = stage.iaca.certify(&leaf, key.public_key());
        Issuer::new(key, chain)
    };
    for (of_issuer, of_device) in curves.into_iter().flat_map(|one| curves.map(|other| (one, other))) {
        let (issuer, device) = (signer(of_issuer), new_signing_key(of_device));
        let held = issuer.issue(&stage.credential(), device, stage.shop.clock()).unwrap();
        let (mut browser, asking, request) = stage.asked().await;
        for (fault, reason) in [
            (Fault::IssuerSignatureBroken, "mdoc_issuer_auth"),
            (Fault::DeviceSignatureBroken, "mdoc_device_auth"),
            (Fault::ForeignDeviceKey, "mdoc_device_auth"),
        ] {
            let reply = stage.answer(&mut browser, &request, &held, &[fault]).await;
            assert_eq!(refused(&mut browser, &asking, &reply).await, reason, "{of_issuer} {of_device} {fault:?}");
        }
        let reply = stage.answer(&mut browser, &request, &held, &[]).await;
        assert_eq!(reply.status, StatusCode::OK, "{of_issuer} {of_device}: {}", reply.text());
        // The certificate is for one key, and another one on the same curve signed.
        let leaf = Leaf::new("A document signer", stage.now).signs_documents();
        let chain = stage.iaca.certify(&leaf, new_signing_key(of_issuer).public_key());
        let thief = Issuer::new(new_signing_key(of_issuer), chain);
        let forged = thief.issue(&stage.credential(), new_signing_key(of_device), stage.shop.clock()).unwrap();
        assert_eq!(stage.why(&forged, &[]).await, "mdoc_issuer_auth", "{of_issuer} {of_device}");
    }
}

/// One thing wrong: refused at once with 4xx, for this reason, and the right answer still holds.
async fn negative(fault: Fault, reason: &str) {
    for (prefix, mode) in shapes() {
        let stage = Stage::of(mode, prefix);
        let held = stage.held(&stage.credential());
        let (mut browser, asking, request) = stage.asked().await;
        let reply = stage.answer(&mut browser, &request, &held, &[fault]).await;
        assert_eq!(refused(&mut browser, &asking, &reply).await, reason, "{fault:?} {mode:?}");
        let right = stage.answer(&mut browser, &request, &held, &[]).await;
        assert_eq!(right.status, StatusCode::OK, "the same answer without the fault: {}", right.text());
    }
}

#[tokio::test]
async fn invalid_session_transcript() {
    negative(Fault::WrongNonce, "mdoc_device_auth").await;
}

#[tokio::test]
async fn row_70_the_session_of_another_request_is_refused() {
    for fault in [
        Fault::WrongAudience,
        Fault::AudienceWithoutPrefix,
        Fault::WrongResponseUri,
        Fault::WrongThumbprint,
        Fault::DcApiSession,
    ] {
        negative(fault, "mdoc_device_auth").await;
    }
}

#[tokio::test]
async fn row_69_a_device_that_proves_nothing_is_refused() {
    for (fault, reason) in [
        (Fault::NoDeviceAuth, "mdoc_no_device_auth"),
        (Fault::ForeignDeviceKey, "mdoc_device_auth"),
        (Fault::DeviceSignatureBroken, "mdoc_device_auth"),
    ] {
        negative(fault, reason).await;
    }
}

#[tokio::test]
async fn row_71_what_the_issuer_did_not_sign_is_refused() {
    negative(Fault::ValueChanged, "mdoc_digest").await;
    negative(Fault::IssuerSignatureBroken, "mdoc_issuer_auth").await;
}

#[tokio::test]
async fn row_72_another_document_than_was_asked_for_is_refused() {
    negative(Fault::OtherDocType, "mdoc_doc_type").await;
    let stage = Stage::new();
    let mut other = stage.credential();
    other.doc_type = "org.example.library".to_owned();
    let reason = stage.why(&stage.held(&other), &[]).await;
    assert!(reason.starts_with("credential_") || reason.starts_with("dcql_"), "{reason}");
}

#[tokio::test]
async fn row_73_a_signer_that_nobody_vouches_for_is_refused() {
    let stage = Stage::new();
    let nobody = Authority::new("Utopia IACA", stage.now);
    let (key, chain) = stage.iaca.issue(&Leaf::new("A web server", stage.now));
    let ended = Leaf::new("Signer", stage.now).signs_documents().valid(stage.now.minus_s(9000), stage.now.minus_s(1));
    let (ended_key, ended_chain) = stage.iaca.issue(&ended);
    for (issuer, reason) in [
        (Issuer::below(&nobody, stage.now), "certificate_key_identifier"),
        (Issuer::new(key, chain), "mdoc_signer_purpose"),
        (Issuer::new(ended_key, ended_chain), "certificate_expired"),
    ] {
        let holder = SigningKey::from_p256_scalar(&[9; 32]).unwrap();
        let held = issuer.issue(&stage.credential(), holder, stage.shop.clock()).unwrap();
        assert_eq!(stage.why(&held, &[]).await, reason);
    }
}

#[tokio::test]
async fn row_74_what_a_device_says_of_itself_needs_leave_and_is_nobodys_word() {
    negative(Fault::DeviceElement, "mdoc_not_authorised").await;
    let stage = Stage::new();
    let mut allowed = stage.credential();
    allowed.authorised = vec!["org.example.device".to_owned()];
    let (mut browser, _, request) = stage.asked().await;
    let held = stage.held(&allowed);
    let reply = stage.answer(&mut browser, &request, &held, &[Fault::DeviceElement]).await;
    assert_eq!(reply.status, StatusCode::OK, "{}", reply.text());
}

#[tokio::test]
async fn row_75_a_document_out_of_its_time_is_refused() {
    const DAY_S: u64 = 24 * 3600;
    let stage = Stage::new();
    let now = stage.now;
    let times = |signed: UnixTime, from: UnixTime, until: UnixTime| {
        let mut credential = stage.credential();
        (credential.signed, credential.valid_from, credential.valid_until) = (signed, from, until);
        credential
    };
    for (credential, reason) in [
        (times(now.minus_s(DAY_S), now.minus_s(DAY_S), now.minus_s(61)), "credential_expired"),
        (times(now.minus_s(DAY_S), now.plus_s(61), now.plus_s(DAY_S)), "credential_not_yet_valid"),
        (times(now.minus_s(2 * DAY_S), now.minus_s(DAY_S), now.plus_s(DAY_S)), "mdoc_signed_outside"),
        (times(now, now.minus_s(1), now.plus_s(DAY_S)), "mdoc_validity"),
    ] {
        assert_eq!(stage.why(&stage.held(&credential), &[]).await, reason);
    }
    stage.accepts(&stage.held(&times(now.minus_s(100), now.plus_s(59), now.plus_s(DAY_S)))).await;
}

#[tokio::test]
async fn row_77_an_element_is_there_once() {
    negative(Fault::ElementTwice, "mdoc_element_twice").await;
}

#[tokio::test]
async fn row_78_cbor_bombs_are_refused_at_once() {
    for (fault, reason) in
        [(Fault::TooDeep, "malformed_cbor"), (Fault::LengthBomb, "malformed_cbor"), (Fault::Trailing, "malformed_cbor")]
    {
        negative(fault, reason).await;
    }
    let stage = Stage::new();
    let (mut browser, _, request) = stage.asked().await;
    let reply = stage.answer(&mut browser, &request, &stage.held(&stage.credential()), &[Fault::Oversize]).await;
    assert_eq!(reply.status, StatusCode::PAYLOAD_TOO_LARGE, "{}", reply.text());
}

#[tokio::test]
async fn row_79_a_tag_for_a_key_that_was_not_offered_is_refused() {
    negative(Fault::DeviceMac, "mdoc_no_reader_key").await;
}

#[tokio::test]
async fn a_response_has_one_document_and_went_well() {
    negative(Fault::TwoDocuments, "mdoc_documents").await;
    negative(Fault::StatusNotOk, "mdoc_status").await;
}

#[tokio::test]
async fn what_was_asked_for_and_is_not_shown_is_missed() {
    let stage = Stage::new();
    let reason = stage.why(&stage.held(&stage.credential()), &[Fault::MissingElement]).await;
    assert_eq!(reason, "claim_missing");
}

#[tokio::test]
async fn a_revoked_document_is_refused_by_either_list() {
    let stage = Stage::new();
    let url = Url::parse(LIST).unwrap();
    let published = Published { at: stage.now, expires_at: stage.now.plus_s(600), ttl_s: 300 };
    let by_index = |index| stage.held(&stage.credential().status_index(LIST, index));
    let by_id = |id: &[u8]| stage.held(&stage.credential().status_id(LIST, id));

    let list = stage.issuer.status_list_token(LIST, &published, &[8]).unwrap();
    stage.shop.network().serve(&url, cwt::MEDIA_TYPE, list);
    stage.accepts(&by_index(7)).await;
    assert_eq!(stage.why(&by_index(8), &[]).await, "credential_revoked");

    let list = stage.issuer.identifier_list_token(LIST, &published, &[b"revoked"]).unwrap();
    stage.shop.network().serve(&url, cwt::IDENTIFIER_LIST_MEDIA_TYPE, list);
    stage.accepts(&by_id(b"another")).await;
    assert_eq!(stage.why(&by_id(b"revoked"), &[]).await, "credential_revoked");
}

#[tokio::test]
async fn a_document_whose_list_nobody_serves_is_not_valid() {
    let stage = Stage::new();
    let held = stage.held(&stage.credential().status_index(LIST, 7));
    assert_eq!(stage.why(&held, &[]).await, "status_unknown");
}

#[tokio::test]
async fn a_list_by_another_or_of_another_kind_says_nothing() {
    let url = Url::parse(LIST).unwrap();
    for wrong in 0..4 {
        let stage = Stage::new();
        let published = Published { at: stage.now, expires_at: stage.now.plus_s(600), ttl_s: 300 };
        let held = stage.held(&stage.credential().status_id(LIST, b"mine"));
        let stranger = Issuer::below(&Authority::new("Utopia IACA", stage.now), stage.now);
        let old = Published { at: stage.now.minus_s(900), expires_at: stage.now.minus_s(1), ttl_s: 300 };
        let list = match wrong {
            0 => stranger.identifier_list_token(LIST, &published, &[]),
            1 => stage.issuer.status_list_token(LIST, &published, &[]),
            2 => stage.issuer.identifier_list_token("https://status.example/lists/4", &published, &[]),
            _ => stage.issuer.identifier_list_token(LIST, &old, &[]),
        };
        stage.shop.network().serve(&url, cwt::IDENTIFIER_LIST_MEDIA_TYPE, list.unwrap());
        assert_eq!(stage.why(&held, &[]).await, "status_unknown", "{wrong}");
    }
}
