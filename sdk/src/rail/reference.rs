//! The structured creditor reference (ISO 11649): what a payer copies into a transfer, and by which the money finds its
//! order.

use std::{collections::BTreeSet, fmt, str::FromStr};

use serde::{Deserialize, Serialize};

/// A creditor reference: `RF`, two check digits, and 1 to 21 capital letters and digits, without spaces.
///
/// In JSON it is that text. Its check digits find every wrong digit and every two that were swapped.
///
/// ```
/// use firsthand::rail::reference::Reference;
///
/// let typed: Reference = "rf18 5390 0754 7034".parse()?;
/// assert_eq!(typed.as_str(), "RF18539007547034");
/// assert_eq!(typed.printed(), "RF18 5390 0754 7034");
/// # Ok::<(), firsthand::rail::reference::NotAReference>(())
/// ```
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Reference(String);

/// A text that is not a creditor reference.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a creditor reference: RF, two check digits that fit, and 1 to 21 letters and digits")]
pub struct NotAReference;

/// How many digits follow the check digits in a reference of our own.
const OWN_DIGITS: usize = 14;

/// The most characters of a reference.
const MAX_LEN: usize = 25;

/// The longest text that is searched for a reference, in bytes. The remittance information of a transfer has 140.
const MAX_TEXT_LEN: usize = 1000;

impl Reference {
    /// The reference that these random bytes make: `RF`, the check digits and 14 digits, no letter among them, so that
    /// a bank's machine with digits alone takes it. One of 100,000,000,000,000.
    #[must_use]
    pub fn from_random(bytes: [u8; 8]) -> Self {
        let number = u64::from_be_bytes(bytes) % 10_u64.pow(14);
        let digits = format!("{number:014}");
        let check = check_digits("RF", &digits);
        Self(format!("RF{check:02}{digits}"))
    }

    /// As it stands in a record and in a transfer.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// As a person reads it: in groups of four.
    #[must_use]
    pub fn printed(&self) -> String {
        in_fours(&self.0)
    }

    /// The one reference in a text as a bank hands it on: in small letters, with spaces, hyphens or line breaks anywhere
    /// and words around. `None` if there is none, if there are two different ones, or if the text has more than 1,000
    /// bytes.
    ///
    /// Where it ends is a guess when words follow. What has the form of [our own](Self::from_random), or is written in
    /// one piece, is none; only without such does a reference count whose check digits fit at one place alone.
    #[must_use]
    pub fn find_in(text: &str) -> Option<Self> {
        if text.len() > MAX_TEXT_LEN {
            return None;
        }
        let pieces = Pieces::of(text);
        let sure: BTreeSet<Self> = pieces.starts().filter_map(|start| pieces.sure_at(start)).collect();
        let guessed = || pieces.starts().flat_map(|start| pieces.guessed_at(start)).collect();
        let mut found = if sure.is_empty() { guessed() } else { sure }.into_iter();
        found.next().filter(|_| found.next().is_none())
    }

    /// Checks a text in its canonical form.
    fn canonical(text: String) -> Result<Self, NotAReference> {
        let alphanumeric = text.bytes().all(|b| b.is_ascii_digit() || b.is_ascii_uppercase());
        let length = (5..=MAX_LEN).contains(&text.len());
        let checked = text.starts_with("RF") && has_good_check_digits(&text);
        if alphanumeric && length && checked { Ok(Self(text)) } else { Err(NotAReference) }
    }
}

impl FromStr for Reference {
    type Err = NotAReference;

    /// Reads it as people type it: spaces and small letters do not matter.
    fn from_str(text: &str) -> Result<Self, NotAReference> {
        compact(text).map_or(Err(NotAReference), Self::canonical)
    }
}

impl TryFrom<String> for Reference {
    type Error = NotAReference;

    fn try_from(text: String) -> Result<Self, NotAReference> {
        Self::canonical(text)
    }
}

impl From<Reference> for String {
    fn from(reference: Reference) -> Self {
        reference.0
    }
}

impl fmt::Display for Reference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for Reference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Reference({})", self.0)
    }
}

/// A bank's text: its letters and digits in one row, and where something else stood between them.
struct Pieces {
    row: String,
    /// For each place of the row whether a piece ends there: the character after it is separated, or there is none.
    ends: Vec<bool>,
}

impl Pieces {
    fn of(text: &str) -> Self {
        let (mut row, mut ends) = (String::new(), Vec::new());
        for c in text.chars() {
            if c.is_ascii_alphanumeric() {
                row.push(c.to_ascii_uppercase());
                ends.push(false);
            } else if let Some(last) = ends.last_mut() {
                *last = true;
            }
        }
        if let Some(last) = ends.last_mut() {
            *last = true;
        }
        Self { row, ends }
    }

    /// Where a reference may begin; also within a piece, since some banks drop spaces.
    fn starts(&self) -> impl Iterator<Item = usize> {
        self.row.match_indices("RF").map(|(at, _)| at)
    }

