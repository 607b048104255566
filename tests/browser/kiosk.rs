//! The kiosk, a whole shop over the library's till: bought from with one tap of a wallet and without any script, restarted
//! in the middle, and seen to by its merchant.

use std::{
    path::PathBuf,
    process::{Child, Command, Stdio},
    sync::OnceLock,
};

use base64::{Engine, engine::general_purpose::STANDARD};
use serde_json::json;

use crate::{
    Browser, Options,
    checkout::{self, is_accessible, is_in_order},
    installed, looks,
    shop::{Folder, built, free_port, wait_for_port},
    walk,
};

/// A running kiosk with a folder of its own; both go when it is dropped.
#[derive(Debug)]
struct Kiosk {
    folder: Folder,
    port: u16,
    running: Option<Child>,
}

impl Kiosk {
    /// Starts one and waits until it answers.
    fn start() -> Self {
        let mut kiosk = Self { folder: Folder::new("kiosk"), port: free_port(), running: None };
        kiosk.open();
        kiosk
    }

    /// What customers type.
    fn origin(&self) -> String {
        format!("http://localhost:{}", self.port)
    }

    /// Ends the process as a power cut would, and starts it on what it left on the disk.
    fn restart(&mut self) {
        self.kill();
        self.open();
    }

    fn open(&mut self) {
        static PROGRAM: OnceLock<PathBuf> = OnceLock::new();
        let child = Command::new(PROGRAM.get_or_init(|| built("kiosk")))
            .env("KIOSK_FOLDER", self.folder.path())
            .env("KIOSK_PORT", self.port.to_string())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        self.running = Some(child);
        wait_for_port(self.port, "the kiosk");
    }

    fn kill(&mut self) {
        if let Some(mut child) = self.running.take() {
            child.kill().unwrap();
            child.wait().unwrap();
        }
    }

    /// Asks the process to stop, as a service manager does, and waits until it has; answers whether it ended well.
    #[cfg(unix)]
    fn stop(&mut self) -> bool {
        let mut child = self.running.take().unwrap();
        let asked = Command::new("kill").args(["-TERM", &child.id().to_string()]).status().unwrap();
        assert!(asked.success());
        child.wait().unwrap().success()
    }
}

impl Drop for Kiosk {
    fn drop(&mut self) {
        self.kill();
    }
}

/// Chooses so many of these, and goes to the till.
async fn buys(browser: &Browser, goods: &[(&str, &str)], buy: &str) {
    for (item, quantity) in goods {
        let field = browser.find(&format!("#{item}")).await;
        field.clear().await.unwrap();
        field.send_keys(quantity).await.unwrap();
    }
    browser.press(buy).await;
    browser.wait("/^\\/wallet\\/checkout\\/./.test(location.pathname)").await;
}

/// Goes to the wallet and confirms the payment there; stays in the wallet's tab, which shows the order in the end.
async fn confirms(browser: &Browser, press: &str, sees: &str) {
    walk::to_wallet(browser).await;
    walk::choose(browser, "adult").await;
    browser.sees("Weingut Sonnberg").await;
    browser.press(press).await;
    browser.sees(sees).await;
}

/// Closes the dialog of the button, and waits until it is gone and the page is there anew.
async fn closes_the_dialog(browser: &Browser) {
    browser.eval("document.documentElement.querySelector('main').dataset.before = '1'").await;
    browser.part("[part=close]").await.click().await.unwrap();
    browser.wait("document.querySelector('main') && !document.querySelector('main[data-before]')").await;
}

/// The merchant's pages, in a browser that sends the key with everything, as one does into which it was typed.
async fn office(kiosk: &Kiosk, options: Options) -> Browser {
    let key = std::fs::read_to_string(kiosk.folder.path().join("operator.key")).unwrap();
    let basic = format!("Basic {}", STANDARD.encode(format!("shop:{}", key.trim())));
    let browser = Browser::at(kiosk.origin(), options).await;
    browser.cdp("Network.enable", json!({})).await;
    browser.cdp("Network.setExtraHTTPHeaders", json!({ "headers": { "Authorization": basic } })).await;
    browser.open("/merchant").await;
    browser
}

