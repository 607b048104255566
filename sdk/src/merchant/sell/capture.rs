//! Collecting what is authorised, and giving up what is not needed: committed first, then the rail is told, then what it
//! said is committed.

use super::{Order, Pending, pay::payment};
use crate::{
    error::Error,
    merchant::Merchant,
    money::Money,
    order::{Attempt, Capture, OrderId, OrderRecord, OrderState, RAIL_ANSWER_S},
    rail::{ActOutcome, AnyRail, CaptureRequest, PaymentRequest},
};

impl Order {
    /// Collects a part of what is authorised, or all of it, such as what is being delivered now. `key` names this capture (1
    /// to 64 visible ASCII characters without `/`, such as the number of the parcel): said twice with the same key, it is
    /// one. One that the rail declined stays declined; try again under another key.
    ///
    /// What came of it is in the last of [`Order::attempts`]: `outcome` of its `captures`. Call it on a task of its own, as
    /// [`Order::pay`].
    ///
    /// # Errors
    /// [`Error::Order`] if the order is not authorised, not that much is left of it or of the price, or the key was used for
    /// another amount; [`Refusal::NoSuchRail`](crate::error::Refusal::NoSuchRail) for a rail that was taken out of the
    /// program.
    pub async fn capture(&self, amount: Money, key: &str) -> Result<Self, Error> {
        let merchant = &self.merchant;
        let (order, begun) = merchant.begin_capturing(self.id(), amount, key).await?.commit().await?;
        // Only whoever began the capture carries it out.
        let begun = begun.filter(|attempt| {
            let capture = capture_of(&order.record, *attempt, key);
            capture.is_some_and(|capture| merchant.may_tell(capture.begun_at))
        });
        let Some(request) = begun.and_then(|attempt| request_of(&order.record, attempt, key)) else { return Ok(order) };
        let rail = order.record.last_attempt().map_or("", |last| &last.rail);
        let outcome = match merchant.rail(rail) {
            Ok(rail) => rail.capture(&request).await,
            Err(_) => ActOutcome::Unknown,
        };
        merchant.capture_answered(&request, outcome).await
    }

    /// Whether somebody has to collect what is authorised, by [`Order::capture`]. Where the rail says that [nobody
    /// does](crate::rail::Rail::collects), the money comes by itself, and nothing is sent until it has.
    #[must_use]
    pub fn is_to_be_captured(&self) -> bool {
        // A rail that was taken out of the program is refused by its name, where somebody can see it.
        let collects = |attempt: &Attempt| self.merchant.rail(&attempt.rail).map_or(true, AnyRail::collects);
        self.state() == OrderState::Authorised && self.record.last_attempt().is_some_and(collects)
    }

    /// No more of what is authorised will be captured: the order is paid as far as it ever will be, and what is missing
    /// stands in [`OrderRecord::waived`]. What is left of the authorisation is given up, by [`Order::release`] or by
    /// [housekeeping](Merchant::housekeeping). What was sent on a promise that was broken is written off so.
    ///
    /// # Errors
    /// [`Error::Order`] if nothing is authorised, nothing was captured or sent yet (cancel it then), or a capture is not
    /// decided.
    pub async fn close_short(&self) -> Result<Pending<Self>, Error> {
        self.merchant.step(self.id(), |order, now| Ok(order.closed_short(now)?)).await
    }

    /// Tells the rail at once to give up what is left of an authorisation that the order does not need, after it was
    /// cancelled, closed short, or paid otherwise: what the customer's bank holds for us is free the sooner. Whatever
    /// becomes of it, [housekeeping](Merchant::housekeeping) sees to the rest.
    ///
    /// # Errors
    /// [`Error::Unavailable`] if the store does not answer.
    pub async fn release(&self) -> Result<Self, Error> {
        let mut order = self.reload().await?;
        let fresh = order.record.idle_authorisations().filter(|attempt| attempt.void.is_none());
        let fresh: Vec<u32> = fresh.map(|attempt| attempt.number).collect();
        for attempt in fresh {
            order = self.merchant.void(self.id(), attempt).await?;
        }
        Ok(order)
    }

    /// The merchant has found out how a capture in doubt went, such as in the records of whoever runs the rail: for a rail
    /// that cannot say it any more.
    ///
    /// # Errors
    /// [`Error::Order`] if there is no such capture, or it is not in doubt.
    pub async fn decide_capture(&self, attempt: u32, key: &str, was_captured: bool) -> Result<Pending<Self>, Error> {
        let key = key.to_owned();
        let decide =
            move |order: OrderRecord, now| Ok(Some(order.capture_decided(attempt, &key, was_captured, now)?));
        self.merchant.step(self.id(), decide).await
    }
}

