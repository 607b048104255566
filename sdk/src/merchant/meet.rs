//! Desks: a customer on the telephone or at the till says by their own device who they are, and the shop says by theirs that
//! it is calling.
//!
//! Nobody but the merchant's own handlers makes a [`Desk`]: who may be an operator, and how they sign in, is the merchant's.
//! A desk sees who somebody is, and never gets a session. [`meeting`](crate::meeting) says what the numbers hold against.

mod join;

use serde::{Deserialize, Serialize};
use url::Url;

pub use join::{JoinOpened, JoinView};

use super::{
    Merchant,
    bind::Races,
    customer_key,
    held::Held,
    put,
    recognise::{Recognised, binding_key},
};
use crate::{
    customer::{BindingName, CustomerId, Rung},
    error::{Error, ProofError, Refusal},
    history::Happened,
    meeting::{
        AnnouncedCall, BINDING_MESSAGE_MAX, DeskAct, DeskEntry, DeskMeeting, INTERVAL_S, MeetingError, MeetingId,
        NAME_MAX, Number, OPEN_MAX, Opening, PROVE_WITHIN_S, PURPOSE_MAX, Pace, Patience, REMEMBERED_S, Recognition,
        TYPE_WITHIN_S, Ticket, operator, plain, telephone_number,
    },
    merchant::BrowserProof,
    protocol::jose::{base64url_encode, sha256},
    qr,
    store::{Expect, Key, Persisted, Prefix, StoreError, Version, Write},
    time::UnixTime,
};

/// How long the acts of desks are kept, in seconds: a year.
const LOG_KEPT_S: u64 = 365 * 24 * 3600;
/// How many acts stand on one page of the log.
const LOG_PAGE: usize = 100;

/// Who sits at a desk, as the merchant's own sign-in says.
#[derive(Clone, Copy, Debug)]
pub struct Operator<'a> {
    /// What the merchant's own records call them, such as `u-17`: for the log of the desks, and shown to no customer.
    pub id: &'a str,
    /// What the customer is told of who asks, such as `Customer service, Linz`: 1 to 64 plain characters.
    pub desk: &'a str,
}

/// A desk of the shop with an operator: asks who somebody is, and announces calls.
#[derive(Clone, Debug)]
pub struct Desk {
    merchant: Merchant,
    operator: String,
    name: String,
    rung: Option<Rung>,
}

/// A recognition that a desk has opened.
#[derive(Clone, Debug)]
pub struct Opened {
    /// What the desk looks with, and nobody else has: CIBA's `auth_req_id`.
    pub ticket: Ticket,
    /// Its name in the log and on the customer's side.
    pub id: MeetingId,
    /// What the operator says to the customer. Never ask a customer for a number.
    pub number: Number,
    /// Where the customer types it: read out on the telephone, a QR code or a tag at the till. The same for everybody.
    pub link: Url,
    /// How long the number is good, in seconds.
    pub number_expires_in_s: u64,
    /// How long it is worth to look, in seconds.
    pub expires_in_s: u64,
    /// How often to look, in seconds.
    pub interval_s: u64,
}

/// What a customer is shown who has typed a number.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MeetingView {
    /// Its name, for the answer.
    pub id: MeetingId,
    /// Who asks.
    pub desk: String,
    /// Why.
    pub purpose: String,
    /// What the operator's screen shows as well.
    pub binding_message: String,
    /// By what the customer has to be recognised at least, if the desk said so.
    pub rung: Option<Rung>,
    /// How long there is to answer, in seconds.
    pub expires_in_s: u64,
}

/// A page of the log of all desks, the newest act first.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeskLog {
    /// The acts.
    pub entries: Vec<DeskEntry>,
    /// What asks for the page after this one, if there is one.
    pub next: Option<String>,
}

/// What leads to a meeting: from a number, from a customer, from an operator's place.
#[derive(Debug, Serialize, Deserialize)]
struct LeadsTo {
    meeting: MeetingId,
}

impl Persisted for LeadsTo {
    const KIND: &'static str = "meeting_at";
    const SCHEMA: u16 = 1;
}

