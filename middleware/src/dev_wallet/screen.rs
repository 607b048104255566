//! The page itself. Its script makes the screens on which something goes on.

use axum::{
    extract::{RawQuery, State},
    response::Response,
};
use firsthand::{
    Merchant,
    merchant::dev::{Development, WALLET_PATH},
    testing::cast::Persona,
};
use http::{HeaderMap, HeaderValue, StatusCode};

use super::about;
use crate::{extract::page, lang::Lang, web::escape};

/// The page has one script and one style sheet, both its own, talks to this origin alone, and makes its elements one by
/// one: no text ever becomes markup.
pub(super) const CSP: &str = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src data:; \
     form-action 'none'; base-uri 'none'; frame-ancestors 'none'; \
     require-trusted-types-for 'script'; trusted-types 'none'";

/// The page: static but for its language. What it is about stands in its address, which its script reads.
pub(super) async fn screen(
    State(merchant): State<Merchant>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
) -> Response {
    let html = page_of(Lang::of(&headers), query.is_some_and(|query| !query.is_empty()), merchant.development());
    page(StatusCode::OK, html, &HeaderValue::from_static(CSP))
}

fn page_of(lang: Lang, asked: bool, development: Option<&Development>) -> String {
    let (title, banner, noscript) = match lang {
        Lang::En => {
            ("Development wallet", "Development wallet: everybody here is invented", "This wallet needs JavaScript.")
        }
        Lang::De => {
            ("Entwicklungs-Wallet", "Entwicklungs-Wallet: Alle hier sind erfunden", "Diese Wallet braucht JavaScript.")
        }
    };
    let tag = lang.tag();
    let noscript = format!("<noscript><p>{noscript}</p></noscript>");
    let main = if asked {
        // The script says what goes on.
        format!("<main id=\"wallet\" aria-busy=\"true\">{noscript}</main>")
    } else {
        format!("<main id=\"wallet\">\n{}{noscript}</main>", start(lang, development))
    };
    format!(
        "<!doctype html>
<html lang=\"{tag}\">
<head>
<meta charset=\"utf-8\">
<meta name=\"viewport\" content=\"width=device-width\">
<meta name=\"robots\" content=\"noindex\">
<meta name=\"color-scheme\" content=\"light dark\">
<title>{title}</title>
<link rel=\"icon\" href=\"data:,\">
<link rel=\"stylesheet\" href=\"{WALLET_PATH}/wallet.css\">
<script type=\"module\" src=\"{WALLET_PATH}/wallet.js\"></script>
</head>
<body>
<p class=\"banner\">{banner}</p>
<div class=\"phone\">
{main}
<p class=\"said\" id=\"said\" role=\"status\"></p>
</div>
</body>
</html>
"
    )
}

/// The first screen of a wallet that nobody asks anything: who is in it, and a place for what a QR code says.
fn start(lang: Lang, development: Option<&Development>) -> String {
    let (title, text, label, open, inside) = match lang {
        Lang::En => (
            "Your wallet",
            "Begin in the shop: its button leads here. Or paste what its QR code says.",
            "Link of the QR code",
            "Open",
            "In this wallet",
        ),
        Lang::De => (
            "Ihre Wallet",
            "Beginnen Sie im Shop: Sein Knopf führt hierher. Oder fügen Sie ein, was sein QR-Code sagt.",
            "Link des QR-Codes",
            "Öffnen",
            "In dieser Wallet",
        ),
    };
    let people = development.into_iter().flat_map(|development| {
        development.personas().iter().map(|persona| person_in_list(persona, development.cards(persona.id), lang))
    });
    let people: String = people.collect();
    format!(
        "<h1 tabindex=\"-1\">{title}</h1>
<p>{text}</p>
<form id=\"open\">
<label for=\"link\">{label}</label>
<input id=\"link\" name=\"link\" required autocomplete=\"off\" spellcheck=\"false\" placeholder=\"openid4vp://?client_id=…\">
<button class=\"main\">{open}</button>
</form>
<h2>{inside}</h2>
<ul class=\"list\">
{people}</ul>
"
    )
}

fn person_in_list(persona: &Persona, cards: usize, lang: Lang) -> String {
    let initials: String = persona.name.split(' ').filter_map(|word| word.chars().next()).collect();
    format!(
        "<li><span class=\"face\" aria-hidden=\"true\">{}</span><span><b>{}</b> {}{}</span></li>\n",
        escape(&initials),
        escape(persona.name),
        escape(about(persona, lang)),
        match (cards, lang) {
            (0, _) => "",
            (_, Lang::En) => " Has a customer card of this shop.",
            (_, Lang::De) => " Hat eine Kundenkarte dieses Shops.",
        },
    )
}
