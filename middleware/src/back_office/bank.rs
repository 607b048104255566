//! The bank: statements that are handed in, and files of refunds that are handed out.

use axum::{
    extract::Path,
    response::{IntoResponse, Response},
};
use firsthand::{
    Error,
    error::Refusal,
    merchant::{Became, RefundFile, StatementLine},
    order::OrderId,
    rail::{Statement, sepa::PainVersion},
    time::Day,
};
use http::{HeaderMap, HeaderValue, StatusCode, header};

use super::{
    Desk,
    html::{Html, html},
    multipart,
    view::{Form, Here, Query, Sent, Trouble, section, typed},
    words::{self, Words},
};
use crate::routes::Body;

/// How many files are listed.
const FILES: usize = 20;

pub(super) async fn page(desk: Desk, Query(asked): Query) -> Response {
    desk.bank_page(&asked.said, None).await
}

pub(super) async fn statement(desk: Desk, Form(headers, body): Form) -> Response {
    match desk.hand_in(&headers, body).await {
        Ok(lines) => {
            let title = desk.say("The statement", "Der Auszug");
            desk.page(Here::Bank, title, "", None, desk.report(&lines))
        }
        Err(trouble) => desk.bank_page("", Some(&trouble)).await,
    }
}

pub(super) async fn make(desk: Desk, Form(headers, body): Form) -> Response {
    let made = async {
        let sent = desk.read(&headers, body)?;
        match desk.make_file(&sent).await {
            Ok(file) => Ok(file),
            Err(trouble) => Err(sent.keep(trouble)),
        }
    };
    match made.await {
        Ok(file) => download(&file),
        Err(trouble) => desk.bank_page("", Some(&trouble)).await,
    }
}

pub(super) async fn file(desk: Desk, Path(id): Path<String>) -> Response {
    match desk.merchant.made_refund_file(&id).await {
        Ok(file) => {
            desk.hand().took("refund_file_read");
            download(&file)
        }
        Err(error) => desk.sorry(Here::Bank, &error.into()),
    }
}

/// A file to be kept, never shown: names and accounts are in it.
pub(super) fn download(file: &RefundFile) -> Response {
    let Ok(name) = HeaderValue::from_str(&format!("attachment; filename=\"{}.xml\"", file.id())) else {
        return StatusCode::INTERNAL_SERVER_ERROR.into_response();
    };
    let kind = HeaderValue::from_static("application/xml; charset=utf-8");
    ([(header::CONTENT_TYPE, kind), (header::CONTENT_DISPOSITION, name)], file.xml().to_owned()).into_response()
}

/// The order that a line of a statement is about.
pub(super) const fn order_of(became: &Became) -> Option<&OrderId> {
    match became {
        Became::Booked { order }
        | Became::RefundDone { order, .. }
        | Became::RefundTwice { order, .. }
        | Became::RefundReturned { order, .. }
        | Became::RefundDiffers { order, .. } => Some(order),
        Became::TakenBack { order } => order.as_ref(),
        _ => None,
    }
}

impl Desk {
    async fn hand_in(&self, headers: &HeaderMap, body: Body) -> Result<Vec<StatementLine>, Trouble> {
        let unreadable = || Trouble::new("statement_unreadable");
        let bytes = body.whole()?;
        let fields = multipart::fields(headers, &bytes).ok_or_else(unreadable)?;
        let named = |name: &str| fields.iter().find(|(field, _)| field == name).map(|(_, content)| *content);
        let token = named("form").and_then(|token| std::str::from_utf8(token).ok()).unwrap_or_default();
        if self.operator.read_form(token).is_none() {
            return Err(Trouble::new("form_over"));
        }
        let statement = Statement::read(named("statement").unwrap_or_default()).map_err(|_| unreadable())?;
        Ok(self.hand().import(statement).await?)
    }

    async fn make_file(&self, sent: &Sent) -> Result<RefundFile, Trouble> {
        let on: Day = sent.text("on").parse().map_err(|_| Trouble::new("day_unreadable"))?;
        let version = if sent.text("old").is_empty() { PainVersion::V09 } else { PainVersion::V03 };
        // The form's own name is the file's: sent twice, it is one file.
        match self.hand().make_file(sent.key.clone(), on, version).await {
            Err(Error::Refused(Refusal::NothingOwed)) => Err(Trouble::new("nothing_to_file")),
            file => Ok(file?),
        }
    }

    async fn bank_page(&self, said: &str, trouble: Option<&Trouble>) -> Response {
        match self.bank(trouble).await {
            Ok(main) => self.page(Here::Bank, self.say("Bank", "Bank"), said, trouble, main),
            Err(error) => self.sorry(Here::Bank, &error.into()),
        }
    }

