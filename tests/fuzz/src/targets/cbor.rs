//! CBOR, and what is signed of it.

use ciborium::Value;
use firsthand::protocol::{
    cbor::{self as ours, Item, Kind},
    cose::{self, Sign1},
    mdoc::{Document, SessionTranscript},
    webauthn::{Assertion, Registration},
};

use super::{KEY, LIMITS, choice, value};

/// What is read here, another library reads, too, and the same; what that one writes again is read again.
pub(super) fn cbor(data: &[u8]) {
    let Ok(item) = ours::read(data, &LIMITS) else { return };
    assert_eq!(item.raw(), data);
    // The other library knows no simple values but those that have a name.
    if has_simple(&item) {
        return;
    }
    let mut rest = data;
    let other: Value = ciborium::from_reader(&mut rest).expect("what the strict reader takes, every reader takes");
    assert!(rest.is_empty());
    assert!(agree(&item, &other), "two readers: {item:?} and {other:?}");
    let written = ours::encode(&other);
    let again = ours::read(&written, &LIMITS).expect("what was read can be read again");
    assert!(agree(&again, &other));
    assert!(!item.diagnostic().is_empty());
    let _ = cose::public_key(&item);
}

fn has_simple(item: &Item<'_>) -> bool {
    match item.kind() {
        Kind::Simple(_) => true,
        Kind::Array(items) => items.iter().any(has_simple),
        Kind::Map(map) => map.iter().any(|(key, value)| has_simple(key) || has_simple(value)),
        Kind::Tag(_, inner) => has_simple(inner),
        _ => false,
    }
}

/// Whether both read the same.
fn agree(item: &Item<'_>, other: &Value) -> bool {
    match (item.kind(), other) {
        (Kind::Integer(one), Value::Integer(other)) => *one == i128::from(*other),
        (Kind::Bytes(one), Value::Bytes(other)) => one.as_ref() == other.as_slice(),
        (Kind::Text(one), Value::Text(other)) => one == other,
        (Kind::Bool(one), Value::Bool(other)) => one == other,
        (Kind::Null, Value::Null) => true,
        (Kind::Float(one), Value::Float(other)) => one == other || one.is_nan() && other.is_nan(),
        (Kind::Array(one), Value::Array(other)) => {
            one.len() == other.len() && one.iter().zip(other).all(|(one, other)| agree(one, other))
        }
        (Kind::Map(one), Value::Map(other)) => {
            one.len() == other.len()
                && one.iter().zip(other).all(|((key, value), (k, v))| agree(key, k) && agree(value, v))
        }
        // The other library takes the zeros from the front of large numbers; we keep what was sent.
        (Kind::Tag(2 | 3, _), Value::Tag(2 | 3, _)) => true,
        (Kind::Tag(one, inner), Value::Tag(other, value)) => one == other && agree(inner, value),
        // Bignums: a tag here, a number there.
        (Kind::Tag(2 | 3, _), Value::Integer(_)) => true,
        _ => false,
    }
}

/// A signed message of a stranger.
pub(super) fn cose(data: &[u8]) {
    let Ok(read) = Sign1::parse(data, &LIMITS) else { return };
    let _ = (read.algorithm(), read.header());
    if let Some(chain) = &read.header().x5chain {
        assert!(chain.len() <= LIMITS.x5c_certificates);
    }
    if let Some(kid) = &read.header().kid {
        assert!(kid.len() <= LIMITS.kid_bytes);
    }
    assert!(read.verify_detached(KEY.public_key(), data).is_err());
}

/// A message that somebody signed, with these parameters in its protected header and this payload.
pub(super) fn cose_signed(data: &[u8]) {
    let (length, rest) = choice(data);
    let (header, payload) = rest.split_at(rest.len().min(usize::from(length)));
    let signed = signed(header, payload);
    let Ok(read) = Sign1::parse(&signed, &LIMITS) else { return };
    let verified = read.clone().verify(KEY.public_key());
    if read.algorithm() == KEY.public_key().algorithm() {
        assert_eq!(verified.as_deref(), Ok(payload), "our own signature");
    } else {
        assert!(verified.is_err());
    }
}

/// A `COSE_Sign1` over a payload, with a protected header as it is given.
pub(super) fn signed(protected: &[u8], payload: &[u8]) -> Vec<u8> {
    let bytes = |bytes: &[u8]| Value::Bytes(bytes.to_vec());
    let context =
        Value::Array(vec![Value::Text("Signature1".to_owned()), bytes(protected), bytes(&[]), bytes(payload)]);
    let signature = KEY.sign(&ours::encode(&context)).expect("a signature");
    let parts = vec![bytes(protected), Value::Map(Vec::new()), bytes(payload), bytes(&signature)];
    ours::encode(&Value::Tag(18, Box::new(Value::Array(parts))))
}

/// An answer of a wallet as mdoc.
pub(super) fn mdoc(data: &[u8]) {
    let Ok(document) = Document::parse(data, &LIMITS) else { return };
    assert!(!document.doc_type().is_empty());
    assert!(document.chain().len() <= LIMITS.x5c_certificates);
    let again = Document::parse(data, &LIMITS).expect("read a moment ago");
    assert_eq!((again.doc_type(), again.chain()), (document.doc_type(), document.chain()));
    let transcript = SessionTranscript::openid4vp("x509_hash:a", "nonce", None, "https://shop.example/answer");
    let expected = firsthand::protocol::mdoc::Expected {
        issuer_key: KEY.public_key(),
        transcript: &transcript,
        reader_key: None,
        now: super::NOW,
        skew_s: 60,
    };
    assert!(document.verify(&expected, &LIMITS).is_err(), "nobody signed this");
}

/// A session as a stranger says it was.
pub(super) fn transcript(data: &[u8]) {
    if let Ok(read) = SessionTranscript::from_encoded(data.to_vec(), &LIMITS) {
        assert_eq!(read.as_bytes(), data);
    }
}

/// What a browser sends of a passkey.
pub(super) fn passkey(data: &[u8]) {
    let Some(response) = value(data) else { return };
    if let Ok(read) = Registration::read(&response, &LIMITS) {
        assert!(read.challenge().len() <= LIMITS.passkey_bytes);
    }
    if let Ok(read) = Assertion::read(&response, &LIMITS) {
        assert!(!read.credential_id().is_empty() && read.credential_id().len() <= LIMITS.passkey_bytes);
    }
}
