//! A shop, its customers' wallets and an issuer, for tests and for development: the real protocol, with the time moved
//! by hand. Nothing here is for production, and nothing here is believed by a shop that does not say so.

pub mod authority;
pub mod cast;
mod conformance;
pub mod faulty;
pub mod issuer;
mod network;
mod shop;
pub mod wallet;

pub use conformance::store_conformance;
pub use network::Network;
pub use shop::{Clock, TestShop};
