//! What is looked at when everything has come to rest.

use std::collections::BTreeSet;

use crate::{
    oracle::{Session, Verdict},
    people::Doing,
    till::{ITEMS, shelf},
};
use firsthand::{
    env::Env,
    merchant::Order,
    order::{Happened, OrderId, OrderState},
    store::{Key, Store},
};

/// What is gone once its time is over and somebody has swept.
const PASSES: [&str; 6] =
    ["spent_proof", "presentation", "session", "customer_session", "session_answer", "begun_checkout"];

/// Whoever has a session is known by it at every node, and whoever has none is not.
pub async fn of_sessions(doing: &Doing) {
    let all: Vec<(String, usize, Verdict)> = {
        let state = doing.world.state();
        let now = state.clock.now();
        let of = |(token, one): (&String, &Session)| (token.clone(), one.browser, state.oracle.verdict(one, now));
        state.oracle.sessions.iter().map(of).collect()
    };
    for (token, device, verdict) in all {
        let known = doing.browser(device).token;
        doing.world.state().folk.devices[device].browser.token = Some(token);
        let reply = doing.look(device).await;
        doing.world.state().folk.devices[device].browser.token = known;
        let right = match verdict {
            Verdict::Open => reply.status == 200,
            Verdict::Over => reply.code() == "invalid_token",
            Verdict::InDoubt => reply.status == 200 || reply.code() == "invalid_token",
        };
        let mut state = doing.world.state();
        state.count(match verdict {
            Verdict::Open => "audit: an open session",
            Verdict::Over => "audit: a session that is over",
            Verdict::InDoubt => "audit: a session in doubt",
        });
        state.oracle.must(right, || format!("a session of browser {device} is {verdict:?}: {}", reply.status));
    }
}

/// Each paid checkout is one order, whoever took the money; and nothing of the shelf is lost or held.
pub async fn of_sales(doing: &Doing) {
    let (orders, sold) = {
        let state = doing.world.state();
        let orders = state.oracle.written.iter().filter(|key| key.kind == "order");
        let orders: Vec<OrderId> = orders.filter_map(|key| key.partition.parse().ok()).collect();
        (orders, state.oracle.sold.clone())
    };
    let merchant = doing.nodes.merchant(0);
    let mut checkouts = BTreeSet::new();
    let mut gone = vec![0_u64; ITEMS.len()];
    for id in orders {
        let found = merchant.order(&id).await.expect("a store that answers");
        let taken = doing.nodes.rail.taken_minor(&id);
        let Some(order) = found else {
            let mut state = doing.world.state();
            state.oracle.must(taken == 0, || format!("{taken} were taken for {id}, which is no order"));
            continue;
        };
        let is_paid = order.state() == OrderState::Paid;
        // What was paid after its hold had ended, and when others had it, is sold to nobody: the merchant is told.
        let events = order.events().await.expect("a store that answers");
        let is_missing = events.iter().any(|event| matches!(event.what, Happened::StockMissing { .. }));
        let total = order.record().total.minor();
        let mut state = doing.world.state();
        state.count(&format!("audit: an order that is {}", order.state().name()));
        state.oracle.must(taken == if is_paid { total } else { 0 }, || {
            format!("{taken} were taken of {total} for {id}, which is {}", order.state().name())
        });
        let told = sold.iter().filter(|(_, order)| **order == id.to_string()).count();
        state.oracle.must(told <= 1, || format!("{id} was told as the order of {told} checkouts"));
        let from = checkout_of(&order);
        if is_paid {
            let is_one = from.is_some_and(|from| checkouts.insert(from));
            state.oracle.must(is_one, || format!("{id} is the second order of its checkout, or of none"));
            if is_missing {
                state.count("audit: an order of what was sold to others");
                continue;
            }
            for line in &order.record().lines {
                let which = ITEMS.iter().position(|(item, ..)| *item == line.item);
                gone[which.expect("something that is sold")] += u64::from(line.quantity.count());
            }
        }
    }
    for ((item, _, stocked), gone) in ITEMS.iter().zip(gone) {
        let count = shelf(&doing.world).count(item, doing.world.now()).await.expect("a store that answers");
        let right = count.held == 0 && count.left + gone == u64::from(*stocked);
        doing
            .world
            .state()
            .oracle
            .must(right, || format!("of {stocked} {item}: {} are left, {} held, {gone} sold", count.left, count.held));
    }
}

fn checkout_of(order: &Order) -> Option<String> {
    order.record().checkout.as_ref().map(|from| from.id.to_string())
}

/// What was only for a while is gone.
pub async fn of_remains(doing: &Doing) {
    let now = doing.world.now();
    let (memory, written): (_, Vec<Key>) = {
        let state = doing.world.state();
        (state.memory.clone(), state.oracle.written.iter().cloned().collect())
    };
    memory.sweep(now, usize::MAX).await.expect("a store that sweeps");
    for key in written.iter().filter(|key| PASSES.contains(&key.kind)) {
        let found = memory.load(std::slice::from_ref(key), now).await.expect("a store that answers");
        let is_gone = found.iter().all(Option::is_none);
        doing.world.state().oracle.must(is_gone, || format!("{} {} is still there", key.kind, key.partition));
    }
}
