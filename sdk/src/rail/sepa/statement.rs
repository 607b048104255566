//! What a bank says of an account: one form for every kind of statement that a merchant can hand in.
//!
//! A file is read whole or refused; nothing is booked here. What has no effect, such as an entry that is not booked yet,
//! stands in the statement with its reason, so that every entry of the file is accounted for.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
};

use super::{
    Iban, camt,
    csv::{self, CsvFormat},
};
use crate::{
    money::{Currency, Money, MoneyError},
    names::is_plain,
    rail::Reference,
    time::Day,
};

/// The largest file that is read, in bytes: 16 MiB, the statement of a month with some ten thousand entries.
pub const FILE_BYTES_MAX: usize = 16 * 1024 * 1024;
/// The most movements of one file, those of batches counted one by one.
pub const MOVEMENTS_MAX: usize = 20_000;
/// The longest text of a movement that is kept, in bytes; the rest is cut off.
const TEXT_BYTES_MAX: usize = 900;
/// The longest name that is kept, in characters: the longest of the standard.
const NAME_CHARS_MAX: usize = 140;
/// The longest identifier that is kept, in bytes.
const ID_BYTES_MAX: usize = 140;

/// A statement or notification of a bank about one account.
#[derive(Clone, PartialEq, Eq)]
pub struct Statement {
    account: Iban,
    source: StatementSource,
    movements: Vec<Movement>,
    left_out: Vec<LeftOut>,
}

/// What kind of file a statement came in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum StatementSource {
    /// A statement, camt.053.
    Camt053,
    /// A notification of credits and debits, camt.054.
    Camt054,
    /// What a bank's pages export as text.
    Csv,
}

impl StatementSource {
    /// As it stands in a record.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Camt053 => "camt053",
            Self::Camt054 => "camt054",
            Self::Csv => "csv",
        }
    }
}

/// Money that moved, and is booked.
#[derive(Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Movement {
    /// Which entry of the file it is of, from 1. Those of a batch share it.
    pub place: u32,
    /// In or out.
    pub direction: Direction,
    /// How much.
    pub amount: Money,
    /// What it is.
    pub kind: MovementKind,
    /// When it was booked.
    pub day: Day,
    /// The bank's own name for it (`AcctSvcrRef`), if it gives one that is one.
    pub bank_name: Option<String>,
    /// The creditor reference: the structured one, else the one in the text, else the one in the end-to-end id.
    pub reference: Option<Reference>,
    /// What the payer wrote, at most 900 bytes.
    pub text: String,
    /// The identifier that whoever began the payment gave it.
    pub end_to_end: Option<String>,
    /// The identifier of the batch that it is of, as whoever began it called it (`PmtInfId`).
    pub batch: Option<String>,
    /// The entry that it is a part of, if that has several: the bank's name for it, and how much it is in all.
    pub part_of: Option<(String, Money)>,
    /// Who stands at the other end.
    pub party: Party,
    /// Which one it is among those of its day that say the same, from 1.
    pub ordinal: u32,
}

/// Who stands at the other end of a movement.
#[derive(Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Party {
    /// Whose account it is.
    pub name: String,
    /// On whose behalf, if that is somebody else (`UltmtDbtr`, `UltmtCdtr`).
    pub ultimate: String,
    /// The account, if it is one of the Single Euro Payments Area.
    pub iban: Option<Iban>,
}

/// Which way money moved.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Direction {
    /// It arrived.
    In,
    /// It left.
    Out,
}

/// What a movement is.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum MovementKind {
    /// A payment.
    Payment,
    /// The bank takes back what it had booked before (`RvslInd`).
    Reversal,
    /// A payment that came back (`RtrInf`, or a bank transaction code that says so), with the reason's code.
    Return(String),
    /// A batch of payments whose parts the bank does not tell, or that do not add up to it.
    Batch,
}

/// An entry of which nothing is booked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LeftOut {
    /// Which entry of the file, from 1.
    pub place: u32,
    /// Why.
    pub why: LeftOutBecause,
}

/// Why nothing of an entry is booked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum LeftOutBecause {
    /// The bank has not booked it yet: it comes again when it has.
    NotBooked,
    /// It is of nothing.
    Nothing,
    /// It is in something that is no currency of ISO 4217.
    Currency,
}

impl LeftOutBecause {
    /// A stable name of the reason.
    #[must_use]
    pub const fn code(self) -> &'static str {
        match self {
            Self::NotBooked => "not_booked",
            Self::Nothing => "amount_of_nothing",
            Self::Currency => "not_a_currency",
        }
    }
}

