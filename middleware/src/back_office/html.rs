//! HTML as the merchant's pages are made of it: what stands in a page is escaped, unless it is HTML of ours.

use std::borrow::Cow;

use axum::response::{IntoResponse, Response};
use firsthand::money::Money;
use http::{HeaderValue, StatusCode, header};

use crate::{lang::Lang, problem::Problem, web::escape};

/// HTML that may stand in a page as it is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Html(String);

/// HTML from a literal with `{}` in it; each argument is escaped, unless it is [`Html`]. `concat!` keeps the literal
/// from naming a variable by itself (`{title}`), which would pass it by.
macro_rules! html {
    ($text:literal $(, $part:expr)* $(,)?) => {
        $crate::back_office::html::Html::of_literal(
            format!(concat!($text) $(, $crate::back_office::html::Part::part(&$part))*)
        )
    };
}
pub(super) use html;

impl Html {
    /// For `html!` alone.
    pub(super) const fn of_literal(text: String) -> Self {
        Self(text)
    }

    pub(super) const fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl FromIterator<Self> for Html {
    fn from_iter<I: IntoIterator<Item = Self>>(parts: I) -> Self {
        Self(parts.into_iter().map(|part| part.0).collect())
    }
}

impl IntoResponse for Html {
    fn into_response(self) -> Response {
        let mut response = self.0.into_response();
        response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("text/html; charset=utf-8"));
        response
    }
}

/// What can stand in a page.
pub(super) trait Part {
    /// As it stands there.
    fn part(&self) -> Cow<'_, str>;
}

impl Part for Html {
    fn part(&self) -> Cow<'_, str> {
        Cow::Borrowed(&self.0)
    }
}

impl Part for Option<Html> {
    fn part(&self) -> Cow<'_, str> {
        self.as_ref().map_or(Cow::Borrowed(""), Part::part)
    }
}

impl Part for str {
    fn part(&self) -> Cow<'_, str> {
        Cow::Owned(escape(self))
    }
}

impl Part for String {
    fn part(&self) -> Cow<'_, str> {
        self.as_str().part()
    }
}

impl Part for u32 {
    fn part(&self) -> Cow<'_, str> {
        Cow::Owned(self.to_string())
    }
}

impl Part for usize {
    fn part(&self) -> Cow<'_, str> {
        Cow::Owned(self.to_string())
    }
}

impl<P: Part + ?Sized> Part for &P {
    fn part(&self) -> Cow<'_, str> {
        (**self).part()
    }
}

impl Lang {
    /// An amount: `EUR 28.50`, `28,50 EUR`.
    pub(super) fn money(self, money: Money) -> String {
        match self {
            Self::En => format!("{} {}", money.currency(), money.decimal()),
            Self::De => format!("{} {}", money.decimal().replace('.', ","), money.currency()),
        }
    }
}

/// A row of a table of names and values.
pub(super) fn row(name: &str, value: impl Part) -> Html {
    html!("<div><dt>{}</dt><dd>{}</dd></div>", name, value)
}

/// The page that refuses somebody at the door: nothing of the shop stands on it.
pub(super) fn refused_page(lang: Lang, problem: Problem) -> Response {
    let text = match problem.status() {
        StatusCode::UNAUTHORIZED => lang.say(
            "These pages open with the key of an operator: it is the password; the name does not matter.",
            "Diese Seiten öffnen sich mit dem Schlüssel einer Bedienung: Er ist das Passwort; der Name ist gleich.",
        ),
        StatusCode::TOO_MANY_REQUESTS => lang.say(
            "Too many wrong keys were tried. Try again in a minute.",
            "Zu viele falsche Schlüssel wurden versucht. Bitte in einer Minute noch einmal.",
        ),
        StatusCode::FORBIDDEN => lang.say(
            "This form does not come from a page of this shop, so nothing has been done. Open the page here and send it again.",
            "Dieses Formular kommt nicht von einer Seite dieses Shops. Es ist nichts geschehen. Öffnen Sie die Seite hier und senden Sie es noch einmal ab.",
        ),
        _ => lang.say("That did not work.", "Das hat nicht geklappt."),
    };
    let page = html!(
        "<!doctype html>\n<html lang=\"{}\"><head><meta charset=\"utf-8\">\
         <meta name=\"viewport\" content=\"width=device-width\"><title>{}</title></head><body><p>{}</p></body></html>\n",
        lang.tag(),
        lang.say("Office", "Kontor"),
        text
    );
    problem.into_page(page)
}
