//! Money that goes back: why, how much, to whom, and how far it has come.

use serde::{Deserialize, Serialize};
use zeroize::Zeroize;

use super::Source;
use crate::{
    money::Money,
    rail::{
        Iban,
        sepa::{self, SepaError},
    },
    store::Persisted,
    time::UnixTime,
};

/// An amount that goes back, as stored beside its order.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct RefundRecord {
    /// Its name within the order: says what caused it, so that a cause has its effect once.
    pub key: String,
    /// Why.
    pub reason: RefundReason,
    /// By which way the money came, and goes back.
    pub by: Source,
    /// How much.
    pub amount: Money,
    /// How far it has come.
    pub state: RefundState,
    /// How often the rail was told.
    pub tries: u32,
    /// Which time of telling the rail says that it did.
    pub done_by: Option<u32>,
    /// When it was told last.
    pub begun_at: Option<UnixTime>,
    /// The account it goes to, sealed; none if nobody has named it.
    pub sealed_account: Option<String>,
    /// The name of the transfer in a file for the merchant's bank that carries it out; none while it stands in none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub end_to_end: Option<String>,
}

impl RefundRecord {
    pub(super) const fn owed(key: String, reason: RefundReason, by: Source, amount: Money) -> Self {
        Self {
            key,
            reason,
            by,
            amount,
            state: RefundState::Owed,
            tries: 0,
            done_by: None,
            begun_at: None,
            sealed_account: None,
            end_to_end: None,
        }
    }
}

impl Persisted for RefundRecord {
    const KIND: &'static str = "order_refund";
    const SCHEMA: u16 = 1;
}

/// Why money goes back.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum RefundReason {
    /// It came too much, twice, or too late.
    Overpaid,
    /// The order was cancelled or has expired, and a part had been paid.
    OrderEnded,
    /// The merchant decided so.
    Requested,
}

/// How far a refund has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum RefundState {
    /// Nobody has begun.
    Owed,
    /// The rail is being told.
    Sending,
    /// The rail is at it, or nobody knows whether it is: it is asked, and not told again.
    InDoubt,
    /// The merchant has to carry it out, and to say so.
    ByHand,
    /// It is done.
    Done,
}

/// An account that money goes back to.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BankAccount {
    holder: String,
    iban: Iban,
}

impl BankAccount {
    /// The account of somebody: 1 to 70 letters, digits, spaces within, and `/ - ? : ( ) . , ' + &`.
    ///
    /// # Errors
    /// [`SepaError::Payee`] for a name that no transfer takes.
    pub fn new(holder: impl Into<String>, iban: Iban) -> Result<Self, SepaError> {
        let holder = holder.into();
        sepa::check_name(&holder)?;
        Ok(Self { holder, iban })
    }

    /// The account of a payer, by the name that stands on a statement: what no transfer takes is left out of it.
    #[must_use]
    pub fn from_statement(holder: &str, iban: Iban) -> Self {
        Self { holder: sepa::fitting_name(holder), iban }
    }

    /// Whose it is.
    #[must_use]
    pub fn holder(&self) -> &str {
        &self.holder
    }

    /// Its number.
    #[must_use]
    pub const fn iban(&self) -> &Iban {
        &self.iban
    }
}

impl std::fmt::Debug for BankAccount {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("BankAccount([redacted])")
    }
}

impl Drop for BankAccount {
    fn drop(&mut self) {
        self.holder.zeroize();
    }
}
