//! What a request is called: in the log, in the header `x-request-id` of its answer, and in a problem, so that a customer who
//! was refused and whoever reads the log speak of the same thing.

use std::{
    net::{IpAddr, SocketAddr},
    sync::Arc,
};

use aws_lc_rs::rand;
use axum::extract::ConnectInfo;
use http::{HeaderName, HeaderValue, request::Parts};
use serde::{Serialize, Serializer};

pub(crate) const X_REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// How requests get their names. Unless said here each gets one of its own: 128 random bits in hexadecimal, which say nothing
/// about anybody and come once.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum RequestIds {
    /// Ours.
    #[default]
    Own,
    /// The one that the shop's own proxy gave, in a header such as `x-request-id`. Believed only if the connection comes from
    /// one of the proxies (serve with `into_make_service_with_connect_info::<SocketAddr>()`), there is one such header, and it
    /// has 8 to 64 characters of `[A-Za-z0-9._-]`; else the request gets one of ours. Let the proxy overwrite what clients send.
    Header {
        /// The header.
        name: HeaderName,
        /// The addresses of the proxies.
        trusted_proxies: Vec<IpAddr>,
    },
}

impl RequestIds {
    /// The name of a request that begins.
    pub(crate) fn of(&self, parts: &Parts) -> RequestId {
        self.given(parts).unwrap_or_else(RequestId::new)
    }

    fn given(&self, parts: &Parts) -> Option<RequestId> {
        let Self::Header { name, trusted_proxies } = self else { return None };
        let peer = parts.extensions.get::<ConnectInfo<SocketAddr>>()?.0.ip().to_canonical();
        if !trusted_proxies.contains(&peer) {
            return None;
        }
        let mut given = parts.headers.get_all(name).iter();
        match (given.next(), given.next()) {
            (Some(one), None) => RequestId::checked(one.to_str().ok()?),
            _ => None,
        }
    }
}

/// The name of one request, which is safe to be written anywhere.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct RequestId(Arc<str>);

impl RequestId {
    /// The shortest and the longest that is taken from a proxy.
    const LENGTH: std::ops::RangeInclusive<usize> = 8..=64;

    pub(crate) fn new() -> Self {
        let mut random = [0_u8; 16];
        // Whoever has no randomness has no keys either: the name is there for people, and nothing rests on it.
        let _ = rand::fill(&mut random);
        Self(format!("{:032x}", u128::from_be_bytes(random)).into())
    }

    fn checked(text: &str) -> Option<Self> {
        let plain = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-');
        (Self::LENGTH.contains(&text.len()) && text.bytes().all(plain)).then(|| Self(text.into()))
    }

    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }

    pub(crate) fn header(&self) -> Option<HeaderValue> {
        HeaderValue::from_str(&self.0).ok()
    }
}

impl Serialize for RequestId {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(from: &RequestIds, peer: &str, given: &[&str]) -> String {
        let mut request = http::Request::new(());
        request.extensions_mut().insert(ConnectInfo(SocketAddr::new(peer.parse().unwrap(), 1)));
        for one in given {
            request.headers_mut().append(X_REQUEST_ID, one.parse().unwrap());
        }
        from.of(&request.into_parts().0).as_str().to_owned()
    }

    #[test]
    fn a_name_is_our_own_or_that_of_our_own_proxy() {
        let from = RequestIds::Header { name: X_REQUEST_ID, trusted_proxies: vec!["10.0.0.1".parse().unwrap()] };
        let good = "0af7651916cd43dd-8448.eb2_11c";
        assert_eq!(of(&from, "10.0.0.1", &[good]), good);
        assert_eq!(of(&from, "::ffff:10.0.0.1", &[good]), good);
        let (long, longer) = ("a".repeat(64), "a".repeat(65));
        assert_eq!(of(&from, "10.0.0.1", &[&long]), long);
        let refused: [&[&str]; 9] = [
            &[],
            &[good, good],
            &["short12"],
            &[&longer],
            &["with space"],
            &["semi;colon"],
            &["line%0abreak"],
            &["\"quoted\"\""],
            &["umlaut\u{e4}\u{e4}\u{e4}"],
        ];
        for given in refused {
            let own = of(&from, "10.0.0.1", given);
            assert!(own.len() == 32 && own.bytes().all(|b| b.is_ascii_hexdigit()), "{given:?}: {own}");
        }
        // A stranger's words, and a program that was never told of a proxy.
        assert_ne!(of(&from, "203.0.113.7", &[good]), good);
        assert_ne!(of(&RequestIds::Own, "10.0.0.1", &[good]), good);
        assert_ne!(of(&RequestIds::Own, "10.0.0.1", &[]), of(&RequestIds::Own, "10.0.0.1", &[]));
    }
}
