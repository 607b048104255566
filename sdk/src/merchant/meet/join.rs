//! A browser that nobody knows becomes a customer's, because the customer says so in one that is theirs already; and what
//! they do about one that is not.
//!
//! The only way for a screen without a wallet and without a passkey. A code between two devices tells nobody who sits at the
//! other one, so the customer types what stands there.

use url::Url;

use super::{Merchant, Recognised, meeting_id};
use crate::{
    customer::{Binding, BindingName, Rung},
    error::{Error, Refusal},
    history::{Happened, HistoryEntry},
    meeting::{
        INTERVAL_S, JOIN_WITHIN_S, Join, JoinState, MeetingError, MeetingId, Number, TAKE_WITHIN_S, Ticket, Vouched,
        plain,
    },
    merchant::{
        BrowserProof, SessionGrant,
        bind::{BindingEntry, Races, binding_entry},
        customer_key,
        held::{Act, Held, HeldBinding, also},
        put,
        recognise::{Begin, binding_key, of_customer},
    },
    store::{Expect, KEYS_MAX, Key, Persisted, Prefix, StoreError, Write},
    time::UnixTime,
};

/// The longest name of a browser that is shown, in characters.
const BROWSER_MAX: usize = 64;

/// A browser that waits for somebody who vouches for it.
#[derive(Clone, Debug)]
pub struct JoinOpened {
    /// What the waiting browser looks with.
    pub ticket: Ticket,
    /// What a QR code on its screen holds. Its secret stands in the fragment, which no server sees.
    pub link: Url,
    /// What stands on its screen, and is typed on the other one.
    pub number: Number,
    /// How long there is, in seconds.
    pub expires_in_s: u64,
    /// How often to look, in seconds.
    pub interval_s: u64,
}

/// What a customer is told of a browser that wants to become theirs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JoinView {
    /// What it calls itself, such as `Firefox on Linux`. It may be lying.
    pub browser: Option<String>,
    /// How long there is to answer, in seconds.
    pub expires_in_s: u64,
}

impl Merchant {
    /// A browser that nobody knows asks to become a customer's. It shows the link, as a QR code, and the number. `browser` is
    /// what it calls itself; make it of words of your own, since the customer reads it.
    ///
    /// # Errors
    /// [`Refusal::BindingLocked`] for a key that was signed out: make a new one; [`MeetingError::BrowserKnown`];
    /// [`ProofError::Replayed`](crate::error::ProofError::Replayed).
    pub async fn open_join(&self, proof: &BrowserProof, browser: Option<&str>) -> Result<JoinOpened, Error> {
        self.is_nobodys(proof).await?;
        let now = self.now();
        let (ticket, number) = (Ticket::from_random(self.random()), Number::from_random(self.random()));
        let id = meeting_id(&ticket);
        let browser = browser.and_then(|name| plain("a browser's name", name, BROWSER_MAX).ok());
        let digest = self.keyed("join number", &join_number(&id, &number));
        let join = Join::new(proof.key_name(), browser, digest, now);
        self.commit_plain(&[proof.spent(now)?, put(join_key(&id), &join, kept_until(&join), Expect::Absent)?], now)
            .await?;
        let mut link = self.address("/join");
        link.set_fragment(Some(id.as_str()));
        Ok(JoinOpened { ticket, link, number, expires_in_s: JOIN_WITHIN_S, interval_s: INTERVAL_S })
    }

    /// How it stands: nothing once somebody has vouched for this browser, and the session can be [taken](Self::join).
    ///
    /// # Errors
    /// [`MeetingError::Pending`], [`MeetingError::Expired`], [`MeetingError::Denied`];
    /// [`MeetingError::NoSuchMeeting`] also for another key.
    pub async fn join_standing(&self, proof: &BrowserProof, ticket: &Ticket) -> Result<(), Error> {
        let (join, _) = self.join_record(&meeting_id(ticket)).await?;
        Ok(join.vouched(&proof.key_name(), self.now()).map(drop)?)
    }

