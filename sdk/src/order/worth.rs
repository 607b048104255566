//! What goes back for a withdrawal, for the merchant to start from: what was paid for it, less what went back before.
//!
//! The merchant reimburses all that they received, the costs of delivery included (Directive 2011/83/EU, Article 13(1)), and
//! so once: however many withdrawals an order has, and whatever was given back of it otherwise, their worths together are
//! never more than what is still settled.

use super::{
    AdjustmentReason, AdjustmentRecord, OrderError, OrderRecord, WithdrawalRecord,
    after::{AfterError, Part, count_of},
};
use crate::{
    money::{Money, MoneyError},
    time::UnixTime,
};

/// Units of an item in the order in which they are given up: from the first one to before the last one.
#[derive(Clone, Copy)]
struct Span {
    from: u32,
    to: u32,
}

impl OrderRecord {
    /// What a withdrawal is worth:
    ///
    /// - the prices of what it names as they were paid, tax on top included. For an item that was sold at several prices, its
    ///   lines count from the first, each unit once;
    /// - less what was let off of these things [afterwards](Self::adjusted): evenly over what the customer kept of an item
    ///   then;
    /// - with the delivery, once nothing of the order is kept: it goes back with the last withdrawal, and with no other. What
    ///   an express way cost beyond the cheapest usual one is the merchant's to deduct (Article 13(2));
    /// - at most what is still settled, less what those are worth that were stated before and wait, too.
    ///
    /// A withdrawal that is settled is worth what it was settled for; one of an order that is over is worth nothing, since
    /// all that was paid of that is owed back already.
    ///
    /// # Errors
    /// [`OrderError::After`] if there is no such withdrawal.
    pub fn withdrawal_worth(&self, key: &str) -> Result<Money, OrderError> {
        let settled = |it: &&AdjustmentRecord| it.reason == AdjustmentReason::Withdrawn && it.key == key;
        if let Some(settled) = self.after.adjustments.iter().find(settled) {
            return Ok(settled.amount);
        }
        let stated = &self.after.withdrawals;
        let mut left = self.ledger.settled()?;
        for (index, one) in stated.iter().enumerate().filter(|(_, it)| !self.is_adjusted(&it.key)) {
            let mut worth = Money::zero(self.total.currency());
            for part in &one.lines {
                worth = worth.plus(self.paid_for(part, index, one)?)?;
            }
            if index + 1 == stated.len() && self.keeps_nothing() {
                worth = worth.plus(self.delivery_paid()?)?;
            }
            worth = worth.at_most(left)?;
            if one.key == key {
                return Ok(worth);
            }
            left = left.minus(worth)?;
        }
        Err(AfterError::NoSuchWithdrawal.into())
    }

    /// What was paid for a part of a withdrawal, less what was let off of it afterwards. `index` is the withdrawal's place.
    fn paid_for(&self, part: &Part, index: usize, stated: &WithdrawalRecord) -> Result<Money, OrderError> {
        let item = &part.item;
        let from = self.withdrawn_before(item, index).saturating_add(self.taken_back_by(item, stated.at));
        let span = Span { from, to: from.saturating_add(part.quantity.count()) };
        let mut paid = self.price_of(item, span)?;
        let cheaper = |it: &&AdjustmentRecord| !it.reason.gives_up() && count_of(&it.lines, item) > 0;
        for made_cheaper in self.after.adjustments.iter().filter(cheaper) {
            paid = less(paid, self.let_off(made_cheaper, item, span)?)?;
        }
        Ok(paid)
    }

    /// What the delivery cost, tax on top included.
    fn delivery_paid(&self) -> Result<Money, OrderError> {
        let mut paid = Money::zero(self.total.currency());
        if let Some(carriage) = &self.carriage {
            paid = paid.plus(carriage.amount)?;
            if let Some(tax) = carriage.tax.filter(|tax| !tax.included) {
                paid = paid.plus(tax.amount)?;
            }
        }
        Ok(paid)
    }

