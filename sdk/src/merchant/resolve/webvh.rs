//! A did:webvh of an issuer: its log is fetched and verified, and never believed to be shorter than it was.

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use crate::{
    error::Error,
    merchant::{Merchant, RACES_MAX, lost_the_race, put},
    protocol::{
        did::Did,
        jose::{base64url_encode, sha256},
        json::JsonError,
    },
    resolve::{ResolveError, Resolved},
    store::{Expect, Key, Persisted},
    webvh::{WebvhError, WebvhLog},
};

/// A log, and what its witnesses signed, in bytes each.
pub(super) const LOG_BYTES: usize = 512 * 1024;

/// How much of a log was seen. Kept for good: there are as many as the trust names.
#[derive(Serialize, Deserialize)]
struct Seen {
    entries: usize,
    version_id: String,
}

impl Persisted for Seen {
    const KIND: &'static str = "did_log";
    const SCHEMA: u16 = 1;
}

impl Merchant {
    pub(super) async fn resolve_webvh(&self, did: &Did) -> Result<Resolved, ResolveError> {
        let (log_url, witness_url) = did.webvh_urls()?;
        let fetched = self.did_file(log_url, "application/jsonl, text/jsonl", LOG_BYTES).await?;
        let log = text(&fetched.body)?;
        let witnesses = match WebvhLog::needs_witnesses(log) {
            true => Some(self.did_file(witness_url, "application/json", LOG_BYTES).await?.body),
            false => None,
        };
        let witnesses = witnesses.as_ref().map(text).transpose()?;
        let log = WebvhLog::verify(did, log, witnesses)?;
        self.never_shorter(&log).await?;
        Ok(Resolved { document: log.document().clone(), max_age_s: fetched.max_age_s })
    }

    /// Each beginning of a log is a log too, so whoever serves it could bring back a key that was taken out of it.
    async fn never_shorter(&self, log: &WebvhLog) -> Result<(), ResolveError> {
        let other = |error: Error| ResolveError::Other(Box::new(error));
        let key = Key::new(Seen::KIND, base64url_encode(&sha256(log.did().as_str().as_bytes())), "");
        let found = log.entries();
        let version_id = log.version_id(found).unwrap_or_default();
        for _ in 0..RACES_MAX {
            let mut expect = Expect::Absent;
            if let Some(stored) = self.load_one(&key).await.map_err(other)? {
                expect = Expect::Version(stored.version);
                let seen: Seen = stored.read().map_err(|error| other(error.into()))?;
                if log.version_id(seen.entries) != Some(&seen.version_id) {
                    return Err(WebvhError::RolledBack { found, seen: seen.entries }.into());
                }
                if seen.entries == found {
                    return Ok(());
                }
            }
            let seen = Seen { entries: found, version_id: version_id.to_owned() };
            let write = put(key.clone(), &seen, None, expect).map_err(|error| other(error.into()))?;
            match self.0.store.commit(&[write], self.now()).await {
                Err(error) if lost_the_race(&error) => {}
                committed => return committed.map(drop).map_err(|error| other(error.into())),
            }
        }
        // Others wrote it down meanwhile, each after the same comparison.
        Ok(())
    }
}

fn text(body: &Bytes) -> Result<&str, JsonError> {
    std::str::from_utf8(body).map_err(|_| JsonError::NotUtf8)
}
