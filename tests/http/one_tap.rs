//! One tap: a checkout is completed by one presentation, in which the wallet shows what the sale needs and authorises the
//! payment; and whatever is not as it was agreed to pays nothing.

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use axum::{
    Json, Router,
    extract::{Path, Request},
    middleware::map_request,
    routing::post,
};
use firsthand::{
    checkout::{Status, Wishes},
    merchant::{Basket, Checkout, Completion, GuestCheckout, TypeMetadata},
    money::{Currency, Money, Quantity},
    order::{Buyer, DeliverySource, OrderId, OrderState},
    protocol::openid4vp::dc_api::Protocol,
    store::Memory,
    testing::{FakeExecutor, cast::Cast},
    time::UnixTime,
    trade::{FlatRates, Held, Hold, Inventory, Item, Items, Shelf, Trade, TradeError, Way},
};
use firsthand_axum::{
    CustomerLayer, Known, Problem, routes,
    testing::{Asking, Browser, Reply, TestShop},
};
use http::{Method, StatusCode};
use serde_json::{Value, json};

use crate::{
    payments::{begun, redeemed, taking},
    probe::refused,
};

fn euro(text: &str) -> Money {
    Money::parse(text, Currency::EUR).unwrap()
}

/// A shop that sends wine to Germany, and from there to others.
struct Cellar {
    shop: TestShop,
    bank: FakeExecutor,
    shelf: Shelf,
}

impl Cellar {
    async fn at_home_in(country: &str) -> Self {
        Self::with(country, |shelf| shelf).await
    }

    async fn with<I: Inventory>(country: &str, inventory: impl FnOnce(Shelf) -> I) -> Self {
        let (store, bank) = (Memory::new(), FakeExecutor::new());
        let shelf = Shelf::new(store.clone());
        let wine = Item::new("riesling", "Riesling", euro("12.00")).sent(1_300).needs(&TestShop::age());
        let book = Item::new("book", "A book as a file", euro("9.90"));
        let near = Way::new("parcel", "Parcel", euro("4.90"));
        let far = Way::new("far", "Parcel abroad", euro("14.90"));
        let trade = Trade::new(Currency::EUR, Items::new([wine, book]).unwrap())
            .inventory(inventory(shelf.clone()))
            .shipping(FlatRates::new().way(near, &["DE"], 20_000).way(far, &["AT"], 20_000))
            .home(country)
            .address_from(&TestShop::address());
        let types = TypeMetadata::pinned(Cast::account_types()).unwrap();
        let shop = TestShop::with(|builder| taking(builder.store(store), &bank, types).trade(trade));
        for item in ["riesling", "book"] {
            shelf.stock(item, 2, shop.merchant().now()).await.unwrap();
        }
        Self { shop, bank, shelf }
    }

    fn browser(&self) -> Browser {
        let merchant = self.shop.merchant();
        Browser::new(&self.shop, routes(merchant).layer(CustomerLayer::new(merchant.clone())))
    }

    async fn guest(&self, item: &str) -> GuestCheckout {
        let wishes = Wishes::new().item(item, Quantity::new(1).unwrap());
        let form = self.shop.merchant().guest_form();
        self.shop.merchant().check_out_as_guest(&Basket::from(wishes), &form).await.unwrap()
    }

    async fn later(&self, secs: u64) {
        self.shop.advance_s(secs);
        self.shop.merchant().bring_orders_up_to_date().await.unwrap();
        self.shop.merchant().bring_checkouts_up_to_date().await.unwrap();
    }

    async fn left(&self, item: &str) -> (u64, u64) {
        let count = self.shelf.count(item, self.shop.merchant().now()).await.unwrap();
        (count.left, count.held)
    }
}

/// What the button sends.
fn tap(begun: &GuestCheckout, key: &str) -> Value {
    let checkout = &begun.checkout;
    let total = checkout.offering().totals.total;
    let seen = json!({
        "id": checkout.id(), "revision": checkout.revision(), "total_minor": total.minor(), "currency": "EUR", "key": key,
    });
    json!({ "ask": "pay", "flow": "same_device", "payment": { "link": begun.link.reveal(), "checkout": seen } })
}

