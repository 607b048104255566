//! DIDs that are a key, `did:key` and `did:jwk`, and keys as DID documents spell them.

use std::fmt;

use serde_json::{Map, Value, json};

use super::{Did, DidDocument, DidError, MethodKey, Relationship, base58, curve25519};
use crate::protocol::{
    claims,
    jose::{Algorithm, JoseError, PublicKey, base64url_decode, base64url_encode},
    json,
};

/// A JWK is flat but for members that are ignored, such as `x5c`.
const JWK_DEPTH: usize = 4;

/// The longest multikey that is accepted, of P-521, has 95 characters after the `z`. Longer ones, which are RSA or
/// BLS12-381 keys, are not decoded.
const MULTIKEY_MAX: usize = 96;

/// The multicodec of an X25519 key, as the varint that stands before it.
const X25519_CODEC: [u8; 2] = [0xec, 0x01];
/// The multicodecs of keys that exist and are for something else than what is done here: secp256k1, the BLS12-381 groups,
/// RSA, X448 and Ed448.
const OTHER_CODECS: [[u8; 2]; 8] =
    [[0xe7, 0x01], [0xea, 0x01], [0xeb, 0x01], [0xee, 0x01], [0x85, 0x24], [0x83, 0x24], [0x84, 0x24], [0x86, 0x24]];

/// The curve of an [`AgreementKey`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum AgreementCurve {
    /// X25519 (RFC 7748).
    X25519,
    /// P-256.
    P256,
    /// P-384.
    P384,
}

impl AgreementCurve {
    /// What a JWK calls it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::X25519 => "X25519",
            Self::P256 => "P-256",
            Self::P384 => "P-384",
        }
    }
}

/// A public key that others agree on a secret with: for encryption to its holder, never for a signature.
///
/// Its form is checked; a point is on its curve. Its `Debug` shows the curve alone, since a key follows its holder.
#[derive(Clone, PartialEq, Eq)]
pub struct AgreementKey {
    curve: AgreementCurve,
    /// The 32 bytes of X25519, or an uncompressed point.
    bytes: Vec<u8>,
}

impl AgreementKey {
    /// An X25519 key of its 32 bytes.
    #[must_use]
    pub fn x25519(bytes: &[u8; 32]) -> Self {
        Self { curve: AgreementCurve::X25519, bytes: bytes.to_vec() }
    }

    /// Which curve it is on.
    #[must_use]
    pub const fn curve(&self) -> AgreementCurve {
        self.curve
    }

    /// The 32 bytes of X25519, or the uncompressed point (SEC 1 section 2.3.3).
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// The JWK with the members that make the key, and no others.
    #[must_use]
    pub fn to_jwk(&self) -> Value {
        let crv = self.curve.name();
        match self.curve {
            AgreementCurve::X25519 => json!({ "kty": "OKP", "crv": crv, "x": base64url_encode(&self.bytes) }),
            _ => {
                let point = self.bytes.get(1..).unwrap_or_default();
                let (x, y) = point.split_at_checked(point.len() / 2).unwrap_or_default();
                json!({ "kty": "EC", "crv": crv, "x": base64url_encode(x), "y": base64url_encode(y) })
            }
        }
    }

    /// The multikey: multibase over multicodec and key, the point compressed.
    #[must_use]
    pub fn to_multikey(&self) -> String {
        match self.curve {
            AgreementCurve::X25519 => multibase(X25519_CODEC, &self.bytes),
            AgreementCurve::P256 => multibase(codec(Algorithm::Es256), &compressed(&self.bytes)),
            AgreementCurve::P384 => multibase(codec(Algorithm::Es384), &compressed(&self.bytes)),
        }
    }

    /// The key that others agree with whoever signs with `key`: the same point on P-256 and P-384, the mapped one of
    /// Ed25519 (did:key section 3.1, "derive encryption key"). None for P-521, which nobody here encrypts to.
    #[must_use]
    pub fn derived_from(key: &PublicKey) -> Option<Self> {
        match key.algorithm() {
            Algorithm::EdDsa => {
                <&[u8; 32]>::try_from(key.as_bytes()).ok().map(|bytes| Self::x25519(&curve25519::montgomery(bytes)))
            }
            _ => Self::same_point(key),
        }
    }

