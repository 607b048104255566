//! What must be true, worked out from what was committed, by rules of its own: it reads records and events as data and
//! asks nothing of the code that wrote them.

use std::collections::{BTreeMap, BTreeSet};

use firsthand::{
    order::{
        AdjustmentReason, Happened, Line, OrderEvent, OrderId, OrderRecord, OrderState, Part, RefundRecord, RefundState,
    },
    rail::{ActOutcome, CaptureRequest, Outcome, PaymentRequest, RefundRequest, WalletRail},
    store::{Key, Write},
    time::UnixTime,
};
use serde_json::Value;

use crate::{sales::Sales, stage::Actor};

/// An order as its events tell it.
#[derive(Clone, Debug, Default)]
pub struct Told {
    pub events: u32,
    pub total: i64,
    pub state: &'static str,
    pub received: i64,
    pub settled: i64,
    pub owed: i64,
    pub refunded: i64,
    /// What a provider took back of what had counted, and what of the price is not to come.
    pub taken_back: i64,
    /// Whether nothing may be sent before somebody looked, and whether that has to be said in this very commit.
    pub stopped: bool,
    pub stop_due: bool,
    pub taken_later: i64,
    pub waived: i64,
    /// What became of the attempts, by number from 1.
    pub attempts: Vec<String>,
    /// By what money arrived: attempts, and digests of transfers.
    pub receipts: BTreeMap<String, i64>,
    /// What goes back, and whether it has.
    pub giving: BTreeMap<String, (i64, bool)>,
    pub ever: BTreeSet<&'static str>,
    /// What was bought, by item, and what has been sent of it.
    bought: BTreeMap<String, u32>,
    sent: BTreeMap<String, u32>,
    /// Which parcels were sent, and whether they have arrived.
    parcels: BTreeMap<String, bool>,
    /// What was given up, by item; and what was withdrawn from, until it is settled.
    given_up: BTreeMap<String, u32>,
    due: BTreeMap<String, Vec<Part>>,
    /// What of it nobody sends any more: withdrawn from, or not supplied.
    kept_back: BTreeMap<String, u32>,
    /// The keys of adjustments and withdrawals.
    said: BTreeSet<String>,
    adjusted: i64,
    /// Of an order that came from a checkout: whether it is a sale, and whether what it sold was not there.
    pub confirmed: bool,
    pub missing: bool,
}

/// What is empty when nothing is left to do.
pub const QUEUES: [&str; 6] = ["order_due", "order_tried_due", "feed", "checkout_due", "stock_task", "stock_due"];

/// Everything that was committed in a run, and what was wrong with it.
#[derive(Debug, Default)]
pub struct Oracle {
    /// The store as it must be, but for what has expired.
    pub store: BTreeMap<Key, String>,
    pub orders: BTreeMap<OrderId, (OrderRecord, Told)>,
    /// In the order in which they were placed.
    pub placed: Vec<OrderId>,
    /// The order of each form that was sent.
    forms: BTreeMap<Key, String>,
    /// What a hand gave back, and a rail was told to.
    pub by_hand: BTreeSet<(OrderId, String)>,
    pub told_to_refund: BTreeSet<(OrderId, String, u32)>,
    asked_about: BTreeSet<(OrderId, String, u32)>,
    pub told_to_capture: BTreeSet<(OrderId, u32, String)>,
    captures_asked_about: BTreeSet<(OrderId, u32, String)>,
    called: BTreeSet<(OrderId, u32)>,
    /// What the feed's workers saw of each order.
    seen: BTreeMap<OrderId, u32>,
    /// Who is in the middle of a payment.
    pub paying: BTreeMap<Actor, &'static str>,
    /// For which order a transfer may count.
    pub meant: BTreeMap<String, BTreeSet<OrderId>>,
    /// What was committed of checkouts.
    pub sales: Sales,
    pub broken: Vec<String>,
    pub happened: Vec<String>,
}

impl Oracle {
    pub fn broken(&mut self, what: impl Into<String>) {
        self.broken.push(what.into());
    }

    pub fn must(&mut self, holds: bool, what: impl FnOnce() -> String) {
        if !holds {
            self.broken.push(what());
        }
    }

    /// The rail is called: from a committed record, and once.
    pub fn rail_called(&mut self, actor: Actor, payment: &PaymentRequest) {
        self.paying.insert(actor, "called");
        let committed = self.orders.get(&payment.order).is_some_and(|(order, _)| {
            order.attempts.iter().any(|a| a.number == payment.attempt && a.amount == payment.amount)
                && order.reference == payment.reference
        });
        self.must(committed, || format!("the rail is called without a committed attempt: {payment:?}"));
        let first = self.called.insert((payment.order.clone(), payment.attempt));
        self.must(first, || format!("the rail is called twice: {payment:?}"));
    }

    /// The rail is told to give something back that is owed, from a committed record. Says whether it knows of it, and
    /// does nothing new.
    pub fn refund_called(&mut self, refund: &RefundRequest) -> bool {
        let name = (refund.order.clone(), refund.key.clone(), refund.number);
        let owed = self
            .refund(&name.0, &name.1)
            .is_some_and(|owed| owed.amount == refund.amount && owed.tries >= refund.number && refund.number > 0);
        self.must(owed, || format!("the rail is to give back what nobody owes: {refund:?}"));
        let known = self.asked_about.contains(&name);
        !self.told_to_refund.insert(name) || known
    }

