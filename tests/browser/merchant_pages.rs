//! The library's own pages for merchants, as the storefront mounts them: at a desk and on a phone, by mouse and without
//! a script.

use base64::{Engine, engine::general_purpose::STANDARD};
use serde_json::json;

use crate::{
    Browser, Options, Storefront,
    checkout::{dark, is_accessible},
    installed, looks, sale,
};

const OFFICE: &str = "/merchant/office";

/// The pages, in a browser that sends the key with everything, as one does into which it was typed.
async fn office(shop: &Storefront, options: Options) -> Browser {
    let key = std::fs::read_to_string(shop.folder.path().join("operator.key")).unwrap();
    let basic = format!("Basic {}", STANDARD.encode(format!("anna:{}", key.trim())));
    let browser = Browser::with(shop, options).await;
    browser.cdp("Network.enable", json!({})).await;
    browser.cdp("Network.setExtraHTTPHeaders", json!({ "headers": { "Authorization": basic } })).await;
    browser.open(OFFICE).await;
    browser
}

/// Types into a field of the form that does this.
async fn write(browser: &Browser, act: &str, name: &str, text: &str) {
    let field = browser.find(&format!("form:has(input[value={act}]) input[name={name}]")).await;
    field.clear().await.unwrap();
    field.send_keys(text).await.unwrap();
}

