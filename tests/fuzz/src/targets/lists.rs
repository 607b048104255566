//! Lists that others publish: of statuses, of identifiers, of whom to trust.

use std::io::Read;

use firsthand::{
    limits::Limits,
    protocol::{
        cbor::encode,
        jose::{PublicKey, base64url_encode},
        status_list::{Status, StatusError, StatusList, cwt::IdentifierList},
        status_ref::StatusRef,
        trust_list::{Judge, lote, vical},
        x509::Certificate,
    },
};
use serde_json::{Map, Value, json};
use url::Url;

use super::{KEY, LIMITS, NOW, cbor::signed, choice, object, text, value};

fn uri() -> Url {
    "https://issuer.example/lists/7".parse().unwrap()
}

/// Small ones, so that a text that inflates to more is soon found.
fn small() -> Limits {
    let mut limits = LIMITS.clone();
    limits.status_list_bytes = 64 * 1024;
    limits
}

fn read(list: &[u8]) -> Result<StatusList, StatusError> {
    let key = |_: Option<&[Vec<u8>]>| Ok::<PublicKey, StatusError>(KEY.public_key().clone());
    StatusList::read(list, &uri(), NOW, &small(), key)
}

/// A list that was read has a status for each of its entries and for no other.
fn holds(list: &StatusList) {
    assert!(!list.is_empty() && list.bytes() <= small().status_list_bytes);
    assert!(list.status(0).is_ok() && list.status(list.len() - 1).is_ok());
    assert!(list.status(list.len()).is_err() && list.status(u64::MAX).is_err());
    assert!(list.fresh_until() > NOW);
}

/// What was fetched, as it came.
pub(super) fn status_token(data: &[u8]) {
    if let Ok(list) = read(data) {
        holds(&list);
    }
    let key = |_: Option<&[Vec<u8>]>| Ok::<PublicKey, StatusError>(KEY.public_key().clone());
    let _ = IdentifierList::read(data, &uri(), NOW, &small(), key);
}

/// The claims of a token that somebody signed.
pub(super) fn status_claims(data: &[u8]) {
    let Some(claims) = object(data) else { return };
    let header = Map::from_iter([("typ".to_owned(), json!("statuslist+jwt"))]);
    let token = KEY.sign_jws(&header, &Value::Object(claims)).expect("a signature");
    if let Ok(list) = read(token.as_bytes()) {
        holds(&list);
    }
}

/// The compressed entries of a list: each is what another reader finds in them, one by one.
pub(super) fn status_bits(data: &[u8]) {
    let (bits, packed) = choice(data);
    let bits = 1_u64 << (bits % 4);
    let claims = json!({
        "sub": uri(), "iat": NOW.as_secs(), "exp": NOW.plus_s(3600).as_secs(),
        "status_list": {"bits": bits, "lst": base64url_encode(packed)},
    });
    let header = Map::from_iter([("typ".to_owned(), json!("statuslist+jwt"))]);
    let token = KEY.sign_jws(&header, &claims).expect("a signature");
    let Ok(list) = read(token.as_bytes()) else { return };
    holds(&list);
    let mut inflated = Vec::new();
    flate2::read::ZlibDecoder::new(packed).read_to_end(&mut inflated).expect("another reader inflates it, too");
    assert_eq!(list.bytes(), inflated.len());
    for index in (0..list.len()).step_by(1 + inflated.len() / 64) {
        let per_byte = 8 / bits;
        let byte = inflated[usize::try_from(index / per_byte).unwrap()];
        let expected = (byte >> ((index % per_byte) * bits)) & (((1_u16 << bits) - 1) as u8);
        let found = match list.status(index).expect("an entry of it") {
            Status::Valid => 0,
            Status::Invalid => 1,
            Status::Suspended => 2,
            Status::Other(other) => other,
        };
        assert_eq!(found, expected, "entry {index}");
    }
}

/// The header of a token in CBOR, with the type that it must have.
fn header(typ: &str) -> Vec<u8> {
    use ciborium::Value;
    let label = |label: i64| Value::Integer(label.into());
    encode(&Value::Map(vec![(label(1), label(-8)), (label(16), Value::Text(typ.to_owned()))]))
}

/// The claims of a status list token in CBOR.
pub(super) fn status_cwt(data: &[u8]) {
    if let Ok(list) = read(&signed(&header("application/statuslist+cwt"), data)) {
        holds(&list);
    }
}

/// The claims of an identifier list.
pub(super) fn identifier_list(data: &[u8]) {
    let key = |_: Option<&[Vec<u8>]>| Ok::<PublicKey, StatusError>(KEY.public_key().clone());
    let token = signed(&header("application/identifierlist+cwt"), data);
    let Ok(list) = IdentifierList::read(&token, &uri(), NOW, &small(), key) else { return };
    assert!(list.fresh_until() > NOW);
    // An identifier stands in the bytes, at least once each.
    assert!(list.bytes() <= data.len().saturating_mul(64));
}

/// Where a credential says that its status stands.
pub(super) fn status_ref(data: &[u8]) {
    let Some(claim) = value(data) else { return };
    if let Ok(reference) = StatusRef::from_claim(&claim) {
        let StatusRef::TokenList { uri, index } = &reference else { panic!("another list") };
        let again = json!({"status_list": {"idx": index, "uri": uri}});
        assert!(StatusRef::from_claim(&again).is_ok_and(|again| again == reference));
    }
    #[cfg(feature = "w3c")]
    let _ = StatusRef::from_credential_status(&claim, "did:web:issuer.example");
}

/// A list of whom to trust: one that nobody signed whom we believe trusts nobody.
pub(super) fn trust_list(data: &[u8]) {
    let signers: [Certificate; 0] = [];
    let judge = Judge { signers: &signers, operator: None, grace_s: 0, now: NOW, limits: &LIMITS };
    assert!(lote::read(data, &judge).is_err());
    assert!(vical::read(data, &judge).is_err());
    let Some(claims) = text(data).and_then(|text| object(text.as_bytes())) else { return };
    let token = KEY.sign_jws(&Map::new(), &Value::Object(claims)).expect("a signature");
    let _ = lote::read(token.as_bytes(), &judge);
}
