//! Credentials of the W3C.

use std::io::Read;

use firsthand::protocol::{
    status_list::Status,
    vc::{
        Credential,
        bitstring::{BitstringList, Entry},
        data_integrity::{Presented as Proved, Proof},
        jwt,
        ld::{self, Contexts},
        rdfc,
    },
};
use serde_json::{Map, Value, json};
use url::Url;

use super::{KEY, LIMITS, NOW, choice, line, object, text, value};

/// A credential or presentation as JWT.
pub(super) fn vc_jwt(data: &[u8]) {
    if let Some(text) = text(data) {
        if let Ok(read) = jwt::Presented::parse(text, &LIMITS) {
            let again = jwt::Presented::parse(text, &LIMITS).expect("read a moment ago");
            assert_eq!(format!("{:?}", read.issuer()), format!("{:?}", again.issuer()));
        }
        let _ = jwt::issuer_of(text, &LIMITS);
    }
    let (header, claims) = line(data);
    let (Some(header), Some(claims)) = (object(header), object(claims)) else { return };
    let token = KEY.sign_jws(&header, &Value::Object(claims)).expect("a signature");
    let Ok((credential, document)) = jwt::verify_credential(&token, KEY.public_key(), &LIMITS) else { return };
    assert!(!credential.types.is_empty() && !credential.issuer.is_empty());
    assert!(!document.contains_key("vp"));
    let _ = (credential.check_times(NOW, 60), credential.specific_types());
}

/// A document with a proof.
pub(super) fn vc_proof(data: &[u8]) {
    let Some(document) = value(data) else { return };
    let Some(members) = document.as_object() else { return };
    if let Ok(proofs) = Proof::of(members) {
        let contexts = Contexts::new();
        assert!(proofs.iter().all(|proof| proof.verify(members, KEY.public_key(), &contexts).is_err()));
    }
    if let Ok(read) = Proved::parse(&document, &LIMITS) {
        let (did, method) = read.issuer();
        assert!(method.starts_with(did.as_str()), "{method} is no key of {did}");
    }
    let _ = Credential::read(members);
}

/// The graph of a document: the order of its statements changes nothing.
pub(super) fn vc_graph(data: &[u8]) {
    let Some(document) = object(data) else { return };
    let contexts = Contexts::new();
    let Ok(quads) = ld::quads(&document, &contexts) else { return };
    let Ok(one) = rdfc::canonicalize(quads.clone(), rdfc::Hash::Sha256) else { return };
    let Ok(other) = rdfc::canonicalize(quads.into_iter().rev(), rdfc::Hash::Sha256) else {
        panic!("canonical in one order alone");
    };
    assert_eq!(one.lines(), other.lines());
}

/// The compressed bits of a list: each is what another reader finds in them.
pub(super) fn bitstring(data: &[u8]) {
    let (size, packed) = choice(data);
    let uri: Url = "https://issuer.example/lists/3".parse().unwrap();
    let encoded = format!("u{}", firsthand::protocol::jose::base64url_encode(packed));
    let document = json!({
        "@context": ["https://www.w3.org/ns/credentials/v2"],
        "type": ["VerifiableCredential", "BitstringStatusListCredential"],
        "issuer": "did:web:issuer.example",
        "credentialSubject": {"type": "BitstringStatusList", "statusPurpose": "message", "encodedList": encoded},
    });
    let document: Map<String, Value> = document.as_object().unwrap().clone();
    let credential = Credential::read(&document).expect("our own credential");
    let Ok(list) = BitstringList::read(&credential, &uri, NOW, &LIMITS) else { return };
    assert!(list.bytes() <= LIMITS.status_list_bytes);
    let mut inflated = Vec::new();
    flate2::read::GzDecoder::new(packed).read_to_end(&mut inflated).expect("another reader inflates it, too");
    assert_eq!(list.bytes(), inflated.len());
    let size = u64::from(size % 8) + 1;
    for index in [0, 1, 7, 8, 131_071, (inflated.len() as u64 * 8 / size).saturating_sub(1)] {
        let entry = json!({
            "type": "BitstringStatusListEntry", "statusPurpose": "message", "statusListIndex": index.to_string(),
            "statusListCredential": uri, "statusSize": size, "statusMessage": [],
        });
        let Ok(entries) = Entry::of(&entry, "did:web:issuer.example") else { return };
        let Ok(found) = list.status(&entries[0]) else { continue };
        let bit = |at: u64| inflated[usize::try_from(at / 8).unwrap()] >> (7 - at % 8) & 1;
        let expected = (0..size).fold(0_u8, |value, at| value << 1 | bit(index * size + at));
        let found = match found {
            Status::Valid => 0,
            Status::Other(other) => other,
            other => panic!("a message of {other:?}"),
        };
        assert_eq!(found, expected, "entry {index} of {size} bits");
    }
}