async fn tapped(browser: &mut Browser, checkout: &GuestCheckout, key: &str) -> Asking {
    begun(browser, &tap(checkout, key)).await
}

fn failed(checkout: &Checkout) -> Vec<&str> {
    checkout.messages().map(|message| message.code.as_str()).collect()
}

async fn answered(browser: &mut Browser, asking: &Asking, persona: &str) -> Reply {
    let request = browser.wallet_reads(asking).await;
    let reply = browser.wallet_answers(&request, persona, &[]).await;
    redeemed(browser, asking, &reply).await
}

/// Stock that takes two seconds to look.
#[derive(Debug)]
struct Slow(Shelf);

impl Inventory for Slow {
    async fn hold(&self, hold: &Hold) -> Result<Held, TradeError> {
        tokio::time::sleep(Duration::from_secs(2)).await;
        self.0.hold(hold).await
    }

    async fn sell(&self, hold: &Hold) -> Result<Held, TradeError> {
        self.0.sell(hold).await
    }

    async fn free(&self, order: &OrderId, now: UnixTime) -> Result<(), TradeError> {
        self.0.free(order, now).await
    }

    async fn left(&self, items: &[String], now: UnixTime) -> Result<Vec<Option<u32>>, TradeError> {
        self.0.left(items, now).await
    }
}

/// The browser goes away in the middle of a tap: the wallet that the order waits for is asked all the same, and who taps again
/// gets what was asked.
#[tokio::test(start_paused = true)]
async fn a_tap_whose_browser_goes_away_is_brought_to_its_end() {
    let cellar = Cellar::with("DE", Slow).await;
    let (guest, mut browser) = (cellar.guest("riesling").await, cellar.browser());
    browser.get("/wallet/me").await; // brings a nonce
    let body = tap(&guest, "tap");
    let mut away = browser.clone();
    let waited = tokio::time::timeout(Duration::from_secs(1), away.post_json("/wallet/presentations", &body)).await;
    assert!(waited.is_err());
    assert!(!guest.checkout.reload().await.unwrap().awaits_wallet().await.unwrap());
    tokio::time::sleep(Duration::from_secs(2)).await;
    let checkout = guest.checkout.reload().await.unwrap();
    assert_eq!(checkout.status(), Status::CompleteInProgress);
    assert!(checkout.awaits_wallet().await.unwrap());
    assert_eq!(cellar.left("riesling").await, (1, 1));

    let asking = tapped(&mut browser, &guest, "tap").await;
    answered(&mut browser, &asking, "adult").await;
    assert_eq!(guest.checkout.reload().await.unwrap().status(), Status::Completed);
    assert_eq!((cellar.bank.calls(), cellar.left("riesling").await), (1, (1, 0)));
}

#[tokio::test]
async fn one_presentation_proves_tells_the_address_and_pays() {
    let cellar = Cellar::at_home_in("DE").await;
    let begun = cellar.guest("riesling").await;
    assert_eq!(begun.checkout.status(), Status::Incomplete);
    assert_eq!(begun.checkout.offering().totals.total, euro("16.90"), "what it costs to send it at home");
    let mut browser = cellar.browser();
    let asking = tapped(&mut browser, &begun, "one").await;
    let request = browser.wallet_reads(&asking).await;
    let ids: Vec<&str> = request.query.credentials.iter().map(|one| one.id.as_str()).collect();
    assert_eq!(ids, ["1-age_2-pid", "3-payment"]);
    let open = begun.checkout.reload().await.unwrap();
    assert_eq!((open.status(), cellar.left("riesling").await), (Status::CompleteInProgress, (1, 1)));
    assert!(open.order().await.unwrap().is_none());

    let reply = answered(&mut browser, &asking, "adult").await;
    assert_eq!(reply.status, StatusCode::OK, "{}", reply.text());
    let done = begun.checkout.reload().await.unwrap();
    assert_eq!(done.status(), Status::Completed);
    let order = done.order().await.unwrap().unwrap();
    assert_eq!((order.state(), order.total()), (OrderState::Authorised, euro("16.90")));
    let proved: Vec<&str> = order.proofs().iter().map(|proof| proof.ask.as_str()).collect();
    assert_eq!(proved, ["age", "address"]);
    let delivery = order.delivery().await.unwrap().unwrap();
    assert_eq!(delivery.for_label().locality, "Köln");
    assert!(matches!(delivery.source(), DeliverySource::Wallet(_)));
    // Whoever began as a guest is a customer now, and sees the order; the shop keeps their address with it alone.
    let Buyer::Customer(customer) = order.buyer() else { panic!("{:?}", order.buyer()) };
    assert_eq!(browser.get("/wallet/me").await.json()["id"], customer.as_str());
    assert_eq!(cellar.bank.calls(), 1);
    assert_eq!(cellar.left("riesling").await, (1, 0));
}

