//! The price of adoption: everything that the shop does to recognise its customers, in one file.

use axum::{
    Form, Router,
    extract::{Request, State},
    middleware::{Next, from_fn},
    response::{IntoResponse, Response},
    routing::{get, post},
};
use firsthand_axum::{
    Ask, CustomerLayer, Device, Error, Keys, Known, Merchant, Operations, Problem, Trust,
    ask::{PID, documents::name_and_address},
    merchant::IssuerProfile,
    rail::Sepa,
    require, routes,
};

use crate::{
    args::Args,
    present, receipt,
    sell::{self, Store, Till},
    shop::{
        self, AccountView, Customer, ProofView, PutBackForm, Recipient, Shop, WineForm, ZONE, assets,
        database::Database, page::CONTENT_SECURITY_POLICY, pages, view::View,
    },
};

/// What wine asks of whoever wants it.
pub(crate) fn age() -> Ask {
    Ask::new("age", "Wine is sold to adults").over(18)
}

/// What a parcel label asks.
pub(crate) fn address() -> Ask {
    Ask::new("address", "A parcel needs a label").credential("pid", name_and_address())
}

/// What somebody is asked who says that they were here before: the card that the shop gave them.
pub(crate) fn welcome() -> Ask {
    Ask::new("welcome", "So that we know you again").recognise()
}

/// The merchant behind the till. Without `--keys` it is a development merchant, on this machine alone.
///
/// # Errors
/// What is missing or contradicts itself, in words.
pub async fn till(args: &Args, database: Database) -> Result<Till, Error> {
    let mut builder = match &args.keys {
        Some(file) => Merchant::builder(args.origin.clone()).keys(Keys::from_pem_file(file)?),
        None => Merchant::dev_at(args.origin.clone(), &args.data).await?,
    };
    let store = Store::open(&database).await?;
    if let Some(folder) = &args.trust {
        builder = builder.trust(Trust::from_pem_dir(folder, &[PID])?);
    }
    builder = store.of(builder).client_id_prefix(args.client_id_prefix.clone()).response_mode(args.response_mode);
    let sepa = Sepa::new(&args.sepa_payee, &args.sepa_iban).map_err(|error| Error::Misuse(error.to_string()))?;
    let merchant = builder.ask(&age()).ask(&address()).ask(&welcome()).rail(sepa.clone()).feed();
    let merchant = merchant.relationship(IssuerProfile::Open).display_name("Blatt & Rebe").receipts(receipt::seller());
    let merchant = merchant.time_zone(ZONE).build()?;
    Ok(Till::new(merchant, database, store))
}

/// The whole shop: its own pages, the routes of the merchant, and the layer that says who asks; and how it is doing.
///
/// # Errors
/// If the shop's content security policy is no header.
pub fn router(shop: Shop, till: &Till) -> Result<(Router, Operations), Error> {
    let merchant = till.merchant();
    let known = Router::new()
        .route("/wine", post(set_aside).route_layer(require(&age())))
        .route("/wine/reserved", get(reserved).post(put_back))
        .route("/account", get(account))
        .with_state(shop.clone());
    let layer = CustomerLayer::new(merchant.clone()).content_security_policy(CONTENT_SECURITY_POLICY)?;
    let pages = known
        .merge(sell::routes(till))
        .merge(present::routes(merchant))
        .merge(shop::routes(&shop))
        .layer(from_fn(introduce));
    let operations = layer.operations();
    Ok((pages.merge(assets::routes()).merge(routes(merchant)).layer(layer), operations))
}

/// Tells the shop's own pages who is there, so that they can greet.
async fn introduce(known: Option<Known>, mut request: Request, next: Next) -> Result<Response, Problem> {
    if let Some(known) = known {
        request.extensions_mut().insert(customer(&known).await?);
    }
    Ok(next.run(request).await)
}

/// The customer as the shop knows customers: a name for its tables, and what was shown just now.
async fn customer(known: &Known) -> Result<Customer, Error> {
    let shown = known.claims(&address()).await?;
    let recipient = shown.map(|shown| {
        let text = |path: &[&str]| {
            let value = shown.claim("pid", path).and_then(|v| v.as_str()).unwrap_or_default();
            // What came from another device may be somebody else's: the parcel finds it, the page does not show it.
            if shown.device() == Device::CrossDevice { masked(value) } else { value.to_owned() }
        };
        Recipient {
            name: [text(&["given_name"]), text(&["family_name"])].join(" "),
            lines: vec![
                text(&["address", "street_address"]),
                [text(&["address", "postal_code"]), text(&["address", "locality"])].join(" "),
            ],
            masked: shown.device() == Device::CrossDevice,
        }
    });
    Ok(Customer { id: known.id().to_string(), adult: known.proof(&age()).await?.is_some(), recipient })
}

fn masked(value: &str) -> String {
    value.chars().take(1).chain("…".chars()).collect()
}

type Answer = Result<Response, Problem>;

async fn set_aside(State(shop): State<Shop>, known: Known, view: View, Form(form): Form<WineForm>) -> Answer {
    Ok(shop.set_aside(&view, &customer(&known).await?, &form).await)
}

async fn reserved(State(shop): State<Shop>, known: Known, view: View) -> Answer {
    Ok(shop.reserved(&view, &customer(&known).await?).await)
}

async fn put_back(State(shop): State<Shop>, known: Known, view: View, Form(form): Form<PutBackForm>) -> Answer {
    Ok(shop.put_back(&view, &customer(&known).await?, &form).await)
}

/// What is kept about the customer; the buttons of the page call the merchant's routes.
async fn account(known: Known, view: View) -> Answer {
    let record = known.customer().await?;
    let proofs = record.proofs().iter().map(|proof| ProofView {
        ask: proof.ask.clone(),
        purpose: proof.purpose.clone(),
        outcome: proof.outcome.to_string(),
        at_s: proof.at.as_secs(),
    });
    let shown = AccountView {
        id: known.id().to_string(),
        dids: record.dids().await?,
        rung: known.rung().name().to_owned(),
        proofs: proofs.collect(),
    };
    Ok(pages::account(&view, &customer(&known).await?, &shown).into_response())
}
