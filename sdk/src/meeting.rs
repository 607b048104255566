//! Two who meet: somebody waits, at a desk of the shop or in a browser that nobody knows, and a customer proves on a device
//! of their own who they are.
//!
//! One rule carries it: **the number goes from whoever waits to the customer, and never back.** The operator says it, or
//! the other screen shows it; the customer types it. Who asks a customer for a number is not the shop.
//!
//! What it holds against, and what it does not:
//!
//! - *Guessing.* A number has six digits, is somebody's for two minutes, and is void after [`SHOP_TRIES_MAX`] wrong tries at
//!   any number of the shop. So one open number is found by guessing with a probability of at most 1 in 10 000, however
//!   many guess at once and however many numbers are open. One customer guesses three times, then waits. A join has three
//!   tries in all: 3 in 1 000 000.
//! - *Relaying.* A crook can ring a customer and the shop at once, and pass on the number that the operator says. No number
//!   tells that apart: the customer is there, and proves who they are. What is left is what both screens show, the same
//!   purpose and the same words, with "only if you called us"; that the desk sees who it is, for ten minutes, and gets
//!   no session; and that the history says so. A desk does by telephone only what may go wrong this way.
//! - *A join that somebody else began.* A crook can send the link of a join to a customer and read the number to them. The
//!   page asks whether the other screen is in front of them; the history says that a browser joined, and
//!   [`not_me`](crate::merchant::Recognised::not_me) throws it out.

use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD as URL_SAFE_NO_PAD};
use serde::{Deserialize, Serialize};

use crate::{
    customer::{BindingName, CustomerId, Rung},
    names::is_plain,
    store::Persisted,
    time::UnixTime,
};

/// How long a customer has to type the number that an operator says, in seconds.
pub const TYPE_WITHIN_S: u64 = 120;
/// How long they have then to prove who they are, in seconds: somebody may have to find a phone first.
pub const PROVE_WITHIN_S: u64 = 10 * 60;
/// How long a desk sees who was recognised, in seconds.
pub const SEEN_FOR_S: u64 = 10 * 60;
/// How long a browser waits for somebody who vouches for it, in seconds.
pub const JOIN_WITHIN_S: u64 = 5 * 60;
/// How long a browser that was vouched for may take its session, in seconds: it asks every other second.
pub const TAKE_WITHIN_S: u64 = 2 * 60;
/// How long an announced call may be checked, in seconds.
pub const CALL_FOR_S: u64 = 5 * 60;
/// By how much a call may come before its time, in seconds.
const CALL_EARLY_S: u64 = 60;
/// How far ahead a call is announced at most, in seconds.
pub const CALL_AHEAD_S: u64 = 60 * 60;
/// How often a desk looks whether the customer has proved who they are, in seconds.
pub const INTERVAL_S: u64 = 2;
/// By how much the interval grows for a desk that looks too often, in seconds (CIBA Core 1.0, 11).
const SLOWER_S: u64 = 5;
/// The longest interval, in seconds.
const INTERVAL_MAX_S: u64 = 60;
/// How many wrong numbers the shop sees before a number that was open meanwhile is void.
pub const SHOP_TRIES_MAX: u64 = 100;
/// How many wrong numbers one customer types before they wait, and how many a join takes.
pub const TRIES_MAX: u8 = 3;
/// How many recognitions one operator has open at once.
pub const OPEN_MAX: usize = 3;
/// How long a customer waits after too many wrong numbers, in seconds; twice as long each time.
const WRONG_WAIT_S: u64 = 5 * 60;
/// How long a customer waits after a refusal, in seconds; twice as long each time.
const REFUSED_WAIT_S: u64 = 60;
/// The longest wait, in seconds.
const WAIT_MAX_S: u64 = 60 * 60;
/// How long tries and refusals are remembered, in seconds.
pub(crate) const REMEMBERED_S: u64 = 24 * 3600;
/// The longest purpose, in characters.
pub const PURPOSE_MAX: usize = 80;
/// The longest binding message, in characters (CIBA Core 1.0, 7.1: short).
pub const BINDING_MESSAGE_MAX: usize = 40;
/// The longest telephone number that is shown, in characters.
pub const TELEPHONE_MAX: usize = 24;
/// The longest name of a desk, and of an operator, in characters.
pub const NAME_MAX: usize = 64;

