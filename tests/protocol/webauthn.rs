//! The test vectors of WebAuthn Level 3, whole, against the checks of registrations and assertions.

use std::collections::BTreeSet;

use aws_lc_rs::{
    digest::{SHA256, digest},
    rand::SystemRandom,
    rsa::{KeyPair, KeySize},
    signature::{KeyPair as _, RSA_PKCS1_SHA256},
};
use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use firsthand::{
    limits::Limits,
    protocol::webauthn::{Assertion, CredentialRecord, Registration, RelyingParty, WebauthnError},
};
use firsthand_tests::{Tally, vector};
use serde_json::{Value, json};

const PAIRS: usize = 15;
/// The vectors name no user: nobody signs one.
const USER: &str = "YW55Ym9keQ";

fn shop() -> RelyingParty {
    RelyingParty::new(&"https://example.org".parse().unwrap())
}

fn bytes(part: &Value, name: &str) -> Vec<u8> {
    let digits = part[name].as_str().unwrap_or_else(|| panic!("{name}"));
    let byte = |at| u8::from_str_radix(&digits[at..at + 2], 16).unwrap();
    (0..digits.len()).step_by(2).map(byte).collect()
}

fn text(bytes: &[u8]) -> String {
    BASE64_URL_SAFE_NO_PAD.encode(bytes)
}

fn register(part: &Value, attestation_object: &[u8]) -> Result<CredentialRecord, WebauthnError> {
    let id = text(&bytes(part, "credential_id"));
    let client = text(&bytes(part, "clientDataJSON"));
    let sent = json!({
        "id": id, "rawId": id, "type": "public-key",
        "response": { "clientDataJSON": client, "attestationObject": text(attestation_object) },
    });
    let registration = Registration::read(&sent, &Limits::default())?;
    shop().check_registration(&bytes(part, "challenge"), &registration, &[])
}

fn assertion(pair: &Value, signature: &[u8]) -> Value {
    let part = &pair["authentication"];
    let id = text(&bytes(&pair["registration"], "credential_id"));
    json!({
        "id": id, "rawId": id, "type": "public-key",
        "response": {
            "clientDataJSON": text(&bytes(part, "clientDataJSON")),
            "authenticatorData": text(&bytes(part, "authenticatorData")),
            "signature": text(signature),
            "userHandle": USER,
        },
    })
}

fn sign_in(
    sent: &Value,
    challenge: &[u8],
    credential: &CredentialRecord,
    user: &str,
) -> Result<CredentialRecord, WebauthnError> {
    let assertion = Assertion::read(sent, &Limits::default())?;
    shop().check_assertion(challenge, &assertion, credential, user)
}

/// The same attestation object as a browser conveys it that was asked for no attestation (section 5.1.3): the
/// statement gone, the authenticator's data as they are.
fn conveyed(attestation_object: &[u8]) -> Vec<u8> {
    let name = b"\x68authData";
    let at = attestation_object.windows(name.len()).rposition(|part| part == name).unwrap();
    let mut object = b"\xa3\x63fmt\x64none\x67attStmt\xa0".to_vec();
    object.extend(&attestation_object[at..]);
    object
}

/// The code with which a part of a pair is refused although the standard allows it.
fn exception<'a>(exceptions: &'a Value, pair: &Value, part: &str) -> Option<&'a str> {
    let found = exceptions.as_array().unwrap().iter().find(|one| one["id"] == pair["id"] && one["part"] == part);
    found.map(|one| one["code"].as_str().unwrap())
}

