//! A card that a shop offers, and how it comes into a wallet (OpenID4VCI 1.0).

use axum::{Router, extract::State, response::Response};
use firsthand::{
    Merchant,
    testing::{
        cast::Persona,
        collector::Collector,
        wallet::{self, WalletError},
    },
};
use http::{HeaderMap, StatusCode};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use tokio::{runtime::Handle, task::spawn_blocking};
use tower::ServiceExt;

use super::{
    WalletEnv, about, development, nobody, private,
    words::{RELATIONSHIP, type_in_words},
};
use crate::{
    lang::Lang,
    problem::Problem,
    routes::{Body, parse},
};

/// What the shop's issuer answers to a wallet: a batch of credentials.
const ANSWER_BYTES_MAX: usize = 1024 * 1024;

/// What the page has of an offer.
#[derive(Deserialize)]
struct OfferLinkBody {
    /// The link, of any scheme.
    link: String,
    /// Who keeps the card.
    #[serde(default)]
    persona: Option<String>,
    /// The number that the shop shows.
    #[serde(default)]
    tx_code: Option<String>,
}

/// Who offers what.
#[derive(Serialize)]
struct OfferedBody {
    /// What the shop calls itself.
    name: String,
    host: String,
    /// What it calls the card.
    card: String,
    /// How many digits the number has, if there is one.
    #[serde(skip_serializing_if = "Option::is_none")]
    digits: Option<u64>,
    people: Vec<HolderBody>,
}

/// Who may keep it.
#[derive(Serialize)]
struct HolderBody {
    id: &'static str,
    name: &'static str,
    about: &'static str,
}

/// Whose wallet has it now.
#[derive(Serialize)]
struct ReceivedBody {
    name: &'static str,
}

/// What an offer says, before anybody takes it.
pub(super) async fn offer(
    State(merchant): State<Merchant>,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Problem> {
    let body: OfferLinkBody = parse(&body.json(&headers)?)?;
    let lang = Lang::of(&headers);
    let holder = |it: &Persona| HolderBody { id: it.id, name: it.name, about: about(it, lang) };
    let people = development(&merchant)?.personas().iter().map(holder).collect();
    let host = merchant.origin().authority().to_owned();
    let (offer, issuer) = aside(async move || {
        let (carrier, env) = (Carrier::to(&merchant), WalletEnv(merchant));
        let visit = Collector::open(&body.link, &env, async |request| carrier.carry(request).await).await?;
        Ok((visit.offer, visit.issuer))
    })
    .await?;
    let named = |value: Option<&Value>| value.and_then(Value::as_str).map(str::to_owned);
    let configuration = offer.configurations.first().map(String::as_str).unwrap_or_default();
    let described = issuer.get("credential_configurations_supported").and_then(|all| all.get(configuration));
    let tx_code = offer.pre_authorized.as_ref().and_then(|grant| grant.tx_code.as_ref());
    private(OfferedBody {
        name: named(issuer.pointer("/display/0/name")).unwrap_or_else(|| host.clone()),
        host,
        card: named(described.and_then(|card| card.pointer("/credential_metadata/display/0/name")))
            .unwrap_or_else(|| type_in_words(RELATIONSHIP, lang)),
        digits: tx_code.map(|tx_code| tx_code.length.unwrap_or(6)),
        people,
    })
}

/// Gets the card in each format that it is offered in, as any wallet may, and keeps what it got.
pub(super) async fn receive(
    State(merchant): State<Merchant>,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Problem> {
    let body: OfferLinkBody = parse(&body.json(&headers)?)?;
    let holder = development(&merchant)?.persona(body.persona.as_deref().unwrap_or_default()).ok_or_else(nobody)?;
    let (id, name) = (holder.id, holder.name);
    let shop = merchant.clone();
    let received = aside(async move || {
        let mut received = wallet::Wallet::new();
        let (carrier, env) = (Carrier::to(&shop), WalletEnv(shop));
        let tx_code = body.tx_code.as_deref().map(str::trim).filter(|tx_code| !tx_code.is_empty());
        let mut visit =
            received.receive(&body.link, tx_code, &env, async |request| carrier.carry(request).await).await?;
        for twin in visit.offer.configurations.clone().into_iter().skip(1) {
            visit.configuration = Some(twin);
            // The shop gives so many and no more; what is here already is the customer's.
            if let Err(error) = received.collect(&mut visit).await {
                tracing::info!(%error, "the card is not to be had in another format");
            }
        }
        Ok(received)
    })
    .await?;
    development(&merchant)?.keep(id, &received)?;
    private(ReceivedBody { name })
}

/// Runs a visit at the issuer on a thread of its own: the compiler cannot see that its future may change threads.
async fn aside<T: Send + 'static>(
    visit: impl AsyncFnOnce() -> Result<T, WalletError> + Send + 'static,
) -> Result<T, Problem> {
    let runtime = Handle::current();
    match spawn_blocking(move || runtime.block_on(visit())).await {
        Ok(outcome) => outcome.map_err(|error| untaken(&error)),
        Err(error) => Err(Problem::new(StatusCode::INTERNAL_SERVER_ERROR, "internal", error.to_string())),
    }
}

/// Carries a wallet's requests to the routes of this shop. It has no way to another one.
struct Carrier {
    router: Router,
    own: String,
}

impl Carrier {
    fn to(merchant: &Merchant) -> Self {
        Self { router: crate::routes(merchant), own: merchant.origin().authority().to_owned() }
    }

    async fn carry(&self, request: http::Request<Vec<u8>>) -> http::Response<Vec<u8>> {
        let mut refused = http::Response::new(Vec::new());
        *refused.status_mut() = StatusCode::MISDIRECTED_REQUEST;
        if !request.uri().authority().is_some_and(|named| named.as_str().eq_ignore_ascii_case(&self.own)) {
            return refused;
        }
        let Ok(response) = self.router.clone().oneshot(request.map(axum::body::Body::from)).await;
        let (parts, body) = response.into_parts();
        match axum::body::to_bytes(body, ANSWER_BYTES_MAX).await {
            Ok(bytes) => http::Response::from_parts(parts, bytes.to_vec()),
            Err(_) => refused,
        }
    }
}

/// Why a card was not taken.
fn untaken(error: &WalletError) -> Problem {
    let (code, detail) = match error {
        WalletError::Refused { status: 421, .. } => {
            ("another_shop", "this wallet takes cards of the shop that it belongs to, and of no other".to_owned())
        }
        WalletError::Refused { error, .. } if error == "invalid_grant" => ("invalid_grant", error.clone()),
        WalletError::Offer => ("link_refused", error.to_string()),
        _ => ("offer_refused", error.to_string()),
    };
    Problem::new(StatusCode::BAD_REQUEST, code, detail)
}
