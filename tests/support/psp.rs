//! A payment provider with its bridge, as the contract of `rail::psp` describes it: a real server on this machine that
//! declines, delays, forgets its answers, and lies. Written from the documentation, with a reader and a signer of its own.

use std::{
    collections::{BTreeMap, VecDeque},
    sync::{
        Arc, Mutex, MutexGuard,
        atomic::{AtomicI64, Ordering},
    },
};

use aws_lc_rs::hmac;
use axum::{
    Router,
    body::Bytes,
    extract::State,
    response::{IntoResponse, Response},
};
use base64::{Engine, prelude::BASE64_STANDARD};
use firsthand::{
    env::{Env, SystemEnv},
    fetch::Https,
    order::OrderId,
    rail::Psp,
    time::UnixTime,
};
use http::{HeaderMap, HeaderValue, StatusCode, Uri};
use serde_json::{Value, json};
use url::Url;

const SECRET: [u8; 32] = [7; 32];

/// A clock that is moved by hand: the shop's, as the bridge and the rail see it.
#[derive(Clone, Debug)]
pub struct Clock(Arc<AtomicI64>);

impl Clock {
    pub fn at(now: UnixTime) -> Self {
        Self(Arc::new(AtomicI64::new(now.as_secs())))
    }

    pub fn advance_s(&self, secs: u64) {
        self.0.fetch_add(i64::try_from(secs).unwrap(), Ordering::SeqCst);
    }
}

impl Env for Clock {
    fn now(&self) -> UnixTime {
        UnixTime::from_secs(self.0.load(Ordering::SeqCst))
    }

    fn fill(&self, bytes: &mut [u8]) {
        SystemEnv.fill(bytes);
    }
}

/// What is wrong with the next answer. What was asked is done all the same, unless it says otherwise.
#[derive(Clone, Copy, Debug)]
pub enum Wrong {
    /// The request never arrives.
    NeverArrived,
    /// The answer is lost: it is done, and the connection breaks, or somebody in between says that it failed.
    LostAfterDoing,
    Status(u16),
    Unsigned,
    OtherSecret,
    /// Signed so many seconds ago, or ahead.
    SignedAt(i64),
    /// The true answer to another question.
    OtherQuestion,
    /// Our own question, sent back.
    Echo,
    Member(&'static str, fn() -> Value),
    /// The member is there twice.
    Twice,
    NotJson,
    TooLarge,
}

/// What the provider knows.
#[derive(Debug, Default)]
pub struct Books {
    payments: BTreeMap<(String, u64), Payment>,
    refunds: BTreeMap<(String, String, u64), (i64, String)>,
    /// What becomes of the next payments, captures, voids and refunds; else they are done.
    next: VecDeque<&'static str>,
    wrong: VecDeque<Wrong>,
    /// How often each path was asked, with a good signature; and what was refused.
    asked: BTreeMap<String, usize>,
    refused: usize,
    /// What a payment is when nobody says otherwise.
    usually: &'static str,
}

#[derive(Clone, Debug)]
struct Payment {
    amount: i64,
    currency: String,
    status: String,
    code: String,
    captures: BTreeMap<String, (i64, String)>,
}

#[derive(Clone, Debug)]
pub struct Provider {
    books: Arc<Mutex<Books>>,
    pub clock: Clock,
    base: Url,
}

impl Provider {
    /// A provider at work. `usually` is what its payments are: `paid`, `authorised` or `redirect`.
    pub async fn start(clock: Clock, usually: &'static str) -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let base = format!("http://{}/v1/", listener.local_addr().unwrap()).parse().unwrap();
        let books = Arc::new(Mutex::new(Books { usually, ..Books::default() }));
        let provider = Self { books, clock, base };
        let app = Router::new().fallback(bridge).with_state(provider.clone());
        tokio::spawn(async move { axum::serve(listener, app).await });
        provider
    }

    /// The rail that reaches it.
    pub fn rail(&self) -> Psp {
        let secret = firsthand::protocol::webhook::WebhookSecret::from_random(SECRET);
        let shop = |path: &str| Url::parse("https://shop.example").unwrap().join(path).unwrap();
        Psp::new(self.base.clone(), secret, shop("/paid"), shop("/wallet/notices/psp"))
            .unwrap()
            .redirects_to(["pay.example"])
            .fetch(Https::danger_loopback_http().unwrap())
            .env(self.clock.clone())
    }

    pub fn base(&self) -> Url {
        self.base.clone()
    }

    pub fn next(&self, status: &'static str) {
        self.books().next.push_back(status);
    }

