//! Who asks: how a wallet is convinced, by each client identifier prefix (OpenID4VP 1.0, 5.9.3).

use std::collections::BTreeMap;

use serde_json::{Map, Value};
use url::Url;

use super::{Link, Request, WalletError};
use crate::{
    limits::Limits,
    protocol::{
        claims::{numeric_date, string},
        did::DidDocument,
        jose::{Jws, PublicKey, base64url_decode},
        json,
        openid4vp::{ClientId, Prefix, RequestObject, VerifierAttestation},
        x509::{Certificate, verify_path},
    },
    time::UnixTime,
};

/// Whom a wallet believes about who asks.
#[derive(Clone, Copy, Debug, Default)]
#[non_exhaustive]
pub struct Anchors<'a> {
    /// The roots of access certificates; none: any chain will do.
    pub roots: &'a [&'a Certificate],
    /// What the DIDs of verifiers resolve to.
    pub did_documents: &'a [DidDocument],
    /// The keys of those who attest verifiers.
    pub attesters: &'a [PublicKey],
}

impl<'a> Anchors<'a> {
    /// These roots.
    #[must_use]
    pub const fn roots(roots: &'a [&'a Certificate]) -> Self {
        Self { roots, did_documents: &[], attesters: &[] }
    }

    /// Also this document of a DID.
    #[must_use]
    pub const fn did_documents(self, did_documents: &'a [DidDocument]) -> Self {
        Self { did_documents, ..self }
    }

    /// Also the attestations of these.
    #[must_use]
    pub const fn attesters(self, attesters: &'a [PublicKey]) -> Self {
        Self { attesters, ..self }
    }
}

impl Request {
    /// Reads a request that stands whole in its link, unsigned: whoever asks is the address that the answer goes to.
    ///
    /// # Errors
    /// The first check that failed.
    pub fn by_value(link: &str, now: UnixTime, limits: &Limits) -> Result<Self, WalletError> {
        let url = Url::parse(link).map_err(|_| WalletError::Link { what: "it is no URL" })?;
        let mut claims = Map::new();
        for (name, value) in url.query_pairs() {
            // 5.1: parameters that are objects or arrays are their JSON.
            let structured = ["dcql_query", "client_metadata", "transaction_data", "verifier_info"];
            let value = match structured.contains(&name.as_ref()) {
                true => json::parse(value.as_bytes(), limits.json_depth)
                    .map_err(|_| WalletError::Link { what: "a parameter is no JSON" })?,
                false => value.into_owned().into(),
            };
            if claims.insert(name.into_owned(), value).is_some() {
                return Err(WalletError::Link { what: "a parameter is there twice" });
            }
        }
        let wrong = |what| WalletError::Request { what };
        for absent in ["request", "request_uri", "request_uri_method", "aud", "iat", "exp", "wallet_nonce"] {
            if claims.contains_key(absent) {
                return Err(wrong("a parameter that does not belong into a request by value"));
            }
        }
        let client_id = claims.get("client_id").and_then(Value::as_str).unwrap_or_default();
        let response_uri = claims.get("response_uri").and_then(Value::as_str).unwrap_or_default();
        if client_id.strip_prefix("redirect_uri:") != Some(response_uri) {
            return Err(wrong("`client_id` is not `redirect_uri:` and the address of the answer"));
        }
        Self::from_claims(&claims, now, limits)
    }
}

