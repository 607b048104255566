//! Everything that can go wrong, first by whose fault it is.

mod issue;

use std::sync::Arc;

pub use issue::IssueError;

#[cfg(feature = "passkey")]
use crate::protocol::webauthn::WebauthnError;
use crate::{
    ask::AskError,
    checkout::CheckoutError,
    customer::Rung,
    fetch::FetchError,
    format::FormatError,
    keys::KeysError,
    meeting::MeetingError,
    money::MoneyError,
    order::{DraftError, OrderError, OrderId},
    presentation::StepError,
    protocol::{
        dbsc::DbscError, dcql::DcqlError, did::proof::DidProofError, dpop::DpopError, openid4vp::ResponseError,
        sca::ScaError, status_list::StatusError, type_metadata::TypeMetadataError,
    },
    rail::{CannotCollect, NoticeError, sepa::StatementError},
    receipt::ReceiptError,
    resolve::ResolveError,
    store::{BoxError, StoreError},
    time::UnixTime,
    trade::{OpeningError, ShelfError, TradeError},
    trust::TrustError,
};

/// Why something was not done.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The wallet's answer failed a check.
    #[error("the wallet's answer is refused: {0}")]
    Answer(#[from] AnswerError),
    /// The browser's proof failed a check.
    #[error("the proof of possession is refused: {0}")]
    Proof(#[from] ProofError),
    /// A JWT by which somebody shows that a DID is theirs failed a check.
    #[error("the proof of the DID is refused: {0}")]
    DidProof(#[from] DidProofError),
    /// A presentation does not stand where this step begins.
    #[error(transparent)]
    Step(#[from] StepError),
    /// A draft is no order.
    #[error(transparent)]
    Draft(#[from] DraftError),
    /// An order does not stand where this step begins.
    #[error(transparent)]
    Order(#[from] OrderError),
    /// A checkout does not stand where this step begins.
    #[error(transparent)]
    Checkout(#[from] CheckoutError),
    /// There is no receipt, or none that may be issued.
    #[error(transparent)]
    Receipt(#[from] ReceiptError),
    /// A meeting does not stand where this step begins.
    #[error(transparent)]
    Meeting(#[from] MeetingError),
    /// A message that claims to be a rail's is not believed.
    #[error(transparent)]
    Notice(#[from] NoticeError),
    /// A file is no statement of the merchant's account.
    #[error("the statement is refused: {0}")]
    Statement(#[from] StatementError),
    /// A wallet does not get what it asked for.
    #[error(transparent)]
    Issue(#[from] IssueError),
    /// What an authenticator made failed a check.
    #[cfg(feature = "passkey")]
    #[error("the passkey is refused: {0}")]
    Passkey(#[from] WebauthnError),
    /// What was asked for is not to be had by this customer, or not now.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// A part that the merchant runs did not answer.
    #[error("{seam} did not answer")]
    Unavailable {
        /// Which part.
        seam: &'static str,
        /// What it said.
        #[source]
        source: BoxError,
    },
    /// The program uses the library in a way that cannot work. Never caused by what a stranger sends.
    #[error("the program is not set up right: {0}")]
    Misuse(String),
}

/// Who has to do something about an error.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Fault {
    /// The wallet, or who made its answer.
    Wallet,
    /// The issuer of a credential.
    Issuer,
    /// The browser, or who sent its request.
    Browser,
    /// A payment rail, or who claims to be one.
    Rail,
    /// Nobody: the customer may try again.
    Customer,
    /// The merchant's configuration.
    Merchant,
    /// The merchant's machines, or the network.
    Operations,
}

/// Which check of a wallet's answer failed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum AnswerError {
    /// The envelope is wrong.
    #[error(transparent)]
    Response(#[from] ResponseError),
    /// A presentation is not what its format demands.
    #[error("credential {credential}: {source}")]
    Format {
        /// The query's id for it.
        credential: String,
        /// The check that failed.
        source: FormatError,
    },
    /// The issuer is not believed.
    #[error("credential {credential}: {source}")]
    Trust {
        /// The query's id for it.
        credential: String,
        /// Why not.
        source: TrustError,
    },
    /// The issuer's keys could not be fetched.
    #[error("credential {credential}: its issuer's keys cannot be fetched: {source}")]
    IssuerKeys {
        /// The query's id for it.
        credential: String,
        /// Why not; whoever waited for the same document was told the same.
        source: Arc<FetchError>,
    },
    /// The DID of the issuer leads to no key.
    #[error("credential {credential}: its issuer's DID: {source}")]
    IssuerDid {
        /// The query's id for it.
        credential: String,
        /// Why not; whoever waited for the same document was told the same.
        source: Arc<ResolveError>,
    },
    /// The credential is not what its type demands.
    #[error("credential {credential}: {source}")]
    Type {
        /// The query's id for it.
        credential: String,
        /// The rule that it breaks, or what is wrong with the rules.
        source: TypeMetadataError,
    },
    /// What the credential's type demands cannot be fetched.
    #[error("credential {credential}: the rules of its type cannot be fetched: {source}")]
    TypeUnavailable {
        /// The query's id for it.
        credential: String,
        /// Why not; whoever waited for the same document was told the same.
        source: Arc<FetchError>,
    },
    /// The credential was revoked, or is suspended.
    #[error("credential {credential} is {status}")]
    Revoked {
        /// The query's id for it.
        credential: String,
        /// `revoked`, `suspended`, or the number of an unknown status.
        status: String,
    },
    /// Nobody can say whether the credential was revoked.
    #[error("credential {credential}: its status cannot be learned: {source}")]
    StatusUnknown {
        /// The query's id for it.
        credential: String,
        /// Why not; whoever waited for the same list was told the same.
        source: Arc<StatusUnknown>,
    },
    /// What came back does not answer the query.
    #[error(transparent)]
    Query(#[from] DcqlError),
    /// The presentation authorises no payment.
    #[error("credential {credential}: {source}")]
    Authorisation {
        /// The query's id for it.
        credential: String,
        /// The rule that it breaks.
        source: ScaError,
    },
    /// What the wallet was to sign beside its answer was signed with none of the credentials.
    #[error("no credential of the answer signs the transaction")]
    TransactionUnsigned,
    /// The credential says that the customer is younger than the ask demands, or does not say.
    #[error("the age that was asked for is not reached")]
    AgeNotReached,
}

/// Why a status cannot be learned.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StatusUnknown {
    /// The list could not be fetched.
    #[error(transparent)]
    Fetch(#[from] FetchError),
    /// The list makes no valid statement.
    #[error(transparent)]
    List(#[from] StatusError),
    /// The list is signed by somebody who may not speak for this issuer.
    #[error(transparent)]
    Signer(#[from] TrustError),
}

impl StatusUnknown {
    /// Whether asking again cannot help: the issuer's own list has no such entry, so the credential has to be refused
    /// whatever the policy (Token Status List, section 8.3).
    pub(crate) const fn is_final(&self) -> bool {
        matches!(self, Self::List(StatusError::IndexOutOfRange { .. }))
    }
}

/// Which check of a browser's proof failed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ProofError {
    /// No proof came with a request that needs one.
    #[error("no proof: send a DPoP header (RFC 9449)")]
    Missing,
    /// Two proofs, or a header that is not text.
    #[error("send exactly one DPoP header")]
    Header,
    /// A check of RFC 9449, 4.3 failed.
    #[error(transparent)]
    Dpop(#[from] DpopError),
    /// The nonce is missing or old: use the one that comes with this answer.
    #[error("use the nonce that comes with this answer")]
    UseNonce,
    /// This very proof was used before.
    #[error("this proof was used before")]
    Replayed,
    /// The body is not the one that the proof names, or the proof names none.
    #[error("content_digest is missing from the proof, or is not that of the body")]
    ContentDigest,
    /// The access token is unknown, over, revoked, or another key's.
    #[error("the access token is not valid: drop it and begin a new session")]
    Token,
    /// An `Authorization` that is not `DPoP` and one token.
    #[error("send Authorization: DPoP with one access token")]
    Authorization,
    /// What should bind a cookie to a device is no such proof, or of another device.
    #[error("the device's proof is refused: {0}")]
    Device(#[source] DbscError),
    /// The device's proof answers no challenge of ours, or one from too long ago.
    #[error("the device's proof answers no challenge of now")]
    Challenge,
}

/// What cannot be had.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Refusal {
    /// No ask of that name.
    #[error("this shop asks for nothing of that name")]
    NoSuchAsk,
    /// These are not asked in one question: one of them is asked in a way of its own, or nothing certifies them together.
    #[error("the ask {ask:?} is not asked together with the others")]
    NotTogether {
        /// The ask.
        ask: String,
    },
    /// A payment is asked by exactly one ask that is for payments, and such an ask for a payment alone.
    #[error("name an order, and one ask that is for payments: they belong together")]
    PaymentAsk,
    /// What would authorise a payment has authorised one.
    #[error("this authorisation was used for a payment already")]
    AuthorisationUsed,
    /// No presentation of that name, or not any more.
    #[error("no such presentation, or not any more")]
    NoSuchPresentation,
    /// No session of that name.
    #[error("no such session")]
    NoSuchSession,
    /// The address to return to is not a path of this shop.
    #[error("return_to must be a path of this shop that begins with one /")]
    ReturnTo,
    /// The nonce that a wallet chose cannot be echoed.
    #[error("wallet_nonce must be 1 to {0} visible ASCII characters")]
    WalletNonce(usize),
    /// The key is nobody's yet.
    #[error("this key is not known: present a credential first")]
    UnknownKey,
    /// The customer signed out with this key.
    #[error("this key was signed out: make a new one")]
    BindingLocked,
    /// The answer says something else about the customer than what is kept.
    #[error("this is not what is known of the customer of this browser: begin as another person, with a new key")]
    AnotherPerson {
        /// The claims that differ, by name.
        claims: Vec<String>,
    },
    /// The session of a cookie is bound to a device, and stays bound to it.
    #[error("this session is bound to a device already")]
    AlreadyBound,
    /// What was shown leads to no customer of this shop, or not any more.
    #[error("this leads to no customer of this shop")]
    NotRecognised,
    /// What was shown is another customer's than this browser's: the two records can become one.
    #[error("this is another customer's than this browser's: confirm that both are you, or begin with a new key")]
    AnotherCustomer,
    /// Nothing was shown lately that would make two records one.
    #[error("show first what the other record is recognised by")]
    NothingToMerge,
    /// The time to take two records apart is over, or they never were two.
    #[error("these records cannot be taken apart, or not any more")]
    NothingToUndo,
    /// The record holds something of another one that can still be taken out of it.
    #[error("two records became one lately: take them apart first, or wait until that is over")]
    MergedLately,
    /// As many records became one as may.
    #[error("at most {max} records become one")]
    TooManyMerged {
        /// The bound.
        max: usize,
    },
    /// The session came by a wallet on another device, which may have been somebody else's.
    #[error("this is not done in a session that began by a code: show a wallet or a passkey on this device")]
    AcrossDevices,
    /// A payment was to be authorised by a wallet on another device, by a code.
    #[error("payments are not authorised by a code here: use a wallet on this device, or `WalletRail::across_devices`")]
    PaymentAcrossDevices,
    /// The customer has as many bindings as they may have.
    #[error("a customer has at most {max} ways to be recognised: remove one first")]
    TooManyBindings {
        /// The bound.
        max: usize,
    },
    /// No binding of that name.
    #[error("no such way to be recognised")]
    NoSuchBinding,
    /// Another DID took the place of this one.
    #[error("another DID took the place of this one: use that")]
    DidReplaced,
    /// The old sign-in is too long ago to move an account.
    #[error("sign in the old way once more: that was longer than {age_s} s ago")]
    OldSignIn {
        /// How long ago that may be.
        age_s: u64,
    },
    /// No account of before of that name was imported.
    #[error("this shop has no such account of before")]
    NoSuchAccount,
    /// An account of before was linked to another customer.
    #[error("this account of before belongs to another customer by now: ask the shop")]
    AccountLinked,
    /// A route needs a stronger proof of who is there, or a newer one.
    #[error("this needs the customer to be recognised by {} at least", .rung.name())]
    RungNeeded {
        /// By what at least.
        rung: Rung,
        /// How long ago at most, in seconds; any time in this session if there is no bound.
        age_s: Option<u64>,
    },
    /// Somebody came back by a recovery code lately.
    #[error("a recovery code was used lately: this waits until {until}, or show what you had before it")]
    CoolingDown {
        /// Until when.
        until: UnixTime,
    },
    /// Nothing waits for this passkey: the five minutes are over, it was answered, or another browser began it.
    #[error("nothing waits for this passkey, or not any more: begin again")]
    CeremonyOver,
    /// What a customer calls something is too long, or no line of text.
    #[error("a name is one line of at most {0} characters")]
    Label(usize),
    /// A route needs a customer.
    #[error("this needs a customer who is known")]
    NotKnown,
    /// A route needs a proof, or a newer one.
    #[error("this needs a proof for {ask:?}, not older than {age_s} s")]
    ProofNeeded {
        /// The ask.
        ask: String,
        /// How old a proof may be.
        age_s: u64,
    },
    /// The wallet has to be shown once more, on this device.
    #[error("this needs a wallet that was shown on this device in the last {age_s} s")]
    StepUp {
        /// How long ago that may be.
        age_s: u64,
    },
    /// No order of that name, or not this customer's.
    #[error("no such order")]
    NoSuchOrder,
    /// No checkout of that name, not any more, or not this customer's.
    #[error("no such checkout, or not any more")]
    NoSuchCheckout,
    /// A key was used before, for something else.
    #[error("this key was used before for something else: make a new one for each act")]
    KeyUsed,
    /// No receipt of that number, or none of this shop.
    #[error("no such receipt")]
    NoSuchReceipt,
    /// A receipt is good for this once.
    #[error("this receipt was used for {purpose:?} already")]
    ReceiptUsed {
        /// For what.
        purpose: String,
    },
    /// This was not bought with it, or all of it went back.
    #[error("this receipt is not of {item:?}, or all of it went back")]
    NotBought {
        /// What.
        item: String,
    },
    /// The token of a form is not ours, or was made for somebody else.
    #[error("this form is not one of ours, or not yours: open the page again")]
    FormInvalid,
    /// A form lay open too long.
    #[error("this form lay open too long: open the page again")]
    FormExpired,
    /// A form was sent before, with something else in it.
    #[error("this form was sent before with something else in it, and became the order {order}")]
    FormUsed {
        /// What it became.
        order: OrderId,
    },
    /// No rail of that name.
    #[error("this shop has no such way to pay")]
    NoSuchRail,
    /// Something is to be paid, and nobody said how.
    #[error("something is to pay here: say how it is paid")]
    RailNeeded,
    /// A rail cannot collect the amount.
    #[error("this way to pay cannot be used: {0}")]
    CannotCollect(#[source] CannotCollect),
    /// The name of a refund cannot be one.
    #[error("a refund's key is 1 to {0} visible ASCII characters without /")]
    RefundKey(usize),
    /// A refund of that name was made, of another amount.
    #[error("a refund of that name was made, of another amount")]
    RefundDiffers,
    /// A file of refunds of that name was made, for another day or in another version.
    #[error("a file of refunds of that name was made, for another day or in another version")]
    RefundFileDiffers,
    /// No endpoint of that name.
    #[error("this shop has no webhook of that name")]
    NoSuchWebhook,
    /// No file of refunds of that name.
    #[error("no such file of refunds")]
    NoSuchRefundFile,
    /// Nothing of that name is owed back, or nothing at all.
    #[error("nothing is owed back here")]
    NothingOwed,
    /// No transfer of that name.
    #[error("no such transfer")]
    NoSuchTransfer,
    /// A transfer was booked under that name that says something else, or went elsewhere.
    #[error("another transfer was booked under that name, or it went elsewhere")]
    TransferDiffers,
    /// A transfer's text is too long.
    #[error("a transfer's text has at most {0} bytes")]
    TransferText(usize),
    /// Somebody else was first.
    #[error("somebody else was first: look at what is there now, and begin again")]
    Overtaken,
    /// Too much from one key, for one presentation, or in all.
    #[error("too many requests: try again in {retry_s} s")]
    TooMany {
        /// When to try again.
        retry_s: u64,
    },
}

impl Error {
    /// The stable name of the error, snake case: for programs, dashboards and tests.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::Answer(e) => e.code(),
            Self::Proof(e) => e.code(),
            Self::DidProof(e) => e.code(),
            Self::Step(e) => e.code(),
            Self::Draft(e) => e.code(),
            Self::Order(e) => e.code(),
            Self::Checkout(e) => e.code(),
            Self::Receipt(e) => e.code(),
            Self::Meeting(e) => e.code(),
            Self::Notice(e) => e.code(),
            Self::Statement(e) => e.code(),
            Self::Issue(e) => e.code(),
            #[cfg(feature = "passkey")]
            Self::Passkey(e) => e.code(),
            Self::Refused(e) => e.code(),
            Self::Unavailable { .. } => "unavailable",
            Self::Misuse(_) => "misuse",
        }
    }

    /// Who has to do something about it.
    #[must_use]
    pub const fn fault(&self) -> Fault {
        match self {
            Self::Answer(
                AnswerError::IssuerKeys { .. }
                | AnswerError::IssuerDid { .. }
                | AnswerError::StatusUnknown { .. }
                | AnswerError::TypeUnavailable { .. },
            ) => Fault::Issuer,
            Self::Answer(_) | Self::Issue(_) | Self::DidProof(_) => Fault::Wallet,
            Self::Proof(_) => Fault::Browser,
            Self::Notice(_) => Fault::Rail,
            Self::Receipt(ReceiptError::NotPaid(_)) => Fault::Customer,
            Self::Statement(_) | Self::Receipt(_) => Fault::Merchant,
            #[cfg(feature = "passkey")]
            Self::Passkey(_) => Fault::Browser,
            Self::Step(_)
            | Self::Draft(_)
            | Self::Order(_)
            | Self::Checkout(_)
            | Self::Meeting(_)
            | Self::Refused(_) => Fault::Customer,
            Self::Unavailable { .. } => Fault::Operations,
            Self::Misuse(_) => Fault::Merchant,
        }
    }
}

impl AnswerError {
    /// The stable name of the check that failed.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::Response(e) => e.code(),
            Self::Format { source, .. } => source.code(),
            Self::Trust { source, .. } => source.code(),
            Self::IssuerKeys { .. } => "issuer_keys_unavailable",
            Self::IssuerDid { source, .. } => source.code(),
            Self::Type { source, .. } => source.code(),
            Self::TypeUnavailable { .. } => "type_metadata_unavailable",
            Self::Revoked { .. } => "credential_revoked",
            Self::StatusUnknown { .. } => "status_unknown",
            Self::Query(e) => e.code(),
            Self::Authorisation { source, .. } => source.code(),
            Self::TransactionUnsigned => "transaction_unsigned",
            Self::AgeNotReached => "age_not_reached",
        }
    }
}

impl ProofError {
    /// The stable name: of RFC 9449 where it has one.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::UseNonce => "use_dpop_nonce",
            Self::Token | Self::Authorization => "invalid_token",
            Self::Missing | Self::Header | Self::Dpop(_) | Self::Replayed | Self::ContentDigest => "invalid_dpop_proof",
            Self::Device(_) | Self::Challenge => "invalid_device_proof",
        }
    }
}

impl Refusal {
    /// The stable name of the refusal.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::NoSuchAsk => "no_such_ask",
            Self::NotTogether { .. } => "not_asked_together",
            Self::PaymentAsk => "payment_ask",
            Self::AuthorisationUsed => "authorisation_used",
            Self::NoSuchPresentation => "no_such_presentation",
            Self::NoSuchSession => "no_such_session",
            Self::ReturnTo => "invalid_return_to",
            Self::WalletNonce(_) => "invalid_wallet_nonce",
            Self::UnknownKey => "unknown_key",
            Self::BindingLocked => "binding_locked",
            Self::AnotherPerson { .. } => "another_person",
            Self::AlreadyBound => "already_bound",
            Self::NotRecognised => "not_recognised",
            Self::AnotherCustomer => "another_customer",
            Self::NothingToMerge => "nothing_to_merge",
            Self::NothingToUndo => "nothing_to_undo",
            Self::MergedLately => "merged_lately",
            Self::TooManyMerged { .. } => "too_many_merged",
            Self::AcrossDevices => "across_devices",
            Self::PaymentAcrossDevices => "payment_across_devices",
            Self::TooManyBindings { .. } => "too_many_bindings",
            Self::NoSuchBinding => "no_such_binding",
            Self::DidReplaced => "did_replaced",
            Self::OldSignIn { .. } => "old_sign_in",
            Self::NoSuchAccount => "no_such_account",
            Self::AccountLinked => "account_linked",
            Self::RungNeeded { .. } => "rung_needed",
            Self::CoolingDown { .. } => "cooling_down",
            Self::CeremonyOver => "passkey_ceremony_over",
            Self::Label(_) => "invalid_name",
            Self::NotKnown => "not_known",
            Self::ProofNeeded { .. } => "proof_needed",
            Self::StepUp { .. } => "step_up_needed",
            Self::NoSuchOrder => "no_such_order",
            Self::NoSuchCheckout => "no_such_checkout",
            Self::KeyUsed => "idempotency_key_used",
            Self::NoSuchReceipt => "no_such_receipt",
            Self::ReceiptUsed { .. } => "receipt_used",
            Self::NotBought { .. } => "not_bought",
            Self::FormInvalid => "form_invalid",
            Self::FormExpired => "form_expired",
            Self::FormUsed { .. } => "form_used",
            Self::NoSuchRail => "no_such_rail",
            Self::RailNeeded => "rail_needed",
            Self::CannotCollect(_) => "rail_cannot_take",
            Self::RefundKey(_) => "invalid_refund_key",
            Self::RefundDiffers => "refund_differs",
            Self::RefundFileDiffers => "refund_file_differs",
            Self::NoSuchWebhook => "no_such_webhook",
            Self::NoSuchRefundFile => "no_such_refund_file",
            Self::NothingOwed => "nothing_owed",
            Self::NoSuchTransfer => "no_such_transfer",
            Self::TransferDiffers => "transfer_differs",
            Self::TransferText(_) => "invalid_transfer_text",
            Self::Overtaken => "overtaken",
            Self::TooMany { .. } => "too_many_requests",
        }
    }
}

impl From<MoneyError> for Error {
    /// While a draft is put together.
    fn from(error: MoneyError) -> Self {
        Self::Draft(error.into())
    }
}

impl From<StoreError> for Error {
    fn from(source: StoreError) -> Self {
        Self::Unavailable { seam: "the store", source: Box::new(source) }
    }
}

impl From<TradeError> for Error {
    fn from(error: TradeError) -> Self {
        match error {
            TradeError::Unavailable { .. } => {
                Self::Unavailable { seam: "the shop's own trade", source: Box::new(error) }
            }
            TradeError::Invalid { .. } => Self::Misuse(error.to_string()),
        }
    }
}

impl From<ShelfError> for Error {
    /// As a checkout would say it.
    fn from(error: ShelfError) -> Self {
        TradeError::from(error).into()
    }
}

impl From<OpeningError> for Error {
    fn from(error: OpeningError) -> Self {
        Self::Misuse(error.to_string())
    }
}

impl From<AskError> for Error {
    fn from(error: AskError) -> Self {
        Self::Misuse(error.to_string())
    }
}

impl From<TrustError> for Error {
    /// While the merchant is set up: what a wallet sends is judged as [`AnswerError::Trust`].
    fn from(error: TrustError) -> Self {
        Self::Misuse(error.to_string())
    }
}

impl From<KeysError> for Error {
    fn from(error: KeysError) -> Self {
        Self::Misuse(error.to_string())
    }
}
