//! What an authority may certify (RFC 5280 4.2.1.10).
//!
//! A form of name that is constrained and not understood is refused wherever it appears: a constraint that is passed
//! over would let an authority speak for names that its own issuer kept from it.

use x509_cert::{
    attr::AttributeTypeAndValue,
    der::{Tag, Tagged, asn1::Any},
    ext::pkix::{NameConstraints, name::GeneralName},
    name::{Name, RelativeDistinguishedName},
};

/// Whether a constraint says something that can be kept (RFC 5280 4.2.1.10): not nothing, and no distances.
pub(super) fn check_form(constraints: &NameConstraints) -> Result<(), &'static str> {
    let lists = [&constraints.permitted_subtrees, &constraints.excluded_subtrees];
    let subtrees = || lists.iter().filter_map(|list| list.as_ref()).flatten();
    if subtrees().next().is_none() || subtrees().any(|subtree| subtree.minimum != 0 || subtree.maximum.is_some()) {
        return Err("nameConstraints");
    }
    Ok(())
}

/// Whether every name lies inside of every constraint; else the form of the first one that does not.
pub(super) fn hold(
    constraints: &[&NameConstraints],
    subject: &Name,
    alternative_names: &[GeneralName],
) -> Result<(), &'static str> {
    if constraints.is_empty() {
        return Ok(());
    }
    let directory = (!subject.is_empty()).then(|| GeneralName::DirectoryName(subject.clone()));
    // RFC 5280 4.2.1.10: without an alternative name of that form, mail addresses in the subject are constrained too.
    let mail: Vec<GeneralName> = if alternative_names.iter().any(|name| matches!(name, GeneralName::Rfc822Name(_))) {
        Vec::new()
    } else {
        subject.iter().filter(|attribute| attribute.oid == EMAIL_ADDRESS).map(mail_address).collect::<Result<_, _>>()?
    };
    for name in directory.iter().chain(&mail).chain(alternative_names) {
        for constraints in constraints {
            let excluded =
                constraints.excluded_subtrees.iter().flatten().filter(|subtree| same_form(name, &subtree.base));
            for subtree in excluded {
                if within(name, &subtree.base)? {
                    return Err(form(name));
                }
            }
            let mut permitted = constraints
                .permitted_subtrees
                .iter()
                .flatten()
                .filter(|subtree| same_form(name, &subtree.base))
                .peekable();
            // A form that is not mentioned is not constrained.
            if permitted.peek().is_none() {
                continue;
            }
            let mut inside = false;
            for subtree in permitted {
                inside |= within(name, &subtree.base)?;
            }
            if !inside {
                return Err(form(name));
            }
        }
    }
    Ok(())
}

const EMAIL_ADDRESS: x509_cert::der::asn1::ObjectIdentifier =
    x509_cert::der::asn1::ObjectIdentifier::new_unwrap("1.2.840.113549.1.9.1");

fn mail_address(attribute: &AttributeTypeAndValue) -> Result<GeneralName, &'static str> {
    attribute.value.decode_as().map(GeneralName::Rfc822Name).map_err(|_| "mail address")
}

fn same_form(a: &GeneralName, b: &GeneralName) -> bool {
    std::mem::discriminant(a) == std::mem::discriminant(b)
}

const fn form(name: &GeneralName) -> &'static str {
    match name {
        GeneralName::DnsName(_) => "host name",
        GeneralName::UniformResourceIdentifier(_) => "URI",
        GeneralName::DirectoryName(_) => "directory name",
        GeneralName::Rfc822Name(_) => "mail address",
        GeneralName::IpAddress(_) => "network address",
        _ => "name of a form that is not understood",
    }
}

