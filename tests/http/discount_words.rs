//! Words for a discount that are tried one after the other: so many of one checkout, and so many from one address. Right ones
//! are never counted.

use firsthand_axum::{
    ClientAddress,
    testing::{Browser, Reply},
};
use http::{Method, StatusCode};
use serde_json::{Value, json};

use crate::{
    checkouts::{Till, basket, codes, filled, keyed, plainly},
    limits::{counting, from},
    setting::refused,
};

/// How many wrong ones a checkout takes.
const OF_A_CHECKOUT: usize = 10;
/// How many wrong ones are taken from one address in a minute.
const FROM_AN_ADDRESS: usize = 30;

/// A change of a guest's checkout: these words and no others.
async fn tried(browser: &mut Browser, path: &str, seen: &Value, words: &[String]) -> Value {
    let mut wanted = basket(&[("sencha", 2)]);
    wanted["discounts"] = json!({ "codes": words });
    wanted["revision"] = seen["revision"].clone();
    let key = format!("{}-{}", seen["revision"], words.len());
    let reply = plainly(browser, &Method::PUT, path, Some(&key), &wanted).await;
    assert_eq!(reply.status, StatusCode::OK, "{}", reply.text());
    reply.json()
}

fn lets_off(checkout: &Value) -> bool {
    checkout["totals"].as_array().unwrap().iter().any(|total| total["type"] == "items_discount")
}

#[tokio::test]
async fn a_checkout_takes_ten_wrong_words_and_then_none_any_more() {
    let till = Till::open().await;
    let mut guest = till.browser();
    let (mut checkout, path) = till.guest(&mut guest, basket(&[("sencha", 2)])).await;
    for count in 1..=OF_A_CHECKOUT {
        checkout = tried(&mut guest, &path, &checkout, &[format!("guess-{count}")]).await;
        let closed = codes(&checkout).contains(&"discount_codes_closed");
        assert_eq!(closed, count == OF_A_CHECKOUT, "{count}: {checkout}");
        assert!(codes(&checkout).contains(&"discount_code_invalid"));
    }
    // The right one comes too late: it is not looked at, so nobody learns whether it is one.
    checkout = tried(&mut guest, &path, &checkout, &["tea10".to_owned()]).await;
    assert!(codes(&checkout).contains(&"discount_codes_closed") && !lets_off(&checkout), "{checkout}");
    let wrong = tried(&mut guest, &path, &checkout, &["guess-11".to_owned()]).await;
    assert_eq!(codes(&wrong), codes(&checkout), "and a wrong one looks the same");
    // What was ordered with it is ordered all the same; another checkout begins anew.
    assert_eq!(wrong["line_items"][0]["quantity"], 2);
    let (other, path) = till.guest(&mut guest, basket(&[("sencha", 2)])).await;
    assert!(lets_off(&tried(&mut guest, &path, &other, &["tea10".to_owned()]).await));
}

#[tokio::test]
async fn words_that_come_at_once_are_counted_one_by_one() {
    let till = Till::open().await;
    let mut guest = till.browser();
    let words = |from: usize, to: usize| (from..to).map(|count| format!("guess-{count}")).collect::<Vec<_>>();
    let mut wanted = basket(&[("sencha", 2)]);
    wanted["discounts"] = json!({ "codes": words(0, 8) });
    let (checkout, path) = till.guest(&mut guest, wanted).await;
    assert!(!codes(&checkout).contains(&"discount_codes_closed"));
    // Two may still be wrong: the right one is the third, and not looked at.
    let many = [words(20, 22), vec!["tea10".to_owned()]].concat();
    let checkout = tried(&mut guest, &path, &checkout, &many).await;
    assert!(codes(&checkout).contains(&"discount_codes_closed") && !lets_off(&checkout), "{checkout}");
    assert_eq!(checkout["discounts"]["codes"], json!(words(20, 22)), "{checkout}");
}

#[tokio::test]
async fn a_right_word_is_not_counted_however_often_it_comes() {
    let till = Till::open().await;
    let mut guest = till.browser();
    let (mut checkout, path) = till.guest(&mut guest, basket(&[("sencha", 2)])).await;
    for count in 0..3 * OF_A_CHECKOUT {
        let words = if count % 2 == 0 { vec!["tea10".to_owned()] } else { Vec::new() };
        checkout = tried(&mut guest, &path, &checkout, &words).await;
        assert_eq!(lets_off(&checkout), count % 2 == 0);
    }
    // A wrong word that stays where it is was wrong once.
    for count in 1..2 * OF_A_CHECKOUT {
        let mut wanted = basket(&[("sencha", 1 + i64::try_from(count % 3).unwrap())]);
        wanted["discounts"] = json!({ "codes": ["tea10", if count % 2 == 0 { "guess" } else { "GUESS" }] });
        wanted["revision"] = checkout["revision"].clone();
        let key = format!("same-{count}");
        checkout = plainly(&mut guest, &Method::PUT, &path, Some(&key), &wanted).await.json();
        assert_eq!(codes(&checkout).iter().filter(|code| code.starts_with("discount")).count(), 1, "{checkout}");
    }
    assert!(lets_off(&checkout));
}

