//! Passkeys (WebAuthn Level 3), the relying party's part: what a browser is asked, and the checks of what it sends back
//! (sections 7.1 and 7.2).
//!
//! The only file that knows webauthn-rs. Its core is used and not its façade: the façade takes UUIDs for user handles
//! and asks for no discoverable credential. What the core leaves to its caller is done here: the origin is compared as
//! text, a ceremony in a frame of another site is refused in both directions, the names of one credential agree, the
//! user handle is the one that was given out, and no attestation is read that was never asked for.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use tracing::subscriber::NoSubscriber;
use url::Url;
use webauthn_rs_core::{
    WebauthnCore,
    error::WebauthnError as CoreError,
    proto::{
        AttestationFormat, AuthenticatorAssertionResponseRaw, AuthenticatorAttestationResponseRaw, COSEAlgorithm,
        COSEEC2Key, COSEKey, COSEKeyType, COSERSAKey, Credential, ECDSACurve, ParsedAttestation, ParsedAttestationData,
        PublicKeyCredential, RegisterPublicKeyCredential, RegisteredExtensions, UserVerificationPolicy,
    },
};

use crate::{
    limits::Limits,
    protocol::{
        did::Did,
        jose::{PublicKey, base64url_decode, base64url_encode},
        json,
    },
};

/// How long a browser may take, in seconds (section 15.1 recommends five minutes).
pub const CEREMONY_S: u64 = 5 * 60;
/// The bytes of a challenge: section 13.4.3 asks for 16 at least.
pub const CHALLENGE_BYTES: usize = 32;
/// The bytes of a user handle: 64 at most (section 5.4.3), and nothing but random.
pub const USER_HANDLE_BYTES: usize = 32;
/// The longest credential id (section 5.8.3).
const CREDENTIAL_ID_BYTES_MAX: usize = 1_023;

/// Why what an authenticator made is not believed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum WebauthnError {
    /// A member is missing, too long, or not what it should be.
    #[error("send what the browser's credential says by `toJSON()`: `{0}` is missing, too long or malformed")]
    Malformed(&'static str),
    /// The client data are of the other ceremony.
    #[error("the client data must say {expected}")]
    Type {
        /// `webauthn.create` or `webauthn.get`.
        expected: &'static str,
    },
    /// Another challenge was answered.
    #[error("another challenge was answered")]
    Challenge,
    /// The page that called the authenticator is not this shop's.
    #[error("the passkey was used at {found:?}, and this shop is {expected}")]
    Origin {
        /// The origin of this shop.
        expected: String,
        /// What the client data say.
        found: String,
    },
    /// The page stood in a frame of another site.
    #[error("a passkey is not used inside a page of another site")]
    CrossOrigin,
    /// The authenticator answered for another relying party.
    #[error("the authenticator answered for another site")]
    RelyingParty,
    /// Nobody touched the authenticator.
    #[error("the authenticator must see that somebody is there")]
    UserPresence,
    /// A passkey that could verify its user did not.
    #[error("this passkey verified its user before, and must do so again")]
    UserVerification,
    /// A key of an algorithm that was not offered, or that is none.
    #[error("the passkey's key is of none of the algorithms that were offered")]
    Algorithm,
    /// An attestation, although none was asked for.
    #[error("no attestation is asked for, and none is taken")]
    Attestation,
    /// The names of the credential differ from each other.
    #[error("`id`, `rawId` and the authenticator's data must name one credential")]
    CredentialId,
    /// The credential is one of those that were to be excluded.
    #[error("this passkey is there already")]
    Excluded,
    /// The user handle is missing, or not the one of this credential.
    #[error("the user handle must be the one that this passkey was made with")]
    UserHandle,
    /// The bits that speak of backups contradict each other, or what was said before (section 6.1.3).
    #[error("the passkey says of its backup what cannot be")]
    Backup,
    /// The counter did not grow: there may be a copy (section 6.1.1).
    #[error("the passkey's counter did not grow since it was last used: there may be a copy of it")]
    Counter,
    /// The signature does not hold.
    #[error("the passkey's signature does not hold")]
    Signature,
}

