//! From what a wallet signed to the money: the authorisation is committed with the attempt that it authorises, then handed to
//! whoever executes it, then what they say is committed. Whatever is lost in between is asked about, and handed over again
//! only if they say that they never got it.

use serde::{Deserialize, Serialize};

use super::{
    BY_CUSTOMER, Loaded, Order, entry,
    pay::{ROUND_S, payment},
    queue::{by_time, newest_first, shard_of},
};
use crate::{
    ask::{Ask, Proof},
    customer::CustomerId,
    error::{Error, Refusal},
    merchant::{Merchant, put},
    money::Money,
    order::{Buyer, DeliverySource, INQUIRY_PAUSE_MAX_S, NotAuthorised, OrderId, OrderRecord, RAIL_ANSWER_S},
    presentation::{AskedPayment, Authorisation, Verified},
    protocol::jose::{base64url_encode, sha256},
    rail::{
        DeclineCode, Outcome,
        wallet::{Evidence, Inquired, WalletRail},
    },
    store::{Expect, Key, Persisted, Version, Write},
    time::UnixTime,
};

/// With so many events, an order remembers no more refusals: they are logged.
const REFUSALS_UNTIL: u32 = 200;
/// What seals evidence to its record.
const EVIDENCE: &str = "payment evidence";

/// What a wallet showed in the presentation that authorises a payment.
pub(in crate::merchant) struct ShownTogether<'a> {
    /// Whose it is from now on.
    pub(in crate::merchant) customer: &'a CustomerId,
    pub(in crate::merchant) shown: &'a [(&'a Ask, Verified)],
    pub(in crate::merchant) proofs: &'a [Proof],
}

/// What is committed with the answer that authorises a payment, or would have.
pub(in crate::merchant) struct AuthorisedWrites {
    pub(in crate::merchant) writes: Vec<Write>,
    /// The ask whose values the order took.
    pub(in crate::merchant) taken: Option<String>,
}

impl AuthorisedWrites {
    /// Nothing was authorised, and nothing taken.
    const fn declined(writes: Vec<Write>) -> Self {
        Self { writes, taken: None }
    }
}

/// An authorisation as it is stored, beside its order: evidence, for as long as it may be disputed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct AuthorisationRecord {
    order: OrderId,
    attempt: u32,
    amount: Money,
    verified_at: UnixTime,
    /// What the wallet signed, whole: personal data.
    sealed: String,
    stage: Stage,
    /// When it has to be looked at by itself.
    look_at: Option<UnixTime>,
    looks: u32,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Stage {
    /// Nobody has it but the merchant.
    Held,
    /// It was handed over, or is being handed over.
    Sent,
    /// Whoever executes it has said the last word.
    Done,
    /// The order was over before anybody had it.
    Dropped,
}

impl Persisted for AuthorisationRecord {
    const KIND: &'static str = "authorisation";
    const SCHEMA: u16 = 1;
}

/// That an authentication code was used: for ever, since it authorises one payment.
#[derive(Serialize, Deserialize)]
struct CodeUsed {
    order: OrderId,
    attempt: u32,
}

impl Persisted for CodeUsed {
    const KIND: &'static str = "authentication_code";
    const SCHEMA: u16 = 1;
}

/// The queue of what has to be handed over, or asked about.
const TO_HAND_OVER: &str = "authorisation_due";

impl Order {
    /// What the customer's wallet signed for an attempt, if it did: the evidence that is handed to whoever executes the
    /// payment, to be shown where it is disputed. Kept for [`Limits::evidence_kept_s`](crate::limits::Limits).
    ///
    /// # Errors
    /// [`Error::Unavailable`] if the store does not answer.
    pub async fn evidence(&self, attempt: u32) -> Result<Option<Evidence>, Error> {
        let merchant = &self.merchant;
        let Some(stored) = merchant.load_one(&authorisation_key(self.id(), attempt)).await? else { return Ok(None) };
        merchant.evidence_of(&stored.read()?, &self.record).map(Some)
    }
}

impl Merchant {
    /// The rail by which wallets authorise payments.
    pub(in crate::merchant) fn wallet_rail(&self) -> Result<&WalletRail, Error> {
        Ok(self.0.wallet_rail.as_ref().ok_or(Refusal::NoSuchRail)?)
    }

