//! One question to one wallet, from the ask to its end: `Requested -> Delivered -> Answered -> Redeemed | Declined`,
//! and expired at any time before an answer.
//!
//! Two names keep the two sides apart (OpenID4VP 1.0, 13.3): the browser that asked knows the [`PresentationId`], the
//! wallet knows the [`RequestId`]. The second is a hash of the first, so the browser's side finds the one record that
//! there is, and the wallet's side cannot find its way back.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use zeroize::Zeroizing;

use crate::{
    ask::{
        AnyOf, Ask, AskedFor, Combined, Device, Established, Keep, MSO_MDOC, RELATIONSHIP, Serves, Together,
        Transaction, Wanted,
    },
    customer::Alias,
    format::Authentic,
    money::Money,
    order::OrderId,
    protocol::{
        dcql::{ClaimQuery, CredentialQuery, CredentialSet, Query, SD_JWT_VC},
        jose::{ContentEncryption, base64url_decode, base64url_encode, sha256},
        openid4vp::{ClientId, RequestError, ResponseMode, TransactionData, dc_api::Protocol},
    },
    store::Persisted,
    time::UnixTime,
};

/// How many wrong answers a request survives: a wallet may stumble, a guesser may not go on.
pub const WRONG_ANSWERS_MAX: u8 = 5;
/// How long a wallet has from the ask to its answer, in seconds: a person has to find a phone and read a screen.
pub const ANSWER_WITHIN_S: u64 = 5 * 60;
/// How old a holder's proof may be when its answer comes, in seconds: as long as the request lives.
pub(crate) const HOLDER_PROOF_AGE_S: u64 = ANSWER_WITHIN_S;
/// How far a wallet's clock may differ from ours, in seconds.
pub(crate) const SKEW_S: u64 = 60;
/// Content encryption that wallets are offered: HAIP 1.0, 5.3 demands both.
pub(crate) const ENCRYPTIONS: [ContentEncryption; 2] = [ContentEncryption::A128Gcm, ContentEncryption::A256Gcm];
/// How long an answer waits for the browser that asked, in seconds (OpenID4VP 1.0, 14.2: short).
pub const REDEEM_WITHIN_S: u64 = 5 * 60;
/// How long claim values may be read after redemption, in seconds.
pub const CLAIMS_FOR_S: u64 = 15 * 60;
/// How long an ended presentation still says how it ended, in seconds.
const REMEMBERED_S: u64 = 10 * 60;

/// The browser's name for a presentation: 256 random bits, known to the browser that asked and to nobody before the
/// wallet has answered.
#[derive(Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct PresentationId(String);

/// The wallet's name for a presentation, also its `state`: a hash of the browser's.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct RequestId(String);

/// What a wallet carries back to the browser on the same device, once.
#[derive(Clone, PartialEq, Eq)]
pub struct ResponseCode(String);

/// A text that is not an id.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not an id: 43 characters of base64url")]
pub struct NotAnId;

macro_rules! random_name {
    ($name:ident) => {
        impl $name {
            /// The name that these random bytes make.
            #[must_use]
            pub fn from_random(bytes: [u8; 32]) -> Self {
                Self(base64url_encode(&bytes))
            }

            /// As it stands in a URL: 43 characters of base64url.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl std::str::FromStr for $name {
            type Err = NotAnId;

            fn from_str(text: &str) -> Result<Self, NotAnId> {
                if text.len() == 43 && base64url_decode(text).is_ok() {
                    Ok(Self(text.to_owned()))
                } else {
                    Err(NotAnId)
                }
            }
        }

        impl std::fmt::Debug for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(concat!(stringify!($name), "([redacted])"))
            }
        }
    };
}
random_name!(PresentationId);
random_name!(RequestId);
random_name!(ResponseCode);

impl TryFrom<String> for PresentationId {
    type Error = NotAnId;

    fn try_from(text: String) -> Result<Self, NotAnId> {
        text.parse()
    }
}

impl From<PresentationId> for String {
    fn from(id: PresentationId) -> Self {
        id.0
    }
}

impl PresentationId {
    /// The name under which the wallet knows this presentation, and under which it is stored.
    #[must_use]
    pub fn request(&self) -> RequestId {
        RequestId(base64url_encode(&sha256(format!("firsthand request {}", self.0).as_bytes())))
    }
}

impl ResponseCode {
    /// What is stored in its place.
    fn digest(&self) -> String {
        base64url_encode(&sha256(self.0.as_bytes()))
    }
}

/// Who asked for what: the part of a presentation that never changes.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Asked {
    /// The browser's name for it.
    pub id: PresentationId,
    /// What was asked.
    pub asks: Vec<AskedOne>,
    /// Where the wallet is expected.
    pub device: Device,
    /// The thumbprint of the only key that may redeem the answer.
    pub key: String,
    /// The path of our own origin to which the customer returns.
    pub return_to: Option<String>,
    /// Our name when we asked, which stands in the link to the wallet: stored, so that a renewed certificate strands
    /// nobody.
    pub client_id: ClientId,
    /// The query, as it is sent and as the answer is evaluated.
    pub query: Query,
    /// The transaction data strings, exactly as they are sent and hashed.
    pub transaction_data: Vec<String>,
    /// The payment that is to be authorised.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub payment: Option<AskedPayment>,
    /// When the browser asked.
    pub at: UnixTime,
}

/// One of the asks of a question.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AskedOne {
    /// Its name.
    pub name: String,
    /// The age in years that was asked about: what is judged is what was asked, also after the ask was changed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub over: Option<u8>,
}

