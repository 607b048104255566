//! Bitstring Status List 1.0: whether a W3C credential still holds, by a list that is a credential itself.
//!
//! The bits of a list are counted from the left: the first entry stands in the most significant bit. (In a Token Status
//! List it is the least significant one.)

use std::{fmt, io::Read};

use flate2::bufread::GzDecoder;
use serde_json::{Map, Value};
use url::Url;

use super::{Credential, Expected, VcError, data_integrity, jwt, ld::Contexts, names, objects};
use crate::{
    limits::Limits,
    protocol::{
        jose::{JoseError, PublicKey, base64url_decode},
        json,
        status_list::{CLOCK_SKEW_S, Status, StatusError, TTL_DEFAULT_S, TTL_MAX_S},
    },
    time::UnixTime,
};

/// The fewest entries that a list may have (section 3.2, step 6): with fewer, a look at it tells whose status is asked.
pub const ENTRIES_MIN: u64 = 131_072;

/// Entries of one credential: revocation, suspension, and room.
const ENTRIES_MAX: usize = 4;
/// Bits of one entry.
const SIZE_MAX: u64 = 8;

/// What the bits of an entry mean when they are not zero (section 2.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Purpose {
    /// The credential was revoked, for ever.
    Revocation,
    /// The credential does not hold now.
    Suspension,
    /// A meaning of the issuer's own.
    Message,
}

impl Purpose {
    /// What a list calls it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Revocation => "revocation",
            Self::Suspension => "suspension",
            Self::Message => "message",
        }
    }
}

/// Where the status of a credential stands: one entry of its `credentialStatus`.
///
/// The index is as good as a serial number, so it is never stored and never shown; `Debug` redacts it.
#[derive(Clone, PartialEq, Eq)]
pub struct Entry {
    /// Where the list is: fetched once the credential's signature holds.
    pub uri: Url,
    /// Whose list it must be: the issuer of the credential.
    pub issuer: String,
    /// What it says.
    pub purpose: Purpose,
    index: u64,
    size: u64,
}

impl Entry {
    /// Its place in the list, for an operator who asks for what is personal.
    pub(crate) const fn index(&self) -> u64 {
        self.index
    }

    /// Reads `credentialStatus` of a credential by `issuer`: an entry or several, all of which have to be asked for.
    ///
    /// Entries that do not bear on validity (`refresh`) are left out; so the outcome may be empty.
    ///
    /// # Errors
    /// [`StatusError::Claim`] if one is malformed, and [`StatusError::Mechanism`] if one is of another kind: a credential
    /// whose status cannot be known must not pass for one without a status.
    pub fn of(credential_status: &Value, issuer: &str) -> Result<Vec<Self>, StatusError> {
        let members = Map::from_iter([("credentialStatus".to_owned(), credential_status.clone())]);
        let malformed = StatusError::Claim { expected: "`credentialStatus` to be an object, or a few of them" };
        let entries = objects(&members, "credentialStatus").map_err(|_| malformed)?;
        if entries.len() > ENTRIES_MAX {
            return Err(StatusError::Claim { expected: "`credentialStatus` to have no more than 4 entries" });
        }
        entries.into_iter().filter_map(|entry| Self::read(entry, issuer).transpose()).collect()
    }

