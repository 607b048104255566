//! Why an issuer is not believed.

use std::{io, path::PathBuf};

use crate::protocol::{jose::JoseError, json::JsonError, x509::X509Error};

/// Why an issuer is not believed, or a trust cannot be configured as asked.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TrustError {
    /// The issuer is not trusted.
    #[error("the issuer is not trusted: add its roots or its URL to the trust if it should be")]
    Unknown,
    /// The credential brings certificates for an issuer that is trusted by its metadata only.
    #[error("this issuer is trusted by the keys it publishes, not by certificates")]
    KeyMechanism,
    /// The certificate chain is not believed.
    #[error(transparent)]
    X509(#[from] X509Error),
    /// A status list comes with certificates, and its issuer is not trusted by certificates.
    #[error("the status list must be signed with the key of its credential: this issuer has no roots for status lists")]
    StatusMechanism,
    /// A status list is signed with a certificate under the issuer's roots that is not made for it.
    #[error(
        "the certificate of the status list has no extended key usage for status lists: if this issuer signs them so, \
         give their roots with roots_with_status"
    )]
    StatusSigner,
    /// A credential is signed with a certificate that is made for status lists alone.
    #[error("the credential is signed with a certificate that is for status lists alone")]
    StatusSignerIssues,
    /// The certificate is made for something that nobody issues credentials for, such as reading them.
    #[error("the issuer's certificate is made for other purposes than issuing")]
    IssuerPurpose,
    /// The metadata or the key set is not JSON.
    #[error("the issuer's metadata is not JSON")]
    Json(#[from] JsonError),
    /// The metadata lacks something, or says it twice.
    #[error("the issuer's metadata is wrong: {0}")]
    Metadata(&'static str),
    /// The metadata is of another issuer.
    #[error("the metadata names another issuer than {expected}")]
    MetadataIssuer {
        /// The issuer that was looked for.
        expected: String,
    },
    /// The issuer publishes no key of that name.
    #[error("the issuer publishes no key with this kid")]
    KeyNotFound,
    /// Several published keys could be meant.
    #[error("the issuer publishes several keys that fit: the credential must name one by kid")]
    KeyAmbiguous,
    /// The published key is of no accepted kind.
    #[error("the issuer's key is not accepted")]
    Key(#[source] JoseError),
    /// The URL of an issuer is no https URL with a host, without query and fragment.
    #[error("{url} cannot name an issuer: {reason}")]
    Url {
        /// The URL.
        url: String,
        /// What is wrong with it.
        reason: &'static str,
    },
    /// An issuer that may issue nothing.
    #[error("an issuer must be trusted for at least one credential type")]
    NoTypes,
    /// A root that is no certificate authority.
    #[error("{subject} is no certificate authority, so it cannot be a root")]
    NotAuthority {
        /// Its subject.
        subject: String,
    },
    /// A file or folder cannot be read.
    #[error("cannot read {}: check that it exists and that this user may read it", path.display())]
    Read {
        /// Which.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A file of roots cannot be used.
    #[error("{} holds no usable roots", path.display())]
    File {
        /// Which.
        path: PathBuf,
        /// Why.
        source: Box<Self>,
    },
    /// A folder without roots.
    #[error(
        "{} holds no *.pem or *.crt file: put the root certificates of the issuers there, one file each",
        path.display()
    )]
    EmptyDirectory {
        /// Which.
        path: PathBuf,
    },
    /// A file of status roots without the file of its issuer.
    #[error("{} belongs to no issuer: name it like the file with the issuer's roots, with .status before .pem", path.display())]
    StatusAlone {
        /// Which.
        path: PathBuf,
    },
}

impl TrustError {
    /// A stable name of the check that failed.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::Unknown => "issuer_unknown",
            Self::KeyMechanism => "issuer_key_mechanism",
            Self::X509(error) => error.code(),
            Self::StatusMechanism => "status_key_mechanism",
            Self::StatusSigner => "status_signer",
            Self::StatusSignerIssues => "issuer_status_signer",
            Self::IssuerPurpose => "issuer_purpose",
            Self::Json(error) => error.code(),
            Self::Metadata(_) => "issuer_metadata",
            Self::MetadataIssuer { .. } => "issuer_metadata_issuer",
            Self::KeyNotFound => "issuer_key_not_found",
            Self::KeyAmbiguous => "issuer_key_ambiguous",
            Self::Key(_) => "issuer_key",
            Self::Url { .. } => "trust_url",
            Self::NoTypes => "trust_no_types",
            Self::NotAuthority { .. } => "trust_not_authority",
            Self::Read { .. } => "trust_read",
            Self::File { .. } => "trust_file",
            Self::EmptyDirectory { .. } => "trust_empty_directory",
            Self::StatusAlone { .. } => "trust_status_alone",
        }
    }
}
