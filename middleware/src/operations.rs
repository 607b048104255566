//! What whoever runs the shop looks at: metrics, health, readiness and the doctor's findings, on a listener of their own.

use std::sync::Arc;

use axum::{
    Json, Router,
    extract::State,
    response::{IntoResponse, Response},
    routing::get,
};
use firsthand::{
    Merchant,
    merchant::{Check, Ready},
    metrics::Text,
};
use http::{HeaderValue, StatusCode, header};
use serde::Serialize;
use tokio::sync::Mutex;

use crate::{observe::Served, problem::Problem};

/// The pages of whoever runs the shop. They are for a listener that the public does not reach, such as `127.0.0.1:9090` or an
/// address of the cluster, and never part of the shop's own router: metrics say how much is sold.
///
/// ```
/// # #[cfg(feature = "testing")]
/// # async fn serve(merchant: firsthand_axum::Merchant) -> std::io::Result<()> {
/// use firsthand_axum::CustomerLayer;
/// use tokio::net::TcpListener;
///
/// let layer = CustomerLayer::new(merchant);
/// let operations = layer.operations();
/// tokio::spawn(axum::serve(TcpListener::bind("127.0.0.1:9090").await?, operations.router()).into_future());
/// // and the shop itself: your_routes.layer(layer)
/// # Ok(())
/// # }
/// ```
///
/// - `/metrics`: counts in the text format of Prometheus, of this node since it began. No sample is about a person.
/// - `/health`: 200, as long as the program answers at all. A node that does not is to be started anew.
/// - `/doctor`: what is wrong with the shop, or soon will be, and what to do ([`Merchant::doctor`]); 503 while it
///   looks for somebody else. It looks at the public origin from outside, and asks for a presentation that expires.
/// - `/ready`: 200 if customers should be sent here, else 503, and why (see [`Merchant::readiness`]).
#[derive(Clone, Debug)]
pub struct Operations {
    merchant: Merchant,
    served: Arc<Served>,
    needs_trust_lists: bool,
    /// One at a time: it goes out to the network.
    doctor: Arc<Mutex<()>>,
}

impl Operations {
    pub(crate) fn new(merchant: Merchant, served: Arc<Served>) -> Self {
        Self { merchant, served, needs_trust_lists: false, doctor: Arc::default() }
    }

    /// A node on which a published list of issuers is over, or never came, is not ready: for a shop where nobody can buy
    /// without a wallet. Unless said here such a node serves, since the outage of a publisher takes all nodes away alike.
    #[must_use]
    pub const fn needs_trust_lists(mut self) -> Self {
        self.needs_trust_lists = true;
        self
    }

    /// The pages.
    pub fn router(&self) -> Router {
        Router::new()
            .route("/metrics", get(metrics))
            .route("/health", get(async || no_store("ok\n")))
            .route("/ready", get(ready))
            .route("/doctor", get(doctor))
            .with_state(self.clone())
    }

    /// What `/metrics` says.
    #[must_use]
    pub fn metrics(&self) -> String {
        let mut text = self.merchant.metrics();
        self.served.write(&mut text);
        text.to_string()
    }
}

async fn metrics(State(operations): State<Operations>) -> Response {
    let kind = (header::CONTENT_TYPE, HeaderValue::from_static(Text::CONTENT_TYPE));
    no_store(([kind], operations.metrics()))
}

/// Whether customers should be sent here, and each part with `yes`, `poorly` or `no`.
#[derive(Serialize)]
struct ReadyBody {
    ready: bool,
    checks: serde_json::Map<String, serde_json::Value>,
}

async fn ready(State(operations): State<Operations>) -> Response {
    let readiness = operations.merchant.readiness().await;
    let missed = operations.needs_trust_lists && readiness.of(Check::TrustLists) != Some(Ready::Yes);
    let is_ready = readiness.is_ready() && !missed;
    let checks = readiness.checks.iter().map(|(check, ready)| (check.name().to_owned(), ready.name().into()));
    let status = if is_ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    no_store((status, Json(ReadyBody { ready: is_ready, checks: checks.collect() })))
}

/// One thing that the doctor has looked at.
#[derive(Serialize)]
struct FindingBody {
    part: &'static str,
    severity: &'static str,
    what: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    advice: String,
}

async fn doctor(State(operations): State<Operations>) -> Response {
    // One at a time: nobody waits in line for what asks others.
    let Ok(_only) = operations.doctor.try_lock() else {
        let busy = "the doctor is looking already: ask again in some seconds";
        return no_store(Problem::new(StatusCode::SERVICE_UNAVAILABLE, "doctor_busy", busy));
    };
    let findings = operations.merchant.doctor().await.into_iter().map(|finding| FindingBody {
        part: finding.part.name(),
        severity: finding.severity.name(),
        what: finding.what,
        advice: finding.advice,
    });
    no_store(Json(findings.collect::<Vec<_>>()))
}

fn no_store(answer: impl IntoResponse) -> Response {
    let mut response = answer.into_response();
    response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}
