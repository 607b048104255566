use axum::http::StatusCode;
use maud::html;

use crate::shop::{page::Page, view::View};

/// Nothing is at that address: 404.
#[must_use]
pub fn not_found(view: &View) -> Page {
    trouble(
        view,
        StatusCode::NOT_FOUND,
        view.say("This shelf is empty", "Dieses Regal ist leer"),
        view.say(
            "There is nothing at this address, and as far as we remember there never was.",
            "Unter dieser Adresse gibt es nichts, und soweit wir uns erinnern, gab es dort nie etwas.",
        ),
    )
}

/// Something was at that address, and is no more: 410.
#[must_use]
pub fn gone(view: &View) -> Page {
    trouble(
        view,
        StatusCode::GONE,
        view.say("Drunk to the last drop", "Ausgetrunken"),
        view.say("We had this once. It will not come back.", "Das hatten wir einmal. Es kommt nicht wieder."),
    )
}

/// What was typed is no number of things: 422.
#[must_use]
pub fn no_quantity(view: &View) -> Page {
    trouble(
        view,
        StatusCode::UNPROCESSABLE_ENTITY,
        view.say("How many?", "Wie viele?"),
        view.say(
            "That is no number of things. Your basket is as it was: say a number from 0 to 12.",
            "Das ist keine Stückzahl. Ihr Korb ist, wie er war: Bitte nennen Sie eine Zahl von 0 bis 12.",
        ),
    )
}

/// Our own fault: 500. The cause is for the log.
#[must_use]
pub fn out_of_order(view: &View) -> Page {
    trouble(
        view,
        StatusCode::INTERNAL_SERVER_ERROR,
        view.say("We spilled something", "Uns ist etwas umgekippt"),
        view.say(
            "It is our fault, and nothing of yours was changed. Please try again in a minute.",
            "Das ist unsere Schuld, und bei Ihnen hat sich nichts geändert. Bitte versuchen Sie es gleich noch einmal.",
        ),
    )
}

fn trouble(view: &View, status: StatusCode, title: &str, text: &str) -> Page {
    let main = html! {
        section.narrow.trouble {
            p.status aria-hidden="true" { (status.as_u16()) }
            h1 { (title) }
            p.lead { (text) }
            p.doors { a.button href=(view.href("/")) { (view.say("Back to the shop", "Zurück in den Laden")) } }
        }
    };
    Page::new(view, None, title, main).with_status(status)
}
