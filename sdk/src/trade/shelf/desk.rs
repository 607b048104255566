//! The shelf as the merchant sees to it: counting, deliveries, and what is held for whom.

use std::sync::Arc;

use super::{
    Shelf, ShelfError, named, put,
    records::{
        Delivery, Due, Found, Holding, Stage, Stock, all_stock, delivery_key, due_prefixes, hold_key, stock_key,
    },
};
use crate::{
    money::Quantity,
    names::is_plain,
    order::OrderId,
    store::{AnyStore, Expect, KEYS_MAX, Key, SCAN_MAX, StoreError, Stored},
    time::UnixTime,
    trade::is_name,
};

/// How long a delivery is remembered, in seconds: said again within that time, it is counted once.
pub const DELIVERY_S: u64 = 90 * 24 * 3600;

/// How long it is remembered what somebody saw who counted, in seconds: longer than a form is sent again for want of an
/// answer, and shorter than anybody takes to look, and count, once more.
pub const RECOUNT_S: u64 = 10 * 60;

/// The longest name of a delivery, in bytes.
const DELIVERY_BYTES_MAX: usize = 128;

/// The most holds that are listed.
const HOLDS_MAX: usize = 250;

/// How many there are of an item.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Count {
    /// How many can be had.
    pub left: u64,
    /// How many are held for orders that are being paid. Holds that are over, and have not gone back yet, are among them.
    pub held: u64,
}

/// What is held for an order.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct HeldFor {
    /// For whom.
    pub order: OrderId,
    /// How many of what.
    pub items: Vec<(String, Quantity)>,
    /// Until when.
    pub until: UnixTime,
}

impl Shelf {
    /// A shelf whose records lie in the merchant's own store.
    pub(crate) fn within(store: AnyStore) -> Self {
        Self { store, line: Arc::default() }
    }

    /// From now on, so many can be had: what was counted by hand, without what is held or sold already. Where the store loses
    /// its answer, it is looked up whether it was counted, so that nothing that was sold since is put back.
    ///
    /// # Errors
    /// - [`ShelfError::Name`] for a name that is none;
    /// - [`ShelfError::Busy`], [`ShelfError::Store`]: say it again.
    pub async fn stock(&self, item: &str, left: u32, now: UnixTime) -> Result<(), ShelfError> {
        self.counted(item, None, left, now).await
    }

    /// As [`stock`](Self::stock), by somebody who looked first and saw so many: if something was sold or came in since,
    /// nothing is counted, so that what was sold meanwhile is not put back. Said again with the same numbers within
    /// [`RECOUNT_S`], it is counted once, whatever was sold in between.
    ///
    /// # Errors
    /// - [`ShelfError::Moved`] if there are not as many any more, nor as many as were counted: look, and count again;
    /// - [`ShelfError::Name`] for a name that is none;
    /// - [`ShelfError::Busy`], [`ShelfError::Store`]: say it again.
    pub async fn recount(&self, item: &str, seen: u64, left: u32, now: UnixTime) -> Result<(), ShelfError> {
        self.counted(item, Some(seen), left, now).await
    }

    async fn counted(&self, item: &str, seen: Option<u64>, left: u32, now: UnixTime) -> Result<(), ShelfError> {
        named(item)?;
        let (mut sent, mut turn) = (None, self.turn(item));
        loop {
            let found = self.stocked(item, now).await?;
            if sent.is_some() && found.value.counted == sent {
                return Ok(());
            }
            if let Some(seen) = seen {
                // Compared at the version that is written: what comes between is a conflict, and is looked at again.
                let there = found.value.left;
                if there == u64::from(left) || found.value.was_counted(seen, left, now) {
                    return Ok(());
                }
                if there != seen {
                    return Err(ShelfError::Moved { found: there });
                }
            }
            // The version that was counted over is kept: after a lost answer it tells whether this count is in there, and what
            // was sold since is not put back.
            let counted = Some((found.version.map_or(0, |version| version.0), left));
            let seen = seen.map(|seen| (seen, now));
            let stock = Stock { left: u64::from(left), counted, seen, ..found.value };
            let commit = self.store.commit(&[put(stock_key(item), &stock, None, found.expect())?], now).await;
            let Err(e) = commit else { return Ok(()) };
            if matches!(e, StoreError::Unknown(_)) {
                sent = counted;
            }
            turn.again(e).await?;
        }
    }