    /// The browser for which somebody has vouched becomes theirs, and gets a session. The history says so.
    ///
    /// # Errors
    /// As [`join_standing`](Self::join_standing); [`MeetingError::Denied`] if the browser that vouched was signed out
    /// meanwhile; [`Refusal::BindingLocked`] or [`MeetingError::BrowserKnown`] if this one is somebody's by now;
    /// [`Refusal::TooManyBindings`]; [`ProofError::Replayed`](crate::error::ProofError::Replayed).
    pub async fn join(&self, proof: &BrowserProof, ticket: &Ticket) -> Result<SessionGrant, Error> {
        let id = meeting_id(ticket);
        let mut races = Races::of(&[]);
        loop {
            let step = async {
                let now = self.now();
                let (join, is) = self.join_record(&id).await?;
                let Vouched { customer, by, shown, at } = join.vouched(&proof.key_name(), now)?.clone();
                self.is_nobodys(proof).await?;
                let (customer, ..) = self.resolved(&customer).await?.ok_or(MeetingError::Denied)?;
                let held = match self.held(&customer).await {
                    Err(Error::Proof(_)) => return Err(MeetingError::Denied.into()),
                    other => other?,
                };
                let voucher = held.vouches(&by, shown.as_ref(), at).ok_or(MeetingError::Denied)?;
                let (name, did) = (proof.key_name(), Some(proof.did().to_string()));
                // What was shown for it there: whoever takes that away signs out this browser as well.
                let vouched_by = shown.clone().or_else(|| voucher.binding.vouched_by.clone());
                let adds = shown.as_ref().and_then(|shown| held.find(shown)).unwrap_or(voucher);
                let own =
                    Binding::new(customer.clone(), Rung::BrowserKey, did.clone(), now).added_by(Some(&adds.binding));
                let (label, joined_at) = (join.browser.clone(), Some(now));
                let own = Binding { name: label, across_devices: true, joined_at, vouched_by, ..own };
                let entry = BindingEntry { did, rung: Rung::BrowserKey, since: now };
                let mut writes = vec![proof.spent(now)?, Write::delete(join_key(&id), is)];
                writes.extend(held.room_for(Rung::BrowserKey, 1, self.0.limits.bindings, &by)?);
                writes.push(put(binding_key(&name), &own, None, Expect::Absent)?);
                writes.push(put(binding_entry(&customer, &name), &entry, None, Expect::Absent)?);
                writes.push(self.note_device(&customer, Happened::DeviceVouched, join.browser.clone())?);
                // Somebody may sign out the voucher at this very moment.
                writes.push(Write::check(binding_key(&by), Expect::Version(voucher.version)));
                writes.push(held.saved(&held.record)?);
                let begin = Begin { across_devices: true, ..Begin::default() };
                self.begin(proof, &customer, &begin, None, writes, now).await
            };
            if let Some(outcome) = races.settled(step.await) {
                return outcome;
            }
        }
    }

    async fn join_record(&self, id: &MeetingId) -> Result<(Join, Expect), Error> {
        let (found, is) = self.found(&join_key(id)).await?;
        Ok((found.ok_or(MeetingError::NoSuchMeeting)?, is))
    }

    /// Only a key that nobody has joins: a customer's own browser needs none of this, and one that was signed out is opened
    /// by something stronger.
    async fn is_nobodys(&self, proof: &BrowserProof) -> Result<(), Error> {
        match self.binding_of(proof).await? {
            None => Ok(()),
            Some((binding, _)) if binding.locked => Err(Refusal::BindingLocked.into()),
            Some(_) => Err(MeetingError::BrowserKnown.into()),
        }
    }
}

impl Recognised {
    /// What a browser says of itself that wants to become this customer's.
    ///
    /// # Errors
    /// [`MeetingError::NoSuchMeeting`] if there is none that waits; [`MeetingError::Expired`]; and what
    /// [`vouch`](Self::vouch) would refuse, so that nobody types a number in vain: [`Refusal::AcrossDevices`],
    /// [`Refusal::StepUp`].
    pub async fn join_view(&self, id: &MeetingId) -> Result<JoinView, Error> {
        let merchant = self.merchant();
        let (join, _) = merchant.join_record(id).await?;
        join.waiting(merchant.now())?;
        self.may(Act::Add(Rung::BrowserKey)).await?;
        let expires_in_s = join.until().since_s(merchant.now());
        Ok(JoinView { browser: join.browser, expires_in_s })
    }

