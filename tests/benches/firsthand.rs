//! What Firsthand costs, beside what it cannot do without: the signature checks themselves, by aws-lc-rs in the same
//! process, timed in turns with it.
//!
//! `cargo bench -p firsthand-tests` prints the whole table, with `--features firsthand-tests/w3c` also of W3C credentials;
//! `-- --quick` takes fewer rounds, `-- --check` fails if a target is missed, and `-- dpop layer` measures these parts alone
//! (`verify`, `mdoc`, `w3c`, `status`, `jwe`, `dpop`, `relationship`, `did`, `answer`, `layer`, and of that `recognise`
//! without a database, `limits`, `program`).
//! `-- beside` alone puts other verifiers beside ours.

mod bare;
#[path = "firsthand/beside.rs"]
mod beside;
#[path = "firsthand/formats.rs"]
mod formats;
#[path = "firsthand/limits.rs"]
mod limits;
#[path = "firsthand/mdoc.rs"]
mod mdoc;
mod measure;
mod program;
#[cfg(feature = "w3c")]
#[path = "firsthand/w3c.rs"]
mod w3c;

use std::{env, io::Write, path::PathBuf, process::ExitCode};

use aws_lc_rs::agreement::{PrivateKey, X25519};
use axum::{
    Router,
    body::Body,
    http::{Method, Request, header},
    routing::{get, post},
};
use firsthand::{
    Ask, CustomerId, Device, Keys,
    customer::Binding,
    env::Env,
    format::{Against, Authentic, Channel, Format, Unverified, sd_jwt_vc::SdJwtVc},
    limits::Limits,
    merchant::{AskRequest, BrowserProof, IssuerProfile, ProofRequest},
    pairwise::{PURPOSE, Pairwise, ShopDid, TEMPLATE},
    presentation::RequestId,
    protocol::{
        dcql::Candidate,
        dpop,
        jose::{Algorithm, ContentEncryption, DecryptionKey, Jws, PublicKey, SigningKey, encrypt},
        openid4vp::{RequestPost, ResponseContext, ResponseMode, read_response},
        status_list::StatusList,
        x509::Certificate,
    },
    store::{Expect, Key, Memory, Postgres, Sqlite, Store, Write as Put},
    time::UnixTime,
    trust::{Decision, Trust},
};
use firsthand_axum::{
    CustomerLayer, Known, routes,
    testing::{Browser, TestShop, wallet},
};
use firsthand_tests::postgres;
use serde_json::{Map, Value, json};
use tokio::runtime::Runtime;
use tower::ServiceExt;
use url::form_urlencoded;

use bare::{Signature, name};
use measure::{Effort, Subject, Table, in_turns};

/// Verification of a credential with its holder's proof, over its two signature checks.
const CREDENTIAL_TARGET: f64 = 1.25;
/// Recognition by the card that the shop gave, over its two signature checks.
const RELATIONSHIP_TARGET: f64 = 1.35;
/// The check of a proof of possession, over its one signature check.
const DPOP_TARGET: f64 = 1.15;

