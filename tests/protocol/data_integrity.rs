//! Topic `data-integrity`: the test vectors of the EdDSA and ECDSA cryptosuites, and documents with each one thing wrong.

use std::time::Instant;

use firsthand::{
    limits::Limits,
    protocol::{
        did::{Did, Relationship},
        jcs,
        jose::{PublicKey, SigningKey, sha256},
        vc::{
            CONTEXT_V2, Expected, VcError,
            data_integrity::{Presented, Proof, Suite, sign},
            ld::{self, Contexts, LdError},
            rdfc::{self, Hash},
        },
    },
    time::UnixTime,
};
use firsthand_tests::{Tally, vector_files, vectors};
use proptest::prelude::*;
use serde_json::{Value, json};

const CITIZENSHIP: &str = "https://w3id.org/citizenship/v4rc1";
const SIGNATURE_2020: &str = "Ed25519Signature2020: the suite that eddsa-rdfc-2022 came in place of";

fn contexts() -> Contexts {
    let text = std::fs::read_to_string(vectors("data-integrity/citizenship-v4rc1.jsonld")).unwrap();
    Contexts::new().with(CITIZENSHIP, &text).unwrap()
}

fn own_key(method: &str) -> Option<PublicKey> {
    let did: Did = method.split_once('#')?.0.parse().ok()?;
    did.resolve(None, &Limits::default()).ok()?.signing_key(Relationship::AssertionMethod, method).cloned()
}

/// Every proof of a document, by the keys that they name.
fn proven(document: &Value) -> Result<(), VcError> {
    let document = document.as_object().unwrap();
    for proof in Proof::of(document)? {
        let key = own_key(proof.method()).ok_or(VcError::IssuerKey)?;
        proof.verify(document, &key, &contexts())?;
    }
    Ok(())
}

fn canonical(document: &Value) -> String {
    let quads = ld::quads(document.as_object().unwrap(), &contexts()).unwrap();
    rdfc::canonicalize(quads, Hash::Sha256).unwrap().lines().concat()
}

