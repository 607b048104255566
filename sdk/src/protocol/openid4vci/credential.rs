//! Credential requests, deferred ones, and notifications (OpenID4VCI 1.0, sections 8, 9 and 11).

use std::fmt;

use serde_json::{Map, Value};

use super::{KEYS_MAX, proof::KeyProofError};
use crate::{
    limits::Limits,
    protocol::json::{self, JsonError},
};

/// The largest request that is read, in bytes: ten proofs with an attestation and its certificates each.
pub const REQUEST_BYTES_MAX: usize = 256 * 1024;
/// The longest name of ours that comes back, in bytes: that of a deferred transaction holds the keys it is for.
const NAME_BYTES_MAX: usize = 4 * 1024;

/// What a wallet asks for at the credential endpoint.
#[derive(Clone)]
pub struct CredentialRequest {
    /// Which credential.
    pub wanted: Wanted,
    /// The keys that it is to be bound to, with what proves them.
    pub proofs: Proofs,
}

/// How a request names a credential: by one of the two, and which of them the token answer says (section 3.3.4).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Wanted {
    /// By the issuer's configuration.
    Configuration(String),
    /// By an identifier of the token answer.
    Identifier(String),
}

/// Proofs of one type (appendix F), not checked yet.
#[derive(Clone, PartialEq, Eq)]
pub enum Proofs {
    /// Proofs of possession by the keys themselves.
    Jwt(Vec<String>),
    /// The word of the wallet's provider about its keys.
    Attestation(String),
}

impl CredentialRequest {
    /// Reads the body. Members that are not known are ignored (section 8.2).
    ///
    /// # Errors
    /// The first rule that it breaks.
    pub fn read(body: &[u8], limits: &Limits) -> Result<Self, CredentialRequestError> {
        let members = object(body, limits)?;
        // We announce no encryption: a wallet that asks for it would take the answer for what it is not.
        if members.contains_key("credential_response_encryption") {
            return Err(CredentialRequestError::Encryption);
        }
        let configuration = string(&members, "credential_configuration_id")?;
        let identifier = string(&members, "credential_identifier")?;
        let wanted = match (configuration, identifier) {
            (Some(id), None) => Wanted::Configuration(id),
            (None, Some(id)) => Wanted::Identifier(id),
            (Some(_), Some(_)) => return Err(CredentialRequestError::Both),
            (None, None) => return Err(CredentialRequestError::Missing("credential_configuration_id")),
        };
        let proofs = members.get("proofs").ok_or(CredentialRequestError::Proofs)?;
        let proofs = proofs.as_object().ok_or(CredentialRequestError::Proofs)?;
        // "exactly one parameter named as the proof type"
        let mut kinds = proofs.iter();
        let (Some((kind, list)), None) = (kinds.next(), kinds.next()) else {
            return Err(CredentialRequestError::Proofs);
        };
        let list = list.as_array().filter(|list| !list.is_empty()).ok_or(CredentialRequestError::Proofs)?;
        if list.len() > KEYS_MAX {
            return Err(CredentialRequestError::TooManyKeys { found: list.len(), limit: KEYS_MAX });
        }
        let texts: Option<Vec<String>> = list.iter().map(|one| one.as_str().map(str::to_owned)).collect();
        let mut texts = texts.filter(|_| matches!(kind.as_str(), "jwt" | "attestation"));
        let proofs = match (kind.as_str(), texts.as_mut().map(|texts| (texts.len(), texts))) {
            ("jwt", Some((_, texts))) => Proofs::Jwt(std::mem::take(texts)),
            // "an array that contains exactly one JWT"
            ("attestation", Some((1, texts))) => {
                Proofs::Attestation(texts.pop().ok_or(CredentialRequestError::Proofs)?)
            }
            ("jwt" | "attestation", _) => return Err(CredentialRequestError::Proofs),
            _ => return Err(CredentialRequestError::ProofType),
        };
        Ok(Self { wanted, proofs })
    }
}

impl fmt::Debug for CredentialRequest {
    /// Without the proofs, whose keys follow their holder.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CredentialRequest").field("wanted", &self.wanted).finish_non_exhaustive()
    }
}

impl fmt::Debug for Proofs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Jwt(proofs) => write!(f, "Jwt({})", proofs.len()),
            Self::Attestation(_) => f.write_str("Attestation"),
        }
    }
}

/// Reads a deferred request: the name of the transaction (section 9.1).
///
/// # Errors
/// The first rule that it breaks.
pub fn read_deferred(body: &[u8], limits: &Limits) -> Result<String, CredentialRequestError> {
    let members = object(body, limits)?;
    if members.contains_key("credential_response_encryption") {
        return Err(CredentialRequestError::Encryption);
    }
    string(&members, "transaction_id")?.ok_or(CredentialRequestError::Missing("transaction_id"))
}

