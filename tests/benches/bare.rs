//! What cannot be done without: a signature check by aws-lc-rs, with nothing around it.

use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED, ED25519, UnparsedPublicKey, VerificationAlgorithm};
use firsthand::protocol::jose::{Algorithm, PublicKey, base64url_decode};

/// One signature and what it is over, checked as bare as can be.
pub struct Signature {
    algorithm: &'static dyn VerificationAlgorithm,
    key: Vec<u8>,
    message: Vec<u8>,
    signature: Vec<u8>,
}

impl Signature {
    /// That of a compact JWS.
    pub fn of(jws: &str, key: &PublicKey) -> Self {
        let (message, signature) = jws.rsplit_once('.').expect("a compact JWS");
        Self::over(message.as_bytes(), base64url_decode(signature).expect("base64url"), key)
    }

    /// One over these bytes.
    pub fn over(message: &[u8], signature: Vec<u8>, key: &PublicKey) -> Self {
        let jwk = key.to_jwk();
        let coordinate = |name: &str| base64url_decode(jwk[name].as_str().unwrap_or_default()).expect("base64url");
        let (algorithm, key): (&'static dyn VerificationAlgorithm, _) = match key.algorithm() {
            Algorithm::EdDsa => (&ED25519, coordinate("x")),
            _ => (&ECDSA_P256_SHA256_FIXED, [vec![4], coordinate("x"), coordinate("y")].concat()),
        };
        Self { algorithm, key, message: message.to_vec(), signature }
    }

    pub fn check(&self) {
        let key = UnparsedPublicKey::new(self.algorithm, &self.key);
        key.verify(&self.message, &self.signature).expect("a signature that holds");
    }
}

/// What people call it.
pub const fn name(algorithm: Algorithm) -> &'static str {
    match algorithm {
        Algorithm::EdDsa => "Ed25519",
        other => other.name(),
    }
}
