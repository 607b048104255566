//! What somebody wants to buy, as they say it: a stranger's words until they are checked.

use serde::{Deserialize, Serialize};

use crate::{
    money::Quantity,
    names::is_plain,
    trade::{ITEMS_MAX, NAME_BYTES_MAX},
};

/// The most words for a discount.
pub const CODES_MAX: usize = 10;

/// What a customer wants. An update replaces all of it. Nothing is priced or stored before it is [checked](CheckedWishes).
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Wishes {
    /// How many of what, each item once.
    pub items: Vec<(String, Quantity)>,
    /// The words for a discount that they entered.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub codes: Vec<String>,
    /// The way to send it that they chose; the first one unless said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub way: Option<String>,
    /// The asks that they say they can answer, for a price that depends on it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub claims: Vec<String>,
    /// The number under which they pay tax themselves, as a business.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub vat_id: Option<String>,
}

impl Wishes {
    /// Nothing yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// So many of this. Said twice of one thing, it is the sum.
    #[must_use]
    pub fn item(mut self, name: impl Into<String>, quantity: Quantity) -> Self {
        self.items.push((name.into(), quantity));
        self
    }

    /// A word for a discount.
    #[must_use]
    pub fn code(mut self, code: impl Into<String>) -> Self {
        self.codes.push(code.into());
        self
    }

    /// It is to be sent like this.
    #[must_use]
    pub fn way(mut self, method: impl Into<String>) -> Self {
        self.way = Some(method.into());
        self
    }

    /// They say that they can answer this ask.
    #[must_use]
    pub fn claims(mut self, ask: impl Into<String>) -> Self {
        self.claims.push(ask.into());
        self
    }

    /// They buy as a business, under this number.
    #[must_use]
    pub fn vat_id(mut self, vat_id: impl Into<String>) -> Self {
        self.vat_id = Some(vat_id.into());
        self
    }

    /// The same, checked and in one form: each item and each word once, without what nobody reads.
    ///
    /// # Errors
    /// [`WishError`] for what cannot be wished for.
    pub fn checked(self) -> Result<CheckedWishes, WishError> {
        let plain = |text: &String| if is_plain(text, NAME_BYTES_MAX) { Ok(()) } else { Err(WishError::Text) };
        // Counted before they are compared with each other; somebody may well say a thing twice.
        let most = [(self.items.len(), ITEMS_MAX), (self.codes.len(), CODES_MAX), (self.claims.len(), CODES_MAX)];
        if most.iter().any(|(said, most)| *said > 2 * most) {
            return Err(WishError::TooMany);
        }
        let mut items: Vec<(String, Quantity)> = Vec::new();
        for (name, quantity) in self.items {
            plain(&name)?;
            match items.iter_mut().find(|(known, _)| *known == name) {
                Some((_, known)) => {
                    let sum = known.count().saturating_add(quantity.count());
                    *known = Quantity::new(sum).map_err(|_| WishError::TooMany)?;
                }
                None => items.push((name, quantity)),
            }
        }
        if items.is_empty() {
            return Err(WishError::Nothing);
        }
        let mut codes: Vec<String> = Vec::new();
        for code in self.codes.iter().map(|code| code.trim().to_owned()).filter(|code| !code.is_empty()) {
            plain(&code)?;
            if !codes.iter().any(|known| known.eq_ignore_ascii_case(&code)) {
                codes.push(code);
            }
        }
        let mut claims = self.claims;
        claims.sort();
        claims.dedup();
        if items.len() > ITEMS_MAX || codes.len() > CODES_MAX || claims.len() > CODES_MAX {
            return Err(WishError::TooMany);
        }
        let vat_id = self.vat_id.map(|id| id.trim().to_owned()).filter(|id| !id.is_empty());
        claims.iter().chain(&self.way).chain(&vat_id).try_for_each(plain)?;
        Ok(CheckedWishes(Self { items, codes, way: self.way, claims, vat_id }))
    }
}

/// Wishes that were checked and are in one form: what is priced, and what is stored. [`Wishes::checked`] alone makes them,
/// also from a record.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Wishes", into = "Wishes")]
pub struct CheckedWishes(Wishes);

impl CheckedWishes {
    /// The same with those of its words alone that are kept.
    pub(crate) fn with_codes(mut self, mut keep: impl FnMut(&str) -> bool) -> Self {
        self.0.codes.retain(|code| keep(code));
        self
    }
}

impl std::ops::Deref for CheckedWishes {
    type Target = Wishes;

    fn deref(&self) -> &Wishes {
        &self.0
    }
}

impl TryFrom<Wishes> for CheckedWishes {
    type Error = WishError;

    fn try_from(wishes: Wishes) -> Result<Self, WishError> {
        wishes.checked()
    }
}

impl From<CheckedWishes> for Wishes {
    fn from(checked: CheckedWishes) -> Self {
        checked.0
    }
}

/// Why something cannot be wished for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum WishError {
    /// Nothing is wished for.
    #[error("nothing is in the checkout")]
    Nothing,
    /// Too much is.
    #[error("at most {ITEMS_MAX} different things, 1,000,000 of each, and {CODES_MAX} words for a discount")]
    TooMany,
    /// A name or a word is empty, too long, or no plain text.
    #[error("names and words are 1 to {NAME_BYTES_MAX} bytes of plain text")]
    Text,
}

impl WishError {
    /// The stable name of the refusal.
    #[must_use]
    pub const fn code(self) -> &'static str {
        match self {
            Self::Nothing => "checkout_empty",
            Self::TooMany => "checkout_too_large",
            Self::Text => "invalid_text",
        }
    }
}