/// How many wrong numbers the shop has seen, ever.
#[derive(Debug, Default, Serialize, Deserialize)]
struct WrongNumbers {
    count: u64,
}

impl Persisted for WrongNumbers {
    const KIND: &'static str = "wrong_numbers";
    const SCHEMA: u16 = 1;
}

/// A till's address is short: version 10 holds 213 bytes.
const QR_VERSION_MAX: i16 = 10;

impl Merchant {
    /// The address of the page where customers type a desk's number, as a QR code: an image in SVG without a size of its own.
    /// It is the same for everybody, so it may be printed and stand at the till.
    ///
    /// # Errors
    /// [`Error::Misuse`] if the origin and the mount are longer than 200 bytes.
    pub fn call_qr_svg(&self) -> Result<String, Error> {
        let link = self.address("/call");
        let code = qr::code(link.as_str().as_bytes(), QR_VERSION_MAX);
        let code = code.ok_or_else(|| Error::Misuse(format!("{link} is too long for a code at the till")))?;
        Ok(qr::svg(&code, "QR"))
    }

    /// A desk at which this operator sits. Make it in a handler that knows that they do.
    ///
    /// # Errors
    /// [`MeetingError::Operator`] if nobody is named; [`MeetingError::Text`] if the desk's name is not plain.
    pub fn desk(&self, who: &Operator<'_>) -> Result<Desk, Error> {
        let (operator, name) = (operator(who.id)?, plain("a desk's name", who.desk, NAME_MAX)?);
        Ok(Desk { merchant: self.clone(), operator, name, rung: None })
    }

    /// What the desks did in the last year, the newest first; `after` is the [`next`](DeskLog::next) of the page before. It
    /// names operators and customers, and holds nothing of what they spoke about. It is the merchant's record of its operators:
    /// a customer who was forgotten stays in it for the rest of the year, by a name that leads to nobody any more.
    ///
    /// # Errors
    /// [`Error::Unavailable`] if the store does not answer.
    pub async fn desk_log(&self, after: Option<&str>) -> Result<DeskLog, Error> {
        let prefix = Prefix { kind: DeskEntry::KIND, partition: self.shop_name(), sort: String::new() };
        let found = self.0.store.scan(&prefix, after, LOG_PAGE, self.now()).await?;
        let next = found.last().filter(|_| found.len() == LOG_PAGE).map(|(key, _)| key.sort.clone());
        let entries = found.into_iter().map(|(_, stored)| stored.read()).collect::<Result<_, StoreError>>()?;
        Ok(DeskLog { entries, next })
    }

    /// A record of a type, and what a write over it expects.
    async fn found<T: Persisted>(&self, key: &Key) -> Result<(Option<T>, Expect), Error> {
        match self.load_one(key).await? {
            Some(stored) => Ok((Some(stored.read()?), Expect::Version(stored.version))),
            None => Ok((None, Expect::Absent)),
        }
    }

    async fn meeting(&self, id: &MeetingId) -> Result<(DeskMeeting, Expect), Error> {
        let (found, expect) = self.found(&meeting_key(id)).await?;
        Ok((found.ok_or(MeetingError::NoSuchMeeting)?, expect))
    }

    /// Two shops with one root secret, and even with one store, share no number.
    fn keyed(&self, purpose: &str, text: &str) -> String {
        let info = format!("{}\0{text}", self.0.origin);
        base64url_encode(&self.0.keys.derive(purpose, info.as_bytes()))
    }

    fn shop_name(&self) -> String {
        self.keyed("desk shop", "")
    }

    /// What a number may be stored under: made under the current root secret, or one before it.
    fn number_names(&self, purpose: &str, text: &str) -> Vec<String> {
        let info = format!("{}\0{text}", self.0.origin);
        self.0.keys.derive_all(purpose, info.as_bytes()).iter().map(|name| base64url_encode(name)).collect()
    }

    fn tries_key(&self) -> Key {
        Key::new(WrongNumbers::KIND, self.shop_name(), "")
    }

