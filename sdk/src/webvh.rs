//! Public identities with a history, the shop's and those of issuers: did:webvh 1.0, by the library `didwebvh-rs`.
//!
//! A did:web is whatever the server says today. A did:webvh is a log in which every change is signed by a key that the
//! change before it committed to, so that whoever takes over the server cannot take over the name. The command
//! `firsthand did` makes the log and adds to it when the shop's keys change; the program serves it at
//! `/.well-known/did.jsonl`, beside the did:web.
//!
//! The keys that sign the log come from the root secret, a new one for each entry, and each entry holds the hash of the
//! next one (did:webvh section "Pre-Rotation Key Hash Generation and Verification"). There are no witnesses; those of an
//! issuer's log are checked.

use std::{
    fmt,
    pin::pin,
    task::{Context, Poll, Waker},
};

use didwebvh_rs::prelude::{
    CreateDIDConfig, DIDWebVHError, DIDWebVHState, LogEntryMethods, Multibase, Parameters, Secret, UpdateDIDConfig,
    create_did, update_did,
};
use serde_json::{Value, json};
use url::Url;
use zeroize::Zeroizing;

use crate::{
    keys::Keys,
    limits::Limits,
    protocol::{
        did::{Did, DidDocument, DidError, Relationship},
        jose::PublicKey,
        json,
    },
    time::UnixTime,
};

/// The purpose under which the root secret gives the keys that sign the log.
const PURPOSE: &str = "did:webvh update";
/// A log of a shop that renewed its keys every day of ten years would be smaller.
const LOG_BYTES_MAX: usize = 8 * 1024 * 1024;
/// Entries of somebody else's log: each costs a signature, and an issuer that renews its keys every month of ten years has
/// fewer.
const FOREIGN_ENTRIES_MAX: usize = 256;

