//! The merchant's own pages and API through the router: who comes in, what they see and do, and everything that
//! somebody without a key, or with another one's form, could try.

#[path = "merchant_pages/after_sale.rs"]
mod after_sale;
#[path = "merchant_pages/clock.rs"]
mod clock;
#[path = "merchant_pages/stock.rs"]
mod stock;

use std::sync::{Arc, Mutex};

use axum::{Router, routing::get};
use firsthand::{
    Merchant,
    merchant::{Order, Webhook},
    money::{Currency, Money, Quantity, Rate},
    order::{Address, Carriage, Draft, Line, LineTax, OrderState, RefundState},
    protocol::webhook::WebhookSecret,
    rail::{Outcome, Sepa},
    store::Memory,
    time::Zone,
};
use firsthand_axum::{
    BackOffice, CustomerLayer, Operator, OperatorKey, Operators, merchant_pages, routes,
    testing::{Browser, FakeRail, Mood, Reply, TestShop},
};
use http::{HeaderMap, HeaderName, HeaderValue, Method};
use serde_json::{Value, json};
use url::form_urlencoded;

use crate::{
    made_statements::{Camt, Detail, Entry},
    orders::IBAN,
};

const ERP: &str = "https://erp.example/hooks/9f3c";
const HOSTILE: &str = "=HYPERLINK(\"https://evil.example\",\"<script>alert(1)</script>\")";

struct Office {
    shop: TestShop,
    rail: FakeRail,
    app: Router,
    anna: OperatorKey,
    ben: OperatorKey,
}

/// How a page is asked for.
struct Sending<'a> {
    key: Option<&'a str>,
    origin: Option<&'a str>,
    language: &'a str,
    kind: &'a str,
}

const HERE: &str = "https://shop.example";

impl Office {
    fn new() -> Self {
        let rail = FakeRail::new();
        let sepa = Sepa::new("Weingut Müller & Söhne", IBAN).unwrap();
        let erp = Webhook::new("erp", ERP.parse().unwrap(), [WebhookSecret::from_random([1; 32])]);
        let shop = TestShop::with(|builder| {
            builder.store(Memory::new()).rail(rail.clone()).rail(sepa).webhook(erp).time_zone(Zone::Cet)
        });
        let (anna, ben) = (OperatorKey::random(), OperatorKey::random());
        let operators = Operators::new().key("anna", anna.digest()).key("ben", ben.digest());
        // Inside of the customers' layer, as a merchant may mount it.
        let app = Router::new()
            .nest_service("/merchant", merchant_pages(shop.merchant(), operators))
            .merge(routes(shop.merchant()))
            .layer(CustomerLayer::new(shop.merchant().clone()));
        Self { shop, rail, app, anna, ben }
    }

    fn merchant(&self) -> &Merchant {
        self.shop.merchant()
    }

    async fn send(&self, method: Method, path: &str, how: &Sending<'_>, body: &[u8]) -> Reply {
        let mut headers = HeaderMap::new();
        let mut say = |name: &'static str, value: &str| {
            headers.insert(HeaderName::from_static(name), HeaderValue::from_str(value).unwrap());
        };
        if let Some(key) = how.key {
            say("authorization", key);
        }
        if let Some(origin) = how.origin {
            say("origin", origin);
        }
        say("accept-language", how.language);
        say("accept", "text/html,*/*;q=0.8");
        if !how.kind.is_empty() {
            say("content-type", how.kind);
        }
        Browser::new(&self.shop, self.app.clone()).send(&method, path, headers, body).await
    }

    fn basic(key: &OperatorKey) -> String {
        let text = format!("whoever:{}", key.reveal());
        format!("Basic {}", base64(text.as_bytes()))
    }

    /// A page as Anna sees it, in a language.
    async fn look_in(&self, path: &str, language: &str) -> Reply {
        let key = Self::basic(&self.anna);
        let how = Sending { key: Some(&key), origin: None, language, kind: "" };
        self.send(Method::GET, &format!("/merchant{path}"), &how, b"").await
    }

    async fn look(&self, path: &str) -> Reply {
        self.look_in(path, "en").await
    }

    /// A form that Anna sends from a page of the shop, with whatever is in it.
    async fn post(&self, path: &str, fields: &[(&str, &str)]) -> Reply {
        let key = Self::basic(&self.anna);
        let how =
            Sending { key: Some(&key), origin: Some(HERE), language: "en", kind: "application/x-www-form-urlencoded" };
        let form = form_urlencoded::Serializer::new(String::new()).extend_pairs(fields).finish();
        self.send(Method::POST, &format!("/merchant{path}"), &how, form.as_bytes()).await
    }

    /// The same with a token of theirs and the tick that Anna is sure.
    async fn act(&self, path: &str, fields: &[(&str, &str)]) -> Reply {
        let token = token(&self.look("/bank").await.text());
        let all: Vec<(&str, &str)> =
            [("form", token.as_str()), ("sure", "yes")].into_iter().chain(fields.iter().copied()).collect();
        self.post(path, &all).await
    }

    /// What the API says to Anna's program.
    async fn api(&self, method: Method, path: &str, body: Option<&Value>) -> Reply {
        let key = format!("Bearer {}", self.anna.reveal());
        let kind = if body.is_some() { "application/json" } else { "" };
        let how = Sending { key: Some(&key), origin: None, language: "en", kind };
        let body = body.map(Value::to_string).unwrap_or_default();
        self.send(method, &format!("/merchant/api{path}"), &how, body.as_bytes()).await
    }

    async fn ask(&self, path: &str) -> Value {
        let reply = self.api(Method::GET, path, None).await;
        assert_eq!(reply.status, 200, "{}", reply.text());
        reply.json()
    }

    async fn tell(&self, path: &str, body: &Value) -> Reply {
        self.api(Method::POST, path, Some(body)).await
    }

    async fn placed(&self, draft: Draft) -> Order {
        let form = self.merchant().guest_form();
        self.merchant().place_as_guest(draft, &form).await.unwrap().commit().await.unwrap().order
    }

    async fn paid(&self) -> Order {
        self.placed(tea()).await.pay(FakeRail::ID).await.unwrap()
    }

    async fn now(&self, order: &Order) -> Order {
        order.reload().await.unwrap()
    }
}

fn euros(minor: i64) -> Money {
    Money::new(minor, Currency::EUR).unwrap()
}

/// One tea for 14.80.
fn tea() -> Draft {
    Draft::new(Currency::EUR).line("tea", "Sencha, 100 g", euros(1480), Quantity::new(1).unwrap())
}

fn base64(bytes: &[u8]) -> String {
    firsthand::protocol::jose::base64url_encode(bytes).replace('-', "+").replace('_', "/")
}

/// The token of the first form of a page.
#[track_caller]
fn token(page: &str) -> String {
    let (_, rest) = page.split_once("name=\"form\" value=\"").unwrap_or_else(|| panic!("no form in {page}"));
    rest.split_once('"').unwrap().0.to_owned()
}

fn path_of(order: &Order) -> String {
    format!("/orders/{}", order.id())
}

/// That a form did what it was to do: on to a page that says so.
#[track_caller]
fn went(reply: &Reply, path: &str, said: &str) {
    assert_eq!(reply.status, 303, "{}", reply.text());
    assert_eq!(reply.header("location"), format!("/merchant{path}?said={said}"));
}

/// That a form did nothing, and the page says why.
#[track_caller]
fn refused(reply: &Reply, status: u16, words: &str) {
    assert_eq!(reply.status, status, "{}", reply.text());
    let text = reply.text();
    assert!(text.contains("role=\"alert\"") && text.contains(words), "{text}");
}