impl fmt::Debug for Statement {
    /// Without what people wrote, and whose accounts they are.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Statement")
            .field("source", &self.source)
            .field("movements", &self.movements.len())
            .field("left_out", &self.left_out.len())
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for Movement {
    /// Without what the payer wrote, and who it was.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Movement")
            .field("place", &self.place)
            .field("direction", &self.direction)
            .field("amount", &self.amount)
            .field("kind", &self.kind)
            .field("day", &self.day)
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for Party {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Party([redacted])")
    }
}

impl Statement {
    /// Reads a file as a bank gives it out: camt.053 or camt.054 (`.001.02` and later), or one of the
    /// [`CsvFormat::KNOWN`] exports.
    ///
    /// # Errors
    /// What is wrong with the file, and where. Nothing of a file that is refused is read.
    pub fn read(file: &[u8]) -> Result<Self, StatementError> {
        let text = csv::text(file)?;
        if text.trim_start().starts_with('<') {
            return camt::read(&camt::text(file)?);
        }
        let formats = CsvFormat::KNOWN.iter().map(|known| known());
        let fitting = formats.into_iter().find(|format| csv::fits(&text, format));
        csv::read(&text, &fitting.ok_or(StatementError::UnknownFormat)?)
    }

    /// Reads an export of a bank whose columns the merchant has named.
    ///
    /// # Errors
    /// As [`Statement::read`].
    pub fn read_csv(file: &[u8], format: &CsvFormat) -> Result<Self, StatementError> {
        csv::read(&csv::text(file)?, format)
    }

    /// The account.
    #[must_use]
    pub const fn account(&self) -> &Iban {
        &self.account
    }

    /// What kind of file it came in.
    #[must_use]
    pub const fn source(&self) -> StatementSource {
        self.source
    }

    /// The money that moved, in the order of the file.
    #[must_use]
    pub fn movements(&self) -> &[Movement] {
        &self.movements
    }

    /// The entries of which nothing is booked.
    #[must_use]
    pub fn left_out(&self) -> &[LeftOut] {
        &self.left_out
    }

    /// The statement of what was read.
    pub(super) fn of(
        account: Iban,
        source: StatementSource,
        mut movements: Vec<Movement>,
        left_out: Vec<LeftOut>,
    ) -> Self {
        // A name that stands at two movements which say different things is no name.
        let mut said: BTreeMap<String, String> = BTreeMap::new();
        let mut shared: BTreeSet<String> = BTreeSet::new();
        for movement in &movements {
            let (Some(name), content) = (&movement.bank_name, movement.content(&account)) else { continue };
            if said.get(name).is_some_and(|before| *before != content) {
                shared.insert(name.clone());
            }
            said.insert(name.clone(), content);
        }
        let mut equals: BTreeMap<String, u32> = BTreeMap::new();
        for movement in &mut movements {
            if movement.bank_name.as_ref().is_some_and(|name| shared.contains(name)) {
                movement.bank_name = None;
            }
            let count = equals.entry(movement.content(&account)).or_default();
            *count = count.saturating_add(1);
            movement.ordinal = *count;
        }
        Self { account, source, movements, left_out }
    }
}

impl Movement {
    /// What a bank says of this movement in every kind of file: by this it is known again where it has no name. The
    /// reference if there is one, since texts are told differently in each.
    pub(crate) fn content(&self, account: &Iban) -> String {
        let said = match &self.reference {
            Some(reference) => reference.as_str().to_owned(),
            None => self.text.chars().filter(|c| c.is_alphanumeric()).flat_map(char::to_uppercase).collect(),
        };
        let (way, other) = (self.direction == Direction::In, self.party.iban.as_ref().map_or("", Iban::as_str));
        let kind = self.kind == MovementKind::Payment;
        format!("{}\0{}\0{way}\0{kind}\0{}\0{other}\0{said}", account.as_str(), self.day, self.amount)
    }
}

/// Why a file is no statement.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum StatementError {
    /// It is too large.
    #[error("the file is larger than {FILE_BYTES_MAX} bytes: hand in shorter periods")]
    TooLarge,
    /// It has too many entries.
    #[error("the file has more than {MOVEMENTS_MAX} entries: hand in shorter periods")]
    TooMany,
    /// Neither XML nor an export that is known.
    #[error("this is no camt.053 or camt.054 file, and no export whose columns are known")]
    UnknownFormat,
    /// Bytes that are not text in the encoding that they claim to be in.
    #[error("the file is not the text that it claims to be")]
    Encoding,
    /// It is not well-formed, or breaks off.
    #[error("the file is broken, or not whole")]
    Broken,
    /// It defines entities, or refers to some: never done in a statement.
    #[error("the file has a document type or entities of its own: no bank's file does")]
    Entities,
    /// Elements within elements, or text, without an end.
    #[error("the file goes deeper, or a text is longer, than any statement")]
    Bounds,
    /// Another message, or elements of another standard.
    #[error("the file is not a camt.053 or camt.054 message of version 02 or later: {found}")]
    Namespace {
        /// What it says that it is, at most 80 characters.
        found: String,
    },
    /// An element or a column that has to be there is not, or is there twice.
    #[error("entry {place}: {what} is missing, or there twice")]
    Missing {
        /// Which entry, from 1; 0 for what stands before the entries.
        place: u32,
        /// What.
        what: &'static str,
    },
    /// A value that cannot be one.
    #[error("entry {place}: {what} cannot be read")]
    Value {
        /// Which entry, from 1; 0 for what stands before the entries.
        place: u32,
        /// What.
        what: &'static str,
    },
    /// An amount that is not one of its currency.
    #[error("entry {place}: {source}")]
    Amount {
        /// Which entry, from 1.
        place: u32,
        /// What is wrong with it.
        source: MoneyError,
    },
    /// It is about more than one account.
    #[error("the file is about several accounts: hand in those of one")]
    SeveralAccounts,
    /// It does not say about which account it is.
    #[error("the file does not say about which account it is")]
    NoAccount,
    /// It is about another account than the one that customers pay to.
    #[error("the file is about another account than the one that this shop is paid on")]
    OtherAccount,
}

