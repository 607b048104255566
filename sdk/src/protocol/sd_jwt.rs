//! SD-JWT with key binding (RFC 9901), compact serialization.
//!
//! [`SdJwt::parse`] takes a presentation apart, [`SdJwt::verify`] checks the issuer's signature and only then opens the
//! disclosures, and [`IssuerVerified::verify_key_binding`] checks that the holder of the credential's key made this
//! presentation, for us, now. What is specific to SD-JWT VC stands in [`crate::format::sd_jwt_vc`]. The JSON
//! serialization (RFC 9901, 8) is not read: no presentation protocol that we speak uses it.
//!
//! Everything is linear in what was sent: one hash and one map lookup per disclosure, a walk that is as deep as
//! [`Limits::json_depth`] allows, and nothing is cloned.

pub mod issue;
pub mod shape;

use std::{collections::HashMap, fmt};

use aws_lc_rs::digest;
use serde_json::{Map, Value, map::Entry};

use crate::{
    limits::Limits,
    protocol::{
        claims::numeric_date,
        jose::{self, JoseError, Jws, PublicKey},
        json::{self, JsonError},
    },
    time::UnixTime,
};

/// The member that holds the digests of an object's hidden claims (RFC 9901, 4.2.4.1).
const DIGESTS: &str = "_sd";
/// The claim that names the hash function, at the top level only (RFC 9901, 4.1.1).
const HASH_NAME: &str = "_sd_alg";
/// The only member of an object that stands for a hidden array element (RFC 9901, 4.2.4.2).
const PLACEHOLDER: &str = "...";
/// Digests of an ordinary credential, of claims that are not shown: room that is made at once. More are read as well.
const DIGESTS_USUAL: usize = 28;

/// A presentation split into its parts; nothing is believed yet.
pub struct SdJwt<'a> {
    issuer_jwt: Jws<'a>,
    disclosures: Vec<&'a str>,
    bound: &'a str,
    key_binding: Option<Jws<'a>>,
}

impl<'a> SdJwt<'a> {
    /// Splits `issuer-jwt~disclosure~...~[key-binding-jwt]`, bounded by [`Limits::response_bytes`],
    /// [`Limits::jws_bytes`] and [`Limits::disclosures`]. The disclosures stay closed.
    ///
    /// # Errors
    /// What is wrong with the form.
    pub fn parse(text: &'a str, limits: &Limits) -> Result<Self, SdJwtError> {
        if text.len() > limits.response_bytes {
            return Err(SdJwtError::TooLarge { bytes: text.len(), limit: limits.response_bytes });
        }
        // The `~` before the key binding belongs to what the holder signs (RFC 9901, 4.3.1).
        let (bound, key_binding) =
            text.rfind('~').and_then(|at| text.split_at_checked(at + 1)).ok_or(SdJwtError::NoTilde)?;
        let mut parts = bound.strip_suffix('~').unwrap_or(bound).split('~');
        let issuer_jwt = Jws::parse(parts.next().unwrap_or_default(), limits).map_err(SdJwtError::IssuerJwt)?;
        let mut disclosures = Vec::new();
        for disclosure in parts {
            if disclosures.len() == limits.disclosures {
                return Err(SdJwtError::TooManyDisclosures { limit: limits.disclosures });
            }
            if disclosure.is_empty() {
                return Err(SdJwtError::EmptyDisclosure);
            }
            disclosures.push(disclosure);
        }
        let key_binding = match key_binding {
            "" => None,
            jwt => Some(Jws::parse(jwt, limits).map_err(SdJwtError::KeyBindingJwt)?),
        };
        Ok(Self { issuer_jwt, disclosures, bound, key_binding })
    }

    /// The issuer's part, to find out who says to have issued it.
    #[must_use]
    pub const fn issuer_jwt(&self) -> &Jws<'a> {
        &self.issuer_jwt
    }

    /// Verifies the issuer's signature and `typ` (one of `types`), then opens the disclosures (RFC 9901, 7.1).
    ///
    /// # Errors
    /// The first check that failed.
    pub fn verify(
        self,
        issuer_key: &PublicKey,
        types: &[&str],
        limits: &Limits,
    ) -> Result<IssuerVerified<'a>, SdJwtError> {
        let Self { issuer_jwt, disclosures, bound, key_binding } = self;
        let claims = issuer_jwt.verify(issuer_key, types).map_err(SdJwtError::IssuerJwt)?;
        opened(claims, disclosures, bound, key_binding, limits)
    }

    /// What the disclosures would say if the issuer's signature held: to explain a refusal, never to act on.
    ///
    /// # Errors
    /// The first check of the disclosures that failed.
    pub(crate) fn open_unverified(self, limits: &Limits) -> Result<IssuerVerified<'a>, SdJwtError> {
        let Self { issuer_jwt, disclosures, bound, key_binding } = self;
        opened(issuer_jwt.unverified_claims().clone(), disclosures, bound, key_binding, limits)
    }

    /// The holder's proof, if one was sent.
    pub(crate) const fn key_binding(&self) -> Option<&Jws<'a>> {
        self.key_binding.as_ref()
    }

    /// How many disclosures were sent.
    pub(crate) const fn disclosures(&self) -> usize {
        self.disclosures.len()
    }
}

impl fmt::Debug for SdJwt<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SdJwt").field("disclosures", &self.disclosures.len()).finish_non_exhaustive()
    }
}

/// The issuer's word; that the holder made the presentation is not proved yet.
pub struct IssuerVerified<'a> {
    claims: Map<String, Value>,
    disclosed: Vec<String>,
    hash: Hash,
    bound: &'a str,
    key_binding: Option<Jws<'a>>,
}

