//! Whether a credential still holds: by the list that its issuer, or somebody whom it names for that, publishes.

use std::sync::Arc;

use url::Url;

use super::{Merchant, present::FETCH_TIMEOUT};
#[cfg(feature = "mdoc")]
use crate::protocol::status_list::cwt::{self, IdentifierList, StatusCwt};
use crate::{
    error::StatusUnknown,
    fetch::{FetchError, FetchRequest},
    limits::Limits,
    protocol::{
        jose::PublicKey,
        status_list::{Status, StatusList},
        status_ref::StatusRef,
    },
    time::UnixTime,
    trust::{IssuerId, Trust, TrustError},
};

#[cfg(feature = "w3c")]
mod bitstring;

/// What a status list may come as: mdocs are served CWTs, and a server that does not choose sends what it has.
#[cfg(feature = "mdoc")]
const STATUS_LIST: &str = "application/statuslist+jwt, application/statuslist+cwt";
#[cfg(not(feature = "mdoc"))]
const STATUS_LIST: &str = "application/statuslist+jwt";

/// Who issued a credential, as the trust of this moment says: they, or whom it names for that, speak of its status.
pub(super) struct Vouched<'a> {
    pub(super) trust: &'a Trust,
    pub(super) issuer: IssuerId,
    /// The very key that signed the credential.
    pub(super) key: &'a PublicKey,
}

impl Vouched<'_> {
    /// The key of a list about credentials of this issuer.
    fn key_of(
        &self,
        chain: Option<&[Vec<u8>]>,
        kid: Option<&str>,
        now: UnixTime,
        limits: &Limits,
    ) -> Result<PublicKey, TrustError> {
        self.trust.status_key(self.issuer, chain, kid, self.key, now, limits)
    }

    /// The name of a list in the cache. Who may sign a list depends on the issuer: a list believed for one is looked at
    /// again for another.
    fn name_of(&self, uri: &Url) -> String {
        format!("{:?} {} {uri}", self.issuer, self.key.thumbprint())
    }
}

impl Merchant {
    /// The status of a credential, from a list that is fetched once for all who wait for it.
    pub(super) async fn status(
        &self,
        by: &Vouched<'_>,
        status: &StatusRef,
        now: UnixTime,
    ) -> Result<Status, Arc<StatusUnknown>> {
        match status {
            StatusRef::TokenList { uri, index } => self.token_list(by, uri, *index, now).await,
            #[cfg(feature = "mdoc")]
            StatusRef::Identifier { uri, id } => self.identifier_list(by, uri, id, now).await,
            #[cfg(feature = "w3c")]
            StatusRef::Bitstring(entries) => self.bitstring(by, entries, now).await,
        }
    }

    /// The status of an entry of a Token Status List.
    async fn token_list(
        &self,
        by: &Vouched<'_>,
        uri: &Url,
        index: u64,
        now: UnixTime,
    ) -> Result<Status, Arc<StatusUnknown>> {
        let limits = &self.0.limits;
        let load = async {
            let fetched = self.status_token(uri, STATUS_LIST).await?;
            #[cfg(feature = "mdoc")]
            if cwt::is_cwt(&fetched) {
                let token = StatusCwt::parse(&fetched, limits)?;
                let key = by.key_of(token.chain(), None, now, limits)?;
                let list = StatusList::verify_cwt(token, &key, uri, now, limits)?;
                let fresh_until = list.fresh_until();
                return Ok((list, fresh_until));
            }
            let text = std::str::from_utf8(&fetched).unwrap_or_default().trim_ascii_end();
            let token = StatusList::parse(text, limits)?;
            let header = token.header();
            let key = by.key_of(header.x5c.as_deref(), header.kid.as_deref(), now, limits)?;
            let list = StatusList::verify(token, &key, uri, now, limits)?;
            let fresh_until = list.fresh_until();
            Ok::<_, StatusUnknown>((list, fresh_until))
        };
        let name = by.name_of(uri);
        let list = self.0.status_lists.get_or_fetch(&name, now, load).await;
        list?.status(index).map_err(|e| Arc::new(e.into()))
    }

    /// The status of an mdoc by a list of those that were revoked: what does not stand in it holds.
    #[cfg(feature = "mdoc")]
    async fn identifier_list(
        &self,
        by: &Vouched<'_>,
        uri: &Url,
        id: &[u8],
        now: UnixTime,
    ) -> Result<Status, Arc<StatusUnknown>> {
        let limits = &self.0.limits;
        let load = async {
            let fetched = self.status_token(uri, cwt::IDENTIFIER_LIST_MEDIA_TYPE).await?;
            let token = StatusCwt::parse(&fetched, limits)?;
            let key = by.key_of(token.chain(), None, now, limits)?;
            let list = IdentifierList::verify(token, &key, uri, now, limits)?;
            let fresh_until = list.fresh_until();
            Ok::<_, StatusUnknown>((list, fresh_until))
        };
        let name = by.name_of(uri);
        let list = self.0.identifier_lists.get_or_fetch(&name, now, load).await?;
        Ok(if list.contains(id) { Status::Invalid } else { Status::Valid })
    }

    async fn status_token(&self, uri: &Url, accept: &'static str) -> Result<bytes::Bytes, FetchError> {
        let request = FetchRequest {
            url: uri.clone(),
            accept,
            body_bytes_max: self.0.limits.status_token_bytes,
            redirects_max: 3,
            timeout: FETCH_TIMEOUT,
        };
        Ok(self.0.fetch.fetch(&request).await?.body)
    }
}
