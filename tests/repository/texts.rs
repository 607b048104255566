//! The texts of the repository: true, about the project, and for those who read it.

use std::fs;

use crate::sources::{files, names, read, root, rust};

#[test]
fn lines_of_the_changelog_say_what_kind_of_change_they_are() {
    let kinds = ["**added:** ", "**changed:** ", "**fixed:** ", "**breaking:** ", "**security:** "];
    let changelog = read("CHANGELOG.md");
    let entries: Vec<&str> = changelog.lines().filter_map(|line| line.strip_prefix("- ")).collect();
    assert!(!entries.is_empty());
    for entry in entries {
        assert!(kinds.iter().any(|kind| entry.starts_with(kind)), "{entry}");
    }
    assert!(changelog.contains("\n## Unreleased\n"));
}

#[test]
fn every_folder_of_vectors_says_where_it_comes_from() {
    let vectors = root().join("tests/vectors");
    let mut topics = 0;
    for entry in fs::read_dir(vectors).unwrap() {
        let topic = entry.unwrap().path();
        let source = fs::read_to_string(topic.join("SOURCE.md")).unwrap_or_default();
        assert!(source.trim().len() > 80, "{} has no SOURCE.md that says anything", topic.display());
        topics += 1;
    }
    assert!(topics >= 15, "{topics} topics");
}

#[test]
fn every_topic_of_vectors_is_run() {
    let tests: String =
        files(&["tests/protocol", "tests/http", "tests/fetch.rs"], &[".rs"]).iter().map(|s| s.text.clone()).collect();
    for entry in fs::read_dir(root().join("tests/vectors")).unwrap() {
        let topic = entry.unwrap().file_name().into_string().unwrap();
        let named = [format!("\"{topic}\""), format!("\"{topic}/"), format!("\"../vectors/{topic}")];
        assert!(named.iter().any(|name| tests.contains(name)), "no test reads tests/vectors/{topic}");
    }
}

#[test]
fn no_text_names_a_place_of_somebodys_machine() {
    // Put together here, so that this file does not name them.
    let places = ["home", "root", "work", "Users", "farm"].map(|folder| format!("/{folder}/"));
    let endings = [".rs", ".md", ".toml", ".js", ".css", ".sql", ".json", "run", ".svg", ".lock", ".pem"];
    for source in files(&["sdk", "middleware", "examples", "openapi", "tests", ".ci"], &endings) {
        // Data of others is theirs; how it came here is ours.
        if source.path.starts_with("tests/vectors/") && !source.path.ends_with("SOURCE.md") {
            continue;
        }
        for (number, line) in source.text.lines().enumerate() {
            for place in &places {
                // At the beginning of a path: below a host it is somebody's address, at the root a place.
                let found = line
                    .match_indices(place.as_str())
                    .any(|(at, _)| line[..at].chars().next_back().is_none_or(|c| " \"'`(=:<[".contains(c)));
                assert!(!found, "{}:{}: {line}", source.path, number + 1);
            }
        }
    }
}

#[test]
fn what_is_open_stands_in_the_tracker_and_not_in_the_text() {
    for source in
        files(&["sdk", "middleware", "examples", "tests/run"], &[".rs", ".js", ".css", ".toml", ".sql", "run"])
    {
        for (number, line) in source.text.lines().enumerate() {
            for word in ["TODO", "FIXME", "XXX", "HACK"] {
                assert!(!names(line, word), "{}:{}: {line}", source.path, number + 1);
            }
        }
    }
}

#[test]
fn every_file_begins_with_what_it_is() {
    for folder in ["sdk/src", "middleware/src", "tests/repository"] {
        for source in files(&[folder], &[".rs"]) {
            let first = source.text.lines().next().unwrap_or_default();
            assert!(first.starts_with("//! ") && first.len() > 20, "{} begins with {first:?}", source.path);
        }
    }
}

/// The page that everybody reads first names each feature of the library.
#[test]
fn the_crate_root_names_every_feature() {
    let manifest = read("sdk/Cargo.toml");
    let features = manifest.split("[features]").nth(1).unwrap().split("\n[").next().unwrap();
    let root = read("sdk/src/lib.rs");
    let page = root.split("//! # Features").nth(1).unwrap();
    let mut count = 0;
    for name in features.lines().filter_map(|line| line.split_once(" = [")).map(|(name, _)| name) {
        assert!(name == "default" || page.contains(&format!("`{name}`")), "the page does not name {name}");
        count += 1;
    }
    assert!(count > 8, "{count}");
}

#[test]
fn the_crate_roots_list_their_modules_one_a_line() {
    for path in ["sdk/src/lib.rs", "middleware/src/lib.rs"] {
        for line in read(path).lines().filter(|line| names(line, "mod") && line.ends_with(';')) {
            assert_eq!(line.matches("mod ").count(), 1, "{path}: {line}");
        }
    }
}

#[test]
fn unsafe_code_is_forbidden_and_the_lints_are_everybodys() {
    assert!(read("Cargo.toml").contains("unsafe_code = \"forbid\""));
    let examples = ["existing-shop", "kiosk", "quickstart", "storefront"].map(|name| format!("examples/{name}"));
    for folder in ["sdk", "middleware"].map(str::to_owned).iter().chain(&examples) {
        assert!(read(&format!("{folder}/Cargo.toml")).contains("[lints]\nworkspace = true"), "{folder}");
    }
    for source in rust("sdk/src").iter().chain(&rust("middleware/src")) {
        assert!(source.naming(&["unsafe"]).is_empty(), "{}", source.path);
    }
}
