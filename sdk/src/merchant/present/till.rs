//! A till with a reader (ISO/IEC 18013-5): what a phone sends over NFC or Bluetooth, held against the same rules.
//!
//! The reader, hardware or an app of the merchant's, engages the device, asks for what the [`Ask`] wants, and decrypts the
//! session. What it has then, the transcript of its session and a `DeviceResponse`, is judged here: who issued the document and
//! whether that is believed, its digests, times and status, the device's signature or tag over this very session, and
//! whether it answers the ask.

use serde_json::Value;

use super::{Ask, Channel, Met, Question, is_relationship, transaction_data};
use crate::{
    ask::{AskedFor, Device},
    error::{AnswerError, Error, Refusal},
    format::FormatError,
    merchant::Merchant,
    presentation::Verified,
    protocol::{
        dcql::{DcqlError, MSO_MDOC},
        jose::{DecryptionKey, base64url_encode},
        mdoc::{Document, SessionTranscript},
    },
};

/// One session of the merchant's own reader with one device (ISO/IEC 18013-5, 9.1).
///
/// # What the reader must see to
///
/// That the device answered *now*, and to *this* till, rests on the session alone, and the session is the reader's:
///
/// - It makes the transcript itself, of the device engagement that it read, of the key that it made and of the handover as it
///   went. A transcript that came with an answer proves nothing.
/// - Its key is new for each session, of good randomness, and forgotten with it.
/// - It hands each response over once. Nothing is written down here: the same transcript with the same response holds again
///   for as long as the document does.
#[derive(Clone, Copy)]
pub struct ReaderSession<'a> {
    /// The encoded `SessionTranscript`: the array of three itself, not the byte string of tag 24 around it.
    pub transcript: &'a [u8],
    /// The reader's ephemeral key of this session, on P-256, with which a device may have agreed on a tag instead of signing.
    /// None where the reader keeps it to itself or has it on another curve: then a device that sends a tag is refused.
    pub key: Option<&'a DecryptionKey>,
}

impl std::fmt::Debug for ReaderSession<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("ReaderSession([redacted])")
    }
}

impl Merchant {
    /// Judges what a device sent to the merchant's reader, as an answer to a declared ask: an encoded `DeviceResponse` with one
    /// document. What is verified was shown [at the till](Device::AtTheTill) by whoever stood there; it is given out here, and
    /// stored nowhere.
    ///
    /// The document answers each credential that the ask wants and takes as an mdoc of its type, in the first way that it is
    /// taken so. What [`MerchantBuilder::ask`](super::super::MerchantBuilder::ask) declares beside mdocs cannot be shown here.
    ///
    /// ```no_run
    /// # async fn till(merchant: &firsthand::Merchant, scalar: [u8; 32], transcript: Vec<u8>, response: Vec<u8>)
    /// # -> Result<(), Box<dyn std::error::Error>> {
    /// use firsthand::{merchant::ReaderSession, protocol::jose::DecryptionKey};
    ///
    /// let key = DecryptionKey::from_scalar(&scalar, "")?;
    /// let session = ReaderSession { transcript: &transcript, key: Some(&key) };
    /// let verified = merchant.verify_device_response("age", &session, &response).await?;
    /// assert_eq!(verified.outcome().over, Some(18));
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// [`Error::Answer`] with the check that failed; [`Refusal::NoSuchAsk`]; [`Error::Misuse`] if the transcript is none, or is of
    /// another key than the session's; [`Error::Unavailable`].
    pub async fn verify_device_response(
        &self,
        ask: &str,
        session: &ReaderSession<'_>,
        device_response: &[u8],
    ) -> Result<Verified, Error> {
        let ask = self.declared(ask).ok_or(Refusal::NoSuchAsk)?;
        self.check_session(session)?;
        let query = self.query_of(&[ask]);
        let transaction_data = transaction_data(&self.together(&[ask]), &[ask], &query);
        let transaction_data = transaction_data.map_err(|e| Error::Misuse(e.to_string()))?;
        let document = Document::parse(device_response, &self.0.limits).map_err(|error| AnswerError::Format {
            credential: ask.name().to_owned(),
            source: FormatError::from(error),
        })?;
        let ids = self.answered_by(ask, &query, document.doc_type());
        if ids.is_empty() {
            return Err(AnswerError::from(DcqlError::NotAsked).into());
        }
        let presented = Value::String(base64url_encode(device_response));
        let answer: Vec<_> = ids.into_iter().map(|id| (id, vec![presented.clone()])).collect();
        let question = Question {
            asks: &[(ask, ask.age())],
            query: &query,
            transaction_data: &transaction_data,
            payment: None,
            device: Device::AtTheTill,
        };
        let met = Met {
            channel: Channel::Transcript { session_transcript: session.transcript, reader_key: session.key },
            encryption_key: None,
            nonce: "",
            response_mode: "",
        };
        let answers = self.verify(&question, met, &answer, self.now()).await?;
        // One ask has one answer, but for one that is for payments.
        Ok(answers.each(Device::AtTheTill).into_iter().next().ok_or(Refusal::PaymentAsk)?)
    }

    /// That the transcript is one of a reader's, and of the key that is said to be this session's.
    fn check_session(&self, session: &ReaderSession<'_>) -> Result<(), Error> {
        let misuse = |why: String| Error::Misuse(format!("the session of the reader: {why}"));
        let limits = &self.0.limits;
        let transcript = SessionTranscript::from_encoded(session.transcript.to_vec(), limits);
        let transcript = transcript.map_err(|error| misuse(error.to_string()))?;
        let named = transcript.names_reader_key(session.key.map(DecryptionKey::public_key), limits);
        if named { Ok(()) } else { Err(misuse("its transcript does not name its key".to_owned())) }
    }

    /// The credential queries of an ask that a document of this type answers: of each wanted credential the first.
    fn answered_by(&self, ask: &Ask, query: &crate::protocol::dcql::Query, doc_type: &str) -> Vec<String> {
        let mut ids: Vec<(&str, String)> = Vec::new();
        let asked = self.together(&[ask]);
        for one in query.credentials.iter().filter(|one| one.format == MSO_MDOC) {
            let wanted = asked.query(&one.id).and_then(|query| query.serves.first()).map(|serves| serves.asked_for);
            let name = wanted.map_or(super::RELATIONSHIP, AskedFor::id);
            let is_of_type = one.meta.get("doctype_value").and_then(Value::as_str) == Some(doc_type);
            let known = wanted.is_some() || is_relationship(&one.id);
            if is_of_type && known && !ids.iter().any(|(taken, _)| *taken == name) {
                ids.push((name, one.id.clone()));
            }
        }
        ids.into_iter().map(|(_, id)| id).collect()
    }
}