/// What became of credentials in a wallet (section 11.1).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Notification {
    /// Which credentials: the name from the answer that brought them.
    pub id: String,
    /// What happened.
    pub event: Event,
}

/// What happened to credentials in a wallet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Event {
    /// They are stored.
    Accepted,
    /// They could not be stored.
    Failure,
    /// Their owner did not want them.
    Deleted,
}

impl Notification {
    /// Reads the body. What a wallet describes in words is not kept.
    ///
    /// # Errors
    /// The first rule that it breaks; every one is `invalid_notification_request` (section 11.3).
    pub fn read(body: &[u8], limits: &Limits) -> Result<Self, CredentialRequestError> {
        let members = object(body, limits)?;
        let id = string(&members, "notification_id")?.ok_or(CredentialRequestError::Missing("notification_id"))?;
        let event = match string(&members, "event")?.as_deref() {
            Some("credential_accepted") => Event::Accepted,
            Some("credential_failure") => Event::Failure,
            Some("credential_deleted") => Event::Deleted,
            Some(_) => return Err(CredentialRequestError::Malformed("event")),
            None => return Err(CredentialRequestError::Missing("event")),
        };
        match members.get("event_description") {
            None | Some(Value::String(_)) => Ok(Self { id, event }),
            Some(_) => Err(CredentialRequestError::Malformed("event_description")),
        }
    }
}

/// Why a credential request is refused.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CredentialRequestError {
    /// It is too large.
    #[error("the request has {found} bytes, more than the {limit} that are read")]
    TooLarge {
        /// Its size.
        found: usize,
        /// The bound.
        limit: usize,
    },
    /// It is not strict JSON.
    #[error(transparent)]
    Json(#[from] JsonError),
    /// It is no object.
    #[error("the request must be a JSON object")]
    NotAnObject,
    /// A member is missing.
    #[error("`{0}` is missing")]
    Missing(&'static str),
    /// A member is not what it must be.
    #[error("`{0}` is not what it must be")]
    Malformed(&'static str),
    /// It names the credential in both ways.
    #[error("name the credential by its configuration or by its identifier, not by both")]
    Both,
    /// A configuration that is not issued here.
    #[error("no such credential configuration")]
    UnknownConfiguration,
    /// An identifier that the token answer did not name.
    #[error("no such credential identifier")]
    UnknownIdentifier,
    /// `proofs` is missing, or is not one array of proofs of one type.
    #[error("`proofs` must hold one array of proofs of one type")]
    Proofs,
    /// A type of proof that is not accepted.
    #[error("the type of the proofs is none of those accepted")]
    ProofType,
    /// More keys than credentials are issued at once.
    #[error("{found} keys are more than the {limit} that get a credential at once")]
    TooManyKeys {
        /// How many there are.
        found: usize,
        /// The bound.
        limit: usize,
    },
    /// One key twice in a batch.
    #[error("each proof must be of a key of its own")]
    RepeatedKey,
    /// The answer is to be encrypted, which the metadata do not offer.
    #[error("encrypted answers are not offered")]
    Encryption,
    /// A proof does not hold.
    #[error("a proof does not hold: {0}")]
    Proof(#[from] KeyProofError),
}

impl CredentialRequestError {
    /// A stable name of the check that failed.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::TooLarge { .. } => "credential_request_too_large",
            Self::Json(error) => error.code(),
            Self::NotAnObject => "credential_request_not_an_object",
            Self::Missing(_) => "credential_request_member_missing",
            Self::Malformed(_) => "credential_request_member",
            Self::Both => "credential_request_named_twice",
            Self::UnknownConfiguration => "credential_configuration_unknown",
            Self::UnknownIdentifier => "credential_identifier_unknown",
            Self::Proofs => "credential_proofs",
            Self::ProofType => "credential_proof_type",
            Self::TooManyKeys { .. } => "credential_too_many_keys",
            Self::RepeatedKey => "credential_repeated_key",
            Self::Encryption => "credential_encryption",
            Self::Proof(error) => error.code(),
        }
    }

    /// The standard's own name for it (section 8.3.1.2).
    #[must_use]
    pub const fn oauth(&self) -> &'static str {
        match self {
            Self::TooLarge { .. }
            | Self::Json(_)
            | Self::NotAnObject
            | Self::Missing(_)
            | Self::Malformed(_)
            | Self::Both => "invalid_credential_request",
            Self::UnknownConfiguration => "unknown_credential_configuration",
            Self::UnknownIdentifier => "unknown_credential_identifier",
            Self::Proofs | Self::ProofType | Self::TooManyKeys { .. } | Self::RepeatedKey => "invalid_proof",
            Self::Encryption => "invalid_encryption_parameters",
            Self::Proof(error) => error.oauth(),
        }
    }
}

