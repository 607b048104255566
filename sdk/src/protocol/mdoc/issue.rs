//! The issuer's side of an mdoc (ISO/IEC 18013-5, 9.1.2): elements become items and digests, and a security object is signed
//! over them.
//!
//! Salts are an argument: nothing here draws randomness.

use std::fmt;

use url::Url;

use crate::{
    protocol::{
        cbor::{Value, embed, encode, object},
        cose::{self, cose_key},
        jose::{JoseError, PublicKey, SigningKey, sha256},
    },
    time::UnixTime,
};

/// Bytes of a salt; the standard asks for 16 (ISO/IEC 18013-5, 9.1.2.5).
pub const SALT_BYTES: usize = 32;

/// A document to be signed.
#[derive(Clone)]
pub struct NewDocument<'a> {
    /// Its type.
    pub doc_type: &'a str,
    /// What it says: name space, element, value.
    pub elements: &'a [(String, String, Value)],
    /// The key of the device that may show it.
    pub device_key: &'a PublicKey,
    /// When it is signed, which must be while the certificate of the signer is valid.
    pub signed: UnixTime,
    /// From when it holds.
    pub valid_from: UnixTime,
    /// Until when it holds.
    pub valid_until: UnixTime,
    /// Where its status stands, such as [`in_status_list`].
    pub status: Option<Value>,
    /// The name spaces that the device may sign elements of.
    pub authorised: &'a [String],
}

impl NewDocument<'_> {
    /// The document, signed with this key, whose certificates are `chain`: DER, leaf first, without the root. `salt` gives new
    /// random bytes every time it is called.
    ///
    /// # Errors
    /// [`JoseError::Crypto`] if signing fails.
    pub fn sign(
        &self,
        key: &SigningKey,
        chain: &[Vec<u8>],
        salt: &mut dyn FnMut() -> [u8; SALT_BYTES],
    ) -> Result<IssuerSigned, JoseError> {
        let mut items = Vec::with_capacity(self.elements.len());
        let mut digests: Vec<(Value, Value)> = Vec::new();
        for (number, (namespace, element, value)) in (0u64..).zip(self.elements) {
            let item = object([
                ("digestID", number.into()),
                ("random", Value::Bytes(salt().to_vec())),
                ("elementIdentifier", element.as_str().into()),
                ("elementValue", value.clone()),
            ]);
            let item = embed(encode(&item));
            let digest = Value::Bytes(sha256(&encode(&item)).to_vec());
            change(&mut digests, namespace, |of| match of {
                Value::Map(of) => of.push((number.into(), digest)),
                other => *other = Value::Map(vec![(number.into(), digest)]),
            });
            items.push((namespace.clone(), element.clone(), item));
        }
        let mut key_info = vec![("deviceKey".into(), cose_key(self.device_key))];
        if !self.authorised.is_empty() {
            let names = self.authorised.iter().map(|name| name.as_str().into()).collect();
            key_info.push(("keyAuthorizations".into(), object([("nameSpaces", Value::Array(names))])));
        }
        let validity = object([
            ("signed", date_time(self.signed)),
            ("validFrom", date_time(self.valid_from)),
            ("validUntil", date_time(self.valid_until)),
        ]);
        let mut mso = vec![
            ("version".into(), "1.0".into()),
            ("digestAlgorithm".into(), "SHA-256".into()),
            ("valueDigests".into(), Value::Map(digests)),
            ("deviceKeyInfo".into(), Value::Map(key_info)),
            ("docType".into(), self.doc_type.into()),
            ("validityInfo".into(), validity),
        ];
        mso.extend(self.status.clone().map(|status| ("status".into(), status)));
        let payload = encode(&embed(encode(&Value::Map(mso))));
        // 9.1.2.4: the certificates stand in the header that is not protected, under label 33.
        let issuer_auth = cose::sign1(key, coset::Header::default(), cose::x5chain(chain), &payload, true)?;
        Ok(IssuerSigned { doc_type: self.doc_type.to_owned(), issuer_auth, items })
    }
}

impl fmt::Debug for NewDocument<'_> {
    /// Without what is said of a person.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("NewDocument").field("doc_type", &self.doc_type).finish_non_exhaustive()
    }
}

