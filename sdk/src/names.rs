//! Names: drawn at random, a letter that says of what and 128 bits; and what a text has to be that people give as one.

/// A type for names of one letter, `_` and 32 hexadecimal digits, and the error for a text that is none.
macro_rules! hex_name {
    (
        $(#[$about:meta])* $name:ident = $prefix:literal;
        $(#[$about_error:meta])* $error:ident = $what:literal;
    ) => {
        $(#[$about])*
        #[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, serde::Serialize, serde::Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $name(String);

        $(#[$about_error])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
        #[error("not {}: {} and 32 hexadecimal digits", $what, $prefix)]
        pub struct $error;

        impl $name {
            /// The name that these random bytes make.
            #[must_use]
            pub fn from_random(bytes: [u8; 16]) -> Self {
                Self(format!(concat!($prefix, "{:032x}"), u128::from_be_bytes(bytes)))
            }

            /// As it stands in a column, and in an address.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl std::fmt::Debug for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                write!(f, concat!(stringify!($name), "({})"), self.0)
            }
        }

        impl std::str::FromStr for $name {
            type Err = $error;

            fn from_str(text: &str) -> Result<Self, $error> {
                let digits = text.strip_prefix($prefix).ok_or($error)?;
                let is_hex = digits.bytes().all(|b| b.is_ascii_digit() || matches!(b, b'a'..=b'f'));
                if digits.len() == 32 && is_hex { Ok(Self(text.to_owned())) } else { Err($error) }
            }
        }

        impl TryFrom<String> for $name {
            type Error = $error;

            fn try_from(text: String) -> Result<Self, $error> {
                text.parse()
            }
        }

        impl From<$name> for String {
            fn from(name: $name) -> Self {
                name.0
            }
        }
    };
}

pub(crate) use hex_name;

/// Whether a text can be shown on a line, on paper, in a bank's file: 1 to so many bytes, not only spaces, no control
/// characters.
pub(crate) fn is_plain(text: &str, bytes_max: usize) -> bool {
    !text.trim().is_empty() && text.len() <= bytes_max && !text.chars().any(char::is_control)
}

/// Whether a text can be a token of a stranger's: 1 to so many visible ASCII characters.
pub(crate) fn is_visible(text: &str, bytes_max: usize) -> bool {
    !text.is_empty() && text.len() <= bytes_max && text.bytes().all(|b| b.is_ascii_graphic())
}

/// Whether a text can be a key by which something is said twice and happens once: visible, and without the `/` that parts
/// of a key in the store are told apart by.
pub(crate) fn is_key(text: &str, bytes_max: usize) -> bool {
    is_visible(text, bytes_max) && !text.contains('/')
}

#[cfg(test)]
mod tests {
    use super::{is_key, is_plain, is_visible};
    use crate::{checkout::CheckoutId, customer::CustomerId, order::OrderId};

    #[test]
    fn what_a_text_has_to_be_is_decided_in_one_place() {
        let cases = [
            ("a", true, true, true),
            ("abcdefgh", true, true, true),
            ("abcdefghi", false, false, false),
            ("", false, false, false),
            (" ", false, false, false),
            ("a b", true, false, false),
            ("a/b", true, true, false),
            ("é", true, false, false),
            ("a\nb", false, false, false),
            ("a\u{85}", false, false, false),
            ("a\0", false, false, false),
        ];
        for (text, plain, visible, key) in cases {
            assert_eq!((is_plain(text, 8), is_visible(text, 8), is_key(text, 8)), (plain, visible, key), "{text:?}");
        }
    }

    #[test]
    fn a_name_is_its_letter_and_32_digits() {
        let name = OrderId::from_random([0x0a; 16]);
        assert_eq!(name.as_str(), "o_0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a");
        assert_eq!(format!("{name} {name:?}"), format!("{0} OrderId({0})", name.as_str()));
        assert_eq!(name.as_str().parse(), Ok(name.clone()));
        assert_eq!(serde_json::to_value(&name).unwrap(), name.as_str());
        let digits = "0a".repeat(16);
        for wrong in [
            String::new(),
            digits.clone(),
            format!("c_{digits}"),
            format!("o_{digits}0"),
            format!("o_{}", &digits[1..]),
            format!("o_{}", digits.to_uppercase()),
            format!("o_{}é", &digits[2..]),
        ] {
            assert!(wrong.parse::<OrderId>().is_err(), "{wrong}");
            assert!(serde_json::from_value::<OrderId>(wrong.into()).is_err());
        }
        let not = "x".parse::<OrderId>().unwrap_err().to_string();
        assert_eq!(not, "not an order id: o_ and 32 hexadecimal digits");
    }

    #[test]
    fn each_thing_has_its_letter() {
        let names = [
            CustomerId::from_random([1; 16]).to_string(),
            CheckoutId::from_random([1; 16]).to_string(),
            OrderId::from_random([1; 16]).to_string(),
        ];
        for (place, name) in names.iter().enumerate() {
            let read = [
                name.parse::<CustomerId>().is_ok(),
                name.parse::<CheckoutId>().is_ok(),
                name.parse::<OrderId>().is_ok(),
            ];
            assert_eq!(read.iter().position(|it| *it), Some(place), "{name}");
            assert_eq!(read.iter().filter(|it| **it).count(), 1, "{name} is one thing");
        }
    }
}
