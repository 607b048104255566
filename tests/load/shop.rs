//! The shop that is under load: a merchant as in production, in a process of its own that ends with the one that started it.

use std::{
    env,
    io::{Read as _, Write as _},
    time::{Duration, SystemTime},
};

use axum::{Router, routing::get};
use firsthand::{
    Keys, Merchant, Money, Trust,
    ask::PID,
    env::{Env, SystemEnv},
    merchant::MerchantBuilder,
    money::Currency,
    store::{Postgres, Sqlite, Store},
    testing::{FakeRail, Network, TestShop},
    time::UnixTime,
    trade::{Item, Items, Shelf, Trade},
};
use firsthand_axum::{CustomerLayer, Known, routes};
use serde::{Deserialize, Serialize};
use tokio::net::TcpListener;
use url::Url;

/// Where the process is told what it needs.
pub const SETUP: &str = "FIRSTHAND_LOAD_SETUP";
/// What it says when it listens, before its address.
pub const OPEN: &str = "open at ";
/// The page of whoever is known.
pub const ACCOUNT: &str = "/account";
/// How many different things are sold: a shop in which not everybody wants the same.
pub const ITEMS: u64 = 200;
/// How many there are of each: enough for all.
const THERE_ARE: u32 = 1_000_000;

/// What a process needs to be that shop.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Setup {
    /// `sqlite:` or `postgres:`.
    pub url: String,
    pub keys_pem: String,
    /// The root of the issuer, and that of its status lists.
    pub roots_pem: [String; 2],
    pub status_uri: Url,
    pub status_list: String,
    pub clock: Going,
    /// Whether this process fills the shelf.
    pub stocks: bool,
}

/// The clock of all processes: a day that began at a moment of the machine's own clock.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub struct Going {
    first_s: i64,
    begun_ms: u64,
}

impl Going {
    pub fn from(first: UnixTime) -> Self {
        Self { first_s: first.as_secs(), begun_ms: machine_ms() }
    }
}

fn machine_ms() -> u64 {
    SystemTime::UNIX_EPOCH.elapsed().map_or(0, |since| since.as_millis() as u64)
}

impl Env for Going {
    fn now(&self) -> UnixTime {
        UnixTime::from_secs(self.first_s).plus_s(machine_ms().saturating_sub(self.begun_ms) / 1_000)
    }

    fn fill(&self, bytes: &mut [u8]) {
        SystemEnv.fill(bytes);
    }
}

impl Setup {
    /// A shop in the world of this one.
    pub fn of(shop: &TestShop, url: String, stocks: bool, clock: Going) -> Self {
        let (root, status_root) = shop.cast().roots_pem();
        Self {
            url,
            keys_pem: shop.keys_file().to_pem().to_string(),
            roots_pem: [root.to_owned(), status_root.to_owned()],
            status_uri: shop.status_uri().clone(),
            status_list: shop.cast().status_list(shop.clock().now()).expect("a status list"),
            clock,
            stocks,
        }
    }
}

/// Is the shop, where the environment says so: until the standard input ends. `false` if it says nothing.
pub fn serve() -> bool {
    let Ok(setup) = env::var(SETUP) else { return false };
    let setup: Setup = serde_json::from_str(&setup).expect("a set-up");
    // Whoever started it holds the other end, and it closes however they end.
    std::thread::spawn(|| {
        let _ = std::io::stdin().read_to_end(&mut Vec::new());
        std::process::exit(0);
    });
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().expect("a runtime");
    runtime.block_on(async {
        if setup.url.starts_with("sqlite") {
            let store = Sqlite::connect(&setup.url).await.expect("a file");
            open(store, &setup).await;
        } else {
            let store = Postgres::connect(&setup.url).await.expect("a database");
            open(store, &setup).await;
        }
    });
    true
}

async fn open(store: impl Store + Clone, setup: &Setup) {
    let shelf = Shelf::new(store.clone());
    if setup.stocks {
        for item in 0..ITEMS {
            shelf.stock(&item_id(item), THERE_ARE, setup.clock.now()).await.expect("a shelf");
        }
    }
    let merchant = merchant(setup, |shop| shop.store(store).trade(trade(&shelf)));
    let app = Router::new()
        .route(ACCOUNT, get(async |_known: Known| "Welcome back"))
        .merge(routes(&merchant))
        .layer(CustomerLayer::new(merchant.clone()));
    tokio::spawn(merchant.housekeeping());
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("an address");
    let mut out = std::io::stdout();
    // A line of its own: a test's name may stand before it.
    writeln!(out, "\n{OPEN}{address}").and_then(|()| out.flush()).expect("somebody listens");
    axum::serve(listener, app).await.expect("a shop that stays open");
}

fn merchant(setup: &Setup, set_up: impl FnOnce(MerchantBuilder) -> MerchantBuilder) -> Merchant {
    let [root, status_root] = &setup.roots_pem;
    let network = Network::new();
    network.serve_for(&setup.status_uri, "application/statuslist+jwt", setup.status_list.clone(), DAY.as_secs());
    let builder = Merchant::builder(Url::parse("https://shop.example").expect("a URL"))
        .keys(Keys::from_pem(&setup.keys_pem).expect("keys"))
        .trust(Trust::new().roots_with_status(root, status_root, &[PID]).expect("roots"))
        .fetch(network)
        .env(setup.clock)
        .wallet("Test Wallet", "https://wallet.example/authorize")
        .rail(FakeRail::new())
        .ask(&TestShop::age())
        .ask(&TestShop::address());
    set_up(builder).build().expect("a shop")
}

const DAY: Duration = Duration::from_secs(86_400);

/// Things that are not sent, so that a checkout takes no more than its two requests.
fn trade(shelf: &Shelf) -> Trade {
    let price = Money::parse("9.90", Currency::EUR).expect("a price");
    let items = (0..ITEMS).map(|item| Item::new(item_id(item), "A book as a file", price));
    Trade::new(Currency::EUR, Items::new(items).expect("items")).inventory(shelf.clone())
}

pub fn item_id(number: u64) -> String {
    format!("book-{number}")
}
