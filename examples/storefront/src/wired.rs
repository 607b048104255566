//! The whole shop behind its routes: what is bought, cancelled, paid and refused, without a browser.

use std::{fs, path::PathBuf};

use axum::{Router, http::Method};
use base64::{Engine, engine::general_purpose::STANDARD};
use firsthand_axum::{
    CustomerId, Operations, OperatorKey,
    customer::CustomerEvent,
    merchant::{IssuerProfile, MerchantBuilder},
    rail::Sepa,
    store::{Expect, Key, Record, Sqlite, Store as _, Write},
    testing::{Browser, Reply, TestShop},
};

use crate::{
    adopt, desk,
    sell::{Store, Till},
    shop::{Shop, ZONE, catalogue::Product, database::Database, order::grouped},
};

mod after;
mod bank;
mod formats;
mod receipt;
mod watched;

/// A shop with a file of its own, which goes when this is dropped.
struct Wired {
    shop: TestShop,
    till: Till,
    store: Sqlite,
    app: Router,
    operations: Operations,
    key: OperatorKey,
    file: PathBuf,
}

impl Drop for Wired {
    fn drop(&mut self) {
        for suffix in ["", "-wal", "-shm"] {
            let _ = fs::remove_file(format!("{}{suffix}", self.file.display()));
        }
    }
}

impl Wired {
    async fn new(name: &str) -> Self {
        Self::set_up(name, |set_up| TestShop::with(set_up)).await
    }

    /// One that asks what the shop asks, and believes the issuer of its people in every format.
    async fn trusting(name: &str) -> Self {
        let world = TestShop::new();
        let trust = world.cast().trust_in_all().unwrap();
        Self::set_up(name, |set_up| {
            world.bare(|builder| set_up(builder).trust(trust).ask(&adopt::age()).ask(&adopt::address()))
        })
        .await
    }

    async fn set_up(name: &str, open: impl FnOnce(&dyn Fn(MerchantBuilder) -> MerchantBuilder) -> TestShop) -> Self {
        let file = std::env::temp_dir().join(format!("storefront-{name}-{}.sqlite", std::process::id()));
        let database = Database::connect(&format!("sqlite:{}", file.display())).await.unwrap();
        let store = Store::open(&database).await.unwrap();
        let sepa = Sepa::new("Blatt und Rebe", "DE89370400440532013000").unwrap();
        let shop = open(&|builder| {
            let builder = store.of(builder).rail(sepa.clone()).feed();
            builder.relationship(IssuerProfile::Open).receipts(crate::receipt::seller()).time_zone(ZONE)
        });
        let Store::Sqlite(sqlite) = store.clone() else { unreachable!() };
        let till = Till::new(shop.merchant().clone(), database.clone(), store);
        let key = OperatorKey::random();
        let (app, operations) = adopt::router(Shop::new(database), &till).unwrap();
        let app = app.merge(desk::routes(&till, &key));
        Self { shop, till, store: sqlite, app, operations, key, file }
    }

    fn browser(&self) -> Browser {
        Browser::new(&self.shop, self.app.clone())
    }

    async fn left(&self, slug: &str) -> u32 {
        self.till.database.stock().await.unwrap().left(Product::find(slug).unwrap())
    }

    async fn clear_away(&self) {
        while self.till.clear_away_next().await.unwrap() {}
    }

    /// What a merge writes, as far as this shop depends on it: where a name leads, and the word of it.
    async fn says(&self, from: &CustomerId, into: &CustomerId, merged: bool) {
        let now = self.shop.merchant().now();
        let key = Key::new("customer", from.as_str(), "");
        let stored = self.store.load(std::slice::from_ref(&key), now).await.unwrap().remove(0).unwrap();
        let mut record: serde_json::Value = serde_json::from_str(&stored.record.body).unwrap();
        record["merged_into"] = serde_json::json!(merged.then(|| into.as_str()));
        let record = Record { body: record.to_string(), ..stored.record };
        let (from, into, at) = (from.clone(), into.clone(), now);
        let entry = Key::new("feed", "0", format!("{into}/{}", now.as_secs()));
        let event = if merged {
            CustomerEvent::Merged { from, into, at }
        } else {
            CustomerEvent::MergeUndone { from, into, at }
        };
        let word = serde_json::json!({ "customer": event }).to_string();
        let word = Record { schema: 1, body: word, expires_at: None };
        let writes =
            [Write::put(key, record, Expect::Version(stored.version)), Write::put(entry, word, Expect::Absent)];
        self.store.commit(&writes, now).await.unwrap();
    }

