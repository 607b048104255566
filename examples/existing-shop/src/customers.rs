//! The shop's own table of customers: the rows that the old login finds, and where they have gone.

use firsthand_axum::{
    CustomerId,
    merchant::{Imported, LegacyAccount},
};
use sqlx::PgConnection;

use crate::{Shop, Trouble, old_login::Said};

/// Whoever has not signed in for so long is dormant, in seconds: a year.
const DORMANT_S: u64 = 365 * 24 * 3600;
/// How many rows are read in one go.
const PAGE: i64 = 1_000;

/// A row, as the account page shows it.
#[derive(Clone, Debug)]
pub struct Row {
    /// The address for letters.
    pub email: String,
    /// Where the customer signs in, or used to.
    pub provider: String,
    /// Whether the customer has moved.
    pub has_moved: bool,
}

/// How many customers of a provider have moved.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Moved {
    /// Which provider.
    pub provider: String,
    /// How many customers there are.
    pub customers: i64,
    /// How many of them have moved.
    pub moved: i64,
    /// How many have neither moved nor signed in for a year: a letter may find them.
    pub dormant: i64,
}

impl Shop {
    /// The number of the row of whoever signs in the old way; a new row for somebody new. Found by provider and name there,
    /// never by e-mail address: who has the same address at two providers may be two people.
    ///
    /// # Errors
    /// [`Trouble::Moved`] if the customer has moved, [`Trouble::Over`] for somebody new after the last day; whatever the
    /// database says.
    pub(crate) async fn signed_in(&self, said: &Said) -> Result<i64, Trouble> {
        let Said { provider, subject, email } = said;
        let now = self.merchant.now().as_secs();
        let there: Option<(i64, bool)> = sqlx::query_as(
            "UPDATE customers SET last_sign_in = to_timestamp($3::bigint) WHERE provider = $1 AND provider_sub = $2
             RETURNING id, moved_at IS NOT NULL",
        )
        .bind(provider)
        .bind(subject)
        .bind(now)
        .fetch_optional(&self.pool)
        .await?;
        match there {
            Some((_, true)) => Err(Trouble::Moved),
            Some((id, false)) => Ok(id),
            None if self.is_old_login_over() => Err(Trouble::Over),
            None => Ok(sqlx::query_scalar(
                "INSERT INTO customers (provider, provider_sub, email, last_sign_in)
                 VALUES ($1, $2, $3, to_timestamp($4::bigint))
                 ON CONFLICT (provider, provider_sub) DO UPDATE SET last_sign_in = excluded.last_sign_in RETURNING id",
            )
            .bind(provider)
            .bind(subject)
            .bind(email)
            .bind(now)
            .fetch_one(&self.pool)
            .await?),
        }
    }

    /// A row by its number.
    pub(crate) async fn row(&self, id: i64) -> Result<Option<Row>, Trouble> {
        let select = "SELECT email, provider, moved_at IS NOT NULL FROM customers WHERE id = $1";
        let row: Option<(String, String, bool)> = sqlx::query_as(select).bind(id).fetch_optional(&self.pool).await?;
        Ok(row.map(|(email, provider, has_moved)| Row { email, provider, has_moved }))
    }

    /// The rows of a known customer. More than one if two customers turned out to be one.
    pub(crate) async fn rows_of(&self, customer: &CustomerId) -> Result<Vec<Row>, Trouble> {
        let select = "SELECT email, provider FROM customers WHERE belongs_to = $1 ORDER BY id";
        let rows: Vec<(String, String)> = sqlx::query_as(select).bind(customer.as_str()).fetch_all(&self.pool).await?;
        Ok(rows.into_iter().map(|(email, provider)| Row { email, provider, has_moved: true }).collect())
    }

    /// Writes down, in somebody's transaction, that a row is this customer's.
    ///
    /// # Errors
    /// [`Trouble::Moved`] if it is another's by now; [`Trouble::Another`] if another row is this customer's.
    pub(crate) async fn moved(&self, tx: &mut PgConnection, row: i64, customer: &CustomerId) -> Result<(), Trouble> {
        let moved = sqlx::query(
            "UPDATE customers
             SET firsthand_id = $1, belongs_to = $1, moved_at = COALESCE(moved_at, to_timestamp($3::bigint))
             WHERE id = $2 AND (firsthand_id IS NULL OR firsthand_id = $1)",
        )
        .bind(customer.as_str())
        .bind(row)
        .bind(self.merchant.now().as_secs())
        .execute(tx)
        .await;
        match moved {
            Ok(done) if done.rows_affected() == 1 => Ok(()),
            Ok(_) => Err(Trouble::Moved),
            Err(sqlx::Error::Database(e)) if e.is_unique_violation() => Err(Trouble::Another),
            Err(error) => Err(error.into()),
        }
    }

    /// Tells the library of every row, in pages: `existing-shop import`. It may be run again.
    ///
    /// # Errors
    /// Whatever the database says, or a row that is no account.
    pub async fn import_all(&self) -> Result<Imported, Trouble> {
        let (mut sum, mut after) = (Imported::default(), 0_i64);
        loop {
            let page: Vec<(i64, String, String)> =
                sqlx::query_as("SELECT id, provider, provider_sub FROM customers WHERE id > $1 ORDER BY id LIMIT $2")
                    .bind(after)
                    .bind(PAGE)
                    .fetch_all(&self.pool)
                    .await?;
            let Some((last, ..)) = page.last() else { return Ok(sum) };
            after = *last;
            let accounts = page.into_iter().map(|(id, provider, subject)| {
                let reference = id.to_string();
                LegacyAccount { provider, subject, reference }
            });
            let imported = self.merchant.import_accounts(accounts).await?;
            sum.new += imported.new;
            sum.known += imported.known;
        }
    }

    /// How many have moved, by provider: `existing-shop report`.
    ///
    /// # Errors
    /// Whatever the database says.
    pub async fn report(&self) -> Result<Vec<Moved>, Trouble> {
        let long_ago = self.merchant.now().minus_s(DORMANT_S).as_secs();
        let rows: Vec<(String, i64, i64, i64)> = sqlx::query_as(
            "SELECT provider, count(*), count(moved_at),
                    count(*) FILTER (WHERE moved_at IS NULL AND last_sign_in < to_timestamp($1::bigint))
             FROM customers GROUP BY provider ORDER BY provider",
        )
        .bind(long_ago)
        .fetch_all(&self.pool)
        .await?;
        let line = |(provider, customers, moved, dormant)| Moved { provider, customers, moved, dormant };
        Ok(rows.into_iter().map(line).collect())
    }
}
