//! The hosted checkout page, as customers use it: with scripts and without, on a desk and on a phone, pressed twice, gone
//! back, reloaded, in two tabs, while the shop restarts; and looked at by axe-core in each of its states.

use std::{fs, path::Path, time::Duration};

use axum::{Router, response::Html, routing::get};
use firsthand::{
    Ask, Merchant, Money, Wanted,
    ask::PID,
    money::Currency,
    order::OrderState,
    rail::{Outcome, Sepa},
    store::Memory,
    testing::{FakeRail, Mood},
    trade::{Codes, FlatRates, Item, Items, Off, Shelf, Trade, Vat, Way},
};
use firsthand_axum::{CheckoutPage, CustomerLayer, routes};
use serde_json::{Value, json};
use tokio::runtime::Runtime;

use crate::{
    Browser, Options, installed,
    shop::{Folder, free_port},
    walk,
};

/// What `axe.run` is asked: WCAG 2.2 AA, and what the makers of axe hold to be good besides.
const RULES: &str =
    "{ runOnly: { type: 'tag', values: ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa', 'best-practice'] } }";

/// A shop of this test's own, that can be ended and begun again.
struct Till {
    folder: Folder,
    port: u16,
    rail: FakeRail,
    shelf: Shelf,
    running: Option<(Runtime, Merchant)>,
}

fn euro(text: &str) -> Money {
    Money::parse(text, Currency::EUR).unwrap()
}

fn age() -> Ask {
    Ask::new("age", "Wine is sold to adults").over(18)
}

fn address() -> Ask {
    let claims = Wanted::sd_jwt_vc(PID).claim(["given_name"]).claim(["family_name"]).claim(["address"]);
    Ask::new("address", "To send what you order").credential("pid", claims)
}

const CART: &str = r#"<!doctype html><html lang="en"><head><meta charset="utf-8"><title>Cart</title>
<script type="module" src="/wallet/firsthand.js" data-navigate></script></head>
<body><main><h1>Cart</h1><form method="post" action="/wallet/checkout">
<input type="hidden" name="item" value="wine"><input type="hidden" name="quantity" value="1">
<button>To the till</button></form>
<form method="post" action="/wallet/checkout"><input type="hidden" name="item" value="sencha"><button>Tea</button></form>
<form method="post" action="/wallet/checkout"><input type="hidden" name="item" value="book"><button>Book</button></form>
</main></body></html>"#;

impl Till {
    async fn open() -> Self {
        let shelf = Shelf::new(Memory::new());
        let mut till =
            Self { folder: Folder::new("till"), port: free_port(), rail: FakeRail::new(), shelf, running: None };
        let now = firsthand::env::Env::now(&firsthand::env::SystemEnv);
        for item in ["sencha", "book", "wine"] {
            till.shelf.stock(item, 9, now).await.unwrap();
        }
        till.start().await;
        till
    }

    fn origin(&self) -> String {
        format!("http://localhost:{}", self.port)
    }

    /// Begins it in a world of its own, with which everything ends that it has under way.
    async fn start(&mut self) {
        let (port, rail, shelf) = (self.port, self.rail.clone(), self.shelf.clone());
        let (origin, folder) = (self.origin(), self.folder.path().to_owned());
        let runtime = Runtime::new().unwrap();
        let (ready, started) = tokio::sync::oneshot::channel();
        runtime.spawn(async move {
            let (merchant, app) = shop(&origin, &folder, rail, shelf).await;
            let listener = loop {
                // The address of the process before may be held for a moment.
                match tokio::net::TcpListener::bind(("127.0.0.1", port)).await {
                    Ok(listener) => break listener,
                    Err(_) => tokio::time::sleep(Duration::from_millis(20)).await,
                }
            };
            let _ = ready.send(merchant);
            axum::serve(listener, app).await.unwrap();
        });
        self.running = Some((runtime, started.await.unwrap()));
    }

