//! OpenID for Verifiable Credential Issuance 1.0, the issuer's side and what a wallet needs of it: offers, metadata, the
//! OAuth messages with PAR (RFC 9126) and PKCE (RFC 7636), credential requests, proofs of possession, and the word of a
//! wallet's provider about a wallet and its keys.
//!
//! Messages become types here, and signatures are checked. Whether a code, a token or a nonce is ours is for whoever
//! keeps them: those checks come in as arguments.

use serde::{Deserialize, Serialize};

pub mod attestation;
pub mod credential;
pub mod metadata;
pub mod oauth;
pub mod offer;
pub mod proof;

/// What opens whichever wallet is installed, where nothing is known of it (12.1.1).
pub const OFFER_ENDPOINT: &str = "openid-credential-offer://";

/// The same for a wallet that speaks the High Assurance Interoperability Profile (HAIP 1.0, 4.2).
pub const HAIP_OFFER_ENDPOINT: &str = "haip-vci://";

/// Keys that one credential request may bring, and credentials that it brings back.
pub const KEYS_MAX: usize = 10;

/// The algorithms that a wallet may sign its proofs with: those that it also signs its presentations with.
pub const PROOF_ALGORITHMS: [&str; 2] = ["ES256", "EdDSA"];

/// A format that a credential is issued in (annex A).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CredentialFormat {
    /// `dc+sd-jwt` (annex A.3).
    #[default]
    SdJwtVc,
    /// `mso_mdoc` (annex A.2).
    Mdoc,
}

/// What an issuer issues: one credential, in each format by a configuration of its own.
#[derive(Clone, Copy, Debug)]
pub struct Offered<'a> {
    /// The scope of all of them: a scope may be that of several configurations (12.2.4).
    pub scope: &'a str,
    /// The names of the configurations.
    pub configurations: &'a [(&'a str, CredentialFormat)],
}

impl Offered<'_> {
    /// The format of the configuration of this name, if there is one.
    #[must_use]
    pub fn format(&self, configuration: &str) -> Option<CredentialFormat> {
        self.configurations.iter().find(|(name, _)| *name == configuration).map(|(_, format)| *format)
    }
}
