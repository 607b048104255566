//! A payment provider by redirect and notice: any provider, behind one small contract.
//!
//! We speak one protocol of our own. A *bridge* speaks it on one side and the provider's on the other: the provider's
//! plug-in, or a few hundred lines that the merchant runs beside the provider's library. It keeps no state but the names of
//! things. This page is all that its author needs.
//!
//! # Messages
//!
//! Everything is a POST of JSON (`application/json`, UTF-8, at most 16 KiB) with three headers of Standard Webhooks 1.0.0:
//! `webhook-id`, `webhook-timestamp` (seconds since 1970) and `webhook-signature`: `v1,` and the base64 of HMAC-SHA256
//! under the shared secret (`whsec_..`) over `ID.TIMESTAMP.BODY`. Any of the published libraries makes and checks them.
//!
//! - **Requests** go from the shop to the bridge. The bridge refuses one whose signature is wrong or whose time is more than
//!   five minutes away.
//! - **Answers** have a status from 200 to 299 and the same three headers; `webhook-id` is that of the request. So no answer
//!   serves for two requests. Anything else is no answer: the shop does not know, asks later, and never tells twice.
//! - **Notices** go from the bridge to the shop's notice address, `https://SHOP/wallet/notices/psp`, signed in the same way.
//!   204 says that it is written down; everything else, that it is to be sent again later. They may come late, more than
//!   once, and in any order.
//!
//! Amounts are integers in minor units (`1480` is 14.80 EUR), currencies three capital letters, times seconds since 1970.
//! Whoever reads ignores members that it does not know.
//!
//! # What is asked
//!
//! | POST to | members | `status` of the answer |
//! |---|---|---|
//! | `payments` | `order attempt amount currency reference return_url notice_url collect` | a payment's |
//! | `payments/status` | `order attempt amount currency` | a payment's |
//! | `captures` | `order attempt key amount currency` | `done`, `under_way`, `declined` |
//! | `captures/status` | the same | the same |
//! | `voids` | `order attempt amount currency` | `done`, `under_way`, `declined` |
//! | `refunds` | `order attempt key number amount currency` | `done`, `under_way`, `by_hand`, `declined` |
//! | `refunds/status` | the same | the same |
//!
//! An answer repeats the members that name its subject (`order attempt key number amount currency`, those that the request
//! has of them) with the same values, and adds `status`. `declined` may come with a `code` of `a-z` and `_`.
//!
//! `order`, `attempt`, and `key` and `number` where there are any, are together the idempotency key: what was asked before is
//! answered as it stands, and never done again. `…/status` never does anything; about something that never arrived it
//! answers `declined` with the code `never_arrived`, and refuses it from then on.
//!
//! A payment's `status` is one of
//!
//! - `redirect`: the customer goes on at the address in `redirect`, which is https and of a host that the shop was told;
//! - `pending`: nothing is decided, and the customer has nothing to do;
//! - `authorised`: the amount is promised, until the time in `until` if that is there;
//! - `paid`: the whole amount is collected;
//! - `declined`: it will not happen; of what was authorised: it has ended or was given up, and what is not captured will not
//!   come.
//!
//! `collect` is `now` or `later`: `later` asks for an authorisation, which is captured in parts. All captures of a payment
//! together are at most its amount. `reference` is for the customer's statement. `return_url` is where the customer comes
//! back to: the shop believes nothing of how they come, and asks.
//!
//! # What a notice says
//!
//! `type`, and the members of the answer to the same question: `payment`, `capture`, `refund`. A capture with a `key` of the
//! bridge's own choice is one that was made at the provider's own desk. `taken_back` (`order attempt amount currency id`) is
//! money that the provider took back by itself, after a dispute; `id` names it.
//!
//! ```json
//! {
//!   "type": "capture",
//!   "order": "o_00112233445566778899aabbccddeeff", "attempt": 1, "key": "parcel-1",
//!   "amount": 1480, "currency": "EUR", "status": "done"
//! }
//! ```
//!
//! The whole exchange for an order of 14.80 EUR:
//!
//! ```text
//! POST https://bridge.example/v1/payments
//! webhook-id: msg_5Jr0..   webhook-timestamp: 1795348800   webhook-signature: v1,K5oZfzN95Z9UVu1EsfQmfVNQhnkZ2pj9o9NDN/H/pI4=
//! {"order":"o_0011..","attempt":1,"amount":1480,"currency":"EUR","reference":"RF18..","collect":"later",
//!  "return_url":"https://shop.example/paid?order=o_0011..","notice_url":"https://shop.example/wallet/notices/psp"}
//!
//! 200   webhook-id: msg_5Jr0..   webhook-timestamp: 1795348801   webhook-signature: v1,..
//! {"order":"o_0011..","attempt":1,"amount":1480,"currency":"EUR","status":"redirect",
//!  "redirect":"https://pay.example/p/8812"}
//!
//! POST https://shop.example/wallet/notices/psp      the customer has confirmed
//! {"type":"payment","order":"o_0011..","attempt":1,"amount":1480,"currency":"EUR","status":"authorised","until":1795953600}
//! ```

