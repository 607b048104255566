//! What a wallet is opened with, and what it reads before it shows anything to a person.

use std::collections::BTreeMap;

use serde_json::{Map, Value};
use url::{Url, form_urlencoded};

use super::{Anchors, WalletError, strings, verifier};
use crate::{
    limits::Limits,
    protocol::{
        claims::numeric_date,
        dcql::Query,
        jose::ContentEncryption,
        openid4vp::{AUDIENCE, ResponseMode},
        x509::Certificate,
    },
    time::UnixTime,
};

/// What a wallet app is opened with: `openid4vp://?client_id=..&request_uri=..[&request_uri_method=post]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Link {
    /// Who says to ask.
    pub client_id: String,
    /// Where the request object is.
    pub request_uri: Url,
    /// Whether the wallet may fetch it by POST, and name a nonce.
    pub post: bool,
}

impl Link {
    /// Reads a link of any scheme.
    ///
    /// # Errors
    /// [`WalletError::Link`] if it is no link to a wallet.
    pub fn parse(link: &str) -> Result<Self, WalletError> {
        let malformed = |what| WalletError::Link { what };
        let url = Url::parse(link).map_err(|_| malformed("it is no URL"))?;
        let mut parameters = BTreeMap::new();
        for (name, value) in url.query_pairs() {
            if parameters.insert(name, value).is_some() {
                return Err(malformed("a parameter is there twice"));
            }
        }
        let of = |name| parameters.get(name).ok_or(malformed("`client_id` or `request_uri` is missing"));
        Ok(Self {
            client_id: of("client_id")?.to_string(),
            request_uri: Url::parse(of("request_uri")?).map_err(|_| malformed("`request_uri` is no URL"))?,
            post: match parameters.get("request_uri_method").map(AsRef::as_ref) {
                None | Some("get") => false,
                Some("post") => true,
                Some(_) => return Err(malformed("`request_uri_method` must be `get` or `post`")),
            },
        })
    }

    /// The form to post to [`request_uri`](Self::request_uri) where [`post`](Self::post) is set: the verifier must sign
    /// the nonce (OpenID4VP, 5.10).
    #[must_use]
    pub fn form(wallet_nonce: &str) -> String {
        form_urlencoded::Serializer::new(String::new()).append_pair("wallet_nonce", wallet_nonce).finish()
    }
}

/// A verified request.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Request {
    /// Who asks.
    pub client_id: String,
    /// The name that they give themselves.
    pub client_name: Option<String>,
    /// Where the answer goes.
    pub response_uri: Url,
    /// How the answer goes there.
    pub response_mode: ResponseMode,
    /// What the holder's proof is made for.
    pub nonce: String,
    /// What the answer brings back.
    pub state: Option<String>,
    /// What is asked for.
    pub query: Query,
    /// What the holder authorises by answering, as it was sent.
    pub transaction_data: Vec<String>,
    /// The key that the answer is encrypted to, and with what.
    pub encryption: Option<(Value, ContentEncryption)>,
    /// The origin that asks, as the browser told it, where the request came by the Digital Credentials API: then the
    /// holder's proof is for that.
    pub origin: Option<String>,
    /// What others say of who asks, as it was sent.
    pub verifier_info: Vec<Value>,
}

impl Request {
    /// Checks a request object like a careful wallet: its signature by the leaf of `x5c`, that the leaf is whom the
    /// client identifier names, everything OpenID4VP says in 5, 8.2 and 8.3. If `anchors` are given, the leaf must lead
    /// to one of them.
    ///
    /// # Errors
    /// The first check that failed.
    pub fn read(
        link: &Link,
        object: &str,
        wallet_nonce: Option<&str>,
        anchors: &[&Certificate],
        now: UnixTime,
        limits: &Limits,
    ) -> Result<Self, WalletError> {
        Self::read_by(link, object, wallet_nonce, &Anchors::roots(anchors), now, limits)
    }

    /// The same for a wallet that believes others than the roots of access certificates.
    ///
    /// # Errors
    /// The first check that failed.
    pub fn read_by(
        link: &Link,
        object: &str,
        wallet_nonce: Option<&str>,
        anchors: &Anchors<'_>,
        now: UnixTime,
        limits: &Limits,
    ) -> Result<Self, WalletError> {
        let claims = verifier::signed(link, object, anchors, now, limits)?;
        let text = |name| claims.get(name).and_then(Value::as_str);
        let demand = |holds: bool, what| if holds { Ok(()) } else { Err(WalletError::Request { what }) };
        demand(text("client_id") == Some(&link.client_id), "`client_id` is not the one of the link")?;
        demand(text("aud") == Some(AUDIENCE), "`aud` must be that of static discovery")?;
        demand(text("wallet_nonce") == wallet_nonce, "`wallet_nonce` is not ours")?;
        demand(!claims.contains_key("request_uri_method"), "a parameter that does not belong there")?;
        // 5.9.3: a host that a certificate names asks for itself.
        let host = text("response_uri").and_then(|uri| Url::parse(uri).ok()?.host_str().map(str::to_owned));
        let named = link.client_id.strip_prefix("x509_san_dns:");
        demand(named.is_none_or(|named| host.as_deref() == Some(named)), "the answer goes to another host")?;
        Self::from_claims(&claims, now, limits)
    }

