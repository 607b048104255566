//! Documents by the browser's own way to a wallet: asked for in OpenID4VP, and in their own words (`org-iso-mdoc`, ISO/IEC
//! TS 18013-7, annex C).

use firsthand::{
    Ask, Device,
    ask::{
        Wanted,
        documents::{AGE_EU, MDL_NAMESPACE},
    },
    env::Env,
    limits::Limits,
    protocol::{
        cbor, cose,
        jose::{PublicKey, SigningKey, base64url_decode},
        mdoc::{MDL, SessionTranscript},
        openid4vp::dc_api::Protocol,
    },
    store::Memory,
    testing::{
        authority::Authority,
        mdoc::{Credential, Fault, Held, Issuer},
    },
    trust::Trust,
};
use firsthand_axum::testing::{Asking, Browser, Reply, TestShop};
use http::StatusCode;
use serde_json::{Value, json};

use crate::probe::{browser, standing};

const ORIGIN: &str = "https://shop.example";
const ISO: &str = "org-iso-mdoc";
const SHOWN: [(&str, &str); 1] = [(MDL_NAMESPACE, "age_over_18")];

/// A shop that believes licences, and attestations of age.
struct Stage {
    shop: TestShop,
    held: Held,
}

/// One request in a document's own words, as a wallet reads it.
#[derive(Clone)]
struct Iso {
    doc_type: String,
    elements: Vec<String>,
    has_reader: bool,
    recipient: PublicKey,
    info: String,
}

impl Iso {
    fn read(data: &Value) -> Self {
        let limits = Limits::default();
        let info = data["encryptionInfo"].as_str().unwrap().to_owned();
        let bytes = base64url_decode(&info).unwrap();
        let item = cbor::read(&bytes, &limits).unwrap();
        let parameters = item.array().unwrap()[1].map().unwrap();
        assert_eq!(item.array().unwrap()[0].text(), Some("dcapi"));
        assert_eq!(parameters.get("nonce").unwrap().bytes().unwrap().len(), 32);
        let recipient = cose::public_key(parameters.get("recipientPublicKey").unwrap()).unwrap();
        let bytes = base64url_decode(data["deviceRequest"].as_str().unwrap()).unwrap();
        let request = cbor::read(&bytes, &limits).unwrap();
        let documents = request.map().unwrap().get("docRequests").unwrap();
        let [document] = documents.array().unwrap() else { panic!("one document each") };
        let document = document.map().unwrap();
        let items = cbor::read(document.get("itemsRequest").unwrap().embedded().unwrap(), &limits).unwrap();
        let items = items.map().unwrap();
        let names = items.get("nameSpaces").unwrap().map().unwrap();
        let elements = names.iter().flat_map(|(_, of)| {
            of.map().unwrap().iter().map(|(name, _)| name.text().unwrap().to_owned()).collect::<Vec<_>>()
        });
        Self {
            doc_type: items.get("docType").unwrap().text().unwrap().to_owned(),
            elements: elements.collect(),
            has_reader: document.get("readerAuth").is_some(),
            recipient,
            info,
        }
    }

    fn transcript(&self, origin: &str) -> SessionTranscript {
        SessionTranscript::annex_c(&self.info, origin)
    }
}

impl Stage {
    fn new() -> Self {
        let now = TestShop::new().clock().now();
        let iaca = Authority::new("Utopia IACA", now);
        let trust = Trust::new().roots(&iaca.root_pem(), &[MDL, AGE_EU]).unwrap();
        let ask = Ask::new("adult", "For adults").over(18);
        let both = Ask::new("both", "Two of them")
            .credential("one", Wanted::mdoc(MDL, MDL_NAMESPACE).claim(["family_name"]))
            .credential("two", Wanted::mdoc(AGE_EU, AGE_EU).claim(["expiry_date"]));
        let shop = TestShop::with(|builder| builder.store(Memory::new()).trust(trust).ask(&ask).ask(&both));
        let credential = Credential::new(MDL, now.minus_s(1000)).says(MDL_NAMESPACE, "age_over_18", true);
        let holder = SigningKey::from_p256_scalar(&[9; 32]).unwrap();
        let held = Issuer::below(&iaca, now).issue(&credential, holder, shop.clock()).unwrap();
        Self { shop, held }
    }

