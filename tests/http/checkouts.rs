//! Checkouts over HTTP: JSON for customers and guests, the page that needs no script, and everything that somebody could send
//! to get more than they pay for, or another's.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use axum::{Router, extract::Request, middleware::map_request};
use firsthand::{
    Merchant, Money,
    merchant::GuestLink,
    money::{Currency, Quantity},
    order::OrderState,
    rail::{Outcome, Sepa},
    store::Memory,
    trade::{Codes, FlatRates, Item, Items, Off, Shelf, Trade, Vat, Way},
};
use firsthand_axum::{
    CheckoutPage, CustomerLayer, routes,
    testing::{Browser, FakeRail, Mood, Reply, TestShop},
};
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header};
use serde_json::{Value, json};

use crate::{
    orders::{IBAN, fields},
    setting::{exported, refused},
};

const ORIGIN: &str = "https://shop.example";
const FORM: &str = "application/x-www-form-urlencoded";

/// A shop that sells by checkouts, and everything in it.
pub struct Till {
    pub shop: TestShop,
    pub rail: FakeRail,
    shelf: Shelf,
    app: Router,
    /// How many requests have come.
    requests: Arc<AtomicUsize>,
}

fn euro(text: &str) -> Money {
    Money::parse(text, Currency::EUR).unwrap()
}

fn trade(shelf: &Shelf) -> Trade {
    let items = Items::new([
        Item::new("sencha", "Sencha <b>100 g</b>", euro("14.80")).sent(120),
        Item::new("book", "A book as a file", euro("9.90")).at_most(Quantity::new(10).unwrap()),
        Item::new("wine", "Riesling", euro("12.00")).sent(1_300).needs(&TestShop::age()),
        Item::new("free", "A sample as a file", euro("0")),
    ])
    .unwrap();
    let ways = FlatRates::new()
        .way(Way::new("parcel", "Parcel", euro("4.90")).within_days(1, 3), &["DE", "AT"], 20_000)
        .way(Way::new("letter", "Letter", euro("2.00")), &["DE"], 500);
    let codes = Codes::new().word("TEA10", Off::percent("Ten percent", "10".parse().unwrap()));
    let vat = Vat::within_prices("DE")
        .rate("DE", "standard", "19".parse().unwrap())
        .area(&["AT"])
        .reverse_charge(|id, to| id == "ATU12345678" && to == "AT");
    Trade::new(Currency::EUR, items)
        .inventory(shelf.clone())
        .shipping(ways)
        .discount(codes)
        .tax(vat)
        .address_from(&TestShop::address())
}

impl Till {
    pub async fn open() -> Self {
        let (store, rail) = (Memory::new(), FakeRail::new());
        let shelf = Shelf::new(store.clone());
        let sepa = Sepa::new("Test Shop", IBAN).unwrap();
        let shop = TestShop::with(|shop| shop.store(store).rail(rail.clone()).rail(sepa).trade(trade(&shelf)));
        let page = CheckoutPage::new()
            .shop("Blatt & Rebe")
            .back("/cart")
            .terms("/terms")
            .privacy("/privacy")
            .withdrawal("/withdrawal")
            .countries(&["DE", "AT"])
            .rail(FakeRail::ID, "Card", "Karte");
        let layer = CustomerLayer::new(shop.merchant().clone()).checkout_page(page);
        let requests = Arc::new(AtomicUsize::new(0));
        let counted = requests.clone();
        let count = map_request(move |request: Request| {
            counted.fetch_add(1, Ordering::SeqCst);
            std::future::ready(request)
        });
        let app = Router::new().merge(routes(shop.merchant())).layer(layer).layer(count);
        let this = Self { shop, rail, shelf, app, requests };
        for item in ["sencha", "book", "wine", "free"] {
            this.shelf.stock(item, 20, this.merchant().now()).await.unwrap();
        }
        this
    }

    pub fn merchant(&self) -> &Merchant {
        self.shop.merchant()
    }

    pub fn browser(&self) -> Browser {
        Browser::new(&self.shop, self.app.clone())
    }

    pub async fn customer(&self) -> Browser {
        let mut browser = self.browser();
        browser.sign_in("adult").await;
        browser
    }

    async fn left(&self, item: &str) -> (u64, u64) {
        let count = self.shelf.count(item, self.merchant().now()).await.unwrap();
        (count.left, count.held)
    }

    /// A guest's checkout by JSON, and its path.
    pub async fn guest(&self, browser: &mut Browser, mut basket: Value) -> (Value, String) {
        basket["form"] = self.merchant().guest_form().into();
        let begun = plainly(browser, &Method::POST, "/wallet/checkouts/guest", None, &basket).await;
        assert_eq!(begun.status, StatusCode::CREATED, "{}", begun.text());
        let body = begun.json();
        let path = format!("/wallet/checkouts/guest/{}", body["link"].as_str().unwrap());
        (body, path)
    }

    /// The page that a guest is led to with this basket.
    pub async fn page(&self, browser: &mut Browser, form: &str) -> String {
        let reply = browser.plain_form("/wallet/checkout", form).await;
        assert_eq!(reply.status, StatusCode::SEE_OTHER, "{}", reply.text());
        reply.header("location").to_owned()
    }
}

/// A signed request with a key.
pub async fn keyed(browser: &mut Browser, method: &Method, path: &str, key: Option<&str>, body: &Value) -> Reply {
    with_headers(browser, method, path, &key.map(|key| ("idempotency-key", key)).into_iter().collect::<Vec<_>>(), body)
        .await
}

