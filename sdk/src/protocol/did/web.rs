//! DIDs whose documents lie on a web server: did:web, and the log of a did:webvh. Where, and nothing more: nobody is
//! asked here, and whoever asks checks the address again.

use url::{Host, Url};

use super::{Did, DidError};

impl Did {
    /// Where the document of a did:web lies: `/.well-known/did.json` of its host, or `did.json` below its path (did:web
    /// section 3.2, "Read").
    ///
    /// # Errors
    /// [`DidError::UnsupportedMethod`] for another method, [`DidError::Address`] if the DID leads nowhere, or to an IP
    /// address.
    pub fn web_url(&self) -> Result<Url, DidError> {
        match self.parts() {
            ("web", id) => address(id, "did.json"),
            _ => Err(DidError::UnsupportedMethod),
        }
    }

    /// Where the log of a did:webvh lies, and beside it what its witnesses signed (did:webvh 1.0, "The DID to HTTPS
    /// Transformation"): as for did:web, behind the SCID.
    ///
    /// # Errors
    /// As [`web_url`](Self::web_url).
    pub fn webvh_urls(&self) -> Result<(Url, Url), DidError> {
        let ("webvh", id) = self.parts() else { return Err(DidError::UnsupportedMethod) };
        let (_, id) = id.split_once(':').ok_or(DidError::Address("it has no host behind its SCID"))?;
        Ok((address(id, "did.jsonl")?, address(id, "did-witness.json")?))
    }
}

/// `host[%3Aport][:path..]` as an address. An escape is the same in upper and lower case (RFC 3986 section 6.2.2.1).
fn address(id: &str, file: &str) -> Result<Url, DidError> {
    let refuse = DidError::Address;
    let mut parts = id.split(':');
    let host = parts.next().unwrap_or_default();
    let (name, port) = match host.split_once('%') {
        Some((name, rest)) => {
            let port = rest.strip_prefix("3A").or_else(|| rest.strip_prefix("3a"));
            (name, Some(port.ok_or(refuse("its host has an escape that is no colon"))?))
        }
        None => (host, None),
    };
    if name.is_empty() {
        return Err(refuse("it has no host"));
    }
    let plain = |port: &str| !port.starts_with('0') && port.bytes().all(|digit| digit.is_ascii_digit());
    let port = match port {
        Some(port) if plain(port) && port.parse::<u16>().is_ok() => format!(":{port}"),
        Some(_) => return Err(refuse("its port is none")),
        None => String::new(),
    };
    let mut path = String::new();
    for segment in parts {
        if !is_segment(segment) {
            return Err(refuse("its path leads elsewhere"));
        }
        path.push('/');
        path.push_str(segment);
    }
    if path.is_empty() {
        path.push_str("/.well-known");
    }
    path = format!("{path}/{file}");
    let url = Url::parse(&format!("https://{name}{port}{path}")).map_err(|_| refuse("its host is no name"))?;
    // did:web section 3.1: no IP addresses, in any spelling. What the reader of the URL made of it is what stood there.
    match url.host() {
        Some(Host::Domain(host)) if host.eq_ignore_ascii_case(name) && url.path() == path => Ok(url),
        _ => Err(refuse("its host is no name")),
    }
}

/// Whether a part of the path names something below it, also once its escapes are read.
fn is_segment(segment: &str) -> bool {
    let mut decoded = Vec::with_capacity(segment.len());
    let mut rest = segment.bytes();
    while let Some(byte) = rest.next() {
        decoded.push(match byte {
            b'%' => {
                let mut digit = || rest.next().and_then(|digit| char::from(digit).to_digit(16));
                let (high, low) = (digit(), digit());
                high.zip(low).and_then(|(high, low)| u8::try_from(high * 16 + low).ok()).unwrap_or_default()
            }
            other => other,
        });
    }
    let separates = |byte: &u8| matches!(byte, b'/' | b'\\' | b'?' | b'#' | b'%' | b';') || byte.is_ascii_control();
    !matches!(decoded.as_slice(), b"" | b"." | b"..") && !decoded.iter().any(separates)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::limits::Limits;

    fn url(text: &str) -> Result<String, DidError> {
        let did = Did::parse(text, &Limits::default())?;
        if did.method() == "webvh" {
            did.webvh_urls().map(|(log, _)| log.into())
        } else {
            did.web_url().map(Into::into)
        }
    }

    #[test]
    fn a_did_leads_to_its_document() {
        for (did, expected) in [
            ("did:web:issuer.example", "https://issuer.example/.well-known/did.json"),
            ("did:web:issuer.example%3A3000", "https://issuer.example:3000/.well-known/did.json"),
            ("did:web:issuer.example%3a3000", "https://issuer.example:3000/.well-known/did.json"),
            ("did:web:issuer.example%3A443:a", "https://issuer.example/a/did.json"),
            ("did:web:Issuer.Example", "https://issuer.example/.well-known/did.json"),
            ("did:web:issuer.example:user:Alice", "https://issuer.example/user/Alice/did.json"),
            ("did:web:issuer.example:caf%C3%A9:%c3%a9", "https://issuer.example/caf%C3%A9/%c3%a9/did.json"),
            ("did:webvh:QmS:issuer.example", "https://issuer.example/.well-known/did.jsonl"),
            ("did:webvh:QmS:issuer.example%3A8443:dids:x", "https://issuer.example:8443/dids/x/did.jsonl"),
        ] {
            assert_eq!(url(did).as_deref(), Ok(expected), "{did}");
        }
        let (_, witness) = "did:webvh:QmS:issuer.example:x".parse::<Did>().unwrap().webvh_urls().unwrap();
        assert_eq!(witness.as_str(), "https://issuer.example/x/did-witness.json");
    }

    #[test]
    fn a_did_that_leads_elsewhere_is_refused() {
        for did in [
            "did:web:127.0.0.1",
            "did:web:0x7f000001",
            "did:web:2130706433",
            "did:web:127.1%3A80",
            "did:web:%5B%3A%3A1%5D",
            "did:web:issuer.example%3A",
            "did:web:issuer.example%3A0",
            "did:web:issuer.example%3A080",
            "did:web:issuer.example%3A99999",
            "did:web:issuer.example%3A80%3A80",
            "did:web:issuer.example%2Fa",
            "did:web:issuer.example%00.evil.example",
            "did:web:user%40issuer.example",
            "did:web:iss%75er.example",
            "did:web::a",
            "did:web:issuer.example::a",
            "did:web:issuer.example:.:a",
            "did:web:issuer.example:..:a",
            "did:web:issuer.example:%2E%2e:a",
            "did:web:issuer.example:a%2Fb",
            "did:web:issuer.example:a%5cb",
            "did:web:issuer.example:a%3Fb",
            "did:web:issuer.example:a%23b",
            "did:web:issuer.example:a%25b",
            "did:web:issuer.example:a%0Ab",
            "did:webvh:QmS",
            "did:webvh:QmS:127.0.0.1",
            "did:webvh:QmS:issuer.example:..",
        ] {
            assert!(matches!(url(did), Err(DidError::Address(_))), "{did}: {:?}", url(did));
        }
        assert_eq!("did:key:z6Mk".parse::<Did>().unwrap().web_url(), Err(DidError::UnsupportedMethod));
        assert_eq!("did:web:x.example".parse::<Did>().unwrap().webvh_urls(), Err(DidError::UnsupportedMethod));
    }
}
