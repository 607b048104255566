//! `application/x-www-form-urlencoded` bodies, read in one way only.

use std::collections::BTreeMap;

/// Parameters that a form may have: the standards name fewer than ten.
const FORM_PARAMETERS_MAX: usize = 64;

/// The parameters of an `application/x-www-form-urlencoded` body, each at most once.
pub(crate) struct Form(pub(crate) BTreeMap<String, String>);

impl Form {
    /// Reads a body of at most `max` bytes.
    pub(crate) fn parse(body: &[u8], max: usize) -> Result<Self, FormError> {
        if body.len() > max {
            return Err(FormError::TooLong { bytes: body.len(), max });
        }
        let mut parameters = BTreeMap::new();
        for pair in body.split(|byte| *byte == b'&').filter(|pair| !pair.is_empty()) {
            if parameters.len() >= FORM_PARAMETERS_MAX {
                return Err(FormError::TooManyParameters { max: FORM_PARAMETERS_MAX });
            }
            let mut parts = pair.splitn(2, |byte| *byte == b'=');
            let name = decode(parts.next().unwrap_or_default())?;
            let value = decode(parts.next().unwrap_or_default())?;
            // RFC 6749 3.1: not more than once. Two readers would differ on which of them counts.
            if parameters.insert(name, value).is_some() {
                return Err(FormError::RepeatedParameter);
            }
        }
        Ok(Self(parameters))
    }

    /// Whether a parameter is there.
    pub(crate) fn has(&self, name: &str) -> bool {
        self.0.contains_key(name)
    }

    /// Takes a parameter out.
    pub(crate) fn take(&mut self, name: &str) -> Option<String> {
        self.0.remove(name)
    }
}

/// Decodes one name or value; what follows a `%` must be two hexadecimal digits, and the result UTF-8.
fn decode(text: &[u8]) -> Result<String, FormError> {
    let digit =
        |byte: Option<&u8>| byte.and_then(|byte| char::from(*byte).to_digit(16)).and_then(|it| u8::try_from(it).ok());
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.iter();
    while let Some(byte) = rest.next() {
        bytes.push(match byte {
            b'+' => b' ',
            b'%' => match (digit(rest.next()), digit(rest.next())) {
                (Some(high), Some(low)) => high << 4 | low,
                _ => return Err(FormError::Encoding),
            },
            other => *other,
        });
    }
    String::from_utf8(bytes).map_err(|_| FormError::Encoding)
}

/// The value of a parameter, if the body is a form that has it: to look ahead, never instead of reading it.
#[must_use]
pub fn value(body: &[u8], name: &str) -> Option<String> {
    Form::parse(body, body.len()).ok()?.take(name)
}

/// Why a body is no form.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum FormError {
    /// It is too long.
    #[error("the form has {bytes} bytes, more than the limit of {max}")]
    TooLong {
        /// Its length.
        bytes: usize,
        /// The limit.
        max: usize,
    },
    /// It has too many parameters.
    #[error("the form has more than {max} parameters")]
    TooManyParameters {
        /// The limit.
        max: usize,
    },
    /// A parameter stands in it twice.
    #[error("the form has a parameter twice")]
    RepeatedParameter,
    /// A name or value is not percent-encoded UTF-8.
    #[error("the form is not percent-encoded UTF-8")]
    Encoding,
}

impl FormError {
    /// A stable name of the check that failed.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::TooLong { .. } => "form_too_long",
            Self::TooManyParameters { .. } => "form_too_many_parameters",
            Self::RepeatedParameter => "form_repeated_parameter",
            Self::Encoding => "form_encoding",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_form_is_read_in_one_way_only() {
        let read = |body: &[u8]| Form::parse(body, 64).map(|form| form.0).map_err(|e| e.code());
        let pairs = |all: &[(&str, &str)]| -> Result<BTreeMap<String, String>, &str> {
            Ok(all.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect())
        };
        assert_eq!(read(b""), pairs(&[]));
        assert_eq!(read(b"a=1&b=&c&&d=x=y&"), pairs(&[("a", "1"), ("b", ""), ("c", ""), ("d", "x=y")]));
        assert_eq!(read(b"a+b=%7B%22%C3%A9%22%7d+%2B"), pairs(&[("a b", "{\"é\"} +")]));
        assert_eq!(read(b"a=1&a=1"), Err("form_repeated_parameter"));
        assert_eq!(read(b"a=1&%61=2"), Err("form_repeated_parameter"));
        assert_eq!(read(b"a=%"), Err("form_encoding"));
        assert_eq!(read(b"a=%4"), Err("form_encoding"));
        assert_eq!(read(b"a=%+1"), Err("form_encoding"));
        assert_eq!(read(b"a=%g0"), Err("form_encoding"));
        assert_eq!(read(b"a=%C3"), Err("form_encoding"));
        assert_eq!(read(b"a=\xff"), Err("form_encoding"));
        assert_eq!(read(b"%FF=a"), Err("form_encoding"));
        assert_eq!(read(&[b'a'; 65]), Err("form_too_long"));
        assert!(read(&[b'a'; 64]).is_ok());
        let many = (0..65).map(|n| format!("p{n}=")).collect::<Vec<_>>().join("&");
        assert_eq!(Form::parse(many.as_bytes(), 4096).err(), Some(FormError::TooManyParameters { max: 64 }));
    }
}
