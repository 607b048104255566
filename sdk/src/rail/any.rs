//! The one boxed adapter: whichever rails a merchant gave, the rest of the library holds these.

use std::{fmt, future::Future, pin::Pin, sync::Arc};

use super::{
    ActOutcome, CannotCollect, CaptureRequest, Means, Notice, NoticeError, NoticeRequest, Outcome, PaymentRequest,
    Rail, RefundOutcome, RefundRequest, TransferRequest,
};
use crate::money::Money;

/// Some [`Rail`]; a clone shares it.
#[derive(Clone)]
pub(crate) struct AnyRail(Arc<dyn DynRail>);

impl AnyRail {
    pub(crate) fn new(rail: impl Rail) -> Self {
        Self(Arc::new(rail))
    }

    /// [`Rail::id`].
    pub(crate) fn id(&self) -> &'static str {
        self.0.id()
    }

    /// [`Rail::means`].
    pub(crate) fn means(&self) -> Means {
        self.0.means()
    }

    /// [`Rail::patience_s`].
    pub(crate) fn patience_s(&self) -> u64 {
        self.0.patience_s()
    }

    /// [`Rail::takes`].
    pub(crate) fn takes(&self, amount: Money) -> Result<(), CannotCollect> {
        self.0.takes(amount)
    }

    /// [`Rail::transfer`].
    pub(crate) fn transfer(&self, payment: &PaymentRequest, outstanding: Money) -> Option<TransferRequest> {
        self.0.transfer(payment, outstanding)
    }

    /// [`Rail::account`].
    pub(crate) fn account(&self) -> Option<&super::Sepa> {
        self.0.account()
    }

    /// [`Rail::pay`].
    pub(crate) async fn pay(&self, payment: &PaymentRequest) -> Outcome {
        self.0.pay(payment).await
    }

    /// [`Rail::inquire`].
    pub(crate) async fn inquire(&self, payment: &PaymentRequest) -> Outcome {
        self.0.inquire(payment).await
    }

    /// [`Rail::capture`].
    pub(crate) async fn capture(&self, capture: &CaptureRequest) -> ActOutcome {
        self.0.capture(capture).await
    }

    /// [`Rail::inquire_capture`].
    pub(crate) async fn inquire_capture(&self, capture: &CaptureRequest) -> ActOutcome {
        self.0.inquire_capture(capture).await
    }

    /// [`Rail::void`].
    pub(crate) async fn void(&self, payment: &PaymentRequest) -> ActOutcome {
        self.0.void(payment).await
    }

    /// [`Rail::refund`].
    pub(crate) async fn refund(&self, refund: &RefundRequest) -> RefundOutcome {
        self.0.refund(refund).await
    }

    /// [`Rail::inquire_refund`].
    pub(crate) async fn inquire_refund(&self, refund: &RefundRequest) -> RefundOutcome {
        self.0.inquire_refund(refund).await
    }

    /// [`Rail::notice`].
    pub(crate) async fn notice(&self, request: &NoticeRequest<'_>) -> Result<Notice, NoticeError> {
        self.0.notice(request).await
    }
}

impl fmt::Debug for AnyRail {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
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
