//! Amounts of money: whole minor units of one currency, exact in every step, never below zero.
//!
//! What does not come out exactly is refused, and what is divided is divided so that the parts add up to the whole. A
//! [`Rate`] of an amount alone is rounded, half up: a tax, a percentage off.

mod rate;

use std::{
    cmp::{Ordering, Reverse},
    fmt,
    str::FromStr,
};

use serde::{Deserialize, Serialize};

pub use self::rate::Rate;

/// A currency of ISO 4217 that is in use: a code of List One that has a minor unit.
///
/// Precious metals, drawing rights, test codes and withdrawn currencies are none. In JSON it is its code, `"EUR"`.
///
/// ```
/// use firsthand::money::Currency;
///
/// let yen: Currency = "JPY".parse()?;
/// assert_eq!((yen, yen.exponent()), (Currency::JPY, 0));
/// # Ok::<(), firsthand::money::MoneyError>(())
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Currency {
    code: &'static str,
    exponent: u8,
}

impl Currency {
    /// Euro.
    pub const EUR: Self = Self { code: "EUR", exponent: 2 };
    /// US dollar.
    pub const USD: Self = Self { code: "USD", exponent: 2 };
    /// Pound sterling.
    pub const GBP: Self = Self { code: "GBP", exponent: 2 };
    /// Swiss franc.
    pub const CHF: Self = Self { code: "CHF", exponent: 2 };
    /// Danish krone.
    pub const DKK: Self = Self { code: "DKK", exponent: 2 };
    /// Norwegian krone.
    pub const NOK: Self = Self { code: "NOK", exponent: 2 };
    /// Swedish krona.
    pub const SEK: Self = Self { code: "SEK", exponent: 2 };
    /// Polish złoty.
    pub const PLN: Self = Self { code: "PLN", exponent: 2 };
    /// Czech koruna.
    pub const CZK: Self = Self { code: "CZK", exponent: 2 };
    /// Yen, which has no smaller unit.
    pub const JPY: Self = Self { code: "JPY", exponent: 0 };
    /// Kuwaiti dinar, of a thousand fils.
    pub const KWD: Self = Self { code: "KWD", exponent: 3 };

    /// The three letters of the currency.
    #[must_use]
    pub const fn code(self) -> &'static str {
        self.code
    }

    /// How many decimals an amount has: a currency's minor unit is one to the power of minus this.
    #[must_use]
    pub const fn exponent(self) -> u8 {
        self.exponent
    }

    /// Every currency there is, by exponent and then by code.
    fn all() -> impl Iterator<Item = Self> {
        LIST_ONE.iter().flat_map(|&(exponent, codes)| codes.iter().map(move |&code| Self { code, exponent }))
    }
}

impl FromStr for Currency {
    type Err = MoneyError;

    /// Reads a code as ISO 4217 writes it, in capital letters.
    fn from_str(code: &str) -> Result<Self, MoneyError> {
        Self::all().find(|currency| currency.code == code).ok_or(MoneyError::NotACurrency)
    }
}

impl Serialize for Currency {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.code)
    }
}

impl<'de> Deserialize<'de> for Currency {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

impl fmt::Display for Currency {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.code)
    }
}

impl fmt::Debug for Currency {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.code)
    }
}

/// An amount of one currency: at least zero, at most `i64::MAX` minor units. A negative amount does not exist.
///
/// In JSON it is `{"minor": 1050, "currency": "EUR"}`. What else stands there is passed over, for a record may be read by an
/// earlier version than wrote it; where a stranger says an amount, [`exactly`] reads these two and nothing else.
///
/// ```
/// use firsthand::money::{Currency, Money, Quantity};
///
/// let bottle = Money::parse("10.50", Currency::EUR)?;
/// let three = bottle.times(Quantity::new(3)?)?;
/// assert_eq!(three.to_string(), "31.50 EUR");
/// assert!(three.plus(Money::parse("5", Currency::CHF)?).is_err(), "another currency");
/// # Ok::<(), firsthand::money::MoneyError>(())
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "Written")]
pub struct Money {
    minor: i64,
    currency: Currency,
}

