use serde_json::json;

use crate::{Browser, Options, Storefront, installed, walk};

const TAB: char = '\u{e004}';
const ENTER: char = '\u{e007}';
const ESCAPE: char = '\u{e00c}';

/// Nothing sticks out of the page or of its dialog to the side.
pub async fn fits(browser: &Browser, what: &str) {
    let sticking_out = browser
        .eval(
            "[document, ...[...document.querySelectorAll('*')].map((host) => host.shadowRoot).filter(Boolean)]
               .flatMap((root) => [...(root?.querySelectorAll('*') ?? [])])
               .filter((element) => element.checkVisibility() && !element.closest('.visually-hidden, .skip, #firsthand-live'))
               .filter((element) => { const box = element.getBoundingClientRect(); return box.width > 1 && (box.right > innerWidth + 1 || box.left < -1); })
               .map((element) => element.outerHTML.slice(0, 120))",
        )
        .await;
    assert_eq!(sticking_out, json!([]), "{what} does not fit");
    let scrolls = browser.eval("document.documentElement.scrollWidth > document.documentElement.clientWidth").await;
    assert_eq!(scrolls, json!(false), "{what} scrolls to the side");
}

#[tokio::test(flavor = "multi_thread")]
async fn every_page_fits_a_phone_in_german() {
    if !installed("German at phone width") {
        return;
    }
    let shop = Storefront::start();
    let browser = Browser::with(&shop, Options { language: "de", phone: true, ..Options::default() }).await;
    for (path, text, name) in [
        ("/", "Treten Sie ein.", "phone-home"),
        ("/products/riesling", "In den Korb", "phone-product"),
        ("/cart?cart=rieslingx2.senchax1", "Ihr Korb", "phone-cart"),
        ("/account", "Diese Seite ist für Kundinnen und Kunden, die der Shop kennt", "phone-stranger"),
        ("/sign-in", "Mit diesem Code zurückkommen", "phone-sign-in-de"),
        ("/present", "Für Wein: Ihr Alter", "phone-present"),
        // Last, for the dialog.
        (walk::WINE, "Sind Sie über 18?", "phone-wine"),
    ] {
        browser.open(path).await;
        browser.sees(text).await;
        assert_eq!(browser.eval("document.documentElement.lang").await, json!("de"));
        fits(&browser, path).await;
        browser.picture(name).await;
    }
    walk::press_button(&browser).await;
    browser.sees("Mit der Wallet nachweisen").await;
    fits(&browser, "the dialog").await;
    browser.press_part("Die Wallet ist auf einem anderen Gerät").await;
    browser.part("[part=qr] svg").await;
    browser.sees("Scannen Sie diesen Code mit Ihrem Telefon.").await;
    fits(&browser, "the code").await;
    browser.picture("phone-code").await;
    walk::to_wallet(&browser).await;
    browser.sees("Wer sind Sie heute?").await;
    fits(&browser, "the wallet").await;
    browser.press("Teilen").await;
    browser.sees("Schön, Sie zu sehen.").await;
    browser.press("Zurücklegen").await;
    browser.sees("Unter der Theke, und wartet.").await;
    fits(&browser, "what is set aside").await;
    browser.picture("phone-reserved").await;
    browser.press("Meine Daten").await;
    browser.sees("Waren Sie das?").await;
    fits(&browser, "the account").await;
    browser.picture("phone-account").await;
    browser.press_in("firsthand-recovery", "Wiederherstellungscode erstellen").await;
    browser.sees("Schreiben Sie ihn jetzt auf.").await;
    fits(&browser, "the recovery code").await;
    browser.picture("phone-code-de").await;
    browser.leave().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_dialog_can_be_used_by_keyboard_alone() {
    if !installed("the keyboard") {
        return;
    }
    let shop = Storefront::start();
    let browser = Browser::new(&shop).await;
    browser.open(walk::WINE).await;
    browser.part("[part=button]").await;
    let focused = "(document.activeElement?.shadowRoot?.activeElement ?? document.activeElement)";
    let reach = async |part: &str| {
        for _ in 0..30 {
            if browser.eval(&format!("{focused}?.getAttribute('part')")).await == json!(part) {
                return;
            }
            browser.key(TAB).await;
        }
        panic!("Tab does not reach {part}");
    };
    reach("button").await;
    browser.key(ENTER).await;
    browser.part("[part=link]").await;
    // The dialog begins at its title, and Escape leads back to the button.
    assert_eq!(browser.eval(&format!("{focused}?.getAttribute('part')")).await, json!("title"));
    browser.key(ESCAPE).await;
    browser.wait("!document.querySelector('firsthand-button').shadowRoot.querySelector('dialog')").await;
    assert_eq!(browser.eval(&format!("{focused}?.getAttribute('part')")).await, json!("button"));
    browser.key(ENTER).await;
    browser.part("[part=link]").await;
    let others = browser.client.windows().await.unwrap();
    reach("link").await;
    browser.key(ENTER).await;
    browser.look_at_new(&others).await;
    browser.sees("This is shown to").await;
    for _ in 0..30 {
        if browser.eval("document.activeElement.textContent").await == json!("Share") {
            break;
        }
        browser.key(TAB).await;
    }
    browser.key(ENTER).await;
    browser.sees("Good to see you.").await;
    browser.leave().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_dialog_names_its_parts_for_a_screen_reader() {
    if !installed("names for a screen reader") {
        return;
    }
    let shop = Storefront::start();
    let browser = Browser::new(&shop).await;
    walk::ask(&browser).await;
    let tree = browser.cdp("Accessibility.getFullAXTree", json!({})).await;
    let named: Vec<(String, String)> = tree["nodes"]
        .as_array()
        .unwrap()
        .iter()
        .map(|node| {
            let text = |of: &str| node[of]["value"].as_str().unwrap_or_default().to_owned();
            (text("role"), text("name"))
        })
        .collect();
    for (role, name) in [
        ("dialog", "Show it with your wallet"),
        ("button", "Close"),
        ("image", "QR code for the wallet on your phone"),
        ("link", "Development wallet"),
        ("checkbox", "Remember me on this device"),
    ] {
        assert!(named.iter().any(|(r, n)| r == role && n == name), "no {role} is called {name}: {named:?}");
    }
    assert!(named.iter().any(|(role, _)| role == "status"));
    browser.leave().await;
}
