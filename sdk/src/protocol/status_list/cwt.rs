//! Status tokens in CBOR, as mdocs have them: the Token Status List as a CWT (`draft-ietf-oauth-status-list`, 5.2), and the
//! identifier list of the second edition of ISO/IEC 18013-5 (12.3.6.4).

use std::{collections::BTreeSet, fmt};

use url::Url;

use super::{About, Bits, StatusError, StatusList};
use crate::{
    limits::Limits,
    protocol::{
        cbor::{self, CborError, Item, Kind, Map},
        cose::{CoseError, Sign1},
        jose::PublicKey,
    },
    time::UnixTime,
};

/// The media type, and the `typ`, of a status list in CBOR.
pub const MEDIA_TYPE: &str = "application/statuslist+cwt";
/// The same of an identifier list.
pub const IDENTIFIER_LIST_MEDIA_TYPE: &str = "application/identifierlist+cwt";

/// Claims (RFC 8392, and those of the two lists).
const SUB: i64 = 2;
const EXP: i64 = 4;
const NBF: i64 = 5;
const IAT: i64 = 6;
const IDENTIFIER_LIST: i64 = 65530;
const STATUS_LIST: i64 = 65533;
const TTL: i64 = 65534;

/// Items of an identifier list, which is long by nature: two for each of 262 144 identifiers, more than fit into
/// [`Limits::status_token_bytes`] if each has its 16 bytes.
const ITEMS_MAX: usize = 1 << 19;

/// Whether bytes are a token in CBOR, and not the letters of one in JSON.
#[must_use]
pub fn is_cwt(bytes: &[u8]) -> bool {
    bytes.first().is_some_and(|first| !first.is_ascii())
}

/// A status token in CBOR as parsed: nothing in it is believed yet.
#[derive(Clone, Debug)]
pub struct StatusCwt(Sign1);

impl StatusCwt {
    /// Takes a token apart, of at most [`Limits::status_token_bytes`]. The tag of a CWT (RFC 8392, 6) may stand before it.
    ///
    /// # Errors
    /// It is no `COSE_Sign1`, or too large.
    pub fn parse(bytes: &[u8], limits: &Limits) -> Result<Self, StatusError> {
        const CWT_TAG: u64 = 61;
        if bytes.len() > limits.status_token_bytes {
            return Err(StatusError::TooLarge { max: limits.status_token_bytes });
        }
        let token = cbor::read(bytes, limits).map_err(CoseError::from)?;
        Ok(Self(Sign1::from_item(token.tagged(CWT_TAG).unwrap_or(&token), limits)?))
    }

    /// The certificates of its signer, leaf first, no path checked.
    #[must_use]
    pub fn chain(&self) -> Option<&[Vec<u8>]> {
        self.0.header().x5chain.as_deref()
    }

    /// The claims, once the signature holds and the token is of this type.
    fn verify(self, key: &PublicKey, typ: &str) -> Result<Vec<u8>, StatusError> {
        let short = typ.trim_start_matches("application/");
        let fits = |found: &str| found.eq_ignore_ascii_case(typ) || found.eq_ignore_ascii_case(short);
        if !self.0.header().typ.as_deref().is_some_and(fits) {
            return Err(CoseError::TokenType.into());
        }
        Ok(self.0.verify(key)?)
    }
}

impl StatusList {
    /// Checks a status list token in CBOR that was fetched from `uri`, as [`StatusList::verify`] does one in JSON.
    ///
    /// # Errors
    /// The first check that failed.
    pub fn verify_cwt(
        token: StatusCwt,
        key: &PublicKey,
        uri: &Url,
        now: UnixTime,
        limits: &Limits,
    ) -> Result<Self, StatusError> {
        let claims = token.verify(key, MEDIA_TYPE)?;
        let claims = cbor::read(&claims, limits).map_err(CoseError::from)?;
        let claims = object(&claims)?;
        let fresh_until = about(claims)?.fresh_until(uri, now)?;
        let list = claims.label(STATUS_LIST).ok_or(StatusError::Missing { claim: "status_list" })?;
        let list = list.map().ok_or(StatusError::Token { expected: "`status_list` to be a map" })?;
        let bits = list.get("bits").ok_or(StatusError::Missing { claim: "bits" })?;
        let bits = bits.integer().and_then(|bits| u64::try_from(bits).ok()).and_then(Bits::of);
        let bits = bits.ok_or(StatusError::Token { expected: "`bits` to be 1, 2, 4 or 8" })?;
        let lst = list.get("lst").ok_or(StatusError::Missing { claim: "lst" })?;
        let lst = lst.bytes().ok_or(StatusError::Token { expected: "`lst` to be a byte string" })?;
        Self::of(lst, bits, fresh_until, limits)
    }
}

