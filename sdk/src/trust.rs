//! Which issuers are believed, and for which types of credentials.
//!
//! An issuer is trusted by its root certificates, or by its URL and the keys that it publishes there; never by both,
//! or whoever presents a credential would choose the weaker one. Everything is decided before anything is fetched.
//!
//! ```no_run
//! use firsthand::trust::Trust;
//!
//! // One file for each issuer; `pid-de.status.pem` beside `pid-de.pem` holds the roots of its status lists.
//! let trust = Trust::from_pem_dir("issuers/", &["urn:eudi:pid:1"])?
//!     .national("urn:eudi:pid:de:1", "urn:eudi:pid:1");
//! # Ok::<(), firsthand::trust::TrustError>(())
//! ```

use std::{
    fs, io,
    path::{Path, PathBuf},
    sync::Arc,
};

use serde_json::Value;
use url::{Host, Url};

use crate::{
    format::IssuerRef,
    limits::Limits,
    protocol::{
        did::Did,
        jose::{JoseError, PublicKey, base64url_encode},
        json::{self, JsonError},
        x509::{Certificate, VerifiedPath, X509Error},
    },
    time::UnixTime,
};

mod chains;

use chains::Chains;

/// Keys in one published set: real ones have a few.
const JWKS_KEYS_MAX: usize = 64;

/// Why an issuer is not believed, or a trust cannot be configured as asked.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TrustError {
    /// The issuer is not trusted.
    #[error("the issuer is not trusted: add its roots or its URL to the trust if it should be")]
    Unknown,
    /// The credential brings certificates for an issuer that is trusted by its metadata only.
    #[error("this issuer is trusted by the keys it publishes, not by certificates")]
    KeyMechanism,
    /// The certificate chain is not believed.
    #[error(transparent)]
    X509(#[from] X509Error),
    /// A status list comes with certificates, and its issuer is not trusted by certificates.
    #[error("the status list must be signed with the key of its credential: this issuer has no roots for status lists")]
    StatusMechanism,
    /// The metadata or the key set is not JSON.
    #[error("the issuer's metadata is not JSON")]
    Json(#[from] JsonError),
    /// The metadata lacks something, or says it twice.
    #[error("the issuer's metadata is wrong: {0}")]
    Metadata(&'static str),
    /// The metadata is of another issuer.
    #[error("the metadata names another issuer than {expected}")]
    MetadataIssuer {
        /// The issuer that was looked for.
        expected: String,
    },
    /// The issuer publishes no key of that name.
    #[error("the issuer publishes no key with this kid")]
    KeyNotFound,
    /// Several published keys could be meant.
    #[error("the issuer publishes several keys that fit: the credential must name one by kid")]
    KeyAmbiguous,
    /// The published key is of no accepted kind.
    #[error("the issuer's key is not accepted")]
    Key(#[source] JoseError),
    /// The URL of an issuer is no https URL with a host, without query and fragment.
    #[error("{url} cannot name an issuer: {reason}")]
    Url {
        /// The URL.
        url: String,
        /// What is wrong with it.
        reason: &'static str,
    },
    /// An issuer that may issue nothing.
    #[error("an issuer must be trusted for at least one credential type")]
    NoTypes,
    /// A root that is no certificate authority.
    #[error("{subject} is no certificate authority, so it cannot be a root")]
    NotAuthority {
        /// Its subject.
        subject: String,
    },
    /// A file or folder cannot be read.
    #[error("cannot read {}: check that it exists and that this user may read it", path.display())]
    Read {
        /// Which.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A file of roots cannot be used.
    #[error("{} holds no usable roots", path.display())]
    File {
        /// Which.
        path: PathBuf,
        /// Why.
        source: Box<Self>,
    },
    /// A folder without roots.
    #[error(
        "{} holds no *.pem or *.crt file: put the root certificates of the issuers there, one file each",
        path.display()
    )]
    EmptyDirectory {
        /// Which.
        path: PathBuf,
    },
    /// A file of status roots without the file of its issuer.
    #[error("{} belongs to no issuer: name it like the file with the issuer's roots, with .status before .pem", path.display())]
    StatusAlone {
        /// Which.
        path: PathBuf,
    },
}

impl TrustError {
    /// A stable name of the check that failed.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::Unknown => "issuer_unknown",
            Self::KeyMechanism => "issuer_key_mechanism",
            Self::X509(error) => error.code(),
            Self::StatusMechanism => "status_key_mechanism",
            Self::Json(error) => error.code(),
            Self::Metadata(_) => "issuer_metadata",
            Self::MetadataIssuer { .. } => "issuer_metadata_issuer",
            Self::KeyNotFound => "issuer_key_not_found",
            Self::KeyAmbiguous => "issuer_key_ambiguous",
            Self::Key(_) => "issuer_key",
            Self::Url { .. } => "trust_url",
            Self::NoTypes => "trust_no_types",
            Self::NotAuthority { .. } => "trust_not_authority",
            Self::Read { .. } => "trust_read",
            Self::File { .. } => "trust_file",
            Self::EmptyDirectory { .. } => "trust_empty_directory",
            Self::StatusAlone { .. } => "trust_status_alone",
        }
    }
}

/// The issuers that are believed. Cheap to clone; clones share the chains that were verified.
#[derive(Clone, Debug, Default)]
pub struct Trust {
    entries: Vec<Entry>,
    /// A credential type, and the base type that it counts as.
    national: Vec<(String, String)>,
    /// Whether issuers at http URLs of this machine are accepted.
    loopback: bool,
    chains: Chains,
}

