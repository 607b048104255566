//! The storefront: `cargo run -p storefront`, then open <http://localhost:8080>.

use std::{error::Error, io::Write, net::SocketAddr, process::ExitCode};

use firsthand_axum::OperatorKey;
use storefront::{
    adopt,
    args::{Args, Command, HELP},
    desk,
    shop::{Shop, database::Database},
};
use tokio::net::TcpListener;

/// Where whoever runs the shop looks at it, such as `127.0.0.1:9090`; nowhere unless it is set.
const OPERATIONS: &str = "STOREFRONT_OPERATIONS";

#[tokio::main]
async fn main() -> ExitCode {
    let args = match Command::parse(std::env::args().skip(1)) {
        Ok(Command::Serve(args)) => args,
        Ok(Command::Help) => {
            let _ = std::io::stdout().write_all(HELP.as_bytes());
            return ExitCode::SUCCESS;
        }
        Err(error) => {
            let _ = writeln!(std::io::stderr(), "storefront: {error}");
            return ExitCode::from(2);
        }
    };
    let filter = tracing_subscriber::EnvFilter::try_from_default_env().unwrap_or_else(|_| "info,sqlx=warn".into());
    tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).init();
    match serve(*args).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            let _ = writeln!(std::io::stderr(), "storefront: {error}");
            ExitCode::FAILURE
        }
    }
}

async fn serve(args: Args) -> Result<(), Box<dyn Error>> {
    std::fs::create_dir_all(&args.data)?;
    let url = args.store.clone().unwrap_or_else(|| format!("sqlite:{}", args.data.join("shop.sqlite").display()));
    let database = Database::connect(&url).await?;
    let till = adopt::till(&args, database.clone()).await?;
    if let Some(lang) = &args.registration {
        let draft = till.merchant().registration_draft(lang);
        writeln!(std::io::stdout(), "{:#}", draft.document)?;
        for by_hand in draft.by_hand {
            writeln!(std::io::stderr(), "add {}: {}", by_hand.member, by_hand.what)?;
        }
        return Ok(());
    }
    let key_file = args.operator_key_file.clone().unwrap_or_else(|| args.data.join("operator.key"));
    let key = OperatorKey::read_or_make(&key_file)?;
    tracing::info!("the desk is at /merchant; its key is in {}", key_file.display());
    let (app, operations) = adopt::router(Shop::new(database), &till)?;
    let app = app.merge(desk::routes(&till, &key));
    if let Ok(address) = std::env::var(OPERATIONS) {
        // For whoever runs the shop, and nobody else: /metrics, /health, /ready and /doctor.
        let listener = TcpListener::bind(&address).await.map_err(|error| format!("{OPERATIONS}={address}: {error}"))?;
        tracing::info!("metrics, health and the doctor are at http://{}", listener.local_addr()?);
        tokio::spawn(axum::serve(listener, operations.router()).into_future());
    }
    let listener = TcpListener::bind(args.listen).await?;
    let housekeeping = tokio::spawn(till.merchant().clone().housekeeping());
    let clearing = tokio::spawn(till.clone().clear_away());
    let origin = args.origin.as_str().trim_end_matches('/');
    writeln!(std::io::stdout(), "The shop is open at {origin} (Ctrl-C closes it)")?;
    // With the other end of each connection: the development wallet is for this machine alone.
    let app = app.into_make_service_with_connect_info::<SocketAddr>();
    let merchant = till.merchant().clone();
    let closing = async move {
        closing_time().await;
        merchant.close();
    };
    // Until the last request is answered, and the last commit of what runs beside it is done.
    axum::serve(listener, app).with_graceful_shutdown(closing).await?;
    housekeeping.await?;
    clearing.await?;
    Ok(())
}

/// Ends when the program is asked to stop.
async fn closing_time() {
    let interrupt = async {
        let _ = tokio::signal::ctrl_c().await;
    };
    #[cfg(unix)]
    let terminate = async {
        match tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate()) {
            Ok(mut signal) => drop(signal.recv().await),
            Err(_) => std::future::pending().await,
        }
    };
    #[cfg(not(unix))]
    let terminate = std::future::pending::<()>();
    tokio::select! {
        () = interrupt => {}
        () = terminate => {}
    }
}
