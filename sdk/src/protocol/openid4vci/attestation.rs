//! What the provider of a wallet says: that the wallet is its own (a client attestation,
//! `draft-ietf-oauth-attestation-based-client-auth` and OpenID4VCI 1.0, appendix E), and where a wallet keeps its keys
//! (a key attestation, appendix D).
//!
//! Believed is who shows certificates that lead to a root the merchant named; a token without them is nobody's word.

use std::fmt;

use serde_json::{Map, Value};

use super::KEYS_MAX;
use crate::{
    limits::Limits,
    protocol::{
        claims,
        jose::{JoseError, Jws, PublicKey},
        x509::{Certificate, X509Error, verify_path},
    },
    time::UnixTime,
};

/// The `typ` of a client attestation.
pub const CLIENT_TYPE: &str = "oauth-client-attestation+jwt";
/// The `typ` of the proof that goes with it.
pub const CLIENT_PROOF_TYPE: &str = "oauth-client-attestation-pop+jwt";
/// The `typ` of a key attestation.
pub const KEY_TYPE: &str = "key-attestation+jwt";

/// How old the proof of a client may be, in seconds.
const PROOF_AGE_S: u64 = 5 * 60;
/// How far ahead the clock of a wallet or its provider may be, in seconds.
const SKEW_S: u64 = 60;
/// Addresses that an attested client may be answered at.
const REDIRECT_URIS_MAX: usize = 16;

/// Whose word counts, and when.
#[derive(Clone, Copy)]
pub struct Believed<'a> {
    /// The roots of wallet providers.
    pub roots: &'a [Certificate],
    /// The time.
    pub now: UnixTime,
    /// The bounds.
    pub limits: &'a Limits,
}

/// A wallet whose provider says that it is one of its own, and which holds the key that the provider named.
#[derive(Clone)]
pub struct AttestedClient {
    /// The client identifier: the same for all wallets of this provider (appendix E).
    pub client_id: String,
    /// The key of this one wallet.
    pub key: PublicKey,
    /// Where this provider's wallets are answered, if the attestation says so: a claim `redirect_uris` as in client
    /// metadata (RFC 7591, 2).
    pub redirect_uris: Vec<String>,
    /// What the wallet is called.
    pub name: Option<String>,
    /// The name of the proof, good for one request.
    pub jti: String,
    /// Until when the proof is good.
    pub good_until: UnixTime,
}

impl AttestedClient {
    /// Checks what came in `OAuth-Client-Attestation` and `OAuth-Client-Attestation-PoP`; `audience` is the identifier
    /// of the authorization server. Whether the proof was used before is the caller's to check.
    ///
    /// # Errors
    /// The first check that fails.
    pub fn check(
        attestation: &str,
        proof: &str,
        audience: &str,
        believed: &Believed<'_>,
    ) -> Result<Self, AttestationError> {
        let claims = provider_says(attestation, CLIENT_TYPE, believed)?;
        // What an attestation is worth ends; without an end it would be worth something for ever.
        not_over(&claims, believed.now)?.ok_or(AttestationError::Claim("exp"))?;
        let client_id = required(&claims, "sub")?.to_owned();
        let jwk = claims.get("cnf").and_then(|cnf| cnf.get("jwk")).ok_or(AttestationError::Claim("cnf"))?;
        let key = PublicKey::from_jwk(jwk)?;
        let redirect_uris = match claims.get("redirect_uris") {
            None => Vec::new(),
            Some(Value::Array(uris)) if uris.len() <= REDIRECT_URIS_MAX && uris.iter().all(Value::is_string) => {
                uris.iter().filter_map(Value::as_str).map(str::to_owned).collect()
            }
            Some(_) => return Err(AttestationError::Claim("redirect_uris")),
        };
        let name = claims::string(&claims, "wallet_name")?.map(|name| name.chars().take(80).collect());

        let proof = Jws::parse(proof, believed.limits)?.verify(&key, &[CLIENT_PROOF_TYPE])?;
        if !claims::audience_is(&proof, audience)? {
            return Err(AttestationError::Audience);
        }
        // Earlier drafts have it.
        if claims::string(&proof, "iss")?.is_some_and(|iss| iss != client_id) {
            return Err(AttestationError::Claim("iss"));
        }
        let jti = required(&proof, "jti")?;
        if jti.len() > believed.limits.jti_bytes {
            return Err(AttestationError::Claim("jti"));
        }
        let iat = claims::numeric_date(&proof, "iat")?.ok_or(AttestationError::Claim("iat"))?;
        if iat < believed.now.minus_s(PROOF_AGE_S) || iat > believed.now.plus_s(SKEW_S) {
            return Err(AttestationError::ProofAge { iat, now: believed.now });
        }
        not_over(&proof, believed.now)?;
        Ok(Self { client_id, key, redirect_uris, name, jti: jti.to_owned(), good_until: iat.plus_s(PROOF_AGE_S) })
    }
}

impl fmt::Debug for AttestedClient {
    /// Without the key, which follows its owner.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AttestedClient").field("client_id", &self.client_id).finish_non_exhaustive()
    }
}

/// Keys of one wallet, of which its provider says where they are kept.
#[derive(Clone)]
pub struct KeyAttestation {
    /// The keys, at least one, each with the name that it goes by there.
    pub keys: Vec<(Option<String>, PublicKey)>,
    /// The nonce that shows when it was made.
    pub nonce: Option<String>,
    /// Whether it ends: an attestation within a `jwt` proof must (appendix D.1).
    pub ends: bool,
}