    /// The rail is asked about a refund: from now on it does nothing about it that it had not done.
    pub fn refund_asked_about(&mut self, refund: &RefundRequest) {
        self.asked_about.insert((refund.order.clone(), refund.key.clone(), refund.number));
    }

    /// The rail is told to capture: from a committed record, once, and no more than is authorised. Says whether it knows of
    /// it, and does nothing new.
    pub fn capture_called(&mut self, actor: Actor, capture: &CaptureRequest) -> bool {
        self.paying.insert(actor, "capture called");
        let PaymentRequest { order, attempt, amount, .. } = &capture.payment;
        let found = self.orders.get(order).and_then(|(order, _)| order.attempts.iter().find(|a| a.number == *attempt));
        let committed = found.is_some_and(|found| {
            found.amount == *amount && found.captures.iter().any(|c| c.key == capture.key && c.amount == capture.amount)
        });
        self.must(committed, || format!("the rail is to capture what nobody committed: {capture:?}"));
        let name = (order.clone(), *attempt, capture.key.clone());
        let known = self.captures_asked_about.contains(&name);
        let first = self.told_to_capture.insert(name);
        self.must(first, || format!("the rail is told to capture twice: {capture:?}"));
        known
    }

    /// The rail is asked about a capture: from now on it does nothing about it that it had not done.
    pub fn capture_asked_about(&mut self, capture: &CaptureRequest) {
        let name = (capture.payment.order.clone(), capture.payment.attempt, capture.key.clone());
        self.captures_asked_about.insert(name);
    }

    /// The rail is told to give up an authorisation: only one that its order needs nothing of any more.
    pub fn void_called(&mut self, payment: &PaymentRequest) {
        let idle = self.orders.get(&payment.order).is_some_and(|(order, _)| {
            let found = order.attempts.iter().find(|a| a.number == payment.attempt);
            found.is_some_and(|found| {
                let over = !order.state.is_open() || order.attempts.last() != Some(found);
                over && found.void.is_some() && !found.captures.iter().any(|c| c.is_open())
            })
        });
        self.must(idle, || format!("what is needed is given up: {payment:?}"));
    }

    pub fn refund(&self, order: &OrderId, key: &str) -> Option<RefundRecord> {
        let body = self.store.get(&Key::new("order_refund", order.as_str(), key))?;
        serde_json::from_str(body).ok()
    }

    /// What goes back under keys that begin so.
    pub fn giving_keys(&self, order: &OrderId, begin: &str) -> BTreeMap<String, i64> {
        let all = self.orders.get(order).into_iter().flat_map(|(_, told)| &told.giving);
        all.filter(|(key, _)| key.starts_with(begin)).map(|(key, (minor, _))| (key.clone(), *minor)).collect()
    }

