//! Stock, counted in the store.

mod records;
#[cfg(test)]
mod tests;

use std::{
    collections::HashSet,
    hash::{DefaultHasher, Hash, Hasher},
    time::Duration,
};

use self::records::{
    Delivery, Due, Found, Holding, Look, Stage, Stock, delivery_key, due_key, due_prefixes, hold_key, stock_key,
};
use super::{Held, Hold, Inventory, Shortage, TradeError, is_name};
use crate::{
    money::Quantity,
    order::OrderId,
    store::{AnyStore, Expect, KEYS_MAX, Key, Persisted, Record, SCAN_MAX, Store, StoreError, Stored, Write},
    time::UnixTime,
};

/// The most different items that are held for one order: with the order's own records they are one commit.
pub const HOLD_ITEMS_MAX: usize = 50;

/// How long it is remembered that an order was sold, or that nothing is held for it any more, in seconds: longer than
/// anybody sends a thing back, or says anything again.
pub const REMEMBERED_S: u64 = 400 * 24 * 3600;

/// How long a delivery is remembered, in seconds: said again within that time, it is counted once.
pub const DELIVERY_S: u64 = 90 * 24 * 3600;

/// How often an act is tried when others change the same item in between. With pauses of up to [`PAUSE_MS_MAX`] that is
/// about three seconds: who does not get a turn in that time is told to try again.
const ATTEMPTS: u32 = 60;

/// The longest pause between two attempts, in milliseconds.
const PAUSE_MS_MAX: u64 = 100;

/// How many holds are let go at most in one look at a shard.
const PAGE: usize = 100;

/// How many looks at a shard there are in one [`Inventory::tidy`]: what is due beyond that goes the next time.
const PAGES: usize = 20;

/// Stock that is counted in a [`Store`], each change by compare-and-set: on however many nodes, of a hundred pieces a
/// hundred are sold.
///
/// What was never put on the shelf is not there: none is left of it. To sell something without counting, give
/// [`Trade`](super::Trade) no inventory, or one of your own that answers `None` for it.
///
/// What is held stands for itself: it is not among what is left. A hold that is over goes back when somebody else needs it,
/// and otherwise with [`Inventory::tidy`]; while it does not, whoever it was held for is still sold it. An order that was
/// sold, or that nothing is held for any more, is remembered for [`REMEMBERED_S`].
///
/// ```
/// # tokio::runtime::Builder::new_current_thread().enable_time().build()?.block_on(async {
/// use firsthand::{store::Memory, time::UnixTime, trade::Shelf};
///
/// let (shelf, now) = (Shelf::new(Memory::new()), UnixTime::from_secs(1_790_000_000));
/// shelf.stock("sencha", 100, now).await?;
/// shelf.receive("sencha", 40, "delivery note 7719", now).await?;
/// assert_eq!(shelf.count("sencha", now).await?.left, 140);
/// # Ok::<(), firsthand::trade::TradeError>(())
/// # })?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
pub struct Shelf {
    store: AnyStore,
}

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

/// Why the shelf did not do it: the source of its [`TradeError`]s.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ShelfError {
    /// Too many different items in one order.
    #[error("{0} different items, at most {HOLD_ITEMS_MAX} are held for one order")]
    TooManyItems(usize),
    /// Nothing is named.
    #[error("nothing is named that could be held")]
    Nothing,
    /// One item is named twice.
    #[error("{0:?} is named twice")]
    Twice(String),
    /// Something else is held for this order: it is let go first, and a new order holds the new.
    #[error("something else is held for this order, or was sold to it")]
    OtherItems,
    /// This is no name of an item: 1 to 64 bytes without control characters. Of a delivery: the same, up to 128.
    #[error("{0:?} is no name of an item or a delivery")]
    Name(String),
    /// Others changed the same items all the time: nothing was done, and it may be said again.
    #[error("others changed the same items {ATTEMPTS} times: say it again")]
    Busy,
    /// The store.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl ShelfError {
    /// The stable name of what went wrong, for logs.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::TooManyItems(_) => "shelf_too_many_items",
            Self::Nothing => "shelf_nothing",
            Self::Twice(_) => "shelf_twice",
            Self::OtherItems => "shelf_other_items",
            Self::Name(_) => "shelf_name",
            Self::Busy => "shelf_busy",
            Self::Store(e) => e.code(),
        }
    }
}

