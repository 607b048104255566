//! Records with a type: each kind has a schema number, and its reader takes that one and the one before, so that an old
//! and a new version of a program can run side by side.

use serde::{Serialize, de::DeserializeOwned};

use super::{BoxError, Record, StoreError, Stored};
use crate::time::UnixTime;

/// What is kept as the body of a record.
pub(crate) trait Persisted: Serialize + DeserializeOwned {
    /// The kind of record, as in its key.
    const KIND: &'static str;
    /// The number of this shape; the first is 1.
    const SCHEMA: u16;

    /// Makes one from a body of the schema before. Never called for the first schema.
    ///
    /// # Errors
    /// The old body is not what its schema said; the error holds none of its values.
    fn upgrade(previous: serde_json::Value) -> Result<Self, BoxError> {
        drop(previous);
        Err("there is no schema before this one".into())
    }
}

impl Record {
    /// The record that keeps `value`.
    ///
    /// # Errors
    /// [`StoreError::Refused`] if the value has no form in JSON (a map whose keys are not text).
    pub(crate) fn of<T: Persisted>(value: &T, expires_at: Option<UnixTime>) -> Result<Self, StoreError> {
        let body = serde_json::to_string(value)
            .map_err(|_| StoreError::Refused(format!("the {} record has no form in JSON", T::KIND)))?;
        Ok(Self { schema: T::SCHEMA, body, expires_at })
    }
}

impl Stored {
    /// What the record keeps.
    ///
    /// # Errors
    /// [`StoreError::Schema`] if it is neither of this schema nor of the one before, [`StoreError::Unreadable`] if the
    /// body is not what its schema says.
    pub(crate) fn read<T: Persisted>(&self) -> Result<T, StoreError> {
        let Record { schema, body, .. } = &self.record;
        if *schema == T::SCHEMA {
            return serde_json::from_str(body).map_err(|e| unreadable::<T>(e.into()));
        }
        if *schema == 0 || schema.checked_add(1) != Some(T::SCHEMA) {
            return Err(StoreError::Schema { kind: T::KIND, found: *schema, current: T::SCHEMA });
        }
        let previous = serde_json::from_str(body).map_err(|e| unreadable::<T>(e.into()))?;
        T::upgrade(previous).map_err(unreadable::<T>)
    }
}

/// The error without the values: `serde_json` quotes what it did not expect, and that may be a customer's name.
fn unreadable<T: Persisted>(source: BoxError) -> StoreError {
    let source = match source.downcast::<serde_json::Error>() {
        Ok(e) => format!("{:?} error at line {}, column {}", e.classify(), e.line(), e.column()).into(),
        Err(other) => other,
    };
    StoreError::Unreadable { kind: T::KIND, source }
}

#[cfg(test)]
mod tests {
    use serde::Deserialize;

    use super::*;
    use crate::store::Version;

    #[derive(Serialize, Deserialize, Debug, PartialEq)]
    struct Note {
        lines: Vec<String>,
    }

    impl Persisted for Note {
        const KIND: &'static str = "note";
        const SCHEMA: u16 = 3;

        fn upgrade(previous: serde_json::Value) -> Result<Self, BoxError> {
            #[derive(Deserialize)]
            struct Previous {
                text: String,
            }
            let previous: Previous = serde_json::from_value(previous)?;
            Ok(Self { lines: vec![previous.text] })
        }
    }

    fn read(schema: u16, body: &str) -> Result<Note, StoreError> {
        Stored { record: Record { schema, body: body.into(), expires_at: None }, version: Version(1) }.read()
    }

    #[test]
    fn it_reads_its_schema_and_the_one_before() {
        let note = Note { lines: vec!["a".into()] };
        let record = Record::of(&note, None).unwrap();
        assert_eq!(record.schema, 3);
        assert_eq!(read(3, &record.body).unwrap(), note);
        assert_eq!(read(2, r#"{"text":"a"}"#).unwrap(), note);
        for found in [0, 1, 4, u16::MAX] {
            let refused = read(found, &record.body).unwrap_err();
            assert!(matches!(refused, StoreError::Schema { kind: "note", current: 3, found: f } if f == found));
        }
    }

    #[test]
    fn an_unreadable_body_is_not_quoted() {
        for (schema, body) in [(3, r#"{"lines":"Alice"}"#), (2, r#"{"text":["Alice"]}"#), (3, "Alice"), (2, "Alice")] {
            let error = read(schema, body).unwrap_err();
            assert!(matches!(error, StoreError::Unreadable { kind: "note", .. }));
            assert!(!format!("{error:?}").contains("Alice"), "{error:?}");
        }
    }

    #[test]
    fn a_first_schema_has_none_before() {
        #[derive(Serialize, Deserialize, Debug)]
        struct First {}
        impl Persisted for First {
            const KIND: &'static str = "first";
            const SCHEMA: u16 = 1;
        }
        let stored =
            |schema| Stored { record: Record { schema, body: "{}".into(), expires_at: None }, version: Version(1) };
        assert!(stored(1).read::<First>().is_ok());
        assert!(matches!(stored(0).read::<First>(), Err(StoreError::Schema { found: 0, .. })));
        assert!(First::upgrade(serde_json::Value::Null).is_err());
    }
}