#[tokio::test]
async fn the_page_says_so_and_has_no_field_for_a_word_any_more() {
    let till = Till::open().await;
    let mut guest = till.browser();
    let path = till.page(&mut guest, "item=sencha&quantity=2").await;
    for count in 1..=OF_A_CHECKOUT {
        let page = guest.plain(&Method::GET, &path, &[], &[]).await.text();
        assert!(page.contains("<input id=\"code\""), "{count}");
        // The wrong one of before is taken out again.
        let sent = filled(&page, "update", &[("code", &format!("guess-{count}"))]);
        assert_eq!(guest.plain_form(&path, &sent).await.status, StatusCode::SEE_OTHER);
    }
    let page = guest.plain(&Method::GET, &format!("{path}?said=updated"), &[], &[]).await.text();
    assert!(page.contains("Too many words for a discount were wrong: no new ones are taken for this order."), "{page}");
    assert!(!page.contains("<input id=\"code\"") && !page.contains("Nothing is ordered yet"), "{page}");
    let german = guest.plain(&Method::GET, &format!("{path}?lang=de"), &[], &[]).await.text();
    assert!(german.contains("Zu viele Rabattwörter waren falsch"), "{german}");
    // A form that was open before brings nothing, and loses nothing.
    let sent = filled(&page, "update", &[("code", "tea10")]);
    assert_eq!(guest.plain_form(&path, &sent).await.status, StatusCode::SEE_OTHER);
    let page = guest.plain(&Method::GET, &path, &[], &[]).await.text();
    assert!(!page.contains("Ten percent"), "{page}");
}

/// A guest begins a checkout with a word.
async fn began(till: &Till, guest: &mut Browser, word: Option<&str>) -> Reply {
    let mut wanted = basket(&[("sencha", 2)]);
    wanted["discounts"] = json!({ "codes": word.into_iter().collect::<Vec<_>>() });
    wanted["form"] = till.merchant().guest_form().into();
    plainly(guest, &Method::POST, "/wallet/checkouts/guest", None, &wanted).await
}

#[tokio::test]
async fn one_address_tries_only_so_many_wrong_words_whatever_checkouts_it_begins() {
    let till = Till::open().await;
    let app = counting(&till.shop, ClientAddress::Socket);
    let mut here = from(&till.shop, &app, "203.0.113.9");
    let path = till.page(&mut here, "item=sencha&quantity=2").await;
    let page = here.plain(&Method::GET, &path, &[], &[]).await.text();
    let mut customer = from(&till.shop, &app, "203.0.113.9");
    customer.sign_in("adult").await;

    // Right words are not counted, however many come from there.
    for _ in 0..2 * FROM_AN_ADDRESS {
        assert_eq!(began(&till, &mut here, Some("tea10")).await.status, StatusCode::CREATED);
    }
    let mut wrong = 0;
    let too_many = loop {
        let reply = began(&till, &mut here, Some(&format!("guess-{wrong}"))).await;
        if reply.status != StatusCode::CREATED {
            break reply;
        }
        wrong += 1;
        assert!(wrong <= 2 * FROM_AN_ADDRESS, "nobody is stopped");
    };
    assert!(wrong >= FROM_AN_ADDRESS, "only {wrong}");
    refused(&too_many, 429, "too_many_requests");

    // Nor is the right one looked at by then, whoever says it there, and what has no word goes on.
    assert_eq!(began(&till, &mut here, Some("tea10")).await.status, StatusCode::TOO_MANY_REQUESTS);
    assert_eq!(began(&till, &mut here, None).await.status, StatusCode::CREATED);
    let mut wanted = basket(&[("sencha", 1)]);
    let begun = keyed(&mut customer, &Method::POST, "/wallet/checkouts", Some("a"), &wanted).await;
    assert_eq!(begun.status, StatusCode::CREATED, "{}", begun.text());
    wanted["discounts"] = json!({ "codes": ["tea10"] });
    let begun = keyed(&mut customer, &Method::POST, "/wallet/checkouts", Some("b"), &wanted).await;
    assert_eq!(begun.status, StatusCode::TOO_MANY_REQUESTS, "{}", begun.text());
    // The page says it beside the field, and keeps what else was typed.
    let sent = filled(&page, "update", &[("code", "tea10"), ("name", "Erika Mustermann")]);
    for (lang, words) in [("en", "Many wrong discount codes"), ("de", "viele falsche Rabattcodes")] {
        let reply = here.plain_form(&format!("{path}?lang={lang}"), &sent).await;
        assert_eq!(reply.status, StatusCode::UNPROCESSABLE_ENTITY);
        let page = reply.text();
        assert!(page.contains("id=\"code-error\"") && page.contains(words), "{page}");
        assert!(page.contains("value=\"tea10\"") && page.contains("value=\"Erika Mustermann\""), "{page}");
    }
    let mut there = from(&till.shop, &app, "203.0.113.10");
    assert_eq!(began(&till, &mut there, Some("tea10")).await.status, StatusCode::CREATED, "others go on");
}
