//! Checkouts of guests and customers, completed, failed, interrupted, and taken up again.

mod attacks;
mod counted;
mod customers;
mod ending;
mod parts;
mod told;

use super::*;
use crate::{
    merchant::{BrowserProof, MerchantBuilder, ProofRequest, bind::NewBinding},
    money::{Currency, Money, Quantity},
    order::{Draft, Happened, OrderEvent, OrderState},
    protocol::jose::SigningKey,
    rail::{Outcome, Sepa},
    store::Memory,
    testing::{FakeRail, Mood, TestShop},
    trade::{Codes, FlatRates, Item, Items, Off, Shelf, Uses, Way},
};

/// A shop with a shelf, and everything that is on it.
struct Shop {
    shop: TestShop,
    rail: FakeRail,
    shelf: Shelf,
}

fn euro(text: &str) -> Money {
    Money::parse(text, Currency::EUR).unwrap()
}

fn some(count: u32) -> Quantity {
    Quantity::new(count).unwrap()
}

fn key(text: &str) -> IdempotencyKey {
    text.parse().unwrap()
}

fn home() -> Address {
    Address {
        name: "Erika Mustermann".into(),
        street: "Heidestraße 17".into(),
        postal_code: "51147".into(),
        locality: "Köln".into(),
        country: "DE".into(),
    }
}

fn catalogue() -> Items {
    Items::new([
        Item::new("sencha", "Sencha, 100 g", euro("14.80")).sent(120),
        Item::new("book", "A book as a file", euro("9.90")),
        Item::new("wine", "Riesling", euro("12.00")).sent(1_300).needs(&TestShop::age()),
        Item::new("free", "A sample as a file", euro("0.00")),
        Item::new("song", "A song, as often as you like", euro("0.99")).uncounted(),
    ])
    .unwrap()
}

fn trade(shelf: &Shelf) -> Trade {
    let parcel = Way::new("parcel", "Parcel", euro("4.90"));
    let letter = Way::new("letter", "Letter", euro("2.00"));
    let codes = Codes::new()
        .word("TEA10", Off::percent("Ten percent", "10".parse().unwrap()))
        .word("ONCE", Off::amount("Five off", euro("5.00")).given(Uses::Once))
        .word("MINE", Off::amount("Two off", euro("2.00")).given(Uses::OncePerCustomer));
    Trade::new(Currency::EUR, catalogue())
        .inventory(shelf.clone())
        .shipping(FlatRates::new().way(parcel, &["DE", "AT"], 20_000).way(letter, &["DE"], 500))
        .discount(codes)
        .address_from(&TestShop::address())
}

impl Shop {
    async fn open() -> Self {
        Self::with(|builder| builder).await
    }

    /// One that is set up further.
    async fn with(further: impl FnOnce(MerchantBuilder) -> MerchantBuilder) -> Self {
        let (store, rail) = (Memory::new(), FakeRail::new());
        let shelf = Shelf::new(store.clone());
        let sepa = Sepa::new("Blatt und Rebe", "DE89370400440532013000").unwrap();
        let trade = trade(&shelf);
        let shop = TestShop::with(|shop| further(shop.store(store).rail(rail.clone()).rail(sepa).trade(trade)));
        let this = Self { shop, rail, shelf };
        for item in ["sencha", "book", "wine", "free"] {
            this.shelf.stock(item, 5, this.merchant().now()).await.unwrap();
        }
        this
    }

    fn merchant(&self) -> &Merchant {
        self.shop.merchant()
    }

    async fn guest(&self, basket: &Basket) -> GuestCheckout {
        let form = self.merchant().guest_form();
        self.merchant().check_out_as_guest(basket, &form).await.unwrap()
    }

    async fn left(&self, item: &str) -> (u64, u64) {
        let count = self.shelf.count(item, self.merchant().now()).await.unwrap();
        (count.left, count.held)
    }

    /// A customer who came by a passkey.
    async fn customer(&self, number: u8) -> Recognised {
        self.with_proof(number).await.0
    }

