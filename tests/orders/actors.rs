//! What people, the rail and the shop's own workers do: one future for each thing, with what it needs drawn from the seed.

use aws_lc_rs::digest::{SHA256, digest};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use firsthand::{
    Error, Merchant,
    merchant::{Booking, Order, Recognised, Refund, Transfer},
    money::{Currency, Money, Quantity},
    order::{BankAccount, Draft, OrderId, OrderState, RefundState},
    rail::{Notice, NoticeRequest, Outcome, Reference},
    testing::FakeRail,
};
use http::HeaderMap;

use crate::stage::{Stage, let_others_go_first};

/// A process of the shop: one of two, over the same store and with the same keys.
#[derive(Clone, Debug)]
pub struct Node {
    pub number: usize,
    pub merchant: Merchant,
    /// The customers whose browsers talk to this one.
    pub customers: Vec<Recognised>,
}

/// A form that lies open in a browser.
#[derive(Clone, Debug)]
pub struct OpenForm {
    /// Whose it is: a customer by number, or a guest.
    whose: Option<usize>,
    /// The process that a customer's browser talks to.
    node: usize,
    token: String,
    variant: usize,
    /// The order that it made, as the browser was told.
    made: Option<OrderId>,
}

/// A transfer that the bank has told.
#[derive(Clone, Debug)]
struct Told {
    id: String,
    amount: Money,
    text: String,
}

/// What people remember from one thing to the next; it is theirs, and no crash of the shop touches it.
#[derive(Debug, Default)]
pub struct Memories {
    forms: Vec<OpenForm>,
    transfers: Vec<Told>,
    names: Vec<String>,
    notices: Vec<(HeaderMap, Vec<u8>)>,
}

pub type People = std::sync::Arc<std::sync::Mutex<Memories>>;

/// The things that are done, and how often of a hundred.
pub const DEEDS: [(&str, usize); 16] = [
    ("place", 9),
    ("pay", 21),
    ("cancel", 3),
    ("decide", 6),
    ("notice", 6),
    ("lie", 4),
    ("book", 9),
    ("assign", 3),
    ("refund", 9),
    ("give back", 14),
    ("by hand", 6),
    ("account", 2),
    ("find out", 3),
    ("due", 6),
    ("sweep", 1),
    ("feed", 6),
];

#[derive(Clone)]
pub struct Doing {
    pub stage: Stage,
    pub people: People,
    pub node: Node,
}

fn eur(minor: i64) -> Money {
    Money::new(minor, Currency::EUR).unwrap()
}

fn draft(variant: usize) -> Draft {
    let many = |count| Quantity::new(count).unwrap();
    match variant {
        0 => Draft::new(Currency::EUR).line("sencha", "Sencha", eur(1000), many(1)),
        1 => Draft::new(Currency::EUR).line("assam", "Assam", eur(740), many(2)).line("cup", "Cup", eur(1), many(1)),
        _ => Draft::new(Currency::CHF).line("gyokuro", "Gyokuro", Money::new(500, Currency::CHF).unwrap(), many(1)),
    }
}

impl Doing {
    pub async fn go(self, deed: &'static str) {
        let done = match deed {
            "place" => self.place().await,
            "pay" => self.pay().await,
            "cancel" => self.cancel().await,
            "decide" => self.decide(),
            "notice" => self.notice().await,
            "lie" => self.lie().await,
            "book" => self.book().await,
            "assign" => self.assign().await,
            "refund" => self.refund().await,
            "give back" => self.give_back().await,
            "by hand" => self.by_hand().await,
            "account" => self.account().await,
            "find out" => self.find_out().await,
            "due" => self.node.merchant.bring_orders_up_to_date().await.map(drop),
            "sweep" => self.sweep().await,
            _ => self.feed().await,
        };
        if let Err(error) = done {
            self.stage.note(|| format!("refused: {error}"));
            self.stage.count(&format!("refused: {deed}: {}", error.code()));
            if matches!(error, Error::Misuse(_)) {
                self.stage.world().oracle.broken(format!("{deed}: {error}"));
            }
        }
    }

    fn chance(&self, permille: usize) -> bool {
        self.stage.world().numbers.chance(permille)
    }

    fn below(&self, end: usize) -> usize {
        self.stage.world().numbers.below(end)
    }

