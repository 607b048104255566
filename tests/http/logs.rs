//! A whole shop, from the first page to the withdrawal, at the most talkative level of everything that logs: nothing of what
//! people typed or showed is in it, nor in the metrics, nor anything that opens a session or an order.

use firsthand::{
    Device,
    money::Quantity,
    order::{Parcel, Part},
    store::Sqlite,
};
use firsthand_axum::testing::{Browser, FakeRail, response_code};
use http::{Method, StatusCode};
use serde_json::json;

use crate::{
    checkout_order::{Till, form, led_to, looked},
    checkouts::filled,
    privacy::{Capture, MARK, assert_clean, marked},
    probe::answer,
    setting::Folder,
};

/// What somebody types into the form of an address, with a mark in each field that takes one.
fn typed() -> Vec<(&'static str, String)> {
    let field = |name: &'static str| (name, format!("{MARK}{name}"));
    vec![
        field("name"),
        field("street"),
        ("postal_code", "51147".to_owned()),
        field("locality"),
        ("country", "DE".to_owned()),
    ]
}

/// Agrees to a checkout at this path, with that address.
fn agreed(page: &str, address: &[(&'static str, String)]) -> String {
    let mut with: Vec<(&str, &str)> = address.iter().map(|(name, value)| (*name, value.as_str())).collect();
    with.push(("rail", FakeRail::ID));
    filled(page, "complete", &with)
}

/// A guest who types an address, wrongly and rightly, buys, and withdraws. Gives what must not be told of them.
async fn guest(till: &Till) -> Vec<String> {
    let mut guest = till.browser();
    let path = led_to(&guest.plain_form("/wallet/checkout", "item=tea&quantity=3&item=cake&quantity=1").await);
    let page = looked(&mut guest, &path).await.text();
    let mut wrong = typed();
    wrong.retain(|(name, _)| *name != "country");
    wrong.push(("country", MARK.to_owned()));
    let refused = guest.plain_form(&path, &agreed(&page, &wrong)).await;
    assert!(!refused.status.is_server_error(), "{}", refused.text());
    let page = looked(&mut guest, &path).await.text();
    assert_eq!(led_to(&guest.plain_form(&path, &agreed(&page, &typed())).await), path);
    let page = looked(&mut guest, &path).await.text();
    assert!(page.contains("It is paid.") && page.contains(MARK), "{page}");

    let tea = vec![Part::new("tea", Quantity::new(1).unwrap())];
    till.order(&path).await.sent(Parcel::new("1", tea)).await.unwrap().commit().await.unwrap();
    let at = format!("{path}/withdraw");
    let first = looked(&mut guest, &at).await.text();
    let second = guest.plain_form(&at, &form(&first, "choose", &[("tea", "2")])).await.text();
    led_to(&guest.plain_form(&at, &form(&second, "confirm", &[("tea", "2")])).await);
    let kept = looked(&mut guest, &format!("{path}/kept/withdrawal-1.txt")).await;
    assert_eq!(kept.status, StatusCode::OK);
    vec![path.rsplit('/').next().unwrap().to_owned()]
}

/// A customer who shows a wallet, comes back, buys as somebody known, and signs out.
async fn known(till: &Till) -> Vec<String> {
    let wallet = marked(&till.shop);
    let (mut browser, mut secrets) = (till.browser(), Vec::new());
    for (ask, device) in [("age", Device::SameDevice), ("address", Device::CrossDevice)] {
        let asking = browser.ask(ask, device).await;
        let request = browser.wallet_reads(&asking).await;
        let answered = answer(&mut browser, &request, &wallet, &[]).await;
        assert_eq!(answered.status, StatusCode::OK, "{}", answered.text());
        let mut body = json!({ "presentation": asking.id });
        if device == Device::SameDevice {
            let code = response_code(&answered);
            body["response_code"] = json!(code);
            secrets.push(code);
        }
        assert_eq!(browser.redeem(&body).await.status, StatusCode::OK);
        secrets.push(asking.id);
        secrets.extend(browser.token.clone());
    }
    let begun = browser.post_form("/wallet/checkout", "item=tea&quantity=2").await;
    let path = begun.header("firsthand-location").to_owned();
    let page = browser.get(&path).await.text();
    let bought = browser.post_form(&path, &agreed(&page, &typed())).await;
    assert_eq!(bought.status, StatusCode::NO_CONTENT, "{}", bought.text());
    assert!(browser.get(&path).await.text().contains("It is paid."));
    for path in ["/wallet/me", "/wallet/sessions"] {
        assert_eq!(browser.get(path).await.status, StatusCode::OK, "{path}");
    }
    assert!(browser.delete("/wallet/sessions/current").await.status.is_success());
    secrets
}

/// What strangers write into everything that a request has.
async fn strangers(browser: &mut Browser) {
    let headers =
        [("x-request-id", MARK), ("user-agent", MARK), ("dpop", MARK), ("authorization", MARK), ("cookie", MARK)];
    let forwarded = [("x-forwarded-for", MARK), ("referer", MARK), ("accept-language", MARK), ("host", MARK)];
    for path in ["/wallet/me", &format!("/wallet/{MARK}?{MARK}={MARK}"), &format!("/wallet/presentations/{MARK}")] {
        for method in [Method::GET, Method::POST, Method::from_bytes(MARK.as_bytes()).unwrap()] {
            for headers in [&headers[..], &forwarded[..]] {
                let reply = browser.plain(&method, path, headers, MARK.as_bytes()).await;
                assert!(!reply.status.is_server_error(), "{method} {path}: {}", reply.text());
            }
        }
    }
}

#[tokio::test(flavor = "current_thread")]
async fn row_127_neither_logs_nor_metrics_know_anything_of_anybody() {
    let capture = Capture::everything();
    let _guard = capture.hears();
    let folder = Folder::new();
    let till = Till::over(Sqlite::connect(&folder.database()).await.unwrap(), true).await;
    let mut secrets = guest(&till).await;
    secrets.extend(known(&till).await);
    strangers(&mut till.browser()).await;
    let house = till.shop.merchant().clone().housekeeping();
    let _ = tokio::time::timeout(std::time::Duration::from_millis(200), house).await;

    let (log, metrics) = (capture.text(), till.operations.metrics());
    // It was heard, at all levels and from the inside of the library.
    for heard in
        ["request request_id=", "store call=\"commit\"", "rail rail=\"fake\" call=\"pay\"", "DEBUG", "answered"]
    {
        assert!(log.contains(heard), "{heard} was not heard");
    }
    assert!(metrics.contains("firsthand_rail_calls_total{call=\"pay\",outcome=\"done\",rail=\"fake\"}"), "{metrics}");
    assert_clean("the log", &log);
    assert_clean("the metrics", &metrics);
    assert!(secrets.len() >= 5 && secrets.iter().all(|secret| secret.len() >= 16), "{}", secrets.len());
    for secret in &secrets {
        assert!(!log.contains(secret) && !metrics.contains(secret), "a secret is told");
    }
    // Nor a path that was asked for, which has names of orders and links in it: the route's template alone.
    assert!(!metrics.contains("o_") && !log.contains("route=\"/wallet/checkout/o_"));
}
