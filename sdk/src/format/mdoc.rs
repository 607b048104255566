//! ISO mdoc (ISO/IEC 18013-5), as OpenID4VP, annex B.2 presents it: format `mso_mdoc`.
//!
//! Claims are `{name space: {element: value}}`, of what the issuer signed; what the device says of itself is checked and
//! goes no further.

use serde_json::{Value, json};

use crate::{
    customer::Alias,
    format::{Against, Authentic, Channel, Format, FormatError, IssuerRef, Unverified},
    limits::Limits,
    presentation::Relationship,
    protocol::{
        did::Did,
        jose::{PublicKey, base64url_decode},
        mdoc::{Document, Expected, MdocError, SessionTranscript},
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
        Ok(Box::new(Presented(document(presented, limits)?)))
    }
}

/// A relationship credential as an mdoc, which nobody but this shop issues, with nothing checked.
///
/// Its signer is the shop, known by its key: it signs with the certificate that it asks wallets with, as it signs the SD-JWT VC
/// twin, and that is none of a document signer. An authority that vouches for signers has no part in it.
pub(crate) struct OwnMdoc(Document);

impl OwnMdoc {
    /// Takes a presentation apart.
    ///
    /// # Errors
    /// What is wrong with its form.
    pub(crate) fn parse(presented: &Value, limits: &Limits) -> Result<Self, FormatError> {
        Ok(Self(document(presented, limits)?.of_known_signer()))
    }

    /// Checks everything, and reads what it says of its holder in the name space `own_type`.
    ///
    /// # Errors
    /// The check that failed.
    pub(crate) fn verify_own(
        self,
        own_type: &str,
        against: &Against<'_>,
    ) -> Result<(Authentic, Relationship), FormatError> {
        let (authentic, device_key) = verified(self.0, against)?;
        let alias = Self::alias(&authentic, own_type)?;
        Ok((authentic, Relationship { alias, did: Did::jwk(&device_key).as_str().to_owned() }))
    }

    /// What one that holds calls its customer.
    ///
    /// # Errors
    /// It does not say so in the name space `own_type`.
    pub(crate) fn alias(authentic: &Authentic, own_type: &str) -> Result<Alias, FormatError> {
        let alias = authentic.claims().get(own_type).and_then(|of| of.get("sub")).and_then(Value::as_str);
        alias.and_then(|alias| alias.parse().ok()).ok_or(FormatError::Claim { claim: "sub" })
    }
}

impl Unverified for OwnMdoc {
    fn issuer(&self) -> IssuerRef<'_> {
        IssuerRef::X5c { chain: self.0.chain(), iss: None }
    }

    fn verify(self: Box<Self>, against: &Against<'_>) -> Result<Authentic, FormatError> {
        verified(self.0, against).map(|(authentic, _)| authentic)
    }
}

/// A document whose issuer is named, and nothing checked.
struct Presented(Document);

impl Unverified for Presented {
    fn issuer(&self) -> IssuerRef<'_> {
        IssuerRef::X5c { chain: self.0.chain(), iss: None }
    }

    fn verify(self: Box<Self>, against: &Against<'_>) -> Result<Authentic, FormatError> {
        verified(self.0, against).map(|(authentic, _)| authentic)
    }
}

fn document(presented: &Value, limits: &Limits) -> Result<Document, FormatError> {
    let text = presented.as_str().ok_or(FormatError::Form("it must be a JSON string"))?;
    if text.len() > limits.response_bytes {
        return Err(FormatError::Form("it is larger than any mdoc"));
    }
    let bytes = base64url_decode(text).map_err(|_| FormatError::Form("it must be base64url"))?;
    Ok(Document::parse(&bytes, limits)?)
}

