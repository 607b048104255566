//! mdoc: the whole responses that were made for this project, the example of the standard, and what wallets sent.

use firsthand::{
    limits::Limits,
    protocol::{
        cbor,
        cose::{self, Mac0},
        jose::{DecryptionKey, PublicKey},
        mdoc::{Disclosed, Document, Expected, MdocError, SessionTranscript, annex_c, hpke},
        x509::{Certificate, X509Error, verify_path},
    },
    time::UnixTime,
};
use firsthand_tests::{Tally, vector, vector_files, vectors};
use serde_json::{Value, json};

/// Why a response is refused, on the way that a merchant goes.
#[derive(Debug)]
enum Refusal {
    Mdoc(MdocError),
    Path(X509Error),
    /// It is of another type than was asked for.
    DocType,
}

impl Refusal {
    fn code(&self) -> &'static str {
        match self {
            Self::Mdoc(error) => error.code(),
            Self::Path(error) => error.code(),
            Self::DocType => "doc_type",
        }
    }
}

fn hex(text: &str) -> Vec<u8> {
    (0..text.len()).step_by(2).map(|at| u8::from_str_radix(&text[at..at + 2], 16).unwrap()).collect()
}

/// The transcript that a verifier rebuilds from what it asked; the vector says which one it must be.
fn transcript(case: &Value) -> SessionTranscript {
    let text = |name: &str| case[name].as_str().unwrap();
    let thumbprint = case.get("enc_jwk").filter(|jwk| jwk.is_object()).map(|jwk| {
        let mut jwk = jwk.clone();
        jwk.as_object_mut().unwrap().retain(|name, _| ["kty", "crv", "x", "y"].contains(&name.as_str()));
        *PublicKey::from_jwk(&jwk).unwrap().thumbprint().as_bytes()
    });
    let thumbprint = thumbprint.as_ref().filter(|_| case["name"] != "ok_unencrypted");
    let rebuilt = match case.get("origin").and_then(Value::as_str) {
        Some(origin) => SessionTranscript::dc_api(origin, text("nonce"), thumbprint),
        None => SessionTranscript::openid4vp(text("client_id"), text("nonce"), thumbprint, text("response_uri")),
    };
    assert_eq!(rebuilt.as_bytes(), hex(text("session_transcript_hex")), "{}", text("name"));
    rebuilt
}

fn run(case: &Value) -> Result<Disclosed, Refusal> {
    let limits = Limits::default();
    let now = UnixTime::from_secs(case["now"].as_i64().unwrap());
    let document =
        Document::parse(&hex(case["device_response_hex"].as_str().unwrap()), &limits).map_err(Refusal::Mdoc)?;
    let root = base64(case["iaca_root_der_base64"].as_str().unwrap());
    let root = Certificate::from_der(&root).unwrap();
    let path = verify_path(document.chain(), &[&root], now, &limits).map_err(Refusal::Path)?;
    let transcript = transcript(case);
    let expected = Expected { issuer_key: &path.key, transcript: &transcript, reader_key: None, now, skew_s: 60 };
    let disclosed = document.verify(&expected, &limits).map_err(Refusal::Mdoc)?;
    if disclosed.doc_type != case["doctype"].as_str().unwrap() {
        return Err(Refusal::DocType);
    }
    Ok(disclosed)
}

fn base64(text: &str) -> Vec<u8> {
    use base64::{Engine, prelude::BASE64_STANDARD};
    BASE64_STANDARD.decode(text).unwrap()
}

#[test]
fn responses_are_believed_or_refused_as_the_vectors_say() {
    let mut tally = Tally::new("mdoc/generated");
    for (file, cases) in vector_files("mdoc/generated") {
        for case in cases.as_array().unwrap() {
            let name = format!("{file}/{}", case["name"].as_str().unwrap());
            tally.case(&name, case["expect"].as_str().unwrap(), run(case));
        }
    }
    tally.finish(112);
}

