//! X.509 certificates and the paths from them to a trusted root (RFC 5280 section 6).
//!
//! A [`Certificate`] is parsed and bounded, and nothing about it is believed. [`verify_path`] believes a chain: in the
//! order as it was sent, under an anchor that was configured, at a time that the caller names. Chains are never built
//! from a pool, nothing is fetched, and a common name is never a host name.
//!
//! Left out on purpose: policy trees (a critical policy constraint is refused) and CRLs (credentials have status lists).

use std::{
    fmt,
    sync::{Arc, OnceLock},
};

use aws_lc_rs::signature::{self, UnparsedPublicKey, VerificationAlgorithm};
use x509_cert::{
    Version,
    der::{Decode, Reader, SliceReader, Tag, Tagged, asn1::ObjectIdentifier},
    ext::pkix::{
        AuthorityKeyIdentifier, BasicConstraints, ExtendedKeyUsage, KeyUsage, NameConstraints, SubjectAltName,
        SubjectKeyIdentifier, name::GeneralName,
    },
    name::Name,
    spki::{AlgorithmIdentifierOwned, SubjectPublicKeyInfoOwned},
    time::Time,
};
use zeroize::Zeroizing;

use crate::{
    limits::Limits,
    protocol::jose::{self, JoseError, PublicKey},
    time::UnixTime,
};

mod name_constraints;
#[cfg(test)]
mod tests;

/// The largest certificate that is read, in bytes: real ones are below 4 KiB.
const CERTIFICATE_BYTES_MAX: usize = 16 * 1024;
/// Extensions in one certificate: real ones have about ten.
const EXTENSIONS_MAX: usize = 32;
/// Alternative names and purposes of one certificate, and subtrees in one name constraint: they are compared with others.
const NAMES_MAX: usize = 256;
/// The longest text of a name that is shown, in characters.
const NAME_CHARS_MAX: usize = 256;

/// Why a certificate or a path is not believed. Positions count from the leaf, which is 0; the anchor comes after the
/// last certificate that was sent.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum X509Error {
    /// More bytes than any real certificate has.
    #[error("a certificate of {bytes} bytes is larger than {max}")]
    TooLarge {
        /// Its size.
        bytes: usize,
        /// The bound.
        max: usize,
    },
    /// Not the DER of a certificate, or something after it.
    #[error("not a certificate in DER: {0}")]
    Malformed(&'static str),
    /// Not a PEM text.
    #[error("not PEM text with BEGIN and END lines: {0}")]
    Pem(&'static str),
    /// Not version 3.
    #[error("a certificate must be of version 3")]
    Version,
    /// More of something than any real certificate has.
    #[error("more than {max} {what} in one certificate")]
    TooMany {
        /// Of what.
        what: &'static str,
        /// The bound.
        max: usize,
    },
    /// The same extension twice: readers would disagree on which one counts.
    #[error("the extension {0} is there twice")]
    DuplicateExtension(String),
    /// A critical extension that is not understood.
    #[error("the critical extension {extension} of certificate {position} is not understood")]
    CriticalExtension {
        /// Which certificate.
        position: usize,
        /// Its object identifier.
        extension: String,
    },
    /// The chain is empty.
    #[error("there is no certificate")]
    Empty,
    /// The chain is too long.
    #[error("a chain of {count} certificates is longer than {max}")]
    TooLong {
        /// How many came.
        count: usize,
        /// The bound.
        max: usize,
    },
    /// A certificate was not issued by the one after it.
    #[error(
        "certificate {position} was not issued by the one after it: send the leaf first, then its issuers in order"
    )]
    Order {
        /// Which certificate.
        position: usize,
    },
    /// The key identifiers of a certificate and of its issuer differ.
    #[error("certificate {position} names another key of its issuer")]
    KeyIdentifier {
        /// Which certificate.
        position: usize,
    },
    /// The leaf is its own issuer.
    #[error("the leaf is self-signed; a certificate authority must issue it")]
    SelfSigned,
    /// The anchor is part of the chain, where HAIP forbids it.
    #[error("the chain contains the trusted root, which must be left out")]
    AnchorInChain,
    /// No anchor has the name of the last certificate's issuer.
    #[error("no trusted root is named {issuer}")]
    UnknownAnchor {
        /// The name of the missing issuer.
        issuer: String,
    },
    /// The validity of a certificate has not begun.
    #[error("certificate {position} is valid from {at}, and it is {now}")]
    NotYetValid {
        /// Which certificate.
        position: usize,
        /// The beginning.
        at: UnixTime,
        /// The time of the check.
        now: UnixTime,
    },
    /// The validity of a certificate has ended.
    #[error("certificate {position} expired at {at}, and it is {now}")]
    Expired {
        /// Which certificate.
        position: usize,
        /// The end.
        at: UnixTime,
        /// The time of the check.
        now: UnixTime,
    },
    /// An issuer is no certificate authority.
    #[error("certificate {position} issued another one and is no certificate authority")]
    NotAuthority {
        /// Which certificate.
        position: usize,
    },
    /// The leaf is a certificate authority.
    #[error("the leaf is a certificate authority, which signs certificates and nothing else")]
    LeafIsAuthority,
    /// More certificates below an issuer than it allows.
    #[error("certificate {position} allows {allowed} authorities below it, and there are {found}")]
    PathLength {
        /// Which certificate.
        position: usize,
        /// What it allows.
        allowed: u8,
        /// What there is.
        found: usize,
    },
    /// A key is used for what its certificate does not allow.
    #[error("the key of certificate {position} is not for {usage}")]
    KeyUsage {
        /// Which certificate.
        position: usize,
        /// The key usage that is missing.
        usage: &'static str,
    },
    /// A signature algorithm that is not accepted for certificates.
    #[error("certificate {position} is signed with an algorithm that is not accepted: {algorithm}")]
    Algorithm {
        /// Which certificate.
        position: usize,
        /// Its object identifier.
        algorithm: String,
    },
    /// The two algorithm identifiers of one certificate differ.
    #[error("a certificate must name the same signature algorithm inside and outside")]
    AlgorithmMismatch,
    /// A signature does not hold.
    #[error("the signature on certificate {position} does not hold")]
    Signature {
        /// Which certificate.
        position: usize,
    },
    /// A name lies outside of what an issuer may certify.
    #[error("certificate {position} has a {form} that its issuers may not certify")]
    NameConstraint {
        /// Which certificate.
        position: usize,
        /// The form of the name.
        form: &'static str,
    },
    /// The key of the leaf is of no accepted kind.
    #[error("the key of the certificate is of no accepted kind")]
    Key(#[source] JoseError),
}

