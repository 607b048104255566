//! Two records that turn out to be one customer, joined by whoever has just proved both, and taken apart again.
//!
//! The record that goes leaves a tombstone, so that its name leads to the other one for ever. What was stored under it stays
//! there (orders, kept values), so that undoing is one commit as well.

use serde::{Deserialize, Serialize};

use super::{
    Customer, Merchant,
    bind::{BindingEntry, Races, binding_entry, unbound},
    customer_key, put,
    recognise::{Recognised, SessionEntry, binding_key, kept_key, of_customer, session_of},
};
use crate::{
    customer::{Binding, BindingName, CustomerEvent, CustomerId, CustomerRecord, Kept, Merged, Rung},
    error::{Error, Refusal},
    history::Happened,
    merchant::BrowserProof,
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

    /// The writes that move a binding from one customer to another.
    async fn moved(
        &self,
        name: &str,
        from: &CustomerId,
        into: &CustomerId,
        came: Option<&CustomerId>,
    ) -> Result<Vec<Write>, Error> {
        let Some((binding, version)) = self.binding(&BindingName::stored(name)).await? else { return Ok(Vec::new()) };
        let entry = BindingEntry { did: binding.did.clone(), rung: binding.rung, since: binding.since };
        let until = binding.expires_at;
        let binding = Binding { customer: into.clone(), from: came.cloned(), ..binding };
        Ok(vec![
            put(binding_key(name), &binding, until, Expect::Version(version))?,
            Write::delete(binding_entry(from, name), Expect::Any),
            put(binding_entry(into, name), &entry, until, Expect::Any)?,
        ])
    }

    /// The claims of which both records keep different values: then they are two people.
    async fn contradictions(&self, one: &Customer, other: &Customer) -> Result<Vec<String>, Error> {
        let mut claims = Vec::new();
        for (_, kept) in self.walk::<Kept>(one.id()).await? {
            if self.load_one(&kept_key(other.id(), &kept.claim)).await?.is_some()
                && one.kept_value(&kept.claim).await? != other.kept_value(&kept.claim).await?
            {
                claims.push(kept.claim);
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
    /// binding of its own that was not shown in the last minutes; [`Refusal::AcrossDevices`]; [`Refusal::AnotherPerson`] if
    /// both keep different values of a claim; [`Refusal::TooManyBindings`];
    /// [`ProofError::Replayed`](crate::error::ProofError::Replayed).
    pub async fn merge(&self, proof: &BrowserProof) -> Result<CustomerId, Error> {
        let merchant = self.merchant();
        let mut races = Races::of(&[]);
        let into = loop {
            let step = async { self.try_merge(proof).await };
            if let Some(outcome) = races.settled(step.await) {
                break outcome?;
            }
        };
        // The sessions of the one that went open nothing any more; they need not wait for their end on the disk.
        for gone in [self.id().clone()].iter().filter(|id| **id != into) {
            if let Err(error) = merchant.erase(&of_customer(SessionEntry::KIND, gone), None, session_of).await {
                tracing::warn!(%error, "what a merge ended left records behind, which expire by themselves");
            }
        }
        Ok(into)
    }

    async fn try_merge(&self, proof: &BrowserProof) -> Result<CustomerId, Error> {
        let merchant = self.merchant();
        let now = merchant.now();
        let (offer, offer_version) = self.offer().await?.ok_or(Refusal::NothingToMerge)?;
        let (own, own_version) = merchant.live_record(self.id()).await?;
        self.may_bind(&own, Rung::RelationshipCredential)?;
        let found = merchant.resolved(&offer.shown).await?.ok_or(Refusal::NothingToMerge)?;
        let (other_id, other, other_version) = found;
        if other_id == *self.id() {
            return Err(Refusal::NothingToMerge.into());
        }
        let one = Customer::new(merchant.clone(), self.id().clone(), own.clone());
        let two = Customer::new(merchant.clone(), other_id.clone(), other.clone());
        let claims = merchant.contradictions(&one, &two).await?;
        if !claims.is_empty() {
            return Err(Refusal::AnotherPerson { claims }.into());
        }
        let own_stays =
            (own.ladder, std::cmp::Reverse(own.created_at)) > (other.ladder, std::cmp::Reverse(other.created_at));
        let own = (self.id().clone(), own, own_version);
        let other = (other_id, other, other_version);
        let (stays, goes) = if own_stays { (own, other) } else { (other, own) };
        let (into, record, version) = stays;
        let (from, gone, gone_version) = goes;
        if record.merged.len() + gone.merged.len() >= MERGED_MAX {
            return Err(Refusal::TooManyBindings { max: MERGED_MAX }.into());
        }

        let mut writes = vec![
            proof.spent(now)?,
            Write::delete(offer_key(&self.record().key), Expect::Version(offer_version)),
            merchant.note(&into, Happened::Merged { from: from.clone() })?,
        ];
        let mut moving = merchant.walk::<BindingEntry>(&from).await?;
        let (there, max) = (merchant.walk::<BindingEntry>(&into).await?.len(), merchant.0.limits.bindings);
        // The newest first: if there is no room for all, the oldest browsers' keys stay behind.
        moving.sort_by_key(|(_, entry)| (entry.rung == Rung::BrowserKey, std::cmp::Reverse(entry.since)));
        for (place, (name, entry)) in moving.iter().enumerate() {
            if there + place < max {
                writes.extend(merchant.moved(name, &from, &into, Some(&from)).await?);
            } else if entry.rung == Rung::BrowserKey {
                writes.extend(unbound(&BindingName::stored(name), &from));
            } else {
                return Err(Refusal::TooManyBindings { max }.into());
            }
        }
        let mut merged = record.merged.clone();
        merged.push(Merged { customer: from.clone(), at: now });
        merged.extend(gone.merged.iter().cloned());
        let recovered_at = record.recovered_at.max(gone.recovered_at);
        let record = CustomerRecord { ladder: record.ladder.max(gone.ladder), merged, recovered_at, ..record };
        let gone = CustomerRecord { merged_into: Some(into.clone()), ..gone };
        writes.push(put(customer_key(&into), &record, None, Expect::Version(version))?);
        writes.push(put(customer_key(&from), &gone, None, Expect::Version(gone_version))?);
        writes.extend(merchant.announce_customer(&into, &CustomerEvent::Merged { from, into: into.clone(), at: now })?);
        merchant.commit_plain(&writes, now).await?;
        Ok(into)
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
                let (record, version) = merchant.live_record(self.id()).await?;
                self.may_bind(&record, Rung::RelationshipCredential)?;
                let is_it = |merged: &&Merged| merged.customer == *from;
                let merged = record.merged.iter().find(is_it).ok_or(Refusal::NothingToUndo)?;
                let stored = merchant.load_one(&customer_key(from)).await?.ok_or(Refusal::NothingToUndo)?;
                let back: CustomerRecord = stored.read()?;
                let in_time = now.since_s(merged.at) <= merchant.0.limits.merge_undo_s;
                if !in_time || back.merged_into.as_ref() != Some(self.id()) {
                    return Err(Refusal::NothingToUndo.into());
                }
                let mut writes = vec![proof.spent(now)?];
                let (mut ladder, mut back_ladder) = (Rung::BrowserKey, Rung::BrowserKey);
                for (name, entry) in merchant.walk::<BindingEntry>(self.id()).await? {
                    let bound = merchant.binding(&BindingName::stored(&name)).await?;
                    if bound.is_some_and(|(binding, _)| binding.from.as_ref() == Some(from)) {
                        back_ladder = back_ladder.max(entry.rung);
                        writes.extend(merchant.moved(&name, self.id(), from, None).await?);
                    } else {
                        ladder = ladder.max(entry.rung);
                    }
                }
                // Whoever had become part of it before goes with it.
                let goes = |merged: &Merged| merged.customer == *from || back.was_called(&merged.customer);
                let rest = record.merged.iter().filter(|merged| !goes(merged)).cloned().collect();
                let back = CustomerRecord { merged_into: None, ladder: back_ladder, ..back };
                let record = CustomerRecord { ladder, merged: rest, ..record };
                writes.push(merchant.note(self.id(), Happened::MergeUndone { from: from.clone() })?);
                writes.push(merchant.note(from, Happened::MergeUndone { from: self.id().clone() })?);
                writes.push(put(customer_key(self.id()), &record, None, Expect::Version(version))?);
                writes.push(put(customer_key(from), &back, None, Expect::Version(stored.version))?);
                let news = CustomerEvent::MergeUndone { from: from.clone(), into: self.id().clone(), at: now };
                writes.extend(merchant.announce_customer(self.id(), &news)?);
                merchant.commit_plain(&writes, now).await
            };
            if let Some(outcome) = races.settled(step.await) {
                return outcome;
            }
        }
    }
}

fn offer_key(key_name: &str) -> Key {
    Key::new(MergeOffer::KIND, key_name, "")
}
