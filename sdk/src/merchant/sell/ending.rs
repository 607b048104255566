//! The end of orders that came from a checkout and never were a sale. Nothing was sold and nothing paid, so they stand in no
//! books: they are kept for as long as somebody may still say something of them, and then deleted with all that leads to them.

use serde::{Deserialize, Serialize};

use super::{
    Loaded, PlacedDraft, delivery_key, order_key,
    queue::{by_time, shard_of},
    reference_key,
};
use crate::{
    error::Error,
    merchant::{Merchant, put},
    order::{Attempt, NO_SALE_KEPT_S, OrderEvent, OrderId, OrderRecord},
    store::{Expect, KEYS_MAX, Key, Persisted, Prefix, Version, Write},
    time::UnixTime,
};

/// When an order is looked at again that cannot end yet, in seconds.
const AGAIN_S: u64 = 24 * 3600;

/// That an order ends, once its time is over.
#[derive(Clone, Serialize, Deserialize)]
struct Ending {
    order: OrderId,
    /// The digest of the guest's link that may lead to it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    guest: Option<String>,
}

impl Persisted for Ending {
    const KIND: &'static str = "order_ending";
    const SCHEMA: u16 = 1;
}

/// Gives an order an end that is over and never was a sale, in the commit in which it is over.
pub(super) fn ending_write(order: &OrderRecord, was: Option<&Loaded>, now: UnixTime) -> Result<Option<Write>, Error> {
    if !never_was_a_sale(order) || was.is_some_and(|was| never_was_a_sale(&was.record)) {
        return Ok(None);
    }
    let guest = was.and_then(|was| was.checkout.as_ref()).and_then(|(checkout, _)| checkout.guest.clone());
    let ending = Ending { order: order.id.clone(), guest };
    ending.write(now.plus_s(NO_SALE_KEPT_S)).map(Some)
}

impl Merchant {
    /// Ends the orders whose time is over. A part of
    /// [`bring_orders_up_to_date`](Self::bring_orders_up_to_date); any number of nodes may do it at once.
    pub(super) async fn end_orders(&self) -> Result<(), Error> {
        let mut due = self.due(Ending::KIND);
        while let Some((key, ending, version)) = due.next_of::<Ending>().await? {
            if let Err(error) = self.end_order(&ending, key, version).await {
                tracing::warn!(order = %ending.order, code = error.code(), "an order could not be ended now");
            }
        }
        Ok(())
    }

    /// Ends one order: the order and what leads to it at once, and then what happened to it. Its place in the queue goes last,
    /// so that whoever is interrupted goes on.
    async fn end_order(&self, ending: &Ending, due: Key, version: Version) -> Result<(), Error> {
        let (now, id) = (self.now(), &ending.order);
        let struck_off = Write::delete(due, Expect::Version(version));
        if let Some(stored) = self.load_one(&order_key(id)).await? {
            let order: OrderRecord = stored.read()?;
            if !never_was_a_sale(&order) || !order.ledger.received.is_zero() {
                // Money came for it after all, and went back: that stays in the books.
                return self.commit_ending(&[struck_off], now).await;
            }
            if self.may_be_spoken_of(&order).await? {
                return self.commit_ending(&[struck_off, ending.write(now.plus_s(AGAIN_S))?], now).await;
            }
            let mut writes = vec![
                // Whatever somebody says of it at this very moment comes before this.
                Write::delete(order_key(id), Expect::Version(stored.version)),
                Write::delete(reference_key(&order.reference), Expect::Any),
                Write::delete(delivery_key(id), Expect::Any),
            ];
            writes.extend(self.link_to_end(ending).await?);
            self.commit_ending(&writes, now).await?;
        }
        let events = Prefix { kind: OrderEvent::KIND, partition: id.as_str().to_owned(), sort: String::new() };
        loop {
            let page = self.0.store.scan(&events, None, KEYS_MAX, now).await?;
            if page.is_empty() {
                return self.commit_ending(&[struck_off], now).await;
            }
            let gone: Vec<Write> = page.into_iter().map(|(key, _)| Write::delete(key, Expect::Any)).collect();
            self.commit_ending(&gone, now).await?;
        }
    }

    /// The guest's link, if it leads to this order and to no later one.
    async fn link_to_end(&self, ending: &Ending) -> Result<Option<Write>, Error> {
        let Some(digest) = &ending.guest else { return Ok(None) };
        let key = Key::new(PlacedDraft::KIND, digest, "");
        let Some(stored) = self.load_one(&key).await? else { return Ok(None) };
        let is_its = stored.read::<PlacedDraft>()?.order == ending.order;
        Ok(is_its.then(|| Write::delete(key, Expect::Version(stored.version))))
    }

    /// Whether something may still be said of an order, late as it is: a payment is in doubt or promised, an authorisation is
    /// with whoever executes it, or a checkout waits for it.
    async fn may_be_spoken_of(&self, order: &OrderRecord) -> Result<bool, Error> {
        let open = |attempt: &Attempt| attempt.is_in_doubt() || attempt.holds() || attempt.is_capturing();
        if order.wake_at().is_some() || order.attempts.iter().any(open) {
            return Ok(true);
        }
        for attempt in &order.attempts {
            if self.is_with_executor(&order.id, attempt.number).await? {
                return Ok(true);
            }
        }
        match &order.checkout {
            Some(from) => {
                Ok(self.load_checkout(&from.id).await?.is_some_and(|(it, _)| it.attempted_order() == Some(&order.id)))
            }
            None => Ok(false),
        }
    }

    async fn commit_ending(&self, writes: &[Write], now: UnixTime) -> Result<(), Error> {
        self.commit_first(writes, now).await
    }
}

impl Ending {
    fn write(&self, due: UnixTime) -> Result<Write, Error> {
        let key = Key::new(Self::KIND, shard_of(self.order.as_str()), by_time(due, &self.order));
        Ok(put(key, self, None, Expect::Any)?)
    }
}

fn never_was_a_sale(order: &OrderRecord) -> bool {
    order.state.is_over() && !order.is_confirmed()
}
