//! What lies in a wallet: credentials as their issuers handed them out, opened.

use std::{collections::HashMap, fmt};

use serde_json::{Map, Value, json};

#[cfg(feature = "mdoc")]
use super::super::mdoc::{Held, Received};
#[cfg(feature = "w3c")]
use super::super::w3c;
use super::{Wallet, WalletError, strings};
#[cfg(feature = "mdoc")]
use crate::protocol::dcql::MSO_MDOC;
use crate::{
    limits::Limits,
    protocol::{
        dcql::{Candidate, CredentialQuery, SD_JWT_VC},
        jose::{Jws, SigningKey, base64url_decode, base64url_encode},
        x509::Certificate,
    },
    testing::issuer::Hash,
};

impl Wallet {
    /// Keeps a credential, as its issuer handed it out, with the key that it was issued to: an SD-JWT VC, or an mdoc as an
    /// `IssuerSigned` in base64url.
    ///
    /// # Errors
    /// If it is none that opens.
    pub fn hold(&mut self, issued: &str, key: SigningKey) -> Result<(), WalletError> {
        self.holdings.push(Holding::read(issued, key)?);
        Ok(())
    }

    /// The same for a credential whose type extends others: a wallet has the metadata of the types of its cards, and answers
    /// with them whoever asks for what they extend (OpenID4VP 1.0, B.3.5).
    ///
    /// # Errors
    /// As [`hold`](Self::hold).
    pub fn hold_extending(&mut self, issued: &str, key: SigningKey, extended: &[&str]) -> Result<(), WalletError> {
        let mut held = Holding::read(issued, key)?;
        held.types.extend(extended.iter().map(|&kind| kind.to_owned()));
        self.holdings.push(held);
        Ok(())
    }

    /// The same with the scalar of a P-256 key: what is held so can be [saved](Self::saved).
    ///
    /// # Errors
    /// As [`hold`](Self::hold), or if the scalar is none.
    pub fn hold_scalar(&mut self, issued: &str, scalar: &[u8; 32]) -> Result<(), WalletError> {
        let held = Holding::read(issued, SigningKey::from_p256_scalar(scalar)?)?;
        self.holdings.push(Holding { scalar: Some(*scalar), ..held });
        Ok(())
    }

    /// Keeps a document, as its issuer handed it out, with what it says: name spaces of elements.
    #[cfg(feature = "mdoc")]
    pub fn hold_mdoc(&mut self, document: Held, says: Value, key: SigningKey) {
        self.holdings.push(Holding::of_mdoc(document, says, key, Vec::new()));
    }

    /// Keeps a W3C credential, as its issuer handed it out. It is shown whole, whatever is asked.
    #[cfg(feature = "w3c")]
    pub fn hold_w3c(&mut self, credential: w3c::Held) {
        self.holdings.push(Holding {
            issuer_jwt: String::new(),
            key: credential.holder().clone(),
            scalar: None,
            hash: Hash::default(),
            types: credential.types(),
            authority_key_ids: Vec::new(),
            claims: Value::Object(credential.says().clone()),
            disclosures: Vec::new(),
            #[cfg(feature = "mdoc")]
            document: None,
            credential: Some(credential),
        });
    }

    /// What is held with a scalar, oldest first: each credential as its issuer handed it out, and the scalar of its key.
    #[must_use]
    pub fn saved(&self) -> Vec<(String, [u8; 32])> {
        self.holdings.iter().filter_map(|holding| Some((holding.as_issued(), holding.scalar?))).collect()
    }

    /// Keeps what another one has saved, too; of all that, the newest.
    pub fn take_over(&mut self, other: &Self, max: usize) {
        self.holdings.extend(other.holdings.iter().filter(|holding| holding.scalar.is_some()).cloned());
        let too_many = self.holdings.len().saturating_sub(max);
        self.holdings.drain(..too_many);
    }

    /// Has these credentials as well, and shows the newest of them before its own.
    #[must_use]
    pub fn with_cards(&self, cards: &Self) -> Self {
        Self { holdings: cards.holdings.iter().rev().chain(&self.holdings).cloned().collect() }
    }

    /// The credentials in it.
    #[must_use]
    pub fn holdings(&self) -> &[Holding] {
        &self.holdings
    }
}

