//! PostgreSQL behind PgBouncer, which lends each connection for one transaction: the same rules, and what that costs.

use firsthand_tests::pooler::{Counter, Pooler, SERVERS, pooler, pooler_left_out};
use sqlx::Transaction;

use super::{
    joined::{is_conflict, join_postgres, order, records},
    *,
};

/// A new database with the schema, by its own URL and through the pooler.
async fn shop(cluster: &firsthand_tests::postgres::Cluster, pooler: &Pooler) -> (String, String) {
    let direct = cluster.database();
    let pool = PgPool::connect(&direct).await.unwrap();
    Postgres::new(pool.clone()).await.unwrap();
    // So that the server does not run out of connections.
    pool.close().await;
    let pooled = pooler.to(&direct);
    (direct, pooled)
}

/// The cluster, and a pooler in front of it.
fn both(what: &str) -> Option<(firsthand_tests::postgres::Cluster, Pooler)> {
    let Some(cluster) = cluster() else {
        left_out(what);
        return None;
    };
    let Some(pooler) = pooler(&cluster.database()) else {
        pooler_left_out(what);
        return None;
    };
    Some((cluster, pooler))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn postgres_behind_a_pooler_keeps_the_rules() {
    let Some((cluster, pooler)) = both("the rules of a store behind a pooler") else { return };
    store_conformance(async || {
        let (_, pooled) = shop(&cluster, &pooler).await;
        Postgres::connect_pooled(&pooled).await.unwrap()
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn money_is_conserved_behind_a_pooler_by_two_pools() {
    let Some((cluster, pooler)) = both("contention behind a pooler") else { return };
    let (_, url) = shop(&cluster, &pooler).await;
    let stores = [Postgres::connect_pooled(&url).await.unwrap(), Postgres::connect_pooled(&url).await.unwrap()];
    money_is_conserved(stores).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn nothing_is_lost_or_doubled_behind_a_pooler_when_connections_break() {
    let Some((cluster, pooler)) = both("connections that break behind a pooler") else { return };
    let (direct, pooled) = shop(&cluster, &pooler).await;
    loses_and_doubles_nothing(Postgres::connect_pooled(&pooled).await.unwrap(), &direct).await;
}

/// That the pooler of these tests does what theirs does: a client has one server's connection and then another, and
/// nothing that was prepared by name is left on any.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn connections_change_hands_and_keep_nothing_of_a_session() {
    let Some((cluster, pooler)) = both("what a pooler does") else { return };
    let (direct, pooled) = shop(&cluster, &pooler).await;
    let store = Postgres::connect_pooled(&pooled).await.unwrap();
    money_is_conserved([store.clone(), store.clone()]).await;
    put(&store, "a", 1).await.unwrap();
    store.sweep(NOW, 10).await.unwrap();

    let options = PgConnectOptions::from_str(&pooled).unwrap().extra_float_digits(None).statement_cache_capacity(0);
    let pool = PgPoolOptions::new().max_connections(SERVERS as u32 + 1).connect_with(options).await.unwrap();
    let process = async |tx: &mut Transaction<'_, sqlx::Postgres>| -> i32 {
        sqlx::raw_sql("SELECT pg_backend_pid() AS it").fetch_one(&mut **tx).await.unwrap().try_get("it").unwrap()
    };
    // All connections that the pooler has, held at once.
    let mut held = Vec::new();
    let mut processes = Vec::new();
    for _ in 0..SERVERS {
        let mut tx = pool.begin().await.unwrap();
        processes.push(process(&mut tx).await);
        let left = "SELECT (SELECT count(*) FROM pg_prepared_statements WHERE name <> '')
                         + (SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND pid = pg_backend_pid())
                         + (SELECT count(*) FROM pg_listening_channels()) AS it";
        let left: i64 = sqlx::raw_sql(left).fetch_one(&mut *tx).await.unwrap().try_get("it").unwrap();
        assert_eq!(left, 0);
        held.push(tx);
    }
    processes.sort_unstable();
    processes.dedup();
    assert_eq!(processes.len(), SERVERS);
    // Meanwhile nobody gets a connection, and who waits gets the first that is let go.
    let (waiting, _) = tokio::join!(put(&store, "a", 2), async {
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
        held.pop().unwrap().commit().await.unwrap();
    });
    waiting.unwrap();
    drop(held);

    // One client, before and after another one let go of what it held.
    let mut one = pool.acquire().await.unwrap();
    let mut two = pool.acquire().await.unwrap();
    let mut holding = sqlx::Connection::begin(&mut *one).await.unwrap();
    let held = process(&mut holding).await;
    let ask = async |two: &mut PgConnection| -> i32 {
        sqlx::raw_sql("SELECT pg_backend_pid() AS it").fetch_one(two).await.unwrap().try_get("it").unwrap()
    };
    let before = ask(&mut two).await;
    holding.commit().await.unwrap();
    let after = ask(&mut two).await;
    assert_ne!(before, held);
    assert_eq!(after, held, "the pooler lends a connection for one transaction, and the last one first");

    // Who does not know of the pooler is refused by it: it does not know a setting that is said at the beginning.
    let unaware = Postgres::connect(&pooled).await;
    assert!(matches!(unaware, Err(StoreError::Unavailable(_))), "{unaware:?}");
    assert!(Postgres::is_in(&direct).await.unwrap());
}

#[tokio::test]
async fn no_schema_is_made_behind_a_pooler() {
    let Some((cluster, pooler)) = both("migrations behind a pooler") else { return };
    let direct = cluster.database();
    let refused = async || match Postgres::connect_pooled(&pooler.to(&direct)).await {
        Err(StoreError::Refused(text)) => assert!(text.contains("firsthand migrate"), "{text}"),
        other => panic!("{other:?}"),
    };
    refused().await;
    assert!(!Postgres::is_in(&direct).await.unwrap(), "something was made");
    // An older program's.
    let pool = PgPool::connect(&direct).await.unwrap();
    for sql in
        [include_str!("../../sdk/src/store/postgres.sql"), include_str!("../../sdk/src/store/postgres_views.sql")]
    {
        sqlx::raw_sql(sql).execute(&pool).await.unwrap();
    }
    refused().await;
    Postgres::new(pool).await.unwrap();
    let store = Postgres::connect_pooled(&pooler.to(&direct)).await.unwrap();
    let epoch = store.epoch();
    put(&store, "a", 1).await.unwrap();
    // What puts a backup back is one transaction, and may go through it.
    let store = store.restored().await.unwrap();
    assert_eq!((store.epoch(), read(&store, "a").await), (epoch + 1, Some(1)));
}

#[tokio::test]
async fn a_transaction_of_the_merchants_is_joined_behind_a_pooler() {
    let Some((cluster, pooler)) = both("a joined transaction behind a pooler") else { return };
    let (_, pooled) = shop(&cluster, &pooler).await;
    // As a merchant makes their own pool behind PgBouncer.
    let options = PgConnectOptions::from_str(&pooled).unwrap().extra_float_digits(None).statement_cache_capacity(0);
    let pool = PgPool::connect_with(options).await.unwrap();
    let store = Postgres::pooled(pool.clone()).await.unwrap();
    for round in 0..20 {
        let name = format!("order {round}");
        let (mut one, mut other) = (pool.begin().await.unwrap(), pool.begin().await.unwrap());
        join_postgres(&store, &mut one, &order(&name)).await.unwrap();
        assert_eq!(read(&store, &name).await, None, "seen before it is committed");
        join_postgres(&store, &mut other, &order(&format!("{name} undone"))).await.unwrap();
        one.commit().await.unwrap();
        other.rollback().await.unwrap();
        let mut again = pool.begin().await.unwrap();
        let outcome = join_postgres(&store, &mut again, &order(&name)).await;
        assert!(is_conflict(&outcome, &name), "{outcome:?}");
        join_postgres(&store, &mut again, &order(&format!("{name} too"))).await.unwrap();
        again.commit().await.unwrap();
    }
    assert_eq!(records(&store).await, 20 * 4);
}

/// What it costs: the round trips of each operation, to the server itself and through the pooler.
#[tokio::test]
async fn the_round_trips_of_each_operation_are_counted() {
    let Some((cluster, pooler)) = both("round trips") else { return };
    let (direct, pooled) = shop(&cluster, &pooler).await;
    let ways = [Counter::before(&direct).await, Counter::before(&pooled).await];
    // A pool that does not ask a connection whether it lives before it is used, which is one more for either.
    let pool = async |options: PgConnectOptions| {
        let pool = PgPoolOptions::new().max_connections(1).test_before_acquire(false);
        pool.connect_with(options).await.unwrap()
    };
    let options = |way: &Counter| PgConnectOptions::from_str(way.url()).unwrap();
    let pools = [pool(options(&ways[0])).await, pool(options(&ways[1]).extra_float_digits(None)).await];
    let stores = [Postgres::new(pools[0].clone()).await.unwrap(), Postgres::pooled(pools[1].clone()).await.unwrap()];
    let mut counted = Vec::new();
    for ((way, pool), store) in ways.iter().zip(&pools).zip(&stores) {
        let both = [key("a"), key("b")];
        // The pool asks a connection that it takes back, after the answer.
        let trips = async || {
            while pool.num_idle() == 0 {
                tokio::task::yield_now().await;
            }
            way.trips()
        };
        // Twice, for what is prepared once is not counted.
        for last in [false, true] {
            let mut each = Vec::new();
            trips().await;
            read(store, "a").await;
            each.push(trips().await);
            store.load(&both, NOW).await.unwrap();
            each.push(trips().await);
            store.scan(&prefix(), None, 10, NOW).await.unwrap();
            each.push(trips().await);
            put(store, "a", 1).await.unwrap();
            each.push(trips().await);
            let conflict = store.commit(&[Write::put(key("a"), note(1), Expect::Absent)], NOW).await;
            assert!(matches!(conflict, Err(StoreError::Conflict(_))));
            each.push(trips().await);
            store.sweep(NOW, 10).await.unwrap();
            each.push(trips().await);
            if last {
                counted.push(each);
            }
        }
    }
    let names = ["load one", "load several", "scan", "commit", "commit, conflict", "sweep"];
    for (name, (direct, pooled)) in names.iter().zip(counted[0].iter().zip(&counted[1])) {
        println!("round trips of {name}: {direct} directly, {pooled} behind PgBouncer; one of them after the answer");
    }
    // Behind the pooler: BEGIN, to prepare, to run, COMMIT.
    assert_eq!(counted, [vec![1 + 1; 6], vec![4 + 1; 6]]);
}
