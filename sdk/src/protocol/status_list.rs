//! Token Status List (`draft-ietf-oauth-status-list`): whether a credential still holds. Here in its JWT form; `cwt` has the
//! one in CBOR.
//!
//! A credential points to an entry of a list by [`StatusRef`](super::status_ref::StatusRef); the list comes as a signed token and becomes a
//! [`StatusList`] once every check holds. A check that fails says nothing about the credential: whoever asks treats
//! that as "not known", never as "valid".

use std::{fmt, io::Write};

use flate2::{Compression, Decompress, FlushDecompress, Status as Progress, write::ZlibEncoder};
use serde_json::{Value, json};
use url::Url;

#[cfg(feature = "mdoc")]
use crate::protocol::cose::CoseError;
use crate::{
    limits::Limits,
    protocol::{
        claims,
        jose::{JoseError, Jws, PublicKey, base64url_decode, base64url_encode},
    },
    time::UnixTime,
};

#[cfg(feature = "mdoc")]
pub mod cwt;

/// The media type to ask for (section 8.1).
pub const MEDIA_TYPE: &str = "application/statuslist+jwt";

/// The `typ` of a status list token (section 5.1).
pub const TYP: &str = "statuslist+jwt";

/// The media types of the lists that [`StatusList::read`] reads, for an `Accept` header: mdocs are served CWTs, and a
/// server that does not choose sends what it has.
#[cfg(feature = "mdoc")]
pub const ACCEPT: &str = "application/statuslist+jwt, application/statuslist+cwt";
/// The media type of the lists that [`StatusList::read`] reads, for an `Accept` header.
#[cfg(not(feature = "mdoc"))]
pub const ACCEPT: &str = "application/statuslist+jwt";

/// How far the clock of a list's issuer may be ahead of ours, in seconds.
pub const CLOCK_SKEW_S: u64 = 60;

/// How long a list without `ttl` is used, in seconds. Five minutes: a revocation is noticed soon, and an issuer is asked
/// at most twelve times an hour.
pub const TTL_DEFAULT_S: u64 = 300;

/// The longest time that a list is used, in seconds, whatever its `ttl`. A day: an issuer that says a year by mistake
/// would otherwise be unable to revoke anything for a year.
///
/// There is no shortest time but a second: `ttl` is the most that its issuer allows, and to keep a list for longer would
/// accept what was revoked meanwhile.
pub const TTL_MAX_S: u64 = 24 * 60 * 60;

/// What a list says of one credential (section 7.1). Only [`Status::Valid`] is valid.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Status {
    /// 0x00: it holds.
    Valid,
    /// 0x01: it was revoked, for ever.
    Invalid,
    /// 0x02: it does not hold now, and may hold again.
    Suspended,
    /// Anything else: a meaning of the issuer's own, which is not "valid".
    Other(u8),
}

/// A list of statuses that was verified and inflated. Entries stay packed, so it is as large as it was made.
pub struct StatusList {
    entries: Box<[u8]>,
    bits: Bits,
    fresh_until: UnixTime,
}

impl StatusList {
    /// Reads a list that was fetched from `uri`, in JSON or (feature `mdoc`) in CBOR. `key_of` is given the certificates
    /// that the token brings, leaf first and unchecked, and finds the key of whoever may speak for the credential's issuer.
    ///
    /// # Errors
    /// What `key_of` says, or the first check that failed.
    pub fn read<E: From<StatusError>>(
        fetched: &[u8],
        uri: &Url,
        now: UnixTime,
        limits: &Limits,
        key_of: impl FnOnce(Option<&[Vec<u8>]>) -> Result<PublicKey, E>,
    ) -> Result<Self, E> {
        #[cfg(feature = "mdoc")]
        if cwt::is_cwt(fetched) {
            let token = cwt::StatusCwt::parse(fetched, limits)?;
            let key = key_of(token.chain())?;
            return Ok(Self::verify_cwt(token, &key, uri, now, limits)?);
        }
        let text = std::str::from_utf8(fetched).unwrap_or_default().trim_ascii_end();
        let token = Self::parse(text, limits)?;
        let key = key_of(token.header().x5c.as_deref())?;
        Ok(Self::verify(token, &key, uri, now, limits)?)
    }

