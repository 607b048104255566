//! The seam to credential formats.
//!
//! `parse` (pure, bounded) names the issuer; the merchant asks its trust before it fetches anything; `verify` (pure)
//! yields an [`Authentic`] with its status reference. A format cannot skip a step: only the merchant makes a
//! [`Verified`](crate::Verified) of it, after the status is known and the query holds for what came back.

use std::{borrow::Cow, fmt};

use serde_json::Value;

#[cfg(feature = "mdoc")]
use crate::protocol::mdoc::MdocError;
use crate::{
    limits::Limits,
    protocol::{
        jose::{DecryptionKey, PublicKey},
        sd_jwt::SdJwtError,
        status_list::StatusError,
        status_ref::StatusRef,
    },
    time::UnixTime,
};

#[cfg(feature = "w3c")]
pub mod jwt_vc;
#[cfg(feature = "w3c")]
pub mod ldp_vc;
#[cfg(feature = "mdoc")]
pub mod mdoc;
pub mod sd_jwt_vc;

/// A credential format, such as `dc+sd-jwt`.
pub trait Format: fmt::Debug + Send + Sync + 'static {
    /// Its format identifier in OpenID4VP, annex B.
    fn id(&self) -> &'static str;

    /// What a request says of it in `vp_formats_supported` (OpenID4VP 1.0, 11.1): an object.
    fn supported(&self) -> Value;

    /// The `meta` of a credential query for any of these types (OpenID4VP 1.0, annex B): an object.
    fn meta(&self, types: &[String]) -> Value;

    /// Takes one presentation apart without believing it.
    ///
    /// # Errors
    /// What is wrong with its form.
    fn parse<'a>(&self, presented: &'a Value, limits: &'a Limits) -> Result<Box<dyn Unverified + 'a>, FormatError>;
}

/// A presentation that was taken apart, and is not believed.
pub trait Unverified: Send {
    /// Who it says has issued it: for the trust to decide, before anything is fetched.
    fn issuer(&self) -> IssuerRef<'_>;

    /// Checks every signature and every claim about time, holder and audience.
    ///
    /// # Errors
    /// The first check that failed.
    fn verify(self: Box<Self>, against: &Against<'_>) -> Result<Authentic, FormatError>;

    /// The checks of [`verify`](Self::verify) one by one, for an operator; nothing where a format does not tell them.
    #[cfg(feature = "w3c")]
    #[doc(hidden)]
    fn told(self: Box<Self>, _: &Against<'_>) -> Vec<crate::protocol::watch::Part> {
        Vec::new()
    }
}

/// How a credential names its issuer.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum IssuerRef<'a> {
    /// By a certificate chain, leaf first; `iss`, where present, is not a name that anybody checked.
    X5c {
        /// DER certificates.
        chain: &'a [Vec<u8>],
        /// The `iss` claim.
        iss: Option<&'a str>,
    },
    /// By an https URL with metadata (SD-JWT VC, JWT VC Issuer Metadata).
    Metadata {
        /// The `iss` claim.
        iss: &'a str,
        /// Which of its keys.
        kid: Option<&'a str>,
    },
    /// By a DID, and the verification method of it that signed.
    Did {
        /// The DID.
        did: &'a str,
        /// The method: an absolute DID URL.
        method: &'a str,
    },
}

/// The way by which an answer came, and with which its holder's proof is bound up.
#[derive(Clone, Copy)]
pub enum Channel<'a> {
    /// By redirects, or from another device (OpenID4VP 1.0, 8).
    Redirect {
        /// Our full client identifier: the only audience.
        client_id: &'a str,
        /// Where the answer was to be sent.
        response_uri: &'a str,
    },
    /// By the browser's Digital Credentials API (OpenID4VP 1.0, annex A).
    DcApi {
        /// Our origin as text, without a slash at its end.
        origin: &'a str,
    },
    /// With a session transcript of its own, a CBOR text of ISO/IEC 18013: `org-iso-mdoc`, or a reader at the till.
    Transcript {
        /// The encoded `SessionTranscript`.
        session_transcript: &'a [u8],
        /// The reader's key of this session, which a device may have agreed on a tag with; without it a tag is refused.
        reader_key: Option<&'a DecryptionKey>,
    },
}

impl Channel<'_> {
    /// Whom a holder's proof must be made for; nobody can say it of a [transcript](Self::Transcript).
    #[must_use]
    pub fn audience(&self) -> Option<Cow<'_, str>> {
        match self {
            Self::Redirect { client_id, .. } => Some(Cow::Borrowed(client_id)),
            // A.4: also when the request was signed.
            Self::DcApi { origin } => Some(Cow::Owned(format!("origin:{origin}"))),
            Self::Transcript { .. } => None,
        }
    }
}

impl fmt::Debug for Channel<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Redirect { client_id, .. } => f.debug_tuple("Redirect").field(client_id).finish(),
            Self::DcApi { origin } => f.debug_tuple("DcApi").field(origin).finish(),
            Self::Transcript { .. } => f.write_str("Transcript"),
        }
    }
}

/// Everything that a verification needs, the time included.
#[derive(Clone)]
pub struct Against<'a> {
    /// The issuer's key, as the trust resolved it.
    pub issuer_key: &'a PublicKey,
    /// The way by which the answer came.
    pub channel: Channel<'a>,
    /// The RFC 7638 thumbprint (SHA-256) of the key that the answer was encrypted to, if it was.
    pub encryption_key: Option<[u8; 32]>,
    /// The nonce of this request.
    pub nonce: &'a str,
    /// The transaction data of this request that concerns this credential, the strings as they were sent.
    pub transaction_data: &'a [String],
    /// Whether the holder must prove the key; policy, never what was sent.
    pub holder_binding: bool,
    /// The time.
    pub now: UnixTime,
    /// How old a holder's proof may be, in seconds.
    pub holder_proof_age_s: u64,
    /// How far clocks may differ, in seconds.
    pub skew_s: u64,
    /// The bounds.
    pub limits: &'a Limits,
}

