//! Which addresses the library connects to: the rules against server-side request forgery, with no I/O.
//!
//! The text of a URL is judged by [`parse_url`], what it names by [`check_url`], and what its name resolves to by
//! [`is_public`]. A fetch passes all three, and so does each target of a redirect (SD-JWT VC, "Server-Side Request
//! Forgery").

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use url::{Host, Url};

use crate::fetch::FetchError;

/// The longest URL that is fetched, in bytes. Two kilobytes hold every status list and metadata URL seen so far.
pub const URL_BYTES_MAX: usize = 2048;

/// Where a fetch may go.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Policy {
    /// `https` to the public internet.
    #[default]
    Public,
    /// Also `http` and `https` to this machine, by a loopback address or by the name `localhost`. For development.
    PublicOrLoopback,
}

/// Reads a URL that somebody else wrote, and checks it with [`check_url`].
///
/// Stricter than the URL standard, which silently repairs: it drops line breaks and tabs, and reads a backslash or a
/// missing slash as if it were right. Two readers that repair differently connect to different servers.
///
/// # Errors
/// [`FetchError::Refused`] with the rule that the URL breaks.
pub fn parse_url(text: &str, policy: Policy) -> Result<Url, FetchError> {
    if text.len() > URL_BYTES_MAX {
        return refused("the url is longer than 2048 bytes");
    }
    if text.chars().any(|c| c.is_control() || c.is_whitespace() || c == '\\') {
        return refused("the url holds a control character, a space or a backslash");
    }
    let Some((_, rest)) = text.split_once("://") else {
        return refused("the url is not absolute");
    };
    let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
    if authority.is_empty() {
        return refused("the url names no host");
    }
    if authority.contains('@') {
        return refused(USERINFO);
    }
    let Ok(url) = Url::parse(text) else {
        return refused("the url is malformed");
    };
    check_url(&url, policy)?;
    Ok(url)
}

/// Checks everything about a URL that can be known without asking the DNS.
///
/// Under [`Policy::Public`] that is: `https`; no user name, password or fragment; port 443, or one from 1024 on that no
/// other protocol is known by; a host that is a public address in any spelling, or a name of two labels or more that
/// is not reserved for private use.
///
/// # Errors
/// [`FetchError::Refused`] with the rule that the URL breaks.
pub fn check_url(url: &Url, policy: Policy) -> Result<(), FetchError> {
    if url.as_str().len() > URL_BYTES_MAX {
        return refused("the url is longer than 2048 bytes");
    }
    if !url.username().is_empty() || url.password().is_some() {
        // `https://issuer.example@evil.example/` reads like the one and goes to the other.
        return refused(USERINFO);
    }
    if url.fragment().is_some() {
        return refused("the url has a fragment, which is never sent to a server");
    }
    if policy == Policy::PublicOrLoopback && is_loopback(url) {
        return match url.scheme() {
            "http" | "https" => Ok(()),
            _ => refused("the scheme is neither https nor http"),
        };
    }
    if url.scheme() != "https" {
        return refused("the scheme is not https");
    }
    match url.port() {
        None => {}
        Some(port) if port < 1024 => return refused("the port belongs to another protocol than https"),
        Some(port) if OTHER_PROTOCOLS.binary_search(&port).is_ok() => {
            return refused("the port belongs to another protocol than https");
        }
        Some(_) => {}
    }
    match url.host() {
        None => refused("the url names no host"),
        Some(Host::Ipv4(ip)) if is_public_v4(ip) => Ok(()),
        Some(Host::Ipv6(ip)) if is_public_v6(ip) => Ok(()),
        Some(Host::Ipv4(_) | Host::Ipv6(_)) => refused(NOT_PUBLIC),
        Some(Host::Domain(name)) => check_name(name),
    }
}

/// Whether this URL goes to this machine, by a loopback address or by the name `localhost`.
#[must_use]
pub fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(Host::Ipv4(ip)) => ip.is_loopback(),
        Some(Host::Ipv6(ip)) => ip.is_loopback(),
        Some(Host::Domain(name)) => name == "localhost",
        None => false,
    }
}

