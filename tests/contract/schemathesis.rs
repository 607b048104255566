//! Every mounted operation against its own document, by schemathesis: no 5xx, and no answer that the document does not have.

use std::{
    env, fs,
    path::{Path, PathBuf},
    pin::pin,
};

use crate::envoy::Envoy;

const CHECKS: &str = "not_a_server_error,status_code_conformance,content_type_conformance,\
                      response_headers_conformance,response_schema_conformance";

/// Operations that have to go well at least once while the tool is at it, so that a lent proof that lends nothing shows.
const CUSTOMERS_AT_LEAST: usize = 99;
const MERCHANTS_AT_LEAST: usize = 39;

/// Where `tests/run` puts it.
fn program() -> Option<PathBuf> {
    let target = env::var_os("CARGO_TARGET_DIR").map_or_else(|| root().join("target"), PathBuf::from);
    let program = target.join("schemathesis/bin/st");
    if program.is_file() {
        return Some(program);
    }
    println!("left out, for schemathesis is not installed (`tests/run` does that): {}", program.display());
    assert_ne!(env::var("CI").as_deref(), Ok("true"), "schemathesis must be installed here");
    None
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_owned()
}

#[tokio::test]
async fn what_customers_and_wallets_are_answered_stands_in_the_document() {
    holds(0, CUSTOMERS_AT_LEAST).await;
}

#[tokio::test]
async fn what_the_merchants_programs_are_answered_stands_in_the_document() {
    holds(1, MERCHANTS_AT_LEAST).await;
}

async fn holds(which: usize, at_least: usize) {
    let Some(program) = program() else { return };
    let envoy = Envoy::new().await;
    let document = &envoy.place.documents[which];
    let (address, mut called) = envoy.listen().await;
    let folder = env::temp_dir().join(format!("firsthand-schemathesis-{}-{which}", std::process::id()));
    fs::create_dir_all(&folder).unwrap();
    // More of it, and another seed, as the environment says.
    let said = |name: &str, otherwise: &str| env::var(name).unwrap_or_else(|_| otherwise.to_owned());
    let (examples, seed) = (said("FIRSTHAND_CONTRACT_EXAMPLES", "0"), said("FIRSTHAND_CONTRACT_SEED", ""));
    let mut command = tokio::process::Command::new(program);
    command.arg("run").arg(root().join(format!("openapi/{}.json", document.name)));
    command.args(["--url", &format!("{address}{}", document.base), "--checks", CHECKS]);
    command.args(["--workers", "1", "--continue-on-failure", "--no-color", "--warnings", "off", "--no-shrink"]);
    command.args(["--suppress-health-check", "all"]);
    match seed.as_str() {
        "" => command.arg("--generation-deterministic"),
        seed => command.args(["--seed", seed, "--generation-database", "none"]),
    };
    match examples.as_str() {
        "0" => command.args(["--phases", "examples,coverage"]),
        many => command.args(["--phases", "examples,coverage,fuzzing", "--max-examples", many]),
    };
    let mut run = pin!(command.current_dir(&folder).kill_on_drop(true).output());
    let out = loop {
        tokio::select! {
            out = &mut run => break out.unwrap(),
            Some((request, answer)) = called.recv() => {
                // Whoever asked may have gone meanwhile.
                let _ = answer.send(envoy.answer(request).await);
            }
        }
    };
    fs::remove_dir_all(&folder).unwrap();
    let said = String::from_utf8_lossy(&out.stdout);

    let (told, learned) = (envoy.told(), envoy.learned());
    let names: Vec<&String> = document.operations().iter().map(|operation| &operation.id).collect();
    let well = |name: &&&String| told.get(**name).is_some_and(|(_, said)| said.iter().any(|s| (200..400).contains(s)));
    let never: Vec<String> =
        names.iter().filter(|name| !well(name)).map(|name| format!("{name} {:?}", told.get(*name))).collect();
    let calls: usize = names.iter().filter_map(|name| told.get(*name)).map(|(count, _)| count).sum();
    let count = names.len() - never.len();
    println!(
        "{}: {calls} requests, {count} of {} operations went well; {} of them in a walk; never: {never:#?}",
        document.name,
        names.len(),
        names.iter().filter(|name| learned.contains(**name)).count(),
    );
    assert!(out.status.success(), "{said}\n{}", String::from_utf8_lossy(&out.stderr));
    assert!(count >= at_least, "only {count} operations went well");
}
