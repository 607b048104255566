//! Where a parcel goes: told by a wallet or typed, and never one taken for the other.

use firsthand_axum::order::PostalCodes;
use serde::Deserialize;

use super::{
    Recipient,
    view::View,
    words::{Language, Words},
};

/// The longest line of an address, in characters.
pub const LINE_MAX: usize = 70;

/// Where the parcel of an order goes.
#[derive(Clone, Debug)]
pub enum Delivery {
    /// A wallet showed it: somebody vouches for it.
    Wallet(Recipient),
    /// The customer typed it.
    Typed(Recipient),
    /// It was kept as long as it was needed, and no longer.
    Erased,
}

/// A country that the shop sends to.
#[derive(Debug)]
pub struct Country {
    /// Its code (ISO 3166-1 alpha-2).
    pub code: &'static str,
    /// Its name.
    pub name: Words,
}

impl Country {
    /// The country of that code.
    #[must_use]
    pub fn find(code: &str) -> Option<&'static Self> {
        COUNTRIES.iter().find(|country| country.code == code)
    }

    /// All of them, in the alphabetical order of a language.
    #[must_use]
    pub fn all(language: Language) -> Vec<&'static Self> {
        let mut all: Vec<&Self> = COUNTRIES.iter().collect();
        all.sort_by_key(|country| country.name.in_language(language).replace('Ö', "O"));
        all
    }

    /// What is wrong with a postal code there, if anything is: some countries need none.
    fn postal_code_error(&self, typed: &str) -> Option<FieldError> {
        let error = line_error(typed);
        match (PostalCodes::of(self.code), error) {
            (Some(codes), Some(FieldError::Missing)) if !codes.are_needed() => None,
            (Some(codes), None) if !codes.fit(typed.trim()) => Some(FieldError::Unreadable),
            (_, error) => error,
        }
    }
}

macro_rules! countries {
    ($($code:literal $english:literal $german:literal,)*) => {
        /// The countries that the shop sends to: the European Union.
        pub static COUNTRIES: &[Country] =
            &[$(Country { code: $code, name: Words($english, $german) }),*];
    };
}

countries! {
    "AT" "Austria" "Österreich",
    "BE" "Belgium" "Belgien",
    "BG" "Bulgaria" "Bulgarien",
    "HR" "Croatia" "Kroatien",
    "CY" "Cyprus" "Zypern",
    "CZ" "Czechia" "Tschechien",
    "DK" "Denmark" "Dänemark",
    "EE" "Estonia" "Estland",
    "FI" "Finland" "Finnland",
    "FR" "France" "Frankreich",
    "DE" "Germany" "Deutschland",
    "GR" "Greece" "Griechenland",
    "HU" "Hungary" "Ungarn",
    "IE" "Ireland" "Irland",
    "IT" "Italy" "Italien",
    "LV" "Latvia" "Lettland",
    "LT" "Lithuania" "Litauen",
    "LU" "Luxembourg" "Luxemburg",
    "MT" "Malta" "Malta",
    "NL" "Netherlands" "Niederlande",
    "PL" "Poland" "Polen",
    "PT" "Portugal" "Portugal",
    "RO" "Romania" "Rumänien",
    "SK" "Slovakia" "Slowakei",
    "SI" "Slovenia" "Slowenien",
    "ES" "Spain" "Spanien",
    "SE" "Sweden" "Schweden",
}

/// An address as somebody typed it: anything at all, until [`AddressForm::check`] has looked at it.
#[derive(Clone, Default, Deserialize)]
#[serde(default)]
pub struct AddressForm {
    /// Who opens the door.
    pub name: String,
    /// Street and house number.
    pub street: String,
    /// Postal code.
    pub postal_code: String,
    /// Town or village.
    pub place: String,
    /// The code of the country.
    pub country: String,
}

impl std::fmt::Debug for AddressForm {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("AddressForm([redacted])")
    }
}

