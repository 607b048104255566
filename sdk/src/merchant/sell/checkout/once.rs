//! What was said under a key: saying it again is saying it once, and saying something else under it is refused.

use serde::{Deserialize, Serialize};

use super::checkout_key;
use crate::{
    checkout::CheckoutId,
    customer::CustomerId,
    error::{Error, Refusal},
    merchant::{Merchant, put},
    names::is_visible,
    protocol::jose::{base64url_encode, sha256},
    store::{Expect, Key, Persisted, Prefix, Stored, Write},
    time::UnixTime,
};

/// How long a key is remembered, in seconds.
const KEY_S: u64 = 24 * 3600;
/// The longest key, in bytes.
const KEY_BYTES_MAX: usize = 128;
/// What digests what was said.
const CONTENT: &str = "checkout content";

/// A key that a caller makes for one act, so that repeating the act, after an answer that was lost, does it once
/// (`Idempotency-Key`): 1 to 128 visible ASCII characters, remembered for a day, and each caller's own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IdempotencyKey(String);

/// A text that is no key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a key is 1 to {KEY_BYTES_MAX} visible ASCII characters")]
pub struct NotAnIdempotencyKey;

impl std::str::FromStr for IdempotencyKey {
    type Err = NotAnIdempotencyKey;

    fn from_str(text: &str) -> Result<Self, NotAnIdempotencyKey> {
        if is_visible(text, KEY_BYTES_MAX) { Ok(Self(text.to_owned())) } else { Err(NotAnIdempotencyKey) }
    }
}

/// That something was said under a key.
#[derive(Serialize, Deserialize)]
struct Said {
    checkout: CheckoutId,
    /// A keyed digest of what was said.
    content: String,
}

impl Persisted for Said {
    const KIND: &'static str = "idempotency_key";
    const SCHEMA: u16 = 1;
}

/// An act and the key that makes it one.
#[derive(Clone)]
pub(super) struct Once {
    key: Key,
    /// Digests of what is said, under the current root secret first.
    content: Vec<String>,
}

impl Once {
    /// `principal` says this under a key.
    pub(super) fn new(merchant: &Merchant, principal: &str, key: &IdempotencyKey, said: &impl Serialize) -> Self {
        // It may hold an address: digested under a key, and forgotten.
        let text = zeroize::Zeroizing::new(serde_json::to_string(said).unwrap_or_default());
        let digests = merchant.0.keys.derive_all(CONTENT, text.as_bytes());
        let key = Key::new(Said::KIND, principal, base64url_encode(&sha256(key.0.as_bytes())));
        Self { key, content: digests.iter().map(|digest| base64url_encode(digest)).collect() }
    }

    /// The write that remembers it, for the commit of the act.
    pub(super) fn write(&self, checkout: &CheckoutId, now: UnixTime) -> Result<Write, Error> {
        let content = self.content.first().cloned().unwrap_or_default();
        let said = Said { checkout: checkout.clone(), content };
        Ok(put(self.key.clone(), &said, Some(now.plus_s(KEY_S)), Expect::Absent)?)
    }

    /// Which checkout the same was said about before, by what lies under the key.
    fn found(&self, stored: Option<Stored>) -> Result<Option<CheckoutId>, Error> {
        let Some(stored) = stored else { return Ok(None) };
        let said: Said = stored.read()?;
        if self.content.contains(&said.content) { Ok(Some(said.checkout)) } else { Err(Refusal::KeyUsed.into()) }
    }
}

impl Merchant {
    /// Which checkout this was said about before, if it was.
    ///
    /// # Errors
    /// [`Refusal::KeyUsed`] if something else was said under the key.
    pub(super) async fn said_before(&self, once: &Once) -> Result<Option<CheckoutId>, Error> {
        once.found(self.load_one(&once.key).await?)
    }

    /// Whether this was said before, and the checkout that it is about, as they are at one moment.
    ///
    /// # Errors
    /// [`Refusal::KeyUsed`] if something else was said under the key.
    pub(super) async fn said_of(&self, once: &Once, id: &CheckoutId) -> Result<(bool, Option<Stored>), Error> {
        let mut found = self.0.store.load(&[once.key.clone(), checkout_key(id)], self.now()).await?.into_iter();
        let was_said = once.found(found.next().flatten())?.is_some();
        Ok((was_said, found.next().flatten()))
    }
}

/// The keys under which a customer said something.
pub(in crate::merchant) fn said_by(customer: &CustomerId) -> Prefix {
    Prefix { kind: Said::KIND, partition: customer.as_str().to_owned(), sort: String::new() }
}
