//! Transfers back that stand in a file for the merchant's bank, and what its statement says of them.

use super::{Happened, OrderError, OrderRecord, RefundRecord, RefundState, Source, Step};
use crate::{rail::RefundOutcome, time::UnixTime};

impl OrderRecord {
    /// A transfer back stands in a file from now on, under the end-to-end id by which the bank's statement will tell of
    /// it. Nobody else carries it out.
    ///
    /// # Errors
    /// [`OrderError::NoAccount`] if it is no transfer, or nobody knows where to; [`OrderError::AlreadyRefunded`] if it
    /// stands in a file, is on its way otherwise, or is done.
    pub fn refund_filed(
        self,
        refund: RefundRecord,
        file: &str,
        end_to_end: String,
        now: UnixTime,
    ) -> Result<Step, OrderError> {
        if refund.by != Source::Transfer || refund.sealed_account.is_none() {
            return Err(OrderError::NoAccount);
        }
        let mut step = Step::of(self);
        let key = refund.key.clone();
        let refund = match refund.state {
            _ if refund.end_to_end.is_some() => return Err(OrderError::AlreadyRefunded),
            RefundState::Owed => {
                step.happened.push(Happened::RefundBegun { key: key.clone(), amount: refund.amount });
                RefundRecord { tries: refund.tries.saturating_add(1), begun_at: Some(now), ..refund }
            }
            RefundState::ByHand => refund,
            RefundState::Sending | RefundState::InDoubt | RefundState::Done => {
                return Err(OrderError::AlreadyRefunded);
            }
        };
        step.happened.push(Happened::RefundFiled { key, file: file.to_owned() });
        step.changed.push(RefundRecord { state: RefundState::ByHand, end_to_end: Some(end_to_end), ..refund });
        Ok(step)
    }

    /// The statement says that a transfer back has left the account; `number` is which time it was told to the bank.
    /// `Ok(None)` if that is known, also by the merchant's word.
    ///
    /// That it was done another time before is written down: money went back twice.
    ///
    /// # Errors
    /// Never for records that transitions made.
    pub fn refund_left(self, refund: RefundRecord, number: u32, now: UnixTime) -> Result<Option<Step>, OrderError> {
        let by_hand = refund.state == RefundState::Done && refund.done_by.is_none() && refund.tries == number;
        if by_hand { Ok(None) } else { self.refund_answered(refund, number, &RefundOutcome::Done, now) }
    }

    /// The statement says that a transfer back has come back: it is owed again, to an account that has to be named anew.
    /// `Ok(None)` if it is not the last time that is spoken of, or nothing was sent.
    ///
    /// # Errors
    /// Never for records that transitions made.
    pub fn refund_came_back(self, refund: RefundRecord, number: u32, reason: &str) -> Result<Option<Step>, OrderError> {
        let mut order = self;
        if refund.tries != number {
            return Ok(None);
        }
        match refund.state {
            RefundState::Done => {
                order.ledger.refunded = order.ledger.refunded.minus(refund.amount)?;
                order.ledger.owed = order.ledger.owed.plus(refund.amount)?;
            }
            RefundState::ByHand => {}
            RefundState::Owed | RefundState::Sending | RefundState::InDoubt => return Ok(None),
        }
        let happened = vec![Happened::RefundReturned {
            key: refund.key.clone(),
            amount: refund.amount,
            reason: reason.to_owned(),
        }];
        let refund = RefundRecord {
            state: RefundState::Owed,
            end_to_end: None,
            sealed_account: None,
            done_by: None,
            begun_at: None,
            ..refund
        };
        Ok(Some(Step { happened, changed: vec![refund], ..Step::of(order) }))
    }

    /// The bank did not take the file: the transfer back is owed as before, and may stand in another one.
    ///
    /// # Errors
    /// [`OrderError::NotInFile`] if it stands in none, or is done.
    pub fn refund_reopened(self, refund: RefundRecord) -> Result<Step, OrderError> {
        if refund.state != RefundState::ByHand || refund.end_to_end.is_none() {
            return Err(OrderError::NotInFile);
        }
        let happened = vec![Happened::RefundReopened { key: refund.key.clone() }];
        let refund = RefundRecord { state: RefundState::Owed, end_to_end: None, ..refund };
        Ok(Step { happened, changed: vec![refund], ..Step::of(self) })
    }
}
