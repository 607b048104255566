//! An order that came from a checkout: a sale only once its payment is sure enough, and over with the attempt that failed.

use serde::{Deserialize, Serialize};

use super::{Attempt, Happened, OrderError, OrderRecord, OrderState, Step};
use crate::{
    ask::Proof,
    checkout::{Awaited, CheckoutId, Coupon},
    rail::{Outcome, WalletRail},
    time::UnixTime,
};

/// What an order knows of the checkout that it came from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct FromCheckout {
    /// Which.
    pub id: CheckoutId,
    /// What was let off once with it: given back if the order comes to nothing.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub coupons: Vec<Coupon>,
    /// Whether stock was held for it.
    #[serde(default)]
    pub holds: bool,
    /// The number under which the buyer owes the tax (reverse charge): for the invoice.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub vat_id: Option<String>,
    /// What the wallet that pays is still to show.
    #[serde(default, skip_serializing_if = "Awaited::is_nothing")]
    pub awaited: Awaited,
    /// Since when it is a sale.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub confirmed_at: Option<UnixTime>,
}

/// Why the shop gave up the payment by wallet that a checkout waited for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum NotAuthorised {
    /// The customer called it off.
    GivenUp,
    /// The wallet told an address that the price is not for.
    AddressElsewhere,
    /// It told none to which a parcel could go.
    AddressUnfit,
    /// It did not show all that the sale needs.
    NotAllShown,
    /// No wallet was asked after all.
    NotAsked,
}

impl NotAuthorised {
    const ALL: [Self; 5] =
        [Self::GivenUp, Self::AddressElsewhere, Self::AddressUnfit, Self::NotAllShown, Self::NotAsked];

    /// As the attempt remembers it.
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::GivenUp => "withdrawn",
            Self::AddressElsewhere => "address_elsewhere",
            Self::AddressUnfit => "address_unfit",
            Self::NotAllShown => "not_all_shown",
            Self::NotAsked => "not_asked",
        }
    }

    /// Why this attempt was given up. What other rails decline for, they say in words of their own, which may be the same.
    pub(crate) fn of(attempt: &Attempt) -> Option<Self> {
        match &attempt.outcome {
            Some(Outcome::Declined(code)) if attempt.rail == WalletRail::ID => {
                Self::ALL.into_iter().find(|why| why.as_str() == code.as_str())
            }
            _ => None,
        }
    }
}

impl OrderRecord {
    /// Whether it is a sale. One that came from a checkout is none before its payment is sure enough; it is shown to nobody,
    /// and ends with an attempt that fails.
    #[must_use]
    pub fn is_confirmed(&self) -> bool {
        self.checkout.as_ref().is_none_or(|from| from.confirmed_at.is_some())
    }

    /// What the wallet is still to show that pays it.
    pub(crate) fn awaited(&self) -> Option<&Awaited> {
        self.checkout.as_ref().map(|from| &from.awaited).filter(|awaited| !awaited.is_nothing())
    }

    /// The wallet that pays it has shown this. `None` if that is not all that it was to show.
    #[must_use]
    pub(crate) fn shown(mut self, proofs: &[Proof]) -> Option<Self> {
        let Some(from) = &mut self.checkout else { return Some(self) };
        let Awaited { proofs: awaited, address } = std::mem::take(&mut from.awaited);
        for name in awaited.iter().chain(address.iter().map(|address| &address.ask)) {
            let proof = proofs.iter().find(|proof| proof.ask == *name)?;
            if !self.proofs.iter().any(|known| known.ask == *name) {
                self.proofs.push(proof.clone());
            }
        }
        Some(self)
    }

    /// What was sold is not in stock any more.
    pub(crate) fn stock_missing(self, items: Vec<String>) -> Step {
        Step { happened: vec![Happened::StockMissing { items }], ..Step::of(self) }
    }
}

impl Step {
    /// What the step means for an order that came from a checkout: it becomes a sale, or it is over. `by_hand` says whether
    /// the customer pays the last attempt by hand, as by a transfer: then nothing more is to be waited for.
    ///
    /// # Errors
    /// Never for a record that transitions made.
    pub(crate) fn follow_checkout(mut self, by_hand: bool, now: UnixTime) -> Result<Self, OrderError> {
        if self.order.is_confirmed() {
            return Ok(self);
        }
        let last = self.order.last_attempt().and_then(|last| last.outcome.as_ref());
        let sure = match self.order.state {
            OrderState::Paid | OrderState::Authorised => true,
            OrderState::Paying => by_hand && last == Some(&Outcome::Pending),
            _ => false,
        };
        if sure && self.order.awaited().is_some() {
            // Money came by another way than the wallet that was to show what the sale needs.
            self.end(OrderState::Cancelled)?;
            self.order.mind_authorisations(now);
        } else if sure {
            self.happened.push(Happened::Confirmed);
            if let Some(from) = &mut self.order.checkout {
                from.confirmed_at = Some(now);
            }
        } else if self.order.state == OrderState::Declined {
            // The customer goes on in the checkout, which may become another order.
            self.end(OrderState::Cancelled)?;
            self.order.mind_authorisations(now);
        }
        Ok(self)
    }
}
