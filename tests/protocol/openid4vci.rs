//! The example messages of OpenID4VCI 1.0, and redirect addresses that are nearly the registered one.

use firsthand::{
    limits::Limits,
    protocol::{
        jose::Jws,
        openid4vci::{
            CredentialFormat, Offered,
            attestation::{AttestedClient, Believed},
            credential::{CredentialRequest, Notification, Proofs, read_deferred},
            oauth::{PushedRequest, TokenRequest, read_authorization_request},
            offer::{Offer, OfferLink},
            proof::{self, ProofContext},
        },
        sd_jwt::SdJwt,
    },
    time::UnixTime,
};
use firsthand_tests::{Tally, vector};

#[test]
fn the_examples_of_the_text_are_read() {
    let limits = Limits::default();
    let mut tally = Tally::new("openid4vci/messages");
    for case in vector("openid4vci/messages.json").as_array().unwrap() {
        let [kind, name, text] = ["kind", "name", "text"].map(|member| case[member].as_str().unwrap());
        let name = format!("{kind}, {name}");
        // What the examples ask for stands for what we issue.
        let name_of = match text {
            text if text.contains("UniversityDegreeCredential") => "UniversityDegreeCredential",
            text if text.contains("org.iso.18013.5.1.mDL") => "org.iso.18013.5.1.mDL",
            _ => "relationship",
        };
        let offered = Offered { scope: name_of, configurations: &[(name_of, CredentialFormat::SdJwtVc)] };
        match kind {
            "offer" => {
                let offer = Offer::parse(text.as_bytes(), &limits);
                let again = offer.as_ref().map(|offer| Offer::parse(offer.to_json().to_string().as_bytes(), &limits));
                tally.holds(&name, again.is_ok_and(|again| again == offer), || format!("{offer:?}"));
            }
            "offer_link" => tally.case(&name, "accept", OfferLink::parse(text, &limits)),
            // The parameters are left out with an ellipsis.
            "par" if text.contains("authorization_details=...") => {
                tally.case(&name, "reject", PushedRequest::read(text.as_bytes(), offered, &limits));
            }
            "authorization_request" if text.contains("request_uri") => {
                tally.case(&name, "accept", read_authorization_request(text));
            }
            // Pushed, as all of ours are, they are the same parameters.
            "authorization_request" => {
                tally.case(&name, "reject", read_authorization_request(text));
                tally.case(&name, "accept", PushedRequest::read(text.as_bytes(), offered, &limits));
            }
            "token_request" => {
                tally.case(&name, "accept", TokenRequest::read(text.as_bytes(), &[offered], &limits));
            }
            "credential_request" if text.contains("di_vp") => {
                let error = CredentialRequest::read(text.as_bytes(), &limits).unwrap_err();
                tally.holds(&name, error.code() == "credential_proof_type", || error.to_string());
            }
            "credential_request" => tally.case(&name, "accept", CredentialRequest::read(text.as_bytes(), &limits)),
            "deferred_request" => tally.case(&name, "accept", read_deferred(text.as_bytes(), &limits)),
            "notification" => tally.case(&name, "accept", Notification::read(text.as_bytes(), &limits)),
            "proof" => {
                let proofs = Proofs::Jwt(vec![text.to_owned()]);
                let at = UnixTime::from_secs(1_701_960_444);
                let check = |issuer: &str, now: UnixTime| {
                    let context = ProofContext {
                        issuer,
                        client_id: None,
                        knows_nonce: &|nonce| nonce == "LarRGSbmUPYtRYO6BQ4yn8",
                        providers: &[],
                        attested: false,
                        now,
                        limits: &limits,
                    };
                    proof::check(&proofs, &context)
                };
                tally.case(&name, "accept", check("https://credential-issuer.example.com", at));
                tally.case(&name, "reject", check("https://credential-issuer.example.com/", at));
                tally.case(&name, "reject", check("https://credential-issuer.example.com", at.plus_s(3600)));
            }
            "wallet_attestation" => {
                let claims = Jws::parse(text, &limits).unwrap().unverified_claims().clone();
                tally.holds(&name, claims["sub"] == "https://wallet.example.com", || format!("{claims:?}"));
                // Its certificate signs itself: a root that anybody can make.
                let believed = Believed { roots: &[], now: UnixTime::from_secs(1_755_050_000), limits: &limits };
                let code = AttestedClient::check(text, "", "https://shop.example", &believed).unwrap_err().code();
                tally.holds(&name, code == "certificate_self_signed", || code.to_owned());
            }
            "sd_jwt_vc" => tally.case(&name, "accept", SdJwt::parse(text, &limits)),
            other => panic!("{other}"),
        }
    }
    tally.finish(27);
}

/// RFC 9700, 2.1: a redirect address is the registered one letter by letter, or it is none. Here at the message: the
/// route is held to the same cases in `tests/http`.
#[test]
fn a_redirect_address_is_kept_as_it_was_sent() {
    let mut tally = Tally::new("attack-corpora/redirect_exact_match (pushed)");
    for case in vector("attack-corpora/redirect_exact_match_shared.json").as_array().unwrap() {
        let given = case["given"].as_str().unwrap();
        let encoded: String = given.bytes().map(|byte| format!("%{byte:02X}")).collect();
        let form = format!(
            "response_type=code&client_id=w&scope=relationship&code_challenge_method=S256\
             &code_challenge=E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM&redirect_uri={encoded}"
        );
        let offered = Offered { scope: "relationship", configurations: &[] };
        let read = PushedRequest::read(form.as_bytes(), offered, &Limits::default());
        let matches = read.is_ok_and(|request| case["registered"] == request.redirect_uri);
        tally.holds(given, Some(matches) == case["match"].as_bool(), || format!("matches: {matches}"));
    }
    tally.finish(12);
}
