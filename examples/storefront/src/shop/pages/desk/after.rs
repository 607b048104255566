use maud::{Markup, html};

use super::field;
use crate::shop::{
    desk::{DeskSale, DeskView},
    money::decimal,
    order::grouped,
    pages::{
        order::after::{name, one, things},
        orders::list,
    },
    view::View,
    words::Language,
};

/// What is to be packed, those who have waited longest first.
pub(super) fn to_send(view: &View, desk: &DeskView) -> Markup {
    html! {
        h2 { (view.say("To send", "Zu versenden")) }
        @if desk.to_send.is_empty() {
            p.none { (view.say("Nothing is to be sent.", "Es ist nichts zu versenden.")) }
        } @else {
            ul.records {
                @for pack in &desk.to_send {
                    li {
                        h3 {
                            a href=(view.href(&format!("/merchant/orders/{}", pack.order.id))) { code { (grouped(&pack.order.number)) } }
                        }
                        p { (things(view, &pack.things)) }
                        p.small { (view.say("Placed ", "Bestellt ")) (view.language.moment(pack.order.placed_s)) }
                    }
                }
            }
        }
    }
}

/// Withdrawals that wait to be settled.
pub(super) fn withdrawn(view: &View, desk: &DeskView) -> Markup {
    html! {
        @if !desk.withdrawn.is_empty() {
            h2 { (view.say("Withdrawals", "Widerrufe")) }
            p.small {
                (view.say(
                    "Pay back within fourteen days; you may wait for the goods.",
                    "Binnen vierzehn Tagen zurückzahlen; auf die Ware dürfen Sie warten.",
                ))
            }
            (list(view, &desk.withdrawn, "/merchant/orders"))
        }
    }
}

/// What was sent of a sale, and the form that says that more was.
pub(super) fn parcels(view: &View, shown: &DeskSale) -> Markup {
    let (after, action) = (&shown.order.after, |what: &str| format!("/merchant/orders/{}/{what}", shown.order.id));
    html! {
        h2 { (view.say("Parcels", "Pakete")) }
        @if after.parcels.is_empty() { p.none { (view.say("Nothing was sent yet.", "Noch wurde nichts verschickt.")) } }
        @else {
            ul.records {
                @for parcel in &after.parcels {
                    li {
                        (one(view, parcel))
                        @if parcel.arrived_s.is_none() {
                            form method="post" action=(view.href(&action("arrived"))) {
                                input type="hidden" name="form" value=(shown.form);
                                input type="hidden" name="parcel" value=(parcel.key);
                                button.quiet type="submit" { (view.say("It has arrived", "Es ist angekommen")) }
                            }
                        }
                    }
                }
            }
        }
        @if shown.may_send && !after.unsent.is_empty() {
            form.inline.parcel method="post" action=(view.href(&action("parcels"))) {
                input type="hidden" name="form" value=(shown.form);
                @for thing in &after.unsent {
                    label.field {
                        span { (name(view, thing)) }
                        input type="number" name=(format!("of-{}", thing.product)) value=(thing.quantity) min="0" max=(thing.quantity);
                    }
                }
                (field("carrier", view.say("Who carries it", "Wer es bringt"), "", "DHL", false, 64))
                (field("tracking", view.say("Tracking number", "Sendungsnummer"), "", "", false, 64))
                (field("link", view.say("Address of its tracking page", "Adresse zur Sendungsverfolgung"), "", "https://…", false, 256))
                button type="submit" { (view.say("It is sent", "Ist verschickt")) }
            }
        }
    }
}

/// The withdrawals of a sale, and the form that settles one.
pub(super) fn withdrawals(view: &View, shown: &DeskSale) -> Markup {
    html! {
        @if !shown.order.after.acknowledgements.is_empty() {
            h2 { (view.say("Withdrawals", "Widerrufe")) }
            ul.records {
                @for received in &shown.order.after.acknowledgements {
                    li {
                        h3 { (view.language.moment(received.at_s)) }
                        p { (things(view, &received.things)) }
                        @match received.due_minor {
                            None => p.small { (view.say("Settled.", "Erledigt.")) },
                            Some(due_minor) => {
                                p.small {
                                    (view.say("To be paid back by ", "Zurückzuzahlen bis "))
                                    (view.language.day(received.refund_by_s))
                                    (view.say(
                                        "; you may wait for the goods. Less only for what was used more than a shop would allow.",
                                        "; auf die Ware dürfen Sie warten. Weniger nur für das, was mehr benutzt wurde, als ein Laden es erlaubt.",
                                    ))
                                }
                                form.inline method="post" action=(view.href(&format!("/merchant/orders/{}/withdrawals", shown.order.id))) {
                                    input type="hidden" name="form" value=(shown.form);
                                    input type="hidden" name="withdrawal" value=(received.key);
                                    (field("amount", view.say("Goes back, in euros", "Geht zurück, in Euro"), &decimal(due_minor, point(view)), "", true, 16))
                                    button type="submit" { (view.say("Settle it", "Erledigen")) }
                                }
                            },
                        }
                    }
                }
            }
        }
    }
}

const fn point(view: &View) -> char {
    match view.language {
        Language::English => '.',
        Language::German => ',',
    }
}
