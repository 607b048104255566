//! Those who keep a shop busy: guests who buy and sometimes call it off, and the merchant who books what they transferred.
//! Whoever gets no answer asks again with the same token.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use http::StatusCode;

use crate::web::{Answer, Fields, Form, Web};

/// Numbers that look random and are the same for the same seed.
#[derive(Clone, Debug)]
pub struct Dice(u64);

impl Dice {
    pub const fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// A number below `sides` (SplitMix64).
    pub const fn throw(&mut self, sides: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)) % sides
    }

    pub const fn one_in(&mut self, sides: u64) -> bool {
        self.throw(sides) == 0
    }
}

/// What the shop has told everybody, and what it was told: all that the records have to agree with.
#[derive(Clone, Debug, Default)]
pub struct Known(Arc<Mutex<Told>>);

#[derive(Debug, Default)]
pub struct Told {
    /// Every token that was sent, with the link that it led to.
    pub tokens: BTreeMap<String, Option<String>>,
    /// The orders that were acknowledged, by their links.
    pub orders: BTreeMap<String, Acknowledged>,
    /// The transfers, by the bank's number.
    pub transfers: BTreeMap<String, Booked>,
    /// Tokens without an answer when the shop was killed, since the beginning.
    pub cut_off: BTreeSet<String>,
    /// Tokens whose senders left it at that.
    pub given_up: usize,
    /// Forms answered more than once, always alike.
    pub answered_again: usize,
    /// Times that the shop said that it cannot now.
    pub busy: usize,
}

/// An order that the shop has acknowledged.
#[derive(Clone, Debug)]
pub struct Acknowledged {
    /// What was sent.
    pub wanted: Wanted,
    /// What its page calls it, once somebody has looked.
    pub reference: Option<String>,
    /// Whether its page has shown that it is called off.
    pub cancelled: bool,
    /// Whether its page was seen after a restart.
    pub seen_after_restart: bool,
}

/// What somebody wants to buy.
#[derive(Clone, Debug)]
pub struct Wanted {
    /// The product and how many.
    pub lines: Vec<(&'static str, i64)>,
    /// What it costs, in euro cents.
    pub total_minor: i64,
    /// A line of the address that no other order has.
    pub street: String,
}

/// A transfer that the merchant books.
#[derive(Clone, Debug)]
pub struct Booked {
    /// The reference in it; none if the payer forgot it.
    pub reference: Option<String>,
    pub amount_minor: i64,
    /// Whether the shop said that it is booked.
    pub acknowledged: bool,
}

impl Known {
    pub fn told(&self) -> MutexGuard<'_, Told> {
        // Whoever panicked has said why.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A guest after the other, all of them in one person.
#[derive(Debug)]
pub struct Guest {
    web: Web,
    known: Known,
    dice: Dice,
    name: usize,
    bought: usize,
    /// The form that was sent and not answered.
    sent: Option<(Fields, Wanted)>,
}

const CARTS: [&[(&str, i64)]; 4] =
    [&[("sencha", 1)], &[("sencha", 2), ("darjeeling", 1)], &[("darjeeling", 3)], &[("sencha", 1), ("genmaicha", 2)]];

impl Guest {
    pub const fn new(web: Web, known: Known, name: usize, seed: u64) -> Self {
        Self { web, known, dice: Dice::new(seed), name, bought: 0, sent: None }
    }

    /// Buys until the shop is killed.
    pub async fn buy(mut self) -> Self {
        while !self.web.is_closing() && self.buy_one().await.is_some() {}
        if self.sent.is_some() && self.dice.one_in(6) {
            // Not everybody comes back.
            self.sent = None;
            self.known.told().given_up += 1;
        }
        self
    }

    /// Asks about what was not answered until it is.
    pub async fn settle(mut self) -> Self {
        while self.sent.is_some() {
            self.order().await;
        }
        self
    }

    async fn buy_one(&mut self) -> Option<()> {
        let link = self.order().await?;
        let page = look(&self.web, &self.known, &link).await?;
        // An order whose payment is being asked about cannot be called off.
        if self.dice.one_in(6)
            && let Some(form) = page.form("/cancel")
        {
            let both = tokio::join!(
                self.web.post(&form.action, None, &form.hidden),
                // Pressed twice.
                async {
                    if self.dice.one_in(3) { self.web.post(&form.action, None, &form.hidden).await } else { None }
                }
            );
            for answer in [both.0, both.1].into_iter().flatten() {
                assert!(!answer.status.is_client_error() || answer.status == StatusCode::CONFLICT, "{answer:?}");
            }
            look(&self.web, &self.known, &link).await?;
        }
        Some(())
    }

