//! What says who is who: certificates, DID documents, and the metadata of types.

use firsthand::{
    limits::Limits,
    protocol::{
        did::{Did, DidDocument},
        jose::{PublicKey, SigningKey},
        json,
        sd_jwt::SdJwt,
        type_metadata::{Chain, Reference},
        x509::{Certificate, verify_path},
    },
    testing::authority::{Authority, Leaf},
};
use rcgen::{KeyPair, PKCS_ECDSA_P521_SHA512, PublicKeyData};
use serde_json::{Map, Value, json};

use super::{Case, NOW, Topic, many_objects};

pub fn topics() -> Vec<Topic> {
    let chain = |name, make| Case { name, make, read: chain };
    let did = |name, make| Case { name, make, read: did };
    let metadata = |name, make| Case { name, make, read: metadata };
    vec![
        (
            "A certificate chain, to a root that is believed",
            vec![
                chain("chain: 8 certificates, the leaf with 250 names", || certificates(7)),
                chain("chain: 9 certificates", || certificates(8)),
            ],
        ),
        (
            "A DID document",
            vec![
                did("DID: 384 keys on P-521", || vec![keys(64)]),
                did("DID: 65 keys in each list", || vec![keys(65)]),
                did("DID: JSON of 9 000 objects", || vec![many_objects(64 * 1024).into_bytes()]),
                Case { name: "DID: a did:peer:4 of 4 KiB", make: || vec![peer()], read: self_described },
            ],
        ),
        (
            "Type metadata: documents of 512 rules each, over a credential of 1 024 elements",
            vec![
                metadata("type metadata: four types that extend each other", || types(4)),
                metadata("type metadata: a fifth", || types(5)),
            ],
        ),
    ]
}

/// A chain with this many authorities between the leaf and the root, one certificate after the other, each behind its
/// length.
fn certificates(between: usize) -> Vec<Vec<u8>> {
    let root = Authority::new("Root", NOW);
    let last = (0..between).fold(root.clone(), |above, at| above.intermediate(&format!("Authority {at}"), NOW));
    let leaf = (0..250).fold(Leaf::new("Leaf", NOW), |leaf, at| leaf.dns_name(&format!("host-{at}.issuer.example")));
    let (_, chain) = last.issue(&leaf);
    let parts = chain.iter().flat_map(|der| [&(der.len() as u32).to_be_bytes()[..], der].concat()).collect();
    vec![parts, root.root_der().to_vec()]
}

fn chain(parts: &[Vec<u8>], limits: &Limits) -> Result<(), String> {
    let (mut chain, mut rest) = (Vec::new(), parts[0].as_slice());
    while let Some((length, after)) = rest.split_first_chunk() {
        let (der, after) = after.split_at(u32::from_be_bytes(*length) as usize);
        chain.push(der.to_vec());
        rest = after;
    }
    let root = Certificate::from_der(&parts[1]).expect("a root");
    verify_path(&chain, &[&root], NOW, limits).map(drop).map_err(|e| e.code().to_owned())
}

/// A document with this many keys in each of its lists.
fn keys(count: usize) -> Vec<u8> {
    const DID: &str = "did:web:issuer.example";
    let key = KeyPair::generate_for(&PKCS_ECDSA_P521_SHA512).expect("a key");
    let key = PublicKey::from_spki_der(&key.subject_public_key_info()).expect("a key");
    let did = Did::key(&key);
    let multikey = did.as_str().strip_prefix("did:key:").expect("a did:key");
    let mut lists = Map::from_iter([("id".to_owned(), json!(DID))]);
    let all = ["verificationMethod", "authentication", "assertionMethod", "keyAgreement", "capabilityInvocation"];
    for (number, list) in all.iter().chain(&["capabilityDelegation"]).enumerate() {
        let method =
            |at: usize| json!({ "id": format!("#{number}.{at}"), "type": "Multikey", "publicKeyMultibase": multikey });
        lists.insert((*list).to_owned(), (0..count).map(method).collect());
    }
    Value::Object(lists).to_string().into_bytes()
}

