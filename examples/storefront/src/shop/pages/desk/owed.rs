use maud::{Markup, html};

use super::field;
use crate::shop::{
    desk::{DeskOwed, DeskView},
    money::euros,
    order::{OwedState, grouped},
    view::View,
};

/// Money that the merchant owes: every repayment, until it is done.
pub(super) fn owed(view: &View, desk: &DeskView) -> Markup {
    html! {
        h2 { (view.say("Refunds", "Erstattungen")) }
        @if desk.owed.is_empty() {
            p.none { (view.say("Nothing. You owe nobody.", "Nichts. Sie schulden niemandem etwas.")) }
        } @else {
            ul.records { @for owed in &desk.owed { (one(view, &desk.form, owed)) } }
        }
    }
}

fn one(view: &View, form: &str, owed: &DeskOwed) -> Markup {
    html! {
        li {
            h3 {
                (euros(owed.amount_minor, view.language))
                @if let Some(payee) = &owed.payee { (view.say(" to ", " an ")) (payee) }
            }
            p.small {
                @if let Some((id, number)) = &owed.order {
                    a href=(view.href(&format!("/merchant/orders/{id}"))) { code { (grouped(number)) } } ", "
                }
                (owed.because.words().in_language(view.language))
            }
            dl {
                dt { "IBAN" }
                dd {
                    @match &owed.iban {
                        Some(iban) => code { (grouped(iban)) },
                        None => (view.say("not known yet; the customer is asked", "noch nicht bekannt; der Kunde wird gefragt")),
                    }
                }
                dt { (view.say("Reference", "Verwendungszweck")) }
                dd { code { (owed.reference) } }
            }
            @match owed.state {
                OwedState::NeedsAccount => (account(view, form, owed)),
                OwedState::Owed => (act(view, form, owed, "carry_out", view.say("I will transfer it myself", "Ich überweise es selbst"))),
                OwedState::OnItsWay => {
                    p.notice { (to_do(view, owed)) }
                    (act(view, form, owed, "done", view.say("It is done", "Es ist erledigt")))
                    @if owed.filed {
                        (act(view, form, owed, "reopen", view.say("The bank did not take the file", "Bank hat die Datei nicht ausgeführt")))
                    }
                },
                OwedState::Done => p.small { (view.say("Done.", "Erledigt.")) },
            }
        }
    }
}

/// What is to be done at the bank.
fn to_do(view: &View, owed: &DeskOwed) -> Markup {
    html! {
        @if owed.filed {
            (view.say(
                "In a file for the bank: hand that in, and transfer nothing besides. Then press “It is done”.",
                "In einer Datei für die Bank: Reichen Sie diese ein, und überweisen Sie nicht zusätzlich. Drücken Sie dann „Es ist erledigt“.",
            ))
        } @else {
            (view.say("Now transfer ", "Überweisen Sie jetzt ")) strong { (euros(owed.amount_minor, view.language)) }
            (view.say(
                " at your bank, then press “It is done”, or make the file: not both.",
                " bei Ihrer Bank und drücken Sie dann „Es ist erledigt“, oder erstellen Sie die Datei: nicht beides.",
            ))
        }
    }
}

/// Guests and people without a browser write a letter.
fn account(view: &View, form: &str, owed: &DeskOwed) -> Markup {
    html! {
        form.inline method="post" action=(view.href("/merchant/owed")) {
            input type="hidden" name="form" value=(form);
            input type="hidden" name="owed" value=(owed.id);
            input type="hidden" name="act" value="account";
            (field("name", view.say("Whose account", "Wessen Konto"), "", "", true, 70))
            (field("iban", "IBAN", "", "", true, 42))
            button.quiet type="submit" { (view.say("They wrote to us", "Uns geschrieben")) }
        }
    }
}

fn act(view: &View, form: &str, owed: &DeskOwed, act: &str, button: &str) -> Markup {
    html! {
        form method="post" action=(view.href("/merchant/owed")) {
            input type="hidden" name="form" value=(form);
            input type="hidden" name="owed" value=(owed.id);
            input type="hidden" name="act" value=(act);
            button.quiet type="submit" { (button) }
        }
    }
}
