//! The kinds of what is stored: two records of one kind would be read as each other.

use std::collections::BTreeMap;

use crate::sources::{Source, rust};

/// The library without what tests bring along.
fn stored() -> Vec<Source> {
    let is_for_tests = |path: &str| path.starts_with("sdk/src/testing") || path.contains("/tests");
    rust("sdk/src").into_iter().filter(|source| !is_for_tests(&source.path)).collect()
}

/// The kinds that a file gives: to records of its own, and to entries that are of a type that several kinds share.
fn kinds(source: &Source) -> Vec<String> {
    let text = source.text.split("#[cfg(test)]\nmod tests {").next().unwrap();
    let constant = |name: &str| {
        let (_, value) = text.split_once(&format!("const {name}: &str = \""))?;
        value.split_once('"').map(|(kind, _)| kind.to_owned())
    };
    let mut found = Vec::new();
    for (at, begin) in text.match_indices("const KIND: &'static str = ") {
        let value = text[at + begin.len()..].split(';').next().unwrap();
        // `$kind` is a macro's, whose list comes below.
        if let Some(kind) = value.strip_prefix('"') {
            found.push(kind.trim_end_matches('"').to_owned());
        } else if !value.starts_with('$') {
            found.push(constant(value).unwrap_or_else(|| panic!("{}: {value}", source.path)));
        }
    }
    if let Some((_, list)) = text.split_once("\npersisted! {\n") {
        let records = list.split("\n}").next().unwrap().lines();
        found.extend(records.map(|line| line.split('"').nth(1).unwrap().to_owned()));
    }
    let own = |name: &str| ["Key::new(", "kind: ", "queue(", "due(", "first_of("].map(|call| format!("{call}{name}"));
    for line in text.lines().filter(|line| line.starts_with("const ") && line.contains(": &str = \"")) {
        let name = line["const ".len()..].split(':').next().unwrap();
        let is_a_kind = own(name).iter().any(|call| text.contains(call.as_str()));
        let is_a_records = text.contains(&format!("const KIND: &'static str = {name};"));
        found.extend(constant(name).filter(|_| is_a_kind && !is_a_records));
    }
    found
}

#[test]
fn every_kind_of_record_is_one_records() {
    let mut places: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for source in stored() {
        for kind in kinds(&source) {
            let plain = kind.len() <= 32 && kind.bytes().all(|b| b.is_ascii_lowercase() || b == b'_');
            assert!(plain, "{}: {kind:?}", source.path);
            places.entry(kind).or_default().push(source.path.clone());
        }
    }
    println!("{} kinds", places.len());
    assert!(places.len() > 60, "the kinds are not found any more: {}", places.len());
    for known in ["order", "checkout", "order_to_send", "receipt_used", "refund_file_entry", "stock"] {
        assert!(places.contains_key(known), "{known}");
    }
    for (kind, places) in places {
        assert_eq!(places.len(), 1, "{kind:?} is stored by {places:?}");
    }
}

#[test]
fn a_kind_that_is_given_twice_is_found() {
    let text = "const BY: &str = \"a\";\nconst SEALS: &str = \"c\";\nKey::new(BY, \"\", \"\");\n    const KIND: &'static str = \"a\";\n\
                \npersisted! {\n    One: \"b\",\n    Two: \"b\",\n}\n";
    let source = Source { path: "x.rs".to_owned(), text: text.to_owned() };
    assert_eq!(kinds(&source), ["a", "b", "b", "a"]);
}
