//! What metrics and log see of what is easily missed: a rail that says nothing, a refusal that is a page, and work that goes on
//! when its request is over.

use std::{
    io,
    sync::{Arc, Mutex},
    time::Duration,
};

use axum::Router;
use firsthand::{
    merchant::{IssuerProfile, Order},
    money::{Currency, Money, Quantity},
    order::{Draft, OrderState},
    rail::{
        CannotCollect, Notice, NoticeError, NoticeRequest, Outcome, PaymentRequest, Rail, RefundOutcome, RefundRequest,
    },
    store::Memory,
    testing::FakeRail,
    trade::{Item, Items, Trade},
};
use firsthand_axum::{
    CustomerLayer, Operations, OperatorKey, Operators, merchant_pages, routes,
    testing::{Browser, Reply, TestShop},
};
use http::{HeaderMap, Method, StatusCode};
use tracing::Dispatch;

use crate::{
    privacy::Capture,
    setting::{refused, send_raw},
};

/// A shop that sells a book, with this rail, and everything that can be asked of it.
struct Watched {
    shop: TestShop,
    app: Router,
    operations: Operations,
    anna: OperatorKey,
}

impl Watched {
    fn by(rail: impl Rail) -> Self {
        let price = Money::parse("9.90", Currency::EUR).unwrap();
        let trade = Trade::new(Currency::EUR, Items::new([Item::new("book", "A book as a file", price)]).unwrap());
        let shop = TestShop::with(|shop| shop.store(Memory::new()).rail(rail).trade(trade));
        let layer = CustomerLayer::new(shop.merchant().clone());
        let (operations, anna) = (layer.operations(), OperatorKey::random());
        let desk = merchant_pages(shop.merchant(), Operators::new().key("anna", anna.digest()));
        let app = routes(shop.merchant()).nest_service("/merchant", desk).layer(layer);
        Self { shop, app, operations, anna }
    }

    fn browser(&self) -> Browser {
        Browser::new(&self.shop, self.app.clone())
    }

    async fn order(&self) -> Order {
        let draft = Draft::new(Currency::EUR).line(
            "book",
            "A book as a file",
            Money::parse("9.90", Currency::EUR).unwrap(),
            Quantity::new(1).unwrap(),
        );
        let (merchant, form) = (self.shop.merchant(), self.shop.merchant().guest_form());
        merchant.place_as_guest(draft, &form).await.unwrap().commit().await.unwrap().order
    }

    /// How often a rail was asked this, and it ended so.
    fn calls(&self, call: &str, outcome: &str) -> u64 {
        let line = format!("firsthand_rail_calls_total{{call=\"{call}\",outcome=\"{outcome}\",rail=\"mute\"}} ");
        self.sample(&line)
    }

    fn problems(&self, code: &str) -> u64 {
        self.sample(&format!("firsthand_problems_total{{code=\"{code}\"}} "))
    }

    /// All refusals, whatever their code.
    fn all_problems(&self) -> u64 {
        let text = self.operations.metrics();
        let counts = text.lines().filter_map(|line| line.strip_prefix("firsthand_problems_total{"));
        counts.filter_map(|line| line.rsplit(' ').next()?.parse::<u64>().ok()).sum()
    }

    fn sample(&self, line: &str) -> u64 {
        let text = self.operations.metrics();
        text.lines().find_map(|found| found.strip_prefix(line)).map_or(0, |count| count.parse().unwrap())
    }
}

/// A rail that takes everything and says nothing.
#[derive(Debug)]
struct Mute;

impl Rail for Mute {
    fn id(&self) -> &'static str {
        "mute"
    }

    fn patience_s(&self) -> u64 {
        3_600
    }

    fn takes(&self, _: Money) -> Result<(), CannotCollect> {
        Ok(())
    }

    async fn pay(&self, _: &PaymentRequest) -> Outcome {
        std::future::pending().await
    }

    async fn inquire(&self, _: &PaymentRequest) -> Outcome {
        std::future::pending().await
    }

    async fn refund(&self, _: &RefundRequest) -> RefundOutcome {
        std::future::pending().await
    }

    async fn inquire_refund(&self, _: &RefundRequest) -> RefundOutcome {
        std::future::pending().await
    }

    async fn notice(&self, _: &NoticeRequest<'_>) -> Result<Notice, NoticeError> {
        std::future::pending().await
    }
}

