//! What the merchant takes back or makes cheaper after the sale, and the refund that this owes.

use serde::{Deserialize, Serialize};

use super::{
    Happened, OrderError, OrderRecord, OrderState, RefundReason, RefundState, Step,
    after::{ADJUSTMENTS_MAX, AfterError, Part, check_key, has_room, within},
};
use crate::{
    money::{Money, MoneyError},
    time::UnixTime,
};

/// A change of what was sold, and what goes back for it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Adjustment {
    /// Which adjustment this is: 1 to 64 visible ASCII characters without `/`. Said twice, it happens once.
    pub key: String,
    /// Why.
    pub reason: AdjustmentReason,
    /// What it is about.
    pub lines: Vec<Part>,
    /// What goes back for it; may be nothing where things were given up.
    #[serde(deserialize_with = "crate::money::exactly")]
    pub amount: Money,
}

/// Why an order is adjusted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum AdjustmentReason {
    /// The customer withdrew from it: [`OrderRecord::withdrawal_settled`] makes this one.
    Withdrawn,
    /// The shop took it back, because it wanted to.
    Returned,
    /// The shop cannot supply it, and sends no more of it.
    NotSupplied,
    /// It came damaged, and the customer keeps it for less.
    Damaged,
    /// It was priced wrongly, or the shop lets something off afterwards.
    PriceCorrection,
}

impl AdjustmentReason {
    /// As it stands in JSON.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Withdrawn => "withdrawn",
            Self::Returned => "returned",
            Self::NotSupplied => "not_supplied",
            Self::Damaged => "damaged",
            Self::PriceCorrection => "price_correction",
        }
    }

    /// Whether the customer ends up without the things, so that the same ones cannot be given up again.
    #[must_use]
    pub const fn gives_up(self) -> bool {
        matches!(self, Self::Withdrawn | Self::Returned | Self::NotSupplied)
    }
}

/// An adjustment, as it is kept.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct AdjustmentRecord {
    /// Which.
    pub key: String,
    /// Why.
    pub reason: AdjustmentReason,
    /// What it is about, by item.
    pub lines: Vec<Part>,
    /// What goes back for it.
    pub amount: Money,
    /// When it was decided.
    pub at: UnixTime,
}

impl AdjustmentRecord {
    /// What the keys of its refunds begin with.
    #[must_use]
    pub fn refunds(&self) -> String {
        format!("{}/", refund_key(self.reason, &self.key))
    }
}

/// How far an adjustment has come: derived from its refunds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum AdjustmentState {
    /// Nobody has begun to give the money back, or not for all of it.
    Owed,
    /// All of it is on its way, or back already.
    UnderWay,
    /// All of it is back, or nothing was to go back.
    Done,
}

impl AdjustmentState {
    /// How far it is, by the states of its refunds.
    #[must_use]
    pub fn of(refunds: impl IntoIterator<Item = RefundState>) -> Self {
        refunds.into_iter().fold(Self::Done, |sofar, refund| match (sofar, refund) {
            (Self::Owed, _) | (_, RefundState::Owed) => Self::Owed,
            (sofar, RefundState::Done) => sofar,
            _ => Self::UnderWay,
        })
    }
}

