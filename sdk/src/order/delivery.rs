//! Where an order goes. An address belongs to its order: it lies sealed beside it, for a time, and nowhere else.

use serde::{Deserialize, Serialize};
use serde_json::Value;
use zeroize::Zeroize;

use crate::{
    ask::{Ask, AskedFor, Device},
    presentation::Verified,
    store::Persisted,
    time::UnixTime,
};

/// The longest line of an address, in bytes.
const FIELD_BYTES_MAX: usize = 200;

/// A postal address.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Address {
    /// Who gets it.
    pub name: String,
    /// Street and house number, or the lines that stand for them.
    pub street: String,
    /// The postal code; may be empty where there is none.
    pub postal_code: String,
    /// The town.
    pub locality: String,
    /// The country, as two letters (ISO 3166-1).
    pub country: String,
}

/// Why a text is no address. Never with what was typed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum AddressError {
    /// A part that every address has is empty.
    #[error("the {0} of the address is missing")]
    Missing(&'static str),
    /// A part is too long, or holds what no label can show ([`Address::is_printable`]).
    #[error("the {0} of the address is too long, or has characters that cannot be printed")]
    Unfit(&'static str),
    /// The country is not two letters.
    #[error("the country of the address must be two letters, such as DE")]
    Country,
}

impl AddressError {
    /// The part of the address that is wrong: `name`, `street`, `postal_code`, `locality` or `country`.
    #[must_use]
    pub const fn part(self) -> &'static str {
        match self {
            Self::Missing(part) | Self::Unfit(part) => part,
            Self::Country => "country",
        }
    }
}

impl Address {
    /// Whether a parcel could be addressed so.
    ///
    /// # Errors
    /// The first part that is wrong.
    pub fn check(&self) -> Result<(), AddressError> {
        let parts = [
            ("name", &self.name),
            ("street", &self.street),
            ("postal_code", &self.postal_code),
            ("locality", &self.locality),
        ];
        for (part, text) in parts {
            if text.trim().is_empty() && part != "postal_code" {
                return Err(AddressError::Missing(part));
            }
            fits(part, text)?;
        }
        if self.has_country() { Ok(()) } else { Err(AddressError::Country) }
    }

    /// Whether a printer of labels can print it: no control characters, nothing that turns the direction of what follows, and
    /// not the mark of a character that was lost on its way (U+FFFD).
    #[must_use]
    pub fn is_printable(text: &str) -> bool {
        let is_none = |c: char| {
            c.is_control()
                || matches!(c, '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{fff9}'..='\u{fffd}' | '\u{fffe}' | '\u{ffff}')
        };
        !text.chars().any(is_none)
    }

    /// Whether it could become an address: whatever is there of it is as it has to be.
    pub(crate) fn check_so_far(&self) -> Result<(), AddressError> {
        let parts = [
            ("name", &self.name),
            ("street", &self.street),
            ("postal_code", &self.postal_code),
            ("locality", &self.locality),
        ];
        parts.into_iter().try_for_each(|(part, text)| fits(part, text))?;
        if self.country.is_empty() || self.has_country() { Ok(()) } else { Err(AddressError::Country) }
    }

    /// Whether its country is two letters.
    pub(crate) fn has_country(&self) -> bool {
        self.country.len() == 2 && self.country.bytes().all(|b| b.is_ascii_uppercase())
    }

    /// Whether nothing stands in it, but for the country.
    pub(crate) fn is_blank(&self) -> bool {
        [&self.name, &self.street, &self.postal_code, &self.locality].iter().all(|text| text.trim().is_empty())
    }

    /// The address as lines, as it is written on a parcel.
    #[must_use]
    pub fn lines(&self) -> Vec<String> {
        let town = format!("{} {}", self.postal_code, self.locality);
        vec![self.name.clone(), self.street.clone(), town.trim().to_owned(), self.country.clone()]
    }

    /// The address that a wallet told by an ask: of the first credential in which one stands that a parcel could go to.
    pub(crate) fn told(ask: &Ask, answer: &Verified) -> Option<Self> {
        let told = |wanted: &AskedFor| Self::from_verified(answer, wanted.id());
        ask.asked_for().iter().map(told).find(|address| address.check().is_ok())
    }

