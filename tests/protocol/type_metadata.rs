//! SD-JWT VC Type Metadata: the examples of the draft.

use firsthand::{
    limits::Limits,
    protocol::type_metadata::{Chain, Reference, Rules, TypeMetadataError},
};
use firsthand_tests::vector;
use serde_json::{Value, json};

fn rules(documents: &[Value]) -> Result<Rules, TypeMetadataError> {
    let vct = documents[0]["vct"].as_str().unwrap().to_owned();
    let mut chain = Chain::of(Reference { vct, integrity: None });
    for document in documents {
        chain.add(document.to_string().as_bytes(), &Limits::default())?;
    }
    chain.rules()
}

/// "Example for Extending Type Metadata": the rules of the child are those that the draft gives as its effective ones.
#[test]
fn an_extending_type_has_the_rules_that_the_draft_says() {
    let base = vector("sd-jwt-vc/draft-inline/12.json")["json"].clone();
    let effective = vector("sd-jwt-vc/draft-inline/14.json")["json"].clone();
    let child = json!({
        "vct": "https://example.com/custom-type-metadata",
        "extends": base["vct"],
        "claims": [
            { "path": ["address", "city"], "display": [{ "label": "Town", "locale": "en" }] },
            { "path": ["nationalities"], "display": [{ "label": "Nationalities", "locale": "en" }] },
        ],
    });
    let whole = json!({ "vct": "https://example.com/effective", "claims": effective["claims"] });
    assert_eq!(rules(&[child.clone(), base]).unwrap(), rules(&[whole]).unwrap());
    assert_eq!(rules(&[child]).unwrap_err().code(), "type_metadata_missing");
}