fn did(parts: &[Vec<u8>], limits: &Limits) -> Result<(), String> {
    let document = json::parse(&parts[0], limits.json_depth).map_err(|e| e.code().to_owned())?;
    DidDocument::from_json(&document, limits).map(drop).map_err(|e| e.code().to_owned())
}

fn peer() -> Vec<u8> {
    let key = SigningKey::from_ed25519_seed(&[7; 32]).expect("a key");
    let did = Did::key(key.public_key());
    let multikey = did.as_str().strip_prefix("did:key:").expect("a did:key");
    let document = |pad: usize| {
        let method = json!({ "id": "#1", "type": "Multikey", "publicKeyMultibase": multikey });
        let service = json!({ "id": "#s", "type": "x", "serviceEndpoint": "x".repeat(pad) });
        let members = json!({ "verificationMethod": [method], "authentication": ["#1"], "service": [service] });
        members.to_string()
    };
    let limits = Limits::default();
    let fits = |pad: &usize| Did::peer(&document(*pad), &limits).is_ok();
    let pad = (0..limits.did_bytes / 4 * 3).rev().find(fits).expect("a DID that fits");
    Did::peer(&document(pad), &limits).expect("a DID").as_str().as_bytes().to_vec()
}

fn self_described(parts: &[Vec<u8>], limits: &Limits) -> Result<(), String> {
    let text = std::str::from_utf8(&parts[0]).expect("a text");
    Did::parse(text, limits).and_then(|did| did.resolve(None, limits)).map(drop).map_err(|e| e.code().to_owned())
}

/// The documents of types that extend each other, each with as many rules as are read, which select as many places as they
/// may; and a credential that has them all.
fn types(count: usize) -> Vec<Vec<u8>> {
    let document = |number: usize| {
        // Each step but the first is one of two that select the same.
        let step = |rule: usize, at: usize| if rule >> at & 1 == 0 { json!(0) } else { Value::Null };
        let claim = |rule: usize| {
            let mut path = vec![json!("a"), Value::Null];
            path.extend((0..11).map(|at| step(number * 512 + rule, at)));
            json!({ "path": path, "mandatory": true, "sd": "never" })
        };
        let mut members = json!({ "vct": vct(number), "claims": (0..512).map(claim).collect::<Vec<_>>() });
        if number + 1 < count {
            members["extends"] = json!(vct(number + 1));
        }
        members.to_string().into_bytes()
    };
    let mut documents: Vec<Vec<u8>> = (0..count).map(document).collect();
    let nested = (0..11).fold(json!(0), |inner, _| json!([inner]));
    let claims = json!({ "vct": vct(0), "a": vec![nested; 1_024] });
    let key = SigningKey::from_p256_scalar(&[7; 32]).expect("a key");
    let header = Map::from_iter([("typ".to_owned(), json!("dc+sd-jwt"))]);
    documents.push(format!("{}~", key.sign_jws(&header, &claims).expect("a JWT")).into_bytes());
    documents
}

fn vct(number: usize) -> String {
    format!("https://types.example/{number}")
}

fn metadata(parts: &[Vec<u8>], limits: &Limits) -> Result<(), String> {
    let (credential, documents) = parts.split_last().expect("a credential");
    let credential = std::str::from_utf8(credential).expect("a text");
    let shape = SdJwt::parse(credential, limits).and_then(|credential| credential.shape(limits));
    let shape = shape.map_err(|e| e.code().to_owned())?;
    let mut chain = Chain::of(Reference { vct: vct(0), integrity: None });
    for document in documents {
        chain.add(document, limits).map_err(|e| e.code().to_owned())?;
    }
    chain.rules().and_then(|rules| rules.check(&shape)).map_err(|e| e.code().to_owned())
}
