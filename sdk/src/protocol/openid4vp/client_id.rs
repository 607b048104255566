//! Who asks (OpenID4VP 1.0, 5.9).

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};
use url::Url;

use super::RequestError;
use crate::{
    limits::Limits,
    protocol::{
        did::Did,
        jose::{base64url_decode, base64url_encode, sha256},
    },
};

/// The longest `sub` of a verifier attestation, in bytes: it names a shop.
const ATTESTED_BYTES_MAX: usize = 256;

/// How a client identifier is proved (5.9.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Prefix {
    /// By the certificate of that hash, which signs.
    X509Hash,
    /// By a certificate with that DNS name, which signs.
    X509SanDns,
    /// By a key in the document of that DID, which signs.
    DecentralizedIdentifier,
    /// By a key in an attestation for that name, which signs.
    VerifierAttestation,
    /// Not at all: the identifier is the address that the answer goes to, and nothing is signed.
    RedirectUri,
}

impl Prefix {
    /// All that this library can prove.
    pub const ALL: [Self; 5] =
        [Self::X509Hash, Self::X509SanDns, Self::DecentralizedIdentifier, Self::VerifierAttestation, Self::RedirectUri];

    /// As it stands before the colon.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::X509Hash => "x509_hash",
            Self::X509SanDns => "x509_san_dns",
            Self::DecentralizedIdentifier => "decentralized_identifier",
            Self::VerifierAttestation => "verifier_attestation",
            Self::RedirectUri => "redirect_uri",
        }
    }

    /// Whether requests are signed objects, which a wallet fetches. Those that are not stand whole in the link.
    #[must_use]
    pub const fn is_signed(self) -> bool {
        !matches!(self, Self::RedirectUri)
    }

    /// Whether what stands behind the colon can be an identifier of this kind.
    fn fits(self, id: &str) -> bool {
        match self {
            Self::X509Hash => base64url_decode(id).is_ok_and(|bytes| bytes.len() == 32),
            Self::X509SanDns => {
                !id.is_empty() && id.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'.')
            }
            Self::DecentralizedIdentifier => Did::parse(id, &Limits::default()).is_ok(),
            Self::VerifierAttestation => {
                (1..=ATTESTED_BYTES_MAX).contains(&id.len()) && id.bytes().all(|byte| byte.is_ascii_graphic())
            }
            // The very text of the address, so that two readers cannot differ on it.
            Self::RedirectUri => {
                Url::parse(id).is_ok_and(|url| url.as_str() == id && url.has_host() && url.fragment().is_none())
            }
        }
    }
}

impl fmt::Display for Prefix {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A client identifier with its prefix, always in full: without the prefix it names somebody else (14.8).
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct ClientId(String);

impl ClientId {
    /// The identifier that HAIP demands: the SHA-256 of the certificate that signs requests (5.9.3).
    #[must_use]
    pub fn x509_hash(leaf_der: &[u8]) -> Self {
        Self::of(Prefix::X509Hash, &base64url_encode(&sha256(leaf_der)))
    }

    /// The identifier by a DNS name in the certificate that signs requests (5.9.3).
    #[must_use]
    pub fn x509_san_dns(host: &str) -> Self {
        Self::of(Prefix::X509SanDns, host)
    }

    /// The identifier by a DID; `kid` names the method of its document that signs (5.9.3).
    #[must_use]
    pub fn decentralized_identifier(did: &Did) -> Self {
        Self::of(Prefix::DecentralizedIdentifier, did.as_str())
    }

    /// The identifier that an attestation gives its holder as `sub` (5.9.3, 12).
    ///
    /// # Errors
    /// [`RequestError::ClientId`] if it is empty, longer than 256 bytes, or has other characters than visible ASCII.
    pub fn verifier_attestation(sub: &str) -> Result<Self, RequestError> {
        Self::of(Prefix::VerifierAttestation, sub).0.try_into()
    }

