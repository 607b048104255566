//! The OAuth messages of issuing: a pushed authorization request (RFC 9126) with PKCE (RFC 7636), the authorization
//! request that refers to it, and the token request (OpenID4VCI 1.0, sections 5 and 6).

use std::fmt;

use aws_lc_rs::constant_time::verify_slices_are_equal;
use serde_json::Value;
use url::{Url, form_urlencoded};

use super::{
    Offered,
    offer::{AUTHORIZATION_CODE, PRE_AUTHORIZED},
};
use crate::{
    limits::Limits,
    protocol::{
        form::{Form, FormError},
        jose::{Thumbprint, base64url_decode, base64url_encode, sha256},
        json,
    },
};

/// The type of authorization details that asks for a credential (section 5.1.1).
pub const OPENID_CREDENTIAL: &str = "openid_credential";
/// What a `request_uri` of ours begins with (RFC 9126, 2.2).
pub const REQUEST_URI_PREFIX: &str = "urn:ietf:params:oauth:request_uri:";

/// The largest form that is read, in bytes.
pub const FORM_BYTES_MAX: usize = 16 * 1024;
/// The longest value of ours that comes back: a code, a token, a state.
const OURS_BYTES_MAX: usize = 512;
/// The longest value that a wallet chooses, such as `state`.
const THEIRS_BYTES_MAX: usize = 2 * 1024;
/// Objects in `authorization_details`.
const DETAILS_MAX: usize = 8;

/// What is asked for, by either of the two ways that the standard has (section 3.3.4).
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct Asked {
    /// By `scope`.
    pub scope: bool,
    /// The configurations named by `authorization_details`, each once: then the answer names credential identifiers.
    pub details: Vec<String>,
}

/// A `code_challenge` with the method S256; `plain` is not taken (RFC 7636, 7.2).
#[derive(Clone, PartialEq, Eq)]
pub struct CodeChallenge(String);

impl CodeChallenge {
    /// The challenge of this text: 43 characters of base64url.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        (base64url_decode(text).ok()?.len() == 32).then(|| Self(text.to_owned()))
    }

    /// The challenge that this verifier meets: the wallet's side.
    #[must_use]
    pub fn of(verifier: &str) -> Self {
        Self(base64url_encode(&sha256(verifier.as_bytes())))
    }

    /// As it is sent.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether `verifier` is the secret behind it (RFC 7636, 4.6): 43 to 128 unreserved characters.
    #[must_use]
    pub fn is_met_by(&self, verifier: &str) -> bool {
        let unreserved = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'.' | b'_' | b'~');
        (43..=128).contains(&verifier.len())
            && verifier.bytes().all(unreserved)
            && verify_slices_are_equal(Self::of(verifier).0.as_bytes(), self.0.as_bytes()).is_ok()
    }
}

impl fmt::Debug for CodeChallenge {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("CodeChallenge([redacted])")
    }
}

/// A pushed authorization request. The `redirect_uri` is as it was sent: whether it is registered is for whoever knows
/// the client.
#[derive(Clone)]
pub struct PushedRequest {
    /// Which wallet asks.
    pub client_id: String,
    /// Where the answer goes.
    pub redirect_uri: String,
    /// What the wallet wants back with the answer.
    pub state: Option<String>,
    /// What the token request must meet.
    pub code_challenge: CodeChallenge,
    /// What is asked for.
    pub asked: Asked,
    /// What the offer told the wallet to bring. Not believed by itself: anybody can put one in (section 5.1.3).
    pub issuer_state: Option<String>,
    /// The key that the code is bound to (RFC 9449, 10).
    pub dpop_jkt: Option<Thumbprint>,
}

