//! Money that goes back: decided and committed first, then carried out by the rail, or by the merchant's hand.

use super::{OWED, Order, Plan, order_key, pending::Pending, read_entry, refund_key};
use crate::{
    customer::CustomerId,
    error::{Error, Refusal},
    merchant::{Merchant, recognise::Recognised},
    money::Money,
    names::is_key,
    order::{
        BankAccount, Buyer, OrderId, OrderRecord, RAIL_ANSWER_S, RefundReason, RefundRecord, RefundState, Source, Step,
    },
    rail::{RefundOutcome, RefundRequest, sepa},
    store::{Key, Persisted, Prefix},
    time::UnixTime,
};

/// What seals an account to its refund.
pub(super) const ACCOUNT: &str = "refund account";
/// The longest key of a refund, in bytes.
const KEY_BYTES_MAX: usize = 64;

/// An amount that is owed back, was, or is on its way: see [`Order::refunds`] and [`Merchant::open_refunds`].
#[derive(Clone, Debug)]
pub struct Refund {
    order: Order,
    record: RefundRecord,
}

/// That a customer has shown their wallet on this device moments ago: what a stored address, where money goes back to, or
/// stored value need. Only [`Recognised::recent`] makes one.
#[derive(Clone, Debug)]
pub struct RecentProof {
    customer: CustomerId,
    /// Names that the customer had before records became one: their orders stand under these.
    formerly: Vec<CustomerId>,
    at: UnixTime,
}

impl RecentProof {
    /// When the wallet answered.
    #[must_use]
    pub const fn at(&self) -> UnixTime {
        self.at
    }

    /// Whose it is.
    #[must_use]
    pub const fn customer(&self) -> &CustomerId {
        &self.customer
    }

    pub(super) fn check_owner(&self, order: &Order) -> Result<(), Error> {
        let is_own = |buyer: &CustomerId| *buyer == self.customer || self.formerly.contains(buyer);
        let own = matches!(&order.record.buyer, Buyer::Customer(buyer) if is_own(buyer));
        if own { Ok(()) } else { Err(Refusal::NoSuchOrder.into()) }
    }
}

impl Recognised {
    /// That the customer proved themselves moments ago, in this very session and on this device. A signed request alone
    /// proves only the browser, which somebody may have been lent.
    ///
    /// A customer who has a [strong](crate::customer::Rung::is_strong) binding shows it: a relationship credential, a passkey
    /// or a DID. Without any, a wallet's answer counts. Whose wallet it was is known then as far as the shop
    /// [keeps](crate::Ask::keep) something that tells who the customer is: an answer counts only if it says the same. Where
    /// nothing is kept, any wallet counts.
    ///
    /// # Errors
    /// [`Refusal::StepUp`] if that is longer ago than [`Limits::step_up_s`](crate::limits::Limits::step_up_s), or was on
    /// another device; [`Refusal::CoolingDown`] if somebody came back by a recovery code in the last
    /// [`Limits::cool_down_s`](crate::limits::Limits::cool_down_s), unless this proof is by something older.
    pub async fn recent(&self) -> Result<RecentProof, Error> {
        let merchant = self.merchant();
        let (now, limits) = (merchant.now(), merchant.limits());
        let held = merchant.held(self.id()).await?;
        let at = match self.shown(&held) {
            Some(_) => self.record().rung_at,
            None => self.proved_at().filter(|_| !held.ladder().is_strong()),
        };
        // A clock that was set back proves nothing: a proof is not of the future.
        let fresh = at.filter(|at| *at <= now && now.since_s(*at) <= limits.step_up_s);
        let at = fresh.ok_or(Refusal::StepUp { age_s: limits.step_up_s })?;
        if let Some(until) = held.record.cooling_until(limits.cool_down_s, now)
            && !self.is_from_before(&held)
        {
            return Err(Refusal::CoolingDown { until }.into());
        }
        let formerly = held.record.merged.into_iter().map(|merged| merged.customer).collect();
        Ok(RecentProof { customer: self.id().clone(), formerly, at })
    }
}

impl Order {
    /// Refunds a part of what was paid, or all of it. `key` names this decision (1 to 64 visible ASCII characters without
    /// `/`, from the merchant's form): said twice with the same key, it is one.
    ///
    /// It is owed from now on, as one [`Refund`] for each way by which the money came; [`Refund::send`] carries it out.
    ///
    /// # Errors
    /// [`Error::Order`] if the order is not paid, or not that much is left; [`Refusal::RefundDiffers`] if the key was used
    /// for another amount.
    pub async fn refund(&self, amount: Money, key: &str) -> Result<Pending<Self>, Error> {
        if !is_key(key, KEY_BYTES_MAX) {
            return Err(Refusal::RefundKey(KEY_BYTES_MAX).into());
        }
        Pending::new(&self.merchant, (self.id().clone(), key.to_owned()), move |merchant, (id, key)| async move {
            merchant.plan_refund(&id, amount, &key).await
        })
        .await
    }

