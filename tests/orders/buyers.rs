//! What buyers do with checkouts: begin, change and complete them, say things twice, and look at them from anywhere.

use std::collections::BTreeSet;

use firsthand::{
    Error,
    checkout::{CheckoutId, Stage as Stand, Status, Wishes},
    merchant::{Basket, Checkout, Completion, GuestCheckout, GuestLink, IdempotencyKey},
    money::{Money, Quantity},
    testing::FakeRail,
    time::UnixTime,
};

use crate::{
    actors::Doing,
    shop::{ITEMS, ONCE},
};

/// The things that are done in a run of checkouts, and how often of so many.
pub const DEEDS: [(&str, usize); 23] = [
    ("begin", 15),
    ("change", 8),
    ("complete", 30),
    ("give up", 2),
    ("look", 5),
    ("price", 2),
    ("tend", 8),
    ("due", 7),
    ("decide", 8),
    ("notice", 8),
    ("lie", 2),
    ("cancel", 4),
    ("pay", 3),
    ("capture", 5),
    ("close short", 1),
    ("book", 5),
    ("refund", 3),
    ("give back", 4),
    ("by hand", 1),
    ("find out", 2),
    ("place", 1),
    ("sweep", 1),
    ("feed", 4),
];

/// A checkout in a browser.
#[derive(Clone, Debug)]
pub struct Cart {
    whose: Whose,
    basket: usize,
    id: Option<CheckoutId>,
    /// When it was begun for the first time.
    at: Option<UnixTime>,
    link: Option<GuestLink>,
    /// What the page shows, which may be old.
    shown: Option<(u64, Money)>,
    /// What was sent from it, to be sent again.
    said: Vec<Saying>,
}

#[derive(Clone, Debug)]
enum Whose {
    /// A customer by number, and the process that their browser talks to.
    Customer(usize, usize),
    /// A guest, with the token of the form. Any process answers them.
    Guest(String),
}

#[derive(Clone, Debug)]
enum Saying {
    Change { revision: u64, basket: usize, key: String },
    Complete { completion: Completion, key: String },
}

fn key(text: &str) -> IdempotencyKey {
    text.parse().unwrap()
}

fn basket(number: usize) -> Basket {
    let some = |count| Quantity::new(count).unwrap();
    let wishes = Wishes::new();
    let wishes = match number {
        0 => wishes.item("tin", some(1)),
        1 => wishes.item("tin", some(2)).code(ONCE),
        2 => wishes.item("cup", some(1)).item("tin", some(1)),
        3 => wishes.item("cup", some(3)).code("mine"),
        4 => wishes.item("pot", some(1)).code("ONCE"),
        5 => wishes.item("sample", some(1)),
        6 => wishes.item("pot", some(1)).item("cup", some(2)),
        // Not sold at all.
        _ => wishes.item("saucer", some(1)),
    };
    wishes.into()
}

impl Doing {
    /// Somebody begins a checkout; or their browser sends the same once more.
    pub async fn begin(&self) -> Result<(), Error> {
        let open = self.people().carts.len();
        let again = open > 0 && self.chance(250);
        let number = if again { self.below(open) } else { open };
        if !again {
            let customer = Some(self.below(5)).filter(|number| *number < self.node.customers.len());
            let whose = match customer {
                Some(customer) => Whose::Customer(self.node.number, customer),
                None => Whose::Guest(self.node.merchant.guest_form()),
            };
            let basket = [0, 0, 0, 1, 1, 1, 2, 2, 3, 3, 3, 4, 4, 4, 5, 5, 6, 7][self.below(18)];
            let said = Vec::new();
            self.people().carts.push(Cart { whose, basket, id: None, at: None, link: None, shown: None, said });
        }
        let cart = self.people().carts[number].clone();
        let wanted = basket(cart.basket);
        self.stage.note(|| format!("cart {number} of {:?} is begun", cart.whose));
        let checkout = match &cart.whose {
            Whose::Customer(node, _) if *node != self.node.number => return Ok(()),
            Whose::Customer(_, customer) => {
                self.node.customers[*customer].check_out(&wanted, &key(&format!("begin-{number}"))).await?
            }
            Whose::Guest(form) => {
                let GuestCheckout { checkout, link } = self.node.merchant.check_out_as_guest(&wanted, form).await?;
                self.people().carts[number].link = Some(link);
                checkout
            }
        };
        let now = self.stage.world().now;
        let (before, at) = {
            let cart = &mut self.people().carts[number];
            (cart.id.replace(checkout.id().clone()), *cart.at.get_or_insert(now))
        };
        // A key is remembered for a day.
        let before = before.filter(|_| now.since_s(at) < 24 * 3600);
        if before.as_ref().is_some_and(|before| before != checkout.id()) {
            self.stage.world().oracle.broken(format!("cart {number} is {before:?}, and then {}", checkout.id()));
        }
        self.stage.count(if before.is_some() { "checkout: begun again" } else { "checkout: begun by a browser" });
        self.show(number, &checkout);
        Ok(())
    }