#[tokio::test(flavor = "multi_thread")]
async fn one_tap_shows_what_is_needed_and_pays_also_for_whom_the_shop_knows() {
    if !installed("one tap by wallet") {
        return;
    }
    let kiosk = Kiosk::start();
    let browser = Browser::at(kiosk.origin(), Options::default()).await;
    browser.open("/").await;
    browser.sees("What would you like?").await;
    is_in_order(&browser, "kiosk-window").await;
    // As a guest: a ticket, for which nothing but the payment is asked.
    buys(&browser, &[("tasting", "1")], "Buy").await;
    browser.sees("Order by wallet, in one step").await;
    is_in_order(&browser, "kiosk-tap-guest").await;
    let path = browser.path().await;
    let first = browser.tab().await;
    // Pressed twice: one dialog.
    let button = browser.part("[part=button]").await;
    browser.point(button, 2).await;
    browser.part("[part=link]").await;
    browser.sees("Pay with your wallet").await;
    is_in_order(&browser, "kiosk-tap-dialog").await;
    // Closed: the checkout waits for no wallet any more, and says what happened.
    closes_the_dialog(&browser).await;
    browser.sees("You called the payment off. Nothing was paid.").await;
    is_in_order(&browser, "kiosk-tap-closed").await;
    // Looked at elsewhere meanwhile, it says what is waited for, and opens again where that is wished.
    walk::press_button(&browser).await;
    browser.new_tab().await;
    browser.open(&path).await;
    browser.sees("Your wallet is asked").await;
    is_in_order(&browser, "kiosk-tap-waits").await;
    browser.press("Back to the checkout").await;
    browser.sees("Order by wallet, in one step").await;
    browser.client.close_window().await.unwrap();
    browser.look_at(&first).await;
    closes_the_dialog(&browser).await;
    browser.sees("Order by wallet, in one step").await;
    walk::press_button(&browser).await;
    confirms(&browser, "Confirm payment", "Thank you for your order").await;
    is_in_order(&browser, "kiosk-tap-done").await;
    browser.client.close_window().await.unwrap();
    browser.look_at(&first).await;
    browser.sees("Thank you for your order").await;
    browser.client.back().await.unwrap();
    browser.sees("What would you like?").await;
    browser.client.forward().await.unwrap();
    browser.sees("Thank you for your order").await;

    // The shop knows them now, and one presentation shows an age, tells an address and pays.
    browser.open("/").await;
    browser.sees("Welcome back. Your orders:").await;
    browser.sees("7 left").await;
    is_in_order(&browser, "kiosk-window-known").await;
    buys(&browser, &[("riesling", "1"), ("honey", "2")], "Buy").await;
    assert!(browser.path().await.contains("/checkout/k_"), "{}", browser.path().await);
    browser.sees("Order by wallet, in one step").await;
    is_in_order(&browser, "kiosk-tap-known").await;
    walk::press_button(&browser).await;
    confirms(&browser, "Confirm payment", "Thank you for your order").await;
    browser.sees("Köln").await;
    is_in_order(&browser, "kiosk-tap-known-done").await;
    browser.client.close_window().await.unwrap();
    browser.look_at(&first).await;
    browser.sees("Thank you for your order").await;
    browser.client.refresh().await.unwrap();
    browser.sees("Thank you for your order").await;
    browser.client.back().await.unwrap();
    browser.sees("What would you like?").await;
    browser.open("/").await;
    browser.sees("23 left").await;
    browser.leave().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn one_tap_fits_a_phone_in_german() {
    if !installed("one tap by wallet on a phone") {
        return;
    }
    let kiosk = Kiosk::start();
    let browser = Browser::at(kiosk.origin(), Options { language: "de", phone: true, ..Options::default() }).await;
    browser.open("/").await;
    browser.sees("Was darf es sein?").await;
    is_in_order(&browser, "kiosk-phone-window").await;
    buys(&browser, &[("riesling", "2"), ("honey", "1")], "Kaufen").await;
    browser.sees("Mit der Wallet bestellen, in einem Schritt").await;
    assert_eq!(browser.eval("document.documentElement.lang").await, json!("de"));
    looks::fits(&browser, "one tap").await;
    is_in_order(&browser, "kiosk-phone-tap").await;
    let button = browser.part("[part=button]").await;
    browser.point(button, 2).await;
    browser.part("[part=link]").await;
    browser.sees("Mit der Wallet bezahlen").await;
    looks::fits(&browser, "the dialog of one tap").await;
    browser.picture("kiosk-phone-dialog").await;
    closes_the_dialog(&browser).await;
    browser.sees("Sie haben die Zahlung abgebrochen.").await;
    is_in_order(&browser, "kiosk-phone-closed").await;
    let first = browser.tab().await;
    let path = browser.path().await;
    walk::press_button(&browser).await;
    browser.new_tab().await;
    browser.open(&path).await;
    browser.sees("Ihre Wallet ist gefragt").await;
    checkout::dark(&browser).await;
    is_in_order(&browser, "kiosk-phone-waits").await;
    browser.client.close_window().await.unwrap();
    browser.look_at(&first).await;
    confirms(&browser, "Zahlung bestätigen", "Danke für Ihre Bestellung").await;
    checkout::dark(&browser).await;
    is_in_order(&browser, "kiosk-phone-done").await;
    browser.open("/").await;
    browser.sees("Willkommen zurück. Ihre Bestellungen:").await;
    is_in_order(&browser, "kiosk-phone-known").await;
    browser.leave().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_guest_without_scripts_buys_while_the_kiosk_is_restarted() {
    if !installed("the kiosk without scripts") {
        return;
    }
    let mut kiosk = Kiosk::start();
    let browser = Browser::at(kiosk.origin(), Options { language: "de", ..Options::default() }).await;
    let narrow = json!({ "width": 390, "height": 844, "deviceScaleFactor": 2, "mobile": false });
    browser.cdp("Emulation.setDeviceMetricsOverride", narrow).await;
    checkout::without_scripts(&browser).await;
    browser.open("/").await;
    browser.sees("Was darf es sein?").await;
    buys(&browser, &[("honey", "3")], "Kaufen").await;
    browser.sees("Zahlungspflichtig bestellen").await;
    assert!(!browser.text().await.contains("in einem Schritt"), "no wallet is asked without a script");
    looks::fits(&browser, "the till").await;
    browser.whole_picture("kiosk-plain-till").await;
    let till = browser.path().await;

    // Two instead of three. Gone back to the page that costs three, its form is sent again: it is the same change.
    let quantity = browser.find("#quantity-0").await;
    quantity.clear().await.unwrap();
    quantity.send_keys("2").await.unwrap();
    browser.press("Aktualisieren").await;
    browser.sees("14,50").await;
    browser.client.refresh().await.unwrap();
    browser.sees("14,50").await;
    browser.client.back().await.unwrap();
    browser.sees("19,30").await;
    browser.press("Aktualisieren").await;
    browser.sees("14,50").await;
    assert!(!browser.text().await.contains("Es ist noch nichts bestellt"), "nobody has ordered yet");
    checkout::type_address(&browser).await;
    kiosk.restart();
    browser.press("Aktualisieren").await;
    browser.sees("Aktualisiert.").await;
    browser.client.refresh().await.unwrap();
    browser.sees("14,50").await;
    browser.press("Zahlungspflichtig bestellen").await;
    browser.sees("Danke für Ihre Bestellung").await;
    looks::fits(&browser, "the order").await;
    browser.whole_picture("kiosk-plain-done").await;
    // Back, where the browser may still have the form, and sent again: it was ordered once.
    browser.client.back().await.unwrap();
    browser.wait("document.querySelector('button[value=complete], .state')").await;
    if browser.eval("Boolean(document.querySelector('button[value=complete]'))").await == json!(true) {
        browser.press("Zahlungspflichtig bestellen").await;
        browser.sees("Es wurde nichts ein zweites Mal getan.").await;
    }
    browser.sees("Danke für Ihre Bestellung").await;
    kiosk.restart();
    browser.client.refresh().await.unwrap();
    browser.sees("Wir warten auf Ihre Überweisung.").await;
    browser.open(&till).await;
    browser.sees("Danke für Ihre Bestellung").await;
    browser.press("Zurück zum Shop").await;
    browser.sees("38 da").await;
    browser.keeps_nothing().await;
    browser.leave().await;
    #[cfg(unix)]
    assert!(kiosk.stop(), "asked to stop, it ends well");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_merchant_sees_what_is_held_until_it_is_let_go() {
    if !installed("holds on the merchant's pages") {
        return;
    }
    let kiosk = Kiosk::start();
    for (options, buy, held, none, received) in [
        (Options::default(), "Buy", "held until", "Nothing is held.", "It is on the shelf."),
        (
            Options { language: "de", phone: true, ..Options::default() },
            "Kaufen",
            "vorgemerkt bis",
            "Nichts ist vorgemerkt.",
            "Es ist im Bestand.",
        ),
    ] {
        let phone = options.phone;
        let state = |state: &str| format!("kiosk-office-{state}{}", if phone { "-phone" } else { "" });
        let guest = Browser::at(kiosk.origin(), options.clone()).await;
        guest.open("/").await;
        buys(&guest, &[("tasting", "2")], buy).await;
        walk::press_button(&guest).await;
        let merchant = office(&kiosk, options).await;
        merchant.open("/merchant/holds").await;
        merchant.sees(held).await;
        merchant.sees("tasting").await;
        looks::fits(&merchant, "holds").await;
        merchant.whole_picture(&state("holds")).await;
        is_accessible(&merchant, "holds").await;
        merchant.open("/merchant/stock").await;
        merchant.sees("riesling").await;
        let held = "document.querySelector('tr:has(a[href*=tasting]) td:nth-child(3)').textContent";
        assert_eq!(merchant.eval(held).await, json!("2"));
        looks::fits(&merchant, "stock").await;
        merchant.whole_picture(&state("stock")).await;
        is_accessible(&merchant, "stock").await;

        closes_the_dialog(&guest).await;
        merchant.open("/merchant/holds").await;
        merchant.sees(none).await;
        is_accessible(&merchant, "no holds").await;
        // A delivery, on the page of the item.
        merchant.open("/merchant/stock?item=tasting").await;
        let form = "form:has(input[value=receive])";
        merchant.find(&format!("{form} input[name=more]")).await.send_keys("2").await.unwrap();
        let note = merchant.find(&format!("{form} input[name=delivery]")).await;
        note.send_keys(if phone { "note 2" } else { "note 1" }).await.unwrap();
        merchant.whole_picture(&state("item")).await;
        is_accessible(&merchant, "an item").await;
        merchant.click(&format!("{form} label.sure")).await;
        merchant.click(&format!("{form} button")).await;
        merchant.sees(received).await;
        is_accessible(&merchant, "a delivery").await;
        merchant.leave().await;
        guest.open("/").await;
        guest.sees(if phone { "12 da" } else { "10 left" }).await;
        guest.leave().await;
    }
}
