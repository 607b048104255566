//! The chains that held: the certificates of an issuer are the same for millions of credentials.

use std::{fmt, sync::Arc};

use aws_lc_rs::digest;
use moka::sync::Cache;

use crate::{
    limits::Limits,
    protocol::x509::{Certificate, VerifiedPath, X509Error, verify_path},
    time::UnixTime,
};

/// Chains that are kept: a merchant sees a few hundred issuers' certificates, and only a believed one gets in, so that
/// nobody can push the others out without a trusted root's help.
const CHAINS_MAX: u64 = 512;

/// A bounded cache in front of [`verify_path`], for anchors that do not change.
#[derive(Clone)]
pub(super) struct Chains(Cache<[u8; 32], Arc<VerifiedPath>>);

impl Chains {
    /// What [`verify_path`] says, without a signature check if it said so before and all validities still hold.
    /// `anchors_id` tells sets of anchors apart.
    pub(super) fn verify<'a>(
        &self,
        x5c: &[Vec<u8>],
        anchors_id: usize,
        anchors: impl FnOnce() -> Vec<&'a Certificate>,
        now: UnixTime,
        limits: &Limits,
    ) -> Result<Arc<VerifiedPath>, X509Error> {
        let key = fingerprint(x5c, anchors_id);
        if let Some(path) = self.0.get(&key)
            && path.not_before <= now
            && now <= path.not_after
            && x5c.len() <= limits.x5c_certificates
        {
            return Ok(path);
        }
        let path = Arc::new(verify_path(x5c, &anchors(), now, limits)?);
        self.0.insert(key, Arc::clone(&path));
        Ok(path)
    }
}

impl Default for Chains {
    fn default() -> Self {
        Self(Cache::new(CHAINS_MAX))
    }
}

impl fmt::Debug for Chains {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Chains")
    }
}

/// Each certificate with its length, so that no two chains run together.
fn fingerprint(x5c: &[Vec<u8>], anchors_id: usize) -> [u8; 32] {
    let mut context = digest::Context::new(&digest::SHA256);
    context.update(&anchors_id.to_be_bytes());
    for der in x5c {
        context.update(&der.len().to_be_bytes());
        context.update(der);
    }
    let mut fingerprint = [0; 32];
    fingerprint.copy_from_slice(context.finish().as_ref());
    fingerprint
}
