//! What must be true of checkouts, of what they sell and of what they let off: worked out from what was committed, like all
//! that the oracle says.

use std::collections::{BTreeMap, BTreeSet};

use firsthand::{
    checkout::{CheckoutId, CheckoutRecord, HOLDING_S, MessageCode, Severity, Stage},
    order::{Attempt, Buyer, OrderId, OrderRecord, OrderState},
    rail::Outcome,
    store::{Key, Write},
    time::UnixTime,
};
use serde_json::Value;

use crate::{
    oracle::{Oracle, Told, read},
    stage::Actor,
};

/// What was committed of checkouts in a run.
#[derive(Debug, Default)]
pub struct Sales {
    /// How many of each item were put on the shelf.
    pub stocked: BTreeMap<String, u64>,
    /// The checkouts as they were committed last, and until when they stay.
    pub checkouts: BTreeMap<CheckoutId, (CheckoutRecord, Option<UnixTime>)>,
    /// Which checkout agreed to which order.
    agreed: BTreeMap<OrderId, CheckoutId>,
    /// What was agreed to and given up before there was an order.
    given_up: BTreeSet<OrderId>,
    /// The order that a checkout became.
    became: BTreeMap<CheckoutId, OrderId>,
    /// Until when a key is remembered.
    keys: BTreeMap<Key, UnixTime>,
    /// What the inventory was to be told, ever.
    tasks: BTreeSet<(String, String)>,
    /// The orders of which it said that all is held.
    held: BTreeSet<OrderId>,
    /// What the catalogue told to whom, last.
    told: BTreeMap<(Actor, String), i64>,
}

impl Sales {
    /// Whether a checkout can be changed.
    pub fn is_open(&self, checkout: &CheckoutId, now: UnixTime) -> bool {
        let found = self.checkouts.get(checkout);
        found.is_some_and(|(found, until)| found.stage == Stage::Open && until.is_none_or(|until| now < until))
    }

    /// The catalogue says what something costs.
    pub fn priced(&mut self, actor: Actor, item: &str, minor: i64) {
        self.told.insert((actor, item.to_owned()), minor);
    }

    /// The order that a checkout became.
    pub fn sale_of(&self, checkout: &CheckoutId) -> Option<OrderId> {
        self.became.get(checkout).cloned()
    }
}

impl Oracle {
    /// A commit happened: what it means for checkouts and for the shelf.
    pub fn sold(&mut self, actor: Actor, writes: &[Write], now: UnixTime) {
        let (mut keys, mut tasks, mut checkout, mut placed) = (0, BTreeSet::new(), None, None);
        let (mut has_stock, mut has_due) = (false, false);
        for write in writes {
            let key = match write {
                Write::Put { key, .. } | Write::Delete { key, .. } | Write::Check { key, .. } => key,
            };
            has_stock |= matches!(key.kind, "stock" | "stock_hold");
            has_due |= key.kind == "checkout_due";
            let Write::Put { key, record, .. } = write else { continue };
            match key.kind {
                "checkout" => match serde_json::from_str::<CheckoutRecord>(&record.body) {
                    Ok(found) => checkout = Some((found, record.expires_at)),
                    Err(error) => self.broken(format!("a checkout cannot be read: {error}")),
                },
                "idempotency_key" => {
                    keys += 1;
                    let until = record.expires_at.unwrap_or(now);
                    let before = self.sales.keys.insert(key.clone(), until);
                    self.must(before.is_none_or(|until| until <= now), || format!("a key acts twice: {key:?}"));
                }
                "stock_task" => {
                    let body = read(&record.body);
                    let (order, act) = (text(&body["order"]), text(&body["act"]));
                    let late = act == "sell" && self.sales.tasks.contains(&(order.clone(), "free".to_owned()));
                    self.must(!late, || format!("what was let go is sold: {order}"));
                    let first = self.sales.tasks.insert((order.clone(), act.clone()));
                    self.must(first, || format!("the inventory is to be told twice: {act} {order}"));
                    tasks.insert((order, act));
                }
                "order_event" => {
                    let event = read(&record.body);
                    if event["number"] == 1 {
                        placed = Some(text(&event["order"]));
                    }
                }
                _ => {}
            }
        }
        let placed = placed.and_then(|id| self.orders.values().find(|(order, _)| order.id.as_str() == id).cloned());
        if let Some((order, _)) = placed.filter(|(order, _)| order.checkout.is_some()) {
            let with = checkout.as_ref().is_some_and(
                |(checkout, _)| matches!(&checkout.stage, Stage::Paying(agreed) if agreed.order == order.id),
            );
            self.must(with, || format!("{} is placed without its checkout", order.id));
        }
        if let Some((record, until)) = checkout {
            self.checkout_step(actor, record, until, keys, &tasks, now);
        }
        if has_stock {
            self.nothing_vanishes();
        }
        if has_due {
            self.nothing_is_forgotten();
        }
    }