    fn place_key(&self, operator: &str, place: usize) -> Key {
        Key::new(LeadsTo::KIND, "place", format!("{}/{place}", self.keyed("desk operator", operator)))
    }

    /// The entry of the desks' log that belongs to a commit.
    fn desk_act(
        &self,
        (operator, desk): (&str, &str),
        meeting: &MeetingId,
        act: DeskAct,
        customer: Option<&CustomerId>,
    ) -> Result<Write, Error> {
        let now = self.now();
        let entry = DeskEntry {
            at: now,
            operator: operator.to_owned(),
            desk: desk.to_owned(),
            meeting: meeting.clone(),
            act,
            customer: customer.cloned(),
        };
        // The newest first; two of one second are told apart by chance.
        let sort = format!("{:019}.{}", i64::MAX.saturating_sub(now.as_secs()), base64url_encode(&self.random::<6>()));
        let key = Key::new(DeskEntry::KIND, self.shop_name(), sort);
        Ok(put(key, &entry, Some(now.plus_s(LOG_KEPT_S)), Expect::Absent)?)
    }

    /// The same for what a customer did.
    fn by_customer(
        &self,
        opening: &Opening,
        id: &MeetingId,
        act: DeskAct,
        customer: &CustomerId,
    ) -> Result<Write, Error> {
        self.desk_act((&opening.operator, &opening.desk), id, act, Some(customer))
    }
}

impl Desk {
    /// Who sits here, as the merchant names them.
    #[must_use]
    pub fn operator(&self) -> &str {
        &self.operator
    }

    /// What customers are told of who asks.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Asks for this rung at least, shown in the last minutes. Otherwise a customer shows a strong one, if they have one,
    /// and else that the browser is theirs.
    #[must_use]
    pub fn requiring(mut self, rung: Rung) -> Self {
        self.rung = Some(rung);
        self
    }

    /// Asks who somebody is. Say the number to them, and never ask for one; both screens show purpose and binding message.
    ///
    /// # Errors
    /// [`MeetingError::Text`] for a purpose of more than 80 characters or a binding message of more than 40, or one that is
    /// not plain; [`MeetingError::TooManyOpen`]; [`Error::Unavailable`].
    pub async fn open(&self, purpose: &str, binding_message: &str) -> Result<Opened, Error> {
        let purpose = plain("a purpose", purpose, PURPOSE_MAX)?;
        let binding_message = plain("a binding message", binding_message, BINDING_MESSAGE_MAX)?;
        let merchant = &self.merchant;
        let mut races = Races::of(&[]);
        loop {
            let step = async {
                let now = merchant.now();
                let ticket = Ticket::from_random(merchant.random());
                let id = meeting_id(&ticket);
                let number = Number::from_random(merchant.random());
                let (tries, _) = merchant.found::<WrongNumbers>(&merchant.tries_key()).await?;
                let opening = Opening {
                    operator: self.operator.clone(),
                    desk: self.name.clone(),
                    purpose: purpose.clone(),
                    binding_message: binding_message.clone(),
                    rung: self.rung,
                    at: now,
                    number: merchant.keyed("desk number", &number.reveal()),
                    tries: tries.unwrap_or_default().count,
                    place: self.free_place().await?,
                };
                let until = Some(now.plus_s(TYPE_WITHIN_S));
                let number_key = number_key(&opening.number);
                let place_key = merchant.place_key(&self.operator, opening.place);
                let meeting = DeskMeeting::Open { opening };
                let leads_to = || id.clone();
                let writes = [
                    put(meeting_key(&id), &meeting, Some(meeting.kept_until()), Expect::Absent)?,
                    // The number is one meeting's alone: if it is taken, the next round draws another.
                    put(number_key, &LeadsTo { meeting: leads_to() }, until, Expect::Absent)?,
                    put(place_key, &LeadsTo { meeting: leads_to() }, until, Expect::Absent)?,
                    merchant.desk_act((&self.operator, &self.name), &id, DeskAct::Opened, None)?,
                ];
                merchant.0.store.commit(&writes, now).await?;
                Ok(Opened {
                    ticket,
                    id,
                    number,
                    link: merchant.address("/call"),
                    number_expires_in_s: TYPE_WITHIN_S,
                    expires_in_s: TYPE_WITHIN_S + PROVE_WITHIN_S,
                    interval_s: INTERVAL_S,
                })
            };
            if let Some(outcome) = races.settled(step.await) {
                return outcome;
            }
        }
    }