    /// Sends a form, the one without an answer first, and tells the link of its order once it is acknowledged.
    async fn order(&mut self) -> Option<String> {
        let (fields, wanted) = match self.sent.clone() {
            Some(sent) => sent,
            None => self.fill_in().await?,
        };
        self.sent = Some((fields.clone(), wanted.clone()));
        let token = fields.iter().find(|(name, _)| name == "form").unwrap().1.clone();
        self.known.told().tokens.entry(token.clone()).or_default();
        let twice = self.dice.one_in(4);
        let send = || self.web.post("/checkout", None, &fields);
        let both = tokio::join!(send(), async { if twice { send().await } else { None } });
        let mut link = None;
        for answer in [both.0, both.1].into_iter().flatten() {
            link = self.acknowledged(&token, &wanted, &answer).or(link);
        }
        if link.is_none() && self.web.is_closing() {
            self.known.told().cut_off.insert(token);
            return None;
        }
        let link = link?;
        self.sent = None;
        self.bought += 1;
        if self.dice.one_in(4)
            && let Some(answer) = send().await
        {
            // Back, and pressed again.
            self.acknowledged(&token, &wanted, &answer);
        }
        Some(link)
    }

    /// Fills in a new form.
    async fn fill_in(&mut self) -> Option<(Fields, Wanted)> {
        let lines = CARTS[self.dice.throw(CARTS.len() as u64) as usize].to_vec();
        let cart = lines.iter().map(|(slug, count)| format!("{slug}x{count}")).collect::<Vec<_>>().join(".");
        let page = self.web.get(&format!("/checkout?cart={cart}"), None).await?;
        if page.is_busy() {
            self.known.told().busy += 1;
            return None;
        }
        let form = page.form("/checkout").unwrap_or_else(|| panic!("no form: {page:?}"));
        let total = &form.hidden.iter().find(|(name, _)| name == "total").unwrap().1;
        let total_minor = total.replace('.', "").parse().unwrap();
        let street = format!("Marktgasse {}-{}", self.name, self.bought);
        let typed = [
            ("name", "Erika Mustermann"),
            ("postal_code", "51147"),
            ("place", "Köln"),
            ("country", "DE"),
            ("street", &street),
            // After a kill people come back under the same names, and mean it.
            ("again", "1"),
        ];
        let typed = typed.map(|(name, value)| (name.to_owned(), value.to_owned()));
        let fields = form.hidden.into_iter().chain(typed).collect();
        Some((fields, Wanted { lines, total_minor, street }))
    }

    /// Writes down that an order is acknowledged, if it is, and tells its link.
    fn acknowledged(&self, token: &str, wanted: &Wanted, answer: &Answer) -> Option<String> {
        let mut told = self.known.told();
        if answer.is_busy() {
            told.busy += 1;
            return None;
        }
        assert_eq!(answer.status, StatusCode::SEE_OTHER, "{answer:?}");
        let link = answer.location.split(['?', '#']).next().and_then(|path| path.strip_prefix("/o/"));
        let link = link.unwrap_or_else(|| panic!("no guest's link: {}", answer.location)).to_owned();
        let entry = told.tokens.get_mut(token).unwrap();
        if let Some(before) = entry {
            assert_eq!(*before, link, "one form led to two orders");
            told.answered_again += 1;
            return Some(link);
        }
        *entry = Some(link.clone());
        let order =
            Acknowledged { wanted: wanted.clone(), reference: None, cancelled: false, seen_after_restart: false };
        assert!(told.orders.insert(link.clone(), order).is_none(), "two forms led to one order");
        Some(link)
    }
}

/// Looks at the page of an order that was acknowledged: it is there, and whole. `None` if the shop was killed.
pub async fn look(web: &Web, known: &Known, link: &str) -> Option<Answer> {
    let page = loop {
        let page = web.get(&format!("/o/{link}"), None).await?;
        if !page.is_busy() {
            break page;
        }
        known.told().busy += 1;
    };
    assert_eq!(page.status, StatusCode::OK, "an acknowledged order is gone: {page:?}");
    let reference = page.reference().unwrap_or_else(|| panic!("no reference: {page:?}"));
    let mut told = known.told();
    let order = told.orders.get_mut(link).unwrap();
    assert!(page.text.contains(&order.wanted.street), "the address cannot be read: {page:?}");
    let before = order.reference.get_or_insert_with(|| reference.clone());
    assert_eq!(*before, reference, "an order has another reference than before");
    let cancelled = page.text.contains("<h1>Cancelled.");
    assert!(cancelled || !order.cancelled, "an order that was called off is open again");
    order.cancelled = cancelled;
    Some(page)
}

/// The merchant, with the bank's statement and the desk.
#[derive(Debug)]
pub struct Desk {
    web: Web,
    known: Known,
    dice: Dice,
    authorization: String,
    count: usize,
    /// The bank's number of a transfer whose booking was not answered.
    sent: Option<String>,
    /// The page that lies open.
    open: Option<Form>,
}

impl Desk {
    pub const fn new(web: Web, known: Known, authorization: String, seed: u64) -> Self {
        Self { web, known, dice: Dice::new(seed), authorization, count: 0, sent: None, open: None }
    }

