//! What somebody could send, or bring about, to get more than they pay for: refused by name, written down where money is
//! concerned, and nothing is lost.

use std::sync::{Arc, Mutex};

use super::*;
use crate::trade::{Catalog, TradeError};

/// A catalogue whose prices change.
#[derive(Clone, Debug)]
struct Prices(Arc<Mutex<Money>>);

impl Prices {
    fn are(price: Money) -> Self {
        Self(Arc::new(Mutex::new(price)))
    }

    fn become_(&self, price: Money) {
        *self.0.lock().unwrap() = price;
    }
}

impl Catalog for Prices {
    async fn items(&self, names: &[String]) -> Result<Vec<Option<Item>>, TradeError> {
        let price = *self.0.lock().unwrap();
        Ok(names.iter().map(|name| (name == "book").then(|| Item::new("book", "A book", price))).collect())
    }
}

async fn selling_at(prices: &Prices) -> Shop {
    let trade = Trade::new(Currency::EUR, prices.clone());
    Shop::with(|builder| builder.trade(trade)).await
}

/// The customer has agreed, and whoever carries that out has not begun.
pub(super) async fn agreed(shop: &Shop, checkout: &Checkout, at: &str) -> Checkout {
    let completion = pay(checkout, FakeRail::ID);
    let content = ("complete", checkout.id(), &completion);
    let once = Once::new(shop.merchant(), &checkout.whose.principal(), &key(at), &content);
    checkout.agreed(&completion, once, Default::default()).await.unwrap().checkout()
}

#[tokio::test]
async fn row_118_a_price_that_has_changed_sells_nothing_and_is_shown_anew() {
    let prices = Prices::are(euro("9.90"));
    let shop = selling_at(&prices).await;
    let checkout = shop.guest(&book()).await.checkout;
    for now in ["19.90", "0.01", "9.91"] {
        prices.become_(euro(now));
        let before = checkout.reload().await.unwrap();
        let shown = before.complete(&pay(&before, FakeRail::ID), &key(now)).await.unwrap();
        assert_eq!((shown.status(), codes(&shown)), (Status::ReadyForComplete, vec!["offer_changed"]), "{now}");
        assert_eq!(shown.offering().totals.total, euro(now));
        assert!(shown.record().attempted_order().is_none() && shop.rail.calls() == 0);
    }
    // What is agreed to stays what it costs, whatever the catalogue says from then on.
    let shown = checkout.reload().await.unwrap();
    let (seen, under_way) = (pay(&shown, FakeRail::ID), agreed(&shop, &shown, "a").await);
    assert_eq!(under_way.status(), Status::CompleteInProgress);
    prices.become_(euro("0.01"));
    let done = shown.complete(&seen, &key("a")).await.unwrap();
    assert_eq!(done.order().await.unwrap().unwrap().total(), euro("9.91"));
    assert_eq!(shop.rail.calls(), 1);
}

#[tokio::test]
async fn row_119_a_total_in_another_currency_is_another_total() {
    let prices = Prices::are(euro("9.90"));
    let shop = selling_at(&prices).await;
    let checkout = shop.guest(&book()).await.checkout;
    for (number, code) in ["CHF", "USD", "JPY"].into_iter().enumerate() {
        let total = Money::new(990, code.parse().unwrap()).unwrap();
        let seen = Completion { total, ..pay(&checkout, FakeRail::ID) };
        let refused = checkout.complete(&seen, &key(&format!("other-{number}"))).await.unwrap_err();
        assert_eq!(refused.code(), "total_changed", "{code}");
    }
    // A catalogue that speaks of another currency sells nothing at its number: that is the shop's to mend.
    prices.become_(Money::new(990, Currency::CHF).unwrap());
    let refused = checkout.complete(&pay(&checkout, FakeRail::ID), &key("francs")).await.unwrap_err();
    assert!(matches!(refused, Error::Misuse(_)), "{refused:?}");
    let form = shop.merchant().guest_form();
    let refused = shop.merchant().check_out_as_guest(&book(), &form).await.unwrap_err();
    assert!(matches!(refused, Error::Misuse(_)), "{refused:?}");
    assert_eq!((shop.rail.calls(), checkout.reload().await.unwrap().status()), (0, Status::ReadyForComplete));
}

