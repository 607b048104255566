//! W3C credentials with Data Integrity proofs, as OpenID4VP, annex B.1.3.2 presents them: format `ldp_vc`.
//!
//! The contexts of a credential must be [pinned](Contexts), in every cryptosuite: they say what its members mean.

use serde_json::{Value, json};

use super::jwt_vc::{authentic, told, type_values, with_expected};
use crate::{
    format::{Against, Authentic, Format, FormatError, IssuerRef, Unverified},
    limits::Limits,
    protocol::{
        vc::{
            Expected,
            data_integrity::{Presented, Suite},
            ld::Contexts,
        },
        watch::Part,
    },
};

/// The format `ldp_vc`.
///
/// A presentation is a JSON object: a presentation with the holder's proof around the credential, or the credential alone
/// where nobody has to prove to hold it. The issuer is named by its DID.
#[derive(Clone, Debug, Default)]
pub struct LdpVc {
    contexts: Contexts,
}

impl LdpVc {
    /// With the contexts that are compiled in.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// With these contexts: those compiled in, and a merchant's own.
    #[must_use]
    pub const fn with_contexts(contexts: Contexts) -> Self {
        Self { contexts }
    }
}

impl Format for LdpVc {
    fn id(&self) -> &'static str {
        "ldp_vc"
    }

    fn supported(&self) -> Value {
        json!({
            "proof_type_values": ["DataIntegrityProof"],
            "cryptosuite_values": Suite::ALL.map(Suite::name),
        })
    }

    fn meta(&self, types: &[String]) -> Value {
        type_values(types)
    }

    fn parse<'a>(&self, presented: &'a Value, limits: &'a Limits) -> Result<Box<dyn Unverified + 'a>, FormatError> {
        if !presented.is_object() {
            return Err(FormatError::Form("it must be a JSON object"));
        }
        Ok(Box::new(Document { presented: Presented::parse(presented, limits)?, contexts: self.contexts.clone() }))
    }
}

/// A presentation whose issuer is named, and nothing checked.
struct Document<'a> {
    presented: Presented<'a>,
    contexts: Contexts,
}

impl Unverified for Document<'_> {
    fn issuer(&self) -> IssuerRef<'_> {
        let (did, method) = self.presented.issuer();
        IssuerRef::Did { did: did.as_str(), method }
    }

    fn verify(self: Box<Self>, against: &Against<'_>) -> Result<Authentic, FormatError> {
        let Self { presented, contexts } = *self;
        let verify = |expected: &Expected<'_>| presented.verify(against.issuer_key, expected, &contexts);
        let verified = with_expected(against, verify)?;
        authentic(verified.credential, (None, verified.status.as_ref()), verified.holder_bound, &contexts)
    }

    fn told(self: Box<Self>, against: &Against<'_>) -> Vec<Part> {
        let Self { presented, contexts } = *self;
        told(against, &contexts, |expected, watch| {
            let verified = presented.watched(against.issuer_key, expected, &contexts, watch)?;
            Ok((verified.credential, None, verified.status))
        })
    }
}

#[cfg(test)]
#[cfg(feature = "testing")]
mod tests {
    use super::*;
    use crate::{
        format::jwt_vc::tests::{NOW, asked, credential, key, verify},
        protocol::jose::SigningKey,
        testing::w3c::{Fault, Held, Issuer, Secured},
    };

    fn edwards(seed: u8) -> SigningKey {
        SigningKey::from_ed25519_seed(&[seed; 32]).unwrap()
    }

    /// Every suite that an issuer of ours signs with: its key, and a holder's.
    fn suites() -> Vec<(Suite, SigningKey, SigningKey)> {
        vec![
            (Suite::EddsaJcs2022, edwards(1), edwards(2)),
            (Suite::EcdsaJcs2019, key(1), key(2)),
            (Suite::EddsaRdfc2022, edwards(1), edwards(2)),
            (Suite::EcdsaRdfc2019, key(1), key(2)),
        ]
    }

    fn held(suite: Suite, issuer: &SigningKey, holder: &SigningKey) -> Held {
        Issuer::new(issuer.clone()).issue(Secured::Proof(suite), &credential(), holder.clone()).unwrap()
    }

