//! Lists of issuers that somebody publishes, and when one issue may take the place of another.

use std::time::Duration;

use aws_lc_rs::digest::{SHA256, digest};
use serde::{Deserialize, Serialize};
use url::Url;

use super::{ListEntry, TrustError};
#[cfg(feature = "mdoc")]
use crate::protocol::trust_list::vical;
use crate::{
    fetch::FetchRequest,
    limits::Limits,
    protocol::{
        jose::base64url_encode,
        trust_list::{Judge, Operator, PublishedList, TrustListError, lote},
        x509::Certificate,
    },
    time::UnixTime,
};

/// How long a list counts after it should have been replaced, in seconds, unless the merchant says otherwise: a day. A
/// publisher may be late by hours; whoever was taken off since is believed no longer than that.
const GRACE_S: u64 = 24 * 3600;
/// How often a list is asked for, in seconds, unless the merchant says otherwise: six hours. Who is taken off a list is
/// believed no longer than that.
const REFRESH_S: u64 = 6 * 3600;
/// How long a publisher's server may take. Nobody waits for it.
const FETCH_TIMEOUT: Duration = Duration::from_secs(20);

/// A published list of issuers, and which of them are believed for what.
///
/// It is given to [`MerchantBuilder::trust_list`](crate::merchant::MerchantBuilder::trust_list) and refreshed by
/// [`Merchant::housekeeping`](crate::Merchant::housekeeping), never while a customer waits. Its last good issue is kept in
/// the store. A list says who somebody is; for which types it is believed is the merchant's word alone.
///
/// ```
/// use firsthand::trust::TrustList;
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let made_at = firsthand::time::UnixTime::from_secs(1_793_500_000);
/// # let signer = firsthand::testing::authority::Authority::new("EU", made_at).root_pem();
/// let list = TrustList::lote("https://trust.example/pid-providers.jwt".parse()?, &signer)?
///     .operator("European Commission", "EU")
///     .types(TrustList::PID_ISSUANCE, &["urn:eudi:pid:1"]);
/// # Ok(()) }
/// ```
#[derive(Clone, Debug)]
pub struct TrustList {
    kind: Kind,
    url: Url,
    signers: Vec<Certificate>,
    operator: Option<Operator>,
    list_type: Option<String>,
    /// A type in the words of the list, and the credential types that it stands for.
    types: Vec<(String, Vec<String>)>,
    grace_s: u64,
    refresh_s: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Lote,
    #[cfg(feature = "mdoc")]
    Vical,
}

impl TrustList {
    /// Providers of person identification data, in the European list of them (ETSI TS 119 602, annex D).
    pub const PID_ISSUANCE: &str = "http://uri.etsi.org/19602/SvcType/PID/Issuance";
    /// Public bodies that issue attestations of attributes, in the European list of them (annex H).
    pub const PUB_EAA_ISSUANCE: &str = "http://uri.etsi.org/19602/SvcType/PubEAA/Issuance";

    /// A List of Trusted Entities (ETSI TS 119 602) in JSON, signed as a JWS.
    ///
    /// `signer_pem` holds the certificates that sign it. A certificate authority among them stands for those below it that
    /// name the [`operator`](Self::operator), which then has to be said.
    ///
    /// # Errors
    /// If the URL does not begin with `https://`, or the text holds anything but certificates.
    pub fn lote(url: Url, signer_pem: &str) -> Result<Self, TrustError> {
        Self::of(Kind::Lote, url, Certificate::from_pem(signer_pem)?)
    }

    /// A VICAL (ISO/IEC 18013-5, annex C): authorities that issue mdocs, each with the document types that it may be believed
    /// for. Of these, the merchant says which it [believes](Self::for_types).
    ///
    /// `roots_pem` holds the roots of the list's provider, or the very certificates that sign it.
    ///
    /// # Errors
    /// As [`lote`](Self::lote).
    #[cfg(feature = "mdoc")]
    pub fn vical(url: Url, roots_pem: &str) -> Result<Self, TrustError> {
        Self::of(Kind::Vical, url, Certificate::from_pem(roots_pem)?)
    }