    /// What is being completed is in the queue of whoever looks after it.
    fn nothing_is_forgotten(&mut self) {
        let queue: BTreeSet<String> =
            self.all_of("checkout_due").filter_map(|(key, _)| key.sort.split('/').nth(1).map(str::to_owned)).collect();
        let under_way = |stage: &Stage| matches!(stage, Stage::Holding(_) | Stage::Paying(_));
        let all = self.sales.checkouts.iter().filter(|(_, (checkout, _))| under_way(&checkout.stage));
        let lost = all.filter(|(id, _)| !queue.contains(id.as_str()));
        let wrong: Vec<String> =
            lost.map(|(id, _)| format!("nobody looks after {id}, and it is being completed")).collect();
        self.broken.extend(wrong);
    }

    /// Housekeeping ran, and nothing went wrong: what is decided is followed.
    pub fn all_followed(&mut self) {
        let mut wrong = Vec::new();
        for (id, (checkout, _)) in &self.sales.checkouts {
            if let Stage::Paying(agreed) = &checkout.stage
                && let Some((order, told)) = self.orders.get(&agreed.order)
                && (told.confirmed || order.state.is_over())
            {
                wrong.push(format!("{id} is still being paid, and its order is {:?}", order.state));
            }
        }
        self.broken.extend(wrong);
    }

