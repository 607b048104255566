//! From an answer that holds to a customer who is known: redeem, session, sign out, forget.

mod cookie;
mod device;
mod tab;

pub use cookie::{CookieGrant, Refreshed};

use serde::{Deserialize, Serialize};

use super::{
    Farewell, Merchant, RACES_MAX,
    bind::{BindingEntry, Races, Shown, binding_entry, first_key, passkey_of},
    customer_key,
    dids::{Replaced, index_of},
    held::{Act, HeldBinding},
    legacy::{AccountEntry, account_of},
    lost_the_race,
    merge::MergeOffer,
    present::presentation_key,
    proof::was_spent,
    put,
    sell::{ShownTogether, begun_checkout, coupons_of, customer_checkouts, customer_drafts, customer_orders, said_by},
};
use crate::{
    ask::{Ask, Device, Proof},
    customer::{Binding, BindingName, CustomerEvent, CustomerId, CustomerRecord, Kept, Rung, Said},
    error::{Error, ProofError, Refusal},
    history::{Happened, HistoryEntry},
    meeting::{AnnouncedCall, Patience},
    merchant::BrowserProof,
    pairwise::ShopDidRecord,
    presentation::{AskedPayment, Presentation, PresentationId, Relationship, RequestId, ResponseCode, Verified},
    protocol::jose::base64url_encode,
    session::{AccessToken, LIFETIME_S, SessionId, SessionRecord, token_digest},
    store::{Expect, Key, Persisted, Prefix, StoreError, Stored, Write},
    time::UnixTime,
};

/// What seals what was shown to an ask to its own record.
const SHOWN: &str = "shown claims";
/// What seals a kept value to its customer's record.
const KEPT: &str = "kept value";
/// How many records are looked at in one go when a list is walked.
const PAGE: usize = 50;
/// How many pages of a list are walked at most.
const PAGES_MAX: usize = 20;
/// How many entries go in one commit, each with what it leads to.
const BATCH: usize = 25;
/// The sessions of one key: one for each tab that begins at the same time. A new one takes the place of the oldest, so
/// that a key cannot fill the store.
const SESSIONS_MAX: usize = 8;
/// How many of the oldest sessions one new one may replace: several only after many began at the same moment.
const REPLACED_MAX: usize = 6;

/// What a browser brings to fetch its result.
#[derive(Debug)]
pub struct Redemption<'a> {
    /// The browser's name for the presentation.
    pub presentation: &'a PresentationId,
    /// What the wallet brought back, if it was on the same device.
    pub response_code: Option<&'a ResponseCode>,
}

/// A new session. The token works together with the key that asked for it, and with no other.
#[derive(Debug)]
pub struct SessionGrant {
    /// The token; this is the only place where it is.
    pub access_token: AccessToken,
    /// How long it lives if it is not used, in seconds.
    pub expires_in_s: u64,
    /// Whose session it is.
    pub customer: CustomerId,
    /// Where the customer wanted to go.
    pub return_to: Option<String>,
}

/// A customer's record, by name: for the merchant's own pages, reports and programs. No proof that anybody is there.
#[derive(Clone, Debug)]
pub struct Customer {
    merchant: Merchant,
    id: CustomerId,
    record: CustomerRecord,
}

/// A customer who is there: whoever sent this request controls a key of theirs. Only
/// [`Merchant::recognise`] makes one.
#[derive(Clone, Debug)]
pub struct Recognised {
    merchant: Merchant,
    session: SessionRecord,
    token_digest: String,
}

/// What a customer puts an end to: see [`Recognised::end`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Ending<'a> {
    /// [`Recognised::sign_out`].
    Visit,
    /// [`Customer::revoke`].
    Session(&'a SessionId),
    /// [`Customer::revoke_all`].
    AllSessions,
    /// [`Recognised::forget_device`].
    Device,
    /// [`Customer::forget`].
    Everything,
}

/// A session, as its customer sees it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct SessionView {
    /// Its name.
    pub id: SessionId,
    /// When it began.
    pub since: UnixTime,
    /// When it was last seen, to five minutes.
    pub last_seen: UnixTime,
    /// When it ends if it is not used again.
    pub expires_at: UnixTime,
    /// The key it belongs to, as a DID.
    pub did: String,
    /// What the customer calls its device, such as `Firefox on Android`.
    pub name: Option<String>,
    /// How surely the customer was recognised in it.
    pub rung: Rung,
    /// Whether it began by a wallet on another device.
    pub across_devices: bool,
    /// Whether a cookie carries it.
    pub cookie: bool,
}

/// How a session begins.
#[derive(Clone, Debug)]
pub(super) struct Begin {
    /// By what the customer proved to be themselves.
    pub(super) rung: Rung,
    /// When, if it was by more than the browser's key.
    pub(super) rung_at: Option<UnixTime>,
    /// By which binding.
    pub(super) by: Option<BindingName>,
    /// When a wallet answered on this device.
    pub(super) proved_at: Option<UnixTime>,
    /// Whether a wallet on another device answered instead.
    pub(super) across_devices: bool,
}

impl Default for Begin {
    fn default() -> Self {
        Self { rung: Rung::BrowserKey, rung_at: None, by: None, proved_at: None, across_devices: false }
    }
}

/// Whose visit begins.
struct Came {
    customer: CustomerId,
    /// The credential that was shown.
    shown: Option<BindingName>,
    is_new: bool,
    /// Whether this browser joined, and showed nothing since that was this customer's before.
    has_joined: bool,
}

/// Where the session of a customer is found, under its key and its name.
#[derive(Serialize, Deserialize)]
pub(super) struct SessionEntry {
    token_digest: String,
    since: UnixTime,
    /// Whether a cookie opens it.
    #[serde(default)]
    cookie: bool,
}

/// What a key may still read of an answer, under the key and the ask.
#[derive(Serialize, Deserialize)]
struct AnswerEntry {
    /// The presentation that it came by.
    request: String,
    device: Device,
    /// What was shown to this ask alone.
    sealed: String,
}

impl Persisted for SessionEntry {
    const KIND: &'static str = "customer_session";
    const SCHEMA: u16 = 1;
}

impl Persisted for AnswerEntry {
    const KIND: &'static str = "session_answer";
    const SCHEMA: u16 = 1;
}

