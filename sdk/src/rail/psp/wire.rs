//! The messages of the contract: written as it says, and read as if their sender were a stranger.

use serde::{Deserialize, Serialize};
use serde_json::Value;
use url::Url;

use super::super::{
    ActOutcome, CaptureRequest, DeclineCode, Notice, Outcome, PaymentRequest, RefundOutcome, RefundRequest, Said,
};
use crate::{money::Money, order::OrderId, protocol::json, time::UnixTime};

/// How deep a message of a bridge nests: it is one object of texts and numbers.
const DEPTH_MAX: usize = 4;
/// The longest key or name of an event, in bytes: a refund's key holds the merchant's, and by which way the money came.
const KEY_BYTES_MAX: usize = 256;

/// Whether a payment is collected at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Collect {
    Now,
    Later,
}

/// What a message is about. An answer repeats it, to the last cent.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Subject {
    order: OrderId,
    attempt: u32,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    key: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    number: Option<u32>,
    amount: i64,
    currency: String,
}

impl Subject {
    pub(super) fn of_payment(payment: &PaymentRequest) -> Self {
        Self::new(&payment.order, payment.attempt, payment.amount)
    }

    pub(super) fn of_capture(capture: &CaptureRequest) -> Self {
        let payment = &capture.payment;
        Self { key: Some(capture.key.clone()), ..Self::new(&payment.order, payment.attempt, capture.amount) }
    }

    pub(super) fn of_refund(refund: &RefundRequest) -> Self {
        // Money without an attempt never came by this rail; 0 is none.
        let attempt = refund.attempt.unwrap_or_default();
        let (key, number) = (Some(refund.key.clone()), Some(refund.number));
        Self { key, number, ..Self::new(&refund.order, attempt, refund.amount) }
    }

    fn new(order: &OrderId, attempt: u32, amount: Money) -> Self {
        let currency = amount.currency().code().to_owned();
        Self { order: order.clone(), attempt, key: None, number: None, amount: amount.minor(), currency }
    }

    pub(super) fn order(&self) -> &str {
        self.order.as_str()
    }

    fn money(&self) -> Option<Money> {
        Money::new(self.amount, self.currency.parse().ok()?).ok()
    }
}

/// A payment as it is begun.
#[derive(Serialize)]
pub(super) struct Payment<'a> {
    #[serde(flatten)]
    pub(super) subject: &'a Subject,
    pub(super) reference: &'a str,
    pub(super) return_url: &'a str,
    pub(super) notice_url: &'a str,
    pub(super) collect: Collect,
}

/// What a bridge says.
pub(super) struct Answer {
    pub(super) subject: Subject,
    status: String,
    code: Option<String>,
    redirect: Option<String>,
    until: Option<i64>,
}

impl Answer {
    pub(super) fn read(body: &[u8]) -> Option<Self> {
        Self::of(&read(body)?)
    }

    fn of(message: &Value) -> Option<Self> {
        Some(Self {
            subject: subject(message)?,
            status: text(message, "status")?,
            code: text(message, "code"),
            redirect: text(message, "redirect"),
            until: message.get("until").filter(|until| !until.is_null()).map(|until| until.as_i64().unwrap_or(-1)),
        })
    }

    /// How a payment stands; none if that is not one of the contract's words, or sends the customer elsewhere.
    pub(super) fn outcome(&self, may_redirect: impl Fn(&Url) -> bool) -> Option<Outcome> {
        Some(match self.status.as_str() {
            "redirect" => Outcome::Continue(Url::parse(self.redirect.as_deref()?).ok().filter(may_redirect)?),
            "pending" => Outcome::Pending,
            "authorised" => match self.until {
                Some(until) if until <= 0 => return None,
                until => Outcome::Authorised { until: until.map(UnixTime::from_secs) },
            },
            "paid" => Outcome::Paid,
            "declined" => Outcome::Declined(self.code()),
            _ => return None,
        })
    }

    /// How a capture or a void stands.
    pub(super) fn act(&self) -> Option<ActOutcome> {
        Some(match self.status.as_str() {
            "done" => ActOutcome::Done,
            "under_way" => ActOutcome::UnderWay,
            "declined" => ActOutcome::Declined(self.code()),
            _ => return None,
        })
    }

    /// How a refund stands.
    pub(super) fn refund(&self) -> Option<RefundOutcome> {
        Some(match self.status.as_str() {
            "done" => RefundOutcome::Done,
            "under_way" => RefundOutcome::UnderWay,
            "by_hand" => RefundOutcome::ByHand,
            "declined" => RefundOutcome::Declined(self.code()),
            _ => return None,
        })
    }

    fn code(&self) -> DeclineCode {
        self.code.as_deref().unwrap_or("declined").into()
    }
}

/// What a notice says, whose signature was checked.
pub(super) fn notice(body: &[u8], may_redirect: impl Fn(&Url) -> bool) -> Option<Notice> {
    let message = read(body)?;
    let kind = text(&message, "type")?;
    let (subject, said) = if kind == "taken_back" {
        (subject(&message)?, Said::TakenBack { id: text(&message, "id").filter(|id| id.len() <= KEY_BYTES_MAX)? })
    } else {
        let answer = Answer::of(&message)?;
        let key = || answer.subject.key.clone();
        let said = match kind.as_str() {
            "payment" => Said::Payment(answer.outcome(may_redirect)?),
            "capture" => Said::Capture { key: key()?, outcome: answer.act()? },
            "refund" => Said::Refund { key: key()?, number: answer.subject.number?, outcome: answer.refund()? },
            _ => return None,
        };
        (answer.subject, said)
    };
    Some(Notice { amount: subject.money()?, order: subject.order, attempt: subject.attempt, said })
}

fn read(body: &[u8]) -> Option<Value> {
    json::parse(body, DEPTH_MAX).ok().filter(Value::is_object)
}

fn subject(message: &Value) -> Option<Subject> {
    let subject: Subject = serde_json::from_value(message.clone()).ok()?;
    let fits = subject.key.as_ref().is_none_or(|key| key.len() <= KEY_BYTES_MAX);
    Some(subject).filter(|_| fits)
}

fn text(message: &Value, member: &str) -> Option<String> {
    message.get(member).and_then(Value::as_str).map(str::to_owned)
}
