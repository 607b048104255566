//! What the shelf keeps, and the commits that change it.
//!
//! Of each item, how many are left and held; of each order, what is held for it; and an entry for each hold by the time at
//! which it ends, so that letting go never walks over what is still held. All that changes together is one commit, at the
//! versions that it was decided on: the hold itself is the operation's name, and reading it back tells whether a commit
//! whose answer was lost has happened.

use serde::{Deserialize, Serialize};

use super::{Hold, RECOUNT_S, REMEMBERED_S, Shortage, Step, put};
use crate::{
    money::Quantity,
    order::OrderId,
    store::{Expect, Key, Persisted, Prefix, StoreError, Stored, Version, Write, by_time, shard_of, shards},
    time::UnixTime,
};

/// How many there are of an item.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Stock {
    /// How many can be had.
    pub(super) left: u64,
    /// How many are held.
    pub(super) held: u64,
    /// What was counted by hand last, and over which version.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) counted: Option<(u64, u32)>,
    /// How many whoever counted saw before, and when they counted, if they looked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) seen: Option<(u64, UnixTime)>,
}

impl Stock {
    /// Whether this very count was made a little while ago: whoever says it again has not heard the answer.
    pub(super) fn was_counted(&self, seen: u64, left: u32, now: UnixTime) -> bool {
        self.counted.is_some_and(|(_, counted)| counted == left)
            && self.seen.is_some_and(|(before, at)| before == seen && now.since_s(at) < RECOUNT_S)
    }
}

impl Persisted for Stock {
    const KIND: &'static str = "stock";
    const SCHEMA: u16 = 1;
}

/// What is held for an order.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Holding {
    pub(super) items: Vec<(String, Quantity)>,
    pub(super) until: UnixTime,
    pub(super) stage: Stage,
    /// Of what there was too little when it was to be sold.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(super) short: Vec<Shortage>,
}

impl Persisted for Holding {
    const KIND: &'static str = "stock_hold";
    const SCHEMA: u16 = 1;
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Stage {
    /// Kept until it is sold, let go or over.
    Held,
    /// Remembered, so that it is sold once and can be put back.
    Sold,
    /// Remembered, so that a hold that comes late holds nothing.
    Freed,
    /// There was too little to sell it. Remembered, so that who sells it again takes nothing either: the merchant was told.
    Short,
}

impl Holding {
    /// Whether it is the very same, in whatever order it is named.
    pub(super) fn is_of(&self, items: &[(String, Quantity)]) -> bool {
        self.items.len() == items.len() && items.iter().all(|item| self.items.contains(item))
    }

    pub(super) fn held_until(&self, until: UnixTime) -> Self {
        Self { until, ..self.clone() }
    }
}

/// When a hold ends: what its order is.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Due {
    pub(super) order: OrderId,
}

impl Persisted for Due {
    const KIND: &'static str = "stock_due";
    const SCHEMA: u16 = 1;
}

/// A delivery that was counted.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Delivery {
    pub(super) more: u32,
}

impl Persisted for Delivery {
    const KIND: &'static str = "stock_delivery";
    const SCHEMA: u16 = 1;
}

/// A record as it was found, or nothing yet.
#[derive(Clone, Debug)]
pub(super) struct Found<T> {
    pub(super) value: T,
    pub(super) version: Option<Version>,
}

impl<T: Persisted + Default> Found<T> {
    pub(super) fn of(stored: Option<Stored>) -> Result<Self, StoreError> {
        Ok(match stored {
            Some(stored) => Self { value: stored.read()?, version: Some(stored.version) },
            None => Self { value: T::default(), version: None },
        })
    }

    pub(super) fn expect(&self) -> Expect {
        expect(self.version)
    }
}

/// An order's hold and the stock of its items, in the order in which they were asked for.
#[derive(Debug)]
pub(super) struct Look {
    pub(super) hold: Option<(Holding, Version)>,
    pub(super) stock: Vec<Found<Stock>>,
}

impl Look {
    /// Takes all of it from what is left, held or sold at once.
    pub(super) fn taken(&self, hold: &Hold, stage: Stage) -> Result<Step, super::ShelfError> {
        let pairs = || hold.items.iter().zip(&self.stock);
        let is_short = |&((_, quantity), found): &(&(String, Quantity), &Found<Stock>)| {
            found.value.left < u64::from(quantity.count())
        };
        let short: Vec<Shortage> = pairs()
            .filter(is_short)
            .map(|((item, _), found)| Shortage { item: item.clone(), left: count(found.value.left) })
            .collect();
        if !short.is_empty() {
            let remembered = (stage == Stage::Sold).then(|| {
                let (items, until, short) = (hold.items.clone(), hold.until, short.clone());
                self.remembered(&hold.order, &Holding { items, until, stage: Stage::Short, short }, hold.now)
            });
            return Ok(Step::Short(short, remembered.transpose()?));
        }
        let mut writes = self.changed(&hold.items, |stock, quantity| Stock {
            left: stock.left.saturating_sub(quantity),
            held: if stage == Stage::Held { stock.held.saturating_add(quantity) } else { stock.held },
            ..stock
        })?;
        let holding = Holding { items: hold.items.clone(), until: hold.until, stage, short: Vec::new() };
        writes.push(self.remembered(&hold.order, &holding, hold.now)?);
        if stage == Stage::Held {
            writes.push(put(due_key(&hold.order, hold.until), &Due { order: hold.order.clone() }, None, Expect::Any)?);
        }
        Ok(Step::Commit(writes))
    }

