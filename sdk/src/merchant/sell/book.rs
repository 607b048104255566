//! Money that arrived on the merchant's account, as its statement says: booked by the merchant, never by a stranger.

use serde::{Deserialize, Serialize};

use super::{Order, Plan, pending::Pending, queue::SHARDS};
use crate::{
    error::{Error, Refusal},
    merchant::{Merchant, put},
    money::Money,
    names::is_plain,
    order::{BankAccount, OrderError, OrderId, RefundReason},
    protocol::jose::{base64url_encode, sha256},
    rail::Reference,
    store::{Expect, Key, Persisted, Version, Write},
    time::UnixTime,
};

/// What seals a payer to the record of a transfer.
const PAYER: &str = "payer";
/// What digests a transfer's content.
const CONTENT: &str = "transfer content";
/// The longest name that a bank gives a transfer, in bytes.
const ID_BYTES_MAX: usize = 140;
/// The longest text on a statement that is read, in bytes.
const TEXT_BYTES_MAX: usize = 1_000;

/// A transfer that arrived, as the statement says it.
#[derive(Clone)]
pub struct Transfer {
    /// The bank's own name for it (camt.053: `AcctSvcrRef`), by which it is booked once. Never one made up at import: that
    /// would be another one at the next import.
    pub id: TransferId,
    /// How much.
    pub amount: Money,
    /// What the payer wrote: the reference is looked for in it.
    pub text: String,
    /// Who paid: where money goes back to, if it has to.
    pub payer: Option<BankAccount>,
}

/// The bank's name for a transfer: 1 to 140 bytes of plain text, unique on the merchant's account.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct TransferId(String);

/// A text that names no transfer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a transfer's name is 1 to {ID_BYTES_MAX} bytes of plain text")]
pub struct NotATransferId;

impl TransferId {
    /// As the bank writes it.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The name under which it is stored: a bank's text is no key.
    pub(super) fn digest(&self) -> String {
        base64url_encode(&sha256(format!("firsthand transfer {}", self.0).as_bytes()))
    }
}

impl std::str::FromStr for TransferId {
    type Err = NotATransferId;

    fn from_str(text: &str) -> Result<Self, NotATransferId> {
        let text = text.trim();
        if is_plain(text, ID_BYTES_MAX) { Ok(Self(text.to_owned())) } else { Err(NotATransferId) }
    }
}

/// What became of a transfer.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Booking {
    /// It was for this order: what of it counts, and what is owed back, is in the order's ledger and events.
    For(Box<Order>),
    /// It names no order of ours: it waits for somebody to look.
    Unmatched(UnmatchedTransfer),
    /// It was returned to whoever it came from.
    Returned,
    /// It is the same money as a transfer that was booked under another name.
    Same,
    /// It is a refund of ours that came back, and is owed again.
    RefundReturned {
        /// The order.
        order: OrderId,
        /// The refund.
        key: String,
    },
}

/// Why a transfer waits for somebody to look.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum WaitsBecause {
    /// It names no order of ours, or is in another currency than its order.
    #[default]
    NoOrder,
    /// Another one that says something else was booked under the bank's name for it.
    Differs,
    /// One that says the same was booked from another kind of file, under another name: it may be the same money.
    MaybeSame,
    /// It is one of ours that came back, or was taken back by the bank: no customer paid it.
    CameBack,
    /// It is a batch whose parts the statement does not tell.
    Batch,
}

impl WaitsBecause {
    /// A stable name of the reason.
    #[must_use]
    pub const fn code(self) -> &'static str {
        match self {
            Self::NoOrder => "waits_no_order",
            Self::Differs => "waits_differs",
            Self::MaybeSame => "waits_maybe_same",
            Self::CameBack => "waits_came_back",
            Self::Batch => "waits_batch",
        }
    }
}

