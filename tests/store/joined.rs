//! The merchant's own transaction, joined: their rows and our records are one commit, or none of ours is there.

use std::{task::Poll, time::Duration};

use firsthand::store::StoreIdentity;
use sqlx::{Sqlite as SqliteDb, SqliteConnection, Transaction};

use super::*;

/// A shop in SQLite: our store, and a table of the merchant's own in the same file.
async fn sqlite_shop(url: &str) -> (SqlitePool, Sqlite) {
    let options = SqliteConnectOptions::from_str(url)
        .unwrap()
        .create_if_missing(true)
        .journal_mode(SqliteJournalMode::Wal)
        .busy_timeout(Duration::from_secs(20));
    let pool = SqlitePool::connect_with(options).await.unwrap();
    let store = Sqlite::new(pool.clone()).await.unwrap();
    sqlx::query("CREATE TABLE stock (item TEXT NOT NULL PRIMARY KEY, left_over INTEGER NOT NULL)")
        .execute(&pool)
        .await
        .unwrap();
    sqlx::query("INSERT INTO stock VALUES ('wine', 9)").execute(&pool).await.unwrap();
    (pool, store)
}

/// The same in PostgreSQL.
async fn postgres_shop(url: &str) -> (PgPool, Postgres) {
    let pool = PgPool::connect(url).await.unwrap();
    let store = Postgres::new(pool.clone()).await.unwrap();
    sqlx::query("CREATE TABLE stock (item text PRIMARY KEY, left_over integer NOT NULL)").execute(&pool).await.unwrap();
    sqlx::query("INSERT INTO stock VALUES ('wine', 9)").execute(&pool).await.unwrap();
    (pool, store)
}

const TAKE: &str = "UPDATE stock SET left_over = left_over - 1 WHERE item = 'wine'";
const LEFT: &str = "SELECT left_over FROM stock WHERE item = 'wine'";

async fn take_sqlite(tx: &mut SqliteConnection) {
    sqlx::query(TAKE).execute(tx).await.unwrap();
}

async fn take_postgres(tx: &mut PgConnection) {
    sqlx::query(TAKE).execute(tx).await.unwrap();
}

async fn left_sqlite(pool: &SqlitePool) -> i32 {
    sqlx::query_scalar(LEFT).fetch_one(pool).await.unwrap()
}

async fn left_postgres(pool: &PgPool) -> i32 {
    sqlx::query_scalar(LEFT).fetch_one(pool).await.unwrap()
}

async fn immediate(pool: &SqlitePool) -> Transaction<'static, SqliteDb> {
    pool.begin_with("BEGIN IMMEDIATE").await.unwrap()
}

async fn join_sqlite(
    store: &Sqlite,
    tx: &mut SqliteConnection,
    writes: &[Write],
) -> Result<Vec<Option<Version>>, StoreError> {
    store.commit_writes_in(tx, &identity(store), writes, NOW).await
}

pub(super) async fn join_postgres(
    store: &Postgres,
    tx: &mut PgConnection,
    writes: &[Write],
) -> Result<Vec<Option<Version>>, StoreError> {
    store.commit_writes_in(tx, &identity(store), writes, NOW).await
}

fn identity(store: &impl Store) -> StoreIdentity {
    store.identity().unwrap().clone()
}

/// An order in two records, the second of which must be new.
pub(super) fn order(name: &str) -> [Write; 2] {
    [Write::put(key(&format!("{name} event")), note(1), Expect::Any), Write::put(key(name), note(1), Expect::Absent)]
}

pub(super) fn is_conflict(outcome: &Result<Vec<Option<Version>>, StoreError>, sort: &str) -> bool {
    matches!(outcome, Err(StoreError::Conflict(found)) if *found == key(sort))
}

fn refusal(outcome: Result<Vec<Option<Version>>, StoreError>) -> String {
    match outcome {
        Err(StoreError::Refused(text)) => text,
        other => panic!("{other:?} is not refused"),
    }
}

/// How many records there are, of whatever name.
pub(super) async fn records(store: &impl Store) -> usize {
    store.scan(&prefix(), None, 100, NOW).await.unwrap().len()
}

#[tokio::test]
async fn a_store_has_one_identity_and_another_database_another() {
    let folder = Folder::new();
    let (one, other) = (folder.database(), folder.database());
    let store = Sqlite::connect(&one).await.unwrap();
    assert_eq!(store.identity(), store.clone().identity());
    assert_eq!(store.identity(), Sqlite::connect(&one).await.unwrap().identity());
    assert_ne!(store.identity(), Sqlite::connect(&other).await.unwrap().identity());
    assert_eq!(Memory::new().identity(), None);

    let Some(cluster) = cluster() else { return left_out("the identity of a database") };
    let (one, other) = (cluster.database(), cluster.database());
    let store = Postgres::connect(&one).await.unwrap();
    assert!(store.identity().is_some());
    assert_eq!(store.identity(), Postgres::connect(&one).await.unwrap().identity());
    assert_ne!(store.identity(), Postgres::connect(&other).await.unwrap().identity());
}

