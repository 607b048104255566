//! Where the claims of an SD-JWT stand, and which of them the holder could have left out: for rules about types. The claims
//! themselves are of no interest here.

use std::collections::{BTreeMap, HashMap};

use serde_json::{Map, Value};

use super::{DIGESTS, HASH_NAME, Hash, PLACEHOLDER, SdJwt, SdJwtError};
use crate::{
    limits::Limits,
    protocol::{jose, json},
};

/// A place in a credential, as its issuer made it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Shape {
    /// An object.
    Object {
        /// Its members that are there to be seen.
        members: BTreeMap<String, Place>,
        /// Whether more may be hidden.
        hides: bool,
    },
    /// An array, with the elements in the places where the issuer put them; `None` for one that is hidden.
    Array(Vec<Option<Place>>),
    /// Anything else.
    Value,
}

/// What stands at a place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// Whether it is a disclosure of its own; not, whether it stands in one.
    pub is_disclosed: bool,
    /// What it is.
    pub shape: Shape,
}

impl SdJwt<'_> {
    /// The credential as a place: its root. It is not verified here: ask once [`verify`](SdJwt::verify) has said yes to the same
    /// presentation.
    ///
    /// # Errors
    /// If it is not of the form that was verified.
    pub fn shape(&self, limits: &Limits) -> Result<Place, SdJwtError> {
        let claims = self.issuer_jwt().unverified_claims();
        let hash = match claims.get(HASH_NAME) {
            None => Hash::default(),
            Some(name) => name.as_str().and_then(Hash::from_name).ok_or(SdJwtError::HashFunction)?,
        };
        let sent = self.disclosures.iter().map(|disclosure| (hash.of(disclosure), *disclosure)).collect();
        let reader = Reader { sent, limits };
        Ok(Place { is_disclosed: false, shape: reader.object(claims, 0)? })
    }
}

struct Reader<'a> {
    sent: HashMap<String, &'a str>,
    limits: &'a Limits,
}

impl Reader<'_> {
    fn shape(&self, value: &Value, depth: usize) -> Result<Shape, SdJwtError> {
        // Disclosures within disclosures cannot go round in circles, as each holds the digest of the next.
        let limit = self.limits.json_depth.saturating_mul(2);
        if depth > limit {
            return Err(SdJwtError::TooDeep { limit });
        }
        match value {
            Value::Object(members) => self.object(members, depth),
            Value::Array(elements) => {
                let places = elements.iter().map(|element| self.element(element, depth));
                Ok(Shape::Array(places.collect::<Result<_, _>>()?))
            }
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => Ok(Shape::Value),
        }
    }

    fn object(&self, object: &Map<String, Value>, depth: usize) -> Result<Shape, SdJwtError> {
        let mut members = BTreeMap::new();
        let mut hides = false;
        for (name, value) in object.iter().filter(|(name, _)| !matches!(name.as_str(), DIGESTS | HASH_NAME)) {
            members.insert(name.clone(), Place { is_disclosed: false, shape: self.shape(value, depth + 1)? });
        }
        for digest in object.get(DIGESTS).and_then(Value::as_array).into_iter().flatten() {
            match self.opened(digest)?.as_deref() {
                Some([_, Value::String(name), value]) => {
                    members.insert(name.clone(), Place { is_disclosed: true, shape: self.shape(value, depth + 1)? });
                }
                Some(_) => return Err(SdJwtError::DisclosureForm),
                None => hides = true,
            }
        }
        Ok(Shape::Object { members, hides })
    }

    fn element(&self, element: &Value, depth: usize) -> Result<Option<Place>, SdJwtError> {
        let Some(digest) = element.get(PLACEHOLDER) else {
            return Ok(Some(Place { is_disclosed: false, shape: self.shape(element, depth + 1)? }));
        };
        match self.opened(digest)?.as_deref() {
            Some([_, value]) => Ok(Some(Place { is_disclosed: true, shape: self.shape(value, depth + 1)? })),
            Some(_) => Err(SdJwtError::DisclosureForm),
            None => Ok(None),
        }
    }

    fn opened(&self, digest: &Value) -> Result<Option<Vec<Value>>, SdJwtError> {
        let digest = digest.as_str().ok_or(SdJwtError::DigestForm)?;
        let Some(disclosure) = self.sent.get(digest) else { return Ok(None) };
        let bytes = jose::base64url_decode(disclosure).map_err(SdJwtError::DisclosureEncoding)?;
        match json::parse(&bytes, self.limits.json_depth).map_err(SdJwtError::DisclosureJson)? {
            Value::Array(elements) => Ok(Some(elements)),
            _ => Err(SdJwtError::DisclosureForm),
        }
    }
}
