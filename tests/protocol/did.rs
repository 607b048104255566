//! Topic `did`: what `did:key` and `did:jwk` are read as.

use firsthand::{
    limits::Limits,
    protocol::{
        did::{Did, DidError},
        jose::{JoseError, PublicKey, base64url_encode},
    },
};
use firsthand_tests::{Tally, vector, vector_files};
use serde_json::{Value, json};

fn resolve(text: &str) -> Result<PublicKey, DidError> {
    Did::parse(text, &Limits::default())?.public_key()
}

const OTHER_METHODS: &str = "another method: only did:key and did:jwk are keys";
const OTHER_KEYS: &str = "a key type for something else than our signatures: secp256k1, RSA, BLS12-381, X25519";

/// A case that the vectors accept: right for what is supported, and a typed refusal for what is not.
fn accept(tally: &mut Tally, name: &str, did: &str, jwk: Option<&Value>) {
    match resolve(did) {
        Ok(key) => {
            if let Some(expected) = jwk {
                let expected = PublicKey::from_jwk(expected).unwrap();
                tally.holds(name, key == expected, || format!("is {}", key.to_jwk()));
            } else {
                tally.case(name, "accept", Ok::<_, ()>(()));
            }
            let made = if did.starts_with("did:key:") { Did::key(&key) } else { Did::jwk(&key) };
            assert_eq!(resolve(made.as_str()).unwrap(), key, "{name}");
            assert!(did.starts_with("did:jwk:") || made.as_str() == did, "{name}: {made}");
        }
        Err(DidError::UnsupportedMethod) => tally.left_out(OTHER_METHODS),
        Err(DidError::UnsupportedKey | DidError::Key(JoseError::UnsupportedKey)) => tally.left_out(OTHER_KEYS),
        Err(error) => tally.case(name, "accept", Err::<(), _>(error)),
    }
}

#[test]
fn generated() {
    let mut tally = Tally::new("did/generated");
    for case in vector("did/generated/own_shared.json").as_array().unwrap() {
        let (name, did) = (case["name"].as_str().unwrap(), case["did"].as_str().unwrap());
        match case["expect"].as_str().unwrap() {
            "accept" => accept(&mut tally, name, did, case.get("jwk")),
            expect => tally.case(name, expect, resolve(did)),
        }
    }
    tally.finish(50);
}

#[test]
fn did_key_of_the_method() {
    let mut tally = Tally::new("did/did-key");
    for (file, case) in vector_files("did/did-key") {
        // One DID to a file, or several documents by their DID.
        let dids = match case["did"].as_str().unwrap() {
            "didDocument" => case["vector"].as_object().unwrap().clone().into_iter().collect(),
            did => vec![(did.to_owned(), case["vector"].clone())],
        };
        for (did, vector) in dids {
            let jwk = vector["verificationMethod"].get("publicKeyJwk").cloned();
            let jwk = jwk.or_else(|| {
                let base58 = vector["verificationKeyPair"]["publicKeyBase58"].as_str()?;
                file.starts_with("ed25519").then(|| ed25519_jwk(base58))
            });
            accept(&mut tally, &file, &did, jwk.as_ref());
        }
    }
    tally.finish(21);
}

#[test]
fn did_key_of_the_specification() {
    let mut tally = Tally::new("did/did-key-spec");
    for (file, case) in vector_files("did/did-key-spec") {
        let text = case["text"].as_str().unwrap();
        let did = match serde_json::from_str::<Value>(text) {
            Ok(document) => document["id"].as_str().unwrap().to_owned(),
            Err(_) => text.to_owned(),
        };
        accept(&mut tally, &file, &did, None);
    }
    tally.finish(5);
}

#[test]
fn did_peer() {
    let mut tally = Tally::new("did/did-peer");
    for folder in ["did/did-peer", "did/did-peer/core"] {
        for (_, _) in vector_files(folder) {
            tally.left_out(OTHER_METHODS);
        }
    }
    tally.finish(30);
}

/// A key in plain base58, read by a decoder of the test's own.
fn ed25519_jwk(base58: &str) -> Value {
    const LETTERS: &str = "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz";
    let mut bytes = [0u8; 32];
    for letter in base58.chars() {
        let mut carry = LETTERS.find(letter).unwrap();
        for byte in bytes.iter_mut().rev() {
            carry += usize::from(*byte) * 58;
            *byte = (carry % 256) as u8;
            carry /= 256;
        }
    }
    json!({"kty": "OKP", "crv": "Ed25519", "x": base64url_encode(&bytes)})
}
