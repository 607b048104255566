//! The bank: statements that are handed in, and files of repayments that are handed out.

use axum::{
    Form,
    extract::{
        Multipart, Path,
        multipart::{MultipartError, MultipartRejection},
    },
    http::{HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use firsthand_axum::{
    Error,
    error::Refusal,
    merchant::{Became, RefundFile, StatementLine, WaitsBecause},
    money::Currency,
    rail::{
        Statement,
        sepa::{FILE_BYTES_MAX, LeftOutBecause, PainVersion, StatementError},
    },
};

use super::{Desk, shown};
use crate::{
    shop::{
        desk::{FileForm, Notice, ReportLine, ReportView, TransferForm},
        money::euros,
        page::Page,
        pages::{desk as pages, not_found},
        view::View,
        words::Words,
    },
    trouble::Trouble,
};

/// The largest form with a statement that is read, in bytes.
pub(super) const STATEMENT_MAX: usize = FILE_BYTES_MAX + 64 * 1024;
/// How many files the desk shows.
pub(super) const FILES: usize = 5;

pub(super) async fn statement(desk: Desk, view: View, form: Result<Multipart, MultipartRejection>) -> Response {
    let done = async {
        let Ok((token, file)) = read(form).await else { return Ok(Err(Notice::StatementUnreadable)) };
        if desk.operator.read_form(&token).is_none() {
            return Ok(Err(Notice::FormOver));
        }
        desk.import(&view, &file).await
    };
    match done.await {
        Ok(Ok(page)) => page.into_response(),
        Ok(Err(notice)) => desk.say(&view, Ok(notice), TransferForm::default()).await,
        Err(trouble) => trouble.page(&view, None, "/merchant"),
    }
}

/// The token and the file of a form: whatever else is in it is passed over.
async fn read(form: Result<Multipart, MultipartRejection>) -> Result<(String, Vec<u8>), Option<MultipartError>> {
    let mut form = form.map_err(|_| None)?;
    let (mut token, mut file) = (String::new(), Vec::new());
    while let Some(field) = form.next_field().await? {
        match field.name() {
            Some("form") => token = field.text().await?,
            Some("statement") => file = field.bytes().await?.to_vec(),
            _ => {}
        }
    }
    Ok((token, file))
}

pub(super) async fn make(desk: Desk, view: View, Form(form): Form<FileForm>) -> Response {
    match desk.make_file(&form).await {
        Ok(Ok(file)) => download(&file),
        Ok(Err(notice)) => desk.say(&view, Ok(notice), TransferForm::default()).await,
        Err(trouble) => trouble.page(&view, None, "/merchant"),
    }
}

pub(super) async fn file(desk: Desk, view: View, Path(id): Path<String>) -> Response {
    match desk.till.merchant.made_refund_file(&id).await {
        Ok(file) => download(&file),
        Err(Error::Refused(Refusal::NoSuchRefundFile)) => not_found(&view).into_response(),
        Err(error) => shown(Err(error.into()), &view),
    }
}

/// A file to be kept, never shown: names and accounts are in it.
fn download(file: &RefundFile) -> Response {
    let name = format!("attachment; filename=\"{}.xml\"", file.id());
    let Ok(name) = HeaderValue::from_str(&name) else { return StatusCode::INTERNAL_SERVER_ERROR.into_response() };
    let headers = [
        (header::CONTENT_TYPE, HeaderValue::from_static("application/xml; charset=utf-8")),
        (header::CONTENT_DISPOSITION, name),
        (header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff")),
    ];
    (headers, file.xml().to_owned()).into_response()
}

impl Desk {
    async fn import(&self, view: &View, file: &[u8]) -> Result<Result<Page, Notice>, Trouble> {
        let Ok(statement) = Statement::read(file) else { return Ok(Err(Notice::StatementUnreadable)) };
        match self.till.merchant.import_statement(&statement).await {
            Err(Error::Statement(StatementError::OtherAccount)) => Ok(Err(Notice::StatementOfOther)),
            lines => Ok(Ok(pages::report(view, &report(&lines?, view)))),
        }
    }

    async fn make_file(&self, form: &FileForm) -> Result<Result<RefundFile, Notice>, Trouble> {
        // The form's own name is the file's: sent twice, it is one file.
        let Some(key) = self.operator.read_form(&form.form) else { return Ok(Err(Notice::FormOver)) };
        let Ok(on) = form.on.parse() else { return Ok(Err(Notice::DayUnreadable)) };
        let version = if form.old.is_some() { PainVersion::V03 } else { PainVersion::V09 };
        match self.till.merchant.refund_file(&key, &on, version).await {
            Err(Error::Refused(Refusal::NothingOwed)) => Ok(Err(Notice::NothingToFile)),
            Err(Error::Refused(Refusal::RefundFileDiffers)) => Ok(Err(Notice::FormOver)),
            file => Ok(Ok(file?)),
        }
    }
}

/// Why a transfer waits, if somebody has to know more than that it names no order.
pub(super) fn waits(why: WaitsBecause) -> Option<Words> {
    Some(match why {
        WaitsBecause::NoOrder => return None,
        WaitsBecause::Differs => Words(
            "The bank used its number for another transfer before",
            "Die Bank hat ihre Nummer schon für eine andere Überweisung benutzt",
        ),
        WaitsBecause::MaybeSame => Words(
            "It may be booked already, from another kind of file",
            "Sie ist vielleicht schon gebucht, aus einer anderen Art von Datei",
        ),
        WaitsBecause::CameBack => {
            Words("It came back, or the bank took it back", "Sie kam zurück, oder die Bank hat sie zurückgenommen")
        }
        WaitsBecause::Batch => Words(
            "It is several payments that the bank does not tell apart",
            "Es sind mehrere Zahlungen, die die Bank nicht einzeln nennt",
        ),
        _ => Words("Somebody has to look at it", "Jemand muss sie ansehen"),
    })
}

fn report(lines: &[StatementLine], view: &View) -> ReportView {
    let mut counts: Vec<(Words, usize)> = Vec::new();
    let (mut looks, mut done) = (Vec::new(), Vec::new());
    for line in lines {
        let (words, order) = said(&line.became);
        match counts.iter_mut().find(|(known, _)| *known == words) {
            Some((_, count)) => *count += 1,
            None => counts.push((words, 1)),
        }
        let amount = line.amount.map(|amount| match amount.currency() {
            Currency::EUR => euros(amount.minor(), view.language),
            _ => amount.to_string(),
        });
        let shown = ReportLine { place: line.place, amount: amount.unwrap_or_default(), words, order };
        match &line.became {
            became if became.needs_somebody() => looks.push(shown),
            Became::Booked { .. } | Became::RefundDone { .. } => done.push(shown),
            _ => {}
        }
    }
    ReportView { counts, looks, done }
}

/// What became of a movement, and the order that it is about.
fn said(became: &Became) -> (Words, Option<String>) {
    let of = |order: &firsthand_axum::order::OrderId| Some(order.to_string());
    match became {
        Became::Booked { order } => (Words("Booked", "Gebucht"), of(order)),
        Became::Known => (Words("Booked before", "Schon gebucht"), None),
        Became::Waits { why, .. } => {
            let none = Words("No order has that reference", "Keine Bestellung hat diesen Verwendungszweck");
            (waits(*why).unwrap_or(none), None)
        }
        Became::RefundDone { order, .. } => (Words("Repaid", "Zurückgezahlt"), of(order)),
        Became::RefundTwice { order, .. } => {
            (Words("Repaid twice: ask for it back", "Zweimal zurückgezahlt: bitte zurückfordern"), of(order))
        }
        Became::RefundReturned { order, .. } => (
            Words(
                "A repayment came back: name another account",
                "Eine Rückzahlung kam zurück: bitte ein anderes Konto nennen",
            ),
            of(order),
        ),
        Became::RefundDiffers { order, .. } => {
            (Words("A repayment of another amount", "Eine Rückzahlung über einen anderen Betrag"), of(order))
        }
        Became::TakenBack { order } => (
            Words("The bank took a payment back", "Die Bank hat eine Zahlung zurückgenommen"),
            order.as_ref().and_then(of),
        ),
        Became::Outgoing => (Words("Left the account otherwise", "Sonst abgegangen"), None),
        Became::LeftOut(LeftOutBecause::NotBooked) => {
            (Words("Not booked by the bank yet", "Von der Bank noch nicht gebucht"), None)
        }
        _ => (Words("Nothing to book", "Nichts zu buchen"), None),
    }
}
