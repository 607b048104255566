//! What somebody types wrong on the way to an order, and what comes in between: nothing that was good is lost, and what is said is
//! true.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

use axum::Router;
use firsthand::{
    Merchant, Money,
    merchant::OrderQuery,
    money::Currency,
    order::OrderId,
    rail::Sepa,
    store::Memory,
    time::UnixTime,
    trade::{Codes, FlatRates, Held, Hold, Inventory, Item, Items, Off, Shelf, Trade, TradeError, Way},
};
use firsthand_axum::{
    CheckoutPage, CustomerLayer, routes,
    testing::{Browser, FakeRail, Reply, TestShop},
};
use http::{Method, StatusCode};
use tokio::sync::Notify;

use crate::{
    checkouts::{HOME, Till, basket, done_order, filled, led_to, looked, plainly},
    orders::fields,
    setting::{refused, signed_headers},
};

const FORM: &str = "application/x-www-form-urlencoded";

async fn german(browser: &mut Browser, path: &str) -> String {
    let headers = [("accept-language", "de"), ("sec-fetch-mode", "navigate")];
    browser.plain(&Method::GET, path, &headers, b"").await.text()
}

#[track_caller]
fn has(page: &str, parts: &[&str]) {
    for part in parts {
        assert!(page.contains(part), "{part} is missing in {page}");
    }
}

#[tokio::test]
async fn a_quantity_that_is_none_is_mended_and_the_basket_stays() {
    let till = Till::open().await;
    let mut browser = till.browser();
    for (typed, said) in [
        ("x", "A whole number, from 0."),
        ("-3", "A whole number, from 0."),
        ("999999999", "At most 1,000,000 at once."),
        ("99999999999999999999999999", "At most 1,000,000 at once."),
    ] {
        let sent = fields(&[
            ("item", "sencha"),
            ("quantity", "2"),
            ("item", "free"),
            ("quantity", "0"),
            ("item", "book"),
            ("quantity", typed),
            ("code", "TEA10"),
            ("name", "Erika"),
            ("form", &till.merchant().guest_form()),
        ]);
        let wrong = browser.plain_form("/wallet/checkout", &sent).await;
        assert_eq!(wrong.status, StatusCode::UNPROCESSABLE_ENTITY, "{typed}");
        let page = wrong.text();
        has(&page, &["A book as a file", "Sencha &lt;b&gt;100 g", "role=\"alert\"", "href=\"#quantity-2\"", said]);
        has(&page, &["id=\"quantity-2-error\"", &format!("value=\"{typed}\""), "value=\"TEA10\"", "€9.90 each"]);
        assert!(!page.contains("A sample as a file"), "what nobody wants is not asked about");
        // Mended, it is what it would have been: the form is one checkout, and what else was typed stands in it.
        let mended = filled(&page, "", &[]).replace(&format!("quantity={typed}"), "quantity=1");
        let path = led_to(&browser.plain_form("/wallet/checkout", &mended).await);
        let page = looked(&mut browser, &path).await.text();
        has(&page, &["€14.80 each", "€9.90 each", "value=\"TEA10\" checked", "value=\"Erika\""]);
        assert_eq!(led_to(&browser.plain_form("/wallet/checkout", &mended).await), path);
    }
    // Nothing good beside it: it is asked about all the same, in the language of the page.
    let headers = [("origin", "https://shop.example"), ("content-type", FORM), ("accept-language", "de")];
    let wrong = browser.plain(&Method::POST, "/wallet/checkout", &headers, b"item=book&quantity=x").await.text();
    has(&wrong, &["Bitte prüfen Sie Ihren Korb", "Eine ganze Zahl, ab 0.", "Weiter zur Kasse"]);
    // Too much in all, too many things, and what is sold nowhere.
    let twice = fields(&[("item", "book"), ("quantity", "600000"), ("item", "book"), ("quantity", "600000")]);
    let twice = browser.plain_form("/wallet/checkout", &twice).await;
    assert_eq!(twice.status, StatusCode::UNPROCESSABLE_ENTITY);
    assert!(twice.text().contains("role=\"alert\""), "{}", twice.text());
    let many = (0..51).map(|n| format!("item=i{n}")).collect::<Vec<_>>().join("&");
    let many = browser.plain_form("/wallet/checkout", &many).await.text();
    has(&many, &["At most 50 different things at once.", "value=\"i50\""]);
    let hostile = fields(&[("item", "\"><script>alert(1)</script>"), ("quantity", "\"><script>")]);
    let hostile = browser.plain_form("/wallet/checkout", &hostile).await.text();
    assert!(!hostile.contains("<script>"), "{hostile}");
    // Signed, it is the same.
    let mut known = till.customer().await;
    let wrong = known.post_form("/wallet/checkout", "item=book&quantity=x&item=sencha").await;
    assert_eq!(wrong.status, StatusCode::UNPROCESSABLE_ENTITY);
    has(&wrong.text(), &["A whole number, from 0.", "Sencha"]);
    for nothing in ["", "item=", "item=book&quantity=0", "item=book&quantity=000"] {
        let reply = browser.plain_form("/wallet/checkout", nothing).await;
        assert_eq!(reply.status, StatusCode::UNPROCESSABLE_ENTITY, "{nothing}");
    }
}

