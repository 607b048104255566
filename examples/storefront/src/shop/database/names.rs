//! Names of one customer: records of two may turn out to be one's, and be two again. Rows stay under the name that they were
//! written under; where it leads stands beside them.

use super::{Database, Transaction};

impl Database {
    /// The names that lead to this one by now.
    ///
    /// # Errors
    /// Whatever the database says.
    pub async fn names_of(&self, customer: &str) -> Result<Vec<String>, sqlx::Error> {
        let rows: Vec<(String,)> = on!(self, |pool| {
            sqlx::query_as("SELECT name FROM names WHERE leads_to = $1").bind(customer).fetch_all(pool).await?
        });
        Ok(rows.into_iter().map(|(name,)| name).collect())
    }

    /// Forgets a customer by all their names, with everything that was set aside; what was sold stays, without a name.
    ///
    /// # Errors
    /// Whatever the database says; nothing is forgotten then.
    pub async fn forget(&self, customer: &str) -> Result<(), sqlx::Error> {
        let names = self.names_of(customer).await?;
        let mut transaction = self.begin().await?;
        for name in names.iter().map(String::as_str).chain([customer]) {
            transaction.forget(name).await?;
        }
        transaction.commit().await
    }
}

impl Transaction {
    /// A name leads to another from now on, or to itself again.
    ///
    /// # Errors
    /// Whatever the database says; drop the transaction then.
    pub async fn lead(&mut self, name: &str, to: &str) -> Result<(), sqlx::Error> {
        on!(self, |transaction| {
            sqlx::query("DELETE FROM names WHERE name = $1").bind(name).execute(&mut **transaction).await?;
            if name != to {
                sqlx::query("INSERT INTO names (name, leads_to) VALUES ($1, $2)")
                    .bind(name)
                    .bind(to)
                    .execute(&mut **transaction)
                    .await?;
            }
            Ok(())
        })
    }

    /// Forgets what stands under a name; what was sold stays, without it.
    ///
    /// # Errors
    /// Whatever the database says; drop the transaction then.
    pub async fn forget(&mut self, name: &str) -> Result<(), sqlx::Error> {
        on!(self, |transaction| {
            for statement in [
                "UPDATE sales SET customer = NULL WHERE customer = $1",
                "DELETE FROM customers WHERE firsthand_id = $1",
                "DELETE FROM names WHERE name = $1 OR leads_to = $1",
            ] {
                sqlx::query(statement).bind(name).execute(&mut **transaction).await?;
            }
            Ok(())
        })
    }
}

#[cfg(test)]
mod tests {
    use super::super::super::cart::Cart;
    use super::*;

    async fn kept(database: &Database, customer: &str) -> Vec<(&'static str, u32)> {
        let kept = database.kept(customer, 1000).await.unwrap();
        kept.iter().map(|kept| (kept.line.product.slug, kept.line.quantity)).collect()
    }

    async fn lead(database: &Database, name: &str, to: &str) {
        let mut transaction = database.begin().await.unwrap();
        transaction.lead(name, to).await.unwrap();
        transaction.commit().await.unwrap();
    }

    #[tokio::test]
    async fn what_was_set_aside_under_two_names_is_one_customers() {
        let database = Database::connect("sqlite::memory:").await.unwrap();
        database.set_aside("new", Cart::parse("rieslingx2").lines(), 1000).await.unwrap();
        database.set_aside("old", Cart::parse("rieslingx1.etnax1").lines(), 1000).await.unwrap();
        lead(&database, "old", "new").await;
        assert_eq!(kept(&database, "new").await, [("riesling", 3), ("etna", 1)]);
        assert_eq!(database.names_of("new").await.unwrap(), ["old"]);
        lead(&database, "old", "old").await;
        assert_eq!(kept(&database, "new").await, [("riesling", 2)]);
        assert_eq!(kept(&database, "old").await, [("riesling", 1), ("etna", 1)]);

        // A form says how many there are, whatever name some of them stand under.
        lead(&database, "old", "new").await;
        database.set_aside("new", Cart::parse("rieslingx5").lines(), 1000).await.unwrap();
        assert_eq!(kept(&database, "new").await, [("riesling", 5), ("etna", 1)]);
        for product in ["etna", "riesling"] {
            database.put_back("new", super::super::Product::find(product).unwrap()).await.unwrap();
        }
        assert_eq!(kept(&database, "new").await, []);
        database.set_aside("old", Cart::parse("etnax1").lines(), 1000).await.unwrap();
        database.forget("new").await.unwrap();
        assert_eq!((kept(&database, "new").await, kept(&database, "old").await), (vec![], vec![]));
    }
}