/// The payment that a question asks for: what its answer is held against, besides the transaction data that say the same to
/// the wallet.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AskedPayment {
    /// The order.
    pub order: OrderId,
    /// Which attempt to pay it.
    pub attempt: u32,
    /// How much.
    pub amount: Money,
    /// The type of the transaction data.
    pub kind: String,
}

/// A presentation as it is stored.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Presentation {
    /// The browser asked; no wallet has looked yet, and no key was made.
    Requested(Requested),
    /// A wallet has fetched the request.
    Delivered(Delivered),
    /// A wallet has answered, the answer holds, and nothing has come of it yet.
    Answered(Answered),
    /// The browser that asked has fetched the result.
    Redeemed(Redeemed),
    /// The wallet or its owner said no.
    Declined(Declined),
}

/// The browser asked.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Requested {
    /// Who asked for what.
    pub asked: Asked,
}

/// A wallet has fetched the request: it may do so again, and always gets the same nonce and key.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Delivered {
    /// Who asked for what.
    pub asked: Asked,
    /// What the wallet was told.
    pub delivery: Delivery,
    /// How many answers were refused.
    pub wrong_answers: u8,
    /// The code of the last refusal.
    pub last_refusal: Option<String>,
    /// What the browser that asked was given for its own way to a wallet, if it asked for that: one for each protocol.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub browser: Vec<BrowserDelivery>,
}

/// What a browser was given for one protocol of the Digital Credentials API, and what only we know about it. The answer
/// to one is none to another.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct BrowserDelivery {
    /// The protocol.
    pub protocol: Protocol,
    /// The nonce that the wallet's proofs must carry.
    pub nonce: String,
    /// The sealed private key that decrypts the answer.
    pub sealed_key: String,
    /// The one credential query that it asks, where the protocol has no words for the others.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub credential: Option<String>,
}

/// What a wallet was told, and what only we know about it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Delivery {
    /// The nonce that its proofs must carry.
    pub nonce: String,
    /// How the answer comes.
    pub response_mode: ResponseMode,
    /// The sealed private key that decrypts the answer, for `direct_post.jwt`.
    pub sealed_key: Option<String>,
}

/// A wallet has answered.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Answered {
    /// Who asked for what.
    pub asked: Asked,
    /// The digest of the response code; none on another device, which carries nothing back.
    pub code: Option<String>,
    /// What it established and says, sealed.
    pub sealed: String,
    /// When the wallet answered.
    pub at: UnixTime,
}

/// The browser that asked has fetched the result.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Redeemed {
    /// Who asked for what. What was shown went to the customer with it.
    pub asked: Asked,
    /// When it was redeemed.
    pub at: UnixTime,
}

/// The wallet or its owner said no.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Declined {
    /// Who asked for what.
    pub asked: Asked,
    /// The registered error code that the wallet sent (OpenID4VP 1.0, 8.5), or our own reason.
    pub reason: String,
    /// When.
    pub at: UnixTime,
}

/// What everybody may know of a presentation who may know of it at all.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum State {
    /// Waiting for a wallet.
    Requested,
    /// A wallet has fetched the request.
    Delivered,
    /// A wallet has answered; the browser may redeem.
    Answered,
    /// Done.
    Redeemed,
    /// The wallet or its owner said no.
    Declined,
    /// Nobody answered, or nobody redeemed, in time.
    Expired,
}

impl State {
    /// As it stands in an event.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Requested => "requested",
            Self::Delivered => "delivered",
            Self::Answered => "answered",
            Self::Redeemed => "redeemed",
            Self::Declined => "declined",
            Self::Expired => "expired",
        }
    }

    /// Whether nothing will change any more.
    #[must_use]
    pub const fn is_final(self) -> bool {
        matches!(self, Self::Redeemed | Self::Declined | Self::Expired)
    }
}

/// Why a step cannot be taken from where a presentation stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum StepError {
    /// The time for it is over.
    #[error("the presentation has expired: ask again")]
    Expired,
    /// It was answered already; an answer counts once.
    #[error("the presentation was answered already")]
    AlreadyAnswered,
    /// It was redeemed already; a result is given out once.
    #[error("the presentation was redeemed already")]
    AlreadyRedeemed,
    /// The wallet or its owner said no.
    #[error("the wallet declined")]
    Declined,
    /// No wallet has answered yet.
    #[error("no wallet has answered yet")]
    NotAnswered,
    /// No wallet has fetched the request, so nobody can answer it.
    #[error("no wallet has fetched this request")]
    NotDelivered,
    /// Too many wrong answers.
    #[error("too many wrong answers: ask again")]
    Exhausted,
    /// Another key than the one that asked.
    #[error("this presentation belongs to another browser: continue where you started")]
    OtherBrowser,
    /// The response code is missing or wrong.
    #[error("the response code is missing or not the one that the wallet was given")]
    WrongCode,
}

impl StepError {
    /// The stable name of the refusal.
    #[must_use]
    pub const fn code(self) -> &'static str {
        match self {
            Self::Expired => "presentation_expired",
            Self::AlreadyAnswered => "already_answered",
            Self::AlreadyRedeemed => "already_redeemed",
            Self::Declined => "declined",
            Self::NotAnswered => "not_answered",
            Self::NotDelivered => "not_delivered",
            Self::Exhausted => "too_many_wrong_answers",
            Self::OtherBrowser => "other_browser",
            Self::WrongCode => "wrong_response_code",
        }
    }
}

