//! Files of transfers back for the merchant's bank: committed one refund at a time, closed, and the same for ever.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::{OWED, Order, OrderEntry, Pending, Plan, queue::newest_first, refund_key, refunds::ACCOUNT};
use crate::{
    error::{Error, Refusal},
    merchant::{Merchant, put},
    money::{Currency, Money},
    order::{BankAccount, OrderId, RefundRecord, RefundState, Source},
    protocol::jose::{base64url_encode, sha256},
    rail::{
        Reference,
        sepa::{
            self, Bic, Iban, PainVersion,
            pain::{FiledTransfer, TransferFile},
        },
    },
    store::{Expect, Key, Persisted, Prefix, SCAN_MAX, Stored, Version, Write},
    time::{Day, UnixTime},
};

/// The most transfers of one file: the others stand in the next one.
const TRANSFERS_MAX: u32 = 1_000;
/// What seals a payee to a transfer of a file.
const PAYEE: &str = "payee";
/// The files, the newest first.
const BY_TIME: &str = "refund_file_entry";

/// A file of transfers back for the merchant's bank, closed: see [`Merchant::refund_file`].
#[derive(Clone, PartialEq, Eq)]
pub struct RefundFile {
    id: String,
    record: FileRecord,
    xml: String,
}

impl fmt::Debug for RefundFile {
    /// Without what is in it: names and accounts of customers.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RefundFile")
            .field("id", &self.id)
            .field("transfers", &self.record.transfers)
            .field("total", &self.record.total)
            .finish_non_exhaustive()
    }
}

impl RefundFile {
    /// Its name: 25 letters and digits, also its `MsgId` and `PmtInfId`.
    #[must_use]
    pub fn id(&self) -> &str {
        &self.id
    }

    /// The file itself: UTF-8, of letters that every bank takes.
    #[must_use]
    pub fn xml(&self) -> &str {
        &self.xml
    }

    /// How many transfers are in it.
    #[must_use]
    pub const fn transfers(&self) -> u32 {
        self.record.transfers
    }

    /// How much they are together.
    #[must_use]
    pub const fn total(&self) -> Money {
        self.record.total
    }

    /// When the bank is to carry it out.
    #[must_use]
    pub const fn execution_on(&self) -> &Day {
        &self.record.execution_on
    }

    /// When it was made.
    #[must_use]
    pub const fn made_at(&self) -> UnixTime {
        self.record.made_at
    }
}

/// A file as stored; its transfers are records of their own.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
struct FileRecord {
    version: PainVersion,
    made_at: UnixTime,
    execution_on: Day,
    /// The merchant's own account, as it was then.
    holder: String,
    iban: Iban,
    bic: Option<Bic>,
    transfers: u32,
    total: Money,
    /// The digest of the file's bytes, once it is closed: nothing is added then, and nothing else is ever given out.
    closed: Option<String>,
}

impl Persisted for FileRecord {
    const KIND: &'static str = "refund_file";
    const SCHEMA: u16 = 1;
}

/// A refund in a file.
#[derive(Serialize, Deserialize)]
pub(super) struct FiledRefund {
    pub(super) order: OrderId,
    pub(super) key: String,
    /// Which time it was told to the bank.
    pub(super) number: u32,
    pub(super) amount: Money,
    /// Whether it came back: what the statement says of it after that is old.
    pub(super) came_back: bool,
    /// What the payee reads.
    text: String,
    /// The account, sealed.
    sealed: String,
}

impl Persisted for FiledRefund {
    const KIND: &'static str = "filed_refund";
    const SCHEMA: u16 = 1;
}

/// A file among all.
#[derive(Serialize, Deserialize)]
struct FileEntry {
    file: String,
}

impl Persisted for FileEntry {
    const KIND: &'static str = BY_TIME;
    const SCHEMA: u16 = 1;
}

