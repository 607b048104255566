//! OpenID4VP over the Digital Credentials API of a browser (OpenID4VP 1.0, annex A), the verifier's side: what a page hands
//! to `navigator.credentials.get`, and what comes back from there.
//!
//! There is neither a link nor an address to post to: the browser carries the question to a wallet, tells the wallet which
//! origin asks, and brings the answer back to the page. So there is no `state`, no `response_uri` and no `redirect_uri`
//! (A.2), and a holder's proof is made for the origin, in [`Channel::DcApi`](crate::format::Channel::DcApi).

use std::{collections::BTreeMap, fmt, str::FromStr};

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use super::{
    AUDIENCE, Answer, ClientId, ResponseError, request,
    response::{content, decrypted},
};
use crate::{
    limits::Limits,
    protocol::{
        dcql::Query,
        jose::{ContentEncryption, DecryptionKey},
    },
    time::UnixTime,
};

/// The `response_mode` of every request: encrypted to a key made for it alone. HAIP 1.0, 5.2, allows nothing else.
pub const RESPONSE_MODE: &str = "dc_api.jwt";

/// What a browser calls a way to ask (A.1): the `protocol` beside the `data`, in a request and in an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[non_exhaustive]
pub enum Protocol {
    /// A signed request: the wallet knows who asks by a certificate, and that it may ask from this origin.
    #[serde(rename = "openid4vp-v1-signed")]
    Signed,
    /// An unsigned request: the wallet knows who asks by the origin, as the browser tells it.
    #[serde(rename = "openid4vp-v1-unsigned")]
    Unsigned,
    /// A request of ISO/IEC TS 18013-7, annex C: what wallets speak that know no OpenID4VP. It asks for one document.
    #[serde(rename = "org-iso-mdoc")]
    IsoMdoc,
}

impl Protocol {
    /// All of them, in the order in which a browser is to prefer them.
    pub const ALL: [Self; 3] = [Self::Signed, Self::Unsigned, Self::IsoMdoc];

    /// Those of OpenID4VP.
    pub const OPENID4VP: [Self; 2] = [Self::Signed, Self::Unsigned];

    /// Its name.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Signed => "openid4vp-v1-signed",
            Self::Unsigned => "openid4vp-v1-unsigned",
            Self::IsoMdoc => "org-iso-mdoc",
        }
    }
}

impl fmt::Display for Protocol {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A name that is no protocol of ours.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a protocol that was asked with")]
pub struct NotAProtocol;

impl FromStr for Protocol {
    type Err = NotAProtocol;

    fn from_str(name: &str) -> Result<Self, NotAProtocol> {
        Self::ALL.into_iter().find(|protocol| protocol.name() == name).ok_or(NotAProtocol)
    }
}

/// Everything that a request over the Digital Credentials API says.
#[derive(Clone, Debug)]
pub struct DcRequest<'a> {
    /// Fresh for each request and each protocol, at least 128 random bits, of the characters `A-Z a-z 0-9 - . _ ~` (5.2).
    pub nonce: &'a str,
    /// What is asked for.
    pub query: &'a Query,
    /// `vp_formats_supported`: what we can verify of each format that the query asks for.
    pub formats: &'a BTreeMap<String, Value>,
    /// [`TransactionData`](super::TransactionData) to be authorised, each exactly as it is hashed later. Empty: the
    /// parameter is left out.
    pub transaction_data: &'a [String],
    /// The public key made for this answer, with `kid`, `use` and `alg` (8.3).
    pub encryption_jwk: &'a Value,
    /// What may encrypt the answer; HAIP 5 demands both.
    pub encryption_enc: &'a [ContentEncryption],
    /// What others say of us, each an object with `format` and `data` (5.1, 5.11). Empty: the parameter is left out.
    pub verifier_info: &'a [Value],
}

