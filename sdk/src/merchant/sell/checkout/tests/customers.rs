//! What a customer has: their orders page by page, and what was let off once, under whichever name.

use super::*;
use crate::{
    customer::{BindingName, Rung},
    merchant::merge::MergeOffer,
};

/// Buys a book, with what the rail says of it.
async fn buy(shop: &Shop, known: &Recognised, at: &str, mood: Option<Mood>) -> Checkout {
    let checkout = known.check_out(&book(), &key(&format!("begin-{at}"))).await.unwrap();
    if let Some(mood) = mood {
        shop.rail.next(mood);
    }
    checkout.complete(&pay(&checkout, FakeRail::ID), &key(&format!("pay-{at}"))).await.unwrap()
}

#[tokio::test]
async fn a_page_of_orders_is_full_whatever_is_under_way() {
    let shop = Shop::open().await;
    shop.shelf.stock("book", 50, shop.merchant().now()).await.unwrap();
    let known = shop.customer(1).await;
    let mut sold = Vec::new();
    for number in 0..4 {
        let done = buy(&shop, &known, &format!("sold-{number}"), None).await;
        sold.push(done.order().await.unwrap().unwrap().id().clone());
        shop.shop.advance_s(1);
        for attempt in 0..3 {
            let unknown = Mood::Says(Outcome::Unknown);
            let open = buy(&shop, &known, &format!("open-{number}-{attempt}"), Some(unknown)).await;
            assert_eq!(open.status(), Status::CompleteInProgress);
            shop.shop.advance_s(1);
        }
    }
    sold.reverse();
    for limit in [1, 2, 3, 4, 5, 100] {
        let (mut found, mut last) = (Vec::new(), None);
        loop {
            let page = known.orders(last.as_ref(), limit).await.unwrap();
            assert_eq!(page.len(), limit.min(sold.len() - found.len()), "{limit}");
            found.extend(page.iter().map(|order| order.id().clone()));
            last = page.into_iter().next_back();
            if found.len() == sold.len() {
                break;
            }
        }
        assert_eq!(found, sold, "{limit}");
        assert!(known.orders(last.as_ref(), limit).await.unwrap().is_empty());
    }
    assert!(known.orders(None, 0).await.unwrap().is_empty());
}

#[tokio::test]
async fn what_was_let_off_once_stays_used_when_two_records_become_one() {
    let shop = Shop::open().await;
    let merchant = shop.merchant();
    let (first, proof) = shop.with_proof(1).await;
    shop.shop.advance_s(60);
    let second = shop.customer(2).await;
    let mine = Basket::from(book().wishes.code("mine"));
    let checkout = first.check_out(&mine, &key("a")).await.unwrap();
    assert_eq!(checkout.offering().totals.total, euro("7.90"));
    checkout.complete(&pay(&checkout, FakeRail::ID), &key("b")).await.unwrap();
    // The other record has not used it, and has begun.
    let begun = second.check_out(&mine, &key("a")).await.unwrap();
    assert_eq!(begun.offering().totals.total, euro("7.90"));

    let (now, shown) = (merchant.now(), second.id().clone());
    let offer = MergeOffer { shown, by: BindingName::passkey([2; 32]), rung: Rung::Passkey, at: now };
    let write = merchant.merge_offer(&proof, &offer).unwrap();
    merchant.0.store.commit(&[write], now).await.unwrap();
    let into = first.merge(&proof).await.unwrap();
    // Whichever of the two stays.
    let (stays, other) = if into == *first.id() { (first, second) } else { (second, first) };
    assert_eq!(stays.customer().await.unwrap().merged()[0].customer, *other.id());
    let again = stays.check_out(&mine, &key("c")).await.unwrap();
    assert_eq!((codes(&again), again.offering().totals.total), (vec!["discount_used"], euro("9.90")));
    let found = stays.checkout(begun.id()).await.unwrap().refreshed().await.unwrap();
    assert_eq!(codes(&found), ["discount_used"]);
}

#[tokio::test]
async fn what_was_used_under_a_former_name_is_not_let_off_by_what_was_agreed_to_before() {
    let shop = Shop::open().await;
    let merchant = shop.merchant();
    let (older, proof) = shop.with_proof(1).await;
    shop.shop.advance_s(60);
    let younger = shop.customer(2).await;
    let mine = Basket::from(book().wishes.code("mine"));
    // Both have the coupon. One agrees, and is held up; the other buys; then the two are one.
    let begun = older.check_out(&mine, &key("a")).await.unwrap();
    let used = younger.check_out(&mine, &key("a")).await.unwrap();
    attacks::agreed(&shop, &begun, "agreed").await;
    let used = used.complete(&pay(&used, FakeRail::ID), &key("b")).await.unwrap();
    assert_eq!(used.order().await.unwrap().unwrap().total(), euro("7.90"));
    let (now, shown) = (merchant.now(), younger.id().clone());
    let offer = MergeOffer { shown, by: BindingName::passkey([2; 32]), rung: Rung::Passkey, at: now };
    let write = merchant.merge_offer(&proof, &offer).unwrap();
    merchant.0.store.commit(&[write], now).await.unwrap();
    assert_eq!(older.merge(&proof).await.unwrap(), *older.id());

    let calls = shop.rail.calls();
    merchant.carry_out(&older.checkout(begun.id()).await.unwrap()).await.unwrap();
    let found = older.checkout(begun.id()).await.unwrap();
    assert_eq!((codes(&found)[0], found.order().await.unwrap().is_none()), ("discount_used", true));
    assert_eq!((shop.rail.calls(), shop.left("book").await), (calls, (4, 0)), "no payment, and nothing is held");
}