#[tokio::test]
async fn a_line_that_is_removed_leaves_what_is_wrong_beside_its_own_line() {
    let till = Till::open().await;
    let mut browser = till.browser();
    let path = till.page(&mut browser, "item=sencha&item=book&quantity=2").await;
    let page = looked(&mut browser, &path).await.text();
    let sent = filled(&page, "update", &[]).replace("item=book&quantity=2", "item=book&quantity=x");
    let wrong = browser.plain_form(&path, &format!("{sent}&remove=sencha")).await;
    assert_eq!(wrong.status, StatusCode::UNPROCESSABLE_ENTITY);
    has(&wrong.text(), &["id=\"quantity-1-error\"", "value=\"x\" aria-invalid"]);
}

#[tokio::test]
async fn an_address_that_is_not_whole_stays_and_is_missed_when_somebody_orders() {
    let till = Till::open().await;
    let mut browser = till.browser();
    let path = till.page(&mut browser, "item=sencha").await;
    let page = looked(&mut browser, &path).await.text();
    has(&page, &["not known yet"]);
    let half = [("name", "Erika Mustermann"), ("postal_code", "511"), ("code", "TEA10"), ("country", "DE")];
    let updated = led_to(&browser.plain_form(&path, &filled(&page, "update", &half)).await);
    let page = looked(&mut browser, &updated).await.text();
    has(&page, &["Updated.", "value=\"Erika Mustermann\"", "value=\"511\"", "value=\"TEA10\" checked", "€4.90"]);
    assert!(!page.contains("role=\"alert\""), "nobody is told off for what they have not finished: {page}");
    // It is for the page alone: no address, to programs.
    let link = path.rsplit('/').next().unwrap();
    let told = browser.plain(&Method::GET, &format!("/wallet/checkouts/guest/{link}"), &[], b"").await.json();
    assert_eq!((told["status"].as_str(), told["fulfillment"].get("destination")), (Some("incomplete"), None), "{told}");
    // Another country is another price, before there is more.
    let updated = led_to(&browser.plain_form(&path, &filled(&page, "update", &[("country", "AT")])).await);
    let page = looked(&mut browser, &updated).await.text();
    has(&page, &["<option value=\"AT\" selected>", "value=\"Erika Mustermann\""]);

    // Ordering says what is missing, beside its field; nothing typed is lost.
    let wrong = browser.plain_form(&path, &filled(&page, "complete", &[("rail", "fake")])).await;
    assert_eq!(wrong.status, StatusCode::UNPROCESSABLE_ENTITY);
    has(&wrong.text(), &["id=\"street-error\"", "id=\"locality-error\"", "value=\"Erika Mustermann\""]);
    assert!(!wrong.text().contains("id=\"name-error\""));
    // Whole, it is an address, and what was typed so far is gone.
    let mut home = HOME.to_vec();
    home.push(("rail", "fake"));
    let led = led_to(&browser.plain_form(&path, &filled(&page, "complete", &home)).await);
    let done = looked(&mut browser, &led).await.text();
    has(&done, &["Thank you for your order", "Heidestraße 17"]);
}

