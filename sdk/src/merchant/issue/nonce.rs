//! Nonces for proofs of keys (OpenID4VCI 1.0, 7), without storing any: the time, some random bytes, and a MAC over both.
//! Every one is new, every node with the same root knows it, and it ends by itself.

use aws_lc_rs::{constant_time::verify_slices_are_equal, hmac};

use crate::{
    protocol::jose::{base64url_decode, base64url_encode},
    time::UnixTime,
};

/// How long a nonce is good, in seconds: somebody may have to find their finger.
pub(super) const LIFETIME_S: u64 = 10 * 60;
/// Bytes of the time, and of the random part.
const TIME_BYTES: usize = 8;
const RANDOM_BYTES: usize = 16;
/// Bytes of the MAC that stand in a nonce.
const MAC_BYTES: usize = 16;

pub(super) struct CredentialNonces {
    /// The key that makes nonces first, then those of earlier roots.
    keys: Vec<hmac::Key>,
}

impl CredentialNonces {
    pub(super) fn new(keys: &[[u8; 32]]) -> Self {
        Self { keys: keys.iter().map(|key| hmac::Key::new(hmac::HMAC_SHA256, key)).collect() }
    }

    pub(super) fn make(&self, now: UnixTime, random: [u8; RANDOM_BYTES]) -> String {
        let mut bytes = now.as_secs().to_be_bytes().to_vec();
        bytes.extend(random);
        let mac = self.keys.first().map(|key| mac_of(key, &bytes)).unwrap_or_default();
        bytes.extend(mac);
        base64url_encode(&bytes)
    }

    pub(super) fn knows(&self, presented: &str, now: UnixTime) -> bool {
        let Ok(bytes) = base64url_decode(presented) else { return false };
        let Some((said, mac)) = bytes.split_at_checked(TIME_BYTES + RANDOM_BYTES) else { return false };
        let Some(at) = said.first_chunk().map(|at| UnixTime::from_secs(i64::from_be_bytes(*at))) else { return false };
        // A node's clock may be a little ahead of another's.
        let fresh = at <= now.plus_s(60) && now < at.plus_s(LIFETIME_S);
        fresh && self.keys.iter().any(|key| verify_slices_are_equal(&mac_of(key, said), mac).is_ok())
    }
}

fn mac_of(key: &hmac::Key, bytes: &[u8]) -> Vec<u8> {
    hmac::sign(key, bytes).as_ref().iter().take(MAC_BYTES).copied().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOON: UnixTime = UnixTime::from_secs(1_795_000_000);

    #[test]
    fn a_nonce_is_ours_for_ten_minutes() {
        let nonces = CredentialNonces::new(&[[1; 32]]);
        let nonce = nonces.make(NOON, [7; 16]);
        assert_ne!(nonce, nonces.make(NOON, [8; 16]), "each is new");
        for (later_s, good) in [(0, true), (599, true), (600, false)] {
            assert_eq!(nonces.knows(&nonce, NOON.plus_s(later_s)), good, "{later_s}");
        }
        assert!(nonces.knows(&nonce, NOON.minus_s(60)) && !nonces.knows(&nonce, NOON.minus_s(61)));
        assert!(CredentialNonces::new(&[[2; 32], [1; 32]]).knows(&nonce, NOON), "an earlier root");
        assert!(!CredentialNonces::new(&[[2; 32]]).knows(&nonce, NOON));
        let bytes = base64url_decode(&nonce).unwrap();
        for at in 0..bytes.len() {
            let mut bent = bytes.clone();
            bent[at] ^= 1;
            assert!(!nonces.knows(&base64url_encode(&bent), NOON), "{at}");
        }
        for wrong in ["", "AAAA", "not base64!", &base64url_encode(&bytes[..39]), &format!("{nonce}AAAA")] {
            assert!(!nonces.knows(wrong, NOON), "{wrong}");
        }
        assert!(!nonces.knows(&base64url_encode(&[0x7f; 40]), NOON));
    }
}
