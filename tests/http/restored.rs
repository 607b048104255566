//! A database that was put back from a backup: what ended since has not ended in it, and must not come alive again.

use std::str::FromStr;

use firsthand::{
    Device, Money,
    money::{Currency, Quantity},
    order::{Draft, OrderState},
    rail::Outcome,
    store::{Postgres, Sqlite, Store},
};
use firsthand_axum::testing::{Browser, FakeRail, Mood, TestShop};
use firsthand_tests::postgres::{cluster, left_out};
use http::StatusCode;
use serde_json::json;
use sqlx::{AssertSqlSafe, Connection, PgConnection, SqliteConnection, postgres::PgConnectOptions};

use crate::setting::{Folder, answered, app, browser, customer, led_to, refused};

/// What a shop over `store` is like; then `copy` makes the backup, more happens, and the backup takes its place.
async fn lives_on<S: Store + Clone>(
    store: S,
    back_up: impl AsyncFnOnce(),
    unchanged: impl AsyncFnOnce() -> S,
    restored: impl AsyncFnOnce(S) -> S,
) {
    let rail = FakeRail::new();
    let shop = TestShop::with(|builder| builder.store(store).rail(rail.clone()));
    let mut known = browser(&shop);
    known.sign_in("adult").await;
    let id = customer(&mut known).await;
    let mut asking = browser(&shop);
    let (open, code) = answered(&mut asking, "age", Device::SameDevice, "adult").await;
    let merchant = shop.merchant();
    let price = Money::parse("28.50", Currency::EUR).unwrap();
    let draft = Draft::new(Currency::EUR).line("etna", "Etna Rosso", price, Quantity::new(1).unwrap());
    let placed = merchant.place_as_guest(draft, &merchant.guest_form()).await.unwrap().commit().await.unwrap();
    rail.next(Mood::Says(Outcome::Pending));
    let order = placed.order.pay(FakeRail::ID).await.unwrap();
    assert_eq!(order.state(), OrderState::Paying);

    back_up().await;

    // The question is redeemed, the session closed, and the payment arrives.
    let redeem = json!({ "presentation": open.id, "response_code": code });
    assert_eq!(asking.clone().redeem(&redeem).await.status, StatusCode::OK);
    let mut closed = known.clone();
    let session = closed.get("/wallet/sessions").await.json()["sessions"][0]["id"].as_str().unwrap().to_owned();
    rail.decide(order.id(), 1, Outcome::Paid);

    // Taken as it is, the backup would have both once more.
    let careless = unchanged().await;
    let node = shop.again(|builder| builder.store(careless.clone()).rail(rail.clone()));
    let mut there = led_to(&known, node.merchant());
    assert_eq!(there.get("/").await.text(), "Welcome back");
    assert!(there.get("/wallet/sessions").await.text().contains(&session));

    let epoch = careless.epoch();
    let put_back = restored(careless).await;
    assert_eq!(put_back.epoch(), epoch + 1);
    let node = shop.again(|builder| builder.store(put_back.clone()).rail(rail.clone()));
    let mut there = led_to(&known, node.merchant());
    let nonce = there.nonce.clone();
    refused(&there.get("/").await, 401, "invalid_token");
    assert_ne!(there.nonce, nonce, "a nonce of before is taken");
    let mut late = Browser::new(&shop, app(node.merchant()));
    late.key = asking.key.clone();
    refused(&late.redeem(&redeem).await, 404, "no_such_presentation");

    // The customer keeps their key, and begins again with it.
    assert_eq!(there.redeem(&json!({})).await.status, StatusCode::OK);
    assert_eq!(customer(&mut there).await, id);

    // What was being paid is asked about.
    let found = async || node.merchant().guest_order(&placed.link).await.unwrap().state();
    assert_eq!(found().await, OrderState::Paying);
    shop.advance_s(3_600);
    node.merchant().bring_orders_up_to_date().await.unwrap();
    assert_eq!(found().await, OrderState::Paid);
}

#[tokio::test]
async fn nothing_that_ended_comes_alive_from_a_backup_over_sqlite() {
    let folder = Folder::new();
    let (shop, backup) = (folder.database(), folder.database().replace("shop.db", "backup.db"));
    let back_up = async || {
        let mut connection = SqliteConnection::connect(&shop).await.unwrap();
        let file = backup.trim_start_matches("sqlite://");
        sqlx::query("VACUUM INTO ?1").bind(file).execute(&mut connection).await.unwrap();
    };
    let unchanged = async || Sqlite::connect(&backup).await.unwrap();
    lives_on(Sqlite::connect(&shop).await.unwrap(), back_up, unchanged, async |store| store.restored().await.unwrap())
        .await;
}

#[tokio::test]
async fn nothing_that_ended_comes_alive_from_a_backup_over_postgres() {
    let Some(cluster) = cluster() else { return left_out("a database that was put back from a backup") };
    let (shop, other) = (cluster.database(), cluster.database());
    let name = |url: &str| PgConnectOptions::from_str(url).unwrap().get_database().unwrap().to_owned();
    let (from, to) = (name(&shop), name(&other));
    let back_up = async || {
        let aside = PgConnectOptions::from_str(&shop).unwrap().database("postgres");
        let mut connection = PgConnection::connect_with(&aside).await.unwrap();
        // A copy of a database is made while nobody uses it: who is connected connects again.
        for sql in [
            format!("DROP DATABASE {to}"),
            format!("ALTER DATABASE {from} ALLOW_CONNECTIONS false"),
            format!("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{from}'"),
            format!("CREATE DATABASE {to} TEMPLATE {from}"),
            format!("ALTER DATABASE {from} ALLOW_CONNECTIONS true"),
        ] {
            sqlx::raw_sql(AssertSqlSafe(sql)).execute(&mut connection).await.unwrap();
        }
    };
    let unchanged = async || Postgres::connect(&other).await.unwrap();
    let store = Postgres::connect(&shop).await.unwrap();
    lives_on(store, back_up, unchanged, async |store| store.restored().await.unwrap()).await;
}
