//! The three stores against the rules that all of them keep, and each against what only it can do wrong.

#[path = "store/command.rs"]
mod command;
#[path = "store/joined.rs"]
mod joined;
#[path = "store/online.rs"]
mod online;
#[path = "store/pooled.rs"]
mod pooled;
#[path = "store/sold.rs"]
mod sold;
#[path = "store/stock.rs"]
mod stock;

use std::{
    path::PathBuf,
    str::FromStr,
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
};

use firsthand::{
    store::{Expect, Key, Memory, Postgres, Prefix, Record, Sqlite, Store, StoreError, Version, Write},
    testing::store_conformance,
    time::UnixTime,
};
use firsthand_tests::postgres::{cluster, left_out};
use sqlx::{
    PgConnection, PgPool, Row, SqlitePool,
    postgres::{PgConnectOptions, PgPoolOptions},
    sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous},
};
use tokio::{sync::mpsc, task::JoinSet};

const NOW: UnixTime = UnixTime::from_secs(1_790_000_000);

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn memory_keeps_the_rules() {
    store_conformance(async || Memory::new()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn sqlite_keeps_the_rules() {
    let folder = Folder::new();
    store_conformance(async || Sqlite::connect(&folder.database()).await.unwrap()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn postgres_keeps_the_rules() {
    let Some(cluster) = cluster() else { return left_out("the rules of a store") };
    store_conformance(async || Postgres::connect(&cluster.database()).await.unwrap()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn money_is_conserved_in_memory() {
    let store = Memory::new();
    money_is_conserved([store.clone(), store]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn money_is_conserved_in_sqlite_by_two_pools() {
    let folder = Folder::new();
    let url = folder.database();
    money_is_conserved([Sqlite::connect(&url).await.unwrap(), Sqlite::connect(&url).await.unwrap()]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn money_is_conserved_in_postgres_by_two_pools() {
    let Some(cluster) = cluster() else { return left_out("contention of two pools") };
    let url = cluster.database();
    money_is_conserved([Postgres::connect(&url).await.unwrap(), Postgres::connect(&url).await.unwrap()]).await;
}

#[tokio::test]
async fn sqlite_survives_a_restart() {
    let folder = Folder::new();
    let url = folder.database();
    let options = || SqliteConnectOptions::from_str(&url).unwrap().create_if_missing(true);
    let mut versions = Vec::new();
    for round in 0..3 {
        let pool = SqlitePool::connect_with(options()).await.unwrap();
        let store = Sqlite::new(pool.clone()).await.unwrap();
        versions.extend(survives_a_restart(&store, round).await);
        pool.close().await;
    }
    assert_each_once(versions);
}

#[tokio::test]
async fn postgres_survives_a_restart() {
    let Some(cluster) = cluster() else { return left_out("a restart") };
    let url = cluster.database();
    let mut versions = Vec::new();
    for round in 0..3 {
        let pool = PgPool::connect(&url).await.unwrap();
        let store = Postgres::new(pool.clone()).await.unwrap();
        versions.extend(survives_a_restart(&store, round).await);
        pool.close().await;
    }
    assert_each_once(versions);
}

#[tokio::test]
async fn sqlite_refuses_a_connection_that_could_lose_a_commit() {
    let folder = Folder::new();
    let options = || SqliteConnectOptions::from_str(&folder.database()).unwrap().create_if_missing(true);
    let unfit = [
        options().synchronous(SqliteSynchronous::Normal).journal_mode(SqliteJournalMode::Wal),
        options().synchronous(SqliteSynchronous::Off),
        options().journal_mode(SqliteJournalMode::Memory),
        options().journal_mode(SqliteJournalMode::Off),
        options().pragma("encoding", "'UTF-16le'"),
        SqliteConnectOptions::from_str("sqlite::memory:").unwrap(),
        SqliteConnectOptions::from_str("sqlite:file:shared?mode=memory&cache=shared").unwrap(),
    ];
    for options in unfit {
        let pool = SqlitePoolOptions::new().max_connections(1).connect_with(options.clone()).await.unwrap();
        let refused = Sqlite::new(pool).await;
        assert!(matches!(refused, Err(StoreError::Refused(_))), "{refused:?} for {options:?}");
    }
    for options in [
        options(),
        options().synchronous(SqliteSynchronous::Extra).journal_mode(SqliteJournalMode::Truncate),
        options().synchronous(SqliteSynchronous::Full).journal_mode(SqliteJournalMode::Wal),
    ] {
        let store = Sqlite::new(SqlitePool::connect_with(options).await.unwrap()).await.unwrap();
        put(&store, "a", 1).await.unwrap();
    }

    // One that becomes so later is refused at its next commit.
    let pool = SqlitePoolOptions::new().max_connections(1).connect_with(options()).await.unwrap();
    let store = Sqlite::new(pool.clone()).await.unwrap();
    put(&store, "a", 1).await.unwrap();
    sqlx::query("PRAGMA synchronous = NORMAL").execute(&pool).await.unwrap();
    assert!(matches!(put(&store, "a", 2).await, Err(StoreError::Refused(_))));
    assert_eq!(read(&store, "a").await, Some(1));
}

#[tokio::test]
async fn sqlite_that_stays_locked_is_unavailable() {
    let folder = Folder::new();
    let url = folder.database();
    let options = SqliteConnectOptions::from_str(&url).unwrap().create_if_missing(true);
    let pool = SqlitePool::connect_with(options.busy_timeout(std::time::Duration::ZERO)).await.unwrap();
    let store = Sqlite::new(pool.clone()).await.unwrap();
    let lock = pool.begin_with("BEGIN EXCLUSIVE").await.unwrap();
    assert!(matches!(put(&store, "a", 1).await, Err(StoreError::Unavailable(_))));
    lock.rollback().await.unwrap();
    put(&store, "a", 1).await.unwrap();
}

/// SQLite ends the transaction of whoever finds the disk full, and sqlx does not learn of it. A trigger can do the same.
#[tokio::test]
async fn sqlite_writes_again_once_its_transactions_are_not_ended_any_more() {
    let folder = Folder::new();
    let url = folder.database();
    let options = SqliteConnectOptions::from_str(&url).unwrap().create_if_missing(true);
    let aside = SqlitePoolOptions::new().max_connections(1).connect_with(options.clone()).await.unwrap();
    for connections in [1, 3] {
        let pool = SqlitePoolOptions::new().min_connections(connections).max_connections(connections);
        let pool = pool.connect_with(options.clone()).await.unwrap();
        let store = Sqlite::new(pool.clone()).await.unwrap();
        let name = format!("full {connections}");
        put(&store, &name, 0).await.unwrap();
        let full = "CREATE TRIGGER full BEFORE INSERT ON firsthand_records BEGIN SELECT RAISE(ROLLBACK, 'full'); END";
        sqlx::raw_sql(full).execute(&aside).await.unwrap();
        // As often as there are connections, and more often; one is given up while it fails.
        for n in 0..2 * connections {
            let full = put(&store, &name, 9).await;
            assert!(matches!(full, Err(StoreError::Unavailable(_))), "{n}: {full:?}");
            drop(tokio::time::timeout(std::time::Duration::from_micros(300), put(&store, &name, 9)).await);
        }
        assert_eq!(read(&store, &name).await, Some(0), "what was there can be read, and nothing else");
        sqlx::raw_sql("DROP TRIGGER full").execute(&aside).await.unwrap();
        for n in 1..=2 * u64::from(connections) {
            put(&store, &name, n).await.unwrap();
            assert_eq!(read(&store, &name).await, Some(n));
        }
        pool.close().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn sqlite_is_made_by_whoever_comes_first() {
    let folder = Folder::new();
    made_by_whoever_comes_first(folder.database(), async |url| Sqlite::connect(&url).await).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn postgres_is_made_by_whoever_comes_first() {
    let Some(cluster) = cluster() else { return left_out("migrations by several nodes") };
    let url = cluster.database();
    let pool = PgPool::connect(&url).await.unwrap();
    made_by_whoever_comes_first(url, async |url| Postgres::connect(&url).await).await;
    let migrations: Vec<i32> =
        sqlx::query_scalar("SELECT number FROM firsthand.migrations ORDER BY 1").fetch_all(&pool).await.unwrap();
    assert_eq!(migrations, [1, 2, 3, 4, 5]);
    let parts: i64 = sqlx::query_scalar("SELECT count(*) FROM pg_partition_tree('firsthand.records') WHERE isleaf")
        .fetch_one(&pool)
        .await
        .unwrap();
    assert_eq!(parts, 16);
}

#[tokio::test]
async fn postgres_works_for_a_role_that_an_administrator_prepared() {
    let Some(cluster) = cluster() else { return left_out("a role without rights") };
    let url = cluster.database();
    let pool = PgPool::connect(&url).await.unwrap();
    let role = format!("shop_{}", std::process::id());
    let (made, views) =
        (include_str!("../sdk/src/store/postgres.sql"), include_str!("../sdk/src/store/postgres_views.sql"));
    let (identity, orders) =
        (include_str!("../sdk/src/store/postgres_identity.sql"), include_str!("../sdk/src/store/postgres_orders.sql"));
    // The rights are those that the first file itself tells.
    let grants: String = made
        .lines()
        .filter_map(|line| line.strip_prefix("--     GRANT "))
        .map(|grant| format!("GRANT {};\n", grant.trim_end_matches(';').replace("TO shop", &format!("TO {role}"))))
        .collect();
    assert_eq!(grants.lines().count(), 6);
    let epoch = include_str!("../sdk/src/store/postgres_epoch.sql");
    for sql in [made, views, identity, orders, epoch, &format!("CREATE ROLE {role} LOGIN; {grants}")] {
        sqlx::raw_sql(sqlx::AssertSqlSafe(format!("BEGIN; {sql}; COMMIT"))).execute(&pool).await.unwrap();
    }

    let options = PgConnectOptions::from_str(&url).unwrap().username(&role);
    let theirs = PgPool::connect_with(options).await.unwrap();
    let store = Postgres::new(theirs.clone()).await.unwrap();
    put(&store, "a", 1).await.unwrap();
    put(&store, "a", 2).await.unwrap();
    assert_eq!(read(&store, "a").await, Some(2));
    assert_eq!(store.scan(&prefix(), None, 10, NOW).await.unwrap().len(), 1);
    assert_eq!(store.sweep(NOW, 10).await.unwrap(), 0);
    theirs.close().await;

    // Where nothing is prepared, a role that may not make a schema is told so.
    let elsewhere = PgConnectOptions::from_str(&cluster.database()).unwrap().username(&role);
    let refused = Postgres::new(PgPool::connect_with(elsewhere).await.unwrap()).await;
    assert!(matches!(refused, Err(StoreError::Unavailable(_))), "{refused:?}");
    for sql in [format!("DROP OWNED BY {role}"), format!("DROP ROLE {role}")] {
        sqlx::query(sqlx::AssertSqlSafe(sql)).execute(&pool).await.unwrap();
    }
}

#[tokio::test]
async fn postgres_refuses_a_pool_with_another_isolation() {
    let Some(cluster) = cluster() else { return left_out("another isolation level") };
    let url = cluster.database();
    for isolation in ["serializable", "repeatable read"] {
        let options = PgConnectOptions::from_str(&url).unwrap().options([("default_transaction_isolation", isolation)]);
        let refused = Postgres::new(PgPool::connect_with(options).await.unwrap()).await;
        assert!(matches!(refused, Err(StoreError::Refused(_))), "{refused:?}");
    }
    // One that becomes so later is refused at its next commit.
    let pool = PgPoolOptions::new().max_connections(1).connect(&url).await.unwrap();
    let store = Postgres::new(pool.clone()).await.unwrap();
    sqlx::query("SET default_transaction_isolation = 'serializable'").execute(&pool).await.unwrap();
    assert!(matches!(put(&store, "a", 1).await, Err(StoreError::Refused(_))));
}

#[tokio::test]
async fn postgres_commits_durably_whatever_the_pool_says() {
    let Some(cluster) = cluster() else { return left_out("synchronous_commit") };
    let pool = PgPoolOptions::new().max_connections(1).connect(&cluster.database()).await.unwrap();
    Postgres::new(pool.clone()).await.unwrap();
    sqlx::query("SET synchronous_commit = off").execute(&pool).await.unwrap();
    let mut tx = pool.begin().await.unwrap();
    sqlx::query("SELECT firsthand.commit_v1(0, '{}', '{}', '{}', '{}', '{}', '{}', '{}', '{}')")
        .execute(&mut *tx)
        .await
        .unwrap();
    let inside: String = sqlx::query_scalar("SHOW synchronous_commit").fetch_one(&mut *tx).await.unwrap();
    assert_eq!(inside, "on");
}

#[tokio::test]
async fn postgres_does_not_wait_for_ever() {
    let Some(cluster) = cluster() else { return left_out("a transaction that somebody left open") };
    let pool = PgPool::connect(&cluster.database()).await.unwrap();
    let store = Postgres::new(pool.clone()).await.unwrap();
    let mut open = pool.begin().await.unwrap();
    sqlx::query("SELECT firsthand.commit_v1(0, '{2}', '{p}', '{note}', '{a}', '{null}', '{1}', '{1}', '{null}')")
        .execute(&mut *open)
        .await
        .unwrap();
    // Other keys do not wait at all, and readers see what was.
    put(&store, "b", 1).await.unwrap();
    assert_eq!(read(&store, "a").await, None);
    assert!(matches!(put(&store, "a", 2).await, Err(StoreError::Unavailable(_))));
    open.commit().await.unwrap();
    assert_eq!(read(&store, "a").await, Some(1));
}

/// A connection is cut after every few operations, while tasks raise a counter under operation ids: an unknown commit is
/// looked up, and in the end each operation counts once.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn postgres_loses_and_doubles_nothing_when_connections_break() {
    let Some(cluster) = cluster() else { return left_out("connections that break") };
    let url = cluster.database();
    let unknown = loses_and_doubles_nothing(Postgres::connect(&url).await.unwrap(), &url).await;
    assert!(unknown > 0, "nothing was cut while it committed");
}

/// As told above, with a store in the database that `url` leads to directly. How many commits nobody knew the fate of.
async fn loses_and_doubles_nothing(store: Postgres, url: &str) -> u32 {
    put(&store, "count", 0).await.unwrap();
    let unknown = Arc::new(AtomicU32::new(0));
    let (done, mut operations) = mpsc::channel(8);
    let mut tasks = JoinSet::new();
    for task in 0..8 {
        let (store, unknown, done) = (store.clone(), unknown.clone(), done.clone());
        tasks.spawn(async move {
            for operation in 0..25 {
                add_one(&store, &format!("{task} {operation}"), &unknown).await;
                done.send(()).await.unwrap();
            }
        });
    }
    drop(done);

    let scissors = PgPoolOptions::new().max_connections(1).connect(url).await.unwrap();
    let (mut count, mut cut) = (0, 0);
    while operations.recv().await.is_some() {
        count += 1;
        if count % 3 == 0 {
            let one: i64 = sqlx::query_scalar(
                "SELECT count(pg_terminate_backend(pid)) FROM (
                     SELECT pid FROM pg_stat_activity
                     WHERE datname = current_database() AND pid <> pg_backend_pid() AND query LIKE '%commit_v1%'
                     ORDER BY state = 'active' DESC, random() LIMIT 1
                 ) AS one",
            )
            .fetch_one(&scissors)
            .await
            .unwrap();
            cut += one;
        }
    }
    tasks.join_all().await;
    let unknown = unknown.load(Ordering::Relaxed);
    println!("connections cut: {cut}, commits whose fate was unknown: {unknown}");
    assert!(cut > 0, "nothing was cut");
    assert_eq!(read(&store, "count").await, Some(count));
    assert_eq!(count, 8 * 25);
    unknown
}

#[tokio::test]
async fn postgres_shows_customers_to_reports() {
    let Some(cluster) = cluster() else { return left_out("the view of customers") };
    let pool = PgPool::connect(&cluster.database()).await.unwrap();
    let store = Postgres::new(pool.clone()).await.unwrap();
    let customer = |id: &str, body: &str, expires_at: Option<i64>| {
        let record = Record { schema: 1, body: body.into(), expires_at: expires_at.map(UnixTime::from_secs) };
        Write::put(Key::new("customer", id, ""), record, Expect::Absent)
    };
    let writes = [
        customer("c1", r#"{"created_at":1790000000}"#, None),
        customer("c2", r#"{"created_at":"odd"}"#, Some(i64::MAX)),
        customer("gone", r#"{"created_at":1790000000}"#, Some(1_000_000_000)),
        Write::put(Key::new("note", "c3", ""), note(1), Expect::Absent),
    ];
    store.commit(&writes, NOW).await.unwrap();
    let rows: Vec<(String, Option<String>, Option<String>)> = sqlx::query_as(
        "SELECT id, (created_at AT TIME ZONE 'UTC')::text, expires_at::text FROM firsthand.customers_v1 ORDER BY id",
    )
    .fetch_all(&pool)
    .await
    .unwrap();
    let expected = [("c1", Some("2026-09-21 14:13:20"), None), ("c2", None, Some("infinity"))];
    assert_eq!(rows, expected.map(|(id, at, end)| (id.to_owned(), at.map(str::to_owned), end.map(str::to_owned))));
}

/// Many tasks move amounts between a few accounts; nothing is made and nothing lost, and no reader ever sees a sum that
/// differs.
async fn money_is_conserved<S: Store + Clone>(stores: [S; 2]) {
    const ACCOUNTS: u64 = 4;
    let keys: Vec<Key> = (0..ACCOUNTS).map(|n| Key::new("account", n.to_string(), "")).collect();
    let open: Vec<Write> = keys.iter().map(|key| Write::put(key.clone(), note(1_000), Expect::Absent)).collect();
    stores[0].commit(&open, NOW).await.unwrap();
    let mut tasks = JoinSet::new();
    for task in 0..16_u64 {
        let (store, keys) = (stores[(task % 2) as usize].clone(), keys.clone());
        tasks.spawn(async move {
            let (mut moved, mut conflicts) = (0, 0);
            while moved < 20 {
                let found = store.load(&keys, NOW).await.unwrap();
                let amounts: Vec<u64> =
                    found.iter().map(|f| f.as_ref().unwrap().record.body.parse().unwrap()).collect();
                assert_eq!(amounts.iter().sum::<u64>(), ACCOUNTS * 1_000, "a load saw half a commit");
                let from = ((task + moved) % ACCOUNTS) as usize;
                let to = ((task + 2 * moved + 1) % ACCOUNTS) as usize;
                let amount = amounts[from].min(task + 1);
                if from == to {
                    moved += 1;
                    continue;
                }
                let write = |n: usize, amount: u64| {
                    let version = found[n].as_ref().unwrap().version;
                    Write::put(keys[n].clone(), note(amount), Expect::Version(version))
                };
                let writes = [write(from, amounts[from] - amount), write(to, amounts[to] + amount)];
                match store.commit(&writes, NOW).await {
                    Ok(_) => moved += 1,
                    Err(StoreError::Conflict(_)) => conflicts += 1,
                    Err(e) => panic!("{e:?}"),
                }
            }
            conflicts
        });
    }
    let conflicts: u64 = tasks.join_all().await.into_iter().sum();
    println!("conflicts: {conflicts}");
    let found = stores[1].load(&keys, NOW).await.unwrap();
    let total: u64 = found.into_iter().map(|f| f.unwrap().record.body.parse::<u64>().unwrap()).sum();
    assert_eq!(total, ACCOUNTS * 1_000);
}

/// One life of a process: finds what the lives before wrote, and writes more; tells the versions it was given.
async fn survives_a_restart(store: &impl Store, round: u64) -> Vec<Version> {
    let found = store.scan(&prefix(), None, 100, NOW).await.unwrap();
    assert_eq!(found.len() as u64, round * 10);
    let mut versions = Vec::new();
    for n in 0..10 {
        versions.push(put(store, &format!("{round} {n}"), n).await.unwrap());
        versions.push(put(store, "deleted", n).await.unwrap());
        store.commit(&[Write::delete(key("deleted"), Expect::Any)], NOW).await.unwrap();
    }
    versions
}

fn assert_each_once(versions: Vec<Version>) {
    let count = versions.len();
    let distinct: std::collections::HashSet<_> = versions.into_iter().collect();
    assert_eq!(distinct.len(), count, "a version was given out twice");
}

async fn made_by_whoever_comes_first<S: Store, F>(url: String, connect: impl Fn(String) -> F)
where
    F: Future<Output = Result<S, StoreError>> + Send + 'static,
{
    let mut nodes = JoinSet::new();
    for node in 0..8 {
        let connecting = connect(url.clone());
        nodes.spawn(async move {
            let store = connecting.await.unwrap();
            put(&store, &node.to_string(), node).await.unwrap();
        });
    }
    nodes.join_all().await;
    let again = connect(url).await.unwrap();
    assert_eq!(again.scan(&prefix(), None, 100, NOW).await.unwrap().len(), 8);
}

/// Raises the number at "count" exactly once for an operation id, which stands in a record beside it.
async fn add_one(store: &Postgres, operation: &str, unknown: &AtomicU32) {
    let keys = [key("count"), Key::new("operation", "p", operation)];
    loop {
        let found = match store.load(&keys, NOW).await {
            Ok(found) => found,
            Err(StoreError::Unavailable(_)) => continue,
            Err(e) => panic!("{e:?}"),
        };
        if found[1].is_some() {
            return;
        }
        let count = found[0].as_ref().unwrap();
        let value: u64 = count.record.body.parse().unwrap();
        let writes = [
            Write::put(keys[0].clone(), note(value + 1), Expect::Version(count.version)),
            Write::put(keys[1].clone(), note(1), Expect::Absent),
        ];
        match store.commit(&writes, NOW).await {
            Ok(_) => return,
            Err(StoreError::Conflict(_) | StoreError::Unavailable(_)) => {}
            Err(StoreError::Unknown(_)) => {
                unknown.fetch_add(1, Ordering::Relaxed);
            }
            Err(e) => panic!("{e:?}"),
        }
    }
}

fn key(sort: &str) -> Key {
    Key::new("note", "p", sort)
}

fn prefix() -> Prefix {
    Prefix { kind: "note", partition: "p".into(), sort: String::new() }
}

fn note(n: u64) -> Record {
    Record { schema: 1, body: n.to_string(), expires_at: None }
}

async fn put(store: &impl Store, sort: &str, n: u64) -> Result<Version, StoreError> {
    Ok(store.commit(&[Write::put(key(sort), note(n), Expect::Any)], NOW).await?[0].unwrap())
}

async fn read(store: &impl Store, sort: &str) -> Option<u64> {
    let found = store.load(&[key(sort)], NOW).await.unwrap().remove(0)?;
    Some(found.record.body.parse().unwrap())
}

/// A folder for the databases of one test, removed with it.
struct Folder {
    path: PathBuf,
    databases: AtomicU32,
}

impl Folder {
    fn new() -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let name = format!("firsthand-store-{}-{}", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed));
        let path = std::env::temp_dir().join(name);
        std::fs::create_dir_all(&path).unwrap();
        Self { path, databases: AtomicU32::new(0) }
    }

    /// The URL of a database that is not there yet.
    fn database(&self) -> String {
        let number = self.databases.fetch_add(1, Ordering::Relaxed);
        format!("sqlite://{}/{number}.db", self.path.display())
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        std::fs::remove_dir_all(&self.path).ok();
    }
}
