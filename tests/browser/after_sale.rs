//! The pages after a sale, as customers and the merchant use them: parcels, a withdrawal in two steps, its acknowledgement, the
//! receipt to print, and what is to be sent; at a desk and at the width of a phone, looked at by axe-core in each state.

use axum::Router;
use base64::{Engine, engine::general_purpose::STANDARD};
use firsthand::{
    Merchant, Money,
    merchant::{GuestLink, IssuerProfile, Order, WalletClient},
    money::{Currency, Quantity},
    order::{Address, Exemption, Parcel, Part},
    receipt::ReceiptIssuer,
    store::Memory,
    testing::FakeRail,
    trade::{FlatRates, Item, Items, Shelf, Trade, Vat, Way},
};
use firsthand_axum::{BackOffice, CheckoutPage, CustomerLayer, OperatorKey, Operators, routes};
use serde_json::json;

use crate::{
    Browser, Options,
    checkout::{dark, is_in_order, press_order, type_address, without_scripts},
    installed, looks,
    shop::{Folder, free_port},
};

/// A shop whose pages are all hosted, and its back office.
struct Shop {
    port: u16,
    merchant: Merchant,
    key: OperatorKey,
    _folder: Folder,
}

impl Shop {
    async fn open() -> Self {
        let (folder, port) = (Folder::new("after-sale"), free_port());
        let euro = |text| Money::parse(text, Currency::EUR).unwrap();
        let shelf = Shelf::new(Memory::new());
        let items = Items::new([
            Item::new("tea", "Sencha from the slopes of Kirishima, first flush, 100 g", euro("10.00")).sent(120),
            Item::new("cake", "Cake", euro("8.00")).sent(400).no_withdrawal(Exemption::Perishable),
        ]);
        let trade = Trade::new(Currency::EUR, items.unwrap())
            .inventory(shelf.clone())
            .shipping(FlatRates::new().way(Way::new("parcel", "Parcel", euro("4.90")), &["DE"], 20_000))
            .tax(Vat::within_prices("DE").rate("DE", "standard", "19".parse().unwrap()))
            .home("DE");
        let address = Address {
            name: "Blatt und Rebe GmbH".into(),
            street: "Weg 1".into(),
            postal_code: "10115".into(),
            locality: "Berlin".into(),
            country: "DE".into(),
        };
        let client = WalletClient {
            client_id: "https://wallet.example".into(),
            name: "A Wallet".into(),
            redirect_uris: vec!["https://wallet.example/cb".into()],
        };
        let origin = format!("http://localhost:{port}");
        let builder = Merchant::dev_at(origin.parse().unwrap(), folder.path()).await.unwrap();
        let merchant = builder
            .rail(FakeRail::new())
            .trade(trade)
            .relationship(IssuerProfile::Open)
            .display_name("Blatt und Rebe")
            .wallet_client(client)
            .receipts(ReceiptIssuer::new(&address, "DE123456789").branch("web", "Blatt und Rebe"))
            .build()
            .unwrap();
        for item in ["tea", "cake"] {
            shelf.stock(item, 50, merchant.now()).await.unwrap();
        }
        let key = OperatorKey::random();
        let office = BackOffice::new(&merchant, Operators::new().key("anna", key.digest())).shelf(shelf);
        let page = CheckoutPage::new().shop("Blatt und Rebe").terms("/terms").countries(&["DE"]);
        let app: Router = Router::new()
            .route("/cart", axum::routing::get(async || axum::response::Html(CART)))
            .nest_service("/merchant", office.routes())
            .merge(routes(&merchant))
            .layer(CustomerLayer::new(merchant.clone()).checkout_page(page));
        let listener = tokio::net::TcpListener::bind(("127.0.0.1", port)).await.unwrap();
        tokio::spawn(async move { axum::serve(listener, app).await.unwrap() });
        Self { port, merchant, key, _folder: folder }
    }

    async fn browser(&self, options: Options) -> Browser {
        Browser::at(format!("http://localhost:{}", self.port), options).await
    }