impl X509Error {
    /// A stable name of the check that failed.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::TooLarge { .. } => "certificate_too_large",
            Self::Malformed(_) => "certificate_malformed",
            Self::Pem(_) => "certificate_pem",
            Self::Version => "certificate_version",
            Self::TooMany { .. } => "certificate_too_many",
            Self::DuplicateExtension(_) => "certificate_duplicate_extension",
            Self::CriticalExtension { .. } => "certificate_critical_extension",
            Self::Empty => "certificate_chain_empty",
            Self::TooLong { .. } => "certificate_chain_too_long",
            Self::Order { .. } => "certificate_chain_order",
            Self::KeyIdentifier { .. } => "certificate_key_identifier",
            Self::SelfSigned => "certificate_self_signed",
            Self::AnchorInChain => "certificate_anchor_in_chain",
            Self::UnknownAnchor { .. } => "certificate_unknown_anchor",
            Self::NotYetValid { .. } => "certificate_not_yet_valid",
            Self::Expired { .. } => "certificate_expired",
            Self::NotAuthority { .. } => "certificate_not_authority",
            Self::LeafIsAuthority => "certificate_leaf_is_authority",
            Self::PathLength { .. } => "certificate_path_length",
            Self::KeyUsage { .. } => "certificate_key_usage",
            Self::Algorithm { .. } => "certificate_algorithm",
            Self::AlgorithmMismatch => "certificate_algorithm_mismatch",
            Self::Signature { .. } => "certificate_signature",
            Self::NameConstraint { .. } => "certificate_name_constraint",
            Self::Key(_) => "certificate_key",
        }
    }
}

/// A parsed certificate; nothing about it is believed yet. Cheap to clone.
#[derive(Clone)]
pub struct Certificate(Arc<Parts>);

/// What a path needs of a certificate, taken out once. Bytes that are compared or signed are those received, never
/// encoded again.
struct Parts {
    der: Vec<u8>,
    signed: Vec<u8>,
    algorithm: AlgorithmIdentifierOwned,
    signature: Vec<u8>,
    issuer: Vec<u8>,
    subject: Vec<u8>,
    subject_name: Name,
    key: SubjectPublicKeyInfoOwned,
    key_der: Vec<u8>,
    not_before: UnixTime,
    not_after: UnixTime,
    alternative_names: Vec<GeneralName>,
    dns_names: Vec<String>,
    uris: Vec<String>,
    subject_key_id: Option<Vec<u8>>,
    authority_key_id: Option<Vec<u8>>,
    basic_constraints: Option<BasicConstraints>,
    key_usage: Option<KeyUsage>,
    purposes: Option<Vec<String>>,
    name_constraints: Option<NameConstraints>,
    /// The first critical extension that nobody here understands.
    not_understood: Option<ObjectIdentifier>,
    fingerprint: [u8; 32],
    /// Names in words, for whoever asks for them: nothing is decided by them.
    issuer_text: OnceLock<String>,
    subject_text: OnceLock<String>,
}

