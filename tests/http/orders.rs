//! Selling through the router: a shop with a checkout for customers and for guests, an order page, a rail, and everything
//! that somebody could send to it to get more than they paid for.

use std::sync::{
    Arc,
    atomic::{AtomicI64, Ordering},
};

use axum::{
    Json, Router,
    body::Bytes,
    extract::{Path, State},
    routing::{get, post},
};
use firsthand::{
    Ask, Device, Merchant, Wanted,
    ask::PID,
    error::Refusal,
    merchant::{Booking, GuestLink, Order, Transfer},
    money::{Currency, Money, MoneyError, Quantity},
    order::{Address, BankAccount, Draft, OrderId, OrderState},
    rail::{Notice, Outcome, Sepa},
    store::{Memory, Store},
};
use firsthand_axum::{
    CustomerLayer, Known, Problem, Recent, SameOrigin, routes,
    testing::{Browser, FakeRail, Mood, Reply, TestShop},
};
use http::{Method, StatusCode};
use serde_json::{Map, Value, json};
use url::form_urlencoded;

use crate::{
    probe::{FORM, Ledger, Meeting},
    setting::{answered, bent, exported, misfits, refused, signed_headers},
};

/// An account that is nobody's.
pub const IBAN: &str = "DE89370400440532013000";

/// What tea costs until somebody changes it, in cents.
const TEA: i64 = 1480;

/// A shop that sells, as the tests hold it.
pub struct Selling {
    pub shop: TestShop,
    pub rail: FakeRail,
    app: Router,
    price: Arc<AtomicI64>,
}

/// What the handlers have.
#[derive(Clone)]
struct Counter {
    merchant: Merchant,
    price: Arc<AtomicI64>,
}

impl Selling {
    pub fn over(store: impl Store) -> Self {
        let rail = FakeRail::new();
        let sepa = Sepa::new("Test Shop", IBAN).unwrap();
        let shop = TestShop::with(|builder| builder.store(store).rail(rail.clone()).rail(sepa));
        let price = Arc::new(AtomicI64::new(TEA));
        let counter = Counter { merchant: shop.merchant().clone(), price: price.clone() };
        let app = Router::new()
            .route("/checkout", get(form).post(checkout))
            .route("/guest/checkout", get(guest_form).post(guest_checkout))
            .route("/guest/orders/{link}", get(guest_order))
            .route("/orders", get(orders))
            .route("/orders/{id}", get(order))
            .route("/orders/{id}/pay/{rail}", post(pay))
            .route("/orders/{id}/cancel", post(cancel))
            .route("/orders/{id}/address", post(send_elsewhere))
            .route("/orders/{id}/destination", get(ask_destination).post(destination))
            .route("/merchant/orders/{id}/refund", post(refund))
            .with_state(counter)
            .merge(routes(shop.merchant()))
            .layer(CustomerLayer::new(shop.merchant().clone()));
        Self { shop, rail, app, price }
    }

    fn new() -> (Self, Ledger<firsthand::store::Memory>) {
        let store = Ledger::new(firsthand::store::Memory::new());
        (Self::over(store.clone()), store)
    }

    /// Somebody's browser.
    pub fn browser(&self) -> Browser {
        Browser::new(&self.shop, self.app.clone())
    }

    /// The browser of a customer who has just shown their wallet.
    pub async fn customer(&self, persona: &str) -> Browser {
        let mut browser = self.browser();
        browser.sign_in(persona).await;
        browser
    }

    /// An order as the merchant sees it.
    pub async fn order(&self, id: &OrderId) -> Order {
        self.shop.merchant().order(id).await.unwrap().expect("an order")
    }

    /// Asserts what is written down of an order: where it stands; what was received, what of it counts, is owed back and
    /// was given back, in cents; and all that happened.
    #[track_caller]
    fn stands(&self, id: &OrderId, state: OrderState, cents: [i64; 4], happened: &str) -> impl Future<Output = ()> {
        let caller = std::panic::Location::caller();
        async move {
            let order = self.order(id).await;
            let ledger = order.ledger();
            let found =
                [ledger.received, ledger.settled().unwrap(), ledger.owed, ledger.refunded].map(|money| money.minor());
            let events = order.events().await.unwrap();
            let names: Vec<String> = events.iter().map(|event| name(&event.what)).collect();
            assert_eq!((order.state(), found, names.join(" ").as_str()), (state, cents, happened), "{caller}");
            assert!(ledger.is_balanced(), "{caller}");
            assert!(events.iter().zip(1..).all(|(event, number)| event.number == number), "{caller}");
        }
    }

    /// A notice of the rail, signed by it, that says this.
    fn notice(&self, order: &OrderId, attempt: u32, amount: Money, outcome: Outcome) -> (http::HeaderMap, Vec<u8>) {
        let notice = Notice { order: order.clone(), attempt, amount, said: outcome.into() };
        self.rail.signed(&notice, self.shop.merchant().now())
    }

    /// An order of a customer for one tea.
    async fn placed(&self, browser: &mut Browser) -> OrderId {
        let form = browser.get("/checkout").await.text();
        ordered(&browser.post_form("/checkout", &fields(&[("form", &form), ("item", "tea")])).await)
    }

    /// The same, paid on the fake rail.
    async fn paid(&self, browser: &mut Browser) -> OrderId {
        let id = self.placed(browser).await;
        let reply = browser.post_form(&format!("/orders/{id}/pay/fake"), "").await;
        assert_eq!(reply.json()["state"], "paid", "{}", reply.text());
        id
    }
}

const PLACED: &str = "placed";
const PAID: &str = "placed payment_begun payment_answered received paid";

/// What happened, by the name of its kind.
fn name(what: &firsthand::order::Happened) -> String {
    match serde_json::to_value(what).unwrap() {
        Value::String(name) => name,
        Value::Object(members) => members.keys().next().unwrap().clone(),
        other => panic!("{other}"),
    }
}

pub fn fields(fields: &[(&str, &str)]) -> String {
    form_urlencoded::Serializer::new(String::new()).extend_pairs(fields).finish()
}

/// The order that a checkout answered with.
#[track_caller]
pub fn ordered(reply: &Reply) -> OrderId {
    assert_eq!(reply.status, StatusCode::OK, "{}", reply.text());
    reply.json()["order"].as_str().unwrap().parse().unwrap()
}

fn euros(minor: i64) -> Money {
    Money::new(minor, Currency::EUR).unwrap()
}

/// A field of a form; empty if it is not there.
fn field(body: &[u8], name: &str) -> String {
    form_urlencoded::parse(body).find(|(key, _)| key == name).map(|(_, value)| value.into_owned()).unwrap_or_default()
}

fn address(body: &[u8]) -> Address {
    let part = |name: &str| field(body, name);
    Address {
        name: part("name"),
        street: part("street"),
        postal_code: part("postal_code"),
        locality: part("locality"),
        country: part("country"),
    }
}

fn view(order: &Order) -> Value {
    json!({ "order": order.id(), "state": order.state().name(), "total": order.total().decimal() })
}

impl Counter {
    /// The merchant's own prices: a form names an item and how many.
    fn draft(&self, body: &[u8]) -> Result<Draft, Problem> {
        let item = field(body, "item");
        let (price, needs_age) = match item.as_str() {
            "tea" => (euros(self.price.load(Ordering::SeqCst)), false),
            "wine" => (euros(1200), true),
            "gold" => (euros(i64::MAX), false),
            "air" => (euros(0), false),
            "yen" => (Money::new(1480, Currency::JPY)?, false),
            _ => return Ok(Draft::new(Currency::EUR)),
        };
        let quantity = match field(body, "quantity").as_str() {
            "" => Quantity::new(1)?,
            text => text.parse()?,
        };
        let mut draft = Draft::new(Currency::EUR);
        for _ in 0..field(body, "lines").parse().unwrap_or(1) {
            draft = draft.line(&item, "From the shelf", price, quantity);
        }
        if needs_age {
            draft = draft.needs(&TestShop::age());
        }
        match field(body, "deliver").as_str() {
            "wallet" => draft = draft.deliver_from_wallet(&TestShop::address()),
            "typed" => draft = draft.deliver_to(address(body)),
            _ => {}
        }
        let (shown, currency) = (field(body, "shown"), field(body, "currency"));
        if !shown.is_empty() {
            let currency = if currency.is_empty() { Currency::EUR } else { currency.parse()? };
            draft = draft.shown(Money::parse(&shown, currency)?);
        }
        Ok(draft)
    }
}

async fn form(known: Known) -> String {
    known.form()
}

async fn checkout(State(counter): State<Counter>, known: Known, body: Bytes) -> Result<Json<Value>, Problem> {
    let order = known.place(counter.draft(&body)?, &field(&body, "form")).await?.commit().await?;
    Ok(Json(view(&order)))
}

async fn guest_form(_: SameOrigin, State(counter): State<Counter>) -> String {
    counter.merchant.guest_form()
}