#[tokio::test]
async fn an_sqlite_of_before_gets_an_identity_and_keeps_its_records() {
    let folder = Folder::new();
    let url = folder.database();
    let options = SqliteConnectOptions::from_str(&url).unwrap().create_if_missing(true);
    let pool = SqlitePool::connect_with(options).await.unwrap();
    sqlx::raw_sql(include_str!("../../sdk/src/store/sqlite.sql")).execute(&pool).await.unwrap();
    sqlx::raw_sql("INSERT INTO firsthand_records VALUES ('p', 'note', 'a', 1, 1, '7', NULL)")
        .execute(&pool)
        .await
        .unwrap();
    let store = Sqlite::new(pool.clone()).await.unwrap();
    assert_eq!(read(&store, "a").await, Some(7));
    assert_eq!(identity(&store), identity(&Sqlite::new(pool.clone()).await.unwrap()));
    let migrations: Vec<i64> =
        sqlx::query_scalar("SELECT number FROM firsthand_migrations ORDER BY 1").fetch_all(&pool).await.unwrap();
    assert_eq!(migrations, [1, 2, 3]);
}

#[tokio::test]
async fn sqlite_commits_with_the_merchant_or_not_at_all() {
    let folder = Folder::new();
    let (pool, store) = sqlite_shop(&folder.database()).await;

    let mut tx = immediate(&pool).await;
    take_sqlite(&mut tx).await;
    join_sqlite(&store, &mut tx, &order("a")).await.unwrap();
    assert_eq!(read(&store, "a").await, None, "seen before it is committed");
    tx.commit().await.unwrap();
    assert_eq!((read(&store, "a").await, left_sqlite(&pool).await), (Some(1), 8));

    let mut tx = immediate(&pool).await;
    take_sqlite(&mut tx).await;
    join_sqlite(&store, &mut tx, &order("b")).await.unwrap();
    tx.rollback().await.unwrap();
    // Dropped is rolled back as well.
    let mut tx = immediate(&pool).await;
    join_sqlite(&store, &mut tx, &order("b")).await.unwrap();
    drop(tx);
    assert_eq!((records(&store).await, left_sqlite(&pool).await), (2, 8));
    store.commit(&order("b"), NOW).await.unwrap();
}

#[tokio::test]
async fn postgres_commits_with_the_merchant_or_not_at_all() {
    let Some(cluster) = cluster() else { return left_out("a joined transaction") };
    let (pool, store) = postgres_shop(&cluster.database()).await;

    let mut tx = pool.begin().await.unwrap();
    take_postgres(&mut tx).await;
    join_postgres(&store, &mut tx, &order("a")).await.unwrap();
    assert_eq!(read(&store, "a").await, None, "seen before it is committed");
    tx.commit().await.unwrap();
    assert_eq!((read(&store, "a").await, left_postgres(&pool).await), (Some(1), 8));

    let mut tx = pool.begin().await.unwrap();
    take_postgres(&mut tx).await;
    join_postgres(&store, &mut tx, &order("b")).await.unwrap();
    tx.rollback().await.unwrap();
    let mut tx = pool.begin().await.unwrap();
    join_postgres(&store, &mut tx, &order("b")).await.unwrap();
    drop(tx);
    assert_eq!((records(&store).await, left_postgres(&pool).await), (2, 8));
    store.commit(&order("b"), NOW).await.unwrap();
}

#[tokio::test]
async fn a_conflict_leaves_the_merchants_transaction_in_sqlite_as_it_was() {
    let folder = Folder::new();
    let (pool, store) = sqlite_shop(&folder.database()).await;
    put(&store, "a", 5).await.unwrap();
    let mut tx = immediate(&pool).await;
    take_sqlite(&mut tx).await;
    let outcome = join_sqlite(&store, &mut tx, &order("a")).await;
    assert!(is_conflict(&outcome, "a"), "{outcome:?}");
    take_sqlite(&mut tx).await;
    join_sqlite(&store, &mut tx, &order("b")).await.unwrap();
    tx.commit().await.unwrap();
    assert_eq!((read(&store, "a").await, read(&store, "b").await), (Some(5), Some(1)));
    assert_eq!((records(&store).await, left_sqlite(&pool).await), (3, 7));
}