    /// At the desk, with this key.
    async fn desk(&self, method: &Method, path: &str, key: &str, form: &str, from: &str) -> Reply {
        let basic = format!("Basic {}", STANDARD.encode(format!("merchant:{key}")));
        let headers = [
            ("authorization", basic.as_str()),
            ("content-type", "application/x-www-form-urlencoded"),
            ("origin", from),
        ];
        self.browser().plain(method, path, &headers, form.as_bytes()).await
    }

    /// A form of another kind.
    async fn send(&self, path: &str, kind: &str, body: &[u8], from: &str) -> Reply {
        let basic = format!("Basic {}", STANDARD.encode(format!("merchant:{}", self.key.reveal())));
        let headers = [("authorization", basic.as_str()), ("content-type", kind), ("origin", from)];
        self.browser().plain(&Method::POST, path, &headers, body).await
    }

    async fn look(&self, path: &str) -> String {
        self.desk(&Method::GET, path, self.key.reveal(), "", HERE).await.text()
    }

    /// A form of the desk, with the token of its page.
    async fn act(&self, page: &str, path: &str, form: &str) -> Reply {
        let token = hidden(&self.look(page).await, "form");
        self.desk(&Method::POST, path, self.key.reveal(), &format!("form={token}&{form}"), HERE).await
    }

    async fn book(&self, id: &str, amount: &str, reference: &str) -> String {
        let form =
            format!("transfer={id}&amount={amount}&reference={reference}&payer=Anna&payer_iban=AT611904300234573201");
        self.act("/merchant", "/merchant/transfers", &form).await.header("location").to_owned()
    }
}

const HERE: &str = "https://shop.example";
const ADDRESS: &str = "delivery=typed&name=Anna+Kowalska&street=Am+Markt+1&postal_code=10115&place=Berlin&country=DE";

/// The value of a hidden field.
fn hidden(page: &str, name: &str) -> String {
    let from = format!("name=\"{name}\" value=\"");
    let at = page.find(&from).unwrap_or_else(|| panic!("no {name} in {page}")) + from.len();
    page[at..].split('"').next().unwrap().to_owned()
}

/// The form of the till as it stands there, filled in.
async fn form_of(browser: &mut Browser, cart: &str, address: &str) -> String {
    let page = if browser.token.is_some() {
        browser.get(&format!("/checkout?cart={cart}")).await
    } else {
        browser.plain(&Method::GET, &format!("/checkout?cart={cart}"), &[], b"").await
    };
    assert_eq!(page.header("cache-control"), "private, no-store");
    let page = page.text();
    format!("form={}&cart={}&total={}&{address}", hidden(&page, "form"), hidden(&page, "cart"), hidden(&page, "total"))
}

/// The address that a placed order leads to.
fn placed(reply: &Reply) -> String {
    let (location, signed) = (reply.header("location"), reply.header("firsthand-location"));
    let path = if location.is_empty() { signed } else { location };
    assert!(path.starts_with("/o/") || path.starts_with("/orders/"), "{} {}", reply.status, reply.text());
    path.to_owned()
}

async fn guest_buys(browser: &mut Browser, cart: &str) -> String {
    let form = form_of(browser, cart, ADDRESS).await;
    placed(&browser.plain_form("/checkout", &form).await)
}

async fn page(browser: &mut Browser, path: &str) -> String {
    browser.plain(&Method::GET, path, &[], b"").await.text()
}

/// The reference on the page of an order.
fn reference(page: &str) -> String {
    let at = page.find("data-copy=\"RF").unwrap() + "data-copy=\"".len();
    page[at..].split('"').next().unwrap().to_owned()
}