/// One issuer.
#[derive(Clone, Debug)]
struct Entry {
    mechanism: Mechanism,
    types: Vec<String>,
}

/// How the keys of an issuer are known: one way for each.
#[derive(Clone, Debug)]
enum Mechanism {
    Roots {
        roots: Vec<Certificate>,
        /// Those of the status lists, where they differ.
        status: Option<Vec<Certificate>>,
    },
    Metadata {
        url: Url,
    },
    Did {
        did: Did,
    },
}

/// What the trust says of an issuer, before any fetch.
#[derive(Clone, Debug)]
pub enum Decision {
    /// Its chain holds.
    Believed {
        /// The key that must have signed the credential.
        key: PublicKey,
        /// The issuer.
        issuer: IssuerId,
        /// The path to its root.
        path: Arc<VerifiedPath>,
    },
    /// It is known by its URL: fetch its metadata, and choose the key with [`metadata_key`].
    Fetch {
        /// Where the metadata is.
        metadata: Url,
        /// The issuer, as the metadata must name it.
        iss: String,
        /// Which of its keys.
        kid: Option<String>,
        /// The issuer.
        issuer: IssuerId,
    },
    /// It is known by its DID: resolve that, and take the key of this method, which must be one for assertions.
    Resolve {
        /// The DID.
        did: Did,
        /// The verification method: an absolute DID URL that begins with the DID.
        method: String,
        /// The issuer.
        issuer: IssuerId,
    },
}

/// A trusted issuer, within the [`Trust`] that named it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct IssuerId(usize);

/// The key of an issuer, or where its keys are.
#[derive(Clone, Debug)]
pub enum MetadataKey {
    /// The key.
    Found(PublicKey),
    /// Fetch this key set, and choose the key with [`jwks_key`].
    Fetch(Url),
}

impl Trust {
    /// Believes nobody.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Believes the roots in the `*.pem` and `*.crt` files of a folder, one issuer for each file, for these types.
    ///
    /// `name.status.pem` (or `.crt`) holds the roots of the status lists of the issuer in `name.pem`; without it, they
    /// are the same. One issuer's roots never vouch for the status lists of another.
    ///
    /// # Errors
    /// If the folder or a file cannot be read or used, naming it; if there is no such file.
    pub fn from_pem_dir(dir: impl AsRef<Path>, types: &[&str]) -> Result<Self, TrustError> {
        let dir = dir.as_ref();
        let mut paths = Vec::new();
        for entry in fs::read_dir(dir).map_err(|source| TrustError::Read { path: dir.to_owned(), source })? {
            let path = entry.map_err(|source| TrustError::Read { path: dir.to_owned(), source })?.path();
            if path.extension().is_some_and(|end| end == "pem" || end == "crt") {
                paths.push(path);
            }
        }
        // The order of a folder is no order.
        paths.sort();
        let (status, issuers): (Vec<_>, Vec<_>) = paths.into_iter().partition(|path| status_of(path).is_some());
        if let Some(path) = status.iter().find(|path| !issuers.iter().any(|issuer| status_of(path) == stem(issuer))) {
            return Err(TrustError::StatusAlone { path: path.clone() });
        }
        let mut trust = Self::new();
        for path in &issuers {
            let status = status.iter().find(|status| status_of(status) == stem(path));
            let status = status.map(|path| roots_in_file(path)).transpose()?;
            trust = trust
                .entry(Mechanism::Roots { roots: roots_in_file(path)?, status }, types)
                .map_err(|source| TrustError::File { path: path.clone(), source: Box::new(source) })?;
        }
        if trust.entries.is_empty() {
            return Err(TrustError::EmptyDirectory { path: dir.to_owned() });
        }
        Ok(trust)
    }

    /// Also believes one issuer by its roots, a PEM text, for these types; its status lists by the same roots.
    ///
    /// # Errors
    /// If the text holds anything but certificates of authorities, or there are no types.
    pub fn roots(self, pem: &str, types: &[&str]) -> Result<Self, TrustError> {
        self.entry(Mechanism::Roots { roots: roots_in(pem)?, status: None }, types)
    }

    /// Also believes one issuer by its roots, with other roots for its status lists.
    ///
    /// # Errors
    /// As [`roots`](Self::roots).
    pub fn roots_with_status(self, pem: &str, status_pem: &str, types: &[&str]) -> Result<Self, TrustError> {
        self.entry(Mechanism::Roots { roots: roots_in(pem)?, status: Some(roots_in(status_pem)?) }, types)
    }

    /// Also believes one issuer by its https URL and the keys that it publishes there (SD-JWT VC, JWT VC Issuer
    /// Metadata), for these types. Certificates are then not believed for it.
    ///
    /// # Errors
    /// If it is no https URL (http of this machine after [`danger_loopback`](Self::danger_loopback)), has a query,
    /// a fragment or credentials in it, or if there are no types.
    pub fn issuer(self, iss: Url, types: &[&str]) -> Result<Self, TrustError> {
        let refuse = |reason| Err(TrustError::Url { url: iss.to_string(), reason });
        match iss.scheme() {
            "https" => {}
            "http" if self.loopback && is_loopback(&iss) => {}
            _ => return refuse("it must begin with https://"),
        }
        if iss.host().is_none() || !iss.username().is_empty() || iss.password().is_some() {
            return refuse("it must have a host and no user");
        }
        if iss.query().is_some() || iss.fragment().is_some() {
            return refuse("it must have no query and no fragment");
        }
        self.entry(Mechanism::Metadata { url: iss }, types)
    }

