//! What may be compiled into a merchant's program: the rules of `deny.toml`, held over the lock file and what cargo compiles
//! on this machine, without a network and without cargo-deny, which would be built for longer than all of these tests run.

use std::{
    collections::{BTreeMap, BTreeSet},
    process::Command,
};

use crate::sources::{read, root};

const CRATES_IO: &str = "registry+https://github.com/rust-lang/crates.io-index";

/// `deny.toml`, as far as these tests hold it. Each entry of a list stands on a line of its own.
struct Rules(String);

impl Rules {
    fn new() -> Self {
        Self(read("deny.toml"))
    }

    /// The entries of a list below a heading.
    fn list(&self, heading: &str, name: &str) -> Vec<&str> {
        let section = self.0.split_once(&format!("\n[{heading}]\n")).unwrap_or_else(|| panic!("no [{heading}]")).1;
        let section = section.split("\n[").next().unwrap();
        let begin = format!("\n{name} = [\n");
        let list = section.split_once(&begin).unwrap_or_else(|| panic!("no {name} in [{heading}]")).1;
        let entries = list.split("\n]").next().unwrap().lines().map(str::trim);
        entries.filter(|line| !line.starts_with('#')).collect()
    }

    /// The licences that may stand in any crate.
    fn licences(&self) -> BTreeSet<&str> {
        self.list("licenses", "allow").into_iter().map(|entry| entry.trim_matches(['"', ','])).collect()
    }

    /// The licences that may stand in one crate.
    fn exceptions(&self) -> BTreeMap<&str, &str> {
        let exception = |entry| (quoted(entry, "crate").unwrap(), quoted(entry, "allow").unwrap());
        self.list("licenses", "exceptions").into_iter().map(exception).collect()
    }

    /// The licence of a crate whose manifest names none.
    fn clarified(&self, name: &str) -> Option<&str> {
        let (_, rest) = self.0.split_once(&format!("\n[[licenses.clarify]]\ncrate = \"{name}\"\n"))?;
        quoted(rest.lines().next()?, "expression")
    }
}

/// What stands in quotes behind a name, also as the first of a list.
fn quoted<'a>(entry: &'a str, name: &str) -> Option<&'a str> {
    let (_, rest) = entry.split_once(&format!("{name} = "))?;
    rest.trim_start_matches('[').strip_prefix('"')?.split('"').next()
}

/// Everything in quotes behind a name up to the end of its list.
fn all_quoted<'a>(entry: &'a str, name: &str) -> Vec<&'a str> {
    let Some((_, rest)) = entry.split_once(&format!("{name} = [")) else { return Vec::new() };
    rest.split(']').next().unwrap().split('"').skip(1).step_by(2).collect()
}

/// What cargo says of the crates that it compiles here: a line for each, as `format` wants it.
fn tree(arguments: &[&str], format: &str) -> BTreeSet<String> {
    let mut cargo = Command::new(env!("CARGO"));
    cargo.args(["tree", "--offline", "--locked", "--all-features", "--prefix", "none", "-f", format]).args(arguments);
    let output = cargo.current_dir(root()).output().unwrap();
    assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    let lines = String::from_utf8(output.stdout).unwrap();
    lines.lines().map(|line| line.trim_end_matches(" (*)").to_owned()).filter(|line| !line.is_empty()).collect()
}

/// Name and version in `name v1.2.3 (proc-macro)`.
fn crate_of(package: &str) -> (&str, &str) {
    let mut parts = package.split(' ');
    (parts.next().unwrap(), parts.next().unwrap().trim_start_matches('v'))
}

/// Whether one of the licences that are allowed is enough: `OR` may choose, `AND` has to take all.
fn is_allowed(expression: &str, allowed: &dyn Fn(&str) -> bool) -> bool {
    let spaced = expression.replace('(', " ( ").replace(')', " ) ").replace('/', " OR ").replace(" WITH ", "~");
    let words: Vec<String> = spaced.split_whitespace().map(|word| word.replace('~', " WITH ")).collect();
    let mut at = 0;
    let holds = either(&words, &mut at, allowed);
    assert_eq!(at, words.len(), "not an expression of licences: {expression}");
    holds
}

fn either(words: &[String], at: &mut usize, allowed: &dyn Fn(&str) -> bool) -> bool {
    let mut holds = both(words, at, allowed);
    while words.get(*at).is_some_and(|word| word == "OR") {
        *at += 1;
        holds |= both(words, at, allowed);
    }
    holds
}

fn both(words: &[String], at: &mut usize, allowed: &dyn Fn(&str) -> bool) -> bool {
    let mut holds = one(words, at, allowed);
    while words.get(*at).is_some_and(|word| word == "AND") {
        *at += 1;
        holds &= one(words, at, allowed);
    }
    holds
}

fn one(words: &[String], at: &mut usize, allowed: &dyn Fn(&str) -> bool) -> bool {
    let word = words.get(*at).expect("a licence");
    *at += 1;
    if word != "(" {
        // `MPL-2.0+`, as it was once written for "or a later one".
        return allowed(word.trim_end_matches('+'));
    }
    let holds = either(words, at, allowed);
    assert_eq!(words.get(*at).map(String::as_str), Some(")"));
    *at += 1;
    holds
}

