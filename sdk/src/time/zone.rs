//! Where the shop's clock hangs: which day and hour people there read.

use serde::{Deserialize, Serialize};

use super::{Day, UnixTime};

const HOUR_S: i64 = 3600;
const DAY_S: i64 = 24 * HOUR_S;

/// The time that people go by where the shop is: the three zones of the European Union with its summer time, and UTC.
///
/// All three change at the same moment, 01:00 UTC on the last Sunday of March and of October (Directive 2000/84/EC, Articles
/// 2 and 3), so this needs no table of zones that somebody has to keep up to date. The rule is applied to every year, also
/// to those before it.
///
/// ```
/// use firsthand::time::{UnixTime, Zone};
///
/// // Half past eleven in the evening in UTC is the next day in Berlin.
/// let at = UnixTime::from_secs(1_795_563_000);
/// assert_eq!((Zone::Utc.stamp(at).as_str(), Zone::Cet.stamp(at).as_str()),
///     ("2026-11-24T23:30:00Z", "2026-11-25T00:30:00+01:00"));
/// assert_eq!(Zone::Cet.day(at).as_str(), "2026-11-25");
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Zone {
    /// No zone: what a shop has that has said none. Pages write `UTC` beside it.
    #[default]
    Utc,
    /// Western European Time: Ireland, Portugal without the Azores, the Canary Islands. One hour ahead of UTC in summer.
    Wet,
    /// Central European Time: Austria, Belgium, Croatia, Czechia, Denmark, France, Germany, Hungary, Italy, Luxembourg,
    /// Malta, the Netherlands, Poland, Slovakia, Slovenia, Spain, Sweden. One hour ahead of UTC, two in summer.
    Cet,
    /// Eastern European Time: Bulgaria, Cyprus, Estonia, Finland, Greece, Latvia, Lithuania, Romania. Two hours ahead of UTC,
    /// three in summer.
    Eet,
}

/// What calendar and clock show in a [`Zone`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[non_exhaustive]
pub struct Local {
    /// The year.
    pub year: i16,
    /// The month, from 1.
    pub month: u8,
    /// The day of the month, from 1.
    pub day: u8,
    /// The hour, from 0 to 23.
    pub hour: u8,
    /// The minute, from 0 to 59.
    pub minute: u8,
}

impl Zone {
    /// What calendar and clock show at a time. In the night when summer ends they show an hour twice. Times that no calendar
    /// has (beyond the year 9999) show its last.
    #[must_use]
    pub fn local(self, at: UnixTime) -> Local {
        let at = clamped(at.0.saturating_add(self.ahead_s(at)));
        let at = at.to_zoned(jiff::tz::TimeZone::UTC).datetime();
        let plain = |number: i8| number.unsigned_abs();
        Local {
            year: at.year(),
            month: plain(at.month()),
            day: plain(at.day()),
            hour: plain(at.hour()),
            minute: plain(at.minute()),
        }
    }

    /// The day that it is there.
    #[must_use]
    pub fn day(self, at: UnixTime) -> Day {
        let Local { year, month, day, .. } = self.local(at);
        Day(format!("{year:04}-{month:02}-{day:02}"))
    }

    /// When a day begins there.
    #[must_use]
    pub fn begins(self, day: &Day) -> UnixTime {
        self.midnight(day.begins_at().0)
    }

    /// When a day ends there, which is when the next one begins: 23, 24 or 25 hours later.
    #[must_use]
    pub fn ends(self, day: &Day) -> UnixTime {
        self.midnight(day.begins_at().0.saturating_add(DAY_S))
    }

    /// The end of the day there: the first midnight that is not before this time.
    #[must_use]
    pub fn end_of_day(self, at: UnixTime) -> UnixTime {
        let shown = at.0.saturating_add(self.ahead_s(at));
        let days = shown.div_euclid(DAY_S).saturating_add(i64::from(shown.rem_euclid(DAY_S) > 0));
        // At the end of time no midnight follows.
        self.midnight(days.saturating_mul(DAY_S)).max(at)
    }

    /// Whether this is the moment when one day ends there and the next begins.
    #[must_use]
    pub fn is_midnight(self, at: UnixTime) -> bool {
        at.0.saturating_add(self.ahead_s(at)).rem_euclid(DAY_S) == 0
    }

