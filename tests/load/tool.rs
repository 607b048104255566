//! A shop under load: how many people it serves, how long they wait, and what it takes of a processor and of memory.
//!
//! The shop is a process of its own (or two), reached over HTTP, so that its processor time and memory are its own. People
//! come when they come: each visit begins at a moment that was drawn before, whether or not those before it were served
//! (an *open loop*), and waits from that moment on. A shop that stalls is not spared by people who politely wait for it.

pub mod chart;
mod people;
pub mod plan;
pub mod program;
mod report;
pub mod run;
mod shop;
pub mod tally;

pub use plan::{Arrivals, Mix};
pub use program::Program;
pub use run::{Database, Options, run};
pub use shop::serve;
