//! The protocol `org-iso-mdoc` of the Digital Credentials API (ISO/IEC TS 18013-7, annex C): what wallets speak that know
//! no OpenID4VP.
//!
//! Each request has a nonce and a key of its own; the answer is encrypted to that key, and the device signs over both.

use std::fmt;

use serde_json::{Value as Json, json};
use zeroize::Zeroizing;

use super::{MdocError, SessionTranscript, hpke};
use crate::{
    limits::Limits,
    protocol::{
        cbor::{self, Item, Value, embed, encode, object},
        cose,
        jose::{DecryptionKey, JoseError, SigningKey, base64url_decode, base64url_encode},
    },
};

/// The identifier of the protocol in the Digital Credentials API.
pub const PROTOCOL: &str = "org-iso-mdoc";

/// What both structures begin with.
const DC_API: &str = "dcapi";

/// A document that is asked for.
#[derive(Clone, Debug)]
pub struct ItemsRequest {
    /// Its type.
    pub doc_type: String,
    /// Its elements.
    pub elements: Vec<Element>,
}

/// One element of a document that is asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Element {
    /// Its name space.
    pub namespace: String,
    /// Its identifier there.
    pub identifier: String,
    /// `IntentToRetain`: whether we keep its value longer than it takes to look at it.
    pub retained: bool,
}

/// Who asks: a key with its certificates in DER, leaf first, without the root.
#[derive(Clone, Copy)]
pub struct Reader<'a> {
    /// The key.
    pub key: &'a SigningKey,
    /// Its chain.
    pub chain: &'a [Vec<u8>],
}

impl fmt::Debug for Reader<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Reader").finish_non_exhaustive()
    }
}

/// A request as the browser gets it, and what its answer is held against.
#[derive(Clone)]
pub struct Request {
    encryption_info: String,
    device_request: String,
}

impl Request {
    /// A request for `documents`, to which the answer is encrypted for `key`. The caller draws the key and the nonce of at
    /// least 16 bytes for this request alone. With `reader` the request says who asks, and is bound to `origin`.
    ///
    /// # Errors
    /// [`JoseError::Crypto`] if signing fails.
    pub fn new(
        documents: &[ItemsRequest],
        key: &DecryptionKey,
        nonce: &[u8],
        reader: Option<(Reader<'_>, &str)>,
    ) -> Result<Self, JoseError> {
        let encryption_info = encryption_info(key, nonce);
        let mut requests = Vec::new();
        for document in documents {
            let items = embed(encode(&items_request(document)));
            let mut request = vec![("itemsRequest", items.clone())];
            if let Some((reader, origin)) = reader {
                let transcript = SessionTranscript::annex_c(&encryption_info, origin);
                let message = reader_authentication(&transcript, &encode(&items));
                let header = cose::x5chain(reader.chain);
                let signed = cose::sign1(reader.key, coset::Header::default(), header, &message, false)?;
                request.push(("readerAuth", signed));
            }
            requests.push(Value::Map(request.into_iter().map(|(name, value)| (name.into(), value)).collect()));
        }
        let device_request = object([("version", "1.0".into()), ("docRequests", Value::Array(requests))]);
        Ok(Self { encryption_info, device_request: base64url_encode(&encode(&device_request)) })
    }

    /// The `data` of the request in the Digital Credentials API.
    #[must_use]
    pub fn data(&self) -> Json {
        json!({"deviceRequest": self.device_request, "encryptionInfo": self.encryption_info})
    }

    /// What the device of an answer must have signed. The origin is that of our own settings, never one that a browser
    /// posted.
    #[must_use]
    pub fn transcript(&self, origin: &str) -> SessionTranscript {
        SessionTranscript::annex_c(&self.encryption_info, origin)
    }
}

impl fmt::Debug for Request {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Request").finish_non_exhaustive()
    }
}

/// `EncryptionInfo` in base64url, as the transcript has it. It says nothing but the nonce and the key, so it can be made
/// again from those two when the answer comes.
#[must_use]
pub fn encryption_info(key: &DecryptionKey, nonce: &[u8]) -> String {
    let parameters =
        object([("nonce", Value::Bytes(nonce.to_vec())), ("recipientPublicKey", cose::cose_key(key.public_key()))]);
    base64url_encode(&encode(&Value::Array(vec![DC_API.into(), parameters])))
}

/// Opens the answer: the `response` that the browser passes on, base64url of `["dcapi", {enc, cipherText}]` of at most
/// [`Limits::response_bytes`]. What comes out is a `DeviceResponse`, and has no sender: its device must have signed the
/// same transcript.
///
/// # Errors
/// If it is not of that form, or does not open with this key for this transcript.
pub fn open(
    response: &str,
    key: &DecryptionKey,
    transcript: &SessionTranscript,
    limits: &Limits,
) -> Result<Zeroizing<Vec<u8>>, MdocError> {
    if response.len() > limits.response_bytes {
        return Err(MdocError::TooLarge { found: response.len(), limit: limits.response_bytes });
    }
    let bytes = base64url_decode(response).map_err(|_| MdocError::Form("the response is base64url"))?;
    let response = cbor::read(&bytes, limits)?;
    let form = MdocError::Form("an encrypted response is \"dcapi\" and its parts");
    let Some([kind, parts]) = response.array() else { return Err(form) };
    let (Some(DC_API), Some(parts)) = (kind.text(), parts.map()) else { return Err(form) };
    let (enc, text) = (parts.get("enc").and_then(Item::bytes), parts.get("cipherText").and_then(Item::bytes));
    let (Some(enc), Some(text)) = (enc, text) else { return Err(form) };
    hpke::open(key, enc, transcript.as_bytes(), &[], text).map_err(|_| MdocError::Decryption)
}

/// What a wallet does: seals a `DeviceResponse` to the key of `encryption_info`.
#[cfg(any(test, feature = "testing"))]
pub(crate) fn seal(
    device_response: &[u8],
    ephemeral: &DecryptionKey,
    to: &crate::protocol::jose::PublicKey,
    transcript: &SessionTranscript,
) -> Result<String, JoseError> {
    let (enc, text) = hpke::seal(ephemeral, to, transcript.as_bytes(), &[], device_response)?;
    let parts = object([("enc", Value::Bytes(enc)), ("cipherText", Value::Bytes(text))]);
    Ok(base64url_encode(&encode(&Value::Array(vec![DC_API.into(), parts]))))
}

fn items_request(document: &ItemsRequest) -> Value {
    let mut namespaces: Vec<(Value, Value)> = Vec::new();
    for Element { namespace, identifier, retained } in &document.elements {
        let member = (Value::from(identifier.as_str()), Value::from(*retained));
        match namespaces.iter_mut().find(|(name, _)| name.as_text() == Some(namespace)) {
            Some((_, Value::Map(members))) => members.push(member),
            _ => namespaces.push((namespace.as_str().into(), Value::Map(vec![member]))),
        }
    }
    object([("docType", document.doc_type.as_str().into()), ("nameSpaces", Value::Map(namespaces))])
}

/// `ReaderAuthenticationBytes` (ISO/IEC 18013-5, 9.1.4.4).
pub(crate) fn reader_authentication(transcript: &SessionTranscript, items: &[u8]) -> Vec<u8> {
    const ARRAY_OF_THREE: u8 = 0x83;
    let mut content = vec![ARRAY_OF_THREE];
    content.extend(encode(&Value::from("ReaderAuthentication")));
    content.extend_from_slice(transcript.as_bytes());
    content.extend_from_slice(items);
    encode(&embed(content))
}
