//! CBOR (RFC 8949) that a stranger signed or sent, read so that every reader sees the same thing in it, and without
//! losing the bytes it came in.
//!
//! A digest of an mdoc is over bytes as they were received: an [`Item`] is a view of them, and [`raw`](Item::raw) gives
//! them back. What is read is all well-formed CBOR with text that is UTF-8; lengths may be indefinite or longer than
//! need be, since issuers write them so and nothing here is ever encoded again. Refused is what two readers could
//! understand differently, or what costs more than it says: a map with the same key twice, keys that are neither
//! integers nor strings, anything after the item, nesting and numbers of items beyond the bounds. A length is believed
//! only as far as there is input behind it, and nothing is allocated on its word.
//!
//! What is written is small and ours: [`encode`] of a [`Value`].

use std::{borrow::Cow, collections::BTreeSet, fmt};

pub use ciborium::Value;

use crate::limits::Limits;

/// The tag of an embedded CBOR item (RFC 8949 section 3.4.5.1).
pub const EMBEDDED: u64 = 24;

/// Why bytes are not the CBOR that is read here.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CborError {
    /// A first byte that the format does not have, or a break where none may be.
    #[error("CBOR has an unexpected byte at {at}")]
    Unexpected {
        /// Offset into the input.
        at: usize,
    },
    /// The input ends inside an item, or is empty.
    #[error("CBOR ends before its item does")]
    Unfinished,
    /// Something follows the item.
    #[error("CBOR has more after its item, from byte {at}")]
    Trailing {
        /// Offset into the input.
        at: usize,
    },
    /// A text string that is not UTF-8.
    #[error("CBOR has a text at byte {at} that is not UTF-8")]
    NotUtf8 {
        /// Offset into the input.
        at: usize,
    },
    /// The same key twice in one map (RFC 8949 section 5.6).
    #[error("CBOR has a key twice in one map, the second time at byte {at}")]
    DuplicateKey {
        /// Offset into the input.
        at: usize,
    },
    /// A key that is neither an integer nor a string: no format that is read here has one.
    #[error("CBOR has a key at byte {at} that is neither an integer nor a string")]
    Key {
        /// Offset into the input.
        at: usize,
    },
    /// Arrays, maps and tags stand deeper in each other than is read.
    #[error("CBOR is nested deeper than {limit}")]
    TooDeep {
        /// The nesting that is read.
        limit: usize,
    },
    /// More items than are read.
    #[error("CBOR has more than {limit} items")]
    TooMany {
        /// The number that is read.
        limit: usize,
    },
}

impl CborError {
    /// A stable name for logs and answers: one for all, since a peer learns nothing from which rule was broken.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        "malformed_cbor"
    }
}

/// Reads one item, and nothing after it: at most [`Limits::cbor_depth`] deep, of at most [`Limits::cbor_items`].
///
/// # Errors
/// [`CborError`] for everything that is not CBOR as the module describes it.
pub fn read<'a>(bytes: &'a [u8], limits: &Limits) -> Result<Item<'a>, CborError> {
    read_many(bytes, limits.cbor_depth, limits.cbor_items)
}

/// [`read`] with bounds of one's own, for lists that are long by nature.
///
/// # Errors
/// As those of [`read`].
pub(crate) fn read_many(bytes: &[u8], depth_max: usize, items_max: usize) -> Result<Item<'_>, CborError> {
    let mut reader = Reader { bytes, at: 0, items: 0, depth_max, items_max };
    let item = reader.item(0)?;
    match reader.at {
        at if at < bytes.len() => Err(CborError::Trailing { at }),
        _ => Ok(item),
    }
}

/// The bytes of a value, lengths and integers as short as they can be.
#[must_use]
pub fn encode(value: &Value) -> Vec<u8> {
    let mut bytes = Vec::new();
    // Writing to memory does not fail.
    let _ = ciborium::into_writer(value, &mut bytes);
    bytes
}

/// A map with text keys, in this order.
#[must_use]
pub fn object<const N: usize>(members: [(&str, Value); N]) -> Value {
    Value::Map(members.into_iter().map(|(name, value)| (Value::from(name), value)).collect())
}

/// An item that carries another one as bytes, such as `IssuerSignedItemBytes` and `DeviceAuthenticationBytes`.
#[must_use]
pub fn embed(bytes: Vec<u8>) -> Value {
    Value::Tag(EMBEDDED, Box::new(Value::Bytes(bytes)))
}