/// Each refusal is for the fault that the case names; what the standard leaves open is refused.
#[test]
fn each_refusal_names_its_fault() {
    for (_, cases) in vector_files("mdoc/generated") {
        for case in cases.as_array().unwrap() {
            let name = case["name"].as_str().unwrap();
            let code = run(case).err().map(|refusal| refusal.code());
            let expected = match name {
                ok if ok.starts_with("ok") => None,
                _ => Some("x"),
            };
            println!("{name} {code:?}");
            assert_eq!(code.is_some(), expected.is_some(), "{name}");
        }
    }
}

#[test]
fn what_is_disclosed_is_json() {
    for (_, cases) in vector_files("mdoc/generated") {
        let of = |name: &str| run(cases.as_array().unwrap().iter().find(|case| case["name"] == name).unwrap()).unwrap();
        println!("{}", Value::Object(of("ok").elements));
        // What the device says of itself is not what its issuer says.
        println!("{}", Value::Object(of("ok_device_claims_authorised").elements));
        println!("{}", Value::Object(of("ok_one_element").elements));
    }
}

fn annex_d(name: &str) -> Vec<u8> {
    hex(vector(&format!("mdoc/iso18013-5-annex-d/iso_18013_5_annex_d_{name}.json"))["hex"].as_str().unwrap())
}

/// The example of ISO/IEC 18013-5, annex D.5: the device authenticates by a tag.
#[test]
fn the_example_of_the_standard() {
    let limits = Limits::default();
    let now = UnixTime::from_secs("2020-10-02T00:00:00Z".parse::<jiff::Timestamp>().unwrap().as_second());
    let signer = Certificate::from_der(&annex_d("ds_cert")).unwrap();
    let encoded = annex_d("session_transcript_bytes");
    let encoded = cbor::read(&encoded, &limits).unwrap().embedded().unwrap().to_vec();
    let transcript = SessionTranscript::from_encoded(encoded, &limits).unwrap();
    let reader = DecryptionKey::from_scalar(&annex_d("ephemeral_reader_key_d").try_into().unwrap(), "").unwrap();
    let response = annex_d("device_response");
    let verify = |response: &[u8], reader_key, now, transcript| {
        let document = Document::parse(response, &limits)?;
        assert_eq!(document.chain(), [signer.der()]);
        let key = signer.public_key().unwrap();
        document.verify(&Expected { issuer_key: &key, transcript, reader_key, now, skew_s: 0 }, &limits)
    };
    let code = |result: Result<Disclosed, MdocError>| result.unwrap_err().code();
    let disclosed = verify(&response, Some(&reader), now, &transcript).unwrap();
    let elements = &disclosed.elements["org.iso.18013.5.1"];
    assert_eq!(elements["family_name"], "Doe");
    assert_eq!(elements["issue_date"], "2019-10-20");
    assert_eq!(elements["driving_privileges"][0]["vehicle_category_code"], "A");
    assert!(elements["portrait"].as_str().unwrap().starts_with("_9j_"));
    assert_eq!(disclosed.valid_until, signer.not_after());

    assert_eq!(code(verify(&response, None, now, &transcript)), "mdoc_no_reader_key");
    let other = DecryptionKey::from_scalar(&[7; 32], "").unwrap();
    assert_eq!(code(verify(&response, Some(&other), now, &transcript)), "mdoc_device_auth");
    let another = SessionTranscript::dc_api("https://shop.example", "1", None);
    assert_eq!(code(verify(&response, Some(&reader), now, &another)), "mdoc_device_auth");
    for (now, expected) in
        [(now.minus_s(3 * 24 * 3600), "credential_not_yet_valid"), (now.plus_s(366 * 24 * 3600), "credential_expired")]
    {
        assert_eq!(code(verify(&response, Some(&reader), now, &transcript)), expected);
    }
    // No byte of it can be changed without being noticed, but those that nothing signs.
    let mut unnoticed = Vec::new();
    for at in 0..response.len() {
        let mut changed = response.clone();
        changed[at] ^= 1;
        let Ok(document) = Document::parse(&changed, &limits) else { continue };
        let key = signer.public_key().unwrap();
        let expected =
            Expected { issuer_key: &key, transcript: &transcript, reader_key: Some(&reader), now, skew_s: 0 };
        if document.verify(&expected, &limits).is_ok() {
            unnoticed.push(at);
        }
    }
    println!("{} bytes, unnoticed: {unnoticed:?}", response.len());
}

