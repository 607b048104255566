//! A shop that is killed while guests complete checkouts. It is this very program, started again as a process of its own; its
//! books are read by somebody else while it is dead, and what the guests were told is what they were told on a pipe.

use std::{
    collections::BTreeMap,
    env, fs,
    io::{BufRead, BufReader, Write as _},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::{
        Arc, Mutex,
        atomic::{AtomicI64, AtomicU64, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use firsthand::{
    Keys, Merchant,
    checkout::CheckoutId,
    env::Env,
    error::Fault,
    merchant::{Basket, Completion},
    money::{Currency, Money},
    order::OrderId,
    store::{Postgres, Sqlite, Store},
    testing::TestShop,
    time::UnixTime,
    trade::Shelf,
};
use firsthand_tests::postgres::{durable_cluster, left_out};
use serde::{Deserialize, Serialize};

use crate::{BOTTLES, books::Books, bottles, key, number, rail, trade};

/// How many guests buy at once.
pub const GUESTS: u64 = 6;
/// How many bottles of each kind there are: enough for all kills.
pub const THERE_ARE: u32 = 1_000_000;
/// A kill comes after so many words that guests said or were told at the most, and a little later.
const LIFE_WORDS: u64 = 60;
/// How much later, in milliseconds.
const LIFE_MS: u64 = 25;
/// How much later it is each time the shop is back, in seconds: longer than anything is left to whoever began it.
const LATER_S: u64 = 150;
/// When all of it begins: the day of a [`TestShop`].
pub const BEGIN: i64 = 1_795_348_800;
/// Where the process that is to be killed is told what it needs.
const SETUP: &str = "FIRSTHAND_CHECKOUTS_SETUP";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn checkouts_over_sqlite_survive_kills() {
    let folder = Folder::new("kills-sqlite");
    let url = format!("sqlite://{}", folder.path().join("shop.sqlite").display());
    survive("SQLite", folder, url).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn checkouts_over_postgres_survive_kills() {
    let Some(cluster) = durable_cluster() else { return left_out("kills of checkouts over PostgreSQL") };
    survive("PostgreSQL", Folder::new("kills-postgres"), cluster.database()).await;
}

/// The shop that is killed; where nobody says what it needs it is not wanted.
#[test]
fn the_shop_that_is_killed() {
    let Ok(setup) = env::var(SETUP) else { return };
    let setup: Setup = serde_json::from_str(&setup).unwrap();
    // The line that the test's own name stands on is over.
    println!();
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    runtime.block_on(async {
        // Whoever forgets to kill it does not keep it.
        drop(tokio::time::timeout(Duration::from_secs(30), serve(setup)).await);
    });
}

/// What the shop that is killed needs.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Setup {
    url: String,
    folder: PathBuf,
    now: i64,
    seed: u64,
    /// What was said before, and is said again.
    unanswered: Vec<Saying>,
}

/// What a guest says when they pay: enough to say the very same again.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Saying {
    form: String,
    kind: usize,
    count: u32,
    once: bool,
    pub checkout: CheckoutId,
    revision: u64,
    pub minor: i64,
    key: String,
}

/// What a guest was told.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Answer {
    key: String,
    status: String,
    order: Option<OrderId>,
}

impl Saying {
    pub fn key(&self) -> &str {
        &self.key
    }

    fn basket(kind: usize, count: u32, once: bool) -> Basket {
        let wishes = bottles(kind, count);
        if once { wishes.code("once").into() } else { wishes.into() }
    }
}

/// A clock that is set, and goes on by itself.
#[derive(Clone, Debug)]
pub struct Later(pub Arc<AtomicI64>, Instant);

impl Later {
    pub fn at(now: i64) -> Self {
        Self(Arc::new(AtomicI64::new(now)), Instant::now())
    }
}

impl Env for Later {
    fn now(&self) -> UnixTime {
        UnixTime::from_secs(self.0.load(Ordering::Relaxed)).plus_s(self.1.elapsed().as_secs())
    }

    fn fill(&self, bytes: &mut [u8]) {
        firsthand::env::SystemEnv.fill(bytes);
    }
}

pub fn merchant(store: impl Store + Clone, folder: &Path, clock: Later) -> Merchant {
    let keys = Keys::from_pem(&fs::read_to_string(folder.join("keys.pem")).unwrap()).unwrap();
    let shelf = Shelf::new(store.clone());
    Merchant::builder("https://shop.example".parse().unwrap())
        .keys(keys)
        .store(store)
        .env(clock)
        .rail(rail::Folder::at(&folder.join("rail")))
        .trade(trade(&shelf))
        .build()
        .unwrap()
}

async fn serve(setup: Setup) {
    let clock = Later::at(setup.now);
    let merchant = if setup.url.starts_with("sqlite") {
        merchant(Sqlite::connect(&setup.url).await.unwrap(), &setup.folder, clock)
    } else {
        merchant(Postgres::connect(&setup.url).await.unwrap(), &setup.folder, clock)
    };
    let tending = merchant.clone();
    tokio::spawn(async move {
        loop {
            drop(tending.bring_orders_up_to_date().await);
            drop(tending.bring_checkouts_up_to_date().await);
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    });
    let unanswered = Arc::new(Mutex::new(setup.unanswered));
    let turn = Arc::new(AtomicU64::new(0));
    let mut guests = tokio::task::JoinSet::new();
    for _ in 0..GUESTS {
        let (merchant, unanswered, turn) = (merchant.clone(), unanswered.clone(), turn.clone());
        guests.spawn(async move {
            loop {
                let again = unanswered.lock().unwrap().pop();
                let turn = turn.fetch_add(1, Ordering::Relaxed);
                pay(&merchant, again, setup.seed.wrapping_mul(1_000).wrapping_add(turn), &print).await;
            }
        });
    }
    guests.join_all().await;
}

/// A guest buys: as said before, or something new. A payment that is declined is tried once more, under another key. What they
/// say and are told goes to `tell`, line by line.
pub async fn pay(merchant: &Merchant, again: Option<Saying>, number: u64, tell: &(dyn Fn(String) + Send + Sync)) {
    let (form, kind, count, once) = match &again {
        Some(said) => (said.form.clone(), said.kind, said.count, said.once),
        None => {
            let count = 1 + u32::from(number.is_multiple_of(3));
            (merchant.guest_form(), (number % 4) as usize, count, number.is_multiple_of(10))
        }
    };
    let Ok(begun) = merchant.check_out_as_guest(&Saying::basket(kind, count, once), &form).await else { return };
    let mut checkout = begun.checkout;
    for attempt in 0..2 {
        let said = match &again {
            Some(said) if attempt == 0 => said.clone(),
            _ => Saying {
                form: form.clone(),
                kind,
                count,
                once,
                checkout: checkout.id().clone(),
                revision: checkout.revision(),
                minor: checkout.offering().totals.total.minor(),
                key: format!("key-{number}-{attempt}"),
            },
        };
        let total = Money::new(said.minor, Currency::EUR).unwrap();
        let completion = Completion::new(said.revision, total).by(rail::ID);
        // A guest knows what they say before they have said it.
        tell(line("said", &said));
        let done = checkout.complete(&completion, &key(&said.key)).await;
        let status = done.as_ref().map_or_else(|error| error.code(), |done| done.status().name()).to_owned();
        let mut answer = Answer { key: said.key, status, order: None };
        match done {
            Ok(done) => {
                answer.order = match done.order().await {
                    Err(error) if error.fault() == Fault::Operations => return,
                    order => order.ok().flatten().map(|order| order.id().clone()),
                };
                checkout = done;
            }
            Err(error) if error.code() == "checkout_in_progress" => return tell(line("told", &answer)),
            // The shop cannot, and does not say what came of it: as no answer at all.
            Err(error) if error.fault() == Fault::Operations => return,
            Err(_) => {}
        }
        let is_over = answer.status != "ready_for_complete";
        tell(line("told", &answer));
        if is_over {
            return;
        }
    }
}

fn line(what: &str, it: &impl Serialize) -> String {
    format!("{what} {}\n", serde_json::to_string(it).unwrap())
}

fn print(line: String) {
    let mut out = std::io::stdout().lock();
    out.write_all(line.as_bytes()).and_then(|()| out.flush()).expect("somebody listens");
}

/// What all guests said and were told, over all kills.
#[derive(Debug, Default)]
pub struct Known {
    pub said: BTreeMap<String, Saying>,
    pub unanswered: BTreeMap<String, Saying>,
    /// The order of each key whose completion was acknowledged.
    pub orders: BTreeMap<String, OrderId>,
    pub again: usize,
    pub statuses: BTreeMap<String, usize>,
}

impl Known {
    /// What nobody answered; and some of what was, as a browser does that is opened again.
    fn to_say_again(&self, seed: u64) -> Vec<Saying> {
        let answered = self.orders.keys().skip((seed >> 7) as usize % self.orders.len().max(1)).take(2);
        self.unanswered.values().chain(answered.map(|key| &self.said[key])).cloned().collect()
    }

    pub fn hears(&mut self, line: &str) {
        if let Some(said) = line.strip_prefix("said ") {
            let said: Saying = serde_json::from_str(said).unwrap();
            let before = self.said.insert(said.key.clone(), said.clone());
            assert!(before.is_none_or(|before| before == said), "one key, one thing said");
            self.unanswered.insert(said.key.clone(), said);
        } else if let Some(told) = line.strip_prefix("told ") {
            let Answer { key, status, order } = serde_json::from_str(told).unwrap();
            self.unanswered.remove(&key);
            assert_eq!(status == "completed", order.is_some(), "{key} is {status}, with {order:?}");
            if let Some(order) = order {
                let before = self.orders.insert(key.clone(), order.clone());
                self.again += usize::from(before.is_some());
                assert!(before.is_none_or(|before| before == order), "{key} made another order: {order}");
            }
            *self.statuses.entry(status).or_default() += 1;
        }
    }
}

/// Kills a shop again and again, and audits its books each time.
async fn survive(name: &str, folder: Folder, url: String) {
    let kills = number("FIRSTHAND_CRASH_KILLS").unwrap_or(10);
    let seed =
        number("FIRSTHAND_CRASH_SEED").unwrap_or_else(|| firsthand::env::SystemEnv.now().as_secs().unsigned_abs());
    println!("{name}: {kills} kills, FIRSTHAND_CRASH_SEED={seed}");
    let began = Instant::now();
    fs::write(folder.path().join("keys.pem"), TestShop::new().keys_file().to_pem()).unwrap();
    fill(&url).await;
    let rail = rail::Folder::at(&folder.path().join("rail"));
    let mut known = Known::default();
    let (mut cut_off, mut in_progress, mut now) = (0, 0, BEGIN);
    for kill in 0..kills {
        now += i64::try_from(LATER_S).unwrap();
        let seed = seed.wrapping_add(kill).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        let setup = Setup {
            url: url.clone(),
            folder: folder.path().to_owned(),
            now,
            seed: seed >> 32,
            unanswered: known.to_say_again(seed),
        };
        let (words, life) = (1 + (seed >> 17) % LIFE_WORDS, Duration::from_millis((seed >> 23) % LIFE_MS));
        let lines = tokio::task::spawn_blocking(move || live_and_die(&setup, words, life)).await.unwrap();
        lines.iter().for_each(|line| known.hears(line));
        cut_off += usize::from(!known.unanswered.is_empty());
        let books = Books::read(&url).await;
        in_progress += books.audit(&known, &rail);
    }

    // Another process, much later, brings all of it up to date.
    let clock = Later::at(now);
    let merchant = if url.starts_with("sqlite") {
        merchant(Sqlite::connect(&url).await.unwrap(), folder.path(), clock.clone())
    } else {
        merchant(Postgres::connect(&url).await.unwrap(), folder.path(), clock.clone())
    };
    let left = Books::read(&url).await.audit(&known, &rail);
    for _ in 0..4 {
        clock.0.fetch_add(3_700, Ordering::Relaxed);
        while merchant.bring_orders_up_to_date().await.unwrap() > 0 {}
        merchant.bring_checkouts_up_to_date().await.unwrap();
    }
    let books = Books::read(&url).await;
    books.audit(&known, &rail);
    let sold = books.is_at_rest(&rail);
    assert!(rail.told_twice().is_empty(), "{:?}", rail.told_twice());
    println!(
        "{name}: {kills} kills, after {cut_off} of them somebody waited for an answer; {} sayings, {} orders acknowledged, {} of \
         them again; checkouts in progress found after kills: {in_progress}, {left} in the end, all settled; {sold} bottles \
         sold, none lost or held; answers: {:?}; doubles: 0; {:.1} s",
        known.said.len(),
        known.orders.len(),
        known.again,
        known.statuses,
        began.elapsed().as_secs_f64(),
    );
    let happened = [known.orders.len(), known.again, cut_off, in_progress];
    assert!(happened.iter().all(|count| *count > 0), "{happened:?}: something was never tried");
}

/// Starts the shop, lets it live for so many words of its guests and a little longer, and kills it. What was said by then.
fn live_and_die(setup: &Setup, words: u64, life: Duration) -> Vec<String> {
    let mut shop: Child = Command::new(env::current_exe().unwrap())
        .args(["kills::the_shop_that_is_killed", "--exact", "--nocapture", "--test-threads=1"])
        .env(SETUP, serde_json::to_string(setup).unwrap())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let out = BufReader::new(shop.stdout.take().unwrap());
    let (enough, is_enough) = std::sync::mpsc::channel();
    let reader = thread::spawn(move || {
        let mut lines = Vec::new();
        // The last line may be half a line: then it was not said.
        for line in out.split(b'\n') {
            let line = String::from_utf8(line.unwrap()).unwrap();
            if line.ends_with('}') && (line.starts_with("said ") || line.starts_with("told ")) {
                lines.push(line);
            }
            if lines.len() as u64 == words {
                enough.send(()).ok();
            }
        }
        lines
    });
    let spoke = is_enough.recv_timeout(Duration::from_secs(60));
    thread::sleep(life);
    shop.kill().unwrap();
    shop.wait().unwrap();
    spoke.expect("the shop begins to sell");
    reader.join().unwrap()
}

pub async fn fill(url: &str) {
    let now = UnixTime::from_secs(BEGIN);
    if url.starts_with("sqlite") {
        stock(&Shelf::new(Sqlite::connect(url).await.unwrap()), now).await;
    } else {
        stock(&Shelf::new(Postgres::connect(url).await.unwrap()), now).await;
    }
}

pub async fn stock(shelf: &Shelf, now: UnixTime) {
    for name in BOTTLES {
        shelf.stock(name, THERE_ARE, now).await.unwrap();
    }
}

/// A folder that goes with the test.
pub struct Folder(PathBuf);

impl Folder {
    pub fn new(name: &str) -> Self {
        let path = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(format!("checkouts-{name}-{}", std::process::id()));
        fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    pub fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        drop(fs::remove_dir_all(&self.0));
    }
}