impl Certificate {
    /// Parses one certificate of at most 16 KiB, with nothing after it.
    ///
    /// # Errors
    /// What is wrong with its form; an unknown critical extension is refused when a path is verified.
    pub fn from_der(der: &[u8]) -> Result<Self, X509Error> {
        Parts::from_der(der).map(|parts| Self(Arc::new(parts)))
    }

    /// All certificates of a PEM text, in order; text between the blocks is ignored, other blocks are not certificates.
    ///
    /// # Errors
    /// If a block is damaged, or is something else than a certificate, or if there is none.
    pub fn from_pem(pem: &str) -> Result<Vec<Self>, X509Error> {
        let blocks = pem_blocks(pem)?;
        if blocks.is_empty() {
            return Err(X509Error::Pem("no CERTIFICATE in it"));
        }
        blocks
            .into_iter()
            .map(|block| match block.label.as_str() {
                "CERTIFICATE" => Self::from_der(&block.bytes),
                _ => Err(X509Error::Pem("something else than a CERTIFICATE in it")),
            })
            .collect()
    }

    /// The bytes that were parsed.
    #[must_use]
    pub fn der(&self) -> &[u8] {
        &self.0.der
    }

    /// The subject's key, if credentials may be signed with its kind.
    ///
    /// # Errors
    /// If it is of another kind, or no point on its curve.
    pub fn public_key(&self) -> Result<PublicKey, X509Error> {
        PublicKey::from_spki_der(&self.0.key_der).map_err(X509Error::Key)
    }

    /// The host names of the subject alternative name, as written; a common name is none (RFC 9525).
    #[must_use]
    pub fn dns_names(&self) -> &[String] {
        &self.0.dns_names
    }

    /// Whether exactly this host name is certified. A wildcard certifies none: OpenID4VP 5.9.3 compares names.
    #[must_use]
    pub fn has_dns_name(&self, host: &str) -> bool {
        !host.contains('*') && self.0.dns_names.iter().any(|name| name.eq_ignore_ascii_case(host))
    }

    /// The URIs of the subject alternative name.
    #[must_use]
    pub fn uris(&self) -> &[String] {
        &self.0.uris
    }

    /// The first second of its validity.
    #[must_use]
    pub fn not_before(&self) -> UnixTime {
        self.0.not_before
    }

    /// The last second of its validity.
    #[must_use]
    pub fn not_after(&self) -> UnixTime {
        self.0.not_after
    }

    /// Whether it names itself as its issuer. Nobody asks whether that signature would hold.
    #[must_use]
    pub fn is_self_signed(&self) -> bool {
        self.0.issuer == self.0.subject
    }

    /// Whether it may issue certificates.
    #[must_use]
    pub fn is_authority(&self) -> bool {
        self.0.basic_constraints.as_ref().is_some_and(|constraints| constraints.ca)
    }

    /// Whether `issuer` has signed it; for that alone, not for a path.
    #[must_use]
    pub fn is_issued_by(&self, issuer: &Self) -> bool {
        self.linked_to(issuer, 0).and_then(|()| self.signed_by(issuer, 0)).is_ok()
    }

    /// SHA-256 of the DER.
    #[must_use]
    pub fn fingerprint(&self) -> [u8; 32] {
        self.0.fingerprint
    }

    /// The `keyIdentifier` of the authority key identifier: what `trusted_authorities` of type `aki` names.
    #[must_use]
    pub fn authority_key_id(&self) -> Option<&[u8]> {
        self.0.authority_key_id.as_deref()
    }

    /// The subject key identifier.
    #[must_use]
    pub fn subject_key_id(&self) -> Option<&[u8]> {
        self.0.subject_key_id.as_deref()
    }

    /// What its key is for: the object identifiers of its extended key usage, such as `1.0.18013.5.1.2`. `None` if it
    /// says nothing (RFC 5280 4.2.1.12).
    #[must_use]
    pub fn purposes(&self) -> Option<&[String]> {
        self.0.purposes.as_deref()
    }

    /// Whether an organisation of the subject is called exactly so.
    #[must_use]
    pub fn has_organization(&self, name: &str) -> bool {
        self.has_attribute(ORGANIZATION, |value| value == name)
    }

    /// Whether the subject's country is this, two letters.
    #[must_use]
    pub fn has_country(&self, code: &str) -> bool {
        self.has_attribute(COUNTRY, |value| value.eq_ignore_ascii_case(code))
    }

