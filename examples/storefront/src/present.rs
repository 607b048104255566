//! What a customer can answer the shop's questions with, read off the merchant as it is set up.

use axum::{Extension, Router, extract::State, routing::get};
use firsthand_axum::{Ask, Merchant, ask::Alternative};

use crate::shop::{
    Customer,
    page::Page,
    pages::{self, PaperView, QuestionView},
    view::View,
};

/// The page "What can I present?".
pub(crate) fn routes(merchant: &Merchant) -> Router {
    Router::new().route("/present", get(present)).with_state(merchant.clone())
}

async fn present(State(merchant): State<Merchant>, customer: Option<Extension<Customer>>, view: View) -> Page {
    let questions: Vec<QuestionView> = merchant.asks().map(|ask| question(&merchant, ask)).collect();
    pages::present(&view, customer.as_deref(), &questions)
}

fn question(merchant: &Merchant, ask: &Ask) -> QuestionView {
    let mut papers: Vec<PaperView> =
        merchant.answerable(ask).into_iter().flat_map(|(_, alternatives)| alternatives).map(paper).collect();
    if ask.recognises() {
        papers.push(PaperView { format: "dc+sd-jwt", kinds: vec![pages::CARD.to_owned()], ..PaperView::default() });
    }
    QuestionView {
        ask: ask.name().to_owned(),
        purpose: ask.purpose().to_owned(),
        // By a code, a card would say no more than that somebody is a customer.
        by_code: !ask.wanted().is_empty(),
        papers,
    }
}

fn paper(one: &Alternative) -> PaperView {
    let (all_of, one_of) = one.paths();
    PaperView { format: one.format(), kinds: one.types().to_vec(), all_of, one_of }
}
