use maud::{Markup, html};

use super::field;
use crate::shop::{
    desk::{DeskView, UnmatchedView},
    money::euros,
    order::grouped,
    view::View,
};

/// The form that books a transfer from the bank's statement.
pub(super) fn book(view: &View, desk: &DeskView) -> Markup {
    let typed = &desk.typed;
    let amount = view.say("28.50", "28,50");
    html! {
        h2 { (view.say("Book a transfer", "Überweisung buchen")) }
        form.booking method="post" action=(view.href("/merchant/transfers")) {
            input type="hidden" name="form" value=(desk.form);
            (field("transfer", view.say("The bank’s number of it", "Nummer bei der Bank"), &typed.transfer, "", true, 64))
            (field("amount", view.say("Amount in euros", "Betrag in Euro"), &typed.amount, amount, true, 16))
            (field(
                "reference",
                view.say("Reference, as on the statement", "Verwendungszweck, wie auf dem Auszug"),
                &typed.reference,
                "RF…",
                false,
                140,
            ))
            (field("payer", view.say("Who paid", "Wer bezahlt hat"), &typed.payer, "", false, 140))
            (field("payer_iban", view.say("From which account (IBAN)", "Von welchem Konto (IBAN)"), &typed.payer_iban, "", false, 42))
            button type="submit" { (view.say("Book it", "Buchen")) }
        }
    }
}

/// Transfers that no order claims.
pub(super) fn unmatched(view: &View, desk: &DeskView) -> Markup {
    html! {
        h2 { (view.say("Transfers without an order", "Überweisungen ohne Bestellung")) }
        @if desk.unmatched.is_empty() {
            p.none { (view.say("None: every transfer found its order.", "Keine: Jede Überweisung hat ihre Bestellung gefunden.")) }
        } @else {
            ul.records { @for transfer in &desk.unmatched { (one(view, &desk.form, transfer)) } }
        }
    }
}

fn one(view: &View, form: &str, transfer: &UnmatchedView) -> Markup {
    let token = html! {
        input type="hidden" name="form" value=(form);
        input type="hidden" name="transfer" value=(transfer.transfer);
    };
    let action = view.href("/merchant/unmatched");
    html! {
        li {
            h3 {
                (euros(transfer.amount_minor, view.language)) (view.say(" from ", " von "))
                @if transfer.payer.is_empty() { (view.say("nobody named", "ungenannt")) } @else { (transfer.payer) }
            }
            p.small {
                (view.language.day(transfer.booked_s))
                @if let Some(iban) = &transfer.payer_iban { ", " code { (grouped(iban)) } }
            }
            p {
                @if transfer.reference.is_empty() { (view.say("Without a reference", "Ohne Verwendungszweck")) }
                @else { (view.say("“", "„")) (transfer.reference) (view.say("”", "“")) }
            }
            @if let Some(why) = transfer.why { p.notice { (why.in_language(view.language)) } }
            form.inline method="post" action=(action) {
                (token)
                input type="hidden" name="act" value="assign";
                (field("number", view.say("Belongs to the order", "Gehört zur Bestellung"), "", "RF…", true, 42))
                button.quiet type="submit" { (view.say("Assign", "Zuordnen")) }
            }
            form method="post" action=(action) {
                (token)
                input type="hidden" name="act" value="sent_back";
                button.link type="submit" { (view.say("I have sent it back", "Ich habe sie zurückgezahlt")) }
            }
            @if transfer.why.is_some() {
                form method="post" action=(action) {
                    (token)
                    input type="hidden" name="act" value="same";
                    button.link type="submit" {
                        (view.say("It is no payment for us, or booked already", "Sie ist keine Zahlung an uns oder schon gebucht"))
                    }
                }
            }
        }
    }
}
