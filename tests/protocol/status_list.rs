//! Token Status List: the vectors of the draft, and tokens with each one thing wrong.

use std::time::Instant;

use firsthand::{
    limits::Limits,
    protocol::{
        cbor::{self, Item},
        cose::Sign1,
        jose::{PublicKey, SigningKey},
        status_list::{
            Published, Status, StatusError, StatusList, TYP,
            cwt::{self, StatusCwt},
        },
        status_ref::StatusRef,
    },
    testing::mdoc::Issuer,
    time::UnixTime,
};
use firsthand_tests::{Tally, vector_files};
use serde_json::{Value, json};
use url::Url;

/// What a verifier does with a credential's reference and the token that was fetched for it.
fn status(claim: &Value, token: &str, key: &PublicKey, now: UnixTime) -> Result<Status, StatusError> {
    let limits = Limits::default();
    let StatusRef::TokenList { uri, index } = StatusRef::from_claim(claim)? else {
        panic!("an ok claim holds a reference to a token list");
    };
    let token = StatusList::parse(token, &limits)?;
    StatusList::verify(token, key, &uri, now, &limits)?.status(index)
}

fn number(status: Status) -> u64 {
    match status {
        Status::Valid => 0,
        Status::Invalid => 1,
        Status::Suspended => 2,
        Status::Other(other) => other.into(),
    }
}

fn bytes(hex: &Value) -> Vec<u8> {
    let hex = hex.as_str().unwrap();
    (0..hex.len()).step_by(2).map(|at| u8::from_str_radix(&hex[at..at + 2], 16).unwrap()).collect()
}

/// A signer of tokens in CBOR, with the key that the tests verify by.
fn cwt_signer() -> (SigningKey, Issuer) {
    let key = SigningKey::from_p256_scalar(&[7; 32]).unwrap();
    (key.clone(), Issuer::new(key, vec![vec![0]]))
}

/// Compares every entry of a list with those that are listed; the others are 0.
fn differs(list: &StatusList, entries: u64, listed: &Value) -> Option<String> {
    if list.status(entries).is_ok() {
        return Some(format!("more than {entries} entries"));
    }
    let listed: std::collections::HashMap<u64, u64> =
        listed.as_object().unwrap().iter().map(|(index, s)| (index.parse().unwrap(), s.as_u64().unwrap())).collect();
    (0..entries).find_map(|index| {
        let expected = listed.get(&index).copied().unwrap_or(0);
        let got = list.status(index).map(number).ok();
        (got != Some(expected)).then(|| format!("entry {index} is {got:?}, not {expected}"))
    })
}

#[test]
fn the_lists_of_the_draft_are_read() {
    const NOW: UnixTime = UnixTime::from_secs(1_700_000_000);
    let mut tally = Tally::new("token-status-list/draft");
    let key = SigningKey::from_p256_scalar(&[7; 32]).unwrap();
    let limits = Limits::default();
    let uri: Url = "https://example.com/statuslists/1".parse().unwrap();
    // The draft's lists stand alone, and the keys of its tokens are not published: they are signed here.
    let verified = |claims: &Value| {
        let token = key.sign_jws(json!({"typ": TYP}).as_object().unwrap(), claims).unwrap();
        StatusList::verify(StatusList::parse(&token, &limits).unwrap(), key.public_key(), &uri, NOW, &limits)
    };
    // The same list in CBOR, in a token of ours.
    let (_, document_signer) = cwt_signer();
    let of_cbor = |list: &Item<'_>| {
        let map = list.map().unwrap();
        let bits = i64::try_from(map.get("bits").unwrap().integer().unwrap()).unwrap();
        let lst = map.get("lst").unwrap().bytes().unwrap().to_vec();
        let list = cbor::object([("bits", bits.into()), ("lst", cbor::Value::Bytes(lst))]);
        let published = Published { at: NOW, expires_at: NOW.plus_s(600), ttl_s: 300 };
        let token = document_signer.token(cwt::MEDIA_TYPE, uri.as_str(), &published, (65533, list)).unwrap();
        let token = StatusCwt::parse(&token, &limits).unwrap();
        StatusList::verify_cwt(token, key.public_key(), &uri, NOW, &limits).unwrap()
    };
    let of_hex = |hex: &Value| {
        let bytes = bytes(hex);
        of_cbor(&cbor::read(&bytes, &limits).unwrap())
    };
    let of = |list: &Value| verified(&json!({"sub": uri.as_str(), "iat": NOW, "status_list": list}));

    for (name, content) in vector_files("token-status-list/draft") {
        if let Some(entries) = content["entries"].as_u64() {
            let wrong = differs(&of(&content["json"]).unwrap(), entries, &content["status"]);
            tally.holds(&name, wrong.is_none(), || wrong.unwrap_or_default());
            let wrong = differs(&of_hex(&content["cbor_hex"]), entries, &content["status"]);
            tally.holds(&name, wrong.is_none(), || wrong.unwrap_or_default());
        } else if let Some(short) = content.as_array() {
            for case in short {
                let (list, bits) = (of(&case["json"]).unwrap(), case["bits"].as_u64().unwrap());
                let bytes = case["byte_array"].as_str().unwrap();
                let packed = u128::from_str_radix(bytes, 16).unwrap().swap_bytes() >> (128 - 4 * bytes.len());
                let entries = bytes.len() as u64 * 4 / bits;
                let same = (0..entries).all(|index| {
                    let expected = (packed >> (index * bits)) as u64 & ((1 << bits) - 1);
                    list.status(index).map(number).ok() == Some(expected)
                });
                tally.holds(&name, same && list.status(entries).is_err(), || format!("{bits} bits"));
                let in_cbor = of_hex(&case["cbor_hex"]);
                let same = (0..=entries).all(|index| in_cbor.status(index).ok() == list.status(index).ok());
                tally.holds(&name, same, || format!("{bits} bits in CBOR"));
            }
        } else if name.contains("diag") {
            tally.left_out("the same token in words");
        } else if name.contains("cwt") {
            let token = bytes(&content["hex"]);
            let parsed = Sign1::parse(&token, &limits).unwrap();
            let claims = parsed.unverified_payload().unwrap().to_vec();
            let claims = cbor::read(&claims, &limits).unwrap();
            let claims = claims.map().unwrap();
            if name.contains("status_list_cwt") {
                assert_eq!(parsed.header().typ.as_deref(), Some(cwt::MEDIA_TYPE));
                let list = of_cbor(claims.label(65533).unwrap());
                let first: Vec<u64> = (0..16).map(|index| number(list.status(index).unwrap())).collect();
                tally.holds(&name, first == [1, 0, 0, 1, 1, 1, 0, 1, 1, 1, 0, 0, 0, 1, 0, 1], || format!("{first:?}"));
            } else {
                let status = claims.label(65535).map(Item::diagnostic).unwrap();
                let expected = r#"{"status_list": {"idx": 0, "uri": "https://example.com/statuslists/1"}}"#;
                tally.holds(&name, status == expected, || status.clone());
            }
        } else {
            let text = content["text"].as_str().unwrap();
            let claims: Value = if name.contains("raw") {
                let parsed = text.replace('\n', "");
                let parsed = StatusList::parse(&parsed, &limits).unwrap();
                assert_eq!(parsed.header().typ.as_deref(), Some(TYP));
                Value::Object(parsed.unverified_claims().clone())
            } else {
                serde_json::from_str(text.split_once("\n.\n").unwrap().1).unwrap()
            };
            let list = verified(&claims).unwrap();
            let first: Vec<u64> = (0..16).map(|index| number(list.status(index).unwrap())).collect();
            tally.holds(&name, first == [1, 0, 0, 1, 1, 1, 0, 1, 1, 1, 0, 0, 0, 1, 0, 1], || format!("{first:?}"));
        }
    }
    tally.finish(16);
}