impl WebauthnError {
    /// A stable name for logs and answers.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Malformed(_) => "passkey_malformed",
            Self::Type { .. } => "passkey_type",
            Self::Challenge => "passkey_challenge",
            Self::Origin { .. } => "passkey_origin",
            Self::CrossOrigin => "passkey_cross_origin",
            Self::RelyingParty => "passkey_relying_party",
            Self::UserPresence => "passkey_user_presence",
            Self::UserVerification => "passkey_user_verification",
            Self::Algorithm => "passkey_algorithm",
            Self::Attestation => "passkey_attestation",
            Self::CredentialId => "passkey_credential_id",
            Self::Excluded => "passkey_excluded",
            Self::UserHandle => "passkey_user_handle",
            Self::Backup => "passkey_backup",
            Self::Counter => "passkey_counter",
            Self::Signature => "passkey_signature",
        }
    }
}

/// A shop as authenticators know it: the host of its origin (section 5.1.2), and nothing below or above it.
#[derive(Debug, Clone)]
pub struct RelyingParty {
    id: String,
    origin: String,
    core: WebauthnCore,
}

/// What a browser sends after `navigator.credentials.create()` (`RegistrationResponseJSON`, section 5.1), read and not
/// yet believed.
#[derive(Clone)]
pub struct Registration {
    id: Vec<u8>,
    client: ClientData,
    attestation_object: Vec<u8>,
}

/// What a browser sends after `navigator.credentials.get()` (`AuthenticationResponseJSON`, section 5.1), read and not
/// yet believed.
#[derive(Clone)]
pub struct Assertion {
    id: Vec<u8>,
    client: ClientData,
    authenticator_data: Vec<u8>,
    signature: Vec<u8>,
    user_handle: Vec<u8>,
}

/// The public half of a passkey: the credential record of section 4, and no attestation.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CredentialRecord {
    /// The credential id, base64url.
    id: String,
    /// The credential public key as a JWK.
    key: Value,
    /// The signature counter. Passkeys that are synced say 0 for ever.
    counter: u32,
    /// Whether the authenticator verified its user when the passkey was made: then it must do so for ever.
    user_verified: bool,
    /// Whether it may be copied to other devices by its platform. Never changes.
    backup_eligible: bool,
    /// Whether it has been.
    backed_up: bool,
}

impl std::fmt::Debug for Registration {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Registration([redacted])")
    }
}

impl std::fmt::Debug for Assertion {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Assertion([redacted])")
    }
}

impl std::fmt::Debug for CredentialRecord {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("CredentialRecord").field("counter", &self.counter).finish_non_exhaustive()
    }
}

impl CredentialRecord {
    /// The credential id.
    #[must_use]
    pub fn id(&self) -> Vec<u8> {
        base64url_decode(&self.id).unwrap_or_default()
    }

    /// The key as a DID; those of RSA have none.
    #[must_use]
    pub fn did(&self) -> Option<Did> {
        PublicKey::from_jwk(&self.key).ok().map(|key| Did::jwk(&key))
    }

    /// Whether the platform that made it may copy it to other devices.
    #[must_use]
    pub const fn is_backup_eligible(&self) -> bool {
        self.backup_eligible
    }

    /// Whether it said so when it was last used.
    #[must_use]
    pub const fn is_backed_up(&self) -> bool {
        self.backed_up
    }
}

impl Registration {
    /// Reads what the browser sent.
    ///
    /// # Errors
    /// [`WebauthnError::Malformed`], [`WebauthnError::CredentialId`] if `id` and `rawId` differ.
    pub fn read(response: &Value, limits: &Limits) -> Result<Self, WebauthnError> {
        let response = Members::of(response, limits)?;
        Ok(Self {
            id: response.id()?,
            client: ClientData::read(&response, limits)?,
            attestation_object: response.bytes("attestationObject")?,
        })
    }

    /// The challenge that was answered, as the client data say.
    #[must_use]
    pub fn challenge(&self) -> &[u8] {
        &self.client.challenge
    }
}

