//! After the sale: what is sent and arrives, what the merchant takes back, what the customer withdraws from.

use super::{Key, Order, entry, pending::Pending, queue::by_time, shard_of};
use crate::{
    error::Error,
    merchant::Merchant,
    money::Money,
    order::{
        Acknowledgement, Adjustment, AdjustmentRecord, AdjustmentState, Fulfilment, OrderId, OrderRecord, Parcel,
        ParcelRecord, Part, RefundRecord, Withdrawal,
    },
    store::{Expect, Write},
};

/// The orders with a withdrawal that waits for the merchant.
const WITHDRAWN: &str = "order_withdrawn";
/// The orders of which something is to be sent.
const TO_SEND: &str = "order_to_send";
/// The orders of which something is unsent, and stopped.
const STOPPED: &str = "order_stopped";

/// An adjustment, and how far it has come: see [`Order::adjustments`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Adjusted {
    /// What was decided.
    pub record: AdjustmentRecord,
    /// How far what goes back for it has come.
    pub state: AdjustmentState,
}

impl Order {
    /// A parcel has left the shop: all of the order, or a part. Its key makes it one parcel however often it is said. What is
    /// [authorised](crate::order::OrderState::Authorised) on a rail that keeps the money may be sent, and is
    /// [captured](Order::capture) then; what a wallet authorised has to have been paid.
    ///
    /// # Errors
    /// [`Error::Order`] if the order [may not be sent](OrderRecord::may_be_sent) yet, more is sent than was bought, or the key was used for
    /// another parcel.
    pub async fn sent(&self, parcel: Parcel) -> Result<Pending<Self>, Error> {
        self.merchant.step(self.id(), move |order, now| Ok(order.sent(&parcel, now)?)).await
    }

    /// What is [stopped](OrderRecord::stopped) may be sent all the same: money was taken back, or an authorisation ended with a
    /// part of the price, and the merchant has looked at it. Said again, nothing happens.
    ///
    /// # Errors
    /// [`Error::Unavailable`] if the store does not answer.
    pub async fn send_anyway(&self) -> Result<Pending<Self>, Error> {
        self.merchant.step(self.id(), |order, _| Ok(order.sending_allowed())).await
    }

    /// A parcel has arrived, which is when the time to withdraw from what is in it begins.
    ///
    /// # Errors
    /// [`Error::Order`] if no such parcel was sent.
    pub async fn delivered(&self, parcel: &str) -> Result<Pending<Self>, Error> {
        let parcel = parcel.to_owned();
        self.merchant.step(self.id(), move |order, now| Ok(order.delivered(&parcel, now)?)).await
    }

    /// How much of it has been sent.
    #[must_use]
    pub fn fulfilment(&self) -> Fulfilment {
        self.record.fulfilment()
    }

    /// What was sent, the oldest first.
    #[must_use]
    pub fn parcels(&self) -> &[ParcelRecord] {
        &self.record.after.parcels
    }

    /// What is still to be sent.
    #[must_use]
    pub fn unsent(&self) -> Vec<Part> {
        self.record.unsent()
    }

    /// Takes something back, or makes it cheaper, and owes what goes back for it: both at once. Its key makes it one
    /// adjustment however often it is said. [`Refund::send`](super::Refund::send) carries the refund out.
    ///
    /// # Errors
    /// [`Error::Order`] for more than was bought less what was given up before, for more than is settled, or if the key was
    /// used for something else.
    pub async fn adjust(&self, adjustment: Adjustment) -> Result<Pending<Self>, Error> {
        self.merchant.step(self.id(), move |order, now| Ok(order.adjusted(&adjustment, now)?)).await
    }

