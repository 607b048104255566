//! English and German.

use axum::http::HeaderMap;
use firsthand_axum::time::{Local, UnixTime};

use super::ZONE;

/// A text in both languages: English, German.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Words(pub &'static str, pub &'static str);

impl Words {
    /// The text in a language.
    #[must_use]
    pub const fn in_language(self, language: Language) -> &'static str {
        language.say(self.0, self.1)
    }
}

/// A language that the shop speaks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Language {
    /// English, also for everybody whose language the shop does not speak.
    #[default]
    English,
    /// German.
    German,
}

impl Language {
    /// The language of a tag such as `de` or `de-AT`.
    #[must_use]
    pub fn of_tag(tag: &str) -> Option<Self> {
        match tag.trim().split('-').next()? {
            primary if primary.eq_ignore_ascii_case("en") => Some(Self::English),
            primary if primary.eq_ignore_ascii_case("de") => Some(Self::German),
            _ => None,
        }
    }

    /// The spoken language that `Accept-Language` (RFC 9110, 12.5.4) prefers; the first of equals.
    #[must_use]
    pub fn of_headers(headers: &HeaderMap) -> Self {
        let Some(accepted) = headers.get("accept-language").and_then(|value| value.to_str().ok()) else {
            return Self::default();
        };
        let mut best = (0.0, Self::default());
        for range in accepted.split(',').take(32) {
            let (tag, weight) = range.split_once(';').unwrap_or((range, ""));
            let weight = match weight.trim().strip_prefix("q=") {
                Some(weight) => weight.parse::<f32>().unwrap_or(0.0),
                None => 1.0,
            };
            if let Some(language) = Self::of_tag(tag)
                && weight > best.0
            {
                best = (weight, language);
            }
        }
        best.1
    }

    /// Its tag.
    #[must_use]
    pub const fn tag(self) -> &'static str {
        self.say("en", "de")
    }

    /// The other one.
    #[must_use]
    pub const fn other(self) -> Self {
        match self {
            Self::English => Self::German,
            Self::German => Self::English,
        }
    }

    /// One of two texts.
    #[must_use]
    pub const fn say(self, english: &'static str, german: &'static str) -> &'static str {
        match self {
            Self::English => english,
            Self::German => german,
        }
    }

    /// A time, in seconds since 1970, to read by the shop's clock: `22 November 2026, 15:05`.
    #[must_use]
    pub fn moment(self, at_s: i64) -> String {
        let Local { hour, minute, .. } = ZONE.local(UnixTime::from_secs(at_s));
        format!("{}, {hour:02}:{minute:02}{}", self.day(at_s), self.say("", " Uhr"))
    }

    /// The same with the name of the zone, for what is kept and read elsewhere: `22 November 2026, 15:05 CET`.
    #[must_use]
    pub fn dated(self, at_s: i64) -> String {
        let name = match (self, ZONE.name_at(UnixTime::from_secs(at_s))) {
            (Self::German, "CET") => "MEZ",
            (Self::German, "CEST") => "MESZ",
            (_, name) => name,
        };
        format!("{} {name}", self.moment(at_s))
    }

    /// Its day alone, to read: `22 November 2026`.
    #[must_use]
    pub fn day(self, at_s: i64) -> String {
        let Local { year, month, day, .. } = ZONE.local(UnixTime::from_secs(at_s));
        format!("{day}{} {} {year}", self.say("", "."), self.month(month))
    }

    /// The end of a period: its last day, if it ends with one, and else the moment.
    #[must_use]
    pub fn last_of(self, end_s: i64) -> String {
        match ZONE.is_midnight(UnixTime::from_secs(end_s)) {
            true => format!("{} {}", self.say("the end of", "einschließlich"), self.day(end_s.saturating_sub(1))),
            false => self.moment(end_s),
        }
    }

    fn month(self, month: u8) -> &'static str {
        let names = match self {
            Self::English => "January February March April May June July August September October November December",
            Self::German => "Januar Februar März April Mai Juni Juli August September Oktober November Dezember",
        };
        names.split(' ').nth(usize::from(month).saturating_sub(1)).unwrap_or("–")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn accepted(value: &str) -> Language {
        let mut headers = HeaderMap::new();
        headers.insert("accept-language", value.parse().unwrap());
        Language::of_headers(&headers)
    }

    #[test]
    fn the_browser_chooses_the_language() {
        assert_eq!(accepted("de-AT,de;q=0.9,en;q=0.5"), Language::German);
        assert_eq!(accepted("fr, en;q=0.4, de;q=0.8"), Language::German);
        assert_eq!(accepted("de;q=0.3, en"), Language::English);
        assert_eq!(accepted("fr, it"), Language::English);
        assert_eq!(accepted(";;q=x,,de;q=much"), Language::English);
        assert_eq!(Language::of_headers(&HeaderMap::new()), Language::English);
    }

    #[test]
    fn a_moment_is_written_in_both_languages() {
        assert_eq!(Language::English.moment(1_795_356_300), "22 November 2026, 15:05");
        assert_eq!(Language::German.moment(1_795_356_300), "22. November 2026, 15:05 Uhr");
        assert_eq!(Language::English.dated(1_795_356_300), "22 November 2026, 15:05 CET");
        assert_eq!(Language::German.dated(1_783_000_800), "2. Juli 2026, 16:00 Uhr MESZ");
        assert_eq!(Language::German.day(1_772_323_200), "1. März 2026");
        // At the end of February in UTC it is March in the shop.
        assert_eq!(Language::German.day(1_772_323_200 - 3600), "1. März 2026");
        assert_eq!(Language::German.last_of(1_772_323_200 - 3600), "einschließlich 28. Februar 2026");
        assert_eq!(Language::English.last_of(1_772_323_200), "1 March 2026, 01:00");
        assert!(!Language::German.day(i64::MAX).is_empty());
    }
}
