//! One presentation: its form, its issuer, its signatures, its status.

use serde_json::Value;

#[cfg(feature = "mdoc")]
use super::mdoc;
#[cfg(feature = "w3c")]
use super::told;
use super::{
    Captured,
    chain::chain,
    check::{Check, Failed, short, tame},
    request::Asked,
    sd_jwt_vc, status,
};
#[cfg(feature = "w3c")]
use crate::protocol::dcql::{JWT_VC_JSON, LDP_VC};
use crate::{
    ask::is_relationship,
    format::{Against, Authentic, Channel, IssuerRef},
    presentation::{HOLDER_PROOF_AGE_S, SKEW_S, signs_with},
    protocol::{
        dcql::SD_JWT_VC,
        did::{Did, DidDocument, DidError, Relationship},
        jose::{DecryptionKey, PublicKey},
        json,
        openid4vp::dc_api::RESPONSE_MODE,
        x509::Certificate,
    },
    trust::{Decision, IssuerId, MetadataKey, metadata_key},
};
#[cfg(feature = "mdoc")]
use crate::{
    format::{Unverified, mdoc::OwnMdoc},
    protocol::dcql::MSO_MDOC,
};

/// A presentation that holds.
pub(super) struct Believed {
    pub(super) authentic: Authentic,
    pub(super) format: String,
    pub(super) counts_as: Vec<String>,
    pub(super) authority_key_ids: Vec<String>,
}

/// How an answer came, for its presentations to be held against.
#[derive(Clone, Copy)]
pub(super) struct Met<'a> {
    pub(super) channel: Channel<'a>,
    /// The key that the answer was encrypted to, if it was and it is given.
    pub(super) key: Option<&'a DecryptionKey>,
    pub(super) nonce: &'a str,
}

/// What a presentation is held against, but for the issuer's key.
pub(super) struct Terms<'a> {
    pub(super) captured: &'a Captured<'a>,
    pub(super) channel: Channel<'a>,
    pub(super) key: Option<&'a DecryptionKey>,
    pub(super) nonce: &'a str,
    pub(super) transaction_data: &'a [String],
    pub(super) holder_binding: bool,
    /// How the answer was asked for, as the request calls it.
    pub(super) response_mode: &'static str,
}

impl Terms<'_> {
    fn against<'a>(&'a self, issuer_key: &'a PublicKey) -> Against<'a> {
        Against {
            issuer_key,
            channel: self.channel,
            encryption_key: self.key.map(|key| *key.thumbprint().as_bytes()),
            nonce: self.nonce,
            transaction_data: self.transaction_data,
            holder_binding: self.holder_binding,
            now: self.captured.now,
            holder_proof_age_s: HOLDER_PROOF_AGE_S,
            skew_s: SKEW_S,
            limits: &self.captured.limits,
        }
    }
}