impl Merchant {
    /// A file of transfers for the merchant's bank (pain.001): all refunds by transfer that are owed, or left to the
    /// merchant's hand, whose account is known, and that stand in no file yet; at most 1,000, the others in the next one.
    /// What the merchant has carried out by hand has to be [said](super::Refund::sent_by_hand) before.
    ///
    /// That they stand in it is committed before the file is given out, one by one. `key` names the file (from the
    /// merchant's form): asked for again, also after a crash in the middle, it is the same file, byte by byte. The bank's
    /// statement says what became of it ([`Merchant::import_statement`]); what the bank did not take is
    /// [reopened](super::Refund::reopen) by hand.
    ///
    /// # Errors
    /// [`Refusal::NothingOwed`] if no refund is ready; [`Refusal::NoSuchRail`] without an account of our own;
    /// [`Refusal::RefundFileDiffers`] if the key was used for another day or version; [`Error::Misuse`] if an account was
    /// sealed under a root that is not in the keys any more.
    pub async fn refund_file(&self, key: &str, execution_on: &Day, version: PainVersion) -> Result<RefundFile, Error> {
        let id = file_id(key);
        if let Some((record, _)) = self.file(&id).await? {
            if record.execution_on != *execution_on || record.version != version {
                return Err(Refusal::RefundFileDiffers.into());
            }
            if record.closed.is_some() {
                return self.made_refund_file(&id).await;
            }
        }
        let mut owed = self.queue(OWED);
        while let Some((entry, OrderEntry { order }, _)) = owed.next_of().await? {
            let Some((_, refund)) = entry.sort.split_once('/') else { continue };
            self.add_to_file(&id, (&order, refund), execution_on, version).await?;
        }
        self.close_file(&id).await?;
        self.made_refund_file(&id).await
    }

    /// A file of transfers back that was made before, byte by byte.
    ///
    /// # Errors
    /// [`Refusal::NoSuchRefundFile`]; [`Error::Misuse`] if it cannot be made as it was: then nothing is given out.
    pub async fn made_refund_file(&self, id: &str) -> Result<RefundFile, Error> {
        let (record, _) = self.file(id).await?.ok_or(Refusal::NoSuchRefundFile)?;
        let digest = record.closed.as_deref().ok_or(Refusal::NoSuchRefundFile)?;
        let xml = self.file_xml(id, &record).await?;
        if digest_of(&xml) != digest {
            return Err(Error::Misuse(format!("the file {id} cannot be made as it was: ask nobody to carry it out")));
        }
        Ok(RefundFile { id: id.to_owned(), record, xml })
    }

    /// The files of transfers back that were made, the newest first, up to `limit` (at most 1,000).
    ///
    /// # Errors
    /// As [`Merchant::made_refund_file`].
    pub async fn refund_files(&self, limit: usize) -> Result<Vec<String>, Error> {
        let prefix = Prefix { kind: BY_TIME, partition: String::new(), sort: String::new() };
        let found = self.0.store.scan(&prefix, None, limit.min(SCAN_MAX), self.now()).await?;
        found.into_iter().map(|(_, stored)| Ok(stored.read::<FileEntry>()?.file)).collect()
    }

    /// Commits that a refund stands in a file, if it is ready to.
    async fn add_to_file(
        &self,
        id: &str,
        refund: (&OrderId, &str),
        execution_on: &Day,
        version: PainVersion,
    ) -> Result<(), Error> {
        let input = (id.to_owned(), refund.0.clone(), refund.1.to_owned(), execution_on.clone());
        let step = Pending::new(self, input, move |merchant, (id, order, key, execution_on)| async move {
            merchant.plan_filing(&id, &order, &key, &execution_on, version).await
        });
        step.await?.commit().await
    }

