//! W3C Verifiable Credentials, data models 1.1 and 2.0: what they say, and the two ways in which they are secured, by a
//! JWT ([`jwt`]) and by Data Integrity proofs ([`data_integrity`]).
//!
//! Nothing is fetched: the contexts of JSON-LD are [pinned](ld::Contexts), and keys are arguments or stand in a DID
//! itself. Whoever issued a credential is named before anything is verified, so that trust comes first.

use serde_json::{Map, Value};

use crate::{
    limits::Limits,
    protocol::{
        did::{Did, DidError, Relationship},
        jcs::JcsError,
        jose::{JoseError, PublicKey},
        watch::Seen,
    },
    time::UnixTime,
};

pub mod bitstring;
pub mod data_integrity;
pub mod jwt;
pub mod ld;
pub mod rdfc;
mod sd;

/// The first context of a credential of version 1.1.
pub const CONTEXT_V1: &str = "https://www.w3.org/2018/credentials/v1";
/// The first context of a credential of version 2.0.
pub const CONTEXT_V2: &str = "https://www.w3.org/ns/credentials/v2";

/// Contexts, types, subjects and status entries of one credential, each.
const ENTRIES_MAX: usize = 32;

/// Members of a credential that serve the protocol. They are checked here and go no further: most of them tell this
/// credential from every other one, and would let shops compare their customers.
pub const PROTOCOL_MEMBERS: [&str; 14] = [
    "@context",
    "id",
    "issuer",
    "issuanceDate",
    "expirationDate",
    "validFrom",
    "validUntil",
    "credentialStatus",
    "credentialSchema",
    "refreshService",
    "termsOfUse",
    "proof",
    "relatedResource",
    "confidenceMethod",
];