/// Why a meeting does not go on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum MeetingError {
    /// A text that a customer is shown has a form that it must not have.
    #[error("{what} is 1 to {max} letters, digits, spaces and -.,:;!?'()/&+#")]
    Text {
        /// Which.
        what: &'static str,
        /// Its longest form, in characters.
        max: usize,
    },
    /// A text that is no telephone number, such as a purpose in its place.
    #[error("a telephone number is 1 to {TELEPHONE_MAX} digits, spaces and +()-/")]
    Telephone,
    /// Nobody stands behind the desk.
    #[error("a desk has an operator: 1 to {NAME_MAX} visible characters that name them in your own records")]
    Operator,
    /// A call that begins in the past, or too far ahead.
    #[error("a call begins between now and {CALL_AHEAD_S} s from now")]
    StartsAt,
    /// The operator has as many recognitions open as they may have.
    #[error("an operator has at most {OPEN_MAX} recognitions open: close one first")]
    TooManyOpen,
    /// A call to this customer is announced already.
    #[error("a call to this customer is announced already: say that it is over first")]
    CallAnnounced,
    /// No meeting of that name, or not any more, or somebody else's.
    #[error("no such meeting, or not any more")]
    NoSuchMeeting,
    /// No number that is open.
    #[error("this is not the number: ask for it once more")]
    WrongNumber,
    /// The customer is in another meeting.
    #[error("you are in another meeting: say yes or no to that one first")]
    InAnother,
    /// The browser that wants to join is known already.
    #[error("this browser is known already")]
    BrowserKnown,
    /// The customer has not done their part yet (CIBA Core 1.0, 11).
    #[error("the customer has not answered yet: ask again in {interval_s} s")]
    Pending {
        /// When to ask again, in seconds.
        interval_s: u64,
    },
    /// The same, asked too often (CIBA Core 1.0, 11).
    #[error("asked too often: ask every {interval_s} s from now on")]
    SlowDown {
        /// How often from now on, in seconds.
        interval_s: u64,
    },
    /// The time is over (CIBA Core 1.0, 11).
    #[error("the time is over: begin again")]
    Expired,
    /// The customer said no (CIBA Core 1.0, 11).
    #[error("the customer said no")]
    Denied,
}

impl MeetingError {
    /// The stable name of the error; where CIBA has one, that.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Text { .. } => "invalid_meeting_text",
            Self::Telephone => "invalid_telephone",
            Self::Operator => "invalid_operator",
            Self::StartsAt => "invalid_starts_at",
            Self::TooManyOpen => "too_many_meetings",
            Self::CallAnnounced => "call_announced",
            Self::NoSuchMeeting => "no_such_meeting",
            Self::WrongNumber => "wrong_number",
            Self::InAnother => "in_another_meeting",
            Self::BrowserKnown => "browser_known",
            Self::Pending { .. } => "authorization_pending",
            Self::SlowDown { .. } => "slow_down",
            Self::Expired => "expired_token",
            Self::Denied => "access_denied",
        }
    }
}

/// The number that goes from whoever waits to the customer: six digits.
#[derive(Clone, PartialEq, Eq)]
pub struct Number(u32);

/// A text that is not a number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a number: six digits")]
pub struct NotANumber;

impl Number {
    /// The number that these random bytes make; each as likely as any other, but for one part in ten million millions.
    #[must_use]
    pub fn from_random(bytes: [u8; 8]) -> Self {
        Self(u32::try_from(u64::from_be_bytes(bytes) % 1_000_000).unwrap_or_default())
    }

    /// As it is said and shown: `042 917`.
    #[must_use]
    pub fn reveal(&self) -> String {
        format!("{:03} {:03}", self.0 / 1_000, self.0 % 1_000)
    }
}

impl std::str::FromStr for Number {
    type Err = NotANumber;

    /// However it was typed: with spaces and dashes, or without.
    fn from_str(text: &str) -> Result<Self, NotANumber> {
        if text.len() > 32 {
            return Err(NotANumber);
        }
        let digits: String = text.chars().filter(|c| !matches!(c, ' ' | '-' | '\u{a0}')).collect();
        let plain = digits.len() == 6 && digits.bytes().all(|b| b.is_ascii_digit());
        if plain { digits.parse().map(Self).map_err(|_| NotANumber) } else { Err(NotANumber) }
    }
}

impl std::fmt::Debug for Number {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Number([redacted])")
    }
}

/// What whoever waits holds, and nobody else: 256 random bits. CIBA calls it `auth_req_id`.
#[derive(Clone, PartialEq, Eq)]
pub struct Ticket(String);

/// The name under which the customer's side knows a meeting: a hash of the ticket, which leads nowhere back.
#[derive(Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct MeetingId(String);

/// A text that is neither a ticket nor the name of a meeting.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a meeting: 43 characters of base64url")]
pub struct NotAMeeting;

impl Ticket {
    /// The ticket that these random bytes make.
    #[must_use]
    pub fn from_random(bytes: [u8; 32]) -> Self {
        Self(URL_SAFE_NO_PAD.encode(bytes))
    }

