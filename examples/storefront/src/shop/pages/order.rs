use maud::{Markup, html};

pub use self::after::withdraw;
use super::{checkout::label, orders::badge};
use crate::shop::{
    Customer,
    after::Sent,
    assets,
    catalogue::Product,
    delivery::Delivery,
    money::euros,
    order::{Door, EventView, Happened, OrderLine, OrderView, Status, grouped},
    page::Page,
    view::View,
};

pub(super) mod after;
mod owed;
mod transfer;

/// One order: how far it is, what there is to do, and what happened.
#[must_use]
pub fn order(view: &View, customer: Option<&Customer>, order: &OrderView) -> Page {
    let title = view.say("Your order", "Ihre Bestellung");
    let main = html! {
        section.narrow.order {
            p.origin { (view.say("Order ", "Bestellung ")) code { (grouped(&order.number)) } }
            h1 { (headline(view, order)) }
            div.state role="status" {
                (badge(view, order.status))
                p.lead { (explanation(view, order)) }
            }
            @if let Door::Guest { link, origin } = &order.door { (only_key(view, &format!("{origin}/o/{link}"))) }
            @if order.status == Status::Paid {
                p.doors {
                    a.button.outline href=(view.href(&format!("{}/receipt", order.path()))) { (view.say("Receipt", "Beleg")) }
                }
            }
            @if matches!(order.status, Status::Placed | Status::Declined) { (retry(view, order)) }
            @if let Some(transfer) = &order.transfer { (transfer::transfer(view, order, transfer)) }
            (after::acknowledgements(view, order))
            (owed::owed(view, order))
            (after::parcels(view, &order.after.parcels))
            h2 { (view.say("What you ordered", "Was Sie bestellt haben")) }
            (lines(view, order))
            (delivery(view, &order.delivery))
            (history(view, &order.events))
            @if order.may_cancel { (cancel(view, order)) }
            (after::withdrawal(view, order))
        }
    };
    Page::new(view, customer, title, main).private()
}

fn headline(view: &View, order: &OrderView) -> &'static str {
    match (order.status, order.after.sent) {
        (Status::Paid | Status::Authorised, Sent::Partly) => {
            return view.say("A part is on its way.", "Ein Teil ist unterwegs.");
        }
        (Status::Paid | Status::Authorised, Sent::All) => return view.say("On its way.", "Unterwegs."),
        (Status::Paid | Status::Authorised, Sent::Arrived) => return view.say("It has arrived.", "Angekommen."),
        _ => {}
    }
    match order.status {
        Status::Placed => view.say("Your order is placed.", "Ihre Bestellung ist da."),
        Status::Paying => view.say("One transfer, and it is yours.", "Noch eine Überweisung, und es gehört Ihnen."),
        Status::PartlyPaid => view.say("Almost there.", "Fast geschafft."),
        Status::Authorised => view.say("Authorised. We are packing.", "Zugesagt. Wir packen."),
        Status::Paid => view.say("Paid. We are packing.", "Bezahlt. Wir packen."),
        Status::Declined => view.say("The payment was declined.", "Die Zahlung wurde abgelehnt."),
        Status::Unknown => view.say("We are asking the bank.", "Wir fragen bei der Bank nach."),
        Status::Cancelled => view.say("Cancelled.", "Storniert."),
        Status::Expired => view.say("The time to pay has passed.", "Die Zeit zum Bezahlen ist um."),
    }
}

