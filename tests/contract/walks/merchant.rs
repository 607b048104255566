//! What a merchant's program does, with the key of an operator.

use firsthand::{
    Money,
    merchant::Order,
    money::Currency,
    order::{Draft, Exemption, Line},
    rail::Outcome,
};
use firsthand_axum::testing::{FakeRail, Mood, Reply};
use http::{HeaderMap, HeaderValue, Method};
use serde_json::{Value, json};

use super::{
    Named,
    people::{text, went},
    walk,
};
use crate::{
    made_statements::{Camt, Detail, Entry},
    place::{ERP, IBAN, Walk, euro, quantity},
};

pub fn walks() -> Vec<Named> {
    vec![
        walk!(looks),
        walk!(sends_and_takes_back),
        walk!(refunds),
        walk!(decides_a_refund),
        walk!(refunds_by_the_bank),
        walk!(captures),
        walk!(releases_and_cancels),
        walk!(decides),
        walk!(books_transfers),
        walk!(imports_a_statement),
        walk!(counts_stock),
        walk!(mends_the_outbox),
    ]
}

async fn send(walk: &Walk, method: Method, path: &str, kind: Option<&'static str>, body: &[u8]) -> Reply {
    let mut headers = HeaderMap::new();
    let key = format!("Bearer {}", walk.place().anna.reveal());
    headers.insert("authorization", HeaderValue::try_from(key).unwrap());
    if let Some(kind) = kind {
        headers.insert("content-type", HeaderValue::from_static(kind));
    }
    walk.browser().send(&method, &format!("/merchant/api{path}"), headers, body).await
}

async fn reads(walk: &Walk, path: &str) -> Value {
    went(&send(walk, Method::GET, path, None, b"").await)
}

async fn does(walk: &Walk, path: &str) -> Value {
    went(&send(walk, Method::POST, path, None, b"").await)
}

async fn says(walk: &Walk, path: &str, body: &Value) -> Value {
    went(&send(walk, Method::POST, path, Some("application/json"), body.to_string().as_bytes()).await)
}

fn amount(minor: i64) -> Value {
    json!({ "minor": minor, "currency": "EUR" })
}

/// Three teas of 10.00 and a cake of 5.00 that nobody can give back.
async fn placed(walk: &Walk) -> Order {
    let cake = Line::new("cake", "Cake", euro("5.00"), quantity(1)).no_withdrawal(Exemption::Perishable);
    let price = Money::parse("10.00", Currency::EUR).unwrap();
    let draft = Draft::new(Currency::EUR).line("tea", "Sencha", price, quantity(3)).with(cake);
    let form = walk.merchant().guest_form();
    walk.merchant().place_as_guest(draft, &form).await.unwrap().commit().await.unwrap().order
}

/// An order, paid in this mood of the rail's.
pub async fn paid(walk: &Walk, mood: Mood) -> Order {
    walk.place().rail.next(mood);
    placed(walk).await.pay(FakeRail::ID).await.unwrap()
}

fn at(order: &Order) -> String {
    format!("/orders/{}", order.id())
}

async fn looks(walk: Walk) {
    let order = paid(&walk, Mood::Does).await;
    let own = at(&order);
    let numbered = format!("/orders?reference={}", order.reference().as_str());
    for path in [
        "/orders",
        &numbered,
        "/orders.csv",
        &own,
        "/refunds",
        "/refund-files",
        "/withdrawals",
        "/transfers",
        "/stock",
        "/stock/tea",
        "/holds",
        "/webhooks",
    ] {
        reads(&walk, path).await;
    }
}

async fn sends_and_takes_back(walk: Walk) {
    let order = paid(&walk, Mood::Does).await;
    let path = at(&order);
    let part = |item: &str, quantity: u32| json!([{ "item": item, "quantity": quantity }]);
    let link = "https://dhl.example/1";
    let parcel = json!({ "key": "p1", "lines": part("tea", 1), "carrier": "DHL", "tracking": "1", "link": link });
    says(&walk, &format!("{path}/parcels"), &parcel).await;
    does(&walk, &format!("{path}/parcels/p1/delivered")).await;
    let cheaper = json!({ "key": "a", "reason": "damaged", "lines": part("tea", 1), "amount": amount(200) });
    says(&walk, &format!("{path}/adjustments"), &cheaper).await;
    says(&walk, &format!("{path}/withdrawals"), &json!({ "key": "w", "lines": part("tea", 2) })).await;
    reads(&walk, "/withdrawals").await;
    says(&walk, &format!("{path}/withdrawals/w/settle"), &json!({ "amount": amount(1900) })).await;
    reads(&walk, "/refunds").await;
    reads(&walk, &path).await;
}

/// The path of the one refund of an order.
async fn owed(walk: &Walk, order: &Order, minor: i64) -> String {
    let broken = json!({ "amount": amount(minor), "key": "broken" });
    says(walk, &format!("{}/refunds", at(order)), &broken).await;
    let all = reads(walk, "/refunds").await;
    let own = |one: &&Value| one["order"] == order.id().as_str();
    let refund = all["refunds"].as_array().unwrap().iter().find(own).unwrap_or_else(|| panic!("{all}"));
    format!("/refunds/{}/{}", order.id(), text(refund, "key").replace('/', "%2F"))
}