/// Whether this address is one of the public internet, where somebody else's server may stand.
///
/// That is the column "Globally Reachable" of the IANA special-purpose address registries (RFC 6890), read narrowly:
/// what the registries leave open is not public, and an IPv6 address that carries an IPv4 address is public only if
/// that one is.
#[must_use]
pub fn is_public(ip: IpAddr) -> bool {
    match ip {
        IpAddr::V4(ip) => is_public_v4(ip),
        IpAddr::V6(ip) => is_public_v6(ip),
    }
}

pub(crate) const NOT_PUBLIC: &str = "the address is not on the public internet";
const USERINFO: &str = "the url holds a user name or a password";

/// Ports from 1024 on that are known by another protocol, in order: those that a browser refuses too (Fetch standard,
/// "bad port"), and the databases and control ports found beside web servers. A TLS greeting is harmless to most of
/// them; none is where an issuer publishes.
const OTHER_PROTOCOLS: &[u16] = &[
    1719, 1720, 1723, 2049, 2375, 2376, 2379, 2380, 3306, 3389, 3659, 4045, 4190, 5060, 5061, 5432, 5672, 5900, 6000,
    6379, 6443, 6566, 6665, 6666, 6667, 6668, 6669, 6679, 6697, 9042, 9092, 9200, 9300, 10080, 10250, 11211, 27017,
];

/// Names, and the ends of names, that never lead to a server on the public internet: RFC 6761 and 6762, `internal`
/// (ICANN, 2024), `home.arpa` (RFC 8375), `onion` (RFC 7686), `alt` (RFC 9476), and those that private networks use
/// although nobody reserved them.
const PRIVATE_NAMES: &[&str] = &[
    "alt",
    "arpa",
    "corp",
    "home",
    "internal",
    "intranet",
    "invalid",
    "lan",
    "local",
    "localdomain",
    "localhost",
    "onion",
    "private",
    "test",
];

fn check_name(name: &str) -> Result<(), FetchError> {
    // One dot at the end says that a name is complete; it names the same host.
    let name = name.strip_suffix('.').unwrap_or(name);
    if name.len() > 253 || name.split('.').any(|label| !is_label(label)) {
        return refused("the host is not a name of the DNS");
    }
    let Some((_, top)) = name.rsplit_once('.') else {
        return refused("the host is a name of one label, which only a private network knows");
    };
    if PRIVATE_NAMES.contains(&top) {
        return refused("the host is a name of a private network");
    }
    Ok(())
}

fn is_label(label: &str) -> bool {
    let inner = |c: u8| c.is_ascii_lowercase() || c.is_ascii_digit() || c == b'-' || c == b'_';
    (1..=63).contains(&label.len())
        && label.bytes().all(inner)
        && !label.starts_with('-')
        && !label.ends_with('-')
        && label != "xn--"
}

/// IANA IPv4 Special-Purpose Address Registry: what is not globally reachable. Multicast and class E are not in the
/// registry, and nobody's server either.
const NOT_PUBLIC_V4: &[(Ipv4Addr, u32)] = &[
    (Ipv4Addr::new(0, 0, 0, 0), 8),       // this network
    (Ipv4Addr::new(10, 0, 0, 0), 8),      // private use
    (Ipv4Addr::new(100, 64, 0, 0), 10),   // shared by carriers
    (Ipv4Addr::new(127, 0, 0, 0), 8),     // loopback
    (Ipv4Addr::new(169, 254, 0, 0), 16),  // link local, and the metadata service of every cloud
    (Ipv4Addr::new(172, 16, 0, 0), 12),   // private use
    (Ipv4Addr::new(192, 0, 0, 0), 24),    // protocol assignments
    (Ipv4Addr::new(192, 0, 2, 0), 24),    // documentation
    (Ipv4Addr::new(192, 88, 99, 0), 24),  // relays of 6to4, deprecated
    (Ipv4Addr::new(192, 168, 0, 0), 16),  // private use
    (Ipv4Addr::new(198, 18, 0, 0), 15),   // benchmarks
    (Ipv4Addr::new(198, 51, 100, 0), 24), // documentation
    (Ipv4Addr::new(203, 0, 113, 0), 24),  // documentation
    (Ipv4Addr::new(224, 0, 0, 0), 4),     // multicast
    (Ipv4Addr::new(240, 0, 0, 0), 4),     // reserved, broadcast
];

/// Within the ranges above, what the registry says is globally reachable: the anycast addresses of PCP and TURN.
const PUBLIC_V4: &[(Ipv4Addr, u32)] = &[(Ipv4Addr::new(192, 0, 0, 9), 32), (Ipv4Addr::new(192, 0, 0, 10), 32)];

