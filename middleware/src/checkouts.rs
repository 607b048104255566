//! Checkouts over HTTP: JSON for a shop's own scripts and apps ([`json`]), and a page for a shop that has none ([`page`]).
//!
//! Both are mounted for a merchant with a [`Trade`](firsthand::trade::Trade) alone, and both are thin: what is sold, for how
//! much, and whether it happens is decided by the library.

use std::{collections::HashMap, sync::Arc};

use axum::{Router, extract::FromRequestParts};
use firsthand::{
    Error, Merchant,
    error::Refusal,
    merchant::{Basket, Checkout, Completion, GuestLink, IdempotencyKey},
};
use http::{StatusCode, request::Parts};

use crate::{layer::Visit, limit::Limits, problem::Problem, task::finished};

mod basket;
pub(crate) mod begin;
mod body;
mod caller;
mod form;
pub(crate) mod json;
pub(crate) mod order;
pub(crate) mod page;
mod view;
pub(crate) mod words;

/// The most that a basket with its address takes, in bytes.
const BASKET_BYTES_MAX: usize = 64 * 1024;

pub(crate) fn routes() -> Router<Merchant> {
    json::routes().merge(page::routes())
}

/// What the merchant says about their checkout: on the hosted page (`{mount}/checkout`), and in the links of the JSON.
///
/// Everything has a default; a shop in the European Union names its terms, its privacy notice and its word on withdrawal,
/// which the page shows beside the button that orders.
///
/// ```
/// use firsthand_axum::CheckoutPage;
///
/// let page = CheckoutPage::new()
///     .shop("Blatt und Rebe")
///     .back("/cart")
///     .terms("/terms")
///     .privacy("/privacy")
///     .withdrawal("/withdrawal")
///     .countries(&["DE", "AT"])
///     .rail("psp", "Card or PayPal", "Karte oder PayPal")
///     .without_wallet("No wallet? Come to the counter with your card.", "Keine Wallet? Kommen Sie mit dem Ausweis in den Laden.")
///     .text("Wine is sold to adults", "Wine is sold to adults", "Wein gibt es ab 18 Jahren")
///     .stylesheet("/shop.css");
/// ```
///
/// Given to [`CustomerLayer::checkout_page`](crate::CustomerLayer::checkout_page).
///
/// # Looks
///
/// A style sheet of the shop's own origin comes after the built-in one. Everything to change is a property:
/// `--firsthand-background`, `-color`, `-muted`, `-accent`, `-on-accent`, `-line`, `-surface`, `-warning`, `-radius` and
/// `-font`. Say each for light and dark by `light-dark(.., ..)`, or set `color-scheme`. The built-in one, `{mount}/checkout.css`, is
/// there for the shop's own pages, too, for which `examples/kiosk` takes it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CheckoutPage {
    shop: Option<String>,
    back: String,
    terms: Option<String>,
    privacy: Option<String>,
    withdrawal: Option<String>,
    stylesheet: Option<String>,
    /// Empty while nothing says them.
    countries: Vec<String>,
    /// What whoever has no wallet can do: in English, in German.
    without_wallet: Option<[String; 2]>,
    /// By the rail's name: in English, in German.
    rails: Vec<(String, [String; 2])>,
    /// By the text as the shop says it: in English, in German.
    texts: HashMap<String, [String; 2]>,
}

impl Default for CheckoutPage {
    fn default() -> Self {
        Self {
            shop: None,
            back: "/".to_owned(),
            terms: None,
            privacy: None,
            withdrawal: None,
            stylesheet: None,
            countries: Vec::new(),
            without_wallet: None,
            rails: Vec::new(),
            texts: HashMap::new(),
        }
    }
}

impl CheckoutPage {
    /// A page with nothing of the shop's own on it.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// What the shop is called; the host of its address unless said.
    #[must_use]
    pub fn shop(mut self, name: impl Into<String>) -> Self {
        self.shop = Some(name.into());
        self
    }

    /// Where "back to the shop" leads: a path of the shop, such as that of the cart; `/` unless said. With `?lang=`, as
    /// [`Lang`](crate::Lang) reads it, once the customer has chosen a language here.
    #[must_use]
    pub fn back(mut self, path: impl Into<String>) -> Self {
        self.back = path.into();
        self
    }

    /// The terms of sale: a path or an address.
    #[must_use]
    pub fn terms(mut self, href: impl Into<String>) -> Self {
        self.terms = Some(href.into());
        self
    }

    /// The privacy notice: a path or an address.
    #[must_use]
    pub fn privacy(mut self, href: impl Into<String>) -> Self {
        self.privacy = Some(href.into());
        self
    }

