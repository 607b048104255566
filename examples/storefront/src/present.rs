//! What a customer can answer the shop's questions with, read off the merchant as it is set up.

use axum::{Extension, Router, extract::State, routing::get};
use firsthand_axum::{Ask, Merchant, ask::Wanted};

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
        by_code: !ask.asked_for().is_empty(),
        papers,
    }
}

fn paper(one: &Wanted) -> PaperView {
    let (all_of, one_of) = one.paths();
    PaperView { format: one.format(), kinds: one.types().to_vec(), all_of, one_of }
}

#[cfg(test)]
mod tests {
    use axum::response::IntoResponse;
    use firsthand_axum::{
        env::SystemEnv,
        merchant::IssuerProfile,
        store::Memory,
        testing::{TestShop, cast::Cast},
    };
    use http_body_util::BodyExt;

    use super::*;
    use crate::{adopt, shop::words::Language};

    /// The shop's own questions, to the people of the development wallet.
    fn questions() -> Vec<QuestionView> {
        let cast = Cast::new("https://issuer.example/status/1".parse().unwrap(), &SystemEnv).unwrap();
        let shop = TestShop::new().bare(|builder| {
            let builder = builder.store(Memory::new()).trust(cast.trust_in_all().unwrap());
            let builder = builder.ask(&adopt::age()).ask(&adopt::address()).ask(&adopt::welcome());
            builder.relationship(IssuerProfile::Open)
        });
        shop.merchant().asks().map(|ask| question(shop.merchant(), ask)).collect()
    }

    #[test]
    fn a_question_is_answered_in_every_format_what_tells_least_first() {
        let questions = questions();
        let formats = |name: &str| {
            let question = questions.iter().find(|question| question.ask == name).unwrap();
            question.papers.iter().map(|paper| paper.format).collect::<Vec<_>>()
        };
        let w3c: &[&str] = if cfg!(feature = "w3c") { &["ldp_vc", "jwt_vc_json"] } else { &[] };
        assert_eq!(formats("age"), [&["mso_mdoc", "mso_mdoc", "dc+sd-jwt", "mso_mdoc"], w3c].concat());
        assert_eq!(formats("address"), [&["dc+sd-jwt", "mso_mdoc", "mso_mdoc"], w3c].concat());
        assert_eq!(formats("welcome"), ["dc+sd-jwt"]);
    }

    #[tokio::test]
    async fn the_page_names_every_document_and_every_format_in_both_languages() {
        let questions = questions();
        for language in [Language::English, Language::German] {
            let mut view = View::default();
            view.language = language;
            let body = pages::present(&view, None, &questions).into_response().into_body();
            let page = String::from_utf8(body.collect().await.unwrap().to_bytes().to_vec()).unwrap();
            for named in [
                view.say("The EU’s proof of age", "Altersnachweis der EU"),
                view.say("Mobile driving licence", "Führerschein in der Wallet"),
                view.say("EU identity (PID)", "EU-Identität (PID)"),
                view.say("Our customer card", "Unsere Kundenkarte"),
                "SD-JWT VC",
                "ISO mdoc",
            ] {
                assert!(page.contains(named), "{named} in {page}");
            }
            let whole = view.say("Your wallet can only show it whole.", "Ihre Wallet kann ihn nur als Ganzes zeigen.");
            for format in ["W3C, JWT", "W3C, Data Integrity", whole] {
                assert_eq!(page.contains(format), cfg!(feature = "w3c"), "{format} in {page}");
            }
            for unsaid in
                ["mso_mdoc", "ldp_vc", "https://w3id.org", "eu.europa.ec", "resident_", "driversLicense", "age_over"]
            {
                assert!(!page.contains(unsaid), "{unsaid} in {page}");
            }
        }
    }
}