    async fn free_place(&self) -> Result<usize, Error> {
        let keys: Vec<Key> = (0..OPEN_MAX).map(|place| self.merchant.place_key(&self.operator, place)).collect();
        let taken = self.merchant.0.store.load(&keys, self.merchant.now()).await?;
        taken.iter().position(Option::is_none).ok_or_else(|| MeetingError::TooManyOpen.into())
    }

    /// Who it is, once they have proved it, for ten minutes. Until then the error says how it stands, in CIBA's words:
    /// `authorization_pending`, `slow_down`, `expired_token`, `access_denied`.
    ///
    /// # Errors
    /// [`MeetingError::Pending`], [`MeetingError::SlowDown`], [`MeetingError::Expired`], [`MeetingError::Denied`];
    /// [`MeetingError::NoSuchMeeting`] also for the ticket of another operator; [`Error::Unavailable`].
    pub async fn recognition(&self, ticket: &Ticket) -> Result<Recognition, Error> {
        let (merchant, id) = (&self.merchant, meeting_id(ticket));
        let mut races = Races::of(&[]);
        loop {
            let step = async {
                let now = merchant.now();
                let (meeting, expect) = self.own(&id).await?;
                let recognition = match meeting.recognition(now) {
                    Ok(recognition) => recognition.clone(),
                    Err(MeetingError::Pending { .. }) => return Err(self.looked(&id).await?.into()),
                    Err(other) => return Err(other.into()),
                };
                if let DeskMeeting::Recognised { opening, recognition, seen: false } = &meeting {
                    let write = merchant.by_customer(opening, &id, DeskAct::Seen, &recognition.customer)?;
                    let seen = DeskMeeting::Recognised {
                        opening: opening.clone(),
                        recognition: recognition.clone(),
                        seen: true,
                    };
                    // What is not written down is not shown.
                    let seen = put(meeting_key(&id), &seen, Some(seen.kept_until()), expect)?;
                    merchant.0.store.commit(&[seen, write], now).await?;
                }
                Ok(recognition)
            };
            if let Some(outcome) = races.settled(step.await) {
                return outcome;
            }
        }
    }

    /// Ends what is open, such as a number that was heard wrong. The customer cannot answer any more.
    ///
    /// # Errors
    /// [`MeetingError::NoSuchMeeting`] if it is over, or another operator's; [`Error::Unavailable`].
    pub async fn close(&self, ticket: &Ticket) -> Result<(), Error> {
        let (merchant, id) = (&self.merchant, meeting_id(ticket));
        let mut races = Races::of(&[]);
        loop {
            let step = async {
                let (meeting, expect) = self.own(&id).await?;
                let opening = meeting.opening();
                let mut writes = vec![
                    Write::delete(meeting_key(&id), expect),
                    merchant.desk_act((&self.operator, &self.name), &id, DeskAct::Closed, None)?,
                ];
                // Number and place are somebody else's once the meeting went on without them.
                match &meeting {
                    DeskMeeting::Open { .. } if merchant.now() < meeting.until() => {
                        writes.push(Write::delete(number_key(&opening.number), Expect::Any));
                        writes.push(Write::delete(merchant.place_key(&self.operator, opening.place), Expect::Any));
                    }
                    DeskMeeting::Met { customer, .. } if merchant.now() < meeting.until() => {
                        writes.push(Write::delete(customer_meeting_key(customer), Expect::Any));
                        writes.push(Write::delete(merchant.place_key(&self.operator, opening.place), Expect::Any));
                    }
                    _ => {}
                }
                Ok(merchant.0.store.commit(&writes, merchant.now()).await.map(drop)?)
            };
            if let Some(outcome) = races.settled(step.await) {
                return outcome;
            }
        }
    }

