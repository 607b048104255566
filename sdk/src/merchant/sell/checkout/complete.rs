//! Completing a checkout, as a saga: what was agreed to is settled, stock is held, the order is committed with its payment
//! begun, the rail is called, and what it says is committed. What fails is undone in reverse; what nobody knows stays as it
//! is until the rail has said it.
//!
//! | stopped after | then |
//! |---|---|
//! | settling | the same key goes on; else it is given up after two minutes, and stock is let go |
//! | holding stock | the same |
//! | the order | the rail is asked, as for every order; the checkout follows the order |
//! | the rail's answer | the checkout follows, and stock is told, by whoever looks next |

use super::{
    Checkout, DueCheckout, Once, Towards, Whose, checkout_writes, due_entry,
    once::IdempotencyKey,
    quote::{CouponUsed, coupon_key},
};
use crate::{
    ask::Ask,
    checkout::{Agreed, Awaited, CheckoutId, CheckoutRecord, HOLDING_S, Message, MessageCode, Stage, Status, short_of},
    error::{Error, Refusal},
    merchant::{Committed, Merchant, RACES_MAX, put, recognise::Customer},
    money::Money,
    order::{Draft, FromCheckout, Line, OrderId, OrderRecord, Placing},
    rail::{Outcome, PaymentRequest, Reference, WalletRail},
    store::{Expect, Key, Persisted, Version, Write},
    time::UnixTime,
    trade::{Held, Hold},
};

use super::super::{
    BY_CUSTOMER, Pending, PlacedDraft, Plan, entry,
    pay::{ROUND_S, payment},
    queue::{named, newest_first},
    reference_key,
};

/// How long a checkout is left to whoever completes it, in seconds, before it is looked at.
const LOOK_S: u64 = 2 * HOLDING_S;

/// How long a wallet has to authorise the payment of a checkout, in seconds: longer than it has to answer.
const WALLET_S: u64 = 15 * 60;

/// What a customer agrees to.
///
/// ```
/// use firsthand::{merchant::Completion, money::{Currency, Money}};
///
/// # fn main() -> Result<(), firsthand::money::MoneyError> {
/// let completion = Completion::new(3, Money::parse("14.80", Currency::EUR)?).by("sepa");
/// # assert_eq!(completion.rail.as_deref(), Some("sepa"));
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug, serde::Serialize)]
#[non_exhaustive]
pub struct Completion {
    /// The state of the checkout that they saw.
    pub revision: u64,
    /// The total that they saw.
    pub total: Money,
    /// How they pay, by the rail's name. Nobody has to say it where nothing is to pay.
    pub rail: Option<String>,
}

impl Completion {
    /// They agree to this state of the checkout, at this total.
    #[must_use]
    pub const fn new(revision: u64, total: Money) -> Self {
        Self { revision, total, rail: None }
    }

    /// They pay by this rail.
    #[must_use]
    pub fn by(mut self, rail: impl Into<String>) -> Self {
        self.rail = Some(rail.into());
        self
    }
}

impl Checkout {
    /// Completes it: the customer agrees to what they saw, and pays. Said twice with the same key it happens once, and the
    /// second one goes on where the first one stopped.
    ///
    /// What comes of it is its [status](Checkout::status): `completed`, with an [order](Checkout::order);
    /// `complete_in_progress` if nobody knows yet, or the customer has to go on [elsewhere](Checkout::continue_at); anything
    /// else if it came to nothing, with a message that says why.
    ///
    /// A handler is dropped when its browser goes away. Call this on a task of its own (`tokio::spawn`), or what is left is
    /// done by [housekeeping](Merchant::housekeeping), some minutes later.
    ///
    /// # Errors
    /// [`Error::Checkout`] if it is not as the customer saw it, not ready, being completed, or over; [`Refusal::KeyUsed`];
    /// [`Refusal::RailNeeded`] if something is to pay and nobody said how; [`Refusal::NoSuchRail`], also for the wallet's, which is
    /// [tapped](Checkout::tap); [`Refusal::CannotCollect`]; [`Error::Unavailable`] if a part of the shop does not answer.
    pub async fn complete(&self, completion: &Completion, key: &IdempotencyKey) -> Result<Self, Error> {
        if completion.rail.as_deref() == Some(WalletRail::ID) {
            // A wallet is asked by a tap: nobody could answer what is only begun.
            return Err(Refusal::NoSuchRail.into());
        }
        let content = ("complete", self.id(), completion);
        let once = Once::new(&self.merchant, &self.whose.principal(), key, &content);
        self.agreed(completion, once, Awaited::default()).await?.checkout().carried_out().await
    }