/// What an issuer hands to a wallet: every element, and the signed security object.
#[derive(Clone)]
pub struct IssuerSigned {
    pub(crate) doc_type: String,
    pub(crate) issuer_auth: Value,
    /// Name space, element, and the item as its digest has it.
    pub(crate) items: Vec<(String, String, Value)>,
}

impl IssuerSigned {
    /// The encoded `IssuerSigned`: in base64url, it is what a credential response holds (OpenID4VCI 1.0, A.2.4).
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let items = self.items.iter().map(|(namespace, _, item)| (namespace.as_str(), item.clone()));
        encode(&object([("nameSpaces", by_namespace(items)), ("issuerAuth", self.issuer_auth.clone())]))
    }
}

impl fmt::Debug for IssuerSigned {
    /// Without what is said of a person.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("IssuerSigned").field("doc_type", &self.doc_type).finish_non_exhaustive()
    }
}

/// The `status` of a document that has this entry in a token status list (`draft-ietf-oauth-status-list`, 6.3).
#[must_use]
pub fn in_status_list(uri: &Url, index: u64) -> Value {
    object([("status_list", object([("idx", index.into()), ("uri", uri.as_str().into())]))])
}

/// `IssuerNameSpaces`: the items of each name space in an array.
pub(crate) fn by_namespace<'a>(items: impl Iterator<Item = (&'a str, Value)>) -> Value {
    let mut namespaces = Vec::new();
    for (namespace, item) in items {
        change(&mut namespaces, namespace, |of| match of {
            Value::Array(of) => of.push(item),
            other => *other = Value::Array(vec![item]),
        });
    }
    Value::Map(namespaces)
}

/// Changes the member of this name; `null` if it was not there.
fn change(members: &mut Vec<(Value, Value)>, name: &str, change: impl FnOnce(&mut Value)) {
    if !members.iter().any(|(key, _)| key.as_text() == Some(name)) {
        members.push((name.into(), Value::Null));
    }
    if let Some((_, value)) = members.iter_mut().find(|(key, _)| key.as_text() == Some(name)) {
        change(value);
    }
}

/// A `tdate`, without fractions of a second (ISO/IEC 18013-5, 7.1).
fn date_time(at: UnixTime) -> Value {
    Value::Tag(0, Box::new(at.to_string().into()))
}

/// The wallet's side: what an issuer handed over, read anew from its bytes.
#[cfg(any(test, feature = "testing"))]
pub(crate) mod receive {
    use serde_json::{Map, Value as Json};

    use super::IssuerSigned;
    use crate::{
        limits::Limits,
        protocol::{
            cbor::{self, Item, Value},
            cose::Sign1,
            jose::PublicKey,
            mdoc::{MdocError, mso::MobileSecurityObject, signed_items},
        },
    };

    impl IssuerSigned {
        /// Reads an encoded `IssuerSigned` as a careful wallet does: it is for this key, and each element is as its issuer
        /// signed it. Beside it what it says, and the certificates of its signer.
        pub(crate) fn receive(
            bytes: &[u8],
            device_key: &PublicKey,
            limits: &Limits,
        ) -> Result<(Self, Json, Vec<Vec<u8>>), MdocError> {
            let read = cbor::read(bytes, limits)?;
            let members = read.map().ok_or(MdocError::Form("`IssuerSigned` is a map"))?;
            let issuer_auth = members.get("issuerAuth").ok_or(MdocError::Form("`issuerAuth` is missing"))?;
            let signed = Sign1::from_item(issuer_auth, limits).map_err(MdocError::IssuerAuth)?;
            let chain = signed.header().x5chain.clone().ok_or(MdocError::NoChain)?;
            let payload = signed.unverified_payload().ok_or(MdocError::Form("the payload is inside"))?;
            let payload = cbor::read(payload, limits)?;
            let mso = payload.embedded().ok_or(MdocError::Form("the issuer signs embedded CBOR"))?;
            let mso = cbor::read(mso, limits)?;
            let mso = MobileSecurityObject::read(&mso)?;
            if mso.device_key != *device_key {
                return Err(MdocError::Form("the document is for another key"));
            }
            let namespaces = members.get("nameSpaces").ok_or(MdocError::Form("`nameSpaces` is missing"))?;
            let mut says = Map::new();
            for item in signed_items(namespaces, limits)? {
                mso.check_digest(&item)?;
                let of = says.entry(item.namespace).or_insert_with(|| Json::Object(Map::new()));
                if let (Json::Object(of), Some(value)) = (of, item.value) {
                    of.insert(item.name, value);
                }
            }
            let mut items = Vec::new();
            for (namespace, of) in namespaces.map().into_iter().flat_map(|all| all.iter()) {
                let namespace = namespace.text().unwrap_or_default();
                for item in of.array().unwrap_or_default() {
                    items.push((namespace.to_owned(), name_of(item, limits)?, owned(item)?));
                }
            }
            let received = Self { doc_type: mso.doc_type.to_owned(), issuer_auth: owned(issuer_auth)?, items };
            Ok((received, Json::Object(says), chain))
        }
    }

