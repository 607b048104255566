//! One record, many ways to be recognised: adding, using, listing and taking away bindings.
//!
//! A browser's key carries a session, and everything stronger says whose session it is. What is added to a record that
//! has something stronger than a browser's key needs that shown first, so that a borrowed browser stays borrowed.

use serde::{Deserialize, Serialize};

use super::{
    Merchant, RACES_MAX, SessionGrant, customer_key,
    held::{Act, Held, HeldBinding, room},
    merge::MergeOffer,
    proof::was_spent,
    put,
    recognise::{Begin, Recognised, binding_key},
};
use crate::{
    customer::{Binding, BindingName, CustomerId, CustomerRecord, Merged, Rung},
    error::{Error, ProofError, Refusal},
    history::{Happened, HistoryEntry},
    merchant::{BrowserProof, Customer},
    protocol::jose::{base64url_encode, sha256},
    store::{Expect, Key, Persisted, Prefix, StoreError, Version, Write, was_decided_long_ago},
    time::UnixTime,
};

/// How many entries of a history are shown at most.
const HISTORY_MAX: usize = 100;

/// What somebody has just proved beside the browser's key, on the browser's own device.
#[derive(Clone, Debug)]
pub(super) struct Shown {
    /// The binding it belongs to.
    pub(super) name: BindingName,
    /// How strong it is.
    pub(super) rung: Rung,
    /// The key that was proved, as a DID.
    pub(super) did: Option<String>,
}

/// A binding to be made.
#[derive(Clone, Debug)]
pub(super) struct NewBinding {
    /// Its name.
    pub(super) name: BindingName,
    /// How strong it is.
    pub(super) rung: Rung,
    /// Its key as a DID, if that is known already.
    pub(super) did: Option<String>,
    /// What the customer calls it.
    pub(super) label: Option<String>,
    /// When it ends by itself.
    pub(super) expires_at: Option<UnixTime>,
}

/// One way to be recognised, as its customer sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BindingView {
    /// Its name.
    pub name: BindingName,
    /// How strong it is.
    pub rung: Rung,
    /// Its key as a DID.
    pub did: Option<String>,
    /// Since when.
    pub since: UnixTime,
    /// What the customer calls it.
    pub label: Option<String>,
    /// Whether it opens nothing any more: a key that was signed out, a credential that was revoked.
    pub locked: bool,
}

/// Where a binding of a customer is found: the sort key is its name.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct BindingEntry {
    #[serde(default)]
    pub(super) did: Option<String>,
    #[serde(default = "browser_key")]
    pub(super) rung: Rung,
    #[serde(default = "long_ago")]
    pub(super) since: UnixTime,
}

const fn browser_key() -> Rung {
    Rung::BrowserKey
}

const fn long_ago() -> UnixTime {
    UnixTime::from_secs(0)
}

impl Persisted for BindingEntry {
    const KIND: &'static str = "customer_binding";
    const SCHEMA: u16 = 1;
}

impl Merchant {
    /// Recognises somebody by more than the browser's key: a session of that binding's customer, for this browser. A key
    /// that is not known joins the record, one that was signed out is opened again. `extra` goes into the same commit.
    ///
    /// # Errors
    /// [`Refusal::NotRecognised`] if the binding is not there or locked; [`Refusal::AnotherCustomer`] if the browser's key
    /// is another customer's, and then the two can be [merged](Recognised::merge); [`Refusal::Overtaken`] if an expectation
    /// of `extra` does not hold; [`ProofError::Replayed`].
    pub(super) async fn enter(
        &self,
        browser: &BrowserProof,
        shown: &Shown,
        extra: Vec<Write>,
    ) -> Result<SessionGrant, Error> {
        let mut races = Races::of(&extra);
        loop {
            let step = async {
                let now = self.now();
                let (binding, version) = self.binding(&shown.name).await?.ok_or(Refusal::NotRecognised)?;
                if binding.locked {
                    return Err(Refusal::NotRecognised.into());
                }
                let (record, record_version) = match self.live_record(&binding.customer).await {
                    Err(Error::Proof(_)) => return Err(Refusal::NotRecognised.into()),
                    other => other?,
                };
                let customer = binding.customer.clone();
                let mut writes = extra.clone();
                writes.push(browser.spent(now)?);
                let known = self.binding_of(browser).await?;
                let Some(arrived) = self.arrive(browser, known, &customer, Some(shown), false).await? else {
                    let offer = MergeOffer { shown: customer, by: shown.name.clone(), rung: shown.rung, at: now };
                    writes.push(self.merge_offer(browser, &offer)?);
                    self.commit_plain(&writes, now).await?;
                    return Err(Refusal::AnotherCustomer.into());
                };
                writes.extend(arrived);
                writes.extend(self.seen_again(shown, &binding, version, &customer)?);
                // Written and not only checked: whoever else adds or takes away something sees this.
                writes.push(put(customer_key(&customer), &record, None, Expect::Version(record_version))?);
                let begin =
                    Begin { rung: shown.rung, rung_at: Some(now), by: Some(shown.name.clone()), ..Begin::default() };
                self.begin(browser, &customer, &begin, None, writes, now).await
            };
            if let Some(outcome) = races.settled(step.await) {
                return outcome;
            }
        }
    }

    /// A new customer, whose first binding beside the browser's key this is.
    ///
    /// # Errors
    /// [`Refusal::BindingLocked`] or [`Refusal::Overtaken`] if the browser's key is somebody's already, or the binding is;
    /// [`ProofError::Replayed`].
    pub(super) async fn begin_with(
        &self,
        browser: &BrowserProof,
        new: &NewBinding,
        extra: Vec<Write>,
    ) -> Result<SessionGrant, Error> {
        match self.binding_of(browser).await? {
            Some((binding, _)) if binding.locked => return Err(Refusal::BindingLocked.into()),
            Some(_) => return Err(Refusal::Overtaken.into()),
            None => {}
        }
        let now = self.now();
        let customer = CustomerId::from_random(self.random());
        let record = CustomerRecord::new(now);
        let mut writes = extra;
        writes.push(browser.spent(now)?);
        writes.push(put(customer_key(&customer), &record, None, Expect::Absent)?);
        writes.push(self.note(&customer, Happened::Began { rung: new.rung })?);
        writes.extend(first_key(browser, &customer, Some(&new.name), (false, None), now)?);
        writes.extend(bound(new, &customer, None, now)?);
        let begin = Begin { rung: new.rung, rung_at: Some(now), by: Some(new.name.clone()), ..Begin::default() };
        match self.begin(browser, &customer, &begin, None, writes, now).await {
            Err(Error::Unavailable { source, .. }) if super::recognise::is_race(source.as_ref()) => {
                Err(Refusal::Overtaken.into())
            }
            other => other,
        }
    }