    /// What the customer agrees to is settled, once. First by what they were shown: if it does not stand like that any more,
    /// or this was said before, the commit finds out, and it is looked at.
    pub(super) async fn agreed(
        &self,
        completion: &Completion,
        once: Once,
        awaited: Awaited,
    ) -> Result<Committed<Self>, Error> {
        let Self { merchant, record, whose, version } = self;
        let shown = version.filter(|_| record.changeable(completion.revision).is_ok());
        let first = match shown {
            Some(version) => {
                let found = (record.clone(), version);
                merchant.plan_agreeing(found, whose.clone(), completion, &once, awaited.clone()).await.ok()
            }
            None => None,
        };
        let input = (self.id().clone(), whose.clone(), completion.clone(), once, awaited);
        let decide = |merchant: Merchant, (id, whose, completion, once, awaited): (_, Whose, _, Once, _)| async move {
            let (was_said, found) = merchant.said_of(&once, &id).await?;
            let (record, version) = whose.owned_now(found).await?;
            if was_said {
                let now = merchant.now();
                return Ok(Plan::nothing(Self { merchant, record, whose, version: Some(version) }, now));
            }
            merchant.plan_agreeing((record, version), whose, &completion, &once, awaited).await
        };
        let pending = match first {
            Some(plan) => Pending::decided(merchant, plan, input, decide),
            None => Pending::new(merchant, input, decide).await?,
        };
        pending.committed().await
    }

    /// Goes on with what was agreed to, if nobody has.
    pub(super) async fn carried_out(self) -> Result<Self, Error> {
        if let Stage::Holding(_) = self.record.stage
            && let Some(record) = self.merchant.carry_out(&self).await?
        {
            return Ok(Self { record, version: None, ..self });
        }
        self.reload().await
    }

    /// Where the customer goes on, if the rail sent them elsewhere to pay.
    ///
    /// # Errors
    /// [`Error::Unavailable`] if the store does not answer.
    pub async fn continue_at(&self) -> Result<Option<url::Url>, Error> {
        let Stage::Paying(agreed) = &self.record.stage else { return Ok(None) };
        let order = self.merchant.order(&agreed.order).await?;
        let last = order.as_ref().and_then(|order| order.record.last_attempt()?.outcome.clone());
        Ok(match last {
            Some(Outcome::Continue(url)) => Some(url),
            _ => None,
        })
    }

    /// Asks the rail how the payment stands: for the page that a customer comes back to, which believes nothing of how they
    /// come.
    ///
    /// # Errors
    /// As [`Order::ask_rail`](super::super::Order::ask_rail).
    pub async fn ask_rail(&self) -> Result<Self, Error> {
        if let Stage::Paying(agreed) = &self.record.stage
            && let Some(order) = self.merchant.order(&agreed.order).await?
        {
            order.ask_rail().await?;
        }
        self.reload().await
    }
}

impl Merchant {
    /// Does what is due by itself on checkouts that are being completed: gives up what was begun and left, follows orders
    /// that are decided, holds stock on for those that are not, and tells the inventory what was sold and let go. Says how
    /// many it looked at. A part of [`Merchant::housekeeping`]; any number of nodes may do it at once.
    ///
    /// # Errors
    /// [`Error::Unavailable`] if the store does not answer. A single checkout that fails is logged, and tried again later.
    pub async fn bring_checkouts_up_to_date(&self) -> Result<usize, Error> {
        let Some(trade) = &self.0.trade else { return Ok(0) };
        self.tell_inventory().await?;
        let (begun, mut looked) = (self.now(), 0);
        let mut due = self.due(DueCheckout::KIND);
        while let Some((key, stored)) = due.next().await? {
            looked += 1;
            if let Err(error) = self.look_at_checkout(&key, stored.version).await {
                tracing::warn!(code = error.code(), "a checkout could not be brought up to date");
            }
            // An inventory that is silent takes its time with each of them: the rest waits for the next round.
            if self.now().since_s(begun) > ROUND_S {
                break;
            }
        }
        if let Some(inventory) = &trade.inventory {
            inventory.tidy(self.now()).await?;
        }
        Ok(looked)
    }

