//! The boxed adapters: whatever a merchant gave, the rest of the library holds these.

use std::{fmt, future::Future, pin::Pin, sync::Arc, time::Duration};

use super::{
    Catalog, Consignment, Cut, Discount, Discountable, Held, Hold, Inventory, Item, Levy, Opening, OpeningError,
    Shipping, Tax, Taxable, TradeError, Way,
};
use crate::{order::OrderId, time::UnixTime};

/// How long a part of the merchant's may take to answer, in seconds: whoever waits for it holds up a customer, or a payment
/// that is to be written down.
const TRADE_ANSWER_S: u64 = 30;

/// What a part says, if it says it in time.
async fn in_time<T>(part: &'static str, act: impl Future<Output = Result<T, TradeError>>) -> Result<T, TradeError> {
    let silent = |_| Err(TradeError::new(part, "it did not answer in time"));
    tokio::time::timeout(Duration::from_secs(TRADE_ANSWER_S), act).await.unwrap_or_else(silent)
}

type Answer<'a, T> = Pin<Box<dyn Future<Output = Result<T, TradeError>> + Send + 'a>>;

/// Some [`Catalog`]; a clone shares it.
#[derive(Clone)]
pub(crate) struct AnyCatalog(Arc<dyn DynCatalog>);

impl AnyCatalog {
    pub(crate) fn new(catalog: impl Catalog) -> Self {
        Self(Arc::new(catalog))
    }

    /// [`Catalog::items`].
    pub(crate) async fn items(&self, names: &[String]) -> Result<Vec<Option<Item>>, TradeError> {
        in_time("catalogue", self.0.items(names)).await
    }

    /// [`Catalog::check`].
    pub(crate) fn check(&self, opening: &mut Opening) -> Result<(), OpeningError> {
        self.0.check(opening)
    }
}

impl fmt::Debug for AnyCatalog {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// [`Catalog`] with boxed futures, so that it can be an object.
trait DynCatalog: fmt::Debug + Send + Sync {
    fn check(&self, opening: &mut Opening) -> Result<(), OpeningError>;
    fn items<'a>(&'a self, names: &'a [String]) -> Answer<'a, Vec<Option<Item>>>;
}

impl<T: Catalog> DynCatalog for T {
    fn check(&self, opening: &mut Opening) -> Result<(), OpeningError> {
        Catalog::check(self, opening)
    }

    fn items<'a>(&'a self, names: &'a [String]) -> Answer<'a, Vec<Option<Item>>> {
        Box::pin(Catalog::items(self, names))
    }
}

/// Some [`Inventory`]; a clone shares it.
#[derive(Clone)]
pub(crate) struct AnyInventory(Arc<dyn DynInventory>);

impl AnyInventory {
    pub(crate) fn new(inventory: impl Inventory) -> Self {
        Self(Arc::new(inventory))
    }

    /// [`Inventory::hold`].
    pub(crate) async fn hold(&self, hold: &Hold) -> Result<Held, TradeError> {
        in_time("inventory", self.0.hold(hold)).await
    }

    /// [`Inventory::sell`].
    pub(crate) async fn sell(&self, hold: &Hold) -> Result<Held, TradeError> {
        in_time("inventory", self.0.sell(hold)).await
    }

    /// [`Inventory::free`].
    pub(crate) async fn free(&self, order: &OrderId, now: UnixTime) -> Result<(), TradeError> {
        in_time("inventory", self.0.free(order, now)).await
    }

    /// [`Inventory::left`].
    pub(crate) async fn left(&self, items: &[String], now: UnixTime) -> Result<Vec<Option<u32>>, TradeError> {
        in_time("inventory", self.0.left(items, now)).await
    }

    /// [`Inventory::tidy`].
    pub(crate) async fn tidy(&self, now: UnixTime) -> Result<(), TradeError> {
        in_time("inventory", self.0.tidy(now)).await
    }
}

impl fmt::Debug for AnyInventory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// [`Inventory`] with boxed futures, so that it can be an object.
trait DynInventory: fmt::Debug + Send + Sync {
    fn hold<'a>(&'a self, hold: &'a Hold) -> Answer<'a, Held>;
    fn sell<'a>(&'a self, hold: &'a Hold) -> Answer<'a, Held>;
    fn free<'a>(&'a self, order: &'a OrderId, now: UnixTime) -> Answer<'a, ()>;
    fn left<'a>(&'a self, items: &'a [String], now: UnixTime) -> Answer<'a, Vec<Option<u32>>>;
    fn tidy<'a>(&'a self, now: UnixTime) -> Answer<'a, ()>;
}

impl<T: Inventory> DynInventory for T {
    fn hold<'a>(&'a self, hold: &'a Hold) -> Answer<'a, Held> {
        Box::pin(Inventory::hold(self, hold))
    }

    fn sell<'a>(&'a self, hold: &'a Hold) -> Answer<'a, Held> {
        Box::pin(Inventory::sell(self, hold))
    }

    fn free<'a>(&'a self, order: &'a OrderId, now: UnixTime) -> Answer<'a, ()> {
        Box::pin(Inventory::free(self, order, now))
    }

    fn left<'a>(&'a self, items: &'a [String], now: UnixTime) -> Answer<'a, Vec<Option<u32>>> {
        Box::pin(Inventory::left(self, items, now))
    }

    fn tidy<'a>(&'a self, now: UnixTime) -> Answer<'a, ()> {
        Box::pin(Inventory::tidy(self, now))
    }
}

