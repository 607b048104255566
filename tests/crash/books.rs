//! The books: everything that lies in the database, read at one moment by somebody who is not the shop, and audited.

use std::{
    collections::{BTreeMap, BTreeSet},
    str::FromStr,
};

use firsthand::order::{DeliveryRecord, Happened, OrderEvent, OrderRecord, OrderState, RefundRecord, RefundState};
use serde::de::DeserializeOwned;
use serde_json::Value;
use sqlx::{ConnectOptions, Connection, PgConnection, sqlite::SqliteConnectOptions};

use crate::load::Told;

/// How many of each product the shop has, ordered ones included.
pub const SEEDED: i64 = 1_000_000;

/// Where the books are.
#[derive(Clone, Debug)]
pub enum Database {
    Sqlite(String),
    Postgres(String),
}

/// An order as reports see it: its name and state; received, settled, owed and returned.
type Seen = (String, String, i64, i64, i64, i64);

/// All that lies there, at one moment.
#[derive(Debug, Default)]
pub struct Books {
    /// Kind, partition, sort and body.
    records: Vec<(String, String, String, String)>,
    /// Product and how many are left.
    stock: Vec<(String, i64)>,
    /// Order, product and how many it took.
    taken: Vec<(String, String, i64)>,
    /// The orders with a sale.
    sales: Vec<(String,)>,
    /// The orders as reports see them. PostgreSQL alone.
    view: Option<Vec<Seen>>,
}

/// What an audit found that is allowed.
#[derive(Clone, Debug, Default)]
pub struct Found {
    pub orders: usize,
    /// The references of orders whose guests were not told.
    pub untold: BTreeSet<String>,
    /// Orders that nobody has begun to pay.
    pub placed: usize,
    /// Orders with an attempt that has no outcome.
    pub in_doubt: usize,
    /// Orders that were called off.
    pub cancelled: usize,
    /// Transfers that count for orders.
    pub transfers: usize,
    /// Events that the shop has not followed yet.
    pub news: usize,
}

/// Reads the tables of one snapshot.
macro_rules! read {
    ($transaction:expr, $records:literal, $view:expr) => {
        Books {
            records: sqlx::query_as($records).fetch_all(&mut *$transaction).await.unwrap(),
            stock: sqlx::query_as("SELECT product, available FROM stock").fetch_all(&mut *$transaction).await.unwrap(),
            taken: sqlx::query_as("SELECT order_id, product, quantity FROM order_stock")
                .fetch_all(&mut *$transaction)
                .await
                .unwrap(),
            sales: sqlx::query_as("SELECT order_id FROM sales").fetch_all(&mut *$transaction).await.unwrap(),
            view: $view,
        }
    };
}

const FILL: &str = "UPDATE stock SET available = $1";

impl Database {
    pub fn url(&self) -> &str {
        let (Self::Sqlite(url) | Self::Postgres(url)) = self;
        url
    }

    /// Fills the shelves of a shop that has sold nothing.
    pub async fn fill_shelves(&self) {
        match self {
            Self::Sqlite(_) => {
                let mut connection = self.sqlite().await;
                sqlx::query(FILL).bind(SEEDED).execute(&mut connection).await.unwrap();
                connection.close().await.unwrap();
            }
            Self::Postgres(url) => {
                let mut connection = PgConnection::connect(url).await.unwrap();
                sqlx::query(FILL).bind(SEEDED).execute(&mut connection).await.unwrap();
                connection.close().await.unwrap();
            }
        }
    }