    /// Also believes one issuer by its DID, for these types. The DID is resolved when a credential names it, and no other
    /// DID ever is.
    ///
    /// # Errors
    /// If there are no types.
    pub fn did(self, did: Did, types: &[&str]) -> Result<Self, TrustError> {
        self.entry(Mechanism::Did { did }, types)
    }

    /// A credential of type `vct` counts as `base`, if its issuer is trusted for `base`: a national type counts as the
    /// type that it extends.
    #[must_use]
    pub fn national(mut self, vct: &str, base: &str) -> Self {
        self.national.push((vct.to_owned(), base.to_owned()));
        self
    }

    /// Accepts issuers at http URLs of this machine from now on. For development: on a shared machine anybody may
    /// listen there.
    #[must_use]
    pub const fn danger_loopback(mut self) -> Self {
        self.loopback = true;
        self
    }

    /// Also believes whom `other` believes.
    #[must_use]
    pub fn and(mut self, other: Self) -> Self {
        for entry in other.entries {
            self.insert(entry);
        }
        self.national.extend(other.national);
        self.loopback |= other.loopback;
        self
    }

    /// Whether nobody is believed.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Whether issuers at http URLs of this machine are accepted.
    #[must_use]
    pub const fn is_loopback_allowed(&self) -> bool {
        self.loopback
    }

    /// All roots, those of status lists included: to warn before one expires, or to name them in a query.
    pub fn roots_iter(&self) -> impl Iterator<Item = &Certificate> {
        self.entries
            .iter()
            .flat_map(|entry| match &entry.mechanism {
                Mechanism::Roots { roots, status } => [roots.as_slice(), status.as_deref().unwrap_or_default()],
                Mechanism::Metadata { .. } | Mechanism::Did { .. } => [&[][..], &[]],
            })
            .flatten()
    }

    /// The key identifiers of the roots under which these types may be issued, in base64url: the values of a trusted
    /// authorities query of type `aki` (OpenID4VP 1.0, 6.1.1.1). None if an issuer of one of them is known in another way,
    /// or by a root without an identifier: a wallet would be told to leave its credentials out.
    #[must_use]
    pub fn authority_key_ids(&self, types: &[String]) -> Option<Vec<String>> {
        let mut ids = Vec::new();
        for entry in self.entries.iter().filter(|entry| entry.types.iter().any(|t| types.contains(t))) {
            let Mechanism::Roots { roots, .. } = &entry.mechanism else { return None };
            for root in roots {
                let id = base64url_encode(root.subject_key_id()?);
                if !ids.contains(&id) {
                    ids.push(id);
                }
            }
        }
        (!ids.is_empty()).then_some(ids)
    }

    /// Decides about the issuer that a credential names, without fetching anything.
    ///
    /// # Errors
    /// If it is not trusted, or trusted in another way, or its certificates do not lead to a root.
    pub fn decide(&self, issuer: &IssuerRef<'_>, now: UnixTime, limits: &Limits) -> Result<Decision, TrustError> {
        match *issuer {
            IssuerRef::X5c { chain, iss } => {
                // Whoever presents it must not choose how the key of an issuer is found (SD-JWT VC, "Ecosystem-specific
                // Public Key Verification Methods"): any root's certificate would speak for the URL.
                if iss.is_some_and(|iss| self.published_by_name(iss)) {
                    return Err(TrustError::KeyMechanism);
                }
                // SD-JWT VC 2.5: the issuer is the subject of the leaf; nothing binds `iss` to it, and nobody reads it.
                let (owners, anchors) = self.anchors();
                let path = self.chains.verify(chain, ALL_ROOTS, &anchors, now, limits)?;
                let issuer = owners.get(path.anchor).copied().ok_or(TrustError::Unknown)?;
                Ok(Decision::Believed { key: path.key.clone(), issuer, path })
            }
            IssuerRef::Metadata { iss, kid } => {
                let (issuer, url) = self.published(iss).ok_or(TrustError::Unknown)?;
                Ok(Decision::Fetch {
                    metadata: metadata_url(url),
                    iss: iss.to_owned(),
                    kid: kid.map(str::to_owned),
                    issuer,
                })
            }
            IssuerRef::Did { did, method } => {
                let pinned = self.entries.iter().enumerate().find_map(|(at, entry)| match &entry.mechanism {
                    Mechanism::Did { did: pinned } if pinned.as_str() == did => Some((IssuerId(at), pinned.clone())),
                    _ => None,
                });
                let (issuer, did) = pinned.ok_or(TrustError::Unknown)?;
                // A method of another DID would sign in this one's name.
                let of_did = method.strip_prefix(did.as_str()).is_some_and(|rest| rest.starts_with('#'));
                if !of_did {
                    return Err(TrustError::KeyMechanism);
                }
                Ok(Decision::Resolve { did, method: method.to_owned(), issuer })
            }
        }
    }

    /// Whether some issuer is believed for this type, or for one that counts as it.
    #[must_use]
    pub fn vouches_for(&self, kind: &str) -> bool {
        self.entries.iter().any(|entry| entry.types.iter().any(|t| t == kind))
    }

    /// The types that a credential of this issuer counts as; `types` are its `vct` and then its `aka_vcts`.
    ///
    /// It counts as T if the issuer is trusted for T, and its `vct` is T, or its `aka_vcts` name T, or
    /// [`national`](Self::national) says that its `vct` is a T. Empty: it counts as nothing.
    #[must_use]
    pub fn counts_as(&self, issuer: IssuerId, types: &[String]) -> Vec<String> {
        let Some(entry) = self.entries.get(issuer.0) else { return Vec::new() };
        let vct = types.first();
        let mapped = |base: &String| self.national.iter().any(|(from, to)| Some(from) == vct && to == base);
        entry.types.iter().filter(|base| types.contains(base) || mapped(base)).cloned().collect()
    }

