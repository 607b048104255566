//! Which issuers are believed, and for which types of credentials.
//!
//! An issuer is trusted by its root certificates, or by its URL and the keys that it publishes there; never by both,
//! or whoever presents a credential would choose the weaker one. Everything is decided before anything is fetched.
//! A [`TrustList`] brings the roots of issuers that somebody publishes.
//!
//! ```no_run
//! use firsthand::trust::Trust;
//!
//! // One file for each issuer; `pid-de.status.pem` beside `pid-de.pem` holds the roots of its status lists.
//! let trust = Trust::from_pem_dir("issuers/", &["urn:eudi:pid:1"])?
//!     .national("urn:eudi:pid:de:1", "urn:eudi:pid:1");
//! # Ok::<(), firsthand::trust::TrustError>(())
//! ```

use std::{collections::HashMap, sync::Arc};

use url::Url;

use crate::{
    format::IssuerRef,
    limits::Limits,
    protocol::{
        did::Did,
        jose::{PublicKey, base64url_encode},
        x509::{Certificate, VerifiedPath},
    },
    time::UnixTime,
};

mod chains;
mod error;
mod lists;
mod published;
mod roots;

use chains::Chains;
pub use error::TrustError;
pub(crate) use lists::ListMark;
pub use lists::{ListError, TrustList};
pub use published::{MetadataKey, jwks_key, metadata_key};
use published::{is_called, is_loopback, metadata_url};
use roots::roots_in;

/// The issuers that are believed. Cheap to clone; clones share the chains that were verified.
#[derive(Clone, Debug, Default)]
pub struct Trust {
    entries: Vec<Entry>,
    anchors: Anchors,
    /// A credential type, and the base type that it counts as.
    national: Vec<(String, String)>,
    /// Whether issuers at http URLs of this machine are accepted.
    loopback: bool,
    /// Types for which published lists may name issuers.
    listed: Vec<String>,
    /// Types that the merchant itself issues, and believes of itself.
    own: Vec<String>,
    /// Purposes of certificates whose keys sign status lists.
    status_purposes: Vec<String>,
    chains: Chains,
    /// Which of the trusts that follow each other in one program this is.
    edition: u64,
}

/// The roots of all issuers, each once, and the entries that it stands in: the same authority may be listed twice, for
/// other types.
#[derive(Clone, Debug, Default)]
struct Anchors {
    roots: Vec<Certificate>,
    entries: Vec<Vec<usize>>,
    places: HashMap<[u8; 32], usize>,
}

/// One issuer.
#[derive(Clone, Debug)]
struct Entry {
    mechanism: Mechanism,
    types: Vec<String>,
}

/// One issuer of a list, and what it is believed for.
#[derive(Clone, Debug)]
pub(crate) struct ListEntry {
    roots: Vec<Certificate>,
    status: Option<Vec<Certificate>>,
    types: Vec<String>,
}

/// How the keys of an issuer are known: one way for each.
#[derive(Clone, Debug, PartialEq)]
enum Mechanism {
    Roots {
        /// Authorities; from a list also certificates that an issuer signs with itself.
        roots: Vec<Certificate>,
        /// Those of the status lists, where they are told apart.
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
pub struct IssuerId {
    edition: u64,
    named: Named,
}

/// What an issuer is known by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Named {
    /// One of the roots.
    Root(usize),
    /// One of the entries.
    Entry(usize),
}

impl Trust {
    /// Believes nobody.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Also believes one issuer by its roots, a PEM text, for these types. Its status lists must be signed with the key
    /// that signed the credential, or with a certificate under the same roots that is
    /// [made for it](Self::status_purpose).
    ///
    /// # Errors
    /// If the text holds anything but certificates of authorities, or there are no types.
    pub fn roots(self, pem: &str, types: &[&str]) -> Result<Self, TrustError> {
        self.entry(Mechanism::Roots { roots: roots_in(pem)?, status: None }, types)
    }

