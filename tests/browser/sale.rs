use base64::{Engine, engine::general_purpose::STANDARD};
use serde_json::json;

use crate::{Browser, Options, Storefront, installed, made_statements, walk};

const CHECKOUT_WINE: &str = "/checkout?cart=etnax2";
const CHECKOUT_TEA: &str = "/checkout?cart=senchax1";

/// Types an address for the parcel.
async fn type_address(browser: &Browser) {
    for (name, text) in
        [("name", "Anna Kowalska"), ("street", "Am Alten Markt 1"), ("postal_code", "10115"), ("place", "Berlin")]
    {
        let field = browser.find(&format!("input[name={name}]")).await;
        field.clear().await.unwrap();
        field.send_keys(text).await.unwrap();
    }
}

/// Presses the button that orders, and waits for the order. Answers its path.
pub async fn place(browser: &Browser, clicks: usize) -> String {
    let button = browser.find("form.order button[type=submit]").await;
    browser.point(button, clicks).await;
    browser.wait("/^\\/(o|orders)\\/./.test(location.pathname)").await;
    browser.find("section.order").await;
    browser.path().await
}

/// Orders a tea as a guest, and stays on the order's page. Answers its reference.
pub async fn guest_orders_tea(browser: &Browser) -> String {
    browser.open(CHECKOUT_TEA).await;
    type_address(browser).await;
    place(browser, 1).await;
    reference(browser).await
}

/// The reference on the page of an order.
async fn reference(browser: &Browser) -> String {
    let found = browser.eval("document.querySelector('[data-copy^=RF]').dataset.copy").await;
    found.as_str().unwrap().to_owned()
}

/// The desk, in a browser of its own that sends the key with everything, as one does into which it was typed.
pub async fn desk(shop: &Storefront) -> Browser {
    let key = std::fs::read_to_string(shop.folder.path().join("operator.key")).unwrap();
    let basic = format!("Basic {}", STANDARD.encode(format!("merchant:{}", key.trim())));
    let browser = Browser::new(shop).await;
    browser.cdp("Network.enable", json!({})).await;
    browser.cdp("Network.setExtraHTTPHeaders", json!({ "headers": { "Authorization": basic } })).await;
    browser.open("/merchant").await;
    browser.sees("Book a transfer").await;
    browser
}

/// Books a transfer at the desk.
async fn book(browser: &Browser, number: &str, amount: &str, reference: &str) {
    for (name, text) in [
        ("transfer", number),
        ("amount", amount),
        ("reference", reference),
        ("payer", "Anna Kowalska"),
        ("payer_iban", "AT61 1904 3002 3457 3201"),
    ] {
        browser.find(&format!("form.booking input[name={name}]")).await.send_keys(text).await.unwrap();
    }
    browser.press("Book it").await;
}

/// The text of the code as Chromium has drawn it: photographed, and read as a banking app reads it.
async fn scanned(browser: &Browser) -> String {
    let code = browser.find(".transfer .code").await;
    let png = STANDARD.encode(code.screenshot().await.unwrap());
    let seen = browser
        .eval(&format!(
            "await (async () => {{
               const bytes = Uint8Array.from(atob({png:?}), (char) => char.charCodeAt(0));
               const image = await createImageBitmap(new Blob([bytes], {{ type: 'image/png' }}));
               const canvas = new OffscreenCanvas(image.width, image.height).getContext('2d');
               canvas.drawImage(image, 0, 0);
               const {{ data }} = canvas.getImageData(0, 0, image.width, image.height);
               const grey = [];
               for (let at = 0; at < data.length; at += 4) grey.push(data[at]);
               return {{ width: image.width, height: image.height, grey }};
             }})()"
        ))
        .await;
    let size = |name: &str| usize::try_from(seen[name].as_u64().unwrap()).unwrap();
    let (width, height) = (size("width"), size("height"));
    let grey: Vec<u8> = seen["grey"].as_array().unwrap().iter().map(|v| v.as_u64().unwrap() as u8).collect();
    let mut image = rqrr::PreparedImage::prepare_from_greyscale(width, height, |x, y| grey[y * width + x]);
    let codes = image.detect_grids();
    assert_eq!(codes.len(), 1, "one code in a picture of {width} x {height}");
    codes[0].decode().unwrap().1
}

