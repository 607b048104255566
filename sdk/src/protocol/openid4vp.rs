//! OpenID for Verifiable Presentations 1.0, the verifier's side of sections 5 and 8: the request object that a wallet
//! fetches, the link that opens it, and the answer that it posts. The profile is HAIP: signed requests by reference,
//! answers by `direct_post.jwt`.
//!
//! What [`read_response`] returns is the envelope alone. Nothing in it is believed yet: decryption proves that somebody
//! knew our public key (14.5), and the presentations are strings until their format verified them and
//! [`Query::evaluate`] found in them what was asked.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
    str::FromStr,
};

use aws_lc_rs::constant_time::verify_slices_are_equal;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use url::{Host, Url};

use crate::{
    limits::Limits,
    protocol::{
        dcql::{DcqlError, Query},
        form::Form,
        jose::{ContentEncryption, DecryptionKey, JoseError, base64url_decode, base64url_encode, sha256},
        json::{self, JsonError},
    },
    time::UnixTime,
};

pub use crate::protocol::form::FormError;

/// Who a request object is for, where a wallet publishes no metadata of its own (5.8).
pub const AUDIENCE: &str = "https://self-issued.me/v2";

/// The signatures that are verified on SD-JWT VCs and their key binding, by their fully specified names (B.3.4).
pub const SD_JWT_ALGORITHMS: [&str; 4] = ["ES256", "ES384", "ES512", "Ed25519"];

/// The error codes that a wallet may answer with: section 8.5, and RFC 6749 4.1.2.1, OpenID Connect Core 3.1.2.6 and
/// RFC 9101 6 and 7, on which it builds.
const REGISTERED_ERRORS: [&str; 19] = [
    "access_denied",
    "consent_required",
    "interaction_required",
    "invalid_client",
    "invalid_request",
    "invalid_request_object",
    "invalid_request_uri",
    "invalid_request_uri_method",
    "invalid_scope",
    "invalid_transaction_data",
    "login_required",
    "request_not_supported",
    "request_uri_not_supported",
    "server_error",
    "temporarily_unavailable",
    "unauthorized_client",
    "unsupported_response_type",
    "vp_formats_not_supported",
    "wallet_unavailable",
];

/// What a code outside of the registered ones is called.
const OTHER_ERROR: &str = "other";

/// Characters of an `error_description` that are kept.
const DESCRIPTION_CHARS_MAX: usize = 256;

/// A client identifier with its prefix, always in full: without the prefix it names somebody else (14.8).
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct ClientId(String);

impl ClientId {
    const X509_HASH: &str = "x509_hash:";
    const X509_SAN_DNS: &str = "x509_san_dns:";

    /// The identifier that HAIP demands: the SHA-256 of the certificate that signs requests (5.9.3).
    #[must_use]
    pub fn x509_hash(leaf_der: &[u8]) -> Self {
        Self(format!("{}{}", Self::X509_HASH, base64url_encode(&sha256(leaf_der))))
    }

    /// The identifier by a DNS name in the certificate that signs requests (5.9.3).
    #[must_use]
    pub fn x509_san_dns(host: &str) -> Self {
        Self(format!("{}{host}", Self::X509_SAN_DNS))
    }

    /// The identifier as it goes over the wire, and as every presentation must name its audience.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for ClientId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for ClientId {
    type Err = RequestError;

    fn from_str(text: &str) -> Result<Self, RequestError> {
        text.to_owned().try_into()
    }
}

impl TryFrom<String> for ClientId {
    type Error = RequestError;

    /// Only the two prefixes that this library can prove.
    fn try_from(text: String) -> Result<Self, RequestError> {
        let hash = |it: &str| base64url_decode(it).is_ok_and(|bytes| bytes.len() == 32);
        let dns = |it: &str| {
            !it.is_empty() && it.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'.')
        };
        let known = text.strip_prefix(Self::X509_HASH).is_some_and(hash)
            || text.strip_prefix(Self::X509_SAN_DNS).is_some_and(dns);
        if known { Ok(Self(text)) } else { Err(RequestError::ClientId) }
    }
}

impl From<ClientId> for String {
    fn from(client_id: ClientId) -> Self {
        client_id.0
    }
}

/// How a wallet returns its answer (8.2, 8.3.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, Default)]
pub enum ResponseMode {
    /// Posted in clear, under TLS alone.
    #[serde(rename = "direct_post")]
    DirectPost,
    /// Posted encrypted to a key made for this request. HAIP allows nothing else.
    #[default]
    #[serde(rename = "direct_post.jwt")]
    DirectPostJwt,
}

impl ResponseMode {
    /// The value of `response_mode`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::DirectPost => "direct_post",
            Self::DirectPostJwt => "direct_post.jwt",
        }
    }
}

/// Everything that a request object says.
#[derive(Clone, Debug)]
pub struct RequestObject<'a> {
    /// Who asks; the same as in the link, prefix included (5.10.1).
    pub client_id: &'a ClientId,
    /// Where the answer goes. Of its own for each request.
    pub response_uri: &'a Url,
    /// How the answer goes there.
    pub response_mode: ResponseMode,
    /// Fresh for each request, at least 128 random bits, of the characters `A-Z a-z 0-9 - . _ ~` (5.2).
    pub nonce: &'a str,
    /// Fresh for each request, at least 128 random bits; the answer brings it back (5.3).
    pub state: &'a str,
    /// What is asked for.
    pub query: &'a Query,
    /// `vp_formats_supported`: what we can verify of each format that the query asks for.
    pub formats: &'a BTreeMap<String, Value>,
    /// [`TransactionData`] to be authorised, each exactly as it is hashed later. Empty: the parameter is left out.
    pub transaction_data: &'a [String],
    /// The public key made for this answer, with `kid`, `use` and `alg` (8.3). `None` for
    /// [`DirectPost`](ResponseMode::DirectPost).
    pub encryption_jwk: Option<&'a Value>,
    /// What may encrypt the answer; HAIP 5 demands both. Only sent along with the key.
    pub encryption_enc: &'a [ContentEncryption],
    /// What the wallet sent to [`read_request_post`], given back so that it knows the object to be fresh (5.10). Never
    /// for a fetch by GET.
    pub wallet_nonce: Option<&'a str>,
    /// A name to show. Wallets must ignore it unless a profile of theirs defines it (5.1), and the conformance suite
    /// warns of it: `None`, unless such a wallet is known.
    pub client_name: Option<&'a str>,
    /// When the object is signed.
    pub iat: UnixTime,
    /// When it is too old to be answered.
    pub exp: UnixTime,
}

