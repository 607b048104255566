//! Signed and authenticated CBOR (COSE, RFC 9052 and 9053; RFC 9360 for certificates, RFC 9864 for algorithms).
//!
//! What can be read here is what is accepted: `COSE_Sign1` with the signature algorithms of [`jose`](super::jose), under
//! their old and their fully-specified numbers, and `COSE_Mac0` with HMAC-SHA-256. The algorithm stands in the protected
//! header, and the key must agree with it; a label stands in one of the two headers; nothing is critical, since nothing
//! that could be is understood. Keys come out of a header only as a chain of certificates, and no path is checked here.
//!
//! Signatures and tags are over the protected header as it was received.

use std::fmt;

use aws_lc_rs::hmac;
use coset::{AsCborValue, CoseSign1Builder, MacContext, ProtectedHeader, SignatureContext, iana};

use crate::{
    limits::Limits,
    protocol::{
        cbor::{self, CborError, Item, Kind, Map, Value},
        jose::{Algorithm, JoseError, PublicKey, SigningKey},
    },
};

/// The tags of `COSE_Sign1` and `COSE_Mac0` (RFC 9052 section 2), which a profile may leave out.
const SIGN1_TAG: u64 = 18;
const MAC0_TAG: u64 = 17;

/// Header labels (RFC 9052 section 3.1, RFC 9360 section 2, RFC 9596).
const ALG: i64 = 1;
const CRIT: i64 = 2;
const KID: i64 = 4;
const TYP: i64 = 16;
const X5CHAIN: i64 = 33;

/// Parameters of one header: they are compared with each other, and real ones have two or three.
const LABELS_MAX: usize = 32;

/// HMAC with SHA-256 and a tag of 256 bits (RFC 9053 section 3.1).
const HMAC_256: i128 = 5;

