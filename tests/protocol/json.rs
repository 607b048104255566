//! Topic `json`: JSONTestSuite, and the profile for signed objects.

use base64::{Engine, prelude::BASE64_STANDARD};
use firsthand::{
    limits::Limits,
    protocol::json::{self, JsonError},
};
use firsthand_tests::{Tally, vector};
use proptest::prelude::*;
use serde_json::Value;

#[test]
fn json_test_suite() {
    let depth = Limits::default().json_depth;
    let mut tally = Tally::new("json/jsontestsuite");
    for case in vector("json/jsontestsuite_shared.json").as_array().unwrap() {
        let name = case["name"].as_str().unwrap();
        // The suite takes a member named twice for valid; RFC 8259 section 4 leaves it open, our profile refuses it.
        let named_twice = name.starts_with("y_object_duplicated_key");
        let expect = if named_twice { "reject" } else { case["expect"].as_str().unwrap() };
        let text = BASE64_STANDARD.decode(case["base64"].as_str().unwrap()).unwrap();
        let read = json::parse(&text, depth);
        if let (Ok(read), Ok(theirs)) = (&read, serde_json::from_slice::<Value>(&text)) {
            assert!(is_same(read, &theirs), "{name}: {read:?} and {theirs:?}");
        }
        tally.case(name, expect, read);
    }
    tally.finish(212);
}

#[test]
fn the_profile_for_signed_objects() {
    let depth = Limits::default().json_depth;
    let mut tally = Tally::new("json/generated");
    for case in vector("json/generated/own_shared.json").as_array().unwrap() {
        let text = case["text"].as_str().unwrap();
        let name: String = text.chars().take(40).collect();
        tally.case(&name, case["expect"].as_str().unwrap(), json::parse(text.as_bytes(), depth));
    }
    tally.finish(20);
}

/// Texts that are nearly JSON: whole tokens in any order, and what breaks them.
fn nearly_json() -> impl Strategy<Value = String> {
    let pieces = [
        "{",
        "}",
        "[",
        "]",
        ",",
        ":",
        "\"",
        "\"a\"",
        "\"b\":",
        "\"\\u0061\":",
        "\"\\ud83d\\ude39\"",
        "\"\\ud83d\"",
        "\\",
        "0",
        "-",
        "1",
        "1.5",
        "1e5",
        "1e999",
        "18446744073709551615",
        "18446744073709551616",
        "-9223372036854775808",
        ".",
        "e+",
        "true",
        "false",
        "null",
        " ",
        "\n",
        "\u{b}",
        "\u{feff}",
        "é",
        "[]",
        "{}",
        "{\"a\":1}",
        "[1,2]",
    ];
    prop::collection::vec(prop::sample::select(pieces.to_vec()), 0..12).prop_map(|pieces| pieces.concat())
}

/// The same value; fractions to the last digits, which `serde_json` does not get right without its `float_roundtrip`.
fn is_same(ours: &Value, theirs: &Value) -> bool {
    match (ours, theirs) {
        (Value::Array(ours), Value::Array(theirs)) => {
            ours.len() == theirs.len() && ours.iter().zip(theirs).all(|(ours, theirs)| is_same(ours, theirs))
        }
        (Value::Object(ours), Value::Object(theirs)) => {
            ours.len() == theirs.len()
                && ours.iter().all(|(name, ours)| theirs.get(name).is_some_and(|theirs| is_same(ours, theirs)))
        }
        // With `arbitrary_precision` it keeps the text of a number: what counts is which one it is.
        (Value::Number(a), Value::Number(b)) if !(a.is_i64() && b.is_i64() || a.is_u64() && b.is_u64()) => {
            let (a, b) = (a.as_f64().unwrap(), b.as_f64().unwrap());
            (a - b).abs() <= a.abs() * 4.0 * f64::EPSILON
        }
        _ => ours == theirs,
    }
}

#[test]
fn fractions_are_read_to_the_last_digit() {
    for text in ["111e50", "1.5", "1e5", "0.1", "123456789.987654321e-7", "5e-324"] {
        let expected: f64 = text.parse().unwrap();
        assert_eq!(json::parse(text.as_bytes(), 1).unwrap(), Value::from(expected), "{text}");
    }
}

/// A value, as another JSON library writes it.
fn value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<u64>().prop_map(Value::from),
        any::<f64>().prop_filter("JSON has no others", |real| real.is_finite()).prop_map(Value::from),
        any::<String>().prop_map(Value::from),
    ];
    leaf.prop_recursive(6, 48, 6, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..6).prop_map(Value::from),
            prop::collection::btree_map(any::<String>(), inner, 0..6).prop_map(|map| map.into_iter().collect()),
        ]
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 20_000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn stricter_than_serde_json_in_the_named_points_alone(text in nearly_json()) {
        let theirs = serde_json::from_str::<Value>(&text);
        match json::parse(text.as_bytes(), 32) {
            Ok(ours) => {
                let theirs = theirs.unwrap();
                prop_assert!(is_same(&ours, &theirs), "{ours} {theirs}");
            }
            Err(JsonError::DuplicateMember { .. } | JsonError::NumberRange { .. }) => {}
            Err(error) => prop_assert!(theirs.is_err(), "{error}"),
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 500, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn reads_back_what_was_written(value in value()) {
        prop_assert_eq!(json::parse(&serde_json::to_vec(&value).unwrap(), 32), Ok(value.clone()));
        prop_assert_eq!(json::parse(&serde_json::to_vec_pretty(&value).unwrap(), 32), Ok(value));
    }

    #[test]
    fn any_bytes_are_read_or_refused(bytes in any::<Vec<u8>>()) {
        let _ = json::parse(&bytes, 32);
    }
}