    async fn bank(&self, trouble: Option<&Trouble>) -> Result<Html, Error> {
        let statement = html!(
            "<form method=\"post\" action=\"{}\" enctype=\"multipart/form-data\">\
             <input type=\"hidden\" name=\"form\" value=\"{}\">\
             <label><span>{}</span><input type=\"file\" name=\"statement\" required \
             accept=\".xml,.csv,text/csv,application/xml,text/xml\"></label><button>{}</button></form><p class=\"small\">{}</p>",
            self.href("/bank/statement"),
            self.operator.form(),
            self.say(
                "The file of the bank: camt.053, camt.054 or CSV-CAMT",
                "Die Datei der Bank: camt.053, camt.054 oder CSV-CAMT"
            ),
            self.say("Book what it says", "Buchen, was darin steht"),
            self.say(
                "Each payment is booked once, however often a file tells it.",
                "Jede Zahlung wird einmal gebucht, wie oft eine Datei sie auch nennt.",
            ),
        );
        let tomorrow = self.merchant.time_zone().day(self.merchant.now().plus_s(24 * 60 * 60)).to_string();
        let on = match typed(trouble, "file", "on") {
            "" => tomorrow,
            on => on.to_owned(),
        };
        let inside = html!(
            "<label><span>{}</span><input type=\"date\" name=\"on\" value=\"{}\" required></label>\
             <label class=\"sure\"><input type=\"checkbox\" name=\"old\" value=\"yes\"> <span>{}</span></label>",
            self.say("To be carried out on", "Auszuführen am"),
            on,
            self.say("in the version of 2009 (pain.001.001.03)", "in der Fassung von 2009 (pain.001.001.03)"),
        );
        let make = self.form("/bank/files", "file", &[], inside, self.say("Make the file", "Datei erstellen"));
        let made: Html = self
            .merchant
            .refund_files(FILES)
            .await?
            .iter()
            .map(|file| {
                html!("<li><a href=\"{}\"><code>{}</code></a></li>", self.href(&format!("/bank/files/{file}")), file)
            })
            .collect();
        let made = if made.is_empty() {
            Html::default()
        } else {
            html!("<h3>{}</h3><ul>{}</ul>", self.say("Made before", "Schon erstellt"), made)
        };
        Ok(html!(
            "{}{}",
            section(self.say("Hand in a statement", "Kontoauszug einreichen"), statement),
            section(
                self.say("A file of refunds for the bank", "Eine Datei mit Erstattungen für die Bank"),
                html!(
                    "<p>{}</p>{}{}",
                    self.say(
                        "All refunds by transfer whose account is known and that stand in no file yet. What you have transferred yourself, mark as done before.",
                        "Alle Erstattungen als Überweisung, deren Konto bekannt ist und die noch in keiner Datei stehen. Was Sie selbst überwiesen haben, haken Sie vorher ab.",
                    ),
                    make,
                    made
                ),
            ),
        ))
    }

    /// What became of each line of a statement.
    fn report(&self, lines: &[StatementLine]) -> Html {
        let mut counts: Vec<(Words, usize)> = Vec::new();
        for line in lines {
            let words = words::became(&line.became);
            match counts.iter_mut().find(|(known, _)| *known == words) {
                Some((_, count)) => *count = count.saturating_add(1),
                None => counts.push((words, 1)),
            }
        }
        let counts: Html = counts
            .iter()
            .map(|(words, count)| html!("<div><dt>{}</dt><dd>{}</dd></div>", self.say(words.0, words.1), count))
            .collect();
        let row = |line: &StatementLine| {
            let words = words::became(&line.became);
            let order = order_of(&line.became).map(|order| {
                let path = self.href(&format!("/orders/{order}"));
                html!(" <a href=\"{}\">{}</a>", path, self.say("to the order", "zur Bestellung"))
            });
            let waits = matches!(line.became, Became::Waits { .. })
                .then(|| html!(" <a href=\"{}\">{}</a>", self.href("/transfers"), self.say("look at it", "ansehen")));
            html!(
                "<li><p><strong>{}</strong> {}{}{}</p><p class=\"small\">{} {}</p></li>",
                line.amount.map(|amount| self.lang.money(amount)).unwrap_or_default(),
                self.say(words.0, words.1),
                order,
                waits,
                self.say("Entry", "Eintrag"),
                line.place
            )
        };
        let list = |looks: bool| -> Html {
            lines.iter().filter(|line| line.became.needs_somebody() == looks).map(row).collect()
        };
        let part = |title: &str, list: Html| {
            if list.is_empty() { Html::default() } else { section(title, html!("<ul class=\"records\">{}</ul>", list)) }
        };
        let nothing = lines.is_empty().then(|| {
            html!("<p class=\"none\">{}</p>", self.say("Nothing moved on it.", "Darauf hat sich nichts bewegt."))
        });
        html!(
            "{}<dl role=\"status\">{}</dl>{}{}<p><a href=\"{}\">{}</a></p>",
            nothing,
            counts,
            part(self.say("For you to look at", "Bitte ansehen"), list(true)),
            part(self.say("Every other line", "Alle anderen Zeilen"), list(false)),
            self.href("/bank"),
            self.say("Back to the bank", "Zurück zur Bank"),
        )
    }
}
