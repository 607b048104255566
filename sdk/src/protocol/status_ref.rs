//! Where the status of a credential stands, in each of the ways in which credentials say so.

use std::fmt;

use serde_json::Value;
use url::Url;

use crate::protocol::status_list::StatusError;
#[cfg(feature = "w3c")]
use crate::protocol::vc::bitstring;

/// Where a credential's status stands.
///
/// An index is as good as a serial number, so it is never stored and never shown; `Debug` redacts it.
#[derive(Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum StatusRef {
    /// An entry of a Token Status List: the `status_list` member of a `status` claim.
    TokenList {
        /// Where the list is. Chosen by whoever wrote the credential: it is fetched once the credential's signature holds.
        uri: Url,
        /// The credential's entry in the list.
        index: u64,
    },
    /// An identifier that an identifier list names once its mdoc is revoked (ISO/IEC 18013-5, second edition).
    #[cfg(feature = "mdoc")]
    Identifier {
        /// Where the list is.
        uri: Url,
        /// Which identifier.
        id: Vec<u8>,
    },
    /// Entries of Bitstring Status Lists, of which each must say that the credential holds.
    #[cfg(feature = "w3c")]
    Bitstring(Vec<bitstring::Entry>),
}

impl StatusRef {
    /// Reads a `status` claim: `{"status_list":{"idx":412,"uri":"https://issuer.example/lists/7"}}`. Members that are
    /// not known are left alone, in both objects (Token Status List, section 6.1).
    ///
    /// The URI must be written as the URL standard writes it (lower-case host, no default port, and so on), because the
    /// list's `sub` is compared with it letter by letter.
    ///
    /// # Errors
    /// The claim is malformed, or gives no `status_list`: another mechanism is not understood, and a credential whose
    /// status cannot be known must not pass for one without a status (HAIP requires `status_list`).
    pub fn from_claim(status: &Value) -> Result<Self, StatusError> {
        let status = status.as_object().ok_or(StatusError::Claim { expected: "`status` to be an object" })?;
        let list = status.get("status_list").ok_or(StatusError::Mechanism)?;
        let list = list.as_object().ok_or(StatusError::Claim { expected: "`status_list` to be an object" })?;
        let index = list.get("idx").and_then(Value::as_u64);
        let index = index.ok_or(StatusError::Claim { expected: "`idx` to be an integer from 0 on" })?;
        let text = list.get("uri").and_then(Value::as_str);
        let text = text.ok_or(StatusError::Claim { expected: "`uri` to be a string" })?;
        match Url::parse(text) {
            Ok(uri) if uri.as_str() == text && uri.has_host() => Ok(Self::TokenList { uri, index }),
            _ => Err(StatusError::Claim { expected: "`uri` to be an absolute url in its normal form" }),
        }
    }

    /// Reads the `credentialStatus` of a W3C credential by `issuer`; none if no entry of it bears on validity.
    ///
    /// # Errors
    /// It is malformed, or of another kind than Bitstring Status List.
    #[cfg(feature = "w3c")]
    pub fn from_credential_status(status: &Value, issuer: &str) -> Result<Option<Self>, StatusError> {
        let entries = bitstring::Entry::of(status, issuer)?;
        Ok(if entries.is_empty() { None } else { Some(Self::Bitstring(entries)) })
    }
}

impl fmt::Debug for StatusRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("StatusRef([redacted])")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    const URI: &str = "https://issuer.example/lists/7";

    #[test]
    fn a_reference_has_strict_types_and_shows_nothing() {
        let claim = json!({"status_list": {"idx": 412, "uri": URI, "more": 1}, "more": {}});
        let found = StatusRef::from_claim(&claim).unwrap();
        assert_eq!(found, StatusRef::TokenList { uri: URI.parse().unwrap(), index: 412 });
        assert_eq!(format!("{found:?}"), "StatusRef([redacted])");

        assert!(matches!(StatusRef::from_claim(&json!({})), Err(StatusError::Mechanism)));
        assert!(matches!(
            StatusRef::from_claim(&json!({"identifier_list": {"id": "aa", "uri": URI}})),
            Err(StatusError::Mechanism)
        ));
        for wrong in [
            json!(null),
            json!([]),
            json!({"status_list": null}),
            json!({"status_list": [412, URI]}),
            json!({"status_list": {"uri": URI}}),
            json!({"status_list": {"idx": 412}}),
            json!({"status_list": {"idx": -1, "uri": URI}}),
            json!({"status_list": {"idx": 1.0, "uri": URI}}),
            json!({"status_list": {"idx": "1", "uri": URI}}),
            json!({"status_list": {"idx": 1, "uri": [URI]}}),
            json!({"status_list": {"idx": 1, "uri": "/lists/7"}}),
            json!({"status_list": {"idx": 1, "uri": "urn:lists:7"}}),
            json!({"status_list": {"idx": 1, "uri": "https://ISSUER.example/lists/7"}}),
            json!({"status_list": {"idx": 1, "uri": "https://issuer.example/lists/7\n"}}),
        ] {
            assert!(matches!(StatusRef::from_claim(&wrong), Err(StatusError::Claim { .. })), "{wrong}");
        }
    }
}
