use maud::{Markup, html};

use super::scarcity;
use crate::shop::{
    Customer, assets,
    catalogue::{Kind, Product},
    database::stock::Stock,
    money::euros,
    page::Page,
    view::View,
};

/// The shelves.
#[must_use]
pub fn home(view: &View, customer: Option<&Customer>, stock: &Stock) -> Page {
    let main = html! {
        section.door {
            div.words {
                h1 {
                    span { (view.say("What steeps.", "Was zieht.")) }
                    " "
                    em { (view.say("What ages.", "Was reift.")) }
                }
                p.lead {
                    (view.say(
                        "Six teas and six wines, chosen by two people who could not agree on what to drink.",
                        "Sechs Tees und sechs Weine, ausgesucht von zweien, die sich nicht einigen konnten, was es zu trinken \
                         gibt.",
                    ))
                }
                p.doors {
                    a.button href="#tea" { (view.say("To the tea", "Zum Tee")) }
                    a.button.outline href="#wine" { (view.say("Down to the wine", "Hinab zum Wein")) }
                }
            }
            img.arch src=(assets::DOOR) alt="" width="640" height="560";
        }
        section.shelf #tea aria-labelledby="tea-heading" {
            header {
                h2 #tea-heading { (view.say("Tea", "Tee")) }
                p { (view.say("For everybody, at every hour.", "Für alle, zu jeder Stunde.")) }
            }
            (shelf(view, Kind::Tea, stock))
        }
        section.shelf.cellar #wine aria-labelledby="wine-heading" {
            header {
                h2 #wine-heading { (view.say("Wine", "Wein")) }
                p {
                    (view.say(
                        "For adults. Show it once from your wallet: we learn that you are over 18, and nothing else.",
                        "Für Erwachsene. Zeigen Sie es einmal mit Ihrer Wallet: Wir erfahren, dass Sie über 18 sind, und sonst \
                         nichts.",
                    ))
                }
            }
            (shelf(view, Kind::Wine, stock))
        }
    };
    Page::new(view, customer, view.say("Tea and wine", "Tee und Wein"), main)
}

/// The cards of all products of a kind.
pub(super) fn shelf(view: &View, kind: Kind, stock: &Stock) -> Markup {
    let language = view.language;
    html! {
        ul.cards {
            @for product in Product::all(kind) {
                li.card {
                    a href=(view.href(&format!("/products/{}", product.slug))) {
                        img src=(assets::picture_of(product)) alt="" width="400" height="500" loading="lazy";
                        h3 { (product.name.in_language(language)) }
                    }
                    p.taste { (product.taste.in_language(language)) }
                    p.price {
                        strong { (euros(product.price_minor, language)) }
                        " "
                        span {
                            (product.content(language)) " · "
                            (euros(product.unit_price_minor(), language)) "/" (product.unit())
                        }
                    }
                    (scarcity(view, stock.left(product)))
                }
            }
        }
    }
}
