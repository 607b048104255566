//! What issuers and those who vouch for them publish: lists of statuses, and lists of issuers.

use std::io::Write;

use base64::{Engine, prelude::BASE64_STANDARD};
use firsthand::{
    limits::Limits,
    protocol::{
        cbor::{Value as Cbor, encode, object},
        jose::{PublicKey, SigningKey, base64url_encode},
        mdoc::MDL,
        status_list::{
            self, Published, StatusList, Statuses,
            cwt::{self, IdentifierList, StatusCwt},
        },
        trust_list::{Judge, lote, vical},
        x509::Certificate,
    },
    testing::{
        authority::{Authority, Leaf},
        list, mdoc,
    },
};
use flate2::{Compression, write::ZlibEncoder};
use serde_json::{Map, Value, json};

use super::{Case, NOW, Topic, many_objects};

const LIST: &str = "https://status.example/lists/3";
const DAY_S: u64 = 24 * 3600;

pub fn topics() -> Vec<Topic> {
    let jwt = |name, make| Case { name, make, read: status_jwt };
    let cwt = |name, make| Case { name, make, read: status_cwt };
    let lote = |name, make| Case { name, make, read: trust_lote };
    vec![
        (
            "A list of statuses, from the token to its entries",
            vec![
                jwt("status list: 128 million entries", || vec![signed_list(list()), key_bytes()]),
                jwt("status list: 256 MiB, compressed", || vec![signed_list(bomb()), key_bytes()]),
                jwt("status list: a token of 390 000 objects", || vec![signed_objects(3 << 20), key_bytes()]),
                jwt("status list: a token larger than is read", || vec![signed_objects(4 << 20), key_bytes()]),
                cwt("status list in CBOR: 128 million entries", || vec![cbor_list(list()), key_bytes()]),
                cwt("status list in CBOR: 256 MiB, compressed", || vec![cbor_list(bomb()), key_bytes()]),
                Case { name: "identifier list: 230 000 revoked mdocs", make: identifiers, read: identifier_list },
            ],
        ),
        (
            "A list of trusted issuers",
            vec![
                lote("LoTE: 4 MiB of entities", many_entities),
                lote("LoTE: JSON of 390 000 objects", || vec![signed_objects(3 << 20), signer().1]),
                Case { name: "VICAL: 4 096 authorities", make: authorities, read: trust_vical },
                Case { name: "VICAL: 500 000 types", make: types, read: trust_vical },
            ],
        ),
    ]
}

fn key() -> SigningKey {
    SigningKey::from_p256_scalar(&[7; 32]).expect("a key")
}

fn key_bytes() -> Vec<u8> {
    key().public_key().to_jwk().to_string().into_bytes()
}

fn public(jwk: &[u8]) -> PublicKey {
    PublicKey::from_jwk(&serde_json::from_slice(jwk).expect("JSON")).expect("a key")
}

fn published() -> Published {
    Published { at: NOW, expires_at: NOW.plus_s(DAY_S), ttl_s: 300 }
}

/// As many bytes as a list may have, one entry in a thousand revoked.
fn list() -> Vec<u8> {
    let bytes = Limits::default().status_list_bytes;
    let entry = |at: usize| if at.is_multiple_of(125) { 1 << (at / 125 % 8) } else { 0 };
    zlib(&(0..bytes).map(entry).collect::<Vec<u8>>(), 1)
}

fn bomb() -> Vec<u8> {
    zlib(&vec![0; 1 << 20], 256)
}

fn zlib(bytes: &[u8], times: usize) -> Vec<u8> {
    let mut zlib = ZlibEncoder::new(Vec::new(), Compression::default());
    for _ in 0..times {
        zlib.write_all(bytes).expect("memory");
    }
    zlib.finish().expect("memory")
}

fn signed_list(zlib: Vec<u8>) -> Vec<u8> {
    let claims = Statuses::new(1, 8).expect("a list").claims(&LIST.parse().expect("a URL"), &published());
    let mut claims = claims.expect("claims");
    claims["status_list"]["lst"] = json!(base64url_encode(&zlib));
    signed(&claims)
}

fn signed(claims: &Value) -> Vec<u8> {
    let header = Map::from_iter([("typ".to_owned(), json!(status_list::TYP))]);
    key().sign_jws(&header, claims).expect("a JWT").into_bytes()
}

/// A token whose claims are objects in an array. It is signed by somebody else: that is found out last.
fn signed_objects(bytes: usize) -> Vec<u8> {
    let claims = format!("{{\"a\":{}}}", many_objects(bytes - 4_096));
    let header = json!({ "alg": "ES256", "typ": status_list::TYP, "x5c": [BASE64_STANDARD.encode(signer().1)] });
    let parts = [header.to_string().into_bytes(), claims.into_bytes(), vec![7; 64]];
    parts.map(|part| base64url_encode(&part)).join(".").into_bytes()
}

fn status_jwt(parts: &[Vec<u8>], limits: &Limits) -> Result<(), String> {
    let token = std::str::from_utf8(&parts[0]).expect("a text");
    let uri = LIST.parse().expect("a URL");
    let token = StatusList::parse(token, limits).map_err(|e| e.code().to_owned())?;
    StatusList::verify(token, &public(&parts[1]), &uri, NOW, limits).map(drop).map_err(|e| e.code().to_owned())
}

