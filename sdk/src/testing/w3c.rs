//! An issuer of W3C credentials and their holder, for tests and for development: both data models, as JWTs and with Data
//! Integrity proofs. Each presentation can be told to get one thing wrong.

use std::{io::Write, sync::LazyLock};

use flate2::{Compression, write::GzEncoder};
use serde_json::{Map, Value, json};
use url::Url;

use crate::{
    protocol::{
        dcql::{JWT_VC_JSON, LDP_VC},
        did::Did,
        jose::{JoseError, SigningKey, base64url_decode, base64url_encode},
        vc::{
            CONTEXT_V1, CONTEXT_V2, VcError,
            data_integrity::{Suite, sign},
            ld::{Contexts, full_types},
        },
    },
    time::UnixTime,
};

/// What a type is called in full is found once for all shops of a program.
static CONTEXTS: LazyLock<Contexts> = LazyLock::new(Contexts::new);

/// How a credential is secured, and its presentation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Secured {
    /// VC-JWT of the data model 1.1.
    Jwt,
    /// VC-JOSE-COSE of the data model 2.0.
    Jose,
    /// A Data Integrity proof of the data model 2.0.
    Proof(Suite),
}

/// One thing that a presentation gets wrong. What belongs together stays right: where the issuer's signature is broken, the
/// holder's is over exactly these bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Fault {
    /// The holder's proof is for another nonce.
    WrongNonce,
    /// The holder's proof is for another verifier.
    WrongAudience,
    /// The holder's proof is one year old.
    HolderProofInPast,
    /// The holder's proof is of the next year.
    HolderProofInFuture,
    /// The holder's signature is broken.
    HolderSignatureBroken,
    /// The presentation is signed by somebody else, in their own name.
    ForeignHolder,
    /// The presentation is signed by somebody else's key under the name of the holder.
    ForeignHolderKey,
    /// The holder's key stands in the header, and nowhere else. JWTs alone.
    InlineKey,
    /// The holder's proof is for another purpose. Data Integrity alone.
    WrongPurpose,
    /// The presentation names another holder than whoever signed it.
    OtherHolder,
    /// The credential is shown alone.
    NoPresentation,
    /// The presentation has no proof: of a JWT, no signature.
    NoHolderProof,
    /// The credential is there twice.
    TwoCredentials,
    /// There is no credential.
    NoCredential,
    /// The issuer's signature is broken.
    IssuerSignatureBroken,
    /// A claim was changed after the issuer signed.
    ClaimChanged,
    /// A claim was added after the issuer signed that its contexts do not define.
    ClaimAdded,
    /// A context was added that is not pinned. Data Integrity alone.
    UnknownContext,
    /// Eight blank nodes that are linked with each other were added. Data Integrity alone.
    LinkedBlankNodes,
    /// The status stands under its full name, which makes the same statements. Data Integrity alone.
    StatusRenamed,
    /// What the issuer says of the credential stands in a second object of the same name. Data Integrity alone.
    SaidElsewhere,
}

/// A credential to be issued.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Credential {
    /// Its type, beside `VerifiableCredential`.
    pub kind: String,
    /// The contexts behind the first one.
    pub contexts: Vec<String>,
    /// What it says of its subject.
    pub claims: Map<String, Value>,
    /// From when it holds.
    pub begins_at: UnixTime,
    /// Until when it holds.
    pub expires_at: UnixTime,
    /// Its `credentialStatus`.
    pub status: Option<Value>,
}

impl Credential {
    /// A credential of a type that holds for thirty days.
    #[must_use]
    pub fn new(kind: &str, claims: &Value, begins_at: UnixTime) -> Self {
        Self {
            kind: kind.to_owned(),
            contexts: vec!["https://www.w3.org/ns/credentials/examples/v2".to_owned()],
            claims: claims.as_object().cloned().unwrap_or_default(),
            begins_at,
            expires_at: begins_at.plus_s(30 * 24 * 3600),
            status: None,
        }
    }
}

/// An issuer that is known by the did:key of its key.
#[derive(Clone, Debug)]
pub struct Issuer {
    key: SigningKey,
    did: Did,
}

impl Issuer {
    /// An issuer with this key.
    #[must_use]
    pub fn new(key: SigningKey) -> Self {
        Self { did: Did::key(key.public_key()), key }
    }

    /// Its DID, to be trusted.
    #[must_use]
    pub const fn did(&self) -> &Did {
        &self.did
    }

