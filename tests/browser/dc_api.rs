//! The browser's own way to a wallet, the Digital Credentials API. Headless Chromium has no wallet, so a stand-in in the
//! page takes its place: what the page hands to `navigator.credentials.get` goes to the development wallet, and what that
//! answers comes back by the promise.

use serde_json::{Value, json};

use crate::{Browser, Options, Storefront, installed, looks::fits, walk};

/// A browser with a wallet that speaks these protocols. The wallet is looked at until a test says what its owner does:
/// `owner('adult')`, also with the number of a choice of theirs, `owner(null)` to decline, `owner('closes')`.
const STAND_IN: &str = "{
    const protocols = PROTOCOLS;
    globalThis.DigitalCredential = class DigitalCredential {
      static userAgentAllowsProtocol(protocol) { return protocols.includes(protocol); }
    };
    globalThis.asked = [];
    navigator.credentials.get = ({ digital, mediation, signal }) => {
      const asking = { protocols: digital.requests.map(({ protocol }) => protocol), mediation, active: navigator.userActivation.isActive };
      asked.push(asking);
      return new Promise((resolve, reject) => {
        signal.addEventListener('abort', () => { asking.aborted = true; reject(signal.reason); });
        globalThis.owner = async (persona, choice = 0) => {
          if (persona === 'closes') return reject(new DOMException('no', 'NotAllowedError'));
          const body = JSON.stringify({ requests: digital.requests, persona, choice });
          const headers = { 'content-type': 'application/json' };
          const answer = await fetch('/_dev/wallet/dc', { method: 'POST', headers, body });
          resolve(await answer.json());
        };
      });
    };
  }";

pub const BOTH: [&str; 2] = ["openid4vp-v1-signed", "openid4vp-v1-unsigned"];

pub async fn with_wallet(shop: &Storefront, options: Options, protocols: &[&str]) -> Browser {
    let browser = Browser::with(shop, options).await;
    let script = STAND_IN.replace("PROTOCOLS", &json!(protocols).to_string());
    browser.cdp("Page.addScriptToEvaluateOnNewDocument", json!({ "source": script })).await;
    browser
}

/// Opens the dialog, and presses the button that opens a wallet: with a pointer, since a browser wants to see a customer.
pub async fn open_wallet(browser: &Browser, times: usize) {
    let button = browser.part("[part=browser]").await;
    browser.point(button, 1).await;
    browser.wait(&format!("asked.length === {times}")).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_browser_takes_the_question_to_a_wallet_within_the_press() {
    if !installed("the Digital Credentials API") {
        return;
    }
    let shop = Storefront::start();
    let browser = with_wallet(&shop, Options::default(), &BOTH).await;
    walk::ask(&browser).await;
    browser.sees("Your browser finds it, on this device or beside it.").await;
    browser.part("[part=qr] svg").await;
    browser.picture("dc-dialog").await;
    open_wallet(&browser, 1).await;
    browser.sees("Go on in the window of your browser.").await;
    browser.picture("dc-opened").await;
    let asked = browser.eval("asked[0]").await;
    assert_eq!(asked, json!({ "protocols": BOTH, "mediation": "required", "active": true }));
    // A second press while the wallet is looked at asks nothing.
    let button = browser.part("[part=browser]").await;
    browser.point(button, 2).await;
    browser.eval("owner('adult')").await;
    // In the same tab, without a way back.
    browser.sees("You have shown that you are an adult.").await;
    assert_eq!(browser.eval("asked.length").await, json!(1));
    assert_eq!(browser.client.windows().await.unwrap().len(), 1);
    assert_eq!(browser.path().await, walk::WINE);
    browser.press("Set it aside").await;
    browser.sees("Under the counter, waiting.").await;
    browser.leave().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wallet_that_was_closed_leaves_the_other_ways_as_they_were_on_a_phone() {
    if !installed("a wallet that was closed") {
        return;
    }
    let shop = Storefront::start();
    let options = Options { language: "de", phone: true, ..Options::default() };
    let browser = with_wallet(&shop, options, &["openid4vp-v1-unsigned"]).await;
    walk::ask(&browser).await;
    browser.sees("Ihr Browser findet sie, auf diesem Gerät oder daneben.").await;
    fits(&browser, "the dialog").await;
    browser.picture("dc-phone").await;
    open_wallet(&browser, 1).await;
    assert_eq!(browser.eval("asked[0].protocols").await, json!(["openid4vp-v1-unsigned"]));
    browser.eval("owner('closes')").await;
    browser.sees("Keine Wallet hat geantwortet, und nichts wurde geteilt.").await;
    fits(&browser, "the dialog").await;
    browser.picture("dc-phone-closed").await;
    let focused = "document.querySelector('firsthand-button').shadowRoot.activeElement?.getAttribute('part')";
    assert_eq!(browser.eval(focused).await, json!("browser"));
    browser.part("[part=link]").await;
    // The same question goes to the wallet again.
    open_wallet(&browser, 2).await;
    browser.eval("owner('adult')").await;
    browser.sees("Schön, Sie zu sehen.").await;
    browser.leave().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_wallet_cannot_answer_or_declines_is_said_and_asked_anew() {
    if !installed("a wallet that declines") {
        return;
    }
    let shop = Storefront::start();
    let browser = with_wallet(&shop, Options::default(), &BOTH).await;
    walk::ask(&browser).await;
    // Somebody who is not of age: the shop refuses the answer, and the customer may try again.
    open_wallet(&browser, 1).await;
    browser.eval("owner('minor')").await;
    browser.sees("The shop could not accept that answer. Try again, or choose another way.").await;
    browser.picture("dc-refused").await;
    open_wallet(&browser, 2).await;
    browser.eval("owner(null)").await;
    browser.sees("You declined in your wallet. Nothing was shared.").await;
    browser.picture("dc-declined").await;
    browser.press_part("Try again").await;
    open_wallet(&browser, 3).await;
    browser.eval("owner('adult')").await;
    browser.sees("You have shown that you are an adult.").await;
    browser.leave().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dialog_that_is_closed_takes_the_question_back() {
    if !installed("a dialog that is closed") {
        return;
    }
    let shop = Storefront::start();
    let browser = with_wallet(&shop, Options::default(), &BOTH).await;
    walk::ask(&browser).await;
    open_wallet(&browser, 1).await;
    browser.part("[part=close]").await.click().await.unwrap();
    browser.wait("asked[0].aborted").await;
    // And opens again as if nothing had been.
    walk::press_button(&browser).await;
    open_wallet(&browser, 2).await;
    browser.eval("owner('adult')").await;
    browser.sees("You have shown that you are an adult.").await;
    browser.leave().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_browser_that_speaks_nothing_of_ours_shows_code_and_links_alone() {
    if !installed("a browser with other protocols") {
        return;
    }
    let shop = Storefront::start();
    let browser = with_wallet(&shop, Options::default(), &["openid4vp-v9"]).await;
    walk::ask(&browser).await;
    browser.part("[part=qr] svg").await;
    browser.sees("Waiting for your wallet").await;
    let shown = "document.querySelector('firsthand-button').shadowRoot.querySelector('[part=browser]')";
    assert_eq!(browser.eval(shown).await, Value::Null);
    walk::to_wallet(&browser).await;
    walk::share(&browser).await;
    browser.sees("Good to see you.").await;
    browser.leave().await;
}
