//! A wallet that gets a credential from an issuer (OpenID4VCI 1.0), step by step, so that a test can bend any of them.
//!
//! It does no I/O: whoever uses it hands over what carries a request to the issuer, such as a router or an HTTP client.

use std::fmt;

use http::{HeaderValue, Method, Request, Response, StatusCode, header};
use serde_json::{Map, Value, json};
use url::{Url, form_urlencoded};

use super::wallet::{Wallet, WalletError};
use crate::{
    env::Env,
    limits::Limits,
    protocol::{
        jose::{SigningKey, base64url_encode, sha256},
        openid4vci::{
            offer::{Offer, OfferLink, PRE_AUTHORIZED},
            proof::PROOF_TYPE,
        },
    },
};

/// A wallet's visit at an issuer. Everything in it may be bent before the next step.
pub struct Collector<'a, S> {
    env: &'a dyn Env,
    send: S,
    /// The key that tokens are bound to; none for a wallet that cannot do that.
    pub dpop: Option<SigningKey>,
    /// The nonce for the next proof of that key.
    pub dpop_nonce: Option<String>,
    /// Headers that go with every request, such as a client attestation.
    pub headers: Vec<(&'static str, String)>,
    /// The offer.
    pub offer: Offer,
    /// What the issuer says of itself.
    pub issuer: Value,
    /// What its authorization server says.
    pub server: Value,
    /// The access token.
    pub access_token: Option<String>,
    /// The refresh token.
    pub refresh_token: Option<String>,
    /// Which configuration is asked for; the first of the offer unless named here.
    pub configuration: Option<String>,
    /// The answer that brought the last credentials.
    pub answer: Value,
}

impl<S> fmt::Debug for Collector<'_, S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Collector").field("offer", &self.offer).finish_non_exhaustive()
    }
}

impl Wallet {
    /// Takes an offer by its link and the number that its owner typed, gets the credential with DPoP, keeps it, and tells
    /// the issuer so. The visit comes back, to be gone on with.
    ///
    /// # Errors
    /// If the issuer refuses a step, or says what a careful wallet does not believe.
    pub async fn receive<'a, S>(
        &mut self,
        link: &str,
        tx_code: Option<&str>,
        env: &'a dyn Env,
        send: S,
    ) -> Result<Collector<'a, S>, WalletError>
    where
        S: AsyncFnMut(Request<Vec<u8>>) -> Response<Vec<u8>>,
    {
        let mut visit = Collector::open(link, env, send).await?;
        visit.redeem(tx_code).await?;
        self.collect(&mut visit).await?;
        Ok(visit)
    }

    /// Gets as many credentials as the issuer gives at once, for new keys, and keeps them.
    ///
    /// # Errors
    /// As [`receive`](Self::receive).
    pub async fn collect<S>(&mut self, visit: &mut Collector<'_, S>) -> Result<(), WalletError>
    where
        S: AsyncFnMut(Request<Vec<u8>>) -> Response<Vec<u8>>,
    {
        let batch = visit.issuer.pointer("/batch_credential_issuance/batch_size").and_then(Value::as_u64).unwrap_or(1);
        let scalars: Vec<[u8; 32]> = (0..batch).map(|_| super::wallet::scalar(visit.env)).collect();
        let nonce = visit.nonce().await?;
        let proof = |scalar: &[u8; 32]| visit.proof(&SigningKey::from_p256_scalar(scalar)?, &nonce);
        let proofs = scalars.iter().map(proof).collect::<Result<Vec<_>, _>>()?;
        let answer = visit.credentials(&json!({"proofs": {"jwt": proofs}})).await;
        let answer = expect(answer, StatusCode::OK)?;
        let credentials = answer.get("credentials").and_then(Value::as_array).ok_or(WalletError::Issuer)?;
        for (scalar, entry) in scalars.iter().zip(credentials) {
            let credential = entry.get("credential").and_then(Value::as_str).ok_or(WalletError::Credential)?;
            self.hold_scalar(credential, scalar)?;
        }
        visit.answer.clone_from(&answer);
        let said = visit.notify("credential_accepted").await;
        if said.status() == StatusCode::NO_CONTENT { Ok(()) } else { Err(refused(&said)) }
    }
}

