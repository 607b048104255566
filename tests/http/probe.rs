//! What the tests of the wallet's side share: a shop in every shape, a wallet that writes what it likes, and stores that
//! tell what happened to them.

use std::{
    collections::BTreeMap,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
};

use axum::{Router, routing::get};
use firsthand::{
    Device,
    merchant::ClientIdPrefix,
    protocol::{
        jose::{SigningKey, base64url_encode, encrypt, sha256},
        openid4vp::ResponseMode,
    },
    store::{Key, Memory, Prefix, Record, Store, StoreError, Stored, Version, Write},
    testing::{
        issuer::Credential,
        wallet::{Fault, Request, Wallet},
    },
    time::UnixTime,
};
use firsthand_axum::{
    CustomerLayer, Known, routes,
    testing::{Asking, Browser, Reply, TestShop},
};
use http::{Method, StatusCode};
use serde_json::{Map, Value, json};
use tokio::sync::Barrier;
use url::form_urlencoded;

/// The type of identification data.
pub const PID: &str = "urn:eudi:pid:1";

/// The smallest shop that knows its customers.
pub fn app(shop: &TestShop) -> Router {
    Router::new()
        .route(
            "/",
            get(|known: Option<Known>| async move { known.map(|known| known.id().to_string()).unwrap_or_default() }),
        )
        .merge(routes(shop.merchant()))
        .layer(CustomerLayer::new(shop.merchant().clone()))
}

/// A browser in front of it.
pub fn browser(shop: &TestShop) -> Browser {
    Browser::new(shop, app(shop))
}

/// The same browser in front of the same shop after a restart: it has its key, its token and its nonce.
pub fn moved(old: &Browser, shop: &TestShop) -> Browser {
    let mut browser = browser(shop);
    (browser.key, browser.token, browser.nonce) = (old.key.clone(), old.token.clone(), old.nonce.clone());
    browser
}

/// A shop that wallets answer in clear, so that a test can write the answer itself.
pub fn clear_shop() -> TestShop {
    TestShop::with(|builder| builder.store(Memory::new()).response_mode(ResponseMode::DirectPost))
}

/// Both names of a shop, and both ways to answer it.
pub fn shapes() -> Vec<(ClientIdPrefix, ResponseMode)> {
    let prefixes = [ClientIdPrefix::X509Hash, ClientIdPrefix::X509SanDns];
    let modes = [ResponseMode::DirectPostJwt, ResponseMode::DirectPost];
    prefixes.into_iter().flat_map(|prefix| modes.map(|mode| (prefix.clone(), mode))).collect()
}

/// A question to a wallet on the same device, that a wallet has fetched.
pub async fn delivered(browser: &mut Browser, ask: &str) -> (Asking, Request) {
    let asking = browser.ask(ask, Device::SameDevice).await;
    let request = browser.wallet_reads(&asking).await;
    (asking, request)
}

/// An answer by this wallet.
pub async fn answer(browser: &mut Browser, request: &Request, wallet: &Wallet, faults: &[Fault]) -> Reply {
    let choice = wallet.choose(request).expect("something to answer with");
    let form = wallet.answer(request, &choice, faults, browser.shop().clock()).expect("an answer");
    browser.wallet_posts(request, &form).await
}

/// How a presentation stands: its state, and the code of the last refusal.
pub async fn standing(browser: &mut Browser, asking: &Asking) -> (String, String) {
    let reply = browser.get(&format!("/wallet/presentations/{}", asking.id)).await;
    assert_eq!(reply.status, StatusCode::OK, "{}", reply.text());
    let body = reply.json();
    let text = |name: &str| body[name].as_str().unwrap_or_default().to_owned();
    (text("state"), text("refused"))
}

