use maud::html;

use super::{quantity_form, scarcity};
use crate::shop::{Customer, assets, catalogue::Product, money::euros, page::Page, view::View};

/// One product, of which `left` stand on the shelf.
#[must_use]
pub fn product(view: &View, customer: Option<&Customer>, product: &Product, left: u32) -> Page {
    let language = view.language;
    let name = product.name.in_language(language);
    let held = view.cart.quantity(product);
    let button = if held == 0 {
        view.say("Into the basket", "In den Korb")
    } else {
        view.say("Change the basket", "Korb ändern")
    };
    let main = html! {
        article.product {
            img src=(assets::picture_of(product)) alt="" width="400" height="500";
            div {
                p.origin { (product.origin.in_language(language)) }
                h1 { (name) }
                p.lead { (product.taste.in_language(language)) }
                p { (product.story.in_language(language)) }
                p.price {
                    strong { (euros(product.price_minor, language)) }
                    " "
                    span {
                        (product.content(language)) " · "
                        (euros(product.unit_price_minor(), language)) "/" (product.unit()) ", "
                        (view.say("tax included", "inkl. MwSt."))
                    }
                }
                (scarcity(view, left))
                @if left > 0 { (quantity_form(view, product, left, button, false)) }
                @else {
                    p { (view.say("It will be back; we do not know when.", "Es kommt wieder, wir wissen nur nicht wann.")) }
                }
                @if product.is_wine() {
                    p.seal {
                        span aria-hidden="true" { "18" }
                        (view.say(
                            "Anybody may put wine into a basket. It is sold and set aside for adults alone.",
                            "In den Korb legen darf ihn jeder. Verkauft und zurückgelegt wird er nur für Erwachsene.",
                        ))
                    }
                }
                dl {
                    dt { (view.say("Serve", "Genießen")) }
                    dd { (product.serve.in_language(language)) }
                    @if product.is_wine() {
                        dt { (view.say("Alcohol", "Alkohol")) }
                        dd {
                            (product.alcohol_permille / 10) (language.say(".", ",")) (product.alcohol_permille % 10)
                            (view.say(" % vol, contains sulphites", " % vol, enthält Sulfite"))
                        }
                    }
                }
            }
        }
    };
    Page::new(view, customer, name, main)
}
