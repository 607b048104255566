//! W3C credentials secured as JWTs, as OpenID4VP, annex B.1.3.1 presents them: format `jwt_vc_json`.
//!
//! Credentials of both data models are read: VC-JWT 1.1 and VC-JOSE-COSE 2.0. A type is taken by its name and, where the
//! contexts are pinned, by its full name as well: wallets look for the full one (B.1.1).

use serde_json::{Value, json};

use crate::{
    format::{Against, Authentic, Format, FormatError, IssuerRef, Unverified},
    limits::Limits,
    protocol::{
        status_ref::StatusRef,
        vc::{
            Credential, Expected, VcError,
            jwt::{Issuer, Presented},
            ld::{self, Contexts},
        },
        watch::{Failure, Made, Part, Seen, Told},
    },
};

/// The format `jwt_vc_json`.
///
/// A presentation is a JSON string: a JWT by the holder around the credential, or the credential alone where nobody has to
/// prove to hold it. The issuer's key comes from `x5c`, from the metadata of an https URL, or from a DID.
#[derive(Clone, Debug, Default)]
pub struct JwtVc {
    contexts: Contexts,
}

impl JwtVc {
    /// With the contexts that are compiled in.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// With these contexts, to know the full names of types by.
    #[must_use]
    pub const fn with_contexts(contexts: Contexts) -> Self {
        Self { contexts }
    }
}

impl Format for JwtVc {
    fn id(&self) -> &'static str {
        "jwt_vc_json"
    }

    fn supported(&self) -> Value {
        // Ed25519 by its former name too (RFC 8037, RFC 9864): wallets compare letters.
        json!({ "alg_values": ["ES256", "ES384", "ES512", "EdDSA", "Ed25519"] })
    }

    fn meta(&self, types: &[String]) -> Value {
        type_values(types)
    }

    fn parse<'a>(&self, presented: &'a Value, limits: &'a Limits) -> Result<Box<dyn Unverified + 'a>, FormatError> {
        let text = presented.as_str().ok_or(FormatError::Form("it must be a JSON string"))?;
        Ok(Box::new(Token { presented: Presented::parse(text, limits)?, contexts: self.contexts.clone() }))
    }
}

/// A presentation whose issuer is named, and nothing checked.
struct Token<'a> {
    presented: Presented<'a>,
    contexts: Contexts,
}

impl Unverified for Token<'_> {
    fn issuer(&self) -> IssuerRef<'_> {
        match self.presented.issuer() {
            Issuer::Chain { chain, iss } => IssuerRef::X5c { chain, iss: Some(iss) },
            Issuer::Did { did, method } => IssuerRef::Did { did: did.as_str(), method },
            Issuer::Url { iss, kid } => IssuerRef::Metadata { iss, kid: kid.as_deref() },
        }
    }

    fn verify(self: Box<Self>, against: &Against<'_>) -> Result<Authentic, FormatError> {
        let Self { presented, contexts } = *self;
        let verified = with_expected(against, |expected| presented.verify(against.issuer_key, expected))?;
        let status = (verified.status.as_ref(), verified.credential_status.as_ref());
        authentic(verified.credential, status, verified.holder_bound, &contexts)
    }

    fn told(self: Box<Self>, against: &Against<'_>) -> Vec<Part> {
        let Self { presented, contexts } = *self;
        told(against, &contexts, |expected, watch| {
            let verified = presented.watched(against.issuer_key, expected, watch)?;
            Ok((verified.credential, verified.status, verified.credential_status))
        })
    }
}

/// `type_values` (B.1.1): each type is an alternative by itself.
pub(super) fn type_values(types: &[String]) -> Value {
    let alternatives: Vec<[&String; 1]> = types.iter().map(|one| [one]).collect();
    json!({ "type_values": alternatives })
}

