//! What the types of credentials demand, where the merchant wants that checked.

use std::{collections::BTreeMap, sync::Arc};

use bytes::Bytes;
use serde_json::Value;
use url::Url;

use super::{Merchant, present::ISSUER_DOCUMENT_S};
use crate::{
    error::{AnswerError, Error},
    fetch::{FetchError, FetchRequest},
    format::{FormatError, sd_jwt_vc},
    limits::Limits,
    protocol::{
        json,
        type_metadata::{Chain, DOCUMENT_BYTES_MAX, Reference, TypeMetadataError},
    },
};

/// Whether the rules that a credential's type has ("Type Metadata" of SD-JWT VC) are checked, and where they come from.
///
/// They are ignored unless the merchant says otherwise: the trust says who may issue a type, and the ask says which claims a
/// sale needs. A document that cannot be had, or does not hold, refuses the credential. Whatever a type extends, a
/// credential counts only as what its issuer is trusted for.
#[derive(Clone, Debug, Default)]
pub struct TypeMetadata {
    pinned: BTreeMap<String, Bytes>,
    fetches: bool,
}

impl TypeMetadata {
    /// No type's rules are checked.
    #[must_use]
    pub fn ignored() -> Self {
        Self::default()
    }

    /// The rules of the types in these documents are checked, and no others; nothing is fetched. A type that one of them
    /// extends must be among them.
    ///
    /// # Errors
    /// If a document is not one of type metadata, or describes a type that another one does.
    pub fn pinned(documents: impl IntoIterator<Item = Vec<u8>>) -> Result<Self, TypeMetadataError> {
        let limits = Limits::default();
        let mut pinned = BTreeMap::new();
        for document in documents {
            let read = json::parse(&document, limits.json_depth)?;
            let vct =
                read.get("vct").and_then(Value::as_str).ok_or(TypeMetadataError::Form("a document without `vct`"))?;
            Chain::of(Reference { vct: vct.to_owned(), integrity: None }).add(&document, &limits)?;
            if pinned.insert(vct.to_owned(), document.into()).is_some() {
                return Err(TypeMetadataError::Form("two documents of one type"));
            }
        }
        Ok(Self { pinned, fetches: false })
    }

    /// Also checks the rules of every type that is an https URL: its document is fetched from there, once the signature of
    /// a trusted issuer holds, and kept for an hour at most. The publisher of a type learns that this shop is shown
    /// credentials of it.
    #[must_use]
    pub const fn fetched(mut self) -> Self {
        self.fetches = true;
        self
    }

    /// Whether no type has rules here.
    pub(super) fn is_ignored(&self) -> bool {
        self.pinned.is_empty() && !self.fetches
    }

    /// Where the document of a type is; `None` if nobody knows.
    fn place_of(&self, vct: &str) -> Option<Place<'_>> {
        if let Some(document) = self.pinned.get(vct) {
            return Some(Place::Pinned(document));
        }
        let url = Url::parse(vct).ok().filter(|url| self.fetches && url.scheme() == "https")?;
        Some(Place::At(url))
    }
}

enum Place<'a> {
    Pinned(&'a Bytes),
    At(Url),
}

impl Merchant {
    /// Checks an SD-JWT VC whose signatures hold against the rules of its type: what its documents say, if the merchant has them.
    pub(super) async fn check_type(&self, id: &str, vct: &str, presented: &Value) -> Result<Option<Chain>, Error> {
        let policy = &self.0.type_metadata;
        if policy.place_of(vct).is_none() {
            return Ok(None);
        }
        let limits = &self.0.limits;
        let credential = || id.to_owned();
        let form_error = |source: FormatError| AnswerError::Format { credential: credential(), source };
        let refused = |source| AnswerError::Type { credential: credential(), source };
        let (shape, integrity) = sd_jwt_vc::shape(presented, limits).map_err(form_error)?;
        let mut chain = Chain::of(Reference { vct: vct.to_owned(), integrity });
        while let Some(wanted) = chain.wanted() {
            let document = match policy.place_of(&wanted.vct) {
                Some(Place::Pinned(document)) => Arc::new(document.clone()),
                Some(Place::At(url)) => self
                    .type_document(&url, wanted.integrity.as_deref())
                    .await
                    .map_err(|source| AnswerError::TypeUnavailable { credential: credential(), source })?,
                None => break,
            };
            chain.add(&document, limits).map_err(refused)?;
        }
        chain.clone().rules().and_then(|rules| rules.check(&shape)).map_err(refused)?;
        Ok(Some(chain))
    }

    async fn type_document(&self, url: &Url, integrity: Option<&str>) -> Result<Arc<Bytes>, Arc<FetchError>> {
        let now = self.now();
        let load = async {
            let request = FetchRequest::get(url.clone(), "application/json", DOCUMENT_BYTES_MAX);
            let fetched = self.0.fetch.fetch(&request).await?;
            let fresh_s = fetched.max_age_s.unwrap_or(ISSUER_DOCUMENT_S).clamp(60, ISSUER_DOCUMENT_S);
            Ok((fetched.body, now.plus_s(fresh_s)))
        };
        // A new edition has a new hash, and must not be judged by the old one that is kept.
        let integrity: String = integrity.unwrap_or_default().chars().take(256).collect();
        self.0.issuer_documents.get_or_fetch(&format!("{url} {integrity}"), now, load).await
    }
}