fn main() -> ExitCode {
    let given: Vec<String> = env::args().skip(1).collect();
    if limits::is_child(&given) {
        return ExitCode::SUCCESS;
    }
    let flag = |name: &str| given.iter().any(|arg| arg == name);
    let chosen: Vec<&String> = given.iter().filter(|arg| !arg.starts_with("--")).collect();
    let wanted = |part: &str| chosen.is_empty() || chosen.iter().any(|name| *name == part);
    let bench = Bench {
        runtime: runtime(),
        effort: if flag("--quick") { Effort::QUICK } else { Effort::FULL },
        folder: folder(),
    };

    let mut table = Table::default();
    if wanted("verify") {
        bench.credential(&mut table, "over 18", &TestShop::age());
        bench.credential(&mut table, "name and address", &TestShop::address());
    }
    if wanted("mdoc") {
        mdoc::measure(&mut table, bench.effort);
    }
    if wanted("w3c") {
        #[cfg(feature = "w3c")]
        w3c::measure(&mut table, bench.effort);
        #[cfg(not(feature = "w3c"))]
        table.note("\nleft out: W3C credentials; they are measured with `--features firsthand-tests/w3c`");
    }
    if wanted("status") {
        formats::status(&mut table, bench.effort);
    }
    if wanted("jwe") {
        formats::decryption(&mut table, bench.effort);
    }
    if wanted("dpop") {
        bench.dpop(&mut table, Algorithm::Es256);
        bench.dpop(&mut table, Algorithm::EdDsa);
    }
    if wanted("relationship") {
        bench.relationship(&mut table);
    }
    if wanted("did") {
        bench.shop_did(&mut table);
    }
    if wanted("answer") {
        bench.answer(&mut table, ResponseMode::DirectPost, "memory", Memory::new());
        bench.answer(&mut table, ResponseMode::DirectPostJwt, "memory", Memory::new());
        bench.answer(&mut table, ResponseMode::DirectPostJwt, SQLITE, bench.sqlite("answer"));
        if let Some(store) = bench.postgres() {
            bench.answer(&mut table, ResponseMode::DirectPostJwt, POSTGRES, store);
        }
    }
    if wanted("layer") || wanted("recognise") {
        bench.layer(&mut table, Algorithm::EdDsa, "memory", Memory::new());
        bench.layer(&mut table, Algorithm::Es256, "memory", Memory::new());
    }
    if wanted("layer") {
        bench.layer(&mut table, Algorithm::EdDsa, SQLITE, bench.sqlite("layer"));
        match bench.postgres() {
            Some(store) => bench.layer(&mut table, Algorithm::EdDsa, POSTGRES, store),
            None => table.note("\nleft out, for PostgreSQL is not installed: the layer with PostgreSQL"),
        }
    }
    if wanted("limits") {
        limits::measure(&mut table);
    }
    // Where node is there; it takes a while, and says nothing of us alone.
    if chosen.iter().any(|name| *name == "beside") {
        beside::measure(&mut table, bench.effort, &bench.runtime);
    }
    if wanted("program") {
        program::measure(&mut table, bench.effort);
    }

    let (text, missed) = table.finish();
    let mut out = std::io::stdout();
    let _ = writeln!(out, "{text}");
    let _ = writeln!(out, "Medians of {} rounds. A ratio is to what stands bare above it: the", bench.effort.rounds);
    let _ = writeln!(out, "median of the ratios of all rounds, which is judged, and the ratio of the two best times.");
    for target in &missed {
        let _ = writeln!(out, "MISSED  {target}");
    }
    if flag("--check") && !missed.is_empty() { ExitCode::FAILURE } else { ExitCode::SUCCESS }
}

const SQLITE: &str = "SQLite in a file";
/// The tests' own cluster has no need to outlive the machine.
const POSTGRES: &str = "PostgreSQL, fsync=off";

struct Bench {
    runtime: Runtime,
    effort: Effort,
    folder: PathBuf,
}

impl Drop for Bench {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}

impl Bench {
    fn sqlite(&self, name: &str) -> Sqlite {
        let url = format!("sqlite:{}", self.folder.join(format!("{name}.sqlite")).display());
        self.runtime.block_on(Sqlite::connect(&url)).expect("a file")
    }

    fn postgres(&self) -> Option<Postgres> {
        let url = postgres::cluster()?.database();
        Some(self.runtime.block_on(Postgres::connect(&url)).expect("a new database"))
    }

    /// The shop's DID for one customer, which is made whenever it is needed, beside the keys in it.
    fn shop_did(&self, table: &mut Table) {
        let shop = TestShop::new();
        let (keys, customer) = (shop.keys(), CustomerId::from_random([7; 16]));
        let which = Pairwise { origin: "https://shop.example/", customer: &customer, epoch: 0, template: TEMPLATE };
        let secret = |info: &[u8]| keys.derive(PURPOSE, info);
        let [bare, whole] = in_turns(
            self.effort,
            [
                Subject::again("two HKDF, a P-256 and an X25519 key pair", || {
                    let signing = SigningKey::from_p256_scalar(&secret(b"one of two keys")).expect("a key");
                    let private = PrivateKey::from_private_key(&X25519, &secret(b"the other one")).expect("a key");
                    (signing, private.compute_public_key().expect("a key"))
                }),
                Subject::again("the shop's DID for a customer, with its keys", || {
                    ShopDid::derive(&which, secret).expect("a DID")
                }),
            ],
        );
        table.title("Who the shop is to one customer");
        table.bare(&bare);
        table.whole(&whole, &bare, None);
    }

