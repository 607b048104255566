use maud::{Markup, html};

use crate::shop::{
    Customer,
    money::euros,
    order::{OrderSummary, Status, grouped},
    page::Page,
    view::View,
};

/// The orders of a customer, the newest first. `next` is the name of the one after which the next page begins.
#[must_use]
pub fn orders(view: &View, customer: &Customer, orders: &[OrderSummary], next: Option<&str>) -> Page {
    let title = view.say("My orders", "Meine Bestellungen");
    let main = html! {
        section.narrow.orders {
            h1 { (title) }
            @if orders.is_empty() {
                p.lead { (view.say("None yet.", "Noch keine.")) }
                p.small {
                    (view.say(
                        "What you ordered as a guest is not here: only its link leads there.",
                        "Was Sie als Gast bestellt haben, steht nicht hier: Dorthin führt nur sein Link.",
                    ))
                }
                p.doors {
                    a.button href=(view.href("/#tea")) { (view.say("To the tea", "Zum Tee")) }
                    a.button.outline href=(view.href("/#wine")) { (view.say("Down to the wine", "Hinab zum Wein")) }
                }
            } @else {
                (list(view, orders, "/orders"))
                @if let Some(next) = next { (older(view, "/orders", next)) }
            }
        }
    };
    Page::new(view, Some(customer), title, main).private()
}

/// The way to the next page of a list.
pub(super) fn older(view: &View, at: &str, next: &str) -> Markup {
    html! {
        form method="get" action=(at) {
            input type="hidden" name="lang" value=(view.language.tag());
            input type="hidden" name="after" value=(next);
            button.quiet type="submit" { (view.say("Older ones", "Ältere")) }
        }
    }
}

/// A list of orders whose pages lie under `at`.
pub(super) fn list(view: &View, orders: &[OrderSummary], at: &str) -> Markup {
    let language = view.language;
    html! {
        ul.order-list {
            @for order in orders {
                li {
                    a href=(view.href(&format!("{at}/{}", order.id))) {
                        span.when { (language.day(order.placed_s)) }
                        code { (grouped(&order.number)) }
                    }
                    (badge(view, order.status))
                    p.sum {
                        (euros(order.total_minor, language))
                        span.small {
                            (order.things)
                            @if order.things == 1 { (view.say(" thing", " Stück")) } @else { (view.say(" things", " Stück")) }
                            @if order.status == Status::PartlyPaid {
                                ", " (view.say("received ", "erhalten ")) (euros(order.received_minor, language))
                            }
                        }
                    }
                }
            }
        }
    }
}

/// How far an order is, as a word in its colour.
pub(super) fn badge(view: &View, status: Status) -> Markup {
    html! { span.badge.(status.class()) { (status.words().in_language(view.language)) } }
}
