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
