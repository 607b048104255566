//! What holds for the whole repository, checked over its sources: the design said as absences, what the crates promise
//! in words, and the documents that must not go stale.

#[path = "repository/attacks.rs"]
mod attacks;
#[path = "repository/dependencies.rs"]
mod dependencies;
#[path = "repository/errors.rs"]
mod errors;
#[path = "repository/floors.rs"]
mod floors;
#[path = "repository/kinds.rs"]
mod kinds;
#[path = "repository/made.rs"]
mod made;
#[path = "repository/openapi.rs"]
mod openapi;
#[path = "repository/served.rs"]
mod served;
#[path = "repository/sources.rs"]
mod sources;
#[path = "repository/supply.rs"]
mod supply;
#[path = "repository/texts.rs"]
mod texts;