    /// An SD-JWT VC with its holder's proof, from the text to claims that can be believed; the issuer's chain is known.
    fn credential(&self, table: &mut Table, what: &str, ask: &Ask) {
        let shop = TestShop::with(|shop| shop.store(Memory::new()).response_mode(ResponseMode::DirectPost));
        let (_, request, _) = Counter::new(&shop).answered(&self.runtime, ask);
        let shown = Shown::of(&shop, &request);
        let parsed = SdJwtVc::new().parse(&shown.text, &shown.limits).expect("a credential");
        let (issuer, holder) = (&shown.issuer, &shown.holder);
        let [bare, whole, parse, decide] = in_turns(
            self.effort,
            [
                Subject::again("two ES256 checks", || {
                    issuer.check();
                    holder.check();
                }),
                Subject::again("parse, believe the issuer, verify", || shown.verified()),
                Subject::again("parse", || drop(SdJwtVc::new().parse(&shown.text, &shown.limits))),
                Subject::again("look the chain up", || shown.trust.decide(&parsed.issuer(), shown.now, &shown.limits)),
            ],
        );
        table.title(&format!("SD-JWT VC with key binding: {what}, {} disclosures", shown.disclosures()));
        table.bare(&bare);
        table.whole(&whole, &bare, Some(CREDENTIAL_TARGET));
        table.part(&parse);
        table.part(&decide);
        table.rest("signatures, disclosures, claims", &whole, &[&parse, &decide]);
    }

    /// A customer who shows the card that the shop gave them: from its text to the customer; and the whole answer.
    fn relationship(&self, table: &mut Table) {
        let back = Ask::new("back", "To know you again").recognise();
        let store = Memory::new();
        let shop = TestShop::with(|shop| {
            let shop = shop.store(store.clone()).response_mode(ResponseMode::DirectPost);
            shop.relationship(IssuerProfile::Open).ask(&back)
        });
        let app = app(&shop);
        let mut holder = browser(&shop, app.clone(), Algorithm::EdDsa);
        let mut card = wallet::Wallet::new();
        self.runtime.block_on(async {
            holder.sign_in("adult").await;
            holder.give_credential(&mut card).await;
        });
        let counter = Counter::with(&shop, card.clone());
        let (_, request, _) = counter.answered(&self.runtime, &back);
        let shown = Shown::by(&shop, &request, &card);
        let (now, keys) = (shop.merchant().now(), shop.keys());
        let prepare = || {
            let (id, _, form) = counter.answered(&self.runtime, &back);
            (id, form)
        };
        let post = |(id, form): (RequestId, String)| {
            let path = format!("/wallet/responses/{}", id.as_str());
            let request = Request::post(path).header(header::CONTENT_TYPE, "application/x-www-form-urlencoded");
            let app = app.clone();
            async move {
                let answer = app.oneshot(request.body(Body::from(form)).expect("a request")).await.expect("an answer");
                assert!(answer.status().is_success(), "{}", answer.status());
            }
        };
        let (issuer, proof) = (&shown.issuer, &shown.holder);
        let [bare, whole, answer, verify] = in_turns(
            self.effort,
            [
                Subject::again("two ES256 checks", || {
                    issuer.check();
                    proof.check();
                }),
                Subject::again_async("from the card to the customer", &self.runtime, || async {
                    drop(shown.verified_own(keys));
                    let key = Key::new("binding", format!("rc.{}", shown.alias()), "");
                    let found = store.load(&[key], now).await.expect("the store").pop().flatten();
                    let found = found.expect("a binding").record;
                    serde_json::from_str::<Binding>(&found.body).expect("a binding").customer
                }),
                Subject::once_each("the whole answer (direct_post, memory)", &self.runtime, 12, prepare, post),
                Subject::again("verify the credential", || shown.verified_own(keys)),
            ],
        );
        table.title("Recognition by the relationship credential");
        table.bare(&bare);
        table.whole(&whole, &bare, Some(RELATIONSHIP_TARGET));
        table.part(&verify);
        table.rest("whose it is", &whole, &[&verify]);
        table.whole(&answer, &bare, None);
    }

