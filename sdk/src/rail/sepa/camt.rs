//! Statements and notifications of ISO 20022: camt.053 and camt.054, version 02 and the later ones that call their
//! elements the same.

use std::borrow::Cow;

use super::{
    Iban,
    statement::{
        Direction, FILE_BYTES_MAX, LeftOut, LeftOutBecause, MOVEMENTS_MAX, Movement, MovementKind, Party, Statement,
        StatementError, StatementSource, amount, identifier, line, name, reference,
    },
    xml::{Element, Next, Xml},
};
use crate::{
    money::{Currency, Money},
    time::Day,
};

/// What the namespaces of the two messages begin with; the version follows.
const NAMESPACES: [(&str, StatementSource); 2] = [
    ("urn:iso:std:iso:20022:tech:xsd:camt.053.001.", StatementSource::Camt053),
    ("urn:iso:std:iso:20022:tech:xsd:camt.054.001.", StatementSource::Camt054),
];

/// The bank transaction code of a payment that came back: a sub-family of ISO 20022.
const RETURNED: &str = "RRTN";
/// The same in the codes of the German banks (`GVC`): the second part of `NRTI+159+...`.
const RETURNED_GVC: &str = "159";

/// The text of a file: UTF-8, or ISO 8859-1 where it says so.
pub(super) fn text(file: &[u8]) -> Result<Cow<'_, str>, StatementError> {
    let file = file.strip_prefix(b"\xef\xbb\xbf").unwrap_or(file);
    let begin = String::from_utf8_lossy(file.get(..200).unwrap_or(file)).to_ascii_lowercase();
    let declaration = begin.split("?>").next().filter(|begin| begin.trim_start().starts_with("<?xml"));
    let encoding = declaration.and_then(|text| text.split("encoding").nth(1)).map(|rest| {
        let rest = rest.trim_start_matches(|c: char| c == '=' || c.is_whitespace());
        let quoted = |quote: char| rest.strip_prefix(quote).and_then(|rest| rest.split(quote).next());
        quoted('"').or_else(|| quoted('\'')).unwrap_or_default().to_owned()
    });
    match encoding.as_deref() {
        None | Some("utf-8" | "us-ascii" | "ascii") => {
            std::str::from_utf8(file).map(Cow::Borrowed).map_err(|_| StatementError::Encoding)
        }
        Some("iso-8859-1" | "latin1") => Ok(Cow::Owned(file.iter().copied().map(char::from).collect())),
        Some(_) => Err(StatementError::Encoding),
    }
}

/// Reads a message.
pub(super) fn read(text: &str) -> Result<Statement, StatementError> {
    if text.len() > 2 * FILE_BYTES_MAX {
        return Err(StatementError::TooLarge);
    }
    let (mut xml, namespace) = Xml::open(text, "Document", |found| source_of(found).is_some())?;
    let Some(source) = source_of(&namespace) else { return Err(StatementError::Broken) };
    let (message, report) = match source {
        StatementSource::Camt053 => ("BkToCstmrStmt", "Stmt"),
        _ => ("BkToCstmrDbtCdtNtfctn", "Ntfctn"),
    };
    let mut reading = Reading::default();
    while let Some(found) = child(&mut xml)? {
        if found.0 != message {
            return Err(StatementError::Namespace { found: found.0.chars().take(80).collect() });
        }
        while let Some((found, _)) = child(&mut xml)? {
            match found.as_str() {
                "GrpHdr" => {
                    let header = xml.element(found, String::new(), &mut |part| Ok(Some(part)))?;
                    reading.made_on = header.text_at(&["CreDtTm"]).get(..10).and_then(|day| day.parse().ok());
                }
                found if found == report => reading.report(&mut xml)?,
                _ => xml.skip()?,
            }
        }
    }
    if !matches!(xml.next()?, Next::End) {
        return Err(StatementError::Broken);
    }
    let account = reading.account.ok_or(StatementError::NoAccount)?;
    Ok(Statement::of(account, source, reading.movements, reading.left_out))
}

