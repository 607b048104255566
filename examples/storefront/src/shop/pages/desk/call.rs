use maud::{Markup, PreEscaped, html};

use crate::shop::{
    desk::{CallState, CallView},
    order::Drawing,
    page::Page,
    view::View,
};

/// Asks a customer who they are, who is on the telephone or at the counter.
#[must_use]
pub fn call(view: &View, call: &CallView) -> Page {
    let title = view.say("Who is it?", "Wer ist da?");
    let main = html! {
        section.narrow.desk {
            h1 { (title) }
            @match &call.state {
                CallState::Ask { unreadable } => (ask(view, &call.form, *unreadable)),
                CallState::Waiting { ticket, number, link } => {
                    (waiting(view, &call.form, ticket, number, link))
                    @if let Some(qr) = &call.qr { (at_the_counter(view, qr)) }
                },
                CallState::Known { customer, rung, until_s } => {
                    p.lead { (view.say("The customer has proved who they are.", "Die Kundin oder der Kunde hat sich ausgewiesen.")) }
                    dl {
                        dt { (view.say("Number", "Nummer")) }
                        dd { code { (customer) } }
                        dt { (view.say("By", "Durch")) }
                        dd { (rung_in_words(view, rung)) }
                        dt { (view.say("To be seen until", "Zu sehen bis")) }
                        dd { time { (view.language.moment(*until_s)) } }
                    }
                    (again(view))
                },
                CallState::Refused => {
                    p.notice role="alert" {
                        (view.say(
                            "The customer said no: whoever is on the telephone is not them. Hang up.",
                            "Die Kundin oder der Kunde hat Nein gesagt: Am Telefon ist jemand anderes. Legen Sie auf.",
                        ))
                    }
                    (again(view))
                },
                CallState::Over => {
                    p.notice role="status" { (view.say("The time is over.", "Die Zeit ist abgelaufen.")) }
                    (again(view))
                },
            }
        }
    };
    Page::desk(view, title, main)
}

fn ask(view: &View, form: &str, unreadable: bool) -> Markup {
    html! {
        p.lead {
            (view.say(
                "You say a number, and never ask for one. The customer types it into our own page and proves who they are there.",
                "Sie sagen eine Zahl und fragen nie nach einer. Die Kundin oder der Kunde tippt sie auf unserer Seite ein und weist \
                 sich dort aus.",
            ))
        }
        @if unreadable {
            p.notice role="alert" {
                (view.say(
                    "That cannot be shown to a customer: letters, digits and plain signs, please. Or too many questions are open.",
                    "Das kann niemandem gezeigt werden: bitte Buchstaben, Ziffern und einfache Zeichen. Oder es sind zu viele Fragen offen.",
                ))
            }
        }
        form method="post" action=(view.href("/merchant/calls")) {
            input type="hidden" name="form" value=(form);
            label.field {
                span { (view.say("Why you ask", "Warum Sie fragen")) }
                select name="purpose" {
                    option { (view.say("A question about an order", "Eine Frage zu einer Bestellung")) }
                    option { (view.say("A change of address", "Eine neue Anschrift")) }
                    option { (view.say("Picking up at the counter", "Abholung an der Theke")) }
                }
            }
            p {}
            (super::field("message", view.say("What both of you see", "Was Sie beide sehen"), "", "4711", true, 40))
            p {}
            button type="submit" { (view.say("Ask who it is", "Fragen, wer da ist")) }
        }
    }
}

fn waiting(view: &View, form: &str, ticket: &str, number: &str, link: &str) -> Markup {
    let hidden = html! {
        input type="hidden" name="form" value=(form);
        input type="hidden" name="ticket" value=(ticket);
        input type="hidden" name="number" value=(number);
        input type="hidden" name="link" value=(link);
    };
    html! {
        p.lead { (view.say("Say this number:", "Sagen Sie diese Zahl:")) }
        p.spoken { strong { (number) } }
        p {
            (view.say("It is typed at ", "Eingetippt wird sie auf ")) code { (link) }
            (view.say(
                ", also linked at the foot of every page of the shop. Only if they called you.",
                ", auch am Fuß jeder Seite des Ladens. Nur wenn der Anruf an Sie kam.",
            ))
        }
        form.inline method="post" action=(view.href("/merchant/calls/look")) {
            (hidden)
            button type="submit" { (view.say("Look who it is", "Nachsehen, wer es ist")) }
            button.quiet type="submit" name="close" value="1" { (view.say("Never mind", "Doch nicht")) }
        }
    }
}

fn at_the_counter(view: &View, qr: &Drawing) -> Markup {
    let label = view.say("A code that leads to that page", "Ein Code, der zu dieser Seite führt");
    html! {
        figure {
            div.code role="img" aria-label=(label) { (PreEscaped(qr.markup())) }
            figcaption {
                (view.say("At the counter, they scan this and type the number.", "An der Theke scannt man das und tippt die Zahl ein."))
            }
        }
    }
}

fn again(view: &View) -> Markup {
    html! { p { a.button.outline href=(view.href("/merchant/calls")) { (view.say("Ask somebody else", "Jemand anderen fragen")) } } }
}

fn rung_in_words<'a>(view: &View, rung: &'a str) -> &'a str {
    match rung {
        "browser_key" => {
            view.say("the key of a browser, which is the least", "den Schlüssel eines Browsers, das ist am wenigsten")
        }
        "did" => view.say("a key of their wallet", "einen Schlüssel der Wallet"),
        "passkey" => view.say("a passkey", "einen Passkey"),
        "relationship_credential" => view.say("our customer card", "unsere Kundenkarte"),
        other => other,
    }
}
