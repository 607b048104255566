//! The languages that our pages speak, and how people write amounts in them.

use std::convert::Infallible;

use axum::extract::{FromRequestParts, OriginalUri};
use firsthand::{
    money::Money,
    time::{Local, UnixTime, Zone},
};
use http::{HeaderMap, Uri, header, request::Parts};

/// A language that our pages speak, and as an argument of a handler the one that the visitor likes best: what `?lang=` in the
/// address says, else what the browser asks for. A shop's own pages that take it speak as the checkout page behind them does.
///
/// ```
/// use axum::response::Html;
/// use firsthand_axum::Lang;
///
/// async fn home(lang: Lang) -> Html<String> {
///     let greeting = lang.say("Good day", "Guten Tag");
///     Html(format!("<!doctype html><html lang=\"{}\"><title>{greeting}</title>", lang.tag()))
/// }
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Lang {
    /// English, for everybody whose language we do not have.
    #[default]
    En,
    /// German.
    De,
}

impl Lang {
    /// One of two texts.
    #[must_use]
    pub const fn say<'a>(self, english: &'a str, german: &'a str) -> &'a str {
        match self {
            Self::En => english,
            Self::De => german,
        }
    }

    /// An amount as people write it: `€1,480.00`, `1.480,00 €`.
    #[must_use]
    pub fn amount(self, money: Money) -> String {
        let decimal = money.decimal();
        let (whole, rest) = decimal.split_once('.').unwrap_or((&decimal, ""));
        let (thousands, point) = match self {
            Self::En => (',', '.'),
            Self::De => ('.', ','),
        };
        let mut grouped = String::new();
        for (place, digit) in whole.chars().enumerate() {
            if place > 0 && whole.len().saturating_sub(place).is_multiple_of(3) {
                grouped.push(thousands);
            }
            grouped.push(digit);
        }
        if !rest.is_empty() {
            grouped.push(point);
            grouped.push_str(rest);
        }
        let code = money.currency().code();
        let symbol = match code {
            "EUR" => "€",
            "GBP" => "£",
            other => other,
        };
        match self {
            Self::De => format!("{grouped}\u{a0}{symbol}"),
            Self::En if symbol.len() < 4 && symbol != code => format!("{symbol}{grouped}"),
            Self::En => format!("{symbol}\u{a0}{grouped}"),
        }
    }

    /// The day that it is in a zone, as people write it: `24 November 2026`, `24.11.2026`.
    #[must_use]
    pub fn day(self, zone: Zone, at: UnixTime) -> String {
        const MONTHS: [&str; 12] = [
            "January",
            "February",
            "March",
            "April",
            "May",
            "June",
            "July",
            "August",
            "September",
            "October",
            "November",
            "December",
        ];
        let Local { year, month, day, .. } = zone.local(at);
        match self {
            Self::De => format!("{day:02}.{month:02}.{year}"),
            Self::En => {
                let name = MONTHS.get(usize::from(month).saturating_sub(1)).copied().unwrap_or_default();
                format!("{day} {name} {year}")
            }
        }
    }

    /// Day and time in a zone, as people write them: `24 November 2026, 14:05`, `24.11.2026, 14:05 Uhr`. Where no zone was
    /// said, `UTC` stands beside it.
    #[must_use]
    pub fn moment(self, zone: Zone, at: UnixTime) -> String {
        let Local { hour, minute, .. } = zone.local(at);
        let utc = if zone == Zone::Utc { " UTC" } else { "" };
        format!("{}, {hour:02}:{minute:02}{}{utc}", self.day(zone, at), self.say("", " Uhr"))
    }

    /// The same with the name of the zone, for what is kept and read elsewhere: `24 November 2026, 14:05 CET`,
    /// `24.11.2026, 14:05 Uhr MEZ`.
    #[must_use]
    pub fn dated(self, zone: Zone, at: UnixTime) -> String {
        let name = match (self, zone.name_at(at)) {
            (_, "UTC") => return self.moment(zone, at),
            (Self::De, "WET") => "WEZ",
            (Self::De, "WEST") => "WESZ",
            (Self::De, "CET") => "MEZ",
            (Self::De, "CEST") => "MESZ",
            (Self::De, "EET") => "OEZ",
            (Self::De, "EEST") => "OESZ",
            (_, name) => name,
        };
        format!("{} {name}", self.moment(zone, at))
    }

