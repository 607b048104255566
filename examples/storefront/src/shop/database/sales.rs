//! How much trouble a purchase was: what a first one took, and what one took whose buyer came back.

use super::{Database, Transaction};

/// A sale, as it is noted when its order is placed.
#[derive(Clone, Copy, Debug)]
pub struct NewSale<'a> {
    /// The order.
    pub order: &'a str,
    /// The name under which the customer is known; `None` for a guest.
    pub customer: Option<&'a str>,
    /// When, in seconds since 1970.
    pub placed_s: i64,
    /// How often a wallet was asked on the way.
    pub steps_wallet: u32,
    /// How many forms were filled in by hand.
    pub steps_form: u32,
}

/// Who bought.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Buyer {
    /// Nobody whom the shop would know again.
    Guest,
    /// A customer, for the first time.
    First,
    /// A customer who had bought before.
    Returning,
}

impl Buyer {
    const fn of(returning: Option<bool>) -> Self {
        match returning {
            None => Self::Guest,
            Some(false) => Self::First,
            Some(true) => Self::Returning,
        }
    }
}

/// What a sale took.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sale {
    /// Who bought.
    pub buyer: Buyer,
    /// How often a wallet was asked.
    pub steps_wallet: u32,
    /// How many forms were filled in by hand.
    pub steps_form: u32,
}

/// What all sales to one kind of buyer took together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Steps {
    /// The buyers.
    pub buyer: Buyer,
    /// How many sales.
    pub sales: u64,
    /// How often a wallet was asked, over all of them.
    pub steps_wallet: u64,
    /// How many forms were filled in, over all of them.
    pub steps_form: u64,
}

impl Transaction {
    /// Notes a sale, and says whether it is new: one that is noted already stays as it is. Whether the customer has bought
    /// before is looked up here.
    ///
    /// # Errors
    /// Whatever the database says; drop the transaction then.
    pub async fn record_sale(&mut self, sale: NewSale<'_>) -> Result<bool, sqlx::Error> {
        on!(self, |transaction| {
            let returning: Option<bool> = match sale.customer {
                None => None,
                Some(customer) => {
                    let before: (i64,) = sqlx::query_as(
                        "SELECT COUNT(*) FROM sales WHERE order_id <> $2
                         AND (customer = $1 OR customer IN (SELECT name FROM names WHERE leads_to = $1))",
                    )
                    .bind(customer)
                    .bind(sale.order)
                    .fetch_one(&mut **transaction)
                    .await?;
                    Some(before.0 > 0)
                }
            };
            sqlx::query(
                "INSERT INTO sales (order_id, customer, placed_at, steps_wallet, steps_form, returning_customer)
                 VALUES ($1, $2, $3, $4, $5, $6) ON CONFLICT DO NOTHING",
            )
            .bind(sale.order)
            .bind(sale.customer)
            .bind(sale.placed_s)
            .bind(i64::from(sale.steps_wallet))
            .bind(i64::from(sale.steps_form))
            .bind(returning)
            .execute(&mut **transaction)
            .await
            .map(|done| done.rows_affected() > 0)
        })
    }
}

impl Database {
    /// What the sale of an order took.
    ///
    /// # Errors
    /// Whatever the database says.
    pub async fn sale(&self, order: &str) -> Result<Option<Sale>, sqlx::Error> {
        let row: Option<(Option<bool>, i64, i64)> = on!(self, |pool| {
            sqlx::query_as("SELECT returning_customer, steps_wallet, steps_form FROM sales WHERE order_id = $1")
                .bind(order)
                .fetch_optional(pool)
                .await?
        });
        Ok(row.map(|(returning, wallet, form)| Sale {
            buyer: Buyer::of(returning),
            steps_wallet: u32::try_from(wallet).unwrap_or(0),
            steps_form: u32::try_from(form).unwrap_or(0),
        }))
    }