    /// Ends it in the middle of whatever it does, and begins it again on what it has kept.
    async fn restart(&mut self) {
        self.end();
        self.start().await;
    }

    fn end(&mut self) {
        if let Some((runtime, _)) = self.running.take() {
            runtime.shutdown_background();
        }
    }

    /// The rail decides what nobody knew.
    async fn decides(&self, outcome: Outcome) {
        let (_, merchant) = self.running.as_ref().unwrap();
        let orders = merchant.open_orders(20).await.unwrap();
        let unknown = orders.iter().find(|order| order.state() == OrderState::Unknown).expect("an order in doubt");
        self.rail.decide(unknown.id(), 1, outcome);
    }

    async fn browser(&self, options: Options) -> Browser {
        Browser::at(self.origin(), options).await
    }

    async fn left(&self, item: &str) -> u64 {
        let now = firsthand::env::Env::now(&firsthand::env::SystemEnv);
        self.shelf.count(item, now).await.unwrap().left
    }
}

impl Drop for Till {
    fn drop(&mut self) {
        self.end();
    }
}

async fn shop(origin: &str, folder: &Path, rail: FakeRail, shelf: Shelf) -> (Merchant, Router) {
    let items = Items::new([
        Item::new("sencha", "Sencha, 100 g", euro("14.80")).sent(120),
        Item::new("book", "A book as a file", euro("9.90")).taxed_as("books"),
        Item::new("wine", "Riesling, 0.75 l", euro("12.00")).sent(1_300).needs(&age()),
    ])
    .unwrap();
    let ways = FlatRates::new()
        .way(Way::new("parcel", "Parcel", euro("4.90")).within_days(1, 3), &["DE", "AT"], 20_000)
        .way(Way::new("letter", "Letter", euro("2.00")).within_days(2, 4), &["DE"], 500);
    let vat = Vat::within_prices("DE").rate("DE", "standard", "19".parse().unwrap()).rate(
        "DE",
        "books",
        "7".parse().unwrap(),
    );
    // Somebody may owe the tax themselves, so that the page asks for a number.
    let vat = vat.reverse_charge(|_, _| false);
    let trade = Trade::new(Currency::EUR, items)
        .inventory(shelf)
        .shipping(ways)
        .discount(Codes::new().word("TEA10", Off::percent("Ten percent", "10".parse().unwrap())))
        .tax(vat)
        .home("DE")
        .address_from(&address());
    let builder = Merchant::dev_at(origin.parse().unwrap(), folder).await.unwrap();
    let sepa = Sepa::new("Blatt und Rebe", "DE89370400440532013000").unwrap();
    let merchant = builder.ask(&age()).ask(&address()).rail(rail).rail(sepa).trade(trade).build().unwrap();
    let page = CheckoutPage::new()
        .shop("Blatt und Rebe")
        .back("/cart")
        .terms("/terms")
        .privacy("/privacy")
        .withdrawal("/withdrawal")
        .countries(&["DE", "AT", "FR"]);
    let app: Router = Router::new()
        .route("/cart", get(async || Html(CART)))
        .merge(routes(&merchant))
        .layer(CustomerLayer::new(merchant.clone()).checkout_page(page));
    (merchant, app)
}

pub async fn type_address(browser: &Browser) {
    for (name, text) in
        [("name", "Anna Kowalska"), ("street", "Am Alten Markt 1"), ("postal_code", "10115"), ("locality", "Berlin")]
    {
        let field = browser.find(&format!("#{name}")).await;
        field.clear().await.unwrap();
        field.send_keys(text).await.unwrap();
    }
}

