//! The one boxed adapter: whichever rails a merchant gave, the rest of the library holds these.

use std::{fmt, future::Future, pin::Pin, sync::Arc};

use tracing::Instrument;

use super::{
    ActOutcome, CannotCollect, CaptureRequest, Means, Notice, NoticeError, NoticeRequest, Outcome, PaymentRequest,
    Rail, RefundOutcome, RefundRequest, TransferRequest,
};
use crate::{
    metrics::{Calls, Dropped, Label},
    money::Money,
};

/// Some [`Rail`]; a clone shares it. Every call that waits is counted here.
#[derive(Clone)]
pub(crate) struct AnyRail(Arc<Counted>);

struct Counted {
    rail: Box<dyn DynRail>,
    calls: RailCalls,
}

/// What a rail was asked, and how it went.
pub(crate) type RailCalls = Calls<RailCall, RailOutcome>;

impl AnyRail {
    pub(crate) fn new(rail: impl Rail) -> Self {
        Self(Arc::new(Counted { rail: Box::new(rail), calls: Calls::new() }))
    }

    pub(crate) fn calls(&self) -> &RailCalls {
        &self.0.calls
    }

    /// [`Rail::id`].
    pub(crate) fn id(&self) -> &'static str {
        self.0.rail.id()
    }

    /// [`Rail::means`].
    pub(crate) fn means(&self) -> Means {
        self.0.rail.means()
    }

    /// [`Rail::patience_s`].
    pub(crate) fn patience_s(&self) -> u64 {
        self.0.rail.patience_s()
    }

    /// [`Rail::takes`].
    pub(crate) fn takes(&self, amount: Money) -> Result<(), CannotCollect> {
        self.0.rail.takes(amount)
    }

    /// [`Rail::transfer`].
    pub(crate) fn transfer(&self, payment: &PaymentRequest, outstanding: Money) -> Option<TransferRequest> {
        self.0.rail.transfer(payment, outstanding)
    }

    /// [`Rail::account`].
    pub(crate) fn account(&self) -> Option<&super::Sepa> {
        self.0.rail.account()
    }

    /// [`Rail::collects`].
    pub(crate) fn collects(&self) -> bool {
        self.0.rail.collects()
    }

    /// [`Rail::pay`].
    pub(crate) async fn pay(&self, payment: &PaymentRequest) -> Outcome {
        self.counted(RailCall::Pay, self.0.rail.pay(payment), RailOutcome::of).await
    }

    /// [`Rail::inquire`].
    pub(crate) async fn inquire(&self, payment: &PaymentRequest) -> Outcome {
        self.counted(RailCall::Inquire, self.0.rail.inquire(payment), RailOutcome::of).await
    }

    /// [`Rail::capture`].
    pub(crate) async fn capture(&self, capture: &CaptureRequest) -> ActOutcome {
        self.counted(RailCall::Capture, self.0.rail.capture(capture), RailOutcome::of_act).await
    }

    /// [`Rail::inquire_capture`].
    pub(crate) async fn inquire_capture(&self, capture: &CaptureRequest) -> ActOutcome {
        self.counted(RailCall::InquireCapture, self.0.rail.inquire_capture(capture), RailOutcome::of_act).await
    }

    /// [`Rail::void`].
    pub(crate) async fn void(&self, payment: &PaymentRequest) -> ActOutcome {
        self.counted(RailCall::Void, self.0.rail.void(payment), RailOutcome::of_act).await
    }

    /// [`Rail::refund`].
    pub(crate) async fn refund(&self, refund: &RefundRequest) -> RefundOutcome {
        self.counted(RailCall::Refund, self.0.rail.refund(refund), RailOutcome::of_refund).await
    }

    /// [`Rail::inquire_refund`].
    pub(crate) async fn inquire_refund(&self, refund: &RefundRequest) -> RefundOutcome {
        self.counted(RailCall::InquireRefund, self.0.rail.inquire_refund(refund), RailOutcome::of_refund).await
    }

    /// [`Rail::notice`].
    pub(crate) async fn notice(&self, request: &NoticeRequest<'_>) -> Result<Notice, NoticeError> {
        self.counted(RailCall::Notice, self.0.rail.notice(request), RailOutcome::of_notice).await
    }

    async fn counted<T>(&self, which: RailCall, answer: Answer<'_, T>, outcome: fn(&T) -> RailOutcome) -> T {
        let call = self.0.calls.begins(which);
        let span = tracing::debug_span!("rail", rail = self.id(), call = which.name());
        let said = answer.instrument(span).await;
        call.ended(outcome(&said));
        said
    }
}

impl fmt::Debug for AnyRail {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.rail.fmt(f)
    }
}

/// What a rail is asked.
#[derive(Clone, Copy, Debug)]
pub(crate) enum RailCall {
    Pay,
    Inquire,
    Capture,
    InquireCapture,
    Void,
    Refund,
    InquireRefund,
    Notice,
}

impl Label for RailCall {
    const NAMES: &'static [&'static str] =
        &["pay", "inquire", "capture", "inquire_capture", "void", "refund", "inquire_refund", "notice"];

    fn place(self) -> usize {
        self as usize
    }
}

/// How it went. What a rail says of why it declined is its own, and stands with the order.
#[derive(Clone, Copy, Debug)]
pub(crate) enum RailOutcome {
    Done,
    Authorised,
    Pending,
    ByHand,
    Declined,
    /// Nobody knows: it is asked again.
    Unknown,
    /// A notice that is not followed.
    Refused,
    Dropped,
}

