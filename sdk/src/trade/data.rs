//! What the seams are told, and what they say: plain data, which a checkout is made of.

use serde::{Deserialize, Serialize};

use crate::{
    ask::Ask,
    checkout::Coupon,
    money::{Money, Quantity, Rate},
    names::is_plain,
    order::{Exemption, Line, OrderId},
    time::UnixTime,
};

/// The most different items of one order: a catalogue is asked for so many at once, and they are held together, in one
/// commit with the order's own records.
pub const ITEMS_MAX: usize = 50;
/// The longest name of an item or of a way to send it, and the longest word for a discount, in bytes.
pub(crate) const NAME_BYTES_MAX: usize = 64;
/// The longest text that a customer reads, in bytes.
pub(super) const TITLE_BYTES_MAX: usize = 256;
/// The most ways to send one consignment.
pub(crate) const WAYS_MAX: usize = 20;
/// The most that is let off of one cart, by name.
pub(crate) const CUTS_MAX: usize = 20;

/// Something that is sold, as the merchant's catalogue has it now.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Item {
    /// The merchant's name for it, at most 64 bytes.
    pub name: String,
    /// What it is called, as the customer reads it, at most 256 bytes.
    pub title: String,
    /// What one costs.
    pub unit: Money,
    /// What one weighs, in grams, if it is sent; none for what is not, such as a file or a ticket.
    pub weight_g: Option<u64>,
    /// The merchant's name for how it is taxed, such as `standard` or `books`.
    pub tax: String,
    /// The asks that have to be answered for it, by name: an age, say.
    pub needs: Vec<String>,
    /// The most that one order has of it.
    pub at_most: Option<Quantity>,
    /// Why a consumer cannot withdraw from buying it, if they cannot.
    pub exemption: Option<Exemption>,
    /// Whether the [`Inventory`](super::Inventory) counts it, if the shop has one.
    pub counted: bool,
}

impl Item {
    /// Something that is not sent and needs nothing.
    #[must_use]
    pub fn new(name: impl Into<String>, title: impl Into<String>, unit: Money) -> Self {
        let (name, title) = (name.into(), title.into());
        let (tax, needs) = ("standard".to_owned(), Vec::new());
        Self { name, title, unit, weight_g: None, tax, needs, at_most: None, exemption: None, counted: true }
    }

    /// It is sent, and weighs so much: the checkout asks where to.
    #[must_use]
    pub const fn sent(mut self, weight_g: u64) -> Self {
        self.weight_g = Some(weight_g);
        self
    }

    /// How it is taxed, by the merchant's name for that; `standard` unless said.
    #[must_use]
    pub fn taxed_as(mut self, class: impl Into<String>) -> Self {
        self.tax = class.into();
        self
    }

    /// What the customer has to prove to buy it.
    #[must_use]
    pub fn needs(mut self, ask: &Ask) -> Self {
        self.needs.push(ask.name().to_owned());
        self
    }

    /// A consumer cannot withdraw from buying it, for this reason (Directive 2011/83/EU, Article 16).
    #[must_use]
    pub const fn no_withdrawal(mut self, why: Exemption) -> Self {
        self.exemption = Some(why);
        self
    }

    /// There is always enough of it, as of a file: the shop's [`Inventory`](super::Inventory) is not asked how many are left,
    /// holds none, and hears of no sale of it.
    #[must_use]
    pub const fn uncounted(mut self) -> Self {
        self.counted = false;
        self
    }

    /// The most that one order has of it.
    #[must_use]
    pub const fn at_most(mut self, quantity: Quantity) -> Self {
        self.at_most = Some(quantity);
        self
    }
}

/// What is to be held for an order.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Hold {
    /// For whom: the name under which it is sold or let go later.
    pub order: OrderId,
    /// How many of what, each item once.
    pub items: Vec<(String, Quantity)>,
    /// Until when, unless it is held again, sold or let go before.
    pub until: UnixTime,
    /// Now.
    pub now: UnixTime,
}