#[tokio::test]
async fn a_conflict_leaves_the_merchants_transaction_in_postgres_as_it_was() {
    let Some(cluster) = cluster() else { return left_out("a conflict in a joined transaction") };
    let (pool, store) = postgres_shop(&cluster.database()).await;
    put(&store, "a", 5).await.unwrap();
    let mut tx = pool.begin().await.unwrap();
    take_postgres(&mut tx).await;
    let outcome = join_postgres(&store, &mut tx, &order("a")).await;
    assert!(is_conflict(&outcome, "a"), "{outcome:?}");
    // Nobody waits for what was undone.
    put(&store, "a event", 6).await.unwrap();
    take_postgres(&mut tx).await;
    join_postgres(&store, &mut tx, &order("b")).await.unwrap();
    tx.commit().await.unwrap();
    assert_eq!((read(&store, "a").await, read(&store, "b").await), (Some(5), Some(1)));
    assert_eq!((records(&store).await, left_postgres(&pool).await), (4, 7));
}

/// An error of the database itself, in the middle of the writes.
#[tokio::test]
async fn an_error_leaves_the_merchants_transaction_in_sqlite_as_it_was() {
    let folder = Folder::new();
    let (pool, store) = sqlite_shop(&folder.database()).await;
    sqlx::raw_sql(
        "CREATE TRIGGER no BEFORE INSERT ON firsthand_records WHEN new.sort = 'a' BEGIN SELECT RAISE(ABORT, 'no'); END",
    )
    .execute(&pool)
    .await
    .unwrap();
    let mut tx = immediate(&pool).await;
    take_sqlite(&mut tx).await;
    let outcome = join_sqlite(&store, &mut tx, &order("a")).await;
    assert!(matches!(outcome, Err(StoreError::Unavailable(_))), "{outcome:?}");
    let twice = [Write::check(key("c"), Expect::Any), Write::check(key("c"), Expect::Any)];
    refusal(join_sqlite(&store, &mut tx, &twice).await);
    join_sqlite(&store, &mut tx, &order("b")).await.unwrap();
    take_sqlite(&mut tx).await;
    tx.commit().await.unwrap();
    assert_eq!((records(&store).await, left_sqlite(&pool).await), (2, 7));
}

#[tokio::test]
async fn an_error_leaves_the_merchants_transaction_in_postgres_as_it_was() {
    let Some(cluster) = cluster() else { return left_out("an error in a joined transaction") };
    let (pool, store) = postgres_shop(&cluster.database()).await;
    sqlx::raw_sql(
        "CREATE FUNCTION no() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'no'; END $$;
         CREATE TRIGGER no BEFORE INSERT ON firsthand.records
             FOR EACH ROW WHEN (new.sort = 'a') EXECUTE FUNCTION no()",
    )
    .execute(&pool)
    .await
    .unwrap();
    let mut tx = pool.begin().await.unwrap();
    take_postgres(&mut tx).await;
    let outcome = join_postgres(&store, &mut tx, &order("a")).await;
    assert!(matches!(outcome, Err(StoreError::Unavailable(_))), "{outcome:?}");
    // What no store takes is refused before it is sent.
    let twice = [Write::check(key("c"), Expect::Any), Write::check(key("c"), Expect::Any)];
    refusal(join_postgres(&store, &mut tx, &twice).await);
    take_postgres(&mut tx).await;
    join_postgres(&store, &mut tx, &order("b")).await.unwrap();
    tx.commit().await.unwrap();
    assert_eq!((records(&store).await, left_postgres(&pool).await), (2, 7));
}

#[tokio::test]
async fn a_joined_commit_in_postgres_does_not_wait_for_ever() {
    let Some(cluster) = cluster() else { return left_out("a lock that is not released") };
    let (pool, store) = postgres_shop(&cluster.database()).await;
    let mut first = pool.begin().await.unwrap();
    join_postgres(&store, &mut first, &order("a")).await.unwrap();

    // The time of ours, and a shorter one of the merchant's.
    for limit in ["SELECT 1", "SET LOCAL statement_timeout = '100ms'"] {
        let mut second = pool.begin().await.unwrap();
        sqlx::query(limit).execute(&mut *second).await.unwrap();
        take_postgres(&mut second).await;
        let outcome = join_postgres(&store, &mut second, &order("a")).await;
        assert!(matches!(outcome, Err(StoreError::Unavailable(_))), "{outcome:?}");
        take_postgres(&mut second).await;
        second.commit().await.unwrap();
    }
    first.rollback().await.unwrap();
    assert_eq!((records(&store).await, left_postgres(&pool).await), (0, 5));
}