    /// The same, with a proof of their browser that is not used.
    async fn with_proof(&self, number: u8) -> (Recognised, BrowserProof) {
        let merchant = self.merchant();
        let key = SigningKey::from_ed25519_seed(&[number; 32]).unwrap();
        let proof = |token: Option<&str>| self.proof(&key, token);
        let name = crate::customer::BindingName::passkey([number; 32]);
        let new = NewBinding { name, rung: crate::customer::Rung::Passkey, did: None, label: None, expires_at: None };
        let grant = merchant.begin_with(&proof(None), &new, Vec::new()).await.unwrap();
        let token = grant.access_token.reveal();
        (merchant.recognise(&proof(Some(token)), token).await.unwrap(), proof(Some(token)))
    }

    fn proof(&self, key: &SigningKey, token: Option<&str>) -> BrowserProof {
        let merchant = self.merchant();
        let header = serde_json::json!({"typ": "dpop+jwt", "jwk": key.public_key().to_jwk()});
        let mut claims = serde_json::json!({
            "jti": base64url_encode(&merchant.random::<16>()), "htm": "POST", "htu": "https://shop.example/x",
            "iat": merchant.now(), "nonce": merchant.nonce(),
        });
        if let Some(token) = token {
            claims["ath"] = base64url_encode(&sha256(token.as_bytes())).into();
        }
        let proof = key.sign_jws(header.as_object().unwrap(), &claims).unwrap();
        let request = ProofRequest { proof: &proof, method: "POST", path: "/x", access_token: token };
        merchant.check_proof(&request).unwrap()
    }
}

fn book() -> Basket {
    Wishes::new().item("book", some(1)).into()
}

fn tea(count: u32) -> Basket {
    Basket::from(Wishes::new().item("sencha", some(count))).deliver_to(home())
}

/// What somebody agrees to who sees this.
fn seen(checkout: &Checkout) -> Completion {
    Completion::new(checkout.revision(), checkout.offering().totals.total)
}

fn pay(checkout: &Checkout, rail: &str) -> Completion {
    seen(checkout).by(rail)
}

fn codes(checkout: &Checkout) -> Vec<&str> {
    checkout.messages().map(|message| message.code.as_str()).collect()
}

#[tokio::test]
async fn a_guest_buys_a_file_and_nothing_is_asked() {
    let shop = Shop::open().await;
    let form = shop.merchant().guest_form();
    let begun = shop.merchant().check_out_as_guest(&book(), &form).await.unwrap();
    let again = shop.merchant().check_out_as_guest(&book(), &form).await.unwrap();
    assert_eq!(begun.checkout.id(), again.checkout.id(), "one form, one checkout");
    let checkout = begun.checkout;
    assert_eq!((checkout.status(), checkout.revision()), (Status::ReadyForComplete, 1));
    assert!(checkout.missing().is_empty() && codes(&checkout).is_empty());
    assert_eq!(shop.merchant().guest_order(&begun.link).await.unwrap_err().code(), "no_such_order");

    let done = checkout.complete(&pay(&checkout, FakeRail::ID), &key("one")).await.unwrap();
    assert_eq!(done.status(), Status::Completed);
    let order = done.order().await.unwrap().unwrap();
    assert_eq!((order.state(), order.total()), (OrderState::Paid, euro("9.90")));
    assert_eq!(shop.merchant().guest_order(&begun.link).await.unwrap().id(), order.id());
    assert_eq!(shop.left("book").await, (4, 0));
    let happened = order.events().await.unwrap();
    assert_eq!(happened.iter().filter(|event| event.what == Happened::Confirmed).count(), 1);

    // Pressed twice, or sent again after a lost answer: nothing more happens.
    let calls = shop.rail.calls();
    let twice = checkout.complete(&pay(&checkout, FakeRail::ID), &key("one")).await.unwrap();
    assert_eq!(twice.order().await.unwrap().unwrap().id(), order.id());
    let other = checkout.complete(&pay(&checkout, "sepa"), &key("one")).await.unwrap_err();
    assert_eq!(other.code(), "idempotency_key_used");
    let another = checkout.complete(&pay(&checkout, FakeRail::ID), &key("two")).await.unwrap_err();
    assert_eq!(another.code(), "checkout_over");
    assert_eq!((shop.rail.calls(), shop.left("book").await), (calls, (4, 0)));
}

