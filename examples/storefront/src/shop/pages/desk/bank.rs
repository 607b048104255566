use maud::{Markup, html};

use super::Page;
use crate::shop::{
    desk::{DeskView, ReportLine, ReportView},
    view::View,
};

/// The form that hands in a statement.
pub(super) fn statement(view: &View, desk: &DeskView) -> Markup {
    html! {
        h2 { (view.say("Hand in a bank statement", "Kontoauszug einreichen")) }
        form.inline.statement method="post" action=(view.href("/merchant/statement")) enctype="multipart/form-data" {
            input type="hidden" name="form" value=(desk.form);
            label.field {
                span { (view.say("The file of the bank: camt.053, camt.054 or CSV-CAMT", "Die Datei der Bank: camt.053, camt.054 oder CSV-CAMT")) }
                input type="file" name="statement" required accept=".xml,.csv,text/csv,application/xml,text/xml";
            }
            button type="submit" { (view.say("Book what it says", "Buchen, was darin steht")) }
        }
        p.small {
            (view.say(
                "Each payment is booked once, however often a file tells it.",
                "Jede Zahlung wird einmal gebucht, wie oft eine Datei sie auch nennt.",
            ))
        }
    }
}

/// The form that makes a file of repayments, and those that were made.
pub(super) fn files(view: &View, desk: &DeskView) -> Markup {
    html! {
        h2 { (view.say("A file of refunds for the bank", "Eine Datei mit Erstattungen für die Bank")) }
        form.inline.file method="post" action=(view.href("/merchant/files")) {
            input type="hidden" name="form" value=(desk.form);
            label.field {
                span { (view.say("To be carried out on", "Auszuführen am")) }
                input type="date" name="on" value=(desk.file_on) required;
            }
            label.check {
                input type="checkbox" name="old" value="1";
                " " (view.say("in the version of 2009 (pain.001.001.03)", "in der Fassung von 2009 (pain.001.001.03)"))
            }
            button type="submit" { (view.say("Make the file", "Datei erstellen")) }
        }
        p.small {
            (view.say(
                "All refunds whose account is known and that stand in no file yet. What you have transferred yourself, mark as done before.",
                "Alle Erstattungen, deren Konto bekannt ist und die noch in keiner Datei stehen. Was Sie selbst überwiesen haben, haken Sie vorher ab.",
            ))
        }
        @if !desk.files.is_empty() {
            ul.files {
                @for file in &desk.files {
                    li { a href=(view.href(&format!("/merchant/files/{file}"))) download { code { (file) } } }
                }
            }
        }
    }
}

/// What a statement did.
#[must_use]
pub fn report(view: &View, report: &ReportView) -> Page {
    let title = view.say("The statement", "Der Auszug");
    let main = html! {
        section.narrow.desk {
            h1 { (title) }
            @if report.counts.is_empty() {
                p.none role="status" { (view.say("Nothing moved on it.", "Darauf hat sich nichts bewegt.")) }
            } @else {
                dl role="status" {
                    @for (words, count) in &report.counts {
                        dt { (words.in_language(view.language)) }
                        dd { (count) }
                    }
                }
            }
            @if !report.looks.is_empty() {
                h2 { (view.say("For you to look at", "Bitte ansehen")) }
                (lines(view, &report.looks))
            }
            @if !report.done.is_empty() {
                h2 { (view.say("Done", "Erledigt")) }
                (lines(view, &report.done))
            }
            p { a href=(view.href("/merchant")) { (view.say("Back to the desk", "Zurück zum Ladentisch")) } }
        }
    };
    Page::desk(view, title, main)
}

fn lines(view: &View, lines: &[ReportLine]) -> Markup {
    html! {
        ul.records {
            @for line in lines {
                li {
                    p {
                        strong { (line.amount) } ", " (line.words.in_language(view.language))
                        @if let Some(order) = &line.order {
                            ": " a href=(view.href(&format!("/merchant/orders/{order}"))) { (view.say("the order", "zur Bestellung")) }
                        }
                    }
                    p.small { (view.say("Entry ", "Eintrag ")) (line.place) }
                }
            }
        }
    }
}