    /// The address that identification data tell (PID Rulebook 1.7: `given_name`, `family_name`, `address.*`).
    pub(crate) fn from_verified(verified: &Verified, credential: &str) -> Self {
        let text = |path: &[&str]| verified.claim(credential, path).and_then(Value::as_str).unwrap_or_default();
        let joined = |parts: [&str; 2]| parts.join(" ").trim().to_owned();
        let mut street = joined([text(&["address", "street_address"]), text(&["address", "house_number"])]);
        if street.is_empty() {
            street = text(&["address", "formatted"]).replace(['\r', '\n'], ", ");
        }
        Self {
            name: joined([text(&["given_name"]), text(&["family_name"])]),
            street,
            postal_code: text(&["address", "postal_code"]).to_owned(),
            locality: text(&["address", "locality"]).to_owned(),
            country: text(&["address", "country"]).to_ascii_uppercase(),
        }
    }

    /// What may be shown to whoever sits at the browser, if the wallet was on another device: it may be somebody else's.
    fn masked(&self) -> Self {
        let mask = |text: &str| text.chars().take(1).chain("…".chars()).collect::<String>();
        Self {
            name: mask(&self.name),
            street: mask(&self.street),
            postal_code: mask(&self.postal_code),
            locality: mask(&self.locality),
            country: self.country.clone(),
        }
    }
}

fn fits(part: &'static str, text: &str) -> Result<(), AddressError> {
    let fits = text.len() <= FIELD_BYTES_MAX && Address::is_printable(text);
    if fits { Ok(()) } else { Err(AddressError::Unfit(part)) }
}

impl std::fmt::Debug for Address {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Address([redacted])")
    }
}

impl Drop for Address {
    fn drop(&mut self) {
        for text in [&mut self.name, &mut self.street, &mut self.postal_code, &mut self.locality, &mut self.country] {
            text.zeroize();
        }
    }
}

/// Where a draft is to go.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum DeliverTo {
    /// To an address that somebody typed.
    Typed(Address),
    /// To the address that the customer's wallet told, by the ask of this name.
    FromWallet(String),
}

/// Who said where an order goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum DeliverySource {
    /// Somebody typed it.
    Typed,
    /// The customer's wallet told it, on the same device as the browser or on another one.
    Wallet(Device),
}

/// The address of an order as stored: until its time is over.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct DeliveryRecord {
    /// Who said it.
    pub source: DeliverySource,
    /// The sealed address.
    pub sealed: String,
    /// Until when it is kept.
    pub until: UnixTime,
}

impl std::fmt::Debug for DeliveryRecord {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("DeliveryRecord")
            .field("source", &self.source)
            .field("until", &self.until)
            .finish_non_exhaustive()
    }
}

impl Persisted for DeliveryRecord {
    const KIND: &'static str = "order_delivery";
    const SCHEMA: u16 = 1;
}

/// Where an order goes, read from its record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeliveryAddress {
    address: Address,
    source: DeliverySource,
    until: UnixTime,
}

impl DeliveryAddress {
    pub(crate) const fn new(address: Address, source: DeliverySource, until: UnixTime) -> Self {
        Self { address, source, until }
    }

    /// The whole address, for the parcel: for the merchant's eyes.
    #[must_use]
    pub const fn for_label(&self) -> &Address {
        &self.address
    }

    /// What a page may show to whoever is there: the address, or its first letters if it came from another device and may
    /// be somebody else's.
    #[must_use]
    pub fn for_page(&self) -> Address {
        match self.source {
            DeliverySource::Wallet(Device::CrossDevice) => self.address.masked(),
            _ => self.address.clone(),
        }
    }

    /// Who said it.
    #[must_use]
    pub const fn source(&self) -> DeliverySource {
        self.source
    }

    /// Until when it is kept.
    #[must_use]
    pub const fn kept_until(&self) -> UnixTime {
        self.until
    }
}