    /// One entry of the queue: what it leads to is settled, or looked at again later.
    async fn look_at_checkout(&self, due: &Key, version: Version) -> Result<(), Error> {
        let Some(id) = named(&due.sort).and_then(|id| id.parse::<CheckoutId>().ok()) else {
            self.commit_if_first(&[Write::delete(due.clone(), Expect::Version(version))], self.now()).await?;
            return Ok(());
        };
        let record = self.checkout_followed(&id).await?.map(|(record, _)| record);
        let now = self.now();
        // Whoever wants it looked at meanwhile has written this very entry anew.
        let mut writes = vec![Write::delete(due.clone(), Expect::Version(version))];
        if let Some(CheckoutRecord { stage: Stage::Holding(_) | Stage::Paying(_), .. }) = &record {
            writes.push(due_entry(&id, now.plus_s(LOOK_S))?);
        }
        if let (Some(record), Some(trade)) = (&record, &self.0.trade)
            && let (Stage::Paying(agreed), Some(inventory)) = (&record.stage, &trade.inventory)
            && let Some(hold) = hold(&agreed.order, &record.offering.lines, trade.hold_s, now)
        {
            // For as long as a payment may go through, what it pays is held on.
            match inventory.hold(&hold).await? {
                Held::All => {}
                Held::Short(_) => {
                    tracing::warn!(order = %agreed.order, "stock is held no longer for a payment that is under way");
                }
                // It was decided since it was read: whoever decided it has written down what follows.
                Held::Over => tracing::debug!(order = %agreed.order, "what was held is sold by now, or was let go"),
            }
        }
        self.commit_if_first(&writes, now).await?;
        Ok(())
    }

    /// A checkout as it stands by now: what was begun and left is given up, and what is being paid follows its order.
    pub(super) async fn checkout_followed(
        &self,
        id: &CheckoutId,
    ) -> Result<Option<(CheckoutRecord, Option<Version>)>, Error> {
        for _ in 0..RACES_MAX {
            let Some((record, version)) = self.load_checkout(id).await? else { return Ok(None) };
            let now = self.now();
            let next = match &record.stage {
                Stage::Holding(agreed) if is_lost(agreed, now) => {
                    let stock = self.let_go(&agreed.order, &record.offering.lines)?;
                    Some((record.clone().reopened(interrupted(), now)?, stock))
                }
                Stage::Paying(agreed) => {
                    let order = self.order(&agreed.order).await?;
                    order.and_then(|order| record.settled(&order.record, now)).map(|next| (next, None))
                }
                _ => None,
            };
            let Some((next, stock)) = next else { return Ok(Some((record, Some(version)))) };
            let mut writes = checkout_writes(&next, Some(version))?;
            writes.extend(stock);
            if self.commit_if_first(&writes, now).await? {
                return Ok(Some((next, None)));
            }
        }
        Err(Refusal::Overtaken.into())
    }

