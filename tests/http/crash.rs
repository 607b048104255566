//! A process that ends between any two steps, and a store that fails at any call: afterwards the same shop, started
//! again over the same records, finishes or refuses, and nobody got anything twice or by half.

use std::collections::BTreeSet;

use firsthand::{
    Device,
    store::{Memory, Sqlite, Store},
    testing::{
        faulty::{Fault, Faulty},
        wallet::Request,
    },
};
use firsthand_axum::testing::{Asking, Browser, Reply, TestShop, response_code};
use http::{Method, StatusCode};
use serde_json::{Value, json};
use url::Url;

use crate::probe::{Ledger, browser, moved};

/// What goes wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Way {
    /// One call fails in this way.
    Fails(Fault),
    /// The commit happens, and then the process ends before anybody hears of it.
    EndsAfter,
    /// Two calls in a row fail, the first after it happened.
    DoneThenRefused,
}

const WAYS: [Way; 6] = [
    Way::Fails(Fault::Done),
    Way::Fails(Fault::Lost),
    Way::Fails(Fault::Refused),
    Way::Fails(Fault::Crash),
    Way::EndsAfter,
    Way::DoneThenRefused,
];

impl Way {
    fn plan<S>(self, store: &Faulty<S>, call: u64) {
        match self {
            Self::Fails(fault) => store.fail(call, fault),
            Self::EndsAfter => {
                store.fail(call, Fault::Done);
                store.fail(call + 1, Fault::Crash);
            }
            Self::DoneThenRefused => {
                store.fail(call, Fault::Done);
                store.fail(call + 1, Fault::Refused);
            }
        }
    }
}

/// How far a customer came.
#[derive(Default)]
struct Walk {
    asking: Option<Asking>,
    request: Option<Request>,
    form: Option<String>,
    answer: Option<Reply>,
    redeemed: Option<Reply>,
}

impl Walk {
    /// Goes on until something is refused or all is done.
    async fn go_on(&mut self, browser: &mut Browser, device: Device) -> Result<(), Box<Reply>> {
        if self.asking.is_none() {
            let flow = if device == Device::SameDevice { "same_device" } else { "cross_device" };
            let reply =
                clean(browser.post_json("/wallet/presentations", &json!({ "ask": "age", "flow": flow })).await)?;
            let body = reply.json();
            let text = |name: &str| body[name].as_str().unwrap_or_default().to_owned();
            self.asking = Some(Asking {
                id: text("id"),
                wallet_uri: text("wallet_uri"),
                request_uri: text("request_uri"),
                body: body.clone(),
            });
        }
        let asking = self.asking.clone().expect("an asking");
        if self.request.is_none() {
            // Once by GET and once by POST, as a wallet that looks twice.
            let path = Url::parse(&asking.request_uri).expect("a URL").path().to_owned();
            clean(browser.another().plain(&Method::GET, &path, &[], b"").await)?;
            self.request = Some(read(browser, &asking).await?);
        }
        let request = self.request.clone().expect("a request");
        if self.answer.is_none() {
            let wallet = browser.shop().persona("adult").wallet.clone();
            let choice = wallet.choose(&request).expect("something to answer with");
            let made = || wallet.answer(&request, &choice, &[], browser.shop().clock()).expect("an answer");
            let form = self.form.get_or_insert_with(made).clone();
            self.answer = Some(clean(browser.wallet_posts(&request, &form).await)?);
        }
        let answer = self.answer.clone().expect("an answer");
        if self.redeemed.is_none() {
            let body = match device {
                Device::SameDevice => json!({ "presentation": asking.id, "response_code": response_code(&answer) }),
                Device::CrossDevice | Device::AtTheTill => json!({ "presentation": asking.id }),
            };
            self.redeemed = Some(clean(browser.redeem(&body).await)?);
        }
        clean(browser.get("/wallet/me").await)?;
        clean(browser.get("/").await)?;
        Ok(())
    }
}

/// The wallet's careful reading of a request, over whatever the store does meanwhile.
async fn read(browser: &mut Browser, asking: &Asking) -> Result<Request, Box<Reply>> {
    let path = Url::parse(&asking.request_uri).expect("a URL").path().to_owned();
    let form = b"wallet_nonce=a-wallet-nonce";
    let headers = [("content-type", crate::probe::FORM)];
    let reply = clean(browser.another().plain(&Method::POST, &path, &headers, form).await)?;
    let link = firsthand::testing::wallet::Link::parse(&asking.wallet_uri).expect("a link");
    let shop = browser.shop();
    let now = shop.merchant().now();
    let limits = firsthand::limits::Limits::default();
    let read = Request::read(&link, &reply.text(), Some("a-wallet-nonce"), &[shop.access_root()], now, &limits);
    Ok(read.expect("a request that a careful wallet believes"))
}

