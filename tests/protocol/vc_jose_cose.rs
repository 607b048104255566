//! Topic `vc-jose-cose`: the examples of the standard. They come without keys, so what is measured is how they are read.

use firsthand::{
    limits::Limits,
    protocol::vc::{
        Credential, VcError,
        jwt::{Presented, issuer_of},
    },
};
use firsthand_tests::{Tally, vector_files};

const SD_JWT: &str = "VC-JOSE-COSE with SD-JWT is not supported";
const COSE: &str = "VC-JOSE-COSE with COSE is not supported";
const FRAGMENT: &str =
    "a header or a controlled identifier document alone, which is neither credential nor presentation";

#[test]
fn the_examples_of_the_standard() {
    let mut tally = Tally::new("vc-jose-cose/spec");
    let limits = Limits::default();
    for (name, example) in vector_files("vc-jose-cose/spec") {
        let text = example["text"].as_str().unwrap();
        let json = example.get("json").and_then(|json| json.as_object());
        let types = |json: &serde_json::Map<String, serde_json::Value>| json.get("type").cloned().unwrap_or_default();
        match json {
            Some(json) if json.contains_key("credentialSubject") => {
                tally.case(&name, "accept", Credential::read(json));
            }
            Some(json) if types(json) == "EnvelopedVerifiablePresentation" => {
                let id = json["id"].as_str().unwrap();
                match id.strip_prefix("data:application/vp+jwt,") {
                    // The token of the example has no `typ`, and one without is of version 1.1, which has `vp`.
                    Some(token) => tally.case(&name, "reject", Presented::parse(token, &limits)),
                    None => tally.left_out(SD_JWT),
                }
            }
            Some(json) if types(json) == "VerifiablePresentation" => tally.left_out(COSE),
            _ if text.starts_with("data:application/vc+sd-jwt") => tally.left_out(SD_JWT),
            _ if text.contains("cose") || text.contains("COSE") || text.contains("Protected") => tally.left_out(COSE),
            _ => tally.left_out(FRAGMENT),
        }
    }
    assert!(matches!(issuer_of("a.b.c", &limits), Err(VcError::Jose(_))));
    tally.finish(18);
}
