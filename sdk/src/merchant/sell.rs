//! From a draft to an order that is paid, and from a payment that came too much back to whoever made it.
//!
//! One shape everywhere: load the order, take the transition, commit it together with what it causes; a rail is called
//! only from a record that is committed.

mod after;
mod authorise;
mod book;
mod capture;
mod checkout;
mod ending;
mod feed;
mod files;
mod form;
mod import;
#[cfg(any(feature = "sqlite", feature = "postgres"))]
mod joined;
mod list;
mod outbox;
mod pay;
mod pending;
mod queue;
mod receipt;
mod refunds;

use std::sync::Arc;

use serde::{Deserialize, Serialize};

pub(super) use self::authorise::ShownTogether;
pub(super) use self::checkout::{begun_checkout, coupons_of, customer_checkouts, said_by};
pub(super) use self::pending::Plan;
pub use self::{
    after::Adjusted,
    book::{Booking, NotATransferId, Transfer, TransferId, UnmatchedTransfer, WaitsBecause},
    checkout::{
        Basket, Checkout, Completion, GuestCheckout, IdempotencyKey, NotAnIdempotencyKey, OneTap, Tapped, Typed,
    },
    feed::{Feed, FeedBatch, FeedEvent},
    files::RefundFile,
    form::{GuestLink, NotAGuestLink},
    import::{Became, StatementLine},
    list::{NotAnOrderCursor, OrderCursor, OrderPage, OrderQuery},
    outbox::{DeadWebhook, Delivered, WEBHOOKS_MAX, Webhook},
    pending::{Committed, Pending, Provisional},
    receipt::{Bought, ShownReceipt},
    refunds::{RecentProof, Refund},
};
use self::{
    form::Form,
    pending::Witness,
    queue::{PAGE, by_time, newest_first, shard_of, shards},
};
use super::{Merchant, customer_key, put, recognise::Recognised};
use crate::{
    ask::{AskedFor, Proof},
    checkout::{CheckoutId, CheckoutRecord},
    customer::CustomerId,
    error::{Error, Refusal},
    money::Money,
    order::{
        Address, Attempt, Buyer, DeliverTo, DeliveryAddress, DeliveryRecord, DeliverySource, Draft, DraftError, Ledger,
        Line, OrderError, OrderEvent, OrderId, OrderRecord, OrderState, Placing, RefundRecord, RefundState, Step,
        Totals,
    },
    protocol::jose::base64url_encode,
    rail::Reference,
    store::{Expect, Key, Persisted, Prefix, SCAN_MAX, Stored, Version, Write},
    time::UnixTime,
};

/// What seals an address to its order.
const DELIVERY: &str = "delivery address";
/// What digests what was in a form.
const CONTENT: &str = "order content";
/// How many entries a page of orders looks at, at most.
const LOOK_MAX: usize = 2_000;

/// An order: what is stored of it, and what can be done with it.
///
/// A snapshot as it was read or committed. Whatever acts loads the order again, so an old snapshot does no harm.
#[derive(Clone, Debug)]
pub struct Order {
    merchant: Merchant,
    record: OrderRecord,
}

/// A guest's order, with the only way back to it.
#[derive(Clone, Debug)]
pub struct GuestOrder {
    /// The order.
    pub order: Order,
    /// The capability that shows it: to be given to the guest, and to nobody else.
    pub link: GuestLink,
}

/// That a form was sent, and what came of it.
#[derive(Serialize, Deserialize)]
struct PlacedDraft {
    order: OrderId,
    /// A keyed digest of what was in it.
    content: String,
}

impl Persisted for PlacedDraft {
    const KIND: &'static str = "placed_draft";
    const SCHEMA: u16 = 1;
}

/// Where an order is found: by its reference, or under its customer.
#[derive(Serialize, Deserialize)]
struct OrderEntry {
    order: OrderId,
}

impl Persisted for OrderEntry {
    const KIND: &'static str = "order_entry";
    const SCHEMA: u16 = 1;
}

const BY_REFERENCE: &str = "order_reference";
const BY_CUSTOMER: &str = "customer_order";
/// The refunds that are not done.
const OWED: &str = "order_owed";
/// The queue of what has to be done by itself.
const DUE: &str = "order_due";
/// The same for what checkouts only try to sell: however many those are, they hide no order.
const TRIED: &str = "order_tried_due";

impl Recognised {
    /// A token for a checkout form of this customer, for a hidden field: sending the form twice places one order. Good
    /// for a day.
    #[must_use]
    pub fn form(&self) -> String {
        self.merchant().make_form(Some(self.id()))
    }

    /// Places an order. The form's token makes it one order however often it is sent.
    ///
    /// The address of [`Draft::deliver_from_wallet`] goes from the wallet's answer into the order, and is erased there.
    ///
    /// # Errors
    /// - [`Error::Draft`] for what is wrong with the draft, [`Refusal::ProofNeeded`] for what it needs and was not
    ///   proved, or not lately;
    /// - [`Refusal::FormInvalid`], [`Refusal::FormExpired`]; [`Refusal::FormUsed`] if it was sent before with something
    ///   else in it.
    pub async fn place(&self, draft: Draft, form: &str) -> Result<Pending<Order>, Error> {
        let form = self.merchant().read_form(Some(self.id()), form)?;
        let input = (self.clone(), Arc::new(draft), form);
        Pending::new(self.merchant(), input, |merchant, (known, draft, form)| async move {
            merchant.plan_placing(&draft, &form, Some(&known)).await
        })
        .await
    }

