//! Issuers that are known by their URL and the keys that they publish there (SD-JWT VC, "JWT VC Issuer Metadata").

use serde_json::Value;
use url::{Host, Url};

use super::TrustError;
use crate::{
    limits::Limits,
    protocol::{jose::PublicKey, json},
};

/// Keys in one published set: real ones have a few.
const JWKS_KEYS_MAX: usize = 64;

/// The key of an issuer, or where its keys are.
#[derive(Clone, Debug)]
pub enum MetadataKey {
    /// The key.
    Found(PublicKey),
    /// Fetch this key set, and choose the key with [`jwks_key`].
    Fetch(Url),
}

/// The key that an issuer's metadata document names by `kid`, or where its key set is; `kid` may be missing if there is
/// but one key.
///
/// # Errors
/// If the document is not this issuer's, or names no single key that is accepted.
pub fn metadata_key(iss: &str, document: &[u8], kid: Option<&str>, limits: &Limits) -> Result<MetadataKey, TrustError> {
    let document = json::parse(document, limits.json_depth)?;
    // SD-JWT VC, "JWT VC Issuer Metadata Validation": identical, or one tenant of a host could speak for another.
    if document.get("issuer").and_then(Value::as_str) != Some(iss) {
        return Err(TrustError::MetadataIssuer { expected: iss.to_owned() });
    }
    match (document.get("jwks"), document.get("jwks_uri")) {
        (Some(jwks), None) => key_in(jwks, kid, limits).map(MetadataKey::Found),
        (None, Some(uri)) => {
            let uri = uri.as_str().and_then(|uri| Url::parse(uri).ok());
            let uri = uri.ok_or(TrustError::Metadata("jwks_uri is not a URL"))?;
            // An issuer that was believed at http of this machine may keep its keys there too.
            let near =
                || is_loopback(&uri) && Url::parse(iss).is_ok_and(|iss| iss.scheme() == "http" && is_loopback(&iss));
            match uri.scheme() {
                "https" => Ok(MetadataKey::Fetch(uri)),
                "http" if near() => Ok(MetadataKey::Fetch(uri)),
                _ => Err(TrustError::Metadata("jwks_uri must begin with https://")),
            }
        }
        (Some(_), Some(_)) => Err(TrustError::Metadata("it has both jwks and jwks_uri")),
        (None, None) => Err(TrustError::Metadata("it has neither jwks nor jwks_uri")),
    }
}

/// The key that a fetched key set holds under `kid`, which may be missing if there is but one key.
///
/// # Errors
/// If there is no single such key, or it is not accepted.
pub fn jwks_key(document: &[u8], kid: Option<&str>, limits: &Limits) -> Result<PublicKey, TrustError> {
    key_in(&json::parse(document, limits.json_depth)?, kid, limits)
}

fn key_in(jwks: &Value, kid: Option<&str>, limits: &Limits) -> Result<PublicKey, TrustError> {
    let keys = jwks.get("keys").and_then(Value::as_array).ok_or(TrustError::Metadata("the key set has no keys"))?;
    if keys.len() > JWKS_KEYS_MAX {
        return Err(TrustError::Metadata("the key set has more than 64 keys"));
    }
    if kid.is_some_and(|kid| kid.len() > limits.kid_bytes) {
        return Err(TrustError::KeyNotFound);
    }
    let mut fitting =
        keys.iter().filter(|key| kid.is_none_or(|kid| key.get("kid").and_then(Value::as_str) == Some(kid)));
    let key = fitting.next().ok_or(TrustError::KeyNotFound)?;
    if fitting.next().is_some() {
        return Err(TrustError::KeyAmbiguous);
    }
    PublicKey::from_jwk(key).map_err(TrustError::Key)
}

/// `https://host/path` has its metadata at `https://host/.well-known/jwt-vc-issuer/path` (SD-JWT VC, "JWT VC Issuer
/// Metadata").
pub(super) fn metadata_url(iss: &Url) -> Url {
    let mut url = iss.clone();
    let path = if iss.path() == "/" { "" } else { iss.path() };
    url.set_path(&format!("/.well-known/jwt-vc-issuer{path}"));
    url
}

/// A URL without a path may be written with or without the slash.
pub(super) fn is_called(url: &Url, iss: &str) -> bool {
    let text = url.as_str();
    text == iss || (url.path() == "/" && text.strip_suffix('/') == Some(iss))
}