/// What a document says once every check holds, and the key that its device proved.
fn verified(document: Document, against: &Against<'_>) -> Result<(Authentic, PublicKey), FormatError> {
    // B.2 has no place for it: what nobody signed must not pass for authorised.
    if !against.transaction_data.is_empty() {
        return Err(FormatError::Form("an mdoc signs no transaction data"));
    }
    let transcript = transcript(against)?;
    let expected = Expected {
        issuer_key: against.issuer_key,
        transcript: &transcript,
        reader_key: match against.channel {
            Channel::Transcript { reader_key, .. } => reader_key,
            // OpenID4VP offers no key that a tag could be agreed on with.
            _ => None,
        },
        now: against.now,
        skew_s: against.skew_s,
    };
    let disclosed = document.verify(&expected, against.limits)?;
    let claims = Value::Object(disclosed.elements);
    let until = Some(disclosed.valid_until);
    Ok((Authentic::assertion(vec![disclosed.doc_type], claims, disclosed.status, true, until), disclosed.device_key))
}

/// The session as we know it ourselves.
fn transcript(against: &Against<'_>) -> Result<SessionTranscript, FormatError> {
    let thumbprint = against.encryption_key.as_ref();
    Ok(match against.channel {
        Channel::Redirect { client_id, response_uri } => {
            SessionTranscript::openid4vp(client_id, against.nonce, thumbprint, response_uri)
        }
        Channel::DcApi { origin } => SessionTranscript::dc_api(origin, against.nonce, thumbprint),
        Channel::Transcript { session_transcript, .. } => {
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

#[cfg(test)]
mod tests {
    use rcgen::ExtendedKeyUsagePurpose;

    use super::*;
    use crate::{
        env::Env,
        protocol::jose::SigningKey,
        testing::{
            Clock,
            authority::{Authority, Leaf},
            mdoc::{Credential, Issuer},
        },
        time::UnixTime,
    };

    const KIND: &str = "https://shop.example/wallet/relationship";

    /// What a shop signs with is a certificate for something else.
    #[test]
    fn what_a_shop_issued_itself_needs_no_document_signer() {
        let (clock, limits) = (Clock::at(UnixTime::from_secs(1_795_000_000)), Limits::default());
        let now = clock.now();
        let for_the_web = Leaf::new("Shop", now).with(|it| {
            it.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        });
        let (key, chain) = Authority::new("CA", now).issue(&for_the_web);
        let issuer_key = key.public_key().clone();
        let holder = SigningKey::from_p256_scalar(&[9; 32]).unwrap();
        let card = |alias: &str| {
            let card = Credential::new(KIND, now).says(KIND, "sub", alias);
            Issuer::new(key.clone(), chain.clone()).issue(&card, holder.clone(), &clock).unwrap()
        };
        let against = Against {
            issuer_key: &issuer_key,
            channel: Channel::DcApi { origin: "https://shop.example" },
            encryption_key: None,
            nonce: "1",
            transaction_data: &[],
            holder_binding: true,
            now,
            holder_proof_age_s: 300,
            skew_s: 60,
            limits: &limits,
        };
        let transcript = SessionTranscript::dc_api("https://shop.example", "1", None);
        let presented = |alias: &str| {
            let response = card(alias).device_response(&transcript, &[(KIND, "sub")], &[], &clock).unwrap();
            Value::String(crate::protocol::jose::base64url_encode(&response))
        };
        let alias = "AAAAAAAAAAAAAAAAAAAAAA";
        let shown = presented(alias);
        let any = Mdoc::new().parse(&shown, &limits).unwrap().verify(&against);
        assert_eq!(any.unwrap_err().code(), "mdoc_signer_purpose");
        let own =
            |presented: &Value, kind: &str| OwnMdoc::parse(presented, &limits).unwrap().verify_own(kind, &against);
        let (authentic, relationship) = own(&shown, KIND).unwrap();
        assert_eq!(authentic.types(), [KIND]);
        assert_eq!(relationship.alias.as_str(), alias);
        assert_eq!(relationship.did, Did::jwk(holder.public_key()).as_str());
        // What stands in another name space, or is no alias, names nobody.
        assert_eq!(own(&shown, "another").unwrap_err().code(), "credential_claim");
        assert_eq!(own(&presented("x"), KIND).unwrap_err().code(), "credential_claim");
    }
}
