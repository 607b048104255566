use maud::{Markup, html};

use crate::shop::{
    money::euros,
    order::{Door, OrderView, OwedState},
    view::View,
};

/// Money that goes back to the customer, and the question where to, if that is not known.
pub(super) fn owed(view: &View, order: &OrderView) -> Markup {
    html! {
        @if !order.owed.is_empty() {
            h2 { (view.say("Money that goes back to you", "Geld, das an Sie zurückgeht")) }
            ul.records {
                @for owed in &order.owed {
                    li {
                        h3 {
                            (euros(owed.amount_minor, view.language)) ", " (owed.state.words().in_language(view.language))
                        }
                        p.small {
                            (view.say("Why: ", "Warum: ")) (owed.because.words().in_language(view.language)) ". "
                            @if let Some(account) = &owed.account {
                                (view.say("To the account ", "Auf das Konto ")) code { (account) } "."
                            }
                        }
                    }
                }
            }
            @if order.owed.iter().any(|owed| owed.state == OwedState::NeedsAccount) { (account(view, order)) }
        }
    }
}

/// Where to? Only a customer can say so here: of a guest we know nothing by which to tell them from whoever found the link.
fn account(view: &View, order: &OrderView) -> Markup {
    let wrong = order.wrong_account.as_ref();
    html! {
        @if order.door == Door::Customer {
            form.inline method="post" action=(view.href(&format!("{}/account", order.path()))) {
                label.field {
                    span { (view.say("Whose account it is", "Wem das Konto gehört")) }
                    input type="text" name="name" value=(wrong.map(|wrong| wrong.name.as_str()).unwrap_or_default()) required
                        maxlength="70" autocomplete="name" spellcheck="false";
                }
                label.field {
                    span { (view.say("Your IBAN", "Ihre IBAN")) }
                    input type="text" name="iban" value=(wrong.map(|wrong| wrong.iban.as_str()).unwrap_or_default()) required
                        maxlength="42" autocomplete="off" spellcheck="false" autocapitalize="characters"
                        aria-invalid=[wrong.map(|_| "true")] aria-describedby=[wrong.map(|_| "account-error")];
                    @if wrong.is_some() {
                        span.error #account-error {
                            (view.say(
                                "These are no name and IBAN that a bank can read. Please compare them with your card.",
                                "So kann eine Bank Name und IBAN nicht lesen. Bitte vergleichen Sie beides mit Ihrer Karte.",
                            ))
                        }
                    }
                }
                button type="submit" { (view.say("Send it there", "Dorthin zahlen")) }
            }
        } @else {
            p {
                (view.say(
                    "Please write to us at konto@blatt-und-rebe.example where to send it, with the number of this order. This page \
                     alone is not enough: whoever has its address could be anybody.",
                    "Bitte schreiben Sie an konto@blatt-und-rebe.example, wohin es gehen soll, mit der Nummer dieser Bestellung. Diese \
                     Seite allein genügt nicht: Ihre Adresse könnte irgendwer haben.",
                ))
            }
        }
    }
}
