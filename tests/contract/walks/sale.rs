//! What is bought: by customers and guests, by JSON and by the page that needs no script, and what becomes of it.

use firsthand::rail::Outcome;
use firsthand_axum::testing::{Browser, FakeRail, Mood, Reply};
use http::{HeaderMap, HeaderName, HeaderValue, Method};
use serde_json::{Value, json};
use url::form_urlencoded;

use super::{
    Named,
    merchant::paid,
    people::{text, went},
    walk,
};
use crate::place::Walk;

const ORIGIN: &str = "https://shop.example";

pub fn walks() -> Vec<Named> {
    vec![
        walk!(buys_as_a_customer),
        walk!(gives_a_checkout_up),
        walk!(buys_as_a_guest),
        walk!(gives_a_guests_checkout_up),
        walk!(buys_by_forms),
        walk!(is_notified),
    ]
}

pub fn wanted(items: &[(&str, u32)]) -> Value {
    let items: Vec<Value> =
        items.iter().map(|(id, quantity)| json!({ "item": { "id": id }, "quantity": quantity })).collect();
    json!({
        "line_items": items,
        "fulfillment": { "destination": {
            "name": "Erika Mustermann", "street_address": "Heidestraße 17", "postal_code": "51147",
            "address_locality": "Köln", "address_country": "DE",
        } },
    })
}

pub fn agreed(checkout: &Value, rail: &str) -> Value {
    let total = checkout["totals"].as_array().unwrap().last().unwrap()["amount"].clone();
    json!({ "revision": checkout["revision"], "total": total, "payment": { "handler_id": rail } })
}

/// A signed request with a key that makes it happen once.
async fn keyed(browser: &mut Browser, method: Method, path: &str, key: &str, body: &Value) -> Value {
    let bytes = body.to_string();
    for _ in 0..2 {
        let proof = browser.sign(&browser.claims(&method, path, Some(bytes.as_bytes())));
        let mut headers = HeaderMap::new();
        let token = browser.token.as_ref().map(|token| format!("DPoP {token}"));
        let all = [("dpop", Some(proof)), ("authorization", token)];
        let own = [("content-type", "application/json"), ("idempotency-key", key)];
        let own = own.map(|(name, value)| (name, Some(value.to_owned())));
        for (name, value) in all.into_iter().chain(own).filter_map(|(name, value)| Some((name, value?))) {
            headers.insert(HeaderName::from_static(name), HeaderValue::try_from(value).unwrap());
        }
        let reply = browser.send(&method, path, headers, bytes.as_bytes()).await;
        if reply.code() != "use_dpop_nonce" {
            return went(&reply);
        }
    }
    panic!("the nonce is never right")
}

async fn buys_as_a_customer(walk: Walk) {
    let mut browser = walk.known().await;
    let begun = keyed(&mut browser, Method::POST, "/wallet/checkouts", "a", &wanted(&[("tea", 1)])).await;
    let here = format!("/wallet/checkouts/{}", text(&begun, "id"));
    went(&browser.get(&here).await);
    let mut more = wanted(&[("tea", 2), ("book", 1)]);
    more["revision"] = begun["revision"].clone();
    more["discounts"] = json!({ "codes": ["TEA10", "guess"] });
    let changed = keyed(&mut browser, Method::PUT, &here, "b", &more).await;
    let complete = format!("{here}/complete");
    let done = keyed(&mut browser, Method::POST, &complete, "c", &agreed(&changed, FakeRail::ID)).await;
    assert_eq!(done["status"], "completed", "{done}");
    went(&browser.get(&here).await);
    went(&browser.get("/wallet/me/export").await);
}

async fn gives_a_checkout_up(walk: Walk) {
    let mut browser = walk.known().await;
    let begun = keyed(&mut browser, Method::POST, "/wallet/checkouts", "a", &wanted(&[("book", 1)])).await;
    let cancel = format!("/wallet/checkouts/{}/cancel", text(&begun, "id"));
    went(&browser.signed(Method::POST, &cancel, None).await);
}

/// The same of a guest: nobody signs.
async fn plainly(browser: &mut Browser, method: Method, path: &str, key: &str, body: &Value) -> Value {
    let headers = [("origin", ORIGIN), ("content-type", "application/json"), ("idempotency-key", key)];
    let bytes = if body.is_null() { String::new() } else { body.to_string() };
    went(&browser.plain(&method, path, &headers, bytes.as_bytes()).await)
}

/// The path of a guest's checkout.
async fn guest(browser: &mut Browser, items: &[(&str, u32)]) -> String {
    let form = plainly(browser, Method::POST, "/wallet/checkouts/guest/form", "f", &Value::Null).await;
    let mut basket = wanted(items);
    basket["form"] = form["form"].clone();
    let begun = plainly(browser, Method::POST, "/wallet/checkouts/guest", "a", &basket).await;
    format!("/wallet/checkouts/guest/{}", text(&begun, "link"))
}

