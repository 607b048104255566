//! What happened to orders, and to customers' names, for those whose tables are in another database: at least once, in order
//! for each order and each customer, to any number of workers.
//!
//! Each event is announced in the commit that it belongs to, by an entry of its own, which stays until a worker has said
//! that it is done. There is no position in the feed, so an event that commits late is not skipped. An order that came from a
//! checkout is told once it is a sale, and then from the beginning, by one entry for all that happened before.

use std::{collections::HashSet, sync::Arc};

use serde::{Deserialize, Serialize};

use super::{Merchant, Pending, Plan, shard_of, shards};
use crate::{
    customer::{CustomerEvent, CustomerId},
    error::{Error, Refusal},
    order::{OrderEvent, OrderId},
    protocol::jose::base64url_encode,
    store::{Expect, Key, Persisted, Prefix, Stored, Version, Write},
    time::UnixTime,
};

/// How long a worker has for what it was given, in seconds; then another one gets it.
const LEASE_S: u64 = 60;
/// The most entries that a worker is given at once, all of one order: each is an event, but for the one that tells the past
/// of a checkout's order, which has some more.
const BATCH: usize = 16;
/// How many entries of a shard are looked at in search of an order that nobody works at.
const LOOK: usize = crate::store::SCAN_MAX;

/// The feed of the events of all orders: see [`Merchant::feed`].
#[derive(Clone, Debug)]
pub struct Feed {
    merchant: Merchant,
}

/// Events of one order or one customer, in order, leased to whoever asked. Dropped, they come again when the lease is over.
#[derive(Debug)]
pub struct FeedBatch {
    /// What happened: at least one event, all of one order or of one customer, the oldest first.
    pub events: Vec<FeedEvent>,
    merchant: Merchant,
    subject: Subject,
    entries: Arc<[Key]>,
    worker: String,
}

/// One thing that happened.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum FeedEvent {
    /// To an order.
    Order(OrderEvent),
    /// To a customer's name.
    Customer(CustomerEvent),
}

/// What the events of a batch are about: the text of its name, and where its entries are.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Subject {
    name: String,
    shard: String,
}