#[tokio::test(flavor = "multi_thread")]
async fn a_customer_buys_wine_and_it_is_paid_when_the_transfer_is_booked() {
    if !installed("the way from a basket to a paid order") {
        return;
    }
    let shop = Storefront::start();
    let browser = Browser::new(&shop).await;
    browser.open("/cart?cart=etnax2").await;
    browser.press("To the till").await;
    browser.sees("Are you over 18?").await;
    browser.picture("till-age").await;
    walk::press_button(&browser).await;
    let first = browser.tab().await;
    walk::to_wallet(&browser).await;
    walk::choose(&browser, "adult").await;
    walk::share(&browser).await;
    browser.sees("Let your wallet fill in the address").await;
    browser.picture("till-address").await;
    browser.client.close_window().await.unwrap();
    browser.look_at(&first).await;
    browser.sees("Let your wallet fill in the address").await;
    walk::press_button(&browser).await;
    walk::to_wallet(&browser).await;
    walk::share(&browser).await;
    browser.sees("To the address from your wallet").await;
    browser.client.close_window().await.unwrap();
    browser.look_at(&first).await;
    browser.sees("To the address from your wallet").await;
    browser.picture("till").await;
    let path = place(&browser, 1).await;
    browser.sees("One transfer, and it is yours.").await;
    browser.sees("Shown by a wallet").await;
    browser.picture("order").await;
    browser
        .cdp("Emulation.setEmulatedMedia", json!({ "features": [{ "name": "prefers-color-scheme", "value": "dark" }] }))
        .await;
    browser.picture("order-dark").await;

    // What a banking app reads from the screen, in the dark, too.
    let reference = reference(&browser).await;
    let expected =
        ["BCD", "002", "1", "SCT", "", "Blatt und Rebe", "DE89370400440532013000", "EUR57.00", "", &reference];
    assert_eq!(scanned(&browser).await.split('\n').collect::<Vec<_>>(), expected);

    let merchant = desk(&shop).await;
    book(&merchant, "2026-11-22/1", "57,00", &reference).await;
    merchant.sees("Booked. The order is paid.").await;
    merchant.picture("desk").await;
    browser.client.refresh().await.unwrap();
    browser.sees("Paid. We are packing.").await;
    browser.picture("order-paid").await;
    browser.press("My orders").await;
    browser.sees("Paid").await;
    assert_eq!(browser.eval("document.querySelectorAll('.order-list li').length").await, json!(1));
    browser.picture("orders").await;
    merchant.open(&path.replace("/orders", "/merchant/orders")).await;
    merchant.sees("What is kept").await;
    merchant.picture("sale").await;
    browser.press("My data").await;
    browser.sees("Your name and address").await;
    merchant.leave().await;
    browser.leave().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_guest_buys_tea_and_the_link_is_the_only_key() {
    if !installed("the way of a guest") {
        return;
    }
    let shop = Storefront::start();
    let browser = Browser::new(&shop).await;
    browser.open(CHECKOUT_TEA).await;
    type_address(&browser).await;
    browser.picture("till-guest").await;
    let path = place(&browser, 2).await;
    browser.sees("Keep this address").await;
    browser.keeps_nothing().await;
    browser.picture("order-guest").await;
    assert!(path.starts_with("/o/"), "{path}");

    let friend = Browser::new(&shop).await;
    friend.open(&path).await;
    friend.sees("Am Alten Markt 1").await;
    friend.open("/o/AAECAwQFBgcICQoLDA0ODw").await;
    friend.sees("No such order").await;
    friend.picture("order-unknown").await;
    friend.leave().await;

    // Pressed twice, it is one order.
    let merchant = desk(&shop).await;
    assert_eq!(merchant.eval("document.querySelectorAll('.order-list li').length").await, json!(1));
    merchant.leave().await;
    // The second press may have come to the page while the first was still asking the rail, and then nothing can be cancelled.
    browser.open(&path).await;
    browser.press("Cancel this order").await;
    browser.press("Yes, cancel it").await;
    browser.sees("Everything is back on the shelf.").await;
    browser.leave().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_same_form_after_going_back_is_the_same_order() {
    if !installed("going back to the till") {
        return;
    }
    let shop = Storefront::start();
    let browser = Browser::new(&shop).await;
    browser.open(CHECKOUT_TEA).await;
    type_address(&browser).await;
    // What a browser that brings the page back as it was would send once more.
    let form = browser
        .eval("[...new FormData(document.querySelector('form.order'))].map((pair) => pair.join('=')).join('&')")
        .await;
    let path = place(&browser, 1).await;
    let again = browser
        .eval(&format!(
            "(await fetch('/checkout?cart=senchax1', {{ method: 'POST', body: new URLSearchParams({form}) }})).url"
        ))
        .await;
    assert_eq!(again, json!(browser.url(&path)));
    browser.leave().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn till_and_order_fit_a_phone_in_german() {
    if !installed("the till at phone width") {
        return;
    }
    let shop = Storefront::start();
    let browser = Browser::with(&shop, Options { language: "de", phone: true, ..Options::default() }).await;
    browser.open(CHECKOUT_WINE).await;
    browser.sees("Sind Sie über 18?").await;
    fits(&browser, "phone-till-age").await;
    browser.open(CHECKOUT_TEA).await;
    type_address(&browser).await;
    fits(&browser, "phone-till").await;
    place(&browser, 1).await;
    browser.sees("Heben Sie diese Adresse auf").await;
    fits(&browser, "phone-order").await;
    let code = browser.find(".transfer .code").await;
    let given = vec![serde_json::to_value(&code).unwrap()];
    browser.client.execute("arguments[0].scrollIntoView({ block: 'center' })", given).await.unwrap();
    browser.picture("phone-order-code").await;
    browser.leave().await;
}

async fn fits(browser: &Browser, name: &str) {
    let wide = browser.eval("document.documentElement.scrollWidth > document.documentElement.clientWidth").await;
    assert_eq!(wide, json!(false), "{name} scrolls to the side");
    browser.picture(name).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_shop_that_is_killed_while_an_order_is_placed_has_it_or_has_it_not() {
    if !installed("killing the shop at the till") {
        return;
    }
    let mut shop = Storefront::start();
    let browser = Browser::new(&shop).await;
    let (mut there, mut stock) = (0, 24);
    for delay_ms in [28_u64, 32, 36, 40, 46, 90] {
        browser.open(CHECKOUT_TEA).await;
        type_address(&browser).await;
        browser
            .eval("(setTimeout(() => document.querySelector('form.order button[type=submit]').click(), 30), null)")
            .await;
        tokio::time::sleep(std::time::Duration::from_millis(delay_ms)).await;
        shop.restart();
        let database = format!("sqlite:{}", shop.folder.path().join("shop.sqlite").display());
        let database = sqlx::SqlitePool::connect(&database).await.unwrap();
        let count = |sql: &'static str| {
            let database = database.clone();
            async move { sqlx::query_as::<_, (i64,)>(sql).fetch_one(&database).await.unwrap().0 }
        };
        let orders = count("SELECT COUNT(*) FROM firsthand_records WHERE kind = 'order'").await;
        let sales = count("SELECT COUNT(*) FROM sales").await;
        stock = count("SELECT available FROM stock WHERE product = 'sencha'").await;
        assert_eq!((orders, 24 - orders), (sales, stock), "after {delay_ms} ms");
        there = orders;
        database.close().await;
    }
    println!("{there} of 6 orders were there after the shop was killed, and {stock} packets on the shelf");
    // The page of a shop that was gone is none of ours.
    browser.open("/").await;
    browser.leave().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_merchant_hands_in_a_statement_and_takes_the_repayments_to_the_bank() {
    if !installed("the way of a statement") {
        return;
    }
    let shop = Storefront::start();
    let browser = Browser::new(&shop).await;
    browser.open(CHECKOUT_TEA).await;
    type_address(&browser).await;
    place(&browser, 2).await;
    let reference = reference(&browser).await;
    let entry = |amount: &str, name: &str, text: &str| {
        let detail = made_statements::Detail {
            iban: "AT611904300234573201".to_owned(),
            ..made_statements::Detail::saying(text)
        };
        made_statements::Entry::credit(amount, name, detail)
    };
    let entries = vec![entry("60.00", "B1", &reference), entry("5.00", "B2", "Tee")];
    let file = shop.folder.path().join("auszug.xml");
    std::fs::write(&file, made_statements::Camt::statement("DE89370400440532013000", entries).xml()).unwrap();

    let merchant = desk(&shop).await;
    merchant.find("input[name=statement]").await.send_keys(file.to_str().unwrap()).await.unwrap();
    merchant.press("Book what it says").await;
    merchant.sees("For you to look at").await;
    merchant.picture("statement").await;
    merchant.press("Back to the desk").await;
    merchant.sees("Transfers without an order").await;
    merchant.sees("Make the file").await;
    merchant.picture("desk-bank").await;
    merchant.leave().await;
    browser.client.refresh().await.unwrap();
    browser.sees("Paid. We are packing.").await;
    browser.leave().await;
}
