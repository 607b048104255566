use maud::{Markup, html};

use super::{home::shelf, lines_of, lost_something};
use crate::shop::{
    Customer, assets,
    cart::{Line, Short},
    catalogue::Kind,
    database::{Kept, stock::Stock},
    money::euros,
    page::Page,
    view::View,
};

/// The way to having wine set aside: what is in the cart, and the question of age.
#[must_use]
pub fn wine(view: &View, customer: Option<&Customer>, stock: &Stock, shorts: &[Short]) -> Page {
    let wines: Vec<Line> = view.cart.of(Kind::Wine).collect();
    let title = view.say("Have wine set aside", "Wein zurücklegen lassen");
    let main = html! {
        @if wines.is_empty() {
            section.shelf.cellar {
                header {
                    h1 { (title) }
                    p { (view.say("Choose a bottle first.", "Suchen Sie zuerst eine Flasche aus.")) }
                }
                (lost_something(view, &view.cart, shorts))
                (shelf(view, Kind::Wine, stock))
            }
        } @else {
            section.narrow {
                h1 { (title) }
                (lost_something(view, &view.cart, shorts))
                p.lead {
                    (view.say(
                        "For two days it stands under the counter with nobody’s name on it but yours, and we do not know that one.",
                        "Zwei Tage steht er unter der Theke, mit keinem Namen außer Ihrem, und den kennen wir nicht.",
                    ))
                }
                (lines_of(view, &wines))
                (gate(view, customer))
            }
        }
    };
    Page::new(view, customer, title, main)
}

/// What is asked of a stranger, and what an adult may do. The script puts one in the place of the other.
fn gate(view: &View, customer: Option<&Customer>) -> Markup {
    html! {
        div.gate data-firsthand="gate" {
            @if customer.is_some_and(|customer| customer.adult) {
                h2 { (view.say("You have shown that you are an adult.", "Sie haben gezeigt, dass Sie erwachsen sind.")) }
                form method="post" action=(view.with(view.cart.without_wine()).href("/wine")) {
                    input type="hidden" name="wine" value=(wine_of(view));
                    button type="submit" { (view.say("Set it aside", "Zurücklegen")) }
                }
            } @else {
                h2 { (view.say("Are you over 18?", "Sind Sie über 18?")) }
                p {
                    (view.say(
                        "Your wallet can answer this with yes, and keep name, face and birthday to itself. We note that you are \
                         an adult, and the day on which you showed it. Nothing else, and nobody else hears of it.",
                        "Ihre Wallet kann das mit Ja beantworten und Name, Gesicht und Geburtstag für sich behalten. Wir \
                         notieren, dass Sie erwachsen sind, und den Tag, an dem Sie es gezeigt haben. Sonst nichts, und sonst \
                         erfährt es niemand.",
                    ))
                }
                firsthand-button ask="age" {}
                noscript {
                    p.notice {
                        (view.say(
                            "Without JavaScript this page cannot ask a wallet. Show your basket at the counter instead.",
                            "Ohne JavaScript kann diese Seite keine Wallet fragen. Zeigen Sie Ihren Korb an der Theke.",
                        ))
                    }
                }
                p.small {
                    (view.say(
                        "No wallet? Come to the counter with any identity card; we look, and write nothing down.",
                        "Keine Wallet? Kommen Sie mit irgendeinem Ausweis an die Theke; wir schauen hin und schreiben nichts auf.",
                    ))
                    " "
                    a href=(view.href("/present")) { (view.say("What can I present?", "Was kann ich vorzeigen?")) }
                }
            }
        }
    }
}

/// The wine of the cart as text: it stands in the body of the form, which a signed request covers.
fn wine_of(view: &View) -> String {
    let mut wine = view.cart.clone();
    for line in view.cart.of(Kind::Tea) {
        wine.set(line.product, 0);
    }
    wine.text()
}

/// What is set aside for a customer.
#[must_use]
pub fn reserved(view: &View, customer: &Customer, kept: &[Kept]) -> Page {
    let language = view.language;
    let title = view.say("Set aside for you", "Für Sie zurückgelegt");
    let total: u32 = kept.iter().map(|kept| kept.line.price_minor()).sum();
    let main = html! {
        section.narrow {
            h1 { (title) }
            @if kept.is_empty() {
                p.lead { (view.say("Nothing at the moment.", "Im Augenblick nichts.")) }
                p.doors { a.button href=(view.href("/#wine")) { (view.say("Down to the wine", "Hinab zum Wein")) } }
            } @else {
                p.lead { (view.say("Under the counter, waiting.", "Unter der Theke, und wartet.")) }
                ul.lines {
                    @for kept in kept {
                        li {
                            img src=(assets::picture_of(kept.line.product)) alt="" width="400" height="500";
                            div.what {
                                span.name { (kept.line.product.name.in_language(language)) }
                                p.small {
                                    (kept.line.quantity) " × " (kept.line.product.content(language)) ", "
                                    (view.say("until ", "bis ")) (language.moment(kept.until_s))
                                }
                            }
                            div.change {
                                form method="post" action=(view.href("/wine/reserved")) {
                                    input type="hidden" name="product" value=(kept.line.product.slug);
                                    button.link type="submit" {
                                        (view.say("Put back", "Zurückstellen"))
                                        span.visually-hidden { ": " (kept.line.product.name.in_language(language)) }
                                    }
                                }
                            }
                            p.sum { (euros(kept.line.price_minor(), language)) }
                        }
                    }
                }
                p.total {
                    span { (view.say("To pay at the counter", "An der Theke zu zahlen")) }
                    " "
                    strong { (euros(total, language)) }
                }
            }
            (label(view, customer))
            script type="module" src=(assets::ACCOUNT_SCRIPT) {}
            firsthand-passkey offer ask="welcome" {}
        }
    };
    Page::new(view, Some(customer), title, main)
}

/// A label for a parcel, from the name and address that the wallet told: shown and printed, never stored.
fn label(view: &View, customer: &Customer) -> Markup {
    html! {
        div.gate data-firsthand="label" {
            @if let Some(recipient) = &customer.recipient {
                h2 { (view.say("Your parcel label", "Ihr Paketschein")) }
                address.label {
                    strong { (recipient.name) }
                    @for line in &recipient.lines { br; (line) }
                }
                p.small {
                    (view.say(
                        "Told by your wallet. We read it for this page, for a quarter of an hour at most, and do not keep it. \
                         Print it and hand it in with your bottles.",
                        "Von Ihrer Wallet gezeigt. Wir lesen es für diese Seite, höchstens eine Viertelstunde lang, und behalten es \
                         nicht. Drucken Sie es aus und geben Sie es mit den Flaschen ab.",
                    ))
                }
            } @else {
                h2 { (view.say("A parcel for somebody far away?", "Ein Paket für weit weg?")) }
                p {
                    (view.say(
                        "Your wallet can fill in the label with your name and address. We do not keep them.",
                        "Ihre Wallet kann den Paketschein mit Name und Anschrift ausfüllen. Wir behalten sie nicht.",
                    ))
                }
                firsthand-button ask="address" {}
            }
        }
    }
}