    /// The writes by which a browser's key belongs to this customer from now on; none if it is another customer's. `known`
    /// is the key's binding, and `by` what was shown that is stronger: without it, a key stays what it is.
    ///
    /// The caller writes the record at the version that it read before.
    pub(super) async fn arrive(
        &self,
        browser: &BrowserProof,
        known: Option<(Binding, Version)>,
        customer: &CustomerId,
        by: Option<&Shown>,
        across_devices: bool,
    ) -> Result<Option<Vec<Write>>, Error> {
        let now = self.now();
        let key = binding_key(&browser.key_name());
        match (known, by) {
            // Another key took its place, and nothing opens it again.
            (Some((binding, _)), _) if binding.replaced => Err(Refusal::DidReplaced.into()),
            (Some((binding, _)), _) if binding.customer != *customer => Ok(None),
            (Some((binding, _)), None) if binding.locked => Err(Refusal::BindingLocked.into()),
            (Some((binding, version)), by) => {
                let shown = match by {
                    Some(by) => self.binding(&by.name).await?.map(|(shown, _)| shown),
                    None => None,
                };
                let mut open = binding.clone();
                if open.locked {
                    open = Binding { locked: false, opened_at: Some(now), ..open };
                    open.vouched_by = by.map(|shown| shown.name.clone());
                    let joined_at = open.joined_at;
                    open = open.added_by(shown.as_ref());
                    open.joined_at = joined_at.or(open.joined_at);
                }
                // A browser that joined is theirs for good once something strong was shown in it that was theirs before: any
                // wallet, and any passkey that was made in it, may be a stranger's.
                let was_there = |at| shown.as_ref().is_some_and(|by| by.rung.is_strong() && by.theirs_since() < at);
                if !across_devices && open.joined_at.is_none_or(was_there) {
                    (open.across_devices, open.joined_at) = (false, None);
                }
                let write = match open == binding {
                    // Somebody may sign out at this very moment.
                    true => Write::check(key, Expect::Version(version)),
                    false => put(key, &open, None, Expect::Version(version))?,
                };
                let mut writes = vec![write];
                if let Some(shown) = by {
                    writes.push(self.note_daily(customer, shown.rung, &browser.key_name(), binding.name)?);
                }
                Ok(Some(writes))
            }
            (None, by) => {
                let held = self.bindings_of(customer).await?;
                let by_code = by.is_some_and(|shown| shown.rung == Rung::RecoveryCode);
                // A code leaves the place that the key takes.
                let mut writes = room(&held, usize::from(!by_code), self.0.limits.bindings, &browser.key_name())?;
                let vouched_by = by.filter(|shown| shown.rung.is_strong()).map(|shown| &shown.name);
                let shown = by.and_then(|by| held.iter().find(|held| held.name == by.name));
                let marks = (across_devices, shown.map(|shown| &shown.binding));
                writes.extend(first_key(browser, customer, vouched_by, marks, now)?);
                let rung = by.map_or(Rung::BrowserKey, |shown| shown.rung);
                writes.push(self.note(customer, Happened::DeviceAdded { rung })?);
                Ok(Some(writes))
            }
        }
    }

    /// What a binding that was shown has to say of itself from now on. A credential with a key that it was not seen with is
    /// normal, after a re-issue or on a new phone, and written down.
    pub(super) fn seen_again(
        &self,
        shown: &Shown,
        binding: &Binding,
        version: Version,
        customer: &CustomerId,
    ) -> Result<Vec<Write>, Error> {
        let key = binding_key(shown.name.as_str());
        if shown.did.is_none() || shown.did == binding.did {
            return Ok(vec![Write::check(key, Expect::Version(version))]);
        }
        let seen = Binding { did: shown.did.clone(), ..binding.clone() };
        let entry = BindingEntry { did: shown.did.clone(), rung: binding.rung, since: binding.since };
        let expires_at = binding.expires_at;
        let mut writes = vec![
            put(key, &seen, expires_at, Expect::Version(version))?,
            put(binding_entry(customer, shown.name.as_str()), &entry, expires_at, Expect::Any)?,
        ];
        if binding.did.is_some() {
            writes.push(self.note(customer, Happened::CredentialNewKey)?);
        }
        Ok(writes)
    }

    /// A binding and the version of its record.
    pub(super) async fn binding(&self, name: &BindingName) -> Result<Option<(Binding, Version)>, Error> {
        let stored = self.load_one(&binding_key(name.as_str())).await?;
        stored.map(|s| Ok((s.read::<Binding>()?, s.version))).transpose()
    }

    /// The binding of a browser's key.
    pub(super) async fn binding_of(&self, browser: &BrowserProof) -> Result<Option<(Binding, Version)>, Error> {
        self.binding(&BindingName::browser_key(&browser.key_name())).await
    }

    /// The entry of a customer's history that belongs to a commit.
    pub(super) fn note(&self, customer: &CustomerId, what: Happened) -> Result<Write, Error> {
        self.note_device(customer, what, None)
    }

    /// The same, with what the customer calls the device that it concerns.
    pub(super) fn note_device(
        &self,
        customer: &CustomerId,
        what: Happened,
        device: Option<String>,
    ) -> Result<Write, Error> {
        let now = self.now();
        let entry = HistoryEntry { at: now, what, device };
        // The newest first; two of one second are told apart by chance.
        let sort = format!("{:019}.{}", i64::MAX.saturating_sub(now.as_secs()), base64url_encode(&self.random::<6>()));
        let until = Some(now.plus_s(self.0.limits.history_kept_s));
        Ok(put(Key::new(HistoryEntry::KIND, customer.as_str(), sort), &entry, until, Expect::Absent)?)
    }

    /// That somebody was recognised by more than the browser's key: once a day for each browser and rung, so that it neither
    /// fills the history nor pushes the rest out of sight.
    fn note_daily(&self, customer: &CustomerId, rung: Rung, key: &str, device: Option<String>) -> Result<Write, Error> {
        self.note_of_day(customer, Happened::Recognised { rung }, &format!("{key} {}", rung.name()), device)
    }

    /// The same for anything that somebody can let happen as often as they like: `which` says what is one of a day.
    pub(super) fn note_of_day(
        &self,
        customer: &CustomerId,
        what: Happened,
        which: &str,
        device: Option<String>,
    ) -> Result<Write, Error> {
        /// A day, in seconds.
        const DAY_S: i64 = 24 * 3600;
        let now = self.now();
        let begun = now.as_secs().div_euclid(DAY_S).saturating_mul(DAY_S);
        let which = base64url_encode(&sha256(which.as_bytes()));
        let sort = format!("{:019}.{which}", i64::MAX.saturating_sub(begun));
        let entry = HistoryEntry { at: now, what, device };
        let until = Some(now.plus_s(self.0.limits.history_kept_s));
        Ok(put(Key::new(HistoryEntry::KIND, customer.as_str(), sort), &entry, until, Expect::Any)?)
    }

    /// Commits what a proof asked for.
    pub(super) async fn commit_plain(&self, writes: &[Write], now: UnixTime) -> Result<(), Error> {
        match self.0.store.commit(writes, now).await {
            Ok(_) => Ok(()),
            Err(e) if was_spent(&e) => Err(ProofError::Replayed.into()),
            Err(e) => Err(e.into()),
        }
    }
}

impl Recognised {
    /// Adds a binding to this customer, in one commit with `extra`.
    ///
    /// # Errors
    /// As [`allowed`](Self::allowed); [`Refusal::TooManyBindings`]; [`Refusal::Overtaken`] if the binding is somebody's
    /// already or an expectation of `extra` does not hold; [`ProofError::Replayed`].
    pub(super) async fn bind(&self, proof: &BrowserProof, new: &NewBinding, extra: Vec<Write>) -> Result<(), Error> {
        let merchant = self.merchant();
        let own = [binding_key(new.name.as_str())].map(|key| Write::check(key, Expect::Absent));
        let brought: Vec<Write> = extra.iter().chain(&own).cloned().collect();
        let mut races = Races::of(&brought);
        loop {
            let step = async {
                let now = merchant.now();
                let held = self.may(Act::Add(new.rung)).await?;
                let mut writes = extra.clone();
                writes.push(proof.spent(now)?);
                writes.extend(held.room_for(new.rung, 1, merchant.0.limits.bindings, &self.record().key)?);
                writes.extend(bound(new, self.id(), self.acts(&held), now)?);
                let added = Happened::BindingAdded { rung: new.rung };
                writes.push(merchant.note_device(self.id(), added, new.label.clone())?);
                writes.push(held.saved(&held.record)?);
                merchant.commit_plain(&writes, now).await
            };
            if let Some(outcome) = races.settled(step.await) {
                return outcome;
            }
        }
    }