    fn people(&self) -> std::sync::MutexGuard<'_, Memories> {
        self.people.lock().unwrap()
    }

    fn some_order(&self) -> Option<OrderId> {
        let mut world = self.stage.world();
        let placed = world.oracle.placed.clone();
        // Most of what people do is about what they did last.
        let last = placed.last().cloned();
        last.filter(|_| world.numbers.chance(500)).or_else(|| world.numbers.of(&placed))
    }

    /// An order, and more often than not one that stands so.
    async fn order(&self, fits: impl Fn(OrderState) -> bool) -> Result<Option<Order>, Error> {
        let fitting = {
            let mut world = self.stage.world();
            let all = world.oracle.orders.iter();
            let fitting: Vec<OrderId> =
                all.filter(|(_, (order, _))| fits(order.state)).map(|(id, _)| id.clone()).collect();
            world.numbers.of(&fitting).filter(|_| world.numbers.chance(700))
        };
        match fitting.or_else(|| self.some_order()) {
            Some(id) => self.node.merchant.order(&id).await,
            None => Ok(None),
        }
    }

    async fn place(&self) -> Result<(), Error> {
        let mut open = self.people().forms.len();
        if open == 0 || self.chance(500) {
            let variant = [0, 0, 0, 1, 1, 2][self.below(6)];
            let whose = Some(self.below(3)).filter(|whose| *whose < self.node.customers.len());
            let token = match whose {
                Some(whose) => self.node.customers[whose].form(),
                None => self.node.merchant.guest_form(),
            };
            self.people().forms.push(OpenForm { whose, node: self.node.number, token, variant, made: None });
            open += 1;
        }
        let number = if self.chance(700) { open - 1 } else { self.below(open) };
        let form = self.people().forms[number].clone();
        if form.whose.is_some() && form.node != self.node.number {
            return Ok(());
        }
        let variant = if self.chance(150) { self.below(3) } else { form.variant };
        // A customer's form belongs to a customer of their node; somebody else may try it, too.
        let whose = if self.chance(50) { Some(self.below(3)).filter(|whose| *whose < 2) } else { form.whose };
        self.stage.note(|| format!("form {number} is sent by {whose:?} with {variant}"));
        let draft = draft(variant);
        let lines = draft.lines().to_vec();
        let order = match whose {
            Some(whose) => self.node.customers[whose].place(draft, &form.token).await?.commit().await?,
            None => {
                let placed = self.node.merchant.place_as_guest(draft, &form.token).await?.commit().await?;
                let found = self.node.merchant.guest_order(&placed.link).await;
                if !matches!(&found, Ok(found) if found.id() == placed.order.id())
                    && !matches!(found, Err(Error::Unavailable { .. }))
                {
                    self.stage.world().oracle.broken(format!("a guest's link leads to {found:?}"));
                }
                placed.order
            }
        };
        let before = self.people().forms[number].made.replace(order.id().clone());
        let mut world = self.stage.world();
        if before.as_ref().is_some_and(|before| before != order.id()) {
            world.oracle.broken(format!("form {number} made {before:?}, and then {}", order.id()));
        }
        if whose != form.whose {
            world.oracle.broken(format!("a form of {:?} was sent by {whose:?}", form.whose));
        }
        if order.lines() != lines || !world.oracle.orders.contains_key(order.id()) {
            world.oracle.broken(format!("form {number} made something else"));
        }
        world.count(if before.is_some() { "form: sent again" } else { "form: sent" });
        Ok(())
    }

    async fn pay(&self) -> Result<(), Error> {
        let rail = if self.chance(700) { FakeRail::ID } else { "sepa" };
        let Some(order) = self.order(OrderState::is_open).await? else { return Ok(()) };
        self.stage.note(|| format!("{} is paid by {rail}", order.id()));
        order.pay(rail).await.map(drop)
    }

    async fn cancel(&self) -> Result<(), Error> {
        let Some(order) = self.order(OrderState::is_open).await? else { return Ok(()) };
        order.cancel().await?.commit().await.map(drop)
    }

    /// The rail decides about something that it had left open.
    #[expect(clippy::unnecessary_wraps, reason = "as all deeds")]
    fn decide(&self) -> Result<(), Error> {
        let mut world = self.stage.world();
        let some = world.asked.clone();
        let Some(asked) = world.numbers.of(&some) else { return Ok(()) };
        let paid = world.numbers.chance(600);
        world.decide(&asked.order, asked.attempt, paid);
        Ok(())
    }

    /// The rail says something by itself: the truth, once or twice, or what was true some time ago.
    async fn notice(&self) -> Result<(), Error> {
        let notice = {
            let mut world = self.stage.world();
            let some = world.asked.clone();
            let old = self.people().notices.clone();
            if world.numbers.chance(300) {
                world.count("notice: again");
                world.numbers.of(&old)
            } else {
                let asked = world.numbers.of(&some);
                asked.and_then(|a| world.rail.notice_of(&a.order, a.attempt, world.now))
            }
        };
        let Some(notice) = notice else { return Ok(()) };
        self.people().notices.push(notice.clone());
        self.tell(&notice).await
    }

    async fn tell(&self, (headers, body): &(HeaderMap, Vec<u8>)) -> Result<(), Error> {
        let request = NoticeRequest { headers, body, now: self.node.merchant.now() };
        self.node.merchant.notice(FakeRail::ID, &request).await.map(drop)
    }

    /// Somebody who has the rail's key says what is not true.
    async fn lie(&self) -> Result<(), Error> {
        let notice = {
            let mut world = self.stage.world();
            let (some, placed) = (world.asked.clone(), world.oracle.placed.clone());
            let Some(payment) = world.numbers.of(&some) else { return Ok(()) };
            let (mut order, mut attempt, mut amount) = (payment.order, payment.attempt, payment.amount);
            let outcome = match world.numbers.below(6) {
                0 | 1 => Outcome::Paid,
                2 => Outcome::Declined("a_lie".into()),
                3 => Outcome::Unknown,
                4 => Outcome::Pending,
                _ => Outcome::Authorised,
            };
            match world.numbers.below(4) {
                0 => amount = Money::new(amount.minor() + 1, amount.currency()).unwrap(),
                1 => amount = Money::new(amount.minor(), Currency::JPY).unwrap(),
                2 => order = world.numbers.of(&placed).unwrap(),
                _ => attempt = world.numbers.below(3) as u32,
            }
            if outcome == Outcome::Paid {
                world.lied_paid.insert((order.clone(), attempt));
            }
            let notice = Notice { order, attempt, amount, outcome };
            world.note(|| format!("a lie: {notice:?}"));
            world.rail.signed(&notice, world.now)
        };
        self.tell(&notice).await
    }

    async fn book(&self) -> Result<(), Error> {
        if self.some_order().is_none() && self.chance(900) {
            return Ok(());
        }
        let told = self.told();
        let name = URL_SAFE_NO_PAD.encode(digest(&SHA256, format!("firsthand transfer {}", told.id).as_bytes()));
        self.stage.note(|| format!("booking {told:?}"));
        let payer = BankAccount::new("Maria Muster", "DE89370400440532013000".parse().unwrap()).unwrap();
        let payer = Some(payer).filter(|_| told.id.len().is_multiple_of(2));
        let transfer = Transfer { id: told.id.parse().unwrap(), amount: told.amount, text: told.text, payer };
        let booked = self.node.merchant.book_transfer(transfer).await?.commit().await?;
        if let Booking::Unmatched(unmatched) = &booked {
            if unmatched.name != name {
                self.stage.world().oracle.broken("a transfer has another name".to_owned());
            }
            self.people().names.push(name);
            self.stage.count("transfer: unmatched");
        } else {
            self.stage.count("transfer: for an order");
        }
        Ok(())
    }

    /// What the statement says next; and for which order that may count.
    fn told(&self) -> Told {
        let mut people = self.people();
        let mut world = self.stage.world();
        let world = &mut *world;
        if let Some(again) = world.numbers.of(&people.transfers).filter(|_| world.numbers.chance(250)) {
            if world.numbers.chance(250) {
                // The name of one transfer on another: refused, whatever it says.
                world.count("transfer: another one of that name");
                let amount = Money::new(again.amount.minor() + 1, again.amount.currency()).unwrap();
                return Told { amount, ..again };
            }
            world.count("transfer: again");
            return again;
        }
        let placed = world.oracle.placed.clone();
        let order =
            world.numbers.of(&placed).and_then(|id| world.oracle.orders.get(&id)).map(|(order, _)| order.clone());
        let mut id = format!("2026-{}", people.transfers.len());
        if world.numbers.chance(500) {
            id.push('x');
        }
        let (mut amount, mut text) = (eur(1 + world.numbers.below(2000) as i64), "thank you".to_owned());
        if let Some(order) = order {
            let total = order.total.minor();
            let open = order.outstanding().map_or(total, |open| open.minor()).max(1);
            let minor = match world.numbers.below(6) {
                0 | 1 => open,
                2 => total,
                3 => 1 + world.numbers.below(open as usize) as i64,
                4 => total + 1 + world.numbers.below(500) as i64,
                _ => (open / 2).max(1),
            };
            amount = Money::new(minor, order.total.currency()).unwrap();
            match world.numbers.below(10) {
                0 => world.count("transfer: without a reference"),
                1 => {
                    text = Reference::from_random(world.numbers.next().to_be_bytes()).to_string();
                    world.count("transfer: a foreign reference");
                }
                2 => {
                    amount = Money::new(minor, Currency::USD).unwrap();
                    text = order.reference.to_string();
                    world.count("transfer: another currency");
                }
                3 => text = format!("for tea {} / thanks", order.reference.printed().to_lowercase()),
                _ => text = order.reference.to_string(),
            }
            if text.to_lowercase().contains("rf") && amount.currency() == order.total.currency() {
                let name = URL_SAFE_NO_PAD.encode(digest(&SHA256, format!("firsthand transfer {id}").as_bytes()));
                if text.replace(' ', "").to_uppercase().contains(order.reference.as_str()) {
                    world.oracle.meant.entry(name).or_default().insert(order.id);
                }
            }
        }
        let told = Told { id, amount, text };
        people.transfers.push(told.clone());
        told
    }

    async fn assign(&self) -> Result<(), Error> {
        let waiting = self.node.merchant.unmatched_transfers(100).await?;
        let mut names: Vec<String> = waiting.into_iter().map(|transfer| transfer.name).collect();
        if names.is_empty() || self.chance(200) {
            names.clone_from(&self.people().names);
        }
        let name = self.stage.world().numbers.of(&names);
        let (Some(name), Some(order)) = (name, self.some_order()) else { return Ok(()) };
        if self.chance(300) {
            self.node.merchant.transfer_returned(&name).await?.commit().await?;
            self.stage.count("transfer: sent back");
        } else {
            self.stage.world().oracle.meant.entry(name.clone()).or_default().insert(order.clone());
            self.node.merchant.assign_transfer(&name, &order).await?.commit().await?;
            self.stage.count("transfer: assigned");
        }
        Ok(())
    }

    async fn refund(&self) -> Result<(), Error> {
        let Some(order) = self.order(|state| state == OrderState::Paid).await? else { return Ok(()) };
        let total = order.total().minor();
        let minor = [total, total / 3, total / 2, 1, total + 1, 0][self.below(6)];
        let key = ["a", "b", "c"][self.below(3)];
        let before = self.stage.world().oracle.giving_keys(order.id(), &format!("refund/{key}/"));
        let amount = Money::new(minor, order.total().currency()).unwrap();
        order.refund(amount, key).await?.commit().await?;
        let mut world = self.stage.world();
        world.count(if before.is_empty() { "refund: said" } else { "refund: said again" });
        let after: i64 = world.oracle.giving_keys(order.id(), &format!("refund/{key}/")).values().sum();
        if after != minor {
            world.oracle.broken(format!("a refund of {minor} is one of {after}"));
        }
        Ok(())
    }

    async fn give_back(&self) -> Result<(), Error> {
        if let Some(refund) = self.some_refund().await? {
            refund.send().await?;
        }
        Ok(())
    }

    async fn by_hand(&self) -> Result<(), Error> {
        if let Some(refund) = self.some_refund().await? {
            refund.sent_by_hand().await?.commit().await?;
        }
        Ok(())
    }

    /// The merchant was told where money goes back to.
    async fn account(&self) -> Result<(), Error> {
        let Some(refund) = self.some_refund().await? else { return Ok(()) };
        let account = BankAccount::new("Erika Muster", "DE89370400440532013000".parse().unwrap()).unwrap();
        refund.name_account(account).await?.commit().await.map(drop)
    }

    /// The merchant looks into the books of whoever runs the rail, and says what stands there.
    async fn find_out(&self) -> Result<(), Error> {
        let Some(order) = self.order(|state| state == OrderState::Unknown).await? else { return Ok(()) };
        let Some(attempt) = order.attempts().last().map(|attempt| attempt.number) else { return Ok(()) };
        let truth = self.stage.world().truth(order.id(), attempt);
        let was_paid = match truth {
            Some(Outcome::Paid) => true,
            Some(Outcome::Declined(_)) => false,
            _ => return Ok(()),
        };
        order.decide(attempt, was_paid).await?.commit().await?;
        self.stage.count("merchant: found out");
        Ok(())
    }

    async fn some_refund(&self) -> Result<Option<Refund>, Error> {
        let mut all = if self.chance(500) {
            self.node.merchant.open_refunds(100).await?
        } else {
            let Some(order) = self.order(|_| true).await? else { return Ok(None) };
            order.refunds().await?
        };
        if self.chance(700) {
            all.retain(|refund| refund.state() != RefundState::Done);
        }
        Ok(if all.is_empty() { None } else { Some(all.swap_remove(self.below(all.len()))) })
    }

    async fn sweep(&self) -> Result<(), Error> {
        let (memory, now) = {
            let world = self.stage.world();
            (world.memory.clone(), world.now)
        };
        firsthand::store::Store::sweep(&memory, now, 100).await.unwrap();
        Ok(())
    }

    async fn feed(&self) -> Result<(), Error> {
        let Some(delivery) = self.node.merchant.feed().next().await? else { return Ok(()) };
        let numbers: Vec<u32> = delivery.order_events().map(|event| event.number).collect();
        let again = {
            let mut world = self.stage.world();
            let order = delivery.order().expect("only orders are announced here");
            let foreign = delivery.order_events().any(|event| event.order != *order);
            if foreign || delivery.customer_events().next().is_some() {
                world.oracle.broken("a delivery of two orders");
            }
            world.oracle.fed(order, &numbers)
        };
        self.stage.note(|| format!("a worker gets {numbers:?} of {:?}", delivery.order()));
        self.stage.count(if again { "feed: again" } else { "feed: new" });
        let_others_go_first().await;
        match self.below(10) {
            0 | 1 => self.stage.count("feed: a worker ends before it is done"),
            2 => {
                delivery.later(5).await?;
                self.stage.count("feed: later");
            }
            _ => delivery.done().await?.commit().await?,
        }
        Ok(())
    }

    /// Everything that the rail has to say is said, and heard.
    pub async fn last_words(self) {
        let asked = self.stage.world().asked.clone();
        for asked in asked {
            let notice = {
                let mut world = self.stage.world();
                let paid = world.numbers.chance(500);
                world.decide(&asked.order, asked.attempt, paid);
                world.rail.notice_of(&asked.order, asked.attempt, world.now)
            };
            if let Some(notice) = notice
                && let Err(error) = self.tell(&notice).await
            {
                self.stage.world().oracle.broken(format!("a true notice is refused: {error}"));
            }
        }
    }

    /// What is due is done; a worker takes all that the feed has.
    pub async fn quietly(self) {
        if let Err(error) = self.node.merchant.bring_orders_up_to_date().await {
            self.stage.world().oracle.broken(format!("housekeeping in the quiet: {error}"));
        }
        loop {
            match self.node.merchant.feed().next().await {
                Ok(None) => return,
                Ok(Some(delivery)) => {
                    let numbers: Vec<u32> = delivery.order_events().map(|event| event.number).collect();
                    let order = delivery.order().expect("only orders are announced here");
                    self.stage.world().oracle.fed(order, &numbers);
                    let done = async { delivery.done().await?.commit().await };
                    if let Err(error) = done.await {
                        return self.stage.world().oracle.broken(format!("done in the quiet: {error}"));
                    }
                }
                Err(error) => return self.stage.world().oracle.broken(format!("the feed in the quiet: {error}")),
            }
        }
    }
}