    /// What was taken back or made cheaper, the oldest first.
    ///
    /// # Errors
    /// [`Error::Unavailable`] if the store does not answer.
    pub async fn adjustments(&self) -> Result<Vec<Adjusted>, Error> {
        let records = &self.record.after.adjustments;
        if records.is_empty() {
            return Ok(Vec::new());
        }
        let refunds: Vec<RefundRecord> = self.merchant.all_of(self.id()).await?;
        let adjusted = records.iter().map(|record| {
            let begin = record.refunds();
            let of_it = refunds.iter().filter(|refund| refund.key.starts_with(&begin)).map(|refund| refund.state);
            Adjusted { record: record.clone(), state: AdjustmentState::of(of_it) }
        });
        Ok(adjusted.collect())
    }

    /// What the customer can withdraw from now, for the page of the order: while
    /// [something is open](Withdrawal::is_open), it shows the function "Withdraw from the contract here".
    #[must_use]
    pub fn withdrawal(&self) -> Withdrawal {
        self.record.withdrawal(self.merchant.now())
    }

    /// The customer has confirmed that they withdraw from this. Whoever has the order in their hands may say so: the
    /// customer whom the shop recognises, the guest with the link, and the merchant for somebody who wrote a letter. Nothing
    /// else is asked of them. The key, from the page that asked for the confirmation, makes it one withdrawal.
    ///
    /// The [acknowledgement](Order::acknowledgements) is due at once.
    ///
    /// # Errors
    /// [`Error::Order`] if it is too late, exempt, or more than is left; if the order is over; or if the key was used for
    /// something else.
    pub async fn withdraw(&self, parts: Vec<Part>, key: &str) -> Result<Pending<Self>, Error> {
        let key = key.to_owned();
        self.merchant.step(self.id(), move |order, now| Ok(order.withdrawn_from(&parts, &key, now)?)).await
    }

    /// That the shop has received its customer's withdrawals: one each, the oldest first.
    #[must_use]
    pub fn acknowledgements(&self) -> Vec<Acknowledgement> {
        self.record.acknowledgements()
    }

    /// What a withdrawal is worth, for the merchant to start from: see [`OrderRecord::withdrawal_worth`].
    ///
    /// # Errors
    /// [`Error::Order`] if there is no such withdrawal.
    pub fn withdrawal_worth(&self, key: &str) -> Result<Money, Error> {
        Ok(self.record.withdrawal_worth(key)?)
    }

    /// The merchant settles a withdrawal: so much is owed back from now on. With the goods back, or before, as the
    /// merchant likes.
    ///
    /// # Errors
    /// [`Error::Order`] if there is no such withdrawal, it was settled otherwise, or that much is not settled.
    pub async fn settle_withdrawal(&self, key: &str, amount: Money) -> Result<Pending<Self>, Error> {
        let key = key.to_owned();
        self.merchant.step(self.id(), move |order, now| Ok(order.withdrawal_settled(&key, amount, now)?)).await
    }
}

impl Merchant {
    /// The orders with a withdrawal that waits to be settled, up to `limit` (at most 1,000), in no particular order.
    ///
    /// # Errors
    /// [`Error::Unavailable`] if the store does not answer.
    pub async fn open_withdrawals(&self, limit: usize) -> Result<Vec<Order>, Error> {
        let found = self.first_of(WITHDRAWN, limit).await?;
        self.orders_of(found).await
    }

    /// The orders of which something [may be sent](OrderRecord::may_be_sent) and is [unsent](Order::unsent), those that were
    /// placed first before the others, up to `limit` (at most 1,000): what there is to pack.
    ///
    /// # Errors
    /// [`Error::Unavailable`] if the store does not answer.
    pub async fn orders_to_send(&self, limit: usize) -> Result<Vec<Order>, Error> {
        let found = self.first_of(TO_SEND, limit).await?;
        self.orders_of(found).await
    }

    /// The orders of which something is unsent and [stopped](OrderRecord::stopped): what they were to be sent for is gone, or
    /// will not come. Those that were placed first before the others, up to `limit` (at most 1,000). Somebody has to look at
    /// each: [`Order::send_anyway`], or an [adjustment](Order::adjust) of what is not going to be supplied.
    ///
    /// # Errors
    /// [`Error::Unavailable`] if the store does not answer.
    pub async fn orders_stopped(&self, limit: usize) -> Result<Vec<Order>, Error> {
        let found = self.first_of(STOPPED, limit).await?;
        self.orders_of(found).await
    }
}

