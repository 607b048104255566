//! What a checkout says about itself.

use serde::{Deserialize, Serialize};

/// How a message bears on completing (UCP 2026-08-25, message severity).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Severity {
    /// It can be completed all the same.
    Info,
    /// It can be completed, and the customer should read this first.
    Warning,
    /// Whoever drives the checkout can mend it.
    Recoverable,
    /// The customer has to do it themselves.
    RequiresBuyerInput,
}

/// One thing that a checkout says. The code is for programs, and for pages in other languages; the text is English.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Message {
    /// How it bears on completing.
    pub severity: Severity,
    /// What it is about, as a stable name: `[a-z_]`.
    pub code: String,
    /// Which part: an item's name, what was entered, or the name of an ask; none for the whole.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub about: Option<String>,
    /// For the customer.
    pub text: String,
}

impl Message {
    /// A message of a severity.
    pub(crate) fn new(severity: Severity, code: &str, text: impl Into<String>) -> Self {
        Self { severity, code: code.to_owned(), about: None, text: text.into() }
    }

    /// What came of completing.
    pub(crate) fn failed(code: &str, text: impl Into<String>) -> Self {
        Self::new(Severity::Warning, code, text)
    }

    /// What it is about.
    pub(crate) fn about(mut self, part: impl Into<String>) -> Self {
        self.about = Some(part.into());
        self
    }
}