    /// Says that the shop is about to call this customer, so that they can see on a page of the shop that it is true: from
    /// now until five minutes after the call begins. `telephone` is the number that their telephone will show.
    ///
    /// # Errors
    /// [`MeetingError::Text`], [`MeetingError::Telephone`], [`MeetingError::StartsAt`];
    /// [`MeetingError::CallAnnounced`] if there is one already;
    /// [`Refusal::NotRecognised`] if there is no such customer; [`Error::Unavailable`].
    pub async fn announce_call(
        &self,
        customer: &CustomerId,
        purpose: &str,
        telephone: &str,
        starts_at: UnixTime,
    ) -> Result<AnnouncedCall, Error> {
        let merchant = &self.merchant;
        let now = merchant.now();
        let (customer, ..) = merchant.resolved(customer).await?.ok_or(Refusal::NotRecognised)?;
        let call = AnnouncedCall {
            id: meeting_id(&Ticket::from_random(merchant.random())),
            desk: self.name.clone(),
            purpose: plain("a purpose", purpose, PURPOSE_MAX)?,
            telephone: telephone_number(telephone)?,
            starts_at,
            operator: self.operator.clone(),
        };
        let call = call.check(now)?;
        let act = merchant.desk_act((&self.operator, &self.name), &call.id, DeskAct::CallAnnounced, Some(&customer))?;
        let writes = [put(call_key(&customer), &call, Some(call.until()), Expect::Absent)?, act];
        match merchant.0.store.commit(&writes, now).await {
            Ok(_) => Ok(call),
            Err(StoreError::Conflict(_)) => Err(MeetingError::CallAnnounced.into()),
            Err(other) => Err(other.into()),
        }
    }

    /// Says that the announced call is over, or will not be.
    ///
    /// # Errors
    /// [`MeetingError::NoSuchMeeting`] if this operator announced none to this customer that is still on;
    /// [`Refusal::NotRecognised`] if there is no such customer; [`Error::Unavailable`].
    pub async fn call_over(&self, customer: &CustomerId) -> Result<(), Error> {
        let merchant = &self.merchant;
        let (customer, ..) = merchant.resolved(customer).await?.ok_or(Refusal::NotRecognised)?;
        let key = call_key(&customer);
        let mut races = Races::of(&[]);
        loop {
            let step = async {
                let (call, expect) = merchant.found::<AnnouncedCall>(&key).await?;
                let call = call.filter(|call| call.operator == self.operator).ok_or(MeetingError::NoSuchMeeting)?;
                let act =
                    merchant.desk_act((&self.operator, &self.name), &call.id, DeskAct::CallOver, Some(&customer))?;
                let writes = [Write::delete(key.clone(), expect), act];
                Ok(merchant.0.store.commit(&writes, merchant.now()).await.map(drop)?)
            };
            if let Some(outcome) = races.settled(step.await) {
                return outcome;
            }
        }
    }

    /// A meeting that this operator opened.
    async fn own(&self, id: &MeetingId) -> Result<(DeskMeeting, Expect), Error> {
        let (meeting, expect) = self.merchant.meeting(id).await?;
        if meeting.opening().operator != self.operator {
            return Err(MeetingError::NoSuchMeeting.into());
        }
        Ok((meeting, expect))
    }

    /// Another look that saw nothing: what the desk is told, which depends on when it looked before.
    async fn looked(&self, id: &MeetingId) -> Result<MeetingError, Error> {
        let (now, key) = (self.merchant.now(), Key::new(Pace::KIND, id.as_str(), ""));
        let (pace, expect) = self.merchant.found::<Pace>(&key).await?;
        let (pace, told) = match pace {
            None => (Pace::first(now), MeetingError::Pending { interval_s: INTERVAL_S }),
            Some(pace) => pace.looked(now),
        };
        let until = Some(now.plus_s(TYPE_WITHIN_S + PROVE_WITHIN_S));
        self.merchant.0.store.commit(&[put(key, &pace, until, expect)?], now).await?;
        Ok(told)
    }
}

