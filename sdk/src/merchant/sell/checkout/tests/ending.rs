//! The end of orders that never were a sale: nothing of them is left, unless money came for them.

use super::*;
use crate::{
    merchant::{Booking, Transfer},
    order::{NO_SALE_KEPT_S, OrderRecord},
    rail::DeclineCode,
    testing::faulty::{Fault, Faulty},
};

/// An order that a guest's checkout tried to become.
async fn failed(shop: &Shop) -> (GuestLink, Order) {
    let GuestCheckout { checkout, link } = shop.guest(&tea(1)).await;
    shop.rail.next(Mood::Says(Outcome::Unknown));
    let open = checkout.complete(&pay(&checkout, FakeRail::ID), &key("a")).await.unwrap();
    let id = open.record().attempted_order().cloned().unwrap();
    shop.rail.decide(&id, 1, Outcome::Declined(DeclineCode::from("no_funds")));
    shop.shop.advance_s(120);
    keep_house(shop).await;
    let order = shop.merchant().order(&id).await.unwrap().unwrap();
    assert_eq!((order.state(), order.record().is_confirmed()), (OrderState::Cancelled, false));
    (link, order)
}

async fn keep_house(shop: &Shop) {
    shop.merchant().bring_orders_up_to_date().await.unwrap();
    shop.merchant().bring_checkouts_up_to_date().await.unwrap();
    shop.merchant().0.store.sweep(shop.merchant().now(), 500).await.unwrap();
}

async fn count(shop: &Shop, kind: &'static str, partition: &str) -> usize {
    let prefix = Prefix { kind, partition: partition.to_owned(), sort: String::new() };
    shop.merchant().0.store.scan(&prefix, None, 100, shop.merchant().now()).await.unwrap().len()
}

/// How many records there are of an order and of what leads to it.
async fn left_of(shop: &Shop, link: &GuestLink, order: &Order) -> usize {
    let (id, merchant) = (order.id().as_str(), shop.merchant());
    let by_reference = merchant.load_one(&super::super::super::reference_key(order.reference())).await.unwrap();
    let by_link = merchant.load_one(&guest_key(link)).await.unwrap();
    let mut queued = 0;
    for shard in 0..8 {
        queued += count(shop, "order_ending", &shard.to_string()).await;
    }
    count(shop, OrderRecord::KIND, id).await
        + count(shop, OrderEvent::KIND, id).await
        + usize::from(by_reference.is_some())
        + usize::from(by_link.is_some())
        + queued
}

async fn transferred(shop: &Shop, id: &str, order: &Order) -> Booking {
    let transfer =
        Transfer { id: id.parse().unwrap(), amount: order.total(), text: order.reference().printed(), payer: None };
    shop.merchant().book_transfer(transfer).await.unwrap().commit().await.unwrap()
}

#[tokio::test]
async fn nothing_is_left_of_what_never_was_a_sale() {
    let shop = Shop::open().await;
    let (link, order) = failed(&shop).await;
    shop.shop.advance_s(NO_SALE_KEPT_S - 1);
    keep_house(&shop).await;
    assert!(left_of(&shop, &link, &order).await > 5, "not before its time");
    shop.shop.advance_s(1);
    keep_house(&shop).await;
    assert_eq!(left_of(&shop, &link, &order).await, 0);
    // A transfer that comes as late as this is nobody's, and waits for somebody to look.
    assert!(matches!(transferred(&shop, "late", &order).await, Booking::Unmatched(_)));
    let late = crate::merchant::sell::pay::payment(order.record(), 1).unwrap();
    assert_eq!(shop.merchant().answered(&late, Outcome::Paid).await.unwrap_err().code(), "no_such_order");
}

