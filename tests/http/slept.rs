//! A store that takes minutes to answer: what was decided before is decided again, and nothing comes back meanwhile.

use std::sync::{Arc, Mutex};

use firsthand::{
    Money,
    money::{Currency, Quantity},
    order::{Draft, OrderState, RefundState},
    store::{Key, Memory, Prefix, Store, StoreError, Stored, Version, Write},
    time::UnixTime,
};
use firsthand_axum::testing::{Clock, FakeRail, TestShop};
use http::{Method, StatusCode};

use crate::setting::{browser, refused, signed_headers};

/// When a store sleeps, and for how long.
#[derive(Clone, Debug)]
struct Nap {
    after: After,
    secs: u64,
    clock: Clock,
}

/// What was done to a record of a kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum After {
    Finding(&'static str),
    Writing(&'static str),
}

/// A store that sleeps once.
#[derive(Clone, Debug, Default)]
struct Sleepy {
    memory: Memory,
    plan: Arc<Mutex<Option<Nap>>>,
}

impl Sleepy {
    fn sleeps(&self, after: After, secs: u64, shop: &TestShop) {
        *self.plan.lock().unwrap() = Some(Nap { after, secs, clock: shop.clock().clone() });
    }

    fn sleep(&self, now: After) {
        let nap = self.plan.lock().unwrap().take_if(|nap| nap.after == now);
        if let Some(nap) = nap {
            nap.clock.advance_s(nap.secs);
        }
    }
}

impl Store for Sleepy {
    async fn load(&self, keys: &[Key], now: UnixTime) -> Result<Vec<Option<Stored>>, StoreError> {
        let found = self.memory.load(keys, now).await;
        keys.iter().for_each(|key| self.sleep(After::Finding(key.kind)));
        found
    }

    async fn commit(&self, writes: &[Write], now: UnixTime) -> Result<Vec<Option<Version>>, StoreError> {
        let committed = self.memory.commit(writes, now).await;
        writes.iter().for_each(|write| self.sleep(After::Writing(write.key().kind)));
        committed
    }

    async fn scan(
        &self,
        prefix: &Prefix,
        after: Option<&str>,
        limit: usize,
        now: UnixTime,
    ) -> Result<Vec<(Key, Stored)>, StoreError> {
        let found = self.memory.scan(prefix, after, limit, now).await;
        self.sleep(After::Finding(prefix.kind));
        found
    }

    async fn sweep(&self, now: UnixTime, limit: usize) -> Result<usize, StoreError> {
        self.memory.sweep(now, limit).await
    }
}

fn shop() -> (TestShop, Sleepy) {
    let store = Sleepy::default();
    (TestShop::with(|builder| builder.store(store.clone())), store)
}

/// The proof of a request that took a minute was used by nobody else, and is not refused as if it were.
#[tokio::test]
async fn a_sign_out_that_takes_a_minute_signs_out() {
    for path in ["/wallet/sessions/current", "/wallet/sessions", "/wallet/me", "/wallet/device"] {
        let (shop, store) = shop();
        let mut browser = browser(&shop);
        browser.sign_in("adult").await;
        let token = browser.token.clone();
        store.sleeps(After::Finding("customer_session"), 61, &shop);
        let reply = browser.signed_once(&Method::DELETE, path, None).await;
        assert!(reply.status.is_success(), "{path}: {} {}", reply.status, reply.text());
        browser.token = token;
        refused(&browser.get("/wallet/me").await, 401, "invalid_token");
    }
}

/// The mark that a proof was used is swept after some minutes. Whoever sent it once more before that, and was kept waiting until
/// then, gets nothing by it.
#[tokio::test]
async fn a_replay_that_is_kept_waiting_begins_nothing() {
    let (shop, store) = shop();
    let mut browser = browser(&shop);
    browser.sign_in("adult").await;
    let (path, body) = ("/wallet/sessions", b"{}");
    browser.token = None;
    let proof = browser.sign(&browser.claims(&Method::POST, path, Some(body)));
    let headers = signed_headers(&browser, &proof, Some("application/json"));
    let begun = browser.send(&Method::POST, path, headers.clone(), body).await;
    assert_eq!(begun.status, StatusCode::OK, "{}", begun.text());
    store.sleeps(After::Finding("binding"), 300, &shop);
    refused(&browser.send(&Method::POST, path, headers, body).await, 401, "use_dpop_nonce");
}

/// A key is opened, and the session that opens it begins: not the second before.
#[tokio::test]
async fn whoever_comes_back_while_a_second_passes_is_back() {
    let (shop, store) = shop();
    let mut browser = browser(&shop);
    browser.sign_in("adult").await;
    let code = browser.signed(Method::POST, "/wallet/recovery-code", None).await.json();
    assert_eq!(browser.delete("/wallet/sessions/current").await.status, StatusCode::NO_CONTENT);
    browser.token = None;
    store.sleeps(After::Finding("binding"), 1, &shop);
    let back = browser.post_json("/wallet/recovery", &code).await;
    assert_eq!(back.status, StatusCode::OK, "{}", back.text());
    browser.token = back.json()["access_token"].as_str().map(str::to_owned);
    assert_eq!(browser.get("/wallet/me").await.status, StatusCode::OK);
}

/// Somebody else may have asked the rail meanwhile: what it had not heard of then it must not hear of later.
#[tokio::test]
async fn whoever_was_stopped_for_long_tells_no_rail_what_they_began() {
    let store = Sleepy::default();
    let rail = FakeRail::new();
    let shop = TestShop::with(|builder| builder.store(store.clone()).rail(rail.clone()));
    let merchant = shop.merchant();
    let price = Money::parse("20", Currency::EUR).unwrap();
    let draft = Draft::new(Currency::EUR).line("tea", "Tea", price, Quantity::new(1).unwrap());
    let guest = merchant.place_as_guest(draft, &merchant.guest_form()).await.unwrap().commit().await.unwrap();

    store.sleeps(After::Writing("order_event"), 31, &shop);
    let order = guest.order.pay(FakeRail::ID).await.unwrap();
    assert_eq!((order.state(), rail.calls()), (OrderState::Paying, 0), "it is begun, and the rail has heard nothing");
    shop.advance_s(60);
    merchant.bring_orders_up_to_date().await.unwrap();
    let order = order.reload().await.unwrap();
    assert_ne!(order.state(), OrderState::Paying, "the rail was asked, and knows nothing of it");
    let order = order.pay(FakeRail::ID).await.unwrap();
    assert_eq!((order.state(), rail.calls()), (OrderState::Paid, 1));

    let order = order.refund(order.total(), "returned").await.unwrap().commit().await.unwrap();
    store.sleeps(After::Writing("order_event"), 31, &shop);
    let refund = order.refunds().await.unwrap().remove(0);
    refund.send().await.unwrap();
    let begun = order.refunds().await.unwrap().remove(0);
    assert_eq!((begun.state(), rail.calls()), (RefundState::Sending, 1));
    shop.advance_s(60);
    merchant.bring_orders_up_to_date().await.unwrap();
    let owed = order.refunds().await.unwrap().remove(0);
    assert_eq!(owed.state(), RefundState::Owed, "it never went out, and is owed as before");
    owed.send().await.unwrap();
    assert_eq!(order.refunds().await.unwrap().remove(0).state(), RefundState::Done);
}
