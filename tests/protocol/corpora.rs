//! Inputs that an attacker sends: URLs, addresses, and text in every field. (Amounts of money stand in `money.rs`.)

use firsthand::{
    fetch::address::{Policy, is_public, parse_url},
    limits::Limits,
    protocol::{
        jose::{SigningKey, base64url_decode, base64url_encode},
        json,
        status_list::{StatusList, TYP},
    },
    time::UnixTime,
};
use firsthand_tests::{Tally, vector};
use serde_json::{Value, json};

fn cases(file: &str) -> Vec<Value> {
    vector(&format!("attack-corpora/{file}_shared.json")).as_array().unwrap().clone()
}

#[test]
fn urls_that_lead_inside_are_refused() {
    let mut tally = Tally::new("attack-corpora/ssrf_urls");
    for case in cases("ssrf_urls") {
        let url = case["url"].as_str().unwrap();
        let expect = match case["expect"].as_str().unwrap() {
            "allow-if-dns-is-public" => "accept",
            other => other,
        };
        tally.case(url, expect, parse_url(url, Policy::Public));
    }
    tally.finish(43);
}

#[test]
fn addresses_are_public_or_not() {
    let mut tally = Tally::new("attack-corpora/ip_classification");
    for case in cases("ip_classification") {
        let ip = case["ip"].as_str().unwrap();
        let public = is_public(ip.parse().unwrap());
        tally.holds(ip, Some(public) == case["globally_reachable"].as_bool(), || format!("public: {public}"));
    }
    tally.finish(16);
}

#[test]
fn base64url_has_one_text_for_its_bytes() {
    let mut tally = Tally::new("attack-corpora/base64url_strict");
    for case in cases("base64url_strict") {
        let text = case["text"].as_str().unwrap();
        let expect = if case["valid"].as_bool().unwrap() { "accept" } else { "reject" };
        tally.case(&format!("{text:?}"), expect, base64url_decode(text));
    }
    tally.finish(13);
}

/// Where a URL that a peer gives is compared with one that is known, it is compared letter by letter: here the `sub` of
/// a status list with the `uri` of the credential.
#[test]
fn a_url_is_the_known_one_only_letter_by_letter() {
    let mut tally = Tally::new("attack-corpora/redirect_exact_match");
    let key = SigningKey::from_p256_scalar(&[7; 32]).unwrap();
    let now = UnixTime::from_secs(1_800_000_000);
    let lst = base64url_encode(&[0x78, 0x9c, 0x63, 0x00, 0x00, 0x00, 0x01, 0x00, 0x01]);
    for case in cases("redirect_exact_match") {
        let given = case["given"].as_str().unwrap();
        let known = case["registered"].as_str().unwrap().parse().unwrap();
        let claims = json!({"sub": given, "iat": now, "status_list": {"bits": 1, "lst": lst}});
        let token = key.sign_jws(json!({"typ": TYP}).as_object().unwrap(), &claims).unwrap();
        let limits = Limits::default();
        let parsed = StatusList::parse(&token, &limits).unwrap();
        let expect = if case["match"].as_bool().unwrap() { "accept" } else { "reject" };
        tally.case(given, expect, StatusList::verify(parsed, key.public_key(), &known, now, &limits));
    }
    tally.finish(12);
}

/// Text comes back byte for byte: what looks alike stays different, and nothing in it is understood.
#[test]
fn text_comes_back_as_it_was_sent() {
    let mut tally = Tally::new("attack-corpora/strings");
    let mut seen = std::collections::BTreeSet::new();
    for case in cases("strings") {
        let text = case["text"].as_str().unwrap();
        let sent = serde_json::to_vec(&json!({ "given_name": text })).unwrap();
        let read = json::parse(&sent, 8).unwrap();
        let same = read["given_name"].as_str().is_some_and(|read| read.as_bytes() == text.as_bytes());
        tally.holds(&format!("{text:?}"), same && seen.insert(read.to_string()), || {
            "changed, or the same as another".into()
        });
    }
    tally.finish(21);
}
