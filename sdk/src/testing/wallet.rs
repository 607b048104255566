//! A wallet that speaks OpenID4VP 1.0 like any other, and can be told to get one thing wrong.
//!
//! It does no I/O: [`Link`] says what to fetch, [`Request`] is what came back and is fit to be shown to a person, and
//! [`Wallet::answer`] is what to post to [`Request::response_uri`]. The development wallet carries these over HTTP;
//! tests hand them to a router.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    fmt,
};

use serde_json::{Map, Value, json};
use url::{Url, form_urlencoded};

use crate::{
    env::Env,
    limits::Limits,
    protocol::{
        claims::numeric_date,
        dcql::{Candidate, CredentialQuery, DcqlError, Query, SD_JWT_VC},
        jose::{
            ContentEncryption, DecryptionKey, JoseError, Jws, SigningKey, base64url_decode, base64url_encode, encrypt,
        },
        openid4vp::{AUDIENCE, ResponseMode},
        x509::{Certificate, X509Error},
    },
    testing::issuer::Hash,
    time::UnixTime,
};

#[cfg(feature = "mdoc")]
use super::mdoc::{self, Held};
#[cfg(feature = "mdoc")]
use crate::protocol::{dcql::MSO_MDOC, mdoc::MdocError};

mod dc_api;
mod verifier;

pub use verifier::{Anchors, encrypting_form};

/// One thing that a wallet gets wrong. What belongs together stays right: a presentation with a broken issuer signature
/// has a holder's proof over exactly these bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Fault {
    /// The holder's proof is for another nonce.
    WrongNonce,
    /// The holder's proof is for another verifier.
    WrongAudience,
    /// The holder's proof names the verifier without the prefix of its client identifier.
    AudienceWithoutPrefix,
    /// The holder's proof is one year old.
    HolderProofInPast,
    /// The holder's proof is of the next year.
    HolderProofInFuture,
    /// The holder's signature is broken.
    HolderSignatureBroken,
    /// The holder's proof is signed by a key that the credential was not issued to.
    ForeignHolderKey,
    /// The holder's proof is over another presentation.
    WrongSdHash,
    /// The holder's proof is left out.
    NoHolderProof,
    /// The hashes of the transaction data are left out.
    TransactionDataMissing,
    /// One hash more than there is transaction data.
    TransactionDataExtra,
    /// The issuer's signature is broken.
    IssuerSignatureBroken,
    /// A disclosure that no digest names.
    UnreferencedDisclosure,
    /// A disclosure is there twice. Needs a query that asks for a claim.
    DuplicateDisclosure,
    /// A disclosure of a claim named `_sd`: the issuer's, if the credential was issued with such a claim, else one that
    /// no digest names.
    DisclosureNamedSd,
    /// A disclosure is added after the holder signed.
    DisclosureAddedAfterProof,
    /// The last claim that was asked for is not shown. Needs a query that asks for a claim.
    MissingClaim,
    /// A credential of a type that was not asked for. Needs one in the wallet.
    WrongType,
    /// The presentation stands under an id that was not asked for, too.
    UnknownQueryId,
    /// The presentation stands outside of an array.
    PresentationOutsideArray,
    /// Two presentations where one was asked for.
    TwoPresentations,
    /// The whole `vp_token` is a string.
    VpTokenIsString,
    /// A member of `vp_token` is there twice.
    DuplicateMember,
    /// A presentation is two hundred arrays in each other.
    DeepJson,
    /// The state of another request.
    WrongState,
    /// No state at all.
    NoState,
    /// Sent in clear although encryption was asked for.
    PlainAnswer,
    /// Encrypted to somebody else's key under the name of the right one.
    ForeignEncryptionKey,
    /// The encryption says that its content is compressed.
    CompressedEncryption,
    /// Encrypted with an `enc` that was not offered.
    WrongContentEncryption,
    /// The body has one mebibyte more.
    OversizeBody,
    /// The holder's proof is for another origin. Over the Digital Credentials API, like the next two.
    OtherOrigin,
    /// The holder's proof is for our origin with a slash at its end.
    OriginWithSlash,
    /// The holder's proof is for the client identifier of the signed request.
    AudienceIsClientId,
}

/// What a wallet app is opened with: `openid4vp://?client_id=..&request_uri=..[&request_uri_method=post]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Link {
    /// Who says to ask.
    pub client_id: String,
    /// Where the request object is.
    pub request_uri: Url,
    /// Whether the wallet may fetch it by POST, and name a nonce.
    pub post: bool,
}

impl Link {
    /// Reads a link of any scheme.
    ///
    /// # Errors
    /// [`WalletError::Link`] if it is no link to a wallet.
    pub fn parse(link: &str) -> Result<Self, WalletError> {
        let malformed = |what| WalletError::Link { what };
        let url = Url::parse(link).map_err(|_| malformed("it is no URL"))?;
        let mut parameters = BTreeMap::new();
        for (name, value) in url.query_pairs() {
            if parameters.insert(name, value).is_some() {
                return Err(malformed("a parameter is there twice"));
            }
        }
        let of = |name| parameters.get(name).ok_or(malformed("`client_id` or `request_uri` is missing"));
        Ok(Self {
            client_id: of("client_id")?.to_string(),
            request_uri: Url::parse(of("request_uri")?).map_err(|_| malformed("`request_uri` is no URL"))?,
            post: match parameters.get("request_uri_method").map(AsRef::as_ref) {
                None | Some("get") => false,
                Some("post") => true,
                Some(_) => return Err(malformed("`request_uri_method` must be `get` or `post`")),
            },
        })
    }

    /// The form to post to [`request_uri`](Self::request_uri) where [`post`](Self::post) is set: the verifier must sign
    /// the nonce (OpenID4VP, 5.10).
    #[must_use]
    pub fn form(wallet_nonce: &str) -> String {
        form_urlencoded::Serializer::new(String::new()).append_pair("wallet_nonce", wallet_nonce).finish()
    }
}

/// A verified request.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Request {
    /// Who asks.
    pub client_id: String,
    /// The name that they give themselves.
    pub client_name: Option<String>,
    /// Where the answer goes.
    pub response_uri: Url,
    /// How the answer goes there.
    pub response_mode: ResponseMode,
    /// What the holder's proof is made for.
    pub nonce: String,
    /// What the answer brings back.
    pub state: Option<String>,
    /// What is asked for.
    pub query: Query,
    /// What the holder authorises by answering, as it was sent.
    pub transaction_data: Vec<String>,
    /// The key that the answer is encrypted to, and with what.
    pub encryption: Option<(Value, ContentEncryption)>,
    /// The origin that asks, as the browser told it, where the request came by the Digital Credentials API: then the
    /// holder's proof is for that.
    pub origin: Option<String>,
    /// What others say of who asks, as it was sent.
    pub verifier_info: Vec<Value>,
}

impl Request {
    /// Checks a request object like a careful wallet: its signature by the leaf of `x5c`, that the leaf is whom the
    /// client identifier names, everything OpenID4VP says in 5, 8.2 and 8.3. If `anchors` are given, the leaf must lead
    /// to one of them.
    ///
    /// # Errors
    /// The first check that failed.
    pub fn read(
        link: &Link,
        object: &str,
        wallet_nonce: Option<&str>,
        anchors: &[&Certificate],
        now: UnixTime,
        limits: &Limits,
    ) -> Result<Self, WalletError> {
        Self::read_by(link, object, wallet_nonce, &Anchors::roots(anchors), now, limits)
    }

