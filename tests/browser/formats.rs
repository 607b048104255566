//! One question, answered in each of four formats by each of three ways to a wallet: the order comes out the same.

use serde_json::{Value, json};

use crate::{Browser, Options, Storefront, dc_api, devices, installed, sale, walk};

const CHECKOUT: &str = "/checkout?cart=etnax2";

/// What Anna can answer with: as her wallet names it, and which of her choices it is where her age is asked, and where her
/// name and address are.
const ANSWERS: [(&str, usize, usize); 4] = [
    ("EU identity (SD-JWT VC)", 2, 0),
    ("Driving licence (mdoc)", 1, 2),
    ("Driving licence (W3C, JWT)", 5, 4),
    ("Driving licence (W3C, Data Integrity)", 4, 3),
];

/// Every field of the order, whoever asks the merchant for it afterwards.
fn expected() -> Value {
    json!({
        "sold": ["Etna, North Side 2 × €28.50 €57.00", "Together, tax and delivery included €57.00"],
        "received": "€0.00 of €57.00",
        "to": ["Anna Adler", "Lindenallee 12", "50667 Köln", "Germany"],
        "asked": ["Age", "Name and address"],
        "took": ["First purchase", "2", "0"],
    })
}

/// The way of an answer from the page to the wallet, and back.
enum Way<'a> {
    /// A link on the page opens the wallet in the same browser.
    Link,
    /// A code on the page, which this other browser scans.
    Code(&'a Browser),
    /// The browser takes it there by itself: the Digital Credentials API.
    ByBrowser,
}

#[tokio::test(flavor = "multi_thread")]
async fn an_order_is_the_same_whichever_format_answers_by_a_link() {
    if !installed("four formats by a link") {
        return;
    }
    let shop = Storefront::start();
    let merchant = sale::desk(&shop).await;
    for answer in ANSWERS {
        let browser = Browser::new(&shop).await;
        buys(browser, &Way::Link, answer, &merchant).await;
    }
    merchant.leave().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_order_is_the_same_whichever_format_answers_by_a_code() {
    if !installed("four formats by a code") {
        return;
    }
    let shop = Storefront::start();
    let merchant = sale::desk(&shop).await;
    let phone = Browser::new(&shop).await;
    for answer in ANSWERS {
        let browser = Browser::new(&shop).await;
        buys(browser, &Way::Code(&phone), answer, &merchant).await;
    }
    phone.leave().await;
    merchant.leave().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_order_is_the_same_whichever_format_answers_by_the_browser_itself() {
    if !installed("four formats by the Digital Credentials API") {
        return;
    }
    let shop = Storefront::start();
    let merchant = sale::desk(&shop).await;
    for answer in ANSWERS {
        let browser = dc_api::with_wallet(&shop, Options::default(), &dc_api::BOTH).await;
        buys(browser, &Way::ByBrowser, answer, &merchant).await;
    }
    merchant.leave().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_wallets_choice_and_the_page_of_what_is_taken_fit_a_phone_in_german() {
    if !installed("the choice among formats at phone width") {
        return;
    }
    let shop = Storefront::start();
    for (options, name) in
        [(Options { language: "de", phone: true, ..Options::default() }, "phone"), (Options::default(), "desktop")]
    {
        let german = options.language == "de";
        let browser = Browser::with(&shop, options).await;
        browser.open("/present").await;
        browser.sees(if german { "W3C, Data Integrity" } else { "W3C, JWT" }).await;
        fits(&browser, &format!("present-{name}")).await;
        walk::ask(&browser).await;
        walk::to_wallet(&browser).await;
        browser.sees(if german { "Führerschein (W3C, JWT)" } else { "Driving licence (W3C, JWT)" }).await;
        pick(&browser, 5).await;
        // The whole credential is shown, so the person sees all of it before they agree.
        browser.sees(if german { "Nachname" } else { "Family name" }).await;
        fits(&browser, &format!("choices-{name}")).await;
        browser.leave().await;
    }
}

async fn fits(browser: &Browser, name: &str) {
    let wide = browser.eval("document.documentElement.scrollWidth > document.documentElement.clientWidth").await;
    assert_eq!(wide, json!(false), "{name} scrolls to the side");
    browser.picture(name).await;
}

/// Buys two bottles: shows age and address with the same document, and orders. Then the merchant looks at the order.
async fn buys(browser: Browser, way: &Way<'_>, (document, age, address): (&str, usize, usize), merchant: &Browser) {
    browser.open(CHECKOUT).await;
    browser.sees("Are you over 18?").await;
    answers(&browser, way, document, age, "Let your wallet fill in the address").await;
    answers(&browser, way, document, address, "To the address from your wallet").await;
    let order = sale::place(&browser, 1).await;
    browser.open("/account").await;
    browser.sees("You are over 18").await;
    browser.leave().await;

    merchant.open(&order.replace("/orders", "/merchant/orders")).await;
    merchant.sees("What it took").await;
    assert_eq!(merchant.eval(PLACED).await, expected(), "{document}");
}

/// Answers the question on the page with this of Anna's choices, after which the page goes on.
async fn answers(browser: &Browser, way: &Way<'_>, document: &str, choice: usize, then: &str) {
    match way {
        Way::Link => {
            walk::press_button(browser).await;
            let first = browser.tab().await;
            walk::to_wallet(browser).await;
            shares(browser, document, choice).await;
            browser.sees(then).await;
            browser.client.close_window().await.unwrap();
            browser.look_at(&first).await;
        }
        Way::Code(phone) => {
            devices::watch_links(browser).await;
            walk::press_button(browser).await;
            phone.open(&devices::wallet_path(browser, "cross_device").await).await;
            shares(phone, document, choice).await;
            phone.sees("Go back to the other device: the shop goes on there.").await;
        }
        Way::ByBrowser => {
            let asked = browser.eval("asked.length").await.as_u64().unwrap();
            walk::press_button(browser).await;
            dc_api::open_wallet(browser, usize::try_from(asked).unwrap() + 1).await;
            browser.eval(&format!("owner('adult', {choice})")).await;
        }
    }
    browser.sees(then).await;
}

/// In the wallet: Anna agrees with one of her choices.
async fn shares(browser: &Browser, document: &str, choice: usize) {
    walk::choose(browser, "adult").await;
    pick(browser, choice).await;
    let picked = browser.eval("document.querySelector('.choices label:has(:checked)').innerText.trim()").await;
    assert_eq!(picked, json!(document));
    walk::share(browser).await;
}

async fn pick(browser: &Browser, choice: usize) {
    let label = format!(".choices label:nth-of-type({})", choice + 1);
    browser.find(&label).await;
    browser.eval(&format!("document.querySelector({}).scrollIntoView({{ block: 'center' }})", json!(label))).await;
    browser.click(&label).await;
}

/// The order as the merchant's desk shows it, field by field and without its times.
const PLACED: &str = "(() => {
    const words = (element) => element.innerText.replace(/\\s+/g, ' ').trim();
    const parts = {};
    let part = 'head';
    for (const element of document.querySelector('section.sale').children) {
      if (element.localName === 'h2') part = words(element);
      else (parts[part] ??= []).push(element);
    }
    const within = (part, css) => parts[part].flatMap((element) => [...element.querySelectorAll(css)]).map(words);
    return {
      sold: [...within('What was sold', 'li'), words(parts['What was sold'].at(-1))],
      received: within('head', 'dd')[1],
      to: parts['Where it goes'][0].innerText.trim().split('\\n'),
      asked: within('What was asked', 'h3'),
      took: within('What it took', 'dd'),
    };
  })()";