#[tokio::test]
async fn what_was_typed_of_an_address_ends_one_that_was_typed_and_none_that_a_wallet_told() {
    let till = Till::open().await;
    let mut browser = till.browser();
    let path = till.page(&mut browser, "item=sencha").await;
    let page = looked(&mut browser, &path).await.text();
    led_to(&browser.plain_form(&path, &filled(&page, "update", &HOME)).await);
    let page = looked(&mut browser, &path).await.text();
    led_to(&browser.plain_form(&path, &filled(&page, "update", &[("street", "")])).await);
    let page = looked(&mut browser, &path).await.text();
    let link = path.rsplit('/').next().unwrap();
    let told = browser.plain(&Method::GET, &format!("/wallet/checkouts/guest/{link}"), &[], b"").await.json();
    assert_eq!(told["status"], "incomplete", "nobody orders to an address that they have taken out: {told}");
    has(&page, &["value=\"Köln\""]);

    let mut known = till.customer().await;
    known.prove("address", "adult").await;
    let begun = known.post_form("/wallet/checkout", "item=sencha").await;
    let path = begun.header("firsthand-location").to_owned();
    let page = known.get(&path).await.text();
    has(&page, &["From your wallet."]);
    known.post_form(&path, &filled(&page, "update", &[("name", "Somebody else"), ("country", "DE")])).await;
    let page = known.get(&path).await.text();
    has(&page, &["From your wallet.", "<details open>", "value=\"Somebody else\""]);
    // Taken out again, it goes where the wallet said.
    let form = filled(&page, "complete", &[("name", ""), ("rail", "fake")]);
    known.post_form(&path, &form).await;
    has(&known.get(&path).await.text(), &["Thank you for your order"]);
}

#[tokio::test]
async fn what_no_label_can_show_is_said() {
    let till = Till::open().await;
    let mut browser = till.browser();
    let path = till.page(&mut browser, "item=sencha").await;
    let page = looked(&mut browser, &path).await.text();
    for act in ["update", "complete"] {
        for (name, wrong) in [("name", "M\u{fffd}ller"), ("street", "Am\u{0}Markt 1"), ("locality", "\u{202e}nilreB")] {
            let mut with = HOME.to_vec();
            with.extend([("rail", "fake"), (name, wrong)]);
            let reply = browser.plain_form(&path, &filled(&page, act, &with)).await;
            assert_eq!(reply.status, StatusCode::UNPROCESSABLE_ENTITY, "{act} {wrong:?}");
            has(&reply.text(), &[&format!("id=\"{name}-error\""), "cannot be printed on a label"]);
        }
    }
    // Bytes that are no text.
    let latin = filled(&page, "complete", &HOME).replace("Erika", "%C9rika");
    has(&browser.plain_form(&path, &latin).await.text(), &["id=\"name-error\""]);
    // Programs are refused it, too.
    let mut wanted = basket(&[("sencha", 1)]);
    wanted["form"] = till.merchant().guest_form().into();
    wanted["fulfillment"]["destination"] = serde_json::json!({
        "name": "M\u{fffd}ller", "street_address": "Weg 1", "postal_code": "10115", "address_locality": "Berlin", "address_country": "DE",
    });
    let reply = plainly(&mut browser, &Method::POST, "/wallet/checkouts/guest", None, &wanted).await;
    assert_eq!(reply.status, StatusCode::UNPROCESSABLE_ENTITY, "{}", reply.text());
}

#[tokio::test]
async fn what_is_too_heavy_is_told_from_what_is_not_sent_there() {
    let till = Till::open().await;
    let mut browser = till.browser();
    let path = till.page(&mut browser, "item=sencha&quantity=200").await;
    let page = looked(&mut browser, &path).await.text();
    led_to(&browser.plain_form(&path, &filled(&page, "update", &HOME)).await);
    let page = looked(&mut browser, &format!("{path}?said=updated")).await.text();
    has(&page, &["too heavy to be sent there at once: at most 20 kg.", "href=\"#quantity-0\""]);
    assert!(!page.contains("not sent to that address"), "{page}");
    has(&german(&mut browser, &path).await, &["zu schwer", "höchstens 20 kg."]);
    let link = path.rsplit('/').next().unwrap();
    let told = browser.plain(&Method::GET, &format!("/wallet/checkouts/guest/{link}"), &[], b"").await.json();
    let heavy = told["messages"].as_array().unwrap().iter().find(|one| one["code"] == "too_heavy").expect("a message");
    assert_eq!(heavy["path"], "$.line_items");
}