/// Why a COSE object, its signature or its key is not accepted.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CoseError {
    /// Not the CBOR that is read here.
    #[error(transparent)]
    Cbor(#[from] CborError),
    /// Not of the form of its structure.
    #[error("not the COSE structure that belongs here: {0}")]
    Form(&'static str),
    /// A header parameter that is missing where it is required, or of the wrong type.
    #[error("`{0}` is missing in the COSE header, or of the wrong type")]
    Parameter(&'static str),
    /// An `alg` that is not accepted, or that is not protected.
    #[error("the COSE algorithm is none of those accepted, or is not protected")]
    UnsupportedAlgorithm,
    /// The header names another algorithm than the key is for.
    #[error("the header says {header} and the key is for {key}")]
    AlgorithmMismatch {
        /// What the header names.
        header: Algorithm,
        /// What the key is for.
        key: Algorithm,
    },
    /// `crit`: extensions change what a message means, and none is understood.
    #[error("a critical header parameter is not understood")]
    Critical,
    /// The same label in the protected and in the other header (RFC 9052 section 3).
    #[error("a label stands in both headers")]
    InBothHeaders,
    /// A payload inside where it belongs outside, or the other way round.
    #[error("the payload must be {0}")]
    Payload(&'static str),
    /// A `typ` of another kind of token.
    #[error("the token is of another type than expected here")]
    TokenType,
    /// A key that is not accepted.
    #[error("the COSE key: {0}")]
    Key(#[source] JoseError),
    /// The signature is not the key's over these bytes.
    #[error("the signature does not hold")]
    Signature,
    /// The tag is not the key's over these bytes.
    #[error("the message authentication code does not hold")]
    Mac,
}

impl CoseError {
    /// A stable name for logs and answers.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Cbor(error) => error.code(),
            Self::Form(_) => "cose_form",
            Self::Parameter(_) => "cose_parameter",
            Self::UnsupportedAlgorithm => "cose_unsupported_algorithm",
            Self::AlgorithmMismatch { .. } => "cose_algorithm_mismatch",
            Self::Critical => "cose_critical",
            Self::InBothHeaders => "cose_in_both_headers",
            Self::Payload(_) => "cose_payload",
            Self::TokenType => "cose_token_type",
            Self::Key(_) => "cose_key",
            Self::Signature => "cose_signature",
            Self::Mac => "cose_mac",
        }
    }
}

/// Parameters of both headers, checked for their form. What they hold is the sender's word until a signature holds.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Header {
    /// The type (RFC 9596), which must be protected. A number is written in decimal.
    pub typ: Option<String>,
    /// The name of a key: opaque, of no more than [`Limits::kid_bytes`].
    pub kid: Option<Vec<u8>>,
    /// Certificates in DER, the leaf first, no path checked (RFC 9360 section 2).
    pub x5chain: Option<Vec<Vec<u8>>>,
}

/// A `COSE_Sign1` as parsed: nothing in it is believed yet.
#[derive(Clone)]
pub struct Sign1 {
    alg: Algorithm,
    parts: Parts,
}

impl Sign1 {
    /// Parses one from its bytes, with or without its tag, and nothing after it.
    ///
    /// # Errors
    /// If it is not of its form, or names an algorithm or an extension that is not accepted.
    pub fn parse(bytes: &[u8], limits: &Limits) -> Result<Self, CoseError> {
        Self::from_item(&cbor::read(bytes, limits)?, limits)
    }

    /// Takes one that stands inside of something else.
    ///
    /// # Errors
    /// As those of [`parse`](Self::parse).
    pub fn from_item(item: &Item<'_>, limits: &Limits) -> Result<Self, CoseError> {
        let (parts, alg) = Parts::read(item.tagged(SIGN1_TAG).unwrap_or(item), limits)?;
        Ok(Self { alg: algorithm(alg).ok_or(CoseError::UnsupportedAlgorithm)?, parts })
    }

    /// What it is signed with, as it says.
    #[must_use]
    pub const fn algorithm(&self) -> Algorithm {
        self.alg
    }

    /// The headers, to find the key by.
    #[must_use]
    pub const fn header(&self) -> &Header {
        &self.parts.header
    }

    /// The payload before anything is verified, if it is inside: to find the issuer, never to act on.
    #[must_use]
    pub fn unverified_payload(&self) -> Option<&[u8]> {
        self.parts.payload.as_deref()
    }

    /// The payload inside of it, once the signature holds under `key`.
    ///
    /// # Errors
    /// [`CoseError::Payload`] if it is not inside, [`CoseError::AlgorithmMismatch`] or [`CoseError::Signature`].
    pub fn verify(self, key: &PublicKey) -> Result<Vec<u8>, CoseError> {
        let payload = self.parts.payload.as_deref().ok_or(CoseError::Payload("inside of the message"))?;
        self.check(key, payload)?;
        Ok(self.parts.payload.unwrap_or_default())
    }

    /// Whether the signature holds under `key` over a payload that is not inside.
    ///
    /// # Errors
    /// [`CoseError::Payload`] if one is inside, [`CoseError::AlgorithmMismatch`] or [`CoseError::Signature`].
    pub fn verify_detached(&self, key: &PublicKey, payload: &[u8]) -> Result<(), CoseError> {
        if self.parts.payload.is_some() {
            return Err(CoseError::Payload("left out of the message"));
        }
        self.check(key, payload)
    }

    fn check(&self, key: &PublicKey, payload: &[u8]) -> Result<(), CoseError> {
        // Key confusion: the header never chooses how a key is used.
        if self.alg != key.algorithm() {
            return Err(CoseError::AlgorithmMismatch { header: self.alg, key: key.algorithm() });
        }
        let protected = self.parts.protected();
        let signed = coset::sig_structure_data(SignatureContext::CoseSign1, protected, None, &[], payload);
        key.verify(&signed, &self.parts.proof).map_err(|_| CoseError::Signature)
    }
}

impl fmt::Debug for Sign1 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sign1").field("alg", &self.alg).finish_non_exhaustive()
    }
}

/// A `COSE_Mac0` as parsed, with HMAC-SHA-256: nothing in it is believed yet.
#[derive(Clone)]
pub struct Mac0(Parts);

impl Mac0 {
    /// Takes one that stands inside of something else, with or without its tag.
    ///
    /// # Errors
    /// If it is not of its form, or names another algorithm or an extension.
    pub fn from_item(item: &Item<'_>, limits: &Limits) -> Result<Self, CoseError> {
        match Parts::read(item.tagged(MAC0_TAG).unwrap_or(item), limits)? {
            (parts, HMAC_256) => Ok(Self(parts)),
            _ => Err(CoseError::UnsupportedAlgorithm),
        }
    }

