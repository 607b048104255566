//! Why a wallet does not get the relationship credential, or a receipt.

use crate::{
    error::ProofError,
    protocol::openid4vci::{attestation::AttestationError, credential::CredentialRequestError, oauth::OAuthError},
};

/// Why a step of issuing is refused. Each has the name that the standard gives it, for the wallet, and one of its own, for
/// the log.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum IssueError {
    /// This shop issues no credential.
    #[error("this shop issues no credential")]
    NotIssuing,
    /// There is no status list of this number.
    #[error("no such status list")]
    NoSuchList,
    /// An OAuth message is not what it must be.
    #[error(transparent)]
    Message(#[from] OAuthError),
    /// A credential request is not what it must be.
    #[error(transparent)]
    Request(#[from] CredentialRequestError),
    /// A notification is not what it must be.
    #[error(transparent)]
    Notification(CredentialRequestError),
    /// The wallet does not say who it is, or is not known.
    #[error("the wallet is not known, or does not say who it is")]
    Client,
    /// The word of the wallet's provider does not count.
    #[error("the client attestation is refused: {0}")]
    Attestation(#[from] AttestationError),
    /// The proof of a client attestation was used before.
    #[error("the proof of the client attestation was used before")]
    AttestationReplayed,
    /// The address is not registered for this wallet, letter by letter.
    #[error("redirect_uri is not registered for this wallet")]
    RedirectUri,
    /// The pushed request is unknown, over or used, or another wallet's.
    #[error("no such request, or not any more: begin again in the wallet")]
    RequestUri,
    /// The offer was made to somebody else.
    #[error("this offer was made to another customer")]
    OtherCustomer,
    /// The code or refresh token is unknown, over, used, or another wallet's.
    #[error("no such code or token, or not any more")]
    Grant,
    /// The code on the page has to be sent as well.
    #[error("tx_code is missing")]
    TxCodeMissing,
    /// The code on the page is another one.
    #[error("tx_code is wrong")]
    TxCodeWrong,
    /// The verifier does not meet the challenge.
    #[error("code_verifier does not meet the challenge")]
    CodeVerifier,
    /// Tokens are bound to a key here, or this one is bound to another.
    #[error("send a DPoP proof by the key that this is bound to")]
    DpopMissing,
    /// The DPoP proof is refused.
    #[error(transparent)]
    Dpop(#[from] ProofError),
    /// The access token is unknown, over, or another key's; or it is no wallet's.
    #[error("the access token is not valid here")]
    Token,
    /// A proof was made for a nonce that this key used already.
    #[error("this key has a credential for this nonce already: fetch a new nonce")]
    NonceUsed,
    /// The token was used as often as it may be, or the customer has as many credentials as they may have.
    #[error("no more credentials for this: remove one, or begin again")]
    TooMany,
    /// The receipt is not there any more.
    #[error("there is no such receipt any more")]
    NoReceipt,
    /// No such deferred credential, or it was handed out.
    #[error("no such transaction, or not any more")]
    Transaction,
    /// No such notification.
    #[error("no such notification id")]
    NotificationId,
}

impl IssueError {
    /// The stable name of the check that failed.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::NotIssuing => "not_issuing",
            Self::NoSuchList => "no_such_status_list",
            Self::Message(error) => error.code(),
            Self::Request(error) | Self::Notification(error) => error.code(),
            Self::Client => "wallet_unknown",
            Self::Attestation(error) => error.code(),
            Self::AttestationReplayed => "attestation_replayed",
            Self::RedirectUri => "redirect_uri_unregistered",
            Self::RequestUri => "no_such_wallet_request",
            Self::OtherCustomer => "offer_of_another_customer",
            Self::Grant => "no_such_grant",
            Self::TxCodeMissing => "tx_code_missing",
            Self::TxCodeWrong => "tx_code_wrong",
            Self::CodeVerifier => "code_verifier_wrong",
            Self::DpopMissing => "dpop_missing",
            Self::Dpop(error) => error.code(),
            Self::Token => "wallet_token_invalid",
            Self::NonceUsed => "nonce_used",
            Self::TooMany => "too_many_credentials",
            Self::NoReceipt => "receipt_gone",
            Self::Transaction => "no_such_transaction",
            Self::NotificationId => "no_such_notification",
        }
    }

    /// The standard's own name for it: RFC 6749, 5.2; RFC 9449, 5 and 7; OpenID4VCI 1.0, 6.3, 8.3, 9.3 and 11.3.
    #[must_use]
    pub fn oauth(&self) -> &'static str {
        match self {
            Self::Message(error) => error.oauth(),
            Self::Request(error) => error.oauth(),
            Self::Notification(_) => "invalid_notification_request",
            Self::Client | Self::Attestation(_) | Self::AttestationReplayed => "invalid_client",
            Self::RedirectUri | Self::TxCodeMissing | Self::NotIssuing | Self::NoSuchList => "invalid_request",
            Self::RequestUri => "invalid_request_uri",
            Self::Grant | Self::TxCodeWrong | Self::CodeVerifier => "invalid_grant",
            Self::DpopMissing => "invalid_dpop_proof",
            Self::Dpop(error) => error.code(),
            Self::Token => "invalid_token",
            Self::NonceUsed => "invalid_nonce",
            Self::TooMany | Self::NoReceipt => "credential_request_denied",
            Self::OtherCustomer => "access_denied",
            Self::Transaction => "invalid_transaction_id",
            Self::NotificationId => "invalid_notification_id",
        }
    }
}