/// The checks of one presentation, and what it says if all of them hold.
pub(super) fn judge(
    captured: &Captured<'_>,
    asked: &Asked,
    met: &Met<'_>,
    id: &str,
    at: usize,
    presented: &Value,
) -> (Check, Option<Believed>) {
    let mut group = Check::group(format!("{id}[{at}]"));
    let Some(wanted) = asked.query.credential(id) else { return (group, None) };
    group.push(Check::fact("format", &wanted.format));
    let Some(format) = captured.formats.iter().find(|format| format.id() == wanted.format) else {
        group.push(Check::not_made("form", "this format is not read here"));
        return (group, None);
    };
    let own = is_relationship(id) || captured.own.iter().any(|one| one == id);
    let parsed = match format.id() {
        #[cfg(feature = "mdoc")]
        MSO_MDOC if own => OwnMdoc::parse(presented, &captured.limits).map(|own| Box::new(own) as Box<dyn Unverified>),
        _ => format.parse(presented, &captured.limits),
    };
    let unverified = match parsed {
        Ok(unverified) => unverified,
        Err(error) => {
            group.push(Check::fails("form", error.code(), error));
            #[cfg(feature = "w3c")]
            if format.id() == JWT_VC_JSON {
                group.checks.extend(told::stated(presented, &captured.limits));
            }
            for name in ["issuer", "signatures", "status"] {
                group.push(Check::not_made(name, "the presentation cannot be read"));
            }
            return (group, None);
        }
    };
    group.push(Check::holds("form"));

    let (check, known) =
        if own { own_issuer(asked, &unverified.issuer()) } else { issuer(captured, &unverified.issuer()) };
    group.push(check);
    let Known { key, issuer, authority_key_ids, believed } = known;

    let transaction_data: Vec<String> =
        asked.transaction_data.iter().filter(|data| signs_with(data, id)).cloned().collect();
    let terms = Terms {
        captured,
        channel: met.channel,
        key: met.key,
        nonce: met.nonce,
        transaction_data: &transaction_data,
        holder_binding: wanted.require_cryptographic_holder_binding,
        response_mode: match met.channel {
            Channel::DcApi { .. } => RESPONSE_MODE,
            _ => asked.mode.name(),
        },
    };
    let mut verified = Check::group("verification");
    let verdict = key.as_ref().map(|key| {
        let verified = unverified.verify(&terms.against(key));
        verified.map_err(|error| Failed::new(error.code(), error))
    });
    verified.checks = match format.id() {
        SD_JWT_VC => sd_jwt_vc::checks(&terms, format.as_ref(), presented, key.as_ref()),
        #[cfg(feature = "mdoc")]
        MSO_MDOC => mdoc::checks(&terms, presented, key.as_ref(), own),
        #[cfg(feature = "w3c")]
        JWT_VC_JSON | LDP_VC => match &key {
            Some(key) => {
                let again = format.parse(presented, &captured.limits);
                again.map(|again| told::checks(again.told(&terms.against(key)))).unwrap_or_default()
            }
            None => vec![Check::not_made("signatures, times and holder", "the key of the issuer is not known")],
        },
        _ => match &verdict {
            Some(verdict) => vec![Check::made("signatures, times and holder", verdict)],
            None => vec![Check::not_made("signatures, times and holder", "the key of the issuer is not known")],
        },
    };
    if key.is_some() && !believed {
        verified.checks.insert(0, Check::fact("key", "as the presentation names it: nobody vouches for it"));
    }
    if let Some(verdict) = &verdict {
        verified.settle("all of it", verdict);
    }
    let authentic = verdict.and_then(Result::ok);
    #[cfg(feature = "mdoc")]
    if let Some(authentic) = authentic.as_ref().filter(|_| own && format.id() == MSO_MDOC) {
        let own_type = wanted.meta.get("doctype_value").and_then(Value::as_str).unwrap_or_default();
        let alias = OwnMdoc::alias(authentic, own_type).map_err(|error| Failed::new(error.code(), error));
        verified.push(Check::made("name of the customer", &alias));
    }
    group.checks.append(&mut verified.checks);
    if authentic.is_some() && wanted.format == SD_JWT_VC {
        group.checks.extend(sd_jwt_vc::payment(&terms, presented));
    }

    match &authentic {
        Some(authentic) => group.push(claims(captured, authentic)),
        None => group.push(Check::not_made("claims", "they are read when the presentation holds")),
    }
    let counts_as = match (&authentic, issuer) {
        (Some(authentic), Some(issuer)) => captured.trust.counts_as(issuer, authentic.types()),
        (Some(authentic), None) if own => authentic.types().iter().take(1).cloned().collect(),
        _ => Vec::new(),
    };
    if captured.type_rules && wanted.format == SD_JWT_VC {
        group.push(Check::not_made("rules of the type", "the documents of types are not given"));
    }
    group.push(status::judge(captured, id, authentic.as_ref(), issuer.zip(key.as_ref())));
    let authentic = authentic.filter(|_| believed && group.first_failure().is_none());
    // What a payment's attestation counts as is said by the documents of types, too.
    let pays = captured.type_rules && transaction_data.iter().any(|data| sd_jwt_vc::is_payment(data));
    let authentic = authentic.filter(|_| !pays);
    let format = wanted.format.clone();
    (group, authentic.map(|authentic| Believed { authentic, format, counts_as, authority_key_ids }))
}