fn object(body: &[u8], limits: &Limits) -> Result<Map<String, Value>, CredentialRequestError> {
    if body.len() > REQUEST_BYTES_MAX {
        return Err(CredentialRequestError::TooLarge { found: body.len(), limit: REQUEST_BYTES_MAX });
    }
    match json::parse(body, limits.json_depth)? {
        Value::Object(members) => Ok(members),
        _ => Err(CredentialRequestError::NotAnObject),
    }
}

fn string(members: &Map<String, Value>, name: &'static str) -> Result<Option<String>, CredentialRequestError> {
    match members.get(name) {
        None => Ok(None),
        Some(Value::String(text)) if text.len() <= NAME_BYTES_MAX => Ok(Some(text.clone())),
        Some(_) => Err(CredentialRequestError::Malformed(name)),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn read(body: &Value) -> Result<CredentialRequest, &'static str> {
        CredentialRequest::read(body.to_string().as_bytes(), &Limits::default()).map_err(|e| e.oauth())
    }

    #[test]
    fn a_request_is_read() {
        let request =
            read(&json!({"credential_configuration_id": "a", "proofs": {"jwt": ["x", "y"]}, "z": 1})).unwrap();
        assert_eq!(request.wanted, Wanted::Configuration("a".into()));
        assert_eq!(request.proofs, Proofs::Jwt(vec!["x".into(), "y".into()]));
        let request = read(&json!({"credential_identifier": "b", "proofs": {"attestation": ["x"]}})).unwrap();
        assert_eq!(request.wanted, Wanted::Identifier("b".into()));
        assert_eq!(request.proofs, Proofs::Attestation("x".into()));
    }

    #[test]
    fn a_request_with_one_thing_wrong_has_the_standards_name_for_it() {
        let good = json!({"credential_configuration_id": "a", "proofs": {"jwt": ["x"]}});
        for (name, value, oauth) in [
            ("credential_configuration_id", json!(null), "invalid_credential_request"),
            ("credential_configuration_id", json!(1), "invalid_credential_request"),
            ("credential_configuration_id", json!("x".repeat(4097)), "invalid_credential_request"),
            ("credential_identifier", json!("b"), "invalid_credential_request"),
            ("proofs", json!(null), "invalid_proof"),
            ("proofs", json!({}), "invalid_proof"),
            ("proofs", json!({"jwt": []}), "invalid_proof"),
            ("proofs", json!({"jwt": "x"}), "invalid_proof"),
            ("proofs", json!({"jwt": [1]}), "invalid_proof"),
            ("proofs", json!({"jwt": ["x"], "attestation": ["y"]}), "invalid_proof"),
            ("proofs", json!({"attestation": ["x", "y"]}), "invalid_proof"),
            ("proofs", json!({"di_vp": [{}]}), "invalid_proof"),
            ("proofs", json!({"jwt": vec!["x"; 11]}), "invalid_proof"),
            ("credential_response_encryption", json!({}), "invalid_encryption_parameters"),
        ] {
            let mut bent = good.clone();
            bent[name] = value.clone();
            assert_eq!(read(&bent).unwrap_err(), oauth, "{name} {value}");
        }
        let mut without = good;
        without.as_object_mut().unwrap().remove("proofs");
        assert_eq!(read(&without).unwrap_err(), "invalid_proof");
        assert_eq!(read(&json!([])).unwrap_err(), "invalid_credential_request");
        let large = vec![b' '; REQUEST_BYTES_MAX + 1];
        let error = CredentialRequest::read(&large, &Limits::default()).unwrap_err();
        assert_eq!(error.code(), "credential_request_too_large");
    }

    #[test]
    fn a_notification_is_read() {
        let read = |body: Value| {
            Notification::read(body.to_string().as_bytes(), &Limits::default()).map(|n| n.event).map_err(|e| e.code())
        };
        assert_eq!(read(json!({"notification_id": "n", "event": "credential_accepted"})), Ok(Event::Accepted));
        let said = json!({"notification_id": "n", "event": "credential_failure", "event_description": "full"});
        assert_eq!(read(said), Ok(Event::Failure));
        assert_eq!(read(json!({"notification_id": "n", "event": "credential_deleted", "x": 1})), Ok(Event::Deleted));
        assert_eq!(read(json!({"notification_id": "n"})), Err("credential_request_member_missing"));
        assert_eq!(read(json!({"event": "credential_deleted"})), Err("credential_request_member_missing"));
        assert_eq!(
            read(json!({"notification_id": "n", "event": "Credential_deleted"})),
            Err("credential_request_member")
        );
        let odd = json!({"notification_id": "n", "event": "credential_failure", "event_description": 1});
        assert_eq!(read(odd), Err("credential_request_member"));
    }
}