impl Merchant {
    /// The browser that asked fetches its result and becomes a known customer: the one of its key, or a new one.
    ///
    /// # Errors
    /// [`Error::Step`] if the key, the code or the moment is wrong; [`Refusal::BindingLocked`];
    /// [`Refusal::AnotherPerson`] if the answer contradicts what is kept of this browser's customer: then nothing
    /// changes; [`Refusal::AnotherCustomer`] if a credential of the shop's own leads to somebody else: the answer is used
    /// up, and a merge is offered; [`Refusal::NotRecognised`] if that credential leads to nobody any more;
    /// [`Refusal::AuthorisationUsed`] and [`Error::Order`] if a payment cannot be authorised by it any more;
    /// [`ProofError::Replayed`].
    pub async fn redeem(&self, browser: &BrowserProof, redemption: &Redemption<'_>) -> Result<SessionGrant, Error> {
        let request = redemption.presentation.request();
        for _ in 0..RACES_MAX {
            match self.try_redeem(browser, &request, redemption.response_code).await {
                Err(Error::Unavailable { source, .. }) if is_race(source.as_ref()) => {}
                Ok((grant, payment)) => {
                    // What is committed is handed over; if that is interrupted, housekeeping goes on.
                    if let Some(AskedPayment { order, attempt, .. }) = payment {
                        self.handed_over(&order, attempt).await;
                        self.tell_inventory_by(&order).await;
                    }
                    return Ok(grant);
                }
                Err(error @ (Error::Order(_) | Error::Refused(Refusal::AuthorisationUsed))) => {
                    // It authorises nothing any more: that is the end of it, and the order remembers why.
                    said_only(self.authorises_nothing(&request, &error).await);
                    return Err(error);
                }
                Err(other) => return Err(other),
            }
        }
        Err(Error::Unavailable { seam: "the store", source: "the same customer changes too often".into() })
    }

    async fn try_redeem(
        &self,
        browser: &BrowserProof,
        request: &RequestId,
        code: Option<&ResponseCode>,
    ) -> Result<(SessionGrant, Option<AskedPayment>), Error> {
        let now = self.now();
        let (presentation, version) = self.presentation(request).await?;
        let (redeemed, answered) = presentation.redeemed(&browser.key_name(), code, now)?;
        let (asked, answered_at) = (redeemed.asked.clone(), answered.at);
        let answers = self.opened(request, &answered.sealed)?;
        let mut shown_to = Vec::new();
        for verified in answers.each(asked.device) {
            shown_to.push((self.declared(verified.ask()).ok_or(Refusal::NoSuchAsk)?, verified));
        }
        let across_devices = asked.device == Device::CrossDevice;
        let next = Presentation::Redeemed(redeemed);

        let mut writes = vec![browser.spent(now)?];
        let came = self.who_came(browser, answers.relationship(), (across_devices, answered_at), &mut writes).await?;
        let Some(came) = came else {
            // The answer has done what it can do: it says whose the other record is, once.
            writes.push(Write::delete(presentation_key(request), Expect::Version(version)));
            self.commit_plain(&writes, now).await?;
            self.tell(request);
            return Err(Refusal::AnotherCustomer.into());
        };
        let Came { customer, shown, is_new, has_joined } = came;
        let proof = |(ask, verified): &(&Ask, Verified)| Proof {
            ask: ask.name().to_owned(),
            purpose: ask.purpose().to_owned(),
            outcome: verified.outcome().clone(),
            at: answered_at,
            device: asked.device,
        };
        let proofs: Vec<Proof> = shown_to.iter().map(proof).collect();
        let proved = |record: CustomerRecord| proofs.iter().cloned().fold(record, CustomerRecord::proved);
        let (mut kept, said) = self.kept_by(&shown_to, &customer, now)?;
        if across_devices {
            // It may be the wallet of somebody who was shown a code that is not theirs: a proof for this browser, and
            // nothing that is known of its customer from now on.
            kept.clear();
        }
        let mut is_them = true;
        if is_new {
            let record = proved(CustomerRecord::new(now));
            writes.push(put(customer_key(&customer), &record, None, Expect::Absent)?);
        } else {
            // The record first: whoever changes what is kept also changes its version.
            let (record, record_version) = self.live_record(&customer).await?;
            let known = self.walk::<Kept>(&customer).await?;
            let contradicts = |old: &&Kept| old.is_contradicted_by(&said, now);
            let claims: Vec<String> =
                known.iter().map(|(_, old)| old).filter(contradicts).map(|old| old.claim.clone()).collect();
            if !claims.is_empty() {
                return Err(Refusal::AnotherPerson { claims }.into());
            }
            // Where the shop keeps something that tells who the customer is, a wallet that says nothing of it may be that
            // of somebody who was lent this browser. One that holds our own credential is theirs.
            is_them =
                shown.is_some() || known.is_empty() || known.iter().any(|(_, old)| old.is_confirmed_by(&said, now));
            let record = proved(record);
            writes.push(put(customer_key(&customer), &record, None, Expect::Version(record_version))?);
        }
        for kept in &kept {
            writes.push(put(kept_key(&customer, &kept.claim), kept, Some(kept.until), Expect::Any)?);
        }
        let mut taken = None;
        if let (Some(payment), Some(authorisation)) = (&asked.payment, answers.authorisation()) {
            let came = ShownTogether { customer: &customer, shown: &shown_to, proofs: &proofs };
            let authorised = self.authorised(payment, authorisation, answered_at, &came).await?;
            writes.extend(authorised.writes);
            taken = authorised.taken;
        }
        // What an order took is in no answer any more.
        for (ask, verified) in shown_to.iter().filter(|(ask, _)| taken.as_deref() != Some(ask.name())) {
            let entry = answer_entry(&customer, &browser.key_name(), ask.name());
            let sealed = self.seal(SHOWN, &entry, &verified.to_seal());
            let answer = AnswerEntry { request: request.as_str().to_owned(), device: asked.device, sealed };
            writes.push(put(entry, &answer, Some(next.kept_until()), Expect::Any)?);
        }
        writes.push(put(presentation_key(request), &next, Some(next.kept_until()), Expect::Version(version))?);
        let begin = Begin {
            rung: if shown.is_some() { Rung::RelationshipCredential } else { Rung::BrowserKey },
            rung_at: shown.is_some().then_some(answered_at),
            by: shown,
            // Somebody may have shown this browser's code to another person's wallet: that is no proof of who sits here.
            proved_at: (is_them && !across_devices).then_some(answered_at),
            across_devices: across_devices || has_joined,
        };
        let grant = self.begin(browser, &customer, &begin, asked.return_to, writes, now).await?;
        self.tell(request);
        Ok((grant, asked.payment))
    }

