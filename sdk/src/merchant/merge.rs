//! Two records that turn out to be one customer, joined by whoever has just proved both, and taken apart again.
//!
//! The record that goes leaves a tombstone, so that its name leads to the other one for ever. What was stored under it stays
//! there (orders, kept values, what was let off once), so that undoing is one commit as well.

use serde::{Deserialize, Serialize};

use super::{
    Customer, Merchant,
    bind::{BindingEntry, binding_entry},
    customer_key,
    held::{Act, Held, HeldBinding, room},
    put,
    recognise::{Recognised, SessionEntry, binding_key, kept_key, of_customer, session_of},
};
use crate::{
    customer::{Binding, BindingName, CustomerEvent, CustomerId, CustomerRecord, Kept, Merged, Rung},
    error::{Error, ProofError, Refusal},
    history::Happened,
    merchant::{BrowserProof, bind::Races},
    store::{Expect, Key, Persisted, Version, Write},
    time::UnixTime,
};

/// How many records may have become one.
const MERGED_MAX: usize = 8;

/// What a browser's key has shown that is another customer's: one a key, for some minutes.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct MergeOffer {
    /// Whose it is.
    pub(super) shown: CustomerId,
    /// What was shown.
    pub(super) by: BindingName,
    /// How strong that is.
    pub(super) rung: Rung,
    /// When.
    pub(super) at: UnixTime,
}

impl Persisted for MergeOffer {
    const KIND: &'static str = "merge_offer";
    const SCHEMA: u16 = 1;
}

/// That this browser showed what another record of the shop is recognised by: both may be the same person.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MergeOffered {
    /// What was shown.
    pub rung: Rung,
    /// When.
    pub at: UnixTime,
    /// Since when the shop knows the other one.
    pub since: UnixTime,
}

impl Merchant {
    /// The write that remembers what a browser's key has shown of another customer.
    pub(super) fn merge_offer(&self, browser: &BrowserProof, offer: &MergeOffer) -> Result<Write, Error> {
        let until = offer.at.plus_s(self.0.limits.step_up_s);
        Ok(put(offer_key(&browser.key_name()), offer, Some(until), Expect::Any)?)
    }

    /// The claims of which both records keep different values: then they are two people.
    async fn contradictions(&self, one: &Customer, other: &Customer) -> Result<Vec<String>, Error> {
        let names = |customer: &Customer| -> Vec<CustomerId> {
            let merged = customer.merged().iter().map(|merged| merged.customer.clone());
            merged.chain([customer.id().clone()]).collect()
        };
        let mut claims = Vec::new();
        for name in names(one) {
            for (_, kept) in self.walk::<Kept>(&name).await? {
                for other in names(other) {
                    if self.load_one(&kept_key(&other, &kept.claim)).await?.is_some()
                        && self.kept_value(&name, &kept.claim).await? != self.kept_value(&other, &kept.claim).await?
                        && !claims.contains(&kept.claim)
                    {
                        claims.push(kept.claim.clone());
                    }
                }
            }
        }
        Ok(claims)
    }
}

impl Recognised {
    /// What this browser showed in the last minutes that another record is recognised by, if anything.
    ///
    /// # Errors
    /// [`Error::Unavailable`] if the store does not answer.
    pub async fn merge_offered(&self) -> Result<Option<MergeOffered>, Error> {
        let Some((offer, _)) = self.offer().await? else { return Ok(None) };
        let Some((_, record, _)) = self.merchant().resolved(&offer.shown).await? else { return Ok(None) };
        Ok(Some(MergeOffered { rung: offer.rung, at: offer.at, since: record.created_at }))
    }

    async fn offer(&self) -> Result<Option<(MergeOffer, Version)>, Error> {
        let stored = self.merchant().load_one(&offer_key(&self.record().key)).await?;
        stored.map(|s| Ok((s.read::<MergeOffer>()?, s.version))).transpose()
    }