    /// Whether the tag holds under `key` over a payload that is not inside. Compared in constant time.
    ///
    /// # Errors
    /// [`CoseError::Payload`] if one is inside, or [`CoseError::Mac`].
    pub fn verify_detached(&self, key: &[u8; 32], payload: &[u8]) -> Result<(), CoseError> {
        if self.0.payload.is_some() {
            return Err(CoseError::Payload("left out of the message"));
        }
        let message = coset::mac_structure_data(MacContext::CoseMac0, self.0.protected(), &[], payload);
        hmac::verify(&hmac::Key::new(hmac::HMAC_SHA256, key), &message, &self.0.proof).map_err(|_| CoseError::Mac)
    }
}

impl fmt::Debug for Mac0 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Mac0").finish_non_exhaustive()
    }
}

/// Reads a `COSE_Key` (RFC 9052 section 7, RFC 9053 section 7) on P-256, P-384, P-521 or Ed25519. A point may be
/// compressed.
///
/// # Errors
/// [`CoseError::Key`] if it holds a private part, is of another type or curve, is not on its curve, or says by `alg`
/// that it is for something else.
pub fn public_key(key: &Item<'_>) -> Result<PublicKey, CoseError> {
    let key = key.map().ok_or(CoseError::Form("a key is a map"))?;
    read_key(key).map_err(CoseError::Key)
}

/// A key as a `COSE_Key`, with the members that make it and no others.
#[must_use]
pub fn cose_key(key: &PublicKey) -> Value {
    let (kty, crv) = match key.algorithm() {
        Algorithm::Es256 => (EC2, 1),
        Algorithm::Es384 => (EC2, 2),
        Algorithm::Es512 => (EC2, 3),
        Algorithm::EdDsa => (OKP, 6),
    };
    let mut members = vec![(Value::from(KTY), Value::from(kty)), (Value::from(CRV), Value::from(crv))];
    let size = key.algorithm().coordinate_bytes();
    let coordinates = if kty == EC2 { key.as_bytes().get(1..).unwrap_or_default() } else { key.as_bytes() };
    for (label, coordinate) in [X, Y].into_iter().zip(coordinates.chunks(size)) {
        members.push((Value::from(label), Value::Bytes(coordinate.to_vec())));
    }
    Value::Map(members)
}

/// Our own signature over `payload`, which goes inside if `attached`. The algorithm is added to what is protected.
///
/// # Errors
/// [`JoseError::Crypto`] if the library fails.
pub(crate) fn sign1(
    key: &SigningKey,
    mut protected: coset::Header,
    unprotected: coset::Header,
    payload: &[u8],
    attached: bool,
) -> Result<Value, JoseError> {
    let alg = match key.public_key().algorithm() {
        Algorithm::Es256 => iana::Algorithm::ES256,
        Algorithm::Es384 => iana::Algorithm::ES384,
        Algorithm::Es512 => iana::Algorithm::ES512,
        Algorithm::EdDsa => iana::Algorithm::EdDSA,
    };
    protected.alg = Some(alg.into());
    let builder = CoseSign1Builder::new().protected(protected).unprotected(unprotected);
    let signed = if attached {
        builder.payload(payload.to_vec()).try_create_signature(&[], |message| key.sign(message))?
    } else {
        builder.try_create_detached_signature(payload, &[], |message| key.sign(message))?
    };
    signed.build().to_cbor_value().map_err(|_| JoseError::Crypto)
}

/// Our own tag over `payload`, which stays outside.
#[cfg(any(test, feature = "testing"))]
pub(crate) fn mac0(key: &[u8; 32], payload: &[u8]) -> Result<Value, JoseError> {
    let protected = coset::HeaderBuilder::new().algorithm(iana::Algorithm::HMAC_256_256).build();
    let header = ProtectedHeader { original_data: None, header: protected.clone() };
    let message = coset::mac_structure_data(MacContext::CoseMac0, header, &[], payload);
    let tag = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, key), &message).as_ref().to_vec();
    let mac0 = coset::CoseMac0Builder::new().protected(protected).tag(tag).build();
    mac0.to_cbor_value().map_err(|_| JoseError::Crypto)
}

