//! Amounts of money, as text: every amount that a page shows, and every amount that a form brings, passes through here.
//!
//! An amount is a whole number of euro cents. There is no other arithmetic.

use super::words::Language;

/// The largest amount that a form may name, in euro cents: nine digits before the point.
const AMOUNT_MAX_MINOR: i64 = 99_999_999_999;

/// An amount of euro cents, to read: `€1,480.50`, `1.480,50 €`.
#[must_use]
pub fn euros(amount_minor: impl Into<i64>, language: Language) -> String {
    let amount_minor: i64 = amount_minor.into();
    let minus = if amount_minor < 0 { "−" } else { "" };
    let (euros, cents) = split(amount_minor);
    let euros = thousands(euros, language.say(",", "."));
    match language {
        Language::English => format!("{minus}€{euros}.{cents:02}"),
        Language::German => format!("{minus}{euros},{cents:02}\u{a0}€"),
    }
}

/// The same amount for a machine, or to be copied into another form: `1480.50`, in German forms `1480,50`.
#[must_use]
pub fn decimal(amount_minor: impl Into<i64>, point: char) -> String {
    let amount_minor: i64 = amount_minor.into();
    let minus = if amount_minor < 0 { "-" } else { "" };
    let (euros, cents) = split(amount_minor);
    format!("{minus}{euros}{point}{cents:02}")
}

/// Reads the amount that somebody typed: `12`, `12.5`, `12,50`. More than nothing, at most two digits behind the point or
/// comma, and no dots between thousands, which the other language reads as a point.
#[must_use]
pub fn read(text: &str) -> Option<i64> {
    read_or_nothing(text).filter(|minor| *minor > 0)
}

/// The same, where nothing is an amount, too: `0`, `0,00`.
#[must_use]
pub fn read_or_nothing(text: &str) -> Option<i64> {
    let text = text.trim();
    let (euros, cents) = text.split_once(['.', ',']).unwrap_or((text, "00"));
    let digits = |part: &str, longest: usize| {
        (1..=longest).contains(&part.len()) && part.bytes().all(|byte| byte.is_ascii_digit())
    };
    if !digits(euros, 9) || !digits(cents, 2) {
        return None;
    }
    let cents_minor: i64 = cents.parse().ok()?;
    let cents_minor = if cents.len() == 1 { cents_minor * 10 } else { cents_minor };
    let amount_minor = euros.parse::<i64>().ok()?.checked_mul(100)?.checked_add(cents_minor)?;
    (0..=AMOUNT_MAX_MINOR).contains(&amount_minor).then_some(amount_minor)
}

const fn split(amount_minor: i64) -> (u64, u64) {
    let amount = amount_minor.unsigned_abs();
    (amount / 100, amount % 100)
}

fn thousands(number: u64, separator: &str) -> String {
    let digits = number.to_string();
    let mut grouped = String::with_capacity(digits.len() * 2);
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            grouped.push_str(separator);
        }
        grouped.push(digit);
    }
    grouped
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amounts_are_written_as_each_language_writes_them() {
        for (amount_minor, english, german) in [
            (0, "€0.00", "0,00\u{a0}€"),
            (5, "€0.05", "0,05\u{a0}€"),
            (1480, "€14.80", "14,80\u{a0}€"),
            (99_999, "€999.99", "999,99\u{a0}€"),
            (100_000, "€1,000.00", "1.000,00\u{a0}€"),
            (123_456_789, "€1,234,567.89", "1.234.567,89\u{a0}€"),
            (-250, "−€2.50", "−2,50\u{a0}€"),
            (i64::MIN, "−€92,233,720,368,547,758.08", "−92.233.720.368.547.758,08\u{a0}€"),
        ] {
            assert_eq!(euros(amount_minor, Language::English), english);
            assert_eq!(euros(amount_minor, Language::German), german);
        }
        assert_eq!(
            (decimal(123_405, '.'), decimal(5, ','), decimal(-5, '.')),
            ("1234.05".to_owned(), "0,05".to_owned(), "-0.05".to_owned())
        );
    }

    #[test]
    fn an_amount_is_read_in_both_ways_of_writing() {
        for (text, amount_minor) in [
            ("12", 1200),
            ("12.5", 1250),
            ("12,50", 1250),
            (" 0.01 ", 1),
            ("007", 700),
            ("999999999.99", AMOUNT_MAX_MINOR),
        ] {
            assert_eq!(read(text), Some(amount_minor), "{text}");
        }
    }

    #[test]
    fn what_is_no_amount_is_not_guessed() {
        for text in [
            "",
            " ",
            "0",
            "0.00",
            "-1",
            "+1",
            "1e3",
            "1.000,00",
            "1,000.00",
            "1.234",
            "12.",
            ".5",
            "€5",
            "5 €",
            "1 000",
            "1000000000",
            "٣",
            "0x10",
            "NaN",
            "1.2.3",
            "１２",
        ] {
            assert_eq!(read(text), None, "{text}");
            let nothing = matches!(text, "0" | "0.00").then_some(0);
            assert_eq!(read_or_nothing(text), nothing, "{text}");
        }
    }
}