    /// The subject as a person or a log reads it (RFC 4514), control characters replaced.
    #[must_use]
    pub fn subject(&self) -> &str {
        self.0.subject_text.get_or_init(|| readable(&self.0.subject_name))
    }

    /// The issuer as a person or a log reads it.
    #[must_use]
    pub fn issuer(&self) -> &str {
        let read = || Name::from_der(&self.0.issuer).map_or_else(|_| String::new(), |name| readable(&name));
        self.0.issuer_text.get_or_init(read)
    }

    fn has_attribute(&self, oid: ObjectIdentifier, fits: impl Fn(&str) -> bool) -> bool {
        // UTF8String and PrintableString, the two that RFC 5280 4.1.2.4 lets authorities write.
        self.0.subject_name.iter().filter(|attribute| attribute.oid == oid).any(|attribute| {
            matches!(attribute.value.tag(), Tag::Utf8String | Tag::PrintableString)
                && std::str::from_utf8(attribute.value.value()).is_ok_and(&fits)
        })
    }

    /// Whether `issuer` is the one that this certificate names (RFC 5280 6.1.3 (a) (4)).
    fn linked_to(&self, issuer: &Self, position: usize) -> Result<(), X509Error> {
        if self.0.issuer != issuer.0.subject {
            return Err(X509Error::Order { position });
        }
        // An authority that renewed its key keeps its name: the identifiers tell the two apart.
        match (&self.0.authority_key_id, &issuer.0.subject_key_id) {
            (Some(named), Some(id)) if named != id => Err(X509Error::KeyIdentifier { position }),
            _ => Ok(()),
        }
    }

    fn signed_by(&self, issuer: &Self, position: usize) -> Result<(), X509Error> {
        let algorithm = verification_algorithm(&self.0.algorithm, &issuer.0.key)
            .ok_or_else(|| X509Error::Algorithm { position, algorithm: self.0.algorithm.oid.to_string() })?;
        UnparsedPublicKey::new(algorithm, issuer.0.key.subject_public_key.raw_bytes())
            .verify(&self.0.signed, &self.0.signature)
            .map_err(|_| X509Error::Signature { position })
    }

    fn valid_at(&self, now: UnixTime, position: usize) -> Result<(), X509Error> {
        if now < self.0.not_before {
            return Err(X509Error::NotYetValid { position, at: self.0.not_before, now });
        }
        if now > self.0.not_after {
            return Err(X509Error::Expired { position, at: self.0.not_after, now });
        }
        Ok(())
    }

    fn understood(&self, position: usize) -> Result<(), X509Error> {
        match self.0.not_understood {
            Some(oid) => Err(X509Error::CriticalExtension { position, extension: oid.to_string() }),
            None => Ok(()),
        }
    }

    /// Whether the leaf's key is for signatures. What a seal signs is a commitment, and its certificate may say that alone
    /// (ETSI EN 319 412-2 4.3.2).
    fn signs(&self) -> Result<(), X509Error> {
        match &self.0.key_usage {
            Some(usage) if !usage.digital_signature() && !usage.non_repudiation() => {
                Err(X509Error::KeyUsage { position: 0, usage: "signatures" })
            }
            _ => Ok(()),
        }
    }

    /// RFC 5280 6.1.4 (k), (l), (m), (n), for a certificate with `below` authorities between it and the leaf.
    fn may_issue(&self, below: usize, position: usize) -> Result<(), X509Error> {
        let Some(constraints) = self.0.basic_constraints.as_ref().filter(|constraints| constraints.ca) else {
            // Without this check, whoever has any certificate could issue more of them.
            return Err(X509Error::NotAuthority { position });
        };
        if self.0.key_usage.as_ref().is_some_and(|usage| !usage.key_cert_sign()) {
            return Err(X509Error::KeyUsage { position, usage: "signing certificates" });
        }
        match constraints.path_len_constraint {
            Some(allowed) if below > usize::from(allowed) => {
                Err(X509Error::PathLength { position, allowed, found: below })
            }
            _ => Ok(()),
        }
    }
}

impl fmt::Debug for Certificate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Certificate").field("subject", &self.subject()).field("issuer", &self.issuer()).finish()
    }
}

impl PartialEq for Certificate {
    fn eq(&self, other: &Self) -> bool {
        self.0.der == other.0.der
    }
}

impl Eq for Certificate {}

/// A path that holds: only [`verify_path`] makes one.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct VerifiedPath {
    /// The first certificate.
    pub leaf: Certificate,
    /// Its key.
    pub key: PublicKey,
    /// Which of the anchors it leads to.
    pub anchor: usize,
    /// The latest beginning of a validity on the path, the anchor's included.
    pub not_before: UnixTime,
    /// The earliest end of a validity on the path, the anchor's included.
    pub not_after: UnixTime,
    authority_key_ids: Vec<String>,
}