/// Why a log is not one, or cannot be continued.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum WebvhError {
    /// The log does not hold: its form, its hashes, its signatures or its times.
    #[error("the log does not hold: {0}")]
    Log(#[source] Box<DIDWebVHError>),
    /// More text than is read.
    #[error("a log of {found} bytes is longer than the {limit} that are read")]
    TooLong {
        /// Its length in bytes.
        found: usize,
        /// The bound.
        limit: usize,
    },
    /// The document in it is not one.
    #[error("the document of the log cannot be read: {0}")]
    Document(#[from] DidError),
    /// The log is of another origin.
    #[error("the log is of {0}, not of this origin")]
    OtherOrigin(Did),
    /// More entries than are read of somebody else's log.
    #[error("a log of {found} entries is longer than the {limit} that are read")]
    TooManyEntries {
        /// How many it has.
        found: usize,
        /// The bound.
        limit: usize,
    },
    /// The log is of another DID.
    #[error("the log is of {0}, not of the DID that was asked for")]
    OtherDid(Did),
    /// The log is closed for ever.
    #[error("the log says that its DID is not used any more: begin a new one")]
    Deactivated,
    /// None of the root secrets gives the key that the log asks for next.
    #[error("the root secret that the log was made under is no longer in the keys file: put it back")]
    NoUpdateKey,
    /// The log ends before, or is another than, what this shop has seen of it.
    #[error("the log was rolled back: it has {found} entries, or others, and {seen} were seen")]
    RolledBack {
        /// How many it has.
        found: usize,
        /// How many were seen.
        seen: usize,
    },
    /// The library waits for something, which it never does here.
    #[error("the library does not answer")]
    Waits,
}

impl From<DIDWebVHError> for WebvhError {
    fn from(error: DIDWebVHError) -> Self {
        Self::Log(Box::new(error))
    }
}

/// A log that holds from its first entry to its last.
#[derive(Clone)]
pub struct WebvhLog {
    text: String,
    did: Did,
    document: DidDocument,
    versions: Vec<String>,
    deactivated: bool,
}

impl WebvhLog {
    /// Reads a log, one entry a line, and checks all of it: SCID, hashes, signatures, times and pre-rotation. The library
    /// takes the time from the system.
    ///
    /// # Errors
    /// [`WebvhError::Log`] with the check that failed.
    pub fn parse(text: &str) -> Result<Self, WebvhError> {
        Ok(Self::read(text, None)?.0)
    }

    /// Reads the log of somebody else's DID, with what its witnesses signed where it [needs](Self::needs_witnesses) them.
    /// The same checks as [`parse`](Self::parse), and no more than 256 entries.
    ///
    /// # Errors
    /// Also [`WebvhError::OtherDid`], and [`WebvhError::Deactivated`] for a DID that is not used any more.
    pub fn verify(did: &Did, text: &str, witnesses: Option<&str>) -> Result<Self, WebvhError> {
        let entries = text.lines().filter(|line| !line.trim().is_empty()).count();
        if entries > FOREIGN_ENTRIES_MAX {
            return Err(WebvhError::TooManyEntries { found: entries, limit: FOREIGN_ENTRIES_MAX });
        }
        let (log, _) = Self::read(text, witnesses)?;
        if log.did != *did {
            return Err(WebvhError::OtherDid(log.did));
        }
        if log.deactivated { Err(WebvhError::Deactivated) } else { Ok(log) }
    }

    /// Whether any entry of a log names witnesses, whose proofs then lie beside it. Nothing of the log is checked yet.
    #[must_use]
    pub fn needs_witnesses(text: &str) -> bool {
        let depth = Limits::default().json_depth;
        let entries =
            text.lines().take(FOREIGN_ENTRIES_MAX).filter_map(|line| json::parse(line.as_bytes(), depth).ok());
        let named = |entry: &Value| {
            let witness = entry.pointer("/parameters/witness");
            witness.is_some_and(|witness| witness.as_object().is_none_or(|members| !members.is_empty()))
        };
        entries.into_iter().any(|entry| named(&entry))
    }

    /// The first entry of a log for this origin, with the keys of the shop's identities.
    ///
    /// # Errors
    /// [`WebvhError::Log`] if the library refuses, as for an origin that is an IP address.
    pub fn begin(origin: &Url, keys: &Keys, now: UnixTime) -> Result<Self, WebvhError> {
        let (first, next) = (update_key(&current(keys, origin, 1))?, current(keys, origin, 2));
        let parameters = Parameters {
            update_keys: Some(vec![public(&first)?].into()),
            next_key_hashes: Some(vec![hash(&update_key(&next)?)?].into()),
            portable: Some(false),
            ..Parameters::default()
        };
        let mut config = CreateDIDConfig::builder()
            .address(origin.as_str())
            .authorization_key(first)
            .did_document(document("{DID}", origin, keys))
            .parameters(parameters)
            .build()?;
        config.version_time = version_time(now);
        let made = at_once(create_did(config))??;
        Self::parse(&line(made.log_entry())?)
    }

    /// The log with one more entry, if the shop's identities have changed since the last one.
    ///
    /// # Errors
    /// [`WebvhError::OtherOrigin`], [`WebvhError::Deactivated`], [`WebvhError::NoUpdateKey`], [`WebvhError::Log`].
    pub fn continued(&self, origin: &Url, keys: &Keys, now: UnixTime) -> Result<Option<Self>, WebvhError> {
        self.check_origin(origin)?;
        if self.names(keys) {
            return Ok(None);
        }
        let (_, state) = Self::read(&self.text, None)?;
        if state.deactivated() {
            return Err(WebvhError::Deactivated);
        }
        let number = self.entries().saturating_add(1);
        let last = state.log_entries().last();
        let committed = last.and_then(|last| last.validated_parameters.next_key_hashes.clone()).unwrap_or_default();
        let mut key = None;
        for secret in keys.derive_all(PURPOSE, info(origin, number).as_bytes()) {
            let candidate = update_key(&secret)?;
            if committed.contains(&hash(&candidate)?) {
                key = Some(candidate);
            }
        }
        let key = key.ok_or(WebvhError::NoUpdateKey)?;
        let next = update_key(&current(keys, origin, number.saturating_add(1)))?;
        let (keys_now, hashes) = (vec![public(&key)?], vec![hash(&next)?]);
        let mut config = UpdateDIDConfig::builder()
            .state(state)
            .signing_key(key)
            .document(document(self.did.as_str(), origin, keys))
            .update_keys(keys_now)
            .next_key_hashes(hashes)
            .build()?;
        config.version_time = version_time(now);
        let made = at_once(update_did(config))??;
        Self::parse(&format!("{}{}", self.text, line(made.log_entry())?)).map(Some)
    }

    /// The text, one entry a line: what is served.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// The DID.
    #[must_use]
    pub const fn did(&self) -> &Did {
        &self.did
    }

    /// Its document, as of the last entry.
    #[must_use]
    pub const fn document(&self) -> &DidDocument {
        &self.document
    }

    /// The version of its entry of this number, counted from 1: it stands for that entry and all before it.
    #[must_use]
    pub fn version_id(&self, number: usize) -> Option<&str> {
        self.versions.get(number.checked_sub(1)?).map(String::as_str)
    }

    /// How many entries it has.
    #[must_use]
    pub const fn entries(&self) -> usize {
        self.versions.len()
    }

    /// Whether its document has the keys that these identities have, and no others.
    #[must_use]
    pub fn names(&self, keys: &Keys) -> bool {
        let listed = |key| {
            let kid = format!("{}#{}", self.did, fragment(key));
            self.document.signing_key(Relationship::AssertionMethod, &kid) == Some(key)
        };
        let mut all: Vec<_> = keys.identities().iter().map(|identity| identity.key().public_key()).collect();
        all.sort_by_key(|key| key.thumbprint());
        all.dedup();
        all.len() == self.document.methods().len() && all.into_iter().all(listed)
    }

    /// Whether it is this origin's.
    ///
    /// # Errors
    /// [`WebvhError::OtherOrigin`].
    pub fn check_origin(&self, origin: &Url) -> Result<(), WebvhError> {
        let web = Did::web(origin.host_str().unwrap_or_default(), origin.port());
        let host = web.as_str().strip_prefix("did:web:").unwrap_or_default();
        // did:webvh:<SCID>:<host>, at the root of the origin.
        let own = self.did.as_str().strip_prefix("did:webvh:").and_then(|rest| rest.split_once(':'));
        match own {
            Some((_, named)) if named.eq_ignore_ascii_case(host) => Ok(()),
            _ => Err(WebvhError::OtherOrigin(self.did.clone())),
        }
    }

    fn read(text: &str, witnesses: Option<&str>) -> Result<(Self, DIDWebVHState), WebvhError> {
        if text.len() > LOG_BYTES_MAX {
            return Err(WebvhError::TooLong { found: text.len(), limit: LOG_BYTES_MAX });
        }
        let limits = Limits::default();
        let lines: Vec<&str> = text.lines().filter(|line| !line.trim().is_empty()).collect();
        // Each line once by the strict reader, so that what the library reads has one meaning.
        let mut id = None;
        let mut versions = Vec::new();
        for line in &lines {
            let entry = json::parse(line.as_bytes(), limits.json_depth)
                .map_err(|error| DIDWebVHError::LogEntryError(error.to_string()))?;
            id = entry.pointer("/state/id").and_then(Value::as_str).map(str::to_owned);
            versions.extend(entry.get("versionId").and_then(Value::as_str).map(str::to_owned));
        }
        if let Some(witnesses) = witnesses {
            json::parse(witnesses.as_bytes(), limits.json_depth)
                .map_err(|error| DIDWebVHError::WitnessProofError(error.to_string()))?;
        }
        let did = Did::parse(id.as_deref().ok_or(DidError::Member("id"))?, &limits)?;
        let mut state = DIDWebVHState::default();
        let document = {
            let (entry, _) = at_once(state.resolve_log(did.as_str(), text, witnesses))??;
            DidDocument::from_json(entry.get_state(), &limits)?
        };
        let text = lines.iter().flat_map(|line| [line, "\n"]).collect();
        let deactivated = state.deactivated();
        Ok((Self { text, did, document, versions, deactivated }, state))
    }
}

impl fmt::Debug for WebvhLog {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WebvhLog").field("did", &self.did).field("entries", &self.entries()).finish_non_exhaustive()
    }
}