    /// Issues a credential to the did:jwk of a holder's key.
    ///
    /// # Errors
    /// If signing fails, or the suite is not for the key.
    pub fn issue(&self, secured: Secured, credential: &Credential, holder: SigningKey) -> Result<Held, VcError> {
        let subject = Did::jwk(holder.public_key());
        let document = self.document(secured, credential, &subject);
        let credential = self.secure(secured, &document)?;
        Ok(Held { secured, document, credential, holder })
    }

    /// The same of whatever a test wants it to say.
    ///
    /// # Errors
    /// If signing fails, or the suite is not for the key.
    pub fn secure(&self, secured: Secured, document: &Map<String, Value>) -> Result<Value, VcError> {
        let kid = method(&self.did);
        Ok(match secured {
            Secured::Jwt => {
                let mut vc = document.clone();
                let subject = vc.get("credentialSubject").and_then(|subject| subject.get("id")).cloned();
                let mut claims = json!({"iss": self.did.as_str(), "vc": null});
                if let (Some(claims), Some(subject)) = (claims.as_object_mut(), subject) {
                    claims.insert("sub".to_owned(), subject);
                }
                vc.remove("issuer");
                if let Some(claim) = claims.get_mut("vc") {
                    *claim = Value::Object(vc);
                }
                json!(self.key.sign_jws(&header("JWT", &kid), &claims)?)
            }
            Secured::Jose => json!(self.key.sign_jws(&header("vc+jwt", &kid), &Value::Object(document.clone()))?),
            Secured::Proof(suite) => {
                let created = document.get("validFrom").cloned().unwrap_or_default();
                let options = json!({"proofPurpose": "assertionMethod", "created": created});
                let proof = sign(suite, document, options, &kid, &self.key, &CONTEXTS)?;
                let mut document = document.clone();
                document.insert("proof".to_owned(), proof);
                Value::Object(document)
            }
        })
    }

    /// A list of who of 131 072 was revoked (Bitstring Status List 1.0), for the address `list`, as VC-JOSE-COSE.
    ///
    /// # Errors
    /// If signing fails.
    pub fn status_list(&self, list: &Url, revoked: &[u64], begins_at: UnixTime) -> Result<String, VcError> {
        let mut bits = vec![0_u8; 16 * 1024];
        for index in revoked {
            let byte = usize::try_from(index / 8).ok().and_then(|at| bits.get_mut(at));
            *byte.ok_or(VcError::Member("statusListIndex"))? |= 0x80 >> (index % 8);
        }
        let mut gzip = GzEncoder::new(Vec::new(), Compression::best());
        let encoded = gzip.write_all(&bits).and_then(|()| gzip.finish()).map_err(|_| VcError::Member("encodedList"))?;
        let members = [
            ("@context", json!([CONTEXT_V2])),
            ("id", json!(list)),
            ("type", json!(["VerifiableCredential", "BitstringStatusListCredential"])),
            ("issuer", json!(self.did.as_str())),
            ("validFrom", json!(begins_at.to_string())),
            ("validUntil", json!(begins_at.plus_s(24 * 3600).to_string())),
            (
                "credentialSubject",
                json!({
                    "id": format!("{list}#list"), "type": "BitstringStatusList", "statusPurpose": "revocation",
                    "encodedList": format!("u{}", base64url_encode(&encoded)),
                }),
            ),
        ];
        let document = members.into_iter().map(|(name, member)| (name.to_owned(), member)).collect();
        let signed = self.secure(Secured::Jose, &document)?;
        Ok(signed.as_str().unwrap_or_default().to_owned())
    }

    /// What the issuer signs.
    #[must_use]
    pub fn document(&self, secured: Secured, credential: &Credential, subject: &Did) -> Map<String, Value> {
        let first = if secured == Secured::Jwt { CONTEXT_V1 } else { CONTEXT_V2 };
        let contexts: Vec<&str> =
            std::iter::once(first).chain(credential.contexts.iter().map(String::as_str)).collect();
        let (from, until) =
            if secured == Secured::Jwt { ("issuanceDate", "expirationDate") } else { ("validFrom", "validUntil") };
        let mut claims = credential.claims.clone();
        claims.insert("id".to_owned(), subject.as_str().into());
        let members = [
            ("@context", Some(json!(contexts))),
            ("type", Some(json!(["VerifiableCredential", credential.kind]))),
            ("issuer", Some(json!(self.did.as_str()))),
            (from, Some(json!(credential.begins_at.to_string()))),
            (until, Some(json!(credential.expires_at.to_string()))),
            ("credentialSubject", Some(Value::Object(claims))),
            ("credentialStatus", credential.status.clone()),
        ];
        members.into_iter().filter_map(|(name, member)| Some((name.to_owned(), member?))).collect()
    }
}