    /// What these units of an item cost, from its first line on.
    fn price_of(&self, item: &str, span: Span) -> Result<Money, OrderError> {
        let mut price = Money::zero(self.total.currency());
        let mut begin = 0_u32;
        for line in self.lines.iter().filter(|line| line.item == item) {
            let count = line.quantity.count();
            let on_top = line.tax.filter(|tax| !tax.included).map_or(Money::zero(price.currency()), |tax| tax.amount);
            let whole = line.amount()?.plus(on_top)?;
            let within = |unit: u32| unit.saturating_sub(begin).min(count);
            price = price.plus(share(whole, Span { from: within(span.from), to: within(span.to) }, count)?)?;
            begin = begin.saturating_add(count);
        }
        Ok(price)
    }

    /// What an adjustment let off of these units of an item: evenly over those that the customer kept then.
    fn let_off(&self, adjustment: &AdjustmentRecord, item: &str, span: Span) -> Result<Money, OrderError> {
        let mut weights = Vec::with_capacity(adjustment.lines.len());
        for part in &adjustment.lines {
            let price = self.price_of(&part.item, Span { from: 0, to: self.bought(&part.item) })?.minor();
            // What one costs on the average, times how many it is about: what is left over does not matter for a weight.
            let weight = u64::try_from(price).unwrap_or_default() / u64::from(self.bought(&part.item).max(1));
            weights.push(weight.saturating_mul(u64::from(part.quantity.count())));
        }
        if weights.iter().all(|weight| *weight == 0) {
            weights = adjustment.lines.iter().map(|part| u64::from(part.quantity.count())).collect();
        }
        let shares = adjustment.amount.allocate(&weights)?;
        let mut of_item = adjustment.lines.iter().zip(shares).filter(|(part, _)| part.item == item);
        let Some((_, amount)) = of_item.next() else { return Ok(Money::zero(self.total.currency())) };
        let gone = self.given_up_before(item, adjustment);
        let kept = self.bought(item).saturating_sub(gone);
        let within = |unit: u32| unit.saturating_sub(gone).min(kept);
        share(amount, Span { from: within(span.from), to: within(span.to) }, kept)
    }

    /// How many of an item the withdrawals before this one named.
    fn withdrawn_before(&self, item: &str, index: usize) -> u32 {
        let before = self.after.withdrawals.iter().take(index);
        before.fold(0, |sum, it| sum.saturating_add(count_of(&it.lines, item)))
    }

    /// How many of an item the merchant had taken back or not supplied by then.
    fn taken_back_by(&self, item: &str, at: UnixTime) -> u32 {
        let taken = self.after.adjustments.iter().filter(|it| takes_back(it) && it.at <= at);
        taken.fold(0, |sum, it| sum.saturating_add(count_of(&it.lines, item)))
    }

    /// How many of an item were given up before an adjustment. Of the same second, the adjustment counts as the first: so it
    /// is not forgotten.
    fn given_up_before(&self, item: &str, adjustment: &AdjustmentRecord) -> u32 {
        let withdrawn = self.after.withdrawals.iter().filter(|it| it.at < adjustment.at).map(|it| &it.lines);
        let earlier = self.after.adjustments.iter().take_while(|it| *it != adjustment);
        let taken = earlier.filter(|it| takes_back(it)).map(|it| &it.lines);
        withdrawn.chain(taken).fold(0, |sum, lines| sum.saturating_add(count_of(lines, item)))
    }
}

/// Whether the merchant took something back by it, and no withdrawal is settled by it.
fn takes_back(adjustment: &AdjustmentRecord) -> bool {
    adjustment.reason.gives_up() && adjustment.reason != AdjustmentReason::Withdrawn
}

/// What falls on these of `count` equal units. Over spans that adjoin, the shares add up to the whole.
fn share(whole: Money, span: Span, count: u32) -> Result<Money, OrderError> {
    let up_to = |unit: u32| -> Result<Money, OrderError> {
        if count == 0 {
            return Ok(Money::zero(whole.currency()));
        }
        let shares = whole.allocate(&[u64::from(unit), u64::from(count.saturating_sub(unit))])?;
        shares.into_iter().next().ok_or(OrderError::Money(MoneyError::NoWeights))
    };
    Ok(up_to(span.to)?.minus(up_to(span.from)?)?)
}

/// What is left of an amount, and nothing if more is taken.
fn less(amount: Money, taken: Money) -> Result<Money, OrderError> {
    Ok(amount.minus(taken.at_most(amount)?)?)
}
