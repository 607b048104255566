//! What the crates depend on, and what a merchant gets with them.

use std::{collections::BTreeSet, process::Command};

use crate::sources::{names, read, root, rust};

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

/// The crates and versions that cargo compiles into something on this machine, by the lock file and without a network.
fn tree(arguments: &[&str]) -> BTreeSet<String> {
    let mut cargo = Command::new(env!("CARGO"));
    cargo.args(["tree", "--offline", "--locked", "--prefix", "none", "-e", "normal,build"]).args(arguments);
    let output = cargo.current_dir(root()).output().unwrap();
    assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    let lines = String::from_utf8(output.stdout).unwrap();
    lines.lines().map(|line| line.split(' ').take(2).collect::<Vec<_>>().join(" ")).collect()
}

/// Which of these crates stand in a tree.
fn standing<'a>(tree: &BTreeSet<String>, crates: &[&'a str]) -> Vec<&'a str> {
    let stands = |name: &&str| tree.iter().any(|one| one.split(' ').next() == Some(*name));
    crates.iter().copied().filter(stands).collect()
}

#[test]
fn the_storefront_stands_on_all_that_firsthand_is_made_of() {
    let named = ["axum", "tower", "josekit", "ssi", "serde", "moka", "utoipa"];
    assert_eq!(standing(&tree(&["-p", "storefront"]), &named), named);
}

#[test]
fn w3c_credentials_come_with_their_feature_alone() {
    for package in ["firsthand", "firsthand-axum"] {
        assert_eq!(standing(&tree(&["-p", package]), &["ssi"]), [""; 0], "{package}");
        assert_eq!(standing(&tree(&["-p", package, "--features", "w3c"]), &["ssi"]), ["ssi"], "{package}");
    }
    for package in ["storefront", "firsthand-tests"] {
        assert_eq!(standing(&tree(&["-p", package, "--no-default-features"]), &["ssi"]), [""; 0], "{package}");
    }
}

#[test]
#[cfg(all(target_os = "linux", target_arch = "x86_64"))]
fn the_readme_counts_the_crates_of_each_feature() {
    let readme = read("README.md");
    let rows = readme.lines().filter_map(|line| {
        let cells: Vec<&str> = line.strip_prefix('|')?.strip_suffix('|')?.split('|').map(str::trim).collect();
        let [feature, _, _, crates] = cells.as_slice() else { return None };
        Some((feature.trim_matches(['`', '*']).to_owned(), crates.parse::<usize>().ok()?))
    });
    let rows: Vec<(String, usize)> = rows.collect();
    assert!(rows.len() >= 12, "{rows:?}");
    for (feature, said) in rows {
        let feature = if feature == "none" { "" } else { &feature };
        let crates = tree(&["-p", "firsthand-axum", "--no-default-features", "--features", feature]).len();
        assert_eq!(crates, said, "the README counts the crates of {feature:?}");
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
