use std::time::Duration;

use serde_json::json;

use crate::{Browser, Storefront, installed, walk};

/// A customer with a bottle set aside, at "My data".
async fn customer(shop: &Storefront) -> Browser {
    let browser = Browser::new(shop).await;
    walk::sign_in(&browser).await;
    browser.press("Set it aside").await;
    browser.sees("Under the counter, waiting.").await;
    browser.press("My data").await;
    browser.sees("Where you are signed in").await;
    browser
}

#[tokio::test(flavor = "multi_thread")]
async fn who_signs_out_is_a_stranger_and_begins_anew() {
    if !installed("signing out") {
        return;
    }
    let shop = Storefront::start();
    let browser = customer(&shop).await;
    browser.press("Sign out").await;
    browser.sees("Come in. Nobody asks who you are.").await;
    walk::is_a_stranger(&browser).await;
    browser.open("/wine/reserved").await;
    browser.sees("This page is for customers whom the shop knows").await;
    browser.open(walk::WINE).await;
    browser.sees("Are you over 18?").await;
    // The key is locked: who answers again gets a new one, and is somebody new.
    walk::sign_in(&browser).await;
    browser.open("/wine/reserved").await;
    browser.sees("Nothing at the moment.").await;
    browser.leave().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_device_that_is_forgotten_keeps_nothing() {
    if !installed("forgetting a device") {
        return;
    }
    let shop = Storefront::start();
    let browser = customer(&shop).await;
    browser.press("Forget this device").await;
    browser.sees("Come in. Nobody asks who you are.").await;
    browser.keeps_nothing().await;
    walk::is_a_stranger(&browser).await;
    browser.leave().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_customer_who_is_forgotten_leaves_nothing_with_the_shop() {
    if !installed("forgetting a customer") {
        return;
    }
    let shop = Storefront::start();
    let browser = customer(&shop).await;
    let id = browser.eval("document.querySelector('dl code').textContent").await;
    browser.press_in("firsthand-leave", "Forget me").await;
    browser.press_in("firsthand-leave", "Yes, forget everything").await;
    browser.sees("The shop has forgotten you.").await;
    browser.press("Back to the shop").await;
    browser.sees("Come in. Nobody asks who you are.").await;
    browser.keeps_nothing().await;
    walk::is_a_stranger(&browser).await;
    // The shop's own rows go, too, as soon as its worker has read of it.
    let database = format!("sqlite:{}", shop.folder.path().join("shop.sqlite").display());
    let database = sqlx::SqlitePool::connect(&database).await.unwrap();
    let id = id.as_str().unwrap();
    let mut left = named_in(&database, id).await;
    for _ in 0..150 {
        if left.is_none() {
            break;
        }
        tokio::time::sleep(Duration::from_millis(200)).await;
        left = named_in(&database, id).await;
    }
    assert_eq!(left, None, "it still names the customer");
    // Next time, somebody new.
    walk::sign_in(&browser).await;
    browser.open("/account").await;
    browser.sees("Where you are signed in").await;
    assert_ne!(browser.eval("document.querySelector('dl code').textContent").await, json!(id));
    browser.leave().await;
}

/// A column of the shop's own tables that holds this name.
async fn named_in(database: &sqlx::SqlitePool, id: &str) -> Option<String> {
    use sqlx::{Column, Row, ValueRef};
    let tables: Vec<String> = sqlx::query_scalar(
        "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite_%' AND name NOT LIKE '%migrations%'",
    )
    .fetch_all(database)
    .await
    .unwrap();
    assert!(!tables.is_empty());
    for table in tables {
        let query = format!("SELECT * FROM \"{table}\"");
        let rows: Vec<sqlx::sqlite::SqliteRow> =
            sqlx::query(sqlx::AssertSqlSafe(query)).fetch_all(database).await.unwrap();
        for row in rows {
            for column in row.columns() {
                let value = row.try_get_raw(column.ordinal()).unwrap();
                if value.is_null() {
                    continue;
                }
                let bytes = row.try_get_unchecked::<Vec<u8>, _>(column.ordinal()).unwrap_or_default();
                if bytes.windows(id.len()).any(|window| window == id.as_bytes()) {
                    return Some(format!("{table}.{}", column.name()));
                }
            }
        }
    }
    None
}

#[tokio::test(flavor = "multi_thread")]
async fn sessions_of_one_browser_end_together() {
    if !installed("sessions of one browser") {
        return;
    }
    let shop = Storefront::start();
    let browser = customer(&shop).await;
    // A browser that lost its token gets a new session by its key: the lost one is still open.
    let lost = browser
        .eval(
            "await new Promise((resolve) => {
               const opening = indexedDB.open('firsthand /wallet/');
               opening.onsuccess = () => {
                 const transaction = opening.result.transaction('device', 'readwrite');
                 const records = transaction.objectStore('device');
                 records.get('device').onsuccess = ({ target }) => records.put({ ...target.result, token: null }, 'device');
                 transaction.oncomplete = () => { opening.result.close(); resolve('lost'); };
               };
             })",
        )
        .await;
    assert_eq!(lost, json!("lost"));
    browser.open("/account").await;
    browser.sees("Sign out everywhere, here too").await;
    browser.picture("sessions").await;
    let text = browser.text().await;
    assert!(!text.contains("Sign out all other browsers"), "{text}");
    let status = browser
        .eval(
            "await import('/wallet/firsthand.js').then(async (firsthand) => {
               const { sessions } = await firsthand.sessions();
               const lost = sessions.find((session) => !session.current);
               return (await firsthand.fetch(`/wallet/sessions/${lost.id}`, { method: 'DELETE' })).status;
             })",
        )
        .await;
    assert_eq!(status, json!(204));
    browser.open("/account").await;
    browser.sees("This page is for customers whom the shop knows").await;
    walk::is_a_stranger(&browser).await;
    browser.leave().await;
}
