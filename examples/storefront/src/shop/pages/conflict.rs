//! What the till says when it cannot do what was asked: nothing is lost, and what to do next is one step away.

use axum::http::StatusCode;
use maud::{Markup, html};

use crate::shop::{Customer, catalogue::Product, money::euros, page::Page, view::View, words::Words};

/// The basket costs something else than the customer saw: 409. Nothing was ordered.
#[must_use]
pub fn price_changed(view: &View, customer: Option<&Customer>, shown_minor: Option<i64>, now_minor: i64) -> Page {
    let title = view.say("The price has changed", "Der Preis hat sich geändert");
    let text = html! {
        p.lead {
            (view.say("It is now ", "Er ist jetzt ")) strong { (euros(now_minor, view.language)) }
            @if let Some(shown_minor) = shown_minor {
                (view.say(" instead of ", " statt ")) (euros(shown_minor, view.language))
            }
            (view.say(". Nothing was ordered yet.", ". Bestellt ist noch nichts."))
        }
    };
    let on = Some(("/checkout", view.say("Look again", "Noch einmal ansehen")));
    conflict(view, customer, StatusCode::CONFLICT, title, &text, on)
}

/// Somebody else was faster: 409. Nothing was ordered.
#[must_use]
pub fn out_of_stock(view: &View, customer: Option<&Customer>, product: &Product, left: u32) -> Page {
    let name = product.name.in_language(view.language);
    let title = view.say("Somebody was faster", "Da war jemand schneller");
    let text = html! {
        p.lead {
            @if left == 0 {
                (view.say("“", "„")) (name) (view.say("” is sold out", "“ ist ausverkauft"))
            } @else {
                (view.say("Of “", "Von „")) (name) (view.say("” only ", "“ sind nur noch ")) (left) (view.say(" are left", " da"))
            }
            (view.say(". Nothing was ordered yet.", ". Bestellt ist noch nichts."))
        }
    };
    let on = Some(("/checkout", view.say("See what there is", "Ansehen, was da ist")));
    conflict(view, customer, StatusCode::CONFLICT, title, &text, on)
}

/// The form was sent before, with another content: 409. `order` is the path of what came of it, if it may be told.
#[must_use]
pub fn form_used(view: &View, customer: Option<&Customer>, order: Option<&str>) -> Page {
    let title = view.say("This form was used already", "Dieses Formular ist schon benutzt");
    let text = html! {
        p.lead {
            (view.say(
                "It was sent before, with something else in it. We kept the first one and left this one alone.",
                "Es wurde schon einmal abgeschickt, mit anderem Inhalt. Wir haben das erste behalten und dieses liegen lassen.",
            ))
        }
    };
    let on = match order {
        Some(order) => (order, view.say("To that order", "Zu jener Bestellung")),
        None => ("/checkout", view.say("To a fresh form", "Zu einem neuen Formular")),
    };
    conflict(view, customer, StatusCode::CONFLICT, title, &text, Some(on))
}

/// The form is too old: 409. `back` is the path of a fresh one.
#[must_use]
pub fn form_expired(view: &View, customer: Option<&Customer>, back: &str) -> Page {
    let title = view.say("This form is too old", "Dieses Formular ist zu alt");
    let text = html! {
        p.lead {
            (view.say(
                "It lay open for so long that prices may have changed. Nothing was done; a fresh one is ready.",
                "Es lag so lange offen, dass sich Preise geändert haben können. Geschehen ist nichts; ein neues liegt bereit.",
            ))
        }
    };
    conflict(
        view,
        customer,
        StatusCode::CONFLICT,
        title,
        &text,
        Some((back, view.say("To a fresh form", "Zu einem neuen Formular"))),
    )
}

/// What was asked for cannot be done to the order as it is now: 409. `order` is the path of its page.
#[must_use]
pub fn too_late(view: &View, customer: Option<&Customer>, order: &str) -> Page {
    let title = view.say("The order has moved on", "Die Bestellung ist schon weiter");
    let text = html! {
        p.lead {
            (view.say(
                "Meanwhile something happened to it, and this can no longer be done. Nothing changed.",
                "Inzwischen ist etwas mit ihr geschehen, und das geht nun nicht mehr. Geändert hat sich nichts.",
            ))
        }
    };
    conflict(
        view,
        customer,
        StatusCode::CONFLICT,
        title,
        &text,
        Some((order, view.say("To the order", "Zur Bestellung"))),
    )
}

/// There is no such order, or it is somebody else's; nobody is told which: 404.
#[must_use]
pub fn no_such_order(view: &View, customer: Option<&Customer>) -> Page {
    let title = view.say("No such order", "Keine solche Bestellung");
    let text = html! {
        p.lead {
            (view.say(
                "There is no order at this address, or it is not yours. Whoever ordered as a guest needs the whole link.",
                "Unter dieser Adresse gibt es keine Bestellung, oder sie ist nicht Ihre. Wer als Gast bestellt hat, braucht den ganzen \
                 Link.",
            ))
        }
    };
    let on = Some(("/", view.say("Back to the shop", "Zurück in den Laden")));
    conflict(view, customer, StatusCode::NOT_FOUND, title, &text, on)
}

/// This needs a look into the wallet again: 403. `ask` is what it shows, `why` the reason, and the customer goes on at the
/// path `onward`.
#[must_use]
pub fn show_again(view: &View, customer: Option<&Customer>, ask: &str, why: Words, onward: &str) -> Page {
    let title = view.say("Show your wallet once more", "Zeigen Sie Ihre Wallet noch einmal");
    let text = html! {
        p.lead { (why.in_language(view.language)) }
        div.gate {
            p {
                (view.say(
                    "It is some time since you showed it, and anybody might sit before this browser. Nothing was changed yet.",
                    "Seit Sie sie gezeigt haben, ist einige Zeit vergangen, und vor diesem Browser könnte irgendwer sitzen. Geändert ist \
                     noch nichts.",
                ))
            }
            firsthand-button ask=(ask) return-to=(view.href(onward)) {}
        }
    };
    conflict(view, customer, StatusCode::FORBIDDEN, title, &text, None)
}

fn conflict(
    view: &View,
    customer: Option<&Customer>,
    status: StatusCode,
    title: &str,
    text: &Markup,
    on: Option<(&str, &str)>,
) -> Page {
    let main = html! {
        section.narrow.conflict {
            h1 { (title) }
            (text)
            @if let Some((path, label)) = on { p.doors { a.button href=(view.href(path)) { (label) } } }
        }
    };
    Page::new(view, customer, title, main).with_status(status).private()
}