#[tokio::test]
async fn a_number_of_a_business_is_asked_for_where_it_counts_and_told_where_it_does_not() {
    let till = Till::open().await;
    let mut browser = till.browser();
    let path = till.page(&mut browser, "item=sencha").await;
    let page = looked(&mut browser, &path).await.text();
    has(&page, &["name=\"vat_id\""]);
    let mut with = HOME.to_vec();
    with.push(("vat_id", "ATU12345678"));
    let updated = led_to(&browser.plain_form(&path, &filled(&page, "update", &with)).await);
    let page = looked(&mut browser, &updated).await.text();
    has(
        &page,
        &[
            "id=\"vat_id-error\"",
            "changes nothing for where this goes",
            "href=\"#vat_id\"",
            "details class=\"business\" open",
        ],
    );
    has(&german(&mut browser, &path).await, &["Diese USt-IdNr. ändert nichts"]);
    // What is none at all is mended first.
    let wrong = browser.plain_form(&path, &filled(&page, "update", &[("vat_id", "ÄT<b>")])).await;
    assert_eq!(wrong.status, StatusCode::UNPROCESSABLE_ENTITY);
    has(&wrong.text(), &["such as ATU12345678.", "value=\"ÄT&lt;b&gt;\""]);
    // It does not keep anybody from ordering.
    let led = led_to(&browser.plain_form(&path, &filled(&page, "complete", &[("rail", "fake")])).await);
    has(&looked(&mut browser, &led).await.text(), &["Thank you for your order"]);

    // A shop that has no use for it does not ask.
    let plain = Shop::open(None).await;
    let mut browser = plain.browser();
    let path = led_to(&browser.plain_form("/wallet/checkout", "item=book").await);
    assert!(!looked(&mut browser, &path).await.text().contains("vat_id"));
}

#[tokio::test]
async fn forms_of_other_sites_are_answered_to_people_in_a_page() {
    let till = Till::open().await;
    let mut browser = till.browser();
    let path = till.page(&mut browser, "item=book").await;
    let page = looked(&mut browser, &path).await.text();
    let order = filled(&page, "complete", &[("rail", "fake")]);
    for (at, form) in [("/wallet/checkout", "item=book"), (path.as_str(), order.as_str())] {
        let headers = [
            ("content-type", FORM),
            ("origin", "https://other.example"),
            ("accept", "text/html,application/xhtml+xml;q=0.9,*/*;q=0.8"),
            ("accept-language", "de"),
        ];
        let reply = browser.plain(&Method::POST, at, &headers, form.as_bytes()).await;
        assert_eq!((reply.status.as_u16(), reply.header("cache-control")), (403, "private, no-store"));
        assert!(reply.header("content-type").starts_with("text/html"));
        has(&reply.text(), &["<html lang=\"de\">", "Das kam nicht von unserem Shop"]);
        // A program reads what it always did.
        let headers =
            [("content-type", FORM), ("origin", "https://other.example"), ("accept", "application/json, */*")];
        refused(&browser.plain(&Method::POST, at, &headers, form.as_bytes()).await, 403, "cross_site");
    }
    assert_eq!(till.rail.calls(), 0);
}

#[tokio::test]
async fn a_guest_of_the_json_gets_a_token() {
    let till = Till::open().await;
    let mut browser = till.browser();
    let path = "/wallet/checkouts/guest/form";
    refused(&browser.plain(&Method::POST, path, &[("origin", "https://other.example")], b"").await, 403, "cross_site");
    let made = plainly(&mut browser, &Method::POST, path, None, &serde_json::Value::Null).await;
    assert_eq!((made.status, made.header("cache-control")), (StatusCode::CREATED, "private, no-store"));
    let mut wanted = basket(&[("book", 1)]);
    wanted["form"] = made.json()["form"].clone();
    let begun = plainly(&mut browser, &Method::POST, "/wallet/checkouts/guest", None, &wanted).await;
    assert_eq!(begun.status, StatusCode::CREATED, "{}", begun.text());
    let other = plainly(&mut browser, &Method::POST, path, None, &serde_json::Value::Null).await.json();
    assert_ne!(other["form"], wanted["form"]);
    till.shop.advance_s(24 * 3600 + 1);
    wanted["form"] = other["form"].clone();
    refused(&plainly(&mut browser, &Method::POST, "/wallet/checkouts/guest", None, &wanted).await, 410, "form_expired");
}

