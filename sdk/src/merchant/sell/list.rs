//! All orders of the shop, the newest first: for the merchant's own pages and books.
//!
//! One entry for each order, in shards like the queues, written where the order is placed and whenever its state
//! changes, in the same commit: what the list says of an order is what the order says.

use serde::{Deserialize, Serialize};

use super::{
    Expect, LOOK_MAX, Order, Pending, Plan,
    after::sending_writes,
    order_key,
    queue::{named, newest_first, shard_of, shards},
};
use crate::{
    error::Error,
    merchant::{Merchant, put},
    order::{OrderId, OrderRecord, OrderState},
    store::{Key, Persisted, Prefix, Write},
    time::UnixTime,
};

/// How many entries are read of a shard in one go.
const ROUND: usize = 100;

/// Which orders to list: all of them, unless it says otherwise.
#[derive(Clone, Debug)]
#[must_use]
pub struct OrderQuery {
    state: Option<OrderState>,
    from: Option<UnixTime>,
    before: Option<UnixTime>,
    after: Option<OrderCursor>,
    limit: usize,
}

/// Orders, the newest first: see [`Merchant::orders`].
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct OrderPage {
    /// The orders.
    pub orders: Vec<Order>,
    /// Where to go on; none at the end.
    pub next: Option<OrderCursor>,
}

/// A place in the list of all orders. As text it is when an order was placed, and its name: no secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OrderCursor(String);

/// A text that is no place in the list.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a place in the list of orders")]
pub struct NotAnOrderCursor;

impl OrderQuery {
    /// All orders, 50 on a page.
    pub const fn new() -> Self {
        Self { state: None, from: None, before: None, after: None, limit: 50 }
    }

    /// Those in this state alone.
    pub const fn state(mut self, state: OrderState) -> Self {
        self.state = Some(state);
        self
    }

    /// Those that were placed then or later.
    pub const fn placed_from(mut self, at: UnixTime) -> Self {
        self.from = Some(at);
        self
    }

    /// Those that were placed before then.
    pub const fn placed_before(mut self, at: UnixTime) -> Self {
        self.before = Some(at);
        self
    }

    /// From the end of another page on.
    pub fn after(mut self, cursor: &OrderCursor) -> Self {
        self.after = Some(cursor.clone());
        self
    }

    /// So many on a page: 1 to 100.
    pub const fn limit(mut self, limit: usize) -> Self {
        self.limit = limit;
        self
    }

    /// Where to begin to look: behind the page before, and behind what is too new.
    fn begin(&self) -> Option<String> {
        let newer = self.before.map(|at| newest_first(at, "~"));
        let cursor = self.after.as_ref().map(|cursor| cursor.0.clone());
        newer.into_iter().chain(cursor).max()
    }
}

impl Default for OrderQuery {
    fn default() -> Self {
        Self::new()
    }
}

impl std::fmt::Display for OrderCursor {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::str::FromStr for OrderCursor {
    type Err = NotAnOrderCursor;