    /// The key of a status list token about credentials of this issuer: that of the certificates it brings, which lead
    /// to this issuer's roots for status lists, or else the very key that signed the credential. The token's `kid`
    /// chooses nothing.
    ///
    /// # Errors
    /// If the chain does not lead there: a status list of another issuer says nothing about this one's credentials.
    pub fn status_key(
        &self,
        issuer: IssuerId,
        x5c: Option<&[Vec<u8>]>,
        _kid: Option<&str>,
        issuer_key: &PublicKey,
        now: UnixTime,
        limits: &Limits,
    ) -> Result<PublicKey, TrustError> {
        let entry = self.entries.get(issuer.0).ok_or(TrustError::Unknown)?;
        let Some(x5c) = x5c else { return Ok(issuer_key.clone()) };
        let Mechanism::Roots { roots, status } = &entry.mechanism else {
            return Err(TrustError::StatusMechanism);
        };
        let anchors: Vec<&Certificate> = status.as_ref().unwrap_or(roots).iter().collect();
        Ok(self.chains.verify(x5c, issuer.0, &anchors, now, limits)?.key.clone())
    }

    fn entry(mut self, mechanism: Mechanism, types: &[&str]) -> Result<Self, TrustError> {
        if types.is_empty() {
            return Err(TrustError::NoTypes);
        }
        self.insert(Entry { mechanism, types: types.iter().map(|&t| t.to_owned()).collect() });
        Ok(self)
    }

    /// The same issuer twice is one issuer with the types of both: otherwise only the first would ever be found.
    fn insert(&mut self, entry: Entry) {
        // What was verified counts the anchors in the old order.
        self.chains = Chains::default();
        match self.entries.iter_mut().find(|known| known.mechanism == entry.mechanism) {
            Some(known) => {
                let more: Vec<String> = entry.types.into_iter().filter(|t| !known.types.contains(t)).collect();
                known.types.extend(more);
            }
            None => self.entries.push(entry),
        }
    }

    /// The roots of all issuers, and whose each is.
    fn anchors(&self) -> (Vec<IssuerId>, Vec<&Certificate>) {
        let roots = self.entries.iter().enumerate().flat_map(|(at, entry)| match &entry.mechanism {
            Mechanism::Roots { roots, .. } => roots.iter().map(|root| (IssuerId(at), root)).collect(),
            Mechanism::Metadata { .. } | Mechanism::Did { .. } => Vec::new(),
        });
        roots.unzip()
    }

    /// The issuer that is called exactly so (SD-JWT VC: case-sensitive).
    fn published(&self, iss: &str) -> Option<(IssuerId, &Url)> {
        self.entries.iter().enumerate().find_map(|(at, entry)| match &entry.mechanism {
            Mechanism::Metadata { url } if is_called(url, iss) => Some((IssuerId(at), url)),
            _ => None,
        })
    }

    /// Whether this is a known issuer in any spelling.
    fn published_by_name(&self, iss: &str) -> bool {
        let parsed = Url::parse(iss).ok();
        self.entries.iter().any(|entry| match &entry.mechanism {
            Mechanism::Metadata { url } => is_called(url, iss) || parsed.as_ref() == Some(url),
            Mechanism::Roots { .. } | Mechanism::Did { .. } => false,
        })
    }
}

impl PartialEq for Mechanism {
    fn eq(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Roots { roots: a, status: c }, Self::Roots { roots: b, status: d }) => a == b && c == d,
            (Self::Metadata { url: a }, Self::Metadata { url: b }) => a == b,
            _ => false,
        }
    }
}

/// The key that an issuer's metadata document names by `kid`, or where its key set is; `kid` may be missing if there is
/// but one key.
///
/// # Errors
/// If the document is not this issuer's, or names no single key that is accepted.
pub fn metadata_key(iss: &str, document: &[u8], kid: Option<&str>, limits: &Limits) -> Result<MetadataKey, TrustError> {
    let document = json::parse(document, limits.json_depth)?;
    // SD-JWT VC, "JWT VC Issuer Metadata Validation": identical, or one tenant of a host could speak for another.
    if document.get("issuer").and_then(Value::as_str) != Some(iss) {
        return Err(TrustError::MetadataIssuer { expected: iss.to_owned() });
    }
    match (document.get("jwks"), document.get("jwks_uri")) {
        (Some(jwks), None) => key_in(jwks, kid, limits).map(MetadataKey::Found),
        (None, Some(uri)) => {
            let uri = uri.as_str().and_then(|uri| Url::parse(uri).ok());
            let uri = uri.ok_or(TrustError::Metadata("jwks_uri is not a URL"))?;
            // An issuer that was believed at http of this machine may keep its keys there too.
            let near =
                || is_loopback(&uri) && Url::parse(iss).is_ok_and(|iss| iss.scheme() == "http" && is_loopback(&iss));
            match uri.scheme() {
                "https" => Ok(MetadataKey::Fetch(uri)),
                "http" if near() => Ok(MetadataKey::Fetch(uri)),
                _ => Err(TrustError::Metadata("jwks_uri must begin with https://")),
            }
        }
        (Some(_), Some(_)) => Err(TrustError::Metadata("it has both jwks and jwks_uri")),
        (None, None) => Err(TrustError::Metadata("it has neither jwks nor jwks_uri")),
    }
}

