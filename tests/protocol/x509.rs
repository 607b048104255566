//! Chains of certificates: the topic `x509`.

use base64::{Engine, engine::general_purpose::STANDARD};
use firsthand::{
    limits::Limits,
    protocol::x509::{Certificate, X509Error, verify_path},
    time::UnixTime,
};
use firsthand_tests::{Tally, vector};
use serde_json::Value;

/// A path holds, and its leaf is certified for the host that the case wants.
#[derive(Debug)]
#[expect(dead_code, reason = "the tally prints it")]
enum Refusal {
    Path(X509Error),
    Host(Vec<String>),
}

#[test]
fn chains_are_believed_or_refused_as_the_vectors_say() {
    let mut tally = Tally::new("x509");
    for case in vector("x509/cases_es256.json").as_array().unwrap() {
        tally.case(case["name"].as_str().unwrap(), case["expect"].as_str().unwrap(), run(case));
    }
    tally.finish(27);
}

/// Each refusal is for the fault that the case names, and what the standard leaves open is refused.
#[test]
fn each_refusal_names_its_fault() {
    let cases = vector("x509/cases_es256.json");
    let refused: Vec<(&str, &str)> = cases
        .as_array()
        .unwrap()
        .iter()
        .filter_map(|case| match run(case) {
            Ok(()) => None,
            Err(Refusal::Path(error)) => Some((case["name"].as_str().unwrap(), error.code())),
            Err(Refusal::Host(_)) => Some((case["name"].as_str().unwrap(), "host")),
        })
        .collect();
    let expected = [
        ("root_included", "certificate_anchor_in_chain"),
        ("leaf_only", "certificate_unknown_anchor"),
        ("self_signed", "certificate_self_signed"),
        ("empty", "certificate_chain_empty"),
        ("order", "certificate_chain_order"),
        ("fake_root", "certificate_key_identifier"),
        ("inter_not_ca", "certificate_not_authority"),
        ("inter_no_bc", "certificate_not_authority"),
        ("inter_ku", "certificate_key_usage"),
        ("pathlen", "certificate_path_length"),
        ("expired_leaf", "certificate_expired"),
        ("future_leaf", "certificate_not_yet_valid"),
        ("expired_inter", "certificate_expired"),
        ("san_other", "host"),
        ("san_suffix", "host"),
        ("san_wildcard", "host"),
        ("san_missing_cn", "host"),
        ("crit", "certificate_critical_extension"),
        ("name_constraints_excluded", "certificate_name_constraint"),
        ("name_constraints_outside", "certificate_name_constraint"),
        ("sig_changed", "certificate_signature"),
        ("garbage", "certificate_malformed"),
        ("trailing", "certificate_malformed"),
        ("long", "certificate_chain_too_long"),
        ("weak_curve", "certificate_key"),
    ];
    assert_eq!(refused, expected);
}

fn run(case: &Value) -> Result<(), Refusal> {
    let ders = |name: &str| -> Vec<Vec<u8>> {
        case[name].as_array().unwrap().iter().map(|der| STANDARD.decode(der.as_str().unwrap()).unwrap()).collect()
    };
    let anchors: Vec<Certificate> = ders("anchors").iter().map(|der| Certificate::from_der(der).unwrap()).collect();
    let now = UnixTime::from_secs(case["now"].as_i64().unwrap());
    let path = verify_path(&ders("x5c"), &anchors.iter().collect::<Vec<_>>(), now, &Limits::default())
        .map_err(Refusal::Path)?;
    match path.leaf.has_dns_name(case["dns"].as_str().unwrap()) {
        true => Ok(()),
        false => Err(Refusal::Host(path.leaf.dns_names().to_vec())),
    }
}