    /// An order of this customer.
    ///
    /// # Errors
    /// [`Refusal::NoSuchOrder`] if there is none, or it is somebody else's.
    pub async fn order(&self, id: &OrderId) -> Result<Order, Error> {
        let order = self.merchant().order(id).await?.filter(|order| order.record.is_confirmed());
        let order = order.ok_or(Refusal::NoSuchOrder)?;
        match &order.record.buyer {
            Buyer::Customer(buyer) if buyer == self.id() => Ok(order),
            // Under a name that the customer had before two records became one.
            Buyer::Customer(buyer) if self.customer().await?.record().was_called(buyer) => Ok(order),
            _ => Err(Refusal::NoSuchOrder.into()),
        }
    }

    /// The customer's orders, the newest first: up to `limit` (at most 100), those after the order `after` if it is given.
    /// Fewer than that are all that there are, but for who has 2,000 attempts under way that are no orders yet.
    ///
    /// # Errors
    /// [`Error::Unavailable`] if the store does not answer.
    pub async fn orders(&self, after: Option<&Order>, limit: usize) -> Result<Vec<Order>, Error> {
        let merchant = self.merchant();
        let mut after = after.map(|order| newest_first(order.record.placed_at, order.id()));
        let customer = self.customer().await?;
        let former = customer.record().merged.iter().map(|merged| &merged.customer);
        let names: Vec<&CustomerId> = std::iter::once(self.id()).chain(former).collect();
        let limit = limit.min(PAGE);
        let (mut orders, mut looked) = (Vec::with_capacity(limit), 0);
        while orders.len() < limit && looked < LOOK_MAX {
            let mut found = Vec::new();
            for name in &names {
                found.extend(
                    merchant.0.store.scan(&customer_orders(name), after.as_deref(), limit, merchant.now()).await?,
                );
            }
            found.sort_by(|(one, _), (other, _)| one.sort.cmp(&other.sort));
            // No name was asked for more: what comes behind so many may not be the next.
            found.truncate(limit);
            let is_last = found.len() < limit;
            looked += found.len();
            after = found.last().map(|(key, _)| key.sort.clone());
            let page = merchant.orders_of(found).await?;
            // What a checkout only tries to become is no order of theirs yet.
            orders.extend(page.into_iter().filter(|order| order.record.is_confirmed()));
            if is_last {
                break;
            }
        }
        orders.truncate(limit);
        Ok(orders)
    }
}

impl Merchant {
    /// A token for a guest's checkout form. The page that carries it belongs to its visitor alone: send it with
    /// `Cache-Control: no-store`.
    #[must_use]
    pub fn guest_form(&self) -> String {
        self.make_form(None)
    }

    /// Places the order of somebody whom nobody asked who they are. The form's token is the capability: it makes the form
    /// one order however often it is sent, and becomes the link by which the guest finds it. Nothing else is kept of them.
    ///
    /// The route that calls this must make sure that the form came from a page of the shop: other sites can send forms,
    /// too (`firsthand_axum::SameOrigin`).
    ///
    /// # Errors
    /// As [`Recognised::place`]; [`Refusal::ProofNeeded`] for a draft that needs any proof: a guest has none.
    pub async fn place_as_guest(&self, draft: Draft, form: &str) -> Result<Pending<GuestOrder>, Error> {
        let form = self.read_form(None, form)?;
        Pending::new(self, (Arc::new(draft), form), |merchant, (draft, form)| async move {
            let link = form.guest_link();
            Ok(merchant.plan_placing(&draft, &form, None).await?.map(|order| GuestOrder { order, link }))
        })
        .await
    }

    /// The order of a guest's link.
    ///
    /// # Errors
    /// [`Refusal::NoSuchOrder`], also for an order that is a customer's by now.
    pub async fn guest_order(&self, link: &GuestLink) -> Result<Order, Error> {
        let Some(stored) = self.load_one(&guest_key(link)).await? else { return Err(Refusal::NoSuchOrder.into()) };
        let placed: PlacedDraft = stored.read()?;
        // One that a customer made theirs is found by them: a link may have come from somebody else.
        let theirs = |order: &Order| order.record.is_confirmed() && order.record.buyer.customer().is_none();
        Ok(self.order(&placed.order).await?.filter(theirs).ok_or(Refusal::NoSuchOrder)?)
    }

    /// An order by its name, whoever's it is: for the merchant's own pages and programs.
    ///
    /// # Errors
    /// [`Error::Unavailable`] if the store does not answer.
    pub async fn order(&self, id: &OrderId) -> Result<Option<Order>, Error> {
        let stored = self.load_one(&order_key(id)).await?;
        stored.map(|stored| Ok(Order { merchant: self.clone(), record: stored.read()? })).transpose()
    }

    /// An order by its number, whoever's it is: `"RF18 5390 0754 7034".parse()?`, as somebody says or types it.
    ///
    /// # Errors
    /// [`Error::Unavailable`] if the store does not answer.
    pub async fn order_by_reference(&self, reference: &Reference) -> Result<Option<Order>, Error> {
        match self.load_one(&reference_key(reference)).await? {
            Some(stored) => self.order(&read_entry(&stored)?.order).await,
            None => Ok(None),
        }
    }

    /// The orders that wait for something: not paid yet, in doubt, or with money on its way back. Up to `limit` (at most
    /// 1,000), those first for which something has to be done soonest.
    ///
    /// # Errors
    /// [`Error::Unavailable`] if the store does not answer.
    pub async fn open_orders(&self, limit: usize) -> Result<Vec<Order>, Error> {
        let first = self.first_of(DUE, limit).await?;
        self.orders_of(first).await
    }

    /// The orders that entries lead to; one that is gone is left out.
    async fn orders_of(&self, entries: Vec<(Key, Stored)>) -> Result<Vec<Order>, Error> {
        let mut keys = Vec::with_capacity(entries.len());
        for (_, stored) in &entries {
            keys.push(order_key(&read_entry(stored)?.order));
        }
        self.orders_named(keys).await
    }