#[tokio::test]
async fn what_is_sent_needs_an_address_and_adds_up() {
    let shop = Shop::open().await;
    let basket = Basket::from(Wishes::new().item("sencha", some(1)).item("sencha", some(1)).code("tea10"));
    let GuestCheckout { checkout, .. } = shop.guest(&basket).await;
    assert_eq!((checkout.status(), codes(&checkout)), (Status::Incomplete, vec!["address_missing"]));
    assert_eq!(checkout.missing().len(), 1, "a wallet could tell");
    let refused = checkout.complete(&pay(&checkout, FakeRail::ID), &key("a")).await.unwrap_err();
    assert_eq!(refused.code(), "checkout_not_ready");

    let checkout = checkout.update(1, &basket.clone().deliver_to(home()), &key("b")).await.unwrap();
    let totals = &checkout.offering().totals;
    assert_eq!((totals.lines, totals.discounts, totals.shipping), (euro("29.60"), euro("2.96"), euro("4.90")));
    assert!(totals.is_balanced() && totals.total == euro("31.54"));
    assert_eq!(checkout.status(), Status::ReadyForComplete);
    let stale = checkout.update(1, &basket, &key("c")).await.unwrap_err();
    assert_eq!(stale.code(), "checkout_changed");

    // The address stays where nothing is said, and is for nobody to read in the record.
    let basket = Basket::from(basket.wishes.way("letter"));
    let checkout = checkout.update(2, &basket, &key("d")).await.unwrap();
    assert_eq!(checkout.offering().totals.shipping, euro("2.00"));
    assert_eq!(checkout.address().unwrap().unwrap().for_label(), &home());
    assert!(!serde_json::to_string(checkout.record()).unwrap().contains("Heidestra"));

    let mut abroad = home();
    abroad.country = "FR".into();
    let checkout = checkout.update(3, &basket.clone().deliver_to(abroad), &key("e")).await.unwrap();
    assert_eq!((checkout.status(), codes(&checkout)), (Status::Incomplete, vec!["not_sent_there"]));
    let checkout = checkout.update(4, &basket.deliver_to(home()), &key("f")).await.unwrap();
    let done = checkout.complete(&pay(&checkout, FakeRail::ID), &key("g")).await.unwrap();
    let order = done.order().await.unwrap().unwrap();
    assert_eq!(order.delivery().await.unwrap().unwrap().for_label(), &home());
    assert_eq!(order.totals().unwrap(), checkout.offering().totals);
    assert!(done.record().address.is_none(), "the order has it now");
}

#[tokio::test]
async fn what_cannot_be_wished_for_is_refused_and_what_is_not_sold_is_said() {
    let shop = Shop::open().await;
    let form = || shop.merchant().guest_form();
    let many = (0..51).fold(Wishes::new(), |wishes, n| wishes.item(format!("item-{n}"), some(1)));
    let words = (0..11).fold(book().wishes, |wishes, n| wishes.code(format!("word-{n}")));
    let control = Wishes::new().item("sen\ncha", some(1));
    let wrong = [
        (Wishes::new(), "checkout_empty"),
        (many, "checkout_too_large"),
        (words, "checkout_too_large"),
        (control, "invalid_text"),
        (Wishes::new().item("x".repeat(65), some(1)), "invalid_text"),
        (Wishes::new().item("book", Quantity::MAX).item("book", some(1)), "checkout_too_large"),
    ];
    for (wishes, code) in wrong {
        let refused = shop.merchant().check_out_as_guest(&wishes.into(), &form()).await.unwrap_err();
        assert_eq!(refused.code(), code);
    }
    let basket = book().wishes.item("nothing", some(1)).item("wine", some(6)).code("guess").into();
    let GuestCheckout { checkout, .. } = shop.guest(&basket).await;
    let said: Vec<(&str, Option<&str>)> =
        checkout.messages().map(|it| (it.code.as_str(), it.about.as_deref())).collect();
    let expected = [
        ("item_unavailable", Some("nothing")),
        ("proof_needed", Some("age")),
        ("discount_code_invalid", Some("guess")),
        ("out_of_stock", Some("wine")),
        ("address_missing", None),
    ];
    assert_eq!(said, expected);
    let only = Basket::from(book().wishes.item("wine", some(1)));
    let checkout = checkout.update(1, &only.deliver_to(home()), &key("a")).await.unwrap();
    assert_eq!(checkout.status(), Status::RequiresEscalation);
    assert_eq!(checkout.missing().iter().map(|ask| ask.name()).collect::<Vec<_>>(), ["age"]);
    let refused = checkout.complete(&pay(&checkout, FakeRail::ID), &key("b")).await.unwrap_err();
    assert_eq!(refused.code(), "checkout_not_ready");
}