/// The kind of message of a namespace: version 02 or later.
fn source_of(namespace: &str) -> Option<StatementSource> {
    NAMESPACES.into_iter().find_map(|(begin, source)| {
        let version = namespace.strip_prefix(begin)?;
        let two = version.len() == 2 && version.bytes().all(|b| b.is_ascii_digit());
        (two && version >= "02").then_some(source)
    })
}

/// The next element within the one that is open; none at its end. Text between elements says nothing.
fn child(xml: &mut Xml<'_>) -> Result<Option<(String, String)>, StatementError> {
    loop {
        match xml.next()? {
            Next::Open { name, currency } => return Ok(Some((name, currency))),
            Next::Text(_) => {}
            Next::Close => return Ok(None),
            Next::End => return Err(StatementError::Broken),
        }
    }
}

/// What was read so far.
#[derive(Default)]
struct Reading {
    /// When the bank made the file.
    made_on: Option<Day>,
    account: Option<Iban>,
    movements: Vec<Movement>,
    left_out: Vec<LeftOut>,
    entries: u32,
}

/// One payment of an entry.
struct Detail {
    direction: Option<Direction>,
    amount: Option<Money>,
    bank_name: Option<String>,
    structured: Vec<String>,
    text: String,
    additional: String,
    end_to_end: Option<String>,
    debtor: Party,
    creditor: Party,
    returned: Option<String>,
}

impl Reading {
    /// One statement: its account, and its entries.
    fn report(&mut self, xml: &mut Xml<'_>) -> Result<(), StatementError> {
        let mut said = false;
        while let Some((found, currency)) = child(xml)? {
            match found.as_str() {
                "Acct" => {
                    let account = xml.element(found, currency, &mut |part| Ok(Some(part)))?;
                    let named = [&["Id", "IBAN"][..], &["Id", "Othr", "Id"][..]];
                    let iban = named.iter().find_map(|path| account.text_at(path).parse::<Iban>().ok());
                    let iban = iban.ok_or(StatementError::NoAccount)?;
                    if said || self.account.as_ref().is_some_and(|known| *known != iban) {
                        return Err(StatementError::SeveralAccounts);
                    }
                    (self.account, said) = (Some(iban), true);
                }
                "Ntry" => {
                    let mut details = Vec::new();
                    let room = MOVEMENTS_MAX.saturating_sub(self.movements.len());
                    let entry = xml.element(found, currency, &mut |part| {
                        if part.name != "TxDtls" {
                            return Ok(Some(part));
                        }
                        if details.len() >= room {
                            return Err(StatementError::TooMany);
                        }
                        details.push(detail(&part));
                        Ok(None)
                    })?;
                    self.entry(&entry, details)?;
                }
                _ => xml.skip()?,
            }
        }
        // Each report names its own account.
        if said { Ok(()) } else { Err(StatementError::NoAccount) }
    }