    /// The refunds of this order, those that are done too.
    ///
    /// # Errors
    /// [`Error::Unavailable`] if the store does not answer.
    pub async fn refunds(&self) -> Result<Vec<Refund>, Error> {
        let records: Vec<RefundRecord> = self.merchant.all_of(self.id()).await?;
        Ok(records.into_iter().map(|record| Refund { order: self.clone(), record }).collect())
    }

    /// The customer names the account for what is owed to them and came from an account that nobody knows. Whoever asks
    /// for it has just shown their wallet.
    ///
    /// Nothing else: money whose payer is known goes back to that payer, and what came too much from an unknown one may be
    /// anybody's; about those the merchant decides, by [`Refund::name_account`].
    ///
    /// # Errors
    /// [`Refusal::NoSuchOrder`] if it is another customer's; [`Refusal::NothingOwed`] if no refund waits for an account.
    pub async fn refund_to(&self, proof: &RecentProof, account: BankAccount) -> Result<(), Error> {
        proof.check_owner(self)?;
        let waits = |refund: &Refund| {
            let record = &refund.record;
            record.by == Source::Transfer
                && record.reason != RefundReason::Overpaid
                && record.sealed_account.is_none()
                && record.state == RefundState::Owed
        };
        let waiting: Vec<Refund> = self.refunds().await?.into_iter().filter(waits).collect();
        if waiting.is_empty() {
            return Err(Refusal::NothingOwed.into());
        }
        for refund in waiting {
            refund.name_account_if(account.clone(), |refund| refund.sealed_account.is_none()).await?.commit().await?;
        }
        Ok(())
    }

    /// The merchant has found out how an attempt in doubt went, such as in the records of whoever runs the rail: for a rail
    /// that cannot say it any more. The order goes on from there.
    ///
    /// # Errors
    /// [`Error::Order`] if the attempt is not in doubt.
    pub async fn decide(&self, attempt: u32, was_paid: bool) -> Result<Pending<Self>, Error> {
        self.merchant.step(self.id(), move |order, now| Ok(Some(order.decided(attempt, was_paid, now)?))).await
    }
}

impl Refund {
    /// Its name within the order.
    #[must_use]
    pub fn key(&self) -> &str {
        &self.record.key
    }

    /// The order, as it was when this was read.
    #[must_use]
    pub const fn order(&self) -> &Order {
        &self.order
    }

    /// Why money goes back.
    #[must_use]
    pub const fn reason(&self) -> RefundReason {
        self.record.reason
    }

    /// How much.
    #[must_use]
    pub const fn amount(&self) -> Money {
        self.record.amount
    }

    /// By which way the money came, and goes back.
    #[must_use]
    pub const fn by(&self) -> Source {
        self.record.by
    }

    /// How far it has come.
    #[must_use]
    pub const fn state(&self) -> RefundState {
        self.record.state
    }

    /// The account that it goes to: the one that paid, or the one that was named since; none if nobody knows.
    ///
    /// # Errors
    /// [`Error::Misuse`] if it was sealed under a root that is not in the keys any more.
    pub fn account(&self) -> Result<Option<BankAccount>, Error> {
        let Some(sealed) = &self.record.sealed_account else { return Ok(None) };
        let key = refund_key(self.order.id(), self.key());
        self.order.merchant.open_value(ACCOUNT, &key, sealed).map(Some)
    }

    /// The name of the transfer in a file for the bank that carries it out ([`Merchant::refund_file`]); none while it
    /// stands in none.
    #[must_use]
    pub fn end_to_end(&self) -> Option<&str> {
        self.record.end_to_end.as_deref()
    }

    /// The bank did not take the file that it stands in: it is owed as before, and may stand in another one. Whoever says so
    /// has looked: what the bank carried out after all went back twice once another file is carried out.
    ///
    /// # Errors
    /// [`Error::Order`] if it stands in no file, or is done.
    pub async fn reopen(&self) -> Result<Pending<Order>, Error> {
        let (merchant, id) = (&self.order.merchant, self.order.id());
        merchant.step_refund(id, self.key(), |order, refund, _| Ok(Some(order.refund_reopened(refund)?))).await
    }

