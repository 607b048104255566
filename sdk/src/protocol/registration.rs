//! What a relying party is registered to ask for in the EU: the registration certificate (ETSI TS 119 475, `rc-wrp+jwt`).
//!
//! It comes from the registrar, and goes to wallets by value in `verifier_info` (OpenID4VP 1.0, 5.11). Its signature is for
//! wallets to check, which know whom they trust; what it says is read here so that nobody asks for more.

use std::fmt;

use serde_json::{Map, Value, json};

use crate::{
    limits::Limits,
    protocol::{
        dcql::{CredentialQuery, Query},
        jose::base64url_decode,
        json,
    },
    time::UnixTime,
};

/// The `format` of a registration certificate in `verifier_info` (ETSI TS 119 472-2, 6.3.2.2).
pub const VERIFIER_INFO_FORMAT: &str = "registration_cert";

/// Credentials and claims that one certificate may list: an intended use has a few.
const LISTED_MAX: usize = 256;

/// Why a registration certificate cannot be used, or does not cover what is asked.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RegistrationError {
    /// It cannot be read.
    #[error("the registration certificate cannot be used: {0}")]
    Form(&'static str),
    /// A credential that is not registered is asked for.
    #[error(
        "{credential:?} ({format}, {kind}) is not registered: register it, or leave it out (registered: {registered})"
    )]
    Credential {
        /// The id in the query.
        credential: String,
        /// Its format.
        format: String,
        /// The type that is asked for.
        kind: String,
        /// What is registered.
        registered: String,
    },
    /// A claim that is not registered is asked for.
    #[error("the claim {claim} of {credential:?} is not registered: register it, or leave it out")]
    Claim {
        /// The id in the query.
        credential: String,
        /// Its path, in JSON.
        claim: String,
    },
}

impl RegistrationError {
    /// A stable name of the check that failed.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Form(_) => "registration_certificate",
            Self::Credential { .. } => "credential_not_registered",
            Self::Claim { .. } => "claim_not_registered",
        }
    }
}

/// One registered intended use.
#[derive(Clone, PartialEq)]
pub struct RegistrationCertificate {
    jwt: String,
    expires_at: Option<UnixTime>,
    intended_use: Option<String>,
    purposes: Vec<Localised>,
    credentials: Vec<RegisteredCredential>,
}

/// A text in one language.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Localised {
    /// The language tag.
    pub lang: String,
    /// The text.
    pub text: String,
}

/// A credential that may be asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RegisteredCredential {
    /// Its format identifier.
    pub format: String,
    /// Its types: `vct_values`, `doctype_value`, or the types of a W3C credential.
    pub types: Vec<String>,
    /// The paths of the claims that may be asked for; none stands for all of them (TS 119 475, 5.2.4).
    pub claims: Option<Vec<Vec<Value>>>,
}

impl RegistrationCertificate {
    /// The `typ` of its header.
    pub const TYP: &'static str = "rc-wrp+jwt";

    /// Reads a certificate, in the words of TS 119 475 V1.1.1 and of V1.2.1, which made objects of `meta` and arrays of
    /// `path`.
    ///
    /// # Errors
    /// [`RegistrationError::Form`] with what is wrong with it.
    pub fn parse(jwt: &str, limits: &Limits) -> Result<Self, RegistrationError> {
        let wrong = RegistrationError::Form;
        let jwt = jwt.trim_ascii();
        if jwt.len() > limits.jws_bytes {
            return Err(wrong("it is longer than any certificate"));
        }
        // JAdES puts extensions into the header that are for whoever checks the signature.
        let mut parts = jwt.split('.');
        let (Some(header), Some(claims), Some(_), None) = (parts.next(), parts.next(), parts.next(), parts.next())
        else {
            return Err(wrong("it is no JWT in compact form; the CWT is for readers at the till"));
        };
        let object = |part: &str| -> Option<Map<String, Value>> {
            let value = json::parse(&base64url_decode(part).ok()?, limits.json_depth).ok()?;
            if let Value::Object(members) = value { Some(members) } else { None }
        };
        let header = object(header).ok_or(wrong("its header is no JSON object"))?;
        if header.get("typ").and_then(Value::as_str) != Some(Self::TYP) {
            return Err(wrong("`typ` must be rc-wrp+jwt"));
        }
        let claims = object(claims).ok_or(wrong("its payload is no JSON object"))?;
        let expires_at = match claims.get("exp") {
            None => None,
            Some(exp) => Some(UnixTime::from_secs(exp.as_i64().ok_or(wrong("`exp` is no time"))?)),
        };
        let listed = claims.get("credentials").and_then(Value::as_array).ok_or(wrong("it has no `credentials`"))?;
        if listed.is_empty() || listed.len() > LISTED_MAX {
            return Err(wrong("it has no `credentials`, or more than anybody asks for"));
        }
        let credentials = listed.iter().map(|one| credential(one, limits)).collect::<Option<_>>();
        Ok(Self {
            jwt: jwt.to_owned(),
            expires_at,
            intended_use: claims.get("intended_use_id").and_then(Value::as_str).map(str::to_owned),
            purposes: claims.get("purpose").and_then(Value::as_array).into_iter().flatten().filter_map(text).collect(),
            credentials: credentials
                .ok_or(wrong("one of `credentials` has no format, no type, or a claim without path"))?,
        })
    }