    /// As its holder keeps it.
    #[must_use]
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl MeetingId {
    /// The name that the SHA-256 of a ticket makes.
    pub(crate) fn from_digest(digest: [u8; 32]) -> Self {
        Self(URL_SAFE_NO_PAD.encode(digest))
    }

    /// As it stands in a URL.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

fn is_name(text: &str) -> bool {
    text.len() == 43 && URL_SAFE_NO_PAD.decode(text).is_ok()
}

impl std::str::FromStr for Ticket {
    type Err = NotAMeeting;

    fn from_str(text: &str) -> Result<Self, NotAMeeting> {
        if is_name(text) { Ok(Self(text.to_owned())) } else { Err(NotAMeeting) }
    }
}

impl std::str::FromStr for MeetingId {
    type Err = NotAMeeting;

    fn from_str(text: &str) -> Result<Self, NotAMeeting> {
        if is_name(text) { Ok(Self(text.to_owned())) } else { Err(NotAMeeting) }
    }
}

impl std::fmt::Debug for Ticket {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Ticket([redacted])")
    }
}

impl std::fmt::Debug for MeetingId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "MeetingId({})", self.0)
    }
}

/// A text that a customer is shown as the shop's own word: letters, digits, spaces and a few marks, so that nothing in it
/// turns around, breaks the line or looks like a link (CIBA Core 1.0, 7.1: plain text).
///
/// # Errors
/// [`MeetingError::Text`] if it is empty, longer than `max` characters, or has other characters.
pub fn plain(what: &'static str, text: &str, max: usize) -> Result<String, MeetingError> {
    let text = text.trim();
    let fits = !text.is_empty() && text.len() <= 4 * max && text.chars().count() <= max;
    let is_plain = |c: char| c.is_alphanumeric() || " -.,:;!?'()/&+#".contains(c);
    if fits && text.chars().all(is_plain) { Ok(text.to_owned()) } else { Err(MeetingError::Text { what, max }) }
}

/// A telephone number as it is shown, and nothing else: what a customer reads as one is one.
///
/// # Errors
/// [`MeetingError::Telephone`].
pub fn telephone_number(text: &str) -> Result<String, MeetingError> {
    let text = text.trim();
    let fits = text.len() <= TELEPHONE_MAX && text.bytes().any(|b| b.is_ascii_digit());
    let is_one = text.bytes().all(|b| b.is_ascii_digit() || b" +()-/".contains(&b));
    if fits && is_one { Ok(text.to_owned()) } else { Err(MeetingError::Telephone) }
}

/// Who the merchant says that an operator is, for the audit.
///
/// # Errors
/// [`MeetingError::Operator`] if it is empty, too long or not visible.
pub(crate) fn operator(text: &str) -> Result<String, MeetingError> {
    if is_plain(text, 4 * NAME_MAX) && text.chars().count() <= NAME_MAX {
        Ok(text.to_owned())
    } else {
        Err(MeetingError::Operator)
    }
}

/// What a desk asked for: the part of its meeting that never changes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Opening {
    /// Who opened it, as the merchant names them.
    pub operator: String,
    /// What the customer is told of who asks.
    pub desk: String,
    /// Why.
    pub purpose: String,
    /// What both screens show.
    pub binding_message: String,
    /// By what the customer has to be recognised at least; the strongest kind that they have if there is nothing.
    pub rung: Option<Rung>,
    /// When.
    pub at: UnixTime,
    /// A keyed digest of the number, under which the meeting is found.
    pub(crate) number: String,
    /// How many wrong numbers the shop had seen then.
    pub(crate) tries: u64,
    /// Which of the operator's places it takes.
    pub(crate) place: usize,
}

/// Who a desk has in front of it, how surely, and until when it may act on that.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Recognition {
    /// Who.
    pub customer: CustomerId,
    /// By what they were recognised.
    pub rung: Rung,
    /// When they proved it.
    pub proved_at: UnixTime,
    /// Until when this is to be seen.
    pub expires_at: UnixTime,
}

/// A recognition by a desk: `Open -> Met -> Recognised | Refused`, and over by itself at any time.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "state", rename_all = "snake_case")]
pub enum DeskMeeting {
    /// Nobody has typed the number yet.
    Open {
        /// What the desk asked for.
        opening: Opening,
    },
    /// A customer has typed the number, and not said yet that it is them.
    Met {
        /// What the desk asked for.
        opening: Opening,
        /// Who typed it.
        customer: CustomerId,
        /// When.
        at: UnixTime,
    },
    /// The customer has proved who they are.
    Recognised {
        /// What the desk asked for.
        opening: Opening,
        /// Who, and how surely.
        recognition: Recognition,
        /// Whether the desk has seen it: the first look is written down.
        seen: bool,
    },
    /// The customer said no.
    Refused {
        /// What the desk asked for.
        opening: Opening,
        /// When.
        at: UnixTime,
    },
}

impl DeskMeeting {
    /// What the desk asked for.
    #[must_use]
    pub const fn opening(&self) -> &Opening {
        match self {
            Self::Open { opening }
            | Self::Met { opening, .. }
            | Self::Recognised { opening, .. }
            | Self::Refused { opening, .. } => opening,
        }
    }

