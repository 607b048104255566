//! Checkouts under load, and under `kill -9`: of a hundred bottles a hundred are sold, however many want them at once, and
//! whatever a shop had acknowledged before it died is there once when it is back.
//!
//! On Memory, SQLite (`synchronous=FULL`) and PostgreSQL. `FIRSTHAND_LOAD_ATTEMPTS=10000` and `FIRSTHAND_CRASH_KILLS=500` make
//! more of it than every day has time for; `FIRSTHAND_CRASH_SEED` has everybody do the same again.

#[path = "checkouts/books.rs"]
mod books;
#[path = "checkouts/kills.rs"]
mod kills;
#[path = "checkouts/load.rs"]
mod load;
#[path = "checkouts/outages.rs"]
mod outages;
#[path = "checkouts/rail.rs"]
mod rail;

use std::env;

use firsthand::{
    checkout::Wishes,
    merchant::{Checkout, Completion, IdempotencyKey},
    money::{Currency, Money, Quantity},
    trade::{Codes, Item, Items, Off, Shelf, Trade, Uses},
};

/// What is sold here: the sale is of the first of them.
const BOTTLES: [&str; 4] = ["riesling", "silvaner", "scheurebe", "rieslaner"];

fn trade(shelf: &Shelf) -> Trade {
    let euro = |text| Money::parse(text, Currency::EUR).unwrap();
    let words = Codes::new().word("once", Off::amount("A word for one", euro("1.00")).given(Uses::Once));
    let items = Items::new(BOTTLES.map(|name| Item::new(name, name, euro("12.00")))).unwrap();
    Trade::new(Currency::EUR, items).inventory(shelf.clone()).discount(words)
}

fn bottles(kind: usize, count: u32) -> Wishes {
    Wishes::new().item(BOTTLES[kind % BOTTLES.len()], Quantity::new(count).unwrap())
}

/// What somebody agrees to who sees this.
fn all_of(checkout: &Checkout, rail: &str) -> Completion {
    Completion::new(checkout.revision(), checkout.offering().totals.total).by(rail)
}

fn key(text: &str) -> IdempotencyKey {
    text.parse().unwrap()
}

/// A number that the environment says.
fn number(name: &str) -> Option<u64> {
    env::var(name).ok().map(|text| text.parse().unwrap_or_else(|_| panic!("{name} must be a number, not {text:?}")))
}
