use serde_json::json;

use crate::{Browser, Storefront, installed, walk};

/// Has the page keep the links that it was given, as a camera would read them from its code.
pub async fn watch_links(browser: &Browser) {
    browser
        .eval(
            "window.links = {}, window.fetch = ((fetch) => async (...given) => {
               const response = await fetch(...given);
               if (given[1]?.method !== 'POST' || !String(given[0]).endsWith('/wallet/presentations') || !response.ok) return response;
               const { flow } = JSON.parse(new TextDecoder().decode(given[1].body));
               window.links[flow] = (await response.clone().json()).wallet_uri;
               return response;
             })(window.fetch), null",
        )
        .await;
}

/// The path at which the development wallet opens a link of this flow.
pub async fn wallet_path(browser: &Browser, flow: &str) -> String {
    browser.wait(&format!("window.links[{}]", json!(flow))).await;
    let link = browser.eval(&format!("window.links.{flow}")).await;
    let (_, query) = link.as_str().unwrap().split_once('?').unwrap();
    format!("/_dev/wallet?{query}")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_code_is_scanned_by_another_device() {
    if !installed("the QR code") {
        return;
    }
    let shop = Storefront::start();
    let computer = Browser::new(&shop).await;
    computer.open(walk::WINE).await;
    watch_links(&computer).await;
    walk::press_button(&computer).await;
    let path = wallet_path(&computer, "cross_device").await;

    let phone = Browser::new(&shop).await;
    phone.open(&path).await;
    phone.sees("This is shown to").await;
    computer.sees("Go on in your wallet.").await;
    walk::share(&phone).await;
    phone.sees("Go back to the other device: the shop goes on there.").await;
    phone.picture("wallet-done").await;

    // Nobody reloads: the page has waited.
    computer.sees("Good to see you.").await;
    computer.sees("You have shown that you are an adult.").await;
    computer.press("Set it aside").await;
    computer.sees("Under the counter, waiting.").await;
    // The device that showed it is nobody here.
    phone.keeps_nothing().await;
    walk::is_a_stranger(&phone).await;
    phone.leave().await;
    computer.leave().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wallet_that_returns_to_another_browser_binds_nothing_there() {
    if !installed("a return to another browser") {
        return;
    }
    let shop = Storefront::start();
    let browser = Browser::new(&shop).await;
    browser.open(walk::WINE).await;
    watch_links(&browser).await;
    walk::press_button(&browser).await;
    let path = wallet_path(&browser, "same_device").await;

    let other = Browser::new(&shop).await;
    other.open(&path).await;
    walk::share(&other).await;
    other.sees("Continue where you started").await;
    other.wait("!location.hash").await;
    other.picture("elsewhere").await;
    other.keeps_nothing().await;
    walk::is_a_stranger(&other).await;
    other.leave().await;
    // Nor where it started: the code has gone elsewhere, and nobody redeemed it.
    walk::is_a_stranger(&browser).await;
    browser.leave().await;
}
