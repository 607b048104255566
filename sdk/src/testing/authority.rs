//! Certificate authorities that are nobody: for tests and for development.

#![expect(clippy::expect_used, reason = "a test wants to stop at once, and nothing here comes from a stranger")]

use std::{fmt, sync::Arc, time::Duration};

use aws_lc_rs::rand;
use pem_rfc7468::LineEnding;
use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose, PKCS_ECDSA_P256_SHA256, PKCS_ECDSA_P384_SHA384, PKCS_ECDSA_P521_SHA512, PKCS_ED25519,
    PublicKeyData, SanType, SignatureAlgorithm,
};
use serde_json::Value;
use url::{Host, Url};

use crate::{
    keys::{DEVELOPMENT_CA_NAME, KeysFile},
    protocol::{
        jose::{self, Algorithm, PublicKey, SigningKey},
        x509::Certificate,
    },
    time::UnixTime,
};

const DAY_S: u64 = 24 * 60 * 60;
/// Development keys must not end in the middle of a project.
const VALIDITY_S: u64 = 10 * 366 * DAY_S;

/// A certificate authority: a root, or one below another. Valid from a day before it was made, for ten years.
#[derive(Clone)]
pub struct Authority {
    params: CertificateParams,
    key: Arc<KeyPair>,
    /// Its own certificate and those above it, the root last.
    chain: Vec<Vec<u8>>,
}

impl Authority {
    /// A root of this name, with a new key.
    #[must_use]
    pub fn new(name: &str, now: UnixTime) -> Self {
        Self::root(authority_params(name, now), new_key())
    }

    /// The root of this name with this P-256 key in PKCS#8: the same authority again, after a restart.
    ///
    /// # Panics
    /// If the key is none.
    #[must_use]
    pub fn from_pkcs8(name: &str, pkcs8: &[u8], now: UnixTime) -> Self {
        let key = KeyPair::from_pkcs8_der_and_sign_algo(&pkcs8.into(), &PKCS_ECDSA_P256_SHA256);
        Self::root(authority_params(name, now), key.expect("a P-256 key in PKCS#8"))
    }

    /// An authority below this one, with a new key.
    #[must_use]
    pub fn intermediate(&self, name: &str, now: UnixTime) -> Self {
        self.below(authority_params(name, now))
    }

    /// Issues a certificate for a new P-256 key: the key and its chain, leaf first, without the root.
    #[must_use]
    pub fn issue(&self, leaf: &Leaf) -> (SigningKey, Vec<Vec<u8>>) {
        let key = new_key();
        let signing = SigningKey::from_pkcs8_der(key.serialized_der()).expect("a P-256 key");
        (signing, self.sign(&leaf.params, &key))
    }

    /// Issues a certificate for this key: its chain, leaf first, without the root.
    #[must_use]
    pub fn certify(&self, leaf: &Leaf, key: &PublicKey) -> Vec<Vec<u8>> {
        self.sign(&leaf.params, &SubjectKey::of(key))
    }

    /// The key of this authority, in PKCS#8.
    #[must_use]
    pub fn pkcs8(&self) -> &[u8] {
        self.key.serialized_der()
    }

    /// The root's certificate.
    ///
    /// # Panics
    /// Never.
    #[must_use]
    pub fn root_der(&self) -> &[u8] {
        self.chain.last().expect("a root")
    }

    /// The root's certificate as PEM: what a trust or a wallet believes.
    #[must_use]
    pub fn root_pem(&self) -> String {
        certificate_pem(self.root_der())
    }

    fn root(params: CertificateParams, key: KeyPair) -> Self {
        let der = params.self_signed(&key).expect("a root signs itself").der().to_vec();
        Self { params, key: Arc::new(key), chain: vec![der] }
    }

    fn below(&self, params: CertificateParams) -> Self {
        let key = new_key();
        let mut chain = self.sign(&params, &key);
        chain.push(self.root_der().to_vec());
        Self { params, key: Arc::new(key), chain }
    }

