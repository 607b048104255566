//! What every page knows of its request: the language, the cart, and how to link on without losing either.

use std::convert::Infallible;

use axum::{extract::FromRequestParts, http::request::Parts};
use url::form_urlencoded;

use super::{cart::Cart, words::Language};

/// How the shop is being looked at.
#[derive(Clone, Debug, Default)]
pub struct View {
    /// The language of the page.
    pub language: Language,
    /// Whether the customer chose the language, rather than the browser.
    language_chosen: bool,
    /// The cart that the address carries.
    pub cart: Cart,
    /// The path of the page.
    pub path: String,
}

impl View {
    /// One of two texts: English, German.
    #[must_use]
    pub const fn say(&self, english: &'static str, german: &'static str) -> &'static str {
        self.language.say(english, german)
    }

    /// The address of another page of the shop, with the language and the cart.
    #[must_use]
    pub fn href(&self, path: &str) -> String {
        self.address(path, self.language_chosen.then_some(self.language))
    }

    /// The address of this page in another language.
    #[must_use]
    pub fn href_in(&self, language: Language) -> String {
        self.address(&self.path, Some(language))
    }

    /// The same view with another cart.
    #[must_use]
    pub fn with(&self, cart: Cart) -> Self {
        Self { cart, ..self.clone() }
    }

    fn address(&self, path: &str, language: Option<Language>) -> String {
        let (path, fragment) = path.split_once('#').map_or((path, None), |(path, fragment)| (path, Some(fragment)));
        let mut query = form_urlencoded::Serializer::new(String::new());
        if !self.cart.is_empty() {
            query.append_pair("cart", &self.cart.text());
        }
        if let Some(language) = language {
            query.append_pair("lang", language.tag());
        }
        let query = query.finish();
        let mut address = path.to_owned();
        if !query.is_empty() {
            address.push('?');
            address.push_str(&query);
        }
        if let Some(fragment) = fragment {
            address.push('#');
            address.push_str(fragment);
        }
        address
    }
}

impl<S: Sync> FromRequestParts<S> for View {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Infallible> {
        let mut view = Self {
            language: Language::of_headers(&parts.headers),
            path: parts.uri.path().to_owned(),
            ..Self::default()
        };
        let mut asked_more = false;
        for (name, value) in form_urlencoded::parse(parts.uri.query().unwrap_or_default().as_bytes()).take(16) {
            match name.as_ref() {
                "cart" => view.cart = Cart::parse(&value),
                "more" => asked_more = value == "1",
                "lang" => {
                    if let Some(language) = Language::of_tag(&value) {
                        (view.language, view.language_chosen) = (language, true);
                    }
                }
                _ => {}
            }
        }
        if asked_more {
            view.cart = view.cart.having_asked_more();
        }
        Ok(view)
    }
}

#[cfg(test)]
mod tests {
    use axum::http::Request;

    use super::*;

    async fn view(uri: &str) -> View {
        let (mut parts, ()) =
            Request::builder().uri(uri).header("accept-language", "de").body(()).unwrap().into_parts();
        View::from_request_parts(&mut parts, &()).await.unwrap()
    }

    #[tokio::test]
    async fn links_carry_the_cart_and_a_chosen_language() {
        let seen = view("/wine?cart=senchax2&lang=en&cart2=1").await;
        assert_eq!(seen.href("/"), "/?cart=senchax2&lang=en");
        assert_eq!(seen.href_in(Language::German), "/wine?cart=senchax2&lang=de");
        assert_eq!(seen.href("/#tea"), "/?cart=senchax2&lang=en#tea");
    }

    #[tokio::test]
    async fn what_the_browser_prefers_is_not_written_into_addresses() {
        let seen = view("/wine?lang=xx").await;
        assert_eq!(seen.language, Language::German);
        assert_eq!(seen.href("/cart"), "/cart");
    }
}