#[tokio::test]
async fn row_120_a_basket_that_costs_more_than_can_be_counted_is_none() {
    let most = Money::new(i64::MAX, Currency::EUR).unwrap();
    let prices = Prices::are(most);
    let shop = selling_at(&prices).await;
    for (count, price) in [(2, most), (1_000_000, Money::new(i64::MAX / 1_000_000 + 1, Currency::EUR).unwrap())] {
        prices.become_(price);
        let basket = Basket::from(Wishes::new().item("book", some(count)));
        let form = shop.merchant().guest_form();
        let refused = shop.merchant().check_out_as_guest(&basket, &form).await.unwrap_err();
        // Nobody who buys can mend a price like that: the log tells the merchant.
        assert!(matches!(refused, Error::Misuse(_)), "{count} of {price}: {refused:?}");
    }
    assert!(Quantity::new(0).is_err() && Quantity::new(1_000_001).is_err() && Quantity::new(u32::MAX).is_err());
    // Said twice it is the sum, and that has the same bound.
    let twice = Wishes::new().item("book", some(600_000)).item("book", some(600_000));
    let refused = shop.merchant().check_out_as_guest(&twice.into(), &shop.merchant().guest_form()).await.unwrap_err();
    assert_eq!(refused.code(), "checkout_too_large");
    assert_eq!(shop.rail.calls(), 0);
}

#[tokio::test]
async fn row_115_who_pays_after_the_hold_has_ended_is_told_to_the_merchant_and_loses_nothing() {
    let shop = Shop::open().await;
    let first = shop.guest(&tea(5)).await.checkout;
    shop.rail.next(Mood::Says(Outcome::Unknown));
    let first = first.complete(&pay(&first, FakeRail::ID), &key("a")).await.unwrap();
    assert_eq!(shop.left("sencha").await, (0, 5));
    // Nobody keeps house: what is held is free again, and somebody else buys it.
    shop.shop.advance_s(24 * 3600);
    let second = shop.guest(&tea(3)).await.checkout;
    let second = second.complete(&pay(&second, FakeRail::ID), &key("b")).await.unwrap();
    assert_eq!((second.status(), shop.left("sencha").await), (Status::Completed, (2, 0)));

    let id = first.record().attempted_order().cloned().unwrap();
    shop.rail.decide(&id, 1, Outcome::Paid);
    shop.merchant().bring_orders_up_to_date().await.unwrap();
    shop.merchant().bring_checkouts_up_to_date().await.unwrap();
    let order = shop.merchant().order(&id).await.unwrap().unwrap();
    assert_eq!((order.state(), first.reload().await.unwrap().status()), (OrderState::Paid, Status::Completed));
    let missing = |event: &OrderEvent| matches!(&event.what, Happened::StockMissing { items } if *items == ["sencha"]);
    assert_eq!(order.events().await.unwrap().iter().filter(|event| missing(event)).count(), 1);
    assert_eq!(shop.left("sencha").await, (2, 0), "what could not be sold was not taken");
    // Their money goes back to the cent.
    let order = order.refund(order.total(), "sold-out").await.unwrap().commit().await.unwrap();
    shop.merchant().open_refunds(10).await.unwrap()[0].send().await.unwrap();
    assert_eq!(order.reload().await.unwrap().ledger().refunded, order.total());
}

#[tokio::test]
async fn row_124_a_word_for_one_is_let_off_once_of_two_who_agreed_at_once() {
    let shop = Shop::open().await;
    let basket = Basket::from(book().wishes.code("once"));
    let (one, other) = (shop.guest(&basket).await.checkout, shop.guest(&basket).await.checkout);
    let (seen, others) = (pay(&one, FakeRail::ID), pay(&other, FakeRail::ID));
    assert_eq!((seen.total, others.total), (euro("4.90"), euro("4.90")));
    for checkout in [&one, &other] {
        assert_eq!(agreed(&shop, checkout, "a").await.status(), Status::CompleteInProgress);
    }
    assert_eq!(one.complete(&seen, &key("a")).await.unwrap().status(), Status::Completed);
    let late = other.complete(&others, &key("a")).await.unwrap();
    assert_eq!((late.status(), codes(&late)), (Status::ReadyForComplete, vec!["discount_used"]));
    assert_eq!((shop.rail.calls(), shop.left("book").await), (1, (4, 0)), "nobody was charged, and nothing is held");
    let shown = late.refreshed().await.unwrap();
    assert_eq!(shown.offering().totals.total, euro("9.90"));
    let done = shown.complete(&pay(&shown, FakeRail::ID), &key("b")).await.unwrap();
    assert_eq!(done.order().await.unwrap().unwrap().total(), euro("9.90"));
}

