//! What happened to orders, for those whose tables are in another database: at least once, in order for each order, to
//! any number of workers.
//!
//! Each event is announced in the commit that it belongs to, by an entry of its own, which stays until a worker has said
//! that it is done. There is no position in the feed, so an event that commits late is not skipped.

use std::{collections::HashSet, sync::Arc};

use serde::{Deserialize, Serialize};

use super::{Merchant, Pending, Plan, event_key, shard_of, shards};
use crate::{
    error::{Error, Refusal},
    order::{OrderEvent, OrderId},
    protocol::jose::base64url_encode,
    store::{Expect, Key, Persisted, Prefix, Stored, Version, Write},
    time::UnixTime,
};

/// How long a worker has for what it was given, in seconds; then another one gets it.
const LEASE_S: u64 = 60;
/// The most events that a worker is given at once, all of one order.
const BATCH: usize = 16;
/// How many entries of a shard are looked at in search of an order that nobody works at.
const LOOK: usize = crate::store::SCAN_MAX;

/// The feed of the events of all orders: see [`Merchant::feed`].
#[derive(Clone, Debug)]
pub struct Feed {
    merchant: Merchant,
}

/// Events of one order, in order, leased to whoever asked. Dropped, they come again when the lease is over.
#[derive(Debug)]
pub struct FeedBatch {
    /// What happened: at least one event, all of one order, the oldest first.
    pub events: Vec<OrderEvent>,
    merchant: Merchant,
    order: OrderId,
    worker: String,
}

#[derive(Serialize, Deserialize)]
struct Announcement {}

impl Persisted for Announcement {
    const KIND: &'static str = "feed";
    const SCHEMA: u16 = 1;
}

#[derive(Serialize, Deserialize)]
struct Lease {
    worker: String,
}

impl Persisted for Lease {
    const KIND: &'static str = "feed_lease";
    const SCHEMA: u16 = 1;
}

impl Merchant {
    /// The feed of what happens to orders. Events are announced only if the builder was told so by
    /// [`feed`](crate::merchant::MerchantBuilder::feed): what nobody takes would pile up.
    #[must_use]
    pub fn feed(&self) -> Feed {
        Feed { merchant: self.clone() }
    }
}

impl Feed {
    /// The next events that nobody works at, of one order; `None` if there are none.
    ///
    /// # Errors
    /// [`Error::Misuse`] if the merchant was built without a feed; [`Error::Unavailable`].
    pub async fn next(&self) -> Result<Option<FeedBatch>, Error> {
        if !self.merchant.0.feed {
            return Err(Error::Misuse("there is no feed: say .feed() when the merchant is built".to_owned()));
        }
        let store = &self.merchant.0.store;
        let shards: Vec<String> = shards().collect();
        // Workers begin at different shards, so that they meet less often.
        let [begin] = self.merchant.random::<1>();
        for offset in 0..shards.len() {
            let Some(shard) = shards.get((usize::from(begin) + offset) % shards.len()) else { continue };
            let prefix = Prefix { kind: Announcement::KIND, partition: shard.clone(), sort: String::new() };
            let mut after: Option<String> = None;
            loop {
                let now = self.merchant.now();
                let page = store.scan(&prefix, after.as_deref(), LOOK, now).await?;
                let full = page.len() == LOOK;
                after = page.last().map(|(key, _)| key.sort.clone());
                let held = self.held(shard, now).await?;
                let mut tried: Option<OrderId> = None;
                for (key, _) in page {
                    let Some(order) = order_of(&key) else { continue };
                    if tried.as_ref() == Some(&order) || held.contains(order.as_str()) {
                        continue;
                    }
                    if let Some(batch) = self.lease(&order, now).await? {
                        return Ok(Some(batch));
                    }
                    tried = Some(order);
                }
                if !full {
                    break;
                }
            }
        }
        Ok(None)
    }

    /// The orders of a shard that somebody works at, as far as one look goes: to pass them by without a commit.
    async fn held(&self, shard: &str, now: UnixTime) -> Result<HashSet<String>, Error> {
        let leases = Prefix { kind: Lease::KIND, partition: shard.to_owned(), sort: String::new() };
        let found = self.merchant.0.store.scan(&leases, None, LOOK, now).await?;
        Ok(found.into_iter().map(|(key, _)| key.sort).collect())
    }