/// One data item as it was received.
#[derive(Clone, PartialEq)]
pub struct Item<'a> {
    raw: &'a [u8],
    kind: Kind<'a>,
}

/// What an item is.
#[derive(Clone, PartialEq)]
pub enum Kind<'a> {
    /// An integer of 64 bits and a sign.
    Integer(i128),
    /// A byte string; owned if it came in chunks.
    Bytes(Cow<'a, [u8]>),
    /// A text string.
    Text(Cow<'a, str>),
    /// An array.
    Array(Vec<Item<'a>>),
    /// A map without equal keys.
    Map(Map<'a>),
    /// A tag and what it is about.
    Tag(u64, Box<Item<'a>>),
    /// True or false.
    Bool(bool),
    /// `null`.
    Null,
    /// Any other simple value, `undefined` (23) among them.
    Simple(u8),
    /// A real number of 16, 32 or 64 bits.
    Float(f64),
}

impl<'a> Item<'a> {
    /// The bytes of the whole item, as they were received.
    #[must_use]
    pub const fn raw(&self) -> &'a [u8] {
        self.raw
    }

    /// What it is.
    #[must_use]
    pub const fn kind(&self) -> &Kind<'a> {
        &self.kind
    }

    /// The integer, if it is one.
    #[must_use]
    pub const fn integer(&self) -> Option<i128> {
        match self.kind {
            Kind::Integer(integer) => Some(integer),
            _ => None,
        }
    }

    /// The byte string, if it is one.
    #[must_use]
    pub fn bytes(&self) -> Option<&[u8]> {
        match &self.kind {
            Kind::Bytes(bytes) => Some(bytes),
            _ => None,
        }
    }

    /// The text, if it is one.
    #[must_use]
    pub fn text(&self) -> Option<&str> {
        match &self.kind {
            Kind::Text(text) => Some(text),
            _ => None,
        }
    }

    /// The elements, if it is an array.
    #[must_use]
    pub fn array(&self) -> Option<&[Self]> {
        match &self.kind {
            Kind::Array(items) => Some(items),
            _ => None,
        }
    }

    /// The map, if it is one.
    #[must_use]
    pub const fn map(&self) -> Option<&Map<'a>> {
        match &self.kind {
            Kind::Map(map) => Some(map),
            _ => None,
        }
    }

    /// What stands behind this tag.
    #[must_use]
    pub fn tagged(&self, expected: u64) -> Option<&Self> {
        match &self.kind {
            Kind::Tag(tag, item) if *tag == expected => Some(item),
            _ => None,
        }
    }

    /// The bytes of the item that this one carries behind [tag 24](EMBEDDED). They are not read yet.
    #[must_use]
    pub fn embedded(&self) -> Option<&[u8]> {
        self.tagged(EMBEDDED).and_then(Self::bytes)
    }

    /// The item in diagnostic notation (RFC 8949 section 8), for an operator who searches where two transcripts differ.
    /// It shows all that is in it.
    #[must_use]
    pub fn diagnostic(&self) -> String {
        let mut text = String::new();
        self.write(&mut text);
        text
    }

    fn write(&self, text: &mut String) {
        match &self.kind {
            Kind::Integer(integer) => *text += &integer.to_string(),
            Kind::Bytes(bytes) => *text += &format!("h'{}'", hex(bytes)),
            Kind::Text(words) => *text += &serde_json::Value::from(words.as_ref()).to_string(),
            Kind::Array(items) => {
                text.push('[');
                separated(text, items, |text, item| item.write(text));
                text.push(']');
            }
            Kind::Map(map) => {
                text.push('{');
                separated(text, &map.0, |text, (key, value)| {
                    key.write(text);
                    *text += ": ";
                    value.write(text);
                });
                text.push('}');
            }
            Kind::Tag(tag, item) => {
                *text += &format!("{tag}(");
                item.write(text);
                text.push(')');
            }
            Kind::Bool(value) => *text += if *value { "true" } else { "false" },
            Kind::Null => *text += "null",
            Kind::Simple(23) => *text += "undefined",
            Kind::Simple(value) => *text += &format!("simple({value})"),
            Kind::Float(value) if value.is_infinite() => {
                *text += if *value > 0.0 { "Infinity" } else { "-Infinity" };
            }
            Kind::Float(value) => *text += &format!("{value:?}"),
        }
    }
}

impl fmt::Debug for Item<'_> {
    /// Without what is in it, which is mostly about a person.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Item({} bytes)", self.raw.len())
    }
}