    /// Also believes one issuer by its roots, with roots of their own for its status lists: whoever has a certificate
    /// under those may sign them. The same roots twice say that every certificate under them may do both.
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
    /// type that it extends. Wallets are asked for it wherever they are asked for `base`.
    ///
    /// ```
    /// # use firsthand::{Trust, ask::PID};
    /// let trust = Trust::new().national("urn:eudi:pid:de:1", PID); // Germany's identification data
    /// ```
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

    /// Also takes this extended key usage for that of certificates whose keys sign status lists and no credentials,
    /// `id-kp-oauthStatusSigning` of the Token Status List (section 10). The standard has no number for it yet; those
    /// that issuers use meanwhile are known.
    #[must_use]
    pub fn status_purpose(mut self, object_identifier: &str) -> Self {
        self.status_purposes.push(object_identifier.to_owned());
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
        self.listed.extend(other.listed);
        self.own.extend(other.own);
        self.status_purposes.extend(other.status_purposes);
        self
    }

    /// This trust, and a list that may say who issues what.
    pub(crate) fn expecting(mut self, list: &TrustList) -> Self {
        self.listed.extend(list.credential_types().map(str::to_owned));
        self
    }

    /// This trust, of a merchant who issues credentials of this type and believes their own.
    pub(crate) fn issuing(mut self, kind: &str) -> Self {
        self.own.push(kind.to_owned());
        self
    }

    /// This trust and what lists say, as the one of this number: an [`IssuerId`] of one says nothing to another.
    pub(crate) fn with_lists(mut self, entries: Vec<ListEntry>, edition: u64) -> Self {
        self.chains = Chains::default();
        self.edition = edition;
        for ListEntry { roots, status, types } in entries {
            self.push(Entry { mechanism: Mechanism::Roots { roots, status }, types });
        }
        self
    }

