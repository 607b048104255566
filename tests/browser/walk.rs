//! Ways that several walks have in common.

use fantoccini::wd::WindowHandle;
use serde_json::Value;

use crate::Browser;

/// A basket with one bottle, at the question of age.
pub const WINE: &str = "/wine?cart=rieslingx1";

/// Opens the question of age and its dialog. Answers the tab.
pub async fn ask(browser: &Browser) -> WindowHandle {
    browser.open(WINE).await;
    press_button(browser).await;
    browser.tab().await
}

/// Presses the button of the page, and waits for the dialog to have something to offer.
pub async fn press_button(browser: &Browser) {
    let button = browser.part("[part=button]").await;
    browser.point(button, 1).await;
    browser.part("[part=link]").await;
}

/// From the dialog into the development wallet, which opens in a tab of its own. Answers that.
pub async fn to_wallet(browser: &Browser) -> WindowHandle {
    let others = browser.client.windows().await.unwrap();
    browser.part("[part=link]").await.click().await.unwrap();
    browser.look_at_new(&others).await
}

/// In the wallet: becomes somebody.
pub async fn choose(browser: &Browser, persona: &str) {
    let label = format!("label:has(input[value={persona}])");
    browser.click(&label).await;
}

/// In the wallet: shares.
pub async fn share(browser: &Browser) {
    browser.press("Share").await;
}

/// The whole way, in a tab of the wallet's: afterwards the first tab is looked at, and knows the customer.
pub async fn sign_in(browser: &Browser) {
    let first = ask(browser).await;
    let second = to_wallet(browser).await;
    choose(browser, "adult").await;
    share(browser).await;
    browser.sees("Good to see you.").await;
    assert_eq!(browser.path().await, WINE);
    assert_eq!(browser.tab().await, second);
    browser.client.close_window().await.unwrap();
    browser.look_at(&first).await;
    browser.sees("Good to see you.").await;
    browser.sees("You have shown that you are an adult.").await;
}

/// Whether this browser is recognised on the start page, typed anew.
pub async fn is_welcome(browser: &Browser) {
    browser.open("/").await;
    browser.sees("Good to see you.").await;
}

/// Whether this browser is a stranger on the start page, typed anew.
pub async fn is_a_stranger(browser: &Browser) {
    browser.open("/").await;
    let recognised = browser.eval("(await (await import('/wallet/firsthand.js')).ready)").await;
    assert_eq!(recognised, Value::Bool(false), "this browser is recognised");
    browser.sees("Come in. Nobody asks who you are.").await;
}

/// The name by which the shop knows the customer, read off "My data".
pub async fn number(browser: &Browser) -> String {
    browser.wait("document.querySelector('dl code')").await;
    browser.eval("document.querySelector('dl code').textContent").await.as_str().unwrap().to_owned()
}

/// Begins with a new passkey, on a device that this answers, and without any wallet: afterwards "My data" is open.
pub async fn begin_with_a_passkey(browser: &Browser) -> String {
    browser.open("/sign-in").await;
    let authenticator = browser.authenticator().await;
    browser.press_in("firsthand-passkey", "Begin with a new passkey").await;
    browser.sees("Good to see you.").await;
    browser.sees("Was this you?").await;
    assert_eq!(browser.path().await, "/account");
    authenticator
}
