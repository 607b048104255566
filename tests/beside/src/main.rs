//! A page for somebody who is known: with Firsthand, and with the cookie sessions that a shop would take otherwise
//! (tower-sessions with the stores that belong to it). The same handler, in one process and one thread, in turns, so that
//! whatever else the machine does falls on all of them alike; then how long somebody is still let in who was signed out on
//! another node.
//!
//! `cargo run --release --manifest-path tests/beside/Cargo.toml`; `-- --quick` takes fewer rounds.
//!
//! They do not promise the same. A cookie is what it says, whoever sends it: a copy is as good as the original. A proof is
//! signed for one request by a key that cannot be taken from the browser, and the check of that signature is the price.

#[path = "../../benches/bare.rs"]
mod bare;
#[expect(dead_code, reason = "the benches use the rest")]
#[path = "../../benches/measure.rs"]
mod measure;
#[expect(dead_code, reason = "other tests use the rest")]
#[path = "../../support/postgres.rs"]
mod postgres;

use std::{env, io::Write as _, path::PathBuf, process::ExitCode};

use axum::{
    Router,
    body::Body,
    http::{HeaderValue, Method, Request, StatusCode, header},
    routing::{get, post},
};
use firsthand::{
    protocol::jose::Algorithm,
    store::{Memory, Postgres, Sqlite, Store},
};
use firsthand_axum::{
    CustomerLayer, Known, routes,
    testing::{Browser, TestShop},
};
use tokio::runtime::Runtime;
use tower::ServiceExt;
use tower_sessions::{CachingSessionStore, MemoryStore, Session, SessionManagerLayer, SessionStore};
use tower_sessions_moka_store::MokaStore;
use tower_sessions_sqlx_store::{PostgresStore, SqliteStore, sqlx as their_sqlx};

use bare::Signature;
use measure::{Effort, Subject, Table, Times, duration, in_turns};

/// Of what the check of one signature allows, so much is reached.
const OF_THE_SIGNATURE: f64 = 0.9;
/// How many people are signed in: what one key may ask for in a minute is limited.
const PEOPLE: usize = 64;
/// Sessions that a cache may keep.
const CACHED: u64 = 10_000;