async fn guest_checkout(_: SameOrigin, State(counter): State<Counter>, body: Bytes) -> Result<Json<Value>, Problem> {
    let placed = counter.merchant.place_as_guest(counter.draft(&body)?, &field(&body, "form")).await?.commit().await?;
    let mut view = view(&placed.order);
    view["link"] = placed.link.reveal().into();
    Ok(Json(view))
}

async fn guest_order(State(counter): State<Counter>, Path(link): Path<String>) -> Result<Json<Value>, Problem> {
    let link: GuestLink = link.parse().map_err(|_| Refusal::NoSuchOrder)?;
    Ok(Json(view(&counter.merchant.guest_order(&link).await?)))
}

async fn orders(known: Known) -> Result<Json<Value>, Problem> {
    let orders = known.orders(None, 100).await?;
    Ok(Json(orders.iter().map(view).collect()))
}

async fn own(known: &Known, id: &str) -> Result<Order, Problem> {
    Ok(known.order(&id.parse().map_err(|_| Refusal::NoSuchOrder)?).await?)
}

async fn order(known: Known, Path(id): Path<String>) -> Result<Json<Value>, Problem> {
    let order = own(&known, &id).await?;
    let mut view = view(&order);
    if let Some(delivered) = order.delivery().await? {
        view["address"] = delivered.for_page().lines().into();
    }
    Ok(Json(view))
}

async fn pay(known: Known, Path((id, rail)): Path<(String, String)>) -> Result<Json<Value>, Problem> {
    Ok(Json(view(&own(&known, &id).await?.pay(&rail).await?)))
}

async fn cancel(known: Known, Path(id): Path<String>) -> Result<Json<Value>, Problem> {
    Ok(Json(view(&own(&known, &id).await?.cancel().await?.commit().await?)))
}

async fn send_elsewhere(known: Recent<Known>, Path(id): Path<String>, body: Bytes) -> Result<Json<Value>, Problem> {
    let order = own(&known, &id).await?;
    Ok(Json(view(&order.change_address(known.proof(), address(&body)).await?.commit().await?)))
}

async fn ask_destination(_: Recent<Known>) -> &'static str {
    "Where to?"
}

async fn destination(
    known: Recent<Known>,
    State(counter): State<Counter>,
    Path(id): Path<String>,
    body: Bytes,
) -> Result<StatusCode, Problem> {
    let unfit = |text: String| Problem::from(firsthand::Error::Misuse(text));
    let iban = field(&body, "iban").parse().map_err(|_| unfit("an IBAN".to_owned()))?;
    let account = BankAccount::new(field(&body, "name"), iban).map_err(|error| unfit(error.to_string()))?;
    // A handler that forgot to look whose order it is: the proof itself says so.
    let id = id.parse().map_err(|_| Refusal::NoSuchOrder)?;
    let order = counter.merchant.order(&id).await?.ok_or(Refusal::NoSuchOrder)?;
    order.refund_to(known.proof(), account).await?;
    Ok(StatusCode::NO_CONTENT)
}

async fn refund(State(counter): State<Counter>, Path(id): Path<String>, body: Bytes) -> Result<Json<Value>, Problem> {
    let id = id.parse().map_err(|_| Refusal::NoSuchOrder)?;
    let order = counter.merchant.order(&id).await?.ok_or(Refusal::NoSuchOrder)?;
    let amount = Money::parse(&field(&body, "amount"), field(&body, "currency").parse()?)?;
    Ok(Json(view(&order.refund(amount, &field(&body, "key")).await?.commit().await?)))
}

// --- placing

#[tokio::test]
async fn a_customer_orders_pays_and_finds_the_order_again() {
    let (selling, store) = Selling::new();
    let mut browser = selling.customer("adult").await;
    let form = browser.get("/checkout").await.text();
    let sent = fields(&[("form", &form), ("item", "tea"), ("quantity", "2"), ("shown", "29.60")]);
    let id = ordered(&browser.post_form("/checkout", &sent).await);
    selling.stands(&id, OrderState::Placed, [0; 4], PLACED).await;
    // Once more, by a double click, the back button, or a lost answer.
    assert_eq!(ordered(&browser.post_form("/checkout", &sent).await), id);
    assert_eq!(store.count("order"), 1);

    let path = format!("/orders/{id}");
    assert_eq!(browser.post_form(&format!("{path}/pay/fake"), "").await.json()["state"], "paid");
    assert_eq!(browser.get(&path).await.json(), json!({ "order": id, "state": "paid", "total": "29.60" }));
    assert_eq!(browser.get("/orders").await.json(), json!([{ "order": id, "state": "paid", "total": "29.60" }]));
    selling.stands(&id, OrderState::Paid, [2960, 2960, 0, 0], PAID).await;
    assert_eq!((selling.rail.calls(), selling.rail.taken_minor(&id)), (1, 2960));
    let taken = exported(&mut browser).await;
    assert_eq!((&taken["orders"][0]["id"], &taken["orders"][0]["total"]), (&json!(id), &json!("29.60")));
    for list in ["parcels", "adjustments", "withdrawals"] {
        assert_eq!(taken["orders"][0][list], json!([]), "{list}");
    }
    assert_eq!(taken["checkouts"], json!([]));
    let mut more = taken.clone();
    more["orders"][0]["payer"] = json!("somebody");
    let schema = serde_json::from_str(firsthand::merchant::Export::SCHEMA).unwrap();
    assert_eq!(misfits(&schema, &more, ""), ["/orders/0/payer is not in the schema"]);

    // Proof of the age, where the draft needs it, and not in general.
    let form = browser.get("/checkout").await.text();
    let wine = ordered(&browser.post_form("/checkout", &fields(&[("form", &form), ("item", "wine")])).await);
    assert_eq!(selling.order(&wine).await.proofs()[0].ask, "age");
    selling.shop.advance_s(30 * 60 + 1);
    let form = browser.get("/checkout").await.text();
    let reply = browser.post_form("/checkout", &fields(&[("form", &form), ("item", "wine")])).await;
    refused(&reply, 403, "proof_needed");
    assert_eq!(reply.json()["ask"], "age");
    assert_eq!(store.count("order"), 2);
}

#[tokio::test]
async fn a_guest_orders_and_comes_back_by_the_link_alone() {
    let (selling, store) = Selling::new();
    let mut guest = selling.browser();
    let form = guest.plain(&Method::GET, "/guest/checkout", &[], &[]).await.text();
    let sent = fields(&[("form", &form), ("item", "tea")]);
    let reply = guest.plain_form("/guest/checkout", &sent).await;
    let (id, link) = (ordered(&reply), reply.json()["link"].as_str().unwrap().to_owned());
    assert_eq!(guest.plain_form("/guest/checkout", &sent).await.json()["link"], link.as_str());
    let path = format!("/guest/orders/{link}");
    assert_eq!(guest.plain(&Method::GET, &path, &[], &[]).await.json()["order"], json!(id));
    assert_eq!((store.count("order"), store.count("customer")), (1, 0), "no record of a guest");
    selling.stands(&id, OrderState::Placed, [0; 4], PLACED).await;
    // A guest has proved nothing.
    let form = selling.shop.merchant().guest_form();
    let reply = guest.plain_form("/guest/checkout", &fields(&[("form", &form), ("item", "wine")])).await;
    refused(&reply, 403, "proof_needed");
    let reply =
        guest.plain_form("/guest/checkout", &fields(&[("form", &form), ("item", "tea"), ("deliver", "wallet")])).await;
    refused(&reply, 403, "proof_needed");
    assert_eq!(store.count("order"), 1);
}

#[tokio::test]
async fn row_120_amounts_and_quantities_that_are_none_become_no_order() {
    let (selling, store) = Selling::new();
    let mut browser = selling.customer("adult").await;
    let cases: [(&[(&str, &str)], &str); 20] = [
        (&[("item", "tea"), ("quantity", "0")], "quantity_invalid"),
        (&[("item", "tea"), ("quantity", "-1")], "quantity_invalid"),
        (&[("item", "tea"), ("quantity", "+1")], "quantity_invalid"),
        (&[("item", "tea"), ("quantity", "1.5")], "quantity_invalid"),
        (&[("item", "tea"), ("quantity", "1e3")], "quantity_invalid"),
        (&[("item", "tea"), ("quantity", "1000001")], "quantity_invalid"),
        (&[("item", "tea"), ("quantity", "4294967297")], "quantity_invalid"),
        (&[("item", "tea"), ("quantity", "99999999999999999999999999")], "quantity_invalid"),
        (&[("item", "gold"), ("quantity", "2")], "amount_too_large"),
        (&[("item", "gold"), ("quantity", "1000000")], "amount_too_large"),
        (&[("item", "gold"), ("lines", "2")], "amount_too_large"),
        (&[("item", "air")], "nothing_to_pay"),
        (&[("item", "nothing")], "order_empty"),
        (&[("item", "tea"), ("lines", "101")], "too_many_lines"),
        (&[("item", "yen")], "currency_mismatch"),
        (&[("item", "tea"), ("shown", "-14.80")], "amount_malformed"),
        (&[("item", "tea"), ("shown", "14.800")], "amount_decimals"),
        (&[("item", "tea"), ("shown", "99999999999999999999")], "amount_too_large"),
        (&[("item", "tea"), ("shown", "14.80"), ("currency", "EURO")], "currency_unknown"),
        (&[("item", "tea"), ("deliver", "typed"), ("name", "A"), ("street", "B")], "invalid_address"),
    ];
    let form = browser.get("/checkout").await.text();
    for (bad, code) in cases {
        let sent = fields(&[&[("form", form.as_str())], bad].concat());
        refused(&browser.post_form("/checkout", &sent).await, 422, code);
        // A guest's checkout is no weaker.
        let sent = fields(&[&[("form", selling.shop.merchant().guest_form().as_str())], bad].concat());
        refused(&browser.plain_form("/guest/checkout", &sent).await, 422, code);
    }
    assert_eq!((store.count("order"), store.count("placed_draft"), store.count("order_event")), (0, 0, 0));
    // The same form is still good for one that holds; and the largest amount is one.
    let sent = fields(&[("form", &form), ("item", "gold")]);
    let id = ordered(&browser.post_form("/checkout", &sent).await);
    assert_eq!(selling.order(&id).await.total(), euros(i64::MAX));
}