impl fmt::Debug for Against<'_> {
    /// Without the nonce and what somebody authorises.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Against")
            .field("channel", &self.channel)
            .field("holder_binding", &self.holder_binding)
            .field("now", &self.now)
            .finish_non_exhaustive()
    }
}

/// A credential whose signatures hold. Not yet known: its status, and whether it answers the query.
#[derive(Clone)]
pub struct Authentic {
    pub(crate) types: Vec<String>,
    pub(crate) claims: Value,
    pub(crate) status: Option<StatusRef>,
    pub(crate) holder_bound: bool,
    pub(crate) expires_at: Option<UnixTime>,
}

impl Authentic {
    /// For authors of formats: asserts that every check was made. Search for this word to audit who says so.
    ///
    /// `types` are the credential's type and the types it says it is also known as, in its issuer's words; `claims` an
    /// object of the disclosed claims without protocol members: no key, salt, digest, signature, identifier of the
    /// credential or status index may be left in it.
    #[must_use]
    pub const fn assertion(
        types: Vec<String>,
        claims: Value,
        status: Option<StatusRef>,
        holder_bound: bool,
        expires_at: Option<UnixTime>,
    ) -> Self {
        Self { types, claims, status, holder_bound, expires_at }
    }

    /// The credential's type, then those that it says it is also known as. What it counts as is for the trust to say.
    #[must_use]
    pub fn types(&self) -> &[String] {
        &self.types
    }

    /// The claims, an object.
    #[must_use]
    pub const fn claims(&self) -> &Value {
        &self.claims
    }

    /// Where its status stands, if it has one.
    #[must_use]
    pub const fn status(&self) -> Option<&StatusRef> {
        self.status.as_ref()
    }

    /// Whether the holder proved the key that the credential was issued to.
    #[must_use]
    pub const fn holder_bound(&self) -> bool {
        self.holder_bound
    }

    /// When it expires, if ever.
    #[must_use]
    pub const fn expires_at(&self) -> Option<UnixTime> {
        self.expires_at
    }
}

impl fmt::Debug for Authentic {
    /// Without the claims and the status index: both are about a person.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Authentic")
            .field("types", &self.types)
            .field("holder_bound", &self.holder_bound)
            .field("expires_at", &self.expires_at)
            .finish_non_exhaustive()
    }
}

/// Why a presentation is not believed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum FormatError {
    /// The presentation is not of this format's form.
    #[error("not a presentation of this format: {0}")]
    Form(&'static str),
    /// Nothing in the credential leads to a key of its issuer.
    #[error("the credential has neither `x5c` nor `iss`, so nobody vouches for it")]
    IssuerUnnamed,
    /// An SD-JWT check failed.
    #[error(transparent)]
    SdJwt(#[from] SdJwtError),
    /// A check of an mdoc failed.
    #[cfg(feature = "mdoc")]
    #[error(transparent)]
    Mdoc(MdocError),
    /// A check of a W3C credential failed.
    #[cfg(feature = "w3c")]
    #[error("{0}")]
    Vc(#[source] crate::protocol::vc::VcError),
    /// A claim that must be signed in clear came from a disclosure.
    #[error("`{claim}` must not be selectively disclosed")]
    Disclosed {
        /// Its name.
        claim: &'static str,
    },
    /// A claim is missing or of the wrong JSON type.
    #[error("the credential's `{claim}` is missing or of the wrong type")]
    Claim {
        /// Its name.
        claim: &'static str,
    },
    /// The credential is over.
    #[error("the credential expired at {at}, and it is {now}")]
    Expired {
        /// Its end.
        at: UnixTime,
        /// Our time.
        now: UnixTime,
    },
    /// The credential is of the future.
    #[error("the credential begins at {at}, and it is {now}")]
    NotYetValid {
        /// Its beginning, or when it says it was issued.
        at: UnixTime,
        /// Our time.
        now: UnixTime,
    },
    /// The reference to the credential's status cannot be read.
    #[error("the credential's `status`: {0}")]
    Status(#[source] StatusError),
}

#[cfg(feature = "w3c")]
impl From<crate::protocol::vc::VcError> for FormatError {
    fn from(error: crate::protocol::vc::VcError) -> Self {
        use crate::protocol::vc::VcError;
        // That a credential is over has one name, whatever its format.
        match error {
            VcError::Expired { at, now } => Self::Expired { at, now },
            VcError::NotYetValid { at, now } => Self::NotYetValid { at, now },
            error => Self::Vc(error),
        }
    }
}

impl FormatError {
    /// A stable name of the failed check, for logs and tests.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::Form(_) => "presentation_malformed",
            Self::IssuerUnnamed => "issuer_unnamed",
            Self::SdJwt(error) => error.code(),
            #[cfg(feature = "mdoc")]
            Self::Mdoc(error) => error.code(),
            #[cfg(feature = "w3c")]
            Self::Vc(error) => error.code(),
            Self::Disclosed { .. } => "claim_must_not_be_disclosed",
            Self::Claim { .. } => "credential_claim",
            Self::Expired { .. } => "credential_expired",
            Self::NotYetValid { .. } => "credential_not_yet_valid",
            Self::Status(_) => "credential_status_reference",
        }
    }
}
