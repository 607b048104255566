//! What the inventory is asked and told: of what is counted, and of nothing else.

use super::{super::stock::StockTask, *};
use crate::{
    order::OrderId,
    time::UnixTime,
    trade::{Held, Hold, Inventory, TradeError},
};

/// How many tasks the inventory has not heard.
async fn unheard(shop: &Shop) -> usize {
    let (mut tasks, mut count) = (shop.merchant().queue(StockTask::KIND), 0);
    while tasks.next().await.unwrap().is_some() {
        count += 1;
    }
    count
}

/// One that never answers: what is not counted needs none.
#[derive(Debug)]
struct Silent;

fn silent() -> TradeError {
    TradeError::new("inventory", "nobody is there")
}

impl Inventory for Silent {
    async fn hold(&self, _: &Hold) -> Result<Held, TradeError> {
        Err(silent())
    }

    async fn sell(&self, _: &Hold) -> Result<Held, TradeError> {
        Err(silent())
    }

    async fn free(&self, _: &OrderId, _: UnixTime) -> Result<(), TradeError> {
        Err(silent())
    }

    async fn left(&self, _: &[String], _: UnixTime) -> Result<Vec<Option<u32>>, TradeError> {
        Err(silent())
    }
}

#[tokio::test]
async fn what_is_not_counted_is_neither_asked_about_nor_held_nor_told() {
    let shop = Shop::with(|builder| builder.trade(Trade::new(Currency::EUR, catalogue()).inventory(Silent))).await;
    let checkout = shop.guest(&Wishes::new().item("song", some(1_000)).into()).await.checkout;
    assert_eq!((checkout.status(), codes(&checkout)), (Status::ReadyForComplete, Vec::<&str>::new()));
    let done = checkout.complete(&pay(&checkout, FakeRail::ID), &key("a")).await.unwrap();
    assert_eq!(done.status(), Status::Completed);
    let order = done.order().await.unwrap().unwrap();
    assert_eq!(order.state(), OrderState::Paid);
    assert!(!order.record().checkout.as_ref().unwrap().holds);
    // Nor does it hear of what came to nothing.
    let checkout = shop.guest(&Wishes::new().item("song", some(1)).into()).await.checkout;
    shop.rail.next(Mood::Says(Outcome::Declined("no_funds".into())));
    let open = checkout.complete(&pay(&checkout, FakeRail::ID), &key("b")).await.unwrap();
    assert_eq!((open.status(), codes(&open)), (Status::ReadyForComplete, vec!["payment_declined"]));
    assert_eq!(unheard(&shop).await, 0);
    // What is counted cannot be offered by a shop whose inventory is silent.
    let form = shop.merchant().guest_form();
    assert_eq!(shop.merchant().check_out_as_guest(&book(), &form).await.unwrap_err().code(), "unavailable");
}

#[tokio::test]
async fn beside_it_what_is_counted_is_held_and_sold() {
    let shop = Shop::open().await;
    let basket = Wishes::new().item("book", some(2)).item("song", some(9)).into();
    let checkout = shop.guest(&basket).await.checkout;
    shop.rail.next(Mood::Says(Outcome::Unknown));
    let open = checkout.complete(&pay(&checkout, FakeRail::ID), &key("a")).await.unwrap();
    let held = shop.shelf.holds(9, shop.merchant().now()).await.unwrap();
    assert_eq!((held.len(), &held[0].items), (1, &vec![("book".to_owned(), some(2))]));
    shop.rail.decide(open.record().attempted_order().unwrap(), 1, Outcome::Paid);
    shop.shop.advance_s(120);
    shop.merchant().bring_orders_up_to_date().await.unwrap();
    shop.merchant().bring_checkouts_up_to_date().await.unwrap();
    assert_eq!((shop.left("book").await, shop.left("song").await, unheard(&shop).await), ((3, 0), (0, 0), 0));
    // Of what is counted there may be too little, wherever it stands.
    let basket = Wishes::new().item("song", some(9)).item("book", some(4)).into();
    let short = shop.guest(&basket).await.checkout;
    assert_eq!(codes(&short), ["out_of_stock"]);
    let message = short.messages().next().unwrap();
    assert_eq!((message.about.as_deref(), message.count), (Some("book"), Some(3)));
}

#[tokio::test]
async fn what_was_let_go_before_its_sale_was_told_is_not_missing() {
    let shop = Shop::open().await;
    let checkout = shop.guest(&tea(1)).await.checkout;
    let done = checkout.complete(&pay(&checkout, FakeRail::ID), &key("a")).await.unwrap();
    let order = done.order().await.unwrap().unwrap();
    assert_eq!((shop.left("sencha").await, unheard(&shop).await), ((4, 0), 1));
    shop.shelf.free(order.id(), shop.merchant().now()).await.unwrap();
    shop.merchant().bring_checkouts_up_to_date().await.unwrap();
    assert_eq!((shop.left("sencha").await, unheard(&shop).await), ((5, 0), 0));
    let events = order.reload().await.unwrap().events().await.unwrap();
    assert!(!events.iter().any(|event| matches!(event.what, Happened::StockMissing { .. })), "{events:?}");
}

#[tokio::test]
async fn a_checkout_whose_order_was_let_go_by_then_is_opened_again() {
    let shop = Shop::open().await;
    let checkout = shop.guest(&tea(1)).await.checkout;
    let agreed = attacks::agreed(&shop, &checkout, "a").await;
    let Stage::Holding(terms) = &agreed.record.stage else { panic!("{agreed:?}") };
    shop.shelf.free(&terms.order, shop.merchant().now()).await.unwrap();
    let open = agreed.carried_out().await.unwrap();
    assert_eq!((open.status(), codes(&open)), (Status::ReadyForComplete, vec!["interrupted"]));
    assert_eq!((shop.rail.calls(), shop.left("sencha").await), (0, (5, 0)));
    // The next attempt is another order.
    let done = open.complete(&pay(&open, FakeRail::ID), &key("b")).await.unwrap();
    assert_eq!((done.status(), shop.left("sencha").await), (Status::Completed, (4, 0)));
}