    /// A checkout changed.
    fn checkout_step(
        &mut self,
        actor: Actor,
        record: CheckoutRecord,
        until: Option<UnixTime>,
        keys: usize,
        tasks: &BTreeSet<(String, String)>,
        now: UnixTime,
    ) {
        let id = record.id.clone();
        let before = self.sales.checkouts.get(&id).filter(|(_, until)| until.is_none_or(|until| now < until));
        let before = before.map(|(before, _)| before.clone());
        let revision = before.as_ref().map_or(0, |before| before.revision);
        self.must(record.revision == revision + 1, || format!("{id} goes from {revision} to {}", record.revision));
        let same = before.as_ref().is_some_and(|before| {
            (&before.wishes, &before.offering, &before.buyer) == (&record.wishes, &record.offering, &record.buyer)
        });
        // What was proved since it was looked at changes what is missing, and nothing that is agreed to.
        let alike = before.as_ref().is_some_and(|before| {
            (&before.wishes, &before.buyer) == (&record.wishes, &record.buyer)
                && before.offering.is_same(&record.offering)
        });
        let order = |id: &OrderId| self.orders.get(id).map(|(order, _)| order);
        let failed = record.failed.first().map(|message| message.code);
        let frees = |order: &OrderId| tasks.contains(&(order.to_string(), "free".to_owned()));
        let (holds, happened) =
            match (before.as_ref().map(|before| &before.stage), &record.stage) {
                (None, Stage::Open) => (failed.is_none(), "begun".to_owned()),
                (Some(Stage::Open), Stage::Open) => match failed {
                    Some(code) => (code == MessageCode::OfferChanged && keys == 0, format!("shown again: {code}")),
                    None => (keys == 1, "changed".to_owned()),
                },
                (Some(Stage::Open), Stage::Holding(agreed)) => {
                    let ready = record.offering.messages.iter().all(|message| {
                        !matches!(message.severity, Severity::Recoverable | Severity::RequiresBuyerInput)
                    });
                    let first = self.sales.agreed.insert(agreed.order.clone(), id.clone()).is_none();
                    if actor.does == "complete" {
                        self.paying.insert(actor, "agreed");
                    }
                    // At the prices that whoever commits this was told last.
                    let lines = &record.offering.lines;
                    let priced =
                        lines.iter().all(|l| self.sales.told.get(&(actor, l.item.clone())) == Some(&l.unit.minor()));
                    (keys == 1 && alike && ready && first && priced, "agreed".to_owned())
                }
                (Some(Stage::Holding(before)), Stage::Paying(agreed)) => {
                    let fits = order(&agreed.order).is_some_and(|order| {
                        order.lines == record.offering.lines
                            && order.total == record.offering.totals.total
                            && order.buyer == record.buyer
                            && order.checkout.as_ref().is_some_and(|from| {
                                from.id == id && from.coupons == record.offering.coupons && from.holds
                            })
                    });
                    let held = self.sales.held.contains(&agreed.order) && now.since_s(agreed.at) <= HOLDING_S;
                    (before == agreed && same && fits && held, "being paid".to_owned())
                }
                (Some(Stage::Holding(agreed)), Stage::Open) => {
                    let never = order(&agreed.order).is_none();
                    self.sales.given_up.insert(agreed.order.clone());
                    let code = failed.map_or("", MessageCode::as_str);
                    (never && same && frees(&agreed.order), format!("given up: {code}"))
                }
                (Some(Stage::Paying(agreed)), Stage::Completed { order: became }) => {
                    let confirmed = order(became).and_then(|order| order.checkout.as_ref()?.confirmed_at).is_some();
                    (agreed.order == *became && confirmed && same, "completed".to_owned())
                }
                (Some(Stage::Paying(agreed)), Stage::Open) => {
                    let over = order(&agreed.order).is_some_and(|order| {
                        order.state.is_over() && order.checkout.as_ref().is_some_and(|from| from.confirmed_at.is_none())
                    });
                    (over && same, format!("opened again: {}", failed.map_or("", MessageCode::as_str)))
                }
                (Some(Stage::Open), Stage::Canceled) => (true, "canceled".to_owned()),
                _ => (false, "something else".to_owned()),
            };
        self.must(holds, || {
            format!("a checkout became what it cannot be: {before:?}, {record:?} at {:?}", record.stage)
        });
        self.happened.push(format!("checkout: {happened}"));
        self.sales.checkouts.insert(id, (record, until));
    }

