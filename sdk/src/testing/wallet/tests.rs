//! What an honest wallet shows is accepted, and each fault is refused for what it is.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::atomic::{AtomicU64, Ordering},
};

use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer as Authority, KeyPair, KeyUsagePurpose};
use serde_json::{Map, json};

use super::*;
use crate::{
    format::{Against, Channel, Format, IssuerRef, sd_jwt_vc::SdJwtVc},
    limits::Limits,
    protocol::{
        dcql::{Candidate, Query, SD_JWT_VC},
        jose::{ContentEncryption, DecryptionKey, PublicKey, SigningKey},
        openid4vp::{
            Answer, ClientId, RequestObject, ResponseContext, ResponseMode, TransactionData, read_response, wallet_link,
        },
        status_list::{Status, StatusList},
        status_ref::StatusRef,
        x509::Certificate,
    },
    testing::issuer::{Credential, Issuer},
    time::UnixTime,
};

const NOW: UnixTime = UnixTime::from_secs(1_795_000_000);
const NONCE: &str = "a-nonce-of-enough-characters-for-128-bits";
const STATE: &str = "a-state-of-enough-characters-for-128-bits";

/// The time stands still, and the random bytes count.
#[derive(Debug, Default)]
struct Counting(AtomicU64);

impl Env for Counting {
    fn now(&self) -> UnixTime {
        NOW
    }

    fn fill(&self, bytes: &mut [u8]) {
        let count = self.0.fetch_add(1, Ordering::Relaxed).to_be_bytes();
        for (byte, count) in bytes.iter_mut().zip(count.iter().cycle()) {
            *byte = *count;
        }
    }
}

fn key(scalar: u8) -> SigningKey {
    SigningKey::from_p256_scalar(&[scalar; 32]).unwrap()
}

/// A key with a certificate for `shop.example` below a root of its own.
fn certified() -> (SigningKey, Vec<u8>, Certificate) {
    let mut root = CertificateParams::default();
    root.distinguished_name.push(DnType::CommonName, "Root");
    root.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    root.key_usages = vec![KeyUsagePurpose::KeyCertSign];
    let root_key = KeyPair::generate().unwrap();
    let anchor = root.self_signed(&root_key).unwrap();
    let authority = Authority::new(root, root_key);
    let mut leaf = CertificateParams::new(vec!["shop.example".to_owned()]).unwrap();
    leaf.distinguished_name.push(DnType::CommonName, "Shop");
    leaf.use_authority_key_identifier_extension = true;
    leaf.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    let leaf_key = KeyPair::generate().unwrap();
    let certificate = leaf.signed_by(&leaf_key, &authority).unwrap();
    let signer = SigningKey::from_pkcs8_der(&leaf_key.serialize_der()).unwrap();
    (signer, certificate.der().to_vec(), Certificate::from_der(anchor.der()).unwrap())
}

fn issuer() -> Issuer {
    let status = "https://issuer.example/status/1".parse().unwrap();
    Issuer::by_metadata(key(1), "https://issuer.example".parse().unwrap(), "k1", status)
}

fn pid(env: &dyn Env) -> String {
    let mut credential = Credential::new("urn:example:national:pid:1", NOW.minus_s(1000));
    credential.aka_vcts = vec!["urn:eudi:pid:1".to_owned()];
    credential.holder = Some(key(2).public_key().clone());
    credential.status_index = Some(7);
    credential.decoys = 2;
    credential.claims = json!({
        "given_name": "Łukasz",
        "age_equal_or_over": {"16": true, "18": true, "65": false},
        "address": {"locality": "Köln", "country": "DE"},
        "nationalities": ["DE", "PL"],
        "_sd": "an issuer's mistake",
    })
    .as_object()
    .unwrap()
    .clone();
    issuer().issue(&credential, env).unwrap()
}

fn wallet(env: &dyn Env) -> Wallet {
    let mut wallet = Wallet::new();
    wallet.hold(&pid(env), key(2)).unwrap();
    let mut other = Credential::new("urn:example:library-card", NOW);
    other.holder = Some(key(2).public_key().clone());
    other.claims.insert("number".to_owned(), json!("1"));
    wallet.hold(&issuer().issue(&other, env).unwrap(), key(2)).unwrap();
    wallet
}

fn query(claims: Value) -> Query {
    let json = json!({"credentials": [{
        "id": "pid", "format": "dc+sd-jwt", "meta": {"vct_values": ["urn:eudi:pid:1"]}, "claims": claims,
    }]});
    Query::parse(&json, &Limits::default()).unwrap()
}

fn age() -> Query {
    query(json!([{"path": ["age_equal_or_over", "18"]}]))
}

