//! Hybrid public key encryption (RFC 9180) as far as ISO/IEC TS 18013-7, annex C needs it: base mode,
//! DHKEM(P-256, HKDF-SHA256), HKDF-SHA256 and AES-128-GCM, one message for each key.

use aws_lc_rs::{
    aead::{self, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey},
    hmac,
};
use zeroize::Zeroizing;

use crate::protocol::jose::{Algorithm, DecryptionKey, JoseError, PublicKey};

/// Section 7: the identifiers of what is used.
const KEM: &[u8] = &[0x00, 0x10];
const KDF: &[u8] = &[0x00, 0x01];
const AEAD: &[u8] = &[0x00, 0x01];

/// The length of an encapsulated key: an uncompressed point on P-256.
pub const ENCAPSULATED_BYTES: usize = 65;

/// Opens a message that was sealed to `key`. Whoever has the public key can seal one: what comes out has no sender.
///
/// # Errors
/// [`JoseError::InvalidKey`] if `enc` is no point on the curve, [`JoseError::Decryption`] if it does not open.
pub fn open(
    key: &DecryptionKey,
    enc: &[u8],
    info: &[u8],
    aad: &[u8],
    ciphertext: &[u8],
) -> Result<Zeroizing<Vec<u8>>, JoseError> {
    let other = PublicKey::from_bytes(Algorithm::Es256, enc)?;
    let (key, nonce) = schedule(key, &other, enc, key.public_key().as_bytes(), info)?;
    let mut text = Zeroizing::new(ciphertext.to_vec());
    let length = key.open_in_place(nonce, Aad::from(aad), &mut text).map_err(|_| JoseError::Decryption)?.len();
    text.truncate(length);
    Ok(text)
}

/// Seals a message to `to` with a key that was made for it alone: the encapsulated key, and the ciphertext.
///
/// # Errors
/// [`JoseError::InvalidKey`] if `to` is on another curve.
pub fn seal(
    ephemeral: &DecryptionKey,
    to: &PublicKey,
    info: &[u8],
    aad: &[u8],
    plaintext: &[u8],
) -> Result<(Vec<u8>, Vec<u8>), JoseError> {
    let enc = ephemeral.public_key().as_bytes();
    let (key, nonce) = schedule(ephemeral, to, enc, to.as_bytes(), info)?;
    let mut text = plaintext.to_vec();
    key.seal_in_place_append_tag(nonce, Aad::from(aad), &mut text).map_err(|_| JoseError::Crypto)?;
    Ok((enc.to_vec(), text))
}

/// Sections 4.1 and 5.1, for the first message.
fn schedule(
    own: &DecryptionKey,
    other: &PublicKey,
    enc: &[u8],
    recipient: &[u8],
    info: &[u8],
) -> Result<(LessSafeKey, Nonce), JoseError> {
    const BASE: &[u8] = &[0];
    let kem = Suite(&[b"KEM", KEM]);
    let agreed = own.agree(other)?;
    let shared =
        kem.expand(&kem.extract(&[], b"eae_prk", agreed.as_slice()), b"shared_secret", &[enc, recipient].concat(), 32);
    let suite = Suite(&[b"HPKE", KEM, KDF, AEAD]);
    let ids = [suite.extract(&[], b"psk_id_hash", &[]), suite.extract(&[], b"info_hash", info)];
    let context = [BASE, ids[0].as_slice(), ids[1].as_slice()].concat();
    let secret = suite.extract(&shared, b"secret", &[]);
    let key = suite.expand(&secret, b"key", &context, aead::AES_128_GCM.key_len());
    let nonce = suite.expand(&secret, b"base_nonce", &context, NONCE_LEN);
    let key = UnboundKey::new(&aead::AES_128_GCM, &key).map_err(|_| JoseError::Crypto)?;
    let nonce = Nonce::try_assume_unique_for_key(&nonce).map_err(|_| JoseError::Crypto)?;
    Ok((LessSafeKey::new(key), nonce))
}

/// The labelled functions of section 4, under a suite identifier.
struct Suite<'a>(&'a [&'a [u8]]);

impl Suite<'_> {
    fn extract(&self, salt: &[u8], label: &[u8], material: &[u8]) -> Zeroizing<Vec<u8>> {
        mac(salt, &[b"HPKE-v1", &self.0.concat(), label, material])
    }

    /// At most the length of one hash.
    fn expand(&self, secret: &[u8], label: &[u8], info: &[u8], length: usize) -> Zeroizing<Vec<u8>> {
        let prefix = u16::try_from(length).unwrap_or_default().to_be_bytes();
        let mut block = mac(secret, &[&prefix, b"HPKE-v1", &self.0.concat(), label, info, &[1]]);
        block.truncate(length);
        block
    }
}

fn mac(key: &[u8], message: &[&[u8]]) -> Zeroizing<Vec<u8>> {
    let mut context = hmac::Context::with_key(&hmac::Key::new(hmac::HMAC_SHA256, key));
    for part in message {
        context.update(part);
    }
    Zeroizing::new(context.sign().as_ref().to_vec())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bytes(hex: &str) -> Vec<u8> {
        (0..hex.len()).step_by(2).map(|at| u8::from_str_radix(&hex[at..at + 2], 16).unwrap()).collect()
    }

    fn key(scalar: &str) -> DecryptionKey {
        DecryptionKey::from_scalar(&bytes(scalar).try_into().unwrap(), "").unwrap()
    }

    /// RFC 9180, appendix A.3.1.
    #[test]
    fn the_message_of_the_standard() {
        let ephemeral = key("4995788ef4b9d6132b249ce59a77281493eb39af373d236a1fe415cb0c2d7beb");
        let recipient = key("f3ce7fdae57e1a310d87f1ebbde6f328be0a99cdbcadf4d6589cf29de4b8ffd2");
        let info = bytes("4f6465206f6e2061204772656369616e2055726e");
        let (aad, text) = (b"Count-0", b"Beauty is truth, truth beauty");
        let (enc, sealed) = seal(&ephemeral, recipient.public_key(), &info, aad, text).unwrap();
        assert_eq!(
            sealed,
            bytes("5ad590bb8baa577f8619db35a36311226a896e7342a6d836d8b7bcd2f20b6c7f9076ac232e3ab2523f39513434")
        );
        assert_eq!(open(&recipient, &enc, &info, aad, &sealed).unwrap().as_slice(), text);
        assert_eq!(open(&ephemeral, &enc, &info, aad, &sealed), Err(JoseError::Decryption));
        assert_eq!(open(&recipient, &enc, b"", aad, &sealed), Err(JoseError::Decryption));
        assert_eq!(open(&recipient, &enc, &info, b"", &sealed), Err(JoseError::Decryption));
        assert_eq!(open(&recipient, &enc, &info, aad, &sealed[..20]), Err(JoseError::Decryption));
        assert_eq!(open(&recipient, &enc, &info, aad, b""), Err(JoseError::Decryption));
        assert_eq!(open(&recipient, &enc[..64], &info, aad, &sealed), Err(JoseError::InvalidKey));
        assert_eq!(open(&recipient, &[4; 65], &info, aad, &sealed), Err(JoseError::InvalidKey));
    }
}
