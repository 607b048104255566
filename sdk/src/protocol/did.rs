//! DIDs that are keys: `did:key` and `did:jwk`. Both are read from their own text; nothing is fetched.

use std::{fmt, str::FromStr};

use crate::{
    limits::Limits,
    protocol::{
        jose::{Algorithm, JoseError, PublicKey, base64url_decode, base64url_encode},
        json,
    },
};

/// Why a text is no DID, or no key that is accepted.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum DidError {
    /// More text than is read.
    #[error("a DID of {found} bytes is longer than the {limit} that are read")]
    TooLong {
        /// Its length in bytes.
        found: usize,
        /// The bound, from [`Limits`].
        limit: usize,
    },
    /// Not the syntax of a DID (DID Core section 3.1); a DID URL is none either.
    #[error("a DID is `did:`, a method in lower case, and its identifier, without path, query or fragment")]
    Syntax,
    /// Another method than `key` and `jwk`.
    #[error("only the methods `key` and `jwk` hold their key")]
    UnsupportedMethod,
    /// Another multibase than base58btc, or a text that is not that.
    #[error("a did:key is written in base58btc, which begins with `z`")]
    Multibase,
    /// A did:key of a key type that is not accepted, or unknown.
    #[error("the key of a did:key must be on Ed25519, P-256, P-384 or P-521")]
    UnsupportedKey,
    /// The key is not one.
    #[error(transparent)]
    Key(#[from] JoseError),
}

impl DidError {
    /// A stable name for logs and answers.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::TooLong { .. } => "did_too_long",
            Self::Syntax => "did_syntax",
            Self::UnsupportedMethod => "did_unsupported_method",
            Self::Multibase => "did_multibase",
            Self::UnsupportedKey => "did_unsupported_key",
            Self::Key(error) => error.code(),
        }
    }
}

/// A DID, checked for its syntax. Two are the same if their texts are.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Did(String);

impl Did {
    /// The did:key of a key: the shortest name that it has.
    #[must_use]
    pub fn key(key: &PublicKey) -> Self {
        let algorithm = key.algorithm();
        let mut bytes = codec(algorithm).to_vec();
        match (algorithm, key.as_bytes()) {
            (Algorithm::EdDsa, raw) => bytes.extend_from_slice(raw),
            // SEC 1 section 2.3.3: the sign of y is its last bit.
            (_, point) => {
                bytes.push(2 | point.last().copied().unwrap_or_default() & 1);
                bytes.extend(point.iter().skip(1).take(algorithm.coordinate_bytes()));
            }
        }
        Self(format!("did:key:z{}", base58_encode(&bytes)))
    }

    /// The did:jwk of a key: the name that wallets give to a `cnf` key.
    #[must_use]
    pub fn jwk(key: &PublicKey) -> Self {
        Self(format!("did:jwk:{}", base64url_encode(key.to_jwk().to_string().as_bytes())))
    }

    /// Reads a DID of at most [`Limits::did_bytes`]: its syntax alone, of any method.
    ///
    /// # Errors
    /// [`DidError::TooLong`] or [`DidError::Syntax`].
    pub fn parse(text: &str, limits: &Limits) -> Result<Self, DidError> {
        if text.len() > limits.did_bytes {
            return Err(DidError::TooLong { found: text.len(), limit: limits.did_bytes });
        }
        let (method, id) = text.strip_prefix("did:").and_then(|rest| rest.split_once(':')).ok_or(DidError::Syntax)?;
        let method_ok = !method.is_empty() && method.bytes().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit());
        if method_ok && is_method_specific_id(id) { Ok(Self(text.to_owned())) } else { Err(DidError::Syntax) }
    }

    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The key that a did:key or did:jwk is.
    ///
    /// # Errors
    /// If it is of another method, of a key type that is not accepted, malformed, off its curve, or private.
    pub fn public_key(&self) -> Result<PublicKey, DidError> {
        match self.0.strip_prefix("did:").and_then(|rest| rest.split_once(':')) {
            Some(("key", id)) => from_multikey(id),
            Some(("jwk", id)) => {
                let jwk = json::parse(&base64url_decode(id)?, JWK_DEPTH).map_err(JoseError::from)?;
                Ok(PublicKey::from_jwk(&jwk)?)
            }
            _ => Err(DidError::UnsupportedMethod),
        }
    }
}

impl fmt::Display for Did {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for Did {
    type Err = DidError;

