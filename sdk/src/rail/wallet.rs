//! Payments that the customer's wallet authorises (EUDI TS12), and somebody with a licence executes.
//!
//! The merchant asks, verifies what the wallet signed, and keeps it as evidence; an [`Executor`], which is a bank's or a
//! payment provider's interface, moves the money. What the wallet signed is a promise: the attempt is *authorised* by it, and
//! paid when the executor or the bank's statement says so.
//!
//! A payment by this rail is begun by [`Merchant::ask_together`](crate::Merchant::ask_together), which also asks for whatever
//! else the sale needs, in one presentation.

use std::{fmt, future::Future, pin::Pin, sync::Arc};

pub use crate::protocol::sca::{Payee, PaymentError};
use crate::{
    ask::Device,
    error::Refusal,
    money::{Currency, Money},
    order::OrderId,
    protocol::sca::{Decimal, PAYMENT, Payment},
    rail::{
        ActOutcome, CannotCollect, Means, Notice, NoticeError, NoticeRequest, Outcome, PaymentRequest, Rail, Reference,
        RefundOutcome, RefundRequest,
    },
    time::UnixTime,
};

/// How long a payment may take from its beginning until the money is here, unless said otherwise, in seconds.
const PATIENCE_S: u64 = 3 * 24 * 3600;

/// What a wallet signed, with all that is needed to see that it did: for whoever executes the payment.
#[derive(Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Evidence {
    /// The order.
    pub order: OrderId,
    /// The attempt. Order and attempt together are the idempotency key.
    pub attempt: u32,
    /// How much.
    pub amount: Money,
    /// What the payment quotes: unique to the order.
    pub reference: Reference,
    /// The presentation as it was received: an SD-JWT VC with its key binding JWT.
    pub presentation: String,
    /// Whom the key binding is for: the client identifier or the origin that asked.
    pub audience: String,
    /// The nonce that the request carried.
    pub nonce: String,
    /// The transaction data as they were sent: the string that the key binding has the hash of.
    pub transaction_data: String,
    /// The type of the attestation.
    pub attestation: String,
    /// The authentication code: the `jti` of the key binding.
    pub jti: String,
    /// When the wallet says that it was signed.
    pub made_at: UnixTime,
    /// When it was verified.
    pub verified_at: UnixTime,
}

impl fmt::Debug for Evidence {
    /// Without what the customer showed.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Evidence")
            .field("order", &self.order)
            .field("attempt", &self.attempt)
            .field("amount", &self.amount)
            .finish_non_exhaustive()
    }
}

/// What an executor knows of a payment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Inquired {
    /// It has it, and this has become of it.
    Known(Outcome),
    /// It never got it: it may be handed over once more.
    NotHere,
}

/// Whoever executes what a wallet authorised: the interface of a bank or a payment provider.
///
/// Every act is idempotent in the order and the attempt. [`Outcome::Authorised`] and [`Outcome::Pending`] mean that it is at
/// it, [`Outcome::Paid`] that the money is here; where the merchant books the statements of the account that is paid, the
/// transfer there counts, and an executor that also said `Paid` would count it twice.
pub trait Executor: fmt::Debug + Send + Sync + 'static {
    /// Hands a payment over. An answer that does not come, or tells nothing, is [`Outcome::Unknown`]: then it is asked about,
    /// and handed over again only if the answer is [`Inquired::NotHere`].
    fn submit(&self, evidence: &Evidence) -> impl Future<Output = Outcome> + Send;

    /// What became of a payment: looks, and never executes.
    fn inquire(&self, order: &OrderId, attempt: u32) -> impl Future<Output = Inquired> + Send;

    /// Reads a message that claims to be the executor's, as [`Rail::notice`] does.
    ///
    /// # Errors
    /// [`NoticeError`]; [`NoticeError::NoNotices`] unless this is implemented.
    fn notice(&self, request: &NoticeRequest<'_>) -> impl Future<Output = Result<Notice, NoticeError>> + Send {
        let _ = request;
        async { Err(NoticeError::NoNotices) }
    }
}