    /// What these asks keep of one answer, and what it says of that: as if they had been asked one after the other.
    fn kept_by(
        &self,
        shown_to: &[(&Ask, Verified)],
        customer: &CustomerId,
        now: UnixTime,
    ) -> Result<(Vec<Kept>, Vec<Said>), Error> {
        let (mut all, mut all_said): (Vec<Kept>, Vec<Said>) = (Vec::new(), Vec::new());
        for (ask, verified) in shown_to {
            let (kept, said): (Vec<_>, Vec<_>) = self.kept(ask, verified, customer, now).into_iter().unzip();
            let contradicted = all.iter().filter(|old| old.is_contradicted_by(&said, now));
            let claims: Vec<String> = contradicted.map(|old| old.claim.clone()).collect();
            if !claims.is_empty() {
                // Two cards that say different things are not of one person.
                return Err(Refusal::AnotherPerson { claims }.into());
            }
            all.retain(|old| !kept.iter().any(|new| new.claim == old.claim));
            all.extend(kept);
            all_said.extend(said);
        }
        Ok((all, all_said))
    }

    /// Whose visit an answer begins: the customer of the credential that was shown on this device, else the one of this
    /// browser's key, else a new one. None if credential and key say different things: then `writes` offer to make the two
    /// records one.
    async fn who_came(
        &self,
        browser: &BrowserProof,
        relationship: Option<&Relationship>,
        (across_devices, answered_at): (bool, UnixTime),
        writes: &mut Vec<Write>,
    ) -> Result<Option<Came>, Error> {
        let now = self.now();
        let shown = match relationship {
            Some(relationship) => Some(self.credential_shown(relationship).await?),
            None => None,
        };
        if let Some((shown, binding, version, customer)) = &shown {
            if across_devices {
                // Whoever sits at the other screen may have been sent this code by a stranger: the browser that asked learns
                // nothing of the record, and its owner reads in the history that their credential was shown.
                writes.push(self.note(customer, Happened::ShownAcrossDevices)?);
            } else {
                let known = self.binding_of(browser).await?;
                let Some(arrived) = self.arrive(browser, known, customer, Some(shown), false).await? else {
                    let (by, rung) = (shown.name.clone(), shown.rung);
                    let offer = MergeOffer { shown: customer.clone(), by, rung, at: answered_at };
                    writes.push(self.merge_offer(browser, &offer)?);
                    return Ok(None);
                };
                writes.extend(arrived);
                writes.extend(self.seen_again(shown, binding, *version, customer)?);
                let shown = Some(shown.name.clone());
                return Ok(Some(Came { customer: customer.clone(), shown, is_new: false, has_joined: false }));
            }
        }
        let known = self.binding_of(browser).await?;
        if known.as_ref().is_some_and(|(binding, _)| binding.locked) {
            return Err(Refusal::BindingLocked.into());
        }
        let is_new = known.is_none();
        let has_joined =
            known.as_ref().is_some_and(|(binding, _)| binding.across_devices && binding.joined_at.is_some());
        let customer = known
            .as_ref()
            .map_or_else(|| CustomerId::from_random(self.random()), |(binding, _)| binding.customer.clone());
        if is_new {
            writes.push(self.note(&customer, Happened::Began { rung: Rung::BrowserKey })?);
            writes.extend(first_key(browser, &customer, None, (across_devices, None), now)?);
        } else {
            let arrived = self.arrive(browser, known, &customer, None, across_devices).await?;
            // It was theirs a moment ago: begin again.
            writes.extend(arrived.ok_or(Refusal::Overtaken)?);
        }
        Ok(Some(Came { customer, shown: None, is_new, has_joined }))
    }

    async fn credential_shown(
        &self,
        relationship: &Relationship,
    ) -> Result<(Shown, Binding, crate::store::Version, CustomerId), Error> {
        let name = BindingName::credential(&relationship.alias);
        let (binding, version) = self.binding(&name).await?.ok_or(Refusal::NotRecognised)?;
        if binding.locked {
            return Err(Refusal::NotRecognised.into());
        }
        let customer = binding.customer.clone();
        let did = Some(relationship.did.clone());
        Ok((Shown { name, rung: Rung::RelationshipCredential, did }, binding, version, customer))
    }

    /// A key that is known already begins a new session by its proof alone.
    ///
    /// # Errors
    /// [`Refusal::UnknownKey`], [`Refusal::BindingLocked`], [`ProofError::Replayed`].
    pub async fn resume(&self, browser: &BrowserProof) -> Result<SessionGrant, Error> {
        // Whoever is first may have locked the key, and may as well have named the device.
        let mut races = Races::of(&[]);
        loop {
            let step = async {
                let now = self.now();
                let (binding, version) = self.binding_of(browser).await?.ok_or(Refusal::UnknownKey)?;
                if binding.locked {
                    return Err(Refusal::BindingLocked.into());
                }
                let key = binding_key(&browser.key_name());
                let writes = vec![Write::Check { key, expect: Expect::Version(version) }, browser.spent(now)?];
                let begin = Begin { across_devices: binding.across_devices, ..Begin::default() };
                self.begin(browser, &binding.customer, &begin, None, writes, now).await
            };
            if let Some(outcome) = races.settled(step.await) {
                return outcome;
            }
        }
    }

    /// Who sends a request: the customer of the session that the token names, if the proof is by the session's key.
    ///
    /// # Errors
    /// [`ProofError::Token`] if the token is unknown, over, revoked or another key's.
    pub async fn recognise(&self, browser: &BrowserProof, access_token: &str) -> Result<Recognised, Error> {
        let now = self.now();
        let digest = token_digest(access_token);
        let keys = [session_key(&digest), binding_key(&browser.key_name())];
        let mut found = self.0.store.load(&keys, now).await?.into_iter().flatten();
        let (Some(stored), Some(bound)) = (found.next(), found.next()) else { return Err(ProofError::Token.into()) };
        let (session, binding): (SessionRecord, Binding) = (stored.read()?, bound.read()?);
        // RFC 9449, 7.1: the token is worth nothing without the key it is bound to. And the key's own record decides, so
        // that whoever signs out is out in one commit, whatever sessions the key has.
        // A cookie is no access token.
        let is_theirs =
            session.cookie.is_none() && session.key == browser.key_name() && session.is_carried_by(&binding);
        if !is_theirs || session.is_over(now) {
            return Err(ProofError::Token.into());
        }
        if let Some(touched) = session.touched(now) {
            let write =
                put(session_key(&digest), &touched, Some(touched.expires_at()), Expect::Version(stored.version))?;
            // Losing this race means that another request has just written the same, or that the session was revoked:
            // the next request will see.
            match self.0.store.commit(&[write], now).await {
                Ok(_) | Err(StoreError::Conflict(_)) => {}
                Err(error) => tracing::warn!(%error, "the last use of a session was not written down"),
            }
        }
        Ok(Recognised { merchant: self.clone(), session, token_digest: digest })
    }

