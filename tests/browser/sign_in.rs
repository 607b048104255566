use std::time::Duration;

use serde_json::json;

use crate::{Browser, Options, Storefront, installed, walk};

#[tokio::test(flavor = "multi_thread")]
async fn a_customer_shows_an_age_and_has_wine_set_aside() {
    if !installed("the way of a new customer") {
        return;
    }
    let shop = Storefront::start();
    let browser = Browser::new(&shop).await;

    browser.open("/").await;
    browser.sees("Come in. Nobody asks who you are.").await;
    browser.picture("home").await;
    browser.click("a[href='/products/riesling']").await;
    browser.picture("product").await;
    browser.press("Into the basket").await;
    browser.sees("Your basket").await;
    browser.picture("cart").await;
    browser.press("Have the wine set aside").await;
    browser.sees("Are you over 18?").await;
    browser.picture("wine-gate").await;
    browser.keeps_nothing().await;

    walk::press_button(&browser).await;
    browser.sees("Waiting for your wallet").await;
    browser.part("[part=qr] svg").await;
    browser.picture("dialog").await;
    let first = browser.tab().await;
    let second = walk::to_wallet(&browser).await;
    browser.sees("This is shown to").await;
    walk::choose(&browser, "adult").await;
    browser.picture("wallet").await;
    walk::share(&browser).await;
    browser.sees("Good to see you.").await;
    assert_eq!(browser.path().await, walk::WINE);

    // The first tab has heard of it, and its dialog has gone.
    browser.look_at(&first).await;
    browser.sees("You have shown that you are an adult.").await;
    browser.wait("!document.querySelector('dialog') && !document.querySelector('firsthand-button')").await;
    browser.picture("wine-adult").await;
    browser.look_at(&second).await;
    browser.press("Set it aside").await;
    browser.sees("Under the counter, waiting.").await;
    browser.sees("1 × ").await;
    assert_eq!(browser.path().await, "/wine/reserved");
    browser.picture("reserved").await;
    browser.press("My data").await;
    browser.sees("You are over 18").await;
    browser.picture("account").await;
    browser.leave().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stranger_leaves_no_trace_and_a_basket_needs_no_name() {
    if !installed("the way of a stranger") {
        return;
    }
    let shop = Storefront::start();
    let browser = Browser::new(&shop).await;
    for path in ["/", "/products/sencha", "/cart?cart=senchax2", walk::WINE, "/nowhere"] {
        browser.open(path).await;
        browser.eval("(await import('/wallet/firsthand.js')).ready").await;
        browser.keeps_nothing().await;
    }
    browser.picture("not-found").await;
    // A page for customers says so, and asks nothing.
    browser.open("/account").await;
    browser.sees("This page is for customers whom the shop knows").await;
    browser.picture("account-stranger").await;
    browser.keeps_nothing().await;
    // The dialog that is closed again has made a key, and the customer is still nobody.
    walk::ask(&browser).await;
    browser.part("[part=close]").await.click().await.unwrap();
    walk::is_a_stranger(&browser).await;
    browser.leave().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_name_and_address_fill_the_label_and_are_not_kept() {
    if !installed("the parcel label") {
        return;
    }
    let shop = Storefront::start();
    let browser = Browser::new(&shop).await;
    walk::sign_in(&browser).await;
    browser.press("Set it aside").await;
    browser.sees("A parcel for somebody far away?").await;
    walk::press_button(&browser).await;
    let first = browser.tab().await;
    walk::to_wallet(&browser).await;
    browser.sees("This is shown to").await;
    browser.picture("wallet-address").await;
    walk::share(&browser).await;
    browser.sees("Your parcel label").await;
    browser.picture("label").await;
    browser.look_at(&first).await;
    browser.sees("Your parcel label").await;
    browser.press("My data").await;
    browser.sees("Your name and address").await;
    browser.leave().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_browser_that_was_closed_is_welcomed_back() {
    if !installed("a browser that was closed") {
        return;
    }
    let shop = Storefront::start();
    let browser = Browser::new(&shop).await;
    walk::sign_in(&browser).await;
    let browser = browser.reopened(&shop).await;
    walk::is_welcome(&browser).await;
    browser.open("/account").await;
    browser.sees("You are over 18").await;
    browser.leave().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_customer_who_is_not_to_be_remembered_is_forgotten_with_the_last_tab() {
    if !installed("the box that says remember me") {
        return;
    }
    let shop = Storefront::start();
    let browser = Browser::new(&shop).await;
    let first = walk::ask(&browser).await;
    browser.part("[part=remember] input").await.click().await.unwrap();
    walk::to_wallet(&browser).await;
    walk::share(&browser).await;
    browser.sees("Good to see you.").await;
    browser.client.close_window().await.unwrap();
    browser.look_at(&first).await;
    browser.client.refresh().await.unwrap();
    browser.sees("Good to see you.").await;
    let browser = browser.reopened(&shop).await;
    walk::is_a_stranger(&browser).await;
    browser.keeps_nothing().await;
    browser.leave().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_clock_locks_nobody_out() {
    if !installed("customers whose clock is wrong") {
        return;
    }
    let shop = Storefront::start();
    for wrong in [Duration::from_secs(2 * 3600).as_millis() as i64, -(2 * 3600 * 1000)] {
        let browser = Browser::new(&shop).await;
        let clock = format!(
            "{{ const Right = Date;
               window.Date = class extends Right {{
                 constructor(...given) {{ given.length ? super(...given) : super(Right.now() + {wrong}); }}
                 static now() {{ return Right.now() + {wrong}; }}
               }}; }}"
        );
        browser.cdp("Page.addScriptToEvaluateOnNewDocument", json!({ "source": clock })).await;
        walk::ask(&browser).await;
        // In this one tab, where the clock is wrong.
        browser.eval("document.querySelector('firsthand-button').shadowRoot.querySelector('[part=link]').removeAttribute('target')").await;
        browser.part("[part=link]").await.click().await.unwrap();
        walk::share(&browser).await;
        browser.sees("Good to see you.").await;
        browser.press("Set it aside").await;
        browser.sees("Under the counter, waiting.").await;
        browser.client.refresh().await.unwrap();
        browser.sees("Under the counter, waiting.").await;
        browser.leave().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn on_a_phone_the_wallet_comes_first() {
    if !installed("the way of a phone") {
        return;
    }
    let shop = Storefront::start();
    let browser = Browser::with(&shop, Options { phone: true, ..Options::default() }).await;
    walk::ask(&browser).await;
    browser.sees("The wallet is on another device").await;
    browser.picture("phone-dialog").await;
    walk::to_wallet(&browser).await;
    browser.sees("This is shown to").await;
    browser.picture("phone-wallet").await;
    walk::share(&browser).await;
    browser.sees("Good to see you.").await;
    browser.press("Set it aside").await;
    browser.sees("Under the counter, waiting.").await;
    browser.leave().await;
}
