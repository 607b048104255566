//! Whether a credential still holds: the issuer's status list, and everything that can be wrong with it.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use firsthand::{
    Device,
    ask::StatusPolicy,
    fetch::{Fetch, FetchError, FetchRequest, Fetched},
    protocol::status_list::Status,
    store::Memory,
    testing::{
        Network,
        authority::{Authority, Leaf},
        issuer::Issuer,
        wallet::Fault,
    },
};
use firsthand_axum::testing::{Browser, Reply, TestShop};
use http::StatusCode;
use serde_json::{Map, Value, json};
use tokio::sync::Notify;

use crate::probe::{self, answer, delivered, refused, wallet_with};

const TYPE: &str = "application/statuslist+jwt";
/// The entry of the adult among the personas.
const ADULT: u64 = 100;

async fn age(browser: &mut Browser, persona: &str) -> Reply {
    let (_, request) = delivered(browser, "age").await;
    browser.wallet_answers(&request, persona, &[]).await
}

async fn why(shop: &TestShop, persona: &str) -> String {
    let mut browser = probe::browser(shop);
    let (asking, request) = delivered(&mut browser, "age").await;
    let reply = browser.wallet_answers(&request, persona, &[]).await;
    refused(&mut browser, &asking, &reply).await
}

/// A list of its own for one shop.
fn publish(shop: &TestShop, statuses: &[(u64, Status)]) {
    let statuses: BTreeMap<u64, Status> = statuses.iter().copied().collect();
    let token = shop.cast().issuer().statuses_token(shop.merchant().now(), 300, &statuses).expect("a token");
    shop.network().serve(shop.status_uri(), TYPE, token);
}

#[tokio::test]
async fn revoked_and_suspended_are_refused_under_every_policy() {
    for policy in [StatusPolicy::MustBeValid, StatusPolicy::AcceptUndetermined] {
        let shop = TestShop::new();
        let shop = shop.bare(|builder| builder.store(Memory::new()).ask(&TestShop::age().status(policy)));
        for persona in ["revoked", "suspended"] {
            assert_eq!(why(&shop, persona).await, "credential_revoked", "{persona}");
        }
        for status in [Status::Invalid, Status::Suspended, Status::Other(3), Status::Other(15), Status::Other(255)] {
            let fresh = TestShop::new();
            let shop = fresh.bare(|builder| builder.store(Memory::new()).ask(&TestShop::age().status(policy)));
            publish(&shop, &[(ADULT, status)]);
            assert_eq!(why(&shop, "adult").await, "credential_revoked", "{status:?}");
        }
        assert_eq!(age(&mut probe::browser(&shop), "adult").await.status, StatusCode::OK);
    }
}

/// Does something to a shop's network.
type Spoil = Box<dyn Fn(&TestShop)>;

/// What makes a status unknown, and how.
fn unknown() -> Vec<(&'static str, Spoil)> {
    fn bent(shop: &TestShop, header: Value, edit: impl Fn(&mut Map<String, Value>)) {
        let now = shop.merchant().now();
        let token = shop.cast().status_list(now).expect("a token");
        let claims = token.split('.').nth(1).expect("claims");
        let claims = firsthand::protocol::jose::base64url_decode(claims).expect("base64url");
        let mut claims: Map<String, Value> = serde_json::from_slice(&claims).expect("claims");
        edit(&mut claims);
        let header = header.as_object().cloned().unwrap_or_default();
        let token = shop.cast().issuer().sign_status(&header, &Value::Object(claims)).expect("a signature");
        shop.network().serve(shop.status_uri(), TYPE, token);
    }
    fn with(name: &'static str, value: Value) -> Spoil {
        Box::new(move |shop| bent(shop, json!({}), |claims| drop(claims.insert(name.to_owned(), value.clone()))))
    }
    fn without(name: &'static str) -> Spoil {
        Box::new(move |shop| bent(shop, json!({}), |claims| drop(claims.remove(name))))
    }
    vec![
        ("offline", Box::new(|shop| shop.network().fail(shop.status_uri()))),
        ("silent", Box::new(|shop| shop.network().slow(shop.status_uri()))),
        ("not found", Box::new(|shop| shop.network().status(shop.status_uri(), 404))),
        ("in circles", Box::new(|shop| shop.network().redirect(shop.status_uri(), shop.status_uri()))),
        ("too large", Box::new(|shop| shop.network().serve(shop.status_uri(), TYPE, vec![b'a'; 5 * 1024 * 1024]))),
        ("no token", Box::new(|shop| shop.network().serve(shop.status_uri(), TYPE, "hello"))),
        ("not text", Box::new(|shop| shop.network().serve(shop.status_uri(), TYPE, vec![0xff; 64]))),
        ("empty", Box::new(|shop| shop.network().serve(shop.status_uri(), TYPE, ""))),
        ("another list's sub", with("sub", json!("https://issuer.example/status/2"))),
        ("sub of another spelling", with("sub", json!("https://issuer.example/status/1/"))),
        ("no sub", without("sub")),
        ("expired", with("exp", json!(1_000_000_000))),
        ("of the future", with("iat", json!(4_000_000_000_i64))),
        ("no iat", without("iat")),
        ("no list", without("status_list")),
        ("iat is text", with("iat", json!("now"))),
        ("a wrong number of bits", with("status_list", json!({ "bits": 3, "lst": "eNrbuRgAAhcBXQ" }))),
        ("no zlib", with("status_list", json!({ "bits": 1, "lst": "AAAA" }))),
        // An entry beyond the end says nothing.
        ("too short", with("status_list", json!({ "bits": 1, "lst": "eNrbuRgAAhcBXQ" }))),
        ("typed as a credential", Box::new(|shop| bent(shop, json!({ "typ": "dc+sd-jwt" }), |_| {}))),
        ("critical", Box::new(|shop| bent(shop, json!({ "crit": ["exp"], "exp": 1 }), |_| {}))),
        (
            "signature broken",
            Box::new(|shop| {
                let token = shop.cast().status_list(shop.merchant().now()).expect("a token");
                let (input, signature) = token.rsplit_once('.').expect("a signature");
                let first = if signature.starts_with('A') { 'B' } else { 'A' };
                shop.network().serve(shop.status_uri(), TYPE, format!("{input}.{first}{}", &signature[1..]));
            }),
        ),
        (
            "a stranger signed",
            Box::new(|shop| {
                let now = shop.merchant().now();
                let (key, chain) = Authority::new("Nobody", now).issue(&Leaf::new("A Stranger", now));
                let stranger = Issuer::new(key, chain, shop.status_uri().clone());
                let token = stranger.statuses_token(now, 300, &BTreeMap::new()).expect("a token");
                shop.network().serve(shop.status_uri(), TYPE, token);
            }),
        ),
    ]
}

