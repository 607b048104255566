//! W3C credentials as JWTs: VC-JWT of the data model 1.1 (section 6.3.1), and VC-JOSE-COSE 1.0 of the data model 2.0.
//! The variants of the latter with SD-JWT and COSE are not read.
//!
//! A presentation is a JWT by the holder around the JWT of the issuer. The holder's key is the one that a DID names in its
//! own text, and the credential's subject must be that DID or its `cnf` that key: a key that merely stands in the header
//! proves nothing about whom the credential was issued to.

use std::borrow::Cow;

use serde_json::{Map, Value};

use super::{
    CONTEXT_V2, Credential, Expected, HOLDER_PART, ISSUER_PART, VcError, Version, check_age, holder_key, told,
    told_made, types,
};
use crate::{
    limits::Limits,
    protocol::{
        claims,
        did::Did,
        jose::{Header, JoseError, Jws, PublicKey},
        watch::{Seen, Strict, Watch},
    },
};

/// The `typ` of a credential of version 2.0 (VC-JOSE-COSE section 3.1.1).
const CREDENTIAL_TYP: &str = "vc+jwt";
/// The `typ` of a presentation of version 2.0.
const PRESENTATION_TYP: &str = "vp+jwt";
/// How a credential of version 2.0 is put into a presentation (VCDM 2.0 section 4.12.1).
const ENVELOPE: &str = "data:application/vc+jwt,";

/// How a token names its issuer.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Issuer {
    /// By a certificate chain in the header.
    Chain {
        /// DER certificates, leaf first.
        chain: Vec<Vec<u8>>,
        /// Its URL, which nobody has checked.
        iss: String,
    },
    /// By a DID and the absolute URL of one of its keys.
    Did {
        /// The DID.
        did: Did,
        /// The key.
        method: String,
    },
    /// By a URL with metadata.
    Url {
        /// The URL.
        iss: String,
        /// Which of its keys.
        kid: Option<String>,
    },
}

/// A presentation or a credential in the form of a JWT: taken apart, and not believed.
#[derive(Clone, Debug)]
pub struct Presented<'a> {
    presentation: Option<Jws<'a>>,
    credential: Jws<'a>,
    issuer: Issuer,
}

/// What a verified presentation amounts to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verified {
    /// The credential.
    pub credential: Credential,
    /// Its `credentialStatus`.
    pub credential_status: Option<Value>,
    /// The claim `status` of its token (Token Status List).
    pub status: Option<Value>,
    /// Whether its subject proved to be there.
    pub holder_bound: bool,
}

impl<'a> Presented<'a> {
    /// Takes a token apart: a presentation with exactly one credential, or a credential alone.
    ///
    /// # Errors
    /// [`VcError`] with what is missing or wrong in its form.
    pub fn parse(text: &'a str, limits: &Limits) -> Result<Self, VcError> {
        let outer = parse(text, limits)?;
        let (presentation, credential) = match Kind::of(&outer)? {
            Kind::Presentation(version) => {
                let enclosed = parse(enclosed(&outer, version)?, limits)?.into_owned();
                (Some(outer), enclosed)
            }
            Kind::Credential(_) => (None, outer),
        };
        let issuer = issuer(&credential, limits)?;
        Ok(Self { presentation, credential, issuer })
    }

    /// Who says to have issued the credential.
    #[must_use]
    pub const fn issuer(&self) -> &Issuer {
        &self.issuer
    }

    /// Checks both signatures, and whether the holder is the subject. `issuer_key` is the key that
    /// [`issuer`](Self::issuer) names, which the caller resolved.
    ///
    /// # Errors
    /// The first check that failed.
    pub fn verify(self, issuer_key: &PublicKey, expected: &Expected<'_>) -> Result<Verified, VcError> {
        self.watched(issuer_key, expected, &mut Strict)
    }

