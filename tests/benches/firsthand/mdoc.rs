//! mdocs by redirects: a device response from its text to claims that can be believed; the issuer's chain is known.

use std::collections::HashMap;

use firsthand::{
    Trust,
    env::Env,
    format::{Format, mdoc::Mdoc},
    limits::Limits,
    protocol::{
        cbor::{self, Item, Value, embed, encode},
        jose::{PublicKey, SigningKey, base64url_encode},
        mdoc::{MDL, SessionTranscript},
        x509::Certificate,
    },
    testing::{
        Clock,
        authority::Authority,
        mdoc::{Credential, Issuer, full_date},
    },
};
use firsthand_axum::testing::TestShop;
use serde_json::json;

use crate::{
    bare::Signature,
    formats::{CLIENT, NONCE, RESPONSE_URI, Shown},
    measure::{Effort, Subject, Table, in_turns},
};

/// Verification of an mdoc, its issuer's chain known, over its two signature checks.
const TARGET: f64 = 1.3;

const NAMESPACE: &str = "org.iso.18013.5.1";
/// Elements that a licence has beside those which are shown: their digests are in every one.
const OTHERS: usize = 24;
/// A portrait, in bytes.
const PORTRAIT: usize = 20 * 1024;

pub fn measure(table: &mut Table, effort: Effort) {
    let address = ["given_name", "family_name", "birth_date", "resident_address", "resident_city", "resident_country"];
    of(table, effort, "over 18", &["age_over_18"], Some(TARGET));
    of(table, effort, "name and address", &address, Some(TARGET));
    of(table, effort, "a portrait of 20 KiB, which no ask of ours wants", &["portrait"], None);
}

fn of(table: &mut Table, effort: Effort, what: &str, elements: &[&str], target: Option<f64>) {
    let Presented { shown, signatures: [issuer, device], .. } = presented(TestShop::new().clock(), elements);
    let parsed = shown.format.parse(&shown.presented, &shown.limits).expect("an mdoc");
    let [bare, whole, parse, decide] = in_turns(
        effort,
        [
            Subject::again("two ES256 checks", || {
                issuer.check();
                device.check();
            }),
            Subject::again("parse, believe the issuer, verify", || shown.verified()),
            Subject::again("parse", || shown.parsed()),
            Subject::again("look the chain up", || shown.trust.decide(&parsed.issuer(), shown.now, &shown.limits)),
        ],
    );
    table.title(&format!("mdoc: {what}, {} of {} elements", elements.len(), OTHERS + 8));
    table.bare(&bare);
    table.whole(&whole, &bare, target);
    table.part(&parse);
    table.part(&decide);
    table.rest("signatures, digests, times", &whole, &[&parse, &decide]);
}

/// A driving licence of which some elements are shown, and its two signatures.
pub struct Presented {
    pub shown: Shown<Mdoc>,
    pub signatures: [Signature; 2],
    pub transcript: SessionTranscript,
    pub root_pem: String,
}

pub fn presented(clock: &Clock, elements: &[&str]) -> Presented {
    let (now, limits) = (clock.now(), Limits::default());
    let iaca = Authority::new("Utopia IACA", now);
    let mut credential = Credential::new(MDL, now.minus_s(1000))
        .says(NAMESPACE, "given_name", "Anna")
        .says(NAMESPACE, "family_name", "Adler")
        .says(NAMESPACE, "birth_date", full_date("1984-05-17"))
        .says(NAMESPACE, "resident_address", "Lindenallee 12")
        .says(NAMESPACE, "resident_city", "Köln")
        .says(NAMESPACE, "resident_country", "DE")
        .says(NAMESPACE, "age_over_18", true)
        .says(NAMESPACE, "portrait", Value::Bytes(vec![0xd8; PORTRAIT]))
        .status_index("https://status.example/lists/3", 100);
    for number in 0..OTHERS {
        credential = credential.says(NAMESPACE, &format!("element_{number}"), "x");
    }
    let holder = SigningKey::from_p256_scalar(&[9; 32]).expect("a key");
    let held = Issuer::below(&iaca, now).issue(&credential, holder.clone(), clock).expect("a licence");
    let transcript = SessionTranscript::openid4vp(CLIENT, NONCE, None, RESPONSE_URI);
    let elements: Vec<(&str, &str)> = elements.iter().map(|element| (NAMESPACE, *element)).collect();
    let response = held.device_response(&transcript, &elements, &[], clock).expect("a response");
    let signatures = signatures(&response, &transcript, holder.public_key());
    let shown = Shown {
        format: Mdoc::new(),
        presented: json!(base64url_encode(&response)),
        trust: Trust::new().roots(&iaca.root_pem(), &[MDL]).expect("a root"),
        documents: HashMap::new(),
        now,
        limits,
    };
    Presented { shown, signatures, transcript, root_pem: iaca.root_pem() }
}

/// The issuer's signature and the device's, each with the bytes that it is over (RFC 9052, 4.4).
fn signatures(response: &[u8], transcript: &SessionTranscript, device_key: &PublicKey) -> [Signature; 2] {
    let limits = Limits::default();
    let response = cbor::read(response, &limits).expect("CBOR");
    let document = &member(&response, "documents").array().expect("an array")[0];
    let issuer_auth = member(member(document, "issuerSigned"), "issuerAuth").array().expect("an array");
    let chain = issuer_auth[1].map().and_then(|header| header.label(33)).expect("a chain");
    let leaf = Certificate::from_der(chain.bytes().expect("one certificate")).expect("a certificate");
    let payload = issuer_auth[2].bytes().expect("a payload");

    let device_signed = member(document, "deviceSigned");
    let device_auth = member(member(device_signed, "deviceAuth"), "deviceSignature").array().expect("an array");
    let mut authentication = vec![0x84];
    authentication.extend(encode(&"DeviceAuthentication".into()));
    authentication.extend_from_slice(transcript.as_bytes());
    authentication.extend(encode(&MDL.into()));
    authentication.extend_from_slice(member(device_signed, "nameSpaces").raw());
    [
        signature(issuer_auth, payload, &leaf.public_key().expect("a key")),
        signature(device_auth, &encode(&embed(authentication)), device_key),
    ]
}

fn signature(sign1: &[Item<'_>], payload: &[u8], key: &PublicKey) -> Signature {
    let bytes = |item: &Item<'_>| item.bytes().expect("bytes").to_vec();
    let message = ["Signature1".into(), Value::Bytes(bytes(&sign1[0])), Value::Bytes(vec![])];
    let message = encode(&Value::Array([&message[..], &[Value::Bytes(payload.to_vec())]].concat()));
    Signature::over(&message, bytes(&sign1[3]), key)
}

fn member<'a>(of: &'a Item<'_>, name: &str) -> &'a Item<'a> {
    of.map().and_then(|map| map.get(name)).expect("a member")
}