    /// Takes a status list token apart without believing it: its header names the key that [`StatusList::verify`] needs.
    ///
    /// A list is much larger than any other token, so it has a bound of its own, `limits.status_token_bytes`.
    ///
    /// # Errors
    /// [`StatusError::Jose`]: it is not a compact JWS, or too large.
    pub fn parse<'a>(token: &'a str, limits: &Limits) -> Result<Jws<'a>, StatusError> {
        Ok(Jws::parse(token, &Limits { jws_bytes: limits.status_token_bytes, ..limits.clone() })?)
    }

    /// Checks a status list token that was fetched from `uri` (section 8.3), with `key`, of whom the caller knows that
    /// it may speak for the credential's issuer.
    ///
    /// # Errors
    /// The first check that failed.
    pub fn verify(
        token: Jws<'_>,
        key: &PublicKey,
        uri: &Url,
        now: UnixTime,
        limits: &Limits,
    ) -> Result<Self, StatusError> {
        let claims = token.verify(key, &[TYP])?;
        let about = About {
            sub: claims::string(&claims, "sub")?,
            issued_at: claims::numeric_date(&claims, "iat")?,
            not_before: claims::numeric_date(&claims, "nbf")?,
            expires_at: claims::numeric_date(&claims, "exp")?,
            ttl_s: claims.get("ttl").map(ttl_s).transpose()?,
        };
        let fresh_until = about.fresh_until(uri, now)?;

        let list = claims.get("status_list").ok_or(StatusError::Missing { claim: "status_list" })?;
        let list = list.as_object().ok_or(StatusError::Token { expected: "`status_list` to be an object" })?;
        let bits = Bits::new(list.get("bits").ok_or(StatusError::Missing { claim: "bits" })?)?;
        let lst = claims::string(list, "lst")?.ok_or(StatusError::Missing { claim: "lst" })?;
        Self::of(&base64url_decode(lst)?, bits, fresh_until, limits)
    }

    fn of(zlib: &[u8], bits: Bits, fresh_until: UnixTime, limits: &Limits) -> Result<Self, StatusError> {
        let entries = inflate(zlib, limits.status_list_bytes)?;
        if entries.is_empty() {
            return Err(StatusError::Empty);
        }
        Ok(Self { entries, bits, fresh_until })
    }

    /// The status of the credential whose [`StatusRef`](super::status_ref::StatusRef) has this index.
    ///
    /// # Errors
    /// [`StatusError::IndexOutOfRange`]: the credential has to be refused (section 8.3).
    pub fn status(&self, index: u64) -> Result<Status, StatusError> {
        // Section 4.1: entries fill a byte from its least significant bit on.
        let per_byte = u64::from(self.bits.per_byte());
        let byte = usize::try_from(index / per_byte).ok().and_then(|at| self.entries.get(at));
        let byte = byte.ok_or(StatusError::IndexOutOfRange { entries: self.len() })?;
        let shift = (index % per_byte) * u64::from(self.bits.0);
        Ok(match (byte >> shift) & self.bits.mask() {
            0 => Status::Valid,
            1 => Status::Invalid,
            2 => Status::Suspended,
            other => Status::Other(other),
        })
    }

    /// Until when it may be used: `exp`, or `ttl` from the time it was verified at, whichever is earlier. After that it
    /// has to be fetched again.
    #[must_use]
    pub const fn fresh_until(&self) -> UnixTime {
        self.fresh_until
    }

    /// How many entries it has, with those that fill the last byte.
    #[must_use]
    pub const fn len(&self) -> u64 {
        // A list is in memory, so eight times its length is far below 2^64.
        (self.entries.len() as u64).saturating_mul(self.bits.per_byte() as u64)
    }

    /// A list has at least one entry: an empty one is refused.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// What it takes of memory, in bytes: for the cache that keeps it.
    #[must_use]
    pub const fn bytes(&self) -> usize {
        self.entries.len()
    }
}