    /// A proof of possession: by itself, and with everything that the merchant adds before it is believed.
    fn dpop(&self, table: &mut Table, algorithm: Algorithm) {
        let shop = TestShop::new();
        let mut browser = browser(&shop, Router::new(), algorithm);
        let token = "kQ9xYzv1fZyI2f0k8gJr5p1m3n7o9q2s4u6w8y0A1C3";
        browser.token = Some(token.to_owned());
        let proof = browser.sign(&browser.claims(&Method::GET, "/account", None));
        let signature = Signature::of(&proof, browser.key.public_key());
        let (merchant, limits) = (shop.merchant(), Limits::default());
        let url = merchant.origin().join("/account").expect("a path");
        let expected = dpop::Expected {
            method: "GET",
            url: &url,
            now: merchant.now(),
            iat_past_s: 120,
            iat_future_s: 30,
            access_token: Some(token),
        };
        let request = ProofRequest { proof: &proof, method: "GET", path: "/account", access_token: Some(token) };

        let [bare, pure, whole] = in_turns(
            self.effort,
            [
                Subject::again(&format!("one {} check", name(algorithm)), || signature.check()),
                Subject::again("the pure check", || dpop::check(&proof, &expected, &limits).expect("a proof")),
                Subject::again("the merchant's check, with its nonce", || {
                    merchant.check_proof(&request).expect("a proof")
                }),
            ],
        );
        table.title(&format!("DPoP proof with {}", name(algorithm)));
        table.bare(&bare);
        table.whole(&pure, &bare, Some(DPOP_TARGET));
        table.whole(&whole, &bare, None);
    }

    /// A wallet's answer through the router, from the form to the sealed record, and where the time goes.
    fn answer(&self, table: &mut Table, mode: ResponseMode, stored_in: &str, store: impl Store + Clone) {
        let shop = TestShop::with(|shop| shop.store(store.clone()).response_mode(mode));
        let app = app(&shop);
        let counter = Counter::new(&shop);
        let ask = TestShop::age();
        let (id, request, _) = counter.answered(&self.runtime, &ask);
        let record = Key::new("presentation", id.as_str(), "");
        let shown = Shown::of(&shop, &request);
        let envelope = Envelope::of(&shown, &request, shop.keys());
        let evaluated = shown.verified();
        let counts_as = shown.counts_as(&evaluated);
        let list = status_list(&shop);
        let verified = json!({"ask": "age", "outcome": "over 18", "claims": [{"id": "age", "claims": {}}]}).to_string();

        let post = |(id, form): (RequestId, String)| {
            let path = format!("/wallet/responses/{}", id.as_str());
            let request = Request::post(path).header(header::CONTENT_TYPE, "application/x-www-form-urlencoded");
            let app = app.clone();
            async move {
                let answer = app.oneshot(request.body(Body::from(form)).expect("a request")).await.expect("an answer");
                assert!(answer.status().is_success(), "{}", answer.status());
            }
        };
        let prepare = || {
            let (id, _, form) = counter.answered(&self.runtime, &ask);
            (id, form)
        };
        self.runtime.block_on(post(prepare()));
        let fetches = shop.network().calls_in_all();

        let (issuer, holder) = (&shown.issuer, &shown.holder);
        let encrypted = mode == ResponseMode::DirectPostJwt;
        let [bare, whole, unseal, decrypt, read, verify, status, query, seal, commit] = in_turns(
            self.effort,
            [
                Subject::again("two ES256 checks", || {
                    issuer.check();
                    holder.check();
                }),
                Subject::once_each("the whole answer", &self.runtime, 12, prepare, post),
                Subject::again("open the key of the request", || envelope.unsealed(shop.keys())),
                Subject::again("decrypt (ECDH-ES)", || envelope.decrypted()),
                Subject::again("read form and JSON", || shown.read(&request)),
                Subject::again("verify the credential", || shown.verified()),
                Subject::again("look its status up", || list.status(100).expect("an entry")),
                Subject::again("evaluate the query", || {
                    let candidate = Candidate {
                        format: "dc+sd-jwt",
                        types: &counts_as,
                        holder_bound: true,
                        claims: evaluated.claims(),
                        authority_key_ids: &[],
                    };
                    drop(request.query.evaluate(&[(shown.id.clone(), vec![candidate])]).expect("an answer"));
                }),
                Subject::again("seal the claims", || {
                    shop.keys().seal("presentation claims", id.as_str().as_bytes(), verified.as_bytes(), [7; 12])
                }),
                Subject::again_async("load and commit the record", &self.runtime, || async {
                    let (key, now) = (&record, shop.merchant().now());
                    let mut found = store.load(std::slice::from_ref(key), now).await.expect("a record");
                    let stored = found.pop().flatten().expect("a record");
                    let write = Put::put(key.clone(), stored.record, Expect::Version(stored.version));
                    store.commit(&[write], now).await.expect("a commit")
                }),
            ],
        );
        let mode = if encrypted { "direct_post.jwt" } else { "direct_post" };
        table.title(&format!("Answer by {mode}, {stored_in}"));
        table.bare(&bare);
        table.whole(&whole, &bare, None);
        let mut parts = vec![&read, &verify, &status, &query, &seal, &commit];
        if encrypted {
            parts.splice(0..0, [&unseal, &decrypt]);
        }
        parts.iter().for_each(|part| table.part(part));
        table.rest("the rest: routing, records, JSON", &whole, &parts);
        no_network(table, &shop, fetches);
    }