impl From<ShelfError> for TradeError {
    fn from(e: ShelfError) -> Self {
        Self::new("inventory", e)
    }
}

/// The longest name of a delivery, in bytes.
const DELIVERY_BYTES_MAX: usize = 128;

impl Shelf {
    /// A shelf whose records lie in this store: the one of the merchant, or any other.
    pub fn new(store: impl Store) -> Self {
        Self { store: AnyStore::new(store) }
    }

    /// From now on, so many can be had: what was counted by hand, without what is held or sold already. Said again after a
    /// lost answer, it is done once.
    ///
    /// # Errors
    /// [`TradeError`] for a name that is none, or if the store does not answer.
    pub async fn stock(&self, item: &str, left: u32, now: UnixTime) -> Result<(), TradeError> {
        Ok(self.counted(item, left, now).await?)
    }

    async fn counted(&self, item: &str, left: u32, now: UnixTime) -> Result<(), ShelfError> {
        named(item)?;
        let mut sent = None;
        for attempt in 0..ATTEMPTS {
            let found = self.stocked(item, now).await?;
            if sent.is_some() && found.value.counted == sent {
                return Ok(());
            }
            // The version that was counted over is kept: after a lost answer it tells whether this count is in there, and what
            // was sold since is not put back.
            let counted = Some((found.version.map_or(0, |version| version.0), left));
            let stock = Stock { left: u64::from(left), counted, ..found.value };
            let commit = self.store.commit(&[put(stock_key(item), &stock, None, found.expect())?], now).await;
            let Err(e) = commit else { return Ok(()) };
            if matches!(e, StoreError::Unknown(_)) {
                sent = counted;
            }
            again(e, item, attempt).await?;
        }
        Err(ShelfError::Busy)
    }

    /// A delivery has arrived: so many more can be had. It has a name (1 to 128 bytes, a delivery note's number), and said
    /// again under that name for the same item within [`DELIVERY_S`], it is counted once.
    ///
    /// # Errors
    /// [`TradeError`] for a name that is none, or if the store does not answer.
    pub async fn receive(&self, item: &str, more: u32, delivery: &str, now: UnixTime) -> Result<(), TradeError> {
        Ok(self.arrived(item, more, delivery, now).await?)
    }

    async fn arrived(&self, item: &str, more: u32, delivery: &str, now: UnixTime) -> Result<(), ShelfError> {
        named(item)?;
        if delivery.is_empty() || delivery.len() > DELIVERY_BYTES_MAX || delivery.chars().any(char::is_control) {
            return Err(ShelfError::Name(delivery.chars().take(DELIVERY_BYTES_MAX).collect()));
        }
        for attempt in 0..ATTEMPTS {
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
            match self.store.commit(&writes, now).await {
                Ok(_) => return Ok(()),
                Err(e) => again(e, item, attempt).await?,
            }
        }
        Err(ShelfError::Busy)
    }

    /// How many there are of an item, for the merchant's own pages.
    ///
    /// # Errors
    /// [`TradeError`] if the store does not answer.
    pub async fn count(&self, item: &str, now: UnixTime) -> Result<Count, TradeError> {
        if !is_name(item) {
            return Ok(Count::default());
        }
        let Stock { left, held, .. } = self.stocked(item, now).await?.value;
        Ok(Count { left, held })
    }

    /// What is on the shelf, by name: at most 1,000, beginning after a name, for the merchant's own pages.
    ///
    /// # Errors
    /// [`TradeError`] if the store does not answer.
    pub async fn counts(
        &self,
        after: Option<&str>,
        limit: usize,
        now: UnixTime,
    ) -> Result<Vec<(String, Count)>, TradeError> {
        let limit = limit.min(SCAN_MAX);
        let found = self.store.scan(&records::all_stock(), after, limit, now).await.map_err(ShelfError::from)?;
        let count = |(key, stored): (Key, Stored)| {
            let Stock { left, held, .. } = stored.read()?;
            Ok((key.sort, Count { left, held }))
        };
        Ok(found.into_iter().map(count).collect::<Result<_, StoreError>>().map_err(ShelfError::from)?)
    }