/// Begins a checkout of a known customer, and says what the button of its page sends.
async fn wine(known: Known, Path(key): Path<String>) -> Result<Json<Value>, Problem> {
    let basket = Basket::from(Wishes::new().item("riesling", Quantity::new(1)?));
    let checkout = known.check_out(&basket, &key.parse().unwrap()).await?;
    let seen = json!({
        "id": checkout.id(), "revision": checkout.revision(), "currency": "EUR", "key": format!("tap-{key}"),
        "total_minor": checkout.offering().totals.total.minor(),
    });
    Ok(Json(json!({ "ask": "pay", "flow": "same_device", "payment": { "checkout": seen } })))
}

#[tokio::test]
async fn a_tap_of_a_known_customer_takes_two_round_trips() {
    let cellar = Cellar::at_home_in("DE").await;
    let merchant = cellar.shop.merchant();
    let seen: Arc<Mutex<Vec<(bool, String)>>> = Arc::default();
    let noted = seen.clone();
    let note = map_request(move |request: Request| {
        // The browser signs, and the wallet does not.
        let is_signed = request.headers().contains_key("dpop");
        noted.lock().unwrap().push((is_signed, format!("{} {}", request.method(), request.uri().path())));
        std::future::ready(request)
    });
    let app = Router::new().route("/wine/{key}", post(wine)).merge(routes(merchant));
    let mut browser = Browser::new(&cellar.shop, app.layer(CustomerLayer::new(merchant.clone())).layer(note));
    browser.sign_in("adult").await;
    cellar.shelf.stock("riesling", 3, merchant.now()).await.unwrap();
    let (press, redeem) = ("POST /wallet/presentations", "POST /wallet/sessions");
    // The request that began it brought a nonce. Without one, as after some minutes on the page, the press is sent twice. By the
    // Digital Credentials API the page carries the question and the answer, too.
    let ways: [(&str, &[&str], usize); 3] = [
        ("warm", &[press, redeem], 2),
        ("cold", &[press, press, redeem], 2),
        ("by-browser", &[press, "POST dc", "POST response", redeem], 0),
    ];
    for (way, by_browser, by_wallet) in ways {
        let page = browser.signed(Method::POST, &format!("/wine/{way}"), None).await;
        assert_eq!(page.status, StatusCode::OK, "{}", page.text());
        browser.nonce = browser.nonce.filter(|_| way != "cold");
        seen.lock().unwrap().clear();
        let asking = begun(&mut browser, &page.json()).await;
        let reply = if way == "by-browser" {
            let request = browser.dc_reads(&asking, Protocol::Signed).await;
            let reply = browser.dc_answers(&asking, Protocol::Signed, &request, "adult", &[]).await;
            let code = reply.json()["response_code"].clone();
            browser.redeem(&json!({ "presentation": asking.id, "response_code": code })).await
        } else {
            answered(&mut browser, &asking, "adult").await
        };
        assert_eq!(reply.status, StatusCode::OK, "{}", reply.text());
        let asked = std::mem::take(&mut *seen.lock().unwrap());
        let (signed, unsigned): (Vec<_>, Vec<_>) = asked.iter().partition(|(is_signed, _)| *is_signed);
        let of_this = format!("/wallet/presentations/{}/", asking.id);
        let signed: Vec<String> =
            signed.iter().map(|(_, what)| what.replace(&of_this, "").replace("dc/", "")).collect();
        assert_eq!(signed, by_browser, "{way}");
        assert_eq!(unsigned.len(), by_wallet, "the wallet fetches the question and answers it: {asked:?}");
    }
    assert_eq!((cellar.bank.calls(), cellar.left("riesling").await), (3, (0, 0)), "all were bought");
}