    /// What is held is sold.
    pub(super) fn sold(&self, hold: &Hold, found: &Holding) -> Result<Step, super::ShelfError> {
        let mut writes =
            self.changed(&hold.items, |stock, quantity| Stock { held: stock.held.saturating_sub(quantity), ..stock })?;
        writes.push(self.remembered(&hold.order, &Holding { stage: Stage::Sold, ..found.clone() }, hold.now)?);
        writes.push(Write::delete(due_key(&hold.order, found.until), Expect::Any));
        Ok(Step::Commit(writes))
    }

    /// What is held or was sold goes back, and nothing is held for the order any more.
    pub(super) fn freed(&self, order: &OrderId, now: UnixTime) -> Result<Vec<Write>, StoreError> {
        let mut writes = Vec::new();
        let mut over = Holding { items: Vec::new(), until: now, stage: Stage::Freed, short: Vec::new() };
        if let Some((found, _)) = &self.hold {
            let was_held = found.stage == Stage::Held;
            if was_held || found.stage == Stage::Sold {
                writes = self.put_back(&found.items, was_held)?;
            }
            if was_held {
                writes.push(Write::delete(due_key(order, found.until), Expect::Any));
            }
            over.until = found.until;
        }
        writes.push(self.remembered(order, &over, now)?);
        Ok(writes)
    }

    /// What is held goes back, and it is as if it had never been held; nothing if it is not held until before now any more.
    pub(super) fn lapsed(
        &self,
        order: &OrderId,
        items: &[(String, Quantity)],
        now: UnixTime,
    ) -> Result<Option<Vec<Write>>, StoreError> {
        let Some((found, version)) = &self.hold else { return Ok(None) };
        if found.stage != Stage::Held || found.until > now || found.items != items {
            return Ok(None);
        }
        let mut writes = self.put_back(items, true)?;
        writes.push(Write::delete(hold_key(order), Expect::Version(*version)));
        writes.push(Write::delete(due_key(order, found.until), Expect::Any));
        Ok(Some(writes))
    }

    fn put_back(&self, items: &[(String, Quantity)], was_held: bool) -> Result<Vec<Write>, StoreError> {
        self.changed(items, |stock, quantity| Stock {
            left: stock.left.saturating_add(quantity),
            held: if was_held { stock.held.saturating_sub(quantity) } else { stock.held },
            ..stock
        })
    }

    /// The stock of each item after this change, at the version that was looked at.
    fn changed(
        &self,
        items: &[(String, Quantity)],
        change: impl Fn(Stock, u64) -> Stock,
    ) -> Result<Vec<Write>, StoreError> {
        let write = |((item, quantity), found): (&(String, Quantity), &Found<Stock>)| {
            let stock = change(found.value, u64::from(quantity.count()));
            put(stock_key(item), &stock, None, found.expect())
        };
        items.iter().zip(&self.stock).map(write).collect()
    }

    /// The order's hold as it is from now on: while it is held it never goes by itself, for its pieces would go with it.
    fn remembered(&self, order: &OrderId, holding: &Holding, now: UnixTime) -> Result<Write, StoreError> {
        let expires_at = (holding.stage != Stage::Held).then(|| now.plus_s(REMEMBERED_S));
        put(hold_key(order), holding, expires_at, expect(self.hold.as_ref().map(|(_, version)| *version)))
    }
}

fn expect(version: Option<Version>) -> Expect {
    version.map_or(Expect::Absent, Expect::Version)
}

/// A number of pieces as a customer is told it.
pub(super) fn count(left: u64) -> u32 {
    u32::try_from(left).unwrap_or(u32::MAX)
}

/// Everything on the shelf lies together, to be listed.
const SHELF: &str = "shelf";

pub(super) fn all_stock() -> Prefix {
    Prefix { kind: Stock::KIND, partition: SHELF.to_owned(), sort: String::new() }
}

pub(super) fn stock_key(item: &str) -> Key {
    Key::new(Stock::KIND, SHELF, item)
}

pub(super) fn hold_key(order: &OrderId) -> Key {
    Key::new(Holding::KIND, order.as_str(), "")
}

pub(super) fn delivery_key(item: &str, delivery: &str) -> Key {
    Key::new(Delivery::KIND, item, delivery)
}

/// How many shards the ends of holds have.
const SHARDS: u8 = 4;

pub(super) fn due_key(order: &OrderId, until: UnixTime) -> Key {
    Key::new(Due::KIND, shard_of(order.as_str(), SHARDS), by_time(until, order))
}

pub(super) fn due_prefixes() -> impl Iterator<Item = Prefix> {
    shards(SHARDS).map(|partition| Prefix { kind: Due::KIND, partition, sort: String::new() })
}