    /// Takes a way to be recognised away, and signs out the browsers that came in by it; sessions of a browser's key end
    /// with it. The last way in may go as well: then nobody can come back to the record.
    ///
    /// # Errors
    /// [`Refusal::NoSuchBinding`]; [`Refusal::StepUp`] if the record has something stronger than a browser's key that was
    /// not shown in the last minutes, or, while two records that became one can be taken apart, nothing of the same one
    /// as what is to go; [`Refusal::CoolingDown`]; [`Refusal::AcrossDevices`], also for days after this browser joined if
    /// what is to go was there before; [`ProofError::Replayed`].
    pub async fn unbind(&self, proof: &BrowserProof, name: &BindingName) -> Result<(), Error> {
        let merchant = self.merchant();
        let mut races = Races::of(&[]);
        loop {
            let step = async {
                let now = merchant.now();
                let held = self.may(Act::Change).await?;
                let target = held.find(name).ok_or(Refusal::NoSuchBinding)?;
                self.is_of_the_same(&held, target, now)?;
                self.came_after(&held, target)?;
                let mut writes = vec![proof.spent(now)?];
                writes.extend(target.gone()?);
                let vouched = |other: &&HeldBinding| {
                    other.binding.vouched_by.as_ref() == Some(name)
                        && !other.binding.locked
                        && other.name.as_str() != self.record().key
                };
                for other in held.bindings.iter().filter(vouched) {
                    writes.push(other.closed()?);
                }
                let removed = Happened::BindingRemoved { rung: target.binding.rung };
                writes.push(merchant.note_device(self.id(), removed, target.binding.name.clone())?);
                writes.push(held.saved(&held.record)?);
                merchant.commit_plain(&writes, now).await
            };
            if let Some(outcome) = races.settled(step.await) {
                outcome?;
                break;
            }
        }
        merchant.tell_key(name.as_str());
        // The sessions of a browser's key open nothing without it; they need not wait for their end on the disk.
        merchant.erase_sessions(self.id(), name.as_str()).await;
        Ok(())
    }

    /// As long as two records that became one can be taken apart, neither side takes away the other's way back.
    pub(super) fn is_of_the_same(&self, held: &Held, target: &HeldBinding, now: UnixTime) -> Result<(), Error> {
        let limits = self.merchant().limits();
        let is_of_the_same = self.acts(held).is_some_and(|by| by.from == target.binding.from);
        if is_of_the_same || !held.can_be_parted(limits.merge_undo_s, now) {
            return Ok(());
        }
        Err(Refusal::StepUp { age_s: limits.step_up_s }.into())
    }
}

impl Customer {
    /// The ways in which the customer is recognised, the strongest first.
    ///
    /// # Errors
    /// [`Error::Unavailable`] if the store does not answer.
    pub async fn bindings(&self) -> Result<Vec<BindingView>, Error> {
        let view = |HeldBinding { name, binding, .. }| {
            let Binding { rung, did, since, name: label, locked, .. } = binding;
            BindingView { name, rung, did, since, label, locked }
        };
        let mut views: Vec<_> = self.merchant().bindings_of(self.id()).await?.into_iter().map(view).collect();
        views.sort_by_key(|view| (std::cmp::Reverse(view.rung), view.since));
        Ok(views)
    }

    /// The records that turned out to be this customer.
    #[must_use]
    pub fn merged(&self) -> &[Merged] {
        &self.record().merged
    }

    /// Until when what spends waits, because a recovery code was used.
    #[must_use]
    pub fn cooling_until(&self) -> Option<UnixTime> {
        self.record().cooling_until(self.merchant().limits().cool_down_s, self.merchant().now())
    }

    /// What happened to the record, the newest first: up to 100 entries.
    ///
    /// # Errors
    /// [`Error::Unavailable`] if the store does not answer.
    pub async fn history(&self) -> Result<Vec<HistoryEntry>, Error> {
        let merchant = self.merchant();
        let prefix = Prefix { kind: HistoryEntry::KIND, partition: self.id().as_str().to_owned(), sort: String::new() };
        let found = merchant.0.store.scan(&prefix, None, HISTORY_MAX, merchant.now()).await?;
        found.into_iter().map(|(_, stored)| Ok(stored.read::<HistoryEntry>()?)).collect()
    }
}

/// How often a step is tried that others may be first at.
pub(super) struct Races<'a> {
    left: usize,
    brought: &'a [Write],
}

impl<'a> Races<'a> {
    /// For a step that brings these writes: if one of them loses, the step itself has nothing to try again.
    pub(super) const fn of(brought: &'a [Write]) -> Self {
        Self { left: RACES_MAX, brought }
    }

    /// What came of it, unless it is to be tried again.
    pub(super) fn settled<T>(&mut self, outcome: Result<T, Error>) -> Option<Result<T, Error>> {
        let Err(Error::Unavailable { source, .. }) = &outcome else { return Some(outcome) };
        let Some(StoreError::Conflict(key)) = source.downcast_ref() else { return Some(outcome) };
        // What it brings was decided then, too: nothing is known of it any more.
        let was_then = was_decided_long_ago(key) && !self.brought.is_empty();
        if was_then || self.brought.iter().any(|write| write.key() == key) {
            return Some(Err(Refusal::Overtaken.into()));
        }
        self.left = self.left.saturating_sub(1);
        let busy = || Error::Unavailable { seam: "the store", source: "the same customer changes too often".into() };
        (self.left == 0).then(|| Err(busy()))
    }
}

/// The writes that make a binding, which `by` adds.
pub(super) fn bound(
    new: &NewBinding,
    customer: &CustomerId,
    by: Option<&Binding>,
    now: UnixTime,
) -> Result<Vec<Write>, Error> {
    let binding = Binding {
        name: new.label.clone(),
        expires_at: new.expires_at,
        ..Binding::new(customer.clone(), new.rung, new.did.clone(), now).added_by(by)
    };
    let entry = BindingEntry { did: new.did.clone(), rung: new.rung, since: now };
    Ok(vec![
        put(binding_key(new.name.as_str()), &binding, new.expires_at, Expect::Absent)?,
        put(binding_entry(customer, new.name.as_str()), &entry, new.expires_at, Expect::Absent)?,
    ])
}

/// The writes that make a browser's key a customer's: whether it came across devices, and what was shown that brings it.
pub(super) fn first_key(
    browser: &BrowserProof,
    customer: &CustomerId,
    vouched_by: Option<&BindingName>,
    (across_devices, by): (bool, Option<&Binding>),
    now: UnixTime,
) -> Result<Vec<Write>, Error> {
    let (name, did) = (browser.key_name(), Some(browser.did().to_string()));
    let vouched_by = vouched_by.cloned();
    let own = Binding::new(customer.clone(), Rung::BrowserKey, did.clone(), now).added_by(by);
    let binding = Binding { across_devices, vouched_by, ..own };
    let entry = BindingEntry { did, rung: Rung::BrowserKey, since: now };
    Ok(vec![
        put(binding_key(&name), &binding, None, Expect::Absent)?,
        put(binding_entry(customer, &name), &entry, None, Expect::Absent)?,
    ])
}

/// Where the public half of a passkey lies, if the binding is one: it goes where the binding goes, also in a build without
/// passkeys.
pub(super) fn passkey_of(name: &str) -> Option<Key> {
    name.starts_with("pk.").then(|| Key::new("passkey", name, ""))
}