    /// An order that came from a checkout changed.
    pub fn sale_step(&mut self, order: &OrderRecord, told: &Told, before: Option<&OrderRecord>) {
        let Some(from) = &order.checkout else { return };
        let id = &order.id;
        self.must(from.confirmed_at.is_some() == told.confirmed, || format!("{id} is confirmed without its event"));
        let was = before.and_then(|before| before.checkout.as_ref());
        let stays = was.is_none_or(|was| {
            (&was.id, &was.coupons, was.holds) == (&from.id, &from.coupons, from.holds)
                && (was.confirmed_at.is_none() || was.confirmed_at == from.confirmed_at)
        });
        self.must(stays, || format!("{id} came from somewhere else: {was:?}, {from:?}"));
        self.must(self.sales.agreed.get(id) == Some(&from.id), || format!("nobody agreed to {id}"));
        if told.confirmed && was.is_none_or(|was| was.confirmed_at.is_none()) {
            let waits = |last: &Attempt| last.rail == "sepa" && last.outcome == Some(Outcome::Pending);
            let sure = matches!(order.state, OrderState::Paid | OrderState::Authorised)
                || order.state == OrderState::Paying && order.attempts.last().is_some_and(waits);
            self.must(sure, || format!("{id} is confirmed as {:?}: {:?}", order.state, order.attempts));
        }
        if told.confirmed {
            let before = self.sales.became.insert(from.id.clone(), id.clone());
            let one = before.as_ref().is_none_or(|before| before == id);
            self.must(one, || format!("{} became two orders: {before:?} and {id}", from.id));
        }
        if !order.state.is_over() && before.is_none_or(|before| !before.state.is_over()) {
            // What is let off once is let off for one order that lives.
            for coupon in from.coupons.iter().filter(|coupon| !coupon.is_per_customer()) {
                let others = self.orders.values().filter(|(other, _)| {
                    other.id != *id
                        && !other.state.is_over()
                        && other.checkout.as_ref().is_some_and(|from| from.coupons.contains(coupon))
                });
                let wrong = others.map(|(other, _)| format!("{coupon:?} is let off for {id} and {}", other.id)).next();
                self.broken.extend(wrong);
            }
        }
        let used = self.all_of("coupon_used").filter(|(_, body)| read(body)["order"] == id.as_str()).count();
        let expected = if order.state.is_over() { 0 } else { from.coupons.len() };
        self.must(used == expected, || format!("{id} is {:?} and uses up {used} of {expected}", order.state));
        if !from.coupons.is_empty() && order.state.is_over() && before.is_some_and(|before| !before.state.is_over()) {
            self.happened.push("checkout: what was let off is given back".to_owned());
        }
    }

    /// The inventory is told something: only what is decided.
    pub fn inventory_called(&mut self, actor: Actor, what: &'static str, order: &OrderId) {
        let found = self.orders.get(order).map(|(order, told)| (order.state.is_over(), told.confirmed));
        let may = match what {
            "hold" => self.sales.agreed.contains_key(order),
            "sell" => found.is_some_and(|(_, confirmed)| confirmed),
            _ => found.map_or(self.sales.given_up.contains(order), |(over, _)| over),
        };
        self.must(may, || format!("the inventory is told to {what} for {order}, which is {found:?} (over, confirmed)"));
        if actor.does == "complete" && what != "hold" {
            self.paying.insert(actor, "telling");
        }
    }

    /// The inventory has answered: of what it was told, all is there or not.
    pub fn inventory_answered(&mut self, actor: Actor, what: &'static str, order: &OrderId, all: bool) {
        if what == "hold" && all {
            self.sales.held.insert(order.clone());
        }
        if actor.does == "complete" {
            self.paying.insert(actor, if what == "hold" { "held" } else { "told" });
        }
    }

    /// What is stocked is left, held or sold.
    fn nothing_vanishes(&mut self) {
        let mut sum: BTreeMap<String, (u64, u64)> = BTreeMap::new();
        for (_, body) in self.all_of("stock_hold") {
            let hold = read(body);
            if hold["stage"] == "short" {
                continue;
            }
            for (item, count) in items(&hold) {
                let (held, sold) = sum.entry(item).or_default();
                *if hold["stage"] == "sold" { sold } else { held } += count;
            }
        }
        let mut wrong = Vec::new();
        for (key, body) in self.all_of("stock") {
            let stock = read(body);
            let (left, counted) = (stock["left"].as_u64().unwrap_or(u64::MAX), stock["held"].as_u64());
            let (held, sold) = sum.get(&key.sort).copied().unwrap_or_default();
            let stocked = self.sales.stocked.get(&key.sort).copied().unwrap_or_default();
            if counted != Some(held) || left.saturating_add(held + sold) != stocked {
                wrong.push(format!(
                    "of {stocked} {} there are {left}, {held} held ({counted:?}), {sold} sold",
                    key.sort
                ));
            }
        }
        self.broken.extend(wrong);
    }