impl Recognised {
    /// The customer types the number that an operator says to them, and is shown who asks and why. Nothing is told to the
    /// desk yet.
    ///
    /// # Errors
    /// [`MeetingError::WrongNumber`], also for one that somebody else has typed; [`Refusal::TooMany`] after three wrong
    /// ones, or shortly after a refusal; [`MeetingError::InAnother`]; [`Refusal::AcrossDevices`];
    /// [`ProofError::Replayed`].
    pub async fn meet(&self, proof: &BrowserProof, number: &str) -> Result<MeetingView, Error> {
        self.on_this_device()?;
        let merchant = self.merchant();
        // Not six digits: no try, and no number.
        let number: Number = number.parse().map_err(|_| MeetingError::WrongNumber)?;
        let patience_key = Key::new(Patience::KIND, self.id().as_str(), "");
        let mut races = Races::of(&[]);
        loop {
            let step = async {
                let now = merchant.now();
                let (patience, patience_is) = merchant.found::<Patience>(&patience_key).await?;
                let patience = patience.unwrap_or_default();
                if let Some(retry_s) = patience.waits_s(now) {
                    return Err(Refusal::TooMany { retry_s }.into());
                }
                if self.meeting().await?.is_some() {
                    return Err(MeetingError::InAnother.into());
                }
                // Right and wrong stand or fall with this record, so that who loses a race has learned nothing.
                let (tries, tries_is) = merchant.found::<WrongNumbers>(&merchant.tries_key()).await?;
                let count = tries.unwrap_or_default().count;
                let remembered = Some(now.plus_s(REMEMBERED_S));
                let mut writes = vec![proof.spent(now)?];
                let Some((id, met, is)) = self.meeting_of(&number, count).await? else {
                    let tries = WrongNumbers { count: count.saturating_add(1) };
                    writes.push(put(patience_key.clone(), &patience.wrong(now), remembered, patience_is)?);
                    writes.push(put(merchant.tries_key(), &tries, None, tries_is)?);
                    merchant.commit_plain(&writes, now).await?;
                    return Err(MeetingError::WrongNumber.into());
                };
                let (opening, until) = (met.opening(), Some(met.until()));
                let place_key = merchant.place_key(&opening.operator, opening.place);
                writes.push(put(meeting_key(&id), &met, Some(met.kept_until()), is)?);
                writes.push(Write::delete(number_key(&opening.number), Expect::Any));
                writes.push(put(place_key, &LeadsTo { meeting: id.clone() }, until, Expect::Any)?);
                let leads = LeadsTo { meeting: id.clone() };
                writes.push(put(customer_meeting_key(self.id()), &leads, until, Expect::Absent)?);
                writes.push(put(patience_key.clone(), &patience.right(), remembered, patience_is)?);
                writes.push(Write::check(merchant.tries_key(), tries_is));
                merchant.commit_plain(&writes, now).await?;
                Ok(view(&id, &met, now))
            };
            if let Some(outcome) = races.settled(step.await) {
                return outcome;
            }
        }
    }

    /// The meeting whose number this is, with this customer in it.
    async fn meeting_of(&self, number: &Number, tries: u64) -> Result<Option<(MeetingId, DeskMeeting, Expect)>, Error> {
        let merchant = self.merchant();
        for name in merchant.number_names("desk number", &number.reveal()) {
            let (Some(leads), _) = merchant.found::<LeadsTo>(&number_key(&name)).await? else { continue };
            let (Some(meeting), is) = merchant.found::<DeskMeeting>(&meeting_key(&leads.meeting)).await? else {
                continue;
            };
            return Ok(match meeting.met(self.id().clone(), tries, merchant.now()) {
                Ok(met) => Some((leads.meeting, met, is)),
                Err(_) => None,
            });
        }
        Ok(None)
    }