fn request(query: Query, mode: ResponseMode, transaction_data: Vec<String>) -> Request {
    Request {
        client_id: "x509_san_dns:shop.example".to_owned(),
        client_name: None,
        response_uri: "https://shop.example/wallet/responses/1".parse().unwrap(),
        response_mode: mode,
        nonce: NONCE.to_owned(),
        state: Some(STATE.to_owned()),
        query,
        transaction_data,
        encryption: match mode {
            ResponseMode::DirectPost => None,
            ResponseMode::DirectPostJwt => Some((recipient().public_jwk(), ContentEncryption::A256Gcm)),
        },
        origin: None,
        verifier_info: Vec::new(),
    }
}

fn recipient() -> DecryptionKey {
    DecryptionKey::from_scalar(&[9; 32], "enc-1").unwrap()
}

/// The verifier's whole check of an answer to `request`: the disclosed claims of its one presentation.
fn check(request: &Request, form: &str) -> Result<Value, String> {
    let limits = Limits::default();
    let recipient = recipient();
    let context = ResponseContext {
        mode: request.response_mode,
        state: STATE,
        key: Some(&recipient),
        accepted: &[ContentEncryption::A128Gcm, ContentEncryption::A256Gcm],
        query: &request.query,
        limits: &limits,
    };
    let answer = read_response(form.as_bytes(), &context).map_err(|error| error.code().to_owned())?;
    let Answer::Presentations(presentations) = answer else { return Err(format!("{answer:?}")) };
    let presented = &presentations[0].1[0];
    let unverified = SdJwtVc::new().parse(presented, &limits).map_err(|error| error.code().to_owned())?;
    assert!(matches!(unverified.issuer(), IssuerRef::Metadata { iss: "https://issuer.example", kid: Some("k1") }));
    let authentic = unverified
        .verify(&Against {
            issuer_key: &PublicKey::from_jwk(&issuer().metadata().unwrap()["jwks"]["keys"][0]).unwrap(),
            channel: Channel::Redirect {
                client_id: &request.client_id,
                response_uri: "https://shop.example/wallet/responses/1",
            },
            encryption_key: None,
            nonce: NONCE,
            transaction_data: &request.transaction_data,
            holder_binding: true,
            now: NOW,
            holder_proof_age_s: 300,
            skew_s: 60,
            limits: &limits,
        })
        .map_err(|error| error.code().to_owned())?;
    let candidate = Candidate {
        format: SD_JWT_VC,
        types: authentic.types(),
        holder_bound: authentic.holder_bound(),
        claims: authentic.claims(),
        authority_key_ids: &[],
    };
    request.query.credentials[0].select(&candidate).map_err(|error| error.code().to_owned())?;
    Ok(authentic.claims().clone())
}

fn answered(query: Query, mode: ResponseMode, faults: &[Fault]) -> Result<Value, String> {
    let env = Counting::default();
    let request = request(query, mode, Vec::new());
    let wallet = wallet(&env);
    let choice = wallet.choose(&request).unwrap();
    check(&request, &wallet.answer(&request, &choice, faults, &env).unwrap())
}

#[test]
fn shows_what_was_asked_and_nothing_besides() {
    for mode in [ResponseMode::DirectPost, ResponseMode::DirectPostJwt] {
        assert_eq!(answered(age(), mode, &[]), Ok(json!({"age_equal_or_over": {"18": true}})));
    }
    let show = |claims| answered(query(claims), ResponseMode::DirectPost, &[]).unwrap();
    let address = json!({"locality": "Köln", "country": "DE"});
    assert_eq!(show(json!([{"path": ["address"]}])), json!({ "address": address }));
    assert_eq!(show(json!([{"path": ["nationalities", null]}])), json!({"nationalities": ["DE", "PL"]}));
    assert_eq!(show(json!([{"path": ["nationalities", 0]}])), json!({"nationalities": ["DE"]}));
}

#[test]
fn takes_the_first_claim_set_that_it_can_show() {
    let json = json!({"credentials": [{
        "id": "pid", "format": "dc+sd-jwt", "meta": {"vct_values": ["urn:eudi:pid:1"]},
        "claims": [{"id": "a", "path": ["age_over_18"]}, {"id": "b", "path": ["given_name"]}],
        "claim_sets": [["a"], ["b"]],
    }]});
    let query = Query::parse(&json, &Limits::default()).unwrap();
    assert_eq!(answered(query, ResponseMode::DirectPost, &[]), Ok(json!({"given_name": "Łukasz"})));

    let env = Counting::default();
    let missing = request(self::query(json!([{"path": ["portrait"]}])), ResponseMode::DirectPost, Vec::new());
    assert!(matches!(wallet(&env).choose(&missing), Err(WalletError::Unanswerable)));
}

