//! What a merchant tells a checkout: what is sold, what is left of it, what it costs to send, the tax, and what is let off.
//!
//! Five seams, each with a default for a shop that has nothing of the kind yet. Only the [`Catalog`] is needed: whoever
//! says no more sells without counting, sends nothing and adds no tax. Each is told what it needs and nothing of who the
//! customer is. Implementations run `firsthand::testing::trade`.
//!
//! | seam | what differs | here |
//! |---|---|---|
//! | [`Catalog`] | what is sold, for how much | [`Items`], a list in the program |
//! | [`Inventory`] | what is left, and held for whom | [`Shelf`], counted in the store |
//! | [`Shipping`] | how it is sent, for how much | [`FlatRates`], by country and weight |
//! | [`Tax`] | which rate, within the price or on top | [`Vat`], by country and class |
//! | [`Discount`] | what is let off | [`Codes`], for a word or a proof |

mod any;
mod codes;
mod error;
mod flat_rates;
mod items;
mod opening;
mod shelf;
mod vat;

use std::future::Future;

use serde::{Deserialize, Serialize};

pub(crate) use self::any::{AnyCatalog, AnyDiscount, AnyInventory, AnyShipping, AnyTax};
pub use self::{
    codes::{Codes, Off},
    error::TradeError,
    flat_rates::FlatRates,
    items::{Items, ItemsError},
    opening::{Opening, OpeningError},
    shelf::{Count, DELIVERY_S, HOLD_ITEMS_MAX, HeldFor, REMEMBERED_S, Shelf, ShelfError},
    vat::{Vat, VatError},
};
use crate::{
    ask::Ask,
    money::{Currency, Money, Quantity, Rate},
    order::{Exemption, Line, OrderId, WITHDRAWAL_DAYS},
    time::UnixTime,
};

/// How long stock is held for a checkout that is being paid, in seconds, unless the merchant says otherwise.
pub const HOLD_S: u64 = 15 * 60;

/// The shortest time for which stock is held, in seconds: longer than housekeeping takes to come by.
const HOLD_LEAST_S: u64 = 5 * 60;

/// The longest name of an item or of a way to send it, and the longest word for a discount, in bytes.
pub(crate) const NAME_BYTES_MAX: usize = 64;
/// The longest text that a customer reads, in bytes.
const TITLE_BYTES_MAX: usize = 256;
/// The most ways to send one consignment.
pub(crate) const WAYS_MAX: usize = 20;
/// The most that is let off of one cart, by name.
pub(crate) const CUTS_MAX: usize = 20;

/// Whether a text can name an item or a way to send it: 1 to 64 bytes, not only spaces, no control characters.
pub(crate) fn is_name(text: &str) -> bool {
    is_plain(text, NAME_BYTES_MAX)
}

/// Whether a text can be shown as a title: 1 to 256 bytes, not only spaces, no control characters.
pub(crate) fn is_title(text: &str) -> bool {
    is_plain(text, TITLE_BYTES_MAX)
}

fn is_plain(text: &str, bytes_max: usize) -> bool {
    !text.trim().is_empty() && text.len() <= bytes_max && !text.chars().any(char::is_control)
}

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
}

impl Item {
    /// Something that is not sent and needs nothing.
    #[must_use]
    pub fn new(name: impl Into<String>, title: impl Into<String>, unit: Money) -> Self {
        let (name, title) = (name.into(), title.into());
        let (tax, needs) = ("standard".to_owned(), Vec::new());
        Self { name, title, unit, weight_g: None, tax, needs, at_most: None, exemption: None }
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

    /// The most that one order has of it.
    #[must_use]
    pub const fn at_most(mut self, quantity: Quantity) -> Self {
        self.at_most = Some(quantity);
        self
    }
}

/// What is sold.
pub trait Catalog: std::fmt::Debug + Send + Sync + 'static {
    /// What is sold under these names (at most 50, each once), in their order: `None` for what is not sold, or not any more.
    /// A name comes from a stranger.
    ///
    /// # Errors
    /// [`TradeError`] if nobody can tell now.
    fn items(&self, names: &[String]) -> impl Future<Output = Result<Vec<Option<Item>>, TradeError>> + Send;

    /// What is wrong with it for this shop, as far as that can be told before the first customer comes. Asked once, when the
    /// merchant is built. One that looks things up elsewhere has nothing to say.
    ///
    /// # Errors
    /// [`OpeningError`], of which the merchant is told.
    fn check(&self, _opening: &mut Opening) -> Result<(), OpeningError> {
        Ok(())
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

/// Whether there was enough.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Held {
    /// All of it is held.
    All,
    /// There is too little of these, and nothing is held.
    Short(Vec<Shortage>),
}

/// How little there is of an item.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Shortage {
    /// The item.
    pub item: String,
    /// How many could be had.
    pub left: u32,
}

