//! What happened to an order, in words.

use firsthand::order::{Happened, Part};

use super::{
    super::html::{Html, html},
    Words,
};
use crate::lang::Lang;

/// What this version of the pages does not know.
const OTHER: Words = ("Something else", "Etwas anderes");

/// What happened to an order.
pub(in crate::back_office) fn happened(lang: Lang, what: &Happened) -> Html {
    let say = |en, de| lang.say(en, de);
    let money = |amount: &_| lang.money(*amount);
    let parts = |lines: &[Part]| {
        let named: Vec<String> = lines.iter().map(|part| format!("{} × {}", part.quantity, part.item)).collect();
        named.join(", ")
    };
    match what {
        Happened::Placed { total } => html!("{}: {}", say("Placed", "Bestellt"), money(total)),
        Happened::Confirmed => {
            html!("{}", say("Sold: the checkout is complete", "Verkauft: Der Kauf ist abgeschlossen"))
        }
        Happened::StockMissing { items } => {
            html!("{}: {}", say("Not in stock any more", "Nicht mehr im Bestand"), items.join(", "))
        }
        Happened::PaymentBegun { attempt, rail } => {
            html!("{} {} (<code>{}</code>)", say("Attempt to pay", "Zahlversuch"), attempt, rail)
        }
        Happened::PaymentAnswered { attempt, outcome } => {
            html!("{} {}: <code>{}</code>", say("Answer to attempt", "Antwort auf Versuch"), attempt, outcome)
        }
        Happened::AuthorisationRefused { attempt, code } => html!(
            "{} {}: <code>{}</code>",
            say("The wallet’s signature was refused, attempt", "Unterschrift der Wallet abgelehnt, Versuch"),
            attempt,
            code
        ),
        Happened::Contradicted { attempt, outcome } => html!(
            "{} {}: <code>{}</code>",
            say("The rail contradicted itself, attempt", "Der Zahlungsweg widersprach sich, Versuch"),
            attempt,
            outcome
        ),
        Happened::Received { amount, by } if by.starts_with("attempt-") => {
            html!("{}: {} (<code>{}</code>)", say("Received", "Erhalten"), money(amount), by)
        }
        Happened::Received { amount, .. } => {
            html!("{}: {} ({})", say("Received", "Erhalten"), money(amount), say("transfer", "Überweisung"))
        }
        Happened::Paid => html!("{}", say("Paid", "Bezahlt")),
        Happened::CaptureBegun { key, amount, .. } => {
            html!("{}: {} (<code>{}</code>)", say("Collecting", "Einzug"), money(amount), key)
        }
        Happened::CaptureAnswered { key, outcome, .. } => html!(
            "{} <code>{}</code>: <code>{}</code>",
            say("Answer to collecting", "Antwort auf Einzug"),
            key,
            outcome
        ),
        Happened::AuthorisationEnded { attempt } => {
            html!("{} {}", say("The authorisation ended, attempt", "Die Zusage endete, Versuch"), attempt)
        }
        Happened::ClosedShort { waived } => {
            html!("{}: {}", say("Closed; not collected", "Abgeschlossen; nicht eingezogen"), money(waived))
        }
        Happened::VoidBegun { attempt } => {
            html!("{} {}", say("Giving up the rest of attempt", "Freigabe des Rests von Versuch"), attempt)
        }
        Happened::VoidAnswered { attempt, outcome } => html!(
            "{} {}: <code>{}</code>",
            say("Answer to giving up attempt", "Antwort auf Freigabe von Versuch"),
            attempt,
            outcome
        ),
        Happened::TakenBack { amount, id, .. } => html!(
            "{}: {} (<code>{}</code>)",
            say("The provider took back", "Der Anbieter nahm zurück"),
            money(amount),
            id
        ),
        Happened::RefundOwed { amount, .. } => html!("{}: {}", say("Owed back", "Zurückzuzahlen"), money(amount)),
        Happened::RefundBegun { amount, .. } => {
            html!("{}: {}", say("Being sent back", "Rückzahlung begonnen"), money(amount))
        }
        Happened::RefundAnswered { outcome, .. } => {
            html!("{}: <code>{}</code>", say("Answer to the refund", "Antwort auf die Erstattung"), outcome)
        }
        Happened::RefundContradicted { outcome, .. } => {
            html!("{}: <code>{}</code>", say("Refunded twice?", "Zweimal erstattet?"), outcome)
        }
        Happened::Refunded { amount, .. } => html!("{}: {}", say("Sent back", "Zurückgezahlt"), money(amount)),
        Happened::RefundTaken { amount, .. } => {
            html!(
                "{}: {}",
                say("The provider took what was owed", "Der Anbieter nahm, was zurückzuzahlen war"),
                money(amount)
            )
        }
        Happened::SendingStopped => html!(
            "{}",
            say(
                "Stop: the money for it is gone, or will not come. Send nothing before you have looked",
                "Halt: Das Geld dafür ist weg oder kommt nicht. Bitte nichts senden, bevor Sie nachgesehen haben"
            )
        ),
        Happened::SendingAllowed => {
            html!("{}", say("It may be sent all the same", "Darf trotzdem gesendet werden"))
        }
        Happened::RefundFiled { file, .. } => {
            html!("{} <code>{}</code>", say("A refund stands in the file", "Eine Erstattung steht in der Datei"), file)
        }
        Happened::RefundReopened { .. } => {
            html!("{}", say("A refund was taken out of its file", "Eine Erstattung wurde aus ihrer Datei genommen"))
        }
        Happened::RefundReturned { amount, reason, .. } => html!(
            "{}: {} <code>{}</code>",
            say("A refund came back", "Eine Erstattung kam zurück"),
            money(amount),
            reason
        ),
        Happened::AccountNamed { .. } => {
            html!("{}", say("An account for a refund was named", "Ein Konto für eine Erstattung wurde genannt"))
        }
        Happened::Sent { parcel, lines } => {
            html!("{} <code>{}</code>: {}", say("Sent, parcel", "Gesendet, Paket"), parcel, parts(lines))
        }
        Happened::Delivered { parcel } => {
            html!("{} <code>{}</code>", say("Arrived, parcel", "Angekommen, Paket"), parcel)
        }
        Happened::Adjusted { reason, lines, amount, .. } => {
            let why = super::adjusted(*reason);
            html!("{}: {}; {}", say(why.0, why.1), parts(lines), money(amount))
        }
        Happened::Withdrawn { lines, .. } => {
            html!("{}: {}", say("The customer withdrew from", "Der Kunde widerrief"), parts(lines))
        }
        Happened::AddressChanged => {
            html!("{}", say("The delivery address was changed", "Die Lieferanschrift wurde geändert"))
        }
        Happened::Cancelled => html!("{}", say("Cancelled", "Storniert")),
        Happened::Expired => html!("{}", say("Expired", "Verfallen")),
        _ => html!("{}", say(OTHER.0, OTHER.1)),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use firsthand::{
        money::{Currency, Money, Quantity},
        order::{AdjustmentReason, Line},
    };

    use super::{super::told, *};
    use crate::web::escape;

    fn samples() -> Vec<Happened> {
        let (attempt, amount) = (1, Money::new(1480, Currency::EUR).unwrap());
        let text = || "x".to_owned();
        let (key, outcome, parcel) = (text, text, text);
        let lines = vec![Part::new("tea", Quantity::new(2).unwrap())];
        vec![
            Happened::Placed { total: amount },
            Happened::Confirmed,
            Happened::StockMissing { items: vec!["tea".to_owned()] },
            Happened::PaymentBegun { attempt, rail: text() },
            Happened::PaymentAnswered { attempt, outcome: outcome() },
            Happened::AuthorisationRefused { attempt, code: text() },
            Happened::Contradicted { attempt, outcome: outcome() },
            Happened::Received { amount, by: text() },
            Happened::Paid,
            Happened::CaptureBegun { attempt, key: key(), amount },
            Happened::CaptureAnswered { attempt, key: key(), outcome: outcome() },
            Happened::AuthorisationEnded { attempt },
            Happened::ClosedShort { waived: amount },
            Happened::VoidBegun { attempt },
            Happened::VoidAnswered { attempt, outcome: outcome() },
            Happened::TakenBack { attempt, id: text(), amount, settled: amount },
            Happened::RefundOwed { key: key(), amount },
            Happened::RefundBegun { key: key(), amount },
            Happened::RefundAnswered { key: key(), outcome: outcome() },
            Happened::RefundContradicted { key: key(), outcome: outcome() },
            Happened::Refunded { key: key(), amount },
            Happened::RefundFiled { key: key(), file: text() },
            Happened::RefundReopened { key: key() },
            Happened::RefundReturned { key: key(), amount, reason: text() },
            Happened::AccountNamed { key: key() },
            Happened::Sent { parcel: parcel(), lines: lines.clone() },
            Happened::Delivered { parcel: parcel() },
            Happened::Adjusted { key: key(), reason: AdjustmentReason::Damaged, lines: lines.clone(), amount },
            Happened::Withdrawn { key: key(), lines },
            Happened::RefundTaken { key: key(), amount },
            Happened::SendingStopped,
            Happened::SendingAllowed,
            Happened::AddressChanged,
            Happened::Cancelled,
            Happened::Expired,
        ]
    }

    /// The name of what happened, as it is kept.
    fn name(what: &Happened) -> String {
        match serde_json::to_value(what).unwrap() {
            serde_json::Value::String(name) => name,
            serde_json::Value::Object(members) => members.keys().next().unwrap().clone(),
            other => panic!("{other}"),
        }
    }

    #[test]
    fn whatever_can_happen_has_words_of_its_own_in_both_languages() {
        // What can happen names itself where none of it is found.
        let all = serde_json::from_str::<Happened>("\"nothing\"").unwrap_err().to_string();
        let (_, all) = all.split_once("expected one of ").unwrap_or_else(|| panic!("{all}"));
        let all: BTreeSet<String> = all.split('`').skip(1).step_by(2).map(str::to_owned).collect();
        let samples = samples();
        assert!(all.len() > 30, "{all:?}");
        assert_eq!(samples.iter().map(name).collect::<BTreeSet<_>>(), all, "a sample for each, and no other");
        for lang in [Lang::En, Lang::De] {
            let said: BTreeSet<String> = samples.iter().map(|what| format!("{:?}", happened(lang, what))).collect();
            assert_eq!(said.len(), samples.len(), "each says something else: {said:?}");
            let unknown = format!("{:?}", html!("{}", lang.say(OTHER.0, OTHER.1)));
            assert!(!said.contains(&unknown), "{lang:?}");
        }
    }

    #[test]
    fn what_the_owner_reads_has_no_name_of_a_program_in_it() {
        let line = Line::new("tea", "Sencha", Money::new(740, Currency::EUR).unwrap(), Quantity::new(2).unwrap());
        let mut shown = 0;
        for lang in [Lang::En, Lang::De] {
            for what in samples() {
                let Some(told) = told(lang, std::slice::from_ref(&line), &[], &what) else { continue };
                let told = format!("{told:?}");
                for machine in ["attempt", "Versuch", "rail", "pending", "<code>x</code>"] {
                    assert!(!told.contains(machine), "{machine} in {told}");
                }
                let is_about_goods = told.contains("2 × ");
                assert!(!is_about_goods || told.contains("2 × Sencha <small><code>tea</code></small>"), "{told}");
                shown += 1;
            }
        }
        assert!(shown > 50, "{shown}");
        let answer = Happened::PaymentAnswered { attempt: 1, outcome: "pending".to_owned() };
        assert_eq!(told(Lang::De, &[], &[], &answer), None);
    }

    #[test]
    fn what_others_named_is_escaped() {
        let hostile = "<script>alert(1)</script>";
        let part = || vec![Part::new(hostile, Quantity::new(1).unwrap())];
        for what in [
            Happened::StockMissing { items: vec![hostile.to_owned()] },
            Happened::Sent { parcel: hostile.to_owned(), lines: part() },
            Happened::Withdrawn { key: String::new(), lines: part() },
        ] {
            let said = format!("{:?}", happened(Lang::En, &what));
            assert!(!said.contains("<script") && said.contains(&escape(hostile)), "{said}");
        }
    }
}