    /// Decides what placing a draft means now.
    async fn plan_placing(&self, draft: &Draft, form: &Form, known: Option<&Recognised>) -> Result<Plan<Order>, Error> {
        let now = self.now();
        let sent = match known {
            Some(known) => Key::new(PlacedDraft::KIND, known.id().as_str(), form.draft()),
            None => guest_key(&form.guest_link()),
        };
        if let Some(before) = self.placed_before(&sent, draft).await? {
            return Ok(before);
        }
        // A request may have been on its way for long.
        if now >= form.until {
            return Err(Refusal::FormExpired.into());
        }
        draft.check()?;
        let proofs = self.proofs_for(draft, known).await?;
        let placing = Placing {
            id: OrderId::from_random(self.random()),
            reference: Reference::from_random(self.random()),
            buyer: known.map_or(Buyer::Guest, |known| Buyer::Customer(known.id().clone())),
            proofs,
            checkout: None,
            zone: self.time_zone(),
            at: now,
        };
        let step = OrderRecord::placed(draft, placing)?;
        let id = step.order.id.clone();
        let mut writes = Vec::new();
        if let Err(error) = self.write_delivery(draft, &id, known, now, &mut writes).await {
            // The same form, sent at the same moment, may just have taken the wallet's answer.
            return self.placed_before(&sent, draft).await?.ok_or(error);
        }
        let content = self.content_digests(draft).into_iter().next().unwrap_or_default();
        let placed = PlacedDraft { order: id.clone(), content };
        // For as long as the order: a form is one order whatever a clock does, and a guest's is the way to it.
        writes.push(put(sent, &placed, None, Expect::Absent)?);
        writes.push(entry(reference_key(&step.order.reference), &id, Expect::Absent)?);
        if let Some(known) = known {
            let sort = newest_first(now, &id);
            writes.push(entry(Key::new(BY_CUSTOMER, known.id().as_str(), sort), &id, Expect::Absent)?);
            // Somebody may forget this customer at this very moment.
            let (_, version) = self.live_record(known.id()).await?;
            writes.push(Write::check(customer_key(known.id()), Expect::Version(version)));
        }
        self.plan_step(step, None, writes)
    }

    /// What became of a form that was sent before: the same order, whatever has become of prices and proofs since.
    async fn placed_before(&self, sent: &Key, draft: &Draft) -> Result<Option<Plan<Order>>, Error> {
        let Some(stored) = self.load_one(sent).await? else { return Ok(None) };
        let placed: PlacedDraft = stored.read()?;
        if !self.content_digests(draft).contains(&placed.content) {
            return Err(Refusal::FormUsed { order: placed.order }.into());
        }
        let order = self.order(&placed.order).await?.ok_or(Refusal::NoSuchOrder)?;
        Ok(Some(Plan::nothing(order, self.now())))
    }

    /// What the draft needs and the customer has proved, lately enough for each.
    async fn proofs_for(&self, draft: &Draft, known: Option<&Recognised>) -> Result<Vec<Proof>, Error> {
        let mut proofs: Vec<Proof> = Vec::new();
        for ask in draft.asks() {
            let found = match known {
                Some(known) => known.proof(ask).await?,
                None => None,
            };
            let needed = || Refusal::ProofNeeded { ask: ask.name().to_owned(), age_s: ask.proof_age_s() };
            proofs.push(found.ok_or_else(needed)?);
        }
        if let (Some(DeliverTo::FromWallet(ask)), Some(known)) = (draft.delivery(), known)
            && !proofs.iter().any(|proof| proof.ask == *ask)
        {
            // That the wallet told the address is a part of the sale, too.
            let (record, _) = self.live_record(known.id()).await?;
            proofs.extend(record.proofs.into_iter().find(|proof| proof.ask == *ask));
        }
        Ok(proofs)
    }

    async fn write_delivery(
        &self,
        draft: &Draft,
        id: &OrderId,
        known: Option<&Recognised>,
        now: UnixTime,
        writes: &mut Vec<Write>,
    ) -> Result<(), Error> {
        let (address, source) = match draft.delivery() {
            None => return Ok(()),
            Some(DeliverTo::Typed(address)) => (address.clone(), DeliverySource::Typed),
            Some(DeliverTo::FromWallet(name)) => {
                let ask = self.declared(name).ok_or(Refusal::NoSuchAsk)?;
                let needed = Refusal::ProofNeeded { ask: name.clone(), age_s: ask.proof_age_s() };
                let Some(known) = known else { return Err(needed.into()) };
                let Some((answer, erasing)) = known.answer_to_take(ask).await? else { return Err(needed.into()) };
                let told = |wanted: &AskedFor| Address::from_verified(&answer, wanted.id());
                let fits = |address: &Address| address.check().is_ok();
                let first = ask.asked_for().first().map(told);
                let address = ask.asked_for().iter().map(told).find(fits).or(first).ok_or(needed)?;
                address.check().map_err(DraftError::from)?;
                // The values are erased when the order takes them.
                writes.push(erasing);
                (address, DeliverySource::Wallet(answer.device()))
            }
        };
        writes.push(self.delivery_write(id, &address, source, now, Expect::Absent)?);
        Ok(())
    }

    fn delivery_write(
        &self,
        id: &OrderId,
        address: &Address,
        source: DeliverySource,
        now: UnixTime,
        expect: Expect,
    ) -> Result<Write, Error> {
        let key = delivery_key(id);
        let until = now.plus_s(self.limits().delivery_kept_s);
        let record = DeliveryRecord { source, sealed: self.seal_value(DELIVERY, &key, address)?, until };
        Ok(put(key, &record, Some(until), expect)?)
    }

