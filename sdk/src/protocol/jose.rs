//! Signed and encrypted JSON (RFC 7515 to 7518, 7638, 8037, 8725): compact JWS, JWK and compact JWE.
//!
//! What can be read here is what is accepted: ES256, ES384, ES512 and EdDSA with Ed25519 for signatures, ECDH-ES on
//! P-256 with AES-GCM for encryption. `none`, HMAC, RSA and key wrapping are not in the types, so no header can ask for
//! them. A key decides which algorithm it is used with; a header must agree. Keys never come out of a header unless the
//! caller takes them there on purpose ([`Header::jwk`], [`Header::x5c`]); `jku` and `x5u` are never read.
//!
//! This is the only file that knows `josekit`: it signs with P-256, and encrypts like a wallet. What strangers send is
//! checked and opened by aws-lc-rs alone.

use std::{borrow::Cow, fmt, str::FromStr, sync::Arc};

#[cfg(any(test, feature = "testing"))]
use aws_lc_rs::signature::{ECDSA_P384_SHA384_FIXED_SIGNING, ECDSA_P521_SHA512_FIXED_SIGNING};
use aws_lc_rs::{
    aead::{self, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey},
    agreement,
    digest::{self, SHA256, digest},
    encoding::AsDer,
    signature::{
        ECDSA_P256_SHA256_FIXED, ECDSA_P256_SHA256_FIXED_SIGNING, ECDSA_P384_SHA384_FIXED, ECDSA_P521_SHA512_FIXED,
        ED25519, EcdsaKeyPair, Ed25519KeyPair, KeyPair, ParsedPublicKey, VerificationAlgorithm,
    },
};
use base64::{
    Engine,
    prelude::{BASE64_STANDARD, BASE64_URL_SAFE_NO_PAD},
};
#[cfg(any(test, feature = "testing"))]
use josekit::jws::{ES384, ES512};
use josekit::{
    jwe::{ECDH_ES, JweHeader},
    jwk::Jwk,
    jws::{ES256, JwsSigner, alg::ecdsa::EcdsaJwsSigner},
};
use serde_json::{Map, Value, json};
use x509_cert::{der::asn1::ObjectIdentifier, spki::SubjectPublicKeyInfoRef};
use zeroize::Zeroizing;

use crate::{
    limits::Limits,
    protocol::json::{self, JsonError},
};

/// Why a signature, key or ciphertext is not accepted.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum JoseError {
    /// More text than is read.
    #[error("{found} bytes are more than the {limit} that are read")]
    TooLarge {
        /// Its length in bytes.
        found: usize,
        /// The bound, from [`Limits`].
        limit: usize,
    },
    /// Not the compact form: three parts for a JWS, five for a JWE, with a dot between them.
    #[error("the compact form has {expected} parts")]
    Parts {
        /// How many there must be.
        expected: usize,
    },
    /// Not the one base64 text of its bytes: padding, white space, another alphabet, or bits left over.
    #[error("base64 must be canonical: its own alphabet, no white space, no bits left over")]
    Base64,
    /// A header or claims that are not strict JSON.
    #[error(transparent)]
    Json(#[from] JsonError),
    /// A header, a key or claims that are JSON but no object.
    #[error("a header, a key or claims must be a JSON object")]
    NotAnObject,
    /// A member that is missing where it is required, or of the wrong JSON type or form.
    #[error("`{0}` is missing or of the wrong type")]
    Member(&'static str),
    /// An `alg` or `enc` that is not accepted, `none` among them.
    #[error("the algorithm is none of those accepted")]
    UnsupportedAlgorithm,
    /// The header names another algorithm than the key is for.
    #[error("the header says {header} and the key is for {key}")]
    AlgorithmMismatch {
        /// What the header names.
        header: Algorithm,
        /// What the key is for.
        key: Algorithm,
    },
    /// `crit`, `b64` or `zip`: extensions change what a token means, and none is understood.
    #[error("the header extension `{0}` is not understood")]
    Extension(&'static str),
    /// A `typ` of another kind of token (RFC 8725 section 3.11).
    #[error("the token is of another type than expected here")]
    TokenType,
    /// A private or symmetric key where a public one belongs.
    #[error("a key that is shown must not hold private members")]
    PrivateKey,
    /// A key type or curve that is not accepted.
    #[error("the key must be on P-256, P-384, P-521 or Ed25519")]
    UnsupportedKey,
    /// `use`, `key_ops` or `alg` of the key say that it is not for this.
    #[error("the key says that it is for something else")]
    KeyUse,
    /// Coordinates of the wrong length, off the curve or of small order, or a scalar out of range.
    #[error("the key is not a valid key of its curve")]
    InvalidKey,
    /// The signature is not the key's over these bytes.
    #[error("the signature does not hold")]
    Signature,
    /// The JWE is meant for another key than this one.
    #[error("the encryption is meant for another key")]
    Recipient,
    /// The ciphertext, its tag or its header are not what the sender made with our key.
    #[error("the encryption does not open")]
    Decryption,
    /// Our own key failed to sign or encrypt; nothing that a peer does leads here.
    #[error("signing or encrypting failed")]
    Crypto,
}

impl JoseError {
    /// A stable name for logs and answers.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::TooLarge { .. } => "jose_too_large",
            Self::Parts { .. } => "jose_parts",
            Self::Base64 => "jose_base64",
            Self::Json(error) => error.code(),
            Self::NotAnObject => "jose_not_an_object",
            Self::Member(_) => "jose_member",
            Self::UnsupportedAlgorithm => "jose_unsupported_algorithm",
            Self::AlgorithmMismatch { .. } => "jose_algorithm_mismatch",
            Self::Extension(_) => "jose_extension",
            Self::TokenType => "jose_token_type",
            Self::PrivateKey => "jose_private_key",
            Self::UnsupportedKey => "jose_unsupported_key",
            Self::KeyUse => "jose_key_use",
            Self::InvalidKey => "jose_invalid_key",
            Self::Signature => "jose_signature",
            Self::Recipient => "jose_recipient",
            Self::Decryption => "jose_decryption",
            Self::Crypto => "jose_crypto",
        }
    }
}

/// The signature algorithms that are accepted. A key decides; a header must agree.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Algorithm {
    /// ECDSA with P-256 and SHA-256.
    Es256,
    /// ECDSA with P-384 and SHA-384.
    Es384,
    /// ECDSA with P-521 and SHA-512.
    Es512,
    /// Ed25519, which a header calls `EdDSA` (RFC 8037) or `Ed25519` (RFC 9864).
    EdDsa,
}

impl Algorithm {
    /// The name that a header of ours carries.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Es256 => "ES256",
            Self::Es384 => "ES384",
            Self::Es512 => "ES512",
            Self::EdDsa => "EdDSA",
        }
    }

    fn from_name(name: &str) -> Option<Self> {
        match name {
            "ES256" => Some(Self::Es256),
            "ES384" => Some(Self::Es384),
            "ES512" => Some(Self::Es512),
            "EdDSA" | "Ed25519" => Some(Self::EdDsa),
            _ => None,
        }
    }

    fn from_curve(kty: &str, crv: &str) -> Option<Self> {
        match (kty, crv) {
            ("EC", "P-256") => Some(Self::Es256),
            ("EC", "P-384") => Some(Self::Es384),
            ("EC", "P-521") => Some(Self::Es512),
            ("OKP", "Ed25519") => Some(Self::EdDsa),
            _ => None,
        }
    }

    const fn curve(self) -> &'static str {
        match self {
            Self::Es256 => "P-256",
            Self::Es384 => "P-384",
            Self::Es512 => "P-521",
            Self::EdDsa => "Ed25519",
        }
    }

    /// Bytes of one coordinate.
    pub(crate) const fn coordinate_bytes(self) -> usize {
        match self {
            Self::Es256 | Self::EdDsa => 32,
            Self::Es384 => 48,
            Self::Es512 => 66,
        }
    }

    fn verification(self) -> &'static dyn VerificationAlgorithm {
        match self {
            Self::Es256 => &ECDSA_P256_SHA256_FIXED,
            Self::Es384 => &ECDSA_P384_SHA384_FIXED,
            Self::Es512 => &ECDSA_P521_SHA512_FIXED,
            Self::EdDsa => &ED25519,
        }
    }
}

