//! What a page that lies open wants to know of its session.

use super::{Recognised, binding_key, of_customer, session_key};
use crate::{
    customer::Binding,
    error::Error,
    history::HistoryEntry,
    merchant::{Changes, Merchant},
    protocol::jose::sha256,
    session::SessionRecord,
    store::Persisted,
};

/// How many notices are counted: more is many.
const NOTICES_MAX: usize = 20;

impl Recognised {
    /// Whether the session still stands: neither over nor ended, and its key not signed out. Looking is no use of it.
    ///
    /// # Errors
    /// [`Error::Unavailable`] if the store does not answer.
    pub async fn still_stands(&self) -> Result<bool, Error> {
        let now = self.merchant.now();
        let keys = [session_key(&self.token_digest), binding_key(&self.session.key)];
        let mut found = self.merchant.0.store.load(&keys, now).await?.into_iter().flatten();
        let (Some(stored), Some(bound)) = (found.next(), found.next()) else { return Ok(false) };
        let (session, binding): (SessionRecord, Binding) = (stored.read()?, bound.read()?);
        Ok(session.id == self.session.id && session.is_carried_by(&binding) && !session.is_over(now))
    }

    /// How many things happened to the record since this session began, counted up to 20: what its customer may want to
    /// read in the [history](crate::merchant::Customer::history).
    ///
    /// # Errors
    /// [`Error::Unavailable`] if the store does not answer.
    pub async fn notices(&self) -> Result<usize, Error> {
        let prefix = of_customer(HistoryEntry::KIND, self.id());
        let newest = self.merchant.0.store.scan(&prefix, None, NOTICES_MAX, self.merchant.now()).await?;
        let mut notices = 0;
        for (_, stored) in newest {
            notices += usize::from(stored.read::<HistoryEntry>()?.at > self.session.since);
        }
        Ok(notices)
    }

    /// A digest of the key that the session belongs to: counts what one browser does, and is stored nowhere.
    #[must_use]
    pub fn key_digest(&self) -> [u8; 32] {
        sha256(self.session.key.as_bytes())
    }

    /// Wakes when this session may have ended on this node: a hint, as [`Merchant::changes`] gives.
    #[must_use]
    pub fn changes(&self) -> Changes {
        self.merchant.changes_of(&self.session.key)
    }
}

impl Merchant {
    /// Wakes the pages of a key that was signed out or forgotten. A credential that was taken away shows in its list at once.
    pub(in crate::merchant) fn tell_key(&self, key: &str) {
        if key.starts_with("rc.") {
            self.lists_changed();
        }
        // Nobody waiting is no error.
        let _ = self.0.changes.send(key.to_owned());
    }
}
