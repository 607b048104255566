//! Walks through the storefront in a real browser: headless Chromium, driven as a customer's hands would.
//!
//! The shop is the real program in a process of its own, so that it can be killed in the middle of a walk. Every browser
//! has a profile of its own, finds no host but `localhost`, and is asked at the end, by [`Browser::leave`], whether a cookie
//! exists, whether a page asked another host, and whether anything went wrong in its console.
//!
//! With `FIRSTHAND_SCREENSHOTS=DIR` the walks leave pictures there, to be looked at by a person.

#[path = "browser/driver.rs"]
mod driver;
#[path = "browser/shop.rs"]
mod shop;
#[path = "browser/walk.rs"]
mod walk;

#[path = "browser/after_sale.rs"]
mod after_sale;
#[path = "browser/checkout.rs"]
mod checkout;
#[path = "browser/consent.rs"]
mod consent;
#[path = "browser/cookie.rs"]
mod cookie;
#[path = "browser/dc_api.rs"]
mod dc_api;
#[path = "browser/devices.rs"]
mod devices;
#[path = "browser/formats.rs"]
mod formats;
#[path = "browser/kiosk.rs"]
mod kiosk;
#[path = "browser/leaving.rs"]
mod leaving;
#[path = "browser/looks.rs"]
mod looks;
#[path = "browser/merchant_pages.rs"]
mod merchant_pages;
#[path = "browser/payment.rs"]
mod payment;
#[path = "browser/relationship.rs"]
mod relationship;
#[path = "browser/restart.rs"]
mod restart;
#[path = "browser/sale.rs"]
mod sale;
#[path = "browser/sign_in.rs"]
mod sign_in;
#[path = "browser/trouble.rs"]
mod trouble;

#[path = "support/statements.rs"]
mod made_statements;

use driver::{Browser, Options, installed};
use shop::Storefront;
