//! The same question in the words of ISO/IEC TS 18013-7, annex C, for wallets that know no OpenID4VP.
//!
//! A request there names documents and elements, and knows no "one of these". So each document that answers a question
//! by itself is a request of its own, with a nonce and a key of its own: a wallet answers one of them, and shows no
//! second document beside it. Of claims that stand in for each other the first is asked, which tells least.

use std::collections::BTreeSet;

use serde_json::Value;

use super::{Checked, Met};
use crate::{
    error::{AnswerError, Error},
    format::{Channel, FormatError},
    merchant::{Inner, Merchant},
    presentation::{Asked, BrowserDelivery, Delivered, RequestId, StepError},
    protocol::{
        dcql::{ClaimQuery, CredentialQuery, MSO_MDOC},
        jose::{base64url_decode, base64url_encode},
        mdoc::{
            MdocError, SessionTranscript,
            annex_c::{self, Element, ItemsRequest, Reader},
        },
        openid4vp::{
            Answer, ResponseError,
            dc_api::{Protocol, read_error},
        },
    },
    time::UnixTime,
};

/// The credential queries that are answered by one mdoc, and answer all of what was asked.
pub(super) fn alone(asked: &Asked) -> Vec<String> {
    // Nothing here is signed beside the document.
    if !asked.transaction_data.is_empty() {
        return Vec::new();
    }
    let enough = |one: &&CredentialQuery| asked.query.satisfied_by(&BTreeSet::from([one.id.as_str()])).is_ok();
    asked.query.credentials.iter().filter(enough).filter(|one| items(one).is_some()).map(|one| one.id.clone()).collect()
}

/// What a credential query asks for, if it asks for elements of an mdoc.
fn items(query: &CredentialQuery) -> Option<ItemsRequest> {
    if query.format != MSO_MDOC {
        return None;
    }
    let claims = query.claims.as_deref()?;
    let first = query.claim_sets.as_ref().and_then(|sets| sets.first());
    let is_asked = |id: &Option<String>| first.is_none_or(|set| id.as_ref().is_some_and(|id| set.contains(id)));
    let element = |claim: &ClaimQuery| match claim.path.as_slice() {
        [Value::String(namespace), Value::String(identifier)] => Some(Element {
            namespace: namespace.clone(),
            identifier: identifier.clone(),
            retained: claim.intent_to_retain == Some(true),
        }),
        _ => None,
    };
    let elements: Option<Vec<_>> = claims.iter().filter(|it| is_asked(&it.id)).map(element).collect();
    let doc_type = query.meta.get("doctype_value")?.as_str()?.to_owned();
    elements.filter(|elements| !elements.is_empty()).map(|elements| ItemsRequest { doc_type, elements })
}

impl Merchant {
    /// The `data` of one request.
    pub(super) fn iso_mdoc_request(
        &self,
        request: &RequestId,
        asked: &Asked,
        given: &BrowserDelivery,
    ) -> Result<Value, Error> {
        let query = given.credential.as_deref().and_then(|id| asked.query.credential(id));
        let misuse = || Error::Misuse("a request for an mdoc asks for none".into());
        let items = query.and_then(items).ok_or_else(misuse)?;
        let key = self.opened_key(request, &given.sealed_key)?;
        let Inner { prefix, origin, keys, .. } = &*self.0;
        // Under a name that nobody signs under, who asks is the origin alone.
        let identity = prefix.signer(&asked.client_id, origin, keys).map(|(identity, _)| identity);
        let chain = identity.iter().flat_map(|it| it.chain()).map(|one| one.der().to_vec()).collect::<Vec<_>>();
        let origin = self.web_origin();
        let reader = identity.map(|it| (Reader { key: it.key(), chain: &chain }, origin.as_str()));
        let made = annex_c::Request::new(&[items], &key, &nonce(given), reader);
        Ok(made.map_err(|e| Error::Misuse(format!("the signing key does not sign: {e}")))?.data())
    }

    /// Finds which of the requests was answered, and holds the document against it.
    pub(super) async fn check_iso_mdoc(
        &self,
        request: &RequestId,
        delivered: &Delivered,
        data: &Value,
        now: UnixTime,
    ) -> Result<Checked, Error> {
        let asked = &delivered.asked;
        let origin = self.web_origin();
        if let Some(error) = read_error(data, &asked.query, &self.0.limits).map_err(AnswerError::from)? {
            let channel = Channel::DcApi { origin: &origin };
            let met = Met { channel, encryption_key: None, nonce: "", response_mode: "" };
            return self.check(asked, met, error, now).await;
        }
        let response = data.get("response").and_then(Value::as_str);
        let response = response.ok_or_else(|| AnswerError::from(ResponseError::ResponseMissing))?;
        let mut refusal = None;
        for given in delivered.browser.iter().filter(|one| one.protocol == Protocol::IsoMdoc) {
            let Some(id) = &given.credential else { continue };
            let key = self.opened_key(request, &given.sealed_key)?;
            // The transcript is made again of what we know ourselves: the origin is the configured one.
            let transcript = SessionTranscript::annex_c(&annex_c::encryption_info(&key, &nonce(given)), &origin);
            match annex_c::open(response, &key, &transcript, &self.0.limits) {
                Ok(document) => {
                    let met = Met {
                        channel: Channel::Transcript { session_transcript: transcript.as_bytes(), reader_key: None },
                        encryption_key: Some(*key.thumbprint().as_bytes()),
                        nonce: &given.nonce,
                        response_mode: "",
                    };
                    let presented = vec![Value::String(base64url_encode(&document))];
                    let answer = Answer::Presentations(vec![(id.clone(), presented)]);
                    return self.check(asked, met, answer, now).await;
                }
                // It may be the answer to one of the others.
                Err(MdocError::Decryption) => refusal = Some((id, MdocError::Decryption)),
                Err(error) => {
                    refusal = Some((id, error));
                    break;
                }
            }
        }
        let (id, error) = refusal.ok_or(StepError::NotDelivered)?;
        Err(AnswerError::Format { credential: id.clone(), source: FormatError::from(error) }.into())
    }
}

/// The nonce as bytes.
fn nonce(given: &BrowserDelivery) -> Vec<u8> {
    base64url_decode(&given.nonce).unwrap_or_else(|_| given.nonce.as_bytes().to_vec())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn query(claims: Value, sets: Value) -> CredentialQuery {
        let mut query = json!({ "id": "age", "format": "mso_mdoc", "meta": { "doctype_value": "doc" } });
        for (member, value) in [("claims", claims), ("claim_sets", sets)] {
            if !value.is_null() {
                query[member] = value;
            }
        }
        serde_json::from_value(query).unwrap()
    }

    #[test]
    fn of_claims_that_stand_in_for_each_other_the_first_is_asked() {
        let claims = json!([
            { "id": "a", "path": ["ns", "age_over_18"] }, { "id": "b", "path": ["ns", "birth_date"], "intent_to_retain": true }
        ]);
        let asked = |sets| items(&query(claims.clone(), sets)).map(|items| items.elements);
        let element = |name: &str, retained| Element { namespace: "ns".into(), identifier: name.into(), retained };
        assert_eq!(asked(json!([["a"], ["b"]])), Some(vec![element("age_over_18", false)]));
        assert_eq!(asked(Value::Null), Some(vec![element("age_over_18", false), element("birth_date", true)]));
        assert!(items(&query(json!([{ "path": ["ns", "list", 0] }]), Value::Null)).is_none());
        assert!(items(&query(Value::Null, Value::Null)).is_none());
    }
}
