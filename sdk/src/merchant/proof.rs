//! A browser's proof of possession, from the header to a value that cannot be used twice.

use std::{
    collections::{HashMap, HashSet},
    sync::Mutex,
};

use super::Merchant;
use crate::{
    error::{Error, ProofError, Refusal},
    protocol::{
        did::Did,
        dpop,
        jose::{PublicKey, Thumbprint, sha256},
    },
    session::NONCE_BUCKET_S,
    store::{Expect, Key, Persisted, StoreError, Write},
    time::UnixTime,
};

/// How far back a proof's `iat` may lie, in seconds: as long as its nonce is good.
pub(super) const IAT_PAST_S: u64 = 2 * NONCE_BUCKET_S;
/// How far ahead: a browser takes its time from our clock, so only seconds can lie between.
pub(super) const IAT_FUTURE_S: u64 = 30;

/// What a proof is checked against: the request as it came in.
#[derive(Clone, Copy, Debug)]
pub struct ProofRequest<'a> {
    /// The text of the one `DPoP` header.
    pub proof: &'a str,
    /// The method of the request.
    pub method: &'a str,
    /// The path (with or without query) that was asked for, as the client sent it.
    pub path: &'a str,
    /// The access token that came with it.
    pub access_token: Option<&'a str>,
}

/// A proof that holds for one request: signature, method, address, time, nonce and token agree. Only
/// [`Merchant::check_proof`] makes one. Whether it was used before is for whoever acts on it to settle.
#[derive(Clone, Debug)]
pub struct BrowserProof {
    pub(super) key: PublicKey,
    pub(super) thumbprint: Thumbprint,
    pub(super) jti: String,
    content_digest: Option<String>,
    /// The last second at which it may have an effect.
    good_until: UnixTime,
}

impl BrowserProof {
    /// The thumbprint of the key (RFC 7638).
    #[must_use]
    pub const fn thumbprint(&self) -> Thumbprint {
        self.thumbprint
    }

    /// The body's digest that the proof names.
    #[must_use]
    pub fn content_digest(&self) -> Option<&str> {
        self.content_digest.as_deref()
    }

    /// Whether the proof names this body.
    ///
    /// # Errors
    /// [`ProofError::ContentDigest`] if it names another, or none although `required`.
    pub fn check_body(&self, body: &[u8], required: bool) -> Result<(), ProofError> {
        match &self.content_digest {
            Some(claim) if dpop::content_digest_matches(claim, body) => Ok(()),
            None if !required => Ok(()),
            _ => Err(ProofError::ContentDigest),
        }
    }

    /// The key as a DID: `did:key` for Ed25519, `did:jwk` for P-256.
    #[must_use]
    pub fn did(&self) -> Did {
        match self.key.algorithm() {
            crate::protocol::jose::Algorithm::EdDsa => Did::key(&self.key),
            _ => Did::jwk(&self.key),
        }
    }

    /// The key as text: the name under which its binding is stored.
    pub(super) fn key_name(&self) -> String {
        self.thumbprint.to_string()
    }

    /// The write that makes this proof good for one effect only: committed together with that effect.
    ///
    /// # Errors
    /// [`ProofError::UseNonce`] if it is too old by now.
    pub(super) fn spent(&self, now: UnixTime) -> Result<Write, Error> {
        self.check_age(now)?;
        // A `jti` is the browser's choice, so it is stored as a digest of a fixed size.
        let sort = crate::protocol::jose::base64url_encode(&sha256(self.jti.as_bytes()));
        let until = self.good_until.plus_s(NONCE_BUCKET_S);
        let key = Key::new(SpentProof::KIND, self.key_name(), sort);
        Ok(super::put(key, &SpentProof {}, Some(until), Expect::Absent)?)
    }

    /// A body may take its time after the headers: a proof that is checked when they arrive and used when the body is
    /// there could otherwise be sent again, with a body that is slower than we remember.
    pub(super) fn check_age(&self, now: UnixTime) -> Result<(), ProofError> {
        if now > self.good_until { Err(ProofError::UseNonce) } else { Ok(()) }
    }
}

/// That a proof was used.
#[derive(serde::Serialize, serde::Deserialize)]
struct SpentProof {}

impl Persisted for SpentProof {
    const KIND: &'static str = "spent_proof";
    const SCHEMA: u16 = 1;
}

/// Whether a conflict means that the proof was used before, rather than that another step came first.
pub(super) fn was_spent(error: &StoreError) -> bool {
    matches!(error, StoreError::Conflict(key) if key.kind == SpentProof::KIND)
}

impl Merchant {
    /// The nonce that the next proof must carry (RFC 9449, section 8).
    #[must_use]
    pub fn nonce(&self) -> String {
        self.0.nonces.current(self.now())
    }

