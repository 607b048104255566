//! The Digital Credentials Query Language (OpenID4VP 1.0 sections 6 and 7): what a verifier asks for, and whether what
//! came back is that.
//!
//! A wallet evaluates the same query before it answers, and its answer is worth nothing as a proof of that: section
//! 14.9 has the verifier evaluate the whole query again over what it verified itself. [`Query::evaluate`] is that
//! second evaluation. It knows no credential format: whoever verified a credential hands it over as a [`Candidate`].
//!
//! An index in a claims path counts the elements that were disclosed: a wallet that withholds an element of an array
//! moves the later ones forward. Ask for all elements (`null`) where positions can move.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Deserializer, Serialize};
use serde_json::Value;

use crate::{limits::Limits, protocol::jose::base64url_decode};

/// IETF SD-JWT VC (B.3).
pub const SD_JWT_VC: &str = "dc+sd-jwt";
/// ISO/IEC 18013-5 and 23220 documents (B.2).
pub const MSO_MDOC: &str = "mso_mdoc";
/// W3C credentials signed as a JWT (B.1.3.1).
pub const JWT_VC_JSON: &str = "jwt_vc_json";
/// W3C credentials with a Data Integrity proof (B.1.3.2).
pub const LDP_VC: &str = "ldp_vc";

/// A query as section 6 defines it. It serializes to exactly that JSON, defaults left out.
///
/// The members can be set freely; [`check`](Self::check) says whether the result is a valid query, and nothing is sent
/// or evaluated before it did. Members that the standard does not define are ignored, as it demands.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Query {
    /// The credentials asked for; never empty.
    pub credentials: Vec<CredentialQuery>,
    /// Which combinations of them will do. Absent: all of them are required.
    #[serde(default, deserialize_with = "present", skip_serializing_if = "Option::is_none")]
    pub credential_sets: Option<Vec<CredentialSet>>,
}

/// One credential asked for (section 6.1).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct CredentialQuery {
    /// Names the credential in the answer: letters, digits, `_` and `-`, unique within the query.
    pub id: String,
    /// A format identifier of Annex B, such as [`SD_JWT_VC`].
    pub format: String,
    /// Whether more than one credential may come back for this query.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub multiple: bool,
    /// The types asked for: `vct_values` (B.3.5), `doctype_value` (B.2.3) or `type_values` (B.1.1).
    pub meta: Value,
    /// Who may have certified the issuer, each `{type, values}`; one match is enough. Only the type `aki` can be
    /// checked on what comes back, so only that type is accepted. It spares the wallet a useless disclosure and is no
    /// substitute for trust (6.1).
    #[serde(default, deserialize_with = "present", skip_serializing_if = "Option::is_none")]
    pub trusted_authorities: Option<Vec<Value>>,
    /// Whether the holder must prove possession of the credential's key. Without that proof anybody who ever saw the
    /// credential can present it.
    #[serde(default = "yes", skip_serializing_if = "is_yes")]
    pub require_cryptographic_holder_binding: bool,
    /// The claims asked for. Absent: none that the wallet could withhold.
    #[serde(default, deserialize_with = "present", skip_serializing_if = "Option::is_none")]
    pub claims: Option<Vec<ClaimQuery>>,
    /// Combinations of claims, named by their ids, the preferred one first. Absent: all claims.
    #[serde(default, deserialize_with = "present", skip_serializing_if = "Option::is_none")]
    pub claim_sets: Option<Vec<Vec<String>>>,
}

/// One claim asked for (section 6.3).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ClaimQuery {
    /// Names the claim in `claim_sets`, which need it.
    #[serde(default, deserialize_with = "present", skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    /// A claims path (section 7): a string names a member, a non-negative integer an element of an array, `null` all
    /// its elements.
    pub path: Vec<Value>,
    /// The values that will do: strings, integers, booleans. Absent: any value.
    #[serde(default, deserialize_with = "present", skip_serializing_if = "Option::is_none")]
    pub values: Option<Vec<Value>>,
    /// Of an element of an mdoc: whether we keep its value longer than it takes to look at it (annex B.2.4). Absent: no.
    #[serde(default, deserialize_with = "present", skip_serializing_if = "Option::is_none")]
    pub intent_to_retain: Option<bool>,
}

/// Combinations of credentials of which one will do (section 6.2).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct CredentialSet {
    /// Each a combination of ids of credential queries.
    pub options: Vec<Vec<String>>,
    /// Whether the answer is useless without one of them.
    #[serde(default = "yes", skip_serializing_if = "is_yes")]
    pub required: bool,
}

/// One verified credential, as a query sees it. Whoever makes one vouches for every member.
#[derive(Clone, Debug)]
pub struct Candidate<'a> {
    /// The format identifier under which it was verified.
    pub format: &'a str,
    /// The types that it counts as, which is for trust to decide: of an SD-JWT VC `vct` and what its issuer may call
    /// so, of an mdoc the document type, of a W3C credential its fully expanded types.
    pub types: &'a [String],
    /// Whether the holder's proof was there and held.
    pub holder_bound: bool,
    /// The claims after verification; of an mdoc an object of namespaces.
    pub claims: &'a Value,
    /// The authority key identifiers of the certificates in its chain, base64url.
    pub authority_key_ids: &'a [String],
}

/// One credential that satisfies its query.
#[derive(Clone, Debug, PartialEq)]
pub struct Matched<'q, 'c> {
    /// The id of the credential query.
    pub id: &'q str,
    /// Which of the candidates for that query it is.
    pub position: usize,
    /// Which entry of `claim_sets` was satisfied: the first that could be, in the verifier's order of preference.
    pub claim_set: Option<usize>,
    /// The claims that were asked for, each with the values it selects (never none): those of the satisfied claim set,
    /// all of them without `claim_sets`, none without `claims`. What else the credential discloses is not here.
    pub claims: Vec<(&'q ClaimQuery, Vec<&'c Value>)>,
}