impl RailOutcome {
    const fn of(outcome: &Outcome) -> Self {
        match outcome {
            Outcome::Authorised { .. } => Self::Authorised,
            Outcome::Paid => Self::Done,
            Outcome::Pending | Outcome::Continue(_) => Self::Pending,
            Outcome::Declined(_) => Self::Declined,
            Outcome::Unknown => Self::Unknown,
        }
    }

    const fn of_act(outcome: &ActOutcome) -> Self {
        match outcome {
            ActOutcome::Done => Self::Done,
            ActOutcome::UnderWay => Self::Pending,
            ActOutcome::Declined(_) => Self::Declined,
            ActOutcome::Unknown => Self::Unknown,
        }
    }

    const fn of_refund(outcome: &RefundOutcome) -> Self {
        match outcome {
            RefundOutcome::Done => Self::Done,
            RefundOutcome::UnderWay => Self::Pending,
            RefundOutcome::ByHand => Self::ByHand,
            RefundOutcome::Declined(_) => Self::Declined,
            RefundOutcome::Unknown => Self::Unknown,
        }
    }

    const fn of_notice(outcome: &Result<Notice, NoticeError>) -> Self {
        if outcome.is_ok() { Self::Done } else { Self::Refused }
    }
}

impl Label for RailOutcome {
    const NAMES: &'static [&'static str] =
        &["done", "authorised", "pending", "by_hand", "declined", "unknown", "refused", "dropped"];

    fn place(self) -> usize {
        self as usize
    }
}

impl Dropped for RailOutcome {
    const DROPPED: Self = Self::Dropped;
}

type Answer<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// [`Rail`] with boxed futures, so that it can be an object.
trait DynRail: fmt::Debug + Send + Sync {
    fn id(&self) -> &'static str;
    fn means(&self) -> Means;
    fn patience_s(&self) -> u64;
    fn takes(&self, amount: Money) -> Result<(), CannotCollect>;
    fn transfer(&self, payment: &PaymentRequest, outstanding: Money) -> Option<TransferRequest>;
    fn account(&self) -> Option<&super::Sepa>;
    fn collects(&self) -> bool;
    fn pay<'a>(&'a self, payment: &'a PaymentRequest) -> Answer<'a, Outcome>;
    fn inquire<'a>(&'a self, payment: &'a PaymentRequest) -> Answer<'a, Outcome>;
    fn capture<'a>(&'a self, capture: &'a CaptureRequest) -> Answer<'a, ActOutcome>;
    fn inquire_capture<'a>(&'a self, capture: &'a CaptureRequest) -> Answer<'a, ActOutcome>;
    fn void<'a>(&'a self, payment: &'a PaymentRequest) -> Answer<'a, ActOutcome>;
    fn refund<'a>(&'a self, refund: &'a RefundRequest) -> Answer<'a, RefundOutcome>;
    fn inquire_refund<'a>(&'a self, refund: &'a RefundRequest) -> Answer<'a, RefundOutcome>;
    fn notice<'a>(&'a self, request: &'a NoticeRequest<'a>) -> Answer<'a, Result<Notice, NoticeError>>;
}

impl<R: Rail> DynRail for R {
    fn id(&self) -> &'static str {
        Rail::id(self)
    }

    fn means(&self) -> Means {
        Rail::means(self)
    }

    fn patience_s(&self) -> u64 {
        Rail::patience_s(self)
    }

    fn takes(&self, amount: Money) -> Result<(), CannotCollect> {
        Rail::takes(self, amount)
    }

    fn transfer(&self, payment: &PaymentRequest, outstanding: Money) -> Option<TransferRequest> {
        Rail::transfer(self, payment, outstanding)
    }

    fn account(&self) -> Option<&super::Sepa> {
        Rail::account(self)
    }

    fn collects(&self) -> bool {
        Rail::collects(self)
    }

    fn pay<'a>(&'a self, payment: &'a PaymentRequest) -> Answer<'a, Outcome> {
        Box::pin(Rail::pay(self, payment))
    }

    fn inquire<'a>(&'a self, payment: &'a PaymentRequest) -> Answer<'a, Outcome> {
        Box::pin(Rail::inquire(self, payment))
    }

    fn capture<'a>(&'a self, capture: &'a CaptureRequest) -> Answer<'a, ActOutcome> {
        Box::pin(Rail::capture(self, capture))
    }

    fn inquire_capture<'a>(&'a self, capture: &'a CaptureRequest) -> Answer<'a, ActOutcome> {
        Box::pin(Rail::inquire_capture(self, capture))
    }

    fn void<'a>(&'a self, payment: &'a PaymentRequest) -> Answer<'a, ActOutcome> {
        Box::pin(Rail::void(self, payment))
    }

    fn refund<'a>(&'a self, refund: &'a RefundRequest) -> Answer<'a, RefundOutcome> {
        Box::pin(Rail::refund(self, refund))
    }

    fn inquire_refund<'a>(&'a self, refund: &'a RefundRequest) -> Answer<'a, RefundOutcome> {
        Box::pin(Rail::inquire_refund(self, refund))
    }

    fn notice<'a>(&'a self, request: &'a NoticeRequest<'a>) -> Answer<'a, Result<Notice, NoticeError>> {
        Box::pin(Rail::notice(self, request))
    }
}