    /// [`Did::parse`] with the default limits.
    fn from_str(text: &str) -> Result<Self, DidError> {
        Self::parse(text, &Limits::default())
    }
}

/// A JWK is flat but for members that are ignored, such as `x5c`.
const JWK_DEPTH: usize = 4;

/// A did:key of P-521, the longest accepted, has 95 characters after the `z`. Decoding is quadratic, so longer ones,
/// which are RSA or BLS12-381 keys, are not decoded.
const BASE58_MAX: usize = 96;

const BASE58: &[u8; 58] = b"123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz";

/// The multicodec of a public key, as the varint that stands before it.
const fn codec(algorithm: Algorithm) -> [u8; 2] {
    match algorithm {
        Algorithm::EdDsa => [0xed, 0x01],
        Algorithm::Es256 => [0x80, 0x24],
        Algorithm::Es384 => [0x81, 0x24],
        Algorithm::Es512 => [0x82, 0x24],
    }
}

fn from_multikey(id: &str) -> Result<PublicKey, DidError> {
    let text = id.strip_prefix('z').ok_or(DidError::Multibase)?;
    if text.len() > BASE58_MAX {
        return Err(DidError::UnsupportedKey);
    }
    let bytes = base58_decode(text).ok_or(DidError::Multibase)?;
    let (prefix, key) = bytes.split_at_checked(2).ok_or(DidError::UnsupportedKey)?;
    let algorithm = [Algorithm::EdDsa, Algorithm::Es256, Algorithm::Es384, Algorithm::Es512]
        .into_iter()
        .find(|algorithm| codec(*algorithm) == prefix)
        .ok_or(DidError::UnsupportedKey)?;
    Ok(match algorithm {
        Algorithm::EdDsa => PublicKey::from_bytes(algorithm, key)?,
        // Points are compressed, and nothing else: one key has one did:key.
        _ => PublicKey::from_compressed_point(algorithm, key)?,
    })
}

/// `*( *idchar ":" ) 1*idchar` of DID Core section 3.1.
fn is_method_specific_id(id: &str) -> bool {
    let mut bytes = id.bytes();
    while let Some(byte) = bytes.next() {
        let fits = match byte {
            b'%' => (0..2).all(|_| bytes.next().is_some_and(|digit| digit.is_ascii_hexdigit())),
            _ => byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b'_' | b':'),
        };
        if !fits {
            return false;
        }
    }
    !id.is_empty() && !id.ends_with(':')
}

fn base58_encode(bytes: &[u8]) -> String {
    let zeros = bytes.iter().take_while(|byte| **byte == 0).count();
    // Digits to the base of 58, the lowest first.
    let mut digits: Vec<u8> = Vec::new();
    for byte in bytes {
        let mut carry = u32::from(*byte);
        for digit in &mut digits {
            carry += u32::from(*digit) << 8;
            *digit = (carry % 58) as u8;
            carry /= 58;
        }
        while carry > 0 {
            digits.push((carry % 58) as u8);
            carry /= 58;
        }
    }
    let letters = digits.iter().rev().filter_map(|digit| BASE58.get(usize::from(*digit)));
    std::iter::repeat_n(&b'1', zeros).chain(letters).map(|letter| char::from(*letter)).collect()
}

