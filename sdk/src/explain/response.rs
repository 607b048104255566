//! What came back: its envelope, its state, and `vp_token` against the query.

use serde_json::{Map, Value};
use url::form_urlencoded;

#[cfg(feature = "mdoc")]
use super::iso_mdoc;
use super::{
    Captured,
    check::{Check, Failed, short, short_both},
    credential::{self, Believed},
    query,
    request::{Asked, Way},
};
use crate::protocol::{
    dcql::DcqlError,
    form,
    jose::base64url_decode,
    json,
    openid4vp::{
        Answer, ResponseContext, ResponseError, ResponseMode, answer as parse_answer, check_state,
        dc_api::{self, DcContext},
        entries_for, parameters,
    },
};

/// Ids in `vp_token` that are looked at one by one: a query has at most sixteen.
const IDS_MAX: usize = 32;

/// The checks of an answer; the wallet's error code if it declined.
pub(super) fn judge(captured: &Captured<'_>, asked: &Asked) -> (Check, Option<String>) {
    #[cfg(feature = "mdoc")]
    if let Way::IsoMdoc { origin, requests } = &asked.way {
        let mut answer = browser_answer(captured).unwrap_or_default();
        let data = answer.remove("data").unwrap_or(Value::Object(answer));
        return iso_mdoc::judge(captured, asked, origin, requests, &data);
    }
    let mut answer = Check::group("answer");
    let context = ResponseContext {
        mode: asked.mode,
        state: asked.state.as_deref().unwrap_or_default(),
        key: asked.key(captured),
        accepted: &asked.enc,
        query: &asked.query,
        limits: &captured.limits,
    };
    let (envelope, opened) = envelope(captured, asked, &context);
    answer.push(envelope);
    let Some(opened) = opened else {
        for name in ["state", "vp_token", "presentations", "query"] {
            answer.push(Check::not_made(name, "the envelope does not open"));
        }
        return (answer, None);
    };
    let Opened { parameters, state_known } = opened;
    answer.push(state(asked, &parameters, state_known));
    let mut read = parameters.clone();
    if asked.state.is_none() {
        read.insert("state".to_owned(), "".into());
    }
    let verifier = parse_answer(read, &context).map_err(failed);
    if let Ok(Answer::Error { code, description }) = &verifier {
        answer.push(Check::fact("error", code));
        let chars = description.as_ref().map_or(0, |text| text.chars().count());
        answer.push(Check::fact("error_description", format!("{chars} characters")));
        return (answer, Some(code.clone()));
    }
    let (token, presentations) = vp_token(captured, asked, &parameters);
    answer.push(token);
    answer.settle("form of the answer", &verifier);
    let whole = answer.first_failure().is_none();
    let mut believed: Option<Vec<(String, Believed)>> = whole.then(Vec::new);
    for (id, at, presented) in &presentations {
        let Some(met) = asked.met(captured) else { break };
        let (check, one) = credential::judge(captured, asked, &met, id, *at, presented);
        answer.push(check);
        match one {
            Some(one) => {
                if let Some(all) = &mut believed {
                    all.push((id.clone(), one));
                }
            }
            None => believed = None,
        }
    }
    answer.push(match believed {
        Some(believed) => query::judge(captured, asked, &believed),
        None => Check::not_made("query", "it is evaluated over presentations that all hold"),
    });
    (answer, None)
}

/// The parameters of an answer.
struct Opened {
    parameters: Map<String, Value>,
    /// Whether a state could have been captured.
    state_known: bool,
}

/// The way from what was captured to the parameters in it.
fn envelope(captured: &Captured<'_>, asked: &Asked, context: &ResponseContext<'_>) -> (Check, Option<Opened>) {
    let mut group = Check::group("envelope");
    let encrypted = asked.mode == ResponseMode::DirectPostJwt;
    if let (Way::DcApi { .. }, true, Some(data)) = (&asked.way, encrypted, brought(captured)) {
        let opened = browser(asked, &data, context, &mut group);
        return (group, opened.map(|parameters| Opened { parameters, state_known: true }));
    }
    if captured.posted {
        let opened = posted(asked, captured.response, context, &mut group);
        return (group, opened.map(|parameters| Opened { parameters, state_known: true }));
    }
    // An editor's line break at the end of a file is no part of what was captured.
    let response = captured.response.trim_ascii();
    if response.starts_with(b"{") {
        let opened = bare(captured, asked, response, context, &mut group);
        return (group, opened);
    }
    let is_jwe = response.split(|byte| *byte == b'.').count() == 5 && !response.contains(&b'=');
    let form_body: Vec<u8> = if is_jwe {
        let text = String::from_utf8_lossy(response);
        form_urlencoded::Serializer::new(String::new()).append_pair("response", &text).finish().into()
    } else {
        response.to_vec()
    };
    let opened = posted(asked, &form_body, context, &mut group);
    // The form may have a state beside the encryption, and a JWE alone may have lost one.
    (group, opened.map(|parameters| Opened { parameters, state_known: true }))
}

