//! What a stranger's bytes are fed to. Each target takes whatever bytes there are, and panics if more is wrong than that
//! they are refused: what was read and written again reads differently, two readers disagree, a limit was passed.
//!
//! libFuzzer calls these with bytes of its own making (`tests/fuzz/run`), and the test `fuzz` with those that were kept. Where a
//! signature stands before a parser, the target signs the bytes itself, with a key that everybody knows: what would be behind
//! the door of somebody who signs for a living and means harm.

#[path = "targets/cbor.rs"]
mod cbor;
#[path = "targets/forms.rs"]
mod forms;
#[path = "targets/jose.rs"]
mod jose;
#[path = "targets/lists.rs"]
mod lists;
#[path = "targets/money.rs"]
mod money;
#[path = "targets/names.rs"]
mod names;
#[path = "targets/sd_jwt.rs"]
mod sd_jwt;
#[cfg(feature = "w3c")]
#[path = "targets/w3c.rs"]
mod w3c;

use std::sync::LazyLock;

use firsthand::{
    limits::Limits,
    protocol::{
        jose::{DecryptionKey, SigningKey},
        json,
    },
    time::UnixTime,
};
use serde_json::{Map, Value};

/// What the bytes are fed to.
pub type Target = fn(&[u8]);

/// Every target by its name, which is that of its folder of kept inputs.
pub const TARGETS: &[(&str, Target)] = &[
    ("json", jose::json),
    ("jcs", jose::jcs),
    ("jws", jose::jws),
    ("jws_signed", jose::jws_signed),
    ("jwk", jose::jwk),
    ("spki", jose::spki),
    ("jwe", jose::jwe),
    ("jwe_sealed", jose::jwe_sealed),
    ("dpop", jose::dpop),
    ("tokens", jose::tokens),
    ("sd_jwt", sd_jwt::compact),
    ("sd_jwt_issued", sd_jwt::issued),
    ("sd_jwt_nested", sd_jwt::nested),
    ("type_metadata", sd_jwt::type_metadata),
    ("dcql", sd_jwt::dcql),
    ("cbor", cbor::cbor),
    ("cose", cbor::cose),
    ("cose_signed", cbor::cose_signed),
    ("mdoc", cbor::mdoc),
    ("mdoc_transcript", cbor::transcript),
    ("passkey", cbor::passkey),
    ("status_token", lists::status_token),
    ("status_claims", lists::status_claims),
    ("status_bits", lists::status_bits),
    ("status_cwt", lists::status_cwt),
    ("identifier_list", lists::identifier_list),
    ("status_ref", lists::status_ref),
    ("trust_list", lists::trust_list),
    ("x509", names::x509),
    ("pem", names::pem),
    ("did", names::did),
    ("did_document", names::did_document),
    ("url", names::url),
    ("form", forms::form),
    ("wallet_answer", forms::wallet_answer),
    ("wallet_answer_sealed", forms::wallet_answer_sealed),
    ("issuance", forms::issuance),
    ("offer", forms::offer),
    ("payment_proof", forms::payment_proof),
    ("money", money::money),
    ("identifiers", money::identifiers),
    ("statement", money::statement),
    ("statement_csv", money::statement_csv),
    ("webhook", money::webhook),
    ("psp_notice", money::psp_notice),
    #[cfg(feature = "w3c")]
    ("vc_jwt", w3c::vc_jwt),
    #[cfg(feature = "w3c")]
    ("vc_proof", w3c::vc_proof),
    #[cfg(feature = "w3c")]
    ("vc_graph", w3c::vc_graph),
    #[cfg(feature = "w3c")]
    ("bitstring", w3c::bitstring),
];

/// The time of every target.
const NOW: UnixTime = UnixTime::from_secs(1_790_000_000);

static LIMITS: LazyLock<Limits> = LazyLock::new(Limits::default);

/// The key that signs what has to be signed.
static KEY: LazyLock<SigningKey> = LazyLock::new(|| SigningKey::from_ed25519_seed(&[7; 32]).unwrap());

/// The key that answers are encrypted to.
static DECRYPTION: LazyLock<DecryptionKey> = LazyLock::new(|| DecryptionKey::from_scalar(&[9; 32], "fuzz").unwrap());

fn text(data: &[u8]) -> Option<&str> {
    std::str::from_utf8(data).ok()
}

/// The first line, and the rest.
fn line(data: &[u8]) -> (&[u8], &[u8]) {
    match data.iter().position(|byte| *byte == b'\n') {
        Some(at) => (&data[..at], &data[at + 1..]),
        None => (data, &[]),
    }
}

/// The first byte, and the rest.
fn choice(data: &[u8]) -> (u8, &[u8]) {
    data.split_first().map_or((0, data), |(first, rest)| (*first, rest))
}

/// What we read as JSON.
fn value(data: &[u8]) -> Option<Value> {
    json::parse(data, LIMITS.json_depth).ok()
}

fn object(data: &[u8]) -> Option<Map<String, Value>> {
    match value(data) {
        Some(Value::Object(object)) => Some(object),
        _ => None,
    }
}

/// Numbers as the number that they are: what was written as `1.0` is read back as `1.0`, or as `1e0`.
fn same(one: &Value, other: &Value) -> bool {
    match (one, other) {
        (Value::Number(one), Value::Number(other)) => {
            one == other || one.as_f64().zip(other.as_f64()).is_some_and(|(one, other)| one == other)
        }
        (Value::Array(one), Value::Array(other)) => {
            one.len() == other.len() && one.iter().zip(other).all(|(one, other)| same(one, other))
        }
        (Value::Object(one), Value::Object(other)) => {
            one.len() == other.len()
                && one.iter().all(|(name, value)| other.get(name).is_some_and(|other| same(value, other)))
        }
        (one, other) => one == other,
    }
}
