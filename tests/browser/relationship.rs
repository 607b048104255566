//! What outlives a browser: passkeys, two records that become one, a code on paper; and how customers see to it.

use serde_json::{Value, json};

use crate::{Browser, Options, Storefront, installed, sale, walk};

/// A customer whom a wallet brought, at "My data".
async fn customer(shop: &Storefront) -> Browser {
    let browser = Browser::new(shop).await;
    walk::sign_in(&browser).await;
    browser.open("/account").await;
    browser.sees("Was this you?").await;
    browser
}

#[tokio::test(flavor = "multi_thread")]
async fn a_customer_without_a_wallet_lives_on_a_passkey() {
    if !installed("a passkey from the first visit") {
        return;
    }
    let shop = Storefront::start();
    let browser = Browser::new(&shop).await;
    browser.open("/").await;
    browser.press("Been here before?").await;
    browser.sees("A passkey lets you in by the lock of your device").await;
    browser.keeps_nothing().await;
    browser.picture("sign-in").await;
    let authenticator = walk::begin_with_a_passkey(&browser).await;
    browser.sees("The shop met you, by a passkey").await;
    let number = walk::number(&browser).await;
    let kept = browser.passkeys(&authenticator).await;
    assert_eq!(kept.len(), 1);
    assert_eq!(kept[0]["isResidentCredential"], json!(true));
    assert!(!kept[0].to_string().contains(&number), "the passkey names the customer");
    browser.picture("account-passkey").await;

    // A cleared browser, and the same customer.
    browser.clear().await;
    browser.open("/sign-in").await;
    browser.keeps_nothing().await;
    browser.press_in("firsthand-passkey", "Sign in with a passkey").await;
    browser.sees("Good to see you.").await;
    browser.sees("A browser that was new here became yours, by a passkey").await;
    assert_eq!(walk::number(&browser).await, number);
    browser.leave().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_browser_joins_by_a_passkey_and_is_signed_out_from_the_first() {
    if !installed("a passkey in a second browser") {
        return;
    }
    let shop = Storefront::start();
    let first = customer(&shop).await;
    let device = first.authenticator().await;
    // It is offered where the customer comes to first, and no longer once there is one.
    first.open("/wine/reserved").await;
    first.sees("Only this browser knows you here.").await;
    first.picture("passkey-offer").await;
    first.press_in("firsthand-passkey", "Add a passkey").await;
    first
        .wait("!document.querySelector('firsthand-passkey').shadowRoot.textContent.includes('Only this browser')")
        .await;
    first.open("/account").await;
    first.sees("Added: a passkey").await;
    let number = walk::number(&first).await;

    // The platform copies the passkey to another device of its owner.
    let second = Browser::new(&shop).await;
    second.open("/sign-in").await;
    let other = second.authenticator().await;
    second.give_passkey(&other, &first.passkeys(&device).await[0]).await;
    second.press_in("firsthand-passkey", "Sign in with a passkey").await;
    second.sees("Good to see you.").await;
    assert_eq!(walk::number(&second).await, number);

    first.open("/account").await;
    first.sees("A browser that was new here became yours, by a passkey").await;
    first.press_in("firsthand-devices", "Not me").await;
    first.sees("Somebody else may have been here.").await;
    first.picture("history").await;
    first.press_in("firsthand-devices", "Close what came since then").await;
    first.sees("For this, show once more that it is you.").await;
    first.press_in("firsthand-devices", "Use your passkey").await;
    // The other device has counted on: to the shop, one of the two is a copy.
    first.sees("This passkey looks like a copy of yours").await;
    first.press_in("firsthand-devices", "Close what came since then").await;
    first.press_in("firsthand-devices", "Use your passkey").await;
    first.sees("Closed. All other browsers were signed out.").await;
    // Nobody loads the other page anew: it has heard.
    second.sees("This page is for customers whom the shop knows").await;
    walk::is_a_stranger(&second).await;
    second.leave().await;

    // A name of one's own, and nothing that says otherwise.
    first.press_in("firsthand-devices", "Rename").await;
    first.key('x').await;
    first.press_in("firsthand-devices", "Save").await;
    first.wait("[...document.querySelector('firsthand-devices').shadowRoot.querySelectorAll('h3')].some((title) => title.firstChild.textContent === 'x')").await;
    // The passkey was shown a moment ago.
    first.press_in("firsthand-leave", "Download everything").await;
    first.sees("It is in your downloads.").await;
    let everything: Value = serde_json::from_str(&first.download().await).unwrap();
    assert_eq!(everything["customer"], json!(number));
    first.leave().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn two_records_become_one_and_two_again() {
    if !installed("two records that become one") {
        return;
    }
    let shop = Storefront::start();
    let browser = customer(&shop).await;
    let here = walk::number(&browser).await;
    let device = browser.authenticator().await;
    let elsewhere = Browser::new(&shop).await;
    let other = walk::begin_with_a_passkey(&elsewhere).await;
    let there = walk::number(&elsewhere).await;
    assert_ne!(here, there);
    browser.give_passkey(&device, &elsewhere.passkeys(&other).await[0]).await;
    elsewhere.leave().await;

    browser.press_in("firsthand-passkey", "Use your passkey").await;
    browser.sees("Are both you?").await;
    browser.picture("merge").await;
    browser.press_in("firsthand-merge", "Yes, both are me: join them").await;
    browser.sees("Another record was joined to yours.").await;
    // The one with the passkey stays, and has what the other showed.
    assert_eq!(walk::number(&browser).await, there);
    browser.sees("Two records became one").await;
    browser.picture("merged").await;

    browser.press_in("firsthand-merge", "Take apart again").await;
    browser.sees("For this, show once more that it is you.").await;
    browser.press_in("firsthand-merge", "Use your passkey").await;
    browser.wait("!document.querySelector('firsthand-merge')?.shadowRoot?.textContent.includes('Take apart')").await;
    browser.open("/account").await;
    let now = walk::number(&browser).await;
    assert!([here, there].contains(&now), "{now}");
    browser.leave().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_code_on_paper_brings_back_and_signs_all_others_out() {
    if !installed("a recovery code") {
        return;
    }
    let shop = Storefront::start();
    let lost = customer(&shop).await;
    let number = walk::number(&lost).await;
    lost.press_in("firsthand-recovery", "Make a recovery code").await;
    lost.sees("Write it down now.").await;
    lost.picture("recovery-code").await;
    let code =
        lost.eval("document.querySelector('firsthand-recovery').shadowRoot.querySelector('code').innerText").await;
    let code = code.as_str().unwrap().to_owned();
    assert_eq!(code.len(), 29, "{code}");
    lost.press_in("firsthand-recovery", "I wrote it down").await;
    lost.press_in("firsthand-recovery", "Done").await;
    lost.sees("You have a recovery code, made").await;
    assert!(!lost.text().await.contains(&code), "it is shown once");

    let phone = Browser::with(&shop, Options { phone: true, ..Options::default() }).await;
    phone.open("/sign-in").await;
    phone.sees("Come back by this code").await;
    phone.type_in("firsthand-recovery", "nobody").await;
    phone.press_in("firsthand-recovery", "Come back by this code").await;
    phone.sees("The shop does not know this, or not any more.").await;
    phone.picture("phone-sign-in").await;
    phone.type_in("firsthand-recovery", &code.to_lowercase().replace('-', " ")).await;
    phone.press_in("firsthand-recovery", "Come back by this code").await;
    phone.sees("A recovery code was used.").await;
    assert_eq!(walk::number(&phone).await, number);
    phone.sees("Somebody came back by the recovery code").await;
    phone.picture("phone-recovered").await;
    for part in ["firsthand-devices", "firsthand-passkey", "firsthand-recovery", "firsthand-leave"] {
        phone.eval(&format!("document.querySelector('{part}').scrollIntoView()")).await;
        phone.picture(&format!("phone-{part}")).await;
    }

    lost.sees("This page is for customers whom the shop knows").await;
    walk::is_a_stranger(&lost).await;
    lost.leave().await;
    phone.leave().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_desk_says_a_number_and_sees_who_types_it() {
    if !installed("the desk and its number") {
        return;
    }
    let shop = Storefront::start();
    let browser = customer(&shop).await;
    let number = walk::number(&browser).await;
    let desk = sale::desk(&shop).await;
    desk.open("/merchant/calls").await;
    desk.find("input[name=message]").await.send_keys("Order 4711").await.unwrap();
    desk.picture("desk-call").await;
    desk.press("Ask who it is").await;
    desk.sees("Say this number:").await;
    desk.picture("desk-call-number").await;
    let said = desk.eval("document.querySelector('.spoken strong').textContent").await;

    browser.open("/").await;
    browser.press("Is this call from us?").await;
    browser.sees("Nobody of this shop is calling you at this moment.").await;
    browser.picture("call").await;
    browser.find("input[name=number]").await.send_keys(said.as_str().unwrap()).await.unwrap();
    browser.press("Continue").await;
    browser.sees("Order 4711").await;
    browser.picture("call-question").await;
    browser.press("Yes, it is me").await;
    browser.sees("The desk sees for ten minutes that it is you.").await;

    desk.press("Look who it is").await;
    desk.sees(&number).await;
    desk.picture("desk-call-known").await;
    desk.leave().await;
    browser.open("/account").await;
    browser.sees("You proved yourself to: Blatt & Rebe, the desk").await;
    browser.leave().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_customer_card_is_offered_taken_and_shown_in_another_browser() {
    if !installed("a customer card") {
        return;
    }
    let shop = Storefront::start();
    let browser = customer(&shop).await;
    let number = walk::number(&browser).await;
    browser.press_in("firsthand-credential", "Keep this shop in your wallet").await;
    browser.sees("Waiting for your wallet").await;
    browser.press_in("firsthand-credential", "Cancel").await;
    browser.sees("A customer card was offered to a wallet").await;

    browser.press_in("firsthand-credential", "Keep this shop in your wallet").await;
    browser.sees("and type this number when it asks.").await;
    browser.sees("Waiting for your wallet").await;
    let code =
        browser.eval("document.querySelector('firsthand-credential').shadowRoot.querySelector('code').innerText").await;
    let code = code.as_str().unwrap();
    assert!(code.len() == 6 && code.bytes().all(|digit| digit.is_ascii_digit()), "{code}");
    browser.wait("document.querySelector('firsthand-credential').shadowRoot.querySelector('[part=qr] svg')").await;
    browser.picture("card-offer").await;
    browser.press_in("firsthand-credential", "Open a wallet on this device").await;
    browser.sees("offers you a card").await;
    walk::choose(&browser, "adult").await;
    browser.find("#number").await.send_keys(if code == "000000" { "000001" } else { "000000" }).await.unwrap();
    browser.press("Keep the card").await;
    browser.sees("The shop does not hand it out: the number is wrong").await;
    browser.press("Try again").await;
    browser.find("#number").await.send_keys(code).await.unwrap();
    browser.picture("wallet-offer").await;
    browser.press("Keep the card").await;
    browser.sees("The card is in the wallet").await;
    browser.picture("wallet-kept").await;
    browser.press("Back to the shop").await;
    browser.sees("A wallet took your customer card").await;
    browser.open("/account").await;
    browser.sees("Your wallet has a customer card since").await;
    browser.leave().await;

    // Nothing leads there from a browser that was never here but the card.
    let other = Browser::with(&shop, Options { phone: true, ..Options::default() }).await;
    other.open("/sign-in").await;
    other.press_in("firsthand-credential", "I have it already: show it").await;
    let first = other.client.windows().await.unwrap();
    other.press_in("firsthand-credential", "Development wallet").await;
    let wallet = other.look_at_new(&first).await;
    other.sees("Customer card").await;
    walk::choose(&other, "adult").await;
    other.picture("phone-wallet-card").await;
    walk::share(&other).await;
    other.sees("Good to see you.").await;
    assert_eq!(other.tab().await, wallet);
    assert_eq!(other.path().await, "/account");
    assert_eq!(walk::number(&other).await, number);
    other.sees("A browser that was new here became yours, by your customer card").await;
    other.leave().await;
}
