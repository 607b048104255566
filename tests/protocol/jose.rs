//! Topic `jose`: the cookbook of RFC 7520 with its successors, and the tokens of josekit. What uses other algorithms
//! must be refused, and that is asserted. With them the part of `attack-corpora` that is about texts in tokens.

use firsthand::{
    limits::Limits,
    protocol::jose::{
        ContentEncryption, DecryptionKey, JoseError, Jws, PublicKey, SigningKey, base64url_decode, base64url_encode,
    },
};
use firsthand_tests::{Tally, vector, vector_files};
use serde_json::{Map, Value, json};

const BOTH: [ContentEncryption; 2] = [ContentEncryption::A128Gcm, ContentEncryption::A256Gcm];

/// Checks a JWS as [`Jws`] does, with a payload that need not be a JSON object.
pub fn verify_any_payload(text: &str, key: &PublicKey) -> Result<(), JoseError> {
    let limits = Limits::default();
    let parts: Vec<&str> = text.split('.').collect();
    let [header, payload, signature] = parts.as_slice() else {
        return Jws::parse(text, &limits).map(|_| ());
    };
    // The same token with the empty object as its payload: header, form and key are judged by `Jws`.
    let stand_in = format!("{header}.e30.{signature}");
    let jws = Jws::parse(&stand_in, &limits)?;
    match jws.verify(key, &[Jws::ANY_TYPE]) {
        Err(JoseError::Signature) | Ok(_) => {}
        Err(other) => return Err(other),
    }
    base64url_decode(payload)?;
    let (input, _) = text.rsplit_once('.').unwrap();
    key.verify(input.as_bytes(), &base64url_decode(signature)?)
}

/// The public part of a JWK that a vector shows whole.
pub fn public(jwk: &Value) -> Value {
    let mut jwk = jwk.clone();
    for name in ["d", "p", "q", "dp", "dq", "qi"] {
        jwk.as_object_mut().unwrap().remove(name);
    }
    // Wycheproof misspells the algorithm of RFC 7520 figure 27; the token says ES512.
    if jwk["alg"] == "ES521" {
        jwk["alg"] = "ES512".into();
    }
    jwk
}

/// Opens a JWE as the holder of `private`; of a key that cannot be ours, as the holder of some other key.
pub fn open(jwe: &str, private: &Value) -> Result<Vec<u8>, JoseError> {
    let scalar = private["d"].as_str().and_then(|d| base64url_decode(d).ok()?.try_into().ok());
    let scalar = if private["crv"] == "P-256" { scalar } else { None };
    // The vectors use one key with and without its name.
    let header = jwe.split('.').next().and_then(|part| base64url_decode(part).ok()).unwrap_or_default();
    let header: Value = serde_json::from_slice(&header).unwrap_or_default();
    let key = DecryptionKey::from_scalar(&scalar.unwrap_or([7; 32]), header["kid"].as_str().unwrap_or_default())?;
    key.decrypt(jwe, &BOTH, &Limits::default())
}

/// Whether signatures of this `alg` are accepted.
pub fn is_ours(alg: &str) -> bool {
    matches!(alg, "ES256" | "ES384" | "ES512" | "EdDSA" | "Ed25519")
}

#[test]
fn cookbook() {
    let mut tally = Tally::new("jose/rfc7520-cookbook");
    for (file, case) in vector_files("jose/rfc7520-cookbook") {
        if file.starts_with("jwk_") {
            let kind = (case["kty"].as_str().unwrap(), case.get("d").is_some());
            let whole = PublicKey::from_jwk(&case);
            match kind {
                ("EC", true) => {
                    tally.holds(&file, whole.err() == Some(JoseError::PrivateKey), || "private".to_owned());
                    tally.case(&file, "accept", PublicKey::from_jwk(&public(&case)));
                }
                ("EC", false) => tally.case(&file, "accept", whole),
                _ => tally.case(&file, "reject", whole),
            }
            continue;
        }
        for output in outputs(&case) {
            for (form, token) in output.as_object().unwrap() {
                let name = format!("{file} {form}");
                match token {
                    Value::String(compact) if compact.split('.').count() == 5 => {
                        tally.case(&name, "reject", open(compact, &case["input"]["key"]));
                    }
                    Value::String(compact) if is_ours(case["input"]["alg"].as_str().unwrap_or_default()) => {
                        let key = PublicKey::from_jwk(&public(&case["input"]["key"])).unwrap();
                        tally.case(&name, "accept", verify_any_payload(compact, &key));
                    }
                    Value::String(compact) => {
                        tally.case(&name, "reject", verify_any_payload(compact, some_key().public_key()));
                    }
                    // The JSON forms are not read: what a compact form protects may stand unprotected there.
                    json_form => tally.case(&name, "reject", Jws::parse(&json_form.to_string(), &Limits::default())),
                }
            }
        }
    }
    tally.finish(51);
}

