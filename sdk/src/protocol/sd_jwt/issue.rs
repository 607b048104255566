//! The issuer's side of an SD-JWT (RFC 9901, 5): claims become digests and disclosures.
//!
//! Salts are an argument: nothing here draws randomness.

use serde_json::{Map, Value, json};

use super::{DIGESTS, HASH_NAME, Hash, PLACEHOLDER};
use crate::protocol::jose::{JoseError, SigningKey, base64url_encode};

/// Bytes of a salt: 128 bits (RFC 9901, 9.3).
pub const SALT_BYTES: usize = 16;

/// Claims that their holder may show one by one: what is signed of them, and what opens it.
#[derive(Clone)]
pub struct Concealed {
    hash: Hash,
    payload: Map<String, Value>,
    /// A parent stands behind its children.
    disclosures: Vec<String>,
}

impl Concealed {
    /// Hides every claim, each member of its objects and each element of its arrays: who shows one shows no other.
    /// `decoys` digests of nothing in each object hide how many claims there are (RFC 9901, 4.2.5). `salt` gives new
    /// random bytes every time it is called.
    #[must_use]
    pub fn new(
        claims: &Map<String, Value>,
        hash: Hash,
        decoys: usize,
        salt: &mut dyn FnMut() -> [u8; SALT_BYTES],
    ) -> Self {
        let mut hiding = Hiding { hash, decoys, levels: usize::MAX, salt, disclosures: Vec::new() };
        let payload = hiding.members(claims, 1);
        Self { hash, payload, disclosures: hiding.disclosures }
    }

    /// Hides so many levels of them: at 1 every claim as a whole, at 2 also each member of its objects and each element of
    /// its arrays, as a whole. Without decoys.
    #[must_use]
    pub fn down_to(
        levels: usize,
        claims: &Map<String, Value>,
        hash: Hash,
        salt: &mut dyn FnMut() -> [u8; SALT_BYTES],
    ) -> Self {
        let mut hiding = Hiding { hash, decoys: 0, levels, salt, disclosures: Vec::new() };
        let payload = hiding.members(claims, 1);
        Self { hash, payload, disclosures: hiding.disclosures }
    }

    /// How many parts can be shown by themselves.
    #[must_use]
    pub const fn parts(&self) -> usize {
        self.disclosures.len()
    }

    /// The whole SD-JWT, as its holder keeps it: `plain` are the claims that always show. Where both have a claim of one
    /// name, that of `plain` counts.
    ///
    /// # Errors
    /// [`JoseError::Crypto`] if signing fails.
    pub fn sign(
        self,
        plain: Map<String, Value>,
        header: &Map<String, Value>,
        key: &SigningKey,
    ) -> Result<String, JoseError> {
        let mut payload = self.payload;
        payload.extend(plain);
        payload.insert(HASH_NAME.to_owned(), json!(self.hash.name()));
        let mut text = key.sign_jws(header, &Value::Object(payload))?;
        text.push('~');
        for disclosure in self.disclosures {
            text.push_str(&disclosure);
            text.push('~');
        }
        Ok(text)
    }
}

impl std::fmt::Debug for Concealed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Concealed").field("disclosures", &self.disclosures.len()).finish_non_exhaustive()
    }
}

/// Turns claims into digests and disclosures.
struct Hiding<'a> {
    hash: Hash,
    decoys: usize,
    /// How deep it goes.
    levels: usize,
    salt: &'a mut dyn FnMut() -> [u8; SALT_BYTES],
    disclosures: Vec<String>,
}

impl Hiding<'_> {
    /// An object whose members are all hidden.
    fn members(&mut self, members: &Map<String, Value>, level: usize) -> Map<String, Value> {
        let mut digests = Vec::new();
        for (name, value) in members {
            let value = self.within(value, level);
            let salt = self.salt();
            digests.push(self.hide(&json!([salt, name, value])));
        }
        for _ in 0..self.decoys {
            digests.push(self.hash.of(&self.salt()));
        }
        // Sorted, so that the order of the claims does not show.
        digests.sort_unstable();
        if digests.is_empty() { Map::new() } else { Map::from_iter([(DIGESTS.to_owned(), json!(digests))]) }
    }

    /// A value of this level whose parts are hidden.
    fn within(&mut self, value: &Value, level: usize) -> Value {
        match value {
            whole if level >= self.levels => whole.clone(),
            Value::Object(members) => Value::Object(self.members(members, level + 1)),
            Value::Array(elements) => elements
                .iter()
                .map(|element| {
                    let element = self.within(element, level + 1);
                    let salt = self.salt();
                    json!({PLACEHOLDER: self.hide(&json!([salt, element]))})
                })
                .collect(),
            scalar => scalar.clone(),
        }
    }

    /// Keeps a disclosure; its digest.
    fn hide(&mut self, content: &Value) -> String {
        let disclosure = base64url_encode(content.to_string().as_bytes());
        let digest = self.hash.of(&disclosure);
        self.disclosures.push(disclosure);
        digest
    }

    fn salt(&mut self) -> String {
        base64url_encode(&(self.salt)())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{limits::Limits, protocol::sd_jwt::SdJwt};

    #[test]
    fn what_is_hidden_opens_again_and_shows_nothing_before() {
        let key = SigningKey::from_p256_scalar(&[7; 32]).unwrap();
        let claims = json!({"a": "secret", "b": {"c": [1, {"d": 2}]}}).as_object().unwrap().clone();
        let plain = json!({"vct": "v"}).as_object().unwrap().clone();
        let mut next = 0_u8;
        let mut salt = || {
            next += 1;
            [next; SALT_BYTES]
        };
        let concealed = Concealed::new(&claims, Hash::Sha256, 2, &mut salt);
        assert!(!format!("{concealed:?}").contains("secret"));
        let header = json!({"typ": "dc+sd-jwt"}).as_object().unwrap().clone();
        let text = concealed.sign(plain, &header, &key).unwrap();
        let limits = Limits::default();
        let opened = SdJwt::parse(&text, &limits).unwrap().verify(key.public_key(), &["dc+sd-jwt"], &limits).unwrap();
        let mut expected = claims;
        expected.insert("vct".into(), "v".into());
        assert_eq!(opened.into_claims(), expected);

        let shallow = Concealed::down_to(2, &expected, Hash::Sha256, &mut || [1; SALT_BYTES]);
        assert_eq!(shallow.parts(), 4, "a, b, b.c and vct");
        let text_2 = shallow.sign(Map::new(), &header, &key).unwrap();
        let opened = SdJwt::parse(&text_2, &limits).unwrap().verify(key.public_key(), &["dc+sd-jwt"], &limits).unwrap();
        assert_eq!(opened.into_claims(), expected);

        let (jwt, _) = text.split_once('~').unwrap();
        let signed = crate::protocol::jose::Jws::parse(jwt, &limits).unwrap().unverified_claims().clone();
        assert_eq!(signed.len(), 3, "_sd, _sd_alg and vct: {signed:?}");
        assert_eq!(signed["_sd"].as_array().unwrap().len(), 4, "two claims, two decoys");
    }
}
