//! Who the shop is towards wallets.

use serde_json::{Map, Value};
use url::Url;

use super::RENEW_WITHIN_S;
use crate::{
    error::Error,
    keys::{Identity, Keys},
    protocol::{
        did::Did,
        openid4vp::{ClientId, Prefix, RequestObject, VerifierAttestation},
    },
    time::UnixTime,
};

/// Which name the shop has towards wallets (OpenID4VP 1.0, 5.9.3), with all that proves it.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum ClientIdPrefix {
    /// The hash of the access certificate: what HAIP demands.
    #[default]
    X509Hash,
    /// A DNS name of the access certificate, which must be the origin's host.
    X509SanDns,
    /// The shop's did:web, whose document is served at `/.well-known/did.json` and lists the signing key.
    DecentralizedIdentifier,
    /// What somebody attests whom wallets trust, for one of the signing keys.
    VerifierAttestation(VerifierAttestation),
    /// None: the whole request stands in the link, nobody signs it, and TLS alone says whose answer address it is. A
    /// wallet shows its owner a shop that it does not know.
    RedirectUri,
}

impl ClientIdPrefix {
    /// Whether these keys prove it; warns of what ends soon.
    pub(super) fn check(&self, origin: &Url, keys: &Keys, now: UnixTime) -> Result<(), Error> {
        let misuse = |text: String| Err(Error::Misuse(text));
        let leaf = keys.identity().leaf();
        match self {
            Self::X509Hash | Self::DecentralizedIdentifier | Self::RedirectUri => {}
            Self::X509SanDns => {
                let host = origin.host_str().unwrap_or_default();
                if !leaf.dns_names().iter().any(|name| name.eq_ignore_ascii_case(host)) {
                    return misuse(format!(
                        "the certificate names {:?}, not {host:?}: x509_san_dns needs it",
                        leaf.dns_names()
                    ));
                }
            }
            Self::VerifierAttestation(attestation) => {
                if attested(attestation, keys).is_none() {
                    return misuse(format!(
                        "the attestation for {} is for a key that is not in the keys file",
                        attestation.client_id()
                    ));
                }
                ends("verifier attestation", attestation.expires_at(), now);
            }
        }
        // Certificates sign nothing but under their own prefixes.
        if matches!(self, Self::X509Hash | Self::X509SanDns) {
            ends("access certificate", leaf.not_after(), now);
        }
        Ok(())
    }

    /// The identifier of a request that is answered at `response_uri`.
    pub(super) fn client_id(&self, origin: &Url, keys: &Keys, response_uri: &Url) -> ClientId {
        match self {
            Self::X509Hash => ClientId::x509_hash(keys.identity().leaf().der()),
            Self::X509SanDns => ClientId::x509_san_dns(origin.host_str().unwrap_or_default()),
            Self::DecentralizedIdentifier => ClientId::decentralized_identifier(&own_did(origin)),
            Self::VerifierAttestation(attestation) => attestation.client_id().clone(),
            Self::RedirectUri => ClientId::redirect_uri(response_uri),
        }
    }

    /// Who signs a request under an identifier that was given out, and the header that proves it. None for one that is not
    /// signed, or that nobody here can prove any more.
    pub(super) fn signer<'a>(
        &self,
        client_id: &ClientId,
        origin: &Url,
        keys: &'a Keys,
    ) -> Option<(&'a Identity, Map<String, Value>)> {
        let mut header = Map::new();
        header.insert("typ".to_owned(), RequestObject::TYP.into());
        let identity = match (client_id.prefix(), self) {
            (Prefix::X509Hash | Prefix::X509SanDns, _) => {
                // The identity that the wallet was first told, also after the current one was renewed.
                let told = |identity: &&Identity| ClientId::x509_hash(identity.leaf().der()) == *client_id;
                let identity = keys.identities().iter().find(told).unwrap_or_else(|| keys.identity());
                let chain = identity.chain().iter().map(|c| Value::String(base64_standard(c.der())));
                header.insert("x5c".to_owned(), chain.collect());
                identity
            }
            (Prefix::DecentralizedIdentifier, _) => {
                // As the document names it: see `Merchant::public_document`.
                let fragment = keys.identity().key().public_key().thumbprint();
                header.insert("kid".to_owned(), format!("{}#{fragment}", own_did(origin)).into());
                keys.identity()
            }
            (Prefix::VerifierAttestation, Self::VerifierAttestation(attestation))
                if attestation.client_id() == client_id =>
            {
                // Section 12: by value, in the header.
                header.insert("jwt".to_owned(), attestation.as_str().into());
                attested(attestation, keys)?
            }
            _ => return None,
        };
        Some((identity, header))
    }
}

/// Says in the log that something will not be accepted any more, or soon.
pub(super) fn ends(what: &str, at: UnixTime, now: UnixTime) {
    if at <= now {
        tracing::error!(not_after = %at, "the {what} has expired: wallets will refuse us");
    } else if at <= now.plus_s(RENEW_WITHIN_S) {
        tracing::warn!(not_after = %at, "the {what} ends soon: renew it");
    }
}

fn attested<'a>(attestation: &VerifierAttestation, keys: &'a Keys) -> Option<&'a Identity> {
    keys.identities().iter().find(|identity| identity.key().public_key() == attestation.key())
}

fn own_did(origin: &Url) -> Did {
    Did::web(origin.host_str().unwrap_or_default(), origin.port())
}

fn base64_standard(bytes: &[u8]) -> String {
    use base64::Engine as _;
    base64::engine::general_purpose::STANDARD.encode(bytes)
}