    /// The same for a wallet that believes others than the roots of access certificates.
    ///
    /// # Errors
    /// The first check that failed.
    pub fn read_by(
        link: &Link,
        object: &str,
        wallet_nonce: Option<&str>,
        anchors: &Anchors<'_>,
        now: UnixTime,
        limits: &Limits,
    ) -> Result<Self, WalletError> {
        let claims = verifier::signed(link, object, anchors, now, limits)?;
        let text = |name| claims.get(name).and_then(Value::as_str);
        let demand = |holds: bool, what| if holds { Ok(()) } else { Err(WalletError::Request { what }) };
        demand(text("client_id") == Some(&link.client_id), "`client_id` is not the one of the link")?;
        demand(text("aud") == Some(AUDIENCE), "`aud` must be that of static discovery")?;
        demand(text("wallet_nonce") == wallet_nonce, "`wallet_nonce` is not ours")?;
        demand(!claims.contains_key("request_uri_method"), "a parameter that does not belong there")?;
        // 5.9.3: a host that a certificate names asks for itself.
        let host = text("response_uri").and_then(|uri| Url::parse(uri).ok()?.host_str().map(str::to_owned));
        let named = link.client_id.strip_prefix("x509_san_dns:");
        demand(named.is_none_or(|named| host.as_deref() == Some(named)), "the answer goes to another host")?;
        Self::from_claims(&claims, now, limits)
    }

    /// What OpenID4VP says of every request, whoever it is from (5, 8.2, 8.3).
    fn from_claims(claims: &Map<String, Value>, now: UnixTime, limits: &Limits) -> Result<Self, WalletError> {
        let wrong = |what| WalletError::Request { what };
        let text = |name| claims.get(name).and_then(Value::as_str);
        let demand = |holds: bool, what| if holds { Ok(()) } else { Err(wrong(what)) };

        let response_uri = text("response_uri").and_then(|uri| Url::parse(uri).ok()).ok_or(wrong("`response_uri`"))?;
        let client_id = text("client_id").ok_or(wrong("`client_id` is missing"))?;
        demand(text("response_type") == Some("vp_token"), "`response_type` must be vp_token")?;
        for absent in ["redirect_uri", "scope", "client_id_scheme", "presentation_definition"] {
            demand(!claims.contains_key(absent), "a parameter that does not belong there")?;
        }
        let iat = numeric_date(claims, "iat")?;
        demand(iat.is_none_or(|iat| iat <= now.plus_s(60)), "it is of the future")?;
        demand(numeric_date(claims, "exp")?.is_none_or(|exp| now < exp), "it is over")?;
        let nonce = text("nonce").ok_or(wrong("`nonce` is missing"))?;
        let unreserved = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte);
        demand(nonce.len() >= 22 && nonce.bytes().all(unreserved), "`nonce` is too short or not URL-safe")?;

        let query = Query::parse(claims.get("dcql_query").unwrap_or(&Value::Null), limits)?;
        let unbound = query.credentials.iter().any(|credential| !credential.require_cryptographic_holder_binding);
        demand(text("state").is_some() || !unbound, "`state` is missing")?;
        let metadata = claims.get("client_metadata").unwrap_or(&Value::Null);
        demand(metadata.get("vp_formats_supported").is_some_and(Value::is_object), "`vp_formats_supported`")?;
        let response_mode = match text("response_mode") {
            Some("direct_post") => ResponseMode::DirectPost,
            Some("direct_post.jwt") => ResponseMode::DirectPostJwt,
            _ => return Err(wrong("`response_mode` is not supported")),
        };
        let encryption = match response_mode {
            ResponseMode::DirectPost => None,
            ResponseMode::DirectPostJwt => Some(encryption(metadata).ok_or(wrong("no key to encrypt the answer to"))?),
        };
        Ok(Self {
            client_id: client_id.to_owned(),
            client_name: metadata.get("client_name").and_then(Value::as_str).map(str::to_owned),
            response_uri,
            response_mode,
            nonce: nonce.to_owned(),
            state: text("state").map(str::to_owned),
            query,
            transaction_data: strings(claims.get("transaction_data")),
            encryption,
            origin: None,
            verifier_info: claims.get("verifier_info").and_then(Value::as_array).cloned().unwrap_or_default(),
        })
    }

    /// The form that declines, such as with `access_denied`; in clear also where encryption was asked for (8.3.1).
    #[must_use]
    pub fn error(&self, code: &str) -> String {
        let mut form = form_urlencoded::Serializer::new(String::new());
        form.append_pair("error", code);
        if let Some(state) = &self.state {
            form.append_pair("state", state);
        }
        form.finish()
    }
}

/// Where the wallet must send its user, from the body of a successful answer (8.2).
///
/// # Errors
/// [`WalletError::Outcome`] if the body is no JSON object, or its `redirect_uri` no URL.
pub fn redirect_uri(body: &[u8]) -> Result<Option<Url>, WalletError> {
    let body: Map<String, Value> = serde_json::from_slice(body).map_err(|_| WalletError::Outcome)?;
    match body.get("redirect_uri") {
        None => Ok(None),
        Some(uri) => uri.as_str().and_then(|uri| Url::parse(uri).ok()).map(Some).ok_or(WalletError::Outcome),
    }
}

/// One person's wallet.
#[derive(Clone, Debug, Default)]
pub struct Wallet {
    holdings: Vec<Holding>,
}

impl Wallet {
    /// An empty wallet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Keeps a credential, as its issuer handed it out, with the key that it was issued to.
    ///
    /// # Errors
    /// If it is no SD-JWT VC that opens.
    pub fn hold(&mut self, sd_jwt: &str, key: SigningKey) -> Result<(), WalletError> {
        self.holdings.push(Holding::read(sd_jwt, key)?);
        Ok(())
    }

    /// The same with the scalar of a P-256 key: what is held so can be [saved](Self::saved).
    ///
    /// # Errors
    /// As [`hold`](Self::hold), or if the scalar is none.
    pub fn hold_scalar(&mut self, sd_jwt: &str, scalar: &[u8; 32]) -> Result<(), WalletError> {
        let held = Holding::read(sd_jwt, SigningKey::from_p256_scalar(scalar)?)?;
        self.holdings.push(Holding { scalar: Some(*scalar), ..held });
        Ok(())
    }

    /// Keeps a document, as its issuer handed it out, with what it says: name spaces of elements.
    #[cfg(feature = "mdoc")]
    pub fn hold_mdoc(&mut self, document: Held, says: Value, key: SigningKey) {
        let types = vec![document.doc_type().to_owned()];
        self.holdings.push(Holding {
            issuer_jwt: String::new(),
            key,
            scalar: None,
            hash: Hash::default(),
            types,
            authority_key_ids: Vec::new(),
            claims: says,
            disclosures: Vec::new(),
            document: Some(document),
        });
    }

    /// What is held with a scalar, oldest first: each credential as its issuer handed it out, and the scalar of its key.
    #[must_use]
    pub fn saved(&self) -> Vec<(String, [u8; 32])> {
        self.holdings.iter().filter_map(|holding| Some((holding.as_issued(), holding.scalar?))).collect()
    }

    /// Keeps what another one has saved, too; of all that, the newest.
    pub fn take_over(&mut self, other: &Self, max: usize) {
        self.holdings.extend(other.holdings.iter().filter(|holding| holding.scalar.is_some()).cloned());
        let too_many = self.holdings.len().saturating_sub(max);
        self.holdings.drain(..too_many);
    }

