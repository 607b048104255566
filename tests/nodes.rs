//! Several nodes of one shop on one PostgreSQL, with sockets between them and their customers, and what happens to them: one
//! takes the place of another under load, and the server below them is killed.

#[path = "nodes/one_shop.rs"]
mod one_shop;
#[path = "nodes/outages.rs"]
mod outages;
#[path = "nodes/rolling.rs"]
mod rolling;
#[allow(dead_code, reason = "it is there for the tests through a router")]
#[path = "http/setting.rs"]
mod setting;
#[path = "nodes/street.rs"]
mod street;
