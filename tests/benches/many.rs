//! What it costs to recognise one of very many customers, beside the same of few: the two records that say whose a request
//! is, the session and the binding of its key, read from the store and understood. Then what a new customer does there: a
//! presentation is redeemed, and a checkout completed, through the whole router. In turns, in one run; and at last the
//! memory that presentations take which nobody has redeemed yet.
//!
//! `cargo bench -p firsthand-tests --bench many` takes ten million customers, some ten gigabytes for each store, and many
//! minutes to make them; `-- --customers 100000` takes fewer. PostgreSQL has its
//! usual 128 MiB of buffers and SQLite its usual 2 MiB, so that the database is larger than the cache of either.

#[expect(dead_code, reason = "the other benches use the rest")]
mod measure;

use std::{env, io::Write as _, path::PathBuf};

use axum::Router;
use firsthand::{
    Device, Money,
    customer::Binding,
    money::Currency,
    session::SessionRecord,
    store::{Key, Memory, Postgres, Record, Sqlite, Store},
    testing::{FakeRail, TestShop},
    time::UnixTime,
    trade::{Item, Items, Shelf, Trade},
};
use firsthand_axum::{
    CustomerLayer, routes,
    testing::{Browser, Reply, response_code},
};
use firsthand_tests::postgres;
use http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use serde_json::{Value, json};
use sqlx::{AssertSqlSafe, Connection, Executor, PgConnection, SqliteConnection};
use tokio::runtime::Runtime;

use measure::{Effort, Subject, Table, in_turns};

const CUSTOMERS: u64 = 10_000_000;
const FEW: u64 = 1_000;
/// Presentations that were asked for, answered, and not redeemed.
const LIVE: u64 = 100_000;

fn main() {
    let given: Vec<String> = env::args().skip(1).collect();
    let customers = given.iter().position(|arg| arg == "--customers").and_then(|at| given.get(at + 1)?.parse().ok());
    let customers: u64 = customers.unwrap_or(CUSTOMERS);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    let folder = env::temp_dir().join(format!("firsthand-many-{}", std::process::id()));
    std::fs::create_dir_all(&folder).expect("a folder");
    let mut table = Table::default();
    {
        let file = |count: u64| folder.join(format!("{count}.sqlite"));
        let [few, many] = [FEW, customers].map(|count| runtime.block_on(in_sqlite(file(count), count)));
        compare(&mut table, "SQLite in a file", &runtime, (few, FEW), (many, customers));
        let _ = std::fs::remove_dir_all(&folder);
    }
    match postgres::cluster() {
        None => table.note("\nleft out, for PostgreSQL is not installed: PostgreSQL"),
        Some(cluster) => {
            let [few, many] = [FEW, customers].map(|count| runtime.block_on(in_postgres(cluster.database(), count)));
            compare(&mut table, "PostgreSQL", &runtime, (few, FEW), (many, customers));
        }
    }
    let live = given.iter().position(|arg| arg == "--live").and_then(|at| given.get(at + 1)?.parse().ok());
    waiting(&mut table, &runtime, live.unwrap_or(LIVE));
    let (text, _) = table.finish();
    let _ = writeln!(std::io::stdout(), "{text}");
}

/// One customer who came by the shop's own doors: the records that all others are copies of.
async fn pattern(store: impl Store + Clone) -> [(Key, Record); 2] {
    let shop = TestShop::with(|shop| shop.store(store.clone()));
    let app = routes(shop.merchant()).layer(CustomerLayer::new(shop.merchant().clone()));
    let mut browser = Browser::new(&shop, app);
    browser.sign_in("adult").await;
    let thumbprint = browser.key.public_key().thumbprint().to_string();
    let token = browser.token.as_deref().expect("a session");
    let digest = firsthand::protocol::jose::base64url_encode(&firsthand::protocol::jose::sha256(token.as_bytes()));
    let keys = [Key::new("session", &digest, ""), Key::new("binding", &thumbprint, "")];
    let found = store.load(&keys, shop.merchant().now()).await.expect("the store");
    let mut found = found.into_iter().map(|stored| stored.expect("a record of the customer").record);
    keys.map(|key| (key, found.next().expect("two records")))
}

/// The name of a record of this customer, in no order: 43 characters, as a digest or a thumbprint has.
fn name(customer: u64) -> String {
    format!("{:08x}{:0>35}", (customer * SPREAD) & 0xffff_ffff, customer)
}

/// Odd, so that no two below 2^32 meet.
const SPREAD: u64 = 2_654_435_761;

