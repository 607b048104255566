//! What the merchant's server puts together before there is an order.

use serde::{Deserialize, Serialize};

use super::{
    delivery::{Address, AddressError, DeliverTo},
    totals::{Carriage, Charged, LineTax, Reduction, Totals},
    withdrawal::{Exemption, WITHDRAWAL_DAYS},
};
use crate::{
    ask::Ask,
    money::{Currency, Money, MoneyError, Quantity},
    names::is_plain,
};

/// The most lines of an order.
const LINES_MAX: usize = 100;
/// The longest item name of a line, in bytes.
const ITEM_BYTES_MAX: usize = 64;
/// The longest title of a line, in bytes.
const TITLE_BYTES_MAX: usize = 256;

/// One line of an order, as it is kept.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Line {
    /// The merchant's name for what is sold.
    pub item: String,
    /// What it is called, as the customer reads it.
    pub title: String,
    /// What one costs.
    pub unit: Money,
    /// How many.
    pub quantity: Quantity,
    /// What is let off the line in all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub discount: Option<Money>,
    /// The tax on it, where the merchant says it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tax: Option<LineTax>,
    /// Why a consumer cannot withdraw from it, if so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub exemption: Option<Exemption>,
    /// Whether it is a service, or content without a medium: no parcel brings it.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub intangible: bool,
    /// Whether there is always enough of it: it is not held, and no inventory hears that it was sold.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub uncounted: bool,
}

impl Line {
    /// A line at its price: the merchant's name for what is sold, what the customer reads, what one costs, and how many.
    #[must_use]
    pub fn new(item: impl Into<String>, title: impl Into<String>, unit: Money, quantity: Quantity) -> Self {
        Self {
            item: item.into(),
            title: title.into(),
            unit,
            quantity,
            discount: None,
            tax: None,
            exemption: None,
            intangible: false,
            uncounted: false,
        }
    }

    /// So much is let off the line in all.
    #[must_use]
    pub const fn less(mut self, discount: Money) -> Self {
        self.discount = Some(discount);
        self
    }

    /// This is the tax on it, after what is let off.
    #[must_use]
    pub const fn taxed(mut self, tax: LineTax) -> Self {
        self.tax = Some(tax);
        self
    }

    /// A consumer cannot withdraw from it, for this reason. Say so on the page before anybody buys it: who was not told
    /// (Directive 2011/83/EU, Article 6(1)(k)) may not be bound by it.
    #[must_use]
    pub const fn no_withdrawal(mut self, why: Exemption) -> Self {
        self.exemption = Some(why);
        self
    }

    /// It is a service, or content without a medium: it has arrived when it is said to be sent, and the time to withdraw
    /// from it runs from when the order is placed.
    #[must_use]
    pub const fn intangible(mut self) -> Self {
        self.intangible = true;
        self
    }

    /// What is let off it.
    #[must_use]
    pub fn discount(&self) -> Money {
        self.discount.unwrap_or(Money::zero(self.unit.currency()))
    }

    /// What the line costs before anything is let off.
    ///
    /// # Errors
    /// [`MoneyError`] if that is more than can be counted.
    pub fn price(&self) -> Result<Money, MoneyError> {
        self.unit.times(self.quantity)
    }

    /// What the line costs, with the tax that is in the price, and without one that comes on top.
    ///
    /// # Errors
    /// [`MoneyError`] if that is more than can be counted, or more is let off than it costs.
    pub fn amount(&self) -> Result<Money, MoneyError> {
        self.price()?.minus(self.discount())
    }
}

/// An order that nobody has placed yet. The prices in it are the merchant's, read from the merchant's own catalogue: a
/// page never says what something costs.
///
/// ```
/// use firsthand::{
///     money::{Currency, Money, Quantity},
///     order::Draft,
/// };
///
/// let price = Money::parse("14.80", Currency::EUR)?;
/// let draft = Draft::new(Currency::EUR).line("sencha", "Sencha, 100 g", price, Quantity::new(2)?);
/// assert_eq!(draft.total()?.decimal(), "29.60");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
pub struct Draft {
    currency: Currency,
    lines: Vec<Line>,
    reductions: Vec<Reduction>,
    carriage: Option<Carriage>,
    delivery: Option<DeliverTo>,
    needs: Vec<Ask>,
    shown: Option<Money>,
    withdrawal_days: u16,
}