fn cbor_list(zlib: Vec<u8>) -> Vec<u8> {
    let list = object([("bits", 1.into()), ("lst", Cbor::Bytes(zlib))]);
    let issuer = mdoc::Issuer::new(key(), vec![signer().1]);
    issuer.token(cwt::MEDIA_TYPE, LIST, &published(), (65533, list)).expect("a token")
}

fn status_cwt(parts: &[Vec<u8>], limits: &Limits) -> Result<(), String> {
    let token = StatusCwt::parse(&parts[0], limits).map_err(|e| e.code().to_owned())?;
    let uri = LIST.parse().expect("a URL");
    StatusList::verify_cwt(token, &public(&parts[1]), &uri, NOW, limits).map(drop).map_err(|e| e.code().to_owned())
}

fn identifiers() -> Vec<Vec<u8>> {
    let ids: Vec<[u8; 16]> = (0..230_000_u128).map(u128::to_be_bytes).collect();
    let ids: Vec<&[u8]> = ids.iter().map(<[u8; 16]>::as_slice).collect();
    let issuer = mdoc::Issuer::new(key(), vec![signer().1]);
    vec![issuer.identifier_list_token(LIST, &published(), &ids).expect("a token"), key_bytes()]
}

fn identifier_list(parts: &[Vec<u8>], limits: &Limits) -> Result<(), String> {
    let token = StatusCwt::parse(&parts[0], limits).map_err(|e| e.code().to_owned())?;
    let uri = LIST.parse().expect("a URL");
    IdentifierList::verify(token, &public(&parts[1]), &uri, NOW, limits).map(drop).map_err(|e| e.code().to_owned())
}

/// Who signs lists, with a certificate that is configured itself.
fn signer() -> (SigningKey, Vec<u8>) {
    let authority = Authority::new("Any CA", NOW);
    let chain = authority.certify(&Leaf::new("Signer", NOW), key().public_key());
    (key(), chain[0].clone())
}

/// As many entities as the bound on bytes lets stand on one list.
fn many_entities() -> Vec<Vec<u8>> {
    let (key, certificate) = signer();
    let root = Authority::new("Issuer CA", NOW);
    let list = list::lote(7, NOW, &[("http://uri.etsi.org/19602/SvcType/PID/Issuance", root.root_der())]);
    let limit = Limits::default().trust_list_bytes;
    let entity = list["TrustedEntitiesList"][0].clone();
    let fitting = (limit / 4 * 3 - 4096) / (entity.to_string().len() + 1);
    let mut list = list;
    list["TrustedEntitiesList"] = vec![entity; fitting.min(4_096)].into();
    let signed = list::signed(&list, &key, std::slice::from_ref(&certificate)).expect("a list");
    assert!(signed.len() <= limit);
    vec![signed.into_bytes(), certificate]
}

fn trust_lote(parts: &[Vec<u8>], limits: &Limits) -> Result<(), String> {
    judged(&parts[1], limits, |judge| lote::read(&parts[0], judge).map(drop).map_err(|e| e.code().to_owned()))
}

fn trust_vical(parts: &[Vec<u8>], limits: &Limits) -> Result<(), String> {
    judged(&parts[1], limits, |judge| vical::read(&parts[0], judge).map(drop).map_err(|e| e.code().to_owned()))
}

fn judged<T>(signer: &[u8], limits: &Limits, read: impl FnOnce(&Judge<'_>) -> T) -> T {
    let signers = [Certificate::from_der(signer).expect("a certificate")];
    read(&Judge { signers: &signers, operator: None, grace_s: 0, now: NOW, limits })
}

/// A VICAL with as many certificates as it may have.
fn authorities() -> Vec<Vec<u8>> {
    let root = Authority::new("IACA", NOW);
    vical_of(vec![on_vical(root.root_der(), vec![MDL.into(); 8]); 4_096])
}

/// One with few, and with types that are nothing.
fn types() -> Vec<Vec<u8>> {
    let root = Authority::new("IACA", NOW);
    vical_of(vec![on_vical(root.root_der(), vec!["".into(); 500_000])])
}

fn on_vical(certificate: &[u8], types: Vec<Cbor>) -> Cbor {
    object([("certificate", Cbor::Bytes(certificate.to_vec())), ("docType", Cbor::Array(types))])
}

fn vical_of(infos: Vec<Cbor>) -> Vec<Vec<u8>> {
    let (key, certificate) = signer();
    let date = |at: firsthand::time::UnixTime| Cbor::Tag(0, Box::new(at.to_string().into()));
    let payload = encode(&object([
        ("version", "1.0".into()),
        ("vicalProvider", "Test".into()),
        ("date", date(NOW)),
        ("vicalIssueID", 7.into()),
        ("nextUpdate", date(NOW.plus_s(DAY_S))),
        ("certificateInfos", Cbor::Array(infos)),
    ]));
    // A `COSE_Sign1` of ES256 with one certificate (RFC 9052, 4.4).
    let bytes = |bytes: &[u8]| Cbor::Bytes(bytes.to_vec());
    let protected = encode(&Cbor::Map(vec![(1.into(), (-7).into())]));
    let unprotected = Cbor::Map(vec![(33.into(), bytes(&certificate))]);
    let message = vec!["Signature1".into(), bytes(&protected), bytes(&[]), bytes(&payload)];
    let signature = key.sign(&encode(&Cbor::Array(message))).expect("a signature");
    let list = encode(&Cbor::Array(vec![bytes(&protected), unprotected, bytes(&payload), bytes(&signature)]));
    assert!(list.len() <= Limits::default().trust_list_bytes);
    vec![list, certificate]
}