    /// Begins an attempt by wallet, or finds the one that waits for a wallet.
    pub(in crate::merchant) async fn payment_to_ask(&self, order: &Order) -> Result<AskedPayment, Error> {
        let rail = self.wallet_rail()?;
        let order = order.pay(WalletRail::ID).await?;
        let attempt = order.record.awaiting(WalletRail::ID)?;
        let (order, attempt, amount) = (order.id().clone(), attempt.number, attempt.amount);
        Ok(AskedPayment { order, attempt, amount, kind: rail.kind().to_owned() })
    }

    /// The writes by which an attempt is authorised, with the evidence: to be committed with the answer that is redeemed. An
    /// order that waited for what the wallet showed takes that; if it is not what its price is for, the attempt is declined.
    pub(in crate::merchant) async fn authorised(
        &self,
        payment: &AskedPayment,
        authorisation: &Authorisation,
        verified_at: UnixTime,
        came: &ShownTogether<'_>,
    ) -> Result<AuthorisedWrites, Error> {
        let (now, AskedPayment { order: id, attempt, amount, .. }) = (self.now(), payment);
        let used = Key::new(CodeUsed::KIND, code_digest(&authorisation.jti), "");
        if self.load_one(&used).await?.is_some() {
            tracing::warn!(order = %id, attempt, "an authentication code comes twice");
            return Err(Refusal::AuthorisationUsed.into());
        }
        let order = self.wanted(id).await?;
        let awaited = order.record.awaited().cloned().unwrap_or_default();
        let address = match self.awaited_address(&awaited, came.shown) {
            Ok(address) => address,
            Err(why) => return Ok(AuthorisedWrites::declined(self.unauthorised(payment, why.as_str()).await?)),
        };
        if let (Some((address, _)), Some(expected)) = (&address, &awaited.address)
            && !self.is_priced_alike(&order.record, &expected.country, address).await?
        {
            let why = NotAuthorised::AddressElsewhere.as_str();
            return Ok(AuthorisedWrites::declined(self.unauthorised(payment, why).await?));
        }
        // As the ask is by now: it may have become stricter since it was asked.
        let answers = |proof: &&Proof| self.declared(&proof.ask).is_some_and(|ask| ask.is_answered_by(proof));
        let proofs: Vec<Proof> = came.proofs.iter().filter(answers).cloned().collect();
        let Some(mut record) = order.record.clone().shown(&proofs) else {
            let why = NotAuthorised::NotAllShown.as_str();
            return Ok(AuthorisedWrites::declined(self.unauthorised(payment, why).await?));
        };
        let mut more = Vec::new();
        if record.checkout.is_some() && record.buyer == Buyer::Guest {
            // Whoever began as a guest has shown who they are to this shop.
            record.buyer = Buyer::Customer(came.customer.clone());
            let sort = newest_first(record.placed_at, id);
            more.push(entry(Key::new(BY_CUSTOMER, came.customer.as_str(), sort), id, Expect::Absent)?);
        }
        let taken = awaited.address.as_ref().filter(|_| address.is_some()).map(|address| address.ask.clone());
        if let Some((address, device)) = address {
            more.push(self.delivery_write(id, &address, DeliverySource::Wallet(device), now, Expect::Absent)?);
        }
        let step = record.authorised(WalletRail::ID, *attempt, *amount, now)?;
        let key = authorisation_key(id, *attempt);
        let record = AuthorisationRecord {
            order: id.clone(),
            attempt: *attempt,
            amount: *amount,
            verified_at,
            sealed: self.seal_value(EVIDENCE, &key, authorisation)?,
            stage: Stage::Held,
            look_at: Some(now),
            looks: 0,
        };
        let code = CodeUsed { order: id.clone(), attempt: *attempt };
        let until = Some(self.evidence_until(&record));
        more.extend([
            put(due_key(&record, now), &code, until, Expect::Any)?,
            put(key, &record, until, Expect::Absent)?,
            put(used, &code, None, Expect::Absent)?,
        ]);
        Ok(AuthorisedWrites { writes: self.plan_step(step, Some(&order), more)?.writes, taken })
    }