/// What is known of an issuer.
#[derive(Default)]
struct Known {
    /// The key, also one that nobody vouches for: what it signed can be told all the same.
    key: Option<PublicKey>,
    issuer: Option<IssuerId>,
    authority_key_ids: Vec<String>,
    /// Whether the trust believes it.
    believed: bool,
}

/// Who issued it, and whether the trust believes that.
fn issuer(captured: &Captured<'_>, issuer: &IssuerRef<'_>) -> (Check, Known) {
    let mut group = Check::group("issuer");
    let mut known = Known::default();
    match issuer {
        IssuerRef::X5c { chain: x5c, iss } => {
            if let Some(iss) = iss {
                group.push(Check::fact("iss", format!("{iss} (a label: the chain says who it is)")));
            }
            group.checks.extend(chain(captured, x5c));
            known.key = x5c.first().and_then(|der| Certificate::from_der(der).ok()?.public_key().ok());
        }
        IssuerRef::Metadata { iss, kid } => {
            group.push(Check::fact("iss", iss));
            group.push(Check::fact("kid", kid.unwrap_or("none")));
        }
        IssuerRef::Did { did, method } => {
            group.push(Check::fact("did", did));
            group.push(Check::fact("method", method));
            // What it signed can be told, whoever believes it.
            let own = Did::parse(did, &captured.limits).ok().and_then(|did| did.resolve(None, &captured.limits).ok());
            let key = own.as_ref().and_then(|it| it.signing_key(Relationship::AssertionMethod, method));
            known.key = key.cloned();
        }
    }
    let decided = captured.trust.decide(issuer, captured.now, &captured.limits);
    let verdict = decided.as_ref().map_err(|error| Failed::new(error.code(), error));
    group.settle("trust", &verdict);
    match decided {
        Err(_) => return (group, known),
        Ok(Decision::Believed { key, issuer, path }) => {
            group.push(Check::holds("trust").text("the chain leads to a trusted root"));
            let authority_key_ids = path.authority_key_ids().to_vec();
            known = Known { key: Some(key), issuer: Some(issuer), authority_key_ids, believed: true };
        }
        Ok(Decision::Fetch { metadata, iss, kid, issuer }) => {
            group.push(Check::holds("trust").text("trusted by its URL"));
            let key = published_key(captured, &iss, kid.as_deref());
            group.push(match &key {
                None => Check::not_made("metadata", format!("what {metadata} says is not given")),
                Some(key) => Check::made("metadata", key),
            });
            let key = key.and_then(Result::ok);
            known = Known { believed: key.is_some(), key, issuer: Some(issuer), ..Known::default() };
        }
        Ok(Decision::Resolve { did, method, issuer }) => {
            group.push(Check::holds("trust").text("a trusted DID"));
            let (check, key) = did_key(captured, &did, &method);
            group.push(check);
            known = Known { believed: key.is_some(), key, issuer: Some(issuer), ..Known::default() };
        }
    }
    (group, known)
}