    /// Until when it can go on from here.
    #[must_use]
    pub const fn until(&self) -> UnixTime {
        match self {
            Self::Open { opening } => opening.at.plus_s(TYPE_WITHIN_S),
            Self::Met { at, .. } => at.plus_s(PROVE_WITHIN_S),
            Self::Recognised { recognition, .. } => recognition.expires_at,
            Self::Refused { at, .. } => *at,
        }
    }

    /// Until when its record is kept: the desk is told how it ended.
    #[must_use]
    pub const fn kept_until(&self) -> UnixTime {
        self.until().plus_s(PROVE_WITHIN_S)
    }

    /// A customer has typed the number, when the shop had seen so many wrong ones.
    ///
    /// # Errors
    /// [`MeetingError::WrongNumber`] if it is not open any more: typed by somebody, too old, or void.
    pub fn met(self, customer: CustomerId, tries: u64, now: UnixTime) -> Result<Self, MeetingError> {
        let until = self.until();
        match self {
            Self::Open { opening } if now < until && tries.saturating_sub(opening.tries) < SHOP_TRIES_MAX => {
                Ok(Self::Met { opening, customer, at: now })
            }
            _ => Err(MeetingError::WrongNumber),
        }
    }

    /// What a customer is shown who has typed the number.
    ///
    /// # Errors
    /// As [`recognised`](Self::recognised).
    pub fn met_by(&self, customer: &CustomerId, now: UnixTime) -> Result<&Opening, MeetingError> {
        match self {
            Self::Met { opening, customer: met, .. } if met == customer => {
                if now < self.until() {
                    Ok(opening)
                } else {
                    Err(MeetingError::Expired)
                }
            }
            _ => Err(MeetingError::NoSuchMeeting),
        }
    }

    /// The customer who has typed the number says yes.
    ///
    /// # Errors
    /// [`MeetingError::NoSuchMeeting`] for anybody else, or if they have answered; [`MeetingError::Expired`].
    pub fn recognised(
        self,
        customer: &CustomerId,
        rung: Rung,
        proved_at: UnixTime,
        now: UnixTime,
    ) -> Result<Self, MeetingError> {
        let opening = self.met_by(customer, now)?.clone();
        let recognition =
            Recognition { customer: customer.clone(), rung, proved_at, expires_at: now.plus_s(SEEN_FOR_S) };
        Ok(Self::Recognised { opening, recognition, seen: false })
    }

    /// The customer who has typed the number says no.
    ///
    /// # Errors
    /// As [`recognised`](Self::recognised).
    pub fn refused(self, customer: &CustomerId, now: UnixTime) -> Result<Self, MeetingError> {
        Ok(Self::Refused { opening: self.met_by(customer, now)?.clone(), at: now })
    }

    /// What the desk sees.
    ///
    /// # Errors
    /// [`MeetingError::Pending`], [`MeetingError::Expired`], [`MeetingError::Denied`].
    pub fn recognition(&self, now: UnixTime) -> Result<&Recognition, MeetingError> {
        match self {
            Self::Refused { .. } => Err(MeetingError::Denied),
            _ if now >= self.until() => Err(MeetingError::Expired),
            Self::Recognised { recognition, .. } => Ok(recognition),
            Self::Open { .. } | Self::Met { .. } => Err(MeetingError::Pending { interval_s: INTERVAL_S }),
        }
    }
}

impl Persisted for DeskMeeting {
    const KIND: &'static str = "meeting";
    const SCHEMA: u16 = 1;
}

/// How often whoever waits has looked: CIBA's interval, which grows for whoever does not keep it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pace {
    at: UnixTime,
    interval_s: u64,
}

impl Pace {
    /// The first look.
    #[must_use]
    pub const fn first(now: UnixTime) -> Self {
        Self { at: now, interval_s: INTERVAL_S }
    }

    /// Another look, and what it is told as long as there is nothing to see.
    #[must_use]
    pub fn looked(self, now: UnixTime) -> (Self, MeetingError) {
        if now.since_s(self.at) >= self.interval_s {
            return (Self { at: now, ..self }, MeetingError::Pending { interval_s: self.interval_s });
        }
        // CIBA Core 1.0, 11: increased by at least 5 seconds for this and all subsequent requests.
        let interval_s = (self.interval_s + SLOWER_S).min(INTERVAL_MAX_S);
        (Self { at: now, interval_s }, MeetingError::SlowDown { interval_s })
    }
}

impl Persisted for Pace {
    const KIND: &'static str = "meeting_pace";
    const SCHEMA: u16 = 1;
}

/// How patient the shop is with one customer who types numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, Default)]
pub struct Patience {
    wrong: u8,
    waits: u8,
    refusals: u8,
    until: Option<UnixTime>,
}

impl Patience {
    /// How long the customer waits before the next number, in seconds; nothing if they need not.
    #[must_use]
    pub fn waits_s(&self, now: UnixTime) -> Option<u64> {
        self.until.map(|until| until.since_s(now)).filter(|wait_s| *wait_s > 0)
    }

