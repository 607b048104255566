//! Who the shop is towards one customer: a `did:peer:4` that nobody else is told, made anew from the root secret whenever
//! it is needed.
//!
//! Two customers who compare what they hold find two shops, and two shops of one merchant that share a root secret have
//! nothing in common either: origin, customer and epoch stand in what the keys are derived from (HKDF), and no secret
//! derived tells anything about another. Nothing secret is stored. What is stored for ever is which epoch a customer was
//! given ([`ShopDidRecord`]): from that, every DID that was ever given out is made again, with its keys.

use std::fmt;

use aws_lc_rs::agreement;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use zeroize::Zeroizing;

use crate::{
    customer::CustomerId,
    protocol::{
        did::{AgreementKey, Did, DidError, multikey},
        jose::{JoseError, SigningKey},
    },
    store::Persisted,
    time::UnixTime,
};

/// The purpose under which the root secret gives the secrets of these keys.
pub const PURPOSE: &str = "shop did";

/// The form of new DIDs. A DID is the hash of its document, so a form that has been given out never changes: a new one
/// gets a new number, and the old ones stay here for ever.
pub const TEMPLATE: u16 = 1;

/// How often a scalar is derived before giving up: one in four thousand million is not below the order of the curve.
const SCALARS_MAX: u8 = 4;

/// Which DID: for whom, of which shop, the how manieth, in which form.
#[derive(Clone, Copy, Debug)]
pub struct Pairwise<'a> {
    /// The public origin of the shop, as a URL without a path.
    pub origin: &'a str,
    /// The customer.
    pub customer: &'a CustomerId,
    /// 0 for the first DID towards this customer, one more after each rotation.
    pub epoch: u32,
    /// The form of its document: [`TEMPLATE`], or what the record says.
    pub template: u16,
}

/// The shop's DID for one customer, with the key that speaks for it.
///
/// `#key-1` is on P-256, for authentication and statements; `#key-2` on X25519, for whoever encrypts to the shop. Its
/// `Debug` does not show it: between shop and customer it is a name that follows both.
#[derive(Clone)]
pub struct ShopDid {
    long: Did,
    short: Did,
    epoch: u32,
    key: SigningKey,
}

impl ShopDid {
    /// Makes the DID from what `secret` derives: the secret of a root, under [`PURPOSE`], for the text it is given.
    ///
    /// # Errors
    /// [`DidError::Member`] for a form that is not known here, which a newer version of this library gave out;
    /// [`DidError::Key`] if no key comes out, which does not happen.
    pub fn derive(which: &Pairwise<'_>, secret: impl Fn(&[u8]) -> [u8; 32]) -> Result<Self, DidError> {
        if which.template != TEMPLATE {
            return Err(DidError::Member("template"));
        }
        // None of them holds a zero byte, so none runs into the next.
        let Pairwise { origin, customer, epoch, template } = which;
        let info = |key: &str, count: u8| format!("{template}\0{origin}\0{customer}\0{epoch}\0{key}\0{count}");
        let secret = |key, count| Zeroizing::new(secret(info(key, count).as_bytes()));
        // A scalar that is not below the order of the curve is thrown away rather than reduced: all are as likely.
        let mut scalars = (0..SCALARS_MAX).map(|count| SigningKey::from_p256_scalar(&secret("key-1", count)));
        let key = scalars.find_map(Result::ok).ok_or(JoseError::InvalidKey)?;
        let agreement = x25519_public(&secret("key-2", 0))?;
        let (signing, agreement) = (multikey(key.public_key()), agreement.to_multikey());
        // Written out, since the order of members is part of the DID.
        let (long, short) = Did::peer_of(&format!(
            r##"{{"@context":["https://www.w3.org/ns/did/v1","https://w3id.org/security/multikey/v1"],"verificationMethod":[{{"id":"#key-1","type":"Multikey","publicKeyMultibase":"{signing}"}},{{"id":"#key-2","type":"Multikey","publicKeyMultibase":"{agreement}"}}],"authentication":["#key-1"],"assertionMethod":["#key-1"],"keyAgreement":["#key-2"]}}"##
        ));
        Ok(Self { long, short, epoch: *epoch, key })
    }