#[tokio::test]
async fn a_guest_buys_tea_and_the_same_form_is_the_same_order() {
    let shop = Wired::new("guest").await;
    let mut browser = shop.browser();
    let form = form_of(&mut browser, "senchax2", ADDRESS).await;
    let path = placed(&browser.plain_form("/checkout", &form).await);
    assert_eq!(placed(&browser.plain_form("/checkout", &form).await), path);
    assert_eq!(shop.left("sencha").await, 22);
    let page = page(&mut browser, &path).await;
    for part in ["the only key", "Am Markt 1", "€29.60", "<svg", "payto://iban/DE89"] {
        assert!(page.contains(part), "{part} is missing in {page}");
    }
    let other = browser.plain_form("/checkout", &form.replace("Berlin", "Potsdam")).await;
    assert_eq!((other.status.as_u16(), shop.left("sencha").await), (409, 22));
    assert!(other.text().contains("This form was used already"), "{}", other.text());
    let unknown = browser.plain(&Method::GET, "/o/AAECAwQFBgcICQoLDA0ODw", &[], b"").await;
    assert_eq!(unknown.status.as_u16(), 404);
}

#[tokio::test]
async fn the_same_order_once_more_is_asked_about_first() {
    let shop = Wired::new("repeat").await;
    let mut guest = shop.browser();
    let path = guest_buys(&mut guest, "senchax2").await;
    let rf = grouped(&reference(&page(&mut guest, &path).await));
    // Back, and the page is loaded anew: another form of the same basket.
    let form = form_of(&mut guest, "senchax2", ADDRESS).await;
    let asked = guest.plain_form("/checkout", &form).await;
    let text = asked.text();
    assert_eq!((asked.status.as_u16(), shop.left("sencha").await), (409, 22));
    for part in ["was ordered to this address", "name=\"again\" value=\"1\"", "value=\"Am Markt 1\""] {
        assert!(text.contains(part), "{part} is missing in {text}");
    }
    // It may be somebody else who types the same: neither number nor time nor link of a guest's order is told to anybody.
    let mut other = shop.browser();
    let same = form_of(&mut other, "senchax2", ADDRESS).await;
    let told = other.plain_form("/checkout?lang=de", &same).await;
    assert!(told.text().contains("Dasselbe wurde in den letzten zehn Minuten"), "{}", told.text());
    for text in [text, told.text()] {
        for secret in [rf.as_str(), &path, " 2026, "] {
            assert!(!text.contains(secret), "{secret} is told in {text}");
        }
    }
    // Somebody else, something else, somewhere else: that is no repetition.
    let mut anna = shop.browser();
    anna.sign_in("adult").await;
    let hers = form_of(&mut anna, "senchax2", ADDRESS).await;
    placed(&anna.post_form("/checkout", &hers).await);
    guest_buys(&mut guest, "senchax1").await;
    let elsewhere = form_of(&mut guest, "senchax2", &ADDRESS.replace("Berlin", "Potsdam")).await;
    placed(&guest.plain_form("/checkout", &elsewhere).await);
    assert_eq!(shop.left("sencha").await, 17);
    // It is wanted once more; pressed twice, it is one.
    let again = form_of(&mut guest, "senchax2", &format!("{ADDRESS}&again=1")).await;
    let second = placed(&guest.plain_form("/checkout", &again).await);
    assert_eq!(placed(&guest.plain_form("/checkout", &again).await), second);
    assert_ne!(second, path);
    assert_eq!(shop.left("sencha").await, 15);
    // A customer is told which of their own it was.
    let hers = form_of(&mut anna, "senchax2", ADDRESS).await;
    let asked = anna.post_form("/checkout", &hers).await;
    assert!(asked.text().contains("You ordered this on 22 November 2026, 13:00: <code>RF"), "{}", asked.text());
    assert_eq!(asked.status.as_u16(), 409);
    // After a while nobody means the same order any more.
    shop.shop.advance_s(10 * 60);
    guest_buys(&mut guest, "senchax2").await;
    assert_eq!(shop.left("sencha").await, 13);
}