/// What is left, and held for whom. Every act names its order and is said again after a crash: said twice, it happens once.
///
/// It may count in the merchant's own tables. Where what is sold must be one commit with the merchant's own rows, take it
/// from the [`Feed`](crate::merchant::Feed) within the merchant's transaction, and leave [`sell`](Self::sell) without effect.
pub trait Inventory: std::fmt::Debug + Send + Sync + 'static {
    /// Holds all of it or nothing. For an order that holds the very same already, it is held on until the later time. What
    /// was sold, or let go by [`free`](Self::free), is not held anew: that is all too late, and answered by
    /// [`Held::Short`] with none left of each. What was held until before now may be gone: it is held anew if there is
    /// enough.
    ///
    /// # Errors
    /// [`TradeError`] if nobody can tell: it is let go later, in case it was held. Also if something else is held for the
    /// order.
    fn hold(&self, hold: &Hold) -> impl Future<Output = Result<Held, TradeError>> + Send;

    /// What is held for the order is sold. If it is held no more, it is taken from what is left, whole; [`Held::Short`] if
    /// there is too little, and then nothing was taken. `hold` says what it was. What was let go by [`free`](Self::free) is
    /// not sold any more: [`Held::Short`] with none left of each.
    ///
    /// # Errors
    /// [`TradeError`] if nobody can tell: it is said again.
    fn sell(&self, hold: &Hold) -> impl Future<Output = Result<Held, TradeError>> + Send;

    /// Lets go what is held for the order, and puts back what was sold to it. From then on nothing is held for it again: a
    /// `hold` that comes late holds nothing. An order that nothing was held for is none the worse.
    ///
    /// # Errors
    /// [`TradeError`] if nobody can tell: it is said again.
    fn free(&self, order: &OrderId, now: UnixTime) -> impl Future<Output = Result<(), TradeError>> + Send;

    /// How many can be had of each of these now, in their order; `None` for what is not counted. Told to the customer
    /// before they pay, and decided by [`hold`](Self::hold) alone.
    ///
    /// # Errors
    /// [`TradeError`] if nobody can tell.
    fn left(
        &self,
        items: &[String],
        now: UnixTime,
    ) -> impl Future<Output = Result<Vec<Option<u32>>, TradeError>> + Send;

    /// Lets go what was held until before now. Called every now and then; needs to do nothing where that is seen to otherwise.
    ///
    /// # Errors
    /// [`TradeError`] if nobody can tell.
    fn tidy(&self, _now: UnixTime) -> impl Future<Output = Result<(), TradeError>> + Send {
        async { Ok(()) }
    }
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
    /// How it is taxed, by the merchant's name for that.
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

    /// How it is taxed; `standard` unless said.
    #[must_use]
    pub fn taxed_as(mut self, class: impl Into<String>) -> Self {
        self.tax = class.into();
        self
    }

    /// In how many days it arrives.
    #[must_use]
    pub const fn within_days(mut self, from: u16, to: u16) -> Self {
        self.days = Some((from, to));
        self
    }
}

/// How things are sent.
pub trait Shipping: std::fmt::Debug + Send + Sync + 'static {
    /// The ways to send this (at most 20), the one to offer first at the beginning; none if it is not sent there.
    ///
    /// # Errors
    /// [`TradeError`] if nobody can tell now.
    fn ways(&self, consignment: &Consignment) -> impl Future<Output = Result<Vec<Way>, TradeError>> + Send;

    /// What is wrong with it for this shop, as far as that can be told before the first customer comes. Asked once, when the
    /// merchant is built. Whoever asks a carrier has nothing to say.
    ///
    /// # Errors
    /// [`OpeningError`], of which the merchant is told.
    fn check(&self, _opening: &mut Opening) -> Result<(), OpeningError> {
        Ok(())
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

/// Which tax there is.
pub trait Tax: std::fmt::Debug + Send + Sync + 'static {
    /// The tax on each of the classes, in their order.
    ///
    /// # Errors
    /// [`TradeError`] if nobody can tell now.
    fn levies(&self, taxable: &Taxable) -> impl Future<Output = Result<Vec<Levy>, TradeError>> + Send;

    /// What is wrong with it for this shop, as far as that can be told before the first customer comes. Asked once, when the
    /// merchant is built. Whoever asks elsewhere has nothing to say.
    ///
    /// # Errors
    /// [`OpeningError`], of which the merchant is told.
    fn check(&self, _opening: &mut Opening) -> Result<(), OpeningError> {
        Ok(())
    }
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
    /// How often it is given.
    pub uses: Uses,
    /// The merchant's name for it, which says what was given before: not what the customer typed, nor what they read.
    pub name: String,
}

