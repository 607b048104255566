//! What banks' pages export as text: rows of fields (RFC 4180), in the columns that a [`CsvFormat`] names.

use std::borrow::Cow;

use super::{
    Iban,
    statement::{
        Direction, FILE_BYTES_MAX, LeftOut, LeftOutBecause, MOVEMENTS_MAX, Movement, MovementKind, Party, Statement,
        StatementError, StatementSource, amount, identifier, line, name, reference,
    },
};
use crate::{money::Currency, time::Day};

/// The most fields of a row.
const FIELDS_MAX: usize = 64;
/// The longest field, in bytes.
const FIELD_BYTES_MAX: usize = 4 * 1024;
/// How many rows may stand before the one that names the columns.
const ROWS_BEFORE_MAX: usize = 32;

/// Which columns an export has, by the names in its first row.
///
/// ```
/// use firsthand::rail::sepa::{CsvFormat, DayForm};
///
/// let format = CsvFormat::new("Date", "Amount").delimiter(',').point('.').day(DayForm::YearFirst)
///     .account("Account").currency("Currency").text(&["Purpose"]).payer("Name", "IBAN").bank_name("Transaction ID");
/// # let _ = format;
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CsvFormat {
    delimiter: char,
    point: char,
    day: DayForm,
    of: Option<Iban>,
    account: Option<String>,
    booked_on: String,
    amount: String,
    currency: Option<String>,
    text: Vec<String>,
    end_to_end: Option<String>,
    payer: Option<(String, String)>,
    bank_name: Option<String>,
    direction: Option<(String, String)>,
    pending: Option<(String, String)>,
}

/// How an export writes a day.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum DayForm {
    /// `23.11.2026`, `23.11.26`, also with `/` or `-`.
    DayFirst,
    /// `2026-11-23`, also with `.` or `/`, and with a time after it.
    YearFirst,
}

impl CsvFormat {
    /// The exports that are known by their columns.
    pub const KNOWN: [fn() -> Self; 2] = [Self::csv_camt, Self::volksbank];

    /// An export with these two columns: when it was booked, and how much, below zero for what left. Fields are divided by
    /// `;`, decimals follow a comma, and a day is written as `23.11.2026`, unless said otherwise.
    #[must_use]
    pub fn new(booked_on: &str, amount: &str) -> Self {
        Self {
            delimiter: ';',
            point: ',',
            day: DayForm::DayFirst,
            of: None,
            account: None,
            booked_on: booked_on.to_owned(),
            amount: amount.to_owned(),
            currency: None,
            text: Vec::new(),
            end_to_end: None,
            payer: None,
            bank_name: None,
            direction: None,
            pending: None,
        }
    }

    /// `CSV-CAMT`, as the savings banks of Germany export it.
    #[must_use]
    pub fn csv_camt() -> Self {
        Self::new("Buchungstag", "Betrag")
            .account("Auftragskonto")
            .currency("Waehrung")
            .text(&["Verwendungszweck"])
            .end_to_end("Kundenreferenz (End-to-End)")
            .payer("Beguenstigter/Zahlungspflichtiger", "Kontonummer/IBAN")
            .pending("Info", "Umsatz vorgemerkt")
    }

    /// As the Volksbanken and Raiffeisenbanken export it.
    #[must_use]
    pub fn volksbank() -> Self {
        Self::new("Buchungstag", "Betrag")
            .account("IBAN Auftragskonto")
            .currency("Waehrung")
            .text(&["Verwendungszweck"])
            .payer("Name Zahlungsbeteiligter", "IBAN Zahlungsbeteiligter")
    }

    /// What divides fields.
    #[must_use]
    pub const fn delimiter(mut self, delimiter: char) -> Self {
        self.delimiter = delimiter;
        self
    }

    /// What stands before decimals: `,`, and then `.` may stand between thousands; or `.`, and then `,` may.
    #[must_use]
    pub const fn point(mut self, point: char) -> Self {
        self.point = point;
        self
    }

    /// How days are written.
    #[must_use]
    pub const fn day(mut self, day: DayForm) -> Self {
        self.day = day;
        self
    }