/// A transfer that names no order.
#[derive(Clone, PartialEq, Eq)]
pub struct UnmatchedTransfer {
    /// Its name in the store, by which it is assigned or sent back: 43 characters.
    pub name: String,
    /// How much.
    pub amount: Money,
    /// When it was booked.
    pub booked_at: UnixTime,
    /// What the payer wrote, and who it was, if they are known.
    pub text: String,
    /// Who paid.
    pub payer: Option<BankAccount>,
    /// Why it waits.
    pub why: WaitsBecause,
}

impl std::fmt::Debug for Transfer {
    /// Without what the payer wrote: people write all sorts of things there.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Transfer").field("id", &self.id).field("amount", &self.amount).finish_non_exhaustive()
    }
}

impl std::fmt::Debug for UnmatchedTransfer {
    /// As [`Transfer`]'s.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("UnmatchedTransfer")
            .field("name", &self.name)
            .field("amount", &self.amount)
            .field("booked_at", &self.booked_at)
            .field("why", &self.why)
            .finish_non_exhaustive()
    }
}

/// A transfer as stored.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct TransferRecord {
    amount: Money,
    booked_at: UnixTime,
    /// What the payer wrote and who it was, sealed: people write all sorts of things there.
    sealed: String,
    /// A keyed digest of what the statement says.
    content: String,
    fate: Fate,
    /// Why it waited, if it did.
    #[serde(default)]
    why: WaitsBecause,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Fate {
    Unmatched,
    For(OrderId),
    Returned,
    Same,
    RefundReturned(OrderId, String),
}

impl Persisted for TransferRecord {
    const KIND: &'static str = "transfer";
    const SCHEMA: u16 = 1;
}

/// What lies sealed in a transfer's record.
#[derive(Serialize, Deserialize)]
struct Statement {
    text: String,
    payer: Option<BankAccount>,
}

/// Which transfer was for an order.
#[derive(Serialize, Deserialize)]
struct OrderTransfer {
    transfer: String,
    /// Whether anything of it counts towards the price.
    counts: bool,
}

impl Persisted for OrderTransfer {
    const KIND: &'static str = "order_transfer";
    const SCHEMA: u16 = 1;
}

const UNMATCHED: &str = "unmatched_transfer";

impl Merchant {
    /// Books a transfer that arrived on the merchant's account. Booked twice, it counts once.
    ///
    /// The order is found by the reference in its text, and nothing else: neither the amount nor the payer's name says
    /// what somebody paid for. Without one, or with the reference of nobody's order, or in another currency, it waits
    /// among the unmatched.
    ///
    /// # Errors
    /// [`Refusal::TransferDiffers`] if another transfer was booked under that name; [`Refusal::TransferText`] for a text
    /// that is too long; [`Error::Order`] for an amount of nothing, or more than can be counted.
    pub async fn book_transfer(&self, transfer: Transfer) -> Result<Pending<Booking>, Error> {
        if transfer.text.len() > TEXT_BYTES_MAX {
            return Err(Refusal::TransferText(TEXT_BYTES_MAX).into());
        }
        if transfer.amount.is_zero() {
            return Err(OrderError::NoAmount.into());
        }
        Pending::new(self, std::sync::Arc::new(transfer), |merchant, transfer| async move {
            merchant.plan_booking(&transfer).await
        })
        .await
    }

    /// The transfers that name no order, up to `limit` (at most 1,000).
    ///
    /// # Errors
    /// [`Error::Unavailable`] if the store does not answer.
    pub async fn unmatched_transfers(&self, limit: usize) -> Result<Vec<UnmatchedTransfer>, Error> {
        let mut found = Vec::new();
        for (key, _) in self.first_of(UNMATCHED, limit).await? {
            // One that cannot be read must not hide the others.
            let read = async { self.unmatched_of(&key.sort, &self.transfer(&key.sort).await?.0) };
            match read.await {
                Ok(transfer) => found.push(transfer),
                Err(error) => tracing::error!(code = error.code(), "an unmatched transfer cannot be read"),
            }
        }
        found.sort_by_key(|transfer| transfer.booked_at);
        Ok(found)
    }