impl Merchant {
    /// The order with a capture, and the number of its attempt if it begins now.
    async fn begin_capturing(
        &self,
        id: &OrderId,
        amount: Money,
        key: &str,
    ) -> Result<Pending<(Order, Option<u32>)>, Error> {
        Pending::new(self, (id.clone(), key.to_owned()), move |merchant, (id, key)| async move {
            let order = merchant.wanted(&id).await?;
            let Some(step) = order.record.clone().capturing(&key, amount, merchant.now())? else {
                return Ok(merchant.plan_nothing_new(order.record).map(|order| (order, None)));
            };
            let attempt = step.order.last_attempt().map(|last| last.number);
            merchant.rail(step.order.last_attempt().map_or("", |last| &last.rail))?;
            Ok(merchant.plan_step(step, Some(&order), Vec::new())?.map(|order| (order, attempt)))
        })
        .await
    }

    /// Writes down what a rail said of a capture.
    async fn capture_answered(&self, capture: &CaptureRequest, outcome: ActOutcome) -> Result<Order, Error> {
        let CaptureRequest { payment: PaymentRequest { order, attempt, .. }, key, amount } = capture.clone();
        self.step(&order, move |order, now| Ok(order.capture_answered(attempt, &key, amount, &outcome, now)?))
            .await?
            .commit()
            .await
    }

    /// Asks the rail about the captures of an attempt to which nobody answered.
    pub(super) async fn inquire_captures(&self, order: &OrderRecord, attempt: &Attempt) -> Result<(), Error> {
        let now = self.now();
        let silent = |capture: &&Capture| capture.is_open() && now.since_s(capture.begun_at) > RAIL_ANSWER_S;
        for capture in attempt.captures.iter().filter(silent) {
            let Some(request) = request_of(order, attempt.number, &capture.key) else { continue };
            let outcome = match self.rail(&attempt.rail) {
                Ok(rail) => rail.inquire_capture(&request).await,
                // A rail that the merchant has taken out of the program since: see `Order::decide_capture`.
                Err(_) => ActOutcome::Unknown,
            };
            self.capture_answered(&request, outcome).await?;
        }
        Ok(())
    }

    /// Has a rail give up what is left of an authorisation that nobody needs; nothing if that is not so any more.
    pub(super) async fn void(&self, id: &OrderId, attempt: u32) -> Result<Order, Error> {
        let begun = Pending::new(self, id.clone(), move |merchant, id| async move {
            let order = merchant.wanted(&id).await?;
            let Some(step) = order.record.clone().voiding(attempt, merchant.now()) else {
                return Ok(merchant.plan_nothing_new(order.record).map(|order| (order, false)));
            };
            Ok(merchant.plan_step(step, Some(&order), Vec::new())?.map(|order| (order, true)))
        });
        let (order, begun) = begun.await?.commit().await?;
        let found = order.record.attempts.iter().find(|found| begun && found.number == attempt);
        let (Some(found), Some(payment)) = (found, payment(&order.record, attempt)) else { return Ok(order) };
        if !found.void.as_ref().is_some_and(|void| self.may_tell(void.begun_at)) {
            return Ok(order);
        }
        let tries = found.void.as_ref().map_or(0, |void| void.tries);
        let outcome = match self.rail(&found.rail) {
            Ok(rail) => rail.void(&payment).await,
            // A rail that the merchant has taken out of the program since: the authorisation ends by itself.
            Err(_) => ActOutcome::Unknown,
        };
        self.step(id, move |order, now| Ok(order.void_answered(attempt, tries, &outcome, now))).await?.commit().await
    }
}

/// What a rail is told about a capture.
fn request_of(order: &OrderRecord, attempt: u32, key: &str) -> Option<CaptureRequest> {
    let amount = capture_of(order, attempt, key)?.amount;
    Some(CaptureRequest { payment: payment(order, attempt)?, key: key.to_owned(), amount })
}

fn capture_of<'a>(order: &'a OrderRecord, attempt: u32, key: &str) -> Option<&'a Capture> {
    let found = order.attempts.iter().find(|found| found.number == attempt)?;
    found.captures.iter().find(|capture| capture.key == key)
}