    /// What the customer agrees to is compared with what the shop offers now, and settled.
    async fn plan_agreeing(
        &self,
        (record, version): (CheckoutRecord, Version),
        whose: Whose,
        completion: &Completion,
        once: &Once,
        awaited: Awaited,
    ) -> Result<Plan<Checkout>, Error> {
        let now = self.now();
        record.changeable(completion.revision)?;
        let address = self.address_of(&record)?;
        let so_far = self.so_far_of(&record)?;
        let towards = Towards { to: address.as_ref(), so_far: so_far.as_ref() };
        let offering = self.quote(&record.wishes, towards, whose.known()).await?;
        let is_same = offering.is_same(&record.offering);
        if !is_same
            || (offering.status_with(&awaited) != Status::ReadyForComplete
                && record.telling(offering.clone()) != record.offering)
        {
            // Shown once more, at the prices of now, and agreed to anew.
            let why = Message::failed(MessageCode::OfferChanged, "Prices or stock have changed: look at it again.");
            let record = record.offered_anew(offering, why, now)?;
            return self.plan_checkout(record, Some(version), Vec::new(), whose);
        }
        if !offering.totals.total.is_zero() {
            let rail = completion.rail.as_deref().ok_or(Refusal::RailNeeded)?;
            self.rail(rail)?.takes(offering.totals.total).map_err(Refusal::CannotCollect)?;
        }
        let agreed = Agreed {
            order: OrderId::from_random(self.random()),
            reference: Reference::from_random(self.random()),
            rail: completion.rail.clone(),
            awaited,
            at: now,
        };
        // What was proved since it was looked at counts.
        let writes = vec![once.write(&record.id, now)?, due_entry(&record.id, first_look(&agreed))?];
        let record = CheckoutRecord { offering, ..record }.agreed(completion.revision, completion.total, agreed)?;
        self.plan_checkout(record, Some(version), writes, whose)
    }

    /// Goes on with a checkout whose terms are settled. Says how it stands then, where nobody has to look for that.
    pub(super) async fn carry_out(&self, checkout: &Checkout) -> Result<Option<CheckoutRecord>, Error> {
        let (record, now) = (&checkout.record, self.now());
        let Stage::Holding(agreed) = &record.stage else { return Ok(None) };
        let trade = self.trade()?;
        let hold = hold(&agreed.order, &record.offering.lines, trade.hold_s, now);
        if let (Some(inventory), Some(hold)) = (&trade.inventory, hold) {
            let why = match inventory.hold(&hold).await {
                Ok(Held::All) => None,
                // Somebody has given it up meanwhile, or gone on with it.
                Ok(Held::Over) => Some(interrupted()),
                Ok(Held::Short(short)) => Some(short.into_iter().next().map_or_else(
                    || Message::failed(MessageCode::OutOfStock, "Something of this is sold out."),
                    |one| short_of(one.item, one.left),
                )),
                Err(error) => {
                    tracing::warn!(%error, order = %agreed.order, "the inventory did not say whether it holds");
                    Some(Message::failed(
                        MessageCode::StockUnknown,
                        "The shop could not look after its stock. Try again.",
                    ))
                }
            };
            if let Some(why) = why {
                self.open_again(record, agreed, why).await?;
                return Ok(None);
            }
        }
        let input = (checkout.clone(), agreed.clone());
        let decide = |merchant: Self, (checkout, agreed): (Checkout, Agreed)| async move {
            let found = merchant.owned_checkout(checkout.id(), &checkout.whose).await?;
            merchant.plan_order(found, &checkout.whose, &agreed).await
        };
        let placing = match checkout.version {
            Some(version) => {
                let plan = self.plan_order((record.clone(), version), &checkout.whose, agreed).await?;
                Pending::decided(self, plan, input, decide)
            }
            None => Pending::new(self, input, decide).await?,
        };
        match placing.commit().await? {
            Placed::Begun(payment, paying) => {
                if !self.may_tell(payment.begun_at) {
                    return Ok(Some(*paying));
                }
                let rail = self.rail(agreed.rail.as_deref().ok_or(Refusal::RailNeeded)?)?.clone();
                let outcome = rail.pay(&payment).await;
                let order = self.answered_from(Some(&record.id), &payment, outcome).await?;
                Ok(Some(paying.settled(&order.record, self.now()).unwrap_or(*paying)))
            }
            Placed::Free => {
                self.tell_inventory_by(&agreed.order).await;
                Ok(None)
            }
            Placed::Elsewhere => Ok(None),
            Placed::Not(why) => self.open_again(record, agreed, why).await.map(|()| None),
        }
    }

