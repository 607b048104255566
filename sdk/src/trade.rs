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
mod data;
mod error;
mod flat_rates;
mod items;
mod opening;
mod shelf;
mod vat;

use std::future::Future;

pub(crate) use self::any::{AnyCatalog, AnyDiscount, AnyInventory, AnyShipping, AnyTax};
use self::data::TITLE_BYTES_MAX;
pub(crate) use self::data::{CUTS_MAX, NAME_BYTES_MAX, WAYS_MAX, is_name, is_title};
pub use self::{
    codes::{Codes, Off},
    data::{Consignment, Cut, Discountable, Held, Hold, ITEMS_MAX, Item, Levy, Shortage, Taxable, Uses, Way},
    error::TradeError,
    flat_rates::FlatRates,
    items::{Items, ItemsError},
    opening::{Opening, OpeningError},
    shelf::{Count, DELIVERY_S, HeldFor, RECOUNT_S, REMEMBERED_S, Shelf, ShelfError},
    vat::{Vat, VatError},
};
use crate::{
    ask::Ask,
    money::Currency,
    order::{OrderId, WITHDRAWAL_DAYS},
    time::UnixTime,
};

/// How long stock is held for a checkout that is being paid, in seconds, unless the merchant says otherwise.
pub const HOLD_S: u64 = 15 * 60;

/// The shortest time for which stock is held, in seconds: longer than housekeeping takes to come by.
const HOLD_LEAST_S: u64 = 5 * 60;

/// What is sold.
pub trait Catalog: std::fmt::Debug + Send + Sync + 'static {
    /// What is sold under these names (at most [`ITEMS_MAX`], each once), in their order: `None` for what is not sold, or
    /// not any more. A name comes from a stranger.
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

/// What is left, and held for whom. Every act names its order and is said again after a crash: said twice, it happens once.
///
/// It may count in the merchant's own tables. Where what is sold must be one commit with the merchant's own rows, take it
/// from the [`Feed`](crate::merchant::Feed) within the merchant's transaction, and leave [`sell`](Self::sell) without effect.
pub trait Inventory: std::fmt::Debug + Send + Sync + 'static {
    /// Holds all of it or nothing. For an order that holds the very same already, it is held on until the later time. What
    /// was sold or was short then, or was let go by [`free`](Self::free), is not held anew: [`Held::Over`], however much is left. What was held
    /// until before now may be gone: it is held anew if there is enough.
    ///
    /// # Errors
    /// [`TradeError`] if nobody can tell: it is let go later, in case it was held. Also if something else is held for the
    /// order.
    fn hold(&self, hold: &Hold) -> impl Future<Output = Result<Held, TradeError>> + Send;

    /// What is held for the order is sold. If it is held no more, it is taken from what is left, whole; [`Held::Short`] if
    /// there is too little, and then nothing was taken, nor will be: the merchant is told, and who asks again hears the same,
    /// however much is left by then. `hold` says what it was. What was let go by [`free`](Self::free) is
    /// not sold any more: [`Held::Over`].
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

/// How things are sent.
pub trait Shipping: std::fmt::Debug + Send + Sync + 'static {
    /// The ways to send this (at most 20), the one to offer first at the beginning; none if it is not sent there.
    ///
    /// # Errors
    /// [`TradeError`] if nobody can tell now.
    fn ways(&self, consignment: &Consignment) -> impl Future<Output = Result<Vec<Way>, TradeError>> + Send;

    /// The most that is sent there at once, in grams, if it is the weight alone for which there is no way: asked where
    /// [`ways`](Self::ways) has none, so that the customer is told to take less, and not to send it elsewhere. `None` unless
    /// said: then it is not sent there.
    ///
    /// # Errors
    /// [`TradeError`] if nobody can tell now.
    fn at_most_g(&self, _consignment: &Consignment) -> impl Future<Output = Result<Option<u64>, TradeError>> + Send {
        async { Ok(None) }
    }

    /// The countries that anything is sent to, as two letters, if that is known beforehand: what the checkout page has to
    /// choose from where the merchant says nothing else. `None` unless said.
    fn countries(&self) -> Option<Vec<String>> {
        None
    }

    /// What is wrong with it for this shop, as far as that can be told before the first customer comes. Asked once, when the
    /// merchant is built. Whoever asks a carrier has nothing to say.
    ///
    /// # Errors
    /// [`OpeningError`], of which the merchant is told.
    fn check(&self, _opening: &mut Opening) -> Result<(), OpeningError> {
        Ok(())
    }
}

/// Which tax there is.
pub trait Tax: std::fmt::Debug + Send + Sync + 'static {
    /// The tax on each of the classes, in their order.
    ///
    /// # Errors
    /// [`TradeError`] if nobody can tell now.
    fn levies(&self, taxable: &Taxable) -> impl Future<Output = Result<Vec<Levy>, TradeError>> + Send;

    /// Whether [`Taxable::vat_id`] can change anything: only then the checkout page asks for it. It can, unless said.
    fn reads_vat_ids(&self) -> bool {
        true
    }

    /// What is wrong with it for this shop, as far as that can be told before the first customer comes. Asked once, when the
    /// merchant is built. Whoever asks elsewhere has nothing to say.
    ///
    /// # Errors
    /// [`OpeningError`], of which the merchant is told.
    fn check(&self, _opening: &mut Opening) -> Result<(), OpeningError> {
        Ok(())
    }
}

/// What is let off.
///
/// A word that is good once is money that lies under its letters: whoever guesses it has it. Draw it at random, at least 60
/// bits of it, such as twelve letters and digits out of 32 (`7K2M-QXPA-94RD`), and make no two from one another. Short words that
/// people remember (`SPRING`) are for what everybody may have, or for each customer once. A checkout takes
/// [ten wrong words](crate::checkout::WRONG_WORDS_MAX), and the middleware a bounded number from one address in a minute.
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
    pub(crate) address_ask: Option<String>,
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
            address_ask: None,
            home: None,
            withdrawal_days: WITHDRAWAL_DAYS,
        }
    }

    /// What is left is counted here, but for items that are [uncounted](Item::uncounted). Without it nothing is: whatever is
    /// sold, there is enough.
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
        self.address_ask = Some(ask.name().to_owned());
        self
    }
}