    /// The customer says that a browser is theirs, by the number on its screen. Three wrong ones end it.
    ///
    /// # Errors
    /// [`MeetingError::WrongNumber`]; [`MeetingError::NoSuchMeeting`], [`MeetingError::Expired`]; [`Refusal::StepUp`] if the
    /// record has a strong binding that was not shown in the last minutes; [`Refusal::AcrossDevices`];
    /// [`ProofError::Replayed`](crate::error::ProofError::Replayed).
    pub async fn vouch(&self, proof: &BrowserProof, id: &MeetingId, number: &str) -> Result<(), Error> {
        let merchant = self.merchant();
        let mut races = Races::of(&[]);
        loop {
            let step = async {
                let now = merchant.now();
                let (join, is) = merchant.join_record(id).await?;
                join.waiting(now)?;
                let held = self.may(Act::Add(Rung::BrowserKey)).await?;
                let number: Number = number.parse().map_err(|_| MeetingError::WrongNumber)?;
                let names = merchant.number_names("join number", &join_number(id, &number));
                let typed = names.into_iter().find(|name| *name == join.number).unwrap_or_default();
                let vouched = Vouched {
                    customer: self.id().clone(),
                    by: self.record().key.clone(),
                    shown: self.shown(&held).map(|by| by.name.clone()),
                    at: now,
                };
                let next = join.typed(&typed, vouched, now)?;
                let writes = [
                    proof.spent(now)?,
                    put(join_key(id), &next, kept_until(&next), is)?,
                    Write::check(customer_key(self.id()), Expect::Version(held.version)),
                    self.own_key_holds().await?,
                ];
                merchant.commit_plain(&writes, now).await?;
                match next.state {
                    JoinState::Vouched(_) => Ok(()),
                    _ => Err(MeetingError::WrongNumber.into()),
                }
            };
            if let Some(outcome) = races.settled(step.await) {
                return outcome;
            }
        }
    }

    /// The customer says that a browser is not theirs.
    ///
    /// # Errors
    /// [`MeetingError::NoSuchMeeting`], [`MeetingError::Expired`];
    /// [`ProofError::Replayed`](crate::error::ProofError::Replayed).
    pub async fn refuse_join(&self, proof: &BrowserProof, id: &MeetingId) -> Result<(), Error> {
        let merchant = self.merchant();
        let mut races = Races::of(&[]);
        loop {
            let step = async {
                let now = merchant.now();
                let (join, is) = merchant.join_record(id).await?;
                let next = join.refused(now)?;
                let writes = [proof.spent(now)?, put(join_key(id), &next, kept_until(&next), is)?];
                merchant.commit_plain(&writes, now).await
            };
            if let Some(outcome) = races.settled(step.await) {
                return outcome;
            }
        }
    }

    /// "That was not me": what leads to the record since the time of an entry in the history leads to it no more. Every way
    /// in that was added at that time or later is closed (codes are deleted, credentials revoked), with the browsers that
    /// came in by it, and all other sessions end. What was begun in any browser and is not done yet, such as an offer to a
    /// wallet, is over. What was there before stays; this browser's own key stays too.
    ///
    /// Who came later cannot throw out who was there before. If the record has a strong binding, one from before that time
    /// has to be shown in the last minutes; else this browser has to be one from before. One exception: who said by mistake
    /// that a browser is theirs, and had nothing strong then, can throw that browser out with all that it added, for
    /// [`Limits::cool_down_s`](crate::limits::Limits::cool_down_s). A merge or a recovery of that time is
    /// [undone](Self::undo_merge) [by itself](Self::undo_recovery).
    ///
    /// # Errors
    /// [`Refusal::StepUp`]; [`Refusal::NotRecognised`] if this browser came later; [`Refusal::CoolingDown`] after a recovery;
    /// [`Refusal::MergedLately`] if what came is of another record that can still be taken out of this one;
    /// [`Refusal::AcrossDevices`]; [`ProofError::Replayed`](crate::error::ProofError::Replayed).
    pub async fn not_me(&self, proof: &BrowserProof, at: UnixTime) -> Result<(), Error> {
        self.on_this_device()?;
        let merchant = self.merchant();
        let mut races = Races::of(&[]);
        let ended = loop {
            let step = async {
                let now = merchant.now();
                let held = merchant.held(self.id()).await?;
                self.was_there(&held, at).await?;
                let mut writes = vec![proof.spent(now)?];
                let own = |other: &HeldBinding| other.name.as_str() == self.record().key;
                // What a merge brought goes back by undoing that, or it would be lost to whose it is.
                let came = |other: &&HeldBinding| other.binding.since >= at && other.binding.moved_at.is_none();
                let gone: Vec<_> = held.bindings.iter().filter(came).filter(|other| !own(other)).collect();
                let by_those = |other: &HeldBinding| {
                    let by = other.binding.vouched_by.as_ref();
                    by.is_some_and(|by| gone.iter().any(|gone| gone.name == *by))
                };
                let mut ended = Vec::new();
                // Nor does anything begin that was begun in this very browser.
                if let Some(here) = held.bindings.iter().find(|other| own(other)) {
                    let kept = Binding { consents_after: Some(now), ..here.binding.clone() };
                    writes.push(put(binding_key(here.name.as_str()), &kept, None, Expect::Version(here.version))?);
                }
                for other in held.bindings.iter().filter(|other| !own(other)) {
                    let is_gone = gone.iter().any(|gone| gone.name == other.name) || by_those(other);
                    if is_gone {
                        self.is_of_the_same(&held, other, now).map_err(|_| Refusal::MergedLately)?;
                    }
                    match other.binding.rung {
                        // A credential is revoked for everybody else as well.
                        Rung::RecoveryCode | Rung::RelationshipCredential if is_gone => {
                            also(&mut writes, other.gone()?);
                        }
                        _ if other.binding.locked => {}
                        _ if is_gone => writes.push(other.closed()?),
                        Rung::BrowserKey => {
                            // Its sessions end, and it begins the next one by itself.
                            let (opened_at, consents_after) = (Some(now), Some(now));
                            let again = Binding { opened_at, consents_after, ..other.binding.clone() };
                            let is = Expect::Version(other.version);
                            writes.push(put(binding_key(other.name.as_str()), &again, None, is)?);
                        }
                        _ => {}
                    }
                    ended.push(other.name.as_str().to_owned());
                }
                writes.push(merchant.note(self.id(), Happened::SessionsEnded)?);
                writes.push(held.saved(&held.record)?);
                merchant.commit_plain(&writes, now).await?;
                Ok(ended)
            };
            if let Some(outcome) = races.settled(step.await) {
                break outcome?;
            }
        };
        merchant.ended(self.id(), &ended).await;
        Ok(())
    }