    /// Reads everything. The connection is closed before the next kill: a file that somebody else holds open is spared
    /// the recovery that is to be tested.
    pub async fn read(&self) -> Books {
        match self {
            Self::Sqlite(_) => {
                let mut connection = self.sqlite().await;
                let sound: String =
                    sqlx::query_scalar("PRAGMA integrity_check").fetch_one(&mut connection).await.unwrap();
                assert_eq!(sound, "ok");
                let mut snapshot = connection.begin().await.unwrap();
                let books = read!(snapshot, "SELECT kind, partition, sort, body FROM firsthand_records", None);
                snapshot.rollback().await.unwrap();
                connection.close().await.unwrap();
                books
            }
            Self::Postgres(url) => {
                let mut connection = PgConnection::connect(url).await.unwrap();
                let mut snapshot =
                    connection.begin_with("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY").await.unwrap();
                let view = sqlx::query_as(
                    "SELECT id, state, received_minor, settled_minor, owed_minor, refunded_minor FROM firsthand.orders_v1",
                );
                let books = read!(
                    snapshot,
                    "SELECT kind, partition, sort, body::text FROM firsthand.records",
                    Some(view.fetch_all(&mut *snapshot).await.unwrap())
                );
                snapshot.rollback().await.unwrap();
                connection.close().await.unwrap();
                books
            }
        }
    }

    async fn sqlite(&self) -> sqlx::SqliteConnection {
        let Self::Sqlite(url) = self else { unreachable!("not a file") };
        SqliteConnectOptions::from_str(url).unwrap().connect().await.unwrap()
    }
}

impl Books {
    /// Compares everything with everything else, and with what was told.
    pub fn audit(&self, told: &Told) -> Found {
        let mut audit = Audit { books: self, by_kind: BTreeMap::new(), faults: Vec::new() };
        for (kind, partition, sort, body) in &self.records {
            audit.by_kind.entry(kind).or_default().push((partition, sort, body));
        }
        let found = audit.all(told);
        assert!(audit.faults.is_empty(), "{found:?}\n{}", audit.faults.join("\n"));
        found
    }
}

type Row<'a> = (&'a str, &'a str, &'a str);

struct Audit<'a> {
    books: &'a Books,
    by_kind: BTreeMap<&'a str, Vec<Row<'a>>>,
    faults: Vec<String>,
}

/// What belongs to one order.
#[derive(Default)]
struct Parts<'a> {
    tokens: usize,
    references: Vec<&'a str>,
    due: Vec<&'a str>,
    events: Vec<OrderEvent>,
    deliveries: Vec<DeliveryRecord>,
    giving: Vec<RefundRecord>,
    /// The keys of what has to go back, as they are listed for the merchant.
    owed: BTreeSet<&'a str>,
    /// The names of the transfers that were for it.
    receipts: BTreeSet<String>,
    taken: BTreeMap<&'a str, i64>,
    sales: usize,
    /// The numbers of the events that the shop has not followed yet.
    news: BTreeSet<u32>,
}

/// A transfer, as stored.
struct Transfer {
    amount_minor: i64,
    order: Option<String>,
}

impl<'a> Audit<'a> {
    fn check(&mut self, holds: bool, what: impl FnOnce() -> String) {
        if !holds {
            self.faults.push(what());
        }
    }