impl Presentation {
    /// Who asked for what.
    #[must_use]
    pub const fn asked(&self) -> &Asked {
        match self {
            Self::Requested(s) => &s.asked,
            Self::Delivered(s) => &s.asked,
            Self::Answered(s) => &s.asked,
            Self::Redeemed(s) => &s.asked,
            Self::Declined(s) => &s.asked,
        }
    }

    /// Where it stands.
    #[must_use]
    pub fn state(&self, now: UnixTime) -> State {
        match self {
            Self::Requested(_) | Self::Delivered(_) if now >= self.deadline() => State::Expired,
            Self::Answered(_) if now >= self.deadline() => State::Expired,
            Self::Requested(_) => State::Requested,
            // Whether a wallet has read a request that stands in its link is known to the wallet alone.
            Self::Delivered(s) if !s.asked.client_id.prefix().is_signed() => State::Requested,
            Self::Delivered(_) => State::Delivered,
            Self::Answered(_) => State::Answered,
            Self::Redeemed(_) => State::Redeemed,
            Self::Declined(_) => State::Declined,
        }
    }

    /// Until when the next step may be taken.
    #[must_use]
    pub const fn deadline(&self) -> UnixTime {
        match self {
            Self::Requested(_) | Self::Delivered(_) => self.asked().at.plus_s(ANSWER_WITHIN_S),
            Self::Answered(s) => s.at.plus_s(REDEEM_WITHIN_S),
            Self::Redeemed(s) => s.at.plus_s(CLAIMS_FOR_S),
            Self::Declined(s) => s.at.plus_s(REMEMBERED_S),
        }
    }

    /// Until when the record is kept: an open one a little longer than its deadline, to say that it has expired. What
    /// is sealed in an answer goes with its deadline at the latest.
    #[must_use]
    pub const fn kept_until(&self) -> UnixTime {
        match self {
            Self::Requested(_) | Self::Delivered(_) => self.deadline().plus_s(REMEMBERED_S),
            Self::Answered(_) | Self::Redeemed(_) | Self::Declined(_) => self.deadline(),
        }
    }

    /// A wallet fetches the request: the first time `deliver` makes what it is told; afterwards it is told the same.
    ///
    /// # Errors
    /// If it is over, or was answered.
    pub fn fetched<E: From<StepError>>(
        self,
        now: UnixTime,
        deliver: impl FnOnce() -> Result<Delivery, E>,
    ) -> Result<Delivered, E> {
        if let Self::Requested(Requested { asked }) = self {
            if now >= asked.at.plus_s(ANSWER_WITHIN_S) {
                return Err(StepError::Expired.into());
            }
            let delivery = deliver()?;
            return Ok(Delivered { asked, delivery, wrong_answers: 0, last_refusal: None, browser: Vec::new() });
        }
        Ok(self.answering(now)?)
    }

    /// The browser that asked takes the question to a wallet itself, by the Digital Credentials API: the first time
    /// `give` makes what it is given; afterwards it is given the same.
    ///
    /// # Errors
    /// If it is over, or was answered.
    pub fn given<E: From<StepError>>(
        self,
        now: UnixTime,
        deliver: impl FnOnce() -> Result<Delivery, E>,
        give: impl FnOnce(&Asked) -> Result<Vec<BrowserDelivery>, E>,
    ) -> Result<Delivered, E> {
        let mut delivered = self.fetched(now, deliver)?;
        if delivered.browser.is_empty() {
            delivered.browser = give(&delivered.asked)?;
        }
        Ok(delivered)
    }

    /// A wallet answers: this is what its answer is checked against.
    ///
    /// # Errors
    /// If nobody fetched the request, it is over, or was answered: refused before any decryption.
    pub fn answering(self, now: UnixTime) -> Result<Delivered, StepError> {
        self.open(now)?;
        match self {
            Self::Requested(_) => Err(StepError::NotDelivered),
            Self::Delivered(delivered) => delivered.answerable(),
            Self::Answered(_) => Err(StepError::AlreadyAnswered),
            Self::Redeemed(_) => Err(StepError::AlreadyRedeemed),
            Self::Declined(_) => Err(StepError::Declined),
        }
    }

    /// The browser that asked fetches the result: with the response code if the wallet is on its device, by its key
    /// alone if not (the wallet there has nothing to carry back).
    ///
    /// # Errors
    /// If the key is another one, the code is wrong or missing, or there is nothing (more) to redeem.
    pub fn redeemed(
        self,
        key: &str,
        code: Option<&ResponseCode>,
        now: UnixTime,
    ) -> Result<(Redeemed, Answered), StepError> {
        // The key first: who did not ask learns nothing, not even how it stands.
        if self.asked().key != key {
            return Err(StepError::OtherBrowser);
        }
        self.open(now)?;
        match self {
            Self::Answered(answered) => {
                // Digests of 256 random bits are compared, so the time of the comparison tells nothing of the code.
                if answered.code != code.map(ResponseCode::digest) {
                    return Err(StepError::WrongCode);
                }
                let redeemed = Redeemed { asked: answered.asked.clone(), at: now };
                Ok((redeemed, answered))
            }
            Self::Requested(_) | Self::Delivered(_) => Err(StepError::NotAnswered),
            Self::Redeemed(_) => Err(StepError::AlreadyRedeemed),
            Self::Declined(_) => Err(StepError::Declined),
        }
    }

