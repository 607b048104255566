//! Topic `did`: what `did:key`, `did:jwk` and `did:peer` are read as.

use firsthand::{
    fetch::address::{Policy, check_url},
    limits::Limits,
    protocol::{
        did::{AgreementKey, Did, DidDocument, DidError, Relationship},
        jose::{JoseError, PublicKey, base64url_encode},
    },
};
use firsthand_tests::{Tally, vector, vector_files};
use serde_json::{Value, json};
use url::Url;

fn resolve(text: &str) -> Result<PublicKey, DidError> {
    Did::parse(text, &Limits::default())?.public_key()
}

fn document(text: &str) -> Result<DidDocument, DidError> {
    Did::parse(text, &Limits::default())?.resolve(None, &Limits::default())
}

/// The document of a short form, beside its long form.
fn document_of(short: &str, long: &str) -> Result<DidDocument, DidError> {
    let limits = Limits::default();
    Did::parse(short, &limits)?.resolve(Some(&Did::parse(long, &limits)?), &limits)
}

fn from_json(expected: &Value) -> DidDocument {
    DidDocument::from_json(expected, &Limits::default()).unwrap()
}

/// Whether two documents have the same keys for the same purposes, the same services and the same other names.
fn same(one: &DidDocument, other: &DidDocument) -> bool {
    let rest = |document: &DidDocument| (document.id().clone(), document.services().to_vec());
    let sorted = |document: &DidDocument| {
        let mut methods = document.methods().to_vec();
        methods.sort_by(|one, other| one.fragment().cmp(other.fragment()));
        methods
    };
    sorted(one) == sorted(other) && rest(one) == rest(other)
}

const OTHER_KEYS: &str = "a key type for something else than our signatures: secp256k1, RSA, BLS12-381";
const NUMALGO_1: &str = "did:peer with numalgo 1: a document that its text does not hold";
const GRAMMAR: &str = "a grammar or a fragment, no DID";

/// A case that the vectors accept: right for what is supported, and a typed refusal for what is not. A DID of a key that
/// is encrypted to, and signs nothing, has a document and no public key.
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
        Err(DidError::UnsupportedKey | DidError::Key(JoseError::UnsupportedKey)) => tally.left_out(OTHER_KEYS),
        Err(error) => tally.case(name, "accept", Err::<(), _>(error)),
    }
}

/// Where a did:web is asked for, if that may be asked at all.
fn leads_to(did: &str) -> Result<Url, String> {
    let url = did.parse::<Did>().and_then(|did| did.web_url()).map_err(|error| error.code().to_owned())?;
    check_url(&url, Policy::Public).map_err(|error| error.code().to_owned())?;
    Ok(url)
}