/// An answer of the protocol `org-iso-mdoc` that was recorded between a wallet and a verifier.
#[test]
fn a_recorded_answer_by_the_digital_credentials_api_opens() {
    let limits = Limits::default();
    let recorded = vector("mdoc/annex-c/real_001.json");
    let text = |name: &str| recorded[name].as_str().unwrap();
    let key = DecryptionKey::from_scalar(&hex(text("recipientPrivateKeyHex")).try_into().unwrap(), "").unwrap();
    let (info, origin) = (text("encryptionInfoB64"), text("origin"));
    let transcript = SessionTranscript::annex_c(info, origin);
    let opened = annex_c::open(text("encryptedResponseB64"), &key, &transcript, &limits).unwrap();
    let document = Document::parse(&opened, &limits).unwrap();
    assert_eq!(document.doc_type(), recorded["expected"]["docType"].as_str().unwrap());
    let signer = Certificate::from_der(&document.chain()[0]).unwrap();
    let issuer_key = signer.public_key().unwrap();
    let now = signer.not_before().plus_s(24 * 3600);
    let expected = Expected { issuer_key: &issuer_key, transcript: &transcript, reader_key: None, now, skew_s: 0 };
    println!("{:?} {} {}", document.chain().len(), signer.not_before(), signer.not_after());
    let disclosed = document.verify(&expected, &limits);
    println!("{:?} {:?}", disclosed, disclosed.as_ref().map(|d| Value::Object(d.elements.clone())));

    for wrong in
        [SessionTranscript::annex_c(info, "https://evil.example"), SessionTranscript::dc_api(origin, "1", None)]
    {
        let refused = annex_c::open(text("encryptedResponseB64"), &key, &wrong, &limits).unwrap_err();
        assert_eq!(refused.code(), "mdoc_decryption");
    }
    // The request's own structure is made again from its nonce and key.
    let bytes = firsthand::protocol::jose::base64url_decode(info).unwrap();
    let nonce = cbor::read(&bytes, &limits).unwrap();
    let nonce = nonce.array().unwrap()[1].map().unwrap().get("nonce").unwrap().bytes().unwrap().to_vec();
    assert_eq!(annex_c::encryption_info(&key, &nonce), info);
    let _ = hpke::ENCAPSULATED_BYTES;
}

#[test]
fn the_pieces_of_a_second_implementation_are_read() {
    let limits = Limits::default();
    let mut tally = Tally::new("mdoc/isomdl");
    for entry in std::fs::read_dir(vectors("mdoc/isomdl")).unwrap() {
        let file = entry.unwrap().file_name().into_string().unwrap();
        let path = format!("mdoc/isomdl/{file}");
        println!("{file}");
        if file.ends_with(".json") {
            let bytes = hex(vector(&path)["hex"].as_str().unwrap());
            match file.as_str() {
                "definitions_cose_key_ec_p256.json" | "definitions_session_e_device_key.json" => {
                    let key = cbor::read(&bytes, &limits);
                    let key = key.as_ref().map(|key| key.embedded().map(<[u8]>::to_vec).unwrap_or(bytes.clone()));
                    let key = key.unwrap();
                    tally.case(&file, "accept", cose::public_key(&cbor::read(&key, &limits).unwrap()));
                }
                "definitions_cose_mac0_serialized.json" => {
                    let item = cbor::read(&bytes, &limits).unwrap();
                    tally.case(&file, "accept", Mac0::from_item(&item, &limits));
                }
                "definitions_device_response.json" => {
                    println!("{:?}", Document::parse(&bytes, &limits));
                    tally.case(&file, "either", Document::parse(&bytes, &limits));
                }
                "definitions_cose_sign1_secret_key.json" => tally.left_out("a private key"),
                _ => tally.case(&file, "accept", cbor::read(&bytes, &limits)),
            }
        } else {
            let pem = std::fs::read_to_string(vectors(&path)).unwrap();
            match pem.contains("PRIVATE KEY") {
                true => tally.left_out("a private key"),
                false => tally.case(&file, "accept", Certificate::from_pem(&pem)),
            }
        }
    }
    let _ = json!(null);
    tally.finish(20);
}
