//! An attempt that waits for the customer's wallet, and what becomes of it.

use super::{Attempt, Happened, OrderError, OrderRecord, OrderState, Step};
use crate::{money::Money, rail::Outcome, time::UnixTime};

impl OrderRecord {
    /// The attempt on this rail that waits for the customer's wallet.
    ///
    /// # Errors
    /// If there is none: the order is paid, over, in doubt, authorised already, or being paid in another way;
    /// [`OrderError::NoSuchAttempt`] if the last one was declined.
    pub(crate) fn awaiting(&self, rail: &str) -> Result<&Attempt, OrderError> {
        match self.state {
            OrderState::Paying => {}
            OrderState::Authorised => return Err(OrderError::PaymentUnderWay),
            OrderState::Paid => return Err(OrderError::AlreadyPaid),
            OrderState::Unknown => return Err(OrderError::PaymentInDoubt),
            OrderState::Cancelled | OrderState::Expired => return Err(OrderError::Over(self.state)),
            OrderState::Placed | OrderState::Declined => {
                return Err(OrderError::NoSuchAttempt(self.last_attempt().map_or(0, |last| last.number)));
            }
        }
        let waits = |it: &&Attempt| it.rail == rail && matches!(it.outcome, None | Some(Outcome::Pending));
        self.last_attempt().filter(waits).ok_or(OrderError::PaymentUnderWay)
    }

    /// The customer's wallet has signed for the attempt that waits for it.
    ///
    /// # Errors
    /// As [`awaiting`](Self::awaiting); [`OrderError::NoSuchAttempt`] if another one waits by now;
    /// [`OrderError::OtherAmount`].
    pub(crate) fn authorised(self, rail: &str, attempt: u32, amount: Money, now: UnixTime) -> Result<Step, OrderError> {
        let order = self.caught_up(now)?.order;
        if order.awaiting(rail)?.number != attempt {
            return Err(OrderError::NoSuchAttempt(attempt));
        }
        order.answered(attempt, amount, Outcome::Authorised { until: None }, now)?.ok_or(OrderError::PaymentUnderWay)
    }

    /// What was said to authorise an attempt was refused: written down, and nothing else.
    pub(crate) fn authorisation_refused(self, attempt: u32, code: &str) -> Step {
        let happened = vec![Happened::AuthorisationRefused { attempt, code: code.to_owned() }];
        Step { happened, ..Step::of(self) }
    }

    /// Whether an attempt that was authorised may be executed: not if the order is over, or being paid in another way.
    pub(crate) fn may_be_executed(&self, attempt: u32) -> bool {
        let authorised = |it: &Attempt| it.number == attempt && matches!(it.outcome, Some(Outcome::Authorised { .. }));
        self.state == OrderState::Authorised && self.last_attempt().is_some_and(authorised)
    }
}