impl IssuerVerified<'_> {
    /// The processed payload: disclosed claims in their places; digests, placeholders and `_sd_alg` gone.
    #[must_use]
    pub const fn claims(&self) -> &Map<String, Value> {
        &self.claims
    }

    /// The processed payload, whoever presents it.
    #[must_use]
    pub fn into_claims(self) -> Map<String, Value> {
        self.claims
    }

    /// Names of the top-level claims that came from disclosures, wholly or in part. Whoever made the presentation chose
    /// whether they are there, so nothing that the validity rests on may be among them.
    #[must_use]
    pub fn disclosed(&self) -> &[String] {
        &self.disclosed
    }

    /// Whether a key binding JWT was sent. Whether one is needed is policy, never this (RFC 9901, 7.3 step 1).
    #[must_use]
    pub const fn has_key_binding(&self) -> bool {
        self.key_binding.is_some()
    }

    /// Checks that the holder of the key in `cnf` made this presentation for `expected` (RFC 9901, 7.3), and yields the
    /// processed payload.
    ///
    /// # Errors
    /// The first check that failed; [`SdJwtError::KeyBindingMissing`] if no key binding JWT was sent.
    pub fn verify_key_binding(self, expected: &KeyBinding<'_>) -> Result<Map<String, Value>, SdJwtError> {
        if self.key_binding.is_none() {
            return Err(SdJwtError::KeyBindingMissing);
        }
        let (holder_key, sd_hash) = (self.holder_key()?, self.sd_hash());
        let jwt = self.key_binding.ok_or(SdJwtError::KeyBindingMissing)?;
        let proof = jwt.verify(&holder_key, KEY_BINDING_TYPES).map_err(SdJwtError::KeyBindingJwt)?;
        for check in ProofCheck::ALL {
            expected.check(check, &proof, &sd_hash)?;
        }
        Ok(self.claims)
    }

    /// The key binding JWT, if one was sent.
    pub(crate) const fn key_binding(&self) -> Option<&Jws<'_>> {
        self.key_binding.as_ref()
    }

    /// The key that must have made the proof.
    ///
    /// # Errors
    /// If it came from a disclosure, is missing, or is no key.
    pub(crate) fn holder_key(&self) -> Result<PublicKey, SdJwtError> {
        // The key comes from what the issuer signed in clear, never from the JWT's own header (RFC 9901, 4.1.2).
        if self.disclosed.iter().any(|name| name == "cnf") {
            return Err(SdJwtError::HolderKeyDisclosed);
        }
        let holder_jwk = self.claims.get("cnf").and_then(|cnf| cnf.get("jwk")).ok_or(SdJwtError::HolderKeyMissing)?;
        PublicKey::from_jwk(holder_jwk).map_err(SdJwtError::HolderKey)
    }

    /// What `sd_hash` must be: over the bytes as they came, so that no disclosure can be added, dropped or moved
    /// afterwards.
    pub(crate) fn sd_hash(&self) -> String {
        self.hash.of(self.bound)
    }
}

/// The `typ` of a key binding JWT (RFC 9901, 4.3).
pub(crate) const KEY_BINDING_TYPES: &[&str] = &["kb+jwt"];

/// One thing that a key binding JWT must say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ProofCheck {
    Nonce,
    Audience,
    SdHash,
    Times,
    TransactionData,
}

impl ProofCheck {
    /// All of them, in the order in which they are checked.
    pub(crate) const ALL: [Self; 5] = [Self::Nonce, Self::Audience, Self::SdHash, Self::Times, Self::TransactionData];
}

impl fmt::Debug for IssuerVerified<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("IssuerVerified").field("key_binding", &self.has_key_binding()).finish_non_exhaustive()
    }
}

/// All that a key binding JWT must match.
#[derive(Clone)]
pub struct KeyBinding<'a> {
    /// Our full client identifier, with its prefix.
    pub audience: &'a str,
    /// The nonce of the request.
    pub nonce: &'a str,
    /// The time.
    pub now: UnixTime,
    /// How old the proof may be, in seconds.
    pub max_age_s: u64,
    /// How far into the future a holder's clock may run, in seconds.
    pub skew_s: u64,
    /// The transaction data of the request for this credential, the strings as they were sent. Where none was asked,
    /// the proof may speak of none.
    pub transaction_data: &'a [String],
}

impl fmt::Debug for KeyBinding<'_> {
    /// Without the nonce and what somebody authorises.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KeyBinding").field("audience", &self.audience).field("now", &self.now).finish_non_exhaustive()
    }
}

impl KeyBinding<'_> {
    /// One check of a proof whose signature holds; `sd_hash` is that of the presentation.
    pub(crate) fn check(&self, check: ProofCheck, proof: &Map<String, Value>, sd_hash: &str) -> Result<(), SdJwtError> {
        match check {
            ProofCheck::Nonce if text_claim(proof, "nonce")? != self.nonce => Err(SdJwtError::Nonce),
            ProofCheck::Audience => self.check_audience(text_claim(proof, "aud")?),
            ProofCheck::SdHash if text_claim(proof, "sd_hash")? != sd_hash => Err(SdJwtError::SdHash),
            ProofCheck::Nonce | ProofCheck::SdHash => Ok(()),
            ProofCheck::Times => self.check_times(proof),
            ProofCheck::TransactionData => self.check_transaction_data(proof),
        }
    }

    /// One string, compared whole: an array or a client identifier without its prefix is a relay (OpenID4VP, 14.8).
    fn check_audience(&self, audience: &str) -> Result<(), SdJwtError> {
        if audience == self.audience {
            return Ok(());
        }
        let got = audience.chars().take(256).collect();
        Err(SdJwtError::Audience { expected: self.audience.to_owned(), got })
    }

    fn check_times(&self, proof: &Map<String, Value>) -> Result<(), SdJwtError> {
        let iat = time_claim(proof, "iat")?.ok_or(SdJwtError::KeyBindingClaim { claim: "iat" })?;
        if iat > self.now.plus_s(self.skew_s) {
            return Err(SdJwtError::KeyBindingInFuture { iat, now: self.now });
        }
        if iat < self.now.minus_s(self.max_age_s) {
            return Err(SdJwtError::KeyBindingTooOld { iat, now: self.now });
        }
        // Not asked for by RFC 9901, but a proof that says it is over is over.
        if time_claim(proof, "exp")?.is_some_and(|exp| exp <= self.now.minus_s(self.skew_s)) {
            return Err(SdJwtError::KeyBindingTooOld { iat, now: self.now });
        }
        if time_claim(proof, "nbf")?.is_some_and(|nbf| nbf > self.now.plus_s(self.skew_s)) {
            return Err(SdJwtError::KeyBindingInFuture { iat, now: self.now });
        }
        Ok(())
    }

    /// OpenID4VP, B.3.3.1: one hash for each string exactly as sent, all of them and none besides. The text ties a hash
    /// to its string by value, so the order is free.
    fn check_transaction_data(&self, proof: &Map<String, Value>) -> Result<(), SdJwtError> {
        let hashes = match (proof.get("transaction_data_hashes"), self.transaction_data) {
            (None, []) => return Ok(()),
            (None, [_, ..]) => return Err(SdJwtError::TransactionDataMissing),
            (Some(_), []) => return Err(SdJwtError::TransactionDataUnasked),
            (Some(Value::Array(hashes)), [_, ..]) => hashes,
            (Some(_), [_, ..]) => return Err(SdJwtError::KeyBindingClaim { claim: "transaction_data_hashes" }),
        };
        let hash = self.transaction_data_hash(proof.get("transaction_data_hashes_alg"))?;
        let mut got: Vec<&str> = hashes.iter().filter_map(Value::as_str).collect();
        let expected: Vec<String> = self.transaction_data.iter().map(|data| hash.of(data)).collect();
        let mut expected: Vec<&str> = expected.iter().map(String::as_str).collect();
        got.sort_unstable();
        expected.sort_unstable();
        if got.len() != hashes.len() || got != expected {
            return Err(SdJwtError::TransactionDataMismatch);
        }
        Ok(())
    }

    /// The hash function that the proof names; every one of the request's strings must have allowed it.
    fn transaction_data_hash(&self, named: Option<&Value>) -> Result<Hash, SdJwtError> {
        let name = match named {
            None => None,
            Some(name) => Some(name.as_str().ok_or(SdJwtError::TransactionDataHash)?),
        };
        for data in self.transaction_data {
            let allowed = allowed_hashes(data);
            let agreed = match (&allowed, name) {
                // Asked for, so it must be answered.
                (Some(allowed), Some(name)) => allowed.iter().any(|a| a == name),
                (Some(_), None) => false,
                (None, name) => name.is_none_or(|name| name == Hash::default().name()),
            };
            if !agreed {
                return Err(SdJwtError::TransactionDataHash);
            }
        }
        name.map_or(Ok(Hash::default()), |name| Hash::from_name(name).ok_or(SdJwtError::TransactionDataHash))
    }
}

