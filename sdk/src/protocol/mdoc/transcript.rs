//! What both sides say the session was (ISO/IEC 18013-5, 9.1.5.1): a device signs it, so an answer to one request is none
//! to another.

use std::fmt;

use super::MdocError;
use crate::{
    limits::Limits,
    protocol::{
        cbor::{self, Item, Value, encode},
        cose,
        jose::{PublicKey, sha256},
    },
};

/// An encoded `SessionTranscript`. It is made of our own request alone, never of what a wallet sent.
#[derive(Clone, PartialEq, Eq)]
pub struct SessionTranscript(Vec<u8>);

impl SessionTranscript {
    /// An answer by redirects (OpenID4VP 1.0, B.2.6.1): `client_id` with its prefix, `jwk_thumbprint` (RFC 7638, SHA-256)
    /// of the key that the answer was encrypted to, if it was.
    #[must_use]
    pub fn openid4vp(client_id: &str, nonce: &str, jwk_thumbprint: Option<&[u8; 32]>, response_uri: &str) -> Self {
        let info = vec![client_id.into(), nonce.into(), thumbprint(jwk_thumbprint), response_uri.into()];
        Self::of_handover("OpenID4VPHandover", info)
    }

    /// An answer by the Digital Credentials API (B.2.6.2): `origin` without a prefix and without a slash at its end.
    #[must_use]
    pub fn dc_api(origin: &str, nonce: &str, jwk_thumbprint: Option<&[u8; 32]>) -> Self {
        let info = vec![origin.into(), nonce.into(), thumbprint(jwk_thumbprint)];
        Self::of_handover("OpenID4VPDCAPIHandover", info)
    }

    /// An answer by the same API to the protocol `org-iso-mdoc` (ISO/IEC TS 18013-7, annex C.5): `encryption_info` as it
    /// stood in the request, in base64url.
    #[must_use]
    pub fn annex_c(encryption_info: &str, origin: &str) -> Self {
        Self::of_handover("dcapi", vec![encryption_info.into(), origin.into()])
    }

    /// The transcript of a reader at the till, as the reader encoded it.
    ///
    /// # Errors
    /// If it is not an array of three.
    pub fn from_encoded(bytes: Vec<u8>, limits: &Limits) -> Result<Self, MdocError> {
        match cbor::read(&bytes, limits)?.array().map(<[Item<'_>]>::len) {
            Some(3) => Ok(Self(bytes)),
            _ => Err(MdocError::Form("a session transcript is an array of three")),
        }
    }

    /// Whether it is a reader's (its `EReaderKeyBytes` is there), and names this key if one is given.
    #[must_use]
    pub(crate) fn names_reader_key(&self, key: Option<&PublicKey>, limits: &Limits) -> bool {
        let Ok(transcript) = cbor::read(&self.0, limits) else { return false };
        let Some(named) = transcript.array().and_then(|parts| parts.get(1)?.embedded()) else { return false };
        let named = || cose::public_key(&cbor::read(named, limits).ok()?).ok();
        // A key on a curve that is not read here is one that nothing is given for.
        key.is_none_or(|key| named().is_some_and(|named| named == *key))
    }

    /// Its bytes.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    fn of_handover(kind: &str, info: Vec<Value>) -> Self {
        let hash = sha256(&encode(&Value::Array(info)));
        let handover = Value::Array(vec![kind.into(), Value::Bytes(hash.to_vec())]);
        Self(encode(&Value::Array(vec![Value::Null, Value::Null, handover])))
    }
}

impl fmt::Debug for SessionTranscript {
    /// The bytes in hexadecimal: what an operator compares, and says nothing of a person.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SessionTranscript({})", cbor::hex(&self.0))
    }
}

fn thumbprint(of: Option<&[u8; 32]>) -> Value {
    of.map_or(Value::Null, |thumbprint| Value::Bytes(thumbprint.to_vec()))
}
