//! The checks of an SD-JWT VC, one by one, in the order in which the format makes them.

use serde_json::{Map, Value};

use super::{
    check::{Check, Failed, short, short_both, tame},
    credential::{Terms, thumbprint},
};
use crate::{
    format::{
        Format, FormatError,
        sd_jwt_vc::{authentication, check_beginning, check_end, check_in_clear, take_types},
    },
    presentation::{HOLDER_PROOF_AGE_S, SKEW_S},
    protocol::{
        claims::numeric_date,
        jose::{JoseError, Jws, PublicKey, base64url_decode},
        sd_jwt::{IssuerVerified, KEY_BINDING_TYPES, KeyBinding, ProofCheck, SdJwt, SdJwtError},
        status_ref::StatusRef,
    },
};

/// The checks behind `verify`, with the issuer's key if it is known.
pub(super) fn checks(terms: &Terms<'_>, format: &dyn Format, presented: &Value, key: Option<&PublicKey>) -> Vec<Check> {
    let limits = &terms.captured.limits;
    let Some(Ok(sd_jwt)) = presented.as_str().map(|text| SdJwt::parse(text, limits)) else { return Vec::new() };
    let mut checks = vec![issuer_signature(format, sd_jwt.issuer_jwt(), key)];
    let sent = sd_jwt.disclosures();
    let opened = match sd_jwt.open_unverified(limits) {
        Ok(opened) => opened,
        Err(error) => {
            let why = match &error {
                SdJwtError::UnreferencedDisclosures { count } => {
                    format!("{sent} sent, {count} of them named by no digest")
                }
                other => other.to_string(),
            };
            checks.push(Check::fails("disclosures", error.code(), why));
            for name in ["validity", "holder binding", "type", "status reference"] {
                checks.push(Check::not_made(name, "the disclosures do not open"));
            }
            return checks;
        }
    };
    checks.push(disclosures(sent, &opened));
    checks.push(validity(terms, opened.claims()));
    checks.push(holder_binding(terms, &opened));
    let mut claims = opened.into_claims();
    let types = take_types(&mut claims);
    checks.push(match &types {
        Ok(types) => Check::holds("type").text(types.join(", ")),
        Err(error) => Check::fails("type", error.code(), error),
    });
    checks.push(match claims.get("status").map(StatusRef::from_claim) {
        None => Check::fact("status reference", "none"),
        Some(Ok(_)) => Check::holds("status reference"),
        Some(Err(error)) => Check::fails("status reference", FormatError::Status(error).code(), "it cannot be read"),
    });
    checks
}

/// The header of the issuer's JWT and its signature; each failure has the code that the format gives all of them.
fn issuer_signature(format: &dyn Format, jwt: &Jws<'_>, key: Option<&PublicKey>) -> Check {
    let code = |error: JoseError| SdJwtError::IssuerJwt(error).code();
    let mut group = Check::group("issuer's signature");
    let typ = jwt.header().typ.as_deref();
    // Which types the format takes is its own affair: one that it does not take fails in `verify`, which is heard last.
    group.push(match typ {
        Some(typ) if typ == format.id() => Check::holds("typ").text(typ),
        other => Check::fails("typ", code(JoseError::TokenType), "of another kind of token")
            .expected(format.id())
            .found(other.unwrap_or("nothing")),
    });
    signature(&mut group, jwt, key.ok_or("the key of the issuer is not known"), code);
    group
}

/// `alg` and signature of a JWS, whatever its type.
fn signature(
    group: &mut Check,
    jwt: &Jws<'_>,
    key: Result<&PublicKey, &'static str>,
    code: impl Fn(JoseError) -> &'static str,
) {
    let key = match key {
        Ok(key) => key,
        Err(why) => return group.push(Check::not_made("signature", why)),
    };
    group.push(Check::fact("key", thumbprint(key)));
    if jwt.header().alg != key.algorithm() {
        let mismatch = JoseError::AlgorithmMismatch { header: jwt.header().alg, key: key.algorithm() };
        let check = Check::fails("alg", code(mismatch), "the key is for another");
        group.push(check.expected(key.algorithm()).found(jwt.header().alg));
        return group.push(Check::not_made("signature", "it depends on the algorithm"));
    }
    group.push(Check::holds("alg").text(key.algorithm()));
    let signed = jwt.clone().verify(key, &[Jws::ANY_TYPE]);
    group.push(Check::made("signature", &signed.map_err(|error| Failed { why: error.to_string(), code: code(error) })));
}

fn disclosures(sent: usize, opened: &IssuerVerified<'_>) -> Check {
    let mut group = Check::group("disclosures");
    group.push(Check::holds("digests").text(format!("{sent} sent, each named by one digest")));
    let names: Vec<String> = opened.disclosed().iter().map(|name| tame(name)).collect();
    group.push(Check::fact("disclosed", if names.is_empty() { "none".to_owned() } else { names.join(", ") }));
    let in_clear = check_in_clear(opened.disclosed()).map_err(failed);
    group.push(Check::made("signed in clear", &in_clear));
    group
}

fn validity(terms: &Terms<'_>, claims: &Map<String, Value>) -> Check {
    let now = terms.captured.now;
    let mut group = Check::group("validity");
    for name in ["nbf", "iat", "exp"] {
        let made = match name {
            "exp" => check_end(claims, now, SKEW_S).map(|_| ()),
            _ => check_beginning(claims, name, now, SKEW_S),
        };
        let at = numeric_date(claims, name).ok().flatten();
        group.push(match (at, made) {
            (None, Ok(())) => Check::fact(name, "none"),
            (Some(at), Ok(())) => Check::holds(name).text(at),
            (at, Err(error)) => {
                let check = Check::fails(name, error.code(), "not at this time");
                let expected = if name == "exp" { "later than" } else { "not later than" };
                match at {
                    Some(at) => check.expected(format!("{expected} {now}")).found(at),
                    None => Check::fails(name, error.code(), error),
                }
            }
        });
    }
    group
}