/// The key of a DID: from its own text, or from the document that would be fetched for it, if that is given.
pub(super) fn did_key(captured: &Captured<'_>, did: &Did, method: &str) -> (Check, Option<PublicKey>) {
    let limits = &captured.limits;
    let document = match did.resolve(None, limits) {
        Err(DidError::UnsupportedMethod) => {
            let read = |document: &&[u8]| {
                let document = json::parse(document, limits.json_depth).ok()?;
                DidDocument::from_json(&document, limits).ok().filter(|document| document.id() == did)
            };
            let Some(document) = captured.issuer_documents.iter().find_map(read) else {
                return (Check::not_made("document", format!("that of {did} is not given")), None);
            };
            Ok(document)
        }
        own => own,
    };
    let key = document.as_ref().ok().and_then(|it| it.signing_key(Relationship::AssertionMethod, method)).cloned();
    let check = match (&document, &key) {
        (Err(error), _) => Check::fails("document", error.code(), error),
        (Ok(_), None) => Check::fails("document", "did_no_key", "it has no such key for assertions").found(method),
        (Ok(_), Some(_)) => Check::holds("document").text(method),
    };
    (check, key)
}

/// The key from the document of this issuer, if one of those given is its.
pub(super) fn published_key(
    captured: &Captured<'_>,
    iss: &str,
    kid: Option<&str>,
) -> Option<Result<PublicKey, Failed>> {
    // One that is given alone is meant, whatever it says; of several only those of this issuer.
    let names = |document: &&&[u8]| {
        let read = json::parse(document, captured.limits.json_depth);
        let issuer = read.as_ref().ok().and_then(|it| it.get("issuer")).and_then(Value::as_str);
        issuer == Some(iss) || (issuer.is_some() && captured.issuer_documents.len() == 1)
    };
    let mut last = None;
    for document in captured.issuer_documents.iter().filter(names) {
        match metadata_key(iss, document, kid, &captured.limits) {
            Ok(MetadataKey::Found(key)) => return Some(Ok(key)),
            Ok(MetadataKey::Fetch(url)) => {
                // The set that it names may be another of the documents.
                let mut sets = captured.issuer_documents.iter();
                let key = sets.find_map(|set| crate::trust::jwks_key(set, kid, &captured.limits).ok());
                let missing = || Failed::new("issuer_keys_unavailable", format!("its keys are at {url}"));
                return Some(key.ok_or_else(missing));
            }
            Err(error) => last = Some(Err(Failed::new(error.code(), error))),
        }
    }
    last
}

/// A credential that the shop itself issued: with the key of the request's certificate, or of an earlier one.
fn own_issuer(asked: &Asked, issuer: &IssuerRef<'_>) -> (Check, Known) {
    let mut group = Check::group("issuer");
    let leaf = match issuer {
        IssuerRef::X5c { chain, .. } => chain.first(),
        _ => None,
    };
    let key = leaf.and_then(|der| Certificate::from_der(der).ok()?.public_key().ok());
    let believed = leaf.is_some() && leaf == asked.leaf.as_ref();
    group.push(match (leaf, believed) {
        (Some(_), true) => Check::holds("the shop itself").text("the certificate that signed the request"),
        (Some(_), false) => Check::not_made("the shop itself", "another certificate than that of the request"),
        (None, _) => Check::fails("the shop itself", "issuer_unknown", "it brings no certificate"),
    });
    (group, Known { key, believed, ..Known::default() })
}

/// What it says, by name.
fn claims(captured: &Captured<'_>, authentic: &Authentic) -> Check {
    let mut group = Check::group("claims");
    group.push(Check::fact("type", authentic.types().join(", ")));
    if let Some(at) = authentic.expires_at() {
        group.push(Check::fact("expires", at));
    }
    let members = authentic.claims().as_object();
    if captured.show_claims {
        for (name, value) in members.into_iter().flatten().take(captured.limits.disclosures) {
            group.push(Check::fact(name, value));
        }
    } else {
        let names: Vec<String> = members.into_iter().flatten().map(|(name, _)| tame(name)).collect();
        group.push(Check::fact("shown", if names.is_empty() { "none".to_owned() } else { names.join(", ") }));
    }
    group
}

/// The thumbprint of a key, shortened.
pub(super) fn thumbprint(key: &PublicKey) -> String {
    format!("{} {}", key.algorithm(), short(&key.thumbprint().to_string()))
}