fn explanation(view: &View, order: &OrderView) -> Markup {
    let language = view.language;
    html! {
        @match order.status {
            Status::Placed => (view.say(
                "What you ordered is set aside for you. One more press, and it says here how to pay.",
                "Was Sie bestellt haben, ist für Sie zurückgelegt. Noch ein Druck, und hier steht, wie Sie bezahlen.",
            )),
            Status::Paying => (view.say(
                "What you ordered is set aside for you. A transfer takes up to a day; this page then says so.",
                "Was Sie bestellt haben, ist für Sie zurückgelegt. Eine Überweisung braucht bis zu einem Tag; dann steht es hier.",
            )),
            Status::PartlyPaid => {
                (view.say("We have received ", "Wir haben ")) (euros(order.received_minor, language))
                (view.say(" of ", " von ")) (euros(order.total_minor, language))
                (view.say(
                    ". What is missing can be transferred as before.",
                    " erhalten. Was fehlt, können Sie ebenso überweisen.",
                ))
            },
            Status::Authorised => (view.say(
                "Your payment is promised to us. We collect it when we send what you ordered, and never more.",
                "Ihre Zahlung ist uns zugesagt. Wir ziehen sie ein, wenn wir die Ware schicken, und nie mehr als das.",
            )),
            Status::Paid => (view.say(
                "Your money has come, all of it. Thank you.",
                "Ihr Geld ist da, und zwar alles. Danke.",
            )),
            Status::Declined => (view.say(
                "Nothing was taken from you. You may try once more, or leave it.",
                "Es wurde nichts abgebucht. Sie können es noch einmal versuchen oder es lassen.",
            )),
            Status::Unknown => strong { (view.say(
                "Please do not pay again. We do not know yet whether your payment has gone through; this page will say it as soon as \
                 we do.",
                "Bitte zahlen Sie nicht noch einmal. Wir wissen noch nicht, ob Ihre Zahlung durchgegangen ist; sobald wir es wissen, \
                 steht es hier.",
            )) },
            Status::Cancelled => (view.say(
                "Everything is back on the shelf. Should money come for it after all, it goes back to you.",
                "Alles steht wieder im Regal. Sollte doch noch Geld dafür kommen, geht es an Sie zurück.",
            )),
            Status::Expired => (view.say(
                "The money did not come in time, so everything is back on the shelf. Should it come after all, it goes back to you.",
                "Das Geld kam nicht rechtzeitig, darum steht alles wieder im Regal. Sollte es noch kommen, geht es an Sie zurück.",
            )),
        }
    }
}

/// What a guest has to know about the address of this page.
fn only_key(view: &View, address: &str) -> Markup {
    html! {
        div.gate.only-key {
            h2 { (view.say("Keep this address", "Heben Sie diese Adresse auf")) }
            p {
                (view.say(
                    "It is the only key to your order: we made no record of you, so nobody can find it again for you. Whoever has it sees \
                     this page.",
                    "Sie ist der einzige Schlüssel zu Ihrer Bestellung: Wir haben nichts über Sie angelegt und können sie Ihnen nicht \
                     wiederfinden. Wer sie hat, sieht diese Seite.",
                ))
            }
            (copied(view, view.say("The address", "Die Adresse"), address, address))
        }
    }
}

/// A text to be copied, and the button for that, which is there where scripts run.
fn copied(view: &View, what: &str, shown: &str, copy: &str) -> Markup {
    html! {
        span.copied {
            code { (shown) }
            button.link.copy type="button" data-copy=(copy) data-copied=(view.say("Copied", "Kopiert")) {
                (view.say("Copy", "Kopieren")) span.visually-hidden { ": " (what) }
            }
        }
    }
}

fn retry(view: &View, order: &OrderView) -> Markup {
    html! {
        form.next method="post" action=(view.href(&format!("{}/retry", order.path()))) {
            button type="submit" {
                @if order.status == Status::Placed { (view.say("Go on to pay", "Weiter zum Bezahlen")) }
                @else { (view.say("Try again", "Noch einmal versuchen")) }
            }
        }
    }
}

pub(super) fn lines(view: &View, order: &OrderView) -> Markup {
    let language = view.language;
    html! {
        ul.lines {
            @for line in &order.lines {
                @let product = Product::find(&line.product);
                li {
                    @if let Some(product) = product {
                        img src=(assets::picture_of(product)) alt="" width="400" height="500";
                    }
                    div.what {
                        (name(view, line, product))
                        p.small { (line.quantity) " × " (euros(line.price_minor, language)) }
                    }
                    p.sum { (euros(line.sum_minor, language)) }
                }
            }
        }
        p.total {
            span { (view.say("Together, tax and delivery included", "Zusammen, inkl. MwSt. und Versand")) }
            " "
            strong { (euros(order.total_minor, language)) }
        }
    }
}

