//! What a wallet answers (OpenID4VP 1.0, section 8).

use std::{collections::BTreeSet, fmt};

use aws_lc_rs::constant_time::verify_slices_are_equal;
use serde_json::{Map, Value};

use super::{FormError, ResponseMode};
use crate::{
    limits::Limits,
    protocol::{
        dcql::{CredentialQuery, DcqlError, Query},
        form::Form,
        jose::{ContentEncryption, DecryptionKey, JoseError},
        json::{self, JsonError},
    },
};

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
    answer(parameters(form_body, context)?, context)
}

/// The parameters of an answer, out of its form and its encryption.
pub(crate) fn parameters(form_body: &[u8], context: &ResponseContext<'_>) -> Result<Map<String, Value>, ResponseError> {
    let mut form = Form::parse(form_body, context.limits.response_bytes)?;
    match (context.mode, form.take("response")) {
        (ResponseMode::DirectPostJwt, Some(jwe)) => {
            // Whoever reads both could be made to believe the one that nobody encrypted.
            if form.has("vp_token") || form.has("error") {
                return Err(ResponseError::MixedParameters);
            }
            if let Some(state) = form.take("state") {
                check_state(Some(&state.into()), context.state)?;
            }
            decrypted(&jwe, context.key.ok_or(ResponseError::KeyMissing)?, context.accepted, context.limits)
        }
        // 8.3: what was asked for encrypted comes encrypted, or TLS ends where somebody else reads.
        (ResponseMode::DirectPostJwt, None) if form.has("vp_token") => Err(ResponseError::Unencrypted),
        // 8.3.1: a wallet that cannot encrypt may say so in clear.
        (ResponseMode::DirectPostJwt, None) if !form.has("error") => Err(ResponseError::ResponseMissing),
        (ResponseMode::DirectPostJwt | ResponseMode::DirectPost, _) => parameters_in_clear(form, context.limits),
    }
}

/// The payload of the JWE: the parameters as plain JSON (8.3). A JWT in it, signed or not, is refused by being none.
pub(super) fn decrypted(
    jwe: &str,
    key: &DecryptionKey,
    accepted: &[ContentEncryption],
    limits: &Limits,
) -> Result<Map<String, Value>, ResponseError> {
    let payload = key.decrypt(jwe, accepted, limits).map_err(ResponseError::Decryption)?;
    match json::parse(&payload, limits.json_depth).map_err(ResponseError::Payload)? {
        Value::Object(parameters) => Ok(parameters),
        _ => Err(ResponseError::PayloadNotAnObject),
    }
}

/// What the parameters of an answer say.
pub(crate) fn answer(parameters: Map<String, Value>, context: &ResponseContext<'_>) -> Result<Answer, ResponseError> {
    check_state(parameters.get("state"), context.state)?;
    content(parameters, context.query, context.limits)
}

/// The answer itself, however it came.
pub(super) fn content(
    mut parameters: Map<String, Value>,
    query: &Query,
    limits: &Limits,
) -> Result<Answer, ResponseError> {
    match (parameters.remove("error"), parameters.remove("vp_token")) {
        (Some(_), Some(_)) => Err(ResponseError::ErrorAndVpToken),
        (Some(Value::String(code)), None) => {
            let registered = REGISTERED_ERRORS.contains(&code.as_str());
            let description = parameters.get("error_description").and_then(Value::as_str).map(harmless);
            // 8.5: a code goes where strings are compared and shown; only those that somebody defined get there.
            Ok(Answer::Error { code: if registered { code } else { OTHER_ERROR.to_owned() }, description })
        }
        (Some(_), None) => Err(ResponseError::ErrorNotAString),
        (None, Some(Value::Object(vp_token))) => presentations(vp_token, query, limits).map(Answer::Presentations),
        (None, Some(_)) => Err(ResponseError::VpTokenNotAnObject),
        (None, None) => Err(ResponseError::VpTokenMissing),
    }
}

/// Compared in constant time: the state is what an attacker who floods the endpoint would have to guess (14.3.2).
pub(crate) fn check_state(state: Option<&Value>, expected: &str) -> Result<(), ResponseError> {
    let state = state.and_then(Value::as_str).ok_or(ResponseError::StateMissing)?;
    verify_slices_are_equal(state.as_bytes(), expected.as_bytes()).map_err(|_| ResponseError::StateMismatch)
}

/// Section 8.1.
fn presentations(
    vp_token: Map<String, Value>,
    query: &Query,
    limits: &Limits,
) -> Result<Vec<(String, Vec<Value>)>, ResponseError> {
    let max = limits.presentations;
    let mut answered = BTreeSet::new();
    let mut presentations = Vec::new();
    let mut total = 0_usize;
    for (id, entries) in vp_token {
        let asked = query.credential(&id).ok_or(DcqlError::NotAsked)?;
        let entries = entries_for(asked, entries)?;
        total = total.saturating_add(entries.len());
        if total > max {
            return Err(ResponseError::TooManyPresentations { max });
        }
        answered.insert(asked.id.as_str());
        presentations.push((id, entries));
    }
    // Seen again after verification; what is incomplete already is not worth verifying.
    query.satisfied_by(&answered)?;
    Ok(presentations)
}

/// What stands in `vp_token` under the id of one credential query.
pub(crate) fn entries_for(query: &CredentialQuery, entries: Value) -> Result<Vec<Value>, ResponseError> {
    let id = || query.id.clone();
    let Value::Array(entries) = entries else { return Err(ResponseError::NotAnArray { id: id() }) };
    if entries.is_empty() {
        return Err(ResponseError::EmptyArray { id: id() });
    }
    query.counts(entries.len())?;
    if !entries.iter().all(|entry| entry.is_object() || entry.as_str().is_some_and(|text| !text.is_empty())) {
        return Err(ResponseError::NotAPresentation { id: id() });
    }
    Ok(entries)
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
    use serde_json::json;

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
}
