use maud::html;

use crate::shop::{
    desk::DeskOrders,
    page::Page,
    pages::orders::{list, older},
    view::View,
};

/// All orders, the newest first.
#[must_use]
pub fn orders(view: &View, shown: &DeskOrders) -> Page {
    let title = view.say("All orders", "Alle Bestellungen");
    let main = html! {
        section.narrow.desk {
            h1 { (title) }
            @if shown.orders.is_empty() {
                p.lead { (view.say("Nobody has bought anything yet.", "Noch hat niemand etwas gekauft.")) }
            } @else {
                (list(view, &shown.orders, "/merchant/orders"))
            }
            @if let Some(next) = &shown.next { (older(view, "/merchant/orders", next)) }
        }
    };
    Page::desk(view, title, main)
}
