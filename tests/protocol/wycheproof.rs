//! Topic `wycheproof`: the files about what is accepted here. What is right in an algorithm that is not accepted must
//! be refused, and that is asserted; primitives that no code of ours calls with these inputs are left out by the file.

use aws_lc_rs::aead::{AES_128_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
use firsthand::{
    limits::Limits,
    protocol::jose::{
        ContentEncryption, DecryptionKey, JoseError, PublicKey, base64url_decode, base64url_encode, sha256,
    },
};
use firsthand_tests::{Tally, vector};
use serde_json::{Value, json};

use crate::jose::{is_ours, open, public, verify_any_payload};

fn groups(file: &str) -> Vec<Value> {
    vector(&format!("wycheproof/{file}_shared.json"))["testGroups"].as_array().unwrap().clone()
}

fn tests(group: &Value) -> &[Value] {
    group["tests"].as_array().unwrap()
}

fn name(file: &str, test: &Value) -> String {
    format!("{file} {} {}", test["tcId"], test["comment"].as_str().unwrap_or_default())
}

fn hex(value: &Value) -> Vec<u8> {
    let text = value.as_str().unwrap();
    (0..text.len()).step_by(2).map(|at| u8::from_str_radix(&text[at..at + 2], 16).unwrap()).collect()
}

#[test]
fn raw_signatures() {
    let files = [
        ("ecdsa_secp256r1_sha256_p1363", 175),
        ("ecdsa_secp384r1_sha384_p1363", 187),
        ("ecdsa_secp521r1_sha512_p1363", 212),
        ("ed25519", 101),
    ];
    for (file, total) in files {
        let mut tally = Tally::new(file);
        for group in groups(file) {
            let key = PublicKey::from_spki_der(&hex(&group["publicKeyDer"])).unwrap();
            if let Some(jwk) = group.get("publicKeyJwk").filter(|jwk| jwk.is_object()) {
                assert_eq!(PublicKey::from_jwk(jwk).unwrap(), key);
            }
            for test in tests(&group) {
                let got = key.verify(&hex(&test["msg"]), &hex(&test["sig"]));
                tally.case(&name(file, test), test["result"].as_str().unwrap(), got);
            }
        }
        tally.finish(total);
    }
}

#[test]
fn signatures_of_other_forms_and_keys() {
    // A DER signature is none in a JWS, right or wrong; a key of another kind is none of ours.
    let files = [
        ("ecdsa_secp256r1_sha256", 323),
        ("ecdsa_secp384r1_sha384", 336),
        ("ecdsa_secp256k1_sha256_p1363", 168),
        ("rsa_pss_2048_sha256_mgf1_32", 72),
        ("rsa_signature_2048_sha256", 173),
    ];
    for (file, total) in files {
        let mut tally = Tally::new(file);
        for group in groups(file) {
            let key = PublicKey::from_spki_der(&hex(&group["publicKeyDer"]));
            assert_eq!(key.is_ok(), file.starts_with("ecdsa_secp256r1") || file.starts_with("ecdsa_secp384r1"));
            for test in tests(&group) {
                let got = key.clone().and_then(|key| key.verify(&hex(&test["msg"]), &hex(&test["sig"])));
                tally.case(&name(file, test), "reject", got);
            }
        }
        tally.finish(total);
    }
}

/// The header of a compact token, or null.
fn header(token: &str) -> Value {
    let header = token.split('.').next().and_then(|part| base64url_decode(part).ok()).unwrap_or_default();
    serde_json::from_slice(&header).unwrap_or_default()
}

/// The key of a group that a JWS names; a set must hold exactly one with that `kid` (RFC 7517 section 4.5).
fn key_for(group: &Value, jws: &str) -> Result<PublicKey, JoseError> {
    let shown = group.get("public").unwrap_or(&group["private"]);
    let Some(keys) = shown["keys"].as_array() else { return PublicKey::from_jwk(&public(shown)) };
    let kid = header(jws).get("kid").cloned();
    let mut named = keys.iter().filter(|key| key.get("kid") == kid.as_ref());
    match (named.next(), named.next()) {
        (Some(only), None) => PublicKey::from_jwk(&public(only)),
        _ => Err(JoseError::UnsupportedKey),
    }
}

#[test]
fn json_web_signatures() {
    for (file, total) in [("json_web_signature", 268), ("json_web_key", 18), ("json_web_crypto", 56)] {
        let mut tally = Tally::new(file);
        for group in groups(file) {
            for test in tests(&group) {
                let Some(jws) = test["jws"].as_str() else {
                    let got =
                        open(test["jwe"].as_str().map_or(&*test["jwe"].to_string(), |jwe| jwe), &group["private"]);
                    tally.case(&name(file, test), "reject", got);
                    continue;
                };
                let got = key_for(&group, jws).and_then(|key| verify_any_payload(jws, &key));
                // What is right in an algorithm that is not accepted is refused.
                let ours = test["result"] == "valid" && header(jws)["alg"].as_str().is_some_and(is_ours);
                tally.case(&name(file, test), if ours { "valid" } else { "reject" }, got);
            }
        }
        tally.finish(total);
    }
}

#[test]
fn json_web_encryption() {
    let file = "json_web_encryption";
    let mut tally = Tally::new(file);
    for group in groups(file) {
        for test in tests(&group) {
            let jwe = test["jwe"].as_str().map_or_else(|| test["jwe"].to_string(), str::to_owned);
            let got = open(&jwe, &group["private"]);
            let ours =
                group["private"]["alg"] == "ECDH-ES" && matches!(test["enc"].as_str(), Some("A128GCM" | "A256GCM"));
            let expect = if ours { test["result"].as_str().unwrap() } else { "reject" };
            tally.case(&name(file, test), expect, got);
        }
    }
    tally.finish(93);
}

/// What a wallet would send that agreed on `shared` with the ephemeral key `epk`: A128GCM, made without josekit.
fn wallet_jwe(epk: &Value, shared: &[u8]) -> String {
    let header = json!({"alg": "ECDH-ES", "enc": "A128GCM", "kid": "1", "epk": epk}).to_string();
    let header = base64url_encode(header.as_bytes());
    // Concat KDF of RFC 7518 section 4.6.2: one round, no apu, no apv, 128 bits.
    let mut input = [&[0, 0, 0, 1], shared, &[0, 0, 0, 7], b"A128GCM"].concat();
    input.extend_from_slice(&[0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 128]);
    let key = LessSafeKey::new(UnboundKey::new(&AES_128_GCM, &sha256(&input)[..16]).unwrap());
    let mut text = b"opened".to_vec();
    let nonce = Nonce::assume_unique_for_key([9; 12]);
    let tag = key.seal_in_place_separate_tag(nonce, Aad::from(header.as_bytes()), &mut text).unwrap();
    format!("{header}..{}.{}.{}", base64url_encode(&[9; 12]), base64url_encode(&text), base64url_encode(tag.as_ref()))
}

#[test]
fn key_agreement() {
    for (file, total) in [("ecdh_secp256r1", 408), ("ecdh_secp256r1_ecpoint", 237), ("ecdh_secp256r1_webcrypto", 236)] {
        let mut tally = Tally::new(file);
        for group in groups(file) {
            for test in tests(&group) {
                // The ephemeral key as the wallet writes it; where that takes a parser of ours, it may refuse.
                let epk = match (&test["public"], group["encoding"].as_str().unwrap()) {
                    (jwk @ Value::Object(_), _) => Ok(jwk.clone()),
                    (der, "asn") => PublicKey::from_spki_der(&hex(der)).map(|key| key.to_jwk()),
                    (point, _) => Ok(point_jwk(&hex(point))),
                };
                let mut scalar = match test["private"].get("d") {
                    Some(d) => base64url_decode(d.as_str().unwrap()).unwrap(),
                    None => hex(&test["private"]),
                };
                while scalar.len() > 32 && scalar[0] == 0 {
                    scalar.remove(0);
                }
                let mut padded = vec![0; 32 - scalar.len()];
                padded.extend_from_slice(&scalar);
                let key = DecryptionKey::from_scalar(&padded.try_into().unwrap(), "1").unwrap();
                let got = epk.and_then(|epk| {
                    let jwe = wallet_jwe(&epk, &hex(&test["shared"]));
                    key.decrypt(&jwe, &[ContentEncryption::A128Gcm], &Limits::default())
                });
                assert!(got.as_ref().is_err() || got == Ok(b"opened".to_vec()), "{}", name(file, test));
                // Acceptable are compressed points and curves without their name: refused, being neither JWK nor HAIP.
                let expect = if test["result"] == "acceptable" { "reject" } else { test["result"].as_str().unwrap() };
                tally.case(&name(file, test), expect, got);
            }
        }
        tally.finish(total);
    }
}

/// A JWK of an uncompressed point; of anything else one that is as wrong.
fn point_jwk(point: &[u8]) -> Value {
    let half = point.len().saturating_sub(1) / 2;
    let (x, y) = point.get(1..).unwrap_or_default().split_at(half);
    json!({"kty": "EC", "crv": "P-256", "x": base64url_encode(x), "y": base64url_encode(y)})
}

#[test]
fn primitives_left_out() {
    let files = [
        "a128cbc_hs256",
        "a256cbc_hs512",
        "aes_gcm",
        "aes_wrap",
        "chacha20_poly1305",
        "ec_prime_order_curves",
        "hkdf_sha256",
        "hmac_sha256",
        "rsa_oaep_2048_sha256_mgf1sha256",
        "x25519",
        "x25519_jwk",
        "xchacha20_poly1305",
    ];
    let mut tally = Tally::new("wycheproof, other files");
    for file in files {
        for group in groups(file) {
            for _ in tests(&group) {
                tally.left_out("a primitive of aws-lc, or an algorithm that is not in the types");
            }
        }
    }
    tally.finish(1791);
}