    /// The meeting in which this customer is, and has not answered yet.
    ///
    /// # Errors
    /// [`Refusal::AcrossDevices`]; [`Error::Unavailable`] if the store does not answer.
    pub async fn meeting(&self) -> Result<Option<MeetingView>, Error> {
        self.on_this_device()?;
        let (merchant, now) = (self.merchant(), self.merchant().now());
        let (leads, _) = merchant.found::<LeadsTo>(&customer_meeting_key(self.id())).await?;
        let Some(leads) = leads else { return Ok(None) };
        let (meeting, _) = merchant.found::<DeskMeeting>(&meeting_key(&leads.meeting)).await?;
        let meeting = meeting.filter(|meeting| meeting.met_by(self.id(), now).is_ok());
        Ok(meeting.map(|meeting| view(&leads.meeting, &meeting, now)))
    }

    /// The customer says yes: the desk sees who they are, by what they were recognised and when, for ten minutes. It gets no
    /// session. The history says so.
    ///
    /// # Errors
    /// [`Refusal::RungNeeded`] or [`Refusal::StepUp`] if something stronger has to be shown first, and then this again;
    /// [`Refusal::CoolingDown`] after a recovery, unless something from before it was shown;
    /// [`MeetingError::NoSuchMeeting`], [`MeetingError::Expired`]; [`Refusal::AcrossDevices`]; [`ProofError::Replayed`].
    pub async fn confirm_meeting(&self, proof: &BrowserProof, id: &MeetingId) -> Result<Recognition, Error> {
        self.on_this_device()?;
        let merchant = self.merchant();
        let mut races = Races::of(&[]);
        loop {
            let step = async {
                let now = merchant.now();
                let (meeting, is) = merchant.meeting(id).await?;
                let opening = meeting.met_by(self.id(), now)?.clone();
                let held = merchant.held(self.id()).await?;
                let (rung, proved_at) = self.sure_enough(opening.rung, &held)?;
                let next = meeting.recognised(self.id(), rung, proved_at, now)?;
                let recognition = next.recognition(now)?.clone();
                let act = DeskAct::Recognised { rung };
                let mut writes = self.ended(proof, id, &next, is)?;
                writes.push(merchant.by_customer(&opening, id, act, self.id())?);
                writes.push(merchant.note(self.id(), Happened::DeskRecognised { desk: opening.desk })?);
                writes.push(Write::check(customer_key(self.id()), Expect::Version(held.version)));
                // Somebody may sign this browser out at this very moment.
                writes.push(self.own_key_holds().await?);
                merchant.commit_plain(&writes, now).await?;
                Ok(recognition)
            };
            if let Some(outcome) = races.settled(step.await) {
                return outcome;
            }
        }
    }

    /// The customer says no: the desk is told so and nothing else, and the next number has to wait. The history says so.
    ///
    /// # Errors
    /// [`MeetingError::NoSuchMeeting`], [`MeetingError::Expired`]; [`ProofError::Replayed`].
    pub async fn refuse_meeting(&self, proof: &BrowserProof, id: &MeetingId) -> Result<(), Error> {
        let merchant = self.merchant();
        let patience_key = Key::new(Patience::KIND, self.id().as_str(), "");
        let mut races = Races::of(&[]);
        loop {
            let step = async {
                let now = merchant.now();
                let (meeting, is) = merchant.meeting(id).await?;
                let next = meeting.refused(self.id(), now)?;
                let opening = next.opening().clone();
                let (patience, patience_is) = merchant.found::<Patience>(&patience_key).await?;
                let patience = patience.unwrap_or_default().refused(now);
                let mut writes = self.ended(proof, id, &next, is)?;
                writes.push(put(patience_key.clone(), &patience, Some(now.plus_s(REMEMBERED_S)), patience_is)?);
                writes.push(merchant.by_customer(&opening, id, DeskAct::Refused, self.id())?);
                writes.push(merchant.note(self.id(), Happened::DeskRefused { desk: opening.desk })?);
                merchant.commit_plain(&writes, now).await
            };
            if let Some(outcome) = races.settled(step.await) {
                return outcome;
            }
        }
    }