    /// Makes this record and the one whose credential, passkey or DID this browser has just shown one customer: the customer
    /// says so, and has proved both, the other in the last minutes. The record with the stronger binding stays, else the
    /// older one; its name is what comes back. All sessions of the one that goes end, and its keys begin new ones.
    ///
    /// For [`Limits::merge_undo_s`](crate::limits::Limits::merge_undo_s) it can be [undone](Self::undo_merge). Move what
    /// your own tables have of the one to the other: the feed says `Merged`.
    ///
    /// # Errors
    /// [`Refusal::NothingToMerge`] if nothing was shown, or too long ago; [`Refusal::StepUp`] if this record has a strong
    /// binding of its own that was not shown in the last minutes; [`Refusal::AcrossDevices`], also
    /// for days after what was shown of either joined by a code between two devices; [`Refusal::AnotherPerson`] if
    /// both keep different values of a claim; [`Refusal::TooManyBindings`]; [`Refusal::TooManyMerged`];
    /// [`ProofError::Replayed`](crate::error::ProofError::Replayed).
    pub async fn merge(&self, proof: &BrowserProof) -> Result<CustomerId, Error> {
        let merchant = self.merchant();
        let mut races = Races::of(&[]);
        let (into, gone) = loop {
            let step = async { self.try_merge(proof).await };
            if let Some(outcome) = races.settled(step.await) {
                break outcome?;
            }
        };
        // The sessions of the one that went open nothing any more; they need not wait for their end on the disk.
        if let Err(error) = merchant.erase(&of_customer(SessionEntry::KIND, &gone), None, session_of).await {
            tracing::warn!(%error, "what a merge ended left records behind, which expire by themselves");
        }
        Ok(into)
    }

    /// The names of the record that stays and of the one that goes.
    async fn try_merge(&self, proof: &BrowserProof) -> Result<(CustomerId, CustomerId), Error> {
        let merchant = self.merchant();
        let now = merchant.now();
        let (offer, offer_version) = self.offer().await?.ok_or(Refusal::NothingToMerge)?;
        let own = self.may(Act::Change).await?;
        let other = match merchant.held(&offer.shown).await {
            Err(Error::Proof(ProofError::Token)) => return Err(Refusal::NothingToMerge.into()),
            other => other?,
        };
        // What was shown may have been revoked since, or lead elsewhere.
        let shown = other.find(&offer.by).filter(|shown| !shown.binding.locked).ok_or(Refusal::NothingToMerge)?;
        if other.id == own.id {
            return Err(Refusal::NothingToMerge.into());
        }
        // A merge takes along who was there before what joined, and what they can say against it.
        let age_s = merchant.limits().cool_down_s;
        let has_joined = |by: &Binding| by.joined_within(age_s, now).is_some();
        if has_joined(&shown.binding) || self.acts(&own).is_some_and(has_joined) {
            return Err(Refusal::AcrossDevices.into());
        }
        if let Some(until) = other.record.cooling_until(merchant.limits().cool_down_s, now)
            && other.record.cooling_since.is_some_and(|since| shown.binding.theirs_since() >= since)
        {
            return Err(Refusal::CoolingDown { until }.into());
        }
        let one = Customer::new(merchant.clone(), own.id.clone(), own.record.clone());
        let two = Customer::new(merchant.clone(), other.id.clone(), other.record.clone());
        let claims = merchant.contradictions(&one, &two).await?;
        if !claims.is_empty() {
            return Err(Refusal::AnotherPerson { claims }.into());
        }
        let weight = |held: &Held| (held.ladder(), std::cmp::Reverse(held.record.created_at));
        let (into, from) = if weight(&own) > weight(&other) { (own, other) } else { (other, own) };
        if into.record.merged.len() + from.record.merged.len() >= MERGED_MAX {
            return Err(Refusal::TooManyMerged { max: MERGED_MAX }.into());
        }

        let mut writes = vec![
            proof.spent(now)?,
            Write::delete(offer_key(&self.record().key), Expect::Version(offer_version)),
            merchant.note(&into.id, Happened::Merged { from: from.id.clone() })?,
        ];
        // Room is made among the browsers of the record that stays: what moves must be there for who takes it apart again.
        writes.extend(room(&into.bindings, from.bindings.len(), merchant.limits().bindings, &self.record().key)?);
        for held in &from.bindings {
            let mut came = held.binding.from.clone();
            came.push(from.id.clone());
            let moved = Binding { customer: into.id.clone(), from: came, moved_at: Some(now), ..held.binding.clone() };
            writes.extend(moving(held, &from.id, moved)?);
        }
        let mut merged = into.record.merged.clone();
        merged.push(Merged { customer: from.id.clone(), at: now });
        merged.extend(from.record.merged.iter().cloned());
        let recovered_at = into.record.recovered_at.max(from.record.recovered_at);
        let cooling_since = into.record.cooling_since.max(from.record.cooling_since);
        let told = into.record.told;
        let record =
            CustomerRecord { merged, recovered_at, cooling_since, told: told.saturating_add(1), ..into.record.clone() };
        let gone = CustomerRecord { merged_into: Some(into.id.clone()), ..from.record.clone() };
        writes.push(into.saved(&record)?);
        writes.push(from.saved(&gone)?);
        let news = CustomerEvent::Merged { from: from.id.clone(), into: into.id.clone(), at: now };
        writes.extend(merchant.announce_customer(&into.id, told, &news)?);
        merchant.commit_plain(&writes, now).await?;
        Ok((into.id, from.id))
    }