/// Why a query is none, or what came back is not what it asks for.
///
/// The variants up to [`UnknownReference`](Self::UnknownReference) are mistakes in a query; the others say what an
/// answer lacks. No variant carries a value of a credential.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum DcqlError {
    /// A member is missing or of the wrong type.
    #[error("the query has not the form that OpenID4VP 1.0 section 6 gives it: {reason}")]
    Malformed {
        /// What was met, and where.
        reason: String,
    },
    /// An array that must not be empty is.
    #[error("`{member}` needs at least one entry")]
    Empty {
        /// The member.
        member: &'static str,
    },
    /// An array is longer than [`Limits`] allow.
    #[error("`{member}` has {count} entries, more than the limit of {max}")]
    TooMany {
        /// The member.
        member: &'static str,
        /// Its entries.
        count: usize,
        /// The limit.
        max: usize,
    },
    /// `meta` or `trusted_authorities` nest deeper than [`Limits`] allow.
    #[error("the query nests deeper than {max} levels")]
    TooDeep {
        /// The limit.
        max: usize,
    },
    /// An id has other characters than letters, digits, `_` and `-`, or none.
    #[error("`{id}` cannot be an id: use letters, digits, `_` and `-`")]
    Identifier {
        /// The id.
        id: String,
    },
    /// Two entries of one array have the same id.
    #[error("the id `{id}` is used twice")]
    RepeatedIdentifier {
        /// The id.
        id: String,
    },
    /// The format is none of Annex B.
    #[error("credential query `{id}`: OpenID4VP 1.0 has no format `{format}`")]
    UnknownFormat {
        /// The credential query.
        id: String,
        /// The format.
        format: String,
    },
    /// `meta` lacks what its format demands.
    #[error("credential query `{id}`: `meta` needs `{member}`, not empty")]
    Meta {
        /// The credential query.
        id: String,
        /// What must be inside.
        member: &'static str,
    },
    /// An entry of `trusted_authorities` cannot be checked on an answer.
    #[error("credential query `{id}`: a trusted authority must have the type `aki` and base64url values")]
    Authority {
        /// The credential query.
        id: String,
    },
    /// A claims path is none.
    #[error("credential query `{id}`: {path} is no claims path for its format")]
    Path {
        /// The credential query.
        id: String,
        /// The path.
        path: String,
    },
    /// A value to compare with is no string, integer or boolean.
    #[error("credential query `{id}`: the values of {path} must be strings, integers or booleans")]
    Values {
        /// The credential query.
        id: String,
        /// The path.
        path: String,
    },
    /// A credential query points to a claim twice.
    #[error("credential query `{id}` asks for {path} twice")]
    RepeatedClaim {
        /// The credential query.
        id: String,
        /// The path.
        path: String,
    },
    /// `claim_sets` stand without `claims`.
    #[error("credential query `{id}` has `claim_sets` but no `claims`")]
    ClaimSetsWithoutClaims {
        /// The credential query.
        id: String,
    },
    /// `claim_sets` are present and a claim has no id.
    #[error("credential query `{id}`: {path} needs an id, because there are `claim_sets`")]
    ClaimWithoutIdentifier {
        /// The credential query.
        id: String,
        /// The path.
        path: String,
    },
    /// A set names an id that does not exist.
    #[error("`{member}` names `{id}`, which does not exist")]
    UnknownReference {
        /// `claim_sets` or `credential_sets`.
        member: &'static str,
        /// The id.
        id: String,
    },

    /// The answer has an id that the query has not.
    #[error("the answer holds a credential that was not asked for")]
    NotAsked,
    /// The answer has an id twice.
    #[error("the answer holds `{id}` twice")]
    AnsweredTwice {
        /// The credential query.
        id: String,
    },
    /// More than one credential came back where one was asked for.
    #[error("the answer holds {count} credentials for `{id}`, which asks for one")]
    NotMultiple {
        /// The credential query.
        id: String,
        /// How many came.
        count: usize,
    },
    /// The credential has another format.
    #[error("the credential for `{id}` has another format than was asked for")]
    FormatMismatch {
        /// The credential query.
        id: String,
    },
    /// The credential counts as none of the types.
    #[error("the credential for `{id}` has none of the types that were asked for")]
    TypeMismatch {
        /// The credential query.
        id: String,
    },
    /// The holder proved nothing.
    #[error("the credential for `{id}` came without the holder's proof")]
    HolderBindingMissing {
        /// The credential query.
        id: String,
    },
    /// None of the trusted authorities is in the credential's chain.
    #[error("the credential for `{id}` comes from none of the authorities that were asked for")]
    AuthorityMismatch {
        /// The credential query.
        id: String,
    },
    /// A claim is not there, or has none of the values asked for, which section 6.4.1 treats alike.
    #[error("the credential for `{id}` lacks {path}, or the values asked for")]
    ClaimMissing {
        /// The credential query.
        id: String,
        /// The path.
        path: String,
    },
    /// No combination of claims is complete.
    #[error("the credential for `{id}` completes none of the `claim_sets`")]
    ClaimSetsUnsatisfied {
        /// The credential query.
        id: String,
    },
    /// A required credential is not there.
    #[error("the answer lacks a credential for `{id}`")]
    CredentialMissing {
        /// The credential query.
        id: String,
    },
    /// A required combination of credentials is not there.
    #[error("the answer completes none of the options of credential set {set}")]
    CredentialSetUnsatisfied {
        /// The index in `credential_sets`.
        set: usize,
    },
    /// There is no credential at all.
    #[error("the answer holds no credential")]
    NothingPresented,
}

impl DcqlError {
    /// A stable name of the check that failed.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::Malformed { .. } => "dcql_malformed",
            Self::Empty { .. } => "dcql_empty",
            Self::TooMany { .. } => "dcql_too_many",
            Self::TooDeep { .. } => "dcql_too_deep",
            Self::Identifier { .. } => "dcql_identifier",
            Self::RepeatedIdentifier { .. } => "dcql_repeated_identifier",
            Self::UnknownFormat { .. } => "dcql_unknown_format",
            Self::Meta { .. } => "dcql_meta",
            Self::Authority { .. } => "dcql_authority",
            Self::Path { .. } => "dcql_path",
            Self::Values { .. } => "dcql_values",
            Self::RepeatedClaim { .. } => "dcql_repeated_claim",
            Self::ClaimSetsWithoutClaims { .. } => "dcql_claim_sets_without_claims",
            Self::ClaimWithoutIdentifier { .. } => "dcql_claim_without_identifier",
            Self::UnknownReference { .. } => "dcql_unknown_reference",
            Self::NotAsked => "credential_not_asked",
            Self::AnsweredTwice { .. } => "credential_answered_twice",
            Self::NotMultiple { .. } => "credential_not_multiple",
            Self::FormatMismatch { .. } => "credential_format_mismatch",
            Self::TypeMismatch { .. } => "credential_type_mismatch",
            Self::HolderBindingMissing { .. } => "holder_binding_missing",
            Self::AuthorityMismatch { .. } => "credential_authority_mismatch",
            Self::ClaimMissing { .. } => "claim_missing",
            Self::ClaimSetsUnsatisfied { .. } => "claim_sets_unsatisfied",
            Self::CredentialMissing { .. } => "credential_missing",
            Self::CredentialSetUnsatisfied { .. } => "credential_set_unsatisfied",
            Self::NothingPresented => "nothing_presented",
        }
    }
}

