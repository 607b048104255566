//! A whole shop under every history that a seed can draw: several nodes over one store, people with browsers and wallets, a
//! thief who listens, a network that loses and repeats, a store that delays, fails, forgets to answer and takes its node with
//! it, and a clock that leaps; all of it in one thread, by requests over HTTP, in simulated time. After each answer an oracle
//! with a picture of its own says whether it may be so.
//!
//! `FIRSTHAND_SIMULATION_RUNS=1000000 cargo test --release -p firsthand-tests --test simulation -- --nocapture` runs more
//! histories than those of every day; `FIRSTHAND_SIMULATION_SEED=..` runs one again, and tells what happens in it.

#[path = "simulation/audit.rs"]
mod audit;
#[path = "simulation/disk.rs"]
mod disk;
#[path = "simulation/nodes.rs"]
mod nodes;
#[path = "simulation/oracle.rs"]
mod oracle;
#[path = "simulation/people.rs"]
mod people;
#[path = "simulation/request.rs"]
mod request;
#[path = "simulation/run.rs"]
mod run;
#[path = "simulation/thief.rs"]
mod thief;
#[path = "simulation/till.rs"]
mod till;
#[path = "simulation/world.rs"]
mod world;

use std::time::Instant;

use firsthand::testing::TestShop;
use firsthand_tests::seeds::{Counts, Seeds, number};

use crate::{
    disk::Flaw,
    run::{Ended, run},
};

/// How many histories are run every day: as many as half a minute has room for.
const RUNS: u64 = 1_000;

/// How often each of these happens in as many histories at least, so that they cannot become empty.
const AT_LEAST: [(&str, u64); 40] = [
    ("act: 200", 300),
    ("act: 401 invalid_dpop_proof", 100),
    ("act: 401 invalid_token", 100),
    ("answer: 409 already_answered", 50),
    ("audit: a session in doubt", 500),
    ("audit: a session that is over", 500),
    ("audit: an open session", 1_000),
    ("audit: an order that is cancelled", 10),
    ("audit: an order that is paid", 50),
    ("checkout: 200", 100),
    ("checkout: 201", 200),
    ("checkout: 409 checkout_over", 5),
    ("checkout: an order", 40),
    ("forget device: 204", 15),
    ("forget me: 200", 15),
    ("network: a request comes twice", 500),
    ("network: a request is lost", 300),
    ("network: an answer is lost", 300),
    ("node: dies after it has committed", 50),
    ("node: dies before it commits", 20),
    ("node: dies while it reads", 30),
    ("node: ends", 300),
    ("recover: 200", 8),
    ("recover: 403 not_recognised", 4),
    ("redeem: 200", 1_500),
    ("redeem: 403 binding_locked", 4),
    ("redeem: 403 other_browser", 100),
    ("redeem: 403 wrong_response_code", 15),
    ("redeem: 409 already_redeemed", 200),
    ("redeem: 409 not_answered", 50),
    ("resume: 200", 100),
    ("resume: 403 binding_locked", 30),
    ("resume: 403 unknown_key", 200),
    ("revoke all: 204", 30),
    ("revoke one: 204", 30),
    ("sign out: 204", 80),
    ("store: a commit is cut off", 50),
    ("store: a commit is done, and its answer lost", 200),
    ("store: a commit is lost, and nobody can tell", 100),
    ("store: conflict", 300),
];

#[test]
fn no_history_takes_anybody_for_somebody_else_or_does_anything_twice() {
    if let Some(seed) = number("FIRSTHAND_SIMULATION_SEED") {
        let Ended { wrong, history, .. } = run(&TestShop::new(), seed, None, true);
        println!("{history}");
        assert!(wrong.is_empty(), "seed {seed}:\n{}", wrong.join("\n"));
        return;
    }
    let runs = number("FIRSTHAND_SIMULATION_RUNS").unwrap_or(RUNS);
    let first = number("FIRSTHAND_SIMULATION_FIRST").unwrap_or(1);
    let begun = Instant::now();
    let work = |seeds: &Seeds| {
        // One shop for many histories: keys, certificates and people's wallets are slow to make.
        let (base, mut all) = (TestShop::new(), Counts::new());
        while let Some(seed) = seeds.next() {
            let Ended { wrong, counts, .. } = run(&base, seed, None, false);
            if !wrong.is_empty() {
                seeds.stop();
                let Ended { history, .. } = run(&base, seed, None, true);
                panic!("{history}\n\n{}\nagain with FIRSTHAND_SIMULATION_SEED={seed}", wrong.join("\n"));
            }
            for (what, count) in counts {
                *all.entry(what).or_default() += count;
            }
        }
        all
    };
    let counts = Seeds::new(first, runs).run(work);
    let each = begun.elapsed().checked_div(u32::try_from(runs).unwrap_or(u32::MAX)).unwrap_or_default();
    println!("{runs} histories from seed {first} in {:?}, {each:?} each with two at a time", begun.elapsed());
    for (what, count) in &counts {
        println!("{count:>10} {what}");
    }
    if runs >= RUNS {
        for (what, least) in AT_LEAST {
            let count = counts.get(what).copied().unwrap_or_default();
            assert!(count >= least, "{what:?} happened {count} times in {runs} histories: they have become empty");
        }
    }
}

#[test]
fn one_seed_is_one_history() {
    for seed in [7, 21, 1_000_003] {
        let [one, other] = [0, 1].map(|_| run(&TestShop::new(), seed, None, true));
        assert!(one.history.lines().count() > 50, "{}", one.history);
        assert_eq!(one.history, other.history, "seed {seed}");
    }
}

/// A shop over a broken store is found out, and soon.
#[test]
fn the_oracle_finds_every_flaw() {
    let base = TestShop::new();
    for flaw in Flaw::ALL {
        let found = (1..=300).find_map(|seed| {
            let Ended { wrong, .. } = run(&base, seed, Some(flaw), false);
            wrong.first().map(|wrong| (seed, wrong.clone()))
        });
        let (seed, wrong) = found.unwrap_or_else(|| panic!("nobody sees that the store is one that {flaw:?}"));
        println!("{flaw:?}: seed {seed}: {wrong}");
    }
}
