//! W3C credentials with Data Integrity proofs, whose graphs have to be expanded and canonicalised before a signature can
//! be checked; and their lists of statuses.

use std::io::Write;

use firsthand::{
    Trust,
    format::ldp_vc::LdpVc,
    limits::Limits,
    protocol::{
        did::Did,
        jose::{SigningKey, base64url_encode},
        vc::{CONTEXT_V2, bitstring::BitstringList, data_integrity::Suite, jwt},
    },
    testing::w3c::{Credential, Issuer, Secured},
};
use flate2::{Compression, write::GzEncoder};
use serde_json::{Map, Value, json};

use super::{Case, NOW, Topic, answers::verified, many_objects};

const KIND: &str = "AlumniCredential";
const ALUMNI: &str = "https://www.w3.org/ns/credentials/examples#AlumniCredential";
const LIST: &str = "https://status.example/lists/3";
/// Objects of one document, and those of them that may be without a name.
const OBJECTS: usize = 500;
const ANONYMOUS: usize = 60;

pub fn topics() -> Vec<Topic> {
    let rdf = |name, make| Case { name, make, read: ldp_vc };
    let list = |name, make| Case { name, make, read: bitstring };
    vec![
        (
            "A W3C credential with a Data Integrity proof (eddsa-rdfc-2022)",
            vec![
                rdf("ldp_vc: a text of 120 KiB", || vec![accepted(json!({ "note": "x".repeat(120 * 1024) }))]),
                rdf("ldp_vc: a text larger than is read", || vec![refused(json!({ "note": "x".repeat(140 * 1024) }))]),
                rdf("ldp_vc: 500 objects with names", || vec![accepted(json!({ "knows": named(OBJECTS) }))]),
                rdf("ldp_vc: 600 objects with names", || vec![refused(json!({ "knows": named(600) }))]),
                rdf("ldp_vc: 60 objects without names", || vec![accepted(json!({ "knows": anonymous(ANONYMOUS) }))]),
                rdf("ldp_vc: 70 objects without names", || vec![refused(json!({ "knows": anonymous(70) }))]),
                rdf("ldp_vc: all contexts that fit, 500 objects", || vec![with_contexts(0)]),
                rdf("ldp_vc: the same with three more proofs by others", || vec![with_contexts(3)]),
                rdf("ldp_vc: blank nodes alike, the most told apart", || vec![accepted(alike(most_alike()))]),
                rdf("ldp_vc: blank nodes alike, one more of each", || vec![refused(alike(most_alike() + 1))]),
                rdf("ldp_vc: blank nodes alike, 20 of each", || vec![refused(alike(20))]),
                rdf("ldp_vc: eight blank nodes, all linked", || vec![refused(linked())]),
                rdf("ldp_vc: JSON of 32 000 objects", || vec![objects()]),
            ],
        ),
        (
            "A Bitstring Status List (vc+jwt)",
            vec![
                list("bitstring list: 128 million entries", || vec![signed_list(&entries(), 1)]),
                list("bitstring list: 256 MiB, compressed", || vec![signed_list(&vec![0; 1 << 20], 256)]),
            ],
        ),
    ]
}

fn issuer() -> Issuer {
    Issuer::new(SigningKey::from_ed25519_seed(&[1; 32]).expect("a key"))
}

fn document(claims: &Value) -> Map<String, Value> {
    let holder = SigningKey::from_ed25519_seed(&[2; 32]).expect("a key");
    let credential = Credential::new(KIND, claims, NOW.minus_s(1000));
    issuer().document(secured(), &credential, &Did::jwk(holder.public_key()))
}

const fn secured() -> Secured {
    Secured::Proof(Suite::EddsaRdfc2022)
}

/// A credential that says this.
fn accepted(claims: Value) -> Vec<u8> {
    let credential = issuer().secure(secured(), &document(&claims)).expect("a credential");
    credential.to_string().into_bytes()
}

/// A credential that says something else than its issuer signed, which cannot be signed.
fn refused(claims: Value) -> Vec<u8> {
    let mut credential = issuer().secure(secured(), &document(&json!({}))).expect("a credential");
    for (name, claim) in claims.as_object().expect("claims") {
        credential["credentialSubject"][name] = claim.clone();
    }
    credential.to_string().into_bytes()
}

fn named(count: usize) -> Vec<Value> {
    (0..count).map(|at| json!({ "id": format!("urn:x:{at}"), "givenName": "Anna" })).collect()
}

fn anonymous(count: usize) -> Vec<Value> {
    (0..count).map(|at| json!({ "givenName": format!("Anna {at}") })).collect()
}

/// Two blank nodes with this many below each, all of which look the same: their orders have to be tried.
fn alike(count: usize) -> Value {
    let parent = json!({ "knows": vec![json!({ "givenName": "Anna" }); count] });
    json!({ "knows": [parent, parent] })
}

