//! Over every case at hand: the first check that fails is the one that the verifier names.

use firsthand::{
    explain::{Captured, Outcome},
    format::{Against, Channel, Format, IssuerRef, sd_jwt_vc::SdJwtVc},
    limits::Limits,
    protocol::{
        dcql::Query,
        jose::{ContentEncryption, DecryptionKey, Jws, PublicKey, base64url_decode},
        openid4vp::{Answer, ResponseContext, ResponseMode, read_response},
    },
    testing::wallet::Fault,
    time::UnixTime,
    trust::Trust,
};
use firsthand_tests::{Tally, vector};
use serde_json::{Value, json};
use url::form_urlencoded;

use crate::captured::{Kept, refused};

const NOW: UnixTime = UnixTime::from_secs(1_793_500_000);
const STEPS: [&str; 3] = ["envelope", "state", "vp_token"];

#[test]
fn attacked_envelopes_are_explained_as_they_are_refused() {
    let mut tally = Tally::new("explained envelopes");
    for part in ["cases_shared_0", "cases_shared_1"] {
        for case in vector(&format!("openid4vp-response/{part}.json")).as_array().unwrap() {
            let form = case["form"].as_object().unwrap().iter().map(|(name, value)| (name, value.as_str().unwrap()));
            let body = form_urlencoded::Serializer::new(String::new()).extend_pairs(form).finish();
            let jwk = &case["enc_private_jwk"];
            let scalar = base64url_decode(jwk["d"].as_str().unwrap()).unwrap().try_into().unwrap();
            let key = DecryptionKey::from_scalar(&scalar, jwk["kid"].as_str().unwrap()).unwrap();
            let accepted: Vec<ContentEncryption> = [ContentEncryption::A128Gcm, ContentEncryption::A256Gcm]
                .into_iter()
                .filter(|enc| case["enc_values_allowed"].as_array().unwrap().contains(&enc.name().into()))
                .collect();
            let limits = Limits::default();
            let verified = read_response(
                body.as_bytes(),
                &ResponseContext {
                    mode: ResponseMode::DirectPostJwt,
                    state: case["expected_state"].as_str().unwrap(),
                    key: Some(&key),
                    accepted: &accepted,
                    query: &Query::parse(&case["query"], &limits).unwrap(),
                    limits: &limits,
                },
            );
            let request = json!({
                "response_type": "vp_token",
                "response_mode": "direct_post.jwt",
                "client_id": "x509_san_dns:shop.example.com",
                "response_uri": "https://shop.example.com/response",
                "nonce": "n-0S6_WzA2Mj0S6_WzA2Mj",
                "state": case["expected_state"],
                "dcql_query": case["query"],
                "client_metadata": {
                    "jwks": { "keys": [key.public_jwk()] },
                    "encrypted_response_enc_values_supported": case["enc_values_allowed"],
                    "vp_formats_supported": { "dc+sd-jwt": {} },
                },
            })
            .to_string();
            let trust = Trust::new();
            let explanation = Captured::new(request.as_bytes(), body.as_bytes(), &trust, NOW).key(&key).explain();
            let name = format!("{part} {}", case["name"].as_str().unwrap());
            let agrees = match (&verified, &explanation.outcome) {
                (Err(error), Outcome::Refused { code, .. }) => *code == error.code(),
                (Ok(Answer::Error { code, .. }), Outcome::Declined { code: explained }) => code == explained,
                // The presentations are stand-ins: what fails is one of them.
                (Ok(Answer::Presentations(_)), _) => explanation
                    .answer
                    .checks
                    .iter()
                    .filter(|check| STEPS.contains(&check.name.as_str()))
                    .all(|check| check.first_failure().is_none()),
                _ => false,
            };
            tally.holds(&name, agrees, || format!("{verified:?}\n{explanation}"));
        }
    }
    tally.finish(86);
}

/// A case of the corpus with one fault each, as the merchant would read it from an issuer that it knows by its metadata.
struct Case<'a> {
    case: &'a Value,
    jwk: Value,
}