/// The certificates of a chain as [label 33](Header::x5chain) has them: one as it is, more in an array.
pub(crate) fn x5chain(chain: &[Vec<u8>]) -> coset::Header {
    let chain = match chain {
        [one] => Value::Bytes(one.clone()),
        more => Value::Array(more.iter().cloned().map(Value::Bytes).collect()),
    };
    coset::HeaderBuilder::new().value(X5CHAIN, chain).build()
}

/// What `COSE_Sign1` and `COSE_Mac0` have in common.
#[derive(Clone)]
struct Parts {
    protected: Vec<u8>,
    header: Header,
    payload: Option<Vec<u8>>,
    proof: Vec<u8>,
}

impl Parts {
    fn read(item: &Item<'_>, limits: &Limits) -> Result<(Self, i128), CoseError> {
        let [protected, unprotected, payload, proof] = item.array().ok_or(CoseError::Form("it is an array"))? else {
            return Err(CoseError::Form("it has four elements"));
        };
        let protected = protected.bytes().ok_or(CoseError::Form("the protected header is a byte string"))?;
        let signed = cbor::read(protected, limits)?;
        let signed = signed.map().ok_or(CoseError::Form("a header is a map"))?;
        let unsigned = unprotected.map().ok_or(CoseError::Form("a header is a map"))?;
        let payload = match payload.kind() {
            Kind::Null => None,
            Kind::Bytes(bytes) => Some(bytes.to_vec()),
            _ => return Err(CoseError::Form("the payload is a byte string or null")),
        };
        let proof = proof.bytes().ok_or(CoseError::Form("the signature or tag is a byte string"))?.to_vec();
        let (header, alg) = Header::read(signed, unsigned, limits)?;
        Ok((Self { protected: protected.to_vec(), header, payload, proof }, alg))
    }

    /// As it was received, whatever its map says.
    fn protected(&self) -> ProtectedHeader {
        ProtectedHeader { original_data: Some(self.protected.clone()), header: coset::Header::default() }
    }
}

impl Header {
    fn read(signed: &Map<'_>, unsigned: &Map<'_>, limits: &Limits) -> Result<(Self, i128), CoseError> {
        if signed.len().max(unsigned.len()) > LABELS_MAX {
            return Err(CoseError::Form("a header has a few parameters"));
        }
        // Nothing is looked up in the other header while it can still say it differently.
        if unsigned.iter().any(|(label, _)| signed.iter().any(|(other, _)| other.kind() == label.kind())) {
            return Err(CoseError::InBothHeaders);
        }
        if signed.label(CRIT).is_some() || unsigned.label(CRIT).is_some() {
            return Err(CoseError::Critical);
        }
        let alg = signed.label(ALG).and_then(Item::integer).ok_or(CoseError::UnsupportedAlgorithm)?;
        let typ = signed.label(TYP).map(|typ| match typ.kind() {
            Kind::Text(typ) => Ok(typ.to_string()),
            Kind::Integer(typ) => Ok(typ.to_string()),
            _ => Err(CoseError::Parameter("typ")),
        });
        let either = |label| signed.label(label).or_else(|| unsigned.label(label));
        let kid = either(KID).map(|kid| {
            let kid = kid.bytes().filter(|kid| kid.len() <= limits.kid_bytes);
            kid.map(<[u8]>::to_vec).ok_or(CoseError::Parameter("kid"))
        });
        let x5chain = either(X5CHAIN).map(|chain| certificates(chain, limits));
        Ok((Self { typ: typ.transpose()?, kid: kid.transpose()?, x5chain: x5chain.transpose()? }, alg))
    }
}

/// One certificate, or an array of at least two (RFC 9360 section 2); an array of one is read as well, since issuers
/// send it.
fn certificates(chain: &Item<'_>, limits: &Limits) -> Result<Vec<Vec<u8>>, CoseError> {
    let wrong = CoseError::Parameter("x5chain");
    let chain = match chain.kind() {
        Kind::Bytes(_) => std::slice::from_ref(chain),
        Kind::Array(chain) if !chain.is_empty() && chain.len() <= limits.x5c_certificates => chain.as_slice(),
        _ => return Err(wrong),
    };
    chain.iter().map(|certificate| certificate.bytes().map(<[u8]>::to_vec)).collect::<Option<_>>().ok_or(wrong)
}