    pub fn all_of<'a>(&'a self, kind: &'static str) -> impl Iterator<Item = (&'a Key, &'a String)> {
        self.store.range(Key::new(kind, "", "")..).take_while(move |(key, _)| key.kind == kind)
    }

    /// A commit happened.
    pub fn committed(&mut self, actor: Actor, writes: &[Write], now: UnixTime) {
        let (mut changed, mut events) = (None, Vec::new());
        for write in writes {
            match write {
                Write::Put { key, record, .. } => {
                    match key.kind {
                        "order" => match serde_json::from_str::<OrderRecord>(&record.body) {
                            Ok(order) => changed = Some(order),
                            Err(error) => self.broken(format!("an order cannot be read: {error}")),
                        },
                        "order_event" => match serde_json::from_str::<OrderEvent>(&record.body) {
                            Ok(event) => {
                                let fits = key.sort == format!("{:010}", event.number)
                                    && key.partition == event.order.as_str()
                                    && event.at == now
                                    && !self.store.contains_key(key);
                                self.must(fits, || format!("an event at {key:?} is {event:?}"));
                                events.push(event);
                            }
                            Err(error) => self.broken(format!("an event cannot be read: {error}")),
                        },
                        // The link of a guest's checkout leads to the last order that it tried to become.
                        "placed_draft" if read(&record.body)["content"] == "" => {}
                        "placed_draft" => {
                            let order = read(&record.body)["order"].as_str().unwrap_or_default().to_owned();
                            let before = self.forms.insert(key.clone(), order.clone());
                            let one = before.as_ref().is_none_or(|before| *before == order);
                            self.must(one, || format!("a form made two orders: {before:?} and {order}"));
                        }
                        _ => {}
                    }
                    self.store.insert(key.clone(), record.body.clone());
                }
                Write::Delete { key, .. } => drop(self.store.remove(key)),
                Write::Check { .. } => {}
            }
        }
        match changed {
            Some(order) => self.step(actor, order, &events),
            None => self.must(events.is_empty(), || format!("events without their order: {events:?}")),
        }
        self.sold(actor, writes, now);
    }

    /// An order changed: by its events alone, and by rules of its own it must be what was committed.
    fn step(&mut self, actor: Actor, order: OrderRecord, events: &[OrderEvent]) {
        let id = order.id.clone();
        let before = self.orders.get(&id).map(|(before, _)| before.clone());
        let mut told = self.orders.get(&id).map(|(_, told)| told.clone()).unwrap_or_default();
        if before.is_none() {
            self.placed.push(id.clone());
            for line in &order.lines {
                *told.bought.entry(line.item.clone()).or_default() += line.quantity.count();
            }
            let off = |line: &Line| line.discount.map_or(0, |off| off.minor());
            let price = |line: &Line| line.unit.minor() * i64::from(line.quantity.count()) - off(line);
            let sum: i64 = order.lines.iter().map(price).sum();
            self.must(sum == order.total.minor(), || format!("{id} costs {}, and its lines {sum}", order.total));
        }
        let is_new_sale = before.as_ref().is_some_and(|before| !before.is_confirmed()) && order.is_confirmed();
        if is_new_sale && told.events > 0 {
            let announced = self.is_announced(&id, told.events);
            self.must(announced, || format!("{id} is a sale, and nobody hears how it became one"));
        }
        for event in events {
            let fits = event.order == id && event.number == told.events + 1;
            self.must(fits, || format!("{event:?} after {} events", told.events));
            told.events += 1;
            if let Err(wrong) = told.next(&event.what) {
                self.broken(format!("{wrong}: {event:?} of {id}"));
            }
            // What a checkout only tries to sell is nobody's to hear.
            let announced = self.is_announced(&id, event.number);
            self.must(announced == order.is_confirmed(), || format!("announced is {announced}: {event:?}"));
            self.told(actor, &id, &told, &event.what);
        }
        // What an adjustment says goes back is owed in the same commit, all of it.
        let all = told.giving.iter().filter(|(key, _)| is_decided(key) && !key.starts_with("refund/"));
        let owed: i64 = all.map(|(_, (minor, _))| minor).sum();
        self.must(owed == told.adjusted, || format!("{id} is adjusted by {}, and owes {owed} for it", told.adjusted));
        let minor = |money: firsthand::money::Money| money.minor();
        let ledger = &order.ledger;
        let settled: i64 = ledger.settled.iter().map(|part| part.amount.minor()).sum();
        let found = (minor(ledger.received), settled, minor(ledger.owed), minor(ledger.refunded));
        let expected = (told.received, told.settled, told.owed, told.refunded);
        self.must(found == expected, || format!("the ledger of {id} is {found:?}, its events say {expected:?}"));
        self.must(ledger.is_balanced(), || format!("the ledger of {id} is not balanced: {ledger:?}"));
        self.must(found.0 == found.1 + found.2 + found.3, || format!("a cent of {id} has no place: {found:?}"));
        self.must(order.state.name() == told.state, || {
            format!("{id} is {}, its events say {}", order.state.name(), told.state)
        });
        self.must(order.events == told.events, || format!("{id} has {} events, not {}", told.events, order.events));
        for event in events {
            let Happened::CaptureBegun { attempt, .. } = &event.what else { continue };
            let Some(found) = order.attempts.iter().find(|a| a.number == *attempt) else { continue };
            let all = |open: bool| -> i64 {
                let counts =
                    found.captures.iter().filter(|c| c.is_open() || !open && c.outcome == Some(ActOutcome::Done));
                counts.map(|capture| capture.amount.minor()).sum()
            };
            self.must(all(false) <= found.amount.minor(), || {
                format!("{id} captures more than was promised: {found:?}")
            });
            let price = told.settled + all(true) <= told.total - told.waived;
            self.must(price, || format!("{id} captures more than its price: {found:?}"));
        }
        self.must(minor(order.waived) == told.waived, || format!("{id} waives {}", order.waived));
        let outcomes: Vec<String> = order.attempts.iter().map(|a| outcome_of(a.outcome.as_ref())).collect();
        self.must(outcomes == told.attempts, || format!("{id}: attempts {outcomes:?}, events say {:?}", told.attempts));
        self.sale_step(&order, &told, before.as_ref());
        if let Some(before) = before {
            let over = matches!(before.state, OrderState::Cancelled | OrderState::Expired | OrderState::Paid);
            self.must(!over || before.state == order.state, || {
                format!("{id} was {:?}, is {:?}", before.state, order.state)
            });
            let same = (&before.total, &before.reference, &before.buyer, &before.lines, before.placed_at)
                == (&order.total, &order.reference, &order.buyer, &order.lines, order.placed_at);
            self.must(same, || format!("{id} became another order"));
            self.must(!events.is_empty() || before.state == order.state && before.ledger == order.ledger, || {
                format!("{id} changed without an event")
            });
        }
        // Its places in the queues: one where something is due, and one for each amount that has to go back.
        let due: Vec<&str> = self
            .all_of("order_due")
            .chain(self.all_of("order_tried_due"))
            .map(|(key, _)| key.sort.as_str())
            .filter(|sort| sort.ends_with(id.as_str()))
            .collect();
        let expected: Vec<String> =
            due_of(&order).map(|due| format!("{:020}/{id}", due.as_secs())).into_iter().collect();
        let wrong =
            (due != expected).then(|| format!("{id} is due {due:?} in the queue, and {expected:?} in the record"));
        self.broken.extend(wrong);
        let begin = format!("{id}/");
        let owed: BTreeSet<&str> =
            self.all_of("order_owed").filter_map(|(key, _)| key.sort.strip_prefix(begin.as_str())).collect();
        let mut expected = BTreeSet::new();
        let (mut sum, mut astray) = (0, None);
        for (key, body) in self.all_of("order_refund").filter(|(key, _)| key.partition == id.as_str()) {
            let Ok(giving) = serde_json::from_str::<RefundRecord>(body) else { continue };
            if giving.state != RefundState::Done {
                expected.insert(key.sort.as_str());
                sum += giving.amount.minor();
            }
            let sending = matches!(giving.state, RefundState::Sending | RefundState::InDoubt);
            if sending != order.sending.contains(&giving.key) {
                astray = Some(format!("{id}: {giving:?} and on its way: {:?}", order.sending));
            }
        }
        let wrong = (owed != expected).then(|| format!("{id} owes {expected:?}, and the index says {owed:?}"));
        self.broken.extend(wrong);
        self.broken.extend(astray);
        // It is in the list of what there is to pack exactly while somebody keeps their word, or has paid, and something that they
        // did not give up is unsent.
        let promised = match order.state.name() {
            "paid" => true,
            // What a wallet signed is a promise to whoever executes it, and a capture in doubt outlives its authorisation.
            "authorised" => {
                order.attempts.last().is_some_and(|last| last.rail != WalletRail::ID)
                    && told.attempts.last().is_some_and(|last| last == "authorised")
            }
            _ => false,
        };
        self.must(!told.stop_due, || format!("{id} lost its money, and what is unsent is not stopped"));
        let waits = order.is_confirmed() && promised && told.has_unsent();
        let listed = self.all_of("order_stopped").filter(|(key, _)| key.sort.ends_with(id.as_str())).count();
        self.must(listed == usize::from(waits && told.stopped), || {
            format!("{id} is stopped, and listed {listed} times")
        });
        let expected = usize::from(waits && !told.stopped);
        let listed = self.all_of("order_to_send").filter(|(key, _)| key.sort.ends_with(id.as_str())).count();
        self.must(listed == expected, || format!("{id} is to be packed {expected} times, and listed {listed} times"));
        let waits = self.all_of("order_withdrawn").any(|(key, _)| key.sort == id.as_str());
        let expected = !told.due.is_empty() && !matches!(told.state, "cancelled" | "expired");
        self.must(waits == expected, || format!("{id} waits to be settled: {expected}, and the index says {waits}"));
        self.must(sum == told.owed, || format!("{id} owes {} in its ledger, and {sum} in what goes back", told.owed));
        self.orders.insert(id, (order, told));
    }

    /// What a single event means for what is around the order.
    fn told(&mut self, actor: Actor, id: &OrderId, told: &Told, what: &Happened) {
        let happened = match what {
            Happened::PaymentBegun { .. } => {
                self.paying.insert(actor, "begun");
                if told.attempts.len() > 1 { "an attempt after another" } else { "a first attempt" }
            }
            Happened::PaymentAnswered { outcome, .. } => {
                self.paying.remove(&actor);
                if actor.does == "complete" {
                    self.paying.insert(actor, "answered");
                }
                match outcome.as_str() {
                    "paid" if told.ever.contains("unknown") => "an unknown outcome that was paid",
                    "paid" => "an outcome paid",
                    "unknown" => "an outcome unknown",
                    "pending" | "authorised" | "continue" => "an outcome left open",
                    _ if told.ever.contains("unknown") => "an unknown outcome that was declined",
                    _ => "an outcome declined",
                }
            }
            Happened::Contradicted { .. } => "a contradiction",
            Happened::CaptureBegun { .. } => {
                self.paying.insert(actor, "capture begun");
                if told.receipts.is_empty() { "a capture" } else { "a capture after another" }
            }
            Happened::CaptureAnswered { outcome, .. } => {
                self.paying.remove(&actor);
                match outcome.as_str() {
                    "done" => "a capture done",
                    "unknown" | "under way" => "a capture in doubt",
                    _ => "a capture declined",
                }
            }
            Happened::AuthorisationEnded { .. } => "an authorisation ended",
            Happened::ClosedShort { .. } if actor.does == "close short" || actor.does == "settle" => "closed short",
            Happened::ClosedShort { .. } => "closed short by the end of its authorisation",
            Happened::VoidBegun { .. } => "an authorisation is given up",
            Happened::VoidAnswered { outcome, .. } => match outcome.as_str() {
                "done" => "an authorisation given up",
                "unknown" | "under way" => "a giving up in doubt",
                _ => "a giving up declined",
            },
            Happened::TakenBack { .. } => "money taken back",
            Happened::RefundTaken { .. } => "a refund that the provider took",
            Happened::SendingStopped => "sending stopped",
            Happened::SendingAllowed => "what was stopped is let go",
            Happened::Received { by, amount } => {
                if let Some(name) = by.strip_prefix("attempt-") {
                    let (attempt, key) = name.split_once('/').unwrap_or((name, ""));
                    let order = self.orders.get(id).map(|(order, _)| order);
                    let found = order.and_then(|order| order.attempts.iter().find(|a| a.number.to_string() == attempt));
                    let asked = found.and_then(|found| found.captures.iter().find(|capture| capture.key == key));
                    let parts: i64 = told.parts_of(attempt);
                    let fits = match (found, key, asked) {
                        // The rest of an attempt that was captured in parts before.
                        (Some(found), "", _) => {
                            amount.minor() == found.amount.minor() - parts.min(found.amount.minor())
                        }
                        (Some(_), _, Some(asked)) => asked.amount == *amount,
                        // At the rail's own desk.
                        (Some(_), _, None) => true,
                        (None, ..) => false,
                    };
                    self.must(fits, || format!("{id} received {amount} by {by}"));
                    if key.starts_with("desk") {
                        self.happened.push("order: money captured at the desk".to_owned());
                    }
                } else {
                    let meant = self.meant.get(by).is_some_and(|meant| meant.contains(id));
                    self.must(meant, || format!("{id} is paid by a transfer for somebody else: {by}"));
                }
                let failed = self.orders.get(id).is_some_and(|(order, _)| order.checkout.is_some()) && !told.confirmed;
                if failed && matches!(told.state, "expired" | "cancelled") {
                    self.happened.push("checkout: paid after it was opened again".to_owned());
                }
                match told.state {
                    "expired" => "money after expiry",
                    "cancelled" => "money after cancelling",
                    "paid" => "money after it was paid",
                    _ => "money for an open order",
                }
            }
            Happened::Paid if told.attempts.iter().any(|outcome| outcome.starts_with("declined")) => {
                "declined, then paid"
            }
            Happened::Paid => "paid",
            Happened::RefundOwed { key, .. } => match key.split('/').next() {
                Some("overpaid") => "an excess",
                Some("refund") => "a refund",
                Some("adjusted" | "withdrawn") => "a refund of an adjustment",
                _ => "a part owed back at the end",
            },
            Happened::RefundBegun { .. } => "a giving back",
            Happened::RefundAnswered { outcome, .. } if outcome == "unknown" => "a giving back in doubt",
            Happened::RefundAnswered { outcome, .. } if outcome.starts_with("declined") => "a giving back declined",
            Happened::RefundAnswered { .. } => "a giving back for the hand",
            Happened::Refunded { key, .. } => {
                if actor.does == "by hand" {
                    self.by_hand.insert((id.clone(), key.clone()));
                    "given by hand"
                } else if self.refund(id, key).is_some_and(|refund| refund.done_by > Some(1)) {
                    "given by the rail, told once more"
                } else {
                    "given by the rail"
                }
            }
            Happened::Placed { .. } => "placed",
            Happened::Cancelled => "cancelled",
            Happened::AccountNamed { .. } => "an account",
            Happened::Expired if told.received > 0 => "expired with a part paid",
            Happened::Expired => "expired",
            Happened::Sent { .. } => "a parcel",
            Happened::Delivered { .. } => "a parcel that arrived",
            Happened::Adjusted { reason: AdjustmentReason::Withdrawn, .. } => "a withdrawal settled",
            Happened::Adjusted { .. } => "an adjustment",
            Happened::Withdrawn { .. } => "a withdrawal",
            Happened::Confirmed => "confirmed",
            Happened::StockMissing { .. } => "stock missing",
            _ => "something else",
        };
        self.happened.push(format!("order: {happened}"));
    }

    /// Whether an entry of the feed stands for an event, and for those before it that are not told yet.
    fn is_announced(&self, order: &OrderId, number: u32) -> bool {
        let sort = format!("{order}/{number:010}");
        self.all_of("feed").any(|(key, _)| key.sort == sort)
    }

    /// A worker of the feed was given events.
    pub fn fed(&mut self, order: &OrderId, numbers: &[u32]) -> bool {
        let seen = self.seen.entry(order.clone()).or_default();
        let (mut wrong, mut again, mut last) = (false, false, None);
        for number in numbers {
            wrong |= last.is_some_and(|last| *number != last + 1) || *number > *seen + 1;
            again |= *number <= *seen;
            last = Some(*number);
            *seen = (*seen).max(*number);
        }
        self.must(!wrong, || format!("the feed of {order} skips: {numbers:?}"));
        again
    }

    /// At the end, when nothing is under way any more and nothing is left open.
    /// `truth` is what the rail took for an attempt, and what it still holds; of attempts that it lied about less is known.
    pub fn at_the_end(&mut self, truth: impl Fn(&OrderId, u32) -> (i64, i64), lied: &BTreeSet<(OrderId, u32)>) {
        for kind in QUEUES {
            let left: Vec<String> = self.all_of(kind).map(|(key, _)| key.sort.clone()).collect();
            self.must(left.is_empty(), || format!("left in {kind}: {left:?}"));
        }
        let sent: BTreeSet<&String> = self.forms.values().collect();
        let placed = self.orders.values().filter(|(order, _)| order.checkout.is_none()).count();
        let wrong = (sent.len() != self.forms.len() || sent.len() != placed)
            .then(|| format!("{} forms made {placed} orders", self.forms.len()));
        self.broken.extend(wrong);

        // Transfers: each counts where it belongs, once.
        let mut by_transfer: BTreeMap<String, i64> = BTreeMap::new();
        let (mut unmatched, mut indexed) = (BTreeSet::new(), BTreeSet::new());
        let mut wrong = Vec::new();
        for (key, body) in self.all_of("transfer") {
            let record = read(body);
            let minor = record["amount"]["minor"].as_i64().unwrap_or_default();
            if record["fate"] == "unmatched" {
                unmatched.insert(key.partition.clone());
            }
            if let Some(order) = record["fate"]["for"].as_str() {
                *by_transfer.entry(order.to_owned()).or_default() += minor;
                let told = self.orders.iter().find(|(id, _)| id.as_str() == order).map(|(_, (_, told))| told);
                if told.and_then(|told| told.receipts.get(&key.partition)) != Some(&minor) {
                    wrong.push(format!("a transfer for {order} is not in its ledger"));
                }
            }
        }
        indexed.extend(self.all_of("unmatched_transfer").map(|(key, _)| key.sort.clone()));
        if unmatched != indexed {
            wrong.push(format!("unmatched: {unmatched:?}, and in the index: {indexed:?}"));
        }
        for (id, (order, told)) in &self.orders {
            if order.state.is_open() {
                wrong.push(format!("{id} is still {:?}", order.state));
            }
            let transfers = by_transfer.get(id.as_str()).copied().unwrap_or_default();
            let mut taken = 0;
            for attempt in &order.attempts {
                let (really, held) = truth(id, attempt.number);
                let lied = lied.contains(&(id.clone(), attempt.number));
                let name = attempt.number.to_string();
                let whole = told.receipts.get(&format!("attempt-{name}")).copied().unwrap_or_default();
                let counted = whole + told.parts_of(&name);
                if counted != really && !lied || counted < really {
                    wrong.push(format!("attempt {name} of {id}: taken {really}, counted {counted}"));
                }
                if held != 0 && !lied {
                    wrong.push(format!("attempt {name} of {id}: {held} are held for ever"));
                }
                taken += counted;
            }
            if told.received != taken + transfers {
                wrong.push(format!("{id} received {}; taken {taken}, transferred {transfers}", told.received));
            }
            let refunded: i64 =
                told.giving.iter().filter(|(key, _)| is_decided(key)).map(|(_, (minor, _))| minor).sum();
            let (rest, expected) = (
                told.settled + refunded + if told.state == "paid" { told.taken_later + told.waived } else { 0 },
                if told.state == "paid" { told.total } else { 0 },
            );
            if rest != expected {
                wrong.push(format!("{id} is {} with {rest} of {}", told.state, told.total));
            }
            let heard = if order.is_confirmed() { told.events } else { 0 };
            if self.seen.get(id).copied().unwrap_or_default() != heard {
                wrong.push(format!("{id}: workers saw {:?} of {} events", self.seen.get(id), told.events));
            }
        }
        self.broken.extend(wrong);
        self.sales_at_the_end();
    }
}