pub(super) fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(Host::Domain(name)) => name == "localhost",
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        None => false,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::{
        testing::authority::{Authority, Leaf},
        time::UnixTime,
    };

    const NOW: UnixTime = UnixTime::from_secs(1_793_500_000);

    fn limits() -> Limits {
        Limits::default()
    }

    fn jwk(kid: &str) -> Value {
        let (key, _) = Authority::new("any", NOW).issue(&Leaf::new("Issuer", NOW));
        let mut jwk = key.public_key().to_jwk();
        jwk["kid"] = kid.into();
        jwk
    }

    fn found(document: &Value, kid: Option<&str>) -> Result<Value, &'static str> {
        let document = document.to_string();
        match metadata_key("https://issuer.example", document.as_bytes(), kid, &limits()) {
            Ok(MetadataKey::Found(key)) => Ok(key.to_jwk()["x"].clone()),
            Ok(MetadataKey::Fetch(url)) => Ok(url.as_str().into()),
            Err(error) => Err(error.code()),
        }
    }

    #[test]
    fn metadata_names_its_issuer_and_one_key() {
        let (a, b) = (jwk("a"), jwk("b"));
        let of = |keys: Value| json!({ "issuer": "https://issuer.example", "jwks": { "keys": keys } });
        assert_eq!(found(&of(json!([a, b])), Some("b")), Ok(b["x"].clone()));
        assert_eq!(found(&of(json!([a, b])), Some("c")), Err("issuer_key_not_found"));
        assert_eq!(found(&of(json!([a, b])), None), Err("issuer_key_ambiguous"));
        assert_eq!(found(&of(json!([a, a])), Some("a")), Err("issuer_key_ambiguous"));
        assert_eq!(found(&of(json!([a])), None), Ok(a["x"].clone()));
        assert_eq!(found(&of(json!([])), None), Err("issuer_key_not_found"));
        assert_eq!(found(&of(json!([{ "kty": "oct", "k": "AAAA", "kid": "o" }, a])), Some("a")), Ok(a["x"].clone()));
        assert_eq!(found(&of(json!([{ "kty": "oct", "k": "AAAA", "kid": "o" }])), Some("o")), Err("issuer_key"));
        let mut encrypts = a.clone();
        encrypts["use"] = "enc".into();
        assert_eq!(found(&of(json!([encrypts])), None), Err("issuer_key"));
        assert_eq!(found(&of(json!("a")), None), Err("issuer_metadata"));
        assert_eq!(found(&of(json!(vec![a.clone(); 65])), Some("b")), Err("issuer_metadata"));
        let long = "k".repeat(257);
        assert_eq!(found(&of(json!([jwk(&long)])), Some(&long)), Err("issuer_key_not_found"));
        for issuer in [json!("https://issuer.example/"), json!("https://ISSUER.example"), json!(null), json!(7)] {
            let document = json!({ "issuer": issuer, "jwks": { "keys": [a] } });
            assert_eq!(found(&document, None), Err("issuer_metadata_issuer"), "{issuer}");
        }
        assert!(metadata_key("https://issuer.example", b"<html>", None, &limits()).is_err());
    }

    #[test]
    fn a_key_set_elsewhere_is_fetched_by_https() {
        let at = |uri: &str| found(&json!({ "issuer": "https://issuer.example", "jwks_uri": uri }), None);
        assert_eq!(at("https://keys.example/set"), Ok("https://keys.example/set".into()));
        for bad in ["http://keys.example/set", "http://localhost/set", "file:///etc/passwd", "set"] {
            assert_eq!(at(bad), Err("issuer_metadata"), "{bad}");
        }
        let local = json!({ "issuer": "http://localhost:8080", "jwks_uri": "http://localhost:8080/jwks" }).to_string();
        assert!(metadata_key("http://localhost:8080", local.as_bytes(), None, &limits()).is_ok());
        let both =
            json!({ "issuer": "https://issuer.example", "jwks_uri": "https://a.example", "jwks": { "keys": [] } });
        assert_eq!(found(&both, None), Err("issuer_metadata"));
        assert_eq!(found(&json!({ "issuer": "https://issuer.example" }), None), Err("issuer_metadata"));
        let (a, b) = (jwk("a"), jwk("b"));
        let set = json!({ "keys": [a, b] }).to_string();
        assert_eq!(jwks_key(set.as_bytes(), Some("a"), &limits()).unwrap().to_jwk()["x"], a["x"]);
        assert_eq!(jwks_key(set.as_bytes(), None, &limits()).unwrap_err().code(), "issuer_key_ambiguous");
    }
}
