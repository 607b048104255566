//! The rules that are the same for every store: what is refused before anything is looked up, and what a conflict is.

use std::{collections::HashSet, fmt};

use serde::de::{Deserialize, Deserializer, Error, MapAccess, SeqAccess, Visitor};

use super::{Expect, KEYS_MAX, Key, Prefix, Record, SCAN_MAX, StoreError, Version, Write};
use crate::time::UnixTime;

/// Refuses keys that no store loads.
pub(super) fn keys(keys: &[Key]) -> Result<(), StoreError> {
    at_most("keys", keys.len(), KEYS_MAX)?;
    keys.iter().try_for_each(key)
}

/// Refuses writes that no store commits.
pub(super) fn writes(writes: &[Write]) -> Result<(), StoreError> {
    at_most("writes", writes.len(), KEYS_MAX)?;
    let mut seen = HashSet::with_capacity(writes.len());
    for write in writes {
        key(write.key())?;
        if !seen.insert(write.key()) {
            return Err(StoreError::Refused(format!("a commit names one {} record twice", write.key().kind)));
        }
        if let Write::Put { key, record, .. } = write {
            body(key.kind, record)?;
        }
    }
    Ok(())
}

/// Refuses to join a transaction with writes of another store, or in another database. `there` is the identity found in
/// the transaction.
#[cfg(any(feature = "sqlite", feature = "postgres"))]
pub(super) fn joins(own: &super::StoreIdentity, of: &super::StoreIdentity, there: &str) -> Result<(), StoreError> {
    if of != own {
        return Err(StoreError::Refused("the writes were made for another store: commit them with that one".into()));
    }
    if *own.0 != *there {
        return Err(StoreError::Refused(ELSEWHERE.into()));
    }
    Ok(())
}

/// What is refused to a transaction of a database that is not the store's.
#[cfg(any(feature = "sqlite", feature = "postgres"))]
pub(super) const ELSEWHERE: &str =
    "the transaction is not in the database of this store: begin it on a pool of that database";

/// What is refused to a connection without a transaction that could be joined.
#[cfg(any(feature = "sqlite", feature = "postgres"))]
pub(super) const NO_TRANSACTION: &str = "there is no transaction to join: it has ended, or it has failed";

/// The first key whose record is not as its write expects. `found` holds the versions that are there and have not
/// expired, in the order of the writes.
pub(super) fn conflict<'w>(writes: &'w [Write], found: &[Option<Version>]) -> Option<&'w Key> {
    let holds = |(write, found): &(&Write, &Option<Version>)| match write.expect() {
        Expect::Any => true,
        Expect::Absent => found.is_none(),
        Expect::Version(expected) => **found == Some(expected),
    };
    writes.iter().zip(found).find(|pair| !holds(pair)).map(|(write, _)| write.key())
}

/// Whether a record with this expiry is absent at `now`.
pub(super) fn expired(expires_at: Option<UnixTime>, now: UnixTime) -> bool {
    expires_at.is_some_and(|at| at <= now)
}

/// The sort texts of a scan, from the first that is in it to the first that is not.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Span {
    pub(super) from: String,
    pub(super) until: String,
}

impl Span {
    /// The span of a scan, or its refusal.
    pub(super) fn new(prefix: &Prefix, after: Option<&str>, limit: usize) -> Result<Self, StoreError> {
        at_most("records in a scan", limit, SCAN_MAX)?;
        name(prefix.kind)?;
        part("partition", &prefix.partition)?;
        part("sort", &prefix.sort)?;
        let mut from = prefix.sort.clone();
        if let Some(after) = after {
            part("sort to begin after", after)?;
            if after >= prefix.sort.as_str() {
                // NUL is in no sort text, so nothing lies between `after` and this.
                from = format!("{after}\u{1}");
            }
        }
        Ok(Self { from, until: end(&prefix.sort) })
    }

    /// Whether nothing can lie in it.
    pub(super) fn is_empty(&self) -> bool {
        self.from >= self.until
    }
}

/// The first text behind all that begin with `prefix`: UTF-8 sorts as its characters do, so the last character that has
/// a successor gets it.
fn end(prefix: &str) -> String {
    let mut end = prefix.to_owned();
    while let Some(last) = end.pop() {
        if let Some(next) = (last..=char::MAX).nth(1) {
            end.push(next);
            return end;
        }
    }
    // Behind every sort text: one character longer than the longest of them.
    char::MAX.to_string().repeat(Key::PART_BYTES_MAX / char::MAX.len_utf8() + 1)
}

fn key(key: &Key) -> Result<(), StoreError> {
    name(key.kind)?;
    part("partition", &key.partition)?;
    part("sort", &key.sort)
}

fn name(kind: &str) -> Result<(), StoreError> {
    let letters = kind.bytes().all(|b| b.is_ascii_lowercase() || b == b'_');
    if kind.is_empty() || kind.len() > Key::KIND_BYTES_MAX || !letters {
        return Err(StoreError::Refused(format!("a kind is 1 to {} bytes of a-z and _", Key::KIND_BYTES_MAX)));
    }
    Ok(())
}

fn part(what: &str, text: &str) -> Result<(), StoreError> {
    if text.len() > Key::PART_BYTES_MAX {
        let (found, most) = (text.len(), Key::PART_BYTES_MAX);
        return Err(StoreError::Refused(format!("the {what} has {found} bytes, at most {most} fit")));
    }
    if text.contains('\0') {
        return Err(StoreError::Refused(format!("the {what} has a NUL")));
    }
    Ok(())
}