/// The claims of a request object that whoever the link names has signed.
pub(super) fn signed(
    link: &Link,
    object: &str,
    anchors: &Anchors<'_>,
    now: UnixTime,
    limits: &Limits,
) -> Result<Map<String, Value>, WalletError> {
    let wrong = |what| WalletError::Request { what };
    let client_id: ClientId = link.client_id.parse().map_err(|_| wrong("`client_id` is of no known kind"))?;
    let jws = Jws::parse(object, limits)?;
    let header = jws.header();
    let id = client_id.as_str().split_once(':').map_or("", |(_, id)| id);
    let key = match client_id.prefix() {
        Prefix::X509Hash | Prefix::X509SanDns => {
            let chain = header.x5c.clone().unwrap_or_default();
            let leaf = Certificate::from_der(chain.first().ok_or(wrong("`x5c` is missing"))?)?;
            // HAIP 1.0, 5: not self-signed, and the anchor not in the chain.
            if leaf.is_self_signed() {
                return Err(wrong("the access certificate is self-signed"));
            }
            if !anchors.roots.is_empty() {
                verify_path(&chain, anchors.roots, now, limits)?;
            }
            let by_hash = client_id == ClientId::x509_hash(leaf.der());
            let by_name = client_id.prefix() == Prefix::X509SanDns && leaf.dns_names().iter().any(|name| name == id);
            if !(by_hash || by_name) {
                return Err(wrong("`client_id` is not that of the certificate"));
            }
            leaf.public_key()?
        }
        Prefix::DecentralizedIdentifier => {
            let document = anchors.did_documents.iter().find(|document| document.id().as_str() == id);
            let document = document.ok_or(wrong("the DID does not resolve"))?;
            let kid = header.kid.as_deref().ok_or(wrong("`kid` is missing"))?;
            let fragment = kid.strip_prefix(id).and_then(|rest| rest.strip_prefix('#'));
            let method = document.methods().iter().find(|method| Some(method.fragment()) == fragment);
            match method.map(|method| method.key()) {
                Some(crate::protocol::did::MethodKey::Signing(key)) => key.clone(),
                _ => return Err(wrong("`kid` names no key of the DID that signs")),
            }
        }
        Prefix::VerifierAttestation => {
            let header = object.split('.').next().unwrap_or_default();
            let header = json::parse(&base64url_decode(header)?, limits.json_depth).unwrap_or_default();
            let jwt = header.get("jwt").and_then(Value::as_str).ok_or(wrong("`jwt` is missing"))?;
            attested(jwt, id, anchors, now, limits)?
        }
        Prefix::RedirectUri => return Err(wrong("nobody can sign for a `redirect_uri:`")),
    };
    Ok(jws.verify(&key, &[RequestObject::TYP])?)
}

/// The key that an attestation gives to `sub` (section 12).
fn attested(
    jwt: &str,
    sub: &str,
    anchors: &Anchors<'_>,
    now: UnixTime,
    limits: &Limits,
) -> Result<PublicKey, WalletError> {
    let wrong = |what| WalletError::Request { what };
    let verified = |key: &PublicKey| Jws::parse(jwt, limits).ok()?.verify(key, &[VerifierAttestation::TYP]).ok();
    let claims = anchors.attesters.iter().find_map(verified).ok_or(wrong("nobody known attests the verifier"))?;
    if string(&claims, "sub")? != Some(sub) {
        return Err(wrong("the attestation is for another verifier"));
    }
    if numeric_date(&claims, "exp")?.is_none_or(|exp| exp <= now) {
        return Err(wrong("the attestation is over"));
    }
    let jwk = claims.get("cnf").and_then(|cnf| cnf.get("jwk")).ok_or(wrong("the attestation has no key"))?;
    Ok(PublicKey::from_jwk(jwk)?)
}

/// The form by which a wallet fetches its request encrypted to this key, a JWK (OpenID4VP 1.0, 5.10).
#[must_use]
pub fn encrypting_form(wallet_nonce: &str, jwk: &Value, enc: &str) -> String {
    let metadata = BTreeMap::from([
        ("jwks", serde_json::json!({ "keys": [jwk] })),
        ("request_object_encryption_alg_values_supported", serde_json::json!(["ECDH-ES"])),
        ("request_object_encryption_enc_values_supported", serde_json::json!([enc])),
    ]);
    let metadata = serde_json::json!(metadata).to_string();
    let mut form = url::form_urlencoded::Serializer::new(String::new());
    form.append_pair("wallet_nonce", wallet_nonce).append_pair("wallet_metadata", &metadata).finish()
}
