//! JSON that a stranger signed or sent, read so that every reader sees the same thing in it.
//!
//! Two parsers that disagree about one text are an attack: a checker reads the first of two equal members, the code
//! behind it the last. RFC 8259 leaves such texts "unpredictable"; here they are refused, as RFC 7493 (I-JSON) asks:
//! the text is UTF-8 without a byte order mark, member names are unique after unescaping, no lone surrogate stands in a
//! string, and no number loses a digit that an integer needs.
//!
//! The reader is written by hand because it must stay the same when another crate of the program switches
//! `serde_json` to `arbitrary_precision`, which changes what its visitors see. It never recurses, and takes linear time.

use serde_json::{Map, Number, Value, map::Entry};

/// Values of one text, so that a text of some megabytes does not take some hundred: 70 as objects of one member each, which
/// take the most for their size. A list of four thousand issuers has a hundred thousand values.
pub const VALUES_MAX: usize = 262_144;

/// Values of a short text; of a longer one there may be one in [`BYTES_OF_A_VALUE`]. An object of seven bytes takes six hundred
/// once it is read, so that what is allowed in one request would take 20 MB without this.
const VALUES_OF_A_SHORT_TEXT: usize = 8_192;

/// Bytes of a long text for each of its values: a list of issuers has forty, a credential's answer some thousand.
const BYTES_OF_A_VALUE: usize = 16;

/// Why a text is not the strict JSON that is read here.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum JsonError {
    /// The bytes are not UTF-8 (RFC 8259 section 8.1).
    #[error("JSON must be UTF-8")]
    NotUtf8,
    /// A character that the grammar does not have there.
    #[error("JSON has an unexpected character at byte {at}")]
    Unexpected {
        /// Offset into the text.
        at: usize,
    },
    /// The text ends inside a value, or is empty.
    #[error("JSON ends before its value does")]
    Unfinished,
    /// Something follows the value.
    #[error("JSON has more after its value, from byte {at}")]
    Trailing {
        /// Offset into the text.
        at: usize,
    },
    /// Two members of one object have the same name once their escapes are undone.
    #[error("JSON names a member twice, the second time before byte {at}")]
    DuplicateMember {
        /// Offset into the text.
        at: usize,
    },
    /// Arrays and objects stand deeper in each other than is read.
    #[error("JSON is nested deeper than {limit}")]
    TooDeep {
        /// The nesting that is read.
        limit: usize,
    },
    /// More values than are read.
    #[error("JSON has more than {limit} values")]
    TooMany {
        /// The number that is read.
        limit: usize,
    },
    /// An escape that stands for half a character.
    #[error("JSON has half of a surrogate pair before byte {at}")]
    LoneSurrogate {
        /// Offset into the text.
        at: usize,
    },
    /// A number that 64 bits cannot hold: an integer would lose digits, a real would become infinite.
    #[error("JSON has a number out of range before byte {at}")]
    NumberRange {
        /// Offset into the text.
        at: usize,
    },
}

impl JsonError {
    /// A stable name for logs and answers: one for all, since a peer learns nothing from which rule was broken.
    #[must_use]
    pub fn code(&self) -> &'static str {
        "malformed_json"
    }
}