#[tokio::test]
async fn row_121_a_notice_after_a_refund_brings_nothing_back() {
    let shop = Shop::open().await;
    let checkout = shop.guest(&book()).await.checkout;
    let done = checkout.complete(&pay(&checkout, FakeRail::ID), &key("a")).await.unwrap();
    let order = done.order().await.unwrap().unwrap();
    order.refund(euro("9.90"), "all").await.unwrap().commit().await.unwrap();
    shop.merchant().open_refunds(10).await.unwrap()[0].send().await.unwrap();
    let (before, calls) = (order.reload().await.unwrap(), shop.rail.calls());
    for _ in 0..2 {
        let (headers, body) = shop.rail.notice_of(order.id(), 1, shop.merchant().now()).unwrap();
        let request = crate::rail::NoticeRequest { headers: &headers, body: &body, now: shop.merchant().now() };
        shop.merchant().notice(FakeRail::ID, &request).await.unwrap();
    }
    let after = order.reload().await.unwrap();
    assert_eq!((after.record(), after.ledger().refunded), (before.record(), euro("9.90")));
    assert_eq!(after.refund(euro("0.01"), "more").await.unwrap_err().code(), "refund_too_large");
    assert_eq!((checkout.reload().await.unwrap().status(), shop.rail.calls()), (Status::Completed, calls));
}

#[tokio::test]
async fn however_many_checkouts_are_tried_they_hide_no_open_order() {
    let shop = Shop::open().await;
    let checkout = shop.guest(&book()).await.checkout;
    let sold = checkout.complete(&pay(&checkout, "sepa"), &key("a")).await.unwrap();
    let sale = sold.order().await.unwrap().unwrap();
    // They are due long before a transfer is late.
    for _ in 0..3 {
        let tried = shop.guest(&book()).await.checkout;
        shop.rail.next(Mood::Says(Outcome::Continue("https://rail.example/go".parse().unwrap())));
        let tried = tried.complete(&pay(&tried, FakeRail::ID), &key("a")).await.unwrap();
        assert_eq!(tried.status(), Status::CompleteInProgress);
    }
    let open = shop.merchant().open_orders(1).await.unwrap();
    assert_eq!(open.iter().map(Order::id).collect::<Vec<_>>(), [sale.id()]);
    // They end by themselves all the same.
    shop.shop.advance_s(2 * 3600);
    shop.merchant().bring_orders_up_to_date().await.unwrap();
    shop.merchant().bring_checkouts_up_to_date().await.unwrap();
    assert_eq!(shop.left("book").await, (4, 0));
}

#[tokio::test]
async fn what_another_rail_says_is_not_taken_for_the_customer_s_own_word() {
    let shop = Shop::open().await;
    let checkout = shop.guest(&book()).await.checkout;
    for said in ["withdrawn", "address_elsewhere"] {
        shop.rail.next(Mood::Says(Outcome::Declined(said.into())));
        let checkout = checkout.reload().await.unwrap();
        let failed = checkout.complete(&pay(&checkout, FakeRail::ID), &key(said)).await.unwrap();
        assert_eq!(codes(&failed), ["payment_declined"]);
    }
}

/// An entry of a version to come.
#[derive(Serialize, Deserialize)]
struct Later {}

impl Persisted for Later {
    const KIND: &'static str = "later";
    const SCHEMA: u16 = u16::MAX;
}

#[tokio::test]
async fn an_entry_that_cannot_be_read_holds_up_no_other() {
    let shop = Shop::open().await;
    let merchant = shop.merchant();
    let checkout = shop.guest(&book()).await.checkout;
    let sold = checkout.complete(&pay(&checkout, "sepa"), &key("a")).await.unwrap();
    let sale = sold.order().await.unwrap().unwrap();
    let begin = merchant.now();
    for (kind, shard) in ["order_ending", "order_due", "order_tried_due"].into_iter().zip(["0", "1", "2"]) {
        for shard in [shard, "7"] {
            let entry = Key::new(kind, shard, format!("{:020}/nothing", begin.as_secs()));
            let write = put(entry, &Later {}, None, Expect::Absent).unwrap();
            merchant.0.store.commit(&[write], begin).await.unwrap();
        }
    }
    shop.shop.advance_s(60 * 24 * 3600);
    merchant.bring_orders_up_to_date().await.unwrap();
    assert_eq!(sale.reload().await.unwrap().state(), OrderState::Expired);
}
