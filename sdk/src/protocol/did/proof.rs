//! A JWT by which somebody shows that a DID is theirs, or hands it over: signed by a key that the DID lists under
//! `authentication`, for one audience and one nonce.
//!
//! | `typ` | signed by | says |
//! |---|---|---|
//! | `firsthand-sign-in+jwt` | `iss` | that `iss` holds the browser's key `cnf.jkt` |
//! | `firsthand-did-handover+jwt` | `iss` | that `sub` takes the place of `iss` |
//! | `firsthand-did-takeover+jwt` | `sub` | that it agrees |
//!
//! All have `iss` and `sub`, both DIDs, `aud`, `iat` and `nonce`; in a sign-in `iss` and `sub` are the same. The `kid` in the
//! header is absolute and under the DID that signs, and its key decides the algorithm.

use serde_json::{Map, Value};

use super::{Did, DidDocument, DidError, Relationship};
use crate::{
    limits::Limits,
    protocol::{
        claims,
        jose::{JoseError, Jws, PublicKey, Thumbprint},
    },
    time::UnixTime,
};

/// Room for the fragment of a `kid`, in bytes: with a did:jwk or a long form, a `kid` is as long as a DID.
const FRAGMENT_BYTES: usize = 256;

/// Why a JWT does not prove a DID.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum DidProofError {
    /// The JWT is no strict JWS, is of another type, or its signature does not hold under the key that it names.
    #[error(transparent)]
    Jose(#[from] JoseError),
    /// A DID in it does not resolve.
    #[error(transparent)]
    Did(#[from] DidError),
    /// A claim that is missing.
    #[error("the JWT needs a `{0}`")]
    Claim(&'static str),
    /// The `kid` names no key of the DID that may say who its subject is.
    #[error("`kid` must be the DID, `#` and a key that it lists under authentication")]
    Key,
    /// It is meant for somebody else.
    #[error("`aud` must be {expected}")]
    Audience {
        /// Who it must be meant for.
        expected: String,
    },
    /// It lies outside the window: a wrong clock, or a JWT kept for later.
    #[error("the JWT was made at {iat}, too far from {now}")]
    IssuedAt {
        /// When it says that it was made.
        iat: UnixTime,
        /// When it was checked.
        now: UnixTime,
    },
    /// The nonce is not one of ours, or not any more.
    #[error("`nonce` must be the nonce that came with an answer a moment ago")]
    Nonce,
    /// It is for another key than the one that brings it.
    #[error("`cnf.jkt` must be the thumbprint of the key that signs the request")]
    BrowserKey,
    /// The DID's key is the one that signs the request: it proves nothing that the request does not.
    #[error("the key of the DID must be another one than the browser's")]
    SameKey,
    /// Two JWTs that belong together name different DIDs.
    #[error("`iss` and `sub` must be the old and the new DID, the same in both")]
    Parties,
}

impl DidProofError {
    /// A stable name for logs and answers.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::Jose(error) => error.code(),
            Self::Did(error) => error.code(),
            Self::Claim(_) => "did_proof_claim",
            Self::Key => "did_proof_key",
            Self::Audience { .. } => "did_proof_audience",
            Self::IssuedAt { .. } => "did_proof_issued_at",
            Self::Nonce => "did_proof_nonce",
            Self::BrowserKey => "did_proof_browser_key",
            Self::SameKey => "did_proof_same_key",
            Self::Parties => "did_proof_parties",
        }
    }
}

/// What a JWT is for, and so who signs it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// The DID's subject sits at this browser.
    SignIn,
    /// The old DID names the new one.
    Handover,
    /// The new DID agrees.
    Takeover,
}

impl Purpose {
    /// The `typ` of its JWTs.
    #[must_use]
    pub const fn typ(self) -> &'static str {
        match self {
            Self::SignIn => "firsthand-sign-in+jwt",
            Self::Handover => "firsthand-did-handover+jwt",
            Self::Takeover => "firsthand-did-takeover+jwt",
        }
    }
}

