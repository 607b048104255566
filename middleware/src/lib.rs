//! Know your customers without cookies, passwords or "Sign in with …": [`firsthand`] for axum.
//!
//! A customer proves what a sale needs from their own wallet, and is recognised when they come back, by a key of their
//! browser that signs each request. This crate is the HTTP edge: a Tower layer, extractors, mounted routes, the script
//! for the browser, and the OpenAPI document. It re-exports all of [`firsthand`] and forwards its features, so that it
//! is the one dependency of a shop.
//!
//! # A program
//!
//! With the feature `dev` there are keys, an issuer and a wallet for development, on this machine alone:
//!
#![cfg_attr(feature = "dev", doc = "```no_run")]
#![cfg_attr(not(feature = "dev"), doc = "```ignore")]
//! use axum::{Router, response::Html, routing::{get, post}};
//! use firsthand_axum::{Ask, CustomerLayer, Known, Merchant, require, routes};
//!
//! #[tokio::main]
//! async fn main() -> Result<(), Box<dyn std::error::Error>> {
//!     let age = Ask::new("age", "Wine is sold to adults").over(18);
//!     let merchant = Merchant::dev().await?.ask(&age).build()?;
//!     let app: Router = Router::new()
//!         .route("/", get(home))
//!         .route("/wine", post(buy).route_layer(require(&age)))
//!         .merge(routes(&merchant))
//!         .layer(CustomerLayer::new(merchant));
//!     let listener = tokio::net::TcpListener::bind("127.0.0.1:8080").await?;
//!     Ok(axum::serve(listener, app).await?)
//! }
//!
//! async fn home(customer: Option<Known>) -> Html<&'static str> {
//!     Html(match customer {
//!         Some(_) => r#"<p data-firsthand="greeting">Welcome back</p>"#,
//!         None => r#"<p data-firsthand="greeting">Hello</p>
//!             <firsthand-button ask="age"></firsthand-button>
//!             <script type="module" src="/wallet/firsthand.js"></script>"#,
//!     })
//! }
//!
//! async fn buy(customer: Known) -> String {
//!     format!("set aside for {}", customer.id())
//! }
//! ```
//!
//! In production the first line of the merchant is another: [`Merchant::builder`] with keys, trust and a store.
//!
//! # The nouns
//!
//! - [`CustomerLayer`]: around the whole router; it checks the proof of every request that brings one, and keeps what
//!   was computed from it out of every cache.
//! - [`Known`]: the customer as an argument of a handler. `Option<Known>` serves everybody; a wrong proof is a 401 in
//!   both. Nothing but the layer makes one.
//! - [`require`]: a gate in front of a route, for who has proved an ask, and not too long ago.
//! - [`Recent`]: `Recent<Known>` is a customer who has shown moments ago that they are who they are, for what touches a stored
//!   address or where money goes back to: whoever has a passkey, a credential or a DID has shown one of them on this device
//!   in the last five minutes; whoever has none has shown a wallet.
//! - [`SameOrigin`]: a form that came from a page of the shop itself, for guests, whom no key signs for.
//! - [`routes`]: what browsers and wallets talk to, under the merchant's mount path (`/wallet`).
//! - [`DeskOpened`] and [`DeskAnswer`]: what the page of a merchant's own desk is answered, in the words of CIBA.
//! - [`merchant_pages`]: the merchant's own pages and a JSON API, for [`Operators`] with keys: orders, parcels,
//!   withdrawals, transfers, refunds, the bank, the books, stock. [`BackOffice`] puts pages of your own behind the same keys.
//! - [`CheckoutPage`]: what the shop says on the checkout page, which is there for a merchant with a
//!   [`Trade`](trade::Trade), with the same as JSON beside it.
//! - [`Lang`]: the language that a visitor likes best of those that our pages speak, for pages of the shop's own.
//! - [`Operations`]: metrics, health, readiness and the doctor, for a listener that the public does not reach
//!   ([`CustomerLayer::operations`]). [`RequestIds`]: how requests get the names under which they stand in the log.
//! - [`Problem`]: every refusal as `problem+json` with a stable code; an error enum of your own takes
//!   `From<firsthand::Error>`.
//! - [`ClientAddress`]: where a client's address comes from, for limits alone, and only as you say.
//!
//! # Testing
//!
//! The feature `testing` has a shop, wallets and a browser that live in a test: no network, no sleeping, the time moved
//! by hand.
//!
#![cfg_attr(feature = "testing", doc = "```")]
#![cfg_attr(not(feature = "testing"), doc = "```ignore")]
//! use axum::{Router, routing::{get, post}};
//! use firsthand_axum::{CustomerLayer, Known, require, routes, testing::{Browser, TestShop}};
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() {
//! let shop = TestShop::new();
//! let app: Router = Router::new()
//!     .route("/wine", post(|customer: Known| async move { customer.id().to_string() }).route_layer(require(&TestShop::age())))
//!     .merge(routes(shop.merchant()))
//!     .layer(CustomerLayer::new(shop.merchant().clone()));
//!
//! let mut browser = Browser::new(&shop, app);
//! assert_eq!(browser.post_form("/wine", "").await.status, 401);
//! browser.sign_in("adult").await;
//! assert_eq!(browser.post_form("/wine", "").await.status, 200);
//! shop.advance_s(31 * 60); // wine asks for a proof of the last half hour
//! assert_eq!(browser.post_form("/wine", "").await.status, 403);
//! # }
//! ```
//!
//! A sale is tested like that, too. With this handler, and one like it for guests:
//!
#![cfg_attr(feature = "testing", doc = "```")]
#![cfg_attr(not(feature = "testing"), doc = "```ignore")]
//! use axum::{Router, extract::State, routing::get};
//! use firsthand_axum::{
//!     CustomerLayer, Known, Merchant, Problem, SameOrigin, routes,
//!     money::{Currency, Money, Quantity},
//!     order::{Draft, OrderState},
//!     store::Memory,
//!     testing::{Browser, FakeRail, Mood, TestShop},
//! };
//!
//! fn tea() -> Result<Draft, Problem> {
//!     let price = Money::parse("14.80", Currency::EUR)?; // from the merchant's own catalogue, never from the page
//!     Ok(Draft::new(Currency::EUR).line("sencha", "Sencha, 100 g", price, Quantity::new(1)?))
//! }
//!
//! async fn buy(known: Known, form: String) -> Result<String, Problem> {
//!     let order = known.place(tea()?, &form).await?.commit().await?;
//!     Ok(order.pay(FakeRail::ID).await?.state().name().to_owned())
//! }
//!
//! async fn buy_as_guest(_: SameOrigin, State(merchant): State<Merchant>, form: String) -> Result<String, Problem> {
//!     let bought = merchant.place_as_guest(tea()?, &form).await?.commit().await?;
//!     Ok(bought.order.pay(FakeRail::ID).await?.state().name().to_owned())
//! }
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() {
//! let rail = FakeRail::new();
//! let shop = TestShop::with(|shop| shop.store(Memory::new()).rail(rail.clone()));
//! let app: Router = Router::new()
//!     .route("/buy", get(async |known: Known| known.form()).post(buy))
//!     .route("/guest", get(async |State(merchant): State<Merchant>| merchant.guest_form()).post(buy_as_guest))
//!     .with_state(shop.merchant().clone())
//!     .merge(routes(shop.merchant()))
//!     .layer(CustomerLayer::new(shop.merchant().clone()));
//!
//! let mut browser = Browser::new(&shop, app);
//! browser.sign_in("adult").await;
//! let form = browser.get("/buy").await.text();
//! rail.next(Mood::Declines); // the next payment; all others are paid
//! assert_eq!(browser.post_form("/buy", &form).await.text(), "declined");
//! assert_eq!(browser.post_form("/buy", &form).await.text(), "paid"); // the same form: the same order, tried again
//! assert_eq!(browser.post_form("/buy", &form).await.code(), "already_paid");
//!
//! let form = browser.get("/guest").await.text();
//! assert_eq!(browser.plain_form("/guest", &form).await.text(), "paid");
//! assert_eq!(rail.calls(), 3);
//! # }
//! ```
//!
//! # What it does not do
//!
//! It sets no cookie unless [you choose that](CustomerLayer::host_cookie), reads no `Host` and no `X-Forwarded-*` for the
//! public address, contacts no other host from a page, and patches no `fetch` of yours. It has no user interface but a
//! button, a QR code, the account elements, six small pages (return, shell, post, consent, call and join), the checkout page
//! of a shop that has a [`Trade`](trade::Trade), and the merchant's own pages where you mount them.

pub use firsthand::*;

/// What a shop does with this, topic by topic.
pub mod guide {
    #[doc = include_str!("../guide/checkout.md")]
    pub mod checkout {}
    #[doc = include_str!("../guide/merchant.md")]
    pub mod merchant {}
    #[doc = include_str!("../guide/orders.md")]
    pub mod orders {}
    #[doc = include_str!("../guide/payments.md")]
    pub mod payments {}
    #[doc = include_str!("../guide/recognition.md")]
    pub mod recognition {}
    // Its program compiles where there is a store in a file.
    #[cfg(any(not(doctest), feature = "dev"))]
    #[doc = include_str!("../guide/shop.md")]
    pub mod shop {}
}

mod back_office;
mod checkouts;
mod client;
mod cookie;
mod desk;
#[cfg(feature = "dev")]
mod dev_wallet;
mod events;
mod extract;
mod lang;
mod layer;
mod limit;
mod observe;
#[cfg(feature = "openapi")]
mod openapi;
mod operations;
mod problem;
mod recent;
mod request_id;
mod require;
mod routes;
mod same_origin;
mod signed;
mod task;
#[cfg(feature = "testing")]
pub mod testing;
mod web;

pub use back_office::{BackOffice, KeyDigest, NotAKeyDigest, Operator, OperatorKey, Operators, merchant_pages};
pub use checkouts::CheckoutPage;
pub use client::ClientAddress;
pub use desk::{DeskAnswer, DeskOpened};
pub use extract::Known;
pub use lang::Lang;
pub use layer::{CustomerLayer, CustomerService};
#[cfg(feature = "openapi")]
pub use openapi::{merchant_openapi, merchant_openapi_json, openapi, openapi_json};
pub use operations::Operations;
pub use problem::Problem;
pub use recent::Recent;
pub use request_id::RequestIds;
pub use require::{Require, RequireLayer, Required, require};
pub use routes::{bare_routes, routes, well_known_routes};
pub use same_origin::SameOrigin;

/// The program of the README compiles.
#[cfg(all(doctest, feature = "dev"))]
#[doc = include_str!("../../README.md")]
struct Readme;
