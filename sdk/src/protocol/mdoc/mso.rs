//! The mobile security object: what an issuer signs (ISO/IEC 18013-5, 9.1.2.4).

use std::collections::BTreeMap;

use aws_lc_rs::digest;
use url::Url;

use super::{MdocError, SignedItem, check_version};
use crate::{
    protocol::{
        cbor::{Item, Map},
        cose,
        jose::PublicKey,
        status_ref::StatusRef,
        x509::Certificate,
    },
    time::UnixTime,
};

/// The hash functions that digests may have (ISO/IEC 18013-5, table 21).
pub const DIGEST_ALGORITHMS: [&str; 3] = ["SHA-256", "SHA-384", "SHA-512"];

/// The tag of a date and time in text.
const DATE_TIME: u64 = 0;
/// An identifier in an identifier list, in bytes. A random one has 16.
const IDENTIFIER_BYTES_MAX: usize = 64;

pub(super) struct MobileSecurityObject<'a> {
    pub(super) doc_type: &'a str,
    pub(super) device_key: PublicKey,
    pub(super) valid_until: UnixTime,
    pub(super) status: Option<StatusRef>,
    algorithm: &'static digest::Algorithm,
    digests: BTreeMap<(&'a str, u64), &'a [u8]>,
    authorised: Option<&'a Map<'a>>,
    pub(super) signed: UnixTime,
    pub(super) valid_from: UnixTime,
}

impl<'a> MobileSecurityObject<'a> {
    pub(super) fn read(item: &'a Item<'a>) -> Result<Self, MdocError> {
        let mso = item.map().ok_or(MdocError::Form("the security object is a map"))?;
        check_version(mso.get("version"), "the security object")?;
        let algorithm = match mso.get("digestAlgorithm").and_then(Item::text) {
            Some("SHA-256") => &digest::SHA256,
            Some("SHA-384") => &digest::SHA384,
            Some("SHA-512") => &digest::SHA512,
            _ => return Err(MdocError::DigestAlgorithm),
        };
        let key_info = map(mso, "deviceKeyInfo", "`deviceKeyInfo` is a map")?;
        let device_key = key_info.get("deviceKey").ok_or(MdocError::Form("`deviceKey` is missing"))?;
        let validity = map(mso, "validityInfo", "`validityInfo` is a map")?;
        let doc_type = mso.get("docType").and_then(Item::text).ok_or(MdocError::Form("`docType` is a text"))?;
        let authorised = match key_info.get("keyAuthorizations") {
            Some(authorised) => Some(authorised.map().ok_or(MdocError::Form("`keyAuthorizations` is a map"))?),
            None => None,
        };
        Ok(Self {
            doc_type,
            device_key: cose::public_key(device_key).map_err(MdocError::DeviceAuth)?,
            status: mso.get("status").map(status_ref).transpose()?,
            algorithm,
            digests: digests(mso)?,
            authorised,
            signed: time(validity, "signed")?,
            valid_from: time(validity, "validFrom")?,
            valid_until: time(validity, "validUntil")?,
        })
    }

    /// ISO/IEC 18013-5, 9.3.1: it was signed while its signer might, and holds now.
    pub(super) fn check_times(&self, signer: &Certificate, now: UnixTime, skew_s: u64) -> Result<(), MdocError> {
        let (from, until) = (signer.not_before(), signer.not_after());
        if self.signed < from || self.signed > until {
            return Err(MdocError::SignedOutside { at: self.signed, from, until });
        }
        if self.valid_from < self.signed || self.valid_until <= self.valid_from {
            return Err(MdocError::Validity);
        }
        if self.valid_from > now.plus_s(skew_s) {
            return Err(MdocError::NotYetValid { at: self.valid_from, now });
        }
        if self.valid_until <= now.minus_s(skew_s) {
            return Err(MdocError::Expired { at: self.valid_until, now });
        }
        Ok(())
    }

    /// The bytes are those received (ISO/IEC 18013-5, 9.1.2.5).
    pub(super) fn check_digest(&self, item: &SignedItem) -> Result<(), MdocError> {
        match self.digests.get(&(item.namespace.as_str(), item.digest_id)) {
            None => Err(MdocError::DigestMissing { element: item.name.clone() }),
            Some(signed) if digest::digest(self.algorithm, &item.raw).as_ref() == *signed => Ok(()),
            Some(_) => Err(MdocError::Digest { element: item.name.clone() }),
        }
    }