impl RequestObject<'_> {
    /// The `typ` of its header, without which a wallet refuses it (section 5).
    pub const TYP: &'static str = "oauth-authz-req+jwt";

    /// The claims to sign. Neither `iss`, which wallets ignore (5), nor `redirect_uri` (8.2), nor
    /// `request_uri_method`, which belongs into the link.
    #[must_use]
    pub fn claims(&self) -> Value {
        let mut claims = json!({
            "response_type": "vp_token",
            "response_mode": self.response_mode.name(),
            "client_id": self.client_id.as_str(),
            "response_uri": self.response_uri.as_str(),
            "nonce": self.nonce,
            "state": self.state,
            "dcql_query": self.query,
            "client_metadata": self.client_metadata(),
            "aud": AUDIENCE,
            "iat": self.iat.as_secs(),
            "exp": self.exp.as_secs(),
        });
        if let Some(claims) = claims.as_object_mut() {
            if !self.transaction_data.is_empty() {
                claims.insert("transaction_data".to_owned(), json!(self.transaction_data));
            }
            if let Some(wallet_nonce) = self.wallet_nonce {
                claims.insert("wallet_nonce".to_owned(), wallet_nonce.into());
            }
        }
        claims
    }

    /// The three members of 5.1, and no more.
    fn client_metadata(&self) -> Value {
        let mut metadata = Map::new();
        metadata.insert("vp_formats_supported".to_owned(), json!(self.formats));
        if let Some(jwk) = self.encryption_jwk {
            let names: Vec<&str> = self.encryption_enc.iter().map(|enc| enc.name()).collect();
            metadata.insert("jwks".to_owned(), json!({"keys": [jwk]}));
            metadata.insert("encrypted_response_enc_values_supported".to_owned(), json!(names));
        }
        if let Some(name) = self.client_name {
            metadata.insert("client_name".to_owned(), name.into());
        }
        metadata.into()
    }
}

/// What a customer authorises by presenting (5.1, 8.4), encoded once: the wallet hashes the very string that it got,
/// so this string is what is sent, stored and compared.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct TransactionData(String);

impl TransactionData {
    /// Encodes the transaction of type `kind` with its `payload` (the members that the type defines), to be authorised
    /// with one of the credentials `credential_ids` of `query`. `hashes_alg` names the hashes that may be used; `None`
    /// leaves it at SHA-256 without saying so (B.3.3.1).
    ///
    /// # Errors
    ///
    /// If `kind`, `credential_ids` or `hashes_alg` is empty, an id is not in the query, its credential is asked for
    /// without the holder's proof (which is what authorises, B.3.3), or the payload has a member of the standard's.
    pub fn new(
        kind: &str,
        credential_ids: &[&str],
        hashes_alg: Option<&[&str]>,
        payload: Map<String, Value>,
        query: &Query,
    ) -> Result<Self, RequestError> {
        let empty = |member| RequestError::TransactionDataEmpty { member };
        if kind.is_empty() {
            return Err(empty("type"));
        }
        if credential_ids.is_empty() {
            return Err(empty("credential_ids"));
        }
        if hashes_alg.is_some_and(<[&str]>::is_empty) {
            return Err(empty("transaction_data_hashes_alg"));
        }
        for id in credential_ids {
            match query.credential(id) {
                Some(credential) if credential.require_cryptographic_holder_binding => {}
                _ => return Err(RequestError::TransactionDataCredential { id: (*id).to_owned() }),
            }
        }
        let mut object = payload;
        let hashes_alg = hashes_alg.map(|names| json!(names));
        let ours = [("type", Some(json!(kind))), ("credential_ids", Some(json!(credential_ids)))];
        for (member, value) in ours.into_iter().chain([("transaction_data_hashes_alg", hashes_alg)]) {
            if object.contains_key(member) {
                return Err(RequestError::TransactionDataMember { member });
            }
            if let Some(value) = value {
                object.insert(member.to_owned(), value);
            }
        }
        Ok(Self(base64url_encode(Value::Object(object).to_string().as_bytes())))
    }

    /// The string to send, store and hash.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// What a wallet that hashed with SHA-256 returns for it in `transaction_data_hashes`.
    #[must_use]
    pub fn sha256(&self) -> String {
        base64url_encode(&sha256(self.0.as_bytes()))
    }
}

impl fmt::Debug for TransactionData {
    /// Somebody's purchase: not for a log.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "TransactionData({} bytes)", self.0.len())
    }
}

impl From<TransactionData> for String {
    fn from(transaction_data: TransactionData) -> Self {
        transaction_data.0
    }
}

/// The link that opens a wallet: `endpoint?client_id=..&request_uri=..[&request_uri_method=post]` (5.4). As a QR code
/// it opens a wallet on another device.
///
/// `endpoint` is a wallet's authorization endpoint: a scheme of its own (`openid4vp://`, `haip-vp://`) or an https
/// address, with or without a query. `post` lets the wallet fetch the request by POST with a nonce of its own.
///
/// # Errors
///
/// If `endpoint` is no such address: a link that runs a script, reads a file or crosses the network in clear is none.
/// http is left to loopback addresses, where a wallet for development listens.
pub fn wallet_link(
    endpoint: &str,
    client_id: &ClientId,
    request_uri: &Url,
    post: bool,
) -> Result<String, RequestError> {
    let refuse = |reason| RequestError::Endpoint { reason };
    let mut link = Url::parse(endpoint).map_err(|_| refuse("it is no URL"))?;
    match link.scheme() {
        "https" => {}
        "http" if is_loopback(&link) => {}
        "http" | "ws" | "wss" | "ftp" | "file" | "about" | "blob" | "data" | "javascript" | "vbscript" => {
            return Err(refuse("its scheme opens no wallet"));
        }
        _ => {}
    }
    if link.fragment().is_some() {
        return Err(refuse("it has a fragment"));
    }
    if !link.username().is_empty() || link.password().is_some() {
        return Err(refuse("it has a user name"));
    }
    let ours = ["client_id", "request_uri", "request_uri_method", "request"];
    if link.query_pairs().any(|(name, _)| ours.contains(&name.as_ref())) {
        return Err(refuse("its query has a parameter of the request"));
    }
    {
        let mut query = link.query_pairs_mut();
        query.append_pair("client_id", client_id.as_str());
        query.append_pair("request_uri", request_uri.as_str());
        if post {
            query.append_pair("request_uri_method", "post");
        }
    }
    Ok(link.into())
}