    /// The browser that asked gives up.
    ///
    /// # Errors
    /// If it is over, or was answered.
    pub fn withdrawn(self, reason: &str, now: UnixTime) -> Result<Declined, StepError> {
        self.open(now)?;
        match self {
            Self::Requested(Requested { asked }) | Self::Delivered(Delivered { asked, .. }) => {
                Ok(Declined { asked, reason: reason.to_owned(), at: now })
            }
            Self::Answered(_) => Err(StepError::AlreadyAnswered),
            Self::Redeemed(_) => Err(StepError::AlreadyRedeemed),
            Self::Declined(_) => Err(StepError::Declined),
        }
    }

    fn open(&self, now: UnixTime) -> Result<(), StepError> {
        if self.state(now) == State::Expired { Err(StepError::Expired) } else { Ok(()) }
    }
}

impl Delivered {
    fn answerable(self) -> Result<Self, StepError> {
        if self.wrong_answers < WRONG_ANSWERS_MAX { Ok(self) } else { Err(StepError::Exhausted) }
    }

    /// The answer holds.
    #[must_use]
    pub fn answered(self, code: Option<&ResponseCode>, sealed: String, now: UnixTime) -> Answered {
        Answered { asked: self.asked, code: code.map(ResponseCode::digest), sealed, at: now }
    }

    /// The answer was refused: the wallet may answer again, and if it was `wrong`, only so often.
    #[must_use]
    pub fn refused(mut self, code: &str, wrong: bool) -> Self {
        self.wrong_answers = self.wrong_answers.saturating_add(u8::from(wrong));
        self.last_refusal = Some(code.to_owned());
        self
    }

    /// The wallet said no: this does.
    #[must_use]
    pub fn declined(self, reason: String, now: UnixTime) -> Declined {
        Declined { asked: self.asked, reason, at: now }
    }
}

impl Answered {
    /// What it was for cannot be any more: this ends it.
    #[must_use]
    pub fn declined(self, reason: String, now: UnixTime) -> Declined {
        Declined { asked: self.asked, reason, at: now }
    }
}

impl Persisted for Presentation {
    const KIND: &'static str = "presentation";
    const SCHEMA: u16 = 1;
}

/// What a wallet proved: every signature, the status, and the query hold. Only the merchant makes one.
///
/// It carries claims and nothing else: no key, salt, digest, signature or status index of the credential survives the
/// verification, so none can be stored or used as an identifier. It cannot be deserialised, since whoever could write
/// the text would have proved something; and not serialised, since its values are kept by [`Ask::keep`] alone.
///
/// ```compile_fail
/// let verified: firsthand::Verified = serde_json::from_str(r#"{"ask":"age","outcome":"over 18","credentials":[]}"#)?;
/// # Ok::<(), serde_json::Error>(())
/// ```
#[derive(Clone, PartialEq)]
pub struct Verified {
    answer: Answer,
    device: Device,
}

/// A credential that this shop issued, as somebody has just shown it: the one kind of credential that says who its holder
/// is, since nobody else ever asks for it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Relationship {
    /// What it calls its customer.
    pub(crate) alias: Alias,
    /// The key it is bound to, as a DID.
    pub(crate) did: String,
}

/// What authorises a payment, as it was received: evidence for whoever executes it (EUDI TS12, 3.6).
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Authorisation {
    /// The presentation, byte for byte.
    pub(crate) presentation: String,
    /// Whom its holder's proof is for.
    pub(crate) audience: String,
    /// The nonce that it carries.
    pub(crate) nonce: String,
    /// The transaction data string that it signs, as it was sent.
    pub(crate) transaction_data: String,
    /// The type of the attestation.
    pub(crate) attestation: String,
    /// Its authentication code.
    pub(crate) jti: String,
    /// When the wallet says that it was made.
    pub(crate) made_at: UnixTime,
}

/// What an answer says to one ask: sealed in the presentation's record until it is redeemed, and in one of the ask's own
/// from then on.
#[derive(Clone, PartialEq, Serialize, Deserialize)]
struct Answer {
    ask: String,
    outcome: Established,
    credentials: Vec<Claims>,
}

/// What an answer says to all that was asked.
#[derive(Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Answers {
    asks: Vec<Answer>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    relationship: Option<Relationship>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    authorisation: Option<Authorisation>,
}

/// The claims of one credential of an answer: those that were asked for, and no others.
#[derive(Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Claims {
    id: String,
    values: Map<String, Value>,
}

impl Answers {
    pub(crate) fn of(asks: Vec<Verified>, relationship: Option<Relationship>) -> Self {
        Self { asks: asks.into_iter().map(|one| one.answer).collect(), relationship, authorisation: None }
    }

    pub(crate) fn with_authorisation(mut self, authorisation: Option<Authorisation>) -> Self {
        self.authorisation = authorisation;
        self
    }

    /// What it says to each ask, in the order in which they were asked.
    pub(crate) fn each(&self, device: Device) -> Vec<Verified> {
        self.asks.iter().map(|answer| Verified { answer: answer.clone(), device }).collect()
    }

    /// The relationship credential that was shown.
    pub(crate) const fn relationship(&self) -> Option<&Relationship> {
        self.relationship.as_ref()
    }

    /// The payment that was authorised.
    pub(crate) const fn authorisation(&self) -> Option<&Authorisation> {
        self.authorisation.as_ref()
    }

    /// The text to seal: see [`Verified::to_seal`].
    pub(crate) fn to_seal(&self) -> Zeroizing<Vec<u8>> {
        Zeroizing::new(serde_json::to_vec(self).unwrap_or_default())
    }