impl PushedRequest {
    /// Reads the form; `offered` is what we issue. Parameters that are not known are ignored.
    ///
    /// # Errors
    /// The first rule that it breaks.
    pub fn read(body: &[u8], offered: Offered<'_>, limits: &Limits) -> Result<Self, OAuthError> {
        let mut form = Form::parse(body, FORM_BYTES_MAX)?;
        // RFC 9126, 2.1: a pushed request refers to no other.
        if form.has("request_uri") {
            return Err(OAuthError::Malformed("request_uri"));
        }
        if form.has("request") {
            return Err(OAuthError::RequestObject);
        }
        if take(&mut form, "response_type", THEIRS_BYTES_MAX)?.ok_or(OAuthError::Missing("response_type"))? != "code" {
            return Err(OAuthError::ResponseType);
        }
        if take(&mut form, "response_mode", THEIRS_BYTES_MAX)?.is_some_and(|mode| mode != "query") {
            return Err(OAuthError::Malformed("response_mode"));
        }
        let client_id = take(&mut form, "client_id", THEIRS_BYTES_MAX)?.ok_or(OAuthError::Missing("client_id"))?;
        let redirect_uri =
            take(&mut form, "redirect_uri", THEIRS_BYTES_MAX)?.ok_or(OAuthError::Missing("redirect_uri"))?;
        let challenge =
            take(&mut form, "code_challenge", THEIRS_BYTES_MAX)?.ok_or(OAuthError::Missing("code_challenge"))?;
        // Without the parameter it is `plain` (RFC 7636, 4.3), which keeps nothing from whoever sees the request.
        if take(&mut form, "code_challenge_method", THEIRS_BYTES_MAX)?.is_none_or(|method| method != "S256") {
            return Err(OAuthError::ChallengeMethod);
        }
        let code_challenge = CodeChallenge::parse(&challenge).ok_or(OAuthError::Malformed("code_challenge"))?;
        let asked = asked(&mut form, &[offered], limits)?;
        if !asked.scope && asked.details.is_empty() {
            return Err(OAuthError::Scope);
        }
        let dpop_jkt = take(&mut form, "dpop_jkt", OURS_BYTES_MAX)?;
        Ok(Self {
            client_id,
            redirect_uri,
            state: take(&mut form, "state", THEIRS_BYTES_MAX)?,
            code_challenge,
            asked,
            issuer_state: take(&mut form, "issuer_state", OURS_BYTES_MAX)?,
            dpop_jkt: dpop_jkt.map(|text| text.parse().map_err(|_| OAuthError::Malformed("dpop_jkt"))).transpose()?,
        })
    }
}

impl fmt::Debug for PushedRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PushedRequest").field("client_id", &self.client_id).finish_non_exhaustive()
    }
}

/// Reads the query of an authorization request: the client, and the name of the request that it pushed.
///
/// # Errors
/// If it is none of ours: every request is pushed.
pub fn read_authorization_request(query: &str) -> Result<(String, String), OAuthError> {
    let mut form = Form::parse(query.as_bytes(), FORM_BYTES_MAX)?;
    let client_id = take(&mut form, "client_id", THEIRS_BYTES_MAX)?.ok_or(OAuthError::Missing("client_id"))?;
    let uri = take(&mut form, "request_uri", OURS_BYTES_MAX)?.ok_or(OAuthError::Missing("request_uri"))?;
    let name = uri.strip_prefix(REQUEST_URI_PREFIX).ok_or(OAuthError::Malformed("request_uri"))?;
    Ok((client_id, name.to_owned()))
}

/// Where a wallet is answered: exactly the registered address, with these parameters behind its own query
/// (RFC 6749, 4.1.2; `iss`: RFC 9207).
#[must_use]
pub fn redirect(registered: &str, parameters: &[(&str, &str)]) -> String {
    let query = form_urlencoded::Serializer::new(String::new()).extend_pairs(parameters).finish();
    let between = match registered.split_once('?') {
        None => "?",
        Some((_, "")) => "",
        Some(_) => "&",
    };
    format!("{registered}{between}{query}")
}

/// Whether a wallet may be registered with this address: absolute, without fragment, user or white space, https or a
/// scheme of the wallet's own; http on this machine alone (RFC 8252, 7).
#[must_use]
pub fn may_be_registered(redirect_uri: &str) -> bool {
    let Ok(url) = Url::parse(redirect_uri) else { return false };
    let scheme = match url.scheme() {
        "https" => url.has_host(),
        "http" => crate::protocol::openid4vp::is_loopback(&url),
        "ws" | "wss" | "ftp" | "file" | "about" | "blob" | "data" | "javascript" | "vbscript" => false,
        _ => true,
    };
    scheme
        && redirect_uri.len() <= THEIRS_BYTES_MAX
        && redirect_uri.bytes().all(|b| b.is_ascii_graphic() && !matches!(b, b'\\' | b'"' | b'<' | b'>'))
        && url.fragment().is_none()
        && url.username().is_empty()
        && url.password().is_none()
}