    fn rows(&self, kind: &str) -> Vec<Row<'a>> {
        self.by_kind.get(kind).cloned().unwrap_or_default()
    }

    fn all(&mut self, told: &Told) -> Found {
        let orders: BTreeMap<&str, OrderRecord> =
            self.rows("order").into_iter().map(|(id, _, body)| (id, read(body))).collect();
        let transfers: BTreeMap<&str, Transfer> =
            self.rows("transfer").into_iter().map(|(name, _, body)| (name, transfer(body))).collect();
        let mut parts = self.parts(&orders);
        let mut found = Found { orders: orders.len(), ..Found::default() };
        for (id, order) in &orders {
            let own = parts.remove(id).unwrap_or_default();
            found.transfers += own.receipts.len();
            found.cancelled += usize::from(order.state == OrderState::Cancelled);
            found.news += own.news.len();
            found.placed += usize::from(order.state == OrderState::Placed);
            found.in_doubt += usize::from(order.attempts.iter().any(|attempt| attempt.is_in_doubt()));
            self.order(id, order, &own, &transfers);
        }
        for id in parts.keys() {
            self.faults.push(format!("something belongs to the order {id}, which is not there"));
        }
        self.transfers(&orders, &transfers, told);
        self.shelves();
        self.acknowledged(&orders, told);
        let acknowledged: BTreeSet<&str> = told.orders.values().filter_map(|o| o.reference.as_deref()).collect();
        let all = orders.values().map(|order| order.reference.as_str());
        found.untold = all.filter(|reference| !acknowledged.contains(reference)).map(str::to_owned).collect();
        self.view(&orders);
        found
    }

    /// Sorts everything by the order that it belongs to.
    fn parts(&mut self, orders: &BTreeMap<&'a str, OrderRecord>) -> BTreeMap<&'a str, Parts<'a>> {
        let mut parts: BTreeMap<&str, Parts<'_>> = BTreeMap::new();
        // The same text, for as long as the books are there.
        let known = |id: &str| orders.get_key_value(id).map(|(id, _)| *id);
        for (kind, what) in [("placed_draft", 0), ("order_reference", 1), ("order_due", 2), ("order_owed", 3)] {
            for (partition, sort, body) in self.rows(kind) {
                let entry: Value = read(body);
                let Some(id) = entry["order"].as_str().and_then(known) else {
                    self.faults.push(format!("{kind} {partition} {sort} leads to no order"));
                    continue;
                };
                let own = parts.entry(id).or_default();
                match what {
                    0 => own.tokens += 1,
                    1 => own.references.push(partition),
                    2 => own.due.push(sort),
                    _ => drop(own.owed.insert(sort)),
                }
            }
        }
        for (id, _, body) in self.rows("order_event") {
            parts.entry(id).or_default().events.push(read(body));
        }
        for (id, _, body) in self.rows("order_delivery") {
            parts.entry(id).or_default().deliveries.push(read(body));
        }
        for (id, _, body) in self.rows("order_refund") {
            parts.entry(id).or_default().giving.push(read(body));
        }
        for (id, _, body) in self.rows("order_transfer") {
            let receipt: Value = read(body);
            let name = receipt["transfer"].as_str().unwrap_or_default().to_owned();
            if !parts.entry(id).or_default().receipts.insert(name.clone()) {
                self.faults.push(format!("{id}: the transfer {name} counts twice"));
            }
        }
        for (_, sort, _) in self.rows("feed") {
            let Some((id, number)) = sort.split_once('/') else { panic!("an announcement of nothing: {sort}") };
            parts.entry(id).or_default().news.insert(number.parse().unwrap());
        }
        for (id, product, quantity) in &self.books.taken {
            parts.entry(id).or_default().taken.insert(product, *quantity);
        }
        for (id,) in &self.books.sales {
            parts.entry(id).or_default().sales += 1;
        }
        parts
    }

    /// One order is whole: what belongs to it is there once, and every cent and event has its place.
    fn order(&mut self, id: &str, order: &OrderRecord, own: &Parts<'_>, transfers: &BTreeMap<&str, Transfer>) {
        let state = order.state.name();
        self.check(order.id.as_str() == id, || format!("{id} calls itself {}", order.id));
        self.check(own.tokens == 1, || format!("{id}: {} tokens lead to it", own.tokens));
        let reference = order.reference.as_str();
        self.check(own.references == [reference], || format!("{id}: found by {:?}, not {reference}", own.references));
        let due: Vec<String> = order.wake_at().map(|at| format!("{:020}/{id}", at.as_secs())).into_iter().collect();
        self.check(own.due == due, || format!("{id} ({state}): due {:?}, not {due:?}", own.due));
        self.check(own.deliveries.len() == 1, || format!("{id}: {} addresses", own.deliveries.len()));
        self.check(own.sales == 1, || format!("{id}: {} sales", own.sales));
        let sum: i64 = order.lines.iter().map(|line| line.amount().unwrap().minor()).sum();
        self.check(sum == order.total.minor(), || format!("{id}: the lines cost {sum}, all of it {}", order.total));

        // The shop's own rows and ours are one commit: the shelf with the sale, and with the news that it is over.
        let is_end = |event: &&OrderEvent| matches!(event.what, Happened::Cancelled | Happened::Expired);
        let end = own.events.iter().find(is_end).map(|event| event.number);
        let put_back = end.is_some_and(|number| !own.news.contains(&number));
        let mut taken = BTreeMap::new();
        for line in order.lines.iter().filter(|_| !put_back) {
            taken.insert(line.item.as_str(), i64::from(u32::from(line.quantity)));
        }
        self.check(own.taken == taken, || format!("{id} ({state}): took {:?}, not {taken:?}", own.taken));
        self.check(own.news.iter().all(|number| *number <= order.events), || format!("{id}: news {:?}", own.news));

        let mut numbers: Vec<u32> = own.events.iter().map(|event| event.number).collect();
        numbers.sort_unstable();
        let all: Vec<u32> = (1..=order.events).collect();
        self.check(numbers == all, || format!("{id}: the events {numbers:?} of {}", order.events));
        let count = |is: fn(&Happened) -> bool| own.events.iter().filter(|event| is(&event.what)).count();
        let once = [
            (count(|what| matches!(what, Happened::Placed { .. })), true),
            (count(|what| matches!(what, Happened::PaymentBegun { .. })), !order.attempts.is_empty()),
            (count(|what| matches!(what, Happened::Paid)), order.state == OrderState::Paid),
            (count(|what| matches!(what, Happened::Cancelled)), order.state == OrderState::Cancelled),
        ];
        self.check(once.iter().all(|(count, is)| *count == usize::from(*is)), || format!("{id} ({state}): {once:?}"));

        // Money: received = settled + owed + returned, and each part is told by the records that made it.
        let ledger = &order.ledger;
        self.check(ledger.is_balanced(), || format!("{id}: {ledger:?}"));
        let paid = ledger.settled().is_ok_and(|settled| settled == order.total);
        self.check(paid == (order.state == OrderState::Paid), || format!("{id} ({state}): {ledger:?}"));
        let mut received: BTreeMap<&str, i64> = BTreeMap::new();
        for event in &own.events {
            if let Happened::Received { amount, by } = &event.what
                && received.insert(by, amount.minor()).is_some()
            {
                self.faults.push(format!("{id}: {by} is received twice"));
            }
        }
        let sum: i64 = received.values().sum();
        self.check(sum == ledger.received.minor(), || {
            format!("{id}: events say {sum}, the ledger {}", ledger.received)
        });
        let receipts: BTreeSet<&str> = own.receipts.iter().map(String::as_str).collect();
        self.check(receipts.iter().eq(received.keys()), || format!("{id}: receipts {receipts:?}, events {received:?}"));
        for (name, amount) in &received {
            let same = transfers.get(name).is_some_and(|t| t.order.as_deref() == Some(id) && t.amount_minor == *amount);
            self.check(same, || format!("{id}: the transfer {name} of {amount} says otherwise"));
        }
        let giving = |done: bool| -> i64 {
            let parts = own.giving.iter().filter(|giving| (giving.state == RefundState::Done) == done);
            parts.map(|giving| giving.amount.minor()).sum()
        };
        let sums = (giving(false), giving(true));
        let expected = (ledger.owed.minor(), ledger.refunded.minor());
        self.check(sums == expected, || format!("{id}: goes back and went back {sums:?}, not {expected:?}"));
        let open = own.giving.iter().filter(|giving| giving.state != RefundState::Done);
        let open: BTreeSet<String> = open.map(|giving| format!("{id}/{}", giving.key)).collect();
        let listed = open.iter().map(String::as_str).eq(own.owed.iter().copied());
        self.check(listed, || format!("{id}: owed {open:?}, listed {:?}", own.owed));
    }

    /// Transfers count once, for the order that they name, and what was acknowledged is booked.
    fn transfers(&mut self, orders: &BTreeMap<&str, OrderRecord>, transfers: &BTreeMap<&str, Transfer>, told: &Told) {
        // The bank's numbers are stored as digests: what is compared is how many there are, and of which amounts.
        let mut booked: BTreeMap<Option<&str>, Vec<i64>> = BTreeMap::new();
        for transfer in transfers.values() {
            let order = transfer.order.as_deref();
            let reference = order.and_then(|id| orders.get(id)).map(|order| order.reference.as_str());
            self.check(reference.is_some() == order.is_some(), || {
                format!("a transfer for {order:?}, which is not there")
            });
            booked.entry(reference).or_default().push(transfer.amount_minor);
        }
        let waiting = self.rows("unmatched_transfer").len();
        let unmatched = booked.get(&None).map_or(0, Vec::len);
        self.check(waiting == unmatched, || format!("{waiting} transfers wait, and {unmatched} have no order"));
        // First what must be there; then whatever is left must have been sent, at least.
        for acknowledged in [true, false] {
            for (number, sent) in told.transfers.iter().filter(|(_, sent)| sent.acknowledged == acknowledged) {
                let there = booked.get_mut(&sent.reference.as_deref());
                let place = there.and_then(|amounts| {
                    let place = amounts.iter().position(|amount| *amount == sent.amount_minor)?;
                    Some(amounts.swap_remove(place))
                });
                self.check(place.is_some() || !acknowledged, || {
                    format!("the transfer {number} was booked, and is not")
                });
            }
        }
        for (reference, amounts) in booked.iter().filter(|(_, amounts)| !amounts.is_empty()) {
            self.faults.push(format!("transfers that nobody sent, or twice: {reference:?} {amounts:?}"));
        }
    }

    /// What stands on the shelf and what orders took is all there ever was.
    fn shelves(&mut self) {
        for (product, left) in &self.books.stock {
            let taken: i64 =
                self.books.taken.iter().filter(|(_, what, _)| what == product).map(|(_, _, count)| count).sum();
            self.check(left + taken == SEEDED, || format!("{product}: {left} left and {taken} taken"));
        }
    }

    /// Every acknowledged order is there, as it was wanted, and no form made two.
    fn acknowledged(&mut self, orders: &BTreeMap<&str, OrderRecord>, told: &Told) {
        let by_reference: BTreeMap<&str, &OrderRecord> =
            orders.values().map(|order| (order.reference.as_str(), order)).collect();
        let mut seen = BTreeSet::new();
        for acknowledged in told.orders.values() {
            let Some(reference) = acknowledged.reference.as_deref() else {
                self.faults.push("nobody has looked at an acknowledged order".to_owned());
                continue;
            };
            self.check(seen.insert(reference), || format!("two forms led to {reference}"));
            let Some(order) = by_reference.get(reference) else {
                self.faults.push(format!("{reference} was acknowledged, and is gone"));
                continue;
            };
            let wanted = &acknowledged.wanted;
            let lines = order.lines.iter().map(|line| (line.item.as_str(), i64::from(u32::from(line.quantity))));
            let same = lines.eq(wanted.lines.iter().copied()) && order.total.minor() == wanted.total_minor;
            self.check(same, || format!("{reference}: {:?}, not {wanted:?}", order.lines));
            let over = order.state == OrderState::Cancelled;
            self.check(over || !acknowledged.cancelled, || {
                format!("{reference} was called off, and is {:?}", order.state)
            });
        }
        // One order for each token, so what nobody was told of is of tokens without an answer.
        let unanswered = told.tokens.values().filter(|link| link.is_none()).count();
        let most = told.orders.len() + unanswered;
        self.check(orders.len() <= most, || format!("{} orders of {most} forms: some are double", orders.len()));
    }

    /// Reports see the same.
    fn view(&mut self, orders: &BTreeMap<&str, OrderRecord>) {
        let Some(view) = &self.books.view else { return };
        let rows: BTreeMap<&str, _> =
            view.iter().map(|(id, state, a, b, c, d)| (id.as_str(), (state.as_str(), *a, *b, *c, *d))).collect();
        self.check(view.len() == orders.len(), || format!("reports see {} of {} orders", view.len(), orders.len()));
        for (id, order) in orders {
            let ledger = &order.ledger;
            let settled = ledger.settled().unwrap().minor();
            let expected =
                (order.state.name(), ledger.received.minor(), settled, ledger.owed.minor(), ledger.refunded.minor());
            self.check(rows.get(id) == Some(&expected), || format!("{id}: reports see {:?}", rows.get(id)));
        }
    }
}

fn read<T: DeserializeOwned>(body: &str) -> T {
    serde_json::from_str(body).unwrap_or_else(|error| panic!("{error}: {body}"))
}

fn transfer(body: &str) -> Transfer {
    let record: Value = read(body);
    Transfer {
        amount_minor: record["amount"]["minor"].as_i64().unwrap(),
        order: record["fate"]["for"].as_str().map(str::to_owned),
    }
}
