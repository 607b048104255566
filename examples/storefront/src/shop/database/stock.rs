//! What stands on the shelf. A product is taken from it in the transaction that places the order, and given back in the
//! one that ends it unpaid; both are done once, however often they are asked for.

use std::{collections::BTreeMap, fmt};

use super::{Database, Transaction};
use crate::shop::{
    cart::Line,
    catalogue::{CATALOGUE, Product},
};

/// How many of each product a new shop has.
const SEED: i64 = 24;
/// Those of which it has another number.
const SEED_BUT: [(&str, i64); 2] = [("pinot", 3), ("lapsang", 0)];

/// How many of each product stand on the shelf.
#[derive(Clone, Debug, Default)]
pub struct Stock(BTreeMap<String, u32>);

impl Stock {
    /// How many of a product there are.
    #[must_use]
    pub fn left(&self, product: &Product) -> u32 {
        self.0.get(product.slug).copied().unwrap_or(0)
    }
}

impl FromIterator<(String, u32)> for Stock {
    fn from_iter<I: IntoIterator<Item = (String, u32)>>(counted: I) -> Self {
        Self(counted.into_iter().collect())
    }
}

/// Why nothing was taken.
#[derive(Debug)]
pub enum StockError {
    /// There are not that many of a product.
    OutOfStock {
        /// The product.
        product: &'static Product,
        /// How many there are.
        left: u32,
    },
    /// Whatever the database says.
    Database(sqlx::Error),
}

impl fmt::Display for StockError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::OutOfStock { product, left } => write!(f, "only {left} of {} are left", product.slug),
            Self::Database(error) => write!(f, "the shop's database failed: {error}"),
        }
    }
}

impl std::error::Error for StockError {}

impl From<sqlx::Error> for StockError {
    fn from(error: sqlx::Error) -> Self {
        Self::Database(error)
    }
}

impl Database {
    /// What stands on the shelf now.
    ///
    /// # Errors
    /// Whatever the database says.
    pub async fn stock(&self) -> Result<Stock, sqlx::Error> {
        let rows: Vec<(String, i64)> =
            on!(self, |pool| sqlx::query_as("SELECT product, available FROM stock").fetch_all(pool).await?);
        Ok(rows.into_iter().map(|(product, left)| (product, u32::try_from(left).unwrap_or(0))).collect())
    }
}

impl Transaction {
    /// Fills the shelf of a new shop; what stands there already stays as it is.
    pub(super) async fn seed_stock(&mut self) -> Result<(), sqlx::Error> {
        for product in &CATALOGUE {
            let available = SEED_BUT.iter().find(|(slug, _)| *slug == product.slug).map_or(SEED, |(_, count)| *count);
            on!(self, |transaction| {
                sqlx::query("INSERT INTO stock (product, available) VALUES ($1, $2) ON CONFLICT DO NOTHING")
                    .bind(product.slug)
                    .bind(available)
                    .execute(&mut **transaction)
                    .await?;
            });
        }
        Ok(())
    }

    /// Takes the lines of an order from the shelf. What this order has taken already is not taken again.
    ///
    /// # Errors
    /// [`StockError::OutOfStock`] at the first product of which there are not enough. The lines before it are taken all
    /// the same, as far as this transaction sees: on any error, drop it.
    pub async fn take_stock(&mut self, order: &str, lines: &[Line]) -> Result<(), StockError> {
        // Every transaction touches the products in the same order, so that no two wait for each other.
        let mut lines = lines.to_vec();
        lines.sort_by_key(|line| line.product.slug);
        on!(self, |transaction| {
            for line in lines {
                let quantity = i64::from(line.quantity);
                let new = sqlx::query(
                    "INSERT INTO order_stock (order_id, product, quantity) VALUES ($1, $2, $3) ON CONFLICT DO NOTHING",
                )
                .bind(order)
                .bind(line.product.slug)
                .bind(quantity)
                .execute(&mut **transaction)
                .await?;
                if new.rows_affected() == 0 {
                    continue;
                }
                let taken =
                    sqlx::query("UPDATE stock SET available = available - $2 WHERE product = $1 AND available >= $2")
                        .bind(line.product.slug)
                        .bind(quantity)
                        .execute(&mut **transaction)
                        .await?;
                if taken.rows_affected() == 0 {
                    let left: Option<(i64,)> = sqlx::query_as("SELECT available FROM stock WHERE product = $1")
                        .bind(line.product.slug)
                        .fetch_optional(&mut **transaction)
                        .await?;
                    let left = left.and_then(|(left,)| u32::try_from(left).ok()).unwrap_or(0);
                    return Err(StockError::OutOfStock { product: line.product, left });
                }
            }
            Ok(())
        })
    }