    /// Requests of a known customer through the whole layer, beside the same handlers without one.
    fn layer(&self, table: &mut Table, algorithm: Algorithm, stored_in: &str, store: impl Store + Clone) {
        let shop = TestShop::with(|shop| shop.store(store.clone()));
        let app = app(&shop);
        // Several customers, since one alone would be told to slow down.
        let customers: Vec<Browser> = (0..16)
            .map(|_| {
                let mut browser = browser(&shop, app.clone(), algorithm);
                self.runtime.block_on(browser.sign_in("adult"));
                browser
            })
            .collect();
        let one = &customers[0];
        let token = one.token.as_deref().expect("a session");
        let mut signs = customers.iter().cycle();
        // As those of the layer: of many people, and each once. One and the same again finds all that it needs in the
        // processor's nearest cache.
        let signature = || {
            let one = signs.next().expect("a cycle");
            Signature::of(&one.sign(&one.claims(&Method::GET, "/account", None)), one.key.public_key())
        };
        let proof_text = one.sign(&one.claims(&Method::GET, "/account", None));
        let merchant = shop.merchant();
        let proof_request =
            ProofRequest { proof: &proof_text, method: "GET", path: "/account", access_token: Some(token) };
        let proof = merchant.check_proof(&proof_request).expect("a proof");
        let new_proof = || -> BrowserProof {
            let text = one.sign(&one.claims(&Method::GET, "/account", None));
            merchant.check_proof(&ProofRequest { proof: &text, ..proof_request }).expect("a proof")
        };

        let mut turn = customers.iter().cycle();
        let mut other_turn = customers.iter().cycle();
        let send = |app: Router, request: Request<Body>| async move {
            let answer = app.oneshot(request).await.expect("an answer");
            assert!(answer.status().is_success(), "{}", answer.status());
        };
        let fetches = shop.network().calls_in_all();
        let [bare, bare_get, nobodys_get, metrics, known_get, bare_post, known_post, check, recognise, spend] =
            in_turns(
                self.effort,
                [
                    Subject::once_each(
                        &format!("one {} check", name(algorithm)),
                        &self.runtime,
                        12,
                        signature,
                        |signature| async move { signature.check() },
                    ),
                    Subject::once_each(
                        "GET, the handler alone",
                        &self.runtime,
                        usize::MAX,
                        || Request::get("/account").body(Body::empty()).expect("a request"),
                        |request| send(bare_app(), request),
                    ),
                    Subject::once_each(
                        "GET of nobody: seen, named and counted",
                        &self.runtime,
                        usize::MAX,
                        || Request::get("/open").body(Body::empty()).expect("a request"),
                        |request| send(app.clone(), request),
                    ),
                    Subject::again("the metrics, read once", || merchant_metrics(&shop)),
                    Subject::once_each(
                        "GET of a known customer",
                        &self.runtime,
                        12,
                        || signed(turn.next().expect("a cycle"), &Method::GET, "/account", ""),
                        |request| send(app.clone(), request),
                    ),
                    Subject::once_each(
                        "POST, the handler alone",
                        &self.runtime,
                        usize::MAX,
                        || Request::post("/order").body(Body::from(ORDER)).expect("a request"),
                        |request| send(bare_app(), request),
                    ),
                    Subject::once_each(
                        "POST of a known customer",
                        &self.runtime,
                        12,
                        || signed(other_turn.next().expect("a cycle"), &Method::POST, "/order", ORDER),
                        |request| send(app.clone(), request),
                    ),
                    Subject::again("check the proof", || merchant.check_proof(&proof_request).expect("a proof")),
                    Subject::again_async("look the session up", &self.runtime, || async {
                        merchant.recognise(&proof, token).await.expect("a session")
                    }),
                    Subject::once_each(
                        "use the proof up (one commit)",
                        &self.runtime,
                        12,
                        new_proof,
                        |proof| async move {
                            merchant.spend(&proof).await.expect("a new proof");
                        },
                    ),
                ],
            );
        table.title(&format!("The whole layer: {}, {stored_in}", name(algorithm)));
        table.bare(&bare);
        table.whole(&known_get, &bare, None);
        table.part(&bare_get);
        table.part(&nobodys_get);
        table.part(&metrics);
        table.part(&check);
        table.part(&recognise);
        table.rest("the rest: replay window, nonce, headers", &known_get, &[&bare_get, &check, &recognise]);
        table.whole(&known_post, &bare, None);
        table.part(&bare_post);
        table.part(&check);
        table.part(&recognise);
        table.part(&spend);
        table.rest("the rest: body, digest, nonce, headers", &known_post, &[&bare_post, &check, &recognise, &spend]);
        no_network(table, &shop, fetches);
    }
}