/// The most parts that an amount is divided into, so that dividing has a bound.
pub const MAX_PARTS: usize = 10_000;

impl Money {
    /// An amount in minor units: `1050` of [`Currency::EUR`] are 10.50 EUR.
    ///
    /// # Errors
    /// [`MoneyError::Negative`].
    pub const fn new(minor: i64, currency: Currency) -> Result<Self, MoneyError> {
        if minor < 0 { Err(MoneyError::Negative { minor }) } else { Ok(Self { minor, currency }) }
    }

    /// Nothing, of a currency.
    #[must_use]
    pub const fn zero(currency: Currency) -> Self {
        Self { minor: 0, currency }
    }

    /// Reads a decimal: digits, and where the currency has them at most its decimals after one point (`10`, `10.5`,
    /// `10.50`). No sign, space, exponent, separator or leading zero.
    ///
    /// # Errors
    /// [`MoneyError::NotAnAmount`], [`MoneyError::TooManyDecimals`], or [`MoneyError::TooLarge`].
    pub fn parse(decimal: &str, currency: Currency) -> Result<Self, MoneyError> {
        let (whole, decimals) = match decimal.split_once('.') {
            Some((whole, decimals)) if !decimals.is_empty() => (whole, decimals),
            Some(_) => return Err(MoneyError::NotAnAmount),
            None => (decimal, ""),
        };
        if !is_natural(whole) || !decimals.bytes().all(|b| b.is_ascii_digit()) {
            return Err(MoneyError::NotAnAmount);
        }
        let missing = usize::from(currency.exponent)
            .checked_sub(decimals.len())
            .ok_or(MoneyError::TooManyDecimals { currency })?;
        let zeros = std::iter::repeat_n(b'0', missing);
        let minor =
            whole.bytes().chain(decimals.bytes()).chain(zeros).try_fold(0_i64, |minor, digit| {
                minor.checked_mul(10)?.checked_add(i64::from(digit.checked_sub(b'0')?))
            });
        Ok(Self { minor: minor.ok_or(MoneyError::TooLarge)?, currency })
    }

    /// In minor units.
    #[must_use]
    pub const fn minor(self) -> i64 {
        self.minor
    }

    /// Of which currency.
    #[must_use]
    pub const fn currency(self) -> Currency {
        self.currency
    }

    /// Whether it is nothing.
    #[must_use]
    pub const fn is_zero(self) -> bool {
        self.minor == 0
    }

    /// The amount as a decimal with all decimals of its currency: `10.50`, and `10` for yen.
    #[must_use]
    pub fn decimal(self) -> String {
        let unit = 10_i64.pow(u32::from(self.currency.exponent));
        let (whole, rest) = (self.minor / unit, self.minor % unit);
        match usize::from(self.currency.exponent) {
            0 => whole.to_string(),
            decimals => format!("{whole}.{rest:0decimals$}"),
        }
    }

    /// Both together.
    ///
    /// # Errors
    /// [`MoneyError::OtherCurrency`] or [`MoneyError::TooLarge`].
    pub fn plus(self, other: Self) -> Result<Self, MoneyError> {
        let other = other.of(self.currency)?;
        let minor = self.minor.checked_add(other.minor).ok_or(MoneyError::TooLarge)?;
        Ok(Self { minor, ..self })
    }

    /// What is left of this without the other.
    ///
    /// # Errors
    /// [`MoneyError::OtherCurrency`], or [`MoneyError::BelowZero`] if the other is more.
    pub fn minus(self, other: Self) -> Result<Self, MoneyError> {
        let other = other.of(self.currency)?;
        if other.minor > self.minor {
            return Err(MoneyError::BelowZero);
        }
        let minor = self.minor.checked_sub(other.minor).ok_or(MoneyError::BelowZero)?;
        Ok(Self { minor, ..self })
    }

