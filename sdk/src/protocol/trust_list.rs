//! Published lists of issuers that somebody vouches for: the European Lists of Trusted Entities ([`lote`]) and the VICAL
//! of the mobile driving licence world (`vical`).
//!
//! A reader checks the signature, the times and the form, and says what is on the list. Who on it is believed for what,
//! and whether it may take the place of an earlier one, is not decided here.
//!
//! # No XML
//!
//! The Trusted Lists of ETSI TS 119 612 are XML with XML signatures, and are not read. An XML signature is only as sound
//! as the agreement between what was signed and what is read, so it needs a library that has been attacked for years.
//! Those in Rust that need no C (`bergshamra`, `xml-sec`) are young, each by one author, without an audit; the others
//! (`xmlsec`, `samael`) wrap libxml2 and xmlsec1. Issuers of qualified attestations, which stand in those lists alone, are trusted by their
//! certificates until then.

use crate::{
    limits::Limits,
    protocol::{
        jose::{JoseError, PublicKey},
        json::JsonError,
        x509::{Certificate, X509Error, verify_path},
    },
    time::UnixTime,
};

pub mod lote;
#[cfg(feature = "mdoc")]
pub mod vical;

/// How far the clock of a list's publisher may be ahead of ours, in seconds.
pub const CLOCK_SKEW_S: u64 = 300;

/// The longest time that one issue of a list is good for, in seconds, whatever it says: a year. Half a year is the longest
/// that the European profiles allow; a publisher who writes ten by mistake could otherwise take nobody off the list.
pub const VALIDITY_MAX_S: u64 = 366 * 24 * 3600;

/// Entities on one list: all issuers of Europe are some hundred.
const ENTITIES_MAX: usize = 4_096;
/// Services of one entity.
const SERVICES_MAX: usize = 64;
/// Certificates of one service.
const CERTIFICATES_MAX: usize = 32;

/// A list whose signature holds, and which is not over.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct PublishedList {
    /// What kind of list it says it is: one publisher signs several.
    pub list_type: Option<String>,
    /// Its number: the next issue of the list has a higher one.
    pub sequence: u64,
    /// When it was issued.
    pub issued_at: UnixTime,
    /// Until when it is good: by then there is a next one.
    pub next_update: UnixTime,
    /// Who is on it. None on a list that its publisher has closed.
    pub entities: Vec<Entity>,
    /// Certificates that could not be read. They are left out: one bad entry must not take all others down.
    pub unreadable: usize,
}

/// One who is on a list.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct Entity {
    /// What it does.
    pub services: Vec<Service>,
}

/// One service of an entity, as it stands now.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Service {
    /// What the service is, in the words of the list: the service type of a LoTE, the document types of a VICAL.
    pub types: Vec<String>,
    /// Its certificates: of authorities, or those that it signs with itself.
    pub certificates: Vec<Certificate>,
}