mod wire;

use std::{fmt, sync::Arc, time::Duration};

use bytes::Bytes;
use serde::Serialize;
use url::Url;

use self::wire::{Answer, Collect, Subject};
use super::{
    ActOutcome, CannotCollect, CaptureRequest, Means, Notice, NoticeError, NoticeRequest, Outcome, PaymentRequest,
    Rail, RefundOutcome, RefundRequest,
};
use crate::{
    env::{Env, SystemEnv},
    fetch::{
        Fetch, FetchError, FetchRequest, Post,
        address::{Policy, check_url, is_loopback},
        any::AnyFetch,
    },
    money::{Currency, Money},
    protocol::{
        jose::base64url_encode,
        webhook::{self, WebhookError, WebhookSecret},
    },
};

/// The name of this rail, unless it is given another one.
pub const ID: &str = "psp";
/// The longest message of a bridge, in bytes.
const MESSAGE_BYTES_MAX: usize = 16 * 1024;
/// How long a bridge may take.
const TIMEOUT: Duration = Duration::from_secs(20);
/// How long a customer has to pay unless the merchant says otherwise, in seconds.
const PATIENCE_S: u64 = 3600;

/// Payment by a provider: see the [module](self) for the contract.
///
/// ```
/// use firsthand::{money::Currency, protocol::webhook::WebhookSecret, rail::Psp};
///
/// # fn config() -> Result<Psp, Box<dyn std::error::Error>> {
/// let secret: WebhookSecret = std::env::var("PSP_SECRET")?.parse()?;
/// let psp = Psp::new(
///     "https://bridge.example/v1/".parse()?,
///     secret,
///     "https://shop.example/paid".parse()?,
///     "https://shop.example/wallet/notices/psp".parse()?,
/// )?;
/// Ok(psp.redirects_to(["pay.example"]).currencies([Currency::EUR]).collect_later())
/// # }
/// ```
#[derive(Clone)]
pub struct Psp {
    id: &'static str,
    means: Means,
    base: Url,
    secrets: Vec<WebhookSecret>,
    return_to: Url,
    notices: Url,
    hosts: Vec<String>,
    currencies: Vec<Currency>,
    collect: Collect,
    patience_s: u64,
    fetch: Option<AnyFetch>,
    env: Arc<dyn Env>,
}

/// Why a provider cannot be used so.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PspError {
    /// An address is not https, or has a user's name, a password or a fragment.
    #[error("the address of the {place} must be plain https: {source}")]
    Address {
        /// Which.
        place: &'static str,
        /// What is wrong with it.
        source: FetchError,
    },
    /// The bridge cannot be reached by the default [`Fetch`].
    #[error(transparent)]
    Fetch(FetchError),
}

impl Psp {
    /// A provider whose bridge is at `base` (its paths are below it), with the secret that both share. A customer comes back
    /// to `return_to`, with the order's name as `order` in the query; the bridge sends its notices to `notices`, which is
    /// `https://SHOP/wallet/notices/psp` where the routes are mounted at `/wallet`.
    ///
    /// All addresses are https; `http` on this machine for development, with a [`Fetch`] that goes there.
    ///
    /// # Errors
    /// [`PspError`].
    pub fn new(base: Url, secret: WebhookSecret, return_to: Url, notices: Url) -> Result<Self, PspError> {
        for (place, url) in [("bridge", &base), ("page to return to", &return_to), ("notices", &notices)] {
            check_url(url, Policy::PublicOrLoopback).map_err(|source| PspError::Address { place, source })?;
        }
        let mut base = base;
        if !base.path().ends_with('/') {
            base.set_path(&format!("{}/", base.path()));
        }
        Ok(Self {
            id: ID,
            means: Means::Other,
            hosts: base.host_str().map(str::to_owned).into_iter().collect(),
            base,
            secrets: vec![secret],
            return_to,
            notices,
            currencies: Vec::new(),
            collect: Collect::Now,
            patience_s: PATIENCE_S,
            fetch: default_fetch()?,
            env: Arc::new(SystemEnv),
        })
    }

    /// The rail's name in records and addresses, for a shop with two providers: `[a-z0-9-]`, at most 16 bytes.
    #[must_use]
    pub const fn named(mut self, id: &'static str) -> Self {
        self.id = id;
        self
    }