    /// The record of a customer who is there.
    ///
    /// # Errors
    /// [`ProofError::Token`] if the customer was forgotten, or became another one, in between.
    pub(super) async fn live_record(
        &self,
        customer: &CustomerId,
    ) -> Result<(CustomerRecord, crate::store::Version), Error> {
        let stored = self.load_one(&customer_key(customer)).await?.ok_or(ProofError::Token)?;
        let record: CustomerRecord = stored.read()?;
        if record.merged_into.is_some() || record.leaving {
            return Err(ProofError::Token.into());
        }
        Ok((record, stored.version))
    }

    /// Begins a session in one commit with `writes`, which were `decided` then, and ends the oldest of the key, if it has as
    /// many as it may have. What those could read, the key still can.
    pub(super) async fn begin(
        &self,
        browser: &BrowserProof,
        customer: &CustomerId,
        begin: &Begin,
        return_to: Option<String>,
        mut writes: Vec<Write>,
        decided: UnixTime,
    ) -> Result<SessionGrant, Error> {
        // Not before its key was opened, which the writes may do.
        let now = self.now();
        let access_token = AccessToken::from_random(self.random());
        let Begin { rung, rung_at, by, proved_at, across_devices } = begin.clone();
        let session = SessionRecord {
            id: SessionId::from_random(self.random()),
            customer: customer.clone(),
            key: browser.key_name(),
            rung,
            rung_at,
            by,
            across_devices,
            since: now,
            last_seen: now,
            proved_at,
            cookie: None,
        };
        let prefix = of_key(SessionEntry::KIND, customer, &session.key);
        let mut earlier = Vec::new();
        for (key, stored) in self.0.store.scan(&prefix, None, PAGE, now).await? {
            earlier.push((stored.read::<SessionEntry>()?, key));
        }
        // A cookie ends when the next one takes its place.
        earlier.retain(|(entry, _)| !entry.cookie);
        earlier.sort_by_key(|(entry, _)| entry.since);
        let too_many = (earlier.len() + 1).saturating_sub(SESSIONS_MAX).min(REPLACED_MAX);
        for (entry, key) in earlier.into_iter().take(too_many) {
            writes.extend([deletion(session_key(&entry.token_digest)), deletion(key)]);
        }
        let entry = SessionEntry { token_digest: access_token.digest(), since: now, cookie: false };
        let at_most = Some(now.plus_s(LIFETIME_S));
        writes.push(put(session_key(&access_token.digest()), &session, Some(session.expires_at()), Expect::Absent)?);
        writes.push(put(session_entry(&session), &entry, at_most, Expect::Absent)?);
        self.commit_session(&access_token, &writes, decided).await?;
        let expires_in_s = expires_in_s(&session, now);
        Ok(SessionGrant { access_token, expires_in_s, customer: customer.clone(), return_to })
    }

    /// Commits the beginning of a session with all that belongs to it. If the store cannot say whether it happened, the
    /// session says it: its token is drawn for this commit alone.
    async fn commit_session(&self, token: &AccessToken, writes: &[Write], now: UnixTime) -> Result<(), Error> {
        match self.0.store.commit(writes, now).await {
            Ok(_) => Ok(()),
            Err(e) if was_spent(&e) => Err(ProofError::Replayed.into()),
            Err(e @ StoreError::Unknown(_)) => match self.load_one(&session_key(&token.digest())).await? {
                Some(_) => Ok(()),
                None => Err(e.into()),
            },
            Err(e) => Err(e.into()),
        }
    }

    /// The values that an ask keeps, and what they say, to be held against what is kept already.
    fn kept(&self, ask: &Ask, verified: &Verified, customer: &CustomerId, now: UnixTime) -> Vec<(Kept, Said)> {
        let mut kept = Vec::new();
        for keep in ask.kept() {
            let path: Vec<&str> = keep.claim.split('.').collect();
            let Some(value) = ask.asked_for().iter().find_map(|w| verified.claim(w.id(), &path)) else { continue };
            let text = zeroize::Zeroizing::new(value.to_string());
            let info = zeroize::Zeroizing::new(format!("{customer}\0{}\0{}", keep.claim, text.as_str()));
            let digests = self.0.keys.derive_all("kept digest", info.as_bytes());
            let said = Said {
                claim: keep.claim.clone(),
                digests: digests.iter().map(|digest| base64url_encode(digest)).collect(),
            };
            let value = Kept {
                ask: ask.name().to_owned(),
                claim: keep.claim.clone(),
                purpose: keep.purpose.clone(),
                until: now.plus_s(keep.keep_s),
                sealed: self.seal(KEPT, &kept_key(customer, &keep.claim), text.as_bytes()),
                digest: said.digests.first().cloned().unwrap_or_default(),
            };
            kept.push((value, said));
        }
        kept
    }

    /// A value that is kept under a customer's name.
    pub(super) async fn kept_value(
        &self,
        customer: &CustomerId,
        claim: &str,
    ) -> Result<Option<serde_json::Value>, Error> {
        let key = kept_key(customer, claim);
        let Some(stored) = self.load_one(&key).await? else { return Ok(None) };
        let kept: Kept = stored.read()?;
        self.open_value(KEPT, &key, &kept.sealed).map(Some)
    }

    /// Ends a session, and signs out the key it belongs to: otherwise that key would begin the next one by itself, or
    /// go on with another one that it has.
    async fn end_session(
        &self,
        customer: &CustomerId,
        id: &SessionId,
        proof: Option<&BrowserProof>,
    ) -> Result<(), Error> {
        let key = self.key_of(customer, id).await?;
        self.end_key(customer, &key, Fate::Locked, proof).await
    }

