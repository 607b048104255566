//! What wallets and browsers send.

use std::sync::LazyLock;

use firsthand::protocol::{
    dcql::Query,
    form as forms,
    jose::{ContentEncryption, encrypt},
    openid4vci::{
        CredentialFormat, Offered,
        credential::{CredentialRequest, Notification, read_deferred},
        oauth::{PushedRequest, TokenRequest, read_authorization_request},
        offer::{Offer, OfferLink},
    },
    openid4vp::{Answer, ResponseContext, ResponseMode, read_request_post, read_response},
    sca::Authentication,
};
use serde_json::{Value, json};

use super::{DECRYPTION, LIMITS, object, text};

static QUERY: LazyLock<Query> = LazyLock::new(|| {
    let query = json!({"credentials": [
        {"id": "pid", "format": "dc+sd-jwt", "meta": {"vct_values": ["urn:eudi:pid:1"]}},
        {"id": "card", "format": "mso_mdoc", "multiple": true, "meta": {"doctype_value": "org.iso.18013.5.1.mDL"}},
    ]});
    Query::parse(&query, &LIMITS).unwrap()
});

fn context(mode: ResponseMode) -> ResponseContext<'static> {
    ResponseContext {
        mode,
        state: "st",
        key: Some(&DECRYPTION),
        accepted: &[ContentEncryption::A256Gcm],
        query: &QUERY,
        limits: &LIMITS,
    }
}

/// What a form says here, it says to another reader.
pub(super) fn form(data: &[u8]) {
    for name in ["vp_token", "state", "response", "a", ""] {
        let Some(ours) = forms::value(data, name) else { continue };
        let theirs: Vec<_> = url::form_urlencoded::parse(data).filter(|(other, _)| other == name).collect();
        assert_eq!(theirs.len(), 1, "{name} more than once");
        assert_eq!(theirs[0].1, ours, "{name}");
    }
    let _ = read_request_post(data, &LIMITS);
}

/// What is read of an answer was asked for, and no more of it.
fn asked_for(answer: &Answer) {
    match answer {
        Answer::Presentations(presentations) => {
            assert!(!presentations.is_empty());
            let count: usize = presentations.iter().map(|(_, entries)| entries.len()).sum();
            assert!(count > 0 && count <= LIMITS.presentations);
            for (id, entries) in presentations {
                let credential = QUERY.credential(id).expect("asked for");
                assert!(!entries.is_empty() && (credential.multiple || entries.len() == 1));
            }
        }
        Answer::Error { code, .. } => assert!(!code.is_empty() && code.len() < 64),
    }
}

/// A wallet's form, in clear or encrypted.
pub(super) fn wallet_answer(data: &[u8]) {
    let clear = read_response(data, &context(ResponseMode::DirectPost));
    if let Ok(answer) = &clear {
        asked_for(answer);
    }
    if let Ok(answer) = read_response(data, &context(ResponseMode::DirectPostJwt)) {
        // 8.3.1: the one thing that may come in clear where encryption was asked for.
        assert!(matches!(answer, Answer::Error { .. }));
    }
}

/// What a wallet encrypted to us: it is read as it would be in clear.
pub(super) fn wallet_answer_sealed(data: &[u8]) {
    let sealed = encrypt(data, &DECRYPTION.public_jwk(), ContentEncryption::A256Gcm).expect("encryption");
    let form = format!("response={sealed}");
    let Ok(answer) = read_response(form.as_bytes(), &context(ResponseMode::DirectPostJwt)) else { return };
    asked_for(&answer);
    let parameters = object(data).expect("an object, or it was no answer");
    let mut form = url::form_urlencoded::Serializer::new(String::new());
    for (name, value) in &parameters {
        let value = match value {
            Value::String(text) => text.clone(),
            other => other.to_string(),
        };
        form.append_pair(name, &value);
    }
    let again = read_response(form.finish().as_bytes(), &context(ResponseMode::DirectPost));
    match (answer, again) {
        (Answer::Presentations(one), Ok(Answer::Presentations(other))) => assert_eq!(one, other),
        (Answer::Error { code, .. }, Ok(Answer::Error { code: other, .. })) => assert_eq!(code, other),
        // A form has fewer parameters than an object may have members.
        (_, again) => assert!(parameters.len() > 8 || data.len() > 512, "{again:?}"),
    }
}

/// What a wallet sends to the issuer.
pub(super) fn issuance(data: &[u8]) {
    let offered = Offered { scope: "relationship", configurations: &[("relationship", CredentialFormat::SdJwtVc)] };
    if let Ok(request) = PushedRequest::read(data, offered, &LIMITS) {
        assert!(!request.client_id.is_empty() && !request.redirect_uri.is_empty());
    }
    let _ = TokenRequest::read(data, &[offered], &LIMITS);
    let _ = CredentialRequest::read(data, &LIMITS);
    if let Ok(id) = read_deferred(data, &LIMITS) {
        assert!(!id.is_empty());
    }
    let _ = Notification::read(data, &LIMITS);
    if let Some(query) = text(data) {
        let _ = read_authorization_request(query);
    }
}

/// An offer, written and read again, offers the same.
pub(super) fn offer(data: &[u8]) {
    if let Some(link) = text(data) {
        let _ = OfferLink::parse(link, &LIMITS);
    }
    let Ok(offer) = Offer::parse(data, &LIMITS) else { return };
    let again = Offer::parse(offer.to_json().to_string().as_bytes(), &LIMITS).expect("what was written");
    assert_eq!(again, offer);
    let link = offer.link("openid-credential-offer://").expect("a link");
    match OfferLink::parse(&link, &LIMITS) {
        Ok(OfferLink::Value(linked)) => assert_eq!(linked, offer),
        other => panic!("{link}: {other:?}"),
    }
}

/// The proof by which somebody authorises a payment.
pub(super) fn payment_proof(data: &[u8]) {
    let Some(proof) = object(data) else { return };
    let Ok(read) = Authentication::read(&proof, "direct_post.jwt") else { return };
    assert!(!read.jti().is_empty());
    assert!(read.factors().len() >= 2, "strong is two of different kinds: {read:?}");
}