#[tokio::test]
async fn what_is_to_be_packed_stands_first_at_the_desk_and_the_office_is_one_step_away() {
    let shop = Wired::new("packing").await;
    let mut guest = shop.browser();
    let path = guest_buys(&mut guest, "senchax2").await;
    let rf = reference(&page(&mut guest, &path).await);
    assert!(shop.look("/merchant").await.contains("Nothing is to be sent."));
    assert_eq!(shop.book("B1", "29.60", &rf).await, "/merchant?said=paid");
    let desk = shop.look("/merchant").await;
    let (before, list) = desk.split_once("<h2>To send</h2>").unwrap();
    assert!(!before.contains("<h2>") && list.contains("2 × Sencha"), "{desk}");
    // Two places, two titles, and a way to and fro in the language that was chosen.
    let (english, german) = (shop.look("/merchant/office").await, shop.look("/merchant/office?lang=de").await);
    assert!(desk.contains("<title>At the desk today") && english.contains("<title>Today · Office"), "{english}");
    assert!(english.contains("<a href=\"/merchant\">The desk</a>") && desk.contains("href=\"/merchant/office\""));
    assert!(german.contains("<a href=\"/merchant?lang=de\">Ladentisch</a>") && german.contains("· Kontor</title>"));
    assert!(shop.look("/merchant?lang=de").await.contains("href=\"/merchant/office?lang=de\""));
}

#[tokio::test]
async fn before_the_button_stand_the_tax_and_what_the_shop_has_to_say() {
    let shop = Wired::new("terms").await;
    let mut guest = shop.browser();
    let till = page(&mut guest, "/checkout?cart=senchax2&lang=de").await;
    let (before, _) = till.split_once("Zahlungspflichtig bestellen").unwrap();
    for part in ["Darin MwSt.: 7 % 1,94", "/terms?", "/withdrawal?", "/privacy?", "/imprint?"] {
        assert!(before.contains(part), "{part} is missing in {before}");
    }
    for (path, words) in [
        ("/terms?lang=de", "Der Vertrag kommt zustande"),
        ("/withdrawal", "within fourteen days"),
        ("/privacy", "We set no cookie"),
        ("/imprint?lang=de", "USt-IdNr. DE123456789"),
    ] {
        assert!(page(&mut guest, path).await.contains(words), "{path}");
    }
    let form = form_of(&mut guest, "senchax1", ADDRESS).await;
    let wrong = guest.plain_form("/checkout", &form.replace("10115", "1")).await.text();
    assert!(wrong.contains("Something of the address cannot be right") && !wrong.contains("Something is missing"));
    let missing = guest.plain_form("/checkout", &form.replace("name=Anna+Kowalska", "name=")).await.text();
    assert!(missing.contains("Something is missing for the label"), "{missing}");
}

#[tokio::test]
async fn what_the_form_says_of_prices_and_addresses_is_checked() {
    let shop = Wired::new("checked").await;
    let mut browser = shop.browser();
    let form = form_of(&mut browser, "senchax1", ADDRESS).await;
    let cheap = browser.plain_form("/checkout", &form.replace("total=14.80", "total=0.01")).await;
    assert_eq!(cheap.status.as_u16(), 409);
    assert!(cheap.text().contains("The price has changed"), "{}", cheap.text());
    let nonsense = browser.plain_form("/checkout", &form.replace("total=14.80", "total=much")).await;
    assert_eq!(nonsense.status.as_u16(), 409);
    let nowhere = browser.plain_form("/checkout", &form.replace("10115", "1")).await;
    assert_eq!(nowhere.status.as_u16(), 422);
    assert!(nowhere.text().contains("That country has no such postal code"), "{}", nowhere.text());
    let own = browser.plain_form("/checkout", &form.replace("form=", "form=A")).await;
    assert_eq!(own.status.as_u16(), 403);
    let wine = form_of(&mut browser, "senchax1", ADDRESS).await.replace("cart=senchax1", "cart=etnax1");
    let wine = browser.plain_form("/checkout", &wine.replace("14.80", "28.50")).await;
    assert_eq!(wine.status.as_u16(), 403);
    assert!(wine.text().contains("<firsthand-button ask=\"age\""), "{}", wine.text());
    shop.shop.advance_s(25 * 3600);
    let old = browser.plain_form("/checkout", &form).await;
    assert_eq!(old.status.as_u16(), 410);
    assert_eq!(shop.left("sencha").await, 24);
}

#[tokio::test]
async fn a_form_of_another_site_orders_nothing() {
    let shop = Wired::new("cross-site").await;
    let mut browser = shop.browser();
    let form = form_of(&mut browser, "senchax1", ADDRESS).await;
    let headers = [("content-type", "application/x-www-form-urlencoded"), ("origin", "https://evil.example")];
    let reply = browser.plain(&Method::POST, "/checkout", &headers, form.as_bytes()).await;
    assert_eq!((reply.status.as_u16(), reply.code().as_str()), (403, "cross_site"));
    let path = placed(&browser.plain_form("/checkout", &form).await);
    let reply = browser.plain(&Method::POST, &format!("{path}/cancel"), &headers, b"").await;
    assert_eq!((reply.status.as_u16(), reply.code().as_str()), (403, "cross_site"));
}

