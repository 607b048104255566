//! A session that a browser carries as a cookie: for shops that render everything on the server, and say so.
//!
//! It is a session of its own, of the same key as the one that asked for it: it knows what that one knew, learns nothing
//! more, and ends with the key. A cookie is ambient: whoever has the text has the session. So it begins only after somebody
//! was recognised, and where the browser can bind it to the device (W3C Device Bound Session Credentials), it is worth ten
//! minutes at a time.

use aws_lc_rs::{constant_time::verify_slices_are_equal, hmac};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{AccessToken, SessionId};
use crate::{
    protocol::jose::{base64url_decode, base64url_encode},
    time::UnixTime,
};

/// How long the cookie of a device that was bound lives until the device has to prove itself again, in seconds.
pub const BOUND_S: u64 = 10 * 60;
/// How long a secret that was replaced, or that a browser has just dropped, still counts, in seconds: a request that was
/// under way has it.
pub const OVERLAP_S: u64 = 60;
/// How long a challenge can be answered, in seconds: the one that comes with a cookie can still be when that is over.
pub const CHALLENGE_S: u64 = BOUND_S + OVERLAP_S;

/// What a browser carries: the name of a session, and 256 random bits that open it. The store holds their digest alone.
#[derive(Clone, Debug)]
pub struct CookieToken {
    session: SessionId,
    secret: AccessToken,
}

/// A text that is no such token.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a cookie of ours: 22 and 43 characters of base64url with a dot between them")]
pub struct NotACookie;

impl CookieToken {
    /// The token of a session that these random bytes make.
    #[must_use]
    pub fn from_random(session: SessionId, bytes: [u8; 32]) -> Self {
        Self { session, secret: AccessToken::from_random(bytes) }
    }

    /// Which session it opens.
    #[must_use]
    pub const fn session(&self) -> &SessionId {
        &self.session
    }

    /// The digest of the secret: what is stored of it.
    #[must_use]
    pub fn digest(&self) -> String {
        self.secret.digest()
    }

    /// As it stands in the cookie.
    #[must_use]
    pub fn reveal(&self) -> String {
        format!("{}.{}", self.session.as_str(), self.secret.reveal())
    }
}

impl std::str::FromStr for CookieToken {
    type Err = NotACookie;

    fn from_str(text: &str) -> Result<Self, NotACookie> {
        let (session, secret) = text.split_once('.').ok_or(NotACookie)?;
        let bytes =
            base64url_decode(secret).ok().and_then(|bytes| <[u8; 32]>::try_from(bytes).ok()).ok_or(NotACookie)?;
        Ok(Self::from_random(session.parse().map_err(|_| NotACookie)?, bytes))
    }
}

/// What is stored of a cookie, in the record of its session.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cookie {
    /// The digest of the secret.
    digest: String,
    /// The last second at which it counts; none for as long as the session lasts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    until: Option<UnixTime>,
    /// The digest of the secret before it, and the last second at which that counts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    earlier: Option<(String, UnixTime)>,
    /// The device that it is bound to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    device: Option<DeviceKey>,
}

/// The key of a device, and how often it proved itself: a challenge is for one proof.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct DeviceKey {
    jwk: Value,
    proofs: u64,
}

/// The device is bound already: nobody puts another in its place.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("this session is bound to a device already")]
pub struct AlreadyBound;

impl Cookie {
    /// A cookie that lasts as long as its session.
    #[must_use]
    pub fn new(token: &CookieToken) -> Self {
        Self { digest: token.digest(), until: None, earlier: None, device: None }
    }

    /// A cookie for a browser whose cookie before it was bound to a device: it is never worth more than ten minutes, unless
    /// a device is bound again.
    #[must_use]
    pub fn to_be_bound(token: &CookieToken, now: UnixTime) -> Self {
        Self { until: Some(now.plus_s(BOUND_S + OVERLAP_S)), ..Self::new(token) }
    }

    /// Whether this token opens the session now.
    #[must_use]
    pub fn is_opened_by(&self, token: &CookieToken, now: UnixTime) -> bool {
        let digest = token.digest();
        let current = digest == self.digest && self.until.is_none_or(|until| now <= until);
        current || self.earlier.as_ref().is_some_and(|(earlier, until)| digest == *earlier && now <= *until)
    }

