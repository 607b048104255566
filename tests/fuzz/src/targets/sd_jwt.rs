//! Credentials as SD-JWT, their types, and what is asked of them.

use firsthand::protocol::{
    dcql::{Candidate, Query},
    jose::base64url_encode,
    sd_jwt::{Hash, SdJwt, issue::Concealed},
    type_metadata::{Chain, Reference},
};
use serde_json::{Map, Value, json};

use super::{KEY, LIMITS, line, object, text, value};

/// A presentation of a stranger.
pub(super) fn compact(data: &[u8]) {
    let Some(text) = text(data) else { return };
    let Ok(read) = SdJwt::parse(text, &LIMITS) else { return };
    let _ = read.issuer_jwt();
    let _ = read.shape(&LIMITS);
    assert!(text.matches('~').count() <= LIMITS.disclosures + 1);
    if let Ok(verified) = read.verify(KEY.public_key(), &["dc+sd-jwt"], &LIMITS) {
        no_traces(&Value::Object(verified.into_claims()));
    }
}

/// What was concealed and signed is what is read once all of it is shown.
pub(super) fn issued(data: &[u8]) {
    let Some(claims) = object(data) else { return };
    if reserved(&Value::Object(claims.clone())) {
        return;
    }
    let mut number = 0_u128;
    let mut salt = || {
        number += 1;
        number.to_be_bytes()
    };
    let concealed = match data.len() % 3 {
        0 => Concealed::new(&claims, Hash::Sha256, 1, &mut salt),
        levels => Concealed::down_to(levels, &claims, Hash::Sha256, &mut salt),
    };
    let parts = concealed.parts();
    let header = Map::from_iter([("typ".to_owned(), json!("dc+sd-jwt"))]);
    let signed = concealed.sign(Map::new(), &header, &KEY).expect("a signature");
    let read = SdJwt::parse(&signed, &LIMITS).and_then(|read| read.verify(KEY.public_key(), &["dc+sd-jwt"], &LIMITS));
    match read {
        Ok(read) => assert_eq!(read.into_claims(), claims),
        // A credential may be larger than what is read.
        Err(error) => assert!(parts > LIMITS.disclosures || depth(&Value::Object(claims)) * 2 > 12, "{error}"),
    }
}

/// A payload and disclosures, a line each, in which `#1` to `#9` stand for the digest of that disclosure: what a malicious issuer
/// can nest in each other.
pub(super) fn nested(data: &[u8]) {
    let Some(text) = text(data) else { return };
    let mut lines: Vec<String> = text.lines().take(10).map(str::to_owned).collect();
    let mut disclosures = Vec::new();
    // From the last: a disclosure may name those that come after it.
    for at in (1..lines.len()).rev() {
        let disclosure = base64url_encode(lines[at].as_bytes());
        let digest = Hash::Sha256.of(&disclosure);
        for line in &mut lines[..at] {
            *line = line.replace(&format!("#{at}"), &digest);
            if line.len() > LIMITS.jws_bytes {
                return;
            }
        }
        disclosures.insert(0, disclosure);
    }
    let Some(payload) = lines.first().and_then(|line| object(line.as_bytes())) else { return };
    let header = Map::from_iter([("typ".to_owned(), json!("dc+sd-jwt"))]);
    let mut presented = KEY.sign_jws(&header, &Value::Object(payload)).expect("a signature") + "~";
    for disclosure in &disclosures {
        presented.push_str(disclosure);
        presented.push('~');
    }
    let Ok(read) = SdJwt::parse(&presented, &LIMITS) else { return };
    let _ = read.shape(&LIMITS);
    let Ok(read) = read.verify(KEY.public_key(), &["dc+sd-jwt"], &LIMITS) else { return };
    let disclosed = read.disclosed().to_vec();
    let claims = read.into_claims();
    assert!(disclosed.iter().all(|name| claims.contains_key(name)));
    no_traces(&Value::Object(claims.clone()));
    #[cfg(feature = "w3c")]
    others(&presented, &claims);
}

