//! Data Integrity proofs (VC Data Integrity 1.0) with the cryptosuites of EdDSA and ECDSA, and presentations that hold
//! credentials with such proofs.
//!
//! A proof says by whom it was made, when and what for, in members that are signed with the document. A library that only
//! checks the signature leaves all of that unread; here purpose, challenge, domain and times are compared in
//! [`Proof::check`], the contexts must be pinned, and the key must be one that the caller knows to be the signer's.

use serde_json::{Map, Value, json};

use super::{
    Credential, Expected, HOLDER_PART, ISSUER_PART, VcError, check_age, date, holder_key,
    ld::{self, Contexts},
    rdfc::{self, Hash},
    sd, told, told_made, types,
};
use crate::{
    limits::Limits,
    protocol::{
        did::{Did, Relationship, base58},
        jcs,
        jose::{Algorithm, PublicKey, SigningKey},
        watch::{Seen, Strict, Watch},
    },
    time::UnixTime,
};

/// Proofs of one document.
const PROOFS_MAX: usize = 4;
/// The longest `proofValue` that is one signature, on P-384.
const PROOF_VALUE_MAX: usize = 140;

/// A cryptosuite that is accepted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Suite {
    /// Ed25519 over the canonical JSON (Data Integrity EdDSA Cryptosuites 1.0, section 3.3).
    EddsaJcs2022,
    /// P-256 or P-384 over the canonical JSON (Data Integrity ECDSA Cryptosuites 1.0, section 3.3).
    EcdsaJcs2019,
    /// Ed25519 over the canonical graph (section 3.2).
    EddsaRdfc2022,
    /// P-256 or P-384 over the canonical graph (section 3.2).
    EcdsaRdfc2019,
    /// P-256 over statements that the holder may leave out (section 3.5).
    EcdsaSd2023,
}

impl Suite {
    /// All of them.
    pub const ALL: [Self; 5] =
        [Self::EddsaJcs2022, Self::EcdsaJcs2019, Self::EddsaRdfc2022, Self::EcdsaRdfc2019, Self::EcdsaSd2023];

    /// The name in `cryptosuite`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::EddsaJcs2022 => "eddsa-jcs-2022",
            Self::EcdsaJcs2019 => "ecdsa-jcs-2019",
            Self::EddsaRdfc2022 => "eddsa-rdfc-2022",
            Self::EcdsaRdfc2019 => "ecdsa-rdfc-2019",
            Self::EcdsaSd2023 => "ecdsa-sd-2023",
        }
    }

    /// Whether it signs with keys of an algorithm.
    const fn takes(self, algorithm: Algorithm) -> bool {
        match self {
            Self::EddsaJcs2022 | Self::EddsaRdfc2022 => matches!(algorithm, Algorithm::EdDsa),
            Self::EcdsaJcs2019 | Self::EcdsaRdfc2019 => matches!(algorithm, Algorithm::Es256 | Algorithm::Es384),
            Self::EcdsaSd2023 => matches!(algorithm, Algorithm::Es256),
        }
    }

    const fn is_jcs(self) -> bool {
        matches!(self, Self::EddsaJcs2022 | Self::EcdsaJcs2019)
    }
}

/// What a proof is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// Somebody states something: a credential.
    AssertionMethod,
    /// Somebody shows that they are there: a presentation.
    Authentication,
}

impl Purpose {
    const fn name(self) -> &'static str {
        match self {
            Self::AssertionMethod => "assertionMethod",
            Self::Authentication => "authentication",
        }
    }
}

/// A proof as it stands in a document: its form checked, and nothing else.
#[derive(Clone, Debug)]
pub struct Proof<'a> {
    members: &'a Map<String, Value>,
    suite: Suite,
    method: &'a str,
    created: Option<UnixTime>,
    expires: Option<UnixTime>,
    value: &'a str,
}

impl<'a> Proof<'a> {
    /// The proofs of a document: one object, or an array of them.
    ///
    /// # Errors
    /// [`VcError::Proofs`] if there is none or too many, [`VcError::Suite`] if one is of another kind, and
    /// [`VcError::Member`].
    pub fn of(document: &'a Map<String, Value>) -> Result<Vec<Self>, VcError> {
        let count = |found| VcError::Proofs { found, limit: PROOFS_MAX };
        match document.get("proof") {
            None => Err(count(0)),
            Some(Value::Array(several)) if several.is_empty() || several.len() > PROOFS_MAX => {
                Err(count(several.len()))
            }
            Some(Value::Array(several)) => several.iter().map(Self::read).collect(),
            Some(one) => Ok(vec![Self::read(one)?]),
        }
    }