    /// Other things are wanted, or the same is sent once more.
    pub async fn change(&self) -> Result<(), Error> {
        let Some((number, cart, checkout)) = self.cart().await? else { return Ok(()) };
        let before = cart.said.iter().rev().find(|said| matches!(said, Saying::Change { .. })).cloned();
        let saying = match before.filter(|_| self.chance(250)) {
            Some(again) => again,
            None => {
                let revision = self.revision(&cart, &checkout).0;
                Saying::Change { revision, basket: self.below(8), key: format!("change-{number}-{}", cart.said.len()) }
            }
        };
        let Saying::Change { revision, basket: wanted, key: name } = &saying else { return Ok(()) };
        self.stage.note(|| format!("cart {number}: {saying:?}"));
        self.people().carts[number].said.push(saying.clone());
        let changed = checkout.update(*revision, &basket(*wanted), &key(name)).await?;
        self.show(number, &changed);
        Ok(())
    }

    /// Somebody pays: what they see, what they saw, or the same once more.
    pub async fn complete(&self) -> Result<(), Error> {
        let Some((number, cart, checkout)) = self.cart().await? else { return Ok(()) };
        let before = cart.said.iter().rev().find(|said| matches!(said, Saying::Complete { .. })).cloned();
        let saying = match before.filter(|_| self.chance(300)) {
            // A browser that makes a mistake: something else under the same key.
            Some(Saying::Complete { completion, key }) if self.chance(100) => {
                Saying::Complete { completion: completion.by("sepa"), key }
            }
            Some(again) => {
                self.stage.count("checkout: completed again");
                again
            }
            None => {
                let (revision, total) = self.revision(&cart, &checkout);
                let rail = if self.chance(850) { FakeRail::ID } else { "sepa" };
                let total = if self.chance(20) { Money::new(1, total.currency()).unwrap() } else { total };
                let completion = Completion::new(revision, total).by(rail);
                // One key for two things that are said at the same time, now and then.
                let turn = if self.chance(100) { 0 } else { cart.said.len() };
                Saying::Complete { completion, key: format!("complete-{number}-{turn}") }
            }
        };
        let Saying::Complete { completion, key: name } = &saying else { return Ok(()) };
        self.stage.note(|| format!("cart {number}: {saying:?}"));
        self.people().carts[number].said.push(saying.clone());
        let done = checkout.complete(completion, &key(name)).await?;
        self.is_consistent(&done).await?;
        self.show(number, &done);
        Ok(())
    }

    /// Somebody thinks better of it.
    pub async fn give_up(&self) -> Result<(), Error> {
        let Some((number, _, checkout)) = self.cart().await? else { return Ok(()) };
        let canceled = checkout.cancel().await?;
        if canceled.status() != Status::Canceled {
            self.stage.world().oracle.broken(format!("cart {number} is canceled, and {:?}", canceled.status()));
        }
        Ok(())
    }

    /// Somebody looks at the page, or comes back to it from the rail.
    pub async fn look(&self) -> Result<(), Error> {
        let Some((number, _, checkout)) = self.cart().await? else { return Ok(()) };
        let checkout = if self.chance(400) { checkout.ask_rail().await? } else { checkout };
        if checkout.continue_at().await?.is_some() {
            self.stage.count("checkout: it goes on at the rail");
        }
        self.is_consistent(&checkout).await?;
        self.show(number, &checkout);
        Ok(())
    }

    /// The merchant changes a price.
    #[expect(clippy::unnecessary_wraps, reason = "as all deeds")]
    pub fn price(&self) -> Result<(), Error> {
        let mut world = self.stage.world();
        let item = world.numbers.below(ITEMS.len());
        let more = 1 + world.numbers.below(500) as i64;
        if let Some(price) = world.prices.get_mut(item).filter(|price| **price > 0) {
            *price += more;
        }
        Ok(())
    }