    /// The end of a period: its last day, if it ends with one, and else the moment.
    pub(crate) fn last_of(self, zone: Zone, end: UnixTime) -> String {
        match zone.is_midnight(end) {
            true => format!("{} {}", self.say("the end of", "einschließlich"), self.day(zone, end.minus_s(1))),
            false => self.moment(zone, end),
        }
    }

    /// The value of the attribute `lang`.
    #[must_use]
    pub const fn tag(self) -> &'static str {
        match self {
            Self::En => "en",
            Self::De => "de",
        }
    }

    /// The language that a request asks for by its headers.
    pub(crate) fn of(headers: &HeaderMap) -> Self {
        Self::from_accept_language(headers.get(header::ACCEPT_LANGUAGE).and_then(|value| value.to_str().ok()))
    }

    /// The language that an address names.
    pub(crate) fn named(uri: &Uri) -> Option<Self> {
        let query = url::form_urlencoded::parse(uri.query()?.as_bytes());
        match query.take(8).find(|(name, _)| name == "lang")?.1.as_ref() {
            "de" => Some(Self::De),
            "en" => Some(Self::En),
            _ => None,
        }
    }

    /// The language that the visitor likes best of ours, from the value of `Accept-Language` (RFC 9110 12.5.4).
    ///
    /// The browser sends it, anybody can: the first sixteen ranges count, and what cannot be read counts for nothing.
    fn from_accept_language(value: Option<&str>) -> Self {
        let mut best = (0, Self::default());
        for range in value.unwrap_or_default().split(',').take(16) {
            let (tag, weight) = range.split_once(';').unwrap_or((range, "q=1"));
            let primary = tag.trim().split('-').next().unwrap_or_default();
            let lang = match primary.to_ascii_lowercase().as_str() {
                "en" | "*" => Self::En,
                "de" => Self::De,
                _ => continue,
            };
            let weight = thousandths(weight.trim());
            // The first of equals wins.
            if weight > best.0 {
                best = (weight, lang);
            }
        }
        best.1
    }
}

impl<S: Sync> FromRequestParts<S> for Lang {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Infallible> {
        let uri = parts.extensions.get::<OriginalUri>().map_or(&parts.uri, |original| &original.0);
        Ok(Self::named(uri).unwrap_or_else(|| Self::of(&parts.headers)))
    }
}

/// `q=0.75` as 750 (RFC 9110 12.4.2); whatever else as 0.
fn thousandths(weight: &str) -> u16 {
    let Some(number) = weight.strip_prefix("q=").or_else(|| weight.strip_prefix("Q=")) else { return 0 };
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    if fraction.len() > 3 || !fraction.bytes().all(|byte| byte.is_ascii_digit()) {
        return 0;
    }
    match whole {
        "1" => 1000,
        "0" => format!("{fraction:0<3}").parse().unwrap_or(0),
        _ => 0,
    }
}

#[cfg(test)]
mod tests {
    use firsthand::money::Currency;

    use super::*;

    #[test]
    fn the_language_is_the_one_liked_best() {
        for (header, lang) in [
            (None, Lang::En),
            (Some(""), Lang::En),
            (Some("de"), Lang::De),
            (Some("DE-at, en;q=0.8"), Lang::De),
            (Some("en-GB,en;q=0.9,de;q=0.8"), Lang::En),
            (Some("en;q=0.8, de;q=0.81"), Lang::De),
            (Some("fr, de;q=0.5, en;q=0.4"), Lang::De),
            (Some("fr, *;q=0.5"), Lang::En),
            (Some("de;q=0"), Lang::En),
            (Some("de;q=2"), Lang::En),
            (Some("de;q=0.1234"), Lang::En),
            (Some("de;q=-1, ;;,=,"), Lang::En),
            (Some("dex"), Lang::En),
        ] {
            assert_eq!(Lang::from_accept_language(header), lang, "{header:?}");
        }
        let late = format!("{}de", "fr,".repeat(16));
        assert_eq!(Lang::from_accept_language(Some(&late)), Lang::En);
    }