    fn read(proof: &'a Value) -> Result<Self, VcError> {
        let members = proof.as_object().ok_or(VcError::Member("proof"))?;
        let text = |name| members.get(name).and_then(Value::as_str).ok_or(VcError::Member(name));
        if text("type")? != "DataIntegrityProof" {
            return Err(VcError::Suite);
        }
        let suite = text("cryptosuite")?;
        let suite = Suite::ALL.into_iter().find(|known| known.name() == suite).ok_or(VcError::Suite)?;
        Ok(Self {
            members,
            suite,
            method: text("verificationMethod")?,
            created: date(members, "created")?,
            expires: date(members, "expires")?,
            value: text("proofValue")?,
        })
    }

    /// The cryptosuite.
    #[must_use]
    pub const fn suite(&self) -> Suite {
        self.suite
    }

    /// The URL of the key that it names.
    #[must_use]
    pub const fn method(&self) -> &'a str {
        self.method
    }

    /// Compares what the proof says about itself: its purpose and its times, and for a presentation the challenge, the
    /// domain, and how old it may be (VC Data Integrity section 4.4; OpenID4VP section 14.1.2).
    ///
    /// # Errors
    /// The first that does not fit.
    pub fn check(&self, purpose: Purpose, expected: &Expected<'_>) -> Result<(), VcError> {
        self.checked(purpose, expected, &mut Strict)
    }

    fn checked<W: Watch<VcError>>(
        &self,
        purpose: Purpose,
        expected: &Expected<'_>,
        watch: &mut W,
    ) -> Result<(), VcError> {
        let member = |name: &str| self.members.get(name).map(told);
        let fits = |fits: bool, error: VcError| if fits { Ok(()) } else { Err(error) };
        watch.fact("cryptosuite", || Seen::Text(self.suite.name().to_owned()));
        let named = self.members.get("proofPurpose").and_then(Value::as_str) == Some(purpose.name());
        let seen = || Seen::Pair(purpose.name().to_owned(), member("proofPurpose"));
        watch.check("proofPurpose", seen, fits(named, VcError::Purpose(purpose.name())))?;
        let now = expected.now;
        let told_time = |at: Option<UnixTime>| Seen::Text(at.map_or_else(|| "none".to_owned(), |at| at.to_string()));
        let future = self.created.filter(|at| *at > now.plus_s(expected.skew_s));
        let made = future.map_or(Ok(()), |at| Err(VcError::ProofFromTheFuture { at, now }));
        watch.check("created", || told_time(self.created), made)?;
        let over = self.expires.filter(|at| *at <= now.minus_s(expected.skew_s));
        let made = over.map_or(Ok(()), |at| Err(VcError::ProofExpired { at, now }));
        watch.check("expires", || told_time(self.expires), made)?;
        if purpose == Purpose::AssertionMethod {
            return Ok(());
        }
        let same = self.members.get("challenge").and_then(Value::as_str) == Some(expected.nonce);
        let seen = || Seen::Short(expected.nonce.to_owned(), member("challenge"));
        watch.check("challenge", seen, fits(same, VcError::Nonce))?;
        // One domain, as a string or in a list of one (section 2.1): who signs for several could be replayed by any.
        let domain = match self.members.get("domain") {
            Some(Value::Array(several)) if several.len() == 1 => several.first(),
            domain => domain,
        };
        let same = domain.and_then(Value::as_str) == Some(expected.audience);
        let seen = || Seen::Pair(expected.audience.to_owned(), member("domain"));
        watch.check("domain", seen, fits(same, VcError::Audience))?;
        watch.check("age", || told_made(self.created, expected), check_age(self.created, expected))
    }

    /// Checks the signature over the document by a key.
    ///
    /// # Errors
    /// [`VcError::Suite`] if the key is not for the cryptosuite, [`VcError::ProofContext`], [`VcError::ProofValue`],
    /// [`VcError::Ld`] if the document is not safe to be read, and [`VcError::Proof`] if the signature does not hold.
    pub fn verify(&self, document: &Map<String, Value>, key: &PublicKey, contexts: &Contexts) -> Result<(), VcError> {
        self.verified(document, key, contexts, &mut Strict)
    }

    fn verified<W: Watch<VcError>>(
        &self,
        document: &Map<String, Value>,
        key: &PublicKey,
        contexts: &Contexts,
        watch: &mut W,
    ) -> Result<(), VcError> {
        let is_for_key = if self.suite.takes(key.algorithm()) { Ok(()) } else { Err(VcError::Suite) };
        watch.need("key for the cryptosuite", |()| Seen::Key(key.clone()), is_for_key)?;
        // A proof chain: this one was made over the document with those it names (section 4.3, step 5).
        let mut unsecured = document.clone();
        unsecured.remove("proof");
        if let Some(previous) = self.previous(document)? {
            unsecured.insert("proof".to_owned(), previous);
        }
        let mut options = self.members.clone();
        options.remove("proofValue");
        watch.fact("contexts", || Seen::Text(contexts.told(&super::contexts(document).unwrap_or_default())));
        let safe = ld::check(&unsecured, contexts).map_err(VcError::from);
        watch.need("safe to be read as a graph", |()| Seen::Nothing, safe)?;
        if self.suite == Suite::EcdsaSd2023 {
            let derived = sd::verify(&unsecured, &options, self.value, key, contexts);
            return watch.check("signature", || Seen::Text("over the statements that show".to_owned()), derived);
        }
        let size = 2 * key.algorithm().coordinate_bytes();
        let signature = self.value.strip_prefix('z').filter(|text| text.len() <= PROOF_VALUE_MAX);
        let signature = signature.and_then(base58::decode).filter(|bytes| bytes.len() == size);
        let signature = watch.need("proofValue", |_| Seen::Nothing, signature.ok_or(VcError::ProofValue))?;
        let signed = hash_data(self.suite, &unsecured, &options, key.algorithm(), contexts);
        let signed = watch.need("canonical form", |_| Seen::Nothing, signed)?;
        watch.check("signature", || Seen::Nothing, key.verify(&signed, &signature).map_err(|_| VcError::Proof))
    }

    /// The proofs that `previousProof` names, as they stand in the document.
    fn previous(&self, document: &Map<String, Value>) -> Result<Option<Value>, VcError> {
        let names: Vec<&Value> = match self.members.get("previousProof") {
            None => return Ok(None),
            Some(Value::Array(several)) if several.len() <= PROOFS_MAX => several.iter().collect(),
            Some(one) => vec![one],
        };
        let all = match document.get("proof") {
            Some(Value::Array(several)) => several.as_slice(),
            _ => &[],
        };
        let named =
            |name: &&Value| all.iter().find(|proof| name.is_string() && proof.get("id") == Some(*name)).cloned();
        let found: Option<Vec<Value>> = names.iter().map(named).collect();
        found.map(|found| Some(found.into())).ok_or(VcError::Member("previousProof"))
    }
}