    /// Has the rail carry it out. A rail that cannot (a transfer) leaves it [`ByHand`](RefundState::ByHand) to the
    /// merchant, who wires it to [`Refund::account`], which is settled from now on, and says so by
    /// [`Refund::sent_by_hand`].
    ///
    /// # Errors
    /// [`Error::Order`] if it is on its way or done, or a transfer to an account that nobody has
    /// [named](Refund::name_account).
    pub async fn send(&self) -> Result<Order, Error> {
        let (merchant, id, key) = (&self.order.merchant, self.order.id(), self.key());
        let begun = merchant
            .step_refund(id, key, |order, refund, now| Ok(Some(order.refund_sending(refund, now)?)))
            .await?
            .commit()
            .await?;
        let record = merchant.refund_record(id, key).await?;
        if record.state != RefundState::Sending || !record.begun_at.is_some_and(|at| merchant.may_tell(at)) {
            // Whoever asked the rail meanwhile has settled it: nobody is told on what has changed since.
            return begun.reload().await;
        }
        let Some((rail, request)) = request_of(&begun.record, &record) else { return Ok(begun) };
        let outcome = match merchant.rail(&rail) {
            Ok(rail) => rail.refund(&request).await,
            // A rail that the merchant has taken out of the program since.
            Err(_) => RefundOutcome::ByHand,
        };
        merchant.refund_answered(id, &record, outcome).await
    }

    /// The merchant names the account that it goes to, as the customer told them in person or by letter.
    ///
    /// # Errors
    /// [`Error::Order`] if it is on its way or done.
    pub async fn name_account(&self, account: BankAccount) -> Result<Pending<Order>, Error> {
        self.name_account_if(account, |_| true).await
    }

    async fn name_account_if(
        &self,
        account: BankAccount,
        may: fn(&RefundRecord) -> bool,
    ) -> Result<Pending<Order>, Error> {
        let merchant = self.order.merchant.clone();
        self.order
            .merchant
            .step_refund(self.order.id(), self.key(), move |order, refund, _| {
                if !may(&refund) {
                    return Ok(None);
                }
                let sealed = merchant.seal_account(&order.id, &refund.key, &account)?;
                Ok(Some(order.account_named(refund, sealed)?))
            })
            .await
    }

    /// The merchant has found out whether a refund in doubt was sent: for a rail that cannot say it any more.
    ///
    /// # Errors
    /// [`Error::Order`] if it is not in doubt.
    pub async fn decide(&self, was_sent: bool) -> Result<Pending<Order>, Error> {
        let (merchant, id) = (&self.order.merchant, self.order.id());
        merchant
            .step_refund(id, self.key(), move |order, refund, now| {
                Ok(Some(order.refund_decided(refund, was_sent, now)?))
            })
            .await
    }

    /// The merchant carried it out by hand. Said twice, it was done once.
    ///
    /// # Errors
    /// [`Error::Order`] while a rail is at it, and for a transfer that was not [sent](Refund::send) first: that settles the
    /// account it goes to.
    pub async fn sent_by_hand(&self) -> Result<Pending<Order>, Error> {
        let (merchant, id) = (&self.order.merchant, self.order.id());
        merchant.step_refund(id, self.key(), |order, refund, _| Ok(order.refunded_by_hand(refund)?)).await
    }
}

impl Merchant {
    /// The refunds that are not done, up to `limit` (at most 1,000), in no particular order.
    ///
    /// # Errors
    /// [`Error::Unavailable`] if the store does not answer.
    pub async fn open_refunds(&self, limit: usize) -> Result<Vec<Refund>, Error> {
        let mut keys = Vec::new();
        for (entry, stored) in self.first_of(OWED, limit).await? {
            let Some((_, name)) = entry.sort.split_once('/') else { continue };
            let order = read_entry(&stored)?.order;
            keys.extend([order_key(&order), refund_key(&order, name)]);
        }
        let (mut found, mut open) = (self.load_all(&keys).await?.into_iter(), Vec::new());
        while let (Some(order), Some(refund)) = (found.next(), found.next()) {
            // One that was done since the list was read may be gone.
            let (Some(order), Some(refund)) = (order, refund) else { continue };
            let order = Order { merchant: self.clone(), record: order.read()? };
            open.push(Refund { order, record: refund.read()? });
        }
        Ok(open)
    }

    /// A refund by the name of its order and its own.
    ///
    /// # Errors
    /// [`Refusal::NothingOwed`] if there is none.
    pub async fn refund(&self, order: &OrderId, key: &str) -> Result<Refund, Error> {
        let order = self.order(order).await?.ok_or(Refusal::NothingOwed)?;
        let record = self.refund_record(order.id(), key).await?;
        Ok(Refund { order, record })
    }

    pub(super) fn seal_account(&self, id: &OrderId, key: &str, account: &BankAccount) -> Result<String, Error> {
        self.seal_value(ACCOUNT, &refund_key(id, key), account)
    }