    /// By which means customers pay there, for their receipts, where it is one alone; [`Means::Other`] unless said here.
    #[must_use]
    pub const fn by(mut self, means: Means) -> Self {
        self.means = means;
        self
    }

    /// One more secret, while it is changed: we sign under both, and believe both.
    #[must_use]
    pub fn secret(mut self, secret: WebhookSecret) -> Self {
        self.secrets.push(secret);
        self
    }

    /// The hosts that customers may be sent on to, exactly: unless said here, the bridge's own alone.
    #[must_use]
    pub fn redirects_to<'h>(mut self, hosts: impl IntoIterator<Item = &'h str>) -> Self {
        self.hosts = hosts.into_iter().map(str::to_ascii_lowercase).collect();
        self
    }

    /// The currencies that the provider takes; all unless said here.
    #[must_use]
    pub fn currencies(mut self, currencies: impl IntoIterator<Item = Currency>) -> Self {
        self.currencies = currencies.into_iter().collect();
        self
    }

    /// Payments are authorised, and captured when the goods leave. Unless said here, they are collected at once.
    #[must_use]
    pub const fn collect_later(mut self) -> Self {
        self.collect = Collect::Later;
        self
    }

    /// How long a customer has to pay, in seconds: an hour unless said here.
    #[must_use]
    pub const fn patience_s(mut self, patience_s: u64) -> Self {
        self.patience_s = patience_s;
        self
    }

    /// How the bridge is reached.
    #[must_use]
    pub fn fetch(mut self, fetch: impl Fetch) -> Self {
        self.fetch = Some(AnyFetch::new(fetch));
        self
    }

    /// Where the time of messages and their ids come from.
    #[must_use]
    pub fn env(mut self, env: impl Env) -> Self {
        self.env = Arc::new(env);
        self
    }

    /// Asks the bridge, and reads its answer. `None` is: nobody knows.
    async fn ask(&self, path: &str, subject: &Subject, body: &impl Serialize) -> Option<Answer> {
        match self.try_ask(path, subject, body).await {
            Ok(answer) => Some(answer),
            Err(error) => {
                let code = error.code();
                tracing::warn!(
                    rail = self.id,
                    order = subject.order(),
                    path,
                    code,
                    "a payment provider's answer is not followed"
                );
                None
            }
        }
    }

    async fn try_ask(&self, path: &str, subject: &Subject, body: &impl Serialize) -> Result<Answer, Unbelieved> {
        let fetch = self.fetch.as_ref().ok_or(Unbelieved::NoFetch)?;
        let url = self.base.join(path).map_err(|_| Unbelieved::Form)?;
        let body = serde_json::to_vec(body).map_err(|_| Unbelieved::Form)?;
        let mut random = [0; 16];
        self.env.fill(&mut random);
        let (id, at) = (format!("msg_{}", base64url_encode(&random)), self.env.now());
        let headers = vec![
            (webhook::ID, id.clone()),
            (webhook::TIMESTAMP, at.as_secs().to_string()),
            (webhook::SIGNATURE, webhook::sign(&self.secrets, &id, at, &body)),
        ];
        let post = Post { content_type: "application/json", headers, body: Bytes::from(body) };
        let request = FetchRequest {
            timeout: TIMEOUT,
            ..FetchRequest::get(url, "application/json", MESSAGE_BYTES_MAX).post(post)
        };
        let fetched = fetch.fetch(&request).await?;
        let answered = webhook::verify(&self.secrets, &fetched.headers, &fetched.body, self.env.now())?;
        // An answer to something else, however true it was there.
        if answered != id {
            return Err(Unbelieved::OtherQuestion);
        }
        let answer = Answer::read(&fetched.body).ok_or(Unbelieved::Form)?;
        if answer.subject == *subject { Ok(answer) } else { Err(Unbelieved::OtherSubject) }
    }

    fn outcome(&self, answer: &Answer) -> Option<Outcome> {
        answer.outcome(|redirect| self.may_redirect_to(redirect))
    }

    /// Customers are sent on to the provider, and nowhere else.
    fn may_redirect_to(&self, url: &Url) -> bool {
        let named = url.host_str().is_some_and(|host| self.hosts.iter().any(|known| known == host));
        // Only a bridge on this machine may send to this machine.
        let here = is_loopback(&self.base) && is_loopback(url);
        let policy = if here { Policy::PublicOrLoopback } else { Policy::Public };
        named && check_url(url, policy).is_ok()
    }
}

#[cfg(feature = "https")]
fn default_fetch() -> Result<Option<AnyFetch>, PspError> {
    crate::fetch::Https::new().map(|https| Some(AnyFetch::new(https))).map_err(PspError::Fetch)
}

#[cfg(not(feature = "https"))]
#[expect(clippy::unnecessary_wraps, reason = "as with the feature")]
const fn default_fetch() -> Result<Option<AnyFetch>, PspError> {
    Ok(None)
}