fn base58_decode(text: &str) -> Option<Vec<u8>> {
    let zeros = text.bytes().take_while(|letter| *letter == b'1').count();
    // Bytes, the lowest first.
    let mut bytes: Vec<u8> = Vec::new();
    for letter in text.bytes() {
        let mut carry = u32::try_from(BASE58.iter().position(|known| *known == letter)?).ok()?;
        for byte in &mut bytes {
            carry += u32::from(*byte) * 58;
            *byte = (carry & 0xff) as u8;
            carry >>= 8;
        }
        if carry > 0 {
            bytes.push(carry as u8);
        }
    }
    bytes.resize(bytes.len() + zeros, 0);
    bytes.reverse();
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::jose::SigningKey;
    use serde_json::json;

    fn resolve(text: &str) -> Result<PublicKey, DidError> {
        Did::parse(text, &Limits::default())?.public_key()
    }

    #[test]
    fn keys_survive_their_dids() {
        let p521 = json!({"kty": "EC", "crv": "P-521",
            "x": "AQgyFy6EwH3_u_KXPw8aTXTY7WSVytmbuJeFpq4U6LipxtSmBJe_jjRzms9qubnwm_fGoHMQlvQ1vzS2YLusR2V0",
            "y": "Ab06MCcgoG7dM2I-VppdLV1k3lDoeHMvyYqHVfP05Ep2O7Zu0Qwd6IVzfZi9K0KMDud22wdnGUpUtFukZo0EeO15"});
        for key in [
            SigningKey::from_p256_scalar(&[7; 32]).unwrap().public_key(),
            SigningKey::from_p256_scalar(&[8; 32]).unwrap().public_key(),
            SigningKey::from_ed25519_seed(&[7; 32]).unwrap().public_key(),
            &PublicKey::from_jwk(&p521).unwrap(),
        ] {
            for did in [Did::key(key), Did::jwk(key)] {
                assert_eq!(&resolve(did.as_str()).unwrap(), key);
                assert_eq!(did.to_string().parse(), Ok(did));
            }
        }
    }

    #[test]
    fn one_thing_wrong_is_refused() {
        let key = SigningKey::from_p256_scalar(&[7; 32]).unwrap();
        let bytes = base58_decode(Did::key(key.public_key()).as_str().strip_prefix("did:key:z").unwrap()).unwrap();
        let did = |bytes: &[u8]| resolve(&format!("did:key:z{}", base58_encode(bytes)));
        assert!(did(&bytes).is_ok());
        let changed = |at: usize, to: u8| {
            let mut bytes = bytes.clone();
            bytes[at] = to;
            did(&bytes)
        };
        assert_eq!(changed(0, 0x85), Err(DidError::UnsupportedKey));
        assert_eq!(changed(2, 4), Err(DidError::Key(JoseError::InvalidKey)));
        assert_eq!(did(&bytes[..34]), Err(DidError::Key(JoseError::InvalidKey)));
        assert_eq!(did(&[bytes.as_slice(), &[0]].concat()), Err(DidError::Key(JoseError::InvalidKey)));
        let uncompressed = [codec(Algorithm::Es256).as_slice(), key.public_key().as_bytes()].concat();
        assert_eq!(did(&uncompressed), Err(DidError::Key(JoseError::InvalidKey)));
        assert_eq!(did(&[0xed]), Err(DidError::UnsupportedKey));
        assert_eq!(did(&[]), Err(DidError::UnsupportedKey));
        let huge = format!("did:key:z{}", "2".repeat(2000));
        assert_eq!(resolve(&huge), Err(DidError::UnsupportedKey));
        let huge = format!("did:key:z{}", "1".repeat(200_000));
        assert!(matches!(resolve(&huge), Err(DidError::TooLong { .. })));
        for text in ["did:key:z0", "did:key:uAA", "did:key:mAA", "did:key:Z6Mk"] {
            assert_eq!(resolve(text), Err(DidError::Multibase), "{text}");
        }
        assert_eq!(resolve("did:web:shop.example"), Err(DidError::UnsupportedMethod));
    }

    #[test]
    fn a_did_jwk_is_strict() {
        let did = |jwk: &str| resolve(&format!("did:jwk:{}", base64url_encode(jwk.as_bytes())));
        let good = r#"{"kty":"OKP","crv":"Ed25519","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}"#;
        assert!(did(good).is_ok());
        assert_eq!(did(&good.replace('{', r#"{"d":"AA","#)), Err(DidError::Key(JoseError::PrivateKey)));
        assert_eq!(did(&good.replace('{', r#"{"use":"enc","#)), Err(DidError::Key(JoseError::KeyUse)));
        assert!(did(&good.replace('{', r#"{"crv":"Ed25519","#)).is_err());
        assert!(did("{}").is_err());
        assert!(did("[]").is_err());
    }

    #[test]
    fn a_did_has_the_syntax_of_one() {
        for text in ["did:key:z6Mk", "did:web:shop.example%3A8443:a:b", "did:a1:_-.", "did:x::a"] {
            assert!(Did::parse(text, &Limits::default()).is_ok(), "{text}");
        }
        for text in [
            "",
            "did",
            "did:",
            "did:key",
            "did:key:",
            "DID:key:z",
            "did:Key:z",
            "did::z",
            "did:key:z#f",
            "did:key:z/p",
            "did:key:z?q",
            " did:key:z",
            "did:key:z ",
            "did:key:z%4",
            "did:key:z%zz",
            "did:key:ä",
            "did:key:a:",
            "did:k-y:z",
        ] {
            assert_eq!(Did::parse(text, &Limits::default()), Err(DidError::Syntax), "{text}");
        }
    }

    #[test]
    fn base58_keeps_every_byte() {
        for bytes in [vec![], vec![0], vec![0, 0, 1], vec![0xff; 60], (0..=60).collect(), vec![57], vec![58]] {
            assert_eq!(base58_decode(&base58_encode(&bytes)), Some(bytes));
        }
        assert_eq!(base58_encode(b"Hello World!"), "2NEpo7TZRRrLZSi2U");
        for text in ["0", "O", "I", "l", " ", "ä"] {
            assert_eq!(base58_decode(text), None, "{text}");
        }
    }
}
