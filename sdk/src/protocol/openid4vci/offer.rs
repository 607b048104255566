//! Credential offers (OpenID4VCI 1.0, section 4): by value and by reference, made and read.

use std::fmt;

use serde_json::{Map, Value, json};
use url::Url;

use crate::{
    limits::Limits,
    protocol::json::{self, JsonError},
};

/// The grant type of a pre-authorised code (section 4.1.1).
pub const PRE_AUTHORIZED: &str = "urn:ietf:params:oauth:grant-type:pre-authorized_code";
/// The grant type of an authorization code (RFC 6749, 4.1).
pub const AUTHORIZATION_CODE: &str = "authorization_code";

/// The longest offer that is read, in bytes: three names and two codes.
const OFFER_BYTES_MAX: usize = 8 * 1024;
/// The longest code or state that is read, in bytes.
const CODE_BYTES_MAX: usize = 2 * 1024;
/// Configurations that an offer may name.
const CONFIGURATIONS_MAX: usize = 32;

/// What an issuer offers to a wallet.
#[derive(Clone, PartialEq, Eq)]
pub struct Offer {
    /// The issuer's identifier: where its metadata are found.
    pub issuer: String,
    /// The configurations of the issuer's metadata that are offered.
    pub configurations: Vec<String>,
    /// The pre-authorised code, if the offer has one.
    pub pre_authorized: Option<PreAuthorized>,
    /// That the wallet may ask for an authorization code, and what it has to bring along.
    pub authorization_code: Option<AuthorizationCode>,
}

/// An offer's pre-authorised code: whoever has it, and the transaction code if there is one, has the credential.
#[derive(Clone, PartialEq, Eq)]
pub struct PreAuthorized {
    /// The code.
    pub code: String,
    /// What the person has to type into the wallet, if anything.
    pub tx_code: Option<TxCode>,
}

/// What a wallet asks its owner to type (section 4.1.1). The code itself travels another way.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct TxCode {
    /// Whether it may hold other characters than digits.
    pub text: bool,
    /// How many characters it has.
    pub length: Option<u64>,
    /// Where the person finds it, at most 300 characters.
    pub description: Option<String>,
}

/// An offer's grant of an authorization code.
#[derive(Clone, PartialEq, Eq, Default)]
pub struct AuthorizationCode {
    /// What the wallet has to bring to the authorization endpoint.
    pub issuer_state: Option<String>,
}

impl Offer {
    /// The offer as JSON.
    #[must_use]
    pub fn to_json(&self) -> Value {
        let mut grants = Map::new();
        if let Some(grant) = &self.authorization_code {
            let state = grant.issuer_state.as_ref().map(|state| ("issuer_state".to_owned(), json!(state)));
            grants.insert(AUTHORIZATION_CODE.to_owned(), Value::Object(state.into_iter().collect()));
        }
        if let Some(grant) = &self.pre_authorized {
            let mut members = Map::from_iter([("pre-authorized_code".to_owned(), json!(grant.code))]);
            members.extend(grant.tx_code.as_ref().map(|tx_code| ("tx_code".to_owned(), tx_code.to_json())));
            grants.insert(PRE_AUTHORIZED.to_owned(), Value::Object(members));
        }
        json!({
            "credential_issuer": self.issuer,
            "credential_configuration_ids": self.configurations,
            "grants": grants,
        })
    }

    /// The link that hands a wallet the whole offer; `endpoint` is the wallet's, such as
    /// [`OFFER_ENDPOINT`](super::OFFER_ENDPOINT).
    ///
    /// # Errors
    /// [`OfferError::Link`] if `endpoint` is no address.
    pub fn link(&self, endpoint: &str) -> Result<String, OfferError> {
        link(endpoint, "credential_offer", &self.to_json().to_string())
    }

    /// Reads an offer. Members that are not known are ignored (section 4.1.1).
    ///
    /// # Errors
    /// The first rule that it breaks.
    pub fn parse(text: &[u8], limits: &Limits) -> Result<Self, OfferError> {
        if text.len() > OFFER_BYTES_MAX {
            return Err(OfferError::TooLong { bytes: text.len(), max: OFFER_BYTES_MAX });
        }
        let offer = json::parse(text, limits.json_depth)?;
        let offer = offer.as_object().ok_or(OfferError::Member("credential_offer"))?;
        let issuer = string(offer, "credential_issuer")?.ok_or(OfferError::Member("credential_issuer"))?;
        let ids = OfferError::Member("credential_configuration_ids");
        let named = offer.get("credential_configuration_ids").and_then(Value::as_array).ok_or(ids.clone())?;
        let mut configurations: Vec<String> = Vec::new();
        for id in named.iter().take(CONFIGURATIONS_MAX + 1) {
            let id = id.as_str().ok_or(ids.clone())?;
            // "a non-empty array of unique strings"
            if configurations.iter().any(|known| known == id) || configurations.len() == CONFIGURATIONS_MAX {
                return Err(ids);
            }
            configurations.push(id.to_owned());
        }
        if configurations.is_empty() {
            return Err(ids);
        }
        let grants = object(offer, "grants")?;
        let grant = |name: &'static str| grants.map_or(Ok(None), |grants| object(grants, name));
        let authorization_code = grant(AUTHORIZATION_CODE)?
            .map(|grant| Ok::<_, OfferError>(AuthorizationCode { issuer_state: string(grant, "issuer_state")? }))
            .transpose()?;
        let pre_authorized = grant(PRE_AUTHORIZED)?.map(PreAuthorized::read).transpose()?;
        Ok(Self { issuer, configurations, pre_authorized, authorization_code })
    }
}