    /// The writes by which an attempt that waits for a wallet is declined, if it still does.
    pub(in crate::merchant) async fn unauthorised(
        &self,
        payment: &AskedPayment,
        reason: &str,
    ) -> Result<Vec<Write>, Error> {
        let order = self.wanted(&payment.order).await?;
        let waits = order.record.awaiting(WalletRail::ID).is_ok_and(|it| it.number == payment.attempt);
        if !waits {
            return Ok(Vec::new());
        }
        let outcome = Outcome::Declined(DeclineCode::from(reason));
        let step = order.record.clone().answered(payment.attempt, payment.amount, outcome, self.now())?;
        step.map_or(Ok(Vec::new()), |step| Ok(self.plan_step(step, Some(&order), Vec::new())?.writes))
    }

    /// No wallet authorises the last attempt any more, for this reason: it is declined, unless it waits for none.
    pub(super) async fn not_authorised(&self, id: &OrderId, why: NotAuthorised) -> Result<(), Error> {
        let step = self.step(id, move |order, now| {
            let waits = order.awaiting(WalletRail::ID).map(|it| (it.number, it.amount));
            let Ok((attempt, amount)) = waits else { return Ok(None) };
            Ok(order.answered(attempt, amount, Outcome::Declined(DeclineCode::from(why.as_str())), now)?)
        });
        step.await?.commit().await?;
        self.tell_inventory_by(id).await;
        Ok(())
    }

    /// The writes by which an order remembers that an authorisation of it was refused.
    pub(in crate::merchant) async fn refused_for(
        &self,
        payment: &AskedPayment,
        code: &str,
    ) -> Result<Vec<Write>, Error> {
        let order = self.wanted(&payment.order).await?;
        // Whoever sends nonsense for an order of their own does not fill the books.
        if order.record.events >= REFUSALS_UNTIL {
            return Ok(Vec::new());
        }
        let step = order.record.clone().authorisation_refused(payment.attempt, code);
        Ok(self.plan_step(step, Some(&order), Vec::new())?.writes)
    }

    /// Hands over what is due, and asks about what was handed over. A part of
    /// [`bring_orders_up_to_date`](Self::bring_orders_up_to_date).
    pub(super) async fn hand_over_authorisations(&self) -> Result<(), Error> {
        if self.0.wallet_rail.is_none() {
            return Ok(());
        }
        let (begun, mut due) = (self.now(), self.due(TO_HAND_OVER));
        while let Some((_, CodeUsed { order, attempt }, _)) = due.next_of().await? {
            self.handed_over(&order, attempt).await;
            // A bank that is silent takes its time with each of them: the rest waits for the next round.
            if self.now().since_s(begun) > ROUND_S {
                break;
            }
        }
        Ok(())
    }

    /// The same for one payment, now. What fails is tried again later.
    pub(in crate::merchant) async fn handed_over(&self, order: &OrderId, attempt: u32) {
        if let Err(error) = self.hand_over(order, attempt).await {
            tracing::warn!(%order, attempt, code = error.code(), "an authorised payment was not handed over now");
        }
    }

    async fn hand_over(&self, id: &OrderId, attempt: u32) -> Result<(), Error> {
        let (rail, wallet) = (self.rail(WalletRail::ID)?, self.wallet_rail()?);
        let key = authorisation_key(id, attempt);
        let Some(stored) = self.load_one(&key).await? else { return Ok(()) };
        let (record, version): (AuthorisationRecord, Version) = (stored.read()?, stored.version);
        if record.look_at.is_none_or(|at| at > self.now()) {
            return Ok(());
        }
        let order = self.wanted(id).await?;
        let is_over = !order.record.may_be_executed(attempt);
        let said = match record.stage {
            Stage::Held if is_over => return self.settled(record, version, Stage::Dropped).await,
            Stage::Held => Inquired::NotHere,
            Stage::Sent => match rail.look(wallet, id, attempt).await {
                Inquired::NotHere if is_over => return self.settled(record, version, Stage::Dropped).await,
                said => said,
            },
            Stage::Done | Stage::Dropped => return Ok(()),
        };
        // What is done next is written down before it is done, and whoever writes it first does it.
        let (record, version) = self.looking(record, version, &order).await?;
        let outcome = match said {
            Inquired::Known(outcome) => outcome,
            // Whoever was stopped for so long leaves it to those who look next: it may be called off by now.
            Inquired::NotHere if record.look_at.is_some_and(|at| self.now() >= at) => return Ok(()),
            Inquired::NotHere => {
                let evidence = self.evidence_of(&record, &order.record)?;
                rail.submit(wallet, &evidence).await
            }
        };
        // At it, or in doubt: it is asked about later. What is authorised does not become less by that.
        if !matches!(outcome, Outcome::Paid | Outcome::Declined(_)) {
            return Ok(());
        }
        let Some(payment) = payment(&order.record, attempt) else { return Ok(()) };
        self.answered(&payment, outcome).await?;
        self.settled(record, version, Stage::Done).await
    }