#[tokio::test]
async fn the_last_bottle_is_sold_once() {
    let shop = Wired::new("last").await;
    let (mut anna, mut bert) = (shop.browser(), shop.browser());
    for browser in [&mut anna, &mut bert] {
        browser.sign_in("adult").await;
    }
    let of_anna = form_of(&mut anna, "pinotx3", ADDRESS).await;
    let of_bert = form_of(&mut bert, "pinotx2", ADDRESS).await;
    let path = placed(&anna.post_form("/checkout", &of_anna).await);
    let late = bert.post_form("/checkout", &of_bert).await;
    assert_eq!(late.status.as_u16(), 409);
    assert!(late.text().contains("is sold out"), "{}", late.text());
    assert!(bert.get("/orders").await.text().contains("None yet."));
    // Pressed twice, the last ones are still the first buyer's.
    assert_eq!(placed(&anna.post_form("/checkout", &of_anna).await), path);
    assert_eq!(bert.get(&path).await.status.as_u16(), 404);
    assert!(anna.get("/orders").await.text().contains(&path));
}

#[tokio::test]
async fn what_is_cancelled_or_expires_goes_back_once() {
    let shop = Wired::new("cancel").await;
    let mut browser = shop.browser();
    let form = form_of(&mut browser, "senchax2", ADDRESS).await;
    let path = placed(&browser.plain_form("/checkout", &form).await);
    for _ in 0..2 {
        assert_eq!(browser.plain_form(&format!("{path}/cancel"), "").await.status.as_u16(), 303);
        shop.clear_away().await;
        assert_eq!(shop.left("sencha").await, 24);
    }
    assert!(page(&mut browser, &path).await.contains("Cancelled."));
    // The form once more: the order that was cancelled, and nothing leaves the shelf.
    assert_eq!(placed(&browser.plain_form("/checkout", &form).await), path);
    assert_eq!(shop.left("sencha").await, 24);
    assert_eq!(browser.plain_form(&format!("{path}/retry"), "").await.status.as_u16(), 409);
    guest_buys(&mut browser, "senchax3").await;
    assert_eq!(shop.left("sencha").await, 21);
    shop.shop.advance_s(30 * 24 * 3600);
    shop.till.merchant().bring_orders_up_to_date().await.unwrap();
    shop.clear_away().await;
    assert_eq!(shop.left("sencha").await, 24);
}

#[tokio::test]
async fn a_customer_buys_wine_to_the_address_of_their_wallet() {
    let shop = Wired::new("wine").await;
    let mut browser = shop.browser();
    browser.sign_in("adult").await;
    browser.prove("address", "adult").await;
    let form = form_of(&mut browser, "etnax1", "delivery=wallet").await;
    let path = placed(&browser.post_form("/checkout", &form).await);
    let order = browser.get(&path).await.text();
    assert!(order.contains("Shown by a wallet") && order.contains("€28.50"), "{order}");
    // The address has gone into the order: the next one needs it anew.
    let again = form_of(&mut browser, "etnax1", ADDRESS).await.replace("delivery=typed", "delivery=wallet");
    let again = browser.post_form("/checkout", &again).await;
    assert_eq!(again.status.as_u16(), 403);
    assert!(again.text().contains("<firsthand-button ask=\"address\""), "{}", again.text());
    let desk = shop.look(&path.replace("/orders", "/merchant/orders")).await;
    for part in ["Name and address", "That the customer is an adult", "The address of the parcel", "<dd>2</dd>"] {
        assert!(desk.contains(part), "{part} is missing in {desk}");
    }
    assert!(shop.look("/merchant/orders").await.contains(&path));
}