impl Query {
    /// Reads a query and checks it.
    ///
    /// # Errors
    ///
    /// The first rule of section 6 or limit that `json` breaks.
    pub fn parse(json: &Value, limits: &Limits) -> Result<Self, DcqlError> {
        // Serde takes an array for a struct, in the order of its members; the standard does not.
        let objects = json.is_object()
            && all_objects(json.get("credentials"))
            && all_objects(json.get("credential_sets"))
            && json
                .get("credentials")
                .and_then(Value::as_array)
                .is_none_or(|credentials| credentials.iter().all(|credential| all_objects(credential.get("claims"))));
        if !objects {
            return Err(DcqlError::Malformed { reason: "an object was expected".to_owned() });
        }
        let query = Self::deserialize(json).map_err(|e| DcqlError::Malformed { reason: e.to_string() })?;
        query.check(limits)?;
        Ok(query)
    }

    /// Whether this is a valid query that stays within `limits`.
    ///
    /// # Errors
    ///
    /// The first rule of section 6 or limit that it breaks.
    pub fn check(&self, limits: &Limits) -> Result<(), DcqlError> {
        sized("credentials", self.credentials.len(), limits.dcql_credentials)?;
        let mut ids = BTreeSet::new();
        for credential in &self.credentials {
            identifier(&credential.id)?;
            // 6.1: the same id only once; it is the key of the answer.
            if !ids.insert(credential.id.as_str()) {
                return Err(DcqlError::RepeatedIdentifier { id: credential.id.clone() });
            }
            credential.check(limits)?;
        }
        let Some(sets) = &self.credential_sets else { return Ok(()) };
        sized("credential_sets", sets.len(), limits.dcql_claims)?;
        for set in sets {
            sized("options", set.options.len(), limits.dcql_claims)?;
            for option in &set.options {
                sized("options", option.len(), limits.dcql_credentials)?;
                references("credential_sets", option, &ids)?;
            }
        }
        Ok(())
    }

    /// The credential query with this id.
    #[must_use]
    pub fn credential(&self, id: &str) -> Option<&CredentialQuery> {
        self.credentials.iter().find(|credential| credential.id == id)
    }

