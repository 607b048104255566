//! What an order costs, and a checkout that becomes one, beside the bare commits that they cannot do without: the same
//! writes, of the same size, to the same store, in turns.
//!
//! `cargo bench -p firsthand-tests --bench orders` prints the table; `-- --check` fails if a target is missed, and
//! `-- --orders 200` takes that many orders for each row, `-- --calls` tells what one asks of the store, call by call.

use std::{
    env,
    io::Write as _,
    path::{Path, PathBuf},
    process::ExitCode,
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use firsthand::{
    Merchant, Money,
    checkout::{Status, Wishes},
    merchant::{Basket, Completion},
    money::{Currency, Quantity},
    order::{Address, Draft},
    rail::Sepa,
    store::{Expect, Key, Memory, Postgres, Prefix, Record, Sqlite, Store, StoreError, Stored, Version, Write},
    testing::{FakeRail, TestShop},
    time::UnixTime,
    trade::{FlatRates, Item, Items, Shelf, Trade, Way},
};
use firsthand_tests::postgres;
use tokio::{runtime::Runtime, task::JoinSet};

/// Orders at least half as fast as the bare commits that they are made of.
const TARGET: f64 = 0.5;
/// Orders of one turn; as many bare ones follow.
const TURN: usize = 10;

fn main() -> ExitCode {
    let given: Vec<String> = env::args().skip(1).collect();
    let orders = given.iter().position(|arg| arg == "--orders").and_then(|at| given.get(at + 1)?.parse().ok());
    let orders: usize = orders.unwrap_or(400);
    let runtime = Runtime::new().expect("a runtime");
    let folder = folder();
    let mut out = std::io::stdout();
    let mut missed = Vec::new();
    for sold in [Sold::ByForm, Sold::ByCheckout] {
        let _ = writeln!(out, "{}", sold.title());
        let _ = writeln!(out, "{orders} orders a row, in turns with the same commits bare. Times in milliseconds.\n");
        let _ = writeln!(
            out,
            "{:<24} {:>7} {:>9} {:>9} {:>6} {:>15} {:>15} {:>15}",
            "store", "clients", "orders/s", "bare/s", "ratio", "order p50 p99", "bare p50 p99", "pay p50 p99"
        );
        if given.iter().any(|arg| arg == "--calls") {
            let measured = runtime.block_on(measure(sold, Memory::new(), 1, 1));
            let _ = writeln!(out, "{}\n", measured.calls.join("\n"));
            continue;
        }
        table(sold, orders, &runtime, &folder, &mut missed);
        let _ = writeln!(out);
    }
    if postgres::durable_cluster().is_none() {
        let _ = writeln!(out, "left out, for PostgreSQL is not installed: its rows");
    }
    let _ = std::fs::remove_dir_all(folder);
    let _ = writeln!(out, "The ratio is that of the sums of all times; paying is a part of the order.");
    for target in &missed {
        let _ = writeln!(out, "MISSED  {target}");
    }
    if given.iter().any(|arg| arg == "--check") && !missed.is_empty() { ExitCode::FAILURE } else { ExitCode::SUCCESS }
}

/// How something is sold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Sold {
    ByForm,
    ByCheckout,
}

impl Sold {
    const fn title(self) -> &'static str {
        match self {
            Self::ByForm => "A guest's order: placed with an address, and a transfer asked for; three commits.",
            Self::ByCheckout => {
                "A guest's checkout: begun with an address, completed and paid, of stock that is counted; six commits, two of \
                 them by the shelf."
            }
        }
    }

    const fn commits(self) -> usize {
        match self {
            // Placed, the payment begun, and what the rail said.
            Self::ByForm => 3,
            // Begun, agreed, held, placed with its payment begun, completed with what the rail said, sold.
            Self::ByCheckout => 6,
        }
    }
}

fn table(sold: Sold, orders: usize, runtime: &Runtime, folder: &Path, missed: &mut Vec<String>) {
    let mut out = std::io::stdout();
    let mut row = |name: &str, clients: usize, measured: Measured| {
        let ratio = measured.ratio();
        if name == "memory" && clients == 1 {
            let _ = writeln!(
                out,
                "{:<24} one writes {} records, and reads {} times",
                "",
                measured.writes,
                measured.reads()
            );
        }
        let _ = writeln!(
            out,
            "{name:<24} {clients:>7} {:>9.0} {:>9.0} {ratio:>6.2} {:>7.2} {:>7.2} {:>7.2} {:>7.2} {:>7.2} {:>7.2}",
            measured.orders.per_second(clients),
            measured.bare.per_second(clients),
            measured.orders.percentile(50),
            measured.orders.percentile(99),
            measured.bare.percentile(50),
            measured.bare.percentile(99),
            measured.paying.percentile(50),
            measured.paying.percentile(99),
        );
        if ratio < TARGET && name != "memory" {
            missed.push(format!("{sold:?}, {name}, {clients} clients: {ratio:.2} < {TARGET}"));
        }
    };
    for clients in [1, 8] {
        row("memory", clients, runtime.block_on(measure(sold, Memory::new(), orders, clients)));
        let url = format!("sqlite://{}", folder.join(format!("{sold:?}-{clients}.sqlite")).display());
        let sqlite = runtime.block_on(Sqlite::connect(&url)).expect("a file");
        row("SQLite, synchronous=FULL", clients, runtime.block_on(measure(sold, sqlite, orders, clients)));
        if let Some(cluster) = postgres::durable_cluster() {
            let store = runtime.block_on(Postgres::connect(&cluster.database())).expect("a database");
            row("PostgreSQL, fsync=on", clients, runtime.block_on(measure(sold, store, orders, clients)));
        }
    }
}