#[tokio::test]
async fn row_118_a_page_does_not_say_the_price() {
    let (selling, store) = Selling::new();
    let mut browser = selling.customer("adult").await;
    // What a page says of prices counts for nothing.
    let form = browser.get("/checkout").await.text();
    let sent = fields(&[("form", &form), ("item", "tea"), ("price", "0.01"), ("unit", "1"), ("total", "0.01")]);
    let id = ordered(&browser.post_form("/checkout", &sent).await);
    assert_eq!(selling.order(&id).await.total(), euros(TEA));

    // What it showed is compared: the price has changed, upwards or downwards, or the page was tampered with.
    let form = browser.get("/checkout").await.text();
    for (price, shown, currency) in
        [(TEA + 1, "14.80", "EUR"), (TEA - 1, "14.80", "EUR"), (TEA, "0.01", "EUR"), (TEA, "14.80", "USD")]
    {
        selling.price.store(price, Ordering::SeqCst);
        let sent = fields(&[("form", &form), ("item", "tea"), ("shown", shown), ("currency", currency)]);
        let reply = browser.post_form("/checkout", &sent).await;
        refused(&reply, 409, "price_changed");
        assert_eq!(reply.json()["total"], json!({ "minor": price, "currency": "EUR" }));
    }
    assert_eq!(store.count("order"), 1);
    // Shown again, the same form goes on.
    selling.price.store(TEA + 1, Ordering::SeqCst);
    let sent = fields(&[("form", &form), ("item", "tea"), ("shown", "14.81")]);
    let second = ordered(&browser.post_form("/checkout", &sent).await);
    // An order keeps its price, also when it is sent again after another change.
    assert_eq!(selling.order(&id).await.total(), euros(TEA));
    assert_eq!(selling.order(&second).await.total(), euros(TEA + 1));
}

#[tokio::test]
async fn row_116_a_form_sent_again_with_something_else_in_it_names_the_order_that_it_became() {
    let (selling, store) = Selling::new();
    let mut browser = selling.customer("adult").await;
    let typed = [
        ("item", "tea"),
        ("deliver", "typed"),
        ("name", "Erika"),
        ("street", "Weg 1"),
        ("postal_code", "50667"),
        ("locality", "Köln"),
        ("country", "DE"),
    ];
    let form = browser.get("/checkout").await.text();
    let with = |name: &str, value: &str| {
        let mut sent: Vec<(&str, &str)> = typed.iter().filter(|(known, _)| *known != name).copied().collect();
        sent.extend([("form", form.as_str()), (name, value)]);
        fields(&sent)
    };
    let id = ordered(&browser.post_form("/checkout", &with("item", "tea")).await);
    for (name, value) in [("quantity", "2"), ("item", "wine"), ("street", "Weg 2"), ("deliver", ""), ("lines", "2")] {
        let reply = browser.post_form("/checkout", &with(name, value)).await;
        refused(&reply, 409, "form_used");
        assert_eq!(reply.json()["order"], json!(id), "{name}");
    }
    assert_eq!(store.count("order"), 1);
    selling.stands(&id, OrderState::Placed, [0; 4], PLACED).await;
    // The same thing again is the same order, an hour later, too.
    selling.shop.advance_s(3600);
    assert_eq!(ordered(&browser.post_form("/checkout", &with("item", "tea")).await), id);

    let guest_form = selling.shop.merchant().guest_form();
    let sent = |item: &str| fields(&[("form", &guest_form), ("item", item)]);
    let id = ordered(&browser.plain_form("/guest/checkout", &sent("tea")).await);
    let reply = browser.plain_form("/guest/checkout", &sent("gold")).await;
    refused(&reply, 409, "form_used");
    assert_eq!(reply.json()["order"], json!(id));
}

#[tokio::test]
async fn row_117_a_form_of_somebody_else_places_nothing() {
    let (selling, store) = Selling::new();
    let mut anna = selling.customer("adult").await;
    let mut nils = selling.customer("national").await;
    let annas = anna.get("/checkout").await.text();
    let guests = selling.shop.merchant().guest_form();
    let tea = |form: &str| fields(&[("form", form), ("item", "tea")]);
    let altered = |form: &str, at: usize| {
        let mut bytes = form.as_bytes().to_vec();
        bytes[at] = if bytes[at] == b'A' { b'B' } else { b'A' };
        String::from_utf8(bytes).unwrap()
    };
    let forged: Vec<String> = [0, 8, 12, 20, 34, 40, annas.len() - 3].map(|at| altered(&annas, at)).to_vec();
    let long = "A".repeat(10_000);
    let odd =
        ["", "A", "form", "%00", &long, &annas[1..], &format!("{annas}A"), &format!("{annas}=")].map(str::to_owned);
    for form in forged.iter().chain(&odd).chain([&guests]) {
        refused(&anna.post_form("/checkout", &tea(form)).await, 403, "form_invalid");
    }
    for form in forged.iter().chain(&odd).chain([&annas]) {
        refused(&anna.plain_form("/guest/checkout", &tea(form)).await, 403, "form_invalid");
    }
    refused(&nils.post_form("/checkout", &tea(&annas)).await, 403, "form_invalid");
    assert_eq!((store.count("order"), store.count("placed_draft")), (0, 0));

    // Used or not, it tells somebody else nothing.
    let id = ordered(&anna.post_form("/checkout", &tea(&annas)).await);
    refused(&nils.post_form("/checkout", &tea(&annas)).await, 403, "form_invalid");
    selling.stands(&id, OrderState::Placed, [0; 4], PLACED).await;
    assert_eq!(nils.get("/orders").await.json(), json!([]));
}

#[tokio::test]
async fn a_form_is_good_for_a_day() {
    let (selling, store) = Selling::new();
    let mut browser = selling.customer("adult").await;
    let (form, guests) = (browser.get("/checkout").await.text(), selling.shop.merchant().guest_form());
    selling.shop.advance_s(24 * 3600);
    let tea = |form: &str| fields(&[("form", form), ("item", "tea")]);
    refused(&browser.post_form("/checkout", &tea(&form)).await, 410, "form_expired");
    refused(&browser.plain_form("/guest/checkout", &tea(&guests)).await, 410, "form_expired");
    assert_eq!(store.count("order"), 0);
}

#[tokio::test]
async fn row_114_a_form_sent_twice_at_once_is_one_order() {
    for guest in [false, true] {
        let store = Meeting::over("placed_draft", 2);
        let selling = Selling::over(store.clone());
        let mut one = selling.customer("adult").await;
        let form = if guest { selling.shop.merchant().guest_form() } else { one.get("/checkout").await.text() };
        let sent = fields(&[("form", &form), ("item", "tea")]);
        let mut two = one.clone();
        store.begin(2);
        let (first, second) = if guest {
            tokio::join!(one.plain_form("/guest/checkout", &sent), two.plain_form("/guest/checkout", &sent))
        } else {
            tokio::join!(one.post_form("/checkout", &sent), two.post_form("/checkout", &sent))
        };
        assert!(store.has_met());
        assert_eq!(ordered(&first), ordered(&second));
        assert_eq!(store.ledger().count("order"), 1);
        selling.stands(&ordered(&first), OrderState::Placed, [0; 4], PLACED).await;
    }
}

