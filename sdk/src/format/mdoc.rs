//! ISO mdoc (ISO/IEC 18013-5), as OpenID4VP, annex B.2 presents it: format `mso_mdoc`.
//!
//! Claims are `{name space: {element: value}}`, of what the issuer signed; what the device says of itself is checked and
//! goes no further.

use serde_json::{Value, json};

use crate::{
    format::{Against, Authentic, Channel, Format, FormatError, IssuerRef, Unverified},
    limits::Limits,
    protocol::{
        jose::base64url_decode,
        mdoc::{Document, Expected, MdocError, SessionTranscript, Status},
        status_ref::StatusRef,
    },
};

/// What is accepted, by the numbers of COSE: the fully-specified ones (RFC 9864) beside the old ones that issuers write.
const ALGORITHMS: [i64; 8] = [-7, -9, -35, -51, -36, -52, -8, -19];

/// The format `mso_mdoc`.
///
/// A presentation is a JSON string, base64url of a `DeviceResponse` with one document. A device authenticates by a
/// signature: OpenID4VP offers it no key that a tag could be agreed on with (B.2.6 has none in the transcript), and says
/// so by its algorithms.
#[derive(Clone, Copy, Debug, Default)]
pub struct Mdoc(());

impl Mdoc {
    /// The format.
    #[must_use]
    pub const fn new() -> Self {
        Self(())
    }
}

impl Format for Mdoc {
    fn id(&self) -> &'static str {
        "mso_mdoc"
    }

    fn supported(&self) -> Value {
        json!({"issuerauth_alg_values": ALGORITHMS, "deviceauth_alg_values": ALGORITHMS})
    }

    fn meta(&self, types: &[String]) -> Value {
        // B.2.3: one type for each query.
        json!({"doctype_value": types.first()})
    }

    fn parse<'a>(&self, presented: &'a Value, limits: &'a Limits) -> Result<Box<dyn Unverified + 'a>, FormatError> {
        let text = presented.as_str().ok_or(FormatError::Form("it must be a JSON string"))?;
        if text.len() > limits.response_bytes {
            return Err(FormatError::Form("it is larger than any mdoc"));
        }
        let bytes = base64url_decode(text).map_err(|_| FormatError::Form("it must be base64url"))?;
        Ok(Box::new(Presented(Document::parse(&bytes, limits)?)))
    }
}

/// A document whose issuer is named, and nothing checked.
struct Presented(Document);

impl Unverified for Presented {
    fn issuer(&self) -> IssuerRef<'_> {
        IssuerRef::X5c { chain: self.0.chain(), iss: None }
    }

    fn verify(self: Box<Self>, against: &Against<'_>) -> Result<Authentic, FormatError> {
        // B.2 has no place for it: what nobody signed must not pass for authorised.
        if !against.transaction_data.is_empty() {
            return Err(FormatError::Form("an mdoc signs no transaction data"));
        }
        let transcript = transcript(against)?;
        let expected = Expected {
            issuer_key: against.issuer_key,
            transcript: &transcript,
            reader_key: None,
            now: against.now,
            skew_s: against.skew_s,
        };
        let disclosed = self.0.verify(&expected, against.limits)?;
        let status = disclosed.status.map(|status| match status {
            Status::TokenList { uri, index } => StatusRef::TokenList { uri, index },
            Status::IdentifierList { uri, id } => StatusRef::Identifier { uri, id },
        });
        let claims = Value::Object(disclosed.elements);
        Ok(Authentic::assertion(vec![disclosed.doc_type], claims, status, true, Some(disclosed.valid_until)))
    }
}

/// The session as we know it ourselves.
fn transcript(against: &Against<'_>) -> Result<SessionTranscript, FormatError> {
    let thumbprint = against.encryption_key.as_ref();
    Ok(match against.channel {
        Channel::Redirect { client_id, response_uri } => {
            SessionTranscript::openid4vp(client_id, against.nonce, thumbprint, response_uri)
        }
        Channel::DcApi { origin } => SessionTranscript::dc_api(origin, against.nonce, thumbprint),
        Channel::Transcript { session_transcript } => {
            SessionTranscript::from_encoded(session_transcript.to_vec(), against.limits)?
        }
    })
}

/// What every format can say is said in the same words.
impl From<MdocError> for FormatError {
    fn from(error: MdocError) -> Self {
        match error {
            MdocError::NoChain => Self::IssuerUnnamed,
            MdocError::Expired { at, now } => Self::Expired { at, now },
            MdocError::NotYetValid { at, now } => Self::NotYetValid { at, now },
            other => Self::Mdoc(other),
        }
    }
}