    /// A question that the browser has taken to a wallet: what it asks in the words of documents.
    async fn asked(&self) -> (Browser, Asking, Vec<Iso>) {
        let mut browser = browser(&self.shop);
        let asking = browser.ask("adult", Device::SameDevice).await;
        let reply = browser.dc_requests(&asking).await.json();
        let requests = reply["requests"].as_array().unwrap().iter();
        let iso = requests.filter(|one| one["protocol"] == ISO).map(|one| Iso::read(&one["data"])).collect();
        (browser, asking, iso)
    }

    fn sealed(&self, iso: &Iso, origin: &str, faults: &[Fault]) -> Value {
        let transcript = iso.transcript(origin);
        let sealed = self.held.present_sealed(&transcript, &iso.recipient, &SHOWN, faults, self.shop.clock());
        json!({ "response": sealed.unwrap() })
    }
}

async fn redeems(browser: &mut Browser, asking: &Asking, reply: &Reply) {
    assert_eq!(reply.status, StatusCode::OK, "{}", reply.text());
    let code = reply.json()["response_code"].clone();
    let redeemed = browser.redeem(&json!({ "presentation": asking.id, "response_code": code })).await;
    assert_eq!(redeemed.status, StatusCode::OK, "{}", redeemed.text());
    let me = browser.get("/wallet/me").await.json();
    assert_eq!(me["proofs"][0]["outcome"], "over 18");
}

#[tokio::test]
async fn a_document_answers_by_the_browser_in_openid4vp() {
    let stage = Stage::new();
    for protocol in Protocol::OPENID4VP {
        let mut browser = browser(&stage.shop);
        let asking = browser.ask("adult", Device::SameDevice).await;
        let request = browser.dc_reads(&asking, protocol).await;
        let data = |faults: &[Fault]| {
            let presented = stage.held.present(&request, &SHOWN, faults, stage.shop.clock()).unwrap();
            let (key, enc) = request.encryption.as_ref().unwrap();
            let payload = json!({ "vp_token": { "age-2": [presented] } }).to_string();
            json!({ "response": firsthand::protocol::jose::encrypt(payload.as_bytes(), key, *enc).unwrap() })
        };
        for fault in [Fault::WrongAudience, Fault::WrongNonce, Fault::WrongThumbprint] {
            let reply = browser.dc_brings(&asking, protocol.name(), &data(&[fault])).await;
            assert_eq!(reply.code(), "answer_refused", "{fault:?}");
            assert_eq!(standing(&mut browser, &asking).await.1, "mdoc_device_auth", "{fault:?}");
        }
        let reply = browser.dc_brings(&asking, protocol.name(), &data(&[])).await;
        redeems(&mut browser, &asking, &reply).await;
    }
}

#[tokio::test]
async fn a_document_is_asked_for_in_its_own_words_and_each_by_itself() {
    let stage = Stage::new();
    let (mut browser, asking, iso) = stage.asked().await;
    let asked: Vec<(&str, Vec<&str>)> =
        iso.iter().map(|one| (one.doc_type.as_str(), one.elements.iter().map(String::as_str).collect())).collect();
    // The date of birth, which tells more, is not asked for.
    assert_eq!(asked, [(AGE_EU, vec!["age_over_18"]), (MDL, vec!["age_over_18"])]);
    assert!(iso.iter().all(|one| one.has_reader), "a wallet is shown who asks");
    assert_ne!(iso[0].recipient, iso[1].recipient);
    let reply = browser.dc_brings(&asking, ISO, &stage.sealed(&iso[1], ORIGIN, &[])).await;
    redeems(&mut browser, &asking, &reply).await;

    // What takes two documents is not asked so.
    let asking = browser.ask("both", Device::SameDevice).await;
    let reply = browser.dc_requests(&asking).await.json();
    assert!(reply["requests"].as_array().unwrap().iter().all(|one| one["protocol"] != ISO));
    let reply = browser.dc_brings(&asking, ISO, &json!({ "response": "x" })).await;
    assert_eq!((reply.status, reply.code().as_str()), (StatusCode::CONFLICT, "not_delivered"));
}