    /// RFC 3339 with the offset of the zone: `2026-11-24T14:05:00+01:00`.
    #[must_use]
    pub fn stamp(self, at: UnixTime) -> String {
        let ahead = self.ahead_s(at);
        let shown = clamped(at.0.saturating_add(ahead)).to_string();
        match (self, shown.strip_suffix('Z')) {
            (Self::Utc, _) | (_, None) => shown,
            (_, Some(local)) => format!("{local}+{:02}:00", ahead / HOUR_S),
        }
    }

    /// What its time is called in English: `CET`, and `CEST` in summer.
    #[must_use]
    pub fn name_at(self, at: UnixTime) -> &'static str {
        match (self, is_summer(at)) {
            (Self::Utc, _) => "UTC",
            (Self::Wet, false) => "WET",
            (Self::Wet, true) => "WEST",
            (Self::Cet, false) => "CET",
            (Self::Cet, true) => "CEST",
            (Self::Eet, false) => "EET",
            (Self::Eet, true) => "EEST",
        }
    }

    /// For records, which say a zone only where there is one.
    pub(crate) fn is_utc(&self) -> bool {
        *self == Self::Utc
    }

    /// How far its clocks are ahead of UTC in winter, in seconds.
    const fn in_winter_s(self) -> i64 {
        match self {
            Self::Utc | Self::Wet => 0,
            Self::Cet => HOUR_S,
            Self::Eet => 2 * HOUR_S,
        }
    }

    /// How far they are ahead at a time.
    fn ahead_s(self, at: UnixTime) -> i64 {
        let has_summer = self != Self::Utc;
        self.in_winter_s() + if has_summer && is_summer(at) { HOUR_S } else { 0 }
    }

    /// When calendar and clock show a midnight, given in seconds as if they showed UTC. No clock is changed at midnight, so
    /// each is shown once.
    fn midnight(self, shown: i64) -> UnixTime {
        let by_winter = UnixTime(shown.saturating_sub(self.in_winter_s()));
        let by_summer = by_winter.minus_s(HOUR_S.unsigned_abs());
        if self.ahead_s(by_summer) > self.in_winter_s() { by_summer } else { by_winter }
    }
}

/// Whether it is summer time in the European Union.
fn is_summer(at: UnixTime) -> bool {
    let at = clamped(at.0);
    let year = at.to_zoned(jiff::tz::TimeZone::UTC).year();
    let changes = |month| last_sunday(year, month).is_some_and(|change| at >= change);
    changes(3) && !changes(10)
}

/// 01:00 UTC on the last Sunday of a month of 31 days.
fn last_sunday(year: i16, month: i8) -> Option<jiff::Timestamp> {
    let last = jiff::civil::Date::new(year, month, 31).ok()?;
    let sunday = last.checked_sub(jiff::Span::new().days(last.weekday().to_sunday_zero_offset())).ok()?;
    Some(sunday.at(1, 0, 0, 0).to_zoned(jiff::tz::TimeZone::UTC).ok()?.timestamp())
}