/// Every `output` of a case, also those of its steps.
fn outputs(case: &Value) -> Vec<&Value> {
    let steps = case.as_object().unwrap().values();
    steps.filter_map(|step| step.get("output")).chain(case.get("output")).collect()
}

fn some_key() -> SigningKey {
    SigningKey::from_p256_scalar(&[7; 32]).unwrap()
}

#[test]
fn josekit_keys() {
    let mut tally = Tally::new("jose/josekit keys");
    for (name, jwk) in vector("jose/josekit/keys_shared.json").as_object().unwrap() {
        let read = PublicKey::from_jwk(jwk);
        let ours = matches!(jwk["crv"].as_str(), Some("P-256" | "P-384" | "P-521" | "Ed25519"));
        if ours && jwk.get("d").is_none() {
            tally.case(name, "accept", read);
        } else {
            let error =
                if jwk.get("d").or(jwk.get("k")).is_some() { JoseError::PrivateKey } else { JoseError::UnsupportedKey };
            tally.holds(name, read.as_ref().err() == Some(&error), || format!("{read:?}"));
        }
    }
    tally.finish(24);
}

#[test]
fn josekit_tokens() {
    let mut tally = Tally::new("jose/josekit tokens");
    let keys = vector("jose/josekit/keys_shared.json");
    for case in vector("jose/josekit/tokens_shared.json").as_array().unwrap() {
        let (name, token) = (case["name"].as_str().unwrap(), case["token"].as_str().unwrap());
        if token.split('.').count() == 5 {
            let got = open(token, &keys["EC_P-256_private"]);
            let ours = matches!(name, "ECDH-ES_P-256_A256GCM" | "ECDH-ES_P-256_A128GCM");
            tally.case(name, if ours { "accept" } else { "reject" }, got);
            continue;
        }
        let key = match name {
            "ES256" => "EC_P-256_public",
            "ES384" => "EC_P-384_public",
            "ES512" => "EC_P-521_public",
            "EdDSA" => "OKP_Ed25519_public",
            _ => {
                tally.case(name, "reject", verify_any_payload(token, some_key().public_key()));
                continue;
            }
        };
        let Some(key) = keys.get(key) else { panic!("{key} is not among the keys") };
        tally.case(name, "accept", verify_any_payload(token, &PublicKey::from_jwk(key).unwrap()));
    }
    tally.finish(87);
}

#[test]
fn base64url_is_strict() {
    let mut tally = Tally::new("attack-corpora/base64url_strict");
    for case in vector("attack-corpora/base64url_strict_shared.json").as_array().unwrap() {
        let text = case["text"].as_str().unwrap();
        let expect = if case["valid"] == true { "accept" } else { "reject" };
        let decoded = base64url_decode(text);
        assert!(decoded.as_ref().is_ok_and(|bytes| base64url_encode(bytes) == text) || expect == "reject", "{text:?}");
        tally.case(text, expect, decoded);
    }
    tally.finish(13);
}

#[test]
fn strings_go_through_tokens_byte_for_byte() {
    let mut tally = Tally::new("attack-corpora/strings in tokens");
    let key = some_key();
    for case in vector("attack-corpora/strings_shared.json").as_array().unwrap() {
        let text = case["text"].as_str().unwrap();
        let token = key.sign_jws(&Map::new(), &json!({"name": text, text: 1})).unwrap();
        let claims =
            Jws::parse(&token, &Limits::default()).unwrap().verify(key.public_key(), &[Jws::ANY_TYPE]).unwrap();
        tally.holds(text, claims["name"] == text && claims[text] == 1, || format!("{claims:?}"));
    }
    tally.finish(21);
}