    /// What is held, for the merchant's own pages: what ends first comes first, at most 250.
    ///
    /// # Errors
    /// [`TradeError`] if the store does not answer.
    pub async fn holds(&self, limit: usize, now: UnixTime) -> Result<Vec<HeldFor>, TradeError> {
        Ok(self.held_first(limit.min(HOLDS_MAX), now).await?)
    }

    async fn held_first(&self, limit: usize, now: UnixTime) -> Result<Vec<HeldFor>, ShelfError> {
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
                let Holding { items, until, stage } = stored.read()?;
                if stage == Stage::Held {
                    held.push(HeldFor { order: order.clone(), items, until });
                }
            }
        }
        Ok(held)
    }

    async fn stocked(&self, item: &str, now: UnixTime) -> Result<Found<Stock>, ShelfError> {
        let mut loaded = self.store.load(&[stock_key(item)], now).await?;
        Ok(Found::of(loaded.pop().flatten())?)
    }

    /// The order's hold and the stock of these items, as they are at one moment.
    async fn look(&self, order: &OrderId, items: &[(String, Quantity)], now: UnixTime) -> Result<Look, ShelfError> {
        let stock = items.iter().map(|(item, _)| stock_key(item));
        let keys: Vec<_> = std::iter::once(hold_key(order)).chain(stock).collect();
        let mut loaded = self.store.load(&keys, now).await?.into_iter();
        let hold =
            loaded.next().flatten().map(|stored| Ok::<_, StoreError>((stored.read()?, stored.version))).transpose()?;
        Ok(Look { hold, stock: loaded.map(Found::of).collect::<Result<_, _>>()? })
    }

    /// Does what `decide` says of what is there, again until nobody comes between.
    async fn act(
        &self,
        hold: &Hold,
        decide: impl Fn(&Hold, &Look) -> Result<Step, ShelfError>,
    ) -> Result<Held, ShelfError> {
        check(&hold.items)?;
        let mut has_tidied = false;
        let mut attempt = 0;
        while attempt < ATTEMPTS {
            let look = self.look(&hold.order, &hold.items, hold.now).await?;
            match decide(hold, &look)? {
                Step::Done(held) => return Ok(held),
                Step::Short(short) => {
                    // Before somebody is told that there is too little, what is held for nobody any more goes back.
                    let is_held = look.stock.iter().any(|stock| stock.value.held > 0);
                    if has_tidied || !is_held || !self.let_go(hold.now).await? {
                        return Ok(Held::Short(short));
                    }
                    has_tidied = true;
                }
                Step::Commit(writes) => match self.store.commit(&writes, hold.now).await {
                    Ok(_) => return Ok(Held::All),
                    Err(e) => {
                        again(e, hold.order.as_str(), attempt).await?;
                        attempt = attempt.saturating_add(1);
                    }
                },
            }
        }
        Err(ShelfError::Busy)
    }

    async fn free_order(&self, order: &OrderId, now: UnixTime) -> Result<(), ShelfError> {
        for attempt in 0..ATTEMPTS {
            let look = self.look(order, &[], now).await?;
            let items = match &look.hold {
                Some((holding, _)) if holding.stage == Stage::Freed => return Ok(()),
                Some((holding, _)) => holding.items.clone(),
                None => Vec::new(),
            };
            let look = self.look(order, &items, now).await?;
            let is_same = look.hold.as_ref().map(|(holding, _)| &holding.items).is_none_or(|held| *held == items);
            if is_same {
                match self.store.commit(&look.freed(order, now)?, now).await {
                    Ok(_) => return Ok(()),
                    Err(e) => again(e, order.as_str(), attempt).await?,
                }
            }
        }
        Err(ShelfError::Busy)
    }

    /// Lets go what was held until now; whether there was anything.
    async fn let_go(&self, now: UnixTime) -> Result<bool, ShelfError> {
        let (mut went, mut failed) = (false, None);
        for prefix in due_prefixes() {
            let mut after: Option<String> = None;
            for _ in 0..PAGES {
                let page = self.store.scan(&prefix, after.as_deref(), PAGE, now).await?;
                let is_last = page.len() < PAGE;
                for (key, stored) in page {
                    if records::due_at(&key.sort).is_some_and(|until| until > now) {
                        after = None;
                        break;
                    }
                    // One that cannot be read does not keep the others.
                    let order = match stored.read::<Due>() {
                        Ok(due) => due.order,
                        Err(e) => {
                            failed = Some(ShelfError::from(e));
                            after = Some(key.sort);
                            continue;
                        }
                    };
                    match self.lapse(&order, now).await {
                        Ok(lapsed) => went |= lapsed,
                        Err(e) => failed = Some(e),
                    }
                    after = Some(key.sort);
                }
                if is_last || after.is_none() {
                    break;
                }
            }
        }
        failed.map_or(Ok(went), Err)
    }

    /// Puts back what is held for an order, if that is over: there is no hold then, as if there had been none.
    async fn lapse(&self, order: &OrderId, now: UnixTime) -> Result<bool, ShelfError> {
        for attempt in 0..ATTEMPTS {
            let look = self.look(order, &[], now).await?;
            let Some((Holding { items, until, stage: Stage::Held }, _)) = look.hold else { return Ok(false) };
            if until > now {
                return Ok(false);
            }
            let look = self.look(order, &items, now).await?;
            if let Some(writes) = look.lapsed(order, &items, now)? {
                match self.store.commit(&writes, now).await {
                    Ok(_) => return Ok(true),
                    Err(e) => again(e, order.as_str(), attempt).await?,
                }
            }
        }
        Err(ShelfError::Busy)
    }
}