    fn from_str(text: &str) -> Result<Self, NotAnOrderCursor> {
        let order = named(text).and_then(|order| order.parse::<OrderId>().ok());
        order.map(|_| Self(text.to_owned())).ok_or(NotAnOrderCursor)
    }
}

/// An order in the list.
#[derive(Serialize, Deserialize)]
struct Listed {
    order: OrderId,
    state: OrderState,
}

impl Persisted for Listed {
    const KIND: &'static str = "listed_order";
    const SCHEMA: u16 = 1;
}

impl Merchant {
    /// All orders of the shop, whoever's they are, the newest first, page by page: for the merchant's own pages and
    /// books.
    ///
    /// A page may hold fewer orders than it could, even none, and yet not be the last one: of a state that is rare it
    /// has looked at 2,000 orders then. Go on while there is a `next`. Whatever is placed meanwhile, no order stands on
    /// two pages.
    ///
    /// # Errors
    /// [`Error::Unavailable`] if the store does not answer.
    pub async fn orders(&self, query: &OrderQuery) -> Result<OrderPage, Error> {
        let limit = query.limit.clamp(1, ROUND);
        let end = query.from.map(|at| newest_first(at, "~"));
        let mut after = query.begin();
        let mut found: Vec<(String, OrderId)> = Vec::with_capacity(limit + 1);
        let mut looked = 0;
        let mut more = true;
        while more && found.len() <= limit && looked < LOOK_MAX {
            let round = self.listed(after.as_deref()).await?;
            more = round.len() == ROUND;
            for (sort, listed) in round {
                if end.as_ref().is_some_and(|end| sort > *end) {
                    more = false;
                    break;
                }
                looked += 1;
                after = Some(sort.clone());
                if query.state.is_none_or(|state| state == listed.state) {
                    found.push((sort, listed.order));
                    if found.len() > limit {
                        break;
                    }
                }
            }
        }
        let next = if found.len() > limit {
            found.truncate(limit);
            found.last().map(|(sort, _)| OrderCursor(sort.clone()))
        } else {
            after.filter(|_| more).map(OrderCursor)
        };
        let orders = self.orders_named(found.iter().map(|(_, order)| order_key(order)).collect()).await?;
        Ok(OrderPage { orders, next })
    }

    /// Puts an order into the list of all orders that is not there, and into that of what is [to be
    /// sent](Merchant::orders_to_send) if it belongs there: one that an older version of this library placed,
    /// and whose state has not changed since. The merchant's own table, or a report of the database, says which there
    /// are. Doing it twice is doing it once.
    ///
    /// # Errors
    /// [`Refusal::NoSuchOrder`](crate::error::Refusal::NoSuchOrder).
    pub async fn list_order(&self, order: &OrderId) -> Result<(), Error> {
        let step = Pending::new(self, order.clone(), |merchant, id| async move {
            let order = merchant.wanted(&id).await?;
            let unchanged = Write::check(order_key(&id), Expect::Version(order.version));
            let mut writes = vec![listed(&order.record)?, unchanged];
            writes.extend(sending_writes(&order.record, None)?);
            Ok(Plan { writes, value: (), witness: None, at: merchant.now() })
        });
        step.await?.commit().await
    }

    /// The next entries of all shards.
    async fn listed(&self, after: Option<&str>) -> Result<Vec<(String, Listed)>, Error> {
        let mut found = Vec::new();
        for partition in shards() {
            let prefix = Prefix { kind: Listed::KIND, partition, sort: String::new() };
            found.extend(self.0.store.scan(&prefix, after, ROUND, self.now()).await?);
        }
        found.sort_by(|(one, _), (other, _)| one.sort.cmp(&other.sort));
        // No shard was asked for more: what comes behind so many may not be the next.
        found.truncate(ROUND);
        found.into_iter().map(|(key, stored)| Ok((key.sort, stored.read()?))).collect()
    }

