//! What the pages share: forms, fields, notices.

use std::collections::HashMap;

use axum::extract::FromRequest;
use firsthand::{
    Error,
    error::Refusal,
    money::{Currency, Money, Quantity},
    order::Part,
    rail::{Iban, sepa::SepaError},
};
use http::{HeaderMap, StatusCode};
use url::form_urlencoded;

use super::{
    Desk,
    html::{Html, html},
    words,
};
use crate::{lang::Lang, problem::Problem, routes::Body};

/// Where somebody is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Here {
    Today,
    Orders,
    Transfers,
    Refunds,
    Bank,
    Stock,
    Holds,
    Outbox,
}

impl Here {
    pub(super) const ALL: [Self; 8] =
        [Self::Today, Self::Orders, Self::Transfers, Self::Refunds, Self::Bank, Self::Stock, Self::Holds, Self::Outbox];

    /// Whether it is there only if stock is counted.
    pub(super) const fn needs_shelf(self) -> bool {
        matches!(self, Self::Stock | Self::Holds)
    }

    /// Its path and its name.
    pub(super) const fn words(self) -> (&'static str, (&'static str, &'static str)) {
        match self {
            Self::Today => ("", ("Today", "Heute")),
            Self::Orders => ("/orders", ("Orders", "Bestellungen")),
            Self::Transfers => ("/transfers", ("Transfers", "Überweisungen")),
            Self::Refunds => ("/refunds", ("Refunds", "Erstattungen")),
            Self::Bank => ("/bank", ("Bank", "Bank")),
            Self::Stock => ("/stock", ("Stock", "Bestand")),
            Self::Holds => ("/holds", ("Holds", "Vorgemerkt")),
            Self::Outbox => ("/outbox", ("Webhooks", "Webhooks")),
        }
    }
}

/// Why a form did nothing.
#[derive(Debug)]
pub(super) struct Trouble {
    /// Boxed, for an error is the rarer answer.
    pub(super) problem: Box<Problem>,
    /// What was typed, for the page that comes back.
    typed: HashMap<String, String>,
}

impl Trouble {
    pub(super) fn new(code: &'static str) -> Self {
        let status = StatusCode::UNPROCESSABLE_ENTITY;
        Problem::new(status, code, words::trouble(code, status).0).into()
    }

    pub(super) fn words(&self, lang: Lang) -> &'static str {
        let words = words::trouble(self.problem.code(), self.problem.status());
        lang.say(words.0, words.1)
    }
}

/// An account number as it was typed, or what is wrong with it.
pub(super) fn iban(typed: &str) -> Result<Iban, Trouble> {
    typed.parse().map_err(|error| {
        Trouble::new(match error {
            SepaError::IbanCheckDigits => "iban_mistyped",
            SepaError::IbanCountry => "iban_elsewhere",
            _ => "iban_incomplete",
        })
    })
}

impl From<Problem> for Trouble {
    fn from(problem: Problem) -> Self {
        Self { problem: Box::new(problem), typed: HashMap::new() }
    }
}

impl From<Error> for Trouble {
    fn from(error: Error) -> Self {
        Problem::from(error).into()
    }
}

impl From<Refusal> for Trouble {
    fn from(refusal: Refusal) -> Self {
        Problem::from(refusal).into()
    }
}

/// A form that was sent, from a page of ours and not too long ago.
#[derive(Debug)]
pub(super) struct Sent {
    fields: HashMap<String, String>,
    /// The form's own name: sent twice, it does its work once.
    pub(super) key: String,
}

impl Sent {
    pub(super) fn text(&self, name: &str) -> &str {
        self.fields.get(name).map(|text| text.trim()).unwrap_or_default()
    }

    pub(super) fn number(&self, name: &str) -> Option<u32> {
        self.text(name).parse().ok()
    }

    /// An amount as typed: `28.50`, `28,50`, `28`; nothing between thousands.
    pub(super) fn amount(&self, name: &str, currency: Currency) -> Result<Money, Trouble> {
        let amount = read_amount(self.text(name), currency).filter(|amount| !amount.is_zero());
        amount.ok_or_else(|| Trouble::new("amount_unreadable"))
    }