/// A credential in a wallet, opened.
#[derive(Clone)]
pub struct Holding {
    pub(super) issuer_jwt: String,
    pub(super) key: SigningKey,
    /// Where the wallet keeps it outside of its memory.
    scalar: Option<[u8; 32]>,
    pub(super) hash: Hash,
    pub(super) types: Vec<String>,
    authority_key_ids: Vec<String>,
    claims: Value,
    pub(super) disclosures: Vec<Disclosure>,
    /// The mdoc that it is, if it is none of the above.
    #[cfg(feature = "mdoc")]
    pub(super) document: Option<Held>,
    /// The W3C credential that it is.
    #[cfg(feature = "w3c")]
    pub(super) credential: Option<w3c::Held>,
}

/// A disclosure, and what it discloses.
#[derive(Clone)]
pub(super) struct Disclosure {
    pub(super) text: String,
    pub(super) path: Vec<Value>,
}

impl Holding {
    fn read(issued: &str, key: SigningKey) -> Result<Self, WalletError> {
        #[cfg(feature = "mdoc")]
        if !issued.contains('~') {
            let Received { held, says, chain } = Held::received(&base64url_decode(issued)?, key.clone())?;
            return Ok(Self::of_mdoc(held, says, key, authority_key_ids(&chain)));
        }
        Self::read_sd_jwt(issued, key)
    }

    #[cfg(feature = "mdoc")]
    fn of_mdoc(document: Held, says: Value, key: SigningKey, authority_key_ids: Vec<String>) -> Self {
        Self {
            issuer_jwt: String::new(),
            key,
            scalar: None,
            hash: Hash::default(),
            types: vec![document.doc_type().to_owned()],
            authority_key_ids,
            claims: says,
            disclosures: Vec::new(),
            document: Some(document),
            #[cfg(feature = "w3c")]
            credential: None,
        }
    }

    fn read_sd_jwt(sd_jwt: &str, key: SigningKey) -> Result<Self, WalletError> {
        let (issuer_jwt, disclosures) = sd_jwt.split_once('~').ok_or(WalletError::Credential)?;
        let jws = Jws::parse(issuer_jwt, &Limits::default())?;
        let mut claims = jws.unverified_claims().clone();
        let hash = match claims.remove("_sd_alg") {
            None => Hash::default(),
            Some(name) => name.as_str().and_then(Hash::from_name).ok_or(WalletError::Credential)?,
        };
        let by_digest = disclosures.split_terminator('~').map(|text| (hash.of(text), text)).collect();
        let mut reading = Reading { by_digest, disclosures: Vec::new() };
        let claims = reading.value(Value::Object(claims), &[])?;
        let mut types = vec![claims.get("vct").and_then(Value::as_str).ok_or(WalletError::Credential)?.to_owned()];
        types.extend(strings(claims.get("aka_vcts")));
        let authority_key_ids = authority_key_ids(jws.header().x5c.as_deref().unwrap_or_default());
        Ok(Self {
            issuer_jwt: issuer_jwt.to_owned(),
            key,
            scalar: None,
            hash,
            types,
            authority_key_ids,
            claims,
            disclosures: reading.disclosures,
            #[cfg(feature = "mdoc")]
            document: None,
            #[cfg(feature = "w3c")]
            credential: None,
        })
    }

    fn as_issued(&self) -> String {
        #[cfg(feature = "mdoc")]
        if let Some(document) = &self.document {
            return base64url_encode(&document.issued());
        }
        let disclosures: String = self.disclosures.iter().map(|disclosure| format!("{}~", disclosure.text)).collect();
        format!("{}~{disclosures}", self.issuer_jwt)
    }

