//! DIDs that are the name of an account on a ledger (did:pkh), resolved by `ssi` from their own text.
//!
//! Of the methods that `ssi` resolves without a network and that are not our own already, only an account whose name is its
//! key leads to a key that we verify with: those of Solana (Ed25519). The accounts of other ledgers are digests of keys, or
//! keys on secp256k1 (did:ethr), so their documents are read and give no key.

use ssi::dids::{DID, DIDPKH, DIDResolver, resolution::Options};

use crate::{
    limits::Limits,
    protocol::{
        did::{Did, DidDocument, DidError},
        json,
    },
    resolve::{ResolveError, Resolved},
};

/// The document of a did:pkh.
///
/// # Errors
/// [`ResolveError::Other`] for a name that is no account of a known ledger; [`ResolveError::Did`].
pub(crate) async fn resolve(did: &Did, limits: &Limits) -> Result<Resolved, ResolveError> {
    let name = DID::new(did.as_str()).map_err(|_| DidError::Syntax)?;
    let output = DIDPKH.resolve_representation(name, Options::default()).await;
    let output = output.map_err(|error| ResolveError::Other(Box::new(error)))?;
    let document = DidDocument::from_json(&json::parse(&output.document, limits.json_depth)?, limits)?;
    Ok(Resolved { document, max_age_s: None })
}