    /// An amount that may be nothing: `0`.
    pub(super) fn amount_or_nothing(&self, name: &str, currency: Currency) -> Result<Money, Trouble> {
        read_amount(self.text(name), currency).ok_or_else(|| Trouble::new("amount_unreadable"))
    }

    /// How many of each of these items, as typed into fields of [`count_name`]; none of what was left empty.
    pub(super) fn parts<'a>(&self, items: impl IntoIterator<Item = &'a str>) -> Result<Vec<Part>, Trouble> {
        let mut parts: Vec<Part> = Vec::new();
        for item in items {
            let typed = self.text(&count_name(item));
            if matches!(typed, "" | "0") || parts.iter().any(|part| part.item == item) {
                continue;
            }
            let quantity: Quantity = typed.parse().map_err(|_| Trouble::new("count_unreadable"))?;
            parts.push(Part::new(item, quantity));
        }
        Ok(parts)
    }

    /// What cannot be undone is done when somebody has said that they are sure.
    pub(super) fn sure(&self) -> Result<(), Trouble> {
        if self.text("sure") == "yes" { Ok(()) } else { Err(Trouble::new("not_sure")) }
    }

    /// The same trouble, with what was typed.
    pub(super) fn keep(self, trouble: Trouble) -> Trouble {
        Trouble { typed: self.fields, ..trouble }
    }
}

fn read_amount(text: &str, currency: Currency) -> Option<Money> {
    let text = if text.contains('.') { text.to_owned() } else { text.replacen(',', ".", 1) };
    Money::parse(&text, currency).ok()
}

/// The name of the field that says how many of an item.
pub(super) fn count_name(item: &str) -> String {
    format!("count/{item}")
}

/// What stands behind `?` of a page.
#[derive(Debug, Default, serde::Deserialize)]
#[serde(default)]
pub(super) struct Asked {
    pub(super) said: String,
    pub(super) state: String,
    pub(super) reference: String,
    pub(super) after: String,
    pub(super) item: String,
    pub(super) withdrawal: String,
    pub(super) order: String,
    pub(super) from: String,
    pub(super) to: String,
}

/// What stands behind `?`; what cannot be read says nothing.
pub(super) struct Query(pub(super) Asked);

impl<S: Sync> axum::extract::FromRequestParts<S> for Query {
    type Rejection = std::convert::Infallible;

    async fn from_request_parts(parts: &mut http::request::Parts, _: &S) -> Result<Self, Self::Rejection> {
        let asked = axum::extract::Query::<Asked>::try_from_uri(&parts.uri);
        Ok(Self(asked.map(|axum::extract::Query(asked)| asked).unwrap_or_default()))
    }
}

impl Desk {
    /// Reads a form.
    pub(super) fn read(&self, headers: &HeaderMap, body: Body) -> Result<Sent, Trouble> {
        let bytes = body.form(headers)?;
        let fields: HashMap<String, String> =
            form_urlencoded::parse(&bytes).map(|(name, value)| (name.into_owned(), value.into_owned())).collect();
        let token = fields.get("form").map(String::as_str).unwrap_or_default();
        match self.operator.read_form(token) {
            Some(key) => Ok(Sent { fields, key }),
            None => Err(Trouble { typed: fields, ..Trouble::new("form_over") }),
        }
    }

    /// A form that does one thing.
    pub(super) fn form(&self, path: &str, act: &str, hidden: &[(&str, &str)], inside: Html, button: &str) -> Html {
        let hidden: Html = hidden
            .iter()
            .map(|(name, value)| html!("<input type=\"hidden\" name=\"{}\" value=\"{}\">", name, value))
            .collect();
        html!(
            "<form method=\"post\" action=\"{}\"><input type=\"hidden\" name=\"form\" value=\"{}\">\
             <input type=\"hidden\" name=\"act\" value=\"{}\">{}{}<button>{}</button></form>",
            self.href(path),
            self.operator.form(),
            act,
            hidden,
            inside,
            button
        )
    }