    pub(super) fn same_point(key: &PublicKey) -> Option<Self> {
        let curve = match key.algorithm() {
            Algorithm::Es256 => AgreementCurve::P256,
            Algorithm::Es384 => AgreementCurve::P384,
            Algorithm::Es512 | Algorithm::EdDsa => return None,
        };
        Some(Self { curve, bytes: key.as_bytes().to_vec() })
    }

    fn from_jwk(jwk: &Map<String, Value>) -> Result<Self, JoseError> {
        if claims::string(jwk, "use")?.is_some_and(|usage| usage != "enc") {
            return Err(JoseError::KeyUse);
        }
        if claims::string(jwk, "crv")? != Some("X25519") {
            return Self::same_point(&PublicKey::from_jwk_coordinates(jwk)?).ok_or(JoseError::UnsupportedKey);
        }
        if jwk.contains_key("d") {
            return Err(JoseError::PrivateKey);
        }
        let x: JoseError = JoseError::Member("x");
        let x = base64url_decode(claims::string(jwk, "x")?.ok_or(x)?)?;
        <&[u8; 32]>::try_from(x.as_slice()).map(Self::x25519).map_err(|_| JoseError::InvalidKey)
    }
}

impl fmt::Debug for AgreementKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AgreementKey").field("curve", &self.curve).finish_non_exhaustive()
    }
}

/// The multikey of a key that signs: multibase over multicodec and key, the point compressed.
pub(crate) fn multikey(key: &PublicKey) -> String {
    match key.algorithm() {
        Algorithm::EdDsa => multibase(codec(Algorithm::EdDsa), key.as_bytes()),
        algorithm => multibase(codec(algorithm), &compressed(key.as_bytes())),
    }
}

/// Reads a multikey. A key type that exists, and is for something else than what is done here, is
/// [`MethodKey::Unsupported`].
pub(super) fn from_multikey(text: &str) -> Result<MethodKey, DidError> {
    let text = text.strip_prefix('z').ok_or(DidError::Multibase)?;
    if text.len() > MULTIKEY_MAX {
        return Ok(MethodKey::Unsupported);
    }
    let bytes = base58::decode(text).ok_or(DidError::Multibase)?;
    let (prefix, key) = bytes.split_first_chunk::<2>().ok_or(DidError::UnsupportedKey)?;
    if *prefix == X25519_CODEC {
        let key = <&[u8; 32]>::try_from(key).map_err(|_| DidError::Key(JoseError::InvalidKey))?;
        return Ok(MethodKey::Agreement(AgreementKey::x25519(key)));
    }
    let signing = [Algorithm::EdDsa, Algorithm::Es256, Algorithm::Es384, Algorithm::Es512];
    match signing.into_iter().find(|algorithm| codec(*algorithm) == *prefix) {
        Some(Algorithm::EdDsa) => Ok(MethodKey::Signing(PublicKey::from_bytes(Algorithm::EdDsa, key)?)),
        // Points are compressed, and nothing else: one key has one spelling.
        Some(algorithm) => Ok(MethodKey::Signing(PublicKey::from_compressed_point(algorithm, key)?)),
        None if OTHER_CODECS.contains(prefix) => Ok(MethodKey::Unsupported),
        None => Err(DidError::UnsupportedKey),
    }
}

/// Reads the 32 bytes of a key in base58, as documents before multikeys spelled them.
pub(super) fn from_base58(text: &str, agreement: bool) -> Result<MethodKey, DidError> {
    let short = text.len() <= MULTIKEY_MAX;
    let bytes = short.then(|| base58::decode(text)).flatten().ok_or(DidError::Key(JoseError::InvalidKey))?;
    if agreement {
        let bytes = <&[u8; 32]>::try_from(bytes.as_slice()).map_err(|_| DidError::Key(JoseError::InvalidKey))?;
        return Ok(MethodKey::Agreement(AgreementKey::x25519(bytes)));
    }
    Ok(MethodKey::Signing(PublicKey::from_bytes(Algorithm::EdDsa, &bytes)?))
}

