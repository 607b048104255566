//! The same wallet behind the Digital Credentials API of a browser (OpenID4VP 1.0, annex A).

use serde_json::{Map, Value, json};
use url::{Url, form_urlencoded};

use super::{Choice, Fault, Request, Wallet, WalletError, request::encryption, strings};
use crate::{
    env::Env,
    limits::Limits,
    protocol::{
        claims::numeric_date,
        dcql::Query,
        jose::Jws,
        openid4vp::{
            AUDIENCE, ClientId, RequestObject, ResponseMode,
            dc_api::{Protocol, RESPONSE_MODE},
        },
        x509::{Certificate, verify_path},
    },
    time::UnixTime,
};

impl Request {
    /// Checks one request of `navigator.credentials.get` like a careful wallet: `origin` is what the browser says who
    /// called. If `anchors` are given, the certificate of a signed request must lead to one of them.
    ///
    /// # Errors
    /// The first check that failed.
    pub fn read_by_browser(
        protocol: Protocol,
        data: &Value,
        origin: &str,
        anchors: &[&Certificate],
        now: UnixTime,
        limits: &Limits,
    ) -> Result<Self, WalletError> {
        let wrong = |what| WalletError::Request { what };
        let demand = |holds: bool, what| if holds { Ok(()) } else { Err(wrong(what)) };
        let (client_id, parameters) = match protocol {
            // A.3.1: who asks is the origin. A `client_id` would be ignored, so we send none.
            Protocol::Unsigned => {
                let parameters = data.as_object().ok_or(wrong("the data are no object"))?;
                demand(!parameters.contains_key("client_id"), "an unsigned request with `client_id`")?;
                (format!("origin:{origin}"), parameters.clone())
            }
            Protocol::Signed => signed(data, origin, anchors, now, limits)?,
            Protocol::IsoMdoc => return Err(wrong("this wallet speaks OpenID4VP")),
        };
        let text = |name| parameters.get(name).and_then(Value::as_str);
        demand(text("response_type") == Some("vp_token"), "`response_type` must be vp_token")?;
        demand(text("response_mode") == Some(RESPONSE_MODE), "`response_mode` must be dc_api.jwt")?;
        for absent in ["redirect_uri", "response_uri", "state", "scope", "request_uri", "wallet_nonce"] {
            demand(!parameters.contains_key(absent), "a parameter that does not belong there")?;
        }
        let nonce = text("nonce").ok_or(wrong("`nonce` is missing"))?;
        let unreserved = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte);
        demand(nonce.len() >= 22 && nonce.bytes().all(unreserved), "`nonce` is too short or not URL-safe")?;
        let metadata = parameters.get("client_metadata").unwrap_or(&Value::Null);
        demand(metadata.get("vp_formats_supported").is_some_and(Value::is_object), "`vp_formats_supported`")?;
        Ok(Self {
            client_id,
            client_name: None,
            // The browser brings the answer to whoever called.
            response_uri: Url::parse(origin).map_err(|_| wrong("the origin is no URL"))?,
            response_mode: ResponseMode::DirectPostJwt,
            nonce: nonce.to_owned(),
            state: None,
            query: Query::parse(parameters.get("dcql_query").unwrap_or(&Value::Null), limits)?,
            transaction_data: strings(parameters.get("transaction_data")),
            encryption: Some(encryption(metadata).ok_or(wrong("no key to encrypt the answer to"))?),
            origin: Some(origin.to_owned()),
            verifier_info: parameters.get("verifier_info").and_then(Value::as_array).cloned().unwrap_or_default(),
        })
    }
}

