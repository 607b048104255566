//! The JSON Canonicalization Scheme (RFC 8785): one text for one JSON value, to be hashed and signed.
//!
//! It writes from the value itself and leans on none of `serde_json`'s own writing, because another crate of the program
//! may have switched that to `arbitrary_precision` or `preserve_order`, which change what it writes.

use std::fmt::Write as _;

use serde_json::{Number, Value};

/// Why a value has no canonical text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum JcsError {
    /// A number that a double cannot hold: two different values would have one text, and one signature for both.
    #[error("a number to be canonicalised must be one that a double holds, to its last digit if it is an integer")]
    Number,
}

impl JcsError {
    /// A stable name for logs and answers.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        "jcs_number"
    }
}

/// The canonical text of a value, in UTF-8. The value is as deep as its reader let it be.
///
/// # Errors
/// [`JcsError`] if a number in it is an integer that a double rounds (RFC 7493 section 2.2), or no finite double.
pub fn canonicalize(value: &Value) -> Result<String, JcsError> {
    let mut out = String::new();
    write_value(&mut out, value)?;
    Ok(out)
}

fn write_value(out: &mut String, value: &Value) -> Result<(), JcsError> {
    match value {
        Value::Null => out.push_str("null"),
        Value::Bool(true) => out.push_str("true"),
        Value::Bool(false) => out.push_str("false"),
        Value::Number(number) => write_number(out, double(number)?),
        Value::String(text) => write_string(out, text),
        Value::Array(items) => {
            out.push('[');
            for (at, item) in items.iter().enumerate() {
                if at > 0 {
                    out.push(',');
                }
                write_value(out, item)?;
            }
            out.push(']');
        }
        Value::Object(members) => {
            let mut members: Vec<_> = members.iter().collect();
            // Section 3.2.3: by the units of UTF-16, which is another order than that of the characters.
            members.sort_unstable_by(|(a, _), (b, _)| a.encode_utf16().cmp(b.encode_utf16()));
            out.push('{');
            for (at, (name, member)) in members.into_iter().enumerate() {
                if at > 0 {
                    out.push(',');
                }
                write_string(out, name);
                out.push(':');
                write_value(out, member)?;
            }
            out.push('}');
        }
    }
    Ok(())
}

/// Section 3.2.2.2: what must be escaped is, in its shortest form, and nothing else.
fn write_string(out: &mut String, text: &str) {
    out.push('"');
    for character in text.chars() {
        match character {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\u{8}' => out.push_str("\\b"),
            '\t' => out.push_str("\\t"),
            '\n' => out.push_str("\\n"),
            '\u{c}' => out.push_str("\\f"),
            '\r' => out.push_str("\\r"),
            // Writing to a string cannot fail.
            control @ '\0'..='\u{1f}' => _ = write!(out, "\\u{:04x}", u32::from(control)),
            plain => out.push(plain),
        }
    }
    out.push('"');
}

/// The double that a number is.
fn double(number: &Number) -> Result<f64, JcsError> {
    // Every integer that is not rounded on the way there and back; the casts saturate.
    if let Some(whole) = number.as_u64() {
        return exact(whole as f64, |real| real as u64 == whole && whole != u64::MAX);
    }
    if let Some(whole) = number.as_i64() {
        return exact(whole as f64, |real| real as i64 == whole);
    }
    number.as_f64().filter(|real| real.is_finite()).ok_or(JcsError::Number)
}

fn exact(real: f64, is_same: impl Fn(f64) -> bool) -> Result<f64, JcsError> {
    if is_same(real) { Ok(real) } else { Err(JcsError::Number) }
}

/// Section 3.2.2.3: as ECMAScript's `Number.prototype.toString` writes it (ECMA-262, `Number::toString`).
fn write_number(out: &mut String, real: f64) {
    if real == 0.0 {
        // Minus zero too.
        out.push('0');
        return;
    }
    if real < 0.0 {
        out.push('-');
    }
    // Rust writes the fewest digits that lead back to the same double, as ECMAScript does: `1.25e-7`.
    let scientific = format!("{:e}", real.abs());
    let (mantissa, exponent) = scientific.split_once('e').unwrap_or((&scientific, "0"));
    let digits = even(mantissa.chars().filter(|c| *c != '.').collect(), real);
    let exponent: i32 = exponent.parse().unwrap_or_default();
    // In the words of ECMA-262: k digits, and the point stands after n of them. Both are a few hundred at most.
    let (k, n) = (digits.len() as i32, exponent + 1);
    let zeros = |count: i32| "0".repeat(usize::try_from(count).unwrap_or_default());
    let (head, tail) = digits.split_at_checked(usize::try_from(n).unwrap_or_default()).unwrap_or((&digits, ""));
    // Writing to a string cannot fail.
    _ = match n {
        _ if k <= n && n <= 21 => write!(out, "{digits}{}", zeros(n - k)),
        1..=21 => write!(out, "{head}.{tail}"),
        -5..=0 => write!(out, "0.{}{digits}", zeros(-n)),
        _ if k == 1 => write!(out, "{digits}e{exponent:+}"),
        _ => {
            let (first, rest) = digits.split_at_checked(1).unwrap_or_default();
            write!(out, "{first}.{rest}e{exponent:+}")
        }
    };
}