    /// They typed a wrong number.
    #[must_use]
    pub fn wrong(self, now: UnixTime) -> Self {
        let wrong = self.wrong.saturating_add(1);
        if wrong < TRIES_MAX {
            return Self { wrong, ..self };
        }
        let until = now.plus_s(doubled(WRONG_WAIT_S, self.waits));
        Self { wrong: 0, waits: self.waits.saturating_add(1), until: Some(until), ..self }
    }

    /// They typed the right one.
    #[must_use]
    pub const fn right(self) -> Self {
        Self { wrong: 0, waits: 0, ..self }
    }

    /// They said no: whoever talks them into the next call has to wait.
    #[must_use]
    pub fn refused(self, now: UnixTime) -> Self {
        let until = now.plus_s(doubled(REFUSED_WAIT_S, self.refusals));
        Self { refusals: self.refusals.saturating_add(1), until: self.until.max(Some(until)), ..self }
    }
}

fn doubled(wait_s: u64, times: u8) -> u64 {
    wait_s.saturating_mul(1_u64.checked_shl(times.into()).unwrap_or(u64::MAX)).min(WAIT_MAX_S)
}

impl Persisted for Patience {
    const KIND: &'static str = "meeting_patience";
    const SCHEMA: u16 = 1;
}

/// A browser that nobody knows, and waits for a customer who says that it is theirs: `Waiting -> Vouched | Refused`, and over
/// by itself.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Join {
    /// The thumbprint of its key.
    pub key: String,
    /// What it calls itself, such as `Firefox on Linux`.
    pub browser: Option<String>,
    /// Since when.
    pub at: UnixTime,
    /// A keyed digest of the number that it shows.
    pub(crate) number: String,
    /// How it stands.
    pub state: JoinState,
}

/// How a join stands.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "state", rename_all = "snake_case")]
pub enum JoinState {
    /// Nobody has typed the number yet.
    Waiting {
        /// How many wrong ones were typed.
        wrong: u8,
    },
    /// A customer has typed it, in a browser of theirs.
    Vouched(Vouched),
    /// A customer said no, or typed a wrong number too often.
    Refused,
}

/// That a customer has vouched for a browser.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Vouched {
    /// Who.
    pub customer: CustomerId,
    /// The thumbprint of the key of the browser that vouched.
    pub by: String,
    /// What was shown there in the last minutes, if it was strong.
    pub shown: Option<BindingName>,
    /// When.
    pub at: UnixTime,
}

impl Join {
    /// A browser that begins to wait.
    pub(crate) const fn new(key: String, browser: Option<String>, number: String, now: UnixTime) -> Self {
        Self { key, browser, at: now, number, state: JoinState::Waiting { wrong: 0 } }
    }

    /// Until when it can go on from here.
    #[must_use]
    pub const fn until(&self) -> UnixTime {
        match &self.state {
            JoinState::Waiting { .. } | JoinState::Refused => self.at.plus_s(JOIN_WITHIN_S),
            JoinState::Vouched(vouched) => vouched.at.plus_s(TAKE_WITHIN_S),
        }
    }

    /// Whether somebody can vouch for it.
    ///
    /// # Errors
    /// [`MeetingError::NoSuchMeeting`] if somebody has answered, [`MeetingError::Expired`].
    pub fn waiting(&self, now: UnixTime) -> Result<(), MeetingError> {
        match self.state {
            JoinState::Waiting { .. } if now < self.until() => Ok(()),
            JoinState::Waiting { .. } => Err(MeetingError::Expired),
            _ => Err(MeetingError::NoSuchMeeting),
        }
    }

    /// A customer types the number in a browser of theirs; the digest of what they typed, and what that makes if it is right.
    /// What comes back is [`Vouched`](JoinState::Vouched) or not, and to be kept in both cases.
    ///
    /// # Errors
    /// As [`waiting`](Self::waiting).
    pub(crate) fn typed(self, number: &str, vouched: Vouched, now: UnixTime) -> Result<Self, MeetingError> {
        self.waiting(now)?;
        let JoinState::Waiting { wrong } = self.state else { return Err(MeetingError::NoSuchMeeting) };
        let wrong = wrong.saturating_add(1);
        let state = match self.number == number {
            true => JoinState::Vouched(vouched),
            false if wrong < TRIES_MAX => JoinState::Waiting { wrong },
            false => JoinState::Refused,
        };
        Ok(Self { state, ..self })
    }

    /// A customer says that it is not theirs.
    ///
    /// # Errors
    /// As [`waiting`](Self::waiting).
    pub fn refused(self, now: UnixTime) -> Result<Self, MeetingError> {
        self.waiting(now)?;
        Ok(Self { state: JoinState::Refused, ..self })
    }

