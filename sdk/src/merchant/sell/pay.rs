//! Paying an order: the attempt is committed, then the rail is called, then what it said is committed. Whatever is lost
//! in between is asked about, and never done again.

use super::{DUE, Loaded, Order, OrderEntry, Pending, TRIED};
use crate::{
    checkout::CheckoutId,
    error::{Error, Refusal},
    merchant::Merchant,
    order::{Attempt, OrderError, OrderId, OrderRecord, OrderState, RAIL_ANSWER_S, RefundRecord, Source},
    rail::{AnyRail, Notice, NoticeRequest, Outcome, PaymentRequest, Said, TransferRequest},
    time::UnixTime,
};

/// For how long a round asks rails, in seconds: the next round goes on.
pub(super) const ROUND_S: u64 = 120;

impl Order {
    /// Pays the order on a rail, by its name. Called twice, it pays once: a payment that is under way on this rail is
    /// reported as it stands.
    ///
    /// A handler is dropped when its browser goes away, as one does that sends a form twice. Call this on a task of its own
    /// (`tokio::spawn`), or the attempt has no outcome until [housekeeping](Merchant::housekeeping) asks the rail, a minute
    /// later.
    ///
    /// What comes of it is in [`Order::state`] and the last of [`Order::attempts`]; for [`Outcome::Continue`] the customer
    /// goes on at its address.
    ///
    /// # Errors
    /// [`Refusal::NoSuchRail`]; [`Refusal::CannotCollect`] for an amount that the rail cannot collect; [`Error::Order`] if the
    /// order is paid, over, or a payment is in doubt; [`Refusal::NoSuchOrder`] if the order was never committed.
    pub async fn pay(&self, rail: &str) -> Result<Self, Error> {
        let merchant = &self.merchant;
        let rail = merchant.rail(rail)?.clone();
        let (order, begun) = merchant.begin_paying(self.id(), &rail).await?.commit().await?;
        // Only whoever began the attempt carries it out.
        match begun.and_then(|attempt| payment(&order.record, attempt)) {
            Some(payment) if merchant.may_tell(payment.begun_at) => {
                let outcome = rail.pay(&payment).await;
                merchant.answered(&payment, outcome).await
            }
            _ => Ok(order),
        }
    }

    /// Asks the rail how the last attempt stands, where it was left open: for the page that a customer comes back to, which
    /// believes nothing of how they come. What is decided, or is being asked for at this moment, is reported as it stands.
    ///
    /// # Errors
    /// [`Error::Unavailable`] if the store does not answer.
    pub async fn ask_rail(&self) -> Result<Self, Error> {
        let order = self.reload().await?;
        let open = |attempt: &&Attempt| {
            matches!(attempt.outcome, Some(Outcome::Pending | Outcome::Continue(_) | Outcome::Unknown))
        };
        let Some(attempt) = order.record.last_attempt().filter(open) else { return Ok(order) };
        let (Ok(rail), Some(payment)) = (self.merchant.rail(&attempt.rail), payment(&order.record, attempt.number))
        else {
            return Ok(order);
        };
        let outcome = rail.inquire(&payment).await;
        // That the rail does not answer a page makes nothing doubtful.
        if outcome == Outcome::Unknown { Ok(order) } else { self.merchant.answered(&payment, outcome).await }
    }

    /// What the customer has to transfer, if the order is being paid by a rail on which they pay by hand, such as
    /// [`Sepa`](crate::rail::Sepa): what is still to come, to whom, with which reference, until when.
    #[must_use]
    pub fn transfer(&self) -> Option<TransferRequest> {
        let attempt = self.record.last_attempt().filter(|_| self.record.state == OrderState::Paying)?;
        let rail = self.merchant.rail(&attempt.rail).ok()?;
        rail.transfer(&payment(&self.record, attempt.number)?, self.outstanding())
    }
}

impl Merchant {
    /// The rail of a name.
    pub(super) fn rail(&self, name: &str) -> Result<&AnyRail, Error> {
        Ok(self.0.rails.iter().find(|rail| rail.id() == name).ok_or(Refusal::NoSuchRail)?)
    }

    /// The order with an attempt on this rail, and its number if it begins now.
    async fn begin_paying(&self, id: &OrderId, rail: &AnyRail) -> Result<Pending<(Order, Option<u32>)>, Error> {
        Pending::new(self, (id.clone(), rail.clone()), |merchant, (id, rail)| async move {
            let order = merchant.wanted(&id).await?;
            let Some(step) = order.record.clone().paying(rail.id(), rail.patience_s(), merchant.now())? else {
                return Ok(merchant.plan_nothing_new(order.record).map(|order| (order, None)));
            };
            let attempt = step.order.last_attempt().map(|attempt| (attempt.number, attempt.amount));
            if let Some((_, amount)) = attempt {
                rail.takes(amount).map_err(Refusal::CannotCollect)?;
            }
            let plan = merchant.plan_step(step, Some(&order), Vec::new())?;
            Ok(plan.map(|order| (order, attempt.map(|(number, _)| number))))
        })
        .await
    }