/// Ticks that they are sure, and sends the form that does this.
async fn send(browser: &Browser, act: &str) {
    browser.click(&format!("form:has(input[value={act}]) label.sure")).await;
    browser.click(&format!("form:has(input[value={act}]) button")).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_merchant_runs_the_shop_from_pages_without_a_script() {
    if !installed("the merchant's own pages") {
        return;
    }
    let shop = Storefront::start();
    let guest = Browser::new(&shop).await;
    let number = sale::guest_orders_tea(&guest).await;
    let path = guest.path().await;

    let merchant = office(&shop, Options::default()).await;
    merchant.cdp("Emulation.setScriptExecutionDisabled", json!({ "value": true })).await;
    merchant.sees("Not paid yet").await;
    merchant.picture("office-today").await;
    merchant.press("Transfers").await;
    merchant.sees("Book a transfer by hand").await;
    for (name, text) in [
        ("id", "2026-11-22/1"),
        ("amount", "20,00"),
        ("text", number.as_str()),
        ("payer", "Anna Kowalska"),
        ("iban", "AT61 1904 3002 3457 3201"),
    ] {
        write(&merchant, "book", name, text).await;
    }
    merchant.click("form:has(input[value=book]) button").await;
    merchant.sees("Paid: now pack it.").await;
    merchant.picture("office-transfers").await;
    merchant.press("Orders").await;
    merchant.sees("For the books").await;
    merchant.picture("office-orders").await;
    merchant.click("tbody th a").await;
    merchant.sees("What can be done").await;
    merchant.picture("office-order").await;
    write(&merchant, "refund", "amount", "99").await;
    send(&merchant, "refund").await;
    merchant.sees("That is more than can be refunded. Nothing changed.").await;
    merchant.picture("office-refused").await;
    write(&merchant, "refund", "amount", "4,80").await;
    send(&merchant, "refund").await;
    merchant.sees("The refund is owed now and stands under “Refunds”.").await;
    merchant.press("Refunds").await;
    merchant.sees("I will transfer it myself").await;
    merchant.picture("office-refunds").await;
    merchant.press("Bank").await;
    merchant.sees("Hand in a statement").await;
    merchant.picture("office-bank").await;
    merchant.press("Webhooks").await;
    merchant.sees("None: everything was taken, or is still being tried.").await;
    merchant.cdp("Emulation.setScriptExecutionDisabled", json!({ "value": false })).await;
    merchant.leave().await;

    guest.open(&path).await;
    guest.sees("Paid. We are packing.").await;
    guest.leave().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_merchants_pages_fit_a_phone_in_german() {
    if !installed("the merchant's own pages at phone width") {
        return;
    }
    let shop = Storefront::start();
    let guest = Browser::new(&shop).await;
    sale::guest_orders_tea(&guest).await;
    guest.leave().await;
    let merchant = office(&shop, Options { language: "de", phone: true, ..Options::default() }).await;
    for (path, text, name) in [
        ("", "Noch nicht bezahlt", "phone-office-today"),
        ("/orders", "Für die Buchhaltung", "phone-office-orders"),
        ("/transfers", "Überweisung von Hand buchen", "phone-office-transfers"),
        ("/refunds", "Sie schulden niemandem etwas.", "phone-office-refunds"),
        ("/bank", "Kontoauszug einreichen", "phone-office-bank"),
        ("/outbox", "Keine: Alles wurde angenommen", "phone-office-outbox"),
    ] {
        merchant.open(&format!("{OFFICE}{path}")).await;
        merchant.sees(text).await;
        assert_eq!(merchant.eval("document.documentElement.lang").await, json!("de"));
        looks::fits(&merchant, path).await;
        // Large enough for a thumb (WCAG 2.2, 2.5.8), and every field has a name.
        let small = merchant
            .eval(
                "[...document.querySelectorAll('nav a, button, input:not([type=hidden]), select')]
                   .filter((one) => { const box = one.getBoundingClientRect(); return box.width < 24 || box.height < 24; })
                   .map((one) => one.outerHTML)",
            )
            .await;
        assert_eq!(small, json!([]), "{path}");
        let nameless = "[...document.querySelectorAll('input:not([type=hidden]), select')].filter((one) => !one.labels.length).length";
        assert_eq!(merchant.eval(nameless).await, json!(0), "{path}");
        merchant.picture(name).await;
    }
    merchant.open(&format!("{OFFICE}/orders")).await;
    merchant.click("tbody th a").await;
    merchant.sees("Was getan werden kann").await;
    looks::fits(&merchant, "an order").await;
    merchant.picture("phone-office-order").await;
    merchant.leave().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_merchants_pages_are_accessible_in_each_state() {
    if !installed("accessibility of the merchant's own pages") {
        return;
    }
    let shop = Storefront::start();
    let guest = Browser::new(&shop).await;
    let number = sale::guest_orders_tea(&guest).await;
    guest.leave().await;
    for (language, phone) in [("en", false), ("de", true)] {
        let say = |english: &'static str, german: &'static str| if language == "en" { english } else { german };
        let merchant = office(&shop, Options { language, phone, ..Options::default() }).await;
        for path in
            ["", "/orders", "/transfers", "/refunds", "/bank", "/outbox", "/orders/o_00000000000000000000000000000000"]
        {
            merchant.open(&format!("{OFFICE}{path}")).await;
            merchant.find("h1").await;
            is_accessible(&merchant, &format!("office {path} {language}")).await;
        }
        // A transfer that names no order, and one that pays: too little first.
        merchant.open(&format!("{OFFICE}/transfers")).await;
        for (name, text) in [
            ("id", language),
            ("amount", "3,00"),
            ("text", "Tee"),
            ("payer", "Anna Kowalska"),
            ("iban", "AT61 1904 3002 3457 3201"),
        ] {
            write(&merchant, "book", name, text).await;
        }
        merchant.click("form:has(input[value=book]) button").await;
        merchant.sees(say("it waits below.", "Sie wartet unten.")).await;
        is_accessible(&merchant, "a stray transfer").await;
        merchant.open(&format!("{OFFICE}/orders")).await;
        merchant.click("tbody th a").await;
        merchant.sees(say("What can be done", "Was getan werden kann")).await;
        merchant.whole_picture(&format!("office-order-{language}")).await;
        is_accessible(&merchant, &format!("an order {language}")).await;
        dark(&merchant).await;
        is_accessible(&merchant, &format!("an order in the dark {language}")).await;
        if language == "en" {
            merchant.open(&format!("{OFFICE}/transfers")).await;
            for (name, text) in [
                ("id", "paid"),
                ("amount", "20,00"),
                ("text", number.as_str()),
                ("payer", "Anna Kowalska"),
                ("iban", "AT61 1904 3002 3457 3201"),
            ] {
                write(&merchant, "book", name, text).await;
            }
            merchant.click("form:has(input[value=book]) button").await;
            merchant.sees("Paid: now pack it.").await;
            is_accessible(&merchant, "booked").await;
            merchant.open(&format!("{OFFICE}/orders")).await;
            merchant.click("tbody th a").await;
            write(&merchant, "refund", "amount", "99").await;
            send(&merchant, "refund").await;
            merchant.sees("That is more than can be refunded. Nothing changed.").await;
            is_accessible(&merchant, "refused").await;
            write(&merchant, "refund", "amount", "4,80").await;
            send(&merchant, "refund").await;
            merchant.sees("The refund is owed now").await;
            is_accessible(&merchant, "a refund").await;
        } else {
            merchant.open(&format!("{OFFICE}/refunds")).await;
            merchant.find("form").await;
            is_accessible(&merchant, "a refund that is owed").await;
        }
        merchant.leave().await;
    }
}
