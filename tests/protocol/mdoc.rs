//! mdoc: the whole responses that were made for this project, the example of the standard, and what wallets sent.

use firsthand::{
    format::{Against, Channel, Format, IssuerRef, mdoc::Mdoc},
    limits::Limits,
    protocol::{
        cbor,
        cose::{self, Mac0, Sign1},
        jose::{DecryptionKey, PublicKey, SigningKey, base64url_decode, base64url_encode, sha256},
        mdoc::{
            Disclosed, Document, Expected, MDL, MdocError, SessionTranscript,
            annex_c::{self, Element, ItemsRequest},
        },
        x509::{Certificate, X509Error, verify_path},
    },
    testing::{
        Clock,
        authority::Authority,
        mdoc::{Credential, Issuer},
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

/// An element that nobody keeps.
fn element(namespace: &str, identifier: &str) -> Element {
    Element { namespace: namespace.to_owned(), identifier: identifier.to_owned(), retained: false }
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
    let of = |name: &str| match name {
        ok if ok.starts_with("ok") => None,
        transcript if transcript.starts_with("transcript_") => Some("mdoc_device_auth"),
        "device_key_other" | "device_doctype" | "device_payload_attached" => Some("mdoc_device_auth"),
        "device_auth_missing" | "device_signed_missing" => Some("mdoc_no_device_auth"),
        "device_claims_unauthorised" => Some("mdoc_not_authorised"),
        "value_changed" | "name_changed" => Some("mdoc_digest"),
        "digest_missing" => Some("mdoc_digest_missing"),
        "digest_id_twice" => Some("mdoc_digest_twice"),
        "digest_sha1" | "digest_md5" => Some("mdoc_digest_algorithm"),
        "item_untagged" | "tag24_loop" => Some("mdoc_malformed"),
        "item_twice" => Some("mdoc_element_twice"),
        "doctype_outer" => Some("mdoc_doc_type"),
        "doctype_both" => Some("doc_type"),
        "expired" => Some("mdoc_expired"),
        "not_yet" => Some("mdoc_not_yet_valid"),
        "ds_untrusted" => Some("certificate_key_identifier"),
        "ds_no_chain" => Some("mdoc_no_chain"),
        "ds_other_cert" | "alg_protected_missing" | "alg_other" | "crit_unknown" => Some("mdoc_issuer_auth"),
        "ds_is_root" => Some("certificate_self_signed"),
        "ds_expired" => Some("certificate_expired"),
        "ds_eku" | "ds_no_eku" => Some("mdoc_signer_purpose"),
        "ds_crit_ext" => Some("certificate_critical_extension"),
        "ds_via_ds" => Some("certificate_path_length"),
        "status_10" => Some("mdoc_status"),
        "no_documents" | "two_documents" => Some("mdoc_documents"),
        "version_2" | "mso_version_2" => Some("mdoc_version"),
        _ => Some("malformed_cbor"),
    };
    for (_, cases) in vector_files("mdoc/generated") {
        for case in cases.as_array().unwrap() {
            let name = case["name"].as_str().unwrap();
            assert_eq!(run(case).err().map(|refusal| refusal.code()), of(name), "{name}");
        }
    }
}

#[test]
fn what_is_disclosed_is_json_and_the_issuers_word() {
    for (_, cases) in vector_files("mdoc/generated") {
        let of = |name: &str| run(cases.as_array().unwrap().iter().find(|case| case["name"] == name).unwrap()).unwrap();
        let mdl = &of("ok").elements["org.iso.18013.5.1"];
        assert_eq!((&mdl["family_name"], &mdl["age_over_18"]), (&json!("Müller"), &json!(true)));
        assert_eq!(mdl["issue_date"], "2025-01-02");
        assert!(mdl["portrait"].is_string());
        // What the device says of itself is not what its issuer says.
        let with_device = of("ok_device_claims_authorised").elements;
        assert_eq!(with_device["org.iso.18013.5.1"].as_object().unwrap().len(), 4);
        assert_eq!(with_device.len(), 1);
        let one = Value::Object(of("ok_one_element").elements);
        assert_eq!(one, json!({"org.iso.18013.5.1": {"age_over_18": true}}));
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
        [(now.minus_s(3 * 24 * 3600), "mdoc_not_yet_valid"), (now.plus_s(366 * 24 * 3600), "mdoc_expired")]
    {
        assert_eq!(code(verify(&response, Some(&reader), now, &transcript)), expected);
    }
    // The same behind the format, as a till has it.
    let presented = Value::String(base64url_encode(&response));
    let at_the_till = |reader_key| {
        let issuer_key = signer.public_key().unwrap();
        Mdoc::new().parse(&presented, &limits).unwrap().verify(&Against {
            issuer_key: &issuer_key,
            channel: Channel::Transcript { session_transcript: transcript.as_bytes(), reader_key },
            encryption_key: None,
            nonce: "",
            transaction_data: &[],
            holder_binding: true,
            now,
            holder_proof_age_s: 300,
            skew_s: 0,
            limits: &limits,
        })
    };
    let authentic = at_the_till(Some(&reader)).unwrap();
    assert_eq!((authentic.types(), authentic.holder_bound()), ([MDL.to_owned()].as_slice(), true));
    assert_eq!(authentic.claims()["org.iso.18013.5.1"], *elements);
    assert_eq!(at_the_till(None).unwrap_err().code(), "mdoc_no_reader_key");
    assert_eq!(at_the_till(Some(&other)).unwrap_err().code(), "mdoc_device_auth");

    // Nothing that is signed can be changed without being noticed, and no change does anything but be refused.
    let key = signer.public_key().unwrap();
    let expected = Expected { issuer_key: &key, transcript: &transcript, reader_key: Some(&reader), now, skew_s: 0 };
    for at in (0..response.len()).step_by(3) {
        let mut changed = response.clone();
        changed[at] ^= 1;
        let Ok(document) = Document::parse(&changed, &limits) else { continue };
        if let Ok(same) = document.verify(&expected, &limits) {
            assert_eq!(same.doc_type, disclosed.doc_type, "byte {at}");
            // What is not found any more was withheld, as a holder may.
            for (name, value) in same.elements.get("org.iso.18013.5.1").and_then(Value::as_object).into_iter().flatten()
            {
                assert_eq!(Some(value), elements.get(name), "byte {at}");
            }
        }
    }
}

/// A whole exchange of the protocol `org-iso-mdoc` by a second implementation, whose key is known.
#[test]
fn an_answer_by_the_digital_credentials_api_opens() {
    let limits = Limits::default();
    let vector = vector("mdoc/annex-c/deterministic_001.json");
    let text = |name: &str| vector[name].as_str().unwrap();
    let key = DecryptionKey::from_scalar(&hex(text("recipientPrivateKeyHex")).try_into().unwrap(), "").unwrap();
    let (info, origin, answer) = (text("encryptionInfoB64"), text("origin"), text("encryptedResponseB64"));
    let digest = |bytes: &[u8]| cbor::hex(&sha256(bytes));
    let expected = |name: &str| vector["expected"][name].as_str().unwrap();

    let transcript = SessionTranscript::annex_c(info, origin);
    assert_eq!(digest(transcript.as_bytes()), expected("sessionTranscriptCborSha256Hex"));
    let opened = annex_c::open(answer, &key, &transcript, &limits).unwrap();
    assert_eq!(digest(&opened), expected("deviceResponseCborSha256Hex"));
    // Nobody's document is in it.
    assert_eq!(Document::parse(&opened, &limits).unwrap_err().code(), "mdoc_documents");

    // The request is made again from its nonce and its key, to the letter.
    let nonce: Vec<u8> = (0..16).collect();
    assert_eq!(annex_c::encryption_info(&key, &nonce), info);
    let items = ItemsRequest {
        doc_type: expected("docType").to_owned(),
        elements: vec![element("org.iso.18013.5.1", expected("requestedElement"))],
    };
    let request = annex_c::Request::new(&[items], &key, &nonce, None).unwrap();
    assert_eq!(request.data()["encryptionInfo"], info);
    assert_eq!(request.data()["deviceRequest"], text("deviceRequestB64"));
    assert_eq!(request.transcript(origin), transcript);

    let refused = |answer: &str, key: &DecryptionKey, transcript: &SessionTranscript| {
        annex_c::open(answer, key, transcript, &limits).unwrap_err().code()
    };
    let other = DecryptionKey::from_scalar(&[7; 32], "").unwrap();
    assert_eq!(refused(answer, &other, &transcript), "mdoc_decryption");
    assert_eq!(refused(answer, &key, &SessionTranscript::annex_c(info, "https://evil.example")), "mdoc_decryption");
    let cut = base64url_decode(answer).unwrap();
    assert_eq!(refused(&base64url_encode(&cut[..cut.len() - 1]), &key, &transcript), "malformed_cbor");
    assert_eq!(refused("gmVkY2FwaQ", &key, &transcript), "malformed_cbor");
    assert_eq!(refused("gQ", &key, &transcript), "malformed_cbor");
    assert_eq!(refused("gA", &key, &transcript), "mdoc_malformed");
    assert_eq!(refused("=", &key, &transcript), "mdoc_malformed");
}

/// What a verifier sent to a wallet was signed over the transcript that we build.
#[test]
fn a_recorded_request_was_signed_over_our_transcript() {
    let limits = Limits::default();
    let recorded = vector("mdoc/annex-c/real_001.json");
    let text = |name: &str| recorded[name].as_str().unwrap();
    let request = base64url_decode(text("deviceRequestB64")).unwrap();
    let request = cbor::read(&request, &limits).unwrap();
    let request = request.map().unwrap().get("docRequests").unwrap().array().unwrap()[0].map().unwrap().clone();
    let reader = Sign1::from_item(request.get("readerAuth").unwrap(), &limits).unwrap();
    let leaf = Certificate::from_der(&reader.header().x5chain.as_ref().unwrap()[0]).unwrap();
    let signed = |origin: &str| {
        let transcript = SessionTranscript::annex_c(text("encryptionInfoB64"), origin);
        let items = request.get("itemsRequest").unwrap().raw();
        let name = cbor::encode(&"ReaderAuthentication".into());
        let message = [&[0x83], name.as_slice(), transcript.as_bytes(), items].concat();
        reader.verify_detached(&leaf.public_key().unwrap(), &cbor::encode(&cbor::embed(message)))
    };
    assert_eq!(signed(text("origin")), Ok(()));
    assert_eq!(signed("https://evil.example").unwrap_err().code(), "cose_signature");
}

#[test]
fn the_pieces_of_a_second_implementation_are_read() {
    let limits = Limits::default();
    let mut tally = Tally::new("mdoc/isomdl");
    for entry in std::fs::read_dir(vectors("mdoc/isomdl")).unwrap() {
        let file = entry.unwrap().file_name().into_string().unwrap();
        let path = format!("mdoc/isomdl/{file}");
        if file.contains("key.pem") || file.contains("secret_key") || file.contains("e_device_key") {
            tally.left_out("a private key");
        } else if file.ends_with(".json") {
            let bytes = hex(vector(&path)["hex"].as_str().unwrap());
            let item = cbor::read(&bytes, &limits);
            match (file.as_str(), &item) {
                ("definitions_cose_key_ec_p256.json", Ok(key)) => tally.case(&file, "accept", cose::public_key(key)),
                ("definitions_cose_mac0_serialized.json", Ok(mac)) => {
                    tally.case(&file, "accept", Mac0::from_item(mac, &limits));
                }
                // Its signatures are no certificates' and nobody's.
                ("definitions_device_response.json", _) => {
                    tally.case(&file, "reject", Document::parse(&bytes, &limits));
                }
                _ => tally.case(&file, "accept", item),
            }
        } else {
            let pem = std::fs::read_to_string(vectors(&path)).unwrap();
            match file.as_str() {
                // Version 1, which cannot say that it is no authority.
                "issuance_issuer-cert.pem" => tally.case(&file, "reject", Certificate::from_pem(&pem)),
                _ => tally.case(&file, "accept", Certificate::from_pem(&pem)),
            }
        }
    }
    tally.finish(23);
}

/// Every other file of the example is a value that the response above was made with.
#[test]
fn the_other_values_of_the_standards_example_are_read() {
    let limits = Limits::default();
    let mut tally = Tally::new("mdoc/annex_d");
    let point = |which: &str| [vec![4], annex_d(&format!("{which}_x")), annex_d(&format!("{which}_y"))].concat();
    let key = |scalar: &str| DecryptionKey::from_scalar(&annex_d(scalar).try_into().unwrap(), "").unwrap();
    for (which, scalar) in
        [("ephemeral_reader_key", "ephemeral_reader_key_d"), ("static_device_key", "static_device_key_d")]
    {
        let jwk = key(scalar).public_jwk();
        let coordinate = |name: &str| base64url_decode(jwk[name].as_str().unwrap()).unwrap();
        let same = point(which) == [vec![4], coordinate("x"), coordinate("y")].concat();
        tally.holds(which, same, || "another point".to_owned());
    }
    for (name, _) in vector_files("mdoc/iso18013-5-annex-d") {
        let short = name.trim_start_matches("iso_18013_5_annex_d_").trim_end_matches(".json");
        match short {
            "ds_cert" | "reader_cert" => tally.case(short, "accept", Certificate::from_der(&annex_d(short))),
            one if one.len() > 2 && one[one.len() - 2..].starts_with('_') => {}
            "device_response_portrait_data" => tally.left_out("a picture"),
            _ => tally.case(short, "accept", cbor::read(&annex_d(short), &limits)),
        }
    }
    tally.finish(12);
}

/// An answer by one way is none by another, whoever signs: with a device key on P-256, and on Ed25519.
#[test]
fn each_way_of_an_answer_has_a_session_of_its_own() {
    const NS: &str = "org.iso.18013.5.1";
    const CLIENT: &str = "x509_san_dns:shop.example";
    let limits = Limits::default();
    let now = UnixTime::from_secs(1_795_348_800);
    let clock = Clock::at(now);
    let issuer = Issuer::below(&Authority::new("Utopia IACA", now), now);
    let credential = Credential::new(MDL, now.minus_s(100)).says(NS, "age_over_18", true);
    let key = [7; 32];
    let at_the_till = SessionTranscript::annex_c("not ours", "https://shop.example");
    let channels = [
        Channel::Redirect { client_id: CLIENT, response_uri: "https://shop.example/r/1" },
        Channel::DcApi { origin: "https://shop.example" },
        Channel::Transcript { session_transcript: at_the_till.as_bytes(), reader_key: None },
    ];
    let sessions = [
        SessionTranscript::openid4vp(CLIENT, "nonce", Some(&key), "https://shop.example/r/1"),
        SessionTranscript::dc_api("https://shop.example", "nonce", Some(&key)),
        at_the_till.clone(),
    ];
    let holders = [SigningKey::from_p256_scalar(&[9; 32]).unwrap(), SigningKey::from_ed25519_seed(&[9; 32]).unwrap()];
    for holder in holders {
        let held = issuer.issue(&credential, holder, &clock).unwrap();
        for (signed, session) in sessions.iter().enumerate() {
            let response = held.device_response(session, &[(NS, "age_over_18")], &[], &clock).unwrap();
            let presented = Value::String(base64url_encode(&response));
            for (expected, channel) in channels.iter().enumerate() {
                let unverified = Mdoc::new().parse(&presented, &limits).unwrap();
                let IssuerRef::X5c { chain, iss: None } = unverified.issuer() else { panic!("a chain") };
                let issuer_key = Certificate::from_der(&chain[0]).unwrap().public_key().unwrap();
                let against = Against {
                    issuer_key: &issuer_key,
                    channel: *channel,
                    encryption_key: Some(key),
                    nonce: "nonce",
                    transaction_data: &[],
                    holder_binding: true,
                    now,
                    holder_proof_age_s: 300,
                    skew_s: 60,
                    limits: &limits,
                };
                match unverified.verify(&against) {
                    Ok(authentic) => {
                        assert_eq!(signed, expected);
                        assert_eq!(authentic.claims(), &json!({NS: {"age_over_18": true}}));
                        assert_eq!(authentic.types(), [MDL]);
                        assert!(authentic.holder_bound());
                    }
                    Err(error) => {
                        assert_ne!(signed, expected, "{error}");
                        assert_eq!(error.code(), "mdoc_device_auth");
                    }
                }
                // An mdoc has no place for what somebody authorises.
                let data = ["e30".to_owned()];
                let unverified = Mdoc::new().parse(&presented, &limits).unwrap();
                let refused = unverified.verify(&Against { transaction_data: &data, ..against }).unwrap_err();
                assert_eq!(refused.code(), "presentation_malformed");
            }
        }
    }
    for wrong in [json!(1), json!("a+b"), json!("YQ="), json!("A".repeat(300_000))] {
        let refused = Mdoc::new().parse(&wrong, &limits).map(|_| ()).unwrap_err();
        assert_eq!(refused.code(), "presentation_malformed");
    }
}

/// What a wallet seals for one request opens for that alone.
#[test]
fn a_sealed_answer_is_for_its_request_alone() {
    const NS: &str = "org.iso.18013.5.1";
    let limits = Limits::default();
    let now = UnixTime::from_secs(1_795_348_800);
    let clock = Clock::at(now);
    let authority = Authority::new("Utopia IACA", now);
    let credential = Credential::new(MDL, now.minus_s(100)).says(NS, "age_over_18", true);
    let holder = SigningKey::from_p256_scalar(&[9; 32]).unwrap();
    let held = Issuer::below(&authority, now).issue(&credential, holder, &clock).unwrap();
    let key = DecryptionKey::from_scalar(&[3; 32], "").unwrap();
    let asked = [ItemsRequest { doc_type: MDL.to_owned(), elements: vec![element(NS, "age_over_18")] }];
    let request = annex_c::Request::new(&asked, &key, &[5; 16], None).unwrap();
    let session = request.transcript("https://shop.example");
    let sealed = held.present_sealed(&session, key.public_key(), &[(NS, "age_over_18")], &[], &clock).unwrap();
    let opened = annex_c::open(&sealed, &key, &session, &limits).unwrap();
    let document = Document::parse(&opened, &limits).unwrap();
    let root = Certificate::from_der(authority.root_der()).unwrap();
    let path = verify_path(document.chain(), &[&root], now, &limits).unwrap();
    let expected = Expected { issuer_key: &path.key, transcript: &session, reader_key: None, now, skew_s: 60 };
    assert_eq!(document.verify(&expected, &limits).unwrap().elements[NS], json!({"age_over_18": true}));
    let elsewhere = request.transcript("https://evil.example");
    assert_eq!(annex_c::open(&sealed, &key, &elsewhere, &limits).unwrap_err().code(), "mdoc_decryption");
    let later = annex_c::Request::new(&asked, &key, &[6; 16], None).unwrap().transcript("https://shop.example");
    assert_eq!(annex_c::open(&sealed, &key, &later, &limits).unwrap_err().code(), "mdoc_decryption");
}
