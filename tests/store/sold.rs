//! A sale in the merchant's own transaction: their stock and our order are one commit.

use firsthand::{
    Error, Merchant, Money,
    error::Refusal,
    merchant::{GuestOrder, Pending},
    money::{Currency, Quantity},
    order::{Draft, OrderState},
    rail::Sepa,
    testing::TestShop,
};

use super::*;

const TABLES: &str = "CREATE TABLE stock (item TEXT NOT NULL PRIMARY KEY, left_over INTEGER NOT NULL);
     INSERT INTO stock VALUES ('wine', 1);
     CREATE TABLE customers (id INTEGER NOT NULL PRIMARY KEY, orders INTEGER NOT NULL);
     INSERT INTO customers VALUES (1, 0);";
const TAKE: &str = "UPDATE stock SET left_over = left_over - 1 WHERE item = 'wine' AND left_over > 0";
const LEFT: &str = "SELECT left_over FROM stock WHERE item = 'wine'";

fn shop(store: impl Store) -> TestShop {
    let sepa = Sepa::new("Blatt und Rebe", "DE89370400440532013000").unwrap();
    TestShop::with(|shop| shop.store(store).rail(sepa))
}

async fn bottle(merchant: &Merchant, form: &str) -> Pending<GuestOrder> {
    let price = Money::parse("28.50", Currency::EUR).unwrap();
    let draft = Draft::new(Currency::EUR).line("etna", "Etna Rosso", price, Quantity::new(1).unwrap());
    merchant.place_as_guest(draft, form).await.unwrap()
}

/// A bottle is sold once, is not sold when there is none, and a sale that is rolled back never was.
macro_rules! sells_in_one_commit {
    ($pool:expr, $store:expr, $begin:expr) => {{
        let (pool, store) = ($pool, $store);
        let shop = shop(store.clone());
        let merchant = shop.merchant();

        // Rolled back: neither stock nor order, and no rail is called for what never was.
        let form = merchant.guest_form();
        let pending = bottle(merchant, &form).await;
        let mut tx = $begin(&pool).await;
        assert_eq!(sqlx::query(TAKE).execute(&mut *tx).await.unwrap().rows_affected(), 1);
        let provisional = store.commit_in(&mut tx, pending).await.unwrap();
        tx.rollback().await.unwrap();
        let never = provisional.after_commit();
        let refused = never.order.pay("sepa").await.unwrap_err();
        assert!(matches!(refused, Error::Refused(Refusal::NoSuchOrder)), "{refused}");
        assert!(merchant.guest_order(&never.link).await.is_err());
        assert_eq!(sqlx::query_scalar::<_, i32>(LEFT).fetch_one(&pool).await.unwrap(), 1);

        // Committed: both, and the same form again is the same order.
        let pending = bottle(merchant, &form).await;
        assert!(pending.is_new());
        let mut tx = $begin(&pool).await;
        sqlx::query(TAKE).execute(&mut *tx).await.unwrap();
        sqlx::query("UPDATE customers SET orders = orders + 1").execute(&mut *tx).await.unwrap();
        let provisional = store.commit_in(&mut tx, pending).await.unwrap();
        tx.commit().await.unwrap();
        let sold = provisional.after_commit();
        let order = sold.order.pay("sepa").await.unwrap();
        assert_eq!(order.state(), OrderState::Paying);
        let again = bottle(merchant, &form).await;
        assert!(!again.is_new(), "its stock was taken then");
        let again = again.commit().await.unwrap();
        assert_eq!(again.order.id(), order.id());
        assert_eq!(sqlx::query_scalar::<_, i32>(LEFT).fetch_one(&pool).await.unwrap(), 0);

        // Somebody else was first with the same form: nothing of ours remains, and the transaction goes on.
        let form = merchant.guest_form();
        let [first, second] = [bottle(merchant, &form).await, bottle(merchant, &form).await];
        first.commit().await.unwrap();
        let mut tx = $begin(&pool).await;
        let refused = store.commit_in(&mut tx, second).await.unwrap_err();
        assert!(matches!(refused, Error::Refused(Refusal::Overtaken)), "{refused}");
        sqlx::query("UPDATE customers SET orders = orders + 1").execute(&mut *tx).await.unwrap();
        tx.commit().await.unwrap();
        let orders: i32 = sqlx::query_scalar("SELECT orders FROM customers").fetch_one(&pool).await.unwrap();
        assert_eq!(orders, 2);

        // A step of another store is refused before anything is written.
        let elsewhere = TestShop::new();
        let foreign = bottle(elsewhere.merchant(), &elsewhere.merchant().guest_form()).await;
        let mut tx = $begin(&pool).await;
        let refused = store.commit_in(&mut tx, foreign).await.unwrap_err();
        assert!(matches!(refused, Error::Unavailable { .. }), "{refused}");
        tx.rollback().await.unwrap();
        order
    }};
}

#[tokio::test]
async fn sqlite_sells_the_last_bottle_in_one_commit() {
    let folder = Folder::new();
    let options = SqliteConnectOptions::from_str(&folder.database()).unwrap().create_if_missing(true);
    let pool = SqlitePool::connect_with(options.journal_mode(SqliteJournalMode::Wal)).await.unwrap();
    sqlx::raw_sql(TABLES).execute(&pool).await.unwrap();
    let store = Sqlite::new(pool.clone()).await.unwrap();
    let begin = async |pool: &SqlitePool| pool.begin_with("BEGIN IMMEDIATE").await.unwrap();
    sells_in_one_commit!(pool, store, begin);
}

#[tokio::test]
async fn postgres_sells_the_last_bottle_in_one_commit_and_shows_it_to_reports() {
    let Some(cluster) = cluster() else { return left_out("a sale in one commit") };
    let pool = PgPool::connect(&cluster.database()).await.unwrap();
    sqlx::raw_sql(TABLES).execute(&pool).await.unwrap();
    let store = Postgres::new(pool.clone()).await.unwrap();
    let begin = async |pool: &PgPool| pool.begin().await.unwrap();
    let order = sells_in_one_commit!(pool.clone(), store, begin);
    let rows: Vec<(String, Option<String>, String, i64, i64, i64)> = sqlx::query_as(
        "SELECT reference, customer, state, total_minor, settled_minor, owed_minor FROM firsthand.orders_v1 WHERE id = $1",
    )
    .bind(order.id().as_str())
    .fetch_all(&pool)
    .await
    .unwrap();
    assert_eq!(rows, [(order.reference().as_str().to_owned(), None, "paying".to_owned(), 2850, 0, 0)]);
}
