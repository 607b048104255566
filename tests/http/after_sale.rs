//! After the sale, through the router: what is sent, arrives, is taken back and withdrawn from, by whom, and what is refused.

use axum::{
    Json, Router,
    body::Bytes,
    extract::{Path, State},
    routing::{get, post},
};
use firsthand::{
    Merchant,
    error::Refusal,
    merchant::Order,
    money::{Currency, Money, MoneyError, Quantity},
    order::{Acknowledgement, Adjustment, AdjustmentReason, Draft, Exemption, Line, OrderId, Parcel, Part, Withdrawal},
};
use firsthand_axum::{
    CustomerLayer, Known, Problem, routes,
    testing::{Browser, FakeRail, Reply, TestShop},
};
use http::{Method, StatusCode};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use url::form_urlencoded;

use crate::{
    orders::{fields, ordered},
    setting::{exported, refused},
};

struct Selling {
    shop: TestShop,
    app: Router,
}

impl Selling {
    fn new() -> Self {
        let shop = TestShop::with(|builder| builder.store(firsthand::store::Memory::new()).rail(FakeRail::new()));
        let app = Router::new()
            .route("/checkout", get(form).post(checkout))
            .route("/orders/{id}/withdrawal", get(withdrawal).post(withdraw))
            .route("/merchant/orders/{id}/{act}", post(act))
            .with_state(shop.merchant().clone())
            .merge(routes(shop.merchant()))
            .layer(CustomerLayer::new(shop.merchant().clone()));
        Self { shop, app }
    }

    async fn customer(&self) -> Browser {
        let mut browser = Browser::new(&self.shop, self.app.clone());
        browser.sign_in("adult").await;
        browser
    }

    async fn order(&self, id: &OrderId) -> Order {
        self.shop.merchant().order(id).await.unwrap().expect("an order")
    }

    /// The merchant does something about an order.
    async fn does(&self, id: &OrderId, act: &str, what: &Value) -> Reply {
        let path = format!("/merchant/orders/{id}/{act}");
        Browser::new(&self.shop, self.app.clone()).plain(&Method::POST, &path, &[], what.to_string().as_bytes()).await
    }
}

/// Two teas of 10.00 and a cake of 5.00, paid.
async fn paid(browser: &mut Browser) -> OrderId {
    let form = browser.get("/checkout").await.text();
    ordered(&browser.post_form("/checkout", &fields(&[("form", &form)])).await)
}

async fn form(known: Known) -> String {
    known.form()
}

async fn checkout(known: Known, body: Bytes) -> Result<Json<Value>, Problem> {
    let euros = |minor| Money::new(minor, Currency::EUR);
    let cake = Line::new("cake", "Cake", euros(500)?, Quantity::new(1)?).no_withdrawal(Exemption::Perishable);
    let draft = Draft::new(Currency::EUR).line("tea", "Tea", euros(1000)?, Quantity::new(2)?).with(cake);
    let order = known.place(draft, &field(&body, "form")).await?.commit().await?.pay(FakeRail::ID).await?;
    Ok(Json(json!({ "order": order.id() })))
}

async fn withdrawal(known: Known, Path(id): Path<String>) -> Result<Json<Withdrawal>, Problem> {
    Ok(Json(own(&known, &id).await?.withdrawal()))
}

async fn withdraw(known: Known, Path(id): Path<String>, body: Bytes) -> Result<Json<Vec<Acknowledgement>>, Problem> {
    let parts = read(field(&body, "parts").as_bytes())?;
    let order = own(&known, &id).await?.withdraw(parts, &field(&body, "key")).await?.commit().await?;
    Ok(Json(order.acknowledgements()))
}

async fn act(
    State(merchant): State<Merchant>,
    Path((id, act)): Path<(String, String)>,
    body: Bytes,
) -> Result<Json<Value>, Problem> {
    let id = id.parse().map_err(|_| Refusal::NoSuchOrder)?;
    let order = merchant.order(&id).await?.ok_or(Refusal::NoSuchOrder)?;
    let step = match act.as_str() {
        "sent" => order.sent(read(&body)?).await?,
        "delivered" => order.delivered(&read::<String>(&body)?).await?,
        "adjust" => order.adjust(read(&body)?).await?,
        _ => {
            let (key, amount): (String, Money) = read(&body)?;
            order.settle_withdrawal(&key, amount).await?
        }
    };
    let order = step.commit().await?;
    Ok(Json(json!({ "fulfilment": order.fulfilment().name(), "owed": order.ledger().owed.decimal() })))
}

async fn own(known: &Known, id: &str) -> Result<Order, Problem> {
    Ok(known.order(&id.parse().map_err(|_| Refusal::NoSuchOrder)?).await?)
}

fn read<T: DeserializeOwned>(body: &[u8]) -> Result<T, Problem> {
    // What holds a quantity of nothing, or of anything odd, is no value of its type at all.
    serde_json::from_slice(body).map_err(|_| MoneyError::NotAQuantity.into())
}