#[tokio::test]
async fn row_25_a_document_for_another_origin_or_request_is_refused() {
    let stage = Stage::new();
    let (mut browser, asking, iso) = stage.asked().await;
    let (_, _, others) = stage.asked().await;
    let licence = &iso[1];
    let foreign = Iso { recipient: others[1].recipient.clone(), ..licence.clone() };
    let cases = [
        ("another origin", stage.sealed(licence, "https://another.example", &[]), "mdoc_decryption"),
        ("a slash", stage.sealed(licence, "https://shop.example/", &[]), "mdoc_decryption"),
        ("another question", stage.sealed(&others[1], ORIGIN, &[]), "mdoc_decryption"),
        ("another key", stage.sealed(&foreign, ORIGIN, &[]), "mdoc_decryption"),
    ];
    for (name, data, code) in cases {
        let reply = browser.dc_brings(&asking, ISO, &data).await;
        assert_eq!(reply.code(), "answer_refused", "{name}");
        assert_eq!(standing(&mut browser, &asking).await, ("delivered".to_owned(), code.to_owned()), "{name}");
    }
    let (mut browser, asking, iso) = stage.asked().await;
    let answer = |faults: &[Fault]| stage.sealed(&iso[1], ORIGIN, faults);
    for (name, data, code) in [
        // The licence in answer to the question for the attestation.
        ("another document", stage.sealed(&iso[0], ORIGIN, &[]), "credential_type_mismatch"),
        ("a foreign device", answer(&[Fault::ForeignDeviceKey]), "mdoc_device_auth"),
        ("nobody signed", answer(&[Fault::NoDeviceAuth]), "mdoc_no_device_auth"),
        ("two documents", answer(&[Fault::TwoDocuments]), "mdoc_documents"),
    ] {
        let reply = browser.dc_brings(&asking, ISO, &data).await;
        assert_eq!(reply.code(), "answer_refused", "{name}");
        assert_eq!(standing(&mut browser, &asking).await, ("delivered".to_owned(), code.to_owned()), "{name}");
    }
    let (mut browser, asking, _) = stage.asked().await;
    for (data, code) in [
        (json!({}), "response_missing"),
        (json!({ "response": "!" }), "mdoc_malformed"),
        (json!({ "response": "x", "error": "access_denied" }), "response_mixed_parameters"),
    ] {
        let reply = browser.dc_brings(&asking, ISO, &data).await;
        assert_eq!(reply.code(), "answer_refused", "{data}");
        assert_eq!(standing(&mut browser, &asking).await.1, code, "{data}");
    }
    let reply = browser.dc_brings(&asking, ISO, &json!({ "error": "access_denied" })).await;
    assert_eq!(reply.json(), json!({ "state": "declined" }));
}

#[tokio::test]
async fn two_asks_are_one_document_in_its_own_words() {
    const BOTH: [(&str, &str); 2] = [(MDL_NAMESPACE, "family_name"), (MDL_NAMESPACE, "age_over_18")];
    let now = TestShop::new().clock().now();
    let iaca = Authority::new("Utopia IACA", now);
    let trust = Trust::new().roots(&iaca.root_pem(), &[MDL, AGE_EU]).unwrap();
    let adult = Ask::new("adult", "For adults").over(18);
    let name =
        Ask::new("name", "To greet you").credential("licence", Wanted::mdoc(MDL, MDL_NAMESPACE).claim(["family_name"]));
    let shop = TestShop::with(|builder| builder.store(Memory::new()).trust(trust).ask(&adult).ask(&name));
    for (over, code) in [(false, "age_not_reached"), (true, "")] {
        let credential = Credential::new(MDL, now.minus_s(1000)).says(MDL_NAMESPACE, "age_over_18", over).says(
            MDL_NAMESPACE,
            "family_name",
            "Adler",
        );
        let holder = SigningKey::from_p256_scalar(&[9; 32]).unwrap();
        let held = Issuer::below(&iaca, now).issue(&credential, holder, shop.clock()).unwrap();
        let mut browser = browser(&shop);
        let asking = browser.ask("adult name", Device::SameDevice).await;
        let reply = browser.dc_requests(&asking).await.json();
        let requests = reply["requests"].as_array().unwrap().iter();
        let iso: Vec<Iso> = requests.filter(|one| one["protocol"] == ISO).map(|one| Iso::read(&one["data"])).collect();
        let [iso] = iso.as_slice() else { panic!("one document that answers both") };
        assert_eq!(
            (iso.doc_type.as_str(), iso.elements.as_slice()),
            (MDL, &["family_name", "age_over_18"].map(String::from)[..])
        );
        let sealed = held.present_sealed(&iso.transcript(ORIGIN), &iso.recipient, &BOTH, &[], shop.clock()).unwrap();
        let reply = browser.dc_brings(&asking, ISO, &json!({ "response": sealed })).await;
        if !code.is_empty() {
            assert_eq!(reply.code(), "answer_refused");
            assert_eq!(standing(&mut browser, &asking).await.1, code);
            continue;
        }
        redeems(&mut browser, &asking, &reply).await;
        let me = browser.get("/wallet/me").await.json();
        assert_eq!(me["proofs"][1]["outcome"], "family_name");
    }
}
