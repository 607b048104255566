//! What only the library makes: a value of these types is the proof that every check was made.

use crate::sources::{Source, files, names, read, rust};

/// The type, where it is, and the public functions outside of the testing kit that give one.
const SEALED: [(&str, &str, &[&str]); 4] = [
    ("Verified", "sdk/src/presentation.rs", &["claims"]),
    ("Recognised", "sdk/src/merchant/recognise.rs", &["recognise"]),
    ("BrowserProof", "sdk/src/merchant/proof.rs", &["check_proof"]),
    ("Known", "middleware/src/extract.rs", &[]),
];

#[test]
fn what_proves_something_has_no_public_constructor() {
    let sources: Vec<Source> = rust("sdk/src").into_iter().chain(rust("middleware/src")).collect();
    for (name, path, makers) in SEALED {
        let source = sources.iter().find(|source| source.path == path).unwrap_or_else(|| panic!("no {path}"));
        let code = source.code();
        let (head, body) = definition(&code, name);
        for derived in ["Deserialize", "Default"] {
            assert!(!names(head, derived), "{name} derives {derived}");
        }
        let open = |field: &str| names(field, "pub") && !field.contains("pub(");
        assert!(!body.split([',', '\n']).any(open), "{name} has a public field");
        for other in sources.iter().filter(|other| !other.path.contains("/testing")) {
            let code = other.code();
            for made in ["Default", "FromStr", "Deserialize<'de>", "DeserializeOwned"] {
                assert!(!code.contains(&format!("{made} for {name}")), "{}: {made} for {name}", other.path);
            }
            assert!(!code.lines().any(|line| line.contains("From<") && names(line, &format!("for {name}"))), "{name}");
            for (function, result) in public_functions(&code) {
                let gives = names(&result, name) || (other.path == path && result.contains("Self"));
                let known = makers.contains(&function.as_str());
                let borrowed = result.contains(&format!("&{name}"));
                assert!(!gives || known || borrowed || other_type(&code, &function, name), "{function} makes a {name}");
            }
        }
    }
}

/// Whether the `Self` that a function gives belongs to another type of the same file.
fn other_type(code: &str, function: &str, name: &str) -> bool {
    let at = code.find(&format!("fn {function}")).unwrap();
    let block = code[..at].rfind("\nimpl").map_or("", |from| code[from + 1..at].lines().next().unwrap());
    !names(block, name)
}

/// What stands above a type (its derives), and what stands in it.
fn definition<'a>(code: &'a str, name: &str) -> (&'a str, &'a str) {
    let at = code
        .match_indices(&format!("struct {name}"))
        .map(|(at, _)| at)
        .find(|at| code[at + 7 + name.len()..].starts_with([' ', '(', '{', '<']))
        .unwrap_or_else(|| panic!("no struct {name}"));
    let head = code[..at].rfind("\n\n").map_or(0, |from| from);
    let rest = &code[at..];
    let end = rest.find(";\n").into_iter().chain(rest.find("\n}")).min().unwrap();
    let body = rest[..end].split_once(['(', '{']).unwrap().1;
    (&code[head..at], body)
}

/// The public functions of a file and what each gives.
fn public_functions(code: &str) -> Vec<(String, String)> {
    let mut found = Vec::new();
    for start in ["pub fn ", "pub const fn ", "pub async fn "] {
        for (at, _) in code.match_indices(start) {
            let rest = &code[at + start.len()..];
            let signature = &rest[..rest.find(['{', ';']).unwrap_or(rest.len())];
            let name = signature.split(['(', '<']).next().unwrap().to_owned();
            let result = signature.rsplit_once("->").map_or(String::new(), |(_, result)| result.trim().to_owned());
            found.push((name, result));
        }
    }
    found
}

#[test]
fn only_formats_assert_that_a_credential_is_authentic() {
    for source in files(&["sdk/src", "middleware/src", "examples", "tests"], &[".rs"]) {
        let here = source.path.starts_with("sdk/src/format");
        assert!(here || source.naming(&["Authentic::assertion"]).is_empty(), "{} asserts", source.path);
    }
    // And nobody goes around the word.
    for source in rust("sdk/src").iter().filter(|source| source.path != "sdk/src/format.rs") {
        assert!(source.naming(&["Authentic {"]).is_empty(), "{} makes an Authentic", source.path);
    }
}

#[test]
fn secrets_are_compared_as_hashes() {
    // A token cannot be compared at all; a code is stored and compared as its digest.
    let session = read("sdk/src/session.rs");
    let (head, _) = definition(&session, "AccessToken");
    assert!(!names(head, "PartialEq"), "AccessToken can be compared");
    let presentation = read("sdk/src/presentation.rs");
    assert!(presentation.contains("code.map(ResponseCode::digest)"));
    for source in rust("sdk/src").iter().filter(|source| !source.path.contains("/testing")) {
        for line in source.code().lines() {
            let compares = line.contains("==") || line.contains("!=");
            for secret in ["reveal()", "response_code", "access_token", "mac"] {
                assert!(!(compares && names(line, secret)), "{}: {line}", source.path);
            }
        }
    }
}

#[test]
fn secrets_and_claims_have_no_derived_debug() {
    for (name, path) in [
        ("Verified", "sdk/src/presentation.rs"),
        ("Claims", "sdk/src/presentation.rs"),
        ("PresentationId", "sdk/src/presentation.rs"),
        ("ResponseCode", "sdk/src/presentation.rs"),
        ("AccessToken", "sdk/src/session.rs"),
        ("Authentic", "sdk/src/format.rs"),
        ("Keys", "sdk/src/keys.rs"),
    ] {
        let source = &files(&[path], &[".rs"])[0];
        let code = source.code();
        let (head, _) = definition(&code, name);
        assert!(!names(head, "Debug"), "{name} derives Debug");
    }
}