    /// Has these credentials as well, and shows the newest of them before its own.
    #[must_use]
    pub fn with_cards(&self, cards: &Self) -> Self {
        Self { holdings: cards.holdings.iter().rev().chain(&self.holdings).cloned().collect() }
    }

    /// The credentials in it.
    #[must_use]
    pub fn holdings(&self) -> &[Holding] {
        &self.holdings
    }

    /// What this wallet would show: for each credential of the query the first of its own that satisfies it, with the
    /// first set of claims that it can show (6.4.1), and of each set of credentials the first option that is complete
    /// (6.4.2).
    ///
    /// # Errors
    /// [`WalletError::Unanswerable`] if the wallet has not what is required.
    pub fn choose(&self, request: &Request) -> Result<Choice, WalletError> {
        self.choose_by(request, None)
    }

    /// All that this wallet could show instead, what [`choose`](Self::choose) chooses first: where the verifier takes one
    /// of several credentials, each that is there.
    #[must_use]
    pub fn choices(&self, request: &Request) -> Vec<Choice> {
        let mut choices: Vec<Choice> = self.choose(request).into_iter().collect();
        for (set, options) in request.query.credential_sets.iter().flatten().enumerate() {
            for option in 0..options.options.len() {
                match self.choose_by(request, Some((set, option))) {
                    Ok(other) if !choices.contains(&other) => choices.push(other),
                    _ => {}
                }
            }
        }
        choices
    }

    /// The same with one option of one set before the others of that set.
    fn choose_by(&self, request: &Request, first: Option<(usize, usize)>) -> Result<Choice, WalletError> {
        let mut found = BTreeMap::new();
        for query in &request.query.credentials {
            let chosen =
                self.holdings.iter().enumerate().find_map(|(at, holding)| Some((at, holding.satisfies(query)?)));
            found.extend(
                chosen.map(|(holding, paths)| (query.id.as_str(), Chosen { query: query.id.clone(), holding, paths })),
            );
        }
        let mut wanted = BTreeSet::new();
        match &request.query.credential_sets {
            None => wanted.extend(request.query.credentials.iter().map(|query| query.id.as_str())),
            Some(sets) => {
                for (at, set) in sets.iter().enumerate() {
                    let complete = |option: &&Vec<String>| option.iter().all(|id| found.contains_key(id.as_str()));
                    let first = first.filter(|(set, _)| *set == at).and_then(|(_, option)| set.options.get(option));
                    match first.into_iter().chain(&set.options).find(complete) {
                        Some(option) => wanted.extend(option.iter().map(String::as_str)),
                        None if set.required => return Err(WalletError::Unanswerable),
                        None => {}
                    }
                }
            }
        }
        let shown: Option<Vec<Chosen>> = wanted.into_iter().map(|id| found.remove(id)).collect();
        match shown {
            Some(shown) if !shown.is_empty() => Ok(Choice { shown }),
            _ => Err(WalletError::Unanswerable),
        }
    }

    /// The form to post to [`Request::response_uri`], with these faults in it.
    ///
    /// # Errors
    /// If signing or encrypting fails, or a fault asks for what the wallet or the query does not have.
    pub fn answer(
        &self,
        request: &Request,
        choice: &Choice,
        faults: &[Fault],
        env: &dyn Env,
    ) -> Result<String, WalletError> {
        let faulty = |fault| faults.contains(&fault);
        let mut token = Map::new();
        for chosen in &choice.shown {
            let presentation = Presenting { wallet: self, request, chosen, faults, env }.presentation()?;
            let mut entries = vec![json!(presentation)];
            if faulty(Fault::TwoPresentations) {
                entries.push(json!(presentation));
            }
            if faulty(Fault::DeepJson) {
                entries = vec![(0..200).fold(Value::Null, |within, _| json!([within]))];
            }
            if faulty(Fault::UnknownQueryId) {
                token.insert(format!("{}_not_asked", chosen.query), json!(entries));
            }
            let entries = if faulty(Fault::PresentationOutsideArray) { json!(presentation) } else { json!(entries) };
            token.insert(chosen.query.clone(), entries);
        }
        let mut vp_token = Value::Object(token).to_string();
        if faulty(Fault::VpTokenIsString) {
            vp_token = json!(vp_token).to_string();
        }
        if faulty(Fault::DuplicateMember) {
            let inner = vp_token.trim_start_matches('{').trim_end_matches('}');
            vp_token = format!("{{{inner},{inner}}}");
        }
        let state = match &request.state {
            Some(_) if faulty(Fault::WrongState) => Some(random(env)),
            Some(_) if faulty(Fault::NoState) => None,
            state => state.clone(),
        };
        let mut form = form_urlencoded::Serializer::new(String::new());
        match &request.encryption {
            Some((key, enc)) if !faulty(Fault::PlainAnswer) => {
                let state = state.map(|state| format!(r#","state":{}"#, json!(state))).unwrap_or_default();
                let payload = format!(r#"{{"vp_token":{vp_token}{state}}}"#);
                form.append_pair("response", &encrypted(payload.as_bytes(), key, *enc, faults, env)?);
            }
            _ => {
                form.append_pair("vp_token", &vp_token);
                if let Some(state) = state {
                    form.append_pair("state", &state);
                }
            }
        }
        if faulty(Fault::OversizeBody) {
            form.append_pair("more", &"m".repeat(1024 * 1024));
        }
        Ok(form.finish())
    }
}

/// What a wallet is about to show: for a consent screen, and for [`Wallet::answer`].
#[derive(Clone, Debug, PartialEq)]
pub struct Choice {
    shown: Vec<Chosen>,
}

impl Choice {
    /// The credentials that will be shown.
    #[must_use]
    pub fn shown(&self) -> &[Chosen] {
        &self.shown
    }
}

/// One credential that will be shown.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Chosen {
    /// The id of the query that it answers.
    pub query: String,
    /// Which of [`Wallet::holdings`] it is.
    pub holding: usize,
    /// The claims that will be shown, as paths of the query (7).
    pub paths: Vec<Vec<Value>>,
}

impl Chosen {
    /// The claims by name, such as `address.locality`.
    #[must_use]
    pub fn claims(&self) -> Vec<String> {
        let name = |component: &Value| match component {
            Value::String(name) => name.clone(),
            Value::Null => "*".to_owned(),
            other => other.to_string(),
        };
        self.paths.iter().map(|path| path.iter().map(name).collect::<Vec<_>>().join(".")).collect()
    }
}

/// A credential in a wallet, opened.
#[derive(Clone)]
pub struct Holding {
    issuer_jwt: String,
    key: SigningKey,
    /// Where the wallet keeps it outside of its memory.
    scalar: Option<[u8; 32]>,
    hash: Hash,
    types: Vec<String>,
    authority_key_ids: Vec<String>,
    claims: Value,
    disclosures: Vec<Disclosure>,
    /// The mdoc that it is, if it is none of the above.
    #[cfg(feature = "mdoc")]
    document: Option<Held>,
}

/// A disclosure, and what it discloses.
#[derive(Clone)]
struct Disclosure {
    text: String,
    path: Vec<Value>,
}

impl Holding {
    fn read(sd_jwt: &str, key: SigningKey) -> Result<Self, WalletError> {
        let (issuer_jwt, disclosures) = sd_jwt.split_once('~').ok_or(WalletError::Credential)?;
        let jws = Jws::parse(issuer_jwt, &Limits::default())?;
        let mut claims = jws.unverified_claims().clone();
        let hash = match claims.remove("_sd_alg") {
            None => Hash::default(),
            Some(name) => name.as_str().and_then(Hash::from_name).ok_or(WalletError::Credential)?,
        };
        let by_digest = disclosures.split_terminator('~').map(|text| (hash.of(text), text)).collect();
        let mut reading = Reading { by_digest, disclosures: Vec::new() };
        let claims = reading.value(Value::Object(claims), &[])?;
        let mut types = vec![claims.get("vct").and_then(Value::as_str).ok_or(WalletError::Credential)?.to_owned()];
        types.extend(strings(claims.get("aka_vcts")));
        let chain = jws.header().x5c.iter().flatten();
        let authority_key_ids = chain
            .filter_map(|der| Some(base64url_encode(Certificate::from_der(der).ok()?.authority_key_id()?)))
            .collect();
        Ok(Self {
            issuer_jwt: issuer_jwt.to_owned(),
            key,
            scalar: None,
            hash,
            types,
            authority_key_ids,
            claims,
            disclosures: reading.disclosures,
            #[cfg(feature = "mdoc")]
            document: None,
        })
    }

    fn as_issued(&self) -> String {
        let disclosures: String = self.disclosures.iter().map(|disclosure| format!("{}~", disclosure.text)).collect();
        format!("{}~{disclosures}", self.issuer_jwt)
    }

    /// Its format, as a query names it.
    #[must_use]
    pub const fn format(&self) -> &'static str {
        #[cfg(feature = "mdoc")]
        if self.document.is_some() {
            return MSO_MDOC;
        }
        SD_JWT_VC
    }

    /// Its type, and those that it is also known as.
    #[must_use]
    pub fn types(&self) -> &[String] {
        &self.types
    }

    /// Everything that it could show, with what it always shows.
    #[must_use]
    pub const fn claims(&self) -> &Value {
        &self.claims
    }

    /// The paths that answer a query, if this credential satisfies it.
    fn satisfies(&self, query: &CredentialQuery) -> Option<Vec<Vec<Value>>> {
        let candidate = Candidate {
            format: self.format(),
            types: &self.types,
            holder_bound: true,
            claims: &self.claims,
            authority_key_ids: &self.authority_key_ids,
        };
        let matched = query.select(&candidate).ok()?;
        Some(matched.claims.iter().map(|(claim, _)| claim.path.clone()).collect())
    }

    /// What must be disclosed to show these claims: they, what they stand in, and what stands in them.
    fn disclosing(&self, paths: &[Vec<Value>]) -> Vec<&str> {
        let meets = |path: &[Value], asked: &[Value]| {
            path.iter()
                .zip(asked)
                .all(|(component, asked)| component == asked || (asked.is_null() && component.is_u64()))
        };
        let shown = |disclosure: &&Disclosure| paths.iter().any(|asked| meets(&disclosure.path, asked));
        self.disclosures.iter().filter(shown).map(|disclosure| disclosure.text.as_str()).collect()
    }
}

impl fmt::Debug for Holding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Holding").field("types", &self.types).finish_non_exhaustive()
    }
}