async fn with_headers(
    browser: &mut Browser,
    method: &Method,
    path: &str,
    more: &[(&'static str, &str)],
    body: &Value,
) -> Reply {
    let bytes = if body.is_null() { String::new() } else { body.to_string() };
    let mut reply = None;
    for _ in 0..2 {
        let digested = Some(bytes.as_bytes()).filter(|bytes| !bytes.is_empty());
        let proof = browser.sign(&browser.claims(method, path, digested));
        let mut headers = HeaderMap::new();
        headers.insert("dpop", HeaderValue::try_from(proof).unwrap());
        if let Some(token) = &browser.token {
            headers.insert(header::AUTHORIZATION, HeaderValue::try_from(format!("DPoP {token}")).unwrap());
        }
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
        for (name, value) in more {
            headers.append(HeaderName::from_static(name), HeaderValue::try_from(*value).unwrap());
        }
        let answer = browser.send(method, path, headers, bytes.as_bytes()).await;
        let again = answer.code() == "use_dpop_nonce";
        reply = Some(answer);
        if !again {
            break;
        }
    }
    reply.unwrap()
}

/// The same of a guest: nobody signs.
pub async fn plainly(browser: &mut Browser, method: &Method, path: &str, key: Option<&str>, body: &Value) -> Reply {
    let mut headers = vec![("origin", ORIGIN), ("content-type", "application/json")];
    headers.extend(key.map(|key| ("idempotency-key", key)));
    let bytes = if body.is_null() { String::new() } else { body.to_string() };
    browser.plain(method, path, &headers, bytes.as_bytes()).await
}

pub fn basket(items: &[(&str, i64)]) -> Value {
    let items: Vec<Value> =
        items.iter().map(|(id, quantity)| json!({ "item": { "id": id }, "quantity": quantity })).collect();
    json!({ "line_items": items })
}

fn sent_home(mut basket: Value) -> Value {
    basket["fulfillment"]["destination"] = json!({
        "name": "Erika Mustermann", "street_address": "Heidestraße 17", "postal_code": "51147",
        "address_locality": "Köln", "address_country": "DE",
    });
    basket
}

fn agreed(checkout: &Value, rail: &str) -> Value {
    let total = checkout["totals"].as_array().unwrap().last().unwrap()["amount"].clone();
    json!({ "revision": checkout["revision"], "total": total, "payment": { "handler_id": rail } })
}

pub fn codes(checkout: &Value) -> Vec<&str> {
    checkout["messages"].as_array().unwrap().iter().map(|one| one["code"].as_str().unwrap()).collect()
}

#[tokio::test]
async fn a_customer_begins_changes_and_completes_a_checkout() {
    let till = Till::open().await;
    let mut browser = till.customer().await;
    let path = "/wallet/checkouts";
    let wanted = basket(&[("sencha", 2), ("book", 1)]);
    let begun = keyed(&mut browser, &Method::POST, path, Some("a"), &wanted).await;
    assert_eq!((begun.status, begun.header("etag")), (StatusCode::CREATED, "\"1\""), "{}", begun.text());
    assert_eq!(begun.header("cache-control"), "private, no-store");
    let again = keyed(&mut browser, &Method::POST, path, Some("a"), &wanted).await.json();
    let checkout = begun.json();
    assert_eq!(again["id"], checkout["id"], "one key, one checkout");
    assert_eq!((checkout["status"].as_str(), codes(&checkout)), (Some("incomplete"), vec!["address_missing"]));
    assert_eq!(checkout["messages"][0]["path"], "$.fulfillment.destination");
    assert_eq!((checkout["currency"].as_str(), checkout["missing"].clone()), (Some("EUR"), json!(["address"])));
    assert_eq!(checkout["links"][2], json!({"type": "withdrawal_policy", "url": "https://shop.example/withdrawal"}));
    let id = checkout["id"].as_str().unwrap();
    assert_eq!(checkout["continue_url"], format!("https://shop.example/wallet/checkout/{id}"));

    let here = format!("{path}/{id}");
    let mut wanted = sent_home(wanted);
    wanted["revision"] = 1.into();
    wanted["discounts"] = json!({ "codes": ["tea10", "guess"] });
    wanted["fulfillment"]["option_id"] = "letter".into();
    let changed = keyed(&mut browser, &Method::PUT, &here, Some("b"), &wanted).await;
    assert_eq!((changed.status, changed.header("etag")), (StatusCode::OK, "\"2\""), "{}", changed.text());
    let same = keyed(&mut browser, &Method::PUT, &here, Some("b"), &wanted).await;
    assert_eq!(same.header("etag"), "\"2\"", "sent again, it is changed once");
    let changed = changed.json();
    assert_eq!(
        (changed["status"].as_str(), codes(&changed)),
        (Some("ready_for_complete"), vec!["discount_code_invalid"])
    );
    assert_eq!(changed["messages"][0]["path"], "$.discounts.codes[1]");
    let total = |kind: &str, amount: i64| json!({ "type": kind, "amount": amount });
    let expected =
        [total("subtotal", 3950), total("items_discount", -395), total("fulfillment", 200), total("total", 3755)];
    assert_eq!(changed["totals"], json!(expected));
    assert_eq!(changed["taxes"], json!([{ "rate": "19", "net": 3156, "amount": 599 }]));
    assert_eq!(changed["fulfillment"]["destination"]["address_locality"], "Köln");
    let selected = |ways: &Value| {
        ways.as_array().unwrap().iter().find(|way| way["selected"] == true).map(|way| way["id"].clone()).unwrap()
    };
    assert_eq!(selected(&changed["fulfillment"]["options"]), "letter");
    assert_eq!(changed["payment"]["handlers"], json!([{ "id": "fake" }, { "id": "sepa" }]));

    let done =
        keyed(&mut browser, &Method::POST, &format!("{here}/complete"), Some("c"), &agreed(&changed, "fake")).await;
    let done = done.json();
    assert_eq!(
        (done["status"].as_str(), done["order"]["status"].as_str()),
        (Some("completed"), Some("paid")),
        "{done}"
    );
    assert!(done["order"]["number"].as_str().unwrap().starts_with("RF") && done.get("continue_url").is_none());
    assert_eq!(till.rail.calls(), 1);
    let twice =
        keyed(&mut browser, &Method::POST, &format!("{here}/complete"), Some("c"), &agreed(&changed, "fake")).await;
    assert_eq!((twice.json()["order"]["id"].clone(), till.rail.calls()), (done["order"]["id"].clone(), 1));
    assert_eq!(till.left("sencha").await, (18, 0));
    let looked = browser.get(&here).await.json();
    assert_eq!((looked["status"].as_str(), looked["fulfillment"].get("destination")), (Some("completed"), None));
}

#[tokio::test]
async fn a_customer_takes_along_the_checkouts_that_are_kept() {
    let till = Till::open().await;
    let mut browser = till.customer().await;
    let mut wanted = sent_home(basket(&[("sencha", 2)]));
    wanted["discounts"]["codes"] = json!(["TEA10"]);
    let begun = keyed(&mut browser, &Method::POST, "/wallet/checkouts", Some("a"), &wanted).await;
    assert_eq!(begun.status, StatusCode::CREATED, "{}", begun.text());
    let taken = exported(&mut browser).await["checkouts"].clone();
    let [checkout] = taken.as_array().unwrap().as_slice() else { panic!("{taken}") };
    assert_eq!(checkout["id"], begun.json()["id"]);
    assert_eq!((&checkout["status"], &checkout["currency"]), (&json!("ready_for_complete"), &json!("EUR")));
    assert_eq!(checkout["items"], json!([{ "item": "sencha", "quantity": 2 }]));
    assert_eq!((&checkout["codes"], &checkout["total"]), (&json!(["TEA10"]), &json!("31.54")));
    assert!(checkout["address"].as_array().is_some_and(|lines| lines.len() == 4), "{checkout}");
    // Nobody else's.
    let mut other = till.browser();
    other.sign_in("national").await;
    assert_eq!(exported(&mut other).await["checkouts"], json!([]));
    // And not for longer than it is kept.
    till.shop.advance_s(firsthand::checkout::CHECKOUT_S + 1);
    let mut again = till.customer().await;
    assert_eq!(exported(&mut again).await["checkouts"], json!([]));
}

#[tokio::test]
async fn one_tap_is_two_requests() {
    let till = Till::open().await;
    let mut browser = till.customer().await;
    browser.prove("address", "adult").await;
    // The nonce is warm: the last answer brought it, and nothing is sent twice.
    let before = till.requests.load(Ordering::SeqCst);
    let begun =
        keyed(&mut browser, &Method::POST, "/wallet/checkouts", Some("a"), &basket(&[("wine", 1)])).await.json();
    assert_eq!(
        (begun["status"].as_str(), begun["missing"].clone()),
        (Some("ready_for_complete"), json!([])),
        "{begun}"
    );
    assert_eq!(begun["fulfillment"]["source"], "wallet");
    let path = format!("/wallet/checkouts/{}/complete", begun["id"].as_str().unwrap());
    let done = keyed(&mut browser, &Method::POST, &path, Some("b"), &agreed(&begun, "fake")).await.json();
    assert_eq!(done["status"].as_str(), Some("completed"), "{done}");
    assert_eq!(till.requests.load(Ordering::SeqCst) - before, 2);
}

#[tokio::test]
async fn what_is_not_signed_not_theirs_or_not_keyed_is_refused() {
    let till = Till::open().await;
    let (mut browser, mut other, mut nobody) = (till.customer().await, till.customer().await, till.browser());
    let path = "/wallet/checkouts";
    refused(
        &plainly(&mut nobody, &Method::POST, path, Some("a"), &basket(&[("book", 1)])).await,
        401,
        "invalid_dpop_proof",
    );
    refused(&keyed(&mut nobody, &Method::POST, path, Some("a"), &basket(&[("book", 1)])).await, 401, "not_known");
    let begun = keyed(&mut browser, &Method::POST, path, Some("a"), &basket(&[("book", 1)])).await.json();
    let here = format!("{path}/{}", begun["id"].as_str().unwrap());
    let all = [
        (Method::PUT, here.clone(), {
            let mut body = basket(&[("book", 2)]);
            body["revision"] = 1.into();
            body
        }),
        (Method::POST, format!("{here}/complete"), agreed(&begun, "fake")),
    ];
    // What is given up twice is given up once: that needs no key.
    let cancel = [(Method::POST, format!("{here}/cancel"), Value::Null)];
    for (method, path, body) in &all {
        refused(&keyed(&mut browser, method, path, None, body).await, 400, "idempotency_key_needed");
        refused(&keyed(&mut browser, method, path, Some(""), body).await, 400, "idempotency_key_invalid");
        refused(&keyed(&mut browser, method, path, Some(&"k".repeat(129)), body).await, 400, "idempotency_key_invalid");
        let two = [("idempotency-key", "a"), ("idempotency-key", "b")];
        refused(&with_headers(&mut browser, method, path, &two, body).await, 400, "idempotency_key_invalid");
    }
    for (method, path, body) in all.iter().chain(&cancel) {
        refused(&keyed(&mut other, method, path, Some("x"), body).await, 404, "no_such_checkout");
        refused(&plainly(&mut nobody, method, path, Some("x"), body).await, 401, "invalid_dpop_proof");
        refused(&keyed(&mut nobody, method, path, Some("x"), body).await, 401, "not_known");
    }
    refused(
        &keyed(&mut browser, &Method::POST, path, None, &basket(&[("book", 1)])).await,
        400,
        "idempotency_key_needed",
    );
    refused(
        &keyed(&mut browser, &Method::POST, path, Some("a"), &basket(&[("book", 2)])).await,
        409,
        "idempotency_key_used",
    );
    for name in ["k_00000000000000000000000000000000", "nothing", "%2e%2e"] {
        refused(&browser.get(&format!("{path}/{name}")).await, 404, "no_such_checkout");
    }
    refused(&other.get(&here).await, 404, "no_such_checkout");
    refused(&browser.plain(&Method::GET, &here, &[], b"").await, 401, "invalid_dpop_proof");
    assert_eq!((till.rail.calls(), till.left("book").await), (0, (20, 0)));
}

#[tokio::test]
async fn a_body_is_what_it_should_be() {
    let till = Till::open().await;
    let mut browser = till.customer().await;
    let many: Vec<(String, i64)> = (0..51).map(|n| (format!("item-{n}"), 1)).collect();
    let many: Vec<(&str, i64)> = many.iter().map(|(name, n)| (name.as_str(), *n)).collect();
    let huge: Value = serde_json::from_str(r#"{"line_items":[{"item":{"id":"book"},"quantity":1e30}]}"#).unwrap();
    let mut nowhere = sent_home(basket(&[("sencha", 1)]));
    nowhere["fulfillment"]["destination"]["name"] = "".into();
    let cases = [
        (basket(&[]), 422, "checkout_empty"),
        (basket(&many), 422, "checkout_too_large"),
        (basket(&[("book", 0)]), 422, "quantity_invalid"),
        (basket(&[("book", -1)]), 422, "quantity_invalid"),
        (basket(&[("book", 1_000_001)]), 422, "quantity_invalid"),
        (basket(&[("book", i64::MAX)]), 422, "quantity_invalid"),
        (basket(&[("book", 600_000), ("book", 600_000)]), 422, "checkout_too_large"),
        (basket(&[("bo\nok", 1)]), 422, "invalid_text"),
        (nowhere, 422, "address_missing"),
        (huge, 400, "invalid_request"),
        (json!({ "line_items": [{ "item": { "id": "book" }, "quantity": 1.5 }] }), 400, "invalid_request"),
        (json!({ "line_items": "book" }), 400, "invalid_request"),
        (json!([]), 400, "invalid_request"),
    ];
    for (number, (body, status, code)) in cases.into_iter().enumerate() {
        let reply = keyed(&mut browser, &Method::POST, "/wallet/checkouts", Some(&format!("n-{number}")), &body).await;
        if code == "address_missing" {
            assert_eq!(reply.status.as_u16(), status, "{}", reply.text());
            continue;
        }
        refused(&reply, status, code);
    }
    let long = json!({ "line_items": [], "x": "a".repeat(64 * 1024) });
    refused(&keyed(&mut browser, &Method::POST, "/wallet/checkouts", Some("l"), &long).await, 413, "body_too_large");
    let reply = browser.signed(Method::POST, "/wallet/checkouts", Some((FORM, b"item=book"))).await;
    refused(&reply, 400, "idempotency_key_needed");
    // What the shop sells no more, or too little of, is no error: it is told.
    let told =
        keyed(&mut browser, &Method::POST, "/wallet/checkouts", Some("t"), &basket(&[("gone", 1), ("book", 21)])).await;
    let told = told.json();
    assert_eq!(codes(&told), ["item_unavailable", "quantity_too_large", "out_of_stock"]);
    assert_eq!(
        (told["messages"][1]["path"].as_str(), told["messages"][0]["about"].as_str()),
        (Some("$.line_items[0]"), Some("gone"))
    );
}

#[tokio::test]
async fn an_old_revision_a_wrong_total_and_an_unknown_rail_complete_nothing() {
    let till = Till::open().await;
    let mut browser = till.customer().await;
    let begun =
        keyed(&mut browser, &Method::POST, "/wallet/checkouts", Some("a"), &basket(&[("book", 1)])).await.json();
    let here = format!("/wallet/checkouts/{}", begun["id"].as_str().unwrap());
    let complete = format!("{here}/complete");
    let bent = |name: &str, value: Value| {
        let mut body = agreed(&begun, "fake");
        body[name] = value;
        body
    };
    for (number, (body, status, code)) in [
        (bent("revision", 9.into()), 409, "checkout_changed"),
        (bent("revision", Value::Null), 428, "revision_needed"),
        (bent("total", 1.into()), 409, "total_changed"),
        (bent("total", (-1).into()), 422, "negative_amount"),
        (bent("payment", json!({ "handler_id": "nobody" })), 404, "no_such_rail"),
        (bent("payment", json!({ "handler_id": "" })), 404, "no_such_rail"),
        (bent("payment", json!({})), 422, "rail_needed"),
    ]
    .into_iter()
    .enumerate()
    {
        let reply = keyed(&mut browser, &Method::POST, &complete, Some(&format!("k-{number}")), &body).await;
        assert_eq!(reply.status.as_u16(), status, "{}", reply.text());
        if code != "negative_amount" {
            refused(&reply, status, code);
        }
        if code == "total_changed" {
            assert_eq!(reply.json()["total"], json!({ "minor": 990, "currency": "EUR" }));
        }
    }
    let mut wanted = basket(&[("book", 2)]);
    for (tag, status, code) in [
        ("\"7\"", 412, "checkout_changed"),
        ("7", 400, "if_match_invalid"),
        ("*", 400, "if_match_invalid"),
        ("\"1\", \"2\"", 400, "if_match_invalid"),
    ] {
        let headers = [("idempotency-key", "p"), ("if-match", tag)];
        refused(&with_headers(&mut browser, &Method::PUT, &here, &headers, &wanted).await, status, code);
    }
    refused(&keyed(&mut browser, &Method::PUT, &here, Some("q"), &wanted).await, 428, "revision_needed");
    wanted["revision"] = 2.into();
    let two = [("idempotency-key", "r"), ("if-match", "\"1\"")];
    refused(&with_headers(&mut browser, &Method::PUT, &here, &two, &wanted).await, 400, "if_match_invalid");
    refused(&keyed(&mut browser, &Method::PUT, &here, Some("s"), &wanted).await, 409, "checkout_changed");
    wanted.as_object_mut().unwrap().remove("revision");
    let right = [("idempotency-key", "t"), ("if-match", "\"1\"")];
    let changed = with_headers(&mut browser, &Method::PUT, &here, &right, &wanted).await;
    assert_eq!((changed.status, changed.header("etag")), (StatusCode::OK, "\"2\""), "{}", changed.text());
    assert_eq!((till.rail.calls(), till.left("book").await), (0, (20, 0)));

    // What is not ready is told, and no error.
    let tea =
        keyed(&mut browser, &Method::POST, "/wallet/checkouts", Some("u"), &basket(&[("sencha", 1)])).await.json();
    let complete = format!("/wallet/checkouts/{}/complete", tea["id"].as_str().unwrap());
    let told = keyed(&mut browser, &Method::POST, &complete, Some("v"), &agreed(&tea, "fake")).await;
    assert_eq!((told.status, codes(&told.json())), (StatusCode::OK, vec!["address_missing"]));
    assert_eq!(till.rail.calls(), 0);
}

#[tokio::test]
async fn it_is_given_up_expires_and_is_gone() {
    let till = Till::open().await;
    let mut browser = till.customer().await;
    let begun =
        keyed(&mut browser, &Method::POST, "/wallet/checkouts", Some("a"), &basket(&[("book", 1)])).await.json();
    let here = format!("/wallet/checkouts/{}", begun["id"].as_str().unwrap());
    for key in [None, None, Some("c")] {
        let reply = keyed(&mut browser, &Method::POST, &format!("{here}/cancel"), key, &Value::Null).await;
        assert_eq!((reply.status, reply.json()["status"].as_str()), (StatusCode::OK, Some("canceled")));
    }
    let over =
        keyed(&mut browser, &Method::POST, &format!("{here}/complete"), Some("d"), &agreed(&begun, "fake")).await;
    refused(&over, 409, "checkout_over");
    let begun =
        keyed(&mut browser, &Method::POST, "/wallet/checkouts", Some("e"), &basket(&[("book", 1)])).await.json();
    let here = format!("/wallet/checkouts/{}", begun["id"].as_str().unwrap());
    till.shop.advance_s(30 * 60 + 1);
    refused(&browser.get(&here).await, 404, "no_such_checkout");
    let late =
        keyed(&mut browser, &Method::POST, &format!("{here}/complete"), Some("f"), &agreed(&begun, "fake")).await;
    refused(&late, 404, "no_such_checkout");
}

#[tokio::test]
async fn a_guest_has_a_link_and_nothing_else() {
    let till = Till::open().await;
    let mut browser = till.browser();
    let mut wanted = sent_home(basket(&[("sencha", 1)]));
    refused(&plainly(&mut browser, &Method::POST, "/wallet/checkouts/guest", None, &wanted).await, 400, "form_needed");
    wanted["form"] = "AAAA".into();
    refused(&plainly(&mut browser, &Method::POST, "/wallet/checkouts/guest", None, &wanted).await, 403, "form_invalid");
    let form = till.merchant().guest_form();
    wanted["form"] = form.clone().into();
    for origin in ["https://other.example", "null"] {
        let headers = [("origin", origin), ("content-type", "application/json")];
        let bytes = wanted.to_string();
        let reply = browser.plain(&Method::POST, "/wallet/checkouts/guest", &headers, bytes.as_bytes()).await;
        refused(&reply, 403, "cross_site");
    }
    let begun = plainly(&mut browser, &Method::POST, "/wallet/checkouts/guest", None, &wanted).await.json();
    let again = plainly(&mut browser, &Method::POST, "/wallet/checkouts/guest", None, &wanted).await.json();
    assert_eq!((&begun["id"], &begun["link"]), (&again["id"], &again["link"]), "one form, one checkout");
    let here = format!("/wallet/checkouts/guest/{}", begun["link"].as_str().unwrap());
    let looked = browser.plain(&Method::GET, &here, &[], b"").await;
    assert_eq!((looked.status, looked.header("cache-control")), (StatusCode::OK, "private, no-store"));
    assert_eq!(looked.json().get("link"), None);
    for forged in ["AAECAwQFBgcICQoLDA0ODw", "short", begun["id"].as_str().unwrap()] {
        let forged = format!("/wallet/checkouts/guest/{forged}");
        refused(&browser.plain(&Method::GET, &forged, &[], b"").await, 404, "no_such_checkout");
        let reply =
            plainly(&mut browser, &Method::POST, &format!("{forged}/complete"), Some("a"), &agreed(&begun, "fake"))
                .await;
        refused(&reply, 404, "no_such_checkout");
    }
    let mut wanted = basket(&[("sencha", 2)]);
    wanted["revision"] = 1.into();
    refused(&plainly(&mut browser, &Method::PUT, &here, None, &wanted).await, 400, "idempotency_key_needed");
    let changed = plainly(&mut browser, &Method::PUT, &here, Some("b"), &wanted).await.json();
    assert_eq!(
        changed["fulfillment"]["destination"]["name"], "Erika Mustermann",
        "an address stays where none is said"
    );
    let complete = format!("{here}/complete");
    till.rail.next(Mood::Declines);
    let failed = plainly(&mut browser, &Method::POST, &complete, Some("c"), &agreed(&changed, "fake")).await.json();
    assert_eq!((failed["status"].as_str(), codes(&failed)), (Some("ready_for_complete"), vec!["payment_declined"]));
    let done = plainly(&mut browser, &Method::POST, &complete, Some("d"), &agreed(&failed, "sepa")).await.json();
    assert_eq!(
        (done["status"].as_str(), done["order"]["status"].as_str()),
        (Some("completed"), Some("paying")),
        "{done}"
    );
    let page = done["order"]["permalink_url"].as_str().unwrap().strip_prefix(ORIGIN).unwrap().to_owned();
    let page = browser.plain(&Method::GET, &page, &[], b"").await.text();
    assert!(page.contains("<svg") && page.contains("DE89 3704 0044 0532 0130 00"), "{page}");
    let over = plainly(&mut browser, &Method::POST, &format!("{here}/cancel"), None, &Value::Null).await;
    refused(&over, 409, "checkout_over");
    // Another guest's link is another checkout.
    let (other, path) = till.guest(&mut browser, basket(&[("book", 1)])).await;
    assert_ne!(other["id"], done["id"]);
    let given_up =
        plainly(&mut browser, &Method::POST, &format!("{path}/cancel"), Some("x"), &Value::Null).await.json();
    assert_eq!(given_up["status"], "canceled");
}

#[tokio::test]
async fn an_address_of_another_device_is_shown_masked() {
    let till = Till::open().await;
    let mut browser = till.customer().await;
    let asking = browser.ask("address", firsthand::Device::CrossDevice).await;
    let request = browser.wallet_reads(&asking).await;
    browser.wallet_answers(&request, "adult", &[]).await;
    let redeemed = browser.redeem(&json!({ "presentation": asking.id })).await;
    assert_eq!(redeemed.status, StatusCode::OK, "{}", redeemed.text());
    let begun = keyed(&mut browser, &Method::POST, "/wallet/checkouts", Some("a"), &basket(&[("sencha", 1)])).await;
    let (text, begun) = (begun.text(), begun.json());
    assert_eq!(begun["status"], "ready_for_complete", "{begun}");
    assert!(begun["fulfillment"]["destination"]["name"].as_str().unwrap().ends_with('…'), "{begun}");
    assert!(!text.contains("Köln"));
    let page = browser.get(&format!("/wallet/checkout/{}", begun["id"].as_str().unwrap())).await.text();
    assert!(!page.contains("Köln") && page.contains("only the first letters"), "{page}");
}

#[tokio::test]
async fn a_shop_without_a_trade_has_none_of_it() {
    let shop = TestShop::new();
    let app: Router = Router::new().merge(routes(shop.merchant())).layer(CustomerLayer::new(shop.merchant().clone()));
    let mut browser = Browser::new(&shop, app);
    for path in ["/wallet/checkout", "/wallet/checkout.css", "/wallet/checkouts", "/wallet/checkouts/guest"] {
        assert_eq!(browser.plain(&Method::GET, path, &[], b"").await.status, StatusCode::NOT_FOUND, "{path}");
        assert_eq!(browser.plain_form(path, "item=tea").await.status, StatusCode::NOT_FOUND, "{path}");
    }
}

// --- the page

pub const HOME: [(&str, &str); 5] = [
    ("name", "Erika Mustermann"),
    ("street", "Heidestraße 17"),
    ("postal_code", "51147"),
    ("locality", "Köln"),
    ("country", "DE"),
];

/// The fields of the page as a browser would send them, with these in their place, and this button.
pub fn filled(page: &str, act: &str, with: &[(&str, &str)]) -> String {
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
    let chosen = form.split("<option value=\"").find(|option| option.contains("\" selected>"));
    if let Some(chosen) = chosen {
        sent.push(("country".to_owned(), chosen.split('"').next().unwrap().to_owned()));
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

pub async fn looked(browser: &mut Browser, path: &str) -> Reply {
    browser.plain(&Method::GET, path, &[("sec-fetch-mode", "navigate")], b"").await
}

#[track_caller]
pub fn led_to(reply: &Reply) -> String {
    assert_eq!(reply.status, StatusCode::SEE_OTHER, "{}", reply.text());
    reply.header("location").to_owned()
}

#[tokio::test]
async fn a_guest_buys_with_plain_forms_and_nothing_is_done_twice() {
    let till = Till::open().await;
    let mut browser = till.browser();
    let path = till.page(&mut browser, "item=sencha&quantity=2&item=book").await;
    let reply = looked(&mut browser, &path).await;
    for (name, value) in [
        ("cache-control", "private, no-store"),
        ("referrer-policy", "same-origin"),
        ("x-robots-tag", "noindex"),
        ("x-content-type-options", "nosniff"),
    ] {
        assert_eq!(reply.header(name), value);
    }
    let policy = reply.header("content-security-policy");
    assert!(policy.starts_with("default-src 'none'") && !policy.contains("unsafe"), "{policy}");
    let page = reply.text();
    assert!(!page.contains("<b>100 g") && !page.contains(" style=") && !page.contains("<style"), "{page}");
    for part in
        ["Blatt &amp; Rebe", "Order with obligation to pay", "Card", "Bank transfer", "/withdrawal", "includes 19% VAT"]
    {
        assert!(page.contains(part), "{part} is missing in {page}");
    }
    assert!(!page.contains("role=\"alert\""), "nothing is wrong yet");

    // Ordered without an address: what is missing is said beside the fields.
    let wrong = browser.plain_form(&path, &filled(&page, "complete", &[("name", "Erika")])).await;
    assert_eq!(wrong.status, StatusCode::UNPROCESSABLE_ENTITY);
    let wrong = wrong.text();
    for part in [
        "role=\"alert\"",
        "href=\"#street\"",
        "id=\"locality-error\"",
        "aria-describedby=\"street-error\"",
        "value=\"Erika\"",
    ] {
        assert!(wrong.contains(part), "{part} is missing in {wrong}");
    }
    // An address changes what it costs: that is shown before anything is ordered.
    let priced = led_to(&browser.plain_form(&path, &filled(&page, "complete", &HOME)).await);
    assert!(priced.contains("said=price&was=3950"), "{priced}");
    let page = looked(&mut browser, &priced).await.text();
    assert!(page.contains("It now costs €44.40 (before: €39.50)."), "{page}");
    assert_eq!(till.rail.calls(), 0);

    let order = filled(&page, "complete", &[("rail", "fake")]);
    let first = led_to(&browser.plain_form(&path, &order).await);
    let second = led_to(&browser.plain_form(&path, &order).await);
    assert_eq!((first.as_str(), second.as_str()), (path.as_str(), format!("{path}?said=ordered_already").as_str()));
    assert_eq!((till.rail.calls(), till.left("sencha").await), (1, (18, 0)));
    let done = looked(&mut browser, &second).await.text();
    for part in [
        "Thank you for your order",
        "Nothing was done a second time",
        "It is paid.",
        "Heidestraße 17",
        "Keep this address",
    ] {
        assert!(done.contains(part), "{part} is missing in {done}");
    }
    // The order is there when the checkout is long gone.
    till.shop.advance_s(2 * 24 * 3600);
    let later = looked(&mut browser, &path).await;
    assert!(later.text().contains("Thank you for your order"), "{}", later.text());
}

#[tokio::test]
async fn the_page_speaks_german_and_changes_what_is_wanted() {
    let till = Till::open().await;
    let mut browser = till.browser();
    let path = till.page(&mut browser, &fields(&[("item", "book"), ("quantity", "2"), ("code", "TEA10")])).await;
    let german = [("accept-language", "de-AT,de;q=0.9"), ("sec-fetch-mode", "navigate")];
    let page = browser.plain(&Method::GET, &path, &german, b"").await.text();
    for part in [
        "<html lang=\"de\">",
        "Zahlungspflichtig bestellen",
        "17,82\u{a0}€",
        "Überweisung",
        "Karte",
        "Widerrufsbelehrung",
        "USt-IdNr.",
    ] {
        assert!(page.contains(part), "{part} is missing in {page}");
    }
    let page = looked(&mut browser, &format!("{path}?lang=de")).await.text();
    assert!(page.contains(&format!("action=\"{path}?lang=de\"")), "the language goes on: {page}");
    let asked = format!("{path}?lang=de");
    let updated = led_to(&browser.plain_form(&asked, &filled(&page, "update", &[("quantity", "3")])).await);
    assert_eq!(updated, format!("{path}?lang=de&said=updated"));
    // The very form once more, from another tab: it is told, and changes nothing.
    let stale =
        led_to(&browser.plain_form(&asked, &filled(&page, "update", &[("quantity", "7"), ("key", "other")])).await);
    assert_eq!(stale, format!("{path}?lang=de&said=changed"));
    let page = looked(&mut browser, &stale).await.text();
    assert!(page.contains("anderen Tab") && page.contains("value=\"3\""), "{page}");
    for (quantity, status) in [("-1", 422), ("1e9", 422), ("99999999", 422), ("0", 422)] {
        let reply = browser.plain_form(&path, &filled(&page, "update", &[("quantity", quantity)])).await;
        assert_eq!(reply.status.as_u16(), status, "{quantity}");
    }
    let reply = browser.plain_form(&path, &filled(&page, "complete", &[("rail", "nobody")])).await;
    assert!(reply.status == 422 && reply.text().contains("Choose how to pay"));
    let wrong_total =
        led_to(&browser.plain_form(&path, &filled(&page, "complete", &[("total", "1"), ("rail", "fake")])).await);
    assert!(wrong_total.contains("said=price&was=1"), "{wrong_total}");
    assert_eq!(till.rail.calls(), 0);
}

#[tokio::test]
async fn a_business_elsewhere_and_an_order_for_nothing() {
    let till = Till::open().await;
    let mut browser = till.browser();
    let path = till.page(&mut browser, "item=sencha").await;
    let page = looked(&mut browser, &path).await.text();
    let mut vienna = HOME.to_vec();
    vienna.extend([("country", "AT"), ("postal_code", "1010"), ("locality", "Wien"), ("vat_id", "ATU12345678")]);
    led_to(&browser.plain_form(&path, &filled(&page, "update", &vienna)).await);
    let page = looked(&mut browser, &path).await.text();
    assert!(page.contains("reverse charge") && page.contains("€16.56"), "{page}");
    let path = till.page(&mut browser, "item=free").await;
    let page = looked(&mut browser, &path).await.text();
    assert!(!page.contains("name=\"rail\""), "nothing is to pay");
    led_to(&browser.plain_form(&path, &filled(&page, "complete", &[])).await);
    assert!(looked(&mut browser, &path).await.text().contains("It is paid."));
    assert_eq!(till.rail.calls(), 0);
}

#[tokio::test]
async fn forms_of_other_sites_and_forged_links_lead_nowhere() {
    let till = Till::open().await;
    let mut browser = till.browser();
    let path = till.page(&mut browser, "item=book").await;
    let page = looked(&mut browser, &path).await.text();
    let order = filled(&page, "complete", &[("rail", "fake")]);
    for (at, form) in [("/wallet/checkout", "item=book"), (path.as_str(), order.as_str())] {
        for (name, value) in [("origin", "https://other.example"), ("origin", "null"), ("sec-fetch-site", "cross-site")]
        {
            let headers = [("content-type", FORM), (name, value)];
            refused(&browser.plain(&Method::POST, at, &headers, form.as_bytes()).await, 403, "cross_site");
        }
        refused(&browser.plain(&Method::POST, at, &[("content-type", FORM)], form.as_bytes()).await, 403, "cross_site");
    }
    for forged in ["AAECAwQFBgcICQoLDA0ODw", "x", "k_zz"] {
        let reply = looked(&mut browser, &format!("/wallet/checkout/{forged}")).await;
        assert_eq!((reply.status.as_u16(), reply.header("cache-control")), (404, "private, no-store"));
        assert!(reply.text().contains("There is nothing here"));
    }
    for nothing in ["", "item=", "item=book&quantity=0", "item=book&quantity=-3"] {
        let reply = browser.plain_form("/wallet/checkout", nothing).await;
        assert_eq!(reply.status, StatusCode::UNPROCESSABLE_ENTITY, "{nothing}");
    }
    let many = (0..51).map(|n| format!("item=i{n}")).collect::<Vec<_>>().join("&");
    assert_eq!(browser.plain_form("/wallet/checkout", &many).await.status, StatusCode::UNPROCESSABLE_ENTITY);
    let hostile = till.page(&mut browser, &fields(&[("item", "\"><script>alert(1)</script>")])).await;
    let page =
        looked(&mut browser, &format!("{hostile}?said=price&was=%22%3E%3Cscript%3E&lang=%3Cscript%3E")).await.text();
    assert!(!page.contains("<script>"), "{page}");
    assert_eq!(till.rail.calls(), 0);
}

#[tokio::test]
async fn what_lay_for_too_long_begins_anew_with_what_was_typed() {
    let till = Till::open().await;
    let mut browser = till.browser();
    let path = till.page(&mut browser, "item=sencha").await;
    let page = looked(&mut browser, &path).await.text();
    till.shop.advance_s(31 * 60);
    assert_eq!(looked(&mut browser, &path).await.status, StatusCode::NOT_FOUND);
    let anew = led_to(&browser.plain_form(&path, &filled(&page, "complete", &HOME)).await);
    assert!(anew.contains("said=begun_anew") && !anew.starts_with(&path), "{anew}");
    let page = looked(&mut browser, &anew).await.text();
    assert!(page.contains("value=\"Heidestraße 17\"") && page.contains("begins anew"), "{page}");
    assert_eq!(till.rail.calls(), 0);
}

#[tokio::test]
async fn a_payment_that_nobody_knows_of_is_asked_about_until_it_is_known() {
    let till = Till::open().await;
    let mut browser = till.browser();
    let path = till.page(&mut browser, "item=book").await;
    let page = looked(&mut browser, &path).await.text();
    till.rail.next(Mood::Says(Outcome::Unknown));
    assert_eq!(led_to(&browser.plain_form(&path, &filled(&page, "complete", &[("rail", "fake")])).await), path);
    let waiting = looked(&mut browser, &path).await;
    assert_eq!(waiting.header("refresh"), "5");
    assert!(waiting.text().contains("Please do not order again"));
    let still = looked(&mut browser, &format!("{path}?wait=no")).await;
    assert_eq!(still.header("refresh"), "", "it can be stopped");
    let link: GuestLink = path.rsplit('/').next().unwrap().parse().unwrap();
    let checkout = till.merchant().guest_checkout(&link).await.unwrap();
    let order = checkout.record().attempted_order().unwrap().clone();
    till.rail.decide(&order, 1, Outcome::Paid);
    assert!(looked(&mut browser, &path).await.text().contains("Thank you for your order"));
    assert_eq!(till.merchant().order(&order).await.unwrap().unwrap().state(), OrderState::Paid);

    // A rail that sends the customer elsewhere: a plain form may not leave the origin, so a page leads there.
    let path = till.page(&mut browser, "item=book").await;
    let page = looked(&mut browser, &path).await.text();
    let there = "https://pay.example/p?a=1&b=2".parse().unwrap();
    till.rail.next(Mood::Says(Outcome::Continue(there)));
    let led = led_to(&browser.plain_form(&path, &filled(&page, "complete", &[("rail", "fake")])).await);
    assert_eq!(led, format!("{path}?go=1"));
    let leading = looked(&mut browser, &led).await.text();
    assert!(leading.contains("content=\"0; url=https://pay.example/p?a=1&amp;b=2\""), "{leading}");
    let back = looked(&mut browser, &path).await.text();
    assert!(!back.contains("http-equiv") && back.contains("href=\"https://pay.example/p?a=1&amp;b=2\""), "{back}");
}

#[tokio::test]
async fn a_customer_has_the_page_signed_and_takes_over_what_they_began_as_a_guest() {
    let till = Till::open().await;
    let (mut guest, mut known, mut other) = (till.browser(), till.browser(), till.customer().await);
    let path = till.page(&mut guest, "item=wine").await;
    let page = looked(&mut guest, &path).await.text();
    assert!(page.contains("<firsthand-button ask=\"age address\"") && page.contains("<noscript>"), "{page}");
    let ordered = browser_order(&mut guest, &path, &page).await;
    assert!(ordered.ends_with("said=not_ready"), "{ordered}");
    let page = looked(&mut guest, &ordered).await.text();
    assert!(page.contains("href=\"#proofs\""), "{page}");

    // Both are answered in one presentation.
    let asking = known.ask("age address", firsthand::Device::SameDevice).await;
    let request = known.wallet_reads(&asking).await;
    let answer = known.wallet_answers(&request, "adult", &[]).await;
    let code = firsthand_axum::testing::response_code(&answer);
    let redeemed = known.redeem(&json!({ "presentation": asking.id, "response_code": code })).await;
    assert_eq!(redeemed.status, StatusCode::OK, "{}", redeemed.text());
    let page = known.get(&path).await;
    assert!(page.text().contains("value=\"take_over\"") && !page.header("dpop-nonce").is_empty(), "{}", page.text());
    assert!(!looked(&mut guest, &path).await.text().contains("value=\"take_over\""));
    let taken = known.post_form(&path, "act=take_over&item=wine&quantity=1").await;
    assert_eq!(taken.status, StatusCode::NO_CONTENT, "the script is told where to go: {}", taken.text());
    let theirs = taken.header("firsthand-location").to_owned();
    assert!(theirs.starts_with("/wallet/checkout/k_"), "{theirs}");
    assert_eq!(looked(&mut guest, &path).await.status, StatusCode::NOT_FOUND, "the link leads nowhere now");

    // A reload brings a page that signs; others learn nothing.
    let theirs = theirs.split('?').next().unwrap().to_owned();
    let shell = looked(&mut guest, &theirs).await;
    assert!(shell.status == 200 && shell.text().contains("data-firsthand-page=\"shell\""));
    assert_eq!(other.get(&theirs).await.status, StatusCode::NOT_FOUND);
    refused(&guest.plain(&Method::GET, &theirs, &[], b"").await, 401, "invalid_dpop_proof");
    let page = known.get(&theirs).await.text();
    assert!(page.contains("From your wallet.") && !page.contains("firsthand-button ask"), "{page}");
    let form = filled(&page, "complete", &[("rail", "sepa")]);
    let done = known.post_form(&theirs, &form).await;
    assert_eq!(done.header("firsthand-location"), theirs, "{}", done.text());
    let done = known.get(&theirs).await.text();
    assert!(done.contains("We wait for your transfer.") && !done.contains("Keep this address"), "{done}");
    // Where a rail sends the customer elsewhere, the script goes there by itself.
    let begun = known.post_form("/wallet/checkout", "item=book").await;
    let elsewhere = begun.header("firsthand-location").to_owned();
    let page = known.get(&elsewhere).await.text();
    till.rail.next(Mood::Says(Outcome::Continue("https://pay.example/p".parse().unwrap())));
    let led = known.post_form(&elsewhere, &filled(&page, "complete", &[("rail", "fake")])).await;
    assert_eq!(led.header("firsthand-location"), "https://pay.example/p", "{}", led.text());

    // The order has a page of its own for good.
    let order = done_order(&mut known, &theirs).await;
    till.shop.advance_s(26 * 3600);
    known.sign_in("adult").await;
    assert!(known.get(&order).await.text().contains("We wait for your transfer."));
    assert_eq!(other.get(&order).await.status, StatusCode::NOT_FOUND);
}

async fn browser_order(browser: &mut Browser, path: &str, page: &str) -> String {
    let mut with = HOME.to_vec();
    with.push(("rail", "fake"));
    let first = led_to(&browser.plain_form(path, &filled(page, "complete", &with)).await);
    if !first.contains("said=price") {
        return first;
    }
    let page = looked(browser, &first).await.text();
    led_to(&browser.plain_form(path, &filled(&page, "complete", &[("rail", "fake")])).await)
}

/// The page of the order that a customer's checkout became.
pub async fn done_order(browser: &mut Browser, path: &str) -> String {
    let checkout = browser.get(&path.replace("/checkout/", "/checkouts/")).await.json();
    checkout["order"]["permalink_url"].as_str().unwrap().strip_prefix(ORIGIN).unwrap().to_owned()
}