/// How long each of many things took.
#[derive(Default)]
struct Times(Vec<Duration>);

impl Times {
    fn total(&self) -> f64 {
        self.0.iter().sum::<Duration>().as_secs_f64()
    }

    fn per_second(&self, clients: usize) -> f64 {
        self.0.len() as f64 * clients as f64 / self.total()
    }

    fn percentile(&self, percent: usize) -> f64 {
        let mut sorted = self.0.clone();
        sorted.sort();
        let at = (sorted.len() * percent / 100).min(sorted.len().saturating_sub(1));
        sorted.get(at).map_or(0.0, |time| time.as_secs_f64() * 1e3)
    }
}

struct Measured {
    orders: Times,
    bare: Times,
    /// The part of an order that is asked for with a payment.
    paying: Times,
    /// How many records one order writes, and all that it asks of the store.
    writes: usize,
    calls: Vec<String>,
}

impl Measured {
    /// How fast orders are, for bare commits at 1.
    fn ratio(&self) -> f64 {
        self.bare.total() / self.orders.total()
    }

    fn reads(&self) -> usize {
        self.calls.iter().filter(|call| !call.starts_with(COMMIT)).count()
    }
}

/// Orders and bare commits in turns, by so many clients at once.
async fn measure<S: Store + Clone>(sold: Sold, store: S, orders: usize, clients: usize) -> Measured {
    let recorder = Recorder { store: store.clone(), commits: Arc::default(), calls: Arc::default() };
    let sepa = Sepa::new("Blatt und Rebe", "DE89370400440532013000").expect("an account");
    let shelf = Shelf::new(recorder.clone());
    let shop = TestShop::with(|shop| {
        shop.store(recorder.clone()).rail(sepa).rail(FakeRail::new()).trade(trade(&shelf, clients))
    });
    let merchant = shop.merchant().clone();
    for item in 0..clients {
        shelf.stock(&tea(item), 1_000_000, merchant.now()).await.expect("a shelf");
    }
    recorder.commits.lock().expect("no panic").clear();
    recorder.told();
    sell(sold, &merchant, 0).await;
    let sample: Vec<Vec<Write>> = std::mem::take(&mut *recorder.commits.lock().expect("no panic"));
    assert_eq!(sample.len(), sold.commits(), "as many commits as are said above the table");
    let calls = recorder.told();
    let sample = Arc::new(sample);

    let mut measured = Measured {
        orders: Times::default(),
        bare: Times::default(),
        paying: Times::default(),
        writes: sample.iter().flatten().count(),
        calls,
    };
    let mut turn = 0_usize;
    while measured.orders.0.len() < orders {
        let even = turn.is_multiple_of(2);
        for is_order in [even, !even] {
            let mut tasks = JoinSet::new();
            for client in 0..clients {
                let (merchant, store, sample) = (merchant.clone(), store.clone(), sample.clone());
                tasks.spawn(async move {
                    let (mut times, mut paying) = (Vec::new(), Vec::new());
                    for n in 0..TURN {
                        let begun = Instant::now();
                        if is_order {
                            paying.push(sell(sold, &merchant, client).await);
                        } else {
                            bare(&store, &sample, &format!("{turn}-{client}-{n}"), merchant.now()).await;
                        }
                        times.push(begun.elapsed());
                    }
                    (times, paying)
                });
            }
            let measured_paying = &mut measured.paying.0;
            let times = if is_order { &mut measured.orders } else { &mut measured.bare };
            while let Some(done) = tasks.join_next().await {
                let (all, paying) = done.expect("no panic");
                times.0.extend(all);
                measured_paying.extend(paying);
            }
            recorder.commits.lock().expect("no panic").clear();
            recorder.told();
        }
        turn += 1;
    }
    measured
}

/// Sells something; how long paying took. Each client has an item of its own: how many wait for one is another question.
async fn sell(sold: Sold, merchant: &Merchant, client: usize) -> Duration {
    match sold {
        Sold::ByForm => order(merchant).await,
        Sold::ByCheckout => checkout(merchant, client).await,
    }
}