    /// Books transfers until the shop is killed.
    pub async fn book(mut self) -> Self {
        while !self.web.is_closing() {
            let Some(transfer) = self.sent.take().or_else(|| self.next()) else {
                tokio::task::yield_now().await;
                continue;
            };
            self.book_one(transfer).await;
        }
        self
    }

    /// Asks about what was not answered until it is.
    pub async fn settle(mut self) -> Self {
        while let Some(transfer) = self.sent.take() {
            self.book_one(transfer).await;
        }
        self
    }

    /// Takes the next transfer of the statement: all of the price, a part, too much, no order's, or one that was booked.
    fn next(&mut self) -> Option<String> {
        let mut told = self.known.told();
        if self.dice.one_in(5)
            && let Some(transfer) = pick(&mut self.dice, told.transfers.keys())
        {
            return Some(transfer.clone());
        }
        let (total_minor, reference) = {
            let order = pick(&mut self.dice, told.orders.values())?;
            (order.wanted.total_minor, order.reference.clone()?)
        };
        let amount_minor = match self.dice.throw(4) {
            0 => 1 + i64::try_from(self.dice.throw(1_000)).unwrap(),
            1 => total_minor + 250,
            _ => total_minor,
        };
        let reference = if self.dice.one_in(20) { None } else { Some(reference) };
        let transfer = format!("2026-{:06}", self.count);
        self.count += 1;
        told.transfers.insert(transfer.clone(), Booked { reference, amount_minor, acknowledged: false });
        Some(transfer)
    }

    async fn book_one(&mut self, transfer: String) {
        if self.try_to_book(&transfer).await.is_some() {
            self.known.told().transfers.get_mut(&transfer).unwrap().acknowledged = true;
        } else {
            self.sent = Some(transfer);
        }
    }

    async fn try_to_book(&mut self, transfer: &str) -> Option<()> {
        let authorization = Some(self.authorization.as_str());
        // One page is for many transfers, also after a restart.
        let form = match self.open.take().filter(|_| !self.dice.one_in(10)) {
            Some(form) => form,
            None => {
                let desk = self.web.get("/merchant", authorization).await?;
                if desk.is_busy() {
                    self.known.told().busy += 1;
                    return None;
                }
                desk.form("/merchant/transfers").unwrap_or_else(|| panic!("no form at the desk: {desk:?}"))
            }
        };
        let form = self.open.insert(form);
        let booked = self.known.told().transfers[transfer].clone();
        let (euros, cents) = (booked.amount_minor / 100, booked.amount_minor % 100);
        let typed = [
            ("transfer", transfer.to_owned()),
            ("amount", format!("{euros}.{cents:02}")),
            ("reference", booked.reference.clone().unwrap_or_else(|| "Tee".to_owned())),
            ("payer", "Erika Mustermann".to_owned()),
            ("payer_iban", "DE89370400440532013000".to_owned()),
        ];
        let typed = typed.map(|(name, value)| (name.to_owned(), value));
        let fields = form.hidden.iter().cloned().chain(typed).collect();
        let answer = if self.dice.one_in(5) {
            let send = || self.web.post(&form.action, authorization, &fields);
            let (one, other) = tokio::join!(send(), send());
            one.or(other)?
        } else {
            self.web.post(&form.action, authorization, &fields).await?
        };
        if answer.is_busy() {
            self.known.told().busy += 1;
            return None;
        }
        assert_eq!(answer.status, StatusCode::SEE_OTHER, "{answer:?}");
        let said = answer.location.split("said=").nth(1).unwrap_or_default();
        let said = said.split(['&', '#']).next().unwrap_or_default();
        let fine = ["paid", "partly_paid", "excess", "unmatched", "again"].contains(&said);
        assert!(fine, "{booked:?}: {}", answer.location);
        Some(())
    }
}

fn pick<T>(dice: &mut Dice, from: impl ExactSizeIterator<Item = T>) -> Option<T> {
    let mut from = from;
    let count = from.len() as u64;
    if count == 0 { None } else { from.nth(dice.throw(count) as usize) }
}
