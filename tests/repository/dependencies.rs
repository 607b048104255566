//! What the crates depend on, and what a merchant gets with them.

use crate::sources::{names, read, rust};

/// The names below a heading of a manifest, up to the next heading.
fn below(manifest: &str, heading: &str) -> Vec<String> {
    let mut lines = manifest.lines().skip_while(|line| *line != heading).skip(1);
    let table = lines.by_ref().take_while(|line| !line.starts_with('['));
    let name = |line: &str| Some(line.split(['.', ' ', '=']).next()?.to_owned());
    table.filter(|line| line.starts_with(|c: char| c.is_ascii_alphanumeric())).filter_map(name).collect()
}

#[test]
fn every_dependency_of_the_crates_is_used() {
    for folder in ["sdk", "middleware"] {
        let manifest = read(&format!("{folder}/Cargo.toml"));
        let sources = rust(&format!("{folder}/src"));
        let dependencies = below(&manifest, "[dependencies]");
        assert!(dependencies.len() > 10, "{folder}: {dependencies:?}");
        for dependency in dependencies {
            let name = dependency.replace('-', "_");
            let used = sources.iter().any(|source| names(&source.code(), &name));
            assert!(used, "{folder} depends on {dependency} and does not use it");
        }
    }
}

#[test]
fn the_middleware_forwards_every_feature_of_the_library() {
    let library = below(&read("sdk/Cargo.toml"), "[features]");
    let manifest = read("middleware/Cargo.toml");
    let middleware = below(&manifest, "[features]");
    for feature in &library {
        assert!(middleware.contains(feature), "firsthand-axum has no feature {feature}");
        let forwarded = feature == "default" || manifest.contains(&format!("\"firsthand/{feature}\""));
        assert!(forwarded, "firsthand-axum does not forward {feature}");
    }
    let readme = read("README.md");
    for feature in middleware.iter().filter(|feature| *feature != "default") {
        assert!(readme.contains(&format!("| `{feature}` |")), "the README's table has no {feature}");
    }
}

#[test]
fn a_merchant_who_asks_for_nothing_gets_no_database_and_no_test_kit() {
    for folder in ["sdk", "middleware"] {
        let manifest = read(&format!("{folder}/Cargo.toml"));
        assert!(manifest.contains("\ndefault = [\"https\", \"mdoc\"]\n"), "{folder}");
    }
}

#[test]
fn the_published_minimum_of_rust_is_the_workspaces() {
    let workspace = read("Cargo.toml");
    let version = workspace.lines().find_map(|line| line.strip_prefix("rust-version = ")).unwrap().trim_matches('"');
    assert!(read("README.md").contains(&format!("{version} or newer")), "the README names another Rust than {version}");
}