#[tokio::test(start_paused = true)]
async fn a_rail_that_says_nothing_has_not_answered_and_nobody_has_left() {
    let watched = Watched::by(Mute);
    let began = tokio::time::Instant::now();
    let paying = watched.order().await.pay("mute").await.unwrap();
    assert_eq!(paying.state(), OrderState::Unknown);
    assert_eq!(paying.attempts()[0].outcome, Some(Outcome::Unknown));
    assert_eq!(began.elapsed().as_secs(), 30);
    assert_eq!((watched.calls("pay", "unanswered"), watched.calls("pay", "dropped")), (1, 0));

    watched.shop.advance_s(61);
    watched.shop.merchant().bring_orders_up_to_date().await.unwrap();
    assert_eq!((watched.calls("inquire", "unanswered"), watched.calls("inquire", "dropped")), (1, 0));

    // Whoever sends notices sends it again.
    let began = tokio::time::Instant::now();
    let reply = watched.browser().notice("mute", &(HeaderMap::new(), b"{}".to_vec())).await;
    refused(&reply, 503, "notice_unanswered");
    assert_eq!(began.elapsed().as_secs(), 30);
    assert_eq!((watched.calls("notice", "unanswered"), watched.calls("notice", "dropped")), (1, 0));

    // That somebody went away is another thing.
    let order = watched.order().await;
    assert!(tokio::time::timeout(Duration::from_secs(1), order.pay("mute")).await.is_err());
    assert_eq!((watched.calls("pay", "unanswered"), watched.calls("pay", "dropped")), (1, 1));
}

#[tokio::test]
async fn a_refusal_that_is_a_page_is_seen_like_any_other() {
    let capture = Capture::everything();
    let _guard = capture.hears();
    let watched = Watched::by(FakeRail::new());
    let mut browser = watched.browser();
    let named = |reply: &Reply| {
        assert_eq!(reply.header("content-type"), "text/html; charset=utf-8", "{}", reply.text());
        let id = reply.header("x-request-id");
        assert!(!id.is_empty() && reply.text().contains(id), "{}", reply.text());
    };
    let page = [("accept", "text/html"), ("sec-fetch-mode", "navigate")];

    let reply = browser.plain(&Method::GET, "/wallet/checkout/nothing", &page, b"").await;
    assert_eq!((reply.status, watched.problems("no_such_checkout")), (StatusCode::NOT_FOUND, 1));
    named(&reply);
    let form = "application/x-www-form-urlencoded";
    let elsewhere = [page[0], ("content-type", form), ("origin", "https://evil.example")];
    let reply = browser.plain(&Method::POST, "/wallet/checkout", &elsewhere, b"item=book").await;
    assert_eq!((reply.status, watched.problems("cross_site")), (StatusCode::FORBIDDEN, 1));
    named(&reply);
    let large = "x=".to_owned() + &"x".repeat(70_000);
    let reply = browser.plain_form("/wallet/checkout", &large).await;
    assert_eq!((reply.status, watched.problems("body_too_large")), (StatusCode::PAYLOAD_TOO_LARGE, 1));
    named(&reply);

    // The merchant's pages: whoever has no key, tries many, or comes from elsewhere; and a form that is too old.
    let key = |text: &str| {
        let text = firsthand::protocol::jose::base64url_encode(text.as_bytes());
        format!("Basic {}", text.replace('-', "+").replace('_', "/"))
    };
    let (wrong, right) = (key("anna:wrong"), key(&format!("anna:{}", watched.anna.reveal())));
    let mut last = None;
    for _ in 0..11 {
        let wrong = [page[0], ("authorization", wrong.as_str())];
        last = Some(browser.plain(&Method::GET, "/merchant/", &wrong, b"").await);
    }
    let last = last.unwrap();
    assert_eq!((last.status, last.header("retry-after")), (StatusCode::TOO_MANY_REQUESTS, "60"));
    assert_eq!((watched.problems("operator_unknown"), watched.problems("too_many_requests")), (10, 1));
    let right = [page[0], ("authorization", right.as_str()), ("content-type", form)];
    let here = watched.shop.merchant().origin().origin().ascii_serialization();
    let ours = [right[0], right[1], right[2], ("origin", here.as_str())];
    let reply = browser.plain(&Method::POST, "/merchant/transfers", &ours, b"form=old").await;
    assert_eq!((reply.status, watched.problems("form_over")), (StatusCode::UNPROCESSABLE_ENTITY, 1));
    let reply = browser.plain(&Method::GET, "/merchant/orders/nothing", &right, b"").await;
    assert_eq!((reply.status, watched.problems("no_such_order")), (StatusCode::NOT_FOUND, 1));
    for code in ["no_such_checkout", "cross_site", "operator_unknown", "form_over"] {
        assert!(capture.text().contains(&format!("code=\"{code}\"")), "{code}");
    }
}