    /// Keyed digests of a draft's content, under the current root secret first.
    fn content_digests(&self, draft: &Draft) -> Vec<String> {
        let digests = self.0.keys.derive_all(CONTENT, draft.content().as_bytes());
        digests.iter().map(|digest| base64url_encode(digest)).collect()
    }

    /// Takes a step of a stored order: what it becomes, and all that is committed with it.
    async fn step<F>(&self, id: &OrderId, decide: F) -> Result<Pending<Order>, Error>
    where
        F: Fn(OrderRecord, UnixTime) -> Result<Option<Step>, Error> + Send + Sync + 'static,
    {
        self.step_from(None, id, decide).await
    }

    /// The same by whoever knows the checkout that it came from, and so need not look it up after the order.
    async fn step_from<F>(&self, from: Option<&CheckoutId>, id: &OrderId, decide: F) -> Result<Pending<Order>, Error>
    where
        F: Fn(OrderRecord, UnixTime) -> Result<Option<Step>, Error> + Send + Sync + 'static,
    {
        let input = (id.clone(), from.cloned(), Arc::new(decide));
        Pending::new(self, input, |merchant, (id, from, decide)| async move {
            let order = match from {
                Some(from) => merchant.wanted_with(&id, &from).await?,
                None => merchant.wanted(&id).await?,
            };
            match decide(order.record.clone(), merchant.now())? {
                Some(mut step) => {
                    merchant.name_payers(&mut step).await?;
                    merchant.plan_step(step, Some(&order), Vec::new())
                }
                None => Ok(merchant.plan_nothing_new(order.record)),
            }
        })
        .await
    }

    /// A step that was taken before.
    fn plan_nothing_new(&self, record: OrderRecord) -> Plan<Order> {
        Plan::nothing(Order { merchant: self.clone(), record }, self.now())
    }

    /// The first entries of a queue, over all of its shards, in the order of their names.
    async fn first_of(&self, kind: &'static str, limit: usize) -> Result<Vec<(Key, Stored)>, Error> {
        let limit = limit.min(SCAN_MAX);
        let mut found = Vec::new();
        for partition in shards() {
            let prefix = Prefix { kind, partition, sort: String::new() };
            found.extend(self.0.store.scan(&prefix, None, limit, self.now()).await?);
        }
        found.sort_by(|(a, _), (b, _)| a.sort.cmp(&b.sort));
        found.truncate(limit);
        Ok(found)
    }

    /// All records of a kind that lie beside an order.
    async fn all_of<T: Persisted>(&self, id: &OrderId) -> Result<Vec<T>, Error> {
        let prefix = Prefix { kind: T::KIND, partition: id.as_str().to_owned(), sort: String::new() };
        let (mut found, mut all) = (Vec::new(), self.all_in(prefix));
        while let Some((_, stored)) = all.next().await? {
            found.push(stored.read()?);
        }
        Ok(found)
    }

    /// What happened to an order, from the event `first` to `last`, as far as it is there and can be read.
    async fn events_between(&self, id: &OrderId, first: u32, last: u32) -> Result<Vec<OrderEvent>, Error> {
        let keys: Vec<Key> = (first..=last).map(|number| event_key(id, number)).collect();
        let found = self.load_all(&keys).await?;
        found.into_iter().flatten().map(|stored| Ok(stored.read::<OrderEvent>()?)).collect()
    }

    /// An order that has to be there, with the version that a step of it begins from.
    async fn wanted(&self, id: &OrderId) -> Result<Loaded, Error> {
        let stored = self.load_one(&order_key(id)).await?.ok_or(Refusal::NoSuchOrder)?;
        let record: OrderRecord = stored.read()?;
        let checkout = self.checkout_waiting_for(&record).await?;
        Ok(Loaded { record, version: stored.version, checkout })
    }

    /// The writes of a step: the order, its events, its refunds, its place in the queue, and what else belongs to it.
    /// `was` is the order that the step began from; none for a new one.
    fn plan_step(&self, step: Step, was: Option<&Loaded>, mut writes: Vec<Write>) -> Result<Plan<Order>, Error> {
        let at = self.now();
        let by_hand = self.is_paid_by_hand(&step.order);
        let step = step.follow_checkout(by_hand, at)?;
        let Step { mut order, happened, owed, changed } = step;
        writes.extend(self.follow_up(&order, was, at)?);
        order.operation = base64url_encode(&self.random::<16>());
        // Others are told of sales alone: of one that came from a checkout once it is one, and then from the beginning.
        let is_told = order.is_confirmed();
        if is_told && order.events > 0 && was.is_some_and(|was| !was.record.is_confirmed()) {
            writes.extend(self.past_entries(&order.id, 1, order.events, at)?);
        }
        for what in happened {
            order.events = order.events.saturating_add(1);
            let event = OrderEvent { order: order.id.clone(), number: order.events, at, what };
            writes.push(put(event_key(&order.id, event.number), &event, None, Expect::Absent)?);
            if is_told {
                writes.extend(self.feed_entry(&order.id, event.number, event.number)?);
                writes.extend(self.outbox(&event)?);
            }
        }
        for refund in owed {
            writes.push(put(refund_key(&order.id, &refund.key), &refund, None, Expect::Absent)?);
            writes.push(entry(owed_key(&order.id, &refund.key), &order.id, Expect::Any)?);
        }
        for refund in changed {
            match refund.state {
                RefundState::Done => writes.push(Write::delete(owed_key(&order.id, &refund.key), Expect::Any)),
                // One that was done may have come back.
                RefundState::Owed => writes.push(entry(owed_key(&order.id, &refund.key), &order.id, Expect::Any)?),
                RefundState::Sending | RefundState::InDoubt | RefundState::ByHand => {}
            }
            // The order's version guards its refunds: whoever changes one changes both.
            writes.push(put(refund_key(&order.id, &refund.key), &refund, None, Expect::Any)?);
        }
        let (was_due, due) = (was.and_then(|was| due_key(&was.record)), due_key(&order));
        if due != was_due {
            writes.extend(was_due.map(|due| Write::delete(due, Expect::Any)));
            if let Some(due) = due {
                writes.push(entry(due, &order.id, Expect::Any)?);
            }
        }
        writes.extend(after::settlement_write(&order, was.map(|was| &was.record))?);
        writes.extend(after::sending_writes(&order, was.map(|was| &was.record))?);
        writes.extend(ending::ending_write(&order, was, at)?);
        // What a checkout only tries to sell is in no list.
        let shown = |record: &OrderRecord| record.is_confirmed().then_some(record.state);
        if order.is_confirmed() && was.and_then(|was| shown(&was.record)) != Some(order.state) {
            writes.push(list::listed(&order)?);
        }
        let key = order_key(&order.id);
        let expect = was.map_or(Expect::Absent, |was| Expect::Version(was.version));
        writes.push(put(key.clone(), &order, None, expect)?);
        let witness = Some(Witness { key, operation: order.operation.clone() });
        Ok(Plan { writes, value: Order { merchant: self.clone(), record: order }, witness, at })
    }
}