/// The members of a map in their order, no key twice.
#[derive(Clone, PartialEq)]
pub struct Map<'a>(Vec<(Item<'a>, Item<'a>)>);

impl<'a> Map<'a> {
    /// The value of a text key.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&Item<'a>> {
        self.0.iter().find_map(|(key, value)| (key.text() == Some(name)).then_some(value))
    }

    /// The value of an integer key, as COSE and CWT have them.
    #[must_use]
    pub fn label(&self, label: i64) -> Option<&Item<'a>> {
        self.0.iter().find_map(|(key, value)| (key.integer() == Some(label.into())).then_some(value))
    }

    /// All members.
    pub fn iter(&self) -> impl Iterator<Item = (&Item<'a>, &Item<'a>)> {
        self.0.iter().map(|(key, value)| (key, value))
    }

    /// How many members.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there is none.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// A key as it is compared: by its value, however it was written.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
enum Key<'a> {
    Integer(i128),
    Bytes(&'a [u8]),
    Text(&'a str),
}

struct Reader<'a> {
    bytes: &'a [u8],
    at: usize,
    items: usize,
    depth_max: usize,
    items_max: usize,
}

/// The first byte of an item and its argument (RFC 8949 section 3).
struct Head {
    major: u8,
    info: u8,
    argument: u64,
}

/// The additional information of an indefinite length, and of a break.
const INDEFINITE: u8 = 31;
const BREAK: u8 = 0xff;