#[test]
fn generated() {
    let mut tally = Tally::new("did/generated");
    for case in vector("did/generated/own_shared.json").as_array().unwrap() {
        let (name, did) = (case["name"].as_str().unwrap(), case["did"].as_str().unwrap());
        match case["expect"].as_str().unwrap() {
            // What a did:web leads to is asked at an address that the fetch lets pass.
            "accept" if did.starts_with("did:web:") => {
                let url = leads_to(did).unwrap();
                tally.holds(name, url.as_str() == case["url"], || format!("leads to {url}"));
            }
            expect if did.starts_with("did:web:") => tally.case(name, expect, leads_to(did)),
            "accept" if did.starts_with("did:peer:") => {
                let document = document(did).unwrap();
                let key = PublicKey::from_jwk(&case["authentication_jwk"]).unwrap();
                let signs = document.signing_key(Relationship::Authentication, &format!("{did}#key-1")) == Some(&key);
                let agreement: Vec<String> = document
                    .agreement_keys()
                    .map(|(name, key)| format!("{name} {}", base64url_encode(key.as_bytes())))
                    .collect();
                let expected = case["key_agreement_x25519"].as_str().unwrap();
                let service = &document.services()[0];
                let said = json!({"type": service["type"], "uri": service["serviceEndpoint"]["uri"]});
                let holds = signs && agreement == [format!("key-2 {expected}")] && said == case["service"];
                tally.holds(name, holds, || format!("is {}", document.to_json()));
            }
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
            let expected = vector.get("didDocument").unwrap_or(&vector);
            match document(&did) {
                Ok(document) => {
                    tally.holds(&file, same(&document, &from_json(expected)), || format!("is {}", document.to_json()))
                }
                Err(DidError::UnsupportedKey) => {}
                Err(error) => tally.case(&file, "accept", Err::<(), _>(error)),
            }
            if file.starts_with("x25519") {
                let names: Vec<String> = document(&did).unwrap().agreement_keys().map(|(n, _)| n.to_owned()).collect();
                tally.holds(&file, did.ends_with(&names[0]), || format!("encrypts to {names:?}"));
                assert_eq!(resolve(&did), Err(DidError::UnsupportedKey));
            } else {
                accept(&mut tally, &file, &did, jwk.as_ref());
            }
        }
    }
    tally.finish(33);
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
fn did_peer_of_level_1() {
    let mut tally = Tally::new("did/did-peer");
    for (file, case) in vector_files("did/did-peer") {
        let text = case["text"].as_str().unwrap();
        if file.contains("_bad-") {
            tally.case(&file, "reject", document(text));
        } else if file.contains("compare-lt") {
            let dids: Vec<Did> = text.lines().map(|line| line.parse().unwrap()).collect();
            tally.holds(&file, dids[0] < dids[1], || "is not less".into());
        } else {
            assert_eq!(document(text), Err(DidError::UnsupportedMethod), "{file}");
            tally.left_out(NUMALGO_1);
        }
    }
    tally.finish(9);
}

/// The examples of the specification, in its order: what one of them says becomes what another one shows.
#[test]
fn did_peer_of_the_specification() {
    let mut tally = Tally::new("did/did-peer/core");
    let files = vector_files("did/did-peer/core");
    let text = |number: &str| {
        let (_, case) = files.iter().find(|(file, _)| file.starts_with(number)).unwrap();
        case["text"].as_str().unwrap().trim()
    };
    let json_of =
        |number: &str| -> Value { serde_json::from_str(&text(number).replace("\",\n  ],", "\"\n  ],")).unwrap() };
    let plain = |number: &str| text(number).split_whitespace().collect::<String>();
    let with_keys = |elements: &str| document(&format!("did:peer:2{}{elements}", text("03")));
    let said_by = |service: &Value| with_keys(&format!(".S{}", base64url_encode(service.to_string().as_bytes())));
    let service = |document: Result<DidDocument, DidError>| {
        let mut service = document.unwrap().services()[0].clone();
        service.as_object_mut().unwrap().remove("id");
        service
    };
    for (file, case) in &files {
        let number = &file[..2];
        match number {
            "00" | "01" | "13" | "15" | "26" => tally.left_out(GRAMMAR),
            "03" => tally.holds(file, with_keys("").unwrap().methods().len() == 2, || "lost a key".into()),
            // A service, abbreviated or not, is the service.
            "04" | "05" => {
                let expected: Value = serde_json::from_str(text("04")).unwrap();
                let got = service(said_by(&case["json"]));
                tally.holds(file, got == expected, || format!("is {got}"));
            }
            "06" | "08" => {
                let element = match number {
                    "06" => format!(".S{}", base64url_encode(text(number).as_bytes())),
                    _ => text(number).to_owned(),
                };
                let got = service(with_keys(&element));
                tally.holds(file, got == serde_json::from_str::<Value>(text("04")).unwrap(), || format!("is {got}"));
            }
            "09" => {
                let expected = document(text("10")).unwrap();
                let got = with_keys(&plain(number)).unwrap();
                tally.holds(file, got.services() == expected.services(), || format!("is {}", got.to_json()));
            }
            "10" | "12" | "14" => {
                let got = document(&plain(if number == "12" { "12" } else { "10" })).unwrap();
                tally.holds(file, same(&got, &from_json(&json_of("14"))), || format!("is {}", got.to_json()));
            }
            // The short form of a did:peer:2, which is read in its light alone.
            "17" | "18" | "19" => {
                let (long, short) = (format!("did:peer:2{}", text("17")), text("19"));
                assert_eq!(format!("did:peer:3{}", text("18")), short);
                assert_eq!(document(short), Err(DidError::NotStored));
                let (one, other) = (document_of(short, &long).unwrap(), document(&long).unwrap());
                tally.holds(file, one.methods() == other.methods(), || format!("is {}", one.to_json()));
            }
            "21" | "23" => {
                let got = document(text("21")).unwrap();
                let expected = from_json(&json_of("23"));
                let known = got.also_known_as() == expected.also_known_as() && got.name().as_str() == text("22");
                tally.holds(file, same(&got, &expected) && known, || format!("is {}", got.to_json()));
            }
            "22" | "24" => {
                assert_eq!(document(text("22")), Err(DidError::NotStored));
                let got = document_of(text("22"), text("21")).unwrap();
                let expected = from_json(&json_of("24"));
                let known = got.also_known_as() == expected.also_known_as() && got.name() == got.id();
                tally.holds(file, same(&got, &expected) && known, || format!("is {}", got.to_json()));
            }
            other => panic!("{other} is new"),
        }
    }
    tally.finish(21);
}

#[test]
fn did_peer_stands_for_its_document_alone() {
    let limits = Limits::default();
    let (_, example) = vector_files("did/did-peer/core").into_iter().find(|(file, _)| file.starts_with("21")).unwrap();
    let long = example["text"].as_str().unwrap();
    let (short, encoded) = long.rsplit_once(':').unwrap();
    let wrong_hash = long.replacen("zQmd8C", "zQmd8D", 1);
    assert_eq!(document(&wrong_hash), Err(DidError::Hash));
    for at in [0, 1, encoded.len() / 2, encoded.len() - 1] {
        let mut changed = encoded.as_bytes().to_vec();
        changed[at] = if changed[at] == b'2' { b'3' } else { b'2' };
        let changed = format!("{short}:{}", String::from_utf8(changed).unwrap());
        assert_eq!(document(&changed), Err(DidError::Hash), "letter {at}");
    }
    assert_eq!(document(&format!("{long}:")), Err(DidError::Syntax));
    assert_eq!(document(&format!("{long}:z1")), Err(DidError::Hash));
    assert_eq!(document(&long.to_uppercase()), Err(DidError::Syntax));
    // Another's long form is no light for this short form.
    let other = Did::peer(r#"{"service":[]}"#, &limits).unwrap();
    assert_eq!(document_of(short, other.as_str()), Err(DidError::Hash));
    assert_eq!(document_of(short, short), Err(DidError::Hash));
    assert_eq!(document_of(short, "did:key:z6MkhaXgBZDvotDkL5257faiztiGiC2QtKLGpbnnEGta2doK"), Err(DidError::Hash));
}

#[test]
fn an_ed25519_key_is_encrypted_to_as_x25519() {
    // The pairs of the did:key specification and of its test vectors.
    let (_, example) =
        vector_files("did/did-key-spec").into_iter().find(|(_, case)| case.get("json").is_some()).unwrap();
    let expected = from_json(&example["json"]);
    let document = document(example["json"]["id"].as_str().unwrap()).unwrap();
    assert!(same(&document, &expected), "{}", document.to_json());
    let derived = AgreementKey::derived_from(&document.id().public_key().unwrap()).unwrap();
    assert_eq!(document.agreement_keys().collect::<Vec<_>>(), [(derived.to_multikey().as_str(), derived)]);
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