    /// So many times this.
    ///
    /// # Errors
    /// [`MoneyError::TooLarge`].
    pub fn times(self, quantity: Quantity) -> Result<Self, MoneyError> {
        let minor = self.minor.checked_mul(i64::from(quantity.0)).ok_or(MoneyError::TooLarge)?;
        Ok(Self { minor, ..self })
    }

    /// All of them together; zero if there are none.
    ///
    /// # Errors
    /// [`MoneyError::OtherCurrency`] or [`MoneyError::TooLarge`].
    pub fn sum(amounts: impl IntoIterator<Item = Self>, currency: Currency) -> Result<Self, MoneyError> {
        amounts.into_iter().try_fold(Self::zero(currency), Self::plus)
    }

    /// The lesser of both.
    ///
    /// # Errors
    /// [`MoneyError::OtherCurrency`].
    pub fn at_most(self, other: Self) -> Result<Self, MoneyError> {
        let other = other.of(self.currency)?;
        Ok(Self { minor: self.minor.min(other.minor), ..self })
    }

    /// Divides the amount in proportion to the weights, without losing anything: the parts add up to the whole, each is
    /// less than one minor unit away from its exact share, and a weight of zero gets nothing.
    ///
    /// What is left after rounding down goes, one minor unit each, to the largest remainders; among equals to the
    /// earlier ones.
    ///
    /// # Errors
    /// [`MoneyError::NoWeights`] if there are none or all are zero; [`MoneyError::TooManyParts`] beyond [`MAX_PARTS`].
    pub fn allocate(self, weights: &[u64]) -> Result<Vec<Self>, MoneyError> {
        if weights.len() > MAX_PARTS {
            return Err(MoneyError::TooManyParts { parts: weights.len() });
        }
        // Ten thousand weights of 64 bits, and 63 bits times 64 bits, both fit into 128.
        let total: u128 = weights.iter().copied().map(u128::from).sum();
        if total == 0 {
            return Err(MoneyError::NoWeights);
        }
        let whole = u128::from(self.minor.unsigned_abs());
        let exact = || weights.iter().map(|&weight| whole * u128::from(weight));
        let mut parts: Vec<u128> = exact().map(|share| share / total).collect();
        let left = whole - parts.iter().sum::<u128>();
        let mut by_remainder: Vec<(Reverse<u128>, &mut u128)> =
            exact().map(|share| Reverse(share % total)).zip(&mut parts).collect();
        by_remainder.sort_by_key(|&(remainder, _)| remainder); // stable: equals stay in their order
        for (_, (_, part)) in (0..left).zip(by_remainder) {
            *part += 1;
        }
        let money = |part| Ok(Self { minor: i64::try_from(part).map_err(|_| MoneyError::TooLarge)?, ..self });
        parts.into_iter().map(money).collect()
    }

    /// This amount, if it is of that currency.
    fn of(self, currency: Currency) -> Result<Self, MoneyError> {
        if self.currency == currency {
            Ok(self)
        } else {
            Err(MoneyError::OtherCurrency { expected: currency, found: self.currency })
        }
    }
}

impl PartialOrd for Money {
    /// By amount; `None` if the currencies differ.
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        (self.currency == other.currency).then(|| self.minor.cmp(&other.minor))
    }
}

impl fmt::Display for Money {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.decimal(), self.currency)
    }
}

impl fmt::Debug for Money {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Money({self})")
    }
}

/// An amount as JSON has it, before it is checked.
#[derive(Deserialize)]
struct Written {
    minor: i64,
    currency: Currency,
}