    fn read(entry: &Map<String, Value>, issuer: &str) -> Result<Option<Self>, StatusError> {
        let text = |name: &str| entry.get(name).and_then(Value::as_str);
        if !names(entry, "type").is_some_and(|types| types.contains(&"BitstringStatusListEntry")) {
            return Err(StatusError::Mechanism);
        }
        let purpose = match text("statusPurpose") {
            Some("revocation") => Purpose::Revocation,
            Some("suspension") => Purpose::Suspension,
            Some("message") => Purpose::Message,
            // Section 2.1: that a newer one can be had says nothing against this one.
            Some("refresh") => return Ok(None),
            Some(_) => return Err(StatusError::Mechanism),
            None => return Err(StatusError::Claim { expected: "`statusPurpose` to be a string" }),
        };
        // A string of digits, and no sign or white space among them.
        let index = text("statusListIndex").filter(|index| index.bytes().all(|byte| byte.is_ascii_digit()));
        let index = index.and_then(|index| index.parse().ok());
        let index = index.ok_or(StatusError::Claim { expected: "`statusListIndex` to be an integer in a string" })?;
        let size = match entry.get("statusSize") {
            None => Some(1),
            Some(size) => size.as_u64().filter(|size| (1..=SIZE_MAX).contains(size)),
        };
        let size = size.ok_or(StatusError::Claim { expected: "`statusSize` to be from 1 to 8" })?;
        let uri = text("statusListCredential").ok_or(StatusError::Claim { expected: "`statusListCredential`" })?;
        match Url::parse(uri) {
            Ok(parsed) if parsed.as_str() == uri && parsed.has_host() => {
                Ok(Some(Self { uri: parsed, issuer: issuer.to_owned(), purpose, index, size }))
            }
            _ => Err(StatusError::Claim { expected: "`statusListCredential` to be a url in its normal form" }),
        }
    }
}

impl fmt::Debug for Entry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Entry([redacted])")
    }
}

/// A list as it was fetched: a credential of somebody's, of which nothing is believed.
pub(crate) struct SignedList {
    form: Form,
    issuer: jwt::Issuer,
}

enum Form {
    Token(String),
    Document(Value),
}

impl SignedList {
    /// Takes a list apart: a JWT, or a document with a Data Integrity proof.
    pub(crate) fn parse(fetched: &[u8], limits: &Limits) -> Result<Self, StatusError> {
        let limits = enlarged(limits);
        let text = std::str::from_utf8(fetched).unwrap_or_default().trim_ascii();
        if !text.starts_with('{') {
            return Ok(Self { issuer: jwt::issuer_of(text, &limits)?, form: Form::Token(text.to_owned()) });
        }
        let document = json::parse(text.as_bytes(), limits.json_depth).map_err(JoseError::from)?;
        let presented = data_integrity::Presented::parse(&document, &limits)?;
        let (did, method) = presented.issuer();
        let issuer = jwt::Issuer::Did { did: did.clone(), method: method.to_owned() };
        Ok(Self { form: Form::Document(document), issuer })
    }

    /// Who says to have issued it.
    pub(crate) const fn issuer(&self) -> &jwt::Issuer {
        &self.issuer
    }

    /// The list that was fetched from `uri`, if `key`, of whom the caller knows that it may speak for the issuer, has signed
    /// it.
    pub(crate) fn verify(
        &self,
        key: &PublicKey,
        uri: &Url,
        now: UnixTime,
        limits: &Limits,
    ) -> Result<BitstringList, StatusError> {
        let limits = enlarged(limits);
        let credential = match &self.form {
            Form::Token(text) => jwt::verify_credential(text, key, &limits)?.0,
            Form::Document(document) => {
                // Nobody presents a list: there is no holder, and nothing for one to answer.
                let expected = Expected {
                    audience: "",
                    nonce: "",
                    holder_binding: false,
                    now,
                    holder_proof_age_s: 0,
                    skew_s: CLOCK_SKEW_S,
                    limits: &limits,
                };
                let presented = data_integrity::Presented::parse(document, &limits)?;
                presented.verify(key, &expected, &Contexts::new())?.credential
            }
        };
        BitstringList::read(&credential, uri, now, &limits)
    }
}

/// A list is larger than any other token or document.
fn enlarged(limits: &Limits) -> Limits {
    Limits { jws_bytes: limits.status_token_bytes, ..limits.clone() }
}

/// A list that was verified and inflated.
pub struct BitstringList {
    bits: Box<[u8]>,
    issuer: String,
    purposes: Vec<String>,
    fresh_until: UnixTime,
}