impl DcRequest<'_> {
    /// The `data` of an unsigned request (A.3.1): the parameters themselves. No `client_id`: who asks is the origin, and a
    /// wallet is told that by the browser.
    #[must_use]
    pub fn parameters(&self) -> Map<String, Value> {
        let mut parameters = Map::new();
        let mut say = |name: &str, value: Value| parameters.insert(name.to_owned(), value);
        say("response_type", "vp_token".into());
        say("response_mode", RESPONSE_MODE.into());
        say("nonce", self.nonce.into());
        say("dcql_query", json!(self.query));
        say(
            "client_metadata",
            request::client_metadata(self.formats, Some(self.encryption_jwk), self.encryption_enc, None),
        );
        if !self.transaction_data.is_empty() {
            say("transaction_data", json!(self.transaction_data));
        }
        if !self.verifier_info.is_empty() {
            say("verifier_info", self.verifier_info.into());
        }
        parameters
    }

    /// The claims of a signed request (A.3.2), with the header of a
    /// [`RequestObject`](super::RequestObject): the same, with who asks and from which origins. A wallet compares the
    /// origin that the browser tells it with `expected_origins` as text, so each is without a slash at its end; by that a
    /// request that somebody else replays is worth nothing.
    #[must_use]
    pub fn claims(&self, client_id: &ClientId, expected_origins: &[&str], iat: UnixTime, exp: UnixTime) -> Value {
        let mut claims = self.parameters();
        let mut say = |name: &str, value: Value| claims.insert(name.to_owned(), value);
        say("client_id", client_id.as_str().into());
        say("expected_origins", json!(expected_origins));
        say("aud", AUDIENCE.into());
        say("iat", iat.as_secs().into());
        say("exp", exp.as_secs().into());
        claims.into()
    }
}

/// All that reading an answer needs: what was sent with the request it belongs to.
#[derive(Clone, Copy)]
pub struct DcContext<'a> {
    /// The key made for this request.
    pub key: &'a DecryptionKey,
    /// The content encryptions that the request offered.
    pub accepted: &'a [ContentEncryption],
    /// What was asked for.
    pub query: &'a Query,
    /// The bounds.
    pub limits: &'a Limits,
}

/// Reads the `data` of what `navigator.credentials.get` promised: `{"response": ..}`, encrypted as asked for, or an
/// `error` in clear. A wallet's error fulfils the promise like an answer does (A.4), and is a [decline](Answer::Error).
///
/// # Errors
///
/// The first rule that the answer breaks; it says nothing of what the answer holds.
pub fn read_answer(data: &Value, context: &DcContext<'_>) -> Result<Answer, ResponseError> {
    content(parameters(data, context)?, context.query, context.limits)
}

/// The parameters of an answer, out of its encryption.
pub(crate) fn parameters(data: &Value, context: &DcContext<'_>) -> Result<Map<String, Value>, ResponseError> {
    let Value::Object(data) = data else { return Err(ResponseError::ResponseMissing) };
    let clear = data.contains_key("vp_token");
    match (data.get("response"), data.get("error")) {
        // Whoever reads both could be made to believe the one that nobody encrypted.
        (Some(_), error) if clear || error.is_some() => Err(ResponseError::MixedParameters),
        (Some(Value::String(jwe)), _) => decrypted(jwe, context.key, context.accepted, context.limits),
        // 8.3: what was asked for encrypted comes encrypted; any script in the page reads what does not.
        (None, _) if clear => Err(ResponseError::Unencrypted),
        (None, Some(_)) => Ok(data.clone()),
        _ => Err(ResponseError::ResponseMissing),
    }
}