    /// Who vouched for the browser of this key.
    ///
    /// # Errors
    /// [`MeetingError::NoSuchMeeting`] for any other key; [`MeetingError::Pending`], [`MeetingError::Expired`],
    /// [`MeetingError::Denied`].
    pub fn vouched(&self, key: &str, now: UnixTime) -> Result<&Vouched, MeetingError> {
        if self.key != key {
            return Err(MeetingError::NoSuchMeeting);
        }
        match &self.state {
            JoinState::Refused => Err(MeetingError::Denied),
            _ if now >= self.until() => Err(MeetingError::Expired),
            JoinState::Waiting { .. } => Err(MeetingError::Pending { interval_s: INTERVAL_S }),
            JoinState::Vouched(vouched) => Ok(vouched),
        }
    }
}

impl Persisted for Join {
    const KIND: &'static str = "join";
    const SCHEMA: u16 = 1;
}

/// A call of the shop to a customer, announced where only they can read it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AnnouncedCall {
    /// Its name.
    pub id: MeetingId,
    /// Who calls, as the customer is told.
    pub desk: String,
    /// Why.
    pub purpose: String,
    /// The telephone number that it comes from.
    pub telephone: String,
    /// When it begins.
    pub starts_at: UnixTime,
    /// Who announced it, as the merchant names them.
    pub(crate) operator: String,
}

impl AnnouncedCall {
    /// Until when it may be checked.
    #[must_use]
    pub const fn until(&self) -> UnixTime {
        self.starts_at.plus_s(CALL_FOR_S)
    }

    /// Whether a telephone that rings at this moment may be this call. Until then nobody of the shop is calling: a crook who
    /// knows of it comes first.
    #[must_use]
    pub fn is_on(&self, now: UnixTime) -> bool {
        self.starts_at.minus_s(CALL_EARLY_S) <= now && now < self.until()
    }

    /// Whether it is on, or to come.
    ///
    /// # Errors
    /// [`MeetingError::StartsAt`].
    pub(crate) fn check(self, now: UnixTime) -> Result<Self, MeetingError> {
        let in_time = self.starts_at >= now && self.starts_at <= now.plus_s(CALL_AHEAD_S);
        if in_time { Ok(self) } else { Err(MeetingError::StartsAt) }
    }
}

impl Persisted for AnnouncedCall {
    const KIND: &'static str = "announced_call";
    const SCHEMA: u16 = 1;
}

/// One act of a desk, as it is written down for a year: who, what, when and about whom; no purpose, no number.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeskEntry {
    /// When.
    pub at: UnixTime,
    /// Who, as the merchant names them.
    pub operator: String,
    /// At which desk.
    pub desk: String,
    /// The meeting, or the announced call.
    pub meeting: MeetingId,
    /// What.
    #[serde(flatten)]
    pub act: DeskAct,
    /// About whom, as far as that is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub customer: Option<CustomerId>,
}

/// What happened at a desk.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "act", rename_all = "snake_case")]
#[non_exhaustive]
pub enum DeskAct {
    /// The operator asked who somebody is.
    Opened,
    /// The customer proved who they are.
    Recognised {
        /// By what.
        rung: Rung,
    },
    /// The operator has seen who it is.
    Seen,
    /// The customer said no.
    Refused,
    /// The operator ended it.
    Closed,
    /// The operator announced a call.
    CallAnnounced,
    /// The operator said that the call is over.
    CallOver,
}

impl Persisted for DeskEntry {
    const KIND: &'static str = "desk_log";
    const SCHEMA: u16 = 1;
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOON: UnixTime = UnixTime::from_secs(1_795_348_800);

    fn customer(number: u8) -> CustomerId {
        CustomerId::from_random([number; 16])
    }

    fn open() -> DeskMeeting {
        DeskMeeting::Open {
            opening: Opening {
                operator: "u-17".into(),
                desk: "Customer service".into(),
                purpose: "A question about an order".into(),
                binding_message: "Order 4711".into(),
                rung: None,
                at: NOON,
                number: "digest".into(),
                tries: 40,
                place: 0,
            },
        }
    }

    fn met() -> DeskMeeting {
        open().met(customer(1), 40, NOON).unwrap()
    }

    fn vouching() -> Vouched {
        Vouched { customer: customer(1), by: "by".into(), shown: None, at: NOON }
    }

    fn waiting() -> Join {
        Join::new("key".into(), None, "right".into(), NOON)
    }

    #[test]
    fn a_number_is_read_however_it_was_typed_and_never_shown_by_chance() {
        let number = Number::from_random(42_917_u64.to_be_bytes());
        assert_eq!(number.reveal(), "042 917");
        for typed in ["042917", "042 917", " 042-917 ", "0 4 2 9 1 7", "042\u{a0}917"] {
            assert_eq!(typed.parse(), Ok(number.clone()), "{typed:?}");
        }
        for bad in ["", "42917", "0429170", "+42917", "04291a", "０４２９１７", &" ".repeat(40)] {
            assert_eq!(bad.parse::<Number>(), Err(NotANumber), "{bad:?}");
        }
        assert_eq!(format!("{number:?}"), "Number([redacted])");
        assert_eq!(Number::from_random(u64::MAX.to_be_bytes()).reveal().len(), 7);
    }