impl BitstringList {
    /// Reads a list that was fetched from `uri`, out of a credential whose signature or proof holds (section 3.2).
    ///
    /// # Errors
    /// [`StatusError`] with what is wrong with it. One that is over says nothing.
    pub fn read(credential: &Credential, uri: &Url, now: UnixTime, limits: &Limits) -> Result<Self, StatusError> {
        let is_list = credential.types.iter().any(|name| name == "BitstringStatusListCredential");
        if !is_list {
            return Err(StatusError::Token { expected: "a BitstringStatusListCredential" });
        }
        match credential.check_times(now, CLOCK_SKEW_S) {
            Ok(()) => {}
            Err(VcError::NotYetValid { at, now }) => return Err(StatusError::FromTheFuture { at, now }),
            Err(VcError::Expired { at: expired_at, now }) => return Err(StatusError::Expired { expired_at, now }),
            Err(_) => return Err(StatusError::Token { expected: "dates" }),
        }
        // One list must not be served for another. Its name may be left out (section 2.2).
        if credential.id.as_deref().is_some_and(|id| id != uri.as_str()) {
            return Err(StatusError::OtherList);
        }
        let list = credential.claims.get("credentialSubject").and_then(Value::as_object);
        let list = list.ok_or(StatusError::Missing { claim: "credentialSubject" })?;
        if !names(list, "type").is_some_and(|types| types.contains(&"BitstringStatusList")) {
            return Err(StatusError::Token { expected: "a BitstringStatusList" });
        }
        let purposes = names(list, "statusPurpose").ok_or(StatusError::Missing { claim: "statusPurpose" })?;
        let purposes = purposes.into_iter().map(str::to_owned).collect();
        // In milliseconds, unlike everywhere else; not more than its issuer allows, and not less than a second.
        let ttl_s = match list.get("ttl") {
            None => TTL_DEFAULT_S,
            Some(ttl) => {
                let ttl = ttl.as_u64().filter(|ttl| *ttl > 0);
                (ttl.ok_or(StatusError::Token { expected: "`ttl` to be a positive integer" })? / 1000).max(1)
            }
        };
        let refresh_at = now.plus_s(ttl_s.min(TTL_MAX_S));
        let encoded = list.get("encodedList").and_then(Value::as_str);
        let encoded = encoded.ok_or(StatusError::Missing { claim: "encodedList" })?;
        // Section 3.3: GZIP, in base64url without padding, after the `u` of Multibase.
        let encoded = encoded.strip_prefix('u');
        let encoded = encoded.ok_or(StatusError::Token { expected: "`encodedList` to be multibase base64url" })?;
        let bits = gunzip(&base64url_decode(encoded)?, limits.status_list_bytes)?;
        Ok(Self {
            bits,
            issuer: credential.issuer.clone(),
            purposes,
            fresh_until: credential.valid_until.map_or(refresh_at, |end| end.min(refresh_at)),
        })
    }

    /// The status of the credential with this entry.
    ///
    /// # Errors
    /// [`StatusError::OtherIssuer`] if the list is another issuer's; [`StatusError::OtherPurpose`];
    /// [`StatusError::TooShort`]; [`StatusError::IndexOutOfRange`] (section 3.2, steps 4 to 9).
    pub fn status(&self, entry: &Entry) -> Result<Status, StatusError> {
        if self.issuer != entry.issuer {
            return Err(StatusError::OtherIssuer);
        }
        if !self.purposes.iter().any(|purpose| purpose == entry.purpose.name()) {
            return Err(StatusError::OtherPurpose);
        }
        // A list is in memory, so eight times its length is far below 2^64.
        let entries = (self.bits.len() as u64).saturating_mul(8) / entry.size.max(1);
        if entries < ENTRIES_MIN {
            return Err(StatusError::TooShort { entries });
        }
        if entry.index >= entries {
            return Err(StatusError::IndexOutOfRange { entries });
        }
        let mut value: u8 = 0;
        for at in 0..entry.size {
            // Below the length of the list, as the index was found to be.
            let bit = entry.index.saturating_mul(entry.size).saturating_add(at);
            let byte = usize::try_from(bit / 8).ok().and_then(|at| self.bits.get(at));
            let byte = byte.ok_or(StatusError::IndexOutOfRange { entries })?;
            value = value << 1 | (byte >> (7 - bit % 8) & 1);
        }
        Ok(match (value, entry.purpose) {
            (0, _) => Status::Valid,
            (1, Purpose::Revocation) => Status::Invalid,
            (1, Purpose::Suspension) => Status::Suspended,
            (other, _) => Status::Other(other),
        })
    }