pub(super) fn binding_entry(customer: &CustomerId, name: &str) -> Key {
    Key::new(BindingEntry::KIND, customer.as_str(), name)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::{
        customer::{Alias, CustomerEvent},
        merchant::{Ending, FeedEvent, ProofRequest, RecoveryCode},
        protocol::jose::SigningKey,
        store::Memory,
        testing::TestShop,
    };

    /// A browser that signs, without the HTTP around it.
    struct Visitor {
        shop: TestShop,
        key: SigningKey,
        token: Option<String>,
    }

    impl Visitor {
        fn new(shop: &TestShop, seed: u8) -> Self {
            Self { shop: shop.clone(), key: SigningKey::from_ed25519_seed(&[seed; 32]).unwrap(), token: None }
        }

        fn proof(&self) -> BrowserProof {
            let merchant = self.shop.merchant();
            let header = json!({"typ": "dpop+jwt", "jwk": self.key.public_key().to_jwk()}).as_object().unwrap().clone();
            let mut claims = json!({
                "jti": base64url_encode(&merchant.random::<16>()), "htm": "POST", "htu": "https://shop.example/x",
                "iat": merchant.now(), "nonce": merchant.nonce(),
            });
            if let Some(token) = &self.token {
                claims["ath"] = base64url_encode(&sha256(token.as_bytes())).into();
            }
            let proof = self.key.sign_jws(&header, &claims).unwrap();
            let request =
                ProofRequest { proof: &proof, method: "POST", path: "/x", access_token: self.token.as_deref() };
            merchant.check_proof(&request).unwrap()
        }

        async fn begin(&mut self, name: &BindingName, rung: Rung) -> CustomerId {
            let grant = self.shop.merchant().begin_with(&self.proof(), &new(name, rung), Vec::new()).await.unwrap();
            self.token = Some(grant.access_token.reveal().to_owned());
            grant.customer
        }

        async fn show(&mut self, name: &BindingName, rung: Rung) -> Result<CustomerId, Error> {
            let shown = Shown { name: name.clone(), rung, did: None };
            let grant = self.shop.merchant().enter(&self.proof(), &shown, Vec::new()).await?;
            self.token = Some(grant.access_token.reveal().to_owned());
            Ok(grant.customer)
        }

        async fn known(&self) -> Result<Recognised, Error> {
            self.shop.merchant().recognise(&self.proof(), self.token.as_deref().unwrap_or_default()).await
        }

        async fn resume(&mut self) -> Result<CustomerId, Error> {
            let grant = self.shop.merchant().resume(&self.proof()).await?;
            self.token = Some(grant.access_token.reveal().to_owned());
            Ok(grant.customer)
        }
    }

    fn new(name: &BindingName, rung: Rung) -> NewBinding {
        NewBinding { name: name.clone(), rung, did: None, label: None, expires_at: None }
    }

    fn shop() -> TestShop {
        TestShop::with(|shop| shop.store(Memory::new()).feed())
    }

    fn passkey(n: u8) -> BindingName {
        BindingName::passkey([n; 32])
    }

    fn credential(n: u8) -> BindingName {
        BindingName::credential(&Alias::from_random([n; 16]))
    }

    fn code(error: Result<impl std::fmt::Debug, Error>) -> &'static str {
        error.unwrap_err().code()
    }

    async fn told(merchant: &Merchant) -> Vec<CustomerEvent> {
        let mut told = Vec::new();
        while let Some(batch) = merchant.feed().next().await.unwrap() {
            told.extend(batch.events.iter().map(|event| match event {
                FeedEvent::Customer(event) => event.clone(),
                FeedEvent::Order(order) => unreachable!("{order:?}"),
            }));
            batch.done().await.unwrap().commit().await.unwrap();
        }
        told
    }

    #[tokio::test]
    async fn what_a_customer_shows_makes_a_new_browser_theirs() {
        let shop = shop();
        let mut phone = Visitor::new(&shop, 1);
        let customer = phone.begin(&passkey(1), Rung::Passkey).await;
        let mut laptop = Visitor::new(&shop, 2);
        assert_eq!(code(laptop.show(&passkey(9), Rung::Passkey).await), "not_recognised");
        assert_eq!(laptop.show(&passkey(1), Rung::Passkey).await.unwrap(), customer);
        let known = laptop.known().await.unwrap();
        assert!(known.has_shown(Rung::Passkey, Some(0)).await.unwrap());
        assert!(!known.has_shown(Rung::RelationshipCredential, None).await.unwrap());
        let history = known.customer().await.unwrap().history().await.unwrap();
        assert_eq!(history.len(), 2);
        assert!(history.iter().any(|entry| entry.what == Happened::DeviceAdded { rung: Rung::Passkey }));
        // A key that is known begins a session of its own rung: nothing stronger was shown.
        laptop.resume().await.unwrap();
        assert!(!laptop.known().await.unwrap().has_shown(Rung::Passkey, None).await.unwrap());
    }

    #[tokio::test]
    async fn a_key_that_was_signed_out_is_opened_by_something_stronger_of_the_same_customer() {
        let shop = shop();
        let mut phone = Visitor::new(&shop, 1);
        let customer = phone.begin(&passkey(1), Rung::Passkey).await;
        phone.known().await.unwrap().sign_out().await.unwrap();
        assert_eq!(code(phone.resume().await), "binding_locked");
        assert_eq!(phone.show(&passkey(1), Rung::Passkey).await.unwrap(), customer);
        assert_eq!(phone.resume().await.unwrap(), customer);
    }

    #[tokio::test]
    async fn a_borrowed_browser_adds_nothing_to_a_record_that_has_something_stronger() {
        let shop = shop();
        let mut phone = Visitor::new(&shop, 1);
        phone.begin(&passkey(1), Rung::Passkey).await;
        let known = phone.known().await.unwrap();
        known.bind(&phone.proof(), &new(&credential(1), Rung::RelationshipCredential), Vec::new()).await.unwrap();
        shop.advance_s(301);
        phone.resume().await.unwrap();
        let known = phone.known().await.unwrap();
        let add = known.bind(&phone.proof(), &new(&passkey(2), Rung::Passkey), Vec::new()).await;
        assert_eq!(code(add), "step_up_needed");
        assert_eq!(code(known.unbind(&phone.proof(), &passkey(1)).await), "step_up_needed");
        assert_eq!(code(known.make_recovery_code(&phone.proof()).await), "step_up_needed");
        phone.show(&credential(1), Rung::RelationshipCredential).await.unwrap();
        let known = phone.known().await.unwrap();
        known.bind(&phone.proof(), &new(&passkey(2), Rung::Passkey), Vec::new()).await.unwrap();
        known.unbind(&phone.proof(), &credential(1)).await.unwrap();
        assert_eq!(shop.merchant().held(known.id()).await.unwrap().ladder(), Rung::Passkey);
        assert_eq!(code(phone.show(&credential(1), Rung::RelationshipCredential).await), "not_recognised");
    }

    #[tokio::test]
    async fn a_customer_has_only_so_many_bindings_and_the_oldest_browsers_make_room() {
        let shop = shop();
        let mut first = Visitor::new(&shop, 1);
        first.begin(&passkey(1), Rung::Passkey).await;
        for seed in 2..=20 {
            shop.advance_s(1);
            Visitor::new(&shop, seed).show(&passkey(1), Rung::Passkey).await.unwrap();
        }
        assert_eq!(code(first.resume().await), "unknown_key");
        let mut last = Visitor::new(&shop, 20);
        last.resume().await.unwrap();
        assert_eq!(last.known().await.unwrap().customer().await.unwrap().bindings().await.unwrap().len(), 16);
    }

    #[tokio::test]
    async fn two_records_become_one_by_fresh_proof_of_both_and_two_again() {
        let shop = shop();
        let merchant = shop.merchant();
        let mut phone = Visitor::new(&shop, 1);
        let older = phone.begin(&passkey(1), Rung::Passkey).await;
        shop.advance_s(1);
        let mut laptop = Visitor::new(&shop, 2);
        let newer = laptop.begin(&passkey(2), Rung::Passkey).await;
        assert_eq!(code(laptop.known().await.unwrap().merge(&laptop.proof()).await), "nothing_to_merge");
        assert_eq!(code(laptop.show(&passkey(1), Rung::Passkey).await), "another_customer");
        let known = laptop.known().await.unwrap();
        assert_eq!(known.id(), &newer, "nothing changed");
        assert!(known.merge_offered().await.unwrap().is_some());

        // Its own passkey has to be fresh as well, and what was offered is over after five minutes.
        shop.advance_s(301);
        assert_eq!(code(laptop.known().await.unwrap().merge(&laptop.proof()).await), "nothing_to_merge");
        assert_eq!(code(laptop.show(&passkey(1), Rung::Passkey).await), "another_customer");
        assert_eq!(code(laptop.known().await.unwrap().merge(&laptop.proof()).await), "step_up_needed");
        laptop.show(&passkey(2), Rung::Passkey).await.unwrap();
        assert_eq!(laptop.known().await.unwrap().merge(&laptop.proof()).await.unwrap(), older);

        // The name leads on, the old session is over, the key begins a new one, and either passkey leads to the one.
        assert_eq!(merchant.customer(&newer).await.unwrap().unwrap().id(), &older);
        assert_eq!(code(laptop.known().await), "invalid_token");
        assert_eq!(laptop.resume().await.unwrap(), older);
        assert_eq!(laptop.show(&passkey(2), Rung::Passkey).await.unwrap(), older);
        let merged = CustomerEvent::Merged { from: newer.clone(), into: older.clone(), at: merchant.now() };
        assert_eq!(told(merchant).await, [merged]);

        let known = laptop.known().await.unwrap();
        assert_eq!(code(known.undo_merge(&laptop.proof(), &older).await), "nothing_to_undo");
        known.undo_merge(&laptop.proof(), &newer).await.unwrap();
        assert_eq!(merchant.customer(&newer).await.unwrap().unwrap().id(), &newer);
        assert_eq!(laptop.resume().await.unwrap(), newer);
        assert_eq!(phone.resume().await.unwrap(), older);
        assert!(matches!(told(merchant).await[..], [CustomerEvent::MergeUndone { .. }]));
    }

    #[tokio::test]
    async fn a_merge_is_undone_for_a_fortnight() {
        let shop = shop();
        let mut phone = Visitor::new(&shop, 1);
        phone.begin(&passkey(1), Rung::Passkey).await;
        let mut laptop = Visitor::new(&shop, 2);
        shop.advance_s(1);
        let newer = laptop.begin(&passkey(2), Rung::Passkey).await;
        assert_eq!(code(laptop.show(&passkey(1), Rung::Passkey).await), "another_customer");
        laptop.known().await.unwrap().merge(&laptop.proof()).await.unwrap();
        shop.advance_s(shop.merchant().limits().merge_undo_s + 1);
        laptop.show(&passkey(1), Rung::Passkey).await.unwrap();
        let undone = laptop.known().await.unwrap().undo_merge(&laptop.proof(), &newer).await;
        assert_eq!(code(undone), "nothing_to_undo");
    }

    #[tokio::test]
    async fn forgetting_forgets_every_name_that_became_this_one() {
        let shop = shop();
        let merchant = shop.merchant();
        let mut phone = Visitor::new(&shop, 1);
        let older = phone.begin(&passkey(1), Rung::Passkey).await;
        shop.advance_s(1);
        let mut laptop = Visitor::new(&shop, 2);
        let newer = laptop.begin(&passkey(2), Rung::Passkey).await;
        assert_eq!(code(laptop.show(&passkey(1), Rung::Passkey).await), "another_customer");
        laptop.known().await.unwrap().merge(&laptop.proof()).await.unwrap();
        told(merchant).await;
        merchant.customer(&newer).await.unwrap().unwrap().forget().await.unwrap();
        for id in [&older, &newer] {
            assert!(merchant.customer(id).await.unwrap().is_none());
        }
        assert_eq!(told(merchant).await.len(), 2);
        assert_eq!(code(phone.resume().await), "unknown_key");
        assert_eq!(code(laptop.show(&passkey(2), Rung::Passkey).await), "not_recognised");
    }

    #[tokio::test]
    async fn a_recovery_ends_what_was_open_and_cools_down_what_spends() {
        let shop = shop();
        let mut phone = Visitor::new(&shop, 1);
        let customer = phone.begin(&passkey(1), Rung::Passkey).await;
        let code_on_paper = phone.known().await.unwrap().make_recovery_code(&phone.proof()).await.unwrap();
        shop.advance_s(1);

        let mut found = Visitor::new(&shop, 2);
        let merchant = shop.merchant();
        let wrong = RecoveryCode::from_random([1; 15]);
        assert_eq!(code(merchant.recover(&found.proof(), &wrong).await), "not_recognised");
        let grant = merchant.recover(&found.proof(), &code_on_paper).await.unwrap();
        assert_eq!(grant.customer, customer);
        found.token = Some(grant.access_token.reveal().to_owned());
        assert_eq!(code(merchant.recover(&found.proof(), &code_on_paper).await), "not_recognised");
        assert_eq!(code(phone.known().await), "invalid_token");
        assert_eq!(code(phone.resume().await), "binding_locked");

        // It may add a way in, and even that does not spend before the time is over.
        let known = found.known().await.unwrap();
        assert_eq!(code(known.recent().await), "step_up_needed");
        known.bind(&found.proof(), &new(&passkey(2), Rung::Passkey), Vec::new()).await.unwrap();
        found.show(&passkey(2), Rung::Passkey).await.unwrap();
        assert_eq!(code(found.known().await.unwrap().recent().await), "cooling_down");
        assert_eq!(code(found.known().await.unwrap().undo_recovery(&found.proof()).await), "step_up_needed");

        // Whoever has what was there before spends, and undoes it.
        phone.show(&passkey(1), Rung::Passkey).await.unwrap();
        phone.known().await.unwrap().recent().await.unwrap();
        phone.known().await.unwrap().undo_recovery(&phone.proof()).await.unwrap();
        assert_eq!(code(found.known().await), "invalid_token");
        assert_eq!(code(found.show(&passkey(2), Rung::Passkey).await), "not_recognised");
        assert_eq!(code(phone.known().await.unwrap().undo_recovery(&phone.proof()).await), "nothing_to_undo");
    }

    /// A customer with a passkey, and somebody who found their recovery code and used it.
    async fn found_code(shop: &TestShop) -> (Visitor, Visitor) {
        let mut phone = Visitor::new(shop, 1);
        phone.begin(&passkey(1), Rung::Passkey).await;
        let paper = phone.known().await.unwrap().make_recovery_code(&phone.proof()).await.unwrap();
        shop.advance_s(1);
        let mut thief = Visitor::new(shop, 2);
        let grant = shop.merchant().recover(&thief.proof(), &paper).await.unwrap();
        thief.token = Some(grant.access_token.reveal().to_owned());
        (phone, thief)
    }

    #[tokio::test]
    async fn a_found_code_gets_past_the_waiting_by_nothing_that_it_adds() {
        let shop = shop();
        let (_, mut thief) = found_code(&shop).await;
        let known = thief.known().await.unwrap();
        known.bind(&thief.proof(), &new(&passkey(2), Rung::Passkey), Vec::new()).await.unwrap();
        assert_eq!(code(known.make_recovery_code(&thief.proof()).await), "cooling_down");
        shop.advance_s(1);
        thief.show(&passkey(2), Rung::Passkey).await.unwrap();
        let known = thief.known().await.unwrap();
        for refused in [
            code(known.recent().await),
            code(known.make_recovery_code(&thief.proof()).await),
            code(known.export().await),
            code(known.unbind(&thief.proof(), &passkey(1)).await),
            code(known.leave(&thief.proof()).await),
        ] {
            assert_eq!(refused, "cooling_down");
        }
        // Nor by a record of the thief's own, whose passkey is old.
        let mut own = Visitor::new(&shop, 3);
        own.begin(&passkey(3), Rung::Passkey).await;
        assert_eq!(code(thief.show(&passkey(3), Rung::Passkey).await), "another_customer");
        assert_eq!(code(known.merge(&thief.proof()).await), "cooling_down");
        assert_eq!(code(own.show(&passkey(2), Rung::Passkey).await), "another_customer");
        assert_eq!(code(own.known().await.unwrap().merge(&own.proof()).await), "cooling_down");
    }

    #[tokio::test]
    async fn a_second_code_does_not_make_old_what_the_first_one_brought() {
        let shop = shop();
        let (mut phone, thief) = found_code(&shop).await;
        let known = thief.known().await.unwrap();
        known.bind(&thief.proof(), &new(&passkey(2), Rung::Passkey), Vec::new()).await.unwrap();
        let customer = known.customer().await.unwrap();
        shop.advance_s(5);
        // The hotline believes them, too.
        let said = customer.hand_out_recovery_code().await.unwrap();
        let mut again = Visitor::new(&shop, 4);
        shop.merchant().recover(&again.proof(), &said).await.unwrap();
        again.show(&passkey(2), Rung::Passkey).await.unwrap();
        assert_eq!(code(again.known().await.unwrap().recent().await), "cooling_down");
        phone.show(&passkey(1), Rung::Passkey).await.unwrap();
        phone.known().await.unwrap().undo_recovery(&phone.proof()).await.unwrap();
        assert_eq!(code(again.show(&passkey(2), Rung::Passkey).await), "not_recognised");
        assert_eq!(code(again.known().await), "invalid_token");
    }

    #[tokio::test]
    async fn undoing_a_recovery_throws_out_a_browser_that_was_there_before() {
        let shop = shop();
        let mut phone = Visitor::new(&shop, 1);
        phone.begin(&passkey(1), Rung::Passkey).await;
        let mut laptop = Visitor::new(&shop, 2);
        laptop.show(&passkey(1), Rung::Passkey).await.unwrap();
        let paper = phone.known().await.unwrap().make_recovery_code(&phone.proof()).await.unwrap();
        laptop.known().await.unwrap().sign_out().await.unwrap();
        shop.advance_s(1);
        // The laptop is stolen with the paper.
        let grant = shop.merchant().recover(&laptop.proof(), &paper).await.unwrap();
        laptop.token = Some(grant.access_token.reveal().to_owned());
        phone.show(&passkey(1), Rung::Passkey).await.unwrap();
        phone.known().await.unwrap().undo_recovery(&phone.proof()).await.unwrap();
        assert_eq!(code(laptop.known().await), "invalid_token");
        assert_eq!(code(laptop.resume().await), "binding_locked");
    }

    #[tokio::test]
    async fn signing_out_everywhere_leaves_the_way_back() {
        let shop = shop();
        let mut phone = Visitor::new(&shop, 1);
        let customer = phone.begin(&passkey(1), Rung::Passkey).await;
        shop.merchant().customer(&customer).await.unwrap().unwrap().revoke_all().await.unwrap();
        assert_eq!(code(phone.resume().await), "binding_locked");
        assert_eq!(phone.show(&passkey(1), Rung::Passkey).await.unwrap(), customer);
    }

    #[tokio::test]
    async fn a_borrowed_browser_destroys_and_exports_nothing() {
        let shop = shop();
        let mut phone = Visitor::new(&shop, 1);
        let customer = phone.begin(&passkey(1), Rung::Passkey).await;
        shop.advance_s(301);
        phone.resume().await.unwrap();
        let known = phone.known().await.unwrap();
        assert_eq!(code(known.leave(&phone.proof()).await), "step_up_needed");
        assert_eq!(code(known.export().await), "step_up_needed");
        phone.show(&passkey(1), Rung::Passkey).await.unwrap();
        phone.known().await.unwrap().leave(&phone.proof()).await.unwrap();
        assert!(shop.merchant().customer(&customer).await.unwrap().is_none());
    }

    #[tokio::test]
    async fn who_came_in_by_a_passkey_goes_with_it() {
        let shop = shop();
        let mut phone = Visitor::new(&shop, 1);
        phone.begin(&passkey(1), Rung::Passkey).await;
        let known = phone.known().await.unwrap();
        known.bind(&phone.proof(), &new(&passkey(2), Rung::Passkey), Vec::new()).await.unwrap();
        let mut thief = Visitor::new(&shop, 2);
        thief.show(&passkey(2), Rung::Passkey).await.unwrap();
        let still = thief.known().await.unwrap();
        known.unbind(&phone.proof(), &passkey(2)).await.unwrap();
        assert_eq!(code(thief.known().await), "invalid_token");
        assert_eq!(code(thief.resume().await), "binding_locked");
        // Also a request that was under way.
        assert!(!still.has_shown(Rung::Passkey, None).await.unwrap());
        assert_eq!(code(still.recent().await), "step_up_needed");
    }

    #[tokio::test]
    async fn what_was_taken_away_after_it_was_shown_joins_nothing() {
        let shop = shop();
        let mut phone = Visitor::new(&shop, 1);
        phone.begin(&passkey(1), Rung::Passkey).await;
        let known = phone.known().await.unwrap();
        known.bind(&phone.proof(), &new(&passkey(9), Rung::Passkey), Vec::new()).await.unwrap();
        let mut thief = Visitor::new(&shop, 2);
        thief.begin(&passkey(2), Rung::Passkey).await;
        assert_eq!(code(thief.show(&passkey(9), Rung::Passkey).await), "another_customer");
        known.unbind(&phone.proof(), &passkey(9)).await.unwrap();
        assert_eq!(code(thief.known().await.unwrap().merge(&thief.proof()).await), "nothing_to_merge");
    }

    #[tokio::test]
    async fn neither_side_of_a_merge_takes_away_the_others_way_back() {
        let shop = shop();
        let mut phone = Visitor::new(&shop, 1);
        phone.begin(&passkey(1), Rung::Passkey).await;
        shop.advance_s(1);
        let mut laptop = Visitor::new(&shop, 2);
        let newer = laptop.begin(&passkey(2), Rung::Passkey).await;
        assert_eq!(code(laptop.show(&passkey(1), Rung::Passkey).await), "another_customer");
        laptop.known().await.unwrap().merge(&laptop.proof()).await.unwrap();
        phone.show(&passkey(1), Rung::Passkey).await.unwrap();
        let taken = phone.known().await.unwrap().unbind(&phone.proof(), &passkey(2)).await;
        assert_eq!(code(taken), "step_up_needed");
        laptop.show(&passkey(2), Rung::Passkey).await.unwrap();
        let known = laptop.known().await.unwrap();
        assert_eq!(code(known.unbind(&laptop.proof(), &passkey(1)).await), "step_up_needed");
        known.undo_merge(&laptop.proof(), &newer).await.unwrap();
        assert_eq!(laptop.show(&passkey(2), Rung::Passkey).await.unwrap(), newer);
    }

    #[tokio::test]
    async fn a_credential_that_ends_by_itself_locks_nobody_out() {
        let shop = shop();
        let mut phone = Visitor::new(&shop, 1);
        phone.begin(&passkey(1), Rung::Passkey).await;
        let known = phone.known().await.unwrap();
        let expires_at = Some(shop.merchant().now().plus_s(1_000));
        let credential = NewBinding { expires_at, ..new(&credential(1), Rung::RelationshipCredential) };
        known.bind(&phone.proof(), &credential, Vec::new()).await.unwrap();
        known.unbind(&phone.proof(), &passkey(1)).await.unwrap();
        shop.advance_s(1_001);
        phone.resume().await.unwrap();
        let known = phone.known().await.unwrap();
        known.bind(&phone.proof(), &new(&passkey(3), Rung::Passkey), Vec::new()).await.unwrap();
    }

    #[tokio::test]
    async fn a_full_record_is_recovered_by_a_new_browser() {
        let shop = shop();
        let mut phone = Visitor::new(&shop, 1);
        let customer = phone.begin(&passkey(1), Rung::Passkey).await;
        let paper = phone.known().await.unwrap().make_recovery_code(&phone.proof()).await.unwrap();
        for seed in 2..=40 {
            shop.advance_s(1);
            Visitor::new(&shop, seed).show(&passkey(1), Rung::Passkey).await.unwrap();
        }
        let found = Visitor::new(&shop, 99);
        assert_eq!(shop.merchant().recover(&found.proof(), &paper).await.unwrap().customer, customer);
    }

    #[tokio::test]
    async fn a_recovery_is_over_after_days() {
        let shop = shop();
        let mut phone = Visitor::new(&shop, 1);
        phone.begin(&passkey(1), Rung::Passkey).await;
        let paper = phone.known().await.unwrap().make_recovery_code(&phone.proof()).await.unwrap();
        let mut found = Visitor::new(&shop, 2);
        let grant = shop.merchant().recover(&found.proof(), &paper).await.unwrap();
        found.token = Some(grant.access_token.reveal().to_owned());
        let known = found.known().await.unwrap();
        known.bind(&found.proof(), &new(&passkey(2), Rung::Passkey), Vec::new()).await.unwrap();
        shop.advance_s(shop.merchant().limits().cool_down_s + 1);
        found.show(&passkey(2), Rung::Passkey).await.unwrap();
        found.known().await.unwrap().recent().await.unwrap();
    }

    #[tokio::test]
    async fn a_code_of_the_staff_holds_a_quarter_of_an_hour() {
        let shop = shop();
        let mut phone = Visitor::new(&shop, 1);
        let customer = phone.begin(&passkey(1), Rung::Passkey).await;
        let customer = shop.merchant().customer(&customer).await.unwrap().unwrap();
        let said = customer.hand_out_recovery_code().await.unwrap();
        shop.advance_s(15 * 60);
        let found = Visitor::new(&shop, 2);
        assert_eq!(code(shop.merchant().recover(&found.proof(), &said).await), "not_recognised");
        let entries = customer.history().await.unwrap();
        assert!(entries.iter().any(|entry| entry.what == Happened::RecoveryCodeHandedOut));
        let said = customer.hand_out_recovery_code().await.unwrap();
        shop.merchant().recover(&found.proof(), &said).await.unwrap();
    }

    #[tokio::test]
    async fn what_is_added_after_a_merge_is_of_the_side_that_added_it() {
        let shop = shop();
        let merchant = shop.merchant();
        let mut phone = Visitor::new(&shop, 1);
        let older = phone.begin(&passkey(1), Rung::Passkey).await;
        let paper = phone.known().await.unwrap().make_recovery_code(&phone.proof()).await.unwrap();
        shop.advance_s(1);
        // A browser that two share: one signs in where the other is known, and the other makes them one.
        let mut shared = Visitor::new(&shop, 2);
        let newer = shared.begin(&passkey(2), Rung::Passkey).await;
        assert_eq!(code(shared.show(&passkey(1), Rung::Passkey).await), "another_customer");
        assert_eq!(shared.known().await.unwrap().merge(&shared.proof()).await.unwrap(), older);
        shop.advance_s(1);

        shared.show(&passkey(2), Rung::Passkey).await.unwrap();
        let known = shared.known().await.unwrap();
        known.bind(&shared.proof(), &new(&passkey(3), Rung::Passkey), Vec::new()).await.unwrap();
        known.make_recovery_code(&shared.proof()).await.unwrap();
        let mut fourth = Visitor::new(&shop, 4);
        fourth.show(&passkey(3), Rung::Passkey).await.unwrap();
        let fifth = Visitor::new(&shop, 5);
        join(&fourth, &fifth).await.unwrap();
        shared.show(&passkey(3), Rung::Passkey).await.unwrap();
        for visitor in [&shared, &fourth] {
            let known = visitor.known().await.unwrap();
            assert_eq!(code(known.unbind(&visitor.proof(), &passkey(1)).await), "step_up_needed");
            assert_eq!(code(known.leave(&visitor.proof()).await), "merged_lately");
        }

        // Whose the other side is, takes it out with all that it added.
        phone.show(&passkey(1), Rung::Passkey).await.unwrap();
        let known = phone.known().await.unwrap();
        assert_eq!(code(known.not_me(&phone.proof(), merchant.now()).await), "merged_lately");
        assert_eq!(code(known.leave(&phone.proof()).await), "merged_lately");
        known.undo_merge(&phone.proof(), &newer).await.unwrap();
        let whose = async |visitor: &Visitor| {
            let (binding, _) = merchant.binding_of(&visitor.proof()).await.unwrap().unwrap();
            binding.customer
        };
        for visitor in [&shared, &fourth, &fifth] {
            assert_eq!(whose(visitor).await, newer);
        }
        assert_eq!(merchant.binding(&passkey(3)).await.unwrap().unwrap().0.customer, newer);
        let rungs = async |customer: &CustomerId| {
            let customer = merchant.customer(customer).await.unwrap().unwrap();
            customer.bindings().await.unwrap().iter().map(|view| view.rung).collect::<Vec<_>>()
        };
        assert_eq!(rungs(&older).await, [Rung::Passkey, Rung::BrowserKey, Rung::RecoveryCode]);
        assert_eq!(rungs(&newer).await.len(), 6);
        assert_eq!(merchant.recover(&Visitor::new(&shop, 6).proof(), &paper).await.unwrap().customer, older);
        shared.show(&passkey(3), Rung::Passkey).await.unwrap();
        shared.known().await.unwrap().leave(&shared.proof()).await.unwrap();
        assert!(merchant.customer(&older).await.unwrap().is_some());
    }

    /// What was said on the one screen, typed on the other.
    async fn vouch(by: &Visitor, waiting: &Visitor) -> crate::meeting::Ticket {
        let opened = by.shop.merchant().open_join(&waiting.proof(), None).await.unwrap();
        let id = opened.link.fragment().unwrap().parse().unwrap();
        by.known().await.unwrap().vouch(&by.proof(), &id, &opened.number.reveal()).await.unwrap();
        opened.ticket
    }

    async fn join(by: &Visitor, waiting: &Visitor) -> Result<String, Error> {
        let ticket = vouch(by, waiting).await;
        let grant = waiting.shop.merchant().join(&waiting.proof(), &ticket).await?;
        Ok(grant.access_token.reveal().to_owned())
    }

    /// A customer with nothing but a browser.
    async fn plain(shop: &TestShop) -> Visitor {
        let mut own = Visitor::new(shop, 1);
        own.begin(&passkey(1), Rung::Passkey).await;
        own.known().await.unwrap().unbind(&own.proof(), &passkey(1)).await.unwrap();
        own
    }

    async fn ends(visitor: &Visitor, what: Ending<'_>) -> &'static str {
        visitor.known().await.unwrap().end(what, &visitor.proof()).await.map_or_else(|error| error.code(), |()| "")
    }

    #[tokio::test]
    async fn a_browser_that_joined_throws_out_nobody_who_was_there_before() {
        let shop = shop();
        let mut own = plain(&shop).await;
        let of_own = own.known().await.unwrap().session().clone();
        let own_key = BindingName::browser_key(&own.proof().key_name());
        shop.advance_s(1);
        let mut joined = Visitor::new(&shop, 2);
        joined.token = Some(join(&own, &joined).await.unwrap());
        for what in [Ending::Session(&of_own), Ending::AllSessions, Ending::Everything] {
            assert_eq!(ends(&joined, what).await, "across_devices", "{what:?}");
        }

        // Nor by anything that it adds, wherever that is shown.
        let known = joined.known().await.unwrap();
        known.bind(&joined.proof(), &new(&passkey(2), Rung::Passkey), Vec::new()).await.unwrap();
        shop.advance_s(1);
        let mut third = Visitor::new(&shop, 3);
        for visitor in [&mut joined, &mut third] {
            visitor.show(&passkey(2), Rung::Passkey).await.unwrap();
            let known = visitor.known().await.unwrap();
            assert_eq!(code(known.unbind(&visitor.proof(), &own_key).await), "across_devices");
            assert_eq!(code(known.make_recovery_code(&visitor.proof()).await), "across_devices");
            for what in [Ending::Session(&of_own), Ending::AllSessions, Ending::Everything] {
                assert_eq!(ends(visitor, what).await, "across_devices", "{what:?}");
            }
        }
        // Many browsers at once push out each other.
        for seed in 4..=30 {
            Visitor::new(&shop, seed).show(&passkey(2), Rung::Passkey).await.unwrap();
        }
        own.known().await.unwrap();
        // Nor are the record and one of its own made one, from either side.
        let mut own_record = Visitor::new(&shop, 41);
        own_record.begin(&passkey(4), Rung::Passkey).await;
        assert_eq!(code(own_record.show(&passkey(2), Rung::Passkey).await), "another_customer");
        assert_eq!(code(own_record.known().await.unwrap().merge(&own_record.proof()).await), "across_devices");
        third.show(&passkey(2), Rung::Passkey).await.unwrap();
        assert_eq!(code(third.show(&passkey(4), Rung::Passkey).await), "another_customer");
        assert_eq!(code(third.known().await.unwrap().merge(&third.proof()).await), "across_devices");
        // What came after it, it may end.
        third.show(&passkey(2), Rung::Passkey).await.unwrap();
        let of_third = third.known().await.unwrap().session().clone();
        third.known().await.unwrap().bind(&third.proof(), &new(&passkey(3), Rung::Passkey), Vec::new()).await.unwrap();
        let mut fourth = Visitor::new(&shop, 40);
        fourth.show(&passkey(3), Rung::Passkey).await.unwrap();
        assert_eq!(ends(&fourth, Ending::Session(&of_third)).await, "");

        // After days it is a browser like any other.
        shop.advance_s(shop.merchant().limits().cool_down_s + 1);
        fourth.show(&passkey(3), Rung::Passkey).await.unwrap();
        fourth.known().await.unwrap().unbind(&fourth.proof(), &own_key).await.unwrap();
        assert_eq!(code(own.resume().await), "unknown_key");
    }

    #[tokio::test]
    async fn a_browser_that_joined_ends_its_own_session() {
        let shop = shop();
        let own = plain(&shop).await;
        let mut joined = Visitor::new(&shop, 2);
        joined.token = Some(join(&own, &joined).await.unwrap());
        let session = joined.known().await.unwrap().session().clone();
        assert_eq!(ends(&joined, Ending::Session(&session)).await, "");
        assert_eq!(code(joined.known().await), "invalid_token");
        own.known().await.unwrap();
    }

    #[tokio::test]
    async fn what_was_shown_before_a_browser_joined_makes_it_theirs_and_what_it_added_does_not() {
        let shop = shop();
        let mut own = Visitor::new(&shop, 1);
        own.begin(&passkey(1), Rung::Passkey).await;
        shop.advance_s(1);
        let mut joined = Visitor::new(&shop, 2);
        own.show(&passkey(1), Rung::Passkey).await.unwrap();
        joined.token = Some(join(&own, &joined).await.unwrap());
        shop.advance_s(1);
        own.known().await.unwrap().bind(&own.proof(), &new(&passkey(2), Rung::Passkey), Vec::new()).await.unwrap();
        for (shown, is_marked) in [(passkey(2), true), (passkey(1), false)] {
            joined.show(&shown, Rung::Passkey).await.unwrap();
            joined.resume().await.unwrap();
            assert_eq!(joined.known().await.unwrap().is_across_devices(), is_marked);
        }
    }

    #[tokio::test]
    async fn that_was_not_me_ends_what_was_said_in_this_browser_and_is_not_done_yet() {
        let shop = shop();
        let own = plain(&shop).await;
        shop.advance_s(1);
        let at = shop.merchant().now();
        let waiting = Visitor::new(&shop, 2);
        let ticket = vouch(&own, &waiting).await;
        own.known().await.unwrap().not_me(&own.proof(), at).await.unwrap();
        assert_eq!(code(shop.merchant().join(&waiting.proof(), &ticket).await), "access_denied");
        shop.advance_s(1);
        join(&own, &Visitor::new(&shop, 3)).await.unwrap();
    }

    #[tokio::test]
    async fn a_browsers_key_is_shown_with_every_request() {
        let shop = shop();
        let mut own = plain(&shop).await;
        own.resume().await.unwrap();
        shop.advance_s(3600);
        let known = own.known().await.unwrap();
        assert!(known.has_shown(Rung::BrowserKey, Some(0)).await.unwrap());
        assert!(!known.has_shown(Rung::Did, None).await.unwrap());
    }

    #[tokio::test]
    async fn only_so_many_records_become_one() {
        let shop = shop();
        let mut own = Visitor::new(&shop, 1);
        own.begin(&passkey(1), Rung::Passkey).await;
        for seed in 2..=10 {
            shop.advance_s(1);
            let mut other = Visitor::new(&shop, seed);
            other.begin(&passkey(seed), Rung::Passkey).await;
            other.known().await.unwrap().unbind(&other.proof(), &passkey(seed)).await.unwrap();
            other.resume().await.unwrap();
            assert_eq!(code(other.show(&passkey(1), Rung::Passkey).await), "another_customer");
            let known = other.known().await.unwrap();
            let merged = known.merge(&other.proof()).await;
            match seed {
                10 => assert_eq!(code(merged), "too_many_merged"),
                _ => drop(merged.unwrap()),
            }
        }
    }

    #[tokio::test]
    async fn a_proof_is_good_for_one_step() {
        let shop = shop();
        let mut phone = Visitor::new(&shop, 1);
        phone.begin(&passkey(1), Rung::Passkey).await;
        let laptop = Visitor::new(&shop, 2);
        let proof = laptop.proof();
        let shown = Shown { name: passkey(1), rung: Rung::Passkey, did: None };
        shop.merchant().enter(&proof, &shown, Vec::new()).await.unwrap();
        assert_eq!(code(shop.merchant().enter(&proof, &shown, Vec::new()).await), "invalid_dpop_proof");
    }
}