    /// What was sealed, and opened again under the record's own key.
    pub(crate) fn opened(text: &[u8]) -> Result<Self, serde_json::Error> {
        serde_json::from_slice(text)
    }
}

impl Verified {
    pub(crate) const fn of(ask: String, outcome: Established, credentials: Vec<Claims>, device: Device) -> Self {
        Self { answer: Answer { ask, outcome, credentials }, device }
    }

    /// The text to seal. It holds the values in clear: forget it when it is sealed.
    pub(crate) fn to_seal(&self) -> Zeroizing<Vec<u8>> {
        Zeroizing::new(serde_json::to_vec(&self.answer).unwrap_or_default())
    }

    /// What was sealed, and opened again under the record's own key; `device` is what the record itself says.
    pub(crate) fn opened(text: &[u8], device: Device) -> Result<Self, serde_json::Error> {
        Ok(Self { answer: serde_json::from_slice(text)?, device })
    }

    /// The ask that was answered.
    #[must_use]
    pub fn ask(&self) -> &str {
        &self.answer.ask
    }

    /// What it established, such as `over 18`, or the names of the claims shown.
    #[must_use]
    pub const fn outcome(&self) -> &Established {
        &self.answer.outcome
    }

    /// Where the wallet was.
    ///
    /// What came [across devices](Device::CrossDevice) is shown back only masked (the last digits of a number, the
    /// first letter of a name): the code can be carried to somebody else's wallet, and then a stranger sits at the
    /// browser and reads whatever the page repeats.
    #[must_use]
    pub const fn device(&self) -> Device {
        self.device
    }

    /// A claim of the credential that the ask calls `credential`, by its path. See [`device`](Self::device) before it
    /// is shown.
    #[must_use]
    pub fn claim(&self, credential: &str, path: &[&str]) -> Option<&Value> {
        let claims = self.answer.credentials.iter().find(|c| c.id == credential)?;
        let (first, rest) = path.split_first()?;
        rest.iter().try_fold(claims.values.get(*first)?, |value, name| value.get(name))
    }

    /// The claims of one credential, as a type of the merchant's own.
    ///
    /// # Errors
    /// If the claims do not fit the type.
    pub fn claims<T: serde::de::DeserializeOwned>(&self, credential: &str) -> Result<T, serde_json::Error> {
        let found = self.answer.credentials.iter().find(|c| c.id == credential);
        serde_json::from_value(Value::Object(found.map(|c| c.values.clone()).unwrap_or_default()))
    }
}

impl std::fmt::Debug for Verified {
    /// Names only: values are a customer's, and appear in no log.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let names: Vec<(&str, Vec<&String>)> =
            self.answer.credentials.iter().map(|c| (c.id.as_str(), c.values.keys().collect())).collect();
        f.debug_struct("Verified").field("ask", &self.answer.ask).field("claims", &names).finish()
    }
}

impl std::fmt::Debug for Claims {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Claims").field("id", &self.id).field("names", &self.values.keys().collect::<Vec<_>>()).finish()
    }
}

impl Claims {
    /// Takes from an authentic credential the claims that one satisfied query selected, and calls them what the merchant
    /// calls them.
    pub(crate) fn selected(id: &str, one: &Wanted, credential: &Authentic, selected: &[&ClaimQuery]) -> Self {
        let mut values = Map::new();
        for claim in selected {
            let path: Vec<&str> = claim.path.iter().map_while(Value::as_str).collect();
            let (Some(name), Some((value, left))) = (one.name_of(&path), at_path(&credential.claims, &path)) else {
                continue;
            };
            let name = name.get(..name.len().saturating_sub(left)).filter(|name| !name.is_empty()).unwrap_or(name);
            put_at(&mut values, name, value.clone());
        }
        Self { id: id.to_owned(), values }
    }
}

/// What stands at a path, and how much of the path is left. A path through an array leads to the array: parts of a list
/// without their neighbours would say something else.
fn at_path<'a>(from: &'a Value, path: &[&str]) -> Option<(&'a Value, usize)> {
    let Some((first, rest)) = path.split_first() else { return Some((from, 0)) };
    match from {
        Value::Object(members) => at_path(members.get(*first)?, rest),
        Value::Array(_) => Some((from, path.len())),
        _ => None,
    }
}

/// Puts a value under a name, with the objects on the way.
fn put_at(into: &mut Map<String, Value>, name: &[String], value: Value) {
    let Some((first, rest)) = name.split_first() else { return };
    if rest.is_empty() {
        into.insert(first.clone(), value);
        return;
    }
    let next = into.entry(first.clone()).or_insert_with(|| Value::Object(Map::new()));
    match next {
        Value::Object(next) => put_at(next, rest, value),
        // The list that the path goes through stands there whole.
        _ => *next = value,
    }
}