pub(super) fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(Host::Domain(name)) => name == "localhost" || name.ends_with(".localhost"),
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        None => false,
    }
}

/// Reads what a wallet posts to fetch the request object (5.10), and answers with its `wallet_nonce`. The metadata it
/// may send along describes the customer's device; it is not even parsed.
///
/// # Errors
///
/// If the form is none or too long, or the nonce is empty, too long, or has other characters than visible ASCII.
pub fn read_request_post(form_body: &[u8], limits: &Limits) -> Result<Option<String>, RequestError> {
    let mut form = Form::parse(form_body, limits.request_post_bytes)?;
    let Some(nonce) = form.take("wallet_nonce") else { return Ok(None) };
    // It goes into an object that we sign: nothing in it that a reader of that object could stumble on.
    let fits =
        (1..=limits.wallet_nonce_bytes).contains(&nonce.len()) && nonce.bytes().all(|byte| byte.is_ascii_graphic());
    if fits { Ok(Some(nonce)) } else { Err(RequestError::WalletNonce { max: limits.wallet_nonce_bytes }) }
}

/// What a wallet answered.
#[derive(Clone, PartialEq)]
pub enum Answer {
    /// For each id of the query that was answered its presentations: strings or objects, nothing of them verified.
    /// Together they are what the query requires.
    Presentations(Vec<(String, Vec<Value>)>),
    /// The wallet or its user declined.
    Error {
        /// A registered error code, or `other`.
        code: String,
        /// What the wallet says about it, shortened, with every unusual character replaced. For the log of an operator
        /// who asks for it, and never for a page.
        description: Option<String>,
    },
}

impl fmt::Debug for Answer {
    /// Without the presentations, which are personal data, and the description, which may be.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Presentations(presentations) => {
                let counts = presentations.iter().map(|(id, entries)| (id, entries.len()));
                f.write_str("Presentations")?;
                f.debug_map().entries(counts).finish()
            }
            Self::Error { code, .. } => f.debug_struct("Error").field("code", code).finish_non_exhaustive(),
        }
    }
}

/// All that reading an answer needs: what was sent with the request it belongs to.
#[derive(Clone, Copy)]
pub struct ResponseContext<'a> {
    /// How the answer was asked for.
    pub mode: ResponseMode,
    /// The request's `state`.
    pub state: &'a str,
    /// The key made for this request; needed for [`DirectPostJwt`](ResponseMode::DirectPostJwt).
    pub key: Option<&'a DecryptionKey>,
    /// The content encryptions that the request offered.
    pub accepted: &'a [ContentEncryption],
    /// What was asked for.
    pub query: &'a Query,
    /// The bounds.
    pub limits: &'a Limits,
}

/// Reads the form that a wallet posts to the response endpoint: decrypts it if encryption was asked for, compares the
/// state, and checks the shape of the answer (8.1: ids that were asked for, arrays, one entry unless `multiple`).
/// Parameters that no standard names are ignored (8.1).
///
/// # Errors
///
/// The first rule that the answer breaks; it says nothing of what the answer holds.
pub fn read_response(form_body: &[u8], context: &ResponseContext<'_>) -> Result<Answer, ResponseError> {
    let mut form = Form::parse(form_body, context.limits.response_bytes)?;
    let parameters = match (context.mode, form.take("response")) {
        (ResponseMode::DirectPostJwt, Some(jwe)) => {
            // Whoever reads both could be made to believe the one that nobody encrypted.
            if form.has("vp_token") || form.has("error") {
                return Err(ResponseError::MixedParameters);
            }
            if let Some(state) = form.take("state") {
                check_state(Some(&state.into()), context.state)?;
            }
            decrypted(&jwe, context)?
        }
        // 8.3: what was asked for encrypted comes encrypted, or TLS ends where somebody else reads.
        (ResponseMode::DirectPostJwt, None) if form.has("vp_token") => return Err(ResponseError::Unencrypted),
        // 8.3.1: a wallet that cannot encrypt may say so in clear.
        (ResponseMode::DirectPostJwt, None) if !form.has("error") => return Err(ResponseError::ResponseMissing),
        (ResponseMode::DirectPostJwt | ResponseMode::DirectPost, _) => parameters_in_clear(form, context.limits)?,
    };
    answer(parameters, context)
}

/// The payload of the JWE: the parameters as plain JSON (8.3). A JWT in it, signed or not, is refused by being none.
fn decrypted(jwe: &str, context: &ResponseContext<'_>) -> Result<Map<String, Value>, ResponseError> {
    let key = context.key.ok_or(ResponseError::KeyMissing)?;
    let payload = key.decrypt(jwe, context.accepted, context.limits).map_err(ResponseError::Decryption)?;
    match json::parse(&payload, context.limits.json_depth).map_err(ResponseError::Payload)? {
        Value::Object(parameters) => Ok(parameters),
        _ => Err(ResponseError::PayloadNotAnObject),
    }
}