#[tokio::test]
async fn a_deadlock_in_postgres_costs_one_of_two_its_join_and_no_more() {
    let Some(cluster) = cluster() else { return left_out("a deadlock of joined transactions") };
    let (pool, store) = postgres_shop(&cluster.database()).await;
    let write = |sort: &str| [Write::put(key(sort), note(1), Expect::Any)];
    let (mut one, mut two) = (pool.begin().await.unwrap(), pool.begin().await.unwrap());
    join_postgres(&store, &mut one, &write("a")).await.unwrap();
    join_postgres(&store, &mut two, &write("b")).await.unwrap();
    let (b, a) = (write("b"), write("a"));
    // Whoever is given up does not let go of what it has before it ends, so it ends at once.
    let end = async |mut tx: Transaction<'static, sqlx::Postgres>, writes: &[Write]| {
        let outcome = join_postgres(&store, &mut tx, writes).await;
        sqlx::query("SELECT 1").execute(&mut *tx).await.unwrap();
        tx.commit().await.unwrap();
        outcome
    };
    let outcomes = <[_; 2]>::from(tokio::join!(end(one, &b), end(two, &a)));
    let given_up = outcomes.iter().filter(|o| matches!(o, Err(StoreError::Unavailable(_)))).count();
    assert_eq!((given_up, outcomes.iter().filter(|o| o.is_ok()).count()), (1, 1), "{outcomes:?}");
    assert_eq!(records(&store).await, 2);
}

#[tokio::test]
async fn sqlite_joins_under_a_savepoint_of_the_merchants() {
    let folder = Folder::new();
    let (pool, store) = sqlite_shop(&folder.database()).await;
    let mut tx = immediate(&pool).await;
    join_sqlite(&store, &mut tx, &order("a")).await.unwrap();
    let mut theirs = sqlx::Connection::begin(&mut *tx).await.unwrap();
    take_sqlite(&mut theirs).await;
    let undone = join_sqlite(&store, &mut theirs, &order("b")).await.unwrap();
    theirs.rollback().await.unwrap();
    // What is rolled back is not there for the next of the same transaction, and its versions are not given out again.
    let done = join_sqlite(&store, &mut tx, &order("b")).await.unwrap();
    assert!(undone.iter().all(|version| !done.contains(version)), "{undone:?} {done:?}");
    sqlx::raw_sql("SAVEPOINT mine").execute(&mut *tx).await.unwrap();
    join_sqlite(&store, &mut tx, &order("c")).await.unwrap();
    sqlx::raw_sql("ROLLBACK TO mine; RELEASE mine").execute(&mut *tx).await.unwrap();
    tx.commit().await.unwrap();
    assert_eq!((records(&store).await, left_sqlite(&pool).await), (4, 9));
}

#[tokio::test]
async fn postgres_joins_under_a_savepoint_of_the_merchants() {
    let Some(cluster) = cluster() else { return left_out("a savepoint in a joined transaction") };
    let (pool, store) = postgres_shop(&cluster.database()).await;
    let mut tx = pool.begin().await.unwrap();
    join_postgres(&store, &mut tx, &order("a")).await.unwrap();
    let mut theirs = sqlx::Connection::begin(&mut *tx).await.unwrap();
    take_postgres(&mut theirs).await;
    let undone = join_postgres(&store, &mut theirs, &order("b")).await.unwrap();
    theirs.rollback().await.unwrap();
    let done = join_postgres(&store, &mut tx, &order("b")).await.unwrap();
    assert!(undone.iter().all(|version| !done.contains(version)), "{undone:?} {done:?}");
    // One of the same name as ours.
    sqlx::raw_sql("SAVEPOINT firsthand").execute(&mut *tx).await.unwrap();
    join_postgres(&store, &mut tx, &order("c")).await.unwrap();
    assert!(is_conflict(&join_postgres(&store, &mut tx, &order("c")).await, "c"));
    sqlx::raw_sql("ROLLBACK TO firsthand; RELEASE firsthand").execute(&mut *tx).await.unwrap();
    tx.commit().await.unwrap();
    assert_eq!((records(&store).await, left_postgres(&pool).await), (4, 9));
}

/// A version is told before its transaction is committed: whoever keeps it must not take another record for that one.
#[tokio::test]
async fn a_version_that_was_rolled_back_matches_nothing() {
    let folder = Folder::new();
    let (pool, store) = sqlite_shop(&folder.database()).await;
    let one = [Write::put(key("a"), note(1), Expect::Any)];
    let mut told = Vec::new();
    for _ in 0..3 {
        let mut tx = immediate(&pool).await;
        told.extend(join_sqlite(&store, &mut tx, &one).await.unwrap());
        tx.rollback().await.unwrap();
        told.push(Some(put(&store, "a", 2).await.unwrap()));
    }
    let Some(version) = told[0] else { panic!("a version") };
    let stale = [Write::put(key("a"), note(3), Expect::Version(version))];
    assert!(is_conflict(&store.commit(&stale, NOW).await, "a"));

    // One that was committed does, like any other.
    let mut tx = immediate(&pool).await;
    let version = join_sqlite(&store, &mut tx, &one).await.unwrap()[0].unwrap();
    tx.commit().await.unwrap();
    told.push(Some(version));
    let next = [Write::put(key("a"), note(4), Expect::Version(version))];
    told.extend(store.commit(&next, NOW).await.unwrap());
    assert_each_once(told.into_iter().flatten().collect());

    let Some(cluster) = cluster() else { return left_out("versions that were rolled back") };
    let (pool, store) = postgres_shop(&cluster.database()).await;
    let mut told = Vec::new();
    for _ in 0..3 {
        let mut tx = pool.begin().await.unwrap();
        told.push(join_postgres(&store, &mut tx, &one).await.unwrap()[0].unwrap());
        tx.rollback().await.unwrap();
        told.push(put(&store, "a", 2).await.unwrap());
    }
    assert_each_once(told);
}