/// Why a wallet does not go on.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum WalletError {
    /// The link is not one to a wallet.
    #[error("the link does not ask a wallet: {what}")]
    Link {
        /// What is wrong.
        what: &'static str,
    },
    /// The request object breaks a rule.
    #[error("the request object: {what}")]
    Request {
        /// Which.
        what: &'static str,
    },
    /// A token, key or ciphertext.
    #[error(transparent)]
    Jose(#[from] JoseError),
    /// A certificate, or its path.
    #[error(transparent)]
    X509(#[from] X509Error),
    /// The query.
    #[error(transparent)]
    Dcql(#[from] DcqlError),
    /// What the issuer handed out is no SD-JWT VC.
    #[error("the credential does not open")]
    Credential,
    /// An mdoc cannot be shown.
    #[cfg(feature = "mdoc")]
    #[error(transparent)]
    Mdoc(#[from] MdocError),
    /// The wallet has not what is required.
    #[error("no credential in the wallet satisfies the query")]
    Unanswerable,
    /// A fault needs what is not there.
    #[error("{0:?} needs what this wallet or this query does not have")]
    Fault(Fault),
    /// The verifier's answer is not what OpenID4VP says in 8.2.
    #[error("the verifier's answer is no JSON object with a `redirect_uri`")]
    Outcome,
    /// There is no offer, or none that this wallet can take.
    #[error("no offer that this wallet can take")]
    Offer,
    /// An issuer's answer is not what OpenID4VCI says.
    #[error("the issuer's answer is not what the standard says")]
    Issuer,
    /// An issuer refuses a step.
    #[error("the issuer answers {status} {error}")]
    Refused {
        /// The HTTP status.
        status: u16,
        /// The standard's name for it.
        error: String,
    },
}

/// One presentation in the making.
struct Presenting<'a> {
    wallet: &'a Wallet,
    request: &'a Request,
    chosen: &'a Chosen,
    faults: &'a [Fault],
    env: &'a dyn Env,
}

impl Presenting<'_> {
    fn presentation(&self) -> Result<String, WalletError> {
        let holding = self.holding()?;
        #[cfg(feature = "mdoc")]
        if let Some(document) = &holding.document {
            return self.device_response(document);
        }
        let mut paths = self.chosen.paths.clone();
        if self.faulty(Fault::MissingClaim) {
            paths.pop().ok_or(WalletError::Fault(Fault::MissingClaim))?;
        }
        let mut disclosures: Vec<String> = holding.disclosing(&paths).into_iter().map(str::to_owned).collect();
        if self.faulty(Fault::DuplicateDisclosure) {
            disclosures.push(disclosures.first().cloned().ok_or(WalletError::Fault(Fault::DuplicateDisclosure))?);
        }
        if self.faulty(Fault::UnreferencedDisclosure) {
            disclosures.push(self.made_up("given_name"));
        }
        if self.faulty(Fault::DisclosureNamedSd) {
            let issued = holding.disclosures.iter().find(|disclosure| disclosure.path.last() == Some(&json!("_sd")));
            disclosures.push(issued.map_or_else(|| self.made_up("_sd"), |disclosure| disclosure.text.clone()));
        }
        let mut bound = match self.faulty(Fault::IssuerSignatureBroken) {
            false => holding.issuer_jwt.clone(),
            true => broken(&holding.issuer_jwt),
        };
        bound.push('~');
        for disclosure in disclosures {
            bound.push_str(&disclosure);
            bound.push('~');
        }
        let query = self.request.query.credential(&self.chosen.query);
        if self.faulty(Fault::NoHolderProof) || query.is_some_and(|query| !query.require_cryptographic_holder_binding) {
            return Ok(bound);
        }
        let proof = self.proof(holding, &bound)?;
        if self.faulty(Fault::DisclosureAddedAfterProof) {
            bound.push_str(&self.made_up("given_name"));
            bound.push('~');
        }
        Ok(bound + &proof)
    }

    /// What the device of an mdoc sends: the elements that were asked for.
    #[cfg(feature = "mdoc")]
    fn device_response(&self, document: &Held) -> Result<String, WalletError> {
        let element = |path: &'_ Vec<Value>| match path.as_slice() {
            [Value::String(namespace), Value::String(element)] => Some((namespace.clone(), element.clone())),
            _ => None,
        };
        let elements: Vec<(String, String)> = self.chosen.paths.iter().filter_map(element).collect();
        let elements: Vec<(&str, &str)> =
            elements.iter().map(|(space, name)| (space.as_str(), name.as_str())).collect();
        let same = |fault: &Fault| match fault {
            Fault::WrongNonce => Some(mdoc::Fault::WrongNonce),
            Fault::WrongAudience => Some(mdoc::Fault::WrongAudience),
            Fault::AudienceWithoutPrefix => Some(mdoc::Fault::AudienceWithoutPrefix),
            Fault::HolderSignatureBroken => Some(mdoc::Fault::DeviceSignatureBroken),
            Fault::ForeignHolderKey => Some(mdoc::Fault::ForeignDeviceKey),
            Fault::NoHolderProof => Some(mdoc::Fault::NoDeviceAuth),
            Fault::IssuerSignatureBroken => Some(mdoc::Fault::IssuerSignatureBroken),
            Fault::MissingClaim => Some(mdoc::Fault::MissingElement),
            _ => None,
        };
        let faults: Vec<mdoc::Fault> = self.faults.iter().filter_map(same).collect();
        Ok(document.present(self.request, &elements, &faults, self.env)?)
    }

    fn holding(&self) -> Result<&Holding, WalletError> {
        let chosen = self.wallet.holdings.get(self.chosen.holding).ok_or(WalletError::Unanswerable)?;
        if !self.faulty(Fault::WrongType) {
            return Ok(chosen);
        }
        let mut others = self.wallet.holdings.iter().filter(|other| other.format() == chosen.format());
        let other = others.find(|other| other.types.iter().all(|it| !chosen.types.contains(it)));
        other.ok_or(WalletError::Fault(Fault::WrongType))
    }

    /// The key binding JWT (RFC 9901, 4.3).
    fn proof(&self, holding: &Holding, bound: &str) -> Result<String, WalletError> {
        const YEAR_S: u64 = 365 * 24 * 3600;
        let now = self.env.now();
        let iat = if self.faulty(Fault::HolderProofInPast) {
            now.minus_s(YEAR_S)
        } else if self.faulty(Fault::HolderProofInFuture) {
            now.plus_s(YEAR_S)
        } else {
            now
        };
        let by_origin = self.request.origin.as_ref().map(|origin| match () {
            () if self.faulty(Fault::OtherOrigin) => "origin:https://another.example".to_owned(),
            () if self.faulty(Fault::OriginWithSlash) => format!("origin:{origin}/"),
            () if self.faulty(Fault::AudienceIsClientId) => self.request.client_id.clone(),
            () => format!("origin:{origin}"),
        });
        let client_id = by_origin.as_deref().unwrap_or(&self.request.client_id);
        let aud = if self.faulty(Fault::WrongAudience) {
            "x509_san_dns:another.example"
        } else if self.faulty(Fault::AudienceWithoutPrefix) {
            client_id.split_once(':').map_or(client_id, |(_, name)| name)
        } else {
            client_id
        };
        let nonce = if self.faulty(Fault::WrongNonce) { random(self.env) } else { self.request.nonce.clone() };
        let hashed = if self.faulty(Fault::WrongSdHash) { "another~" } else { bound };
        let mut claims = Map::from_iter([
            ("iat".to_owned(), json!(iat)),
            ("aud".to_owned(), json!(aud)),
            ("nonce".to_owned(), json!(nonce)),
            ("sd_hash".to_owned(), json!(holding.hash.of(hashed))),
        ]);
        self.add_transaction_data(&mut claims)?;
        let foreign;
        let key = if self.faulty(Fault::ForeignHolderKey) {
            foreign = SigningKey::from_p256_scalar(&scalar(self.env))?;
            &foreign
        } else {
            &holding.key
        };
        let header = Map::from_iter([("typ".to_owned(), json!("kb+jwt"))]);
        let proof = key.sign_jws(&header, &Value::Object(claims))?;
        Ok(if self.faulty(Fault::HolderSignatureBroken) { broken(&proof) } else { proof })
    }

    /// The hashes of what this credential is to authorise (OpenID4VP, B.3.3.1).
    fn add_transaction_data(&self, claims: &mut Map<String, Value>) -> Result<(), WalletError> {
        let mut hash = None;
        let mut hashes = Vec::new();
        for data in &self.request.transaction_data {
            let object: Value = serde_json::from_slice(&base64url_decode(data)?)
                .map_err(|_| WalletError::Request { what: "`transaction_data` is no JSON" })?;
            if !strings(object.get("credential_ids")).contains(&self.chosen.query) {
                continue;
            }
            let allowed = strings(object.get("transaction_data_hashes_alg"));
            if !allowed.is_empty() {
                let named = allowed.iter().find_map(|name| Hash::from_name(name));
                hash = Some(named.ok_or(WalletError::Request { what: "`transaction_data_hashes_alg`" })?);
            }
            hashes.push(hash.unwrap_or_default().of(data));
        }
        if self.faulty(Fault::TransactionDataExtra) {
            hashes.push(hash.unwrap_or_default().of("another"));
        }
        if hashes.is_empty() || self.faulty(Fault::TransactionDataMissing) {
            return Ok(());
        }
        claims.insert("transaction_data_hashes".to_owned(), json!(hashes));
        if let Some(hash) = hash {
            claims.insert("transaction_data_hashes_alg".to_owned(), json!(hash.name()));
        }
        Ok(())
    }

    /// A disclosure that no issuer signed.
    fn made_up(&self, name: &str) -> String {
        base64url_encode(json!([random(self.env), name, "Eve"]).to_string().as_bytes())
    }

    fn faulty(&self, fault: Fault) -> bool {
        self.faults.contains(&fault)
    }
}

