//! Somebody else's word for who asks: the verifier attestation (OpenID4VP 1.0, 12).

use std::fmt;

use serde_json::Value;

use super::{ClientId, RequestError};
use crate::{
    limits::Limits,
    protocol::{
        claims::{numeric_date, string},
        jose::{Jws, PublicKey},
    },
    time::UnixTime,
};

/// A JWT in which somebody whom wallets trust says who holds a key. It goes with each request, in the header `jwt`.
///
/// Its form is checked. Its issuer's signature is for wallets to check: they know whom they trust.
#[derive(Clone)]
pub struct VerifierAttestation {
    jwt: String,
    client_id: ClientId,
    key: PublicKey,
    expires_at: UnixTime,
}

impl VerifierAttestation {
    /// The `typ` of its header.
    pub const TYP: &'static str = "verifier-attestation+jwt";

    /// Reads an attestation.
    ///
    /// # Errors
    /// [`RequestError::Attestation`] with what is wrong with it. One with `redirect_uris` is refused: a wallet would compare
    /// them with the address that an answer goes to (5.9.3), which is another one for each request.
    pub fn parse(jwt: &str, limits: &Limits) -> Result<Self, RequestError> {
        let wrong = |what| RequestError::Attestation { what };
        let jwt = jwt.trim_ascii();
        let jws = Jws::parse(jwt, limits).map_err(|_| wrong("it is no signed JWT"))?;
        if jws.header().typ.as_deref() != Some(Self::TYP) {
            return Err(wrong("`typ` must be verifier-attestation+jwt"));
        }
        let claims = jws.unverified_claims();
        if !matches!(string(claims, "iss"), Ok(Some(_))) {
            return Err(wrong("`iss` is missing"));
        }
        let sub = string(claims, "sub").ok().flatten().ok_or(wrong("`sub` is missing"))?;
        let client_id =
            ClientId::verifier_attestation(sub).map_err(|_| wrong("`sub` cannot be a client identifier"))?;
        let expires_at = numeric_date(claims, "exp").ok().flatten().ok_or(wrong("`exp` is missing"))?;
        let jwk = claims.get("cnf").and_then(|cnf| cnf.get("jwk")).unwrap_or(&Value::Null);
        let key = PublicKey::from_jwk(jwk).map_err(|_| wrong("`cnf` has no key that we can sign with"))?;
        if claims.contains_key("redirect_uris") {
            return Err(wrong(
                "it lists redirect_uris, but each request has an address of its own: ask for one without",
            ));
        }
        Ok(Self { jwt: jwt.to_owned(), client_id, key, expires_at })
    }

    /// The JWT, as it goes into the header `jwt`.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.jwt
    }

    /// Whom it is about.
    #[must_use]
    pub const fn client_id(&self) -> &ClientId {
        &self.client_id
    }

    /// The key that must sign requests.
    #[must_use]
    pub const fn key(&self) -> &PublicKey {
        &self.key
    }

    /// When it ends.
    #[must_use]
    pub const fn expires_at(&self) -> UnixTime {
        self.expires_at
    }
}

impl PartialEq for VerifierAttestation {
    fn eq(&self, other: &Self) -> bool {
        self.jwt == other.jwt
    }
}

impl Eq for VerifierAttestation {}

impl fmt::Debug for VerifierAttestation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("VerifierAttestation")
            .field("client_id", &self.client_id)
            .field("expires_at", &self.expires_at)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Map, json};

    use super::*;
    use crate::protocol::jose::SigningKey;

    #[test]
    fn an_attestation_names_its_holder_and_the_key() {
        let limits = Limits::default();
        let (issuer, holder) =
            (SigningKey::from_p256_scalar(&[1; 32]).unwrap(), SigningKey::from_p256_scalar(&[2; 32]));
        let holder = holder.unwrap();
        let good = json!({"iss": "https://attester.example", "sub": "shop.example", "exp": 1_800_000_000,
            "cnf": {"jwk": holder.public_key().to_jwk()}});
        let signed = |typ: &str, claims: &Value| {
            let header = Map::from_iter([("typ".to_owned(), typ.into())]);
            issuer.sign_jws(&header, claims).unwrap()
        };
        let attestation = VerifierAttestation::parse(&signed(VerifierAttestation::TYP, &good), &limits).unwrap();
        assert_eq!(attestation.client_id().as_str(), "verifier_attestation:shop.example");
        assert_eq!(attestation.key(), holder.public_key());
        assert_eq!(attestation.expires_at(), UnixTime::from_secs(1_800_000_000));

        let refused = |jwt: &str| {
            assert!(matches!(VerifierAttestation::parse(jwt, &limits), Err(RequestError::Attestation { .. })), "{jwt}");
        };
        refused("");
        refused("a.b.c");
        refused(&signed("JWT", &good));
        for (member, value) in [
            ("iss", Value::Null),
            ("sub", Value::Null),
            ("sub", json!("a shop")),
            ("exp", Value::Null),
            ("exp", json!("soon")),
            ("cnf", Value::Null),
            ("cnf", json!({"jkt": "x"})),
            ("redirect_uris", json!(["https://shop.example/cb"])),
        ] {
            let mut claims = good.clone();
            match value {
                Value::Null => drop(claims.as_object_mut().unwrap().remove(member)),
                value => claims[member] = value,
            }
            refused(&signed(VerifierAttestation::TYP, &claims));
        }
    }
}