/// The query that these asks make (OpenID4VP 1.0, section 6): one credential query for each format of each wanted credential,
/// of which one is enough (6.2), and, if one of them [recognises](Ask::recognise), one for the credential of the type
/// `relationship` that the shop itself issues. Beside others that one is optional: the same question serves who comes back and
/// who is new, and a wallet without one shows nothing by that. What several asks want of one credential is asked once.
///
/// `meta` says how a format asks for a credential of these types; what it has no answer for is not asked.
#[must_use]
pub fn query_of(asks: &[&Ask], relationship: &str, meta: impl Fn(&Wanted) -> Option<Value>) -> Query {
    let Together { queries, sets } = Together::of(asks, |one| meta(one).is_some());
    let asked = queries.iter().filter_map(|query| Some(combined_query(query, meta(&query.wanted)?)));
    let mut credentials: Vec<CredentialQuery> = asked.collect();
    let set = |options: Vec<Vec<String>>, required| CredentialSet { options, required };
    let mut sets: Vec<CredentialSet> = sets.into_iter().map(|options| set(options, true)).collect();
    let recognises = asks.iter().any(|ask| ask.recognises());
    // Without sets all are required (6.4.2), which is what most asks mean.
    let simple = !recognises && sets.iter().all(|set| set.options.len() == 1);
    if recognises {
        let own = own_credential(relationship);
        let asked = own.queries(|_| true).map(|(id, one)| credential_query(&id, one, own_meta(one), |_| false));
        let asked: Vec<_> = asked.collect();
        // An ask that wants nothing else is answered by this alone.
        let required = asks.iter().any(|ask| ask.asked_for().is_empty());
        sets.push(set(asked.iter().map(|query| vec![query.id.clone()]).collect(), required));
        credentials.extend(asked);
    }
    let simple = simple || credentials.len() == 1;
    Query { credentials, credential_sets: (!simple).then_some(sets) }
}

/// The credential of this type that the shop itself issues, in each format that it issues it in.
fn own_credential(kind: &str) -> AskedFor {
    let own = AnyOf::from(Wanted::sd_jwt_vc(kind));
    // Nothing of an mdoc shows that is not asked for: its name for the customer is.
    #[cfg(feature = "mdoc")]
    let own = own.or(Wanted::mdoc(kind, kind).claim(["sub"]));
    AskedFor::new(RELATIONSHIP, own)
}

/// How our own credential is asked for: whom the shop trusts has no part in it.
fn own_meta(one: &Wanted) -> Value {
    match one.format() {
        SD_JWT_VC => serde_json::json!({ "vct_values": one.types() }),
        _ => serde_json::json!({ "doctype_value": one.types().first() }),
    }
}

fn combined_query(query: &Combined<'_>, meta: Value) -> CredentialQuery {
    // Only a wallet with mdocs can be told, and tells its owner.
    let is_kept = |path: &[String]| {
        let path: Vec<&str> = path.iter().map(String::as_str).collect();
        let keeps = |one: &Serves<'_>| {
            let name = one.wanted.name_of(&path).map(|name| name.join("."));
            one.ask.kept().iter().any(|keep: &Keep| name.as_deref() == Some(&keep.claim))
        };
        query.wanted.format() == MSO_MDOC && query.serves.iter().any(keeps)
    };
    credential_query(&query.id, &query.wanted, meta, is_kept)
}

fn credential_query(id: &str, one: &Wanted, meta: Value, is_kept: impl Fn(&[String]) -> bool) -> CredentialQuery {
    let (all_of, one_of) = one.paths();
    let claim = |path: &Vec<String>| ClaimQuery {
        // Only sets refer to claims by id, and ids that nothing refers to are noise for every wallet.
        id: (!one_of.is_empty()).then(|| claim_id(path)),
        path: path.iter().cloned().map(Value::String).collect(),
        values: None,
        intent_to_retain: is_kept(path).then_some(true),
    };
    // What is asked for anyhow may be one of several for another ask.
    let besides = one_of.iter().filter(|path| !all_of.contains(path));
    let claims: Vec<ClaimQuery> = all_of.iter().chain(besides).map(claim).collect();
    let set = |one: &Vec<String>| {
        let besides = (!all_of.contains(one)).then_some(one);
        all_of.iter().chain(besides).map(|path| claim_id(path)).collect()
    };
    let sets: Vec<Vec<String>> = one_of.iter().map(set).collect();
    CredentialQuery {
        id: id.to_owned(),
        format: one.format().to_owned(),
        multiple: false,
        meta,
        trusted_authorities: None,
        require_cryptographic_holder_binding: true,
        claims: (!claims.is_empty()).then_some(claims),
        claim_sets: (!sets.is_empty()).then_some(sets),
    }
}

/// The id of a claim, for sets to refer to.
fn claim_id(path: &[String]) -> String {
    path.join("_").replace(|c: char| !c.is_ascii_alphanumeric() && c != '_', "-")
}

/// The transaction data of asks: made once, sent and hashed as it is (OpenID4VP 1.0, 8.4).
///
/// # Errors
/// If a transaction names a member that the standard has for itself.
pub(crate) fn transaction_data(
    together: &Together<'_>,
    asks: &[&Ask],
    query: &Query,
) -> Result<Vec<String>, RequestError> {
    let encode = |(ask, transaction): (&Ask, &Transaction)| {
        let Transaction { kind, credential, details } = transaction;
        // 8.4: any one of these authorises it, so whichever alternative a wallet shows is one of them.
        let ids: Vec<&str> = together.answering(ask, credential).collect();
        TransactionData::new(kind, &ids, Some(&["sha-256"]), details.clone(), query).map(String::from)
    };
    asks.iter().flat_map(|ask| ask.transactions().iter().map(move |one| (*ask, one))).map(encode).collect()
}

