//! What the shop sells, and how people buy it over HTTP: with too little on the shelf, and a rail of every mood.

use firsthand::{
    env::Env,
    money::{Currency, Money},
    testing::{FakeRail, Mood},
    time::UnixTime,
    trade::{Item, Items, Shelf, Trade},
};
use firsthand_axum::testing::{Browser, Reply};
use http::{HeaderMap, HeaderValue, Method, header};
use serde_json::{Value, json};

use crate::{people::Doing, world::World};

/// How long the key of a checkout is remembered, in seconds.
const KEY_S: u64 = 24 * 3600;

/// What is sold: its name, what it costs, and how many there are.
pub const ITEMS: [(&str, i64, u32); 2] = [("tin", 1000, 2), ("pot", 2500, 1)];

/// A checkout in a browser.
#[derive(Clone, Debug)]
pub struct Cart {
    pub device: usize,
    /// When it was begun for the first time, and under which key.
    at: UnixTime,
    key: String,
    /// In which session: whoever was forgotten has said nothing yet.
    token: Option<String>,
    basket: Value,
    /// What the page shows.
    shown: Option<Value>,
    /// What was agreed to, under which key.
    agreed: Option<(String, Value)>,
}

/// How the shop sells from this shelf.
pub fn trade(shelf: Shelf) -> Trade {
    let euro = |minor| Money::new(minor, Currency::EUR).expect("an amount");
    let items = ITEMS.map(|(name, minor, _)| Item::new(name, format!("A {name}"), euro(minor)));
    Trade::new(Currency::EUR, Items::new(items).expect("names")).inventory(shelf).hold_s(300)
}

/// Everything that there is, is put on the shelf.
pub async fn stock(world: &World) {
    let shelf = shelf(world);
    for (item, _, count) in ITEMS {
        shelf.stock(item, count, world.now()).await.expect("nothing is wrong yet");
    }
}

pub fn shelf(world: &World) -> Shelf {
    Shelf::new(world.state().memory.clone())
}

impl Doing {
    async fn keyed(&self, device: usize, path: &str, key: &str, body: &Value) -> Reply {
        let text = body.to_string();
        let once = async |tab: &mut Browser| {
            let proof = tab.sign(&tab.claims(&Method::POST, path, Some(text.as_bytes())));
            let mut headers = HeaderMap::new();
            let value = |text: String| HeaderValue::try_from(text).expect("a header");
            headers.insert("dpop", value(proof));
            if let Some(token) = &tab.token {
                headers.insert(header::AUTHORIZATION, value(format!("DPoP {token}")));
            }
            headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
            headers.insert("idempotency-key", value(key.to_owned()));
            tab.send(&Method::POST, path, headers, text.as_bytes()).await
        };
        self.tab(device, async |tab| {
            let reply = once(tab).await;
            if reply.code() == "use_dpop_nonce" { once(tab).await } else { reply }
        })
        .await
    }

    /// Somebody begins a checkout, or their browser sends the same once more.
    pub async fn begin_checkout(&self, device: usize) -> usize {
        let number = {
            let mut state = self.world.state();
            let own: Vec<usize> =
                (0..state.folk.carts.len()).filter(|cart| state.folk.carts[*cart].device == device).collect();
            let again = state.numbers.chance(300).then(|| state.numbers.of(&own)).flatten();
            match again {
                Some(number) => number,
                None => {
                    let number = state.folk.carts.len();
                    let (item, ..) = ITEMS[state.numbers.below(ITEMS.len())];
                    let basket = json!({ "line_items": [{ "item": { "id": item }, "quantity": 1 }] });
                    let (at, key) = (state.clock.now(), format!("begin-{number}"));
                    let token = state.folk.devices[device].browser.token.clone();
                    state.folk.carts.push(Cart { device, at, key, token, basket, shown: None, agreed: None });
                    number
                }
            }
        };
        let Cart { key, basket, .. } = self.world.state().folk.carts[number].clone();
        let reply = self.keyed(device, "/wallet/checkouts", &key, &basket).await;
        self.show(number, &reply);
        number
    }

    /// From the basket to the order; most browsers send it again when they hear nothing.
    pub async fn buy(&self, device: usize) {
        let number = self.begin_checkout(device).await;
        for _ in 0..1 + self.world.below(2) {
            self.pay_for(number).await;
        }
    }

    /// Somebody pays; or their browser sends the same once more.
    pub async fn pay(&self) -> Option<()> {
        let number = {
            let mut state = self.world.state();
            let open: Vec<usize> =
                (0..state.folk.carts.len()).filter(|cart| state.folk.carts[*cart].shown.is_some()).collect();
            state.numbers.of(&open)?
        };
        self.pay_for(number).await
    }

    async fn pay_for(&self, number: usize) -> Option<()> {
        let cart = self.world.state().folk.carts[number].clone();
        let shown = cart.shown?;
        let (key, agreed) = match cart.agreed {
            Some(again) if self.world.chance(600) => again,
            _ => {
                let total = shown["totals"].as_array()?.last()?["amount"].clone();
                let body = json!({
                    "revision": shown["revision"], "total": total, "payment": { "handler_id": FakeRail::ID },
                });
                (format!("pay-{number}-{}", shown["revision"]), body)
            }
        };
        self.world.state().folk.carts[number].agreed = Some((key.clone(), agreed.clone()));
        let mood = {
            let mut state = self.world.state();
            match state.numbers.below(100) {
                _ if !state.trouble => Mood::Does,
                0..60 => Mood::Does,
                60..75 => Mood::Declines,
                75..88 => Mood::DoesAndForgets,
                _ => Mood::ForgetsWithout,
            }
        };
        self.nodes.rail.next(mood);
        let path = format!("/wallet/checkouts/{}/complete", shown["id"].as_str()?);
        let reply = self.keyed(cart.device, &path, &key, &agreed).await;
        self.show(number, &reply);
        Some(())
    }

    fn show(&self, number: usize, reply: &Reply) {
        let Ok(body) = serde_json::from_slice::<Value>(&reply.body) else { return };
        let mut state = self.world.state();
        let Some(id) = body["id"].as_str().filter(|_| reply.status.is_success()) else { return };
        let (now, cart) = (state.clock.now(), &state.folk.carts[number]);
        let before = cart.shown.as_ref().and_then(|shown| shown["id"].as_str().map(str::to_owned));
        let is_theirs = state.folk.devices[cart.device].browser.token == cart.token;
        let is_one = before.is_none_or(|before| before == id) || now.since_s(cart.at) >= KEY_S || !is_theirs;
        state.oracle.must(is_one, || format!("cart {number} is two checkouts"));
        if let Some(order) = body["order"]["id"].as_str() {
            state.count("checkout: an order");
            state.oracle.sold(id, order);
        }
        state.folk.carts[number].shown = Some(body);
    }
}