/// Why an SD-JWT is not believed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SdJwtError {
    /// The presentation exceeds [`Limits::response_bytes`].
    #[error("the presentation has {bytes} bytes, and at most {limit} are read")]
    TooLarge {
        /// Its size.
        bytes: usize,
        /// The bound.
        limit: usize,
    },
    /// There is no `~`: a plain JWT, or something else.
    #[error("not an SD-JWT: it has no `~`")]
    NoTilde,
    /// The issuer-signed JWT is malformed, of another `typ`, or its signature does not hold.
    #[error("issuer-signed JWT: {0}")]
    IssuerJwt(#[source] JoseError),
    /// Two `~` with nothing between them.
    #[error("a disclosure is empty")]
    EmptyDisclosure,
    /// More disclosures than [`Limits::disclosures`].
    #[error("more than {limit} disclosures")]
    TooManyDisclosures {
        /// The bound.
        limit: usize,
    },
    /// `_sd_alg` is no hash function that we take.
    #[error("`_sd_alg` must be sha-256, sha-384 or sha-512")]
    HashFunction,
    /// One disclosure was sent twice.
    #[error("a disclosure was sent twice")]
    DuplicateDisclosure,
    /// Disclosures that the issuer's digests do not name.
    #[error("{count} disclosures are named by no digest of the issuer")]
    UnreferencedDisclosures {
        /// How many.
        count: usize,
    },
    /// One digest stands at two places, so that a disclosure could be read twice.
    #[error("a digest stands at two places")]
    DuplicateDigest,
    /// `_sd` is not an array of strings, or a placeholder is not `{"...": digest}`.
    #[error("`_sd` must be an array of strings, and `...` the only member beside a string")]
    DigestForm,
    /// A disclosure is not base64url.
    #[error("a disclosure is not base64url: {0}")]
    DisclosureEncoding(#[source] JoseError),
    /// A disclosure is not strict JSON.
    #[error("a disclosure is not JSON: {0}")]
    DisclosureJson(#[source] JsonError),
    /// A disclosure is not `[salt, name, value]` where a claim stands, or `[salt, value]` where an element stands.
    #[error("a disclosure must be [salt, name, value] for a claim and [salt, value] for an array element")]
    DisclosureForm,
    /// A claim is named `_sd`, `_sd_alg` or `...` where that name has no meaning.
    #[error("`_sd`, `_sd_alg` and `...` are no names of claims")]
    ReservedName,
    /// A disclosure would replace a claim that stands at its place already.
    #[error("a disclosure names a claim that is there already")]
    Shadowed,
    /// Deeper than [`Limits::json_depth`], or disclosures within disclosures beyond [`Limits::sd_jwt_depth`].
    #[error("nested deeper than {limit}")]
    TooDeep {
        /// The bound.
        limit: usize,
    },
    /// No key binding JWT was sent, and the holder must prove the key.
    #[error("the key binding JWT is missing")]
    KeyBindingMissing,
    /// The holder's key came from a disclosure.
    #[error("`cnf` must not be selectively disclosed")]
    HolderKeyDisclosed,
    /// The credential names no key of its holder.
    #[error("the credential has no `cnf.jwk`, so nobody can prove to hold it")]
    HolderKeyMissing,
    /// The holder's key is not usable.
    #[error("`cnf.jwk`: {0}")]
    HolderKey(#[source] JoseError),
    /// The key binding JWT is malformed, of another `typ`, or not signed by the holder's key.
    #[error("key binding JWT: {0}")]
    KeyBindingJwt(#[source] JoseError),
    /// A claim of the key binding JWT is missing or of the wrong JSON type.
    #[error("key binding JWT: `{claim}` is missing or of the wrong type")]
    KeyBindingClaim {
        /// Its name.
        claim: &'static str,
    },
    /// The nonce is not that of the request: a replay.
    #[error("key binding JWT: the nonce is not that of this request")]
    Nonce,
    /// The presentation was made for somebody else.
    #[error("key binding JWT: made for {got:?}, and we are {expected:?}")]
    Audience {
        /// Our client identifier.
        expected: String,
        /// What the wallet wrote, at most 256 characters of it.
        got: String,
    },
    /// The presentation is not the one that the holder signed.
    #[error("key binding JWT: `sd_hash` is not the hash of this presentation")]
    SdHash,
    /// The proof is older than allowed, or over.
    #[error("key binding JWT: made at {iat}, too long before {now}")]
    KeyBindingTooOld {
        /// When it was made.
        iat: UnixTime,
        /// Our time.
        now: UnixTime,
    },
    /// The proof is of the future.
    #[error("key binding JWT: made at {iat}, and it is {now}")]
    KeyBindingInFuture {
        /// When it says it was made.
        iat: UnixTime,
        /// Our time.
        now: UnixTime,
    },
    /// Transaction data was sent, and the holder did not sign it.
    #[error("key binding JWT: `transaction_data_hashes` is missing")]
    TransactionDataMissing,
    /// The holder signed transaction data that was not sent.
    #[error("key binding JWT: `transaction_data_hashes`, although no transaction data was sent")]
    TransactionDataUnasked,
    /// `transaction_data_hashes_alg` is not one that the request allowed, or was asked for and is missing.
    #[error("key binding JWT: `transaction_data_hashes_alg` is not one of those in the request")]
    TransactionDataHash,
    /// The hashes are not those of the strings that were sent.
    #[error("key binding JWT: `transaction_data_hashes` are not the hashes of what was sent")]
    TransactionDataMismatch,
}

impl SdJwtError {
    /// A stable name of the failed check, for logs and tests.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::TooLarge { .. } => "sd_jwt_too_large",
            Self::NoTilde => "sd_jwt_malformed",
            Self::IssuerJwt(_) => "sd_jwt_issuer_jwt",
            Self::EmptyDisclosure => "sd_jwt_empty_disclosure",
            Self::TooManyDisclosures { .. } => "sd_jwt_too_many_disclosures",
            Self::HashFunction => "sd_jwt_hash_function",
            Self::DuplicateDisclosure => "sd_jwt_duplicate_disclosure",
            Self::UnreferencedDisclosures { .. } => "sd_jwt_unreferenced_disclosure",
            Self::DuplicateDigest => "sd_jwt_duplicate_digest",
            Self::DigestForm => "sd_jwt_digest_form",
            Self::DisclosureEncoding(_) => "sd_jwt_disclosure_encoding",
            Self::DisclosureJson(_) => "sd_jwt_disclosure_json",
            Self::DisclosureForm => "sd_jwt_disclosure_form",
            Self::ReservedName => "sd_jwt_reserved_name",
            Self::Shadowed => "sd_jwt_shadowed_claim",
            Self::TooDeep { .. } => "sd_jwt_too_deep",
            Self::KeyBindingMissing => "key_binding_missing",
            Self::HolderKeyDisclosed => "holder_key_disclosed",
            Self::HolderKeyMissing => "holder_key_missing",
            Self::HolderKey(_) => "holder_key",
            Self::KeyBindingJwt(_) => "key_binding_jwt",
            Self::KeyBindingClaim { .. } => "key_binding_claim",
            Self::Nonce => "key_binding_nonce",
            Self::Audience { .. } => "key_binding_audience",
            Self::SdHash => "key_binding_sd_hash",
            Self::KeyBindingTooOld { .. } => "key_binding_too_old",
            Self::KeyBindingInFuture { .. } => "key_binding_in_future",
            Self::TransactionDataMissing => "transaction_data_missing",
            Self::TransactionDataUnasked => "transaction_data_unasked",
            Self::TransactionDataHash => "transaction_data_hash",
            Self::TransactionDataMismatch => "transaction_data_mismatch",
        }
    }
}

/// Puts the disclosures of a payload in their places (RFC 9901, 7.1 steps 3 to 5).
fn opened<'a>(
    mut claims: Map<String, Value>,
    disclosures: Vec<&'a str>,
    bound: &'a str,
    key_binding: Option<Jws<'a>>,
    limits: &Limits,
) -> Result<IssuerVerified<'a>, SdJwtError> {
    let hash = match claims.remove(HASH_NAME) {
        None => Hash::default(),
        Some(name) => name.as_str().and_then(Hash::from_name).ok_or(SdJwtError::HashFunction)?,
    };
    let unused = disclosures.len();
    let mut digests = HashMap::with_capacity(unused + DIGESTS_USUAL);
    for disclosure in disclosures {
        if digests.insert(hash.of(disclosure), Digest::Sent(disclosure)).is_some() {
            return Err(SdJwtError::DuplicateDisclosure);
        }
    }
    let mut opening = Opening { digests, unused, limits };
    let disclosed = opening.payload(&mut claims)?;
    // RFC 9901, 7.1 step 5: what no digest names was not signed by the issuer.
    if opening.unused != 0 {
        return Err(SdJwtError::UnreferencedDisclosures { count: opening.unused });
    }
    Ok(IssuerVerified { claims, disclosed, hash, bound, key_binding })
}