fn main() -> ExitCode {
    let effort = if env::args().any(|arg| arg == "--quick") { Effort::QUICK } else { Effort::FULL };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    let folder = env::temp_dir().join(format!("firsthand-beside-{}", std::process::id()));
    std::fs::create_dir_all(&folder).expect("a folder");
    let mut table = Table::default();

    let memory = Shop::firsthand(&runtime, "memory", Memory::new(), Algorithm::Es256);
    let memory_ed25519 = Shop::firsthand(&runtime, "memory", Memory::new(), Algorithm::EdDsa);
    let sqlite = {
        let url = format!("sqlite:{}", folder.join("firsthand.sqlite").display());
        Shop::firsthand(&runtime, "SQLite", runtime.block_on(Sqlite::connect(&url)).expect("a file"), Algorithm::Es256)
    };
    let cookies = Shop::cookies(&runtime, "memory", MemoryStore::default(), MemoryStore::default(), true);
    let [cookies_sqlite, cookies_sqlite_cached] = {
        let store = runtime.block_on(their_sqlite(folder.join("sessions.sqlite")));
        let cached = || CachingSessionStore::new(MokaStore::new(Some(CACHED)), store.clone());
        [
            Shop::cookies(&runtime, "SQLite", store.clone(), store.clone(), false),
            Shop::cookies(&runtime, "SQLite behind moka", cached(), cached(), false),
        ]
    };
    let shops = [&memory, &memory_ed25519, &sqlite, &cookies, &cookies_sqlite, &cookies_sqlite_cached];
    let [check, bare, own, own_ed25519, own_sqlite, theirs, theirs_sqlite, theirs_cached] = in_turns(
        effort,
        [
            signature(&runtime, &memory),
            handler_alone(&runtime),
            shops[0].visits(&runtime),
            shops[1].visits(&runtime),
            shops[2].visits(&runtime),
            shops[3].visits(&runtime),
            shops[4].visits(&runtime),
            shops[5].visits(&runtime),
        ],
    );
    heading(&mut table, "A page for somebody who is known: memory and SQLite");
    row(&mut table, &check, &check, None);
    row(&mut table, &bare, &check, None);
    row(&mut table, &own, &check, Some(OF_THE_SIGNATURE));
    row(&mut table, &own_ed25519, &check, None);
    row(&mut table, &own_sqlite, &check, Some(OF_THE_SIGNATURE));
    row(&mut table, &theirs, &check, None);
    row(&mut table, &theirs_sqlite, &check, None);
    row(&mut table, &theirs_cached, &check, None);
    faster(&mut table, &own_sqlite, &theirs_sqlite);

    let revoked = |shop: &&Shop| (shop.name.clone(), runtime.block_on(shop.revoked()));
    let mut delays: Vec<(String, Delay)> = shops.iter().map(revoked).collect();
    match postgres::durable_cluster() {
        None => table.note("\nleft out, for PostgreSQL is not installed: PostgreSQL"),
        Some(cluster) => {
            let store = runtime.block_on(Postgres::connect(&cluster.database())).expect("a new database");
            let own = Shop::firsthand(&runtime, "PostgreSQL", store, Algorithm::Es256);
            let store = runtime.block_on(their_postgres(&cluster.database()));
            let cached = || CachingSessionStore::new(MokaStore::new(Some(CACHED)), store.clone());
            let theirs = Shop::cookies(&runtime, "PostgreSQL", store.clone(), store.clone(), false);
            let theirs_cached = Shop::cookies(&runtime, "PostgreSQL behind moka", cached(), cached(), false);
            let shops = [&own, &theirs, &theirs_cached];
            let [check, bare, own, theirs, theirs_cached] = in_turns(
                effort,
                [
                    signature(&runtime, &own),
                    handler_alone(&runtime),
                    shops[0].visits(&runtime),
                    shops[1].visits(&runtime),
                    shops[2].visits(&runtime),
                ],
            );
            heading(&mut table, "The same: PostgreSQL");
            row(&mut table, &check, &check, None);
            row(&mut table, &bare, &check, None);
            row(&mut table, &own, &check, None);
            row(&mut table, &theirs, &check, None);
            row(&mut table, &theirs_cached, &check, None);
            faster(&mut table, &own, &theirs);
            delays.extend(shops.iter().map(revoked));
        }
    }

    table.heading("Signed out on another node", &format!("{:<54}{:>40}", "", "is let in here"));
    for (name, delay) in delays {
        table.note(&format!("{name:<54}{:>40}", delay.said()));
    }
    let _ = std::fs::remove_dir_all(&folder);
    let (text, missed) = table.finish();
    let mut out = std::io::stdout();
    let _ = writeln!(out, "{text}");
    let _ = writeln!(out, "Medians of {} rounds; a ratio is the median of the ratios of all rounds.", effort.rounds);
    for target in &missed {
        let _ = writeln!(out, "MISSED  {target}");
    }
    ExitCode::SUCCESS
}

fn heading(table: &mut Table, title: &str) {
    table.heading(title, &format!("{:<54}{:>12}{:>14}{:>16}  target", "", "median", "per s and core", "of the check"));
}

/// One of them, with what it reaches of what the check of one signature allows.
fn row(table: &mut Table, times: &Times, check: &Times, target: Option<f64>) {
    let reached = 1.0 / times.ratio_to(check);
    let row = format!(
        "{:<54}{:>12}{:>14.0}{:>16.2}",
        times.name,
        duration(times.median_s()),
        1.0 / times.median_s(),
        reached
    );
    match target {
        Some(least) => table.judged(&times.name, &row, reached >= least, &format!(">= {least}")),
        None => table.note(&row),
    }
}

fn faster(table: &mut Table, own: &Times, theirs: &Times) {
    let ratio = theirs.ratio_to(own);
    let row = format!("{} serves {ratio:.2} times as many as {}", own.name, theirs.name);
    table.judged(&own.name, &row, ratio > 1.0, "more than the cookie on the plain SQL store");
}