    /// The orders of these keys; one that is gone is left out.
    pub(super) async fn orders_named(&self, keys: Vec<Key>) -> Result<Vec<Order>, Error> {
        let mut orders = Vec::with_capacity(keys.len());
        for stored in self.load_all(&keys).await?.into_iter().flatten() {
            orders.push(Order { merchant: self.clone(), record: stored.read()? });
        }
        Ok(orders)
    }
}

/// The write by which the list says what an order says.
pub(super) fn listed(order: &OrderRecord) -> Result<Write, Error> {
    let key = Key::new(Listed::KIND, shard_of(order.id.as_str()), newest_first(order.placed_at, &order.id));
    Ok(put(key, &Listed { order: order.id.clone(), state: order.state }, None, Expect::Any)?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        money::{Currency, Money, Quantity},
        order::Draft,
        store::{Memory, Store},
        testing::{FakeRail, TestShop},
    };

    async fn placed(merchant: &Merchant) -> Order {
        let price = Money::parse("1.00", Currency::EUR).unwrap();
        let draft = Draft::new(Currency::EUR).line("tea", "Tea", price, Quantity::new(1).unwrap());
        merchant.place_as_guest(draft, &merchant.guest_form()).await.unwrap().commit().await.unwrap().order
    }

    fn names(orders: &[Order]) -> Vec<String> {
        orders.iter().map(|order| order.id().to_string()).collect()
    }

    /// All pages of a query.
    async fn all(merchant: &Merchant, query: OrderQuery) -> Vec<Vec<String>> {
        let (mut pages, mut query) = (Vec::new(), query);
        loop {
            let page = merchant.orders(&query).await.unwrap();
            pages.push(names(&page.orders));
            let Some(next) = page.next else { return pages };
            query = query.after(&next.to_string().parse().unwrap());
        }
    }

    #[tokio::test]
    async fn orders_are_listed_newest_first_page_by_page() {
        let shop = TestShop::with(|shop| shop.store(Memory::new()).rail(FakeRail::new()));
        let merchant = shop.merchant();
        assert_eq!(all(merchant, OrderQuery::new()).await, [Vec::<String>::new()]);
        let begun = merchant.now();
        let mut orders = Vec::new();
        for _ in 0..23 {
            orders.push(placed(merchant).await);
            shop.advance_s(60);
        }
        orders.reverse();
        let expected = names(&orders);
        for limit in [1, 7, 22, 23, 24, 1_000] {
            let pages = all(merchant, OrderQuery::new().limit(limit)).await;
            assert_eq!(pages.concat(), expected, "{limit}");
            assert!(pages.iter().all(|page| page.len() <= limit && !page.is_empty()), "{limit}");
        }
        // From the third order on, and before the fifth one.
        let period = OrderQuery::new().placed_from(begun.plus_s(2 * 60)).placed_before(begun.plus_s(4 * 60));
        assert_eq!(all(merchant, period).await.concat(), expected[19..21]);

        // What became of an order stands in the list.
        orders[4].pay(FakeRail::ID).await.unwrap();
        orders[9].cancel().await.unwrap().commit().await.unwrap();
        assert_eq!(all(merchant, OrderQuery::new().state(OrderState::Paid)).await.concat(), expected[4..5]);
        assert_eq!(all(merchant, OrderQuery::new().state(OrderState::Cancelled)).await.concat(), expected[9..10]);
        let placed = all(merchant, OrderQuery::new().state(OrderState::Placed).limit(5)).await.concat();
        assert_eq!((placed.len(), placed.contains(&expected[4])), (21, false));
    }

    #[tokio::test]
    async fn an_order_that_is_not_in_the_list_comes_into_it() {
        let store = Memory::new();
        let shop = TestShop::with(|shop| shop.store(store.clone()).rail(FakeRail::new()));
        let merchant = shop.merchant();
        let (one, other) = (placed(merchant).await, placed(merchant).await);
        for order in [&one, &other] {
            // As an older version left it.
            let entry = listed(order.record()).unwrap();
            store.commit(&[Write::delete(entry.key().clone(), Expect::Any)], merchant.now()).await.unwrap();
        }
        assert!(merchant.orders(&OrderQuery::new()).await.unwrap().orders.is_empty());
        merchant.list_order(one.id()).await.unwrap();
        merchant.list_order(one.id()).await.unwrap();
        assert!(merchant.orders_to_send(10).await.unwrap().is_empty(), "nobody has paid it");
        assert_eq!(names(&merchant.orders(&OrderQuery::new()).await.unwrap().orders), [one.id().to_string()]);
        other.pay(FakeRail::ID).await.unwrap();
        assert_eq!(merchant.orders(&OrderQuery::new()).await.unwrap().orders.len(), 2);
        let unknown = OrderId::from_random([7; 16]);
        assert_eq!(merchant.list_order(&unknown).await.unwrap_err().code(), "no_such_order");
    }

    #[test]
    fn a_cursor_is_a_place_and_nothing_else() {
        let good = newest_first(UnixTime::from_secs(5), OrderId::from_random([1; 16]));
        assert_eq!(good.parse::<OrderCursor>().unwrap().to_string(), good);
        for bad in ["", "/", "5/o_1", &good[1..], &format!("{good}x"), "00000000000000000000/~"] {
            assert_eq!(bad.parse::<OrderCursor>(), Err(NotAnOrderCursor), "{bad}");
        }
    }
}