/// The walk that puts disclosures in their places.
struct Opening<'a, 'l> {
    /// Every digest of a disclosure, and every one met on the way, decoys included.
    digests: HashMap<String, Digest<'a>>,
    /// How many disclosures no digest has named yet.
    unused: usize,
    limits: &'l Limits,
}

enum Digest<'a> {
    /// Of this disclosure, and not met yet.
    Sent(&'a str),
    /// Met: its disclosure stands at its place, or was not sent.
    Met,
}

impl Opening<'_, '_> {
    /// Opens the whole payload; the names of the top-level claims that disclosures contributed to.
    fn payload(&mut self, claims: &mut Map<String, Value>) -> Result<Vec<String>, SdJwtError> {
        let digests = self.check_names(claims)?;
        let mut disclosed = Vec::new();
        for (name, value) in claims.iter_mut() {
            let before = self.unused;
            self.value(value, Depth::TOP.within())?;
            if self.unused != before {
                disclosed.push(name.clone());
            }
        }
        self.disclose(claims, digests, Depth::TOP, |name| disclosed.push(name.to_owned()))?;
        Ok(disclosed)
    }

    fn value(&mut self, value: &mut Value, at: Depth) -> Result<(), SdJwtError> {
        match value {
            Value::Object(members) => {
                at.check(self.limits)?;
                let digests = self.check_names(members)?;
                for member in members.values_mut() {
                    self.value(member, at.within())?;
                }
                self.disclose(members, digests, at, |_| ())
            }
            Value::Array(elements) => {
                at.check(self.limits)?;
                self.elements(elements, at)
            }
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => Ok(()),
        }
    }

