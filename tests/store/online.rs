//! What is done to a store while a shop is open: a hundred thousand expired records leave it, and it gets a newer schema. Nobody
//! waits for either.

use std::{
    sync::atomic::AtomicBool,
    time::{Duration, Instant},
};

use super::*;

/// How many records have expired.
const EXPIRED: i64 = 100_000;
/// How many housekeeping removes at a time.
const BATCH: usize = 500;
/// How many commit at once.
const WRITERS: u64 = 4;
/// How long a commit may be held up, beside what it takes anyway on this machine.
const HELD_UP_MAX: Duration = Duration::from_millis(100);

/// How long each of many operations took.
#[derive(Debug, Default)]
struct Times(Vec<Duration>);

impl Times {
    fn longest(&self) -> Duration {
        self.0.iter().max().copied().unwrap_or_default()
    }

    fn of_a_hundred(&self, n: usize) -> Duration {
        let mut times = self.0.clone();
        times.sort_unstable();
        times.get(times.len() * n / 100).or(times.last()).copied().unwrap_or_default()
    }
}

/// Commits until it is told to stop: a record of its own, one that all write, and one that has expired and is renewed.
async fn commits(store: impl Store, run: &'static str, writer: u64, stop: Arc<AtomicBool>) -> Times {
    let mut times = Times::default();
    for n in 0.. {
        if stop.load(Ordering::SeqCst) {
            break;
        }
        let renewed = Key::new("note", format!("p{}", 1 + (n * WRITERS + writer) % EXPIRED.unsigned_abs()), "");
        let writes = [
            Write::put(key(&format!("{run} {writer} {n}")), note(n), Expect::Absent),
            Write::put(key("all"), note(n), Expect::Any),
            Write::put(renewed, note(n), Expect::Any),
        ];
        let began = Instant::now();
        store.commit(&writes, NOW).await.unwrap();
        times.0.push(began.elapsed());
    }
    times
}

/// Commits while `meanwhile` goes on, and until it is done.
async fn beside<S: Store + Clone>(store: &S, run: &'static str, meanwhile: impl Future<Output = ()>) -> Times {
    let stop = Arc::<AtomicBool>::default();
    let mut writers = JoinSet::new();
    for writer in 0..WRITERS {
        writers.spawn(commits(store.clone(), run, writer, stop.clone()));
    }
    meanwhile.await;
    stop.store(true, Ordering::SeqCst);
    Times(writers.join_all().await.into_iter().flat_map(|times| times.0).collect())
}