/// Why a list is not taken.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TrustListError {
    /// More bytes than are read.
    #[error("a list of {bytes} bytes is larger than {max}")]
    TooLarge {
        /// Its size.
        bytes: usize,
        /// The bound.
        max: usize,
    },
    /// The signature, or the form of the signed text.
    #[error("the signed list: {0}")]
    Jose(#[from] JoseError),
    /// The signed text is not JSON.
    #[error("the signed list: {0}")]
    Json(#[from] JsonError),
    /// The signature, or the form of the signed bytes.
    #[cfg(feature = "mdoc")]
    #[error("the signed list: {0}")]
    Cose(#[from] crate::protocol::cose::CoseError),
    /// The signed bytes are not CBOR.
    #[cfg(feature = "mdoc")]
    #[error("the signed list: {0}")]
    Cbor(#[from] crate::protocol::cbor::CborError),
    /// The certificate of the signer is not believed.
    #[error("the signer of the list: {0}")]
    Signer(#[from] X509Error),
    /// The list does not say who signed it, and none of the configured certificates did.
    #[error("the list is signed by none of the configured certificates")]
    SignerUnknown,
    /// The signer's certificate is of a configured authority, but of somebody else.
    #[error("the certificate of the list's signer does not name the operator of the scheme")]
    SignerName,
    /// The signer's certificate is for something else.
    #[error("the certificate of the list's signer is for other purposes")]
    SignerPurpose,
    /// Something is missing, or of a wrong form.
    #[error("malformed list: {0}")]
    Form(&'static str),
    /// More of something than is read.
    #[error("more than {max} {what}")]
    TooMany {
        /// Of what.
        what: &'static str,
        /// The bound.
        max: usize,
    },
    /// A critical extension that is not understood.
    #[error("the list has a critical extension, and none is understood")]
    CriticalExtension,
    /// A version that this program does not read.
    #[error("the list is of version {0}, which is not read")]
    Version(String),
    /// It was issued in the future.
    #[error("the list was issued at {at}, and it is {now}; compare the clocks")]
    FromTheFuture {
        /// When it says.
        at: UnixTime,
        /// The time of the check.
        now: UnixTime,
    },
    /// It is over: there should be a next one.
    #[error("the list was good until {until}, and it is {now}")]
    Expired {
        /// Its end.
        until: UnixTime,
        /// The time of the check.
        now: UnixTime,
    },
}

impl TrustListError {
    /// A stable name of the check that failed.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::TooLarge { .. } => "trust_list_too_large",
            Self::Jose(error) => error.code(),
            Self::Json(error) => error.code(),
            #[cfg(feature = "mdoc")]
            Self::Cose(error) => error.code(),
            #[cfg(feature = "mdoc")]
            Self::Cbor(error) => error.code(),
            Self::Signer(error) => error.code(),
            Self::SignerUnknown => "trust_list_signer_unknown",
            Self::SignerName => "trust_list_signer_name",
            Self::SignerPurpose => "trust_list_signer_purpose",
            Self::Form(_) => "trust_list_malformed",
            Self::TooMany { .. } => "trust_list_too_many",
            Self::CriticalExtension => "trust_list_critical_extension",
            Self::Version(_) => "trust_list_version",
            Self::FromTheFuture { .. } => "trust_list_from_the_future",
            Self::Expired { .. } => "trust_list_expired",
        }
    }
}

/// What a reader judges a list by.
#[derive(Clone, Copy, Debug)]
pub struct Judge<'a> {
    /// Who may sign it: the very certificates that do, or authorities of theirs.
    pub signers: &'a [Certificate],
    /// Who publishes it, where a certificate below an authority may sign: that certificate names them.
    pub operator: Option<&'a Operator>,
    /// How long past its end the list still counts, in seconds.
    pub grace_s: u64,
    /// The time.
    pub now: UnixTime,
    /// The bounds.
    pub limits: &'a Limits,
}

/// Who publishes a list, as the certificates of its signers name them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Operator {
    /// The organisation (`O`).
    pub organization: String,
    /// Its country (`C`), or `EU`.
    pub country: String,
}

/// A signer who is believed.
struct Signer {
    certificate: Certificate,
    key: PublicKey,
    /// Whether the certificate itself is configured, not only an authority above it.
    is_pinned: bool,
}

impl Judge<'_> {
    /// The bytes, if they are not too many.
    fn bounded<'b>(&self, list: &'b [u8]) -> Result<&'b [u8], TrustListError> {
        let max = self.limits.trust_list_bytes;
        if list.len() > max { Err(TrustListError::TooLarge { bytes: list.len(), max }) } else { Ok(list) }
    }

    fn signer(&self, chain: &[Vec<u8>]) -> Result<Signer, TrustListError> {
        let anchors: Vec<&Certificate> = self.signers.iter().collect();
        // Publishers send the root along: what is configured speaks for itself, and is not believed for being sent.
        let below = chain.iter().position(|der| anchors.iter().any(|a| a.is_authority() && a.der() == der.as_slice()));
        let chain = below.filter(|&at| at > 0).and_then(|at| chain.get(..at)).unwrap_or(chain);
        let path = verify_path(chain, &anchors, self.now, self.limits)?;
        let is_pinned = anchors.iter().any(|anchor| **anchor == path.leaf);
        Ok(Signer { certificate: path.leaf, key: path.key, is_pinned })
    }

    /// Until when a list of these times counts; the grace comes on top.
    fn good_until(&self, issued_at: UnixTime, next_update: UnixTime) -> Result<UnixTime, TrustListError> {
        let now = self.now;
        if issued_at > now.plus_s(CLOCK_SKEW_S) {
            return Err(TrustListError::FromTheFuture { at: issued_at, now });
        }
        let until = next_update.min(issued_at.plus_s(VALIDITY_MAX_S));
        if until.plus_s(self.grace_s) <= now { Err(TrustListError::Expired { until, now }) } else { Ok(until) }
    }
}

/// Reads the certificates that can be read, and counts the others.
fn certificates<'a>(
    ders: impl Iterator<Item = Option<Vec<u8>>> + 'a,
    unreadable: &mut usize,
) -> Result<Vec<Certificate>, TrustListError> {
    let mut certificates = Vec::new();
    for der in ders {
        // The key too: one that nobody here could verify with would be refused at every credential.
        let read = der.and_then(|der| Certificate::from_der(&der).ok());
        match read.filter(|certificate| certificate.is_authority() || certificate.public_key().is_ok()) {
            Some(_) if certificates.len() == CERTIFICATES_MAX => {
                return Err(TrustListError::TooMany { what: "certificates of one service", max: CERTIFICATES_MAX });
            }
            Some(certificate) => certificates.push(certificate),
            None => *unreadable = unreadable.saturating_add(1),
        }
    }
    Ok(certificates)
}
