//! A shop that is there already: axum, customers in PostgreSQL, "Sign in with ..." and tower-sessions. It moves its
//! customers to what they hold themselves, one by one, and switches the old login off.
//!
//! What moving takes, each in a file of its own:
//!
//! - [`moving`]: `POST /link`, where a signed request and the old session meet, once. Start reading here.
//! - [`names`]: a worker that keeps the shop's own rows right when customers merge or are forgotten.
//! - [`customers`]: three columns more in the table, the import, and the report of how many have moved.
//!
//! What was there before: [`old_login`], over the session store in [`sessions`], and the [`pages`].

use axum::{
    Router,
    routing::{get, post},
};
use firsthand_axum::{
    Ask, CustomerLayer, Merchant, Postgres, Wanted, ask::PID, merchant::MerchantBuilder, routes, time::UnixTime,
};
use sqlx::{Executor, PgPool};
use tower_sessions::{SessionManagerLayer, cookie::SameSite};

pub mod customers;
pub mod moving;
pub mod names;
pub mod old_login;
pub mod pages;
pub mod sessions;
#[cfg(test)]
mod tests;
mod trouble;

pub use trouble::Trouble;

/// From this day on the old login only leads to moving, or to the shop's staff: 2027-06-30.
pub const OLD_LOGIN_ENDS: UnixTime = UnixTime::from_secs(1_814_313_600);

/// The shop, with all that its handlers need.
#[derive(Clone, Debug)]
pub struct Shop {
    merchant: Merchant,
    pool: PgPool,
    store: Postgres,
    old_login_ends: UnixTime,
}

/// What a customer shows to be known from now on: as little as a wallet can.
#[must_use]
pub fn hello() -> Ask {
    let wanted = Wanted::sd_jwt_vc(PID).claim(["given_name"]);
    Ask::new("hello", "So that we know you when you come back").credential("pid", wanted)
}

/// The shop's tables and the library's, in one database: so what both write can be one commit.
///
/// # Errors
/// Whatever the database says.
pub async fn open(pool: &PgPool) -> Result<Postgres, Trouble> {
    let mut tx = pool.begin().await?;
    // Two nodes that start at once would both make the tables; the second waits.
    tx.execute("SELECT pg_advisory_xact_lock(7236119)").await?;
    tx.execute(include_str!("tables.sql")).await?;
    tx.commit().await?;
    Ok(Postgres::new(pool.clone()).await.map_err(firsthand_axum::Error::from)?)
}

/// What the merchant needs for this shop: the store, the ask, and the feed that [`names`] follows.
#[must_use]
pub fn set_up(builder: MerchantBuilder, store: &Postgres) -> MerchantBuilder {
    builder.store(store.clone()).ask(&hello()).feed()
}

impl Shop {
    /// The shop of a merchant that was [set up](set_up) with this store.
    #[must_use]
    pub const fn new(merchant: Merchant, pool: PgPool, store: Postgres, old_login_ends: UnixTime) -> Self {
        Self { merchant, pool, store, old_login_ends }
    }

    /// The whole shop: its pages with the old session, the library's routes without it, and the layer around both.
    pub fn router(&self) -> Router {
        let old_sessions = SessionManagerLayer::new(sessions::Sessions::new(self.pool.clone()))
            .with_name("old_session")
            .with_same_site(SameSite::Lax);
        Router::new()
            .route("/", get(pages::home))
            .route("/old/sign-in", get(pages::sign_in).post(old_login::sign_in))
            .route("/old/sign-out", post(old_login::sign_out))
            .route("/account", get(pages::account))
            .route("/link", post(moving::link))
            .layer(old_sessions)
            .route("/style.css", get(pages::style))
            .with_state(self.clone())
            .merge(routes(&self.merchant))
            .layer(CustomerLayer::new(self.merchant.clone()))
    }

    fn is_old_login_over(&self) -> bool {
        self.merchant.now() >= self.old_login_ends
    }
}