pub async fn press_order(browser: &Browser, clicks: usize) {
    browser.eval("document.documentElement.dataset.before = '1'").await;
    for _ in 0..3 {
        let button = browser.find("button[value=complete]").await;
        browser.point(button, clicks).await;
        // A pointer that comes while the page is still being laid out may miss.
        for _ in 0..100 {
            let asked = "return document.documentElement.dataset.before === undefined";
            if matches!(browser.client.execute(asked, Vec::new()).await, Ok(Value::Bool(true))) {
                return;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }
}

/// Axe finds nothing, and nothing sticks out to the side.
pub async fn is_in_order(browser: &Browser, state: &str) {
    browser.whole_picture(&format!("checkout-{state}")).await;
    let wide = browser.eval("document.documentElement.scrollWidth > document.documentElement.clientWidth").await;
    assert_eq!(wide, json!(false), "{state} scrolls to the side");
    let small = browser
        .eval(
            "[...document.querySelectorAll('a[href], button, input:not([type=hidden]), select, summary')]
               .filter((e) => e.checkVisibility() && !e.ariaHidden && !e.closest('.choice') && !e.matches('p > a, li > a'))
               .filter((e) => e.getBoundingClientRect().height < 43.9).map((e) => e.outerHTML)",
        )
        .await;
    assert_eq!(small, json!([]), "{state} has targets that are too small");
    is_accessible(browser, state).await;
}

/// Axe finds nothing.
pub async fn is_accessible(browser: &Browser, state: &str) {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("browser/node_modules/axe-core/axe.min.js");
    let Ok(axe) = fs::read_to_string(&file) else {
        println!("left out, for axe-core is not installed: {state}");
        assert_ne!(std::env::var("CI").as_deref(), Ok("true"), "axe-core must be installed here");
        return;
    };
    browser.client.execute(&format!("{axe}; return Boolean(window.axe)"), Vec::new()).await.unwrap();
    let found = browser
        .eval(&format!(
            "(await window.axe.run(document, {RULES})).violations.map((it) => ({{ id: it.id, help: it.help, where: it.nodes.map((n) => n.html + ' ' + n.failureSummary) }}))"
        ))
        .await;
    assert_eq!(found, json!([]), "{state}: {found:#}");
}

/// As somebody has it whose browser runs no scripts.
pub async fn without_scripts(browser: &Browser) {
    browser.cdp("Emulation.setScriptExecutionDisabled", json!({ "value": true })).await;
}

pub async fn dark(browser: &Browser) {
    let dark = json!({ "features": [{ "name": "prefers-color-scheme", "value": "dark" }] });
    browser.cdp("Emulation.setEmulatedMedia", dark).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_guest_without_scripts_presses_twice_goes_back_and_reloads() {
    if !installed("the checkout page without scripts") {
        return;
    }
    for phone in [false, true] {
        let mut till = Till::open().await;
        let name = |state: &str| format!("checkout-plain-{state}{}", if phone { "-phone" } else { "" });
        let browser = till.browser(Options::default()).await;
        if phone {
            // The driver taps by scripts of its own: as narrow as a phone, then, and pressed by a pointer.
            let narrow = json!({ "width": 390, "height": 844, "deviceScaleFactor": 2, "mobile": false });
            browser.cdp("Emulation.setDeviceMetricsOverride", narrow).await;
        }
        without_scripts(&browser).await;
        browser.open("/cart").await;
        browser.press("Tea").await;
        browser.sees("Order with obligation to pay").await;
        let path = browser.path().await;
        press_order(&browser, 1).await;
        browser.sees("Nothing is ordered yet").await;
        browser.sees("Enter the street and number.").await;
        let wide = browser.eval("document.documentElement.scrollWidth > document.documentElement.clientWidth").await;
        assert_eq!(wide, json!(false), "it scrolls to the side");
        browser.whole_picture(&name("errors")).await;
        type_address(&browser).await;
        till.restart().await;
        press_order(&browser, 1).await;
        browser.wait("/^\\/wallet\\/checkout\\/./.test(location.pathname)").await;
        // What sending costs was shown before, for the country of the shop: nothing has changed.
        browser.sees("Thank you for your order").await;
        browser.whole_picture(&name("done")).await;
        assert_eq!(browser.path().await, path);
        assert_eq!((till.rail.calls(), till.left("sencha").await), (1, 8));

        // Reloaded: it is the same order.
        browser.client.refresh().await.unwrap();
        browser.sees("Thank you for your order").await;
        till.restart().await;
        browser.open(&path).await;
        browser.sees("It is paid.").await;

        // Enter in a field looks again, and removes nothing.
        browser.open("/cart").await;
        browser.press("Book").await;
        browser.sees("Order with obligation to pay").await;
        let many = "document.querySelector('[name=quantity]').value";
        let before = browser.eval(many).await;
        browser.find("[name=quantity]").await.send_keys("\u{e007}").await.unwrap();
        browser.sees("Updated.").await;
        assert_eq!(browser.eval(many).await, before);
        // Pressed twice.
        browser.open("/cart").await;
        browser.press("Book").await;
        browser.sees("Order with obligation to pay").await;
        press_order(&browser, 2).await;
        browser.sees("Thank you for your order").await;
        assert_eq!((till.rail.calls(), till.left("book").await), (2, 8));
        // Gone back to: where the form was, its order is.
        browser.client.back().await.unwrap();
        browser.sees("Thank you for your order").await;
        browser.client.back().await.unwrap();
        browser.sees("To the till").await;
        browser.client.forward().await.unwrap();
        browser.sees("Thank you for your order").await;
        assert_eq!((till.rail.calls(), till.left("book").await), (2, 8));
        browser.keeps_nothing().await;
        browser.leave().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn two_tabs_and_a_payment_that_fails_are_told() {
    if !installed("the checkout page in two tabs") {
        return;
    }
    let till = Till::open().await;
    let browser = till.browser(Options { language: "de", ..Options::default() }).await;
    without_scripts(&browser).await;
    browser.open("/cart").await;
    browser.press("Book").await;
    browser.sees("Zahlungspflichtig bestellen").await;
    let path = browser.path().await;
    let first = browser.tab().await;
    let second = browser.new_tab().await;
    browser.open(&path).await;
    let quantity = browser.find("#quantity-0").await;
    quantity.clear().await.unwrap();
    quantity.send_keys("2").await.unwrap();
    browser.press("Aktualisieren").await;
    browser.sees("19,80").await;
    browser.look_at(&first).await;
    press_order(&browser, 1).await;
    browser.sees("in einem anderen Tab oder Fenster geändert").await;
    assert_eq!(till.rail.calls(), 0);
    till.rail.next(Mood::Declines);
    press_order(&browser, 1).await;
    browser.sees("Die Zahlung wurde abgelehnt.").await;
    browser.picture("checkout-plain-declined").await;
    press_order(&browser, 1).await;
    browser.sees("Danke für Ihre Bestellung").await;
    browser.look_at(&second).await;
    press_order(&browser, 1).await;
    browser.sees("Es wurde nichts ein zweites Mal getan.").await;
    assert_eq!((till.rail.calls(), till.left("book").await), (2, 7));

    // Nobody knows whether it is paid: the page looks again by itself, without a script.
    browser.open("/cart").await;
    browser.press("Book").await;
    browser.sees("Zahlungspflichtig bestellen").await;
    till.rail.next(Mood::Says(Outcome::Unknown));
    press_order(&browser, 1).await;
    browser.sees("Bitte bestellen Sie nicht noch einmal").await;
    till.decides(Outcome::Paid).await;
    browser.sees("Danke für Ihre Bestellung").await;
    browser.leave().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wallet_answers_once_and_the_customer_orders() {
    if !installed("the checkout page with a wallet") {
        return;
    }
    let mut till = Till::open().await;
    let browser = till.browser(Options::default()).await;
    browser.open("/cart").await;
    browser.press("To the till").await;
    browser.sees("Your wallet has to show this").await;
    is_in_order(&browser, "wallet").await;
    walk::press_button(&browser).await;
    let first = browser.tab().await;
    walk::to_wallet(&browser).await;
    walk::choose(&browser, "adult").await;
    walk::share(&browser).await;
    browser.sees("The shop knows you").await;
    browser.client.close_window().await.unwrap();
    browser.look_at(&first).await;
    browser.sees("The shop knows you").await;
    is_in_order(&browser, "known").await;
    browser.press("Go on as myself").await;
    browser.sees("From your wallet.").await;
    is_in_order(&browser, "theirs").await;
    // A reload brings a page that signs.
    browser.client.refresh().await.unwrap();
    browser.sees("From your wallet.").await;
    till.restart().await;
    browser.sees("Order with obligation to pay").await;
    press_order(&browser, 2).await;
    browser.sees("Thank you for your order").await;
    is_in_order(&browser, "theirs-done").await;
    browser.client.refresh().await.unwrap();
    browser.sees("Thank you for your order").await;
    assert_eq!((till.rail.calls(), till.left("wine").await), (1, 8));

    // Known from the beginning: no link, and a page that is signed.
    browser.open("/cart").await;
    browser.press("Book").await;
    browser.sees("Order with obligation to pay").await;
    assert!(browser.path().await.contains("/checkout/k_"), "{}", browser.path().await);
    till.rail.next(Mood::Says(Outcome::Unknown));
    press_order(&browser, 1).await;
    browser.sees("Please do not order again").await;
    till.decides(Outcome::Paid).await;
    // The script looks again by itself.
    browser.sees("Thank you for your order").await;
    assert_eq!(till.left("book").await, 8);
    browser.leave().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn each_state_of_the_page_is_in_order_in_both_languages() {
    if !installed("the states of the checkout page") {
        return;
    }
    let till = Till::open().await;
    for (language, phone) in [("en", false), ("de", true)] {
        let browser = till.browser(Options { language, phone, ..Options::default() }).await;
        let state = |state: &str| format!("{state}-{language}");
        let say = |english: &'static str, german: &'static str| if language == "en" { english } else { german };
        browser.open("/wallet/checkout").await;
        is_in_order(&browser, &state("empty")).await;
        browser.open("/wallet/checkout/AAECAwQFBgcICQoLDA0ODw").await;
        is_in_order(&browser, &state("nothing")).await;
        browser.open("/cart").await;
        browser.press("Tea").await;
        browser.sees(say("Order with obligation to pay", "Zahlungspflichtig bestellen")).await;
        is_in_order(&browser, &state("open")).await;
        press_order(&browser, 1).await;
        browser.sees(say("Nothing is ordered yet", "Es ist noch nichts bestellt")).await;
        let focused = browser.eval("document.activeElement.className").await;
        assert_eq!(focused, json!("summary"), "what is wrong is read first");
        is_in_order(&browser, &state("errors")).await;
        type_address(&browser).await;
        browser.find("#code").await.send_keys("tea10").await.unwrap();
        browser.press(say("Apply", "Einlösen")).await;
        browser.sees(say("Ten percent", "Ten percent")).await;
        is_in_order(&browser, &state("discount")).await;
        dark(&browser).await;
        is_in_order(&browser, &state("dark")).await;
        browser.click("summary").await;
        is_in_order(&browser, &state("business")).await;
        till.rail.next(Mood::Declines);
        press_order(&browser, 1).await;
        browser.sees(say("The payment was declined.", "Die Zahlung wurde abgelehnt.")).await;
        is_in_order(&browser, &state("declined")).await;
        // Where a provider's page would be.
        let elsewhere = format!("{}/paying", till.origin()).parse().unwrap();
        till.rail.next(Mood::Says(Outcome::Continue(elsewhere)));
        press_order(&browser, 1).await;
        browser.wait("location.pathname === '/paying' || location.protocol === 'chrome-error:'").await;
        let path = till_path(&browser).await;
        browser.open(&format!("{path}?wait=no")).await;
        browser.sees(say("Go on to pay", "Weiter zum Bezahlen")).await;
        is_in_order(&browser, &state("continue")).await;
        browser.open("/cart").await;
        browser.press("Book").await;
        browser.sees(say("Order with obligation to pay", "Zahlungspflichtig bestellen")).await;
        till.rail.next(Mood::Says(Outcome::Unknown));
        let path = browser.path().await;
        press_order(&browser, 1).await;
        browser.sees(say("Please do not order again", "Bitte bestellen Sie nicht noch einmal")).await;
        let _ = path;
        is_in_order(&browser, &state("waiting")).await;
        browser.open("/cart").await;
        browser.press("Book").await;
        browser.sees(say("Order with obligation to pay", "Zahlungspflichtig bestellen")).await;
        browser.click("label:has(input[value=sepa])").await;
        press_order(&browser, 1).await;
        browser.sees(say("Scan it with your banking app.", "Scannen Sie ihn mit Ihrer Banking-App.")).await;
        is_in_order(&browser, &state("transfer")).await;

        // Paid, and sent once more.
        browser.open("/cart").await;
        browser.press("Book").await;
        browser.sees(say("Order with obligation to pay", "Zahlungspflichtig bestellen")).await;
        let path = browser.path().await;
        // What has another price by now, as the page says it after a press.
        browser.open(&format!("{path}?said=price&was=1290")).await;
        browser.sees(say("It now costs €9.90 (before: €12.90).", "Es kostet jetzt 9,90")).await;
        is_in_order(&browser, &state("price")).await;
        press_order(&browser, 1).await;
        browser.sees(say("It is paid.", "Sie ist bezahlt.")).await;
        is_in_order(&browser, &state("paid")).await;
        browser.open(&format!("{path}?said=ordered_already")).await;
        browser.sees(say("Nothing was done a second time.", "Es wurde nichts ein zweites Mal getan.")).await;
        is_in_order(&browser, &state("again")).await;

        // Given up.
        browser.open("/cart").await;
        browser.press("Book").await;
        browser.sees(say("Order with obligation to pay", "Zahlungspflichtig bestellen")).await;
        let path = browser.path().await;
        let link = path.rsplit('/').next().unwrap();
        let cancel = format!(
            "(await fetch('/wallet/checkouts/guest/{link}/cancel', {{ method: 'POST', headers: {{ 'Idempotency-Key': 'up' }} }})).status"
        );
        assert_eq!(browser.eval(&cancel).await, json!(200));
        browser.open(&path).await;
        browser.sees(say("This checkout was given up", "Dieser Einkauf wurde abgebrochen")).await;
        is_in_order(&browser, &state("canceled")).await;

        // A form that is larger than any: a page says so, and nothing happens.
        browser.open("/cart").await;
        browser.eval("document.forms[0].append(Object.assign(document.createElement('textarea'), { name: 'x', value: 'x'.repeat(70_000) }))").await;
        browser.eval("document.forms[0].submit()").await;
        browser.sees(say("That did not work", "Das hat nicht geklappt")).await;
        is_in_order(&browser, &state("trouble")).await;
    }
}

/// The path of the checkout in the browser's history: it may be on its way elsewhere.
async fn till_path(browser: &Browser) -> String {
    let entries = browser.cdp("Page.getNavigationHistory", json!({})).await;
    let entries: Vec<&Value> = entries["entries"].as_array().unwrap().iter().collect();
    let paths = entries.iter().rev().filter_map(|entry| entry["url"].as_str());
    let checkout = paths.filter_map(|url| url.split_once("/wallet/checkout/")).map(|(_, name)| name).next().unwrap();
    format!("/wallet/checkout/{}", checkout.split(['?', '#']).next().unwrap())
}