#[tokio::test]
async fn without_a_tap_nobody_holds_anything_by_a_wallet() {
    let cellar = Cellar::at_home_in("DE").await;
    let begun = cellar.guest("book").await;
    assert!(!begun.checkout.rails().contains(&"wallet"));
    let total = begun.checkout.offering().totals.total;
    let completion = Completion::new(begun.checkout.revision(), total).by("wallet");
    let refused = begun.checkout.complete(&completion, &"one".parse().unwrap()).await.unwrap_err();
    assert_eq!(refused.code(), "no_such_rail");
    assert_eq!(cellar.left("book").await, (2, 0));
}

#[tokio::test]
async fn row_06_a_code_that_is_scanned_completes_no_checkout() {
    let cellar = Cellar::at_home_in("DE").await;
    let begun = cellar.guest("riesling").await;
    let mut scanned = tap(&begun, "one");
    scanned["flow"] = "cross_device".into();
    let mut browser = cellar.browser();
    let reply = browser.post_json("/wallet/presentations", &scanned).await;
    assert_eq!((reply.status, reply.code().as_str()), (StatusCode::FORBIDDEN, "payment_across_devices"));
    assert_eq!(begun.checkout.reload().await.unwrap().revision(), begun.checkout.revision());
    assert_eq!(cellar.left("riesling").await, (2, 0));
    // The same press, on this device.
    tapped(&mut browser, &begun, "one").await;
}

#[tokio::test]
async fn what_needs_nothing_is_asked_for_the_payment_alone() {
    let cellar = Cellar::at_home_in("DE").await;
    let begun = cellar.guest("book").await;
    let mut browser = cellar.browser();
    let asking = tapped(&mut browser, &begun, "one").await;
    let request = browser.wallet_reads(&asking).await;
    let ids: Vec<&str> = request.query.credentials.iter().map(|one| one.id.as_str()).collect();
    assert_eq!(ids, ["payment"]);
    assert_eq!(answered(&mut browser, &asking, "adult").await.status, StatusCode::OK);
    assert_eq!(begun.checkout.reload().await.unwrap().status(), Status::Completed);
    // The same button once more: there is an order.
    let again = browser.post_json("/wallet/presentations", &tap(&begun, "one")).await;
    assert_eq!((again.status, again.code().as_str()), (StatusCode::CONFLICT, "checkout_over"));
    let other = browser.post_json("/wallet/presentations", &tap(&begun, "two")).await;
    assert_eq!((other.status, other.code().as_str()), (StatusCode::CONFLICT, "checkout_over"));
}

#[tokio::test]
async fn an_address_elsewhere_pays_nothing_and_shows_the_other_price() {
    let cellar = Cellar::at_home_in("AT").await;
    let begun = cellar.guest("riesling").await;
    assert_eq!(begun.checkout.offering().totals.total, euro("26.90"));
    let mut browser = cellar.browser();
    let asking = tapped(&mut browser, &begun, "one").await;
    // The wallet answers as it was asked, so the visit is theirs; nothing is bought.
    assert_eq!(answered(&mut browser, &asking, "adult").await.status, StatusCode::OK);
    let open = begun.checkout.reload().await.unwrap();
    assert_eq!(failed(&open), ["address_elsewhere", "proof_needed", "address_missing"]);
    assert_eq!((cellar.bank.calls(), cellar.left("riesling").await), (0, (2, 0)));
}