    /// The reference that begins here, if it has the form of our own or is written in one piece.
    fn sure_at(&self, start: usize) -> Option<Reference> {
        let own_end = start + 4 + OWN_DIGITS;
        let is_digit = |b: u8| b.is_ascii_digit();
        let digits = self.row.get(start + 2..own_end).is_some_and(|own| own.bytes().all(is_digit));
        let runs_on = !self.is_end(own_end) && self.row.as_bytes().get(own_end).copied().is_some_and(is_digit);
        let own = self.reference(start, own_end).filter(|_| digits && !runs_on);
        own.or_else(|| {
            let end = (start + 1..=start + MAX_LEN).find(|&place| self.is_end(place))?;
            self.reference(start, end)
        })
    }

    /// The references that begin here and end where a piece does.
    fn guessed_at(&self, start: usize) -> impl Iterator<Item = Reference> {
        let ends = (start + 5..=start + MAX_LEN).filter(|&place| self.is_end(place));
        ends.filter_map(move |end| self.reference(start, end))
    }

    fn reference(&self, start: usize, end: usize) -> Option<Reference> {
        Reference::canonical(self.row.get(start..end)?.to_owned()).ok()
    }

    /// Whether a piece ends before this place of the row.
    fn is_end(&self, place: usize) -> bool {
        place.checked_sub(1).and_then(|last| self.ends.get(last)).copied().unwrap_or_default()
    }
}

/// What a person typed, without spaces and in capital letters; `None` if it is longer than any reference or account
/// number with spaces between all characters.
pub(super) fn compact(text: &str) -> Option<String> {
    let short = text.len() <= 100;
    short.then(|| text.chars().filter(|c| !c.is_whitespace()).map(|c| c.to_ascii_uppercase()).collect())
}

/// A text of letters and digits in groups of four.
pub(super) fn in_fours(text: &str) -> String {
    let mut printed = String::with_capacity(text.len() + text.len() / 4);
    for (at, c) in text.chars().enumerate() {
        if at > 0 && at % 4 == 0 {
            printed.push(' ');
        }
        printed.push(c);
    }
    printed
}

/// Whether the third and fourth character are the check digits of the rest (ISO 7064, MOD 97-10).
///
/// They are 02 to 98: 00, 01 and 99 leave the same remainder as 97, 98 and 02, and are no check digits.
pub(super) fn has_good_check_digits(text: &str) -> bool {
    let (Some(prefix), Some(check), Some(rest)) = (text.get(..2), text.get(2..4), text.get(4..)) else { return false };
    let digits = check.bytes().all(|b| b.is_ascii_digit());
    digits && check.parse() == Ok(check_digits(prefix, rest))
}

/// The check digits of a text that begins with `prefix` and, after them, goes on with `rest` (ISO 7064, MOD 97-10): the
/// prefix moves to the end, A to Z count as 10 to 35, and what is missing to a remainder of 1 is the check.
fn check_digits(prefix: &str, rest: &str) -> u32 {
    let moved = rest.chars().chain(prefix.chars()).chain("00".chars());
    let remainder = moved.filter_map(|c| c.to_digit(36)).fold(0, |remainder, value| {
        let shift = if value < 10 { 10 } else { 100 };
        (remainder * shift + value) % 97
    });
    98 - remainder
}

#[cfg(test)]
mod tests {
    use super::*;

    /// References that others published, as they printed them.
    const PUBLISHED: [&str; 12] = [
        "RF18 5390 0754 7034", // the example of the standard
        "RF18000000000539007547034",
        "RF45 1234 5123 45",
        "RF4714508655422864",
        "RF68 AB2G 5",
        "RF39111112222233333444445",
        "RF32S0METE5T",
        "RF49N73GBST73AKL38ZX",
        "RF08 B370 0321",
        "RF19N8BG33KQ9HSS7BG",
        "RF66qs9H7NJ4fvs99SPO",
        "RF040",
    ];

    fn find(text: &str) -> Option<String> {
        Reference::find_in(text).map(String::from)
    }

    #[test]
    fn published_references_are_read_and_every_wrong_digit_is_found() {
        for text in PUBLISHED {
            let reference: Reference = text.parse().unwrap_or_else(|_| panic!("{text}"));
            let canonical = text.replace(' ', "").to_uppercase();
            assert_eq!(reference.as_str(), canonical);
            assert_eq!(reference.printed().parse(), Ok(reference.clone()));
            assert_eq!(serde_json::to_string(&reference).unwrap(), format!("\"{canonical}\""));
            for (at, digit) in canonical.char_indices().filter(|(_, c)| c.is_ascii_digit()) {
                for other in ('0'..='9').filter(|other| *other != digit) {
                    let wrong = format!("{}{other}{}", &canonical[..at], &canonical[at + 1..]);
                    assert_eq!(wrong.parse::<Reference>(), Err(NotAReference), "{wrong}");
                }
            }
            for at in 4..canonical.len() - 1 {
                let mut swapped: Vec<char> = canonical.chars().collect();
                swapped.swap(at, at + 1);
                let swapped: String = swapped.into_iter().collect();
                assert_eq!(swapped.parse::<Reference>().is_ok(), swapped == canonical, "{swapped}");
            }
        }
    }