/// Opens a credential that its issuer handed out, and notes where each disclosure belongs.
struct Reading<'a> {
    by_digest: HashMap<String, &'a str>,
    disclosures: Vec<Disclosure>,
}

impl Reading<'_> {
    fn value(&mut self, value: Value, path: &[Value]) -> Result<Value, WalletError> {
        match value {
            Value::Object(mut members) => {
                let digests = strings(members.remove("_sd").as_ref());
                let mut opened = Map::new();
                for (name, member) in members {
                    let member = self.value(member, &below(path, json!(name)))?;
                    opened.insert(name, member);
                }
                for digest in digests {
                    let Some((text, content)) = self.content(&digest)? else { continue };
                    let Ok([_salt, Value::String(name), member]) = <[Value; 3]>::try_from(content) else {
                        return Err(WalletError::Credential);
                    };
                    let path = below(path, json!(name));
                    self.disclosures.push(Disclosure { text, path: path.clone() });
                    let member = self.value(member, &path)?;
                    opened.insert(name, member);
                }
                Ok(Value::Object(opened))
            }
            Value::Array(elements) => {
                let mut opened = Vec::new();
                for element in elements {
                    let path = below(path, json!(opened.len()));
                    let Some(digest) = element.get("...").and_then(Value::as_str) else {
                        opened.push(self.value(element, &path)?);
                        continue;
                    };
                    let Some((text, content)) = self.content(digest)? else { continue };
                    let Ok([_salt, element]) = <[Value; 2]>::try_from(content) else {
                        return Err(WalletError::Credential);
                    };
                    self.disclosures.push(Disclosure { text, path: path.clone() });
                    opened.push(self.value(element, &path)?);
                }
                Ok(Value::Array(opened))
            }
            scalar => Ok(scalar),
        }
    }

    fn content(&mut self, digest: &str) -> Result<Option<(String, Vec<Value>)>, WalletError> {
        // A disclosure is taken out when it is read, so that a credential which names itself comes to an end.
        let Some(text) = self.by_digest.remove(digest) else { return Ok(None) };
        let content = serde_json::from_slice(&base64url_decode(text)?).map_err(|_| WalletError::Credential)?;
        Ok(Some((text.to_owned(), content)))
    }
}

