//! What an answer established, for as long as a sale may rely on it.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::{Device, RELATIONSHIP};
use crate::time::UnixTime;

/// What an ask established about a customer, and when: kept without the values that it was computed from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Proof {
    /// The ask that was answered.
    pub ask: String,
    /// Why it was asked, in the words of that day.
    pub purpose: String,
    /// What it established.
    pub outcome: Established,
    /// When the wallet answered.
    pub at: UnixTime,
    /// Whether the wallet was on the same device as the browser.
    pub device: Device,
}

/// What an answer established, in names and never in values. Written out it is `over 18`, or the names of the claims that
/// were shown, or `relationship`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Established {
    /// An age in full years that the customer has reached.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub over: Option<u8>,
    /// The claims that were shown, each by the first part of its name. One that says `false` is not among them: it was shown,
    /// and establishes nothing.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub shown: Vec<String>,
    /// That the customer showed the credential which this shop issued to them.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub recognised: bool,
}

impl Established {
    /// An age that was reached, and nothing else.
    #[must_use]
    pub fn over(years: u8) -> Self {
        Self { over: Some(years), ..Self::default() }
    }

    /// Whether the claim of this name was shown.
    #[must_use]
    pub fn has_shown(&self, name: &str) -> bool {
        self.shown.iter().any(|shown| shown == name)
    }
}

impl fmt::Display for Established {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let age = self.over.map(|years| format!("over {years}"));
        let parts: Vec<&str> = age.iter().chain(&self.shown).map(String::as_str).collect();
        match parts.as_slice() {
            [] if self.recognised => f.write_str(RELATIONSHIP),
            parts => f.write_str(&parts.join(", ")),
        }
    }
}
