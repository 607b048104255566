//! The shop as its documents have it, towards tools that know nothing but those: every operation by schemathesis.
//!
//! A tool cannot make a proof of possession, and does not know what there is in a shop. Walks of people, wallets and operators
//! that go well lend it both (`contract/envoy.rs`).

#[path = "contract/document.rs"]
mod document;
#[path = "contract/envoy.rs"]
mod envoy;
#[path = "support/statements.rs"]
mod made_statements;
#[path = "contract/place.rs"]
mod place;
#[path = "contract/schemathesis.rs"]
mod schemathesis;
#[path = "contract/walks.rs"]
mod walks;