    #[tokio::test]
    async fn the_address_says_more_than_the_browser() {
        for (uri, accepts, lang) in [
            ("/", "de", Lang::De),
            ("/?lang=en", "de", Lang::En),
            ("/?x=1&lang=de", "en", Lang::De),
            ("/?lang=fr", "de", Lang::De),
            ("/?lang=", "en", Lang::En),
        ] {
            let request = http::Request::get(uri).header(header::ACCEPT_LANGUAGE, accepts).body(()).unwrap();
            let (mut parts, ()) = request.into_parts();
            assert_eq!(Lang::from_request_parts(&mut parts, &()).await.unwrap(), lang, "{uri} {accepts}");
        }
    }

    #[test]
    fn times_are_written_by_the_clock_of_the_shop() {
        let at = |text: &str| text.parse::<firsthand::time::Day>().unwrap().begins_at().plus_s(23 * 3600 + 5 * 60);
        let (winter, summer) = (at("2026-11-24"), at("2026-07-01"));
        for (zone, time, english, german) in [
            (Zone::Utc, winter, "24 November 2026, 23:05 UTC", "24.11.2026, 23:05 Uhr UTC"),
            (Zone::Wet, winter, "24 November 2026, 23:05", "24.11.2026, 23:05 Uhr"),
            (Zone::Cet, winter, "25 November 2026, 00:05", "25.11.2026, 00:05 Uhr"),
            (Zone::Cet, summer, "2 July 2026, 01:05", "02.07.2026, 01:05 Uhr"),
        ] {
            assert_eq!((Lang::En.moment(zone, time), Lang::De.moment(zone, time)), (english.into(), german.into()));
        }
        for (zone, time, english, german) in [
            (Zone::Utc, winter, "UTC", "UTC"),
            (Zone::Wet, summer, "WEST", "WESZ"),
            (Zone::Cet, winter, "CET", "MEZ"),
            (Zone::Cet, summer, "CEST", "MESZ"),
            (Zone::Eet, winter, "EET", "OEZ"),
            (Zone::Eet, summer, "EEST", "OESZ"),
        ] {
            let (shown, gezeigt) = (Lang::En.dated(zone, time), Lang::De.dated(zone, time));
            assert_eq!((shown.rsplit(' ').next(), gezeigt.rsplit(' ').next()), (Some(english), Some(german)));
            assert_eq!(shown.matches(english).count(), 1, "{shown}");
        }
        // What ends with a day ends with the whole of it.
        let midnight = Zone::Cet.end_of_day(winter);
        assert_eq!(Lang::En.last_of(Zone::Cet, midnight), "the end of 25 November 2026");
        assert_eq!(Lang::De.last_of(Zone::Cet, midnight), "einschließlich 25.11.2026");
        assert_eq!(Lang::De.last_of(Zone::Utc, midnight), "25.11.2026, 23:00 Uhr UTC");
    }

    #[test]
    fn amounts_are_written_as_people_do() {
        let euro = |text| Money::parse(text, Currency::EUR).unwrap();
        for (money, english, german) in [
            (euro("0"), "€0.00", "0,00\u{a0}€"),
            (euro("14.80"), "€14.80", "14,80\u{a0}€"),
            (euro("999.99"), "€999.99", "999,99\u{a0}€"),
            (euro("1234567.05"), "€1,234,567.05", "1.234.567,05\u{a0}€"),
            (Money::parse("1500", Currency::CHF).unwrap(), "CHF\u{a0}1,500.00", "1.500,00\u{a0}CHF"),
        ] {
            assert_eq!((Lang::En.amount(money).as_str(), Lang::De.amount(money).as_str()), (english, german));
        }
    }
}