/// A reply to go on with, or the refusal at which the walk ends.
fn clean(reply: Reply) -> Result<Reply, Box<Reply>> {
    if reply.status.is_success() { Ok(reply) } else { Err(Box::new(reply)) }
}

/// What must be true of the records, whatever happened.
fn sound<S: Store>(ledger: &Ledger<S>, name: &str) {
    let records = ledger.records();
    let of = |kind: &str| records.iter().filter(move |(key, _)| key.kind == kind).collect::<Vec<_>>();
    let field = |body: &str, name: &str| serde_json::from_str::<Value>(body).expect("JSON")[name].clone();
    let customers: BTreeSet<&str> = of("customer").into_iter().map(|(key, _)| key.partition.as_str()).collect();
    let bindings = of("binding");
    let bound: BTreeSet<String> = bindings
        .iter()
        .map(|(_, record)| field(&record.body, "customer").as_str().unwrap_or_default().to_owned())
        .collect();
    assert_eq!(customers, bound.iter().map(String::as_str).collect(), "{name}: a customer for each binding, and back");
    assert!(customers.len() <= 1, "{name}: one browser is one customer");
    let entries: BTreeSet<(&str, &str)> =
        of("customer_binding").into_iter().map(|(key, _)| (key.partition.as_str(), key.sort.as_str())).collect();
    assert_eq!(entries.len(), bindings.len(), "{name}: each binding is listed");
    assert_eq!(of("session").len(), of("customer_session").len(), "{name}: each session is listed");
    for (_, record) in of("session") {
        let customer = field(&record.body, "customer");
        assert!(customers.contains(customer.as_str().unwrap_or_default()), "{name}: a session of a customer");
    }
    // Of one answer came one session.
    let answers: Vec<String> = of("session_answer")
        .into_iter()
        .map(|(_, record)| field(&record.body, "request").as_str().unwrap_or_default().to_owned())
        .collect();
    assert_eq!(answers.iter().collect::<BTreeSet<_>>().len(), answers.len(), "{name}: one session for one answer");
    for (key, record) in of("presentation") {
        let state: Value = serde_json::from_str(&record.body).expect("JSON");
        let redeemed = state.get("redeemed").is_some();
        assert_eq!(redeemed, answers.contains(&key.partition), "{name}: redeemed and its session are one");
    }
}

#[tokio::test]
async fn a_process_may_end_between_any_two_steps() {
    for device in [Device::SameDevice, Device::CrossDevice] {
        let first = TestShop::new();
        // How many calls a whole walk makes.
        let calls = {
            let store = Faulty::new(Ledger::new(Memory::new()));
            let inner = store.clone();
            let shop = first.again(|builder| builder.store(inner));
            Walk::default().go_on(&mut browser(&shop), device).await.expect("a whole walk");
            sound(store.inner(), "a whole walk");
            store.calls()
        };
        assert!(calls >= 8, "{calls}");
        for way in WAYS {
            for call in 0..calls {
                let name = format!("{device:?} {way:?} at call {call}");
                let store = Faulty::new(Ledger::new(Memory::new()));
                way.plan(&store, call);
                let ledger = store.inner().clone();
                let shop = first.again(|builder| builder.store(store));
                let mut browser = browser(&shop);
                let mut walk = Walk::default();
                if let Err(reply) = walk.go_on(&mut browser, device).await {
                    assert_eq!(reply.status, StatusCode::SERVICE_UNAVAILABLE, "{name}: {}", reply.text());
                    assert_eq!(reply.code(), "unavailable", "{name}");
                    assert!(!reply.text().contains("on purpose"), "{name}: the cause is the merchant's business");
                }
                sound(&ledger, &name);

                // A fresh process over the same records; everybody tries again what was not answered.
                let inner = ledger.clone();
                let shop = first.again(|builder| builder.store(inner));
                let mut browser = moved(&browser, &shop);
                if let Err(reply) = walk.go_on(&mut browser, device).await {
                    let understood = ["already_answered", "already_redeemed"];
                    assert_eq!(reply.status, StatusCode::CONFLICT, "{name}: {}", reply.text());
                    assert!(understood.contains(&reply.code().as_str()), "{name}: {}", reply.code());
                    sound(&ledger, &name);
                    // A key that is known begins anew by itself; one that is not asks again.
                    let resumed = browser.redeem(&json!({})).await;
                    if reply.code() == "already_redeemed" {
                        assert_eq!(resumed.status, StatusCode::OK, "{name}: {}", resumed.text());
                    } else {
                        browser.sign_in("adult").await;
                    }
                }
                let me = browser.get("/wallet/me").await;
                assert_eq!(me.status, StatusCode::OK, "{name}: {}", me.text());
                assert_eq!(me.json()["proofs"][0]["outcome"], "over 18", "{name}");
                sound(&ledger, &name);
            }
        }
    }
}

