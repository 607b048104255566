//! The checks that a verifier tells of itself, as a tree.

use serde_json::Value;

use super::{
    check::{Check, short, short_both},
    credential::thumbprint,
};
use crate::{
    format::jwt_vc::TYPE_PART,
    limits::Limits,
    protocol::{
        jose::Jws,
        vc::{HOLDER_PART, ISSUER_PART},
        watch::{Failure, Made, Part, Seen, Step},
    },
};

/// What every W3C credential is checked for, in whichever order.
const PARTS: [&str; 3] = [HOLDER_PART, ISSUER_PART, TYPE_PART];

/// A heading for each part; those that were not reached are named too.
pub(super) fn checks(parts: Vec<Part>) -> Vec<Check> {
    let missing: Vec<&str> = PARTS.into_iter().filter(|name| parts.iter().all(|part| part.name != *name)).collect();
    let group = |part: Part| {
        let mut group = Check::group(part.name);
        group.checks = part.steps.into_iter().map(check).collect();
        group
    };
    let not_reached = |name| Check::not_made(name, "not reached: what it needs failed");
    parts.into_iter().map(group).chain(missing.into_iter().map(not_reached)).collect()
}

/// What tokens say of themselves that cannot be read as a presentation: where they disagree, this is between whom.
pub(super) fn stated(presented: &Value, limits: &Limits) -> Vec<Check> {
    let limits = Limits { kid_bytes: limits.did_bytes, ..limits.clone() };
    let Some(outer) = presented.as_str().and_then(|text| Jws::parse(text, &limits).ok()) else { return Vec::new() };
    let claims = outer.unverified_claims();
    let members = claims.get("vp").and_then(Value::as_object).unwrap_or(claims);
    let inner = match members.get("verifiableCredential") {
        Some(Value::Array(several)) => several.first(),
        one => one,
    };
    let text = |one: &Value| match one {
        Value::String(token) => Some(token.clone()),
        envelope => Some(envelope.get("id")?.as_str()?.strip_prefix("data:application/vc+jwt,")?.to_owned()),
    };
    let Some(inner) = inner.and_then(text) else { return vec![credential(&outer)] };
    let mut presentation = Check::group("presentation");
    presentation.push(Check::fact("typ", outer.header().typ.as_deref().unwrap_or("none")));
    presentation.push(Check::fact("alg", outer.header().alg));
    let inner = Jws::parse(&inner, &limits).ok();
    std::iter::once(presentation).chain(inner.as_ref().map(credential)).collect()
}

fn credential(token: &Jws<'_>) -> Check {
    let claims = token.unverified_claims();
    let members = claims.get("vc").and_then(Value::as_object).unwrap_or(claims);
    let issuer = match members.get("issuer") {
        Some(Value::Object(issuer)) => issuer.get("id"),
        issuer => issuer,
    };
    let text = |value: Option<&Value>| value.and_then(Value::as_str).unwrap_or("none").to_owned();
    let mut group = Check::group("credential");
    group.push(Check::fact("typ", token.header().typ.as_deref().unwrap_or("none")));
    group.push(Check::fact("alg", token.header().alg));
    group.push(Check::fact("iss", text(claims.get("iss"))));
    group.push(Check::fact("issuer", text(issuer)));
    group
}

fn check(Step { name, seen, made }: Step) -> Check {
    let fails = matches!(made, Made::Fails(_));
    let check = match made {
        Made::Fact => Check::group(name),
        Made::Holds => Check::holds(name),
        Made::Fails(Failure { code, why }) => Check::fails(name, code, why),
        Made::NotReached => return Check::not_made(name, "not reached: it needs what failed"),
    };
    let none = || "nothing".to_owned();
    match seen {
        Seen::Nothing => check,
        // Why it fails stands in the text.
        Seen::Text(text) if fails => check.found(text),
        Seen::Text(text) => check.text(text),
        Seen::Key(key) if fails => check.found(thumbprint(&key)),
        Seen::Key(key) => check.text(thumbprint(&key)),
        Seen::Pair(expected, found) if fails => check.expected(expected).found(found.unwrap_or_else(none)),
        Seen::Pair(expected, _) => check.text(expected),
        Seen::Short(expected, Some(found)) if fails => {
            let (expected, found) = short_both(&expected, &found);
            check.expected(expected).found(found)
        }
        Seen::Short(expected, None) if fails => check.expected(short(&expected)).found(none()),
        Seen::Short(expected, _) => check.text(short(&expected)),
    }
}