impl Draft {
    /// An empty draft.
    #[must_use]
    pub const fn new(currency: Currency) -> Self {
        Self {
            currency,
            lines: Vec::new(),
            reductions: Vec::new(),
            carriage: None,
            delivery: None,
            needs: Vec::new(),
            shown: None,
            withdrawal_days: WITHDRAWAL_DAYS,
        }
    }

    /// Adds a line: the merchant's name for what is sold, what the customer reads, what one costs, and how many.
    #[must_use]
    pub fn line(self, item: impl Into<String>, title: impl Into<String>, unit: Money, quantity: Quantity) -> Self {
        self.with(Line::new(item, title, unit, quantity))
    }

    /// Adds a line with what is let off it and its tax.
    #[must_use]
    pub fn with(mut self, line: Line) -> Self {
        self.lines.push(line);
        self
    }

    /// It is sent like this, for so much.
    #[must_use]
    pub fn sent_by(mut self, carriage: Carriage) -> Self {
        self.carriage = Some(carriage);
        self
    }

    /// Names what is let off. Its amount is a part of what the lines say ([`Line::less`]): both must add up to the same.
    #[must_use]
    pub fn reduced(mut self, reduction: Reduction) -> Self {
        self.reductions.push(reduction);
        self
    }

    /// It goes to an address that somebody typed.
    #[must_use]
    pub fn deliver_to(mut self, address: Address) -> Self {
        self.delivery = Some(DeliverTo::Typed(address));
        self
    }

    /// It goes to the address that the customer's wallet told, by this ask, at most a quarter of an hour ago. The order takes
    /// it straight from the answer, which is erased then: it passes through nobody's hands, and serves one order. A guest
    /// has no answer to take it from. It is looked for in the credentials of the ask in their
    /// order, by the names of the PID Rulebook 1.7 (`given_name`, `family_name`, `address.*`).
    #[must_use]
    pub fn deliver_from_wallet(mut self, ask: &Ask) -> Self {
        self.delivery = Some(DeliverTo::FromWallet(ask.name().to_owned()));
        self
    }

    /// What has to be proved for it: without a proof that is new enough, there is no order. What was proved is kept with
    /// the order, without values. May be said for several asks.
    #[must_use]
    pub fn needs(mut self, ask: &Ask) -> Self {
        self.needs.push(ask.clone());
        self
    }

    /// The total that the customer saw: if the prices have changed since, there is no order.
    #[must_use]
    pub const fn shown(mut self, total: Money) -> Self {
        self.shown = Some(total);
        self
    }

    /// A consumer has so many days to withdraw from it; without this the 14 of the law, which nobody gets less than.
    #[must_use]
    pub const fn withdrawal_days(mut self, days: u16) -> Self {
        self.withdrawal_days = days;
        self
    }

    /// The lines.
    #[must_use]
    pub fn lines(&self) -> &[Line] {
        &self.lines
    }

    /// How it is sent, and for how much.
    #[must_use]
    pub const fn carriage(&self) -> Option<&Carriage> {
        self.carriage.as_ref()
    }

    /// What is let off, by name.
    #[must_use]
    pub fn reductions(&self) -> &[Reduction] {
        &self.reductions
    }

    /// What it costs.
    ///
    /// # Errors
    /// As [`Draft::totals`].
    pub fn total(&self) -> Result<Money, DraftError> {
        Ok(self.totals()?.total)
    }