#[tokio::test]
async fn the_address_of_a_checkout_leads_to_its_order_for_good() {
    let till = Till::open().await;
    let mut known = till.customer().await;
    let begun = known.post_form("/wallet/checkout", "item=book").await;
    let path = begun.header("firsthand-location").to_owned();
    let page = known.get(&path).await.text();
    let form = filled(&page, "complete", &[("rail", "fake")]);
    known.post_form(&path, &form).await;
    has(&known.get(&path).await.text(), &["Thank you for your order"]);
    let order = done_order(&mut known, &path).await;
    till.shop.advance_s(firsthand::checkout::OVER_S + 3600);
    known.sign_in("adult").await;
    let led = known.get(&format!("{path}?lang=de")).await;
    assert_eq!(
        (led.status, led.header("firsthand-location")),
        (StatusCode::NO_CONTENT, format!("{order}?lang=de").as_str())
    );
    let again = known.post_form(&path, &form).await;
    assert_eq!(again.header("firsthand-location"), format!("{order}?said=ordered_already"), "{}", again.text());
    has(&known.get(&format!("{path}/withdraw")).await.text(), &["Withdraw from the contract"]);
    assert_eq!(till.rail.calls(), 1);
    // Nobody else learns of it; what never was an order is over, and said in a page.
    let mut other = till.browser();
    other.sign_in("national").await;
    assert_eq!(other.get(&path).await.status, StatusCode::NOT_FOUND);
    let begun = known.post_form("/wallet/checkout", "item=book").await;
    let path = begun.header("firsthand-location").to_owned();
    till.shop.advance_s(firsthand::checkout::CHECKOUT_S + 1);
    known.sign_in("adult").await;
    let over = known.get(&path).await;
    assert_eq!(over.status, StatusCode::NOT_FOUND);
    has(&over.text(), &["<html", "This checkout is over"]);
}

#[tokio::test]
async fn what_cannot_be_used_below_an_order_says_nothing_of_ordering() {
    let till = Till::open().await;
    let mut browser = till.browser();
    let path = till.page(&mut browser, "item=book").await;
    let page = looked(&mut browser, &path).await.text();
    led_to(&browser.plain_form(&path, &filled(&page, "complete", &[("rail", "fake")])).await);
    let large = format!("x={}", "x".repeat(70_000));
    for at in [path.clone(), format!("{path}/withdraw"), format!("{path}/receipt")] {
        let reply = browser.plain_form(&at, &large).await;
        assert_eq!(reply.status, StatusCode::PAYLOAD_TOO_LARGE, "{at}");
        let text = reply.text();
        assert!(text.contains("has changed nothing") && !text.contains("Nothing was ordered"), "{at}: {text}");
    }
    has(&browser.plain_form("/wallet/checkout", &large).await.text(), &["Nothing was ordered."]);
}

/// Whoever exchanges a body on the way finds out nothing, and does not use up the proof of whoever sent it.
#[tokio::test]
async fn a_body_that_was_exchanged_uses_up_no_proof() {
    let till = Till::open().await;
    let mut browser = till.customer().await;
    let json = |quantity: i64| basket(&[("book", quantity)]).to_string();
    let form = |quantity: u32| format!("item=book&quantity={quantity}");
    for (path, kind, one, many, done) in [
        ("/wallet/checkout", FORM, form(1), form(2), StatusCode::NO_CONTENT),
        ("/wallet/checkouts", "application/json", json(1), json(2), StatusCode::CREATED),
    ] {
        let claims = browser.claims(&Method::POST, path, Some(one.as_bytes()));
        let mut headers = signed_headers(&browser, &browser.sign(&claims), Some(kind));
        headers.insert("idempotency-key", http::HeaderValue::from_static("once"));
        for body in [many.as_bytes(), b""] {
            let reply = browser.send(&Method::POST, path, headers.clone(), body).await;
            let code =
                if body.is_empty() && kind != FORM { (400, "invalid_request") } else { (401, "invalid_dpop_proof") };
            refused(&reply, code.0, code.1);
        }
        let reply = browser.send(&Method::POST, path, headers.clone(), one.as_bytes()).await;
        assert_eq!(reply.status, done, "{path}: {}", reply.text());
        let reply = browser.send(&Method::POST, path, headers, one.as_bytes()).await;
        refused(&reply, 401, "invalid_dpop_proof");
    }
}