/// The most holds that are listed.
const HOLDS_MAX: usize = 250;

/// What is to be done about a hold or a sale.
enum Step {
    /// Nothing: this is how it is.
    Done(Held),
    /// There is too little.
    Short(Vec<Shortage>),
    /// This makes it so.
    Commit(Vec<Write>),
}

impl Inventory for Shelf {
    async fn hold(&self, hold: &Hold) -> Result<Held, TradeError> {
        Ok(self.act(hold, holding).await?)
    }

    async fn sell(&self, hold: &Hold) -> Result<Held, TradeError> {
        Ok(self.act(hold, selling).await?)
    }

    async fn free(&self, order: &OrderId, now: UnixTime) -> Result<(), TradeError> {
        Ok(self.free_order(order, now).await?)
    }

    async fn left(&self, items: &[String], now: UnixTime) -> Result<Vec<Option<u32>>, TradeError> {
        let mut left = Vec::with_capacity(items.len());
        for some in items.chunks(KEYS_MAX) {
            left.extend(self.left_of(some, now).await?);
        }
        Ok(left)
    }

    async fn tidy(&self, now: UnixTime) -> Result<(), TradeError> {
        self.let_go(now).await?;
        Ok(())
    }
}

impl Shelf {
    async fn left_of(&self, items: &[String], now: UnixTime) -> Result<Vec<Option<u32>>, ShelfError> {
        let mut has_tidied = false;
        loop {
            // A name comes from a stranger: what is none has no record, and cannot be asked for.
            let names: Vec<&String> = items.iter().filter(|item| is_name(item)).collect();
            let keys: Vec<_> = names.iter().map(|item| stock_key(item)).collect();
            let loaded = self.store.load(&keys, now).await?;
            let mut stock = loaded.into_iter().map(Found::<Stock>::of).collect::<Result<Vec<_>, _>>()?.into_iter();
            let stock: Vec<Stock> = items
                .iter()
                .map(|item| {
                    if is_name(item) { stock.next().map(|found| found.value) } else { None }.unwrap_or_default()
                })
                .collect();
            // Nobody is sent away for what is held for nobody any more.
            let may_come_back = stock.iter().any(|stock| stock.left == 0 && stock.held > 0);
            if has_tidied || !may_come_back || !self.let_go(now).await? {
                return Ok(stock.iter().map(|stock| Some(records::count(stock.left))).collect());
            }
            has_tidied = true;
        }
    }
}

