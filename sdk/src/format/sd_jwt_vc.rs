//! SD-JWT VC (draft-ietf-oauth-sd-jwt-vc-24), as OpenID4VP, annex B.3 presents it: format `dc+sd-jwt`.
//!
//! Trust says which issuer may issue which type, and the query says which claims a sale needs; what a type itself demands
//! is checked where the merchant wants it ([`TypeMetadata`](crate::merchant::TypeMetadata)). A claim that the protocol
//! itself uses ([`iss`, `exp`, `cnf`, `status` ...](PROTOCOL_CLAIMS)) never reaches the merchant, so a query that asks for
//! one by its path is never satisfied; such a query would also be against the standard, which asks only for what can be
//! selectively disclosed.

use serde_json::{Map, Value, json};

use crate::{
    format::{Against, Authentic, Format, FormatError, IssuerRef, Unverified},
    limits::Limits,
    presentation::Relationship,
    protocol::{
        claims::numeric_date,
        did::Did,
        jose::PublicKey,
        openid4vp::SD_JWT_ALGORITHMS,
        sca::{Authentication, ScaError},
        sd_jwt::{KeyBinding, SdJwt, SdJwtError, shape::Place},
        status_ref::StatusRef,
    },
    time::UnixTime,
};

/// Claims that a disclosure must contribute nothing to (SD-JWT VC, 2.2.2.2): a holder who could leave them out would
/// decide on the validity of the credential.
const SIGNED_IN_CLEAR: [&str; 8] = ["iss", "nbf", "exp", "cnf", "vct", "vct#integrity", "aka_vcts", "status"];

/// Claims of the protocol. They are checked here and go no further: most of them tell this credential from every other
/// one, and would let shops compare their customers.
pub const PROTOCOL_CLAIMS: [&str; 12] =
    ["iss", "sub", "aud", "jti", "iat", "nbf", "exp", "cnf", "vct", "vct#integrity", "aka_vcts", "status"];

/// The format `dc+sd-jwt`.
///
/// A presentation is a JSON string in compact serialization; the issuer's key comes from `x5c` in the header or, without
/// it, from the metadata of the URL in `iss`.
#[derive(Clone, Copy, Debug)]
pub struct SdJwtVc {
    types: &'static [&'static str],
}

impl SdJwtVc {
    /// Credentials with the `typ` of the standard, `dc+sd-jwt`.
    #[must_use]
    pub const fn new() -> Self {
        Self { types: &["dc+sd-jwt"] }
    }

    /// Also takes `vc+sd-jwt`, the `typ` of drafts up to November 2024, from issuers that have not moved on. Drafts
    /// since -19 do not tolerate it any more.
    #[must_use]
    pub const fn with_former_type() -> Self {
        Self { types: &["dc+sd-jwt", "vc+sd-jwt"] }
    }
}

impl Default for SdJwtVc {
    fn default() -> Self {
        Self::new()
    }
}

impl Format for SdJwtVc {
    fn id(&self) -> &'static str {
        "dc+sd-jwt"
    }

    fn supported(&self) -> Value {
        json!({ "sd-jwt_alg_values": SD_JWT_ALGORITHMS, "kb-jwt_alg_values": SD_JWT_ALGORITHMS })
    }

    fn meta(&self, types: &[String]) -> Value {
        json!({ "vct_values": types })
    }

    fn parse<'a>(&self, presented: &'a Value, limits: &'a Limits) -> Result<Box<dyn Unverified + 'a>, FormatError> {
        let text = presented.as_str().ok_or(FormatError::Form("it must be a JSON string"))?;
        let sd_jwt = SdJwt::parse(text, limits)?;
        let jwt = sd_jwt.issuer_jwt();
        match jwt.unverified_claims().get("iss") {
            Some(Value::String(_)) => {}
            None if jwt.header().x5c.is_some() => {}
            None => return Err(FormatError::IssuerUnnamed),
            Some(_) => return Err(FormatError::Claim { claim: "iss" }),
        }
        Ok(Box::new(Presented { sd_jwt, types: self.types }))
    }
}

/// A presentation whose issuer is named, and nothing checked.
struct Presented<'a> {
    sd_jwt: SdJwt<'a>,
    types: &'static [&'static str],
}