    /// It is handed over or asked about now, and looked at again later each time.
    async fn looking(
        &self,
        record: AuthorisationRecord,
        version: Version,
        order: &Loaded,
    ) -> Result<(AuthorisationRecord, Version), Error> {
        let wait_s = (2 * RAIL_ANSWER_S) << record.looks.min(8);
        let next = AuthorisationRecord {
            stage: Stage::Sent,
            look_at: Some(self.now().plus_s(wait_s.min(INQUIRY_PAUSE_MAX_S))),
            looks: record.looks.saturating_add(1),
            ..record.clone()
        };
        let mut more = Vec::new();
        if record.stage == Stage::Held {
            // Whoever calls the order off at this moment comes before or after.
            more.push(Write::check(super::order_key(&order.record.id), Expect::Version(order.version)));
        }
        self.moved(&record, &next, version, more).await?;
        let stored = self.load_one(&authorisation_key(&next.order, next.attempt)).await?.ok_or(Refusal::Overtaken)?;
        if stored.read::<AuthorisationRecord>()? != next {
            return Err(Refusal::Overtaken.into());
        }
        Ok((next, stored.version))
    }

    /// Whether an authorisation is still to be handed over, or was, and nobody has said the last word.
    pub(super) async fn is_with_executor(&self, id: &OrderId, attempt: u32) -> Result<bool, Error> {
        let Some(stored) = self.load_one(&authorisation_key(id, attempt)).await? else { return Ok(false) };
        let record: AuthorisationRecord = stored.read()?;
        Ok(matches!(record.stage, Stage::Held | Stage::Sent))
    }

    async fn settled(&self, record: AuthorisationRecord, version: Version, stage: Stage) -> Result<(), Error> {
        let next = AuthorisationRecord { stage, look_at: None, ..record.clone() };
        self.moved(&record, &next, version, Vec::new()).await
    }

    async fn moved(
        &self,
        record: &AuthorisationRecord,
        next: &AuthorisationRecord,
        version: Version,
        mut writes: Vec<Write>,
    ) -> Result<(), Error> {
        writes.extend(record.look_at.map(|at| Write::delete(due_key(record, at), Expect::Any)));
        let until = Some(self.evidence_until(next));
        if let Some(at) = next.look_at {
            let entry = CodeUsed { order: next.order.clone(), attempt: next.attempt };
            writes.push(put(due_key(next, at), &entry, until, Expect::Any)?);
        }
        writes.push(put(authorisation_key(&next.order, next.attempt), next, until, Expect::Version(version))?);
        self.commit_first(&writes, self.now()).await
    }

    fn evidence_until(&self, record: &AuthorisationRecord) -> UnixTime {
        record.verified_at.plus_s(self.limits().evidence_kept_s)
    }

    fn evidence_of(&self, record: &AuthorisationRecord, order: &OrderRecord) -> Result<Evidence, Error> {
        let key = authorisation_key(&record.order, record.attempt);
        let signed: Authorisation = self.open_value(EVIDENCE, &key, &record.sealed)?;
        let Authorisation { presentation, audience, nonce, transaction_data, attestation, jti, made_at } = signed;
        Ok(Evidence {
            order: record.order.clone(),
            attempt: record.attempt,
            amount: record.amount,
            reference: order.reference.clone(),
            presentation,
            audience,
            nonce,
            transaction_data,
            attestation,
            jti,
            made_at,
            verified_at: record.verified_at,
        })
    }
}

fn authorisation_key(order: &OrderId, attempt: u32) -> Key {
    Key::new(AuthorisationRecord::KIND, order.as_str(), format!("{attempt:010}"))
}

fn due_key(record: &AuthorisationRecord, at: UnixTime) -> Key {
    let sort = by_time(at, format_args!("{}/{}", record.order, record.attempt));
    Key::new(TO_HAND_OVER, shard_of(record.order.as_str()), sort)
}

/// What is stored of an authentication code.
fn code_digest(jti: &str) -> String {
    base64url_encode(&sha256(format!("firsthand authentication code {jti}").as_bytes()))
}