    /// The browser's key that a session belongs to.
    async fn key_of(&self, customer: &CustomerId, id: &SessionId) -> Result<String, Error> {
        let entries = self.walk::<SessionEntry>(customer).await?;
        let key = entries.iter().find_map(|(sort, _)| sort.strip_suffix(id.as_str())?.strip_suffix('/'));
        Ok(key.ok_or(Refusal::NoSuchSession)?.to_owned())
    }

    /// Ends all sessions, the caller's key last: whoever is interrupted can go on.
    pub(super) async fn end_sessions(
        &self,
        customer: &CustomerId,
        own: Option<&str>,
        proof: Option<&BrowserProof>,
    ) -> Result<(), Error> {
        for (key, entry) in self.walk::<BindingEntry>(customer).await? {
            // What has no sessions of its own stays: it is the way back.
            if own != Some(key.as_str()) && entry.rung == Rung::BrowserKey {
                self.end_key(customer, &key, Fate::Locked, None).await?;
            }
        }
        match own {
            Some(own) => self.end_key(customer, own, Fate::Locked, proof).await,
            None => Ok(()),
        }
    }

    /// Locks or deletes a key and ends its sessions, with what they could read, in one commit with the proof that asked
    /// for it.
    pub(super) async fn end_key(
        &self,
        customer: &CustomerId,
        key: &str,
        fate: Fate,
        proof: Option<&BrowserProof>,
    ) -> Result<(), Error> {
        let [sessions, answers] = [SessionEntry::KIND, AnswerEntry::KIND].map(|kind| of_key(kind, customer, key));
        for _ in 0..RACES_MAX {
            let now = self.now();
            let mut writes: Vec<Write> = proof.map(|proof| proof.spent(now)).transpose()?.into_iter().collect();
            if let Some(bound) = self.load_one(&binding_key(key)).await? {
                let binding: Binding = bound.read()?;
                let until = binding.expires_at;
                match fate {
                    // It was somebody's else by now.
                    _ if binding.customer != *customer => {}
                    Fate::Deleted => {
                        let (record, version) = self.live_record(customer).await?;
                        writes.push(put(customer_key(customer), &record, None, Expect::Version(version))?);
                        writes.push(Write::delete(binding_key(key), Expect::Version(bound.version)));
                        writes.push(deletion(binding_entry(customer, key)));
                    }
                    Fate::Locked if binding.locked => {}
                    Fate::Locked => {
                        let locked = Binding { locked: true, ..binding };
                        writes.push(put(binding_key(key), &locked, until, Expect::Version(bound.version))?);
                    }
                }
            }
            for (prefix, leads_to) in [(&sessions, session_of as LeadsTo), (&answers, answered_with)] {
                for (entry, stored) in self.0.store.scan(prefix, None, BATCH / 2, now).await? {
                    writes.extend(leads_to(&entry, &stored)?.map(deletion));
                    writes.push(deletion(entry));
                }
            }
            if writes.is_empty() {
                return Ok(());
            }
            match self.0.store.commit(&writes, now).await {
                Err(e) if was_spent(&e) => return Err(ProofError::Replayed.into()),
                Err(e) if lost_the_race(&e) => {}
                Err(e) => return Err(e.into()),
                Ok(_) => {
                    self.tell_key(key);
                    // What did not fit, or began while we looked. Nobody can use it any more.
                    let rest = async {
                        self.erase(&sessions, None, session_of).await?;
                        self.erase(&answers, None, answered_with).await
                    };
                    said_only(rest.await);
                    return Ok(());
                }
            }
        }
        Err(Error::Unavailable { seam: "the store", source: "the same key changes too often".into() })
    }

    /// Clears away what the sessions of a key left behind: they open nothing any more.
    pub(super) async fn erase_sessions(&self, customer: &CustomerId, key: &str) {
        let [sessions, answers] = [SessionEntry::KIND, AnswerEntry::KIND].map(|kind| of_key(kind, customer, key));
        let rest = async {
            self.erase(&sessions, None, session_of).await?;
            self.erase(&answers, None, answered_with).await
        };
        said_only(rest.await);
    }

    /// Forgets a customer. What a second attempt needs goes last, in one commit: the caller's own session, the keys and
    /// the record.
    async fn forget_with(
        &self,
        customer: &CustomerId,
        own: Option<&SessionRecord>,
        proof: Option<&BrowserProof>,
    ) -> Result<(), Error> {
        let own_entry = own.map(session_entry);
        // Once more than a race may be lost: the first round says that the customer leaves.
        for _ in 0..=RACES_MAX {
            let now = self.now();
            let stored = self.load_one(&customer_key(customer)).await?;
            // Whoever proves something meanwhile changes the record, and then all this is done again.
            let expect = stored.as_ref().map_or(Expect::Any, |stored| Expect::Version(stored.version));
            let record = stored.map(|stored| stored.read::<CustomerRecord>()).transpose()?;
            if record.as_ref().is_some_and(|record| record.merged_into.is_some()) {
                // It is part of another record by now.
                return Err(ProofError::Token.into());
            }
            if let Some(record) = record.as_ref().filter(|record| !record.leaving) {
                // From here on nothing joins it and nothing parts from it, so that what is deleted is all of theirs.
                let leaving = CustomerRecord { leaving: true, ..record.clone() };
                match self.0.store.commit(&[put(customer_key(customer), &leaving, None, expect)?], now).await {
                    Err(e) if lost_the_race(&e) => continue,
                    Err(e) => return Err(e.into()),
                    Ok(_) => continue,
                }
            }
            // While it is still known whose they are: nobody shows them again, and the lists say so to everybody else.
            match self.take_credentials(customer).await {
                Err(Error::Unavailable { source, .. }) if is_race(source.as_ref()) => continue,
                other => other?,
            }
            let merged: Vec<CustomerId> =
                record.iter().flat_map(|record| &record.merged).map(|merged| merged.customer.clone()).collect();
            for name in merged.iter().chain([customer]) {
                self.erase_all_of(name, own_entry.as_ref()).await?;
            }
            let all = of_customer(BindingEntry::KIND, customer);
            let passkeys = self.0.store.scan(&all, None, PAGE, now).await?;
            let passkeys: Vec<Write> =
                passkeys.iter().filter_map(|(entry, _)| passkey_of(&entry.sort)).map(deletion).collect();
            if !passkeys.is_empty() {
                self.0.store.commit(&passkeys, now).await?;
            }
            let mut keys = self.0.store.scan(&all, None, BATCH, now).await?;
            if keys.len() == BATCH {
                let own_key = own.map(|own| binding_entry(customer, &own.key));
                self.erase(&all, own_key.as_ref(), bound_by).await?;
                keys = self.0.store.scan(&all, None, BATCH, now).await?;
            }
            let mut writes: Vec<Write> = proof.map(|proof| proof.spent(now)).transpose()?.into_iter().collect();
            writes.push(Write::delete(customer_key(customer), expect));
            let ended: Vec<String> = keys.iter().map(|(entry, _)| entry.sort.clone()).collect();
            writes.extend(merged.iter().map(|name| deletion(customer_key(name))));
            writes.extend(keys.into_iter().flat_map(|(entry, _)| [binding_key(&entry.sort), entry]).map(deletion));
            if let Some(record) = &record {
                for id in merged.iter().chain([customer]) {
                    // A name that was merged was told of nothing since.
                    let told = if id == customer { record.told } else { u32::MAX - 1 };
                    let event = CustomerEvent::Forgotten { id: id.clone(), at: now };
                    writes.extend(self.announce_customer(id, told, &event)?);
                }
            }
            if let Some(entry) = &own_entry
                && let Some(stored) = self.load_one(entry).await?
            {
                writes.extend(session_of(entry, &stored)?.map(deletion));
                writes.push(deletion(entry.clone()));
            }
            match self.0.store.commit(&writes, now).await {
                Err(e) if was_spent(&e) => return Err(ProofError::Replayed.into()),
                Err(e) if lost_the_race(&e) => {}
                Err(e) => return Err(e.into()),
                Ok(_) => {
                    ended.iter().for_each(|key| self.tell_key(key));
                    // A session that one of the keys began while we looked, which opens nothing without its key; and what
                    // leads to an order that was placed meanwhile.
                    said_only(self.erase_all_of(customer, None).await);
                    return Ok(());
                }
            }
        }
        Err(Error::Unavailable { seam: "the store", source: "the same customer changes too often".into() })
    }