    /// The same through a watch: what comes out is believed under [`Strict`] alone.
    pub(crate) fn watched<W: Watch<VcError>>(
        self,
        issuer_key: &PublicKey,
        expected: &Expected<'_>,
        watch: &mut W,
    ) -> Result<Verified, VcError> {
        watch.enter(ISSUER_PART);
        let token = self.credential;
        let Kind::Credential(version) = Kind::of(&token)? else { return Err(VcError::Misplaced("vp")) };
        watch.fact("secured by", || Seen::Text(format!("a JWT, data model {}", version.name())));
        let claims = signed(token, issuer_key, watch)?;
        let read = read_credential(&claims, version);
        let (credential, document) = watch.need("credential", |_| Seen::Text("as its token says".to_owned()), read)?;
        let times = credential.check_times(expected.now, expected.skew_s);
        watch.check("validity", || Seen::Text(credential.span()), times)?;
        watch.check("times of the token", || Seen::Text(told_times(&claims)), check_times(&claims, expected))?;
        let holder_bound = match self.presentation {
            Some(presentation) => {
                watch.part(HOLDER_PART, |watch| verify_holder(presentation, &credential, &claims, expected, watch))?;
                true
            }
            None => {
                watch.enter(HOLDER_PART);
                let missing = if expected.holder_binding { Err(VcError::HolderProofMissing) } else { Ok(()) };
                watch.check("presentation", || Seen::Text("none".to_owned()), missing)?;
                false
            }
        };
        Ok(Verified {
            credential_status: document.get("credentialStatus").cloned(),
            status: claims.get("status").cloned(),
            credential,
            holder_bound,
        })
    }
}

/// A credential of a token whose signature holds under `key`, such as the one that carries a status list.
///
/// # Errors
/// [`VcError`] if it is no credential, or the signature does not hold.
pub fn verify_credential(
    text: &str,
    key: &PublicKey,
    limits: &Limits,
) -> Result<(Credential, Map<String, Value>), VcError> {
    let token = parse(text, limits)?;
    let Kind::Credential(version) = Kind::of(&token)? else { return Err(VcError::Misplaced("vp")) };
    let claims = token.verify(key, &[Jws::ANY_TYPE])?;
    let (credential, document) = read_credential(&claims, version)?;
    Ok((credential, document.into_owned()))
}

/// How the token of a credential names its issuer.
///
/// # Errors
/// [`VcError`] if it is no credential, or names nobody.
pub fn issuer_of(text: &str, limits: &Limits) -> Result<Issuer, VcError> {
    issuer(&parse(text, limits)?, limits)
}

/// The token; a `kid` may be the URL of a key of a DID, so it is as long as a DID may be.
fn parse<'a>(text: &'a str, limits: &Limits) -> Result<Jws<'a>, VcError> {
    Ok(Jws::parse(text, &Limits { kid_bytes: limits.did_bytes, ..limits.clone() })?)
}

/// The claims of a token whose signature holds.
fn signed<W: Watch<VcError>>(token: Jws<'_>, key: &PublicKey, watch: &mut W) -> Result<Map<String, Value>, VcError> {
    let header = token.header();
    watch.fact("typ", || Seen::Text(header.typ.clone().unwrap_or_else(|| "none".to_owned())));
    watch.fact("alg", || Seen::Text(header.alg.to_string()));
    let unbelieved = W::TELLS.then(|| token.unverified_claims().clone());
    watch.need_or("signature", token.verify(key, &[Jws::ANY_TYPE]).map_err(VcError::from), unbelieved)
}

/// What a token is, by its `typ` and its claims: one that is both, or neither, is nothing.
#[derive(Clone, Copy)]
enum Kind {
    Credential(Version),
    Presentation(Version),
}