    async fn plan_filing(
        &self,
        id: &str,
        order: &OrderId,
        key: &str,
        execution_on: &Day,
        version: PainVersion,
    ) -> Result<Plan<()>, Error> {
        let now = self.now();
        let nothing = Ok(Plan::nothing((), now));
        // The order first: whoever changes a refund changes its order's version, too.
        let loaded = self.wanted(order).await?;
        let refund = match self.refund_record(order, key).await {
            Err(Error::Refused(Refusal::NothingOwed)) => return nothing,
            found => found?,
        };
        let ready = matches!(refund.state, RefundState::Owed | RefundState::ByHand);
        let sealed = refund.sealed_account.clone().filter(|_| ready && refund.end_to_end.is_none());
        let Some(sealed) = sealed.filter(|_| refund.by == Source::Transfer) else { return nothing };
        if sepa::check_amount(refund.amount).is_err() {
            return nothing;
        }
        let file = self.file(id).await?;
        if file.as_ref().is_some_and(|(file, _)| file.closed.is_some() || file.transfers >= TRANSFERS_MAX) {
            return nothing;
        }
        let mut writes = Vec::new();
        let (mut file, expect) = match file {
            Some((file, version)) => (file, Expect::Version(version)),
            None => {
                let entry = FileEntry { file: id.to_owned() };
                writes.push(put(Key::new(BY_TIME, "", newest_first(now, id)), &entry, None, Expect::Any)?);
                (self.new_file(execution_on, version)?, Expect::Absent)
            }
        };
        let Ok(total) = file.total.plus(refund.amount) else { return nothing };
        file.transfers = file.transfers.saturating_add(1);
        file.total = total;
        let end_to_end = format!("{id}-{:04}", file.transfers);
        let account = self.open_account(order, &refund, &sealed)?;
        let step = loaded.record.clone().refund_filed(refund, id, end_to_end.clone(), now)?;
        let number = step.changed.first().map(|refund| (refund.tries, refund.amount));
        let (number, amount) = number.ok_or(Refusal::NothingOwed)?;
        let place = filed_key(id, &end_to_end);
        let filed = FiledRefund {
            order: order.clone(),
            key: key.to_owned(),
            number,
            amount,
            came_back: false,
            text: format!("Refund {}", spoken_number(&loaded.record.reference)),
            sealed: self.seal_value(PAYEE, &place, &account)?,
        };
        writes.push(put(place, &filed, None, Expect::Absent)?);
        writes.push(put(file_key(id), &file, None, expect)?);
        // The file's own record says whether it happened: a retry finds the refund in it.
        let plan = self.plan_step(step, Some(&loaded), writes)?;
        Ok(plan.map(|_: Order| ()))
    }

    fn new_file(&self, execution_on: &Day, version: PainVersion) -> Result<FileRecord, Error> {
        let rail = self.rail(sepa::ID)?.account().ok_or(Refusal::NoSuchRail)?;
        Ok(FileRecord {
            version,
            made_at: self.now(),
            execution_on: execution_on.clone(),
            holder: rail.payee().to_owned(),
            iban: rail.iban().clone(),
            bic: rail.bank().cloned(),
            transfers: 0,
            total: Money::zero(Currency::EUR),
            closed: None,
        })
    }

    /// Nothing is added to the file from now on, and its bytes are settled.
    async fn close_file(&self, id: &str) -> Result<(), Error> {
        let step = Pending::new(self, id.to_owned(), |merchant, id| async move {
            let (file, version) = merchant.file(&id).await?.ok_or(Refusal::NothingOwed)?;
            if file.closed.is_some() {
                return Ok(Plan::nothing((), merchant.now()));
            }
            let closed = Some(digest_of(&merchant.file_xml(&id, &file).await?));
            let writes = vec![put(file_key(&id), &FileRecord { closed, ..file }, None, Expect::Version(version))?];
            Ok(Plan { writes, value: (), witness: None, at: merchant.now() })
        });
        step.await?.commit().await
    }

    async fn file_xml(&self, id: &str, file: &FileRecord) -> Result<String, Error> {
        let mut transfers = Vec::new();
        for (end_to_end, filed, _) in self.filed_in(id).await? {
            let account: BankAccount = self.open_value(PAYEE, &filed_key(id, &end_to_end), &filed.sealed)?;
            transfers.push(FiledTransfer {
                end_to_end,
                amount: filed.amount,
                holder: account.holder().to_owned(),
                iban: account.iban().clone(),
                text: filed.text,
            });
        }
        let whole = TransferFile {
            id,
            version: file.version,
            made_at: file.made_at,
            execution_on: &file.execution_on,
            holder: &file.holder,
            iban: &file.iban,
            bic: file.bic.as_ref(),
            transfers: &transfers,
        };
        Ok(whole.xml()?)
    }

