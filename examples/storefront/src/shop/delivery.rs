//! Where a parcel goes: told by a wallet or typed, and never one taken for the other.

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
    /// The form of its postal codes: `9` a digit, `A` a letter, `*` either; spaces and hyphens do not count.
    postal_code: &'static str,
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

    /// Whether a postal code has the form of this country's, with or without the country before it: `D-10115`, `LV-1010`.
    #[must_use]
    pub fn has_postal_code(&self, text: &str) -> bool {
        let code: String = text.chars().filter(|char| !matches!(char, ' ' | '-')).collect();
        let letters = code.chars().take_while(char::is_ascii_alphabetic).count();
        let bare = code.get(letters..).unwrap_or_default();
        let prefixed = !self.postal_code.starts_with('A')
            && code.get(..letters).is_some_and(|prefix| self.code.starts_with(&prefix.to_ascii_uppercase()));
        self.fits(&code) || (prefixed && self.fits(bare))
    }

    fn fits(&self, code: &str) -> bool {
        code.len() == self.postal_code.len()
            && code.chars().zip(self.postal_code.chars()).all(|(char, form)| match form {
                '9' => char.is_ascii_digit(),
                'A' => char.is_ascii_alphabetic(),
                _ => char.is_ascii_alphanumeric(),
            })
    }
}

macro_rules! countries {
    ($($code:literal $english:literal $german:literal $postal_code:literal,)*) => {
        /// The countries that the shop sends to: the European Union.
        pub static COUNTRIES: &[Country] =
            &[$(Country { code: $code, name: Words($english, $german), postal_code: $postal_code }),*];
    };
}

countries! {
    "AT" "Austria" "Österreich" "9999",
    "BE" "Belgium" "Belgien" "9999",
    "BG" "Bulgaria" "Bulgarien" "9999",
    "HR" "Croatia" "Kroatien" "99999",
    "CY" "Cyprus" "Zypern" "9999",
    "CZ" "Czechia" "Tschechien" "99999",
    "DK" "Denmark" "Dänemark" "9999",
    "EE" "Estonia" "Estland" "99999",
    "FI" "Finland" "Finnland" "99999",
    "FR" "France" "Frankreich" "99999",
    "DE" "Germany" "Deutschland" "99999",
    "GR" "Greece" "Griechenland" "99999",
    "HU" "Hungary" "Ungarn" "9999",
    "IE" "Ireland" "Irland" "A9*****",
    "IT" "Italy" "Italien" "99999",
    "LV" "Latvia" "Lettland" "9999",
    "LT" "Lithuania" "Litauen" "99999",
    "LU" "Luxembourg" "Luxemburg" "9999",
    "MT" "Malta" "Malta" "AAA9999",
    "NL" "Netherlands" "Niederlande" "9999AA",
    "PL" "Poland" "Polen" "99999",
    "PT" "Portugal" "Portugal" "9999999",
    "RO" "Romania" "Rumänien" "999999",
    "SK" "Slovakia" "Slowakei" "99999",
    "SI" "Slovenia" "Slowenien" "9999",
    "ES" "Spain" "Spanien" "99999",
    "SE" "Sweden" "Schweden" "99999",
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
        if errors.postal_code.is_none() && !country.has_postal_code(self.postal_code.trim()) {
            errors.postal_code = Some(FieldError::Unreadable);
        }
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
            lines: vec![self.street.clone(), format!("{} {}", self.postal_code, self.place), country.to_owned()],
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
            ("PT", "1000-205", "1000"),
            ("SE", "113 51", "１１３５１"),
        ] {
            let country = Country::find(country).unwrap();
            assert!(country.has_postal_code(right), "{right}");
            assert!(!country.has_postal_code(wrong), "{wrong}");
        }
        for odd in ["", "-", "ÄÖ", "é1011", "10115é"] {
            assert!(!COUNTRIES.iter().any(|country| country.has_postal_code(odd)), "{odd}");
        }
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