impl Merchant {
    /// The entries by which others are told what happened to an order before, from the event `first` to `last`: one for each
    /// of them, however many events there are.
    fn past_entries(&self, order: &OrderId, first: u32, last: u32, at: UnixTime) -> Result<Vec<Write>, Error> {
        let mut writes = self.outbox_of_past(order, first, last, at)?;
        writes.extend(self.feed_entry(order, first, last)?);
        Ok(writes)
    }

    /// Whether the customer pays an order by hand, as by a transfer: all that the rail can do is done then.
    fn is_paid_by_hand(&self, order: &OrderRecord) -> bool {
        let by_hand = || {
            let attempt = order.last_attempt()?;
            let rail = self.rail(&attempt.rail).ok()?;
            rail.transfer(&pay::payment(order, attempt.number)?, order.outstanding().ok()?)
        };
        by_hand().is_some()
    }
}

/// An order as it was read, to take a step from.
struct Loaded {
    record: OrderRecord,
    version: Version,
    /// The checkout that is completed or opened again in the commit that decides the order, while that is to come.
    checkout: Option<(CheckoutRecord, Version)>,
}

impl Order {
    /// Its name.
    #[must_use]
    pub const fn id(&self) -> &OrderId {
        &self.record.id
    }

    /// The order's number: what a payer quotes, what people call it, and by which the merchant finds it
    /// ([`Merchant::order_by_reference`]). A person reads [`Reference::printed`].
    #[must_use]
    pub const fn reference(&self) -> &Reference {
        &self.record.reference
    }

    /// Who bought.
    #[must_use]
    pub const fn buyer(&self) -> &Buyer {
        &self.record.buyer
    }

    /// What was bought.
    #[must_use]
    pub fn lines(&self) -> &[Line] {
        &self.record.lines
    }

    /// What it costs.
    #[must_use]
    pub const fn total(&self) -> Money {
        self.record.total
    }

    /// What it adds up to: prices, what was let off, what it costs to send it, and tax.
    ///
    /// # Errors
    /// Never for an order that this library placed.
    pub fn totals(&self) -> Result<Totals, Error> {
        Ok(self.record.totals().map_err(OrderError::from)?)
    }

    /// Where it stands.
    #[must_use]
    pub const fn state(&self) -> OrderState {
        self.record.state
    }

    /// What was proved for it.
    #[must_use]
    pub fn proofs(&self) -> &[Proof] {
        &self.record.proofs
    }

    /// When it was placed.
    #[must_use]
    pub const fn placed_at(&self) -> UnixTime {
        self.record.placed_at
    }

    /// When it expires unless it is paid.
    #[must_use]
    pub const fn expires_at(&self) -> Option<UnixTime> {
        self.record.expires_at
    }

    /// The attempts to pay it, the latest last.
    #[must_use]
    pub fn attempts(&self) -> &[Attempt] {
        &self.record.attempts
    }

    /// Where the money is.
    #[must_use]
    pub const fn ledger(&self) -> &Ledger {
        &self.record.ledger
    }

    /// What is still to be paid; nothing if it is over.
    #[must_use]
    pub fn outstanding(&self) -> Money {
        let nothing = Money::zero(self.record.total.currency());
        if self.record.state.is_open() { self.record.outstanding().unwrap_or(self.record.total) } else { nothing }
    }

    /// The record, as it is stored.
    #[must_use]
    pub const fn record(&self) -> &OrderRecord {
        &self.record
    }

    /// The order as it is now.
    ///
    /// # Errors
    /// [`Refusal::NoSuchOrder`] if it never was committed.
    pub async fn reload(&self) -> Result<Self, Error> {
        let record = self.merchant.wanted(self.id()).await?.record;
        Ok(Self { merchant: self.merchant.clone(), record })
    }

    /// Where it goes: none if that was never said, or is erased by now.
    ///
    /// # Errors
    /// [`Error::Misuse`] if it was sealed under a root that is not in the keys any more.
    pub async fn delivery(&self) -> Result<Option<DeliveryAddress>, Error> {
        let key = delivery_key(self.id());
        let Some(stored) = self.merchant.load_one(&key).await? else { return Ok(None) };
        let record: DeliveryRecord = stored.read()?;
        let address = self.merchant.open_value(DELIVERY, &key, &record.sealed)?;
        Ok(Some(DeliveryAddress::new(address, record.source, record.until)))
    }