    /// What somebody has to tick before what cannot be undone is done.
    pub(super) fn sure(&self, what: &str) -> Html {
        html!(
            "<label class=\"sure\"><input type=\"checkbox\" name=\"sure\" value=\"yes\" required> <span>{}</span></label>",
            what
        )
    }

    /// A field for an amount.
    pub(super) fn amount_field(&self, label: &str, currency: Currency, value: &str) -> Html {
        html!(
            "<label><span>{} ({})</span><input name=\"amount\" value=\"{}\" inputmode=\"decimal\" maxlength=\"20\" \
             autocomplete=\"off\" required></label>",
            label,
            currency.code(),
            value
        )
    }
}

/// A field for a line of text.
pub(super) fn field(name: &str, label: &str, value: &str, longest: u32, required: bool) -> Html {
    html!(
        "<label><span>{}</span><input name=\"{}\" value=\"{}\" maxlength=\"{}\" autocomplete=\"off\"{}></label>",
        label,
        name,
        value,
        longest,
        required.then(|| html!(" required"))
    )
}

/// A field for how many: of something that there are `most` of.
pub(super) fn count_field(name: &str, label: &str, value: &str, most: u32) -> Html {
    html!(
        "<label><span>{}</span><input type=\"number\" name=\"{}\" value=\"{}\" min=\"0\" max=\"{}\" \
         autocomplete=\"off\"></label>",
        label,
        name,
        value,
        most
    )
}

/// What was typed into a field of a form that did nothing.
pub(super) fn typed<'a>(trouble: Option<&'a Trouble>, act: &str, name: &str) -> &'a str {
    let Some(trouble) = trouble else { return "" };
    let same = trouble.typed.get("act").is_some_and(|typed| typed == act);
    trouble.typed.get(name).filter(|_| same).map(String::as_str).unwrap_or_default()
}

/// A section with a heading.
pub(super) fn section(title: &str, inside: Html) -> Html {
    html!("<section><h2>{}</h2>{}</section>", title, inside)
}

/// The same, with a name to lead there.
pub(super) fn section_at(name: &str, title: &str, inside: Html) -> Html {
    html!("<section id=\"{}\"><h2>{}</h2>{}</section>", name, title, inside)
}

/// The headers and the body of a request with a form.
pub(super) struct Form(pub(super) HeaderMap, pub(super) Body);

impl<S: Send + Sync> FromRequest<S> for Form {
    type Rejection = std::convert::Infallible;

    async fn from_request(request: axum::extract::Request, state: &S) -> Result<Self, Self::Rejection> {
        let headers = request.headers().clone();
        Ok(Self(headers, Body::from_request(request, state).await?))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amounts_are_read_as_people_type_them() {
        for (text, minor) in [("28.50", 2850), ("28,50", 2850), ("28", 2800), ("0,01", 1)] {
            assert_eq!(read_amount(text, Currency::EUR).map(Money::minor), Some(minor), "{text}");
        }
        for nothing in ["0", "0,00"] {
            assert_eq!(read_amount(nothing, Currency::EUR), Some(Money::zero(Currency::EUR)), "{nothing}");
        }
        for text in ["", "-1", "1.000,00", "1,000.00", "1,2,3", "28.505", "1e3", "€ 5"] {
            assert_eq!(read_amount(text, Currency::EUR), None, "{text}");
        }
        assert_eq!(read_amount("500", Currency::JPY).map(Money::minor), Some(500));
    }

    #[test]
    fn what_stands_in_a_page_is_escaped() {
        let hostile = "\"><script>alert(1)</script>{}";
        let page = field("x", hostile, hostile, 5, true);
        let text = format!("{page:?}");
        assert!(!text.contains("<script>") && text.contains("&lt;script&gt;"));
        assert_eq!(section("a<b", html!("<p>{}</p>", 5_u32)), html!("<section><h2>a&lt;b</h2><p>5</p></section>"));
    }
}