    fn of(kind: Kind, url: Url, signers: Vec<Certificate>) -> Result<Self, TrustError> {
        let refuse = |reason| Err(TrustError::Url { url: url.to_string(), reason });
        if url.scheme() != "https" {
            return refuse("a list must be at an address that begins with https://");
        }
        if url.host().is_none() || !url.username().is_empty() || url.password().is_some() || url.fragment().is_some() {
            return refuse("it must have a host, no user and no fragment");
        }
        Ok(Self {
            kind,
            url,
            signers,
            operator: None,
            list_type: None,
            types: Vec::new(),
            grace_s: GRACE_S,
            refresh_s: REFRESH_S,
        })
    }

    /// Who publishes the list, as the certificates that sign it name them: organisation (`O`) and country (`C`, or `EU`).
    /// Needed where a certificate authority is configured, which certifies others too; a VICAL's signers have a purpose of
    /// their own instead.
    #[must_use]
    pub fn operator(mut self, organization: &str, country: &str) -> Self {
        self.operator = Some(Operator { organization: organization.to_owned(), country: country.to_owned() });
        self
    }

    /// Whether anybody below a configured authority could sign it.
    pub(crate) fn lacks_operator(&self) -> bool {
        self.kind == Kind::Lote && self.operator.is_none() && self.signers.iter().any(Certificate::is_authority)
    }

    /// Believes whom the list names for this service, for these types of credentials. May be called for several services.
    ///
    /// The status lists of such an entity are signed under the certificates of its service of the same name that ends in
    /// `/Revocation` instead of `/Issuance`, where the list has one.
    #[must_use]
    pub fn types(mut self, service_type: &str, types: &[&str]) -> Self {
        self.types.push((service_type.to_owned(), types.iter().map(|&t| t.to_owned()).collect()));
        self
    }

    /// Believes whom the list names for these types of credentials: for lists that name them as credentials do, such as
    /// a VICAL its document types.
    #[must_use]
    pub fn for_types(self, types: &[&str]) -> Self {
        types.iter().fold(self, |list, of_type| list.types(of_type, &[of_type]))
    }

    /// The kind of list that it must say it is, such as `http://uri.etsi.org/19602/LoTEType/EUPIDProvidersList`. Unless
    /// said here, it must stay what it was when it was first fetched.
    #[must_use]
    pub fn list_type(mut self, list_type: &str) -> Self {
        self.list_type = Some(list_type.to_owned());
        self
    }

    /// How long the list counts after it should have been replaced, in seconds: a day unless said here. After that nobody
    /// on it is believed until there is a new one.
    #[must_use]
    pub const fn grace_s(mut self, grace_s: u64) -> Self {
        self.grace_s = grace_s;
        self
    }

    /// How often it is asked for, in seconds: every six hours unless said here, and not more often than every minute.
    #[must_use]
    pub fn refresh_s(mut self, refresh_s: u64) -> Self {
        self.refresh_s = refresh_s.max(60);
        self
    }

    /// Where it is.
    #[must_use]
    pub const fn url(&self) -> &Url {
        &self.url
    }

    /// Whether anybody on it would be believed for anything.
    pub(crate) fn has_types(&self) -> bool {
        self.credential_types().next().is_some()
    }

    /// The types of credentials that somebody on it may be believed for.
    pub(crate) fn credential_types(&self) -> impl Iterator<Item = &str> {
        self.types.iter().flat_map(|(_, types)| types).map(String::as_str)
    }

    /// How often it is asked for, in seconds.
    pub(crate) const fn refreshed_every_s(&self) -> u64 {
        self.refresh_s
    }

    /// What its records are stored under.
    pub(crate) fn name(&self) -> String {
        let kind = match self.kind {
            Kind::Lote => "lote",
            #[cfg(feature = "mdoc")]
            Kind::Vical => "vical",
        };
        base64url_encode(digest(&SHA256, format!("{kind} {}", self.url).as_bytes()).as_ref())
    }

    pub(crate) fn request(&self, limits: &Limits) -> FetchRequest {
        let accept = match self.kind {
            Kind::Lote => lote::MEDIA_TYPE,
            #[cfg(feature = "mdoc")]
            Kind::Vical => vical::MEDIA_TYPE,
        };
        FetchRequest {
            redirects_max: 3,
            timeout: FETCH_TIMEOUT,
            ..FetchRequest::get(self.url.clone(), accept, limits.trust_list_bytes)
        }
    }