/// Why a W3C credential or presentation is not believed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum VcError {
    /// The token's form, algorithm, type or signature.
    #[error(transparent)]
    Jose(#[from] JoseError),
    /// A DID that is none, or does not resolve from its own text.
    #[error(transparent)]
    Did(#[from] DidError),
    /// A number that cannot be signed.
    #[error(transparent)]
    Jcs(#[from] JcsError),
    /// The document cannot be read as JSON-LD, or not safely.
    #[error(transparent)]
    Ld(#[from] ld::LdError),
    /// A member that is missing where it is required, or of the wrong type or form.
    #[error("`{0}` is missing or of the wrong form")]
    Member(&'static str),
    /// The first context is not that of a version of the data model.
    #[error("the first `@context` must be that of credentials 1.1 or 2.0")]
    Context,
    /// `vc` or `vp` in a token that is itself the credential (VC-JOSE-COSE section 1.1.2.1), or none where one belongs.
    #[error("`{0}` does not belong into a token of this type")]
    Misplaced(&'static str),
    /// A member and a claim of the token that say the same thing say different things.
    #[error("the credential and its token disagree about `{0}`")]
    Disagreement(&'static str),
    /// The credential is over.
    #[error("the credential expired at {at}, and it is {now}")]
    Expired {
        /// Its end.
        at: UnixTime,
        /// Our time.
        now: UnixTime,
    },
    /// The credential is of the future.
    #[error("the credential begins at {at}, and it is {now}")]
    NotYetValid {
        /// Its beginning.
        at: UnixTime,
        /// Our time.
        now: UnixTime,
    },
    /// Not one credential, but none or several.
    #[error("a presentation must hold exactly one credential, and this one holds {0}")]
    Credentials(usize),
    /// A credential alone where its holder must prove a key, or a presentation without proof.
    #[error("nothing proves who holds the credential")]
    HolderProofMissing,
    /// The holder's key is not named by a DID that resolves from its own text.
    #[error("the holder's key must be named by a did:key, did:jwk or did:peer, and be for authentication")]
    HolderKey,
    /// Whoever presents is not whom the credential is about.
    #[error("the presentation is not signed by the subject of the credential")]
    HolderMismatch,
    /// The holder's proof is for another request.
    #[error("the holder's proof is not for this request: its nonce or challenge is another")]
    Nonce,
    /// The holder's proof is for somebody else.
    #[error("the holder's proof is not for us: its audience or domain is another")]
    Audience,
    /// The holder's proof is too old.
    #[error("the holder's proof is of {at}, and it is {now}")]
    ProofAge {
        /// When it was made.
        at: UnixTime,
        /// Our time.
        now: UnixTime,
    },
    /// The key is not the issuer's own.
    #[error("the key that signed is not named as one of the issuer's")]
    IssuerKey,
    /// No proof where one belongs, or more than are read.
    #[error("the document has {found} proofs; between one and {limit} are read")]
    Proofs {
        /// How many it has.
        found: usize,
        /// The bound.
        limit: usize,
    },
    /// A cryptosuite that is not accepted, or with a key that is not for it.
    #[error("the cryptosuite is none of those accepted, or not for this key")]
    Suite,
    /// The proof is for another purpose.
    #[error("the proof is for another purpose than {0}")]
    Purpose(&'static str),
    /// The proof is of the future.
    #[error("the proof was made at {at}, and it is {now}")]
    ProofFromTheFuture {
        /// When.
        at: UnixTime,
        /// Our time.
        now: UnixTime,
    },
    /// The proof is over.
    #[error("the proof expired at {at}, and it is {now}")]
    ProofExpired {
        /// Its end.
        at: UnixTime,
        /// Our time.
        now: UnixTime,
    },
    /// The contexts of the document are not those that were signed.
    #[error("the `@context` of the document is not that of its proof")]
    ProofContext,
    /// The value of the proof is not what the cryptosuite makes.
    #[error("the `proofValue` is not of the form of its cryptosuite")]
    ProofValue,
    /// The signature is not the key's over this document.
    #[error("the proof does not hold")]
    Proof,
    /// Two proofs of a status that would both have to be asked for.
    #[error("the credential names its status in more than one way")]
    TwoStatuses,
}

impl VcError {
    /// A stable name of the failed check, for logs and tests.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::Jose(error) => error.code(),
            Self::Did(error) => error.code(),
            Self::Jcs(error) => error.code(),
            Self::Ld(error) => error.code(),
            Self::Member(_) => "vc_member",
            Self::Context => "vc_context",
            Self::Misplaced(_) => "vc_misplaced_claim",
            Self::Disagreement(_) => "vc_disagreement",
            Self::Expired { .. } => "vc_expired",
            Self::NotYetValid { .. } => "vc_not_yet_valid",
            Self::Credentials(_) => "vp_credentials",
            Self::HolderProofMissing => "holder_proof_missing",
            Self::HolderKey => "holder_key_unnamed",
            Self::HolderMismatch => "holder_mismatch",
            Self::Nonce => "holder_proof_nonce",
            Self::Audience => "holder_proof_audience",
            Self::ProofAge { .. } => "holder_proof_age",
            Self::IssuerKey => "issuer_key_unnamed",
            Self::Proofs { .. } => "proof_count",
            Self::Suite => "proof_suite",
            Self::Purpose(_) => "proof_purpose",
            Self::ProofFromTheFuture { .. } => "proof_from_the_future",
            Self::ProofExpired { .. } => "proof_expired",
            Self::ProofContext => "proof_context",
            Self::ProofValue => "proof_value",
            Self::Proof => "proof_signature",
            Self::TwoStatuses => "vc_two_statuses",
        }
    }
}

/// What a verification of a presentation goes by.
#[derive(Clone, Copy)]
pub struct Expected<'a> {
    /// Who we are to the wallet: the only audience, or domain.
    pub audience: &'a str,
    /// The nonce, or challenge, of this request.
    pub nonce: &'a str,
    /// Whether the holder must prove a key; policy, never what was sent.
    pub holder_binding: bool,
    /// The time.
    pub now: UnixTime,
    /// How old a holder's proof may be that says when it was made, in seconds.
    pub holder_proof_age_s: u64,
    /// How far clocks may differ, in seconds.
    pub skew_s: u64,
    /// The bounds.
    pub limits: &'a Limits,
}

/// A version of the data model.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Version {
    /// 1.1.
    V1,
    /// 2.0.
    V2,
}

/// A credential whose form was checked, and nothing else.
///
/// Its `Debug` shows neither claims nor identifiers.
#[derive(Clone, PartialEq, Eq)]
pub struct Credential {
    /// Of which version.
    pub version: Version,
    /// Its own name, where it has one.
    pub id: Option<String>,
    /// Its contexts, as they are named.
    pub contexts: Vec<String>,
    /// Its types, as it names them, `VerifiableCredential` among them.
    pub types: Vec<String>,
    /// Who says to have issued it: a DID or a URL.
    pub issuer: String,
    /// Whom it is about, where it says so.
    pub subjects: Vec<Option<String>>,
    /// From when it holds.
    pub valid_from: Option<UnixTime>,
    /// Until when it holds.
    pub valid_until: Option<UnixTime>,
    /// What it is, without what serves the protocol: no identifiers of it or of its subject.
    pub claims: Map<String, Value>,
}

impl std::fmt::Debug for Credential {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Credential")
            .field("version", &self.version)
            .field("types", &self.types)
            .field("issuer", &self.issuer)
            .finish_non_exhaustive()
    }
}

impl Version {
    const fn name(self) -> &'static str {
        match self {
            Self::V1 => "1.1",
            Self::V2 => "2.0",
        }
    }
}

impl Credential {
    /// Reads a credential (VCDM 1.1 section 4, VCDM 2.0 section 4).
    ///
    /// # Errors
    /// [`VcError::Context`], or [`VcError::Member`] with the first member that is missing or wrong.
    pub fn read(credential: &Map<String, Value>) -> Result<Self, VcError> {
        let contexts = contexts(credential)?;
        let version = match contexts.first().map(String::as_str) {
            Some(CONTEXT_V1) => Version::V1,
            Some(CONTEXT_V2) => Version::V2,
            _ => return Err(VcError::Context),
        };
        let types = types(credential, "VerifiableCredential")?;
        let id = optional_id(credential, "id")?;
        let issuer = match credential.get("issuer") {
            Some(Value::Object(issuer)) => issuer.get("id"),
            issuer => issuer,
        };
        let issuer = issuer.and_then(Value::as_str).filter(|issuer| is_url(issuer)).ok_or(VcError::Member("issuer"))?;
        let subjects = objects(credential, "credentialSubject")?;
        if subjects.is_empty() {
            return Err(VcError::Member("credentialSubject"));
        }
        let subjects = subjects.into_iter().map(|subject| optional_id(subject, "credentialSubject"));
        let subjects = subjects.collect::<Result<_, _>>()?;
        // Whatever it says about time counts, also in the words of the other version: who leaves a date out that it does
        // not know accepts what is over.
        let begins = [date(credential, "validFrom")?, date(credential, "issuanceDate")?];
        let ends = [date(credential, "validUntil")?, date(credential, "expirationDate")?];
        if version == Version::V1 && begins.iter().all(Option::is_none) {
            return Err(VcError::Member("issuanceDate"));
        }
        for entry in objects(credential, "credentialStatus")? {
            names(entry, "type").ok_or(VcError::Member("credentialStatus"))?;
        }
        Ok(Self {
            version,
            id,
            contexts,
            types,
            issuer: issuer.to_owned(),
            subjects,
            valid_from: begins.into_iter().flatten().max(),
            valid_until: ends.into_iter().flatten().min(),
            claims: claims(credential),
        })
    }

    /// Whether it holds now.
    ///
    /// # Errors
    /// [`VcError::Expired`] or [`VcError::NotYetValid`].
    pub fn check_times(&self, now: UnixTime, skew_s: u64) -> Result<(), VcError> {
        if let Some(at) = self.valid_from.filter(|at| *at > now.plus_s(skew_s)) {
            return Err(VcError::NotYetValid { at, now });
        }
        match self.valid_until.filter(|at| *at <= now.minus_s(skew_s)) {
            Some(at) => Err(VcError::Expired { at, now }),
            None => Ok(()),
        }
    }

    /// Its types without `VerifiableCredential`, which says nothing, unless that is all.
    #[must_use]
    pub fn specific_types(&self) -> Vec<String> {
        let specific: Vec<String> = self.types.iter().filter(|name| *name != "VerifiableCredential").cloned().collect();
        if specific.is_empty() { self.types.clone() } else { specific }
    }

    /// From when and until when it holds, for an operator.
    fn span(&self) -> String {
        let told = |at: Option<UnixTime>| at.map_or_else(|| "any time".to_owned(), |at| at.to_string());
        format!("{} to {}", told(self.valid_from), told(self.valid_until))
    }

    /// Whom it is about, for an operator.
    fn told_subject(&self) -> Option<String> {
        match self.subjects.as_slice() {
            [subject] => subject.clone(),
            several => Some(format!("{} subjects", several.len())),
        }
    }

    /// Whether it is about exactly one subject, and that is `holder`.
    #[must_use]
    pub fn is_about(&self, holder: &str) -> bool {
        matches!(self.subjects.as_slice(), [Some(subject)] if subject == holder)
    }
}

/// A date and time with its zone (VCDM 2.0 section 4.9, RFC 3339).
fn date(members: &Map<String, Value>, name: &'static str) -> Result<Option<UnixTime>, VcError> {
    let Some(value) = members.get(name) else { return Ok(None) };
    // No longer than with nanoseconds and an offset.
    let text = value.as_str().filter(|text| text.len() <= 40 && text.contains('T')).ok_or(VcError::Member(name))?;
    let at: jiff::Timestamp = text.parse().map_err(|_| VcError::Member(name))?;
    Ok(Some(UnixTime::from_secs(at.as_second())))
}

/// That a holder's proof which says when it was made is not too old.
fn check_age(made: Option<UnixTime>, expected: &Expected<'_>) -> Result<(), VcError> {
    let oldest = expected.now.minus_s(expected.holder_proof_age_s.saturating_add(expected.skew_s));
    match made.filter(|at| *at < oldest) {
        Some(at) => Err(VcError::ProofAge { at, now: expected.now }),
        None => Ok(()),
    }
}

/// When a holder's proof was made, for an operator.
fn told_made(made: Option<UnixTime>, expected: &Expected<'_>) -> Seen {
    Seen::Text(made.map_or_else(
        || "it does not say when it was made".to_owned(),
        |at| format!("made {} s before", expected.now.since_s(at)),
    ))
}

/// A member of any type, for an operator.
fn told(member: &Value) -> String {
    member.as_str().map_or_else(|| member.to_string(), str::to_owned)
}

/// The parts of a verification, as an operator reads them.
pub(crate) const HOLDER_PART: &str = "holder binding";
/// What the issuer signed.
pub(crate) const ISSUER_PART: &str = "issuer's signature";

/// The key of a holder: named by the DID URL `method`, whose DID is read from its own text.
fn holder_key(method: &str, limits: &Limits) -> Result<(Did, PublicKey), VcError> {
    let (did, _) = method.split_once('#').ok_or(VcError::HolderKey)?;
    let did = Did::parse(did, limits)?;
    let document = did.resolve(None, limits)?;
    let key = document.signing_key(Relationship::Authentication, method).ok_or(VcError::HolderKey)?;
    Ok((did, key.clone()))
}

/// `@context`: one name or several, no definitions in place.
fn contexts(members: &Map<String, Value>) -> Result<Vec<String>, VcError> {
    let names = names(members, "@context").ok_or(VcError::Member("@context"))?;
    Ok(names.into_iter().map(str::to_owned).collect())
}

/// `type`: one name or several, `expected` among them.
fn types(members: &Map<String, Value>, expected: &'static str) -> Result<Vec<String>, VcError> {
    let names = names(members, "type").filter(|names| names.contains(&expected)).ok_or(VcError::Member("type"))?;
    Ok(names.into_iter().map(str::to_owned).collect())
}

/// A member that is a name or an array of names, not too many, none of them empty.
fn names<'a>(members: &'a Map<String, Value>, name: &str) -> Option<Vec<&'a str>> {
    let names: Vec<&str> = match members.get(name)? {
        Value::String(one) => vec![one.as_str()],
        Value::Array(several) if several.len() <= ENTRIES_MAX => {
            several.iter().map(Value::as_str).collect::<Option<_>>()?
        }
        _ => return None,
    };
    if names.is_empty() || names.contains(&"") { None } else { Some(names) }
}

