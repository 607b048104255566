//! What the tests share: the vectors, and a tally that a test prints so that a silent skip shows.

#[path = "support/pooler.rs"]
pub mod pooler;
#[path = "support/postgres.rs"]
pub mod postgres;
#[path = "support/program.rs"]
pub mod program;
#[path = "support/seeds.rs"]
pub mod seeds;

use std::{collections::BTreeMap, fs, path::PathBuf};

use serde_json::Value;

/// The file or folder `path` below `tests/vectors`.
pub fn vectors(path: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("vectors").join(path)
}

/// A JSON file below `tests/vectors`.
pub fn vector(path: &str) -> Value {
    let file = vectors(path);
    let text = fs::read(&file).unwrap_or_else(|e| panic!("{}: {e}", file.display()));
    serde_json::from_slice(&text).unwrap_or_else(|e| panic!("{}: {e}", file.display()))
}

/// The JSON files of a folder below `tests/vectors`, by name, in order.
pub fn vector_files(folder: &str) -> Vec<(String, Value)> {
    let mut names: Vec<String> = fs::read_dir(vectors(folder))
        .unwrap_or_else(|e| panic!("{folder}: {e}"))
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .filter(|name| name.ends_with(".json"))
        .collect();
    names.sort();
    names.into_iter().map(|name| (name.clone(), vector(&format!("{folder}/{name}")))).collect()
}

/// Counts the cases of a topic by what was expected of them, and fails at the end with every case that disagreed.
#[derive(Debug)]
pub struct Tally {
    topic: &'static str,
    agreed: BTreeMap<String, usize>,
    left_out: BTreeMap<&'static str, usize>,
    disagreed: Vec<String>,
}

impl Tally {
    /// An empty tally of `topic`.
    pub fn new(topic: &'static str) -> Self {
        Self { topic, agreed: BTreeMap::new(), left_out: BTreeMap::new(), disagreed: Vec::new() }
    }

    /// A case whose vector says `expect` ("accept", "reject", or "either": must only not panic).
    pub fn case<T, E: std::fmt::Debug>(&mut self, name: &str, expect: &str, got: Result<T, E>) {
        let agrees = match expect {
            "accept" | "valid" => got.is_ok(),
            "reject" | "refuse" | "invalid" => got.is_err(),
            "either" | "acceptable" => true,
            other => panic!("{}: {name} expects {other:?}, which this tally does not know", self.topic),
        };
        if agrees {
            *self.agreed.entry(expect.to_owned()).or_default() += 1;
        } else {
            let got = got.err().map_or_else(|| "accepted".to_owned(), |e| format!("{e:?}"));
            self.disagreed.push(format!("{name}: expected {expect}, got {got}"));
        }
    }

    /// A case that holds or does not.
    pub fn holds(&mut self, name: &str, holds: bool, otherwise: impl FnOnce() -> String) {
        if holds {
            *self.agreed.entry("equal".to_owned()).or_default() += 1;
        } else {
            self.disagreed.push(format!("{name}: {}", otherwise()));
        }
    }

    /// A case about a whole algorithm or feature that is not supported: never one that must be refused.
    pub fn left_out(&mut self, reason: &'static str) {
        *self.left_out.entry(reason).or_default() += 1;
    }

    /// Prints the counts; fails if a case disagreed, or if not exactly `total` cases were seen.
    pub fn finish(self, total: usize) {
        let agreed: usize = self.agreed.values().sum();
        let left_out: usize = self.left_out.values().sum();
        println!("{}: {:?}, left out {:?}, disagreed {}", self.topic, self.agreed, self.left_out, self.disagreed.len());
        assert!(self.disagreed.is_empty(), "{}:\n{}", self.topic, self.disagreed.join("\n"));
        assert_eq!(agreed + left_out, total, "{}: cases seen against cases expected", self.topic);
    }
}