fn field(body: &[u8], name: &str) -> String {
    form_urlencoded::parse(body).find(|(key, _)| key == name).map(|(_, value)| value.into_owned()).unwrap_or_default()
}

fn tea(quantity: i64) -> Value {
    json!([{ "item": "tea", "quantity": quantity }])
}

fn stated(key: &str, parts: &Value) -> String {
    fields(&[("key", key), ("parts", &parts.to_string())])
}

#[tokio::test]
async fn parcels_go_out_once_and_never_with_more_than_was_bought() {
    let selling = Selling::new();
    let id = paid(&mut selling.customer().await).await;
    let parcel = |key: &str, lines: Value| json!({ "key": key, "lines": lines, "carrier": "DHL", "tracking": "00340" });
    for (what, status, code) in [
        (parcel("1", tea(3)), 409, "more_than_bought"),
        (parcel("1", tea(0)), 422, "quantity_invalid"),
        (parcel("1", tea(-1)), 422, "quantity_invalid"),
        (parcel("1", tea(4_294_967_297)), 422, "quantity_invalid"),
        (parcel("1", json!([])), 422, "invalid_parts"),
        (parcel("1", json!([{ "item": "wine", "quantity": 1 }])), 422, "no_such_item"),
        (parcel("a/b", tea(1)), 422, "invalid_key"),
        (json!({ "key": "1", "lines": tea(1), "link": "javascript:alert(1)" }), 422, "invalid_parcel"),
        (json!({ "key": "1", "lines": tea(1), "link": "nowhere" }), 422, "quantity_invalid"),
        (json!({ "key": "1", "lines": tea(1), "paid": true }), 422, "quantity_invalid"),
    ] {
        refused(&selling.does(&id, "sent", &what).await, status, code);
    }
    refused(&selling.does(&id, "delivered", &json!("1")).await, 404, "no_such_parcel");
    for _ in 0..2 {
        assert_eq!(selling.does(&id, "sent", &parcel("1", tea(2))).await.json()["fulfilment"], "partly");
    }
    refused(&selling.does(&id, "sent", &parcel("1", tea(1))).await, 409, "key_differs");
    refused(&selling.does(&id, "sent", &parcel("2", tea(1))).await, 409, "more_than_bought");
    let cake = json!([{ "item": "cake", "quantity": 1 }]);
    assert_eq!(selling.does(&id, "sent", &parcel("2", cake)).await.json()["fulfilment"], "sent");
    for (key, fulfilment) in [("1", "sent"), ("2", "delivered"), ("1", "delivered")] {
        assert_eq!(selling.does(&id, "delivered", &json!(key)).await.json()["fulfilment"], fulfilment);
    }
}

#[tokio::test]
async fn a_customer_withdraws_once_in_time_and_from_what_is_theirs() {
    let selling = Selling::new();
    let (mut browser, mut other) = (selling.customer().await, selling.customer().await);
    let id = paid(&mut browser).await;
    let path = format!("/orders/{id}/withdrawal");
    let open = browser.get(&path).await.json();
    assert_eq!((&open["lines"][0]["stands"], &open["lines"][0]["left"]), (&json!("open"), &json!(2)));
    assert_eq!((&open["lines"][1]["stands"], &open["lines"][1]["left"]), (&json!("exempt"), &json!(0)));
    // Nobody, and somebody else.
    assert_eq!(browser.plain_form(&path, &stated("w1", &tea(1))).await.status, StatusCode::UNAUTHORIZED);
    refused(&other.post_form(&path, &stated("w1", &tea(1))).await, 404, "no_such_order");
    refused(&other.get(&path).await, 404, "no_such_order");
    for (parts, status, code) in [
        (tea(3), 409, "more_than_bought"),
        (tea(0), 422, "quantity_invalid"),
        (json!([]), 422, "invalid_parts"),
        (json!([{ "item": "cake", "quantity": 1 }]), 409, "withdrawal_exempt"),
        (json!([{ "item": "wine", "quantity": 1 }]), 422, "no_such_item"),
    ] {
        refused(&browser.post_form(&path, &stated("w1", &parts)).await, status, code);
    }
    let at = selling.shop.merchant().now().as_secs();
    for _ in 0..2 {
        let acknowledged = browser.post_form(&path, &stated("w1", &tea(1))).await.json();
        assert_eq!(acknowledged.as_array().unwrap().len(), 1, "{acknowledged}");
        assert_eq!((&acknowledged[0]["at"], &acknowledged[0]["order"]), (&json!(at), &json!(id)));
        assert_eq!(acknowledged[0]["lines"], json!([{ "item": "tea", "title": "Tea", "quantity": 1 }]));
        selling.shop.advance_s(1);
    }
    refused(&browser.post_form(&path, &stated("w1", &tea(2))).await, 409, "key_differs");
    refused(&browser.post_form(&path, &stated("w2", &tea(2))).await, 409, "more_than_bought");

    let euros = |minor: i64| json!({ "minor": minor, "currency": "EUR" });
    refused(&selling.does(&id, "settle", &json!(["w2", euros(1000)])).await, 404, "no_such_withdrawal");
    refused(&selling.does(&id, "settle", &json!(["w1", euros(2501)])).await, 409, "refund_too_large");
    for _ in 0..2 {
        assert_eq!(selling.does(&id, "settle", &json!(["w1", euros(1000)])).await.json()["owed"], "10.00");
    }
    let back = |key: &str, quantity: i64, minor: i64| json!({ "key": key, "reason": "returned", "lines": tea(quantity), "amount": euros(minor) });
    refused(&selling.does(&id, "adjust", &back("a", 2, 100)).await, 409, "more_than_bought");
    refused(&selling.does(&id, "adjust", &back("a", 1, 1501)).await, 409, "refund_too_large");
    assert_eq!(selling.does(&id, "adjust", &back("a", 1, 900)).await.json()["owed"], "19.00");
    assert_eq!(selling.does(&id, "adjust", &back("a", 1, 900)).await.json()["owed"], "19.00");
    refused(&selling.does(&id, "adjust", &back("a", 1, 901)).await, 409, "key_differs");
}