    fn entry(&mut self, entry: &Element, details: Vec<Detail>) -> Result<(), StatementError> {
        self.entries = self.entries.saturating_add(1);
        let place = self.entries;
        let missing = |what| StatementError::Missing { place, what };
        let written = entry.one("Amt", place)?.ok_or_else(|| missing("Amt"))?;
        let indicator = entry.one("CdtDbtInd", place)?.ok_or_else(|| missing("CdtDbtInd"))?;
        let direction = direction(&indicator.text).ok_or(StatementError::Value { place, what: "CdtDbtInd" })?;
        let status = entry.one("Sts", place)?.ok_or_else(|| missing("Sts"))?;
        // Plain in version 02, a code within from version 04 on.
        let status = if status.text.is_empty() { status.text_at(&["Cd"]) } else { &status.text };
        let reversal = match entry.one("RvslInd", place)?.map_or("", |element| &element.text) {
            "" | "false" | "0" => false,
            "true" | "1" => true,
            _ => return Err(StatementError::Value { place, what: "RvslInd" }),
        };
        let bank_name = entry.one("AcctSvcrRef", place)?.and_then(|element| identifier(&element.text));
        let mut leave_out = |why| self.left_out.push(LeftOut { place, why });
        if status != "BOOK" {
            leave_out(LeftOutBecause::NotBooked);
            return Ok(());
        }
        let Ok(currency) = written.currency.parse::<Currency>() else {
            leave_out(LeftOutBecause::Currency);
            return Ok(());
        };
        let whole = amount(&written.text, '.', currency).map_err(|source| StatementError::Amount { place, source })?;
        if whole.is_zero() {
            leave_out(LeftOutBecause::Nothing);
            return Ok(());
        }
        // An entry that has a name needs no day to be known again.
        let made_on = || self.made_on.clone().filter(|_| bank_name.is_some());
        let day = day_of(entry).or_else(made_on).ok_or_else(|| missing("BookgDt"))?;
        let kind = if reversal {
            Some(MovementKind::Reversal)
        } else {
            comes_back(entry).then(|| MovementKind::Return(String::new()))
        };
        let said = entry.text_at(&["AddtlNtryInf"]).to_owned();
        let batch = identifier(entry.text_at(&["NtryDtls", "Btch", "PmtInfId"]));
        let count = entry.text_at(&["NtryDtls", "Btch", "NbOfTxs"]).trim_start_matches('0');
        let of_entry = Movement {
            place,
            direction,
            amount: whole,
            kind: kind.clone().unwrap_or(MovementKind::Payment),
            day,
            bank_name: bank_name.clone(),
            reference: None,
            text: line(&[&said]),
            end_to_end: None,
            batch,
            part_of: None,
            party: Party::default(),
            ordinal: 1,
        };
        if self.movements.len() + details.len().max(1) > MOVEMENTS_MAX {
            return Err(StatementError::TooMany);
        }
        let parts = details.len();
        match parts {
            0 if matches!(count, "" | "1") => {
                let reference = reference(&[], &of_entry.text, None);
                self.movements.push(Movement { reference, ..of_entry });
            }
            1 if matches!(count, "" | "1") => {
                let movements = details.into_iter().map(|one| {
                    let bank_name = bank_name.clone().or_else(|| one.bank_name.clone());
                    one.movement(&of_entry, bank_name, direction, whole, kind.clone())
                });
                self.movements.extend(movements);
            }
            // The parts are booked one by one if they are the whole, to the cent.
            _ => match divided(&details, direction, whole) {
                Some(amounts) => {
                    for (one, amount) in details.into_iter().zip(amounts) {
                        let own = one.bank_name.clone().filter(|own| Some(own) != bank_name.as_ref());
                        let way = one.direction.unwrap_or(direction);
                        let part = one.movement(&of_entry, own, way, amount, kind.clone());
                        let part_of = bank_name.clone().map(|name| (name, whole));
                        self.movements.push(Movement { part_of, ..part });
                    }
                }
                None => self.movements.push(Movement { kind: kind.unwrap_or(MovementKind::Batch), ..of_entry }),
            },
        }
        Ok(())
    }
}

/// The amounts of an entry's parts, if all are known, of its currency, and add up to it.
fn divided(details: &[Detail], direction: Direction, whole: Money) -> Option<Vec<Money>> {
    let mut amounts = Vec::with_capacity(details.len());
    let (mut with, mut against) = (Money::zero(whole.currency()), Money::zero(whole.currency()));
    for detail in details {
        let amount = detail.amount.filter(|amount| !amount.is_zero())?;
        let sum = if detail.direction.unwrap_or(direction) == direction { &mut with } else { &mut against };
        *sum = sum.plus(amount).ok()?;
        amounts.push(amount);
    }
    (!amounts.is_empty() && with.minus(against) == Ok(whole)).then_some(amounts)
}