    /// The DID with its document: what the customer is given, and keeps.
    #[must_use]
    pub const fn long(&self) -> &Did {
        &self.long
    }

    /// The DID without its document: what names it from then on.
    #[must_use]
    pub const fn short(&self) -> &Did {
        &self.short
    }

    /// How often the shop had another DID for this customer before.
    #[must_use]
    pub const fn epoch(&self) -> u32 {
        self.epoch
    }

    /// The name of the key that signs, as a `kid` has it.
    #[must_use]
    pub fn kid(&self) -> String {
        format!("{}#key-1", self.short)
    }

    /// A JWT of this type by `#key-1`.
    ///
    /// # Errors
    /// [`JoseError::Crypto`] if the library fails.
    pub fn sign(&self, typ: &str, claims: &Value) -> Result<String, JoseError> {
        sign(&self.key, typ, &self.kid(), claims)
    }

    /// That this DID now goes by another: a JWT as DIDComm Messaging 2.1 has it in `from_prior` ("DID rotation"), by the
    /// key of this DID.
    ///
    /// # Errors
    /// [`JoseError::Crypto`] if the library fails.
    pub fn from_prior(&self, next: &Self, now: UnixTime) -> Result<String, JoseError> {
        let claims = json!({ "iss": self.short.as_str(), "sub": next.long.as_str(), "iat": now });
        self.sign("JWT", &claims)
    }
}

impl fmt::Debug for ShopDid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ShopDid").field("epoch", &self.epoch).finish_non_exhaustive()
    }
}

/// That a customer was given a DID, under the customer and the epoch. It is kept as long as the customer is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ShopDidRecord {
    /// The how manieth.
    pub epoch: u32,
    /// The form of its document.
    pub template: u16,
    /// Its short form: says under which root secret it was made.
    pub short: String,
    /// Since when it is given out.
    pub since: UnixTime,
}

impl Persisted for ShopDidRecord {
    const KIND: &'static str = "shop_did";
    const SCHEMA: u16 = 1;
}

/// Whose a DID of the shop is, under its short form.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ShopDidOf {
    /// The customer whom it was given to.
    pub customer: CustomerId,
    /// The how manieth of theirs.
    pub epoch: u32,
}

impl Persisted for ShopDidOf {
    const KIND: &'static str = "shop_did_of";
    const SCHEMA: u16 = 1;
}

/// A JWT of this type by a key of this name.
pub(crate) fn sign(key: &SigningKey, typ: &str, kid: &str, claims: &Value) -> Result<String, JoseError> {
    let header = Map::from_iter([("typ".to_owned(), typ.into()), ("kid".to_owned(), kid.into())]);
    key.sign_jws(&header, claims)
}

/// The public half of an X25519 secret, whose every 32 bytes are one (RFC 7748 section 5).
fn x25519_public(secret: &[u8; 32]) -> Result<AgreementKey, JoseError> {
    let private = agreement::PrivateKey::from_private_key(&agreement::X25519, secret);
    let private = private.map_err(|_| JoseError::InvalidKey)?;
    let public = private.compute_public_key().map_err(|_| JoseError::InvalidKey)?;
    let bytes = <&[u8; 32]>::try_from(public.as_ref()).map_err(|_| JoseError::InvalidKey)?;
    Ok(AgreementKey::x25519(bytes))
}

#[cfg(test)]
mod tests {
    use std::{cell::RefCell, collections::BTreeSet};

    use super::*;
    use crate::{
        limits::Limits,
        protocol::{
            did::{AgreementCurve, Relationship},
            jose::{Jws, sha256},
        },
    };

    fn secret(root: u8) -> impl Fn(&[u8]) -> [u8; 32] {
        move |info| sha256(&[&[root], info].concat())
    }

    fn customer(byte: u8) -> CustomerId {
        CustomerId::from_random([byte; 16])
    }

