use maud::{Markup, html};

use super::{after, field, said, steps::buyer};
use crate::shop::{
    desk::{AskedView, DeskSale, KeptView},
    money::euros,
    order::{OwedView, grouped},
    page::Page,
    pages::{
        account::purpose,
        order::{delivery, history, lines},
        orders::badge,
    },
    view::View,
};

/// One sale: what was bought, what was asked for it, what is kept of it, and how to refund it.
#[must_use]
pub fn sale(view: &View, shown: &DeskSale) -> Page {
    let order = &shown.order;
    let language = view.language;
    let number = grouped(&order.number);
    let main = html! {
        section.narrow.desk.sale {
            p.origin { (view.say("Order", "Bestellung")) }
            h1.number { code { (number) } }
            @if let Some(notice) = shown.notice { (said(view, notice)) }
            p { (badge(view, order.status)) }
            dl {
                dt { (view.say("Placed", "Bestellt")) }
                dd { (language.moment(order.placed_s)) }
                dt { (view.say("Received", "Erhalten")) }
                dd {
                    (euros(order.received_minor, language)) (view.say(" of ", " von ")) (euros(order.total_minor, language))
                }
                dt { (view.say("Buyer", "Wer gekauft hat")) }
                dd {
                    @match &shown.customer {
                        Some(customer) => code { (customer) },
                        None => (view.say("a guest", "ein Gast")),
                    }
                }
            }
            h2 { (view.say("What was sold", "Was verkauft wurde")) }
            (lines(view, order))
            (delivery(view, &order.delivery))
            (after::parcels(view, shown))
            (after::withdrawals(view, shown))
            (repayments(view, &order.owed))
            (refund(view, shown))
            (asked(view, &shown.asked))
            (kept(view, &shown.kept))
            (steps(view, shown))
            (history(view, &order.events))
        }
    };
    Page::desk(view, &number, main)
}

fn repayments(view: &View, owed: &[OwedView]) -> Markup {
    html! {
        @if !owed.is_empty() {
            h2 { (view.say("Refunds", "Erstattungen")) }
            ul.records {
                @for owed in owed {
                    li {
                        h3 { (euros(owed.amount_minor, view.language)) }
                        p.small {
                            (owed.because.words().in_language(view.language)) "; "
                            (owed.state.words_for_merchant().in_language(view.language))
                        }
                    }
                }
            }
        }
    }
}

fn refund(view: &View, shown: &DeskSale) -> Markup {
    html! {
        h2 { (view.say("Refund", "Erstatten")) }
        @if shown.refundable_minor <= 0 {
            p.none { (view.say("There is nothing to refund.", "Es gibt nichts zu erstatten.")) }
        } @else {
            p {
                (view.say("Up to ", "Bis zu ")) (euros(shown.refundable_minor, view.language))
                (view.say(
                    ". You carry it out at your bank; until then it stands under “Refunds”.",
                    ". Sie führen es bei Ihrer Bank aus; bis dahin steht es unter „Erstattungen“.",
                ))
            }
            form.inline method="post" action=(view.href(&format!("/merchant/orders/{}/refund", shown.order.id))) {
                input type="hidden" name="form" value=(shown.form);
                (field("amount", view.say("Amount in euros", "Betrag in Euro"), &shown.typed, view.say("28.50", "28,50"), true, 16))
                button type="submit" { (view.say("Refund it", "Erstatten")) }
            }
        }
    }
}

fn asked(view: &View, asked: &[AskedView]) -> Markup {
    html! {
        h2 { (view.say("What was asked", "Was gefragt wurde")) }
        @if asked.is_empty() {
            p.none { (view.say("Nothing. No wallet was shown.", "Nichts. Es wurde keine Wallet gezeigt.")) }
        } @else {
            ul.records {
                @for asked in asked {
                    li {
                        h3 { (name_of(view, &asked.ask)) }
                        p.small {
                            (view.say("Because ", "Weil ")) (purpose(view, &asked.ask, &asked.purpose)) ". "
                            (view.say("Shown on ", "Gezeigt am ")) (view.language.moment(asked.at_s)) "."
                        }
                    }
                }
            }
        }
    }
}

/// What an ask is called, where the shop has a word for it.
fn name_of<'a>(view: &View, ask: &'a str) -> &'a str {
    match ask {
        "age" => view.say("Age", "Alter"),
        "address" => view.say("Name and address", "Name und Anschrift"),
        _ => ask,
    }
}

fn kept(view: &View, kept: &[KeptView]) -> Markup {
    html! {
        h2 { (view.say("What is kept", "Was behalten wird")) }
        @if kept.is_empty() {
            p.none { (view.say("Nothing.", "Nichts.")) }
        } @else {
            ul.records {
                @for kept in kept {
                    li {
                        h3 { (kept.what.words().in_language(view.language)) }
                        p.small {
                            @match kept.until_s {
                                Some(until_s) => { (view.say("Until ", "Bis ")) (view.language.day(until_s)) },
                                None => (view.say("In the books, as long as the law says", "In den Büchern, so lange das Gesetz es sagt")),
                            }
                        }
                    }
                }
            }
        }
    }
}

fn steps(view: &View, shown: &DeskSale) -> Markup {
    html! {
        @if let Some(sale) = shown.sale {
            h2 { (view.say("What it took", "Was es brauchte")) }
            dl {
                dt { (view.say("Buyer", "Wer kauft")) }
                dd { (buyer(view, sale.buyer)) }
                dt { (view.say("With the wallet", "Mit der Wallet")) }
                dd { (sale.steps_wallet) }
                dt { (view.say("Forms", "Formulare")) }
                dd { (sale.steps_form) }
            }
        }
    }
}
