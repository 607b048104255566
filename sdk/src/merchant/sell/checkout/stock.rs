//! What the inventory is told of orders, once they are decided: written down with the decision, and said until it is heard.

use serde::{Deserialize, Serialize};

use super::complete::{first_look, hold, is_counted};
use crate::{
    checkout::{CheckoutId, CheckoutRecord, Stage},
    error::{Error, Refusal},
    merchant::{
        Merchant, put,
        sell::{
            BY_CUSTOMER, Loaded, delivery_key, order_key,
            pay::ROUND_S,
            queue::{newest_first, shard_of},
        },
    },
    order::{Line, OrderId, OrderRecord},
    store::{Expect, Key, Persisted, Stored, Version, Write},
    time::UnixTime,
    trade::{AnyInventory, Held},
};

use super::{checkout_key, checkout_writes, due_entry, due_key, quote::coupon_key};

/// How many tasks are struck off in one commit.
const STRUCK_OFF: usize = 50;

/// Something that the inventory is to be told.
#[derive(Serialize, Deserialize)]
pub(super) struct StockTask {
    order: OrderId,
    act: StockAct,
    lines: Vec<Line>,
}

#[derive(Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum StockAct {
    /// What is held for the order is sold.
    Sell,
    /// It is let go, or put back.
    Free,
}

impl Persisted for StockTask {
    const KIND: &'static str = "stock_task";
    const SCHEMA: u16 = 1;
}

impl Merchant {
    /// What a step of an order that came from a checkout brings with it: the inventory is told, what was let off once can be
    /// let off again, and whoever keeps checkouts looks at this one.
    pub(in crate::merchant::sell) fn follow_up(
        &self,
        order: &OrderRecord,
        was: Option<&Loaded>,
        now: UnixTime,
    ) -> Result<Vec<Write>, Error> {
        let Some(from) = &order.checkout else { return Ok(Vec::new()) };
        let mut writes = Vec::new();
        let is_sold = order.is_confirmed() && was.is_none_or(|was| !was.record.is_confirmed());
        let is_over = order.state.is_over() && was.is_none_or(|was| !was.record.state.is_over());
        if !is_sold && !is_over {
            return Ok(writes);
        }
        if from.holds {
            let act = if is_over { StockAct::Free } else { StockAct::Sell };
            writes.push(task(&order.id, act, &order.lines)?);
        }
        if is_over {
            let customer = order.buyer.customer();
            if !order.is_confirmed() {
                // It never was a sale: nobody needs to know where it would have gone.
                writes.push(Write::delete(delivery_key(&order.id), Expect::Any));
            }
            writes.extend(from.coupons.iter().map(|it| Write::delete(coupon_key(it, customer), Expect::Any)));
            if let Some(customer) = customer.filter(|_| !order.is_confirmed()) {
                // It never was a sale, and is none of the customer's orders.
                let sort = newest_first(order.placed_at, &order.id);
                writes.push(Write::delete(Key::new(BY_CUSTOMER, customer.as_str(), sort), Expect::Any));
            }
        }
        writes.extend(self.follow_checkout(&from.id, order, was, now)?);
        Ok(writes)
    }

    /// The checkout follows the order that was decided: at once, if it was read with it, and otherwise when it is looked at.
    fn follow_checkout(
        &self,
        id: &CheckoutId,
        order: &OrderRecord,
        was: Option<&Loaded>,
        now: UnixTime,
    ) -> Result<Vec<Write>, Error> {
        let waiting = was.and_then(|was| was.checkout.as_ref());
        let next = waiting.and_then(|(record, version)| Some((record, record.settled(order, now)?, *version)));
        let Some((record, next, version)) = next else { return Ok(vec![due_entry(id, now)?]) };
        let mut writes = checkout_writes(&next, Some(version))?;
        if let Stage::Paying(agreed) = &record.stage {
            // If it was looked at since, its entry is another one, and is found to be past.
            writes.push(Write::delete(due_key(id, first_look(agreed)), Expect::Any));
        }
        Ok(writes)
    }

    /// The checkout that an order came from, while it waits for what becomes of the order.
    pub(in crate::merchant::sell) async fn checkout_waiting_for(
        &self,
        order: &OrderRecord,
    ) -> Result<Option<(CheckoutRecord, Version)>, Error> {
        match waiting(order) {
            Some(id) => self.load_checkout(id).await,
            None => Ok(None),
        }
    }

    /// An order with the checkout that it came from, for whoever knows the names of both.
    pub(in crate::merchant::sell) async fn wanted_with(
        &self,
        id: &OrderId,
        from: &CheckoutId,
    ) -> Result<Loaded, Error> {
        let mut found = self.0.store.load(&[order_key(id), checkout_key(from)], self.now()).await?.into_iter();
        let order = found.next().flatten().ok_or(Refusal::NoSuchOrder)?;
        let record: OrderRecord = order.read()?;
        let checkout = found.next().flatten().filter(|_| waiting(&record) == Some(from));
        let checkout = checkout.map(|stored| Ok::<_, Error>((stored.read()?, stored.version))).transpose()?;
        Ok(Loaded { record, version: order.version, checkout })
    }