/// The algorithms of RFC 9053 section 2, whose numbers say nothing about the curve, and of RFC 9864, which do. Here the
/// curve is fixed either way, as in JOSE and in ISO/IEC 18013-5.
const fn algorithm(alg: i128) -> Option<Algorithm> {
    match alg {
        -7 | -9 => Some(Algorithm::Es256),
        -35 | -51 => Some(Algorithm::Es384),
        -36 | -52 => Some(Algorithm::Es512),
        -8 | -19 => Some(Algorithm::EdDsa),
        _ => None,
    }
}

/// Members of a key.
const KTY: i64 = 1;
const KEY_ALG: i64 = 3;
const CRV: i64 = -1;
const X: i64 = -2;
const Y: i64 = -3;
const D: i64 = -4;
/// Key types.
const OKP: i64 = 1;
const EC2: i64 = 2;

fn read_key(key: &Map<'_>) -> Result<PublicKey, JoseError> {
    if key.label(D).is_some() {
        return Err(JoseError::PrivateKey);
    }
    let kty = key.label(KTY).and_then(Item::integer).ok_or(JoseError::Member("kty"))?;
    let crv = key.label(CRV).and_then(Item::integer).ok_or(JoseError::Member("crv"))?;
    let (alg, edwards) = match (kty, crv) {
        (2, 1) => (Algorithm::Es256, false),
        (2, 2) => (Algorithm::Es384, false),
        (2, 3) => (Algorithm::Es512, false),
        (1, 6) => (Algorithm::EdDsa, true),
        _ => return Err(JoseError::UnsupportedKey),
    };
    if key.label(KEY_ALG).is_some_and(|named| named.integer().and_then(algorithm) != Some(alg)) {
        return Err(JoseError::KeyUse);
    }
    let coordinate = |item: Option<&Item<'_>>, name| {
        let bytes = item.and_then(Item::bytes).ok_or(JoseError::Member(name))?;
        // Full length, leading zeros included (RFC 9053 section 7.1.1): one text for one key.
        if bytes.len() == alg.coordinate_bytes() { Ok(bytes.to_vec()) } else { Err(JoseError::InvalidKey) }
    };
    let x = coordinate(key.label(X), "x")?;
    if edwards {
        return PublicKey::from_bytes(alg, &x);
    }
    match key.label(Y).map(Item::kind) {
        Some(Kind::Bool(odd)) => PublicKey::from_compressed_point(alg, &[[2 + u8::from(*odd)].as_slice(), &x].concat()),
        _ => PublicKey::from_bytes(alg, &[[4].as_slice(), &x, &coordinate(key.label(Y), "y")?].concat()),
    }
}

#[cfg(test)]
mod tests {
    use coset::HeaderBuilder;

    use super::*;

    fn key() -> SigningKey {
        SigningKey::from_p256_scalar(&[7; 32]).unwrap()
    }

    fn limits() -> Limits {
        Limits::default()
    }

    /// A signature over whatever the headers are.
    fn signed(protected: Value, unprotected: Value, payload: Option<&[u8]>) -> Vec<u8> {
        let protected = cbor::encode(&protected);
        let parts = ["Signature1".into(), Value::Bytes(protected.clone()), Value::Bytes(vec![])];
        let mut message = parts.to_vec();
        message.push(Value::Bytes(payload.unwrap_or(b"outside").to_vec()));
        let signature = key().sign(&cbor::encode(&Value::Array(message))).unwrap();
        cbor::encode(&Value::Array(vec![
            Value::Bytes(protected),
            unprotected,
            payload.map_or(Value::Null, |payload| Value::Bytes(payload.to_vec())),
            Value::Bytes(signature),
        ]))
    }

    fn map(members: &[(i64, Value)]) -> Value {
        Value::Map(members.iter().map(|(label, value)| (Value::from(*label), value.clone())).collect())
    }

    fn none() -> Value {
        map(&[])
    }

    fn check(bytes: &[u8]) -> Result<Vec<u8>, CoseError> {
        Sign1::parse(bytes, &limits())?.verify(key().public_key())
    }

