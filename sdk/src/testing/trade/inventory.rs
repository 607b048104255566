//! What every inventory must keep.

use std::{future::Future, sync::Arc};

use tokio::task::JoinSet;

use super::{NOW, hostile};
use crate::{
    money::Quantity,
    order::OrderId,
    time::UnixTime,
    trade::{HOLD_S, Held, Hold, Inventory, Shortage, TradeError},
};

/// How many buyers race.
const BUYERS: u32 = 64;

/// Checks that an inventory keeps the rules of [`Inventory`]: of what is there, exactly so much is sold, however often
/// anything is said, by however many at once, and whatever is said too late. `make` gives an inventory with so many of these
/// items, and nothing held, each time it is called; the suite runs in a tokio runtime, best in one of several threads.
///
/// An inventory that counts in the merchant's own tables, and leaves [`Inventory::sell`] to the feed, keeps the rules of
/// its own transaction by tests of its own.
///
/// ```
/// # use firsthand::{store::Memory, testing::trade::inventory_conformance, time::UnixTime, trade::Shelf};
/// # tokio::runtime::Builder::new_current_thread().enable_time().build()?.block_on(async {
/// inventory_conformance(async |items| {
///     let shelf = Shelf::new(Memory::new());
///     for (item, count) in items {
///         shelf.stock(item, *count, UnixTime::from_secs(0)).await.expect("it is put on the shelf");
///     }
///     shelf
/// })
/// .await;
/// # });
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Panics
/// At the first rule that is broken, with its name.
pub async fn inventory_conformance<I: Inventory>(make: impl AsyncFn(&[(&str, u32)]) -> I) {
    says_what_is_left(&make(&[("a", 5), ("b", 0)]).await).await;
    holds_all_or_nothing(&make(&[("a", 5), ("b", 2), ("c", 9)]).await).await;
    holds_once_and_on(&make(&[("a", 5)]).await).await;
    sells_once(&make(&[("a", 5), ("b", 5)]).await).await;
    sells_what_was_never_held(&make(&[("a", 5), ("b", 1)]).await).await;
    short_is_short_for_good(&make(&[("a", 5)]).await).await;
    lets_go_once_and_for_good(&make(&[("a", 5)]).await).await;
    puts_back_once_what_was_sold(&make(&[("a", 5)]).await).await;
    holds_nothing_too_late(&make(&[("a", 5)]).await).await;
    holds_nothing_for_ever(&make(&[("a", 5)]).await).await;
    sells_after_the_time_what_is_left(&make(&[("a", 5)]).await).await;
    of_a_hundred_a_hundred_are_sold(Arc::new(make(&[("a", 100)]).await)).await;
    one_order_said_at_once_is_held_once(Arc::new(make(&[("a", 100)]).await)).await;
    orders_cross(Arc::new(make(&[("a", 40), ("b", 40)]).await)).await;
    sold_and_let_go_at_once(Arc::new(make(&[("a", 100)]).await)).await;
}

async fn says_what_is_left(shop: &impl Inventory) {
    const RULE: &str = "it says how many are left, in the order in which that is asked";
    let asked = ["b", "a", "b"].map(str::to_owned);
    assert_eq!(ok(shop.left(&asked, NOW)).await, [Some(0), Some(5), Some(0)], "{RULE}");
    assert!(ok(shop.left(&[], NOW)).await.is_empty(), "{RULE}: nothing asked, nothing answered");
    for name in hostile() {
        if let Ok(found) = shop.left(std::slice::from_ref(&name), NOW).await {
            assert!(matches!(found[..], [None | Some(0)]), "{RULE}: nothing is there of {name:?}");
        }
        if let Ok(held) = shop.hold(&hold(99, &[(&name, 1)], NOW)).await {
            assert_ne!(held, Held::All, "{RULE}: nothing can be held of {name:?}");
        }
    }
}