    #[test]
    fn each_suite_is_read_by_its_subject_alone() {
        for (suite, issuer, holder) in suites() {
            let presented = held(suite, &issuer, &holder).present(asked(), &[]).unwrap();
            let authentic = verify(&LdpVc::new(), &issuer, &presented, true).unwrap();
            assert_eq!(
                authentic.claims(),
                &json!({
                    "type": ["VerifiableCredential", "AlumniCredential"], "credentialSubject": {"alumniOf": "A school"}
                })
            );
            let full = "https://www.w3.org/ns/credentials/examples#AlumniCredential";
            assert_eq!(authentic.types(), [full, "AlumniCredential"]);
            assert!(authentic.holder_bound() && authentic.expires_at() > Some(NOW));
        }
    }

    #[test]
    fn one_thing_wrong_is_refused_by_its_name() {
        for (suite, issuer, holder) in suites() {
            let held = held(suite, &issuer, &holder);
            let is_edwards = |key: &SigningKey| key.public_key().algorithm() == crate::protocol::jose::Algorithm::EdDsa;
            for (fault, expected) in [
                (Fault::WrongNonce, "holder_proof_nonce"),
                (Fault::WrongAudience, "holder_proof_audience"),
                (Fault::HolderProofInPast, "holder_proof_age"),
                (Fault::HolderProofInFuture, "proof_from_the_future"),
                (Fault::HolderSignatureBroken, "proof_signature"),
                (Fault::ForeignHolder, "holder_mismatch"),
                (Fault::ForeignHolderKey, if is_edwards(&issuer) { "proof_suite" } else { "proof_signature" }),
                (Fault::WrongPurpose, "proof_purpose"),
                (Fault::OtherHolder, "holder_mismatch"),
                (Fault::NoPresentation, "holder_proof_missing"),
                (Fault::NoHolderProof, "holder_proof_missing"),
                (Fault::TwoCredentials, "vp_credentials"),
                (Fault::NoCredential, "vp_credentials"),
                (Fault::IssuerSignatureBroken, "proof_signature"),
                (Fault::ClaimChanged, "proof_signature"),
                (Fault::ClaimAdded, "ld_keyword"),
                (Fault::UnknownContext, "ld_unknown_context"),
                (Fault::LinkedBlankNodes, "ld_blank_node"),
                (Fault::StatusRenamed, "ld_full_name"),
                (Fault::SaidElsewhere, "ld_same_id"),
            ] {
                // What a holder cannot sign either is looked at without one.
                let unsafe_graph = expected.starts_with("ld_");
                let faults = if unsafe_graph { vec![fault, Fault::NoPresentation] } else { vec![fault] };
                let presented = held.present(asked(), &faults).unwrap();
                let refused = verify(&LdpVc::new(), &issuer, &presented, !unsafe_graph).expect_err("refused").code();
                assert_eq!(refused, expected, "{suite:?} {fault:?}");
            }
        }
    }

    #[test]
    fn a_key_is_used_with_its_own_suite_alone() {
        let presented = held(Suite::EddsaRdfc2022, &edwards(1), &edwards(2)).present(asked(), &[]).unwrap();
        let refused = |presented: &Value, key: &SigningKey| {
            verify(&LdpVc::new(), key, presented, true).expect_err("refused").code()
        };
        assert_eq!(refused(&presented, &key(1)), "proof_suite");
        assert_eq!(refused(&presented, &edwards(3)), "proof_signature");
        let mut other = presented.clone();
        other["verifiableCredential"][0]["proof"]["cryptosuite"] = json!("bbs-2023");
        assert_eq!(refused(&other, &edwards(1)), "proof_suite");
        other["verifiableCredential"][0]["proof"]["cryptosuite"] = json!("ecdsa-sd-2023");
        assert_eq!(refused(&other, &edwards(1)), "proof_suite");
        for wrong in [json!("x"), json!([presented]), json!({"type": "VerifiablePresentation"})] {
            assert!(verify(&LdpVc::new(), &edwards(1), &wrong, true).is_err());
        }
    }
}