/// A member that is an object or an array of objects; none if it is not there.
fn objects<'a>(members: &'a Map<String, Value>, name: &'static str) -> Result<Vec<&'a Map<String, Value>>, VcError> {
    match members.get(name) {
        None => Ok(Vec::new()),
        Some(Value::Object(one)) => Ok(vec![one]),
        Some(Value::Array(several)) if !several.is_empty() && several.len() <= ENTRIES_MAX => {
            several.iter().map(|one| one.as_object().ok_or(VcError::Member(name))).collect()
        }
        Some(_) => Err(VcError::Member(name)),
    }
}

fn optional_id(members: &Map<String, Value>, name: &'static str) -> Result<Option<String>, VcError> {
    match members.get("id") {
        None => Ok(None),
        Some(Value::String(id)) if is_url(id) => Ok(Some(id.clone())),
        Some(_) => Err(VcError::Member(name)),
    }
}

/// A scheme, a colon and something behind it, all of it printable (VCDM 2.0 section 4.4 asks for no more).
fn is_url(text: &str) -> bool {
    let scheme_ok = |scheme: &str| {
        scheme.starts_with(|c: char| c.is_ascii_alphabetic())
            && scheme.chars().all(|c| c.is_ascii_alphanumeric() || "+-.".contains(c))
    };
    text.bytes().all(|byte| byte.is_ascii_graphic())
        && text.split_once(':').is_some_and(|(scheme, rest)| scheme_ok(scheme) && !rest.is_empty())
}