impl VerifiedPath {
    /// The authority key identifiers on the path, base64url: what `trusted_authorities` of type `aki` is compared with
    /// (OpenID4VP 6.1.1.1). The anchor counts by its own subject key identifier.
    #[must_use]
    pub fn authority_key_ids(&self) -> &[String] {
        &self.authority_key_ids
    }
}

/// Follows a chain of DER certificates, leaf first, each issued by the next, to one of the anchors (RFC 5280 6.1).
///
/// The leaf must be for signatures and no authority; neither it may be self-signed nor the anchor be in the chain
/// (HAIP 1.0 6.1.1). `anchors` may hold several keys of one authority. An anchor that is no authority is believed for
/// itself alone, as the leaf: trust lists name the very certificates of some issuers. An authority above it comes first,
/// so that a list which names somebody else's issuer takes nothing from them.
///
/// # Errors
/// The first check that failed; if several anchors have the name that is looked for, that of the last one.
pub fn verify_path(
    x5c: &[Vec<u8>],
    anchors: &[&Certificate],
    now: UnixTime,
    limits: &Limits,
) -> Result<VerifiedPath, X509Error> {
    if x5c.len() > limits.x5c_certificates {
        return Err(X509Error::TooLong { count: x5c.len(), max: limits.x5c_certificates });
    }
    let chain = x5c.iter().map(|der| Certificate::from_der(der)).collect::<Result<Vec<_>, _>>()?;
    let (Some(leaf), Some(last)) = (chain.first(), chain.last()) else {
        return Err(X509Error::Empty);
    };
    let Some(index) = anchors.iter().position(|anchor| !anchor.is_authority() && *anchor == leaf) else {
        return path_to_authority(&chain, leaf, last, anchors, now);
    };
    if let Ok(path) = path_to_authority(&chain, leaf, last, anchors, now) {
        return Ok(path);
    }
    leaf.understood(0)?;
    leaf.valid_at(now, 0)?;
    leaf.signs()?;
    believed(std::slice::from_ref(leaf), leaf, leaf, index)
}

fn path_to_authority(
    chain: &[Certificate],
    leaf: &Certificate,
    last: &Certificate,
    anchors: &[&Certificate],
    now: UnixTime,
) -> Result<VerifiedPath, X509Error> {
    if leaf.is_self_signed() {
        return Err(X509Error::SelfSigned);
    }
    // An anchor that was sent along is none to lead to, but another above it may be.
    let above = |anchor: &&Certificate| anchor.0.subject == last.0.issuer && !chain.contains(anchor);
    if chain.iter().any(|certificate| anchors.contains(&certificate)) && !anchors.iter().any(above) {
        return Err(X509Error::AnchorInChain);
    }
    // All that costs nothing comes before the first signature.
    for (position, certificate) in chain.iter().enumerate() {
        certificate.understood(position)?;
        certificate.valid_at(now, position)?;
        if let Some(issuer) = chain.get(position + 1) {
            certificate.linked_to(issuer, position)?;
        }
    }
    if leaf.is_authority() {
        return Err(X509Error::LeafIsAuthority);
    }
    leaf.signs()?;
    let mut refusal = X509Error::UnknownAnchor { issuer: last.issuer().to_owned() };
    for (index, anchor) in anchors.iter().enumerate().filter(|(_, anchor)| above(anchor)) {
        match leads_to(chain, anchor, now) {
            Ok(()) => return believed(chain, leaf, anchor, index),
            Err(error) => refusal = error,
        }
    }
    Err(refusal)
}

/// The checks from the anchor down to the leaf: an issuer is believed before what it says of others is.
fn leads_to(chain: &[Certificate], anchor: &Certificate, now: UnixTime) -> Result<(), X509Error> {
    anchor.understood(chain.len())?;
    anchor.valid_at(now, chain.len())?;
    let mut constraints: Vec<&NameConstraints> = Vec::new();
    let mut issuer = anchor;
    for (position, certificate) in chain.iter().enumerate().rev() {
        // RFC 5280 4.2.1.9: authorities that follow, self-issued ones and the leaf not counted.
        let below =
            chain.get(1..=position).unwrap_or_default().iter().filter(|authority| !authority.is_self_signed()).count();
        issuer.may_issue(below, position + 1)?;
        certificate.linked_to(issuer, position)?;
        certificate.signed_by(issuer, position)?;
        constraints.extend(issuer.0.name_constraints.as_ref());
        // RFC 5280 6.1.3 (b): a self-issued authority carries no new name.
        if position == 0 || !certificate.is_self_signed() {
            name_constraints::hold(&constraints, &certificate.0.subject_name, &certificate.0.alternative_names)
                .map_err(|form| X509Error::NameConstraint { position, form })?;
        }
        issuer = certificate;
    }
    Ok(())
}