#[tokio::test]
async fn a_refusal_in_the_words_of_oauth_is_seen_like_any_other() {
    let capture = Capture::everything();
    let _guard = capture.hears();
    let shop = TestShop::with(|shop| {
        let shop = shop.store(Memory::new()).rail(FakeRail::new());
        shop.relationship(IssuerProfile::Open).display_name("Test Shop")
    });
    let layer = CustomerLayer::new(shop.merchant().clone());
    let (operations, anna) = (layer.operations(), OperatorKey::random());
    let app = routes(shop.merchant()).layer(layer);
    let watched = Watched { shop, app, operations, anna };
    let mut browser = watched.browser();
    let form = [("content-type", "application/x-www-form-urlencoded")];
    let json = [("content-type", "application/json"), ("authorization", "DPoP nothing")];
    let grant =
        "grant_type=urn%3Aietf%3Aparams%3Aoauth%3Agrant-type%3Apre-authorized_code&pre-authorized_code=x&tx_code=1";
    for (path, headers, body, status) in [
        ("/wallet/issuer/token", form.as_slice(), grant, 400),
        ("/wallet/issuer/token", &form, "grant_type=password", 400),
        ("/wallet/issuer/credentials", &json, "{}", 401),
    ] {
        let before = watched.all_problems();
        let reply = browser.plain(&Method::POST, path, headers, body.as_bytes()).await;
        assert_eq!(reply.status.as_u16(), status, "{}", reply.text());
        // The wallet reads the standard's words, and nothing of ours.
        let told = reply.json();
        let names: Vec<&str> = told.as_object().unwrap().keys().map(String::as_str).collect();
        assert_eq!((names, reply.header("content-type")), (vec!["error", "error_description"], "application/json"));
        assert_eq!(watched.all_problems(), before + 1, "{path} {body}");
    }
    assert_eq!(watched.problems("no_such_grant"), 1, "{}", watched.operations.metrics());
}

/// What is logged, with the spans in which it is.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl io::Write for Log {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[tokio::test(flavor = "current_thread")]
async fn what_is_done_on_a_task_of_its_own_is_logged_under_the_name_of_its_request() {
    let log = Log::default();
    let to = log.clone();
    let heard = tracing_subscriber::fmt()
        .with_ansi(false)
        .with_max_level(tracing::Level::TRACE)
        .with_writer(move || to.clone())
        .finish();
    // With one dispatcher alone, what another thread logs first is switched off for all.
    let _second = Dispatch::new(Capture::everything());
    let _guard = tracing::subscriber::set_default(heard);
    let watched = Watched::by(FakeRail::new());
    let order = watched.order().await;
    let key = format!("Bearer {}", watched.anna.reveal());
    let path = format!("/merchant/api/orders/{}/cancel", order.id());
    let request = http::Request::post(path).header("authorization", key).body(axum::body::Body::empty()).unwrap();
    let reply = send_raw(&watched.app, request).await;
    assert_eq!(reply.status, StatusCode::OK, "{}", reply.text());
    let text = String::from_utf8(log.0.lock().unwrap().clone()).unwrap();
    let name = format!("request_id=\"{}\"", reply.header("x-request-id"));
    let acted = text.lines().find(|line| line.contains("an operator acted")).unwrap_or_else(|| panic!("{text}"));
    assert!(acted.contains(&name), "{acted}");
}