/// Of two shortest texts that are equally far from the double, ECMA-262 takes the one whose last digit is even, and Rust
/// the larger one.
fn even(digits: String, real: f64) -> String {
    if !digits.ends_with(['1', '3', '5', '7', '9']) {
        return digits;
    }
    let all_digits = |places: usize| -> String {
        let text = format!("{:.places$e}", real.abs());
        text.chars().take_while(|c| *c != 'e').filter(|c| *c != '.').collect()
    };
    // Halfway between two texts: the digits before it, one five, and nothing more. No double has 800 digits.
    let halfway = |below: &str| {
        all_digits(digits.len()) == format!("{below}5")
            && all_digits(800).strip_prefix(below).is_some_and(|rest| rest.trim_end_matches('0') == "5")
    };
    let number: u64 = digits.parse().unwrap_or_default();
    let (below, above) = (number.saturating_sub(1).to_string(), number.saturating_add(1).to_string());
    let other = if halfway(&below) {
        below
    } else if halfway(&digits) {
        above
    } else {
        return digits;
    };
    if other.len() == digits.len() { other } else { digits }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::json;
    use serde_json::json;

    #[test]
    fn doubles_are_written_as_ecmascript_writes_them() {
        // RFC 8785, appendix B.
        for (bits, text) in [
            (0x0000_0000_0000_0000, "0"),
            (0x8000_0000_0000_0000, "0"),
            (0x0000_0000_0000_0001, "5e-324"),
            (0x8000_0000_0000_0001, "-5e-324"),
            (0x7fef_ffff_ffff_ffff, "1.7976931348623157e+308"),
            (0xffef_ffff_ffff_ffff, "-1.7976931348623157e+308"),
            (0x4340_0000_0000_0000, "9007199254740992"),
            (0xc340_0000_0000_0000, "-9007199254740992"),
            (0x4430_0000_0000_0000, "295147905179352830000"),
            (0x44b5_2d02_c7e1_4af5, "9.999999999999997e+22"),
            (0x44b5_2d02_c7e1_4af6, "1e+23"),
            (0x44b5_2d02_c7e1_4af7, "1.0000000000000001e+23"),
            (0x444b_1ae4_d6e2_ef4e, "999999999999999700000"),
            (0x444b_1ae4_d6e2_ef4f, "999999999999999900000"),
            (0x444b_1ae4_d6e2_ef50, "1e+21"),
            (0x3eb0_c6f7_a0b5_ed8c, "9.999999999999997e-7"),
            (0x3eb0_c6f7_a0b5_ed8d, "0.000001"),
            (0x41b3_de43_5555_5553, "333333333.3333332"),
            (0x41b3_de43_5555_5554, "333333333.33333325"),
            (0x41b3_de43_5555_5555, "333333333.3333333"),
            (0x41b3_de43_5555_5556, "333333333.3333334"),
            (0x41b3_de43_5555_5557, "333333333.33333343"),
            (0xbecb_f647_612f_3696, "-0.0000033333333333333333"),
            (0x4314_3ff3_c1cb_0959, "1424953923781206.2"),
        ] {
            let mut out = String::new();
            write_number(&mut out, f64::from_bits(bits));
            assert_eq!(out, text, "{bits:x}");
        }
        assert_eq!(canonicalize(&json!(1.0)).unwrap(), "1");
        assert_eq!(canonicalize(&json!(100_000.5)).unwrap(), "100000.5");
        assert_eq!(canonicalize(&json!(-42)).unwrap(), "-42");
    }

    #[test]
    fn an_integer_that_a_double_rounds_has_no_text() {
        for fits in ["9007199254740992", "-9007199254740992", "9007199254740994", "1e300"] {
            assert!(canonicalize(&json::parse(fits.as_bytes(), 1).unwrap()).is_ok(), "{fits}");
        }
        for rounds in ["9007199254740993", "-9007199254740993", "18446744073709551615", "9223372036854775807"] {
            let value = json::parse(rounds.as_bytes(), 1).unwrap();
            assert_eq!(canonicalize(&json!([{"a": value}])), Err(JcsError::Number), "{rounds}");
        }
    }

    #[test]
    fn names_are_sorted_by_the_units_of_utf_16() {
        let value = json!({"\u{fb33}": 1, "\u{1f600}": 2, "€": 3, "a": {"y": [], "x": {}}, "": null});
        let text = "{\"\":null,\"a\":{\"x\":{},\"y\":[]},\"€\":3,\"\u{1f600}\":2,\"\u{fb33}\":1}";
        assert_eq!(canonicalize(&value).unwrap(), text);
    }

    #[test]
    fn nothing_is_escaped_that_need_not_be() {
        let text = canonicalize(&json!("\0\u{1f}\u{7f}\"\\/\u{8}\t\n\u{c}\r\u{2028}é")).unwrap();
        assert_eq!(text, "\"\\u0000\\u001f\u{7f}\\\"\\\\/\\b\\t\\n\\f\\r\u{2028}é\"");
    }
}