    /// At the end, when nothing is under way any more and all times are over.
    pub fn sales_at_the_end(&mut self) {
        let mut wrong = Vec::new();
        for (id, (checkout, _)) in &self.sales.checkouts {
            match &checkout.stage {
                Stage::Holding(_) | Stage::Paying(_) => wrong.push(format!("{id} is still {:?}", checkout.stage)),
                Stage::Completed { order } if self.sales.became.get(id) != Some(order) => {
                    wrong.push(format!("{id} is completed, and {order} no sale"));
                }
                Stage::Open | Stage::Canceled if self.sales.became.contains_key(id) => {
                    wrong.push(format!("{id} is {:?}, and there is an order of it", checkout.stage));
                }
                _ => {}
            }
        }
        let holds: BTreeMap<&str, Value> =
            self.all_of("stock_hold").map(|(key, body)| (key.partition.as_str(), read(body))).collect();
        let mut sold: BTreeMap<String, u64> = BTreeMap::new();
        let listed: BTreeSet<String> =
            self.all_of("customer_order").map(|(_, body)| text(&read(body)["order"])).collect();
        for (id, (order, told)) in &self.orders {
            let stage = holds.get(id.as_str()).map(|hold| text(&hold["stage"]));
            let is_sold = told.confirmed && !order.state.is_over() && !told.missing;
            if order.checkout.is_some() && is_sold != (stage.as_deref() == Some("sold")) {
                wrong.push(format!("{id} is {}, confirmed {}, and on the shelf {stage:?}", told.state, told.confirmed));
            }
            for line in order.lines.iter().filter(|_| order.checkout.is_some() && is_sold) {
                *sold.entry(line.item.clone()).or_default() += u64::from(line.quantity.count());
            }
            let is_theirs = matches!(order.buyer, Buyer::Customer(_)) && (order.checkout.is_none() || told.confirmed);
            if is_theirs != listed.contains(id.as_str()) {
                wrong.push(format!("{id} is one of its customer's orders: {is_theirs}, and listed so: {}", !is_theirs));
            }
        }
        for (id, hold) in holds.iter().filter(|(_, hold)| hold["stage"] == "held") {
            wrong.push(format!("held for ever for {id}: {hold}"));
        }
        for (key, body) in self.all_of("stock") {
            let (stock, item) = (read(body), &key.sort);
            let stocked = self.sales.stocked.get(item).copied().unwrap_or_default();
            let sold = sold.get(item).copied().unwrap_or_default();
            if stock["held"] != 0 || stock["left"].as_u64().map(|left| left + sold) != Some(stocked) {
                wrong.push(format!("of {stocked} {item} {sold} are sold, and the shelf says {stock}"));
            }
        }
        let lives = |order: &str| {
            self.orders
                .values()
                .any(|(found, told)| found.id.as_str() == order && told.confirmed && !found.state.is_over())
        };
        let stray = self.all_of("coupon_used").filter(|(_, body)| !lives(&text(&read(body)["order"])));
        wrong.extend(stray.map(|(key, body)| format!("used up for nobody: {key:?} {body}")));
        self.broken.extend(wrong);
    }

    /// The sales of a customer.
    pub fn sales_of(&self, customer: &str) -> BTreeSet<OrderId> {
        let theirs = self.orders.values().filter(|(order, told)| {
            matches!(&order.buyer, Buyer::Customer(buyer) if buyer.as_str() == customer)
                && (order.checkout.is_none() || told.confirmed)
        });
        theirs.map(|(order, _)| order.id.clone()).collect()
    }
}

fn items(hold: &Value) -> Vec<(String, u64)> {
    let all = hold["items"].as_array().into_iter().flatten();
    all.map(|item| (text(&item[0]), item[1].as_u64().unwrap_or(u64::from(u32::MAX)))).collect()
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}