async fn in_sqlite(file: PathBuf, customers: u64) -> Sqlite {
    let url = format!("sqlite:{}", file.display());
    let store = Sqlite::connect(&url).await.expect("a file");
    let pattern = pattern(store.clone()).await;
    let mut database = SqliteConnection::connect(&url).await.expect("the file");
    database.execute("PRAGMA cache_size = -1000000").await.expect("memory");
    for (key, record) in pattern {
        let body = record.body.replace('\'', "''");
        let (kind, schema, expires_at) = (key.kind, record.schema, expiry(&record));
        let made = format!(
            "WITH RECURSIVE customer (i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM customer WHERE i + 1 < {customers}) \
             INSERT INTO firsthand_records (partition, kind, sort, version, schema, body, expires_at) \
             SELECT printf('%08x%035d', (i * {SPREAD}) & 4294967295, i), '{kind}', '', 1, {schema}, '{body}', {expires_at} \
             FROM customer ORDER BY 1"
        );
        database.execute(AssertSqlSafe(made)).await.expect("many records");
    }
    database.close().await.expect("the file");
    store
}

async fn in_postgres(url: String, customers: u64) -> Postgres {
    let store = Postgres::connect(&url).await.expect("a new database");
    let pattern = pattern(store.clone()).await;
    let mut database = PgConnection::connect(&url).await.expect("the database");
    for (key, record) in pattern {
        let body = record.body.replace('\'', "''");
        let (kind, schema, expires_at) = (key.kind, record.schema, expiry(&record));
        let made = format!(
            "INSERT INTO firsthand.records (partition, kind, sort, version, schema, body, expires_at) \
             SELECT lpad(to_hex((i * {SPREAD}) & 4294967295), 8, '0') || lpad(i::text, 35, '0'), '{kind}', '', 1, \
                    {schema}, '{body}'::jsonb, {expires_at} \
             FROM generate_series(0, {customers}::bigint - 1) AS customer (i) ORDER BY 1"
        );
        database.execute(AssertSqlSafe(made)).await.expect("many records");
    }
    database.execute("VACUUM ANALYZE firsthand.records").await.expect("statistics");
    database.close().await.expect("the database");
    store
}

fn expiry(record: &Record) -> String {
    record.expires_at.map_or_else(|| "NULL".to_owned(), |at| at.as_secs().to_string())
}

fn compare<S: Store + Clone>(table: &mut Table, stored_in: &str, runtime: &Runtime, few: (S, u64), many: (S, u64)) {
    let now = UnixTime::from_secs(0);
    // A walk through all of them that comes back to none before it has seen the rest.
    let walk = |customers: u64| {
        let mut at = 0;
        move || {
            at = (at + 7_368_787) % customers;
            at
        }
    };
    let (mut few_next, mut many_next) = (walk(few.1), walk(many.1));
    let [bare, whole] = in_turns(
        Effort::FULL,
        [
            Subject::again_async(&format!("one of {}", few.1), runtime, || read(&few.0, few_next(), now)),
            Subject::again_async(&format!("one of {}", many.1), runtime, || read(&many.0, many_next(), now)),
        ],
    );
    table.title(&format!("Whose a request is, {stored_in}"));
    table.bare(&bare);
    table.whole(&whole, &bare, None);

    let shops = [&few, &many].map(|(store, count)| (runtime.block_on(Open::over(store.clone())), count));
    let [few, many] = shops.each_ref();
    let redeemed = |(shop, count): &'_ (Open, &u64)| {
        let shop = shop.clone();
        let prepare = { move || runtime.block_on(shop.answered()) };
        Subject::once_each(&format!("a redemption beside {count}"), runtime, 12, prepare, |(browser, body)| {
            redeem(browser, body)
        })
    };
    let [bare, whole] = in_turns(Effort::QUICK, [redeemed(few), redeemed(many)]);
    table.title(&format!("A presentation redeemed, {stored_in}"));
    table.bare(&bare);
    table.whole(&whole, &bare, None);

    let completed = |(shop, count): &'_ (Open, &u64)| {
        let shop = shop.clone();
        let prepare = { move || runtime.block_on(shop.agreed()) };
        Subject::once_each(
            &format!("a checkout beside {count}"),
            runtime,
            12,
            prepare,
            |(browser, path, agreed, number)| complete(browser, path, agreed, number),
        )
    };
    let [bare, whole] = in_turns(Effort::QUICK, [completed(few), completed(many)]);
    table.title(&format!("A checkout completed and paid, {stored_in}"));
    table.bare(&bare);
    table.whole(&whole, &bare, None);
}

/// A shop that sells, over records of many others.
#[derive(Clone, Debug)]
struct Open {
    shop: TestShop,
    app: Router,
    /// Some who are known: what one key may do in a minute is limited.
    known: Vec<Browser>,
}

/// How many different things are sold.
const ITEMS: u64 = 64;

