//! Proofs of Device Bound Session Credentials (W3C draft, February 2026): a browser shows that the device is the one that
//! a cookie belongs to.
//!
//! A proof is a JWT whose `jti` is the challenge that it answers. Only ES256 is accepted: what the draft calls `none` is a
//! session that is bound to nothing. Whether the challenge is one of ours, and was not answered before, is the caller's to
//! check.

use serde_json::Value;

use crate::{
    limits::Limits,
    protocol::{
        claims,
        jose::{Algorithm, JoseError, Jws, PublicKey},
    },
};

/// The longest challenge that is read out of a proof, in bytes; ours are shorter.
const CHALLENGE_BYTES_MAX: usize = 128;
const TYPE: &str = "dbsc+jwt";

/// Why a proof is not accepted.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum DbscError {
    /// The proof is no strict JWS, its key is not accepted, or its signature does not hold under that key.
    #[error(transparent)]
    Jose(#[from] JoseError),
    /// The proof, or the key, is of another algorithm.
    #[error("a device proves itself by ES256")]
    Algorithm,
    /// A proof that registers shows its key, and no other proof does.
    #[error("`jwk` belongs into the header of a proof that registers, and of no other")]
    Key,
    /// `jti` is missing, empty or too long.
    #[error("the proof needs a `jti`: the challenge that it answers")]
    Challenge,
}

impl DbscError {
    /// A stable name for logs and answers.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::Jose(error) => error.code(),
            Self::Algorithm => "dbsc_algorithm",
            Self::Key => "dbsc_key",
            Self::Challenge => "dbsc_challenge",
        }
    }
}

/// A proof that registers a device (section "DBSC Proof JWT Syntax"): its key, and the challenge that it answers.
///
/// # Errors
/// [`DbscError`], the first check that fails.
pub fn check_registration(proof: &str, limits: &Limits) -> Result<(PublicKey, String), DbscError> {
    let jws = parse(proof, limits)?;
    let key = PublicKey::from_jwk(jws.header().jwk.as_ref().ok_or(DbscError::Key)?)?;
    let challenge = verified(jws, &key)?;
    Ok((key, challenge))
}

/// A proof of a device that was registered, as a JWK: the challenge that it answers.
///
/// # Errors
/// [`DbscError`], the first check that fails.
pub fn check_refresh(proof: &str, jwk: &Value, limits: &Limits) -> Result<String, DbscError> {
    let jws = parse(proof, limits)?;
    if jws.header().jwk.is_some() {
        return Err(DbscError::Key);
    }
    verified(jws, &PublicKey::from_jwk(jwk)?)
}

fn parse<'a>(proof: &'a str, limits: &Limits) -> Result<Jws<'a>, DbscError> {
    if proof.len() > limits.dpop_bytes {
        return Err(JoseError::TooLarge { found: proof.len(), limit: limits.dpop_bytes }.into());
    }
    Ok(Jws::parse(proof, limits)?)
}