    /// Evaluates the whole query over what came back (sections 8.6 and 6.4.2), for each id its verified candidates.
    ///
    /// One candidate that does not satisfy its query refuses the answer: section 6.4.2 forbids a wallet to return it,
    /// and one that does so deserves no trust for the rest. A candidate that failed verification has no place here
    /// (section 8.6 has it discarded before); what is left must still satisfy every required credential set.
    ///
    /// # Errors
    ///
    /// The first demand of the query that the answer does not meet.
    pub fn evaluate<'q, 'c>(
        &'q self,
        answer: &[(String, Vec<Candidate<'c>>)],
    ) -> Result<Vec<Matched<'q, 'c>>, DcqlError> {
        let mut seen = BTreeSet::new();
        let mut presented = BTreeSet::new();
        let mut matched = Vec::new();
        for (id, candidates) in answer {
            // 8.1: no other keys than the ids of the query.
            let query = self.credential(id).ok_or(DcqlError::NotAsked)?;
            if !seen.insert(query.id.as_str()) {
                return Err(DcqlError::AnsweredTwice { id: query.id.clone() });
            }
            query.counts(candidates.len())?;
            for (position, candidate) in candidates.iter().enumerate() {
                matched.push(Matched { position, ..query.select(candidate)? });
                presented.insert(query.id.as_str());
            }
        }
        self.satisfied_by(&presented)?;
        Ok(matched)
    }

    /// Whether credentials for these ids are all that the query requires (section 6.4.2).
    ///
    /// # Errors
    ///
    /// The first credential, or set of them, that is missing; or that there is none at all, which would make an answer
    /// without content pass for one where every set is optional.
    pub(crate) fn satisfied_by(&self, presented: &BTreeSet<&str>) -> Result<(), DcqlError> {
        if presented.is_empty() {
            return Err(DcqlError::NothingPresented);
        }
        let Some(sets) = &self.credential_sets else {
            return match self.credentials.iter().find(|credential| !presented.contains(credential.id.as_str())) {
                Some(missing) => Err(DcqlError::CredentialMissing { id: missing.id.clone() }),
                None => Ok(()),
            };
        };
        let complete = |option: &Vec<String>| option.iter().all(|id| presented.contains(id.as_str()));
        match sets.iter().position(|set| set.required && !set.options.iter().any(complete)) {
            Some(set) => Err(DcqlError::CredentialSetUnsatisfied { set }),
            None => Ok(()),
        }
    }
}

impl CredentialQuery {
    /// What this query selects from one credential; its position counts as 0.
    ///
    /// # Errors
    ///
    /// The first demand of the query that the credential does not meet.
    pub fn select<'q, 'c>(&'q self, candidate: &Candidate<'c>) -> Result<Matched<'q, 'c>, DcqlError> {
        let id = || self.id.clone();
        if candidate.format != self.format {
            return Err(DcqlError::FormatMismatch { id: id() });
        }
        if !self.accepts_type(candidate.types) {
            return Err(DcqlError::TypeMismatch { id: id() });
        }
        if self.require_cryptographic_holder_binding && !candidate.holder_bound {
            return Err(DcqlError::HolderBindingMissing { id: id() });
        }
        if !self.accepts_authority(candidate.authority_key_ids) {
            return Err(DcqlError::AuthorityMismatch { id: id() });
        }
        let (claim_set, claims) = self.select_claims(candidate.claims)?;
        Ok(Matched { id: &self.id, position: 0, claim_set, claims })
    }

    /// 8.1: exactly one credential unless `multiple`.
    pub(crate) fn counts(&self, count: usize) -> Result<(), DcqlError> {
        if count > 1 && !self.multiple {
            return Err(DcqlError::NotMultiple { id: self.id.clone(), count });
        }
        Ok(())
    }

    pub(crate) fn accepts_type(&self, types: &[String]) -> bool {
        let has = |asked: &Value| asked.as_str().is_some_and(|asked| types.iter().any(|it| it == asked));
        match self.format.as_str() {
            SD_JWT_VC => entries(self.meta.get("vct_values")).iter().any(has),
            MSO_MDOC => self.meta.get("doctype_value").is_some_and(has),
            // B.1.1: each inner array is one alternative, and all its types must be there.
            JWT_VC_JSON | LDP_VC => entries(self.meta.get("type_values")).iter().any(|all| {
                let all = entries(Some(all));
                !all.is_empty() && all.iter().all(has)
            }),
            _ => false,
        }
    }

    pub(crate) fn accepts_authority(&self, authority_key_ids: &[String]) -> bool {
        let Some(authorities) = &self.trusted_authorities else { return true };
        authorities.iter().filter(|authority| kind(authority) == Some("aki")).any(|authority| {
            let mut accepted = entries(authority.get("values")).iter().filter_map(Value::as_str);
            accepted.any(|accepted| authority_key_ids.iter().any(|id| id == accepted))
        })
    }

    /// Section 6.4.1.
    #[expect(clippy::type_complexity, reason = "the two members of `Matched` that it makes")]
    fn select_claims<'q, 'c>(
        &'q self,
        credential: &'c Value,
    ) -> Result<(Option<usize>, Vec<(&'q ClaimQuery, Vec<&'c Value>)>), DcqlError> {
        let Some(claims) = &self.claims else { return Ok((None, Vec::new())) };
        let Some(sets) = &self.claim_sets else {
            let selected = claims.iter().map(|claim| match claim.select(credential) {
                Some(values) => Ok((claim, values)),
                None => Err(DcqlError::ClaimMissing { id: self.id.clone(), path: claim.printed() }),
            });
            return Ok((None, selected.collect::<Result<_, _>>()?));
        };
        let found: BTreeMap<&str, (&ClaimQuery, Vec<&Value>)> = claims
            .iter()
            .filter_map(|claim| Some((claim.id.as_deref()?, (claim, claim.select(credential)?))))
            .collect();
        sets.iter()
            .enumerate()
            .find_map(|(index, set)| {
                let selected = set.iter().map(|id| found.get(id.as_str()).cloned()).collect::<Option<_>>()?;
                Some((Some(index), selected))
            })
            .ok_or_else(|| DcqlError::ClaimSetsUnsatisfied { id: self.id.clone() })
    }

    fn check(&self, limits: &Limits) -> Result<(), DcqlError> {
        let id = || self.id.clone();
        shallow(&self.meta, limits)?;
        let meta = match self.format.as_str() {
            SD_JWT_VC => ("vct_values", strings(self.meta.get("vct_values"), limits)?),
            MSO_MDOC => ("doctype_value", self.meta.get("doctype_value").is_some_and(text)),
            JWT_VC_JSON | LDP_VC => {
                let alternatives = entries(self.meta.get("type_values"));
                let mut filled = !alternatives.is_empty();
                limited("type_values", alternatives.len(), limits.dcql_values)?;
                for alternative in alternatives {
                    filled &= strings(Some(alternative), limits)?;
                }
                ("type_values", filled)
            }
            // 6.1: the formats are those of Annex B.
            _ => return Err(DcqlError::UnknownFormat { id: id(), format: self.format.clone() }),
        };
        if let (member, false) = meta {
            return Err(DcqlError::Meta { id: id(), member });
        }
        if let Some(authorities) = &self.trusted_authorities {
            sized("trusted_authorities", authorities.len(), limits.dcql_claims)?;
            for authority in authorities {
                shallow(authority, limits)?;
                let values = entries(authority.get("values"));
                let keys = strings(authority.get("values"), limits)?
                    && values.iter().filter_map(Value::as_str).all(|value| base64url_decode(value).is_ok());
                // The other types need lists and federations that nobody here reads: a restriction that is not
                // checked would only look like one.
                if kind(authority) != Some("aki") || !keys {
                    return Err(DcqlError::Authority { id: id() });
                }
            }
        }
        self.check_claims(limits)
    }

    fn check_claims(&self, limits: &Limits) -> Result<(), DcqlError> {
        let Some(claims) = &self.claims else {
            return match self.claim_sets {
                Some(_) => Err(DcqlError::ClaimSetsWithoutClaims { id: self.id.clone() }),
                None => Ok(()),
            };
        };
        sized("claims", claims.len(), limits.dcql_claims)?;
        let mut ids = BTreeSet::new();
        let mut paths = BTreeSet::new();
        for claim in claims {
            claim.check(self, limits)?;
            // 6.1: the same claim only once.
            if !paths.insert(claim.printed()) {
                return Err(DcqlError::RepeatedClaim { id: self.id.clone(), path: claim.printed() });
            }
            match &claim.id {
                Some(id) => {
                    identifier(id)?;
                    if !ids.insert(id.as_str()) {
                        return Err(DcqlError::RepeatedIdentifier { id: id.clone() });
                    }
                }
                None if self.claim_sets.is_some() => {
                    return Err(DcqlError::ClaimWithoutIdentifier { id: self.id.clone(), path: claim.printed() });
                }
                None => {}
            }
        }
        let Some(sets) = &self.claim_sets else { return Ok(()) };
        sized("claim_sets", sets.len(), limits.dcql_claims)?;
        for set in sets {
            // An empty combination would let every credential pass without a single claim.
            sized("claim_sets", set.len(), limits.dcql_claims)?;
            references("claim_sets", set, &ids)?;
        }
        Ok(())
    }
}

impl ClaimQuery {
    /// The values that the path selects and `values` accept (section 7.1.1); nothing if processing fails or none is
    /// left. Of an mdoc the path has two names, which comes to the same (7.2.1).
    #[must_use]
    pub fn select<'c>(&self, credential: &'c Value) -> Option<Vec<&'c Value>> {
        if self.path.is_empty() {
            return None;
        }
        let mut selected = vec![credential];
        for component in &self.path {
            let mut next = Vec::new();
            for value in selected {
                // A selected element of the wrong kind ends the processing; one without the member only drops out.
                match component {
                    Value::String(name) => next.extend(value.as_object()?.get(name)),
                    Value::Null => next.extend(value.as_array()?),
                    Value::Number(index) => {
                        let index = usize::try_from(index.as_u64()?).ok()?;
                        next.extend(value.as_array()?.get(index));
                    }
                    _ => return None,
                }
            }
            selected = next;
        }
        if let Some(values) = &self.values {
            selected.retain(|value| values.iter().any(|asked| equal(asked, value)));
        }
        (!selected.is_empty()).then_some(selected)
    }