    /// The column of the account that the export is about.
    #[must_use]
    pub fn account(mut self, column: &str) -> Self {
        self.account = Some(column.to_owned());
        self
    }

    /// The account that the export is about, where no column says it: the merchant does.
    #[must_use]
    pub fn of(mut self, account: Iban) -> Self {
        self.of = Some(account);
        self
    }

    /// The column of the currency. Without one, all is in euro.
    #[must_use]
    pub fn currency(mut self, column: &str) -> Self {
        self.currency = Some(column.to_owned());
        self
    }

    /// The columns of what the payer wrote.
    #[must_use]
    pub fn text(mut self, columns: &[&str]) -> Self {
        self.text = columns.iter().map(|&column| column.to_owned()).collect();
        self
    }

    /// The column of the end-to-end id.
    #[must_use]
    pub fn end_to_end(mut self, column: &str) -> Self {
        self.end_to_end = Some(column.to_owned());
        self
    }

    /// The columns of the name and the account of whoever stands at the other end.
    #[must_use]
    pub fn payer(mut self, name: &str, iban: &str) -> Self {
        self.payer = Some((name.to_owned(), iban.to_owned()));
        self
    }

    /// The column of the bank's own name of a movement, unique on the account and the same in every export.
    #[must_use]
    pub fn bank_name(mut self, column: &str) -> Self {
        self.bank_name = Some(column.to_owned());
        self
    }

    /// The column that says which way money moved, and what it says of what left (`S`, `Debit`); then no amount is below
    /// zero.
    #[must_use]
    pub fn direction(mut self, column: &str, left: &str) -> Self {
        self.direction = Some((column.to_owned(), left.to_owned()));
        self
    }

    /// The column that tells what is not booked yet, and what it says then.
    #[must_use]
    pub fn pending(mut self, column: &str, says: &str) -> Self {
        self.pending = Some((column.to_owned(), says.to_owned()));
        self
    }

    /// Every column that has to be there.
    fn columns(&self) -> Vec<&str> {
        let mut columns = vec![self.booked_on.as_str(), &self.amount];
        columns.extend(
            [&self.account, &self.currency, &self.end_to_end, &self.bank_name]
                .into_iter()
                .flatten()
                .map(String::as_str),
        );
        columns.extend(self.text.iter().map(String::as_str));
        columns.extend(self.payer.iter().flat_map(|(name, iban)| [name.as_str(), iban]));
        columns.extend([&self.direction, &self.pending].into_iter().flatten().map(|(column, _)| column.as_str()));
        columns
    }
}

/// The text of a file: UTF-8 where it is that, else ISO 8859-1, which every row of bytes is.
pub(super) fn text(file: &[u8]) -> Result<Cow<'_, str>, StatementError> {
    if file.len() > FILE_BYTES_MAX {
        return Err(StatementError::TooLarge);
    }
    let file = file.strip_prefix(b"\xef\xbb\xbf").unwrap_or(file);
    if file.contains(&0) {
        return Err(StatementError::Encoding);
    }
    Ok(match std::str::from_utf8(file) {
        Ok(text) => Cow::Borrowed(text),
        Err(_) => Cow::Owned(file.iter().copied().map(char::from).collect()),
    })
}

/// Whether the columns of a format stand in one of the first rows.
pub(super) fn fits(text: &str, format: &CsvFormat) -> bool {
    let mut rows = Rows { rest: text, delimiter: format.delimiter };
    header(&mut rows, format).is_ok()
}