#[test]
fn every_token_says_what_it_may_and_no_more() {
    let mut tally = Tally::new("token-status-list/generated");
    for (file, cases) in vector_files("token-status-list/generated") {
        for case in cases.as_array().unwrap() {
            let name = format!("{file}/{}", case["name"].as_str().unwrap());
            let key = PublicKey::from_jwk(&case["public_jwk"]).unwrap();
            let now = UnixTime::from_secs(case["now"].as_i64().unwrap());
            let uri = case["uri"].as_str().unwrap();
            if let Some(token) = case.get("cwt_hex") {
                let limits = Limits::default();
                let parsed = StatusCwt::parse(&bytes(token), &limits);
                let list =
                    parsed.and_then(|token| StatusList::verify_cwt(token, &key, &uri.parse().unwrap(), now, &limits));
                match case["entries"].as_u64() {
                    Some(entries) => {
                        let wrong = list.map(|list| differs(&list, entries, &case["status"]));
                        tally.holds(&name, matches!(wrong, Ok(None)), || format!("{wrong:?}"));
                    }
                    None => tally.case(&name, case["expect"].as_str().unwrap(), list),
                }
            }
            let Some(token) = case["jwt"].as_str() else { continue };
            if let Some(entries) = case["entries"].as_u64() {
                let limits = Limits::default();
                let parsed = StatusList::parse(token, &limits).unwrap();
                let list = StatusList::verify(parsed, &key, &uri.parse().unwrap(), now, &limits);
                let wrong = list.map(|list| differs(&list, entries, &case["status"]));
                tally.holds(&name, matches!(wrong, Ok(None)), || format!("{wrong:?}"));
            } else {
                let claim = json!({"status_list": {"idx": case["index"], "uri": uri}});
                tally.case(&name, case["expect"].as_str().unwrap(), status(&claim, token, &key, now));
            }
        }
    }
    tally.finish(74);
}

/// 96 MiB out of 95 kB: the bound holds the memory, so the time too.
#[test]
fn a_bomb_stops_at_the_bound() {
    for (_, cases) in vector_files("token-status-list/generated") {
        let Some(bomb) = cases.as_array().unwrap().iter().find(|case| case["name"] == "bomb_96MiB") else { continue };
        let key = PublicKey::from_jwk(&bomb["public_jwk"]).unwrap();
        let now = UnixTime::from_secs(bomb["now"].as_i64().unwrap());
        let uri = bomb["uri"].as_str().unwrap().parse().unwrap();
        let mut limits = Limits::default();
        let took = |limits: &Limits| {
            let before = Instant::now();
            let parsed = StatusList::parse(bomb["jwt"].as_str().unwrap(), limits).unwrap();
            let error = StatusList::verify(parsed, &key, &uri, now, limits).unwrap_err();
            assert!(matches!(error, StatusError::TooLarge { max } if max == limits.status_list_bytes), "{error:?}");
            before.elapsed()
        };
        let default = took(&limits);
        limits.status_list_bytes = 64 * 1024;
        println!("bomb: {default:?} up to 16 MiB, {:?} up to 64 KiB", took(&limits));
        // It is well formed, and with enough room only its size was wrong.
        limits.status_list_bytes = 96 * 1024 * 1024;
        let parsed = StatusList::parse(bomb["jwt"].as_str().unwrap(), &limits).unwrap();
        let list = StatusList::verify(parsed, &key, &uri, now, &limits).unwrap();
        assert_eq!(list.bytes(), 96 * 1024 * 1024);
    }
}
