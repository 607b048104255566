//! `kill -9` of the storefront, at random moments, while guests buy and the merchant books: whatever was acknowledged is
//! there and whole when it is back, nothing is there twice, and whoever got no answer asks again with the same token.
//!
//! The shop is the real program in a process of its own, over SQLite (`synchronous=FULL`) and over PostgreSQL; the books
//! are read through a connection of our own. Ten kills each, or `FIRSTHAND_CRASH_KILLS`. What is printed as the seed, given
//! as `FIRSTHAND_CRASH_SEED`, has everybody do the same again; when a kill hits, the machine says.

#[path = "crash/books.rs"]
mod books;
#[path = "crash/load.rs"]
mod load;
#[path = "browser/shop.rs"]
mod shop;
#[path = "crash/web.rs"]
mod web;

use std::{
    collections::BTreeSet,
    env, fs,
    time::{Duration, Instant},
};

use base64::{Engine, engine::general_purpose::STANDARD};
use books::{Database, Found};
use firsthand::{env::Env, order::RAIL_ANSWER_S, rail::Sepa, testing::TestShop, time::UnixTime};
use firsthand_tests::postgres::{durable_cluster, left_out};
use load::{Desk, Dice, Guest, Known};
use shop::Storefront;
use storefront::sell::{Store, Till};
use tokio::task::JoinSet;
use web::Web;