#[tokio::test]
async fn the_desk_books_a_transfer_and_refunds() {
    let shop = Wired::new("desk").await;
    let mut browser = shop.browser();
    browser.sign_in("adult").await;
    let form = form_of(&mut browser, "senchax2", ADDRESS).await;
    let path = placed(&browser.post_form("/checkout", &form).await);
    let rf = reference(&browser.get(&path).await.text());
    assert_eq!(shop.book("B1", "20,00", &rf).await, "/merchant?said=partly_paid");
    assert!(browser.get(&path).await.text().contains("Almost there."));
    assert_eq!(shop.book("B1", "20.00", &rf).await, "/merchant?said=again");
    assert_eq!(shop.book("B2", "10.00", &rf).await, "/merchant?said=excess");
    assert!(browser.get(&path).await.text().contains("Paid. We are packing."));
    assert!(shop.look("/merchant").await.contains("€0.40"));
    let owed = hidden(&shop.look("/merchant").await, "owed");
    for (act, said) in [("carry_out", "carried_out"), ("done", "done")] {
        let reply = shop.act("/merchant", "/merchant/owed", &format!("owed={owed}&act={act}")).await;
        assert_eq!(reply.header("location"), format!("/merchant?said={said}"), "{}", reply.text());
    }
    assert!(shop.look("/merchant").await.contains("You owe nobody."));
    let sale = path.replace("/orders", "/merchant/orders");
    let refund = format!("{sale}/refund");
    let much = shop.act(&sale, &refund, "amount=29.61").await;
    assert_eq!(much.status.as_u16(), 422);
    let token = hidden(&shop.look(&sale).await, "form");
    for _ in 0..2 {
        let form = format!("form={token}&amount=5.00");
        let reply = shop.desk(&Method::POST, &refund, shop.key.reveal(), &form, HERE).await;
        assert_eq!(reply.header("location"), format!("{sale}?said=refunded"), "{}", reply.text());
    }
    assert!(browser.get(&path).await.text().contains("€5.00 are to go back"));
    // Money that names nothing waits, and is assigned by hand.
    assert_eq!(shop.book("B3", "14.80", "Tee").await, "/merchant?said=unmatched");
    let second = guest_buys(&mut shop.browser(), "senchax1").await;
    let number = reference(&page(&mut shop.browser(), &second).await);
    let desk = shop.look("/merchant").await;
    let transfer = hidden(&desk[desk.find("Transfers without").unwrap()..], "transfer");
    let form = format!("transfer={transfer}&act=assign&number={number}");
    let reply = shop.act("/merchant", "/merchant/unmatched", &form).await;
    assert_eq!(reply.header("location"), "/merchant?said=assigned", "{}", reply.text());
    assert!(page(&mut shop.browser(), &second).await.contains("Paid. We are packing."));
}

#[tokio::test]
async fn where_money_goes_is_said_by_whoever_shows_the_wallet() {
    let shop = Wired::new("account").await;
    let mut browser = shop.browser();
    browser.sign_in("adult").await;
    let form = form_of(&mut browser, "senchax1", ADDRESS).await;
    let path = placed(&browser.post_form("/checkout", &form).await);
    let rf = reference(&browser.get(&path).await.text());
    let form = format!("transfer=B1&amount=10&reference={rf}&payer=&payer_iban=");
    assert_eq!(shop.act("/merchant", "/merchant/transfers", &form).await.status.as_u16(), 303);
    browser.post_form(&format!("{path}/cancel"), "").await;
    let account = format!("{path}/account");
    let wrong = browser.post_form(&account, "name=Anna&iban=DE00").await;
    assert_eq!(wrong.status.as_u16(), 422);
    shop.shop.advance_s(10 * 60);
    let late = browser.post_form(&account, "name=Anna&iban=AT611904300234573201").await;
    assert_eq!(late.status.as_u16(), 403);
    assert!(late.text().contains("<firsthand-button ask=\"age\""), "{}", late.text());
    browser.sign_in("adult").await;
    browser.post_form(&account, "name=Anna&iban=AT611904300234573201").await;
    assert!(browser.get(&path).await.text().contains("AT61 **** 3201"));
}