/// `expire` puts the expired records there, one in each partition.
async fn nobody_waits_for_the_sweep<S: Store + Clone>(name: &str, store: S, expire: impl AsyncFnOnce()) {
    expire().await;
    let alone = beside(&store, "alone", tokio::time::sleep(Duration::from_secs(2))).await;
    let mut batches = Times::default();
    let mut swept = 0;
    let beside = beside(&store, "beside", async {
        loop {
            let began = Instant::now();
            let removed = store.sweep(NOW, BATCH).await.unwrap();
            batches.0.push(began.elapsed());
            swept += removed;
            if removed < BATCH {
                break;
            }
            tokio::task::yield_now().await;
        }
    })
    .await;
    println!(
        "{name}: {swept} expired records swept in {} batches of {BATCH}, {:.1?} each in the middle, the last {:.1?}, the longest \
         {:.1?}; {} commits meanwhile: {:.1?} in the middle, 99 of 100 within {:.1?}, the longest {:.1?}; without the sweep {:.1?}, \
         {:.1?}, {:.1?}",
        batches.0.len(),
        batches.of_a_hundred(50),
        batches.0.iter().rev().nth(1).copied().unwrap_or_default(),
        batches.longest(),
        beside.0.len(),
        beside.of_a_hundred(50),
        beside.of_a_hundred(99),
        beside.longest(),
        alone.of_a_hundred(50),
        alone.of_a_hundred(99),
        alone.longest(),
    );
    // Those that were renewed meanwhile are none of the expired ones.
    let expected = usize::try_from(EXPIRED).unwrap();
    assert!(swept <= expected && swept + alone.0.len() + beside.0.len() >= expected, "{swept}");
    assert_eq!(store.sweep(NOW, BATCH).await.unwrap(), 0);
    // A machine that is busy with other things makes any one commit wait: 99 of 100 are held to it.
    assert!(beside.of_a_hundred(99) <= alone.of_a_hundred(99) + HELD_UP_MAX, "commits wait for the sweep");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn no_commit_to_postgres_waits_for_what_has_expired() {
    let Some(cluster) = cluster() else { return left_out("a sweep of a hundred thousand records") };
    let pool = PgPool::connect(&cluster.database()).await.unwrap();
    let store = Postgres::new(pool.clone()).await.unwrap();
    nobody_waits_for_the_sweep("PostgreSQL", store, async || {
        let insert = "INSERT INTO firsthand.records (partition, kind, sort, version, schema, body, expires_at)
                      SELECT 'p' || n, 'note', '', nextval('firsthand.versions'), 1, '1', $1 - n % 1000
                        FROM generate_series(1, $2) AS n";
        sqlx::query(insert).bind(NOW.as_secs()).bind(EXPIRED).execute(&pool).await.unwrap();
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn no_commit_to_sqlite_waits_for_what_has_expired() {
    let folder = Folder::new();
    let url = folder.database();
    let store = Sqlite::connect(&url).await.unwrap();
    nobody_waits_for_the_sweep("SQLite", store, async || {
        let pool = SqlitePool::connect(&url).await.unwrap();
        let insert = "WITH RECURSIVE counted(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM counted WHERE n < ?2)
                      INSERT INTO firsthand_records (partition, kind, sort, version, schema, body, expires_at)
                      SELECT 'p' || n, 'note', '', n, 1, '1', ?1 - n % 1000 FROM counted";
        sqlx::query(insert).bind(NOW.as_secs()).bind(EXPIRED).execute(&pool).await.unwrap();
        // Versions come from the sequence from here on.
        sqlx::query("UPDATE firsthand_sequence SET version = ?1").bind(EXPIRED).execute(&pool).await.unwrap();
        pool.close().await;
    })
    .await;
}

/// The nodes of the last program go on while the first one of the next makes what is new.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn nobody_waits_for_a_newer_schema() {
    let Some(cluster) = cluster() else { return left_out("a newer schema under load") };
    let url = cluster.database();
    let pool = PgPool::connect(&url).await.unwrap();
    let made =
        [include_str!("../../sdk/src/store/postgres.sql"), include_str!("../../sdk/src/store/postgres_views.sql")];
    for sql in made {
        sqlx::raw_sql(sql).execute(&pool).await.unwrap();
    }
    let stop = Arc::<AtomicBool>::default();
    let mut nodes = JoinSet::new();
    for node in 0..WRITERS {
        let (pool, stop) = (pool.clone(), stop.clone());
        nodes.spawn(async move {
            let mut times = Times::default();
            while !stop.load(Ordering::SeqCst) {
                let began = Instant::now();
                let commit = "SELECT firsthand.commit_v1($1, '{2}', '{p}', '{note}', ARRAY[$2], '{null}', '{1}', '{1}', '{null}')";
                sqlx::query(commit).bind(NOW.as_secs()).bind(node.to_string()).execute(&pool).await.unwrap();
                times.0.push(began.elapsed());
            }
            times
        });
    }
    tokio::time::sleep(Duration::from_millis(300)).await;
    let began = Instant::now();
    let store = Postgres::connect(&url).await.unwrap();
    let took = began.elapsed();
    tokio::time::sleep(Duration::from_millis(300)).await;
    stop.store(true, Ordering::SeqCst);
    let times = Times(nodes.join_all().await.into_iter().flat_map(|times| times.0).collect());
    println!(
        "a newer schema in {took:.1?} beside {} commits: 99 of 100 within {:.1?}, the longest {:.1?}",
        times.0.len(),
        times.of_a_hundred(99),
        times.longest()
    );
    assert_eq!(read(&store, "0").await, Some(1));

    // Somebody who reads for long, such as a backup, is not waited for without end: the node that wants more than there is
    // says so and can be started again, and meanwhile nobody waits for it longer than that.
    sqlx::query("DELETE FROM firsthand.migrations WHERE number = 5").execute(&pool).await.unwrap();
    sqlx::query("ALTER TABLE firsthand.identity DROP COLUMN epoch").execute(&pool).await.unwrap();
    let mut backup = pool.begin().await.unwrap();
    sqlx::query("SELECT id FROM firsthand.identity").execute(&mut *backup).await.unwrap();
    let began = Instant::now();
    let refused = Postgres::connect(&url).await;
    assert!(matches!(refused, Err(StoreError::Unavailable(_))), "{refused:?}");
    assert!((4..20).contains(&began.elapsed().as_secs()), "{:?}", began.elapsed());
    put(&store, "0", 2).await.unwrap();
    backup.commit().await.unwrap();
    assert_eq!(read(&Postgres::connect(&url).await.unwrap(), "0").await, Some(2));
}