    /// Reads an issue of the list: its signature, its times and its form.
    pub(crate) fn read(&self, bytes: &[u8], now: UnixTime, limits: &Limits) -> Result<PublishedList, TrustListError> {
        let operator = self.operator.as_ref();
        let judge = Judge { signers: &self.signers, operator, grace_s: self.grace_s, now, limits };
        match self.kind {
            Kind::Lote => lote::read(bytes, &judge),
            #[cfg(feature = "mdoc")]
            Kind::Vical => vical::read(bytes, &judge),
        }
    }

    /// Whether an issue may follow the last good one.
    ///
    /// # Errors
    /// It is an earlier one, or another list.
    pub(crate) fn follows(&self, published: &PublishedList, last: Option<&ListMark>) -> Result<(), ListError> {
        let expected = self.list_type.as_ref().or(last.and_then(|last| last.list_type.as_ref()));
        if let Some(expected) = expected.filter(|expected| published.list_type.as_ref() != Some(expected)) {
            return Err(ListError::OtherList { expected: expected.clone() });
        }
        // Who was taken off the list since must not come back by an old copy of it.
        match last.filter(|last| published.sequence < last.sequence || published.issued_at < last.issued_at) {
            Some(last) => Err(ListError::RolledBack {
                sequence: published.sequence,
                issued_at: published.issued_at,
                last_sequence: last.sequence,
                last_issued_at: last.issued_at,
            }),
            None => Ok(()),
        }
    }

    /// Until when an issue counts.
    pub(crate) const fn believed_until(&self, published: &PublishedList) -> UnixTime {
        published.next_update.plus_s(self.grace_s)
    }

    /// Who is believed for what, by this issue of the list.
    pub(crate) fn entries(&self, published: &PublishedList) -> Vec<ListEntry> {
        let mut entries = Vec::new();
        for entity in &published.entities {
            let of = |listed: &str| {
                let services = entity.services.iter().filter(|service| service.types.iter().any(|t| t == listed));
                services.flat_map(|service| service.certificates.iter().cloned()).collect::<Vec<_>>()
            };
            for (listed, types) in &self.types {
                let roots = of(listed);
                if roots.is_empty() || types.is_empty() {
                    continue;
                }
                let status = listed.strip_suffix("/Issuance").map(|stem| of(&format!("{stem}/Revocation")));
                let status = status.filter(|status| !status.is_empty());
                entries.push(ListEntry { roots, status, types: types.clone() });
            }
        }
        entries
    }
}

/// What is remembered of the last good issue of a list.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct ListMark {
    pub(crate) sequence: u64,
    pub(crate) issued_at: UnixTime,
    pub(crate) list_type: Option<String>,
    /// SHA-256 of its bytes, base64url.
    pub(crate) digest: String,
}

impl ListMark {
    pub(crate) fn of(published: &PublishedList, bytes: &[u8]) -> Self {
        Self {
            sequence: published.sequence,
            issued_at: published.issued_at,
            list_type: published.list_type.clone(),
            digest: base64url_encode(digest(&SHA256, bytes).as_ref()),
        }
    }
}

/// Why an issue of a list does not take the place of the one before.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ListError {
    /// It is not what a list has to be.
    #[error(transparent)]
    List(#[from] TrustListError),
    /// It is older than the last good one.
    #[error(
        "an older list: number {sequence} of {issued_at}, and the last good one was number {last_sequence} of \
         {last_issued_at}"
    )]
    RolledBack {
        /// Its number.
        sequence: u64,
        /// When it was issued.
        issued_at: UnixTime,
        /// The number of the last good one.
        last_sequence: u64,
        /// When that was issued.
        last_issued_at: UnixTime,
    },
    /// Its publisher signs several lists, and this is another one.
    #[error("another list than {expected}")]
    OtherList {
        /// The kind of list that was expected.
        expected: String,
    },
}

impl ListError {
    /// A stable name of the check that failed.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::List(error) => error.code(),
            Self::RolledBack { .. } => "trust_list_rolled_back",
            Self::OtherList { .. } => "trust_list_other",
        }
    }
}