    /// An unmatched transfer was meant for this order: it is booked there as if its text had said so.
    ///
    /// # Errors
    /// [`Refusal::NoSuchTransfer`], [`Refusal::NoSuchOrder`]; [`Refusal::TransferDiffers`] if it was sent back, or was for
    /// another order.
    pub async fn assign_transfer(&self, transfer: &str, order: &OrderId) -> Result<Pending<Booking>, Error> {
        Pending::new(self, (transfer.to_owned(), order.clone()), |merchant, (name, order)| async move {
            let (record, version) = merchant.transfer(&name).await?;
            match &record.fate {
                Fate::Unmatched => merchant.plan_for_order(&name, record, Expect::Version(version), &order).await,
                Fate::For(id) if *id == order => merchant.plan_known(&name, &record).await,
                _ => Err(Refusal::TransferDiffers.into()),
            }
        })
        .await
    }

    /// The merchant sent an unmatched transfer back to whoever it came from.
    ///
    /// # Errors
    /// [`Refusal::NoSuchTransfer`]; [`Refusal::TransferDiffers`] if it waits no longer, and something else became of it.
    pub async fn transfer_returned(&self, transfer: &str) -> Result<Pending<Booking>, Error> {
        self.settle_transfer(transfer, Fate::Returned).await
    }

    /// An unmatched transfer is the same money as one that was booked under another name, or part of a batch whose parts
    /// were booked: it waits no longer, and nothing is booked.
    ///
    /// # Errors
    /// As [`Merchant::transfer_returned`].
    pub async fn transfer_is_the_same(&self, transfer: &str) -> Result<Pending<Booking>, Error> {
        self.settle_transfer(transfer, Fate::Same).await
    }

    async fn settle_transfer(&self, transfer: &str, fate: Fate) -> Result<Pending<Booking>, Error> {
        Pending::new(self, (transfer.to_owned(), fate), |merchant, (name, fate)| async move {
            let (record, version) = merchant.transfer(&name).await?;
            if record.fate == fate {
                return merchant.plan_known(&name, &record).await;
            }
            if record.fate != Fate::Unmatched {
                return Err(Refusal::TransferDiffers.into());
            }
            let record = TransferRecord { fate, ..record };
            let writes = vec![
                put(transfer_key(&name), &record, None, Expect::Version(version))?,
                Write::delete(unmatched_key(&name), Expect::Any),
            ];
            let value = merchant.booking_of(&name, &record).await?;
            Ok(Plan { writes, value, witness: None, at: merchant.now() })
        })
        .await
    }

    /// The account from which an order was paid by transfer: none if several did, or nobody knows. Money that came too much
    /// says nothing about who paid: one cent with somebody's reference must not draw their refund.
    pub(super) async fn payer_of(&self, order: &OrderId) -> Result<Option<BankAccount>, Error> {
        let mut payer: Option<BankAccount> = None;
        for receipt in self.all_of::<OrderTransfer>(order).await?.into_iter().filter(|it| it.counts) {
            let (record, _) = self.transfer(&receipt.transfer).await?;
            match (self.statement(&receipt.transfer, &record)?.payer, &payer) {
                (Some(found), None) => payer = Some(found),
                (Some(found), Some(known)) if found.iban() == known.iban() => {}
                _ => return Ok(None),
            }
        }
        Ok(payer)
    }

    async fn plan_booking(&self, transfer: &Transfer) -> Result<Plan<Booking>, Error> {
        let name = transfer.id.digest();
        let digests = self.digests(&name, transfer);
        if let Some(stored) = self.load_one(&transfer_key(&name)).await? {
            let record: TransferRecord = stored.read()?;
            if !digests.contains(&record.content) {
                return Err(Refusal::TransferDiffers.into());
            }
            return self.plan_known(&name, &record).await;
        }
        self.plan_new(&name, transfer, Reference::find_in(&transfer.text).as_ref()).await
    }

    /// What the record of a transfer says that is not booked yet, under this name in the store.
    fn new_record(&self, name: &str, transfer: &Transfer, fate: Fate, why: WaitsBecause) -> TransferRecord {
        let text = statement_text(transfer);
        TransferRecord {
            amount: transfer.amount,
            booked_at: self.now(),
            sealed: self.seal(PAYER, &transfer_key(name), text.as_bytes()),
            content: self.digests(name, transfer).into_iter().next().unwrap_or_default(),
            fate,
            why,
        }
    }