/// Whether a transaction data string, as we made it, is to be signed with the credential `id`.
pub(crate) fn signs_with(data: &str, id: &str) -> bool {
    let bytes = base64url_decode(data).unwrap_or_default();
    let object: Value = serde_json::from_slice(&bytes).unwrap_or_default();
    object.get("credential_ids").and_then(Value::as_array).is_some_and(|ids| ids.iter().any(|i| i == id))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Nobody is trusted for anything but identification data as SD-JWT VC.
    fn sd_jwt_alone(one: &Wanted) -> Option<Value> {
        (one.format() == "dc+sd-jwt").then(|| serde_json::json!({ "vct_values": one.types() }))
    }

    const NOON: UnixTime = UnixTime::from_secs(1_795_000_000);

    fn requested(device: Device) -> Presentation {
        let ask = Ask::new("age", "Wine is sold to adults").over(18);
        Presentation::Requested(Requested {
            asked: Asked {
                id: PresentationId::from_random([1; 32]),
                asks: vec![AskedOne { name: "age".into(), over: Some(18) }],
                device,
                key: "mine".into(),
                return_to: None,
                client_id: ClientId::x509_hash(b"leaf"),
                query: query_of(&[&ask], "https://shop.example/wallet/relationship", sd_jwt_alone),
                transaction_data: Vec::new(),
                payment: None,
                at: NOON,
            },
        })
    }

    fn delivery() -> Delivery {
        Delivery { nonce: "n".into(), response_mode: ResponseMode::DirectPost, sealed_key: None }
    }

    fn code() -> ResponseCode {
        ResponseCode::from_random([7; 32])
    }

    fn answered(device: Device) -> Presentation {
        let delivered = requested(device).fetched(NOON, || Ok::<_, StepError>(delivery())).unwrap();
        let carried = (device == Device::SameDevice).then(code);
        Presentation::Answered(delivered.answered(carried.as_ref(), "sealed".into(), NOON))
    }

    #[test]
    fn the_browser_that_asked_redeems_once_with_the_code() {
        let (redeemed, _) = answered(Device::SameDevice).redeemed("mine", Some(&code()), NOON.plus_s(10)).unwrap();
        let again = Presentation::Redeemed(redeemed).redeemed("mine", Some(&code()), NOON.plus_s(11));
        assert_eq!(again.unwrap_err(), StepError::AlreadyRedeemed);
    }

    #[test]
    fn nobody_else_redeems() {
        let refused =
            |p: Presentation, key: &str, code: Option<&ResponseCode>, now| p.redeemed(key, code, now).unwrap_err();
        let other = ResponseCode::from_random([8; 32]);
        assert_eq!(refused(answered(Device::SameDevice), "other", Some(&code()), NOON), StepError::OtherBrowser);
        assert_eq!(refused(answered(Device::SameDevice), "mine", None, NOON), StepError::WrongCode);
        assert_eq!(refused(answered(Device::SameDevice), "mine", Some(&other), NOON), StepError::WrongCode);
        assert_eq!(refused(answered(Device::CrossDevice), "mine", Some(&other), NOON), StepError::WrongCode);
        assert_eq!(
            refused(answered(Device::SameDevice), "mine", Some(&code()), NOON.plus_s(REDEEM_WITHIN_S)),
            StepError::Expired
        );
        assert!(answered(Device::CrossDevice).redeemed("mine", None, NOON).is_ok());
    }

    #[test]
    fn a_request_is_told_the_same_twice_and_not_after_its_end() {
        let first = requested(Device::SameDevice).fetched(NOON, || Ok::<_, StepError>(delivery())).unwrap();
        let again =
            Presentation::Delivered(first.clone()).fetched::<StepError>(NOON.plus_s(60), || unreachable!("made once"));
        assert_eq!(again.unwrap(), first);
        let late =
            requested(Device::SameDevice).fetched(NOON.plus_s(ANSWER_WITHIN_S), || Ok::<_, StepError>(delivery()));
        assert_eq!(late.unwrap_err(), StepError::Expired);
        assert_eq!(
            answered(Device::SameDevice).fetched(NOON, || Ok::<_, StepError>(delivery())).unwrap_err(),
            StepError::AlreadyAnswered
        );
        assert_eq!(requested(Device::SameDevice).answering(NOON).unwrap_err(), StepError::NotDelivered);
    }

    #[test]
    fn five_wrong_answers_are_enough() {
        let mut delivered = requested(Device::SameDevice).fetched(NOON, || Ok::<_, StepError>(delivery())).unwrap();
        for _ in 0..WRONG_ANSWERS_MAX {
            delivered = Presentation::Delivered(delivered).answering(NOON).unwrap().refused("wrong", true);
        }
        assert_eq!(Presentation::Delivered(delivered).answering(NOON).unwrap_err(), StepError::Exhausted);
    }

    #[test]
    fn the_wallet_does_not_learn_the_browsers_name() {
        let id = PresentationId::from_random([1; 32]);
        assert_ne!(id.as_str(), id.request().as_str());
        assert_eq!(id.request(), PresentationId::from_random([1; 32]).request());
        assert!("short".parse::<RequestId>().is_err());
    }

    #[test]
    fn an_age_is_asked_in_the_form_that_says_least() {
        let query = serde_json::to_value(query_of(
            &[&Ask::new("age", "Wine").over(18)],
            "https://shop.example/wallet/relationship",
            sd_jwt_alone,
        ))
        .unwrap();
        assert_eq!(
            query,
            serde_json::json!({ "credentials": [{
                "id": "age",
                "format": "dc+sd-jwt",
                "meta": { "vct_values": ["urn:eudi:pid:1"] },
                "claims": [
                    { "id": "age_equal_or_over_18", "path": ["age_equal_or_over", "18"] },
                    { "id": "age_over_18", "path": ["age_over_18"] },
                    { "id": "birthdate", "path": ["birthdate"] },
                ],
                "claim_sets": [["age_equal_or_over_18"], ["age_over_18"], ["birthdate"]],
            }]})
        );
    }

    #[test]
    fn what_comes_in_several_formats_is_asked_for_once() {
        let meta = |one: &Wanted| (one.format() != "ldp_vc").then(|| serde_json::json!({ "types": one.types() }));
        let age = Ask::new("age", "Wine").over(18);
        let query = query_of(&[&age], "https://shop.example/wallet/relationship", meta);
        let ids: Vec<_> = query.credentials.iter().map(|one| (one.id.as_str(), one.format.as_str())).collect();
        assert_eq!(
            ids,
            [
                ("age", "mso_mdoc"),
                ("age-2", "mso_mdoc"),
                ("age-3", "mso_mdoc"),
                ("age-4", "dc+sd-jwt"),
                ("age-5", "mso_mdoc"),
                ("age-6", "jwt_vc_json")
            ]
        );
        let sets = serde_json::to_value(query.credential_sets).unwrap();
        let options = serde_json::json!([["age"], ["age-2"], ["age-3"], ["age-4"], ["age-5"], ["age-6"]]);
        assert_eq!(sets[0]["options"], options);
        assert_eq!(sets.as_array().unwrap().len(), 1);
        let back = query_of(&[&age.recognise()], "https://shop.example/wallet/relationship", meta);
        let sets = serde_json::to_value(back.credential_sets).unwrap();
        let own = match cfg!(feature = "mdoc") {
            true => serde_json::json!([["relationship"], ["relationship-2"]]),
            false => serde_json::json!([["relationship"]]),
        };
        assert_eq!(sets[1], serde_json::json!({ "options": own, "required": false }));
    }

    #[test]
    fn only_what_was_asked_for_is_taken() {
        let claims =
            serde_json::json!({ "address": { "country": "DE", "locality": "Köln" }, "nickname": "A", "list": [1, 2] });
        let authentic = Authentic::assertion(vec![], claims, None, true, None);
        let path = |p: Value| ClaimQuery {
            id: None,
            path: p.as_array().unwrap().clone(),
            values: None,
            intent_to_retain: None,
        };
        let asked = [path(serde_json::json!(["address", "country"])), path(serde_json::json!(["list", 0]))];
        let wanted = Wanted::sd_jwt_vc("t").claim(["address", "country"]).claim(["list"]);
        let taken = Claims::selected("pid", &wanted, &authentic, &asked.iter().collect::<Vec<_>>());
        assert_eq!(Value::Object(taken.values), serde_json::json!({ "address": { "country": "DE" }, "list": [1, 2] }));
    }

    /// A wallet chooses the alternative, and must not thereby choose whether to sign.
    #[test]
    fn a_transaction_is_signed_with_whichever_alternative_a_wallet_shows() {
        let card = Wanted::sd_jwt_vc("urn:a").or(Wanted::sd_jwt_vc("urn:b"));
        let pay = Transaction::new("urn:pay", "card", Map::new());
        let ask = Ask::new("pay", "To pay").credential("card", card).transaction(pay).unwrap();
        let meta = |only: &'static str| {
            move |one: &Wanted| {
                one.types().contains(&only.to_owned()).then(|| serde_json::json!({ "vct_values": one.types() }))
            }
        };
        let all = |one: &Wanted| Some(serde_json::json!({ "vct_values": one.types() }));
        let signing = |query: &Query| {
            let known = |one: &Wanted| {
                query.credentials.iter().any(|it| it.meta["vct_values"] == serde_json::json!(one.types()))
            };
            let data = transaction_data(&Together::of(&[&ask], known), &[&ask], query).unwrap();
            ["card", "card-2"].map(|id| signs_with(&data[0], id))
        };
        assert_eq!(signing(&query_of(&[&ask], "https://shop.example/wallet/relationship", all)), [true, true]);
        // Of what is not asked for, nothing is said.
        assert_eq!(
            signing(&query_of(&[&ask], "https://shop.example/wallet/relationship", meta("urn:b"))),
            [true, false]
        );
    }

    #[test]
    fn a_claim_is_read_by_its_name_whichever_format_it_came_in() {
        let claims =
            serde_json::json!({ "ns": { "resident_city": "Köln", "portrait": "x" }, "degrees": [{ "type": "B" }] });
        let authentic = Authentic::assertion(vec![], claims, None, true, None);
        let path = |path: &[&str]| ClaimQuery {
            id: None,
            path: path.iter().map(|one| Value::from(*one)).collect(),
            values: None,
            intent_to_retain: None,
        };
        let taken = |wanted: Wanted, asked: &ClaimQuery| {
            let taken = Claims::selected("pid", &wanted, &authentic, &[asked]);
            Value::Object(taken.values)
        };
        let mdoc = Wanted::mdoc("doc", "ns").claim_as(["address", "locality"], ["resident_city"]);
        let city = taken(mdoc, &path(&["ns", "resident_city"]));
        assert_eq!(city, serde_json::json!({ "address": { "locality": "Köln" } }));
        let list = taken(Wanted::sd_jwt_vc("t").claim(["degrees", "type"]), &path(&["degrees", "type"]));
        assert_eq!(list, serde_json::json!({ "degrees": [{ "type": "B" }] }));
        assert_eq!(taken(Wanted::mdoc("doc", "ns").claim(["name"]), &path(&["ns", "portrait"])), serde_json::json!({}));
    }
}