/// How a wallet asks for a token.
#[derive(Clone)]
pub struct TokenRequest {
    /// What it has to show for it.
    pub grant: Grant,
    /// Which wallet it says to be, if it says so.
    pub client_id: Option<String>,
    /// What it asks for; for a code this narrows nothing, since there is one credential in formats that say the same.
    pub asked: Asked,
}

/// What a wallet has that it wants a token for.
#[derive(Clone)]
pub enum Grant {
    /// The code of an offer (section 6.1).
    PreAuthorized {
        /// The code.
        code: String,
        /// What its owner typed.
        tx_code: Option<String>,
    },
    /// The code that the authorization endpoint gave.
    AuthorizationCode {
        /// The code.
        code: String,
        /// Where it was sent.
        redirect_uri: Option<String>,
        /// The secret behind the challenge.
        code_verifier: Option<String>,
    },
    /// A refresh token (RFC 6749, 6).
    Refresh {
        /// The token.
        token: String,
    },
}

impl TokenRequest {
    /// Reads the form; `offered` is all that we issue. Whether what it shows is good for what it asks is for whoever looks
    /// that up.
    ///
    /// # Errors
    /// The first rule that it breaks.
    pub fn read(body: &[u8], offered: &[Offered<'_>], limits: &Limits) -> Result<Self, OAuthError> {
        let mut form = Form::parse(body, FORM_BYTES_MAX)?;
        let kind = take(&mut form, "grant_type", OURS_BYTES_MAX)?.ok_or(OAuthError::Missing("grant_type"))?;
        let mut ours = |name: &'static str| take(&mut form, name, OURS_BYTES_MAX);
        let grant = match kind.as_str() {
            PRE_AUTHORIZED => Grant::PreAuthorized {
                code: ours("pre-authorized_code")?.ok_or(OAuthError::Missing("pre-authorized_code"))?,
                tx_code: ours("tx_code")?,
            },
            AUTHORIZATION_CODE => Grant::AuthorizationCode {
                code: ours("code")?.ok_or(OAuthError::Missing("code"))?,
                code_verifier: ours("code_verifier")?,
                redirect_uri: take(&mut form, "redirect_uri", THEIRS_BYTES_MAX)?,
            },
            "refresh_token" => {
                Grant::Refresh { token: ours("refresh_token")?.ok_or(OAuthError::Missing("refresh_token"))? }
            }
            _ => return Err(OAuthError::GrantType),
        };
        // "This parameter MUST only be used if the grant_type is ..pre-authorized_code" (section 6.1).
        if !matches!(grant, Grant::PreAuthorized { .. }) && form.has("tx_code") {
            return Err(OAuthError::Malformed("tx_code"));
        }
        let client_id = take(&mut form, "client_id", THEIRS_BYTES_MAX)?;
        Ok(Self { grant, client_id, asked: asked(&mut form, offered, limits)? })
    }
}

impl fmt::Debug for TokenRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TokenRequest").field("grant", &self.grant).finish_non_exhaustive()
    }
}

impl fmt::Debug for Grant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::PreAuthorized { .. } => "PreAuthorized([redacted])",
            Self::AuthorizationCode { .. } => "AuthorizationCode([redacted])",
            Self::Refresh { .. } => "Refresh([redacted])",
        })
    }
}