/// Reads a JWK that is for signatures or for agreement. Another type or curve is [`MethodKey::Unsupported`].
pub(super) fn from_jwk(jwk: &Value) -> Result<MethodKey, DidError> {
    let error = match PublicKey::from_jwk(jwk) {
        Ok(key) => return Ok(MethodKey::Signing(key)),
        Err(error @ (JoseError::KeyUse | JoseError::UnsupportedKey)) => error,
        Err(error) => return Err(error.into()),
    };
    match jwk.as_object().map(AgreementKey::from_jwk) {
        Some(Ok(key)) => Ok(MethodKey::Agreement(key)),
        Some(Err(JoseError::UnsupportedKey)) => Ok(MethodKey::Unsupported),
        Some(Err(other)) => Err(other.into()),
        None => Err(error.into()),
    }
}

/// The document of a did:key, or of the did:peer:0 that is the same key (did:key section 3.1): every relationship is
/// the key's, and others encrypt to the key that follows from it.
pub(super) fn document(did: &Did, multikey: &str) -> Result<DidDocument, DidError> {
    let document = DidDocument::empty(did.clone());
    let key = from_multikey(multikey)?;
    let derived = match &key {
        MethodKey::Unsupported => return Err(DidError::UnsupportedKey),
        MethodKey::Agreement(_) => return Ok(document.with(multikey, key, &[Relationship::KeyAgreement])),
        MethodKey::Signing(key) if key.algorithm() == Algorithm::EdDsa => AgreementKey::derived_from(key),
        MethodKey::Signing(_) => return Ok(document.with(multikey, key, &Relationship::ALL)),
    };
    let document = document.with(multikey, key, &Relationship::SIGNING);
    Ok(match derived {
        None => document,
        Some(derived) => {
            let fragment = derived.to_multikey();
            document.with(&fragment, MethodKey::Agreement(derived), &[Relationship::KeyAgreement])
        }
    })
}

/// The document of a did:jwk: the key is `#0`, and its `use` says for what.
pub(super) fn jwk_document(did: &Did, id: &str) -> Result<DidDocument, DidError> {
    let jwk = read_jwk(id)?;
    let key = from_jwk(&jwk)?;
    let relationships: &[Relationship] = match (&key, jwk.get("use").and_then(Value::as_str)) {
        (MethodKey::Unsupported, _) => return Err(DidError::Key(JoseError::UnsupportedKey)),
        (MethodKey::Agreement(_), _) => &[Relationship::KeyAgreement],
        (MethodKey::Signing(_), Some("sig")) => &Relationship::SIGNING,
        (MethodKey::Signing(_), _) => &Relationship::ALL,
    };
    Ok(DidDocument::empty(did.clone()).with("0", key, relationships))
}

pub(super) fn read_jwk(id: &str) -> Result<Value, DidError> {
    Ok(json::parse(&base64url_decode(id)?, JWK_DEPTH).map_err(JoseError::from)?)
}

/// The multicodec of a key that signs, as the varint that stands before it.
pub(super) const fn codec(algorithm: Algorithm) -> [u8; 2] {
    match algorithm {
        Algorithm::EdDsa => [0xed, 0x01],
        Algorithm::Es256 => [0x80, 0x24],
        Algorithm::Es384 => [0x81, 0x24],
        Algorithm::Es512 => [0x82, 0x24],
    }
}

fn multibase(codec: [u8; 2], key: &[u8]) -> String {
    format!("z{}", base58::encode(&[&codec, key].concat()))
}

/// SEC 1 section 2.3.3: x, and the sign of y, which is its last bit.
fn compressed(point: &[u8]) -> Vec<u8> {
    let x = point.iter().skip(1).take(point.len() / 2);
    std::iter::once(2 | point.last().copied().unwrap_or_default() & 1).chain(x.copied()).collect()
}