    /// Opens a checkout again, unless somebody has gone on with it, and lets go what is held for it.
    async fn open_again(&self, record: &CheckoutRecord, agreed: &Agreed, why: Message) -> Result<(), Error> {
        let input = (record.id.clone(), agreed.clone(), why);
        Pending::new(self, input, |merchant, (id, agreed, why)| async move {
            let now = merchant.now();
            let Some((record, version)) = merchant.load_checkout(&id).await? else { return Ok(Plan::nothing((), now)) };
            if record.stage != Stage::Holding(agreed.clone()) {
                return Ok(Plan::nothing((), now));
            }
            let mut writes: Vec<Write> = merchant.let_go(&agreed.order, &record.offering.lines)?.into_iter().collect();
            writes.extend(checkout_writes(&record.reopened(why, now)?, Some(version))?);
            Ok(Plan { writes, value: (), witness: None, at: now })
        })
        .await?
        .commit()
        .await?;
        self.tell_inventory_by(&agreed.order).await;
        Ok(())
    }

    /// The order, with its payment begun, and the checkout that waits for it.
    async fn plan_order(
        &self,
        (record, version): (CheckoutRecord, Version),
        whose: &Whose,
        agreed: &Agreed,
    ) -> Result<Plan<Placed>, Error> {
        let now = self.now();
        if record.stage != Stage::Holding(agreed.clone()) {
            return Ok(Plan::nothing(Placed::Elsewhere, now));
        }
        let (trade, offering) = (self.trade()?, &record.offering);
        let mut writes = Vec::new();
        // Loaded once: what they have proved is looked up in the very record that the commit checks.
        let customer = match record.buyer.customer() {
            Some(id) => {
                let (found, version) = self.live_record(id).await?;
                // Somebody may forget this customer at this very moment.
                writes.push(Write::check(crate::merchant::customer_key(id), Expect::Version(version)));
                Some(Customer::new(self.clone(), id.clone(), found))
            }
            None => None,
        };
        let asked = offering.needs.iter().filter(|name| !agreed.awaited.proofs.contains(name));
        let asked: Vec<&Ask> =
            asked.map(|name| self.declared(name).ok_or(Refusal::NoSuchAsk)).collect::<Result<_, _>>()?;
        let proofs = match whose.known().zip(customer.as_ref()) {
            Some((known, customer)) => known.proofs(customer, &asked).await?,
            None => vec![None; asked.len()],
        };
        if let Some((ask, _)) = asked.iter().zip(&proofs).find(|(_, proof)| proof.is_none()) {
            let why = Message::failed(MessageCode::ProofNeeded, "Your wallet has to show this once more.");
            return Ok(Plan::nothing(Placed::Not(why.about(ask.name())), now));
        }
        let proofs = proofs.into_iter().flatten().collect();
        // Under all names of the customer: two records may have become one since the price was made.
        if let Some(coupon) = self.coupons_used(&offering.coupons, customer.as_ref()).await?.first() {
            let why = Message::failed(MessageCode::DiscountUsed, "This was let off before.").about(coupon.name());
            return Ok(Plan::nothing(Placed::Not(why), now));
        }
        for coupon in &offering.coupons {
            let key = coupon_key(coupon, record.buyer.customer());
            writes.push(put(key, &CouponUsed { order: agreed.order.clone() }, None, Expect::Absent)?);
        }
        let from = FromCheckout {
            id: record.id.clone(),
            coupons: offering.coupons.clone(),
            holds: trade.inventory.is_some() && is_counted(&offering.lines),
            vat_id: record.wishes.vat_id.clone().filter(|_| offering.reverse_charge),
            awaited: agreed.awaited.clone(),
            confirmed_at: None,
        };
        let placing = Placing {
            id: agreed.order.clone(),
            reference: agreed.reference.clone(),
            buyer: record.buyer.clone(),
            proofs,
            checkout: Some(from),
            zone: self.time_zone(),
            at: now,
        };
        let draft = draft(&record).withdrawal_days(trade.withdrawal_days);
        let mut step = OrderRecord::placed(&draft, placing)?;
        if !step.order.total.is_zero() {
            let rail = self.rail(agreed.rail.as_deref().ok_or(Refusal::RailNeeded)?)?;
            // Until a wallet has signed, nobody knows whether it will: what it would buy is not kept from others for days.
            let patience_s = if rail.id() == WalletRail::ID { WALLET_S } else { rail.patience_s() };
            if let Some(paying) = step.order.clone().paying(rail.id(), patience_s, now)? {
                step = step.then(paying);
            }
        }
        let begun = step.order.last_attempt().and_then(|attempt| payment(&step.order, attempt.number));
        if let (Some(address), Some(sealed)) = (self.address_of(&record)?, &record.address) {
            writes.push(self.delivery_write(&agreed.order, &address, sealed.source, now, Expect::Absent)?);
        }
        writes.push(entry(reference_key(&agreed.reference), &agreed.order, Expect::Absent)?);
        if let Some(customer) = record.buyer.customer() {
            let sort = newest_first(now, &agreed.order);
            writes.push(entry(Key::new(BY_CUSTOMER, customer.as_str(), sort), &agreed.order, Expect::Absent)?);
        }
        if let Some(digest) = &record.guest {
            // Of several orders that a checkout tried to become, the link leads to the last.
            let placed = PlacedDraft { order: agreed.order.clone(), content: String::new() };
            writes.push(put(Key::new(PlacedDraft::KIND, digest, ""), &placed, None, Expect::Any)?);
        }
        let paying = Box::new(record.clone().paying(now)?);
        writes.extend(checkout_writes(&paying, Some(version))?);
        let plan = self.plan_step(step, None, writes)?;
        // Whoever was stopped for that long asks for no money: what was held may be somebody else's by now.
        if is_lost(agreed, plan.at) {
            return Ok(Plan::nothing(Placed::Not(interrupted()), plan.at));
        }
        Ok(plan.map(|_| begun.map_or(Placed::Free, |payment| Placed::Begun(payment, paying))))
    }
}

