//! The pages, as functions of what they show.

mod account;
mod cart;
mod home;
mod product;
mod trouble;
mod wine;

pub use account::account;
pub use cart::cart;
pub use home::home;
pub use product::product;
pub use trouble::{gone, not_found, out_of_order};
pub use wine::{reserved, wine};

use maud::{Markup, html};

use super::{
    cart::{Cart, QUANTITY_MAX},
    catalogue::Product,
    view::View,
};

/// A form that says how many of a product the cart is to hold.
fn quantity_form(view: &View, product: &Product, button: &str, quiet: bool) -> Markup {
    let held = view.cart.quantity(product);
    let name = product.name.in_language(view.language);
    html! {
        form.quantity method="post" action=(view.href("/cart")) {
            input type="hidden" name="product" value=(product.slug);
            label {
                span.visually-hidden[quiet] { (view.say("Quantity", "Menge")) @if quiet { ": " (name) } }
                select name="quantity" autocomplete="off" {
                    @for quantity in u32::from(!quiet)..=QUANTITY_MAX {
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

/// A line that says that the address named what the shop does not have.
fn lost_something(view: &View, cart: &Cart) -> Markup {
    html! {
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