async fn refunds(walk: Walk) {
    let order = paid(&walk, Mood::Does).await;
    let refund = owed(&walk, &order, 480).await;
    does(&walk, &format!("{refund}/send")).await;
    does(&walk, &format!("{refund}/done")).await;
}

async fn decides_a_refund(walk: Walk) {
    let order = paid(&walk, Mood::Does).await;
    let refund = owed(&walk, &order, 480).await;
    walk.place().rail.next(Mood::Says(Outcome::Unknown));
    does(&walk, &format!("{refund}/send")).await;
    says(&walk, &format!("{refund}/decide"), &json!({ "was_sent": false })).await;
}

fn account() -> Value {
    json!({ "holder": "Erika Mustermann", "iban": "DE02120300000000202051" })
}

async fn refunds_by_the_bank(walk: Walk) {
    let order = placed(&walk).await.pay("sepa").await.unwrap();
    let number = order.reference().as_str().to_owned();
    let booking = json!({ "id": walk.place().fresh("B"), "amount": amount(3500), "text": number, "payer": account() });
    says(&walk, "/transfers", &booking).await;
    let refund = owed(&walk, &order, 480).await;
    says(&walk, &format!("{refund}/account"), &account()).await;
    let day = walk.merchant().now().to_string().chars().take(10).collect::<String>();
    let file = json!({ "key": walk.place().fresh("file"), "on": day });
    says(&walk, "/refund-files", &file).await;
    let files = reads(&walk, "/refund-files").await;
    let name = files["files"].as_array().unwrap().last().unwrap().as_str().unwrap().to_owned();
    went(&send(&walk, Method::GET, &format!("/refund-files/{name}"), None, b"").await);
    does(&walk, &format!("{refund}/reopen")).await;
}

async fn captures(walk: Walk) {
    let order = paid(&walk, Mood::Authorises).await;
    let path = at(&order);
    says(&walk, &format!("{path}/captures"), &json!({ "amount": amount(480), "key": "parcel-1" })).await;
    does(&walk, &format!("{path}/close")).await;
}

async fn releases_and_cancels(walk: Walk) {
    let order = paid(&walk, Mood::Does).await;
    let path = at(&order);
    does(&walk, &format!("{path}/release")).await;
    does(&walk, &format!("{path}/send-anyway")).await;
    let waits = placed(&walk).await;
    does(&walk, &format!("{}/cancel", at(&waits))).await;
}

async fn decides(walk: Walk) {
    let order = paid(&walk, Mood::Says(Outcome::Unknown)).await;
    says(&walk, &format!("{}/decide", at(&order)), &json!({ "attempt": 1, "happened": true })).await;
}

/// A transfer that names nothing, and its path.
async fn unmatched(walk: &Walk, minor: i64) -> String {
    let booking = json!({ "id": walk.place().fresh("B"), "amount": amount(minor), "text": "Tee", "payer": account() });
    format!("/transfers/{}", text(&says(walk, "/transfers", &booking).await, "transfer"))
}

async fn books_transfers(walk: Walk) {
    let order = placed(&walk).await.pay("sepa").await.unwrap();
    let transfer = unmatched(&walk, 3500).await;
    reads(&walk, "/transfers").await;
    says(&walk, &format!("{transfer}/assign"), &json!({ "order": order.reference().printed() })).await;
    let transfer = unmatched(&walk, 1).await;
    does(&walk, &format!("{transfer}/returned")).await;
    let transfer = unmatched(&walk, 1).await;
    does(&walk, &format!("{transfer}/same")).await;
}

async fn imports_a_statement(walk: Walk) {
    let order = placed(&walk).await.pay("sepa").await.unwrap();
    let entry = Entry::credit("0.20", "A1", Detail::saying(order.reference().as_str()));
    let statement = Camt::statement(IBAN, vec![entry]).xml();
    went(&send(&walk, Method::POST, "/statements", Some("application/xml"), statement.as_bytes()).await);
}

async fn counts_stock(walk: Walk) {
    let item = walk.place().fresh("thing");
    let new = json!({ "more": 6, "delivery": "7719", "new": true });
    says(&walk, &format!("/stock/{item}/deliveries"), &new).await;
    says(&walk, &format!("/stock/{item}/count"), &json!({ "left": 5, "seen": 6 })).await;
    reads(&walk, &format!("/stock/{item}")).await;
}

async fn mends_the_outbox(walk: Walk) {
    let (shop, erp) = (&walk.place().shop, ERP.parse().unwrap());
    let order = placed(&walk).await;
    shop.network().status(&erp, 410);
    walk.merchant().deliver_webhooks().await.unwrap();
    reads(&walk, "/webhooks").await;
    does(&walk, "/webhooks/erp/enable").await;
    does(&walk, &format!("/webhooks/erp/{}/1/replay", order.id())).await;
    shop.network().serve(&erp, "text/plain", "ok");
}