    /// The word on the right to withdraw: a path or an address.
    #[must_use]
    pub fn withdrawal(mut self, href: impl Into<String>) -> Self {
        self.withdrawal = Some(href.into());
        self
    }

    /// The shop's own style sheet: a path of the shop.
    #[must_use]
    pub fn stylesheet(mut self, path: impl Into<String>) -> Self {
        self.stylesheet = Some(path.into());
        self
    }

    /// The countries to choose from, as two letters, the most likely one first. Unless said, they are those that the trade
    /// sends to, its home first ([`Merchant::sends_to`]); where it cannot tell, those of the European Economic Area,
    /// Switzerland and the United Kingdom. Whether something is sent there, the trade says.
    #[must_use]
    pub fn countries(mut self, countries: &[&str]) -> Self {
        self.countries = countries.iter().map(|country| country.to_ascii_uppercase()).collect();
        self
    }

    /// Those that the merchant sends to, if nothing else was said.
    pub(crate) fn sending_to(mut self, countries: &[String]) -> Self {
        if self.countries.is_empty() {
            let europe = || words::EUROPE.iter().map(|(code, _, _)| (*code).to_owned()).collect();
            self.countries = if countries.is_empty() { europe() } else { countries.to_vec() };
        }
        self
    }

    /// What somebody without a wallet can do where one has to show something, in English and German, such as "Call us, or
    /// come to the counter with your identity card." It stands beside the question to the wallet, in place of the word
    /// that they can remove what needs it.
    #[must_use]
    pub fn without_wallet(mut self, english: impl Into<String>, german: impl Into<String>) -> Self {
        self.without_wallet = Some([english.into(), german.into()]);
        self
    }

    /// What a rail is called, in English and German. The library's own have names already.
    #[must_use]
    pub fn rail(mut self, rail: impl Into<String>, english: impl Into<String>, german: impl Into<String>) -> Self {
        self.rails.push((rail.into(), [english.into(), german.into()]));
        self
    }

    /// What a text of the shop's own is in English and German: the title of a thing that is sold, of a way to send it or of
    /// something that is let off, and the purpose of an ask. By the text as the trade or the ask says it, which is what
    /// records, receipts and wallets have; what is not named here stands on the pages as it is.
    #[must_use]
    pub fn text(mut self, said: impl Into<String>, english: impl Into<String>, german: impl Into<String>) -> Self {
        self.texts.insert(said.into(), [english.into(), german.into()]);
        self
    }
}

/// What the merchant said of their checkout, if the customer layer is there.
pub(crate) struct Settings(Arc<CheckoutPage>);

impl<S: Sync> FromRequestParts<S> for Settings {
    type Rejection = std::convert::Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Self::Rejection> {
        let said = parts.extensions.get::<Visit>().map(|visit| visit.settings.checkout_page.clone());
        Ok(Self(said.unwrap_or_else(|| Arc::new(CheckoutPage::new().sending_to(&[])))))
    }
}

/// The words for a discount that a basket brings, and whoever asks may still try: whoever tries many is looking for one that
/// was sent to somebody else.
struct Words<'a> {
    limits: Option<&'a Limits>,
    /// How many were wrong before.
    wrong: usize,
}

impl<'a> Words<'a> {
    /// # Errors
    /// So many from this address were wrong that it has to wait.
    fn of(limits: Option<&'a Limits>, before: Option<&Checkout>, basket: &Basket) -> Result<Self, Problem> {
        let (new, wrong) = match before.map(Checkout::record) {
            Some(record) => (record.new_words(&basket.wishes), record.wrong_words),
            None => (basket.wishes.codes.len(), 0),
        };
        if new > 0 {
            limits.map_or(Ok(()), Limits::may_try_word)?;
        }
        Ok(Self { limits, wrong })
    }

    /// Those that turned out to be wrong are counted, and no others.
    fn tried(&self, after: &Checkout) {
        if let Some(limits) = self.limits {
            limits.wrong_words(after.record().wrong_words.saturating_sub(self.wrong));
        }
    }
}

/// Completes, also if whoever asked goes away: that must not drop a payment that has begun.
async fn completed(checkout: Checkout, completion: Completion, key: IdempotencyKey) -> Result<Checkout, Error> {
    finished("completing a checkout", async move { checkout.complete(&completion, &key).await }).await
}

/// A guest's checkout by its link.
async fn guest(merchant: &Merchant, link: &str) -> Result<(Checkout, GuestLink), Problem> {
    let link: GuestLink = link.parse().map_err(|_| Refusal::NoSuchCheckout)?;
    Ok((merchant.guest_checkout(&link).await?, link))
}

fn bad_request(code: &'static str, detail: &'static str) -> Problem {
    Problem::new(StatusCode::BAD_REQUEST, code, detail)
}
