//! What postal codes look like, for a form in which somebody types one.

/// How the postal codes of a country are written.
///
/// For the countries of the European Economic Area, Switzerland, the United Kingdom and some others that shops send to, as their
/// posts write them. Only the form is known here, and no code is looked up. It is for what people type:
/// [`Address::check`](super::Address::check) takes what a wallet told or a program sent as it is.
///
/// ```
/// use firsthand::order::PostalCodes;
///
/// let austria = PostalCodes::of("AT").ok_or("not known")?;
/// assert!(austria.fit("1010") && austria.fit("A-1010"));
/// assert!(!austria.fit("10115") && austria.are_needed());
/// assert!(PostalCodes::of("AE").is_none(), "some sixty countries have none: nothing is asked there");
/// # Ok::<(), &str>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PostalCodes {
    country: &'static str,
    /// `9` a digit, `A` a letter, `*` either; spaces and hyphens do not count.
    forms: &'static [&'static str],
    example: &'static str,
}

impl PostalCodes {
    /// The codes of a country (two letters, ISO 3166-1); `None` where there are none, or none that are known here: then
    /// whatever was typed is taken, and nothing, too.
    #[must_use]
    pub fn of(country: &str) -> Option<&'static Self> {
        CODES.iter().find(|codes| codes.country == country)
    }

    /// Whether a text has the form of one, with or without the letters of the country before it: `D-10115`, `LV-1010`.
    #[must_use]
    pub fn fit(&self, text: &str) -> bool {
        let code: String = text.chars().filter(|c| !matches!(c, ' ' | '-')).collect();
        let bare = code.trim_start_matches(|c: char| c.is_ascii_alphabetic());
        let before = code.strip_suffix(bare).unwrap_or_default().to_ascii_uppercase();
        let is_country = self.country.starts_with(&before);
        self.forms.iter().any(|form| fits(form, &code) || (!form.starts_with('A') && is_country && fits(form, bare)))
    }

    /// Whether an address there has to have one. In Ireland post arrives without, and many do not know theirs.
    #[must_use]
    pub fn are_needed(&self) -> bool {
        self.country != "IE"
    }

    /// One that there is, to show how they look.
    #[must_use]
    pub const fn example(&self) -> &'static str {
        self.example
    }
}

fn fits(form: &str, code: &str) -> bool {
    code.chars().count() == form.len()
        && code.chars().zip(form.chars()).all(|(c, form)| match form {
            '9' => c.is_ascii_digit(),
            'A' => c.is_ascii_alphabetic(),
            _ => c.is_ascii_alphanumeric(),
        })
}

const fn codes(country: &'static str, forms: &'static [&'static str], example: &'static str) -> PostalCodes {
    PostalCodes { country, forms, example }
}

#[rustfmt::skip]
const CODES: [PostalCodes; 40] = [
    codes("AT", &["9999"], "1010"), codes("AU", &["9999"], "2000"), codes("BE", &["9999"], "1000"),
    codes("BG", &["9999"], "1000"), codes("BR", &["99999999"], "01310-100"), codes("CA", &["A9A9A9"], "K1A 0B1"),
    codes("CH", &["9999"], "3011"), codes("CY", &["9999"], "1010"), codes("CZ", &["99999"], "110 00"),
    codes("DE", &["99999"], "10115"), codes("DK", &["9999"], "1050"), codes("EE", &["99999"], "10111"),
    codes("ES", &["99999"], "28001"), codes("FI", &["99999"], "00100"), codes("FR", &["99999"], "75001"),
    codes("GB", &["A99AA", "A999AA", "AA99AA", "AA999AA", "A9A9AA", "AA9A9AA", "AAA9AA"], "SW1A 1AA"),
    codes("GR", &["99999"], "105 57"), codes("HR", &["99999"], "10000"), codes("HU", &["9999"], "1011"),
    codes("IE", &["A9*****"], "D02 AF30"), codes("IS", &["999"], "101"), codes("IT", &["99999"], "00184"),
    codes("JP", &["9999999"], "100-0001"), codes("LI", &["9999"], "9490"), codes("LT", &["99999"], "LT-01100"),
    codes("LU", &["9999"], "L-1111"), codes("LV", &["9999"], "LV-1010"), codes("MT", &["AAA9999"], "VLT 1117"),
    codes("NL", &["9999AA"], "1012 AB"), codes("NO", &["9999"], "0150"), codes("NZ", &["9999"], "6011"),
    codes("PL", &["99999"], "00-950"), codes("PT", &["9999999", "9999"], "1000-205"), codes("RO", &["999999"], "010011"),
    codes("SE", &["99999"], "113 51"), codes("SI", &["9999"], "1000"), codes("SK", &["99999"], "811 01"),
    codes("TR", &["99999"], "06420"), codes("UA", &["99999"], "01001"), codes("US", &["99999", "999999999"], "20500"),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_have_the_form_of_their_country() {
        for (country, right, wrong) in [
            ("AT", "1010", "10100"),
            ("AT", " A-1010", "D-1010"),
            ("BR", "01310-100", "01310"),
            ("CA", "k1a 0b1", "K1A"),
            ("CH", "CH-3011", "3o11"),
            ("DE", "10115", "1011"),
            ("DE", "D-10115", "F-10115"),
            ("GB", "SW1A 1AA", "SW1A"),
            ("GB", "M1 1AE", "11 1AE"),
            ("GB", "GIR 0AA", "1"),
            ("IE", "D6W XY00", "165 F4E2"),
            ("LV", "LV-1010", "LT-1010"),
            ("MT", "VLT 1117", "1117"),
            ("NL", "1012 ab", "1012 12"),
            ("PT", "1000", "100"),
            ("SE", "113 51", "１１３５１"),
            ("US", "20500-0003", "2050"),
        ] {
            let codes = PostalCodes::of(country).unwrap();
            assert!(codes.fit(right), "{country} {right}");
            assert!(!codes.fit(wrong), "{country} {wrong}");
        }
    }

    #[test]
    fn each_country_stands_there_once_with_an_example_that_fits() {
        assert!(CODES.windows(2).all(|pair| pair[0].country < pair[1].country));
        for codes in &CODES {
            assert!(codes.fit(codes.example()) && codes.country.len() == 2, "{}", codes.country);
            for odd in ["", "-", " ", "ÄÖ", "é1011", "10115é", codes.country, "\u{202e}10115"] {
                assert!(!codes.fit(odd), "{} {odd:?}", codes.country);
            }
        }
        assert_eq!(CODES.iter().filter(|codes| !codes.are_needed()).count(), 1);
        for unknown in ["", "AE", "HK", "XX", "de", "DEU"] {
            assert_eq!(PostalCodes::of(unknown), None, "{unknown}");
        }
    }
}
