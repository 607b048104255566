//! Parts of the merchant's own that do not answer, or answer what cannot be; and how often they and the store are asked.

use std::sync::{
    Arc,
    atomic::{AtomicU32, Ordering},
};

use super::*;
use crate::{
    error::Fault,
    testing::faulty::Faulty,
    trade::{Catalog, TradeError},
};

/// What a catalogue answers.
#[derive(Clone, Copy, Debug)]
enum Catalogue {
    Silent,
    /// Fewer items than it was asked for.
    Short,
    /// Another item than it was asked for.
    Other,
    /// An item that needs an ask that nobody declared.
    Undeclared,
    /// A price in another currency.
    Francs,
}

impl Catalog for Catalogue {
    async fn items(&self, names: &[String]) -> Result<Vec<Option<Item>>, TradeError> {
        let item = |name: &String| Item::new(name, "Something", euro("1.00"));
        let each = |item: &dyn Fn(&String) -> Item| Ok(names.iter().map(|name| Some(item(name))).collect());
        match self {
            Self::Silent => Err(TradeError::new("catalogue", "silent on purpose")),
            Self::Short => Ok(Vec::new()),
            Self::Other => each(&|_| Item::new("other", "Something else", euro("1.00"))),
            Self::Undeclared => each(&|name| item(name).needs(&Ask::new("unheard", "Nobody declared this").over(18))),
            Self::Francs => each(&|name| Item { unit: Money::parse("1", Currency::CHF).unwrap(), ..item(name) }),
        }
    }
}

#[tokio::test]
async fn whose_fault_it_is_that_a_part_says_nothing_of_use_is_told() {
    for (catalogue, fault, code) in [
        (Catalogue::Silent, Fault::Operations, "unavailable"),
        (Catalogue::Short, Fault::Merchant, "misuse"),
        (Catalogue::Other, Fault::Merchant, "misuse"),
        (Catalogue::Undeclared, Fault::Merchant, "misuse"),
        (Catalogue::Francs, Fault::Merchant, "misuse"),
    ] {
        // What a part of the merchant's own will say is not known when the merchant is built.
        let shop = TestShop::with(|shop| shop.store(Memory::new()).trade(Trade::new(Currency::EUR, catalogue)));
        let form = shop.merchant().guest_form();
        let error = shop.merchant().check_out_as_guest(&book(), &form).await.unwrap_err();
        assert_eq!((error.fault(), error.code()), (fault, code), "{catalogue:?}: {error}");
    }
}

/// A catalogue that costs a euro more each time that somebody asks.
#[derive(Clone, Debug, Default)]
struct Dearer(Arc<AtomicU32>);

impl Catalog for Dearer {
    async fn items(&self, names: &[String]) -> Result<Vec<Option<Item>>, TradeError> {
        let price = euro(&format!("{}.00", self.0.fetch_add(1, Ordering::Relaxed) + 1));
        Ok(names.iter().map(|name| Some(Item::new(name, "Something", price))).collect())
    }
}

#[tokio::test]
async fn what_is_looked_at_again_is_asked_for_once_and_not_at_all_when_it_is_over() {
    let catalogue = Dearer::default();
    let asked = || catalogue.0.load(Ordering::Relaxed);
    let trade = Trade::new(Currency::EUR, catalogue.clone());
    let shop = Shop::with(|shop| shop.trade(trade)).await;
    let checkout = shop.guest(&book()).await.checkout;
    assert_eq!((asked(), checkout.offering().totals.total), (1, euro("1.00")));
    // The answer that decided is the one that is written.
    let shown = checkout.refreshed().await.unwrap();
    assert_eq!((asked(), shown.offering().totals.total, shown.revision()), (2, euro("2.00"), 2));
    assert_eq!(shown.cancel().await.unwrap().status(), Status::Canceled);
    assert_eq!((shown.refreshed().await.unwrap().status(), asked()), (Status::Canceled, 2));
}

#[tokio::test]
async fn the_store_is_asked_as_often_for_many_proofs_and_words_as_for_one() {
    /// How often it is asked while a customer begins a checkout, and while they complete it.
    async fn calls(words: &[&str], asks: &[Ask]) -> (u64, u64) {
        let off = |text: &str| Off::amount("Something off", euro(text));
        let codes =
            words.iter().fold(Codes::new(), |codes, word| codes.word(word, off("0.10").given(Uses::OncePerCustomer)));
        let codes = asks.iter().fold(codes, |codes, ask| codes.for_proof(ask, off("0.20")));
        let (store, trade) = (Faulty::new(Memory::new()), Trade::new(Currency::EUR, catalogue()).discount(codes));
        let shop = Shop::with(|shop| shop.store(store.clone()).trade(trade)).await;
        let known = shop.customer(1).await;
        let wishes = words.iter().fold(Wishes::new().item("book", some(1)), |wishes, word| wishes.code(*word));
        let before = store.calls();
        let checkout = known.check_out(&wishes.into(), &key("a")).await.unwrap();
        assert_eq!(checkout.offering().coupons.len(), words.len());
        assert_eq!(checkout.offering().offered.len(), asks.len());
        let begun = store.calls();
        let done = checkout.complete(&pay(&checkout, FakeRail::ID), &key("b")).await.unwrap();
        assert_eq!(done.status(), Status::Completed);
        (begun - before, store.calls() - begun)
    }

    let one = calls(&["one"], &[TestShop::age()]).await;
    assert_eq!(calls(&["one", "two", "three"], &[TestShop::age(), TestShop::address()]).await, one);
}
