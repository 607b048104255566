//! The status of W3C credentials, from Bitstring Status Lists: credentials themselves, signed by the same issuer.

use std::sync::Arc;

use super::Vouched;
use crate::{
    error::StatusUnknown,
    format::IssuerRef,
    merchant::Merchant,
    protocol::{
        jose::PublicKey,
        status_list::Status,
        vc::{
            bitstring::{BitstringList, Entry, SignedList},
            jwt::Issuer,
        },
    },
    time::UnixTime,
    trust::{Decision, TrustError},
};

/// The media types of a list (Bitstring Status List 1.0, section 3.1).
const ACCEPT: &str = "application/vc+jwt, application/vc";

impl Merchant {
    /// What the lists say of a credential: every entry of it has to hold, and the first that does not is its status. A list
    /// that is not to be had hides nothing that another says: the holder chooses their order.
    pub(super) async fn bitstring(
        &self,
        by: &Vouched<'_>,
        entries: &[Entry],
        now: UnixTime,
    ) -> Result<Status, Arc<StatusUnknown>> {
        let mut unknown = None;
        for entry in entries {
            let load = async {
                let list = self.bitstring_list(by, entry, now).await?;
                let fresh_until = list.fresh_until();
                Ok::<_, StatusUnknown>((list, fresh_until))
            };
            let name = by.name_of(&entry.uri);
            let list = self.0.bitstring_lists.get_or_fetch(&name, now, load).await;
            match list.and_then(|list| list.status(entry).map_err(|e| Arc::new(e.into()))) {
                Ok(Status::Valid) => {}
                Ok(status) => return Ok(status),
                Err(error) if error.is_final() => return Err(error),
                Err(error) => unknown = unknown.or(Some(error)),
            }
        }
        unknown.map_or(Ok(Status::Valid), Err)
    }

    async fn bitstring_list(
        &self,
        by: &Vouched<'_>,
        entry: &Entry,
        now: UnixTime,
    ) -> Result<BitstringList, StatusUnknown> {
        let limits = &self.0.limits;
        let fetched = self.status_token(&entry.uri, ACCEPT).await?;
        let list = SignedList::parse(&fetched, limits)?;
        let signer = match list.issuer() {
            Issuer::Chain { chain, .. } => by.key_of(Some(chain), now, limits)?,
            Issuer::Did { did, method } => {
                self.list_key(by, &IssuerRef::Did { did: did.as_str(), method }, now).await?
            }
            Issuer::Url { iss, kid } => {
                self.list_key(by, &IssuerRef::Metadata { iss, kid: kid.as_deref() }, now).await?
            }
        };
        Ok(list.verify(&signer, &entry.uri, now, limits)?)
    }

    /// The key that signed a list: one of the same issuer, found as that of a credential is.
    async fn list_key(
        &self,
        by: &Vouched<'_>,
        named: &IssuerRef<'_>,
        now: UnixTime,
    ) -> Result<PublicKey, StatusUnknown> {
        let unknown = |_| TrustError::KeyNotFound;
        let id = "status";
        Ok(match by.trust.decide(named, now, &self.0.limits)? {
            Decision::Resolve { did, method, issuer: signer } if signer == by.issuer => {
                self.did_key(id, &did, &method).await.map_err(unknown)?
            }
            Decision::Fetch { metadata, iss, kid, issuer: signer } if signer == by.issuer => {
                self.issuer_key(id, &metadata, &iss, kid.as_deref()).await.map_err(unknown)?
            }
            _ => return Err(TrustError::StatusMechanism.into()),
        })
    }
}
