//! What leads to a customer at one moment, and what the session that asks has shown of it. Whoever changes who may come in
//! asks here, and writes the record at the version that was read: so two such changes never pass each other unseen.

use super::{
    Merchant,
    bind::{BindingEntry, binding_entry, passkey_of},
    customer_key,
    issue::{grant_key, issued_key, revocation},
    put,
    recognise::{Recognised, binding_key, of_customer},
};
use crate::{
    customer::{Binding, BindingName, CustomerId, CustomerRecord, Rung},
    error::{Error, Refusal},
    issuing::IssuedRecord,
    store::{Expect, KEYS_MAX, Persisted, Version, Write},
    time::UnixTime,
};

/// How long after a recovery the browser that recovered may add a way in, in seconds.
const RECOVERED_S: u64 = 30 * 60;
/// How many places stay free for browsers' keys: a customer who cannot bring a new browser is locked out.
const FOR_BROWSERS: usize = 4;

/// A customer's record and what leads to it, as one look found them.
pub(super) struct Held {
    pub(super) id: CustomerId,
    pub(super) record: CustomerRecord,
    pub(super) version: Version,
    pub(super) bindings: Vec<HeldBinding>,
}

/// A binding of the customer.
pub(super) struct HeldBinding {
    pub(super) name: BindingName,
    pub(super) binding: Binding,
    pub(super) version: Version,
    /// What is kept of the credential, if it is one that we issued.
    pub(super) issued: Option<IssuedRecord>,
}

/// What a session wants to do to who may come in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Act {
    /// Add a way in.
    Add(Rung),
    /// Make a recovery code, take a way in away, join or part records, take everything along.
    Change,
    /// Be forgotten.
    Leave,
}

impl Merchant {
    /// A customer who is there, with all that leads to them.
    ///
    /// # Errors
    /// [`ProofError::Token`](crate::error::ProofError::Token) if the customer was forgotten, or became another one.
    pub(super) async fn held(&self, customer: &CustomerId) -> Result<Held, Error> {
        let (record, version) = self.live_record(customer).await?;
        // The record first: whatever is added or taken away after this changes its version.
        let bindings = self.bindings_of(customer).await?;
        Ok(Held { id: customer.clone(), record, version, bindings })
    }

    /// What leads to a customer. An entry whose binding is gone, or another's by now, is none.
    pub(super) async fn bindings_of(&self, customer: &CustomerId) -> Result<Vec<HeldBinding>, Error> {
        let now = self.now();
        let entries = self.0.store.scan(&of_customer(BindingEntry::KIND, customer), None, KEYS_MAX, now).await?;
        let names: Vec<BindingName> = entries.iter().map(|(key, _)| BindingName::stored(&key.sort)).collect();
        let keys: Vec<_> = names.iter().map(|name| binding_key(name.as_str())).collect();
        let mut held = Vec::with_capacity(names.len());
        if keys.is_empty() {
            return Ok(held);
        }
        for (name, stored) in names.into_iter().zip(self.0.store.load(&keys, now).await?) {
            let Some(stored) = stored else { continue };
            let binding: Binding = stored.read()?;
            if binding.customer == *customer && !binding.replaced {
                held.push(HeldBinding { name, binding, version: stored.version, issued: None });
            }
        }
        let mut credentials: Vec<_> =
            held.iter_mut().filter_map(|held| Some((held.name.alias()?, &mut held.issued))).collect();
        if credentials.is_empty() {
            return Ok(held);
        }
        let keys: Vec<_> = credentials.iter().map(|(alias, _)| issued_key(alias)).collect();
        for ((_, issued), stored) in credentials.iter_mut().zip(self.0.store.load(&keys, now).await?) {
            **issued = stored.map(|stored| stored.read()).transpose()?;
        }
        Ok(held)
    }
}

impl Held {
    /// The strongest way in that is open. A credential counts once its wallet said that it has it, or showed it: one that
    /// never arrived would keep its customer out.
    pub(super) fn ladder(&self) -> Rung {
        let has_arrived =
            |held: &HeldBinding| held.binding.rung != Rung::RelationshipCredential || held.binding.did.is_some();
        let open = self.bindings.iter().filter(|held| !held.binding.locked && has_arrived(held));
        open.map(|held| held.binding.rung).max().unwrap_or(Rung::BrowserKey).max(Rung::BrowserKey)
    }

    pub(super) fn find(&self, name: &BindingName) -> Option<&HeldBinding> {
        self.bindings.iter().find(|held| held.name == *name)
    }

    /// Whether a record that became part of this one can be taken out of it again.
    pub(super) fn can_be_parted(&self, undo_s: u64, now: UnixTime) -> bool {
        self.record.merged.iter().any(|merged| now.since_s(merged.at) <= undo_s)
    }