#[tokio::test]
async fn a_declined_payment_opens_it_again_and_lets_the_stock_go() {
    let shop = Shop::open().await;
    let GuestCheckout { checkout, link } = shop.guest(&tea(5)).await;
    shop.rail.next(Mood::Declines);
    let failed = checkout.complete(&pay(&checkout, FakeRail::ID), &key("a")).await.unwrap();
    assert_eq!((failed.status(), codes(&failed)), (Status::ReadyForComplete, vec!["payment_declined"]));
    assert_eq!(shop.left("sencha").await, (5, 0));
    assert_eq!(shop.merchant().guest_order(&link).await.unwrap_err().code(), "no_such_order");
    let same = checkout.complete(&pay(&checkout, FakeRail::ID), &key("a")).await.unwrap();
    assert_eq!(same.status(), Status::ReadyForComplete, "a key whose execution began is never executed again");
    // Nobody types their address twice.
    assert_eq!(same.address().unwrap().unwrap().for_label(), &home());
    let done = same.complete(&pay(&same, FakeRail::ID), &key("c")).await.unwrap();
    assert_eq!(done.status(), Status::Completed);
    assert_eq!(shop.left("sencha").await, (0, 0));
    assert_eq!(shop.merchant().guest_order(&link).await.unwrap().state(), OrderState::Paid);
}

#[tokio::test]
async fn the_last_of_it_is_sold_once() {
    let shop = Shop::open().await;
    let one = shop.guest(&tea(3)).await.checkout;
    let other = shop.guest(&tea(3)).await.checkout;
    let done = one.complete(&pay(&one, FakeRail::ID), &key("a")).await.unwrap();
    assert_eq!(done.status(), Status::Completed);
    // Between looking and paying somebody else was faster.
    let failed = other.complete(&pay(&other, FakeRail::ID), &key("b")).await.unwrap();
    assert_eq!((failed.status(), codes(&failed)), (Status::Incomplete, vec!["offer_changed", "out_of_stock"]));
    assert_eq!(shop.left("sencha").await, (2, 0));
    let less = failed.update(failed.revision(), &tea(2), &key("c")).await.unwrap();
    assert_eq!(less.complete(&pay(&less, FakeRail::ID), &key("d")).await.unwrap().status(), Status::Completed);
    assert_eq!(shop.left("sencha").await, (0, 0));
}

#[tokio::test]
async fn what_nobody_knows_stays_in_progress_until_the_rail_says_it() {
    let shop = Shop::open().await;
    for (decided, status, left) in
        [(Outcome::Paid, Status::Completed, 4), (Outcome::Declined("no_funds".into()), Status::ReadyForComplete, 4)]
    {
        let checkout = shop.guest(&tea(1)).await.checkout;
        shop.rail.next(Mood::Says(Outcome::Unknown));
        let open = checkout.complete(&pay(&checkout, FakeRail::ID), &key("a")).await.unwrap();
        assert_eq!(open.status(), Status::CompleteInProgress);
        let refused = open.update(open.revision(), &tea(2), &key("b")).await.unwrap_err();
        assert_eq!(refused.code(), "checkout_in_progress");
        assert_eq!(open.cancel().await.unwrap_err().code(), "checkout_in_progress");
        let Stage::Paying(agreed) = &open.record().stage else { panic!("{open:?}") };
        // Held on for as long as that lasts.
        for _ in 0..20 {
            shop.shop.advance_s(5 * 60);
            shop.merchant().bring_orders_up_to_date().await.unwrap();
            shop.merchant().bring_checkouts_up_to_date().await.unwrap();
            assert_eq!(shop.left("sencha").await.1, 1);
        }
        shop.rail.decide(&agreed.order, 1, decided);
        shop.shop.advance_s(2 * 3600);
        shop.merchant().bring_orders_up_to_date().await.unwrap();
        shop.merchant().bring_checkouts_up_to_date().await.unwrap();
        assert_eq!(open.reload().await.unwrap().status(), status);
        assert_eq!(shop.left("sencha").await, (left, 0));
    }
}

