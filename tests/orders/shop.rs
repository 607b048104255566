//! What the shop sells: a catalogue whose prices move, words that let something off, and a shelf, in the shop's own store or
//! another, whose answers get lost before it acts and after.

use std::sync::Arc;

use firsthand::{
    money::{Currency, Money},
    order::OrderId,
    store::{Key, Prefix, Store, StoreError, Stored, Version, Write},
    time::UnixTime,
    trade::{Catalog, Codes, Held, Hold, Inventory, Item, Off, Shelf, Trade, TradeError, Uses},
};

use crate::stage::{Stage, let_others_go_first};

/// What is sold: its name, what it costs in the beginning, and how many of it there are.
pub const ITEMS: [(&str, i64, u32); 4] = [("tin", 1000, 2), ("cup", 740, 4), ("pot", 2500, 1), ("sample", 0, 2)];
/// How long stock is held, in seconds: not much longer than until somebody looks again.
const HOLD_S: u64 = 300;
/// What is let off once, for everybody together.
pub const ONCE: &str = "once";

/// How the shop of these runs sells.
pub fn trade(stage: &Stage) -> Trade {
    let euro = |minor| Money::new(minor, Currency::EUR).unwrap();
    let words = Codes::new()
        .word(ONCE, Off::amount("A word for one", euro(300)).given(Uses::Once))
        .word("mine", Off::amount("One for each", euro(100)).given(Uses::OncePerCustomer));
    Trade::new(Currency::EUR, Prices(stage.clone())).inventory(Warehouse::new(stage)).discount(words).hold_s(HOLD_S)
}

/// Everything that there is, is put on the shelf.
pub async fn stock(stage: &Stage) {
    let (shelf, now) = (Shelf::new(Beside(stage.clone())), stage.world().now);
    for (item, _, count) in ITEMS {
        stage.world().oracle.sales.stocked.insert(item.to_owned(), u64::from(count));
        shelf.stock(item, count, now).await.expect("nothing is wrong yet");
    }
}

/// The catalogue: what things cost is what the world says.
#[derive(Clone, Debug)]
struct Prices(Stage);

impl Catalog for Prices {
    async fn items(&self, names: &[String]) -> Result<Vec<Option<Item>>, TradeError> {
        let_others_go_first().await;
        let mut world = self.0.world();
        if world.trouble && world.numbers.chance(5) {
            world.count("catalogue: silent");
            return Err(TradeError::new("catalogue", "silent on purpose"));
        }
        let actor = world.actor;
        let mut item = |name: &String| {
            let (at, (name, ..)) = ITEMS.iter().enumerate().find(|(_, (item, ..))| item == name)?;
            let minor = *world.prices.get(at)?;
            world.oracle.sales.priced(actor, name, minor);
            Some(Item::new(*name, format!("A {name}"), Money::new(minor, Currency::EUR).ok()?))
        };
        Ok(names.iter().map(&mut item).collect())
    }
}

/// An inventory far away: it counts on a shelf, and what it answers may not arrive.
#[derive(Clone, Debug)]
struct Warehouse {
    stage: Stage,
    shelf: Arc<Shelf>,
}

impl Warehouse {
    fn new(stage: &Stage) -> Self {
        Self { stage: stage.clone(), shelf: Arc::new(Shelf::new(Beside(stage.clone()))) }
    }

    /// Somebody tells it something, unless it does not arrive, or the answer does not.
    async fn told(
        &self,
        what: &'static str,
        order: &OrderId,
        act: impl Future<Output = Result<Held, TradeError>>,
    ) -> Result<Held, TradeError> {
        {
            let mut world = self.stage.world();
            let actor = world.actor;
            world.oracle.inventory_called(actor, what, order);
        }
        let_others_go_first().await;
        self.lost(what, "before")?;
        let answer = act.await;
        self.stage.note(|| format!("the inventory is told to {what} for {order}: {answer:?}"));
        let_others_go_first().await;
        self.lost(what, "after")?;
        if let Ok(held) = &answer {
            let mut world = self.stage.world();
            let actor = world.actor;
            world.oracle.inventory_answered(actor, what, order, *held == Held::All);
        }
        answer
    }

    fn lost(&self, what: &str, when: &str) -> Result<(), TradeError> {
        let mut world = self.stage.world();
        if world.trouble && world.numbers.chance(40) {
            world.count(&format!("inventory: lost {when} it acted: {what}"));
            world.note(|| format!("the answer of the inventory is lost {when} it acted: {what}"));
            return Err(TradeError::new("inventory", "lost on purpose"));
        }
        Ok(())
    }
}

impl Inventory for Warehouse {
    async fn hold(&self, hold: &Hold) -> Result<Held, TradeError> {
        let held = self.told("hold", &hold.order, self.shelf.hold(hold)).await?;
        if let Held::Short(_) = held {
            self.stage.count("inventory: too little to hold");
        }
        Ok(held)
    }

    async fn sell(&self, hold: &Hold) -> Result<Held, TradeError> {
        self.told("sell", &hold.order, self.shelf.sell(hold)).await
    }

    async fn free(&self, order: &OrderId, now: UnixTime) -> Result<(), TradeError> {
        let freed = async { self.shelf.free(order, now).await.map(|()| Held::All) };
        self.told("free", order, freed).await.map(drop)
    }

    async fn left(&self, items: &[String], now: UnixTime) -> Result<Vec<Option<u32>>, TradeError> {
        let_others_go_first().await;
        self.shelf.left(items, now).await
    }

    async fn tidy(&self, now: UnixTime) -> Result<(), TradeError> {
        self.shelf.tidy(now).await
    }
}

/// The store of the shelf: the shop's own, or one beside it, as the run has drawn.
#[derive(Clone, Debug)]
struct Beside(Stage);

impl Store for Beside {
    async fn load(&self, keys: &[Key], now: UnixTime) -> Result<Vec<Option<Stored>>, StoreError> {
        let memory = self.0.world().shelf.clone();
        self.0.load_in(&memory, keys, now).await
    }

    async fn commit(&self, writes: &[Write], now: UnixTime) -> Result<Vec<Option<Version>>, StoreError> {
        let memory = self.0.world().shelf.clone();
        self.0.commit_in(&memory, writes, now).await
    }

    async fn scan(
        &self,
        prefix: &Prefix,
        after: Option<&str>,
        limit: usize,
        now: UnixTime,
    ) -> Result<Vec<(Key, Stored)>, StoreError> {
        let memory = self.0.world().shelf.clone();
        self.0.scan_in(&memory, prefix, after, limit, now).await
    }

    async fn sweep(&self, now: UnixTime, limit: usize) -> Result<usize, StoreError> {
        let memory = self.0.world().shelf.clone();
        memory.sweep(now, limit).await
    }
}