/// Reads an amount that a stranger says, with nothing beside it: what they mean by it nobody would heed.
///
/// ```
/// # use firsthand::money::{self, Money};
/// #[derive(serde::Deserialize)]
/// struct Refund {
///     #[serde(deserialize_with = "money::exactly")]
///     amount: Money,
/// }
///
/// let said = r#"{"amount": {"minor": 1050, "currency": "EUR", "exponent": 3}}"#;
/// assert!(serde_json::from_str::<Refund>(said).is_err());
/// # let said = r#"{"amount": {"minor": 1050, "currency": "EUR"}}"#;
/// # assert_eq!(serde_json::from_str::<Refund>(said).unwrap().amount.minor(), 1050);
/// ```
///
/// # Errors
/// What JSON gives for another shape, and [`MoneyError::Negative`].
pub fn exactly<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Money, D::Error> {
    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Said {
        minor: i64,
        currency: Currency,
    }
    let Said { minor, currency } = Said::deserialize(deserializer)?;
    Money::new(minor, currency).map_err(serde::de::Error::custom)
}

impl TryFrom<Written> for Money {
    type Error = MoneyError;

    fn try_from(written: Written) -> Result<Self, MoneyError> {
        Self::new(written.minor, written.currency)
    }
}

/// How many of something: 1 to 1,000,000. In JSON it is a number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "u32", into = "u32")]
pub struct Quantity(u32);

impl Quantity {
    /// The largest.
    pub const MAX: Self = Self(1_000_000);

    /// So many.
    ///
    /// # Errors
    /// [`MoneyError::NotAQuantity`] for zero and beyond [`Quantity::MAX`].
    pub const fn new(count: u32) -> Result<Self, MoneyError> {
        if count == 0 || count > Self::MAX.0 { Err(MoneyError::NotAQuantity) } else { Ok(Self(count)) }
    }

    /// How many.
    #[must_use]
    pub const fn count(self) -> u32 {
        self.0
    }
}

impl FromStr for Quantity {
    type Err = MoneyError;

    /// Reads digits, without sign, space or leading zero.
    fn from_str(digits: &str) -> Result<Self, MoneyError> {
        if !is_natural(digits) {
            return Err(MoneyError::NotAQuantity);
        }
        Self::new(digits.parse().map_err(|_| MoneyError::NotAQuantity)?)
    }
}

impl TryFrom<u32> for Quantity {
    type Error = MoneyError;

    fn try_from(count: u32) -> Result<Self, MoneyError> {
        Self::new(count)
    }
}

impl From<Quantity> for u32 {
    fn from(quantity: Quantity) -> Self {
        quantity.0
    }
}

impl fmt::Display for Quantity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Why there is no such amount.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum MoneyError {
    /// Not a code of a currency in use.
    #[error("not a currency: three capital letters of ISO 4217's list of currencies in use")]
    NotACurrency,
    /// Not written as an amount.
    #[error("not an amount: digits, and at most one point with decimals after it")]
    NotAnAmount,
    /// More decimals than the currency has.
    #[error("too many decimals: {currency} has {}", currency.exponent)]
    TooManyDecimals {
        /// The currency.
        currency: Currency,
    },
    /// Less than nothing.
    #[error("an amount cannot be negative, and this is {minor} minor units")]
    Negative {
        /// In minor units.
        minor: i64,
    },
    /// More than can be counted.
    #[error("too large: more than {} minor units", i64::MAX)]
    TooLarge,
    /// More would be taken away than there is.
    #[error("more is taken away than there is")]
    BelowZero,
    /// Two currencies in one calculation.
    #[error("{expected} and {found} are different currencies")]
    OtherCurrency {
        /// The currency of the calculation.
        expected: Currency,
        /// The other one.
        found: Currency,
    },
    /// Not a quantity.
    #[error("not a quantity: a whole number from 1 to {}", Quantity::MAX)]
    NotAQuantity,
    /// Nothing to divide by.
    #[error("no weights: at least one must be above zero")]
    NoWeights,
    /// Divided too finely.
    #[error("too many parts: {parts}, and at most {MAX_PARTS} are made")]
    TooManyParts {
        /// How many were asked for.
        parts: usize,
    },
    /// Not a rate.
    #[error("not a rate: from 0 to 100 percent, with at most two decimals")]
    Rate,
}