/// What another library reads in it.
#[cfg(feature = "w3c")]
fn others(presented: &str, claims: &Map<String, Value>) {
    use ssi::claims::{jwt::AnyClaims, sd_jwt::SdJwt as Other};

    let Ok(other) = Other::new(presented) else { panic!("no SD-JWT to another library: {presented}") };
    // It takes registered claims for what they must be, and knows fewer forms of a header.
    let Ok(revealed) = other.decode_reveal::<AnyClaims>() else { return };
    let Ok(Value::Object(mut theirs)) = serde_json::to_value(revealed.claims()) else { return };
    let mut ours = claims.clone();
    for registered in ["iss", "sub", "aud", "exp", "nbf", "iat", "jti", "_sd_alg", "cnf"] {
        theirs.remove(registered);
        ours.remove(registered);
    }
    assert_eq!(ours, theirs, "two readers of {presented}");
}

/// Neither a digest nor a placeholder is left.
fn no_traces(value: &Value) {
    assert!(!reserved(value), "{value}");
}

/// Whether a name stands in it that SD-JWT keeps for itself (RFC 9901, 4.1).
fn reserved(value: &Value) -> bool {
    match value {
        Value::Object(members) => {
            members.keys().any(|name| ["_sd", "...", "_sd_alg"].contains(&name.as_str()))
                || members.values().any(reserved)
        }
        Value::Array(elements) => elements.iter().any(reserved),
        _ => false,
    }
}

fn depth(value: &Value) -> usize {
    match value {
        Value::Object(members) => 1 + members.values().map(depth).max().unwrap_or(0),
        Value::Array(elements) => 1 + elements.iter().map(depth).max().unwrap_or(0),
        _ => 0,
    }
}

/// The documents of a type, a line each.
pub(super) fn type_metadata(data: &[u8]) {
    let first = Reference { vct: "https://types.example/a".to_owned(), integrity: None };
    let mut chain = Chain::of(first);
    let mut rest = data;
    while !rest.is_empty() && chain.wanted().is_some() {
        let (document, after) = line(rest);
        rest = after;
        if chain.add(document, &LIMITS).is_err() {
            return;
        }
    }
    let _ = chain.signs("urn:eudi:sca:payment:1", "https://types.example/schema");
    let types = chain.types().to_vec();
    let mut unique = types.clone();
    unique.sort();
    unique.dedup();
    assert_eq!(types.len(), unique.len(), "a circle: {types:?}");
    let Ok(rules) = chain.rules() else { return };
    let claims = json!({"vct": "https://types.example/a", "given_name": "Ada", "list": [{"x": 1}]});
    let signed = KEY.sign_jws(&Map::from_iter([("typ".to_owned(), json!("dc+sd-jwt"))]), &claims).unwrap() + "~";
    let shape = SdJwt::parse(&signed, &LIMITS).and_then(|read| read.shape(&LIMITS)).expect("our own credential");
    let _ = rules.check(&shape);
}

/// A query, and a credential on the next line: what is selected was asked for, and is there.
pub(super) fn dcql(data: &[u8]) {
    let (query, credential) = line(data);
    let Some(query) = value(query) else { return };
    let Ok(query) = Query::parse(&query, &LIMITS) else { return };
    let written = serde_json::to_value(&query).expect("JSON");
    assert_eq!(Query::parse(&written, &LIMITS).as_ref(), Ok(&query));
    let Some(claims) = value(credential) else { return };
    let types = ["urn:eudi:pid:1".to_owned()];
    let format = query.credentials.first().map_or("dc+sd-jwt", |credential| credential.format.as_str());
    let candidate = Candidate { format, types: &types, holder_bound: true, claims: &claims, authority_key_ids: &[] };
    for credential in &query.credentials {
        let Ok(matched) = credential.select(&candidate) else { continue };
        for (claim, values) in &matched.claims {
            assert!(!values.is_empty());
            assert_eq!(claim.select(&claims).as_ref(), Some(values));
        }
    }
    let answer = [(query.credentials[0].id.clone(), vec![candidate])];
    if let Ok(matched) = query.evaluate(&answer) {
        assert_eq!(matched.len(), 1);
    }
}