#[tokio::test]
async fn a_transfer_is_waited_for_by_the_order_and_its_stock_comes_back_if_it_never_comes() {
    let shop = Shop::open().await;
    let GuestCheckout { checkout, link } = shop.guest(&tea(2)).await;
    let done = checkout.complete(&pay(&checkout, "sepa"), &key("a")).await.unwrap();
    assert_eq!(done.status(), Status::Completed);
    let order = shop.merchant().guest_order(&link).await.unwrap();
    assert_eq!((order.state(), order.transfer().is_some()), (OrderState::Paying, true));
    assert_eq!(shop.left("sencha").await, (3, 0));
    shop.shop.advance_s(60 * 24 * 3600);
    shop.merchant().bring_orders_up_to_date().await.unwrap();
    shop.merchant().bring_checkouts_up_to_date().await.unwrap();
    assert_eq!(order.reload().await.unwrap().state(), OrderState::Expired);
    assert_eq!(shop.left("sencha").await, (5, 0));
}

#[tokio::test]
async fn a_word_for_one_is_taken_once_and_given_back_if_nothing_came_of_it() {
    let shop = Shop::open().await;
    let basket = Basket::from(book().wishes.code("once"));
    let (one, other) = (shop.guest(&basket).await.checkout, shop.guest(&basket).await.checkout);
    assert_eq!(one.offering().totals.total, euro("4.90"));
    shop.rail.next(Mood::Declines);
    let failed = one.complete(&pay(&one, FakeRail::ID), &key("a")).await.unwrap();
    assert_eq!(codes(&failed), ["payment_declined"]);
    let done = other.complete(&pay(&other, FakeRail::ID), &key("b")).await.unwrap();
    assert_eq!(done.status(), Status::Completed);
    let changed = failed.complete(&pay(&failed, FakeRail::ID), &key("c")).await.unwrap();
    assert_eq!(codes(&changed), ["offer_changed", "discount_used"]);
    assert_eq!(changed.offering().totals.total, euro("9.90"));
}

#[tokio::test]
async fn a_word_for_one_is_one_word_however_it_is_spelled() {
    let shop = Shop::open().await;
    let spelled = ["ONCE", "once", "Once", "oNCE"];
    let mut taken = 0;
    for (number, word) in spelled.into_iter().enumerate() {
        let checkout = shop.guest(&book().wishes.code(word).into()).await.checkout;
        taken += usize::from(!checkout.offering().totals.discounts.is_zero());
        let done = checkout.complete(&pay(&checkout, FakeRail::ID), &key(&format!("buy-{number}"))).await.unwrap();
        assert_eq!(done.status(), Status::Completed, "{word}");
    }
    assert_eq!(taken, 1);
}

#[tokio::test]
async fn whoever_has_the_form_of_a_checkout_that_was_taken_over_has_nothing() {
    let shop = Shop::open().await;
    let merchant = shop.merchant();
    let form = merchant.guest_form();
    let begun = merchant.check_out_as_guest(&tea(1), &form).await.unwrap();
    let known = shop.customer(1).await;
    let theirs = known.take_over_checkout(&begun.link).await.unwrap();
    let again = merchant.check_out_as_guest(&tea(1), &form).await.unwrap_err();
    assert_eq!(again.code(), "no_such_checkout");
    // Nor does an old handle act any more, with whatever revision.
    let old = begun.checkout;
    let (basket, revision) = (tea(3), theirs.revision());
    let seen = Completion { revision, ..pay(&old, "sepa") };
    assert_eq!(old.update(revision, &basket, &key("a")).await.unwrap_err().code(), "no_such_checkout");
    assert_eq!(old.cancel().await.unwrap_err().code(), "no_such_checkout");
    assert_eq!(old.refreshed().await.unwrap_err().code(), "no_such_checkout");
    assert_eq!(old.complete(&seen, &key("b")).await.unwrap_err().code(), "no_such_checkout");
    assert_eq!(known.checkout(theirs.id()).await.unwrap().revision(), revision);
}

#[tokio::test]
async fn a_form_is_an_order_or_a_checkout_and_not_both() {
    let shop = Shop::open().await;
    let merchant = shop.merchant();
    let form = merchant.guest_form();
    let draft = Draft::new(Currency::EUR).line("book", "A book", euro("9.90"), some(1));
    merchant.place_as_guest(draft, &form).await.unwrap().commit().await.unwrap();
    let refused = merchant.check_out_as_guest(&book(), &form).await.unwrap_err();
    assert_eq!(refused.code(), "form_used");
}