/// A presentation as it was sent, or a credential alone: its form checked, and nothing else.
#[derive(Clone, Debug)]
pub struct Presented<'a> {
    presentation: Option<&'a Map<String, Value>>,
    credential: &'a Map<String, Value>,
    model: Credential,
    /// The issuer's DID, and the URL of the key that it signed with.
    issuer: (Did, String),
}

/// What a verified presentation amounts to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verified {
    /// The credential.
    pub credential: Credential,
    /// The entries of its `credentialStatus`.
    pub status: Option<Value>,
    /// Whether its subject proved to be there.
    pub holder_bound: bool,
}

impl<'a> Presented<'a> {
    /// Takes a presentation apart: an object that is a `VerifiablePresentation` with exactly one credential, or that is
    /// the credential itself.
    ///
    /// # Errors
    /// [`VcError`] with the first member that is missing or wrong. The issuer must be a DID, and one of its keys must have
    /// signed.
    pub fn parse(presented: &'a Value, limits: &Limits) -> Result<Self, VcError> {
        let document = presented.as_object().ok_or(VcError::Member("type"))?;
        let presentation = types(document, "VerifiablePresentation").is_ok().then_some(document);
        let credential = match presentation {
            Some(presentation) => one_credential(presentation)?.as_object(),
            None => Some(document),
        };
        let credential = credential.ok_or(VcError::Member("verifiableCredential"))?;
        let model = Credential::read(credential)?;
        let did = Did::parse(&model.issuer, limits)?;
        let is_own = |method: &str| method.split_once('#').is_some_and(|(of, _)| of == did.as_str());
        let proofs = Proof::of(credential)?;
        let method = proofs.iter().map(Proof::method).find(|method| is_own(method)).ok_or(VcError::IssuerKey)?;
        let issuer = (did, method.to_owned());
        Ok(Self { presentation, credential, model, issuer })
    }

