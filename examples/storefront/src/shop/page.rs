//! The frame around every page, and what an answer of the shop carries.

use axum::{
    http::{HeaderName, HeaderValue, StatusCode, header},
    response::{Html, IntoResponse, Response},
};
use maud::{DOCTYPE, Markup, html};

use super::{Customer, assets, legal::Leaf, view::View, words::Language};

/// What the pages may load and do: nothing that we do not serve, no inline script or style, and no text turned into
/// markup but by the one named policy.
pub const CONTENT_SECURITY_POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; \
     connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'; \
     require-trusted-types-for 'script'; trusted-types firsthand";

/// A page, ready to be sent. Text reaches it through [`html!`], which escapes.
#[derive(Debug)]
pub struct Page {
    status: StatusCode,
    private: bool,
    markup: Markup,
}

impl Page {
    /// A page with its title, inside the frame.
    #[must_use]
    pub fn new(view: &View, customer: Option<&Customer>, title: &str, main: Markup) -> Self {
        Self { status: StatusCode::OK, private: false, markup: frame(view, customer, title, &main) }
    }

    /// A page of the merchant's desk: no script, no basket, and nothing for anybody else.
    #[must_use]
    pub fn desk(view: &View, title: &str, main: Markup) -> Self {
        Self { status: StatusCode::OK, private: true, markup: desk_frame(view, title, &main) }
    }

    /// The same page, of which no cache keeps a copy: it tells of an order, or carries the token of a form.
    #[must_use]
    pub fn private(self) -> Self {
        Self { private: true, ..self }
    }

    /// The same page with another status.
    #[must_use]
    pub fn with_status(self, status: StatusCode) -> Self {
        Self { status, ..self }
    }
}

impl IntoResponse for Page {
    fn into_response(self) -> Response {
        const HEADERS: [(HeaderName, HeaderValue); 5] = [
            (header::CONTENT_SECURITY_POLICY, HeaderValue::from_static(CONTENT_SECURITY_POLICY)),
            (header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff")),
            // The address carries the cart, which is nobody else's business.
            (header::REFERRER_POLICY, HeaderValue::from_static("same-origin")),
            (HeaderName::from_static("cross-origin-opener-policy"), HeaderValue::from_static("same-origin")),
            // The browser may take a question to a wallet for this page, and for no frame in it.
            (HeaderName::from_static("permissions-policy"), HeaderValue::from_static("digital-credentials-get=(self)")),
        ];
        let mut response = (self.status, HEADERS, Html(self.markup.into_string())).into_response();
        if self.private {
            response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("private, no-store"));
        }
        response
    }
}

/// What every page says of itself before it begins.
fn head(title: &str) -> Markup {
    html! {
        meta charset="utf-8";
        title { (title) " · Blatt & Rebe" }
        meta name="viewport" content="width=device-width, initial-scale=1";
        meta name="color-scheme" content="light dark";
        meta name="theme-color" content="#f7f1e3" media="(prefers-color-scheme: light)";
        meta name="theme-color" content="#191310" media="(prefers-color-scheme: dark)";
        link rel="icon" type="image/svg+xml" href=(assets::MARK);
        link rel="stylesheet" href=(assets::STYLE);
    }
}

fn language_switch(view: &View) -> Markup {
    let other = view.language.other();
    html! {
        a.language href=(view.href_in(other)) hreflang=(other.tag()) lang=(other.tag()) {
            (other.say("English", "Deutsch"))
        }
    }
}

fn skip(view: &View) -> Markup {
    html! { a.skip href="#main" { (view.say("To the content", "Zum Inhalt")) } }
}