impl Unverified for Presented<'_> {
    fn issuer(&self) -> IssuerRef<'_> {
        let jwt = self.sd_jwt.issuer_jwt();
        let iss = jwt.unverified_claims().get("iss").and_then(Value::as_str);
        // The chain goes first: where both are there, it is what vouches, and `iss` is a label (SD-JWT VC, 2.5).
        match &jwt.header().x5c {
            Some(chain) => IssuerRef::X5c { chain, iss },
            None => IssuerRef::Metadata { iss: iss.unwrap_or_default(), kid: jwt.header().kid.as_deref() },
        }
    }

    fn verify(self: Box<Self>, against: &Against<'_>) -> Result<Authentic, FormatError> {
        let signed = self.sd_jwt.verify(against.issuer_key, self.types, against.limits)?;
        let disclosed = signed.disclosed();
        check_in_clear(disclosed)?;
        for claim in ["nbf", "iat"] {
            check_beginning(signed.claims(), claim, against.now, against.skew_s)?;
        }
        let expires_at = check_end(signed.claims(), against.now, against.skew_s)?;

        // Policy decides whether the holder must prove the key, and not whether somebody sent a proof (RFC 9901, 7.3).
        let holder_bound = signed.has_key_binding();
        let mut claims = if holder_bound {
            let audience = against.channel.audience();
            signed.verify_key_binding(&KeyBinding {
                audience: audience.as_deref().ok_or(FormatError::Form("it cannot answer a reader of mdocs"))?,
                nonce: against.nonce,
                now: against.now,
                max_age_s: against.holder_proof_age_s,
                skew_s: against.skew_s,
                transaction_data: against.transaction_data,
            })?
        } else if against.holder_binding || !against.transaction_data.is_empty() {
            return Err(SdJwtError::KeyBindingMissing.into());
        } else {
            signed.into_claims()
        };

        let types = take_types(&mut claims)?;
        let status = claims.get("status").map(StatusRef::from_claim).transpose().map_err(FormatError::Status)?;
        claims.retain(|name, _| !PROTOCOL_CLAIMS.contains(&name.as_str()));
        Ok(Authentic::assertion(types, Value::Object(claims), status, holder_bound, expires_at))
    }
}

/// What a relationship credential says of its holder: for one that this shop issued, after its signatures were checked.
/// Nobody else's credential is ever read so.
///
/// # Errors
/// `sub` or `cnf` are not what we issue.
pub(crate) fn relationship(presented: &Value, limits: &Limits) -> Result<Relationship, FormatError> {
    let text = presented.as_str().ok_or(FormatError::Form("it must be a JSON string"))?;
    let sd_jwt = SdJwt::parse(text, limits)?;
    let claims = sd_jwt.issuer_jwt().unverified_claims();
    let alias = claims.get("sub").and_then(Value::as_str).and_then(|sub| sub.parse().ok());
    let jwk = claims.get("cnf").and_then(|cnf| cnf.get("jwk"));
    let key = jwk.and_then(|jwk| PublicKey::from_jwk(jwk).ok()).ok_or(FormatError::Claim { claim: "cnf" })?;
    Ok(Relationship {
        alias: alias.ok_or(FormatError::Claim { claim: "sub" })?,
        did: Did::jwk(&key).as_str().to_owned(),
    })
}

/// What the holder's proof says beside the hash of a payment (EUDI TS12, 3.6), and when it says that it was made: after its
/// signature was checked.
///
/// # Errors
/// If it is not of the form that was verified; the first rule that it breaks.
pub(crate) fn authentication(
    presented: &Value,
    response_mode: &str,
    limits: &Limits,
) -> Result<Result<(Authentication, UnixTime), ScaError>, FormatError> {
    let text = presented.as_str().ok_or(FormatError::Form("it must be a JSON string"))?;
    let sd_jwt = SdJwt::parse(text, limits)?;
    let proof = sd_jwt.key_binding().ok_or(SdJwtError::KeyBindingMissing)?.unverified_claims();
    let made_at = numeric_date(proof, "iat").ok().flatten().ok_or(FormatError::Claim { claim: "iat" })?;
    Ok(Authentication::read(proof, response_mode).map(|read| (read, made_at)))
}