/// Size and syntax of a body. PostgreSQL would refuse what is not JSON, and NUL in a string: so does everyone.
fn body(kind: &str, record: &Record) -> Result<(), StoreError> {
    let (found, most) = (record.body.len(), Record::BYTES_MAX);
    if found > most {
        return Err(StoreError::Refused(format!("the {kind} record has {found} bytes, at most {most} fit")));
    }
    serde_json::from_str::<Storable>(&record.body).map(|_| ()).map_err(|e| {
        let (line, column) = (e.line(), e.column());
        StoreError::Refused(format!("the {kind} record is not JSON without NUL (line {line}, column {column})"))
    })
}

fn at_most(what: &str, found: usize, most: usize) -> Result<(), StoreError> {
    if found > most {
        return Err(StoreError::Refused(format!("{found} {what}, at most {most} at a time")));
    }
    Ok(())
}

/// Any JSON value that every store can keep; reading it keeps nothing, and is as deep as the parser allows (127).
struct Storable;

impl<'de> Deserialize<'de> for Storable {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Self)
    }
}

impl<'de> Visitor<'de> for Storable {
    type Value = Self;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON without NUL")
    }

    fn visit_unit<E: Error>(self) -> Result<Self, E> {
        Ok(self)
    }

    fn visit_bool<E: Error>(self, _: bool) -> Result<Self, E> {
        Ok(self)
    }

    fn visit_i64<E: Error>(self, _: i64) -> Result<Self, E> {
        Ok(self)
    }

    fn visit_u64<E: Error>(self, _: u64) -> Result<Self, E> {
        Ok(self)
    }

    fn visit_f64<E: Error>(self, _: f64) -> Result<Self, E> {
        Ok(self)
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Self, E> {
        if text.contains('\0') { Err(E::custom("NUL")) } else { Ok(self) }
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut values: A) -> Result<Self, A::Error> {
        while values.next_element::<Self>()?.is_some() {}
        Ok(self)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Self, A::Error> {
        while let Some(member) = members.next_key::<Name>()? {
            match member {
                Name::Other => {
                    members.next_value::<Self>()?;
                }
                // So serde_json tells of a number where another crate of the program switched `arbitrary_precision` on: what
                // is beyond a double is refused as everywhere else.
                Name::Number => {
                    let digits = members.next_value::<String>()?;
                    if !digits.parse::<f64>().is_ok_and(f64::is_finite) {
                        return Err(A::Error::custom("a number out of range"));
                    }
                }
            }
        }
        Ok(self)
    }
}

/// The name of a member.
enum Name {
    Number,
    Other,
}

impl<'de> Deserialize<'de> for Name {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let name = String::deserialize(deserializer)?;
        if name.contains('\0') {
            return Err(D::Error::custom("NUL"));
        }
        Ok(if name == "$serde_json::private::Number" { Self::Number } else { Self::Other })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn span(sort: &str, after: Option<&str>) -> Span {
        Span::new(&Prefix { kind: "note", partition: "p".into(), sort: sort.into() }, after, 10).unwrap()
    }

    fn holds(span: &Span, sort: &str) -> bool {
        *span.from <= *sort && *sort < *span.until
    }

    #[test]
    fn a_span_holds_exactly_what_begins_with_the_prefix() {
        let texts = ["", "\u{1}", "a", "a\u{1}", "a%", "a_", "aé", "a\u{d7ff}", "a\u{e000}", "a\u{10ffff}", "b", "é"];
        let longest = char::MAX.to_string().repeat(64);
        for prefix in texts.into_iter().chain([longest.as_str()]) {
            let span = span(prefix, None);
            for text in texts.into_iter().chain([longest.as_str()]) {
                assert_eq!(holds(&span, text), text.starts_with(prefix), "{prefix:?} {text:?}");
            }
        }
    }

    #[test]
    fn a_span_begins_after_the_text_given() {
        let page = span("a", Some("a1"));
        assert!(!holds(&page, "a1") && holds(&page, "a1\u{1}") && holds(&page, "a2") && !holds(&page, "b"));
        assert_eq!(span("a", Some("")), span("a", None));
        assert!(span("a", Some("b")).is_empty());
    }

    #[test]
    fn a_body_is_json_that_every_store_can_keep() {
        let record = |text: &str| Record { schema: 1, body: text.into(), expires_at: None };
        let deep = |n: usize| "[".repeat(n) + &"]".repeat(n);
        for good in [r#"{"a":[1,-1,1.5,true,null,"\\u0000 é 😀"]}"#, "1", "\"\"", r#""\ud83d\ude00""#, &deep(127)] {
            assert!(body("note", &record(good)).is_ok(), "{good}");
        }
        let bad = ["", "{", "{} {}", "{'a':1}", r#""\u0000""#, r#"{"\u0000":1}"#, r#"{"a":["\u0000"]}"#, r#""\ud83d""#];
        for bad in bad.into_iter().chain(["\"\0\"", "NaN", "1e999", &deep(128)]) {
            assert!(matches!(body("note", &record(bad)), Err(StoreError::Refused(_))), "{bad}");
        }
    }
}