    /// Takes the digests out of an object, and refuses the names that only the format itself may use.
    fn check_names(&self, members: &mut Map<String, Value>) -> Result<Vec<Value>, SdJwtError> {
        // `_sd_alg` of the top level is gone already: further down it would promise a hash that nobody uses.
        if members.contains_key(PLACEHOLDER) || members.contains_key(HASH_NAME) {
            return Err(SdJwtError::ReservedName);
        }
        match members.remove(DIGESTS) {
            None => Ok(Vec::new()),
            Some(Value::Array(digests)) => Ok(digests),
            Some(_) => Err(SdJwtError::DigestForm),
        }
    }

    /// Adds the disclosed claims to an object (RFC 9901, 7.1 step 3.c.ii).
    fn disclose(
        &mut self,
        members: &mut Map<String, Value>,
        digests: Vec<Value>,
        at: Depth,
        mut named: impl FnMut(&str),
    ) -> Result<(), SdJwtError> {
        for digest in digests {
            let Value::String(digest) = digest else { return Err(SdJwtError::DigestForm) };
            let Some(disclosure) = self.open(digest)? else { continue };
            let Ok([Value::String(_salt), Value::String(name), mut value]) = <[Value; 3]>::try_from(disclosure) else {
                return Err(SdJwtError::DisclosureForm);
            };
            if matches!(name.as_str(), DIGESTS | HASH_NAME | PLACEHOLDER) {
                return Err(SdJwtError::ReservedName);
            }
            self.value(&mut value, at.disclosed())?;
            named(&name);
            match members.entry(name) {
                Entry::Vacant(place) => place.insert(value),
                Entry::Occupied(_) => return Err(SdJwtError::Shadowed),
            };
        }
        Ok(())
    }

    /// Puts disclosed elements in their places, and drops the placeholders of the others (7.1 steps 3.c.iii and 3.d).
    fn elements(&mut self, elements: &mut Vec<Value>, at: Depth) -> Result<(), SdJwtError> {
        let mut refused = None;
        elements.retain_mut(|element| {
            refused.is_none()
                && self.element(element, at).unwrap_or_else(|error| {
                    refused = Some(error);
                    false
                })
        });
        refused.map_or(Ok(()), Err)
    }

    /// Whether the element stays.
    fn element(&mut self, element: &mut Value, at: Depth) -> Result<bool, SdJwtError> {
        let Some(placeholder) = element.as_object_mut().filter(|members| members.contains_key(PLACEHOLDER)) else {
            return self.value(element, at.within()).map(|()| true);
        };
        let (Some(Value::String(digest)), true) = (placeholder.remove(PLACEHOLDER), placeholder.is_empty()) else {
            return Err(SdJwtError::DigestForm);
        };
        let Some(disclosure) = self.open(digest)? else { return Ok(false) };
        let Ok([Value::String(_salt), value]) = <[Value; 2]>::try_from(disclosure) else {
            return Err(SdJwtError::DisclosureForm);
        };
        *element = value;
        self.value(element, at.disclosed()).map(|()| true)
    }

    /// The disclosure of a digest, if it was sent: the array's elements.
    fn open(&mut self, digest: String) -> Result<Option<Vec<Value>>, SdJwtError> {
        let disclosure = match self.digests.insert(digest, Digest::Met) {
            None => return Ok(None),
            Some(Digest::Sent(disclosure)) => disclosure,
            // RFC 9901, 7.1 step 4, decoys included: one disclosure must not appear at two places.
            Some(Digest::Met) => return Err(SdJwtError::DuplicateDigest),
        };
        self.unused -= 1;
        let bytes = jose::base64url_decode(disclosure).map_err(SdJwtError::DisclosureEncoding)?;
        match json::parse(&bytes, self.limits.json_depth).map_err(SdJwtError::DisclosureJson)? {
            Value::Array(elements) => Ok(Some(elements)),
            _ => Err(SdJwtError::DisclosureForm),
        }
    }
}

/// How deep a value stands: in the processed payload, and in disclosures within disclosures.
#[derive(Clone, Copy)]
struct Depth {
    json: usize,
    disclosures: usize,
}

impl Depth {
    const TOP: Self = Self { json: 1, disclosures: 0 };

    const fn within(self) -> Self {
        Self { json: self.json + 1, ..self }
    }

    const fn disclosed(self) -> Self {
        Self { json: self.json + 1, disclosures: self.disclosures + 1 }
    }

    /// Before the walk goes further down, so that its stack is bounded.
    const fn check(self, limits: &Limits) -> Result<(), SdJwtError> {
        if self.json > limits.json_depth {
            return Err(SdJwtError::TooDeep { limit: limits.json_depth });
        }
        if self.disclosures > limits.sd_jwt_depth {
            return Err(SdJwtError::TooDeep { limit: limits.sd_jwt_depth });
        }
        Ok(())
    }
}

/// A hash function of digests, as `_sd_alg` names it (IANA registry "Named Information Hash Algorithm"); the weak ones
/// are not here (RFC 9901, 9.4). SHA-256 where nothing is said (RFC 9901, 4.1.1; OpenID4VP, B.3.3.1).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Hash {
    /// `sha-256`.
    #[default]
    Sha256,
    /// `sha-384`.
    Sha384,
    /// `sha-512`.
    Sha512,
}

impl Hash {
    /// Those that are accepted.
    pub const ALL: [Self; 3] = [Self::Sha256, Self::Sha384, Self::Sha512];

    /// Its name in `_sd_alg`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Sha256 => "sha-256",
            Self::Sha384 => "sha-384",
            Self::Sha512 => "sha-512",
        }
    }

    /// The function of this name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|hash| hash.name() == name)
    }

    /// The base64url text of the hash of these characters.
    #[must_use]
    pub fn of(self, text: &str) -> String {
        let algorithm = match self {
            Self::Sha256 => &digest::SHA256,
            Self::Sha384 => &digest::SHA384,
            Self::Sha512 => &digest::SHA512,
        };
        jose::base64url_encode(digest::digest(algorithm, text.as_bytes()).as_ref())
    }
}

