//! One presentation of an answer, through every check: its form, its issuer, its signatures, its type and its status.

use std::sync::Arc;

use serde_json::Value;
use url::Url;

use super::{ISSUER_DOCUMENT_S, Met, Question};
use crate::{
    ask::{
        Serves, StatusPolicy,
        documents::{RECEIPT, is_identity},
    },
    customer::BindingName,
    error::{AnswerError, Error},
    fetch::{FetchError, FetchRequest},
    format::{
        Against, Authentic, Format, IssuerRef, Unverified,
        sd_jwt_vc::{self, SdJwtVc},
    },
    keys::Identity,
    merchant::{Merchant, status::Vouched},
    presentation::{Authorisation, HOLDER_PROOF_AGE_S, Relationship, SKEW_S, signs_with},
    protocol::{
        dcql::Query,
        jose::PublicKey,
        registration::types_in,
        sca::{PAYMENT, ScaError},
        status_list::Status,
        status_ref::StatusRef,
    },
    time::UnixTime,
    trust::{Decision, MetadataKey, TrustError, metadata_key},
};
#[cfg(feature = "mdoc")]
use crate::{format::mdoc::OwnMdoc, protocol::dcql::MSO_MDOC};

/// An issuer's metadata or key set, in bytes.
const ISSUER_DOCUMENT_BYTES: usize = 64 * 1024;

/// A presentation that holds, and what it counts as.
pub(super) struct Believed {
    pub(super) authentic: Authentic,
    pub(super) counts_as: Vec<String>,
    pub(super) authority_key_ids: Vec<String>,
    pub(super) authorisation: Option<Authorisation>,
}

impl Merchant {
    /// The same for a credential that this shop issued itself. Its issuer is whoever holds one of our signing keys, the
    /// current one or an earlier one, and its status is what our own records say at this moment.
    pub(super) async fn believe_own(
        &self,
        query: &Query,
        met: Met<'_>,
        id: &str,
        presented: &Value,
        now: UnixTime,
    ) -> Result<(Believed, Relationship), Error> {
        let limits = &self.0.limits;
        let own_type = self.relationship_type();
        let format_error = |source| AnswerError::Format { credential: id.to_owned(), source };
        let unknown = || AnswerError::Trust { credential: id.to_owned(), source: TrustError::Unknown };
        let own_key = |issuer: &IssuerRef<'_>| self.own_key(issuer).ok_or_else(unknown);
        let against = |issuer_key| Against {
            issuer_key,
            channel: met.channel,
            encryption_key: met.encryption_key,
            nonce: met.nonce,
            transaction_data: &[],
            holder_binding: true,
            now,
            holder_proof_age_s: HOLDER_PROOF_AGE_S,
            skew_s: SKEW_S,
            limits,
        };
        let (authentic, shown) = match query.credential(id).map(|query| query.format.as_str()) {
            #[cfg(feature = "mdoc")]
            Some(MSO_MDOC) => {
                let own = OwnMdoc::parse(presented, limits).map_err(format_error)?;
                let key = own_key(&own.issuer())?;
                own.verify_own(own_type.as_str(), &against(key)).map_err(format_error)?
            }
            _ => {
                let unverified = SdJwtVc::new().parse(presented, limits).map_err(format_error)?;
                let key = own_key(&unverified.issuer())?;
                let authentic = unverified.verify(&against(key)).map_err(format_error)?;
                (authentic, sd_jwt_vc::relationship(presented, limits).map_err(format_error)?)
            }
        };
        let counts_as: Vec<String> =
            authentic.types().first().filter(|t| *t == own_type.as_str()).cloned().into_iter().collect();
        match self.binding(&BindingName::credential(&shown.alias)).await? {
            Some((binding, _)) if !binding.locked => {}
            // Not there any more: its customer is forgotten.
            _ => return Err(revoked(id, "revoked").into()),
        }
        Ok((Believed { authentic, counts_as, authority_key_ids: Vec::new(), authorisation: None }, shown))
    }