    /// Whether whoever speaks here was there before that time.
    async fn was_there(&self, held: &Held, at: UnixTime) -> Result<(), Error> {
        let is_before = |other: &HeldBinding| other.binding.theirs_since() < at;
        let is_from_before =
            held.bindings.iter().any(|other| other.name.as_str() == self.record().key && is_before(other));
        let strong = |other: &HeldBinding| other.binding.rung.is_strong() && !other.binding.locked;
        let had_strong = held.bindings.iter().any(|other| strong(other) && is_before(other));
        if !had_strong && is_from_before && self.is_of_a_join(held, at).await? {
            return Ok(());
        }
        self.allowed(held, Act::Change)?;
        match self.shown(held) {
            Some(by) if is_before(by) => Ok(()),
            _ if held.ladder().is_strong() => Err(Refusal::StepUp { age_s: self.merchant().limits().step_up_s }.into()),
            _ if is_from_before => Ok(()),
            _ => Err(Refusal::NotRecognised.into()),
        }
    }

    /// Whether a browser joined at that time, not long ago. Then a stranger may have added a passkey to a record that had
    /// none; but who finds a browser of before does not take away the passkey that its owner added since.
    async fn is_of_a_join(&self, held: &Held, at: UnixTime) -> Result<bool, Error> {
        let (merchant, now) = (self.merchant(), self.merchant().now());
        let cool_down_s = merchant.limits().cool_down_s;
        if now.since_s(at) > cool_down_s || held.record.cooling_until(cool_down_s, now).is_some() {
            return Ok(false);
        }
        // Looked for by its time: a stranger may have pushed it out of what is shown.
        let sort = format!("{:019}.", i64::MAX.saturating_sub(at.as_secs()));
        let prefix = Prefix { sort, ..of_customer(HistoryEntry::KIND, self.id()) };
        let found = merchant.0.store.scan(&prefix, None, KEYS_MAX, now).await?;
        let entries: Vec<HistoryEntry> =
            found.into_iter().map(|(_, stored)| stored.read()).collect::<Result<_, StoreError>>()?;
        Ok(entries.iter().any(|entry| entry.what == Happened::DeviceVouched))
    }
}

impl Held {
    /// The binding of the browser's key `by`, if it vouches at this moment for another one: it is open, and so is what was
    /// `shown` there. A browser that showed nothing strong at that time vouches for nobody once there is something strong.
    fn vouches(&self, by: &str, shown: Option<&BindingName>, at: UnixTime) -> Option<&HeldBinding> {
        let open = |name: &BindingName| self.find(name).filter(|held| !held.binding.locked);
        let is_sure = match shown {
            Some(name) => open(name).is_some(),
            None => {
                !self.bindings.iter().any(|held| held.binding.rung.is_strong() && held.binding.theirs_since() >= at)
            }
        };
        self.find(&BindingName::browser_key(by)).filter(|held| is_sure && held.binding.carries(at))
    }
}

/// A number is one join's: the same number of another join has another digest.
fn join_number(id: &MeetingId, number: &Number) -> String {
    format!("{}\0{}", id.as_str(), number.reveal())
}

fn join_key(id: &MeetingId) -> Key {
    Key::new(Join::KIND, id.as_str(), "")
}

/// The waiting browser is told how it ended.
fn kept_until(join: &Join) -> Option<UnixTime> {
    Some(join.until().plus_s(TAKE_WITHIN_S))
}