const ORDER: &str = "product=etna&quantity=2&gift=no&message=Happy+birthday";

fn runtime() -> Runtime {
    tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime")
}

fn folder() -> PathBuf {
    let folder = env::temp_dir().join(format!("firsthand-bench-{}", std::process::id()));
    std::fs::create_dir_all(&folder).expect("a folder for the files of this run");
    folder
}

fn no_network(table: &mut Table, shop: &TestShop, before: usize) {
    let fetches = shop.network().calls_in_all() - before;
    assert_eq!(fetches, 0, "the warm path went to the network");
    table.note("  fetches from the network meanwhile: 0");
}

/// Handlers as a merchant has them, behind the layer.
fn app(shop: &TestShop) -> Router {
    async fn account(_known: Known) -> &'static str {
        "Welcome back"
    }
    async fn order(_known: Known, body: String) -> String {
        body
    }
    Router::new()
        .route("/account", get(account))
        .route("/open", get(|| async { "Welcome" }))
        .route("/order", post(order))
        .merge(routes(shop.merchant()))
        .layer(CustomerLayer::new(shop.merchant().clone()))
}

fn merchant_metrics(shop: &TestShop) -> String {
    shop.merchant().metrics().to_string()
}

thread_local! {
    static BARE: Router = Router::new()
        .route("/account", get(|| async { "Welcome back" }))
        .route("/order", post(|body: String| async { body }));
}

/// The same handlers for everybody.
fn bare_app() -> Router {
    BARE.with(Clone::clone)
}

fn browser(shop: &TestShop, app: Router, algorithm: Algorithm) -> Browser {
    let mut browser = Browser::new(shop, app);
    if algorithm == Algorithm::Es256 {
        browser = browser.with_p256();
    }
    browser.nonce = Some(shop.merchant().nonce());
    browser
}

fn signed(browser: &Browser, method: &Method, path: &str, body: &'static str) -> Request<Body> {
    let claims = browser.claims(method, path, Some(body.as_bytes()));
    Request::builder()
        .method(method)
        .uri(path)
        .header("dpop", browser.sign(&claims))
        .header(header::AUTHORIZATION, format!("DPoP {}", browser.token.as_deref().expect("a session")))
        .body(Body::from(body))
        .expect("a request")
}

/// A browser that asks, and the wallet beside it that answers.
struct Counter<'a> {
    shop: &'a TestShop,
    browser: Browser,
    wallet: wallet::Wallet,
}

impl<'a> Counter<'a> {
    fn new(shop: &'a TestShop) -> Self {
        Self::with(shop, shop.persona("adult").wallet.clone())
    }