/// Reads an export.
pub(super) fn read(text: &str, format: &CsvFormat) -> Result<Statement, StatementError> {
    let mut rows = Rows { rest: text, delimiter: format.delimiter };
    let header = header(&mut rows, format)?;
    let (mut movements, mut left_out, mut account) = (Vec::new(), Vec::new(), format.of.clone());
    let mut place = 0_u32;
    while let Some(fields) = rows.next()? {
        if fields.iter().all(|field| field.trim().is_empty()) {
            continue;
        }
        place = place.saturating_add(1);
        // Some exports end their rows with one more delimiter.
        if fields.len() < header.len() || fields.iter().skip(header.len()).any(|field| !field.trim().is_empty()) {
            return Err(StatementError::Missing { place, what: "a column" });
        }
        let row = Row { header: &header, fields: &fields, place };
        if movements.len() >= MOVEMENTS_MAX {
            return Err(StatementError::TooMany);
        }
        if let Some(column) = &format.account {
            let iban: Iban = row.field(column)?.parse().map_err(|_| StatementError::NoAccount)?;
            if account.as_ref().is_some_and(|known| *known != iban) {
                return Err(StatementError::SeveralAccounts);
            }
            account = Some(iban);
        }
        match row.movement(format)? {
            Ok(movement) => movements.push(movement),
            Err(why) => left_out.push(LeftOut { place, why }),
        }
    }
    Ok(Statement::of(account.ok_or(StatementError::NoAccount)?, StatementSource::Csv, movements, left_out))
}

/// The row that names the columns; each of the format's stands there once.
fn header(rows: &mut Rows<'_>, format: &CsvFormat) -> Result<Vec<String>, StatementError> {
    for _ in 0..ROWS_BEFORE_MAX {
        let Some(fields) = rows.next()? else { break };
        let fields: Vec<String> = fields.iter().map(|field| field.trim().to_owned()).collect();
        let once = |column: &&str| fields.iter().filter(|field| field == column).count() == 1;
        if format.columns().iter().all(once) {
            return Ok(fields);
        }
    }
    Err(StatementError::UnknownFormat)
}

struct Row<'a> {
    header: &'a [String],
    fields: &'a [Cow<'a, str>],
    place: u32,
}

impl Row<'_> {
    fn field(&self, column: &str) -> Result<&str, StatementError> {
        let found = self.header.iter().zip(self.fields).find(|(name, _)| *name == column);
        let found = found.ok_or(StatementError::Missing { place: self.place, what: "a column" })?;
        Ok(found.1.trim())
    }

    fn optional(&self, column: Option<&String>) -> Result<&str, StatementError> {
        column.map_or(Ok(""), |column| self.field(column))
    }

    fn movement(&self, format: &CsvFormat) -> Result<Result<Movement, LeftOutBecause>, StatementError> {
        let place = self.place;
        if let Some((column, says)) = &format.pending
            && self.field(column)?.eq_ignore_ascii_case(says)
        {
            return Ok(Err(LeftOutBecause::NotBooked));
        }
        let currency = match &format.currency {
            None => Currency::EUR,
            Some(column) => match self.field(column)?.parse() {
                Ok(currency) => currency,
                Err(_) => return Ok(Err(LeftOutBecause::Currency)),
            },
        };
        let written = self.field(&format.amount)?;
        let (below, digits) = match (written.strip_prefix('-'), written.strip_suffix('-')) {
            (Some(digits), None) | (None, Some(digits)) => (true, digits),
            (None, None) => (false, written.strip_prefix('+').unwrap_or(written)),
            (Some(_), Some(_)) => return Err(StatementError::Value { place, what: "the amount" }),
        };
        let digits =
            ungrouped(digits.trim(), format.point).ok_or(StatementError::Value { place, what: "the amount" })?;
        let amount =
            amount(&digits, format.point, currency).map_err(|source| StatementError::Amount { place, source })?;
        let left = match &format.direction {
            None => below,
            Some(_) if below => return Err(StatementError::Value { place, what: "the amount" }),
            Some((column, says)) => self.field(column)?.eq_ignore_ascii_case(says),
        };
        if amount.is_zero() {
            return Ok(Err(LeftOutBecause::Nothing));
        }
        let day = day(self.field(&format.booked_on)?, format.day);
        let mut parts = Vec::with_capacity(format.text.len());
        for column in &format.text {
            parts.push(self.field(column)?);
        }
        let text = line(&parts);
        let end_to_end = identifier(self.optional(format.end_to_end.as_ref())?);
        let (payer, iban) = match &format.payer {
            Some((payer, iban)) => (self.field(payer)?, self.field(iban)?),
            None => ("", ""),
        };
        Ok(Ok(Movement {
            place,
            direction: if left { Direction::Out } else { Direction::In },
            amount,
            kind: MovementKind::Payment,
            day: day.ok_or(StatementError::Value { place, what: "the day" })?,
            bank_name: identifier(self.optional(format.bank_name.as_ref())?),
            reference: reference(&[], &text, end_to_end.as_deref()),
            text,
            end_to_end,
            batch: None,
            part_of: None,
            party: Party { name: name(payer), ultimate: String::new(), iban: iban.parse().ok() },
            ordinal: 1,
        }))
    }
}

