//! A shop with everything mounted, and a tap on what is sent to it: what a walk of a browser sends is written down, or stopped
//! before it arrives.

use std::{
    collections::VecDeque,
    convert::Infallible,
    future::pending,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use axum::{Router, body::Body, response::Response};
use bytes::Bytes;
use firsthand::{
    Ask, Merchant, Money,
    merchant::{IssuerProfile, WalletClient, Webhook},
    money::{Currency, Quantity},
    order::{Address, Exemption},
    protocol::{jose::SigningKey, webhook::WebhookSecret},
    rail::Sepa,
    receipt::ReceiptIssuer,
    store::Memory,
    time::UnixTime,
    trade::{Codes, FlatRates, Item, Items, Off, Shelf, Trade, Vat, Way},
    webvh::WebvhLog,
};
use firsthand_axum::{
    BackOffice, CheckoutPage, CustomerLayer, OperatorKey, Operators, routes,
    testing::{Browser, FakeRail, TestShop},
};
use futures_util::StreamExt;
use http::{HeaderMap, Method, Request, StatusCode, Uri};
use http_body_util::BodyExt;
use tokio::sync::Notify;
use tower::{ServiceExt, service_fn};

use crate::document::{Document, OperationId};

pub const IBAN: &str = "DE89370400440532013000";
pub const ERP: &str = "https://erp.example/hooks/9f3c";
pub const WALLET: &str = "https://wallet.example";
pub const CALLBACK: &str = "https://wallet.example/cb";

/// A shop that does all that the library does.
pub struct Place {
    pub shop: TestShop,
    pub rail: FakeRail,
    pub anna: OperatorKey,
    pub app: Router,
    pub documents: [Document; 2],
    /// Draws what differs each time.
    drawn: AtomicUsize,
}

pub fn euro(text: &str) -> Money {
    Money::parse(text, Currency::EUR).unwrap()
}

fn trade(shelf: &Shelf) -> Trade {
    let items = Items::new([
        Item::new("tea", "Sencha <b>100 g</b>", euro("14.80")).sent(120),
        Item::new("book", "A book as a file", euro("9.90")),
        Item::new("cake", "Cake", euro("8.00")).sent(400).no_withdrawal(Exemption::Perishable),
        Item::new("wine", "Riesling", euro("12.00")).sent(1_300).needs(&TestShop::age()),
    ])
    .unwrap();
    let ways = FlatRates::new()
        .way(Way::new("parcel", "Parcel", euro("4.90")).within_days(1, 3), &["DE", "AT"], 20_000)
        .way(Way::new("letter", "Letter", euro("2.00")), &["DE"], 500);
    Trade::new(Currency::EUR, items)
        .inventory(shelf.clone())
        .shipping(ways)
        .discount(Codes::new().word("TEA10", Off::percent("Ten percent", "10".parse().unwrap())))
        .tax(Vat::within_prices("DE").rate("DE", "standard", "19".parse().unwrap()).area(&["AT"]))
        .address_from(&TestShop::address())
}

impl Place {
    pub async fn open() -> Self {
        let (store, rail) = (Memory::new(), FakeRail::new());
        let shelf = Shelf::new(store.clone());
        let client =
            WalletClient { client_id: WALLET.into(), name: "A Wallet".into(), redirect_uris: vec![CALLBACK.into()] };
        let seller = Address {
            name: "Test Shop GmbH".into(),
            street: "Weg 1".into(),
            postal_code: "10115".into(),
            locality: "Berlin".into(),
            country: "DE".into(),
        };
        let erp = Webhook::new("erp", ERP.parse().unwrap(), [WebhookSecret::from_random([1; 32])]);
        let origin = "https://shop.example".parse().unwrap();
        let plain = TestShop::new();
        let log = WebvhLog::begin(&origin, plain.keys(), UnixTime::from_secs(1_735_689_600)).unwrap();
        let shop = plain.again(|shop| {
            shop.store(store)
                .rail(rail.clone())
                .rail(Sepa::new("Test Shop", IBAN).unwrap())
                .trade(trade(&shelf))
                .webhook(erp)
                .webvh(log)
                .relationship(IssuerProfile::Open)
                .display_name("Test Shop")
                .wallet_client(client)
                .receipts(ReceiptIssuer::new(&seller, "DE123456789").branch("web", "Test Shop"))
                .ask(&Ask::new("back", "To know you again").recognise())
        });
        for item in ["tea", "book", "cake", "wine"] {
            shelf.stock(item, 1_000_000, shop.merchant().now()).await.unwrap();
        }
        shop.network().serve(&ERP.parse().unwrap(), "text/plain", "ok");
        let anna = OperatorKey::random();
        let operators = Operators::new().key("anna", anna.digest());
        let page = CheckoutPage::new().shop("Blatt & Rebe").countries(&["DE", "AT"]);
        let app = Router::new()
            .nest_service("/merchant", BackOffice::new(shop.merchant(), operators).shelf(shelf.clone()).routes())
            .merge(routes(shop.merchant()))
            .layer(CustomerLayer::new(shop.merchant().clone()).checkout_page(page).host_cookie());
        let documents = [
            Document::read("openapi", &firsthand_axum::openapi_json("/wallet")),
            Document::read("merchant", &firsthand_axum::merchant_openapi_json("/merchant")),
        ];
        Self { shop, rail, anna, app, documents, drawn: AtomicUsize::new(0) }
    }

    pub fn merchant(&self) -> &Merchant {
        self.shop.merchant()
    }

    /// A name that was not used before.
    pub fn fresh(&self, what: &str) -> String {
        format!("{what}-{}", self.drawn.fetch_add(1, Ordering::Relaxed))
    }

    /// The operation that a request is of, in either document.
    pub fn operation(&self, method: &Method, uri: &Uri) -> Option<OperationId> {
        self.documents.iter().find_map(|document| document.operation(method, uri.path()))
    }

    /// The shop's answer. Of a stream of events, what comes at once.
    pub async fn answer(&self, request: Request<Body>) -> Response {
        let response = self.app.clone().oneshot(request).await.unwrap_or_else(|never| match never {});
        whole(response).await
    }
}

/// A response with its whole body; of a stream of events, what comes at once.
async fn whole(response: Response) -> Response {
    let is_stream = response.headers().get("content-type").is_some_and(|value| value == "text/event-stream");
    let (parts, body) = response.into_parts();
    if !is_stream {
        let bytes = body.collect().await.unwrap().to_bytes();
        return Response::from_parts(parts, Body::from(bytes));
    }
    let first = tokio::time::timeout(Duration::from_millis(100), body.into_data_stream().next()).await;
    let bytes = first.ok().flatten().and_then(Result::ok).unwrap_or_default();
    Response::from_parts(parts, Body::from(bytes))
}

/// A request as it was sent.
#[derive(Clone, Debug)]
pub struct Sent {
    pub method: Method,
    pub uri: Uri,
    pub headers: HeaderMap,
    pub body: Bytes,
}

impl Sent {
    pub fn request(&self) -> Request<Body> {
        let mut request = Request::new(Body::from(self.body.clone()));
        *request.method_mut() = self.method.clone();
        *request.uri_mut() = self.uri.clone();
        *request.headers_mut() = self.headers.clone();
        request
    }

    /// The request of somebody on the network.
    pub async fn from(request: Request<Body>) -> Self {
        let (parts, body) = request.into_parts();
        let body = body.collect().await.map(http_body_util::Collected::to_bytes).unwrap_or_default();
        Self { method: parts.method, uri: parts.uri, headers: parts.headers, body }
    }
}

/// One walk through the shop: its browsers send through a tap.
#[derive(Clone)]
pub struct Walk(Arc<Inner>);

struct Inner {
    place: Arc<Place>,
    /// Where it is stopped: at this request of an operation, counted from nought.
    at: Option<(OperationId, usize)>,
    met: AtomicUsize,
    keys: Mutex<Vec<SigningKey>>,
    stopped: Mutex<VecDeque<Sent>>,
    seen: Mutex<Vec<(OperationId, StatusCode)>>,
    stop: Notify,
}

fn held<T>(lock: &Mutex<T>) -> MutexGuard<'_, T> {
    lock.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Walk {
    pub fn new(place: &Arc<Place>, at: Option<(OperationId, usize)>) -> Self {
        Self(Arc::new(Inner {
            place: place.clone(),
            at,
            met: AtomicUsize::new(0),
            keys: Mutex::default(),
            stopped: Mutex::default(),
            seen: Mutex::default(),
            stop: Notify::new(),
        }))
    }

    pub fn place(&self) -> &Place {
        &self.0.place
    }

    pub fn merchant(&self) -> &Merchant {
        self.place().merchant()
    }

    /// Somebody who was never here.
    pub fn browser(&self) -> Browser {
        let walk = self.clone();
        let app = service_fn(move |request: Request<Body>| {
            let walk = walk.clone();
            async move { Ok::<_, Infallible>(walk.pass(request).await) }
        });
        let browser = Browser::new(&self.place().shop, app);
        held(&self.0.keys).push(browser.key.clone());
        browser
    }

    /// Somebody who is known.
    pub async fn known(&self) -> Browser {
        let mut browser = self.browser();
        browser.sign_in("adult").await;
        browser
    }

    /// The key of a walk's browser that this is the public one of.
    pub fn key(&self, jwk: &serde_json::Value) -> Option<SigningKey> {
        held(&self.0.keys).iter().find(|key| key.public_key().to_jwk() == *jwk).cloned()
    }

    /// What was answered so far.
    pub fn seen(&self) -> Vec<(OperationId, StatusCode)> {
        held(&self.0.seen).clone()
    }

    /// The request that it was stopped at.
    pub async fn stopped(&self) -> Sent {
        self.0.stop.notified().await;
        held(&self.0.stopped).pop_front().expect("a request")
    }

    async fn pass(&self, request: Request<Body>) -> Response {
        let sent = Sent::from(request).await;
        let operation = self.place().operation(&sent.method, &sent.uri);
        if let (Some(operation), Some((at, number))) = (&operation, &self.0.at)
            && operation == at
            && self.0.met.fetch_add(1, Ordering::Relaxed) == *number
        {
            held(&self.0.stopped).push_back(sent);
            self.0.stop.notify_one();
            return pending().await;
        }
        let response = self.place().answer(sent.request()).await;
        if let Some(operation) = operation {
            held(&self.0.seen).push((operation, response.status()));
        }
        response
    }
}

/// What a proof says, unchecked: its header and its claims.
pub fn proof(headers: &HeaderMap) -> Option<(serde_json::Value, serde_json::Map<String, serde_json::Value>)> {
    let text = headers.get("dpop")?.to_str().ok()?;
    let mut parts = text.split('.').map(|part| firsthand::protocol::jose::base64url_decode(part).ok());
    let header: serde_json::Value = serde_json::from_slice(&parts.next()??).ok()?;
    Some((header, serde_json::from_slice(&parts.next()??).ok()?))
}

/// So many of a thing.
pub fn quantity(count: u32) -> Quantity {
    Quantity::new(count).unwrap()
}