#[tokio::test]
async fn postgres_joins_only_what_is_read_committed() {
    let Some(cluster) = cluster() else { return left_out("isolation of a joined transaction") };
    let (pool, store) = postgres_shop(&cluster.database()).await;
    for level in ["REPEATABLE READ", "SERIALIZABLE"] {
        let begin = format!("BEGIN ISOLATION LEVEL {level}");
        let mut tx = pool.begin_with(sqlx::AssertSqlSafe(begin)).await.unwrap();
        take_postgres(&mut tx).await;
        let refused = refusal(join_postgres(&store, &mut tx, &order("a")).await);
        assert!(refused.contains("READ COMMITTED"), "{refused}");
        take_postgres(&mut tx).await;
        tx.commit().await.unwrap();
    }
    assert_eq!((records(&store).await, left_postgres(&pool).await), (0, 5));
    let mut tx = pool.begin_with("BEGIN ISOLATION LEVEL READ COMMITTED").await.unwrap();
    join_postgres(&store, &mut tx, &order("a")).await.unwrap();
    tx.commit().await.unwrap();
    assert_eq!(records(&store).await, 2);
}

#[tokio::test]
async fn postgres_makes_a_joined_transaction_durable() {
    let Some(cluster) = cluster() else { return left_out("synchronous_commit of a joined transaction") };
    let (pool, store) = postgres_shop(&cluster.database()).await;
    let mut tx = pool.begin().await.unwrap();
    let setting = async |tx: &mut PgConnection| -> String {
        sqlx::query_scalar("SHOW synchronous_commit").fetch_one(tx).await.unwrap()
    };
    sqlx::query("SET LOCAL synchronous_commit = off").execute(&mut *tx).await.unwrap();
    join_postgres(&store, &mut tx, &order("a")).await.unwrap();
    assert_eq!(setting(&mut tx).await, "on");
    tx.rollback().await.unwrap();
}

#[tokio::test]
async fn sqlite_joins_only_what_is_durable() {
    let folder = Folder::new();
    let url = folder.database();
    let (_, store) = sqlite_shop(&url).await;
    let options = || SqliteConnectOptions::from_str(&url).unwrap();
    for options in [options().synchronous(SqliteSynchronous::Normal), options().synchronous(SqliteSynchronous::Off)] {
        let pool = SqlitePool::connect_with(options).await.unwrap();
        let mut tx = immediate(&pool).await;
        let refused = refusal(join_sqlite(&store, &mut tx, &order("a")).await);
        assert!(refused.contains("synchronous=FULL"), "{refused}");
        take_sqlite(&mut tx).await;
        tx.commit().await.unwrap();
    }
    assert_eq!(records(&store).await, 0);
    let pool = SqlitePool::connect_with(options().synchronous(SqliteSynchronous::Extra)).await.unwrap();
    let mut tx = immediate(&pool).await;
    join_sqlite(&store, &mut tx, &order("a")).await.unwrap();
    tx.commit().await.unwrap();
    assert_eq!((records(&store).await, left_sqlite(&pool).await), (2, 7));

    // A journal that a crash would lose.
    let url = folder.database();
    let options = SqliteConnectOptions::from_str(&url).unwrap().create_if_missing(true);
    let store = Sqlite::new(SqlitePool::connect_with(options.clone()).await.unwrap()).await.unwrap();
    let pool = SqlitePool::connect_with(options.journal_mode(SqliteJournalMode::Memory)).await.unwrap();
    let mut tx = immediate(&pool).await;
    let refused = refusal(join_sqlite(&store, &mut tx, &order("a")).await);
    assert!(refused.contains("journal_mode=memory"), "{refused}");
}