    /// The write by which what may be held for an order that never was is let go.
    pub(super) fn let_go(&self, order: &OrderId, lines: &[Line]) -> Result<Option<Write>, Error> {
        let counts = self.0.trade.as_ref().is_some_and(|trade| trade.inventory.is_some());
        (counts && is_counted(lines)).then(|| task(order, StockAct::Free, lines)).transpose()
    }

    /// Tells the inventory all that it has not heard.
    pub(super) async fn tell_inventory(&self) -> Result<(), Error> {
        let (begun, mut tasks, mut heard) = (self.now(), self.queue(StockTask::KIND), Vec::new());
        while let Some((key, stored)) = tasks.next().await? {
            match self.tell_task(&key, &stored).await {
                Ok(done) => heard.extend(done),
                Err(error) => tracing::warn!(code = error.code(), "the inventory was not told"),
            }
            if heard.len() == STRUCK_OFF {
                self.strike_off(std::mem::take(&mut heard)).await?;
            }
            // The rest is told in the next round, or by the next program.
            if self.now().since_s(begun) > ROUND_S || self.is_closing() {
                break;
            }
        }
        self.strike_off(heard).await
    }

    /// Strikes off what the inventory has heard, all at once; where one of them is another task by now, one by one.
    async fn strike_off(&self, heard: Vec<Write>) -> Result<(), Error> {
        if heard.is_empty() {
            return Ok(());
        }
        if self.commit_if_first(&heard, self.now()).await? {
            return Ok(());
        }
        for one in heard {
            self.commit_if_first(&[one], self.now()).await?;
        }
        Ok(())
    }

    /// Tells the inventory what has just become of an order. What fails is told later.
    pub(in crate::merchant) async fn tell_inventory_of(&self, order: &OrderRecord) {
        if !order.checkout.as_ref().is_some_and(|from| from.holds) {
            return;
        }
        if order.state.is_over() {
            // Somebody else may want it.
            self.tell_inventory_by(&order.id).await;
        } else if let (true, Some(inventory)) = (order.is_confirmed(), self.inventory()) {
            // The customer does not wait until this is struck off; nor is what is missing theirs to hear.
            if let Some(sale) = hold(&order.id, &order.lines, 0, self.now())
                && let Err(error) = inventory.sell(&sale).await
            {
                tracing::warn!(order = %order.id, %error, "the inventory was not told now");
            }
        }
    }

    /// Tells it of one order, by its name, and strikes that off.
    pub(in crate::merchant) async fn tell_inventory_by(&self, order: &OrderId) {
        let key = task_key(order);
        let told = async {
            match self.load_one(&key).await? {
                Some(stored) => self.strike_off(self.tell_task(&key, &stored).await?.into_iter().collect()).await,
                None => Ok(()),
            }
        };
        if let Err(error) = told.await {
            tracing::warn!(%order, code = error.code(), "the inventory was not told now");
        }
    }

    /// Tells it what a task says: the write that strikes it off, unless that was a part of what came of it.
    async fn tell_task(&self, key: &Key, stored: &Stored) -> Result<Option<Write>, Error> {
        let Some(inventory) = self.inventory() else { return Ok(None) };
        let StockTask { order, act, lines } = stored.read()?;
        let at = self.now();
        // What is decided meanwhile is told next: then the task is another one by now.
        let heard = Write::delete(key.clone(), Expect::Version(stored.version));
        match act {
            StockAct::Free => inventory.free(&order, at).await?,
            StockAct::Sell => {
                let Some(sale) = hold(&order, &lines, 0, at) else { return Ok(Some(heard)) };
                let held = inventory.sell(&sale).await?;
                if held == Held::Over {
                    // Nothing is missing of what nobody is sent.
                    tracing::debug!(%order, "what was to be sold was let go meanwhile");
                }
                if let Held::Short(short) = held {
                    tracing::warn!(%order, "what was sold is not in stock any more");
                    let loaded = self.wanted(&order).await?;
                    let items = short.into_iter().map(|one| one.item).collect();
                    // An event happens when it is committed, however long the inventory took.
                    let missing = loaded.record.clone().stock_missing(items);
                    let plan = self.plan_step(missing, Some(&loaded), vec![heard])?;
                    // Who was first has told it, or changed the order: then it is told in the next round.
                    self.commit_if_first(&plan.writes, plan.at).await?;
                    return Ok(None);
                }
            }
        }
        Ok(Some(heard))
    }

    fn inventory(&self) -> Option<&AnyInventory> {
        self.0.trade.as_ref().and_then(|trade| trade.inventory.as_ref())
    }
}

/// The checkout that waits for what becomes of an order.
fn waiting(order: &OrderRecord) -> Option<&CheckoutId> {
    let from = order.checkout.as_ref().filter(|_| !order.is_confirmed() && !order.state.is_over())?;
    Some(&from.id)
}

fn task(order: &OrderId, act: StockAct, lines: &[Line]) -> Result<Write, Error> {
    let task = StockTask { order: order.clone(), act, lines: lines.to_vec() };
    Ok(put(task_key(order), &task, None, Expect::Any)?)
}

fn task_key(order: &OrderId) -> Key {
    Key::new(StockTask::KIND, shard_of(order.as_str()), order.as_str())
}