    fn sign(&self, params: &CertificateParams, key: &impl PublicKeyData) -> Vec<Vec<u8>> {
        let issuer = Issuer::from_params(&self.params, &*self.key);
        let der = params.signed_by(key, &issuer).expect("an authority signs").der().to_vec();
        let above = self.chain.iter().take(self.chain.len().saturating_sub(1));
        std::iter::once(der).chain(above.cloned()).collect()
    }

    /// An authority with whatever a test wants to be wrong with it.
    #[cfg(test)]
    pub(crate) fn new_with(name: &str, now: UnixTime, edit: impl FnOnce(&mut CertificateParams)) -> Self {
        let mut params = authority_params(name, now);
        edit(&mut params);
        Self::root(params, new_key())
    }

    #[cfg(test)]
    pub(crate) fn new_with_key(name: &str, now: UnixTime, key: KeyPair) -> Self {
        Self::root(authority_params(name, now), key)
    }

    #[cfg(test)]
    pub(crate) fn intermediate_with(
        &self,
        name: &str,
        now: UnixTime,
        edit: impl FnOnce(&mut CertificateParams),
    ) -> Self {
        let mut params = authority_params(name, now);
        edit(&mut params);
        self.below(params)
    }
}

impl fmt::Debug for Authority {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Authority").field("name", &self.params.distinguished_name).finish_non_exhaustive()
    }
}

/// What a certificate that signs says of its owner.
#[derive(Clone, Debug)]
pub struct Leaf {
    params: CertificateParams,
}

impl Leaf {
    /// A certificate for signatures, with this common name and no other; valid from a day before, for ten years.
    #[must_use]
    pub fn new(name: &str, now: UnixTime) -> Self {
        let mut params = params(name, now);
        params.is_ca = IsCa::ExplicitNoCa;
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        Self { params }
    }

    /// With this host name too.
    ///
    /// # Panics
    /// If it is not ASCII.
    #[must_use]
    pub fn dns_name(mut self, host: &str) -> Self {
        self.params.subject_alt_names.push(SanType::DnsName(host.try_into().expect("an ASCII name")));
        self
    }

    /// With this URI too.
    ///
    /// # Panics
    /// If it is not ASCII.
    #[must_use]
    pub fn uri(mut self, uri: &str) -> Self {
        self.params.subject_alt_names.push(SanType::URI(uri.try_into().expect("an ASCII URI")));
        self
    }

    /// For signing mdocs (ISO/IEC 18013-5, annex B.1.4).
    #[must_use]
    pub fn signs_documents(mut self) -> Self {
        self.params.extended_key_usages = vec![ExtendedKeyUsagePurpose::Other(vec![1, 0, 18013, 5, 1, 2])];
        self
    }

    /// Valid in this time only.
    #[must_use]
    pub fn valid(mut self, from: UnixTime, until: UnixTime) -> Self {
        set_validity(&mut self.params, from, until);
        self
    }

    /// With whatever a test wants to be wrong with it.
    #[cfg(test)]
    pub(crate) fn with(mut self, edit: impl FnOnce(&mut CertificateParams)) -> Self {
        edit(&mut self.params);
        self
    }
}

/// The text of a keys file for development: a root secret, and a signing key with a certificate for the host of
/// `origin`, issued by an authority that is named "Firsthand Development Access CA" and stands in the file too.
///
/// # Panics
/// If the machine has no randomness.
#[must_use]
pub fn development_keys(origin: &Url, now: UnixTime) -> String {
    let ca = Authority::new(DEVELOPMENT_CA_NAME, now);
    let mut leaf = Leaf::new("Firsthand Development Shop", now);
    match origin.host() {
        Some(Host::Ipv4(address)) => leaf.params.subject_alt_names.push(SanType::IpAddress(address.into())),
        Some(Host::Ipv6(address)) => leaf.params.subject_alt_names.push(SanType::IpAddress(address.into())),
        Some(Host::Domain(host)) => leaf = leaf.dns_name(host),
        None => {}
    }
    let mut secret = [0; 32];
    rand::fill(&mut secret).expect("the operating system gives random bytes");
    let mut file = KeysFile::generate(secret).expect("a new key");
    let key = SigningKey::from_pkcs8_der(file.waiting_key().expect("a new key")).expect("a P-256 key");
    let chain = ca.certify(&leaf, key.public_key());
    let pem: String = chain.iter().map(|der| certificate_pem(der)).collect();
    file.install(&pem).expect("a chain of this key");
    file.mark_development(Certificate::from_der(ca.root_der()).expect("a certificate"));
    String::clone(&file.to_pem())
}