    fn check(&self, credential: &CredentialQuery, limits: &Limits) -> Result<(), DcqlError> {
        let id = || credential.id.clone();
        sized("path", self.path.len(), limits.dcql_path)?;
        let component = |it: &Value| it.is_string() || it.is_null() || it.is_u64();
        // 7.2: of an mdoc a namespace and an element identifier, nothing else.
        let fits = credential.format != MSO_MDOC || (self.path.len() == 2 && self.path.iter().all(Value::is_string));
        if !self.path.iter().all(component) || !fits {
            return Err(DcqlError::Path { id: id(), path: self.printed() });
        }
        if let Some(values) = &self.values {
            sized("values", values.len(), limits.dcql_values)?;
            let comparable = |it: &Value| it.is_string() || it.is_boolean() || it.is_i64() || it.is_u64();
            if !values.iter().all(comparable) {
                return Err(DcqlError::Values { id: id(), path: self.printed() });
            }
        }
        Ok(())
    }

    /// The path as JSON, for errors and as a key: two paths are the same claim if they are the same text.
    pub(crate) fn printed(&self) -> String {
        Value::Array(
            self.path.iter().map(|it| if it.is_array() || it.is_object() { "..".into() } else { it.clone() }).collect(),
        )
        .to_string()
    }
}

/// 6.3: type and value match exactly. Integers compare as integers: `1.0` and `"1"` are not `1`.
fn equal(asked: &Value, value: &Value) -> bool {
    match (asked, value) {
        (Value::Number(asked), Value::Number(value)) => match (asked.as_u64(), asked.as_i64()) {
            (Some(asked), _) => value.as_u64() == Some(asked),
            (None, Some(asked)) => value.as_i64() == Some(asked),
            (None, None) => false,
        },
        (Value::String(_), Value::String(_)) | (Value::Bool(_), Value::Bool(_)) => asked == value,
        _ => false,
    }
}

/// Letters, digits, `_` and `-`, at least one.
fn identifier(id: &str) -> Result<(), DcqlError> {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-';
    if id.is_empty() || !id.bytes().all(allowed) {
        return Err(DcqlError::Identifier { id: id.to_owned() });
    }
    Ok(())
}

/// That every id of a set exists, and stands there once.
fn references(member: &'static str, set: &[String], ids: &BTreeSet<&str>) -> Result<(), DcqlError> {
    let mut named = BTreeSet::new();
    for id in set {
        if !ids.contains(id.as_str()) {
            return Err(DcqlError::UnknownReference { member, id: id.clone() });
        }
        if !named.insert(id) {
            return Err(DcqlError::RepeatedIdentifier { id: id.clone() });
        }
    }
    Ok(())
}

/// Neither empty nor more than `max`.
fn sized(member: &'static str, count: usize, max: usize) -> Result<(), DcqlError> {
    if count == 0 {
        return Err(DcqlError::Empty { member });
    }
    limited(member, count, max)
}

fn limited(member: &'static str, count: usize, max: usize) -> Result<(), DcqlError> {
    if count > max {
        return Err(DcqlError::TooMany { member, count, max });
    }
    Ok(())
}

/// Whether this is an array of strings, neither it nor one of them empty.
fn strings(value: Option<&Value>, limits: &Limits) -> Result<bool, DcqlError> {
    let values = entries(value);
    limited("values", values.len(), limits.dcql_values)?;
    Ok(!values.is_empty() && values.iter().all(text))
}

fn text(value: &Value) -> bool {
    value.as_str().is_some_and(|text| !text.is_empty())
}

fn entries(value: Option<&Value>) -> &[Value] {
    value.and_then(Value::as_array).map_or(&[], Vec::as_slice)
}

fn kind(authority: &Value) -> Option<&str> {
    authority.get("type").and_then(Value::as_str)
}

/// That a value that is kept as it came nests no deeper than any other JSON.
fn shallow(value: &Value, limits: &Limits) -> Result<(), DcqlError> {
    let max = limits.json_depth;
    let mut open = vec![(value, 1_usize)];
    while let Some((value, depth)) = open.pop() {
        let below = depth.saturating_add(1);
        match value {
            Value::Array(_) | Value::Object(_) if depth > max => return Err(DcqlError::TooDeep { max }),
            Value::Array(values) => open.extend(values.iter().map(|value| (value, below))),
            Value::Object(members) => open.extend(members.values().map(|value| (value, below))),
            _ => {}
        }
    }
    Ok(())
}

fn all_objects(value: Option<&Value>) -> bool {
    entries(value).iter().all(Value::is_object)
}

/// A member that is there must not be `null`: the standard knows only its absence.
fn present<'de, T: Deserialize<'de>, D: Deserializer<'de>>(deserializer: D) -> Result<Option<T>, D::Error> {
    T::deserialize(deserializer).map(Some)
}

fn yes() -> bool {
    true
}