impl Assertion {
    /// Reads what the browser sent.
    ///
    /// # Errors
    /// [`WebauthnError::Malformed`], [`WebauthnError::CredentialId`] if `id` and `rawId` differ,
    /// [`WebauthnError::UserHandle`] if there is none: whoever signs in has said nothing else of who they are
    /// (section 7.2, step 6).
    pub fn read(response: &Value, limits: &Limits) -> Result<Self, WebauthnError> {
        let response = Members::of(response, limits)?;
        let user_handle = match response.response.get("userHandle") {
            None | Some(Value::Null) => return Err(WebauthnError::UserHandle),
            Some(_) => response.bytes("userHandle")?,
        };
        Ok(Self {
            id: response.id()?,
            client: ClientData::read(&response, limits)?,
            authenticator_data: response.bytes("authenticatorData")?,
            signature: response.bytes("signature")?,
            user_handle,
        })
    }

    /// The challenge that was answered, as the client data say.
    #[must_use]
    pub fn challenge(&self) -> &[u8] {
        &self.client.challenge
    }

    /// The credential that is said to have answered.
    #[must_use]
    pub fn credential_id(&self) -> &[u8] {
        &self.id
    }
}

impl RelyingParty {
    /// The shop at this origin.
    #[must_use]
    pub fn new(origin: &Url) -> Self {
        let id = origin.host_str().unwrap_or_default().to_owned();
        let timeout = Duration::from_secs(CEREMONY_S);
        // No subdomain and no other port is this shop.
        let (subdomains, any_port) = (Some(false), Some(false));
        let core = WebauthnCore::new_unsafe_experts_only(&id, &id, vec![origin.clone()], timeout, subdomains, any_port);
        Self { origin: origin.origin().ascii_serialization(), id, core }
    }

    /// What `navigator.credentials.create()` is asked for (`PublicKeyCredentialCreationOptionsJSON`, section 5.1.8): a
    /// discoverable credential, of whatever make, under a handle (base64url) that says nothing. The authenticator and its owner's
    /// list of passkeys learn the shop's host, and nothing of the customer.
    #[must_use]
    pub fn creation_options(
        &self,
        challenge: &[u8; CHALLENGE_BYTES],
        user_handle: &str,
        known: &[CredentialRecord],
    ) -> Value {
        let offered = algorithms().into_iter().map(|a| json!({ "type": "public-key", "alg": a as i64 }));
        let excluded = known.iter().map(|credential| json!({ "type": "public-key", "id": credential.id }));
        json!({
            "rp": { "id": self.id, "name": self.id },
            "user": { "id": user_handle, "name": self.id, "displayName": self.id },
            "challenge": base64url_encode(challenge),
            "pubKeyCredParams": offered.collect::<Vec<_>>(),
            "timeout": CEREMONY_S * 1_000,
            "excludeCredentials": excluded.collect::<Vec<_>>(),
            "authenticatorSelection": {
                "residentKey": "required",
                "requireResidentKey": true,
                "userVerification": "preferred",
            },
            "attestation": "none",
        })
    }

    /// What `navigator.credentials.get()` is asked for (`PublicKeyCredentialRequestOptionsJSON`, section 5.1.9): any
    /// passkey of this shop, which the browser finds by itself, also in the autofill of a field (conditional mediation).
    #[must_use]
    pub fn request_options(&self, challenge: &[u8; CHALLENGE_BYTES]) -> Value {
        json!({
            "challenge": base64url_encode(challenge),
            "timeout": CEREMONY_S * 1_000,
            "rpId": self.id,
            "allowCredentials": [],
            "userVerification": "preferred",
        })
    }

