//! What the inventory is told of orders, once they are decided: written down with the decision, and said until it is heard.

use serde::{Deserialize, Serialize};

use super::complete::hold;
use crate::{
    error::Error,
    merchant::{
        Merchant, put,
        sell::{BY_CUSTOMER, Loaded, PAGE, delivery_key, newest_first, shard_of, shards},
    },
    order::{Buyer, Line, OrderId, OrderRecord},
    store::{Expect, Key, Persisted, Prefix, Stored, Write},
    time::UnixTime,
    trade::Held,
};

use super::{due_entry, quote::coupon_key};

/// Something that the inventory is to be told.
#[derive(Serialize, Deserialize)]
struct StockTask {
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
            let customer = match &order.buyer {
                Buyer::Customer(customer) => Some(customer),
                Buyer::Guest => None,
            };
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
        writes.push(due_entry(&from.id, now)?);
        Ok(writes)
    }

    /// The write by which what may be held for an order that never was is let go.
    pub(super) fn let_go(&self, order: &OrderId, lines: &[Line]) -> Result<Option<Write>, Error> {
        let counts = self.0.trade.as_ref().is_some_and(|trade| trade.inventory.is_some());
        counts.then(|| task(order, StockAct::Free, lines)).transpose()
    }

    /// Tells the inventory all that it has not heard.
    pub(super) async fn tell_inventory(&self) -> Result<(), Error> {
        for partition in shards() {
            let prefix = Prefix { kind: StockTask::KIND, partition, sort: String::new() };
            let mut after: Option<String> = None;
            loop {
                let page = self.0.store.scan(&prefix, after.as_deref(), PAGE, self.now()).await?;
                let full = page.len() == PAGE;
                after = page.last().map(|(key, _)| key.sort.clone());
                for (key, stored) in page {
                    if let Err(error) = self.tell_task(&key, &stored).await {
                        tracing::warn!(code = error.code(), "the inventory was not told");
                    }
                }
                if !full {
                    break;
                }
            }
        }
        Ok(())
    }

    /// Tells the inventory of one order, now. What fails is told later.
    pub(in crate::merchant) async fn tell_inventory_of(&self, order: &OrderRecord) {
        if order.checkout.as_ref().is_some_and(|from| from.holds) {
            self.tell_inventory_by(&order.id).await;
        }
    }

    /// The same by its name.
    pub(in crate::merchant) async fn tell_inventory_by(&self, order: &OrderId) {
        let key = task_key(order);
        let told = async {
            match self.load_one(&key).await? {
                Some(stored) => self.tell_task(&key, &stored).await,
                None => Ok(()),
            }
        };
        if let Err(error) = told.await {
            tracing::warn!(%order, code = error.code(), "the inventory was not told now");
        }
    }

    async fn tell_task(&self, key: &Key, stored: &Stored) -> Result<(), Error> {
        let Some(inventory) = self.0.trade.as_ref().and_then(|trade| trade.inventory.as_ref()) else { return Ok(()) };
        let StockTask { order, act, lines } = stored.read()?;
        let mut at = self.now();
        // What is decided meanwhile is told next: then the task is another one by now.
        let mut writes = vec![Write::delete(key.clone(), Expect::Version(stored.version))];
        match act {
            StockAct::Free => inventory.free(&order, at).await?,
            StockAct::Sell => {
                if let Held::Short(short) = inventory.sell(&hold(&order, &lines, 0, at)).await? {
                    tracing::warn!(%order, "what was sold is not in stock any more");
                    let loaded = self.wanted(&order).await?;
                    let items = short.into_iter().map(|one| one.item).collect();
                    // An event happens when it is committed, however long the inventory took.
                    let plan = self.plan_step(loaded.record.clone().stock_missing(items), Some(&loaded), writes)?;
                    (writes, at) = (plan.writes, plan.at);
                }
            }
        }
        self.0.store.commit(&writes, at).await?;
        Ok(())
    }
}

fn task(order: &OrderId, act: StockAct, lines: &[Line]) -> Result<Write, Error> {
    let task = StockTask { order: order.clone(), act, lines: lines.to_vec() };
    Ok(put(task_key(order), &task, None, Expect::Any)?)
}

fn task_key(order: &OrderId) -> Key {
    Key::new(StockTask::KIND, shard_of(order.as_str()), order.as_str())
}