/// The nearest time that a calendar has.
fn clamped(secs: i64) -> jiff::Timestamp {
    let (first, last) = (jiff::Timestamp::MIN, jiff::Timestamp::MAX);
    jiff::Timestamp::from_second(secs.clamp(first.as_second(), last.as_second())).unwrap_or(last)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> UnixTime {
        UnixTime::from_secs(text.parse::<jiff::Timestamp>().unwrap().as_second())
    }

    fn shown(zone: Zone, text: &str) -> String {
        let Local { hour, minute, .. } = zone.local(at(text));
        format!("{} {hour:02}:{minute:02} {}", zone.day(at(text)), zone.name_at(at(text)))
    }

    #[test]
    fn clocks_change_at_one_moment_in_all_zones() {
        for (zone, before, after) in [
            (Zone::Utc, "2026-03-29 00:59 UTC", "2026-03-29 01:00 UTC"),
            (Zone::Wet, "2026-03-29 00:59 WET", "2026-03-29 02:00 WEST"),
            (Zone::Cet, "2026-03-29 01:59 CET", "2026-03-29 03:00 CEST"),
            (Zone::Eet, "2026-03-29 02:59 EET", "2026-03-29 04:00 EEST"),
        ] {
            assert_eq!(shown(zone, "2026-03-29T00:59:59Z"), before);
            assert_eq!(shown(zone, "2026-03-29T01:00:00Z"), after);
        }
        for (zone, before, after) in [
            (Zone::Utc, "2026-10-25 00:59 UTC", "2026-10-25 01:00 UTC"),
            (Zone::Wet, "2026-10-25 01:59 WEST", "2026-10-25 01:00 WET"),
            (Zone::Cet, "2026-10-25 02:59 CEST", "2026-10-25 02:00 CET"),
            (Zone::Eet, "2026-10-25 03:59 EEST", "2026-10-25 03:00 EET"),
        ] {
            assert_eq!(shown(zone, "2026-10-25T00:59:59Z"), before);
            assert_eq!(shown(zone, "2026-10-25T01:00:00Z"), after);
        }
    }

    #[test]
    fn the_days_of_change_are_the_last_sundays_of_each_year() {
        for (year, march, october) in [
            (2001, 25, 28),
            (2002, 31, 27),
            (2020, 29, 25),
            (2024, 31, 27),
            (2025, 30, 26),
            (2026, 29, 25),
            (2027, 28, 31),
            (2100, 28, 31),
        ] {
            for (month, day, into) in [(3, march, true), (10, october, false)] {
                let change = at(&format!("{year}-{month:02}-{day:02}T01:00:00Z"));
                assert_eq!((is_summer(change.minus_s(1)), is_summer(change)), (!into, into), "{change}");
            }
        }
    }

    #[test]
    fn a_day_has_as_many_hours_as_clocks_show() {
        let day = |text: &str| text.parse::<Day>().unwrap();
        for zone in [Zone::Wet, Zone::Cet, Zone::Eet] {
            for (text, hours) in [("2026-03-29", 23), ("2026-10-25", 25), ("2026-03-28", 24), ("2026-07-01", 24)] {
                let (begin, end) = (zone.begins(&day(text)), zone.ends(&day(text)));
                assert_eq!(end.since_s(begin), hours * 3600, "{text}");
                assert_eq!((zone.day(begin), zone.day(end.minus_s(1))), (day(text), day(text)));
                assert_eq!(zone.day(begin.minus_s(1)).cmp(&day(text)), std::cmp::Ordering::Less);
                assert!(zone.is_midnight(begin) && zone.is_midnight(end) && !zone.is_midnight(end.minus_s(1)));
                assert_eq!((zone.end_of_day(begin), zone.end_of_day(begin.plus_s(1))), (begin, end));
                assert_eq!(zone.end_of_day(end.minus_s(1)), end);
            }
        }
        assert_eq!(Zone::Cet.begins(&day("2026-07-01")).to_string(), "2026-06-30T22:00:00Z");
        assert_eq!(Zone::Utc.begins(&day("2026-07-01")).to_string(), "2026-07-01T00:00:00Z");
    }

    #[test]
    fn midnight_is_the_merchants() {
        assert_eq!(shown(Zone::Cet, "2026-11-23T23:00:00Z"), "2026-11-24 00:00 CET");
        assert_eq!(shown(Zone::Cet, "2026-12-31T23:30:00Z"), "2027-01-01 00:30 CET");
        assert_eq!(shown(Zone::Eet, "2026-06-30T20:59:59Z"), "2026-06-30 23:59 EEST");
        assert_eq!(Zone::Eet.stamp(at("2026-06-30T20:59:59Z")), "2026-06-30T23:59:59+03:00");
        assert_eq!(Zone::Wet.stamp(at("2026-01-30T20:59:59Z")), "2026-01-30T20:59:59+00:00");
        assert_eq!(Zone::Utc.stamp(at("2026-01-30T20:59:59Z")), "2026-01-30T20:59:59Z");
    }

    #[test]
    fn the_ends_of_time_are_shown_and_kept() {
        for zone in [Zone::Utc, Zone::Wet, Zone::Cet, Zone::Eet] {
            for end in [i64::MIN, i64::MAX] {
                let end = UnixTime::from_secs(end);
                assert!(zone.local(end).month > 0 && zone.stamp(end).contains('T'));
                assert!(zone.end_of_day(end) >= end);
                let _ = (zone.day(end), zone.is_midnight(end), zone.name_at(end));
            }
        }
    }

    #[test]
    fn it_is_written_as_its_name() {
        assert_eq!(serde_json::to_string(&Zone::Cet).unwrap(), "\"cet\"");
        assert_eq!(serde_json::from_str::<Zone>("\"eet\"").unwrap(), Zone::Eet);
        assert!(serde_json::from_str::<Zone>("\"mars\"").is_err());
    }
}