    /// Until when it may be used.
    #[must_use]
    pub const fn fresh_until(&self) -> UnixTime {
        self.fresh_until
    }

    /// What it takes of memory, in bytes: for the cache that keeps it.
    #[must_use]
    pub const fn bytes(&self) -> usize {
        self.bits.len()
    }
}

impl fmt::Debug for BitstringList {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BitstringList")
            .field("bytes", &self.bits.len())
            .field("purposes", &self.purposes)
            .field("fresh_until", &self.fresh_until)
            .finish_non_exhaustive()
    }
}

/// Inflates exactly one GZIP member (RFC 1952) of at most `max` bytes. The memory grows with what really comes out.
fn gunzip(gzip: &[u8], max: usize) -> Result<Box<[u8]>, StatusError> {
    let mut rest = gzip;
    let mut out = Vec::new();
    // One byte beyond the bound, to see that more would come.
    let bound = u64::try_from(max).unwrap_or(u64::MAX).saturating_add(1);
    GzDecoder::new(&mut rest).take(bound).read_to_end(&mut out).map_err(|_| StatusError::NotGzip)?;
    if out.len() > max {
        return Err(StatusError::TooLarge { max });
    }
    if !rest.is_empty() {
        return Err(StatusError::TrailingBytes { bytes: rest.len() });
    }
    Ok(out.into_boxed_slice())
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use flate2::{Compression, write::GzEncoder};
    use serde_json::json;

    use super::*;
    use crate::protocol::{jose::base64url_encode, vc::CONTEXT_V2};

    const NOW: UnixTime = UnixTime::from_secs(1_795_000_000);
    const URI: &str = "https://issuer.example/lists/3";
    const ISSUER: &str = "did:web:issuer.example";

    fn gzip(bytes: &[u8]) -> Vec<u8> {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
        encoder.write_all(bytes).unwrap();
        encoder.finish().unwrap()
    }

    fn encoded(bits: &[u8]) -> String {
        format!("u{}", base64url_encode(&gzip(bits)))
    }

    fn list() -> Value {
        let mut bits = vec![0; 16 * 1024];
        bits[0] = 0b0100_0000;
        bits[16 * 1024 - 1] = 1;
        json!({
            "@context": [CONTEXT_V2], "type": ["VerifiableCredential", "BitstringStatusListCredential"], "id": URI,
            "issuer": ISSUER, "validFrom": "2025-01-01T00:00:00Z", "validUntil": "2030-01-01T00:00:00Z",
            "credentialSubject": {
                "id": format!("{URI}#list"), "type": "BitstringStatusList", "statusPurpose": "revocation",
                "encodedList": encoded(&bits), "ttl": 60_000,
            },
        })
    }

    fn entry(index: u64) -> Value {
        json!({
            "id": format!("{URI}#{index}"), "type": "BitstringStatusListEntry", "statusPurpose": "revocation",
            "statusListIndex": index.to_string(), "statusListCredential": URI,
        })
    }

    fn read(list: &Value) -> Result<BitstringList, StatusError> {
        let credential = Credential::read(list.as_object().unwrap()).unwrap();
        BitstringList::read(&credential, &URI.parse().unwrap(), NOW, &Limits::default())
    }

    fn status(list: &Value, entry: &Value) -> Result<Status, StatusError> {
        read(list)?.status(&Entry::of(entry, ISSUER)?[0])
    }

    #[test]
    fn the_first_entry_stands_in_the_most_significant_bit() {
        let list = list();
        assert_eq!(read(&list).unwrap().fresh_until(), NOW.plus_s(60));
        for (index, expected) in
            [(0, Status::Valid), (1, Status::Invalid), (6, Status::Valid), (131_071, Status::Invalid)]
        {
            assert_eq!(status(&list, &entry(index)).unwrap(), expected, "{index}");
        }
        assert!(matches!(status(&list, &entry(131_072)), Err(StatusError::IndexOutOfRange { entries: 131_072 })));
        let mut wide = list.clone();
        let mut bits = vec![0; 64 * 1024];
        bits[1] = 0b0011_0000;
        wide["credentialSubject"]["encodedList"] = json!(encoded(&bits));
        wide["credentialSubject"]["statusPurpose"] = json!(["revocation", "message"]);
        let mut message = entry(5);
        message["statusPurpose"] = json!("message");
        message["statusSize"] = json!(2);
        assert_eq!(status(&wide, &message).unwrap(), Status::Other(3));
        message["statusListIndex"] = json!("4");
        assert_eq!(status(&wide, &message).unwrap(), Status::Valid);
    }

    #[test]
    fn a_list_with_one_thing_wrong_says_nothing() {
        let refused = |change: &dyn Fn(&mut Value)| {
            let mut list = list();
            change(&mut list);
            status(&list, &entry(0)).unwrap_err().code()
        };
        let subject = |member: &'static str, value: Value| {
            refused(&move |list: &mut Value| list["credentialSubject"][member] = value.clone())
        };
        assert_eq!(refused(&|list| list["type"] = json!(["VerifiableCredential"])), "status_token_malformed");
        assert_eq!(refused(&|list| list["issuer"] = json!("did:web:evil.example")), "status_list_other_issuer");
        assert_eq!(refused(&|list| list["id"] = json!("https://issuer.example/lists/4")), "status_token_other_list");
        assert_eq!(refused(&|list| list["validUntil"] = json!("2026-01-01T00:00:00Z")), "status_token_expired");
        assert_eq!(refused(&|list| list["validFrom"] = json!("2029-01-01T00:00:00Z")), "status_token_from_the_future");
        assert_eq!(subject("type", json!("StatusList2021")), "status_token_malformed");
        assert_eq!(subject("statusPurpose", json!("suspension")), "status_list_other_purpose");
        assert_eq!(subject("ttl", json!("60")), "status_token_malformed");
        assert_eq!(subject("encodedList", json!(encoded(&[0; 16 * 1024 - 1]))), "status_list_too_short");
        assert_eq!(subject("encodedList", json!(encoded(&[0; 16 * 1024])[1..])), "status_token_malformed");
        assert_eq!(subject("encodedList", json!("uAAAA")), "status_list_not_gzip");
        let after = format!("u{}", base64url_encode(&[gzip(&[0; 16 * 1024]), vec![0]].concat()));
        assert_eq!(subject("encodedList", json!(after)), "status_list_trailing_bytes");
        let cut = format!("u{}", base64url_encode(&gzip(&[0; 16 * 1024])[..40]));
        assert_eq!(subject("encodedList", json!(cut)), "status_list_not_gzip");
        assert_eq!(subject("encodedList", json!(encoded(&vec![0; 17 * 1024 * 1024]))), "status_list_too_large");
    }

    #[test]
    fn an_entry_that_cannot_be_read_does_not_pass_for_none() {
        assert_eq!(Entry::of(&json!([entry(1), entry(2)]), ISSUER).unwrap().len(), 2);
        for (member, wrong) in [
            ("type", json!("StatusList2021Entry")),
            ("type", Value::Null),
            ("statusPurpose", json!("whatever")),
            ("statusPurpose", json!(["revocation"])),
            ("statusListIndex", json!(1)),
            ("statusListIndex", json!("-1")),
            ("statusListIndex", json!("+1")),
            ("statusListIndex", json!("")),
            ("statusListIndex", json!("18446744073709551616")),
            ("statusSize", json!(0)),
            ("statusSize", json!(9)),
            ("statusSize", json!("1")),
            ("statusListCredential", json!("https://Issuer.example/lists/3")),
            ("statusListCredential", json!("lists/3")),
        ] {
            let mut entry = entry(1);
            entry[member] = wrong.clone();
            assert!(Entry::of(&entry, ISSUER).is_err(), "{member}: {wrong}");
        }
        let mut refresh = entry(1);
        refresh["statusPurpose"] = json!("refresh");
        assert_eq!(Entry::of(&refresh, ISSUER).unwrap(), []);
        assert!(Entry::of(&json!("valid"), ISSUER).is_err());
        assert!(Entry::of(&json!(vec![entry(1); 5]), ISSUER).is_err());
        assert!(!format!("{:?}", Entry::of(&entry(77), ISSUER)).contains("77"));
    }
}
