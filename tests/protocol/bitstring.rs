//! Topic `bitstring-status-list`: the examples of the standard, and lists with each one thing wrong.

use firsthand::{
    limits::Limits,
    protocol::{
        jose::PublicKey,
        status_list::{Status, StatusError},
        vc::{
            Credential,
            bitstring::{BitstringList, Entry},
            jwt,
        },
    },
    time::UnixTime,
};
use firsthand_tests::{Tally, vector, vector_files};
use serde_json::{Value, json};

const NO_JSON: &str = "an example that is no JSON as it stands";

fn list(case: &Value) -> Result<BitstringList, StatusError> {
    let mut limits = Limits::default();
    // A list is larger than any other token.
    limits.jws_bytes = limits.status_token_bytes;
    let key = PublicKey::from_jwk(&case["public_jwk"]).unwrap();
    let (credential, _) = jwt::verify_credential(case["token"].as_str().unwrap(), &key, &limits)?;
    let now = UnixTime::from_secs(case["now"].as_i64().unwrap());
    BitstringList::read(&credential, &case["url"].as_str().unwrap().parse().unwrap(), now, &limits)
}

fn status(case: &Value, index: u64) -> Result<Status, StatusError> {
    let entry = json!({
        "type": "BitstringStatusListEntry", "statusPurpose": case["purpose"], "statusListIndex": index.to_string(),
        "statusListCredential": case["url"],
    });
    list(case)?.status(&Entry::of(&entry, "https://status.example.com")?[0])
}

#[test]
fn lists_with_one_thing_wrong() {
    let mut tally = Tally::new("bitstring-status-list/generated");
    for case in vector("bitstring-status-list/generated/own_shared.json").as_array().unwrap() {
        let name = case["name"].as_str().unwrap();
        let index = case["index"].as_u64().unwrap_or(0);
        tally.case(name, case["expect"].as_str().unwrap(), status(case, index));
        for (bits, expected) in [("set_bits", Status::Invalid), ("clear_bits", Status::Valid)] {
            for bit in case[bits].as_array().into_iter().flatten() {
                let found = status(case, bit.as_u64().unwrap());
                tally.holds(name, matches!(&found, Ok(found) if *found == expected), || format!("{bit}: {found:?}"));
            }
        }
    }
    tally.finish(24 + 3 * 10);
}

#[test]
fn the_examples_of_the_standard() {
    let mut tally = Tally::new("bitstring-status-list/spec");
    for (name, example) in vector_files("bitstring-status-list/spec") {
        let Some(json) = example.get("json") else {
            tally.left_out(NO_JSON);
            continue;
        };
        let credential = Credential::read(json.as_object().unwrap());
        let Ok(credential) = credential else {
            tally.holds(&name, false, || format!("{credential:?}"));
            continue;
        };
        match json.get("credentialStatus") {
            Some(entries) => {
                let found = Entry::of(entries, &credential.issuer);
                let several = entries.as_array().map_or(1, Vec::len);
                tally.holds(&name, found.as_ref().is_ok_and(|found| found.len() == several), || format!("{found:?}"));
            }
            None => {
                // The list is cut short in the text: all but its bits are read.
                let uri = json["id"].as_str().unwrap().parse().unwrap();
                let now = UnixTime::from_secs(1_795_000_000);
                let read = BitstringList::read(&credential, &uri, now, &Limits::default());
                let as_expected = matches!(&read, Ok(_) | Err(StatusError::NotGzip | StatusError::Jose(_)));
                tally.holds(&name, as_expected, || format!("{read:?}"));
            }
        }
    }
    tally.finish(5);
}