impl fmt::Debug for StatusList {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StatusList")
            .field("bits", &self.bits.0)
            .field("len", &self.len())
            .field("fresh_until", &self.fresh_until)
            .finish_non_exhaustive()
    }
}

/// The statuses of many credentials, packed as a list has them: for whoever publishes one.
#[derive(Clone)]
pub struct Statuses {
    entries: Vec<u8>,
    bits: Bits,
}

/// When a list was published, and for how long it is good.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Published {
    /// When: `iat`.
    pub at: UnixTime,
    /// Until when it may be used at all: `exp`.
    pub expires_at: UnixTime,
    /// How long a reader keeps it before it asks again, in seconds: `ttl`.
    pub ttl_s: u64,
}

impl Statuses {
    /// A list of `entries` credentials that are all valid, with 1, 2, 4 or 8 bits for each (section 4.1); none for any
    /// other number of bits, or for more entries than fit a memory.
    #[must_use]
    pub fn new(bits: u8, entries: u64) -> Option<Self> {
        let bits = Bits::of(bits.into())?;
        let bytes = usize::try_from(entries.div_ceil(bits.per_byte().into())).ok()?;
        Some(Self { entries: vec![0; bytes], bits })
    }

    /// Sets the status of one entry; what lies outside of the list, or has no room in its bits, changes nothing.
    pub fn set(&mut self, index: u64, value: u8) {
        let per_byte = u64::from(self.bits.per_byte());
        // The entry with the lowest index stands in the lowest bits (section 4.1).
        let shift = (index % per_byte) * u64::from(self.bits.0);
        if let Some(byte) = usize::try_from(index / per_byte).ok().and_then(|at| self.entries.get_mut(at)) {
            let mask = self.bits.mask();
            if value <= mask {
                *byte = (*byte & !(mask << shift)) | (value << shift);
            }
        }
    }

    /// The claims of the token for the list at `uri` (section 5.1), to be signed with the `typ` [`TYP`].
    ///
    /// # Errors
    /// [`JoseError::Crypto`] if the list cannot be compressed.
    pub fn claims(&self, uri: &Url, published: &Published) -> Result<Value, JoseError> {
        let lst = self.zlib()?;
        Ok(json!({
            "sub": uri.as_str(),
            "iat": published.at,
            "exp": published.expires_at,
            "ttl": published.ttl_s,
            "status_list": {"bits": self.bits.0, "lst": base64url_encode(&lst)},
        }))
    }

    /// The entries as a list has them. Section 4.1: ZLIB, as small as it gets.
    pub(crate) fn zlib(&self) -> Result<Vec<u8>, JoseError> {
        let mut zlib = ZlibEncoder::new(Vec::new(), Compression::best());
        zlib.write_all(&self.entries).and_then(|()| zlib.finish()).map_err(|_| JoseError::Crypto)
    }
}

impl fmt::Debug for Statuses {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Statuses")
            .field("bits", &self.bits.0)
            .field("bytes", &self.entries.len())
            .finish_non_exhaustive()
    }
}

