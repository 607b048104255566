//! CBOR: the examples of RFC 8949, those that are well-formed and those that are not.

use firsthand::{
    limits::Limits,
    protocol::cbor::{self, Item, Kind},
};
use firsthand_tests::{Tally, vector};
use serde_json::{Number, Value};

fn bytes(case: &Value) -> Vec<u8> {
    let hex = case["hex"].as_str().unwrap();
    (0..hex.len()).step_by(2).map(|at| u8::from_str_radix(&hex[at..at + 2], 16).unwrap()).collect()
}

/// What a JSON reader would see in it.
fn json(item: &Item<'_>) -> Value {
    match item.kind() {
        Kind::Integer(integer) => serde_json::from_str(&integer.to_string()).unwrap(),
        Kind::Text(text) => Value::from(text.as_ref()),
        Kind::Array(items) => items.iter().map(json).collect(),
        Kind::Map(map) => Value::Object(map.iter().map(|(k, v)| (k.text().unwrap().to_owned(), json(v))).collect()),
        Kind::Bool(value) => Value::from(*value),
        Kind::Null => Value::Null,
        Kind::Float(value) => Value::Number(Number::from_f64(*value).unwrap()),
        // Bignums, the only tags among the examples that have a decoded value.
        Kind::Tag(2, bytes) => {
            let big = bytes.bytes().unwrap().iter().fold(0u128, |sum, byte| sum << 8 | u128::from(*byte));
            serde_json::from_str(&big.to_string()).unwrap()
        }
        _ => panic!("{} has no decoded value", item.diagnostic()),
    }
}

#[test]
fn what_is_well_formed_is_read_for_what_it_is() {
    let mut tally = Tally::new("cbor/appendix_a");
    for case in vector("cbor/rfc8949_appendix_a_shared.json").as_array().unwrap() {
        let (input, name) = (bytes(case), case["hex"].as_str().unwrap());
        if name == "f818" {
            // RFC 8949 section 3.3 took this form away, which RFC 7049 still had; it stands among the refused ones too.
            tally.case(name, "reject", cbor::read(&input, &Limits::default()));
            continue;
        }
        let item = cbor::read(&input, &Limits::default()).unwrap_or_else(|e| panic!("{name}: {e}"));
        assert_eq!(item.raw(), input, "{name}");
        if let Some(decoded) = case.get("decoded") {
            let read = json(&item);
            let same = if decoded.is_number() { read.as_f64() == decoded.as_f64() } else { &read == decoded };
            tally.holds(name, same, || item.diagnostic());
        } else {
            // A string in chunks is shown as the whole that it is.
            let expected = case["diagnostic"].as_str().unwrap().replace("(_ h'0102', h'030405')", "h'0102030405'");
            tally.holds(name, item.diagnostic() == expected, || item.diagnostic());
        }
    }
    tally.finish(55);
}

#[test]
fn what_is_not_well_formed_is_refused() {
    let mut tally = Tally::new("cbor/not_well_formed");
    for case in vector("cbor/rfc8949_not_well_formed_shared.json").as_array().unwrap() {
        let got = cbor::read(&bytes(case), &Limits::default()).map(|_| ());
        tally.case(case["hex"].as_str().unwrap(), "reject", got);
    }
    tally.finish(47);
}
