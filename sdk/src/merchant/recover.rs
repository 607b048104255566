//! Coming back when everything else is lost: a code on paper, used once.
//!
//! A code is weaker than all that it brings back. So whoever uses it ends all sessions, what spends waits for days, and
//! whoever still has something stronger from before can undo it.

use std::{fmt, str::FromStr};

use super::{
    Customer, Merchant, SessionGrant,
    bind::{NewBinding, Races, Shown, bound},
    held::{Act, Held, HeldBinding, also},
    recognise::{Begin, Recognised, binding_key},
};
use crate::{
    customer::{Binding, BindingName, CustomerId, CustomerRecord, Rung},
    error::{Error, Refusal},
    history::Happened,
    merchant::BrowserProof,
    protocol::jose::sha256,
    store::Write,
    time::UnixTime,
};

/// How long a code holds that the merchant's staff hands out, in seconds: for a customer who is at the telephone.
const BY_STAFF_S: u64 = 15 * 60;

/// A recovery code: 120 random bits, written as six groups of four letters and digits (Crockford's base 32), for paper.
///
/// The store holds its digest alone: this is the only place where it is.
#[derive(Clone, PartialEq, Eq)]
pub struct RecoveryCode([u8; 15]);

/// A text that is not a recovery code.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a recovery code: six groups of four letters and digits")]
pub struct NotARecoveryCode;

/// Without I, L, O and U, which are read as something else.
const LETTERS: &[u8; 32] = b"0123456789ABCDEFGHJKMNPQRSTVWXYZ";

impl RecoveryCode {
    /// The code that these random bytes make.
    #[must_use]
    pub const fn from_random(bytes: [u8; 15]) -> Self {
        Self(bytes)
    }

    /// As it is written down.
    #[must_use]
    pub fn reveal(&self) -> String {
        let mut text = String::with_capacity(29);
        for (place, five) in self.0.chunks_exact(5).flat_map(five_bits).enumerate() {
            if place > 0 && place % 4 == 0 {
                text.push('-');
            }
            text.extend(LETTERS.get(usize::from(five)).map(|letter| char::from(*letter)));
        }
        text
    }

    fn name(&self) -> BindingName {
        BindingName::recovery_code(sha256(&self.0))
    }
}

impl FromStr for RecoveryCode {
    type Err = NotARecoveryCode;

    /// However it was typed: in small letters, without dashes, with an O for a zero.
    fn from_str(text: &str) -> Result<Self, NotARecoveryCode> {
        if text.len() > 64 {
            return Err(NotARecoveryCode);
        }
        let mut fives = Vec::with_capacity(24);
        for letter in text.chars().filter(|c| !c.is_whitespace() && *c != '-') {
            let letter = match letter.to_ascii_uppercase() {
                'O' => '0',
                'I' | 'L' => '1',
                other => other,
            };
            let five = LETTERS.iter().position(|known| char::from(*known) == letter).ok_or(NotARecoveryCode)?;
            fives.push(u64::try_from(five).map_err(|_| NotARecoveryCode)?);
        }
        if fives.len() != 24 {
            return Err(NotARecoveryCode);
        }
        let mut bytes = Vec::with_capacity(15);
        for eight in fives.chunks_exact(8) {
            let forty = eight.iter().fold(0_u64, |all, five| (all << 5) | five);
            bytes.extend(forty.to_be_bytes().into_iter().skip(3));
        }
        Ok(Self(bytes.try_into().map_err(|_| NotARecoveryCode)?))
    }
}

impl fmt::Debug for RecoveryCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("RecoveryCode([redacted])")
    }
}

/// Five bytes as eight times five bits.
fn five_bits(five: &[u8]) -> [u8; 8] {
    let forty = five.iter().fold(0_u64, |all, byte| (all << 8) | u64::from(*byte));
    std::array::from_fn(|place| {
        let shift = 35_usize.saturating_sub(5 * place);
        u8::try_from((forty >> shift) & 31).unwrap_or_default()
    })
}

impl Recognised {
    /// Makes a recovery code; an earlier one is void. Show it once, to be written down.
    ///
    /// # Errors
    /// [`Refusal::StepUp`] if the record has a strong binding that was not shown in the last minutes;
    /// [`Refusal::CoolingDown`] after a recovery, unless that is older; [`Refusal::AcrossDevices`];
    /// [`ProofError::Replayed`](crate::error::ProofError::Replayed).
    pub async fn make_recovery_code(&self, proof: &BrowserProof) -> Result<RecoveryCode, Error> {
        let merchant = self.merchant();
        let mut races = Races::of(&[]);
        loop {
            let step = async {
                let held = self.may(Act::Change).await?;
                // Whoever uses a code signs out everybody else.
                self.came_after_all(&held)?;
                let (code, mut writes) = merchant.new_code(&held, self.acts(&held), None)?;
                writes.push(proof.spent(merchant.now())?);
                merchant.commit_plain(&writes, merchant.now()).await?;
                Ok(code)
            };
            if let Some(outcome) = races.settled(step.await) {
                return outcome;
            }
        }
    }