fn unsecured(document: &Value) -> Value {
    let mut document = document.clone();
    document.as_object_mut().unwrap().remove("proof");
    document
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[test]
fn the_vectors_of_the_cryptosuites() {
    let mut tally = Tally::new("data-integrity/vc-di");
    for (file, content) in
        vector_files("data-integrity/vc-di-eddsa").into_iter().chain(vector_files("data-integrity/vc-di-ecdsa"))
    {
        for (name, part) in content.as_object().unwrap() {
            let case = format!("{file}/{name}");
            let signed = part.get("proof").is_some();
            if file.starts_with("Ed25519Signature2020") {
                if signed {
                    tally.case(&case, "reject", proven(part));
                    tally.left_out(SIGNATURE_2020);
                }
            } else if name.starts_with("addSignedSDBase") {
                // What the issuer made shows everything to everybody, and is no presentation.
                tally.case(&case, "reject", proven(part));
            } else if signed && !name.starts_with("proofChainTempDoc") {
                tally.case(&case, "accept", proven(part));
                let mut changed = part.clone();
                let shown =
                    if changed["credentialSubject"].get("alumniOf").is_some() { "alumniOf" } else { "birthCountry" };
                changed["credentialSubject"][shown] = json!("Elsewhere");
                tally.case(&format!("{case}, changed"), "reject", proven(&changed));
                let mut changed = part.clone();
                let proof = if changed["proof"].is_array() { &mut changed["proof"][0] } else { &mut changed["proof"] };
                proof["created"] = json!("2023-02-24T23:36:39Z");
                tally.case(&format!("{case}, of another time"), "reject", proven(&changed));
            }
        }
        let text = |name: &str| {
            content.as_object().unwrap().iter().find(|(file, _)| file.starts_with(name)).map(|(_, text)| text)
        };
        let document = text("signed").map(unsecured);
        if let (Some(document), Some(expected)) = (&document, text("canonDoc")) {
            let (ours, expected) = match expected {
                Value::String(expected) => (canonical(document), expected.clone()),
                expected => (jcs::canonicalize(document).unwrap(), jcs::canonicalize(expected).unwrap()),
            };
            tally.holds(&format!("{file}/canonDoc"), ours == expected, || ours.clone());
            if !file.contains("p384") {
                let digest = hex(&sha256(ours.as_bytes()));
                let expected = text("docHash").unwrap().as_str().unwrap();
                tally.holds(&format!("{file}/docHash"), digest == expected, || digest.clone());
            }
        }
        if let (Some(document), Some(expected)) = (text("addSignedSDBase").map(unsecured), text("addBaseDocCanon")) {
            let expected: String = expected.as_array().unwrap().iter().map(|line| line.as_str().unwrap()).collect();
            let ours = canonical(&document);
            tally.holds(&format!("{file}/addBaseDocCanon"), ours == expected, || ours.clone());
        }
    }
    tally.finish(50);
}

#[test]
fn documents_with_one_thing_wrong() {
    let mut tally = Tally::new("data-integrity/generated");
    for (file, cases) in vector_files("data-integrity/generated") {
        for case in cases.as_array().unwrap() {
            let name = format!("{file}/{}", case["name"].as_str().unwrap());
            let limits = Limits::default();
            let expected = Expected {
                audience: "",
                nonce: "",
                holder_binding: false,
                now: UnixTime::from_secs(case["now"].as_i64().unwrap()),
                holder_proof_age_s: 300,
                skew_s: 60,
                limits: &limits,
            };
            let verified = Presented::parse(&case["document"], &limits).and_then(|presented| {
                let (did, method) = presented.issuer();
                // Whom nobody trusts is not resolved.
                if did.as_str() != case["trusted_issuer"].as_str().unwrap() {
                    return Err(VcError::IssuerKey);
                }
                let key = own_key(method).ok_or(VcError::IssuerKey)?;
                presented.verify(&key, &expected, &Contexts::new())
            });
            tally.case(&name, case["expect"].as_str().unwrap(), verified);
        }
    }
    tally.finish(62);
}

fn secured(document: &Value) -> Result<(), VcError> {
    let key = SigningKey::from_ed25519_seed(&[7; 32]).unwrap();
    let did = Did::key(key.public_key());
    let method = format!("{did}#{}", did.as_str().trim_start_matches("did:key:"));
    let members = document.as_object().unwrap();
    let options = json!({"proofPurpose": "assertionMethod", "created": "2025-01-01T00:00:00Z"});
    let proof = sign(Suite::EddsaRdfc2022, members, options, &method, &key, &contexts())?;
    let mut document = members.clone();
    document.insert("proof".to_owned(), proof);
    proven(&Value::Object(document))
}

fn credential(subject: Value) -> Value {
    json!({
        "@context": [CONTEXT_V2, CITIZENSHIP], "type": ["VerifiableCredential"],
        "id": "urn:uuid:1", "issuer": "did:example:issuer", "validFrom": "2025-01-01T00:00:00Z",
        "credentialSubject": subject,
    })
}

#[test]
fn what_json_ld_would_drop_is_refused() {
    assert_eq!(secured(&credential(json!({"id": "did:example:a", "givenName": "Ada", "birthCountry": "FR"}))), Ok(()));
    let undefined = Err(VcError::Ld(LdError::Undefined));
    for subject in [
        json!({"id": "did:example:a", "givenName": "Ada", "unknownTerm": "free of charge"}),
        json!({"id": "did:example:a", "type": "UnknownType"}),
        json!({"id": "relative"}),
        json!({"id": "did:example:a", "image": "relative"}),
        json!({"id": "did:example:a", "image": "@keyword"}),
        json!({"id": "did:example:a", "givenName": ["Ada", "Ada"]}),
        json!({"id": "did:example:a", "image": [{"id": "urn:x:1"}, {"id": "urn:x:1"}]}),
        json!({"id": "did:example:a", "type": ["Person", "@keyword"]}),
    ] {
        assert_eq!(secured(&credential(subject.clone())), undefined, "{subject}");
    }
    for subject in [
        json!({"@id": "did:example:a"}),
        json!({"id": "did:example:a", "@type": "Person"}),
        json!({"id": "did:example:a", "@graph": []}),
        json!({"id": "did:example:a", "givenName": {"@value": "Ada", "@type": "https://a.example/t"}}),
        json!({"id": "did:example:a", "givenName": {"@list": ["Ada"]}}),
        json!({"id": "did:example:a", "@included": []}),
    ] {
        assert_eq!(secured(&credential(subject.clone())), Err(VcError::Ld(LdError::Keyword)), "{subject}");
    }
    for subject in [json!({"id": "_:a"}), json!({"_:a": 1}), json!({"id": "did:example:a", "image": "_:b"})] {
        assert_eq!(secured(&credential(subject.clone())), Err(VcError::Ld(LdError::BlankNode)), "{subject}");
    }
    let inline = credential(json!({"id": "did:example:a", "@context": {"a": "https://a.example"}}));
    assert!(matches!(secured(&inline), Err(VcError::Ld(LdError::ContextPlace { .. }))));
    let mut unknown = credential(json!({"id": "did:example:a"}));
    unknown["@context"] = json!([CONTEXT_V2, "https://issuer.example/context"]);
    assert_eq!(secured(&unknown), Err(VcError::Ld(LdError::UnknownContext)));
}

/// The documents that cost a verifier without a guard seconds or hours. The times are printed, and not judged.
#[test]
fn a_document_that_would_take_for_ever_is_refused() {
    let linked = |nodes: usize| {
        let knows = |at: usize| (0..nodes).filter(|to| *to != at).map(|to| format!("_:n{to}")).collect::<Vec<_>>();
        (0..nodes).map(|at| json!({"id": format!("_:n{at}"), "relatedTo": knows(at)})).collect::<Vec<_>>()
    };
    let alike = |count: usize| vec![json!({"type": "Person", "birthCountry": "FR"}); count];
    let deep = (0..40).fold(json!("x"), |within, _| json!({"relatedTo": within}));
    for (name, subject, is_read) in [
        ("eight linked blank nodes", json!(linked(8)), false),
        ("twenty alike", json!({"relatedTo": alike(20)}), true),
        ("a thousand alike", json!({"relatedTo": alike(1000)}), false),
        ("forty levels", deep, false),
        ("half a mebibyte", json!({"id": "did:example:a", "givenName": "x".repeat(512 * 1024)}), false),
    ] {
        let mut document = credential(subject);
        document["@context"] = json!([CONTEXT_V2, "https://www.w3.org/ns/credentials/examples/v2"]);
        let before = Instant::now();
        let outcome = secured(&document);
        println!("{name}: {outcome:?} after {:?}", before.elapsed());
        assert_eq!(outcome.is_ok(), is_read, "{name}");
    }
}

/// JSON that is nearly a credential: members that mean something, and values that do not belong there.
fn nearly(depth: u32) -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i32>().prop_map(Value::from),
        any::<f64>().prop_filter("JSON has no others", |real| real.is_finite()).prop_map(Value::from),
        prop::sample::select(vec![
            "",
            ":",
            "a:b",
            "urn:x:1",
            "Person",
            "@id",
            "@x",
            "schema:name",
            "https://",
            "http://[",
            "%",
            "\u{0}",
            "#",
            "en-",
            "ÿ:ÿ",
            "_",
            "did:key:z6Mk"
        ])
        .prop_map(Value::from),
        any::<String>().prop_map(Value::from),
    ];
    leaf.prop_recursive(depth, 48, 6, |inner| {
        let names = vec![
            "id",
            "type",
            "name",
            "givenName",
            "image",
            "birthDate",
            "@value",
            "@language",
            "@direction",
            "issuer",
            "proof",
            "evidence",
            "verifiableCredential",
            "schema:name",
            "https://a.example/b",
            "a:b",
            ":",
            "",
            "term",
            "relatedResource",
            "credentialStatus",
            "degree",
        ];
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..5).prop_map(Value::from),
            prop::collection::btree_map(prop::sample::select(names).prop_map(str::to_owned), inner, 0..5)
                .prop_map(|map| map.into_iter().collect()),
        ]
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2_000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn whatever_stands_in_a_document_its_reader_survives(subject in nearly(5), proof in nearly(2), examples in any::<bool>()) {
        let mut document = credential(subject);
        if examples {
            document["@context"] = json!([CONTEXT_V2, "https://www.w3.org/ns/credentials/examples/v2"]);
        }
        if let Ok(quads) = ld::quads(document.as_object().unwrap(), &contexts()) {
            let _ = rdfc::canonicalize(quads, Hash::Sha256);
        }
        document["proof"] = proof;
        let _ = Presented::parse(&document, &Limits::default()).map(|presented| presented.issuer().0.clone());
        let _ = ld::quads(document.as_object().unwrap(), &contexts());
    }
}