/// The error in the `data` of an answer, if it is one. By a protocol that is none of OpenID4VP it is a decline as well.
///
/// # Errors
///
/// If there is something beside it, or it is no string.
pub fn read_error(data: &Value, query: &Query, limits: &Limits) -> Result<Option<Answer>, ResponseError> {
    match data {
        Value::Object(data) if data.contains_key("error") => match data.contains_key("response") {
            true => Err(ResponseError::MixedParameters),
            false => content(data.clone(), query, limits).map(Some),
        },
        _ => Ok(None),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::jose::encrypt;

    const BOTH: [ContentEncryption; 2] = [ContentEncryption::A128Gcm, ContentEncryption::A256Gcm];

    fn query() -> Query {
        let query = json!({"credentials": [{"id": "pid", "format": "dc+sd-jwt", "meta": {"vct_values": ["urn:pid"]}}]});
        Query::parse(&query, &Limits::default()).unwrap()
    }

    fn key(seed: u8) -> DecryptionKey {
        DecryptionKey::from_scalar(&[seed; 32], "response").unwrap()
    }

    fn read(data: &Value) -> Result<Answer, &'static str> {
        let (query, key, limits) = (query(), key(7), Limits::default());
        let context = DcContext { key: &key, accepted: &BOTH, query: &query, limits: &limits };
        read_answer(data, &context).map_err(|e| e.code())
    }

    fn encrypted(to: &DecryptionKey, payload: &Value) -> Value {
        let jwe = encrypt(payload.to_string().as_bytes(), &to.public_jwk(), ContentEncryption::A128Gcm).unwrap();
        json!({ "response": jwe })
    }

    #[test]
    fn an_unsigned_request_names_nobody_and_a_signed_one_says_who_asks_and_from_where() {
        let (query, formats) = (query(), BTreeMap::new());
        let jwk = key(7).public_jwk();
        let request = DcRequest {
            nonce: "n",
            query: &query,
            formats: &formats,
            transaction_data: &[],
            encryption_jwk: &jwk,
            encryption_enc: &BOTH,
            verifier_info: &[],
        };
        let unsigned = Value::Object(request.parameters());
        let client_id: ClientId = "x509_san_dns:shop.example".parse().unwrap();
        let now = UnixTime::from_secs(1_800_000_000);
        let mut signed = request.claims(&client_id, &["https://shop.example"], now, now.plus_s(300));
        for absent in ["client_id", "expected_origins", "state", "response_uri", "redirect_uri", "aud"] {
            assert!(unsigned.get(absent).is_none(), "{absent}");
        }
        assert_eq!(signed["expected_origins"], json!(["https://shop.example"]));
        assert_eq!(signed["client_id"], "x509_san_dns:shop.example");
        // And otherwise they are the same question.
        for own in ["client_id", "expected_origins", "aud", "iat", "exp"] {
            signed.as_object_mut().unwrap().remove(own).unwrap();
        }
        assert_eq!(signed, unsigned);
        assert_eq!(unsigned["response_mode"], "dc_api.jwt");
        assert_eq!(
            unsigned["client_metadata"]["encrypted_response_enc_values_supported"],
            json!(["A128GCM", "A256GCM"])
        );
    }

    #[test]
    fn an_answer_comes_encrypted_to_the_key_of_its_request() {
        let payload = json!({"vp_token": {"pid": ["x"]}});
        let presented = Answer::Presentations(vec![("pid".to_owned(), vec!["x".into()])]);
        assert_eq!(read(&encrypted(&key(7), &payload)), Ok(presented));
        assert_eq!(read(&encrypted(&key(8), &payload)), Err("jose_decryption"));
        assert_eq!(read(&payload), Err("response_unencrypted"));
        let mut both = encrypted(&key(7), &payload);
        both["vp_token"] = payload["vp_token"].clone();
        assert_eq!(read(&both), Err("response_mixed_parameters"));
        for nothing in
            [json!({}), json!({"response": 1}), json!({"response": null}), json!("x"), json!([]), Value::Null]
        {
            assert_eq!(read(&nothing), Err("response_missing"), "{nothing}");
        }
        for (payload, code) in [
            (json!({"vp_token": {"pid": "x"}}), "vp_token_not_an_array"),
            (json!({"vp_token": {"other": ["x"]}}), "credential_not_asked"),
            (json!({"state": "s"}), "vp_token_missing"),
        ] {
            assert_eq!(read(&encrypted(&key(7), &payload)), Err(code), "{payload}");
        }
    }

    #[test]
    fn an_error_is_a_decline_in_clear_or_encrypted() {
        let declined = |code: &str| Ok(Answer::Error { code: code.to_owned(), description: None });
        assert_eq!(read(&json!({"error": "access_denied"})), declined("access_denied"));
        assert_eq!(read(&encrypted(&key(7), &json!({"error": "access_denied"}))), declined("access_denied"));
        assert_eq!(read(&json!({"error": "<script>"})), declined("other"));
        assert_eq!(read(&json!({"error": 1})), Err("error_not_a_string"));
        let mut both = encrypted(&key(7), &json!({"vp_token": {"pid": ["x"]}}));
        both["error"] = "access_denied".into();
        assert_eq!(read(&both), Err("response_mixed_parameters"));
    }

    #[test]
    fn a_protocol_is_known_by_its_name() {
        for protocol in Protocol::ALL {
            assert_eq!(protocol.name().parse(), Ok(protocol));
            assert_eq!(serde_json::to_value(protocol).unwrap(), protocol.name());
        }
        for other in ["", "openid4vp", "openid4vp-v1-multisigned", "OPENID4VP-V1-SIGNED"] {
            assert_eq!(other.parse::<Protocol>(), Err(NotAProtocol));
        }
    }
}