/// Holds all of it, if nothing is held for the order yet; otherwise it is held on.
fn holding(hold: &Hold, look: &Look) -> Result<Step, ShelfError> {
    match &look.hold {
        None => look.taken(hold, Stage::Held),
        Some((Holding { stage: Stage::Freed, .. }, _)) => Ok(Step::Done(too_late(hold))),
        Some((found, _)) if !found.is_of(&hold.items) => Err(ShelfError::OtherItems),
        Some((Holding { stage: Stage::Sold, .. }, _)) => Ok(Step::Done(too_late(hold))),
        Some((found, _)) if found.until >= hold.until => Ok(Step::Done(Held::All)),
        Some((found, version)) => Ok(Step::Commit(vec![
            put(hold_key(&hold.order), &found.held_until(hold.until), None, Expect::Version(*version))?,
            Write::delete(due_key(&hold.order, found.until), Expect::Any),
            put(due_key(&hold.order, hold.until), &Due { order: hold.order.clone() }, None, Expect::Any)?,
        ])),
    }
}

/// Sells what is held, or takes it from what is left.
fn selling(hold: &Hold, look: &Look) -> Result<Step, ShelfError> {
    match &look.hold {
        None => look.taken(hold, Stage::Sold),
        Some((Holding { stage: Stage::Freed, .. }, _)) => Ok(Step::Done(too_late(hold))),
        Some((found, _)) if !found.is_of(&hold.items) => Err(ShelfError::OtherItems),
        Some((Holding { stage: Stage::Sold, .. }, _)) => Ok(Step::Done(Held::All)),
        Some((found, _)) => look.sold(hold, found),
    }
}

/// Nothing is there for an order that was let go or sold: it is not short, it is over.
fn too_late(hold: &Hold) -> Held {
    Held::Short(hold.items.iter().map(|(item, _)| Shortage { item: item.clone(), left: 0 }).collect())
}

fn check(items: &[(String, Quantity)]) -> Result<(), ShelfError> {
    if items.len() > HOLD_ITEMS_MAX {
        return Err(ShelfError::TooManyItems(items.len()));
    }
    if items.is_empty() {
        return Err(ShelfError::Nothing);
    }
    let mut seen = HashSet::with_capacity(items.len());
    for (item, _) in items {
        named(item)?;
        if !seen.insert(item) {
            return Err(ShelfError::Twice(item.clone()));
        }
    }
    Ok(())
}

fn named(item: &str) -> Result<(), ShelfError> {
    if is_name(item) { Ok(()) } else { Err(ShelfError::Name(item.chars().take(64).collect())) }
}

fn put<T: Persisted>(key: Key, value: &T, expires_at: Option<UnixTime>, expect: Expect) -> Result<Write, StoreError> {
    Ok(Write::put(key, Record::of(value, expires_at)?, expect))
}

/// Waits a little if it is worth another attempt: somebody was faster, or nobody knows whether it happened, which looking
/// again tells. Who waits for how long differs by name, so that those who met once do not meet each time.
async fn again(e: StoreError, name: &str, attempt: u32) -> Result<(), ShelfError> {
    if !matches!(e, StoreError::Conflict(_) | StoreError::Unknown(_)) {
        return Err(e.into());
    }
    let mut hasher = DefaultHasher::new();
    (name, attempt).hash(&mut hasher);
    let most = 2_u64.saturating_pow(attempt.min(16)).min(PAUSE_MS_MAX);
    let pause = hasher.finish().checked_rem(most.saturating_add(1)).unwrap_or_default();
    if pause == 0 {
        tokio::task::yield_now().await;
    } else {
        tokio::time::sleep(Duration::from_millis(pause)).await;
    }
    Ok(())
}