    /// Who says to have issued the credential: their DID, and the absolute URL of one of its keys.
    #[must_use]
    pub fn issuer(&self) -> (&Did, &str) {
        (&self.issuer.0, &self.issuer.1)
    }

    /// Checks every proof, and whether the holder is the subject.
    ///
    /// `issuer_key` is the key that [`issuer`](Self::issuer) names, which the caller resolved.
    ///
    /// # Errors
    /// The first check that failed.
    pub fn verify(
        self,
        issuer_key: &PublicKey,
        expected: &Expected<'_>,
        contexts: &Contexts,
    ) -> Result<Verified, VcError> {
        self.watched(issuer_key, expected, contexts, &mut Strict)
    }

    /// The same through a watch: what comes out is believed under [`Strict`] alone.
    pub(crate) fn watched<W: Watch<VcError>>(
        self,
        issuer_key: &PublicKey,
        expected: &Expected<'_>,
        contexts: &Contexts,
        watch: &mut W,
    ) -> Result<Verified, VcError> {
        if self.presentation.is_none() {
            watch.enter(HOLDER_PART);
            let missing = if expected.holder_binding { Err(VcError::HolderProofMissing) } else { Ok(()) };
            watch.check("presentation", || Seen::Text("none".to_owned()), missing)?;
        }
        watch.enter("validity");
        watch.fact("secured by", || Seen::Text(format!("Data Integrity, data model {}", self.model.version.name())));
        let times = self.model.check_times(expected.now, expected.skew_s);
        watch.check("validity", || Seen::Text(self.model.span()), times)?;
        // The issuer's proof first: anybody can make the others, and each costs a canonical graph, so none is looked at
        // before somebody who is believed has signed.
        let proofs = Proof::of(self.credential)?;
        let (own, others): (Vec<_>, Vec<_>) = proofs.iter().partition(|proof| proof.method() == self.issuer.1);
        for proof in own {
            watch.part(ISSUER_PART, |watch| {
                watch.fact("verificationMethod", || Seen::Text(proof.method().to_owned()));
                proof.checked(Purpose::AssertionMethod, expected, watch)?;
                proof.verified(self.credential, issuer_key, contexts, watch)
            })?;
        }
        if let Some(presentation) = self.presentation {
            watch.part(HOLDER_PART, |watch| self.verify_holder(presentation, expected, contexts, watch))?;
        }
        // Every proof of a set must hold, whoever made it (section 4.5): one that does not is no reason to believe the rest.
        for proof in others {
            watch.part(ISSUER_PART, |watch| {
                watch.fact("verificationMethod", || Seen::Text(proof.method().to_owned()));
                proof.checked(Purpose::AssertionMethod, expected, watch)?;
                let key = own_key(proof.method(), Relationship::AssertionMethod, expected.limits);
                let key = watch.need("key", |_| Seen::Nothing, key)?;
                proof.verified(self.credential, &key, contexts, watch)
            })?;
        }
        let status = self.credential.get("credentialStatus").cloned();
        Ok(Verified { credential: self.model, status, holder_bound: self.presentation.is_some() })
    }

    fn verify_holder<W: Watch<VcError>>(
        &self,
        presentation: &Map<String, Value>,
        expected: &Expected<'_>,
        contexts: &Contexts,
        watch: &mut W,
    ) -> Result<(), VcError> {
        super::contexts(presentation)?;
        let proofs = match Proof::of(presentation) {
            Err(VcError::Proofs { found: 0, .. }) => Err(VcError::HolderProofMissing),
            proofs => proofs,
        };
        let proofs = watch.need("proof", |_| Seen::Text("DataIntegrityProof".to_owned()), proofs)?;
        let [proof] = proofs.as_slice() else {
            return Err(VcError::Proofs { found: proofs.len(), limit: 1 });
        };
        proof.checked(Purpose::Authentication, expected, watch)?;
        if proof.suite() == Suite::EcdsaSd2023 {
            return watch.need("cryptosuite of a holder", |()| Seen::Nothing, Err(VcError::Suite));
        }
        let told_key = |(_, key): &(Did, PublicKey)| Seen::Key(key.clone());
        let (holder, key) = watch.need("holder's key", told_key, holder_key(proof.method(), expected.limits))?;
        let named = match presentation.get("holder") {
            Some(Value::Object(named)) => named.get("id"),
            named => named,
        };
        let fits = |fits: bool| if fits { Ok(()) } else { Err(VcError::HolderMismatch) };
        let seen = || Seen::Short(holder.as_str().to_owned(), named.map(told));
        watch.check("holder", seen, fits(named.is_none_or(|named| named == holder.as_str())))?;
        let seen = || Seen::Short(holder.as_str().to_owned(), self.model.told_subject());
        watch.check("subject of the credential", seen, fits(self.model.is_about(holder.as_str())))?;
        proof.verified(presentation, &key, contexts, watch)
    }
}