    /// `KeyAuthorizations`: whole name spaces, or single elements of one.
    pub(super) fn may_sign(&self, namespace: &str, element: &str) -> bool {
        let Some(authorised) = self.authorised else { return false };
        let names = |items: Option<&Item<'_>>, name: &str| {
            items.and_then(Item::array).is_some_and(|items| items.iter().any(|item| item.text() == Some(name)))
        };
        let elements = authorised.get("dataElements").and_then(Item::map);
        names(authorised.get("nameSpaces"), namespace)
            || elements.is_some_and(|elements| names(elements.get(namespace), element))
    }
}

/// Where the status of an mdoc stands (second edition of ISO/IEC 18013-5, and Token Status List, section 6.3). A reference that is
/// not understood is refused: a document whose status cannot be known must not pass for one
/// without a status. Where both kinds are given, either says whether it was revoked: the token list is taken.
fn status_ref(status: &Item<'_>) -> Result<StatusRef, MdocError> {
    let status = status.map().ok_or(MdocError::StatusReference("it is a map"))?;
    let reference = |name| match status.get(name) {
        Some(item) => item.map().map(Some).ok_or(MdocError::StatusReference("a list is named in a map")),
        None => Ok(None),
    };
    if let Some(list) = reference("status_list")? {
        let index = list.get("idx").and_then(Item::integer).and_then(|index| u64::try_from(index).ok());
        let index = index.ok_or(MdocError::StatusReference("`idx` is an integer from 0 on"))?;
        return Ok(StatusRef::TokenList { uri: uri(list)?, index });
    }
    if let Some(list) = reference("identifier_list")? {
        let id = list.get("id").and_then(Item::bytes);
        let id = id.filter(|id| !id.is_empty() && id.len() <= IDENTIFIER_BYTES_MAX);
        let id = id.ok_or(MdocError::StatusReference("`id` is a byte string of 1 to 64"))?.to_vec();
        return Ok(StatusRef::Identifier { uri: uri(list)?, id });
    }
    Err(MdocError::StatusReference("it names neither a `status_list` nor an `identifier_list`"))
}

/// Written as the URL standard writes it: a list's `sub` is compared with it letter by letter.
fn uri(list: &Map<'_>) -> Result<Url, MdocError> {
    let text = list.get("uri").and_then(Item::text).ok_or(MdocError::StatusReference("`uri` is a text"))?;
    match Url::parse(text) {
        Ok(uri) if uri.as_str() == text && uri.has_host() => Ok(uri),
        _ => Err(MdocError::StatusReference("`uri` is an absolute url in its normal form")),
    }
}

fn digests<'a>(mso: &'a Map<'a>) -> Result<BTreeMap<(&'a str, u64), &'a [u8]>, MdocError> {
    let wrong = || MdocError::Form("`valueDigests` has byte strings by number by name space");
    let mut digests = BTreeMap::new();
    for (namespace, of_namespace) in map(mso, "valueDigests", "`valueDigests` is a map")?.iter() {
        let namespace = namespace.text().ok_or_else(wrong)?;
        for (number, digest) in of_namespace.map().ok_or_else(wrong)?.iter() {
            let number = number.integer().and_then(|number| u64::try_from(number).ok()).ok_or_else(wrong)?;
            digests.insert((namespace, number), digest.bytes().ok_or_else(wrong)?);
        }
    }
    Ok(digests)
}

fn map<'a>(of: &'a Map<'a>, name: &str, wrong: &'static str) -> Result<&'a Map<'a>, MdocError> {
    of.get(name).and_then(Item::map).ok_or(MdocError::Form(wrong))
}

/// A `tdate`: RFC 3339 behind tag 0.
fn time(validity: &Map<'_>, name: &str) -> Result<UnixTime, MdocError> {
    let text = validity.get(name).and_then(|item| item.tagged(DATE_TIME)).and_then(Item::text);
    let at = text.filter(|text| text.len() <= 40).and_then(|text| text.parse::<jiff::Timestamp>().ok());
    at.map(|at| UnixTime::from_secs(at.as_second())).ok_or(MdocError::Form("a time of `validityInfo` is a tdate"))
}
