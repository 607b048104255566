//! Why a wallet does not go on.

#[cfg(feature = "mdoc")]
use crate::protocol::mdoc::MdocError;
#[cfg(feature = "w3c")]
use crate::protocol::vc::VcError;
use crate::protocol::{dcql::DcqlError, jose::JoseError, x509::X509Error};

use super::Fault;

/// Why a wallet does not go on.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum WalletError {
    /// The link is not one to a wallet.
    #[error("the link does not ask a wallet: {what}")]
    Link {
        /// What is wrong.
        what: &'static str,
    },
    /// The request object breaks a rule.
    #[error("the request object: {what}")]
    Request {
        /// Which.
        what: &'static str,
    },
    /// A token, key or ciphertext.
    #[error(transparent)]
    Jose(#[from] JoseError),
    /// A certificate, or its path.
    #[error(transparent)]
    X509(#[from] X509Error),
    /// The query.
    #[error(transparent)]
    Dcql(#[from] DcqlError),
    /// What the issuer handed out is no credential that is read here.
    #[error("the credential does not open")]
    Credential,
    /// An mdoc cannot be shown.
    #[cfg(feature = "mdoc")]
    #[error(transparent)]
    Mdoc(#[from] MdocError),
    /// A W3C credential cannot be shown.
    #[cfg(feature = "w3c")]
    #[error(transparent)]
    Vc(#[from] VcError),
    /// The wallet has not what is required.
    #[error("no credential in the wallet satisfies the query")]
    Unanswerable,
    /// A fault needs what is not there.
    #[error("{0:?} needs what this wallet or this query does not have")]
    Fault(Fault),
    /// The verifier's answer is not what OpenID4VP says in 8.2.
    #[error("the verifier's answer is no JSON object with a `redirect_uri`")]
    Outcome,
    /// There is no offer, or none that this wallet can take.
    #[error("no offer that this wallet can take")]
    Offer,
    /// An issuer's answer is not what OpenID4VCI says.
    #[error("the issuer's answer is not what the standard says")]
    Issuer,
    /// An issuer refuses a step.
    #[error("the issuer answers {status} {error}")]
    Refused {
        /// The HTTP status.
        status: u16,
        /// The standard's name for it.
        error: String,
    },
}