#[tokio::test]
async fn nobody_comes_in_without_a_key() {
    let office = Office::new();
    let order = office.paid().await;
    let pages =
        ["", "/orders", &path_of(&order), "/orders.csv", "/transfers", "/refunds", "/bank", "/outbox", "/style.css"];
    let right = Office::basic(&office.anna);
    let bearer = format!("Bearer {}", office.anna.reveal());
    let digest = format!("Bearer {}", office.anna.digest());
    for (method, path) in pages.iter().map(|path| (Method::GET, *path)).chain([
        (Method::POST, "/transfers"),
        (Method::POST, "/bank/statement"),
        (Method::GET, "/api/orders"),
        (Method::POST, "/api/statements"),
    ]) {
        let api = path.starts_with("/api");
        // Each door takes its own scheme alone: what browsers send by themselves opens no API.
        let others = if api { [&right, &digest] } else { [&bearer, &digest] };
        for key in others.into_iter().map(Some).chain([None]) {
            let key = key.map(String::as_str);
            let how = Sending { key, origin: Some(HERE), language: "en", kind: "" };
            let reply = office.send(method.clone(), &format!("/merchant{path}"), &how, b"").await;
            if reply.status == 429 {
                continue;
            }
            assert_eq!(reply.status, 401, "{method} {path} {key:?}");
            let scheme = if api { "Bearer realm=" } else { "Basic realm=" };
            assert!(reply.header("www-authenticate").starts_with(scheme), "{path}");
            assert_eq!(reply.code(), if api { "operator_unknown" } else { "" });
            assert!(!reply.text().contains(order.reference().as_str()) && !reply.text().contains("Sencha"));
        }
    }
    assert_eq!(office.look("").await.status, 200);
    assert_eq!(office.api(Method::GET, "/orders", None).await.status, 200);
}

#[tokio::test]
async fn an_address_that_is_not_there_is_answered_in_words() {
    let office = Office::new();
    assert!(office.look("/").await.text().contains("<h1>Today</h1>"), "with the slash, too");
    for path in ["/nothing", "/orders/x/y", "/bank/"] {
        let reply = office.look(path).await;
        refused(&reply, 404, "There is no such page.");
        assert!(
            reply.text().contains("href=\"/merchant/orders\"") && reply.header("cache-control").contains("no-store")
        );
        assert!(office.look_in(path, "de").await.text().contains("Eine solche Seite gibt es nicht."));
    }
    let other = office.post("/orders", &[("act", "cancel")]).await;
    refused(&other, 405, "takes no such request");
    assert_eq!(other.header("allow"), "GET,HEAD");
    for (method, path, status, code) in [
        (Method::GET, "/nothing", 404, "not_found"),
        (Method::POST, "/orders/x/burn", 404, "not_found"),
        (Method::DELETE, "/orders", 405, "method_not_allowed"),
        (Method::GET, "/statements", 405, "method_not_allowed"),
    ] {
        let reply = office.api(method.clone(), path, None).await;
        assert_eq!((reply.status.as_u16(), reply.code().as_str()), (status, code), "{method} {path}");
        assert_eq!(reply.header("content-type"), "application/problem+json");
    }
    // Whoever has no key is not told what is there and what is not.
    for path in ["/merchant/", "/merchant/nothing", "/merchant/api/nothing"] {
        let nobody = Sending { key: None, origin: None, language: "en", kind: "" };
        assert_eq!(office.send(Method::GET, path, &nobody, b"").await.status, 401, "{path}");
    }
}

#[tokio::test]
async fn wrong_keys_are_slowed_down_and_the_right_one_opens_all_the_while() {
    let office = Office::new();
    let statuses = async |count: usize, api: bool| {
        let mut found = Vec::new();
        for _ in 0..count {
            let (key, path) = match api {
                true => ("Bearer wrong".to_owned(), "/merchant/api/orders"),
                false => (format!("Basic {}", base64(b"anna:wrong")), "/merchant"),
            };
            let how = Sending { key: Some(&key), origin: None, language: "de", kind: "" };
            found.push(office.send(Method::GET, path, &how, b"").await);
        }
        found
    };
    // Both doors count together.
    assert!(statuses(6, false).await.iter().all(|reply| reply.status == 401));
    assert!(statuses(4, true).await.iter().all(|reply| reply.status == 401));
    for reply in statuses(3, false).await.iter().chain(&statuses(3, true).await) {
        assert_eq!((reply.status.as_u16(), reply.header("retry-after")), (429, "60"));
    }
    assert_eq!(office.look("").await.status, 200);
    assert_eq!(office.api(Method::GET, "/orders", None).await.status, 200);
    office.shop.advance_s(60);
    assert_eq!(statuses(1, false).await[0].status, 401);
}

#[tokio::test]
async fn what_operators_see_stays_with_them() {
    let office = Office::new();
    let order = office.paid().await;
    for path in
        ["", "/orders", &path_of(&order), "/orders.csv", "/transfers", "/refunds", "/bank", "/outbox", "/style.css"]
    {
        let reply = office.look(path).await;
        assert_eq!(reply.status, 200, "{path}");
        assert_eq!(reply.header("cache-control"), "private, no-store");
        assert_eq!(reply.header("referrer-policy"), "same-origin");
        assert_eq!(reply.header("x-content-type-options"), "nosniff");
        assert_eq!(reply.header("x-frame-options"), "DENY");
        let policy = reply.header("content-security-policy");
        assert!(policy.starts_with("default-src 'none'; ") && policy.contains("frame-ancestors 'none'"), "{policy}");
        assert!(!policy.contains("script") && !policy.contains("unsafe"), "{policy}");
        assert_eq!(reply.header("set-cookie"), "");
        if reply.header("content-type").starts_with("text/html") {
            let text = reply.text();
            assert!(!text.contains("<script") && !text.contains("//") && !text.contains("style=\""), "{text}");
            for needed in
                ["<html lang=\"en\">", "href=\"#main\"", "<main id=\"main\">", "aria-current=\"page\"", "anna"]
            {
                assert!(text.contains(needed), "{path}: {needed}");
            }
            assert_eq!(text.matches("<h1>").count(), 1);
        }
    }
    let german = office.look_in("/orders", "de-AT,en;q=0.5").await.text();
    assert!(german.contains("<html lang=\"de\">") && german.contains("Bestellungen") && german.contains("14,80 EUR"));
    let api = office.api(Method::GET, &path_of(&order), None).await;
    assert_eq!((api.header("cache-control"), api.header("content-type")), ("private, no-store", "application/json"));
}

#[tokio::test]
async fn a_form_comes_from_a_page_of_ours_with_a_token_of_this_operator() {
    let office = Office::new();
    let order = office.paid().await;
    let path = path_of(&order);
    let page = office.look(&path).await.text();
    let own = token(&page);
    let fields = |token: &str| {
        let pairs = [("form", token), ("act", "refund"), ("amount", "1"), ("sure", "yes")];
        form_urlencoded::Serializer::new(String::new()).extend_pairs(pairs).finish()
    };
    let key = Office::basic(&office.anna);
    // From elsewhere, or from nowhere.
    for origin in [Some("https://evil.example"), Some("null"), Some("http://shop.example"), None] {
        let how = Sending { key: Some(&key), origin, language: "en", kind: "application/x-www-form-urlencoded" };
        let reply = office.send(Method::POST, &format!("/merchant{path}"), &how, fields(&own).as_bytes()).await;
        assert_eq!(reply.status, 403, "{origin:?}");
        assert!(reply.text().contains("does not come from a page of this shop"));
    }
    // Without a token, with a bent one, with another operator's, with an old one.
    let bens = Office::basic(&office.ben);
    let how = Sending { key: Some(&bens), origin: None, language: "en", kind: "" };
    let bens = token(&office.send(Method::GET, &format!("/merchant{path}"), &how, b"").await.text());
    let mut bent = own.clone().into_bytes();
    bent[5] = if bent[5] == b'A' { b'B' } else { b'A' };
    for bad in ["", "x", &String::from_utf8(bent).unwrap(), &bens] {
        let reply = office.post(&path, &[("form", bad), ("act", "refund"), ("amount", "1"), ("sure", "yes")]).await;
        refused(&reply, 422, "too old or already used");
        assert!(reply.text().contains("value=\"1\""), "what was typed is there again");
    }
    // Not without the tick.
    let reply = office.post(&path, &[("form", &own), ("act", "refund"), ("amount", "1")]).await;
    refused(&reply, 422, "tick that you are sure");
    // Of another type.
    let how = Sending { key: Some(&key), origin: Some(HERE), language: "en", kind: "text/plain" };
    let reply = office.send(Method::POST, &format!("/merchant{path}"), &how, fields(&own).as_bytes()).await;
    assert_eq!(reply.status, 415);
    assert!(office.now(&order).await.ledger().owed.is_zero());
    // The very token is good, for a day.
    office.shop.advance_s(24 * 60 * 60 - 1);
    let sent = [("form", own.as_str()), ("act", "refund"), ("amount", "1"), ("sure", "yes")];
    went(&office.post(&path, &sent).await, &path, "refunded");
    office.shop.advance_s(1);
    refused(&office.post(&path, &sent).await, 422, "too old or already used");
    assert_eq!(office.now(&order).await.ledger().owed, euros(100));
}