async fn holds_all_or_nothing(shop: &impl Inventory) {
    const RULE: &str = "all of it is held, or nothing";
    let short = ok(shop.hold(&hold(1, &[("a", 3), ("b", 3), ("c", 1)], NOW))).await;
    assert_eq!(short, Held::Short(vec![shortage("b", 2)]), "{RULE}: it says of what there is too little");
    assert_eq!(left(shop, &["a", "b", "c"], NOW).await, [5, 2, 9], "{RULE}: nothing is held");
    assert_eq!(ok(shop.hold(&hold(2, &[("a", 5), ("b", 1)], NOW))).await, Held::All, "{RULE}");
    assert_eq!(left(shop, &["a", "b", "c"], NOW).await, [0, 1, 9], "{RULE}: what is held is not left");
    let short = ok(shop.hold(&hold(3, &[("b", 2), ("a", 1)], NOW))).await;
    let Held::Short(mut short) = short else { panic!("{RULE}: {short:?}") };
    short.sort_by(|x, y| x.item.cmp(&y.item));
    assert_eq!(short, [shortage("a", 0), shortage("b", 1)], "{RULE}: each of which there is too little");
    // The order that got nothing may have it later.
    ok(shop.free(&order(2), NOW)).await;
    assert_eq!(ok(shop.hold(&hold(3, &[("b", 2), ("a", 1)], NOW))).await, Held::All, "{RULE}: tried again");
}

async fn holds_once_and_on(shop: &impl Inventory) {
    const RULE: &str = "said twice, it is held once, until the later time";
    let first = hold(1, &[("a", 2)], NOW);
    for _ in 0..3 {
        assert_eq!(ok(shop.hold(&first)).await, Held::All, "{RULE}");
        assert_eq!(left(shop, &["a"], NOW).await, [3], "{RULE}");
    }
    let later = Hold { until: first.until.plus_s(HOLD_S), now: NOW.plus_s(1), ..first.clone() };
    for again in [&later, &later, &first] {
        assert_eq!(ok(shop.hold(again)).await, Held::All, "{RULE}: it is held on");
    }
    let between = first.until.plus_s(HOLD_S / 2);
    ok(shop.tidy(between)).await;
    assert_eq!(left(shop, &["a"], between).await, [3], "{RULE}: it is not let go at the earlier time");
    let short = ok(shop.hold(&hold(2, &[("a", 4)], between))).await;
    assert_eq!(short, Held::Short(vec![shortage("a", 3)]), "{RULE}: nobody else gets it");
    let after = later.until.plus_s(2);
    ok(shop.tidy(after)).await;
    assert_eq!(left(shop, &["a"], after).await, [5], "{RULE}: it is let go at the later time");
}

async fn sells_once(shop: &impl Inventory) {
    const RULE: &str = "what is held is sold once";
    let bought = hold(1, &[("a", 2), ("b", 5)], NOW);
    assert_eq!(ok(shop.hold(&bought)).await, Held::All, "{RULE}");
    for _ in 0..3 {
        assert_eq!(ok(shop.sell(&bought)).await, Held::All, "{RULE}: said again, it is sold still");
        assert_eq!(left(shop, &["a", "b"], NOW).await, [3, 0], "{RULE}");
    }
    let after = bought.until.plus_s(1);
    ok(shop.tidy(after)).await;
    assert_eq!(left(shop, &["a", "b"], after).await, [3, 0], "{RULE}: what is sold does not come back with time");
    let again = Hold { now: after, until: after.plus_s(HOLD_S), ..bought.clone() };
    assert_eq!(ok(shop.hold(&again)).await, Held::Over, "{RULE}: it is not held anew");
    assert_eq!(ok(shop.sell(&again)).await, Held::All, "{RULE}: said much later");
    assert_eq!(left(shop, &["a", "b"], after).await, [3, 0], "{RULE}");
}

async fn sells_what_was_never_held(shop: &impl Inventory) {
    const RULE: &str = "what is not held is taken from what is left, whole or not at all";
    for _ in 0..2 {
        let short = ok(shop.sell(&hold(1, &[("a", 2), ("b", 2)], NOW))).await;
        assert_eq!(short, Held::Short(vec![shortage("b", 1)]), "{RULE}");
        assert_eq!(left(shop, &["a", "b"], NOW).await, [5, 1], "{RULE}: nothing was taken");
    }
    for _ in 0..2 {
        assert_eq!(ok(shop.sell(&hold(2, &[("a", 2), ("b", 1)], NOW))).await, Held::All, "{RULE}");
        assert_eq!(left(shop, &["a", "b"], NOW).await, [3, 0], "{RULE}: and once");
    }
}

