//! Stock, counted in the store.

mod desk;
mod records;
#[cfg(test)]
mod tests;

use std::{
    collections::HashSet,
    hash::{DefaultHasher, Hash, Hasher},
    sync::Arc,
    time::Duration,
};

use tokio::sync::{Mutex, OwnedMutexGuard};

pub use self::desk::{Count, DELIVERY_S, HeldFor, RECOUNT_S};
use self::records::{Due, Found, Holding, Look, Stage, Stock, due_key, due_prefixes, hold_key, stock_key};
use super::{Held, Hold, ITEMS_MAX, Inventory, Shortage, TradeError, is_name};
use crate::{
    money::Quantity,
    order::OrderId,
    store::{AnyStore, Expect, KEYS_MAX, Key, Persisted, Record, Store, StoreError, Write, due_at},
    time::UnixTime,
};

/// How long it is remembered that an order was sold, or that nothing is held for it any more, in seconds: longer than
/// anybody sends a thing back, or says anything again.
pub const REMEMBERED_S: u64 = 400 * 24 * 3600;

/// How often an act is tried when others change the same items in between: who is not lucky in so many attempts is told
/// to try again.
const ATTEMPTS: u32 = 60;

/// The longest pause between two attempts, in milliseconds.
const PAUSE_MS_MAX: u64 = 50;

/// How long an act waits in line on its own node, in seconds: customers wait no longer.
const LINE_S: u64 = 10;

/// How many holds are let go at most in one look at a shard.
const PAGE: usize = 100;

/// How many looks at a shard there are in one [`Inventory::tidy`]: what is due beyond that goes the next time.
const PAGES: usize = 20;

/// Stock that is counted in a [`Store`], each change by compare-and-set: on however many nodes, of a hundred pieces a
/// hundred are sold.
///
/// What was never put on the shelf is not there: none is left of it. What is sold without counting, a file say, is not for
/// the shelf: [`Item::uncounted`](super::Item::uncounted).
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
/// # Ok::<(), firsthand::trade::ShelfError>(())
/// # })?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
pub struct Shelf {
    store: AnyStore,
    /// Who met somebody else waits here for their turn, so that a rush on one item is as many attempts at once as there are
    /// nodes, and not as there are customers.
    line: Arc<Mutex<()>>,
}

/// Why the shelf did not do it: what it says to the merchant, and the source of the [`TradeError`]s that a checkout hears.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ShelfError {
    /// Too many different items in one order.
    #[error("{0} different items, at most {ITEMS_MAX} are held for one order")]
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
    /// There are not as many as whoever counted had seen: something was sold, let go or delivered meanwhile. Nothing changed.
    #[error("there are {found} by now, not as many as were seen: look, and count again")]
    Moved {
        /// How many can be had now.
        found: u64,
    },
    /// Others changed the same items all the time: it may be said again.
    #[error("others changed the same items all the time: say it again")]
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
            Self::Moved { .. } => "shelf_moved",
            Self::Busy => "shelf_busy",
            Self::Store(e) => e.code(),
        }
    }
}

impl From<ShelfError> for TradeError {
    /// Only who is too busy, or whose store does not answer, may do it later. All else is the same the next time.
    fn from(e: ShelfError) -> Self {
        match e {
            ShelfError::Busy | ShelfError::Store(_) => Self::new("inventory", e),
            _ => Self::invalid("inventory", e),
        }
    }
}

impl Shelf {
    /// A shelf whose records lie in this store: the one of the merchant, or any other.
    pub fn new(store: impl Store) -> Self {
        Self { store: AnyStore::new(store), line: Arc::default() }
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
        let (mut has_tidied, mut turn) = (false, self.turn(hold.order.as_str()));
        loop {
            let look = self.look(&hold.order, &hold.items, hold.now).await?;
            match decide(hold, &look)? {
                Step::Done(held) => return Ok(held),
                Step::Short(short, remembered) => {
                    // Before somebody is told that there is too little, what is held for nobody any more goes back.
                    let is_held = look.stock.iter().any(|stock| stock.value.held > 0);
                    if !has_tidied && is_held {
                        turn.over();
                        self.let_go(hold.now).await?;
                        has_tidied = true;
                        continue;
                    }
                    let Some(remembered) = remembered else { return Ok(Held::Short(short)) };
                    match self.store.commit(&[remembered], hold.now).await {
                        Ok(_) => return Ok(Held::Short(short)),
                        Err(e) => turn.again(e).await?,
                    }
                }
                Step::Commit(writes) => match self.store.commit(&writes, hold.now).await {
                    Ok(_) => return Ok(Held::All),
                    Err(e) => turn.again(e).await?,
                },
            }
        }
    }

    async fn free_order(&self, order: &OrderId, now: UnixTime) -> Result<(), ShelfError> {
        let mut turn = self.turn(order.as_str());
        loop {
            let look = self.look(order, &[], now).await?;
            let items = match &look.hold {
                Some((holding, _)) if holding.stage == Stage::Freed => return Ok(()),
                Some((holding, _)) => holding.items.clone(),
                None => Vec::new(),
            };
            let look = self.look(order, &items, now).await?;
            let is_same = look.hold.as_ref().is_none_or(|(holding, _)| holding.items == items);
            let commit = match is_same {
                true => self.store.commit(&look.freed(order, now)?, now).await,
                false => Err(StoreError::Conflict(hold_key(order))),
            };
            let Err(e) = commit else { return Ok(()) };
            turn.again(e).await?;
        }
    }

