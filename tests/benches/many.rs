//! What it costs to recognise one of very many customers, beside the same of few: the two records that say whose a request
//! is, the session and the binding of its key, read from the store and understood. In turns, in one run.
//!
//! `cargo bench -p firsthand-tests --bench many` takes ten million customers, some ten gigabytes for each store, and many
//! minutes to make them; `-- --customers 100000` takes fewer. PostgreSQL has its
//! usual 128 MiB of buffers and SQLite its usual 2 MiB, so that the database is larger than the cache of either.

#[expect(dead_code, reason = "the other benches use the rest")]
mod measure;

use std::{env, io::Write as _, path::PathBuf};

use firsthand::{
    customer::Binding,
    session::SessionRecord,
    store::{Key, Postgres, Record, Sqlite, Store},
    testing::TestShop,
    time::UnixTime,
};
use firsthand_axum::{CustomerLayer, routes, testing::Browser};
use firsthand_tests::postgres;
use sqlx::{AssertSqlSafe, Connection, Executor, PgConnection, SqliteConnection};
use tokio::runtime::Runtime;

use measure::{Effort, Subject, Table, in_turns};

const CUSTOMERS: u64 = 10_000_000;
const FEW: u64 = 1_000;

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

fn compare(table: &mut Table, stored_in: &str, runtime: &Runtime, few: (impl Store, u64), many: (impl Store, u64)) {
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
}

async fn read(store: &impl Store, customer: u64, now: UnixTime) -> (SessionRecord, Binding) {
    let name = name(customer);
    let keys = [Key::new("session", &name, ""), Key::new("binding", &name, "")];
    let found = store.load(&keys, now).await.expect("the store");
    let mut found = found.into_iter().map(|stored| stored.expect("every customer is there"));
    let mut next = || found.next().expect("two records").record.body;
    (serde_json::from_str(&next()).expect("a session"), serde_json::from_str(&next()).expect("a binding"))
}
