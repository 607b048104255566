use maud::{Markup, html};

use super::copied;
use crate::shop::{
    Customer,
    after::{AcknowledgementView, ParcelView, Stands, Thing, WithdrawLine, WithdrawView},
    catalogue::Product,
    order::{OrderView, grouped},
    page::Page,
    view::View,
};

/// What was sent, and how to follow it.
pub(in crate::shop::pages) fn parcels(view: &View, parcels: &[ParcelView]) -> Markup {
    html! {
        @if !parcels.is_empty() {
            h2 { (view.say("Your parcels", "Ihre Pakete")) }
            ul.records { @for parcel in parcels { li { (one(view, parcel)) } } }
        }
    }
}

pub(in crate::shop::pages) fn one(view: &View, parcel: &ParcelView) -> Markup {
    html! {
        h3 {
            @match parcel.arrived_s {
                Some(at_s) => { (view.say("Arrived on ", "Angekommen am ")) (view.language.day(at_s)) },
                None => { (view.say("Sent on ", "Verschickt am ")) (view.language.day(parcel.sent_s)) },
            }
        }
        (things(view, &parcel.things))
        @if let Some(carrier) = &parcel.carrier { p.small { (carrier) } }
        @if let Some(tracking) = &parcel.tracking {
            p { (copied(view, view.say("The tracking number", "Die Sendungsnummer"), tracking, tracking)) }
        }
        // The carrier learns nothing of where the link stood.
        @if let Some(link) = &parcel.link {
            p { a href=(link) rel="noreferrer" { (view.say("Where is it now?", "Wo ist es gerade?")) } }
        }
    }
}

pub(in crate::shop::pages) fn things(view: &View, things: &[Thing]) -> Markup {
    html! {
        @for (at, thing) in things.iter().enumerate() {
            @if at > 0 { ", " }
            (thing.quantity) " × " (name(view, thing))
        }
    }
}

pub(in crate::shop::pages) fn name<'a>(view: &View, thing: &'a Thing) -> &'a str {
    Product::find(&thing.product).map_or(thing.name.as_str(), |product| product.name.in_language(view.language))
}

/// The first of two steps: the function that the law wants to be seen for as long as anybody may withdraw (Directive
/// 2011/83/EU, Article 11a).
pub(super) fn withdrawal(view: &View, order: &OrderView) -> Markup {
    html! {
        @if order.after.may_withdraw() {
            h2 { (view.say("Right of withdrawal", "Widerrufsrecht")) }
            p {
                (view.say(
                    "You may withdraw without giving a reason. ",
                    "Sie können ohne Angabe von Gründen widerrufen. ",
                ))
                (until(view, &order.after.withdrawal))
            }
            p {
                a.button.outline href=(view.href(&format!("{}/withdraw", order.path()))) {
                    (view.say("Withdraw from the contract here", "Vertrag hier widerrufen"))
                }
            }
        }
    }
}

fn until(view: &View, lines: &[WithdrawLine]) -> Markup {
    let open = || lines.iter().filter(|line| line.stands == Stands::Open);
    let last = open().filter_map(|line| line.until_s).max();
    html! {
        @match last {
            Some(last) if open().all(|line| line.until_s.is_some()) => {
                (view.say("Until ", "Bis ")) (view.language.last_of(last)) "."
            },
            _ => (view.say(
                "You have fourteen days from when the last of it has arrived.",
                "Sie haben vierzehn Tage Zeit, nachdem das letzte Stück angekommen ist.",
            )),
        }
    }
}