#[tokio::test]
async fn a_paid_order_is_refunded_in_part_and_whole_and_never_beyond() {
    let office = Office::new();
    let order = office.paid().await;
    let path = path_of(&order);
    let page = office.look(&path).await.text();
    for says in ["Sencha, 100 g", "EUR 14.80", "Paid", "a guest", "<code>tea</code>"] {
        assert!(page.contains(says), "{says}: {page}");
    }
    // Sent twice, it is one refund; with another amount, it is none.
    let own = token(&page);
    let sent = |amount| [("form", own.as_str()), ("act", "refund"), ("sure", "yes"), ("amount", amount)];
    for _ in 0..2 {
        went(&office.post(&path, &sent("4,80")).await, &path, "refunded");
    }
    refused(&office.post(&path, &sent("4,81")).await, 409, "used for something else");
    assert_eq!(office.now(&order).await.ledger().owed, euros(480));
    let beyond = office.act(&path, &[("act", "refund"), ("amount", "10.01")]).await;
    refused(&beyond, 409, "more than can be refunded");
    assert!(beyond.text().contains("value=\"10.01\""));
    for unreadable in ["", "0", "-1", "ten", "1.000,00", "1.001"] {
        refused(&office.act(&path, &[("act", "refund"), ("amount", unreadable)]).await, 422, "no amount");
    }
    refused(&office.act(&path, &[("act", "cancel")]).await, 409, "refund it instead");
    went(&office.act(&path, &[("act", "refund"), ("amount", "10")]).await, &path, "refunded");
    assert!(office.look(&format!("{path}?said=refunded")).await.text().contains("The refund is owed now"));

    // It goes back the way that it came.
    let owed = office.ask("/refunds").await["refunds"].as_array().unwrap().clone();
    assert_eq!(owed.len(), 2);
    let id = order.id().to_string();
    for refund in &owed {
        let key = refund["key"].as_str().unwrap();
        let named = [("order", id.as_str()), ("refund", key)];
        let send: Vec<(&str, &str)> = [("act", "send")].into_iter().chain(named).collect();
        refused(
            &office
                .post(
                    "/refunds",
                    &[("form", &token(&office.look("/refunds").await.text())), ("act", "send"), named[0], named[1]],
                )
                .await,
            422,
            "tick",
        );
        went(&office.act("/refunds", &send).await, "/refunds", "sent");
    }
    let done = office.now(&order).await;
    assert_eq!((done.ledger().refunded, done.ledger().owed), (euros(1480), euros(0)));
    assert!(office.look("/refunds").await.text().contains("You owe nobody."));
    assert!(!office.look(&path).await.text().contains("value=\"refund\""), "nothing is left to refund");
}

#[tokio::test]
async fn an_order_is_cancelled_captured_closed_and_released() {
    let office = Office::new();
    let open = office.placed(tea()).await;
    let path = path_of(&open);
    went(&office.act(&path, &[("act", "cancel")]).await, &path, "cancelled");
    assert_eq!(office.now(&open).await.state(), OrderState::Cancelled);

    office.rail.next(Mood::Authorises);
    let order = office.paid().await;
    assert_eq!(order.state(), OrderState::Authorised);
    let path = path_of(&order);
    assert!(office.look(&path).await.text().contains("value=\"capture\"") && order.is_to_be_captured());
    refused(&office.act(&path, &[("act", "close")]).await, 409, "cancel the order instead");
    refused(&office.act(&path, &[("act", "capture"), ("amount", "14.81")]).await, 409, "more than can be collected");
    went(&office.act(&path, &[("act", "capture"), ("amount", "4.80")]).await, &path, "captured");
    assert_eq!(office.now(&order).await.ledger().received, euros(480));
    went(&office.act(&path, &[("act", "close")]).await, &path, "closed");
    let closed = office.now(&order).await;
    assert_eq!((closed.state(), closed.record().waived), (OrderState::Paid, euros(1000)));
    assert!(office.look(&path).await.text().contains("Give up the authorisation"));
    went(&office.act(&path, &[("act", "release")]).await, &path, "released");
    assert!(!office.now(&order).await.attempts()[0].holds());
    refused(&office.act(&path, &[("act", "explode")]).await, 422, "nothing that can be done here");
}

#[tokio::test]
async fn what_is_in_doubt_is_decided_by_whoever_has_looked() {
    let office = Office::new();
    office.rail.next(Mood::Says(Outcome::Unknown));
    let order = office.paid().await;
    let path = path_of(&order);
    assert_eq!(order.state(), OrderState::Unknown);
    assert!(office.look(&path).await.text().contains("It was not paid"));
    refused(&office.act(&path, &[("act", "decide"), ("attempt", "1")]).await, 422, "nothing that can be done");
    let decided = office.act(&path, &[("act", "decide"), ("attempt", "1"), ("happened", "yes")]).await;
    went(&decided, &path, "decided");
    assert_eq!(office.now(&order).await.state(), OrderState::Paid);
    let again = office.act(&path, &[("act", "decide"), ("attempt", "1"), ("happened", "no")]).await;
    refused(&again, 409, "not in doubt any more");

    // A refund in doubt.
    went(&office.act(&path, &[("act", "refund"), ("amount", "14.80")]).await, &path, "refunded");
    office.rail.next(Mood::Says(Outcome::Unknown));
    let id = order.id().to_string();
    let refund = office.ask("/refunds").await["refunds"][0]["key"].as_str().unwrap().to_owned();
    let named = [("order", id.as_str()), ("refund", refund.as_str())];
    let with = |act: &'static str, more: &[(&'static str, &'static str)]| {
        let all: Vec<(&str, &str)> = [("act", act)].into_iter().chain(named).chain(more.iter().copied()).collect();
        all
    };
    went(&office.act("/refunds", &with("send", &[])).await, "/refunds", "sent");
    assert!(office.look("/refunds").await.text().contains("in doubt"));
    refused(&office.act("/refunds", &with("done", &[])).await, 409, "in doubt");
    went(&office.act("/refunds", &with("decide", &[("happened", "yes")])).await, "/refunds", "decided");
    assert_eq!(office.now(&order).await.ledger().refunded, euros(1480));

    // A capture in doubt.
    office.rail.next(Mood::Authorises);
    let order = office.paid().await;
    let path = path_of(&order);
    office.rail.next(Mood::ForgetsWithout);
    went(&office.act(&path, &[("act", "capture"), ("amount", "14.80")]).await, &path, "captured");
    let key = office.now(&order).await.attempts()[0].captures[0].key.clone();
    let fields = [("act", "decide_capture"), ("attempt", "1"), ("capture", key.as_str()), ("happened", "no")];
    went(&office.act(&path, &fields).await, &path, "decided");
    assert!(office.now(&order).await.ledger().received.is_zero());
}