    /// A new passkey (section 7.1). `known` are those that were excluded.
    ///
    /// # Errors
    /// [`WebauthnError`], the first check that fails.
    pub fn check_registration(
        &self,
        challenge: &[u8],
        registration: &Registration,
        known: &[CredentialRecord],
    ) -> Result<CredentialRecord, WebauthnError> {
        self.check_client(&registration.client, "webauthn.create", challenge)?;
        if known.iter().any(|one| one.id() == registration.id) {
            return Err(WebauthnError::Excluded);
        }
        // A browser that was asked for no attestation conveys none, or one that the credential made of itself
        // (section 5.1.3). Whatever else it says is not even parsed: TPM structures and chains of certificates are a
        // large thing to read from a stranger.
        if !ATTESTATIONS.iter().any(|begin| registration.attestation_object.starts_with(begin)) {
            return Err(WebauthnError::Attestation);
        }
        let new = self.core.new_challenge_register_builder(&[0; USER_HANDLE_BYTES], &self.id, &self.id)?;
        let new = new
            .credential_algorithms(algorithms())
            .require_resident_key(true)
            .user_verification_policy(UserVerificationPolicy::Preferred);
        let (_, state) = self.core.generate_challenge_register(new)?;
        let sent = RegisterPublicKeyCredential {
            id: base64url_encode(&registration.id),
            raw_id: registration.id.clone(),
            response: AuthenticatorAttestationResponseRaw {
                attestation_object: registration.attestation_object.clone(),
                client_data_json: registration.client.bytes.clone(),
                transports: None,
            },
            type_: PUBLIC_KEY.to_owned(),
            extensions: Default::default(),
        };
        let state = with_challenge(&state, challenge)?;
        let made = unheard(|| self.core.register_credential(&sent, &state, None))?;
        if !matches!(made.attestation.data, ParsedAttestationData::None | ParsedAttestationData::Self_) {
            return Err(WebauthnError::Attestation);
        }
        if made.cred_id != registration.id {
            return Err(WebauthnError::CredentialId);
        }
        Ok(CredentialRecord {
            id: base64url_encode(&made.cred_id),
            key: jwk_of(&made.cred)?,
            counter: made.counter,
            user_verified: made.user_verified,
            backup_eligible: made.backup_eligible,
            backed_up: made.backup_state,
        })
    }

    /// A passkey that was used (section 7.2): the record as it is from now on. `user_handle` is the one it was made with,
    /// base64url.
    ///
    /// # Errors
    /// [`WebauthnError`], the first check that fails; [`WebauthnError::Counter`] only after all others held.
    pub fn check_assertion(
        &self,
        challenge: &[u8],
        assertion: &Assertion,
        credential: &CredentialRecord,
        user_handle: &str,
    ) -> Result<CredentialRecord, WebauthnError> {
        self.check_client(&assertion.client, "webauthn.get", challenge)?;
        if credential.id() != assertion.id {
            return Err(WebauthnError::CredentialId);
        }
        // Step 6: it names the account, and there is one for each credential.
        if user_handle != base64url_encode(&assertion.user_handle) {
            return Err(WebauthnError::UserHandle);
        }
        let known = known(credential)?;
        let builder =
            self.core.new_challenge_authenticate_builder(vec![known], Some(UserVerificationPolicy::Preferred))?;
        let (_, state) = self.core.generate_challenge_authenticate(builder)?;
        let sent = PublicKeyCredential {
            id: base64url_encode(&assertion.id),
            raw_id: assertion.id.clone(),
            response: AuthenticatorAssertionResponseRaw {
                authenticator_data: assertion.authenticator_data.clone(),
                client_data_json: assertion.client.bytes.clone(),
                signature: assertion.signature.clone(),
                user_handle: Some(assertion.user_handle.clone()),
            },
            extensions: Default::default(),
            type_: PUBLIC_KEY.to_owned(),
        };
        let state = with_challenge(&state, challenge)?;
        let used = unheard(|| self.core.authenticate_credential(&sent, &state))?;
        Ok(CredentialRecord { counter: used.counter(), backed_up: used.backup_state(), ..credential.clone() })
    }

    /// Sections 7.1 and 7.2, steps 7 to 11 each.
    fn check_client(&self, client: &ClientData, expected: &'static str, challenge: &[u8]) -> Result<(), WebauthnError> {
        if client.kind != expected {
            return Err(WebauthnError::Type { expected });
        }
        // No secret: the browser was told it.
        if client.challenge != challenge {
            return Err(WebauthnError::Challenge);
        }
        if client.origin != self.origin {
            return Err(WebauthnError::Origin { expected: self.origin.clone(), found: client.origin.clone() });
        }
        if client.is_framed { Err(WebauthnError::CrossOrigin) } else { Ok(()) }
    }
}

const PUBLIC_KEY: &str = "public-key";

/// How an attestation object begins that carries no attestation, or one by the credential itself: a map of three whose
/// first member is `fmt`, in the one order that section 6.5.4 and CTAP2's canonical CBOR allow.
const ATTESTATIONS: [&[u8]; 2] = [b"\xa3\x63fmt\x64none", b"\xa3\x63fmt\x66packed"];

