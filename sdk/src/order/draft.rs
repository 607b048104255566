//! What the merchant's server puts together before there is an order.

use serde::{Deserialize, Serialize};

use super::delivery::{Address, AddressError, DeliverTo};
use crate::{
    ask::Ask,
    money::{Currency, Money, MoneyError, Quantity},
};

/// The most lines of an order.
const LINES_MAX: usize = 100;
/// The longest item name of a line, in bytes.
const ITEM_BYTES_MAX: usize = 64;
/// The longest title of a line, in bytes.
const TITLE_BYTES_MAX: usize = 256;

/// One line of an order, as it is kept.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Line {
    /// The merchant's name for what is sold.
    pub item: String,
    /// What it is called, as the customer reads it.
    pub title: String,
    /// What one costs.
    pub unit: Money,
    /// How many.
    pub quantity: Quantity,
}

impl Line {
    /// What the line costs.
    ///
    /// # Errors
    /// [`MoneyError`] if that is more than can be counted.
    pub fn amount(&self) -> Result<Money, MoneyError> {
        self.unit.times(self.quantity)
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
    delivery: Option<DeliverTo>,
    needs: Vec<Ask>,
    shown: Option<Money>,
}

impl Draft {
    /// An empty draft.
    #[must_use]
    pub const fn new(currency: Currency) -> Self {
        Self { currency, lines: Vec::new(), delivery: None, needs: Vec::new(), shown: None }
    }

    /// Adds a line: the merchant's name for what is sold, what the customer reads, what one costs, and how many.
    #[must_use]
    pub fn line(mut self, item: impl Into<String>, title: impl Into<String>, unit: Money, quantity: Quantity) -> Self {
        self.lines.push(Line { item: item.into(), title: title.into(), unit, quantity });
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

    /// The lines.
    #[must_use]
    pub fn lines(&self) -> &[Line] {
        &self.lines
    }

    /// What it costs.
    ///
    /// # Errors
    /// [`DraftError`] if nothing is in it, a line is out of bounds, or the sum is.
    pub fn total(&self) -> Result<Money, DraftError> {
        if self.lines.is_empty() {
            return Err(DraftError::Empty);
        }
        if self.lines.len() > LINES_MAX {
            return Err(DraftError::TooManyLines(self.lines.len()));
        }
        let mut total = Money::zero(self.currency);
        for line in &self.lines {
            let plain = |text: &str, most: usize| {
                !text.trim().is_empty() && text.len() <= most && !text.chars().any(char::is_control)
            };
            if !plain(&line.item, ITEM_BYTES_MAX) || !plain(&line.title, TITLE_BYTES_MAX) {
                return Err(DraftError::Line(line.item.chars().take(ITEM_BYTES_MAX).collect()));
            }
            total = total.plus(line.amount()?)?;
        }
        Ok(total)
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
        let content = (lines, &self.delivery);
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
            Self::NothingToPay => "nothing_to_pay",
            Self::PriceChanged { .. } => "price_changed",
            Self::Address(_) => "invalid_address",
            Self::Money(e) => e.code(),
        }
    }
}
