//! A checkout's name.

use serde::{Deserialize, Serialize};

/// A checkout's name: random, and no secret. `c_` and 32 hexadecimal digits.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct CheckoutId(String);

/// A text that is not a checkout's name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a checkout id: c_ and 32 hexadecimal digits")]
pub struct NotACheckoutId;

impl CheckoutId {
    /// The name that these random bytes make.
    #[must_use]
    pub fn from_random(bytes: [u8; 16]) -> Self {
        Self(format!("c_{:032x}", u128::from_be_bytes(bytes)))
    }

    /// As it stands in an address.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl std::fmt::Display for CheckoutId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::fmt::Debug for CheckoutId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "CheckoutId({})", self.0)
    }
}

impl std::str::FromStr for CheckoutId {
    type Err = NotACheckoutId;

    fn from_str(text: &str) -> Result<Self, NotACheckoutId> {
        let digits = text.strip_prefix("c_").ok_or(NotACheckoutId)?;
        let plain = digits.len() == 32 && digits.bytes().all(|b| b.is_ascii_digit() || matches!(b, b'a'..=b'f'));
        if plain { Ok(Self(text.to_owned())) } else { Err(NotACheckoutId) }
    }
}

impl TryFrom<String> for CheckoutId {
    type Error = NotACheckoutId;

    fn try_from(text: String) -> Result<Self, NotACheckoutId> {
        text.parse()
    }
}

impl From<CheckoutId> for String {
    fn from(id: CheckoutId) -> Self {
        id.0
    }
}
