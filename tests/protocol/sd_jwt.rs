//! RFC 9901: the examples of the RFC and the test cases of the reference implementation in Python.

use firsthand::{
    limits::Limits,
    protocol::{
        jose::PublicKey,
        sd_jwt::{KeyBinding, SdJwt, SdJwtError},
    },
    time::UnixTime,
};
use firsthand_tests::{Tally, vector_files};
use serde_json::{Map, Value};

#[test]
fn presentations_open_to_what_was_shown_and_issuances_to_everything() {
    let mut tally = Tally::new("sd-jwt");
    let mut files = 0;
    for folder in ["sd-jwt/rfc9901", "sd-jwt/sd-jwt-python"] {
        for (name, case) in vector_files(folder) {
            files += 1;
            if name.starts_with("json_serialization") {
                tally.left_out("the JSON serialization (RFC 9901, 8): OpenID4VP presents the compact one alone");
                continue;
            }
            let presented = processed(&case, "sd_jwt_presentation", true);
            tally.case(&name, case["expect"].as_str().unwrap(), presented.as_ref());
            let expected = case["verified_contents"].as_object();
            tally.holds(&name, presented.as_ref().ok() == expected, || format!("processed to {presented:?}"));

            // What the issuer hands to the holder shows every claim, and has no key binding.
            let issued = processed(&case, "sd_jwt_issuance", false);
            let whole = issued.as_ref().is_ok_and(|issued| {
                case["user_claims"].as_object().unwrap().iter().all(|(claim, value)| issued.get(claim) == Some(value))
            });
            tally.holds(&name, whole, || format!("issued as {issued:?}"));
        }
    }
    assert_eq!(files, 21);
    tally.finish(17 * 3 + 4);
}

fn processed(case: &Value, which: &str, holder: bool) -> Result<Map<String, Value>, SdJwtError> {
    let limits = Limits::default();
    let issuer_key = PublicKey::from_jwk(&case["issuer_public_jwk"]).unwrap();
    let signed =
        SdJwt::parse(case[which].as_str().unwrap(), &limits)?.verify(&issuer_key, &["example+sd-jwt"], &limits)?;
    let Some(proof) = case.get("kb_jwt_payload").filter(|_| holder) else {
        assert!(!signed.has_key_binding());
        return Ok(signed.into_claims());
    };
    signed.verify_key_binding(&KeyBinding {
        audience: case["identifiers"]["verifier"].as_str().unwrap(),
        nonce: case["key_binding_nonce"].as_str().unwrap(),
        now: UnixTime::from_secs(proof["iat"].as_i64().unwrap()),
        max_age_s: 300,
        skew_s: 60,
        transaction_data: &[],
    })
}
