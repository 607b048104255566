//! One question, answered in each format by each way to a wallet: the order comes out the same.

use firsthand_axum::{
    Device,
    protocol::openid4vp::dc_api::Protocol,
    testing::{Browser, TestShop, response_code, wallet::Choice},
};
use serde_json::{Value, json};

use super::{Wired, form_of, placed};

/// How a question gets from the page to a wallet.
#[derive(Clone, Copy, Debug)]
enum Way {
    Link,
    Code,
    ByBrowser(Protocol),
}

const WAYS: [Way; 4] = [Way::Link, Way::Code, Way::ByBrowser(Protocol::Signed), Way::ByBrowser(Protocol::Unsigned)];

const FORMATS: &[&str] = if cfg!(feature = "w3c") {
    &["dc+sd-jwt", "mso_mdoc", "jwt_vc_json", "ldp_vc"]
} else {
    &["dc+sd-jwt", "mso_mdoc"]
};

#[tokio::test]
async fn an_order_is_the_same_in_whichever_format_and_by_whichever_way_a_wallet_answers() {
    let shop = Wired::trusting("formats").await;
    for format in FORMATS {
        for way in WAYS {
            let mut browser = shop.browser();
            shows(&mut browser, &shop.shop, "age", way, format).await;
            shows(&mut browser, &shop.shop, "address", way, format).await;
            let proofs = browser.get("/wallet/me").await.json()["proofs"].clone();
            assert_eq!(proofs[0]["outcome"], "over 18", "{format} {way:?}");
            let form = form_of(&mut browser, "etnax1", "delivery=wallet").await;
            let path = placed(&browser.post_form("/checkout", &form).await);
            let sale = shop.look(&path.replace("/orders", "/merchant/orders")).await;
            for part in [
                "Etna, North Side",
                "€0.00 of €28.50",
                "<strong>Anna Adler</strong><br>Lindenallee 12<br>50667 Köln<br>Germany",
                "<h3>Age</h3>",
                "<h3>Name and address</h3>",
                "<dd>First purchase</dd>",
                "<dd>2</dd>",
            ] {
                assert!(sale.contains(part), "{part} is missing after {format} by {way:?}: {sale}");
            }
        }
    }
}

/// Shows what is asked, in this format and by this way, from the question to the session.
async fn shows(browser: &mut Browser, shop: &TestShop, ask: &str, way: Way, format: &str) {
    let device = if matches!(way, Way::Code) { Device::CrossDevice } else { Device::SameDevice };
    let asking = browser.ask(ask, device).await;
    let request = match way {
        Way::ByBrowser(protocol) => browser.dc_reads(&asking, protocol).await,
        Way::Link | Way::Code => browser.wallet_reads(&asking).await,
    };
    let wallet = &shop.persona("adult").wallet;
    let made_so = |choice: &Choice| choice.shown().iter().all(|one| wallet.holdings()[one.holding].format() == format);
    let choice = wallet.choices(&request).into_iter().find(made_so).expect(format);
    let reply = match way {
        Way::ByBrowser(protocol) => {
            let data = wallet.answer_by_browser(&request, &choice, &[], shop.clock()).unwrap();
            browser.dc_brings(&asking, protocol.name(), &data).await
        }
        Way::Link | Way::Code => {
            let form = wallet.answer(&request, &choice, &[], shop.clock()).unwrap();
            browser.wallet_posts(&request, &form).await
        }
    };
    assert_eq!(reply.status.as_u16(), 200, "{format} {way:?}: {}", reply.text());
    let code = match way {
        Way::Link => json!(response_code(&reply)),
        Way::Code => Value::Null,
        Way::ByBrowser(_) => reply.json()["response_code"].clone(),
    };
    let redeemed = browser.redeem(&json!({ "presentation": asking.id, "response_code": code })).await;
    assert_eq!(redeemed.status.as_u16(), 200, "{format} {way:?}: {}", redeemed.text());
}