    #[test]
    fn what_is_signed_is_read() {
        let protected = HeaderBuilder::new().value(TYP, "application/x+cwt".into()).build();
        let chain = x5chain(&[vec![1], vec![2]]);
        let message = sign1(&key(), protected, chain, b"inside", true).unwrap();
        for message in [message.clone(), Value::Tag(SIGN1_TAG, Box::new(message.clone()))] {
            let message = Sign1::parse(&cbor::encode(&message), &limits()).unwrap();
            assert_eq!(message.header().typ.as_deref(), Some("application/x+cwt"));
            assert_eq!(message.header().x5chain, Some(vec![vec![1], vec![2]]));
            assert_eq!(message.verify_detached(key().public_key(), b"inside").unwrap_err().code(), "cose_payload");
            let other = SigningKey::from_p256_scalar(&[8; 32]).unwrap();
            assert_eq!(message.clone().verify(other.public_key()), Err(CoseError::Signature));
            assert_eq!(message.verify(key().public_key()).unwrap(), b"inside");
        }
        let wrong = cbor::encode(&Value::Tag(MAC0_TAG, Box::new(message)));
        assert_eq!(check(&wrong), Err(CoseError::Form("it is an array")));
        let ed25519 = SigningKey::from_ed25519_seed(&[9; 32]).unwrap();
        let outside = sign1(&ed25519, coset::Header::default(), x5chain(&[vec![1]]), b"outside", false).unwrap();
        let outside = Sign1::parse(&cbor::encode(&outside), &limits()).unwrap();
        assert_eq!(outside.verify_detached(ed25519.public_key(), b"outside"), Ok(()));
        assert_eq!(outside.verify_detached(ed25519.public_key(), b"inside"), Err(CoseError::Signature));
        assert_eq!(outside.verify(ed25519.public_key()).unwrap_err().code(), "cose_payload");
    }

    #[test]
    fn both_numbers_of_an_algorithm_are_read() {
        for alg in [-7, -9] {
            assert!(check(&signed(map(&[(ALG, alg.into())]), none(), Some(b"x"))).is_ok());
        }
        for (alg, header) in [(-35, Algorithm::Es384), (-51, Algorithm::Es384), (-36, Algorithm::Es512)] {
            let message = signed(map(&[(ALG, alg.into())]), none(), Some(b"x"));
            assert_eq!(check(&message), Err(CoseError::AlgorithmMismatch { header, key: Algorithm::Es256 }));
        }
    }

    #[test]
    fn a_message_with_one_thing_wrong_is_refused_although_its_signature_is_right() {
        let alg = || (ALG, Value::from(-7));
        assert!(check(&signed(map(&[alg()]), none(), Some(b"x"))).is_ok());
        let long = Value::Array(vec![Value::Bytes(vec![1]); 9]);
        let many = Value::Map((100..133).map(|label| (label.into(), Value::Null)).collect());
        for (protected, unprotected, error) in [
            (map(&[]), map(&[alg()]), CoseError::UnsupportedAlgorithm),
            (map(&[alg()]), map(&[alg()]), CoseError::InBothHeaders),
            (map(&[(ALG, "ES256".into())]), none(), CoseError::UnsupportedAlgorithm),
            (map(&[(ALG, Value::from(5))]), none(), CoseError::UnsupportedAlgorithm),
            (map(&[(ALG, Value::from(-257))]), none(), CoseError::UnsupportedAlgorithm),
            (map(&[alg(), (CRIT, Value::Array(vec![1.into()]))]), none(), CoseError::Critical),
            (map(&[alg()]), map(&[(CRIT, Value::Array(vec![]))]), CoseError::Critical),
            (map(&[alg(), (TYP, Value::Null)]), none(), CoseError::Parameter("typ")),
            (map(&[alg()]), map(&[(KID, "a".into())]), CoseError::Parameter("kid")),
            (map(&[alg()]), map(&[(KID, Value::Bytes(vec![0; 257]))]), CoseError::Parameter("kid")),
            (map(&[alg()]), map(&[(X5CHAIN, Value::Array(vec![]))]), CoseError::Parameter("x5chain")),
            (map(&[alg()]), map(&[(X5CHAIN, long)]), CoseError::Parameter("x5chain")),
            (map(&[alg()]), map(&[(X5CHAIN, "a".into())]), CoseError::Parameter("x5chain")),
            (Value::Array(vec![]), none(), CoseError::Form("a header is a map")),
            (map(&[alg()]), many, CoseError::Form("a header has a few parameters")),
        ] {
            assert_eq!(check(&signed(protected.clone(), unprotected, Some(b"x"))), Err(error), "{protected:?}");
        }
        // A `typ` that is not protected is nobody's.
        let message = signed(map(&[alg()]), map(&[(TYP, "x".into())]), Some(b"x"));
        assert_eq!(Sign1::parse(&message, &limits()).unwrap().header().typ, None);
        let more = [signed(map(&[alg()]), none(), Some(b"x")), vec![0]].concat();
        assert!(matches!(check(&more), Err(CoseError::Cbor(CborError::Trailing { .. }))));
    }