fn believed(
    chain: &[Certificate],
    leaf: &Certificate,
    anchor: &Certificate,
    index: usize,
) -> Result<VerifiedPath, X509Error> {
    let mut authority_key_ids: Vec<String> = Vec::new();
    for id in chain.iter().filter_map(Certificate::authority_key_id).chain(anchor.subject_key_id()) {
        let id = jose::base64url_encode(id);
        if !authority_key_ids.contains(&id) {
            authority_key_ids.push(id);
        }
    }
    let not_before = chain.iter().map(Certificate::not_before).fold(anchor.not_before(), Ord::max);
    let not_after = chain.iter().map(Certificate::not_after).fold(anchor.not_after(), Ord::min);
    Ok(VerifiedPath {
        leaf: leaf.clone(),
        key: leaf.public_key()?,
        anchor: index,
        not_before,
        not_after,
        authority_key_ids,
    })
}

/// One block of a PEM text; its bytes may be secret.
pub(crate) struct PemBlock {
    pub(crate) label: String,
    pub(crate) bytes: Zeroizing<Vec<u8>>,
}

/// The blocks of a PEM text (RFC 7468), in order. What stands between them is for people.
pub(crate) fn pem_blocks(pem: &str) -> Result<Vec<PemBlock>, X509Error> {
    const BEGIN: &str = "-----BEGIN ";
    let mut blocks = Vec::new();
    let mut rest = pem;
    while let Some((_, from)) = rest.split_once(BEGIN) {
        let (label, _) = from.split_once("-----").ok_or(X509Error::Pem("a BEGIN line that does not end"))?;
        let end = format!("-----END {label}-----");
        let (body, after) = from.split_once(end.as_str()).ok_or(X509Error::Pem("a BEGIN without its END"))?;
        let block = Zeroizing::new(format!("{BEGIN}{body}{end}\n"));
        let mut bytes = Zeroizing::new(Vec::new());
        pem_rfc7468::Decoder::new_detect_wrap(block.as_bytes())
            .and_then(|mut decoder| decoder.decode_to_end(&mut bytes).map(|_| ()))
            .map_err(|_| X509Error::Pem("a block that is not base64"))?;
        blocks.push(PemBlock { label: label.to_owned(), bytes });
        rest = after;
    }
    Ok(blocks)
}

impl Parts {
    fn from_der(der: &[u8]) -> Result<Self, X509Error> {
        if der.len() > CERTIFICATE_BYTES_MAX {
            return Err(X509Error::TooLarge { bytes: der.len(), max: CERTIFICATE_BYTES_MAX });
        }
        let parsed = x509_cert::Certificate::from_der(der).map_err(|_| X509Error::Malformed("certificate"))?;
        let tbs = parsed.tbs_certificate();
        if tbs.version() != Version::V3 {
            return Err(X509Error::Version);
        }
        let raw = Raw::of(der).ok_or(X509Error::Malformed("certificate"))?;
        // RFC 5280 4.1.1.2; the inner one is signed, the outer one is what a verifier would use.
        if parsed.signature_algorithm() != tbs.signature() {
            return Err(X509Error::AlgorithmMismatch);
        }
        let signature = parsed.signature().as_bytes().ok_or(X509Error::Malformed("signature"))?.to_vec();
        // RFC 5280 4.1.2.4
        if tbs.issuer().is_empty() {
            return Err(X509Error::Malformed("issuer"));
        }
        let mut parts = Self {
            der: der.to_vec(),
            signed: raw.signed.to_vec(),
            algorithm: tbs.signature().clone(),
            signature,
            issuer: raw.issuer.to_vec(),
            subject: raw.subject.to_vec(),
            subject_name: tbs.subject().clone(),
            key: tbs.subject_public_key_info().clone(),
            key_der: raw.key.to_vec(),
            not_before: unix_time(tbs.validity().not_before),
            not_after: unix_time(tbs.validity().not_after),
            alternative_names: Vec::new(),
            dns_names: Vec::new(),
            uris: Vec::new(),
            subject_key_id: None,
            authority_key_id: None,
            basic_constraints: None,
            key_usage: None,
            purposes: None,
            name_constraints: None,
            not_understood: None,
            fingerprint: jose::sha256(der),
            issuer_text: OnceLock::new(),
            subject_text: OnceLock::new(),
        };
        let extensions = tbs.extensions().map_or(&[][..], Vec::as_slice);
        if extensions.len() > EXTENSIONS_MAX {
            return Err(X509Error::TooMany { what: "extensions", max: EXTENSIONS_MAX });
        }
        for (at, extension) in extensions.iter().enumerate() {
            if extensions.iter().take(at).any(|earlier| earlier.extn_id == extension.extn_id) {
                return Err(X509Error::DuplicateExtension(extension.extn_id.to_string()));
            }
            parts.extension(extension.extn_id, extension.critical, extension.extn_value.as_bytes())?;
        }
        // RFC 5280 4.1.2.6: what issues certificates has a name.
        if tbs.subject().is_empty() && parts.basic_constraints.as_ref().is_some_and(|constraints| constraints.ca) {
            return Err(X509Error::Malformed("subject"));
        }
        Ok(parts)
    }