#[tokio::test]
async fn orders_are_found_by_state_and_number_page_by_page() {
    let office = Office::new();
    assert!(office.look("/orders").await.text().contains("No order here."));
    assert!(office.look("").await.text().contains("None: everything is paid."));
    let mut orders = Vec::new();
    for _ in 0..51 {
        orders.push(office.placed(tea()).await);
        office.shop.advance_s(1);
    }
    let paid = orders[7].pay(FakeRail::ID).await.unwrap();
    let first = office.look("/orders").await.text();
    assert_eq!(first.matches("<th scope=\"row\">").count(), 50);
    assert!(first.find(orders[50].id().as_str()).unwrap() < first.find(orders[49].id().as_str()).unwrap());
    let (_, rest) = first.split_once("class=\"more\" href=\"/merchant").unwrap();
    let next = rest.split_once('"').unwrap().0.replace("&amp;", "&");
    let second = office.look(&next).await.text();
    assert_eq!(second.matches("<th scope=\"row\">").count(), 1);
    assert!(second.contains(orders[0].id().as_str()) && !second.contains("class=\"more\""));
    let of_state = office.look("/orders?state=paid").await.text();
    assert_eq!(of_state.matches("<th scope=\"row\">").count(), 1);
    assert!(of_state.contains(paid.id().as_str()));
    // By its number, as it is printed; what is none is told so.
    for number in [paid.reference().as_str().to_owned(), paid.reference().printed().replace(' ', "+")] {
        let found = office.look(&format!("/orders?reference={number}")).await.text();
        assert!(found.contains(paid.id().as_str()) && found.matches("<th scope=\"row\">").count() == 1);
    }
    refused(&office.look("/orders?reference=%22%3E%3Cscript%3E").await, 404, "no such order");
    for unknown in ["/orders/o_00112233445566778899aabbccddeeff", "/orders/nothing"] {
        refused(&office.look(unknown).await, 404, "no such order");
        refused(
            &office
                .post(unknown, &[("form", &token(&first_form(&office).await)), ("act", "cancel"), ("sure", "yes")])
                .await,
            404,
            "no such order",
        );
    }
    // What no page wrote does no harm.
    for odd in ["/orders?after=%00", "/orders?state=%F0%9F%8D%B7", "/orders?said=%3Cb%3E", "/orders?a=%"] {
        assert_eq!(office.look(odd).await.status, 200, "{odd}");
    }
    // The first page has those that wait.
    let today = office.look("").await.text();
    assert_eq!(today.matches("<th scope=\"row\">").count(), 20);
    assert!(today.contains("see all orders"));
}

async fn first_form(office: &Office) -> String {
    office.look("/bank").await.text()
}

#[tokio::test]
async fn a_transfer_without_an_order_is_assigned_sent_back_or_put_aside() {
    let office = Office::new();
    let order = office.placed(tea()).await.pay("sepa").await.unwrap();
    let book = |id: &'static str, text: &'static str| {
        [
            ("act", "book"),
            ("id", id),
            ("amount", "14,80"),
            ("text", text),
            ("payer", "Erika"),
            ("iban", "DE02120300000000202051"),
        ]
    };
    went(&office.act("/transfers", &book("B1", "Tee")).await, "/transfers", "booked_unmatched");
    went(&office.act("/transfers", &book("B1", "Tee")).await, "/transfers", "booked_before");
    let other = office.act("/transfers", &book("B1", "Wein")).await;
    refused(&other, 409, "That number is booked already");
    assert!(other.text().contains("value=\"Wein\"") && other.text().contains("“Tee”"), "it waits on the same page");
    refused(&office.act("/transfers", &book("", "Tee")).await, 422, "number of the transfer is missing");
    let no_iban = [("act", "book"), ("id", "B2"), ("amount", "1"), ("payer", "Erika"), ("iban", "DE00")];
    let typed = office.act("/transfers", &no_iban).await;
    refused(&typed, 422, "too short, too long");
    for (iban, said) in
        [("DE02120300000000202015", "its check digits do not fit"), ("US02120300000000202051", "SEPA area")]
    {
        let mistyped = [("act", "book"), ("id", "B2"), ("amount", "1"), ("payer", "Erika"), ("iban", iban)];
        refused(&office.act("/transfers", &mistyped).await, 422, said);
    }
    assert!(typed.text().contains("value=\"DE00\"") && typed.text().contains("value=\"Erika\""));

    let page = office.look("/transfers").await.text();
    assert!(page.contains("Erika") && page.contains("DE02 1203") && page.contains("“Tee”"), "{page}");
    let name = office.ask("/transfers").await["transfers"][0]["name"].as_str().unwrap().to_owned();
    let assign =
        |number: &str| vec![("act", "assign".to_owned()), ("transfer", name.clone()), ("order", number.to_owned())];
    let send = async |fields: Vec<(&'static str, String)>| {
        let fields: Vec<(&str, &str)> = fields.iter().map(|(name, value)| (*name, value.as_str())).collect();
        office.act("/transfers", &fields).await
    };
    refused(&send(assign("RF18000000000539007547034")).await, 404, "no such order");
    let assigned = format!("assigned&order={}", order.id());
    went(&send(assign(&order.reference().printed())).await, "/transfers", &assigned);
    assert_eq!(office.now(&order).await.state(), OrderState::Paid);
    // Twice is once; for something else it is too late.
    went(&send(assign(order.id().as_str())).await, "/transfers", &assigned);
    refused(&send(vec![("act", "returned".to_owned()), ("transfer", name.clone())]).await, 409, "reads otherwise");
    refused(
        &send(vec![("act", "returned".to_owned()), ("transfer", "nothing".to_owned())]).await,
        404,
        "does not wait",
    );
    for (id, act) in [("B3", "returned"), ("B4", "same")] {
        went(&office.act("/transfers", &book(id, "x")).await, "/transfers", "booked_unmatched");
        let name = office.ask("/transfers").await["transfers"][0]["name"].as_str().unwrap().to_owned();
        went(&send(vec![("act", act.to_owned()), ("transfer", name)]).await, "/transfers", act);
    }
    assert!(office.look("/transfers").await.text().contains("every transfer found its order"));
    // By its reference it finds its order by itself.
    let other = office.placed(tea()).await.pay("sepa").await.unwrap();
    let text = other.reference().printed();
    let fields = [("act", "book"), ("id", "B5"), ("amount", "14.80"), ("text", text.as_str())];
    went(&office.act("/transfers", &fields).await, "/transfers", &format!("booked&order={}", other.id()));
    assert_eq!(office.now(&other).await.state(), OrderState::Paid);
}

#[tokio::test]
async fn whoever_books_a_transfer_is_told_what_came_of_it() {
    let office = Office::new();
    let order = office.placed(tea()).await.pay("sepa").await.unwrap();
    let text = order.reference().printed();
    let book = async |id: &str, amount: &str| {
        let fields = [("act", "book"), ("id", id), ("amount", amount), ("text", text.as_str())];
        let booked = office.act("/transfers", &fields).await;
        went(&booked, "/transfers", &format!("booked&order={}", order.id()));
        booked.header("location").trim_start_matches("/merchant").to_owned()
    };
    let page = book("B1", "5.20").await;
    let said = office.look(&page).await.text();
    for says in ["Booked to its order:", "EUR 9.60 missing.", &format!("href=\"/merchant{}\"", path_of(&order)), &text]
    {
        assert!(said.contains(says), "{says}: {said}");
    }
    assert!(office.look_in(&page, "de").await.text().contains("Es fehlen noch 9,60 EUR."));
    let today = office.look("").await.text();
    assert!(today.contains("data-label=\"Missing\" class=\"number\">EUR 9.60<"), "{today}");
    assert!(today.contains("Partly paid") && today.contains("Waits until"), "{today}");
    let page = book("B2", "9.60").await;
    let said = office.look(&page).await.text();
    assert!(said.contains("Paid: now pack it.") && !said.contains("missing."), "{said}");
    let page = book("B3", "5.40").await;
    let said = office.look(&page).await.text();
    assert!(said.contains("EUR 5.40 too much or not due: it goes back, now under “Refunds”."), "{said}");
    // What an address says of an order that is not there says nothing.
    for odd in ["o_1", "x", "%3Cscript%3E", "o_00112233445566778899aabbccddeeff"] {
        let said = office.look(&format!("/transfers?said=booked&order={odd}")).await;
        assert!(said.status == 200 && !said.text().contains("missing."), "{odd}");
    }

    // A paid order speaks of no attempt, and its codes are folded away.
    let path = path_of(&order);
    for (language, machine) in [("en", ["pending", "attempt"]), ("de", ["pending", "Versuch"])] {
        let page = office.look_in(&path, language).await.text();
        let (plain, folded) = page.split_once("<details>").unwrap();
        for word in machine.iter().copied().chain([order.id().as_str(), "sepa<"]) {
            let in_forms = plain.replace(&format!("/merchant{path}"), "");
            assert!(!in_forms.contains(word), "{word}: {in_forms}");
        }
        assert!(folded.contains(order.id().as_str()) && folded.contains("pending"), "{folded}");
    }
    assert!(office.look(&path).await.text().contains("the order is paid"));
}

