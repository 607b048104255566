//! Proofs of the keys that credentials are bound to (OpenID4VCI 1.0, appendix F).

use std::fmt;

use super::{
    KEYS_MAX, PROOF_ALGORITHMS,
    attestation::{AttestationError, Believed, KeyAttestation},
    credential::{CredentialRequestError, Proofs},
};
use crate::{
    limits::Limits,
    protocol::{
        claims,
        jose::{JoseError, Jws, PublicKey},
        x509::Certificate,
    },
    time::UnixTime,
};

/// The `typ` of a proof.
pub const PROOF_TYPE: &str = "openid4vci-proof+jwt";

/// How old a proof may be, in seconds: as long as a nonce may last. The nonce says when it was made; `iat` only has to
/// agree (section 14.7).
const IAT_PAST_S: u64 = 10 * 60;
/// How far ahead a wallet's clock may be, in seconds.
const IAT_FUTURE_S: u64 = 60;

/// What proofs are held against.
#[derive(Clone, Copy)]
pub struct ProofContext<'a> {
    /// The identifier of the credential issuer.
    pub issuer: &'a str,
    /// The client that the token was given to; none for a wallet that did not say who it is.
    pub client_id: Option<&'a str>,
    /// Whether a nonce is one of ours, and still good.
    pub knows_nonce: &'a dyn Fn(&str) -> bool,
    /// The roots of wallet providers; without any, what a wallet brings of attestations is nobody's word and is not
    /// read.
    pub providers: &'a [Certificate],
    /// Whether keys must be attested.
    pub attested: bool,
    /// The time.
    pub now: UnixTime,
    /// The bounds.
    pub limits: &'a Limits,
}

impl<'a> ProofContext<'a> {
    const fn believed(&self) -> Believed<'a> {
        Believed { roots: self.providers, now: self.now, limits: self.limits }
    }

    fn check_nonce(&self, nonce: Option<&str>) -> Result<String, KeyProofError> {
        let nonce = nonce.ok_or(KeyProofError::NonceMissing)?;
        if (self.knows_nonce)(nonce) { Ok(nonce.to_owned()) } else { Err(KeyProofError::Nonce) }
    }
}

/// A key that may have a credential, and the nonce that its proof was made for.
#[derive(Clone)]
pub struct ProvedKey {
    /// The key.
    pub key: PublicKey,
    /// The nonce: together with the key, good for one credential.
    pub nonce: String,
}

impl fmt::Debug for ProvedKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ProvedKey([redacted])")
    }
}

/// Checks all proofs of a request (appendix F.4): one key for each credential that it may have.
///
/// # Errors
/// The first check that fails.
pub fn check(proofs: &Proofs, context: &ProofContext<'_>) -> Result<Vec<ProvedKey>, CredentialRequestError> {
    let mut proved: Vec<ProvedKey> = Vec::new();
    match proofs {
        Proofs::Jwt(proofs) => {
            for proof in proofs {
                let (keys, attested) = check_jwt(proof, context)?;
                for key in keys {
                    // Several proofs may bring one attestation of all keys; two proofs by one key are a mistake.
                    match (proved.iter().any(|known| known.key == key.key), attested) {
                        (true, true) => {}
                        (true, false) => return Err(CredentialRequestError::RepeatedKey),
                        (false, _) => proved.push(key),
                    }
                }
            }
        }
        Proofs::Attestation(token) => {
            if context.providers.is_empty() {
                return Err(CredentialRequestError::ProofType);
            }
            let attestation = KeyAttestation::check(token, &context.believed()).map_err(KeyProofError::Attestation)?;
            let nonce = context.check_nonce(attestation.nonce.as_deref())?;
            proved.extend(attestation.keys.into_iter().map(|(_, key)| ProvedKey { key, nonce: nonce.clone() }));
        }
    }
    if proved.len() > KEYS_MAX {
        return Err(CredentialRequestError::TooManyKeys { found: proved.len(), limit: KEYS_MAX });
    }
    Ok(proved)
}