impl Case<'_> {
    fn text(&self, name: &str) -> &str {
        self.case[name].as_str().unwrap()
    }

    fn verified(&self) -> Result<(), &'static str> {
        if self.case["presentation"] == "" {
            // The envelope does not let it through.
            return Err("vp_token_not_a_presentation");
        }
        let limits = Limits::default();
        let format = SdJwtVc::new();
        let unverified = format.parse(&self.case["presentation"], &limits).map_err(|error| error.code())?;
        match unverified.issuer() {
            IssuerRef::Metadata { iss, .. } if iss == self.text("trusted_issuer") => {}
            IssuerRef::X5c { iss: Some(iss), .. } if iss == self.text("trusted_issuer") => {
                return Err("issuer_key_mechanism");
            }
            IssuerRef::X5c { .. } => return Err("by certificates"),
            _ => return Err("issuer_unknown"),
        }
        let authentic = unverified
            .verify(&Against {
                issuer_key: &PublicKey::from_jwk(&self.case["issuer_public_jwk"]).unwrap(),
                channel: Channel::Redirect {
                    client_id: self.text("aud"),
                    response_uri: "https://shop.example.com/response",
                },
                encryption_key: None,
                nonce: self.text("nonce"),
                transaction_data: &[],
                holder_binding: self.case["key_binding_required"].as_bool().unwrap(),
                now: UnixTime::from_secs(self.case["now"].as_i64().unwrap()),
                holder_proof_age_s: self.case["kb_max_age"].as_u64().unwrap(),
                skew_s: 60,
                limits: &limits,
            })
            .map_err(|error| error.code())?;
        match authentic.types().first() {
            Some(vct) if vct == self.text("expected_vct") => Ok(()),
            _ => Err("credential_type_mismatch"),
        }
    }

    fn explained(&self) -> (Outcome, String) {
        let request = json!({
            "response_type": "vp_token",
            "response_mode": "direct_post",
            "client_id": self.case["aud"],
            "response_uri": "https://shop.example.com/response",
            "nonce": self.case["nonce"],
            "state": "s",
            "dcql_query": { "credentials": [{
                "id": "card",
                "format": "dc+sd-jwt",
                "meta": { "vct_values": [self.case["expected_vct"]] },
                "require_cryptographic_holder_binding": self.case["key_binding_required"],
            }]},
        })
        .to_string();
        let answer = json!({ "vp_token": { "card": [self.case["presentation"]] }, "state": "s" }).to_string();
        let metadata = json!({ "issuer": self.case["trusted_issuer"], "jwks": { "keys": [self.jwk] } }).to_string();
        let trust = Trust::new().issuer(self.text("trusted_issuer").parse().unwrap(), &[self.text("expected_vct")]);
        let now = UnixTime::from_secs(self.case["now"].as_i64().unwrap());
        let explanation = Captured::new(request.as_bytes(), answer.as_bytes(), trust.as_ref().unwrap(), now)
            .issuer_document(metadata.as_bytes())
            .explain();
        (explanation.outcome.clone(), explanation.to_string())
    }
}

#[test]
fn presentations_with_one_fault_each_are_explained_as_they_are_refused() {
    let mut tally = Tally::new("explained presentations");
    for file in ["cases_es256.json", "cases_eddsa.json"] {
        for case in vector(&format!("sd-jwt-vc-negative/{file}")).as_array().unwrap() {
            // The metadata name the key as the credential does.
            let text = case["presentation"].as_str().unwrap_or_default();
            let jws = Jws::parse(text.split('~').next().unwrap(), &Limits::default());
            let kid = jws.ok().and_then(|jws| jws.header().kid.clone());
            let mut jwk = case["issuer_public_jwk"].clone();
            jwk["kid"] = json!(kid);
            let case = Case { case, jwk };
            let (verified, (outcome, text)) = (case.verified(), case.explained());
            let agrees = match (&verified, &outcome) {
                (Ok(()), Outcome::Accepted | Outcome::Undecided { .. }) => true,
                (Err("by certificates"), Outcome::Refused { .. }) => true,
                (Err(expected), Outcome::Refused { code, .. }) => expected == code,
                _ => false,
            };
            let name = format!("{file} {}", case.text("name"));
            tally.holds(&name, agrees, || format!("{verified:?}\n{text}"));
        }
    }
    tally.finish(170);
}