#[tokio::test]
async fn money_that_goes_back_by_hand_is_said_to_have_been_sent_by_nobody() {
    let office = Office::new();
    let order = office.placed(tea()).await.pay("sepa").await.unwrap();
    let text = order.reference().printed();
    let account = [("payer", "Erika"), ("iban", "DE02120300000000202051")];
    let book = [("act", "book"), ("id", "B1"), ("amount", "20.20"), ("text", text.as_str()), account[0], account[1]];
    assert_eq!(office.act("/transfers", &book).await.status, 303);
    let page = office.look("/refunds").await.text();
    assert!(page.contains("I will transfer it myself") && !page.contains("Send it"), "{page}");
    let refund = order.refunds().await.unwrap().remove(0);
    let id = order.id().to_string();
    let send = [("act", "send"), ("order", id.as_str()), ("refund", refund.key())];
    went(&office.act("/refunds", &send).await, "/refunds", "by_hand");
    let page = office.look("/refunds?said=by_hand").await.text();
    for says in [
        "Nothing has been sent yet",
        "Now transfer <strong>EUR 5.40</strong> at your bank, then press “It is done”, or make the file: not both.",
    ] {
        assert!(page.contains(says), "{says}: {page}");
    }
    let german = office.look_in("/refunds", "de").await.text();
    assert!(german.contains("Überweisen Sie jetzt <strong>5,40 EUR</strong> bei Ihrer Bank"), "{german}");
    // In a file, it is not transferred besides.
    let own = token(&office.look("/bank").await.text());
    let file = office.post("/bank/files", &[("form", &own), ("act", "file"), ("on", "2026-11-30")]).await;
    assert_eq!(file.status, 200, "{}", file.text());
    let page = office.look("/refunds").await.text();
    assert!(page.contains("Transfer nothing besides") && !page.contains("not both"), "{page}");
}

#[tokio::test]
async fn the_office_speaks_the_language_that_somebody_chose_from_page_to_page() {
    let office = Office::new();
    let order = office.placed(tea()).await;
    let page = office.look("/orders?state=placed&said=x").await.text();
    assert!(page.contains("href=\"/merchant/orders?state=placed&amp;said=x&amp;lang=de\" hreflang=\"de\""), "{page}");
    assert!(!page.contains("lang=en\""), "what the browser prefers stands in no address");
    let german = office.look("/orders?state=placed&lang=de").await.text();
    for says in [
        "<html lang=\"de\">",
        "href=\"/merchant/refunds?lang=de\"",
        "<input type=\"hidden\" name=\"lang\" value=\"de\">",
        &format!("href=\"/merchant{}?lang=de\"", path_of(&order)),
        "lang=en\" hreflang=\"en\" lang=\"en\">English<",
    ] {
        assert!(german.contains(says), "{says}: {german}");
    }
    // A form stays in it, and so does the page that says what was done.
    let own = token(&german_form(&office, &order).await);
    let fields = [("form", own.as_str()), ("act", "cancel"), ("sure", "yes")];
    let done = office.post(&format!("{}?lang=de", path_of(&order)), &fields).await;
    assert_eq!(done.header("location"), format!("/merchant{}?said=cancelled&lang=de", path_of(&order)));
}

async fn german_form(office: &Office, order: &Order) -> String {
    office.look(&format!("{}?lang=de", path_of(order))).await.text()
}

fn multipart(token: &str, file: &[u8]) -> Vec<u8> {
    let head = format!(
        "--cut\r\nContent-Disposition: form-data; name=\"form\"\r\n\r\n{token}\r\n--cut\r\n\
         Content-Disposition: form-data; name=\"statement\"; filename=\"a.xml\"\r\nContent-Type: text/xml\r\n\r\n"
    );
    [head.as_bytes(), file, b"\r\n--cut--\r\n"].concat()
}

#[tokio::test]
async fn a_statement_is_handed_in_and_refunds_go_to_the_bank_as_a_file() {
    let office = Office::new();
    let order = office.placed(tea()).await.pay("sepa").await.unwrap();
    let statement = Camt::statement(
        IBAN,
        vec![
            Entry::credit("20.00", "A1", Detail::saying(order.reference().as_str())),
            Entry::credit("5.00", "A2", Detail::saying("nothing that we know")),
        ],
    )
    .xml();
    let key = Office::basic(&office.anna);
    let hand_in = async |origin: Option<&str>, token: &str, file: &[u8]| {
        let how = Sending { key: Some(&key), origin, language: "en", kind: "multipart/form-data; boundary=cut" };
        office.send(Method::POST, "/merchant/bank/statement", &how, &multipart(token, file)).await
    };
    let own = token(&office.look("/bank").await.text());
    assert_eq!(hand_in(Some("https://evil.example"), &own, statement.as_bytes()).await.status, 403);
    refused(&hand_in(Some(HERE), "x", statement.as_bytes()).await, 422, "too old or already used");
    refused(&hand_in(Some(HERE), &own, b"tea").await, 422, "no statement that we can read");
    let others =
        Camt::statement("GB82WEST12345698765432", vec![Entry::credit("1.00", "A9", Detail::saying("x"))]).xml();
    refused(&hand_in(Some(HERE), &own, others.as_bytes()).await, 422, "another account");
    assert!(office.ask("/transfers").await["transfers"].as_array().unwrap().is_empty());

    let report = hand_in(Some(HERE), &own, statement.as_bytes()).await;
    assert_eq!(report.status, 200, "{}", report.text());
    let report = report.text();
    for says in
        ["Booked", "No order has that reference", "EUR 20.00", "EUR 5.00", &format!("/merchant{}", path_of(&order))]
    {
        assert!(report.contains(says), "{says}: {report}");
    }
    assert!(hand_in(Some(HERE), &own, statement.as_bytes()).await.text().contains("Booked before"));
    assert_eq!(office.now(&order).await.ledger().owed, euros(520));

    // What came too much goes back by a file.
    let make = [("act", "file"), ("on", "2026-11-30")];
    let refund = order.refunds().await.unwrap().remove(0);
    assert_eq!(refund.state(), RefundState::Owed);
    let file = {
        let own = token(&office.look("/bank").await.text());
        let fields = [("form", own.as_str()), ("act", "file"), ("on", "2026-11-30")];
        let made = office.post("/bank/files", &fields).await;
        assert_eq!((made.status.as_u16(), made.header("content-type")), (200, "application/xml; charset=utf-8"));
        // Sent twice, it is one file; for another day, it is none.
        assert_eq!(office.post("/bank/files", &fields).await.text(), made.text());
        let other = [fields[0], fields[1], ("on", "2026-12-01")];
        refused(&office.post("/bank/files", &other).await, 409, "used for something else");
        made
    };
    let name = file.header("content-disposition").split('"').nth(1).unwrap().trim_end_matches(".xml").to_owned();
    assert_eq!(office.look(&format!("/bank/files/{name}")).await.text(), file.text());
    refused(&office.look("/bank/files/B0").await, 404, "no such file");
    let post = async |fields: &[(&str, &str)]| {
        let own = token(&office.look("/bank").await.text());
        let all: Vec<(&str, &str)> = [("form", own.as_str())].into_iter().chain(fields.iter().copied()).collect();
        office.post("/bank/files", &all).await
    };
    refused(&post(&make).await, 422, "No refund waits for a file");
    refused(&post(&[("act", "file"), ("on", "soon")]).await, 422, "no day");

    // The bank did not take it: out of its file, to an account that the customer wrote, and by hand.
    let id = order.id().to_string();
    let named = [("order", id.as_str()), ("refund", refund.key())];
    let with = |act: &'static str, more: &[(&'static str, &'static str)]| {
        let all: Vec<(&str, &str)> = [("act", act)].into_iter().chain(named).chain(more.iter().copied()).collect();
        all
    };
    went(&office.act("/refunds", &with("reopen", &[])).await, "/refunds", "reopened");
    refused(&office.act("/refunds", &with("done", &[])).await, 409, "Begin this refund first");
    let bad = office.act("/refunds", &with("name", &[("holder", "Erika"), ("iban", "nothing")])).await;
    refused(&bad, 422, "too short, too long");
    let bad = office.act("/refunds", &with("name", &[("holder", ""), ("iban", "DE02120300000000202051")])).await;
    refused(&bad, 422, "no name and IBAN");
    let good = with("name", &[("holder", "Erika Mustermann"), ("iban", "DE02120300000000202051")]);
    went(&office.act("/refunds", &good).await, "/refunds", "named");
    went(&office.act("/refunds", &with("send", &[])).await, "/refunds", "by_hand");
    refused(&office.act("/refunds", &good).await, 409, "refunded, or is on its way");
    went(&office.act("/refunds", &with("done", &[])).await, "/refunds", "sent_by_hand");
    went(&office.act("/refunds", &with("done", &[])).await, "/refunds", "sent_by_hand");
    assert_eq!(office.now(&order).await.ledger().refunded, euros(520));
    let unknown = office.act("/refunds", &[("act", "send"), ("order", "o_1"), ("refund", "x")]).await;
    refused(&unknown, 404, "no such refund");
}

