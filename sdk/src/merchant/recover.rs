//! Coming back when everything else is lost: a code on paper, used once.
//!
//! A code is weaker than all that it brings back. So whoever uses it ends all sessions, what spends waits for days, and
//! whoever still has something stronger from before can undo it.

use std::{fmt, str::FromStr};

use super::{
    Customer, Merchant, SessionGrant,
    bind::{BindingEntry, NewBinding, Races, bound, passkey_of, unbound},
    customer_key, put,
    recognise::{Begin, Fate, Recognised, binding_key},
};
use crate::{
    customer::{Binding, BindingName, CustomerId, CustomerRecord, Rung},
    error::{Error, Refusal},
    history::Happened,
    merchant::BrowserProof,
    protocol::jose::sha256,
    store::{Expect, Write},
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
    /// [`Refusal::AcrossDevices`]; [`ProofError::Replayed`](crate::error::ProofError::Replayed).
    pub async fn make_recovery_code(&self, proof: &BrowserProof) -> Result<RecoveryCode, Error> {
        let merchant = self.merchant();
        let mut races = Races::of(&[]);
        loop {
            let step = async {
                let (record, version) = merchant.live_record(self.id()).await?;
                self.may_bind(&record, Rung::RecoveryCode)?;
                let (code, mut writes) = merchant.new_code(self.id(), None).await?;
                writes.push(proof.spent(merchant.now())?);
                writes.push(Write::check(customer_key(self.id()), Expect::Version(version)));
                merchant.commit_plain(&writes, merchant.now()).await?;
                Ok(code)
            };
            if let Some(outcome) = races.settled(step.await) {
                return outcome;
            }
        }
    }

    /// Undoes a recovery: whoever came back by the code was somebody else. What was added since then is taken away, the
    /// sessions of the recovered browser end, and nothing waits any more.
    ///
    /// # Errors
    /// [`Refusal::NothingToUndo`] if there was none lately; [`Refusal::StepUp`] unless a strong binding from before the
    /// recovery was shown in the last minutes; [`ProofError::Replayed`](crate::error::ProofError::Replayed).
    pub async fn undo_recovery(&self, proof: &BrowserProof) -> Result<(), Error> {
        let merchant = self.merchant();
        let mut races = Races::of(&[]);
        loop {
            let step = async {
                let now = merchant.now();
                let (record, version) = merchant.live_record(self.id()).await?;
                let limits = merchant.limits();
                record.cooling_until(limits.cool_down_s, now).ok_or(Refusal::NothingToUndo)?;
                let recovered_at = record.recovered_at.ok_or(Refusal::NothingToUndo)?;
                let is_older = self.record().rung_since.is_some_and(|since| since < recovered_at);
                if !(is_older && self.record().is_sure(Rung::Did, limits.step_up_s, now)) {
                    return Err(Refusal::StepUp { age_s: limits.step_up_s }.into());
                }
                let mut writes = vec![proof.spent(now)?];
                let mut ladder = Rung::BrowserKey;
                for (name, entry) in merchant.walk::<BindingEntry>(self.id()).await? {
                    if entry.since >= recovered_at && name != self.record().key {
                        writes.extend(unbound(&BindingName::stored(&name), self.id()));
                        writes.extend(passkey_of(&name).map(|key| Write::delete(key, Expect::Any)));
                    } else {
                        ladder = ladder.max(entry.rung);
                    }
                }
                writes.push(merchant.note(self.id(), Happened::RecoveryUndone)?);
                let record = CustomerRecord { recovered_at: None, ladder, ..record };
                writes.push(put(customer_key(self.id()), &record, None, Expect::Version(version))?);
                merchant.commit_plain(&writes, now).await
            };
            if let Some(outcome) = races.settled(step.await) {
                return outcome;
            }
        }
    }
}

impl Customer {
    /// A recovery code that the merchant's staff hands out, to somebody whom they know by other means: good for a quarter of
    /// an hour. The customer's history says so. Let only who may do this reach it, and write down who did and why.
    ///
    /// # Errors
    /// [`Error::Unavailable`] if the store does not answer.
    pub async fn hand_out_recovery_code(&self) -> Result<RecoveryCode, Error> {
        let merchant = self.merchant();
        let until = merchant.now().plus_s(BY_STAFF_S);
        let mut races = Races::of(&[]);
        loop {
            let step = async {
                let (code, writes) = merchant.new_code(self.id(), Some(until)).await?;
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
    /// A new code in the place of earlier ones.
    async fn new_code(
        &self,
        customer: &CustomerId,
        expires_at: Option<UnixTime>,
    ) -> Result<(RecoveryCode, Vec<Write>), Error> {
        let now = self.now();
        let code = RecoveryCode::from_random(self.random());
        let mut writes = vec![self.note(customer, Happened::RecoveryCodeMade)?];
        for (name, _) in
            self.walk::<BindingEntry>(customer).await?.iter().filter(|(_, entry)| entry.rung == Rung::RecoveryCode)
        {
            writes.extend(unbound(&BindingName::stored(name), customer));
        }
        let new = NewBinding { name: code.name(), rung: Rung::RecoveryCode, did: None, label: None, expires_at };
        writes.extend(bound(&new, customer, now)?);
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
        loop {
            let step = async {
                let now = self.now();
                let (binding, version) = self.binding(&code.name()).await?.ok_or(Refusal::NotRecognised)?;
                let found = self.resolved(&binding.customer).await?.ok_or(Refusal::NotRecognised)?;
                let (customer, record, record_version) = found;
                let Some(mut writes) = self.arrive(browser, &customer, Rung::RecoveryCode, false).await? else {
                    // Nothing is merged by a code: it is weaker than what it would join.
                    return Err(Refusal::AnotherCustomer.into());
                };
                writes.push(browser.spent(now)?);
                let mut signed_out = Vec::new();
                let [used, entry] = unbound(&code.name(), &customer);
                writes.extend([Write::delete(used.key().clone(), Expect::Version(version)), entry]);
                for (name, entry) in self.walk::<BindingEntry>(&customer).await? {
                    if entry.rung != Rung::BrowserKey || name == browser.key_name() {
                        continue;
                    }
                    if let Some((binding, version)) = self.binding(&BindingName::stored(&name)).await? {
                        let locked = Binding { locked: true, ..binding };
                        writes.push(put(binding_key(&name), &locked, None, Expect::Version(version))?);
                        signed_out.push(name);
                    }
                }
                writes.push(self.note(&customer, Happened::Recovered)?);
                let record = CustomerRecord { recovered_at: Some(now), ..record };
                writes.push(put(customer_key(&customer), &record, None, Expect::Version(record_version))?);
                let begin = Begin {
                    rung: Rung::RecoveryCode,
                    rung_at: Some(now),
                    rung_since: Some(binding.since),
                    ..Begin::default()
                };
                let grant = self.begin(browser, &customer, &begin, None, writes).await?;
                // Their pages hear of it, and no session or cookie of before comes back when such a key is opened again.
                for key in signed_out {
                    if let Err(error) = self.end_key(&customer, &key, Fate::Locked, None).await {
                        tracing::warn!(%error, "what a recovery signed out left sessions behind");
                    }
                }
                Ok(grant)
            };
            if let Some(outcome) = races.settled(step.await) {
                return outcome;
            }
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