    /// The identifier of whom nobody knows: where the answer goes (5.9.3). Of its own for each request.
    #[must_use]
    pub fn redirect_uri(response_uri: &Url) -> Self {
        Self::of(Prefix::RedirectUri, response_uri.as_str())
    }

    /// The identifier as it goes over the wire, and as every presentation must name its audience.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// How it is proved.
    #[must_use]
    pub fn prefix(&self) -> Prefix {
        let name = self.0.split_once(':').map(|(name, _)| name);
        // Each way to make one writes a known prefix.
        Prefix::ALL.into_iter().find(|prefix| Some(prefix.name()) == name).unwrap_or(Prefix::X509Hash)
    }

    fn of(prefix: Prefix, id: &str) -> Self {
        Self(format!("{prefix}:{id}"))
    }
}

impl fmt::Display for ClientId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for ClientId {
    type Err = RequestError;

    fn from_str(text: &str) -> Result<Self, RequestError> {
        text.to_owned().try_into()
    }
}

impl TryFrom<String> for ClientId {
    type Error = RequestError;

    /// Only the prefixes that this library can prove.
    fn try_from(text: String) -> Result<Self, RequestError> {
        let (name, id) = text.split_once(':').ok_or(RequestError::ClientId)?;
        let known = Prefix::ALL.into_iter().any(|prefix| prefix.name() == name && prefix.fits(id));
        if known { Ok(Self(text)) } else { Err(RequestError::ClientId) }
    }
}

impl From<ClientId> for String {
    fn from(client_id: ClientId) -> Self {
        client_id.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_client_identifier_is_one_only_with_its_prefix() {
        let hash = ClientId::x509_hash(b"leaf");
        assert_eq!(hash.as_str(), format!("x509_hash:{}", base64url_encode(&sha256(b"leaf"))));
        let dns = ClientId::x509_san_dns("shop.example");
        assert_eq!(dns.to_string(), "x509_san_dns:shop.example");
        let did = ClientId::decentralized_identifier(&"did:web:shop.example%3A8443".parse().unwrap());
        assert_eq!(did.as_str(), "decentralized_identifier:did:web:shop.example%3A8443");
        let attested = ClientId::verifier_attestation("https://shop.example").unwrap();
        assert_eq!(attested.as_str(), "verifier_attestation:https://shop.example");
        let bare = ClientId::redirect_uri(&Url::parse("https://shop.example/wallet/responses/p1").unwrap());
        assert_eq!(bare.as_str(), "redirect_uri:https://shop.example/wallet/responses/p1");
        // In the order of `Prefix::ALL`.
        for (good, prefix) in [hash, dns, did, attested, bare].into_iter().zip(Prefix::ALL) {
            assert_eq!(good.prefix(), prefix);
            assert_eq!(prefix.is_signed(), prefix != Prefix::RedirectUri);
            assert_eq!(good.as_str().parse(), Ok(good.clone()));
            let json = serde_json::to_value(&good).unwrap();
            assert_eq!(json, good.as_str());
            assert_eq!(serde_json::from_value::<ClientId>(json).unwrap(), good);
        }
        let refused = [
            "",
            "shop.example",
            "x509_hash:",
            "x509_hash:abc",
            "X509_san_dns:shop.example",
            "x509_san_dns:",
            "x509_san_dns:shop.example/x",
            "decentralized_identifier:",
            "decentralized_identifier:shop.example",
            "decentralized_identifier:did:web:shop.example#key",
            "did:web:shop.example",
            "redirect_uri:",
            "redirect_uri:shop.example",
            "redirect_uri:HTTPS://shop.example/",
            "redirect_uri:https://shop.example/#x",
            "verifier_attestation:",
            "verifier_attestation:a shop",
            "verifier_attestation:caf\u{e9}",
            "openid_federation:https://shop.example",
            "origin:https://shop.example",
        ];
        for text in refused {
            assert_eq!(text.parse::<ClientId>(), Err(RequestError::ClientId), "{text}");
        }
        assert!(ClientId::verifier_attestation(&"x".repeat(257)).is_err());
    }
}