impl PreAuthorized {
    fn read(grant: &Map<String, Value>) -> Result<Self, OfferError> {
        let code = string(grant, "pre-authorized_code")?.filter(|code| !code.is_empty());
        Ok(Self {
            code: code.ok_or(OfferError::Member("pre-authorized_code"))?,
            // Present, even if empty: a code is wanted.
            tx_code: object(grant, "tx_code")?.map(TxCode::read).transpose()?,
        })
    }
}

impl TxCode {
    fn to_json(&self) -> Value {
        let mut members = Map::new();
        members.insert("input_mode".to_owned(), json!(if self.text { "text" } else { "numeric" }));
        members.extend(self.length.map(|length| ("length".to_owned(), json!(length))));
        members.extend(self.description.as_ref().map(|text| ("description".to_owned(), json!(text))));
        Value::Object(members)
    }

    fn read(members: &Map<String, Value>) -> Result<Self, OfferError> {
        let text = match string(members, "input_mode")?.as_deref() {
            None | Some("numeric") => false,
            Some("text") => true,
            Some(_) => return Err(OfferError::Member("input_mode")),
        };
        let length = match members.get("length") {
            None => None,
            Some(length) => Some(length.as_u64().ok_or(OfferError::Member("length"))?),
        };
        let description = string(members, "description")?;
        if description.as_ref().is_some_and(|text| text.chars().count() > 300) {
            return Err(OfferError::Member("description"));
        }
        Ok(Self { text, length, description })
    }
}

impl fmt::Debug for Offer {
    /// Without its codes.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Offer").field("issuer", &self.issuer).finish_non_exhaustive()
    }
}

impl fmt::Debug for PreAuthorized {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PreAuthorized([redacted])")
    }
}

impl fmt::Debug for AuthorizationCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("AuthorizationCode([redacted])")
    }
}

/// What stands in a link that a wallet is opened by.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum OfferLink {
    /// The offer itself.
    Value(Offer),
    /// Where it is fetched (section 4.1.3).
    Reference(Url),
}

impl OfferLink {
    /// Reads a link, whatever wallet it is for.
    ///
    /// # Errors
    /// If it is no link, or holds not exactly one of the two.
    pub fn parse(link: &str, limits: &Limits) -> Result<Self, OfferError> {
        let url = Url::parse(link).map_err(|_| OfferError::Link)?;
        let mut found = None;
        for (name, value) in url.query_pairs() {
            let read = match &*name {
                "credential_offer" => Self::Value(Offer::parse(value.as_bytes(), limits)?),
                "credential_offer_uri" => Self::Reference(Url::parse(&value).map_err(|_| OfferError::Link)?),
                _ => continue,
            };
            if found.replace(read).is_some() {
                return Err(OfferError::Link);
            }
        }
        found.ok_or(OfferError::Link)
    }
}

/// The link that hands a wallet the address of an offer: what a QR code holds.
///
/// # Errors
/// [`OfferError::Link`] if `endpoint` is no address.
pub fn reference_link(endpoint: &str, offer: &Url) -> Result<String, OfferError> {
    link(endpoint, "credential_offer_uri", offer.as_str())
}

/// Why an offer is none.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum OfferError {
    /// It is too long.
    #[error("the offer has {bytes} bytes, more than the limit of {max}")]
    TooLong {
        /// Its length.
        bytes: usize,
        /// The limit.
        max: usize,
    },
    /// It is not strict JSON.
    #[error(transparent)]
    Json(#[from] JsonError),
    /// A member is missing, or not what it must be.
    #[error("`{0}` is missing from the offer, or not what it must be")]
    Member(&'static str),
    /// The link is no URL, or does not hold one offer.
    #[error("the link must be a URL that holds one offer, or the address of one")]
    Link,
}

impl OfferError {
    /// A stable name of the check that failed.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::TooLong { .. } => "offer_too_long",
            Self::Json(error) => error.code(),
            Self::Member(_) => "offer_member",
            Self::Link => "offer_link",
        }
    }
}

