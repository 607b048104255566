//! The codes of errors: what dashboards and tests of merchants name.

use std::collections::BTreeMap;

use crate::sources::{Source, rust};

/// The texts that the functions `code` of a file give, in the order in which they stand.
fn codes(source: &Source) -> Vec<String> {
    let text = source.text.split("#[cfg(test)]\nmod tests {").next().unwrap();
    let mut found = Vec::new();
    for start in ["fn code(&self) -> &'static str {", "fn code(self) -> &'static str {"] {
        for (at, _) in text.match_indices(start) {
            let body = &text[at + start.len()..];
            let body = &body[..body.find("\n    }\n").unwrap_or(body.len())];
            // Between two quotes, two quotes, and so on: codes have none inside.
            let body = body.lines().filter(|line| !line.trim_start().starts_with("#[cfg(")).collect::<String>();
            found.extend(body.split('"').skip(1).step_by(2).map(str::to_owned));
        }
    }
    found
}

fn is_snake_case(code: &str) -> bool {
    let word = |word: &str| !word.is_empty() && word.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit());
    code.starts_with(|c: char| c.is_ascii_lowercase()) && code.split('_').all(word)
}

#[test]
fn codes_are_snake_case_and_each_means_one_thing() {
    let mut places: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for source in rust("sdk/src") {
        for code in codes(&source) {
            assert!(is_snake_case(&code), "{}: {code:?}", source.path);
            places.entry(code).or_default().push(source.path.clone());
        }
    }
    println!("{} codes", places.len());
    assert!(places.len() > 100, "the codes are not found any more: {}", places.len());
    for (code, places) in places {
        assert_eq!(places.len(), 1, "{code} is given by {places:?}: one error among them, or two names");
    }
}

#[test]
fn the_codes_of_problems_are_snake_case() {
    let mut seen = 0;
    for source in rust("middleware/src") {
        for (at, start) in source.text.match_indices("Problem::new(") {
            let arguments = &source.text[at + start.len()..];
            let call = arguments.split(");").next().and_then(|call| call.split("\n}").next());
            let Some(code) = call.and_then(|call| call.split('"').nth(1)) else { continue };
            assert!(is_snake_case(code), "{}: {code:?}", source.path);
            seen += 1;
        }
    }
    assert!(seen >= 5, "the problems are not found any more: {seen}");
}

#[test]
fn every_public_error_grows_without_breaking_and_has_a_code() {
    for source in rust("sdk/src") {
        let code = source.code();
        for (at, _) in code.match_indices("thiserror::Error)]") {
            let rest = &code[at..];
            let line = rest.lines().find(|line| line.contains("enum ") || line.contains("struct ")).unwrap();
            let between = &rest[..rest.find(line).unwrap()];
            if line.starts_with("pub enum") {
                assert!(between.contains("#[non_exhaustive]"), "{}: {line} is exhaustive", source.path);
            }
        }
    }
}