/// The key that a fetched key set holds under `kid`, which may be missing if there is but one key.
///
/// # Errors
/// If there is no single such key, or it is not accepted.
pub fn jwks_key(document: &[u8], kid: Option<&str>, limits: &Limits) -> Result<PublicKey, TrustError> {
    key_in(&json::parse(document, limits.json_depth)?, kid, limits)
}

fn key_in(jwks: &Value, kid: Option<&str>, limits: &Limits) -> Result<PublicKey, TrustError> {
    let keys = jwks.get("keys").and_then(Value::as_array).ok_or(TrustError::Metadata("the key set has no keys"))?;
    if keys.len() > JWKS_KEYS_MAX {
        return Err(TrustError::Metadata("the key set has more than 64 keys"));
    }
    if kid.is_some_and(|kid| kid.len() > limits.kid_bytes) {
        return Err(TrustError::KeyNotFound);
    }
    let mut fitting =
        keys.iter().filter(|key| kid.is_none_or(|kid| key.get("kid").and_then(Value::as_str) == Some(kid)));
    let key = fitting.next().ok_or(TrustError::KeyNotFound)?;
    if fitting.next().is_some() {
        return Err(TrustError::KeyAmbiguous);
    }
    PublicKey::from_jwk(key).map_err(TrustError::Key)
}

/// Which roots the chains of credentials lead to; those of status lists are told apart by their issuer's number.
const ALL_ROOTS: usize = usize::MAX;

/// `https://host/path` has its metadata at `https://host/.well-known/jwt-vc-issuer/path` (SD-JWT VC, "JWT VC Issuer
/// Metadata").
fn metadata_url(iss: &Url) -> Url {
    let mut url = iss.clone();
    let path = if iss.path() == "/" { "" } else { iss.path() };
    url.set_path(&format!("/.well-known/jwt-vc-issuer{path}"));
    url
}

/// A URL without a path may be written with or without the slash.
fn is_called(url: &Url, iss: &str) -> bool {
    let text = url.as_str();
    text == iss || (url.path() == "/" && text.strip_suffix('/') == Some(iss))
}

fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(Host::Domain(name)) => name == "localhost",
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        None => false,
    }
}

fn roots_in(pem: &str) -> Result<Vec<Certificate>, TrustError> {
    authorities(Certificate::from_pem(pem)?)
}

fn authorities(roots: Vec<Certificate>) -> Result<Vec<Certificate>, TrustError> {
    match roots.iter().find(|root| !root.is_authority()) {
        Some(root) => Err(TrustError::NotAuthority { subject: root.subject().to_owned() }),
        None => Ok(roots),
    }
}

fn roots_in_file(path: &Path) -> Result<Vec<Certificate>, TrustError> {
    let bytes = fs::read(path).map_err(|source| TrustError::Read { path: path.to_owned(), source })?;
    let roots = match std::str::from_utf8(&bytes) {
        Ok(pem) => roots_in(pem),
        // A `.crt` may hold the bare DER.
        Err(_) => Certificate::from_der(&bytes).map_err(TrustError::from).and_then(|root| authorities(vec![root])),
    };
    roots.map_err(|source| TrustError::File { path: path.to_owned(), source: Box::new(source) })
}

/// The name of a file without its end.
fn stem(path: &Path) -> Option<&str> {
    path.file_stem()?.to_str()
}