    /// What happened to it, in order.
    ///
    /// # Errors
    /// [`Error::Unavailable`] if the store does not answer.
    pub async fn events(&self) -> Result<Vec<OrderEvent>, Error> {
        self.merchant.all_of(self.id()).await
    }

    /// Calls the order off; what was paid of it is owed back, and what is authorised is given up, by [`Order::release`] or by
    /// [housekeeping](Merchant::housekeeping). Calling it off twice is calling it off once.
    ///
    /// # Errors
    /// [`Error::Order`] if it is paid (refund it), has expired, or a rail has not answered yet, or nobody knows what it
    /// did. An order that waits for a transfer, or is authorised, can be called off.
    pub async fn cancel(&self) -> Result<Pending<Self>, Error> {
        self.merchant.step(self.id(), |order, now| Ok(order.cancelled(now)?)).await
    }

    /// Sends the order to another address. Whoever asks for it has just shown their wallet. What came from a checkout was priced
    /// for its country and postal code, and goes to another address there.
    ///
    /// # Errors
    /// [`OrderError::AddressElsewhere`] if its price was for another place: let the merchant decide;
    /// [`Refusal::NoSuchOrder`] if it is another customer's; [`Error::Draft`] for an address that is none;
    /// [`Error::Order`] if it goes nowhere any more.
    pub async fn change_address(&self, proof: &RecentProof, address: Address) -> Result<Pending<Self>, Error> {
        proof.check_owner(self)?;
        if self.record.checkout.is_some() {
            let known = self.delivery().await?;
            // Where nobody knows any more what place it was priced for, the merchant decides.
            let is_there = known.is_some_and(|known| {
                let known = known.for_label();
                known.country == address.country && known.postal_code == address.postal_code
            });
            if !is_there {
                return Err(OrderError::AddressElsewhere.into());
            }
        }
        self.change_address_as_merchant(address).await
    }

    /// The same, as the customer told the merchant in person or by letter: the way for guests.
    ///
    /// # Errors
    /// As [`Order::change_address`].
    pub async fn change_address_as_merchant(&self, address: Address) -> Result<Pending<Self>, Error> {
        address.check().map_err(DraftError::from)?;
        let input = (self.id().clone(), Arc::new(address));
        Pending::new(&self.merchant, input, |merchant, (id, address)| async move {
            let order = merchant.wanted(&id).await?;
            let step = order.record.clone().address_changed()?;
            let now = merchant.now();
            let delivery = merchant.delivery_write(&id, &address, DeliverySource::Typed, now, Expect::Any)?;
            merchant.plan_step(step, Some(&order), vec![delivery])
        })
        .await
    }
}

fn order_key(id: &OrderId) -> Key {
    Key::new(OrderRecord::KIND, id.as_str(), "")
}

fn delivery_key(id: &OrderId) -> Key {
    Key::new(DeliveryRecord::KIND, id.as_str(), "")
}

fn event_key(id: &OrderId, number: u32) -> Key {
    Key::new(OrderEvent::KIND, id.as_str(), format!("{number:010}"))
}

fn refund_key(id: &OrderId, key: &str) -> Key {
    Key::new(RefundRecord::KIND, id.as_str(), key)
}

fn owed_key(id: &OrderId, key: &str) -> Key {
    Key::new(OWED, shard_of(id.as_str()), format!("{id}/{key}"))
}

fn guest_key(link: &GuestLink) -> Key {
    Key::new(PlacedDraft::KIND, link.digest(), "")
}

fn reference_key(reference: &Reference) -> Key {
    Key::new(BY_REFERENCE, reference.as_str(), "")
}

/// Where an order waits for what has to be done by itself, if anything has.
fn due_key(order: &OrderRecord) -> Option<Key> {
    // What a checkout only tries to sell is nobody's business yet, unless nobody knows whether it was paid.
    let waits = order.is_confirmed() || order.state == OrderState::Unknown;
    let queue = if waits { DUE } else { TRIED };
    order.wake_at().map(|due| Key::new(queue, shard_of(order.id.as_str()), by_time(due, &order.id)))
}

fn entry(key: Key, order: &OrderId, expect: Expect) -> Result<Write, Error> {
    Ok(put(key, &OrderEntry { order: order.clone() }, None, expect)?)
}

fn read_entry(stored: &Stored) -> Result<OrderEntry, Error> {
    Ok(stored.read()?)
}

pub(super) fn customer_orders(customer: &CustomerId) -> Prefix {
    Prefix { kind: BY_CUSTOMER, partition: customer.as_str().to_owned(), sort: String::new() }
}