/// Reads one JSON text: any value, white space around it allowed, arrays and objects at most `depth_max` deep, and at most
/// [`VALUES_MAX`] values: fewer in a text of which a value takes less than 16 bytes on average, unless they are 8,192 at most.
///
/// # Errors
/// [`JsonError`] for everything that is not strict JSON as the module describes it.
pub fn parse(bytes: &[u8], depth_max: usize) -> Result<Value, JsonError> {
    let text = std::str::from_utf8(bytes).map_err(|_| JsonError::NotUtf8)?;
    let mut reader = Reader { text, at: 0 };
    let mut open: Vec<Open> = Vec::new();
    let values_max = (bytes.len() / BYTES_OF_A_VALUE).clamp(VALUES_OF_A_SHORT_TEXT, VALUES_MAX);
    let mut values = 0;
    loop {
        values += 1;
        if values > values_max {
            return Err(JsonError::TooMany { limit: values_max });
        }
        reader.skip_space();
        let mut value = match reader.peek() {
            Some(start @ (b'{' | b'[')) => {
                if open.len() >= depth_max {
                    return Err(JsonError::TooDeep { limit: depth_max });
                }
                reader.at += 1;
                reader.skip_space();
                let empty = if start == b'{' { reader.eat(b'}') } else { reader.eat(b']') };
                match (start, empty) {
                    (b'{', true) => Value::Object(Map::new()),
                    (_, true) => Value::Array(Vec::new()),
                    (b'{', false) => {
                        open.push(Open::Object(Map::new(), reader.member_name()?));
                        continue;
                    }
                    (_, false) => {
                        open.push(Open::Array(Vec::new()));
                        continue;
                    }
                }
            }
            Some(b'"') => Value::String(reader.string()?),
            Some(b'-' | b'0'..=b'9') => Value::Number(reader.number()?),
            Some(b't') => reader.word("true", Value::Bool(true))?,
            Some(b'f') => reader.word("false", Value::Bool(false))?,
            Some(b'n') => reader.word("null", Value::Null)?,
            _ => return Err(reader.unexpected()),
        };
        // The value is whole: it goes into what is open around it, which may end with it.
        loop {
            let parent = open.pop();
            reader.skip_space();
            match parent {
                None if reader.peek().is_none() => return Ok(value),
                None => return Err(JsonError::Trailing { at: reader.at }),
                Some(Open::Array(mut items)) => {
                    items.push(value);
                    if reader.eat(b',') {
                        open.push(Open::Array(items));
                        break;
                    }
                    reader.expect(b']')?;
                    value = Value::Array(items);
                }
                Some(Open::Object(mut members, name)) => {
                    match members.entry(name) {
                        Entry::Vacant(place) => place.insert(value),
                        Entry::Occupied(_) => return Err(JsonError::DuplicateMember { at: reader.at }),
                    };
                    if reader.eat(b',') {
                        reader.skip_space();
                        open.push(Open::Object(members, reader.member_name()?));
                        break;
                    }
                    reader.expect(b'}')?;
                    value = Value::Object(members);
                }
            }
        }
    }
}

/// An array or object whose end has not been read; an object with the name whose value comes next.
enum Open {
    Array(Vec<Value>),
    Object(Map<String, Value>, String),
}

struct Reader<'a> {
    text: &'a str,
    at: usize,
}