/// IANA IPv6 Special-Purpose Address Registry, for `2000::/3`: what is not globally reachable.
const NOT_PUBLIC_V6: &[(Ipv6Addr, u32)] = &[
    (Ipv6Addr::new(0x2001, 0, 0, 0, 0, 0, 0, 0), 23), // protocol assignments, with Teredo (2001::/32)
    (Ipv6Addr::new(0x2001, 0x0db8, 0, 0, 0, 0, 0, 0), 32), // documentation
    (Ipv6Addr::new(0x2002, 0, 0, 0, 0, 0, 0, 0), 16), // 6to4: leads to the IPv4 address inside
    (Ipv6Addr::new(0x3fff, 0, 0, 0, 0, 0, 0, 0), 20), // documentation
];

/// Within the ranges above, what the registry says is globally reachable.
const PUBLIC_V6: &[(Ipv6Addr, u32)] = &[
    (Ipv6Addr::new(0x2001, 1, 0, 0, 0, 0, 0, 1), 128),     // PCP anycast
    (Ipv6Addr::new(0x2001, 1, 0, 0, 0, 0, 0, 2), 128),     // TURN anycast
    (Ipv6Addr::new(0x2001, 1, 0, 0, 0, 0, 0, 3), 128),     // DNS-SD anycast
    (Ipv6Addr::new(0x2001, 3, 0, 0, 0, 0, 0, 0), 32),      // AMT
    (Ipv6Addr::new(0x2001, 4, 0x0112, 0, 0, 0, 0, 0), 48), // AS112
    (Ipv6Addr::new(0x2001, 0x20, 0, 0, 0, 0, 0, 0), 28),   // ORCHIDv2
    (Ipv6Addr::new(0x2001, 0x30, 0, 0, 0, 0, 0, 0), 28),   // drones
];

fn is_public_v4(ip: Ipv4Addr) -> bool {
    let within = |ranges: &[(Ipv4Addr, u32)]| {
        ranges.iter().any(|&(range, bits)| (ip.to_bits() ^ range.to_bits()).leading_zeros() >= bits)
    };
    !within(NOT_PUBLIC_V4) || within(PUBLIC_V4)
}

fn is_public_v6(ip: Ipv6Addr) -> bool {
    // `::ffff:0:0/96`: the system connects to the IPv4 address.
    if let Some(ip) = ip.to_ipv4_mapped() {
        return is_public_v4(ip);
    }
    // `64:ff9b::/96`: a NAT64 gateway connects to the IPv4 address (RFC 6052), which in a network with IPv6 alone is
    // how every IPv4 server is reached. Its local form `64:ff9b:1::/48` (RFC 8215) falls to the rule below.
    if let [0x64, 0xff9b, 0, 0, 0, 0, high, low] = ip.segments() {
        return is_public_v4(Ipv4Addr::from_bits(u32::from(high) << 16 | u32::from(low)));
    }
    let within = |ranges: &[(Ipv6Addr, u32)]| {
        ranges.iter().any(|&(range, bits)| (ip.to_bits() ^ range.to_bits()).leading_zeros() >= bits)
    };
    // Nothing is allocated outside `2000::/3` but loopback, local and multicast addresses.
    ip.to_bits() >> 125 == 0b001 && (!within(NOT_PUBLIC_V6) || within(PUBLIC_V6))
}