impl Hold {
    /// So many of what is to be held for this order until then; it is `now`.
    #[must_use]
    pub const fn new(order: OrderId, items: Vec<(String, Quantity)>, until: UnixTime, now: UnixTime) -> Self {
        Self { order, items, until, now }
    }
}

/// What came of a hold or a sale.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Held {
    /// All of it is held, or sold.
    All,
    /// There is too little of these, and nothing was taken.
    Short(Vec<Shortage>),
    /// It came too late, and nothing was taken, however much is left: what it speaks of was let go, or, if it is a hold, was
    /// sold.
    Over,
}

/// How little there is of an item.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Shortage {
    /// The item.
    pub item: String,
    /// How many could be had.
    pub left: u32,
}

/// What is to be sent, and where to: as much of the address as a price depends on.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Consignment {
    /// The country, as two letters (ISO 3166-1).
    pub country: String,
    /// The postal code; may be empty.
    pub postal_code: String,
    /// What it weighs in all, in grams.
    pub weight_g: u64,
    /// What is in it, after what is let off.
    pub lines: Vec<Line>,
    /// What that costs together.
    pub goods: Money,
}

impl Consignment {
    /// So much of a weight goes to this country, and is worth so much; without a postal code, and without lines.
    #[must_use]
    pub fn new(country: impl Into<String>, weight_g: u64, goods: Money) -> Self {
        Self { country: country.into(), postal_code: String::new(), weight_g, lines: Vec::new(), goods }
    }
}

/// One way to send it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Way {
    /// The merchant's name for it, at most 64 bytes.
    pub method: String,
    /// What it is called, as the customer reads it, at most 256 bytes.
    pub title: String,
    /// What it costs; may be nothing.
    pub price: Money,
    /// How it is taxed, by the merchant's name for that; empty if as the goods are.
    pub tax: String,
    /// In how many days it arrives, from and to, if that can be said.
    pub days: Option<(u16, u16)>,
}

impl Way {
    /// A way to send it, for a price.
    #[must_use]
    pub fn new(method: impl Into<String>, title: impl Into<String>, price: Money) -> Self {
        Self { method: method.into(), title: title.into(), price, tax: "standard".to_owned(), days: None }
    }

    /// How it is taxed, by the merchant's name for that, as in [`Item::taxed_as`]; `standard` unless said. The shop's
    /// [`Tax`](super::Tax) says the rate of the name.
    ///
    /// Whether sending is taxed by itself or as what is sent is a question of law: in the European Union it mostly shares the
    /// rate of the goods, as a part of their sale: then say [`taxed_as_goods`](Self::taxed_as_goods).
    #[must_use]
    pub fn taxed_as(mut self, class: impl Into<String>) -> Self {
        self.tax = class.into();
        self
    }

    /// It is taxed as the goods are that it sends: by the class of most of them, by what they cost after what is let off; of
    /// equals, by that of the first. One way has one rate: it is not split between classes.
    ///
    /// ```
    /// use firsthand::{
    ///     money::{Currency, Money},
    ///     trade::{FlatRates, Way},
    /// };
    ///
    /// let parcel = Way::new("parcel", "Parcel", Money::parse("4.90", Currency::EUR)?).taxed_as_goods();
    /// assert!(parcel.is_taxed_as_goods());
    /// let rates = FlatRates::new().way(parcel, &["DE"], 20_000);
    /// # Ok::<(), firsthand::money::MoneyError>(())
    /// ```
    #[must_use]
    pub fn taxed_as_goods(mut self) -> Self {
        self.tax.clear();
        self
    }

    /// Whether it is taxed as the goods are.
    #[must_use]
    pub fn is_taxed_as_goods(&self) -> bool {
        self.tax.is_empty()
    }

    /// In how many days it arrives.
    #[must_use]
    pub const fn within_days(mut self, from: u16, to: u16) -> Self {
        self.days = Some((from, to));
        self
    }
}

