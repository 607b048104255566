//! What the checkout page says before somebody orders: where things can go, what the total holds, and why the button waits.

use axum::Router;
use firsthand::{
    Money,
    money::Currency,
    store::Memory,
    trade::{FlatRates, Item, Items, Trade, Way},
};
use firsthand_axum::{
    CheckoutPage, CustomerLayer, routes,
    testing::{Browser, FakeRail, TestShop},
};
use http::{Method, StatusCode};

use crate::checkouts::{HOME, filled, led_to, looked};

struct Shop {
    shop: TestShop,
    app: Router,
}

impl Shop {
    fn open(home: Option<&str>, page: CheckoutPage) -> Self {
        let euro = |text| Money::parse(text, Currency::EUR).unwrap();
        let items = Items::new([
            Item::new("tea", "Tea", euro("5.00")).sent(100),
            Item::new("wine", "Wine", euro("12.00")).sent(1_300).needs(&TestShop::age()),
        ]);
        let parcel = |price| Way::new("parcel", "Parcel", euro(price));
        let ways = FlatRates::new().way(parcel("4.90"), &["DE"], 20_000).way(parcel("9.90"), &["at"], 20_000);
        let trade = Trade::new(Currency::EUR, items.unwrap()).shipping(ways);
        let trade = home.map_or_else(|| trade.clone(), |home| trade.clone().home(home));
        let shop = TestShop::with(|shop| shop.store(Memory::new()).rail(FakeRail::new()).trade(trade));
        let layer = CustomerLayer::new(shop.merchant().clone()).checkout_page(page);
        let app = Router::new().merge(routes(shop.merchant())).layer(layer);
        Self { shop, app }
    }

    fn browser(&self) -> Browser {
        Browser::new(&self.shop, self.app.clone())
    }
}

/// A guest's page with this in the basket, and its path.
async fn page(browser: &mut Browser, basket: &str) -> (String, String) {
    let path = led_to(&browser.plain_form("/wallet/checkout", basket).await);
    let page = looked(browser, &path).await.text();
    (path, page)
}

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
async fn the_button_waits_while_a_wallet_has_something_to_show() {
    let shop = Shop::open(Some("DE"), CheckoutPage::new());
    let mut browser = shop.browser();
    let (path, wine) = page(&mut browser, "item=wine&item=tea").await;
    let waits = "value=\"complete\" disabled aria-describedby=\"waits\">Order with obligation to pay";
    has(&wine, &[waits, "id=\"waits\">You can order here once your wallet has shown", "Without a wallet: remove what"]);
    has(&german(&mut browser, &path).await, &["sobald Ihre Wallet gezeigt hat", "Ohne Wallet: Entfernen Sie"]);
    // What needs it is removed: the rest can be ordered.
    let less = filled(&wine, "update", &[]).replace("item=wine&quantity=1", "item=wine&quantity=0");
    let rest = led_to(&browser.plain_form(&path, &less).await);
    let rest = looked(&mut browser, &rest).await.text();
    assert!(
        !rest.contains(" disabled") && !rest.contains("id=\"waits\"") && !rest.contains("Without a wallet"),
        "{rest}"
    );

    // Whoever has shown it has a button.
    let mut known = shop.browser();
    known.sign_in("adult").await;
    let begun = known.post_form("/wallet/checkout", "item=wine").await;
    let theirs = known.get(begun.header("firsthand-location")).await.text();
    assert!(theirs.contains("value=\"complete\">") && !theirs.contains("id=\"waits\""), "{theirs}");

    // The shop says in its own words what somebody without a wallet can do.
    let own = CheckoutPage::new().without_wallet("Ring <us>.", "Rufen Sie <uns> an.");
    let mut browser = Shop::open(Some("DE"), own).browser();
    let (path, wine) = page(&mut browser, "item=wine").await;
    has(&wine, &["Ring &lt;us&gt;."]);
    assert!(!wine.contains("Without a wallet: remove"), "{wine}");
    has(&german(&mut browser, &path).await, &["Rufen Sie &lt;uns&gt; an."]);
}

#[tokio::test]
async fn the_total_says_what_it_holds_of_sending() {
    let mut browser = Shop::open(None, CheckoutPage::new()).browser();
    let (path, tea) = page(&mut browser, "item=tea").await;
    has(&tea, &["<dt>Sending</dt><dd>not known yet</dd>", "<dt>To pay, without sending</dt><dd>€5.00</dd>"]);
    has(&german(&mut browser, &path).await, &["<dt>Zu zahlen, ohne Versand</dt>"]);

    let mut browser = Shop::open(Some("DE"), CheckoutPage::new()).browser();
    let (path, tea) = page(&mut browser, "item=tea").await;
    has(&tea, &["<dt>To pay, with sending to Germany</dt><dd>€9.90</dd>"]);
    let elsewhere = led_to(&browser.plain_form(&path, &filled(&tea, "update", &[("country", "AT")])).await);
    let tea = looked(&mut browser, &elsewhere).await.text();
    has(&tea, &["<dt>To pay, with sending to Austria</dt><dd>€14.90</dd>"]);
    has(&german(&mut browser, &path).await, &["<dt>Zu zahlen, mit Versand nach: Österreich</dt>"]);
    // Once the address is known, it is what it is.
    let whole = led_to(&browser.plain_form(&path, &filled(&tea, "update", &HOME)).await);
    has(&looked(&mut browser, &whole).await.text(), &["<dt>To pay</dt><dd>€9.90</dd>"]);
}

#[tokio::test]
async fn the_countries_are_those_that_the_shop_sends_to() {
    let offered = async |home, said: CheckoutPage| {
        let shop = Shop::open(home, said);
        let page = page(&mut shop.browser(), "item=tea").await.1;
        let country = |option: &str| option.split('"').next().unwrap_or_default().to_owned();
        page.split("<option value=\"").skip(1).map(country).collect::<Vec<_>>()
    };
    assert_eq!(offered(None, CheckoutPage::new()).await, ["DE", "AT"]);
    assert_eq!(offered(Some("at"), CheckoutPage::new()).await, ["AT", "DE"], "where most orders go, first");
    assert_eq!(offered(None, CheckoutPage::new().countries(&["FR"])).await, ["FR"], "what the shop says, holds");
}

#[tokio::test]
async fn an_austrian_address_has_a_postal_code_and_a_country_with_a_name() {
    let mut browser = Shop::open(Some("AT"), CheckoutPage::new()).browser();
    let (path, tea) = page(&mut browser, "item=tea").await;
    let vienna = |code| {
        [
            ("name", "Anna"),
            ("street", "Ring 1"),
            ("postal_code", code),
            ("locality", "Wien"),
            ("country", "AT"),
            ("rail", "fake"),
        ]
    };
    for (code, said) in [("", "Enter the postal code."), ("10115", "Austria: postal codes look like 1010.")] {
        let wrong = browser.plain_form(&path, &filled(&tea, "complete", &vienna(code))).await;
        assert_eq!(wrong.status, StatusCode::UNPROCESSABLE_ENTITY, "{code}");
        has(&wrong.text(), &["href=\"#postal_code\"", "id=\"postal_code-error\"", said, "value=\"Ring 1\""]);
    }
    let led = led_to(&browser.plain_form(&path, &filled(&tea, "complete", &vienna("1010"))).await);
    has(&looked(&mut browser, &led).await.text(), &["Thank you for your order", "1010 Wien<br>Austria</address>"]);
    has(&german(&mut browser, &path).await, &["1010 Wien<br>Österreich</address>"]);
}