/// Why a status is not known. The credential may be in order: its list is not.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StatusError {
    /// The credential's `status` claim is malformed.
    #[error("malformed `status` claim: expected {expected}")]
    Claim {
        /// What it has to be.
        expected: &'static str,
    },
    /// The credential's `status` claim gives no `status_list`.
    #[error("the `status` claim gives no `status_list`, and no other mechanism is understood")]
    Mechanism,
    /// The token's form, type or signature, or a claim of the wrong type.
    #[error("status list token: {0}")]
    Jose(#[from] JoseError),
    /// The same of a token in CBOR.
    #[cfg(feature = "mdoc")]
    #[error("status list token: {0}")]
    Cose(#[from] CoseError),
    /// The credential that a list of W3C credentials is.
    #[cfg(feature = "w3c")]
    #[error("status list credential: {0}")]
    Vc(#[from] crate::protocol::vc::VcError),
    /// A claim of the token is missing.
    #[error("the status list token has no `{claim}`")]
    Missing {
        /// Which.
        claim: &'static str,
    },
    /// A claim of the token is malformed.
    #[error("malformed status list token: expected {expected}")]
    Token {
        /// What it has to be.
        expected: &'static str,
    },
    /// The token's `sub` is not the URI that the credential names.
    #[error("the token is about another list: its `sub` is not the `uri` of the credential")]
    OtherList,
    /// The token's `iat` or `nbf` is ahead of the clock.
    #[error("the status list token is from the future: {at}, and it is {now}; compare the clocks")]
    FromTheFuture {
        /// The later of the two.
        at: UnixTime,
        /// The time it was checked at.
        now: UnixTime,
    },
    /// The token's `exp` has passed.
    #[error("the status list token expired at {expired_at}, and it is {now}")]
    Expired {
        /// Its `exp`.
        expired_at: UnixTime,
        /// The time it was checked at.
        now: UnixTime,
    },
    /// `lst` is not one whole ZLIB stream: raw DEFLATE, gzip, cut off, or with a wrong checksum.
    #[error("the list is not a whole zlib stream with a right checksum")]
    NotZlib,
    /// `encodedList` is not one whole GZIP member.
    #[error("the list is not a whole gzip stream with a right checksum")]
    NotGzip,
    /// The list is by another issuer than the credential.
    #[error("the status list is by another issuer than the credential")]
    OtherIssuer,
    /// The list says something else than what the credential points to it for.
    #[error("the status list is for another purpose than the credential names")]
    OtherPurpose,
    /// So few entries that a look at the list tells whose status is asked.
    #[error("a status list of {entries} entries is too short to hide whose status is asked")]
    TooShort {
        /// How many it has.
        entries: u64,
    },
    /// Something follows the ZLIB stream in `lst`.
    #[error("{bytes} bytes follow the list")]
    TrailingBytes {
        /// How many.
        bytes: usize,
    },
    /// The inflated list is larger than allowed.
    #[error("the inflated list is larger than {max} bytes")]
    TooLarge {
        /// The bound.
        max: usize,
    },
    /// The list has no entry.
    #[error("the list is empty")]
    Empty,
    /// The list has no entry for this credential.
    #[error("the list has {entries} entries, and none for this credential")]
    IndexOutOfRange {
        /// How many it has.
        entries: u64,
    },
}

impl StatusError {
    /// A stable name of the check that failed.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::Claim { .. } => "status_claim_malformed",
            Self::Mechanism => "status_mechanism_unknown",
            Self::Jose(error) => error.code(),
            #[cfg(feature = "mdoc")]
            Self::Cose(error) => error.code(),
            #[cfg(feature = "w3c")]
            Self::Vc(error) => error.code(),
            Self::Missing { .. } => "status_token_incomplete",
            Self::Token { .. } => "status_token_malformed",
            Self::OtherList => "status_token_other_list",
            Self::FromTheFuture { .. } => "status_token_from_the_future",
            Self::Expired { .. } => "status_token_expired",
            Self::NotZlib => "status_list_not_zlib",
            Self::NotGzip => "status_list_not_gzip",
            Self::OtherIssuer => "status_list_other_issuer",
            Self::OtherPurpose => "status_list_other_purpose",
            Self::TooShort { .. } => "status_list_too_short",
            Self::TrailingBytes { .. } => "status_list_trailing_bytes",
            Self::TooLarge { .. } => "status_list_too_large",
            Self::Empty => "status_list_empty",
            Self::IndexOutOfRange { .. } => "status_index_out_of_range",
        }
    }
}

