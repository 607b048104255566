//! A visit: an opaque token that only works together with the key it was made for (RFC 9449), and the nonces that say
//! when a proof was made.

use aws_lc_rs::{constant_time::verify_slices_are_equal, hmac};
use serde::{Deserialize, Serialize};

use crate::{
    customer::{Binding, BindingName, CustomerId, Rung},
    protocol::jose::{base64url_decode, base64url_encode, sha256},
    store::Persisted,
    time::UnixTime,
};

pub mod cookie;

#[doc = include_str!("session/lighter_proofs.md")]
pub mod lighter_proofs {}

/// How long a session lives without being used, in seconds.
pub const IDLE_S: u64 = 7 * 24 * 3600;
/// How long a session lives at most, in seconds.
pub const LIFETIME_S: u64 = 30 * 24 * 3600;
/// How often the last use is written down, in seconds: a write for every page view would be the price of nothing.
pub const TOUCH_S: u64 = 5 * 60;
/// The length of a nonce's bucket, in seconds: a nonce is good for one to two of them.
pub const NONCE_BUCKET_S: u64 = 60;

/// An access token as the browser holds it: 256 random bits. The store holds its digest alone.
#[derive(Clone)]
pub struct AccessToken(String);

impl AccessToken {
    /// The token that these random bytes make.
    #[must_use]
    pub fn from_random(bytes: [u8; 32]) -> Self {
        Self(base64url_encode(&bytes))
    }

    /// As it goes into `Authorization: DPoP`.
    #[must_use]
    pub fn reveal(&self) -> &str {
        &self.0
    }

    /// The name under which its session is stored.
    #[must_use]
    pub fn digest(&self) -> String {
        token_digest(&self.0)
    }
}

impl std::fmt::Debug for AccessToken {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("AccessToken([redacted])")
    }
}

/// The name under which the session of a token is stored.
#[must_use]
pub fn token_digest(token: &str) -> String {
    base64url_encode(&sha256(token.as_bytes()))
}

/// A session's name, for lists and revocation: it opens nothing.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct SessionId(String);

impl SessionId {
    /// The name that these random bytes make.
    #[must_use]
    pub fn from_random(bytes: [u8; 16]) -> Self {
        Self(base64url_encode(&bytes))
    }

    /// As it stands in a URL.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// A text that is not a session's name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a session id: 22 characters of base64url")]
pub struct NotASessionId;

impl std::str::FromStr for SessionId {
    type Err = NotASessionId;

    fn from_str(text: &str) -> Result<Self, NotASessionId> {
        if text.len() == 22 && base64url_decode(text).is_ok() { Ok(Self(text.to_owned())) } else { Err(NotASessionId) }
    }
}

/// A session as it is stored, under the digest of its token.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SessionRecord {
    /// Its name.
    pub id: SessionId,
    /// Whose it is.
    pub customer: CustomerId,
    /// The thumbprint of the key whose proofs it needs.
    pub key: String,
    /// How the customer proved to be themselves: the strongest way since it began.
    pub rung: Rung,
    /// When they did.
    #[serde(default)]
    pub rung_at: Option<UnixTime>,
    /// By which binding they did, if it was more than the browser's key.
    #[serde(default)]
    pub by: Option<BindingName>,
    /// Whether it began by a wallet on another device, which may have been somebody else's.
    #[serde(default)]
    pub across_devices: bool,
    /// When it began.
    pub since: UnixTime,
    /// When it was last seen, to five minutes.
    pub last_seen: UnixTime,
    /// When the wallet answered by which it began, if that was on the same device.
    #[serde(default)]
    pub proved_at: Option<UnixTime>,
    /// The cookie that opens it, in place of a token and proofs: for shops that chose that.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cookie: Option<cookie::Cookie>,
}

impl SessionRecord {
    /// When it ends if it is not used again.
    #[must_use]
    pub fn expires_at(&self) -> UnixTime {
        self.last_seen.plus_s(IDLE_S).min(self.since.plus_s(LIFETIME_S))
    }

    /// Whether it is over. The store forgets it then; this holds also where a cache has it.
    #[must_use]
    pub fn is_over(&self, now: UnixTime) -> bool {
        now >= self.expires_at()
    }

    /// Whether the binding of its key carries it still.
    #[must_use]
    pub fn is_carried_by(&self, binding: &Binding) -> bool {
        self.customer == binding.customer
            && !binding.locked
            && binding.opened_at.is_none_or(|opened| self.since >= opened)
    }

    /// Whether the customer showed something of this rung at least not longer ago than `age_s`. The time is that of the
    /// strongest that was shown; a browser's key by itself leaves none.
    #[must_use]
    pub fn is_sure(&self, rung: Rung, age_s: u64, now: UnixTime) -> bool {
        // A clock that was set back proves nothing: a proof is not of the future.
        self.rung >= rung && self.rung_at.is_some_and(|at| at <= now && now.since_s(at) <= age_s)
    }

    /// The session used now, if that is worth writing down.
    #[must_use]
    pub fn touched(&self, now: UnixTime) -> Option<Self> {
        (now.since_s(self.last_seen) >= TOUCH_S).then(|| Self { last_seen: now, ..self.clone() })
    }
}

impl Persisted for SessionRecord {
    const KIND: &'static str = "session";
    const SCHEMA: u16 = 1;
}

/// Makes and knows the nonces of DPoP proofs (RFC 9449, section 8) without storing any: a nonce is a time bucket and
/// its MAC, so every node with the same root knows it, also after a restart.
pub struct Nonces {
    /// The key that makes nonces first, then those of earlier roots.
    keys: Vec<hmac::Key>,
}

