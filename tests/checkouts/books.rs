//! The books of a shop that sells by checkouts: everything that lies in the database, read by somebody who is not the shop,
//! and audited.

use std::{
    collections::{BTreeMap, BTreeSet},
    str::FromStr,
};

use firsthand::{
    checkout::{CheckoutId, CheckoutRecord, Stage},
    order::{OrderId, OrderRecord, OrderState},
};
use serde_json::Value;
use sqlx::{ConnectOptions, Connection, PgConnection, sqlite::SqliteConnectOptions};

use crate::{
    BOTTLES,
    kills::{Known, THERE_ARE},
    rail,
};

/// All bottles together.
const ALL: u64 = THERE_ARE as u64 * BOTTLES.len() as u64;

/// Kind, partition, sort and body.
type Row = (String, String, String, String);

/// All that lies in the database, read by somebody who is not the shop.
pub struct Books {
    orders: BTreeMap<OrderId, OrderRecord>,
    checkouts: BTreeMap<CheckoutId, CheckoutRecord>,
    rows: Vec<Row>,
}

impl Books {
    pub async fn read(url: &str) -> Self {
        let rows: Vec<Row> = if url.starts_with("sqlite") {
            let mut connection = SqliteConnectOptions::from_str(url).unwrap().connect().await.unwrap();
            let sound: String = sqlx::query_scalar("PRAGMA integrity_check").fetch_one(&mut connection).await.unwrap();
            assert_eq!(sound, "ok");
            let rows = sqlx::query_as("SELECT kind, partition, sort, body FROM firsthand_records");
            let rows = rows.fetch_all(&mut connection).await.unwrap();
            connection.close().await.unwrap();
            rows
        } else {
            let mut connection = PgConnection::connect(url).await.unwrap();
            let rows = sqlx::query_as("SELECT kind, partition, sort, body::text FROM firsthand.records");
            let rows = rows.fetch_all(&mut connection).await.unwrap();
            connection.close().await.unwrap();
            rows
        };
        let of = |kind: &str| rows.iter().filter(move |row| row.0 == kind).map(|row| &row.3).collect::<Vec<_>>();
        let orders = of("order").into_iter().map(|body| serde_json::from_str::<OrderRecord>(body).unwrap());
        let orders = orders.map(|order| (order.id.clone(), order)).collect();
        let checkouts = of("checkout").into_iter().map(|body| serde_json::from_str::<CheckoutRecord>(body).unwrap());
        let checkouts = checkouts.map(|checkout| (checkout.id.clone(), checkout)).collect();
        Self { orders, checkouts, rows }
    }

    /// What must be true at any moment. Says how many checkouts are being completed.
    pub fn audit(&self, known: &Known, rail: &rail::Folder) -> usize {
        for (key, order) in &known.orders {
            let found =
                self.orders.get(order).unwrap_or_else(|| panic!("{key}: {order} was acknowledged, and is gone"));
            let from = found.checkout.as_ref().unwrap();
            assert!(from.confirmed_at.is_some() && from.id == known.said[key].checkout, "{key}: {found:?}");
            assert_eq!(found.total.minor(), known.said[key].minor, "{key}: what was agreed to");
        }
        let (mut sales, mut tries) = (BTreeSet::new(), BTreeMap::<&CheckoutId, usize>::new());
        for (id, order) in &self.orders {
            let from = order.checkout.as_ref().unwrap();
            assert!(from.confirmed_at.is_none() || sales.insert(&from.id), "{} became two orders", from.id);
            *tries.entry(&from.id).or_default() += 1;
            assert!(order.attempts.len() == 1, "{id}: {:?}", order.attempts);
        }
        // Each order was agreed to under a key of its own.
        let mut keys = BTreeMap::<&CheckoutId, usize>::new();
        known.said.values().for_each(|said| *keys.entry(&said.checkout).or_default() += 1);
        for (checkout, tries) in tries {
            let said = keys.get(checkout).copied().unwrap_or_default();
            assert!(tries <= said, "{checkout} became {tries} orders, and {said} keys were said");
        }
        let mut progress = 0;
        for (id, checkout) in &self.checkouts {
            match &checkout.stage {
                Stage::Completed { order } => assert!(sales.contains(id), "{id} is completed, and {order} no sale"),
                Stage::Holding(_) | Stage::Paying(_) => progress += 1,
                Stage::Open | Stage::Canceled => assert!(!sales.contains(id), "{id} is open, and there is a sale"),
            }
        }
        let (left, held, sold, counted) = self.shelf();
        assert_eq!((left + held + sold, counted), (ALL, held), "{left} left, {held} held, {sold} sold");
        for (id, order) in &self.orders {
            let paid = rail.truth(id, 1).as_deref() == Some("paid");
            assert!(paid || order.ledger.received.is_zero(), "{id} was paid, says the shop alone");
        }
        progress
    }

    /// What must be true when nothing is under way any more. Says how many bottles were sold.
    pub fn is_at_rest(&self, rail: &rail::Folder) -> u64 {
        let mut expected = 0;
        for (id, order) in &self.orders {
            let paid = rail.truth(id, 1).as_deref() == Some("paid");
            let from = order.checkout.as_ref().unwrap();
            assert_eq!(paid, order.state == OrderState::Paid, "{id}: {:?}, {:?}", order.state, rail.truth(id, 1));
            assert_eq!(paid, from.confirmed_at.is_some(), "{id}");
            let bottles = order.lines.iter().map(|line| u64::from(line.quantity.count()));
            expected += if paid { bottles.sum::<u64>() } else { 0 };
        }
        for (id, checkout) in &self.checkouts {
            assert!(!matches!(checkout.stage, Stage::Holding(_) | Stage::Paying(_)), "{id} is still being completed");
        }
        for kind in ["checkout_due", "stock_task", "stock_due", "order_due", "order_tried_due"] {
            let left = self.rows.iter().filter(|row| row.0 == kind).count();
            assert_eq!(left, 0, "left in {kind}");
        }
        let used = self.rows.iter().filter(|row| row.0 == "coupon_used");
        for row in used {
            let used: Value = serde_json::from_str(&row.3).unwrap();
            let order = &self.orders[&used["order"].as_str().unwrap().parse::<OrderId>().unwrap()];
            assert_eq!(order.state, OrderState::Paid, "what was let off is used up for nothing");
        }
        let (left, held, sold, _) = self.shelf();
        assert_eq!((left, held, sold), (ALL - expected, 0, expected));
        sold
    }

    /// How many are left, held and sold by what is written of each order, and held as it is counted.
    fn shelf(&self) -> (u64, u64, u64, u64) {
        let (mut held, mut sold) = (0, 0);
        let read = |row: &Row| serde_json::from_str::<Value>(&row.3).unwrap();
        for hold in self.rows.iter().filter(|row| row.0 == "stock_hold").map(read) {
            let count: u64 = hold["items"].as_array().unwrap().iter().map(|item| item[1].as_u64().unwrap()).sum();
            *if hold["stage"] == "sold" { &mut sold } else { &mut held } += count;
        }
        let stock: Vec<Value> = self.rows.iter().filter(|row| row.0 == "stock").map(read).collect();
        let all = |what: &str| stock.iter().map(|stock| stock[what].as_u64().unwrap()).sum();
        (all("left"), held, sold, all("held"))
    }
}