    /// Whether it is worth ten minutes at a time.
    #[must_use]
    pub const fn is_short(&self) -> bool {
        self.until.is_some()
    }

    /// The key of the device that it is bound to, as a JWK.
    #[must_use]
    pub fn device(&self) -> Option<&Value> {
        self.device.as_ref().map(|device| &device.jwk)
    }

    /// How often a device proved itself: what a challenge is made for.
    #[must_use]
    pub fn proofs(&self) -> u64 {
        self.device.as_ref().map_or(0, |device| device.proofs)
    }

    /// A device was bound: from now on the cookie is worth ten minutes at a time.
    ///
    /// # Errors
    /// [`AlreadyBound`].
    pub fn bound(self, jwk: Value, next: &CookieToken, now: UnixTime) -> Result<Self, AlreadyBound> {
        match self.device {
            Some(_) => Err(AlreadyBound),
            None => Ok(Self { device: Some(DeviceKey { jwk, proofs: 0 }), ..self }.renewed(next, now)),
        }
    }

    /// The device proved itself: the next secret takes the place of this one, and all challenges so far are void.
    #[must_use]
    pub fn renewed(self, next: &CookieToken, now: UnixTime) -> Self {
        let overlap = now.plus_s(OVERLAP_S);
        let last = self.until.map_or(overlap, |until| until.min(overlap));
        Self {
            digest: next.digest(),
            until: Some(now.plus_s(BOUND_S + OVERLAP_S)),
            earlier: Some((self.digest, last)),
            device: self.device.map(|device| DeviceKey { proofs: device.proofs.saturating_add(1), ..device }),
        }
    }
}

/// Makes and knows challenges without storing any: an end and a MAC over it, the session, and how often its device proved
/// itself.
pub struct Challenges {
    /// The key that makes challenges first, then those of earlier roots.
    keys: Vec<hmac::Key>,
}

impl std::fmt::Debug for Challenges {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Challenges([redacted])")
    }
}

/// Bytes of the MAC that stand in a challenge.
const MAC_BYTES: usize = 16;

impl Challenges {
    /// Challenges under these keys, the current one first.
    #[must_use]
    pub fn new(keys: &[[u8; 32]]) -> Self {
        Self { keys: keys.iter().map(|key| hmac::Key::new(hmac::HMAC_SHA256, key)).collect() }
    }

    /// The challenge for the next proof of a session's device.
    #[must_use]
    pub fn next(&self, session: &SessionId, proofs: u64, now: UnixTime) -> String {
        let until = now.plus_s(CHALLENGE_S).as_secs();
        let mut bytes = until.to_be_bytes().to_vec();
        bytes.extend(self.keys.first().map(|key| mac_of(key, session, proofs, until)).unwrap_or_default());
        base64url_encode(&bytes)
    }

    /// Whether a challenge was made for the next proof of this session's device, not too long ago.
    #[must_use]
    pub fn knows(&self, challenge: &str, session: &SessionId, proofs: u64, now: UnixTime) -> bool {
        let Ok(bytes) = base64url_decode(challenge) else { return false };
        let Some((until, mac)) = bytes.split_first_chunk::<8>() else { return false };
        let until = i64::from_be_bytes(*until);
        let fresh = now.as_secs() <= until && until <= now.plus_s(CHALLENGE_S).as_secs();
        let ours = |key| verify_slices_are_equal(&mac_of(key, session, proofs, until), mac).is_ok();
        fresh && self.keys.iter().any(ours)
    }
}

fn mac_of(key: &hmac::Key, session: &SessionId, proofs: u64, until: i64) -> Vec<u8> {
    // Two numbers of a fixed size before the only text.
    let mut text = until.to_be_bytes().to_vec();
    text.extend(proofs.to_be_bytes());
    text.extend(session.as_str().as_bytes());
    hmac::sign(key, &text).as_ref().iter().take(MAC_BYTES).copied().collect()
}