    /// The call that the shop has announced to this customer, if it has: whoever rings now and is not this is not the shop.
    ///
    /// # Errors
    /// [`Refusal::AcrossDevices`]; [`Error::Unavailable`] if the store does not answer.
    pub async fn announced_call(&self) -> Result<Option<AnnouncedCall>, Error> {
        self.on_this_device()?;
        let (call, _) = self.merchant().found::<AnnouncedCall>(&call_key(self.id())).await?;
        Ok(call)
    }

    /// What every answer to a desk writes.
    fn ended(&self, proof: &BrowserProof, id: &MeetingId, next: &DeskMeeting, is: Expect) -> Result<Vec<Write>, Error> {
        let (merchant, opening) = (self.merchant(), next.opening());
        Ok(vec![
            proof.spent(merchant.now())?,
            put(meeting_key(id), next, Some(next.kept_until()), is)?,
            Write::delete(customer_meeting_key(self.id()), Expect::Any),
            Write::delete(merchant.place_key(&opening.operator, opening.place), Expect::Any),
        ])
    }

    /// A session that came by a code between two devices may be that of a stranger's wallet: it says nothing to a desk, and
    /// hears nothing of one.
    fn on_this_device(&self) -> Result<(), Error> {
        if self.record().across_devices { Err(Refusal::AcrossDevices.into()) } else { Ok(()) }
    }

    /// By what a desk may take this customer for who they are, and when that was proved. What was shown and was taken away
    /// since counts for nothing; nor does, while a recovery cools down, what came with it or after it.
    fn sure_enough(&self, needed: Option<Rung>, held: &Held) -> Result<(Rung, UnixTime), Error> {
        let (now, limits) = (self.merchant().now(), self.merchant().limits());
        let age_s = limits.step_up_s;
        let shown = self.shown(held).map(|by| (by.binding.rung, self.record().rung_at.unwrap_or(now)));
        match (needed.filter(|rung| *rung > Rung::BrowserKey), shown) {
            (Some(rung), shown) if shown.is_none_or(|(shown, _)| shown < rung) => {
                return Err(Refusal::RungNeeded { rung, age_s: Some(age_s) }.into());
            }
            (None, None) if held.ladder().is_strong() => return Err(Refusal::StepUp { age_s }.into()),
            _ => {}
        }
        match held.record.cooling_until(limits.cool_down_s, now) {
            Some(until) if !self.is_from_before(held) => Err(Refusal::CoolingDown { until }.into()),
            _ => Ok(shown.unwrap_or((Rung::BrowserKey, now))),
        }
    }

    /// The check that this browser's key is still this customer's.
    async fn own_key_holds(&self) -> Result<Write, Error> {
        let name = BindingName::browser_key(&self.record().key);
        let found: Option<(_, Version)> = self.merchant().binding(&name).await?;
        match found {
            Some((binding, version)) if !binding.locked && binding.customer == *self.id() => {
                Ok(Write::check(binding_key(name.as_str()), Expect::Version(version)))
            }
            _ => Err(ProofError::Token.into()),
        }
    }
}

fn view(id: &MeetingId, meeting: &DeskMeeting, now: UnixTime) -> MeetingView {
    let Opening { desk, purpose, binding_message, rung, .. } = meeting.opening().clone();
    MeetingView { id: id.clone(), desk, purpose, binding_message, rung, expires_in_s: meeting.until().since_s(now) }
}

/// The hash keeps the sides apart: who knows the meeting's name cannot look for the desk.
fn meeting_id(ticket: &Ticket) -> MeetingId {
    MeetingId::from_digest(sha256(format!("firsthand meeting {}", ticket.reveal()).as_bytes()))
}

fn meeting_key(id: &MeetingId) -> Key {
    Key::new(DeskMeeting::KIND, id.as_str(), "")
}

fn number_key(name: &str) -> Key {
    Key::new(LeadsTo::KIND, "number", name)
}

fn customer_meeting_key(customer: &CustomerId) -> Key {
    Key::new(LeadsTo::KIND, "customer", customer.as_str())
}

fn call_key(customer: &CustomerId) -> Key {
    Key::new(AnnouncedCall::KIND, customer.as_str(), "")
}