impl std::fmt::Debug for Nonces {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Nonces([redacted])")
    }
}

/// Bytes of the MAC that stand in a nonce.
const MAC_BYTES: usize = 16;

impl Nonces {
    /// Nonces under these keys, the current one first.
    #[must_use]
    pub fn new(keys: &[[u8; 32]]) -> Self {
        Self { keys: keys.iter().map(|key| hmac::Key::new(hmac::HMAC_SHA256, key)).collect() }
    }

    /// The nonce for proofs made now.
    #[must_use]
    pub fn current(&self, now: UnixTime) -> String {
        self.keys.first().map(|key| nonce(key, bucket(now))).unwrap_or_default()
    }

    /// Whether a nonce was made in this bucket of time or the one before.
    #[must_use]
    pub fn knows(&self, presented: &str, now: UnixTime) -> bool {
        self.good_until(presented, now).is_some()
    }

    /// The last second at which a nonce is known; none if it is not known now.
    #[must_use]
    pub fn good_until(&self, presented: &str, now: UnixTime) -> Option<UnixTime> {
        let bytes = base64url_decode(presented).ok()?;
        let (stamp, mac) = bytes.split_first_chunk::<8>()?;
        let made = i64::from_be_bytes(*stamp);
        let fresh = made == bucket(now) || made == bucket(now) - 1;
        let ours = fresh && self.keys.iter().any(|key| verify_slices_are_equal(&mac_of(key, made), mac).is_ok());
        let begun = UnixTime::from_secs(made.saturating_mul(i64::try_from(NONCE_BUCKET_S).unwrap_or(60)));
        ours.then(|| begun.plus_s(2 * NONCE_BUCKET_S - 1))
    }
}

fn bucket(now: UnixTime) -> i64 {
    now.as_secs().div_euclid(i64::try_from(NONCE_BUCKET_S).unwrap_or(60))
}

fn nonce(key: &hmac::Key, bucket: i64) -> String {
    let mut bytes = bucket.to_be_bytes().to_vec();
    bytes.extend(mac_of(key, bucket));
    base64url_encode(&bytes)
}

fn mac_of(key: &hmac::Key, bucket: i64) -> Vec<u8> {
    let tag = hmac::sign(key, &bucket.to_be_bytes());
    tag.as_ref().iter().take(MAC_BYTES).copied().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOON: UnixTime = UnixTime::from_secs(1_795_000_020);

    #[test]
    fn a_nonce_is_good_for_one_to_two_buckets() {
        let nonces = Nonces::new(&[[1; 32]]);
        let nonce = nonces.current(NOON);
        let begun = UnixTime::from_secs(bucket(NOON) * 60);
        for (later_s, good) in [(0, true), (59, true), (119, true), (120, false), (3600, false)] {
            assert_eq!(nonces.knows(&nonce, begun.plus_s(later_s)), good, "{later_s}");
            let until = nonces.good_until(&nonce, begun.plus_s(later_s));
            assert_eq!(until, good.then(|| begun.plus_s(119)), "{later_s}");
        }
        assert!(!nonces.knows(&nonce, begun.minus_s(1)), "made in the future");
    }

    #[test]
    fn only_our_nonces_are_known() {
        let nonces = Nonces::new(&[[1; 32]]);
        assert!(!Nonces::new(&[[2; 32]]).knows(&nonces.current(NOON), NOON));
        assert!(Nonces::new(&[[2; 32], [1; 32]]).knows(&nonces.current(NOON), NOON), "an earlier root");
        let mut bytes = base64url_decode(&nonces.current(NOON)).unwrap();
        bytes[7] ^= 1;
        assert!(!nonces.knows(&base64url_encode(&bytes), NOON));
        for bad in ["", "AAAA", "not base64!", &base64url_encode(&[0; 8])] {
            assert!(!nonces.knows(bad, NOON), "{bad}");
        }
    }

    #[test]
    fn a_sessions_name_is_read_as_it_is_written() {
        let id = SessionId::from_random([0xab; 16]);
        assert_eq!(id.as_str().parse(), Ok(id.clone()));
        for bad in ["", "current", "\0", "AAAAAAAAAAAAAAAAAAAAA", "AAAAAAAAAAAAAAAAAAAAAAA", "AAAAAAAAAAAAAAAAAAAAA="] {
            assert_eq!(bad.parse::<SessionId>(), Err(NotASessionId), "{bad}");
        }
    }

    #[test]
    fn a_session_ends_idle_or_old() {
        let session = SessionRecord {
            id: SessionId::from_random([2; 16]),
            customer: CustomerId::from_random([1; 16]),
            key: "k".into(),
            rung: Rung::BrowserKey,
            rung_at: None,
            by: None,
            across_devices: false,
            since: NOON,
            last_seen: NOON,
            proved_at: None,
            cookie: None,
        };
        assert!(!session.is_over(NOON.plus_s(IDLE_S - 1)));
        assert!(session.is_over(NOON.plus_s(IDLE_S)));
        assert_eq!(session.touched(NOON.plus_s(TOUCH_S - 1)), None);
        let mut used = session;
        let mut now = NOON;
        while now < NOON.plus_s(LIFETIME_S) {
            assert!(!used.is_over(now));
            used = used.touched(now).unwrap_or(used);
            now = now.plus_s(IDLE_S / 2);
        }
        assert!(used.is_over(now), "a session ends at its lifetime, however much it is used");
    }
}