#[tokio::test]
async fn an_address_from_the_wallet_goes_into_one_order() {
    let store = Meeting::over("order", 2);
    let selling = Selling::over(store.clone());
    let mut one = selling.browser();
    one.prove("address", "adult").await;
    let mut sent = Vec::new();
    for _ in 0..2 {
        let form = one.get("/checkout").await.text();
        sent.push(fields(&[("form", &form), ("item", "tea"), ("deliver", "wallet")]));
    }
    let mut two = one.clone();
    store.begin(2);
    let (first, second) = tokio::join!(one.post_form("/checkout", &sent[0]), two.post_form("/checkout", &sent[1]));
    assert!(store.has_met());
    let (won, lost) = if first.status == StatusCode::OK { (first, second) } else { (second, first) };
    refused(&lost, 403, "proof_needed");
    assert!(selling.order(&ordered(&won)).await.delivery().await.unwrap().is_some());
    assert_eq!((store.ledger().count("order"), store.ledger().count("order_delivery")), (1, 1));
}

#[tokio::test]
async fn row_116_a_form_sent_twice_at_once_with_two_contents_is_the_first_of_them() {
    let store = Meeting::over("placed_draft", 2);
    let selling = Selling::over(store.clone());
    let mut one = selling.customer("adult").await;
    let form = one.get("/checkout").await.text();
    let sent = |count: &str| fields(&[("form", &form), ("item", "tea"), ("quantity", count)]);
    let (one_tea, two_teas) = (sent("1"), sent("2"));
    let mut two = one.clone();
    store.begin(2);
    let (first, second) = tokio::join!(one.post_form("/checkout", &one_tea), two.post_form("/checkout", &two_teas));
    assert!(store.has_met());
    let (won, lost) = if first.status == StatusCode::OK { (first, second) } else { (second, first) };
    refused(&lost, 409, "form_used");
    assert_eq!(lost.json()["order"], json!(ordered(&won)));
    assert_eq!(store.ledger().count("order"), 1);
}

#[tokio::test]
async fn a_replayed_or_altered_body_places_nothing() {
    let (selling, store) = Selling::new();
    let mut browser = selling.customer("adult").await;
    let form = browser.get("/checkout").await.text();
    let (one, many) = (
        fields(&[("form", &form), ("item", "tea"), ("quantity", "1")]),
        fields(&[("form", &form), ("item", "tea"), ("quantity", "9")]),
    );
    let claims = browser.claims(&Method::POST, "/checkout", Some(one.as_bytes()));
    let headers =
        |browser: &Browser, claims: &Map<String, Value>| signed_headers(browser, &browser.sign(claims), Some(FORM));
    // Another body, none, and a proof that names none.
    for body in [many.as_bytes(), b""] {
        let headers = headers(&browser, &claims);
        let reply = browser.send(&Method::POST, "/checkout", headers, body).await;
        refused(&reply, 401, "invalid_dpop_proof");
    }
    let no_digest = headers(&browser, &bent(&claims, "content_digest", Value::Null));
    let reply = browser.send(&Method::POST, "/checkout", no_digest, one.as_bytes()).await;
    refused(&reply, 401, "invalid_dpop_proof");
    // A proof for another address.
    let there = headers(&browser, &claims);
    let reply = browser.send(&Method::POST, "/orders", there, one.as_bytes()).await;
    refused(&reply, 401, "invalid_dpop_proof");
    assert_eq!(store.count("order"), 0);

    let captured = headers(&browser, &claims);
    let id = ordered(&browser.send(&Method::POST, "/checkout", captured.clone(), one.as_bytes()).await);
    let reply = browser.send(&Method::POST, "/checkout", captured, one.as_bytes()).await;
    refused(&reply, 401, "invalid_dpop_proof");
    // The same for what costs money: a captured "pay" of an order works once.
    let path = format!("/orders/{id}/pay/fake");
    let claims = browser.claims(&Method::POST, &path, None);
    let captured = headers(&browser, &claims);
    assert_eq!(browser.send(&Method::POST, &path, captured.clone(), b"").await.json()["state"], "paid");
    refused(&browser.send(&Method::POST, &path, captured, b"").await, 401, "invalid_dpop_proof");
    selling.stands(&id, OrderState::Paid, [TEA, TEA, 0, 0], PAID).await;
}