/// How a credential is built, and what its type's document must hash to (`vct#integrity`): for the rules of types, once its
/// signatures were checked.
///
/// # Errors
/// If it is not of the form that was verified.
pub(crate) fn shape(presented: &Value, limits: &Limits) -> Result<(Place, Option<String>), FormatError> {
    let text = presented.as_str().ok_or(FormatError::Form("it must be a JSON string"))?;
    let sd_jwt = SdJwt::parse(text, limits)?;
    let integrity = match sd_jwt.issuer_jwt().unverified_claims().get("vct#integrity") {
        None => None,
        Some(Value::String(integrity)) => Some(integrity.clone()),
        Some(_) => return Err(FormatError::Claim { claim: "vct#integrity" }),
    };
    Ok((sd_jwt.shape(limits)?, integrity))
}

/// That nothing which the validity rests on came from a disclosure.
pub(crate) fn check_in_clear(disclosed: &[String]) -> Result<(), FormatError> {
    match SIGNED_IN_CLEAR.into_iter().find(|claim| disclosed.iter().any(|name| name == claim)) {
        Some(claim) => Err(FormatError::Disclosed { claim }),
        None => Ok(()),
    }
}

/// `nbf` or `iat` of the processed payload (RFC 9901, 9.7). A wrong type must not skip a check: `"exp": "never"` is
/// refused like one that has passed.
pub(crate) fn check_beginning(
    claims: &Map<String, Value>,
    claim: &'static str,
    now: UnixTime,
    skew_s: u64,
) -> Result<(), FormatError> {
    match numeric_date(claims, claim).map_err(|_| FormatError::Claim { claim })? {
        Some(at) if at > now.plus_s(skew_s) => Err(FormatError::NotYetValid { at, now }),
        _ => Ok(()),
    }
}

/// `exp` of the processed payload.
pub(crate) fn check_end(
    claims: &Map<String, Value>,
    now: UnixTime,
    skew_s: u64,
) -> Result<Option<UnixTime>, FormatError> {
    let expires_at = numeric_date(claims, "exp").map_err(|_| FormatError::Claim { claim: "exp" })?;
    match expires_at.filter(|at| *at <= now.minus_s(skew_s)) {
        Some(at) => Err(FormatError::Expired { at, now }),
        None => Ok(expires_at),
    }
}