/// An amount without what stands between its thousands: groups of three, all of them or none.
fn ungrouped(text: &str, point: char) -> Option<String> {
    let between = if point == ',' { '.' } else { ',' };
    if !text.contains(between) {
        return Some(text.to_owned());
    }
    let (whole, decimals) = text.split_once(point).unwrap_or((text, ""));
    let mut groups = whole.split(between);
    let first = groups.next().is_some_and(|first| (1..=3).contains(&first.len()));
    let rest = groups.all(|group| group.len() == 3);
    let joined: String = whole.chars().filter(|c| *c != between).collect();
    (first && rest && !decimals.contains(between)).then(|| format!("{joined}{point}{decimals}"))
}

/// A day; of two digits of a year, it is this century.
fn day(text: &str, form: DayForm) -> Option<Day> {
    let text = text.split([' ', 'T']).next()?;
    let mut parts = text.split(['.', '-', '/']);
    let (a, b, c) = (parts.next()?, parts.next()?, parts.next()?);
    let (year, day) = if form == DayForm::YearFirst { (a, c) } else { (c, a) };
    let year = if year.len() == 2 { format!("20{year}") } else { year.to_owned() };
    if parts.next().is_some() {
        return None;
    }
    format!("{year}-{b:0>2}-{day:0>2}").parse().ok()
}

/// The rows of a text.
struct Rows<'a> {
    rest: &'a str,
    delimiter: char,
}

impl<'a> Rows<'a> {
    /// The next row; none at the end. A field in quotes may have line breaks within, and quotes that stand twice.
    fn next(&mut self) -> Result<Option<Vec<Cow<'a, str>>>, StatementError> {
        if self.rest.is_empty() {
            return Ok(None);
        }
        let mut fields = Vec::new();
        loop {
            let field = match self.rest.strip_prefix('"') {
                Some(quoted) => self.quoted(quoted)?,
                None => {
                    let end = self.rest.find([self.delimiter, '\n', '\r']).unwrap_or(self.rest.len());
                    let (field, rest) = self.rest.split_at_checked(end).ok_or(StatementError::Broken)?;
                    self.rest = rest;
                    Cow::Borrowed(field)
                }
            };
            if field.len() > FIELD_BYTES_MAX || fields.len() >= FIELDS_MAX {
                return Err(StatementError::Bounds);
            }
            fields.push(field);
            if let Some(rest) = self.rest.strip_prefix(self.delimiter) {
                self.rest = rest;
                continue;
            }
            let rest = self.rest.strip_prefix('\r').unwrap_or(self.rest);
            let ends = rest.len() < self.rest.len() || rest.is_empty() || rest.starts_with('\n');
            self.rest = rest.strip_prefix('\n').unwrap_or(rest);
            return if ends { Ok(Some(fields)) } else { Err(StatementError::Broken) };
        }
    }

    fn quoted(&mut self, mut rest: &'a str) -> Result<Cow<'a, str>, StatementError> {
        let mut field = String::new();
        loop {
            let (part, after) = rest.split_once('"').ok_or(StatementError::Broken)?;
            field.push_str(part);
            if field.len() > FIELD_BYTES_MAX {
                return Err(StatementError::Bounds);
            }
            match after.strip_prefix('"') {
                Some(more) => {
                    field.push('"');
                    rest = more;
                }
                None => {
                    self.rest = after;
                    return Ok(Cow::Owned(field));
                }
            }
        }
    }
}
