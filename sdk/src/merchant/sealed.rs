//! What lies sealed: a value in a record, for that record alone, and what a stranger carries and only we read. Each has the name
//! of what it is for, under which nothing else opens; in clear it is wiped from memory once it was read.

use serde::{Serialize, de::DeserializeOwned};
use zeroize::Zeroizing;

use super::Merchant;
use crate::{error::Error, store::Key};

impl Merchant {
    /// Seals bytes to the record of a key.
    pub(super) fn seal(&self, purpose: &str, key: &Key, plaintext: &[u8]) -> String {
        self.0.keys.seal(purpose, key_text(key).as_bytes(), plaintext, self.random())
    }

    /// Opens them.
    ///
    /// # Errors
    /// [`Error::Misuse`] if they were sealed under a root that is not in the keys any more, or for another record.
    pub(super) fn open(&self, purpose: &str, key: &Key, sealed: &str) -> Result<Zeroizing<Vec<u8>>, Error> {
        Ok(Zeroizing::new(self.0.keys.open(purpose, key_text(key).as_bytes(), sealed)?))
    }

    /// Seals a value to the record of a key.
    pub(super) fn seal_value(&self, purpose: &str, key: &Key, value: &impl Serialize) -> Result<String, Error> {
        Ok(self.seal(purpose, key, &text(purpose, value)?))
    }

    /// Opens it.
    ///
    /// # Errors
    /// As [`open`](Self::open), and if it is none of these values.
    pub(super) fn open_value<T: DeserializeOwned>(&self, purpose: &str, key: &Key, sealed: &str) -> Result<T, Error> {
        // Where it stops to be one of these, and not by what: the error quotes what was sealed.
        let unread = |e: serde_json::Error| {
            Error::Misuse(format!(
                "what was sealed as {purpose:?} cannot be read back: {:?} error at {}",
                e.classify(),
                e.column()
            ))
        };
        serde_json::from_slice(&self.open(purpose, key, sealed)?).map_err(unread)
    }

    /// Seals a value that its holder, and nobody else, brings back.
    pub(super) fn seal_token(&self, purpose: &str, holder: &str, value: &impl Serialize) -> Result<String, Error> {
        Ok(self.0.keys.seal(purpose, holder.as_bytes(), &text(purpose, value)?, self.random()))
    }

    /// Opens what a stranger brings; none if it is not ours, or another holder's.
    pub(super) fn open_token<T: DeserializeOwned>(&self, purpose: &str, holder: &str, token: &str) -> Option<T> {
        let text = Zeroizing::new(self.0.keys.open(purpose, holder.as_bytes(), token).ok()?);
        serde_json::from_slice(&text).ok()
    }
}

fn text(purpose: &str, value: &impl Serialize) -> Result<Zeroizing<Vec<u8>>, Error> {
    let unwritten = |e| Error::Misuse(format!("what is sealed as {purpose:?} cannot be written: {e}"));
    serde_json::to_vec(value).map(Zeroizing::new).map_err(unwritten)
}

/// The text of a key that seals a secret to its record.
fn key_text(key: &Key) -> String {
    format!("{}\0{}\0{}", key.kind, key.partition, key.sort)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::TestShop;

    #[test]
    fn what_is_sealed_opens_where_it_was_sealed_and_nowhere_else() {
        let (shop, key) = (TestShop::new(), |sort: &str| Key::new("note", "p", sort));
        let merchant = shop.merchant();
        let sealed = merchant.seal_value("note", &key("1"), &["a", "b"]).unwrap();
        assert_eq!(merchant.open_value::<Vec<String>>("note", &key("1"), &sealed).unwrap(), ["a", "b"]);
        assert!(merchant.open_value::<Vec<String>>("note", &key("2"), &sealed).is_err(), "another record");
        assert!(merchant.open_value::<Vec<String>>("other", &key("1"), &sealed).is_err(), "another purpose");
        let unread = merchant.open_value::<u32>("note", &key("1"), &sealed).unwrap_err();
        assert_eq!(unread.code(), "misuse", "{unread}");

        let token = merchant.seal_token("note", "holder", &7).unwrap();
        assert_eq!(merchant.open_token::<u32>("note", "holder", &token), Some(7));
        for (purpose, holder, token) in [
            ("other", "holder", token.as_str()),
            ("note", "another", &token),
            ("note", "holder", &token[1..]),
            ("note", "holder", ""),
        ] {
            assert_eq!(merchant.open_token::<u32>(purpose, holder, token), None, "{purpose} {holder}");
        }
    }
}