    pub(super) async fn refund_record(&self, id: &OrderId, key: &str) -> Result<RefundRecord, Error> {
        if key.len() > Key::PART_BYTES_MAX || key.contains('\0') {
            return Err(Refusal::NothingOwed.into());
        }
        let stored = self.load_one(&refund_key(id, key)).await?.ok_or(Refusal::NothingOwed)?;
        Ok(stored.read()?)
    }

    async fn plan_refund(&self, id: &OrderId, amount: Money, key: &str) -> Result<Plan<Order>, Error> {
        let order = self.wanted(id).await?;
        let prefix = format!("refund/{key}/");
        let said = Prefix { kind: RefundRecord::KIND, partition: id.as_str().to_owned(), sort: prefix };
        let (mut found, mut before) = (self.all_in(said), None);
        while let Some((_, stored)) = found.next().await? {
            let sum = before.unwrap_or_else(|| Money::zero(amount.currency()));
            before = Some(sum.plus(stored.read::<RefundRecord>()?.amount).map_err(|_| Refusal::RefundDiffers)?);
        }
        match before {
            None => {
                let mut step = order.record.clone().refunded(key, amount)?;
                self.name_payers(&mut step).await?;
                self.plan_step(step, Some(&order), Vec::new())
            }
            Some(before) if before == amount => Ok(self.plan_nothing_new(order.record)),
            Some(_) => Err(Refusal::RefundDiffers.into()),
        }
    }

    /// What came by transfer goes back to where it came from. Not what came too much: whose that is, its own transfer says.
    pub(super) async fn name_payers(&self, step: &mut Step) -> Result<(), Error> {
        let unnamed = |refund: &RefundRecord| {
            refund.by == Source::Transfer && refund.reason != RefundReason::Overpaid && refund.sealed_account.is_none()
        };
        if step.owed.iter().any(unnamed)
            && let Some(payer) = self.payer_of(&step.order.id).await?
        {
            for refund in step.owed.iter_mut().filter(|refund| unnamed(refund)) {
                refund.sealed_account = Some(self.seal_account(&step.order.id, &refund.key, &payer)?);
            }
        }
        Ok(())
    }

    /// Takes a step of a refund, and of its order with it.
    pub(super) async fn step_refund<F>(&self, id: &OrderId, key: &str, decide: F) -> Result<Pending<Order>, Error>
    where
        F: Fn(OrderRecord, RefundRecord, UnixTime) -> Result<Option<Step>, Error> + Send + Sync + 'static,
    {
        let input = (id.clone(), key.to_owned(), std::sync::Arc::new(decide));
        Pending::new(self, input, |merchant, (id, key, decide)| async move {
            // The order first: whoever changes a refund changes its order's version, too.
            let order = merchant.wanted(&id).await?;
            let refund = merchant.refund_record(&id, &key).await?;
            match decide(order.record.clone(), refund, merchant.now())? {
                Some(step) => merchant.plan_step(step, Some(&order), Vec::new()),
                None => Ok(merchant.plan_nothing_new(order.record)),
            }
        })
        .await
    }

    /// Writes down what a rail said of a refund, as it was when the rail was told or asked.
    async fn refund_answered(&self, id: &OrderId, told: &RefundRecord, outcome: RefundOutcome) -> Result<Order, Error> {
        let tries = told.tries;
        self.step_refund(id, &told.key, move |order, refund, now| {
            Ok(order.refund_answered(refund, tries, &outcome, now)?)
        })
        .await?
        .commit()
        .await
    }

    /// Asks the rail about a refund to which nobody answered.
    pub(super) async fn inquire_refund(&self, order: &OrderRecord, key: &str) -> Result<(), Error> {
        let record = self.refund_record(&order.id, key).await?;
        if record.begun_at.is_some_and(|at| self.now().since_s(at) <= RAIL_ANSWER_S) {
            return Ok(());
        }
        let Some((rail, request)) = request_of(order, &record) else { return Ok(()) };
        let outcome = match self.rail(&rail) {
            Ok(rail) => rail.inquire_refund(&request).await,
            // A rail that the merchant has taken out of the program since: only the merchant can find out.
            Err(_) => RefundOutcome::ByHand,
        };
        self.refund_answered(&order.id, &record, outcome).await.map(drop)
    }
}

/// What a rail is told about a refund, and which rail.
fn request_of(order: &OrderRecord, refund: &RefundRecord) -> Option<(String, RefundRequest)> {
    let attempt = match refund.by {
        Source::Transfer => None,
        Source::Attempt(number) => Some(number),
    };
    let request = RefundRequest {
        order: order.id.clone(),
        key: refund.key.clone(),
        number: refund.tries,
        attempt,
        amount: refund.amount,
        reference: order.reference.clone(),
    };
    let rail = match attempt {
        None => sepa::ID.to_owned(),
        Some(number) => order.attempts.iter().find(|a| a.number == number)?.rail.clone(),
    };
    Some((rail, request))
}