#[tokio::test]
async fn a_checkout_is_not_tried_for_ever() {
    let shop = Shop::open().await;
    let mut checkout = shop.guest(&book()).await.checkout;
    for number in 0..crate::order::ATTEMPTS_MAX {
        shop.rail.next(Mood::Declines);
        let seen = pay(&checkout, FakeRail::ID);
        checkout = checkout.complete(&seen, &key(&format!("try-{number}"))).await.unwrap();
        assert_eq!(codes(&checkout), ["payment_declined"]);
    }
    let refused = checkout.complete(&pay(&checkout, FakeRail::ID), &key("more")).await.unwrap_err();
    assert_eq!((refused.code(), shop.rail.calls()), ("too_many_tries", crate::order::ATTEMPTS_MAX));
}

#[tokio::test]
async fn an_address_that_is_not_whole_is_kept_sealed_prices_sending_and_is_none() {
    let shop = Shop::open().await;
    let wished = || Basket::from(Wishes::new().item("sencha", some(1)));
    let bent = |bend: fn(&mut Address)| {
        let mut address = home();
        address.street.clear();
        bend(&mut address);
        address
    };
    let half = bent(|_| ());
    let begun = shop.guest(&wished().typed_so_far(half.clone())).await.checkout;
    assert_eq!((begun.status(), codes(&begun)), (Status::Incomplete, vec!["address_missing"]));
    assert_eq!(begun.offering().totals.shipping, euro("4.90"), "its country is known");
    assert!(begun.address().unwrap().is_none());
    assert_eq!(begun.typed_so_far().unwrap().as_ref(), Some(&half));
    let stored = serde_json::to_string(begun.record()).unwrap();
    assert!(!stored.contains("Erika") && !stored.contains("Köln"), "{stored}");

    // It stays where nothing is said of it, and is nobody's to complete.
    let two = Basket::from(Wishes::new().item("sencha", some(2)));
    let changed = begun.update(1, &two, &key("a")).await.unwrap();
    assert_eq!(changed.typed_so_far().unwrap().as_ref(), Some(&half));
    let refused = changed.complete(&pay(&changed, FakeRail::ID), &key("b")).await;
    assert!(matches!(refused, Err(Error::Checkout(CheckoutError::NotReady(_)))), "{refused:?}");

    // An address ends it; typed anew in part, it ends the address.
    let whole = changed.update(2, &tea(2), &key("c")).await.unwrap();
    assert_eq!((whole.status(), whole.typed_so_far().unwrap()), (Status::ReadyForComplete, None));
    let again = whole.update(3, &wished().typed_so_far(half.clone()), &key("d")).await.unwrap();
    assert_eq!((again.status(), again.address().unwrap().is_none()), (Status::Incomplete, true));
    // What could never become one is refused, and so is what no label can show.
    for wrong in [
        bent(|it| it.country = "Germany".into()),
        bent(|it| it.name = "M\u{fffd}ller".into()),
        bent(|it| it.name = "Erika\nMustermann".into()),
        bent(|it| it.locality = "x".repeat(201)),
    ] {
        let refused = again.update(4, &wished().typed_so_far(wrong), &key("e")).await;
        assert!(matches!(refused, Err(Error::Draft(_))), "{refused:?}");
    }
    let canceled = again.cancel().await.unwrap();
    assert!(canceled.typed_so_far().unwrap().is_none(), "it is gone with the checkout");
}

#[tokio::test]
async fn what_never_was_a_sale_keeps_no_address() {
    let shop = Shop::open().await;
    let known = shop.customer(1).await;
    let checkout = known.check_out(&tea(1), &key("a")).await.unwrap();
    shop.rail.next(Mood::Says(Outcome::Unknown));
    let open = checkout.complete(&pay(&checkout, FakeRail::ID), &key("b")).await.unwrap();
    let Stage::Paying(agreed) = &open.record().stage else { panic!("{open:?}") };
    let order = shop.merchant().order(&agreed.order).await.unwrap().unwrap();
    assert!(order.delivery().await.unwrap().is_some());
    let declined = Outcome::Declined("no_funds".into());
    shop.rail.decide(&agreed.order, 1, declined);
    shop.shop.advance_s(120);
    shop.merchant().bring_orders_up_to_date().await.unwrap();
    let order = order.reload().await.unwrap();
    assert_eq!((order.state(), order.delivery().await.unwrap()), (OrderState::Cancelled, None));
    assert_eq!(
        open.reload().await.unwrap().address().unwrap().unwrap().for_label(),
        &home(),
        "the checkout has it yet"
    );
    assert!(shop.merchant().open_orders(10).await.unwrap().is_empty());
}