    /// Whether nobody is believed, also by no list.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty() && self.listed.is_empty() && self.own.is_empty()
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
        if self.own.iter().any(|kind| types.contains(kind)) {
            return None;
        }
        for entry in self.entries.iter().filter(|entry| entry.types.iter().any(|t| types.contains(t))) {
            let Mechanism::Roots { roots, .. } = &entry.mechanism else { return None };
            for root in roots {
                // A certificate that is listed itself is found by who issued it.
                let id = if root.is_authority() { root.subject_key_id() } else { root.authority_key_id() };
                let id = base64url_encode(id?);
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
                let path = self.chains.verify(chain, ALL_ROOTS, || self.anchors.roots.iter().collect(), now, limits)?;
                // Under one root both issue: who may say what was revoked must not make what is to be believed.
                if self.signs_status_alone(&path.leaf) {
                    return Err(TrustError::StatusSignerIssues);
                }
                // The same of whoever an authority certifies for something else, such as a shop that asks wallets.
                if path.leaf.purposes().is_some_and(|named| named.iter().all(|p| OTHER_PURPOSES.contains(&p.as_str())))
                {
                    return Err(TrustError::IssuerPurpose);
                }
                let issuer = self.id(Named::Root(path.anchor));
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
                    Mechanism::Did { did: pinned } if pinned.as_str() == did => Some((at, pinned.clone())),
                    _ => None,
                });
                let (at, did) = pinned.ok_or(TrustError::Unknown)?;
                // A method of another DID would sign in this one's name.
                let of_did = method.strip_prefix(did.as_str()).is_some_and(|rest| rest.starts_with('#'));
                if !of_did {
                    return Err(TrustError::KeyMechanism);
                }
                Ok(Decision::Resolve { did, method: method.to_owned(), issuer: self.id(Named::Entry(at)) })
            }
        }
    }

    /// Whether some issuer is believed for this type, or a list may name one.
    #[must_use]
    pub fn vouches_for(&self, kind: &str) -> bool {
        self.entries.iter().flat_map(|entry| &entry.types).chain(&self.listed).chain(&self.own).any(|t| t == kind)
    }

    /// The types that count as one of these.
    pub(crate) fn extensions_of<'a>(&'a self, types: &'a [String]) -> impl Iterator<Item = &'a String> {
        self.national.iter().filter(|(vct, base)| types.contains(base) && !types.contains(vct)).map(|(vct, _)| vct)
    }

    /// The types that a credential of this issuer counts as; `types` are its `vct` and then its `aka_vcts`.
    ///
    /// It counts as T if the issuer is trusted for T, and its `vct` is T, or its `aka_vcts` name T, or
    /// [`national`](Self::national) says that its `vct` is a T. Empty: it counts as nothing.
    #[must_use]
    pub fn counts_as(&self, issuer: IssuerId, types: &[String]) -> Vec<String> {
        let vct = types.first();
        let mapped = |base: &String| self.national.iter().any(|(from, to)| Some(from) == vct && to == base);
        let mut counted: Vec<String> = Vec::new();
        for base in self.entries_of(issuer).flat_map(|entry| &entry.types) {
            if (types.contains(base) || mapped(base)) && !counted.contains(base) {
                counted.push(base.clone());
            }
        }
        counted
    }

    /// The key of a status list token about credentials of this issuer that count as these types (Token Status List, 11.3;
    /// who names an issuer for other types says nothing about these): the very key that
    /// signed the credential; or that of the certificates which the token brings, if they lead to this issuer's roots
    /// for status lists, or to its only roots and are made for status lists. The token's `kid` chooses nothing.
    ///
    /// # Errors
    /// If the chain does not lead there: a status list of another issuer says nothing about this one's credentials.
    pub fn status_key(
        &self,
        issuer: IssuerId,
        types: &[String],
        x5c: Option<&[Vec<u8>]>,
        issuer_key: &PublicKey,
        now: UnixTime,
        limits: &Limits,
    ) -> Result<PublicKey, TrustError> {
        let mut own = Vec::new();
        let mut shared = Vec::new();
        let is_for_these = |entry: &&Entry| types.is_empty() || entry.types.iter().any(|kind| types.contains(kind));
        let mut entries = self.entries_of(issuer).filter(is_for_these).peekable();
        entries.peek().ok_or(TrustError::Unknown)?;
        for entry in entries {
            match &entry.mechanism {
                Mechanism::Roots { status: Some(status), .. } => own.extend(status),
                Mechanism::Roots { roots, status: None } => shared.extend(roots),
                Mechanism::Metadata { .. } | Mechanism::Did { .. } => {}
            }
        }
        let Some(x5c) = x5c else { return Ok(issuer_key.clone()) };
        let Named::Root(root) = issuer.named else { return Err(TrustError::StatusMechanism) };
        let owned = own.len();
        let path = self.chains.verify(x5c, root, || own.into_iter().chain(shared).collect(), now, limits)?;
        // A certificate under the same root may be another issuer's, or for anything.
        if path.anchor >= owned && path.key != *issuer_key && !self.signs_status(&path.leaf) {
            return Err(TrustError::StatusSigner);
        }
        Ok(path.key.clone())
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
            None => self.push(entry),
        }
    }

    fn push(&mut self, entry: Entry) {
        if let Mechanism::Roots { roots, .. } = &entry.mechanism {
            for root in roots {
                self.anchors.insert(root, self.entries.len());
            }
        }
        self.entries.push(entry);
    }

    const fn id(&self, named: Named) -> IssuerId {
        IssuerId { edition: self.edition, named }
    }

    /// All that is said of an issuer.
    fn entries_of(&self, issuer: IssuerId) -> impl Iterator<Item = &Entry> {
        let single;
        let places = match issuer.named {
            _ if issuer.edition != self.edition => &[][..],
            Named::Root(root) => self.anchors.entries.get(root).map(Vec::as_slice).unwrap_or_default(),
            Named::Entry(entry) => {
                single = [entry];
                &single
            }
        };
        let entries: Vec<&Entry> = places.iter().filter_map(|place| self.entries.get(*place)).collect();
        entries.into_iter()
    }

    /// Whether a certificate is made for signing status lists.
    fn signs_status(&self, certificate: &Certificate) -> bool {
        certificate.purposes().is_some_and(|purposes| purposes.iter().any(|purpose| self.is_for_status(purpose)))
    }

    /// Whether a certificate is made for signing status lists and nothing else.
    fn signs_status_alone(&self, certificate: &Certificate) -> bool {
        certificate.purposes().is_some_and(|purposes| purposes.iter().all(|purpose| self.is_for_status(purpose)))
    }

    fn is_for_status(&self, purpose: &str) -> bool {
        STATUS_PURPOSES.contains(&purpose) || self.status_purposes.iter().any(|known| known == purpose)
    }

    /// The issuer that is called exactly so (SD-JWT VC: case-sensitive).
    fn published(&self, iss: &str) -> Option<(IssuerId, &Url)> {
        self.entries.iter().enumerate().find_map(|(at, entry)| match &entry.mechanism {
            Mechanism::Metadata { url } if is_called(url, iss) => Some((self.id(Named::Entry(at)), url)),
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

impl Anchors {
    fn insert(&mut self, root: &Certificate, entry: usize) {
        let place = *self.places.entry(root.fingerprint()).or_insert(self.roots.len());
        if place == self.roots.len() {
            self.roots.push(root.clone());
            self.entries.push(Vec::new());
        }
        if let Some(entries) = self.entries.get_mut(place).filter(|entries| entries.last() != Some(&entry)) {
            entries.push(entry);
        }
    }
}

/// Which roots the chains of credentials lead to; those of status lists are told apart by the root of their issuer.
const ALL_ROOTS: usize = usize::MAX;

/// What issuers write for `id-kp-oauthStatusSigning`, which the Token Status List (draft 21, section 10) still gives as
/// "id-kp TBD": numbers that reference implementations took meanwhile.
const STATUS_PURPOSES: [&str; 2] = ["1.3.6.1.5.5.7.3.30", "1.3.6.1.5.5.7.3.127"];

/// Purposes that nobody issues credentials for. No standard names the one that issuers of SD-JWT VCs and JWTs have, so a
/// certificate that names another, or none, is taken.
const OTHER_PURPOSES: [&str; 5] = [
    // Readers of mdocs (ISO/IEC 18013-5, annex B.1.7; ISO/IEC TS 23220-4), and the provider of a VICAL (annex C).
    "1.0.18013.5.1.6",
    "1.0.23220.4.1.6",
    "1.0.18013.5.1.8",
    // Time stamps, and answers about certificates (RFC 5280, 4.2.1.12).
    "1.3.6.1.5.5.7.3.8",
    "1.3.6.1.5.5.7.3.9",
];

#[cfg(test)]
mod tests {
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

    /// Whom an authority certifies for reading credentials issues none.
    #[test]
    fn a_certificate_for_another_purpose_issues_nothing() {
        use rcgen::ExtendedKeyUsagePurpose::{ClientAuth, Other};
        let root = Authority::new("DE", NOW);
        let trust = Trust::new().roots(&root.root_pem(), &[PID]).unwrap();
        let reader = || Other(vec![1, 0, 18013, 5, 1, 6]);
        for (purposes, is_believed) in
            [(vec![], true), (vec![reader()], false), (vec![ClientAuth], true), (vec![reader(), ClientAuth], true)]
        {
            let (_, chain) =
                root.issue(&Leaf::new("Somebody", NOW).with(|it| it.extended_key_usages = purposes.clone()));
            let found = trust.decide(&IssuerRef::X5c { chain: &chain, iss: None }, NOW, &limits());
            let expected = if is_believed { "" } else { "issuer_purpose" };
            assert_eq!(found.err().map_or("", |error| error.code()), expected, "{purposes:?}");
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
        // An issuer of another trust is nobody here.
        let next = trust.clone().with_lists(Vec::new(), 1);
        assert!(next.counts_as(issuer, &words(&[PID])).is_empty());
        let (_, issuer) = believed(&next, &issued(&root).1).unwrap();
        assert_eq!(next.counts_as(issuer, &words(&[PID])), [PID]);
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

    fn for_status(purpose: &str) -> Leaf {
        let purpose = purpose.split('.').map(|n| n.parse().unwrap()).collect();
        Leaf::new("Status", NOW).with(|p| p.extended_key_usages = vec![rcgen::ExtendedKeyUsagePurpose::Other(purpose)])
    }

    /// Row 89, the other way round: under one root, who signs status lists issues no credentials.
    #[test]
    fn a_certificate_for_status_lists_issues_nothing() {
        let root = Authority::new("DE", NOW);
        let trust = Trust::new().roots(&root.root_pem(), &[PID]).unwrap().status_purpose("1.2.3.4");
        let decide = |leaf: &Leaf| believed(&trust, &root.issue(leaf).1).map(|_| ()).map_err(|e| e.code());
        for purpose in ["1.3.6.1.5.5.7.3.30", "1.3.6.1.5.5.7.3.127", "1.2.3.4"] {
            assert_eq!(decide(&for_status(purpose)), Err("issuer_status_signer"), "{purpose}");
            let both = for_status(purpose).with(|p| {
                p.extended_key_usages.push(rcgen::ExtendedKeyUsagePurpose::Other(vec![1, 0, 18013, 5, 1, 2]));
            });
            assert_eq!(decide(&both), Ok(()), "{purpose}");
        }
        assert_eq!(decide(&for_status("1.0.18013.5.1.2")), Ok(()));
    }

    /// One authority on two lists, for other types and with other roots beside it, is one issuer.
    #[test]
    fn a_root_that_stands_twice_has_the_types_of_both_and_no_more() {
        let (one, both) = (Authority::new("One", NOW), Authority::new("Both", NOW));
        let pem = one.root_pem() + &both.root_pem();
        let trust = Trust::new().roots(&pem, &[PID]).unwrap().roots(&both.root_pem(), &["loyalty"]).unwrap();
        let counts = |authority: &Authority| {
            let (_, issuer) = believed(&trust, &issued(authority).1).unwrap();
            trust.counts_as(issuer, &words(&[PID, "loyalty"]))
        };
        assert_eq!(counts(&one), [PID]);
        assert_eq!(counts(&both), [PID, "loyalty"]);
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
            trust.status_key(issuer, &[], x5c.map(Vec::as_slice), own, NOW, &limits()).map_err(|e| e.code())
        };
        let (germanys, frances, statuss) = (issued(&germany), issued(&france), issued(&status));
        // Under the issuer's only root, another certificate has to be made for it (row 89).
        let for_status = germany.issue(&for_status("1.3.6.1.5.5.7.3.30"));
        assert_eq!(key(german, Some(&for_status.1), &german_key), Ok(for_status.0.public_key().clone()));
        assert_eq!(key(german, Some(&germanys.1), &german_key), Err("status_signer"));
        assert_eq!(key(german, Some(&germanys.1), germanys.0.public_key()), Ok(germanys.0.public_key().clone()));
        assert_eq!(key(german, Some(&statuss.1), &german_key), Err("certificate_unknown_anchor"));
        assert_eq!(key(german, Some(&frances.1), &german_key), Err("certificate_unknown_anchor"));
        assert_eq!(key(french, Some(&statuss.1), &french_key), Ok(statuss.0.public_key().clone()));
        assert_eq!(key(french, Some(&statuss.1), &french_key), Ok(statuss.0.public_key().clone()), "from the cache");
        assert_eq!(key(french, Some(&frances.1), &french_key), Err("certificate_unknown_anchor"));
        assert_eq!(key(french, None, &french_key), Ok(french_key.clone()));
        let by_url = IssuerRef::Metadata { iss: "https://issuer.example", kid: None };
        let Decision::Fetch { issuer, .. } = trust.decide(&by_url, NOW, &limits()).unwrap() else { panic!("no fetch") };
        assert_eq!(key(issuer, None, &french_key), Ok(french_key.clone()));
        assert_eq!(key(issuer, Some(&germanys.1), &french_key), Err("status_key_mechanism"));
        // Roots of status lists issue no credentials.
        assert_eq!(believed(&trust, &statuss.1).unwrap_err().code(), "certificate_unknown_anchor");
    }
}