impl<'a> Reader<'a> {
    /// One item that stands `depth` deep; as deep as it recurses.
    fn item(&mut self, depth: usize) -> Result<Item<'a>, CborError> {
        let start = self.at;
        self.items += 1;
        if self.items > self.items_max {
            return Err(CborError::TooMany { limit: self.items_max });
        }
        let head = self.head()?;
        let kind = match head.major {
            0 => Kind::Integer(head.number(start)?.into()),
            1 => Kind::Integer(-1 - i128::from(head.number(start)?)),
            2 => Kind::Bytes(self.string(
                &head,
                start,
                |_, bytes| Ok(bytes),
                |whole, chunk| whole.extend_from_slice(chunk),
            )?),
            3 => {
                let text = |at, bytes| std::str::from_utf8(bytes).map_err(|_| CborError::NotUtf8 { at });
                Kind::Text(self.string(&head, start, text, |whole, chunk| whole.push_str(chunk))?)
            }
            4 => Kind::Array(self.elements(&head, self.below(depth)?)?),
            5 => Kind::Map(self.members(&head, self.below(depth)?)?),
            6 => {
                let tag = head.number(start)?;
                let below = self.below(depth)?;
                Kind::Tag(tag, Box::new(self.item(below)?))
            }
            _ => head.simple(start)?,
        };
        Ok(Item { raw: self.bytes.get(start..self.at).unwrap_or_default(), kind })
    }

    fn below(&self, depth: usize) -> Result<usize, CborError> {
        match depth + 1 {
            deeper if deeper > self.depth_max => Err(CborError::TooDeep { limit: self.depth_max }),
            deeper => Ok(deeper),
        }
    }

    fn head(&mut self) -> Result<Head, CborError> {
        let at = self.at;
        let [first] = self.array()?;
        let (major, info) = (first >> 5, first & 0x1f);
        let argument = match info {
            0..24 => info.into(),
            24 => u8::from_be_bytes(self.array()?).into(),
            25 => u16::from_be_bytes(self.array()?).into(),
            26 => u32::from_be_bytes(self.array()?).into(),
            27 => u64::from_be_bytes(self.array()?),
            INDEFINITE => 0,
            _ => return Err(CborError::Unexpected { at }),
        };
        Ok(Head { major, info, argument })
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], CborError> {
        let array = self.bytes.get(self.at..).and_then(<[u8]>::first_chunk).ok_or(CborError::Unfinished)?;
        self.at += N;
        Ok(*array)
    }

    /// As many bytes as a length says, if they are there.
    fn take(&mut self, length: u64) -> Result<&'a [u8], CborError> {
        let end = usize::try_from(length).ok().and_then(|length| self.at.checked_add(length));
        let taken = end.and_then(|end| self.bytes.get(self.at..end)).ok_or(CborError::Unfinished)?;
        self.at += taken.len();
        Ok(taken)
    }

    /// A string: at once, or in chunks that are each a whole one of its kind (RFC 8949 section 3.2.3).
    fn string<T: ToOwned + ?Sized>(
        &mut self,
        head: &Head,
        at: usize,
        of: impl Fn(usize, &'a [u8]) -> Result<&'a T, CborError>,
        append: impl Fn(&mut T::Owned, &T),
    ) -> Result<Cow<'a, T>, CborError>
    where
        T::Owned: Default,
    {
        if head.info != INDEFINITE {
            return Ok(Cow::Borrowed(of(at, self.take(head.argument)?)?));
        }
        let mut whole = T::Owned::default();
        while !self.ended()? {
            let at = self.at;
            let chunk = self.head()?;
            if chunk.major != head.major || chunk.info == INDEFINITE {
                return Err(CborError::Unexpected { at });
            }
            append(&mut whole, of(at, self.take(chunk.argument)?)?);
        }
        Ok(Cow::Owned(whole))
    }

    fn elements(&mut self, head: &Head, depth: usize) -> Result<Vec<Item<'a>>, CborError> {
        let mut items = Vec::new();
        self.each(head, |reader| {
            items.push(reader.item(depth)?);
            Ok(())
        })?;
        Ok(items)
    }

    fn members(&mut self, head: &Head, depth: usize) -> Result<Map<'a>, CborError> {
        let mut members: Vec<(Item<'a>, Item<'a>)> = Vec::new();
        self.each(head, |reader| {
            let key = reader.item(depth)?;
            members.push((key, reader.item(depth)?));
            Ok(())
        })?;
        let mut keys = BTreeSet::new();
        for (key, _) in &members {
            let at = self.offset(key);
            let key = match &key.kind {
                Kind::Integer(integer) => Key::Integer(*integer),
                Kind::Bytes(bytes) => Key::Bytes(bytes),
                Kind::Text(text) => Key::Text(text),
                _ => return Err(CborError::Key { at }),
            };
            if !keys.insert(key) {
                return Err(CborError::DuplicateKey { at });
            }
        }
        Ok(Map(members))
    }

    /// Calls `read` for each entry of an array or map, whose number is only believed as far as the input goes.
    fn each(&mut self, head: &Head, mut read: impl FnMut(&mut Self) -> Result<(), CborError>) -> Result<(), CborError> {
        if head.info == INDEFINITE {
            while !self.ended()? {
                read(self)?;
            }
        } else {
            for _ in 0..head.argument {
                read(self)?;
            }
        }
        Ok(())
    }

    /// Whether a break is next; takes it.
    fn ended(&mut self) -> Result<bool, CborError> {
        let next = self.bytes.get(self.at).ok_or(CborError::Unfinished)?;
        self.at += usize::from(*next == BREAK);
        Ok(*next == BREAK)
    }

    /// Where an item begins in the input.
    fn offset(&self, item: &Item<'a>) -> usize {
        (item.raw.as_ptr() as usize).saturating_sub(self.bytes.as_ptr() as usize)
    }
}

impl Head {
    /// The argument of an integer or a tag, which has no indefinite form.
    fn number(&self, at: usize) -> Result<u64, CborError> {
        match self.info {
            INDEFINITE => Err(CborError::Unexpected { at }),
            _ => Ok(self.argument),
        }
    }

    /// RFC 8949 section 3.3.
    #[expect(clippy::cast_possible_truncation, reason = "the argument has as many bits as `info` says")]
    fn simple<'a>(&self, at: usize) -> Result<Kind<'a>, CborError> {
        Ok(match self.info {
            20 => Kind::Bool(false),
            21 => Kind::Bool(true),
            22 => Kind::Null,
            simple @ ..24 => Kind::Simple(simple),
            // Values below 32 have no long form.
            24 if self.argument < 32 => return Err(CborError::Unexpected { at }),
            24 => Kind::Simple(self.argument as u8),
            25 => Kind::Float(half(self.argument as u16)),
            26 => Kind::Float(f32::from_bits(self.argument as u32).into()),
            27 => Kind::Float(f64::from_bits(self.argument)),
            // A break where an item belongs.
            _ => return Err(CborError::Unexpected { at }),
        })
    }
}

