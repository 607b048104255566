//! The acknowledgement of a withdrawal, as the customer is to have it on paper or by mail.

use firsthand::{order::Acknowledgement, time::Zone};

use crate::lang::Lang;

/// What the customer withdrew from, and that the shop has received it on that day at that time (Directive 2011/83/EU,
/// Article 11a(4)): plain text.
pub(in crate::back_office) fn acknowledgement(lang: Lang, zone: Zone, one: &Acknowledgement) -> String {
    let at = lang.dated(zone, one.at);
    let lines: Vec<String> = one.lines.iter().map(|line| format!("{} × {}", line.quantity, line.title)).collect();
    let (number, lines) = (one.number.printed(), lines.join("\n"));
    match lang {
        Lang::En => format!(
            "We have received your withdrawal from the contract.\n\nReceived: {at}\nOrder: {number}\n\nYou have withdrawn from:\n{lines}\n"
        ),
        Lang::De => format!(
            "Wir haben Ihren Widerruf des Vertrags erhalten.\n\nEingegangen: {at}\nBestellung: {number}\n\nWiderrufen haben Sie:\n{lines}\n"
        ),
    }
}