    fn extension(&mut self, oid: ObjectIdentifier, critical: bool, value: &[u8]) -> Result<(), X509Error> {
        match oid {
            BASIC_CONSTRAINTS => {
                let constraints: BasicConstraints = decoded(value, "basicConstraints")?;
                if !constraints.ca && constraints.path_len_constraint.is_some() {
                    return Err(X509Error::Malformed("basicConstraints"));
                }
                self.basic_constraints = Some(constraints);
            }
            KEY_USAGE => self.key_usage = Some(decoded(value, "keyUsage")?),
            SUBJECT_ALT_NAME => self.names(decoded(value, "subjectAltName")?)?,
            NAME_CONSTRAINTS => {
                let constraints: NameConstraints = decoded(value, "nameConstraints")?;
                name_constraints::check_form(&constraints).map_err(X509Error::Malformed)?;
                let subtrees = [&constraints.permitted_subtrees, &constraints.excluded_subtrees];
                if subtrees.iter().any(|subtrees| subtrees.as_ref().is_some_and(|list| list.len() > NAMES_MAX)) {
                    return Err(X509Error::TooMany { what: "name constraints", max: NAMES_MAX });
                }
                self.name_constraints = Some(constraints);
            }
            SUBJECT_KEY_IDENTIFIER => {
                let id: SubjectKeyIdentifier = decoded(value, "subjectKeyIdentifier")?;
                self.subject_key_id = Some(id.0.as_bytes().to_vec());
            }
            AUTHORITY_KEY_IDENTIFIER => {
                let id: AuthorityKeyIdentifier = decoded(value, "authorityKeyIdentifier")?;
                self.authority_key_id = id.key_identifier.map(|id| id.as_bytes().to_vec());
            }
            // Whoever uses the certificate decides which purposes fit: no standard names one for issuers of credentials.
            EXTENDED_KEY_USAGE => {
                let purposes: ExtendedKeyUsage = decoded(value, "extKeyUsage")?;
                if purposes.0.len() > NAMES_MAX {
                    return Err(X509Error::TooMany { what: "purposes", max: NAMES_MAX });
                }
                self.purposes = Some(purposes.0.iter().map(ToString::to_string).collect());
            }
            // Every policy is accepted.
            CERTIFICATE_POLICIES => {}
            // RFC 5280 4.2: a critical extension that is not understood refuses the certificate.
            unknown => {
                if critical {
                    self.not_understood.get_or_insert(unknown);
                }
            }
        }
        Ok(())
    }

    fn names(&mut self, names: SubjectAltName) -> Result<(), X509Error> {
        if names.0.len() > NAMES_MAX {
            return Err(X509Error::TooMany { what: "names", max: NAMES_MAX });
        }
        // RFC 5280 4.2.1.6: at least one.
        if names.0.is_empty() {
            return Err(X509Error::Malformed("subjectAltName"));
        }
        for name in &names.0 {
            match name {
                GeneralName::DnsName(name) => self.dns_names.push(name.as_str().to_owned()),
                GeneralName::UniformResourceIdentifier(uri) => self.uris.push(uri.as_str().to_owned()),
                _ => {}
            }
        }
        self.alternative_names = names.0;
        Ok(())
    }
}

/// The parts of a certificate as bytes.
struct Raw<'a> {
    signed: &'a [u8],
    issuer: &'a [u8],
    subject: &'a [u8],
    key: &'a [u8],
}

impl<'a> Raw<'a> {
    fn of(der: &'a [u8]) -> Option<Self> {
        let signed = *elements(der)?.first()?;
        let fields = elements(signed)?;
        // `version [0]` comes first unless it is version 1.
        let offset = usize::from(fields.first()?.first() == Some(&0xa0));
        Some(Self {
            signed,
            issuer: fields.get(offset + 2)?,
            subject: fields.get(offset + 4)?,
            key: fields.get(offset + 5)?,
        })
    }
}

/// The elements of a SEQUENCE, each with its tag and length.
fn elements(der: &[u8]) -> Option<Vec<&[u8]>> {
    let mut reader = SliceReader::new(der).ok()?;
    reader
        .sequence(|reader| {
            let mut elements = Vec::new();
            while !reader.is_finished() {
                elements.push(reader.tlv_bytes()?);
            }
            Ok::<_, x509_cert::der::Error>(elements)
        })
        .ok()
}

