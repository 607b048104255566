//! Single claims of a JWT, each in one of three states: there and right, not there, there and wrong.
//!
//! Readers that fold the last two into one let a token pass whose `exp` is the string `"never"` (CVE-2026-25537).
//! Here a claim of the wrong JSON type is an error wherever it stands.

use serde_json::{Map, Value};

use crate::{protocol::jose::JoseError, time::UnixTime};

/// The furthest a NumericDate may lie from 1970, in seconds: some 280 million years, exact in every JSON reader.
const NUMERIC_DATE_MAX: i64 = 1 << 53;

/// A NumericDate (RFC 7519 section 2), such as `exp`, `nbf` or `iat`; a fraction is cut off towards the past.
///
/// # Errors
/// [`JoseError::Member`] if the claim is there and is not a number that a date can be.
pub fn numeric_date(claims: &Map<String, Value>, name: &'static str) -> Result<Option<UnixTime>, JoseError> {
    let Some(value) = claims.get(name) else { return Ok(None) };
    let seconds = match (value.as_i64(), value.as_f64()) {
        (Some(whole), _) => whole,
        // A cast from a real saturates, so that nothing wraps before the bound below.
        (None, Some(real)) => real.floor() as i64,
        (None, None) => return Err(JoseError::Member(name)),
    };
    if !(-NUMERIC_DATE_MAX..=NUMERIC_DATE_MAX).contains(&seconds) {
        return Err(JoseError::Member(name));
    }
    Ok(Some(UnixTime::from_secs(seconds)))
}

/// A claim that is a string, such as `iss`, `sub` or `nonce`.
///
/// # Errors
/// [`JoseError::Member`] if the claim is there and is no string.
pub fn string<'a>(claims: &'a Map<String, Value>, name: &'static str) -> Result<Option<&'a str>, JoseError> {
    match claims.get(name) {
        None => Ok(None),
        Some(Value::String(text)) => Ok(Some(text)),
        Some(_) => Err(JoseError::Member(name)),
    }
}

/// Whether `aud` names `audience`, exactly: as a string, or in an array of strings (RFC 7519 section 4.1.3).
///
/// # Errors
/// [`JoseError::Member`] if `aud` is there and is neither, or is an empty array.
pub fn audience_is(claims: &Map<String, Value>, audience: &str) -> Result<bool, JoseError> {
    match claims.get("aud") {
        None => Ok(false),
        Some(Value::String(only)) => Ok(only == audience),
        Some(Value::Array(several)) if !several.is_empty() && several.iter().all(Value::is_string) => {
            Ok(several.iter().any(|one| one == audience))
        }
        Some(_) => Err(JoseError::Member("aud")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn claims(value: Value) -> Map<String, Value> {
        Map::from_iter([
            ("exp".to_owned(), value.clone()),
            ("iss".to_owned(), value.clone()),
            ("aud".to_owned(), value),
        ])
    }

    #[test]
    fn a_date_is_there_or_not_there_or_wrong() {
        let date = |value| numeric_date(&claims(value), "exp").map(|date| date.map(UnixTime::as_secs));
        assert!(matches!(date(json!(1_700_000_000)), Ok(Some(1_700_000_000))));
        assert!(matches!(date(json!(1_700_000_000.9)), Ok(Some(1_700_000_000))));
        assert!(matches!(date(json!(-0.5)), Ok(Some(-1))));
        assert!(matches!(numeric_date(&Map::new(), "exp"), Ok(None)));
        let wrong = [
            json!("1700000000"),
            json!(true),
            json!(null),
            json!([1]),
            json!({}),
            json!(u64::MAX),
            json!(1e300),
            json!(-1e300),
        ];
        for wrong in wrong {
            assert!(matches!(date(wrong.clone()), Err(JoseError::Member("exp"))), "{wrong}");
        }
    }

    #[test]
    fn a_string_is_there_or_not_there_or_wrong() {
        assert!(matches!(string(&claims(json!("x")), "iss"), Ok(Some("x"))));
        assert!(matches!(string(&Map::new(), "iss"), Ok(None)));
        for wrong in [json!(1), json!(null), json!(["x"])] {
            assert!(matches!(string(&claims(wrong), "iss"), Err(JoseError::Member("iss"))));
        }
    }

    #[test]
    fn an_audience_is_compared_exactly() {
        for (aud, named) in [(json!("a"), true), (json!(["b", "a"]), true), (json!("ab"), false), (json!("A"), false)] {
            assert_eq!(audience_is(&claims(aud), "a").unwrap(), named);
        }
        assert!(!audience_is(&Map::new(), "a").unwrap());
        for wrong in [json!([]), json!(["a", 1]), json!({"a": 1}), json!(1), json!(null)] {
            assert!(audience_is(&claims(wrong), "a").is_err());
        }
    }
}
