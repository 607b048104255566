use maud::html;

use crate::shop::{Customer, legal::Leaf, page::Page, view::View};

/// What the shop has to say of itself and of its sales.
#[must_use]
pub fn legal(view: &View, customer: Option<&Customer>, leaf: Leaf) -> Page {
    let title = leaf.title().in_language(view.language);
    let main = html! {
        section.narrow {
            h1 { (title) }
            @for text in leaf.text() { p { (text.in_language(view.language)) } }
        }
    };
    Page::new(view, customer, title, main)
}