/// Asserts that an answer was refused at once, that the wallet learned nothing, and that nothing came of it; the code
/// of the check that failed.
pub async fn refused(browser: &mut Browser, asking: &Asking, reply: &Reply) -> String {
    assert_eq!(reply.status, StatusCode::BAD_REQUEST, "{}", reply.text());
    assert_eq!(reply.header("content-type"), "application/problem+json");
    assert_eq!(reply.code(), "answer_refused");
    assert_eq!(reply.json()["detail"], "the answer is refused");
    let (state, code) = standing(browser, asking).await;
    assert_eq!(state, "delivered");
    let redeemed = browser.redeem(&json!({ "presentation": asking.id })).await;
    assert_eq!((redeemed.status, redeemed.code().as_str()), (StatusCode::CONFLICT, "not_answered"));
    code
}

/// Asks, lets this form be posted, and tells why it was refused.
pub async fn why(shop: &TestShop, ask: &str, form: impl FnOnce(&Request) -> String) -> String {
    let mut browser = browser(shop);
    let (asking, request) = delivered(&mut browser, ask).await;
    let form = form(&request);
    let reply = browser.wallet_posts(&request, &form).await;
    refused(&mut browser, &asking, &reply).await
}

/// A form with this `vp_token`, in the way that the request asks for.
pub fn form(request: &Request, vp_token: &Value) -> String {
    payload(request, json!({ "vp_token": vp_token, "state": request.state }).to_string().as_bytes(), vp_token)
}

/// A form with these bytes in its encryption; in clear with this `vp_token`.
pub fn payload(request: &Request, bytes: &[u8], vp_token: &Value) -> String {
    let mut form = form_urlencoded::Serializer::new(String::new());
    match &request.encryption {
        Some((key, enc)) => form.append_pair("response", &encrypt(bytes, key, *enc).expect("a ciphertext")),
        None => form
            .append_pair("vp_token", &vp_token.to_string())
            .append_pair("state", request.state.as_deref().unwrap_or_default()),
    };
    form.finish()
}

/// Somebody who writes credentials and presentations by hand.
pub struct Scribe {
    /// The shop that is lied to.
    pub shop: TestShop,
    /// The holder's key.
    pub holder: SigningKey,
}

impl Scribe {
    /// Somebody with a P-256 key.
    pub fn new(shop: &TestShop) -> Self {
        Self { shop: shop.clone(), holder: SigningKey::from_p256_scalar(&[5; 32]).expect("a key") }
    }

    /// The time.
    pub fn now(&self) -> UnixTime {
        self.shop.merchant().now()
    }

    /// What an issuer signs of an adult, with these disclosures beside `age_equal_or_over`.
    pub fn claims(&self, digests: &[String]) -> Map<String, Value> {
        let claims = json!({
            "vct": PID,
            "iat": self.now(),
            "exp": self.now().plus_s(3600),
            "cnf": { "jwk": self.holder.public_key().to_jwk() },
            "age_equal_or_over": { "18": true },
            "_sd_alg": "sha-256",
            "_sd": digests,
        });
        claims.as_object().cloned().expect("an object")
    }

    /// The issuer's JWT.
    pub fn issued(&self, claims: Map<String, Value>) -> String {
        self.shop.cast().issuer().sign(&Map::new(), &Value::Object(claims)).expect("a signature")
    }

    /// The claims of a holder's proof.
    pub fn proof_claims(&self, request: &Request, bound: &str) -> Map<String, Value> {
        let claims = json!({
            "iat": self.now(),
            "aud": request.client_id,
            "nonce": request.nonce,
            "sd_hash": base64url_encode(&sha256(bound.as_bytes())),
        });
        claims.as_object().cloned().expect("an object")
    }

    /// A holder's proof.
    pub fn proof(&self, request: &Request, bound: &str) -> String {
        self.sign(&json!({ "typ": "kb+jwt" }), self.proof_claims(request, bound))
    }

    /// Whatever the holder signs.
    pub fn sign(&self, header: &Value, claims: Map<String, Value>) -> String {
        let header = header.as_object().expect("an object");
        self.holder.sign_jws(header, &Value::Object(claims)).expect("a signature")
    }