/// A typed address that a carrier can read. It is not known to be anybody's.
#[derive(Clone, PartialEq, Eq)]
pub struct Address {
    /// Who opens the door.
    pub name: String,
    /// Street and house number.
    pub street: String,
    /// Postal code.
    pub postal_code: String,
    /// Town or village.
    pub place: String,
    /// The code of the country, one of [`COUNTRIES`].
    pub country: &'static str,
}

impl std::fmt::Debug for Address {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Address([redacted])")
    }
}

/// What is wrong with one field.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FieldError {
    /// Nothing was typed.
    Missing,
    /// More than [`LINE_MAX`] characters.
    TooLong,
    /// Not to be printed on a label; of a postal code, not one of that country.
    Unreadable,
}

/// What is wrong with a typed address, field by field.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct AddressErrors {
    /// Of the name.
    pub name: Option<FieldError>,
    /// Of the street.
    pub street: Option<FieldError>,
    /// Of the postal code.
    pub postal_code: Option<FieldError>,
    /// Of the place.
    pub place: Option<FieldError>,
    /// Of the country.
    pub country: Option<FieldError>,
}

impl AddressErrors {
    /// Whether nothing is wrong.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

impl AddressErrors {
    /// Whether something was not typed at all.
    #[must_use]
    pub fn is_missing(&self) -> bool {
        [self.name, self.street, self.postal_code, self.place, self.country].contains(&Some(FieldError::Missing))
    }
}

impl AddressForm {
    /// Makes an address of it.
    ///
    /// # Errors
    /// Everything that is wrong, so that it can be put right at once.
    pub fn check(&self) -> Result<Address, AddressErrors> {
        let country = Country::find(self.country.trim());
        let mut errors = AddressErrors {
            name: line_error(&self.name),
            street: line_error(&self.street),
            postal_code: line_error(&self.postal_code),
            place: line_error(&self.place),
            country: None,
        };
        let Some(country) = country else {
            let missing = self.country.trim().is_empty();
            errors.country = Some(if missing { FieldError::Missing } else { FieldError::Unreadable });
            return Err(errors);
        };
        errors.postal_code = country.postal_code_error(&self.postal_code);
        if !errors.is_empty() {
            return Err(errors);
        }
        Ok(Address {
            name: self.name.trim().to_owned(),
            street: self.street.trim().to_owned(),
            postal_code: self.postal_code.trim().to_owned(),
            place: self.place.trim().to_owned(),
            country: country.code,
        })
    }
}

fn line_error(text: &str) -> Option<FieldError> {
    let text = text.trim();
    // What turns the direction of writing round makes a label read otherwise than it was checked.
    let unprintable = |char: char| {
        char.is_control()
            || matches!(char, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{2069}' | '\u{feff}')
    };
    if text.is_empty() {
        Some(FieldError::Missing)
    } else if text.chars().count() > LINE_MAX {
        Some(FieldError::TooLong)
    } else if text.contains(unprintable) || !text.contains(char::is_alphanumeric) {
        Some(FieldError::Unreadable)
    } else {
        None
    }
}

impl Address {
    /// The address as a label.
    #[must_use]
    pub fn recipient(&self, view: &View) -> Recipient {
        let country =
            Country::find(self.country).map_or(self.country, |country| country.name.in_language(view.language));
        Recipient {
            name: self.name.clone(),
            lines: vec![
                self.street.clone(),
                format!("{} {}", self.postal_code, self.place).trim().to_owned(),
                country.to_owned(),
            ],
            masked: false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn anna() -> AddressForm {
        AddressForm {
            name: "Anna Kowalska-O’Neill".to_owned(),
            street: "Am Alten Markt 1b".to_owned(),
            postal_code: "10115".to_owned(),
            place: "Berlin".to_owned(),
            country: "DE".to_owned(),
        }
    }

    #[test]
    fn a_whole_address_is_taken_without_the_spaces_around_it() {
        let typed = AddressForm { name: "  Anna Kowalska-O’Neill ".to_owned(), ..anna() };
        assert_eq!(typed.check(), anna().check());
        let address = anna().check().unwrap();
        assert_eq!(address.name, "Anna Kowalska-O’Neill");
        let recipient = address.recipient(&View::default());
        assert_eq!(recipient.lines, ["Am Alten Markt 1b", "10115 Berlin", "Germany"]);
    }

    #[test]
    fn everything_that_is_wrong_is_said_at_once() {
        let errors = AddressForm { name: " ".to_owned(), street: "x".repeat(71), country: "XX".to_owned(), ..anna() }
            .check()
            .unwrap_err();
        assert_eq!((errors.name, errors.street), (Some(FieldError::Missing), Some(FieldError::TooLong)));
        assert_eq!((errors.postal_code, errors.place), (None, None));
        assert_eq!(errors.country, Some(FieldError::Unreadable));
        let nothing = AddressForm::default().check().unwrap_err();
        assert_eq!(nothing.country, Some(FieldError::Missing));
    }

    #[test]
    fn a_line_that_no_label_can_bear_is_refused() {
        for odd in ["Anna\nKowalska", "Anna\u{202e}annA", "Anna\u{0}", "\u{200b}Anna", "---", "\u{1b}[31mAnna"] {
            let errors = AddressForm { name: odd.to_owned(), ..anna() }.check().unwrap_err();
            assert_eq!(errors.name, Some(FieldError::Unreadable), "{odd:?}");
        }
        assert!(AddressForm { name: "x".repeat(LINE_MAX), ..anna() }.check().is_ok());
        assert!(AddressForm { name: "Ælfgifu 李 Ōno".to_owned(), ..anna() }.check().is_ok());
    }

    #[test]
    fn postal_codes_have_the_form_of_their_country() {
        for (country, right, wrong) in [
            ("DE", "10115", "1011"),
            ("DE", "D-10115", "F-10115"),
            ("AT", "1010", "10100"),
            ("NL", "1012 ab", "1012 12"),
            ("IE", "A65 F4E2", "A65"),
            ("IE", "D6W XY00", "165 F4E2"),
            ("LV", "LV-1010", "LT-1010"),
            ("MT", "VLT 1117", "1117"),
            ("PL", "00-950", "00-95a"),
            ("PT", "1000-205", "100"),
            ("SE", "113 51", "１１３５１"),
            ("LT", "LT-01100", "LV-1010"),
        ] {
            let country = Country::find(country).unwrap();
            assert_eq!(country.postal_code_error(right), None, "{right}");
            assert_eq!(country.postal_code_error(wrong), Some(FieldError::Unreadable), "{wrong}");
        }
        for odd in ["-", "ÄÖ", "é1011", "10115é", "1".repeat(LINE_MAX + 1).as_str()] {
            assert!(COUNTRIES.iter().all(|country| country.postal_code_error(odd).is_some()), "{odd}");
        }
        // The library knows those of all of them; in Ireland alone post arrives without.
        assert!(COUNTRIES.iter().all(|country| PostalCodes::of(country.code).is_some()));
        let without: Vec<&str> =
            COUNTRIES.iter().filter(|it| it.postal_code_error(" ").is_none()).map(|it| it.code).collect();
        assert_eq!(without, ["IE"]);
        let dublin = AddressForm { postal_code: " ".to_owned(), country: "IE".to_owned(), ..anna() };
        assert_eq!(dublin.check().unwrap().recipient(&View::default()).lines[1], "Berlin");
    }

    #[test]
    fn the_countries_are_the_union_and_stand_in_order() {
        assert_eq!(COUNTRIES.len(), 27);
        let names =
            |language| Country::all(language).into_iter().map(|c| c.name.in_language(language)).collect::<Vec<_>>();
        assert_eq!(names(Language::English)[0], "Austria");
        assert!(names(Language::German).windows(2).any(|pair| pair == ["Niederlande", "Österreich"]));
    }
}