impl OrderRecord {
    /// The merchant takes something back or makes it cheaper: what goes back for it is owed from now on. `Ok(None)` if
    /// that was said before with the same key.
    ///
    /// # Errors
    /// [`OrderError::Over`]; [`OrderError::NotPaid`] and [`OrderError::RefundTooLarge`] for more than is settled;
    /// [`OrderError::NoAmount`] where nothing is given up and nothing goes back; [`OrderError::After`] for more of an item
    /// than is left of what was bought, or a key that was used for something else. A withdrawal is
    /// [settled](Self::withdrawal_settled).
    pub fn adjusted(self, adjustment: &Adjustment, now: UnixTime) -> Result<Option<Step>, OrderError> {
        let Adjustment { key, reason, amount, .. } = adjustment;
        let (reason, amount) = (*reason, *amount);
        check_key(key)?;
        let lines = self.tidy(&adjustment.lines)?;
        if reason == AdjustmentReason::Withdrawn {
            let stated = self.after.withdrawals.iter().find(|it| it.key == *key).ok_or(AfterError::NoSuchWithdrawal)?;
            if stated.lines != lines {
                return Err(AfterError::KeyDiffers.into());
            }
        }
        // A withdrawal has its key from the customer, and may have the key of what the merchant decided.
        let is_withdrawn = |reason| reason == AdjustmentReason::Withdrawn;
        let same = |it: &&AdjustmentRecord| it.key == *key && is_withdrawn(it.reason) == is_withdrawn(reason);
        if let Some(before) = self.after.adjustments.iter().find(same) {
            return if (before.reason, &before.lines, before.amount) == (reason, &lines, amount) {
                Ok(None)
            } else {
                Err(AfterError::KeyDiffers.into())
            };
        }
        if self.state.is_over() {
            return Err(OrderError::Over(self.state));
        }
        self.check_amount(reason, amount)?;
        for part in &lines {
            within(part, self.left_to_adjust(reason, part))?;
        }
        // Whatever was withdrawn from can be settled.
        if !is_withdrawn(reason) {
            let decided = self.after.adjustments.iter().filter(|it| !is_withdrawn(it.reason));
            has_room(decided.map(|it| &it.lines), &lines, ADJUSTMENTS_MAX)?;
        }
        let mut step = Step::of(self);
        let record = AdjustmentRecord { key: key.clone(), reason, lines: lines.clone(), amount, at: now };
        step.order.after.adjustments.push(record);
        step.happened.push(Happened::Adjusted { key: key.clone(), reason, lines, amount });
        if !amount.is_zero() {
            step.owe_settled(amount, RefundReason::Requested, &refund_key(reason, key))?;
        }
        Ok(Some(step))
    }

    /// Whether the withdrawal of this key has been settled.
    pub(super) fn is_adjusted(&self, withdrawal: &str) -> bool {
        let withdrawn = |it: &AdjustmentRecord| it.reason == AdjustmentReason::Withdrawn && it.key == withdrawal;
        self.after.adjustments.iter().any(withdrawn)
    }

    fn check_amount(&self, reason: AdjustmentReason, amount: Money) -> Result<(), OrderError> {
        let left = self.ledger.settled()?;
        match left.minus(amount) {
            Ok(_) if amount.is_zero() && reason.gives_up() => Ok(()),
            Ok(_) if amount.is_zero() => Err(OrderError::NoAmount),
            Ok(_) | Err(MoneyError::BelowZero) if self.state != OrderState::Paid => {
                Err(OrderError::NotPaid(self.state))
            }
            Ok(_) => Ok(()),
            Err(MoneyError::BelowZero) => Err(OrderError::RefundTooLarge { asked: amount, left }),
            // Another currency is told as such.
            Err(other) => Err(other.into()),
        }
    }

    /// How many of an item an adjustment may still name.
    fn left_to_adjust(&self, reason: AdjustmentReason, part: &Part) -> u32 {
        let item = &part.item;
        let left = self.bought(item).saturating_sub(self.given_up(item));
        match reason {
            // Its own withdrawal has them set aside.
            AdjustmentReason::Withdrawn => part.quantity.count(),
            // What has left the shop was supplied.
            AdjustmentReason::NotSupplied => {
                let sent = self.sent_of(item).saturating_add(self.not_supplied(item));
                left.min(self.bought(item).saturating_sub(sent))
            }
            _ => left,
        }
    }
}

fn refund_key(reason: AdjustmentReason, key: &str) -> String {
    let of = if reason == AdjustmentReason::Withdrawn { "withdrawn" } else { "adjusted" };
    format!("{of}/{key}")
}
