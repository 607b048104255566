//! A shop that lives while what is below it fails: the server is killed and started again, all its connections are cut again and
//! again, the disk is full. Guests go on buying and say again what nobody answered; nobody lends a hand.

use std::{
    fs,
    path::Path,
    process::Command,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use firsthand::{Merchant, store::Postgres, store::Sqlite, testing::TestShop, trade::Shelf};
use firsthand_tests::postgres::{cut_all_connections, durable_cluster, left_out, mortal};
use sqlx::SqlitePool;
use tokio::{task::JoinSet, time::sleep};

use crate::{
    BOTTLES,
    books::Books,
    kills::{BEGIN, Folder, GUESTS, Known, Later, Saying, THERE_ARE, fill, merchant, pay},
    rail,
};

/// A shop, its guests, and what they were told.
struct Shop {
    merchant: Merchant,
    clock: Later,
    url: String,
    folder: Folder,
    known: Arc<Mutex<Known>>,
    turn: Arc<AtomicU64>,
    closing: Arc<AtomicBool>,
    guests: JoinSet<()>,
}

impl Shop {
    /// The shelves are full, and guests buy.
    fn open(folder: Folder, url: &str, of: impl FnOnce(&Path, Later) -> Merchant) -> Self {
        fs::write(folder.path().join("keys.pem"), TestShop::new().keys_file().to_pem()).unwrap();
        let clock = Later::at(BEGIN);
        let merchant = of(folder.path(), clock.clone());
        let mut shop = Self {
            merchant,
            clock,
            url: url.to_owned(),
            folder,
            known: Arc::default(),
            turn: Arc::default(),
            closing: Arc::default(),
            guests: JoinSet::new(),
        };
        for _ in 0..GUESTS {
            let guest = buy(shop.merchant.clone(), shop.known.clone(), shop.turn.clone(), shop.closing.clone());
            shop.guests.spawn(guest);
        }
        let (tended, closing) = (shop.merchant.clone(), shop.closing.clone());
        shop.guests.spawn(async move {
            while !closing.load(Ordering::SeqCst) {
                drop(tended.bring_orders_up_to_date().await);
                drop(tended.bring_checkouts_up_to_date().await);
                sleep(Duration::from_millis(20)).await;
            }
        });
        shop
    }

    /// How many completions were acknowledged.
    fn orders(&self) -> usize {
        self.known.lock().unwrap().orders.len()
    }

    /// Waits until guests are served again, and says how long that took.
    async fn sells_again(&self) -> Duration {
        let (began, before) = (Instant::now(), self.orders());
        while self.orders() < before + 3 {
            assert!(began.elapsed() < Duration::from_secs(60), "nobody buys any more");
            sleep(Duration::from_millis(5)).await;
        }
        began.elapsed()
    }

    /// Lets everybody have their answer, much later brings all of it up to date, and audits the books.
    async fn close(mut self, name: &str, what: &str) {
        self.closing.store(true, Ordering::SeqCst);
        tokio::time::timeout(Duration::from_secs(120), async { while self.guests.join_next().await.is_some() {} })
            .await
            .expect("everybody gets an answer");
        let known = Arc::into_inner(self.known).unwrap().into_inner().unwrap();
        let rail = rail::Folder::at(&self.folder.path().join("rail"));
        assert!(known.unanswered.is_empty(), "{:?}", known.unanswered.keys());
        let left = Books::read(&self.url).await.audit(&known, &rail);
        for _ in 0..4 {
            self.clock.0.fetch_add(3_700, Ordering::Relaxed);
            while self.merchant.bring_orders_up_to_date().await.unwrap() > 0 {}
            self.merchant.bring_checkouts_up_to_date().await.unwrap();
        }
        let books = Books::read(&self.url).await;
        books.audit(&known, &rail);
        let sold = books.is_at_rest(&rail);
        assert!(rail.told_twice().is_empty(), "{:?}", rail.told_twice());
        println!(
            "{name}: {what}; {} orders acknowledged, {} of them again; {left} checkouts in progress in the end, all settled; {sold} \
             bottles sold, none lost or held; answers: {:?}; doubles: 0",
            known.orders.len(),
            known.again,
            known.statuses,
        );
    }
}

/// One guest after the other, until the shop closes; what was not answered is said again by whoever said it.
async fn buy(merchant: Merchant, known: Arc<Mutex<Known>>, turn: Arc<AtomicU64>, closing: Arc<AtomicBool>) {
    let mut again: Option<Saying> = None;
    while again.is_some() || !closing.load(Ordering::SeqCst) {
        let turn = turn.fetch_add(1, Ordering::Relaxed);
        let keys = Mutex::new(Vec::new());
        let tell = |line: String| {
            let mut known = known.lock().unwrap();
            if let Some(said) = line.strip_prefix("said ") {
                keys.lock().unwrap().push(serde_json::from_str::<Saying>(said).unwrap());
            }
            known.hears(line.trim_end());
        };
        let before = again.take();
        pay(&merchant, before.clone(), turn, &tell).await;
        let said = keys.into_inner().unwrap();
        // Who could not even begin tries it once more with the same.
        let is_away = said.is_empty();
        let last = if is_away { before } else { said.last().cloned() };
        let is_open = |said: &Saying| known.lock().unwrap().unanswered.contains_key(said.key());
        again = last.filter(is_open);
        if is_away || again.is_some() {
            sleep(Duration::from_millis(10)).await;
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn checkouts_survive_a_server_that_is_killed_and_started_again() {
    let Some(server) = mortal() else { return left_out("kills of PostgreSQL under checkouts") };
    let url = server.database();
    fill(&url).await;
    let store = Postgres::connect(&url).await.unwrap();
    let shop = Shop::open(Folder::new("postmaster"), &url, |folder, clock| merchant(store, folder, clock));
    let (mut away, mut slowest) = (Duration::ZERO, Duration::ZERO);
    for round in 0..3 {
        shop.sells_again().await;
        sleep(Duration::from_millis(130 * round)).await;
        let began = Instant::now();
        server.kill();
        tokio::task::block_in_place(|| server.start());
        away += began.elapsed();
        slowest = slowest.max(shop.sells_again().await);
    }
    shop.close("PostgreSQL killed", &format!("3 kills, {away:.1?} away, then sold again within {slowest:.1?}")).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn checkouts_survive_when_all_connections_are_cut_again_and_again() {
    let Some(cluster) = durable_cluster() else { return left_out("cut connections under checkouts") };
    let url = cluster.database();
    fill(&url).await;
    let store = Postgres::connect(&url).await.unwrap();
    let shop = Shop::open(Folder::new("cut"), &url, |folder, clock| merchant(store, folder, clock));
    let (mut cut, mut slowest) = (0, Duration::ZERO);
    for round in 0..40_u64 {
        sleep(Duration::from_millis(20 + 7 * (round % 9))).await;
        cut += cut_all_connections(&url).await;
        if round % 10 == 9 {
            slowest = slowest.max(shop.sells_again().await);
        }
    }
    assert!(cut > 40, "{cut}");
    shop.close("PostgreSQL cut", &format!("{cut} connections cut in 40 rounds, sold again within {slowest:.1?}")).await;
}

/// What SQLite does where the disk is full, and a trigger can do without rights: it ends the transaction by itself.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn checkouts_survive_an_sqlite_that_ends_every_transaction() {
    let folder = Folder::new("ended");
    let url = format!("sqlite://{}", folder.path().join("shop.sqlite").display());
    let store = Sqlite::connect(&url).await.unwrap();
    stock(&store).await;
    let aside = SqlitePool::connect(&url).await.unwrap();
    let shop = Shop::open(folder, &url, |folder, clock| merchant(store, folder, clock));
    let (mut full, mut slowest) = (0, Duration::ZERO);
    for _ in 0..3 {
        shop.sells_again().await;
        let ends = "CREATE TRIGGER full BEFORE INSERT ON firsthand_records BEGIN SELECT RAISE(ROLLBACK, 'full'); END";
        sqlx::raw_sql(ends).execute(&aside).await.unwrap();
        full += is_full(&shop).await;
        sqlx::raw_sql("DROP TRIGGER full").execute(&aside).await.unwrap();
        slowest = slowest.max(shop.sells_again().await);
    }
    aside.close().await;
    shop.close(
        "SQLite that ends transactions",
        &format!("3 times ({full} ms in all), sold again within {slowest:.1?}"),
    )
    .await;
}

/// The same on a disk that is full indeed, where we may make one.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn checkouts_survive_a_full_disk() {
    let folder = Folder::new("disk");
    let Some(disk) = Disk::of(folder.path().join("disk")) else {
        return println!("left out, for no disk may be mounted here: a full disk under checkouts");
    };
    let url = format!("sqlite://{}", disk.0.join("shop.sqlite").display());
    let store = Sqlite::connect(&url).await.unwrap();
    stock(&store).await;
    let shop = Shop::open(folder, &url, |folder, clock| merchant(store, folder, clock));
    let (mut full, mut slowest) = (0, Duration::ZERO);
    for _ in 0..3 {
        shop.sells_again().await;
        disk.fill();
        full += is_full(&shop).await;
        disk.empty();
        slowest = slowest.max(shop.sells_again().await);
    }
    shop.close("SQLite on a full disk", &format!("full 3 times ({full} ms in all), sold again within {slowest:.1?}"))
        .await;
}

async fn stock(store: &Sqlite) {
    let shelf = Shelf::new(store.clone());
    for name in BOTTLES {
        shelf.stock(name, THERE_ARE, firsthand::time::UnixTime::from_secs(BEGIN)).await.unwrap();
    }
}

/// Waits until nobody is sold anything any more, for a while. How long it was full, in milliseconds.
async fn is_full(shop: &Shop) -> u128 {
    let began = Instant::now();
    let (mut before, mut since) = (shop.orders(), Instant::now());
    while since.elapsed() < Duration::from_millis(400) {
        assert!(began.elapsed() < Duration::from_secs(60), "the disk does not fill");
        sleep(Duration::from_millis(10)).await;
        if shop.orders() > before {
            (before, since) = (shop.orders(), Instant::now());
        }
    }
    began.elapsed().as_millis()
}

/// A small disk in memory, until it is dropped.
struct Disk(std::path::PathBuf);

impl Disk {
    fn of(path: std::path::PathBuf) -> Option<Self> {
        fs::create_dir_all(&path).unwrap();
        let mut mount = Command::new("mount");
        mount.args(["-t", "tmpfs", "-o", "size=16m", "firsthand-tests"]).arg(&path);
        let mounted = mount.stderr(std::process::Stdio::null()).status().is_ok_and(|status| status.success());
        mounted.then_some(Self(path))
    }

    /// Writes until there is no room.
    fn fill(&self) {
        use std::io::Write as _;
        let mut file = fs::OpenOptions::new().append(true).create(true).open(self.0.join("filler")).unwrap();
        while file.write(&[0; 4096]).is_ok_and(|written| written > 0) {}
    }

    fn empty(&self) {
        fs::remove_file(self.0.join("filler")).unwrap();
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        drop(Command::new("umount").arg("-l").arg(&self.0).status());
    }
}
