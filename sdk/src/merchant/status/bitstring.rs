//! The status of W3C credentials, from Bitstring Status Lists: credentials themselves, signed by the same issuer.

use std::sync::Arc;

use super::Vouched;
use crate::{
    error::StatusUnknown,
    format::IssuerRef,
    limits::Limits,
    merchant::Merchant,
    protocol::{
        jose::{JoseError, PublicKey},
        json,
        status_list::{CLOCK_SKEW_S, Status, StatusError},
        vc::{
            Credential, Expected,
            bitstring::{BitstringList, Entry},
            data_integrity, jwt,
            ld::Contexts,
        },
    },
    time::UnixTime,
    trust::{Decision, TrustError},
};

/// The media types of a list (Bitstring Status List 1.0, section 3.1).
const ACCEPT: &str = "application/vc+jwt, application/vc";

impl Merchant {
    /// What the lists say of a credential: every entry of it has to hold, and the first that does not is its status.
    pub(super) async fn bitstring(
        &self,
        by: &Vouched<'_>,
        entries: &[Entry],
        now: UnixTime,
    ) -> Result<Status, Arc<StatusUnknown>> {
        for entry in entries {
            let load = async {
                let list = self.bitstring_list(by, entry, now).await?;
                let fresh_until = list.fresh_until();
                Ok::<_, StatusUnknown>((list, fresh_until))
            };
            let name = by.name_of(&entry.uri);
            let list = self.0.bitstring_lists.get_or_fetch(&name, now, load).await?;
            match list.status(entry).map_err(|e| Arc::new(e.into()))? {
                Status::Valid => {}
                status => return Ok(status),
            }
        }
        Ok(Status::Valid)
    }

    async fn bitstring_list(
        &self,
        by: &Vouched<'_>,
        entry: &Entry,
        now: UnixTime,
    ) -> Result<BitstringList, StatusUnknown> {
        let limits = &self.0.limits;
        let fetched = self.status_token(&entry.uri, ACCEPT).await?;
        let text = std::str::from_utf8(&fetched).unwrap_or_default().trim_ascii();
        // A list is larger than any other token or document.
        let limits = Limits { jws_bytes: limits.status_token_bytes, ..limits.clone() };
        let credential = if text.starts_with('{') {
            self.proven_list(by, text, now, &limits).await?
        } else {
            let signer = match &jwt::issuer_of(text, &limits).map_err(StatusError::from)? {
                jwt::Issuer::Chain { chain, .. } => by.key_of(Some(chain), None, now, &limits)?,
                jwt::Issuer::Did { did, method } => {
                    self.list_key(by, &IssuerRef::Did { did: did.as_str(), method }, now).await?
                }
                jwt::Issuer::Url { iss, kid } => {
                    self.list_key(by, &IssuerRef::Metadata { iss, kid: kid.as_deref() }, now).await?
                }
            };
            jwt::verify_credential(text, &signer, &limits).map_err(StatusError::from)?.0
        };
        Ok(BitstringList::read(&credential, &entry.uri, now, &limits)?)
    }

    /// The credential of a list with a Data Integrity proof.
    async fn proven_list(
        &self,
        by: &Vouched<'_>,
        text: &str,
        now: UnixTime,
        limits: &Limits,
    ) -> Result<Credential, StatusUnknown> {
        let document = json::parse(text.as_bytes(), limits.json_depth);
        let document = document.map_err(JoseError::from).map_err(StatusError::from)?;
        let presented = data_integrity::Presented::parse(&document, limits).map_err(StatusError::from)?;
        let (did, method) = presented.issuer();
        let key = self.list_key(by, &IssuerRef::Did { did: did.as_str(), method }, now).await?;
        // Nobody presents a list: there is no holder, and nothing for one to answer.
        let expected = Expected {
            audience: "",
            nonce: "",
            holder_binding: false,
            now,
            holder_proof_age_s: 0,
            skew_s: CLOCK_SKEW_S,
            limits,
        };
        Ok(presented.verify(&key, &expected, &Contexts::new()).map_err(StatusError::from)?.credential)
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