impl StatementError {
    /// The stable name of the refusal.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::TooLarge => "statement_too_large",
            Self::TooMany => "statement_too_many",
            Self::UnknownFormat => "statement_unknown_format",
            Self::Encoding => "statement_encoding",
            Self::Broken => "statement_broken",
            Self::Entities => "statement_entities",
            Self::Bounds => "statement_bounds",
            Self::Namespace { .. } => "statement_namespace",
            Self::Missing { .. } => "statement_missing",
            Self::Value { .. } => "statement_value",
            Self::Amount { .. } => "statement_amount",
            Self::SeveralAccounts => "statement_several_accounts",
            Self::NoAccount => "statement_no_account",
            Self::OtherAccount => "statement_other_account",
        }
    }
}

/// An amount as a bank writes it, without sign: digits, and decimals after `point`. Zeros beyond the decimals of its
/// currency say nothing; anything else there is refused.
pub(super) fn amount(text: &str, point: char, currency: Currency) -> Result<Money, MoneyError> {
    let (whole, decimals) = text.split_once(point).unwrap_or((text, ""));
    let digits = |part: &str| part.bytes().all(|b| b.is_ascii_digit());
    if text.len() > 40 || (whole.is_empty() && decimals.is_empty()) || !digits(whole) || !digits(decimals) {
        return Err(MoneyError::NotAnAmount);
    }
    let (whole, decimals) = (whole.trim_start_matches('0'), decimals.trim_end_matches('0'));
    let whole = if whole.is_empty() { "0" } else { whole };
    match decimals {
        "" => Money::parse(whole, currency),
        decimals => Money::parse(&format!("{whole}.{decimals}"), currency),
    }
}

/// What people wrote, on one line: what is no character of a text is left out, and what is too long is cut.
pub(super) fn line(parts: &[&str]) -> String {
    let mut line = String::new();
    let words = parts.iter().flat_map(|part| part.split(|c: char| c.is_whitespace() || c.is_control()));
    for word in words.filter(|word| !word.is_empty()) {
        let gap = usize::from(!line.is_empty());
        let room = TEXT_BYTES_MAX.saturating_sub(line.len() + gap);
        let mut end = word.len().min(room);
        while !word.is_char_boundary(end) {
            end = end.saturating_sub(1);
        }
        let Some(fits) = word.get(..end).filter(|fits| !fits.is_empty()) else { break };
        if gap == 1 {
            line.push(' ');
        }
        line.push_str(fits);
        if fits.len() < word.len() {
            break;
        }
    }
    line
}

/// A name on one line.
pub(super) fn name(text: &str) -> String {
    line(&[text]).chars().take(NAME_CHARS_MAX).collect()
}

/// An identifier; none if it is no text, too long, or says that there is none.
pub(super) fn identifier(text: &str) -> Option<String> {
    let text = text.trim();
    let none = ["", "NONREF", "NOTPROVIDED", "NOT PROVIDED", "NONE", "N/A", "-", "."];
    let plain = is_plain(text, ID_BYTES_MAX);
    // Nothing but zeros names nothing either.
    let named = !none.contains(&text.to_ascii_uppercase().as_str()) && text.chars().any(|c| c != '0');
    (plain && named).then(|| text.to_owned())
}

/// The reference that a payment is for: the structured ones decide where there are any, then the text, then the
/// end-to-end id. Two different ones say nothing.
pub(super) fn reference(structured: &[&str], text: &str, end_to_end: Option<&str>) -> Option<Reference> {
    let found: BTreeSet<Reference> = structured.iter().filter_map(|text| text.parse().ok()).collect();
    match found.len() {
        0 => Reference::find_in(text).or_else(|| end_to_end?.parse().ok()),
        1 => found.into_iter().next(),
        _ => None,
    }
}