impl Told {
    /// Whether something of it is still to be sent.
    fn has_unsent(&self) -> bool {
        let count = |of: &BTreeMap<String, u32>, item: &String| of.get(item).copied().unwrap_or_default();
        self.bought.iter().any(|(item, bought)| count(&self.sent, item) + count(&self.kept_back, item) < *bought)
    }

    /// What arrived by captures of an attempt.
    pub fn parts_of(&self, attempt: &str) -> i64 {
        let begin = format!("attempt-{attempt}/");
        self.receipts.iter().filter(|(by, _)| by.starts_with(&begin)).map(|(_, minor)| minor).sum()
    }

    /// The order after one event more, or why it cannot be.
    fn next(&mut self, what: &Happened) -> Result<(), &'static str> {
        let is = |holds: bool, what: &'static str| if holds { Ok(()) } else { Err(what) };
        let open = matches!(self.state, "placed" | "paying" | "authorised" | "declined" | "unknown");
        match what {
            Happened::Placed { total } => {
                is(self.events == 1, "placed again")?;
                (self.state, self.total) = ("placed", total.minor());
            }
            Happened::PaymentBegun { attempt, .. } => {
                is(matches!(self.state, "placed" | "declined"), "an attempt that may not begin")?;
                self.attempts.push("none".to_owned());
                is(usize::try_from(*attempt) == Ok(self.attempts.len()), "another attempt")?;
                self.state = "paying";
            }
            Happened::PaymentAnswered { attempt, outcome } => {
                let last = usize::try_from(*attempt) == Ok(self.attempts.len());
                let slot = self.attempts.get_mut(*attempt as usize - 1).ok_or("no such attempt")?;
                is(slot != "paid" && (!slot.starts_with("declined") || outcome == "paid"), "decided twice")?;
                slot.clone_from(outcome);
                if last && matches!(self.state, "paying" | "unknown") {
                    match outcome.as_str() {
                        "paid" => {}
                        "unknown" => self.state = "unknown",
                        "authorised" => self.state = "authorised",
                        "pending" | "continue" => self.state = "paying",
                        _ => self.state = "declined",
                    }
                }
            }
            Happened::Received { amount, by } => {
                is(self.receipts.insert(by.clone(), amount.minor()).is_none(), "received twice")?;
                self.received += amount.minor();
                if open {
                    self.settled += amount.minor().min(self.total - self.waived - self.settled);
                }
            }
            Happened::Paid => {
                is(open && self.settled == self.total - self.waived, "paid too early")?;
                self.state = "paid";
            }
            Happened::RefundOwed { key, amount } => {
                is(self.giving.insert(key.clone(), (amount.minor(), false)).is_none(), "owed twice")?;
                self.owed += amount.minor();
                if !key.starts_with("overpaid/") {
                    self.settled -= amount.minor();
                    self.stop_due = self.state == "paid" && self.settled == 0 && self.has_unsent() && !self.stopped;
                }
            }
            Happened::RefundTaken { key, amount } => {
                // A part of what was owed may be one of its own, taken out of the whole.
                if let Some((whole, _)) = key.rsplit_once('/').filter(|_| !self.giving.contains_key(key)) {
                    let giving = self.giving.get_mut(whole).ok_or("taken, and never owed")?;
                    is(giving.0 > amount.minor() && !giving.1, "more is taken than was owed")?;
                    giving.0 -= amount.minor();
                    self.giving.insert(key.clone(), (amount.minor(), true));
                } else {
                    let giving = self.giving.get_mut(key).ok_or("taken, and never owed")?;
                    is(*giving == (amount.minor(), false), "taken otherwise")?;
                    giving.1 = true;
                }
                self.owed -= amount.minor();
                self.refunded += amount.minor();
                self.taken_back += amount.minor();
            }
            Happened::SendingStopped => {
                is(self.has_unsent() && !self.stopped, "stopped, and there was nothing to stop")?;
                (self.stopped, self.stop_due) = (true, false);
            }
            Happened::SendingAllowed => {
                is(self.stopped, "let go, and it was not stopped")?;
                self.stopped = false;
            }
            Happened::Refunded { key, amount } => {
                let giving = self.giving.get_mut(key).ok_or("given back, and never owed")?;
                is(*giving == (amount.minor(), false), "given back otherwise")?;
                giving.1 = true;
                self.owed -= amount.minor();
                self.refunded += amount.minor();
            }
            Happened::Sent { parcel, lines } => {
                is(matches!(self.state, "paid" | "authorised"), "sent without a promise to pay")?;
                is(!self.stopped, "sent, and it was stopped")?;
                is(self.parcels.insert(parcel.clone(), false).is_none(), "sent twice")?;
                add(&mut self.sent, lines);
                let within = |(item, sent): (&String, &u32)| self.bought.get(item).is_some_and(|bought| sent <= bought);
                is(self.sent.iter().all(within), "more is sent than was bought")?;
            }
            Happened::Delivered { parcel } => {
                is(self.parcels.insert(parcel.clone(), true) == Some(false), "arrived, and was not on its way")?;
            }
            Happened::Withdrawn { key, lines } => {
                is(!matches!(self.state, "cancelled" | "expired"), "withdrawn from what is over")?;
                is(self.due.insert(key.clone(), lines.clone()).is_none(), "withdrawn from twice")?;
                is(self.said.insert(format!("withdrawn/{key}")), "withdrawn from again")?;
                add(&mut self.kept_back, lines);
                self.give_up(lines)?;
            }
            Happened::Adjusted { key, reason: AdjustmentReason::Withdrawn, lines, amount } => {
                is(self.due.remove(key).as_ref() == Some(lines), "settled, and not due")?;
                is(amount.minor() == 0 || self.state == "paid", "paid back before it is paid")?;
                self.adjusted += amount.minor();
            }
            Happened::Adjusted { key, reason, lines, amount } => {
                is(self.said.insert(format!("adjusted/{key}")), "adjusted twice")?;
                is(amount.minor() == 0 || self.state == "paid", "paid back before it is paid")?;
                self.adjusted += amount.minor();
                if *reason == AdjustmentReason::NotSupplied {
                    add(&mut self.kept_back, lines);
                }
                if *reason != AdjustmentReason::PriceCorrection {
                    self.give_up(lines)?;
                }
            }
            Happened::RefundBegun { key, amount } => {
                is(self.giving.get(key) == Some(&(amount.minor(), false)), "giving back otherwise")?;
            }
            Happened::CaptureBegun { attempt, .. } => {
                let last = usize::try_from(*attempt) == Ok(self.attempts.len());
                let promised =
                    last && self.state == "authorised" && self.attempts.last().is_some_and(|a| a == "authorised");
                is(promised, "a capture of what is not authorised")?;
            }
            Happened::AuthorisationEnded { attempt } => {
                let last = usize::try_from(*attempt) == Ok(self.attempts.len());
                is(last && self.state == "authorised", "the end of no authorisation")?;
                self.state = "declined";
            }
            Happened::ClosedShort { waived } => {
                let broken = matches!(self.state, "declined" | "paying") && !self.parcels.is_empty();
                is(self.state == "authorised" || broken, "closed short from where it cannot")?;
                self.waived += waived.minor();
                is(self.waived == self.total - self.settled, "waived otherwise")?;
            }
            Happened::TakenBack { amount, settled, .. } => {
                is(settled.minor() <= amount.minor(), "more is taken back than is said")?;
                self.stop_due = self.has_unsent() && !self.stopped;
                self.settled -= settled.minor();
                self.refunded += settled.minor();
                self.taken_back += settled.minor();
                if open {
                    self.waived += settled.minor();
                } else {
                    self.taken_later += settled.minor();
                }
            }
            Happened::Cancelled | Happened::Expired => {
                let may = matches!(self.state, "placed" | "paying" | "declined")
                    || self.state == "authorised" && *what == Happened::Cancelled;
                is(may, "ended from where it cannot")?;
                is(self.parcels.is_empty(), "ended, and a part of it is on its way")?;
                let in_doubt = self.attempts.last().is_some_and(|last| matches!(last.as_str(), "none" | "unknown"));
                is(!in_doubt, "ended while nobody knows whether it is paid")?;
                self.state = if *what == Happened::Cancelled { "cancelled" } else { "expired" };
            }
            Happened::Confirmed => {
                let sure = matches!(self.state, "paid" | "authorised")
                    || self.state == "paying" && self.attempts.last().is_some_and(|last| last == "pending");
                is(sure && !self.confirmed, "confirmed from where it cannot, or twice")?;
                self.confirmed = true;
            }
            Happened::StockMissing { .. } => {
                is(self.confirmed && !self.missing, "missing what was not sold, or twice")?;
                self.missing = true;
            }
            _ => {}
        }
        self.ever.insert(self.state);
        is(self.settled >= 0 && self.owed >= 0 && self.settled <= self.total, "less than nothing")
    }

    /// The customer ends up without these: never more of them than were bought.
    fn give_up(&mut self, parts: &[Part]) -> Result<(), &'static str> {
        add(&mut self.given_up, parts);
        let within = |(item, gone): (&String, &u32)| self.bought.get(item).is_some_and(|bought| gone <= bought);
        if self.given_up.iter().all(within) { Ok(()) } else { Err("more is given up than was bought") }
    }
}