#[tokio::test]
async fn an_unknown_status_is_refused_unless_the_ask_says_otherwise() {
    let fresh = TestShop::new();
    for (name, spoil) in unknown() {
        for (policy, status) in
            [(StatusPolicy::MustBeValid, StatusCode::BAD_REQUEST), (StatusPolicy::AcceptUndetermined, StatusCode::OK)]
        {
            let shop = fresh.bare(|builder| builder.store(Memory::new()).ask(&TestShop::age().status(policy)));
            spoil(&shop);
            let mut browser = probe::browser(&shop);
            let (asking, request) = delivered(&mut browser, "age").await;
            let reply = browser.wallet_answers(&request, "adult", &[]).await;
            // A list that holds and has no such entry leaves nothing open (Token Status List, section 8.3).
            let status = if name == "too short" { StatusCode::BAD_REQUEST } else { status };
            assert_eq!(reply.status, status, "{name}");
            if status == StatusCode::BAD_REQUEST {
                assert_eq!(refused(&mut browser, &asking, &reply).await, "status_unknown", "{name}");
            }
        }
    }
}

#[tokio::test]
async fn an_entry_beyond_the_list_is_unknown() {
    let shop = TestShop::new();
    let claims = json!({ "age_equal_or_over": { "18": true } });
    for (index, holds) in [(1023_u64, true), (1_000_000, false), (u64::MAX, false)] {
        let wallet = wallet_with(&shop, claims.clone(), |credential| credential.status_index = Some(index));
        let mut browser = probe::browser(&shop);
        let (asking, request) = delivered(&mut browser, "age").await;
        let reply = answer(&mut browser, &request, &wallet, &[]).await;
        assert_eq!(reply.status.is_success(), holds, "{index}: {}", reply.text());
        if !holds {
            refused(&mut browser, &asking, &reply).await;
        }
    }
}

#[tokio::test]
async fn a_list_is_fetched_once_for_all_and_again_when_its_time_is_over() {
    let shop = TestShop::new();
    let calls = || shop.network().calls(shop.status_uri());
    let mut browser = probe::browser(&shop);
    assert_eq!(calls(), 0, "nothing is fetched before a wallet answers");
    for persona in ["adult", "rulebook", "national", "adult"] {
        assert_eq!(age(&mut browser, persona).await.status, StatusCode::OK, "{persona}");
    }
    assert_eq!(age(&mut browser, "revoked").await.status, StatusCode::BAD_REQUEST);
    assert_eq!(calls(), 1);
    // The warm path: nothing on the network at all, also not for certificates or types.
    assert_eq!(shop.network().calls_in_all(), 1);

    shop.advance_s(299);
    age(&mut browser, "adult").await;
    assert_eq!(calls(), 1);
    // Revoked in between, and seen when the list's time (`ttl`) is over.
    publish(&shop, &[(ADULT, Status::Invalid)]);
    assert_eq!(age(&mut browser, "adult").await.status, StatusCode::OK);
    shop.clock().advance_s(1);
    publish(&shop, &[(ADULT, Status::Invalid)]);
    assert_eq!(age(&mut browser, "adult").await.status, StatusCode::BAD_REQUEST);
    assert_eq!(calls(), 2);
}

