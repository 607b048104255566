//! Queues: what somebody has to look at by themselves, in shards over which commits spread, and by the time at which it is
//! due. Walking one takes a page at a time, so that nothing has to fit into memory.

use std::vec;

pub(super) use crate::store::{by_time, named, newest_first};
use crate::{
    error::Error,
    merchant::Merchant,
    store::{self, Key, Persisted, Prefix, Stored, Version, due_at},
    time::UnixTime,
};

/// How many shards the queues have: workers go over them, and commits spread over them.
pub(super) const SHARDS: u8 = 8;
/// How many records are looked at in one go.
pub(super) const PAGE: usize = 100;

/// The shard of an order, a checkout or a customer.
pub(super) fn shard_of(id: &str) -> String {
    store::shard_of(id, SHARDS)
}

pub(super) fn shards() -> impl DoubleEndedIterator<Item = String> {
    store::shards(SHARDS)
}

impl Merchant {
    /// All entries of a queue.
    pub(super) fn queue(&self, kind: &'static str) -> Walk<'_> {
        self.over(shards().map(|partition| Prefix { kind, partition, sort: String::new() }).collect())
    }

    /// The entries of a queue that are due by now. One whose time cannot be read is due: it must not lie there for ever.
    pub(super) fn due(&self, kind: &'static str) -> Walk<'_> {
        Walk { until: Some(self.now()), ..self.queue(kind) }
    }

    /// All records that are named so.
    pub(super) fn all_in(&self, named: Prefix) -> Walk<'_> {
        self.over(vec![named])
    }

    fn over(&self, all: Vec<Prefix>) -> Walk<'_> {
        Walk { merchant: self, rest: all.into_iter(), at: None, page: Vec::new().into_iter(), after: None, until: None }
    }
}

/// A walk over records, in the order of their names within each shard.
pub(super) struct Walk<'a> {
    merchant: &'a Merchant,
    rest: vec::IntoIter<Prefix>,
    /// Where more pages may come from.
    at: Option<Prefix>,
    page: vec::IntoIter<(Key, Stored)>,
    after: Option<String>,
    until: Option<UnixTime>,
}

impl Walk<'_> {
    /// The next record that can be read, with its version. One that cannot is told in the log: it must not keep the others.
    pub(super) async fn next_of<T: Persisted>(&mut self) -> Result<Option<(Key, T, Version)>, Error> {
        while let Some((key, stored)) = self.next().await? {
            match stored.read() {
                Ok(read) => return Ok(Some((key, read, stored.version))),
                Err(error) => tracing::error!(kind = key.kind, code = error.code(), "an entry cannot be read"),
            }
        }
        Ok(None)
    }

    /// The next record; none at the end. What is due waits for the next program once the shop closes.
    pub(super) async fn next(&mut self) -> Result<Option<(Key, Stored)>, Error> {
        if self.until.is_some() && self.merchant.is_closing() {
            return Ok(None);
        }
        loop {
            if let Some((key, stored)) = self.page.next() {
                let is_later = due_at(&key.sort).zip(self.until).is_some_and(|(due, until)| due > until);
                if !is_later {
                    return Ok(Some((key, stored)));
                }
                // What comes behind it in this shard is due later still.
                (self.page, self.at) = (Vec::new().into_iter(), None);
            }
            if self.at.is_none() {
                let Some(next) = self.rest.next() else { return Ok(None) };
                (self.at, self.after) = (Some(next), None);
            }
            if let Some(at) = &self.at {
                let store = &self.merchant.0.store;
                let page = store.scan(at, self.after.as_deref(), PAGE, self.merchant.now()).await?;
                self.after = page.last().map(|(key, _)| key.sort.clone());
                if page.len() < PAGE {
                    self.at = None;
                }
                self.page = page.into_iter();
            }
        }
    }
}