    /// Whether a rail may still be told what was begun then. Whoever was stopped for longer leaves it: somebody else may have
    /// asked the rail, which had never heard of it, and the order has gone on from there.
    pub(super) fn may_tell(&self, begun_at: UnixTime) -> bool {
        let may = self.now().since_s(begun_at) <= RAIL_ANSWER_S;
        if !may {
            tracing::warn!("what was begun is not told to its rail: this program was stopped for too long");
        }
        may
    }

    /// Writes down what a rail said of an attempt.
    pub(super) async fn answered(&self, payment: &PaymentRequest, outcome: Outcome) -> Result<Order, Error> {
        self.answered_from(None, payment, outcome).await
    }

    /// The same by whoever knows the checkout that waits for it.
    pub(super) async fn answered_from(
        &self,
        from: Option<&CheckoutId>,
        payment: &PaymentRequest,
        outcome: Outcome,
    ) -> Result<Order, Error> {
        let (attempt, amount) = (payment.attempt, payment.amount);
        let said = move |order: OrderRecord, now| Ok(order.answered(attempt, amount, outcome.clone(), now)?);
        let step = self.step_from(from, &payment.order, said).await?;
        let is_new = step.is_new();
        let answered = step.commit().await?;
        if is_new {
            self.tell_inventory_of(&answered.record).await;
        }
        Ok(answered)
    }

    /// A message that claims to be a rail's. The rail finds out whether it is; then it counts, once, whatever else is said.
    ///
    /// # Errors
    /// [`Refusal::NoSuchRail`]; [`Error::Notice`] if it is not authentic or cannot be read; [`Refusal::NoSuchOrder`] and
    /// [`Error::Order`] if it speaks of an order, an attempt, a capture or an amount that there is not, and
    /// [`Refusal::NothingOwed`] of a refund. What is refused is logged.
    pub async fn notice(&self, rail: &str, request: &NoticeRequest<'_>) -> Result<Order, Error> {
        let rail = self.rail(rail)?.clone();
        let notice = rail.notice(request).await.inspect_err(|error| {
            tracing::warn!(rail = rail.id(), code = error.code(), "a notice is refused");
        })?;
        let order = notice.order.clone();
        let followed = self.follow(rail.id(), notice).await;
        if let Err(error) = &followed {
            tracing::warn!(rail = rail.id(), %order, code = error.code(), "a notice is not followed");
        }
        followed
    }

    async fn follow(&self, rail: &'static str, notice: Notice) -> Result<Order, Error> {
        let Notice { order: id, attempt, amount, said } = notice;
        // A rail speaks of its own attempts.
        let check = move |order: &OrderRecord| {
            let own = order.attempts.iter().any(|a| a.number == attempt && a.rail == rail);
            if own { Ok(()) } else { Err(OrderError::NoSuchAttempt(attempt)) }
        };
        let step = match said {
            Said::Payment(outcome) => {
                let follow = move |order: OrderRecord, now| {
                    check(&order)?;
                    Ok(order.answered(attempt, amount, outcome.clone(), now)?)
                };
                self.step(&id, follow).await?
            }
            Said::Capture { key, outcome } => {
                let follow = move |order: OrderRecord, now| {
                    check(&order)?;
                    Ok(order.capture_answered(attempt, &key, amount, &outcome, now)?)
                };
                self.step(&id, follow).await?
            }
            Said::Refund { key, number, outcome } => {
                let follow = move |order: OrderRecord, refund: RefundRecord, now| {
                    check(&order)?;
                    // Of what it was never told it has nothing to say.
                    if refund.by != Source::Attempt(attempt) || !(1..=refund.tries).contains(&number) {
                        return Err(Refusal::NothingOwed.into());
                    }
                    if refund.amount != amount {
                        return Err(OrderError::OtherAmount { attempt, expected: refund.amount, found: amount }.into());
                    }
                    Ok(order.refund_answered(refund, number, &outcome, now)?)
                };
                self.step_refund(&id, &key, follow).await?
            }
            Said::TakenBack { id: name } => {
                Pending::new(self, (id, name), move |merchant, (id, name)| async move {
                    // The order first: whoever changes a refund changes its order's version, too.
                    let order = merchant.wanted(&id).await?;
                    check(&order.record)?;
                    let refunds = merchant.all_of::<RefundRecord>(&id).await?;
                    match order.record.clone().taken_back(attempt, &name, amount, refunds)? {
                        Some(step) => merchant.plan_step(step, Some(&order), Vec::new()),
                        None => Ok(merchant.plan_nothing_new(order.record)),
                    }
                })
                .await?
            }
        };
        step.commit().await
    }