#[test]
fn the_vectors_of_level_3_run_whole() {
    let (pairs, exceptions) = (vector("webauthn/level3.json"), vector("webauthn/exceptions.json"));
    assert_eq!(exceptions.as_array().unwrap().len(), 6);
    let mut tally = Tally::new("WebAuthn Level 3");
    let mut is = |name: String, expected: Result<(), &str>, got: Result<CredentialRecord, WebauthnError>| {
        let got = got.map(|_| ()).map_err(|e| e.code());
        tally.holds(&name, got == expected, || format!("expected {expected:?}, got {got:?}"));
    };
    let mut left_out = 0;
    for pair in pairs.as_array().unwrap() {
        let name = pair["id"].as_str().unwrap();
        let (made, used) = (&pair["registration"], &pair["authentication"]);
        let object = bytes(made, "attestationObject");
        // Only pages of this shop use its passkeys, and none that stands in a frame of another site.
        let is_framed = ["none-es256-crossOrigin", "none-es256-topOrigin"].contains(&name);
        let is_attested = !name.starts_with("none-") && name != "packed-self-es256";

        let excepted = exception(&exceptions, pair, "registration");
        let expected = match (is_framed, excepted) {
            (true, _) => Err("passkey_cross_origin"),
            (false, Some(code)) => Err(code),
            (false, None) => Ok(()),
        };
        // A browser that was asked for no attestation never sends one.
        let as_it_stands = register(made, &object);
        if is_attested {
            let refused = ["passkey_attestation", excepted.unwrap_or_default()];
            let code = as_it_stands.as_ref().map_or_else(WebauthnError::code, |_| "accepted");
            assert!(refused.contains(&code), "{name}: {code}");
        } else {
            is(format!("{name}: registration"), expected, as_it_stands);
        }
        let credential = register(made, &conveyed(&object));
        is(format!("{name}: registration without attestation"), expected, credential.clone());
        let credential = match credential {
            Ok(credential) => credential,
            // Any credential will do to see the page refused.
            Err(_) if is_framed => {
                let fine = &pairs[0]["registration"];
                register(fine, &bytes(fine, "attestationObject")).unwrap()
            }
            Err(_) => {
                left_out += 1;
                continue;
            }
        };

        let (challenge, signature) = (bytes(used, "challenge"), bytes(used, "signature"));
        let sent = assertion(pair, &signature);
        let excepted = exception(&exceptions, pair, "authentication");
        let expected = match (is_framed, excepted) {
            (true, _) => Err("passkey_cross_origin"),
            (false, Some(code)) => Err(code),
            (false, None) => Ok(()),
        };
        is(format!("{name}: authentication"), expected, sign_in(&sent, &challenge, &credential, USER));
        if expected.is_err() {
            continue;
        }
        // The same with one thing wrong.
        let mut bent = signature.clone();
        *bent.last_mut().unwrap() ^= 1;
        let bent = sign_in(&assertion(pair, &bent), &challenge, &credential, USER);
        is(format!("{name}: signature"), Err("passkey_signature"), bent);
        let mut other = challenge.clone();
        other[0] ^= 1;
        let other = sign_in(&sent, &other, &credential, USER);
        is(format!("{name}: challenge"), Err("passkey_challenge"), other);
        let somebody = sign_in(&sent, &challenge, &credential, "c29tZWJvZHk");
        is(format!("{name}: user"), Err("passkey_user_handle"), somebody);
    }
    assert_eq!(left_out, 4, "pairs without a credential to sign in with");
    // 5 registrations as they stand, 15 without attestation, 11 authentications, and 7 of them bent in 3 ways.
    tally.finish(5 + PAIRS + 11 + 3 * 7);
}

/// The first pair, which is good as it stands.
fn first() -> (Value, CredentialRecord) {
    let pair = vector("webauthn/level3.json")[0].clone();
    let credential = register(&pair["registration"], &bytes(&pair["registration"], "attestationObject")).unwrap();
    (pair, credential)
}

#[test]
fn an_attestation_object_that_ends_early_or_is_bent_is_refused_or_names_the_same_credential() {
    let (pair, credential) = first();
    let made = &pair["registration"];
    let object = bytes(made, "attestationObject");
    for end in 0..object.len() {
        assert!(register(made, &object[..end]).is_err(), "{end}");
    }
    for at in 0..object.len() {
        for bit in 0..8 {
            let mut bent = object.clone();
            bent[at] ^= 1 << bit;
            // Nobody signs a registration without attestation: what is bent in a way that can still be read is another
            // passkey, which the page that sent it might as well have made.
            if let Ok(other) = register(made, &bent) {
                assert_eq!(other.id(), credential.id(), "{at} {bit}");
            }
        }
    }
}

