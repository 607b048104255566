//! Asking an authority for a certificate.

use rcgen::{CertificateParams, DnType, KeyPair, KeyUsagePurpose, PKCS_ECDSA_P256_SHA256};

use super::KeysError;

/// A certificate request (PKCS#10, PEM) for the host name of the shop, signed with its key.
///
/// # Errors
/// If the key is no P-256 key, or the name no host name.
pub fn signing_request(pkcs8: &[u8], host: &str) -> Result<String, KeysError> {
    let key = KeyPair::from_pkcs8_der_and_sign_algo(&pkcs8.into(), &PKCS_ECDSA_P256_SHA256)
        .map_err(|_| KeysError::Generate)?;
    let mut params = CertificateParams::new(vec![host.to_owned()]).map_err(|_| KeysError::Origin(host.to_owned()))?;
    params.distinguished_name.push(DnType::CommonName, host);
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.serialize_request(&key).and_then(|request| request.pem()).map_err(|_| KeysError::Generate)
}
