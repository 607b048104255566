//! What others are told of orders that came from checkouts: of sales, from the beginning, and of nothing else.

use super::*;
use crate::{
    merchant::{FeedEvent, Webhook},
    order::OrderId,
    protocol::webhook::WebhookSecret,
    rail::DeclineCode,
};

const ERP: &str = "https://erp.example/hooks/orders";
const MAIL: &str = "https://mail.example/orders";

async fn shop() -> Shop {
    let webhook =
        |name: &str, url: &str| Webhook::new(name, url.parse().unwrap(), [WebhookSecret::from_random([7; 32])]);
    let (erp, mail) = (webhook("erp", ERP), webhook("mail", MAIL).only(&["order.placed", "order.cancelled"]));
    let shop = Shop::with(|builder| builder.feed().webhook(erp).webhook(mail)).await;
    for url in [ERP, MAIL] {
        shop.shop.network().serve(&url.parse().unwrap(), "text/plain", "ok");
    }
    shop
}

/// What an endpoint was sent, by number and type.
async fn sent(shop: &Shop, url: &str) -> Vec<(u64, String)> {
    while shop.merchant().deliver_webhooks().await.unwrap().taken > 0 {}
    let posts = shop.shop.network().posted(&url.parse().unwrap());
    let mut sent: Vec<_> = posts
        .iter()
        .map(|post| {
            let message: serde_json::Value = serde_json::from_slice(&post.body).unwrap();
            (message["data"]["number"].as_u64().unwrap(), message["type"].as_str().unwrap().to_owned())
        })
        .collect();
    sent.sort_unstable();
    sent
}

/// All that the feed has.
async fn fed(shop: &Shop) -> Vec<OrderEvent> {
    let mut fed = Vec::new();
    while let Some(batch) = shop.merchant().feed().next().await.unwrap() {
        fed.extend(batch.events.iter().map(|event| match event {
            FeedEvent::Order(event) => event.clone(),
            FeedEvent::Customer(event) => panic!("{event:?}"),
        }));
        batch.done().await.unwrap().commit().await.unwrap();
    }
    fed
}

async fn begun(shop: &Shop) -> (Checkout, OrderId) {
    let checkout = shop.guest(&book()).await.checkout;
    shop.rail.next(Mood::Says(Outcome::Unknown));
    let open = checkout.complete(&pay(&checkout, FakeRail::ID), &key("a")).await.unwrap();
    let order = open.record().attempted_order().cloned().unwrap();
    (open, order)
}

#[tokio::test]
async fn a_checkout_s_order_is_told_once_it_is_a_sale_and_from_the_beginning() {
    let shop = shop().await;
    let (_, id) = begun(&shop).await;
    let order = shop.merchant().order(&id).await.unwrap().unwrap();
    assert!(order.record().events > 1 && !order.record().is_confirmed());
    assert!(fed(&shop).await.is_empty() && sent(&shop, ERP).await.is_empty() && sent(&shop, MAIL).await.is_empty());
    let early = shop.merchant().replay_webhook("erp", &id, 1).await.unwrap_err();
    assert_eq!(early.code(), "no_such_order", "nor by hand");

    shop.rail.decide(&id, 1, Outcome::Paid);
    shop.shop.advance_s(120);
    shop.merchant().bring_orders_up_to_date().await.unwrap();
    let events = order.reload().await.unwrap().events().await.unwrap();
    assert_eq!(events.last().map(|event| &event.what), Some(&Happened::Confirmed));
    assert_eq!(fed(&shop).await, events);
    let told = sent(&shop, ERP).await;
    assert_eq!(
        told.iter().map(|(number, _)| *number).collect::<Vec<_>>(),
        (1..=events.len() as u64).collect::<Vec<_>>()
    );
    assert_eq!(told[0].1, "order.placed");
    assert_eq!(sent(&shop, MAIL).await, [(1, "order.placed".to_owned())], "of what it asked for");
    // From now on it is told as every order is.
    let order = order.refund(euro("9.90"), "all").await.unwrap().commit().await.unwrap();
    assert_eq!(fed(&shop).await, order.events().await.unwrap()[events.len()..]);
    assert_eq!(sent(&shop, ERP).await.len(), order.events().await.unwrap().len());
}

#[tokio::test]
async fn of_what_never_was_a_sale_nothing_is_told() {
    let shop = shop().await;
    let (_, id) = begun(&shop).await;
    shop.rail.decide(&id, 1, Outcome::Declined(DeclineCode::from("no_funds")));
    shop.shop.advance_s(120);
    shop.merchant().bring_orders_up_to_date().await.unwrap();
    let order = shop.merchant().order(&id).await.unwrap().unwrap();
    assert_eq!((order.state(), order.record().is_confirmed()), (OrderState::Cancelled, false));
    // Not even that money came for it after all: that is for the desk, which gives it back.
    let payment = crate::merchant::sell::pay::payment(order.record(), 1).unwrap();
    shop.merchant().answered(&payment, Outcome::Paid).await.unwrap();
    assert_eq!(shop.merchant().open_refunds(10).await.unwrap().len(), 1);
    assert!(fed(&shop).await.is_empty() && sent(&shop, ERP).await.is_empty() && sent(&shop, MAIL).await.is_empty());
    // What nothing is paid for is a sale in the commit that places it.
    let checkout = shop.guest(&Wishes::new().item("free", some(1)).into()).await.checkout;
    checkout.complete(&seen(&checkout), &key("b")).await.unwrap();
    let numbers: Vec<u32> = fed(&shop).await.iter().map(|event| event.number).collect();
    assert_eq!(numbers, [1, 2, 3]);
    assert_eq!(sent(&shop, ERP).await.len(), 3);
}

#[tokio::test]
async fn a_long_past_is_told_whole_to_whoever_was_away() {
    let shop = shop().await;
    let (_, id) = begun(&shop).await;
    for _ in 0..70 {
        // As whoever sends nonsense has it written down.
        let payment = crate::presentation::AskedPayment {
            order: id.clone(),
            attempt: 1,
            amount: euro("9.90"),
            kind: String::new(),
        };
        let writes = shop.merchant().refused_for(&payment, "nonsense").await.unwrap();
        shop.merchant().0.store.commit(&writes, shop.merchant().now()).await.unwrap();
    }
    shop.shop.network().status(&ERP.parse().unwrap(), 500);
    shop.rail.decide(&id, 1, Outcome::Paid);
    shop.shop.advance_s(120);
    shop.merchant().bring_orders_up_to_date().await.unwrap();
    let order = shop.merchant().order(&id).await.unwrap().unwrap();
    assert_eq!(fed(&shop).await, order.events().await.unwrap());
    shop.merchant().deliver_webhooks().await.unwrap();
    shop.shop.network().serve(&ERP.parse().unwrap(), "text/plain", "ok");
    shop.shop.advance_s(60);
    let mut numbers: Vec<u64> = sent(&shop, ERP).await.into_iter().map(|(number, _)| number).collect();
    numbers.dedup();
    assert_eq!(numbers, (1..=u64::from(order.record().events)).collect::<Vec<_>>());
    assert_eq!(sent(&shop, MAIL).await.len(), 1);
}