fn link(endpoint: &str, name: &str, value: &str) -> Result<String, OfferError> {
    let mut url = Url::parse(endpoint).map_err(|_| OfferError::Link)?;
    url.query_pairs_mut().append_pair(name, value);
    Ok(url.into())
}

fn string(members: &Map<String, Value>, name: &'static str) -> Result<Option<String>, OfferError> {
    match members.get(name) {
        None => Ok(None),
        Some(Value::String(text)) if text.len() <= CODE_BYTES_MAX => Ok(Some(text.clone())),
        Some(_) => Err(OfferError::Member(name)),
    }
}

fn object<'a>(
    members: &'a Map<String, Value>,
    name: &'static str,
) -> Result<Option<&'a Map<String, Value>>, OfferError> {
    match members.get(name) {
        None => Ok(None),
        Some(Value::Object(object)) => Ok(Some(object)),
        Some(_) => Err(OfferError::Member(name)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn offer() -> Offer {
        Offer {
            issuer: "https://shop.example".into(),
            configurations: vec!["relationship".into()],
            pre_authorized: Some(PreAuthorized {
                code: "a-code".into(),
                tx_code: Some(TxCode { text: false, length: Some(6), description: Some("on the page".into()) }),
            }),
            authorization_code: Some(AuthorizationCode { issuer_state: Some("a-state".into()) }),
        }
    }

    #[test]
    fn an_offer_comes_back_by_value() {
        let limits = Limits::default();
        let link = offer().link(super::super::OFFER_ENDPOINT).unwrap();
        assert!(link.starts_with("openid-credential-offer://?credential_offer=%7B"), "{link}");
        assert_eq!(OfferLink::parse(&link, &limits), Ok(OfferLink::Value(offer())));
        assert!(!format!("{:?} {:?}", offer(), offer().pre_authorized).contains("a-code"));
    }

    #[test]
    fn an_offer_comes_back_by_reference() {
        let uri: Url = "https://shop.example/wallet/issuer/offers/x".parse().unwrap();
        let link = reference_link("https://wallet.example/offer?lang=de", &uri).unwrap();
        assert_eq!(OfferLink::parse(&link, &Limits::default()), Ok(OfferLink::Reference(uri)));
    }

    #[test]
    fn an_offer_with_one_thing_wrong_is_none() {
        let limits = Limits::default();
        let code = |value: Value| Offer::parse(value.to_string().as_bytes(), &limits).map_err(|e| e.code());
        for (path, wrong) in [
            ("/credential_issuer", json!(1)),
            ("/credential_configuration_ids", json!([])),
            ("/credential_configuration_ids", json!("relationship")),
            ("/credential_configuration_ids", json!(["a", "a"])),
            ("/credential_configuration_ids", json!([1])),
            ("/grants", json!([])),
            ("/grants/authorization_code", json!("x")),
            ("/grants/authorization_code/issuer_state", json!(1)),
            ("/grants/urn:ietf:params:oauth:grant-type:pre-authorized_code/pre-authorized_code", json!("")),
            ("/grants/urn:ietf:params:oauth:grant-type:pre-authorized_code/tx_code", json!(true)),
            ("/grants/urn:ietf:params:oauth:grant-type:pre-authorized_code/tx_code/input_mode", json!("digits")),
            ("/grants/urn:ietf:params:oauth:grant-type:pre-authorized_code/tx_code/length", json!("6")),
            (
                "/grants/urn:ietf:params:oauth:grant-type:pre-authorized_code/tx_code/description",
                json!("x".repeat(301)),
            ),
        ] {
            let mut bent = offer().to_json();
            *bent.pointer_mut(path).unwrap() = wrong.clone();
            assert_eq!(code(bent), Err("offer_member"), "{path} {wrong}");
        }
        let mut more = offer().to_json();
        more["unknown"] = json!({"x": 1});
        assert_eq!(code(more), Ok(offer()));
        assert_eq!(Offer::parse(&vec![b' '; 9 * 1024], &limits).map_err(|e| e.code()), Err("offer_too_long"));
        for link in ["", "x", "openid-credential-offer://?", "openid-credential-offer://?credential_offer_uri=x"] {
            assert_eq!(OfferLink::parse(link, &limits), Err(OfferError::Link), "{link}");
        }
        let uri = "credential_offer_uri=https%3A%2F%2Fa.example%2F";
        let twice = format!("openid-credential-offer://?{uri}&{uri}");
        assert_eq!(OfferLink::parse(&twice, &limits), Err(OfferError::Link));
    }
}