/// Who asks, and what, of a signed request (A.3.2).
fn signed(
    data: &Value,
    origin: &str,
    anchors: &[&Certificate],
    now: UnixTime,
    limits: &Limits,
) -> Result<(String, Map<String, Value>), WalletError> {
    let wrong = |what| WalletError::Request { what };
    let demand = |holds: bool, what| if holds { Ok(()) } else { Err(wrong(what)) };
    let object = data.get("request").and_then(Value::as_str).ok_or(wrong("`request` is missing"))?;
    let jws = Jws::parse(object, limits)?;
    let chain = jws.header().x5c.clone().unwrap_or_default();
    let leaf = Certificate::from_der(chain.first().ok_or(wrong("`x5c` is missing"))?)?;
    demand(!leaf.is_self_signed(), "the access certificate is self-signed")?;
    if !anchors.is_empty() {
        verify_path(&chain, anchors, now, limits)?;
    }
    let claims = jws.verify(&leaf.public_key()?, &[RequestObject::TYP])?;
    let client_id = claims.get("client_id").and_then(Value::as_str).ok_or(wrong("`client_id` is missing"))?;
    let by_name =
        client_id.strip_prefix("x509_san_dns:").is_some_and(|host| leaf.dns_names().iter().any(|name| name == host));
    let by_hash = client_id == ClientId::x509_hash(leaf.der()).as_str();
    demand(by_hash || by_name, "`client_id` is not that of the certificate")?;
    demand(claims.get("aud").and_then(Value::as_str) == Some(AUDIENCE), "`aud` must be that of static discovery")?;
    // A.2: compared as text, so that a request which somebody else replays is refused.
    let expected = strings(claims.get("expected_origins"));
    demand(expected.iter().any(|one| one == origin), "the origin is not one of `expected_origins`")?;
    demand(numeric_date(&claims, "exp")?.is_none_or(|exp| now < exp), "it is over")?;
    Ok((client_id.to_owned(), claims))
}

impl Wallet {
    /// The `data` of what the browser's promise holds, with these faults in it.
    ///
    /// # Errors
    /// As [`answer`](Self::answer).
    pub fn answer_by_browser(
        &self,
        request: &Request,
        choice: &Choice,
        faults: &[Fault],
        env: &dyn Env,
    ) -> Result<Value, WalletError> {
        let form = self.answer(request, choice, faults, env)?;
        let member = |(name, value): (std::borrow::Cow<'_, str>, std::borrow::Cow<'_, str>)| {
            let value = match &*name {
                "vp_token" => serde_json::from_str(&value).unwrap_or_default(),
                _ => json!(value),
            };
            (name.into_owned(), value)
        };
        Ok(Value::Object(form_urlencoded::parse(form.as_bytes()).map(member).collect()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::jose::{DecryptionKey, SigningKey};

    /// A request that anybody may bend.
    fn unsigned() -> Value {
        let key = DecryptionKey::from_scalar(&[9; 32], "response").unwrap();
        json!({
            "response_type": "vp_token",
            "response_mode": "dc_api.jwt",
            "nonce": "n-0S6_WzA2Mj_n-0S6_WzA2Mj",
            "dcql_query": {"credentials": [
                {"id": "pid", "format": "dc+sd-jwt", "meta": {"vct_values": ["urn:eudi:pid:1"]}}
            ]},
            "client_metadata": {
                "vp_formats_supported": {},
                "jwks": {"keys": [key.public_jwk()]},
                "encrypted_response_enc_values_supported": ["A128GCM"],
            },
        })
    }

    fn read(protocol: Protocol, data: &Value) -> Result<Request, WalletError> {
        let now = UnixTime::from_secs(1_800_000_000);
        Request::read_by_browser(protocol, data, "https://shop.example", &[], now, &Limits::default())
    }

    #[test]
    fn reads_a_request_of_a_browser_only_if_it_holds() {
        let request = read(Protocol::Unsigned, &unsigned()).unwrap();
        assert_eq!(request.origin.as_deref(), Some("https://shop.example"));
        for (member, value) in [
            ("client_id", json!("x509_san_dns:shop.example")),
            ("state", json!("s")),
            ("response_uri", json!("https://shop.example/responses")),
            ("response_mode", json!("dc_api")),
            ("nonce", json!("short")),
            ("dcql_query", json!({})),
            ("client_metadata", json!({"vp_formats_supported": {}})),
        ] {
            let mut data = unsigned();
            data[member] = value;
            assert!(read(Protocol::Unsigned, &data).is_err(), "{member}");
        }
        let key = SigningKey::from_p256_scalar(&[3; 32]).unwrap();
        let header = json!({"typ": RequestObject::TYP});
        let object = key.sign_jws(header.as_object().unwrap(), &unsigned()).unwrap();
        assert!(read(Protocol::Signed, &json!({ "request": object })).is_err(), "nobody vouches for the key");
        assert!(read(Protocol::Signed, &unsigned()).is_err(), "not signed at all");
    }
}