#[tokio::test]
async fn a_webhook_that_nobody_took_is_sent_once_more() {
    let office = Office::new();
    office.shop.network().status(&ERP.parse().unwrap(), 410);
    let order = office.placed(tea()).await;
    office.merchant().deliver_webhooks().await.unwrap();
    let page = office.look("/outbox").await.text();
    assert!(
        page.contains("<code>erp</code>") && page.contains("<code>disabled</code>") || page.contains("status_410"),
        "{page}"
    );
    let dead = office.ask("/webhooks").await["webhooks"][0].clone();
    assert_eq!((dead["endpoint"].as_str(), dead["order"].as_str()), (Some("erp"), Some(order.id().as_str())));
    let id = order.id().to_string();
    let fields =
        |endpoint, number| [("act", "replay"), ("endpoint", endpoint), ("order", id.as_str()), ("number", number)];
    refused(&office.act("/outbox", &fields("crm", "1")).await, 404, "no endpoint of that name");
    refused(&office.act("/outbox", &fields("erp", "99")).await, 404, "no such order");
    refused(&office.act("/outbox", &fields("erp", "-1")).await, 404, "no such order");
    went(&office.act("/outbox", &fields("erp", "1")).await, "/outbox", "replayed");
    assert!(office.ask("/webhooks").await["webhooks"].as_array().unwrap().is_empty());
    assert!(office.look("/outbox").await.text().contains("everything was taken, or is still being tried"));
    assert_eq!(office.api(Method::POST, &format!("/webhooks/erp/{id}/1/replay"), None).await.status, 204);
    for unknown in [format!("/webhooks/crm/{id}/1/replay"), format!("/webhooks/erp/{id}/x/replay")] {
        assert_eq!(office.api(Method::POST, &unknown, None).await.status, 404);
    }
}

#[tokio::test]
async fn an_endpoint_that_was_gone_is_told_again_once_somebody_says_so() {
    let office = Office::new();
    let (url, enabled) = (ERP.parse().unwrap(), async || office.ask("/webhooks").await["endpoints"].clone());
    assert_eq!(enabled().await, json!([{ "name": "erp", "enabled": true }]));
    assert!(!office.look("/outbox").await.text().contains("value=\"enable\""));
    let say_gone = async || {
        office.shop.network().status(&url, 410);
        office.placed(tea()).await;
        office.merchant().deliver_webhooks().await.unwrap();
        assert_eq!(enabled().await, json!([{ "name": "erp", "enabled": false }]));
        office.shop.network().serve(&url, "text/plain", "ok");
    };
    say_gone().await;
    let page = office.look("/outbox").await.text();
    assert!(page.contains("It answered 410") && page.contains("value=\"enable\""), "{page}");
    let german = office.look_in("/outbox", "de").await.text();
    assert!(german.contains("Er antwortete mit 410") && german.contains("Er ist wieder da"), "{german}");
    refused(&office.act("/outbox", &[("act", "enable"), ("endpoint", "crm")]).await, 404, "no endpoint of that name");
    went(&office.act("/outbox", &[("act", "enable"), ("endpoint", "erp")]).await, "/outbox", "enabled");
    let page = office.look("/outbox?said=enabled").await.text();
    assert!(page.contains("It is sent what happens from now on") && !page.contains("It answered 410"), "{page}");
    office.placed(tea()).await;
    assert_eq!(office.merchant().deliver_webhooks().await.unwrap().taken, 1);

    // The same by the API.
    say_gone().await;
    assert_eq!(office.api(Method::POST, "/webhooks/crm/enable", None).await.code(), "no_such_webhook");
    for _ in 0..2 {
        assert_eq!(office.api(Method::POST, "/webhooks/erp/enable", None).await.status, 204);
    }
    assert_eq!(enabled().await, json!([{ "name": "erp", "enabled": true }]));
    office.placed(tea()).await;
    assert_eq!(office.merchant().deliver_webhooks().await.unwrap().taken, 1);
}