/// What is offered: P-256 for nearly all, P-384, and RSA for the authenticators of Windows that have nothing else. RSA
/// is checked here and never signed with.
fn algorithms() -> Vec<COSEAlgorithm> {
    vec![COSEAlgorithm::ES256, COSEAlgorithm::ES384, COSEAlgorithm::RS256]
}

/// `CollectedClientData` (section 5.8.1), and the bytes that the signature covers.
#[derive(Clone)]
struct ClientData {
    bytes: Vec<u8>,
    kind: String,
    challenge: Vec<u8>,
    origin: String,
    is_framed: bool,
}

impl ClientData {
    fn read(response: &Members<'_>, limits: &Limits) -> Result<Self, WebauthnError> {
        const MALFORMED: WebauthnError = WebauthnError::Malformed("clientDataJSON");
        let bytes = response.bytes("clientDataJSON")?;
        let Ok(Value::Object(members)) = json::parse(&bytes, limits.json_depth) else { return Err(MALFORMED) };
        let text = |name: &str| members.get(name).and_then(Value::as_str).ok_or(MALFORMED);
        let is_cross_origin = match members.get("crossOrigin") {
            None | Some(Value::Bool(false)) => false,
            Some(Value::Bool(true)) => true,
            Some(_) => return Err(MALFORMED),
        };
        Ok(Self {
            kind: text("type")?.to_owned(),
            challenge: base64url_decode(text("challenge")?).map_err(|_| MALFORMED)?,
            origin: text("origin")?.to_owned(),
            // Only a page in a frame of another site has an origin above it.
            is_framed: is_cross_origin || members.contains_key("topOrigin"),
            bytes,
        })
    }
}

/// The members of a browser's answer.
struct Members<'a> {
    credential: &'a Map<String, Value>,
    response: &'a Map<String, Value>,
    bytes_max: usize,
}

impl<'a> Members<'a> {
    fn of(credential: &'a Value, limits: &Limits) -> Result<Self, WebauthnError> {
        let credential = credential.as_object().ok_or(WebauthnError::Malformed("credential"))?;
        if credential.get("type").and_then(Value::as_str) != Some(PUBLIC_KEY) {
            return Err(WebauthnError::Malformed("type"));
        }
        let response = credential.get("response").and_then(Value::as_object);
        let response = response.ok_or(WebauthnError::Malformed("response"))?;
        Ok(Self { credential, response, bytes_max: limits.passkey_bytes })
    }

    fn id(&self) -> Result<Vec<u8>, WebauthnError> {
        let [id, raw] = ["id", "rawId"].map(|name| self.credential.get(name));
        if raw.is_some_and(|raw| Some(raw) != id) {
            return Err(WebauthnError::CredentialId);
        }
        decoded(id, CREDENTIAL_ID_BYTES_MAX).ok_or(WebauthnError::Malformed("id"))
    }

    fn bytes(&self, name: &'static str) -> Result<Vec<u8>, WebauthnError> {
        decoded(self.response.get(name), self.bytes_max).ok_or(WebauthnError::Malformed(name))
    }
}

/// Bytes as base64url, of at least one and at most `bytes_max`.
fn decoded(text: Option<&Value>, bytes_max: usize) -> Option<Vec<u8>> {
    let text = text?.as_str().filter(|text| text.len() <= bytes_max.saturating_mul(4).div_ceil(3))?;
    base64url_decode(text).ok().filter(|bytes| !bytes.is_empty())
}

/// What the library does, without what it logs: credential ids and keys for debugging, and an error for whatever a stranger
/// sends that cannot be read. What is refused is said by whoever calls.
fn unheard<T>(step: impl FnOnce() -> T) -> T {
    tracing::subscriber::with_default(NoSubscriber::default(), step)
}

/// A state of the library that waits for our challenge in place of its own: ours comes from the merchant's randomness,
/// and is what was written down.
fn with_challenge<T: Serialize + for<'de> Deserialize<'de>>(state: &T, challenge: &[u8]) -> Result<T, WebauthnError> {
    let state = serde_json::to_value(state).ok().and_then(|mut state| {
        *state.get_mut("challenge")? = base64url_encode(challenge).into();
        serde_json::from_value(state).ok()
    });
    state.ok_or(WebauthnError::Challenge)
}