/// What a browser brought, as JSON.
pub(super) fn browser_answer(captured: &Captured<'_>) -> Option<Map<String, Value>> {
    let limits = &captured.limits;
    let bytes = captured.response.trim_ascii();
    if bytes.len() > limits.response_bytes || !bytes.starts_with(b"{") {
        return None;
    }
    match json::parse(bytes, limits.json_depth) {
        Ok(Value::Object(whole)) => Some(whole),
        _ => None,
    }
}

/// The `data` in it, if it was not taken further apart.
fn brought(captured: &Captured<'_>) -> Option<Value> {
    let mut whole = browser_answer(captured)?;
    match whole.remove("data") {
        Some(data) if whole.contains_key("protocol") => Some(data),
        _ => whole.contains_key("response").then(|| Value::Object(whole)),
    }
}

/// What a wallet answered by the Digital Credentials API (OpenID4VP 1.0, annex A).
fn browser(
    asked: &Asked,
    data: &Value,
    context: &ResponseContext<'_>,
    group: &mut Check,
) -> Option<Map<String, Value>> {
    let jwe = data.get("response").and_then(Value::as_str);
    group.push(Check::fact("encrypted", if jwe.is_some() { "yes" } else { "no" }));
    if let Some(jwe) = jwe {
        header(jwe, asked, context, group);
    }
    let Some(key) = context.key else {
        group.push(Check::not_made("decryption", "the private key of this request is not given"));
        return None;
    };
    let context = DcContext { key, accepted: context.accepted, query: context.query, limits: context.limits };
    let opened = dc_api::parameters(data, &context);
    group.settle("decryption", &opened.as_ref().map_err(failed_ref));
    if jwe.is_some() && opened.is_ok() {
        group.push(Check::holds("decryption"));
    }
    opened.ok()
}

/// What the wallet posted, or the JWE in it.
fn posted(
    asked: &Asked,
    form_body: &[u8],
    context: &ResponseContext<'_>,
    group: &mut Check,
) -> Option<Map<String, Value>> {
    let jwe = form::value(form_body, "response");
    let encrypted = asked.mode == ResponseMode::DirectPostJwt;
    group.push(Check::fact("size", format!("{} bytes", form_body.len())));
    group.push(match (&jwe, encrypted) {
        (Some(_), true) => Check::holds("encrypted").text("as asked"),
        (None, false) => Check::holds("encrypted").text("no, as asked"),
        (Some(_), false) => Check::fact("encrypted", "yes, though nobody asked for that"),
        (None, true) => Check::fact("encrypted", "no, though the request asked for that"),
    });
    if let Some(jwe) = jwe.as_deref().filter(|_| encrypted) {
        header(jwe, asked, context, group);
        if context.key.is_none() {
            group.push(Check::not_made("decryption", "the private key of this request is not given"));
            return None;
        }
    }
    let opened = parameters(form_body, context);
    // A wallet that cannot encrypt may decline in clear (8.3.1), so what was said above of encryption is no failure yet.
    group.settle(if encrypted { "decryption" } else { "form" }, &opened.as_ref().map_err(failed_ref));
    if encrypted && jwe.is_some() && opened.is_ok() {
        group.push(Check::holds("decryption"));
    }
    opened.ok()
}

/// The header of a JWE, beside what the request asked for.
fn header(jwe: &str, asked: &Asked, context: &ResponseContext<'_>, group: &mut Check) {
    let bytes = jwe.split('.').next().and_then(|header| base64url_decode(header).ok()).unwrap_or_default();
    let Ok(Value::Object(header)) = json::parse(&bytes, context.limits.json_depth) else {
        group.push(Check::fact("header", "it is no JSON object"));
        return;
    };
    let text = |name: &str| header.get(name).and_then(Value::as_str);
    for name in ["crit", "zip"] {
        if header.contains_key(name) {
            group.push(Check::fails(name, "jose_extension", "extensions of an encryption are not understood"));
        }
    }
    group.push(Check::same("alg", "jose_unsupported_algorithm", "ECDH-ES", text("alg")));
    let offered: Vec<&str> = asked.enc.iter().map(|enc| enc.name()).collect();
    group.push(match text("enc") {
        Some(enc) if offered.contains(&enc) => Check::holds("enc").text(enc),
        Some(enc) => Check::fails("enc", "jose_unsupported_algorithm", "it was not offered")
            .expected(offered.join(" or "))
            .found(enc),
        None => Check::fails("enc", "jose_member", "missing"),
    });
    let kid = context.key.map(|key| key.public_jwk());
    let kid = kid.as_ref().map(|jwk| jwk.get("kid").and_then(Value::as_str).unwrap_or_default());
    group.push(match (kid, text("kid").unwrap_or_default()) {
        (None, found) => Check::fact("kid", found),
        (Some(kid), found) if kid == found => Check::holds("kid").text(kid),
        (Some(kid), found) => {
            Check::fails("kid", "jose_recipient", "the answer is for another key").expected(kid).found(found)
        }
    });
    // Nobody demands them (OpenID4VP 1.0, 8.3); older wallets put the nonces there.
    for name in ["apu", "apv"] {
        if let Some(party) = text(name) {
            let is_nonce = base64url_decode(party).is_ok_and(|it| it == asked.nonce.as_bytes());
            group.push(Check::fact(name, if is_nonce { "the nonce".to_owned() } else { short(party) }));
        }
    }
}

