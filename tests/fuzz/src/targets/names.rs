//! Certificates, keys, DIDs and addresses.

use firsthand::{
    fetch::address::{Policy, parse_url},
    keys::KeysFile,
    protocol::{
        did::{Did, DidDocument, MethodKey},
        openid4vp::ClientId,
        x509::{Certificate, verify_path},
    },
};

use super::{LIMITS, NOW, text, value};

/// A certificate is the bytes that it came in, and believes nobody, itself least of all.
pub(super) fn x509(data: &[u8]) {
    let Ok(certificate) = Certificate::from_der(data) else { return };
    assert_eq!(certificate.der(), data);
    for name in certificate.dns_names() {
        assert!(
            name.contains('*') || certificate.has_dns_name(name) || !name.is_ascii() || name.ends_with('.'),
            "{name}"
        );
    }
    let _ = (certificate.subject(), certificate.issuer(), certificate.uris(), certificate.purposes());
    let _ = (certificate.public_key(), certificate.not_before(), certificate.not_after());
    let _ = certificate.is_issued_by(&certificate);
    let chain = [data.to_vec()];
    assert!(verify_path(&chain, &[], NOW, &LIMITS).is_err());
    let _ = verify_path(&chain, &[&certificate], NOW, &LIMITS);
}

/// A file of keys is the same file however often it is written.
pub(super) fn pem(data: &[u8]) {
    let Some(text) = text(data) else { return };
    let _ = Certificate::from_pem(text);
    let Ok(file) = KeysFile::parse(text) else { return };
    let written = file.to_pem();
    let again = KeysFile::parse(&written).expect("what was written");
    assert_eq!(*again.to_pem(), *written);
}

/// A DID is its text; what it says of keys and addresses is the same each time.
pub(super) fn did(data: &[u8]) {
    let Some(text) = text(data) else { return };
    let _ = text.parse::<ClientId>().map(|id| assert_eq!(id.as_str(), text));
    let Ok(did) = Did::parse(text, &LIMITS) else { return };
    assert_eq!(did.as_str(), text);
    assert_eq!(text.split(':').nth(1), Some(did.method()));
    if let Ok(key) = did.public_key() {
        let same = [Did::key(&key), Did::jwk(&key)];
        assert!(same.iter().all(|same| same.public_key().as_ref() == Ok(&key)));
    }
    if let Ok(document) = did.resolve(None, &LIMITS) {
        assert!(document.id() == &did || document.name() == &did, "{did} leads to {}", document.id());
    }
    if let Ok(url) = did.web_url() {
        assert!(url.scheme() == "https" && url.has_host() && url.username().is_empty() && url.password().is_none());
        assert!(url.query().is_none() && url.fragment().is_none(), "{url}");
    }
    if let Ok((log, witnesses)) = did.webvh_urls() {
        for url in [log, witnesses] {
            assert!(url.scheme() == "https" && url.has_host() && url.username().is_empty(), "{url}");
            assert!(url.query().is_none() && url.fragment().is_none(), "{url}");
        }
    }
}

/// The document of a DID, written and read again, has the same methods.
pub(super) fn did_document(data: &[u8]) {
    let Some(document) = value(data) else { return };
    let Ok(document) = DidDocument::from_json(&document, &LIMITS) else { return };
    let again = DidDocument::from_json(&document.to_json(), &LIMITS).expect("what was written");
    assert_eq!(again.id(), document.id());
    // Keys of kinds that nobody here could use are not written.
    let usable = document.methods().iter().filter(|method| *method.key() != MethodKey::Unsupported);
    assert_eq!(again.methods().len(), usable.count());
    for method in document.methods() {
        assert!(!method.fragment().is_empty());
    }
}

/// An address that is fetched is public, https, and has no name and password in it.
pub(super) fn url(data: &[u8]) {
    let Some(text) = text(data) else { return };
    let Ok(url) = parse_url(text, Policy::Public) else { return };
    assert!(url.scheme() == "https" && url.username().is_empty() && url.password().is_none(), "{url}");
    let again = parse_url(url.as_str(), Policy::Public).expect("what was written");
    assert_eq!(again, url);
    if let Some(url::Host::Ipv4(address)) = url.host() {
        assert!(!address.is_loopback() && !address.is_private() && !address.is_link_local(), "{url}");
    }
}