    /// What it adds up to.
    ///
    /// # Errors
    /// [`DraftError`] if nothing is in it, a text is out of bounds, or the sums are.
    pub fn totals(&self) -> Result<Totals, DraftError> {
        if self.lines.is_empty() {
            return Err(DraftError::Empty);
        }
        if self.lines.len() > LINES_MAX {
            return Err(DraftError::TooManyLines(self.lines.len()));
        }
        let carriage = self.carriage.iter().map(|carriage| (&carriage.method, &carriage.title));
        for (item, title) in self.lines.iter().map(|line| (&line.item, &line.title)).chain(carriage) {
            if !is_plain(item, ITEM_BYTES_MAX) || !is_plain(title, TITLE_BYTES_MAX) {
                return Err(DraftError::Line(item.chars().take(ITEM_BYTES_MAX).collect()));
            }
        }
        let charged = Charged { currency: self.currency, lines: &self.lines, carriage: self.carriage.as_ref() };
        let totals = Totals::of(charged)?;
        let fits = |part: &Reduction| is_plain(&part.title, TITLE_BYTES_MAX);
        let named = Money::sum(self.reductions.iter().map(|part| part.amount), self.currency)?;
        let is_named = self.reductions.is_empty() || named == totals.discounts;
        if self.reductions.len() > LINES_MAX || !self.reductions.iter().all(fits) || !is_named {
            return Err(DraftError::Reductions { named, lines: totals.discounts });
        }
        Ok(totals)
    }

    /// Checks all of it, as it is when it is placed.
    ///
    /// # Errors
    /// As [`Draft::total`]; [`DraftError::PriceChanged`]; [`DraftError::NothingToPay`]; [`DraftError::Address`].
    pub fn check(&self) -> Result<Money, DraftError> {
        let total = self.total()?;
        if let Some(shown) = self.shown
            && shown != total
        {
            return Err(DraftError::PriceChanged { shown, now: total });
        }
        if total.is_zero() {
            return Err(DraftError::NothingToPay);
        }
        if let Some(DeliverTo::Typed(address)) = &self.delivery {
            address.check()?;
        }
        Ok(total)
    }

    pub(crate) fn days_to_withdraw(&self) -> u16 {
        self.withdrawal_days.max(WITHDRAWAL_DAYS)
    }

    pub(crate) const fn delivery(&self) -> Option<&DeliverTo> {
        self.delivery.as_ref()
    }

    pub(crate) fn asks(&self) -> &[Ask] {
        &self.needs
    }

    /// What must be the same for a form that is sent again to mean the same order, as text. It holds the address: to be
    /// digested under a key, and forgotten.
    pub(crate) fn content(&self) -> zeroize::Zeroizing<String> {
        // Not what the shop says of it: a price or a title that changed meanwhile makes it no other form.
        let lines: Vec<(&str, u32)> =
            self.lines.iter().map(|line| (line.item.as_str(), line.quantity.count())).collect();
        let chosen = self.carriage.as_ref().map(|carriage| &carriage.method);
        let codes: Vec<&String> = self.reductions.iter().filter_map(|part| part.code.as_ref()).collect();
        let content = (lines, &self.delivery, chosen, codes);
        zeroize::Zeroizing::new(serde_json::to_string(&content).unwrap_or_default())
    }
}

/// Why a draft is no order.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum DraftError {
    /// Nothing is in it.
    #[error("nothing is in the order")]
    Empty,
    /// Too many lines.
    #[error("{0} lines, at most {LINES_MAX} make an order")]
    TooManyLines(usize),
    /// A line's texts are empty, too long, or hold control characters.
    #[error("the line {0:?} has an empty or overlong text")]
    Line(String),
    /// What is let off by name is not what is let off the lines.
    #[error("{named} are let off by name, and {lines} off the lines: say Line::less and Draft::reduced of the same")]
    Reductions {
        /// What the names add up to.
        named: Money,
        /// What the lines add up to.
        lines: Money,
    },
    /// It costs nothing.
    #[error("the order costs nothing, so there is nothing to pay")]
    NothingToPay,
    /// The customer saw another total.
    #[error("the total is {now} and was shown as {shown}: show it again")]
    PriceChanged {
        /// What the customer saw.
        shown: Money,
        /// What it is.
        now: Money,
    },
    /// The delivery address cannot be one.
    #[error(transparent)]
    Address(#[from] AddressError),
    /// The amounts do not fit together.
    #[error(transparent)]
    Money(#[from] MoneyError),
}

impl DraftError {
    /// The stable name of the refusal.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Empty => "order_empty",
            Self::TooManyLines(_) => "too_many_lines",
            Self::Line(_) => "invalid_line",
            Self::Reductions { .. } => "invalid_reductions",
            Self::NothingToPay => "nothing_to_pay",
            Self::PriceChanged { .. } => "price_changed",
            Self::Address(_) => "invalid_address",
            Self::Money(e) => e.code(),
        }
    }
}