    #[test]
    fn a_text_for_the_customer_is_plain_and_short() {
        for good in ["Order 4711", "Rückfrage: Lieferung (2/3)", "it's me & you"] {
            assert_eq!(plain("purpose", good, 40), Ok(good.to_owned()));
        }
        assert_eq!(plain("purpose", &"ü".repeat(40), 40), Ok("ü".repeat(40)));
        for bad in ["", "  ", "a\nb", "a\u{202e}b", "<b>", "a\u{0}", "call@evil", "\u{200b}"] {
            assert_eq!(plain("purpose", bad, 40), Err(MeetingError::Text { what: "purpose", max: 40 }), "{bad:?}");
        }
        assert!(plain("purpose", &"a".repeat(41), 40).is_err());
        for bad in ["", " ", "a\nb", &"a".repeat(NAME_MAX + 1)] {
            assert_eq!(operator(bad), Err(MeetingError::Operator), "{bad:?}");
        }
        assert_eq!(operator("anna@shop.example"), Ok("anna@shop.example".to_owned()));
    }

    #[test]
    fn a_number_is_typed_once_in_two_minutes_and_before_it_is_void() {
        let last = NOON.plus_s(TYPE_WITHIN_S - 1);
        assert!(open().met(customer(1), 40 + SHOP_TRIES_MAX - 1, last).is_ok());
        for (tries, now) in [(40, NOON.plus_s(TYPE_WITHIN_S)), (40 + SHOP_TRIES_MAX, NOON)] {
            assert_eq!(open().met(customer(1), tries, now), Err(MeetingError::WrongNumber));
        }
        assert_eq!(met().met(customer(1), 40, NOON), Err(MeetingError::WrongNumber));
        assert_eq!(met().met(customer(2), 40, NOON), Err(MeetingError::WrongNumber));
    }

    #[test]
    fn only_the_customer_who_typed_the_number_answers_and_in_time() {
        let (one, other) = (customer(1), customer(2));
        let recognised = met().recognised(&one, Rung::Passkey, NOON, NOON.plus_s(5)).unwrap();
        let seen = recognised.recognition(NOON.plus_s(5)).unwrap();
        assert_eq!((&seen.customer, seen.rung, seen.expires_at), (&one, Rung::Passkey, NOON.plus_s(5 + SEEN_FOR_S)));
        assert_eq!(recognised.recognition(NOON.plus_s(5 + SEEN_FOR_S)), Err(MeetingError::Expired));
        assert_eq!(recognised.refused(&one, NOON), Err(MeetingError::NoSuchMeeting), "answered");

        assert_eq!(met().refused(&one, NOON).unwrap().recognition(NOON), Err(MeetingError::Denied));
        let late = NOON.plus_s(PROVE_WITHIN_S);
        for (meeting, who, now, error) in [
            (met(), &other, NOON, MeetingError::NoSuchMeeting),
            (open(), &one, NOON, MeetingError::NoSuchMeeting),
            (met(), &one, late, MeetingError::Expired),
        ] {
            assert_eq!(meeting.clone().recognised(who, Rung::Passkey, NOON, now), Err(error));
            assert_eq!(meeting.refused(who, now), Err(error));
        }
        assert_eq!(met().recognition(late), Err(MeetingError::Expired));
        assert_eq!(open().recognition(NOON.plus_s(TYPE_WITHIN_S)), Err(MeetingError::Expired));
        assert_eq!(open().recognition(NOON), Err(MeetingError::Pending { interval_s: INTERVAL_S }));
    }

    #[test]
    fn whoever_looks_too_often_is_slowed_down_for_good() {
        let first = Pace::first(NOON);
        let (pace, told) = first.looked(NOON.plus_s(2));
        assert_eq!(told, MeetingError::Pending { interval_s: 2 });
        let (pace, told) = pace.looked(NOON.plus_s(3));
        assert_eq!(told, MeetingError::SlowDown { interval_s: 7 });
        let (pace, told) = pace.looked(NOON.plus_s(9));
        assert_eq!(told, MeetingError::SlowDown { interval_s: 12 });
        let (mut pace, told) = pace.looked(NOON.plus_s(21));
        assert_eq!(told, MeetingError::Pending { interval_s: 12 });
        for _ in 0..20 {
            (pace, _) = pace.looked(NOON.plus_s(21));
        }
        assert_eq!(pace.looked(NOON.plus_s(21)).1, MeetingError::SlowDown { interval_s: INTERVAL_MAX_S });
    }

