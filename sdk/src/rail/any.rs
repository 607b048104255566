//! The one boxed adapter: whichever rails a merchant gave, the rest of the library holds these.

use std::{fmt, future::Future, pin::Pin, sync::Arc, time::Duration};

use tracing::Instrument;

use super::{
    ActOutcome, CannotCollect, CaptureRequest, Means, Notice, NoticeError, NoticeRequest, Outcome, PaymentRequest,
    Rail, RefundOutcome, RefundRequest, TransferRequest,
    wallet::{Evidence, Inquired, WalletRail},
};
use crate::{
    metrics::{Calls, Dropped, Label, labels},
    money::Money,
    order::{OrderId, RAIL_ANSWER_S},
};

/// Some [`Rail`]; a clone shares it. Every call that waits is counted here, and has an end: a rail that says nothing within
/// [`RAIL_ANSWER_S`] has said that it does not know.
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
        Self(Arc::new(Counted { rail: Box::new(rail), calls: Calls::default() }))
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
        self.counted(RailCall::Pay, self.0.rail.pay(payment)).await
    }

    /// [`Rail::inquire`].
    pub(crate) async fn inquire(&self, payment: &PaymentRequest) -> Outcome {
        self.counted(RailCall::Inquire, self.0.rail.inquire(payment)).await
    }

    /// [`Rail::capture`].
    pub(crate) async fn capture(&self, capture: &CaptureRequest) -> ActOutcome {
        self.counted(RailCall::Capture, self.0.rail.capture(capture)).await
    }

    /// [`Rail::inquire_capture`].
    pub(crate) async fn inquire_capture(&self, capture: &CaptureRequest) -> ActOutcome {
        self.counted(RailCall::InquireCapture, self.0.rail.inquire_capture(capture)).await
    }

    /// [`Rail::void`].
    pub(crate) async fn void(&self, payment: &PaymentRequest) -> ActOutcome {
        self.counted(RailCall::Void, self.0.rail.void(payment)).await
    }

    /// [`Rail::refund`].
    pub(crate) async fn refund(&self, refund: &RefundRequest) -> RefundOutcome {
        self.counted(RailCall::Refund, self.0.rail.refund(refund)).await
    }

    /// [`Rail::inquire_refund`].
    pub(crate) async fn inquire_refund(&self, refund: &RefundRequest) -> RefundOutcome {
        self.counted(RailCall::InquireRefund, self.0.rail.inquire_refund(refund)).await
    }

    /// [`Rail::notice`].
    pub(crate) async fn notice(&self, request: &NoticeRequest<'_>) -> Result<Notice, NoticeError> {
        self.counted(RailCall::Notice, self.0.rail.notice(request)).await
    }

    /// [`Executor::submit`](super::wallet::Executor::submit), if this is the rail of wallets.
    pub(crate) async fn submit(&self, wallet: &WalletRail, evidence: &Evidence) -> Outcome {
        self.counted(RailCall::Submit, Box::pin(wallet.submit(evidence))).await
    }

    /// [`Executor::inquire`](super::wallet::Executor::inquire), if this is the rail of wallets.
    pub(crate) async fn look(&self, wallet: &WalletRail, order: &OrderId, attempt: u32) -> Inquired {
        self.counted(RailCall::Look, Box::pin(wallet.look(order, attempt))).await
    }

    async fn counted<T: Told>(&self, which: RailCall, answer: Answer<'_, T>) -> T {
        let call = self.0.calls.begins(which);
        let span = tracing::debug_span!("rail", rail = self.id(), call = which.name());
        let within = Duration::from_secs(RAIL_ANSWER_S);
        match tokio::time::timeout(within, answer.instrument(span)).await {
            Ok(told) => {
                call.ended(told.outcome());
                told
            }
            Err(_) => {
                call.ended(RailOutcome::Unanswered);
                let (rail, call) = (self.id(), which.name());
                tracing::warn!(rail, call, within_s = RAIL_ANSWER_S, "a rail does not answer in time");
                T::UNANSWERED
            }
        }
    }
}

impl fmt::Debug for AnyRail {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.rail.fmt(f)
    }
}

labels! {
    /// What a rail is asked.
    pub(crate) enum RailCall {
        Pay => "pay",
        Inquire => "inquire",
        Capture => "capture",
        InquireCapture => "inquire_capture",
        Void => "void",
        Refund => "refund",
        InquireRefund => "inquire_refund",
        Notice => "notice",
        Submit => "submit",
        Look => "look",
    }
}

labels! {
    /// How it went. What a rail says of why it declined is its own, and stands with the order.
    pub(crate) enum RailOutcome {
        Done => "done",
        Authorised => "authorised",
        Pending => "pending",
        ByHand => "by_hand",
        Declined => "declined",
        /// Nobody knows: it is asked again.
        Unknown => "unknown",
        /// An executor never got it.
        NotHere => "not_here",
        /// A notice that is not followed.
        Refused => "refused",
        /// The rail said nothing in time, which is as good as not knowing.
        Unanswered => "unanswered",
        Dropped => "dropped",
    }
}

/// What a rail says.
trait Told {
    /// What it has said if it says nothing.
    const UNANSWERED: Self;

    /// How that counts.
    fn outcome(&self) -> RailOutcome;
}

impl Told for Outcome {
    const UNANSWERED: Self = Self::Unknown;

    fn outcome(&self) -> RailOutcome {
        match self {
            Self::Authorised { .. } => RailOutcome::Authorised,
            Self::Paid => RailOutcome::Done,
            Self::Pending | Self::Continue(_) => RailOutcome::Pending,
            Self::Declined(_) => RailOutcome::Declined,
            Self::Unknown => RailOutcome::Unknown,
        }
    }
}

impl Told for ActOutcome {
    const UNANSWERED: Self = Self::Unknown;

    fn outcome(&self) -> RailOutcome {
        match self {
            Self::Done => RailOutcome::Done,
            Self::UnderWay => RailOutcome::Pending,
            Self::Declined(_) => RailOutcome::Declined,
            Self::Unknown => RailOutcome::Unknown,
        }
    }
}

impl Told for RefundOutcome {
    const UNANSWERED: Self = Self::Unknown;

    fn outcome(&self) -> RailOutcome {
        match self {
            Self::Done => RailOutcome::Done,
            Self::UnderWay => RailOutcome::Pending,
            Self::ByHand => RailOutcome::ByHand,
            Self::Declined(_) => RailOutcome::Declined,
            Self::Unknown => RailOutcome::Unknown,
        }
    }
}

impl Told for Result<Notice, NoticeError> {
    const UNANSWERED: Self = Err(NoticeError::Unanswered);

    fn outcome(&self) -> RailOutcome {
        if self.is_ok() { RailOutcome::Done } else { RailOutcome::Refused }
    }
}

impl Told for Inquired {
    const UNANSWERED: Self = Self::Known(Outcome::UNANSWERED);

    fn outcome(&self) -> RailOutcome {
        match self {
            Self::Known(outcome) => outcome.outcome(),
            Self::NotHere => RailOutcome::NotHere,
        }
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
