//! Topic `jcs`: the canonical JSON of RFC 8785, with and without what a feature of another crate makes of `serde_json`.

use base64::{Engine, prelude::BASE64_STANDARD};
use firsthand::protocol::{jcs, json};
use firsthand_tests::{Tally, vector, vector_files};
use proptest::prelude::*;
use serde_json::Value;

#[test]
fn rfc_8785() {
    let mut tally = Tally::new("jcs/rfc8785");
    for (name, case) in vector_files("jcs/rfc8785") {
        let text = |member: &str| String::from_utf8(BASE64_STANDARD.decode(case[member].as_str().unwrap()).unwrap());
        let ours = jcs::canonicalize(&json::parse(text("input_base64").unwrap().as_bytes(), 32).unwrap()).unwrap();
        tally.holds(&name, ours == text("output_base64").unwrap(), || ours.clone());
    }
    tally.finish(4);
}

#[test]
fn as_another_implementation_writes_it() {
    let mut tally = Tally::new("jcs/generated");
    for case in vector("jcs/generated/own_shared.json").as_array().unwrap() {
        // By `serde_json`, since one of the numbers is more than an integer of ours may be.
        let value: Value = serde_json::from_str(case["input"].as_str().unwrap()).unwrap();
        let ours = jcs::canonicalize(&value).unwrap();
        tally.holds(case["name"].as_str().unwrap(), ours == case["output"].as_str().unwrap(), || ours.clone());
    }
    tally.finish(8);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 20_000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn every_double_leads_back_to_itself(bits in any::<u64>()) {
        let real = f64::from_bits(bits);
        prop_assume!(real.is_finite());
        let text = jcs::canonicalize(&Value::from(real)).unwrap();
        prop_assert_eq!(text.parse::<f64>().unwrap(), real);
        let again = json::parse(text.as_bytes(), 1);
        // An integer of more digits than 64 bits is no number to our reader.
        if let Ok(again) = again {
            prop_assert_eq!(jcs::canonicalize(&again).unwrap_or(text.clone()), text);
        }
    }
}