/// Whether `name` lies in the subtree `base` of the same form; an error if nobody can say.
fn within(name: &GeneralName, base: &GeneralName) -> Result<bool, &'static str> {
    match (name, base) {
        (GeneralName::DnsName(name), GeneralName::DnsName(base)) => Ok(host_within(name.as_str(), base.as_str(), true)),
        (GeneralName::UniformResourceIdentifier(uri), GeneralName::UniformResourceIdentifier(base)) => {
            // A URI without a host name cannot be constrained, and is refused where others are.
            let host = host_of(uri.as_str()).ok_or("URI")?;
            Ok(host_within(&host, base.as_str(), false))
        }
        (GeneralName::Rfc822Name(name), GeneralName::Rfc822Name(base)) => {
            let (local, host) = name.as_str().rsplit_once('@').ok_or("mail address")?;
            Ok(match base.as_str().rsplit_once('@') {
                Some((base_local, base_host)) => local == base_local && host.eq_ignore_ascii_case(base_host),
                None => host_within(host, base.as_str(), false),
            })
        }
        (GeneralName::IpAddress(address), GeneralName::IpAddress(base)) => {
            let (address, base) = (address.as_bytes(), base.as_bytes());
            if !matches!(address.len(), 4 | 16) || !matches!(base.len(), 8 | 32) {
                return Err("network address");
            }
            let (network, mask) = base.split_at(base.len() / 2);
            Ok(address.len() == network.len()
                && address.iter().zip(network).zip(mask).all(|((a, n), m)| a & m == n & m))
        }
        (GeneralName::DirectoryName(name), GeneralName::DirectoryName(base)) => Ok(name.len() >= base.len()
            && name.iter_rdn().zip(base.iter_rdn()).all(|(name, base)| same_relative_name(name, base))),
        _ => Err(form(name)),
    }
}

/// A base with a leading dot means the hosts below it. Without one it means that host, and those below it too if
/// `and_below` (as for host names, but not for URIs and mail addresses).
fn host_within(host: &str, base: &str, and_below: bool) -> bool {
    // The root's dot at the end would be another spelling of the same host.
    let host = host.strip_suffix('.').unwrap_or(host).to_ascii_lowercase();
    let base = base.to_ascii_lowercase();
    if let Some(parent) = base.strip_prefix('.') {
        return below(&host, parent);
    }
    if base.is_empty() {
        return true;
    }
    host == base || (and_below && below(&host, &base))
}

fn below(host: &str, parent: &str) -> bool {
    host.strip_suffix(parent).is_some_and(|labels| labels.len() > 1 && labels.ends_with('.'))
}

/// The host name of a URI; nothing if it has none, or an address.
fn host_of(uri: &str) -> Option<String> {
    let (_, rest) = uri.split_once("://")?;
    let authority = rest.split(['/', '?', '#', '\\']).next()?;
    let host = authority.rsplit_once('@').map_or(authority, |(_, host)| host);
    if host.starts_with('[') {
        return None;
    }
    let host = host.split_once(':').map_or(host, |(host, _)| host);
    (!host.is_empty() && host.parse::<std::net::Ipv4Addr>().is_err()).then(|| host.to_owned())
}

fn same_relative_name(a: &RelativeDistinguishedName, b: &RelativeDistinguishedName) -> bool {
    a.len() == b.len() && b.iter().all(|wanted| a.iter().any(|found| same_attribute(found, wanted)))
}

/// RFC 5280 7.1: text is compared without case and extra spaces, in whatever string type it was written; otherwise
/// an excluded name would pass in another spelling.
fn same_attribute(a: &AttributeTypeAndValue, b: &AttributeTypeAndValue) -> bool {
    a.oid == b.oid
        && match (text(&a.value), text(&b.value)) {
            (Some(a), Some(b)) => a == b,
            _ => a.value == b.value,
        }
}

fn text(value: &Any) -> Option<String> {
    let text = match value.tag() {
        Tag::Utf8String | Tag::PrintableString | Tag::Ia5String => std::str::from_utf8(value.value()).ok()?.to_owned(),
        // Latin-1 in practice.
        Tag::TeletexString => value.value().iter().copied().map(char::from).collect(),
        Tag::BmpString => {
            let units = value.value().chunks_exact(2).filter_map(|pair| <[u8; 2]>::try_from(pair).ok());
            String::from_utf16(&units.map(u16::from_be_bytes).collect::<Vec<_>>()).ok()?
        }
        _ => return None,
    };
    Some(text.split_whitespace().collect::<Vec<_>>().join(" ").to_lowercase())
}