#[tokio::test]
async fn the_time_to_withdraw_ends() {
    let selling = Selling::new();
    let mut browser = selling.customer().await;
    let id = paid(&mut browser).await;
    let all = json!([{ "item": "tea", "quantity": 2 }, { "item": "cake", "quantity": 1 }]);
    selling.does(&id, "sent", &json!({ "key": "1", "lines": all })).await;
    selling.does(&id, "delivered", &json!("1")).await;
    let until = selling.order(&id).await.withdrawal().lines[0].until.unwrap();
    let left_s = until.since_s(selling.shop.merchant().now());
    assert!((14 * 24 * 3600..=19 * 24 * 3600).contains(&left_s), "{left_s}");
    selling.shop.advance_s(left_s);
    let order = selling.order(&id).await;
    let late = order.withdraw(order.withdrawal().all(), "w1").await.unwrap_err();
    assert_eq!((late.code(), order.withdrawal().is_open()), ("invalid_parts", false));
    // The customer comes back after weeks: the session is over, and they show who they are again.
    browser.sign_in("adult").await;
    let path = format!("/orders/{id}/withdrawal");
    refused(&browser.post_form(&path, &stated("w1", &tea(1))).await, 409, "withdrawal_over");
}

#[tokio::test]
async fn a_customer_takes_along_what_became_of_an_order() {
    let selling = Selling::new();
    let mut browser = selling.customer().await;
    let id = paid(&mut browser).await;
    let tea = |count| vec![Part::new("tea", Quantity::new(count).unwrap())];
    let euros = |minor| Money::new(minor, Currency::EUR).unwrap();
    let order = selling.order(&id).await;
    let parcel = Parcel::new("1", tea(2)).carried_by("DHL", Some("00340434".to_owned()));
    let parcel = parcel.tracked_at("https://carrier.example/00340434".parse().unwrap());
    order.sent(parcel).await.unwrap().commit().await.unwrap();
    selling.shop.advance_s(3600);
    order.delivered("1").await.unwrap().commit().await.unwrap();
    let cheaper = Adjustment { key: "a".into(), reason: AdjustmentReason::Damaged, lines: tea(1), amount: euros(150) };
    order.adjust(cheaper).await.unwrap().commit().await.unwrap();
    let order = order.withdraw(tea(1), "w").await.unwrap().commit().await.unwrap();

    let taken = exported(&mut browser).await["orders"][0].clone();
    let now = selling.shop.merchant().now();
    let sent_at = order.parcels()[0].sent_at.to_string();
    assert_eq!(
        taken["parcels"],
        json!([{
            "contents": [{ "title": "Tea", "quantity": 2 }], "carrier": "DHL", "tracking": "00340434",
            "link": "https://carrier.example/00340434", "sent_at": sent_at, "delivered_at": now.to_string(),
        }])
    );
    assert_eq!(
        taken["adjustments"],
        json!([{
            "reason": "damaged", "contents": [{ "title": "Tea", "quantity": 1 }], "amount": "1.50",
            "at": now.to_string(),
        }])
    );
    let withdrawal = json!({
        "contents": [{ "title": "Tea", "quantity": 1 }], "at": now.to_string(),
        "refund_by": now.plus_s(14 * 24 * 3600).to_string(), "settled": false,
    });
    assert_eq!(taken["withdrawals"], json!([withdrawal]));
    order.settle_withdrawal("w", euros(850)).await.unwrap().commit().await.unwrap();
    let taken = exported(&mut browser).await["orders"][0].clone();
    assert_eq!(
        (&taken["withdrawals"][0]["settled"], &taken["adjustments"][1]["amount"]),
        (&json!(true), &json!("8.50"))
    );
}