/// The identifiers of mdocs that were revoked, of a list that was verified.
pub struct IdentifierList {
    revoked: BTreeSet<Vec<u8>>,
    fresh_until: UnixTime,
}

impl IdentifierList {
    /// Reads a list that was fetched from `uri`, as [`StatusList::read`] does one of statuses.
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
        let token = StatusCwt::parse(fetched, limits)?;
        let key = key_of(token.chain())?;
        Ok(Self::verify(token, &key, uri, now, limits)?)
    }

    /// Checks an identifier list that was fetched from `uri`, with `key`, of whom the caller knows that it may speak for the
    /// credential's issuer.
    ///
    /// # Errors
    /// The first check that failed.
    pub fn verify(
        token: StatusCwt,
        key: &PublicKey,
        uri: &Url,
        now: UnixTime,
        limits: &Limits,
    ) -> Result<Self, StatusError> {
        let claims = token.verify(key, IDENTIFIER_LIST_MEDIA_TYPE)?;
        let claims = cbor::read_many(&claims, limits.cbor_depth, ITEMS_MAX).map_err(CoseError::from)?;
        let claims = object(&claims)?;
        let fresh_until = about(claims)?.fresh_until(uri, now)?;
        let list = claims.label(IDENTIFIER_LIST).ok_or(StatusError::Missing { claim: "identifier_list" })?;
        let list = list.map().ok_or(StatusError::Token { expected: "`identifier_list` to be a map" })?;
        let identifiers = list.get("identifiers").ok_or(StatusError::Missing { claim: "identifiers" })?;
        let identifiers = identifiers.map().ok_or(StatusError::Token { expected: "`identifiers` to be a map" })?;
        let revoked = identifiers.iter().map(|(id, _)| id.bytes().map(<[u8]>::to_vec)).collect::<Option<_>>();
        let revoked = revoked.ok_or(StatusError::Token { expected: "identifiers to be byte strings" })?;
        Ok(Self { revoked, fresh_until })
    }

    /// Whether the mdoc with this identifier was revoked.
    #[must_use]
    pub fn contains(&self, id: &[u8]) -> bool {
        self.revoked.contains(id)
    }

    /// Until when it may be used.
    #[must_use]
    pub const fn fresh_until(&self) -> UnixTime {
        self.fresh_until
    }

    /// What it takes of memory, in bytes: for the cache that keeps it.
    #[must_use]
    pub fn bytes(&self) -> usize {
        const OF_ONE: usize = 48;
        self.revoked.iter().map(|id| id.len().saturating_add(OF_ONE)).sum()
    }
}

impl fmt::Debug for IdentifierList {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("IdentifierList")
            .field("len", &self.revoked.len())
            .field("fresh_until", &self.fresh_until)
            .finish_non_exhaustive()
    }
}

fn object<'a, 'b>(claims: &'a Item<'b>) -> Result<&'a Map<'b>, StatusError> {
    claims.map().ok_or(StatusError::Token { expected: "the claims to be a map" })
}

fn about<'a>(claims: &'a Map<'_>) -> Result<About<'a>, StatusError> {
    let sub = claims.label(SUB).map(|sub| sub.text().ok_or(StatusError::Token { expected: "`sub` to be a text" }));
    let ttl = claims.label(TTL).map(|ttl| {
        let ttl = ttl.integer().filter(|ttl| *ttl > 0).and_then(|ttl| u64::try_from(ttl).ok());
        ttl.ok_or(StatusError::Token { expected: "`ttl` to be a positive number" })
    });
    Ok(About {
        sub: sub.transpose()?,
        issued_at: time(claims, IAT)?,
        not_before: time(claims, NBF)?,
        expires_at: time(claims, EXP)?,
        ttl_s: ttl.transpose()?,
    })
}

/// A `NumericDate`: an integer or a real number, and no tag (RFC 8392, 2).
fn time(claims: &Map<'_>, label: i64) -> Result<Option<UnixTime>, StatusError> {
    let wrong = StatusError::Token { expected: "a time to be a number of seconds" };
    let secs = match claims.label(label).map(Item::kind) {
        None => return Ok(None),
        Some(Kind::Integer(secs)) => i64::try_from(*secs).map_err(|_| wrong)?,
        // The cast saturates.
        Some(Kind::Float(secs)) if secs.is_finite() => secs.floor() as i64,
        Some(_) => return Err(wrong),
    };
    Ok(Some(UnixTime::from_secs(secs)))
}

impl From<CborError> for StatusError {
    fn from(error: CborError) -> Self {
        Self::Cose(error.into())
    }
}