const FAULTS: [Fault; 31] = [
    Fault::WrongNonce,
    Fault::WrongAudience,
    Fault::AudienceWithoutPrefix,
    Fault::HolderProofInPast,
    Fault::HolderProofInFuture,
    Fault::HolderSignatureBroken,
    Fault::ForeignHolderKey,
    Fault::WrongSdHash,
    Fault::NoHolderProof,
    Fault::TransactionDataMissing,
    Fault::TransactionDataExtra,
    Fault::IssuerSignatureBroken,
    Fault::UnreferencedDisclosure,
    Fault::DuplicateDisclosure,
    Fault::DisclosureNamedSd,
    Fault::DisclosureAddedAfterProof,
    Fault::MissingClaim,
    Fault::WrongType,
    Fault::UnknownQueryId,
    Fault::PresentationOutsideArray,
    Fault::TwoPresentations,
    Fault::VpTokenIsString,
    Fault::DuplicateMember,
    Fault::DeepJson,
    Fault::WrongState,
    Fault::NoState,
    Fault::PlainAnswer,
    Fault::ForeignEncryptionKey,
    Fault::CompressedEncryption,
    Fault::WrongContentEncryption,
    Fault::OversizeBody,
];

#[tokio::test]
async fn whatever_a_wallet_gets_wrong_is_explained_as_the_merchant_refuses_it() {
    let mut seen = 0;
    for fault in FAULTS {
        let Some(Kept { code, outcome, text, .. }) = refused("adult", &[fault]).await else {
            // Nothing was asked to be authorised, and the route reads no more.
            let none = [Fault::TransactionDataMissing, Fault::OversizeBody];
            assert!(none.contains(&fault), "{fault:?}");
            continue;
        };
        assert!(matches!(&outcome, Outcome::Refused { code: explained, .. } if *explained == code), "{code}\n{text}");
        seen += 1;
    }
    assert_eq!(seen, FAULTS.len() - 2);
}

#[tokio::test]
async fn several_faults_are_all_named() {
    let faults = [Fault::WrongNonce, Fault::WrongAudience, Fault::HolderProofInPast, Fault::WrongSdHash];
    let kept = refused("adult", &faults).await.unwrap();
    for code in ["key_binding_nonce", "key_binding_audience", "key_binding_too_old", "key_binding_sd_hash"] {
        assert!(kept.text.contains(&format!("[{code}]")), "{code}\n{}", kept.text);
    }
    assert_eq!(kept.code, "key_binding_nonce");
}

#[tokio::test]
async fn who_is_not_believed_is_named_and_the_rest_is_checked_all_the_same() {
    let kept = refused("untrusted", &[]).await.unwrap();
    assert_eq!(kept.code, "certificate_unknown_anchor");
    assert!(kept.text.contains("An Issuer CA That Nobody Believes"), "{}", kept.text);
    assert!(kept.text.contains("nobody vouches for it"), "{}", kept.text);
    // The one check, and what it stands in: the issuer, the presentation, the answer.
    assert_eq!(kept.text.matches("FAILS").count(), 4, "{}", kept.text);
}

#[tokio::test]
async fn a_status_is_told_from_the_list_that_is_given() {
    for said in ["revoked", "suspended"] {
        let kept = refused(said, &[]).await.unwrap();
        assert_eq!(kept.code, "credential_revoked");
        assert!(matches!(&kept.outcome, Outcome::Undecided { check, .. } if check == "token"), "{}", kept.text);
        let explained = kept.again(|captured| captured.status_list(kept.status_list.as_bytes()).explain());
        assert!(
            matches!(explained.outcome, Outcome::Refused { code: "credential_revoked", .. }),
            "{said}: {explained}"
        );
        assert!(explained.to_string().contains(said), "{explained}");
    }
}

#[tokio::test]
async fn values_of_claims_show_on_demand_alone() {
    let kept = refused("adult", &[Fault::WrongNonce]).await.unwrap();
    let all = kept.again(|captured| captured.explain());
    for secret in ["1984", "Lindenallee", "Adler", "Anna"] {
        assert!(!all.to_string().contains(secret), "{all}");
        assert!(!serde_json::to_string(&all).unwrap().contains(secret), "{all}");
    }
}