#[tokio::test]
async fn another_sqlite_is_refused() {
    let folder = Folder::new();
    let (here, elsewhere) = (folder.database(), folder.database());
    let (pool, store) = sqlite_shop(&here).await;
    let (other_pool, other) = sqlite_shop(&elsewhere).await;

    // Another store's writes, in our database.
    let mut tx = immediate(&pool).await;
    let refused = refusal(store.commit_writes_in(&mut tx, &identity(&other), &order("a"), NOW).await);
    assert!(refused.contains("another store"), "{refused}");
    tx.commit().await.unwrap();

    // Our writes, in another database: one with a store, one without, and one to which ours is attached.
    let options = || SqliteConnectOptions::from_str(&folder.database()).unwrap().create_if_missing(true);
    let bare = SqlitePool::connect_with(options()).await.unwrap();
    let attached = SqlitePoolOptions::new().max_connections(1).connect_with(options()).await.unwrap();
    sqlx::query("ATTACH ?1 AS ours").bind(here.trim_start_matches("sqlite://")).execute(&attached).await.unwrap();
    for pool in [&other_pool, &bare, &attached] {
        let mut tx = immediate(pool).await;
        let refused = refusal(join_sqlite(&store, &mut tx, &order("a")).await);
        assert!(refused.contains("database of this store"), "{refused}");
        sqlx::query("CREATE TABLE mine (n INTEGER)").execute(&mut *tx).await.unwrap();
        tx.commit().await.unwrap();
    }
    assert_eq!((records(&store).await, records(&other).await), (0, 0));

    // The same database by another pool is the same.
    let again = Sqlite::connect(&here).await.unwrap();
    let mut tx = immediate(&pool).await;
    store.commit_writes_in(&mut tx, &identity(&again), &order("a"), NOW).await.unwrap();
    tx.commit().await.unwrap();
    assert_eq!(records(&again).await, 2);
}

#[tokio::test]
async fn another_postgres_is_refused() {
    let Some(cluster) = cluster() else { return left_out("another database") };
    let here = cluster.database();
    let (pool, store) = postgres_shop(&here).await;
    let (other_pool, other) = postgres_shop(&cluster.database()).await;

    let mut tx = pool.begin().await.unwrap();
    let refused = refusal(store.commit_writes_in(&mut tx, &identity(&other), &order("a"), NOW).await);
    assert!(refused.contains("another store"), "{refused}");
    tx.commit().await.unwrap();

    let bare = PgPool::connect(&cluster.database()).await.unwrap();
    // A role that may not look at our schema.
    let role = format!("stranger_{}", std::process::id());
    sqlx::raw_sql(sqlx::AssertSqlSafe(format!("CREATE ROLE {role} LOGIN; GRANT CREATE ON SCHEMA public TO {role}")))
        .execute(&pool)
        .await
        .unwrap();
    let stranger = PgPool::connect_with(PgConnectOptions::from_str(&here).unwrap().username(&role)).await.unwrap();
    for pool in [&other_pool, &bare, &stranger] {
        let mut tx = pool.begin().await.unwrap();
        let refused = refusal(join_postgres(&store, &mut tx, &order("a")).await);
        assert!(refused.contains("database of this store"), "{refused}");
        sqlx::query("CREATE TABLE mine (n integer)").execute(&mut *tx).await.unwrap();
        tx.commit().await.unwrap();
        sqlx::query("DROP TABLE mine").execute(pool).await.unwrap();
    }
    stranger.close().await;
    sqlx::raw_sql(sqlx::AssertSqlSafe(format!("DROP OWNED BY {role}; DROP ROLE {role}"))).execute(&pool).await.unwrap();
    assert_eq!((records(&store).await, records(&other).await), (0, 0));

    let again = Postgres::connect(&here).await.unwrap();
    let mut tx = pool.begin().await.unwrap();
    store.commit_writes_in(&mut tx, &identity(&again), &order("a"), NOW).await.unwrap();
    tx.commit().await.unwrap();
    assert_eq!(records(&again).await, 2);
}

/// What would be committed by itself is refused: a connection without a transaction, and one whose transaction is over.
#[tokio::test]
async fn sqlite_joins_nothing_where_no_transaction_is() {
    let folder = Folder::new();
    let (pool, store) = sqlite_shop(&folder.database()).await;
    let mut connection = pool.acquire().await.unwrap();
    assert!(refusal(join_sqlite(&store, &mut connection, &order("a")).await).contains("no transaction"));
    drop(connection);

    // SQLite ends it by itself, and sqlx does not know.
    let mut tx = immediate(&pool).await;
    let full = "INSERT OR ROLLBACK INTO stock VALUES ('wine', 1)";
    sqlx::query(full).execute(&mut *tx).await.unwrap_err();
    assert!(refusal(join_sqlite(&store, &mut tx, &order("a")).await).contains("no transaction"));
    drop(tx);
    assert_eq!((records(&store).await, left_sqlite(&pool).await), (0, 9));
}

#[tokio::test]
async fn postgres_joins_nothing_where_no_transaction_is() {
    let Some(cluster) = cluster() else { return left_out("a transaction that is over") };
    let (pool, store) = postgres_shop(&cluster.database()).await;
    let mut connection = pool.acquire().await.unwrap();
    assert!(refusal(join_postgres(&store, &mut connection, &order("a")).await).contains("no transaction"));
    drop(connection);

    // Ended without sqlx knowing, and failed.
    for (end, ends) in [("ROLLBACK", true), ("SELECT 1 / 0", false)] {
        let mut tx = pool.begin().await.unwrap();
        assert_eq!(sqlx::query(end).execute(&mut *tx).await.is_ok(), ends);
        assert!(refusal(join_postgres(&store, &mut tx, &order("a")).await).contains("no transaction"));
        tx.rollback().await.unwrap();
    }
    assert_eq!(records(&store).await, 0);
}