impl Kind {
    fn of(token: &Jws<'_>) -> Result<Self, VcError> {
        let claims = token.unverified_claims();
        let typ = token.header().typ.as_deref().map(str::to_ascii_lowercase);
        let typ = typ.as_deref().map(|typ| typ.strip_prefix("application/").unwrap_or(typ));
        let (vc, vp) = (claims.contains_key("vc"), claims.contains_key("vp"));
        match typ {
            // VC-JOSE-COSE section 1.1.2.1: neither claim may be there.
            Some(CREDENTIAL_TYP | PRESENTATION_TYP) if vc => Err(VcError::Misplaced("vc")),
            Some(CREDENTIAL_TYP | PRESENTATION_TYP) if vp => Err(VcError::Misplaced("vp")),
            Some(CREDENTIAL_TYP) => Ok(Self::Credential(Version::V2)),
            Some(PRESENTATION_TYP) => Ok(Self::Presentation(Version::V2)),
            // VCDM 1.1 section 6.3.1: `typ`, where it is there, is JWT.
            None | Some("jwt") => match (vc, vp) {
                (true, false) => Ok(Self::Credential(Version::V1)),
                (false, true) => Ok(Self::Presentation(Version::V1)),
                (true, true) => Err(VcError::Misplaced("vp")),
                (false, false) => Err(VcError::Member("vc")),
            },
            Some(_) => Err(JoseError::TokenType.into()),
        }
    }
}

/// The one credential in a presentation, as a token.
fn enclosed<'a>(presentation: &'a Jws<'_>, version: Version) -> Result<&'a str, VcError> {
    let claims = presentation.unverified_claims();
    let members = match version {
        Version::V1 => claims.get("vp").and_then(Value::as_object).ok_or(VcError::Member("vp"))?,
        Version::V2 => claims,
    };
    types(members, "VerifiablePresentation")?;
    let one = match members.get("verifiableCredential") {
        Some(Value::Array(several)) => match several.as_slice() {
            [one] => one,
            several => return Err(VcError::Credentials(several.len())),
        },
        Some(one) => one,
        None => return Err(VcError::Credentials(0)),
    };
    let token = match (version, one) {
        (Version::V1, Value::String(token)) => Some(token.as_str()),
        (Version::V2, Value::Object(envelope)) => {
            super::contexts(envelope)?;
            types(envelope, "EnvelopedVerifiableCredential")?;
            envelope.get("id").and_then(Value::as_str).and_then(|id| id.strip_prefix(ENVELOPE))
        }
        _ => None,
    };
    token.ok_or(VcError::Member("verifiableCredential"))
}

fn issuer(token: &Jws<'_>, limits: &Limits) -> Result<Issuer, VcError> {
    let Kind::Credential(version) = Kind::of(token)? else { return Err(VcError::Misplaced("vp")) };
    let claims = token.unverified_claims();
    let iss = named_issuer(claims, version)?;
    let Header { x5c, kid, .. } = token.header();
    if let Some(chain) = x5c {
        return Ok(Issuer::Chain { chain: chain.clone(), iss });
    }
    if !iss.starts_with("did:") {
        let is_https = iss.starts_with("https://");
        return if is_https { Ok(Issuer::Url { iss, kid: kid.clone() }) } else { Err(VcError::Member("iss")) };
    }
    let did = Did::parse(&iss, limits)?;
    let method = match kid {
        // VC-JOSE-COSE section 3.3.2: the absolute URL of a key of the issuer's.
        Some(kid) if kid.split_once('#').is_some_and(|(of, _)| of == did.as_str()) => kid.clone(),
        Some(kid) if version == Version::V1 && kid.starts_with('#') => format!("{did}{kid}"),
        None => only_method(&did).ok_or(VcError::IssuerKey)?,
        Some(_) => return Err(VcError::IssuerKey),
    };
    Ok(Issuer::Did { did, method })
}

/// The one key of a DID that is a key.
fn only_method(did: &Did) -> Option<String> {
    match did.method() {
        "key" => did.as_str().strip_prefix("did:key:").map(|key| format!("{did}#{key}")),
        "jwk" => Some(format!("{did}#0")),
        _ => None,
    }
}

/// The issuer by `iss`, and by `issuer` of the credential: where both are there, they are the same (VCDM 1.1 section
/// 6.3.1, VC-JOSE-COSE section 3.3.1).
fn named_issuer(claims: &Map<String, Value>, version: Version) -> Result<String, VcError> {
    let members = match version {
        Version::V1 => claims.get("vc").and_then(Value::as_object).ok_or(VcError::Member("vc"))?,
        Version::V2 => claims,
    };
    let issuer = match members.get("issuer") {
        Some(Value::Object(issuer)) => issuer.get("id"),
        issuer => issuer,
    };
    let issuer = issuer.map(|issuer| issuer.as_str().ok_or(VcError::Member("issuer"))).transpose()?;
    match (claims::string(claims, "iss")?, issuer) {
        (Some(iss), Some(issuer)) if iss != issuer => Err(VcError::Disagreement("iss")),
        (Some(named), _) | (None, Some(named)) => Ok(named.to_owned()),
        (None, None) => Err(VcError::Member("iss")),
    }
}