    /// Deletes all that is stored under a customer's name but the record and its bindings. The orders are the merchant's
    /// books, and stay; nothing leads from the customer to them any more.
    async fn erase_all_of(&self, customer: &CustomerId, but: Option<&Key>) -> Result<(), Error> {
        self.erase(&of_customer(SessionEntry::KIND, customer), but, session_of).await?;
        self.erase(&of_customer(AnswerEntry::KIND, customer), None, answered_with).await?;
        self.erase(&of_customer(Kept::KIND, customer), None, nothing).await?;
        self.erase(&of_customer(HistoryEntry::KIND, customer), None, nothing).await?;
        self.erase(&of_customer(AnnouncedCall::KIND, customer), None, nothing).await?;
        self.erase(&of_customer(Patience::KIND, customer), None, nothing).await?;
        self.erase(&of_customer(ShopDidRecord::KIND, customer), None, index_of).await?;
        self.erase(&of_customer(Replaced::KIND, customer), None, bound_by).await?;
        self.erase(&of_customer(AccountEntry::KIND, customer), None, account_of).await?;
        self.erase(&customer_orders(customer), None, nothing).await?;
        self.erase(&customer_checkouts(customer), None, |entry, _| Ok(Some(begun_checkout(entry)))).await?;
        self.erase(&said_by(customer), None, nothing).await?;
        self.erase(&coupons_of(customer), None, nothing).await?;
        self.erase(&customer_drafts(customer), None, nothing).await
    }

    /// Deletes the entries under a prefix but for one, each with what it leads to.
    pub(super) async fn erase(&self, prefix: &Prefix, but: Option<&Key>, leads_to: LeadsTo) -> Result<(), Error> {
        let mut after: Option<String> = None;
        loop {
            let now = self.now();
            let page = self.0.store.scan(prefix, after.as_deref(), BATCH, now).await?;
            let full = page.len() == BATCH;
            after = page.last().map(|(key, _)| key.sort.clone());
            let mut writes = Vec::new();
            for (entry, stored) in page {
                if but != Some(&entry) {
                    writes.extend(leads_to(&entry, &stored)?.map(deletion));
                    writes.push(deletion(entry));
                }
            }
            if !writes.is_empty() {
                self.0.store.commit(&writes, now).await?;
            }
            if !full {
                return Ok(());
            }
        }
    }

    /// The entries of a customer, as many as a list shows.
    pub(super) async fn walk<T: Persisted>(&self, customer: &CustomerId) -> Result<Vec<(String, T)>, Error> {
        let prefix = Prefix { kind: T::KIND, partition: customer.as_str().to_owned(), sort: String::new() };
        let mut found = Vec::new();
        let mut after: Option<String> = None;
        for _ in 0..PAGES_MAX {
            let page = self.0.store.scan(&prefix, after.as_deref(), PAGE, self.now()).await?;
            let full = page.len() == PAGE;
            for (key, stored) in page {
                after = Some(key.sort.clone());
                found.push((key.sort, stored.read::<T>()?));
            }
            if !full {
                break;
            }
        }
        Ok(found)
    }
}

impl Customer {
    pub(super) const fn new(merchant: Merchant, id: CustomerId, record: CustomerRecord) -> Self {
        Self { merchant, id, record }
    }

    pub(super) const fn merchant(&self) -> &Merchant {
        &self.merchant
    }

    pub(super) const fn record(&self) -> &CustomerRecord {
        &self.record
    }

    /// The customer's name in this shop.
    #[must_use]
    pub const fn id(&self) -> &CustomerId {
        &self.id
    }

    /// Since when the shop knows them.
    #[must_use]
    pub const fn since(&self) -> UnixTime {
        self.record.created_at
    }

    /// What was proved: the latest proof for each ask.
    #[must_use]
    pub fn proofs(&self) -> &[Proof] {
        &self.record.proofs
    }

    /// The values that are kept: which, why and until when.
    ///
    /// # Errors
    /// [`Error::Unavailable`] if the store does not answer.
    pub async fn kept(&self) -> Result<Vec<Kept>, Error> {
        Ok(self.merchant.walk::<Kept>(&self.id).await?.into_iter().map(|(_, kept)| kept).collect())
    }

    /// A kept value.
    ///
    /// # Errors
    /// [`Error::Misuse`] if it was sealed under a root that is not in the keys any more, [`Error::Unavailable`] if the
    /// store does not answer.
    pub async fn kept_value(&self, claim: &str) -> Result<Option<serde_json::Value>, Error> {
        self.merchant.kept_value(&self.id, claim).await
    }