#[test]
fn each_fault_is_refused_for_what_it_is() {
    let refusals = [
        (Fault::WrongNonce, "key_binding_nonce"),
        (Fault::WrongAudience, "key_binding_audience"),
        (Fault::AudienceWithoutPrefix, "key_binding_audience"),
        (Fault::HolderProofInPast, "key_binding_too_old"),
        (Fault::HolderProofInFuture, "key_binding_in_future"),
        (Fault::HolderSignatureBroken, "key_binding_jwt"),
        (Fault::ForeignHolderKey, "key_binding_jwt"),
        (Fault::WrongSdHash, "key_binding_sd_hash"),
        (Fault::NoHolderProof, "key_binding_missing"),
        (Fault::TransactionDataExtra, "transaction_data_unasked"),
        (Fault::IssuerSignatureBroken, "sd_jwt_issuer_jwt"),
        (Fault::UnreferencedDisclosure, "sd_jwt_unreferenced_disclosure"),
        (Fault::DuplicateDisclosure, "sd_jwt_duplicate_disclosure"),
        (Fault::DisclosureNamedSd, "sd_jwt_reserved_name"),
        (Fault::DisclosureAddedAfterProof, "sd_jwt_unreferenced_disclosure"),
        (Fault::MissingClaim, "claim_missing"),
        (Fault::WrongType, "credential_type_mismatch"),
    ];
    let envelopes = [
        (Fault::UnknownQueryId, "credential_not_asked"),
        (Fault::PresentationOutsideArray, "vp_token_not_an_array"),
        (Fault::TwoPresentations, "credential_not_multiple"),
        (Fault::VpTokenIsString, "vp_token_not_an_object"),
        (Fault::DuplicateMember, "malformed_json"),
        (Fault::DeepJson, "malformed_json"),
        (Fault::WrongState, "state_mismatch"),
        (Fault::NoState, "state_missing"),
        (Fault::OversizeBody, "form_too_long"),
    ];
    for (fault, code) in refusals.into_iter().chain(envelopes) {
        for mode in [ResponseMode::DirectPost, ResponseMode::DirectPostJwt] {
            assert_eq!(answered(age(), mode, &[fault]), Err(code.to_owned()), "{fault:?}");
        }
    }
    let encryption = [
        (Fault::PlainAnswer, "response_unencrypted"),
        (Fault::ForeignEncryptionKey, "jose_decryption"),
        (Fault::CompressedEncryption, "jose_extension"),
        (Fault::WrongContentEncryption, "jose_unsupported_algorithm"),
    ];
    for (fault, code) in encryption {
        assert_eq!(answered(age(), ResponseMode::DirectPostJwt, &[fault]), Err(code.to_owned()), "{fault:?}");
    }
}

#[test]
fn signs_the_transaction_data_that_names_its_credential() {
    let env = Counting::default();
    let (query, wallet) = (age(), wallet(&env));
    let data =
        |alg: Option<&[&str]>| String::from(TransactionData::new("pay", &["pid"], alg, Map::new(), &query).unwrap());
    for alg in [None, Some(["sha-512"].as_slice())] {
        let request = request(query.clone(), ResponseMode::DirectPostJwt, vec![data(alg)]);
        let choice = wallet.choose(&request).unwrap();
        let with = |faults: &[Fault]| check(&request, &wallet.answer(&request, &choice, faults, &env).unwrap());
        assert!(with(&[]).is_ok(), "{alg:?}");
        assert_eq!(with(&[Fault::TransactionDataMissing]), Err("transaction_data_missing".to_owned()));
        assert_eq!(with(&[Fault::TransactionDataExtra]), Err("transaction_data_mismatch".to_owned()));
    }
}