    /// The record as it is to be from now on, if nobody was first.
    pub(super) fn saved(&self, record: &CustomerRecord) -> Result<Write, Error> {
        Ok(put(customer_key(&self.id), record, None, Expect::Version(self.version))?)
    }

    /// The writes that make room for `more` bindings of this rung. See [`room`].
    pub(super) fn room_for(&self, rung: Rung, more: usize, max: usize, but: &str) -> Result<Vec<Write>, Error> {
        let strong = self.bindings.iter().filter(|held| held.binding.rung != Rung::BrowserKey).count();
        if rung != Rung::BrowserKey && more > 0 && strong + more + FOR_BROWSERS > max {
            return Err(Refusal::TooManyBindings { max: max.saturating_sub(FOR_BROWSERS) }.into());
        }
        room(&self.bindings, more, max, but)
    }
}

/// The writes that make room for `more` bindings: the oldest browsers' keys go, since whoever uses one shows something
/// stronger to come back. The key `but`, of whoever asks, stays.
pub(super) fn room(bindings: &[HeldBinding], more: usize, max: usize, but: &str) -> Result<Vec<Write>, Error> {
    let too_many = (bindings.len() + more).saturating_sub(max);
    let is_spare = |held: &&HeldBinding| held.binding.rung == Rung::BrowserKey && held.name.as_str() != but;
    let mut spare: Vec<&HeldBinding> = bindings.iter().filter(is_spare).collect();
    if too_many > spare.len() {
        return Err(Refusal::TooManyBindings { max }.into());
    }
    // First those that joined: they do not push out the one that let them in.
    spare.sort_by_key(|held| (held.binding.joined_at.is_none(), held.binding.since));
    let mut writes = Vec::new();
    for held in spare.into_iter().take(too_many) {
        writes.extend(held.gone()?);
    }
    Ok(writes)
}

/// Adds writes, but for those of a record that is written already: two credentials of one wallet end one grant.
pub(super) fn also(writes: &mut Vec<Write>, more: Vec<Write>) {
    for write in more {
        if !writes.iter().any(|known| known.key() == write.key()) {
            writes.push(write);
        }
    }
}

impl HeldBinding {
    /// The writes that take it away. Of a credential, the list says so to everybody else, and the wallet that has it gets no
    /// other by itself.
    pub(super) fn gone(&self) -> Result<Vec<Write>, Error> {
        let mut writes = self.superseded()?;
        writes.extend(self.issued.iter().map(|issued| Write::delete(grant_key(&issued.grant), Expect::Any)));
        Ok(writes)
    }

    /// The same, if its wallet keeps what it was given: it has newer credentials.
    pub(super) fn superseded(&self) -> Result<Vec<Write>, Error> {
        let name = self.name.as_str();
        let mut writes = vec![
            Write::delete(binding_key(name), Expect::Version(self.version)),
            Write::delete(binding_entry(&self.binding.customer, name), Expect::Any),
        ];
        writes.extend(passkey_of(name).map(|key| Write::delete(key, Expect::Any)));
        if let (Some(alias), Some(issued)) = (self.name.alias(), &self.issued) {
            writes.push(revocation(issued)?);
            writes.push(Write::delete(issued_key(&alias), Expect::Any));
        }
        Ok(writes)
    }

    /// The write that closes it.
    pub(super) fn closed(&self) -> Result<Write, Error> {
        let closed = Binding { locked: true, ..self.binding.clone() };
        let until = closed.expires_at;
        Ok(put(binding_key(self.name.as_str()), &closed, until, Expect::Version(self.version))?)
    }
}

