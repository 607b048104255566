//! `cargo run -p existing-shop`, then open <http://localhost:8080>. Needs PostgreSQL: `DATABASE_URL`.
//!
//! `existing-shop import` tells the library of every customer, `existing-shop report` says how many have moved.

use std::{error::Error, io::Write, net::SocketAddr};

use existing_shop::{OLD_LOGIN_ENDS, Shop, open, set_up};
use firsthand_axum::Merchant;
use sqlx::PgPool;

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let filter = tracing_subscriber::EnvFilter::try_from_default_env().unwrap_or_else(|_| "info,sqlx=warn".into());
    tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).init();
    let url = std::env::var("DATABASE_URL").unwrap_or_else(|_| "postgres://localhost/shop".to_owned());
    let pool = PgPool::connect(&url).await?;
    let store = open(&pool).await?;
    let merchant = set_up(Merchant::dev().await?, &store).build()?;
    let shop = Shop::new(merchant.clone(), pool, store, OLD_LOGIN_ENDS);
    let mut out = std::io::stdout();
    match std::env::args().nth(1).as_deref() {
        None => {
            let listener = tokio::net::TcpListener::bind("127.0.0.1:8080").await?;
            tokio::spawn(merchant.housekeeping());
            tokio::spawn(shop.clone().follow_names());
            writeln!(out, "The shop is open at http://localhost:8080 (Ctrl-C closes it)")?;
            // With the other end of each connection: the development wallet is for this machine alone.
            axum::serve(listener, shop.router().into_make_service_with_connect_info::<SocketAddr>()).await?;
        }
        Some("import") => {
            let imported = shop.import_all().await?;
            writeln!(out, "{} accounts are new, {} were known", imported.new, imported.known)?;
        }
        Some("report") => {
            writeln!(out, "{:<12} {:>10} {:>10} {:>8} {:>10}", "provider", "customers", "moved", "", "dormant")?;
            for line in shop.report().await? {
                let share = 100 * line.moved / line.customers.max(1);
                let (provider, all, moved, dormant) = (line.provider, line.customers, line.moved, line.dormant);
                writeln!(out, "{provider:<12} {all:>10} {moved:>10} {share:>6} % {dormant:>10}")?;
            }
        }
        Some(other) => return Err(format!("there is no {other:?}: say nothing, import or report").into()),
    }
    Ok(())
}