impl MoneyError {
    /// A stable name for logs, metrics and tests.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::NotACurrency => "currency_unknown",
            Self::NotAnAmount => "amount_malformed",
            Self::TooManyDecimals { .. } => "amount_decimals",
            Self::Negative { .. } => "amount_negative",
            Self::TooLarge => "amount_too_large",
            Self::BelowZero => "amount_below_zero",
            Self::OtherCurrency { .. } => "currency_mismatch",
            Self::NotAQuantity => "quantity_invalid",
            Self::NoWeights => "weights_missing",
            Self::TooManyParts { .. } => "parts_too_many",
            Self::Rate => "rate_invalid",
        }
    }
}

/// Whether the text is a natural number in decimal: ASCII digits without a leading zero.
fn is_natural(text: &str) -> bool {
    let digits = !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    digits && (text.len() == 1 || !text.starts_with('0'))
}

/// The codes of ISO 4217's List One (published 2026-09-17) that have a minor unit, by its exponent.
#[rustfmt::skip]
const LIST_ONE: [(u8, &[&str]); 4] = [
    (0, &[
        "BIF", "CLP", "DJF", "GNF", "ISK", "JPY", "KMF", "KRW", "PYG", "RWF", "UGX", "UYI", "VND", "VUV", "XAF", "XOF",
        "XPF",
    ]),
    (2, &[
        "AED", "AFN", "ALL", "AMD", "AOA", "ARS", "AUD", "AWG", "AZN", "BAM", "BBD", "BDT", "BMD", "BND", "BOB", "BOV",
        "BRL", "BSD", "BTN", "BWP", "BYN", "BZD", "CAD", "CDF", "CHE", "CHF", "CHW", "CNY", "COP", "COU", "CRC", "CUP",
        "CVE", "CZK", "DKK", "DOP", "DZD", "EGP", "ERN", "ETB", "EUR", "FJD", "FKP", "GBP", "GEL", "GHS", "GIP", "GMD",
        "GTQ", "GYD", "HKD", "HNL", "HTG", "HUF", "IDR", "ILS", "INR", "IRR", "JMD", "KES", "KGS", "KHR", "KPW", "KYD",
        "KZT", "LAK", "LBP", "LKR", "LRD", "LSL", "MAD", "MDL", "MGA", "MKD", "MMK", "MNT", "MOP", "MRU", "MUR", "MVR",
        "MWK", "MXN", "MXV", "MYR", "MZN", "NAD", "NGN", "NIO", "NOK", "NPR", "NZD", "PAB", "PEN", "PGK", "PHP", "PKR",
        "PLN", "QAR", "RON", "RSD", "RUB", "SAR", "SBD", "SCR", "SDG", "SEK", "SGD", "SHP", "SLE", "SOS", "SRD", "SSP",
        "STN", "SVC", "SYP", "SZL", "THB", "TJS", "TMT", "TOP", "TRY", "TTD", "TWD", "TZS", "UAH", "USD", "USN", "UYU",
        "UZS", "VED", "VES", "WST", "XAD", "XCD", "XCG", "YER", "ZAR", "ZMW", "ZWG",
    ]),
    (3, &["BHD", "IQD", "JOD", "KWD", "LYD", "OMR", "TND"]),
    (4, &["CLF", "UYW"]),
];

#[cfg(test)]
mod tests {
    use super::*;

    fn eur(minor: i64) -> Money {
        Money::new(minor, Currency::EUR).unwrap()
    }

    fn minors(parts: &[Money]) -> Vec<i64> {
        parts.iter().map(|part| part.minor()).collect()
    }

