//! An issuer of SD-JWT VCs for tests and for development: nobody should believe it anywhere else.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Write;

use aws_lc_rs::digest;
use base64::{Engine, prelude::BASE64_STANDARD};
use flate2::{Compression, write::ZlibEncoder};
use serde_json::{Map, Value, json};
use url::Url;

use crate::{
    env::Env,
    protocol::{
        jose::{JoseError, PublicKey, SigningKey, base64url_encode},
        status_list::Status,
    },
    time::UnixTime,
};

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

/// The hash function of the digests of a credential (`_sd_alg`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Hash {
    /// `sha-256`.
    #[default]
    Sha256,
    /// `sha-384`.
    Sha384,
    /// `sha-512`.
    Sha512,
}

impl Hash {
    /// Its name in `_sd_alg`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Sha256 => "sha-256",
            Self::Sha384 => "sha-384",
            Self::Sha512 => "sha-512",
        }
    }

    /// The function of this name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        [Self::Sha256, Self::Sha384, Self::Sha512].into_iter().find(|hash| hash.name() == name)
    }

    /// The base64url text of the hash of these characters.
    #[must_use]
    pub fn of(self, text: &str) -> String {
        let algorithm = match self {
            Self::Sha256 => &digest::SHA256,
            Self::Sha384 => &digest::SHA384,
            Self::Sha512 => &digest::SHA512,
        };
        base64url_encode(digest::digest(algorithm, text.as_bytes()).as_ref())
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
        let mut hiding = Hiding { env, hash: credential.hash, decoys: credential.decoys, disclosures: Vec::new() };
        let mut payload = hiding.members(&credential.claims);
        payload.extend(credential.plain.clone());
        payload.insert("_sd_alg".to_owned(), json!(credential.hash.name()));
        payload.insert("vct".to_owned(), json!(credential.vct));
        payload.insert("iat".to_owned(), json!(credential.issued_at));
        let optional = [
            ("iss", self.named.iss()),
            ("nbf", credential.begins_at.map(|at| json!(at))),
            ("exp", credential.expires_at.map(|at| json!(at))),
            ("aka_vcts", (!credential.aka_vcts.is_empty()).then(|| json!(credential.aka_vcts))),
            ("cnf", credential.holder.as_ref().map(|key| json!({"jwk": key.to_jwk()}))),
            ("status", credential.status_index.map(|index| self.status_claim(index))),
        ];
        for (claim, value) in optional {
            payload.extend(value.map(|value| (claim.to_owned(), value)));
        }
        let mut text = self.key.sign_jws(&self.named.header("dc+sd-jwt"), &Value::Object(payload))?;
        text.push('~');
        for disclosure in hiding.disclosures {
            text.push_str(&disclosure);
            text.push('~');
        }
        Ok(text)
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
        let mut all = self.status_named.header("statuslist+jwt");
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
        let per_byte = u64::from(8 / bits);
        let entries = statuses.keys().max().map_or(1024, |last| (last + 1).max(1024));
        let mut list = vec![0u8; usize::try_from(entries.div_ceil(per_byte)).unwrap_or(0)];
        for (index, status) in statuses {
            // The entry with the lowest index stands in the lowest bits (Token Status List, 4.1).
            if let Some(byte) = usize::try_from(index / per_byte).ok().and_then(|at| list.get_mut(at)) {
                *byte |= value(status) << ((index % per_byte) * u64::from(bits));
            }
        }
        let mut zlib = ZlibEncoder::new(Vec::new(), Compression::best());
        let lst = zlib.write_all(&list).and_then(|()| zlib.finish()).map_err(|_| JoseError::Crypto)?;
        let claims = json!({
            "sub": self.status_uri.as_str(),
            "iat": now,
            "exp": now.plus_s(ttl_s.saturating_mul(2)),
            "ttl": ttl_s,
            "status_list": {"bits": bits, "lst": base64url_encode(&lst)},
        });
        self.status_key.sign_jws(&self.status_named.header("statuslist+jwt"), &claims)
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

/// Turns claims into digests and disclosures.
struct Hiding<'a> {
    env: &'a dyn Env,
    hash: Hash,
    decoys: usize,
    /// A parent stands behind its children.
    disclosures: Vec<String>,
}

impl Hiding<'_> {
    /// An object whose members are all hidden.
    fn members(&mut self, members: &Map<String, Value>) -> Map<String, Value> {
        let mut digests = Vec::new();
        for (name, value) in members {
            let value = self.within(value);
            digests.push(self.hide(&json!([self.salt(), name, value])));
        }
        for _ in 0..self.decoys {
            digests.push(self.hash.of(&self.salt()));
        }
        // Sorted, so that the order of the claims does not show.
        digests.sort_unstable();
        if digests.is_empty() { Map::new() } else { Map::from_iter([("_sd".to_owned(), json!(digests))]) }
    }

    /// A value whose parts are hidden.
    fn within(&mut self, value: &Value) -> Value {
        match value {
            Value::Object(members) => Value::Object(self.members(members)),
            Value::Array(elements) => elements
                .iter()
                .map(|element| {
                    let element = self.within(element);
                    json!({"...": self.hide(&json!([self.salt(), element]))})
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

    /// 128 bits (RFC 9901, 9.3).
    fn salt(&self) -> String {
        let mut salt = [0; 16];
        self.env.fill(&mut salt);
        base64url_encode(&salt)
    }
}