impl fmt::Display for Algorithm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// The SHA-256 thumbprint of a public key (RFC 7638); its text is the 43 characters of base64url.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub struct Thumbprint([u8; 32]);

impl Thumbprint {
    /// The 32 bytes of the digest.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

impl fmt::Display for Thumbprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&base64url_encode(&self.0))
    }
}

impl FromStr for Thumbprint {
    type Err = JoseError;

    fn from_str(text: &str) -> Result<Self, JoseError> {
        let bytes = base64url_decode(text)?;
        Ok(Self(bytes.try_into().map_err(|_| JoseError::Base64)?))
    }
}

/// A checked public key on P-256, P-384, P-521 or Ed25519: on its curve, meant for signatures, without private part.
///
/// It is parsed once and cheap to clone; equal keys are equal whatever they were read from. Its `Debug` shows the
/// algorithm alone, since a wallet's key follows its holder.
#[derive(Clone)]
pub struct PublicKey {
    algorithm: Algorithm,
    /// What verifies, with the bytes it was made of: an uncompressed point, or the 32 bytes of Ed25519.
    parsed: Arc<ParsedPublicKey>,
}

impl PublicKey {
    /// Reads a JWK (RFC 7517, RFC 7518 section 6.2, RFC 8037) with `kty`, `crv`, `x` and, but for Ed25519, `y`.
    ///
    /// # Errors
    /// If it holds private members, is of another type or curve, is not on its curve, or says by `use`, `key_ops` or
    /// `alg` that it is not for signatures of its kind. Members unknown here are ignored (RFC 7517 section 4).
    pub fn from_jwk(jwk: &Value) -> Result<Self, JoseError> {
        let jwk = jwk.as_object().ok_or(JoseError::NotAnObject)?;
        let key = Self::from_jwk_coordinates(jwk)?;
        if member(jwk, "use")?.is_some_and(|usage| usage != "sig") {
            return Err(JoseError::KeyUse);
        }
        match jwk.get("key_ops") {
            None => {}
            Some(Value::Array(ops)) if !ops.iter().all(Value::is_string) => return Err(JoseError::Member("key_ops")),
            Some(Value::Array(ops)) if !ops.iter().any(|op| op == "verify") => return Err(JoseError::KeyUse),
            Some(Value::Array(_)) => {}
            Some(_) => return Err(JoseError::Member("key_ops")),
        }
        if member(jwk, "alg")?.is_some_and(|alg| Algorithm::from_name(alg) != Some(key.algorithm)) {
            return Err(JoseError::KeyUse);
        }
        Ok(key)
    }

    /// Reads a SubjectPublicKeyInfo in DER (RFC 5280 section 4.1.2.7, RFC 5480, RFC 8410).
    ///
    /// # Errors
    /// If it is not DER, of another type or curve, or not an uncompressed point on its curve.
    pub fn from_spki_der(der: &[u8]) -> Result<Self, JoseError> {
        let spki = SubjectPublicKeyInfoRef::try_from(der).map_err(|_| JoseError::InvalidKey)?;
        let algorithm = match (spki.algorithm.oid, spki.algorithm.parameters) {
            (ED25519_OID, None) => Algorithm::EdDsa,
            (EC_OID, Some(curve)) => match curve.decode_as::<ObjectIdentifier>() {
                Ok(P256_OID) => Algorithm::Es256,
                Ok(P384_OID) => Algorithm::Es384,
                Ok(P521_OID) => Algorithm::Es512,
                _ => return Err(JoseError::UnsupportedKey),
            },
            _ => return Err(JoseError::UnsupportedKey),
        };
        Self::from_bytes(algorithm, spki.subject_public_key.as_bytes().ok_or(JoseError::InvalidKey)?)
    }

    /// What the key is for.
    #[must_use]
    pub fn algorithm(&self) -> Algorithm {
        self.algorithm
    }

    /// The JWK with the members that make the key, and no others.
    #[must_use]
    pub fn to_jwk(&self) -> Value {
        let (x, y) = self.coordinates();
        match y {
            Some(y) => json!({ "kty": "EC", "crv": self.algorithm.curve(), "x": x, "y": y }),
            None => json!({ "kty": "OKP", "crv": self.algorithm.curve(), "x": x }),
        }
    }

    /// The thumbprint of the key (RFC 7638 section 3; RFC 8037 section 2 for Ed25519).
    #[must_use]
    pub fn thumbprint(&self) -> Thumbprint {
        let (x, y) = self.coordinates();
        let crv = self.algorithm.curve();
        // The members in lexicographic order without white space; no value needs an escape.
        Thumbprint(sha256(
            match y {
                Some(y) => format!(r#"{{"crv":"{crv}","kty":"EC","x":"{x}","y":"{y}"}}"#),
                None => format!(r#"{{"crv":"{crv}","kty":"OKP","x":"{x}"}}"#),
            }
            .as_bytes(),
        ))
    }

    /// Checks a raw signature as a JWS carries it: `r` and `s` side by side (RFC 7518 section 3.4), or the 64 bytes of
    /// Ed25519.
    ///
    /// # Errors
    /// [`JoseError::Signature`] if it does not hold.
    pub fn verify(&self, message: &[u8], signature: &[u8]) -> Result<(), JoseError> {
        self.parsed.verify_sig(message, signature).map_err(|_| JoseError::Signature)
    }

    /// A key of its bytes: an uncompressed point (SEC 1 section 2.3.4), or the 32 bytes of Ed25519.
    pub(crate) fn from_bytes(algorithm: Algorithm, bytes: &[u8]) -> Result<Self, JoseError> {
        let size = algorithm.coordinate_bytes();
        let well_formed = match algorithm {
            Algorithm::EdDsa => bytes.len() == size && !is_weak_ed25519(bytes),
            _ => bytes.len() == 1 + 2 * size && bytes.first() == Some(&UNCOMPRESSED),
        };
        if !well_formed {
            return Err(JoseError::InvalidKey);
        }
        // Whether the point lies on the curve is checked where it is parsed.
        let parsed = ParsedPublicKey::new(algorithm.verification(), bytes).map_err(|_| JoseError::InvalidKey)?;
        Ok(Self { algorithm, parsed: Arc::new(parsed) })
    }

    /// A key of a compressed point (SEC 1 section 2.3.4).
    pub(crate) fn from_compressed_point(algorithm: Algorithm, bytes: &[u8]) -> Result<Self, JoseError> {
        if bytes.len() != 1 + algorithm.coordinate_bytes() || !matches!(bytes.first(), Some(2 | 3)) {
            return Err(JoseError::InvalidKey);
        }
        let parsed = ParsedPublicKey::new(algorithm.verification(), bytes).map_err(|_| JoseError::InvalidKey)?;
        Self::from_spki_der(parsed.as_der().map_err(|_| JoseError::InvalidKey)?.as_ref())
    }

    /// The bytes that [`from_bytes`](Self::from_bytes) reads.
    pub(crate) fn as_bytes(&self) -> &[u8] {
        (*self.parsed).as_ref()
    }

    /// The key of `kty`, `crv` and the coordinates, whatever else the JWK says of its use.
    pub(crate) fn from_jwk_coordinates(jwk: &Map<String, Value>) -> Result<Self, JoseError> {
        refuse_private_members(jwk)?;
        let kty = member(jwk, "kty")?.ok_or(JoseError::Member("kty"))?;
        let crv = member(jwk, "crv")?.ok_or(JoseError::UnsupportedKey)?;
        let algorithm = Algorithm::from_curve(kty, crv).ok_or(JoseError::UnsupportedKey)?;
        let size = algorithm.coordinate_bytes();
        let mut bytes = Vec::with_capacity(1 + 2 * size);
        if algorithm != Algorithm::EdDsa {
            bytes.push(UNCOMPRESSED);
        }
        for name in if algorithm == Algorithm::EdDsa { ["x"].as_slice() } else { &["x", "y"] } {
            // Full length, leading zeros included (RFC 7518 section 6.2.1.2): one text for one key.
            let text = member(jwk, name)?.ok_or(JoseError::Member(name))?;
            let coordinate = base64url_decode(text)?;
            if coordinate.len() != size {
                return Err(JoseError::InvalidKey);
            }
            bytes.extend_from_slice(&coordinate);
        }
        Self::from_bytes(algorithm, &bytes)
    }

    /// `x` and, but for Ed25519, `y` as a JWK has them.
    fn coordinates(&self) -> (String, Option<String>) {
        match self.algorithm {
            Algorithm::EdDsa => (base64url_encode(self.as_bytes()), None),
            _ => {
                let point = self.as_bytes().get(1..).unwrap_or_default();
                let (x, y) = point.split_at_checked(self.algorithm.coordinate_bytes()).unwrap_or_default();
                (base64url_encode(x), Some(base64url_encode(y)))
            }
        }
    }
}

impl PartialEq for PublicKey {
    fn eq(&self, other: &Self) -> bool {
        self.algorithm == other.algorithm && self.as_bytes() == other.as_bytes()
    }
}

impl Eq for PublicKey {}

impl fmt::Debug for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PublicKey").field("algorithm", &self.algorithm).finish_non_exhaustive()
    }
}