/// Checks one proof by a key itself (appendix F.1); whether its keys were attested.
fn check_jwt(proof: &str, context: &ProofContext<'_>) -> Result<(Vec<ProvedKey>, bool), KeyProofError> {
    let jws = Jws::parse(proof, context.limits)?;
    let header = jws.header();
    if !PROOF_ALGORITHMS.contains(&header.alg.name()) {
        return Err(KeyProofError::Algorithm);
    }
    let attestation = match header.key_attestation.as_deref().filter(|_| !context.providers.is_empty()) {
        Some(token) => Some(KeyAttestation::check(token, &context.believed()).map_err(KeyProofError::Attestation)?),
        None if context.attested => return Err(KeyProofError::AttestationMissing),
        None => None,
    };
    // "It MUST NOT be present if": of the three exactly one. A certificate or a DID would tell who the wallet is, and
    // neither is offered in `cryptographic_binding_methods_supported`.
    let key = match (&header.jwk, &header.kid, &header.x5c) {
        (Some(jwk), None, None) => PublicKey::from_jwk(jwk)?,
        (None, Some(kid), None) => {
            let attestation = attestation.as_ref().ok_or(KeyProofError::KeyKind)?;
            attestation.key(kid).ok_or(KeyProofError::NotAttested)?.clone()
        }
        (None, None, Some(_)) => return Err(KeyProofError::KeyKind),
        _ => return Err(KeyProofError::KeyNamed),
    };
    let claims = jws.verify(&key, &[PROOF_TYPE])?;

    if claims::string(&claims, "aud")? != Some(context.issuer) {
        return Err(KeyProofError::Audience);
    }
    // "MUST be the client_id"; "MUST be omitted" by a wallet that did not say who it is.
    if claims::string(&claims, "iss")?.is_some_and(|iss| Some(iss) != context.client_id) {
        return Err(KeyProofError::Client);
    }
    let (iat, now) = (claims::numeric_date(&claims, "iat")?.ok_or(JoseError::Member("iat"))?, context.now);
    let over = claims::numeric_date(&claims, "exp")?.is_some_and(|exp| exp <= now);
    if over || iat < now.minus_s(IAT_PAST_S) || iat > now.plus_s(IAT_FUTURE_S) {
        return Err(KeyProofError::IssuedAt { iat, now });
    }
    let nonce = context.check_nonce(claims::string(&claims, "nonce")?)?;
    let Some(attestation) = attestation else {
        return Ok((vec![ProvedKey { key, nonce }], false));
    };
    // Appendix D.1: it ends, it was made for us, now, and this key is among those it speaks of.
    if !attestation.ends {
        return Err(AttestationError::Claim("exp").into());
    }
    context.check_nonce(attestation.nonce.as_deref())?;
    if !attestation.keys.iter().any(|(_, attested)| *attested == key) {
        return Err(KeyProofError::NotAttested);
    }
    let keys = attestation.keys.into_iter().map(|(_, key)| ProvedKey { key, nonce: nonce.clone() });
    Ok((keys.collect(), true))
}