/// The product's name in the reader's language, or the one under which it was sold.
fn name(view: &View, line: &OrderLine, product: Option<&Product>) -> Markup {
    html! {
        span.name { (product.map_or(line.name.as_str(), |product| product.name.in_language(view.language))) }
    }
}

pub(super) fn delivery(view: &View, delivery: &Delivery) -> Markup {
    html! {
        h2 { (view.say("Where it goes", "Wohin es geht")) }
        @match delivery {
            Delivery::Wallet(recipient) => {
                (label(recipient))
                p.small { (view.say("Shown by a wallet", "Von einer Wallet gezeigt"))
                    @if recipient.masked { (view.say(" on another device, so only the first letters stand here", " auf einem anderen Gerät, darum \
                                                        stehen hier nur die ersten Buchstaben")) }
                    "."
                }
            },
            Delivery::Typed(recipient) => {
                (label(recipient))
                p.small { (view.say("As it was typed.", "So, wie sie getippt wurde.")) }
            },
            Delivery::Erased => p { (view.say(
                "The address is erased: the parcel no longer needs it, and neither do we.",
                "Die Anschrift ist gelöscht: Das Paket braucht sie nicht mehr, und wir auch nicht.",
            )) },
        }
    }
}

pub(super) fn history(view: &View, events: &[EventView]) -> Markup {
    html! {
        h2 { (view.say("What happened", "Was geschehen ist")) }
        ol.history {
            @for event in events {
                li { time { (view.language.moment(event.at_s)) } " " span { (happened(view, &event.what)) } }
            }
        }
    }
}

fn happened(view: &View, what: &Happened) -> Markup {
    let amount = |amount_minor: i64| euros(amount_minor, view.language);
    html! {
        @match what {
            Happened::Placed => (view.say("Ordered", "Bestellt")),
            Happened::TransferAwaited => (view.say("We wait for a transfer", "Wir warten auf eine Überweisung")),
            Happened::Received(minor) => { (amount(*minor)) (view.say(" received", " erhalten")) },
            Happened::Paid => (view.say("Paid in full", "Ganz bezahlt")),
            Happened::Declined => (view.say("The payment was declined", "Die Zahlung wurde abgelehnt")),
            Happened::AskedBank => (view.say("We asked the bank what became of the payment", "Wir haben die Bank nach der Zahlung gefragt")),
            Happened::Cancelled => (view.say("Cancelled", "Storniert")),
            Happened::Expired => (view.say("Not paid in time", "Nicht rechtzeitig bezahlt")),
            Happened::Owed(minor) => { (amount(*minor)) (view.say(" are to go back", " sind zurückzuzahlen")) },
            Happened::SendingBack(minor) => { (amount(*minor)) (view.say(" are on their way back", " sind auf dem Rückweg")) },
            Happened::SentBack(minor) => { (amount(*minor)) (view.say(" sent back", " zurückgezahlt")) },
            Happened::Sent => (view.say("A parcel was sent", "Ein Paket wurde verschickt")),
            Happened::Arrived => (view.say("A parcel arrived", "Ein Paket ist angekommen")),
            Happened::Withdrawn => (view.say("Withdrawn from", "Widerrufen")),
            Happened::Adjusted => (view.say("Given back, or made cheaper", "Zurückgenommen oder billiger geworden")),
            Happened::AddressErased => (view.say("The address was erased", "Die Anschrift wurde gelöscht")),
            Happened::Other(text) => (text),
        }
    }
}

fn cancel(view: &View, order: &OrderView) -> Markup {
    html! {
        details.cancel {
            summary { (view.say("Cancel this order", "Diese Bestellung stornieren")) }
            p {
                (view.say(
                    "Everything goes back onto the shelf, and money that is under way comes back to you.",
                    "Alles kommt zurück ins Regal, und Geld, das unterwegs ist, kommt zu Ihnen zurück.",
                ))
            }
            form method="post" action=(view.href(&format!("{}/cancel", order.path()))) {
                button.danger type="submit" { (view.say("Yes, cancel it", "Ja, stornieren")) }
            }
        }
    }
}