    #[test]
    fn currencies_are_those_of_the_list_and_their_exceptions_have_other_decimals() {
        let with = |exponent| Currency::all().filter(move |c| c.exponent() == exponent).count();
        // As counted in the list of 2026-09-17: 178 codes, of which 13 have no minor unit.
        assert_eq!([with(0), with(2), with(3), with(4)], [17, 139, 7, 2]);
        assert_eq!(Currency::all().count(), 178 - 13);
        let codes: std::collections::BTreeSet<&str> = Currency::all().map(Currency::code).collect();
        assert_eq!(codes.len(), 165, "no code stands twice");
        assert!(codes.iter().all(|code| code.len() == 3 && code.bytes().all(|b| b.is_ascii_uppercase())));
        let exponent = |code: &str| code.parse::<Currency>().map(Currency::exponent);
        for code in ["BIF", "CLP", "DJF", "GNF", "ISK", "JPY", "KMF", "KRW", "PYG", "RWF", "UGX", "UYI", "VND", "VUV"] {
            assert_eq!(exponent(code), Ok(0), "{code}");
        }
        for code in ["XAF", "XOF", "XPF"] {
            assert_eq!(exponent(code), Ok(0), "{code}");
        }
        for code in ["BHD", "IQD", "JOD", "KWD", "LYD", "OMR", "TND"] {
            assert_eq!(exponent(code), Ok(3), "{code}");
        }
        for code in ["CLF", "UYW"] {
            assert_eq!(exponent(code), Ok(4), "{code}");
        }
        // Often taken for exceptions, and none; and the newest codes.
        for code in ["MGA", "MRU", "HUF", "IDR", "TWD", "SLE", "VED", "XCG", "ZWG", "XAD"] {
            assert_eq!(exponent(code), Ok(2), "{code}");
        }
        // No minor unit; withdrawn; never one; not as the list writes it.
        let metals = ["XAG", "XAU", "XBA", "XBB", "XBC", "XBD", "XDR", "XPD", "XPT", "XSU", "XTS", "XUA"];
        let withdrawn = ["BGN", "HRK", "ANG", "CUC", "SLL", "ZWL", "DEM", "VEF"];
        let others = ["", "E", "EU", "EURO", "eur", "Eur", " EUR", "EUR ", "EUR\0", "BTC", "ЕUR", "€", &"X".repeat(3)];
        for code in metals.iter().chain(&withdrawn).chain(&others) {
            assert_eq!(exponent(code), Err(MoneyError::NotACurrency), "{code:?}");
        }
    }

    #[test]
    fn the_named_currencies_are_in_the_list() {
        let named = [
            Currency::EUR,
            Currency::USD,
            Currency::GBP,
            Currency::CHF,
            Currency::DKK,
            Currency::NOK,
            Currency::SEK,
            Currency::PLN,
            Currency::CZK,
            Currency::JPY,
            Currency::KWD,
        ];
        for currency in named {
            assert_eq!(currency.code().parse(), Ok(currency));
        }
    }

    #[test]
    fn an_amount_is_never_negative() {
        assert_eq!(Money::new(-1, Currency::EUR), Err(MoneyError::Negative { minor: -1 }));
        assert_eq!(Money::new(i64::MIN, Currency::EUR), Err(MoneyError::Negative { minor: i64::MIN }));
        assert!(Money::new(0, Currency::EUR).unwrap().is_zero());
        assert_eq!(Money::new(i64::MAX, Currency::EUR).unwrap().decimal(), "92233720368547758.07");
    }