    #[test]
    fn what_is_no_reference_is_refused() {
        let long = format!("RF18{}", "0".repeat(100_000));
        for text in [
            "",
            "RF",
            "RF18",
            "RF04",
            "RF17 5390 0754 7034",
            "FR18539007547034",
            "18539007547034",
            "RF1853900754703ä",
            "RF18-5390-0754-7034",
            "RF20.0000.3",
            "RF04GHJ74CV9B4DFH99RXPLMMQ43JKL0",
            "RFAA539007547034",
            "RF+8539007547034",
            "RF 1８ 5390",
            // Leave the remainder 1, and are no check digits all the same: they stand for 97, 98 and 02.
            "RF00102",
            &long,
        ] {
            assert_eq!(text.parse::<Reference>(), Err(NotAReference), "{text}");
        }
        for text in ["rf18539007547034", "RF18 5390 0754 7034", "RF18539007547035"] {
            let json = format!("\"{text}\"");
            assert!(serde_json::from_str::<Reference>(&json).is_err(), "a record has the canonical form: {text}");
        }
    }

    #[test]
    fn check_digits_have_one_form() {
        for rest in 0..5_000 {
            let rest = format!("{rest}");
            let good: Vec<u32> =
                (0..100).filter(|check| format!("RF{check:02}{rest}").parse::<Reference>().is_ok()).collect();
            assert!(matches!(good[..], [2..=98]), "{rest}: {good:?}");
        }
    }

    #[test]
    fn our_own_have_fourteen_digits_and_differ() {
        let own = Reference::from_random([0; 8]);
        assert_eq!(own.as_str().len(), 18);
        assert!(own.as_str().ends_with("00000000000000"));
        let mut seen = BTreeSet::new();
        for number in 0_u64..1000 {
            let own = Reference::from_random((number.wrapping_mul(0x9e37_79b9_7f4a_7c15)).to_be_bytes());
            assert_eq!(own.as_str().parse(), Ok(own.clone()));
            assert!(own.as_str()[2..].bytes().all(|b| b.is_ascii_digit()));
            assert_eq!(
                Reference::find_in(&format!("Bestellung {} vom 3.4.2026, danke", own.printed())),
                Some(own.clone())
            );
            assert!(seen.insert(own));
        }
        assert_eq!(Reference::from_random([0xff; 8]), Reference::from_random([0xff; 8]));
    }

    #[test]
    fn a_reference_is_found_as_banks_hand_it_on() {
        let own = Reference::from_random([7; 8]);
        let (whole, printed) = (own.as_str(), own.printed());
        let mut texts = vec![
            whole.to_owned(),
            whole.to_lowercase(),
            printed.clone(),
            printed.replace(' ', "-"),
            printed.replace(' ', "\r\n"),
            format!("SVWZ+{whole}"),
            format!("Verwendungszweck: {printed} Danke für den Wein 2026"),
            format!("danke{whole}danke"),
            format!("DANKEREF{whole}"),
            format!("{whole} {printed}"),
            format!("{whole}/{}", whole.to_lowercase()),
            format!("  {}  ", printed.replace(' ', "   ")),
            format!("{printed} 3 Flaschen 12 Euro 50"),
            format!("RF {} Surf 24 RF RF", &whole[2..]),
            format!("é{whole}ß"),
            format!("Surf 12 {printed} RF 24 12 03 2026 RF 55"),
        ];
        for at in 1..whole.len() {
            texts.push(format!("Lieferung {}\n{} Danke", &whole[..at], &whole[at..]));
        }
        for text in texts {
            assert_eq!(find(&text).as_deref(), Some(whole), "{text:?}");
        }
        let other = "RF18 5390 0754 7034";
        for text in [other, "rf18539007547034", "Rechnung RF18539007547034 vom 1.2.", "(RF18-5390-0754-7034)"] {
            assert_eq!(find(text).as_deref(), Some("RF18539007547034"), "{text:?}");
        }
    }

    #[test]
    fn without_one_reference_nothing_is_found() {
        let (one, two) = (Reference::from_random([1; 8]), Reference::from_random([2; 8]));
        for text in [
            String::new(),
            "Danke".into(),
            "RF".into(),
            "RF18".into(),
            "RFRFRFRFRFRF".into(),
            "RF17 5390 0754 7034".into(),
            "１８RF".into(),
            format!("{one} {two}"),
            format!("{one}{two}"),
            format!("{} und {}", one.printed(), two.printed()),
            format!("{one}5"),
            format!("{one}{}", " ".repeat(1000)),
            "RF18".repeat(250),
            "\u{0}\u{202e}RF\u{301}".into(),
        ] {
            assert_eq!(find(&text), None, "{text:?}");
        }
        // The longest that is read, of nothing but beginnings.
        assert_eq!(find(&"RF".repeat(500)), None);
        assert_eq!(find(&format!("{one}{}", " ".repeat(MAX_TEXT_LEN - 18))), Some(one.to_string()));
    }
}