    /// The JWT, as it goes to wallets.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.jwt
    }

    /// When it ends; without an end it lasts until the registrar revokes it.
    #[must_use]
    pub const fn expires_at(&self) -> Option<UnixTime> {
        self.expires_at
    }

    /// The registrar's name of the intended use.
    #[must_use]
    pub fn intended_use(&self) -> Option<&str> {
        self.intended_use.as_deref()
    }

    /// What the data are for, as registered.
    #[must_use]
    pub fn purposes(&self) -> &[Localised] {
        &self.purposes
    }

    /// What may be asked for.
    #[must_use]
    pub fn credentials(&self) -> &[RegisteredCredential] {
        &self.credentials
    }

    /// Its entry of `verifier_info` (OpenID4VP 1.0, 5.1).
    #[must_use]
    pub fn verifier_info(&self) -> Value {
        json!({ "format": VERIFIER_INFO_FORMAT, "data": self.jwt })
    }

    /// Whether everything that a query asks for is registered: each type in its format, each claim, or one above it.
    ///
    /// # Errors
    /// The first credential or claim that is not.
    pub fn covers(&self, query: &Query) -> Result<(), RegistrationError> {
        query
            .credentials
            .iter()
            .try_for_each(|asked| types_in(&asked.meta).iter().try_for_each(|of| self.covers_one(asked, of)))
    }

    fn covers_one(&self, asked: &CredentialQuery, kind: &str) -> Result<(), RegistrationError> {
        let fits = |one: &&RegisteredCredential| {
            one.format == asked.format && one.types.iter().any(|registered| registered == kind)
        };
        let registered: Vec<&RegisteredCredential> = self.credentials.iter().filter(fits).collect();
        if registered.is_empty() {
            return Err(RegistrationError::Credential {
                credential: asked.id.clone(),
                format: asked.format.clone(),
                kind: kind.to_owned(),
                registered: self.listed(),
            });
        }
        if registered.iter().any(|one| one.claims.is_none()) {
            return Ok(());
        }
        // Without claims a wallet gives what it cannot withhold (OpenID4VP 1.0, 6.4.1).
        let claims = asked.claims.as_deref().unwrap_or_default();
        let paths = || registered.iter().filter_map(|one| one.claims.as_ref()).flatten();
        for claim in claims {
            if !paths().any(|path| claim.path.starts_with(path)) {
                let claim = Value::Array(claim.path.clone()).to_string();
                return Err(RegistrationError::Claim { credential: asked.id.clone(), claim });
            }
        }
        Ok(())
    }

    fn listed(&self) -> String {
        let one = |it: &RegisteredCredential| format!("{} {}", it.format, it.types.join("|"));
        self.credentials.iter().map(one).collect::<Vec<_>>().join(", ")
    }
}

impl fmt::Debug for RegistrationCertificate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RegistrationCertificate")
            .field("intended_use", &self.intended_use)
            .field("expires_at", &self.expires_at)
            .field("credentials", &self.credentials)
            .finish_non_exhaustive()
    }
}