    fn which(customer: &CustomerId, epoch: u32) -> Pairwise<'_> {
        Pairwise { origin: "https://shop.example/", customer, epoch, template: TEMPLATE }
    }

    #[test]
    fn a_did_comes_back_as_it_was_and_is_what_a_stranger_reads() {
        let customer = customer(1);
        let did = ShopDid::derive(&which(&customer, 0), secret(1)).unwrap();
        // The form is kept for ever: customers hold it.
        assert_eq!(did.short().as_str(), "did:peer:4zQmWDzehivpL6537qB7dv6rgupcqMQ1HM75PaW6pLtsu8Gv");
        assert!(did.long().as_str().len() < 700, "{}", did.long().as_str().len());
        let limits = Limits::default();
        assert_eq!(Did::parse(did.long().as_str(), &limits).as_ref(), Ok(did.long()));
        for document in [did.long().resolve(None, &limits), did.short().resolve(Some(did.long()), &limits)] {
            let document = document.unwrap();
            assert_eq!(document.name(), did.short());
            for relationship in [Relationship::Authentication, Relationship::AssertionMethod] {
                assert_eq!(document.signing_key(relationship, &did.kid()), Some(did.key.public_key()));
            }
            assert_eq!(document.signing_key(Relationship::CapabilityInvocation, &did.kid()), None);
            let agreement: Vec<_> =
                document.agreement_keys().map(|(name, key)| (name.to_owned(), key.curve())).collect();
            assert_eq!(agreement, [("key-2".to_owned(), AgreementCurve::X25519)]);
            assert!(document.services().is_empty());
        }
        assert_eq!(format!("{did:?}"), "ShopDid { epoch: 0, .. }");
    }

    #[test]
    fn nothing_of_two_dids_is_the_same() {
        let (one, other) = (customer(1), customer(2));
        let elsewhere = Pairwise { origin: "https://other.example/", ..which(&one, 0) };
        let mut seen = BTreeSet::new();
        for (which, root) in
            [(which(&one, 0), 1), (which(&one, 1), 1), (which(&other, 0), 1), (elsewhere, 1), (which(&one, 0), 2)]
        {
            let did = ShopDid::derive(&which, secret(root)).unwrap();
            let document = did.long().resolve(None, &Limits::default()).unwrap();
            let agreement = document.agreement_keys().map(|(_, key)| key.to_multikey());
            for value in agreement.chain([multikey(did.key.public_key()), did.short().to_string()]) {
                assert!(seen.insert(value), "{which:?}");
            }
        }
    }

    #[test]
    fn a_scalar_that_is_none_is_thrown_away() {
        let customer = customer(1);
        let asked = RefCell::new(Vec::new());
        let mostly = |info: &[u8]| {
            asked.borrow_mut().push(String::from_utf8(info.to_vec()).unwrap());
            if info.ends_with(b"key-1\x000") { [0xff; 32] } else { secret(1)(info) }
        };
        let did = ShopDid::derive(&which(&customer, 7), mostly).unwrap();
        assert_ne!(did.short(), ShopDid::derive(&which(&customer, 7), secret(1)).unwrap().short());
        let before = format!("1\0https://shop.example/\0{customer}\07\0");
        assert_eq!(asked.take(), ["key-1\x000", "key-1\x001", "key-2\x000"].map(|rest| format!("{before}{rest}")));
        let never = ShopDid::derive(&which(&customer, 7), |_| [0xff; 32]);
        assert_eq!(never.err(), Some(DidError::Key(JoseError::InvalidKey)));
        let newer = Pairwise { template: 2, ..which(&customer, 0) };
        assert_eq!(ShopDid::derive(&newer, secret(1)).err(), Some(DidError::Member("template")));
    }

    #[test]
    fn the_old_did_says_which_one_is_next() {
        let customer = customer(1);
        let [old, new] = [0, 1].map(|epoch| ShopDid::derive(&which(&customer, epoch), secret(1)).unwrap());
        let jwt = old.from_prior(&new, UnixTime::from_secs(7)).unwrap();
        let limits = Limits::default();
        let document = old.long().resolve(None, &limits).unwrap();
        let jws = Jws::parse(&jwt, &limits).unwrap();
        let key = document.signing_key(Relationship::Authentication, jws.header().kid.as_deref().unwrap()).unwrap();
        let claims = jws.verify(key, &["JWT"]).unwrap();
        let expected = json!({"iss": old.short().as_str(), "sub": new.long().as_str(), "iat": 7});
        assert_eq!(Value::Object(claims), expected);
    }
}