    #[test]
    fn a_decimal_is_read_strictly_and_written_whole() {
        let clf = "CLF".parse().unwrap();
        let good = [
            ("0", Currency::EUR, 0, "0.00"),
            ("0.0", Currency::EUR, 0, "0.00"),
            ("0.05", Currency::EUR, 5, "0.05"),
            ("10", Currency::EUR, 1000, "10.00"),
            ("10.5", Currency::EUR, 1050, "10.50"),
            ("92233720368547758.07", Currency::EUR, i64::MAX, "92233720368547758.07"),
            ("10", Currency::JPY, 10, "10"),
            ("9223372036854775807", Currency::JPY, i64::MAX, "9223372036854775807"),
            ("1.2", Currency::KWD, 1200, "1.200"),
            ("1.234", Currency::KWD, 1234, "1.234"),
            ("0.0001", clf, 1, "0.0001"),
        ];
        for (text, currency, minor, written) in good {
            let money = Money::parse(text, currency).unwrap();
            assert_eq!((money.minor(), money.decimal().as_str()), (minor, written), "{text} {currency}");
        }
        assert_eq!(eur(1050).to_string(), "10.50 EUR");
        let malformed = [
            "",
            " ",
            "10 ",
            " 10",
            "+1",
            "-1",
            "-0",
            "1,00",
            "1_000",
            "1'000",
            "1e3",
            "0x10",
            "00",
            "01",
            "01.00",
            ".5",
            "5.",
            ".",
            "1..2",
            "1.2.3",
            "NaN",
            "Infinity",
            "１０",
            "١",
            "10.\u{200b}0",
            "10.00\0",
            "1.-1",
            "1.+1",
            "1. 1",
            "10.00€",
        ];
        for text in malformed {
            assert_eq!(Money::parse(text, Currency::EUR), Err(MoneyError::NotAnAmount), "{text:?}");
        }
        for (text, currency) in [("10.505", Currency::EUR), ("10.500", Currency::EUR), ("10.0", Currency::JPY)] {
            assert_eq!(Money::parse(text, currency), Err(MoneyError::TooManyDecimals { currency }), "{text}");
        }
        for text in ["92233720368547758.08", "92233720368547759", "100000000000000000000", &"9".repeat(100_000)] {
            assert_eq!(Money::parse(text, Currency::EUR), Err(MoneyError::TooLarge));
        }
    }

    #[test]
    fn sums_stay_exact_or_are_refused() {
        let other = MoneyError::OtherCurrency { expected: Currency::EUR, found: Currency::CHF };
        let franc = Money::new(1, Currency::CHF).unwrap();
        assert_eq!(eur(1).plus(eur(2)), Ok(eur(3)));
        assert_eq!(eur(1).plus(franc), Err(other));
        assert_eq!(eur(i64::MAX).plus(eur(1)), Err(MoneyError::TooLarge));
        assert_eq!(eur(3).minus(eur(3)), Ok(eur(0)));
        assert_eq!(eur(3).minus(eur(4)), Err(MoneyError::BelowZero));
        assert_eq!(eur(3).minus(franc), Err(other));
        assert_eq!(eur(3).minus(Money::zero(Currency::CHF)), Err(other), "nothing of another currency, too");
        assert_eq!(Money::sum([eur(1), eur(2)], Currency::EUR), Ok(eur(3)));
        assert_eq!(Money::sum([], Currency::EUR), Ok(eur(0)));
        assert_eq!(Money::sum([eur(1), franc], Currency::EUR), Err(other));
        assert_eq!(Money::sum([eur(i64::MAX), eur(1)], Currency::EUR), Err(MoneyError::TooLarge));
        assert_eq!(eur(3).at_most(eur(2)), Ok(eur(2)));
        assert_eq!(eur(2).at_most(eur(3)), Ok(eur(2)));
        assert_eq!(eur(3).at_most(franc), Err(other));
        assert!(eur(1) < eur(2) && eur(1).partial_cmp(&franc).is_none() && eur(1) != franc);
    }

    #[test]
    fn a_quantity_is_a_whole_number_within_its_bounds() {
        let many = |count| Quantity::new(count).unwrap();
        assert_eq!(eur(250).times(many(3)), Ok(eur(750)));
        assert_eq!(eur(i64::MAX).times(many(1)), Ok(eur(i64::MAX)));
        assert_eq!(eur(i64::MAX / 2 + 1).times(many(2)), Err(MoneyError::TooLarge));
        assert_eq!(eur(0).times(Quantity::MAX), Ok(eur(0)));
        for (text, count) in [("1", 1), ("12", 12), ("1000000", 1_000_000)] {
            assert_eq!(text.parse::<Quantity>().map(Quantity::count), Ok(count));
            assert_eq!(serde_json::from_str::<Quantity>(text).unwrap().to_string(), text);
        }
        for text in
            ["0", "1000001", "4294967297", "18446744073709551617", "-1", "+1", "01", "1.0", "1e0", "", " 1", "１"]
        {
            assert_eq!(text.parse::<Quantity>(), Err(MoneyError::NotAQuantity), "{text:?}");
        }
        for text in ["0", "1000001", "4294967297", "-1", "1.0", "1.5", "1e0", "\"1\"", "null", "[1]"] {
            assert!(serde_json::from_str::<Quantity>(text).is_err(), "{text}");
        }
    }