/// The header of a JWS, checked for its form. What it holds is the sender's word until a signature holds.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Header {
    /// The algorithm that it names.
    pub alg: Algorithm,
    /// The type that it names, as written.
    pub typ: Option<String>,
    /// The name of a key: opaque, of no more than [`Limits::kid_bytes`].
    pub kid: Option<String>,
    /// Certificates in DER, the leaf first, no path checked.
    pub x5c: Option<Vec<Vec<u8>>>,
    /// A key without private members, nothing else about it checked.
    pub jwk: Option<Value>,
    /// Somebody else's word about the key, a token of its own (OpenID4VCI 1.0, appendix F.1).
    pub key_attestation: Option<String>,
}

impl Header {
    fn read(json: &[u8], understood: &[&str], limits: &Limits) -> Result<Self, JoseError> {
        let mut header = object(json, limits)?;
        // RFC 7515 section 4.1.11: what is listed must be there and be understood.
        if let Some(listed) = header.get("crit") {
            let listed = listed.as_array().filter(|listed| !listed.is_empty()).ok_or(JoseError::Extension("crit"))?;
            let fits = |name: &str| understood.contains(&name) && header.contains_key(name);
            if !listed.iter().all(|name| name.as_str().is_some_and(fits)) {
                return Err(JoseError::Extension("crit"));
            }
        }
        // RFC 7797: `b64` changes which bytes are signed, whether or not `crit` says so.
        if header.contains_key("b64") {
            return Err(JoseError::Extension("b64"));
        }
        let jwk = header.remove("jwk");
        if let Some(jwk) = &jwk {
            refuse_private_members(jwk.as_object().ok_or(JoseError::Member("jwk"))?)?;
        }
        let alg = member(&header, "alg")?.ok_or(JoseError::Member("alg"))?;
        let kid = member(&header, "kid")?;
        if kid.is_some_and(|kid| kid.len() > limits.kid_bytes) {
            return Err(JoseError::Member("kid"));
        }
        Ok(Self {
            alg: Algorithm::from_name(alg).ok_or(JoseError::UnsupportedAlgorithm)?,
            typ: member(&header, "typ")?.map(str::to_owned),
            kid: kid.map(str::to_owned),
            x5c: header.get("x5c").map(|x5c| certificates(x5c, limits)).transpose()?,
            jwk,
            key_attestation: member(&header, "key_attestation")?.map(str::to_owned),
        })
    }
}

/// A compact JWS whose payload is a JSON object, as parsed: nothing in it is believed yet.
#[derive(Clone, Debug)]
pub struct Jws<'a> {
    signing_input: Cow<'a, str>,
    header: Header,
    claims: Map<String, Value>,
    signature: Vec<u8>,
}

impl<'a> Jws<'a> {
    /// Stands among the types of [`verify`](Self::verify) where a standard leaves `typ` open: any will do, and none.
    pub const ANY_TYPE: &'static str = "*";

    /// Parses the compact form (RFC 7515 section 7.1) of at most [`Limits::jws_bytes`].
    ///
    /// # Errors
    /// If it is not three parts of canonical base64url, if header or claims are not strict JSON objects, or if the
    /// header names an algorithm or an extension that is not accepted.
    pub fn parse(text: &'a str, limits: &Limits) -> Result<Self, JoseError> {
        Self::parse_understanding(text, &[], limits)
    }

    /// The same for a kind of token whose header has critical extensions: `understood` are those that its reader knows
    /// what to do with.
    ///
    /// # Errors
    /// As [`parse`](Self::parse).
    pub fn parse_understanding(text: &'a str, understood: &[&str], limits: &Limits) -> Result<Self, JoseError> {
        if text.len() > limits.jws_bytes {
            return Err(JoseError::TooLarge { found: text.len(), limit: limits.jws_bytes });
        }
        let parts = JoseError::Parts { expected: 3 };
        let (signing_input, signature) = text.rsplit_once('.').ok_or_else(|| parts.clone())?;
        let (header, claims) = signing_input.split_once('.').ok_or_else(|| parts.clone())?;
        if claims.contains('.') {
            return Err(parts);
        }
        Ok(Self {
            signing_input: Cow::Borrowed(signing_input),
            header: Header::read(&base64url_decode(header)?, understood, limits)?,
            claims: object(&base64url_decode(claims)?, limits)?,
            signature: base64url_decode(signature)?,
        })
    }

    /// The same, kept for longer than the text that it was parsed from.
    #[must_use]
    pub fn into_owned(self) -> Jws<'static> {
        let Self { signing_input, header, claims, signature } = self;
        Jws { signing_input: Cow::Owned(signing_input.into_owned()), header, claims, signature }
    }

    /// The header, to find the key by.
    #[must_use]
    pub fn header(&self) -> &Header {
        &self.header
    }

    /// The claims before anything is verified: to find the issuer, never to act on.
    #[must_use]
    pub fn unverified_claims(&self) -> &Map<String, Value> {
        &self.claims
    }

    /// The claims, once the signature holds under `key` and the token is of one of `types`.
    ///
    /// A type is compared as a media type: without regard to case, and with `application/` taken as read (RFC 7515
    /// section 4.1.9). A token without `typ` is of no type.
    ///
    /// # Errors
    /// [`JoseError::TokenType`], [`JoseError::AlgorithmMismatch`] or [`JoseError::Signature`].
    pub fn verify(self, key: &PublicKey, types: &[&str]) -> Result<Map<String, Value>, JoseError> {
        // A token made for one purpose must not serve another (RFC 8725 section 3.11).
        let typ = self.header.typ.as_deref();
        if !types.iter().any(|expected| *expected == Self::ANY_TYPE || typ.is_some_and(|typ| same_type(typ, expected)))
        {
            return Err(JoseError::TokenType);
        }
        // Key confusion: the header never chooses how a key is used (RFC 8725 section 3.1).
        if self.header.alg != key.algorithm {
            return Err(JoseError::AlgorithmMismatch { header: self.header.alg, key: key.algorithm });
        }
        key.verify(self.signing_input.as_bytes(), &self.signature)?;
        Ok(self.claims)
    }
}

/// A private key that signs: P-256 for merchants and issuers, Ed25519 for wallets and browsers of tests.
#[derive(Clone)]
pub struct SigningKey {
    signer: Arc<Signer>,
    public: PublicKey,
}

enum Signer {
    Ecdsa(Box<EcdsaJwsSigner>),
    Ed25519(Ed25519KeyPair),
}