async fn short_is_short_for_good(shop: &impl Inventory) {
    const RULE: &str = "what was too little to sell is not sold later: the merchant was told";
    assert_eq!(ok(shop.hold(&hold(1, &[("a", 4)], NOW))).await, Held::All, "{RULE}");
    let short = || Held::Short(vec![shortage("a", 1)]);
    assert_eq!(ok(shop.sell(&hold(2, &[("a", 2)], NOW))).await, short(), "{RULE}");
    ok(shop.free(&order(1), NOW)).await;
    for _ in 0..2 {
        assert_eq!(ok(shop.sell(&hold(2, &[("a", 2)], NOW))).await, short(), "{RULE}: it hears the same");
        assert_eq!(ok(shop.hold(&hold(2, &[("a", 2)], NOW))).await, Held::Over, "{RULE}: nor is it held");
        assert_eq!(left(shop, &["a"], NOW).await, [5], "{RULE}: nothing is taken");
    }
    for _ in 0..2 {
        ok(shop.free(&order(2), NOW)).await;
        assert_eq!(left(shop, &["a"], NOW).await, [5], "{RULE}: and nothing comes back");
    }
    assert_eq!(ok(shop.sell(&hold(2, &[("a", 2)], NOW))).await, Held::Over, "{RULE}: once it is let go, it is over");
}

async fn lets_go_once_and_for_good(shop: &impl Inventory) {
    const RULE: &str = "what is let go comes back once, and for good";
    let given_up = hold(1, &[("a", 2)], NOW);
    assert_eq!(ok(shop.hold(&given_up)).await, Held::All, "{RULE}");
    for _ in 0..3 {
        ok(shop.free(&given_up.order, NOW)).await;
        assert_eq!(left(shop, &["a"], NOW).await, [5], "{RULE}");
    }
    for _ in 0..2 {
        assert_eq!(ok(shop.hold(&given_up)).await, Held::Over, "{RULE}: it is not held anew");
        assert_eq!(ok(shop.sell(&given_up)).await, Held::Over, "{RULE}: it is not sold any more");
        assert_eq!(left(shop, &["a"], NOW).await, [5], "{RULE}");
    }
    let after = given_up.until.plus_s(1);
    ok(shop.tidy(after)).await;
    assert_eq!(left(shop, &["a"], after).await, [5], "{RULE}: it does not come back a second time");
}

async fn puts_back_once_what_was_sold(shop: &impl Inventory) {
    const RULE: &str = "what was sold is put back once";
    let returned = hold(1, &[("a", 2)], NOW);
    assert_eq!(ok(shop.hold(&returned)).await, Held::All, "{RULE}");
    assert_eq!(ok(shop.sell(&returned)).await, Held::All, "{RULE}");
    let weeks_later = NOW.plus_s(30 * 24 * 3600);
    ok(shop.tidy(weeks_later)).await;
    for _ in 0..3 {
        ok(shop.free(&returned.order, weeks_later)).await;
        assert_eq!(left(shop, &["a"], weeks_later).await, [5], "{RULE}");
    }
    assert_eq!(ok(shop.sell(&returned)).await, Held::Over, "{RULE}: a sale that is said again takes it no more");
    assert_eq!(ok(shop.hold(&returned)).await, Held::Over, "{RULE}: nor does a hold");
    assert_eq!(left(shop, &["a"], weeks_later).await, [5], "{RULE}");
}

async fn holds_nothing_too_late(shop: &impl Inventory) {
    const RULE: &str = "a hold that comes after its order was let go holds nothing";
    let late = hold(1, &[("a", 2)], NOW);
    for _ in 0..2 {
        ok(shop.free(&late.order, NOW)).await;
    }
    for _ in 0..2 {
        assert_eq!(ok(shop.hold(&late)).await, Held::Over, "{RULE}");
        // Nor if more is asked for than there is: it is over, and not short.
        assert_eq!(ok(shop.sell(&hold(1, &[("a", 9)], NOW))).await, Held::Over, "{RULE}");
        assert_eq!(left(shop, &["a"], NOW).await, [5], "{RULE}");
    }
    assert_eq!(ok(shop.hold(&hold(2, &[("a", 5)], NOW))).await, Held::All, "{RULE}: another order is none the worse");
}