pub(super) fn customer_drafts(customer: &CustomerId) -> Prefix {
    Prefix { kind: PlacedDraft::KIND, partition: customer.as_str().to_owned(), sort: String::new() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        money::{Currency, Quantity},
        order::{BankAccount, Happened, RefundReason},
        rail::{Outcome, RefundOutcome, Sepa},
        store::Memory,
        testing::{FakeRail, Mood, TestShop, faulty::Faulty},
    };

    fn draft() -> Draft {
        let price = Money::parse("14.80", Currency::EUR).unwrap();
        Draft::new(Currency::EUR).line("sencha", "Sencha", price, Quantity::new(2).unwrap())
    }

    fn shop(rail: &FakeRail) -> TestShop {
        let sepa = Sepa::new("Blatt und Rebe", "DE89370400440532013000").unwrap();
        TestShop::with(|shop| shop.store(Memory::new()).rail(rail.clone()).rail(sepa).feed())
    }

    async fn placed(merchant: &Merchant) -> Order {
        let form = merchant.guest_form();
        merchant.place_as_guest(draft(), &form).await.unwrap().commit().await.unwrap().order
    }

    #[tokio::test]
    async fn what_is_owed_is_read_in_one_go() {
        let store = Faulty::new(Memory::new());
        let shop = TestShop::with(|shop| shop.store(store.clone()).rail(FakeRail::new()));
        for _ in 0..5 {
            let order = placed(shop.merchant()).await.pay(FakeRail::ID).await.unwrap();
            order.refund(order.total(), "broken").await.unwrap().commit().await.unwrap();
        }
        let before = store.calls();
        assert_eq!(shop.merchant().open_refunds(100).await.unwrap().len(), 5);
        assert_eq!(
            store.calls() - before,
            u64::from(queue::SHARDS) + 1,
            "a scan of each shard, and all that they name"
        );
    }

    #[tokio::test]
    async fn a_guest_buys_declined_once_and_is_refunded() {
        let rail = FakeRail::new();
        let shop = shop(&rail);
        let merchant = shop.merchant();
        let form = merchant.guest_form();
        let first = merchant.place_as_guest(draft(), &form).await.unwrap().commit().await.unwrap();
        let again = merchant.place_as_guest(draft(), &form).await.unwrap().commit().await.unwrap();
        assert_eq!(first.order.id(), again.order.id());
        rail.next(Mood::Declines);
        let order = first.order.pay(FakeRail::ID).await.unwrap();
        assert_eq!(order.state(), OrderState::Declined);
        let order = order.pay(FakeRail::ID).await.unwrap();
        assert_eq!(order.state(), OrderState::Paid);
        assert_eq!(rail.taken_minor(order.id()), 2960);
        let five = Money::parse("5.00", Currency::EUR).unwrap();
        order.refund(five, "broken").await.unwrap().commit().await.unwrap();
        let owed = merchant.open_refunds(10).await.unwrap();
        assert_eq!((owed.len(), owed[0].reason()), (1, RefundReason::Requested));
        let order = owed[0].send().await.unwrap();
        assert_eq!(order.ledger().refunded, five);
        assert!(order.ledger().is_balanced() && merchant.open_refunds(10).await.unwrap().is_empty());
        assert_eq!(merchant.guest_order(&first.link).await.unwrap().id(), order.id());
        assert_eq!(merchant.open_orders(10).await.unwrap().len(), 0);
        let feed = merchant.feed();
        let delivery = feed.next().await.unwrap().unwrap();
        assert_eq!(delivery.events.len(), usize::try_from(order.record().events).unwrap());
        delivery.done().await.unwrap().commit().await.unwrap();
        assert!(feed.next().await.unwrap().is_none());
    }

    #[tokio::test]
    async fn a_transfer_is_booked_in_parts_too_much_and_too_late() {
        let rail = FakeRail::new();
        let shop = shop(&rail);
        let merchant = shop.merchant();
        let order = placed(merchant).await.pay("sepa").await.unwrap();
        assert_eq!(order.state(), OrderState::Paying);
        let transfer = |id: &str, amount: &str, text: &str| Transfer {
            id: id.parse().unwrap(),
            amount: Money::parse(amount, Currency::EUR).unwrap(),
            text: text.to_owned(),
            payer: Some(BankAccount::from_statement("Erika", "DE89370400440532013000".parse().unwrap())),
        };
        let text = format!("Ihre Bestellung {}", order.reference().printed());
        for _ in 0..2 {
            let booked = merchant.book_transfer(transfer("1", "20", &text)).await.unwrap().commit().await.unwrap();
            let Booking::For(order) = booked else { panic!("matched") };
            assert_eq!(order.outstanding().decimal(), "9.60");
        }
        merchant.book_transfer(transfer("2", "10", &text)).await.unwrap().commit().await.unwrap();
        let order = order.reload().await.unwrap();
        assert_eq!(order.state(), OrderState::Paid);
        assert_eq!(order.ledger().owed.decimal(), "0.40");
        let order = order.refunds().await.unwrap()[0].send().await.unwrap();
        let refund = order.refunds().await.unwrap().remove(0);
        assert_eq!(refund.state(), RefundState::ByHand);
        let order = refund.sent_by_hand().await.unwrap().commit().await.unwrap();
        assert!(order.ledger().owed.is_zero());

        let late = placed(merchant).await.pay("sepa").await.unwrap();
        shop.advance_s(30 * 24 * 3600);
        merchant.bring_orders_up_to_date().await.unwrap();
        assert_eq!(late.reload().await.unwrap().state(), OrderState::Expired);
        merchant
            .book_transfer(transfer("3", "29.60", late.reference().as_str()))
            .await
            .unwrap()
            .commit()
            .await
            .unwrap();
        let late = late.reload().await.unwrap();
        assert_eq!((late.state(), late.ledger().owed.decimal()), (OrderState::Expired, "29.60".to_owned()));
        let booked = merchant.book_transfer(transfer("4", "1", "hello")).await.unwrap().commit().await.unwrap();
        assert!(matches!(booked, Booking::Unmatched(_)));
        assert_eq!(merchant.unmatched_transfers(10).await.unwrap().len(), 1);
    }

    #[tokio::test]
    async fn one_cent_with_somebodys_reference_draws_no_refund() {
        let shop = shop(&FakeRail::new());
        let merchant = shop.merchant();
        let transfer = |id: &str, amount: &str, text: &str, iban: &str| Transfer {
            id: id.parse().unwrap(),
            amount: Money::parse(amount, Currency::EUR).unwrap(),
            text: text.to_owned(),
            payer: Some(BankAccount::from_statement("Somebody \u{1F377}", iban.parse().unwrap())),
        };
        let (buyer, other) = ("DE89370400440532013000", "GB82WEST12345698765432");
        let book = async |transfer| merchant.book_transfer(transfer).await.unwrap().commit().await.unwrap();
        let account = async |order: &Order, reason| {
            let refunds = order.refunds().await.unwrap();
            let found = refunds.iter().find(|refund| refund.reason() == reason).unwrap();
            found.account().unwrap().map(|account| account.iban().as_str().to_owned())
        };
        let all = Money::parse("29.60", Currency::EUR).unwrap();

        let order = placed(merchant).await.pay("sepa").await.unwrap();
        let text = order.reference().as_str();
        book(transfer("1", "29.60", text, buyer)).await;
        book(transfer("2", "0.01", text, other)).await;
        order.refund(all, "returned").await.unwrap().commit().await.unwrap();
        assert_eq!(account(&order, RefundReason::Requested).await.as_deref(), Some(buyer));
        assert_eq!(account(&order, RefundReason::Overpaid).await.as_deref(), Some(other));

        // Two accounts paid one order: nobody guesses whose the refund is, until the merchant says it.
        let order = placed(merchant).await.pay("sepa").await.unwrap();
        let text = order.reference().as_str();
        book(transfer("3", "9.60", text, buyer)).await;
        book(transfer("4", "20", text, other)).await;
        order.refund(all, "returned").await.unwrap().commit().await.unwrap();
        assert_eq!(account(&order, RefundReason::Requested).await, None);
        let refund = order.refunds().await.unwrap().remove(0);
        assert_eq!(refund.sent_by_hand().await.unwrap_err().code(), "refund_not_begun", "the account is not settled");
        let named = BankAccount::new("Erika Mustermann", buyer.parse().unwrap()).unwrap();
        refund.name_account(named.clone()).await.unwrap().commit().await.unwrap();
        refund.send().await.unwrap();
        assert_eq!(refund.name_account(named).await.unwrap_err().code(), "already_refunded");
        let order = refund.sent_by_hand().await.unwrap().commit().await.unwrap();
        assert_eq!(order.ledger().refunded, all);

        // Cancelled half paid: back to who paid, without a question.
        let order = placed(merchant).await.pay("sepa").await.unwrap();
        book(transfer("5", "9.60", order.reference().as_str(), buyer)).await;
        order.cancel().await.unwrap().commit().await.unwrap();
        assert_eq!(account(&order, RefundReason::OrderEnded).await.as_deref(), Some(buyer));
    }

    #[tokio::test]
    async fn what_no_rail_can_tell_any_more_the_merchant_decides() {
        let rail = FakeRail::new();
        let shop = shop(&rail);
        let merchant = shop.merchant();
        rail.next(Mood::Says(Outcome::Unknown));
        let order = placed(merchant).await.pay(FakeRail::ID).await.unwrap();
        assert_eq!(order.state(), OrderState::Unknown);
        assert_eq!(order.cancel().await.unwrap_err().code(), "payment_in_doubt");
        let order = order.decide(1, false).await.unwrap().commit().await.unwrap();
        assert_eq!(order.state(), OrderState::Declined);
        assert_eq!(order.decide(1, true).await.unwrap_err().code(), "not_in_doubt");
        let order = order.pay(FakeRail::ID).await.unwrap();
        assert_eq!(order.state(), OrderState::Paid);

        order.refund(order.total(), "all").await.unwrap().commit().await.unwrap();
        rail.next(Mood::Says(Outcome::Unknown));
        let refund = order.refunds().await.unwrap().remove(0);
        refund.send().await.unwrap();
        assert_eq!(refund.sent_by_hand().await.unwrap_err().code(), "payment_in_doubt");
        let order = refund.decide(true).await.unwrap().commit().await.unwrap();
        assert_eq!(order.ledger().refunded, order.total());
        assert!(order.ledger().is_balanced() && merchant.open_refunds(1).await.unwrap().is_empty());
    }

    #[tokio::test]
    async fn a_refund_that_is_said_to_be_done_late_is_done_once() {
        let rail = FakeRail::new();
        let shop = shop(&rail);
        let order = placed(shop.merchant()).await.pay(FakeRail::ID).await.unwrap();
        order.refund(order.total(), "all").await.unwrap().commit().await.unwrap();
        let (now, order) = (shop.merchant().now(), order.reload().await.unwrap().record);
        let owed = shop.merchant().open_refunds(1).await.unwrap().remove(0);
        let refund = shop.merchant().all_of::<RefundRecord>(owed.order().id()).await.unwrap().remove(0);
        let begun = order.refund_sending(refund, now).unwrap();
        let declined = RefundOutcome::Declined("never_arrived".into());
        let step = begun.order.refund_answered(begun.changed[0].clone(), 1, &declined, now).unwrap().unwrap();
        assert_eq!(step.changed[0].state, RefundState::Owed);
        // The first call was only slow.
        let step = step.order.refund_answered(step.changed[0].clone(), 1, &RefundOutcome::Done, now).unwrap().unwrap();
        assert_eq!(step.changed[0].state, RefundState::Done);
        assert!(step.order.ledger.owed.is_zero() && step.order.ledger.is_balanced());
        assert!(step.order.clone().refund_answered(step.changed[0].clone(), 1, &declined, now).unwrap().is_none());
        // Said of another time, it went back twice: that is written down, once.
        let other = step.order.refund_answered(step.changed[0].clone(), 2, &RefundOutcome::Done, now).unwrap().unwrap();
        assert!(matches!(other.happened[..], [Happened::RefundContradicted { .. }]));
        assert!(other.order.ledger.is_balanced());
    }
}
