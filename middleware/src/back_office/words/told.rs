//! What happened to an order, as its owner wants to know it: without the names that programs use.

use firsthand::{
    order::{Happened, Line, ParcelRecord},
    rail::{WalletRail, sepa},
};

use super::{
    super::{
        after::{goods, title_of},
        html::{Html, html},
    },
    happened,
};
use crate::lang::Lang;

/// What happened to an order, in plain words; nothing of what only programs say to each other.
pub(in crate::back_office) fn told(
    lang: Lang,
    lines: &[Line],
    parcels: &[ParcelRecord],
    what: &Happened,
) -> Option<Html> {
    let say = |en, de| Some(html!("{}", lang.say(en, de)));
    let sum = |en, de, amount: &_| Some(html!("{}: {}", lang.say(en, de), lang.money(*amount)));
    let of = |en, de, parts: &[_]| Some(html!("{}: {}", lang.say(en, de), goods(lines, parts)));
    match what {
        Happened::Placed { total } => sum("Ordered for", "Bestellt für", total),
        Happened::Confirmed => say("The order is complete", "Der Kauf ist abgeschlossen"),
        Happened::StockMissing { items } => {
            let titles: Vec<&str> = items.iter().map(|item| title_of(lines, item)).collect();
            Some(html!("{}: {}", lang.say("Not in stock any more", "Nicht mehr im Bestand"), titles.join(", ")))
        }
        Happened::PaymentBegun { rail, .. } => match rail.as_str() {
            sepa::ID => say("The customer pays by transfer", "Der Kunde zahlt per Überweisung"),
            WalletRail::ID => say("The customer pays by wallet", "Der Kunde zahlt mit der Wallet"),
            _ => say("The customer began to pay", "Der Kunde hat begonnen zu zahlen"),
        },
        Happened::PaymentAnswered { outcome, .. } => match outcome.as_str() {
            "authorised" => say("The payment was authorised", "Die Zahlung wurde zugesagt"),
            "unknown" => say("It is not known yet whether it was paid", "Ob bezahlt wurde, steht noch nicht fest"),
            declined if declined.starts_with("declined") => {
                say("The payment did not work", "Die Zahlung hat nicht geklappt")
            }
            _ => None,
        },
        Happened::AuthorisationRefused { .. } => {
            say("What the wallet signed was not accepted", "Was die Wallet unterschrieb, wurde nicht angenommen")
        }
        Happened::Contradicted { .. } => say(
            "The payment provider said something that does not fit: look there",
            "Der Zahlungsanbieter sagte etwas, das nicht passt: bitte dort nachsehen",
        ),
        Happened::Received { amount, .. } => sum("Money came in", "Geld eingegangen", amount),
        Happened::Paid => say("Paid in full", "Vollständig bezahlt"),
        Happened::CaptureBegun { amount, .. } => sum("Being collected", "Wird eingezogen", amount),
        Happened::CaptureAnswered { outcome, .. } if outcome.starts_with("declined") => {
            say("Collecting did not work", "Der Einzug hat nicht geklappt")
        }
        Happened::AuthorisationEnded { .. } => {
            say("The promise to pay has run out", "Die Zahlungszusage ist abgelaufen")
        }
        Happened::ClosedShort { waived } => sum("Closed; not collected", "Abgeschlossen; nicht eingezogen", waived),
        Happened::VoidBegun { .. } => {
            say("What was not needed of the promise is given up", "Was von der Zusage nicht gebraucht wird, wird frei")
        }
        Happened::TakenBack { amount, .. } => {
            sum("The payment provider took back", "Der Zahlungsanbieter nahm zurück", amount)
        }
        Happened::RefundOwed { amount, .. } => sum("To be paid back", "Zurückzuzahlen", amount),
        Happened::RefundBegun { amount, .. } => sum("Paying back has begun", "Rückzahlung begonnen", amount),
        Happened::RefundAnswered { outcome, .. } if outcome.starts_with("declined") => {
            say("Paying back did not work", "Die Rückzahlung hat nicht geklappt")
        }
        Happened::RefundContradicted { .. } => say(
            "It may have been paid back twice: look at the payment provider",
            "Es wurde vielleicht zweimal zurückgezahlt: bitte beim Zahlungsanbieter nachsehen",
        ),
        Happened::Refunded { amount, .. } => sum("Paid back", "Zurückgezahlt", amount),
        Happened::RefundFiled { .. } => {
            say("A refund stands in a file for the bank", "Eine Erstattung steht in einer Datei für die Bank")
        }
        Happened::RefundReturned { amount, .. } => {
            sum("A refund came back from the bank", "Eine Erstattung kam von der Bank zurück", amount)
        }
        Happened::Sent { lines: parts, .. } => of("Sent", "Gesendet", parts),
        Happened::Delivered { parcel } => match parcels.iter().find(|one| one.key == *parcel) {
            Some(parcel) => of("Arrived", "Angekommen", &parcel.lines),
            None => say("A parcel has arrived", "Ein Paket ist angekommen"),
        },
        Happened::Adjusted { reason, lines: parts, amount, .. } => {
            let why = super::adjusted(*reason);
            Some(html!("{}: {}; {}", lang.say(why.0, why.1), goods(lines, parts), lang.money(*amount)))
        }
        Happened::Withdrawn { lines: parts, .. } => of("The customer withdrew from", "Der Kunde widerrief", parts),
        Happened::CaptureAnswered { .. } | Happened::VoidAnswered { .. } | Happened::RefundAnswered { .. } => None,
        // These say it without a name.
        other => Some(happened(lang, other)),
    }
}
