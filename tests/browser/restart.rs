use serde_json::Value;

use crate::{Browser, Storefront, installed, walk};

#[tokio::test(flavor = "multi_thread")]
async fn a_shop_that_is_killed_between_any_two_steps_still_knows_its_customers() {
    if !installed("restarts of the shop") {
        return;
    }
    let mut shop = Storefront::start();
    let browser = Browser::new(&shop).await;
    let first = walk::ask(&browser).await;

    // Between ask and request.
    shop.restart();
    let second = walk::to_wallet(&browser).await;
    browser.sees("This is shown to").await;

    // Between request and answer.
    shop.restart();
    // Between answer and redeem: the wallet has its answer, and holds it back until the shop has come back.
    browser
        .eval(
            "window.fetch = ((fetch) => async (...given) => {
               const response = await fetch(...given);
               if (!String(given[0]).includes('/wallet/responses/')) return response;
               window.held = (await response.json()).redirect_uri;
               return new Promise(() => {});
             })(window.fetch), null",
        )
        .await;
    walk::share(&browser).await;
    browser.wait("window.held").await;
    shop.restart();
    browser.client.execute("location.assign(window.held)", Vec::new()).await.unwrap();
    browser.sees("Good to see you.").await;
    assert_eq!(browser.path().await, walk::WINE);

    // After the sign-in.
    shop.restart();
    browser.look_at(&first).await;
    browser.sees("You have shown that you are an adult.").await;
    browser.client.refresh().await.unwrap();
    browser.sees("You have shown that you are an adult.").await;
    browser.look_at(&second).await;
    browser.press("Set it aside").await;
    browser.sees("Under the counter, waiting.").await;
    shop.restart();
    browser.client.refresh().await.unwrap();
    browser.sees("Under the counter, waiting.").await;
    browser.leave().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_customer_may_reload_type_go_back_and_open_tabs() {
    if !installed("reload, typed address, back and forward, second tab") {
        return;
    }
    let shop = Storefront::start();
    let browser = Browser::new(&shop).await;
    walk::sign_in(&browser).await;
    browser.press("Set it aside").await;
    browser.sees("Under the counter, waiting.").await;

    // A typed address of a page that only customers see, and a reload of it.
    browser.open("/account").await;
    browser.sees("You are over 18").await;
    browser.client.refresh().await.unwrap();
    browser.sees("You are over 18").await;

    // On by links, in place, and back and forward again.
    browser.press("What is set aside for you").await;
    browser.sees("Under the counter, waiting.").await;
    assert_eq!(browser.path().await, "/wine/reserved");
    browser.press("Basket").await;
    browser.sees("Nothing in it yet.").await;
    browser.client.back().await.unwrap();
    browser.sees("Under the counter, waiting.").await;
    assert_eq!(browser.path().await, "/wine/reserved");
    browser.client.back().await.unwrap();
    browser.sees("You are over 18").await;
    assert_eq!(browser.path().await, "/account");
    browser.client.forward().await.unwrap();
    browser.sees("Under the counter, waiting.").await;
    // Out of the document, and back into it.
    browser.client.goto("about:blank").await.unwrap();
    browser.client.back().await.unwrap();
    browser.sees("Under the counter, waiting.").await;

    // A second tab, typed and by a link.
    let first = browser.tab().await;
    browser.new_tab().await;
    walk::is_welcome(&browser).await;
    browser.press("My data").await;
    browser.sees("You are over 18").await;

    // Who leaves in one tab has left in the other.
    browser.press("Sign out").await;
    browser.sees("Come in. Nobody asks who you are.").await;
    browser.look_at(&first).await;
    browser.wait("!document.body.innerText.includes('Under the counter')").await;
    browser.leave().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_form_pressed_twice_is_sent_once() {
    if !installed("pressing twice") {
        return;
    }
    let shop = Storefront::start();
    let browser = Browser::new(&shop).await;
    browser.open(walk::WINE).await;
    let button = browser.part("[part=button]").await;
    browser.point(button, 2).await;
    browser.part("[part=link]").await;
    assert_eq!(
        browser.eval("document.querySelector('firsthand-button').shadowRoot.querySelectorAll('dialog').length").await,
        Value::from(1)
    );
    browser.part("[part=close]").await.click().await.unwrap();
    walk::sign_in(&browser).await;
    let button = browser.find("form[action^='/wine'] button").await;
    browser.point(button, 2).await;
    browser.sees("Under the counter, waiting.").await;
    browser.sees("1 × 0.75 l").await;
    browser.client.refresh().await.unwrap();
    browser.sees("1 × 0.75 l").await;
    browser.leave().await;
}