    #[test]
    fn a_tag_holds_for_its_key_and_payload_alone() {
        let read = |value: &Value| {
            let bytes = cbor::encode(value);
            Mac0::from_item(&cbor::read(&bytes, &limits()).unwrap(), &limits())
        };
        // The example of RFC 9052 has its payload inside; ours never has.
        let protected = cbor::encode(&map(&[(ALG, Value::from(5))]));
        let structure = Value::Array(
            ["MAC0".into(), Value::Bytes(protected.clone()), Value::Bytes(vec![]), Value::Bytes(vec![1])].to_vec(),
        );
        let tag = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, &[3; 32]), &cbor::encode(&structure));
        let message = |payload: Value, tag: &[u8]| {
            Value::Array(vec![Value::Bytes(protected.clone()), none(), payload, Value::Bytes(tag.to_vec())])
        };
        let good = read(&message(Value::Null, tag.as_ref())).unwrap();
        assert_eq!(good.verify_detached(&[3; 32], &[1]), Ok(()));
        assert_eq!(good.verify_detached(&[4; 32], &[1]), Err(CoseError::Mac));
        assert_eq!(good.verify_detached(&[3; 32], &[2]), Err(CoseError::Mac));
        let short = read(&message(Value::Null, &tag.as_ref()[..16])).unwrap();
        assert_eq!(short.verify_detached(&[3; 32], &[1]), Err(CoseError::Mac));
        let inside = read(&message(Value::Bytes(vec![1]), tag.as_ref())).unwrap();
        assert_eq!(inside.verify_detached(&[3; 32], &[1]).unwrap_err().code(), "cose_payload");
        assert!(read(&Value::Array(vec![])).is_err());
    }

    #[test]
    fn a_key_is_read_whole_and_compressed() {
        for key in [key(), SigningKey::from_ed25519_seed(&[9; 32]).unwrap()] {
            let bytes = cbor::encode(&cose_key(key.public_key()));
            assert_eq!(&public_key(&cbor::read(&bytes, &limits()).unwrap()).unwrap(), key.public_key());
        }
        let point = key().public_key().as_bytes().to_vec();
        let with = |members: &[(i64, Value)]| {
            let x = || Value::Bytes(point[1..33].to_vec());
            let mut all = vec![(KTY, EC2.into()), (CRV, 1.into()), (X, x()), (Y, Value::Bool(point[64] & 1 == 1))];
            for (label, value) in members {
                all.retain(|(other, _)| other != label);
                all.push((*label, value.clone()));
            }
            let bytes = cbor::encode(&map(&all));
            public_key(&cbor::read(&bytes, &limits()).unwrap())
        };
        assert_eq!(&with(&[]).unwrap(), key().public_key());
        assert!(with(&[(KEY_ALG, Value::from(-9))]).is_ok());
        for (members, error) in [
            ([(D, Value::Bytes(vec![1; 32]))], JoseError::PrivateKey),
            ([(KTY, Value::from(3))], JoseError::UnsupportedKey),
            ([(CRV, Value::from(8))], JoseError::UnsupportedKey),
            ([(CRV, Value::from(2))], JoseError::InvalidKey),
            ([(KEY_ALG, Value::from(-35))], JoseError::KeyUse),
            ([(X, Value::Bytes(vec![0; 31]))], JoseError::InvalidKey),
            ([(Y, Value::Null)], JoseError::Member("y")),
            ([(Y, Value::Bytes(vec![1; 32]))], JoseError::InvalidKey),
        ] {
            assert_eq!(with(&members), Err(CoseError::Key(error)), "{members:?}");
        }
    }
}
