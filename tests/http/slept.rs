//! A store that takes minutes to answer: what was decided before is decided again, and nothing comes back meanwhile.

use std::sync::{Arc, Mutex};

use firsthand::{
    store::{Key, Memory, Prefix, Store, StoreError, Stored, Version, Write},
    time::UnixTime,
};
use firsthand_axum::testing::{Clock, TestShop};
use http::{Method, StatusCode};

use crate::setting::{browser, refused, signed_headers};

/// When a store sleeps, and for how long.
#[derive(Clone, Debug)]
struct Nap {
    after: &'static str,
    secs: u64,
    clock: Clock,
}

/// A store that sleeps once, when it has found a record of this kind.
#[derive(Clone, Debug, Default)]
struct Sleepy {
    memory: Memory,
    plan: Arc<Mutex<Option<Nap>>>,
}

impl Sleepy {
    fn sleeps_after(&self, after: &'static str, secs: u64, shop: &TestShop) {
        *self.plan.lock().unwrap() = Some(Nap { after, secs, clock: shop.clock().clone() });
    }

    fn sleep(&self, kind: &str) {
        let nap = self.plan.lock().unwrap().take_if(|nap| nap.after == kind);
        if let Some(nap) = nap {
            nap.clock.advance_s(nap.secs);
        }
    }
}

impl Store for Sleepy {
    async fn load(&self, keys: &[Key], now: UnixTime) -> Result<Vec<Option<Stored>>, StoreError> {
        let found = self.memory.load(keys, now).await;
        keys.iter().for_each(|key| self.sleep(key.kind));
        found
    }

    async fn commit(&self, writes: &[Write], now: UnixTime) -> Result<Vec<Option<Version>>, StoreError> {
        self.memory.commit(writes, now).await
    }

    async fn scan(
        &self,
        prefix: &Prefix,
        after: Option<&str>,
        limit: usize,
        now: UnixTime,
    ) -> Result<Vec<(Key, Stored)>, StoreError> {
        let found = self.memory.scan(prefix, after, limit, now).await;
        self.sleep(prefix.kind);
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
        store.sleeps_after("customer_session", 61, &shop);
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
    store.sleeps_after("binding", 300, &shop);
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
    store.sleeps_after("binding", 1, &shop);
    let back = browser.post_json("/wallet/recovery", &code).await;
    assert_eq!(back.status, StatusCode::OK, "{}", back.text());
    browser.token = back.json()["access_token"].as_str().map(str::to_owned);
    assert_eq!(browser.get("/wallet/me").await.status, StatusCode::OK);
}
