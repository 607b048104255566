//! Sixty-four buyers and a hundred bottles.

use std::{
    collections::BTreeSet,
    sync::Arc,
    time::{Duration, Instant},
};

use firsthand::{
    Merchant,
    checkout::Status,
    merchant::Checkout,
    order::{OrderId, OrderState},
    store::{Memory, Postgres, Sqlite, Store},
    testing::{FakeRail, TestShop},
    trade::Shelf,
};
use firsthand_tests::postgres::{durable_cluster, left_out};
use tokio::{sync::Barrier, task::JoinSet};

use crate::{BOTTLES, all_of, bottles, key, number, trade};

const BUYERS: u64 = 64;
const THERE_ARE: u32 = 100;
/// How often somebody tries again whom the shop told to.
const PATIENCE: u32 = 200;

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn of_a_hundred_bottles_a_hundred_are_sold_in_memory() {
    sells_all("Memory", Memory::new()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn of_a_hundred_bottles_a_hundred_are_sold_over_sqlite() {
    let folder = crate::kills::Folder::new("load");
    let url = format!("sqlite://{}", folder.path().join("shop.sqlite").display());
    sells_all("SQLite", Sqlite::connect(&url).await.unwrap()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn of_a_hundred_bottles_a_hundred_are_sold_over_postgres() {
    let Some(cluster) = durable_cluster() else { return left_out("a sale over PostgreSQL") };
    sells_all("PostgreSQL", Postgres::connect(&cluster.database()).await.unwrap()).await;
}

/// What came of one attempt.
struct Bought {
    /// How long each call took.
    took: Vec<Duration>,
    order: Option<OrderId>,
}

async fn sells_all<S: Store + Clone>(name: &str, store: S) {
    let attempts = number("FIRSTHAND_LOAD_ATTEMPTS").unwrap_or(10 * BUYERS);
    let (rail, shelf) = (FakeRail::new(), Shelf::new(store.clone()));
    let shop = TestShop::with(|shop| shop.store(store).rail(rail.clone()).trade(trade(&shelf)));
    let merchant = shop.merchant();
    shelf.stock(BOTTLES[0], THERE_ARE, merchant.now()).await.unwrap();

    let began = Instant::now();
    let all_look = Arc::new(Barrier::new(BUYERS as usize));
    let mut buyers = JoinSet::new();
    for buyer in 0..BUYERS {
        let (merchant, all_look) = (merchant.clone(), all_look.clone());
        let share = attempts / BUYERS + u64::from(buyer < attempts % BUYERS);
        buyers.spawn(async move {
            let mut checkouts = Vec::new();
            for _ in 0..share {
                checkouts.push(begin(&merchant).await);
            }
            // Everybody has seen that there are some.
            all_look.wait().await;
            let mut bought = Vec::new();
            for checkout in checkouts {
                bought.push(buy(checkout).await);
            }
            bought
        });
    }
    let bought: Vec<Bought> = buyers.join_all().await.into_iter().flatten().collect();
    let took = began.elapsed();

    let orders: Vec<&OrderId> = bought.iter().filter_map(|bought| bought.order.as_ref()).collect();
    let calls: Vec<Duration> = bought.iter().flat_map(|bought| bought.took.iter().copied()).collect();
    let sold = bought.iter().filter(|bought| bought.order.is_some());
    let sold: Vec<Duration> = sold.filter_map(|bought| bought.took.last().copied()).collect();
    let untold = shelf.count(BOTTLES[0], merchant.now()).await.unwrap().held;
    println!(
        "{name}: {BUYERS} buyers, {} attempts, {} of {THERE_ARE} bottles sold in {:.1} s; {} completions: p50 {:.1} ms, p99 {:.1} \
         ms; the {} that bought: p50 {:.1} ms, p99 {:.1} ms; {untold} sales left to tell the shelf of",
        bought.len(),
        orders.len(),
        took.as_secs_f64(),
        calls.len(),
        percentile(&calls, 50),
        percentile(&calls, 99),
        sold.len(),
        percentile(&sold, 50),
        percentile(&sold, 99),
    );
    assert_eq!(bought.len() as u64, attempts);
    assert_eq!(orders.iter().collect::<BTreeSet<_>>().len(), THERE_ARE as usize, "each bottle is an order");
    assert_eq!(rail.calls(), THERE_ARE as usize, "nobody else was asked for money");
    // Whoever was too slow to tell the shelf what was sold leaves that to housekeeping.
    merchant.bring_checkouts_up_to_date().await.unwrap();
    let count = shelf.count(BOTTLES[0], merchant.now()).await.unwrap();
    assert_eq!((count.left, count.held), (0, 0));
    for order in orders {
        let order = merchant.order(order).await.unwrap().expect("an order that was acknowledged");
        assert_eq!((order.state(), rail.taken_minor(order.id())), (OrderState::Paid, 1200));
    }
}

async fn begin(merchant: &Merchant) -> Checkout {
    let begun = merchant.check_out_as_guest(&bottles(0, 1).into(), &merchant.guest_form()).await.unwrap();
    assert_eq!(begun.checkout.status(), Status::ReadyForComplete);
    begun.checkout
}

/// Completes a checkout, and again where the shop says that it is worth it, until it is sold or sold out.
async fn buy(mut checkout: Checkout) -> Bought {
    let mut bought = Bought { took: Vec::new(), order: None };
    for turn in 0..PATIENCE {
        let begun = Instant::now();
        let done = checkout.complete(&all_of(&checkout, FakeRail::ID), &key(&format!("turn-{turn}"))).await;
        bought.took.push(begun.elapsed());
        checkout = match done {
            Ok(done) => done,
            // Too many at once: nothing happened, and it may be said again.
            Err(error) if error.code() == "overtaken" => checkout.reload().await.unwrap(),
            Err(error) => panic!("{error}"),
        };
        let codes: Vec<&str> = checkout.messages().map(|message| message.code.as_str()).collect();
        match checkout.status() {
            Status::Completed => {
                bought.order = checkout.order().await.unwrap().map(|order| order.id().clone());
                return bought;
            }
            Status::Incomplete if codes.contains(&"out_of_stock") => return bought,
            // What is held for somebody else may be let go again, and what nobody could count is counted later.
            Status::ReadyForComplete if codes.contains(&"out_of_stock") || codes.contains(&"stock_unknown") => {}
            status => panic!("{status:?}: {codes:?}"),
        }
    }
    panic!("never told whether there is one");
}

/// In milliseconds.
fn percentile(times: &[Duration], percent: usize) -> f64 {
    let mut sorted = times.to_vec();
    sorted.sort();
    let at = (sorted.len() * percent / 100).min(sorted.len().saturating_sub(1));
    sorted.get(at).map_or(0.0, |time| time.as_secs_f64() * 1e3)
}