impl SigningKey {
    /// A P-256 key of its PKCS#8 DER (RFC 5958).
    ///
    /// # Errors
    /// [`JoseError::InvalidKey`] if it is not that.
    pub fn from_pkcs8_der(der: &[u8]) -> Result<Self, JoseError> {
        let pair =
            EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, der).map_err(|_| JoseError::InvalidKey)?;
        let public = PublicKey::from_bytes(Algorithm::Es256, pair.public_key().as_ref())?;
        let signer = ES256.signer_from_der(der).map_err(|_| JoseError::InvalidKey)?;
        Ok(Self { signer: Arc::new(Signer::Ecdsa(Box::new(signer))), public })
    }

    /// A key on P-384 or P-521 of its PKCS#8 DER. Others sign with such keys, and here only those who stand in for them.
    ///
    /// # Errors
    /// [`JoseError::InvalidKey`] if it is not that.
    #[cfg(any(test, feature = "testing"))]
    pub(crate) fn from_larger_pkcs8_der(algorithm: Algorithm, der: &[u8]) -> Result<Self, JoseError> {
        let (signing, signer) = match algorithm {
            Algorithm::Es384 => (&ECDSA_P384_SHA384_FIXED_SIGNING, ES384.signer_from_der(der)),
            Algorithm::Es512 => (&ECDSA_P521_SHA512_FIXED_SIGNING, ES512.signer_from_der(der)),
            Algorithm::Es256 | Algorithm::EdDsa => return Err(JoseError::InvalidKey),
        };
        let pair = EcdsaKeyPair::from_pkcs8(signing, der).map_err(|_| JoseError::InvalidKey)?;
        let public = PublicKey::from_bytes(algorithm, pair.public_key().as_ref())?;
        let signer = signer.map_err(|_| JoseError::InvalidKey)?;
        Ok(Self { signer: Arc::new(Signer::Ecdsa(Box::new(signer))), public })
    }

    /// A P-256 key of one `PRIVATE KEY` in PEM (RFC 7468 section 10).
    ///
    /// # Errors
    /// [`JoseError::InvalidKey`] if it is not that.
    pub fn from_pkcs8_pem(pem: &str) -> Result<Self, JoseError> {
        let (label, der) = pem_rfc7468::decode_vec(pem.as_bytes()).map_err(|_| JoseError::InvalidKey)?;
        let der = Zeroizing::new(der);
        if label != "PRIVATE KEY" {
            return Err(JoseError::InvalidKey);
        }
        Self::from_pkcs8_der(&der)
    }

    /// A P-256 key of its scalar, big-endian.
    ///
    /// # Errors
    /// [`JoseError::InvalidKey`] if the scalar is zero or not below the order of the curve.
    pub fn from_p256_scalar(scalar: &[u8; 32]) -> Result<Self, JoseError> {
        let public = p256_public(&p256_private(scalar)?)?;
        Self::from_pkcs8_der(&p256_pkcs8(scalar, &public))
    }

    /// An Ed25519 key of its seed (RFC 8032 section 5.1.5).
    ///
    /// # Errors
    /// [`JoseError::InvalidKey`] if the library refuses it.
    pub fn from_ed25519_seed(seed: &[u8; 32]) -> Result<Self, JoseError> {
        let pair = Ed25519KeyPair::from_seed_unchecked(seed).map_err(|_| JoseError::InvalidKey)?;
        let public = PublicKey::from_bytes(Algorithm::EdDsa, pair.public_key().as_ref())?;
        Ok(Self { signer: Arc::new(Signer::Ed25519(pair)), public })
    }

    /// The public half.
    #[must_use]
    pub fn public_key(&self) -> &PublicKey {
        &self.public
    }

    /// A raw signature as a JWS carries it.
    ///
    /// # Errors
    /// [`JoseError::Crypto`] if the library fails.
    pub fn sign(&self, message: &[u8]) -> Result<Vec<u8>, JoseError> {
        match &*self.signer {
            Signer::Ecdsa(signer) => JwsSigner::sign(&**signer, message).map_err(|_| JoseError::Crypto),
            Signer::Ed25519(pair) => {
                pair.try_sign(message).map(|signature| signature.as_ref().to_vec()).map_err(|_| JoseError::Crypto)
            }
        }
    }

    /// A compact JWS over `claims`, with the members of `header` and the `alg` of this key.
    ///
    /// # Errors
    /// [`JoseError::Crypto`] if the library fails.
    pub fn sign_jws(&self, header: &Map<String, Value>, claims: &Value) -> Result<String, JoseError> {
        let mut header = header.clone();
        header.insert("alg".to_owned(), self.public.algorithm.name().into());
        let mut text = base64url_encode(Value::Object(header).to_string().as_bytes());
        text.push('.');
        text.push_str(&base64url_encode(claims.to_string().as_bytes()));
        let signature = self.sign(text.as_bytes())?;
        text.push('.');
        text.push_str(&base64url_encode(&signature));
        Ok(text)
    }
}

impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SigningKey([redacted])")
    }
}

/// The content encryption of a response. HAIP asks for both.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ContentEncryption {
    /// AES-128 in GCM.
    A128Gcm,
    /// AES-256 in GCM.
    A256Gcm,
}

impl ContentEncryption {
    /// The name in an `enc` header.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::A128Gcm => "A128GCM",
            Self::A256Gcm => "A256GCM",
        }
    }

    fn algorithm(self) -> &'static aead::Algorithm {
        match self {
            Self::A128Gcm => &aead::AES_128_GCM,
            Self::A256Gcm => &aead::AES_256_GCM,
        }
    }
}

/// A P-256 key made for one request, that opens its answer (ECDH-ES, RFC 7518 section 4.6). Erased when dropped.
pub struct DecryptionKey {
    scalar: Zeroizing<[u8; 32]>,
    private: agreement::PrivateKey,
    kid: String,
    public: PublicKey,
}

impl DecryptionKey {
    /// A key of 32 random bytes, which the caller draws; the wallet names it by `kid`. If that is empty the key has no
    /// name, and what it opens must name none.
    ///
    /// # Errors
    /// [`JoseError::InvalidKey`] if the bytes are zero or not below the order of the curve: draw again.
    pub fn from_scalar(scalar: &[u8; 32], kid: &str) -> Result<Self, JoseError> {
        let private = p256_private(scalar)?;
        let public = p256_public(&private)?;
        Ok(Self { scalar: Zeroizing::new(*scalar), private, kid: kid.to_owned(), public })
    }

    /// The secret scalar, to be sealed in the record of the request.
    #[must_use]
    pub fn scalar(&self) -> &[u8; 32] {
        &self.scalar
    }

    /// The JWK that the request carries: with `kid`, `use` and `alg` (OpenID4VP section 8.3).
    #[must_use]
    pub fn public_jwk(&self) -> Value {
        let mut jwk = self.public.to_jwk();
        if let Some(jwk) = jwk.as_object_mut() {
            if !self.kid.is_empty() {
                jwk.insert("kid".to_owned(), self.kid.as_str().into());
            }
            jwk.insert("use".to_owned(), "enc".into());
            jwk.insert("alg".to_owned(), KEY_AGREEMENT.into());
        }
        jwk
    }

    /// The public half.
    #[must_use]
    pub fn public_key(&self) -> &PublicKey {
        &self.public
    }

    /// The thumbprint of the public key.
    #[must_use]
    pub fn thumbprint(&self) -> Thumbprint {
        self.public.thumbprint()
    }

    /// The secret that both sides of an agreement have (ECDH): the x-coordinate, to be hashed into a key.
    #[cfg(feature = "mdoc")]
    pub(crate) fn agree(&self, other: &PublicKey) -> Result<Zeroizing<[u8; 32]>, JoseError> {
        if other.algorithm != Algorithm::Es256 {
            return Err(JoseError::InvalidKey);
        }
        let other = agreement::UnparsedPublicKey::new(&agreement::ECDH_P256, other.as_bytes());
        agreement::agree(&self.private, other, JoseError::InvalidKey, |secret| {
            secret.try_into().map(Zeroizing::new).map_err(|_| JoseError::Crypto)
        })
    }