    /// Leases an order's events, if nobody else has.
    async fn lease(&self, order: &OrderId, now: UnixTime) -> Result<Option<FeedBatch>, Error> {
        let store = &self.merchant.0.store;
        let worker = base64url_encode(&self.merchant.random::<16>());
        let until = Some(now.plus_s(LEASE_S));
        let lease = crate::merchant::put(lease_key(order), &Lease { worker: worker.clone() }, until, Expect::Absent)?;
        match store.commit(&[lease], now).await {
            Ok(_) => {}
            Err(error) if crate::merchant::lost_the_race(&error) => return Ok(None),
            Err(error) => return Err(error.into()),
        }
        // After the lease: what was there before it may have been done by whoever had the last one.
        let own = Prefix { kind: Announcement::KIND, partition: shard_of(order), sort: format!("{order}/") };
        let entries = store.scan(&own, None, BATCH, now).await?;
        let numbers = entries.iter().filter_map(|(key, _)| key.sort.rsplit_once('/')?.1.parse::<u32>().ok());
        let keys: Vec<Key> = numbers.map(|number| event_key(order, number)).collect();
        let mut events = Vec::with_capacity(keys.len());
        for stored in store.load(&keys, now).await?.into_iter().flatten() {
            events.push(stored.read::<OrderEvent>()?);
        }
        let delivery = FeedBatch { events, merchant: self.merchant.clone(), order: order.clone(), worker };
        if delivery.events.is_empty() {
            delivery.done().await?.commit().await?;
            return Ok(None);
        }
        Ok(Some(delivery))
    }
}

impl FeedBatch {
    /// The order that the events are of.
    #[must_use]
    pub const fn order(&self) -> &OrderId {
        &self.order
    }

    /// The events are done: they do not come again. Committed together with what the worker wrote, they have their effect
    /// exactly once.
    ///
    /// # Errors
    /// [`Refusal::Overtaken`] if the lease is over and somebody else has the events.
    pub async fn done(&self) -> Result<Pending<()>, Error> {
        let numbers: Arc<[u32]> = self.events.iter().map(|event| event.number).collect();
        let input = (self.order.clone(), self.worker.clone(), numbers);
        Pending::new(&self.merchant, input, |merchant, (order, worker, numbers)| async move {
            let version = merchant.own_lease(&order, &worker).await?;
            let mut writes = vec![Write::delete(lease_key(&order), Expect::Version(version))];
            writes.extend(numbers.iter().map(|number| Write::delete(announcement_key(&order, *number), Expect::Any)));
            Ok(Plan { writes, value: (), witness: None, at: merchant.now() })
        })
        .await
    }

    /// The events cannot be done now: they come again after `after_s` seconds, and those of other orders before that.
    ///
    /// # Errors
    /// As [`FeedBatch::done`].
    pub async fn later(self, after_s: u64) -> Result<(), Error> {
        let version = self.merchant.own_lease(&self.order, &self.worker).await?;
        let now = self.merchant.now();
        let lease = Lease { worker: self.worker };
        let until = Some(now.plus_s(after_s));
        let write = crate::merchant::put(lease_key(&self.order), &lease, until, Expect::Version(version))?;
        match self.merchant.0.store.commit(&[write], now).await {
            Ok(_) => Ok(()),
            Err(error) if crate::merchant::lost_the_race(&error) => Err(Refusal::Overtaken.into()),
            Err(error) => Err(error.into()),
        }
    }
}

impl Merchant {
    async fn own_lease(&self, order: &OrderId, worker: &str) -> Result<Version, Error> {
        let overtaken = || Error::from(Refusal::Overtaken);
        let stored: Stored = self.load_one(&lease_key(order)).await?.ok_or_else(overtaken)?;
        let lease: Lease = stored.read()?;
        if lease.worker == worker { Ok(stored.version) } else { Err(overtaken()) }
    }
}

/// The entry that announces an event, written in the event's own commit.
pub(super) fn announce(event: &OrderEvent) -> Result<Write, Error> {
    let key = announcement_key(&event.order, event.number);
    Ok(crate::merchant::put(key, &Announcement {}, None, Expect::Absent)?)
}

fn announcement_key(order: &OrderId, number: u32) -> Key {
    Key::new(Announcement::KIND, shard_of(order), format!("{order}/{number:010}"))
}

fn lease_key(order: &OrderId) -> Key {
    Key::new(Lease::KIND, shard_of(order), order.as_str())
}

fn order_of(key: &Key) -> Option<OrderId> {
    key.sort.split_once('/')?.0.parse().ok()
}
