//! What is asked (OpenID4VP 1.0, sections 5 and 8.4).

use std::{collections::BTreeMap, fmt};

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use url::Url;

use super::{AUDIENCE, ClientId, RequestError};
use crate::{
    protocol::{
        dcql::Query,
        jose::{ContentEncryption, base64url_encode, sha256},
        sca::Payment,
    },
    time::UnixTime,
};

/// The signatures that are verified on SD-JWT VCs and their key binding, by their fully specified names (B.3.4).
pub const SD_JWT_ALGORITHMS: [&str; 4] = ["ES256", "ES384", "ES512", "Ed25519"];

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
    /// What the wallet sent to [`read_request_post`](super::read_request_post), given back so that it knows the object to be fresh (5.10). Never
    /// for a fetch by GET.
    pub wallet_nonce: Option<&'a str>,
    /// What others say of us, each an object with `format` and `data` (5.1, 5.11). Empty: the parameter is left out.
    pub verifier_info: &'a [Value],
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
        let mut claims = self.parameters();
        claims.insert("aud".to_owned(), AUDIENCE.into());
        claims.insert("iat".to_owned(), self.iat.as_secs().into());
        claims.insert("exp".to_owned(), self.exp.as_secs().into());
        if let Some(wallet_nonce) = self.wallet_nonce {
            claims.insert("wallet_nonce".to_owned(), wallet_nonce.into());
        }
        claims.into()
    }

    /// The same where nothing is signed: without what makes a JWT of it.
    #[must_use]
    pub fn parameters(&self) -> Map<String, Value> {
        let mut parameters = Map::new();
        let mut say = |name: &str, value: Value| parameters.insert(name.to_owned(), value);
        say("response_type", "vp_token".into());
        say("response_mode", self.response_mode.name().into());
        say("client_id", self.client_id.as_str().into());
        say("response_uri", self.response_uri.as_str().into());
        say("nonce", self.nonce.into());
        say("state", self.state.into());
        say("dcql_query", json!(self.query));
        say(
            "client_metadata",
            client_metadata(self.formats, self.encryption_jwk, self.encryption_enc, self.client_name),
        );
        if !self.transaction_data.is_empty() {
            say("transaction_data", json!(self.transaction_data));
        }
        if !self.verifier_info.is_empty() {
            say("verifier_info", self.verifier_info.into());
        }
        parameters
    }
}

/// The three members of 5.1, and no more.
pub(super) fn client_metadata(
    formats: &BTreeMap<String, Value>,
    encryption_jwk: Option<&Value>,
    encryption_enc: &[ContentEncryption],
    client_name: Option<&str>,
) -> Value {
    let mut metadata = Map::new();
    metadata.insert("vp_formats_supported".to_owned(), json!(formats));
    if let Some(jwk) = encryption_jwk {
        let names: Vec<&str> = encryption_enc.iter().map(|enc| enc.name()).collect();
        metadata.insert("jwks".to_owned(), json!({"keys": [jwk]}));
        metadata.insert("encrypted_response_enc_values_supported".to_owned(), json!(names));
    }
    if let Some(name) = client_name {
        metadata.insert("client_name".to_owned(), name.into());
    }
    metadata.into()
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
        signable(kind, credential_ids, query)?;
        if hashes_alg.is_some_and(<[&str]>::is_empty) {
            return Err(RequestError::TransactionDataEmpty { member: "transaction_data_hashes_alg" });
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

    /// Encodes a payment (EUDI TS12, 4.2), to be authorised with one of the credentials `credential_ids` of `query`, hashed by
    /// SHA-256. `kind` is the type under which the metadata of these credentials know it.
    ///
    /// # Errors
    /// As [`new`](Self::new).
    pub fn payment(
        kind: &str,
        credential_ids: &[&str],
        payment: &Payment,
        query: &Query,
    ) -> Result<Self, RequestError> {
        signable(kind, credential_ids, query)?;
        // Written by hand, since the payment is text: its numbers are what they say.
        let (kind, ids, payload) = (json!(kind), json!(credential_ids), payment.to_json());
        let object = format!(
            r#"{{"type":{kind},"credential_ids":{ids},"transaction_data_hashes_alg":["sha-256"],"payload":{payload}}}"#
        );
        Ok(Self(base64url_encode(object.as_bytes())))
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

/// Whether these credentials of the query can sign.
fn signable(kind: &str, credential_ids: &[&str], query: &Query) -> Result<(), RequestError> {
    let empty = |member| RequestError::TransactionDataEmpty { member };
    if kind.is_empty() {
        return Err(empty("type"));
    }
    if credential_ids.is_empty() {
        return Err(empty("credential_ids"));
    }
    for id in credential_ids {
        match query.credential(id) {
            Some(credential) if credential.require_cryptographic_holder_binding => {}
            _ => return Err(RequestError::TransactionDataCredential { id: (*id).to_owned() }),
        }
    }
    Ok(())
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        limits::Limits,
        protocol::jose::{DecryptionKey, base64url_decode},
    };

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
            verifier_info: &[],
            client_name: None,
            iat: UnixTime::from_secs(1_700_000_000),
            exp: UnixTime::from_secs(1_700_000_300),
        };
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
        let info = [json!({"format": "registration_cert", "data": "e30.e30.AA"})];
        let more = RequestObject { verifier_info: &info, ..request.clone() };
        assert_eq!(more.claims()["verifier_info"], json!(info));
        let names: Vec<_> = more.parameters().into_iter().map(|(name, _)| name).collect();
        assert!(!names.iter().any(|name| ["aud", "iat", "exp", "wallet_nonce"].contains(&name.as_str())), "{names:?}");
        let clear = RequestObject { response_mode: ResponseMode::DirectPost, encryption_jwk: None, ..request }.claims();
        assert_eq!(clear["response_mode"], "direct_post");
        let members: Vec<_> = clear["client_metadata"].as_object().unwrap().keys().collect();
        assert_eq!(members, ["vp_formats_supported"]);
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