    /// Gives back what an order has taken: once, and nothing the second time.
    ///
    /// # Errors
    /// Whatever the database says; drop the transaction then.
    pub async fn give_back_stock(&mut self, order: &str) -> Result<(), sqlx::Error> {
        on!(self, |transaction| {
            let mut taken: Vec<(String, i64)> =
                sqlx::query_as("DELETE FROM order_stock WHERE order_id = $1 RETURNING product, quantity")
                    .bind(order)
                    .fetch_all(&mut **transaction)
                    .await?;
            taken.sort();
            for (product, quantity) in taken {
                sqlx::query("UPDATE stock SET available = available + $2 WHERE product = $1")
                    .bind(product)
                    .bind(quantity)
                    .execute(&mut **transaction)
                    .await?;
            }
            Ok(())
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::shop::cart::Cart;

    async fn database() -> Database {
        Database::connect("sqlite::memory:").await.unwrap()
    }

    async fn left(database: &Database, slug: &str) -> u32 {
        database.stock().await.unwrap().left(Product::find(slug).unwrap())
    }

    async fn take(database: &Database, order: &str, cart: &str) -> Result<(), StockError> {
        let mut transaction = database.begin().await?;
        transaction.take_stock(order, Cart::parse(cart).lines()).await?;
        Ok(transaction.commit().await?)
    }

    async fn give_back(database: &Database, order: &str) {
        let mut transaction = database.begin().await.unwrap();
        transaction.give_back_stock(order).await.unwrap();
        transaction.commit().await.unwrap();
    }

    #[tokio::test]
    async fn a_new_shop_has_full_shelves_but_for_two() {
        let database = database().await;
        for (slug, count) in [("sencha", 24), ("riesling", 24), ("pinot", 3), ("lapsang", 0)] {
            assert_eq!(left(&database, slug).await, count, "{slug}");
        }
        let stock = database.stock().await.unwrap();
        assert!(CATALOGUE.iter().filter(|product| stock.left(product) == 24).count() == 10);
    }

    #[tokio::test]
    async fn what_an_order_takes_it_takes_once_and_gives_back_once() {
        let database = database().await;
        for _ in 0..3 {
            take(&database, "o_1", "senchax2.pinotx1").await.unwrap();
            assert_eq!((left(&database, "sencha").await, left(&database, "pinot").await), (22, 2));
        }
        take(&database, "o_2", "senchax1").await.unwrap();
        for _ in 0..3 {
            give_back(&database, "o_1").await;
            assert_eq!((left(&database, "sencha").await, left(&database, "pinot").await), (23, 3));
        }
        give_back(&database, "o_of_nobody").await;
        assert_eq!(left(&database, "sencha").await, 23);
    }

    #[tokio::test]
    async fn nothing_is_taken_when_one_thing_is_missing() {
        let database = database().await;
        let error = take(&database, "o_1", "senchax2.pinotx4").await.unwrap_err();
        assert!(matches!(&error, StockError::OutOfStock { product, left: 3 } if product.slug == "pinot"), "{error}");
        assert_eq!((left(&database, "sencha").await, left(&database, "pinot").await), (24, 3));
        assert!(take(&database, "o_1", "lapsangx1").await.is_err());
        take(&database, "o_1", "senchax2.pinotx3").await.unwrap();
        assert_eq!(left(&database, "pinot").await, 0);
    }

    #[tokio::test]
    async fn a_transaction_that_is_dropped_takes_nothing() {
        let database = database().await;
        let mut transaction = database.begin().await.unwrap();
        transaction.take_stock("o_1", Cart::parse("senchax2").lines()).await.unwrap();
        drop(transaction);
        assert_eq!(left(&database, "sencha").await, 24);
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn many_who_take_at_once_never_take_more_than_there_is() {
        let file = std::env::temp_dir().join(format!("storefront-stock-{}.sqlite", std::process::id()));
        let database = Database::connect(&format!("sqlite:{}", file.display())).await.unwrap();
        let takers = (0..12).map(|taker| {
            let database = database.clone();
            tokio::spawn(async move { take(&database, &format!("o_{taker}"), "pinotx2.senchax4").await })
        });
        let mut sold = 0;
        for taker in takers.collect::<Vec<_>>() {
            match taker.await.unwrap() {
                Ok(()) => sold += 1,
                Err(error) => assert!(matches!(error, StockError::OutOfStock { left: 1, .. }), "{error}"),
            }
        }
        assert_eq!((sold, left(&database, "pinot").await, left(&database, "sencha").await), (1, 1, 20));
        drop(database);
        for suffix in ["", "-wal", "-shm"] {
            let _ = std::fs::remove_file(format!("{}{suffix}", file.display()));
        }
    }

    #[tokio::test]
    async fn the_database_itself_refuses_less_than_nothing() {
        let Database::Sqlite(pool) = database().await else { unreachable!() };
        assert!(sqlx::query("UPDATE stock SET available = -1").execute(&pool).await.is_err());
    }
}