    /// The customer's keys as DIDs: names for themselves that no other business ever sees.
    ///
    /// # Errors
    /// [`Error::Unavailable`] if the store does not answer.
    pub async fn dids(&self) -> Result<Vec<String>, Error> {
        let bindings = self.merchant.walk::<BindingEntry>(&self.id).await?;
        Ok(bindings.into_iter().filter_map(|(_, entry)| entry.did).collect())
    }

    /// The customer's sessions.
    ///
    /// # Errors
    /// [`Error::Unavailable`] if the store does not answer.
    pub async fn sessions(&self) -> Result<Vec<SessionView>, Error> {
        let mut sessions = Vec::new();
        for (_, entry) in self.merchant.walk::<SessionEntry>(&self.id).await? {
            let Some(stored) = self.merchant.load_one(&session_key(&entry.token_digest)).await? else { continue };
            let session: SessionRecord = stored.read()?;
            let Some(bound) = self.merchant.load_one(&binding_key(&session.key)).await? else { continue };
            let binding: Binding = bound.read()?;
            if binding.locked {
                continue;
            }
            sessions.push(SessionView {
                did: binding.did.unwrap_or_default(),
                name: binding.name,
                rung: session.rung,
                across_devices: session.across_devices,
                cookie: session.cookie.is_some(),
                since: session.since,
                last_seen: session.last_seen,
                expires_at: session.expires_at(),
                id: session.id,
            });
        }
        Ok(sessions)
    }

    /// Ends a session and all others of its key, and locks that key: whoever holds it is signed out.
    ///
    /// # Errors
    /// [`Refusal::NoSuchSession`] if this customer has none of that name.
    pub async fn revoke(&self, session: &SessionId) -> Result<(), Error> {
        self.merchant.end_session(&self.id, session, None).await
    }

    /// Ends all sessions, and locks their keys.
    ///
    /// # Errors
    /// [`Error::Unavailable`] if the store does not answer.
    pub async fn revoke_all(&self) -> Result<(), Error> {
        self.merchant.end_sessions(&self.id, None, None).await
    }

    /// Forgets the customer: sessions, keys, proofs and kept values are deleted. The merchant's own tables are the
    /// merchant's to clean.
    ///
    /// Orders stay, without identity: what comes back says how many.
    ///
    /// # Errors
    /// [`Error::Unavailable`] if the store does not answer; begun and not finished, it can be called again.
    pub async fn forget(self) -> Result<Farewell, Error> {
        let farewell = self.merchant.farewell(&self.id).await?;
        self.merchant.forget_with(&self.id, None, None).await?;
        Ok(farewell)
    }
}

impl Recognised {
    /// The customer's name in this shop: what joins the merchant's own tables.
    #[must_use]
    pub const fn id(&self) -> &CustomerId {
        &self.session.customer
    }

    /// How strongly the customer proved to be themselves.
    #[must_use]
    pub const fn rung(&self) -> Rung {
        self.session.rung
    }

    /// The session of this request.
    #[must_use]
    pub const fn session(&self) -> &SessionId {
        &self.session.id
    }

    /// When the wallet answered by which this session began, if it was on the same device.
    #[must_use]
    pub const fn proved_at(&self) -> Option<UnixTime> {
        self.session.proved_at
    }

    pub(super) const fn merchant(&self) -> &Merchant {
        &self.merchant
    }

    pub(super) const fn record(&self) -> &SessionRecord {
        &self.session
    }

    /// Whether the session began by a wallet on another device, which may have been somebody else's.
    #[must_use]
    pub const fn is_across_devices(&self) -> bool {
        self.session.across_devices
    }

    /// The customer's record.
    ///
    /// # Errors
    /// [`ProofError::Token`] if the customer was forgotten in between; [`Error::Unavailable`].
    pub async fn customer(&self) -> Result<Customer, Error> {
        let (record, _) = self.merchant.live_record(self.id()).await?;
        Ok(Customer::new(self.merchant.clone(), self.id().clone(), record))
    }

    /// The proof for an ask, if there is one that is not older than the ask allows.
    ///
    /// # Errors
    /// As [`Recognised::customer`].
    pub async fn proof(&self, ask: &Ask) -> Result<Option<Proof>, Error> {
        Ok(self.proofs(&self.customer().await?, &[ask]).await?.pop().flatten())
    }

    /// The same for several asks, in their order, by the customer's record as it was loaded.
    pub(in crate::merchant) async fn proofs(
        &self,
        customer: &Customer,
        asks: &[&Ask],
    ) -> Result<Vec<Option<Proof>>, Error> {
        let (record, now) = (&customer.record, self.merchant.now());
        let found = |ask: &&Ask| record.proof(ask.name(), ask.proof_age_s(), now).filter(|it| ask.is_answered_by(it));
        let mut proofs: Vec<Option<Proof>> = asks.iter().map(|ask| found(ask).cloned()).collect();
        // What was proved before somebody came back by a code is not theirs to use.
        if let (Some(_), Some(since)) = (customer.cooling_until(), record.cooling_since)
            && proofs.iter().flatten().any(|proof| proof.at < since)
            && !self.is_from_before(&self.merchant.held(self.id()).await?)
        {
            for proof in &mut proofs {
                proof.take_if(|proof| proof.at < since);
            }
        }
        Ok(proofs)
    }

    /// The claims of an answer that this key brought, for up to 15 minutes after it was redeemed; then, and after
    /// sign-out, nothing.
    ///
    /// # Errors
    /// [`Error::Unavailable`] if the store does not answer.
    pub async fn claims(&self, ask: &Ask) -> Result<Option<Verified>, Error> {
        Ok(self.answer_to_take(ask).await?.map(|(verified, _)| verified))
    }

    /// The same, with the writes that erase it: for whatever takes the values, in the commit that takes them.
    pub(super) async fn answer_to_take(&self, ask: &Ask) -> Result<Option<(Verified, Write)>, Error> {
        let key = answer_entry(self.id(), &self.session.key, ask.name());
        let Some(entry) = self.merchant.load_one(&key).await? else { return Ok(None) };
        let AnswerEntry { device, sealed, .. } = entry.read()?;
        let text = self.merchant.open(SHOWN, &key, &sealed)?;
        let verified = Verified::opened(&text, device)
            .map_err(|e| Error::Misuse(format!("what was shown cannot be read: {e}")))?;
        Ok(Some((verified, Write::delete(key, Expect::Version(entry.version)))))
    }