    /// The merchant's own pages, in a browser that sends the key with everything.
    async fn office(&self, options: Options) -> Browser {
        let browser = self.browser(options).await;
        let basic = format!("Basic {}", STANDARD.encode(format!("anna:{}", self.key.reveal())));
        browser.cdp("Network.enable", json!({})).await;
        browser.cdp("Network.setExtraHTTPHeaders", json!({ "headers": { "Authorization": basic } })).await;
        browser
    }

    async fn order(&self, path: &str) -> Order {
        let link: GuestLink = path.rsplit('/').next().unwrap().parse().unwrap();
        self.merchant.guest_order(&link).await.unwrap()
    }
}

const CART: &str = r#"<!doctype html><html lang="en"><head><meta charset="utf-8"><title>Cart</title></head><body><main><h1>Cart</h1>
<form method="post" action="/wallet/checkout"><input name="item" value="tea"><input id="many" name="quantity" value="3">
<input name="item" value="cake"><input name="quantity" value="1"><button>Buy</button></form></main></body></html>"#;

fn parts(item: &str, number: u32) -> Part {
    Part::new(item, Quantity::new(number).unwrap())
}

/// What is shown is in order, and nothing of it sticks out.
async fn looks_right(browser: &Browser, state: &str) {
    is_in_order(browser, state).await;
    looks::fits(browser, state).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_guest_follows_parcels_withdraws_and_prints_the_receipt() {
    if !installed("the pages after a sale") {
        return;
    }
    let shop = Shop::open().await;
    for (language, phone) in [("en", false), ("de", true)] {
        let browser = shop.browser(Options { language, phone: false, ..Options::default() }).await;
        if phone {
            let narrow = json!({ "width": 360, "height": 800, "deviceScaleFactor": 2, "mobile": false });
            browser.cdp("Emulation.setDeviceMetricsOverride", narrow).await;
        }
        let state = |state: &str| format!("after-{state}-{language}");
        let say = |english: &'static str, german: &'static str| if language == "en" { english } else { german };

        // A basket with a number that is none is asked about, and loses nothing.
        browser.open("/cart").await;
        let many = browser.find("#many").await;
        many.clear().await.unwrap();
        many.send_keys("999999999").await.unwrap();
        browser.press("Buy").await;
        browser.sees(say("At most 1,000,000 at once.", "Höchstens 1.000.000 auf einmal.")).await;
        assert_eq!(browser.eval("document.activeElement.className").await, json!("summary"));
        looks_right(&browser, &state("basket")).await;
        let many = browser.find("#quantity-0").await;
        many.clear().await.unwrap();
        many.send_keys("3").await.unwrap();
        browser.press(say("To the checkout", "Weiter zur Kasse")).await;
        browser.sees(say("Order with obligation to pay", "Zahlungspflichtig bestellen")).await;
        // Half an address stays while something else is changed.
        browser.find("#name").await.send_keys("Anna").await.unwrap();
        browser.press(say("Update", "Aktualisieren")).await;
        browser.sees(say("Updated.", "Aktualisiert.")).await;
        assert_eq!(browser.eval("document.querySelector('#name').value").await, json!("Anna"));
        looks_right(&browser, &state("half")).await;
        type_address(&browser).await;
        press_order(&browser, 1).await;
        browser.sees(say("Thank you for your order", "Danke für Ihre Bestellung")).await;
        let path = browser.path().await;
        looks_right(&browser, &state("ordered")).await;

        let order = shop.order(&path).await;
        let parcel = Parcel::new("1", vec![parts("tea", 2)])
            .carried_by("DHL Paket International", Some("003404341606612345678901234567".to_owned()))
            .tracked_at("https://carrier.example/?n=1&m=2".parse().unwrap());
        order.sent(parcel).await.unwrap().commit().await.unwrap();
        order.delivered("1").await.unwrap().commit().await.unwrap();
        order.sent(Parcel::new("2", vec![parts("cake", 1)])).await.unwrap().commit().await.unwrap();
        browser.client.refresh().await.unwrap();
        browser.sees(say("Your parcels", "Ihre Pakete")).await;
        looks_right(&browser, &state("parcels")).await;
        dark(&browser).await;
        looks_right(&browser, &state("parcels-dark")).await;

        // Two steps, and nothing is done before the second one.
        browser.press(say("Withdraw from the contract here", "Vertrag widerrufen")).await;
        browser.sees(say("Say from what.", "Sagen Sie, wovon.")).await;
        looks_right(&browser, &state("withdraw")).await;
        let many = browser.find("#quantity-0").await;
        many.clear().await.unwrap();
        many.send_keys("9").await.unwrap();
        browser.press(say("Next: confirm", "Weiter zum Bestätigen")).await;
        browser.sees(say("At most 3.", "Höchstens 3.")).await;
        looks_right(&browser, &state("withdraw-wrong")).await;
        let many = browser.find("#quantity-0").await;
        many.clear().await.unwrap();
        many.send_keys("1").await.unwrap();
        browser.press(say("Next: confirm", "Weiter zum Bestätigen")).await;
        browser.sees(say("Confirm withdrawal", "Widerruf bestätigen")).await;
        looks_right(&browser, &state("confirm")).await;
        assert!(shop.order(&path).await.acknowledgements().is_empty());
        browser.press(say("Confirm withdrawal", "Widerruf bestätigen")).await;
        browser.sees(say("We have received your withdrawal.", "Ihr Widerruf ist bei uns eingegangen.")).await;
        looks_right(&browser, &state("withdrawn")).await;
        assert_eq!(shop.order(&path).await.acknowledgements().len(), 1);

        // The receipt, on the screen and as it is printed.
        browser.open(&format!("{path}/receipt?lang={language}")).await;
        browser.sees(say("What you bought", "Was Sie gekauft haben")).await;
        looks_right(&browser, &state("receipt")).await;
        browser.cdp("Emulation.setEmulatedMedia", json!({ "media": "print", "features": [] })).await;
        let shown = "[...document.querySelectorAll('header.top, footer, .screen')].filter((it) => it.checkVisibility()).map((it) => it.outerHTML)";
        assert_eq!(browser.eval(shown).await, json!([]), "what is for the screen is not printed");
        browser.whole_picture(&format!("checkout-{}", state("receipt-printed"))).await;
        browser.cdp("Emulation.setEmulatedMedia", json!({ "media": "" })).await;
        browser.press(say("Put it into my wallet", "In meine Wallet legen")).await;
        browser.sees(say("Your wallet asks for", "Ihre Wallet fragt nach")).await;
        looks_right(&browser, &state("receipt-offered")).await;
        browser.leave().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_merchant_sees_what_is_to_be_sent() {
    if !installed("what is to be sent") {
        return;
    }
    let shop = Shop::open().await;
    let guest = shop.browser(Options::default()).await;
    without_scripts(&guest).await;
    for _ in 0..2 {
        guest.open("/cart").await;
        guest.press("Buy").await;
        guest.sees("Order with obligation to pay").await;
        type_address(&guest).await;
        press_order(&guest, 1).await;
        guest.sees("Thank you for your order").await;
    }
    guest.leave().await;
    for (language, phone) in [("en", false), ("de", true)] {
        let say = |english: &'static str, german: &'static str| if language == "en" { english } else { german };
        let merchant = shop.office(Options { language, phone, ..Options::default() }).await;
        merchant.open("/merchant").await;
        merchant.sees(say("To send", "Zu versenden")).await;
        merchant.sees("3 × Sencha from the slopes").await;
        merchant.whole_picture(&format!("office-to-send-{language}")).await;
        looks::fits(&merchant, "what is to be sent").await;
        crate::checkout::is_accessible(&merchant, "what is to be sent").await;
        dark(&merchant).await;
        crate::checkout::is_accessible(&merchant, "what is to be sent in the dark").await;
        merchant.click("ul.lines a").await;
        merchant.sees(say("What can be done", "Was getan werden kann")).await;
        merchant.whole_picture(&format!("office-to-send-order-{language}")).await;
        looks::fits(&merchant, "an order to send").await;
        crate::checkout::is_accessible(&merchant, "an order to send").await;
        merchant.leave().await;
    }
}
