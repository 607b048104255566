//! The document of a DID: which keys speak for it, and for what (DID Core section 5).

use std::collections::BTreeSet;

use serde_json::{Map, Value, json};

use super::{AgreementKey, Did, DidError, key};
use crate::{limits::Limits, protocol::jose::PublicKey};

/// Keys of one list of a document: people have one or two, and each is looked up among the others.
const METHODS_MAX: usize = 64;

/// What a key may do in the name of a DID (DID Core section 5.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Relationship {
    /// Proves that the DID's subject is there.
    Authentication,
    /// Signs statements, such as credentials.
    AssertionMethod,
    /// Is encrypted to.
    KeyAgreement,
    /// Uses what the subject is allowed.
    CapabilityInvocation,
    /// Passes on what the subject is allowed.
    CapabilityDelegation,
}

impl Relationship {
    /// All of them, in the order in which documents have them.
    pub const ALL: [Self; 5] = [
        Self::Authentication,
        Self::AssertionMethod,
        Self::KeyAgreement,
        Self::CapabilityInvocation,
        Self::CapabilityDelegation,
    ];
    /// Those of a key that signs and is not encrypted to.
    pub(super) const SIGNING: [Self; 4] =
        [Self::Authentication, Self::AssertionMethod, Self::CapabilityInvocation, Self::CapabilityDelegation];

    /// The member of a document that lists its keys.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Authentication => "authentication",
            Self::AssertionMethod => "assertionMethod",
            Self::KeyAgreement => "keyAgreement",
            Self::CapabilityInvocation => "capabilityInvocation",
            Self::CapabilityDelegation => "capabilityDelegation",
        }
    }
}

/// The key of a verification method.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum MethodKey {
    /// It signs; on P-256 and P-384 it can be encrypted to as well, where the document says so.
    Signing(PublicKey),
    /// It is encrypted to, and signs nothing.
    Agreement(AgreementKey),
    /// Of a type for something else. It has its place in the document, and speaks for nobody here.
    Unsupported,
}

/// A key of a DID, with its name and what it is for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VerificationMethod {
    fragment: String,
    key: MethodKey,
    relationships: Vec<Relationship>,
}

impl VerificationMethod {
    /// Its name within the document, without the `#`.
    #[must_use]
    pub fn fragment(&self) -> &str {
        &self.fragment
    }

    /// The key.
    #[must_use]
    pub const fn key(&self) -> &MethodKey {
        &self.key
    }

    /// Whether the document lists it under a relationship.
    #[must_use]
    pub fn is_for(&self, relationship: Relationship) -> bool {
        self.relationships.contains(&relationship)
    }
}

/// A DID with the keys that speak for it. What is not needed for that is not kept, but for the services.
///
/// Keys that share a name, names under other DIDs, keys that others control, and references to nothing are refused:
/// whoever reads such a document differently would believe another key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DidDocument {
    id: Did,
    /// The other form of a did:peer:4, and whatever the document says.
    also_known_as: Vec<String>,
    methods: Vec<VerificationMethod>,
    services: Vec<Value>,
    /// The one name under which this DID is remembered, if that is another than `id`.
    name: Option<Did>,
}

impl DidDocument {
    /// Reads a document, names relative to it or absolute. Nothing says that it is the DID's own: that is for whoever
    /// fetched it to know. Of what resolves without being fetched, [`Did::resolve`] reads it.
    ///
    /// # Errors
    /// [`DidError`] with the member that is missing, of the wrong form, or not the DID's own.
    pub fn from_json(document: &Value, limits: &Limits) -> Result<Self, DidError> {
        let members = document.as_object().ok_or(DidError::Member("id"))?;
        Self::read(Did::parse(string(members, "id")?, limits)?, members)
    }

    /// The DID.
    #[must_use]
    pub const fn id(&self) -> &Did {
        &self.id
    }

    /// The one name under which the DID is remembered: the short form of a did:peer:4, and else the DID itself.
    #[must_use]
    pub fn name(&self) -> &Did {
        self.name.as_ref().unwrap_or(&self.id)
    }

    /// Other names for the same subject, as the document has them: its word alone, but for the two forms of did:peer:4.
    #[must_use]
    pub fn also_known_as(&self) -> &[String] {
        &self.also_known_as
    }

    /// The keys.
    #[must_use]
    pub fn methods(&self) -> &[VerificationMethod] {
        &self.methods
    }

    /// The services, as the document has them; nothing about them is checked but their names.
    #[must_use]
    pub fn services(&self) -> &[Value] {
        &self.services
    }