/// The second step: what exactly, and the confirmation.
#[must_use]
pub fn withdraw(view: &View, customer: Option<&Customer>, shown: &WithdrawView) -> Page {
    let title = view.say("Withdraw from the contract", "Vertrag widerrufen");
    let main = html! {
        section.narrow.order {
            p.origin { (view.say("Order ", "Bestellung ")) code { (grouped(&shown.number)) } }
            h1 { (title) }
            p.lead {
                (view.say(
                    "Say from what. You need not say why, and we ask for nothing else: this page knows the order.",
                    "Sagen Sie, wovon. Warum, müssen Sie nicht sagen, und sonst fragen wir nichts: Diese Seite kennt die Bestellung.",
                ))
            }
            @if shown.nothing_chosen {
                p.notice role="alert" {
                    (view.say(
                        "Nothing was chosen that can be withdrawn from. Nothing has happened yet.",
                        "Es war nichts gewählt, was widerrufen werden kann. Noch ist nichts geschehen.",
                    ))
                }
            }
            form method="post" action=(view.href(&format!("{}/withdraw", shown.path))) {
                input type="hidden" name="key" value=(shown.key);
                ul.records { @for line in &shown.lines { li { (choice(view, line)) } } }
                p {
                    (view.say(
                        "We confirm at once that we have it, with day and time, and pay back within fourteen days. We may wait for that until \
                         the goods are back, or you show that you have sent them.",
                        "Wir bestätigen den Eingang sofort mit Tag und Uhrzeit und zahlen binnen vierzehn Tagen zurück. Damit dürfen wir \
                         warten, bis die Ware wieder da ist oder Sie zeigen, dass Sie sie abgeschickt haben.",
                    ))
                }
                button.danger type="submit" { (view.say("Confirm withdrawal", "Widerruf bestätigen")) }
                " " a href=(view.href(&shown.path)) { (view.say("Back to the order", "Zurück zur Bestellung")) }
            }
        }
    };
    Page::new(view, customer, title, main).private()
}

fn choice(view: &View, line: &WithdrawLine) -> Markup {
    let field = format!("of-{}", line.thing.product);
    html! {
        @if line.stands == Stands::Open {
            label.field {
                span { (name(view, &line.thing)) }
                select name=(field) {
                    @for number in (0..=line.thing.quantity).rev() { option value=(number) { (number) } }
                }
            }
            @if line.only_sealed {
                p.small { (view.say("We take it back with its seal unbroken.", "Wir nehmen es mit unverletztem Siegel zurück.")) }
            }
        } @else {
            h3 { (name(view, &line.thing)) }
            p.small { (line.stands.words().in_language(view.language)) }
        }
    }
}

/// That withdrawals were received. The link saves all of it as a file that the customer keeps and the shop cannot change.
pub(super) fn acknowledgements(view: &View, order: &OrderView) -> Markup {
    html! {
        @if !order.after.acknowledgements.is_empty() {
            h2 #withdrawn { (view.say("Your withdrawal", "Ihr Widerruf")) }
            ul.records {
                @for received in &order.after.acknowledgements {
                    li {
                        h3 {
                            (view.say("Received on ", "Eingegangen am ")) time { (view.language.moment(received.at_s)) }
                        }
                        p { (things(view, &received.things)) }
                        p.small {
                            @match received.due_minor {
                                Some(_) => {
                                    (view.say("What is due goes back by ", "Was Ihnen zusteht, geht zurück bis "))
                                    (view.language.day(received.refund_by_s)) "."
                                },
                                None => (view.say("Settled.", "Erledigt.")),
                            }
                        }
                        p {
                            a download=(format!("withdrawal-{}-{}.txt", order.number, received.key)) href=(file(view, order, received)) {
                                (view.say("Save the acknowledgement", "Eingangsbestätigung sichern"))
                            }
                        }
                    }
                }
            }
        }
    }
}

/// The acknowledgement as a text file, within the page itself.
fn file(view: &View, order: &OrderView, received: &AcknowledgementView) -> String {
    let mut text = String::from(
        view.say("Acknowledgement of receipt of a withdrawal\n\n", "Bestätigung über den Eingang eines Widerrufs\n\n"),
    );
    let moment = view.language.dated(received.at_s);
    for (what, said) in [
        (view.say("From", "Von"), "Blatt & Rebe"),
        (view.say("Order", "Bestellung"), grouped(&order.number).as_str()),
        (view.say("Received on", "Eingegangen am"), moment.as_str()),
        (view.say("Withdrawn from", "Widerrufen"), ""),
    ] {
        text.push_str(format!("{what}: {said}").trim_end());
        text.push('\n');
    }
    for thing in &received.things {
        text.push_str(&format!("  {} × {}\n", thing.quantity, name(view, thing)));
    }
    let by = view.language.day(received.refund_by_s);
    text.push_str(&format!("{}: {by}\n", view.say("To be paid back by", "Rückzahlung bis")));
    let mut address = String::from("data:text/plain;charset=utf-8,");
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() {
            address.push(char::from(byte));
        } else {
            address.push_str(&format!("%{byte:02X}"));
        }
    }
    address
}