fn refused<T>(reason: &'static str) -> Result<T, FetchError> {
    Err(FetchError::Refused { reason })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn allows(text: &str) -> bool {
        parse_url(text, Policy::Public).is_ok()
    }

    #[test]
    fn https_to_a_public_name_or_address() {
        assert!(allows("https://issuer.example/.well-known/jwt-vc-issuer"));
        assert!(allows("https://issuer.example./a?b=c"));
        assert!(allows("https://issuer.example:443/"));
        assert!(allows("https://issuer.example:8443/"));
        assert!(allows("https://9.9.9.9/"));
        assert!(allows("https://[2620:fe::fe]/"));
        assert!(allows("HTTPS://bücher.example/"));
    }

    #[test]
    fn the_same_with_one_thing_wrong() {
        for text in [
            "http://issuer.example/",
            "https:issuer.example/",
            "https:/issuer.example/",
            "https:///issuer.example/",
            "https://issuer.example/\n",
            "https://issuer\t.example/",
            " https://issuer.example/",
            "https://issuer.example\\@evil.example/",
            "https://@issuer.example/",
            "https://:@issuer.example/",
            "https://a:b@issuer.example/",
            "https://issuer.example/#keys",
            "https://issuer.example/#",
            "https://issuer.example:80/",
            "https://issuer.example:6379/",
            "https://issuer.example:65536/",
            "https://issuer/",
            "https://issuer..example/",
            "https://.issuer.example/",
            "https://issuer.example../",
            "https://-issuer.example/",
            "https://issuer.localhost/",
            "https://metadata.google.internal/",
            "https://printer.home.arpa/",
            "https://9.9.9.256/",
            "https://0x7f000001/",
            "https://0177.0.0.1/",
            "https://127.0.0.1./",
            "https://[::ffff:127.0.0.1]/",
            "https://[::127.0.0.1]/",
            "https://[2002:7f00:1::]/",
            "https://[fe80::1%25eth0]/",
            "file:///etc/passwd",
            "data:,x",
            "",
        ] {
            assert!(!allows(text), "{text}");
        }
        assert!(!allows(&format!("https://issuer.example/{}", "a".repeat(URL_BYTES_MAX))));
        assert!(!allows(&format!("https://{}.example/", "a".repeat(64))));
    }

    #[test]
    fn loopback_is_for_development_and_nothing_else_is_loosened() {
        let in_development = |text| parse_url(text, Policy::PublicOrLoopback).is_ok();
        for text in ["http://localhost:8080/a", "http://127.0.0.1:1/", "https://[::1]/", "http://127.1/"] {
            assert!(in_development(text), "{text}");
            assert!(!allows(text), "{text}");
        }
        assert!(in_development("https://issuer.example/"));
        for text in [
            "http://issuer.example/",
            "http://shop.localhost/",
            "http://10.0.0.1/",
            "http://0.0.0.0/",
            "http://[::ffff:127.0.0.1]/",
            "ftp://localhost/",
            "http://a@localhost/",
            "http://localhost/#a",
        ] {
            assert!(!in_development(text), "{text}");
        }
    }

    #[test]
    fn every_special_range_ends_where_the_registry_says() {
        let public = |text: &str| is_public(text.parse().unwrap());
        for (ip, expected) in [
            ("0.255.255.255", false),
            ("1.0.0.0", true),
            ("9.255.255.255", true),
            ("11.0.0.0", true),
            ("100.63.255.255", true),
            ("100.64.0.0", false),
            ("100.127.255.255", false),
            ("126.255.255.255", true),
            ("128.0.0.0", true),
            ("169.253.255.255", true),
            ("169.255.0.0", true),
            ("172.15.255.255", true),
            ("172.31.255.255", false),
            ("192.0.0.8", false),
            ("192.0.0.9", true),
            ("192.0.0.11", false),
            ("192.0.1.0", true),
            ("192.0.3.0", true),
            ("198.17.255.255", true),
            ("198.19.255.255", false),
            ("198.20.0.0", true),
            ("223.255.255.255", true),
            ("224.0.0.1", false),
            ("255.255.255.255", false),
            ("::ffff:8.8.8.8", true),
            ("::ffff:127.0.0.1", false),
            ("::8.8.8.8", false),
            ("64:ff9b::808:808", true),
            ("64:ff9b::a9fe:a9fe", false),
            ("64:ff9b:1::808:808", false),
            ("1fff:ffff::", false),
            ("2000::", true),
            ("2001::1", false),
            ("2001:1ff:ffff::", false),
            ("2001:200::", true),
            ("2001:20::1", true),
            ("2001:db8:ffff::", false),
            ("2001:db9::", true),
            ("2002:808:808::", false),
            ("3ffe::", true),
            ("3fff:fff::", false),
            ("3fff:1000::", true),
            ("4000::", false),
            ("5f00::1", false),
            ("fec0::1", false),
            ("fe80::1", false),
            ("ff0e::1", false),
        ] {
            assert_eq!(public(ip), expected, "{ip}");
        }
    }

    #[test]
    fn the_ports_are_in_order() {
        assert!(OTHER_PROTOCOLS.is_sorted());
    }
}