#[test]
fn an_expression_of_licences_is_read_as_it_is_meant() {
    let allowed = |licence: &str| ["MIT", "ISC", "Apache-2.0 WITH LLVM-exception"].contains(&licence);
    let cases = [
        ("MIT", true),
        ("GPL-3.0-only", false),
        ("GPL-3.0-only OR MIT", true),
        ("GPL-3.0-only/MIT", true),
        ("MIT AND GPL-3.0-only", false),
        ("MIT OR GPL-3.0-only AND GPL-2.0-only", true),
        ("(MIT OR GPL-3.0-only) AND GPL-2.0-only", false),
        ("(MIT OR GPL-3.0-only) AND ISC", true),
        ("Apache-2.0 WITH LLVM-exception", true),
        ("Apache-2.0", false),
    ];
    for (expression, expected) in cases {
        assert_eq!(is_allowed(expression, &allowed), expected, "{expression}");
    }
}

#[test]
fn every_crate_has_a_licence_that_a_merchant_may_ship() {
    let rules = Rules::new();
    let (allowed, exceptions) = (rules.licences(), rules.exceptions());
    let mut left: BTreeSet<&str> = exceptions.keys().copied().collect();
    let crates = tree(&["--workspace", "-e", "normal,build,dev"], "{p}|{l}");
    assert!(crates.len() > 500, "{}", crates.len());
    for line in &crates {
        let (package, licence) = line.split_once('|').unwrap();
        let (name, _) = crate_of(package);
        let licence = if licence.is_empty() { rules.clarified(name).unwrap_or_default() } else { licence };
        assert!(!licence.is_empty(), "{package} names no licence, and deny.toml has nothing to clarify it");
        let may = |licence: &str| allowed.contains(licence) || exceptions.get(name) == Some(&licence);
        assert!(is_allowed(licence, &may), "{package} has the licence {licence}, which deny.toml does not allow");
        left.remove(name);
    }
    assert_eq!(left, BTreeSet::new(), "excepted in deny.toml and not compiled any more");
}

/// The name, source and checksum of every crate of a lock file, for all platforms.
fn locked(lock: &str) -> impl Iterator<Item = (&str, Option<&str>, Option<&str>)> {
    lock.split("[[package]]")
        .skip(1)
        .map(|package| (quoted(package, "\nname").unwrap(), quoted(package, "\nsource"), quoted(package, "\nchecksum")))
}

#[test]
fn every_crate_comes_from_crates_io_with_its_checksum_or_is_our_own() {
    let lock = read("Cargo.lock");
    let ours = ["existing-shop", "firsthand", "firsthand-axum", "firsthand-tests", "kiosk", "quickstart", "storefront"];
    let crates: Vec<_> = locked(&lock).collect();
    assert!(crates.len() > 600, "{}", crates.len());
    for (name, source, checksum) in crates {
        match source {
            None => assert!(ours.contains(&name), "{name} has no source and is not ours"),
            Some(source) => {
                assert_eq!(source, CRATES_IO, "{name}");
                assert_eq!(checksum.map(str::len), Some(64), "{name} has no checksum");
            }
        }
    }
}

#[test]
fn what_is_banned_is_compiled_for_nobody_but_its_wrappers() {
    let rules = Rules::new();
    let present: BTreeSet<String> = tree(&["--workspace", "-e", "normal,build,dev"], "{p}")
        .iter()
        .map(|package| crate_of(package).0.to_owned())
        .collect();
    let bans = rules.list("bans", "deny");
    assert!(bans.len() >= 7, "{bans:?}");
    for ban in bans {
        let name = quoted(ban, "crate").unwrap();
        let wrappers = all_quoted(ban, "wrappers");
        if !present.contains(name) {
            assert!(wrappers.is_empty(), "{name} is not compiled any more: its wrappers can go");
            continue;
        }
        let users = tree(&["--workspace", "-e", "normal,build,dev", "-i", name, "--depth", "1"], "{p}");
        let users: BTreeSet<&str> =
            users.iter().map(|package| crate_of(package).0).filter(|user| *user != name).collect();
        let allowed = wrappers.into_iter().collect();
        assert!(users.is_subset(&allowed), "{name} is for {allowed:?} alone and is used by {users:?}");
    }
}

#[test]
fn no_crate_is_there_twice_unless_somebody_looked_at_it() {
    let rules = Rules::new();
    let branches = rules.list("bans", "skip-tree");
    let mut arguments = vec!["--workspace", "-e", "normal,build"];
    for branch in &branches {
        arguments.extend(["--prune", quoted(branch, "crate").unwrap()]);
    }
    let skipped: BTreeSet<&str> =
        rules.list("bans", "skip").into_iter().map(|entry| quoted(entry, "crate").unwrap()).collect();
    let mut versions: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for package in tree(&arguments, "{p}") {
        let (name, version) = crate_of(&package);
        versions.entry(name.to_owned()).or_default().insert(version.to_owned());
    }
    let mut left = skipped.clone();
    for (name, versions) in versions {
        let stands = |version: &&String| {
            let one = format!("{name}@{version}");
            left.remove(one.as_str());
            !skipped.contains(one.as_str())
        };
        let unseen: Vec<&String> = versions.iter().filter(stands).collect();
        assert!(unseen.len() <= 1, "{name} is there as {versions:?}: bring them together, or say in deny.toml why not");
    }
    assert_eq!(left, BTreeSet::new(), "skipped in deny.toml and not there any more");
}

#[test]
fn every_exception_says_why() {
    let rules = Rules::new();
    let lists = [("advisories", "ignore"), ("bans", "deny"), ("bans", "skip"), ("bans", "skip-tree")];
    for (heading, name) in lists {
        for entry in rules.list(heading, name) {
            let reason = quoted(entry, "reason").unwrap_or_default();
            assert!(reason.len() > 5, "no reason in [{heading}]: {entry}");
        }
    }
}