/// Stock whose first hold never answers, as if the program had stopped there.
#[derive(Clone, Debug)]
struct Stuck {
    shelf: Shelf,
    is_first: Arc<AtomicBool>,
    entered: Arc<Notify>,
}

impl Inventory for Stuck {
    async fn hold(&self, hold: &Hold) -> Result<Held, TradeError> {
        if self.is_first.swap(false, Ordering::SeqCst) {
            self.entered.notify_one();
            std::future::pending::<()>().await;
        }
        self.shelf.hold(hold).await
    }

    async fn sell(&self, hold: &Hold) -> Result<Held, TradeError> {
        self.shelf.sell(hold).await
    }

    async fn free(&self, order: &OrderId, now: UnixTime) -> Result<(), TradeError> {
        self.shelf.free(order, now).await
    }

    async fn left(&self, items: &[String], now: UnixTime) -> Result<Vec<Option<u32>>, TradeError> {
        self.shelf.left(items, now).await
    }
}

/// A shop without tax, and with stock that gets stuck if it is said.
struct Shop {
    shop: TestShop,
    rail: FakeRail,
    app: Router,
}

impl Shop {
    async fn open(stuck: Option<(Shelf, Stuck)>) -> Self {
        let rail = FakeRail::new();
        let euro = |text| Money::parse(text, Currency::EUR).unwrap();
        let items = Items::new([
            Item::new("book", "A book as a file", euro("9.90")),
            Item::new("tea", "Tea", euro("5.00")).sent(100),
        ]);
        let ways = FlatRates::new().way(Way::new("parcel", "Parcel", euro("4.90")), &["DE"], 20_000);
        let autumn = Codes::new().always(Off::amount("In autumn", euro("1.00")).on(["tea"]));
        let mut trade = Trade::new(Currency::EUR, items.unwrap()).shipping(ways).discount(autumn);
        if let Some((shelf, stuck)) = stuck {
            shelf.stock("book", 5, firsthand::time::UnixTime::from_secs(1)).await.unwrap();
            trade = trade.inventory(stuck);
        }
        let sepa = Sepa::new("Test Shop", crate::orders::IBAN).unwrap();
        let shop = TestShop::with(|shop| shop.store(Memory::new()).rail(rail.clone()).rail(sepa).trade(trade));
        let page = CheckoutPage::new()
            .text("A book as a file", "A book to download", "Ein Buch zum Herunterladen")
            .text("Parcel", "Parcel", "Paket <b>")
            .text("In autumn", "In autumn", "Im Herbst");
        let layer = CustomerLayer::new(shop.merchant().clone()).checkout_page(page);
        let app = Router::new().merge(routes(shop.merchant())).layer(layer);
        Self { shop, rail, app }
    }

    fn merchant(&self) -> &Merchant {
        self.shop.merchant()
    }

    fn browser(&self) -> Browser {
        Browser::new(&self.shop, self.app.clone())
    }
}

#[tokio::test]
async fn the_shops_own_words_stand_in_the_language_of_the_page() {
    let shop = Shop::open(None).await;
    let mut browser = shop.browser();
    let path = led_to(&browser.plain_form("/wallet/checkout", "item=book&item=tea").await);
    let page = looked(&mut browser, &path).await.text();
    has(&page, &["A book to download", "In autumn", ">Tea<"]);
    let mut home = HOME.to_vec();
    led_to(&browser.plain_form(&path, &filled(&page, "update", &home)).await);
    let page = german(&mut browser, &path).await;
    has(&page, &["Ein Buch zum Herunterladen", "Im Herbst", "Paket &lt;b&gt;", ">Tea<"]);
    home.push(("rail", "fake"));
    led_to(&browser.plain_form(&path, &filled(&page, "complete", &home)).await);
    let done = german(&mut browser, &path).await;
    has(&done, &["Danke für Ihre Bestellung", "Ein Buch zum Herunterladen"]);
    // Records have what the trade says.
    let [order] = &shop.merchant().orders(&OrderQuery::default()).await.unwrap().orders[..] else {
        panic!("one order")
    };
    assert_eq!(order.lines()[0].title, "A book as a file");
}