/// The issuer whose status roots a file holds.
fn status_of(path: &Path) -> Option<&str> {
    stem(path)?.strip_suffix(".status")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::{
        protocol::jose::SigningKey,
        testing::authority::{Authority, Leaf},
    };

    const NOW: UnixTime = UnixTime::from_secs(1_793_500_000);
    const PID: &str = "urn:eudi:pid:1";

    fn limits() -> Limits {
        Limits::default()
    }

    fn issued(authority: &Authority) -> (SigningKey, Vec<Vec<u8>>) {
        authority.issue(&Leaf::new("Issuer", NOW).dns_name("issuer.example"))
    }

    fn x5c<'a>(chain: &'a [Vec<u8>], iss: Option<&'a str>) -> IssuerRef<'a> {
        IssuerRef::X5c { chain, iss }
    }

    fn believed(trust: &Trust, chain: &[Vec<u8>]) -> Result<(PublicKey, IssuerId), TrustError> {
        match trust.decide(&x5c(chain, None), NOW, &limits())? {
            Decision::Believed { key, issuer, .. } => Ok((key, issuer)),
            Decision::Fetch { .. } | Decision::Resolve { .. } => panic!("a chain needs no fetch"),
        }
    }

    #[test]
    fn an_issuer_that_is_pinned_by_its_did_signs_with_a_method_of_it_alone() {
        let did: Did = "did:web:issuer.example".parse().unwrap();
        let trust = Trust::new().did(did.clone(), &["Degree"]).unwrap();
        let decide = |did: &str, method: &str| trust.decide(&IssuerRef::Did { did, method }, NOW, &limits());
        match decide(did.as_str(), "did:web:issuer.example#k1").unwrap() {
            Decision::Resolve { did: found, method, issuer } => {
                assert_eq!((found, method.as_str()), (did, "did:web:issuer.example#k1"));
                assert_eq!(trust.counts_as(issuer, &words(&["Degree"])), ["Degree"]);
            }
            other => panic!("{other:?}"),
        }
        for method in ["did:web:evil.example#k1", "did:web:issuer.example.evil#k1", "did:web:issuer.example", "#k1"] {
            assert!(matches!(decide("did:web:issuer.example", method), Err(TrustError::KeyMechanism)), "{method}");
        }
        assert!(matches!(decide("did:web:evil.example", "did:web:evil.example#k1"), Err(TrustError::Unknown)));
        assert!(trust.vouches_for("Degree") && !trust.vouches_for("Other"));
    }

    fn url(text: &str) -> Url {
        text.parse().unwrap()
    }

    fn words(words: &[&str]) -> Vec<String> {
        words.iter().map(|&word| word.to_owned()).collect()
    }

    #[test]
    fn a_chain_is_believed_under_its_root_alone() {
        let (germany, france, other) =
            (Authority::new("DE", NOW), Authority::new("FR", NOW), Authority::new("XX", NOW));
        let trust = Trust::new()
            .roots(&germany.root_pem(), &[PID])
            .unwrap()
            .and(Trust::new().roots(&france.root_pem(), &[PID, "loyalty"]).unwrap());
        let (key, chain) = issued(&france);
        let (believed_key, issuer) = believed(&trust, &chain).unwrap();
        assert_eq!(believed_key, *key.public_key());
        assert_eq!(trust.counts_as(issuer, &words(&["loyalty"])), ["loyalty"]);
        let (_, germanys) = believed(&trust, &issued(&germany).1).unwrap();
        assert!(trust.counts_as(germanys, &words(&["loyalty"])).is_empty(), "each issuer has its own types");
        assert_eq!(believed(&trust, &issued(&other).1).unwrap_err().code(), "certificate_unknown_anchor");
        assert_eq!(believed(&Trust::new(), &chain).unwrap_err().code(), "certificate_unknown_anchor");
        assert_eq!(trust.roots_iter().count(), 2);
        assert!(Trust::new().is_empty() && !trust.is_empty());
    }

    #[test]
    fn a_chain_that_held_is_checked_against_the_time_again() {
        let root = Authority::new("DE", NOW);
        let trust = Trust::new().roots(&root.root_pem(), &[PID]).unwrap();
        let (_, chain) = root.issue(&Leaf::new("Issuer", NOW).valid(NOW, NOW.plus_s(60)));
        let decide = |now| trust.decide(&x5c(&chain, None), now, &limits()).map(|_| ()).map_err(|e| e.code());
        assert_eq!(decide(NOW), Ok(()));
        assert_eq!(decide(NOW.plus_s(60)), Ok(()));
        assert_eq!(decide(NOW.plus_s(61)), Err("certificate_expired"));
        assert_eq!(decide(NOW.minus_s(1)), Err("certificate_not_yet_valid"));
        assert_eq!(decide(NOW), Ok(()));
        // Another order of certificates is another chain, and a clone that believes others starts anew.
        let more = trust.clone().and(Trust::new().roots(&Authority::new("FR", NOW).root_pem(), &[PID]).unwrap());
        assert!(believed(&more, &chain).is_ok());
        let mut split = chain.clone();
        let tail = split[0].split_off(10);
        split.push(tail);
        assert!(believed(&trust, &split).is_err());
    }

    #[test]
    fn a_type_counts_only_as_what_its_issuer_may_issue() {
        let root = Authority::new("DE", NOW);
        let trust = Trust::new()
            .roots(&root.root_pem(), &[PID, "loyalty"])
            .unwrap()
            .national("urn:eudi:pid:de:1", PID)
            .national("member", "admin");
        let (_, issuer) = believed(&trust, &issued(&root).1).unwrap();
        for (types, expected) in [
            (&[PID][..], &[PID][..]),
            (&["loyalty"], &["loyalty"]),
            (&["urn:eudi:pid:de:1"], &[PID]),
            (&["urn:eudi:pid:fr:1", PID], &[PID]),
            (&["loyalty", PID], &[PID, "loyalty"]),
            // Only the type itself is mapped, not what it says it is also known as.
            (&["x", "urn:eudi:pid:de:1"], &[]),
            (&["urn:eudi:pid:fr:1"], &[]),
            // Mapped to what this issuer is not trusted for.
            (&["member"], &[]),
            (&["admin"], &[]),
            (&[], &[]),
        ] {
            assert_eq!(trust.counts_as(issuer, &words(types)), expected, "{types:?}");
        }
        assert!(trust.counts_as(IssuerId(7), &words(&[PID])).is_empty());
    }

    #[test]
    fn the_same_issuer_twice_has_the_types_of_both() {
        let root = Authority::new("DE", NOW);
        let one = Trust::new().roots(&root.root_pem(), &[PID]).unwrap();
        let trust = one.and(Trust::new().roots(&root.root_pem(), &["loyalty", PID]).unwrap());
        let (_, issuer) = believed(&trust, &issued(&root).1).unwrap();
        assert_eq!(trust.counts_as(issuer, &words(&["loyalty", PID])), [PID, "loyalty"]);
    }

    /// Row 65: whoever presents must not choose how an issuer's key is found.
    #[test]
    fn each_issuer_has_one_key_mechanism() {
        let root = Authority::new("DE", NOW);
        let trust = Trust::new().roots(&root.root_pem(), &[PID]).unwrap();
        let trust = trust.issuer(url("https://issuer.example/eu"), &["loyalty"]).unwrap();
        let (_, chain) = issued(&root);
        let decide = |issuer: &IssuerRef<'_>| trust.decide(issuer, NOW, &limits()).map(|_| ()).map_err(|e| e.code());
        assert_eq!(decide(&x5c(&chain, None)), Ok(()));
        assert_eq!(decide(&x5c(&chain, Some("https://elsewhere.example"))), Ok(()));
        for iss in ["https://issuer.example/eu", "https://ISSUER.example:443/eu", "https://issuer.example/x/../eu"] {
            assert_eq!(decide(&x5c(&chain, Some(iss))), Err("issuer_key_mechanism"), "{iss}");
        }
        let by_url = |iss| IssuerRef::Metadata { iss, kid: Some("1") };
        assert_eq!(decide(&by_url("https://issuer.example/eu")), Ok(()));
        for iss in
            ["https://issuer.example/eu/", "https://ISSUER.example/eu", "https://issuer.example", "did:web:x", ""]
        {
            assert_eq!(decide(&by_url(iss)), Err("issuer_unknown"), "{iss}");
        }
    }

    #[test]
    fn metadata_lies_between_host_and_path() {
        for (iss, expected) in [
            ("https://example.com", "https://example.com/.well-known/jwt-vc-issuer"),
            ("https://example.com/", "https://example.com/.well-known/jwt-vc-issuer"),
            ("https://example.com:8443/tenant/1234", "https://example.com:8443/.well-known/jwt-vc-issuer/tenant/1234"),
        ] {
            let trust = Trust::new().issuer(url(iss), &[PID]).unwrap();
            let decision = trust.decide(&IssuerRef::Metadata { iss, kid: Some("k") }, NOW, &limits()).unwrap();
            let Decision::Fetch { metadata, iss: expects, kid, issuer } = decision else { panic!("no fetch") };
            assert_eq!(metadata.as_str(), expected);
            assert_eq!((expects.as_str(), kid.as_deref()), (iss, Some("k")));
            assert_eq!(trust.counts_as(issuer, &words(&[PID])), [PID]);
        }
    }

    #[test]
    fn issuers_are_named_by_https_urls() {
        for bad in [
            "http://issuer.example",
            "http://localhost:8080",
            "https://issuer.example/?a",
            "https://issuer.example/#a",
            "https://me@issuer.example",
            "did:web:issuer.example",
        ] {
            assert_eq!(Trust::new().issuer(url(bad), &[PID]).unwrap_err().code(), "trust_url", "{bad}");
        }
        for good in ["http://localhost:8080", "http://127.0.0.1:1", "http://[::1]:1"] {
            assert!(Trust::new().danger_loopback().issuer(url(good), &[PID]).is_ok(), "{good}");
        }
        for bad in ["http://issuer.example", "http://192.168.0.1", "http://localhost.evil.example"] {
            assert!(Trust::new().danger_loopback().issuer(url(bad), &[PID]).is_err(), "{bad}");
        }
        assert_eq!(Trust::new().issuer(url("https://a.example"), &[]).unwrap_err().code(), "trust_no_types");
    }

    /// ST-5: a status list of one issuer says nothing about the credentials of another.
    #[test]
    fn a_status_list_is_its_own_issuers() {
        let (germany, france, status) =
            (Authority::new("DE", NOW), Authority::new("FR", NOW), Authority::new("FR status", NOW));
        let trust = Trust::new().roots(&germany.root_pem(), &[PID]).unwrap();
        let trust = trust.roots_with_status(&france.root_pem(), &status.root_pem(), &[PID]).unwrap();
        let trust = trust.issuer(url("https://issuer.example"), &[PID]).unwrap();
        let (german_key, german) = believed(&trust, &issued(&germany).1).unwrap();
        let (french_key, french) = believed(&trust, &issued(&france).1).unwrap();
        let key = |issuer, x5c: Option<&Vec<Vec<u8>>>, own: &PublicKey| {
            trust.status_key(issuer, x5c.map(Vec::as_slice), None, own, NOW, &limits()).map_err(|e| e.code())
        };
        let (germanys, frances, statuss) = (issued(&germany), issued(&france), issued(&status));
        assert_eq!(key(german, Some(&germanys.1), &german_key), Ok(germanys.0.public_key().clone()));
        assert_eq!(key(german, Some(&statuss.1), &german_key), Err("certificate_unknown_anchor"));
        assert_eq!(key(german, Some(&frances.1), &german_key), Err("certificate_unknown_anchor"));
        assert_eq!(key(french, Some(&statuss.1), &french_key), Ok(statuss.0.public_key().clone()));
        assert_eq!(key(french, Some(&statuss.1), &french_key), Ok(statuss.0.public_key().clone()), "from the cache");
        assert_eq!(key(french, Some(&frances.1), &french_key), Err("certificate_unknown_anchor"));
        assert_eq!(key(french, None, &french_key), Ok(french_key.clone()));
        assert_eq!(key(IssuerId(2), None, &french_key), Ok(french_key.clone()));
        assert_eq!(key(IssuerId(2), Some(&germanys.1), &french_key), Err("status_key_mechanism"));
        // Roots of status lists issue no credentials.
        assert_eq!(believed(&trust, &statuss.1).unwrap_err().code(), "certificate_unknown_anchor");
    }

    fn jwk(kid: &str) -> Value {
        let (key, _) = issued(&Authority::new("any", NOW));
        let mut jwk = key.public_key().to_jwk();
        jwk["kid"] = kid.into();
        jwk
    }

    fn found(document: &Value, kid: Option<&str>) -> Result<Value, &'static str> {
        let document = document.to_string();
        match metadata_key("https://issuer.example", document.as_bytes(), kid, &limits()) {
            Ok(MetadataKey::Found(key)) => Ok(key.to_jwk()["x"].clone()),
            Ok(MetadataKey::Fetch(url)) => Ok(url.as_str().into()),
            Err(error) => Err(error.code()),
        }
    }

    #[test]
    fn metadata_names_its_issuer_and_one_key() {
        let (a, b) = (jwk("a"), jwk("b"));
        let of = |keys: Value| json!({ "issuer": "https://issuer.example", "jwks": { "keys": keys } });
        assert_eq!(found(&of(json!([a, b])), Some("b")), Ok(b["x"].clone()));
        assert_eq!(found(&of(json!([a, b])), Some("c")), Err("issuer_key_not_found"));
        assert_eq!(found(&of(json!([a, b])), None), Err("issuer_key_ambiguous"));
        assert_eq!(found(&of(json!([a, a])), Some("a")), Err("issuer_key_ambiguous"));
        assert_eq!(found(&of(json!([a])), None), Ok(a["x"].clone()));
        assert_eq!(found(&of(json!([])), None), Err("issuer_key_not_found"));
        assert_eq!(found(&of(json!([{ "kty": "oct", "k": "AAAA", "kid": "o" }, a])), Some("a")), Ok(a["x"].clone()));
        assert_eq!(found(&of(json!([{ "kty": "oct", "k": "AAAA", "kid": "o" }])), Some("o")), Err("issuer_key"));
        let mut encrypts = a.clone();
        encrypts["use"] = "enc".into();
        assert_eq!(found(&of(json!([encrypts])), None), Err("issuer_key"));
        assert_eq!(found(&of(json!("a")), None), Err("issuer_metadata"));
        assert_eq!(found(&of(json!(vec![a.clone(); 65])), Some("b")), Err("issuer_metadata"));
        let long = "k".repeat(257);
        assert_eq!(found(&of(json!([jwk(&long)])), Some(&long)), Err("issuer_key_not_found"));
        for issuer in [json!("https://issuer.example/"), json!("https://ISSUER.example"), json!(null), json!(7)] {
            let document = json!({ "issuer": issuer, "jwks": { "keys": [a] } });
            assert_eq!(found(&document, None), Err("issuer_metadata_issuer"), "{issuer}");
        }
        assert!(metadata_key("https://issuer.example", b"<html>", None, &limits()).is_err());
    }

    #[test]
    fn a_key_set_elsewhere_is_fetched_by_https() {
        let at = |uri: &str| found(&json!({ "issuer": "https://issuer.example", "jwks_uri": uri }), None);
        assert_eq!(at("https://keys.example/set"), Ok("https://keys.example/set".into()));
        for bad in ["http://keys.example/set", "http://localhost/set", "file:///etc/passwd", "set"] {
            assert_eq!(at(bad), Err("issuer_metadata"), "{bad}");
        }
        let local = json!({ "issuer": "http://localhost:8080", "jwks_uri": "http://localhost:8080/jwks" }).to_string();
        assert!(metadata_key("http://localhost:8080", local.as_bytes(), None, &limits()).is_ok());
        let both =
            json!({ "issuer": "https://issuer.example", "jwks_uri": "https://a.example", "jwks": { "keys": [] } });
        assert_eq!(found(&both, None), Err("issuer_metadata"));
        assert_eq!(found(&json!({ "issuer": "https://issuer.example" }), None), Err("issuer_metadata"));
        let (a, b) = (jwk("a"), jwk("b"));
        let set = json!({ "keys": [a, b] }).to_string();
        assert_eq!(jwks_key(set.as_bytes(), Some("a"), &limits()).unwrap().to_jwk()["x"], a["x"]);
        assert_eq!(jwks_key(set.as_bytes(), None, &limits()).unwrap_err().code(), "issuer_key_ambiguous");
    }

    #[test]
    fn a_folder_of_roots_has_one_file_for_each_issuer() {
        let folder = std::env::temp_dir().join(format!("firsthand-trust-{}", std::process::id()));
        let _ = fs::remove_dir_all(&folder);
        let code = || Trust::from_pem_dir(&folder, &[PID]).map_err(|error| error.code());
        assert_eq!(code().unwrap_err(), "trust_read");
        fs::create_dir(&folder).unwrap();
        assert_eq!(code().unwrap_err(), "trust_empty_directory");
        let write = |name: &str, bytes: &[u8]| fs::write(folder.join(name), bytes).unwrap();
        let (germany, france, status) =
            (Authority::new("DE", NOW), Authority::new("FR", NOW), Authority::new("DE status", NOW));
        write("README", b"not a certificate");
        write("de.pem", germany.root_pem().as_bytes());
        write("de.status.pem", status.root_pem().as_bytes());
        write("fr.crt", france.root_der());
        let trust = code().unwrap();
        assert_eq!(trust.roots_iter().count(), 3);
        let (key, german) = believed(&trust, &issued(&germany).1).unwrap();
        let (_, french) = believed(&trust, &issued(&france).1).unwrap();
        let (_, chain) = issued(&status);
        assert!(trust.status_key(german, Some(&chain), None, &key, NOW, &limits()).is_ok());
        assert!(trust.status_key(french, Some(&chain), None, &key, NOW, &limits()).is_err());

        let (_, leaf) = issued(&germany);
        for (name, bytes, expected) in [
            ("xx.pem", &b"nothing"[..], "trust_file"),
            ("xx.pem", leaf[0].as_slice(), "trust_file"),
            ("xx.status.pem", germany.root_pem().as_bytes(), "trust_status_alone"),
        ] {
            write(name, bytes);
            let error = Trust::from_pem_dir(&folder, &[PID]).unwrap_err();
            assert_eq!(error.code(), expected, "{name}");
            assert!(error.to_string().contains(name), "{error}");
            fs::remove_file(folder.join(name)).unwrap();
        }
        fs::remove_dir_all(&folder).unwrap();
    }
}