#[tokio::test]
async fn the_desk_opens_with_its_key_and_for_forms_of_its_own() {
    let shop = Wired::new("key").await;
    let unsaid = shop.browser().plain(&Method::GET, "/merchant", &[], b"").await;
    assert_eq!((unsaid.status.as_u16(), unsaid.header("cache-control")), (401, "private, no-store"));
    assert!(unsaid.header("www-authenticate").starts_with("Basic "));
    let (mut refused, mut waiting) = (0, 0);
    for _ in 0..20 {
        match shop.desk(&Method::GET, "/merchant/orders", "wrong", "", HERE).await.status.as_u16() {
            401 => refused += 1,
            429 => waiting += 1,
            other => panic!("{other}"),
        }
    }
    // Whoever has shown no key has tried none.
    assert_eq!((refused, waiting), (10, 10));
    let right = shop.desk(&Method::GET, "/merchant", shop.key.reveal(), "", HERE).await;
    assert_eq!((right.status.as_u16(), right.header("cache-control")), (200, "private, no-store"));
    let token = hidden(&right.text(), "form");
    let transfer = "transfer=B1&amount=1&reference=x";
    let form = format!("form={token}&{transfer}");
    let there = shop.desk(&Method::POST, "/merchant/transfers", shop.key.reveal(), &form, "https://evil.example").await;
    assert_eq!((there.status.as_u16(), there.code().as_str()), (403, "cross_site"));
    let made_up = format!("form=AAAA&{transfer}");
    let made_up = shop.desk(&Method::POST, "/merchant/transfers", shop.key.reveal(), &made_up, HERE);
    assert_eq!(made_up.await.status.as_u16(), 422);
    shop.shop.advance_s(25 * 3600);
    let old = shop.desk(&Method::POST, "/merchant/transfers", shop.key.reveal(), &form, HERE).await;
    assert_eq!(old.status.as_u16(), 422);
    assert!(shop.look("/merchant").await.contains("every transfer found its order"));
}

#[tokio::test]
async fn the_librarys_own_pages_stand_beside_the_desk_and_open_with_its_key() {
    let shop = Wired::new("office").await;
    let path = guest_buys(&mut shop.browser(), "senchax1").await;
    let number = reference(&page(&mut shop.browser(), &path).await);
    let unsaid = shop.browser().plain(&Method::GET, "/merchant/office/orders", &[], b"").await;
    assert_eq!(unsaid.status.as_u16(), 401);
    let orders = shop.look("/merchant/office/orders").await;
    assert!(orders.contains("/merchant/office/orders/o_"), "{orders}");
    assert!(shop.look("/merchant/office/orders.csv").await.contains(&number));
    assert!(shop.look("/merchant").await.contains("href=\"/merchant/office\""));
    let bearer = format!("Bearer {}", shop.key.reveal());
    let headers = [("authorization", bearer.as_str())];
    let api = shop.browser().plain(&Method::GET, "/merchant/office/api/orders", &headers, b"").await;
    assert_eq!(api.json()["orders"][0]["reference"], number.as_str());
}

#[tokio::test]
async fn what_is_set_aside_goes_where_its_name_leads_and_with_whom_it_was_for() {
    let shop = Wired::new("names").await;
    let (mut one, mut other) = (shop.browser(), shop.browser());
    for browser in [&mut one, &mut other] {
        browser.sign_in("adult").await;
    }
    let mut ids: Vec<CustomerId> = Vec::new();
    for (browser, wine) in [(&mut one, "etnax1"), (&mut other, "etnax2.rieslingx1")] {
        ids.push(browser.get("/wallet/me").await.json()["id"].as_str().unwrap().parse().unwrap());
        browser.post_form("/wine", &format!("wine={wine}")).await;
    }
    let [into, from] = ids.as_slice() else { panic!("{ids:?}") };
    let bottles = async |browser: &mut Browser| {
        let page = browser.get("/wine/reserved").await.text();
        ["Etna", "Riesling"].map(|wine| page.contains(wine))
    };
    assert_eq!((bottles(&mut one).await, bottles(&mut other).await), ([true, false], [true, true]));

    shop.says(from, into, true).await;
    shop.clear_away().await;
    assert_eq!(bottles(&mut one).await, [true, true]);
    assert_eq!(shop.till.database.names_of(into.as_str()).await.unwrap(), [from.to_string()]);

    shop.shop.advance_s(1);
    shop.says(from, into, false).await;
    shop.clear_away().await;
    assert_eq!((bottles(&mut one).await, bottles(&mut other).await), ([true, false], [true, true]));

    shop.shop.merchant().customer(from).await.unwrap().unwrap().forget().await.unwrap();
    shop.clear_away().await;
    assert!(shop.till.database.kept(from.as_str(), 0).await.unwrap().is_empty());
    assert_eq!(bottles(&mut one).await, [true, false], "nobody else's");
}