    /// Keyed digests of what a statement says of a transfer, under the current root secret first.
    fn digests(&self, name: &str, transfer: &Transfer) -> Vec<String> {
        let info = format!("{name}\0{}\0{}", transfer.amount, statement_text(transfer).as_str());
        let info = zeroize::Zeroizing::new(info);
        self.0.keys.derive_all(CONTENT, info.as_bytes()).iter().map(|digest| base64url_encode(digest)).collect()
    }

    /// Books a transfer that is not known: for the order of its reference, or it waits.
    pub(super) async fn plan_new(
        &self,
        name: &str,
        transfer: &Transfer,
        reference: Option<&Reference>,
    ) -> Result<Plan<Booking>, Error> {
        let order = match reference {
            Some(reference) => self.order_by_reference(reference).await?,
            None => None,
        };
        match order {
            Some(order) if order.total().currency() == transfer.amount.currency() => {
                let record = self.new_record(name, transfer, Fate::Unmatched, WaitsBecause::default());
                self.plan_for_order(name, record, Expect::Absent, order.id()).await
            }
            _ => self.plan_waiting(name, transfer, WaitsBecause::NoOrder),
        }
    }

    /// Keeps a transfer that is not known for somebody to look at.
    pub(super) fn plan_waiting(
        &self,
        name: &str,
        transfer: &Transfer,
        why: WaitsBecause,
    ) -> Result<Plan<Booking>, Error> {
        let record = self.new_record(name, transfer, Fate::Unmatched, why);
        let value = Booking::Unmatched(self.unmatched_of(name, &record)?);
        let writes = vec![
            put(transfer_key(name), &record, None, Expect::Absent)?,
            put(unmatched_key(name), &OrderTransfer { transfer: name.to_owned(), counts: false }, None, Expect::Any)?,
        ];
        Ok(Plan { writes, value, witness: None, at: self.now() })
    }

    /// The write that keeps a transfer by which a refund of ours came back.
    pub(super) fn write_returned(
        &self,
        name: &str,
        transfer: &Transfer,
        order: &OrderId,
        key: &str,
    ) -> Result<Write, Error> {
        let fate = Fate::RefundReturned(order.clone(), key.to_owned());
        let record = self.new_record(name, transfer, fate, WaitsBecause::CameBack);
        Ok(put(transfer_key(name), &record, None, Expect::Absent)?)
    }

    /// Whether a transfer by its name in the store is this one: of the same amount, and for the same order where both name
    /// one. None if there is none of that name.
    pub(super) async fn booked_before(
        &self,
        name: &str,
        amount: Money,
        reference: Option<&Reference>,
    ) -> Result<Option<bool>, Error> {
        let Some(stored) = self.load_one(&transfer_key(name)).await? else { return Ok(None) };
        let record: TransferRecord = stored.read()?;
        // What was sealed under a root that is gone is known by its amount.
        let before = self.statement(name, &record).ok().and_then(|before| Reference::find_in(&before.text));
        let other = matches!((&before, reference), (Some(before), Some(now)) if before != now);
        Ok(Some(record.amount == amount && !other))
    }

    /// The writes by which a batch waits no longer whose parts are known now.
    pub(super) async fn write_batch_known(&self, name: &str, amount: Money) -> Result<Vec<Write>, Error> {
        let Some(stored) = self.load_one(&transfer_key(name)).await? else { return Ok(Vec::new()) };
        let record: TransferRecord = stored.read()?;
        if record.fate != Fate::Unmatched || record.why != WaitsBecause::Batch || record.amount != amount {
            return Ok(Vec::new());
        }
        let known = TransferRecord { fate: Fate::Same, ..record };
        Ok(vec![
            put(transfer_key(name), &known, None, Expect::Version(stored.version))?,
            Write::delete(unmatched_key(name), Expect::Any),
        ])
    }