/// Whoever has themselves forgotten is forgotten, or still there to ask again: never half gone and locked out.
#[tokio::test]
async fn forgetting_may_stop_anywhere_and_be_asked_for_again() {
    const OF_A_CUSTOMER: [&str; 7] =
        ["customer", "binding", "customer_binding", "session", "customer_session", "session_answer", "kept"];
    let first = TestShop::new();
    let ask = TestShop::address().keep("family_name", "To greet you", 86_400);
    for path in ["/wallet/me", "/wallet/device"] {
        for way in WAYS {
            for call in 0.. {
                let name = format!("{path} {way:?} at call {call}");
                let store = Faulty::new(Ledger::new(Memory::new()));
                let (ledger, inner) = (store.inner().clone(), store.clone());
                let shop = first.bare(|builder| builder.store(inner).ask(&ask));
                let mut browser = browser(&shop);
                browser.prove("address", "adult").await;
                browser.token = None;
                assert_eq!(browser.redeem(&json!({})).await.status, StatusCode::OK);
                let before = store.calls();
                way.plan(&store, call);
                let reply = browser.delete(path).await;
                let was_hit = store.calls() - before > call;
                if !reply.status.is_success() {
                    assert_eq!(reply.status, StatusCode::SERVICE_UNAVAILABLE, "{name}: {}", reply.text());
                    let inner = ledger.clone();
                    let shop = first.bare(|builder| builder.store(inner).ask(&ask));
                    let again = moved(&browser, &shop).delete(path).await;
                    // Forgotten already, or now.
                    assert!(
                        again.status.is_success() || again.status == StatusCode::UNAUTHORIZED,
                        "{name}: {}",
                        again.text()
                    );
                }
                let left: Vec<_> =
                    ledger.records().into_keys().filter(|key| OF_A_CUSTOMER.contains(&key.kind)).collect();
                assert!(left.is_empty(), "{name}: {left:?}");
                if !was_hit {
                    break;
                }
            }
        }
    }
}

/// A wrong answer whose count cannot be written is refused or unavailable, and never accepted.
#[tokio::test]
async fn a_failing_store_accepts_no_wrong_answer() {
    let first = TestShop::new();
    for way in WAYS {
        for call in 0..3 {
            let store = Faulty::new(Ledger::new(Memory::new()));
            let (inner, ledger) = (store.clone(), store.inner().clone());
            let shop = first.again(|builder| builder.store(inner));
            let mut browser = browser(&shop);
            let asking = browser.ask("age", Device::SameDevice).await;
            let request = browser.wallet_reads(&asking).await;
            way.plan(&store, call);
            let reply =
                browser.wallet_answers(&request, "adult", &[firsthand::testing::wallet::Fault::WrongNonce]).await;
            let expected = [StatusCode::BAD_REQUEST, StatusCode::SERVICE_UNAVAILABLE];
            assert!(expected.contains(&reply.status), "{way:?} {call}: {}", reply.text());
            let states = ledger.records();
            let presentation = states.iter().find(|(key, _)| key.kind == "presentation").expect("a presentation");
            assert!(presentation.1.body.contains("delivered"), "{way:?} {call}");
        }
    }
}

#[tokio::test]
async fn a_shop_over_a_file_goes_on_after_every_step() {
    let folder = std::env::temp_dir().join(format!("firsthand-http-crash-{}", std::process::id()));
    std::fs::create_dir_all(&folder).expect("a folder");
    let url = format!("sqlite:{}", folder.join("shop.db").display());
    let first = TestShop::new();
    let mut walk = Walk::default();
    let mut browser_ = browser(&first);
    for step in 0..5 {
        let store = Sqlite::connect(&url).await.expect("a file");
        let shop = first.again(|builder| builder.store(store));
        browser_ = moved(&browser_, &shop);
        match step {
            0 => walk.asking = Some(browser_.ask("age", Device::SameDevice).await),
            1 => walk.request = Some(browser_.wallet_reads(&walk.asking.clone().expect("asked")).await),
            2 => {
                let request = walk.request.clone().expect("delivered");
                let answer = browser_.wallet_answers(&request, "adult", &[]).await;
                assert_eq!(answer.status, StatusCode::OK, "{}", answer.text());
                walk.answer = Some(answer);
            }
            3 => {
                let (asking, answer) = (walk.asking.clone().expect("asked"), walk.answer.clone().expect("answered"));
                let body = json!({ "presentation": asking.id, "response_code": response_code(&answer) });
                let redeemed = browser_.redeem(&body).await;
                assert_eq!(redeemed.status, StatusCode::OK, "{}", redeemed.text());
                walk.redeemed = Some(redeemed);
            }
            _ => assert_eq!(browser_.get("/wallet/me").await.json()["proofs"][0]["ask"], "age"),
        }
    }
    drop(browser_);
    std::fs::remove_dir_all(&folder).expect("the folder");
}
