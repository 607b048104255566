//! An issuer of SD-JWT VCs for tests and for development: nobody should believe it anywhere else.

use std::collections::{BTreeMap, BTreeSet};

use base64::{Engine, prelude::BASE64_STANDARD};
use serde_json::{Map, Value, json};
use url::Url;

use crate::{
    env::Env,
    protocol::{
        jose::{JoseError, PublicKey, SigningKey},
        sd_jwt::issue::{Concealed, SALT_BYTES},
        status_list::{Published, Status, Statuses, TYP},
    },
    time::UnixTime,
};

pub use crate::protocol::sd_jwt::Hash;

/// A credential to be issued. Every claim in `claims` can be hidden by the holder, and so can each member of its objects
/// and each element of its arrays: who shows `age_equal_or_over.18` shows no other age.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Credential {
    /// Its type.
    pub vct: String,
    /// Types that it is also known as.
    pub aka_vcts: Vec<String>,
    /// The claims that the holder may show, an object.
    pub claims: Map<String, Value>,
    /// Claims that always show, such as `sub`.
    pub plain: Map<String, Value>,
    /// The holder's key; without one, whoever has a copy can present it.
    pub holder: Option<PublicKey>,
    /// When it was issued.
    pub issued_at: UnixTime,
    /// From when it holds.
    pub begins_at: Option<UnixTime>,
    /// Until when it holds.
    pub expires_at: Option<UnixTime>,
    /// Its entry in the issuer's status list.
    pub status_index: Option<u64>,
    /// The hash function of its digests.
    pub hash: Hash,
    /// Digests of nothing in each object, which hide how many claims there are (RFC 9901, 4.2.5).
    pub decoys: usize,
}

impl Credential {
    /// A credential of type `vct` that was issued at `issued_at`, holds for thirty days and says nothing yet.
    #[must_use]
    pub fn new(vct: &str, issued_at: UnixTime) -> Self {
        Self {
            vct: vct.to_owned(),
            aka_vcts: Vec::new(),
            claims: Map::new(),
            plain: Map::new(),
            holder: None,
            issued_at,
            begins_at: None,
            expires_at: Some(issued_at.plus_s(30 * 24 * 3600)),
            status_index: None,
            hash: Hash::Sha256,
            decoys: 0,
        }
    }
}

/// Issues SD-JWT VCs, and says which of them still hold.
#[derive(Clone, Debug)]
pub struct Issuer {
    key: SigningKey,
    named: Named,
    status_uri: Url,
    status_key: SigningKey,
    status_named: Named,
}

/// How a token names its signer.
#[derive(Clone, Debug)]
enum Named {
    Chain(Vec<Vec<u8>>),
    Metadata { iss: Url, kid: String },
}

impl Issuer {
    /// An issuer with a certificate: `chain` is DER, leaf first, without the anchor. Its status list is at `status_uri`
    /// and, unless [said otherwise](Self::with_status_signer), signed by the same key.
    #[must_use]
    pub fn new(key: SigningKey, chain: Vec<Vec<u8>>, status_uri: Url) -> Self {
        Self::named(key, Named::Chain(chain), status_uri)
    }

    /// An issuer that is known by the metadata of the URL `iss`, where its key is called `kid`.
    #[must_use]
    pub fn by_metadata(key: SigningKey, iss: Url, kid: &str, status_uri: Url) -> Self {
        Self::named(key, Named::Metadata { iss, kid: kid.to_owned() }, status_uri)
    }

    fn named(key: SigningKey, named: Named, status_uri: Url) -> Self {
        Self { status_key: key.clone(), status_named: named.clone(), key, named, status_uri }
    }

    /// Lets another key sign the status list.
    #[must_use]
    pub fn with_status_signer(mut self, key: SigningKey, chain: Vec<Vec<u8>>) -> Self {
        self.status_key = key;
        self.status_named = Named::Chain(chain);
        self
    }

    /// Where the status list is.
    #[must_use]
    pub const fn status_uri(&self) -> &Url {
        &self.status_uri
    }

    /// The document at `/.well-known/jwt-vc-issuer` (SD-JWT VC, 4), if this issuer is known by one.
    #[must_use]
    pub fn metadata(&self) -> Option<Value> {
        let Named::Metadata { iss, kid } = &self.named else { return None };
        let mut jwk = self.key.public_key().to_jwk();
        jwk.as_object_mut()?.insert("kid".to_owned(), json!(kid));
        Some(json!({"issuer": issuer_name(iss), "jwks": {"keys": [jwk]}}))
    }