    #[test]
    fn patience_runs_out_after_three_wrong_numbers_and_grows_shorter_each_time() {
        let mut patience = Patience::default();
        let mut now = NOON;
        for wait_s in [300, 600, 1200, 2400, 3600, 3600] {
            for _ in 0..TRIES_MAX {
                assert_eq!(patience.waits_s(now), None);
                patience = patience.wrong(now);
            }
            assert_eq!(patience.waits_s(now), Some(wait_s));
            now = now.plus_s(wait_s);
        }
        let forgiven = patience.right().wrong(now);
        assert_eq!(forgiven.waits_s(now), None);
        assert_eq!(forgiven.wrong(now).wrong(now).waits_s(now), Some(300));

        let refused = Patience::default().refused(now);
        assert_eq!(refused.waits_s(now), Some(60));
        assert_eq!(refused.right().refused(now).waits_s(now), Some(120), "a right number forgives no refusal");
        assert_eq!((0..100).fold(refused, |patience, _| patience.refused(now)).waits_s(now), Some(3600));
    }

    #[test]
    fn a_join_takes_three_numbers_and_one_answer() {
        let typed = |join: Join, number: &str| join.typed(number, vouching(), NOON);
        let vouched = typed(waiting(), "right").unwrap();
        assert_eq!(vouched.vouched("key", NOON), Ok(&vouching()));
        assert_eq!(vouched.vouched("other", NOON), Err(MeetingError::NoSuchMeeting));
        assert_eq!(vouched.vouched("key", NOON.plus_s(TAKE_WITHIN_S)), Err(MeetingError::Expired));
        assert_eq!(typed(vouched.clone(), "right"), Err(MeetingError::NoSuchMeeting));
        assert_eq!(vouched.refused(NOON), Err(MeetingError::NoSuchMeeting));

        let once = typed(waiting(), "wrong").unwrap();
        assert_eq!(once.vouched("key", NOON), Err(MeetingError::Pending { interval_s: INTERVAL_S }));
        let twice = typed(once, "wrong").unwrap();
        assert!(typed(twice.clone(), "right").unwrap().vouched("key", NOON).is_ok());
        let ended = typed(twice, "wrong").unwrap();
        assert_eq!(ended.vouched("key", NOON), Err(MeetingError::Denied));
        assert_eq!(typed(ended, "right"), Err(MeetingError::NoSuchMeeting));

        assert_eq!(waiting().refused(NOON).unwrap().vouched("key", NOON), Err(MeetingError::Denied));
        let late = NOON.plus_s(JOIN_WITHIN_S);
        assert_eq!(waiting().typed("right", vouching(), late), Err(MeetingError::Expired));
        assert_eq!(waiting().vouched("key", late), Err(MeetingError::Expired));
    }

    #[test]
    fn what_is_shown_as_a_telephone_number_is_one() {
        for good in ["+43 1 234 56", "(01) 234-56/78", "133", &"1".repeat(TELEPHONE_MAX)] {
            assert_eq!(telephone_number(&format!(" {good} ")).as_deref(), Ok(good));
        }
        for bad in
            ["", "+", "Your delivery", "+43 1 CALL", "+43.1", "０１", "1\u{202e}2", &"1".repeat(TELEPHONE_MAX + 1)]
        {
            assert_eq!(telephone_number(bad), Err(MeetingError::Telephone), "{bad:?}");
        }
    }

    #[test]
    fn a_call_is_announced_for_now_or_the_next_hour() {
        let call = |starts_at| AnnouncedCall {
            id: MeetingId::from_digest([0; 32]),
            desk: "Customer service".into(),
            purpose: "Your delivery".into(),
            telephone: "+43 1 234".into(),
            starts_at,
            operator: "u-17".into(),
        };
        assert!(call(NOON).check(NOON).is_ok() && call(NOON.plus_s(CALL_AHEAD_S)).check(NOON).is_ok());
        assert_eq!(call(NOON.minus_s(1)).check(NOON), Err(MeetingError::StartsAt));
        assert_eq!(call(NOON.plus_s(CALL_AHEAD_S + 1)).check(NOON), Err(MeetingError::StartsAt));
        assert_eq!(call(NOON).until(), NOON.plus_s(CALL_FOR_S));
        assert!(call(NOON).is_on(NOON.minus_s(60)) && call(NOON).is_on(NOON.plus_s(CALL_FOR_S - 1)));
        assert!(!call(NOON).is_on(NOON.minus_s(61)) && !call(NOON).is_on(NOON.plus_s(CALL_FOR_S)));
    }

    #[test]
    fn an_act_of_a_desk_is_read_as_it_is_written() {
        let entry = DeskEntry {
            at: NOON,
            operator: "u-17".into(),
            desk: "Till 3".into(),
            meeting: MeetingId::from_digest([1; 32]),
            act: DeskAct::Recognised { rung: Rung::Passkey },
            customer: Some(customer(1)),
        };
        let text = serde_json::to_value(&entry).unwrap();
        assert_eq!(text["act"], "recognised");
        assert_eq!(text["rung"], "passkey");
        assert_eq!(serde_json::from_value::<DeskEntry>(text).unwrap(), entry);
    }
}
