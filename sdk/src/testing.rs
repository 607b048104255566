//! A shop, its customers' wallets and an issuer, for tests and for development: the real protocol, with the time moved
//! by hand. Nothing here is for production, and nothing here is believed by a shop that does not say so.

#[cfg(feature = "passkey")]
pub mod authenticator;
pub mod authority;
pub mod cast;
pub mod collector;
mod conformance;
mod fake_executor;
mod fake_rail;
pub mod faulty;
pub mod issuer;
pub mod list;
#[cfg(feature = "mdoc")]
pub mod mdoc;
mod network;
mod rail_conformance;
mod shop;
pub mod trade;
#[cfg(feature = "w3c")]
pub mod w3c;
pub mod wallet;

pub use conformance::store_conformance;
pub use fake_executor::{FakeExecutor, Handling};
pub use fake_rail::{FakeRail, Mood};
pub use network::Network;
pub use rail_conformance::{RailKind, rail_conformance};
pub use shop::{Clock, TestShop};
