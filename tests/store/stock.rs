//! Stock counted in each of the stores, by two nodes that know nothing of each other.

use std::time::Instant;

use firsthand::{
    OrderId,
    money::Quantity,
    testing::trade::inventory_conformance,
    trade::{Held, Hold, Inventory, Shelf, TradeError},
};

use super::*;

/// One shop on two nodes: each thing that is said goes to the other one.
#[derive(Clone, Debug)]
struct Nodes {
    shelves: [Shelf; 2],
    said: Arc<AtomicU32>,
}

impl Nodes {
    async fn new(stores: [impl Store; 2], items: &[(&str, u32)]) -> Self {
        let nodes = Self { shelves: stores.map(Shelf::new), said: Arc::default() };
        for (item, count) in items {
            nodes.node().stock(item, *count, NOW).await.unwrap();
        }
        nodes
    }

    fn node(&self) -> &Shelf {
        &self.shelves[(self.said.fetch_add(1, Ordering::Relaxed) % 2) as usize]
    }
}

impl Inventory for Nodes {
    async fn hold(&self, hold: &Hold) -> Result<Held, TradeError> {
        self.node().hold(hold).await
    }

    async fn sell(&self, hold: &Hold) -> Result<Held, TradeError> {
        self.node().sell(hold).await
    }

    async fn free(&self, order: &OrderId, now: UnixTime) -> Result<(), TradeError> {
        self.node().free(order, now).await
    }

    async fn left(&self, items: &[String], now: UnixTime) -> Result<Vec<Option<u32>>, TradeError> {
        self.node().left(items, now).await
    }

    async fn tidy(&self, now: UnixTime) -> Result<(), TradeError> {
        self.node().tidy(now).await
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn row_115_no_more_is_sold_than_there_is_in_sqlite() {
    let folder = Folder::new();
    let connect = async |url: String| [Sqlite::connect(&url).await.unwrap(), Sqlite::connect(&url).await.unwrap()];
    inventory_conformance(async |items| Nodes::new(connect(folder.database()).await, items).await).await;
    rush("SQLite", Nodes::new(connect(folder.database()).await, &[("a", 100)]).await).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn row_115_no_more_is_sold_than_there_is_in_postgres() {
    let Some(cluster) = cluster() else { return left_out("the rules of an inventory") };
    let connect = async |url: String| [Postgres::connect(&url).await.unwrap(), Postgres::connect(&url).await.unwrap()];
    inventory_conformance(async |items| Nodes::new(connect(cluster.database()).await, items).await).await;
    rush("PostgreSQL", Nodes::new(connect(cluster.database()).await, &[("a", 100)]).await).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn row_115_no_more_is_sold_than_there_is_in_memory() {
    let store = Memory::new();
    rush("memory", Nodes::new([store.clone(), store], &[("a", 100)]).await).await;
}

/// 64 buyers want all of a hundred pieces, one by one, and each piece is sold once. Says how long that took.
async fn rush(store: &str, nodes: Nodes) {
    let began = Instant::now();
    let mut buyers = JoinSet::new();
    for buyer in 0..64_u64 {
        let nodes = nodes.clone();
        buyers.spawn(async move {
            let (mut bought, mut longest) = (0_u32, std::time::Duration::ZERO);
            for visit in 0_u64.. {
                let order = OrderId::from_random(u128::from(buyer << 32 | visit).to_be_bytes());
                let items = vec![("a".to_owned(), Quantity::new(1).unwrap())];
                let one = Hold::new(order, items, NOW.plus_s(900), NOW);
                let began = Instant::now();
                let held = nodes.hold(&one).await.unwrap();
                longest = longest.max(began.elapsed());
                if held != Held::All {
                    break;
                }
                assert_eq!(nodes.sell(&one).await.unwrap(), Held::All);
                bought += 1;
            }
            (bought, longest)
        });
    }
    let bought = buyers.join_all().await;
    let sold: u32 = bought.iter().map(|(bought, _)| bought).sum();
    let longest = bought.iter().map(|(_, longest)| *longest).max();
    println!("{store}: {sold} sold to 64 at once in {:?}, the longest hold in {longest:?}", began.elapsed());
    assert_eq!(sold, 100);
    assert_eq!(nodes.left(&["a".to_owned()], NOW).await.unwrap(), [Some(0)]);
}
