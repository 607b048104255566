//! Captures that somebody made to hurt whoever looks at them.

use firsthand::{
    explain::{Captured, Outcome},
    limits::Limits,
    time::UnixTime,
    trust::Trust,
};
use serde_json::json;

const NOW: UnixTime = UnixTime::from_secs(1_793_500_000);
/// No tree has more lines, whatever is in the answer.
const LINES_MAX: usize = 1_000;

fn request() -> String {
    json!({
        "response_type": "vp_token",
        "response_mode": "direct_post",
        "client_id": "x509_san_dns:shop.example",
        "response_uri": "https://shop.example/response",
        "nonce": "n-0S6_WzA2Mj0S6_WzA2Mj",
        "state": "s",
        "dcql_query": { "credentials": [
            { "id": "card", "format": "dc+sd-jwt", "meta": { "vct_values": ["t"] }, "multiple": true },
        ]},
    })
    .to_string()
}

/// Explained without an end of the program, in lines that a person can read.
fn looked_at(request: &[u8], response: &[u8]) -> String {
    let trust = Trust::new();
    let explanation = Captured::new(request, response, &trust, NOW).explain();
    assert_ne!(explanation.outcome, Outcome::Accepted);
    let text = explanation.to_string();
    assert!(text.lines().count() < LINES_MAX, "{} lines", text.lines().count());
    assert!(text.lines().all(|line| line.chars().count() <= 100));
    assert!(text.chars().all(|c| c == '\n' || !c.is_control()), "{text}");
    serde_json::to_string(&explanation).unwrap();
    text
}

#[test]
fn what_is_no_answer_is_refused_and_explained() {
    let deep = "[".repeat(100_000);
    let deep_token = format!(r#"{{"vp_token":{{"card":{}{}}},"state":"s"}}"#, "[".repeat(200), "]".repeat(200));
    let many: serde_json::Map<_, _> = (0..20_000).map(|at| (format!("{at}\u{1b}[2J"), json!([]))).collect();
    let many = json!({ "vp_token": many, "state": "s" }).to_string();
    let presentations: Vec<_> = (0..10_000).map(|_| "a~").collect();
    let presentations = json!({ "vp_token": { "card": presentations }, "state": "s" }).to_string();
    let disclosures =
        json!({ "vp_token": { "card": [format!("e30.e30.AA~{}", "WyJhIl0~".repeat(300))] }, "state": "s" });
    let dots = format!("{}.{}.{}.{}.{}", "A".repeat(90_000), "", "AA", "AA", "AA");
    let responses: [&[u8]; 17] = [
        b"",
        b"{",
        b"{}",
        b"[]",
        b"null",
        b"\xff\xfe\x00",
        b"vp_token=%ff",
        b"vp_token={}&vp_token={}",
        b"{\"vp_token\":\xff}",
        deep.as_bytes(),
        deep_token.as_bytes(),
        many.as_bytes(),
        presentations.as_bytes(),
        disclosures.to_string().leak().as_bytes(),
        dots.as_bytes(),
        &[b'a'; 3_000_000],
        &[b'{'; 3_000_000],
    ];
    for response in responses {
        looked_at(request().as_bytes(), response);
    }
}

#[test]
fn what_is_no_request_leaves_nothing_to_check() {
    let deep = format!("{{\"dcql_query\":{}1{}}}", "[".repeat(5_000), "]".repeat(5_000));
    let requests: [&[u8]; 9] = [
        b"",
        b"{",
        b"{}",
        b"a.b.c",
        b"\xff",
        b"{\"requests\":[]}",
        b"{\"protocol\":\"openid4vp-v1-unsigned\",\"data\":7}",
        deep.as_bytes(),
        &[b'{'; 3_000_000],
    ];
    for request in requests {
        let text = looked_at(request, b"vp_token={}&state=s");
        assert!(text.contains("not checked: the request cannot be read"), "{text}");
    }
}

#[test]
fn a_word_in_a_presentation_forges_no_line() {
    let forged = json!({ "typ": "x\nholds  signature", "alg": "ES256" }).to_string();
    let jwt = firsthand::protocol::jose::base64url_encode(forged.as_bytes());
    let answer = json!({ "vp_token": { "card": [format!("{jwt}.e30.AA~")] }, "state": "s" }).to_string();
    let text = looked_at(request().as_bytes(), answer.as_bytes());
    assert!(!text.lines().any(|line| line == "holds  signature"), "{text}");
}

#[test]
fn the_bounds_are_those_of_the_shop() {
    let mut limits = Limits::default();
    limits.response_bytes = 10;
    let (trust, request) = (Trust::new(), request());
    let explanation = Captured::new(request.as_bytes(), b"vp_token={}&state=s", &trust, NOW).limits(limits).explain();
    assert!(matches!(explanation.outcome, Outcome::Refused { code: "form_too_long", .. }), "{explanation}");
}
