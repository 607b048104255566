//! The shelf against the rules of an inventory, and against stores that fail.

use std::sync::atomic::{AtomicBool, Ordering};

use super::*;
use crate::{
    store::{Memory, Prefix, Stored, Version},
    testing::{
        faulty::{Fault, Faulty},
        trade::inventory_conformance,
    },
    trade::HOLD_S,
};

const NOW: UnixTime = UnixTime::from_secs(1_790_000_000);

async fn shelf_of(store: impl Store, items: &[(&str, u32)]) -> Shelf {
    let shelf = Shelf::new(store);
    for (item, count) in items {
        shelf.stock(item, *count, NOW).await.unwrap();
    }
    shelf
}

fn order(n: u32) -> OrderId {
    OrderId::from_random(u128::from(n).to_be_bytes())
}

fn hold(n: u32, items: &[(&str, u32)]) -> Hold {
    let items = items.iter().map(|&(item, count)| (item.to_owned(), Quantity::new(count).unwrap())).collect();
    Hold { order: order(n), items, until: NOW.plus_s(HOLD_S), now: NOW }
}

async fn count(shelf: &Shelf, item: &str) -> (u64, u64) {
    let Count { left, held } = shelf.count(item, NOW).await.unwrap();
    (left, held)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn it_keeps_the_rules_of_an_inventory() {
    inventory_conformance(async |items| shelf_of(Memory::new(), items).await).await;
}

#[tokio::test]
async fn what_was_never_put_on_it_is_not_there() {
    let shelf = shelf_of(Memory::new(), &[]).await;
    let names = ["sencha".to_owned(), String::new(), "x".repeat(65), "\0".to_owned()];
    assert_eq!(shelf.left(&names, NOW).await.unwrap(), [Some(0); 4]);
    assert_eq!(shelf.hold(&hold(1, &[("sencha", 1)])).await.unwrap(), too_late(&hold(1, &[("sencha", 1)])));
    let many: Vec<String> = (0..200).map(|n| format!("item {n}")).collect();
    assert_eq!(shelf.left(&many, NOW).await.unwrap().len(), 200);
}

#[tokio::test]
async fn its_limits_are_told_apart() {
    let shelf = shelf_of(Memory::new(), &[("a", 100)]).await;
    let code = async |hold: &Hold| {
        let refused = shelf.hold(hold).await.unwrap_err();
        std::error::Error::source(&refused).unwrap().downcast_ref::<ShelfError>().unwrap().code()
    };
    let names: Vec<String> = (0..=HOLD_ITEMS_MAX).map(|n| format!("item {n}")).collect();
    let of = |count: usize| hold(1, &names[..count].iter().map(|name| (name.as_str(), 1)).collect::<Vec<_>>());
    assert_eq!(code(&of(51)).await, "shelf_too_many_items");
    assert!(matches!(shelf.hold(&of(50)).await, Ok(Held::Short(short)) if short.len() == 50));
    assert_eq!(code(&hold(1, &[])).await, "shelf_nothing");
    assert_eq!(code(&hold(1, &[("a", 1), ("a", 2)])).await, "shelf_twice");
    assert_eq!(code(&hold(1, &[("a\n", 1)])).await, "shelf_name");
    assert_eq!(shelf.hold(&hold(1, &[("a", 1)])).await.unwrap(), Held::All);
    for other in [&[("a", 2)][..], &[("b", 1)], &[("a", 1), ("b", 1)]] {
        assert_eq!(code(&hold(1, other)).await, "shelf_other_items");
    }
    for name in ["", "\0", &"x".repeat(129)] {
        assert!(shelf.receive("a", 1, name, NOW).await.is_err(), "{name:?}");
        assert!(shelf.stock(name, 1, NOW).await.is_err(), "{name:?}");
    }
    assert_eq!(count(&shelf, "a").await, (99, 1));
}

#[tokio::test]
async fn fifty_items_are_one_commit() {
    let names: Vec<String> = (0..HOLD_ITEMS_MAX).map(|n| format!("item {n}")).collect();
    let stock: Vec<(&str, u32)> = names.iter().map(|name| (name.as_str(), 2)).collect();
    let shelf = shelf_of(Memory::new(), &stock).await;
    let of = |n| hold(n, &stock);
    assert_eq!(shelf.hold(&of(1)).await.unwrap(), Held::All);
    let later = Hold { until: NOW.plus_s(2 * HOLD_S), ..of(1) };
    assert_eq!(shelf.hold(&later).await.unwrap(), Held::All);
    assert_eq!(shelf.sell(&later).await.unwrap(), Held::All);
    shelf.free(&order(1), NOW).await.unwrap();
    assert_eq!(shelf.hold(&of(2)).await.unwrap(), Held::All);
    shelf.tidy(NOW.plus_s(HOLD_S)).await.unwrap();
    assert!(shelf.counts(None, 99, NOW).await.unwrap().iter().all(|(_, count)| (count.left, count.held) == (2, 0)));
}

#[tokio::test]
async fn a_delivery_is_counted_once_and_a_count_stands() {
    let shelf = shelf_of(Memory::new(), &[("a", 3)]).await;
    for delivery in ["7719", "7719", "7720"] {
        shelf.receive("a", 10, delivery, NOW).await.unwrap();
    }
    shelf.receive("b", 1, "7719", NOW).await.unwrap();
    assert_eq!((count(&shelf, "a").await, count(&shelf, "b").await), ((23, 0), (1, 0)));
    assert_eq!(shelf.hold(&hold(1, &[("a", 3)])).await.unwrap(), Held::All);
    shelf.stock("a", 5, NOW).await.unwrap();
    assert_eq!(count(&shelf, "a").await, (5, 3), "what is held is not counted");
    let names: Vec<String> = shelf.counts(Some("a"), 9, NOW).await.unwrap().into_iter().map(|(name, _)| name).collect();
    assert_eq!(names, ["b"]);
    shelf.stock("b", 0, NOW).await.unwrap();
    for (item, is_there) in [("a", true), ("b", true), ("c", false), ("", false), ("a\u{7}", false)] {
        assert_eq!(shelf.has(item, NOW).await.unwrap(), is_there, "{item:?}");
    }
}

#[tokio::test]
async fn holds_are_listed_by_their_end() {
    let shelf = shelf_of(Memory::new(), &[("a", 900)]).await;
    for n in 0..70 {
        let until = NOW.plus_s(1_000 - u64::from(n));
        assert_eq!(shelf.hold(&Hold { until, ..hold(n, &[("a", 1)]) }).await.unwrap(), Held::All);
    }
    assert_eq!(shelf.sell(&hold(69, &[("a", 1)])).await.unwrap(), Held::All);
    let listed = shelf.holds(1_000, NOW).await.unwrap();
    let orders: Vec<OrderId> = listed.iter().map(|held| held.order.clone()).collect();
    assert_eq!(orders, (0..69).rev().map(order).collect::<Vec<_>>());
    assert_eq!(listed[0].items, hold(1, &[("a", 1)]).items);
    assert_eq!(shelf.holds(2, NOW).await.unwrap(), listed[..2]);
}

#[tokio::test]
async fn who_is_short_gets_what_is_held_for_nobody_any_more() {
    let shelf = shelf_of(Memory::new(), &[("a", 300)]).await;
    for n in 0..150 {
        assert_eq!(shelf.hold(&hold(n, &[("a", 2)])).await.unwrap(), Held::All);
    }
    let after = NOW.plus_s(HOLD_S + 1);
    let wants = |n, count| Hold { now: after, until: after.plus_s(HOLD_S), ..hold(n, &[("a", count)]) };
    // Nobody tidied. The order whose hold is over is still sold it, for it is there.
    assert_eq!(shelf.sell(&wants(0, 2)).await.unwrap(), Held::All);
    assert_eq!(shelf.left(&["a".to_owned()], after).await.unwrap(), [Some(298)]);
    assert_eq!(shelf.hold(&wants(200, 298)).await.unwrap(), Held::All);
    assert_eq!(shelf.count("a", after).await.unwrap(), Count { left: 0, held: 298 });
    assert_eq!(shelf.hold(&wants(201, 1)).await.unwrap(), too_late(&wants(201, 1)));
}

#[tokio::test]
async fn nothing_is_left_of_what_is_over_but_what_is_remembered() {
    let store = Memory::new();
    let shelf = shelf_of(store.clone(), &[("a", 9)]).await;
    for n in 0..3 {
        assert_eq!(shelf.hold(&hold(n, &[("a", 1)])).await.unwrap(), Held::All);
    }
    assert_eq!(shelf.sell(&hold(0, &[("a", 1)])).await.unwrap(), Held::All);
    shelf.free(&order(1), NOW).await.unwrap();
    shelf.tidy(NOW.plus_s(HOLD_S)).await.unwrap();
    for prefix in due_prefixes() {
        assert!(store.scan(&prefix, None, 9, NOW).await.unwrap().is_empty());
    }
    let kept = async |n: u32, now| {
        let prefix = Prefix { kind: Holding::KIND, partition: order(n).to_string(), sort: String::new() };
        store.scan(&prefix, None, 9, now).await.unwrap().len()
    };
    assert_eq!([kept(0, NOW).await, kept(1, NOW).await, kept(2, NOW).await], [1, 1, 0]);
    let forgotten = NOW.plus_s(REMEMBERED_S);
    assert_eq!([kept(0, forgotten).await, kept(1, forgotten).await], [0, 0]);
    assert_eq!(count(&shelf, "a").await, (8, 0));
}

/// Each call to the store fails in each way, alone, or is the last one of its process: what is said again afterwards, by
/// another process then, comes out as if nothing had failed.
#[tokio::test]
async fn row_115_an_answer_that_is_lost_sells_nothing_twice() {
    for fault in [Fault::Done, Fault::Lost, Fault::Refused, Fault::Crash] {
        for call in 0.. {
            let (store, case) = (Faulty::new(Memory::new()), format!("{fault:?} at {call}"));
            let shelves = [Shelf::new(store.clone()), Shelf::new(store.inner().clone())];
            store.fail(call, fault);
            let later = Hold { until: NOW.plus_s(2 * HOLD_S), ..hold(1, &[("a", 2)]) };
            said(&shelves, async |shelf| shelf.stock("a", 4, NOW).await).await;
            said(&shelves, async |shelf| shelf.receive("a", 6, "7719", NOW).await).await;
            let held = [
                said(&shelves, async |shelf| shelf.hold(&hold(1, &[("a", 2)])).await).await,
                said(&shelves, async |shelf| shelf.hold(&later).await).await,
                said(&shelves, async |shelf| shelf.hold(&hold(2, &[("a", 3)])).await).await,
                said(&shelves, async |shelf| shelf.sell(&hold(3, &[("a", 1)])).await).await,
                said(&shelves, async |shelf| shelf.sell(&later).await).await,
            ];
            assert!(held.iter().all(|held| *held == Held::All), "{case}: {held:?}");
            for n in [3, 4] {
                said(&shelves, async |shelf| shelf.free(&order(n), NOW).await).await;
            }
            said(&shelves, async |shelf| shelf.tidy(NOW.plus_s(HOLD_S)).await).await;
            assert_eq!(count(&shelves[1], "a").await, (8, 0), "{case}");
            if store.calls() <= call {
                assert!(call > 20, "{case}: the calls are not counted any more");
                break;
            }
        }
    }
}

/// Said once more, by another process, if it was not answered.
async fn said<T>(shelves: &[Shelf; 2], act: impl AsyncFn(&Shelf) -> Result<T, TradeError>) -> T {
    match act(&shelves[0]).await {
        Ok(done) => done,
        Err(_) => act(&shelves[1]).await.unwrap(),
    }
}

/// Loses the answer of one commit, and before anybody looks again, somebody buys three.
#[derive(Debug)]
struct Sells {
    store: Memory,
    next: AtomicBool,
}

impl Store for Sells {
    async fn load(&self, keys: &[Key], now: UnixTime) -> Result<Vec<Option<Stored>>, StoreError> {
        self.store.load(keys, now).await
    }

    async fn commit(&self, writes: &[Write], now: UnixTime) -> Result<Vec<Option<Version>>, StoreError> {
        let done = self.store.commit(writes, now).await?;
        if !self.next.swap(false, Ordering::Relaxed) {
            return Ok(done);
        }
        let sold = Shelf::new(self.store.clone()).sell(&hold(1, &[("a", 3)])).await.unwrap();
        assert_eq!(sold, Held::All);
        Err(StoreError::Unknown("the answer was lost".into()))
    }

    async fn scan(
        &self,
        prefix: &Prefix,
        after: Option<&str>,
        limit: usize,
        now: UnixTime,
    ) -> Result<Vec<(Key, Stored)>, StoreError> {
        self.store.scan(prefix, after, limit, now).await
    }

    async fn sweep(&self, now: UnixTime, limit: usize) -> Result<usize, StoreError> {
        self.store.sweep(now, limit).await
    }
}

#[tokio::test]
async fn a_count_whose_answer_was_lost_puts_nothing_back() {
    for before in [&[][..], &[("a", 1)], &[("b", 1)]] {
        let store = Memory::new();
        shelf_of(store.clone(), before).await;
        let shelf = Shelf::new(Sells { store, next: AtomicBool::new(true) });
        shelf.stock("a", 10, NOW).await.unwrap();
        assert_eq!(count(&shelf, "a").await, (7, 0));
    }
}
