//! Which address a client has: only as configured, never as a stranger says.

use std::net::{IpAddr, SocketAddr};

use axum::extract::ConnectInfo;
use http::{HeaderName, request::Parts};

/// How the address of a client is known. It is used for limits alone, and kept nowhere.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum ClientAddress {
    /// It is not.
    #[default]
    None,
    /// The other end of the connection: serve with `into_make_service_with_connect_info::<SocketAddr>()`.
    Socket,
    /// A header that the shop's own proxy sets, such as `x-forwarded-for`. Believed only if the connection comes from
    /// one of the proxies; of several addresses the last that is no proxy counts, since all before it are anybody's
    /// words.
    Header {
        /// The header.
        name: HeaderName,
        /// The addresses of the proxies.
        trusted_proxies: Vec<IpAddr>,
    },
}

impl ClientAddress {
    pub(crate) fn of(&self, parts: &Parts) -> Option<IpAddr> {
        let socket = || parts.extensions.get::<ConnectInfo<SocketAddr>>().map(|info| info.0.ip().to_canonical());
        match self {
            Self::None => None,
            Self::Socket => socket(),
            Self::Header { name, trusted_proxies } => {
                let peer = socket()?;
                if !trusted_proxies.contains(&peer) {
                    return Some(peer);
                }
                let lines: Vec<&str> = parts.headers.get_all(name).iter().filter_map(|v| v.to_str().ok()).collect();
                let mut hops =
                    lines.iter().flat_map(|line| line.split(',')).rev().map(|hop| hop.trim().parse::<IpAddr>());
                // A hop that is no address ends what can be believed.
                let client =
                    hops.find(|hop| !hop.as_ref().is_ok_and(|hop| trusted_proxies.contains(&hop.to_canonical())));
                Some(client.and_then(Result::ok).map_or(peer, |address| address.to_canonical()))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seen(from: &ClientAddress, peer: &str, forwarded: &[&str]) -> Option<String> {
        let mut request = http::Request::new(());
        request.extensions_mut().insert(ConnectInfo(SocketAddr::new(peer.parse().unwrap(), 1)));
        for line in forwarded {
            request.headers_mut().append("x-forwarded-for", line.parse().unwrap());
        }
        from.of(&request.into_parts().0).map(|address| address.to_string())
    }

    #[test]
    fn only_the_shops_own_proxies_are_believed() {
        let from = ClientAddress::Header {
            name: HeaderName::from_static("x-forwarded-for"),
            trusted_proxies: vec!["10.0.0.1".parse().unwrap(), "10.0.0.2".parse().unwrap()],
        };
        let check = |peer, forwarded: &[&str], expected: &str| {
            assert_eq!(seen(&from, peer, forwarded).as_deref(), Some(expected), "{peer} {forwarded:?}");
        };
        check("10.0.0.1", &["203.0.113.9"], "203.0.113.9");
        check("10.0.0.1", &["198.51.100.1, 203.0.113.9, 10.0.0.2"], "203.0.113.9");
        check("10.0.0.1", &["198.51.100.1", "203.0.113.9"], "203.0.113.9");
        check("203.0.113.7", &["198.51.100.1"], "203.0.113.7");
        check("10.0.0.1", &["198.51.100.1, nonsense"], "10.0.0.1");
        check("10.0.0.1", &[], "10.0.0.1");
        assert_eq!(seen(&ClientAddress::None, "203.0.113.7", &["1.1.1.1"]), None);
        assert_eq!(seen(&ClientAddress::Socket, "203.0.113.7", &["1.1.1.1"]).as_deref(), Some("203.0.113.7"));
    }
}
