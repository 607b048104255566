//! A till with a reader: what a phone sends over NFC or Bluetooth is judged by the same rules.

use firsthand::{
    Ask, Device, Merchant,
    ask::{
        Established, Wanted,
        documents::{AGE_EU, MDL_NAMESPACE},
    },
    env::Env,
    limits::Limits,
    merchant::ReaderSession,
    protocol::{
        cbor::{self, Value, embed, encode},
        cose::cose_key,
        jose::{Algorithm, DecryptionKey, SigningKey},
        mdoc::{MDL, SessionTranscript},
        status_list::{Published, cwt},
    },
    store::Memory,
    testing::{
        authority::{Authority, new_signing_key},
        mdoc::{Credential, Fault, Held, Issuer, full_date},
    },
    time::UnixTime,
    trust::Trust,
};
use firsthand_axum::testing::TestShop;
use firsthand_tests::vector;
use serde_json::json;
use url::Url;

const SHOWN: [(&str, &str); 3] =
    [(MDL_NAMESPACE, "age_over_18"), (MDL_NAMESPACE, "family_name"), (MDL_NAMESPACE, "driving_privileges")];
const LIST: &str = "https://status.example/lists/3";

/// A shop whose till believes driving licences.
struct Till {
    shop: TestShop,
    issuer: Issuer,
}

/// A session of its reader.
struct Session {
    key: DecryptionKey,
    transcript: Vec<u8>,
}

impl Session {
    fn new(scalar: u8) -> Self {
        let key = DecryptionKey::from_scalar(&[scalar; 32], "").unwrap();
        // ISO/IEC 18013-5, 9.1.5.1: the device engagement, the reader's key, and a handover by QR code.
        let engagement = embed(encode(&Value::Map(vec![(0.into(), "1.0".into())])));
        let reader = embed(encode(&cose_key(key.public_key())));
        let transcript = encode(&Value::Array(vec![engagement, reader, Value::Null]));
        Self { key, transcript }
    }

    fn by_tag(&self) -> ReaderSession<'_> {
        ReaderSession { transcript: &self.transcript, key: Some(&self.key) }
    }

    fn by_signature(&self) -> ReaderSession<'_> {
        ReaderSession { transcript: &self.transcript, key: None }
    }

    fn device(&self) -> SessionTranscript {
        SessionTranscript::from_encoded(self.transcript.clone(), &Limits::default()).unwrap()
    }
}

impl Till {
    fn new() -> Self {
        let now = TestShop::new().clock().now();
        let iaca = Authority::new("Utopia IACA", now);
        let trust = Trust::new().roots(&iaca.root_pem(), &[MDL, AGE_EU]).unwrap();
        let licence = Wanted::mdoc(MDL, MDL_NAMESPACE).claim(["family_name"]).claim(["driving_privileges"]);
        let rent = Ask::new("licence", "To rent a car").credential("mdl", licence.clone());
        let both = Ask::new("both", "Two of them")
            .credential("mdl", licence)
            .credential("age", Wanted::mdoc(AGE_EU, AGE_EU).claim(["expiry_date"]));
        let adult = Ask::new("adult", "Wine is sold to adults").over(18);
        let shop =
            TestShop::with(|builder| builder.store(Memory::new()).trust(trust).ask(&rent).ask(&both).ask(&adult));
        Self { issuer: Issuer::below(&iaca, now), shop }
    }

    fn merchant(&self) -> &Merchant {
        self.shop.merchant()
    }

    fn credential(&self) -> Credential {
        Credential::new(MDL, self.shop.clock().now().minus_s(1000))
            .says(MDL_NAMESPACE, "age_over_18", true)
            .says(MDL_NAMESPACE, "family_name", "Adler")
            .says(MDL_NAMESPACE, "birth_date", full_date("1984-05-17"))
            .says(MDL_NAMESPACE, "driving_privileges", true)
    }

    fn held(&self, credential: &Credential) -> Held {
        let holder = SigningKey::from_p256_scalar(&[9; 32]).unwrap();
        self.issuer.issue(credential, holder, self.shop.clock()).unwrap()
    }

    fn signed(&self, held: &Held, session: &Session, faults: &[Fault]) -> Vec<u8> {
        held.device_response(&session.device(), &SHOWN, faults, self.shop.clock()).unwrap()
    }

    fn tagged(&self, held: &Held, session: &Session, faults: &[Fault]) -> Vec<u8> {
        held.device_response_by_tag(&session.device(), &session.key, &SHOWN, faults, self.shop.clock()).unwrap()
    }