fn answer(mut parameters: Map<String, Value>, context: &ResponseContext<'_>) -> Result<Answer, ResponseError> {
    check_state(parameters.get("state"), context.state)?;
    match (parameters.remove("error"), parameters.remove("vp_token")) {
        (Some(_), Some(_)) => Err(ResponseError::ErrorAndVpToken),
        (Some(Value::String(code)), None) => {
            let registered = REGISTERED_ERRORS.contains(&code.as_str());
            let description = parameters.get("error_description").and_then(Value::as_str).map(harmless);
            // 8.5: a code goes where strings are compared and shown; only those that somebody defined get there.
            Ok(Answer::Error { code: if registered { code } else { OTHER_ERROR.to_owned() }, description })
        }
        (Some(_), None) => Err(ResponseError::ErrorNotAString),
        (None, Some(Value::Object(vp_token))) => presentations(vp_token, context).map(Answer::Presentations),
        (None, Some(_)) => Err(ResponseError::VpTokenNotAnObject),
        (None, None) => Err(ResponseError::VpTokenMissing),
    }
}

/// Compared in constant time: the state is what an attacker who floods the endpoint would have to guess (14.3.2).
fn check_state(state: Option<&Value>, expected: &str) -> Result<(), ResponseError> {
    let state = state.and_then(Value::as_str).ok_or(ResponseError::StateMissing)?;
    verify_slices_are_equal(state.as_bytes(), expected.as_bytes()).map_err(|_| ResponseError::StateMismatch)
}

/// Section 8.1.
fn presentations(
    vp_token: Map<String, Value>,
    context: &ResponseContext<'_>,
) -> Result<Vec<(String, Vec<Value>)>, ResponseError> {
    let max = context.limits.presentations;
    let mut answered = BTreeSet::new();
    let mut presentations = Vec::new();
    let mut total = 0_usize;
    for (id, entries) in vp_token {
        let query = context.query.credential(&id).ok_or(DcqlError::NotAsked)?;
        let Value::Array(entries) = entries else { return Err(ResponseError::NotAnArray { id }) };
        if entries.is_empty() {
            return Err(ResponseError::EmptyArray { id });
        }
        query.counts(entries.len())?;
        total = total.saturating_add(entries.len());
        if total > max {
            return Err(ResponseError::TooManyPresentations { max });
        }
        if !entries.iter().all(|entry| entry.is_object() || entry.as_str().is_some_and(|text| !text.is_empty())) {
            return Err(ResponseError::NotAPresentation { id });
        }
        answered.insert(query.id.as_str());
        presentations.push((id, entries));
    }
    // Seen again after verification; what is incomplete already is not worth verifying.
    context.query.satisfied_by(&answered)?;
    Ok(presentations)
}

/// The text with nothing in it that could steer a terminal, a log viewer or a page.
fn harmless(text: &str) -> String {
    let plain = |c: char| {
        c.is_alphanumeric() || c == ' ' || (c.is_ascii_graphic() && !matches!(c, '<' | '>' | '&' | '"' | '\'' | '\\'))
    };
    text.chars().take(DESCRIPTION_CHARS_MAX).map(|c| if plain(c) { c } else { '?' }).collect()
}

/// The parameters of an answer in clear, as an encrypted one would have them.
fn parameters_in_clear(form: Form, limits: &Limits) -> Result<Map<String, Value>, ResponseError> {
    let read = |(name, value): (String, String)| match name.as_str() {
        "vp_token" => {
            let vp_token = json::parse(value.as_bytes(), limits.json_depth).map_err(ResponseError::Payload)?;
            Ok((name, vp_token))
        }
        _ => Ok((name, value.into())),
    };
    form.0.into_iter().map(read).collect()
}

/// Why a request cannot be made as asked, or a wallet cannot be served one.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RequestError {
    /// A client identifier has neither of the known prefixes, or not what belongs after it.
    #[error("the client identifier must be `x509_hash:` with a hash or `x509_san_dns:` with a name")]
    ClientId,
    /// A wallet's endpoint is no address that a link may have.
    #[error("the wallet's endpoint cannot be used: {reason}")]
    Endpoint {
        /// Why.
        reason: &'static str,
    },
    /// Transaction data lack something.
    #[error("the transaction data need `{member}`, not empty")]
    TransactionDataEmpty {
        /// What they lack.
        member: &'static str,
    },
    /// Transaction data name a credential that cannot authorise them.
    #[error("the transaction data name `{id}`, which the query does not ask for with the holder's proof")]
    TransactionDataCredential {
        /// The id.
        id: String,
    },
    /// The payload of transaction data has a member that the standard defines.
    #[error("the payload of the transaction data must not have the member `{member}`")]
    TransactionDataMember {
        /// The member.
        member: &'static str,
    },
    /// What the wallet posted is no form.
    #[error(transparent)]
    Form(#[from] FormError),
    /// The wallet's nonce cannot be given back.
    #[error("`wallet_nonce` must be visible ASCII, at least one and at most {max} characters")]
    WalletNonce {
        /// The limit.
        max: usize,
    },
}

impl RequestError {
    /// A stable name of the check that failed.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::ClientId => "client_id",
            Self::Endpoint { .. } => "wallet_endpoint",
            Self::TransactionDataEmpty { .. } => "transaction_data_empty",
            Self::TransactionDataCredential { .. } => "transaction_data_credential",
            Self::TransactionDataMember { .. } => "transaction_data_member",
            Self::Form(error) => error.code(),
            Self::WalletNonce { .. } => "wallet_nonce",
        }
    }
}