/// What a JWT must match.
#[derive(Clone, Copy, Debug)]
pub struct Expected<'a> {
    /// What it is for.
    pub purpose: Purpose,
    /// Whom it is meant for: the origin of the shop, without a slash at its end.
    pub audience: &'a str,
    /// The time of the check.
    pub now: UnixTime,
    /// How far `iat` may lie in the past, in seconds.
    pub iat_past_s: u64,
    /// How far `iat` may lie in the future, in seconds.
    pub iat_future_s: u64,
}

/// A JWT as parsed: nothing in it is believed yet.
#[derive(Debug)]
pub struct UnverifiedProof<'a> {
    jws: Jws<'a>,
    iss: Did,
    sub: Did,
}

/// A JWT that holds. Whether `nonce` is ours and `jkt` the browser's is the caller's to check.
#[derive(Debug)]
#[non_exhaustive]
pub struct DidProof {
    /// The document of the DID that signed.
    pub document: DidDocument,
    /// The key that signed.
    pub key: PublicKey,
    /// The DID that speaks.
    pub iss: Did,
    /// The DID that it speaks of.
    pub sub: Did,
    /// The nonce.
    pub nonce: String,
    /// The thumbprint of the browser's key, if it names one.
    pub jkt: Option<Thumbprint>,
}

impl<'a> UnverifiedProof<'a> {
    /// Parses a JWT, to find out whose long form may be needed.
    ///
    /// # Errors
    /// [`DidProofError::Jose`], [`DidProofError::Claim`], [`DidProofError::Did`].
    pub fn parse(jwt: &'a str, limits: &Limits) -> Result<Self, DidProofError> {
        let kid_bytes = limits.did_bytes.saturating_add(FRAGMENT_BYTES);
        let jws = Jws::parse(jwt, &Limits { kid_bytes, ..limits.clone() })?;
        let did = |name| Ok::<_, DidProofError>(Did::parse(required(jws.unverified_claims(), name)?, limits)?);
        let (iss, sub) = (did("iss")?, did("sub")?);
        Ok(Self { jws, iss, sub })
    }

    /// The DID that must have signed, for this purpose.
    #[must_use]
    pub const fn signer(&self, purpose: Purpose) -> &Did {
        match purpose {
            Purpose::SignIn | Purpose::Handover => &self.iss,
            Purpose::Takeover => &self.sub,
        }
    }

    /// Checks the JWT. If the DID that signed is a short form, it is that of `long`.
    ///
    /// # Errors
    /// [`DidProofError`], the first check that fails.
    pub fn verify(
        self,
        expected: &Expected<'_>,
        long: Option<&Did>,
        limits: &Limits,
    ) -> Result<DidProof, DidProofError> {
        let document = self.signer(expected.purpose).resolve(long, limits)?;
        let kid = self.jws.header().kid.clone().ok_or(DidProofError::Claim("kid"))?;
        let key = document.signing_key(Relationship::Authentication, &kid).ok_or(DidProofError::Key)?;
        let key = key.clone();
        let claims = self.jws.verify(&key, &[expected.purpose.typ()])?;
        if !claims::audience_is(&claims, expected.audience)? {
            return Err(DidProofError::Audience { expected: expected.audience.to_owned() });
        }
        let (iat, now) = (claims::numeric_date(&claims, "iat")?.ok_or(DidProofError::Claim("iat"))?, expected.now);
        if iat < now.minus_s(expected.iat_past_s) || iat > now.plus_s(expected.iat_future_s) {
            return Err(DidProofError::IssuedAt { iat, now });
        }
        if expected.purpose == Purpose::SignIn && self.iss != self.sub {
            return Err(DidProofError::Parties);
        }
        let nonce = required(&claims, "nonce")?.to_owned();
        // RFC 7800 section 3.4 has the key itself there, RFC 9449 section 6.1 its thumbprint.
        let jkt = match claims.get("cnf") {
            None => None,
            Some(Value::Object(cnf)) => claims::string(cnf, "jkt")?.map(str::parse).transpose()?,
            Some(_) => return Err(JoseError::Member("cnf").into()),
        };
        Ok(DidProof { document, key, iss: self.iss, sub: self.sub, nonce, jkt })
    }
}

fn required<'a>(claims: &'a Map<String, Value>, name: &'static str) -> Result<&'a str, DidProofError> {
    claims::string(claims, name)?.ok_or(DidProofError::Claim(name))
}