/// The check of one proof with nothing around it: of many people, and each once, as those of the pages. One and the same
/// again finds all that it needs in the processor's nearest cache.
fn signature<'a>(runtime: &'a Runtime, shop: &'a Shop) -> Subject<'a> {
    let People::Browsers(browsers) = &shop.people else { panic!("they sign nothing") };
    let name = format!("one {} check", bare::name(browsers[0].key.public_key().algorithm()));
    let mut turn = browsers.iter().cycle();
    let next = move || {
        let browser = turn.next().expect("a cycle");
        Signature::of(&browser.sign(&browser.claims(&Method::GET, PAGE, None)), browser.key.public_key())
    };
    Subject::once_each(&name, runtime, AT_ONCE, next, async |signature: Signature| signature.check())
}

fn handler_alone(runtime: &Runtime) -> Subject<'_> {
    let app = Router::new().route(PAGE, get(async || TEXT));
    let request = || Request::get(PAGE).body(Body::empty()).expect("a request");
    Subject::once_each("the handler alone, for everybody", runtime, usize::MAX, request, move |request| {
        send(app.clone(), request)
    })
}

const PAGE: &str = "/account";
const TEXT: &str = "Welcome back";
const CUSTOMER: &str = "customer";

async fn send(app: Router, request: Request<Body>) {
    let answer = app.oneshot(request).await.expect("an answer");
    assert_eq!(answer.status(), StatusCode::OK);
}

/// A shop of two nodes, and people who are signed in.
struct Shop {
    name: String,
    nodes: [Router; 2],
    people: People,
}

enum People {
    Browsers(Vec<Browser>),
    /// What they send.
    Cookies(Vec<HeaderValue>),
}

/// How long somebody is let in on one node who was signed out on another.
enum Delay {
    AtOnce,
    /// As long as the session would have lasted.
    UntilItExpires,
    /// There is no other node that knows anything.
    OneNode,
}

impl Delay {
    const fn said(&self) -> &'static str {
        match self {
            Self::AtOnce => "no more: the next request is refused",
            Self::UntilItExpires => "until the session expires (days)",
            Self::OneNode => "(one node alone has the sessions)",
        }
    }
}