/// The entry of a `credentialStatus` in a list of those that were revoked, which [`Issuer::status_list`] makes.
#[must_use]
pub fn status_entry(list: &Url, index: u64) -> Value {
    json!({
        "id": format!("{list}#{index}"), "type": "BitstringStatusListEntry", "statusPurpose": "revocation",
        "statusListIndex": index.to_string(), "statusListCredential": list,
    })
}

/// A credential in a wallet, with the key of its holder.
#[derive(Clone, Debug)]
pub struct Held {
    secured: Secured,
    /// What its issuer signed.
    document: Map<String, Value>,
    credential: Value,
    holder: SigningKey,
}

/// The request that a presentation answers.
#[derive(Clone, Copy, Debug)]
pub struct Asked<'a> {
    /// Its nonce.
    pub nonce: &'a str,
    /// Who asks.
    pub audience: &'a str,
    /// The time.
    pub now: UnixTime,
}

impl Held {
    /// The credential as it was issued: a JSON string or a JSON object.
    #[must_use]
    pub const fn credential(&self) -> &Value {
        &self.credential
    }

    /// The key that it was issued to.
    #[must_use]
    pub const fn holder(&self) -> &SigningKey {
        &self.holder
    }

    /// Its format, as a query names it.
    #[must_use]
    pub const fn format(&self) -> &'static str {
        match self.secured {
            Secured::Jwt | Secured::Jose => JWT_VC_JSON,
            Secured::Proof(_) => LDP_VC,
        }
    }

    /// Its types beside `VerifiableCredential`: by their full names, where its contexts define them, then as they stand
    /// there.
    #[must_use]
    pub fn types(&self) -> Vec<String> {
        let named = |member: &str| {
            let names = self.document.get(member).and_then(Value::as_array).into_iter().flatten();
            names.filter_map(Value::as_str).map(str::to_owned).collect::<Vec<_>>()
        };
        let plain: Vec<String> = named("type").into_iter().filter(|kind| kind != "VerifiableCredential").collect();
        let mut types = full_types(&named("@context"), &plain, &CONTEXTS).unwrap_or_default();
        types.extend(plain);
        types
    }

    /// What it says, as its issuer signed it.
    #[must_use]
    pub const fn says(&self) -> &Map<String, Value> {
        &self.document
    }

    /// A presentation, as it stands in a `vp_token`, with these faults in it.
    ///
    /// # Errors
    /// If signing fails.
    pub fn present(&self, asked: Asked<'_>, faults: &[Fault]) -> Result<Value, VcError> {
        let credential = self.altered(faults);
        if faults.contains(&Fault::NoPresentation) {
            return Ok(credential);
        }
        let credentials = match (faults.contains(&Fault::NoCredential), faults.contains(&Fault::TwoCredentials)) {
            (true, _) => vec![],
            (_, true) => vec![credential.clone(), credential],
            _ => vec![credential],
        };
        let presenting = Presenting { held: self, asked, faults };
        match self.secured {
            Secured::Jwt | Secured::Jose => presenting.token(credentials),
            Secured::Proof(suite) => presenting.document(credentials, suite),
        }
    }

    /// The credential, with the faults of an issuer or of whoever changed it.
    fn altered(&self, faults: &[Fault]) -> Value {
        let mut credential = self.credential.clone();
        for fault in faults {
            match (&mut credential, fault) {
                (Value::String(token), Fault::IssuerSignatureBroken) => *token = with_broken_signature(token),
                (Value::String(token), Fault::ClaimChanged | Fault::ClaimAdded) => *token = with_changed_claim(token),
                (Value::Object(document), Fault::IssuerSignatureBroken) => break_proof(document),
                (Value::Object(document), fault) => alter(document, *fault),
                _ => {}
            }
        }
        credential
    }
}

/// A presentation in the making.
struct Presenting<'a> {
    held: &'a Held,
    asked: Asked<'a>,
    faults: &'a [Fault],
}