    /// What OpenID4VP says of every request, whoever it is from (5, 8.2, 8.3).
    pub(super) fn from_claims(
        claims: &Map<String, Value>,
        now: UnixTime,
        limits: &Limits,
    ) -> Result<Self, WalletError> {
        let wrong = |what| WalletError::Request { what };
        let text = |name| claims.get(name).and_then(Value::as_str);
        let demand = |holds: bool, what| if holds { Ok(()) } else { Err(wrong(what)) };

        let response_uri = text("response_uri").and_then(|uri| Url::parse(uri).ok()).ok_or(wrong("`response_uri`"))?;
        let client_id = text("client_id").ok_or(wrong("`client_id` is missing"))?;
        demand(text("response_type") == Some("vp_token"), "`response_type` must be vp_token")?;
        for absent in ["redirect_uri", "scope", "client_id_scheme", "presentation_definition"] {
            demand(!claims.contains_key(absent), "a parameter that does not belong there")?;
        }
        let iat = numeric_date(claims, "iat")?;
        demand(iat.is_none_or(|iat| iat <= now.plus_s(60)), "it is of the future")?;
        demand(numeric_date(claims, "exp")?.is_none_or(|exp| now < exp), "it is over")?;
        let nonce = text("nonce").ok_or(wrong("`nonce` is missing"))?;
        let unreserved = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte);
        demand(nonce.len() >= 22 && nonce.bytes().all(unreserved), "`nonce` is too short or not URL-safe")?;

        let query = Query::parse(claims.get("dcql_query").unwrap_or(&Value::Null), limits)?;
        let unbound = query.credentials.iter().any(|credential| !credential.require_cryptographic_holder_binding);
        demand(text("state").is_some() || !unbound, "`state` is missing")?;
        let metadata = claims.get("client_metadata").unwrap_or(&Value::Null);
        demand(metadata.get("vp_formats_supported").is_some_and(Value::is_object), "`vp_formats_supported`")?;
        let response_mode = match text("response_mode") {
            Some("direct_post") => ResponseMode::DirectPost,
            Some("direct_post.jwt") => ResponseMode::DirectPostJwt,
            _ => return Err(wrong("`response_mode` is not supported")),
        };
        let encryption = match response_mode {
            ResponseMode::DirectPost => None,
            ResponseMode::DirectPostJwt => Some(encryption(metadata).ok_or(wrong("no key to encrypt the answer to"))?),
        };
        Ok(Self {
            client_id: client_id.to_owned(),
            client_name: metadata.get("client_name").and_then(Value::as_str).map(str::to_owned),
            response_uri,
            response_mode,
            nonce: nonce.to_owned(),
            state: text("state").map(str::to_owned),
            query,
            transaction_data: strings(claims.get("transaction_data")),
            encryption,
            origin: None,
            verifier_info: claims.get("verifier_info").and_then(Value::as_array).cloned().unwrap_or_default(),
        })
    }

    /// The form that declines, such as with `access_denied`; in clear also where encryption was asked for (8.3.1).
    #[must_use]
    pub fn error(&self, code: &str) -> String {
        let mut form = form_urlencoded::Serializer::new(String::new());
        form.append_pair("error", code);
        if let Some(state) = &self.state {
            form.append_pair("state", state);
        }
        form.finish()
    }
}

/// Where the wallet must send its user, from the body of a successful answer (8.2).
///
/// # Errors
/// [`WalletError::Outcome`] if the body is no JSON object, or its `redirect_uri` no URL.
pub fn redirect_uri(body: &[u8]) -> Result<Option<Url>, WalletError> {
    let body: Map<String, Value> = serde_json::from_slice(body).map_err(|_| WalletError::Outcome)?;
    match body.get("redirect_uri") {
        None => Ok(None),
        Some(uri) => uri.as_str().and_then(|uri| Url::parse(uri).ok()).map(Some).ok_or(WalletError::Outcome),
    }
}

/// The first key of the metadata that an answer can be encrypted to, and the first offered way of doing so; A128GCM if
/// nothing is offered (OpenID4VP, 5.1).
pub(super) fn encryption(metadata: &Value) -> Option<(Value, ContentEncryption)> {
    let usable = |jwk: &&Value| {
        let is = |member: &str, value: &str| jwk.get(member).and_then(Value::as_str) == Some(value);
        is("crv", "P-256") && is("alg", "ECDH-ES") && is("use", "enc") && jwk.get("kid").is_some()
    };
    let key = metadata.get("jwks")?.get("keys")?.as_array()?.iter().find(usable)?;
    let offered = metadata.get("encrypted_response_enc_values_supported");
    let known = [ContentEncryption::A128Gcm, ContentEncryption::A256Gcm];
    let enc = match offered {
        None => ContentEncryption::A128Gcm,
        Some(offered) => {
            strings(Some(offered)).iter().find_map(|name| known.into_iter().find(|enc| enc.name() == name))?
        }
    };
    Some((key.clone(), enc))
}
