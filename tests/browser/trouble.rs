use crate::{Browser, Storefront, installed, walk};

#[tokio::test(flavor = "multi_thread")]
async fn a_minor_is_refused_and_may_be_followed_by_an_adult() {
    if !installed("a minor") {
        return;
    }
    let shop = Storefront::start();
    let browser = Browser::new(&shop).await;
    let first = walk::ask(&browser).await;
    let second = walk::to_wallet(&browser).await;
    walk::choose(&browser, "minor").await;
    browser.sees("no").await;
    walk::share(&browser).await;
    browser.sees("The shop did not take it").await;
    browser.picture("wallet-refused").await;
    // The wallet is told little, the log the rest; and nothing about the person.
    let log = shop.log();
    assert!(log.contains("an answer is refused"), "{log}");
    assert!(!log.contains("Max") && !log.contains("birth"), "{log}");
    browser.look_at(&first).await;
    browser.sees("The shop could not accept that answer. You can try again in your wallet.").await;
    browser.picture("dialog-refused").await;
    browser.look_at(&second).await;
    browser.press("Another person").await;
    walk::choose(&browser, "adult").await;
    walk::share(&browser).await;
    browser.sees("Good to see you.").await;
    browser.leave().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_declines_is_told_that_nothing_was_shared() {
    if !installed("declining") {
        return;
    }
    let shop = Storefront::start();
    let browser = Browser::new(&shop).await;
    let first = walk::ask(&browser).await;
    walk::to_wallet(&browser).await;
    browser.press("Decline").await;
    browser.sees("You declined in your wallet. Nothing was shared.").await;
    browser.wait("location.pathname.startsWith('/wallet/return/')").await;
    browser.picture("declined").await;
    browser.press("Back to the shop").await;
    browser.sees("Are you over 18?").await;
    browser.look_at(&first).await;
    browser.sees("You declined in your wallet. Nothing was shared.").await;
    browser.picture("dialog-declined").await;
    browser.press_part("Try again").await;
    browser.sees("Waiting for your wallet").await;
    browser.leave().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_question_that_the_shop_no_longer_knows_is_over_and_can_be_asked_again() {
    if !installed("a question that is over") {
        return;
    }
    let shop = Storefront::start();
    let browser = Browser::new(&shop).await;
    let first = walk::ask(&browser).await;
    let second = walk::to_wallet(&browser).await;
    browser.sees("This is shown to").await;
    // As if its time had passed: what has expired is absent.
    let database = format!("sqlite:{}", shop.folder.path().join("shop.sqlite").display());
    let database = sqlx::SqlitePool::connect(&database).await.unwrap();
    let forgotten = sqlx::query("DELETE FROM firsthand_records").execute(&database).await.unwrap();
    assert!(forgotten.rows_affected() > 0);
    walk::share(&browser).await;
    browser.sees("The shop did not take it").await;
    browser.sees("Go back to the shop, and ask again.").await;
    browser.picture("wallet-over").await;
    browser.look_at(&first).await;
    browser.sees("The time for this question is over.").await;
    browser.picture("dialog-over").await;
    browser.press_part("Try again").await;
    browser.sees("Waiting for your wallet").await;
    let others = [first, second];
    browser.part("[part=link]").await.click().await.unwrap();
    browser.look_at_new(&others).await;
    walk::share(&browser).await;
    browser.sees("Good to see you.").await;
    browser.leave().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn going_back_from_the_wallet_leads_to_the_question() {
    if !installed("going back in the wallet") {
        return;
    }
    let shop = Storefront::start();
    let browser = Browser::new(&shop).await;
    for answered in [false, true] {
        walk::ask(&browser).await;
        // In the same tab, as some customers do.
        browser.part("[part=link]").await;
        browser
            .eval("document.querySelector('firsthand-button').shadowRoot.querySelector('[part=link]').removeAttribute('target')")
            .await;
        browser.part("[part=link]").await.click().await.unwrap();
        browser.sees("This is shown to").await;
        if answered {
            walk::share(&browser).await;
            browser.sees("Good to see you.").await;
            // Back behind an answer: the shop does not ask the same twice, and the customer stays known.
            browser.client.back().await.unwrap();
            browser.wait("location.pathname === '/_dev/wallet'").await;
            browser.sees("The wallet does not show this request").await;
            walk::is_welcome(&browser).await;
        } else {
            browser.client.back().await.unwrap();
            browser.wait("location.pathname === '/wine'").await;
            browser.sees("Are you over 18?").await;
        }
    }
    browser.leave().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_shop_that_cannot_be_reached_says_so_and_goes_on() {
    if !installed("a shop that cannot be reached") {
        return;
    }
    let mut shop = Storefront::start();
    let browser = Browser::new(&shop).await;
    walk::sign_in(&browser).await;
    shop.kill();
    browser.press("My data").await;
    browser.sees("No connection to the shop").await;
    browser.picture("unreachable").await;
    shop.open();
    browser.press("Try again").await;
    browser.sees("You are over 18").await;
    browser.leave().await;
}