async fn buys_as_a_guest(walk: Walk) {
    let mut browser = walk.browser();
    let here = guest(&mut browser, &[("tea", 1)]).await;
    let found = went(&browser.plain(&Method::GET, &here, &[], b"").await);
    let mut more = wanted(&[("tea", 2)]);
    more["revision"] = found["revision"].clone();
    let changed = plainly(&mut browser, Method::PUT, &here, "b", &more).await;
    let complete = format!("{here}/complete");
    plainly(&mut browser, Method::POST, &complete, "c", &agreed(&changed, FakeRail::ID)).await;
}

async fn gives_a_guests_checkout_up(walk: Walk) {
    let mut browser = walk.browser();
    let here = guest(&mut browser, &[("book", 1)]).await;
    plainly(&mut browser, Method::POST, &format!("{here}/cancel"), "d", &Value::Null).await;
}

pub fn fields(fields: &[(&str, &str)]) -> String {
    form_urlencoded::Serializer::new(String::new()).extend_pairs(fields).finish()
}

/// The fields of the checkout page as a browser would send them, with these in their place, and this button.
fn filled(page: &str, act: &str, with: &[(&str, &str)]) -> String {
    let mut sent: Vec<(String, String)> = Vec::new();
    let form = page.split("class=\"checkout\"").nth(1).expect("a form");
    for tag in form.split('<').filter(|tag| tag.starts_with("input ")) {
        let attribute = |name: &str| {
            let (_, rest) = tag.split_once(&format!(" {name}=\""))?;
            Some(rest.split('"').next().unwrap().replace("&amp;", "&").replace("&lt;", "<"))
        };
        let kind = attribute("type").unwrap_or_default();
        if matches!(kind.as_str(), "radio" | "checkbox") && !tag.contains(" checked") {
            continue;
        }
        sent.push((attribute("name").unwrap(), attribute("value").unwrap_or_default()));
    }
    for (name, value) in with {
        match sent.iter_mut().find(|(known, _)| known == name) {
            Some((_, known)) => *known = (*value).to_owned(),
            None => sent.push(((*name).to_owned(), (*value).to_owned())),
        }
    }
    sent.push(("act".to_owned(), act.to_owned()));
    let sent: Vec<(&str, &str)> = sent.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    fields(&sent)
}

async fn looked(browser: &mut Browser, path: &str) -> String {
    let reply = browser.plain(&Method::GET, path, &[("sec-fetch-mode", "navigate")], b"").await;
    went(&reply);
    reply.text()
}

#[track_caller]
fn led_to(reply: &Reply) -> String {
    assert_eq!(reply.status, 303, "{}", reply.text());
    reply.header("location").to_owned()
}

/// The value of a hidden field.
fn hidden(page: &str, name: &str) -> String {
    let (_, rest) = page.split_once(&format!("name=\"{name}\" value=\"")).expect("the field");
    rest.split('"').next().unwrap().to_owned()
}

async fn buys_by_forms(walk: Walk) {
    let mut browser = walk.browser();
    looked(&mut browser, "/wallet/checkout").await;
    let here = led_to(&browser.plain_form("/wallet/checkout", "item=tea&quantity=3&item=cake&quantity=1").await);
    let page = looked(&mut browser, &here).await;
    let home = [
        ("name", "Erika Mustermann"),
        ("street", "Heidestraße 17"),
        ("postal_code", "51147"),
        ("locality", "Köln"),
        ("country", "DE"),
        ("rail", FakeRail::ID),
    ];
    led_to(&browser.plain_form(&here, &filled(&page, "update", &home)).await);
    let page = looked(&mut browser, &here).await;
    led_to(&browser.plain_form(&here, &filled(&page, "complete", &home)).await);
    let page = looked(&mut browser, &here).await;
    assert!(page.contains("It is paid."), "{page}");

    let receipt = format!("{here}/receipt");
    let page = looked(&mut browser, &receipt).await;
    let number = page.split("kept/receipt-").nth(1).unwrap().split('.').next().unwrap().to_owned();
    looked(&mut browser, &format!("{here}/kept/receipt-{number}.json")).await;
    went(&browser.plain_form(&receipt, &fields(&[("key", &number)])).await);

    let withdraw = format!("{here}/withdraw");
    let mut page = looked(&mut browser, &withdraw).await;
    for act in ["choose", "confirm"] {
        let key = hidden(&page, "key");
        let form = fields(&[("key", &key), ("item", "tea"), ("quantity", "2"), ("act", act)]);
        let reply = browser.plain_form(&withdraw, &form).await;
        went(&reply);
        page = reply.text();
    }
    looked(&mut browser, &format!("{here}/kept/withdrawal-1.txt")).await;
}

async fn is_notified(walk: Walk) {
    let rail = &walk.place().rail;
    let order = paid(&walk, Mood::Says(Outcome::Pending)).await;
    rail.decide(order.id(), 1, Outcome::Paid);
    let notice = rail.notice_of(order.id(), 1, walk.merchant().now()).unwrap();
    went(&walk.browser().notice(FakeRail::ID, &notice).await);
}