/// What a token says of itself, in JSON or in CBOR.
struct About<'a> {
    sub: Option<&'a str>,
    issued_at: Option<UnixTime>,
    not_before: Option<UnixTime>,
    expires_at: Option<UnixTime>,
    ttl_s: Option<u64>,
}

impl About<'_> {
    /// Whether it is the token for `uri` and holds now, and how long it may be used.
    fn fresh_until(&self, uri: &Url, now: UnixTime) -> Result<UnixTime, StatusError> {
        // Without this an issuer's list of other credentials, fetched or replayed from elsewhere, would be believed.
        if self.sub.ok_or(StatusError::Missing { claim: "sub" })? != uri.as_str() {
            return Err(StatusError::OtherList);
        }
        let issued_at = self.issued_at.ok_or(StatusError::Missing { claim: "iat" })?;
        for at in [issued_at, self.not_before.unwrap_or(issued_at)] {
            if at > now.plus_s(CLOCK_SKEW_S) {
                return Err(StatusError::FromTheFuture { at, now });
            }
        }
        if let Some(expired_at) = self.expires_at.filter(|&exp| exp <= now) {
            return Err(StatusError::Expired { expired_at, now });
        }
        let refresh_at = now.plus_s(self.ttl_s.unwrap_or(TTL_DEFAULT_S).min(TTL_MAX_S));
        Ok(self.expires_at.map_or(refresh_at, |exp| exp.min(refresh_at)))
    }
}

/// Bits of one entry: 1, 2, 4 or 8.
#[derive(Clone, Copy)]
struct Bits(u8);

impl Bits {
    fn new(bits: &Value) -> Result<Self, StatusError> {
        let expected = StatusError::Token { expected: "`bits` to be 1, 2, 4 or 8" };
        bits.as_u64().and_then(Self::of).ok_or(expected)
    }

    const fn of(bits: u64) -> Option<Self> {
        match bits {
            1 => Some(Self(1)),
            2 => Some(Self(2)),
            4 => Some(Self(4)),
            8 => Some(Self(8)),
            _ => None,
        }
    }

    const fn per_byte(self) -> u8 {
        8 / self.0
    }

    const fn mask(self) -> u8 {
        u8::MAX >> (8 - self.0)
    }
}

/// A `ttl`: positive (section 5.1). What is left of a second counts as one, and the cast of a real saturates.
fn ttl_s(value: &Value) -> Result<u64, StatusError> {
    let ttl = value.as_f64().filter(|&ttl| ttl > 0.0);
    ttl.map(|ttl| (ttl as u64).max(1)).ok_or(StatusError::Token { expected: "`ttl` to be a positive number" })
}

/// Inflates exactly one ZLIB stream (RFC 1950) of at most `max` bytes. The memory grows with what really comes out, so
/// that a stream of a few bytes that promises a gigabyte costs `max` at most.
fn inflate(zlib: &[u8], max: usize) -> Result<Box<[u8]>, StatusError> {
    const STEP: usize = 16 * 1024;
    let mut inflater = Decompress::new(true);
    let mut out = Vec::new();
    loop {
        if out.len() > max {
            return Err(StatusError::TooLarge { max });
        }
        if out.len() == out.capacity() {
            // Twice as much as before, and one byte beyond the bound to see that more would come.
            let step = out.len().max(STEP).min((max - out.len()).saturating_add(1));
            out.reserve_exact(step);
        }
        let rest = usize::try_from(inflater.total_in()).ok().and_then(|read| zlib.get(read..)).unwrap_or_default();
        let (read, written) = (inflater.total_in(), out.len());
        let progress = inflater.decompress_vec(rest, &mut out, FlushDecompress::None);
        match progress.map_err(|_| StatusError::NotZlib)? {
            Progress::StreamEnd if out.len() > max => return Err(StatusError::TooLarge { max }),
            Progress::StreamEnd => break,
            // No more goes in or comes out, though there is room: the stream was cut off.
            _ if inflater.total_in() == read && out.len() == written => return Err(StatusError::NotZlib),
            _ => {}
        }
    }
    let bytes = zlib.len().saturating_sub(usize::try_from(inflater.total_in()).unwrap_or(usize::MAX));
    if bytes > 0 {
        return Err(StatusError::TrailingBytes { bytes });
    }
    Ok(out.into_boxed_slice())
}