/// When a checkout that is being completed is looked at first, unless it is decided by then.
pub(super) const fn first_look(agreed: &Agreed) -> UnixTime {
    agreed.at.plus_s(LOOK_S)
}

/// Whether whoever began to complete a checkout is taken for lost, before there was an order.
const fn is_lost(agreed: &Agreed, now: UnixTime) -> bool {
    now.since_s(agreed.at) > HOLDING_S
}

fn interrupted() -> Message {
    Message::failed(MessageCode::Interrupted, "This was interrupted, and nothing was paid. Try again.")
}

/// What became of placing the order of a checkout.
#[derive(Clone)]
enum Placed {
    /// The payment is begun, and is carried out by whoever learns this; the checkout waits for it.
    Begun(PaymentRequest, Box<CheckoutRecord>),
    /// Nothing is to be paid.
    Free,
    /// Somebody else went on with it.
    Elsewhere,
    /// It cannot be placed any more.
    Not(Message),
}

/// The draft of what was agreed to.
fn draft(record: &CheckoutRecord) -> Draft {
    let offering = &record.offering;
    let mut draft = Draft::new(offering.totals.total.currency());
    for line in &offering.lines {
        draft = draft.with(line.clone());
    }
    for reduction in &offering.reductions {
        draft = draft.reduced(reduction.clone());
    }
    match &offering.carriage {
        Some(carriage) => draft.sent_by(carriage.clone()),
        None => draft,
    }
}

/// What is held for an order; none if nothing of it is counted.
pub(super) fn hold(order: &OrderId, lines: &[Line], hold_s: u64, now: UnixTime) -> Option<Hold> {
    let counted = lines.iter().filter(|line| !line.uncounted);
    let items: Vec<_> = counted.map(|line| (line.item.clone(), line.quantity)).collect();
    (!items.is_empty()).then(|| Hold { order: order.clone(), items, until: now.plus_s(hold_s), now })
}

/// Whether some of it is counted.
pub(super) fn is_counted(lines: &[Line]) -> bool {
    lines.iter().any(|line| !line.uncounted)
}