fn verified(jws: Jws<'_>, key: &PublicKey) -> Result<String, DbscError> {
    if key.algorithm() != Algorithm::Es256 {
        return Err(DbscError::Algorithm);
    }
    let claims = jws.verify(key, &[TYPE])?;
    match claims::string(&claims, "jti")? {
        Some(challenge) if (1..=CHALLENGE_BYTES_MAX).contains(&challenge.len()) => Ok(challenge.to_owned()),
        _ => Err(DbscError::Challenge),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Map, json};

    use super::*;
    use crate::protocol::jose::{SigningKey, base64url_encode};

    fn device() -> SigningKey {
        SigningKey::from_p256_scalar(&[7; 32]).unwrap()
    }

    fn proof(key: &SigningKey, header: Value, claims: &Value) -> String {
        let header: Map<String, Value> = header.as_object().unwrap().clone();
        key.sign_jws(&header, claims).unwrap()
    }

    #[test]
    fn the_example_of_the_draft_is_read() {
        // Section "Secure-Session-Response"; its header lacks the key, which its claims have from an earlier draft.
        let example = "eyJhbGciOiJFUzI1NiIsInR5cCI6ImRic2Mrand0In0.eyJhdWQiOiJodHRwczovL2V4YW1wbGUuY29tL3JlZyIsImp0aSI6ImN2IiwiaWF0IjoiMTcyNTU3OTA1NSIsImp3ayI6eyJrdHkiOiJFQyIsImNydiI6IlAtMjU2IiwieCI6IjZfR0Iydm9RMHFyb01oNk9sREZDRlNfU0pyaVFpMVBUdnZCT2hHWjNiSEkiLCJ5IjoiSWVnT0pVTHlFN1N4SF9DZDFLQ0VSN2xXQnZHRkhRLWgweHlqelVqRUlXRSJ9LCJhdXRob3JpemF0aW9uIjoiYWMifQ.6Fb_vVBDmfNghQiBmIGe8o7tBfYPbPCywhQruP0vIhxgmcJmuNTaMHeVn_M8ZnOm1_bzIitbZqCWEn-1Qzmtyw";
        let jwk = json!({"kty": "EC", "crv": "P-256", "x": "6_GB2voQ0qroMh6OlDFCFS_SJriQi1PTvvBOhGZ3bHI",
            "y": "IegOJULyE7SxH_Cd1KCER7lWBvGFHQ-h0xyjzUjEIWE"});
        match check_refresh(example, &jwk, &Limits::default()) {
            Ok(challenge) => assert_eq!(challenge, "cv"),
            // Published without a signature that holds: then all before it was read.
            Err(error) => assert_eq!(error, DbscError::Jose(JoseError::Signature)),
        }
        assert_eq!(check_registration(example, &Limits::default()).unwrap_err(), DbscError::Key);
    }

    #[test]
    fn a_proof_holds_for_its_key_and_its_kind_alone() {
        let (limits, key) = (Limits::default(), device());
        let jwk = key.public_key().to_jwk();
        let registers = proof(&key, json!({"typ": "dbsc+jwt", "jwk": jwk}), &json!({"jti": "c"}));
        let refreshes = proof(&key, json!({"typ": "dbsc+jwt"}), &json!({"jti": "c"}));
        assert_eq!(check_registration(&registers, &limits).unwrap().1, "c");
        assert_eq!(check_refresh(&refreshes, &jwk, &limits).unwrap(), "c");
        assert_eq!(check_registration(&refreshes, &limits).unwrap_err(), DbscError::Key);
        assert_eq!(check_refresh(&registers, &jwk, &limits).unwrap_err(), DbscError::Key);
        let other = SigningKey::from_p256_scalar(&[8; 32]).unwrap().public_key().to_jwk();
        assert_eq!(check_refresh(&refreshes, &other, &limits).unwrap_err(), JoseError::Signature.into());
        let forged = proof(&key, json!({"typ": "dbsc+jwt", "jwk": other}), &json!({"jti": "c"}));
        assert_eq!(check_registration(&forged, &limits).unwrap_err(), JoseError::Signature.into());
    }

    #[test]
    fn nothing_but_es256_and_its_own_type_is_a_proof() {
        let (limits, key) = (Limits::default(), device());
        let jwk = key.public_key().to_jwk();
        let none = |header: Value| {
            let [header, claims] =
                [header, json!({"jti": "c"})].map(|part| base64url_encode(part.to_string().as_bytes()));
            [format!("{header}.{claims}."), format!("{header}.{claims}.AAAA")]
        };
        for text in none(json!({"typ": "dbsc+jwt", "alg": "none"})) {
            assert!(check_registration(&text, &limits).is_err());
            assert!(check_refresh(&text, &jwk, &limits).is_err());
        }
        for text in none(json!({"typ": "dbsc+jwt", "alg": "none", "jwk": jwk})) {
            assert!(check_registration(&text, &limits).is_err());
        }
        let edwards = SigningKey::from_ed25519_seed(&[7; 32]).unwrap();
        let header = json!({"typ": "dbsc+jwt", "jwk": edwards.public_key().to_jwk()});
        assert_eq!(
            check_registration(&proof(&edwards, header, &json!({"jti": "c"})), &limits).unwrap_err(),
            DbscError::Algorithm
        );
        for typ in ["dpop+jwt", "JWT", ""] {
            let other = proof(&key, json!({"typ": typ, "jwk": jwk}), &json!({"jti": "c"}));
            assert_eq!(check_registration(&other, &limits).unwrap_err(), JoseError::TokenType.into(), "{typ}");
        }
        let untyped = proof(&key, json!({}), &json!({"jti": "c"}));
        assert_eq!(check_refresh(&untyped, &jwk, &limits).unwrap_err(), JoseError::TokenType.into());
        for claims in [json!({}), json!({"jti": ""}), json!({"jti": "c".repeat(129)})] {
            let proof = proof(&key, json!({"typ": "dbsc+jwt"}), &claims);
            assert_eq!(check_refresh(&proof, &jwk, &limits).unwrap_err(), DbscError::Challenge, "{claims}");
        }
        let long = proof(&key, json!({"typ": "dbsc+jwt"}), &json!({"jti": "c", "more": "x".repeat(9_000)}));
        assert!(matches!(check_refresh(&long, &jwk, &limits), Err(DbscError::Jose(JoseError::TooLarge { .. }))));
    }
}