#[tokio::test]
async fn nothing_to_pay_is_an_order_without_a_payment() {
    let shop = Shop::open().await;
    let checkout = shop.guest(&Wishes::new().item("free", some(1)).into()).await.checkout;
    let done = checkout.complete(&seen(&checkout), &key("a")).await.unwrap();
    let order = done.order().await.unwrap().unwrap();
    assert_eq!((order.state(), order.attempts().len(), shop.rail.calls()), (OrderState::Paid, 0, 0));
}

#[tokio::test]
async fn a_wrong_total_a_wrong_rail_and_an_old_revision_complete_nothing() {
    let shop = Shop::open().await;
    let checkout = shop.guest(&book()).await.checkout;
    let right = pay(&checkout, FakeRail::ID);
    let wrong = [
        (Completion { total: euro("0.01"), ..right.clone() }, "total_changed"),
        (right.clone().by("nobody"), "no_such_rail"),
        (right.clone().by(""), "no_such_rail"),
        (seen(&checkout), "rail_needed"),
        (Completion { revision: 9, ..right.clone() }, "checkout_changed"),
    ];
    for (number, (wrong, code)) in wrong.into_iter().enumerate() {
        let refused = checkout.complete(&wrong, &key(&format!("wrong-{number}"))).await.unwrap_err();
        assert_eq!(refused.code(), code);
    }
    assert_eq!((shop.rail.calls(), shop.left("book").await), (0, (5, 0)));
    assert_eq!(checkout.complete(&right, &key("right")).await.unwrap().status(), Status::Completed);
}

#[tokio::test]
async fn what_was_interrupted_is_taken_up_by_its_key_or_given_up_after_a_minute() {
    let shop = Shop::open().await;
    let merchant = shop.merchant();
    let agree = async |checkout: &Checkout, at: &str| {
        let completion = pay(checkout, FakeRail::ID);
        let once =
            Once::new(merchant, &checkout.whose.principal(), &key(at), &("complete", checkout.id(), &completion));
        checkout.agreed(&completion, once, Default::default()).await.unwrap().checkout()
    };
    // The process died after the terms were settled: the same key goes on.
    let checkout = shop.guest(&tea(1)).await.checkout;
    assert_eq!(agree(&checkout, "a").await.status(), Status::CompleteInProgress);
    let done = checkout.complete(&pay(&checkout, FakeRail::ID), &key("a")).await.unwrap();
    assert_eq!(done.status(), Status::Completed);
    // Nobody came back: it is given up, and what was held by then is let go.
    let checkout = shop.guest(&tea(1)).await.checkout;
    let agreed = agree(&checkout, "b").await;
    let Stage::Holding(terms) = &agreed.record.stage else { panic!("{agreed:?}") };
    let hold = complete::hold(&terms.order, &agreed.offering().lines, 900, merchant.now()).unwrap();
    use crate::trade::Inventory as _;
    shop.shelf.hold(&hold).await.unwrap();
    assert_eq!(shop.left("sencha").await, (3, 1));
    shop.shop.advance_s(2 * 60 + 1);
    merchant.bring_checkouts_up_to_date().await.unwrap();
    merchant.bring_checkouts_up_to_date().await.unwrap();
    let open = checkout.reload().await.unwrap();
    assert_eq!((open.status(), codes(&open)), (Status::ReadyForComplete, vec!["interrupted"]));
    assert_eq!(shop.left("sencha").await, (4, 0));
    // Whoever was only slow finds that it is over.
    merchant.carry_out(&agreed).await.unwrap();
    assert_eq!(open.reload().await.unwrap().status(), Status::ReadyForComplete);
    assert_eq!((shop.rail.calls(), shop.left("sencha").await), (1, (4, 0)));
    // Whoever was stopped for that long, and finds it as they left it, asks for no money either.
    let checkout = shop.guest(&tea(1)).await.checkout;
    let agreed = agree(&checkout, "c").await;
    shop.shop.advance_s(crate::checkout::HOLDING_S + 1);
    merchant.carry_out(&agreed).await.unwrap();
    let open = checkout.reload().await.unwrap();
    assert_eq!((open.status(), codes(&open)), (Status::ReadyForComplete, vec!["interrupted"]));
    assert_eq!((shop.rail.calls(), shop.left("sencha").await), (1, (4, 0)));
}