#[cfg(test)]
mod tests {
    use flate2::write::{DeflateEncoder, GzEncoder};

    use super::*;
    use crate::protocol::jose::SigningKey;

    const NOW: UnixTime = UnixTime::from_secs(1_800_000_000);
    const URI: &str = "https://issuer.example/lists/7";

    fn zlib(bytes: &[u8]) -> Vec<u8> {
        let mut encoder = ZlibEncoder::new(Vec::new(), Compression::best());
        encoder.write_all(bytes).unwrap();
        encoder.finish().unwrap()
    }

    fn key() -> SigningKey {
        SigningKey::from_p256_scalar(&[7; 32]).unwrap()
    }

    fn claims() -> Value {
        json!({
            "sub": URI, "iat": NOW.as_secs() - 10, "exp": NOW.as_secs() + 1000, "ttl": 600,
            "status_list": {"bits": 2, "lst": base64url_encode(&zlib(&[0b11_10_01_00]))},
        })
    }

    fn verified_with(claims: &Value, typ: &str) -> Result<StatusList, StatusError> {
        let header = json!({ "typ": typ });
        let token = key().sign_jws(header.as_object().unwrap(), claims).unwrap();
        let limits = Limits::default();
        let jws = StatusList::parse(&token, &limits)?;
        StatusList::verify(jws, key().public_key(), &URI.parse().unwrap(), NOW, &limits)
    }

    fn verified(change: impl FnOnce(&mut Value)) -> Result<StatusList, StatusError> {
        let mut claims = claims();
        change(&mut claims);
        verified_with(&claims, TYP)
    }

    #[test]
    fn a_list_tells_each_status_and_nothing_beyond_its_end() {
        let list = verified(|_| {}).unwrap();
        let statuses: Vec<_> = (0..4).map(|index| list.status(index).unwrap()).collect();
        assert_eq!(statuses, [Status::Valid, Status::Invalid, Status::Suspended, Status::Other(3)]);
        for index in [4, 5, u64::from(u32::MAX) + 1, u64::MAX] {
            assert!(matches!(list.status(index), Err(StatusError::IndexOutOfRange { entries: 4 })), "{index}");
        }
        assert_eq!((list.len(), list.bytes()), (4, 1));
    }

    #[test]
    fn entries_fill_a_byte_from_its_low_end_for_every_width() {
        for (bits, first, last) in [(1, 0, 1), (2, 2, 3), (4, 0xa, 0xc), (8, 0b1100_1010, 0b1100_1010)] {
            let list = StatusList {
                entries: Box::new([0b1100_1010]),
                bits: Bits::new(&json!(bits)).unwrap(),
                fresh_until: NOW,
            };
            let number = |index| match list.status(index).unwrap() {
                Status::Valid => 0,
                Status::Invalid => 1,
                Status::Suspended => 2,
                Status::Other(other) => other,
            };
            assert_eq!(number(0), first, "{bits}");
            assert_eq!(number(8 / bits - 1), last, "{bits}");
            assert!(list.status(8 / bits).is_err(), "{bits}");
        }
    }

