//! The merchant's desk.

mod after;
mod bank;
mod call;
mod orders;
mod owed;
mod sale;
mod steps;
mod transfers;

pub use bank::report;
pub use call::call;
use maud::{Markup, html};
pub use orders::orders;
pub use sale::sale;

use super::orders::list;
use crate::shop::{
    catalogue::CATALOGUE,
    database::stock::Stock,
    desk::{DeskView, Notice},
    page::Page,
    view::View,
};

/// What is open today: orders, transfers, money owed back.
#[must_use]
pub fn desk(view: &View, desk: &DeskView) -> Page {
    let title = view.say("At the desk today", "Heute am Ladentisch");
    let main = html! {
        section.narrow.desk {
            h1 { (title) }
            @if let Some(notice) = desk.notice { (said(view, notice)) }
            div.columns {
                div {
                    (after::to_send(view, desk))
                    (after::withdrawn(view, desk))
                    (bank::statement(view, desk))
                    (transfers::book(view, desk))
                    (transfers::unmatched(view, desk))
                    (owed::owed(view, desk))
                    (bank::files(view, desk))
                }
                div {
                    h2 { (view.say("Not paid yet", "Noch nicht bezahlt")) }
                    @if desk.open.is_empty() {
                        p.none { (view.say("None: everything is paid.", "Keine: Alles ist bezahlt.")) }
                    } @else {
                        (list(view, &desk.open, "/merchant/orders"))
                    }
                    (steps::steps(view, &desk.steps))
                    (scarce(view, &desk.stock))
                }
            }
        }
    };
    Page::desk(view, title, main)
}

/// What came of a form.
fn said(view: &View, notice: Notice) -> Markup {
    let role = if notice.is_trouble() { "alert" } else { "status" };
    html! { p.notice.done[!notice.is_trouble()] role=(role) { (notice.words().in_language(view.language)) } }
}

/// What has to be reordered.
fn scarce(view: &View, stock: &Stock) -> Markup {
    let scarce: Vec<_> = CATALOGUE.iter().filter(|product| stock.left(product) < super::PLENTY).collect();
    html! {
        h2 { (view.say("Almost gone", "Fast weg")) }
        @if scarce.is_empty() {
            p.none { (view.say("Nothing: the shelves are full.", "Nichts: Die Regale sind voll.")) }
        } @else {
            ul.scarce {
                @for product in scarce {
                    li { span { (product.name.in_language(view.language)) } " " strong { (stock.left(product)) } }
                }
            }
        }
    }
}

/// A field of a form at the desk.
fn field(name: &str, label: &str, value: &str, hint: &str, required: bool, longest: u32) -> Markup {
    html! {
        label.field.{ "of-" (name) } {
            span { (label) }
            input type="text" name=(name) value=(value) placeholder=[(!hint.is_empty()).then_some(hint)] maxlength=(longest)
                required[required] autocomplete="off" spellcheck="false"
                inputmode=[(name == "amount").then_some("decimal")];
        }
    }
}