/// The library is async for keys that are far away. Ours are here, so nothing waits.
fn at_once<T>(future: impl Future<Output = T>) -> Result<T, WebvhError> {
    match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(outcome) => Ok(outcome),
        Poll::Pending => Err(WebvhError::Waits),
    }
}

/// The document of the identities, with a name for the DID where the library puts it in.
fn document(did: &str, origin: &Url, keys: &Keys) -> Value {
    let web = Did::web(origin.host_str().unwrap_or_default(), origin.port());
    let mut methods: Vec<Value> = Vec::new();
    let mut names: Vec<String> = Vec::new();
    for identity in keys.identities() {
        let key = identity.key().public_key();
        let id = format!("{did}#{}", fragment(key));
        // A renewed certificate is of the same key.
        if !names.contains(&id) {
            methods.push(json!({ "id": id, "type": "JsonWebKey", "controller": did, "publicKeyJwk": key.to_jwk() }));
            names.push(id);
        }
    }
    json!({
        "@context": ["https://www.w3.org/ns/did/v1", "https://w3id.org/security/jwk/v1"],
        "id": did,
        "alsoKnownAs": [web.as_str()],
        "verificationMethod": methods,
        "authentication": names,
        "assertionMethod": names,
    })
}

fn fragment(key: &PublicKey) -> String {
    key.thumbprint().to_string()
}

fn info(origin: &Url, entry: usize) -> String {
    format!("{origin}\0{entry}")
}

/// The secret of the key that signs this entry, of the current root secret.
fn current(keys: &Keys, origin: &Url, entry: usize) -> Zeroizing<[u8; 32]> {
    Zeroizing::new(keys.derive(PURPOSE, info(origin, entry).as_bytes()))
}

/// did:webvh wants Ed25519, named as a did:key (section "Authorized Keys").
fn update_key(seed: &[u8; 32]) -> Result<Secret, WebvhError> {
    let mut secret = Secret::generate_ed25519(Some(""), Some(seed));
    let public = public(&secret)?;
    secret.id = format!("did:key:{}#{}", public.as_ref(), public.as_ref());
    Ok(secret)
}

fn public(key: &Secret) -> Result<Multibase, WebvhError> {
    let text = key.get_public_keymultibase().map_err(|error| DIDWebVHError::DIDError(error.to_string()))?;
    Ok(Multibase::new(text))
}

fn hash(key: &Secret) -> Result<Multibase, WebvhError> {
    let text = key.get_public_keymultibase_hash().map_err(|error| DIDWebVHError::DIDError(error.to_string()))?;
    Ok(Multibase::new(text))
}

/// The time in whatever type the library has for it, read from its text.
fn version_time<T: std::str::FromStr>(now: UnixTime) -> Option<T> {
    now.to_string().parse().ok()
}

fn line(entry: &impl serde::Serialize) -> Result<String, WebvhError> {
    let text = serde_json::to_string(entry).map_err(|error| DIDWebVHError::LogEntryError(error.to_string()))?;
    Ok(text + "\n")
}