/// The credential of a token, and the document that it is.
fn read_credential(
    claims: &Map<String, Value>,
    version: Version,
) -> Result<(Credential, Cow<'_, Map<String, Value>>), VcError> {
    let document = match version {
        Version::V1 => Cow::Owned(in_full(claims)?),
        Version::V2 => {
            agrees(claims, "jti", claims.get("id"))?;
            if let [Value::Object(subject)] = [claims.get("credentialSubject").unwrap_or(&Value::Null)] {
                agrees(claims, "sub", subject.get("id"))?;
            }
            named_issuer(claims, version)?;
            Cow::Borrowed(claims)
        }
    };
    let credential = Credential::read(&document)?;
    if version != credential.version {
        return Err(VcError::Context);
    }
    // What the token itself needs is no statement of the credential.
    let mut credential = credential;
    for name in ["iss", "sub", "aud", "jti", "iat", "nbf", "exp", "cnf", "status"] {
        credential.claims.remove(name);
    }
    Ok((credential, document))
}

/// The credential of a VC-JWT: the claim `vc` with what the registered claims say in its place (VCDM 1.1 section 6.3.1,
/// "JWT Decoding").
fn in_full(claims: &Map<String, Value>) -> Result<Map<String, Value>, VcError> {
    let mut vc = claims.get("vc").and_then(Value::as_object).ok_or(VcError::Member("vc"))?.clone();
    let issuer = named_issuer(claims, Version::V1)?;
    vc.entry("issuer").or_insert_with(|| issuer.into());
    agrees(claims, "jti", vc.get("id"))?;
    if let Some(id) = claims::string(claims, "jti")? {
        vc.insert("id".to_owned(), id.into());
    }
    if let Some(sub) = claims::string(claims, "sub")? {
        match vc.get_mut("credentialSubject") {
            Some(Value::Object(subject)) => {
                agrees(claims, "sub", subject.get("id"))?;
                subject.insert("id".to_owned(), sub.into());
            }
            _ => return Err(VcError::Disagreement("sub")),
        }
    }
    for (claim, member) in [("nbf", "issuanceDate"), ("exp", "expirationDate")] {
        if let (Some(at), None) = (claims::numeric_date(claims, claim)?, vc.get(member)) {
            vc.insert(member.to_owned(), at.to_string().into());
        }
    }
    Ok(vc)
}

/// A claim of the token says the same as the member that it stands for, where both are there.
fn agrees(claims: &Map<String, Value>, claim: &'static str, member: Option<&Value>) -> Result<(), VcError> {
    match (claims::string(claims, claim)?, member) {
        (Some(claim), Some(member)) if member == claim => Ok(()),
        (Some(_), Some(_)) => Err(VcError::Disagreement(claim)),
        _ => Ok(()),
    }
}

/// `exp`, `nbf` and `iat` of a token, beside what the credential says in its own words.
fn check_times(claims: &Map<String, Value>, expected: &Expected<'_>) -> Result<(), VcError> {
    let (now, latest) = (expected.now, expected.now.plus_s(expected.skew_s));
    for claim in ["nbf", "iat"] {
        if let Some(at) = claims::numeric_date(claims, claim)?.filter(|at| *at > latest) {
            return Err(VcError::NotYetValid { at, now });
        }
    }
    match claims::numeric_date(claims, "exp")?.filter(|at| *at <= now.minus_s(expected.skew_s)) {
        Some(at) => Err(VcError::Expired { at, now }),
        None => Ok(()),
    }
}

/// The same for an operator.
fn told_times(claims: &Map<String, Value>) -> String {
    let at = |claim| Some(format!("{claim} {}", claims::numeric_date(claims, claim).ok().flatten()?));
    let told: Vec<String> = ["iat", "nbf", "exp"].into_iter().filter_map(at).collect();
    if told.is_empty() { "none".to_owned() } else { told.join(", ") }
}