/// Why a proof does not hold.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum KeyProofError {
    /// Its form, type, key or signature.
    #[error(transparent)]
    Jose(#[from] JoseError),
    /// Another algorithm than those announced.
    #[error("the algorithm of the proof is none of those announced")]
    Algorithm,
    /// Not exactly one of `jwk`, `kid` and `x5c`.
    #[error("name the key by exactly one of jwk, kid and x5c")]
    KeyNamed,
    /// A certificate, or a name that nothing explains.
    #[error("the key must stand in jwk, or be named in a key attestation")]
    KeyKind,
    /// The proof is for another issuer.
    #[error("the proof is for another issuer")]
    Audience,
    /// The proof is another client's.
    #[error("`iss` must be the client of the token, and absent where there is none")]
    Client,
    /// The proof is too old, or of the future.
    #[error("the proof was made at {iat}, and it is {now}")]
    IssuedAt {
        /// When it was made.
        iat: UnixTime,
        /// The time it was checked at.
        now: UnixTime,
    },
    /// There is no nonce.
    #[error("the proof has no nonce: fetch one at the nonce endpoint")]
    NonceMissing,
    /// The nonce is not ours, or not any more.
    #[error("the nonce is not ours, or not any more: fetch a new one")]
    Nonce,
    /// Keys must be attested here.
    #[error("the key must be attested")]
    AttestationMissing,
    /// The key is not among those that are attested.
    #[error("the attestation does not speak of this key")]
    NotAttested,
    /// The attestation does not count.
    #[error("the key attestation does not count: {0}")]
    Attestation(#[from] AttestationError),
}

impl KeyProofError {
    /// A stable name of the check that failed.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::Jose(error) => error.code(),
            Self::Algorithm => "key_proof_algorithm",
            Self::KeyNamed => "key_proof_key_named",
            Self::KeyKind => "key_proof_key_kind",
            Self::Audience => "key_proof_audience",
            Self::Client => "key_proof_client",
            Self::IssuedAt { .. } => "key_proof_issued_at",
            Self::NonceMissing => "key_proof_nonce_missing",
            Self::Nonce => "key_proof_nonce",
            Self::AttestationMissing => "key_proof_attestation_missing",
            Self::NotAttested => "key_proof_not_attested",
            Self::Attestation(error) => error.code(),
        }
    }

    /// The standard's own name for it (section 8.3.1.2).
    #[must_use]
    pub const fn oauth(&self) -> &'static str {
        match self {
            Self::Nonce => "invalid_nonce",
            _ => "invalid_proof",
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Map, Value, json};

    use super::*;
    use crate::{
        protocol::{jose::SigningKey, openid4vci::attestation::AttestedClient},
        testing::authority::{Authority, Leaf},
    };

    const NOW: UnixTime = UnixTime::from_secs(1_800_000_000);
    const ISSUER: &str = "https://shop.example";

    struct Stage {
        key: SigningKey,
        other: SigningKey,
        provider: SigningKey,
        chain: Vec<Vec<u8>>,
        roots: Vec<Certificate>,
    }

    fn stage() -> Stage {
        let authority = Authority::new("Wallet Provider CA", NOW);
        let (provider, chain) = authority.issue(&Leaf::new("Wallet Provider", NOW));
        Stage {
            key: SigningKey::from_p256_scalar(&[7; 32]).unwrap(),
            other: SigningKey::from_ed25519_seed(&[8; 32]).unwrap(),
            provider,
            chain,
            roots: vec![Certificate::from_der(authority.root_der()).unwrap()],
        }
    }

    impl Stage {
        fn header(&self) -> Value {
            json!({"typ": PROOF_TYPE, "jwk": self.key.public_key().to_jwk()})
        }

        fn attested(&self, bend: impl FnOnce(&mut Value)) -> String {
            let mut claims = json!({"iat": NOW, "exp": NOW.plus_s(60), "nonce": "ours",
                "attested_keys": [self.key.public_key().to_jwk(), self.other.public_key().to_jwk()]});
            bend(&mut claims);
            self.provider.sign_jws(&self.certified("key-attestation+jwt"), &claims).unwrap()
        }

        fn certified(&self, typ: &str) -> Map<String, Value> {
            use base64::{Engine, prelude::BASE64_STANDARD};
            let x5c: Vec<String> = self.chain.iter().map(|der| BASE64_STANDARD.encode(der)).collect();
            json!({"typ": typ, "x5c": x5c}).as_object().unwrap().clone()
        }

        fn check(&self, proofs: &Proofs, client_id: Option<&str>, attested: bool) -> Result<usize, &'static str> {
            let limits = Limits::default();
            let context = ProofContext {
                issuer: ISSUER,
                client_id,
                knows_nonce: &|nonce| nonce == "ours",
                providers: &self.roots,
                attested,
                now: NOW,
                limits: &limits,
            };
            check(proofs, &context).map(|keys| keys.len()).map_err(|e| e.code())
        }
    }

    fn claims() -> Value {
        json!({"aud": ISSUER, "iat": NOW, "nonce": "ours"})
    }

    fn signed(key: &SigningKey, header: &Value, claims: &Value) -> Proofs {
        Proofs::Jwt(vec![key.sign_jws(header.as_object().unwrap(), claims).unwrap()])
    }

    #[test]
    fn a_proof_with_one_thing_wrong_is_refused() {
        let stage = stage();
        let run = |claims: &Value| stage.check(&signed(&stage.key, &stage.header(), claims), None, false);
        assert_eq!(run(&claims()), Ok(1));
        for (name, value, code) in [
            ("aud", json!("https://shop.example/"), "key_proof_audience"),
            ("aud", json!([ISSUER]), "jose_member"),
            ("aud", json!(null), "jose_member"),
            ("iss", json!("a wallet"), "key_proof_client"),
            ("iat", json!(NOW.minus_s(601)), "key_proof_issued_at"),
            ("iat", json!(NOW.plus_s(61)), "key_proof_issued_at"),
            ("iat", json!("now"), "jose_member"),
            ("exp", json!(NOW), "key_proof_issued_at"),
            ("nonce", json!("another"), "key_proof_nonce"),
            ("nonce", json!(1), "jose_member"),
        ] {
            let mut bent = claims();
            bent[name] = value.clone();
            assert_eq!(run(&bent), Err(code), "{name} {value}");
        }
        for (name, code) in
            [("aud", "key_proof_audience"), ("iat", "jose_member"), ("nonce", "key_proof_nonce_missing")]
        {
            let mut bent = claims();
            bent.as_object_mut().unwrap().remove(name);
            assert_eq!(run(&bent), Err(code), "{name}");
        }
        let mut named = claims();
        named["iss"] = json!("a wallet");
        let named = signed(&stage.key, &stage.header(), &named);
        assert_eq!(stage.check(&named, Some("a wallet"), false), Ok(1));
        assert_eq!(stage.check(&named, Some("another"), false), Err("key_proof_client"));
    }

    #[test]
    fn a_header_with_one_thing_wrong_is_refused() {
        let stage = stage();
        let p521 = json!({"kty": "EC", "crv": "P-521", "x": "AA", "y": "AA"});
        let mut private = stage.key.public_key().to_jwk();
        private["d"] = json!("AAAA");
        for (name, value, code) in [
            ("typ", json!("JWT"), "jose_token_type"),
            ("typ", json!(null), "jose_member"),
            ("jwk", json!(null), "jose_member"),
            ("jwk", stage.other.public_key().to_jwk(), "jose_algorithm_mismatch"),
            ("jwk", private, "jose_private_key"),
            ("jwk", p521, "jose_invalid_key"),
            ("kid", json!("0"), "key_proof_key_named"),
            ("crit", json!(["exp"]), "jose_extension"),
        ] {
            let mut header = stage.header();
            header[name] = value.clone();
            assert_eq!(stage.check(&signed(&stage.key, &header, &claims()), None, false), Err(code), "{name} {value}");
        }
        let mut by_name = stage.header();
        by_name.as_object_mut().unwrap().remove("jwk");
        assert_eq!(stage.check(&signed(&stage.key, &by_name, &claims()), None, false), Err("key_proof_key_named"));
        by_name["kid"] = json!("did:key:z6Mk#0");
        assert_eq!(stage.check(&signed(&stage.key, &by_name, &claims()), None, false), Err("key_proof_key_kind"));
        let by_certificate = Value::Object(stage.certified(PROOF_TYPE));
        let proof = signed(&stage.provider, &by_certificate, &claims());
        assert_eq!(stage.check(&proof, None, false), Err("key_proof_key_kind"));
        let Proofs::Jwt(mut twice) = signed(&stage.key, &stage.header(), &claims()) else { unreachable!() };
        twice.push(twice[0].clone());
        assert_eq!(stage.check(&Proofs::Jwt(twice), None, false), Err("credential_repeated_key"));
    }

    #[test]
    fn attested_keys_are_believed_on_a_trusted_word_alone() {
        let stage = stage();
        let run = |attestation: String, header: &Value| {
            let mut header = header.clone();
            header["key_attestation"] = json!(attestation);
            stage.check(&signed(&stage.key, &header, &claims()), None, true)
        };
        assert_eq!(run(stage.attested(|_| {}), &stage.header()), Ok(2), "one credential for each attested key");
        let by_place = json!({"typ": PROOF_TYPE, "kid": "0"});
        assert_eq!(run(stage.attested(|_| {}), &by_place), Ok(2));
        assert_eq!(run(stage.attested(|_| {}), &json!({"typ": PROOF_TYPE, "kid": "9"})), Err("key_proof_not_attested"));
        let without = signed(&stage.key, &stage.header(), &claims());
        assert_eq!(stage.check(&without, None, true), Err("key_proof_attestation_missing"));
        for (name, value, code) in [
            ("exp", json!(NOW), "attestation_over"),
            ("iat", json!(NOW.plus_s(61)), "attestation_not_yet"),
            ("nonce", json!("another"), "key_proof_nonce"),
            ("attested_keys", json!([]), "attestation_claim"),
            ("attested_keys", json!([stage.other.public_key().to_jwk()]), "key_proof_not_attested"),
            ("attested_keys", json!([{"kty": "oct", "k": "AA"}]), "jose_private_key"),
        ] {
            let token = stage.attested(|claims| claims[name] = value.clone());
            assert_eq!(run(token, &stage.header()), Err(code), "{name} {value}");
        }
        let unended = stage.attested(|claims| drop(claims.as_object_mut().unwrap().remove("exp")));
        assert_eq!(run(unended.clone(), &stage.header()), Err("attestation_claim"));

        assert_eq!(stage.check(&Proofs::Attestation(unended), None, true), Ok(2));
        let old = stage.attested(|claims| drop(claims.as_object_mut().unwrap().remove("nonce")));
        assert_eq!(stage.check(&Proofs::Attestation(old), None, true), Err("key_proof_nonce_missing"));
        let (stranger, chain) = Authority::new("Another CA", NOW).issue(&Leaf::new("Stranger", NOW));
        let foreign = Stage { provider: stranger, chain, ..self::stage() };
        let foreign = foreign.attested(|_| {});
        assert_eq!(stage.check(&Proofs::Attestation(foreign), None, true), Err("certificate_unknown_anchor"));
        let bare = json!({"typ": "key-attestation+jwt"}).as_object().unwrap().clone();
        let bare = stage.provider.sign_jws(&bare, &json!({"iat": NOW})).unwrap();
        assert_eq!(stage.check(&Proofs::Attestation(bare), None, true), Err("attestation_no_certificates"));
    }

    #[test]
    fn a_client_is_attested_and_holds_its_key() {
        let stage = stage();
        let limits = Limits::default();
        let believed = Believed { roots: &stage.roots, now: NOW, limits: &limits };
        let attestation = json!({"sub": "https://wallet.example", "exp": NOW.plus_s(3600),
            "cnf": {"jwk": stage.key.public_key().to_jwk()}, "redirect_uris": ["https://wallet.example/cb"]});
        let proof = json!({"aud": ISSUER, "jti": "1", "iat": NOW});
        let run = |attestation: &Value, proof: &Value, key: &SigningKey| {
            let token = stage.provider.sign_jws(&stage.certified("oauth-client-attestation+jwt"), attestation).unwrap();
            let header = json!({"typ": "oauth-client-attestation-pop+jwt"});
            let proof = key.sign_jws(header.as_object().unwrap(), proof).unwrap();
            AttestedClient::check(&token, &proof, ISSUER, &believed).map_err(|e| e.code())
        };
        let client = run(&attestation, &proof, &stage.key).unwrap();
        assert_eq!(client.client_id, "https://wallet.example");
        assert_eq!(client.redirect_uris, ["https://wallet.example/cb"]);
        assert_eq!(run(&attestation, &proof, &stage.other).err(), Some("jose_algorithm_mismatch"));
        for (name, value, code) in [
            ("sub", json!(""), "attestation_claim"),
            ("exp", json!(NOW), "attestation_over"),
            ("nbf", json!(NOW.plus_s(61)), "attestation_not_yet"),
            ("cnf", json!({}), "attestation_claim"),
            ("redirect_uris", json!("https://wallet.example/cb"), "attestation_claim"),
        ] {
            let mut bent = attestation.clone();
            bent[name] = value.clone();
            assert_eq!(run(&bent, &proof, &stage.key).err(), Some(code), "{name} {value}");
        }
        for (name, value, code) in [
            ("aud", json!("https://other.example"), "attestation_audience"),
            ("iss", json!("another"), "attestation_claim"),
            ("jti", json!(""), "attestation_claim"),
            ("jti", json!("x".repeat(257)), "attestation_claim"),
            ("iat", json!(NOW.minus_s(301)), "attestation_proof_age"),
            ("iat", json!(NOW.plus_s(61)), "attestation_proof_age"),
        ] {
            let mut bent = proof.clone();
            bent[name] = value.clone();
            assert_eq!(run(&attestation, &bent, &stage.key).err(), Some(code), "{name} {value}");
        }
    }
}