    async fn plan_for_order(
        &self,
        name: &str,
        record: TransferRecord,
        expect: Expect,
        id: &OrderId,
    ) -> Result<Plan<Booking>, Error> {
        let order = self.wanted(id).await?;
        let settled = order.record.ledger.settled().map_err(OrderError::from)?;
        let mut step = order.record.clone().received(name, record.amount, self.now())?;
        let counts = step.order.ledger.settled().map_err(OrderError::from)? != settled;
        // What is too much goes back to where it came from, and nowhere else.
        if let Some(payer) = self.statement(name, &record)?.payer {
            for refund in step.owed.iter_mut().filter(|refund| refund.reason == RefundReason::Overpaid) {
                refund.sealed_account = Some(self.seal_account(id, &refund.key, &payer)?);
            }
        }
        self.name_payers(&mut step).await?;
        let record = TransferRecord { fate: Fate::For(id.clone()), ..record };
        let receipt = OrderTransfer { transfer: name.to_owned(), counts };
        let mut writes = vec![
            put(transfer_key(name), &record, None, expect)?,
            put(Key::new(OrderTransfer::KIND, id.as_str(), name), &receipt, None, Expect::Any)?,
        ];
        if matches!(expect, Expect::Version(_)) {
            writes.push(Write::delete(unmatched_key(name), Expect::Any));
        }
        // The transfer's own record says whether it was booked, whatever else happens to the order.
        let plan = self.plan_step(step, Some(&order), writes)?;
        Ok(Plan { witness: None, ..plan.map(|order| Booking::For(Box::new(order))) })
    }

    /// A transfer that was booked before: what became of it.
    async fn plan_known(&self, name: &str, record: &TransferRecord) -> Result<Plan<Booking>, Error> {
        Ok(Plan::nothing(self.booking_of(name, record).await?, self.now()))
    }

    async fn booking_of(&self, name: &str, record: &TransferRecord) -> Result<Booking, Error> {
        Ok(match &record.fate {
            Fate::Unmatched => Booking::Unmatched(self.unmatched_of(name, record)?),
            Fate::Returned => Booking::Returned,
            Fate::Same => Booking::Same,
            Fate::RefundReturned(order, key) => Booking::RefundReturned { order: order.clone(), key: key.clone() },
            Fate::For(id) => Booking::For(Box::new(self.order(id).await?.ok_or(Refusal::NoSuchOrder)?)),
        })
    }

    async fn transfer(&self, name: &str) -> Result<(TransferRecord, Version), Error> {
        let plain = name.len() <= 64 && name.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_'));
        if !plain {
            return Err(Refusal::NoSuchTransfer.into());
        }
        let stored = self.load_one(&transfer_key(name)).await?.ok_or(Refusal::NoSuchTransfer)?;
        Ok((stored.read()?, stored.version))
    }

    fn statement(&self, name: &str, record: &TransferRecord) -> Result<Statement, Error> {
        self.open_value(PAYER, &transfer_key(name), &record.sealed)
    }

    fn unmatched_of(&self, name: &str, record: &TransferRecord) -> Result<UnmatchedTransfer, Error> {
        let Statement { text, payer } = self.statement(name, record)?;
        let TransferRecord { amount, booked_at, why, .. } = *record;
        Ok(UnmatchedTransfer { name: name.to_owned(), amount, booked_at, text, payer, why })
    }
}

/// What lies sealed in the record of a transfer.
fn statement_text(transfer: &Transfer) -> zeroize::Zeroizing<String> {
    let statement = Statement { text: transfer.text.clone(), payer: transfer.payer.clone() };
    zeroize::Zeroizing::new(serde_json::to_string(&statement).unwrap_or_default())
}

fn transfer_key(name: &str) -> Key {
    Key::new(TransferRecord::KIND, name, "")
}

fn unmatched_key(name: &str) -> Key {
    let shard = name.bytes().last().unwrap_or_default() % SHARDS;
    Key::new(UNMATCHED, shard.to_string(), name)
}