impl Shop {
    fn firsthand(runtime: &Runtime, stored_in: &str, store: impl Store + Clone, algorithm: Algorithm) -> Self {
        async fn account(_known: Known) -> &'static str {
            TEXT
        }
        let shop = TestShop::with(|shop| shop.store(store.clone()));
        let again = shop.again(|shop| shop.store(store));
        let node = |shop: &TestShop| {
            let app = Router::new().route(PAGE, get(account)).merge(routes(shop.merchant()));
            app.layer(CustomerLayer::new(shop.merchant().clone()))
        };
        let nodes = [node(&shop), node(&again)];
        let browsers = (0..PEOPLE).map(|_| {
            let browser = Browser::new(&shop, nodes[0].clone());
            let mut browser = if algorithm == Algorithm::Es256 { browser.with_p256() } else { browser };
            runtime.block_on(browser.sign_in("adult"));
            browser
        });
        let people = People::Browsers(browsers.collect());
        Self { name: format!("Firsthand ({}), {stored_in}", bare::name(algorithm)), nodes, people }
    }

    /// Two stores: each node has its own cache, or all that it knows.
    fn cookies<S: SessionStore + Clone>(runtime: &Runtime, stored_in: &str, store: S, other: S, alone: bool) -> Self {
        async fn account(session: Session) -> Result<&'static str, StatusCode> {
            let customer: Option<String> = session.get(CUSTOMER).await.map_err(|_| StatusCode::SERVICE_UNAVAILABLE)?;
            customer.map(|_| TEXT).ok_or(StatusCode::UNAUTHORIZED)
        }
        async fn sign_in(session: Session) -> Result<(), StatusCode> {
            let customer = "0123456789abcdef0123456789abcdef";
            session.insert(CUSTOMER, customer).await.map_err(|_| StatusCode::SERVICE_UNAVAILABLE)
        }
        async fn sign_out(session: Session) -> Result<(), StatusCode> {
            session.flush().await.map_err(|_| StatusCode::SERVICE_UNAVAILABLE)
        }
        let node = |store: S| {
            let app = Router::new().route(PAGE, get(account)).route("/in", post(sign_in)).route("/out", post(sign_out));
            app.layer(SessionManagerLayer::new(store))
        };
        let nodes = [node(store), node(other)];
        let cookies = (0..PEOPLE).map(|_| {
            let request = Request::post("/in").body(Body::empty()).expect("a request");
            let answer = runtime.block_on(nodes[0].clone().oneshot(request)).expect("an answer");
            let set = answer.headers().get(header::SET_COOKIE).and_then(|cookie| cookie.to_str().ok());
            let cookie = set.and_then(|cookie| cookie.split(';').next()).expect("a cookie");
            HeaderValue::try_from(cookie).expect("a header")
        });
        let people = People::Cookies(cookies.collect());
        let name = format!("tower-sessions, {stored_in}{}", if alone { " (one node)" } else { "" });
        Self { name, nodes, people }
    }

    fn request(&self, turn: usize) -> Request<Body> {
        let request = Request::get(PAGE);
        let request = match &self.people {
            People::Browsers(browsers) => {
                let browser = &browsers[turn % browsers.len()];
                let proof = browser.sign(&browser.claims(&Method::GET, PAGE, None));
                let token = format!("DPoP {}", browser.token.as_deref().expect("a session"));
                request.header("dpop", proof).header(header::AUTHORIZATION, token)
            }
            People::Cookies(cookies) => request.header(header::COOKIE, &cookies[turn % cookies.len()]),
        };
        request.body(Body::empty()).expect("a request")
    }

    fn visits<'a>(&'a self, runtime: &'a Runtime) -> Subject<'a> {
        let mut turn = 0;
        let prepare = move || {
            turn += 1;
            self.request(turn)
        };
        // What a key may ask for in a minute is limited, and so is what a turn may take of it.
        let runs_max = if matches!(self.people, People::Browsers(_)) { AT_ONCE } else { usize::MAX };
        Subject::once_each(&self.name, runtime, runs_max, prepare, |request| send(self.nodes[0].clone(), request))
    }

    /// Signs one of them out on the other node, and asks this one.
    async fn revoked(&self) -> Delay {
        let ask =
            async |node: usize| self.nodes[node].clone().oneshot(self.request(0)).await.expect("an answer").status();
        // Both nodes have seen them.
        assert_eq!(ask(0).await, StatusCode::OK, "{}", self.name);
        if ask(1).await != StatusCode::OK {
            return Delay::OneNode;
        }
        match &self.people {
            People::Browsers(browsers) => {
                let path = "/wallet/sessions/current";
                let browser = &browsers[0];
                let proof = browser.sign(&browser.claims(&Method::DELETE, path, None));
                let token = format!("DPoP {}", browser.token.as_deref().expect("a session"));
                let request = Request::delete(path).header("dpop", proof).header(header::AUTHORIZATION, token);
                let answer = self.nodes[1].clone().oneshot(request.body(Body::empty()).expect("a request")).await;
                assert!(answer.expect("an answer").status().is_success(), "{}", self.name);
            }
            People::Cookies(cookies) => {
                let request = Request::post("/out").header(header::COOKIE, &cookies[0]).body(Body::empty());
                let answer = self.nodes[1].clone().oneshot(request.expect("a request")).await.expect("an answer");
                assert!(answer.status().is_success(), "{}", self.name);
            }
        }
        match ask(0).await {
            StatusCode::OK => Delay::UntilItExpires,
            StatusCode::UNAUTHORIZED => Delay::AtOnce,
            status => panic!("{}: {status}", self.name),
        }
    }
}

/// Sessions in a file, set up as for many readers.
async fn their_sqlite(file: PathBuf) -> SqliteStore {
    use their_sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePool};
    let options =
        SqliteConnectOptions::new().filename(file).create_if_missing(true).journal_mode(SqliteJournalMode::Wal);
    let store = SqliteStore::new(SqlitePool::connect_with(options).await.expect("a file"));
    store.migrate().await.expect("a table");
    store
}

async fn their_postgres(url: &str) -> PostgresStore {
    let store = PostgresStore::new(their_sqlx::PgPool::connect(url).await.expect("a new database"));
    store.migrate().await.expect("a table");
    store
}