    /// Opens a compact JWE (RFC 7516 section 5.2) of at most [`Limits::response_bytes`]. Whoever has the request can
    /// encrypt: what comes out has no sender, and is worth what its inner signatures prove.
    ///
    /// # Errors
    /// If it is not five canonical parts, is meant for another key, uses another algorithm than ECDH-ES on P-256 with
    /// one of `accepted`, is compressed or extended, or was changed on the way.
    pub fn decrypt(&self, jwe: &str, accepted: &[ContentEncryption], limits: &Limits) -> Result<Vec<u8>, JoseError> {
        let Sealed { header, enc, epk, apu, apv, nonce, mut text } = self.check_jwe(jwe, accepted, limits)?;
        let epk = agreement::UnparsedPublicKey::new(&agreement::ECDH_P256, epk.as_bytes());
        let secret = |secret: &[u8]| Ok(content_key(secret, enc, &apu, &apv));
        let key = agreement::agree(&self.private, epk, JoseError::Decryption, secret)?;
        let key = key.get(..enc.algorithm().key_len()).unwrap_or_default();
        let key = UnboundKey::new(enc.algorithm(), key).map_err(|_| JoseError::Crypto)?;
        let nonce = Nonce::assume_unique_for_key(nonce);
        let opened = LessSafeKey::new(key).open_in_place(nonce, Aad::from(header), &mut text);
        let length = opened.map_err(|_| JoseError::Decryption)?.len();
        text.truncate(length);
        Ok(text)
    }

    /// All that can be wrong before a secret is used.
    fn check_jwe<'a>(
        &self,
        jwe: &'a str,
        accepted: &[ContentEncryption],
        limits: &Limits,
    ) -> Result<Sealed<'a>, JoseError> {
        if jwe.len() > limits.response_bytes {
            return Err(JoseError::TooLarge { found: jwe.len(), limit: limits.response_bytes });
        }
        let mut parts = jwe.split('.');
        let mut part = || parts.next().ok_or(JoseError::Parts { expected: 5 });
        let (header, encrypted_key, iv, ciphertext, tag) = (part()?, part()?, part()?, part()?, part()?);
        if parts.next().is_some() {
            return Err(JoseError::Parts { expected: 5 });
        }
        let members = object(&base64url_decode(header)?, limits)?;
        // A compressed answer can grow a thousandfold (CVE-2024-28176), an extended one mean anything.
        for name in ["crit", "zip"] {
            if members.contains_key(name) {
                return Err(JoseError::Extension(name));
            }
        }
        if member(&members, "alg")? != Some(KEY_AGREEMENT) {
            return Err(JoseError::UnsupportedAlgorithm);
        }
        let enc = member(&members, "enc")?.ok_or(JoseError::Member("enc"))?;
        let enc = accepted.iter().find(|accepted| accepted.name() == enc).ok_or(JoseError::UnsupportedAlgorithm)?;
        // OpenID4VP section 8.3: where the key has a `kid`, the answer names it.
        if member(&members, "kid")?.unwrap_or_default() != self.kid {
            return Err(JoseError::Recipient);
        }
        // Off the curve, the agreed secret would tell bits of ours (invalid curve attack).
        let epk = members.get("epk").and_then(Value::as_object).ok_or(JoseError::Member("epk"))?;
        let epk = PublicKey::from_jwk_coordinates(epk)?;
        if epk.algorithm != Algorithm::Es256 {
            return Err(JoseError::UnsupportedKey);
        }
        let party = |name| member(&members, name)?.map_or(Ok(Vec::new()), base64url_decode);
        let (apu, apv) = (party("apu")?, party("apv")?);
        // Direct agreement has no encrypted key (RFC 7518 section 4.6.2); GCM has 96 bits of nonce and a whole tag
        // (section 5.3), since a shorter one can be guessed.
        let (nonce, tag) = (base64url_decode(iv)?.try_into(), base64url_decode(tag)?);
        let mut text = base64url_decode(ciphertext)?;
        match nonce {
            Ok(nonce) if encrypted_key.is_empty() && tag.len() == enc.algorithm().tag_len() => {
                text.extend_from_slice(&tag);
                Ok(Sealed { header, enc: *enc, epk, apu, apv, nonce, text })
            }
            _ => Err(JoseError::Decryption),
        }
    }
}

/// A JWE whose form is right: what opens it, and the ciphertext with its tag behind.
struct Sealed<'a> {
    /// As it was sent: GCM authenticates these characters.
    header: &'a str,
    enc: ContentEncryption,
    epk: PublicKey,
    apu: Vec<u8>,
    apv: Vec<u8>,
    nonce: [u8; NONCE_LEN],
    text: Vec<u8>,
}

/// The key of a direct agreement (RFC 7518 section 4.6.2), as many of these bytes as `enc` takes: one round of the
/// Concat KDF, since no key is longer than a digest.
fn content_key(secret: &[u8], enc: ContentEncryption, apu: &[u8], apv: &[u8]) -> Zeroizing<[u8; 32]> {
    let mut context = digest::Context::new(&SHA256);
    context.update(&1_u32.to_be_bytes());
    context.update(secret);
    for text in [enc.name().as_bytes(), apu, apv] {
        // Much shorter than the answer they came in, which is bounded.
        context.update(&u32::try_from(text.len()).unwrap_or(u32::MAX).to_be_bytes());
        context.update(text);
    }
    let bits = enc.algorithm().key_len() * 8;
    context.update(&u32::try_from(bits).unwrap_or(u32::MAX).to_be_bytes());
    let mut key = Zeroizing::new([0; 32]);
    key.copy_from_slice(context.finish().as_ref());
    key
}

impl fmt::Debug for DecryptionKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("DecryptionKey([redacted])")
    }
}

/// Encrypts to the `recipient` of a request as a wallet does: for the development wallet and tests.
///
/// # Errors
/// [`JoseError::InvalidKey`] if the recipient is no JWK for ECDH-ES, [`JoseError::Crypto`] if the library fails.
pub fn encrypt(plaintext: &[u8], recipient: &Value, enc: ContentEncryption) -> Result<String, JoseError> {
    encrypt_under(JweHeader::new(), plaintext, recipient, enc)
}

/// Encrypts a signed request object to the key of a wallet: a nested JWT (RFC 7519 section 5.2, RFC 9101 section 6.1).
///
/// # Errors
/// As [`encrypt`].
pub fn encrypt_jwt(request_object: &str, recipient: &Value, enc: ContentEncryption) -> Result<String, JoseError> {
    let mut header = JweHeader::new();
    header.set_content_type("JWT");
    header.set_token_type("oauth-authz-req+jwt");
    encrypt_under(header, request_object.as_bytes(), recipient, enc)
}

fn encrypt_under(
    mut header: JweHeader,
    plaintext: &[u8],
    recipient: &Value,
    enc: ContentEncryption,
) -> Result<String, JoseError> {
    let members = recipient.as_object().ok_or(JoseError::NotAnObject)?;
    let jwk = Jwk::from_map(members.clone()).map_err(|_| JoseError::InvalidKey)?;
    let encrypter = ECDH_ES.encrypter_from_jwk(&jwk).map_err(|_| JoseError::InvalidKey)?;
    header.set_content_encryption(enc.name());
    josekit::jwe::serialize_compact(plaintext, &header, &encrypter).map_err(|_| JoseError::Crypto)
}

/// The SHA-256 digest of `bytes`.
#[must_use]
pub fn sha256(bytes: &[u8]) -> [u8; 32] {
    let mut out = [0; 32];
    out.copy_from_slice(digest(&SHA256, bytes).as_ref());
    out
}

/// base64url without padding (RFC 7515 section 2).
#[must_use]
pub fn base64url_encode(bytes: &[u8]) -> String {
    BASE64_URL_SAFE_NO_PAD.encode(bytes)
}

/// Reads base64url without padding, in the one text that [`base64url_encode`] makes.
///
/// # Errors
/// [`JoseError::Base64`] for padding, white space, the standard alphabet, and bits left over that are not zero: one
/// text for one token, or a token that was used comes back as another.
pub fn base64url_decode(text: &str) -> Result<Vec<u8>, JoseError> {
    BASE64_URL_SAFE_NO_PAD.decode(text).map_err(|_| JoseError::Base64)
}

const KEY_AGREEMENT: &str = "ECDH-ES";

const EC_OID: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.2.1");
const P256_OID: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.3.1.7");
const P384_OID: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.132.0.34");
const P521_OID: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.132.0.35");
const ED25519_OID: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.101.112");