/// The holder's signature, for this request and for us (OpenID4VP section 14.1.2), by whom the credential is about.
fn verify_holder<W: Watch<VcError>>(
    presentation: Jws<'_>,
    credential: &Credential,
    credential_claims: &Map<String, Value>,
    expected: &Expected<'_>,
    watch: &mut W,
) -> Result<(), VcError> {
    let claims = presentation.unverified_claims();
    let iss = claims::string(claims, "iss")?.map(str::to_owned);
    // An inline `jwk` is not looked at: it would prove that somebody has a key, and nothing about whose it is.
    let method = match (presentation.header().kid.as_deref(), &iss) {
        (Some(kid), _) if kid.starts_with("did:") => kid.to_owned(),
        (Some(kid), Some(iss)) if kid.starts_with('#') => format!("{iss}{kid}"),
        (None, Some(iss)) => only_method(&Did::parse(iss, expected.limits)?).ok_or(VcError::HolderKey)?,
        _ => return watch.need("holder's key", |()| Seen::Nothing, Err(VcError::HolderKey)),
    };
    let told_key = |(_, key): &(Did, PublicKey)| Seen::Key(key.clone());
    let (holder, key) = watch.need("holder's key", told_key, holder_key(&method, expected.limits))?;
    let version = match Kind::of(&presentation)? {
        Kind::Presentation(version) => version,
        Kind::Credential(_) => return Err(VcError::Misplaced("vc")),
    };
    let claims = signed(presentation, &key, watch)?;

    let nonce = claims::string(&claims, "nonce")?;
    let same = if nonce == Some(expected.nonce) { Ok(()) } else { Err(VcError::Nonce) };
    watch.check("nonce", || Seen::Short(expected.nonce.to_owned(), nonce.map(str::to_owned)), same)?;
    let for_us = if claims::audience_is(&claims, expected.audience)? { Ok(()) } else { Err(VcError::Audience) };
    watch.check("audience", || Seen::Pair(expected.audience.to_owned(), claims.get("aud").map(told)), for_us)?;
    watch.check("times", || Seen::Text(told_times(&claims)), check_times(&claims, expected))?;
    let made = claims::numeric_date(&claims, "iat")?.or(claims::numeric_date(&claims, "nbf")?);
    watch.check("age", || told_made(made, expected), check_age(made, expected))?;

    let members = match version {
        Version::V1 => claims.get("vp").and_then(Value::as_object).ok_or(VcError::Member("vp"))?,
        Version::V2 => &claims,
    };
    let contexts = super::contexts(members)?;
    if version == Version::V2 && contexts.first().map(String::as_str) != Some(CONTEXT_V2) {
        return Err(VcError::Context);
    }
    let named = match members.get("holder") {
        Some(Value::Object(named)) => named.get("id"),
        named => named,
    };
    let named = named.map(told);
    let other = [&iss, &named].into_iter().flatten().find(|name| *name != holder.as_str());
    let mismatch = || Err(VcError::HolderMismatch);
    let is_named = if other.is_some() { mismatch() } else { Ok(()) };
    let seen = || Seen::Short(holder.as_str().to_owned(), other.or(named.as_ref()).or(iss.as_ref()).cloned());
    watch.check("holder", seen, is_named)?;
    // The credential is about this DID, or was issued to this key (VC-JOSE-COSE section 3.3.3).
    let cnf = credential_claims.get("cnf").and_then(|cnf| cnf.get("jwk"));
    let is_theirs = match cnf.map(PublicKey::from_jwk).transpose()? {
        Some(confirmed) => confirmed == key,
        None => credential.is_about(holder.as_str()),
    };
    let seen = || match &cnf {
        Some(_) => Seen::Text("the key in `cnf`".to_owned()),
        None => Seen::Short(holder.as_str().to_owned(), credential.told_subject()),
    };
    watch.check("subject of the credential", seen, if is_theirs { Ok(()) } else { mismatch() })
}