    /// Checks a browser's proof (RFC 9449, 4.3) but for its reuse.
    ///
    /// # Errors
    /// [`ProofError`] with the check that failed; [`ProofError::UseNonce`] if only the nonce is missing or old.
    pub fn check_proof(&self, request: &ProofRequest<'_>) -> Result<BrowserProof, ProofError> {
        let now = self.now();
        // The address is that of the configured origin: what `Host` says steers nothing, and a path such as
        // `//evil.example` is a path, where a link of that text would be an address.
        let mut url = self.0.origin.clone();
        url.set_path(request.path.split(['?', '#']).next().unwrap_or_default());
        let expected = dpop::Expected {
            method: request.method,
            url: &url,
            now,
            iat_past_s: IAT_PAST_S,
            iat_future_s: IAT_FUTURE_S,
            access_token: request.access_token,
        };
        let proof = match dpop::check(request.proof, &expected, &self.0.limits) {
            // A clock that is hours off makes a proof whose time is wrong. Together with no nonce, or an old one, that
            // is no fault yet: the challenge tells the time.
            Err(dpop::DpopError::IssuedAt { .. }) => return Err(ProofError::UseNonce),
            other => other?,
        };
        let dpop::Proof { key, thumbprint, jti, iat, nonce, content_digest, .. } = proof;
        let nonce_until = nonce.and_then(|nonce| self.0.nonces.good_until(&nonce, now)).ok_or(ProofError::UseNonce)?;
        let good_until = nonce_until.min(iat.plus_s(IAT_PAST_S));
        Ok(BrowserProof { key, thumbprint, jti, content_digest, good_until })
    }

    /// Uses up a proof before the merchant's own handler acts on it (unsafe methods). Everywhere and for ever: the
    /// store decides.
    ///
    /// # Errors
    /// [`ProofError::Replayed`] if it was used before, [`ProofError::UseNonce`] if it is too old by now.
    pub async fn spend(&self, proof: &BrowserProof) -> Result<(), Error> {
        let now = self.now();
        match self.0.store.commit(&[proof.spent(now)?], now).await {
            Ok(_) => Ok(()),
            Err(e) if was_spent(&e) => Err(ProofError::Replayed.into()),
            Err(e) => Err(e.into()),
        }
    }

    /// Uses up a proof for reading (safe methods), on this node.
    ///
    /// # Errors
    /// [`ProofError::Replayed`] if this node saw it before; [`ProofError::UseNonce`] if it is too old by now;
    /// [`Refusal::TooMany`] if the key makes more of them than
    /// are remembered: none is forgotten early to make room.
    pub fn look_once(&self, proof: &BrowserProof) -> Result<(), Error> {
        let now = self.now();
        proof.check_age(now)?;
        self.0.replays.insert(&proof.thumbprint, &proof.jti, now)
    }
}

/// Remembers the proofs of reading requests for as long as they could be replayed: two generations, each as long as a
/// proof is good, so that forgetting costs nothing and never comes early.
#[derive(Default)]
pub(super) struct ReplayWindow(Mutex<Generations>);

#[derive(Default)]
struct Generations {
    number: i64,
    current: Seen,
    previous: Seen,
}

#[derive(Default)]
struct Seen {
    proofs: HashSet<[u8; 32]>,
    by_key: HashMap<Thumbprint, u32>,
}

/// Length of a generation, in seconds: longer than any proof is good.
const GENERATION_S: i64 = 180;
/// Reading requests of one key within a generation: about twenty in a second.
const PER_KEY_MAX: u32 = 4_000;
/// Reading requests of all keys within a generation, on one node: bounds the memory to some 100 MB.
const IN_ALL_MAX: usize = 1_000_000;

impl ReplayWindow {
    fn insert(&self, key: &Thumbprint, jti: &str, now: UnixTime) -> Result<(), Error> {
        let mut text = key.as_bytes().to_vec();
        text.extend(jti.as_bytes());
        let proof = sha256(&text);
        let number = now.as_secs().div_euclid(GENERATION_S);
        let mut seen = self.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        match number - seen.number {
            0 => {}
            1 => {
                seen.previous = std::mem::take(&mut seen.current);
                seen.number = number;
            }
            // A clock that went back keeps what it knows; one that went far ahead has outlived it all.
            ahead if ahead > 1 => *seen = Generations { number, ..Generations::default() },
            _ => {}
        }
        if seen.previous.proofs.contains(&proof) || seen.current.proofs.contains(&proof) {
            return Err(ProofError::Replayed.into());
        }
        let retry_s = GENERATION_S.unsigned_abs();
        if seen.current.proofs.len() >= IN_ALL_MAX {
            return Err(Refusal::TooMany { retry_s }.into());
        }
        let count = seen.current.by_key.entry(*key).or_default();
        if *count >= PER_KEY_MAX {
            return Err(Refusal::TooMany { retry_s }.into());
        }
        *count += 1;
        seen.current.proofs.insert(proof);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::{protocol::jose::SigningKey, testing::TestShop};

    #[test]
    fn the_address_of_a_proof_is_ours_whatever_the_path() {
        let shop = TestShop::new();
        let merchant = shop.merchant();
        let key = SigningKey::from_ed25519_seed(&[7; 32]).unwrap();
        let check = |htu: &str, path: &str| {
            let header = json!({"typ": "dpop+jwt", "jwk": key.public_key().to_jwk()}).as_object().unwrap().clone();
            let claims =
                json!({"jti": "1", "htm": "GET", "htu": htu, "iat": merchant.now(), "nonce": merchant.nonce()});
            let proof = key.sign_jws(&header, &claims).unwrap();
            merchant.check_proof(&ProofRequest { proof: &proof, method: "GET", path, access_token: None }).is_ok()
        };
        for (htu, path) in [
            ("https://shop.example/cart", "/cart"),
            ("https://shop.example/cart", "/cart?tea=1&to=https://other.example/"),
            ("https://shop.example//other.example/cart", "//other.example/cart"),
        ] {
            assert!(check(htu, path), "{htu} {path}");
        }
        for (htu, path) in [
            ("https://other.example/cart", "//other.example/cart"),
            ("https://other.example/cart", "https://other.example/cart"),
            ("https://shop.example/cart", "/carts"),
        ] {
            assert!(!check(htu, path), "{htu} {path}");
        }
    }
}