impl Recognised {
    /// What this session has shown in the last minutes, if that is strong and leads to the customer still.
    pub(super) fn shown<'a>(&self, held: &'a Held) -> Option<&'a HeldBinding> {
        let (now, age_s) = (self.merchant().now(), self.merchant().limits().step_up_s);
        let session = self.record();
        let by = held.find(session.by.as_ref()?)?;
        let is_open = !by.binding.locked && by.binding.rung.is_strong();
        (is_open && session.is_sure(Rung::Did, age_s, now)).then_some(by)
    }

    /// By what this session acts: what it has shown, else its own key.
    pub(super) fn acts<'a>(&self, held: &'a Held) -> Option<&'a Binding> {
        let own = BindingName::browser_key(&self.record().key);
        self.shown(held).or_else(|| held.find(&own)).map(|by| &by.binding)
    }

    /// Whether this session may take that way in away, or sign it out, as far as it is a question of who was there first. A
    /// session that came across devices ends nothing but itself; and what joined lately, or was added in a browser that did,
    /// ends nothing that was there before: it would throw out the one who let it in.
    ///
    /// # Errors
    /// [`Refusal::AcrossDevices`].
    pub(super) fn came_after(&self, held: &Held, target: &HeldBinding) -> Result<(), Error> {
        if target.name.as_str() == self.record().key {
            return Ok(());
        }
        let (now, cool_down_s) = (self.merchant().now(), self.merchant().limits().cool_down_s);
        let joined_at = self.acts(held).and_then(|by| by.joined_within(cool_down_s, now));
        if self.record().across_devices || joined_at.is_some_and(|at| target.binding.since < at) {
            return Err(Refusal::AcrossDevices.into());
        }
        Ok(())
    }

    /// The same for everything that leads to the record: what was signed out is nobody's way back by itself.
    ///
    /// # Errors
    /// As [`came_after`](Self::came_after).
    pub(super) fn came_after_all(&self, held: &Held) -> Result<(), Error> {
        held.bindings.iter().filter(|one| !one.binding.locked).try_for_each(|one| self.came_after(held, one))
    }

    /// Whether nothing is in the record that this session may not destroy.
    ///
    /// # Errors
    /// As [`came_after`](Self::came_after); [`Refusal::MergedLately`] if the record holds something of another one that can
    /// be taken out of it again.
    pub(super) fn may_leave(&self, held: &Held) -> Result<(), Error> {
        let (now, undo_s) = (self.merchant().now(), self.merchant().limits().merge_undo_s);
        let from = self.acts(held).map(|by| &by.from);
        if held.can_be_parted(undo_s, now) && held.bindings.iter().any(|one| from != Some(&one.binding.from)) {
            return Err(Refusal::MergedLately.into());
        }
        self.came_after_all(held)
    }

    /// Whether what this session has shown led to the customer before the recovery that cools down now.
    pub(super) fn is_from_before(&self, held: &Held) -> bool {
        let since = |at: UnixTime| self.shown(held).is_some_and(|by| by.binding.theirs_since() < at);
        held.record.cooling_since.is_none_or(since)
    }

    /// Whether this session may do that. What is added to a record that has something strong, or taken from it, needs that
    /// shown in the last minutes; while a recovery cools down, something from before it; and a session that began by a
    /// wallet on another device does hardly anything, since it may have been a stranger's wallet.
    ///
    /// # Errors
    /// [`Refusal::StepUp`], [`Refusal::CoolingDown`], [`Refusal::AcrossDevices`].
    pub(super) fn allowed(&self, held: &Held, act: Act) -> Result<(), Error> {
        let (now, limits, session) = (self.merchant().now(), self.merchant().limits(), self.record());
        // A passkey is made on this very device, and who was never more than this browser may go.
        if session.across_devices && !matches!(act, Act::Add(Rung::Passkey) | Act::Leave) {
            return Err(Refusal::AcrossDevices.into());
        }
        let cooling = held.record.cooling_until(limits.cool_down_s, now);
        if let Some(until) = cooling
            && !matches!(act, Act::Add(_))
            && !self.is_from_before(held)
        {
            return Err(Refusal::CoolingDown { until }.into());
        }
        let has_recovered = matches!(act, Act::Add(_))
            && session.rung == Rung::RecoveryCode
            && session.rung_at.is_some()
            && session.rung_at == held.record.recovered_at
            && session.is_sure(Rung::RecoveryCode, RECOVERED_S, now);
        if !held.ladder().is_strong() || has_recovered || self.shown(held).is_some() {
            return Ok(());
        }
        Err(Refusal::StepUp { age_s: limits.step_up_s }.into())
    }

    /// The same, with what leads to the customer at this moment.
    pub(super) async fn may(&self, act: Act) -> Result<Held, Error> {
        let held = self.merchant().held(self.id()).await?;
        self.allowed(&held, act)?;
        Ok(held)
    }

    /// Whether the customer proved themselves in this session by this rung or a stronger one that is theirs still; if
    /// `within_s` is given, not longer ago.
    ///
    /// # Errors
    /// [`Error::Unavailable`] if the store does not answer.
    pub async fn has_shown(&self, rung: Rung, within_s: Option<u64>) -> Result<bool, Error> {
        let session = self.record();
        if !rung.is_strong() {
            // A key is shown with every request.
            return Ok(session.rung >= rung);
        }
        let in_time = within_s.is_none_or(|age_s| session.is_sure(rung, age_s, self.merchant().now()));
        let Some(by) = session.by.as_ref().filter(|_| session.rung >= rung && in_time) else { return Ok(false) };
        let found = self.merchant().binding(by).await?;
        Ok(found.is_some_and(|(binding, _)| !binding.locked && binding.customer == *self.id()))
    }
}