    /// A presentation of this JWT with these disclosures.
    pub fn present(&self, request: &Request, jwt: &str, disclosures: &[String]) -> String {
        let bound = bound(jwt, disclosures);
        let proof = self.proof(request, &bound);
        bound + &proof
    }

    /// The form with this one presentation in answer to the ask `age`.
    pub fn form(&self, request: &Request, presentation: &str) -> String {
        form(request, &json!({ "age": [presentation] }))
    }

    /// Why an adult's credential with these claims is refused.
    pub async fn why_claims(&self, edit: impl FnOnce(&mut Map<String, Value>)) -> String {
        let mut claims = self.claims(&[]);
        edit(&mut claims);
        self.why_disclosed(claims, &[]).await
    }

    /// Why a credential with these claims and disclosures is refused.
    pub async fn why_disclosed(&self, claims: Map<String, Value>, disclosures: &[String]) -> String {
        let jwt = self.issued(claims);
        why(&self.shop, "age", |request| self.form(request, &self.present(request, &jwt, disclosures))).await
    }

    /// Whether a credential with these claims and disclosures is accepted: what the refusals are measured by.
    pub async fn accepted(&self, claims: Map<String, Value>, disclosures: &[String]) {
        let mut browser = browser(&self.shop);
        let (_, request) = delivered(&mut browser, "age").await;
        let form = self.form(&request, &self.present(&request, &self.issued(claims), disclosures));
        let reply = browser.wallet_posts(&request, &form).await;
        assert_eq!(reply.status, StatusCode::OK, "{:?}", reply.text());
    }
}

/// The bytes that a holder's proof is over.
pub fn bound(jwt: &str, disclosures: &[String]) -> String {
    let mut bound = format!("{jwt}~");
    for disclosure in disclosures {
        bound.push_str(disclosure);
        bound.push('~');
    }
    bound
}

/// A disclosure of this content, and its digest.
pub fn disclosure(content: &Value) -> (String, String) {
    let text = base64url_encode(content.to_string().as_bytes());
    let digest = base64url_encode(&sha256(text.as_bytes()));
    (text, digest)
}

/// A credential of identification data with these claims, in a wallet of its own.
pub fn wallet_with(shop: &TestShop, claims: Value, edit: impl FnOnce(&mut Credential)) -> Wallet {
    let mut wallet = Wallet::new();
    hold(shop, &mut wallet, claims, edit);
    wallet
}

/// Puts such a credential into a wallet.
pub fn hold(shop: &TestShop, wallet: &mut Wallet, claims: Value, edit: impl FnOnce(&mut Credential)) {
    let holder = SigningKey::from_p256_scalar(&[6; 32]).expect("a key");
    let mut credential = Credential::new(PID, shop.merchant().now());
    credential.holder = Some(holder.public_key().clone());
    credential.claims = claims.as_object().cloned().expect("an object");
    edit(&mut credential);
    let issued = shop.cast().issuer().issue(&credential, shop.clock()).expect("a credential");
    wallet.hold(&issued, holder).expect("a credential that opens");
}

/// A request without a proof.
pub async fn plain(browser: &Browser, method: Method, path: &str, media_type: &str, body: &[u8]) -> Reply {
    let mut stranger = browser.another();
    stranger.plain(&method, path, &[("content-type", media_type)], body).await
}

/// The media type of what wallets post.
pub const FORM: &str = "application/x-www-form-urlencoded";

/// A store that keeps a book of what is in it, and of all that was ever written to it.
#[derive(Clone, Debug)]
pub struct Ledger<S> {
    store: S,
    book: Arc<Mutex<Book>>,
}

#[derive(Debug, Default)]
struct Book {
    records: BTreeMap<Key, Record>,
    written: Vec<(Key, Record)>,
    loads: usize,
}

impl<S> Ledger<S> {
    /// An empty store.
    pub fn new(store: S) -> Self {
        Self { store, book: Arc::default() }
    }

    /// What is in it, by kind.
    pub fn count(&self, kind: &str) -> usize {
        self.records().keys().filter(|key| key.kind == kind).count()
    }