impl<'a, S> Collector<'a, S>
where
    S: AsyncFnMut(Request<Vec<u8>>) -> Response<Vec<u8>>,
{
    /// Reads an offer, and what its issuer says of itself. The wallet has a new key for its tokens.
    ///
    /// # Errors
    /// If there is no offer, or the metadata are not the issuer's (12.2.4).
    pub async fn open(link: &str, env: &'a dyn Env, mut send: S) -> Result<Self, WalletError> {
        let limits = Limits::default();
        let offer = match OfferLink::parse(link, &limits).map_err(|_| WalletError::Offer)? {
            OfferLink::Value(offer) => offer,
            OfferLink::Reference(url) => {
                let response = send(get(&url)).await;
                if response.status() != StatusCode::OK {
                    return Err(refused(&response));
                }
                Offer::parse(response.body(), &limits).map_err(|_| WalletError::Offer)?
            }
        };
        let mut described = Vec::new();
        for (document, member) in
            [("openid-credential-issuer", "credential_issuer"), ("oauth-authorization-server", "issuer")]
        {
            let mut url = Url::parse(&offer.issuer).map_err(|_| WalletError::Offer)?;
            let path = format!("/.well-known/{document}{}", url.path().trim_end_matches('/'));
            url.set_path(&path);
            let value = expect(send(get(&url)).await, StatusCode::OK)?;
            if value.get(member).and_then(Value::as_str) != Some(offer.issuer.as_str()) {
                return Err(WalletError::Issuer);
            }
            described.push(value);
        }
        let (server, issuer) = (described.pop().unwrap_or_default(), described.pop().unwrap_or_default());
        let dpop = Some(SigningKey::from_p256_scalar(&super::wallet::scalar(env))?);
        Ok(Self {
            env,
            send,
            dpop,
            dpop_nonce: None,
            headers: Vec::new(),
            offer,
            issuer,
            server,
            access_token: None,
            refresh_token: None,
            configuration: None,
            answer: Value::Null,
        })
    }

    /// Redeems the code of the offer.
    ///
    /// # Errors
    /// If the issuer refuses, or the offer has no code.
    pub async fn redeem(&mut self, tx_code: Option<&str>) -> Result<(), WalletError> {
        let code = self.offer.pre_authorized.as_ref().ok_or(WalletError::Offer)?.code.clone();
        let mut parameters = vec![("grant_type", PRE_AUTHORIZED), ("pre-authorized_code", code.as_str())];
        parameters.extend(tx_code.map(|tx_code| ("tx_code", tx_code)));
        let answer = self.token(&parameters).await;
        self.take_tokens(answer)
    }

    /// Renews the tokens.
    ///
    /// # Errors
    /// If the issuer refuses, or there is no refresh token.
    pub async fn refresh(&mut self) -> Result<(), WalletError> {
        let token = self.refresh_token.clone().ok_or(WalletError::Offer)?;
        let answer = self.token(&[("grant_type", "refresh_token"), ("refresh_token", &token)]).await;
        self.take_tokens(answer)
    }

    /// Keeps the tokens of an answer.
    ///
    /// # Errors
    /// If it is a refusal.
    pub fn take_tokens(&mut self, answer: Response<Vec<u8>>) -> Result<(), WalletError> {
        let answer = expect(answer, StatusCode::OK)?;
        let text = |name: &str| answer.get(name).and_then(Value::as_str).map(str::to_owned);
        self.access_token = Some(text("access_token").ok_or(WalletError::Issuer)?);
        self.refresh_token = text("refresh_token");
        Ok(())
    }

    /// A request at the token endpoint.
    pub async fn token(&mut self, parameters: &[(&str, &str)]) -> Response<Vec<u8>> {
        let url = endpoint(&self.server, "token_endpoint");
        self.post_form(&url, parameters).await
    }

    /// A request at the endpoint for pushed requests.
    pub async fn push(&mut self, parameters: &[(&str, &str)]) -> Response<Vec<u8>> {
        let url = endpoint(&self.server, "pushed_authorization_request_endpoint");
        self.post_form(&url, parameters).await
    }

    /// A new nonce for proofs.
    ///
    /// # Errors
    /// If the issuer gives none.
    pub async fn nonce(&mut self) -> Result<String, WalletError> {
        let url = endpoint(&self.issuer, "nonce_endpoint");
        let mut request = Request::new(Vec::new());
        *request.method_mut() = Method::POST;
        *request.uri_mut() = url.parse().unwrap_or_default();
        let answer = expect((self.send)(request).await, StatusCode::OK)?;
        answer.get("c_nonce").and_then(Value::as_str).map(str::to_owned).ok_or(WalletError::Issuer)
    }

    /// The claims of a proof, to be bent before they are [signed](Self::signed_proof).
    #[must_use]
    pub fn proof_claims(&self, nonce: &str) -> Value {
        json!({"aud": self.offer.issuer, "iat": self.env.now(), "nonce": nonce})
    }

    /// A proof with these claims.
    ///
    /// # Errors
    /// If signing fails.
    pub fn signed_proof(&self, key: &SigningKey, claims: &Value) -> Result<String, WalletError> {
        let header = [("typ".to_owned(), json!(PROOF_TYPE)), ("jwk".to_owned(), key.public_key().to_jwk())];
        Ok(key.sign_jws(&Map::from_iter(header), claims)?)
    }

    /// A proof of a key.
    ///
    /// # Errors
    /// If signing fails.
    pub fn proof(&self, key: &SigningKey, nonce: &str) -> Result<String, WalletError> {
        self.signed_proof(key, &self.proof_claims(nonce))
    }

    /// A request at the credential endpoint; names the [configuration](Self::configuration) where the body names nothing.
    pub async fn credentials(&mut self, body: &Value) -> Response<Vec<u8>> {
        let mut body = body.clone();
        let named = body.get("credential_configuration_id").is_some() || body.get("credential_identifier").is_some();
        if let (false, Some(members)) = (named, body.as_object_mut()) {
            let id = self.configuration.as_ref().or(self.offer.configurations.first()).cloned().unwrap_or_default();
            members.insert("credential_configuration_id".to_owned(), id.into());
        }
        let url = endpoint(&self.issuer, "credential_endpoint");
        self.post_json(&url, &body).await
    }

    /// A request at the deferred endpoint.
    pub async fn deferred(&mut self, transaction_id: &str) -> Response<Vec<u8>> {
        let url = endpoint(&self.issuer, "deferred_credential_endpoint");
        self.post_json(&url, &json!({"transaction_id": transaction_id})).await
    }

    /// Says what became of the last credentials.
    pub async fn notify(&mut self, event: &str) -> Response<Vec<u8>> {
        let url = endpoint(&self.issuer, "notification_endpoint");
        let body = json!({"notification_id": self.answer.get("notification_id"), "event": event});
        self.post_json(&url, &body).await
    }

    /// A form, signed by the DPoP key; sent once more if the issuer asks for its nonce.
    pub async fn post_form(&mut self, url: &str, parameters: &[(&str, &str)]) -> Response<Vec<u8>> {
        let form = form_urlencoded::Serializer::new(String::new()).extend_pairs(parameters).finish();
        self.post(url, "application/x-www-form-urlencoded", form.into_bytes(), false).await
    }

    /// JSON, with the access token.
    pub async fn post_json(&mut self, url: &str, body: &Value) -> Response<Vec<u8>> {
        self.post(url, "application/json", body.to_string().into_bytes(), true).await
    }

    /// A body of any kind; sent once more if the issuer asks for its nonce.
    pub async fn post(&mut self, url: &str, media_type: &str, body: Vec<u8>, with_token: bool) -> Response<Vec<u8>> {
        let mut response = Response::new(Vec::new());
        for _ in 0..2 {
            let request = self.request(url, media_type, body.clone(), with_token);
            response = (self.send)(request).await;
            let nonce = response.headers().get("dpop-nonce").and_then(|nonce| nonce.to_str().ok());
            self.dpop_nonce = nonce.map(str::to_owned).or(self.dpop_nonce.take());
            if error_of(&response) != "use_dpop_nonce" {
                break;
            }
        }
        response
    }

    /// A request as it is sent, with a proof of its own.
    #[must_use]
    pub fn request(&self, url: &str, media_type: &str, body: Vec<u8>, with_token: bool) -> Request<Vec<u8>> {
        let mut request = Request::new(body);
        *request.method_mut() = Method::POST;
        *request.uri_mut() = url.parse().unwrap_or_default();
        let token = self.access_token.as_deref().filter(|_| with_token);
        let scheme = if self.dpop.is_some() { "DPoP" } else { "Bearer" };
        let headers = [
            ("content-type", Some(media_type.to_owned())),
            ("authorization", token.map(|token| format!("{scheme} {token}"))),
            ("dpop", self.dpop_proof(url, token)),
        ];
        let own = self.headers.iter().map(|(name, value)| (*name, Some(value.clone())));
        for (name, value) in headers.into_iter().chain(own) {
            if let Some(value) = value.and_then(|value| HeaderValue::try_from(value).ok()) {
                request.headers_mut().insert(name, value);
            }
        }
        request
    }

    fn dpop_proof(&self, url: &str, token: Option<&str>) -> Option<String> {
        let key = self.dpop.as_ref()?;
        let mut jti = [0; 16];
        self.env.fill(&mut jti);
        let mut claims =
            json!({"jti": base64url_encode(&jti), "htm": "POST", "htu": url, "iat": self.env.now().as_secs()});
        if let Some(members) = claims.as_object_mut() {
            members.extend(self.dpop_nonce.as_ref().map(|nonce| ("nonce".to_owned(), json!(nonce))));
            members.extend(token.map(|token| ("ath".to_owned(), json!(base64url_encode(&sha256(token.as_bytes()))))));
        }
        let header = [("typ".to_owned(), json!("dpop+jwt")), ("jwk".to_owned(), key.public_key().to_jwk())];
        key.sign_jws(&Map::from_iter(header), &claims).ok()
    }
}

/// The `error` of an OAuth answer; empty if it is none.
#[must_use]
pub fn error_of(response: &Response<Vec<u8>>) -> String {
    let body: Value = serde_json::from_slice(response.body()).unwrap_or_default();
    body.get("error").and_then(Value::as_str).unwrap_or_default().to_owned()
}

fn get(url: &Url) -> Request<Vec<u8>> {
    let mut request = Request::new(Vec::new());
    *request.uri_mut() = url.as_str().parse().unwrap_or_default();
    request.headers_mut().insert(header::ACCEPT, HeaderValue::from_static("application/json"));
    request
}

fn endpoint(metadata: &Value, name: &str) -> String {
    metadata.get(name).and_then(Value::as_str).unwrap_or_default().to_owned()
}

fn expect(response: Response<Vec<u8>>, status: StatusCode) -> Result<Value, WalletError> {
    if response.status() != status {
        return Err(refused(&response));
    }
    serde_json::from_slice(response.body()).map_err(|_| WalletError::Issuer)
}

fn refused(response: &Response<Vec<u8>>) -> WalletError {
    WalletError::Refused { status: response.status().as_u16(), error: error_of(response) }
}