#[test]
fn an_assertion_with_one_bit_bent_anywhere_is_refused() {
    let (pair, credential) = first();
    let challenge = bytes(&pair["authentication"], "challenge");
    let sent = assertion(&pair, &bytes(&pair["authentication"], "signature"));
    sign_in(&sent, &challenge, &credential, USER).unwrap();
    for member in ["clientDataJSON", "authenticatorData", "signature"] {
        let whole = bytes(&pair["authentication"], member);
        for at in 0..whole.len() {
            for bit in 0..8 {
                let mut bent = whole.clone();
                bent[at] ^= 1 << bit;
                let mut sent = sent.clone();
                sent["response"][member] = json!(text(&bent));
                assert!(sign_in(&sent, &challenge, &credential, USER).is_err(), "{member} {at} {bit}");
            }
            let mut sent = sent.clone();
            sent["response"][member] = json!(text(&whole[..at]));
            assert!(sign_in(&sent, &challenge, &credential, USER).is_err(), "{member} {at}");
        }
    }
}

#[test]
fn what_is_stored_of_a_passkey_is_read_as_it_was_written() {
    let (_, credential) = first();
    let stored = serde_json::to_value(&credential).unwrap();
    assert_eq!(
        stored.as_object().unwrap().keys().map(String::as_str).collect::<BTreeSet<_>>(),
        BTreeSet::from(["backed_up", "backup_eligible", "counter", "id", "key", "user_verified"]),
        "nothing of the authenticator's make"
    );
    assert_eq!(serde_json::from_value::<CredentialRecord>(stored).unwrap(), credential);
    assert!(!format!("{credential:?}").contains(&text(&credential.id())));
    assert!(credential.did().unwrap().as_str().starts_with("did:jwk:"));
}

#[test]
fn a_passkey_on_rsa_as_windows_makes_them_holds_and_is_refused_when_bent() {
    let key = KeyPair::generate(KeySize::Rsa2048).unwrap();
    // `RSAPublicKey`: a sequence of n, with a zero before it, and e.
    let public = key.public_key().as_ref();
    assert_eq!((public[8], &public[265..]), (0, b"\x02\x03\x01\x00\x01".as_slice()));
    // COSE (RFC 8230, 4): kty RSA, alg RS256, n, e.
    let cose =
        [b"\xa4\x01\x03\x03\x39\x01\x00\x20\x59\x01\x00".as_slice(), &public[9..265], b"\x21\x43\x01\x00\x01"].concat();
    let rp = digest(&SHA256, b"example.org");
    let data = [rp.as_ref(), b"\x45\0\0\0\0", &[0; 16], b"\0\x04name", &cose].concat();
    let length = u16::try_from(data.len()).unwrap().to_be_bytes();
    let object = [b"\xa3\x63fmt\x64none\x67attStmt\xa0\x68authData\x59".as_slice(), &length, &data].concat();
    let client = |kind: &str| {
        format!(r#"{{"type":"webauthn.{kind}","challenge":"{}","origin":"https://example.org"}}"#, text(b"challenge"))
    };
    let sent = json!({
        "id": text(b"name"), "type": "public-key",
        "response": { "clientDataJSON": text(client("create").as_bytes()), "attestationObject": text(&object) },
    });
    let registration = Registration::read(&sent, &Limits::default()).unwrap();
    let credential = shop().check_registration(b"challenge", &registration, &[]).unwrap();
    assert_eq!(credential.did(), None);

    let data = [rp.as_ref(), b"\x05\0\0\0\x01"].concat();
    let signed = [data.as_slice(), digest(&SHA256, client("get").as_bytes()).as_ref()].concat();
    let mut signature = vec![0; key.public_modulus_len()];
    key.sign(&RSA_PKCS1_SHA256, &SystemRandom::new(), &signed, &mut signature).unwrap();
    let used = |signature: &[u8]| {
        let sent = json!({
            "id": text(b"name"), "type": "public-key",
            "response": {
                "clientDataJSON": text(client("get").as_bytes()), "authenticatorData": text(&data),
                "signature": text(signature), "userHandle": USER,
            },
        });
        sign_in(&sent, b"challenge", &credential, USER)
    };
    used(&signature).unwrap();
    for at in [0, 100, 255] {
        let mut bent = signature.clone();
        bent[at] ^= 1;
        assert_eq!(used(&bent), Err(WebauthnError::Signature), "{at}");
    }
    for short in [0, 1, 255] {
        assert!(used(&signature[..short]).is_err(), "{short}");
    }
}