    /// Lets go what was held until now.
    async fn let_go(&self, now: UnixTime) -> Result<(), ShelfError> {
        let mut failed = None;
        for prefix in due_prefixes() {
            let mut after: Option<String> = None;
            for _ in 0..PAGES {
                let page = self.store.scan(&prefix, after.as_deref(), PAGE, now).await?;
                let is_last = page.len() < PAGE;
                for (key, stored) in page {
                    if due_at(&key.sort).is_some_and(|until| until > now) {
                        after = None;
                        break;
                    }
                    // One that cannot be read does not keep the others.
                    let lapsed = match stored.read::<Due>() {
                        Ok(Due { order }) => self.lapse(&order, now).await,
                        Err(e) => Err(e.into()),
                    };
                    failed = lapsed.err().or(failed);
                    after = Some(key.sort);
                }
                if is_last || after.is_none() {
                    break;
                }
            }
        }
        failed.map_or(Ok(()), Err)
    }

    /// Puts back what is held for an order, if that is over: there is no hold then, as if there had been none.
    async fn lapse(&self, order: &OrderId, now: UnixTime) -> Result<(), ShelfError> {
        let mut turn = self.turn(order.as_str());
        loop {
            let look = self.look(order, &[], now).await?;
            let Some((Holding { items, until, stage: Stage::Held, .. }, _)) = look.hold else { return Ok(()) };
            if until > now {
                return Ok(());
            }
            let look = self.look(order, &items, now).await?;
            let commit = match look.lapsed(order, &items, now)? {
                Some(writes) => self.store.commit(&writes, now).await,
                None => Err(StoreError::Conflict(hold_key(order))),
            };
            let Err(e) = commit else { return Ok(()) };
            turn.again(e).await?;
        }
    }

    const fn turn<'a>(&'a self, name: &'a str) -> Turn<'a> {
        Turn { line: &self.line, name, attempt: 0, place: None }
    }
}

/// The attempts of one act.
struct Turn<'a> {
    line: &'a Arc<Mutex<()>>,
    name: &'a str,
    attempt: u32,
    /// The head of the line, which is nobody else's until it is given up.
    place: Option<OwnedMutexGuard<()>>,
}

impl Turn<'_> {
    /// Waits until another attempt is worth it: somebody was faster, or nobody knows whether it happened, which looking
    /// again tells. First in line on this node; then, as those of other nodes are in the way, for a pause that differs by
    /// name, so that those who met once do not meet each time.
    async fn again(&mut self, e: StoreError) -> Result<(), ShelfError> {
        if !matches!(e, StoreError::Conflict(_) | StoreError::Unknown(_)) {
            return Err(e.into());
        }
        self.attempt = self.attempt.saturating_add(1);
        if self.attempt >= ATTEMPTS {
            return Err(ShelfError::Busy);
        }
        if self.place.is_none() {
            let line = Arc::clone(self.line).lock_owned();
            let place = tokio::time::timeout(Duration::from_secs(LINE_S), line).await.map_err(|_| ShelfError::Busy)?;
            self.place = Some(place);
            return Ok(());
        }
        let mut hasher = DefaultHasher::new();
        (self.name, self.attempt).hash(&mut hasher);
        let most = 2_u64.saturating_pow(self.attempt.min(16)).min(PAUSE_MS_MAX);
        let pause = hasher.finish().checked_rem(most.saturating_add(1)).unwrap_or_default();
        tokio::time::sleep(Duration::from_millis(pause)).await;
        Ok(())
    }

    /// Gives up the place in line: what follows may wait in it itself.
    fn over(&mut self) {
        self.place = None;
    }
}

/// What is to be done about a hold or a sale.
enum Step {
    /// Nothing: this is how it is.
    Done(Held),
    /// There is too little; what is to be remembered of that.
    Short(Vec<Shortage>, Option<Write>),
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
        Ok(self.let_go(now).await?)
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
            let mut of = |item: &String| is_name(item).then(|| stock.next()).flatten();
            let stock: Vec<Stock> =
                items.iter().map(|item| of(item).map_or_else(Stock::default, |it| it.value)).collect();
            // Nobody is sent away for what is held for nobody any more.
            let may_come_back = stock.iter().any(|stock| stock.left == 0 && stock.held > 0);
            if has_tidied || !may_come_back {
                return Ok(stock.iter().map(|stock| Some(records::count(stock.left))).collect());
            }
            self.let_go(now).await?;
            has_tidied = true;
        }
    }
}

/// Holds all of it, if nothing is held for the order yet; otherwise it is held on.
fn holding(hold: &Hold, look: &Look) -> Result<Step, ShelfError> {
    match &look.hold {
        None => look.taken(hold, Stage::Held),
        Some((Holding { stage: Stage::Freed, .. }, _)) => Ok(Step::Done(Held::Over)),
        Some((found, _)) if !found.is_of(&hold.items) => Err(ShelfError::OtherItems),
        Some((Holding { stage: Stage::Sold | Stage::Short, .. }, _)) => Ok(Step::Done(Held::Over)),
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
        Some((Holding { stage: Stage::Freed, .. }, _)) => Ok(Step::Done(Held::Over)),
        Some((found, _)) if !found.is_of(&hold.items) => Err(ShelfError::OtherItems),
        Some((Holding { stage: Stage::Sold, .. }, _)) => Ok(Step::Done(Held::All)),
        Some((Holding { stage: Stage::Short, short, .. }, _)) => Ok(Step::Done(Held::Short(short.clone()))),
        Some((found, _)) => look.sold(hold, found),
    }
}

fn check(items: &[(String, Quantity)]) -> Result<(), ShelfError> {
    if items.len() > ITEMS_MAX {
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