fn most_alike() -> usize {
    let fits = |count: &usize| issuer().secure(secured(), &document(&alike(*count))).is_ok();
    (1..30).take_while(fits).last().expect("some that can be told apart")
}

/// Blank nodes by their labels, each with an edge to every other one: what ssi needs 17 seconds for.
fn linked() -> Value {
    let name = |at: usize| format!("_:b{at}");
    let node = |at: usize| {
        let others: Vec<Value> =
            (0..8).filter(|other| *other != at).map(|other| json!({ "id": name(other) })).collect();
        json!({ "id": name(at), "knows": others })
    };
    json!({ "knows": (0..8).map(node).collect::<Vec<_>>() })
}

/// As many contexts as a document may name, the largest of those that are compiled in; and proofs by others before the
/// issuer's.
fn with_contexts(others: u8) -> Vec<u8> {
    let mut document = document(&json!({ "knows": named(OBJECTS) }));
    let all = [
        "https://w3id.org/traceability/v1",
        "https://purl.imsglobal.org/spec/ob/v3p0/context.json",
        "https://w3id.org/citizenship/v1",
        "https://w3id.org/vaccination/v1",
        "https://w3id.org/vdl/v1",
        "https://w3id.org/security/data-integrity/v2",
    ];
    // Some define the same term, which a protected one does not let them.
    let mut contexts = vec![CONTEXT_V2.to_owned(), "https://www.w3.org/ns/credentials/examples/v2".to_owned()];
    for context in all {
        contexts.push(context.to_owned());
        document.insert("@context".to_owned(), json!(contexts));
        if issuer().secure(secured(), &document).is_err() {
            contexts.pop();
        }
    }
    document.insert("@context".to_owned(), json!(contexts));
    let mut credential = issuer().secure(secured(), &document).expect("a credential");
    let proofs = (0..others).map(|number| {
        let key = SigningKey::from_ed25519_seed(&[100 + number; 32]).expect("a key");
        let other = Issuer::new(key).secure(secured(), &document).expect("a credential");
        other["proof"].clone()
    });
    let proofs: Vec<Value> = proofs.chain([credential["proof"].clone()]).collect();
    credential["proof"] = proofs.into();
    credential.to_string().into_bytes()
}

fn objects() -> Vec<u8> {
    let credential = issuer().secure(secured(), &document(&json!({ "note": "objects" }))).expect("a credential");
    credential.to_string().replace("\"objects\"", &many_objects(250_000)).into_bytes()
}

fn ldp_vc(parts: &[Vec<u8>], limits: &Limits) -> Result<(), String> {
    let trust = Trust::new().did(issuer().did().clone(), &[ALUMNI]).expect("an issuer");
    let presented = firsthand::protocol::json::parse(&parts[0], limits.json_depth).map_err(|e| e.code().to_owned())?;
    verified(&LdpVc::new(), &presented, &trust, None, limits)
}

/// As many bytes as a list may have, one entry in a thousand revoked.
fn entries() -> Vec<u8> {
    let bytes = Limits::default().status_list_bytes;
    (0..bytes).map(|at| if at.is_multiple_of(125) { 1 << (at / 125 % 8) } else { 0 }).collect()
}

fn signed_list(bytes: &[u8], times: usize) -> Vec<u8> {
    let mut gzip = GzEncoder::new(Vec::new(), Compression::default());
    for _ in 0..times {
        gzip.write_all(bytes).expect("memory");
    }
    let list = json!({
        "@context": [CONTEXT_V2], "id": LIST, "type": ["VerifiableCredential", "BitstringStatusListCredential"],
        "issuer": issuer().did().as_str(), "validFrom": "2026-01-01T00:00:00Z", "validUntil": "2030-01-01T00:00:00Z",
        "credentialSubject": {
            "id": format!("{LIST}#list"), "type": "BitstringStatusList", "statusPurpose": "revocation",
            "encodedList": format!("u{}", base64url_encode(&gzip.finish().expect("memory"))),
        },
    });
    let list = issuer().secure(Secured::Jose, list.as_object().expect("an object")).expect("a list");
    list.as_str().expect("a token").as_bytes().to_vec()
}

fn bitstring(parts: &[Vec<u8>], limits: &Limits) -> Result<(), String> {
    // A list is larger than any other token.
    let mut limits = limits.clone();
    limits.jws_bytes = limits.status_token_bytes;
    let key = issuer().did().public_key().expect("a key");
    let token = std::str::from_utf8(&parts[0]).expect("a text");
    let (credential, _) = jwt::verify_credential(token, &key, &limits).map_err(|e| e.code().to_owned())?;
    let list = BitstringList::read(&credential, &LIST.parse().expect("a URL"), NOW, &limits);
    list.map(drop).map_err(|e| e.code().to_owned())
}