/// The rail: who is paid, and who executes. A clone is the same rail.
///
/// ```
/// use firsthand::{order::OrderId, rail::{Outcome, wallet::{Evidence, Executor, Inquired, Payee, WalletRail}}};
///
/// #[derive(Debug)]
/// struct Bank;
///
/// impl Executor for Bank {
///     async fn submit(&self, evidence: &Evidence) -> Outcome {
///         // POST it, with the order and the attempt as the idempotency key.
/// #       let _ = evidence;
///         Outcome::Pending
///     }
///
///     async fn inquire(&self, order: &OrderId, attempt: u32) -> Inquired {
///         // GET it by that key.
/// #       let _ = (order, attempt);
///         Inquired::NotHere
///     }
/// }
///
/// let payee = Payee::new("Weingut Sonnberg", "DE89370400440532013000")?;
/// let rail = WalletRail::new(payee, Bank).instant();
/// # Ok::<(), firsthand::rail::wallet::PaymentError>(())
/// ```
#[derive(Clone)]
pub struct WalletRail {
    payee: Payee,
    kind: String,
    currencies: Vec<Currency>,
    patience_s: u64,
    instant: bool,
    across_devices: bool,
    executor: Arc<dyn DynExecutor>,
}

impl WalletRail {
    /// The name of the rail.
    pub const ID: &str = "wallet";

    /// Payments in euros to this payee, executed by this one.
    #[must_use]
    pub fn new(payee: Payee, executor: impl Executor) -> Self {
        Self {
            payee,
            kind: PAYMENT.to_owned(),
            currencies: vec![Currency::EUR],
            patience_s: PATIENCE_S,
            instant: false,
            across_devices: false,
            executor: Arc::new(executor),
        }
    }

    /// Under the type that a scheme has for them, where the metadata of its attestations do not call them
    /// `urn:eudi:sca:payment:1`.
    #[must_use]
    pub fn transaction_type(mut self, kind: impl Into<String>) -> Self {
        self.kind = kind.into();
        self
    }

    /// In these currencies instead.
    #[must_use]
    pub fn currencies(mut self, currencies: impl IntoIterator<Item = Currency>) -> Self {
        self.currencies = currencies.into_iter().collect();
        self
    }

    /// How long a payment may take from its beginning until the money is here, in seconds; three days unless said here.
    #[must_use]
    pub const fn patience_s(mut self, patience_s: u64) -> Self {
        self.patience_s = patience_s;
        self
    }

    /// As SEPA instant credit transfers.
    #[must_use]
    pub const fn instant(mut self) -> Self {
        self.instant = true;
        self
    }

    /// By a code that a wallet on another device scans, too. Nobody can tell whom such a code was shown to: who pays may not be
    /// who gets what is bought (Cross-Device Flows: Security Best Current Practice, section 6.1). Wallets on this device, and
    /// those beside it that the browser itself finds and makes sure of, need none.
    #[must_use]
    pub const fn across_devices(mut self) -> Self {
        self.across_devices = true;
        self
    }

    /// Refuses a device that payments do not come from.
    pub(crate) fn takes_from(&self, device: Device) -> Result<(), Refusal> {
        if device == Device::CrossDevice && !self.across_devices {
            return Err(Refusal::PaymentAcrossDevices);
        }
        Ok(())
    }

    /// The type of its transaction data.
    pub(crate) fn kind(&self) -> &str {
        &self.kind
    }

    /// What a wallet is to sign for this amount, under this random name.
    pub(crate) fn payment(
        &self,
        transaction_id: String,
        amount: Money,
        begun_at: UnixTime,
    ) -> Result<Payment, PaymentError> {
        let (minor, currency) = (u64::try_from(amount.minor()).unwrap_or_default(), amount.currency());
        let decimal = Decimal::new(minor, currency.exponent())?;
        let payment = Payment::new(transaction_id, self.payee.clone(), currency.code(), decimal)?.begun_at(begun_at);
        Ok(if self.instant { payment.instant() } else { payment })
    }