    /// A completed checkout has its order, and no other has one.
    async fn is_consistent(&self, checkout: &Checkout) -> Result<(), Error> {
        let order = checkout.order().await?;
        let confirmed = order.as_ref().map(|order| order.record().checkout.as_ref().map(|from| from.confirmed_at));
        let fits = match checkout.status() {
            Status::Completed => matches!(confirmed, Some(Some(Some(_)))),
            _ => confirmed.is_none(),
        };
        let (status, id) = (checkout.status(), checkout.id());
        self.stage.world().oracle.must(fits, || format!("{id} is {status:?}, and its order {confirmed:?}"));
        Ok(())
    }

    /// A checkout that somebody has before them, as they find it from here.
    async fn cart(&self) -> Result<Option<(usize, Cart, Checkout)>, Error> {
        let found = {
            let people = self.people();
            let here = |cart: &Cart| match &cart.whose {
                Whose::Customer(node, _) => *node == self.node.number && cart.id.is_some(),
                Whose::Guest(_) => cart.link.is_some(),
            };
            let all: Vec<usize> = (0..people.carts.len()).filter(|at| here(&people.carts[*at])).collect();
            let mut world = self.stage.world();
            // Most of what people do is about what is still open, and what they did last.
            let open =
                |at: &usize| people.carts[*at].id.as_ref().is_some_and(|id| world.oracle.sales.is_open(id, world.now));
            let open: Vec<usize> = all.iter().copied().filter(open).collect();
            let all = if world.numbers.chance(700) && !open.is_empty() { open } else { all };
            let last = all.last().copied().filter(|_| world.numbers.chance(300));
            last.or_else(|| world.numbers.of(&all)).map(|at| (at, people.carts[at].clone()))
        };
        let Some((number, cart)) = found else { return Ok(None) };
        let checkout = self.find(&cart).await?;
        Ok(Some((number, cart, checkout)))
    }

    async fn find(&self, cart: &Cart) -> Result<Checkout, Error> {
        match (&cart.whose, &cart.id, &cart.link) {
            (Whose::Customer(_, customer), Some(id), _) => self.node.customers[*customer].checkout(id).await,
            (_, _, Some(link)) => self.node.merchant.guest_checkout(link).await,
            _ => Err(Error::Misuse("a cart that leads nowhere".to_owned())),
        }
    }

    /// The state that a browser says it saw: most often the last one.
    fn revision(&self, cart: &Cart, checkout: &Checkout) -> (u64, Money) {
        match cart.shown.filter(|_| self.chance(150)) {
            Some(old) => old,
            None => (checkout.revision(), checkout.offering().totals.total),
        }
    }

    fn show(&self, number: usize, checkout: &Checkout) {
        self.people().carts[number].shown = Some((checkout.revision(), checkout.offering().totals.total));
    }

    /// At the end: whoever looks finds what the records say, from any process.
    pub async fn audit(self) {
        let carts = self.people().carts.clone();
        for cart in carts.iter().filter(|cart| cart.link.is_some()) {
            let Some(link) = &cart.link else { continue };
            let order = self.node.merchant.guest_order(link).await.ok().map(|order| order.id().clone());
            let became = {
                let world = self.stage.world();
                cart.id.as_ref().and_then(|id| world.oracle.sales.sale_of(id))
            };
            let mut wrong = (order != became).then(|| format!("a link leads to {order:?}, and not to {became:?}"));
            match self.node.merchant.guest_checkout(link).await {
                Ok(checkout) => {
                    let undecided = matches!(checkout.record().stage, Stand::Holding(_) | Stand::Paying(_));
                    if undecided || (checkout.status() == Status::Completed) != became.is_some() {
                        wrong = Some(format!("{} is {:?} at the end", checkout.id(), checkout.status()));
                    }
                }
                Err(error) if error.code() == "no_such_checkout" => {}
                Err(error) => wrong = Some(format!("a checkout is not found: {error}")),
            }
            self.stage.world().oracle.broken.extend(wrong);
        }
        for customer in &self.node.customers {
            let found = match customer.orders(None, 100).await {
                Ok(found) => found.iter().map(|order| order.id().clone()).collect::<BTreeSet<_>>(),
                Err(error) => {
                    self.stage.world().oracle.broken(format!("a customer's orders are not found: {error}"));
                    continue;
                }
            };
            let mut world = self.stage.world();
            let expected = world.oracle.sales_of(customer.id().as_str());
            world.oracle.must(found == expected, || format!("a customer sees {found:?} of {expected:?}"));
        }
    }
}
