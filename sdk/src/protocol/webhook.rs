//! Signed webhooks: Standard Webhooks 1.0.0, symmetric signatures (`v1`, HMAC-SHA256).
//!
//! What is signed is the id of the message, the time of sending and the body, so that a message can neither be changed nor
//! sent again later by somebody else. Whoever receives one remembers the ids: the same event may come more than once.

use aws_lc_rs::hmac;
use base64::{Engine, prelude::BASE64_STANDARD};
use zeroize::Zeroizing;

use crate::time::UnixTime;

/// The header with the id: the same however often an event is sent.
pub const ID: &str = "webhook-id";
/// The header with the time of sending, in seconds since 1970.
pub const TIMESTAMP: &str = "webhook-timestamp";
/// The header with the signatures, one for each secret that is in use, divided by spaces.
pub const SIGNATURE: &str = "webhook-signature";
/// How far the time of sending may be from now, in seconds: what the published libraries allow.
pub const TOLERANCE_S: u64 = 5 * 60;

/// What a secret begins with as text.
const PREFIX: &str = "whsec_";
/// How long a secret is, in bytes.
const SECRET_BYTES: std::ops::RangeInclusive<usize> = 24..=64;
/// The most signatures of one message that are looked at.
const SIGNATURES_MAX: usize = 16;
/// The longest id, in bytes.
const ID_BYTES_MAX: usize = 256;

/// A secret that two sides share: as text `whsec_` and 24 to 64 random bytes in base64.
#[derive(Clone, PartialEq, Eq)]
pub struct WebhookSecret(Zeroizing<Vec<u8>>);

impl WebhookSecret {
    /// The secret of these random bytes.
    #[must_use]
    pub fn from_random(bytes: [u8; 32]) -> Self {
        Self(Zeroizing::new(bytes.to_vec()))
    }

    /// As text, for whoever sets up the other side.
    #[must_use]
    pub fn reveal(&self) -> Zeroizing<String> {
        Zeroizing::new(format!("{PREFIX}{}", BASE64_STANDARD.encode(&*self.0)))
    }

    fn key(&self) -> hmac::Key {
        hmac::Key::new(hmac::HMAC_SHA256, &self.0)
    }
}

impl std::str::FromStr for WebhookSecret {
    type Err = WebhookError;

    fn from_str(text: &str) -> Result<Self, WebhookError> {
        let encoded = text.trim().strip_prefix(PREFIX).ok_or(WebhookError::Secret)?;
        let bytes = Zeroizing::new(BASE64_STANDARD.decode(encoded).map_err(|_| WebhookError::Secret)?);
        if SECRET_BYTES.contains(&bytes.len()) { Ok(Self(bytes)) } else { Err(WebhookError::Secret) }
    }
}

impl std::fmt::Debug for WebhookSecret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("WebhookSecret([redacted])")
    }
}

/// Why a message is not believed, or a secret is none.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum WebhookError {
    /// Not a secret as the standard writes it.
    #[error("a webhook secret is whsec_ and 24 to 64 bytes in base64")]
    Secret,
    /// A header is missing, or cannot be read.
    #[error("the header {0} is missing, or cannot be read")]
    Header(&'static str),
    /// It was sent too long ago, or in the future.
    #[error("the message was not sent in the last {TOLERANCE_S} s")]
    Timestamp,
    /// It is signed under none of the secrets.
    #[error("the message is signed under none of the secrets")]
    Signature,
}

impl WebhookError {
    /// The stable name of the refusal.
    #[must_use]
    pub const fn code(self) -> &'static str {
        match self {
            Self::Secret => "webhook_secret",
            Self::Header(_) => "webhook_header",
            Self::Timestamp => "webhook_too_old",
            Self::Signature => "webhook_signature",
        }
    }
}

/// The value of [`SIGNATURE`]: one signature for each secret, so that a new secret can be given out before the old one ends.
/// The id has no full stop in it.
#[must_use]
pub fn sign(secrets: &[WebhookSecret], id: &str, at: UnixTime, body: &[u8]) -> String {
    let signed = signed_content(id, &at.as_secs().to_string(), body);
    let signatures = secrets.iter().map(|secret| {
        let signature = hmac::sign(&secret.key(), &signed);
        format!("v1,{}", BASE64_STANDARD.encode(signature.as_ref()))
    });
    signatures.collect::<Vec<_>>().join(" ")
}

/// Checks a message that claims to be from whoever has one of the secrets, and says its id: to be remembered for as long as
/// the sender sends again, since the same event may come more than once.
///
/// # Errors
/// [`WebhookError`], with the check that failed.
pub fn verify<'h>(
    secrets: &[WebhookSecret],
    headers: &'h http::HeaderMap,
    body: &[u8],
    now: UnixTime,
) -> Result<&'h str, WebhookError> {
    let header = |name: &'static str| {
        let mut values = headers.get_all(name).iter();
        let value = values.next().and_then(|value| value.to_str().ok()).filter(|value| !value.is_empty());
        // Two of one name are two opinions.
        value.filter(|_| values.next().is_none()).ok_or(WebhookError::Header(name))
    };
    let (id, at, signatures) = (header(ID)?, header(TIMESTAMP)?, header(SIGNATURE)?);
    if id.len() > ID_BYTES_MAX || id.contains('.') {
        return Err(WebhookError::Header(ID));
    }
    let digits = at.bytes().all(|b| b.is_ascii_digit());
    let seconds: i64 = at.parse().ok().filter(|_| digits).ok_or(WebhookError::Header(TIMESTAMP))?;
    let sent = UnixTime::from_secs(seconds);
    if now.since_s(sent) > TOLERANCE_S || sent.since_s(now) > TOLERANCE_S {
        return Err(WebhookError::Timestamp);
    }
    let signed = signed_content(id, at, body);
    // Others may stand there, too: of a secret that is over, or of another kind (`v1a`).
    for signature in signatures.split(' ').take(SIGNATURES_MAX) {
        let Some(encoded) = signature.strip_prefix("v1,") else { continue };
        let Ok(signature) = BASE64_STANDARD.decode(encoded) else { continue };
        if secrets.iter().any(|secret| hmac::verify(&secret.key(), &signed, &signature).is_ok()) {
            return Ok(id);
        }
    }
    Err(WebhookError::Signature)
}

fn signed_content(id: &str, at: &str, body: &[u8]) -> Vec<u8> {
    [id.as_bytes(), b".", at.as_bytes(), b".", body].concat()
}