    #[test]
    fn an_amount_is_divided_without_losing_a_cent() {
        let parts = |minor, weights: &[u64]| eur(minor).allocate(weights).map(|parts| minors(&parts));
        assert_eq!(parts(100, &[1, 1, 1]), Ok(vec![34, 33, 33]), "the earlier among equals");
        assert_eq!(parts(5, &[3, 7]), Ok(vec![2, 3]), "1.5 and 3.5: equals again");
        assert_eq!(parts(100, &[1, 2, 3]), Ok(vec![17, 33, 50]), "16.67, 33.33, 50");
        assert_eq!(parts(10, &[0, 1, 0]), Ok(vec![0, 10, 0]));
        assert_eq!(parts(1, &[0, 0, 1, 1]), Ok(vec![0, 0, 1, 0]));
        assert_eq!(parts(0, &[1, 1]), Ok(vec![0, 0]));
        assert_eq!(parts(i64::MAX, &[u64::MAX]), Ok(vec![i64::MAX]));
        assert_eq!(parts(i64::MAX, &[u64::MAX, u64::MAX]), Ok(vec![i64::MAX / 2 + 1, i64::MAX / 2]));
        for weights in [&[][..], &[0], &[0, 0, 0]] {
            assert_eq!(parts(100, weights), Err(MoneyError::NoWeights));
        }
        assert_eq!(parts(1, &vec![u64::MAX; MAX_PARTS]).unwrap().iter().sum::<i64>(), 1);
        let too_many = MoneyError::TooManyParts { parts: MAX_PARTS + 1 };
        assert_eq!(parts(1, &vec![1; MAX_PARTS + 1]), Err(too_many));
    }

    #[test]
    fn json_has_minor_units_and_a_stranger_says_nothing_else() {
        let said = |text: &str| exactly(&mut serde_json::Deserializer::from_str(text)).ok();
        let newer = r#"{"minor":1050,"currency":"EUR","exponent":2}"#;
        assert_eq!(serde_json::from_str::<Money>(newer).unwrap(), eur(1050), "a record of a later version");
        assert_eq!((said(newer), said(r#"{"minor":1050,"currency":"EUR"}"#)), (None, Some(eur(1050))));
        assert_eq!(serde_json::to_string(&eur(1050)).unwrap(), r#"{"minor":1050,"currency":"EUR"}"#);
        assert_eq!(serde_json::from_str::<Money>(r#"{"minor":1050,"currency":"EUR"}"#).unwrap(), eur(1050));
        for bad in [
            r#"{"minor":-1,"currency":"EUR"}"#,
            r#"{"minor":9223372036854775808,"currency":"EUR"}"#,
            r#"{"minor":10.5,"currency":"EUR"}"#,
            r#"{"minor":1e3,"currency":"EUR"}"#,
            r#"{"minor":"1050","currency":"EUR"}"#,
            r#"{"minor":1050,"currency":"eur"}"#,
            r#"{"minor":1050,"currency":"XAU"}"#,
            r#"{"minor":1050,"currency":978}"#,
            r#"{"minor":1050}"#,
            r#"{"currency":"EUR"}"#,
            r#"{"minor":1050,"minor":1,"currency":"EUR"}"#,
            "1050",
            r#""10.50 EUR""#,
        ] {
            assert!(serde_json::from_str::<Money>(bad).is_err() && said(bad).is_none(), "{bad}");
        }
    }
}