    /// Undoes a recovery: whoever came back by the code was somebody else. What was added since then is taken away, every
    /// other browser is signed out, and nothing waits any more.
    ///
    /// # Errors
    /// [`Refusal::NothingToUndo`] if there was none lately; [`Refusal::StepUp`] unless a strong binding from before the
    /// recovery was shown in the last minutes; [`ProofError::Replayed`](crate::error::ProofError::Replayed).
    pub async fn undo_recovery(&self, proof: &BrowserProof) -> Result<(), Error> {
        let merchant = self.merchant();
        let mut races = Races::of(&[]);
        let thrown_out = loop {
            let step = async {
                let now = merchant.now();
                let limits = merchant.limits();
                let held = merchant.held(self.id()).await?;
                held.record.cooling_until(limits.cool_down_s, now).ok_or(Refusal::NothingToUndo)?;
                let first = held.record.cooling_since.ok_or(Refusal::NothingToUndo)?;
                if self.shown(&held).is_none() || !self.is_from_before(&held) {
                    return Err(Refusal::StepUp { age_s: limits.step_up_s }.into());
                }
                let mut writes = vec![proof.spent(now)?];
                let mut thrown_out = Vec::new();
                for other in held.bindings.iter().filter(|other| other.name.as_str() != self.record().key) {
                    if other.binding.theirs_since() >= first {
                        also(&mut writes, other.gone()?);
                    } else if other.binding.rung == Rung::BrowserKey && !other.binding.locked {
                        // It may be one that the code opened again.
                        writes.push(other.closed()?);
                    } else {
                        continue;
                    }
                    thrown_out.push(other.name.as_str().to_owned());
                }
                writes.push(merchant.note(self.id(), Happened::RecoveryUndone)?);
                let record = CustomerRecord { recovered_at: None, cooling_since: None, ..held.record.clone() };
                writes.push(held.saved(&record)?);
                merchant.commit_plain(&writes, now).await?;
                Ok(thrown_out)
            };
            if let Some(outcome) = races.settled(step.await) {
                break outcome?;
            }
        };
        merchant.ended(self.id(), &thrown_out).await;
        Ok(())
    }
}

impl Customer {
    /// A recovery code that the merchant's staff hands out, to somebody whom they know by other means: good for a quarter of
    /// an hour, beside the one on the customer's own paper. The customer's history says so. Let only who may do this reach
    /// it, and write down who did and why.
    ///
    /// # Errors
    /// [`ProofError::Token`](crate::error::ProofError::Token) if the customer was forgotten meanwhile;
    /// [`Error::Unavailable`] if the store does not answer.
    pub async fn hand_out_recovery_code(&self) -> Result<RecoveryCode, Error> {
        let merchant = self.merchant();
        let until = merchant.now().plus_s(BY_STAFF_S);
        let mut races = Races::of(&[]);
        loop {
            let step = async {
                let held = merchant.held(self.id()).await?;
                let (code, writes) = merchant.new_code(&held, None, Some(until))?;
                merchant.commit_plain(&writes, merchant.now()).await?;
                Ok(code)
            };
            if let Some(outcome) = races.settled(step.await) {
                return outcome;
            }
        }
    }
}

impl Merchant {
    /// A new code, which `by` adds or else the staff, in the place of an earlier one of its kind: what the staff hands out
    /// does not void the customer's paper. Nor does one of two records that can be taken apart again void the other's.
    fn new_code(
        &self,
        held: &Held,
        by: Option<&Binding>,
        expires_at: Option<UnixTime>,
    ) -> Result<(RecoveryCode, Vec<Write>), Error> {
        let now = self.now();
        let code = RecoveryCode::from_random(self.random());
        let happened = if by.is_some() { Happened::RecoveryCodeMade } else { Happened::RecoveryCodeHandedOut };
        let mut writes = vec![self.note(&held.id, happened)?];
        let can_be_parted = held.can_be_parted(self.0.limits.merge_undo_s, now);
        let is_of_the_same = |other: &HeldBinding| !can_be_parted || by.is_none_or(|by| by.from == other.binding.from);
        let is_earlier = |other: &&HeldBinding| {
            other.binding.rung == Rung::RecoveryCode
                && other.binding.expires_at.is_some() == expires_at.is_some()
                && is_of_the_same(other)
        };
        for earlier in held.bindings.iter().filter(is_earlier) {
            writes.extend(earlier.gone()?);
        }
        let new = NewBinding { name: code.name(), rung: Rung::RecoveryCode, did: None, label: None, expires_at };
        writes.extend(bound(&new, &held.id, by, now)?);
        writes.push(held.saved(&held.record)?);
        Ok((code, writes))
    }

