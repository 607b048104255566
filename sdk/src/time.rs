//! One clock reading, as the library passes it around: nothing below the merchant reads a clock itself.

use serde::{Deserialize, Serialize};

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
