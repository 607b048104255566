//! Published lists of issuers for tests.

use base64::{Engine, prelude::BASE64_STANDARD};
use serde_json::{Map, Value, json};

use crate::{
    protocol::jose::{JoseError, SigningKey},
    time::UnixTime,
};

/// The operator that [`lote`] names: who signs under an authority has a certificate of this organisation and country.
pub const OPERATOR: (&str, &str) = ("Test Operator", "EU");

/// A List of Trusted Entities (ETSI TS 119 602) that names one entity, good for 30 days: `services` are the types of its
/// services, each with one certificate.
#[must_use]
pub fn lote(sequence: u64, issued_at: UnixTime, services: &[(&str, &[u8])]) -> Value {
    let service = |(service_type, der): &(&str, &[u8])| {
        json!({"ServiceInformation": {
            "ServiceName": [{"lang": "en", "value": "a service"}],
            "ServiceTypeIdentifier": service_type,
            "ServiceDigitalIdentity": {"X509Certificates": [{"val": BASE64_STANDARD.encode(der)}]},
        }})
    };
    json!({
        "ListAndSchemeInformation": {
            "LoTEVersionIdentifier": 1,
            "LoTESequenceNumber": sequence,
            "LoTEType": "http://uri.etsi.org/19602/LoTEType/EUPIDProvidersList",
            "SchemeOperatorName": [{"lang": "en", "value": OPERATOR.0}],
            "SchemeTerritory": OPERATOR.1,
            "ListIssueDateTime": issued_at.to_string(),
            "NextUpdate": issued_at.plus_s(30 * 24 * 3600).to_string(),
        },
        "TrustedEntitiesList": [{
            "TrustedEntityInformation": {"TEName": [{"lang": "en", "value": "an entity"}]},
            "TrustedEntityServices": services.iter().map(service).collect::<Vec<_>>(),
        }],
    })
}

/// The list as it is published: signed by `key`, with the certificates of `chain`, leaf first.
///
/// # Errors
/// If signing fails.
pub fn signed(list: &Value, key: &SigningKey, chain: &[Vec<u8>]) -> Result<String, JoseError> {
    let mut header = Map::new();
    if !chain.is_empty() {
        header.insert("x5c".to_owned(), chain.iter().map(|der| BASE64_STANDARD.encode(der)).collect());
    }
    key.sign_jws(&header, list)
}