/// The record as the library has it.
fn known(credential: &CredentialRecord) -> Result<Credential, WebauthnError> {
    Ok(Credential {
        cred_id: credential.id(),
        cred: key_of(&credential.key)?,
        counter: credential.counter,
        transports: None,
        user_verified: credential.user_verified,
        backup_eligible: credential.backup_eligible,
        backup_state: credential.backed_up,
        registration_policy: UserVerificationPolicy::Preferred,
        extensions: RegisteredExtensions::none(),
        attestation: ParsedAttestation::default(),
        attestation_format: AttestationFormat::None,
    })
}

fn jwk_of(key: &COSEKey) -> Result<Value, WebauthnError> {
    match &key.key {
        COSEKeyType::EC_EC2(ec) => {
            let curve = match ec.curve {
                ECDSACurve::SECP256R1 => "P-256",
                ECDSACurve::SECP384R1 => "P-384",
                ECDSACurve::SECP521R1 => return Err(WebauthnError::Algorithm),
            };
            Ok(json!({ "kty": "EC", "crv": curve, "x": base64url_encode(&ec.x), "y": base64url_encode(&ec.y) }))
        }
        COSEKeyType::RSA(rsa) => {
            Ok(json!({ "kty": "RSA", "n": base64url_encode(&rsa.n), "e": base64url_encode(&rsa.e) }))
        }
        COSEKeyType::EC_OKP(_) => Err(WebauthnError::Algorithm),
    }
}

fn key_of(jwk: &Value) -> Result<COSEKey, WebauthnError> {
    let text = |name: &str| jwk.get(name).and_then(Value::as_str).unwrap_or_default();
    let bytes = |name: &str| base64url_decode(text(name)).map_err(|_| WebauthnError::Algorithm);
    let (type_, curve) = match (text("kty"), text("crv")) {
        ("EC", "P-256") => (COSEAlgorithm::ES256, ECDSACurve::SECP256R1),
        ("EC", "P-384") => (COSEAlgorithm::ES384, ECDSACurve::SECP384R1),
        ("RSA", _) => {
            let e = bytes("e")?.try_into().map_err(|_| WebauthnError::Algorithm)?;
            return Ok(COSEKey {
                type_: COSEAlgorithm::RS256,
                key: COSEKeyType::RSA(COSERSAKey { n: bytes("n")?, e }),
            });
        }
        _ => return Err(WebauthnError::Algorithm),
    };
    Ok(COSEKey { type_, key: COSEKeyType::EC_EC2(COSEEC2Key { curve, x: bytes("x")?, y: bytes("y")? }) })
}

impl From<CoreError> for WebauthnError {
    fn from(error: CoreError) -> Self {
        match error {
            CoreError::InvalidRPIDHash => Self::RelyingParty,
            CoreError::UserNotPresent => Self::UserPresence,
            CoreError::UserNotVerified => Self::UserVerification,
            CoreError::CredentialBackupEligibilityInconsistent | CoreError::CredentialMayNotBeHardwareBound => {
                Self::Backup
            }
            CoreError::CredentialPossibleCompromise => Self::Counter,
            CoreError::AuthenticationFailure | CoreError::SignatureInvalid => Self::Signature,
            CoreError::AttestationStatementSigInvalid
            | CoreError::AttestationStatementMapInvalid
            | CoreError::AttestationStatementResponseInvalid
            | CoreError::AttestationNotSupported => Self::Attestation,
            CoreError::CredentialAlteredAlgFromRequest
            | CoreError::COSEKeyECDSAXYInvalid
            | CoreError::COSEKeyInvalidAlgorithm
            | CoreError::COSEKeyInvalidType
            | CoreError::COSEKeyRSANEInvalid
            | CoreError::COSEKeyEDUnsupported
            | CoreError::SshPublicKeyEDUnsupported => Self::Algorithm,
            // What is left are the many ways in which bytes can be no attestation object and no authenticator data.
            _ => Self::Malformed("response"),
        }
    }
}
