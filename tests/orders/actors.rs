//! What people, the rail and the shop's own workers do: one future for each thing, with what it needs drawn from the seed.

use aws_lc_rs::digest::{SHA256, digest};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use firsthand::{
    Error, Merchant,
    merchant::{Booking, Order, Recognised, Refund, Transfer},
    money::{Currency, Money, Quantity},
    order::{
        Adjustment, AdjustmentReason, BankAccount, Draft, OrderId, OrderRecord, OrderState, Parcel, Part, RefundState,
    },
    rail::{ActOutcome, Notice, NoticeRequest, Outcome, Reference, RefundOutcome, Said},
    testing::FakeRail,
};
use http::HeaderMap;

use crate::{
    buyers::Cart,
    run::Kind,
    stage::{Stage, let_others_go_first},
};

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
    /// The checkouts of all browsers.
    pub carts: Vec<Cart>,
}

pub type People = std::sync::Arc<std::sync::Mutex<Memories>>;

/// The things that are done, and how often of a hundred.
pub const DEEDS: [(&str, usize); 21] = [
    ("place", 9),
    ("pay", 21),
    ("capture", 24),
    ("close short", 3),
    ("desk", 2),
    ("take back", 1),
    ("cancel", 4),
    ("decide", 6),
    ("notice", 6),
    ("lie", 4),
    ("book", 9),
    ("assign", 3),
    ("refund", 11),
    ("after", 10),
    ("give back", 30),
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
            "capture" => self.capture().await,
            "close short" => self.close_short().await,
            "desk" => self.desk().await,
            "take back" => self.take_back().await,
            "cancel" => self.cancel().await,
            "decide" => self.decide(),
            "notice" => self.notice().await,
            "lie" => self.lie().await,
            "book" => self.book().await,
            "assign" => self.assign().await,
            "refund" => self.refund().await,
            "after" => self.after_the_sale().await,
            "give back" => self.give_back().await,
            "by hand" => self.by_hand().await,
            "account" => self.account().await,
            "find out" => self.find_out().await,
            "due" => self.node.merchant.bring_orders_up_to_date().await.map(drop),
            "sweep" => self.sweep().await,
            "begin" => self.begin().await,
            "change" => self.change().await,
            "complete" => self.complete().await,
            "give up" => self.give_up().await,
            "look" => self.look().await,
            "price" => self.price(),
            "tend" => self.node.merchant.bring_checkouts_up_to_date().await.map(drop),
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

    pub fn chance(&self, permille: usize) -> bool {
        self.stage.world().numbers.chance(permille)
    }

    pub fn below(&self, end: usize) -> usize {
        self.stage.world().numbers.below(end)
    }

    pub fn people(&self) -> std::sync::MutexGuard<'_, Memories> {
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
        self.order_that(|order| fits(order.state)).await
    }

    async fn order_that(&self, fits: impl Fn(&OrderRecord) -> bool) -> Result<Option<Order>, Error> {
        let fitting = {
            let mut world = self.stage.world();
            let all = world.oracle.orders.iter();
            let fitting: Vec<OrderId> = all.filter(|(_, (order, _))| fits(order)).map(|(id, _)| id.clone()).collect();
            world.numbers.of(&fitting).filter(|_| world.numbers.chance(700))
        };
        match fitting.or_else(|| self.some_order()) {
            Some(id) => self.node.merchant.order(&id).await,
            None => Ok(None),
        }
    }

    /// An order that is authorised; now and then another one, when there is none.
    async fn authorised(&self) -> Result<Option<Order>, Error> {
        let authorised = |state| state == OrderState::Authorised;
        let one = {
            let mut world = self.stage.world();
            let all = world.oracle.orders.iter().filter(|(_, (order, _))| authorised(order.state));
            let all: Vec<OrderId> = all.map(|(id, _)| id.clone()).collect();
            world.numbers.of(&all)
        };
        match one {
            Some(id) if self.chance(950) => self.node.merchant.order(&id).await,
            _ if self.chance(30) => self.order(authorised).await,
            _ => Ok(None),
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
        let order = order.cancel().await?.commit().await?;
        if self.chance(500) {
            order.release().await?;
        }
        Ok(())
    }

    /// A parcel is sent, and its price captured.
    async fn capture(&self) -> Result<(), Error> {
        let Some(order) = self.authorised().await? else { return Ok(()) };
        let total = order.total().minor();
        let open = order.outstanding().minor();
        let minor = [open, open, open / 2, open / 3, 1, total + 1, 0][self.below(7)];
        let key = ["p1", "p2", "p3", "p4"][self.below(4)];
        let amount = Money::new(minor, order.total().currency()).unwrap();
        self.stage.note(|| format!("{amount} of {} are captured as {key}", order.id()));
        order.capture(amount, key).await.map(drop)
    }

    /// Nothing more is delivered.
    async fn close_short(&self) -> Result<(), Error> {
        let Some(order) = self.authorised().await? else { return Ok(()) };
        let order = order.close_short().await?.commit().await?;
        if self.chance(500) {
            order.release().await?;
        }
        Ok(())
    }

    /// Somebody presses a button at the provider's own desk: a capture, or the end.
    async fn desk(&self) -> Result<(), Error> {
        let notice = {
            let mut world = self.stage.world();
            let some: Vec<_> =
                world.asked.iter().filter(|a| world.rail.held_minor(&a.order, a.attempt) > 0).cloned().collect();
            let Some(asked) = world.numbers.of(&some) else { return Ok(()) };
            if world.numbers.chance(400) {
                world.end_authorisation(&asked.order, asked.attempt);
                world.rail.notice_of(&asked.order, asked.attempt, world.now)
            } else {
                let key = world.capture_at_the_desk(&asked.order, asked.attempt, asked.amount.currency());
                key.and_then(|key| world.rail.notice_of_capture(&asked.order, asked.attempt, &key, world.now))
            }
        };
        let Some(notice) = notice else { return Ok(()) };
        self.people().notices.push(notice.clone());
        if self.chance(500) { self.tell(&notice).await } else { Ok(()) }
    }

    /// A customer disputes a payment, and the provider takes money back.
    async fn take_back(&self) -> Result<(), Error> {
        let notice = {
            let mut world = self.stage.world();
            let some = world.asked.clone();
            let Some(asked) = world.numbers.of(&some) else { return Ok(()) };
            let minor = 1 + world.numbers.below(usize::try_from(asked.amount.minor()).unwrap());
            let amount = Money::new(i64::try_from(minor).unwrap(), asked.amount.currency()).unwrap();
            let said = Said::TakenBack { id: format!("dispute-{}", world.numbers.below(4)) };
            let notice = Notice { order: asked.order, attempt: asked.attempt, amount, said };
            world.rail.signed(&notice, world.now)
        };
        self.people().notices.push(notice.clone());
        self.tell(&notice).await
    }

    /// The rail decides about something that it had left open.
    #[expect(clippy::unnecessary_wraps, reason = "as all deeds")]
    fn decide(&self) -> Result<(), Error> {
        let mut world = self.stage.world();
        let some = world.asked.clone();
        let Some(asked) = world.numbers.of(&some) else { return Ok(()) };
        let paid = world.numbers.chance(600);
        if matches!(world.truth(&asked.order, asked.attempt), Some(Outcome::Authorised { .. })) {
            // Now and then a rail collects by itself what it had authorised.
            if world.numbers.chance(800) {
                return Ok(());
            }
            world.count("rail: an authorisation collected or ended by itself");
        }
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
            } else if world.numbers.chance(300) {
                let all: Vec<_> = world.oracle.told_to_capture.union(&world.at_the_desk).cloned().collect();
                let capture = world.numbers.of(&all);
                capture.and_then(|(order, attempt, key)| world.rail.notice_of_capture(&order, attempt, &key, world.now))
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
            let key = ["p1", "p2", "lie-1", "lie-2"][world.numbers.below(4)].to_owned();
            let said: Said = match world.numbers.below(10) {
                0 | 1 => Outcome::Paid.into(),
                2 => Outcome::Declined("a_lie".into()).into(),
                3 => Outcome::Unknown.into(),
                4 => Outcome::Pending.into(),
                5 => Outcome::Authorised { until: None }.into(),
                6 | 7 => Said::Capture { key, outcome: ActOutcome::Done },
                8 => Said::Capture { key, outcome: ActOutcome::Declined("a_lie".into()) },
                // Of what it was never told.
                _ => Said::Refund { key: "refund/a/attempt-1".to_owned(), number: 9, outcome: RefundOutcome::Done },
            };
            if matches!(said, Said::Capture { .. }) && world.numbers.chance(500) {
                amount = Money::new(1 + world.numbers.below(1_500) as i64, amount.currency()).unwrap();
            }
            match world.numbers.below(4) {
                0 => amount = Money::new(amount.minor() + 1, amount.currency()).unwrap(),
                1 => amount = Money::new(amount.minor(), Currency::JPY).unwrap(),
                2 => order = world.numbers.of(&placed).unwrap(),
                _ => attempt = world.numbers.below(3) as u32,
            }
            world.lied.insert((order.clone(), attempt));
            let notice = Notice { order, attempt, amount, said };
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
        let amount = Money::new(minor, order.total().currency()).unwrap();
        // Now and then somebody presses twice.
        for _ in 0..=usize::from(self.below(4) == 0) {
            let before = self.stage.world().oracle.giving_keys(order.id(), &format!("refund/{key}/"));
            order.refund(amount, key).await?.commit().await?;
            let mut world = self.stage.world();
            world.count(if before.is_empty() { "refund: said" } else { "refund: said again" });
            let after: i64 = world.oracle.giving_keys(order.id(), &format!("refund/{key}/")).values().sum();
            if after != minor {
                world.oracle.broken(format!("a refund of {minor} is one of {after}"));
            }
        }
        Ok(())
    }

    /// Something is sent, arrives, is adjusted, withdrawn from or settled; said twice, and with keys that were used.
    async fn after_the_sale(&self) -> Result<(), Error> {
        let what = self.below(8);
        let fitting = |order: &OrderRecord| match what {
            0..=2 => matches!(order.state, OrderState::Paid | OrderState::Authorised),
            3 => order.after.parcels.iter().any(|parcel| parcel.delivered_at.is_none()),
            4 => order.state == OrderState::Paid,
            5 => !matches!(order.state, OrderState::Cancelled | OrderState::Expired),
            _ => order.awaits_settlement(),
        };
        let Some(order) = self.order_that(fitting).await? else { return Ok(()) };
        let item = order.lines()[self.below(order.lines().len())].item.clone();
        let parts = vec![Part::new(item, Quantity::new(1 + u32::from(self.chance(200))).unwrap())];
        let key = ["a", "b"][self.below(2)];
        let total = order.total().minor();
        let amount = Money::new([0, 1, total / 2, total + 1][self.below(4)], order.total().currency()).unwrap();
        let forgotten = self.chance(100);
        let step = match what {
            0..=2 if order.record().waits_stopped() && self.chance(500) => order.send_anyway().await?,
            0..=2 => order.sent(Parcel::new(key, parts)).await?,
            3 => {
                let parcel = order.parcels().first().map_or(key, |parcel| parcel.key.as_str());
                order.delivered(parcel).await?
            }
            4 => {
                use AdjustmentReason::{NotSupplied, PriceCorrection, Returned};
                let reason = [NotSupplied, PriceCorrection, Returned][self.below(3)];
                order.adjust(Adjustment { key: key.to_owned(), reason, lines: parts, amount }).await?
            }
            5 => order.withdraw(parts, key).await?,
            _ => {
                let stated = order.acknowledgements();
                let stated = stated.first().map_or(key, |received| received.key.as_str());
                order.settle_withdrawal(stated, amount).await?
            }
        };
        self.stage.count(if step.is_new() { "after: said" } else { "after: said again" });
        if forgotten {
            // Decided, and never committed: it has not happened.
            return Ok(());
        }
        step.commit().await.map(drop)
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
        let open = |state| matches!(state, OrderState::Unknown | OrderState::Authorised);
        let Some(order) = self.order(open).await? else { return Ok(()) };
        let Some(last) = order.attempts().last().cloned() else { return Ok(()) };
        let attempt = last.number;
        if let Some(capture) = last.captures.iter().find(|capture| capture.is_open()) {
            let truth = self.stage.world().rail.capture_of(order.id(), attempt, &capture.key);
            let was_captured = match truth {
                Some(ActOutcome::Done) => true,
                Some(ActOutcome::Declined(_)) => false,
                _ => return Ok(()),
            };
            order.decide_capture(attempt, &capture.key, was_captured).await?.commit().await?;
            self.stage.count("merchant: found out about a capture");
            return Ok(());
        }
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
        if self.chance(900) {
            all.retain(|refund| refund.state() != RefundState::Done);
        }
        Ok(if all.is_empty() { None } else { Some(all.swap_remove(self.below(all.len()))) })
    }

    async fn sweep(&self) -> Result<(), Error> {
        let (memory, now) = {
            let world = self.stage.world();
            (world.memory.clone(), world.now)
        };
        // As late as housekeeping does, for whoever is still deciding.
        firsthand::store::Store::sweep(&memory, now.minus_s(120), 100).await.unwrap();
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

    /// Everything that the rail has to say is said, and heard. What it holds is left to the shop to capture or give up.
    pub async fn last_words(self) {
        let asked = self.stage.world().asked.clone();
        for asked in asked {
            let notice = {
                let mut world = self.stage.world();
                let truth = world.truth(&asked.order, asked.attempt);
                // Some never come back from the rail's page to a checkout: that order ends by its time.
                let is_tried = world.oracle.orders.get(&asked.order).is_some_and(|(it, _)| !it.is_confirmed());
                let is_open = matches!(truth, Some(Outcome::Pending | Outcome::Continue(_)));
                let stays = is_tried && is_open && world.numbers.chance(400);
                if !stays && !matches!(truth, Some(Outcome::Authorised { .. })) {
                    let paid = world.numbers.chance(500);
                    world.decide(&asked.order, asked.attempt, paid);
                }
                world.rail.notice_of(&asked.order, asked.attempt, world.now)
            };
            if let Some(notice) = notice
                && let Err(error) = self.tell(&notice).await
            {
                self.stage.world().oracle.broken(format!("a true notice is refused: {error}"));
            }
        }
        let captures: Vec<_> = {
            let world = self.stage.world();
            world.oracle.told_to_capture.union(&world.at_the_desk).cloned().collect()
        };
        for (order, attempt, key) in captures {
            let notice = {
                let world = self.stage.world();
                world.rail.notice_of_capture(&order, attempt, &key, world.now)
            };
            // A capture that the shop had given up before it was told is known to nobody.
            if let Some(notice) = notice
                && let Err(error) = self.tell(&notice).await
                && !(self.stage.world().lied.contains(&(order, attempt)) && error.code() == "other_amount")
            {
                self.stage.world().oracle.broken(format!("a true notice of a capture is refused: {error}"));
            }
        }
    }

    /// Whatever is still authorised is delivered, or not: the shop captures the rest, closes short, or cancels.
    pub async fn settle(self) {
        let open: Vec<OrderId> = {
            let world = self.stage.world();
            let all = world.oracle.orders.iter();
            let is_sent = |order: &OrderRecord| order.state.is_open() && !order.after.parcels.is_empty();
            let open = all.filter(|(_, (order, _))| order.state == OrderState::Authorised || is_sent(order));
            open.map(|(id, _)| id.clone()).collect()
        };
        for id in open {
            let what = self.below(3);
            let settled = async {
                let order = self.node.merchant.order(&id).await?.expect("an order");
                let is_sent = !order.parcels().is_empty();
                match what {
                    // What was sent is not called off.
                    _ if order.state() != OrderState::Authorised || (what == 2 && is_sent) => {
                        order.close_short().await?.commit().await.map(drop)
                    }
                    0 => order.capture(order.outstanding(), "the-rest").await.map(drop),
                    1 => order.close_short().await?.commit().await.map(drop),
                    _ => order.cancel().await?.commit().await.map(drop),
                }
            };
            let settled: Result<(), Error> = settled.await;
            if let Err(error) = settled
                && !matches!(
                    error.code(),
                    "payment_in_doubt"
                        | "payment_under_way"
                        | "nothing_captured"
                        | "capture_too_large"
                        | "attempt_full"
                        | "authorisation_ended"
                        | "capture_differs"
                        | "no_amount"
                )
            {
                self.stage.world().oracle.broken(format!("settling {id}: {error}"));
            }
        }
    }

    /// What is due is done; a worker takes all that the feed has.
    pub async fn quietly(self, kind: Kind) {
        if let Err(error) = self.node.merchant.bring_orders_up_to_date().await {
            self.stage.world().oracle.broken(format!("housekeeping in the quiet: {error}"));
        }
        if kind == Kind::Checkouts
            && let Err(error) = self.node.merchant.bring_checkouts_up_to_date().await
        {
            self.stage.world().oracle.broken(format!("housekeeping of checkouts in the quiet: {error}"));
        }
        self.stage.world().oracle.all_followed();
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