fn below(path: &[Value], component: Value) -> Vec<Value> {
    path.iter().cloned().chain([component]).collect()
}

/// The first key of the metadata that an answer can be encrypted to, and the first offered way of doing so; A128GCM if
/// nothing is offered (OpenID4VP, 5.1).
fn encryption(metadata: &Value) -> Option<(Value, ContentEncryption)> {
    let usable = |jwk: &&Value| {
        let is = |member: &str, value: &str| jwk.get(member).and_then(Value::as_str) == Some(value);
        is("crv", "P-256") && is("alg", "ECDH-ES") && is("use", "enc") && jwk.get("kid").is_some()
    };
    let key = metadata.get("jwks")?.get("keys")?.as_array()?.iter().find(usable)?;
    let offered = metadata.get("encrypted_response_enc_values_supported");
    let known = [ContentEncryption::A128Gcm, ContentEncryption::A256Gcm];
    let enc = match offered {
        None => ContentEncryption::A128Gcm,
        Some(offered) => {
            strings(Some(offered)).iter().find_map(|name| known.into_iter().find(|enc| enc.name() == name))?
        }
    };
    Some((key.clone(), enc))
}

fn encrypted(
    payload: &[u8],
    key: &Value,
    enc: ContentEncryption,
    faults: &[Fault],
    env: &dyn Env,
) -> Result<String, WalletError> {
    if faults.contains(&Fault::ForeignEncryptionKey) {
        let kid = key.get("kid").and_then(Value::as_str).unwrap_or_default();
        return Ok(encrypt(payload, &DecryptionKey::from_scalar(&scalar(env), kid)?.public_jwk(), enc)?);
    }
    let jwe = encrypt(payload, key, enc)?;
    let rewritten = |member: &str, value: &str| -> Result<String, WalletError> {
        let (header, rest) = jwe.split_once('.').ok_or(JoseError::Crypto)?;
        let header = serde_json::from_slice(&base64url_decode(header)?);
        let mut header: Map<String, Value> = header.map_err(|_| JoseError::Crypto)?;
        header.insert(member.to_owned(), json!(value));
        Ok(format!("{}.{rest}", base64url_encode(Value::Object(header).to_string().as_bytes())))
    };
    if faults.contains(&Fault::CompressedEncryption) {
        rewritten("zip", "DEF")
    } else if faults.contains(&Fault::WrongContentEncryption) {
        rewritten("enc", "A128CBC-HS256")
    } else {
        Ok(jwe)
    }
}

/// A JWS with one character of its signature changed, canonical as before.
fn broken(jws: &str) -> String {
    let (input, signature) = jws.rsplit_once('.').unwrap_or((jws, ""));
    let first = if signature.starts_with('A') { 'B' } else { 'A' };
    format!("{input}.{first}{}", signature.get(1..).unwrap_or_default())
}

fn strings(value: Option<&Value>) -> Vec<String> {
    let elements = value.and_then(Value::as_array).into_iter().flatten();
    elements.filter_map(Value::as_str).map(str::to_owned).collect()
}

/// 256 bits as base64url, fit for a nonce.
fn random(env: &dyn Env) -> String {
    base64url_encode(&scalar(env))
}