/// Why an OAuth message is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum OAuthError {
    /// It is no form, too long, or has a parameter twice.
    #[error(transparent)]
    Form(#[from] FormError),
    /// A parameter is missing.
    #[error("`{0}` is missing")]
    Missing(&'static str),
    /// A parameter is not what it must be.
    #[error("`{0}` is not what it must be")]
    Malformed(&'static str),
    /// A grant type that is not known.
    #[error("the grant type is none of those supported")]
    GrantType,
    /// Another response type than `code`.
    #[error("the response type must be code")]
    ResponseType,
    /// A signed request object (RFC 9101).
    #[error("request objects are not taken: push the parameters themselves")]
    RequestObject,
    /// Neither the scope nor the details of what is issued here.
    #[error("ask for the credential by its scope or by authorization_details")]
    Scope,
    /// Authorization details that are none, or of something else (RFC 9396, 5).
    #[error("authorization_details must be objects of type openid_credential for what is issued here")]
    AuthorizationDetails,
    /// No PKCE, or with another method than S256.
    #[error("code_challenge_method must be S256")]
    ChallengeMethod,
}

impl OAuthError {
    /// A stable name of the check that failed.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::Form(error) => error.code(),
            Self::Missing(_) => "oauth_parameter_missing",
            Self::Malformed(_) => "oauth_parameter",
            Self::GrantType => "oauth_grant_type",
            Self::ResponseType => "oauth_response_type",
            Self::RequestObject => "oauth_request_object",
            Self::Scope => "oauth_scope",
            Self::AuthorizationDetails => "oauth_authorization_details",
            Self::ChallengeMethod => "oauth_code_challenge_method",
        }
    }

    /// The standard's own name for it (RFC 6749, 4.1.2.1 and 5.2; RFC 9101, 7; RFC 9396, 5).
    #[must_use]
    pub const fn oauth(&self) -> &'static str {
        match self {
            Self::Form(_) | Self::Missing(_) | Self::Malformed(_) | Self::ChallengeMethod => "invalid_request",
            Self::GrantType => "unsupported_grant_type",
            Self::ResponseType => "unsupported_response_type",
            Self::RequestObject => "request_not_supported",
            Self::Scope => "invalid_scope",
            Self::AuthorizationDetails => "invalid_authorization_details",
        }
    }
}

/// Takes a parameter of at most `max` visible ASCII characters. An empty one is one that was not sent (RFC 6749, 3.1).
fn take(form: &mut Form, name: &'static str, max: usize) -> Result<Option<String>, OAuthError> {
    match form.take(name) {
        None => Ok(None),
        Some(value) if value.is_empty() => Ok(None),
        // RFC 6749, appendix A: VSCHAR; `scope` and `state` have spaces.
        Some(value) if value.len() <= max && value.bytes().all(|b| b.is_ascii_graphic() || b == b' ') => {
            Ok(Some(value))
        }
        Some(_) => Err(OAuthError::Malformed(name)),
    }
}

