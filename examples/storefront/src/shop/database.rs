//! The shop's own tables: customers, what they had set aside, what stands on the shelf, and what was sold.

use std::{str::FromStr, time::Duration};

use sqlx::{
    Executor, PgPool, SqlitePool,
    postgres::PgConnectOptions,
    sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous},
};

use super::{
    cart::{Line, QUANTITY_MAX},
    catalogue::Product,
};

/// How long wine is kept for whoever had it set aside, in seconds.
pub const SET_ASIDE_S: i64 = 48 * 60 * 60;

/// The database that the shop has, of either make.
#[derive(Clone, Debug)]
pub enum Database {
    /// A file.
    Sqlite(SqlitePool),
    /// A server.
    Postgres(PgPool),
}

/// A transaction that has begun. What it did counts once it is committed; dropped, it did nothing.
#[derive(Debug)]
pub enum Transaction {
    /// Of a file.
    Sqlite(sqlx::Transaction<'static, sqlx::Sqlite>),
    /// Of a server.
    Postgres(sqlx::Transaction<'static, sqlx::Postgres>),
}

/// Runs the same statement on whichever [`Database`] or [`Transaction`] is there: both makes read `$1`.
macro_rules! on {
    ($database:expr, |$pool:ident| $statement:expr) => {
        match $database {
            Self::Sqlite($pool) => $statement,
            Self::Postgres($pool) => $statement,
        }
    };
}

pub mod names;
pub mod repeats;
pub mod sales;
pub mod stock;

impl Database {
    /// Opens `sqlite:PATH` (made if absent) or `postgres://...` and makes the shop's tables.
    ///
    /// # Errors
    /// Whatever the database says: no such host, no right to make tables, a file that is none.
    pub async fn connect(url: &str) -> Result<Self, sqlx::Error> {
        let database = if url.starts_with("postgres:") || url.starts_with("postgresql:") {
            // A role that is called like a schema finds that schema before `public`: the shop's tables would be made once more
            // in `firsthand` as soon as the library has made it.
            let options = PgConnectOptions::from_str(url)?;
            let has_path = options.get_options().is_some_and(|options| options.contains("search_path"));
            let options = if has_path { options } else { options.options([("search_path", "public")]) };
            Self::Postgres(PgPool::connect_with(options).await?)
        } else {
            let options = SqliteConnectOptions::from_str(url)?
                .create_if_missing(true)
                .journal_mode(SqliteJournalMode::Wal)
                .synchronous(SqliteSynchronous::Full)
                .foreign_keys(true)
                .busy_timeout(Duration::from_secs(5));
            // A database in memory lives as long as its one connection.
            let in_memory = url.contains(":memory:");
            let pool = SqlitePoolOptions::new().max_connections(if in_memory { 1 } else { 8 });
            let pool = if in_memory { pool.idle_timeout(None).max_lifetime(None) } else { pool };
            Self::Sqlite(pool.connect_with(options).await?)
        };
        database.make_tables().await?;
        Ok(database)
    }

    async fn make_tables(&self) -> Result<(), sqlx::Error> {
        let mut transaction = self.begin().await?;
        match &mut transaction {
            Transaction::Sqlite(transaction) => {
                transaction.execute(include_str!("tables/sqlite.sql")).await?;
            }
            Transaction::Postgres(transaction) => {
                // Two nodes that start at once would both make the tables; the second waits.
                transaction.execute("SELECT pg_advisory_xact_lock(7236118)").await?;
                transaction.execute(include_str!("tables/postgres.sql")).await?;
            }
        }
        transaction.seed_stock().await?;
        transaction.commit().await
    }

    /// Begins a transaction that will write. In a file it has the one pen at once, so that nothing it read can change
    /// before it writes.
    ///
    /// # Errors
    /// Whatever the database says: no connection, or another writer for longer than five seconds.
    pub async fn begin(&self) -> Result<Transaction, sqlx::Error> {
        Ok(match self {
            Self::Sqlite(pool) => Transaction::Sqlite(pool.begin_with("BEGIN IMMEDIATE").await?),
            Self::Postgres(pool) => Transaction::Postgres(pool.begin().await?),
        })
    }

    /// Sets lines aside for a customer until [`SET_ASIDE_S`] from `now_s`; one that is set aside already gets the new
    /// quantity, so that a form sent twice sets nothing aside twice.
    ///
    /// # Errors
    /// Whatever the database says; nothing is set aside then.
    pub async fn set_aside(&self, customer: &str, lines: &[Line], now_s: i64) -> Result<(), sqlx::Error> {
        on!(self, |pool| {
            let mut transaction = pool.begin().await?;
            sqlx::query("INSERT INTO customers (firsthand_id, created_at) VALUES ($1, $2) ON CONFLICT DO NOTHING")
                .bind(customer)
                .bind(now_s)
                .execute(&mut *transaction)
                .await?;
            for line in lines {
                sqlx::query(
                    "DELETE FROM reservations WHERE product = $2 AND customer IN
                     (SELECT id FROM customers WHERE firsthand_id IN (SELECT name FROM names WHERE leads_to = $1))",
                )
                .bind(customer)
                .bind(line.product.slug)
                .execute(&mut *transaction)
                .await?;
                sqlx::query(
                    "INSERT INTO reservations (customer, product, quantity, kept_until)
                     SELECT id, $2, $3, $4 FROM customers WHERE firsthand_id = $1
                     ON CONFLICT (customer, product)
                     DO UPDATE SET quantity = excluded.quantity, kept_until = excluded.kept_until",
                )
                .bind(customer)
                .bind(line.product.slug)
                .bind(i64::from(line.quantity))
                .bind(now_s + SET_ASIDE_S)
                .execute(&mut *transaction)
                .await?;
            }
            transaction.commit().await
        })
    }

    /// What is set aside for a customer under all their names, in the order of the shelf.
    ///
    /// # Errors
    /// Whatever the database says.
    pub async fn kept(&self, customer: &str, now_s: i64) -> Result<Vec<Kept>, sqlx::Error> {
        let mut rows: Vec<(String, i64, i64)> = on!(self, |pool| {
            sqlx::query_as(
                "SELECT product, CAST(SUM(quantity) AS BIGINT), MAX(kept_until) FROM reservations
                 JOIN customers ON customers.id = reservations.customer
                 WHERE (firsthand_id = $1 OR firsthand_id IN (SELECT name FROM names WHERE leads_to = $1))
                 AND kept_until > $2 GROUP BY product",
            )
            .bind(customer)
            .bind(now_s)
            .fetch_all(pool)
            .await?
        });
        let shelf = |slug: &str| super::catalogue::CATALOGUE.iter().position(|product| product.slug == slug);
        rows.sort_by_key(|(slug, ..)| shelf(slug));
        let kept = rows.into_iter().filter_map(|(slug, quantity, until_s)| {
            let quantity = u32::try_from(quantity).ok()?.min(QUANTITY_MAX);
            Some(Kept { line: Line { product: Product::find(&slug)?, quantity }, until_s })
        });
        Ok(kept.collect())
    }

    /// Puts a product back on the shelf.
    ///
    /// # Errors
    /// Whatever the database says.
    pub async fn put_back(&self, customer: &str, product: &Product) -> Result<(), sqlx::Error> {
        on!(self, |pool| {
            sqlx::query(
                "DELETE FROM reservations WHERE product = $2 AND customer IN
                 (SELECT id FROM customers
                  WHERE firsthand_id = $1 OR firsthand_id IN (SELECT name FROM names WHERE leads_to = $1))",
            )
            .bind(customer)
            .bind(product.slug)
            .execute(pool)
            .await
            .map(drop)
        })
    }
}

impl Transaction {
    /// Makes what was done count.
    ///
    /// # Errors
    /// Whatever the database says. Usually nothing was done then; a connection that broke just now leaves it open.
    pub async fn commit(self) -> Result<(), sqlx::Error> {
        on!(self, |transaction| transaction.commit().await)
    }
}

/// One thing that is set aside.
#[derive(Clone, Copy, Debug)]
pub struct Kept {
    /// What, and how many.
    pub line: Line,
    /// Until when, in seconds since 1970.
    pub until_s: i64,
}

#[cfg(test)]
mod tests {
    use super::{super::cart::Cart, *};

    async fn database() -> Database {
        Database::connect("sqlite::memory:").await.unwrap()
    }

    fn seen(kept: &[Kept]) -> Vec<(&str, u32)> {
        kept.iter().map(|kept| (kept.line.product.slug, kept.line.quantity)).collect()
    }

    #[tokio::test]
    async fn wine_stays_set_aside_until_its_time() {
        let database = database().await;
        database.set_aside("anna", Cart::parse("rieslingx2.etnax1").lines(), 1000).await.unwrap();
        assert_eq!(seen(&database.kept("anna", 1000).await.unwrap()), [("riesling", 2), ("etna", 1)]);
        assert_eq!(seen(&database.kept("bert", 1000).await.unwrap()), []);
        assert_eq!(seen(&database.kept("anna", 1000 + SET_ASIDE_S).await.unwrap()), []);
    }

    #[tokio::test]
    async fn a_form_sent_twice_sets_nothing_aside_twice() {
        let database = database().await;
        for quantity in ["rieslingx2", "rieslingx2", "rieslingx3"] {
            database.set_aside("anna", Cart::parse(quantity).lines(), 1000).await.unwrap();
        }
        assert_eq!(seen(&database.kept("anna", 1000).await.unwrap()), [("riesling", 3)]);
    }

    #[tokio::test]
    async fn putting_back_and_forgetting_touch_one_customer_alone() {
        let database = database().await;
        for customer in ["anna", "bert"] {
            database.set_aside(customer, Cart::parse("rieslingx1.etnax1").lines(), 1000).await.unwrap();
        }
        database.put_back("anna", Product::find("etna").unwrap()).await.unwrap();
        assert_eq!(seen(&database.kept("anna", 1000).await.unwrap()), [("riesling", 1)]);
        database.forget("anna").await.unwrap();
        assert_eq!(seen(&database.kept("anna", 1000).await.unwrap()), []);
        assert_eq!(seen(&database.kept("bert", 1000).await.unwrap()), [("riesling", 1), ("etna", 1)]);
    }

    #[tokio::test]
    async fn the_tables_are_made_once_and_kept() {
        let file = std::env::temp_dir().join(format!("storefront-{}.sqlite", std::process::id()));
        let url = format!("sqlite:{}", file.display());
        Database::connect(&url).await.unwrap().set_aside("anna", Cart::parse("etnax1").lines(), 1000).await.unwrap();
        assert_eq!(seen(&Database::connect(&url).await.unwrap().kept("anna", 1000).await.unwrap()), [("etna", 1)]);
        for suffix in ["", "-wal", "-shm"] {
            let _ = std::fs::remove_file(format!("{}{suffix}", file.display()));
        }
    }
}