/// The type, and those it is also known as: the issuer's words, byte for byte (SD-JWT VC, 2.2.2.1). Whether the issuer
/// may say so is for the trust to decide.
pub(crate) fn take_types(claims: &mut Map<String, Value>) -> Result<Vec<String>, FormatError> {
    let Some(Value::String(vct)) = claims.remove("vct").filter(|vct| vct != "") else {
        return Err(FormatError::Claim { claim: "vct" });
    };
    let mut types = vec![vct];
    match claims.remove("aka_vcts") {
        None => {}
        Some(Value::Array(others)) => {
            for other in others {
                let Value::String(other) = other else { return Err(FormatError::Claim { claim: "aka_vcts" }) };
                types.push(other);
            }
        }
        Some(_) => return Err(FormatError::Claim { claim: "aka_vcts" }),
    }
    Ok(types)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::format::Channel;
    use crate::protocol::jose::{SigningKey, base64url_encode, sha256};
    use base64::{Engine, prelude::BASE64_STANDARD};

    const NOW: i64 = 1_795_000_000;
    const CLIENT: &str = "x509_san_dns:shop.example";

    fn key(scalar: u8) -> SigningKey {
        SigningKey::from_p256_scalar(&[scalar; 32]).unwrap()
    }

    fn payload() -> Value {
        json!({
            "iss": "https://issuer.example",
            "vct": "urn:example:national:pid:1",
            "aka_vcts": ["urn:eudi:pid:1"],
            "vct#integrity": "sha256-x",
            "iat": NOW - 1000,
            "nbf": NOW - 1000,
            "exp": NOW + 1000,
            "sub": "1234",
            "jti": "5678",
            "status": {"status_list": {"idx": 9, "uri": "https://issuer.example/status"}},
            "cnf": {"jwk": key(2).public_key().to_jwk()},
            "age_over_18": true,
        })
    }

    fn with(claim: &str, value: Value) -> Value {
        let mut payload = payload();
        payload[claim] = value;
        payload
    }

    fn without(claim: &str) -> Value {
        let mut payload = payload();
        payload.as_object_mut().unwrap().remove(claim);
        payload
    }

    fn header(typ: &str) -> Value {
        json!({"typ": typ, "kid": "k1"})
    }

    fn issue(header: &Value, payload: &Value, disclosures: &[&str]) -> String {
        let jwt = key(1).sign_jws(header.as_object().unwrap(), payload).unwrap();
        disclosures.iter().fold(jwt + "~", |text, disclosure| text + disclosure + "~")
    }

    fn proved(bound: &str) -> String {
        let sd_hash = base64url_encode(&sha256(bound.as_bytes()));
        let claims = json!({"iat": NOW, "aud": CLIENT, "nonce": "n", "sd_hash": sd_hash});
        bound.to_owned() + &key(2).sign_jws(json!({"typ": "kb+jwt"}).as_object().unwrap(), &claims).unwrap()
    }

    fn verify(format: SdJwtVc, text: &str, holder_binding: bool, data: &[String]) -> Result<Authentic, FormatError> {
        let limits = Limits::default();
        format.parse(&json!(text), &limits)?.verify(&Against {
            issuer_key: key(1).public_key(),
            channel: Channel::Redirect { client_id: CLIENT, response_uri: "https://shop.example/wallet/responses/1" },
            encryption_key: None,
            nonce: "n",
            transaction_data: data,
            holder_binding,
            now: UnixTime::from_secs(NOW),
            holder_proof_age_s: 300,
            skew_s: 60,
            limits: &limits,
        })
    }

    /// The failed check of a credential with this payload, presented without a holder's proof where none is asked.
    fn code(payload: &Value) -> &'static str {
        let text = issue(&header("dc+sd-jwt"), payload, &[]);
        verify(SdJwtVc::new(), &text, false, &[]).expect_err("refused").code()
    }

    #[test]
    fn what_identifies_the_credential_goes_no_further() {
        let text = proved(&issue(&header("dc+sd-jwt"), &payload(), &[]));
        let authentic = verify(SdJwtVc::new(), &text, true, &[]).unwrap();
        assert_eq!(authentic.claims(), &json!({"age_over_18": true}));
        assert_eq!(authentic.types(), ["urn:example:national:pid:1", "urn:eudi:pid:1"]);
        assert!(matches!(authentic.status(), Some(StatusRef::TokenList { index: 9, .. })));
        assert_eq!(authentic.expires_at(), Some(UnixTime::from_secs(NOW + 1000)));
        assert!(authentic.holder_bound());
        let shown = format!("{authentic:?}");
        assert!(!shown.contains("age_over_18") && !shown.contains("status"), "{shown}");
    }

    #[test]
    fn policy_and_not_the_sender_decides_on_the_holders_proof() {
        let bare = issue(&header("dc+sd-jwt"), &payload(), &[]);
        assert!(!verify(SdJwtVc::new(), &bare, false, &[]).unwrap().holder_bound());
        let refused = |text: &str, holder_binding, data: &[String]| {
            verify(SdJwtVc::new(), text, holder_binding, data).expect_err("refused").code()
        };
        assert_eq!(refused(&bare, true, &[]), "key_binding_missing");
        assert_eq!(refused(&bare, false, &["eyJ9".to_owned()]), "key_binding_missing");
        // A proof that nobody asked for is checked all the same.
        let stranger = format!("{bare}{}", proved("another~").strip_prefix("another~").unwrap());
        assert_eq!(refused(&stranger, false, &[]), "key_binding_sd_hash");
        let keyless = proved(&issue(&header("dc+sd-jwt"), &without("cnf"), &[]));
        assert_eq!(refused(&keyless, true, &[]), "holder_key_missing");
    }

    #[test]
    fn takes_the_former_type_behind_a_switch_alone() {
        let former = proved(&issue(&header("vc+sd-jwt"), &payload(), &[]));
        assert!(verify(SdJwtVc::with_former_type(), &former, true, &[]).is_ok());
        assert_eq!(verify(SdJwtVc::new(), &former, true, &[]).expect_err("former").code(), "sd_jwt_issuer_jwt");
        for typ in ["kb+jwt", "JWT", "statuslist+jwt"] {
            let other = proved(&issue(&header(typ), &payload(), &[]));
            assert!(verify(SdJwtVc::with_former_type(), &other, true, &[]).is_err(), "{typ}");
        }
    }

    #[test]
    fn names_its_issuer_by_chain_or_by_url_or_is_refused() {
        let limits = Limits::default();
        let by_url = json!(issue(&header("dc+sd-jwt"), &payload(), &[]));
        let unverified = SdJwtVc::new().parse(&by_url, &limits).unwrap();
        let named = IssuerRef::Metadata { iss: "https://issuer.example", kid: Some("k1") };
        assert_eq!(format!("{:?}", unverified.issuer()), format!("{named:?}"));

        let chained = json!({"typ": "dc+sd-jwt", "x5c": [BASE64_STANDARD.encode([0x30, 0])]});
        let both = json!(issue(&chained, &payload(), &[]));
        let unverified = SdJwtVc::new().parse(&both, &limits).unwrap();
        assert!(matches!(unverified.issuer(), IssuerRef::X5c { iss: Some("https://issuer.example"), .. }));
        let alone = json!(issue(&chained, &without("iss"), &[]));
        assert!(matches!(SdJwtVc::new().parse(&alone, &limits).unwrap().issuer(), IssuerRef::X5c { iss: None, .. }));

        assert_eq!(code(&without("iss")), "issuer_unnamed");
        assert_eq!(code(&with("iss", json!(["https://issuer.example"]))), "credential_claim");
        for other in [json!({"jwt": "x"}), json!(["x~"]), json!(1), Value::Null] {
            let refused = SdJwtVc::new().parse(&other, &limits).err().map(|error| error.code());
            assert_eq!(refused, Some("presentation_malformed"));
        }
    }

    #[test]
    fn times_hold_within_the_skew_and_are_never_skipped() {
        let fits = |claim: &str, value: Value| {
            let text = issue(&header("dc+sd-jwt"), &with(claim, value), &[]);
            verify(SdJwtVc::new(), &text, false, &[]).is_ok()
        };
        assert!(fits("exp", json!(NOW - 59)) && fits("nbf", json!(NOW + 60)) && fits("iat", json!(NOW + 60)));
        assert_eq!(code(&with("exp", json!(NOW - 60))), "credential_expired");
        assert_eq!(code(&with("nbf", json!(NOW + 61))), "credential_not_yet_valid");
        assert_eq!(code(&with("iat", json!(NOW + 61))), "credential_not_yet_valid");
        for claim in ["exp", "nbf", "iat"] {
            for wrong in [json!("never"), json!(null), json!([]), json!(true), json!({})] {
                assert_eq!(code(&with(claim, wrong)), "credential_claim", "{claim}");
            }
        }
    }

    #[test]
    fn the_type_is_a_text_and_so_are_the_others() {
        assert_eq!(code(&without("vct")), "credential_claim");
        for wrong in [json!(["urn:eudi:pid:1"]), json!(""), json!(1), json!(null)] {
            assert_eq!(code(&with("vct", wrong)), "credential_claim");
        }
        for wrong in [json!("urn:eudi:pid:1"), json!([1]), json!(null)] {
            assert_eq!(code(&with("aka_vcts", wrong)), "credential_claim");
        }
        assert_eq!(code(&with("status", json!("valid"))), "credential_status_reference");
    }

    #[test]
    fn a_disclosure_contributes_nothing_to_what_validity_rests_on() {
        let refused = |payload: &Value, disclosure: &str| {
            let text = issue(&header("dc+sd-jwt"), payload, &[disclosure]);
            verify(SdJwtVc::new(), &text, false, &[]).expect_err("refused").code()
        };
        for claim in SIGNED_IN_CLEAR {
            let mut payload = without(claim);
            if claim == "iss" {
                payload["iss"] = json!("https://issuer.example");
            }
            let disclosure = base64url_encode(json!(["s", claim, 1]).to_string().as_bytes());
            payload["_sd"] = json!([base64url_encode(&sha256(disclosure.as_bytes()))]);
            let expected = if claim == "iss" { "sd_jwt_shadowed_claim" } else { "claim_must_not_be_disclosed" };
            assert_eq!(refused(&payload, &disclosure), expected, "{claim}");
        }
        let member = base64url_encode(json!(["s", "status_list", {}]).to_string().as_bytes());
        let within = json!({"_sd": [base64url_encode(&sha256(member.as_bytes()))]});
        assert_eq!(refused(&with("status", within), &member), "claim_must_not_be_disclosed");
        let element = base64url_encode(json!(["s", "urn:eudi:pid:1"]).to_string().as_bytes());
        let within = json!([{"...": base64url_encode(&sha256(element.as_bytes()))}]);
        assert_eq!(refused(&with("aka_vcts", within), &element), "claim_must_not_be_disclosed");
    }
}