    /// The same for a receipt of this shop: by our keys alone, whoever else may be trusted for receipts, and by our own
    /// records of what was issued and revoked.
    async fn believe_receipt(
        &self,
        met: Met<'_>,
        id: &str,
        presented: &Value,
        now: UnixTime,
    ) -> Result<Believed, Error> {
        let limits = &self.0.limits;
        let format_error = |source| AnswerError::Format { credential: id.to_owned(), source };
        let unverified = SdJwtVc::new().parse(presented, limits).map_err(format_error)?;
        let unknown = || AnswerError::Trust { credential: id.to_owned(), source: TrustError::Unknown };
        let issuer_key = self.own_key(&unverified.issuer()).ok_or_else(unknown)?;
        let against = Against {
            issuer_key,
            channel: met.channel,
            encryption_key: met.encryption_key,
            nonce: met.nonce,
            transaction_data: &[],
            holder_binding: true,
            now,
            holder_proof_age_s: HOLDER_PROOF_AGE_S,
            skew_s: SKEW_S,
            limits,
        };
        let authentic = unverified.verify(&against).map_err(format_error)?;
        let counts_as: Vec<String> =
            authentic.types().first().filter(|kind| *kind == RECEIPT).cloned().into_iter().collect();
        // Keys may be shared by shops, the lists of one are its own.
        let place = match &authentic.status {
            Some(StatusRef::TokenList { uri, index }) => self.own_place(uri, *index),
            _ => None,
        };
        match place {
            None => Err(unknown().into()),
            Some(place) if self.place_holds(&place).await? => {
                Ok(Believed { authentic, counts_as, authority_key_ids: Vec::new(), authorisation: None })
            }
            Some(_) => Err(revoked(id, "revoked").into()),
        }
    }

    /// The key that a credential says to be signed with, if that is one of ours, the current one or an earlier one.
    fn own_key(&self, issuer: &IssuerRef<'_>) -> Option<&PublicKey> {
        let IssuerRef::X5c { chain, .. } = issuer else { return None };
        let is_leaf = |identity: &&Identity| chain.first().is_some_and(|leaf| leaf == identity.leaf().der());
        Some(self.0.keys.identities().iter().find(is_leaf)?.key().public_key())
    }