/// The scalar of a throw-away key: below the order of P-256 whatever is drawn.
pub(super) fn scalar(env: &dyn Env) -> [u8; 32] {
    let mut bytes = [0; 32];
    env.fill(&mut bytes);
    let [first, .., last] = &mut bytes;
    (*first, *last) = (*first & 0x7f, *last | 1);
    bytes
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU64, Ordering};

    use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer as Authority, KeyPair, KeyUsagePurpose};

    use super::*;
    use crate::{
        format::{Against, Channel, Format, IssuerRef, sd_jwt_vc::SdJwtVc},
        protocol::{
            jose::PublicKey,
            openid4vp::{
                Answer, ClientId, RequestObject, ResponseContext, TransactionData, read_response, wallet_link,
            },
            status_list::{Status, StatusList},
            status_ref::StatusRef,
        },
        testing::issuer::{Credential, Issuer},
    };

    const NOW: UnixTime = UnixTime::from_secs(1_795_000_000);
    const NONCE: &str = "a-nonce-of-enough-characters-for-128-bits";
    const STATE: &str = "a-state-of-enough-characters-for-128-bits";

    /// The time stands still, and the random bytes count.
    #[derive(Debug, Default)]
    struct Counting(AtomicU64);

    impl Env for Counting {
        fn now(&self) -> UnixTime {
            NOW
        }

        fn fill(&self, bytes: &mut [u8]) {
            let count = self.0.fetch_add(1, Ordering::Relaxed).to_be_bytes();
            for (byte, count) in bytes.iter_mut().zip(count.iter().cycle()) {
                *byte = *count;
            }
        }
    }

    fn key(scalar: u8) -> SigningKey {
        SigningKey::from_p256_scalar(&[scalar; 32]).unwrap()
    }

    /// A key with a certificate for `shop.example` below a root of its own.
    fn certified() -> (SigningKey, Vec<u8>, Certificate) {
        let mut root = CertificateParams::default();
        root.distinguished_name.push(DnType::CommonName, "Root");
        root.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        root.key_usages = vec![KeyUsagePurpose::KeyCertSign];
        let root_key = KeyPair::generate().unwrap();
        let anchor = root.self_signed(&root_key).unwrap();
        let authority = Authority::new(root, root_key);
        let mut leaf = CertificateParams::new(vec!["shop.example".to_owned()]).unwrap();
        leaf.distinguished_name.push(DnType::CommonName, "Shop");
        leaf.use_authority_key_identifier_extension = true;
        leaf.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        let leaf_key = KeyPair::generate().unwrap();
        let certificate = leaf.signed_by(&leaf_key, &authority).unwrap();
        let signer = SigningKey::from_pkcs8_der(&leaf_key.serialize_der()).unwrap();
        (signer, certificate.der().to_vec(), Certificate::from_der(anchor.der()).unwrap())
    }

    fn issuer() -> Issuer {
        let status = "https://issuer.example/status/1".parse().unwrap();
        Issuer::by_metadata(key(1), "https://issuer.example".parse().unwrap(), "k1", status)
    }

    fn pid(env: &dyn Env) -> String {
        let mut credential = Credential::new("urn:example:national:pid:1", NOW.minus_s(1000));
        credential.aka_vcts = vec!["urn:eudi:pid:1".to_owned()];
        credential.holder = Some(key(2).public_key().clone());
        credential.status_index = Some(7);
        credential.decoys = 2;
        credential.claims = json!({
            "given_name": "Łukasz",
            "age_equal_or_over": {"16": true, "18": true, "65": false},
            "address": {"locality": "Köln", "country": "DE"},
            "nationalities": ["DE", "PL"],
            "_sd": "an issuer's mistake",
        })
        .as_object()
        .unwrap()
        .clone();
        issuer().issue(&credential, env).unwrap()
    }

    fn wallet(env: &dyn Env) -> Wallet {
        let mut wallet = Wallet::new();
        wallet.hold(&pid(env), key(2)).unwrap();
        let mut other = Credential::new("urn:example:library-card", NOW);
        other.holder = Some(key(2).public_key().clone());
        other.claims.insert("number".to_owned(), json!("1"));
        wallet.hold(&issuer().issue(&other, env).unwrap(), key(2)).unwrap();
        wallet
    }

    fn query(claims: Value) -> Query {
        let json = json!({"credentials": [{
            "id": "pid", "format": "dc+sd-jwt", "meta": {"vct_values": ["urn:eudi:pid:1"]}, "claims": claims,
        }]});
        Query::parse(&json, &Limits::default()).unwrap()
    }

    fn age() -> Query {
        query(json!([{"path": ["age_equal_or_over", "18"]}]))
    }

    fn request(query: Query, mode: ResponseMode, transaction_data: Vec<String>) -> Request {
        Request {
            client_id: "x509_san_dns:shop.example".to_owned(),
            client_name: None,
            response_uri: "https://shop.example/wallet/responses/1".parse().unwrap(),
            response_mode: mode,
            nonce: NONCE.to_owned(),
            state: Some(STATE.to_owned()),
            query,
            transaction_data,
            encryption: match mode {
                ResponseMode::DirectPost => None,
                ResponseMode::DirectPostJwt => Some((recipient().public_jwk(), ContentEncryption::A256Gcm)),
            },
            origin: None,
            verifier_info: Vec::new(),
        }
    }

    fn recipient() -> DecryptionKey {
        DecryptionKey::from_scalar(&[9; 32], "enc-1").unwrap()
    }

    /// The verifier's whole check of an answer to `request`: the disclosed claims of its one presentation.
    fn check(request: &Request, form: &str) -> Result<Value, String> {
        let limits = Limits::default();
        let recipient = recipient();
        let context = ResponseContext {
            mode: request.response_mode,
            state: STATE,
            key: Some(&recipient),
            accepted: &[ContentEncryption::A128Gcm, ContentEncryption::A256Gcm],
            query: &request.query,
            limits: &limits,
        };
        let answer = read_response(form.as_bytes(), &context).map_err(|error| error.code().to_owned())?;
        let Answer::Presentations(presentations) = answer else { return Err(format!("{answer:?}")) };
        let presented = &presentations[0].1[0];
        let unverified = SdJwtVc::new().parse(presented, &limits).map_err(|error| error.code().to_owned())?;
        assert!(matches!(unverified.issuer(), IssuerRef::Metadata { iss: "https://issuer.example", kid: Some("k1") }));
        let authentic = unverified
            .verify(&Against {
                issuer_key: &PublicKey::from_jwk(&issuer().metadata().unwrap()["jwks"]["keys"][0]).unwrap(),
                channel: Channel::Redirect {
                    client_id: &request.client_id,
                    response_uri: "https://shop.example/wallet/responses/1",
                },
                encryption_key: None,
                nonce: NONCE,
                transaction_data: &request.transaction_data,
                holder_binding: true,
                now: NOW,
                holder_proof_age_s: 300,
                skew_s: 60,
                limits: &limits,
            })
            .map_err(|error| error.code().to_owned())?;
        let candidate = Candidate {
            format: SD_JWT_VC,
            types: authentic.types(),
            holder_bound: authentic.holder_bound(),
            claims: authentic.claims(),
            authority_key_ids: &[],
        };
        request.query.credentials[0].select(&candidate).map_err(|error| error.code().to_owned())?;
        Ok(authentic.claims().clone())
    }

    fn answered(query: Query, mode: ResponseMode, faults: &[Fault]) -> Result<Value, String> {
        let env = Counting::default();
        let request = request(query, mode, Vec::new());
        let wallet = wallet(&env);
        let choice = wallet.choose(&request).unwrap();
        check(&request, &wallet.answer(&request, &choice, faults, &env).unwrap())
    }

    #[test]
    fn shows_what_was_asked_and_nothing_besides() {
        for mode in [ResponseMode::DirectPost, ResponseMode::DirectPostJwt] {
            assert_eq!(answered(age(), mode, &[]), Ok(json!({"age_equal_or_over": {"18": true}})));
        }
        let show = |claims| answered(query(claims), ResponseMode::DirectPost, &[]).unwrap();
        let address = json!({"locality": "Köln", "country": "DE"});
        assert_eq!(show(json!([{"path": ["address"]}])), json!({ "address": address }));
        assert_eq!(show(json!([{"path": ["nationalities", null]}])), json!({"nationalities": ["DE", "PL"]}));
        assert_eq!(show(json!([{"path": ["nationalities", 0]}])), json!({"nationalities": ["DE"]}));
    }

    #[test]
    fn takes_the_first_claim_set_that_it_can_show() {
        let json = json!({"credentials": [{
            "id": "pid", "format": "dc+sd-jwt", "meta": {"vct_values": ["urn:eudi:pid:1"]},
            "claims": [{"id": "a", "path": ["age_over_18"]}, {"id": "b", "path": ["given_name"]}],
            "claim_sets": [["a"], ["b"]],
        }]});
        let query = Query::parse(&json, &Limits::default()).unwrap();
        assert_eq!(answered(query, ResponseMode::DirectPost, &[]), Ok(json!({"given_name": "Łukasz"})));

        let env = Counting::default();
        let missing = request(self::query(json!([{"path": ["portrait"]}])), ResponseMode::DirectPost, Vec::new());
        assert!(matches!(wallet(&env).choose(&missing), Err(WalletError::Unanswerable)));
    }

    #[test]
    fn each_fault_is_refused_for_what_it_is() {
        let refusals = [
            (Fault::WrongNonce, "key_binding_nonce"),
            (Fault::WrongAudience, "key_binding_audience"),
            (Fault::AudienceWithoutPrefix, "key_binding_audience"),
            (Fault::HolderProofInPast, "key_binding_too_old"),
            (Fault::HolderProofInFuture, "key_binding_in_future"),
            (Fault::HolderSignatureBroken, "key_binding_jwt"),
            (Fault::ForeignHolderKey, "key_binding_jwt"),
            (Fault::WrongSdHash, "key_binding_sd_hash"),
            (Fault::NoHolderProof, "key_binding_missing"),
            (Fault::TransactionDataExtra, "transaction_data_unasked"),
            (Fault::IssuerSignatureBroken, "sd_jwt_issuer_jwt"),
            (Fault::UnreferencedDisclosure, "sd_jwt_unreferenced_disclosure"),
            (Fault::DuplicateDisclosure, "sd_jwt_duplicate_disclosure"),
            (Fault::DisclosureNamedSd, "sd_jwt_reserved_name"),
            (Fault::DisclosureAddedAfterProof, "sd_jwt_unreferenced_disclosure"),
            (Fault::MissingClaim, "claim_missing"),
            (Fault::WrongType, "credential_type_mismatch"),
        ];
        let envelopes = [
            (Fault::UnknownQueryId, "credential_not_asked"),
            (Fault::PresentationOutsideArray, "vp_token_not_an_array"),
            (Fault::TwoPresentations, "credential_not_multiple"),
            (Fault::VpTokenIsString, "vp_token_not_an_object"),
            (Fault::DuplicateMember, "malformed_json"),
            (Fault::DeepJson, "malformed_json"),
            (Fault::WrongState, "state_mismatch"),
            (Fault::NoState, "state_missing"),
            (Fault::OversizeBody, "form_too_long"),
        ];
        for (fault, code) in refusals.into_iter().chain(envelopes) {
            for mode in [ResponseMode::DirectPost, ResponseMode::DirectPostJwt] {
                assert_eq!(answered(age(), mode, &[fault]), Err(code.to_owned()), "{fault:?}");
            }
        }
        let encryption = [
            (Fault::PlainAnswer, "response_unencrypted"),
            (Fault::ForeignEncryptionKey, "jose_decryption"),
            (Fault::CompressedEncryption, "jose_extension"),
            (Fault::WrongContentEncryption, "jose_unsupported_algorithm"),
        ];
        for (fault, code) in encryption {
            assert_eq!(answered(age(), ResponseMode::DirectPostJwt, &[fault]), Err(code.to_owned()), "{fault:?}");
        }
    }

    #[test]
    fn signs_the_transaction_data_that_names_its_credential() {
        let env = Counting::default();
        let (query, wallet) = (age(), wallet(&env));
        let data = |alg: Option<&[&str]>| {
            String::from(TransactionData::new("pay", &["pid"], alg, Map::new(), &query).unwrap())
        };
        for alg in [None, Some(["sha-512"].as_slice())] {
            let request = request(query.clone(), ResponseMode::DirectPostJwt, vec![data(alg)]);
            let choice = wallet.choose(&request).unwrap();
            let with = |faults: &[Fault]| check(&request, &wallet.answer(&request, &choice, faults, &env).unwrap());
            assert!(with(&[]).is_ok(), "{alg:?}");
            assert_eq!(with(&[Fault::TransactionDataMissing]), Err("transaction_data_missing".to_owned()));
            assert_eq!(with(&[Fault::TransactionDataExtra]), Err("transaction_data_mismatch".to_owned()));
        }
    }

    #[test]
    fn reads_a_request_only_if_it_holds() {
        let (signer, leaf, anchor) = certified();
        let limits = Limits::default();
        let (client_id, query, jwk) = (ClientId::x509_hash(&leaf), age(), recipient().public_jwk());
        let response_uri = "https://shop.example/wallet/responses/1".parse().unwrap();
        let claims = RequestObject {
            client_id: &client_id,
            response_uri: &response_uri,
            response_mode: ResponseMode::DirectPostJwt,
            nonce: NONCE,
            state: STATE,
            query: &query,
            formats: &BTreeMap::new(),
            transaction_data: &[],
            encryption_jwk: Some(&jwk),
            encryption_enc: &[ContentEncryption::A128Gcm, ContentEncryption::A256Gcm],
            wallet_nonce: Some("w"),
            verifier_info: &[],
            client_name: None,
            iat: NOW,
            exp: NOW.plus_s(300),
        }
        .claims();
        let uri = "https://shop.example/wallet/requests/1".parse().unwrap();
        let link = Link::parse(&wallet_link("openid4vp://", &client_id, &uri, true).unwrap()).unwrap();
        assert_eq!(link, Link { client_id: client_id.as_str().to_owned(), request_uri: uri, post: true });

        let sign = |key: &SigningKey, claims: &Value| {
            let x5c = base64::Engine::encode(&base64::prelude::BASE64_STANDARD, &leaf);
            let header = json!({"typ": RequestObject::TYP, "x5c": [x5c]});
            key.sign_jws(header.as_object().unwrap(), claims).unwrap()
        };
        let today = UnixTime::from_secs(1_795_000_000);
        let read =
            |object: &str, anchors: &[&Certificate]| Request::read(&link, object, Some("w"), anchors, today, &limits);
        let request = read(&sign(&signer, &claims), &[&anchor]).unwrap();
        assert_eq!(request.nonce, NONCE);
        assert_eq!(request.encryption, Some((jwk.clone(), ContentEncryption::A128Gcm)));
        assert_eq!(request.error("access_denied"), format!("error=access_denied&state={STATE}"));

        assert!(read(&sign(&key(3), &claims), &[&anchor]).is_err(), "another key");
        assert!(read(&sign(&signer, &claims), &[&certified().2]).is_err(), "another anchor");
        for (member, value) in [
            ("client_id", json!("x509_san_dns:another.example")),
            ("aud", json!("https://wallet.example")),
            ("wallet_nonce", json!("v")),
            ("nonce", json!("short")),
            ("redirect_uri", json!("https://shop.example")),
            ("response_mode", json!("fragment")),
            ("exp", json!(NOW)),
            ("dcql_query", json!({})),
            ("client_metadata", json!({"vp_formats_supported": {}})),
        ] {
            let mut claims = claims.clone();
            claims[member] = value;
            assert!(read(&sign(&signer, &claims), &[&anchor]).is_err(), "{member}");
        }
    }

    #[test]
    fn reads_where_the_verifier_sends_its_user() {
        assert_eq!(redirect_uri(b"{}").unwrap(), None);
        let sent = redirect_uri(br#"{"redirect_uri":"https://shop.example/r#response_code=1"}"#).unwrap();
        assert_eq!(sent.unwrap().fragment(), Some("response_code=1"));
        for wrong in [&b"[]"[..], br#"{"redirect_uri":1}"#, br#"{"redirect_uri":""}"#] {
            assert!(redirect_uri(wrong).is_err());
        }
    }

    #[test]
    fn the_status_list_says_which_credentials_still_hold() {
        let issuer = issuer();
        let limits = Limits::default();
        let statuses = BTreeMap::from([(7, Status::Invalid), (8, Status::Suspended), (2000, Status::Invalid)]);
        let revoked = BTreeSet::from([7]);
        let list = |token: &str| {
            let token = StatusList::parse(token, &limits).unwrap();
            StatusList::verify(token, key(1).public_key(), issuer.status_uri(), NOW, &limits).unwrap()
        };
        let read = list(&issuer.status_list_token(NOW, 300, &revoked).unwrap());
        assert_eq!(read.status(7).unwrap(), Status::Invalid);
        assert_eq!(read.status(6).unwrap(), Status::Valid);
        assert!(read.status(1 << 20).is_err());
        let read = list(&issuer.statuses_token(NOW, 300, &statuses).unwrap());
        assert_eq!(read.status(8).unwrap(), Status::Suspended);
        assert_eq!(read.status(2000).unwrap(), Status::Invalid);
        assert_eq!(read.status(9).unwrap(), Status::Valid);

        let env = Counting::default();
        let (jwt, limits) = (pid(&env), Limits::default());
        let presented = json!(format!("{}~", jwt.split('~').next().unwrap()));
        let authentic = SdJwtVc::new().parse(&presented, &limits).unwrap().verify(&Against {
            issuer_key: key(1).public_key(),
            channel: Channel::Redirect {
                client_id: "x509_san_dns:shop.example",
                response_uri: "https://shop.example/wallet/responses/1",
            },
            encryption_key: None,
            nonce: NONCE,
            transaction_data: &[],
            holder_binding: false,
            now: NOW,
            holder_proof_age_s: 300,
            skew_s: 60,
            limits: &limits,
        });
        let uri = issuer.status_uri().clone();
        assert_eq!(authentic.unwrap().status(), Some(&StatusRef::TokenList { uri, index: 7 }));
    }
}