/// First byte of an uncompressed point (SEC 1 section 2.3.3).
const UNCOMPRESSED: u8 = 4;

/// Members of RSA, EC, OKP and symmetric JWKs that nobody may show (RFC 7518 section 6).
const PRIVATE_MEMBERS: [&str; 8] = ["d", "p", "q", "dp", "dq", "qi", "oth", "k"];

fn refuse_private_members(jwk: &Map<String, Value>) -> Result<(), JoseError> {
    let is_private = |name: &String| PRIVATE_MEMBERS.contains(&name.as_str());
    if jwk.keys().any(is_private) { Err(JoseError::PrivateKey) } else { Ok(()) }
}

fn object(json: &[u8], limits: &Limits) -> Result<Map<String, Value>, JoseError> {
    match json::parse(json, limits.json_depth)? {
        Value::Object(members) => Ok(members),
        _ => Err(JoseError::NotAnObject),
    }
}

/// A member that is a string where it is there.
fn member<'a>(object: &'a Map<String, Value>, name: &'static str) -> Result<Option<&'a str>, JoseError> {
    crate::protocol::claims::string(object, name)
}

/// RFC 7515 section 4.1.6: certificates as strings of standard base64, at least one.
fn certificates(x5c: &Value, limits: &Limits) -> Result<Vec<Vec<u8>>, JoseError> {
    let chain = x5c.as_array().ok_or(JoseError::Member("x5c"))?;
    if chain.is_empty() || chain.len() > limits.x5c_certificates {
        return Err(JoseError::Member("x5c"));
    }
    chain
        .iter()
        .map(|one| {
            let text = one.as_str().ok_or(JoseError::Member("x5c"))?;
            BASE64_STANDARD.decode(text).map_err(|_| JoseError::Base64)
        })
        .collect()
}

fn same_type(typ: &str, expected: &str) -> bool {
    fn bare(typ: &str) -> &str {
        match typ.split_at_checked(12) {
            Some((prefix, rest)) if prefix.eq_ignore_ascii_case("application/") && !rest.contains('/') => rest,
            _ => typ,
        }
    }
    bare(typ).eq_ignore_ascii_case(bare(expected))
}

/// Points of small order, under which one signature holds for many messages, and second spellings of a key.
fn is_weak_ed25519(bytes: &[u8]) -> bool {
    // y of the points of order 8; those of order 1, 2 and 4 have y = 1, -1 and 0.
    const ORDER_8: [[u8; 32]; 2] = [
        [
            0x26, 0xe8, 0x95, 0x8f, 0xc2, 0xb2, 0x27, 0xb0, 0x45, 0xc3, 0xf4, 0x89, 0xf2, 0xef, 0x98, 0xf0, 0xd5, 0xdf,
            0xac, 0x05, 0xd3, 0xc6, 0x33, 0x39, 0xb1, 0x38, 0x02, 0x88, 0x6d, 0x53, 0xfc, 0x05,
        ],
        [
            0xc7, 0x17, 0x6a, 0x70, 0x3d, 0x4d, 0xd8, 0x4f, 0xba, 0x3c, 0x0b, 0x76, 0x0d, 0x10, 0x67, 0x0f, 0x2a, 0x20,
            0x53, 0xfa, 0x2c, 0x39, 0xcc, 0xc6, 0x4e, 0xc7, 0xfd, 0x77, 0x92, 0xac, 0x03, 0x7a,
        ],
    ];
    let Ok(mut y) = <[u8; 32]>::try_from(bytes) else { return true };
    y[31] &= 0x7f; // the sign of x
    let [first, middle @ .., last] = y;
    let zero_or_one = first <= 1 && middle == [0; 30] && last == 0;
    // p is 2^255 - 19: from p - 1 upwards only -1 is a number below p.
    let minus_one_or_not_reduced = first >= 0xec && middle == [0xff; 30] && last == 0x7f;
    zero_or_one || minus_one_or_not_reduced || ORDER_8.contains(&y)
}

fn p256_private(scalar: &[u8; 32]) -> Result<agreement::PrivateKey, JoseError> {
    agreement::PrivateKey::from_private_key(&agreement::ECDH_P256, scalar).map_err(|_| JoseError::InvalidKey)
}

fn p256_public(private: &agreement::PrivateKey) -> Result<PublicKey, JoseError> {
    let point = private.compute_public_key().map_err(|_| JoseError::InvalidKey)?;
    PublicKey::from_bytes(Algorithm::Es256, point.as_ref())
}

/// The PKCS#8 DER (RFC 5958 with RFC 5915) of a P-256 key, which is all constants around the scalar and the point.
fn p256_pkcs8(scalar: &[u8; 32], public: &PublicKey) -> Zeroizing<Vec<u8>> {
    const HEAD: [u8; 36] = [
        0x30, 0x81, 0x87, 0x02, 0x01, 0x00, // PrivateKeyInfo, version 0
        0x30, 0x13, 0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01, // id-ecPublicKey
        0x06, 0x08, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07, // prime256v1
        0x04, 0x6d, 0x30, 0x6b, 0x02, 0x01, 0x01, 0x04, 0x20, // ECPrivateKey, version 1, 32 bytes
    ];
    const POINT: [u8; 5] = [0xa1, 0x44, 0x03, 0x42, 0x00];
    let mut der = Zeroizing::new(Vec::with_capacity(HEAD.len() + 32 + POINT.len() + 65));
    der.extend_from_slice(&HEAD);
    der.extend_from_slice(scalar);
    der.extend_from_slice(&POINT);
    der.extend_from_slice(public.as_bytes());
    der
}

#[cfg(test)]
mod tests {
    use super::*;

    const CLAIMS: &str = r#"{"iss":"a"}"#;

    fn p256() -> SigningKey {
        SigningKey::from_p256_scalar(&[7; 32]).unwrap()
    }

    fn limits() -> Limits {
        Limits::default()
    }

    /// A JWS whose parts are these texts, signed by `key` whatever they say.
    fn signed(key: &SigningKey, header: &str, claims: &str) -> String {
        let input = format!("{}.{}", base64url_encode(header.as_bytes()), base64url_encode(claims.as_bytes()));
        let signature = base64url_encode(&key.sign(input.as_bytes()).unwrap());
        format!("{input}.{signature}")
    }

    fn check(text: &str, key: &SigningKey) -> Result<Map<String, Value>, JoseError> {
        Jws::parse(text, &limits())?.verify(key.public_key(), &["x+jwt"])
    }

    #[test]
    fn a_token_is_accepted_under_its_key_and_type() {
        for key in [p256(), SigningKey::from_ed25519_seed(&[7; 32]).unwrap()] {
            let header = json!({"typ": "x+jwt", "kid": "1"}).as_object().unwrap().clone();
            let text = key.sign_jws(&header, &json!({"iss": "a"})).unwrap();
            let jws = Jws::parse(&text, &limits()).unwrap();
            assert_eq!(jws.header().alg, key.public_key().algorithm());
            assert_eq!(jws.header().kid.as_deref(), Some("1"));
            assert_eq!(jws.unverified_claims().get("iss"), Some(&json!("a")));
            assert!(check(&text, &key).is_ok());
            let other = SigningKey::from_p256_scalar(&[8; 32]).unwrap();
            assert!(check(&text, &other).is_err());
            assert_eq!(jws.clone().verify(key.public_key(), &["y+jwt"]), Err(JoseError::TokenType));
            assert_eq!(jws.clone().verify(key.public_key(), &[]), Err(JoseError::TokenType));
            assert!(jws.verify(key.public_key(), &[Jws::ANY_TYPE]).is_ok());
        }
    }