#[tokio::test]
async fn a_dead_server_is_asked_once_and_again_after_a_while() {
    let shop = TestShop::new();
    shop.network().fail(shop.status_uri());
    let mut browser = probe::browser(&shop);
    for _ in 0..5 {
        assert_eq!(age(&mut browser, "adult").await.status, StatusCode::BAD_REQUEST);
    }
    assert_eq!(shop.network().calls(shop.status_uri()), 1);
    shop.advance_s(6);
    assert_eq!(age(&mut browser, "adult").await.status, StatusCode::OK, "a server that came back is noticed");
}

#[tokio::test]
async fn row_68_nothing_is_fetched_for_what_does_not_hold() {
    let faults = [
        Fault::IssuerSignatureBroken,
        Fault::HolderSignatureBroken,
        Fault::ForeignHolderKey,
        Fault::WrongNonce,
        Fault::WrongAudience,
        Fault::WrongSdHash,
        Fault::NoHolderProof,
        Fault::HolderProofInPast,
        Fault::UnreferencedDisclosure,
        Fault::WrongState,
        Fault::PlainAnswer,
        Fault::UnknownQueryId,
    ];
    let shop = TestShop::new();
    for fault in faults {
        let mut browser = probe::browser(&shop);
        let (asking, request) = delivered(&mut browser, "age").await;
        let reply = browser.wallet_answers(&request, "adult", &[fault]).await;
        refused(&mut browser, &asking, &reply).await;
        assert_eq!(shop.network().calls_in_all(), 0, "{fault:?}");
    }
    for persona in ["untrusted", "expired"] {
        let mut browser = probe::browser(&shop);
        assert_eq!(age(&mut browser, persona).await.status, StatusCode::BAD_REQUEST);
        assert_eq!(shop.network().calls_in_all(), 0, "{persona}");
    }
}

/// A network that answers only when it is told to.
#[derive(Clone, Debug)]
struct Held {
    network: Network,
    asked: Arc<Notify>,
    go: Arc<Notify>,
}

impl Fetch for Held {
    async fn fetch(&self, request: &FetchRequest) -> Result<Fetched, FetchError> {
        assert!(request.timeout <= Duration::from_secs(10) && request.redirects_max <= 3);
        self.asked.notify_one();
        self.go.notified().await;
        self.network.fetch(request).await
    }
}

#[tokio::test]
async fn a_crowd_waits_for_one_fetch_and_is_judged_by_the_time_of_its_end() {
    let fresh = TestShop::new();
    let held = Held { network: fresh.network().clone(), asked: Arc::default(), go: Arc::default() };
    let fetch = held.clone();
    let shop = fresh.again(|builder| builder.store(Memory::new()).fetch(fetch));
    let mut browsers: Vec<Browser> = (0..5).map(|_| probe::browser(&shop)).collect();
    let mut waiting = Vec::new();
    for browser in &mut browsers {
        let (_, request) = delivered(browser, "age").await;
        let mut wallet = browser.clone();
        waiting.push(tokio::spawn(async move { wallet.wallet_answers(&request, "adult", &[]).await }));
    }
    held.asked.notified().await;
    held.go.notify_one();
    for answered in waiting {
        assert_eq!(answered.await.expect("an answer").status, StatusCode::OK);
    }
    assert_eq!(shop.network().calls(shop.status_uri()), 1);

    // A list that comes when the request is over comes too late.
    shop.advance_s(301);
    let mut browser = probe::browser(&shop);
    let asking = browser.ask("age", Device::SameDevice).await;
    let request = browser.wallet_reads(&asking).await;
    let mut wallet = browser.clone();
    let late = tokio::spawn(async move { wallet.wallet_answers(&request, "adult", &[]).await });
    held.asked.notified().await;
    shop.advance_s(400);
    held.go.notify_one();
    let late = late.await.expect("an answer");
    assert!(late.status.is_client_error(), "{} {}", late.status, late.text());
    let (state, _) = probe::standing(&mut browser, &asking).await;
    assert_eq!(state, "expired");
}

#[tokio::test]
async fn an_issuers_outage_costs_the_customer_no_try() {
    let shop = TestShop::new();
    shop.network().fail(shop.status_uri());
    let mut browser = probe::browser(&shop);
    let (asking, request) = delivered(&mut browser, "age").await;
    for _ in 0..10 {
        let reply = browser.wallet_answers(&request, "adult", &[]).await;
        assert_eq!(refused(&mut browser, &asking, &reply).await, "status_unknown");
    }
    shop.advance_s(10);
    assert_eq!(browser.wallet_answers(&request, "adult", &[]).await.status, StatusCode::OK);
}
