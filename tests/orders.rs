//! Orders and money under every interleaving that a seed can draw: two processes of a shop, browsers that send forms
//! twice, a rail that is late, forgets and lies, transfers of every kind, workers that end in the middle, a clock that
//! leaps, crashes between any two commits, and commits of which nobody knows whether they happened.
//!
//! `FIRSTHAND_MODEL_RUNS=1000000 cargo test --release -p firsthand-tests --test orders -- --nocapture` makes more runs
//! than the 10,000 of every day; `FIRSTHAND_MODEL_SEED=..` makes one again, and tells what happens in it.

#[path = "orders/actors.rs"]
mod actors;
#[path = "orders/buyers.rs"]
mod buyers;
#[path = "orders/oracle.rs"]
mod oracle;
#[path = "orders/run.rs"]
mod run;
#[path = "orders/sales.rs"]
mod sales;
#[path = "orders/shop.rs"]
mod shop;
#[path = "orders/stage.rs"]
mod stage;

use std::time::Instant;

use firsthand_tests::seeds::{Counts, Seeds, number};

use crate::run::{Kind, Theatre};

/// How often each of these happens in 10,000 runs at least, so that the model cannot become empty.
const AT_LEAST: [(&str, u64); 90] = [
    ("order: given by the rail, told once more", 3),
    ("after: said again", 40),
    ("order: a parcel", 300),
    ("order: a parcel that arrived", 20),
    ("order: a refund of an adjustment", 50),
    ("order: a withdrawal", 300),
    ("order: a withdrawal settled", 20),
    ("order: an adjustment", 150),
    ("refused: after: key_differs", 10),
    ("refused: after: more_than_bought", 300),
    ("refused: after: order_over", 300),
    ("refused: after: refund_too_large", 60),
    // Rare by now: whoever was stopped for half a minute tells the rail nothing.
    ("rail: told too late", 20),
    ("rail: told too late to give back", 1),
    ("merchant: found out", 50),
    ("order: an account", 100),
    ("merchant: found out about a capture", 3),
    ("crash: between the capture and the rail", 8),
    ("crash: between the rail's capture and its answer", 15),
    ("order: a capture", 500),
    ("order: a capture after another", 150),
    ("order: a capture declined", 120),
    ("order: a capture done", 600),
    ("order: a capture in doubt", 100),
    ("order: a giving up declined", 10),
    ("order: a giving up in doubt", 40),
    ("order: an authorisation ended", 30),
    ("order: an authorisation given up", 500),
    ("order: closed short", 50),
    ("order: closed short by the end of its authorisation", 5),
    ("order: money captured at the desk", 80),
    ("order: money taken back", 300),
    ("rail: an authorisation collected or ended by itself", 80),
    ("rail: told too late to capture", 1),
    ("refused: capture: capture_differs", 80),
    ("refused: capture: capture_too_large", 180),
    ("refused: capture: order_not_authorised", 500),
    ("refused: close short: nothing_captured", 50),
    ("refused: lie: no_such_capture", 80),
    ("crash: between the attempt and the rail", 100),
    ("crash: between the rail and its answer", 100),
    ("feed: a worker ends before it is done", 500),
    ("feed: again", 500),
    ("feed: later", 200),
    ("form: sent again", 1_000),
    ("notice: again", 1_000),
    ("order: a contradiction", 200),
    ("order: a giving back declined", 80),
    ("order: a giving back for the hand", 500),
    ("order: a giving back in doubt", 50),
    ("order: a part owed back at the end", 200),
    ("order: a refund", 900),
    ("order: an attempt after another", 200),
    ("order: an excess", 2_000),
    ("order: an outcome left open", 1_000),
    ("order: an unknown outcome that was declined", 300),
    ("order: an unknown outcome that was paid", 300),
    ("order: cancelled", 500),
    ("order: declined, then paid", 200),
    ("order: expired", 1_000),
    ("order: expired with a part paid", 100),
    ("order: given by hand", 100),
    ("order: given by the rail", 100),
    ("order: money after cancelling", 500),
    ("order: money after expiry", 200),
    ("order: money after it was paid", 1_000),
    ("order: paid", 2_000),
    ("rail: does and forgets", 200),
    ("rail: does and hangs", 100),
    ("rail: hangs", 100),
    ("rail: paid late", 300),
    ("refund: said again", 30),
    ("refused: cancel: payment_in_doubt", 90),
    ("refused: cancel: payment_under_way", 300),
    ("refused: lie: other_amount", 500),
    ("refused: pay: payment_in_doubt", 500),
    ("refused: pay: payment_under_way", 1_000),
    ("refused: place: form_used", 500),
    ("refused: refund: refund_differs", 200),
    ("refused: refund: refund_too_large", 400),
    ("store: ambiguous, done", 300),
    ("store: ambiguous, lost", 300),
    ("store: conflict", 5_000),
    ("transfer: a foreign reference", 500),
    ("transfer: again", 900),
    ("transfer: another currency", 500),
    ("transfer: another one of that name", 300),
    ("transfer: assigned", 200),
    ("transfer: sent back", 100),
    ("transfer: without a reference", 500),
];