impl fmt::Debug for Psp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Psp")
            .field("id", &self.id)
            .field("host", &self.base.host_str().unwrap_or_default())
            .field("hosts", &self.hosts)
            .field("secrets", &self.secrets.len())
            .field("collect", &self.collect)
            .finish_non_exhaustive()
    }
}

/// Why an answer is not followed, for the log.
#[derive(Debug, thiserror::Error)]
enum Unbelieved {
    #[error("nothing reaches the bridge: enable the feature `https`, or add .fetch(..)")]
    NoFetch,
    #[error(transparent)]
    Fetch(#[from] FetchError),
    #[error(transparent)]
    Signature(#[from] WebhookError),
    #[error("it answers something else")]
    OtherQuestion,
    #[error("it speaks of something else")]
    OtherSubject,
    #[error("it cannot be read")]
    Form,
}

impl Unbelieved {
    const fn code(&self) -> &'static str {
        match self {
            Self::NoFetch => "psp_no_fetch",
            Self::Fetch(e) => e.code(),
            Self::Signature(e) => e.code(),
            Self::OtherQuestion => "psp_other_question",
            Self::OtherSubject => "psp_other_subject",
            Self::Form => "psp_unreadable",
        }
    }
}

impl Rail for Psp {
    fn id(&self) -> &'static str {
        self.id
    }

    fn means(&self) -> Means {
        self.means
    }

    fn patience_s(&self) -> u64 {
        self.patience_s
    }

    fn takes(&self, amount: Money) -> Result<(), CannotCollect> {
        let cannot = |reason: &str| CannotCollect { rail: self.id, amount, reason: reason.to_owned() };
        if amount.is_zero() {
            return Err(cannot("nothing to pay"));
        }
        if !self.currencies.is_empty() && !self.currencies.contains(&amount.currency()) {
            return Err(cannot("another currency than the provider takes"));
        }
        Ok(())
    }

    async fn pay(&self, payment: &PaymentRequest) -> Outcome {
        let subject = Subject::of_payment(payment);
        let mut return_url = self.return_to.clone();
        return_url.query_pairs_mut().append_pair("order", payment.order.as_str());
        let body = wire::Payment {
            subject: &subject,
            reference: payment.reference.as_str(),
            return_url: return_url.as_str(),
            notice_url: self.notices.as_str(),
            collect: self.collect,
        };
        let answer = self.ask("payments", &subject, &body).await;
        answer.and_then(|answer| self.outcome(&answer)).unwrap_or(Outcome::Unknown)
    }

    async fn inquire(&self, payment: &PaymentRequest) -> Outcome {
        let subject = Subject::of_payment(payment);
        let answer = self.ask("payments/status", &subject, &subject).await;
        answer.and_then(|answer| self.outcome(&answer)).unwrap_or(Outcome::Unknown)
    }

    async fn capture(&self, capture: &CaptureRequest) -> ActOutcome {
        let subject = Subject::of_capture(capture);
        self.ask("captures", &subject, &subject).await.and_then(|a| a.act()).unwrap_or(ActOutcome::Unknown)
    }

    async fn inquire_capture(&self, capture: &CaptureRequest) -> ActOutcome {
        let subject = Subject::of_capture(capture);
        self.ask("captures/status", &subject, &subject).await.and_then(|a| a.act()).unwrap_or(ActOutcome::Unknown)
    }

    async fn void(&self, payment: &PaymentRequest) -> ActOutcome {
        let subject = Subject::of_payment(payment);
        self.ask("voids", &subject, &subject).await.and_then(|a| a.act()).unwrap_or(ActOutcome::Unknown)
    }

    async fn refund(&self, refund: &RefundRequest) -> RefundOutcome {
        let subject = Subject::of_refund(refund);
        self.ask("refunds", &subject, &subject).await.and_then(|a| a.refund()).unwrap_or(RefundOutcome::Unknown)
    }

    async fn inquire_refund(&self, refund: &RefundRequest) -> RefundOutcome {
        let subject = Subject::of_refund(refund);
        self.ask("refunds/status", &subject, &subject).await.and_then(|a| a.refund()).unwrap_or(RefundOutcome::Unknown)
    }

    async fn notice(&self, request: &NoticeRequest<'_>) -> Result<Notice, NoticeError> {
        webhook::verify(&self.secrets, request.headers, request.body, request.now)
            .map_err(|_| NoticeError::NotAuthentic)?;
        if request.body.len() > MESSAGE_BYTES_MAX {
            return Err(NoticeError::Unreadable);
        }
        wire::notice(request.body, |redirect| self.may_redirect_to(redirect)).ok_or(NoticeError::Unreadable)
    }
}