fn desk_frame(view: &View, title: &str, main: &Markup) -> Markup {
    html! {
        (DOCTYPE)
        html lang=(view.language.tag()) {
            head { (head(title)) }
            body.desk {
                (skip(view))
                header.masthead {
                    a.wordmark href=(view.href("/merchant")) {
                        "Blatt " em { "&" } " Rebe" span.room { (view.say("The desk", "Ladentisch")) }
                    }
                    nav aria-label=(view.say("Desk", "Ladentisch")) {
                        a href=(view.href("/merchant")) { (view.say("Today", "Heute")) }
                        a href=(view.href("/merchant/orders")) { (view.say("All orders", "Alle Bestellungen")) }
                        a href=(view.href("/merchant/calls")) { (view.say("Who is it?", "Wer ist da?")) }
                        a href=(view.href("/merchant/office")) { (view.say("Office", "Kontor")) }
                        a href=(view.href("/")) { (view.say("To the shop", "Zum Laden")) }
                    }
                    (language_switch(view))
                }
                main #main tabindex="-1" { (main) }
            }
        }
    }
}

fn frame(view: &View, customer: Option<&Customer>, title: &str, main: &Markup) -> Markup {
    html! {
        (DOCTYPE)
        html lang=(view.language.tag()) {
            head {
                (head(title))
                script type="module" src="/wallet/firsthand.js" data-navigate {}
                script type="module" src=(assets::SCRIPT) {}
            }
            body {
                (skip(view))
                header.masthead {
                    a.wordmark href=(view.href("/")) { "Blatt " em { "&" } " Rebe" }
                    nav aria-label=(view.say("Shop", "Laden")) {
                        a href=(view.href("/#tea")) { (view.say("Tea", "Tee")) }
                        a href=(view.href("/#wine")) { (view.say("Wine", "Wein")) }
                        a href=(view.href("/orders")) {
                            @match view.language {
                                Language::English => "My orders",
                                // Where there is no room for it, the longer word does without the shorter one.
                                Language::German => { span.roomy { "Meine " } "Bestellungen" },
                            }
                        }
                        a href=(view.href("/account")) { (view.say("My data", "Meine Daten")) }
                        a.cart href=(view.href("/cart")) {
                            (view.say("Basket", "Korb"))
                            @if !view.cart.is_empty() { " " span.count { (view.cart.count()) } }
                        }
                    }
                    (language_switch(view))
                }
                main #main tabindex="-1" {
                    (greeting(view, customer))
                    (main)
                }
                footer {
                    p.colophon { "Blatt " em { "&" } " Rebe" }
                    p {
                        (view.say(
                            "No cookie, no account, no visitor counter. Your basket stands in the address of this page; what \
                             we know of you stands under “My data”, and only after you showed it.",
                            "Kein Cookie, kein Konto, kein Besucherzähler. Ihr Korb steht in der Adresse dieser Seite; was wir \
                             über Sie wissen, steht unter „Meine Daten“, und erst nachdem Sie es gezeigt haben.",
                        ))
                    }
                    p {
                        (view.say(
                            "A demonstration: the shelves are painted and nothing is really sold. Prices include tax.",
                            "Eine Vorführung: Die Regale sind gemalt, verkauft wird nichts. Preise mit Mehrwertsteuer.",
                        ))
                        " "
                        a href=(view.href("/present")) { (view.say("What can I present?", "Was kann ich vorzeigen?")) }
                        " · "
                        a href="/wallet/call" { (view.say("Is this call from us?", "Rufen wirklich wir an?")) }
                        @for leaf in Leaf::ALL { " · " a href=(view.href(leaf.path())) { (leaf.title().in_language(view.language)) } }
                    }
                }
            }
        }
    }
}

/// The one line that differs between a stranger and a customer. It stands on every page under the same name, so that the
/// script can put the customer's in the place of the stranger's.
fn greeting(view: &View, customer: Option<&Customer>) -> Markup {
    html! {
        p.greeting data-firsthand="greeting" {
            @if customer.is_some() {
                strong { (view.say("Good to see you.", "Schön, Sie zu sehen.")) }
                " "
                a href=(view.href("/wine/reserved")) {
                    (view.say("What is set aside for you", "Was für Sie zurückgelegt ist"))
                }
            } @else {
                (view.say("Come in. Nobody asks who you are.", "Treten Sie ein. Niemand fragt, wer Sie sind."))
                " "
                a href=(view.href("/sign-in")) { (view.say("Been here before?", "Schon hier gewesen?")) }
            }
        }
    }
}