    #[test]
    fn the_same_list_with_one_thing_wrong() {
        type Change = (&'static str, fn(&mut Value));
        let changes: &[Change] = &[
            ("status_token_other_list", |c| c["sub"] = json!("https://issuer.example/lists/8")),
            ("status_token_other_list", |c| c["sub"] = json!("https://ISSUER.example/lists/7")),
            ("jose_member", |c| c["sub"] = json!([URI])),
            ("status_token_incomplete", |c| drop(c.as_object_mut().unwrap().remove("sub"))),
            ("status_token_incomplete", |c| drop(c.as_object_mut().unwrap().remove("iat"))),
            ("jose_member", |c| c["iat"] = json!("1")),
            ("status_token_from_the_future", |c| c["iat"] = json!(NOW.as_secs() + 61)),
            ("status_token_from_the_future", |c| c["nbf"] = json!(NOW.as_secs() + 61)),
            ("jose_member", |c| c["nbf"] = json!(null)),
            ("status_token_expired", |c| c["exp"] = json!(NOW.as_secs())),
            ("status_token_expired", |c| c["exp"] = json!(0.5)),
            ("jose_member", |c| c["exp"] = json!("2100-01-01")),
            ("status_token_malformed", |c| c["ttl"] = json!(0)),
            ("status_token_malformed", |c| c["ttl"] = json!(-1)),
            ("status_token_malformed", |c| c["ttl"] = json!("600")),
            ("status_token_incomplete", |c| drop(c.as_object_mut().unwrap().remove("status_list"))),
            ("status_token_malformed", |c| c["status_list"] = json!([])),
            ("status_token_malformed", |c| c["status_list"]["bits"] = json!(3)),
            ("status_token_malformed", |c| c["status_list"]["bits"] = json!("1")),
            ("status_token_malformed", |c| c["status_list"]["bits"] = json!(1.0)),
            ("jose_member", |c| c["status_list"]["lst"] = json!([1])),
            ("status_list_not_zlib", |c| c["status_list"]["lst"] = json!("")),
            ("status_list_empty", |c| c["status_list"]["lst"] = json!(base64url_encode(&zlib(b"")))),
        ];
        for (number, (code, change)) in changes.iter().enumerate() {
            assert_eq!(verified(change).unwrap_err().code(), *code, "{number}");
        }
        for typ in ["JWT", "statuslist+cwt", "kb+jwt", ""] {
            assert!(matches!(verified_with(&claims(), typ), Err(StatusError::Jose(_))), "{typ}");
        }
        let limits = Limits::default();
        let other = SigningKey::from_p256_scalar(&[8; 32]).unwrap();
        let header = json!({ "typ": TYP });
        let token = other.sign_jws(header.as_object().unwrap(), &claims()).unwrap();
        let jws = StatusList::parse(&token, &limits).unwrap();
        let forged = StatusList::verify(jws, key().public_key(), &URI.parse().unwrap(), NOW, &limits);
        assert!(matches!(forged, Err(StatusError::Jose(_))));
    }

    #[test]
    fn it_is_fresh_as_long_as_its_issuer_allows_and_a_day_at_most() {
        type Case = (fn(&mut Value), u64);
        let cases: &[Case] = &[
            (|_| {}, 600),
            (|c| c["ttl"] = json!(5), 5),
            (|c| c["ttl"] = json!(0.25), 1),
            (|c| c["ttl"] = json!(2000), 1000),
            (|c| drop(c.as_object_mut().unwrap().remove("ttl")), TTL_DEFAULT_S),
            (|c| *c = json!({"sub": c["sub"], "iat": c["iat"], "status_list": c["status_list"]}), TTL_DEFAULT_S),
            (|c| (c["ttl"], c["exp"]) = (json!(1_u64 << 60), json!(1_u64 << 53)), TTL_MAX_S),
            (|c| (c["ttl"], c["exp"]) = (json!(1e300), json!(4e12)), TTL_MAX_S),
        ];
        for (number, (change, expected_s)) in cases.iter().enumerate() {
            assert_eq!(verified(change).unwrap().fresh_until(), NOW.plus_s(*expected_s), "{number}");
        }
        // A clock that is a minute behind its issuer's.
        assert!(verified(|c| c["iat"] = json!(NOW.as_secs() + 60)).is_ok());
    }

    #[test]
    fn only_one_whole_zlib_stream_is_a_list() {
        let bytes: Vec<u8> = (0..100_000_u32).map(|i| (i.wrapping_mul(2_654_435_761) >> 24) as u8).collect();
        let right = zlib(&bytes);
        assert_eq!(*inflate(&right, bytes.len()).unwrap(), *bytes);
        assert!(matches!(inflate(&right, bytes.len() - 1), Err(StatusError::TooLarge { .. })));

        let mut trailing = right.clone();
        trailing.push(0);
        assert!(matches!(inflate(&trailing, usize::MAX), Err(StatusError::TrailingBytes { bytes: 1 })));
        for cut in [0, 1, 2, 3, right.len() / 2, right.len() - 5, right.len() - 4, right.len() - 1] {
            assert!(matches!(inflate(&right[..cut], usize::MAX), Err(StatusError::NotZlib)), "{cut}");
        }
        let mut checksum = right.clone();
        *checksum.last_mut().unwrap() ^= 1;
        assert!(matches!(inflate(&checksum, usize::MAX), Err(StatusError::NotZlib)));

        let mut gzip = GzEncoder::new(Vec::new(), Compression::best());
        gzip.write_all(&bytes).unwrap();
        assert!(matches!(inflate(&gzip.finish().unwrap(), usize::MAX), Err(StatusError::NotZlib)));
        let mut raw = DeflateEncoder::new(Vec::new(), Compression::best());
        raw.write_all(&bytes).unwrap();
        assert!(matches!(inflate(&raw.finish().unwrap(), usize::MAX), Err(StatusError::NotZlib)));
    }

    #[test]
    fn a_bomb_costs_its_bound_and_no_more() {
        const MAX: usize = 64 * 1024;
        let bomb = zlib(&vec![0; 64 * 1024 * 1024]);
        assert!(matches!(inflate(&bomb, MAX), Err(StatusError::TooLarge { max: MAX })));
        assert_eq!(inflate(&zlib(&vec![0; MAX]), MAX).unwrap().len(), MAX);
        assert!(matches!(inflate(&zlib(&vec![0; MAX + 1]), MAX), Err(StatusError::TooLarge { max: MAX })));
        assert!(matches!(inflate(&zlib(&[0]), 0), Err(StatusError::TooLarge { max: 0 })));
    }

    #[test]
    fn what_is_published_is_read_again() {
        let key = SigningKey::from_p256_scalar(&[7; 32]).unwrap();
        let uri: Url = "https://shop.example/wallet/status/1".parse().unwrap();
        let limits = Limits::default();
        let times = Published { at: NOW, expires_at: NOW.plus_s(600), ttl_s: 300 };
        for bits in [1_u8, 2, 4, 8] {
            let mut statuses = Statuses::new(bits, 1000).unwrap();
            statuses.set(0, 1);
            statuses.set(7, 1);
            statuses.set(999, 1);
            statuses.set(8, 1);
            statuses.set(8, 0);
            statuses.set(1_000_000, 1);
            if bits == 1 {
                statuses.set(9, 2);
            }
            let header = json!({"typ": TYP}).as_object().unwrap().clone();
            let token = key.sign_jws(&header, &statuses.claims(&uri, &times).unwrap()).unwrap();
            let parsed = StatusList::parse(&token, &limits).unwrap();
            let list = StatusList::verify(parsed, key.public_key(), &uri, NOW, &limits).unwrap();
            let invalid: Vec<u64> = (0..list.len()).filter(|at| list.status(*at).unwrap() == Status::Invalid).collect();
            assert_eq!(invalid, [0, 7, 999], "{bits}");
            assert_eq!(list.fresh_until(), NOW.plus_s(300));
        }
        assert!(Statuses::new(3, 8).is_none());
    }
}
