//! Whether a credential still holds: by the list that its issuer, or somebody whom it names for that, publishes.

use std::sync::Arc;

use url::Url;

use super::Merchant;
#[cfg(feature = "mdoc")]
use crate::protocol::status_list::cwt::{self, IdentifierList};
use crate::{
    error::StatusUnknown,
    fetch::{FetchError, FetchRequest},
    limits::Limits,
    protocol::{
        jose::PublicKey,
        status_list::{ACCEPT, Status, StatusList},
        status_ref::StatusRef,
    },
    time::UnixTime,
    trust::{IssuerId, Trust, TrustError},
};

#[cfg(feature = "w3c")]
mod bitstring;

/// Who issued a credential, as the trust of this moment says: they, or whom it names for that, speak of its status.
pub(super) struct Vouched<'a> {
    pub(super) trust: &'a Trust,
    pub(super) issuer: IssuerId,
    /// The types that the credential counts as.
    pub(super) types: &'a [String],
    /// The very key that signed the credential.
    pub(super) key: &'a PublicKey,
}

impl Vouched<'_> {
    /// The key of a list about credentials of this issuer.
    fn key_of(&self, chain: Option<&[Vec<u8>]>, now: UnixTime, limits: &Limits) -> Result<PublicKey, TrustError> {
        self.trust.status_key(self.issuer, self.types, chain, self.key, now, limits)
    }

    /// The name of a list in the cache. Who may sign a list depends on the issuer: a list believed for one is looked at
    /// again for another.
    fn name_of(&self, uri: &Url) -> String {
        format!("{:?} {:?} {} {uri}", self.issuer, self.types, self.key.thumbprint())
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

    /// The status of a credential that `issuer` signed with `key`, both as the trust of this merchant names them: what every
    /// answer waits for, to be measured.
    ///
    /// # Errors
    /// Why the status is not known.
    #[cfg(feature = "testing")]
    pub async fn status_of(
        &self,
        issuer: IssuerId,
        key: &PublicKey,
        status: &StatusRef,
    ) -> Result<Status, Arc<StatusUnknown>> {
        let trust = self.trust();
        self.status(&Vouched { trust: &trust, issuer, types: &[], key }, status, self.now()).await
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
            let fetched = self.status_token(uri, ACCEPT).await?;
            let key_of = |chain: Option<&[Vec<u8>]>| by.key_of(chain, now, limits).map_err(StatusUnknown::from);
            let list = StatusList::read(&fetched, uri, now, limits, key_of)?;
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
            let key_of = |chain: Option<&[Vec<u8>]>| by.key_of(chain, now, limits).map_err(StatusUnknown::from);
            let list = IdentifierList::read(&fetched, uri, now, limits, key_of)?;
            let fresh_until = list.fresh_until();
            Ok::<_, StatusUnknown>((list, fresh_until))
        };
        let name = by.name_of(uri);
        let list = self.0.identifier_lists.get_or_fetch(&name, now, load).await?;
        Ok(if list.contains(id) { Status::Invalid } else { Status::Valid })
    }

    async fn status_token(&self, uri: &Url, accept: &'static str) -> Result<bytes::Bytes, FetchError> {
        let request = FetchRequest {
            redirects_max: 3,
            ..FetchRequest::get(uri.clone(), accept, self.0.limits.status_token_bytes)
        };
        Ok(self.0.fetch.fetch(&request).await?.body)
    }
}