impl Cut {
    /// So much is let off the lines, for everybody.
    #[must_use]
    pub fn new(title: impl Into<String>, off: Vec<Money>) -> Self {
        Self { code: None, title: title.into(), off, needs: None, uses: Uses::Always, name: String::new() }
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

    /// How often it is given, under the merchant's name for it: one name is one thing, however it is spelled or titled.
    #[must_use]
    pub fn given(mut self, uses: Uses, name: impl Into<String>) -> Self {
        (self.uses, self.name) = (uses, name.into());
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

/// What is let off.
pub trait Discount: std::fmt::Debug + Send + Sync + 'static {
    /// What is let off of this (at most 20), in the order in which it is taken: what was entered and is not in the answer
    /// is told to the customer as a word that does not count here.
    ///
    /// # Errors
    /// [`TradeError`] if nobody can tell now.
    fn cuts(&self, discountable: &Discountable) -> impl Future<Output = Result<Vec<Cut>, TradeError>> + Send;

    /// What is wrong with it for this shop, as far as that can be told before the first customer comes. Asked once, when the
    /// merchant is built. Whoever looks things up elsewhere has nothing to say.
    ///
    /// # Errors
    /// [`OpeningError`], of which the merchant is told.
    fn check(&self, _opening: &mut Opening) -> Result<(), OpeningError> {
        Ok(())
    }
}

/// How a shop sells: its catalogue, and whatever else it has.
///
/// Whatever of it could not work is an error of [`MerchantBuilder::build`](crate::merchant::MerchantBuilder::build)
/// ([`OpeningError`]), as far as it is a list in the program; what a seam of the merchant's own says is looked at when it
/// says it.
///
/// ```
/// use firsthand::{
///     money::{Currency, Money},
///     trade::{Item, Items, Trade},
/// };
///
/// let price = Money::parse("14.80", Currency::EUR)?;
/// let items = Items::new([Item::new("sencha", "Sencha, 100 g", price).sent(120)])?;
/// let trade = Trade::new(Currency::EUR, items);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
pub struct Trade {
    pub(crate) currency: Currency,
    pub(crate) catalog: AnyCatalog,
    pub(crate) inventory: Option<AnyInventory>,
    pub(crate) shipping: Option<AnyShipping>,
    pub(crate) tax: Option<AnyTax>,
    pub(crate) discount: Option<AnyDiscount>,
    pub(crate) hold_s: u64,
    pub(crate) address: Option<String>,
    pub(crate) home: Option<String>,
    pub(crate) withdrawal_days: u16,
}

impl Trade {
    /// Sells what is in the catalogue, in one currency.
    #[must_use]
    pub fn new(currency: Currency, catalog: impl Catalog) -> Self {
        Self {
            currency,
            catalog: AnyCatalog::new(catalog),
            inventory: None,
            shipping: None,
            tax: None,
            discount: None,
            hold_s: HOLD_S,
            address: None,
            home: None,
            withdrawal_days: WITHDRAWAL_DAYS,
        }
    }

    /// What is left is counted here. Without it nothing is: whatever is sold, there is enough.
    #[must_use]
    pub fn inventory(mut self, inventory: impl Inventory) -> Self {
        self.inventory = Some(AnyInventory::new(inventory));
        self
    }

    /// How things are sent. Without it nothing that has a weight can be bought.
    #[must_use]
    pub fn shipping(mut self, shipping: impl Shipping) -> Self {
        self.shipping = Some(AnyShipping::new(shipping));
        self
    }

    /// Which tax there is. Without it none is said.
    #[must_use]
    pub fn tax(mut self, tax: impl Tax) -> Self {
        self.tax = Some(AnyTax::new(tax));
        self
    }

    /// What is let off. Without it nothing is.
    #[must_use]
    pub fn discount(mut self, discount: impl Discount) -> Self {
        self.discount = Some(AnyDiscount::new(discount));
        self
    }

    /// For how long stock is held while somebody pays, in seconds; 15 minutes unless said here, and 5 at least: less is
    /// [`OpeningError::HoldTooShort`]. For as long as a payment is under way it is held on, by
    /// [housekeeping](crate::Merchant::housekeeping).
    #[must_use]
    pub const fn hold_s(mut self, hold_s: u64) -> Self {
        self.hold_s = hold_s;
        self
    }

    /// For how many days a consumer can withdraw; 14 unless said here, and fewer is [`OpeningError::WithdrawalTooShort`].
    #[must_use]
    pub const fn withdrawal_days(mut self, days: u16) -> Self {
        self.withdrawal_days = days;
        self
    }

    /// The country that most orders go to, as two letters: as long as nobody has said where to, prices are those of sending
    /// it there. Without it sending has no price until the address is known.
    #[must_use]
    pub fn home(mut self, country: impl Into<String>) -> Self {
        self.home = Some(country.into().to_ascii_uppercase());
        self
    }

    /// By which ask a customer's wallet tells where to send it. Without it an address is always typed.
    #[must_use]
    pub fn address_from(mut self, ask: &Ask) -> Self {
        self.address = Some(ask.name().to_owned());
        self
    }
}