    fn with(shop: &'a TestShop, wallet: wallet::Wallet) -> Self {
        Self { shop, browser: browser(shop, Router::new(), Algorithm::EdDsa), wallet }
    }

    /// A request that a wallet fetched, and the form that it is about to post.
    fn answered(&self, runtime: &Runtime, ask: &Ask) -> (RequestId, wallet::Request, String) {
        let (merchant, path) = (self.shop.merchant(), "/wallet/presentations");
        let proof = self.browser.sign(&self.browser.claims(&Method::POST, path, None));
        let proof = ProofRequest { proof: &proof, method: "POST", path, access_token: None };
        let proof = merchant.check_proof(&proof).expect("a proof");
        let asked = AskRequest { ask: ask.name(), device: Device::SameDevice, return_to: None };
        let (invitation, object) = runtime.block_on(async {
            let invitation = merchant.ask(&proof, &asked).await.expect("an invitation");
            let object =
                merchant.request_object(&invitation.id.request(), &RequestPost::default()).await.expect("a request");
            (invitation, object)
        });
        let link = wallet::Link::parse(&invitation.wallet_uri).expect("a link");
        let limits = merchant.limits();
        let request = wallet::Request::read(&link, &object, None, &[], merchant.now(), limits).expect("a request");
        let choice = self.wallet.choose(&request).expect("something to show");
        let form = self.wallet.answer(&request, &choice, &[], self.shop.clock()).expect("an answer");
        (invitation.id.request(), request, form)
    }
}

/// What a wallet showed, and all that it is checked against.
struct Shown {
    id: String,
    text: Value,
    /// The form that posts it, in clear.
    form: String,
    issuer: Signature,
    holder: Signature,
    trust: Trust,
    client_id: String,
    nonce: String,
    now: UnixTime,
    limits: Limits,
}

impl Shown {
    fn of(shop: &TestShop, request: &wallet::Request) -> Self {
        Self::by(shop, request, &shop.persona("adult").wallet)
    }

    fn by(shop: &TestShop, request: &wallet::Request, wallet: &wallet::Wallet) -> Self {
        let mut in_clear = request.clone();
        in_clear.encryption = None;
        let choice = wallet.choose(&in_clear).expect("something to show");
        let form = wallet.answer(&in_clear, &choice, &[], shop.clock()).expect("an answer");
        let vp_token = form_urlencoded::parse(form.as_bytes()).find(|(name, _)| name == "vp_token").expect("a token").1;
        let vp_token: Map<String, Value> = serde_json::from_str(&vp_token).expect("JSON");
        let (id, shown) = vp_token.into_iter().next().expect("one credential");
        let text = shown[0].clone();

        let limits = Limits::default();
        let (issuer_jwt, holder_jwt) = {
            let text = text.as_str().expect("a text");
            (text.split('~').next().unwrap_or_default(), text.rsplit('~').next().unwrap_or_default())
        };
        let jws = Jws::parse(issuer_jwt, &limits).expect("an issuer's JWT");
        let leaf = jws.header().x5c.as_ref().and_then(|chain| chain.first()).expect("a certificate");
        let issuer_key = Certificate::from_der(leaf).and_then(|leaf| leaf.public_key()).expect("a key");
        let holder_key = PublicKey::from_jwk(&jws.unverified_claims()["cnf"]["jwk"]).expect("a key");
        Self {
            issuer: Signature::of(issuer_jwt, &issuer_key),
            holder: Signature::of(holder_jwt, &holder_key),
            trust: shop.cast().trust().expect("roots"),
            client_id: request.client_id.clone(),
            nonce: request.nonce.clone(),
            now: shop.clock().now(),
            id,
            text,
            form,
            limits,
        }
    }

    fn disclosures(&self) -> usize {
        self.text.as_str().unwrap_or_default().matches('~').count() - 1
    }

    /// As the merchant does it: taken apart, the issuer believed, everything checked.
    fn verified(&self) -> Authentic {
        let unverified = SdJwtVc::new().parse(&self.text, &self.limits).expect("a credential");
        let Ok(Decision::Believed { key, .. }) = self.trust.decide(&unverified.issuer(), self.now, &self.limits) else {
            panic!("the issuer is not believed")
        };
        self.checked(unverified, &key)
    }