/// Orders, and is interrupted while stock is held: what was sent, and the page that it was sent to.
async fn interrupted(shop: &Shop, stuck: &Stuck, browser: &mut Browser, rail: &str) -> (String, String) {
    let path = led_to(&browser.plain_form("/wallet/checkout", "item=book").await);
    let page = looked(browser, &path).await.text();
    let order = filled(&page, "complete", &[("rail", rail)]);
    tokio::select! {
        reply = browser.plain_form(&path, &order) => panic!("{}", Reply::text(&reply)),
        () = stuck.entered.notified() => {}
    }
    assert_eq!(shop.rail.calls(), 0);
    (path, order)
}

fn stuck() -> (Shelf, Stuck) {
    let shelf = Shelf::new(Memory::new());
    let stuck =
        Stuck { shelf: shelf.clone(), is_first: Arc::new(AtomicBool::new(true)), entered: Arc::new(Notify::new()) };
    (shelf, stuck)
}

#[tokio::test]
async fn the_form_that_was_interrupted_goes_on_where_it_stopped() {
    for rail in ["fake", "sepa"] {
        let (shelf, stuck) = stuck();
        let shop = Shop::open(Some((shelf.clone(), stuck.clone()))).await;
        let mut browser = shop.browser();
        let (path, order) = interrupted(&shop, &stuck, &mut browser, rail).await;
        // Nobody has been asked to pay, and the page does not say so.
        let waiting = looked(&mut browser, &path).await.text();
        has(&waiting, &["Please do not order again", "Nobody has asked you to pay yet."]);
        assert!(!waiting.contains("gone through"), "{waiting}");
        has(&german(&mut browser, &path).await, &["Bezahlt wird noch nichts."]);
        // Another form, or the same with another total, is no word of this customer's.
        let others = [
            order.replace("key=", "key=x"),
            order.replace("total=990", "total=1"),
            order.replace("quantity=1", "quantity=2"),
            order.replace(&format!("rail={rail}"), "rail=nobody"),
        ];
        for other in others {
            assert_ne!(other, order);
            assert_eq!(led_to(&browser.plain_form(&path, &other).await), path);
            has(&looked(&mut browser, &path).await.text(), &["Nobody has asked you to pay yet."]);
        }
        // The very same goes on, once.
        for sent in ["", "?said=ordered_already"] {
            assert_eq!(led_to(&browser.plain_form(&path, &order).await), format!("{path}{sent}"));
        }
        has(&looked(&mut browser, &path).await.text(), &["Thank you for your order"]);
        assert_eq!(shop.rail.calls(), usize::from(rail == "fake"));
        let count = shelf.count("book", shop.merchant().now()).await.unwrap();
        assert_eq!((count.left, count.held), (4, 0), "sold once");
    }
}

#[tokio::test]
async fn what_was_interrupted_for_too_long_is_open_again_and_nothing_is_paid() {
    let (shelf, stuck) = stuck();
    let shop = Shop::open(Some((shelf, stuck.clone()))).await;
    let mut browser = shop.browser();
    let (path, order) = interrupted(&shop, &stuck, &mut browser, "fake").await;
    shop.shop.advance_s(firsthand::checkout::HOLDING_S + 1);
    assert_eq!(led_to(&browser.plain_form(&path, &order).await), path);
    let page = looked(&mut browser, &path).await.text();
    has(&page, &["This was interrupted, and nothing was paid. Try again."]);
    assert_eq!(shop.rail.calls(), 0);
    led_to(&browser.plain_form(&path, &filled(&page, "complete", &[("rail", "fake")])).await);
    has(&looked(&mut browser, &path).await.text(), &["Thank you for your order"]);
    assert_eq!(shop.rail.calls(), 1);
}
