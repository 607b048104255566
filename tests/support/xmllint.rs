//! `xmllint`, which says whether a file is what a published schema demands.

use std::{
    env,
    io::{ErrorKind, Write},
    process::{Command, Stdio},
};

/// Asserts that a schema of `tests/vectors/iso20022` accepts a file. Without `xmllint` nothing is compared, and that is said;
/// where `CI=true` it fails.
#[track_caller]
pub fn accepts(schema: &str, file: &[u8]) {
    let found = judged(schema, file);
    assert!(found.is_none(), "{schema}: {}\n{}", found.unwrap_or_default(), String::from_utf8_lossy(file));
}

/// What a schema has against a file; none if nothing.
fn judged(schema: &str, file: &[u8]) -> Option<String> {
    let schema = format!("{}/vectors/iso20022/{schema}.xsd", env!("CARGO_MANIFEST_DIR"));
    let mut command = Command::new("xmllint");
    command.args(["--nonet", "--noout", "--schema", &schema, "-"]);
    let spawned = command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::piped()).spawn();
    let mut child = match spawned {
        Err(error) if error.kind() == ErrorKind::NotFound => {
            assert_ne!(env::var("CI").as_deref(), Ok("true"), "xmllint must be installed here (libxml2-utils)");
            println!("left out: no xmllint, so no schema is asked");
            return None;
        }
        spawned => spawned.unwrap(),
    };
    child.stdin.take().unwrap().write_all(file).unwrap();
    let output = child.wait_with_output().unwrap();
    (!output.status.success()).then(|| String::from_utf8_lossy(&output.stderr).into_owned())
}
