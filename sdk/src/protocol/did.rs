//! DIDs that resolve from their own text, `did:key`, `did:jwk` and `did:peer`, and where those lie that do not. Nothing
//! is fetched.
//!
//! Texts are compared as they are: a DID is never normalised, and case matters.

use std::{fmt, str::FromStr};

use crate::{
    limits::Limits,
    protocol::jose::{JoseError, PublicKey, base64url_encode},
};

pub(crate) mod base58;
mod curve25519;
mod document;
mod key;
mod peer;
pub mod proof;
mod web;

pub use document::{DidDocument, MethodKey, Relationship, VerificationMethod};
pub(crate) use key::multikey;
pub use key::{AgreementCurve, AgreementKey};

/// Why a text is no DID, or a DID does not resolve.
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
    /// Not the syntax of a DID (DID Core section 3.1), or of its method; a DID URL is none either.
    #[error("a DID is `did:`, a method in lower case, and its identifier, without path, query or fragment")]
    Syntax,
    /// A method that is not read from its own text, or a did:peer whose document is elsewhere.
    #[error("only did:key, did:jwk and did:peer with numalgo 0, 2, 3 and 4 resolve from their own text")]
    UnsupportedMethod,
    /// Another multibase than base58btc, or a text that is not that.
    #[error("keys and documents in a DID are written in base58btc, which begins with `z`")]
    Multibase,
    /// A key of a type that is not accepted, or unknown, or not for what the DID has it for.
    #[error("the key must be on Ed25519, P-256, P-384 or P-521, or on X25519 to be encrypted to")]
    UnsupportedKey,
    /// A short form, and its long form was not kept.
    #[error("a short form resolves only where its long form was stored: send the long form first")]
    NotStored,
    /// The hash in the DID is not that of its document.
    #[error("the DID is not the hash of its document")]
    Hash,
    /// A member of the document that is missing where it is required, of the wrong form, or leads nowhere.
    #[error("`{0}` of the DID document is missing or of the wrong form")]
    Member(&'static str),
    /// Two keys or services of one name, or one reference twice.
    #[error("the DID document gives one name to two things")]
    Duplicate,
    /// A name, a reference or a controller under another DID.
    #[error("the DID document names something under another DID")]
    Foreign,
    /// A DID that should lead to a web server, and leads to none.
    #[error("the DID leads to no address: {0}")]
    Address(&'static str),
    /// More keys than are read.
    #[error("a DID document has more than the {limit} keys that are read")]
    TooMany {
        /// The bound.
        limit: usize,
    },
    /// The key is not one, or the document is not strict JSON.
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
            Self::NotStored => "did_not_stored",
            Self::Hash => "did_hash",
            Self::Member(_) => "did_document",
            Self::Duplicate => "did_duplicate",
            Self::Foreign => "did_foreign",
            Self::Address(_) => "did_address",
            Self::TooMany { .. } => "did_too_many",
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
        Self(format!("did:key:{}", multikey(key)))
    }

    /// The did:jwk of a key: the name that wallets give to a `cnf` key.
    #[must_use]
    pub fn jwk(key: &PublicKey) -> Self {
        Self(format!("did:jwk:{}", base64url_encode(key.to_jwk().to_string().as_bytes())))
    }

    /// The did:peer:4, in its long form, that stands for a document without `id` whose names are relative: a JSON text,
    /// kept byte by byte, since the DID is its hash.
    ///
    /// # Errors
    /// If the DID would not [resolve](Self::resolve).
    pub fn peer(document: &str, limits: &Limits) -> Result<Self, DidError> {
        let did = Self::parse(&peer::encode(document), limits)?;
        did.resolve(None, limits)?;
        Ok(did)
    }

    /// The long and the short form of the did:peer:4 of a document of our own, which is known to resolve.
    pub(crate) fn peer_of(document: &str) -> (Self, Self) {
        let long = peer::encode(document);
        let short = long.rsplit_once(':').map_or_else(String::new, |(short, _)| short.to_owned());
        (Self(long), Self(short))
    }

    /// The did:web of a host, with its port where that is not the scheme's own (did:web section 3.1).
    pub(crate) fn web(host: &str, port: Option<u16>) -> Self {
        let host = host.bytes().map(|c| match is_id_character(c) {
            true => char::from(c).to_string(),
            false => format!("%{c:02X}"),
        });
        let port = port.map_or_else(String::new, |port| format!("%3A{port}"));
        Self(format!("did:web:{}{port}", host.collect::<String>()))
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

    /// The method, such as `peer`.
    #[must_use]
    pub fn method(&self) -> &str {
        self.parts().0
    }

    /// Whether it is a did:peer that says nothing by itself: see [`resolve`](Self::resolve).
    #[must_use]
    pub fn is_short_form(&self) -> bool {
        match self.parts() {
            ("peer", id) => id.starts_with('3') || (id.starts_with('4') && !id.contains(':')),
            _ => false,
        }
    }

    /// The key that a did:key or did:jwk is.
    ///
    /// # Errors
    /// If it is of another method, of a key type that is not accepted, malformed, off its curve, or private.
    pub fn public_key(&self) -> Result<PublicKey, DidError> {
        match self.parts() {
            ("key", id) => match key::from_multikey(id)? {
                MethodKey::Signing(key) => Ok(key),
                _ => Err(DidError::UnsupportedKey),
            },
            ("jwk", id) => Ok(PublicKey::from_jwk(&key::read_jwk(id)?)?),
            _ => Err(DidError::UnsupportedMethod),
        }
    }

    /// The document of a did:key, did:jwk or did:peer, from the text alone. A short form (did:peer:3, and did:peer:4
    /// without its document) says nothing by itself: it is read in the light of the `long` form that was stored.
    ///
    /// # Errors
    /// If it is of another method, if its hash is not that of its document, or if the document does not hold: see
    /// [`DidDocument`].
    pub fn resolve(&self, long: Option<&Self>, limits: &Limits) -> Result<DidDocument, DidError> {
        match self.parts() {
            ("key", id) => key::document(self, id),
            ("jwk", id) => key::jwk_document(self, id),
            ("peer", id) => peer::resolve(self, id, long, limits),
            _ => Err(DidError::UnsupportedMethod),
        }
    }

    /// The method and its identifier.
    fn parts(&self) -> (&str, &str) {
        self.0.strip_prefix("did:").and_then(|rest| rest.split_once(':')).unwrap_or_default()
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

/// `*( *idchar ":" ) 1*idchar` of DID Core section 3.1.
fn is_method_specific_id(id: &str) -> bool {
    let mut bytes = id.bytes();
    while let Some(byte) = bytes.next() {
        let fits = match byte {
            b'%' => (0..2).all(|_| bytes.next().is_some_and(|digit| digit.is_ascii_hexdigit())),
            _ => byte == b':' || is_id_character(byte),
        };
        if !fits {
            return false;
        }
    }
    !id.is_empty() && !id.ends_with(':')
}

fn is_id_character(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b'_')
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::jose::{Algorithm, SigningKey};
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
        let bytes = base58::decode(Did::key(key.public_key()).as_str().strip_prefix("did:key:z").unwrap()).unwrap();
        let did = |bytes: &[u8]| resolve(&format!("did:key:z{}", base58::encode(bytes)));
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
        let uncompressed = [key::codec(Algorithm::Es256).as_slice(), key.public_key().as_bytes()].concat();
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
}
