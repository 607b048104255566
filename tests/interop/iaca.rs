//! Certificate authorities of states that issue mdocs: an IACA root and document signers below it (ISO/IEC 18013-5, annex B).

use std::time::Duration;

use aws_lc_rs::signature::Ed25519KeyPair;
use base64::{Engine, prelude::BASE64_STANDARD};
use firsthand::time::UnixTime;
use rcgen::{
    BasicConstraints, CertificateParams, CrlDistributionPoint, CustomExtension, DistinguishedName, DnType,
    ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair, KeyUsagePurpose, PKCS_ECDSA_P256_SHA256, SignatureAlgorithm,
};
use serde_json::{Value, json};

/// The country of all of them, in the range that ISO 3166 leaves to its users.
pub const COUNTRY: &str = "XU";

const DAY_S: u64 = 24 * 3600;
/// The extended key usage of document signers.
const DOCUMENT_SIGNER: [u64; 6] = [1, 0, 18013, 5, 1, 2];
/// Where an issuer can be reached; both certificates name it.
const ISSUER_ALT_NAME: [u64; 4] = [2, 5, 29, 18];

/// A root.
pub struct Iaca {
    params: CertificateParams,
    key: KeyPair,
    pem: String,
}

impl Iaca {
    /// A root of this name with a new P-256 key, valid for nine years from a year ago.
    pub fn new(name: &str, now: UnixTime) -> Self {
        let mut params = params(name, now.minus_s(365 * DAY_S), now.plus_s(8 * 365 * DAY_S));
        params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).unwrap();
        let pem = params.self_signed(&key).unwrap().pem();
        Self { params, key, pem }
    }

    /// Its certificate.
    pub fn pem(&self) -> &str {
        &self.pem
    }

    /// A new document signer.
    pub fn signer(&self, algorithm: &'static SignatureAlgorithm, now: UnixTime) -> Signer {
        let mut params = params("Utopia Document Signer", now.minus_s(90 * DAY_S), now.plus_s(365 * DAY_S));
        params.is_ca = IsCa::ExplicitNoCa;
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::Other(DOCUMENT_SIGNER.to_vec())];
        let key = KeyPair::generate_for(algorithm).unwrap();
        let certificate = params.signed_by(&key, &Issuer::from_params(&self.params, &self.key)).unwrap();
        // Node reads no key that has its public half beside it (RFC 5958), as Ed25519 keys have here.
        let key = match Ed25519KeyPair::from_pkcs8(key.serialized_der()) {
            Ok(pair) => pair.to_pkcs8v1().unwrap().as_ref().to_vec(),
            Err(_) => key.serialized_der().to_vec(),
        };
        Signer { key, certificate: certificate.der().to_vec() }
    }
}

/// A document signer.
pub struct Signer {
    /// Its key in PKCS#8.
    pub key: Vec<u8>,
    /// Its certificate in DER.
    pub certificate: Vec<u8>,
}

impl Signer {
    /// The same for a script.
    pub fn told(&self) -> Value {
        json!({"key": BASE64_STANDARD.encode(&self.key), "chain": [BASE64_STANDARD.encode(&self.certificate)]})
    }
}

/// What both of them say.
fn params(name: &str, from: UnixTime, until: UnixTime) -> CertificateParams {
    let at =
        |time: UnixTime| rcgen::date_time_ymd(1970, 1, 1) + Duration::from_secs(time.since_s(UnixTime::from_secs(0)));
    let mut params = CertificateParams::default();
    params.distinguished_name = DistinguishedName::new();
    params.distinguished_name.push(DnType::CountryName, COUNTRY);
    params.distinguished_name.push(DnType::CommonName, name);
    params.use_authority_key_identifier_extension = true;
    (params.not_before, params.not_after) = (at(from), at(until));
    params.crl_distribution_points = vec![CrlDistributionPoint { uris: vec!["https://iaca.example/crl".to_owned()] }];
    let uri = b"https://iaca.example";
    // GeneralNames with one uniformResourceIdentifier.
    let names = [&[0x30, uri.len() as u8 + 2, 0x86, uri.len() as u8], uri.as_slice()].concat();
    params.custom_extensions = vec![CustomExtension::from_oid_content(&ISSUER_ALT_NAME, names)];
    params
}