/// What W3C credentials are held against.
pub(super) fn with_expected<T>(
    against: &Against<'_>,
    verify: impl FnOnce(&Expected<'_>) -> Result<T, VcError>,
) -> Result<T, FormatError> {
    if !against.transaction_data.is_empty() {
        return Err(FormatError::Form("it has no place to authorise a transaction"));
    }
    let audience = against.channel.audience().ok_or(FormatError::Form("it cannot answer a reader of mdocs"))?;
    Ok(verify(&Expected {
        audience: &audience,
        nonce: against.nonce,
        holder_binding: against.holder_binding,
        now: against.now,
        holder_proof_age_s: against.holder_proof_age_s,
        skew_s: against.skew_s,
        limits: against.limits,
    })?)
}

/// A credential with the claim `status` of its token, and its `credentialStatus`.
pub(super) type Unbelieved = (Credential, Option<Value>, Option<Value>);

/// The checks of a verification one by one, those of [`authentic`] included.
pub(super) fn told(
    against: &Against<'_>,
    contexts: &Contexts,
    verify: impl FnOnce(&Expected<'_>, &mut Told<VcError>) -> Result<Unbelieved, VcError>,
) -> Vec<Part> {
    let words = |error: FormatError| Failure { code: error.code(), why: error.to_string() };
    let failure = |error: &VcError| {
        let error = FormatError::from(error.clone());
        Failure { code: error.code(), why: error.to_string() }
    };
    let mut last = Part::new(TYPE_PART);
    let walked = with_expected(against, |expected| Ok(Told::of(failure, |told| verify(expected, told))));
    let (mut parts, unbelieved) = match walked {
        Ok(walked) => walked,
        Err(error) => {
            last.push("form", Seen::Nothing, Made::Fails(words(error)));
            return vec![last];
        }
    };
    let Some((credential, claim, entries)) = unbelieved else { return parts };
    last.push("contexts", Seen::Text(contexts.told(&credential.contexts)), Made::Fact);
    match authentic(credential, (claim.as_ref(), entries.as_ref()), false, contexts) {
        Ok(authentic) => {
            last.push("type", Seen::Text(authentic.types.join(", ")), Made::Holds);
            let (named, made) = match &authentic.status {
                Some(_) => (Seen::Nothing, Made::Holds),
                None => (Seen::Text("none".to_owned()), Made::Fact),
            };
            last.push("status reference", named, made);
        }
        Err(error) => last.push("status reference", Seen::Nothing, Made::Fails(words(error))),
    }
    parts.push(last);
    parts
}

/// The part of what a credential is, and where its status stands.
pub(crate) const TYPE_PART: &str = "type and status";

/// A verified credential, its types by their full names before the plain ones. Its status stands in the claim `status` of
/// its token (Token Status List), or in its `credentialStatus`.
pub(super) fn authentic(
    credential: Credential,
    status: (Option<&Value>, Option<&Value>),
    holder_bound: bool,
    contexts: &Contexts,
) -> Result<Authentic, FormatError> {
    let status = match status {
        // Both of them would have to be asked for, and one answer cannot say which one spoke.
        (Some(_), Some(_)) => return Err(VcError::TwoStatuses.into()),
        (Some(claim), None) => Some(StatusRef::from_claim(claim).map_err(FormatError::Status)?),
        (None, Some(entries)) => {
            StatusRef::from_credential_status(entries, &credential.issuer).map_err(FormatError::Status)?
        }
        (None, None) => None,
    };
    let plain = credential.specific_types();
    let mut types = ld::full_types(&credential.contexts, &plain, contexts).unwrap_or_default();
    types.extend(plain);
    let expires_at = credential.valid_until;
    Ok(Authentic::assertion(types, Value::Object(credential.claims), status, holder_bound, expires_at))
}

#[cfg(test)]
#[cfg(feature = "testing")]
pub(super) mod tests {
    use super::*;
    use crate::{
        format::Channel,
        protocol::jose::SigningKey,
        testing::w3c::{Asked, Credential, Fault, Held, Issuer, Secured},
        time::UnixTime,
    };

    pub(in crate::format) const NOW: UnixTime = UnixTime::from_secs(1_795_000_000);
    const CLIENT: &str = "x509_san_dns:shop.example";
    const NONCE: &str = "n-0S6_WzA2Mj";

    pub(in crate::format) fn key(seed: u8) -> SigningKey {
        SigningKey::from_p256_scalar(&[seed; 32]).unwrap()
    }

    pub(in crate::format) fn issuer() -> Issuer {
        Issuer::new(key(1))
    }

    pub(in crate::format) fn credential() -> Credential {
        Credential::new("AlumniCredential", &json!({"alumniOf": "A school"}), NOW.minus_s(1000))
    }

    pub(in crate::format) fn asked() -> Asked<'static> {
        Asked { nonce: NONCE, audience: CLIENT, now: NOW }
    }

    pub(in crate::format) fn verify(
        format: &dyn Format,
        issuer_key: &SigningKey,
        presented: &Value,
        holder_binding: bool,
    ) -> Result<Authentic, FormatError> {
        let limits = Limits::default();
        let against = Against {
            issuer_key: issuer_key.public_key(),
            channel: Channel::Redirect { client_id: CLIENT, response_uri: "https://shop.example/wallet/responses/1" },
            encryption_key: None,
            nonce: NONCE,
            transaction_data: &[],
            holder_binding,
            now: NOW,
            holder_proof_age_s: 300,
            skew_s: 60,
            limits: &limits,
        };
        format.parse(presented, &limits)?.verify(&against)
    }

    fn held(secured: Secured) -> Held {
        issuer().issue(secured, &credential(), key(2)).unwrap()
    }

    fn code(held: &Held, fault: Fault) -> &'static str {
        let presented = held.present(asked(), &[fault]).unwrap();
        verify(&JwtVc::new(), &key(1), &presented, true).expect_err("refused").code()
    }

    #[test]
    fn both_data_models_are_read_by_their_subject_alone() {
        for secured in [Secured::Jwt, Secured::Jose] {
            let presented = held(secured).present(asked(), &[]).unwrap();
            let authentic = verify(&JwtVc::new(), &key(1), &presented, true).unwrap();
            assert_eq!(
                authentic.claims(),
                &json!({
                    "type": ["VerifiableCredential", "AlumniCredential"], "credentialSubject": {"alumniOf": "A school"}
                })
            );
            let full = "https://www.w3.org/ns/credentials/examples#AlumniCredential";
            assert_eq!(authentic.types(), [full, "AlumniCredential"]);
            assert!(authentic.holder_bound());
            assert_eq!(authentic.expires_at(), Some(credential().expires_at));
            assert!(!format!("{authentic:?}").contains("school"));
        }
    }

    #[test]
    fn one_thing_wrong_is_refused_by_its_name() {
        for secured in [Secured::Jwt, Secured::Jose] {
            let held = held(secured);
            for (fault, expected) in [
                (Fault::WrongNonce, "holder_proof_nonce"),
                (Fault::WrongAudience, "holder_proof_audience"),
                (Fault::HolderProofInPast, "holder_proof_age"),
                (Fault::HolderProofInFuture, "credential_not_yet_valid"),
                (Fault::HolderSignatureBroken, "jose_signature"),
                (Fault::ForeignHolder, "holder_mismatch"),
                (Fault::ForeignHolderKey, "jose_signature"),
                (Fault::InlineKey, "holder_key_unnamed"),
                (Fault::OtherHolder, "holder_mismatch"),
                (Fault::NoPresentation, "holder_proof_missing"),
                (Fault::NoHolderProof, "jose_unsupported_algorithm"),
                (Fault::TwoCredentials, "vp_credentials"),
                (Fault::NoCredential, "vp_credentials"),
                (Fault::IssuerSignatureBroken, "jose_signature"),
                (Fault::ClaimChanged, "jose_signature"),
            ] {
                assert_eq!(code(&held, fault), expected, "{secured:?} {fault:?}");
            }
            let presented = held.present(asked(), &[]).unwrap();
            assert_eq!(verify(&JwtVc::new(), &key(3), &presented, true).expect_err("another").code(), "jose_signature");
            let alone = held.present(asked(), &[Fault::NoPresentation]).unwrap();
            assert!(!verify(&JwtVc::new(), &key(1), &alone, false).unwrap().holder_bound());
        }
    }

    #[test]
    fn a_token_of_one_version_is_none_of_the_other() {
        let issuer = issuer();
        let subject = crate::protocol::did::Did::jwk(key(2).public_key());
        let secured = |secured, edit: &dyn Fn(&mut serde_json::Map<String, Value>)| {
            let mut document = issuer.document(secured, &credential(), &subject);
            edit(&mut document);
            let token = issuer.secure(secured, &document).unwrap();
            verify(&JwtVc::new(), &key(1), &token, false).map_err(|error| error.code())
        };
        assert!(secured(Secured::Jose, &|_| {}).is_ok());
        // VC-JOSE-COSE section 1.1.2.1.
        for claim in ["vc", "vp"] {
            let refused = secured(Secured::Jose, &|document| _ = document.insert(claim.to_owned(), json!({})));
            assert_eq!(refused.unwrap_err(), "vc_misplaced_claim");
        }
        let first = |context: &'static str| {
            move |document: &mut serde_json::Map<String, Value>| {
                document.insert("@context".to_owned(), json!([context]));
            }
        };
        assert_eq!(secured(Secured::Jose, &first("https://www.w3.org/2018/credentials/v1")).unwrap_err(), "vc_context");
        assert_eq!(secured(Secured::Jwt, &first("https://www.w3.org/ns/credentials/v2")).unwrap_err(), "vc_context");
        // What the token and the credential say of the same thing.
        for (claim, value) in
            [("iss", json!("did:example:other")), ("jti", json!("urn:x:1")), ("sub", json!("did:x:y"))]
        {
            let refused = secured(Secured::Jose, &|document| {
                document.insert("id".to_owned(), json!("urn:x:2"));
                document.insert(claim.to_owned(), value.clone());
            });
            assert_eq!(refused.unwrap_err(), "vc_disagreement", "{claim}");
        }
        for (claim, value, expected) in [
            ("exp", json!(NOW.as_secs() - 60), "credential_expired"),
            ("nbf", json!(NOW.as_secs() + 61), "credential_not_yet_valid"),
            ("exp", json!("never"), "jose_member"),
            ("validUntil", json!("2020-01-01T00:00:00Z"), "credential_expired"),
            ("credentialStatus", json!({"type": "StatusList2021Entry"}), "credential_status_reference"),
            ("status", json!({}), "credential_status_reference"),
        ] {
            let refused = secured(Secured::Jose, &|document| _ = document.insert(claim.to_owned(), value.clone()));
            assert_eq!(refused.unwrap_err(), expected, "{claim}");
        }
    }
}
