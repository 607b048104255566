//! One clock reading, as the library passes it around: nothing below the merchant reads a clock itself.

mod zone;

use serde::{Deserialize, Serialize};

pub use zone::{Local, Zone};

/// Whole seconds since 1970-01-01T00:00:00Z.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct UnixTime(i64);

impl UnixTime {
    /// The time that is `secs` seconds after the epoch.
    #[must_use]
    pub const fn from_secs(secs: i64) -> Self {
        Self(secs)
    }

    /// Seconds since the epoch.
    #[must_use]
    pub const fn as_secs(self) -> i64 {
        self.0
    }

    /// This time moved forward; saturates at the end of time.
    #[must_use]
    pub const fn plus_s(self, secs: u64) -> Self {
        Self(self.0.saturating_add_unsigned(secs))
    }

    /// This time moved back; saturates at the beginning of time.
    #[must_use]
    pub const fn minus_s(self, secs: u64) -> Self {
        Self(self.0.saturating_sub_unsigned(secs))
    }

    /// Seconds that have passed since `earlier`; nothing if it is not earlier.
    #[must_use]
    pub const fn since_s(self, earlier: Self) -> u64 {
        let passed = self.0.saturating_sub(earlier.0);
        if passed > 0 { passed.unsigned_abs() } else { 0 }
    }
}

impl std::fmt::Display for UnixTime {
    /// RFC 3339 in UTC, as a person or a log reads it.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match jiff::Timestamp::from_second(self.0) {
            Ok(at) => write!(f, "{at}"),
            Err(_) => write!(f, "{} s after 1970", self.0),
        }
    }
}

/// A day of the calendar, as banks write it: `2026-11-23`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Day(String);

/// A text that is no day.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a day is written as 2026-11-23")]
pub struct NotADay;

impl Day {
    /// The day that it is at a time, in UTC.
    #[must_use]
    pub fn of(at: UnixTime) -> Self {
        Self(at.to_string().chars().take(10).collect())
    }

    /// When it begins, in UTC.
    #[must_use]
    pub fn begins_at(&self) -> UnixTime {
        let midnight: Result<jiff::Timestamp, _> = format!("{}T00:00:00Z", self.0).parse();
        // Every day that can be read begins at some time.
        UnixTime::from_secs(midnight.map(jiff::Timestamp::as_second).unwrap_or_default())
    }

    /// As it stands in a file.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl std::str::FromStr for Day {
    type Err = NotADay;

    fn from_str(text: &str) -> Result<Self, NotADay> {
        let digits = |at: usize, b: u8| if matches!(at, 4 | 7) { b == b'-' } else { b.is_ascii_digit() };
        let form = text.len() == 10 && text.bytes().enumerate().all(|(at, b)| digits(at, b));
        if form && text.parse::<jiff::civil::Date>().is_ok() { Ok(Self(text.to_owned())) } else { Err(NotADay) }
    }
}

impl TryFrom<String> for Day {
    type Error = NotADay;

    fn try_from(text: String) -> Result<Self, NotADay> {
        text.parse()
    }
}

impl From<Day> for String {
    fn from(day: Day) -> Self {
        day.0
    }
}

impl std::fmt::Display for Day {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}