    /// A credential of the shop's own: its issuer is one of our identities.
    fn verified_own(&self, keys: &Keys) -> Authentic {
        let unverified = SdJwtVc::new().parse(&self.text, &self.limits).expect("a credential");
        self.checked(unverified, keys.identity().key().public_key())
    }

    /// Read anew from what was shown, as the merchant does.
    fn alias(&self) -> String {
        let text = self.text.as_str().expect("a text").split('~').next().expect("an issuer's JWT");
        let jws = Jws::parse(text, &self.limits).expect("an issuer's JWT");
        jws.unverified_claims()["sub"].as_str().expect("an alias").to_owned()
    }

    fn checked(&self, unverified: Box<dyn Unverified + '_>, issuer_key: &PublicKey) -> Authentic {
        let against = Against {
            issuer_key,
            channel: Channel::Redirect {
                client_id: &self.client_id,
                response_uri: "https://shop.example/wallet/responses/1",
            },
            encryption_key: None,
            nonce: &self.nonce,
            transaction_data: &[],
            holder_binding: true,
            now: self.now,
            holder_proof_age_s: 300,
            skew_s: 60,
            limits: &self.limits,
        };
        unverified.verify(&against).expect("a credential that holds")
    }

    fn counts_as(&self, authentic: &Authentic) -> Vec<String> {
        let unverified = SdJwtVc::new().parse(&self.text, &self.limits).expect("a credential");
        match self.trust.decide(&unverified.issuer(), self.now, &self.limits) {
            Ok(Decision::Believed { issuer, .. }) => self.trust.counts_as(issuer, authentic.types()),
            _ => panic!("the issuer is not believed"),
        }
    }

    /// The form in clear, read as far as the presentations in it.
    fn read(&self, request: &wallet::Request) {
        let context = ResponseContext {
            mode: ResponseMode::DirectPost,
            state: request.state.as_deref().unwrap_or_default(),
            key: None,
            accepted: &[],
            query: &request.query,
            limits: &self.limits,
        };
        drop(read_response(self.form.as_bytes(), &context).expect("an answer"));
    }
}

/// The same answer, encrypted to a key that is at hand.
struct Envelope {
    key: DecryptionKey,
    sealed_key: String,
    jwe: String,
    limits: Limits,
}

impl Envelope {
    fn of(shown: &Shown, request: &wallet::Request, keys: &Keys) -> Self {
        let key = DecryptionKey::from_scalar(&[7; 32], "response").expect("a key");
        let enc = request.encryption.as_ref().map_or(ContentEncryption::A128Gcm, |(_, enc)| *enc);
        let payload = json!({ "vp_token": { shown.id.as_str(): [shown.text] }, "state": request.state }).to_string();
        let jwe = encrypt(payload.as_bytes(), &key.public_jwk(), enc).expect("a JWE");
        let sealed_key = keys.seal("presentation key", b"a record", key.scalar(), [7; 12]);
        Self { key, sealed_key, jwe, limits: Limits::default() }
    }

    fn unsealed(&self, keys: &Keys) -> DecryptionKey {
        let scalar = keys.open("presentation key", b"a record", &self.sealed_key).expect("a sealed key");
        DecryptionKey::from_scalar(&scalar.try_into().expect("32 bytes"), "response").expect("a key")
    }

    fn decrypted(&self) -> Vec<u8> {
        let accepted = [ContentEncryption::A128Gcm, ContentEncryption::A256Gcm];
        self.key.decrypt(&self.jwe, &accepted, &self.limits).expect("our own key")
    }
}

/// The issuer's list of statuses, as the merchant keeps it.
fn status_list(shop: &TestShop) -> StatusList {
    let (now, limits) = (shop.clock().now(), Limits::default());
    let token = shop.cast().status_list(now).expect("a list");
    let token = StatusList::parse(&token, &limits).expect("a list");
    let leaf = token.header().x5c.as_ref().and_then(|chain| chain.first()).expect("a certificate");
    let key = Certificate::from_der(leaf).and_then(|leaf| leaf.public_key()).expect("a key");
    StatusList::verify(token, &key, shop.status_uri(), now, &limits).expect("a list that holds")
}