    /// A delivery has arrived: so many more can be had. It has a name (1 to 128 bytes, a delivery note's number), and said
    /// again under that name for the same item within [`DELIVERY_S`], it is counted once.
    ///
    /// # Errors
    /// - [`ShelfError::Name`] for a name that is none;
    /// - [`ShelfError::Busy`], [`ShelfError::Store`]: say it again.
    pub async fn receive(&self, item: &str, more: u32, delivery: &str, now: UnixTime) -> Result<(), ShelfError> {
        named(item)?;
        if !is_plain(delivery, DELIVERY_BYTES_MAX) {
            return Err(ShelfError::Name(delivery.chars().take(DELIVERY_BYTES_MAX).collect()));
        }
        let mut turn = self.turn(item);
        loop {
            let keys = [stock_key(item), delivery_key(item, delivery)];
            let mut loaded = self.store.load(&keys, now).await?.into_iter();
            let found = Found::<Stock>::of(loaded.next().flatten())?;
            if loaded.next().flatten().is_some() {
                return Ok(());
            }
            let [stock_key, delivery_key] = keys;
            let left = found.value.left.saturating_add(u64::from(more));
            let writes = [
                put(stock_key, &Stock { left, ..found.value }, None, found.expect())?,
                put(delivery_key, &Delivery { more }, Some(now.plus_s(DELIVERY_S)), Expect::Absent)?,
            ];
            let Err(e) = self.store.commit(&writes, now).await else { return Ok(()) };
            turn.again(e).await?;
        }
    }

    /// How many there are of an item, for the merchant's own pages.
    ///
    /// # Errors
    /// [`ShelfError::Store`] if the store does not answer.
    pub async fn count(&self, item: &str, now: UnixTime) -> Result<Count, ShelfError> {
        if !is_name(item) {
            return Ok(Count::default());
        }
        let Stock { left, held, .. } = self.stocked(item, now).await?.value;
        Ok(Count { left, held })
    }

    /// Whether an item is on the shelf, or ever was: a delivery of another name may be a typing error.
    ///
    /// # Errors
    /// [`ShelfError::Store`] if the store does not answer.
    pub async fn has(&self, item: &str, now: UnixTime) -> Result<bool, ShelfError> {
        Ok(is_name(item) && self.stocked(item, now).await?.version.is_some())
    }

    /// What is on the shelf, by name: at most 1,000, beginning after a name, for the merchant's own pages.
    ///
    /// # Errors
    /// [`ShelfError::Store`] if the store does not answer.
    pub async fn counts(
        &self,
        after: Option<&str>,
        limit: usize,
        now: UnixTime,
    ) -> Result<Vec<(String, Count)>, ShelfError> {
        let limit = limit.min(SCAN_MAX);
        let found = self.store.scan(&all_stock(), after, limit, now).await?;
        let count = |(key, stored): (Key, Stored)| {
            let Stock { left, held, .. } = stored.read()?;
            Ok((key.sort, Count { left, held }))
        };
        Ok(found.into_iter().map(count).collect::<Result<_, StoreError>>()?)
    }

    /// What is held, for the merchant's own pages: what ends first comes first, at most 250.
    ///
    /// # Errors
    /// [`ShelfError::Store`] if the store does not answer.
    pub async fn holds(&self, limit: usize, now: UnixTime) -> Result<Vec<HeldFor>, ShelfError> {
        let limit = limit.min(HOLDS_MAX);
        let mut due: Vec<(String, OrderId)> = Vec::new();
        for prefix in due_prefixes() {
            for (key, stored) in self.store.scan(&prefix, None, limit, now).await? {
                due.push((key.sort, stored.read::<Due>()?.order));
            }
        }
        due.sort_by(|a, b| a.0.cmp(&b.0));
        due.truncate(limit);
        let mut held = Vec::with_capacity(due.len());
        for some in due.chunks(KEYS_MAX) {
            let keys: Vec<_> = some.iter().map(|(_, order)| hold_key(order)).collect();
            for ((_, order), stored) in some.iter().zip(self.store.load(&keys, now).await?) {
                let Some(stored) = stored else { continue };
                let Holding { items, until, stage, .. } = stored.read()?;
                if stage == Stage::Held {
                    held.push(HeldFor { order: order.clone(), items, until });
                }
            }
        }
        Ok(held)
    }
}