impl Open {
    async fn over(store: impl Store + Clone) -> Self {
        let shelf = Shelf::new(store.clone());
        let price = Money::parse("9.90", Currency::EUR).expect("a price");
        let items = (0..ITEMS).map(|item| Item::new(format!("book-{item}"), "A book as a file", price));
        let trade = Trade::new(Currency::EUR, Items::new(items).expect("items")).inventory(shelf.clone());
        let shop = TestShop::with(|shop| shop.store(store).rail(FakeRail::new()).trade(trade));
        for item in 0..ITEMS {
            shelf.stock(&format!("book-{item}"), 1_000_000, shop.merchant().now()).await.expect("a shelf");
        }
        let app = routes(shop.merchant()).layer(CustomerLayer::new(shop.merchant().clone()));
        let mut known = Vec::new();
        for _ in 0..16 {
            let mut browser = Browser::new(&shop, app.clone());
            browser.sign_in("adult").await;
            known.push(browser);
        }
        Self { shop, app, known }
    }

    /// Somebody new whose wallet has answered.
    async fn answered(&self) -> (Browser, Value) {
        let mut browser = Browser::new(&self.shop, self.app.clone());
        let asking = browser.ask("age", Device::SameDevice).await;
        let request = browser.wallet_reads(&asking).await;
        let answer = browser.wallet_answers(&request, "adult", &[]).await;
        assert_eq!(answer.status, StatusCode::OK, "{}", answer.text());
        (browser, json!({ "presentation": asking.id, "response_code": response_code(&answer) }))
    }

    /// Somebody who is known and has begun a checkout: where it is completed, and what they agree to.
    async fn agreed(&self) -> (Browser, String, Value, u64) {
        let mut number = [0; 8];
        firsthand::env::Env::fill(self.shop.clock(), &mut number);
        let number = u64::from_be_bytes(number);
        let mut browser = self.known[(number % self.known.len() as u64) as usize].clone();
        let item = format!("book-{}", number % ITEMS);
        let basket = json!({ "line_items": [{ "item": { "id": item }, "quantity": 1 }] });
        let begun = keyed(&mut browser, "/wallet/checkouts", &basket, number).await;
        assert_eq!(begun.status, StatusCode::CREATED, "{}", begun.text());
        let begun = begun.json();
        let total = begun["totals"].as_array().and_then(|totals| totals.last()).expect("a total");
        let agreed = json!({
            "revision": begun["revision"], "total": total["amount"], "payment": { "handler_id": FakeRail::ID },
        });
        (browser, format!("/wallet/checkouts/{}/complete", begun["id"].as_str().expect("a name")), agreed, number)
    }
}

async fn redeem(mut browser: Browser, body: Value) {
    let redeemed = browser.redeem(&body).await;
    assert_eq!(redeemed.status, StatusCode::OK, "{}", redeemed.text());
}

async fn complete(mut browser: Browser, path: String, agreed: Value, number: u64) {
    let done = keyed(&mut browser, &path, &agreed, !number).await;
    assert_eq!(done.status, StatusCode::OK, "{}", done.text());
    assert_eq!(done.json()["status"], "completed");
}

/// A signed request with an idempotency key, of a browser whose nonce is warm.
async fn keyed(browser: &mut Browser, path: &str, body: &Value, key: u64) -> Reply {
    let bytes = body.to_string();
    let proof = browser.sign(&browser.claims(&Method::POST, path, Some(bytes.as_bytes())));
    let token = format!("DPoP {}", browser.token.as_deref().expect("a session"));
    let mut headers = HeaderMap::new();
    for (name, value) in [("dpop", proof), ("idempotency-key", format!("{key:x}")), ("authorization", token)] {
        headers.insert(name, HeaderValue::try_from(value).expect("a header"));
    }
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    browser.send(&Method::POST, path, headers, bytes.as_bytes()).await
}

/// What presentations take of memory that wallets have answered and nobody has redeemed: in the memory store, where all of
/// them are; a database has them on its disk.
fn waiting(table: &mut Table, runtime: &Runtime, count: u64) {
    let open = runtime.block_on(Open::over(Memory::new()));
    runtime.block_on(open.answered());
    let before = resident_mb();
    for _ in 0..count {
        runtime.block_on(open.answered());
    }
    let grown = resident_mb() - before;
    table.heading("Presentations that wait, in the memory store", "");
    table.note(&format!(
        "{count} answered and not redeemed: {grown:.1} MB, {:.2} KiB each",
        grown * 1e6 / 1024.0 / count as f64
    ));
}

fn resident_mb() -> f64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let kib = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    kib.and_then(|kib| kib.trim().trim_end_matches(" kB").parse::<f64>().ok()).unwrap_or(f64::NAN) * 1024.0 / 1e6
}

async fn read(store: &impl Store, customer: u64, now: UnixTime) -> (SessionRecord, Binding) {
    let name = name(customer);
    let keys = [Key::new("session", &name, ""), Key::new("binding", &name, "")];
    let found = store.load(&keys, now).await.expect("the store");
    let mut found = found.into_iter().map(|stored| stored.expect("every customer is there"));
    let mut next = || found.next().expect("two records").record.body;
    (serde_json::from_str(&next()).expect("a session"), serde_json::from_str(&next()).expect("a binding"))
}