/// A proof over a document, for whoever issues or presents: for tests and for development. `options` are the members that
/// the proof is to have beside its type, suite, key and value.
///
/// # Errors
/// [`VcError`] if the key is not for the suite, if the suite is for holders alone, or if the document is not safe.
pub fn sign(
    suite: Suite,
    document: &Map<String, Value>,
    options: Value,
    method: &str,
    key: &SigningKey,
    contexts: &Contexts,
) -> Result<Value, VcError> {
    let algorithm = key.public_key().algorithm();
    if !suite.takes(algorithm) || suite == Suite::EcdsaSd2023 {
        return Err(VcError::Suite);
    }
    let mut proof = json!({
        "type": "DataIntegrityProof", "cryptosuite": suite.name(), "verificationMethod": method,
    });
    let Some(members) = proof.as_object_mut() else { return Err(VcError::Proof) };
    members.extend(options.as_object().cloned().unwrap_or_default());
    if let Some(context) = document.get("@context").filter(|_| suite.is_jcs()) {
        members.insert("@context".to_owned(), context.clone());
    }
    let signed = hash_data(suite, document, members, algorithm, contexts)?;
    let signature = base58::encode(&key.sign(&signed)?);
    members.insert("proofValue".to_owned(), format!("z{signature}").into());
    Ok(proof)
}

/// The one credential that a presentation holds.
fn one_credential(presentation: &Map<String, Value>) -> Result<&Value, VcError> {
    match presentation.get("verifiableCredential") {
        Some(Value::Array(several)) => match several.as_slice() {
            [one] => Ok(one),
            several => Err(VcError::Credentials(several.len())),
        },
        Some(one) => Ok(one),
        None => Err(VcError::Credentials(0)),
    }
}

/// A key that stands in its own name, for a relationship.
fn own_key(method: &str, relationship: Relationship, limits: &Limits) -> Result<PublicKey, VcError> {
    let (did, _) = method.split_once('#').ok_or(VcError::IssuerKey)?;
    let document = Did::parse(did, limits)?.resolve(None, limits)?;
    document.signing_key(relationship, method).cloned().ok_or(VcError::IssuerKey)
}

/// What is signed: the hash of the canonical options, then that of the canonical document (section 3.3.5 and 3.2.5 of the
/// suites).
fn hash_data(
    suite: Suite,
    unsecured: &Map<String, Value>,
    options: &Map<String, Value>,
    algorithm: Algorithm,
    contexts: &Contexts,
) -> Result<Vec<u8>, VcError> {
    let hash = if algorithm == Algorithm::Es384 { Hash::Sha384 } else { Hash::Sha256 };
    let (options, document) = if suite.is_jcs() {
        // Section 3.3.2: the document's contexts begin with those of the proof. Here they must be the same, since what is
        // appended to them would be signed by nobody.
        if options.get("@context").is_some_and(|signed| unsecured.get("@context") != Some(signed)) {
            return Err(VcError::ProofContext);
        }
        let text = |members: &Map<String, Value>| jcs::canonicalize(&Value::Object(members.clone()));
        (text(options)?, text(unsecured)?)
    } else {
        let text = |members: &Map<String, Value>| {
            let graph = rdfc::canonicalize(ld::quads(members, contexts)?, hash).map_err(ld::LdError::from)?;
            Ok::<_, VcError>(graph.lines().concat())
        };
        (text(&in_context(options, unsecured))?, text(unsecured)?)
    };
    Ok([hash.of(options.as_bytes()), hash.of(document.as_bytes())].concat())
}

/// The options of a proof with the contexts of its document, whatever they name (section 3.2.5, step 4).
pub(super) fn in_context(options: &Map<String, Value>, document: &Map<String, Value>) -> Map<String, Value> {
    let mut options = options.clone();
    options.remove("@context");
    options.extend(document.get("@context").map(|context| ("@context".to_owned(), context.clone())));
    options
}