fn decoded<'a, T: Decode<'a>>(value: &'a [u8], what: &'static str) -> Result<T, X509Error> {
    T::from_der(value).map_err(|_| X509Error::Malformed(what))
}

fn unix_time(time: Time) -> UnixTime {
    UnixTime::from_secs(i64::try_from(time.to_unix_duration().as_secs()).unwrap_or(i64::MAX))
}

/// Names come from strangers and end in logs.
fn readable(name: &Name) -> String {
    name.to_string().chars().take(NAME_CHARS_MAX).map(|c| if c.is_control() { '\u{fffd}' } else { c }).collect()
}

/// The algorithm that verifies a signature of this name with a key of this kind, if both are accepted.
fn verification_algorithm(
    algorithm: &AlgorithmIdentifierOwned,
    key: &SubjectPublicKeyInfoOwned,
) -> Option<&'static dyn VerificationAlgorithm> {
    let parameters = algorithm.parameters.as_ref();
    match algorithm.oid {
        ECDSA_SHA256 | ECDSA_SHA384 | ECDSA_SHA512 if parameters.is_none() && key.algorithm.oid == EC_KEY => {
            let curve: ObjectIdentifier = key.algorithm.parameters.as_ref()?.decode_as().ok()?;
            Some(match (curve, algorithm.oid) {
                (P256, ECDSA_SHA256) => &signature::ECDSA_P256_SHA256_ASN1,
                (P256, ECDSA_SHA384) => &signature::ECDSA_P256_SHA384_ASN1,
                (P256, ECDSA_SHA512) => &signature::ECDSA_P256_SHA512_ASN1,
                (P384, ECDSA_SHA256) => &signature::ECDSA_P384_SHA256_ASN1,
                (P384, ECDSA_SHA384) => &signature::ECDSA_P384_SHA384_ASN1,
                (P384, ECDSA_SHA512) => &signature::ECDSA_P384_SHA512_ASN1,
                (P521, ECDSA_SHA256) => &signature::ECDSA_P521_SHA256_ASN1,
                (P521, ECDSA_SHA384) => &signature::ECDSA_P521_SHA384_ASN1,
                (P521, ECDSA_SHA512) => &signature::ECDSA_P521_SHA512_ASN1,
                _ => return None,
            })
        }
        // RFC 8410 3: no parameters.
        ED25519 if parameters.is_none() && key.algorithm.oid == ED25519 && key.algorithm.parameters.is_none() => {
            Some(&signature::ED25519)
        }
        // RFC 4055 5: NULL, or nothing. Keys above 4096 bits are refused for what they cost.
        RSA_SHA256 | RSA_SHA384 | RSA_SHA512
            if parameters.is_none_or(|p| p.is_null())
                && key.algorithm.oid == RSA_KEY
                && key.subject_public_key.raw_bytes().len() <= RSA_KEY_BYTES_MAX =>
        {
            Some(match algorithm.oid {
                RSA_SHA256 => &signature::RSA_PKCS1_2048_8192_SHA256,
                RSA_SHA384 => &signature::RSA_PKCS1_2048_8192_SHA384,
                _ => &signature::RSA_PKCS1_2048_8192_SHA512,
            })
        }
        _ => None,
    }
}

/// An RSA modulus of 4096 bits, an exponent of at most 32 bits, and their DER.
const RSA_KEY_BYTES_MAX: usize = 512 + 1 + 4 + 12;

const BASIC_CONSTRAINTS: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.5.29.19");
const KEY_USAGE: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.5.29.15");
const SUBJECT_ALT_NAME: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.5.29.17");
const NAME_CONSTRAINTS: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.5.29.30");
const SUBJECT_KEY_IDENTIFIER: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.5.29.14");
const AUTHORITY_KEY_IDENTIFIER: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.5.29.35");
const CERTIFICATE_POLICIES: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.5.29.32");
const EXTENDED_KEY_USAGE: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.5.29.37");
const ORGANIZATION: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.5.4.10");
const COUNTRY: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.5.4.6");
const EC_KEY: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.2.1");
const P256: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.3.1.7");
const P384: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.132.0.34");
const P521: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.132.0.35");
const ECDSA_SHA256: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.4.3.2");
const ECDSA_SHA384: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.4.3.3");
const ECDSA_SHA512: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.4.3.4");
const ED25519: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.101.112");
const RSA_KEY: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.1.1");
const RSA_SHA256: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.1.11");
const RSA_SHA384: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.1.12");
const RSA_SHA512: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.1.13");