/// Puts an order into the list of those that wait to be settled, or takes it out.
pub(super) fn settlement_write(order: &OrderRecord, was: Option<&OrderRecord>) -> Result<Option<Write>, Error> {
    let waited = was.is_some_and(OrderRecord::awaits_settlement);
    match (waited, order.awaits_settlement()) {
        (false, true) => entry(withdrawn_key(&order.id), &order.id, Expect::Any).map(Some),
        (true, false) => Ok(Some(Write::delete(withdrawn_key(&order.id), Expect::Any))),
        _ => Ok(None),
    }
}

/// Puts an order into the list of those that are to be packed, and of those that are stopped, or takes it out.
pub(super) fn sending_writes(order: &OrderRecord, was: Option<&OrderRecord>) -> Result<Vec<Write>, Error> {
    let is_stopped = |order: &OrderRecord| order.is_confirmed() && order.waits_stopped();
    let packed = (TO_SEND, was.is_some_and(is_to_be_sent), is_to_be_sent(order));
    let stopped = (STOPPED, was.is_some_and(is_stopped), is_stopped(order));
    let mut writes = Vec::new();
    for (list, was_in, is_in) in [packed, stopped] {
        let key = Key::new(list, shard_of(order.id.as_str()), by_time(order.placed_at, &order.id));
        match (was_in, is_in) {
            (false, true) => writes.push(entry(key, &order.id, Expect::Any)?),
            (true, false) => writes.push(Write::delete(key, Expect::Any)),
            _ => {}
        }
    }
    Ok(writes)
}

/// What a checkout only tries to sell is packed by nobody.
fn is_to_be_sent(order: &OrderRecord) -> bool {
    order.is_confirmed() && order.may_be_sent() && !order.unsent().is_empty()
}

