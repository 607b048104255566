//! The command `firsthand explain`, run from outside on files: an answer of the test shop that was captured once.

use std::{
    env, fs,
    path::{Path, PathBuf},
    process::{Command, Output},
};

use firsthand::testing::wallet::Fault;
use firsthand_tests::{program::program, vectors};

use crate::captured::refused;

fn folder() -> PathBuf {
    vectors("").parent().unwrap().join("explain/one")
}

/// The command over the captured files, with more options.
fn explain(more: &[&str]) -> Output {
    let at = fs::read_to_string(folder().join("at.txt")).unwrap();
    let mut command = Command::new(program());
    command.current_dir(folder()).args(["explain", "--request", "request.jwt", "--response", "response.txt"]);
    command.args(["--key", "key.jwk", "--at", at.trim(), "--over", "18"]).args(more).output().unwrap()
}

/// Compares with a file, or writes it where `UPDATE_EXPLANATIONS` is set.
pub fn is_as_before(path: &Path, output: &Output) {
    let text = String::from_utf8(output.stdout.clone()).unwrap();
    assert!(output.stderr.is_empty(), "{}", String::from_utf8_lossy(&output.stderr));
    if env::var_os("UPDATE_EXPLANATIONS").is_some() {
        fs::write(path, &text).unwrap();
    }
    let before = fs::read_to_string(path).unwrap();
    assert!(text == before, "{} has changed (UPDATE_EXPLANATIONS=1 writes it):\n{text}", path.display());
}

#[test]
fn a_captured_answer_is_explained_as_before() {
    let trusted = ["--trust", "roots", "--type", "urn:eudi:pid:1", "--status-list", "status.jwt"];
    let told = explain(&trusted);
    is_as_before(&folder().join("trusted.out"), &told);
    assert_eq!(told.status.code(), Some(1));
    is_as_before(&folder().join("trusted.json.out"), &explain(&[&trusted[..], &["--json"]].concat()));
    is_as_before(&folder().join("claims.out"), &explain(&[&trusted[..], &["--show-claims"]].concat()));
    is_as_before(&folder().join("nobody.out"), &explain(&[]));
}

#[test]
fn what_is_not_understood_is_said() {
    let code = |more: &[&str]| explain(more).status.code();
    assert_eq!(code(&["--what"]), Some(2));
    assert_eq!(code(&["--trust", "roots"]), Some(2), "no types");
    assert_eq!(code(&["--at", "soon"]), Some(2));
    assert_eq!(code(&["--status-list", "not-there"]), Some(1));
    let help = Command::new(program()).args(["explain", "--help"]).output().unwrap();
    assert!(help.status.success() && String::from_utf8(help.stdout).unwrap().contains("--show-claims"));
    let key = Command::new(program())
        .current_dir(folder())
        .args(["explain", "--request", "request.jwt", "--response", "response.txt", "--key", "request.jwt"])
        .output()
        .unwrap();
    assert_eq!(key.status.code(), Some(1));
    assert!(String::from_utf8(key.stderr).unwrap().contains("is no private JWK"));
}

/// Captures the answer anew: signatures and keys differ each time, so this is done by hand.
#[tokio::test]
#[ignore = "writes the files that the other tests read"]
async fn capture() {
    let kept = refused("revoked", &[Fault::WrongNonce, Fault::WrongAudience, Fault::HolderProofInPast]).await.unwrap();
    let write = |name: &str, text: &[u8]| fs::write(folder().join(name), text).unwrap();
    fs::create_dir_all(folder().join("roots")).unwrap();
    write("request.jwt", kept.request.as_bytes());
    write("response.txt", &kept.response);
    write("key.jwk", kept.jwk.to_string().as_bytes());
    write("roots/issuer.pem", kept.roots[0].as_bytes());
    write("roots/issuer.status.pem", kept.roots[1].as_bytes());
    write("status.jwt", kept.status_list.as_bytes());
    write("at.txt", kept.at.to_string().as_bytes());
}