/// What was captured after it was opened: JSON.
fn bare(
    captured: &Captured<'_>,
    asked: &Asked,
    response: &[u8],
    context: &ResponseContext<'_>,
    group: &mut Check,
) -> Option<Opened> {
    let limits = &captured.limits;
    group.push(Check::fact("size", format!("{} bytes", response.len())));
    if response.len() > limits.response_bytes {
        group.push(Check::fails("form", "form_too_long", format!("more than {} bytes", limits.response_bytes)));
        return None;
    }
    let mut whole = match json::parse(response, limits.json_depth) {
        Ok(Value::Object(whole)) => whole,
        Ok(_) => return None,
        Err(error) => {
            group.push(Check::fails("form", error.code(), error));
            return None;
        }
    };
    // The Digital Credentials API hands over what the wallet said in `data`.
    if whole.contains_key("protocol")
        && let Some(Value::Object(data)) = whole.remove("data")
    {
        whole = data;
    }
    if let Some(Value::String(jwe)) = whole.get("response") {
        let form_body = form_urlencoded::Serializer::new(String::new()).append_pair("response", jwe).finish();
        let opened = posted(asked, form_body.as_bytes(), context, group);
        return opened.map(|parameters| Opened { parameters, state_known: true });
    }
    if asked.mode == ResponseMode::DirectPostJwt {
        group.push(Check::not_made("encryption", "the answer was captured after it was decrypted"));
    }
    if whole.contains_key("vp_token") || whole.contains_key("error") {
        return Some(Opened { parameters: whole, state_known: true });
    }
    group.push(Check::fact("form", "`vp_token` alone"));
    let mut parameters = Map::from_iter([("vp_token".to_owned(), Value::Object(whole))]);
    parameters.extend(asked.state.clone().map(|state| ("state".to_owned(), Value::String(state))));
    Some(Opened { parameters, state_known: false })
}

/// That the answer is to this request.
fn state(asked: &Asked, parameters: &Map<String, Value>, known: bool) -> Check {
    match (&asked.state, parameters.get("state")) {
        _ if !known => Check::not_made("state", "only `vp_token` was captured"),
        (None, _) => Check::fact("state", "none was sent"),
        (Some(expected), found) => {
            let check = Check::made("state", &check_state(found, expected).map_err(failed));
            match found.and_then(Value::as_str) {
                Some(found) => {
                    let (expected, found) = short_both(expected, found);
                    check.between(expected, found)
                }
                None => check.expected(short(expected)),
            }
        }
    }
}

/// `vp_token` by its ids, and the presentations that can be looked at.
fn vp_token(
    captured: &Captured<'_>,
    asked: &Asked,
    parameters: &Map<String, Value>,
) -> (Check, Vec<(String, usize, Value)>) {
    let mut group = Check::group("vp_token");
    let mut presentations = Vec::new();
    let token = match (parameters.get("error"), parameters.get("vp_token")) {
        (_, Some(Value::Object(token))) => token,
        (_, Some(_)) => {
            group.push(Check::fails("form", "vp_token_not_an_object", ResponseError::VpTokenNotAnObject));
            return (group, presentations);
        }
        (Some(_), None) => {
            group.push(Check::fails("form", "error_not_a_string", ResponseError::ErrorNotAString));
            return (group, presentations);
        }
        (None, None) => {
            group.push(Check::fails("form", "vp_token_missing", ResponseError::VpTokenMissing));
            return (group, presentations);
        }
    };
    for (id, entries) in token.iter().take(IDS_MAX) {
        let read = match asked.query.credential(id) {
            None => Err(ResponseError::from(DcqlError::NotAsked)),
            Some(query) => entries_for(query, entries.clone()),
        };
        match read {
            Err(error) => group.push(Check::fails(id, error.code(), error)),
            Ok(entries) => {
                group.push(Check::holds(id).text(match entries.len() {
                    1 => "1 presentation".to_owned(),
                    several => format!("{several} presentations"),
                }));
                presentations.extend(entries.into_iter().enumerate().map(|(at, entry)| (id.clone(), at, entry)));
            }
        }
    }
    let more = token.len().saturating_sub(IDS_MAX);
    if more > 0 {
        group.push(Check::fact("more", format!("{more} other ids")));
    }
    let answered = token.keys().map(String::as_str).filter(|id| asked.query.credential(id).is_some()).collect();
    let complete = asked.query.satisfied_by(&answered).map_err(|e| Failed::new(e.code(), e));
    group.push(Check::made("complete", &complete));
    presentations.truncate(captured.limits.presentations);
    (group, presentations)
}

fn failed(error: ResponseError) -> Failed {
    failed_ref(&error)
}

fn failed_ref(error: &ResponseError) -> Failed {
    let source = std::error::Error::source(error).map(|source| format!(": {source}")).unwrap_or_default();
    Failed::new(error.code(), format!("{error}{source}"))
}
