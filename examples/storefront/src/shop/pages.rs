//! The pages, as functions of what they show.

mod account;
mod cart;
mod checkout;
pub mod conflict;
pub mod desk;
mod home;
mod legal;
mod order;
mod orders;
mod present;
mod product;
mod receipt;
mod sign_in;
#[cfg(test)]
mod tests;
mod trouble;
mod wine;

pub use account::account;
pub use cart::cart;
pub use checkout::checkout;
pub use home::home;
pub use legal::legal;
pub use order::{order, withdraw};
pub use orders::orders;
pub use present::{CARD, PaperView, QuestionView, present};
pub use product::product;
pub use receipt::receipt;
pub use sign_in::sign_in;
pub use trouble::{gone, no_quantity, not_found, out_of_order};
pub use wine::{reserved, wine};

use maud::{Markup, html};

use super::{
    assets,
    cart::{Cart, Line, QUANTITY_MAX, Short},
    catalogue::Product,
    money::euros,
    view::View,
};

/// From how many on nobody has to hurry.
const PLENTY: u32 = 6;

/// A form that says how many of a product the cart is to hold, of the `left` that there are.
fn quantity_form(view: &View, product: &Product, left: u32, button: &str, quiet: bool) -> Markup {
    let held = view.cart.quantity(product);
    let name = product.name.in_language(view.language);
    html! {
        form.quantity method="post" action=(view.href("/cart")) {
            input type="hidden" name="product" value=(product.slug);
            label {
                span.visually-hidden[quiet] { (view.say("Quantity", "Menge")) @if quiet { ": " (name) } }
                select name="quantity" autocomplete="off" {
                    @for quantity in u32::from(!quiet)..=QUANTITY_MAX.min(left) {
                        option value=(quantity) selected[quantity == held.max(1)] { (quantity) }
                    }
                }
            }
            button.quiet[quiet] type="submit" { (button) }
        }
    }
}

/// A form that takes a product out of the cart.
fn remove_form(view: &View, product: &Product) -> Markup {
    html! {
        form method="post" action=(view.href("/cart")) {
            input type="hidden" name="product" value=(product.slug);
            input type="hidden" name="quantity" value="0";
            button.link type="submit" {
                (view.say("Remove", "Entfernen"))
                span.visually-hidden { ": " (product.name.in_language(view.language)) }
            }
        }
    }
}

/// What there is left of a product, where it is so little that it has to be said.
fn scarcity(view: &View, left: u32) -> Markup {
    html! {
        @match left {
            0 => p.stock.none { (view.say("Sold out", "Ausverkauft")) },
            left @ 1..PLENTY => p.stock { (view.say("Only ", "Nur noch ")) (left) (view.say(" left", " da")) },
            _ => {},
        }
    }
}

/// The lines of a cart, to be read.
fn lines_of(view: &View, lines: &[Line]) -> Markup {
    html! {
        ul.lines {
            @for line in lines {
                li {
                    img src=(assets::picture_of(line.product)) alt="" width="400" height="500";
                    div.what {
                        a href=(view.href(&format!("/products/{}", line.product.slug))) {
                            (line.product.name.in_language(view.language))
                        }
                        p.small {
                            (line.quantity) " × " (line.product.content(view.language)) ", "
                            (euros(line.product.price_minor, view.language))
                        }
                    }
                    p.sum { (euros(line.price_minor(), view.language)) }
                }
            }
        }
    }
}

/// Lines that say that the address named what the shop does not have, or more than it has.
fn lost_something(view: &View, cart: &Cart, shorts: &[Short]) -> Markup {
    html! {
        @for short in shorts {
            p.notice role="status" {
                @let name = short.product.name.in_language(view.language);
                @if short.left == 0 {
                    (view.say("“", "„")) (name) (view.say("”", "“")) " " (view.say("is sold out, so we left it out.", "ist ausverkauft; wir haben es weggelassen."))
                } @else {
                    (view.say("Of “", "Von „")) (name) (view.say("” only ", "“ sind nur noch ")) (short.left)
                    (view.say(
                        " are left, so that many are in your basket.",
                        " da; so viele liegen jetzt in Ihrem Korb.",
                    ))
                }
            }
        }
        @if cart.asked_more() {
            p.notice role="status" {
                (view.say("One order has at most ", "Eine Bestellung hat höchstens ")) (QUANTITY_MAX)
                (view.say(
                    " of each thing, so that many are in your basket.",
                    " Stück von einer Sache; so viele liegen jetzt in Ihrem Korb.",
                ))
            }
        }
        @if cart.lost_something() {
            p.notice role="status" {
                (view.say(
                    "Something in your basket is no longer on the shelf, so we left it out.",
                    "Etwas aus Ihrem Korb steht nicht mehr im Regal; wir haben es weggelassen.",
                ))
            }
        }
    }
}