async fn holds_nothing_for_ever(shop: &impl Inventory) {
    const RULE: &str = "what was held until before now is there for others";
    let abandoned = hold(1, &[("a", 4)], NOW);
    assert_eq!(ok(shop.hold(&abandoned)).await, Held::All, "{RULE}");
    let just_before = abandoned.until.minus_s(1);
    ok(shop.tidy(just_before)).await;
    let short = ok(shop.hold(&hold(2, &[("a", 2)], just_before))).await;
    assert_eq!(short, Held::Short(vec![shortage("a", 1)]), "{RULE}: and not before");
    let after = abandoned.until.plus_s(1);
    for _ in 0..2 {
        ok(shop.tidy(after)).await;
    }
    assert_eq!(left(shop, &["a"], after).await, [5], "{RULE}");
    assert_eq!(ok(shop.hold(&hold(3, &[("a", 3)], after))).await, Held::All, "{RULE}");
    // Whom it was held for may have it again, if there is enough.
    let again = |n| Hold { now: after, until: after.plus_s(HOLD_S), ..hold(1, &[("a", n)], NOW) };
    let short = ok(shop.hold(&again(4))).await;
    assert_eq!(short, Held::Short(vec![shortage("a", 2)]), "{RULE}: it is held anew only if there is enough");
    ok(shop.free(&order(3), after)).await;
    assert_eq!(ok(shop.hold(&again(4))).await, Held::All, "{RULE}: it is held anew");
    assert_eq!(left(shop, &["a"], after).await, [1], "{RULE}");
}

async fn sells_after_the_time_what_is_left(shop: &impl Inventory) {
    const RULE: &str = "what is paid after its time is sold if there is enough, and otherwise nothing is taken";
    let (first, second) = (hold(1, &[("a", 3)], NOW), hold(2, &[("a", 2)], NOW));
    assert_eq!(ok(shop.hold(&first)).await, Held::All, "{RULE}");
    assert_eq!(ok(shop.hold(&second)).await, Held::All, "{RULE}");
    let after = first.until.plus_s(1);
    ok(shop.tidy(after)).await;
    let late = |hold: &Hold| Hold { now: after, ..hold.clone() };
    for _ in 0..2 {
        assert_eq!(ok(shop.sell(&late(&first))).await, Held::All, "{RULE}");
        assert_eq!(left(shop, &["a"], after).await, [2], "{RULE}: once");
    }
    assert_eq!(ok(shop.hold(&hold(3, &[("a", 1)], after))).await, Held::All, "{RULE}");
    for _ in 0..2 {
        let short = ok(shop.sell(&late(&second))).await;
        assert_eq!(short, Held::Short(vec![shortage("a", 1)]), "{RULE}");
        assert_eq!(left(shop, &["a"], after).await, [1], "{RULE}: nothing was taken");
    }
}

async fn of_a_hundred_a_hundred_are_sold(shop: Arc<impl Inventory>) {
    const RULE: &str = "of a hundred pieces, a hundred are sold, by however many at once";
    let mut buyers = JoinSet::new();
    for buyer in 0..BUYERS {
        let shop = Arc::clone(&shop);
        buyers.spawn(async move {
            let mut bought = 0;
            for visit in 0..3 {
                let one = hold(1_000 + buyer * 10 + visit, &[("a", 1)], NOW);
                if ok(shop.hold(&one)).await == Held::All {
                    // Each third one goes away, and comes back once more as somebody else.
                    if (buyer + visit) % 3 == 0 {
                        ok(shop.free(&one.order, NOW)).await;
                        continue;
                    }
                    assert_eq!(ok(shop.sell(&one)).await, Held::All, "{RULE}: what is held is sold");
                    bought += 1;
                }
            }
            bought
        });
    }
    let bought: u32 = buyers.join_all().await.into_iter().sum();
    assert!(bought <= 100, "{RULE}: {bought} were sold");
    // The others want what is left.
    let rest = left(&*shop, &["a"], NOW).await[0];
    assert_eq!(rest, 100 - bought, "{RULE}: {bought} were sold");
    let mut buyers = JoinSet::new();
    for buyer in 0..BUYERS {
        let shop = Arc::clone(&shop);
        buyers.spawn(async move {
            let mut bought = 0;
            for visit in 0..2 {
                let one = hold(9_000 + buyer * 10 + visit, &[("a", 1)], NOW);
                bought += u32::from(ok(shop.sell(&one)).await == Held::All);
            }
            bought
        });
    }
    let rest: u32 = buyers.join_all().await.into_iter().sum();
    assert_eq!(bought + rest, 100, "{RULE}: {bought} were held and sold, and {rest} sold at once");
    assert_eq!(left(&*shop, &["a"], NOW).await, [0], "{RULE}");
}