    /// What is in it.
    pub fn records(&self) -> BTreeMap<Key, Record> {
        self.book.lock().expect("a book").records.clone()
    }

    /// All that was ever written to it.
    pub fn written(&self) -> Vec<(Key, Record)> {
        self.book.lock().expect("a book").written.clone()
    }

    /// How often something was read.
    pub fn loads(&self) -> usize {
        self.book.lock().expect("a book").loads
    }
}

impl<S: Store> Store for Ledger<S> {
    async fn load(&self, keys: &[Key], now: UnixTime) -> Result<Vec<Option<Stored>>, StoreError> {
        self.book.lock().expect("a book").loads += 1;
        self.store.load(keys, now).await
    }

    async fn commit(&self, writes: &[Write], now: UnixTime) -> Result<Vec<Option<Version>>, StoreError> {
        let versions = self.store.commit(writes, now).await?;
        let mut book = self.book.lock().expect("a book");
        for write in writes {
            match write {
                Write::Put { key, record, .. } => {
                    book.records.insert(key.clone(), record.clone());
                    book.written.push((key.clone(), record.clone()));
                }
                Write::Delete { key, .. } => drop(book.records.remove(key)),
                Write::Check { .. } => {}
            }
        }
        Ok(versions)
    }

    async fn scan(
        &self,
        prefix: &Prefix,
        after: Option<&str>,
        limit: usize,
        now: UnixTime,
    ) -> Result<Vec<(Key, Stored)>, StoreError> {
        self.store.scan(prefix, after, limit, now).await
    }

    async fn sweep(&self, now: UnixTime, limit: usize) -> Result<usize, StoreError> {
        self.store.sweep(now, limit).await
    }
}

/// A store in which, once told, so many commits of records of a kind wait for each other: whoever writes them has read
/// the same version.
#[derive(Clone, Debug)]
pub struct Meeting {
    store: Ledger<Memory>,
    kind: &'static str,
    waiting: Arc<AtomicUsize>,
    barrier: Arc<Barrier>,
}

impl Meeting {
    /// A store in which this many presentations meet.
    pub fn of(number: usize) -> Self {
        Self::over("presentation", number)
    }

    /// A store in which this many records of a kind meet.
    pub fn over(kind: &'static str, number: usize) -> Self {
        let barrier = Arc::new(Barrier::new(number));
        Self { store: Ledger::new(Memory::new()), kind, waiting: Arc::default(), barrier }
    }

    /// From now on the next ones meet, once.
    pub fn begin(&self, number: usize) {
        self.waiting.store(number, Ordering::SeqCst);
    }

    /// Whether all of them have come.
    pub fn has_met(&self) -> bool {
        self.waiting.load(Ordering::SeqCst) == 0
    }

    /// The store inside.
    pub const fn ledger(&self) -> &Ledger<Memory> {
        &self.store
    }
}

impl Store for Meeting {
    async fn load(&self, keys: &[Key], now: UnixTime) -> Result<Vec<Option<Stored>>, StoreError> {
        self.store.load(keys, now).await
    }

    async fn commit(&self, writes: &[Write], now: UnixTime) -> Result<Vec<Option<Version>>, StoreError> {
        let concerned = writes.iter().any(|write| write.key().kind == self.kind);
        let one_less = |waiting: usize| waiting.checked_sub(1);
        if concerned && self.waiting.fetch_update(Ordering::SeqCst, Ordering::SeqCst, one_less).is_ok() {
            self.barrier.wait().await;
        }
        self.store.commit(writes, now).await
    }

    async fn scan(
        &self,
        prefix: &Prefix,
        after: Option<&str>,
        limit: usize,
        now: UnixTime,
    ) -> Result<Vec<(Key, Stored)>, StoreError> {
        self.store.scan(prefix, after, limit, now).await
    }

    async fn sweep(&self, now: UnixTime, limit: usize) -> Result<usize, StoreError> {
        self.store.sweep(now, limit).await
    }
}