impl Presenting<'_> {
    fn faulty(&self, fault: Fault) -> bool {
        self.faults.contains(&fault)
    }

    /// The key that signs, and the DID in whose name it does.
    fn signer(&self) -> Result<(SigningKey, Did), JoseError> {
        let own = Did::jwk(self.held.holder.public_key());
        let stranger = SigningKey::from_p256_scalar(&[99; 32])?;
        let strange = Did::jwk(stranger.public_key());
        Ok(match (self.faulty(Fault::ForeignHolder), self.faulty(Fault::ForeignHolderKey)) {
            (true, _) => (stranger, strange),
            (_, true) => (stranger, own),
            _ => (self.held.holder.clone(), own),
        })
    }

    fn made_at(&self) -> UnixTime {
        const YEAR_S: u64 = 365 * 24 * 3600;
        match (self.faulty(Fault::HolderProofInPast), self.faulty(Fault::HolderProofInFuture)) {
            (true, _) => self.asked.now.minus_s(YEAR_S),
            (_, true) => self.asked.now.plus_s(YEAR_S),
            _ => self.asked.now,
        }
    }

    fn nonce(&self) -> &str {
        if self.faulty(Fault::WrongNonce) { "another-nonce" } else { self.asked.nonce }
    }

    fn audience(&self) -> &str {
        if self.faulty(Fault::WrongAudience) { "x509_san_dns:other.example" } else { self.asked.audience }
    }

    fn token(&self, credentials: Vec<Value>) -> Result<Value, VcError> {
        let (key, did) = self.signer()?;
        let enveloped = |credential: Value| {
            let token = credential.as_str().unwrap_or_default().to_owned();
            json!({
                "@context": CONTEXT_V2, "type": "EnvelopedVerifiableCredential",
                "id": format!("data:application/vc+jwt,{token}"),
            })
        };
        let holder = if self.faulty(Fault::OtherHolder) { "did:example:other" } else { did.as_str() };
        let mut claims = json!({
            "iss": did.as_str(), "aud": self.audience(), "nonce": self.nonce(), "iat": self.made_at(),
        });
        let (typ, presentation) = if self.held.secured == Secured::Jwt {
            let vp = json!({
                "@context": [CONTEXT_V1], "type": ["VerifiablePresentation"], "holder": holder,
                "verifiableCredential": credentials,
            });
            ("JWT", json!({ "vp": vp }))
        } else {
            let credentials: Vec<Value> = credentials.into_iter().map(enveloped).collect();
            let vp = json!({
                "@context": [CONTEXT_V2], "type": ["VerifiablePresentation"], "holder": holder,
                "verifiableCredential": credentials,
            });
            ("vp+jwt", vp)
        };
        if let (Some(claims), Value::Object(presentation)) = (claims.as_object_mut(), presentation) {
            claims.extend(presentation);
        }
        let mut header = header(typ, &method(&did));
        if self.faulty(Fault::InlineKey) {
            header.remove("kid");
            header.insert("jwk".to_owned(), key.public_key().to_jwk());
            if let Some(claims) = claims.as_object_mut() {
                claims.remove("iss");
            }
        }
        let mut token = key.sign_jws(&header, &claims)?;
        if self.faulty(Fault::HolderSignatureBroken) {
            token = with_broken_signature(&token);
        }
        if self.faulty(Fault::NoHolderProof) {
            let rest = token.split('.').nth(1).unwrap_or_default().to_owned();
            token = format!("{}.{rest}.", base64url_encode(br#"{"alg":"none"}"#));
        }
        Ok(token.into())
    }

    fn document(&self, credentials: Vec<Value>, suite: Suite) -> Result<Value, VcError> {
        let (key, did) = self.signer()?;
        let holder = if self.faulty(Fault::OtherHolder) { "did:example:other" } else { did.as_str() };
        let document = json!({
            "@context": [CONTEXT_V2], "type": ["VerifiablePresentation"], "holder": holder,
            "verifiableCredential": credentials,
        });
        let Value::Object(mut document) = document else { return Err(VcError::Member("type")) };
        if self.faulty(Fault::NoHolderProof) {
            return Ok(Value::Object(document));
        }
        let purpose = if self.faulty(Fault::WrongPurpose) { "assertionMethod" } else { "authentication" };
        let options = json!({
            "proofPurpose": purpose, "created": self.made_at().to_string(), "challenge": self.nonce(),
            "domain": self.audience(),
        });
        // The kind of suite that the credential has, with whichever key the holder has. A document that a wallet could
        // not sign as a graph is signed as JSON, so that what is refused is the document.
        let is_jcs = matches!(suite, Suite::EddsaJcs2022 | Suite::EcdsaJcs2019);
        let is_edwards = key.public_key().algorithm() == crate::protocol::jose::Algorithm::EdDsa;
        let unsafe_graph = [
            Fault::ClaimAdded,
            Fault::UnknownContext,
            Fault::LinkedBlankNodes,
            Fault::StatusRenamed,
            Fault::SaidElsewhere,
        ];
        let suite = match (is_jcs || unsafe_graph.iter().any(|fault| self.faulty(*fault)), is_edwards) {
            (true, true) => Suite::EddsaJcs2022,
            (true, false) => Suite::EcdsaJcs2019,
            (false, true) => Suite::EddsaRdfc2022,
            (false, false) => Suite::EcdsaRdfc2019,
        };
        let proof = sign(suite, &document, options, &method(&did), &key, &CONTEXTS)?;
        document.insert("proof".to_owned(), proof);
        if self.faulty(Fault::HolderSignatureBroken) {
            break_proof(&mut document);
        }
        Ok(Value::Object(document))
    }
}

/// The one key of a DID that is a key.
fn method(did: &Did) -> String {
    match did.as_str().strip_prefix("did:key:") {
        Some(key) => format!("{did}#{key}"),
        None => format!("{did}#0"),
    }
}

fn header(typ: &str, kid: &str) -> Map<String, Value> {
    Map::from_iter([("typ".to_owned(), typ.into()), ("kid".to_owned(), kid.into())])
}

fn with_broken_signature(token: &str) -> String {
    let (signed, signature) = token.rsplit_once('.').unwrap_or_default();
    let mut signature = base64url_decode(signature).unwrap_or_default();
    if let Some(byte) = signature.first_mut() {
        *byte ^= 1;
    }
    format!("{signed}.{}", base64url_encode(&signature))
}

fn with_changed_claim(token: &str) -> String {
    let mut parts = token.split('.');
    let (header, claims) = (parts.next().unwrap_or_default(), parts.next().unwrap_or_default());
    let claims = base64url_decode(claims).unwrap_or_default();
    let mut claims: Value = serde_json::from_slice(&claims).unwrap_or_default();
    let document = if claims.get("vc").is_some() { claims.get_mut("vc") } else { Some(&mut claims) };
    if let Some(Value::Object(document)) = document {
        alter(document, Fault::ClaimChanged);
    }
    let claims = base64url_encode(claims.to_string().as_bytes());
    format!("{header}.{claims}.{}", parts.next().unwrap_or_default())
}

/// Changes what a credential says, behind the back of its issuer.
fn alter(document: &mut Map<String, Value>, fault: Fault) {
    if fault == Fault::UnknownContext
        && let Some(Value::Array(contexts)) = document.get_mut("@context")
    {
        contexts.push("https://evil.example/context".into());
    }
    if fault == Fault::StatusRenamed {
        let status = document.remove("credentialStatus").unwrap_or_else(|| json!({"id": "urn:example:status"}));
        document.insert("https://www.w3.org/2018/credentials#credentialStatus".to_owned(), status);
    }
    let Some(Value::Object(subject)) = document.get_mut("credentialSubject") else { return };
    match fault {
        Fault::ClaimChanged => {
            let changed = subject.iter_mut().find(|(name, _)| *name != "id");
            if let Some((_, value)) = changed {
                *value = "changed".into();
            }
        }
        Fault::ClaimAdded => _ = subject.insert("@added".to_owned(), "added".into()),
        Fault::LinkedBlankNodes => {
            let links = |at: usize| (0..8).filter(|to| *to != at).map(|to| format!("_:n{to}")).collect::<Vec<_>>();
            let nodes: Vec<Value> = (0..8).map(|at| json!({"id": format!("_:n{at}"), "knows": links(at)})).collect();
            subject.insert("knows".to_owned(), nodes.into());
        }
        Fault::SaidElsewhere => {
            let again = json!({"id": subject.get("id"), "type": "VerifiableCredential"});
            subject.insert("knows".to_owned(), again);
        }
        _ => {}
    }
}

/// Another signature of the right form: the characters before the last stand in another order.
fn break_proof(document: &mut Map<String, Value>) {
    let Some(Value::String(value)) = document.get_mut("proof").and_then(|proof| proof.get_mut("proofValue")) else {
        return;
    };
    let body: Vec<char> = value.chars().collect();
    // From the end: another first digit might be another length.
    if let Some(at) = (2..body.len().saturating_sub(1)).rev().find(|at| body.get(*at) != body.get(at + 1)) {
        let mut swapped = body;
        swapped.swap(at, at + 1);
        *value = swapped.into_iter().collect();
    }
}