/// Why an answer is refused.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ResponseError {
    /// The body is no form.
    #[error(transparent)]
    Form(#[from] FormError),
    /// `response` is missing where encryption was asked for.
    #[error("the form has no `response`")]
    ResponseMissing,
    /// The answer came in clear where encryption was asked for.
    #[error("the answer is not encrypted, though the request asked for that")]
    Unencrypted,
    /// An encrypted answer and one in clear came together.
    #[error("the form has both an encrypted answer and one in clear")]
    MixedParameters,
    /// There is no key for this answer: none was made, or it was erased when the first answer came.
    #[error("there is no key to decrypt the answer with")]
    KeyMissing,
    /// Decryption failed.
    #[error("the answer cannot be decrypted")]
    Decryption(#[source] JoseError),
    /// The decrypted answer, or `vp_token`, is not strict JSON.
    #[error("the answer is not strict JSON")]
    Payload(#[source] JsonError),
    /// The decrypted answer is JSON but no object.
    #[error("the decrypted answer is no JSON object")]
    PayloadNotAnObject,
    /// `state` did not come back, or not as a string.
    #[error("the answer has no `state`")]
    StateMissing,
    /// `state` is that of another request.
    #[error("the answer has another `state` than its request")]
    StateMismatch,
    /// `error` is no string.
    #[error("`error` is no string")]
    ErrorNotAString,
    /// There is an error and an answer.
    #[error("the answer has both `error` and `vp_token`")]
    ErrorAndVpToken,
    /// There is neither an error nor an answer.
    #[error("the answer has no `vp_token`")]
    VpTokenMissing,
    /// `vp_token` is no object.
    #[error("`vp_token` is no object")]
    VpTokenNotAnObject,
    /// An entry of `vp_token` is no array.
    #[error("`vp_token` has no array for `{id}`")]
    NotAnArray {
        /// The credential query.
        id: String,
    },
    /// An entry of `vp_token` is empty.
    #[error("`vp_token` has an empty array for `{id}`")]
    EmptyArray {
        /// The credential query.
        id: String,
    },
    /// An entry of an array is neither a string nor an object, or an empty string.
    #[error("`vp_token` holds for `{id}` what is no presentation")]
    NotAPresentation {
        /// The credential query.
        id: String,
    },
    /// There are more presentations than anybody asks for.
    #[error("the answer has more than {max} presentations")]
    TooManyPresentations {
        /// The limit.
        max: usize,
    },
    /// The answer is not what the query asks for.
    #[error(transparent)]
    Query(#[from] DcqlError),
}

impl ResponseError {
    /// A stable name of the check that failed.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::Form(error) => error.code(),
            Self::ResponseMissing => "response_missing",
            Self::Unencrypted => "response_unencrypted",
            Self::MixedParameters => "response_mixed_parameters",
            Self::KeyMissing => "response_key_missing",
            Self::Decryption(error) => error.code(),
            Self::Payload(error) => error.code(),
            Self::PayloadNotAnObject => "response_not_an_object",
            Self::StateMissing => "state_missing",
            Self::StateMismatch => "state_mismatch",
            Self::ErrorNotAString => "error_not_a_string",
            Self::ErrorAndVpToken => "error_and_vp_token",
            Self::VpTokenMissing => "vp_token_missing",
            Self::VpTokenNotAnObject => "vp_token_not_an_object",
            Self::NotAnArray { .. } => "vp_token_not_an_array",
            Self::EmptyArray { .. } => "vp_token_empty_array",
            Self::NotAPresentation { .. } => "vp_token_not_a_presentation",
            Self::TooManyPresentations { .. } => "vp_token_too_many_presentations",
            Self::Query(error) => error.code(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::jose::encrypt;

    const BOTH: [ContentEncryption; 2] = [ContentEncryption::A128Gcm, ContentEncryption::A256Gcm];
    const STATE: &str = "B3C_mS67N-e0tAdDs6Z30CNyF4KiRGr5";

    fn query() -> Query {
        let query = json!({
            "credentials": [
                {"id": "pid", "format": "dc+sd-jwt", "meta": {"vct_values": ["urn:eudi:pid:1"]}},
                {"id": "cards", "format": "dc+sd-jwt", "multiple": true, "meta": {"vct_values": ["urn:card"]},
                 "require_cryptographic_holder_binding": false}
            ],
            "credential_sets": [{"options": [["pid"]]}, {"options": [["cards"]], "required": false}]
        });
        Query::parse(&query, &Limits::default()).unwrap()
    }

    fn key() -> DecryptionKey {
        DecryptionKey::from_scalar(&[7; 32], "k1").unwrap()
    }

    fn form(parameters: &[(&str, &str)]) -> Vec<u8> {
        url::form_urlencoded::Serializer::new(String::new()).extend_pairs(parameters).finish().into_bytes()
    }

    fn read(mode: ResponseMode, body: &[u8]) -> Result<Answer, &'static str> {
        let (query, key, limits) = (query(), key(), Limits::default());
        let context =
            ResponseContext { mode, state: STATE, key: Some(&key), accepted: &BOTH, query: &query, limits: &limits };
        read_response(body, &context).map_err(|e| e.code())
    }

    fn plain(parameters: &[(&str, &str)]) -> Result<Answer, &'static str> {
        read(ResponseMode::DirectPost, &form(parameters))
    }

    fn jwe(payload: &str) -> String {
        encrypt(payload.as_bytes(), &key().public_jwk(), ContentEncryption::A256Gcm).unwrap()
    }

    fn encrypted(payload: &Value) -> Result<Answer, &'static str> {
        read(ResponseMode::DirectPostJwt, &form(&[("response", &jwe(&payload.to_string()))]))
    }

    fn presentations(answer: &[(&str, &[&str])]) -> Answer {
        let entries = |all: &[&str]| all.iter().map(|it| Value::from(*it)).collect();
        Answer::Presentations(answer.iter().map(|(id, all)| ((*id).to_owned(), entries(all))).collect())
    }

    #[test]
    fn an_answer_is_read_in_both_modes() {
        let both = presentations(&[("cards", &["c1~", "c2~"]), ("pid", &["p~"])]);
        let vp_token = json!({"cards": ["c1~", "c2~"], "pid": ["p~"]});
        assert_eq!(plain(&[("vp_token", &vp_token.to_string()), ("state", STATE)]), Ok(both.clone()));
        assert_eq!(encrypted(&json!({"vp_token": vp_token, "state": STATE})), Ok(both));
        // 8.1: what no standard names is ignored.
        let one = json!({"vp_token": {"pid": ["p~"]}, "state": STATE, "iss": "https://wallet.example", "x": {}});
        assert_eq!(encrypted(&one), Ok(presentations(&[("pid", &["p~"])])));
    }

    #[test]
    fn the_shape_of_vp_token_is_that_of_the_query() {
        for (code, vp_token) in [
            ("vp_token_not_an_object", json!("p~")),
            ("vp_token_not_an_object", json!(["p~"])),
            ("vp_token_not_an_object", json!(null)),
            ("vp_token_not_an_array", json!({"pid": "p~"})),
            ("vp_token_not_an_array", json!({"pid": {"0": "p~"}})),
            ("vp_token_empty_array", json!({"pid": []})),
            ("vp_token_empty_array", json!({"pid": ["p~"], "cards": []})),
            ("vp_token_not_a_presentation", json!({"pid": [7]})),
            ("vp_token_not_a_presentation", json!({"pid": [""]})),
            ("vp_token_not_a_presentation", json!({"pid": [null]})),
            ("vp_token_not_a_presentation", json!({"pid": [["p~"]]})),
            ("vp_token_too_many_presentations", json!({"pid": ["p~"], "cards": vec!["c~"; 16]})),
            ("credential_not_multiple", json!({"pid": ["p~", "q~"]})),
            ("credential_not_asked", json!({"pid": ["p~"], "other": ["o~"]})),
            ("credential_not_asked", json!({"PID": ["p~"]})),
            ("credential_set_unsatisfied", json!({"cards": ["c~"]})),
            ("nothing_presented", json!({})),
        ] {
            let text = vp_token.to_string();
            assert_eq!(plain(&[("vp_token", &text), ("state", STATE)]), Err(code), "{text}");
            assert_eq!(encrypted(&json!({"vp_token": vp_token, "state": STATE})), Err(code), "{text}");
        }
        let fifteen = json!({"pid": ["p~"], "cards": vec!["c~"; 15]}).to_string();
        assert!(plain(&[("vp_token", &fifteen), ("state", STATE)]).is_ok());
    }

    #[test]
    fn the_state_is_that_of_the_request() {
        let good = json!({"pid": ["p~"]});
        let text = good.to_string();
        assert_eq!(plain(&[("vp_token", &text)]), Err("state_missing"));
        assert_eq!(plain(&[("vp_token", &text), ("state", &STATE[1..])]), Err("state_mismatch"));
        assert_eq!(plain(&[("vp_token", &text), ("state", "")]), Err("state_mismatch"));
        assert_eq!(plain(&[("error", "access_denied")]), Err("state_missing"));
        assert_eq!(encrypted(&json!({"vp_token": good})), Err("state_missing"));
        assert_eq!(encrypted(&json!({"vp_token": good, "state": 7})), Err("state_missing"));
        assert_eq!(encrypted(&json!({"vp_token": good, "state": "x"})), Err("state_mismatch"));
        // Outside of the encryption it proves nothing, and inside it must stand all the same.
        let without = jwe(&json!({"vp_token": good}).to_string());
        let with = jwe(&json!({"vp_token": good, "state": STATE}).to_string());
        let outer = |jwe: &str, state: &str| {
            read(ResponseMode::DirectPostJwt, &form(&[("response", jwe), ("state", state)])).map(|_| ())
        };
        assert_eq!(outer(&without, STATE), Err("state_missing"));
        assert_eq!(outer(&with, "x"), Err("state_mismatch"));
        assert_eq!(outer(&with, STATE), Ok(()));
    }

    #[test]
    fn what_was_asked_for_encrypted_comes_encrypted() {
        let vp_token = json!({"pid": ["p~"]}).to_string();
        let clear = |parameters: &[(&str, &str)]| read(ResponseMode::DirectPostJwt, &form(parameters)).map(|_| ());
        assert_eq!(clear(&[("vp_token", &vp_token), ("state", STATE)]), Err("response_unencrypted"));
        assert_eq!(clear(&[("vp_token", &vp_token), ("error", "x"), ("state", STATE)]), Err("response_unencrypted"));
        assert_eq!(clear(&[("state", STATE)]), Err("response_missing"));
        assert_eq!(clear(&[]), Err("response_missing"));
        let jwe = jwe(&json!({"vp_token": {"pid": ["p~"]}, "state": STATE}).to_string());
        assert_eq!(clear(&[("response", &jwe), ("vp_token", &vp_token)]), Err("response_mixed_parameters"));
        assert_eq!(clear(&[("response", &jwe), ("error", "access_denied")]), Err("response_mixed_parameters"));
        assert_eq!(clear(&[("response", &jwe)]), Ok(()));

        // Asked for in clear, an encrypted answer is a parameter that nobody named.
        assert_eq!(plain(&[("response", &jwe), ("state", STATE)]), Err("vp_token_missing"));

        let (query, limits) = (query(), Limits::default());
        let context = ResponseContext {
            mode: ResponseMode::DirectPostJwt,
            state: STATE,
            key: None,
            accepted: &BOTH,
            query: &query,
            limits: &limits,
        };
        let body = form(&[("response", &jwe)]);
        assert_eq!(read_response(&body, &context).unwrap_err().code(), "response_key_missing");
        let key = key();
        let one = ResponseContext { key: Some(&key), accepted: &BOTH[..1], ..context };
        assert!(matches!(read_response(&body, &one), Err(ResponseError::Decryption(_))));
        let foreign = DecryptionKey::from_scalar(&[8; 32], "k1").unwrap();
        let other = ResponseContext { key: Some(&foreign), ..context };
        assert!(matches!(read_response(&body, &other), Err(ResponseError::Decryption(_))));
    }

    #[test]
    fn the_payload_is_strict_json_and_no_jwt() {
        let payload = |text: &str| read(ResponseMode::DirectPostJwt, &form(&[("response", &jwe(text))])).map(|_| ());
        let good = json!({"vp_token": {"pid": ["p~"]}, "state": STATE}).to_string();
        assert_eq!(payload(&good), Ok(()));
        assert_eq!(payload(&format!("[{good}]")), Err("response_not_an_object"));
        assert_eq!(payload("eyJhbGciOiJub25lIn0.e30."), Err("malformed_json"));
        assert_eq!(payload(&format!("{good} x")), Err("malformed_json"));
        assert_eq!(payload(&good.replace("\"state\"", "\"stat\\u0065\":\"x\",\"state\"")), Err("malformed_json"));
        let deep = format!("{}{}", "[".repeat(40), "]".repeat(40));
        assert_eq!(payload(&good.replace("\"p~\"", &deep)), Err("malformed_json"));
        assert_eq!(plain(&[("vp_token", "{'pid': ['p~']}"), ("state", STATE)]), Err("malformed_json"));
        assert_eq!(plain(&[("vp_token", ""), ("state", STATE)]), Err("malformed_json"));
    }

    #[test]
    fn a_wallet_may_decline_encrypted_or_in_clear() {
        let denied = |description: Option<&str>| {
            Ok(Answer::Error { code: "access_denied".to_owned(), description: description.map(str::to_owned) })
        };
        let clear = form(&[("error", "access_denied"), ("error_description", "no, thanks"), ("state", STATE)]);
        assert_eq!(read(ResponseMode::DirectPost, &clear), denied(Some("no, thanks")));
        assert_eq!(read(ResponseMode::DirectPostJwt, &clear), denied(Some("no, thanks")));
        assert_eq!(encrypted(&json!({"error": "access_denied", "state": STATE})), denied(None));
        let two = json!({"error": "access_denied", "vp_token": {"pid": ["p~"]}, "state": STATE});
        assert_eq!(encrypted(&two), Err("error_and_vp_token"));
        assert_eq!(
            encrypted(&json!({"error": null, "vp_token": {"pid": ["p~"]}, "state": STATE})),
            Err("error_and_vp_token")
        );
        assert_eq!(encrypted(&json!({"error": 7, "state": STATE})), Err("error_not_a_string"));
        assert_eq!(encrypted(&json!({"state": STATE})), Err("vp_token_missing"));
    }

    #[test]
    fn an_error_carries_nothing_that_could_be_rendered() {
        let long = format!("\u{1b}[2J<b onclick='x'>\r\nNein, \u{202e}danke{}", "é".repeat(1000));
        let answer = plain(&[("error", "<script>"), ("error_description", &long), ("state", STATE)]).unwrap();
        let Answer::Error { code, description: Some(description) } = answer else { panic!("{answer:?}") };
        assert_eq!(code, "other");
        assert!(description.starts_with("?[2J?b onclick=?x????Nein, ?dankeé"), "{description}");
        assert_eq!(description.chars().count(), DESCRIPTION_CHARS_MAX);
        for code in REGISTERED_ERRORS {
            let answer = plain(&[("error", code), ("state", STATE)]);
            assert_eq!(answer, Ok(Answer::Error { code: code.to_owned(), description: None }));
        }
        assert!(REGISTERED_ERRORS.is_sorted());
    }

    #[test]
    fn an_answer_is_not_printed() {
        let answer = presentations(&[("pid", &["eyJhbGciOiJFUzI1NiJ9.secret~"])]);
        assert_eq!(format!("{answer:?}"), r#"Presentations{"pid": 1}"#);
        let error = Answer::Error { code: "access_denied".to_owned(), description: Some("Ana said no".to_owned()) };
        assert!(!format!("{error:?}").contains("Ana"));
    }

    #[test]
    fn a_wallets_nonce_is_read_and_nothing_else_of_it() {
        let limits = Limits::default();
        let read = |body: &[u8]| read_request_post(body, &limits).map_err(|e| e.code());
        assert_eq!(read(b""), Ok(None));
        assert_eq!(read(b"wallet_metadata=not+even+JSON&x=1"), Ok(None));
        assert_eq!(read(b"wallet_nonce=kxbJ%2F%2FQQ%3D%3D&x=1"), Ok(Some("kxbJ//QQ==".to_owned())));
        assert_eq!(read(b"wallet_nonce="), Err("wallet_nonce"));
        assert_eq!(read(b"wallet_nonce=a+b"), Err("wallet_nonce"));
        assert_eq!(read(b"wallet_nonce=a%0A"), Err("wallet_nonce"));
        assert_eq!(read(b"wallet_nonce=%C3%A9"), Err("wallet_nonce"));
        assert_eq!(read(b"wallet_nonce=a&wallet_nonce=a"), Err("form_repeated_parameter"));
        let nonce = |length: usize| format!("wallet_nonce={}", "n".repeat(length)).into_bytes();
        assert!(read(&nonce(limits.wallet_nonce_bytes)).is_ok());
        assert_eq!(read(&nonce(limits.wallet_nonce_bytes + 1)), Err("wallet_nonce"));
        assert_eq!(read(&vec![b'a'; limits.request_post_bytes + 1]), Err("form_too_long"));
    }

    #[test]
    fn a_request_object_says_what_was_set_and_no_more() {
        let (client_id, query, key) = (ClientId::x509_hash(b"leaf"), query(), key().public_jwk());
        let response_uri = Url::parse("https://shop.example/wallet/response/p1").unwrap();
        let algorithms = json!(["ES256", "ES384", "ES512", "Ed25519"]);
        let supported = json!({"sd-jwt_alg_values": algorithms, "kb-jwt_alg_values": algorithms});
        let formats = BTreeMap::from([("dc+sd-jwt".to_owned(), supported)]);
        let request = RequestObject {
            client_id: &client_id,
            response_uri: &response_uri,
            response_mode: ResponseMode::DirectPostJwt,
            nonce: "n-0S6_WzA2Mj",
            state: STATE,
            query: &query,
            formats: &formats,
            transaction_data: &[],
            encryption_jwk: Some(&key),
            encryption_enc: &BOTH,
            wallet_nonce: None,
            client_name: None,
            iat: UnixTime::from_secs(1_700_000_000),
            exp: UnixTime::from_secs(1_700_000_300),
        };
        let algorithms = json!(["ES256", "ES384", "ES512", "Ed25519"]);
        let expected = json!({
            "response_type": "vp_token",
            "response_mode": "direct_post.jwt",
            "client_id": client_id.as_str(),
            "response_uri": "https://shop.example/wallet/response/p1",
            "nonce": "n-0S6_WzA2Mj",
            "state": STATE,
            "dcql_query": query,
            "client_metadata": {
                "jwks": {"keys": [key]},
                "vp_formats_supported": {
                    "dc+sd-jwt": {"sd-jwt_alg_values": algorithms, "kb-jwt_alg_values": algorithms}
                },
                "encrypted_response_enc_values_supported": ["A128GCM", "A256GCM"]
            },
            "aud": "https://self-issued.me/v2",
            "iat": 1_700_000_000,
            "exp": 1_700_000_300
        });
        assert_eq!(request.claims(), expected);

        let data = ["eyJ0eXBlIjoieCJ9".to_owned()];
        let more = RequestObject { wallet_nonce: Some("w"), transaction_data: &data, ..request.clone() }.claims();
        assert_eq!((&more["wallet_nonce"], &more["transaction_data"]), (&json!("w"), &json!(data)));
        let clear = RequestObject { response_mode: ResponseMode::DirectPost, encryption_jwk: None, ..request }.claims();
        assert_eq!(clear["response_mode"], "direct_post");
        let members: Vec<_> = clear["client_metadata"].as_object().unwrap().keys().collect();
        assert_eq!(members, ["vp_formats_supported"]);
    }

    #[test]
    fn a_client_identifier_is_one_only_with_its_prefix() {
        let hash = ClientId::x509_hash(b"leaf");
        assert_eq!(hash.as_str(), format!("x509_hash:{}", base64url_encode(&sha256(b"leaf"))));
        let dns = ClientId::x509_san_dns("shop.example");
        assert_eq!(dns.to_string(), "x509_san_dns:shop.example");
        for good in [hash, dns] {
            assert_eq!(good.as_str().parse(), Ok(good.clone()));
            let json = serde_json::to_value(&good).unwrap();
            assert_eq!(json, good.as_str());
            assert_eq!(serde_json::from_value::<ClientId>(json).unwrap(), good);
        }
        let refused = [
            "",
            "shop.example",
            "x509_hash:",
            "x509_hash:abc",
            "X509_san_dns:shop.example",
            "x509_san_dns:",
            "x509_san_dns:shop.example/x",
            "redirect_uri:https://shop.example",
            "origin:https://shop.example",
        ];
        for text in refused {
            assert_eq!(text.parse::<ClientId>(), Err(RequestError::ClientId), "{text}");
        }
    }

    #[test]
    fn a_link_opens_a_wallet_and_nothing_else() {
        let client_id = ClientId::x509_san_dns("shop.example");
        let request_uri = Url::parse("https://shop.example/wallet/request/p1").unwrap();
        let link = |endpoint: &str, post| wallet_link(endpoint, &client_id, &request_uri, post).map_err(|e| e.code());
        let query =
            "client_id=x509_san_dns%3Ashop.example&request_uri=https%3A%2F%2Fshop.example%2Fwallet%2Frequest%2Fp1";
        assert_eq!(link("openid4vp://", false), Ok(format!("openid4vp://?{query}")));
        assert_eq!(link("openid4vp:", false), Ok(format!("openid4vp:?{query}")));
        assert_eq!(
            link("haip-vp://authorize", true),
            Ok(format!("haip-vp://authorize?{query}&request_uri_method=post"))
        );
        assert_eq!(
            link("https://wallet.example/open?lang=de", false),
            Ok(format!("https://wallet.example/open?lang=de&{query}"))
        );
        assert_eq!(link("https://wallet.example", false), Ok(format!("https://wallet.example/?{query}")));
        assert!(link("http://localhost:8080/_dev/wallet", false).is_ok());
        assert!(link("http://127.0.0.1:8080/_dev/wallet", false).is_ok());
        for refused in [
            "",
            "wallet",
            "//wallet.example",
            "http://wallet.example",
            "http://localhost.wallet.example",
            "javascript:alert(1)//",
            "JavaScript:alert(1)",
            "data:text/html,x",
            "file:///etc/passwd",
            "https://wallet.example/#x",
            "https://user:pass@wallet.example/",
            "https://wallet.example/?client_id=x",
            "openid4vp://?request_uri=https://evil.example",
        ] {
            assert_eq!(link(refused, false), Err("wallet_endpoint"), "{refused}");
        }
    }

    #[test]
    fn transaction_data_are_encoded_once() {
        let query = query();
        let payload = || json!({"payload": {"amount_minor": 1999}}).as_object().unwrap().clone();
        let data = TransactionData::new("urn:pay", &["pid"], Some(&["sha-256"]), payload(), &query).unwrap();
        let decoded: Value = serde_json::from_slice(&base64url_decode(data.as_str()).unwrap()).unwrap();
        let expected = json!({"type": "urn:pay", "credential_ids": ["pid"], "payload": {"amount_minor": 1999},
            "transaction_data_hashes_alg": ["sha-256"]});
        assert_eq!(decoded, expected);
        assert_eq!(data.sha256(), base64url_encode(&sha256(data.as_str().as_bytes())));
        assert!(!format!("{data:?}").contains(data.as_str()));
        assert_eq!(serde_json::to_value(&data).unwrap(), data.as_str());

        let code = |kind, ids: &[&str], alg: Option<&[&str]>, payload| {
            TransactionData::new(kind, ids, alg, payload, &query).map(|_| ()).map_err(|e| e.code())
        };
        assert_eq!(code("urn:pay", &["pid"], None, payload()), Ok(()));
        assert_eq!(code("", &["pid"], None, payload()), Err("transaction_data_empty"));
        assert_eq!(code("urn:pay", &[], None, payload()), Err("transaction_data_empty"));
        assert_eq!(code("urn:pay", &["pid"], Some(&[]), payload()), Err("transaction_data_empty"));
        assert_eq!(code("urn:pay", &["other"], None, payload()), Err("transaction_data_credential"));
        // Asked for without the holder's proof, so nobody would have signed.
        assert_eq!(code("urn:pay", &["cards"], None, payload()), Err("transaction_data_credential"));
        for member in ["type", "credential_ids", "transaction_data_hashes_alg"] {
            let clash = json!({member: []}).as_object().unwrap().clone();
            assert_eq!(code("urn:pay", &["pid"], None, clash), Err("transaction_data_member"));
        }
    }
}
