//! Wallets and issuers that we did not write: published libraries issue credentials, take ours, and answer what the shop asks.
//!
//! They run on node, from `tests/interop`, where `npm ci` puts the versions of the lock file (`tests/run` does). Without them
//! the tests are left out and say so; with `CI=true` that is a failure. For each format a library answers truly and is believed,
//! and answers with one thing wrong and is refused for that reason.

#[path = "interop/foreign.rs"]
mod foreign;
#[path = "interop/iaca.rs"]
mod iaca;
#[path = "interop/mdoc.rs"]
mod mdoc;
#[path = "interop/payment.rs"]
mod payment;
#[path = "interop/receipt.rs"]
mod receipt;
#[path = "interop/relationship.rs"]
mod relationship;
#[cfg(feature = "w3c")]
#[path = "interop/w3c.rs"]
mod w3c;