/// A guest's checkout, from the form to the order.
async fn checkout(merchant: &Merchant, client: usize) -> Duration {
    let wishes = Wishes::new().item(tea(client), Quantity::new(2).expect("a quantity"));
    let basket = Basket::from(wishes).deliver_to(address());
    let begun = merchant.check_out_as_guest(&basket, &merchant.guest_form()).await.expect("a checkout");
    let (checkout, key) = (begun.checkout, "once".parse().expect("a key"));
    let total = checkout.offering().totals.total;
    let completion = Completion::new(checkout.revision(), total).by(FakeRail::ID);
    let begun = Instant::now();
    let done = checkout.complete(&completion, &key).await.expect("an answer");
    assert_eq!(done.status(), Status::Completed);
    begun.elapsed()
}

fn trade(shelf: &Shelf, items: usize) -> Trade {
    let price = |text| Money::parse(text, Currency::EUR).expect("a price");
    let sencha = |item| Item::new(tea(item), "Sencha, 100 g", price("14.80")).sent(120);
    let items = Items::new((0..items).map(sencha)).expect("a catalogue");
    let parcel = Way::new("parcel", "Parcel", price("4.90"));
    Trade::new(Currency::EUR, items).inventory(shelf.clone()).shipping(FlatRates::new().way(parcel, &["DE"], 20_000))
}

fn tea(item: usize) -> String {
    format!("sencha-{item}")
}

fn address() -> Address {
    Address {
        name: "Erika Mustermann".to_owned(),
        street: "Heidestraße 17".to_owned(),
        postal_code: "51147".to_owned(),
        locality: "Köln".to_owned(),
        country: "DE".to_owned(),
    }
}

/// A guest's order, from the form to the transfer that is asked for.
async fn order(merchant: &Merchant) -> Duration {
    let price = Money::parse("14.80", Currency::EUR).expect("a price");
    let quantity = Quantity::new(2).expect("a quantity");
    let draft = Draft::new(Currency::EUR)
        .line("sencha", "Sencha, 100 g", price, quantity)
        .line("assam", "Assam, 100 g", price, quantity)
        .deliver_to(address());
    let pending = merchant.place_as_guest(draft, &merchant.guest_form()).await.expect("a draft");
    let placed = pending.commit().await.expect("an order");
    let begun = Instant::now();
    placed.order.pay("sepa").await.expect("a transfer");
    begun.elapsed()
}

/// The same writes under other names, and nothing else.
async fn bare(store: &impl Store, sample: &[Vec<Write>], name: &str, now: UnixTime) {
    let other = |key: &Key| Key { partition: format!("{}{name}", key.partition), ..key.clone() };
    for commit in sample {
        let writes: Vec<Write> = commit
            .iter()
            .map(|write| match write {
                Write::Put { key, record, .. } => Write::put(other(key), Record::clone(record), Expect::Any),
                Write::Delete { key, .. } => Write::delete(other(key), Expect::Any),
                Write::Check { key, .. } => Write::check(other(key), Expect::Any),
            })
            .collect();
        store.commit(&writes, now).await.expect("a commit");
    }
}

/// A store that remembers what was committed to it.
#[derive(Clone, Debug)]
struct Recorder<S> {
    store: S,
    commits: Arc<Mutex<Vec<Vec<Write>>>>,
    calls: Arc<Mutex<Vec<String>>>,
}

const COMMIT: &str = "commit";

impl<S> Recorder<S> {
    fn note(&self, call: &str, kinds: impl Iterator<Item = &'static str>) {
        let call = format!("{call:<7} {}", kinds.collect::<Vec<_>>().join(", "));
        self.calls.lock().expect("no panic").push(call);
    }

    /// What was asked since this was called last.
    fn told(&self) -> Vec<String> {
        std::mem::take(&mut *self.calls.lock().expect("no panic"))
    }
}

impl<S: Store> Store for Recorder<S> {
    async fn load(&self, keys: &[Key], now: UnixTime) -> Result<Vec<Option<Stored>>, StoreError> {
        self.note("load", keys.iter().map(|key| key.kind));
        self.store.load(keys, now).await
    }

    async fn commit(&self, writes: &[Write], now: UnixTime) -> Result<Vec<Option<Version>>, StoreError> {
        self.note(COMMIT, writes.iter().map(|write| write.key().kind));
        self.commits.lock().expect("no panic").push(writes.to_vec());
        self.store.commit(writes, now).await
    }

    async fn scan(
        &self,
        prefix: &Prefix,
        after: Option<&str>,
        limit: usize,
        now: UnixTime,
    ) -> Result<Vec<(Key, Stored)>, StoreError> {
        self.note("scan", std::iter::once(prefix.kind));
        self.store.scan(prefix, after, limit, now).await
    }

    async fn sweep(&self, now: UnixTime, limit: usize) -> Result<usize, StoreError> {
        self.store.sweep(now, limit).await
    }
}

fn folder() -> PathBuf {
    let folder = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(format!("orders-{}", std::process::id()));
    std::fs::create_dir_all(&folder).expect("a folder");
    folder
}