    /// Takes a record apart again that was [merged](Self::merge) into this one: its keys, orders and kept values are its own
    /// again, under its own name.
    ///
    /// # Errors
    /// [`Refusal::NothingToUndo`] if it was not merged into this one, or too long ago; [`Refusal::StepUp`] as for a merge;
    /// [`ProofError::Replayed`](crate::error::ProofError::Replayed).
    pub async fn undo_merge(&self, proof: &BrowserProof, from: &CustomerId) -> Result<(), Error> {
        let merchant = self.merchant();
        let mut races = Races::of(&[]);
        loop {
            let step = async {
                let now = merchant.now();
                let held = self.may(Act::Change).await?;
                let is_it = |merged: &&Merged| merged.customer == *from;
                let merged = held.record.merged.iter().find(is_it).ok_or(Refusal::NothingToUndo)?;
                let stored = merchant.load_one(&customer_key(from)).await?.ok_or(Refusal::NothingToUndo)?;
                let back: CustomerRecord = stored.read()?;
                let in_time = now.since_s(merged.at) <= merchant.limits().merge_undo_s;
                if !in_time || back.merged_into.as_ref() != Some(self.id()) {
                    return Err(Refusal::NothingToUndo.into());
                }
                let mut writes = vec![proof.spent(now)?];
                let mut opens = false;
                for other in held.bindings.iter().filter(|other| other.binding.from.last() == Some(from)) {
                    opens |= !other.binding.locked;
                    let mut came = other.binding.from.clone();
                    came.pop();
                    let opened_at = Some(now);
                    let moved = Binding {
                        customer: from.clone(),
                        from: came,
                        opened_at,
                        moved_at: None,
                        ..other.binding.clone()
                    };
                    writes.extend(moving(other, self.id(), moved)?);
                }
                // A record that nobody can open is lost.
                if !opens {
                    return Err(Refusal::NothingToUndo.into());
                }
                // Whoever had become part of it before goes with it.
                let goes = |merged: &Merged| merged.customer == *from || back.was_called(&merged.customer);
                let rest = held.record.merged.iter().filter(|merged| !goes(merged)).cloned().collect();
                let recovered_at = back.recovered_at.max(held.record.recovered_at);
                let cooling_since = back.cooling_since.max(held.record.cooling_since);
                let back = CustomerRecord { merged_into: None, recovered_at, cooling_since, ..back };
                let told = held.record.told;
                let record = CustomerRecord { merged: rest, told: told.saturating_add(1), ..held.record.clone() };
                writes.push(merchant.note(self.id(), Happened::MergeUndone { from: from.clone() })?);
                writes.push(merchant.note(from, Happened::MergeUndone { from: self.id().clone() })?);
                writes.push(held.saved(&record)?);
                writes.push(put(customer_key(from), &back, None, Expect::Version(stored.version))?);
                let news = CustomerEvent::MergeUndone { from: from.clone(), into: self.id().clone(), at: now };
                writes.extend(merchant.announce_customer(self.id(), told, &news)?);
                merchant.commit_plain(&writes, now).await
            };
            if let Some(outcome) = races.settled(step.await) {
                return outcome;
            }
        }
    }
}

/// The writes that move a binding from a customer to the one that it names.
fn moving(held: &HeldBinding, from: &CustomerId, moved: Binding) -> Result<Vec<Write>, Error> {
    let name = held.name.as_str();
    let entry = BindingEntry { did: moved.did.clone(), rung: moved.rung, since: moved.since };
    let (until, into) = (moved.expires_at, moved.customer.clone());
    Ok(vec![
        put(binding_key(name), &moved, until, Expect::Version(held.version))?,
        Write::delete(binding_entry(from, name), Expect::Any),
        put(binding_entry(&into, name), &entry, until, Expect::Any)?,
    ])
}

fn offer_key(key_name: &str) -> Key {
    Key::new(MergeOffer::KIND, key_name, "")
}