/// What is to be taxed.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Taxable {
    /// Where it goes, as two letters; none for what is not sent to anybody.
    pub country: Option<String>,
    /// The postal code there; may be empty.
    pub postal_code: String,
    /// The number under which the buyer says they pay tax themselves, as typed: nobody has checked it.
    pub vat_id: Option<String>,
    /// The merchant's names for how the things are taxed, one for each line, and one for sending it at the end if it is sent.
    pub classes: Vec<String>,
}

impl Taxable {
    /// Things that are taxed like this, and go to this country if they are sent; without a postal code and a number.
    #[must_use]
    pub const fn new(country: Option<String>, classes: Vec<String>) -> Self {
        Self { country, postal_code: String::new(), vat_id: None, classes }
    }
}

/// The tax on one thing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Levy {
    /// None at all, and nothing is said of it.
    None,
    /// So much is in the price already.
    Included(Rate),
    /// So much comes on top of the price.
    OnTop(Rate),
    /// The buyer owes it (reverse charge): so much was in the price and is taken out of it; of a price without tax, nothing.
    ReverseCharge {
        /// What was in the price.
        included: Option<Rate>,
    },
}

/// What may be let off.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Discountable {
    /// What is bought, at its price.
    pub lines: Vec<Line>,
    /// What the customer entered (at most 10, each at most 64 bytes): a stranger's words.
    pub codes: Vec<String>,
    /// Now.
    pub now: UnixTime,
}

impl Discountable {
    /// These lines, and what the customer entered; it is `now`.
    #[must_use]
    pub const fn new(lines: Vec<Line>, codes: Vec<String>, now: UnixTime) -> Self {
        Self { lines, codes, now }
    }
}

/// Something let off.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Cut {
    /// What the customer entered for it, as it stands in [`Discountable::codes`], if anything.
    pub code: Option<String>,
    /// What it is called, as the customer reads it, at most 256 bytes.
    pub title: String,
    /// How much of it falls on which line, as many as there are lines. What is more than a line costs by then is cut.
    pub off: Vec<Money>,
    /// The ask that has to be answered for it, by name: until then it is provisional, if the customer says they can, and
    /// otherwise only offered.
    pub needs: Option<String>,
    /// What it uses up, if it is given a limited number of times.
    pub coupon: Option<Coupon>,
}

impl Cut {
    /// So much is let off the lines, for everybody.
    #[must_use]
    pub fn new(title: impl Into<String>, off: Vec<Money>) -> Self {
        Self { code: None, title: title.into(), off, needs: None, coupon: None }
    }

    /// For a word that the customer entered.
    #[must_use]
    pub fn by_code(mut self, code: impl Into<String>) -> Self {
        self.code = Some(code.into());
        self
    }

    /// For whoever proves this.
    #[must_use]
    pub fn for_proof(mut self, ask: impl Into<String>) -> Self {
        self.needs = Some(ask.into());
        self
    }

    /// It is given once, as this coupon says.
    #[must_use]
    pub fn using(mut self, coupon: Coupon) -> Self {
        self.coupon = Some(coupon);
        self
    }
}

/// How often something is let off.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Uses {
    /// As often as anybody likes.
    Always,
    /// Once, whoever comes first: a word that was sent to one person.
    Once,
    /// Once for each customer's record; not for guests, whom nobody tells apart. Whoever begins anew, with a new key, is
    /// another customer: where that is worth something, let it depend on a proof.
    OncePerCustomer,
}

/// Whether a text can name an item or a way to send it: 1 to 64 bytes, not only spaces, no control characters.
pub(crate) fn is_name(text: &str) -> bool {
    is_plain(text, NAME_BYTES_MAX)
}

/// Whether a text can be shown as a title: 1 to 256 bytes, not only spaces, no control characters.
pub(crate) fn is_title(text: &str) -> bool {
    is_plain(text, TITLE_BYTES_MAX)
}
