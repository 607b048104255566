//! What a shop offers for what somebody wants.

use serde::{Deserialize, Serialize};

use super::{
    Awaited, Status,
    message::{Message, MessageCode, Severity},
};
use crate::{
    money::{Currency, Money},
    names::is_plain,
    order::{Carriage, Line, Reduction, Totals},
    trade::Way,
};

/// What the shop offers: prices, what is let off, how it is sent, tax, and what it needs to know for it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Offering {
    /// What is sold, at which price.
    pub lines: Vec<Line>,
    /// What is let off, by name.
    pub reductions: Vec<Reduction>,
    /// How it is sent, and for how much, if it is and that can be said.
    pub carriage: Option<Carriage>,
    /// The ways to choose from.
    pub ways: Vec<Way>,
    /// What it all adds up to, as far as it is known.
    pub totals: Totals,
    /// Whether something of it is sent.
    pub ships: bool,
    /// The asks that have to be answered for it, by name.
    pub needs: Vec<String>,
    /// Those of them that are not, or not lately enough.
    pub missing: Vec<String>,
    /// Whether a price in it depends on something that is claimed and not proved yet.
    pub provisional: bool,
    /// What could be let off besides, for a proof.
    pub offered: Vec<Offered>,
    /// What is let off a limited number of times, and would be used up by this.
    pub coupons: Vec<Coupon>,
    /// Whether the buyer owes the tax.
    pub reverse_charge: bool,
    /// What there is to say about it.
    pub messages: Vec<Message>,
}

/// Something that could be let off for a proof.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Offered {
    /// What it is called.
    pub title: String,
    /// The ask to answer for it.
    pub ask: String,
    /// How much it would be.
    pub amount: Money,
}

/// Something that is let off once, to whoever comes first or to each customer. Its name says what was given before: one name
/// is one thing, however it is spelled or titled, and without one there is none.
///
/// ```
/// use firsthand::checkout::Coupon;
///
/// let welcome = Coupon::once_per_customer("welcome 2026")?;
/// assert_eq!((welcome.name(), welcome.is_per_customer()), ("welcome 2026", true));
/// assert!(Coupon::once("").is_err());
/// # Ok::<(), firsthand::checkout::NotACouponName>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Coupon {
    name: String,
    per_customer: bool,
}

/// The longest name of a coupon, in bytes.
const COUPON_BYTES_MAX: usize = 512;

/// A text that names no coupon.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a coupon's name is 1 to {COUPON_BYTES_MAX} bytes, not only spaces, without control characters")]
pub struct NotACouponName;

impl Coupon {
    /// It is let off once, to whoever comes first, under the merchant's name for it: not what a customer typed, nor what they
    /// read. 1 to 512 bytes, not only spaces, no control characters.
    ///
    /// # Errors
    /// [`NotACouponName`].
    pub fn once(name: impl Into<String>) -> Result<Self, NotACouponName> {
        let name = name.into();
        if is_plain(&name, COUPON_BYTES_MAX) { Ok(Self { name, per_customer: false }) } else { Err(NotACouponName) }
    }

    /// The same once for each customer; not for guests, whom nobody tells apart.
    ///
    /// # Errors
    /// [`NotACouponName`].
    pub fn once_per_customer(name: impl Into<String>) -> Result<Self, NotACouponName> {
        Ok(Self { per_customer: true, ..Self::once(name)? })
    }

    /// The merchant's name for it.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Whether each customer has one.
    #[must_use]
    pub const fn is_per_customer(&self) -> bool {
        self.per_customer
    }
}

impl Offering {
    /// Nothing at all.
    pub(crate) fn nothing(currency: Currency) -> Self {
        let nothing = Money::zero(currency);
        let totals = Totals {
            lines: nothing,
            discounts: nothing,
            shipping: nothing,
            tax: nothing,
            total: nothing,
            taxes: Vec::new(),
        };
        Self {
            lines: Vec::new(),
            reductions: Vec::new(),
            carriage: None,
            ways: Vec::new(),
            totals,
            ships: false,
            needs: Vec::new(),
            missing: Vec::new(),
            provisional: false,
            offered: Vec::new(),
            coupons: Vec::new(),
            reverse_charge: false,
            messages: Vec::new(),
        }
    }

    /// Whether it can be completed, as far as it goes.
    #[must_use]
    pub fn status(&self) -> Status {
        self.status_with(&Awaited::default())
    }

    /// The same, if a wallet shows this while it pays.
    pub(crate) fn status_with(&self, awaited: &Awaited) -> Status {
        let comes = |message: &Message| match message.code {
            MessageCode::ProofNeeded => message.about.as_ref().is_some_and(|ask| awaited.proofs.contains(ask)),
            MessageCode::AddressMissing => awaited.address.is_some(),
            _ => false,
        };
        let any = |severity| self.messages.iter().any(|message| message.severity == severity && !comes(message));
        if any(Severity::Recoverable) {
            Status::Incomplete
        } else if any(Severity::RequiresBuyerInput) {
            Status::RequiresEscalation
        } else {
            Status::ReadyForComplete
        }
    }

    /// Whether it is the same offer: what is sold, for how much, and what has to be known for it.
    #[must_use]
    pub fn is_same(&self, other: &Self) -> bool {
        self.lines == other.lines
            && self.reductions == other.reductions
            && self.carriage == other.carriage
            && self.totals == other.totals
            && self.needs == other.needs
            && self.coupons == other.coupons
            && self.reverse_charge == other.reverse_charge
    }
}