/// A new key of any algorithm that is read here: P-256, P-384, P-521 or Ed25519.
///
/// # Panics
/// If the machine has no randomness.
#[must_use]
pub fn new_signing_key(algorithm: Algorithm) -> SigningKey {
    let generated = |of| KeyPair::generate_for(of).expect("a new key");
    let larger = |of| SigningKey::from_larger_pkcs8_der(algorithm, generated(of).serialized_der());
    let key = match algorithm {
        Algorithm::Es256 => SigningKey::from_pkcs8_der(new_key().serialized_der()),
        Algorithm::Es384 => larger(&PKCS_ECDSA_P384_SHA384),
        Algorithm::Es512 => larger(&PKCS_ECDSA_P521_SHA512),
        Algorithm::EdDsa => {
            let mut seed = [0; 32];
            rand::fill(&mut seed).expect("the operating system gives random bytes");
            SigningKey::from_ed25519_seed(&seed)
        }
    };
    key.expect("a key of this algorithm")
}

/// A certificate as PEM.
///
/// # Panics
/// Never.
#[must_use]
pub fn certificate_pem(der: &[u8]) -> String {
    pem_rfc7468::encode_string("CERTIFICATE", LineEnding::LF, der).expect("PEM encodes")
}

fn authority_params(name: &str, now: UnixTime) -> CertificateParams {
    let mut params = params(name, now);
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    params
}

fn params(name: &str, now: UnixTime) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name = DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, name);
    params.use_authority_key_identifier_extension = true;
    set_validity(&mut params, now.minus_s(DAY_S), now.plus_s(VALIDITY_S));
    params
}

fn set_validity(params: &mut CertificateParams, from: UnixTime, until: UnixTime) {
    let epoch = rcgen::date_time_ymd(1970, 1, 1);
    let after = |time: UnixTime| epoch + Duration::from_secs(time.since_s(UnixTime::from_secs(0)));
    params.not_before = after(from);
    params.not_after = after(until);
}

fn new_key() -> KeyPair {
    KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).expect("a new key")
}

/// A key that somebody else holds.
struct SubjectKey {
    algorithm: &'static SignatureAlgorithm,
    bytes: Vec<u8>,
}

impl SubjectKey {
    fn of(key: &PublicKey) -> Self {
        let jwk = key.to_jwk();
        let coordinate = |name: &str| {
            let text = jwk.get(name).and_then(Value::as_str).unwrap_or_default();
            jose::base64url_decode(text).expect("a coordinate")
        };
        let point = || [vec![4], coordinate("x"), coordinate("y")].concat();
        let (algorithm, bytes) = match key.algorithm() {
            Algorithm::Es256 => (&PKCS_ECDSA_P256_SHA256, point()),
            Algorithm::Es384 => (&PKCS_ECDSA_P384_SHA384, point()),
            Algorithm::Es512 => (&PKCS_ECDSA_P521_SHA512, point()),
            Algorithm::EdDsa => (&PKCS_ED25519, coordinate("x")),
        };
        Self { algorithm, bytes }
    }
}

impl PublicKeyData for SubjectKey {
    fn der_bytes(&self) -> &[u8] {
        &self.bytes
    }

    fn algorithm(&self) -> &'static SignatureAlgorithm {
        self.algorithm
    }
}
