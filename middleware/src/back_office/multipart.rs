//! A form with a file, as browsers send it (RFC 7578): read whole, after its size is bounded.

use http::{HeaderMap, header};

/// The most fields of a form.
const FIELDS_MAX: usize = 16;

/// One field: its name and what is in it.
pub(super) type Field<'a> = (String, &'a [u8]);

/// The fields of a form; `None` if it is none, or not whole.
pub(super) fn fields<'a>(headers: &HeaderMap, body: &'a [u8]) -> Option<Vec<Field<'a>>> {
    let delimiter = format!("--{}", boundary(headers)?);
    let mut rest = after(body, delimiter.as_bytes())?;
    let delimiter = format!("\r\n{delimiter}");
    let mut fields = Vec::new();
    // Behind each delimiter: the end, or a line end and a field.
    while !rest.starts_with(b"--") {
        let field = rest.strip_prefix(b"\r\n")?;
        let end = find(field, delimiter.as_bytes())?;
        let (whole, next) = field.split_at_checked(end)?;
        rest = next.get(delimiter.len()..)?;
        // A field without headers begins with the empty line.
        let head = find(whole, b"\r\n\r\n")?;
        let (head, content) = whole.split_at_checked(head)?;
        if let Some(name) = name(head) {
            fields.push((name, content.get(4..)?));
        }
        if fields.len() > FIELDS_MAX {
            return None;
        }
    }
    Some(fields)
}

fn boundary(headers: &HeaderMap) -> Option<String> {
    let (essence, parameters) = headers.get(header::CONTENT_TYPE)?.to_str().ok()?.split_once(';')?;
    if !essence.trim().eq_ignore_ascii_case("multipart/form-data") {
        return None;
    }
    let value = parameters.split(';').find_map(|one| {
        let (name, value) = one.trim().split_once('=')?;
        name.eq_ignore_ascii_case("boundary").then(|| value.trim_matches('"').to_owned())
    })?;
    // RFC 2046, 5.1.1.
    ((1..=70).contains(&value.len()) && value.bytes().all(|b| b.is_ascii_graphic())).then_some(value)
}

/// The name of a field, by its `Content-Disposition: form-data; name="x"`.
fn name(head: &[u8]) -> Option<String> {
    let head = std::str::from_utf8(head).ok()?;
    let line = head.split("\r\n").find_map(|line| {
        let (name, value) = line.split_once(':')?;
        name.eq_ignore_ascii_case("content-disposition").then_some(value)
    })?;
    let (_, rest) = line.split_once(" name=\"")?;
    Some(rest.split_once('"')?.0.to_owned())
}

fn after<'a>(text: &'a [u8], word: &[u8]) -> Option<&'a [u8]> {
    text.get(find(text, word)? + word.len()..)
}

fn find(text: &[u8], word: &[u8]) -> Option<usize> {
    text.windows(word.len()).position(|window| window == word)
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    fn read(kind: &str, body: &str) -> Option<Vec<(String, String)>> {
        let mut headers = HeaderMap::new();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_str(kind).unwrap());
        let found = fields(&headers, body.as_bytes())?;
        Some(found.into_iter().map(|(name, text)| (name, String::from_utf8(text.to_vec()).unwrap())).collect())
    }

    const KIND: &str = "multipart/form-data; boundary=cut";

    #[test]
    fn a_form_is_read_field_by_field() {
        let body = "--cut\r\nContent-Disposition: form-data; name=\"form\"\r\n\r\ntoken\r\n\
                    --cut\r\ncontent-disposition: form-data; name=\"statement\"; filename=\"a \\\"b.xml\"\r\n\
                    Content-Type: text/xml\r\n\r\n<a>\r\n\r\n--cut, it says\r\n</a>\r\n--cut--\r\n";
        // The delimiter at a line's beginning within a file ends the field: browsers choose one that is not in it.
        assert_eq!(read(KIND, body), None);
        let body = body.replace("--cut, it says", "a cut, it says");
        let expected = [("form", "token"), ("statement", "<a>\r\n\r\na cut, it says\r\n</a>")];
        let expected = expected.map(|(name, text)| (name.to_owned(), text.to_owned()));
        assert_eq!(read(KIND, &body).unwrap(), expected);
        assert_eq!(read("Multipart/Form-Data; charset=utf-8; Boundary=\"cut\"", &body).unwrap(), expected);
        assert_eq!(read(KIND, "--cut--").unwrap(), []);
    }

    #[test]
    fn what_is_not_whole_is_no_form() {
        let whole = "--cut\r\nContent-Disposition: form-data; name=\"form\"\r\n\r\ntoken\r\n--cut--\r\n";
        assert!(read(KIND, whole).is_some());
        for end in 0..whole.len() - 4 {
            assert_eq!(read(KIND, &whole[..end]), None, "{end}");
        }
        for kind in
            ["text/plain", "multipart/form-data", "multipart/form-data; boundary=", "multipart/mixed; boundary=cut"]
        {
            assert_eq!(read(kind, whole), None, "{kind}");
        }
        let many = "--cut\r\nContent-Disposition: form-data; name=\"a\"\r\n\r\n1\r\n".repeat(FIELDS_MAX + 1);
        assert_eq!(read(KIND, &format!("{many}--cut--")), None);
    }
}
