use maud::{Markup, PreEscaped, html};

use super::copied;
use crate::shop::{
    money::{decimal, euros},
    order::{OrderView, TransferView, grouped},
    view::View,
    words::Language,
};

/// What to tell the bank: to be scanned, opened, or copied field by field.
pub(super) fn transfer(view: &View, order: &OrderView, transfer: &TransferView) -> Markup {
    let language = view.language;
    let point = match language {
        Language::English => '.',
        Language::German => ',',
    };
    let bare: String = transfer.iban.chars().filter(|char| !char.is_whitespace()).collect();
    html! {
        section.transfer aria-labelledby="transfer" {
            h2 #transfer { (view.say("Your transfer", "Ihre Überweisung")) }
            div.slip {
                dl {
                    dt { (view.say("To", "An")) }
                    dd { (copied(view, view.say("To", "An"), &transfer.payee, &transfer.payee)) }
                    dt { "IBAN" }
                    dd { (copied(view, "IBAN", &grouped(&transfer.iban), &bare)) }
                    dt {
                        @if order.received_minor > 0 { (view.say("Still to pay", "Noch zu zahlen")) }
                        @else { (view.say("Amount", "Betrag")) }
                    }
                    dd.amount {
                        (copied(
                            view,
                            view.say("Amount", "Betrag"),
                            &euros(transfer.amount_minor, language),
                            &decimal(transfer.amount_minor, point),
                        ))
                    }
                    dt { (view.say("Reference", "Verwendungszweck")) }
                    dd { (copied(view, view.say("Reference", "Verwendungszweck"), &grouped(&transfer.reference), &transfer.reference)) }
                    dt { (view.say("Until", "Bis")) }
                    dd { time { (language.day(transfer.due_s)) } }
                }
                figure {
                    div.code role="img" aria-label=(view.say("A code for your banking app", "Ein Code für Ihre Banking-App")) {
                        (PreEscaped(transfer.qr.markup()))
                    }
                    figcaption { (view.say("Scan it with your banking app.", "Scannen Sie ihn mit Ihrer Banking-App.")) }
                }
            }
            @if transfer.payto.starts_with("payto:") {
                p { a.button.outline href=(transfer.payto) { (view.say("Open in a banking app", "In einer Banking-App öffnen")) } }
            }
            p.small {
                (view.say(
                    "The reference tells your transfer from all others: please leave it as it is. Your bank may compare the name; it is \
                     written here as on the account.",
                    "Am Verwendungszweck erkennen wir Ihre Überweisung: Bitte lassen Sie ihn, wie er ist. Ihre Bank vergleicht vielleicht \
                     den Namen; er steht hier so wie am Konto.",
                ))
            }
        }
    }
}
