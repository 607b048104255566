//! A part of an amount, in hundredths of a percent: tax rates and percentages off.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};

use super::{Money, MoneyError};

/// The whole, in hundredths of a percent.
const WHOLE: u32 = 10_000;

/// A rate from 0 to 100 percent, in hundredths of a percent: 1900 is 19 %, 550 is 5.5 %. In JSON it is that number.
///
/// ```
/// use firsthand::money::{Currency, Money, Rate};
///
/// let vat: Rate = "19".parse()?;
/// let gross = Money::parse("11.90", Currency::EUR)?;
/// assert_eq!(gross.included(vat)?.decimal(), "1.90");
/// assert_eq!(Money::parse("10", Currency::EUR)?.share(vat)?.decimal(), "1.90");
/// # Ok::<(), firsthand::money::MoneyError>(())
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "u32", into = "u32")]
pub struct Rate(u32);

impl Rate {
    /// Nothing of it.
    pub const ZERO: Self = Self(0);

    /// A rate in hundredths of a percent, at most 10,000.
    ///
    /// # Errors
    /// [`MoneyError::Rate`].
    pub const fn from_hundredths(hundredths: u32) -> Result<Self, MoneyError> {
        if hundredths > WHOLE { Err(MoneyError::Rate) } else { Ok(Self(hundredths)) }
    }

    /// In hundredths of a percent.
    #[must_use]
    pub const fn hundredths(self) -> u32 {
        self.0
    }
}

impl fmt::Display for Rate {
    /// In percent, without decimals that are nothing: `19`, `5.5`, `8.25`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (whole, rest) = (self.0 / 100, self.0 % 100);
        match (rest, rest % 10) {
            (0, _) => write!(f, "{whole}"),
            (_, 0) => write!(f, "{whole}.{}", rest / 10),
            _ => write!(f, "{whole}.{rest:02}"),
        }
    }
}

impl FromStr for Rate {
    type Err = MoneyError;

    /// Reads percent: `19`, `5.5`, `8.25`.
    fn from_str(text: &str) -> Result<Self, MoneyError> {
        // Two decimals at most, as an amount of euro has them.
        let read = Money::parse(text, super::Currency::EUR).map_err(|_| MoneyError::Rate)?;
        u32::try_from(read.minor()).map_err(|_| MoneyError::Rate).and_then(Self::from_hundredths)
    }
}

impl TryFrom<u32> for Rate {
    type Error = MoneyError;

    fn try_from(hundredths: u32) -> Result<Self, MoneyError> {
        Self::from_hundredths(hundredths)
    }
}

impl From<Rate> for u32 {
    fn from(rate: Rate) -> Self {
        rate.0
    }
}

impl Money {
    /// This rate of the amount, rounded half up: the tax on a net amount, or a percentage off.
    ///
    /// # Errors
    /// Never: a rate is at most the whole.
    pub fn share(self, rate: Rate) -> Result<Self, MoneyError> {
        self.part(rate.0, WHOLE)
    }

    /// What of the amount is tax of this rate, if it is in it already, rounded half up.
    ///
    /// # Errors
    /// Never: a rate is at most the whole.
    pub fn included(self, rate: Rate) -> Result<Self, MoneyError> {
        self.part(rate.0, WHOLE.saturating_add(rate.0))
    }

    fn part(self, of: u32, whole: u32) -> Result<Self, MoneyError> {
        // 63 bits times 32 bits fit into 128.
        let (of, whole) = (i128::from(of), i128::from(whole.max(1)));
        let rounded = (i128::from(self.minor) * of * 2 + whole) / (whole * 2);
        Self::new(i64::try_from(rounded).map_err(|_| MoneyError::TooLarge)?, self.currency)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::money::Currency;

    fn euro(text: &str) -> Money {
        Money::parse(text, Currency::EUR).unwrap()
    }

    #[test]
    fn a_rate_is_read_and_written_in_percent() {
        for (text, hundredths) in [("0", 0), ("19", 1900), ("5.5", 550), ("8.25", 825), ("0.05", 5), ("100", 10_000)] {
            let rate: Rate = text.parse().unwrap();
            assert_eq!((rate.hundredths(), rate.to_string().as_str()), (hundredths, text));
        }
        for wrong in ["", "-1", "100.01", "1.234", "19%", " 19", "1e1"] {
            assert_eq!(wrong.parse::<Rate>(), Err(MoneyError::Rate), "{wrong}");
        }
        assert!(serde_json::from_str::<Rate>("10001").is_err());
    }

    #[test]
    fn tax_is_rounded_half_up() {
        let vat = Rate::from_hundredths(1900).unwrap();
        assert_eq!(euro("0.50").share(vat).unwrap(), euro("0.10")); // 0.095
        assert_eq!(euro("0.49").share(vat).unwrap(), euro("0.09")); // 0.0931
        assert_eq!(euro("100").included(vat).unwrap(), euro("15.97")); // 15.966..
        assert_eq!(euro("1").share(Rate::ZERO).unwrap(), euro("0"));
        let largest = Money::new(i64::MAX, Currency::EUR).unwrap();
        assert_eq!(largest.share(Rate::from_hundredths(10_000).unwrap()).unwrap(), largest);
        assert!(largest.included(vat).unwrap() < largest);
    }
}