/// A real number of 16 bits (RFC 8949 appendix D).
fn half(bits: u16) -> f64 {
    let exponent = i32::from((bits >> 10) & 0x1f);
    let mantissa = f64::from(bits & 0x3ff);
    let magnitude = match exponent {
        0 => mantissa * 2f64.powi(-24),
        31 if mantissa == 0.0 => f64::INFINITY,
        31 => f64::NAN,
        _ => (mantissa + 1024.0) * 2f64.powi(exponent - 25),
    };
    if bits & 0x8000 == 0 { magnitude } else { -magnitude }
}

fn separated<T>(text: &mut String, items: &[T], write: impl Fn(&mut String, &T)) {
    for (position, item) in items.iter().enumerate() {
        if position > 0 {
            *text += ", ";
        }
        write(text, item);
    }
}

/// Bytes in lower-case hexadecimal.
#[must_use]
pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bytes(hex: &str) -> Vec<u8> {
        (0..hex.len()).step_by(2).map(|at| u8::from_str_radix(&hex[at..at + 2], 16).unwrap()).collect()
    }

    fn error(hex: &str) -> CborError {
        read(&bytes(hex), &Limits::default()).unwrap_err()
    }

    #[test]
    fn an_item_gives_back_the_bytes_it_came_in() {
        // Lengths that are longer than need be, and an array without a length.
        let input = bytes("b900016161d8185801059f1801ff");
        assert_eq!(error("b900016161d8185801059f1801ff"), CborError::Trailing { at: 10 });
        let input = &input[..10];
        let item = read(input, &Limits::default()).unwrap();
        let carried = item.map().unwrap().get("a").unwrap();
        assert_eq!(carried.raw(), bytes("d818580105"));
        assert_eq!(carried.embedded(), Some([5].as_slice()));
        assert_eq!(item.raw(), input);
        assert_eq!(item.diagnostic(), r#"{"a": 24(h'05')}"#);
        assert_eq!(format!("{item:?}"), "Item(10 bytes)");
    }

    #[test]
    fn a_key_counts_by_its_value() {
        assert_eq!(error("a2010118010 2".replace(' ', "").as_str()), CborError::DuplicateKey { at: 3 });
        assert_eq!(error("a2616101 7f6161ff02".replace(' ', "").as_str()), CborError::DuplicateKey { at: 4 });
        assert_eq!(error("a1f501"), CborError::Key { at: 1 });
        // A text, the same bytes and an integer are three keys.
        let input = bytes("a3616101416102186103");
        let item = read(&input, &Limits::default()).unwrap();
        assert_eq!(item.map().unwrap().len(), 3);
        assert_eq!(item.map().unwrap().label(0x61).and_then(Item::integer), Some(3));
    }

    #[test]
    fn bombs_stop_at_the_bounds() {
        let limits = Limits::default();
        for open in [0x81, 0xd8, 0x9f] {
            let deep: Vec<u8> = if open == 0xd8 { [0xd8, 24].repeat(100_000) } else { vec![open; 100_000] };
            assert_eq!(read(&deep, &limits).unwrap_err(), CborError::TooDeep { limit: 32 });
        }
        let deepest = [vec![0x81; 32], vec![0]].concat();
        assert!(read(&deepest, &limits).is_ok());
        let mut wide = vec![0x9a, 0, 1, 0, 0];
        wide.extend([0; 65_536]);
        assert_eq!(read(&wide, &limits).unwrap_err(), CborError::TooMany { limit: 65_536 });
        for length in ["9bffffffffffffffff", "bbffffffffffffffff", "5b7fffffffffffffff", "7bffffffffffffffff"] {
            assert_eq!(error(length), CborError::Unfinished);
        }
        assert_eq!(error("62c328"), CborError::NotUtf8 { at: 0 });
        // Each chunk is a text of its own: half a character is none.
        assert_eq!(error("7f61c361bcff"), CborError::NotUtf8 { at: 1 });
    }

    #[test]
    fn what_is_written_is_read() {
        let value = object([("a", embed(vec![1, 2])), ("b", Value::Null), ("c", Value::from(-1))]);
        let written = encode(&value);
        let item = read(&written, &Limits::default()).unwrap();
        assert_eq!(item.diagnostic(), r#"{"a": 24(h'0102'), "b": null, "c": -1}"#);
    }
}