#[tokio::test]
async fn money_that_comes_late_is_matched_and_given_back_and_stays_in_the_books() {
    let shop = Shop::open().await;
    let (link, by_rail) = failed(&shop).await;
    let (other_link, by_transfer) = failed(&shop).await;
    shop.shop.advance_s(NO_SALE_KEPT_S - 60);
    let payment = crate::merchant::sell::pay::payment(by_rail.record(), 1).unwrap();
    shop.merchant().answered(&payment, Outcome::Paid).await.unwrap();
    let Booking::For(matched) = transferred(&shop, "just in time", &by_transfer).await else { panic!("unmatched") };
    assert_eq!((matched.id(), matched.ledger().owed), (by_transfer.id(), by_transfer.total()));
    for refund in shop.merchant().open_refunds(10).await.unwrap() {
        if refund.by() == crate::order::Source::Attempt(1) {
            refund.send().await.unwrap();
        }
    }
    for _ in 0..3 {
        shop.shop.advance_s(NO_SALE_KEPT_S);
        keep_house(&shop).await;
    }
    let by_rail = by_rail.reload().await.unwrap();
    assert_eq!((by_rail.ledger().received, by_rail.ledger().refunded), (by_rail.total(), by_rail.total()));
    assert_eq!(by_rail.events().await.unwrap().len(), by_rail.record().events as usize);
    assert_eq!(by_transfer.reload().await.unwrap().ledger().owed, by_transfer.total(), "and is owed still");
    assert!(left_of(&shop, &link, &by_rail).await > 5 && left_of(&shop, &other_link, &by_transfer).await > 5);
}

#[tokio::test]
async fn sales_stay_and_so_does_the_link_that_leads_to_one_by_now() {
    let shop = Shop::open().await;
    let GuestCheckout { checkout, link } = shop.guest(&tea(1)).await;
    shop.rail.next(Mood::Declines);
    let open = checkout.complete(&pay(&checkout, FakeRail::ID), &key("a")).await.unwrap();
    let done = open.complete(&pay(&open, "sepa"), &key("b")).await.unwrap();
    assert_eq!(done.status(), Status::Completed);
    let order = shop.merchant().guest_order(&link).await.unwrap();
    order.cancel().await.unwrap().commit().await.unwrap();
    shop.shop.advance_s(NO_SALE_KEPT_S + 1);
    keep_house(&shop).await;
    let found = shop.merchant().guest_order(&link).await.unwrap();
    assert_eq!((found.id(), found.state()), (order.id(), OrderState::Cancelled));
    assert_eq!(found.events().await.unwrap().len(), found.record().events as usize);
}

#[tokio::test]
async fn what_may_still_be_spoken_of_is_kept_on() {
    let shop = Shop::open().await;
    let (link, order) = failed(&shop).await;
    // A promise of the rail that nobody could give up yet.
    let mut record = order.record().clone();
    record.attempts[0].outcome = Some(Outcome::Authorised { until: None });
    let (now, key) = (shop.merchant().now(), super::super::super::order_key(order.id()));
    let write = |record: &OrderRecord| put(key.clone(), record, None, Expect::Any).unwrap();
    shop.merchant().0.store.commit(&[write(&record)], now).await.unwrap();
    shop.shop.advance_s(NO_SALE_KEPT_S);
    shop.merchant().end_orders().await.unwrap();
    assert!(left_of(&shop, &link, &order).await > 5);
    shop.merchant().0.store.commit(&[write(order.record())], shop.merchant().now()).await.unwrap();
    shop.merchant().end_orders().await.unwrap();
    assert!(left_of(&shop, &link, &order).await > 5, "it is looked at once a day");
    shop.shop.advance_s(24 * 3600);
    shop.merchant().end_orders().await.unwrap();
    assert_eq!(left_of(&shop, &link, &order).await, 0);
}

#[tokio::test]
async fn whoever_is_stopped_in_between_goes_on() {
    for fault in [Fault::Done, Fault::Lost, Fault::Refused] {
        for call in 0.. {
            let store = Faulty::new(Memory::new());
            let shop = Shop::with(|builder| builder.store(store.clone())).await;
            let (link, order) = failed(&shop).await;
            shop.shop.advance_s(NO_SALE_KEPT_S);
            let begun = store.calls();
            store.fail(call, fault);
            let _ = shop.merchant().end_orders().await;
            if store.calls() - begun <= call {
                break;
            }
            let half = shop.merchant().order(order.id()).await.unwrap().is_none();
            let found = shop.merchant().order_by_reference(order.reference()).await.unwrap();
            assert_eq!(found.is_none(), half, "what leads to it goes with it");
            shop.merchant().end_orders().await.unwrap();
            assert_eq!(left_of(&shop, &link, &order).await, 0, "{fault:?} {call}");
        }
    }
}