/// The same for runs of checkouts.
const OF_CHECKOUTS: [(&str, u64); 57] = [
    ("catalogue: silent", 100),
    ("checkout: agreed", 6_000),
    ("checkout: begun", 15_000),
    ("checkout: begun again", 3_000),
    ("checkout: being paid", 2_982),
    ("checkout: canceled", 1_000),
    ("checkout: changed", 2_500),
    ("checkout: completed", 2_356),
    ("checkout: completed again", 3_000),
    ("checkout: given up: discount_used", 25),
    ("checkout: given up: interrupted", 1_000),
    ("checkout: given up: out_of_stock", 100),
    ("checkout: given up: stock_unknown", 400),
    ("checkout: opened again: order_cancelled", 12),
    ("checkout: opened again: payment_declined", 700),
    ("checkout: opened again: payment_expired", 60),
    ("checkout: paid after it was opened again", 40),
    ("checkout: shown again: offer_changed", 1_000),
    ("checkout: what was let off is given back", 500),
    ("crash: between agreeing and holding", 222),
    ("crash: between holding and the order", 150),
    ("crash: between the attempt and the rail", 28),
    ("crash: between the rail and its answer", 90),
    // One look at the store lies in between.
    ("crash: between the rail's answer and the inventory", 15),
    ("crash: while the inventory is told", 160),
    ("inventory: lost after it acted: free", 100),
    ("inventory: lost after it acted: hold", 250),
    ("inventory: lost after it acted: sell", 100),
    ("inventory: lost before it acted: free", 100),
    ("inventory: lost before it acted: hold", 250),
    ("inventory: lost before it acted: sell", 100),
    ("inventory: too little to hold", 200),
    ("order: a capture", 150),
    ("order: a contradiction", 80),
    ("order: a refund", 60),
    ("order: an authorisation given up", 200),
    ("order: an unknown outcome that was declined", 200),
    ("order: an unknown outcome that was paid", 200),
    ("order: cancelled", 1_000),
    ("order: confirmed", 2_356),
    ("order: declined, then paid", 1),
    ("order: money after cancelling", 150),
    ("order: paid", 2_000),
    ("rail: does and forgets", 150),
    ("rail: does and hangs", 100),
    ("rail: hangs", 100),
    ("rail: told too late", 1),
    ("refused: begin: form_expired", 10),
    ("refused: change: checkout_changed", 400),
    ("refused: change: checkout_in_progress", 700),
    ("refused: complete: checkout_changed", 2_000),
    ("refused: complete: checkout_in_progress", 2_000),
    ("refused: complete: idempotency_key_used", 400),
    ("refused: complete: total_changed", 150),
    ("refused: give up: checkout_in_progress", 90),
    ("store: ambiguous, done", 500),
    ("store: ambiguous, lost", 500),
];

fn with_theatre<T>(act: impl AsyncFnOnce(Theatre) -> T) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().start_paused(true).build().unwrap();
    runtime.block_on(tokio::task::unconstrained(async {
        // One stage for many runs: keys, certificates and two customers' wallets are slow.
        let theatre = Theatre::new().await;
        act(theatre).await
    }))
}

#[test]
fn no_interleaving_loses_or_doubles_anything() {
    runs(Kind::Orders, &AT_LEAST);
}

#[test]
fn no_interleaving_of_checkouts_sells_loses_or_doubles_anything() {
    runs(Kind::Checkouts, &OF_CHECKOUTS);
}

fn runs(kind: Kind, at_least: &[(&str, u64)]) {
    if let Some(seed) = number("FIRSTHAND_MODEL_SEED") {
        let result = with_theatre(async |theatre| theatre.run(kind, seed, true).await);
        return result.unwrap_or_else(|wrong| panic!("{kind:?}, seed {seed}:\n{wrong}"));
    }
    let runs = number("FIRSTHAND_MODEL_RUNS").unwrap_or(10_000);
    let first = number("FIRSTHAND_MODEL_FIRST").unwrap_or(1);
    let begun = Instant::now();
    let work = |seeds: &Seeds| -> Counts {
        with_theatre(async |theatre| {
            while let Some(seed) = seeds.next() {
                if theatre.run(kind, seed, false).await.is_err() {
                    seeds.stop();
                    let again = theatre.run(kind, seed, true).await;
                    let wrong = again.expect_err("a run that goes wrong once goes wrong again");
                    panic!("{wrong}\n{kind:?}: again with FIRSTHAND_MODEL_SEED={seed}");
                }
            }
            theatre.stage.world().counts.clone()
        })
    };
    let counts = Seeds::new(first, runs).run(work);
    println!("{kind:?}: {runs} runs from seed {first} in {:?}", begun.elapsed());
    for (what, count) in &counts {
        println!("{count:>10} {what}");
    }
    if runs >= 10_000 {
        for (what, least) in at_least {
            let count = counts.get(*what).copied().unwrap_or_default();
            assert!(count >= *least, "{what:?} happened {count} times in {runs} runs: the model has become empty");
        }
    }
}