/// What a payment of an entry says. What cannot be read of it is as if it were not there: then the entry is one whole.
fn detail(part: &Element) -> Detail {
    let said: Vec<&str> = part.all(&["RmtInf", "Ustrd"]).into_iter().map(|e| e.text.as_str()).collect();
    let more: Vec<&str> = part.all(&["RmtInf", "Strd", "AddtlRmtInf"]).into_iter().map(|e| e.text.as_str()).collect();
    let structured = part.all(&["RmtInf", "Strd", "CdtrRefInf", "Ref"]);
    let structured: Vec<String> = structured.into_iter().map(|e| e.text.clone()).collect();
    let amounts = [part.all(&["Amt"]), part.all(&["AmtDtls", "TxAmt", "Amt"])];
    let written = amounts.into_iter().flatten().next();
    let reason = part.all(&["RtrInf"]).first().map(|info| {
        let reason: String = info.text_at(&["Rsn", "Cd"]).chars().filter(char::is_ascii_alphanumeric).take(4).collect();
        reason
    });
    Detail {
        direction: direction(part.text_at(&["CdtDbtInd"])),
        amount: written.and_then(|e| amount(&e.text, '.', e.currency.parse().ok()?).ok()),
        bank_name: identifier(part.text_at(&["Refs", "AcctSvcrRef"])),
        text: line(&[said, more].concat()),
        structured,
        additional: line(&[part.text_at(&["AddtlTxInf"])]),
        end_to_end: identifier(part.text_at(&["Refs", "EndToEndId"])),
        debtor: party(part, ["Dbtr", "DbtrAcct", "UltmtDbtr"]),
        creditor: party(part, ["Cdtr", "CdtrAcct", "UltmtCdtr"]),
        returned: reason.or_else(|| comes_back(part).then(String::new)),
    }
}

impl Detail {
    fn movement(
        self,
        entry: &Movement,
        bank_name: Option<String>,
        direction: Direction,
        amount: Money,
        kind: Option<MovementKind>,
    ) -> Movement {
        let found: Vec<&str> = self.structured.iter().map(String::as_str).collect();
        // What the bank itself says is read only where the payer said nothing.
        let said = [&self.text, &self.additional, &entry.text].into_iter().find(|text| !text.is_empty());
        let said = said.map(String::as_str).unwrap_or_default();
        let reference = reference(&found, said, self.end_to_end.as_deref());
        let other: Vec<&str> = found.iter().copied().filter(|found| !said.contains(found)).collect();
        let text = line(&[other, vec![said]].concat());
        let kind = match (kind, self.returned) {
            (Some(MovementKind::Reversal), _) => MovementKind::Reversal,
            (_, Some(reason)) => MovementKind::Return(reason),
            (kind, None) => kind.unwrap_or(MovementKind::Payment),
        };
        Movement {
            direction,
            amount,
            kind,
            bank_name,
            reference,
            text,
            end_to_end: self.end_to_end,
            party: if direction == Direction::In { self.debtor } else { self.creditor },
            ..entry.clone()
        }
    }
}

fn direction(text: &str) -> Option<Direction> {
    match text {
        "CRDT" => Some(Direction::In),
        "DBIT" => Some(Direction::Out),
        _ => None,
    }
}

/// Whether the bank's code of an entry or a payment says that it came back.
fn comes_back(part: &Element) -> bool {
    let family = part.text_at(&["BkTxCd", "Domn", "Fmly", "SubFmlyCd"]) == RETURNED;
    family || part.text_at(&["BkTxCd", "Prtry", "Cd"]).split('+').any(|code| code == RETURNED_GVC)
}

/// The day that an entry was booked on; that of its value where the bank does not say.
fn day_of(entry: &Element) -> Option<Day> {
    let paths = [&["BookgDt", "Dt"][..], &["BookgDt", "DtTm"][..], &["ValDt", "Dt"][..], &["ValDt", "DtTm"][..]];
    paths.iter().find_map(|path| entry.text_at(path).get(..10)?.parse().ok())
}

/// Who stands at one end; from version 08 on the name stands one deeper.
fn party(part: &Element, [who, account, ultimate]: [&str; 3]) -> Party {
    let named = |who| {
        let paths = [&["RltdPties", who, "Nm"][..], &["RltdPties", who, "Pty", "Nm"][..]];
        let found = paths.iter().map(|path| part.text_at(path)).find(|text| !text.is_empty());
        name(found.unwrap_or_default())
    };
    Party {
        name: named(who),
        ultimate: named(ultimate),
        iban: part.text_at(&["RltdPties", account, "Id", "IBAN"]).parse().ok(),
    }
}