#[tokio::test]
async fn the_books_are_taken_as_csv_and_nothing_in_them_is_a_formula() {
    let office = Office::new();
    let tax = |hundredths, minor| LineTax {
        rate: Rate::from_hundredths(hundredths).unwrap(),
        amount: euros(minor),
        included: true,
    };
    let address = Address {
        name: "Erika Mustermann".to_owned(),
        street: "Heidestraße 17".to_owned(),
        postal_code: "51147".to_owned(),
        locality: "Köln".to_owned(),
        country: "DE".to_owned(),
    };
    let wine =
        Line::new("wine", HOSTILE, euros(1190), Quantity::new(2).unwrap()).less(euros(380)).taxed(tax(1900, 319));
    let book = Line::new("book", "Ein Buch, \"kurz\"", euros(1070), Quantity::new(1).unwrap()).taxed(tax(700, 70));
    let carriage =
        Carriage { method: "parcel".into(), title: "Parcel".into(), amount: euros(595), tax: Some(tax(1900, 95)) };
    let first_day = office.merchant().now();
    let order =
        office.placed(Draft::new(Currency::EUR).with(wine).with(book).sent_by(carriage).deliver_to(address)).await;
    let order = order.pay(FakeRail::ID).await.unwrap();
    order.refund(euros(100), "broken").await.unwrap().commit().await.unwrap();
    office.shop.advance_s(24 * 60 * 60);
    for _ in 0..101 {
        office.placed(tea()).await;
    }

    let all = office.look("/orders.csv").await;
    assert_eq!(all.header("content-type"), "text/csv; charset=utf-8; header=present");
    assert!(all.header("content-disposition").starts_with("attachment"));
    let text = all.text();
    assert!(text.starts_with("\u{feff}order,placed_at,"));
    assert_eq!(text.matches("\r\n").count(), 1 + 102, "more than one page");
    for nobody in ["Erika", "Heidestra", "Köln", "51147"] {
        assert!(!text.contains(nobody), "{nobody}");
    }
    let day = |at| Zone::Cet.day(at);
    let period = format!("?from={0}&to={0}", day(first_day));
    let one = office.api(Method::GET, &format!("/orders.csv{period}"), None).await.text();
    let hostile = HOSTILE.replace('"', "\"\"");
    let expected = format!(
        "order,placed_at,state,items,lines,discounts,shipping,tax_on_top,tax_by_rate,total,paid,owed_back,refunded,currency\r\n\
         \"{}\",\"{}\",\"paid\",\"'{hostile} x 2; Ein Buch, \"\"kurz\"\" x 1\",34.50,3.80,5.95,0.00,\"19%: 4.14; 7%: 0.70\",36.65,36.65,1.00,0.00,\"EUR\"\r\n",
        order.reference().as_str(),
        Zone::Cet.stamp(order.placed_at()),
    );
    assert_eq!(one, expected);
    let later = office.look(&format!("/orders.csv?from={}", day(office.merchant().now()))).await.text();
    assert_eq!(later.matches("\r\n").count(), 1 + 101);
    refused(&office.look("/orders.csv?from=yesterday").await, 422, "no day");
    let backwards = "/orders.csv?from=2026-11-30&to=2026-11-01";
    refused(&office.look(backwards).await, 422, "ends before it begins");
    assert!(office.look_in(backwards, "de").await.text().contains("endet, bevor er beginnt"));
    for path in [backwards, "/orders?from=2026-11-30&to=2026-11-01"] {
        let reply = office.api(Method::GET, path, None).await;
        assert_eq!((reply.status.as_u16(), reply.code().as_str()), (400, "invalid_request"), "{path}");
        assert!(reply.text().contains("`from` is a later day than `to`"), "{}", reply.text());
    }
    assert_eq!(office.api(Method::GET, "/orders.csv?to=2026-02-30", None).await.code(), "invalid_request");

    // The same title on the pages: as text.
    let page = office.look(&path_of(&order)).await.text();
    assert!(page.contains("=HYPERLINK(&quot;") && !page.contains("<script"));
    assert!(page.contains("Heidestraße 17"), "the address is there while it is kept");
    office.shop.advance_s(91 * 24 * 60 * 60);
    assert!(!office.look(&path_of(&order)).await.text().contains("Heidestraße 17"));
    assert!(office.ask(&path_of(&order)).await.get("delivery").is_none());
}

#[tokio::test]
async fn a_program_does_all_of_it_by_json() {
    let office = Office::new();
    let order = office.paid().await;
    let path = path_of(&order);
    let list = office.ask("/orders?state=paid&limit=1").await;
    assert_eq!(list["orders"][0]["id"], order.id().as_str());
    assert_eq!(
        office.ask(&format!("/orders?reference={}", order.reference().as_str())).await["orders"][0]["state"],
        "paid"
    );
    for bad in ["?state=lost", "?after=x", "?from=x", "?limit=x"] {
        let reply = office.api(Method::GET, &format!("/orders{bad}"), None).await;
        assert_eq!((reply.status.as_u16(), reply.code().as_str()), (400, "invalid_request"), "{bad}");
    }
    for (bad, says) in [("?limit=-1", "`limit` cannot be read"), ("?limit=1&limit=2", "`limit` cannot be read")] {
        let text = office.api(Method::GET, &format!("/orders{bad}"), None).await.text();
        assert!(text.contains(says) && !text.contains("-1"), "{text}");
    }
    let whole = office.ask(&path).await;
    assert_eq!(whole["total"], json!({ "minor": 1480, "currency": "EUR" }));
    assert_eq!(whole["attempts"][0]["outcome"], "paid");
    assert_eq!(whole["events"][0]["what"], "placed");
    assert_eq!(whole["events"][0]["happened"]["total"]["minor"], 1480);

    let amount = |minor: i64| json!({ "minor": minor, "currency": "EUR" });
    let refunds = format!("{path}/refunds");
    for _ in 0..2 {
        let reply = office.tell(&refunds, &json!({ "amount": amount(480), "key": "broken" })).await;
        assert_eq!(reply.json()["owed"]["minor"], 480, "{}", reply.text());
    }
    let cases = [
        (json!({ "amount": amount(481), "key": "broken" }), 409, "refund_differs"),
        (json!({ "amount": amount(1001), "key": "more" }), 409, "refund_too_large"),
        (json!({ "amount": amount(-1), "key": "less" }), 422, "amount_unreadable"),
        (json!({ "amount": { "minor": 1, "currency": "XXXX" }, "key": "x" }), 422, "amount_unreadable"),
        (json!({ "amount": amount(1), "key": "a/b" }), 422, "invalid_refund_key"),
        (json!({ "amount": amount(1) }), 400, "invalid_request"),
        (json!({ "amount": amount(1), "key": "x", "also": 1 }), 400, "invalid_request"),
        (json!([]), 400, "invalid_request"),
    ];
    for (body, status, code) in cases {
        let reply = office.tell(&refunds, &body).await;
        assert_eq!((reply.status.as_u16(), reply.code().as_str()), (status, code), "{body}");
        assert_eq!(reply.header("content-type"), "application/problem+json");
    }
    // The member at fault is named, and nothing of what stands in it.
    let key = "x";
    let named = [
        (json!({}), "`amount` is missing"),
        (json!({ "amount": "5.00", "key": key }), "`amount` cannot be read"),
        (json!({ "amount": { "minor": 1 }, "key": key }), "`amount.currency` is missing"),
        (json!({ "amount": { "minor": "5.00", "currency": "EUR" }, "key": key }), "`amount.minor` cannot be read"),
        (json!({ "amount": amount(1), "key": key, "also": "5.00" }), "`also` is none of them"),
        (json!({ "amount": amount(1), "key": key, "<b>5.00": 1 }), "the members that it should have\""),
    ];
    for (body, says) in named {
        let text = office.tell(&refunds, &body).await.text();
        assert!(text.contains(says) && !text.contains("5.00"), "{body}: {text}");
    }
    assert_eq!(office.api(Method::POST, &format!("{path}/cancel"), None).await.code(), "already_paid");
    assert_eq!(office.api(Method::POST, &format!("{path}/close"), None).await.code(), "order_not_authorised");
    assert_eq!(office.api(Method::POST, &format!("{path}/release"), None).await.status, 200);
    let decide = office.tell(&format!("{path}/decide"), &json!({ "attempt": 1, "happened": true })).await;
    assert_eq!(decide.code(), "not_in_doubt");
    let refund = format!(
        "/refunds/{}/{}",
        order.id(),
        office.ask("/refunds").await["refunds"][0]["key"].as_str().unwrap().replace('/', "%2F")
    );
    assert_eq!(office.api(Method::POST, &format!("{refund}/reopen"), None).await.code(), "refund_not_in_file");
    assert_eq!(office.tell(&format!("{refund}/decide"), &json!({ "was_sent": true })).await.code(), "not_in_doubt");
    assert_eq!(office.api(Method::POST, &format!("{refund}/send"), None).await.json()["state"], "done");
    let account = json!({ "holder": "Erika", "iban": "DE02120300000000202051" });
    assert_eq!(office.tell(&format!("{refund}/account"), &account).await.code(), "already_refunded");
    assert_eq!(
        office.tell(&format!("{refund}/account"), &json!({ "holder": "E", "iban": "x" })).await.code(),
        "account_unreadable"
    );
    assert_eq!(office.api(Method::POST, &format!("{refund}/done"), None).await.status, 200, "twice is once");
    for unknown in ["/orders/o_00112233445566778899aabbccddeeff", "/orders/x"] {
        assert_eq!(office.api(Method::GET, unknown, None).await.code(), "no_such_order");
        assert_eq!(office.api(Method::POST, &format!("{unknown}/cancel"), None).await.code(), "no_such_order");
    }
    assert_eq!(office.api(Method::POST, "/refunds/x/y/send", None).await.code(), "nothing_owed");
    assert_eq!(office.api(Method::GET, "/orders/%FF", None).await.code(), "not_found");

    // Captured in parts.
    office.rail.next(Mood::Authorises);
    let held = office.paid().await;
    let captures = format!("{}/captures", path_of(&held));
    let captured = office.tell(&captures, &json!({ "amount": amount(480), "key": "parcel-1" })).await.json();
    assert_eq!(
        captured["attempts"][0]["captures"][0],
        json!({ "key": "parcel-1", "amount": amount(480), "outcome": "done" })
    );
    let again = office.tell(&captures, &json!({ "amount": amount(481), "key": "parcel-1" })).await;
    assert_eq!(again.code(), "capture_differs");
    assert_eq!(office.api(Method::POST, &format!("{}/close", path_of(&held)), None).await.json()["state"], "paid");

    // The bank.
    let waiting = office.placed(tea()).await.pay("sepa").await.unwrap();
    let booking = json!({ "id": "B1", "amount": amount(1480), "text": "Tee", "payer": account });
    let booked = office.tell("/transfers", &booking).await.json();
    assert_eq!(booked["became"], "unmatched");
    let assign = format!("/transfers/{}/assign", booked["transfer"].as_str().unwrap());
    let number = json!({ "order": waiting.reference().printed() });
    for _ in 0..2 {
        assert_eq!(office.tell(&assign, &number).await.json()["order"], waiting.id().as_str());
    }
    let returned = assign.replace("/assign", "/returned");
    assert_eq!(office.api(Method::POST, &returned, None).await.code(), "transfer_differs");
    assert_eq!(office.api(Method::POST, &assign.replace("/assign", "/same"), None).await.code(), "transfer_differs");
    assert_eq!(office.tell("/transfers", &json!({ "id": " ", "amount": amount(1) })).await.code(), "transfer_missing");
    let entry = Entry::credit("0.20", "A1", Detail::saying(waiting.reference().as_str()));
    let statement = Camt::statement(IBAN, vec![entry]).xml();
    let key = format!("Bearer {}", office.anna.reveal());
    let how = Sending { key: Some(&key), origin: None, language: "en", kind: "application/xml" };
    let lines = office.send(Method::POST, "/merchant/api/statements", &how, statement.as_bytes()).await.json();
    assert_eq!((lines["lines"][0]["became"].as_str(), lines["lines"][0]["place"].as_u64()), (Some("booked"), Some(1)));
    let broken = office.send(Method::POST, "/merchant/api/statements", &how, b"tea").await;
    assert_eq!((broken.status.as_u16(), broken.code().starts_with("statement_")), (422, true));
    let ask = json!({ "key": "november", "on": "2026-11-30" });
    let file = office.tell("/refund-files", &ask).await;
    assert_eq!(
        (file.status.as_u16(), file.header("content-type")),
        (200, "application/xml; charset=utf-8"),
        "{}",
        file.text()
    );
    assert_eq!(office.tell("/refund-files", &ask).await.text(), file.text());
    let name = office.ask("/refund-files").await["files"][0].as_str().unwrap().to_owned();
    assert_eq!(office.api(Method::GET, &format!("/refund-files/{name}"), None).await.text(), file.text());
    assert_eq!(
        office.tell("/refund-files", &json!({ "key": "december", "on": "2026-12-30" })).await.code(),
        "nothing_owed"
    );
    assert_eq!(office.tell("/refund-files", &json!({ "key": "", "on": "2026-12-30" })).await.code(), "key_missing");
    assert_eq!(office.tell("/refund-files", &json!({ "key": "x", "on": "soon" })).await.code(), "day_unreadable");
    assert_eq!(office.api(Method::GET, "/refund-files/B0", None).await.code(), "no_such_refund_file");
}