    pub fn wrong(&self, wrong: Wrong) {
        self.books().wrong.push_back(wrong);
    }

    pub fn asked(&self, path: &str) -> usize {
        self.books().asked.get(path).copied().unwrap_or_default()
    }

    pub fn refused(&self) -> usize {
        self.books().refused
    }

    /// The customer confirms, or the provider decides.
    pub fn decide(&self, order: &OrderId, attempt: u64, status: &str) {
        let mut books = self.books();
        let payment = books.payments.get_mut(&(order.to_string(), attempt)).unwrap();
        payment.status = status.to_owned();
        payment.code = "ended".to_owned();
    }

    pub fn decide_capture(&self, order: &OrderId, attempt: u64, key: &str, status: &str) {
        let mut books = self.books();
        let payment = books.payments.get_mut(&(order.to_string(), attempt)).unwrap();
        payment.captures.get_mut(key).unwrap().1 = status.to_owned();
    }

    /// What was really taken for an order, and given back.
    pub fn taken(&self, order: &OrderId) -> (i64, i64) {
        let books = self.books();
        let of = |(id, _): &(&(String, u64), &Payment)| id.0 == order.as_str();
        let taken = books.payments.iter().filter(of).map(|(_, payment)| match payment.status.as_str() {
            "paid" => payment.amount,
            _ => payment.captures.values().filter(|(_, status)| status == "done").map(|(amount, _)| amount).sum(),
        });
        let back = books.refunds.iter().filter(|(id, (_, status))| id.0 == order.as_str() && status == "done");
        (taken.sum(), back.map(|(_, (amount, _))| amount).sum())
    }

    pub fn status(&self, order: &OrderId, attempt: u64) -> String {
        self.books().payments[&(order.to_string(), attempt)].status.clone()
    }

    /// A notice of these members, signed now.
    pub fn notice(&self, message: &Value) -> (HeaderMap, Vec<u8>) {
        let body = message.to_string().into_bytes();
        let id = format!("ntf_{}", self.clock.now().as_secs());
        (signed(&SECRET, &id, self.clock.now().as_secs(), &body), body)
    }

    pub fn books(&self) -> MutexGuard<'_, Books> {
        self.books.lock().unwrap()
    }
}

/// The three headers.
pub fn signed(secret: &[u8], id: &str, at: i64, body: &[u8]) -> HeaderMap {
    let key = hmac::Key::new(hmac::HMAC_SHA256, secret);
    let content = [id.as_bytes(), b".", at.to_string().as_bytes(), b".", body].concat();
    let signature = format!("v1,{}", BASE64_STANDARD.encode(hmac::sign(&key, &content)));
    let value = |text: &str| HeaderValue::from_str(text).unwrap();
    let mut headers = HeaderMap::new();
    headers.insert("webhook-id", value(id));
    headers.insert("webhook-timestamp", value(&at.to_string()));
    headers.insert("webhook-signature", value(&signature));
    headers
}