/// The types that `meta` of a credential query names: `vct_values`, `doctype_value`, `type_values` (B.1.1, B.2.3, B.3.5).
#[must_use]
pub fn types_in(meta: &Value) -> Vec<String> {
    let mut types = Vec::new();
    let mut pending: Vec<&Value> =
        ["vct_values", "doctype_value", "type_values"].iter().filter_map(|n| meta.get(n)).collect();
    while let Some(value) = pending.pop() {
        match value {
            Value::String(one) => types.push(one.clone()),
            Value::Array(more) => pending.extend(more.iter().rev()),
            _ => {}
        }
    }
    types
}

fn credential(one: &Value, limits: &Limits) -> Option<RegisteredCredential> {
    let format = one.get("format")?.as_str()?.to_owned();
    let types = match one.get("meta")? {
        // V1.1.1: a string, of one type, or of the object in JSON.
        Value::String(text) => match json::parse(text.as_bytes(), limits.json_depth) {
            Ok(meta @ Value::Object(_)) => types_in(&meta),
            _ => vec![text.clone()],
        },
        meta => types_in(meta),
    };
    let claims = match one.get("claims").or_else(|| one.get("claim")) {
        None => None,
        Some(claims) => {
            let claims = claims.as_array().filter(|claims| claims.len() <= LISTED_MAX)?;
            let paths = claims.iter().map(|claim| path(claim.get("path")?, limits)).collect::<Option<Vec<_>>>()?;
            // An empty list would be none of them in one version, and all in another: the narrow reading.
            Some(paths)
        }
    };
    (!types.is_empty()).then_some(RegisteredCredential { format, types, claims })
}

fn path(path: &Value, limits: &Limits) -> Option<Vec<Value>> {
    let parts = match path {
        Value::Array(parts) => parts.clone(),
        // V1.1.1: a string, of one name, or of the array in JSON.
        Value::String(text) => match json::parse(text.as_bytes(), limits.json_depth) {
            Ok(Value::Array(parts)) => parts,
            _ => vec![Value::String(text.clone())],
        },
        _ => return None,
    };
    let plain = |part: &Value| part.is_string() || part.is_null() || part.is_u64();
    (!parts.is_empty() && parts.len() <= limits.dcql_path && parts.iter().all(plain)).then_some(parts)
}