fn is_yes(it: &bool) -> bool {
    *it
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn full() -> Value {
        json!({
            "credentials": [
                {
                    "id": "pid",
                    "format": "dc+sd-jwt",
                    "meta": {"vct_values": ["urn:eudi:pid:1", "urn:eudi:pid:de:1"]},
                    "trusted_authorities": [{"type": "aki", "values": ["s9tIpPmhxdiuNkHMEWNpYim8S8Y"]}],
                    "claims": [
                        {"id": "over", "path": ["age_equal_or_over", "18"], "values": [true]},
                        {"id": "born", "path": ["birthdate"]},
                        {"id": "nat", "path": ["nationalities", null], "values": ["ES"]}
                    ],
                    "claim_sets": [["over"], ["born", "nat"]]
                },
                {"id": "loyalty", "format": "dc+sd-jwt", "multiple": true, "meta": {"vct_values": ["urn:card"]},
                 "require_cryptographic_holder_binding": false}
            ],
            "credential_sets": [{"options": [["pid"]]}, {"options": [["loyalty"]], "required": false}]
        })
    }

    fn query() -> Query {
        Query::parse(&full(), &Limits::default()).unwrap()
    }

    #[test]
    fn a_valid_query_is_written_as_it_was_read() {
        assert_eq!(serde_json::to_value(query()).unwrap(), full());
    }

    #[test]
    fn each_rule_of_section_6_is_kept() {
        let second = json!({"id": "pid", "format": "dc+sd-jwt", "meta": {"vct_values": ["a"]}});
        let wrong = [
            ("dcql_malformed", "/credentials", json!({})),
            ("dcql_malformed", "/credentials", json!(null)),
            ("dcql_malformed", "/credentials/0", json!(["pid", "dc+sd-jwt", false, {}, null, true, null, null])),
            ("dcql_malformed", "/credentials/0/id", json!(7)),
            ("dcql_malformed", "/credentials/0/claims", json!(null)),
            ("dcql_malformed", "/credentials/0/claims/0", json!(["over", ["x"], null])),
            ("dcql_malformed", "/credentials/0/claims/0/id", json!(null)),
            ("dcql_malformed", "/credentials/0/claims/0/path", json!("birthdate")),
            ("dcql_malformed", "/credentials/1/multiple", json!("true")),
            ("dcql_malformed", "/credentials/1/require_cryptographic_holder_binding", json!(0)),
            ("dcql_malformed", "/credential_sets", json!(null)),
            ("dcql_malformed", "/credential_sets/0", json!([[["pid"]]])),
            ("dcql_empty", "/credentials", json!([])),
            ("dcql_empty", "/credential_sets", json!([])),
            ("dcql_empty", "/credential_sets/0/options", json!([])),
            ("dcql_empty", "/credential_sets/0/options", json!([[]])),
            ("dcql_empty", "/credentials/0/claims", json!([])),
            ("dcql_empty", "/credentials/0/claim_sets", json!([])),
            ("dcql_empty", "/credentials/0/claim_sets/0", json!([])),
            ("dcql_empty", "/credentials/0/claims/0/path", json!([])),
            ("dcql_empty", "/credentials/0/claims/0/values", json!([])),
            ("dcql_empty", "/credentials/0/trusted_authorities", json!([])),
            ("dcql_identifier", "/credentials/0/id", json!("")),
            ("dcql_identifier", "/credentials/0/id", json!("p.id")),
            ("dcql_identifier", "/credentials/0/claims/0/id", json!("über")),
            ("dcql_repeated_identifier", "/credentials/1", second),
            ("dcql_repeated_identifier", "/credentials/0/claims/0/id", json!("born")),
            ("dcql_repeated_identifier", "/credentials/0/claim_sets/0", json!(["over", "over"])),
            ("dcql_unknown_format", "/credentials/0/format", json!("vc+sd-jwt")),
            ("dcql_meta", "/credentials/0/meta", json!({})),
            ("dcql_meta", "/credentials/0/meta", json!({"vct_values": []})),
            ("dcql_meta", "/credentials/0/meta", json!({"vct_values": "urn:eudi:pid:1"})),
            ("dcql_meta", "/credentials/0/meta", json!({"vct_values": ["a", 1]})),
            ("dcql_meta", "/credentials/0/meta", json!({"doctype_value": "org.iso.18013.5.1.mDL"})),
            ("dcql_meta", "/credentials/0/meta", json!([])),
            ("dcql_authority", "/credentials/0/trusted_authorities/0/type", json!("etsi_tl")),
            ("dcql_authority", "/credentials/0/trusted_authorities/0/values", json!([])),
            ("dcql_authority", "/credentials/0/trusted_authorities/0/values/0", json!("s9tIpPmhxdiuNkHMEWNpYim8S8Y=")),
            ("dcql_path", "/credentials/0/claims/0/path/0", json!(-1)),
            ("dcql_path", "/credentials/0/claims/0/path/0", json!(1.0)),
            ("dcql_path", "/credentials/0/claims/0/path/0", json!(true)),
            ("dcql_path", "/credentials/0/claims/0/path/0", json!([[[["x"]]]])),
            ("dcql_values", "/credentials/0/claims/0/values/0", json!(1.5)),
            ("dcql_values", "/credentials/0/claims/0/values/0", json!(null)),
            ("dcql_values", "/credentials/0/claims/0/values/0", json!({"a": 1})),
            ("dcql_repeated_claim", "/credentials/0/claims/1/path", json!(["age_equal_or_over", "18"])),
            (
                "dcql_claim_sets_without_claims",
                "/credentials/1",
                json!({"id": "b", "format": "dc+sd-jwt",
                "meta": {"vct_values": ["a"]}, "claim_sets": [["x"]]}),
            ),
            ("dcql_claim_without_identifier", "/credentials/0/claims/0", json!({"path": ["x"]})),
            ("dcql_unknown_reference", "/credentials/0/claim_sets/0/0", json!("loyalty")),
            ("dcql_unknown_reference", "/credential_sets/0/options/0/0", json!("over")),
        ];
        for (code, at, value) in wrong {
            let mut json = full();
            *json.pointer_mut(at).unwrap() = value.clone();
            let got = Query::parse(&json, &Limits::default()).map_err(|e| e.code());
            assert_eq!(got, Err(code), "{at} = {value}");
        }
    }

    #[test]
    fn the_other_formats_have_rules_of_their_own() {
        let parse = |credential: Value| {
            Query::parse(&json!({"credentials": [credential]}), &Limits::default()).map(|_| ()).map_err(|e| e.code())
        };
        let mdoc = |meta: Value, path: Value| {
            parse(json!({"id": "m", "format": "mso_mdoc", "meta": meta, "claims": [{"path": path}]}))
        };
        assert_eq!(mdoc(json!({"doctype_value": "d"}), json!(["ns", "el"])), Ok(()));
        assert_eq!(mdoc(json!({"doctype_value": ""}), json!(["ns", "el"])), Err("dcql_meta"));
        assert_eq!(mdoc(json!({"doctype_value": "d"}), json!(["ns"])), Err("dcql_path"));
        assert_eq!(mdoc(json!({"doctype_value": "d"}), json!(["ns", "el", "x"])), Err("dcql_path"));
        assert_eq!(mdoc(json!({"doctype_value": "d"}), json!(["ns", null])), Err("dcql_path"));
        let w3c = |types: Value| parse(json!({"id": "w", "format": "ldp_vc", "meta": {"type_values": types}}));
        assert_eq!(w3c(json!([["A", "B"], ["C"]])), Ok(()));
        assert_eq!(w3c(json!([["A", "B"], []])), Err("dcql_meta"));
        assert_eq!(w3c(json!(["A"])), Err("dcql_meta"));
        assert_eq!(w3c(json!([])), Err("dcql_meta"));
    }

    #[test]
    fn members_that_nobody_defined_are_ignored() {
        let mut json = full();
        json["purpose"] = "wine".into();
        json["credentials"][0]["claims"][0]["intent"] = false.into();
        assert_eq!(Query::parse(&json, &Limits::default()), Ok(query()));
    }

    #[test]
    fn every_size_is_bounded() {
        let limits = Limits::default();
        let code = |json: Value| Query::parse(&json, &limits).map_err(|e| e.code());
        let credential =
            |id: usize| json!({"id": id.to_string(), "format": "dc+sd-jwt", "meta": {"vct_values": ["a"]}});
        let credentials = |count: usize| json!({"credentials": (0..count).map(credential).collect::<Vec<_>>()});
        assert!(code(credentials(limits.dcql_credentials)).is_ok());
        assert_eq!(code(credentials(limits.dcql_credentials + 1)), Err("dcql_too_many"));
        let claims = |count: usize| {
            let mut json = full();
            json["credentials"][1]["claims"] = (0..count).map(|n| json!({"path": [n.to_string()]})).collect();
            json
        };
        assert!(code(claims(limits.dcql_claims)).is_ok());
        assert_eq!(code(claims(limits.dcql_claims + 1)), Err("dcql_too_many"));
        for (at, max) in [
            ("/credentials/0/claims/1/path", limits.dcql_path),
            ("/credentials/0/claims/2/values", limits.dcql_values),
            ("/credentials/0/meta/vct_values", limits.dcql_values),
        ] {
            let long = |count: usize| {
                let mut json = full();
                *json.pointer_mut(at).unwrap() = vec!["x"; count].into();
                json
            };
            assert!(code(long(max)).is_ok(), "{at}");
            assert_eq!(code(long(max + 1)), Err("dcql_too_many"), "{at}");
        }
        let mut json = full();
        json["credentials"][0]["meta"]["x"] = (0..limits.json_depth).fold(json!(0), |inner, _| json!([inner]));
        assert_eq!(code(json), Err("dcql_too_deep"));
    }

    fn types(types: &[&str]) -> Vec<String> {
        types.iter().map(|it| (*it).to_owned()).collect()
    }

    /// What `pid` evaluates to over one credential with these claims, with everything else as it should be.
    fn pid(claims: &Value, spoil: impl FnOnce(&mut Candidate<'_>)) -> Result<Option<usize>, &'static str> {
        let (types, keys) = (types(&["urn:eudi:pid:1"]), types(&["s9tIpPmhxdiuNkHMEWNpYim8S8Y"]));
        let mut candidate =
            Candidate { format: SD_JWT_VC, types: &types, holder_bound: true, claims, authority_key_ids: &keys };
        spoil(&mut candidate);
        let query = query();
        let answer = [("pid".to_owned(), vec![candidate])];
        let matched = query.evaluate(&answer).map_err(|e| e.code())?;
        assert_eq!((matched.len(), matched[0].id, matched[0].position), (1, "pid", 0));
        Ok(matched[0].claim_set)
    }

    #[test]
    fn the_first_claim_set_that_is_complete_is_taken() {
        let adult = json!({"age_equal_or_over": {"18": true}, "birthdate": "1990-01-01", "nationalities": ["ES"]});
        assert_eq!(pid(&adult, |_| ()), Ok(Some(0)));
        assert_eq!(pid(&json!({"birthdate": "1990-01-01", "nationalities": ["PT", "ES"]}), |_| ()), Ok(Some(1)));
        assert_eq!(pid(&json!({"age_equal_or_over": {"18": false}}), |_| ()), Err("claim_sets_unsatisfied"));
        assert_eq!(pid(&json!({"age_equal_or_over": {"18": "true"}}), |_| ()), Err("claim_sets_unsatisfied"));
        assert_eq!(pid(&json!({"birthdate": "1990-01-01"}), |_| ()), Err("claim_sets_unsatisfied"));
    }

    #[test]
    fn only_the_claims_of_the_satisfied_set_are_returned() {
        let claims = json!({"birthdate": "1990-01-01", "nationalities": ["PT", "ES"], "family_name": "Ruiz"});
        let (types, keys) = (types(&["urn:eudi:pid:1"]), types(&["s9tIpPmhxdiuNkHMEWNpYim8S8Y"]));
        let query = query();
        let candidate = Candidate {
            format: SD_JWT_VC,
            types: &types,
            holder_bound: true,
            claims: &claims,
            authority_key_ids: &keys,
        };
        let matched = query.credentials[0].select(&candidate).unwrap();
        let found: Vec<_> =
            matched.claims.iter().map(|(claim, values)| (claim.id.as_deref(), values.clone())).collect();
        // Of the nationalities only the one that was asked for: the other counts as not there (6.4.1).
        assert_eq!(found, [(Some("born"), vec![&json!("1990-01-01")]), (Some("nat"), vec![&json!("ES")])]);
    }

    #[test]
    fn everything_about_a_credential_must_be_as_asked() {
        let claims = json!({"age_equal_or_over": {"18": true}});
        let other = types(&["urn:eudi:pid:2", "URN:EUDI:PID:1"]);
        assert_eq!(pid(&claims, |it| it.format = "vc+sd-jwt"), Err("credential_format_mismatch"));
        assert_eq!(pid(&claims, |it| it.format = MSO_MDOC), Err("credential_format_mismatch"));
        assert_eq!(pid(&claims, |it| it.types = &[]), Err("credential_type_mismatch"));
        let mut seen = None;
        assert!(pid(&claims, |it| seen = Some(it.types.to_vec())).is_ok());
        assert_eq!(seen.unwrap(), ["urn:eudi:pid:1"]);
        let query = query();
        let spoiled =
            Candidate { format: SD_JWT_VC, types: &other, holder_bound: true, claims: &claims, authority_key_ids: &[] };
        assert_eq!(query.credentials[0].select(&spoiled).unwrap_err().code(), "credential_type_mismatch");
        assert_eq!(pid(&claims, |it| it.holder_bound = false), Err("holder_binding_missing"));
        assert_eq!(pid(&claims, |it| it.authority_key_ids = &[]), Err("credential_authority_mismatch"));
    }

    #[test]
    fn the_whole_answer_must_be_as_asked() {
        let claims = json!({"age_equal_or_over": {"18": true}});
        let (pid_types, keys) = (types(&["urn:eudi:pid:1"]), types(&["s9tIpPmhxdiuNkHMEWNpYim8S8Y"]));
        let card_types = types(&["urn:card"]);
        let pid = Candidate {
            format: SD_JWT_VC,
            types: &pid_types,
            holder_bound: true,
            claims: &claims,
            authority_key_ids: &keys,
        };
        let card = Candidate { types: &card_types, holder_bound: false, ..pid.clone() };
        let query = query();
        let evaluate = |answer: &[(&str, Vec<Candidate<'_>>)]| {
            let answer: Vec<_> = answer.iter().map(|(id, all)| ((*id).to_owned(), all.clone())).collect();
            query.evaluate(&answer).map(|matched| matched.len()).map_err(|e| e.code())
        };
        let one = vec![pid.clone()];
        assert_eq!(evaluate(&[("pid", one.clone())]), Ok(1));
        assert_eq!(evaluate(&[("loyalty", vec![card.clone(), card.clone()]), ("pid", one.clone())]), Ok(3));
        // An optional credential that is not what was asked for, beside a required one that is.
        let spoiled = vec![card.clone(), pid.clone()];
        assert_eq!(evaluate(&[("pid", one.clone()), ("loyalty", spoiled)]), Err("credential_type_mismatch"));
        assert_eq!(evaluate(&[("loyalty", vec![card.clone()])]), Err("credential_set_unsatisfied"));
        assert_eq!(evaluate(&[("pid", vec![]), ("loyalty", vec![card])]), Err("credential_set_unsatisfied"));
        assert_eq!(evaluate(&[("pid", vec![pid.clone(), pid])]), Err("credential_not_multiple"));
        assert_eq!(evaluate(&[("pid", one.clone()), ("pid", one.clone())]), Err("credential_answered_twice"));
        assert_eq!(evaluate(&[("pid", one.clone()), ("other", one.clone())]), Err("credential_not_asked"));
        assert_eq!(evaluate(&[]), Err("nothing_presented"));
        assert_eq!(evaluate(&[("pid", vec![])]), Err("nothing_presented"));

        let all = Query { credential_sets: None, ..query.clone() };
        let got = all.evaluate(&[("pid".to_owned(), one)]);
        assert_eq!(got, Err(DcqlError::CredentialMissing { id: "loyalty".to_owned() }));
    }

    #[test]
    fn an_answer_without_content_satisfies_not_even_optional_sets() {
        let mut json = full();
        json["credential_sets"][0]["required"] = false.into();
        let query = Query::parse(&json, &Limits::default()).unwrap();
        assert_eq!(query.evaluate(&[]), Err(DcqlError::NothingPresented));
    }

    #[test]
    fn paths_are_processed_as_section_7_says() {
        let credential = json!({
            "name": "Arthur Dent",
            "address": {"street": "42 Market Street", "lines": ["a", {"b": 1}]},
            "degrees": [{"type": "BSc", "year": 1}, {"type": "MSc"}],
            "nationalities": ["British", "Betelgeusian"],
            "nothing": null,
            "empty": []
        });
        let select = |path: Value| {
            let claim =
                ClaimQuery { id: None, path: path.as_array().unwrap().clone(), values: None, intent_to_retain: None };
            claim.select(&credential).map(|values| json!(values))
        };
        assert_eq!(select(json!(["name"])), Some(json!(["Arthur Dent"])));
        assert_eq!(select(json!(["address", "street"])), Some(json!(["42 Market Street"])));
        assert_eq!(select(json!(["degrees", null, "type"])), Some(json!(["BSc", "MSc"])));
        // A member that some lack drops those; one that all lack leaves nothing.
        assert_eq!(select(json!(["degrees", null, "year"])), Some(json!([1])));
        assert_eq!(select(json!(["degrees", null, "place"])), None);
        assert_eq!(select(json!(["nationalities", 1])), Some(json!(["Betelgeusian"])));
        assert_eq!(select(json!(["nationalities", 2])), None);
        assert_eq!(select(json!(["nationalities", u64::MAX])), None);
        assert_eq!(select(json!(["nationalities", "1"])), None);
        assert_eq!(select(json!(["nothing"])), Some(json!([null])));
        assert_eq!(select(json!(["nothing", null])), None);
        assert_eq!(select(json!(["empty", null])), None);
        // One element of the wrong kind ends it, whatever the others have.
        assert_eq!(select(json!(["address", "lines", null, "b"])), None);
        assert_eq!(select(json!(["address", null])), None);
        assert_eq!(select(json!(["address", 0])), None);
        assert_eq!(select(json!(["name", "x"])), None);
        assert_eq!(select(json!([])), None);
        assert_eq!(select(json!([true])), None);
        assert_eq!(select(json!([null])), None);
    }

    #[test]
    fn values_compare_by_type_and_exactly() {
        let has = |value: Value, asked: Value| {
            let claim =
                ClaimQuery { id: None, path: vec!["x".into()], values: Some(vec![asked]), intent_to_retain: None };
            claim.select(&json!({"x": value})).is_some()
        };
        assert!(has(json!(1), json!(1)));
        assert!(has(json!(-1), json!(-1)));
        assert!(has(json!(u64::MAX), json!(u64::MAX)));
        assert!(has(json!("a"), json!("a")));
        assert!(has(json!(true), json!(true)));
        for (value, asked) in [
            (json!(1.0), json!(1)),
            (json!("1"), json!(1)),
            (json!(1), json!("1")),
            (json!(true), json!(1)),
            (json!("true"), json!(true)),
            (json!(9_007_199_254_740_993_u64), json!(9_007_199_254_740_992_u64)),
            (json!(u64::MAX), json!(-1)),
            (json!("A"), json!("a")),
            (json!(["a"]), json!("a")),
            (json!(null), json!("null")),
        ] {
            assert!(!has(value.clone(), asked.clone()), "{value} is not {asked}");
        }
    }
}