fn add(to: &mut BTreeMap<String, u32>, parts: &[Part]) {
    for part in parts {
        *to.entry(part.item.clone()).or_default() += part.quantity.count();
    }
}

/// Whether it goes back because the merchant decided so.
fn is_decided(key: &str) -> bool {
    ["refund/", "adjusted/", "withdrawn/"].iter().any(|begin| key.starts_with(begin))
}

/// When an order has to be looked at: to ask about what is in doubt, and to let it expire; not before it is known how its
/// last attempt went.
fn due_of(order: &OrderRecord) -> Option<UnixTime> {
    let in_doubt = order.attempts.last().is_some_and(|last| {
        matches!(last.outcome, None | Some(Outcome::Unknown)) || last.captures.iter().any(|capture| capture.is_open())
    });
    let end = order.expires_at.filter(|_| !(in_doubt && order.inquire_at.is_some()));
    order.inquire_at.into_iter().chain(end).min()
}

fn outcome_of(outcome: Option<&Outcome>) -> String {
    match outcome {
        None => "none".to_owned(),
        Some(Outcome::Declined(code)) => format!("declined: {}", code.as_str()),
        Some(Outcome::Authorised { .. }) => "authorised".to_owned(),
        Some(Outcome::Paid) => "paid".to_owned(),
        Some(Outcome::Pending) => "pending".to_owned(),
        Some(Outcome::Continue(_)) => "continue".to_owned(),
        Some(Outcome::Unknown) => "unknown".to_owned(),
        Some(other) => format!("unheard of: {other:?}"),
    }
}