impl Reader<'_> {
    fn peek(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    fn eat(&mut self, byte: u8) -> bool {
        let there = self.peek() == Some(byte);
        self.at += usize::from(there);
        there
    }

    fn expect(&mut self, byte: u8) -> Result<(), JsonError> {
        if self.eat(byte) { Ok(()) } else { Err(self.unexpected()) }
    }

    fn unexpected(&self) -> JsonError {
        if self.at < self.text.len() { JsonError::Unexpected { at: self.at } } else { JsonError::Unfinished }
    }

    fn skip_space(&mut self) {
        while matches!(self.peek(), Some(b' ' | b'\t' | b'\n' | b'\r')) {
            self.at += 1;
        }
    }

    fn word(&mut self, word: &str, value: Value) -> Result<Value, JsonError> {
        for byte in word.bytes() {
            self.expect(byte)?;
        }
        Ok(value)
    }

    /// A name and the colon after it.
    fn member_name(&mut self) -> Result<String, JsonError> {
        if self.peek() != Some(b'"') {
            return Err(self.unexpected());
        }
        let name = self.string()?;
        self.skip_space();
        self.expect(b':')?;
        Ok(name)
    }

    fn string(&mut self) -> Result<String, JsonError> {
        self.expect(b'"')?;
        let mut out = String::new();
        loop {
            // Both ends stand at ASCII characters, so the cuts are between characters.
            let rest = self.text.get(self.at..).ok_or(JsonError::NotUtf8)?;
            let plain = rest.bytes().position(|byte| matches!(byte, b'"' | b'\\' | 0..=0x1f)).unwrap_or(rest.len());
            out.push_str(rest.get(..plain).ok_or(JsonError::NotUtf8)?);
            self.at += plain;
            if self.eat(b'"') {
                return Ok(out);
            }
            self.expect(b'\\')?;
            out.push(self.escape()?);
        }
    }

    fn escape(&mut self) -> Result<char, JsonError> {
        let plain = match self.peek() {
            Some(byte @ (b'"' | b'\\' | b'/')) => char::from(byte),
            Some(b'b') => '\u{8}',
            Some(b'f') => '\u{c}',
            Some(b'n') => '\n',
            Some(b'r') => '\r',
            Some(b't') => '\t',
            Some(b'u') => {
                self.at += 1;
                return self.utf16();
            }
            _ => return Err(self.unexpected()),
        };
        self.at += 1;
        Ok(plain)
    }

    /// What follows `\u`: one unit of UTF-16, or a pair of them.
    fn utf16(&mut self) -> Result<char, JsonError> {
        let first = self.hex4()?;
        let scalar = if (0xd800..0xdc00).contains(&first) && self.eat(b'\\') && self.eat(b'u') {
            let second = self.hex4()?;
            if !(0xdc00..0xe000).contains(&second) {
                return Err(JsonError::LoneSurrogate { at: self.at });
            }
            0x1_0000 + ((first - 0xd800) << 10) + (second - 0xdc00)
        } else {
            first
        };
        char::from_u32(scalar).ok_or(JsonError::LoneSurrogate { at: self.at })
    }

    fn hex4(&mut self) -> Result<u32, JsonError> {
        let mut unit = 0;
        for _ in 0..4 {
            let digit = self.peek().and_then(|byte| char::from(byte).to_digit(16)).ok_or_else(|| self.unexpected())?;
            unit = unit << 4 | digit;
            self.at += 1;
        }
        Ok(unit)
    }

    fn number(&mut self) -> Result<Number, JsonError> {
        let from = self.at;
        self.eat(b'-');
        if !self.eat(b'0') {
            self.digits()?;
        }
        let mut integer = true;
        if self.eat(b'.') {
            integer = false;
            self.digits()?;
        }
        if self.eat(b'e') || self.eat(b'E') {
            integer = false;
            let _signed = self.eat(b'+') || self.eat(b'-');
            self.digits()?;
        }
        let text = self.text.get(from..self.at).ok_or(JsonError::NotUtf8)?;
        let number = if integer && text != "-0" {
            text.parse::<u64>().map(Number::from).or_else(|_| text.parse::<i64>().map(Number::from)).ok()
        } else {
            text.parse::<f64>().ok().and_then(Number::from_f64)
        };
        number.ok_or(JsonError::NumberRange { at: self.at })
    }

    fn digits(&mut self) -> Result<(), JsonError> {
        let from = self.at;
        while matches!(self.peek(), Some(b'0'..=b'9')) {
            self.at += 1;
        }
        if self.at == from { Err(self.unexpected()) } else { Ok(()) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn read(text: &str) -> Result<Value, JsonError> {
        parse(text.as_bytes(), 4)
    }

    #[test]
    fn reads_what_serde_json_reads() {
        for text in [
            "null",
            " true ",
            "\t[ ]\n",
            "{ }",
            r#"{"a":{"b":[1,-2,3.5,0,18446744073709551615,-9223372036854775808]},"c":"x"}"#,
            r#""\"\\\/\b\f\n\r\t\u0041\u00e9\uD83D\ude39é😹\u0000""#,
            "[[[[]]]]",
            r#"{"":0,"$serde_json::private::Number":"1"}"#,
        ] {
            assert_eq!(read(text), Ok(serde_json::from_str::<Value>(text).unwrap()), "{text}");
        }
    }

    #[test]
    fn a_number_is_its_value_however_it_is_written() {
        // Also where another crate of the program has serde_json keep the digits.
        for (text, value) in [("1e2", 100.0), ("-0", 0.0), ("100.0", 100.0), ("1E+2", 100.0)] {
            assert_eq!(read(text).unwrap().as_f64(), Some(value), "{text}");
        }
    }

    #[test]
    fn refuses_more_values_than_are_read() {
        // The array is one of them.
        let of = |count: usize, value: &str| format!("[{}0]", format!("{value},").repeat(count - 2));
        let long = format!("\"{}\"", "a".repeat(16));
        for (max, value) in [(VALUES_OF_A_SHORT_TEXT, "0"), (VALUES_MAX, long.as_str())] {
            assert!(read(&of(max, value)).is_ok());
            assert_eq!(read(&of(max + 1, value)), Err(JsonError::TooMany { limit: max }));
        }
        let dense = of(20_000, "0");
        assert_eq!(read(&dense), Err(JsonError::TooMany { limit: VALUES_OF_A_SHORT_TEXT }));
    }

    #[test]
    fn refuses_a_member_named_twice() {
        assert_eq!(read(r#"{"a":1,"b":{"a":1}}"#), Ok(json!({"a":1,"b":{"a":1}})));
        for text in [r#"{"a":1,"a":1}"#, r#"{"a":1,"\u0061":2}"#, r#"[{"b":0,"a":{},"b":0}]"#] {
            assert!(matches!(read(text), Err(JsonError::DuplicateMember { .. })), "{text}");
        }
    }

    #[test]
    fn refuses_what_lies_too_deep_without_reading_on() {
        assert!(read(r#"[[[{"a":1}]]]"#).is_ok());
        assert_eq!(read(r#"[[[[{"a":1}]]]]"#), Err(JsonError::TooDeep { limit: 4 }));
        assert_eq!(read(&"[".repeat(1_000_000)), Err(JsonError::TooDeep { limit: 4 }));
        assert_eq!(parse(b"[]", 0), Err(JsonError::TooDeep { limit: 0 }));
        assert_eq!(parse(b"1", 0), Ok(json!(1)));
    }

    #[test]
    fn refuses_half_characters_and_other_encodings() {
        for text in [r#""\ud800""#, r#""\udc00""#, r#""\ud800\u0041""#, r#""\ud800\ud800""#, r#""\ud83dx""#] {
            assert!(matches!(read(text), Err(JsonError::LoneSurrogate { .. })), "{text}");
        }
        assert_eq!(parse(b"\"\xff\"", 4), Err(JsonError::NotUtf8));
        assert_eq!(parse(b"\"\xed\xa0\x80\"", 4), Err(JsonError::NotUtf8));
        assert_eq!(read("\u{feff}1"), Err(JsonError::Unexpected { at: 0 }));
    }

    #[test]
    fn refuses_numbers_that_would_change() {
        for text in ["18446744073709551616", "-9223372036854775809", "1e999", "-1e999"] {
            assert!(matches!(read(text), Err(JsonError::NumberRange { .. })), "{text}");
        }
        for text in ["01", "1.", ".5", "+1", "-", "1e", "0x1", "NaN", "Infinity", "1_0"] {
            assert!(read(text).is_err(), "{text}");
        }
    }

    #[test]
    fn refuses_what_is_cut_or_continued() {
        let whole = r#"{"a":[1,"b\n",true,null]}"#;
        assert!(read(whole).is_ok());
        for end in 0..whole.len() {
            assert!(read(&whole[..end]).is_err(), "{end}");
        }
        for more in [",", "}", "1", "\0", "\u{a0}", "//"] {
            assert!(read(&format!("{whole}{more}")).is_err(), "{more:?}");
        }
        for text in ["[1,]", "{\"a\":1,}", "[,1]", "{\"a\" 1}", "{a:1}", "'a'", "\"\n\"", r#""\x41""#, "tru", "[1 2]"] {
            assert!(read(text).is_err(), "{text}");
        }
    }
}