#[tokio::test]
async fn a_wallet_that_says_no_or_nothing_opens_the_checkout_again() {
    let cellar = Cellar::at_home_in("DE").await;
    let begun = cellar.guest("riesling").await;
    let mut browser = cellar.browser();
    let asking = tapped(&mut browser, &begun, "one").await;
    let request = browser.wallet_reads(&asking).await;
    let reply = browser.wallet_answers(&request, "minor", &[]).await;
    assert_eq!(refused(&mut browser, &asking, &reply).await, "age_not_reached");
    assert_eq!(
        begun.checkout.reload().await.unwrap().status(),
        Status::CompleteInProgress,
        "somebody else may show theirs"
    );
    let withdrawn = browser.delete(&format!("/wallet/presentations/{}", asking.id)).await;
    assert!(withdrawn.status.is_success(), "{}", withdrawn.text());
    let open = begun.checkout.reload().await.unwrap();
    assert_eq!(failed(&open)[0], "payment_withdrawn");
    assert_eq!(cellar.left("riesling").await, (2, 0), "let go at once");
    // Where the page has no name of the presentation, it is given up by the checkout; and what comes then buys nothing.
    let begun = GuestCheckout { checkout: open, ..begun };
    let asking = tapped(&mut browser, &begun, "untapped").await;
    let request = browser.wallet_reads(&asking).await;
    let waits = begun.checkout.reload().await.unwrap();
    assert!(waits.awaits_wallet().await.unwrap());
    let open = waits.untap().await.unwrap();
    assert_eq!((failed(&open)[0], cellar.left("riesling").await), ("payment_withdrawn", (2, 0)));
    assert!(!open.awaits_wallet().await.unwrap());
    let late = browser.wallet_answers(&request, "adult", &[]).await;
    assert_ne!(redeemed(&mut browser, &asking, &late).await.status, StatusCode::OK);
    assert_eq!((cellar.bank.calls(), open.untap().await.unwrap().status()), (0, Status::Incomplete));

    let begun = GuestCheckout { checkout: open, ..begun };
    let asking = tapped(&mut browser, &begun, "two").await;
    let request = browser.wallet_reads(&asking).await;
    cellar.later(15 * 60).await;
    let open = begun.checkout.reload().await.unwrap();
    assert_eq!((failed(&open)[0], cellar.left("riesling").await), ("payment_expired", (2, 0)));
    // An answer that comes then buys nothing.
    let late = browser.wallet_answers(&request, "adult", &[]).await;
    assert_ne!(late.status, StatusCode::OK);
    assert_eq!(cellar.bank.calls(), 0);
}

#[tokio::test]
async fn what_was_not_agreed_to_is_not_asked() {
    let cellar = Cellar::at_home_in("DE").await;
    let begun = cellar.guest("riesling").await;
    let mut browser = cellar.browser();
    let wrong: [(&str, Value, StatusCode, &str); 6] = [
        ("revision", json!(7), StatusCode::CONFLICT, "checkout_changed"),
        ("total_minor", json!(1), StatusCode::CONFLICT, "total_changed"),
        ("currency", json!("CHF"), StatusCode::CONFLICT, "total_changed"),
        ("currency", json!("euro"), StatusCode::UNPROCESSABLE_ENTITY, "currency_unknown"),
        ("key", json!(""), StatusCode::BAD_REQUEST, "invalid_request"),
        ("id", json!("k_00000000000000000000000000000000"), StatusCode::NOT_FOUND, "no_such_checkout"),
    ];
    for (name, value, status, code) in wrong {
        let mut body = tap(&begun, "one");
        body["payment"]["checkout"][name] = value;
        let reply = browser.post_json("/wallet/presentations", &body).await;
        assert_eq!((reply.status, reply.code().as_str()), (status, code), "{name}");
    }
    let mut stranger = tap(&begun, "one");
    stranger["payment"]["link"] = Value::Null;
    let reply = browser.post_json("/wallet/presentations", &stranger).await;
    assert_eq!(reply.status, StatusCode::UNAUTHORIZED, "without the link, a customer has to be there");
    let mut not_for_payments = tap(&begun, "one");
    not_for_payments["ask"] = json!("age");
    let reply = browser.post_json("/wallet/presentations", &not_for_payments).await;
    assert_eq!(reply.code(), "payment_ask");
    let open = begun.checkout.reload().await.unwrap();
    assert_eq!(open.status(), Status::Incomplete, "what cannot be asked holds nothing");
    cellar.later(1).await;
    assert_eq!((cellar.bank.calls(), cellar.left("riesling").await), (0, (2, 0)));
}