    /// Comes back by a recovery code, which is used up: this browser's key joins the record, every other browser's key is
    /// signed out, and what spends waits for [`Limits::cool_down_s`](crate::limits::Limits::cool_down_s).
    ///
    /// # Errors
    /// [`Refusal::NotRecognised`] for a code that is nobody's, or not any more; [`Refusal::AnotherCustomer`] if this
    /// browser's key is another customer's: begin with a new key;
    /// [`ProofError::Replayed`](crate::error::ProofError::Replayed).
    pub async fn recover(&self, browser: &BrowserProof, code: &RecoveryCode) -> Result<SessionGrant, Error> {
        let mut races = Races::of(&[]);
        let (grant, signed_out) = loop {
            let step = async {
                let now = self.now();
                let (binding, _) = self.binding(&code.name()).await?.ok_or(Refusal::NotRecognised)?;
                let held = match self.held(&binding.customer).await {
                    Err(Error::Proof(_)) => return Err(Refusal::NotRecognised.into()),
                    other => other?,
                };
                let used = held.find(&code.name()).ok_or(Refusal::NotRecognised)?;
                let shown = Shown { name: code.name(), rung: Rung::RecoveryCode, did: None };
                let known = self.binding_of(browser).await?;
                let Some(mut writes) = self.arrive(browser, known, &held.id, Some(&shown), false).await? else {
                    // Nothing is merged by a code: it is weaker than what it would join.
                    return Err(Refusal::AnotherCustomer.into());
                };
                writes.push(browser.spent(now)?);
                writes.extend(used.gone()?);
                let mut signed_out = Vec::new();
                let is_open = |other: &&HeldBinding| other.binding.rung == Rung::BrowserKey && !other.binding.locked;
                for other in held.bindings.iter().filter(is_open) {
                    // Its own key is opened just now, and a key may have gone to make room for it.
                    let key = binding_key(other.name.as_str());
                    if other.name.as_str() != browser.key_name() && !writes.iter().any(|write| *write.key() == key) {
                        writes.push(other.closed()?);
                        signed_out.push(other.name.as_str().to_owned());
                    }
                }
                writes.push(self.note(&held.id, Happened::Recovered)?);
                // Who recovers again while it cools down gains nothing by that.
                let is_cooling = held.record.cooling_until(self.0.limits.cool_down_s, now).is_some();
                let cooling_since = held.record.cooling_since.filter(|_| is_cooling).or(Some(now));
                let record = CustomerRecord { recovered_at: Some(now), cooling_since, ..held.record.clone() };
                writes.push(held.saved(&record)?);
                let begin = Begin { rung: Rung::RecoveryCode, rung_at: Some(now), ..Begin::default() };
                let grant = self.begin(browser, &held.id, &begin, None, writes, now).await?;
                Ok((grant, signed_out))
            };
            if let Some(outcome) = races.settled(step.await) {
                break outcome?;
            }
        };
        self.ended(&grant.customer, &signed_out).await;
        Ok(grant)
    }

    /// Wakes the open pages of keys that lead nowhere any more, and clears away what their sessions left behind.
    pub(super) async fn ended(&self, customer: &CustomerId, keys: &[String]) {
        for key in keys {
            self.tell_key(key);
            self.erase_sessions(customer, key).await;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_code_is_read_however_it_was_typed() {
        for bytes in [[0; 15], [0xff; 15], *b"fifteen bytes!!"] {
            let code = RecoveryCode::from_random(bytes);
            let text = code.reveal();
            assert_eq!(text.len(), 29, "{text}");
            assert_eq!(text.parse(), Ok(code.clone()));
            assert_eq!(text.to_lowercase().replace('-', " ").replace('0', "o").parse(), Ok(code));
        }
        for bad in ["", "0000", "0000-0000-0000-0000-0000-000U", "0000-0000-0000-0000-0000-0000-0", "ä"] {
            assert_eq!(bad.parse::<RecoveryCode>(), Err(NotARecoveryCode), "{bad}");
        }
    }
}
