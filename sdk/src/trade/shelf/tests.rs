//! The shelf against the rules of an inventory, and against stores that fail.

use std::{
    fmt,
    sync::atomic::{AtomicBool, Ordering},
};

use super::*;
use crate::{
    error::Fault as Whose,
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

fn none_left(item: &str) -> Held {
    Held::Short(vec![Shortage { item: item.to_owned(), left: 0 }])
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
    assert_eq!(shelf.hold(&hold(1, &[("sencha", 1)])).await.unwrap(), none_left("sencha"));
    let many: Vec<String> = (0..200).map(|n| format!("item {n}")).collect();
    assert_eq!(shelf.left(&many, NOW).await.unwrap().len(), 200);
}

#[tokio::test]
async fn its_limits_are_told_apart() {
    let shelf = shelf_of(Memory::new(), &[("a", 100)]).await;
    let code = async |hold: &Hold| {
        let refused = shelf.hold(hold).await.unwrap_err();
        assert_eq!((refused.code(), refused.fault()), ("trade_invalid", Whose::Merchant), "{refused}");
        std::error::Error::source(&refused).unwrap().downcast_ref::<ShelfError>().unwrap().code()
    };
    let names: Vec<String> = (0..=ITEMS_MAX).map(|n| format!("item {n}")).collect();
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
        let refused = [
            shelf.receive("a", 1, name, NOW).await,
            shelf.stock(name, 1, NOW).await,
            shelf.recount(name, 0, 1, NOW).await,
        ];
        assert!(refused.iter().all(|said| matches!(said, Err(ShelfError::Name(_)))), "{name:?}: {refused:?}");
    }
    assert_eq!(count(&shelf, "a").await, (99, 1));
}

#[tokio::test]
async fn only_a_silent_store_and_a_rush_are_worth_another_try() {
    let store = Faulty::new(Memory::new());
    let shelf = shelf_of(store.clone(), &[("a", 1)]).await;
    store.fail(0, Fault::Crash);
    assert!(matches!(shelf.count("a", NOW).await, Err(ShelfError::Store(_))));
    let refused = shelf.hold(&hold(1, &[("a", 1)])).await.unwrap_err();
    assert_eq!((refused.code(), refused.fault()), ("trade_unavailable", Whose::Operations));
    assert_eq!(TradeError::from(ShelfError::Busy).code(), "trade_unavailable");
    assert_eq!(TradeError::from(ShelfError::Moved { found: 1 }).code(), "trade_invalid");
}