    #[test]
    fn a_type_is_compared_as_a_media_type() {
        let key = p256();
        for (typ, right) in [
            ("x+jwt", true),
            ("X+JWT", true),
            ("application/x+jwt", true),
            ("Application/x+jwt", true),
            ("x+jwt ", false),
            ("text/x+jwt", false),
            ("application/application/x+jwt", false),
            ("*", false),
            ("", false),
        ] {
            let text = signed(&key, &json!({"alg": "ES256", "typ": typ}).to_string(), CLAIMS);
            assert_eq!(check(&text, &key).is_ok(), right, "{typ}");
        }
        assert_eq!(check(&signed(&key, r#"{"alg":"ES256"}"#, CLAIMS), &key), Err(JoseError::TokenType));
    }

    #[test]
    fn a_header_with_one_thing_wrong_is_refused_although_its_signature_is_right() {
        let key = p256();
        let with = |members: &str| signed(&key, &format!(r#"{{"typ":"x+jwt",{members}}}"#), CLAIMS);
        assert!(check(&with(r#""alg":"ES256""#), &key).is_ok());
        assert!(check(&with(r#""alg":"ES256","jku":"https://evil.example","x5u":1"#), &key).is_ok());
        let wrong = [
            (r#""kid":"1""#, JoseError::Member("alg")),
            (r#""alg":1"#, JoseError::Member("alg")),
            (r#""alg":"none""#, JoseError::UnsupportedAlgorithm),
            (r#""alg":"HS256""#, JoseError::UnsupportedAlgorithm),
            (r#""alg":"es256""#, JoseError::UnsupportedAlgorithm),
            (r#""alg":"ES384""#, JoseError::AlgorithmMismatch { header: Algorithm::Es384, key: Algorithm::Es256 }),
            (r#""alg":"ES256","crit":[]"#, JoseError::Extension("crit")),
            (r#""alg":"ES256","crit":["exp"],"exp":1"#, JoseError::Extension("crit")),
            (r#""alg":"ES256","b64":true"#, JoseError::Extension("b64")),
            (r#""alg":"ES256","kid":7"#, JoseError::Member("kid")),
            (r#""alg":"ES256","jwk":"x""#, JoseError::Member("jwk")),
            (r#""alg":"ES256","jwk":{"kty":"oct","k":"AA"}"#, JoseError::PrivateKey),
            (r#""alg":"ES256","x5c":[]"#, JoseError::Member("x5c")),
            (r#""alg":"ES256","x5c":"AA==""#, JoseError::Member("x5c")),
            (r#""alg":"ES256","x5c":["AA"]"#, JoseError::Base64),
            (r#""alg":"ES256","x5c":["A A="]"#, JoseError::Base64),
        ];
        for (members, error) in wrong {
            assert_eq!(check(&with(members), &key), Err(error), "{members}");
        }
        let long = format!(r#""alg":"ES256","kid":"{}""#, "k".repeat(257));
        assert_eq!(check(&with(&long), &key), Err(JoseError::Member("kid")));
        let chain = format!(r#""alg":"ES256","x5c":[{}"AA=="]"#, r#""AA==","#.repeat(8));
        assert_eq!(check(&with(&chain), &key), Err(JoseError::Member("x5c")));
        assert!(matches!(check(&with(r#""alg":"ES256","\u0061lg":"ES256""#), &key), Err(JoseError::Json(_))));
    }

    #[test]
    fn a_token_has_one_text() {
        let key = p256();
        let text = signed(&key, r#"{"alg":"ES256","typ":"x+jwt"}"#, CLAIMS);
        assert!(check(&text, &key).is_ok());
        for changed in [
            format!("{text}="),
            format!("{text}\n"),
            format!(" {text}"),
            format!("{text}."),
            format!("{text}.AA"),
            text.replacen('.', "", 1),
            text.replacen('.', "..", 1),
            String::new(),
            "..".to_owned(),
        ] {
            assert!(check(&changed, &key).is_err(), "{changed}");
        }
        // 64 bytes leave four bits in the last character: only zeros are canonical.
        let (head, last) = text.split_at(text.len() - 1);
        let alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
        let next = alphabet.as_bytes()[alphabet.find(last).unwrap() + 1];
        assert_eq!(check(&format!("{head}{}", char::from(next)), &key), Err(JoseError::Base64));
        let small = Limits { jws_bytes: text.len() - 1, ..limits() };
        assert!(matches!(Jws::parse(&text, &small), Err(JoseError::TooLarge { .. })));
    }

    #[test]
    fn claims_are_a_strict_object() {
        let key = p256();
        for claims in ["[]", "\"x\"", "", "{}x", "\u{feff}{}", r#"{"a":1,"a":2}"#, &"[".repeat(40_000)] {
            assert!(check(&signed(&key, r#"{"alg":"ES256","typ":"x+jwt"}"#, claims), &key).is_err(), "{claims}");
        }
    }

    #[test]
    fn the_thumbprints_of_the_standards() {
        // RFC 8037 appendix A.3.
        let jwk = json!({"kty":"OKP","crv":"Ed25519","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"});
        let key = PublicKey::from_jwk(&jwk).unwrap();
        assert_eq!(key.thumbprint().to_string(), "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k");
        assert_eq!(key.to_jwk(), jwk);
        // RFC 9449 section 6.1.
        let jwk = json!({"kty":"EC","crv":"P-256","x":"l8tFrhx-34tV3hRICRDY9zCkDlpBhF42UQUfWVAWBFs",
            "y":"9VE4jf_Ok_o64zbTTlcuNJajHmt6v9TDVrU0CdvGRDA"});
        let key = PublicKey::from_jwk(&jwk).unwrap();
        assert_eq!(key.thumbprint().to_string(), "0ZcOCORZNYy-DWpqq30jZyJGHTN0d2HglBV3uiguA4I");
        assert_eq!(key.to_jwk(), jwk);
        assert_eq!("0ZcOCORZNYy-DWpqq30jZyJGHTN0d2HglBV3uiguA4I".parse(), Ok(key.thumbprint()));
        assert!("0ZcOCORZNYy-DWpqq30jZyJGHTN0d2HglBV3uiguA4".parse::<Thumbprint>().is_err());
    }

    #[test]
    fn a_key_with_one_thing_wrong_is_refused() {
        let good = p256().public_key().to_jwk();
        let with = |name: &str, value: Value| {
            let mut jwk = good.clone();
            jwk[name] = value;
            PublicKey::from_jwk(&jwk)
        };
        assert!(PublicKey::from_jwk(&good).is_ok());
        assert!(with("use", json!("sig")).is_ok());
        assert!(with("key_ops", json!(["verify"])).is_ok());
        assert!(with("alg", json!("ES256")).is_ok());
        assert!(with("ext", json!(true)).is_ok());
        for (name, value, error) in [
            ("d", json!("AA"), JoseError::PrivateKey),
            ("d", json!(null), JoseError::PrivateKey),
            ("use", json!("enc"), JoseError::KeyUse),
            ("use", json!(1), JoseError::Member("use")),
            ("key_ops", json!(["sign"]), JoseError::KeyUse),
            ("key_ops", json!([]), JoseError::KeyUse),
            ("key_ops", json!("verify"), JoseError::Member("key_ops")),
            ("alg", json!("ES384"), JoseError::KeyUse),
            ("alg", json!("ECDH-ES"), JoseError::KeyUse),
            ("kty", json!("OKP"), JoseError::UnsupportedKey),
            ("crv", json!("secp256k1"), JoseError::UnsupportedKey),
            ("crv", json!("P-384"), JoseError::InvalidKey),
            ("x", json!(base64url_encode(&[0; 32])), JoseError::InvalidKey),
            ("y", json!(base64url_encode(&[1; 31])), JoseError::InvalidKey),
            ("y", json!(1), JoseError::Member("y")),
        ] {
            assert_eq!(with(name, value.clone()).err(), Some(error), "{name} {value}");
        }
        assert_eq!(PublicKey::from_jwk(&json!("x")).err(), Some(JoseError::NotAnObject));
    }

    #[test]
    fn weak_ed25519_keys_are_refused() {
        let key = |bytes: [u8; 32]| PublicKey::from_bytes(Algorithm::EdDsa, &bytes);
        let mut one = [0; 32];
        one[0] = 1;
        let mut minus_one = [0xff; 32];
        (minus_one[0], minus_one[31]) = (0xec, 0x7f);
        let mut not_reduced = minus_one;
        not_reduced[0] = 0xf0;
        let mut negative_zero = [0; 32];
        negative_zero[31] = 0x80;
        for weak in [[0; 32], one, minus_one, not_reduced, negative_zero] {
            assert_eq!(key(weak).err(), Some(JoseError::InvalidKey));
        }
        assert!(PublicKey::from_bytes(Algorithm::EdDsa, &[9; 31]).is_err());
    }

    #[test]
    fn keys_survive_their_encodings() {
        for key in [p256(), SigningKey::from_ed25519_seed(&[9; 32]).unwrap()] {
            let public = key.public_key();
            assert_eq!(&PublicKey::from_jwk(&public.to_jwk()).unwrap(), public);
            let spki = public.parsed.as_der().unwrap();
            assert_eq!(&PublicKey::from_spki_der(spki.as_ref()).unwrap(), public);
            assert!(PublicKey::from_spki_der(&[spki.as_ref(), &[0]].concat()).is_err());
            assert!(PublicKey::from_spki_der(&spki.as_ref()[1..]).is_err());
        }
        let point = p256().public_key().as_bytes().to_vec();
        let mut compressed = vec![2 + (point[64] & 1)];
        compressed.extend_from_slice(&point[1..33]);
        let key = PublicKey::from_compressed_point(Algorithm::Es256, &compressed).unwrap();
        assert_eq!(&key, p256().public_key());
        assert!(PublicKey::from_compressed_point(Algorithm::Es256, &point).is_err());
    }

    #[test]
    fn scalars_out_of_range_are_refused() {
        for scalar in [[0; 32], [0xff; 32]] {
            assert_eq!(SigningKey::from_p256_scalar(&scalar).err(), Some(JoseError::InvalidKey));
            assert_eq!(DecryptionKey::from_scalar(&scalar, "1").err(), Some(JoseError::InvalidKey));
        }
    }

    #[test]
    fn secrets_are_not_shown() {
        let key = DecryptionKey::from_scalar(&[7; 32], "1").unwrap();
        assert_eq!(format!("{key:?} {:?}", p256()), "DecryptionKey([redacted]) SigningKey([redacted])");
        assert_eq!(format!("{:?}", p256().public_key()), "PublicKey { algorithm: Es256, .. }");
    }

    const BOTH: [ContentEncryption; 2] = [ContentEncryption::A128Gcm, ContentEncryption::A256Gcm];

    #[test]
    fn an_answer_opens_with_its_key_alone() {
        let key = DecryptionKey::from_scalar(&[7; 32], "1").unwrap();
        for enc in BOTH {
            let jwe = encrypt(b"hello", &key.public_jwk(), enc).unwrap();
            assert_eq!(key.decrypt(&jwe, &BOTH, &limits()).unwrap(), b"hello");
            assert_eq!(key.decrypt(&jwe, &[], &limits()), Err(JoseError::UnsupportedAlgorithm));
            let small = Limits { response_bytes: jwe.len() - 1, ..limits() };
            assert!(matches!(key.decrypt(&jwe, &BOTH, &small), Err(JoseError::TooLarge { .. })));
            let other = DecryptionKey::from_scalar(&[8; 32], "1").unwrap();
            assert_eq!(other.decrypt(&jwe, &BOTH, &limits()), Err(JoseError::Decryption));
            for kid in ["2", ""] {
                let other = DecryptionKey::from_scalar(&[7; 32], kid).unwrap();
                assert_eq!(other.decrypt(&jwe, &BOTH, &limits()), Err(JoseError::Recipient));
            }
            let nameless = DecryptionKey::from_scalar(&[7; 32], "").unwrap();
            let jwe = encrypt(b"hello", &nameless.public_jwk(), enc).unwrap();
            assert_eq!(nameless.decrypt(&jwe, &BOTH, &limits()).unwrap(), b"hello");
            assert_eq!(key.decrypt(&jwe, &BOTH, &limits()), Err(JoseError::Recipient));
        }
    }

    #[test]
    fn the_agreed_key_is_that_of_rfc_7518() {
        // Appendix C.
        let secret = [
            158, 86, 217, 29, 129, 113, 53, 211, 114, 131, 66, 131, 191, 132, 38, 156, 251, 49, 110, 163, 218, 128,
            106, 72, 246, 218, 167, 121, 140, 254, 144, 196,
        ];
        let key = content_key(&secret, ContentEncryption::A128Gcm, b"Alice", b"Bob");
        assert_eq!(base64url_encode(&key[..16]), "VqqN6vgjbSBcIijNcacQGg");
    }

    #[test]
    fn an_answer_with_one_thing_wrong_does_not_open() {
        let key = DecryptionKey::from_scalar(&[7; 32], "1").unwrap();
        let jwe = encrypt(b"hello", &key.public_jwk(), ContentEncryption::A256Gcm).unwrap();
        let parts: Vec<&str> = jwe.split('.').collect();
        let open = |parts: &[&str]| key.decrypt(&parts.join("."), &BOTH, &limits());
        assert!(open(&parts).is_ok());
        assert_eq!(open(&parts[..4]), Err(JoseError::Parts { expected: 5 }));
        assert_eq!(open(&[parts.as_slice(), &[""]].concat()), Err(JoseError::Parts { expected: 5 }));
        let swap = |at: usize, part: &str| {
            let mut parts = parts.clone();
            parts[at] = part;
            open(&parts).unwrap_err()
        };
        assert_eq!(swap(1, "AAAA"), JoseError::Decryption);
        assert_eq!(swap(2, &base64url_encode(&[0; 11])), JoseError::Decryption);
        assert_eq!(swap(2, &base64url_encode(&[0; 12])), JoseError::Decryption);
        assert_eq!(swap(3, "AAAA"), JoseError::Decryption);
        assert_eq!(swap(4, &base64url_encode(&[0; 16])), JoseError::Decryption);
        let short_tag = base64url_encode(&base64url_decode(parts[4]).unwrap()[..12]);
        assert_eq!(swap(4, &short_tag), JoseError::Decryption);
        assert_eq!(swap(4, &format!("{}=", parts[4])), JoseError::Base64);
        let header: Value = serde_json::from_slice(&base64url_decode(parts[0]).unwrap()).unwrap();
        for (name, value, error) in [
            ("zip", json!("DEF"), JoseError::Extension("zip")),
            ("crit", json!(["exp"]), JoseError::Extension("crit")),
            ("alg", json!("dir"), JoseError::UnsupportedAlgorithm),
            ("alg", json!("ECDH-ES+A128KW"), JoseError::UnsupportedAlgorithm),
            ("enc", json!("A128CBC-HS256"), JoseError::UnsupportedAlgorithm),
            ("kid", json!("2"), JoseError::Recipient),
            ("kid", json!(1), JoseError::Member("kid")),
            ("epk", json!("x"), JoseError::Member("epk")),
            ("apu", json!(1), JoseError::Member("apu")),
            ("apv", json!("="), JoseError::Base64),
            ("apu", json!("QQ"), JoseError::Decryption),
        ] {
            let mut header = header.clone();
            header[name] = value.clone();
            assert_eq!(swap(0, &base64url_encode(header.to_string().as_bytes())), error, "{name} {value}");
        }
        for (name, value, error) in [
            ("d", json!("AA"), JoseError::PrivateKey),
            ("crv", json!("P-384"), JoseError::InvalidKey),
            ("crv", json!("X25519"), JoseError::UnsupportedKey),
            ("x", json!(base64url_encode(&[0; 32])), JoseError::InvalidKey),
        ] {
            let mut header = header.clone();
            header["epk"][name] = value.clone();
            assert_eq!(swap(0, &base64url_encode(header.to_string().as_bytes())), error, "epk {name} {value}");
        }
    }

    #[test]
    fn a_key_is_read_from_pem() {
        let key = p256();
        let der = p256_pkcs8(&[7; 32], key.public_key());
        let pem = pem_rfc7468::encode_string("PRIVATE KEY", pem_rfc7468::LineEnding::LF, &der).unwrap();
        assert_eq!(SigningKey::from_pkcs8_pem(&pem).unwrap().public_key(), key.public_key());
        assert!(SigningKey::from_pkcs8_pem(&pem.replace("PRIVATE", "PUBLIC")).is_err());
        assert!(SigningKey::from_pkcs8_der(&der[..100]).is_err());
    }
}