/// The hash functions that one of our transaction data objects allows, if it says so.
fn allowed_hashes(data: &str) -> Option<Vec<String>> {
    let object: Value = serde_json::from_slice(&jose::base64url_decode(data).ok()?).ok()?;
    let names = object.get("transaction_data_hashes_alg")?.as_array()?;
    Some(names.iter().filter_map(Value::as_str).map(str::to_owned).collect())
}

fn text_claim<'p>(proof: &'p Map<String, Value>, claim: &'static str) -> Result<&'p str, SdJwtError> {
    proof.get(claim).and_then(Value::as_str).ok_or(SdJwtError::KeyBindingClaim { claim })
}

fn time_claim(proof: &Map<String, Value>, claim: &'static str) -> Result<Option<UnixTime>, SdJwtError> {
    numeric_date(proof, claim).map_err(|_| SdJwtError::KeyBindingClaim { claim })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::protocol::jose::SigningKey;

    const NOW: i64 = 1_795_000_000;
    const CLIENT: &str = "x509_san_dns:shop.example";

    fn key(scalar: u8) -> SigningKey {
        SigningKey::from_p256_scalar(&[scalar; 32]).unwrap()
    }

    fn sign(key: &SigningKey, typ: &str, claims: &Value) -> String {
        key.sign_jws(json!({ "typ": typ }).as_object().unwrap(), claims).unwrap()
    }

    fn disclosure(content: &Value) -> String {
        jose::base64url_encode(content.to_string().as_bytes())
    }

    fn digest(disclosure: &str) -> String {
        Hash::default().of(disclosure)
    }

    /// An issuer-signed JWT with these claims and these disclosures, up to and including the last `~`.
    fn issue(claims: &Value, disclosures: &[&str]) -> String {
        let mut text = sign(&key(1), "dc+sd-jwt", claims) + "~";
        for disclosure in disclosures {
            text.push_str(disclosure);
            text.push('~');
        }
        text
    }

    fn open(text: &str) -> Result<Map<String, Value>, SdJwtError> {
        let limits = Limits::default();
        let signed = SdJwt::parse(text, &limits)?.verify(key(1).public_key(), &["dc+sd-jwt"], &limits)?;
        Ok(signed.into_claims())
    }

    fn code(got: Result<Map<String, Value>, SdJwtError>) -> &'static str {
        got.expect_err("refused").code()
    }

    #[test]
    fn disclosures_take_their_places_and_the_rest_leaves_no_trace() {
        let locality = disclosure(&json!(["s1", "locality", "Köln"]));
        let address = disclosure(&json!(["s2", "address", {"_sd": [digest(&locality)], "country": "DE"}]));
        let french = disclosure(&json!(["s3", "FR"]));
        let claims = json!({
            "_sd_alg": "sha-256",
            "_sd": [digest(&address), digest("a decoy")],
            "plain": 1,
            "nationalities": [{"...": digest("hidden")}, {"...": digest(&french)}, "PL"],
        });
        let whole = open(&issue(&claims, &[&locality, &address, &french])).unwrap();
        let expected = json!({
            "plain": 1, "nationalities": ["FR", "PL"], "address": {"country": "DE", "locality": "Köln"},
        });
        assert_eq!(Value::Object(whole), expected);

        let nothing = open(&issue(&claims, &[])).unwrap();
        assert_eq!(Value::Object(nothing), json!({"plain": 1, "nationalities": ["PL"]}));
        assert_eq!(code(open(&issue(&claims, &[&locality]))), "sd_jwt_unreferenced_disclosure");
        assert_eq!(code(open(&issue(&claims, &[&french, &french]))), "sd_jwt_duplicate_disclosure");
    }

    #[test]
    fn says_which_top_level_claims_disclosures_contributed_to() {
        let limits = Limits::default();
        let jwk = disclosure(&json!(["s1", "jwk", {"kty": "EC"}]));
        let name = disclosure(&json!(["s2", "given_name", "Anna"]));
        let text = issue(&json!({"cnf": {"_sd": [digest(&jwk)]}, "_sd": [digest(&name)], "vct": "x"}), &[&jwk, &name]);
        let signed =
            SdJwt::parse(&text, &limits).unwrap().verify(key(1).public_key(), &["dc+sd-jwt"], &limits).unwrap();
        assert_eq!(signed.disclosed(), ["cnf", "given_name"]);
    }

    #[test]
    fn each_hash_function_of_the_list_and_no_other() {
        let name = disclosure(&json!(["s", "given_name", "Anna"]));
        for hash in Hash::ALL {
            let claims = json!({"_sd_alg": hash.name(), "_sd": [hash.of(&name)]});
            assert_eq!(open(&issue(&claims, &[&name])).unwrap()["given_name"], "Anna", "{}", hash.name());
        }
        for refused in [json!("md5"), json!("SHA-256"), json!(256), json!(null), json!(["sha-256"])] {
            let claims = json!({"_sd_alg": refused, "_sd": [digest(&name)]});
            assert_eq!(code(open(&issue(&claims, &[&name]))), "sd_jwt_hash_function");
        }
        let nested = json!({"_sd": [digest(&name)], "a": {"_sd_alg": "sha-256"}});
        assert_eq!(code(open(&issue(&nested, &[&name]))), "sd_jwt_reserved_name");
    }

    #[test]
    fn refuses_disclosures_of_another_form() {
        let form = |content: Value| {
            let disclosure = disclosure(&content);
            code(open(&issue(&json!({"_sd": [digest(&disclosure)]}), &[&disclosure])))
        };
        for wrong in [json!(["s", "x"]), json!(["s", "x", 1, 2]), json!([]), json!({"s": 1}), json!(["s", 7, 1])] {
            assert_eq!(form(wrong), "sd_jwt_disclosure_form");
        }
        assert_eq!(form(json!([1, "x", 1])), "sd_jwt_disclosure_form");
        for reserved in ["_sd", "...", "_sd_alg"] {
            assert_eq!(form(json!(["s", reserved, []])), "sd_jwt_reserved_name");
        }
        let three = disclosure(&json!(["s", "x", 1]));
        let claims = json!({"a": [{"...": digest(&three)}]});
        assert_eq!(code(open(&issue(&claims, &[&three]))), "sd_jwt_disclosure_form");
        let raw = |bytes: &[u8]| {
            let disclosure = jose::base64url_encode(bytes);
            code(open(&issue(&json!({"_sd": [digest(&disclosure)]}), &[&disclosure])))
        };
        assert_eq!(raw(b"no JSON"), "sd_jwt_disclosure_json");
        assert_eq!(raw(b"[\"s\",\"x\",\"\xff\"]"), "sd_jwt_disclosure_json");
        assert_eq!(raw(br#"["s","x",{"a":1,"\u0061":2}]"#), "sd_jwt_disclosure_json");
        let claims = json!({"_sd": [digest("WyJz=")]});
        assert_eq!(code(open(&issue(&claims, &["WyJz="]))), "sd_jwt_disclosure_encoding");
    }

    #[test]
    fn refuses_digests_at_two_places_and_of_another_form() {
        let name = disclosure(&json!(["s", "given_name", "Anna"]));
        let (name, d) = (name.as_str(), digest(&name));
        for twice in [json!({"_sd": [d, d]}), json!({"_sd": [d], "a": {"_sd": [d]}})] {
            assert_eq!(code(open(&issue(&twice, &[name]))), "sd_jwt_duplicate_digest");
            assert_eq!(code(open(&issue(&twice, &[]))), "sd_jwt_duplicate_digest", "also when hidden");
        }
        for twice in [json!({"_sd": [d], "a": [{"...": d}]}), json!({"a": [{"...": d}, [{"...": d}]]})] {
            assert_eq!(code(open(&issue(&twice, &[]))), "sd_jwt_duplicate_digest");
        }
        for form in
            [json!({"_sd": d}), json!({"_sd": [1]}), json!({"a": [{"...": d, "b": 1}]}), json!({"a": [{"...": 1}]})]
        {
            assert_eq!(code(open(&issue(&form, &[]))), "sd_jwt_digest_form");
        }
        assert_eq!(code(open(&issue(&json!({"a": {"...": d}}), &[]))), "sd_jwt_reserved_name");
    }

    #[test]
    fn refuses_claims_that_hide_others() {
        let name = disclosure(&json!(["s1", "given_name", "Anna"]));
        let other = disclosure(&json!(["s2", "given_name", "Eve"]));
        let there = json!({"_sd": [digest(&name)], "given_name": "Eve"});
        assert_eq!(code(open(&issue(&there, &[&name]))), "sd_jwt_shadowed_claim");
        let both = json!({"_sd": [digest(&name), digest(&other)]});
        assert!(open(&issue(&both, &[&other])).is_ok());
        assert_eq!(code(open(&issue(&both, &[&name, &other]))), "sd_jwt_shadowed_claim");
    }

    #[test]
    fn bounds_what_it_reads() {
        let chain = |length: usize| {
            let mut disclosures = vec![disclosure(&json!(["s", "x", {}]))];
            for at in 1..length {
                let within = digest(&disclosures[at - 1]);
                disclosures.push(disclosure(&json!(["s", "x", {"_sd": [within]}])));
            }
            let claims = json!({"_sd": [digest(&disclosures[length - 1])]});
            let disclosures: Vec<&str> = disclosures.iter().map(String::as_str).collect();
            open(&issue(&claims, &disclosures))
        };
        let limits = Limits::default();
        assert!(chain(limits.sd_jwt_depth).is_ok());
        assert_eq!(code(chain(limits.sd_jwt_depth + 1)), "sd_jwt_too_deep");
        assert_eq!(code(chain(200)), "sd_jwt_too_deep");

        let many: Vec<String> = (0..=limits.disclosures).map(|n| disclosure(&json!(["s", n]))).collect();
        let many: Vec<&str> = many.iter().map(String::as_str).collect();
        let all: Vec<Value> = many.iter().map(|d| json!({"...": digest(d)})).collect();
        let claims = json!({ "a": all });
        assert!(open(&issue(&claims, &many[1..])).is_ok());
        assert_eq!(code(open(&issue(&claims, &many))), "sd_jwt_too_many_disclosures");
        assert_eq!(code(open(&"~".repeat(limits.response_bytes + 1))), "sd_jwt_too_large");
    }

    #[test]
    fn refuses_texts_that_are_no_presentation() {
        let text = issue(&json!({}), &[]);
        assert_eq!(code(open(text.trim_end_matches('~'))), "sd_jwt_malformed");
        assert_eq!(code(open("")), "sd_jwt_malformed");
        assert_eq!(code(open("~~~")), "sd_jwt_issuer_jwt");
        assert_eq!(code(open(&format!("{text}~"))), "sd_jwt_empty_disclosure");
        assert_eq!(code(open(&format!("{text}WyJz"))), "key_binding_jwt");
        let limits = Limits::default();
        let other = SdJwt::parse(&text, &limits).unwrap().verify(key(2).public_key(), &["dc+sd-jwt"], &limits);
        assert_eq!(other.expect_err("another issuer").code(), "sd_jwt_issuer_jwt");
        let typ = SdJwt::parse(&text, &limits).unwrap().verify(key(1).public_key(), &["kb+jwt"], &limits);
        assert_eq!(typ.expect_err("another type").code(), "sd_jwt_issuer_jwt");
    }

    /// A presentation whose key binding JWT is signed by `holder` with `change` made to its claims.
    fn present(holder: &SigningKey, typ: &str, change: impl FnOnce(&mut Value)) -> String {
        let name = disclosure(&json!(["s", "given_name", "Anna"]));
        let claims = json!({"_sd": [digest(&name)], "cnf": {"jwk": key(2).public_key().to_jwk()}});
        let bound = issue(&claims, &[&name]);
        let mut proof = json!({"iat": NOW - 5, "aud": CLIENT, "nonce": "n-1", "sd_hash": digest(&bound)});
        change(&mut proof);
        format!("{bound}{}", sign(holder, typ, &proof))
    }

    fn check(text: &str, transaction_data: &[String]) -> Result<Map<String, Value>, SdJwtError> {
        let limits = Limits::default();
        let signed = SdJwt::parse(text, &limits)?.verify(key(1).public_key(), &["dc+sd-jwt"], &limits)?;
        signed.verify_key_binding(&KeyBinding {
            audience: CLIENT,
            nonce: "n-1",
            now: UnixTime::from_secs(NOW),
            max_age_s: 300,
            skew_s: 60,
            transaction_data,
        })
    }

    #[test]
    fn believes_the_holder_of_the_key_alone() {
        assert_eq!(check(&present(&key(2), "kb+jwt", |_| ()), &[]).unwrap()["given_name"], "Anna");
        assert_eq!(code(check(&present(&key(3), "kb+jwt", |_| ()), &[])), "key_binding_jwt");
        assert_eq!(code(check(&present(&key(2), "JWT", |_| ()), &[])), "key_binding_jwt");
        let without = issue(&json!({"cnf": {"jwk": key(2).public_key().to_jwk()}}), &[]);
        assert_eq!(code(check(&without, &[])), "key_binding_missing");
        let keyless = issue(&json!({"a": 1}), &[]);
        let proof = json!({"iat": NOW, "aud": CLIENT, "nonce": "n-1", "sd_hash": digest(&keyless)});
        assert_eq!(code(check(&(keyless + &sign(&key(2), "kb+jwt", &proof)), &[])), "holder_key_missing");
        let cnf = disclosure(&json!(["s", "cnf", {"jwk": key(2).public_key().to_jwk()}]));
        let disclosed = issue(&json!({"_sd": [digest(&cnf)]}), &[&cnf]);
        let proof = json!({"iat": NOW, "aud": CLIENT, "nonce": "n-1", "sd_hash": digest(&disclosed)});
        assert_eq!(code(check(&(disclosed + &sign(&key(2), "kb+jwt", &proof)), &[])), "holder_key_disclosed");
    }

    #[test]
    fn one_wrong_claim_of_the_key_binding_each() {
        let with = |claim: &str, value: Value| {
            let text = present(&key(2), "kb+jwt", |proof| {
                proof[claim] = value;
            });
            code(check(&text, &[]))
        };
        let without = |claim: &str| {
            let text = present(&key(2), "kb+jwt", |proof| {
                proof.as_object_mut().unwrap().remove(claim);
            });
            code(check(&text, &[]))
        };
        assert_eq!(with("nonce", json!("n-2")), "key_binding_nonce");
        assert_eq!(with("nonce", json!("n-")), "key_binding_nonce");
        assert_eq!(with("aud", json!("shop.example")), "key_binding_audience");
        assert_eq!(with("aud", json!([CLIENT])), "key_binding_claim");
        assert_eq!(with("sd_hash", json!(digest("other"))), "key_binding_sd_hash");
        assert_eq!(with("iat", json!(NOW - 301)), "key_binding_too_old");
        assert_eq!(with("iat", json!(NOW + 61)), "key_binding_in_future");
        assert_eq!(with("iat", json!("now")), "key_binding_claim");
        assert_eq!(with("exp", json!(NOW - 60)), "key_binding_too_old");
        assert_eq!(with("exp", json!("never")), "key_binding_claim");
        assert_eq!(with("nbf", json!(NOW + 61)), "key_binding_in_future");
        for claim in ["nonce", "aud", "sd_hash", "iat"] {
            assert_eq!(without(claim), "key_binding_claim", "{claim}");
        }
        for edge in [NOW - 300, NOW + 60] {
            assert!(check(&present(&key(2), "kb+jwt", |proof| proof["iat"] = json!(edge)), &[]).is_ok());
        }
    }

    #[test]
    fn a_presentation_changed_after_the_proof_is_refused() {
        let text = present(&key(2), "kb+jwt", |_| ());
        let parts: Vec<&str> = text.split('~').collect();
        let dropped = format!("{}~{}", parts[0], parts[2]);
        assert_eq!(code(check(&dropped, &[])), "key_binding_sd_hash");
    }

    #[test]
    fn transaction_data_is_signed_in_full_or_not_at_all() {
        let data = |content: Value| jose::base64url_encode(content.to_string().as_bytes());
        let pay = data(json!({"type": "pay", "amount": "1.00"}));
        let terms = data(json!({"type": "terms"}));
        let asked = [pay.clone(), terms.clone()];
        let signing = |hashes: Value, alg: Value| {
            present(&key(2), "kb+jwt", |proof| {
                proof["transaction_data_hashes"] = hashes;
                if !alg.is_null() {
                    proof["transaction_data_hashes_alg"] = alg;
                }
            })
        };
        let null = || Value::Null;
        assert!(check(&signing(json!([digest(&pay), digest(&terms)]), null()), &asked).is_ok());
        assert!(check(&signing(json!([digest(&terms), digest(&pay)]), null()), &asked).is_ok(), "in any order");
        assert!(check(&signing(json!([digest(&terms), digest(&pay)]), json!("sha-256")), &asked).is_ok());

        assert_eq!(code(check(&present(&key(2), "kb+jwt", |_| ()), &asked)), "transaction_data_missing");
        assert_eq!(code(check(&signing(json!([]), null()), &[])), "transaction_data_unasked");
        let mismatch = |hashes: Value| code(check(&signing(hashes, null()), &asked));
        for wrong in [
            json!([]),
            json!([digest(&pay)]),
            json!([digest(&pay), digest(&pay)]),
            json!([digest(&pay), digest(&terms), digest(&terms)]),
            json!([digest(&pay), digest(&terms), 1]),
            json!([digest(&pay), digest(&json!({"type": "terms"}).to_string())]),
        ] {
            assert_eq!(mismatch(wrong), "transaction_data_mismatch");
        }
        assert_eq!(mismatch(json!("x")), "key_binding_claim");
        let hashes = json!([digest(&pay), digest(&terms)]);
        assert_eq!(code(check(&signing(hashes, json!("sha-512")), &asked)), "transaction_data_hash");

        let sha512 = Hash::from_name("sha-512").unwrap();
        let strict = [data(json!({"type": "pay", "transaction_data_hashes_alg": ["sha-512", "sha-384"]}))];
        let hashes = json!([sha512.of(&strict[0])]);
        assert!(check(&signing(hashes.clone(), json!("sha-512")), &strict).is_ok());
        assert_eq!(code(check(&signing(hashes.clone(), null()), &strict)), "transaction_data_hash", "must be echoed");
        assert_eq!(code(check(&signing(hashes.clone(), json!("sha-384")), &strict)), "transaction_data_mismatch");
        assert_eq!(code(check(&signing(hashes, json!("sha-256")), &strict)), "transaction_data_hash");
    }
}