/// What is left for the merchant: no identifiers of the credential or its subject, and nothing that a graph leaves out.
fn claims(credential: &Map<String, Value>) -> Map<String, Value> {
    let left = credential.iter().filter(|(name, _)| !PROTOCOL_MEMBERS.contains(&name.as_str()));
    let mut claims: Map<String, Value> = left.map(|(name, member)| (name.clone(), member.clone())).collect();
    match claims.get_mut("credentialSubject") {
        Some(Value::Object(subject)) => _ = subject.remove("id"),
        Some(Value::Array(subjects)) => {
            for subject in subjects.iter_mut().filter_map(Value::as_object_mut) {
                subject.remove("id");
            }
        }
        _ => {}
    }
    claims.values_mut().for_each(prune);
    claims
}

/// Takes out what is not there in the graph of a document, so that no signature speaks for it: `null` and empty arrays.
fn prune(value: &mut Value) {
    let says_something = |value: &Value| !value.is_null() && value.as_array().is_none_or(|items| !items.is_empty());
    match value {
        Value::Array(items) => {
            items.iter_mut().for_each(prune);
            items.retain(says_something);
        }
        Value::Object(members) => {
            members.values_mut().for_each(prune);
            members.retain(|_, member| says_something(member));
        }
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn credential() -> Value {
        json!({
            "@context": [CONTEXT_V2], "type": ["VerifiableCredential", "AlumniCredential"], "id": "urn:uuid:1",
            "issuer": {"id": "did:example:issuer", "name": "A school"},
            "validFrom": "2025-01-01T00:00:00Z", "validUntil": "2030-01-01T01:00:00+01:00",
            "credentialSubject": {"id": "did:example:holder", "alumniOf": "A school", "nothing": null, "none": [[]]},
        })
    }

    fn read(value: &Value) -> Result<Credential, VcError> {
        Credential::read(value.as_object().unwrap())
    }

    #[test]
    fn a_credential_is_read_without_what_serves_the_protocol() {
        let read = read(&credential()).unwrap();
        assert_eq!(read.issuer, "did:example:issuer");
        assert_eq!(read.specific_types(), ["AlumniCredential"]);
        assert!(read.is_about("did:example:holder") && !read.is_about("did:example:other"));
        assert_eq!(read.valid_until, Some(UnixTime::from_secs(1_893_456_000)));
        let claims = json!({
            "type": ["VerifiableCredential", "AlumniCredential"], "credentialSubject": {"alumniOf": "A school"}
        });
        assert_eq!(Value::Object(read.claims.clone()), claims);
        assert!(!format!("{read:?}").contains("holder"));
        let at = |secs| read.check_times(UnixTime::from_secs(secs), 60);
        assert!(at(1_735_689_600 - 60).is_ok() && at(1_893_456_000 + 59).is_ok());
        assert!(matches!(at(1_735_689_600 - 61), Err(VcError::NotYetValid { .. })));
        assert!(matches!(at(1_893_456_000 + 60), Err(VcError::Expired { .. })));
    }

    #[test]
    fn one_member_wrong_is_refused() {
        assert!(read(&credential()).is_ok());
        for (member, wrong) in [
            ("@context", json!([])),
            ("@context", json!(["https://www.w3.org/ns/did/v1", CONTEXT_V2])),
            ("@context", json!([CONTEXT_V2, {"a": "https://a.example"}])),
            ("@context", Value::Null),
            ("type", json!("AlumniCredential")),
            ("type", json!(["VerifiableCredential", 1])),
            ("type", json!(["VerifiableCredential", ""])),
            ("type", json!(vec!["VerifiableCredential"; 33])),
            ("id", json!("no url")),
            ("id", json!(["urn:uuid:1"])),
            ("issuer", json!("somebody")),
            ("issuer", json!({"name": "A school"})),
            ("issuer", json!(["did:example:issuer"])),
            ("credentialSubject", json!([])),
            ("credentialSubject", json!("did:example:holder")),
            ("credentialSubject", json!([{"id": 1}])),
            ("validFrom", json!("2025-01-01")),
            ("validFrom", json!("2025-01-01T00:00:00")),
            ("validUntil", json!("never")),
            ("validUntil", json!(1_893_456_000)),
            ("expirationDate", json!(null)),
            ("credentialStatus", json!([])),
            ("credentialStatus", json!({"id": "urn:x"})),
        ] {
            let mut credential = credential();
            credential[member] = wrong.clone();
            assert!(read(&credential).is_err(), "{member}: {wrong}");
        }
        let mut former = credential();
        former["@context"] = json!(CONTEXT_V1);
        assert!(read(&former).is_ok());
        former.as_object_mut().unwrap().remove("validFrom");
        assert_eq!(read(&former), Err(VcError::Member("issuanceDate")));
    }

    #[test]
    fn a_date_in_the_words_of_the_other_version_counts() {
        let mut both = credential();
        both["expirationDate"] = json!("2026-01-01T00:00:00Z");
        let read = read(&both).unwrap();
        assert!(matches!(read.check_times(UnixTime::from_secs(1_800_000_000), 60), Err(VcError::Expired { .. })));
    }
}
