use maud::html;

use super::{lost_something, quantity_form, remove_form, scarcity};
use crate::shop::{
    Customer, assets, cart::Short, catalogue::Kind, database::stock::Stock, money::euros, page::Page, view::View,
};

/// The cart, which holds no more than `stock`, and what had to be left out of it for that.
#[must_use]
pub fn cart(view: &View, customer: Option<&Customer>, stock: &Stock, shorts: &[Short]) -> Page {
    let language = view.language;
    let title = view.say("Your basket", "Ihr Korb");
    let main = html! {
        section.narrow {
            h1 { (title) }
            (lost_something(view, &view.cart, shorts))
            @if view.cart.is_empty() {
                p.lead { (view.say("Nothing in it yet.", "Noch ist nichts darin.")) }
                p.doors {
                    a.button href=(view.href("/#tea")) { (view.say("To the tea", "Zum Tee")) }
                    a.button.outline href=(view.href("/#wine")) { (view.say("Down to the wine", "Hinab zum Wein")) }
                }
            } @else {
                ul.lines {
                    @for line in view.cart.lines() {
                        li {
                            img src=(assets::picture_of(line.product)) alt="" width="400" height="500";
                            div.what {
                                a href=(view.href(&format!("/products/{}", line.product.slug))) {
                                    (line.product.name.in_language(language))
                                }
                                p.small {
                                    (line.quantity) " × " (line.product.content(language)) ", "
                                    (euros(line.product.price_minor, language))
                                }
                                (scarcity(view, stock.left(line.product)))
                            }
                            div.change {
                                (quantity_form(view, line.product, stock.left(line.product), view.say("Change", "Ändern"), true))
                                (remove_form(view, line.product))
                            }
                            p.sum { (euros(line.price_minor(), language)) }
                        }
                    }
                }
                p.total {
                    span { (view.say("Together, tax included", "Zusammen, inkl. MwSt.")) }
                    " "
                    strong { (euros(view.cart.total_minor(), language)) }
                }
                div.next {
                    p { a.button href=(view.href("/checkout")) { (view.say("To the till", "Zur Kasse")) } }
                    @if view.cart.of(Kind::Wine).next().is_some() {
                        p {
                            (view.say(
                                "Or come by: the wine can be set aside for you for two days. For that we have to know that you \
                                 are an adult.",
                                "Oder kommen Sie vorbei: Den Wein legen wir zwei Tage für Sie zurück. Dafür müssen wir wissen, \
                                 dass Sie erwachsen sind.",
                            ))
                        }
                        p { a.button.outline href=(view.href("/wine")) { (view.say("Have the wine set aside", "Wein zurücklegen lassen")) } }
                    }
                    @if view.cart.of(Kind::Tea).next().is_some() {
                        p.small {
                            (view.say(
                                "At the counter, tea needs no name at all. Print this page, or show it at the counter: whoever has the address \
                                 of this page has the list.",
                                "An der Theke braucht Tee gar keinen Namen. Drucken Sie diese Seite oder zeigen Sie sie an der Theke: Wer die \
                                 Adresse dieser Seite hat, hat die Liste.",
                            ))
                        }
                    }
                }
            }
        }
    };
    Page::new(view, customer, title, main)
}