async fn one_order_said_at_once_is_held_once(shop: Arc<impl Inventory>) {
    const RULE: &str = "one order that is said by many at once is held, sold and put back once";
    let one = hold(1, &[("a", 7)], NOW);
    let said = async |act: u8| {
        let mut tasks = JoinSet::new();
        for n in 0..16 {
            let (shop, one) = (Arc::clone(&shop), Hold { until: one.until.plus_s(n), ..one.clone() });
            tasks.spawn(async move {
                match act {
                    0 => ok(shop.hold(&one)).await,
                    1 => ok(shop.sell(&one)).await,
                    _ => {
                        ok(shop.free(&one.order, NOW)).await;
                        Held::All
                    }
                }
            });
        }
        tasks.join_all().await
    };
    for (act, rest) in [(0, 93), (1, 93), (2, 100)] {
        assert!(said(act).await.iter().all(|held| *held == Held::All), "{RULE}: each hears that it is so");
        assert_eq!(left(&*shop, &["a"], NOW).await, [rest], "{RULE}");
    }
}

async fn orders_cross(shop: Arc<impl Inventory>) {
    const RULE: &str = "orders of the same things in another order do not wait for each other for ever";
    let mut buyers = JoinSet::new();
    for buyer in 0..BUYERS {
        let shop = Arc::clone(&shop);
        buyers.spawn(async move {
            let both = [("a", 1), ("b", 1)];
            let items = if buyer % 2 == 0 { both } else { [both[1], both[0]] };
            u32::from(ok(shop.hold(&hold(buyer, &items, NOW))).await == Held::All)
        });
    }
    let held: u32 = buyers.join_all().await.into_iter().sum();
    assert_eq!(held, 40, "{RULE}");
    assert_eq!(left(&*shop, &["a", "b"], NOW).await, [0, 0], "{RULE}");
}

async fn sold_and_let_go_at_once(shop: Arc<impl Inventory>) {
    const RULE: &str = "what is sold and let go at the same time comes back whole, whoever was first";
    let mut tasks = JoinSet::new();
    for n in 0..16 {
        let one = hold(n, &[("a", 3)], NOW);
        assert_eq!(ok(shop.hold(&one)).await, Held::All, "{RULE}");
        let (selling, freeing) = (Arc::clone(&shop), Arc::clone(&shop));
        let order = one.order.clone();
        tasks.spawn(async move { drop(ok(selling.sell(&one)).await) });
        tasks.spawn(async move { ok(freeing.free(&order, NOW)).await });
        let tidying = Arc::clone(&shop);
        tasks.spawn(async move { ok(tidying.tidy(NOW.plus_s(2 * HOLD_S))).await });
    }
    tasks.join_all().await;
    assert_eq!(left(&*shop, &["a"], NOW).await, [100], "{RULE}");
}

/// What an inventory in working order says: it has the patience for as many as race here.
async fn ok<T>(said: impl Future<Output = Result<T, TradeError>>) -> T {
    said.await.expect("an inventory in working order answers")
}

async fn left(shop: &impl Inventory, items: &[&str], now: UnixTime) -> Vec<u32> {
    let asked: Vec<String> = items.iter().map(|&item| item.to_owned()).collect();
    let found = ok(shop.left(&asked, now)).await;
    found.into_iter().map(|left| left.expect("the items of this suite are counted")).collect()
}

fn shortage(item: &str, left: u32) -> Shortage {
    Shortage { item: item.to_owned(), left }
}

fn order(n: u32) -> OrderId {
    OrderId::from_random((u128::from(n) << 64 | u128::from(n)).to_be_bytes())
}

/// So many of these are held for the order with this number, for as long as usual.
fn hold(n: u32, items: &[(&str, u32)], now: UnixTime) -> Hold {
    let quantity = |count| Quantity::new(count).expect("the numbers of this suite are quantities");
    let items = items.iter().map(|&(item, count)| (item.to_owned(), quantity(count))).collect();
    Hold { order: order(n), items, until: now.plus_s(HOLD_S), now }
}