    /// Why a response is refused.
    async fn why(&self, ask: &str, session: &ReaderSession<'_>, response: &[u8]) -> &'static str {
        self.merchant().verify_device_response(ask, session, response).await.unwrap_err().code()
    }
}

#[tokio::test]
async fn a_document_at_the_till_is_verified_by_signature_and_by_tag() {
    let till = Till::new();
    let held = till.held(&till.credential());
    let session = Session::new(7);
    for (session, response) in [
        (session.by_tag(), till.tagged(&held, &session, &[])),
        (session.by_tag(), till.signed(&held, &session, &[])),
        (session.by_signature(), till.signed(&held, &session, &[])),
    ] {
        let verified = till.merchant().verify_device_response("licence", &session, &response).await.unwrap();
        let outcome = verified.outcome().to_string();
        assert_eq!((verified.ask(), outcome.as_str()), ("licence", "family_name, driving_privileges"));
        assert_eq!(verified.device(), Device::AtTheTill);
        assert_eq!(verified.claim("mdl", &["family_name"]), Some(&json!("Adler")));
        assert_eq!(verified.claim("mdl", &["birth_date"]), None, "it was not asked for");
        let adult = till.merchant().verify_device_response("adult", &session, &response).await.unwrap();
        assert_eq!((adult.outcome(), adult.claim("age", &["age_over_18"])), (&Established::over(18), None));
    }
}

#[tokio::test]
async fn an_answer_to_another_session_is_none_to_this_one() {
    let till = Till::new();
    let held = till.held(&till.credential());
    let (session, other) = (Session::new(7), Session::new(8));
    for response in [till.tagged(&held, &other, &[]), till.signed(&held, &other, &[])] {
        assert_eq!(till.why("licence", &session.by_tag(), &response).await, "mdoc_device_auth");
    }
    // A tag for a key that nobody has, or that the reader keeps to itself.
    let foreign = till.tagged(&held, &session, &[Fault::DeviceMac]);
    assert_eq!(till.why("licence", &session.by_tag(), &foreign).await, "mdoc_device_auth");
    let tagged = till.tagged(&held, &session, &[]);
    assert_eq!(till.why("licence", &session.by_signature(), &tagged).await, "mdoc_no_reader_key");
    // Another engagement with the same key.
    let engagement = embed(encode(&Value::Map(vec![(0.into(), "1.1".into())])));
    let reader = embed(encode(&cose_key(session.key.public_key())));
    let transcript = encode(&Value::Array(vec![engagement, reader, Value::Null]));
    let moved = ReaderSession { transcript: &transcript, key: Some(&session.key) };
    assert_eq!(till.why("licence", &moved, &tagged).await, "mdoc_device_auth");
}

#[tokio::test]
async fn a_transcript_that_is_not_the_readers_is_the_tills_mistake() {
    let till = Till::new();
    let held = till.held(&till.credential());
    let (session, other) = (Session::new(7), Session::new(8));
    let response = till.tagged(&held, &session, &[]);
    let by_web = SessionTranscript::dc_api("https://shop.example", "1", None);
    let wrapped = encode(&embed(session.transcript.clone()));
    let nothing = encode(&Value::Array(vec![Value::Null, Value::Null, Value::Null]));
    for (transcript, key) in [
        (session.transcript.as_slice(), Some(&other.key)),
        (other.transcript.as_slice(), Some(&session.key)),
        (by_web.as_bytes(), Some(&session.key)),
        (by_web.as_bytes(), None),
        (&nothing, None),
        (&wrapped, Some(&session.key)),
        (&[], None),
        (&[0x83], None),
        (b"{}", None),
    ] {
        assert_eq!(
            till.why("licence", &ReaderSession { transcript, key }, &response).await,
            "misuse",
            "{transcript:?}"
        );
    }
    assert!(till.merchant().verify_device_response("licence", &session.by_tag(), &response).await.is_ok());
}

#[tokio::test]
async fn what_is_wrong_with_a_document_is_wrong_at_the_till_too() {
    let till = Till::new();
    let (held, session) = (till.held(&till.credential()), Session::new(7));
    for (fault, code) in [
        (Fault::IssuerSignatureBroken, "mdoc_issuer_auth"),
        (Fault::ValueChanged, "mdoc_digest"),
        (Fault::ElementTwice, "mdoc_element_twice"),
        (Fault::MissingElement, "claim_missing"),
        (Fault::NoDeviceAuth, "mdoc_no_device_auth"),
        (Fault::DeviceElement, "mdoc_not_authorised"),
        (Fault::OtherDocType, "credential_not_asked"),
        (Fault::TwoDocuments, "mdoc_documents"),
        (Fault::StatusNotOk, "mdoc_status"),
        (Fault::Trailing, "malformed_cbor"),
        (Fault::TooDeep, "malformed_cbor"),
        (Fault::LengthBomb, "malformed_cbor"),
        (Fault::Oversize, "mdoc_too_large"),
    ] {
        let response = till.signed(&held, &session, &[fault]);
        assert_eq!(till.why("licence", &session.by_tag(), &response).await, code, "{fault:?}");
    }
    for fault in [Fault::ForeignDeviceKey, Fault::DeviceSignatureBroken] {
        let response = till.signed(&held, &session, &[fault]);
        assert_eq!(till.why("licence", &session.by_tag(), &response).await, "mdoc_device_auth", "{fault:?}");
    }
    // Nobody vouches for the signer; the document is over; the list says that it was taken back.
    let now = till.shop.clock().now();
    let nobody = Till { issuer: Issuer::below(&Authority::new("Utopia IACA", now), now), shop: till.shop.clone() };
    let unknown = nobody.signed(&nobody.held(&nobody.credential()), &session, &[]);
    assert_eq!(till.why("licence", &session.by_tag(), &unknown).await, "certificate_key_identifier");
    let mut over = till.credential();
    over.valid_until = now.minus_s(61);
    let over = till.tagged(&till.held(&over), &session, &[]);
    assert_eq!(till.why("licence", &session.by_tag(), &over).await, "credential_expired");
    let published = Published { at: now, expires_at: now.plus_s(600), ttl_s: 300 };
    let list = till.issuer.status_list_token(LIST, &published, &[8]).unwrap();
    till.shop.network().serve(&Url::parse(LIST).unwrap(), cwt::MEDIA_TYPE, list);
    for (index, refused) in [(7, None), (8, Some("credential_revoked"))] {
        let response = till.tagged(&till.held(&till.credential().status_index(LIST, index)), &session, &[]);
        let verified = till.merchant().verify_device_response("licence", &session.by_tag(), &response).await;
        assert_eq!(verified.err().map(|error| error.code()), refused);
    }
}

#[tokio::test]
async fn what_the_ask_wants_decides() {
    let till = Till::new();
    let (held, session) = (till.held(&till.credential()), Session::new(7));
    let response = till.tagged(&held, &session, &[]);
    assert_eq!(till.why("nothing", &session.by_tag(), &response).await, "no_such_ask");
    assert_eq!(till.why("both", &session.by_tag(), &response).await, "credential_missing");
    // A child.
    let young = Credential::new(MDL, till.shop.clock().now().minus_s(1000))
        .says(MDL_NAMESPACE, "family_name", "Adler")
        .says(MDL_NAMESPACE, "driving_privileges", true)
        .says(MDL_NAMESPACE, "age_over_18", false);
    let young = till.tagged(&till.held(&young), &session, &[]);
    assert_eq!(till.why("adult", &session.by_tag(), &young).await, "age_not_reached");
    assert_eq!(till.why("licence", &session.by_tag(), b"").await, "malformed_cbor");
}

#[tokio::test]
async fn a_device_key_on_another_curve_signs_and_agrees_on_no_tag() {
    let till = Till::new();
    let session = Session::new(7);
    for algorithm in [Algorithm::Es384, Algorithm::Es512, Algorithm::EdDsa] {
        let holder = new_signing_key(algorithm);
        let held = till.issuer.issue(&till.credential(), holder, till.shop.clock()).unwrap();
        let signed = till.signed(&held, &session, &[]);
        assert!(till.merchant().verify_device_response("licence", &session.by_tag(), &signed).await.is_ok());
        let bent = till.signed(&held, &session, &[Fault::DeviceSignatureBroken]);
        assert_eq!(till.why("licence", &session.by_tag(), &bent).await, "mdoc_device_auth");
        let tag = held.device_response_by_tag(&session.device(), &session.key, &SHOWN, &[], till.shop.clock());
        assert!(tag.is_err(), "no agreement between two curves");
    }
}

fn annex_d(name: &str) -> Vec<u8> {
    let text = vector(&format!("mdoc/iso18013-5-annex-d/iso_18013_5_annex_d_{name}.json"));
    let text = text["hex"].as_str().unwrap().to_owned();
    (0..text.len()).step_by(2).map(|at| u8::from_str_radix(&text[at..at + 2], 16).unwrap()).collect()
}

/// The example of ISO/IEC 18013-5, annex D, at a till of its day. Its root is not in the text, so nobody vouches for its signer; that its
/// tag holds is seen in `protocol`.
#[tokio::test]
async fn the_example_of_the_standard_is_nobodys_word_here() {
    let till = Till::new();
    let day: jiff::Timestamp = "2020-10-02T00:00:00Z".parse().unwrap();
    till.shop.clock().set(UnixTime::from_secs(day.as_second()));
    let encoded = annex_d("session_transcript_bytes");
    let transcript = cbor::read(&encoded, &Limits::default()).unwrap().embedded().unwrap().to_vec();
    let key = DecryptionKey::from_scalar(&annex_d("ephemeral_reader_key_d").try_into().unwrap(), "").unwrap();
    let session = ReaderSession { transcript: &transcript, key: Some(&key) };
    let response = annex_d("device_response");
    let code = till.why("licence", &session, &response).await;
    assert!(code.starts_with("certificate_"), "{code}");
    // The transcript of the standard names this key and no other.
    let other = DecryptionKey::from_scalar(&[7; 32], "").unwrap();
    let mistaken = ReaderSession { transcript: &transcript, key: Some(&other) };
    assert_eq!(till.why("licence", &mistaken, &response).await, "misuse");
    // No byte of a stranger's does anything but be refused.
    for at in (0..response.len()).step_by(11) {
        let mut changed = response.clone();
        changed[at] ^= 1;
        assert_ne!(till.why("licence", &session, &changed).await, "misuse");
        assert_ne!(till.why("licence", &session, &response[..at]).await, "misuse");
    }
}