#[tokio::test]
async fn a_form_that_another_site_sends_places_nothing() {
    let (selling, store) = Selling::new();
    let mut visitor = selling.browser();
    // The other site has fetched a token of its own: it is a good one.
    let sent = fields(&[("form", &selling.shop.merchant().guest_form()), ("item", "tea")]);
    let foreign: [&[(&'static str, &str)]; 9] = [
        &[("origin", "https://evil.example"), ("sec-fetch-site", "cross-site")],
        &[("origin", "https://evil.example")],
        &[("origin", "https://blog.shop.example"), ("sec-fetch-site", "same-site")],
        &[("origin", "null"), ("sec-fetch-site", "cross-site")],
        &[("origin", "null")],
        &[("origin", "https://shop.example"), ("sec-fetch-site", "cross-site")],
        &[("sec-fetch-site", "none")],
        &[],
        &[("host", "evil.example"), ("x-forwarded-host", "shop.example"), ("referer", "https://shop.example/")],
    ];
    for headers in foreign {
        let headers = [headers, &[("content-type", FORM), ("sec-fetch-mode", "navigate")]].concat();
        let reply = visitor.plain(&Method::POST, "/guest/checkout", &headers, sent.as_bytes()).await;
        refused(&reply, 403, "cross_site");
    }
    assert_eq!((store.count("order"), store.count("placed_draft")), (0, 0));
    for headers in [("origin", "https://shop.example"), ("sec-fetch-site", "same-origin")] {
        let headers = [headers, ("content-type", FORM)];
        ordered(&visitor.plain(&Method::POST, "/guest/checkout", &headers, sent.as_bytes()).await);
    }
    assert_eq!(store.count("order"), 1);
}

#[tokio::test]
async fn row_125_orders_are_not_found_by_guessing() {
    let (selling, _) = Selling::new();
    let mut anna = selling.customer("adult").await;
    let mut nils = selling.customer("national").await;
    let id = selling.placed(&mut anna).await;
    let nowhere = OrderId::from_random([7; 16]);
    let other = |browser: &mut Browser, path: &str| {
        let (mut browser, path) = (browser.clone(), path.to_owned());
        async move {
            match path.rsplit('/').next().unwrap() {
                "cancel" | "fake" | "destination" | "address" => {
                    let body = fields(&[
                        ("iban", IBAN),
                        ("name", "Nils"),
                        ("street", "Weg 1"),
                        ("locality", "Köln"),
                        ("country", "DE"),
                    ]);
                    browser.post_form(&path, &body).await
                }
                _ => browser.get(&path).await,
            }
        }
    };
    // Somebody else's order answers like one that never was, whatever is tried with it.
    for rest in ["", "/cancel", "/pay/fake", "/address", "/destination"] {
        let foreign = other(&mut nils, &format!("/orders/{id}{rest}")).await;
        let none = other(&mut nils, &format!("/orders/{nowhere}{rest}")).await;
        refused(&foreign, 404, "no_such_order");
        assert_eq!((foreign.status, foreign.told()), (none.status, none.told()), "{rest}");
    }
    for odd in ["1", "o_", "o_0", "O_00000000000000000000000000000000", "..%2f..", "%00", &"o".repeat(5_000)] {
        refused(&nils.get(&format!("/orders/{odd}")).await, 404, "no_such_order");
    }
    selling.stands(&id, OrderState::Placed, [0; 4], PLACED).await;
    assert_eq!(selling.rail.calls(), 0);
    assert_eq!(nils.get("/orders").await.json(), json!([]));
    // Nobody at all is told to come back with a proof.
    let mut nobody = selling.browser();
    let reply = nobody.plain(&Method::GET, &format!("/orders/{id}"), &[], &[]).await;
    refused(&reply, 401, "invalid_dpop_proof");
}

#[tokio::test]
async fn row_125_a_guests_link_cannot_be_guessed_or_altered() {
    let (selling, _) = Selling::new();
    let mut guest = selling.browser();
    let form = selling.shop.merchant().guest_form();
    let reply = guest.plain_form("/guest/checkout", &fields(&[("form", &form), ("item", "tea")])).await;
    let (id, link) = (ordered(&reply), reply.json()["link"].as_str().unwrap().to_owned());
    assert_eq!(link.len(), 22, "128 bits");
    let mut replies = Vec::new();
    for at in 0..link.len() {
        let mut bytes = link.clone().into_bytes();
        bytes[at] = if bytes[at] == b'A' { b'Q' } else { b'A' };
        replies.push(String::from_utf8(bytes).unwrap());
    }
    replies.extend([
        "A".repeat(22),
        link.to_lowercase(),
        link[1..].to_owned(),
        format!("{link}A"),
        id.to_string(),
        form,
    ]);
    let mut bodies = Vec::new();
    for guessed in replies.iter().filter(|guessed| **guessed != link) {
        let reply = guest.plain(&Method::GET, &format!("/guest/orders/{guessed}"), &[], &[]).await;
        refused(&reply, 404, "no_such_order");
        bodies.push(reply.told());
    }
    assert!(bodies.windows(2).all(|pair| pair[0] == pair[1]));
    // The order's name opens nothing for a customer, either: it is nobody's.
    let mut anna = selling.customer("adult").await;
    refused(&anna.get(&format!("/orders/{id}")).await, 404, "no_such_order");
    assert_eq!(guest.plain(&Method::GET, &format!("/guest/orders/{link}"), &[], &[]).await.status, StatusCode::OK);
}

// --- paying

#[tokio::test]
async fn a_declined_payment_is_tried_again() {
    let (selling, _) = Selling::new();
    let mut browser = selling.customer("adult").await;
    let id = selling.placed(&mut browser).await;
    let path = format!("/orders/{id}/pay/fake");
    selling.rail.next(Mood::Declines);
    assert_eq!(browser.post_form(&path, "").await.json()["state"], "declined");
    selling.stands(&id, OrderState::Declined, [0; 4], "placed payment_begun payment_answered").await;
    assert_eq!(browser.post_form(&path, "").await.json()["state"], "paid");
    refused(&browser.post_form(&path, "").await, 409, "already_paid");
    assert_eq!((selling.rail.calls(), selling.rail.taken_minor(&id)), (2, TEA));
    // Ways to pay that there are not, in this shop or for this amount.
    let id = selling.placed(&mut browser).await;
    refused(&browser.post_form(&format!("/orders/{id}/pay/gold"), "").await, 404, "no_such_rail");
    let form = browser.get("/checkout").await.text();
    let gold = ordered(&browser.post_form("/checkout", &fields(&[("form", &form), ("item", "gold")])).await);
    refused(&browser.post_form(&format!("/orders/{gold}/pay/sepa"), "").await, 422, "rail_cannot_take");
    for id in [id, gold] {
        selling.stands(&id, OrderState::Placed, [0; 4], PLACED).await;
    }
    assert_eq!(selling.rail.calls(), 2);
}

#[tokio::test]
async fn an_order_is_tried_so_often_and_no_more() {
    let (selling, _) = Selling::new();
    let mut browser = selling.customer("adult").await;
    let id = selling.placed(&mut browser).await;
    let path = format!("/orders/{id}/pay/fake");
    for _ in 0..10 {
        selling.rail.next(Mood::Declines);
        assert_eq!(browser.post_form(&path, "").await.json()["state"], "declined");
    }
    refused(&browser.post_form(&path, "").await, 409, "too_many_attempts");
    assert_eq!(selling.rail.calls(), 10);
}

#[tokio::test]
async fn row_114_two_payments_at_once_call_the_rail_once() {
    let store = Meeting::over("order", 2);
    let selling = Selling::over(store.clone());
    let mut one = selling.customer("adult").await;
    let id = selling.placed(&mut one).await;
    let (mut two, path) = (one.clone(), format!("/orders/{id}/pay/fake"));
    store.begin(2);
    let (first, second) = tokio::join!(one.post_form(&path, ""), two.post_form(&path, ""));
    assert!(store.has_met());
    for reply in [&first, &second] {
        assert!(reply.status == StatusCode::OK || reply.code() == "already_paid", "{}", reply.text());
    }
    assert_eq!((selling.rail.calls(), selling.rail.taken_minor(&id)), (1, TEA));
    selling.stands(&id, OrderState::Paid, [TEA, TEA, 0, 0], PAID).await;
}

#[tokio::test]
async fn row_114_paying_and_cancelling_at_once_is_one_of_them() {
    let store = Meeting::over("order", 2);
    let selling = Selling::over(store.clone());
    let mut one = selling.customer("adult").await;
    let id = selling.placed(&mut one).await;
    let (mut two, pay, cancel) = (one.clone(), format!("/orders/{id}/pay/fake"), format!("/orders/{id}/cancel"));
    store.begin(2);
    let (paid, cancelled) = tokio::join!(one.post_form(&pay, ""), two.post_form(&cancel, ""));
    assert!(store.has_met());
    let order = selling.order(&id).await;
    match order.state() {
        OrderState::Paid => {
            assert_eq!(paid.status, StatusCode::OK);
            assert!(["payment_under_way", "already_paid"].contains(&cancelled.code().as_str()), "{}", cancelled.text());
            assert_eq!(selling.rail.taken_minor(&id), TEA);
        }
        OrderState::Cancelled => {
            assert_eq!(cancelled.status, StatusCode::OK);
            refused(&paid, 409, "order_over");
            assert_eq!(selling.rail.calls(), 0);
        }
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn row_121_nothing_is_done_with_an_order_that_is_over() {
    let (selling, _) = Selling::new();
    let mut browser = selling.customer("adult").await;
    let id = selling.placed(&mut browser).await;
    let (pay, cancel) = (format!("/orders/{id}/pay/fake"), format!("/orders/{id}/cancel"));
    // Refunded before it is paid: no.
    let refund = format!("/merchant/orders/{id}/refund");
    let all = fields(&[("amount", "14.80"), ("currency", "EUR"), ("key", "all")]);
    refused(&browser.post_form(&refund, &all).await, 409, "order_not_paid");
    for _ in 0..2 {
        assert_eq!(browser.post_form(&cancel, "").await.json()["state"], "cancelled");
    }
    refused(&browser.post_form(&pay, "").await, 409, "order_over");
    refused(&browser.post_form(&refund, &all).await, 409, "order_not_paid");
    selling.stands(&id, OrderState::Cancelled, [0; 4], "placed cancelled").await;

    // Money that comes anyway is owed back, and revives nothing.
    let transfer = Transfer {
        id: "statement-1".parse().unwrap(),
        amount: euros(TEA),
        text: selling.order(&id).await.reference().to_string(),
        payer: None,
    };
    for _ in 0..2 {
        let booked = selling.shop.merchant().book_transfer(transfer.clone()).await.unwrap().commit().await.unwrap();
        assert!(matches!(booked, Booking::For(order) if *order.id() == id));
    }
    let late = "placed cancelled received refund_owed";
    selling.stands(&id, OrderState::Cancelled, [TEA, 0, TEA, 0], late).await;

    // Paid: neither cancelled, nor paid again. Expired: as if it were cancelled.
    let paid = selling.paid(&mut browser).await;
    refused(&browser.post_form(&format!("/orders/{paid}/cancel"), "").await, 409, "already_paid");
    let unpaid = selling.placed(&mut browser).await;
    selling.shop.advance_s(24 * 3600);
    refused(&browser.post_form(&format!("/orders/{unpaid}/pay/fake"), "").await, 409, "order_over");
    refused(&browser.post_form(&format!("/orders/{unpaid}/cancel"), "").await, 409, "order_over");
    selling.shop.merchant().bring_orders_up_to_date().await.unwrap();
    selling.stands(&unpaid, OrderState::Expired, [0; 4], "placed expired").await;
    selling.stands(&paid, OrderState::Paid, [TEA, TEA, 0, 0], PAID).await;
    assert_eq!(selling.rail.calls(), 1);
}

#[tokio::test]
async fn row_122_a_payment_whose_answer_was_lost_is_asked_about_and_not_made_again() {
    for (mood, state, cents) in [
        (Mood::DoesAndForgets, OrderState::Paid, [TEA, TEA, 0, 0]),
        (Mood::ForgetsWithout, OrderState::Declined, [0; 4]),
    ] {
        let (selling, _) = Selling::new();
        let mut browser = selling.customer("adult").await;
        let id = selling.placed(&mut browser).await;
        let path = format!("/orders/{id}/pay/fake");
        selling.rail.next(mood);
        assert_eq!(browser.post_form(&path, "").await.json()["state"], "unknown");
        refused(&browser.post_form(&path, "").await, 409, "payment_in_doubt");
        refused(&browser.post_form(&format!("/orders/{id}/cancel"), "").await, 409, "payment_in_doubt");
        // Also when its time is over.
        selling.shop.advance_s(2 * 3600);
        refused(&browser.post_form(&format!("/orders/{id}/cancel"), "").await, 409, "payment_in_doubt");
        selling.shop.merchant().bring_orders_up_to_date().await.unwrap();
        let order = selling.order(&id).await;
        let found = [order.ledger().received, order.ledger().settled().unwrap()].map(|money| money.minor());
        assert_eq!((found, selling.rail.taken_minor(&id)), ([cents[0], cents[1]], cents[0]));
        assert_eq!(selling.rail.calls(), 1);
        if state == OrderState::Paid {
            selling
                .stands(
                    &id,
                    OrderState::Paid,
                    cents,
                    "placed payment_begun payment_answered payment_answered received paid",
                )
                .await;
        } else {
            assert!(matches!(order.state(), OrderState::Declined | OrderState::Expired), "{:?}", order.state());
        }
    }
}

#[tokio::test]
async fn what_is_in_doubt_is_asked_about_less_and_less_often_also_when_its_time_is_over() {
    let (selling, store) = Selling::new();
    let mut browser = selling.customer("adult").await;
    let id = selling.placed(&mut browser).await;
    selling.rail.next(Mood::Says(Outcome::Unknown));
    browser.post_form(&format!("/orders/{id}/pay/fake"), "").await;
    let due = async |merchant: &Merchant| merchant.bring_orders_up_to_date().await.unwrap();
    selling.shop.advance_s(2 * 3600);
    // Also where the rail was taken out of the program.
    let without = selling.shop.again(|builder| builder.store(store.clone()));
    for merchant in [selling.shop.merchant(), without.merchant()] {
        assert_eq!((due(merchant).await, due(merchant).await), (1, 0));
        selling.shop.advance_s(3600);
    }
    selling.stands(&id, OrderState::Unknown, [0; 4], "placed payment_begun payment_answered").await;
    selling.rail.decide(&id, 1, Outcome::Paid);
    assert_eq!(due(selling.shop.merchant()).await, 1);
    let late = "placed payment_begun payment_answered payment_answered received paid";
    selling.stands(&id, OrderState::Paid, [TEA, TEA, 0, 0], late).await;
}

// --- notices

#[tokio::test]
async fn row_123_a_notice_counts_once_and_only_if_the_rail_signed_it() {
    let (selling, _) = Selling::new();
    let mut browser = selling.customer("adult").await;
    let id = selling.placed(&mut browser).await;
    selling.rail.next(Mood::Says(Outcome::Pending));
    assert_eq!(browser.post_form(&format!("/orders/{id}/pay/fake"), "").await.json()["state"], "paying");
    let pending = "placed payment_begun payment_answered";
    selling.rail.decide(&id, 1, Outcome::Paid);
    let now = selling.shop.merchant().now();
    let (headers, body) = selling.rail.notice_of(&id, 1, now).unwrap();

    // Unsigned, signed by nobody, and another body than was signed.
    let mut forged = headers.clone();
    forged.insert("fake-rail-signature", http::HeaderValue::from_static("AAAA"));
    let other = String::from_utf8(body.clone()).unwrap().replace("1480", "1");
    for (headers, body) in [
        (http::HeaderMap::new(), body.clone()),
        (forged, body.clone()),
        (headers.clone(), other.into_bytes()),
        (headers.clone(), b"".to_vec()),
    ] {
        refused(&browser.notice("fake", &(headers, body)).await, 401, "notice_not_authentic");
    }
    // Too old.
    selling.shop.advance_s(301);
    refused(&browser.notice("fake", &(headers, body)).await, 401, "notice_not_authentic");
    // Too large to be read at all; and not even the method of a notice.
    let huge = (http::HeaderMap::new(), vec![b' '; 64 * 1024 + 1]);
    refused(&browser.notice("fake", &huge).await, 413, "body_too_large");
    assert_eq!(browser.get("/wallet/notices/fake").await.status, StatusCode::METHOD_NOT_ALLOWED);
    selling.stands(&id, OrderState::Paying, [0; 4], pending).await;

    let paid = "placed payment_begun payment_answered payment_answered received paid";
    let notice = selling.rail.notice_of(&id, 1, selling.shop.merchant().now()).unwrap();
    for _ in 0..3 {
        let reply = browser.notice("fake", &notice).await;
        assert_eq!((reply.status, reply.body.len()), (StatusCode::NO_CONTENT, 0), "{}", reply.text());
        assert_eq!(reply.header("cache-control"), "no-store");
        selling.stands(&id, OrderState::Paid, [TEA, TEA, 0, 0], paid).await;
    }
    assert_eq!(selling.rail.calls(), 1);
}

#[tokio::test]
async fn a_rail_that_sends_no_notices_is_like_one_that_there_is_not() {
    let (selling, _) = Selling::new();
    let mut browser = selling.browser();
    let notice = (http::HeaderMap::new(), b"{}".to_vec());
    let unknown = browser.notice("gold", &notice).await;
    refused(&unknown, 404, "no_such_rail");
    for rail in ["sepa", "FAKE", "..", "fake%2F", &"x".repeat(4_000)] {
        let reply = browser.notice(rail, &notice).await;
        assert_eq!((reply.status, reply.told()), (unknown.status, unknown.told()), "{rail}");
    }
}

#[tokio::test]
async fn row_119_a_notice_for_another_order_or_amount_changes_nothing() {
    let (selling, _) = Selling::new();
    let mut browser = selling.customer("adult").await;
    let (id, other) = (selling.placed(&mut browser).await, selling.placed(&mut browser).await);
    selling.rail.next(Mood::Says(Outcome::Pending));
    browser.post_form(&format!("/orders/{id}/pay/fake"), "").await;
    let nowhere = OrderId::from_random([7; 16]);
    let dollars = Money::new(TEA, Currency::USD).unwrap();
    // All signed by the rail itself: it may be wrong, or bought.
    for (order, attempt, amount, status, code) in [
        (&nowhere, 1, euros(TEA), 404, "no_such_order"),
        (&other, 1, euros(TEA), 404, "no_such_attempt"),
        (&id, 2, euros(TEA), 404, "no_such_attempt"),
        (&id, 0, euros(TEA), 404, "no_such_attempt"),
        (&id, 1, euros(TEA - 1), 409, "other_amount"),
        (&id, 1, euros(TEA + 1), 409, "other_amount"),
        (&id, 1, euros(0), 409, "other_amount"),
        (&id, 1, dollars, 409, "other_amount"),
    ] {
        for outcome in [Outcome::Paid, Outcome::Declined("no".into())] {
            let notice = selling.notice(order, attempt, amount, outcome);
            refused(&browser.notice("fake", &notice).await, status, code);
        }
    }
    selling.stands(&id, OrderState::Paying, [0; 4], "placed payment_begun payment_answered").await;
    selling.stands(&other, OrderState::Placed, [0; 4], PLACED).await;
    // A SEPA order is paid by its transfers; the other rail has nothing to say of it.
    browser.post_form(&format!("/orders/{other}/pay/sepa"), "").await;
    let notice = selling.notice(&other, 1, euros(TEA), Outcome::Paid);
    refused(&browser.notice("fake", &notice).await, 404, "no_such_attempt");
    assert_eq!(selling.order(&other).await.state(), OrderState::Paying);
}

#[tokio::test]
async fn row_121_notices_out_of_order_are_written_down_and_take_nothing_back() {
    let (selling, _) = Selling::new();
    let mut browser = selling.customer("adult").await;
    let declined = || Outcome::Declined("no_money".into());

    // Declined after paid: it stays paid.
    let id = selling.paid(&mut browser).await;
    for outcome in [declined(), Outcome::Pending, Outcome::Unknown, declined()] {
        let notice = selling.notice(&id, 1, euros(TEA), outcome);
        assert_eq!(browser.notice("fake", &notice).await.status, StatusCode::NO_CONTENT);
    }
    selling.stands(&id, OrderState::Paid, [TEA, TEA, 0, 0], &format!("{PAID} contradicted")).await;

    // Paid after declined: it counts.
    let id = selling.placed(&mut browser).await;
    selling.rail.next(Mood::Declines);
    browser.post_form(&format!("/orders/{id}/pay/fake"), "").await;
    let notice = selling.notice(&id, 1, euros(TEA), Outcome::Paid);
    assert_eq!(browser.notice("fake", &notice).await.status, StatusCode::NO_CONTENT);
    let late = "placed payment_begun payment_answered payment_answered received paid";
    selling.stands(&id, OrderState::Paid, [TEA, TEA, 0, 0], late).await;

    // Paid after declined, when a second attempt has been paid: the excess is owed back.
    let id = selling.placed(&mut browser).await;
    let pay = format!("/orders/{id}/pay/fake");
    selling.rail.next(Mood::Declines);
    browser.post_form(&pay, "").await;
    assert_eq!(browser.post_form(&pay, "").await.json()["state"], "paid");
    let notice = selling.notice(&id, 1, euros(TEA), Outcome::Paid);
    for _ in 0..2 {
        assert_eq!(browser.notice("fake", &notice).await.status, StatusCode::NO_CONTENT);
    }
    let order = selling.order(&id).await;
    assert_eq!(
        (order.state(), order.ledger().received, order.ledger().owed),
        (OrderState::Paid, euros(2 * TEA), euros(TEA))
    );

    // Paid after cancelled: owed back.
    let id = selling.placed(&mut browser).await;
    selling.rail.next(Mood::Declines);
    browser.post_form(&format!("/orders/{id}/pay/fake"), "").await;
    browser.post_form(&format!("/orders/{id}/cancel"), "").await;
    let notice = selling.notice(&id, 1, euros(TEA), Outcome::Paid);
    assert_eq!(browser.notice("fake", &notice).await.status, StatusCode::NO_CONTENT);
    let order = selling.order(&id).await;
    assert_eq!((order.state(), order.ledger().owed), (OrderState::Cancelled, euros(TEA)));

    // After a refund: what was given back does not come again.
    let id = selling.paid(&mut browser).await;
    let all = fields(&[("amount", "14.80"), ("currency", "EUR"), ("key", "all")]);
    browser.post_form(&format!("/merchant/orders/{id}/refund"), &all).await;
    let order = selling.order(&id).await;
    order.refunds().await.unwrap().remove(0).send().await.unwrap();
    let happened = format!("{PAID} refund_owed sending_stopped refund_begun refunded");
    let notice = selling.notice(&id, 1, euros(TEA), Outcome::Paid);
    assert_eq!(browser.notice("fake", &notice).await.status, StatusCode::NO_CONTENT);
    selling.stands(&id, OrderState::Paid, [TEA, 0, 0, TEA], &happened).await;
    assert_eq!(selling.rail.refunded_minor(&id), TEA);
}

// --- transfers

#[tokio::test]
async fn row_119_a_transfer_pays_the_order_whose_reference_it_names_and_no_other() {
    let (selling, _) = Selling::new();
    let merchant = selling.shop.merchant();
    let mut anna = selling.customer("adult").await;
    let mut nils = selling.customer("national").await;
    let mut ids = Vec::new();
    for browser in [&mut anna, &mut nils] {
        let id = selling.placed(browser).await;
        assert_eq!(browser.post_form(&format!("/orders/{id}/pay/sepa"), "").await.json()["state"], "paying");
        ids.push(id);
    }
    let [annas, nilss] = ids.as_slice() else { panic!() };
    let paying = "placed payment_begun payment_answered";
    let reference = selling.order(annas).await.reference().to_string();
    let altered = {
        let last = reference.chars().last().unwrap();
        format!("{}{}", &reference[..reference.len() - 1], if last == '1' { '2' } else { '1' })
    };
    let book = async |name: &str, amount: Money, text: &str| {
        let transfer = Transfer { id: name.parse().unwrap(), amount, text: text.to_owned(), payer: None };
        merchant.book_transfer(transfer).await?.commit().await
    };
    // The amount, the customer's name or nearly the reference say nothing; nor does another currency.
    for (name, amount, text) in [
        ("1", euros(TEA), "for the tea"),
        ("2", euros(TEA), altered.as_str()),
        ("3", euros(TEA), nilss.as_str()),
        ("4", Money::new(TEA, Currency::USD).unwrap(), reference.as_str()),
    ] {
        assert!(matches!(book(name, amount, text).await.unwrap(), Booking::Unmatched(_)), "{text}");
    }
    for id in [annas, nilss] {
        selling.stands(id, OrderState::Paying, [0; 4], paying).await;
    }
    // One that says so, once; what is booked under its name afterwards is a mistake.
    for _ in 0..2 {
        assert!(matches!(book("5", euros(TEA), &reference).await.unwrap(), Booking::For(_)));
    }
    assert_eq!(book("5", euros(TEA + 1), &reference).await.unwrap_err().code(), "transfer_differs");
    let paid = format!("{paying} received paid");
    selling.stands(annas, OrderState::Paid, [TEA, TEA, 0, 0], &paid).await;
    selling.stands(nilss, OrderState::Paying, [0; 4], paying).await;
    // The reference of a paid order, used again: owed back, and no other order is paid by it.
    book("6", euros(TEA), &reference).await.unwrap();
    selling.stands(annas, OrderState::Paid, [2 * TEA, TEA, TEA, 0], &format!("{paid} received refund_owed")).await;
    // What the merchant assigns goes where they say, once; and no euros are made of dollars.
    let waiting = merchant.unmatched_transfers(10).await.unwrap();
    assert_eq!(waiting.len(), 4);
    for transfer in &waiting {
        let dollars = transfer.amount.currency() == Currency::USD;
        let assigned = match merchant.assign_transfer(&transfer.name, nilss).await {
            Ok(pending) => pending.commit().await,
            Err(error) => Err(error),
        };
        assert_eq!(assigned.is_err(), dollars, "{assigned:?}");
    }
    let nils_order = selling.order(nilss).await;
    assert_eq!((nils_order.state(), nils_order.ledger().owed), (OrderState::Paid, euros(2 * TEA)));
    assert_eq!(merchant.unmatched_transfers(10).await.unwrap().len(), 1);
}

// --- money back

#[tokio::test]
async fn row_124_no_refund_is_made_twice_or_above_what_was_received() {
    let (selling, _) = Selling::new();
    let mut browser = selling.customer("adult").await;
    let id = selling.paid(&mut browser).await;
    let path = format!("/merchant/orders/{id}/refund");
    let refund =
        |amount: &str, currency: &str, key: &str| fields(&[("amount", amount), ("currency", currency), ("key", key)]);
    for (amount, currency, key, status, code) in [
        ("14.81", "EUR", "a", 409, "refund_too_large"),
        ("92233720368547758.07", "EUR", "a", 409, "refund_too_large"),
        ("0", "EUR", "a", 422, "no_amount"),
        ("14.80", "USD", "a", 422, "currency_mismatch"),
        ("-1", "EUR", "a", 422, "amount_malformed"),
        ("1", "EUR", "", 422, "invalid_refund_key"),
        ("1", "EUR", "a/b", 422, "invalid_refund_key"),
        ("1", "EUR", "with space", 422, "invalid_refund_key"),
        ("1", "EUR", &"a".repeat(65), 422, "invalid_refund_key"),
    ] {
        refused(&browser.post_form(&path, &refund(amount, currency, key)).await, status, code);
    }
    selling.stands(&id, OrderState::Paid, [TEA, TEA, 0, 0], PAID).await;

    // The same key twice is one refund; with another amount it is a mistake.
    for _ in 0..3 {
        assert_eq!(browser.post_form(&path, &refund("4.80", "EUR", "a")).await.status, StatusCode::OK);
    }
    refused(&browser.post_form(&path, &refund("4.81", "EUR", "a")).await, 409, "refund_differs");
    selling.stands(&id, OrderState::Paid, [TEA, 1000, 480, 0], &format!("{PAID} refund_owed")).await;
    refused(&browser.post_form(&path, &refund("10.01", "EUR", "b")).await, 409, "refund_too_large");
    assert_eq!(browser.post_form(&path, &refund("10", "EUR", "b")).await.status, StatusCode::OK);
    refused(&browser.post_form(&path, &refund("0.01", "EUR", "c")).await, 409, "refund_too_large");

    // Carried out once, however often it is said.
    let order = selling.order(&id).await;
    for refund in order.refunds().await.unwrap() {
        refund.send().await.unwrap();
        assert_eq!(refund.send().await.unwrap_err().code(), "already_refunded");
        assert!(!refund.sent_by_hand().await.unwrap().is_new(), "done is done");
    }
    let happened =
        format!("{PAID} refund_owed refund_owed sending_stopped refund_begun refunded refund_begun refunded");
    selling.stands(&id, OrderState::Paid, [TEA, 0, 0, TEA], &happened).await;
    assert_eq!(selling.rail.refunded_minor(&id), TEA);
}

#[tokio::test]
async fn row_124_two_refunds_at_once_do_not_exceed_what_was_received() {
    let store = Meeting::over("order", 2);
    let selling = Selling::over(store.clone());
    let mut one = selling.customer("adult").await;
    let id = selling.paid(&mut one).await;
    let (mut two, path) = (one.clone(), format!("/merchant/orders/{id}/refund"));
    let refund = |key: &str| fields(&[("amount", "10"), ("currency", "EUR"), ("key", key)]);
    let (a, b) = (refund("a"), refund("b"));
    store.begin(2);
    let (first, second) = tokio::join!(one.post_form(&path, &a), two.post_form(&path, &b));
    assert!(store.has_met());
    let lost = if first.status == StatusCode::OK { second } else { first };
    refused(&lost, 409, "refund_too_large");
    selling.stands(&id, OrderState::Paid, [TEA, 480, 1000, 0], &format!("{PAID} refund_owed")).await;
}

// --- the step-up

#[tokio::test]
async fn where_money_goes_back_to_is_said_by_who_has_just_shown_their_wallet() {
    let (selling, _) = Selling::new();
    let mut browser = selling.customer("adult").await;
    let id = selling.placed(&mut browser).await;
    let reference = selling.order(&id).await.reference().to_string();
    let path = format!("/orders/{id}/destination");
    let mine = fields(&[("iban", IBAN), ("name", "Erika Mustermann")]);
    refused(&browser.post_form(&path, &mine).await, 404, "nothing_owed");
    let part = TEA - 1;
    let transfer = Transfer { id: "statement-1".parse().unwrap(), amount: euros(part), text: reference, payer: None };
    selling.shop.merchant().book_transfer(transfer).await.unwrap().commit().await.unwrap();
    browser.post_form(&format!("/orders/{id}/cancel"), "").await;
    let owed = "placed received cancelled refund_owed";

    // Just after the wallet, and up to five minutes.
    assert_eq!(browser.post_form(&path, &fields(&[("iban", IBAN), ("name", "")])).await.status, 500);
    selling.shop.advance_s(5 * 60);
    assert_eq!(browser.post_form(&path, &mine).await.status, StatusCode::NO_CONTENT);
    selling.stands(&id, OrderState::Cancelled, [part, 0, part, 0], &format!("{owed} account_named")).await;

    // A second later: however lively the session is.
    selling.shop.advance_s(1);
    assert_eq!(browser.get(&format!("/orders/{id}")).await.status, StatusCode::OK);
    let thief = fields(&[("iban", "GB82WEST12345698765432"), ("name", "Mallory")]);
    for reply in [browser.post_form(&path, &thief).await, browser.get(&path).await] {
        refused(&reply, 403, "step_up_needed");
        assert_eq!(reply.json()["ask"], "age", "what this customer has shown before");
        assert_eq!(reply.header("cache-control"), "private, no-store");
        assert!(!reply.header("dpop-nonce").is_empty());
    }
    // Nor by coming back with the key alone, nor by a wallet on another device.
    assert_eq!(browser.redeem(&json!({})).await.status, StatusCode::OK);
    refused(&browser.post_form(&path, &thief).await, 403, "step_up_needed");
    let (asking, _) = answered(&mut browser, "age", Device::CrossDevice, "adult").await;
    assert_eq!(browser.redeem(&json!({ "presentation": asking.id })).await.status, StatusCode::OK);
    refused(&browser.post_form(&path, &thief).await, 403, "step_up_needed");
    selling.stands(&id, OrderState::Cancelled, [part, 0, part, 0], &format!("{owed} account_named")).await;
    let order = selling.order(&id).await;
    let refund = order.refunds().await.unwrap().remove(0);
    assert_eq!(refund.account().unwrap().unwrap().holder(), "Erika Mustermann");

    // The wallet here: yes again, in the session that it began, and in no other of this key.
    let earlier = browser.clone();
    browser.prove("age", "adult").await;
    refused(&browser.post_form(&path, &thief).await, 404, "nothing_owed");
    refused(&earlier.clone().post_form(&path, &thief).await, 403, "step_up_needed");
    // And nobody's wallet is good for somebody else's money, whatever the handler forgot to look at.
    let mut nils = selling.customer("national").await;
    refused(&nils.post_form(&path, &thief).await, 404, "no_such_order");
    // Ordering needed none of it.
    selling.shop.advance_s(3600);
    selling.paid(&mut browser).await;
}

#[tokio::test]
async fn a_stored_address_is_changed_by_who_has_just_shown_their_wallet() {
    let (selling, _) = Selling::new();
    let mut browser = selling.customer("adult").await;
    let form = browser.get("/checkout").await.text();
    let address = |street: &'static str| {
        vec![("name", "Erika"), ("street", street), ("locality", "Köln"), ("postal_code", "50667"), ("country", "DE")]
    };
    let sent = [vec![("form", form.as_str()), ("item", "tea"), ("deliver", "typed")], address("Weg 1")].concat();
    let id = ordered(&browser.post_form("/checkout", &fields(&sent)).await);
    let path = format!("/orders/{id}/address");
    assert_eq!(browser.post_form(&path, &fields(&address("Weg 2"))).await.status, StatusCode::OK);
    let lines = json!(["Erika", "Weg 2", "50667 Köln", "DE"]);
    assert_eq!(browser.get(&format!("/orders/{id}")).await.json()["address"], lines);
    refused(&browser.post_form(&path, &fields(&address(""))).await, 422, "invalid_address");
    selling.shop.advance_s(301);
    refused(&browser.post_form(&path, &fields(&address("Weg 3"))).await, 403, "step_up_needed");
    assert_eq!(browser.get(&format!("/orders/{id}")).await.json()["address"], lines);
    selling.stands(&id, OrderState::Placed, [0; 4], "placed address_changed").await;
}

#[tokio::test]
async fn who_is_nobody_is_told_so_before_a_step_up() {
    let (selling, _) = Selling::new();
    let mut browser = selling.browser();
    let path = format!("/orders/{}/destination", OrderId::from_random([7; 16]));
    let reply = browser.plain(&Method::POST, &path, &[], &[]).await;
    refused(&reply, 401, "invalid_dpop_proof");
    assert_eq!(reply.json()["ask"], "address", "the first of the shop's");
    let navigation = [("sec-fetch-mode", "navigate")];
    let reply = browser.plain(&Method::GET, &path, &navigation, &[]).await;
    assert!(reply.text().contains("data-firsthand-page=\"shell\""));
    let reply = browser.plain(&Method::POST, &path, &navigation, &[]).await;
    assert_eq!(reply.status, StatusCode::UNAUTHORIZED);
    assert!(reply.text().contains("<firsthand-button ask=\"address\">"), "{}", reply.text());
}

#[tokio::test]
async fn row_06_an_answer_from_another_device_proves_the_age_for_a_new_order_and_nothing_else() {
    let (selling, _) = Selling::new();
    let mut browser = selling.browser();
    for ask in ["age", "address"] {
        let (asking, _) = answered(&mut browser, ask, Device::CrossDevice, "adult").await;
        assert_eq!(browser.redeem(&json!({ "presentation": asking.id })).await.status, StatusCode::OK);
    }
    let form = browser.get("/checkout").await.text();
    let sent = fields(&[("form", &form), ("item", "wine"), ("deliver", "wallet")]);
    let id = ordered(&browser.post_form("/checkout", &sent).await);
    let order = selling.order(&id).await;
    let mut asks: Vec<&str> = order.proofs().iter().map(|proof| proof.ask.as_str()).collect();
    asks.sort_unstable();
    assert_eq!(asks, ["address", "age"]);
    assert!(order.proofs().iter().all(|proof| proof.device == Device::CrossDevice));
    // The parcel has the address; the page, its first letters: whoever scanned the code may be somebody else.
    let delivered = order.delivery().await.unwrap().unwrap();
    assert!(delivered.for_label().street.starts_with("Lindenallee"));
    let page = browser.get(&format!("/orders/{id}")).await;
    assert!(page.text().contains("L…") && !page.text().contains("indenallee") && !page.text().contains("öln"));
    refused(&browser.post_form(&format!("/orders/{id}/address"), "").await, 403, "step_up_needed");
    refused(&browser.post_form(&format!("/orders/{id}/destination"), "").await, 403, "step_up_needed");
    selling.stands(&id, OrderState::Placed, [0; 4], PLACED).await;
    // The order took the address from the answer: it is nowhere else any more.
    let form = browser.get("/checkout").await.text();
    let sent = fields(&[("form", &form), ("item", "tea"), ("deliver", "wallet")]);
    let reply = browser.post_form("/checkout", &sent).await;
    refused(&reply, 403, "proof_needed");
    assert_eq!(reply.json()["ask"], "address");

    // From the wallet on this device, it is shown as it is.
    browser.prove("address", "adult").await;
    let form = browser.get("/checkout").await.text();
    let sent = fields(&[("form", &form), ("item", "tea"), ("deliver", "wallet")]);
    let id = ordered(&browser.post_form("/checkout", &sent).await);
    assert!(browser.get(&format!("/orders/{id}")).await.text().contains("Lindenallee 12"));
}

#[test]
fn a_quantity_is_read_as_strictly_as_an_amount() {
    assert_eq!("007".parse::<Quantity>(), Err(MoneyError::NotAQuantity));
    assert_eq!("7".parse::<Quantity>().map(Quantity::count), Ok(7));
}

#[tokio::test]
async fn the_wallet_of_somebody_who_was_lent_the_browser_is_no_step_up() {
    let wanted = Wanted::sd_jwt_vc(PID).claim(["family_name"]);
    let who = Ask::new("who", "To know you again").credential("pid", wanted).keep("family_name", "to know you", 9_999);
    let shop = TestShop::with(|shop| shop.store(Memory::new()).ask(&who));
    let step = |known: Recent<Known>| async move { known.id().to_string() };
    let app: Router = Router::new()
        .route("/step", axum::routing::post(step))
        .merge(routes(shop.merchant()))
        .layer(CustomerLayer::new(shop.merchant().clone()));
    let mut browser = Browser::new(&shop, app);
    browser.prove("who", "adult").await;
    assert_eq!(browser.post_form("/step", "").await.status, StatusCode::OK);
    shop.advance_s(6 * 60);
    let refusal = browser.post_form("/step", "").await;
    refused(&refusal, 403, "step_up_needed");
    assert_eq!(refusal.json()["ask"], "who", "the ask that tells who it is");
    // Another wallet proves an age, which says nothing about whose it is.
    browser.prove("age", "national").await;
    refused(&browser.post_form("/step", "").await, 403, "step_up_needed");
    // Nor does it become theirs by the ask that tells.
    let (asking, code) = answered(&mut browser, "who", Device::SameDevice, "national").await;
    let body = json!({ "presentation": asking.id, "response_code": code });
    refused(&browser.redeem(&body).await, 409, "another_person");
    refused(&browser.post_form("/step", "").await, 403, "step_up_needed");
    browser.prove("who", "adult").await;
    assert_eq!(browser.post_form("/step", "").await.status, StatusCode::OK);
}