    /// The key that `kid` names, if it signs and the document lists it under `relationship`. A `kid` is absolute: the DID,
    /// in either form of a did:peer:4, `#`, and the name of the key.
    #[must_use]
    pub fn signing_key(&self, relationship: Relationship, kid: &str) -> Option<&PublicKey> {
        let (did, fragment) = kid.split_once('#')?;
        let is_ours = did == self.id.as_str() || did == self.name().as_str();
        let method = self.methods.iter().find(|method| is_ours && method.fragment == fragment)?;
        match &method.key {
            MethodKey::Signing(key) if method.is_for(relationship) => Some(key),
            _ => None,
        }
    }

    /// The keys that messages to the DID are encrypted to, with their names, in the order of the document.
    pub fn agreement_keys(&self) -> impl Iterator<Item = (&str, AgreementKey)> {
        self.methods.iter().filter(|method| method.is_for(Relationship::KeyAgreement)).filter_map(|method| {
            let key = match &method.key {
                MethodKey::Agreement(key) => Some(key.clone()),
                MethodKey::Signing(key) => AgreementKey::same_point(key),
                MethodKey::Unsupported => None,
            };
            Some((method.fragment.as_str(), key?))
        })
    }

    /// The document in JSON: keys as JWKs, names absolute.
    #[must_use]
    pub fn to_json(&self) -> Value {
        let url = |method: &VerificationMethod| format!("{}#{}", self.id, method.fragment);
        let methods: Vec<Value> = self
            .methods
            .iter()
            .filter_map(|method| {
                let jwk = match &method.key {
                    MethodKey::Signing(key) => key.to_jwk(),
                    MethodKey::Agreement(key) => key.to_jwk(),
                    MethodKey::Unsupported => return None,
                };
                let id = self.id.as_str();
                Some(json!({ "id": url(method), "type": "JsonWebKey", "controller": id, "publicKeyJwk": jwk }))
            })
            .collect();
        let mut document = json!({
            "@context": ["https://www.w3.org/ns/did/v1", "https://w3id.org/security/jwk/v1"],
            "id": self.id.as_str(),
            "verificationMethod": methods,
        });
        if let Some(members) = document.as_object_mut() {
            let mut list = |name: &str, values: Vec<Value>| {
                if !values.is_empty() {
                    members.insert(name.to_owned(), values.into());
                }
            };
            for relationship in Relationship::ALL {
                let listed = self
                    .methods
                    .iter()
                    .filter(|method| method.is_for(relationship) && method.key != MethodKey::Unsupported);
                list(relationship.name(), listed.map(|method| url(method).into()).collect());
            }
            list("alsoKnownAs", self.also_known_as.iter().map(|name| name.as_str().into()).collect());
            list("service", self.services.clone());
        }
        document
    }

    /// A document without keys.
    #[must_use]
    pub(crate) const fn empty(id: Did) -> Self {
        Self { id, also_known_as: Vec::new(), methods: Vec::new(), services: Vec::new(), name: None }
    }

    /// The same with another name of its subject.
    #[must_use]
    pub(crate) fn also_called(mut self, other: &Did) -> Self {
        self.also_known_as.push(other.as_str().to_owned());
        self
    }

    /// The same with a key that signs; `fragment` must be new to the document.
    #[must_use]
    pub(crate) fn with_key(self, fragment: &str, key: &PublicKey, relationships: &[Relationship]) -> Self {
        self.with(fragment, MethodKey::Signing(key.clone()), relationships)
    }

    pub(super) fn with(mut self, fragment: &str, key: MethodKey, relationships: &[Relationship]) -> Self {
        let relationships = relationships.to_vec();
        self.methods.push(VerificationMethod { fragment: fragment.to_owned(), key, relationships });
        self
    }

    pub(super) fn with_service(mut self, service: Map<String, Value>) -> Self {
        self.services.push(Value::Object(service));
        self
    }

    /// The same, remembered under `name`, and known by the form that it is not named by here.
    pub(super) fn known_as(self, other: &Did, name: Did) -> Self {
        Self { name: Some(name), ..self.also_called(other) }
    }

    /// Whether each name stands for one thing.
    pub(super) fn with_names_checked(self) -> Result<Self, DidError> {
        let mut names = BTreeSet::new();
        let services = self.services.iter().filter_map(|service| service.get("id")?.as_str());
        let services = services.map(|id| fragment_of(id, &self.id)).collect::<Result<Vec<_>, _>>()?;
        let all = self.methods.iter().map(|method| method.fragment.as_str()).chain(services);
        for name in all {
            if !names.insert(name) {
                return Err(DidError::Duplicate);
            }
        }
        drop(names);
        Ok(self)
    }

