//! The value of an element as JSON.

use serde_json::{Map, Number, Value};

use crate::protocol::{
    cbor::{Item, Kind},
    jose::base64url_encode,
};

/// `tdate` and `full-date` (RFC 8949 section 3.4.1, RFC 8943): both are texts.
const DATE_TIME: u64 = 0;
const FULL_DATE: u64 = 1004;

/// A value without a form in JSON has none: integers beyond 64 bits, numbers that are none, other tags, and maps whose
/// keys are no texts. It is no fault of a document to have one: whoever asks for it does not get it.
pub(super) fn json(item: &Item<'_>) -> Option<Value> {
    Some(match item.kind() {
        Kind::Integer(integer) => match (u64::try_from(*integer), i64::try_from(*integer)) {
            (Ok(positive), _) => Value::from(positive),
            (_, Ok(negative)) => Value::from(negative),
            _ => return None,
        },
        Kind::Text(text) => Value::from(text.as_ref()),
        Kind::Bytes(bytes) => Value::from(base64url_encode(bytes)),
        Kind::Bool(value) => Value::from(*value),
        Kind::Null => Value::Null,
        Kind::Float(value) => Value::Number(Number::from_f64(*value)?),
        Kind::Tag(DATE_TIME | FULL_DATE, date) => Value::from(date.text()?),
        Kind::Array(items) => Value::Array(items.iter().map(json).collect::<Option<_>>()?),
        Kind::Map(map) => {
            let member = |(key, value): (&Item<'_>, &Item<'_>)| Some((key.text()?.to_owned(), json(value)?));
            Value::Object(map.iter().map(member).collect::<Option<Map<_, _>>>()?)
        }
        Kind::Tag(..) | Kind::Simple(_) => return None,
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::json as of;
    use crate::{
        limits::Limits,
        protocol::cbor::{Value, encode, object, read},
    };

    #[test]
    fn a_value_is_json_or_nothing() {
        let tagged = |tag, value: Value| Value::Tag(tag, Box::new(value));
        let licence =
            object([("codes", Value::Array(vec![object([("issue_date", tagged(1004, "2020-01-02".into()))])]))]);
        for (value, expected) in [
            (tagged(0, "2020-01-02T00:00:00Z".into()), Some(json!("2020-01-02T00:00:00Z"))),
            (licence, Some(json!({"codes": [{"issue_date": "2020-01-02"}]}))),
            (Value::Bytes(vec![0xff, 0xd8]), Some(json!("_9g"))),
            (Value::from(u64::MAX), Some(json!(u64::MAX))),
            (Value::from(-18), Some(json!(-18))),
            (Value::from(1.5), Some(json!(1.5))),
            (Value::Null, Some(json!(null))),
            (Value::from(f64::NAN), None),
            (tagged(1004, 5.into()), None),
            (tagged(24, Value::Bytes(vec![0])), None),
            (Value::Map(vec![(1.into(), 2.into())]), None),
            (Value::Array(vec![Value::from(f64::INFINITY)]), None),
        ] {
            let bytes = encode(&value);
            assert_eq!(of(&read(&bytes, &Limits::default()).unwrap()), expected, "{value:?}");
        }
    }
}
