//! OpenID for Verifiable Presentations 1.0, the verifier's side of sections 5 and 8: the request object that a wallet
//! fetches, the link that opens it, and the answer that it posts. The profile is HAIP, signed requests by
//! reference and answers by `direct_post.jwt`, but where a merchant or an ask says otherwise.
//!
//! What [`read_response`] returns is the envelope alone. Nothing in it is believed yet: decryption proves that somebody
//! knew our public key (14.5), and the presentations are strings until their format verified them and
//! [`Query::evaluate`](crate::protocol::dcql::Query::evaluate) found in them what was asked.

mod attestation;
mod client_id;
pub mod dc_api;
mod request;
mod request_post;
mod response;
mod wallet_link;

pub use attestation::VerifierAttestation;
pub use client_id::{ClientId, Prefix};
pub use request::{RequestObject, ResponseMode, SD_JWT_ALGORITHMS, TransactionData};
pub use request_post::{RequestEncryption, RequestPost, read_request_post};
pub use response::{Answer, ResponseContext, ResponseError, read_response};
pub(crate) use response::{answer, check_state, entries_for, parameters};
pub(in crate::protocol) use wallet_link::is_loopback;
pub use wallet_link::{wallet_link, wallet_link_by_value};

pub use crate::protocol::form::FormError;

/// Who a request object is for, where a wallet publishes no metadata of its own (5.8).
pub const AUDIENCE: &str = "https://self-issued.me/v2";

/// Why a request cannot be made as asked, or a wallet cannot be served one.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RequestError {
    /// A client identifier has none of the known prefixes, or not what belongs after it.
    #[error("the client identifier must be a known prefix, a colon, and what belongs after it")]
    ClientId,
    /// An attestation of who we are is none.
    #[error("the verifier attestation cannot be used: {what}")]
    Attestation {
        /// What is wrong with it.
        what: &'static str,
    },
    /// A wallet's endpoint is no address that a link may have.
    #[error("the wallet's endpoint cannot be used: {reason}")]
    Endpoint {
        /// Why.
        reason: &'static str,
    },
    /// Transaction data lack something.
    #[error("the transaction data need `{member}`, not empty")]
    TransactionDataEmpty {
        /// What they lack.
        member: &'static str,
    },
    /// Transaction data name a credential that cannot authorise them.
    #[error("the transaction data name `{id}`, which the query does not ask for with the holder's proof")]
    TransactionDataCredential {
        /// The id.
        id: String,
    },
    /// The payload of transaction data has a member that the standard defines.
    #[error("the payload of the transaction data must not have the member `{member}`")]
    TransactionDataMember {
        /// The member.
        member: &'static str,
    },
    /// What the wallet posted is no form.
    #[error(transparent)]
    Form(#[from] FormError),
    /// The wallet's metadata ask for what we do not have, or are none.
    #[error("`wallet_metadata`: {what}")]
    WalletMetadata {
        /// What is wrong with them.
        what: &'static str,
    },
    /// The wallet's nonce cannot be given back.
    #[error("`wallet_nonce` must be visible ASCII, at least one and at most {max} characters")]
    WalletNonce {
        /// The limit.
        max: usize,
    },
}

impl RequestError {
    /// A stable name of the check that failed.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::ClientId => "client_id",
            Self::Endpoint { .. } => "wallet_endpoint",
            Self::TransactionDataEmpty { .. } => "transaction_data_empty",
            Self::TransactionDataCredential { .. } => "transaction_data_credential",
            Self::TransactionDataMember { .. } => "transaction_data_member",
            Self::Form(error) => error.code(),
            Self::Attestation { .. } => "verifier_attestation",
            Self::WalletMetadata { .. } => "wallet_metadata",
            Self::WalletNonce { .. } => "wallet_nonce",
        }
    }
}
