//! `tests/ATTACKS.md`: every row of the catalogue of attacks has a test, or a reason why there is nothing to attack yet.

use std::{
    collections::{BTreeMap, BTreeSet},
    env, fs,
};

use crate::sources::{files, read, root};

const TABLE: &str = "tests/ATTACKS.md";

/// How many attacks the catalogue has.
const ROWS: u32 = 142;

/// Why a row may be without a test.
const REASONS: [&str; 7] = [
    "mdoc: not supported yet",
    "the Digital Credentials API: not supported yet",
    "DIDComm: not supported yet",
    "DID documents: not read yet",
    "type metadata: never fetched",
    "CBOR and COSE of credentials: not read yet",
    "an audit trail: not kept yet",
];

/// A row: its number, the tests that it names, and the reason that stands in their place.
struct Row {
    number: u32,
    tests: Vec<String>,
    reason: String,
}

fn rows() -> Vec<Row> {
    let table = read(TABLE);
    let cells = |line: &str| line.trim_matches('|').split('|').map(|cell| cell.trim().to_owned()).collect::<Vec<_>>();
    let row = |line: &str| {
        let cells = cells(line);
        let [number, attack, checked] = cells.as_slice() else { panic!("not three cells: {line}") };
        assert!(!attack.is_empty(), "{line}");
        let named = checked.contains('`');
        let tests = if named { checked.split('`').skip(1).step_by(2).map(str::to_owned).collect() } else { Vec::new() };
        let reason = if named { String::new() } else { checked.clone() };
        Row { number: number.parse().unwrap_or_else(|_| panic!("{line}")), tests, reason }
    };
    table
        .lines()
        .filter(|line| line.starts_with("| ") && line[2..].starts_with(|c: char| c.is_ascii_digit()))
        .map(row)
        .collect()
}

/// The name of every test of the repository, with the file that has it.
fn tests() -> BTreeMap<String, String> {
    let mut found = BTreeMap::new();
    for source in files(&["sdk/src", "middleware/src", "examples", "tests"], &[".rs"]) {
        let mut marked = false;
        for line in source.text.lines().map(str::trim) {
            if line.starts_with("#[test]") || line.starts_with("#[tokio::test") {
                marked = true;
            } else if let Some((_, rest)) = line.split_once("fn ").filter(|_| marked) {
                let name = rest.split(['(', '<']).next().unwrap();
                found.insert(name.to_owned(), source.path.clone());
                marked = false;
            } else if !line.starts_with("#[") && !line.starts_with("//") && !line.ends_with(")]") {
                marked &= !line.contains('{');
            }
        }
    }
    found
}

#[test]
fn every_row_is_there_once_and_in_order() {
    let numbers: Vec<u32> = rows().iter().map(|row| row.number).collect();
    assert_eq!(numbers, (1..=ROWS).collect::<Vec<_>>());
}

#[test]
fn every_row_names_a_test_that_exists_or_a_reason() {
    let tests = tests();
    let (mut tested, mut excused) = (0, 0);
    for row in rows() {
        for test in &row.tests {
            assert!(tests.contains_key(test), "row {}: there is no test {test}", row.number);
        }
        if row.tests.is_empty() {
            assert!(REASONS.contains(&row.reason.as_str()), "row {}: {:?} is no reason", row.number, row.reason);
            excused += 1;
        } else {
            tested += 1;
        }
    }
    println!("{tested} rows with tests, {excused} with nothing to attack yet");
}

#[test]
fn every_test_that_is_named_after_a_row_stands_in_it() {
    if env::var_os("FIRSTHAND_WRITE_ATTACKS").is_some() {
        add_what_is_missing();
    }
    let rows = rows();
    let named: BTreeSet<(u32, &str)> =
        rows.iter().flat_map(|row| row.tests.iter().map(|test| (row.number, test.as_str()))).collect();
    for (test, path) in tests() {
        let Some(rest) = test.strip_prefix("row_") else { continue };
        let number: u32 = rest.split('_').next().unwrap().parse().unwrap_or_else(|_| panic!("{path}: {test}"));
        assert!(named.contains(&(number, test.as_str())), "{test} of {path} is not in row {number} of {TABLE}");
    }
}

/// Writes into the table what is named after a row and does not stand in it.
fn add_what_is_missing() {
    let tests = tests();
    let mut table = String::new();
    for line in read(TABLE).lines() {
        let number = line.trim_start_matches("| ").split(' ').next().and_then(|text| text.parse::<u32>().ok());
        let missing = number.into_iter().flat_map(|number| {
            let [one, two] = [format!("row_{number}_"), format!("row_{number:02}_")];
            tests.keys().filter(move |test| test.starts_with(&one) || test.starts_with(&two))
        });
        let mut line = line.to_owned();
        for test in missing {
            let named = format!("`{test}`");
            if !line.contains(&named) {
                let cell = line.trim_end_matches(" |").to_owned();
                let comma = if cell.ends_with('`') { "," } else { "" };
                line = format!("{cell}{comma} {named} |");
            }
        }
        table.push_str(&line);
        table.push('\n');
    }
    fs::write(root().join(TABLE), table).unwrap();
}