fn withdrawn_key(id: &OrderId) -> Key {
    Key::new(WITHDRAWN, shard_of(id.as_str()), id.as_str())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        money::{Currency, Quantity},
        order::{AdjustmentReason, Draft, Happened, WithdrawalState},
        store::Memory,
        testing::{FakeRail, Mood, TestShop},
    };

    fn euro(text: &str) -> Money {
        Money::parse(text, Currency::EUR).unwrap()
    }

    fn teas(number: u32) -> Vec<Part> {
        vec![Part::new("tea", Quantity::new(number).unwrap())]
    }

    async fn paid(shop: &TestShop) -> Order {
        let merchant = shop.merchant();
        let draft = Draft::new(Currency::EUR).line("tea", "Tea", euro("10"), Quantity::new(3).unwrap());
        let placed = merchant.place_as_guest(draft, &merchant.guest_form()).await.unwrap().commit().await.unwrap();
        placed.order.pay(FakeRail::ID).await.unwrap()
    }

    fn shop() -> TestShop {
        TestShop::with(|shop| shop.store(Memory::new()).rail(FakeRail::new()).feed())
    }

    #[tokio::test]
    async fn parcels_are_sent_and_arrive_and_the_feed_tells_it_once() {
        let shop = shop();
        let order = paid(&shop).await;
        let parcel = Parcel::new("1", teas(2)).carried_by("DHL", Some("00340".to_owned()));
        let first = order.sent(parcel.clone()).await.unwrap();
        let second = order.sent(parcel.clone()).await.unwrap();
        assert!(first.is_new() && second.is_new(), "decided from the same order");
        assert!(first.committed().await.unwrap().is_new);
        // Pressed twice at once: the other is decided anew, and finds it done.
        let second = second.committed().await.unwrap();
        assert!(!second.is_new, "it was somebody else's");
        let order = second.value;
        assert_eq!((order.parcels().len(), order.fulfilment(), order.unsent()), (1, Fulfilment::Partly, teas(1)));
        assert!(!order.sent(parcel).await.unwrap().is_new());
        assert_eq!(order.sent(Parcel::new("2", teas(2))).await.unwrap_err().code(), "more_than_bought");
        assert_eq!(order.delivered("2").await.unwrap_err().code(), "no_such_parcel");
        order.sent(Parcel::new("2", teas(1))).await.unwrap().commit().await.unwrap();
        for key in ["1", "2", "1"] {
            order.delivered(key).await.unwrap().commit().await.unwrap();
        }
        assert_eq!(order.reload().await.unwrap().fulfilment(), Fulfilment::Delivered);
        let told = shop.merchant().feed().next().await.unwrap().unwrap();
        let names: Vec<&str> = told
            .order_events()
            .filter_map(|event| match &event.what {
                Happened::Sent { parcel, .. } | Happened::Delivered { parcel } => Some(parcel.as_str()),
                _ => None,
            })
            .collect();
        assert_eq!(names, ["1", "2", "1", "2"]);
    }

    #[tokio::test]
    async fn an_adjustment_and_its_refund_are_one_commit_and_one_story() {
        let shop = shop();
        let order = paid(&shop).await;
        let (key, reason) = ("a".to_owned(), AdjustmentReason::Returned);
        let adjustment = Adjustment { key, reason, lines: teas(1), amount: euro("9.50") };
        for _ in 0..2 {
            order.adjust(adjustment.clone()).await.unwrap().commit().await.unwrap();
        }
        let more = Adjustment { amount: euro("9.51"), ..adjustment.clone() };
        assert_eq!(order.adjust(more).await.unwrap_err().code(), "key_differs");
        let beyond = Adjustment { key: "b".to_owned(), amount: euro("20.51"), ..adjustment };
        assert_eq!(order.adjust(beyond).await.unwrap_err().code(), "refund_too_large");
        let order = order.reload().await.unwrap();
        assert_eq!(
            (order.ledger().owed, order.adjustments().await.unwrap()[0].state),
            (euro("9.50"), AdjustmentState::Owed)
        );
        let refunds = shop.merchant().open_refunds(10).await.unwrap();
        assert_eq!(refunds.len(), 1);
        let order = refunds[0].send().await.unwrap();
        assert_eq!(order.adjustments().await.unwrap()[0].state, AdjustmentState::Done);
        assert_eq!(order.ledger().refunded, euro("9.50"));
    }

    #[tokio::test]
    async fn a_withdrawal_waits_for_the_merchant_until_it_is_settled() {
        let shop = shop();
        let merchant = shop.merchant();
        let order = paid(&shop).await;
        order.sent(Parcel::new("1", teas(3))).await.unwrap().commit().await.unwrap();
        let order = order.delivered("1").await.unwrap().commit().await.unwrap();
        assert_eq!(order.withdrawal().all(), teas(3));
        assert!(merchant.open_withdrawals(10).await.unwrap().is_empty());
        for _ in 0..2 {
            order.withdraw(teas(2), "w1").await.unwrap().commit().await.unwrap();
        }
        assert_eq!(order.withdraw(teas(1), "w1").await.unwrap_err().code(), "key_differs");
        assert_eq!(order.withdraw(teas(2), "w2").await.unwrap_err().code(), "more_than_bought");
        let open = merchant.open_withdrawals(10).await.unwrap();
        assert_eq!((open.len(), open[0].id()), (1, order.id()));
        let acknowledged = &open[0].acknowledgements()[0];
        assert_eq!((acknowledged.at, acknowledged.state), (merchant.now(), WithdrawalState::Due));
        assert_eq!(merchant.open_refunds(10).await.unwrap().len(), 0, "a statement moves no money");

        let worth = open[0].withdrawal_worth("w1").unwrap();
        assert_eq!(worth, euro("20"));
        assert_eq!(order.settle_withdrawal("w2", worth).await.unwrap_err().code(), "no_such_withdrawal");
        let order = order.settle_withdrawal("w1", worth).await.unwrap().commit().await.unwrap();
        assert!(merchant.open_withdrawals(10).await.unwrap().is_empty());
        assert_eq!(order.settle_withdrawal("w1", euro("1")).await.unwrap_err().code(), "key_differs");
        assert!(!order.settle_withdrawal("w1", worth).await.unwrap().is_new());
        let refund = merchant.open_refunds(10).await.unwrap().remove(0);
        assert_eq!(refund.amount(), worth);
        shop.advance_s(30 * 24 * 3600);
        assert!(!order.withdrawal().is_open());
        assert_eq!(order.withdraw(teas(1), "w3").await.unwrap_err().code(), "withdrawal_over");
    }

    #[tokio::test]
    async fn what_is_to_be_packed_is_listed_oldest_first_until_it_is_sent() {
        let shop = shop();
        let merchant = shop.merchant();
        let listed = async |limit| {
            let orders = merchant.orders_to_send(limit).await.unwrap();
            orders.iter().map(|order| order.id().to_string()).collect::<Vec<_>>()
        };
        let mut orders = Vec::new();
        for _ in 0..4 {
            orders.push(paid(&shop).await);
            shop.advance_s(1);
        }
        let draft = Draft::new(Currency::EUR).line("tea", "Tea", euro("10"), Quantity::new(3).unwrap());
        let placed =
            merchant.place_as_guest(draft, &merchant.guest_form()).await.unwrap().commit().await.unwrap().order;
        let names: Vec<String> = orders.iter().map(|order| order.id().to_string()).collect();
        assert_eq!(
            (listed(100).await, listed(2).await),
            (names.clone(), names[..2].to_vec()),
            "and not the unpaid one"
        );

        // In part is not all; given up, supplied never, and sent whole are.
        orders[0].sent(Parcel::new("1", teas(2))).await.unwrap().commit().await.unwrap();
        assert_eq!(listed(100).await, names);
        orders[0].sent(Parcel::new("2", teas(1))).await.unwrap().commit().await.unwrap();
        orders[1].withdraw(teas(3), "w").await.unwrap().commit().await.unwrap();
        let (key, reason) = ("a".to_owned(), AdjustmentReason::NotSupplied);
        let never = Adjustment { key, reason, lines: teas(3), amount: euro("30") };
        orders[2].adjust(never).await.unwrap().commit().await.unwrap();
        assert_eq!(listed(100).await, names[3..]);
        placed.pay(FakeRail::ID).await.unwrap();
        assert_eq!(listed(100).await, [names[3].clone(), placed.id().to_string()]);
    }

    #[tokio::test]
    async fn what_is_promised_is_packed_until_the_order_is_called_off() {
        let rail = FakeRail::new();
        let shop = TestShop::with(|shop| shop.store(Memory::new()).rail(rail.clone()));
        rail.next(Mood::Authorises);
        let order = paid(&shop).await;
        assert_eq!(shop.merchant().orders_to_send(10).await.unwrap().len(), 1);
        order.cancel().await.unwrap().commit().await.unwrap();
        assert!(shop.merchant().orders_to_send(10).await.unwrap().is_empty());
    }

    #[tokio::test]
    async fn an_order_that_is_called_off_waits_for_nothing() {
        let shop = shop();
        let merchant = shop.merchant();
        let draft = Draft::new(Currency::EUR).line("tea", "Tea", euro("10"), Quantity::new(3).unwrap());
        let placed = merchant.place_as_guest(draft, &merchant.guest_form()).await.unwrap().commit().await.unwrap();
        let order = placed.order.withdraw(teas(2), "w").await.unwrap().commit().await.unwrap();
        assert_eq!(merchant.open_withdrawals(10).await.unwrap().len(), 1);
        assert_eq!(order.sent(Parcel::new("1", teas(1))).await.unwrap_err().code(), "not_to_be_sent");
        let order = order.cancel().await.unwrap().commit().await.unwrap();
        assert!(merchant.open_withdrawals(10).await.unwrap().is_empty());
        assert_eq!(order.acknowledgements()[0].state, WithdrawalState::Settled);
        assert_eq!(order.sent(Parcel::new("1", teas(1))).await.unwrap_err().code(), "order_over");
    }
}