#[tokio::test]
async fn a_customer_takes_over_what_they_began_as_a_guest() {
    let shop = Shop::open().await;
    let GuestCheckout { checkout, link } = shop.guest(&tea(1)).await;
    let known = shop.customer(1).await;
    let theirs = known.take_over_checkout(&link).await.unwrap();
    assert_eq!(theirs.id(), checkout.id());
    assert_eq!(shop.merchant().guest_checkout(&link).await.unwrap_err().code(), "no_such_checkout");
    assert_eq!(known.take_over_checkout(&link).await.unwrap_err().code(), "no_such_checkout");
    let stranger = shop.customer(2).await;
    assert_eq!(stranger.checkout(theirs.id()).await.unwrap_err().code(), "no_such_checkout");
    let done = theirs.complete(&pay(&theirs, FakeRail::ID), &key("a")).await.unwrap();
    let order = done.order().await.unwrap().unwrap();
    assert_eq!(known.orders(None, 10).await.unwrap().len(), 1);
    assert_eq!(known.order(order.id()).await.unwrap().id(), order.id());
    assert_eq!(stranger.order(order.id()).await.unwrap_err().code(), "no_such_order");
}

#[tokio::test]
async fn a_customer_s_attempt_that_failed_is_none_of_their_orders() {
    let shop = Shop::open().await;
    let known = shop.customer(1).await;
    let checkout = known.check_out(&tea(1), &key("a")).await.unwrap();
    let same = known.check_out(&tea(1), &key("a")).await.unwrap();
    assert_eq!(same.id(), checkout.id());
    assert_eq!(known.check_out(&tea(2), &key("a")).await.unwrap_err().code(), "idempotency_key_used");
    shop.rail.next(Mood::Declines);
    checkout.complete(&pay(&checkout, FakeRail::ID), &key("b")).await.unwrap();
    assert!(known.orders(None, 10).await.unwrap().is_empty());

    // Another key of another customer is another key.
    let other = shop.customer(2).await;
    assert_ne!(other.check_out(&tea(1), &key("a")).await.unwrap().id(), checkout.id());
}

#[tokio::test]
async fn whoever_is_forgotten_leaves_no_checkout() {
    let shop = Shop::open().await;
    let known = shop.customer(1).await;
    let checkout = known.check_out(&tea(1), &key("a")).await.unwrap();
    known.customer().await.unwrap().forget().await.unwrap();
    let merchant = shop.merchant();
    assert!(merchant.load_checkout(checkout.id()).await.unwrap().is_none());
    for prefix in [customer_checkouts(known.id()), said_by(known.id())] {
        assert!(merchant.0.store.scan(&prefix, None, 10, merchant.now()).await.unwrap().is_empty());
    }
    assert!(checkout.complete(&pay(&checkout, FakeRail::ID), &key("b")).await.is_err());
}

#[tokio::test]
async fn nobody_goes_on_with_it_and_it_is_gone() {
    let shop = Shop::open().await;
    let GuestCheckout { checkout, link } = shop.guest(&tea(1)).await;
    assert_eq!(checkout.cancel().await.unwrap().status(), Status::Canceled);
    assert_eq!(checkout.cancel().await.unwrap().status(), Status::Canceled);
    let refused = checkout.update(2, &tea(1), &key("a")).await.unwrap_err();
    assert_eq!(refused.code(), "checkout_over");
    let left = shop.guest(&tea(1)).await;
    shop.shop.advance_s(crate::checkout::CHECKOUT_S + 1);
    assert_eq!(shop.merchant().guest_checkout(&left.link).await.unwrap_err().code(), "no_such_checkout");
    assert_eq!(shop.merchant().guest_checkout(&link).await.unwrap().status(), Status::Canceled);
}