#[tokio::test]
async fn a_postgres_that_breaks_is_unavailable_and_never_unknown() {
    let Some(cluster) = cluster() else { return left_out("a connection that breaks in a joined transaction") };
    let (pool, store) = postgres_shop(&cluster.database()).await;
    let mut tx = pool.begin().await.unwrap();
    join_postgres(&store, &mut tx, &order("a")).await.unwrap();
    let pid: i32 = sqlx::query_scalar("SELECT pg_backend_pid()").fetch_one(&mut *tx).await.unwrap();
    sqlx::query("SELECT pg_terminate_backend($1, 5000)").bind(pid).execute(&pool).await.unwrap();
    let outcome = join_postgres(&store, &mut tx, &order("b")).await;
    assert!(matches!(outcome, Err(StoreError::Unavailable(_))), "{outcome:?}");
    drop(tx);
    assert_eq!(records(&store).await, 0);
}

/// Whoever gives up on a join is to roll back. One who commits instead gets all of ours or nothing, never a half.
#[tokio::test]
async fn a_join_in_sqlite_that_is_given_up_is_never_half_done() {
    let folder = Folder::new();
    let (pool, store) = sqlite_shop(&folder.database()).await;
    let mut there = 0;
    for polls in 0..60 {
        for commits in [false, true] {
            let writes = order(&format!("{polls}"));
            let mut tx = immediate(&pool).await;
            give_up_after(polls, join_sqlite(&store, &mut tx, &writes)).await;
            if commits {
                tx.commit().await.unwrap()
            } else {
                tx.rollback().await.unwrap()
            }
            let now = records(&store).await;
            assert!(now == there || commits && now == there + 2, "{there} records, then {now}");
            there = now;
        }
    }
    println!("joins that were given up and happened: {} of 60", there / 2);
}

#[tokio::test]
async fn a_join_in_postgres_that_is_given_up_is_never_half_done() {
    let Some(cluster) = cluster() else { return left_out("a join that is given up") };
    let (pool, store) = postgres_shop(&cluster.database()).await;
    let mut there = 0;
    for polls in 0..30 {
        for commits in [false, true] {
            let writes = order(&format!("{polls}"));
            let mut tx = pool.begin().await.unwrap();
            give_up_after(polls, join_postgres(&store, &mut tx, &writes)).await;
            take_postgres(&mut tx).await;
            let left = left_postgres(&pool).await;
            if commits {
                tx.commit().await.unwrap()
            } else {
                tx.rollback().await.unwrap()
            }
            let now = records(&store).await;
            assert!(now == there || commits && now == there + 2, "{there} records, then {now}");
            assert_eq!(left_postgres(&pool).await, left - i32::from(commits));
            there = now;
        }
    }
    println!("joins that were given up and happened: {} of 30", there / 2);
}

/// Polls a future so many times, and drops it.
async fn give_up_after(polls: usize, future: impl Future) {
    let mut future = std::pin::pin!(future);
    let mut count = 0;
    std::future::poll_fn(|context| {
        count += 1;
        if count > polls || future.as_mut().poll(context).is_ready() { Poll::Ready(()) } else { Poll::Pending }
    })
    .await;
}

