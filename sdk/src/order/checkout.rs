//! An order that came from a checkout: a sale only once its payment is sure enough, and over with the attempt that failed.

use serde::{Deserialize, Serialize};

use super::{Happened, OrderError, OrderRecord, OrderState, Step};
use crate::{
    checkout::{CheckoutId, Coupon},
    rail::Outcome,
    time::UnixTime,
};

/// What an order knows of the checkout that it came from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
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
    /// Since when it is a sale.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub confirmed_at: Option<UnixTime>,
}

impl OrderRecord {
    /// Whether it is a sale. One that came from a checkout is none before its payment is sure enough; it is shown to nobody,
    /// and ends with an attempt that fails.
    #[must_use]
    pub fn is_confirmed(&self) -> bool {
        self.checkout.as_ref().is_none_or(|from| from.confirmed_at.is_some())
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
        if sure {
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