    /// The transfers of a file, in its order.
    pub(super) async fn filed_in(&self, id: &str) -> Result<Vec<(String, FiledRefund, Version)>, Error> {
        let prefix = Prefix { kind: FiledRefund::KIND, partition: id.to_owned(), sort: String::new() };
        let (mut found, mut all) = (Vec::new(), self.all_in(prefix));
        while let Some((key, stored)) = all.next().await? {
            found.push((key.sort, stored.read()?, stored.version));
        }
        Ok(found)
    }

    /// The transfer of a file of ours that bears this end-to-end id.
    pub(super) async fn filed(&self, end_to_end: &str) -> Result<Option<(FiledRefund, Version)>, Error> {
        let Some((file, number)) = end_to_end.split_once('-') else { return Ok(None) };
        if !is_file_id(file) || number.len() != 4 || !number.bytes().all(|b| b.is_ascii_digit()) {
            return Ok(None);
        }
        let stored: Option<Stored> = self.load_one(&filed_key(file, end_to_end)).await?;
        stored.map(|stored| Ok((stored.read()?, stored.version))).transpose()
    }

    /// What a file of ours is in all, by its id on a statement.
    pub(super) async fn file_total(&self, id: &str) -> Result<Option<Money>, Error> {
        let file = if is_file_id(id) { self.file(id).await? } else { None };
        Ok(file.map(|(file, _)| file.total))
    }

    /// The write by which a transfer of a file is known to have come back.
    pub(super) fn write_came_back(end_to_end: &str, filed: FiledRefund, version: Version) -> Result<Write, Error> {
        let file = end_to_end.split('-').next().unwrap_or_default();
        let filed = FiledRefund { came_back: true, ..filed };
        Ok(put(filed_key(file, end_to_end), &filed, None, Expect::Version(version))?)
    }

    async fn file(&self, id: &str) -> Result<Option<(FileRecord, Version)>, Error> {
        if !is_file_id(id) {
            return Ok(None);
        }
        let stored = self.load_one(&file_key(id)).await?;
        stored.map(|stored| Ok((stored.read()?, stored.version))).transpose()
    }

    fn open_account(&self, order: &OrderId, refund: &RefundRecord, sealed: &str) -> Result<BankAccount, Error> {
        self.open_value(ACCOUNT, &refund_key(order, &refund.key), sealed)
    }
}

/// What the payee reads: the digits of the order's reference, and not the reference, so that money that comes back under this
/// text, told by an export that does not say so, is never taken for a payment of the order.
fn spoken_number(reference: &Reference) -> &str {
    reference.as_str().strip_prefix("RF").unwrap_or_default()
}

/// The name of the file of a key: `B` and 24 capital hexadecimal digits, which every bank takes, and in which nobody finds a
/// reference.
fn file_id(key: &str) -> String {
    let digest = sha256(format!("firsthand refund file {key}").as_bytes());
    let digits: String = digest.iter().take(12).map(|byte| format!("{byte:02X}")).collect();
    format!("B{digits}")
}

fn is_file_id(id: &str) -> bool {
    let digit = |b: u8| b.is_ascii_digit() || matches!(b, b'A'..=b'F');
    id.len() == 25 && id.strip_prefix('B').is_some_and(|digits| digits.bytes().all(digit))
}

fn digest_of(xml: &str) -> String {
    base64url_encode(&sha256(xml.as_bytes()))
}

fn file_key(id: &str) -> Key {
    Key::new(FileRecord::KIND, id, "")
}

fn filed_key(file: &str, end_to_end: &str) -> Key {
    Key::new(FiledRefund::KIND, file, end_to_end)
}
