//! Whoever executes payments that wallets authorised, as a test says: at once, later, silently, or not at all.

use std::{
    collections::{BTreeMap, VecDeque},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use crate::{
    order::OrderId,
    rail::{
        Outcome,
        wallet::{Evidence, Executor, Inquired},
    },
};

/// An executor for tests. A clone is the same one: it remembers what it really got, whatever it said.
///
/// ```
/// use firsthand::testing::{FakeExecutor, Handling};
///
/// let bank = FakeExecutor::new();
/// bank.next(Handling::LosesIt); // the first payment; all others are pending until a test decides
/// ```
#[derive(Clone, Debug, Default)]
pub struct FakeExecutor(Arc<Mutex<State>>);

/// What becomes of one payment that is handed over.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Handling {
    /// It gets it, and says this.
    Says(Outcome),
    /// It gets it, and says that it does not know.
    Forgets,
    /// It gets it, and never answers.
    Hangs,
    /// It never gets it, and nobody knows.
    LosesIt,
}

#[derive(Debug, Default)]
struct State {
    handling: VecDeque<Handling>,
    payments: BTreeMap<(OrderId, u32), (Evidence, Outcome)>,
    calls: usize,
}

impl FakeExecutor {
    /// An executor that gets what it is handed, and is at it.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// What becomes of the next payment. Said several times, one after the other.
    pub fn next(&self, handling: Handling) {
        self.state().handling.push_back(handling);
    }

    /// Decides about a payment that it has.
    pub fn decide(&self, order: &OrderId, attempt: u32, outcome: Outcome) {
        if let Some((_, known)) = self.state().payments.get_mut(&(order.clone(), attempt)) {
            *known = outcome;
        }
    }

    /// What it has of an attempt.
    #[must_use]
    pub fn evidence(&self, order: &OrderId, attempt: u32) -> Option<Evidence> {
        self.state().payments.get(&(order.clone(), attempt)).map(|(evidence, _)| evidence.clone())
    }

    /// How often something was handed over, also in vain.
    #[must_use]
    pub fn calls(&self) -> usize {
        self.state().calls
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Executor for FakeExecutor {
    async fn submit(&self, evidence: &Evidence) -> Outcome {
        let said = {
            let mut state = self.state();
            state.calls += 1;
            let key = (evidence.order.clone(), evidence.attempt);
            if let Some((_, known)) = state.payments.get(&key) {
                return known.clone();
            }
            let handling = state.handling.pop_front().unwrap_or(Handling::Says(Outcome::Pending));
            let gets = |outcome: Outcome| drop(state.payments.insert(key, (evidence.clone(), outcome)));
            match handling {
                Handling::Says(outcome) => {
                    gets(outcome.clone());
                    Some(outcome)
                }
                Handling::Forgets => {
                    gets(Outcome::Pending);
                    Some(Outcome::Unknown)
                }
                Handling::Hangs => {
                    gets(Outcome::Pending);
                    None
                }
                Handling::LosesIt => Some(Outcome::Unknown),
            }
        };
        match said {
            Some(outcome) => outcome,
            None => std::future::pending().await,
        }
    }

    async fn inquire(&self, order: &OrderId, attempt: u32) -> Inquired {
        match self.state().payments.get(&(order.clone(), attempt)) {
            Some((_, outcome)) => Inquired::Known(outcome.clone()),
            None => Inquired::NotHere,
        }
    }
}