    /// The orders of all sales, the newest first: up to `limit`, those after the order `after` if it is given.
    ///
    /// # Errors
    /// Whatever the database says.
    pub async fn sold(&self, after: Option<&str>, limit: u32) -> Result<Vec<String>, sqlx::Error> {
        let rows: Vec<(String,)> = on!(self, |pool| {
            sqlx::query_as(
                "SELECT order_id FROM sales
                 WHERE CAST($1 AS TEXT) IS NULL OR (placed_at, order_id) < (SELECT placed_at, order_id FROM sales WHERE order_id = $1)
                 ORDER BY placed_at DESC, order_id DESC LIMIT $2",
            )
            .bind(after)
            .bind(i64::from(limit))
            .fetch_all(pool)
            .await?
        });
        Ok(rows.into_iter().map(|(order,)| order).collect())
    }

    /// What sales took, by kind of buyer: guests, first, returning. A kind without a sale is there, with zeros.
    ///
    /// # Errors
    /// Whatever the database says.
    pub async fn steps(&self) -> Result<[Steps; 3], sqlx::Error> {
        let rows: Vec<(Option<bool>, i64, i64, i64)> = on!(self, |pool| {
            sqlx::query_as(
                "SELECT returning_customer, COUNT(*), CAST(SUM(steps_wallet) AS BIGINT), CAST(SUM(steps_form) AS BIGINT)
                 FROM sales GROUP BY returning_customer",
            )
            .fetch_all(pool)
            .await?
        });
        Ok([Buyer::Guest, Buyer::First, Buyer::Returning].map(|buyer| {
            let row = rows.iter().find(|(returning, ..)| Buyer::of(*returning) == buyer);
            let (sales, wallet, form) = row.map_or((0, 0, 0), |&(_, sales, wallet, form)| (sales, wallet, form));
            let count = |number: i64| u64::try_from(number).unwrap_or(0);
            Steps { buyer, sales: count(sales), steps_wallet: count(wallet), steps_form: count(form) }
        }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn sell(
        database: &Database,
        order: &str,
        customer: Option<&str>,
        steps_wallet: u32,
        steps_form: u32,
    ) -> bool {
        let mut transaction = database.begin().await.unwrap();
        let sale = NewSale { order, customer, placed_s: 1000, steps_wallet, steps_form };
        let new = transaction.record_sale(sale).await.unwrap();
        transaction.commit().await.unwrap();
        new
    }

    #[tokio::test]
    async fn a_second_purchase_is_a_returning_customers() {
        let database = Database::connect("sqlite::memory:").await.unwrap();
        assert!(database.steps().await.unwrap().iter().all(|steps| steps.sales == 0));
        assert!(sell(&database, "o_1", Some("anna"), 2, 0).await);
        assert!(!sell(&database, "o_1", Some("anna"), 9, 9).await);
        sell(&database, "o_2", Some("anna"), 1, 0).await;
        sell(&database, "o_3", Some("bert"), 1, 1).await;
        sell(&database, "o_4", None, 0, 1).await;
        let [guest, first, returning] = database.steps().await.unwrap();
        assert_eq!(guest, Steps { buyer: Buyer::Guest, sales: 1, steps_wallet: 0, steps_form: 1 });
        assert_eq!(first, Steps { buyer: Buyer::First, sales: 2, steps_wallet: 3, steps_form: 1 });
        assert_eq!(returning, Steps { buyer: Buyer::Returning, sales: 1, steps_wallet: 1, steps_form: 0 });
        let sale = database.sale("o_2").await.unwrap();
        assert_eq!(sale, Some(Sale { buyer: Buyer::Returning, steps_wallet: 1, steps_form: 0 }));
        assert_eq!(database.sale("o_9").await.unwrap(), None);
        assert_eq!(database.sold(None, 2).await.unwrap(), ["o_4", "o_3"]);
        assert_eq!(database.sold(Some("o_3"), 9).await.unwrap(), ["o_2", "o_1"]);
        assert!(database.sold(Some("o_9"), 9).await.unwrap().is_empty());
    }

    #[tokio::test]
    async fn forgetting_takes_the_name_off_a_sale_and_leaves_the_figures() {
        let database = Database::connect("sqlite::memory:").await.unwrap();
        sell(&database, "o_1", Some("anna"), 2, 0).await;
        let before = database.steps().await.unwrap();
        database.forget("anna").await.unwrap();
        assert_eq!(database.steps().await.unwrap(), before);
        sell(&database, "o_2", Some("anna"), 2, 0).await;
        assert_eq!(database.sale("o_2").await.unwrap().unwrap().buyer, Buyer::First);
    }
}