impl KeyAttestation {
    /// Checks a key attestation (appendix D.1). Whether its nonce is ours is the caller's to check.
    ///
    /// # Errors
    /// The first check that fails.
    pub fn check(token: &str, believed: &Believed<'_>) -> Result<Self, AttestationError> {
        let claims = provider_says(token, KEY_TYPE, believed)?;
        let iat = claims::numeric_date(&claims, "iat")?.ok_or(AttestationError::Claim("iat"))?;
        if iat > believed.now.plus_s(SKEW_S) {
            return Err(AttestationError::NotYet { from: iat, now: believed.now });
        }
        let ends = not_over(&claims, believed.now)?.is_some();
        let wrong = || AttestationError::Claim("attested_keys");
        let attested = claims.get("attested_keys").and_then(Value::as_array).ok_or_else(wrong)?;
        if !(1..=KEYS_MAX).contains(&attested.len()) {
            return Err(wrong());
        }
        let mut keys: Vec<(Option<String>, PublicKey)> = Vec::with_capacity(attested.len());
        for jwk in attested {
            let name = jwk.get("kid").and_then(Value::as_str).map(str::to_owned);
            let key = PublicKey::from_jwk(jwk)?;
            if keys.iter().any(|(_, known)| *known == key) {
                return Err(wrong());
            }
            keys.push((name, key));
        }
        Ok(Self { keys, nonce: claims::string(&claims, "nonce")?.map(str::to_owned), ends })
    }

    /// The key that a proof calls `kid`: by its own name, or by its place, beginning at 0 (appendix F.1).
    #[must_use]
    pub fn key(&self, kid: &str) -> Option<&PublicKey> {
        let named = self.keys.iter().find(|(name, _)| name.as_deref() == Some(kid));
        let placed = || self.keys.get(kid.parse::<usize>().ok()?);
        named.or_else(placed).map(|(_, key)| key)
    }
}

impl fmt::Debug for KeyAttestation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KeyAttestation").field("keys", &self.keys.len()).finish_non_exhaustive()
    }
}

/// Why a provider's word does not count.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum AttestationError {
    /// Its form, type or signature.
    #[error(transparent)]
    Jose(#[from] JoseError),
    /// It brings no certificates (HAIP 1.0, 4.4.1).
    #[error("the attestation brings no certificates in x5c")]
    NoCertificates,
    /// Its certificates do not lead to a provider that is trusted.
    #[error("the attestation is not by a trusted provider: {0}")]
    Provider(#[source] X509Error),
    /// A claim is missing, or not what it must be.
    #[error("`{0}` is missing from the attestation, or not what it must be")]
    Claim(&'static str),
    /// It does not hold yet.
    #[error("the attestation holds from {from} on, and it is {now}")]
    NotYet {
        /// From when.
        from: UnixTime,
        /// The time it was checked at.
        now: UnixTime,
    },
    /// It is over.
    #[error("the attestation ended at {ended}, and it is {now}")]
    Over {
        /// When it ended.
        ended: UnixTime,
        /// The time it was checked at.
        now: UnixTime,
    },
    /// The proof is for another server.
    #[error("the proof of the client is for another server")]
    Audience,
    /// The proof is too old, or of the future.
    #[error("the proof of the client was made at {iat}, and it is {now}")]
    ProofAge {
        /// When it was made.
        iat: UnixTime,
        /// The time it was checked at.
        now: UnixTime,
    },
}

impl AttestationError {
    /// A stable name of the check that failed.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::Jose(error) => error.code(),
            Self::NoCertificates => "attestation_no_certificates",
            Self::Provider(error) => error.code(),
            Self::Claim(_) => "attestation_claim",
            Self::NotYet { .. } => "attestation_not_yet",
            Self::Over { .. } => "attestation_over",
            Self::Audience => "attestation_audience",
            Self::ProofAge { .. } => "attestation_proof_age",
        }
    }
}

/// The claims of a token that a trusted provider signed.
fn provider_says(token: &str, typ: &str, believed: &Believed<'_>) -> Result<Map<String, Value>, AttestationError> {
    let jws = Jws::parse(token, believed.limits)?;
    let chain = jws.header().x5c.as_deref().ok_or(AttestationError::NoCertificates)?;
    let roots: Vec<&Certificate> = believed.roots.iter().collect();
    let path = verify_path(chain, &roots, believed.now, believed.limits).map_err(AttestationError::Provider)?;
    Ok(jws.verify(&path.key, &[typ])?)
}

/// `exp` if the token has one; `nbf` and `exp` are held against the time.
fn not_over(claims: &Map<String, Value>, now: UnixTime) -> Result<Option<UnixTime>, AttestationError> {
    if let Some(from) = claims::numeric_date(claims, "nbf")?.filter(|from| *from > now.plus_s(SKEW_S)) {
        return Err(AttestationError::NotYet { from, now });
    }
    match claims::numeric_date(claims, "exp")? {
        Some(ended) if ended <= now => Err(AttestationError::Over { ended, now }),
        other => Ok(other),
    }
}

fn required<'a>(claims: &'a Map<String, Value>, name: &'static str) -> Result<&'a str, AttestationError> {
    match claims::string(claims, name)? {
        None | Some("") => Err(AttestationError::Claim(name)),
        Some(text) => Ok(text),
    }
}