#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl std::io::Write for Log {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

/// What the log says while this is done.
async fn logged(office: &Office, order: &Order) -> String {
    let path = path_of(order);
    let log = Log::default();
    let writer = log.clone();
    let subscriber = tracing_subscriber::fmt().with_ansi(false).with_writer(move || writer.clone()).finish();
    let listening = tracing::subscriber::set_default(subscriber);
    let fields = [
        ("act", "book"),
        ("id", order.id().as_str()),
        ("amount", "5"),
        ("text", "Geburtstag von Oma"),
        ("payer", "Erika"),
        ("iban", "DE02120300000000202051"),
    ];
    went(&office.act("/transfers", &fields).await, "/transfers", "booked_unmatched");
    refused(&office.act(&path, &[("act", "refund"), ("amount", "1")]).await, 409, "Only a paid order");
    went(&office.act(&path, &[("act", "cancel")]).await, &path, "cancelled");
    let _ = office.look("/orders.csv").await;
    drop(listening);
    String::from_utf8(log.0.lock().unwrap().clone()).unwrap()
}

#[tokio::test]
async fn the_log_says_who_did_what_and_nothing_of_a_customer() {
    let office = Office::new();
    let mut missing = Vec::new();
    // Listeners are registered for the whole process, and another test that begins to listen may keep a line from this
    // one.
    for _ in 0..3 {
        let order = office.placed(tea()).await.pay("sepa").await.unwrap();
        let log = logged(&office, &order).await;
        let id = order.id();
        missing = [
            "an operator acted operator=\"anna\" act=\"transfer_book\"".to_owned(),
            format!("an operator was refused operator=\"anna\" act=\"refund\" order=\"{id}\" code=\"order_not_paid\""),
            format!("an operator acted operator=\"anna\" act=\"cancel\" order=\"{id}\""),
            "an operator took a file operator=\"anna\" act=\"orders_csv\"".to_owned(),
        ]
        .into_iter()
        .filter(|said| !log.contains(said))
        .map(|said| format!("{said}: {log}"))
        .collect();
        for secret in ["Erika", "Oma", "DE0212", office.anna.reveal()] {
            assert!(!log.contains(secret), "{secret}: {log}");
        }
        if missing.is_empty() {
            break;
        }
    }
    assert_eq!(missing, Vec::<String>::new());
}

#[tokio::test]
async fn pages_of_the_merchants_own_stand_behind_the_same_keys() {
    let office = Office::new();
    let operators = Operators::new().key("anna", office.anna.digest());
    let pages = BackOffice::new(office.merchant(), operators).stylesheet("/shop.css");
    let shelf = get(async |who: Operator| who.name().to_owned())
        .post(async |who: Operator, form: String| who.read_form(&form).map_or("no", |_| "yes"));
    // Without a mount, and outside of any other layer.
    let app: Router = pages.routes().merge(pages.guard(Router::new().route("/shelf", shelf)));
    let other = Office { app, ..office };
    let key = Office::basic(&other.anna);
    let with = |origin| Sending { key: Some(&key), origin, language: "en", kind: "" };
    let today = other.send(Method::GET, "/", &with(None), b"").await.text();
    assert!(
        today.contains("href=\"/orders\"") && today.contains("<link rel=\"stylesheet\" href=\"/shop.css\">"),
        "{today}"
    );
    assert_eq!(other.send(Method::GET, "/shelf", &with(None), b"").await.text(), "anna");
    let own = token(&other.send(Method::GET, "/bank", &with(None), b"").await.text());
    assert_eq!(other.send(Method::POST, "/shelf", &with(Some(HERE)), own.as_bytes()).await.text(), "yes");
    assert_eq!(other.send(Method::POST, "/shelf", &with(Some(HERE)), b"x").await.text(), "no");
    assert_eq!(other.send(Method::POST, "/shelf", &with(None), own.as_bytes()).await.status, 403);
    let nobody = Sending { key: None, origin: None, language: "de", kind: "" };
    let refused = other.send(Method::GET, "/shelf", &nobody, b"").await;
    assert!(refused.status == 401 && refused.text().contains("Schlüssel"));
    assert_eq!(refused.header("cache-control"), "private, no-store");
}