#[tokio::test]
async fn fifty_items_are_one_commit() {
    let names: Vec<String> = (0..ITEMS_MAX).map(|n| format!("item {n}")).collect();
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
    assert_eq!(shelf.hold(&wants(201, 1)).await.unwrap(), none_left("a"));
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
            said(&shelves, async |shelf| shelf.recount("a", 4, 5, NOW).await).await;
            said(&shelves, async |shelf| shelf.receive("a", 5, "7719", NOW).await).await;
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
async fn said<T, E: fmt::Debug>(shelves: &[Shelf; 2], act: impl AsyncFn(&Shelf) -> Result<T, E>) -> T {
    match act(&shelves[0]).await {
        Ok(done) => done,
        Err(_) => act(&shelves[1]).await.unwrap(),
    }
}

/// Somebody buys three, once: after a commit whose answer is lost, before anybody looks again; or before a commit, after
/// whoever makes it has looked.
#[derive(Debug)]
struct Sells {
    store: Memory,
    next: AtomicBool,
    after: bool,
}

impl Sells {
    fn once(store: &Memory, after: bool) -> Self {
        Self { store: store.clone(), next: AtomicBool::new(true), after }
    }
}

impl Store for Sells {
    async fn load(&self, keys: &[Key], now: UnixTime) -> Result<Vec<Option<Stored>>, StoreError> {
        self.store.load(keys, now).await
    }

    async fn commit(&self, writes: &[Write], now: UnixTime) -> Result<Vec<Option<Version>>, StoreError> {
        if !self.next.swap(false, Ordering::Relaxed) {
            return self.store.commit(writes, now).await;
        }
        if self.after {
            self.store.commit(writes, now).await?;
        }
        let sold = Shelf::new(self.store.clone()).sell(&hold(1, &[("a", 3)])).await.unwrap();
        assert_eq!(sold, Held::All);
        match self.after {
            true => Err(StoreError::Unknown("the answer was lost".into())),
            false => self.store.commit(writes, now).await,
        }
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
        let shelf = Shelf::new(Sells::once(&store, true));
        shelf.stock("a", 10, NOW).await.unwrap();
        assert_eq!(count(&shelf, "a").await, (7, 0));
    }
}

#[tokio::test]
async fn what_is_sold_while_somebody_counts_is_not_put_back() {
    for (seen, left) in [(10, 9), (10, 10), (10, 0), (10, 20)] {
        let store = Memory::new();
        shelf_of(store.clone(), &[("a", 10)]).await;
        let shelf = Shelf::new(Sells::once(&store, false));
        let counted = shelf.recount("a", seen, left, NOW).await;
        if u64::from(left) == seen {
            // Nothing was to be changed, so nothing was written.
            assert!(counted.is_ok(), "{counted:?}");
            assert_eq!(count(&shelf, "a").await, (10, 0));
            continue;
        }
        let moved = counted.unwrap_err();
        assert!(matches!(moved, ShelfError::Moved { found: 7 }) && moved.code() == "shelf_moved", "{moved}");
        assert_eq!(count(&shelf, "a").await, (7, 0), "{left}: nothing changed");
        // Whoever looks again, and counts again, is heard.
        shelf.recount("a", 7, left, NOW).await.unwrap();
        assert_eq!(count(&shelf, "a").await, (left.into(), 0));
    }
}

/// Otherwise whoever never heard the answer would be told to count again, or put back what was sold since.
#[tokio::test]
async fn a_count_that_is_said_again_is_counted_once() {
    for left in [9, 13] {
        let store = Memory::new();
        shelf_of(store.clone(), &[("a", 10)]).await;
        // The answer is lost on its way to the shelf, or from the shelf to whoever counted; and three are sold.
        Shelf::new(Sells::once(&store, true)).recount("a", 10, left, NOW).await.unwrap();
        let (shelf, rest) = (Shelf::new(store), u64::from(left) - 3);
        for later_s in [0, RECOUNT_S - 1] {
            shelf.recount("a", 10, left, NOW.plus_s(later_s)).await.unwrap();
            assert_eq!(count(&shelf, "a").await, (rest, 0), "{left}: as if it had been said once");
        }
        // The same numbers, another day: then they are what they say.
        let another_day = shelf.recount("a", 10, left, NOW.plus_s(RECOUNT_S)).await;
        match left {
            9 => assert!(matches!(another_day, Err(ShelfError::Moved { found: 6 })), "{another_day:?}"),
            _ => assert_eq!((another_day.is_ok(), count(&shelf, "a").await), (true, (13, 0))),
        }
        // Somebody else counted in between: what they said stands.
        shelf.stock("a", 4, NOW).await.unwrap();
        let over = shelf.recount("a", 10, left, NOW).await;
        assert!(matches!(over, Err(ShelfError::Moved { found: 4 })), "{over:?}");
    }
}

#[tokio::test]
async fn a_shelf_of_before_is_read() {
    let store = Memory::new();
    for body in [r#"{"left":5,"held":1}"#, r#"{"left":5,"held":1,"counted":[0,5]}"#] {
        let record = Record { schema: 1, body: body.into(), expires_at: None };
        store.commit(&[Write::put(stock_key("a"), record, Expect::Any)], NOW).await.unwrap();
        let shelf = Shelf::new(store.clone());
        assert_eq!(count(&shelf, "a").await, (5, 1), "{body}");
        shelf.recount("a", 5, 4, NOW).await.unwrap();
        assert_eq!(count(&shelf, "a").await, (4, 1), "{body}");
    }
}