pub fn read(body: &str) -> Value {
    serde_json::from_str(body).unwrap_or_default()
}

/// A commit, for the trace.
pub fn told(writes: &[Write]) -> String {
    let mut text = "commits".to_owned();
    for write in writes {
        match write {
            Write::Put { key, record, .. } if key.kind == "order_event" => {
                text.push_str(&format!(
                    " [{} {} {}]",
                    key.partition.get(..8).unwrap_or_default(),
                    key.sort.trim_start_matches('0'),
                    read(&record.body)["what"]
                ));
            }
            Write::Put { key, record, .. } if key.kind == "order" => {
                text.push_str(&format!(
                    " {} -> {}",
                    key.partition.get(..8).unwrap_or_default(),
                    read(&record.body)["state"]
                ));
            }
            Write::Put { key, record, .. } if key.kind == "checkout" => {
                let body = read(&record.body);
                text.push_str(&format!(
                    " [{} {} {} {}]",
                    key.partition.get(..8).unwrap_or_default(),
                    body["revision"],
                    body["stage"],
                    body["failed"]
                ));
            }
            Write::Put { key, record, .. } if matches!(key.kind, "stock" | "stock_hold" | "stock_task") => {
                text.push_str(&format!(" {} {}{} {}", key.kind, key.partition, key.sort, record.body));
            }
            Write::Delete { key, .. } if matches!(key.kind, "stock_hold" | "stock_task" | "coupon_used") => {
                text.push_str(&format!(" -{} {}{}", key.kind, key.partition, key.sort));
            }
            Write::Put { key, .. }
                if matches!(
                    key.kind,
                    "feed_lease" | "transfer" | "placed_draft" | "coupon_used" | "idempotency_key" | "checkout_due"
                ) =>
            {
                text.push_str(&format!(" {}", key.kind))
            }
            Write::Delete { key, .. } if matches!(key.kind, "feed_lease" | "feed") => {
                text.push_str(&format!(" -{}", key.kind))
            }
            _ => {}
        }
    }
    text
}