/// How many guests buy at once.
const GUESTS: usize = 8;
/// A kill comes this long after everybody has begun, in milliseconds.
const LIFE_MS: std::ops::Range<u64> = 50..600;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_shop_over_sqlite_that_is_killed_loses_and_doubles_no_order() {
    let shop = Storefront::start();
    let database = Database::Sqlite(format!("sqlite:{}", shop.folder.path().join("shop.sqlite").display()));
    survives("SQLite", shop, database).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_shop_over_postgres_that_is_killed_loses_and_doubles_no_order() {
    let Some(cluster) = durable_cluster() else { return left_out("kills of a shop over PostgreSQL") };
    let url = cluster.database();
    let shop = Storefront::start_with(Some(url.clone()));
    survives("PostgreSQL", shop, Database::Postgres(url)).await;
}

/// What the storefront does with its file before it serves: every connection writes through to the disk.
#[tokio::test]
async fn every_connection_of_the_shop_to_its_file_is_synchronous() {
    let folder = shop::Folder::new("pragma");
    let url = format!("sqlite:{}", folder.path().join("shop.sqlite").display());
    let database = storefront::shop::database::Database::connect(&url).await.unwrap();
    let storefront::shop::database::Database::Sqlite(pool) = &database else { panic!("a file") };
    let most = pool.options().get_max_connections();
    let mut connections = Vec::new();
    for _ in 0..most {
        connections.push(pool.acquire().await.unwrap());
    }
    for connection in &mut connections {
        let synchronous: i64 = sqlx::query_scalar("PRAGMA synchronous").fetch_one(&mut **connection).await.unwrap();
        let journal: String = sqlx::query_scalar("PRAGMA journal_mode").fetch_one(&mut **connection).await.unwrap();
        assert_eq!((synchronous, journal.as_str()), (2, "wal"), "2 is FULL");
    }
    println!("{most} connections, all of them synchronous=FULL");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_shop_that_is_killed_while_it_opens_for_the_first_time_opens_again() {
    let seed = seed();
    println!("first starts: FIRSTHAND_CRASH_SEED={seed}");
    let mut dice = Dice::new(seed);
    // The program is built before the first of them.
    drop(Storefront::start());
    for _ in 0..12 {
        let mut shop = Storefront::closed(None);
        shop.launch();
        tokio::time::sleep(Duration::from_millis(dice.throw(300))).await;
        shop.kill();
        shop.open();
        let web = Web::new(shop.origin());
        let page = web.get("/checkout?cart=senchax1", None).await.expect("nobody kills it now");
        assert!(page.form("/checkout").is_some(), "{page:?}");
    }
}

/// The role of our server is called `firsthand`, like the library's schema, where PostgreSQL would look first.
#[tokio::test]
async fn a_shop_that_starts_again_finds_its_own_tables_whatever_its_role_is_called() {
    let Some(cluster) = durable_cluster() else { return left_out("the tables of a role that is called like a schema") };
    let url = cluster.database();
    let cart = storefront::shop::cart::Cart::parse("etnax2");
    let first = storefront::shop::database::Database::connect(&url).await.unwrap();
    first.set_aside("anna", cart.lines(), 1_000).await.unwrap();
    Store::open(&first).await.unwrap();
    let again = storefront::shop::database::Database::connect(&url).await.unwrap();
    assert_eq!(again.kept("anna", 1_000).await.unwrap().len(), 1);
}

/// Kills a shop again and again, and audits its books each time it is back.
async fn survives(name: &str, mut shop: Storefront, database: Database) {
    let (kills, seed) = (number("FIRSTHAND_CRASH_KILLS").unwrap_or(10), seed());
    println!("{name}: {kills} kills, FIRSTHAND_CRASH_SEED={seed}");
    let began = Instant::now();
    let mut dice = Dice::new(seed);
    let (web, known) = (Web::new(shop.origin()), Known::default());
    database.fill_shelves().await;
    // Once while nothing happens.
    shop.restart();
    let key = fs::read_to_string(shop.folder.path().join("operator.key")).expect("the operator's key");
    let authorization = format!("Basic {}", STANDARD.encode(format!("merchant:{}", key.trim())));
    let guest = |name| Guest::new(web.clone(), known.clone(), name, seed.wrapping_add(name as u64));
    let mut guests: Vec<Guest> = (1..=GUESTS).map(guest).collect();
    let mut desk = Desk::new(web.clone(), known.clone(), authorization, seed);
    let (mut in_the_middle, mut untold, mut waited) = (0, BTreeSet::new(), Duration::ZERO);
    for _ in 0..kills {
        let cut_off = known.told().cut_off.len();
        web.set_closing(false);
        let mut buying = JoinSet::new();
        for guest in guests.drain(..) {
            buying.spawn(guest.buy());
        }
        let booking = tokio::spawn(desk.book());
        let life_ms = LIFE_MS.start + dice.throw(LIFE_MS.end - LIFE_MS.start);
        tokio::time::sleep(Duration::from_millis(life_ms)).await;
        web.set_closing(true);
        shop.kill();
        guests = buying.join_all().await;
        desk = booking.await.unwrap();
        in_the_middle += usize::from(known.told().cut_off.len() > cut_off);

        let begun = Instant::now();
        shop.open();
        waited += begun.elapsed();
        web.set_closing(false);
        look_at_new(&web, &known).await;
        let found = database.read().await.audit(&known.told());
        in_bounds(&found, &known);
        untold.extend(found.untold);
    }

    // Everybody who still waits for an answer gets it.
    let mut settling = JoinSet::new();
    for guest in guests {
        settling.spawn(guest.settle());
    }
    settling.join_all().await;
    desk.settle().await;
    let links: Vec<String> = known.told().orders.keys().cloned().collect();
    let step = links.len().div_ceil(500).max(1);
    for link in links.iter().step_by(step) {
        load::look(&web, &known, link).await.expect("nobody kills it now");
    }
    look_at_new(&web, &known).await;
    let found = database.read().await.audit(&known.told());
    in_bounds(&found, &known);
    {
        let told = known.told();
        assert!(told.transfers.values().all(|transfer| transfer.acknowledged));
        assert!(found.untold.len() <= told.given_up, "{found:?}, and {} gave up", told.given_up);
    }

    // What a kill left without an outcome is asked about once its time has come, and what is over goes back on the shelf.
    shop.kill();
    let looked = bring_orders_up_to_date(&database).await;
    let settled = database.read().await.audit(&known.told());
    assert_eq!(
        (settled.in_doubt, settled.news, settled.orders),
        (0, 0, found.orders),
        "{settled:?}, {looked} looked at"
    );

    let told = known.told();
    println!(
        "{name}: {kills} kills, {in_the_middle} of them in the middle of an unacknowledged order ({} forms cut off, {} \
         never sent again); {} orders acknowledged, {} of them called off, {} forms acknowledged again with the same order, {} transfers booked; \
         {} whole orders found that nobody had been told of, {} of them never asked for again; {} attempts without outcome in the \
         end, all settled; {} times busy; doubles: 0; {:.1} s, {:.1} of them waiting for the shop to be back",
        told.cut_off.len(),
        told.given_up,
        told.orders.len(),
        found.cancelled,
        told.answered_again,
        found.transfers,
        untold.len(),
        found.untold.len(),
        found.in_doubt,
        told.busy,
        began.elapsed().as_secs_f64(),
        waited.as_secs_f64(),
    );
    let happened = [told.orders.len(), told.cut_off.len(), told.answered_again, found.cancelled, found.transfers];
    assert!(happened.iter().all(|count| *count > 0), "{happened:?}: something was never tried");
}

/// Looks at the orders that were acknowledged since the last time.
async fn look_at_new(web: &Web, known: &Known) {
    let new = |(link, order): (&String, &load::Acknowledged)| (!order.seen_after_restart).then(|| link.clone());
    let links: Vec<String> = known.told().orders.iter().filter_map(new).collect();
    for link in links {
        load::look(web, known, &link).await.expect("nobody kills it now");
        known.told().orders.get_mut(&link).unwrap().seen_after_restart = true;
    }
}

/// Only a form without an answer leaves an order that nobody has begun to pay, or an attempt without an outcome.
fn in_bounds(found: &Found, known: &Known) {
    let told = known.told();
    let most = told.cut_off.len() + told.busy;
    assert!(found.placed + found.in_doubt <= most, "{found:?}, and {most} forms without an answer");
}

/// What the shop does by itself, done by another process over the same database when the time for all of it has come.
async fn bring_orders_up_to_date(database: &Database) -> usize {
    let database = storefront::shop::database::Database::connect(database.url()).await.unwrap();
    let store = Store::open(&database).await.unwrap();
    let sepa = Sepa::new("Blatt und Rebe", "DE89370400440532013000").unwrap();
    let shop = TestShop::with(|shop| store.of(shop).rail(sepa.clone()).feed());
    shop.clock().set(now().plus_s(2 * RAIL_ANSWER_S + 1));
    let mut looked = 0;
    loop {
        match shop.merchant().bring_orders_up_to_date().await.unwrap() {
            0 => break,
            some => looked += some,
        }
    }
    let till = Till::new(shop.merchant().clone(), database, store);
    while till.clear_away_next().await.unwrap() {}
    looked
}

fn seed() -> u64 {
    number("FIRSTHAND_CRASH_SEED").unwrap_or_else(|| now().as_secs().unsigned_abs())
}

/// A number that the environment says.
fn number(name: &str) -> Option<u64> {
    env::var(name).ok().map(|text| text.parse().expect(name))
}

fn now() -> UnixTime {
    firsthand::env::SystemEnv.now()
}