    /// Reads the members of the document of `id`.
    pub(super) fn read(id: Did, members: &Map<String, Value>) -> Result<Self, DidError> {
        let mut document = Self::empty(id);
        let methods = list(members, "verificationMethod")?;
        // Whoever embeds the rest in relationships has at most as many again for each.
        for listed in Relationship::ALL.map(Relationship::name).map(|name| list(members, name)) {
            if methods.len().max(listed?.len()) > METHODS_MAX {
                return Err(DidError::TooMany { limit: METHODS_MAX });
            }
        }
        for method in methods {
            let (fragment, key) = document.method(method)?;
            document = document.with(&fragment, key, &[]);
        }
        let mut listed = BTreeSet::new();
        for relationship in Relationship::ALL {
            for entry in list(members, relationship.name())? {
                let fragment = match entry {
                    Value::String(reference) => fragment_of(reference, &document.id)?.to_owned(),
                    // A key that is embedded is for this relationship alone (DID Core section 5.3.1).
                    embedded => {
                        let (fragment, key) = document.method(embedded)?;
                        document = document.with(&fragment, key, &[]);
                        fragment
                    }
                };
                let mut methods = document.methods.iter_mut();
                let method =
                    methods.find(|method| method.fragment == fragment).ok_or(DidError::Member(relationship.name()))?;
                if !listed.insert((relationship.name(), fragment)) {
                    return Err(DidError::Duplicate);
                }
                method.relationships.push(relationship);
            }
        }
        for service in list(members, "service")? {
            let service = service.as_object().ok_or(DidError::Member("service"))?;
            string(service, "id")?;
            document = document.with_service(service.clone());
        }
        for name in list(members, "alsoKnownAs")? {
            document.also_known_as.push(name.as_str().ok_or(DidError::Member("alsoKnownAs"))?.to_owned());
        }
        document.with_names_checked()
    }

    fn method(&self, method: &Value) -> Result<(String, MethodKey), DidError> {
        let members = method.as_object().ok_or(DidError::Member("verificationMethod"))?;
        let fragment = fragment_of(string(members, "id")?, &self.id)?.to_owned();
        // Somebody else's key would speak for this DID.
        if members.get("controller").is_some_and(|controller| controller != self.id.as_str()) {
            return Err(DidError::Foreign);
        }
        let form = match string(members, "type")? {
            "Multikey" | "Ed25519VerificationKey2020" | "X25519KeyAgreementKey2020" => "publicKeyMultibase",
            "JsonWebKey" | "JsonWebKey2020" => "publicKeyJwk",
            "Ed25519VerificationKey2018" | "X25519KeyAgreementKey2019" => "publicKeyBase58",
            _ => return Ok((fragment, MethodKey::Unsupported)),
        };
        // One key in one form (DID Core section 5.2.1): with two, readers would choose.
        if members.keys().filter(|name| name.starts_with("publicKey")).count() > 1 {
            return Err(DidError::Member(form));
        }
        let kind = string(members, "type")?;
        let key = match form {
            "publicKeyJwk" => key::from_jwk(members.get(form).ok_or(DidError::Member(form))?)?,
            "publicKeyBase58" => key::from_base58(string(members, form)?, kind.starts_with("X25519"))?,
            _ => key::from_multikey(string(members, form)?)?,
        };
        let fits = match (&key, kind) {
            (MethodKey::Signing(key), "Ed25519VerificationKey2020") => key.algorithm().name() == "EdDSA",
            (MethodKey::Agreement(key), "X25519KeyAgreementKey2020") => key.curve().name() == "X25519",
            (_, "Ed25519VerificationKey2020" | "X25519KeyAgreementKey2020") => false,
            _ => true,
        };
        if fits { Ok((fragment, key)) } else { Err(DidError::UnsupportedKey) }
    }
}

/// The name after the `#` of a relative or absolute DID URL under `did`.
pub(super) fn fragment_of<'a>(url: &'a str, did: &Did) -> Result<&'a str, DidError> {
    let (of, fragment) = url.split_once('#').ok_or(DidError::Foreign)?;
    if !(of.is_empty() || of == did.as_str()) {
        return Err(DidError::Foreign);
    }
    // RFC 3986 section 3.5, without what would need an escape.
    let plain = |c: u8| c.is_ascii_alphanumeric() || b"-._~!$&'()*+,;=:@/?%".contains(&c);
    if fragment.is_empty() || !fragment.bytes().all(plain) { Err(DidError::Syntax) } else { Ok(fragment) }
}

fn string<'a>(members: &'a Map<String, Value>, name: &'static str) -> Result<&'a str, DidError> {
    members.get(name).and_then(Value::as_str).ok_or(DidError::Member(name))
}

/// A member that is a list where it is there.
fn list<'a>(members: &'a Map<String, Value>, name: &'static str) -> Result<&'a [Value], DidError> {
    match members.get(name) {
        None => Ok(&[]),
        Some(Value::Array(items)) => Ok(items),
        Some(_) => Err(DidError::Member(name)),
    }
}