/// Some [`Shipping`]; a clone shares it.
#[derive(Clone)]
pub(crate) struct AnyShipping(Arc<dyn DynShipping>);

impl AnyShipping {
    pub(crate) fn new(shipping: impl Shipping) -> Self {
        Self(Arc::new(shipping))
    }

    /// [`Shipping::ways`].
    pub(crate) async fn ways(&self, consignment: &Consignment) -> Result<Vec<Way>, TradeError> {
        in_time("shipping", self.0.ways(consignment)).await
    }

    /// [`Shipping::at_most_g`].
    pub(crate) async fn at_most_g(&self, consignment: &Consignment) -> Result<Option<u64>, TradeError> {
        in_time("shipping", self.0.at_most_g(consignment)).await
    }

    /// [`Shipping::countries`].
    pub(crate) fn countries(&self) -> Option<Vec<String>> {
        self.0.countries()
    }

    /// [`Shipping::check`].
    pub(crate) fn check(&self, opening: &mut Opening) -> Result<(), OpeningError> {
        self.0.check(opening)
    }
}

impl fmt::Debug for AnyShipping {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// [`Shipping`] with boxed futures, so that it can be an object.
trait DynShipping: fmt::Debug + Send + Sync {
    fn countries(&self) -> Option<Vec<String>>;
    fn check(&self, opening: &mut Opening) -> Result<(), OpeningError>;
    fn ways<'a>(&'a self, consignment: &'a Consignment) -> Answer<'a, Vec<Way>>;
    fn at_most_g<'a>(&'a self, consignment: &'a Consignment) -> Answer<'a, Option<u64>>;
}

impl<T: Shipping> DynShipping for T {
    fn countries(&self) -> Option<Vec<String>> {
        Shipping::countries(self)
    }

    fn check(&self, opening: &mut Opening) -> Result<(), OpeningError> {
        Shipping::check(self, opening)
    }

    fn ways<'a>(&'a self, consignment: &'a Consignment) -> Answer<'a, Vec<Way>> {
        Box::pin(Shipping::ways(self, consignment))
    }

    fn at_most_g<'a>(&'a self, consignment: &'a Consignment) -> Answer<'a, Option<u64>> {
        Box::pin(Shipping::at_most_g(self, consignment))
    }
}

/// Some [`Tax`]; a clone shares it.
#[derive(Clone)]
pub(crate) struct AnyTax(Arc<dyn DynTax>);

impl AnyTax {
    pub(crate) fn new(tax: impl Tax) -> Self {
        Self(Arc::new(tax))
    }

    /// [`Tax::levies`].
    pub(crate) async fn levies(&self, taxable: &Taxable) -> Result<Vec<Levy>, TradeError> {
        in_time("tax", self.0.levies(taxable)).await
    }

    /// [`Tax::reads_vat_ids`].
    pub(crate) fn reads_vat_ids(&self) -> bool {
        self.0.reads_vat_ids()
    }

    /// [`Tax::check`].
    pub(crate) fn check(&self, opening: &mut Opening) -> Result<(), OpeningError> {
        self.0.check(opening)
    }
}

impl fmt::Debug for AnyTax {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// [`Tax`] with boxed futures, so that it can be an object.
trait DynTax: fmt::Debug + Send + Sync {
    fn check(&self, opening: &mut Opening) -> Result<(), OpeningError>;
    fn levies<'a>(&'a self, taxable: &'a Taxable) -> Answer<'a, Vec<Levy>>;
    fn reads_vat_ids(&self) -> bool;
}

impl<T: Tax> DynTax for T {
    fn check(&self, opening: &mut Opening) -> Result<(), OpeningError> {
        Tax::check(self, opening)
    }

    fn levies<'a>(&'a self, taxable: &'a Taxable) -> Answer<'a, Vec<Levy>> {
        Box::pin(Tax::levies(self, taxable))
    }

    fn reads_vat_ids(&self) -> bool {
        Tax::reads_vat_ids(self)
    }
}

/// Some [`Discount`]; a clone shares it.
#[derive(Clone)]
pub(crate) struct AnyDiscount(Arc<dyn DynDiscount>);

impl AnyDiscount {
    pub(crate) fn new(discount: impl Discount) -> Self {
        Self(Arc::new(discount))
    }

    /// [`Discount::cuts`].
    pub(crate) async fn cuts(&self, discountable: &Discountable) -> Result<Vec<Cut>, TradeError> {
        in_time("discounts", self.0.cuts(discountable)).await
    }

    /// [`Discount::check`].
    pub(crate) fn check(&self, opening: &mut Opening) -> Result<(), OpeningError> {
        self.0.check(opening)
    }
}

impl fmt::Debug for AnyDiscount {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// [`Discount`] with boxed futures, so that it can be an object.
trait DynDiscount: fmt::Debug + Send + Sync {
    fn check(&self, opening: &mut Opening) -> Result<(), OpeningError>;
    fn cuts<'a>(&'a self, discountable: &'a Discountable) -> Answer<'a, Vec<Cut>>;
}

impl<T: Discount> DynDiscount for T {
    fn check(&self, opening: &mut Opening) -> Result<(), OpeningError> {
        Discount::check(self, opening)
    }

    fn cuts<'a>(&'a self, discountable: &'a Discountable) -> Answer<'a, Vec<Cut>> {
        Box::pin(Discount::cuts(self, discountable))
    }
}
