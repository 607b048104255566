//! Topic `webhook`: the published libraries' signatures, and the same with one thing wrong.

use firsthand::{
    protocol::webhook::{self, WebhookError, WebhookSecret},
    time::UnixTime,
};
use http::{HeaderMap, HeaderName, HeaderValue};
use serde_json::Value;

struct Case {
    secret: WebhookSecret,
    id: String,
    at: i64,
    body: String,
    signature: String,
    others: Vec<String>,
}

fn cases() -> Vec<Case> {
    let text = include_str!("../vectors/webhook/signatures.json");
    let cases: Vec<Value> = serde_json::from_str(text).unwrap();
    let text = |case: &Value, name: &str| case[name].as_str().unwrap().to_owned();
    let case = |case: Value| Case {
        secret: text(&case, "secret").parse().unwrap(),
        id: text(&case, "id"),
        at: case["timestamp"].as_i64().unwrap(),
        body: text(&case, "body"),
        signature: text(&case, "signature"),
        others: case["others"].as_array().unwrap().iter().map(|one| one.as_str().unwrap().to_owned()).collect(),
    };
    cases.into_iter().map(case).collect()
}

fn headers(id: &str, at: &str, signature: &str) -> HeaderMap {
    let mut headers = HeaderMap::new();
    for (name, value) in [(webhook::ID, id), (webhook::TIMESTAMP, at), (webhook::SIGNATURE, signature)] {
        headers.insert(name, HeaderValue::from_str(value).unwrap());
    }
    headers
}

fn another() -> WebhookSecret {
    WebhookSecret::from_random([7; 32])
}

#[test]
fn the_published_libraries_sign_the_same_and_are_believed() {
    for case in cases() {
        let (at, body) = (UnixTime::from_secs(case.at), case.body.as_bytes());
        assert_eq!(webhook::sign(std::slice::from_ref(&case.secret), &case.id, at, body), case.signature);
        let verify = |signature: &str, secrets: &[WebhookSecret], now: i64| {
            let headers = headers(&case.id, &case.at.to_string(), signature);
            webhook::verify(secrets, &headers, body, UnixTime::from_secs(now)).map(str::to_owned)
        };
        let own = [case.secret.clone()];
        assert_eq!(verify(&case.signature, &own, case.at).as_ref(), Ok(&case.id));
        let beside = [case.others.join(" "), case.signature.clone()].join(" ");
        assert_eq!(verify(&beside, &own, case.at).as_ref(), Ok(&case.id));
        // While a secret changes, either side may be first.
        let both = webhook::sign(&[another(), case.secret.clone()], &case.id, at, body);
        assert_eq!(verify(&both, &own, case.at).as_ref(), Ok(&case.id));
        assert_eq!(verify(&case.signature, &[another(), case.secret.clone()], case.at).as_ref(), Ok(&case.id));
        for (now, found) in [(300, true), (-300, true), (301, false), (-301, false)] {
            let expected = if found { Ok(case.id.clone()) } else { Err(WebhookError::Timestamp) };
            assert_eq!(verify(&case.signature, &own, case.at + now), expected);
        }
        let wrong =
            |signature: &str| assert_eq!(verify(signature, &own, case.at), Err(WebhookError::Signature), "{signature}");
        wrong(&case.others.join(" "));
        wrong("v1,");
        wrong(&case.signature[..8]);
        wrong(&case.signature.replace("v1,", "v2,"));
        wrong(&case.signature.replace("v1,", "V1,"));
        wrong(&case.signature.replace("v1,", ""));
        wrong(&format!("{}{}", "v1,AAAA ".repeat(16), case.signature));
        assert_eq!(verify(&case.signature, &[another()], case.at), Err(WebhookError::Signature));
        assert_eq!(verify(&case.signature, &[], case.at), Err(WebhookError::Signature));
    }
}

#[test]
fn a_message_with_one_thing_wrong_is_not_believed() {
    let case = cases().remove(0);
    let (secrets, now) = ([case.secret.clone()], UnixTime::from_secs(case.at));
    let at = case.at.to_string();
    let verify = |headers: &HeaderMap, body: &str| webhook::verify(&secrets, headers, body.as_bytes(), now).map(drop);
    let good = headers(&case.id, &at, &case.signature);
    assert_eq!(verify(&good, &case.body), Ok(()));
    assert_eq!(verify(&good, &case.body.replace('2', "3")), Err(WebhookError::Signature));
    assert_eq!(verify(&good, &format!("{} ", case.body)), Err(WebhookError::Signature));
    let later = (case.at + 1).to_string();
    assert_eq!(verify(&headers(&case.id, &later, &case.signature), &case.body), Err(WebhookError::Signature));
    assert_eq!(verify(&headers("msg_other", &at, &case.signature), &case.body), Err(WebhookError::Signature));
    for name in [webhook::ID, webhook::TIMESTAMP, webhook::SIGNATURE] {
        let mut without = good.clone();
        without.remove(name);
        assert_eq!(verify(&without, &case.body), Err(WebhookError::Header(name)));
        let mut twice = good.clone();
        twice.append(HeaderName::from_static(name), good[name].clone());
        assert_eq!(verify(&twice, &case.body), Err(WebhookError::Header(name)));
        let mut empty = good.clone();
        empty.insert(name, HeaderValue::from_static(""));
        assert_eq!(verify(&empty, &case.body), Err(WebhookError::Header(name)));
    }
    for at in ["soon", "-1", "+1614265330", "1614265330.0", " 1614265330", "99999999999999999999"] {
        let found = verify(&headers(&case.id, at, &case.signature), &case.body);
        assert_eq!(found, Err(WebhookError::Header(webhook::TIMESTAMP)), "{at}");
    }
    // What is divided by full stops has none in its parts: another division would be signed the same.
    let divided = headers(&format!("{}.1", case.id), &at, &case.signature);
    assert_eq!(verify(&divided, &case.body), Err(WebhookError::Header(webhook::ID)));
    assert_eq!(
        verify(&headers(&"m".repeat(257), &at, &case.signature), &case.body),
        Err(WebhookError::Header(webhook::ID))
    );
}

#[test]
fn a_secret_is_long_enough_and_shows_nothing() {
    use base64::{Engine, prelude::BASE64_STANDARD};
    let secret = |bytes: usize| format!("whsec_{}", BASE64_STANDARD.encode(vec![9; bytes])).parse::<WebhookSecret>();
    for (bytes, good) in [(0, false), (23, false), (24, true), (32, true), (64, true), (65, false)] {
        assert_eq!(secret(bytes).is_ok(), good, "{bytes}");
    }
    for bad in [
        "",
        "whsec_",
        "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
        "whsk_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
        "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaS",
        "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLa-_",
    ] {
        assert_eq!(bad.parse::<WebhookSecret>().map(drop), Err(WebhookError::Secret), "{bad}");
    }
    let one = secret(32).unwrap();
    assert_eq!(one.reveal().parse::<WebhookSecret>().unwrap(), one);
    assert_eq!(format!("{one:?}"), "WebhookSecret([redacted])");
}