    /// The credential with all its disclosures, as its holder keeps it.
    ///
    /// # Errors
    /// If signing fails.
    pub fn issue(&self, credential: &Credential, env: &dyn Env) -> Result<String, JoseError> {
        let mut salt = || {
            let mut salt = [0; SALT_BYTES];
            env.fill(&mut salt);
            salt
        };
        let concealed = Concealed::new(&credential.claims, credential.hash, credential.decoys, &mut salt);
        let mut plain = credential.plain.clone();
        plain.insert("vct".to_owned(), json!(credential.vct));
        plain.insert("iat".to_owned(), json!(credential.issued_at));
        let optional = [
            ("iss", self.named.iss()),
            ("nbf", credential.begins_at.map(|at| json!(at))),
            ("exp", credential.expires_at.map(|at| json!(at))),
            ("aka_vcts", (!credential.aka_vcts.is_empty()).then(|| json!(credential.aka_vcts))),
            ("cnf", credential.holder.as_ref().map(|key| json!({"jwk": key.to_jwk()}))),
            ("status", credential.status_index.map(|index| self.status_claim(index))),
        ];
        for (claim, value) in optional {
            plain.extend(value.map(|value| (claim.to_owned(), value)));
        }
        concealed.sign(plain, &self.named.header("dc+sd-jwt"), &self.key)
    }

    /// The issuer-signed JWT of whatever a test wants it to say: `header` is added to the usual one, and takes its place
    /// where both name a member.
    ///
    /// # Errors
    /// If signing fails.
    pub fn sign(&self, header: &Map<String, Value>, claims: &Value) -> Result<String, JoseError> {
        let mut all = self.named.header("dc+sd-jwt");
        all.extend(header.clone());
        self.key.sign_jws(&all, claims)
    }

    /// A status list token of whatever a test wants it to say, with a header as in [`sign`](Self::sign).
    ///
    /// # Errors
    /// If signing fails.
    pub fn sign_status(&self, header: &Map<String, Value>, claims: &Value) -> Result<String, JoseError> {
        let mut all = self.status_named.header(TYP);
        all.extend(header.clone());
        self.status_key.sign_jws(&all, claims)
    }

    /// The status list token (`statuslist+jwt`) of `now`, to be asked again after `ttl_s`: the entries in `revoked` are
    /// invalid, all others valid.
    ///
    /// # Errors
    /// If signing fails.
    pub fn status_list_token(&self, now: UnixTime, ttl_s: u64, revoked: &BTreeSet<u64>) -> Result<String, JoseError> {
        self.statuses_token(now, ttl_s, &revoked.iter().map(|index| (*index, Status::Invalid)).collect())
    }

    /// The status list token with any status for some entries; all others are valid. The list has at least 1024 entries,
    /// and `exp` lies two `ttl_s` ahead.
    ///
    /// # Errors
    /// If signing fails.
    pub fn statuses_token(
        &self,
        now: UnixTime,
        ttl_s: u64,
        statuses: &BTreeMap<u64, Status>,
    ) -> Result<String, JoseError> {
        let value = |status: &Status| match status {
            Status::Valid => 0,
            Status::Invalid => 1,
            Status::Suspended => 2,
            Status::Other(value) => *value,
        };
        let bits: u8 = match statuses.values().map(value).max() {
            None | Some(0 | 1) => 1,
            Some(2 | 3) => 2,
            Some(4..=15) => 4,
            Some(_) => 8,
        };
        let entries = statuses.keys().max().map_or(1024, |last| (last + 1).max(1024));
        let mut list = Statuses::new(bits, entries).ok_or(JoseError::Crypto)?;
        for (index, status) in statuses {
            list.set(*index, value(status));
        }
        let times = Published { at: now, expires_at: now.plus_s(ttl_s.saturating_mul(2)), ttl_s };
        self.status_key.sign_jws(&self.status_named.header(TYP), &list.claims(&self.status_uri, &times)?)
    }

    fn status_claim(&self, index: u64) -> Value {
        json!({"status_list": {"idx": index, "uri": self.status_uri.as_str()}})
    }
}

impl Named {
    fn header(&self, typ: &str) -> Map<String, Value> {
        let mut header = Map::from_iter([("typ".to_owned(), json!(typ))]);
        match self {
            Self::Chain(chain) => {
                let x5c: Vec<String> = chain.iter().map(|der| BASE64_STANDARD.encode(der)).collect();
                header.insert("x5c".to_owned(), json!(x5c));
            }
            Self::Metadata { kid, .. } => {
                header.insert("kid".to_owned(), json!(kid));
            }
        }
        header
    }

    fn iss(&self) -> Option<Value> {
        match self {
            Self::Chain(_) => None,
            Self::Metadata { iss, .. } => Some(json!(issuer_name(iss))),
        }
    }
}

/// An issuer's URL as people write it: `https://issuer.example`, without the slash that a parser adds.
fn issuer_name(iss: &Url) -> &str {
    if iss.path() == "/" { iss.as_str().trim_end_matches('/') } else { iss.as_str() }
}