async fn bridge(State(provider): State<Provider>, uri: Uri, headers: HeaderMap, body: Bytes) -> Response {
    let now = provider.clock.now().as_secs();
    let header = |name: &str| headers.get(name).and_then(|v| v.to_str().ok()).unwrap_or_default().to_owned();
    let (id, at) = (header("webhook-id"), header("webhook-timestamp").parse().unwrap_or(0));
    let mut books = provider.books();
    let expected = signed(&SECRET, &id, at, &body);
    let right = expected["webhook-signature"].to_str().unwrap();
    if !header("webhook-signature").split(' ').any(|one| one == right) || (at - now).abs() > 300 {
        books.refused += 1;
        return StatusCode::UNAUTHORIZED.into_response();
    }
    let path = uri.path().trim_start_matches("/v1/").to_owned();
    let wrong = books.wrong.pop_front();
    if matches!(wrong, Some(Wrong::NeverArrived)) {
        return StatusCode::BAD_GATEWAY.into_response();
    }
    *books.asked.entry(path.clone()).or_default() += 1;
    let question: Value = serde_json::from_slice(&body).unwrap();
    let mut answer = books.answer(&path, &question);
    let subject = ["order", "attempt", "key", "number", "amount", "currency"];
    for member in subject.into_iter().filter(|member| !question[*member].is_null()) {
        answer[member] = question[member].clone();
    }
    if let Some(Wrong::Member(member, value)) = wrong {
        answer[member] = value();
    }
    let mut text = answer.to_string();
    match wrong {
        Some(Wrong::Twice) => text = text.replacen('{', r#"{"status":"paid","#, 1),
        Some(Wrong::NotJson) => text = format!("{text}<"),
        Some(Wrong::TooLarge) => text = text.replacen('{', &format!("{{\"padding\":\"{}\",", "x".repeat(16 * 1024)), 1),
        Some(Wrong::Echo) => text = String::from_utf8(body.to_vec()).unwrap(),
        _ => {}
    }
    let headers = match wrong {
        Some(Wrong::LostAfterDoing) => return StatusCode::GATEWAY_TIMEOUT.into_response(),
        Some(Wrong::Status(status)) => {
            let headers = signed(&SECRET, &id, now, text.as_bytes());
            return (StatusCode::from_u16(status).unwrap(), headers, text).into_response();
        }
        Some(Wrong::Unsigned) => HeaderMap::new(),
        Some(Wrong::OtherSecret) => signed(&[8; 32], &id, now, text.as_bytes()),
        Some(Wrong::SignedAt(shift)) => signed(&SECRET, &id, now + shift, text.as_bytes()),
        Some(Wrong::OtherQuestion) => signed(&SECRET, "msg_another", now, text.as_bytes()),
        _ => signed(&SECRET, &id, now, text.as_bytes()),
    };
    (StatusCode::OK, headers, text).into_response()
}

fn text(question: &Value, member: &str) -> String {
    question[member].as_str().unwrap().to_owned()
}

impl Books {
    fn next_of(&mut self, usually: &'static str) -> String {
        self.next.pop_front().unwrap_or(usually).to_owned()
    }

    /// Does what is asked, once, and says how it stands.
    fn answer(&mut self, path: &str, question: &Value) -> Value {
        let (order, attempt) = (text(question, "order"), question["attempt"].as_u64().unwrap());
        let amount = question["amount"].as_i64().unwrap();
        let currency = text(question, "currency");
        let name = (order.clone(), attempt);
        let key = question["key"].as_str().unwrap_or_default().to_owned();
        let never = |status: &str| json!({ "status": status, "code": "never_arrived" });
        match path {
            "payments" | "payments/status" => {
                if !self.payments.contains_key(&name) {
                    let arrives = path == "payments";
                    let status = if arrives { self.next_of(self.usually) } else { "declined".to_owned() };
                    let code = if arrives { "no_money" } else { "never_arrived" }.to_owned();
                    let captures = BTreeMap::new();
                    self.payments.insert(name.clone(), Payment { amount, currency, status, code, captures });
                }
                let payment = &self.payments[&name];
                let mut answer = json!({ "status": payment.status });
                match payment.status.as_str() {
                    "redirect" => answer["redirect"] = json!(format!("https://pay.example/p/{order}/{attempt}")),
                    "declined" => answer["code"] = json!(payment.code),
                    _ => {}
                }
                answer
            }
            "captures" => {
                if !self.payments.contains_key(&name) {
                    return json!({ "status": "declined", "code": "no_payment" });
                }
                let next = self.next_of("done");
                let payment = self.payments.get_mut(&name).unwrap();
                let taken: i64 = payment
                    .captures
                    .values()
                    .filter(|(_, status)| status != "declined")
                    .map(|(amount, _)| amount)
                    .sum();
                let fits = payment.status == "authorised" && payment.currency == currency;
                let status = if fits && taken + amount <= payment.amount { next } else { "declined".to_owned() };
                let (known, status) = payment.captures.entry(key).or_insert((amount, status)).clone();
                if known == amount { json!({ "status": status }) } else { json!({ "status": "declined" }) }
            }
            "captures/status" => match self.payments.get_mut(&name) {
                None => never("declined"),
                Some(payment) => {
                    let (_, status) = payment.captures.entry(key).or_insert((amount, "declined".to_owned()));
                    json!({ "status": status })
                }
            },
            "voids" => {
                let next = self.next_of("done");
                match self.payments.get_mut(&name) {
                    Some(payment) if payment.status == "paid" => json!({ "status": "declined", "code": "paid" }),
                    Some(payment) if payment.status == "authorised" => {
                        if next == "done" {
                            (payment.status, payment.code) = ("declined".to_owned(), "voided".to_owned());
                        }
                        json!({ "status": next })
                    }
                    _ => json!({ "status": "done" }),
                }
            }
            "refunds" | "refunds/status" => {
                let number = question["number"].as_u64().unwrap();
                let name = (order, key, number);
                if !self.refunds.contains_key(&name) {
                    let status = if path == "refunds" { self.next_of("done") } else { "declined".to_owned() };
                    self.refunds.insert(name.clone(), (amount, status));
                }
                json!({ "status": self.refunds[&name].1 })
            }
            other => panic!("{other} is not of the contract"),
        }
    }
}