    /// Its format, as a query names it.
    #[must_use]
    pub const fn format(&self) -> &'static str {
        #[cfg(feature = "mdoc")]
        if self.document.is_some() {
            return MSO_MDOC;
        }
        #[cfg(feature = "w3c")]
        if let Some(credential) = &self.credential {
            return credential.format();
        }
        SD_JWT_VC
    }

    /// Whether whoever is shown one claim of it sees all of them.
    #[must_use]
    pub const fn is_shown_whole(&self) -> bool {
        #[cfg(feature = "w3c")]
        if self.credential.is_some() {
            return true;
        }
        false
    }

    /// Its type, and those that it is also known as.
    #[must_use]
    pub fn types(&self) -> &[String] {
        &self.types
    }

    /// Everything that it could show, with what it always shows.
    #[must_use]
    pub const fn claims(&self) -> &Value {
        &self.claims
    }

    /// The paths that answer a query, if this credential satisfies it.
    pub(super) fn satisfies(&self, query: &CredentialQuery) -> Option<Vec<Vec<Value>>> {
        let candidate = Candidate {
            format: self.format(),
            types: &self.types,
            holder_bound: true,
            claims: &self.claims,
            authority_key_ids: &self.authority_key_ids,
        };
        let matched = query.select(&candidate).ok()?;
        Some(matched.claims.iter().map(|(claim, _)| claim.path.clone()).collect())
    }

    /// What must be disclosed to show these claims: they, what they stand in, and what stands in them.
    pub(super) fn disclosing(&self, paths: &[Vec<Value>]) -> Vec<&str> {
        let meets = |path: &[Value], asked: &[Value]| {
            path.iter()
                .zip(asked)
                .all(|(component, asked)| component == asked || (asked.is_null() && component.is_u64()))
        };
        let shown = |disclosure: &&Disclosure| paths.iter().any(|asked| meets(&disclosure.path, asked));
        self.disclosures.iter().filter(shown).map(|disclosure| disclosure.text.as_str()).collect()
    }
}

impl fmt::Debug for Holding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Holding").field("types", &self.types).finish_non_exhaustive()
    }
}

/// Opens a credential that its issuer handed out, and notes where each disclosure belongs.
struct Reading<'a> {
    by_digest: HashMap<String, &'a str>,
    disclosures: Vec<Disclosure>,
}

impl Reading<'_> {
    fn value(&mut self, value: Value, path: &[Value]) -> Result<Value, WalletError> {
        match value {
            Value::Object(mut members) => {
                let digests = strings(members.remove("_sd").as_ref());
                let mut opened = Map::new();
                for (name, member) in members {
                    let member = self.value(member, &below(path, json!(name)))?;
                    opened.insert(name, member);
                }
                for digest in digests {
                    let Some((text, content)) = self.content(&digest)? else { continue };
                    let Ok([_salt, Value::String(name), member]) = <[Value; 3]>::try_from(content) else {
                        return Err(WalletError::Credential);
                    };
                    let path = below(path, json!(name));
                    self.disclosures.push(Disclosure { text, path: path.clone() });
                    let member = self.value(member, &path)?;
                    opened.insert(name, member);
                }
                Ok(Value::Object(opened))
            }
            Value::Array(elements) => {
                let mut opened = Vec::new();
                for element in elements {
                    let path = below(path, json!(opened.len()));
                    let Some(digest) = element.get("...").and_then(Value::as_str) else {
                        opened.push(self.value(element, &path)?);
                        continue;
                    };
                    let Some((text, content)) = self.content(digest)? else { continue };
                    let Ok([_salt, element]) = <[Value; 2]>::try_from(content) else {
                        return Err(WalletError::Credential);
                    };
                    self.disclosures.push(Disclosure { text, path: path.clone() });
                    opened.push(self.value(element, &path)?);
                }
                Ok(Value::Array(opened))
            }
            scalar => Ok(scalar),
        }
    }

    fn content(&mut self, digest: &str) -> Result<Option<(String, Vec<Value>)>, WalletError> {
        // A disclosure is taken out when it is read, so that a credential which names itself comes to an end.
        let Some(text) = self.by_digest.remove(digest) else { return Ok(None) };
        let content = serde_json::from_slice(&base64url_decode(text)?).map_err(|_| WalletError::Credential)?;
        Ok(Some((text.to_owned(), content)))
    }
}

fn authority_key_ids(chain: &[Vec<u8>]) -> Vec<String> {
    let id = |der: &Vec<u8>| Some(base64url_encode(Certificate::from_der(der).ok()?.authority_key_id()?));
    chain.iter().filter_map(id).collect()
}

fn below(path: &[Value], component: Value) -> Vec<Value> {
    path.iter().cloned().chain([component]).collect()
}