    /// Signs out: the sessions of this key end, their claims are erased, and the key is locked.
    ///
    /// # Errors
    /// [`Error::Unavailable`] if the store does not answer.
    pub async fn sign_out(&self) -> Result<(), Error> {
        self.merchant.end_key(self.id(), &self.session.key, Fate::Locked, None).await
    }

    /// Forgets this device: all sessions of its key end, and the key is nobody's any more. The last key of a customer
    /// takes the customer's record with it: nobody could come back to it.
    ///
    /// # Errors
    /// [`Error::Unavailable`] if the store does not answer.
    pub async fn forget_device(&self) -> Result<(), Error> {
        self.forget_device_with(None).await
    }

    /// Puts an end to something, and uses up the proof that asked for it in the same commit: whoever is interrupted can
    /// ask again, and whoever captured the request cannot. For routes whose proof was not [spent](Merchant::spend).
    ///
    /// # Errors
    /// As the method that the ending names; [`Refusal::AcrossDevices`] if it would sign out somebody else and this session
    /// began by a code between two devices, or this browser joined lately and the other was there before;
    /// [`Refusal::MergedLately`] for everything, if the record holds what can be taken out of it again;
    /// [`ProofError::Replayed`] if the proof was used before,
    /// [`ProofError::UseNonce`] if it is too old by now.
    pub async fn end(&self, what: Ending<'_>, proof: &BrowserProof) -> Result<(), Error> {
        let (merchant, customer, key) = (&self.merchant, self.id(), self.session.key.as_str());
        // Before anything ends: with what ends last it is used up.
        proof.check_age(merchant.now())?;
        let proof = Some(proof);
        match what {
            Ending::Visit => merchant.end_key(customer, key, Fate::Locked, proof).await,
            Ending::Session(id) => {
                let ended = BindingName::stored(&merchant.key_of(customer, id).await?);
                let held = merchant.held(customer).await?;
                held.find(&ended).map_or(Ok(()), |target| self.came_after(&held, target))?;
                merchant.end_session(customer, id, proof).await
            }
            Ending::AllSessions => {
                let held = merchant.held(customer).await?;
                let open = |one: &&HeldBinding| one.binding.rung == Rung::BrowserKey && !one.binding.locked;
                held.bindings.iter().filter(open).try_for_each(|one| self.came_after(&held, one))?;
                merchant.end_sessions(customer, Some(key), proof).await
            }
            Ending::Device => self.forget_device_with(proof).await,
            Ending::Everything => {
                // Also one who is leaving already, and was interrupted.
                match self.may(Act::Leave).await {
                    Err(Error::Proof(_)) => {}
                    held => self.may_leave(&held?)?,
                }
                merchant.forget_with(customer, Some(&self.session), proof).await
            }
        }
    }

    async fn forget_device_with(&self, proof: Option<&BrowserProof>) -> Result<(), Error> {
        let key = self.session.key.as_str();
        let bindings = self.merchant.bindings_of(self.id()).await?;
        if bindings.iter().all(|held| held.name.as_str() == key) {
            return self.merchant.forget_with(self.id(), Some(&self.session), proof).await;
        }
        self.merchant.end_key(self.id(), key, Fate::Deleted, proof).await
    }

    /// The digest of the session's token: what its record is stored under.
    #[must_use]
    pub fn token_digest(&self) -> &str {
        &self.token_digest
    }
}

pub(super) fn binding_key(key_name: &str) -> Key {
    Key::new(Binding::KIND, key_name, "")
}

fn session_key(token_digest: &str) -> Key {
    Key::new(SessionRecord::KIND, token_digest, "")
}

fn session_entry(session: &SessionRecord) -> Key {
    let sort = format!("{}/{}", session.key, session.id.as_str());
    Key::new(SessionEntry::KIND, session.customer.as_str(), sort)
}

fn answer_entry(customer: &CustomerId, key: &str, ask: &str) -> Key {
    Key::new(AnswerEntry::KIND, customer.as_str(), format!("{key}/{ask}"))
}

pub(super) fn kept_key(customer: &CustomerId, claim: &str) -> Key {
    Key::new(Kept::KIND, customer.as_str(), claim)
}

/// All entries of a kind of a customer.
pub(super) fn of_customer(kind: &'static str, customer: &CustomerId) -> Prefix {
    Prefix { kind, partition: customer.as_str().to_owned(), sort: String::new() }
}

/// The entries of one key of a customer.
pub(super) fn of_key(kind: &'static str, customer: &CustomerId, key: &str) -> Prefix {
    Prefix { kind, partition: customer.as_str().to_owned(), sort: format!("{key}/") }
}

/// What becomes of a key.
#[derive(Clone, Copy)]
pub(super) enum Fate {
    Locked,
    Deleted,
}

/// The record that an entry leads to.
type LeadsTo = fn(&Key, &Stored) -> Result<Option<Key>, StoreError>;

pub(super) fn session_of(_: &Key, entry: &Stored) -> Result<Option<Key>, StoreError> {
    Ok(Some(session_key(&entry.read::<SessionEntry>()?.token_digest)))
}

fn answered_with(_: &Key, entry: &Stored) -> Result<Option<Key>, StoreError> {
    Ok(entry.read::<AnswerEntry>()?.request.parse().ok().map(|request| presentation_key(&request)))
}

fn bound_by(entry: &Key, _: &Stored) -> Result<Option<Key>, StoreError> {
    Ok(Some(binding_key(&entry.sort)))
}

fn nothing(_: &Key, _: &Stored) -> Result<Option<Key>, StoreError> {
    Ok(None)
}

fn deletion(key: Key) -> Write {
    Write::delete(key, Expect::Any)
}

/// What is done is done: that its remains could not be cleared away now takes nothing from it, and they expire.
fn said_only(cleared: Result<(), Error>) {
    if let Err(error) = cleared {
        tracing::warn!(%error, "what was ended left records behind, which expire by themselves");
    }
}

fn expires_in_s(session: &SessionRecord, now: UnixTime) -> u64 {
    session.expires_at().since_s(now)
}

pub(super) fn is_race(source: &(dyn std::error::Error + Send + Sync + 'static)) -> bool {
    source.downcast_ref::<StoreError>().is_some_and(lost_the_race)
}