#[tokio::test]
async fn sqlite_joins_a_deferred_transaction_only_with_the_write_lock() {
    let folder = Folder::new();
    let url = folder.database();
    let (pool, store) = sqlite_shop(&url).await;

    // Nobody else writes: it gets the lock, and keeps others out even where it only checks.
    let mut tx = pool.begin().await.unwrap();
    join_sqlite(&store, &mut tx, &[Write::check(key("a"), Expect::Absent)]).await.unwrap();
    let hasty = SqliteConnectOptions::from_str(&url).unwrap().busy_timeout(Duration::ZERO);
    let hasty = SqlitePool::connect_with(hasty).await.unwrap();
    assert!(hasty.begin_with("BEGIN IMMEDIATE").await.is_err());
    join_sqlite(&store, &mut tx, &order("a")).await.unwrap();
    tx.commit().await.unwrap();

    // Somebody else writes.
    let other = immediate(&pool).await;
    let mut tx = hasty.begin().await.unwrap();
    let refused = refusal(join_sqlite(&store, &mut tx, &order("b")).await);
    assert!(refused.contains("begin it with BEGIN IMMEDIATE"), "{refused}");
    drop(other);
    tx.rollback().await.unwrap();

    // Somebody else has written since it first read.
    let mut tx = pool.begin().await.unwrap();
    sqlx::query(LEFT).fetch_one(&mut *tx).await.unwrap();
    put(&store, "c", 1).await.unwrap();
    let refused = refusal(join_sqlite(&store, &mut tx, &order("b")).await);
    assert!(refused.contains("begin it with BEGIN IMMEDIATE"), "{refused}");
    tx.rollback().await.unwrap();
    assert_eq!(records(&store).await, 3);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn of_merchants_in_sqlite_who_race_for_a_key_one_wins() {
    let folder = Folder::new();
    let (pool, store) = sqlite_shop(&folder.database()).await;
    for round in 0..5 {
        let name = round.to_string();
        let mut racers = JoinSet::new();
        for racer in 0..4 {
            let (pool, store, name) = (pool.clone(), store.clone(), name.clone());
            racers.spawn(async move {
                // Every other one has no stock to change.
                if racer == 3 {
                    return store.commit(&order(&name), NOW).await;
                }
                let mut tx = immediate(&pool).await;
                take_sqlite(&mut tx).await;
                let versions = join_sqlite(&store, &mut tx, &order(&name)).await?;
                tx.commit().await.unwrap();
                Ok(versions)
            });
        }
        one_wins(racers.join_all().await, &name);
    }
    assert_eq!(records(&store).await, 10);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn of_merchants_in_postgres_who_race_for_a_key_one_wins() {
    let Some(cluster) = cluster() else { return left_out("a race of joined transactions") };
    let (pool, store) = postgres_shop(&cluster.database()).await;
    for round in 0..10 {
        let name = round.to_string();
        let mut racers = JoinSet::new();
        for racer in 0..6 {
            let (pool, store, name) = (pool.clone(), store.clone(), name.clone());
            racers.spawn(async move {
                if racer == 5 {
                    return store.commit(&order(&name), NOW).await;
                }
                let mut tx = pool.begin().await.unwrap();
                let versions = join_postgres(&store, &mut tx, &order(&name)).await?;
                take_postgres(&mut tx).await;
                tx.commit().await.unwrap();
                Ok(versions)
            });
        }
        one_wins(racers.join_all().await, &name);
    }
    assert_eq!(records(&store).await, 20);
}

fn one_wins(outcomes: Vec<Result<Vec<Option<Version>>, StoreError>>, name: &str) {
    let lost = outcomes.iter().filter(|outcome| is_conflict(outcome, name)).count();
    assert_eq!(lost + 1, outcomes.len(), "{outcomes:?}");
    assert!(outcomes.iter().any(Result::is_ok), "{outcomes:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_commit_to_sqlite_waits_for_an_open_transaction() {
    let folder = Folder::new();
    let (pool, store) = sqlite_shop(&folder.database()).await;
    for (name, commits) in [("a", true), ("b", false)] {
        let mut tx = immediate(&pool).await;
        let waiting = tokio::spawn({
            let (store, writes) = (store.clone(), order(name));
            async move { store.commit(&writes, NOW).await }
        });
        // It may have its turn by now, and must not hold up the one whom it waits for.
        join_sqlite(&store, &mut tx, &order(name)).await.unwrap();
        if commits {
            tx.commit().await.unwrap()
        } else {
            tx.rollback().await.unwrap()
        }
        let outcome = waiting.await.unwrap();
        assert_eq!((outcome.is_ok(), is_conflict(&outcome, name)), (!commits, commits), "{outcome:?}");
    }
    assert_eq!(records(&store).await, 4);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_commit_to_postgres_waits_for_an_open_transaction() {
    let Some(cluster) = cluster() else { return left_out("waiting for a joined transaction") };
    let (pool, store) = postgres_shop(&cluster.database()).await;
    for (name, commits) in [("a", true), ("b", false)] {
        let mut tx = pool.begin().await.unwrap();
        join_postgres(&store, &mut tx, &order(name)).await.unwrap();
        let waiting = tokio::spawn({
            let (store, writes) = (store.clone(), order(name));
            async move { store.commit(&writes, NOW).await }
        });
        let mut waits = false;
        while !waits {
            waits = sqlx::query_scalar(
                "SELECT EXISTS (SELECT 1 FROM pg_locks AS l JOIN pg_database AS d ON d.oid = l.database
                 WHERE d.datname = current_database() AND l.locktype = 'advisory' AND NOT l.granted)",
            )
            .fetch_one(&pool)
            .await
            .unwrap();
            assert!(!waiting.is_finished(), "it did not wait");
        }
        if commits {
            tx.commit().await.unwrap()
        } else {
            tx.rollback().await.unwrap()
        }
        let outcome = waiting.await.unwrap();
        assert_eq!((outcome.is_ok(), is_conflict(&outcome, name)), (!commits, commits), "{outcome:?}");
    }
    assert_eq!(records(&store).await, 4);
}