    /// `Unverified -> Authentic`, and its status: no step can be left out, and nothing is fetched before the issuer is
    /// trusted, no status before the signature holds.
    pub(super) async fn believe(
        &self,
        question: &Question<'_>,
        serves: &[Serves<'_>],
        met: Met<'_>,
        id: &str,
        presented: &Value,
        now: UnixTime,
    ) -> Result<Believed, Error> {
        if serves.iter().any(Serves::is_own_receipt) {
            return self.believe_receipt(met, id, presented, now).await;
        }
        let limits = &self.0.limits;
        let &Question { query, transaction_data, .. } = question;
        let credential = || id.to_owned();
        let wanted = query.credential(id);
        let format = wanted.and_then(|q| self.0.formats.iter().find(|f| f.id() == q.format));
        let (Some(wanted), Some(format)) = (wanted, format) else {
            return Err(Error::Misuse(format!("no format is set up for the credential {id:?}")));
        };
        let format_error = |source| AnswerError::Format { credential: credential(), source };
        let trust_error = |source| AnswerError::Trust { credential: credential(), source };

        let unverified: Box<dyn Unverified + '_> = format.parse(presented, limits).map_err(format_error)?;
        let trust = self.trust();
        let (issuer_key, issuer, authority_key_ids) = match trust
            .decide(&unverified.issuer(), now, limits)
            .map_err(trust_error)?
        {
            Decision::Believed { key, issuer, path } => (key, issuer, path.authority_key_ids().to_vec()),
            Decision::Fetch { metadata, iss, kid, issuer } => {
                (self.issuer_key(id, &metadata, &iss, kid.as_deref()).await?, issuer, Vec::new())
            }
            Decision::Resolve { did, method, issuer } => (self.did_key(id, &did, &method).await?, issuer, Vec::new()),
        };
        let signs = |data: &&String| signs_with(data, id);
        let transactions: Vec<String> = transaction_data.iter().filter(signs).cloned().collect();
        let against = Against {
            issuer_key: &issuer_key,
            channel: met.channel,
            encryption_key: met.encryption_key,
            nonce: met.nonce,
            transaction_data: &transactions,
            holder_binding: wanted.require_cryptographic_holder_binding,
            now,
            holder_proof_age_s: HOLDER_PROOF_AGE_S,
            skew_s: SKEW_S,
            limits,
        };
        let mut authentic = unverified.verify(&against).map_err(format_error)?;
        let payment = question.payment.filter(|_| serves.iter().any(|one| one.ask.is_payment()));
        let not_authorised = |source| AnswerError::Authorisation { credential: credential(), source };
        let mut authorisation = None;
        if let (Some(_), Some(data)) = (payment, transactions.last()) {
            let proof = sd_jwt_vc::authentication(presented, met.response_mode, limits).map_err(format_error)?;
            let (proof, made_at) = proof.map_err(not_authorised)?;
            authorisation = Some(Authorisation {
                presentation: presented.as_str().unwrap_or_default().to_owned(),
                audience: met.channel.audience().map(String::from).unwrap_or_default(),
                nonce: met.nonce.to_owned(),
                transaction_data: data.clone(),
                attestation: authentic.types.first().cloned().unwrap_or_default(),
                jti: proof.jti().to_owned(),
                made_at,
            });
        }
        // Rules are fetched from where a type says only if its issuer may issue it, or issues what it says to extend.
        let asked_types = if payment.is_some() { types_in(&wanted.meta) } else { Vec::new() };
        let may_issue = [authentic.types.as_slice(), &asked_types].concat();
        let is_sd_jwt_vc = format.id() == SdJwtVc::new().id() && !trust.counts_as(issuer, &may_issue).is_empty();
        if let Some(vct) = authentic.types.first().cloned().filter(|_| is_sd_jwt_vc) {
            let chain = self.check_type(id, &vct, presented).await?;
            if let Some(payment) = payment {
                // PID Rulebook: identification data sign no transaction, whatever somebody says of their type.
                if authentic.types.iter().any(|kind| is_identity(kind)) {
                    return Err(not_authorised(ScaError::NotSca { vct }).into());
                }
                // TS12, 3: that it signs payments is said by its type. What a type extends, it is as well (OpenID4VP, B.3.5).
                let chain = chain.ok_or_else(|| not_authorised(ScaError::NotSca { vct: vct.clone() }))?;
                chain.signs(&payment.kind, PAYMENT).map_err(not_authorised)?;
                let extended = chain.types().iter().filter(|kind| !authentic.types.contains(kind)).cloned();
                authentic.types.extend(extended.collect::<Vec<_>>());
            }
        }
        let counts_as = trust.counts_as(issuer, &authentic.types);
        if let Some(status) = &authentic.status {
            match self
                .status(&Vouched { trust: &trust, issuer, types: &counts_as, key: &issuer_key }, status, now)
                .await
            {
                Ok(Status::Valid) => {}
                Ok(Status::Invalid) => return Err(revoked(id, "revoked").into()),
                Ok(Status::Suspended) => return Err(revoked(id, "suspended").into()),
                Ok(Status::Other(number)) => return Err(revoked(id, &format!("status {number}")).into()),
                // Whom one ask takes as they are is not thereby taken by another.
                Err(source)
                    if serves.iter().all(|one| one.ask.status_policy() == StatusPolicy::AcceptUndetermined)
                        && !source.is_final() =>
                {
                    tracing::warn!(credential = id, error = %source, "a status is unknown and accepted by policy");
                }
                Err(source) => return Err(AnswerError::StatusUnknown { credential: credential(), source }.into()),
            }
        }
        Ok(Believed { authentic, counts_as, authority_key_ids, authorisation })
    }

    /// The key of an issuer that is known by its address: from its metadata, or the key set that they name.
    pub(in crate::merchant) async fn issuer_key(
        &self,
        id: &str,
        metadata: &Url,
        iss: &str,
        kid: Option<&str>,
    ) -> Result<PublicKey, Error> {
        let unreachable = |source| AnswerError::IssuerKeys { credential: id.to_owned(), source };
        let untrusted = |source| AnswerError::Trust { credential: id.to_owned(), source };
        let document = self.issuer_document(metadata).await.map_err(unreachable)?;
        let limits = &self.0.limits;
        match metadata_key(iss, &document, kid, limits).map_err(untrusted)? {
            MetadataKey::Found(key) => Ok(key),
            MetadataKey::Fetch(jwks_uri) => {
                let document = self.issuer_document(&jwks_uri).await.map_err(unreachable)?;
                Ok(crate::trust::jwks_key(&document, kid, limits).map_err(untrusted)?)
            }
        }
    }

    async fn issuer_document(&self, url: &Url) -> Result<Arc<bytes::Bytes>, Arc<FetchError>> {
        let now = self.now();
        let load = async {
            let request = FetchRequest::get(url.clone(), "application/json", ISSUER_DOCUMENT_BYTES);
            let fetched = self.0.fetch.fetch(&request).await?;
            let fresh_s = fetched.max_age_s.unwrap_or(ISSUER_DOCUMENT_S).clamp(60, ISSUER_DOCUMENT_S);
            Ok((fetched.body, now.plus_s(fresh_s)))
        };
        self.0.issuer_documents.get_or_fetch(url.as_str(), now, load).await
    }
}

fn revoked(credential: &str, status: &str) -> AnswerError {
    AnswerError::Revoked { credential: credential.to_owned(), status: status.to_owned() }
}