/// `{lang, content}`, or `{lang, value}` of V1.1.1.
fn text(of: &Value) -> Option<Localised> {
    let text = of.get("content").or_else(|| of.get("value"))?.as_str()?.to_owned();
    Some(Localised { lang: of.get("lang")?.as_str()?.to_owned(), text })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::jose::base64url_encode;

    fn jwt(typ: &str, payload: &Value) -> String {
        let part = |value: &Value| base64url_encode(value.to_string().as_bytes());
        // As JAdES writes it.
        let header =
            json!({"typ": typ, "alg": "ES384", "x5c": ["AA=="], "sigT": "2026-01-01T00:00:00Z", "crit": ["sigT"]});
        format!("{}.{}.AA", part(&header), part(payload))
    }

    fn read(payload: &Value) -> Result<RegistrationCertificate, RegistrationError> {
        RegistrationCertificate::parse(&jwt(RegistrationCertificate::TYP, payload), &Limits::default())
    }

    fn good() -> Value {
        json!({
            "name": "Webshop", "iat": 1_750_000_000, "exp": 1_800_000_000, "intended_use_id": "956be599",
            "purpose": [{"lang": "en", "content": "Wine is sold to adults"}],
            "credentials": [
                {"format": "dc+sd-jwt", "meta": {"vct_values": ["urn:eudi:pid:1"]},
                 "claims": [{"path": ["age_equal_or_over", "18"]}, {"path": ["address"]}]},
                {"format": "mso_mdoc", "meta": {"doctype_value": "org.iso.18013.5.1.mDL"},
                 "claims": [{"path": ["org.iso.18013.5.1", "age_over_18"]}]}
            ]
        })
    }

    fn asked(credential: Value) -> Query {
        Query::parse(&json!({"credentials": [credential]}), &Limits::default()).unwrap()
    }

    fn pid(claims: Value) -> Query {
        asked(json!({"id": "p", "format": "dc+sd-jwt", "meta": {"vct_values": ["urn:eudi:pid:1"]}, "claims": claims}))
    }

    #[test]
    fn both_versions_of_the_standard_are_read() {
        let new = read(&good()).unwrap();
        assert_eq!(new.expires_at(), Some(UnixTime::from_secs(1_800_000_000)));
        assert_eq!(new.intended_use(), Some("956be599"));
        assert_eq!(new.purposes()[0].text, "Wine is sold to adults");
        assert_eq!(new.credentials()[1].types, ["org.iso.18013.5.1.mDL"]);
        let old = read(&json!({
            "purpose": [{"lang": "en", "value": "Wine is sold to adults"}],
            "credentials": [{"format": "dc+sd-jwt", "meta": "urn:eudi:pid:1", "claim": [{"path": "address"}]},
                            {"format": "dc+sd-jwt", "meta": "{\"vct_values\":[\"urn:x\"]}"}]
        }))
        .unwrap();
        assert_eq!((old.expires_at(), &old.purposes()[0]), (None, &new.purposes()[0]));
        assert_eq!(old.credentials()[0].claims, Some(vec![vec![json!("address")]]));
        assert_eq!((&old.credentials()[1].types, &old.credentials()[1].claims), (&vec!["urn:x".to_owned()], &None));
        let expected = json!({"format": "registration_cert", "data": new.as_str()});
        assert_eq!(new.verifier_info(), expected);
    }

    #[test]
    fn what_is_registered_may_be_asked_for_and_no_more() {
        let registered = read(&good()).unwrap();
        let code = |query: &Query| registered.covers(query).map_err(|error| error.code());
        assert_eq!(code(&pid(json!([{"path": ["age_equal_or_over", "18"]}]))), Ok(()));
        assert_eq!(code(&pid(json!([{"path": ["address", "locality"]}, {"path": ["address"]}]))), Ok(()));
        for path in [json!(["birthdate"]), json!(["age_equal_or_over"]), json!(["age_equal_or_over", "21"])] {
            let error = registered.covers(&pid(json!([{"path": path}]))).unwrap_err();
            assert_eq!(error, RegistrationError::Claim { credential: "p".into(), claim: path.to_string() });
        }
        let other =
            |format: &str, vct: &str| asked(json!({"id": "p", "format": format, "meta": {"vct_values": [vct]}}));
        assert_eq!(code(&other("dc+sd-jwt", "urn:eudi:pid:de:1")), Err("credential_not_registered"));
        let two = json!({"id": "p", "format": "dc+sd-jwt", "meta": {"vct_values": ["urn:eudi:pid:1", "urn:x"]},
            "claims": [{"path": ["address"]}]});
        let error = registered.covers(&asked(two)).unwrap_err();
        assert!(matches!(&error, RegistrationError::Credential { kind, .. } if kind == "urn:x"), "{error}");
        let mdl = |element: &str| {
            asked(json!({"id": "m", "format": "mso_mdoc", "meta": {"doctype_value": "org.iso.18013.5.1.mDL"},
                "claims": [{"path": ["org.iso.18013.5.1", element]}]}))
        };
        assert_eq!(code(&mdl("age_over_18")), Ok(()));
        assert_eq!(code(&mdl("portrait")), Err("claim_not_registered"));
    }

    #[test]
    fn what_is_no_certificate_is_refused() {
        let limits = Limits::default();
        let refused = |text: &str| {
            let read = RegistrationCertificate::parse(text, &limits);
            assert!(matches!(read, Err(RegistrationError::Form(_))), "{text}: {read:?}");
        };
        assert!(read(&good()).is_ok());
        refused("");
        refused("a.b");
        refused("a.b.c.d");
        refused(&jwt("JWT", &good()));
        refused(&"x".repeat(limits.jws_bytes + 1));
        for (pointer, value) in [
            ("/exp", json!("soon")),
            ("/credentials", json!([])),
            ("/credentials", json!("all")),
            ("/credentials/0/format", json!(null)),
            ("/credentials/0/meta", json!({})),
            ("/credentials/0/meta", json!(7)),
            ("/credentials/0/claims", json!("all")),
            ("/credentials/0/claims/0/path", json!([])),
            ("/credentials/0/claims/0/path", json!([{}])),
            ("/credentials/0/claims/0/path", json!(7)),
        ] {
            let mut payload = good();
            *payload.pointer_mut(pointer).unwrap() = value;
            assert!(read(&payload).is_err(), "{pointer}");
        }
    }
}