/// What the form asks for. Scopes that are not known are ignored (section 5.1.2).
fn asked(form: &mut Form, offered: &[Offered<'_>], limits: &Limits) -> Result<Asked, OAuthError> {
    let scope = take(form, "scope", THEIRS_BYTES_MAX)?;
    let scope =
        scope.is_some_and(|scope| scope.split(' ').any(|one| offered.iter().any(|offered| one == offered.scope)));
    let Some(text) = form.take("authorization_details").filter(|text| !text.is_empty()) else {
        return Ok(Asked { scope, details: Vec::new() });
    };
    let wrong = OAuthError::AuthorizationDetails;
    let all = json::parse(text.as_bytes(), limits.json_depth).map_err(|_| wrong.clone())?;
    let all = all.as_array().filter(|all| (1..=DETAILS_MAX).contains(&all.len())).ok_or(wrong.clone())?;
    let ours = |one: &Value| {
        let is_type = one.get("type").and_then(Value::as_str) == Some(OPENID_CREDENTIAL);
        let id = one.get("credential_configuration_id").and_then(Value::as_str).filter(|_| is_type)?;
        offered.iter().any(|offered| offered.format(id).is_some()).then(|| id.to_owned())
    };
    let mut details = Vec::new();
    for one in all {
        let id = ours(one).ok_or(wrong.clone())?;
        if !details.contains(&id) {
            details.push(id);
        }
    }
    Ok(Asked { scope, details })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::openid4vci::CredentialFormat;

    const OFFERED: Offered<'_> = Offered {
        scope: "relationship",
        configurations: &[("relationship", CredentialFormat::SdJwtVc), ("other", CredentialFormat::Mdoc)],
    };
    const VERIFIER: &str = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";

    fn form(parameters: &[(&str, &str)]) -> Vec<u8> {
        form_urlencoded::Serializer::new(String::new()).extend_pairs(parameters).finish().into_bytes()
    }

    fn pushed() -> Vec<(&'static str, &'static str)> {
        vec![
            ("response_type", "code"),
            ("client_id", "https://wallet.example"),
            ("redirect_uri", "https://wallet.example/cb"),
            ("state", "a state"),
            ("code_challenge", "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM"),
            ("code_challenge_method", "S256"),
            ("scope", "other relationship"),
            ("issuer_state", "ours"),
        ]
    }

    fn push(parameters: &[(&str, &str)]) -> Result<PushedRequest, OAuthError> {
        PushedRequest::read(&form(parameters), OFFERED, &Limits::default())
    }

    #[test]
    fn a_challenge_is_met_by_its_verifier() {
        // RFC 7636, appendix B.
        let challenge = CodeChallenge::parse("E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM").unwrap();
        assert!(challenge.is_met_by(VERIFIER));
        assert!(!challenge.is_met_by(&VERIFIER.replace('d', "e")));
        for wrong in ["", "short", challenge.as_str()] {
            assert!(!challenge.is_met_by(wrong), "{wrong}");
        }
        // The right digest of a text that no verifier may be.
        for text in ["x".repeat(42), "x".repeat(129), format!("{}!", "x".repeat(43))] {
            assert!(!CodeChallenge::of(&text).is_met_by(&text), "{text}");
        }
        assert!(CodeChallenge::parse(VERIFIER).is_some(), "32 bytes are 32 bytes");
        for wrong in ["", "E9Melhoa", "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM="] {
            assert!(CodeChallenge::parse(wrong).is_none(), "{wrong}");
        }
    }

    #[test]
    fn a_pushed_request_is_read() {
        let request = push(&pushed()).unwrap();
        assert_eq!(request.redirect_uri, "https://wallet.example/cb");
        assert_eq!(request.state.as_deref(), Some("a state"));
        assert_eq!(request.asked, Asked { scope: true, details: Vec::new() });
        assert_eq!(request.issuer_state.as_deref(), Some("ours"));

        let mut by_details = pushed();
        by_details.retain(|(name, _)| *name != "scope");
        let one =
            |id: &str| format!(r#"{{"type":"openid_credential","credential_configuration_id":"{id}","locations":[]}}"#);
        for (ids, found) in [
            (vec!["relationship"], Some(vec!["relationship"])),
            (vec!["other", "relationship", "other"], Some(vec!["other", "relationship"])),
            (vec!["other", "another"], None),
        ] {
            let details = format!("[{}]", ids.into_iter().map(one).collect::<Vec<_>>().join(","));
            let asked = [&by_details[..], &[("authorization_details", details.as_str())]].concat();
            let asked = push(&asked).ok().map(|request| request.asked);
            let details = found.map(|ids| ids.into_iter().map(str::to_owned).collect());
            assert_eq!(asked, details.map(|details| Asked { scope: false, details }));
        }
    }

    #[test]
    fn a_pushed_request_with_one_thing_wrong_is_refused() {
        for (name, value, code, oauth) in [
            ("response_type", "token", "oauth_response_type", "unsupported_response_type"),
            ("response_type", "", "oauth_parameter_missing", "invalid_request"),
            ("response_mode", "fragment", "oauth_parameter", "invalid_request"),
            ("client_id", "", "oauth_parameter_missing", "invalid_request"),
            ("redirect_uri", "", "oauth_parameter_missing", "invalid_request"),
            ("redirect_uri", "https://wallet.example/cb\n", "oauth_parameter", "invalid_request"),
            ("code_challenge", "", "oauth_parameter_missing", "invalid_request"),
            ("code_challenge", "short", "oauth_parameter", "invalid_request"),
            ("code_challenge_method", "plain", "oauth_code_challenge_method", "invalid_request"),
            ("code_challenge_method", "", "oauth_code_challenge_method", "invalid_request"),
            ("scope", "relationships", "oauth_scope", "invalid_scope"),
            ("scope", "", "oauth_scope", "invalid_scope"),
            ("request_uri", "urn:x", "oauth_parameter", "invalid_request"),
            ("request", "eyJ", "oauth_request_object", "request_not_supported"),
            ("dpop_jkt", "x", "oauth_parameter", "invalid_request"),
            ("authorization_details", "{}", "oauth_authorization_details", "invalid_authorization_details"),
            ("authorization_details", "[]", "oauth_authorization_details", "invalid_authorization_details"),
            ("authorization_details", "[1]", "oauth_authorization_details", "invalid_authorization_details"),
        ] {
            let mut bent = pushed();
            bent.retain(|(known, _)| *known != name);
            bent.push((name, value));
            let error = push(&bent).unwrap_err();
            assert_eq!((error.code(), error.oauth()), (code, oauth), "{name}={value}");
        }
        let mut twice = pushed();
        twice.push(("client_id", "other"));
        assert_eq!(push(&twice).unwrap_err().code(), "form_repeated_parameter");
    }

    #[test]
    fn a_token_request_is_read() {
        let read = |parameters: &[(&str, &str)]| {
            TokenRequest::read(&form(parameters), &[OFFERED], &Limits::default()).map_err(|e| e.oauth())
        };
        let offered = read(&[("grant_type", PRE_AUTHORIZED), ("pre-authorized_code", "c"), ("tx_code", "123456")]);
        assert!(
            matches!(offered.unwrap().grant, Grant::PreAuthorized { code, tx_code: Some(tx) } if code == "c" && tx == "123456")
        );
        let code = read(&[("grant_type", "authorization_code"), ("code", "c"), ("code_verifier", VERIFIER)]);
        assert!(matches!(code.unwrap().grant, Grant::AuthorizationCode { redirect_uri: None, .. }));
        let refresh = read(&[("grant_type", "refresh_token"), ("refresh_token", "r"), ("client_id", "w")]).unwrap();
        assert_eq!(refresh.client_id.as_deref(), Some("w"));
        assert!(!format!("{refresh:?}").contains("\"r\""));

        assert_eq!(read(&[]).unwrap_err(), "invalid_request");
        assert_eq!(read(&[("grant_type", "password")]).unwrap_err(), "unsupported_grant_type");
        assert_eq!(read(&[("grant_type", PRE_AUTHORIZED)]).unwrap_err(), "invalid_request");
        assert_eq!(read(&[("grant_type", "refresh_token"), ("refresh_token", "é")]).unwrap_err(), "invalid_request");
        let strange = [("grant_type", "authorization_code"), ("code", "c"), ("tx_code", "1")];
        assert_eq!(read(&strange).unwrap_err(), "invalid_request");
    }

    #[test]
    fn an_authorization_request_refers_to_a_pushed_one() {
        let read = |query: &str| read_authorization_request(query).map_err(|e| e.code());
        let uri = "request_uri=urn%3Aietf%3Aparams%3Aoauth%3Arequest_uri%3Aabc";
        assert_eq!(read(&format!("client_id=w&{uri}")), Ok(("w".to_owned(), "abc".to_owned())));
        assert_eq!(read(uri), Err("oauth_parameter_missing"));
        assert_eq!(read("client_id=w&response_type=code"), Err("oauth_parameter_missing"));
        assert_eq!(read("client_id=w&request_uri=https%3A%2F%2Fevil.example%2F"), Err("oauth_parameter"));
    }

    #[test]
    fn an_answer_goes_exactly_where_it_was_registered() {
        for (registered, expected) in [
            ("https://wallet.example/cb", "https://wallet.example/cb?code=a+b&iss=https%3A%2F%2Fs"),
            ("https://wallet.example/cb?x=1", "https://wallet.example/cb?x=1&code=a+b&iss=https%3A%2F%2Fs"),
            ("https://wallet.example/cb?", "https://wallet.example/cb?code=a+b&iss=https%3A%2F%2Fs"),
            ("com.wallet:/cb", "com.wallet:/cb?code=a+b&iss=https%3A%2F%2Fs"),
        ] {
            assert_eq!(redirect(registered, &[("code", "a b"), ("iss", "https://s")]), expected);
        }
        for fine in ["https://wallet.example/cb", "com.wallet:/cb", "http://localhost:3000/cb", "haip://?x=1"] {
            assert!(may_be_registered(fine), "{fine}");
        }
        for wrong in [
            "",
            "/cb",
            "http://wallet.example/cb",
            "javascript:alert(1)",
            "data:text/html,x",
            "https://wallet.example/cb#x",
            "https://u@wallet.example/cb",
            "https://wallet.example/cb\n",
            "https://wallet.example\\cb",
        ] {
            assert!(!may_be_registered(wrong), "{wrong}");
        }
    }
}