/// The holder's proof (RFC 9901, 7.3), by the checks that the format makes.
fn holder_binding(terms: &Terms<'_>, opened: &IssuerVerified<'_>) -> Check {
    let mut group = Check::group("holder binding");
    let Some(jwt) = opened.key_binding() else {
        let missing = SdJwtError::KeyBindingMissing;
        group.push(if terms.holder_binding || !terms.transaction_data.is_empty() {
            Check::fails("proof", missing.code(), missing)
        } else {
            Check::fact("proof", "none, and none was asked for")
        });
        return group;
    };
    let holder = opened.holder_key();
    group.push(match &holder {
        Ok(key) => Check::holds("holder's key").text(thumbprint(key)),
        Err(error) => Check::fails("holder's key", error.code(), error),
    });
    let code = |error: JoseError| SdJwtError::KeyBindingJwt(error).code();
    let typ = jwt.header().typ.as_deref();
    let expected = KEY_BINDING_TYPES.first().copied().unwrap_or_default();
    group.push(Check::same("typ", code(JoseError::TokenType), expected, typ));
    signature(&mut group, jwt, holder.as_ref().map_err(|_| "the holder's key is not known"), code);

    let Some(audience) = terms.channel.audience() else {
        let form = FormatError::Form("it cannot answer a reader of mdocs");
        group.push(Check::fails("audience", form.code(), form));
        return group;
    };
    let binding = KeyBinding {
        audience: &audience,
        nonce: terms.nonce,
        now: terms.captured.now,
        max_age_s: HOLDER_PROOF_AGE_S,
        skew_s: SKEW_S,
        transaction_data: terms.transaction_data,
    };
    let (proof, sd_hash) = (jwt.unverified_claims(), opened.sd_hash());
    for check in ProofCheck::ALL {
        let made = binding.check(check, proof, &sd_hash);
        group.push(proof_check(check, made, &binding, proof, &sd_hash));
    }
    group
}

/// What the proof of a holder who authorises a payment must say besides.
pub(super) fn payment(terms: &Terms<'_>, presented: &Value) -> Option<Check> {
    if !terms.transaction_data.iter().any(|data| is_payment(data)) {
        return None;
    }
    let read = authentication(presented, terms.response_mode, &terms.captured.limits);
    Some(match read {
        Ok(read) => Check::made("payment", &read.map_err(|error| Failed::new(error.code(), error))),
        Err(error) => Check::fails("payment", error.code(), error),
    })
}

/// Whether transaction data are a payment of EUDI TS12.
pub(super) fn is_payment(data: &str) -> bool {
    let object: Value = serde_json::from_slice(&base64url_decode(data).unwrap_or_default()).unwrap_or_default();
    let payload = object.get("payload");
    payload.is_some_and(|payload| payload.get("transaction_id").is_some() && payload.get("payee").is_some())
}

/// One check of the proof, with what it compares.
fn proof_check(
    check: ProofCheck,
    made: Result<(), SdJwtError>,
    binding: &KeyBinding<'_>,
    proof: &Map<String, Value>,
    sd_hash: &str,
) -> Check {
    let text = |name: &str| proof.get(name).and_then(Value::as_str);
    let made = made.map_err(|error| Failed::new(error.code(), error));
    let holds = made.is_ok();
    match check {
        ProofCheck::Nonce => shortened(Check::made("nonce", &made), binding.nonce, text("nonce")),
        ProofCheck::SdHash => shortened(Check::made("sd_hash", &made), sd_hash, text("sd_hash")),
        ProofCheck::Audience if holds => Check::holds("audience").text(binding.audience),
        ProofCheck::Audience => match made {
            Err(Failed { code, .. }) => {
                let found = proof.get("aud").map_or_else(
                    || "nothing".to_owned(),
                    |aud| match aud {
                        Value::String(aud) => aud.clone(),
                        other => other.to_string(),
                    },
                );
                Check::fails("audience", code, "made for another").expected(binding.audience).found(found)
            }
            Ok(()) => Check::holds("audience"),
        },
        ProofCheck::Times => {
            let check = Check::made("time", &made);
            let (earliest, latest) = (binding.now.minus_s(binding.max_age_s), binding.now.plus_s(binding.skew_s));
            match numeric_date(proof, "iat").ok().flatten() {
                Some(iat) if holds => check.text(format!("made {} s before", binding.now.since_s(iat))),
                Some(iat) => check.expected(format!("{earliest} to {latest}")).found(iat),
                None => check,
            }
        }
        ProofCheck::TransactionData => {
            let count = binding.transaction_data.len();
            match (holds, count) {
                (true, 0) => Check::fact("transaction data", "none was asked for"),
                (true, _) => Check::holds("transaction data").text(format!("{count} signed")),
                (false, _) => {
                    let found = proof.get("transaction_data_hashes").and_then(Value::as_array).map_or(0, Vec::len);
                    let hashes =
                        |count: usize| if count == 1 { "1 hash".to_owned() } else { format!("{count} hashes") };
                    Check::made("transaction data", &made).between(hashes(count), hashes(found))
                }
            }
        }
    }
}

fn shortened(check: Check, expected: &str, found: Option<&str>) -> Check {
    match found {
        Some(found) => {
            let (one, other) = short_both(expected, found);
            if expected == found { check.text(short(expected)) } else { check.between(one, other) }
        }
        None => check.between(short(expected), "nothing"),
    }
}

fn failed(error: FormatError) -> Failed {
    Failed::new(error.code(), error)
}