/// That something happened. An event of an order has a record of its own; one of a customer stands here, since nothing may
/// be left of a customer who was forgotten.
#[derive(Serialize, Deserialize)]
struct Announcement {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    customer: Option<CustomerEvent>,
    /// The first event of the order that it announces, if it is not only the one that its key names.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    first: Option<u32>,
}

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
    /// The feed of what happens to orders and to customers' names. Events are announced only if the builder was told so by
    /// [`feed`](crate::merchant::MerchantBuilder::feed): what nobody takes would pile up. Of an order that came from a checkout
    /// nothing is announced before it is a sale, and then everything from `Placed` on; nothing of one that never was a sale.
    #[must_use]
    pub fn feed(&self) -> Feed {
        Feed { merchant: self.clone() }
    }

    /// The write that announces what became of a customer's name, in the commit that it belongs to; none without a feed.
    /// `told` is how many there were before, which the record counts: they come in that order.
    pub(in crate::merchant) fn announce_customer(
        &self,
        customer: &CustomerId,
        told: u32,
        event: &CustomerEvent,
    ) -> Result<Option<Write>, Error> {
        if !self.0.feed {
            return Ok(None);
        }
        let subject = Subject::customer(customer);
        let key = Key::new(Announcement::KIND, subject.shard, format!("{customer}/{:010}", told.saturating_add(1)));
        let announcement = Announcement { customer: Some(event.clone()), first: None };
        Ok(Some(crate::merchant::put(key, &announcement, None, Expect::Absent)?))
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
                let mut tried: Option<Subject> = None;
                for (key, _) in page {
                    let Some(subject) = Subject::of(&key) else { continue };
                    if tried.as_ref() == Some(&subject) || held.contains(&subject.name) {
                        continue;
                    }
                    if let Some(batch) = self.lease(&subject, now).await? {
                        return Ok(Some(batch));
                    }
                    tried = Some(subject);
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

    /// Leases the events of an order or a customer, if nobody else has.
    async fn lease(&self, subject: &Subject, now: UnixTime) -> Result<Option<FeedBatch>, Error> {
        let (merchant, store) = (&self.merchant, &self.merchant.0.store);
        let worker = base64url_encode(&merchant.random::<16>());
        let until = Some(now.plus_s(LEASE_S));
        let lease = Lease { worker: worker.clone() };
        let lease = crate::merchant::put(subject.lease_key(), &lease, until, Expect::Absent)?;
        if !merchant.commit_if_first(&[lease], now).await? {
            return Ok(None);
        }
        // After the lease: what was there before it may have been done by whoever had the last one.
        let sort = format!("{}/", subject.name);
        let own = Prefix { kind: Announcement::KIND, partition: subject.shard.clone(), sort };
        let (mut events, mut entries) = (Vec::new(), Vec::new());
        for (key, stored) in store.scan(&own, None, BATCH, now).await? {
            let Announcement { customer, first } = stored.read()?;
            match customer {
                Some(event) => events.push(FeedEvent::Customer(event)),
                None => events.extend(self.merchant.announced(&key, first).await?.into_iter().map(FeedEvent::Order)),
            }
            entries.push(key);
        }
        let merchant = self.merchant.clone();
        let batch = FeedBatch { events, merchant, subject: subject.clone(), entries: entries.into(), worker };
        if batch.events.is_empty() {
            batch.done().await?.commit().await?;
            return Ok(None);
        }
        Ok(Some(batch))
    }
}

impl FeedBatch {
    /// The order that the events are of, if they are an order's.
    #[must_use]
    pub fn order(&self) -> Option<&OrderId> {
        self.order_events().next().map(|event| &event.order)
    }

    /// The events, if they are an order's.
    pub fn order_events(&self) -> impl Iterator<Item = &OrderEvent> {
        self.events.iter().filter_map(|event| match event {
            FeedEvent::Order(event) => Some(event),
            FeedEvent::Customer(_) => None,
        })
    }

    /// The events, if they are a customer's.
    pub fn customer_events(&self) -> impl Iterator<Item = &CustomerEvent> {
        self.events.iter().filter_map(|event| match event {
            FeedEvent::Customer(event) => Some(event),
            FeedEvent::Order(_) => None,
        })
    }

    /// The events are done: they do not come again. Committed together with what the worker wrote, they have their effect
    /// exactly once.
    ///
    /// # Errors
    /// [`Refusal::Overtaken`] if the lease is over and somebody else has the events.
    pub async fn done(&self) -> Result<Pending<()>, Error> {
        let input = (self.subject.clone(), self.worker.clone(), self.entries.clone());
        Pending::new(&self.merchant, input, |merchant, (subject, worker, entries)| async move {
            let version = merchant.own_lease(&subject, &worker).await?;
            let mut writes = vec![Write::delete(subject.lease_key(), Expect::Version(version))];
            writes.extend(entries.iter().map(|entry| Write::delete(entry.clone(), Expect::Any)));
            Ok(Plan { writes, value: (), witness: None, at: merchant.now() })
        })
        .await
    }

    /// The events cannot be done now: they come again after `after_s` seconds, and those of other orders before that.
    ///
    /// # Errors
    /// As [`FeedBatch::done`].
    pub async fn later(self, after_s: u64) -> Result<(), Error> {
        let version = self.merchant.own_lease(&self.subject, &self.worker).await?;
        let now = self.merchant.now();
        let lease = Lease { worker: self.worker };
        let until = Some(now.plus_s(after_s));
        let write = crate::merchant::put(self.subject.lease_key(), &lease, until, Expect::Version(version))?;
        self.merchant.commit_first(&[write], now).await
    }
}

impl Merchant {
    /// The events of an order that an entry announces.
    async fn announced(&self, entry: &Key, first: Option<u32>) -> Result<Vec<OrderEvent>, Error> {
        let Some((order, last)) = entry.sort.rsplit_once('/') else { return Ok(Vec::new()) };
        let (Ok(order), Ok(last)) = (order.parse::<OrderId>(), last.parse::<u32>()) else { return Ok(Vec::new()) };
        self.events_between(&order, first.unwrap_or(last), last).await
    }

    /// The write that announces the events of an order from `first` to `last`, in the commit of the last one or of what made
    /// it a sale; none without a feed.
    pub(super) fn feed_entry(&self, order: &OrderId, first: u32, last: u32) -> Result<Option<Write>, Error> {
        if !self.0.feed {
            return Ok(None);
        }
        let announcement = Announcement { customer: None, first: (first < last).then_some(first) };
        Ok(Some(crate::merchant::put(announcement_key(order, last), &announcement, None, Expect::Absent)?))
    }

    async fn own_lease(&self, subject: &Subject, worker: &str) -> Result<Version, Error> {
        let overtaken = || Error::from(Refusal::Overtaken);
        let stored: Stored = self.load_one(&subject.lease_key()).await?.ok_or_else(overtaken)?;
        let lease: Lease = stored.read()?;
        if lease.worker == worker { Ok(stored.version) } else { Err(overtaken()) }
    }
}

fn announcement_key(order: &OrderId, number: u32) -> Key {
    Key::new(Announcement::KIND, shard_of(order.as_str()), format!("{order}/{number:010}"))
}

impl Subject {
    fn customer(customer: &CustomerId) -> Self {
        Self { name: customer.to_string(), shard: shard_of(customer.as_str()) }
    }

    /// What an entry is about.
    fn of(entry: &Key) -> Option<Self> {
        let (name, _) = entry.sort.split_once('/')?;
        Some(Self { name: name.to_owned(), shard: entry.partition.clone() })
    }

    fn lease_key(&self) -> Key {
        Key::new(Lease::KIND, self.shard.clone(), self.name.clone())
    }
}