#[test]
fn reads_a_request_only_if_it_holds() {
    let (signer, leaf, anchor) = certified();
    let limits = Limits::default();
    let (client_id, query, jwk) = (ClientId::x509_hash(&leaf), age(), recipient().public_jwk());
    let response_uri = "https://shop.example/wallet/responses/1".parse().unwrap();
    let claims = RequestObject {
        client_id: &client_id,
        response_uri: &response_uri,
        response_mode: ResponseMode::DirectPostJwt,
        nonce: NONCE,
        state: STATE,
        query: &query,
        formats: &BTreeMap::new(),
        transaction_data: &[],
        encryption_jwk: Some(&jwk),
        encryption_enc: &[ContentEncryption::A128Gcm, ContentEncryption::A256Gcm],
        wallet_nonce: Some("w"),
        verifier_info: &[],
        client_name: None,
        iat: NOW,
        exp: NOW.plus_s(300),
    }
    .claims();
    let uri = "https://shop.example/wallet/requests/1".parse().unwrap();
    let link = Link::parse(&wallet_link("openid4vp://", &client_id, &uri, true).unwrap()).unwrap();
    assert_eq!(link, Link { client_id: client_id.as_str().to_owned(), request_uri: uri, post: true });

    let sign = |key: &SigningKey, claims: &Value| {
        let x5c = base64::Engine::encode(&base64::prelude::BASE64_STANDARD, &leaf);
        let header = json!({"typ": RequestObject::TYP, "x5c": [x5c]});
        key.sign_jws(header.as_object().unwrap(), claims).unwrap()
    };
    let today = UnixTime::from_secs(1_795_000_000);
    let read =
        |object: &str, anchors: &[&Certificate]| Request::read(&link, object, Some("w"), anchors, today, &limits);
    let request = read(&sign(&signer, &claims), &[&anchor]).unwrap();
    assert_eq!(request.nonce, NONCE);
    assert_eq!(request.encryption, Some((jwk.clone(), ContentEncryption::A128Gcm)));
    assert_eq!(request.error("access_denied"), format!("error=access_denied&state={STATE}"));

    assert!(read(&sign(&key(3), &claims), &[&anchor]).is_err(), "another key");
    assert!(read(&sign(&signer, &claims), &[&certified().2]).is_err(), "another anchor");
    for (member, value) in [
        ("client_id", json!("x509_san_dns:another.example")),
        ("aud", json!("https://wallet.example")),
        ("wallet_nonce", json!("v")),
        ("nonce", json!("short")),
        ("redirect_uri", json!("https://shop.example")),
        ("response_mode", json!("fragment")),
        ("exp", json!(NOW)),
        ("dcql_query", json!({})),
        ("client_metadata", json!({"vp_formats_supported": {}})),
    ] {
        let mut claims = claims.clone();
        claims[member] = value;
        assert!(read(&sign(&signer, &claims), &[&anchor]).is_err(), "{member}");
    }
}

#[test]
fn reads_where_the_verifier_sends_its_user() {
    assert_eq!(redirect_uri(b"{}").unwrap(), None);
    let sent = redirect_uri(br#"{"redirect_uri":"https://shop.example/r#response_code=1"}"#).unwrap();
    assert_eq!(sent.unwrap().fragment(), Some("response_code=1"));
    for wrong in [&b"[]"[..], br#"{"redirect_uri":1}"#, br#"{"redirect_uri":""}"#] {
        assert!(redirect_uri(wrong).is_err());
    }
}

#[test]
fn the_status_list_says_which_credentials_still_hold() {
    let issuer = issuer();
    let limits = Limits::default();
    let statuses = BTreeMap::from([(7, Status::Invalid), (8, Status::Suspended), (2000, Status::Invalid)]);
    let revoked = BTreeSet::from([7]);
    let list = |token: &str| {
        let token = StatusList::parse(token, &limits).unwrap();
        StatusList::verify(token, key(1).public_key(), issuer.status_uri(), NOW, &limits).unwrap()
    };
    let read = list(&issuer.status_list_token(NOW, 300, &revoked).unwrap());
    assert_eq!(read.status(7).unwrap(), Status::Invalid);
    assert_eq!(read.status(6).unwrap(), Status::Valid);
    assert!(read.status(1 << 20).is_err());
    let read = list(&issuer.statuses_token(NOW, 300, &statuses).unwrap());
    assert_eq!(read.status(8).unwrap(), Status::Suspended);
    assert_eq!(read.status(2000).unwrap(), Status::Invalid);
    assert_eq!(read.status(9).unwrap(), Status::Valid);

    let env = Counting::default();
    let (jwt, limits) = (pid(&env), Limits::default());
    let presented = json!(format!("{}~", jwt.split('~').next().unwrap()));
    let authentic = SdJwtVc::new().parse(&presented, &limits).unwrap().verify(&Against {
        issuer_key: key(1).public_key(),
        channel: Channel::Redirect {
            client_id: "x509_san_dns:shop.example",
            response_uri: "https://shop.example/wallet/responses/1",
        },
        encryption_key: None,
        nonce: NONCE,
        transaction_data: &[],
        holder_binding: false,
        now: NOW,
        holder_proof_age_s: 300,
        skew_s: 60,
        limits: &limits,
    });
    let uri = issuer.status_uri().clone();
    assert_eq!(authentic.unwrap().status(), Some(&StatusRef::TokenList { uri, index: 7 }));
}