/// Whatever its caller has left of its own stack.
#[test]
fn a_document_as_deep_as_is_read_is_read() {
    let deep = |levels| (0..levels).fold(json!("x"), |within, _| json!({"relatedTo": within}));
    let read = move |levels| {
        let mut document = credential(deep(levels));
        document["@context"] = json!([CONTEXT_V2, "https://www.w3.org/ns/credentials/examples/v2"]);
        secured(&document)
    };
    let outcomes = move || (read(22), read(24));
    let thread = std::thread::Builder::new().stack_size(256 * 1024).spawn(outcomes).unwrap();
    let (read, refused) = thread.join().unwrap();
    assert_eq!(read, Ok(()));
    assert!(matches!(refused, Err(VcError::Ld(LdError::TooLarge { what: "levels", .. }))));
}

#[test]
fn the_contexts_that_others_give_are_not_those_that_are_pinned() {
    let own = json!({"@context": {"a": "https://a.example/a"}}).to_string();
    assert!(Contexts::new().with("https://issuer.example/context", &own).is_ok());
    assert!(Contexts::new().with(CONTEXT_V2, &own).is_err());
    assert!(Contexts::new().with("https://issuer.example/context", "{}").is_err());
    assert!(Contexts::new().with("https://issuer.example/context", r#"{"@context":1,"@context":2}"#).is_err());
}