    fn name_of(item: &Item<'_>, limits: &Limits) -> Result<String, MdocError> {
        let item = cbor::read(item.embedded().unwrap_or_default(), limits)?;
        let name = item.map().and_then(|item| item.get("elementIdentifier")?.text().map(str::to_owned));
        name.ok_or(MdocError::Form("`elementIdentifier` is a text"))
    }

    fn owned(item: &Item<'_>) -> Result<Value, MdocError> {
        ciborium::from_reader(item.raw()).map_err(|_| MdocError::Form("it cannot be kept"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{limits::Limits, protocol::cbor};

    #[test]
    fn what_is_issued_says_what_it_was_told_and_hides_it_behind_salts() {
        let key = SigningKey::from_p256_scalar(&[7; 32]).unwrap();
        let device = SigningKey::from_p256_scalar(&[8; 32]).unwrap();
        let noon = UnixTime::from_secs(1_795_000_000);
        let elements = ["a", "b"].map(|name| ("ns".to_owned(), name.to_owned(), Value::from("secret")));
        let uri: Url = "https://shop.example/status/1".parse().unwrap();
        let new = NewDocument {
            doc_type: "doc",
            elements: &elements,
            device_key: device.public_key(),
            signed: noon,
            valid_from: noon,
            valid_until: noon.plus_s(60),
            status: Some(in_status_list(&uri, 7)),
            authorised: &[],
        };
        let mut next = 0_u8;
        let mut salt = || {
            next += 1;
            [next; SALT_BYTES]
        };
        let signed = new.sign(&key, &[vec![1]], &mut salt).unwrap();
        assert!(!format!("{new:?} {signed:?}").contains("secret"));
        let encoded = signed.encode();
        let read = cbor::read(&encoded, &Limits::default()).unwrap();
        let items = read.map().unwrap().get("nameSpaces").unwrap().map().unwrap().get("ns").unwrap();
        let [one, other] = items.array().unwrap() else { panic!("two elements") };
        let tail = |item: &cbor::Item<'_>| sha256(item.raw());
        assert_ne!(tail(one), tail(other));
        let auth = read.map().unwrap().get("issuerAuth").unwrap().diagnostic();
        assert!(!auth.contains("secret"), "{auth}");
    }

    #[test]
    fn a_wallet_keeps_what_is_for_its_key_and_as_its_issuer_signed_it() {
        let key = SigningKey::from_p256_scalar(&[7; 32]).unwrap();
        let device = SigningKey::from_p256_scalar(&[8; 32]).unwrap();
        let noon = UnixTime::from_secs(1_795_000_000);
        let new = NewDocument {
            doc_type: "doc",
            elements: &[("ns".to_owned(), "a".to_owned(), Value::from("b"))],
            device_key: device.public_key(),
            signed: noon,
            valid_from: noon,
            valid_until: noon.plus_s(60),
            status: None,
            authorised: &[],
        };
        let encoded = new.sign(&key, &[vec![1]], &mut || [1; SALT_BYTES]).unwrap().encode();
        let limits = Limits::default();
        let receive = |bytes: &[u8], key: &SigningKey| IssuerSigned::receive(bytes, key.public_key(), &limits);
        let (received, says, chain) = receive(&encoded, &device).unwrap();
        assert_eq!((received.encode(), chain), (encoded.clone(), vec![vec![1]]));
        assert_eq!(says, serde_json::json!({ "ns": { "a": "b" } }));
        assert_eq!(receive(&encoded, &key).unwrap_err().code(), "mdoc_malformed", "for another key");
        let value = encoded.windows(12).position(|name| name == b"elementValue").unwrap() + 13;
        let mut bent = encoded;
        bent[value] ^= 1;
        assert_eq!(receive(&bent, &device).unwrap_err().code(), "mdoc_digest");
    }
}
