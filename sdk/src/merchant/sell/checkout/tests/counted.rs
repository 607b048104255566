//! What the inventory is told, and has to say to it.

use super::{super::stock::StockTask, *};
use crate::trade::Inventory as _;

/// How many tasks the inventory has not heard.
async fn unheard(shop: &Shop) -> usize {
    let (mut tasks, mut count) = (shop.merchant().queue(StockTask::KIND), 0);
    while tasks.next().await.unwrap().is_some() {
        count += 1;
    }
    count
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