/// The name under which the session of a cookie is stored. No access token has this digest: they have no dot.
#[must_use]
pub fn record_name(session: &SessionId) -> String {
    format!("cookie.{}", session.as_str())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::session::token_digest;

    const NOON: UnixTime = UnixTime::from_secs(1_795_000_000);

    fn token(secret: u8) -> CookieToken {
        CookieToken::from_random(SessionId::from_random([1; 16]), [secret; 32])
    }

    #[test]
    fn a_token_is_read_as_it_is_written() {
        let text = token(2).reveal();
        assert_eq!(text.len(), 66);
        let read: CookieToken = text.parse().unwrap();
        assert_eq!((read.reveal(), read.digest()), (text.clone(), token(2).digest()));
        assert_eq!(token(2).digest(), token_digest(token(2).secret.reveal()));
        assert!(!format!("{:?}", token(2)).contains(token(2).secret.reveal()));
        for bad in
            ["", ".", &text[1..], &text[..65], &format!("{text}A"), &text.replace('.', "A"), &text.replace('.', "..")]
        {
            assert_eq!(bad.parse::<CookieToken>().unwrap_err(), NotACookie, "{bad}");
        }
    }

    #[test]
    fn a_long_cookie_counts_until_a_device_is_bound() {
        let cookie = Cookie::new(&token(1));
        assert!(cookie.is_opened_by(&token(1), NOON.plus_s(1_000_000)) && !cookie.is_opened_by(&token(2), NOON));
        let bound = cookie.bound(json!({}), &token(2), NOON).unwrap();
        for (later_s, old, new) in
            [(0, true, true), (60, true, true), (61, false, true), (660, false, true), (661, false, false)]
        {
            let at = NOON.plus_s(later_s);
            assert_eq!((bound.is_opened_by(&token(1), at), bound.is_opened_by(&token(2), at)), (old, new), "{later_s}");
        }
        assert_eq!(bound.proofs(), 1);
        assert_eq!(bound.clone().bound(json!({}), &token(3), NOON), Err(AlreadyBound));
        let renewed = bound.renewed(&token(3), NOON.plus_s(650));
        assert!(!renewed.is_opened_by(&token(1), NOON.plus_s(650)), "only the one before");
        assert!(renewed.is_opened_by(&token(2), NOON.plus_s(660)), "no longer than it would have counted");
        assert!(!renewed.is_opened_by(&token(2), NOON.plus_s(661)));
        assert!(renewed.is_opened_by(&token(3), NOON.plus_s(650 + 660)) && renewed.is_short());
        assert_eq!(renewed.proofs(), 2);
    }

    #[test]
    fn what_was_bound_is_never_long_again() {
        let next = Cookie::to_be_bound(&token(1), NOON);
        assert!(next.is_short() && next.is_opened_by(&token(1), NOON.plus_s(660)));
        assert!(!next.is_opened_by(&token(1), NOON.plus_s(661)));
        assert!(next.bound(json!({}), &token(2), NOON).is_ok());
    }

    #[test]
    fn a_challenge_is_for_one_proof_of_one_session() {
        let (mine, other) = (SessionId::from_random([1; 16]), SessionId::from_random([2; 16]));
        let challenges = Challenges::new(&[[1; 32]]);
        let challenge = challenges.next(&mine, 3, NOON);
        assert_eq!(challenge.len(), 32);
        for (session, proofs, later_s, known) in [
            (&mine, 3, 0, true),
            (&mine, 3, 660, true),
            (&mine, 3, 661, false),
            (&mine, 4, 0, false),
            (&mine, 2, 0, false),
            (&other, 3, 0, false),
        ] {
            assert_eq!(
                challenges.knows(&challenge, session, proofs, NOON.plus_s(later_s)),
                known,
                "{proofs} {later_s}"
            );
        }
        assert!(!challenges.knows(&challenge, &mine, 3, NOON.minus_s(1)), "made in the future");
        assert!(!Challenges::new(&[[2; 32]]).knows(&challenge, &mine, 3, NOON));
        assert!(Challenges::new(&[[2; 32], [1; 32]]).knows(&challenge, &mine, 3, NOON), "an earlier root");
        for bad in ["", "AAAA", "not base64!", &base64url_encode(&NOON.as_secs().to_be_bytes())] {
            assert!(!challenges.knows(bad, &mine, 3, NOON), "{bad}");
        }
    }
}