    /// Hands over.
    pub(crate) async fn submit(&self, evidence: &Evidence) -> Outcome {
        self.executor.submit(evidence).await
    }

    /// Looks.
    pub(crate) async fn look(&self, order: &OrderId, attempt: u32) -> Inquired {
        self.executor.inquire(order, attempt).await
    }
}

impl fmt::Debug for WalletRail {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WalletRail")
            .field("payee", &self.payee)
            .field("executor", &self.executor)
            .finish_non_exhaustive()
    }
}

impl Rail for WalletRail {
    fn id(&self) -> &'static str {
        Self::ID
    }

    /// What is authorised is a payment to an account.
    fn means(&self) -> Means {
        Means::CreditTransfer
    }

    fn patience_s(&self) -> u64 {
        self.patience_s
    }

    fn takes(&self, amount: Money) -> Result<(), CannotCollect> {
        let cannot = |reason: &str| Err(CannotCollect { rail: Self::ID, amount, reason: reason.to_owned() });
        if amount.is_zero() {
            return cannot("there is nothing to pay");
        }
        if !self.currencies.contains(&amount.currency()) {
            return cannot("it is not paid in this currency");
        }
        Ok(())
    }

    /// Whoever executes the payment says when the money is there: nobody collects it.
    fn collects(&self) -> bool {
        false
    }

    /// Nothing is decided until the customer's wallet has answered.
    async fn pay(&self, _: &PaymentRequest) -> Outcome {
        Outcome::Pending
    }

    /// A wallet alone authorises: whoever executes says what became of that, and nothing that they say in between makes more
    /// of an attempt than a wallet has signed.
    async fn inquire(&self, payment: &PaymentRequest) -> Outcome {
        match self.look(&payment.order, payment.attempt).await {
            Inquired::Known(decided @ (Outcome::Paid | Outcome::Declined(_))) => decided,
            Inquired::Known(_) | Inquired::NotHere => Outcome::Pending,
        }
    }

    /// What nobody got is given up by that: it is handed over for no order that is over. What somebody has they execute or
    /// decline, and money that comes all the same is owed back.
    async fn void(&self, payment: &PaymentRequest) -> ActOutcome {
        match self.look(&payment.order, payment.attempt).await {
            Inquired::NotHere | Inquired::Known(Outcome::Declined(_)) => ActOutcome::Done,
            Inquired::Known(Outcome::Paid) => ActOutcome::Declined("executed".into()),
            Inquired::Known(_) => ActOutcome::UnderWay,
        }
    }

    async fn refund(&self, _: &RefundRequest) -> RefundOutcome {
        RefundOutcome::ByHand
    }

    async fn inquire_refund(&self, _: &RefundRequest) -> RefundOutcome {
        RefundOutcome::ByHand
    }

    async fn notice(&self, request: &NoticeRequest<'_>) -> Result<Notice, NoticeError> {
        self.executor.notice(request).await
    }
}

type Answer<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// [`Executor`] with boxed futures, so that it can be an object.
trait DynExecutor: fmt::Debug + Send + Sync {
    fn submit<'a>(&'a self, evidence: &'a Evidence) -> Answer<'a, Outcome>;
    fn inquire<'a>(&'a self, order: &'a OrderId, attempt: u32) -> Answer<'a, Inquired>;
    fn notice<'a>(&'a self, request: &'a NoticeRequest<'a>) -> Answer<'a, Result<Notice, NoticeError>>;
}

impl<E: Executor> DynExecutor for E {
    fn submit<'a>(&'a self, evidence: &'a Evidence) -> Answer<'a, Outcome> {
        Box::pin(Executor::submit(self, evidence))
    }

    fn inquire<'a>(&'a self, order: &'a OrderId, attempt: u32) -> Answer<'a, Inquired> {
        Box::pin(Executor::inquire(self, order, attempt))
    }

    fn notice<'a>(&'a self, request: &'a NoticeRequest<'a>) -> Answer<'a, Result<Notice, NoticeError>> {
        Box::pin(Executor::notice(self, request))
    }
}