    /// Does what is due by itself, on all orders: lets what nobody paid expire, asks rails about payments and refunds in
    /// doubt, and [ends](crate::order::NO_SALE_KEPT_S) what a checkout tried to become and never was. Says how many orders
    /// it looked at. A part of [`Merchant::housekeeping`]; any number of nodes may do it at once, since asking changes
    /// nothing and every step is taken once.
    ///
    /// # Errors
    /// [`Error::Unavailable`] if the store does not answer. A single order that fails is logged, and tried again later.
    pub async fn bring_orders_up_to_date(&self) -> Result<usize, Error> {
        self.hand_over_authorisations().await?;
        self.end_orders().await?;
        let (begun, mut looked) = (self.now(), 0);
        for queue in [DUE, TRIED] {
            let mut due = self.due(queue);
            while let Some((_, OrderEntry { order }, _)) = due.next_of().await? {
                looked += 1;
                // A rail that is silent takes its time with each of them: the rest waits for the next round.
                let may_ask = self.now().since_s(begun) <= ROUND_S;
                if let Err(error) = self.bring_up_to_date(&order, may_ask).await {
                    tracing::warn!(%order, code = error.code(), "an order could not be brought up to date");
                }
            }
        }
        Ok(looked)
    }

    async fn bring_up_to_date(&self, id: &OrderId, may_ask: bool) -> Result<(), Error> {
        let Loaded { record, .. } = self.wanted(id).await?;
        let now = self.now();
        let ending = record.expires_at.is_some_and(|end| now >= end);
        let undecided = |attempt: &Attempt| matches!(attempt.outcome, Some(Outcome::Pending | Outcome::Continue(_)));
        let is_due = record.inquire_at.is_some_and(|at| now >= at);
        let rail_of = |attempt: &Attempt| self.rail(&attempt.rail).ok();
        for attempt in record.attempts.iter().filter(|_| may_ask) {
            // An attempt that has just begun is being carried out by whoever began it.
            let silent = attempt.is_in_doubt() && now.since_s(attempt.begun_at) > RAIL_ANSWER_S;
            // Before it ends, what was left to the customer is asked about once more.
            let last_word = ending && undecided(attempt) && rail_of(attempt).is_some();
            self.inquire_captures(&record, attempt).await?;
            // What is promised is asked about when it may have ended, and before it is given up once more.
            let fresh = attempt.void.is_none() && record.idle_authorisations().any(|a| a.number == attempt.number);
            let told = attempt.void.as_ref().map(|void| void.begun_at);
            let promised = is_due && attempt.holds() && !fresh && told.is_none_or(|at| now.since_s(at) > RAIL_ANSWER_S);
            if !(silent || last_word || promised) {
                continue;
            }
            let Some(payment) = payment(&record, attempt.number) else { continue };
            let outcome = match rail_of(attempt) {
                Some(rail) => rail.inquire(&payment).await,
                // A rail that the merchant has taken out of the program since: see `Order::decide`.
                None => Outcome::Unknown,
            };
            self.answered(&payment, outcome).await?;
        }
        for key in record.sending.iter().filter(|_| may_ask) {
            self.inquire_refund(&record, key).await?;
        }
        if is_due && may_ask {
            self.release_idle(id).await?;
        }
        if ending && (may_ask || !record.attempts.iter().any(undecided)) {
            self.step(id, |order, now| Ok(order.expired(now)?)).await?.commit().await?;
        }
        Ok(())
    }
}

impl Merchant {
    /// Has rails give up what the order needs no more: what nobody has told them yet, and what they have not done.
    async fn release_idle(&self, id: &OrderId) -> Result<(), Error> {
        let Loaded { record, .. } = self.wanted(id).await?;
        let now = self.now();
        for attempt in record.idle_authorisations() {
            if attempt.void.as_ref().is_none_or(|void| now.since_s(void.begun_at) > RAIL_ANSWER_S) {
                self.void(id, attempt.number).await?;
            }
        }
        Ok(())
    }
}

/// What a rail is told about an attempt.
pub(super) fn payment(order: &OrderRecord, attempt: u32) -> Option<PaymentRequest> {
    let found = order.attempts.iter().find(|a| a.number == attempt)?;
    Some(PaymentRequest {
        order: order.id.clone(),
        attempt,
        amount: found.amount,
        reference: order.reference.clone(),
        begun_at: found.begun_at,
    })
}
