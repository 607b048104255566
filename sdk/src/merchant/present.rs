//! From the ask to an answer that holds: ask, request, answer, decline.

use std::{collections::BTreeMap, sync::Arc};

use serde_json::{Value, json};
use tokio::sync::broadcast;
use url::Url;

use super::{
    ClientIdPrefix, Inner, Merchant, RACES_MAX, lost_the_race, meta_of, proof::was_spent, put, status::Vouched,
};
use crate::{
    ask::{self, AGE, Ask, AskedFor, Device, Established, RELATIONSHIP, StatusPolicy, Wanted, is_relationship},
    customer::BindingName,
    error::{AnswerError, Error, Fault, ProofError, Refusal},
    fetch::{FetchError, FetchRequest},
    format::{
        Against, Authentic, Channel, Format, IssuerRef, Unverified,
        sd_jwt_vc::{self, SdJwtVc},
    },
    keys::Identity,
    merchant::BrowserProof,
    presentation::{
        ANSWER_WITHIN_S, Asked, Claims, Declined, Delivered, Delivery, ENCRYPTIONS, HOLDER_PROOF_AGE_S, Presentation,
        PresentationId, Redeemed, Relationship, RequestId, Requested, ResponseCode, SKEW_S, State, Verified, query_of,
        signs_with, transaction_data,
    },
    protocol::{
        dcql::{Candidate, ClaimQuery, DcqlError, Query},
        jose::{DecryptionKey, JoseError, PublicKey},
        openid4vp::{
            Answer, ClientId, RequestObject, RequestPost, ResponseContext, ResponseError, ResponseMode, read_response,
            wallet_link, wallet_link_by_value,
        },
        registration::types_in,
        status_list::Status,
    },
    store::{Expect, Key, Persisted, StoreError, Version},
    time::UnixTime,
    trust::{Decision, MetadataKey, TrustError, metadata_key},
};

mod dc_api;
#[cfg(feature = "mdoc")]
mod iso_mdoc;
#[cfg(feature = "mdoc")]
mod till;

pub use dc_api::{BrowserAnswered, BrowserRequest};
#[cfg(feature = "mdoc")]
pub use till::ReaderSession;

#[cfg(feature = "mdoc")]
use crate::{format::mdoc::OwnMdoc, protocol::dcql::MSO_MDOC};

/// What opens whichever wallet is installed (OpenID4VP 1.0, 13.1.2).
const SCHEME: &str = "openid4vp://";
/// What opens an age verification app (EU age verification, annex A.5).
const AGE_EU_SCHEME: &str = "av://";
/// An issuer's metadata or key set, in bytes.
const ISSUER_DOCUMENT_BYTES: usize = 64 * 1024;
/// How long an issuer's documents are kept unless the issuer says less, in seconds: a withdrawn key is gone by then.
pub(super) const ISSUER_DOCUMENT_S: u64 = 3600;
/// What decides that a sealed text is a claim or a key, whatever record it is put into.
const CLAIMS: &str = "presentation claims";
const DECRYPTION_KEY: &str = "presentation key";

/// What a browser asks for.
#[derive(Clone, Copy, Debug)]
pub struct AskRequest<'a> {
    /// The name of a declared ask.
    pub ask: &'a str,
    /// Where the wallet is expected.
    pub device: Device,
    /// The path of this shop to go to afterwards.
    pub return_to: Option<&'a str>,
}

/// What a browser needs to bring a wallet here.
#[derive(Clone, Debug)]
pub struct Invitation {
    /// The browser's name for the presentation: a secret of the browser that asked.
    pub id: PresentationId,
    /// How long a wallet has, in seconds.
    pub expires_in_s: u64,
    /// Where the wallet fetches the request; none if the link holds all of it.
    pub request_uri: Option<Url>,
    /// The link that opens whichever wallet is installed, also what a QR code holds.
    pub wallet_uri: String,
    /// A link for each wallet that the merchant lists.
    pub wallets: Vec<WalletLink>,
}

/// A link to one wallet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WalletLink {
    /// What it says.
    pub name: String,
    /// Where it leads.
    pub url: String,
}

/// How a presentation stands, for the browser that asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Standing {
    /// The state.
    pub state: State,
    /// The code of the last refused answer, so that the page can say what was wrong.
    pub last_refusal: Option<String>,
}

/// What a wallet is told after its answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answered {
    /// Where it sends its owner: back to the browser on the same device, nowhere from another.
    pub redirect_uri: Option<String>,
}

impl Merchant {
    /// A browser asks. Makes a record and nothing else: keys and signatures come when a wallet looks.
    ///
    /// # Errors
    /// [`Refusal::NoSuchAsk`], [`Refusal::ReturnTo`], [`Refusal::BindingLocked`] if the customer signed out with this
    /// key, [`ProofError::Replayed`].
    pub async fn ask(&self, browser: &BrowserProof, request: &AskRequest<'_>) -> Result<Invitation, Error> {
        let ask = self.declared(request.ask).ok_or(Refusal::NoSuchAsk)?;
        self.ask_for(browser, ask, request.device, request.return_to).await
    }

    /// The same for a declared ask with a [transaction](Ask::transaction) of this moment.
    ///
    /// # Errors
    /// As [`Merchant::ask`]; [`Error::Misuse`] if anything else differs from the declared one, by which the answer is
    /// judged.
    pub async fn ask_for(
        &self,
        browser: &BrowserProof,
        ask: &Ask,
        device: Device,
        return_to: Option<&str>,
    ) -> Result<Invitation, Error> {
        if !self.declared(ask.name()).ok_or(Refusal::NoSuchAsk)?.is_the_same_question(ask) {
            return Err(Error::Misuse(format!("the ask {:?} is not the one that was declared", ask.name())));
        }
        if !return_to.is_none_or(is_own_path) {
            return Err(Refusal::ReturnTo.into());
        }
        // What recognises does so on this device alone: by a code between two devices such an ask would say nothing but that
        // somebody is a customer here.
        match device {
            Device::CrossDevice if ask.asked_for().is_empty() => return Err(Refusal::AcrossDevices.into()),
            Device::AtTheTill => return Err(Error::Misuse("no browser asks for a wallet at the till".into())),
            _ => {}
        }
        // A key that was signed out is opened again by a credential that recognises, so it may ask for one.
        if !ask.recognises()
            && let Some((binding, _)) = self.binding_of(browser).await?
            && binding.locked
        {
            return Err(Refusal::BindingLocked.into());
        }
        let now = self.now();
        let id = PresentationId::from_random(self.random());
        let meta = |one: &Wanted| meta_of(one, &self.0.formats, self.0.trusted.configured());
        let mut query = query_of(ask, self.relationship_type().as_str(), meta);
        if self.0.names_authorities {
            self.name_authorities(&mut query);
        }
        let transaction_data = transaction_data(ask, &query).map_err(|e| Error::Misuse(e.to_string()))?;
        let request = id.request();
        let asked = Asked {
            id: id.clone(),
            ask: ask.name().to_owned(),
            device,
            key: browser.key_name(),
            return_to: return_to.map(str::to_owned),
            client_id: self.client_id(ask, &request),
            query,
            over: ask.age(),
            transaction_data,
            at: now,
        };
        let mut presentation = Presentation::Requested(Requested { asked });
        if !presentation.asked().client_id.prefix().is_signed() {
            // What nobody fetches stands in the link, so it is made now.
            let mode = if ask.is_age_eu() { ResponseMode::DirectPost } else { self.0.response_mode };
            presentation = Presentation::Delivered(presentation.fetched(now, || self.delivery(mode, &request))?);
        }
        let record = put(presentation_key(&request), &presentation, Some(presentation.kept_until()), Expect::Absent)?;
        match self.0.store.commit(&[record, browser.spent(now)?], now).await {
            Ok(_) => self.invitation(id, &request, &presentation),
            Err(e) if was_spent(&e) => Err(ProofError::Replayed.into()),
            Err(e) => Err(e.into()),
        }
    }

    fn invitation(
        &self,
        id: PresentationId,
        request: &RequestId,
        presentation: &Presentation,
    ) -> Result<Invitation, Error> {
        let request_uri = self.address(&format!("/requests/{}", request.as_str()));
        let asked = presentation.asked();
        let link = |endpoint: &str| {
            let link = match presentation {
                Presentation::Delivered(told) => {
                    self.with_request(request, told, None, asked.at, |object| wallet_link_by_value(endpoint, object))?
                }
                _ => wallet_link(endpoint, &asked.client_id, &request_uri, true),
            };
            link.map_err(|e| Error::Misuse(format!("the wallet endpoint {endpoint:?}: {e}")))
        };
        let age_eu = self.declared(&asked.ask).is_some_and(Ask::is_age_eu);
        let (scheme, wallets) = if age_eu { (AGE_EU_SCHEME, &[][..]) } else { (SCHEME, &*self.0.wallets) };
        let wallets = wallets
            .iter()
            .map(|wallet| Ok(WalletLink { name: wallet.name.clone(), url: link(&wallet.authorization_endpoint)? }));
        Ok(Invitation {
            id,
            expires_in_s: ANSWER_WITHIN_S,
            wallet_uri: link(scheme)?,
            wallets: wallets.collect::<Result<_, Error>>()?,
            request_uri: asked.client_id.prefix().is_signed().then_some(request_uri),
        })
    }

    /// Who we are in this request.
    fn client_id(&self, ask: &Ask, request: &RequestId) -> ClientId {
        let Inner { prefix, origin, keys, .. } = &*self.0;
        let prefix = if ask.is_age_eu() { &ClientIdPrefix::RedirectUri } else { prefix };
        prefix.client_id(origin, keys, &self.response_uri(request))
    }

    /// Says in a query under which roots an answer will be believed, but of our own credential.
    fn name_authorities(&self, query: &mut Query) {
        let trust = self.trust();
        for credential in query.credentials.iter_mut().filter(|credential| !is_relationship(&credential.id)) {
            let ids = trust.authority_key_ids(&types_in(&credential.meta));
            let ids = ids.filter(|ids| ids.len() <= self.0.limits.dcql_values);
            credential.trusted_authorities = ids.map(|ids| vec![json!({ "type": "aki", "values": ids })]);
        }
    }

    /// Where the answer to this request goes: an address of its own.
    fn response_uri(&self, request: &RequestId) -> Url {
        self.address(&format!("/responses/{}", request.as_str()))
    }

    /// How a presentation stands, for the key that asked.
    ///
    /// # Errors
    /// [`Refusal::NoSuchPresentation`] also for another key: who did not ask learns nothing.
    pub async fn standing(&self, id: &PresentationId, browser: &BrowserProof) -> Result<Standing, Error> {
        let (presentation, _) = self.presentation(&id.request()).await?;
        if presentation.asked().key != browser.key_name() {
            return Err(Refusal::NoSuchPresentation.into());
        }
        let last_refusal = match &presentation {
            Presentation::Delivered(delivered) => delivered.last_refusal.clone(),
            Presentation::Declined(declined) => Some(declined.reason.clone()),
            _ => None,
        };
        Ok(Standing { state: presentation.state(self.now()), last_refusal })
    }

    /// Wakes when a presentation may have changed on this node. A hint: on other nodes, and when many change at once,
    /// it says nothing, so whoever waits also looks by the clock.
    #[must_use]
    pub fn changes(&self, id: &PresentationId) -> Changes {
        self.changes_of(id.request().as_str())
    }

    pub(super) fn changes_of(&self, name: &str) -> Changes {
        Changes { name: name.to_owned(), changes: self.0.changes.subscribe() }
    }

    /// A wallet fetches its request: the signed request object (RFC 9101), a compact JWS, or a JWE around it if the wallet
    /// posts a key. It may be fetched again and says the same; only a `wallet_nonce`, which a wallet sends by POST, is
    /// echoed anew.
    ///
    /// # Errors
    /// [`Refusal::NoSuchPresentation`], also for a request that stands in its link; [`Refusal::WalletNonce`]; or where the
    /// presentation stands.
    pub async fn request_object(&self, request: &RequestId, post: &RequestPost) -> Result<String, Error> {
        let max = self.0.limits.wallet_nonce_bytes;
        let printable =
            |nonce: &str| !nonce.is_empty() && nonce.len() <= max && nonce.bytes().all(|b| b.is_ascii_graphic());
        if !post.wallet_nonce.as_deref().is_none_or(printable) {
            return Err(Refusal::WalletNonce(max).into());
        }
        for _ in 0..RACES_MAX {
            let (presentation, version) = self.presentation(request).await?;
            if !presentation.asked().client_id.prefix().is_signed() {
                return Err(Refusal::NoSuchPresentation.into());
            }
            let was_requested = matches!(presentation, Presentation::Requested(_));
            let now = self.now();
            let delivered = presentation.fetched(now, || self.delivery(self.0.response_mode, request))?;
            if was_requested {
                match self.save(request, &Presentation::Delivered(delivered.clone()), version).await {
                    Err(e) if lost_the_race(&e) => continue,
                    other => other?,
                }
            }
            return self.signed_request(request, &delivered, post, now);
        }
        Err(busy())
    }

    /// What a wallet is told the first time: a nonce and, for an encrypted answer, a key made for it alone (HAIP 5).
    fn delivery(&self, response_mode: ResponseMode, request: &RequestId) -> Result<Delivery, Error> {
        let sealed_key = match response_mode {
            ResponseMode::DirectPost => None,
            ResponseMode::DirectPostJwt => Some(self.sealed_key(request)?),
        };
        Ok(Delivery { nonce: self.fresh_nonce(), response_mode, sealed_key })
    }

    fn fresh_nonce(&self) -> String {
        crate::protocol::jose::base64url_encode(&self.random::<32>())
    }

    /// A new key for one answer, as it is stored.
    fn sealed_key(&self, request: &RequestId) -> Result<String, Error> {
        // All but about one in four thousand million random scalars are keys.
        let scalar = (0..4)
            .map(|_| zeroize::Zeroizing::new(self.random::<32>()))
            .find(|scalar| DecryptionKey::from_scalar(scalar, ENCRYPTION_KID).is_ok())
            .ok_or_else(|| Error::Misuse("the environment's randomness makes no keys".into()))?;
        Ok(self.seal(DECRYPTION_KEY, &presentation_key(request), scalar.as_slice()))
    }

    pub(super) fn signed_request(
        &self,
        request: &RequestId,
        delivered: &Delivered,
        post: &RequestPost,
        now: UnixTime,
    ) -> Result<String, Error> {
        let nonce = post.wallet_nonce.as_deref();
        let claims = self.with_request(request, delivered, nonce, now, |object| object.claims())?;
        let object = self.sign_request(&delivered.asked.client_id, &claims)?;
        match &post.encryption {
            Some(encryption) => encryption.encrypt(&object).map_err(unsigned),
            None => Ok(object),
        }
    }

    fn sign_request(&self, client_id: &ClientId, claims: &Value) -> Result<String, Error> {
        let Inner { prefix, origin, keys, .. } = &*self.0;
        let (identity, header) = prefix.signer(client_id, origin, keys).ok_or_else(|| {
            Error::Misuse(format!("a request under {client_id} is open, and nothing proves that name any more"))
        })?;
        identity.key().sign_jws(&header, claims).map_err(unsigned)
    }

    /// Puts together what a wallet is told, the same each time.
    pub(super) fn with_request<T>(
        &self,
        request: &RequestId,
        delivered: &Delivered,
        wallet_nonce: Option<&str>,
        now: UnixTime,
        then: impl FnOnce(&RequestObject<'_>) -> T,
    ) -> Result<T, Error> {
        let Delivery { nonce, response_mode, .. } = &delivered.delivery;
        let asked = &delivered.asked;
        let jwk = self.decryption_key(request, &delivered.delivery)?.map(|key| key.public_jwk());
        Ok(then(&RequestObject {
            client_id: &asked.client_id,
            response_uri: &self.response_uri(request),
            response_mode: *response_mode,
            nonce,
            state: request.as_str(),
            query: &asked.query,
            formats: &self.supported(&asked.query),
            transaction_data: &asked.transaction_data,
            encryption_jwk: jwk.as_ref(),
            encryption_enc: &ENCRYPTIONS,
            wallet_nonce,
            verifier_info: &self.verifier_info(asked),
            // Wallets show the name that the certificate carries, and ignore one that the request gives itself (5.1).
            client_name: None,
            iat: now,
            exp: asked.at.plus_s(ANSWER_WITHIN_S),
        }))
    }

    /// What others say of us, about this ask.
    fn verifier_info(&self, asked: &Asked) -> Vec<Value> {
        let registration = self.0.registrations.get(&asked.ask);
        registration.iter().map(|registration| registration.verifier_info()).collect()
    }

    /// What we can verify of each format that a query asks for.
    fn supported(&self, query: &Query) -> BTreeMap<String, Value> {
        let asked = |format: &&Arc<dyn Format>| query.credentials.iter().any(|one| one.format == format.id());
        self.0.formats.iter().filter(asked).map(|format| (format.id().to_owned(), format.supported())).collect()
    }

    pub(super) fn decryption_key(
        &self,
        request: &RequestId,
        delivery: &Delivery,
    ) -> Result<Option<DecryptionKey>, Error> {
        delivery.sealed_key.as_ref().map(|sealed| self.opened_key(request, sealed)).transpose()
    }

    pub(super) fn opened_key(&self, request: &RequestId, sealed: &str) -> Result<DecryptionKey, Error> {
        let scalar = zeroize::Zeroizing::new(self.open(DECRYPTION_KEY, &presentation_key(request), sealed)?);
        let scalar: &[u8; 32] =
            scalar.as_slice().try_into().map_err(|_| Error::Misuse("a sealed key is not a key".into()))?;
        let key = DecryptionKey::from_scalar(scalar, ENCRYPTION_KID);
        key.map_err(|e| Error::Misuse(format!("a sealed key is not a key: {e}")))
    }

    /// A wallet answers. Whatever is wrong is an error at once and changes nothing but a count: five wrong answers are
    /// enough. A wallet's own error ends the presentation.
    ///
    /// # Errors
    /// [`Error::Answer`] with the check that failed, or where the presentation stands.
    pub async fn answer(&self, request: &RequestId, form_body: &[u8]) -> Result<Answered, Error> {
        let (presentation, version) = self.presentation(request).await?;
        let came_at = self.now();
        // What is over or answered is refused here, before any cryptography (a flood costs a look-up each).
        let delivered = presentation.answering(came_at)?;
        let checked = self.check_answer(request, &delivered, form_body, came_at).await;
        if let Err(Error::Answer(error)) = &checked {
            self.show_refused(request, &delivered, form_body, came_at, error.code());
        }
        let asked = delivered.asked.clone();
        let ended = self.take(request, delivered, version, checked).await?;
        Ok(Answered { redirect_uri: self.redirect_uri(&asked, ended.code.as_ref()) })
    }

    /// Writes down what came of an answer, whichever way it came.
    async fn take(
        &self,
        request: &RequestId,
        delivered: Delivered,
        version: Version,
        checked: Result<Checked, Error>,
    ) -> Result<Ended, Error> {
        // The answer may have taken a fetch: what counts is the time at which it is taken.
        let now = self.now();
        match checked {
            Ok(Checked::Holds(verified)) => {
                let code = match delivered.asked.device {
                    Device::SameDevice => Some(ResponseCode::from_random(self.random())),
                    Device::CrossDevice | Device::AtTheTill => None,
                };
                let text = verified.to_seal();
                let sealed = self.seal(CLAIMS, &presentation_key(request), &text);
                let answered = delivered.answered(code.as_ref(), sealed, verified.outcome().clone(), now);
                self.end(request, &Presentation::Answered(answered), version).await?;
                Ok(Ended { code, declined: false })
            }
            Ok(Checked::Declined(reason)) => {
                // The code opens nothing here; the page needs an address that looks like any other.
                let code = ResponseCode::from_random(self.random());
                let code = (delivered.asked.device == Device::SameDevice).then_some(code);
                let declined: Declined = delivered.declined(reason, now);
                self.end(request, &Presentation::Declined(declined), version).await?;
                Ok(Ended { code, declined: true })
            }
            Err(Error::Answer(error)) => {
                let error = Error::from(error);
                self.note_refusal(request, &error).await?;
                Err(error)
            }
            Err(error) => Err(error),
        }
    }

    /// Writes down why an answer was refused, and counts it if it was wrong, also as one of several that came at once.
    /// An issuer's outage is not the wallet's mistake: it may answer again.
    async fn note_refusal(&self, request: &RequestId, error: &Error) -> Result<(), Error> {
        let wrong = error.fault() == Fault::Wallet;
        for _ in 0..RACES_MAX {
            let (presentation, version) = self.presentation(request).await?;
            // Answered or ended by another in between: there is nothing left to guess at.
            let Ok(delivered) = presentation.answering(self.now()) else { return Ok(()) };
            let refused = Presentation::Delivered(delivered.refused(error.code(), wrong));
            match self.save(request, &refused, version).await {
                Err(e) if lost_the_race(&e) => {}
                other => return Ok(other?),
            }
        }
        Err(busy())
    }

    async fn check_answer(
        &self,
        request: &RequestId,
        delivered: &Delivered,
        form_body: &[u8],
        now: UnixTime,
    ) -> Result<Checked, Error> {
        let key = self.decryption_key(request, &delivered.delivery)?;
        let context = ResponseContext {
            mode: delivered.delivery.response_mode,
            state: request.as_str(),
            key: key.as_ref(),
            accepted: &ENCRYPTIONS,
            query: &delivered.asked.query,
            limits: &self.0.limits,
        };
        let answer = read_response(form_body, &context).map_err(AnswerError::from)?;
        let response_uri = self.response_uri(request);
        let met = Met {
            channel: Channel::Redirect {
                client_id: delivered.asked.client_id.as_str(),
                response_uri: response_uri.as_str(),
            },
            encryption_key: key.map(|key| *key.thumbprint().as_bytes()),
            nonce: &delivered.delivery.nonce,
        };
        self.check(&delivered.asked, met, answer, now).await
    }

    async fn check(&self, asked: &Asked, met: Met<'_>, answer: Answer, now: UnixTime) -> Result<Checked, Error> {
        match answer {
            // The description is text of a stranger's about a person: no log gets it, only how long it is.
            Answer::Error { code, description } => {
                let description_chars = description.map_or(0, |text| text.chars().count());
                tracing::info!(%code, description_chars, "the wallet declined");
                Ok(Checked::Declined(code))
            }
            Answer::Presentations(answer) => {
                // A name that is not declared any more is an ask that nobody can judge.
                let ask = self.declared(&asked.ask).ok_or(Refusal::NoSuchAsk)?;
                let Asked { query, over, transaction_data, device, .. } = asked;
                let question = Question { ask, query, over: *over, transaction_data, device: *device };
                Ok(Checked::Holds(self.verify(&question, met, &answer, now).await?))
            }
        }
    }

    /// Every presentation of an answer, through every check, and then the query over what is left.
    async fn verify(
        &self,
        question: &Question<'_>,
        met: Met<'_>,
        answer: &[(String, Vec<Value>)],
        now: UnixTime,
    ) -> Result<Verified, Error> {
        let &Question { ask, query, over, transaction_data, device } = question;
        let mut believed = Vec::new();
        let mut relationship = None;
        for (id, presentations) in answer {
            for presented in presentations {
                if is_relationship(id) {
                    let believed_own = self.believe_own(query, met, id, presented, now).await;
                    // One that was revoked proves nothing, and takes nothing from what was asked beside it.
                    if matches!(believed_own, Err(Error::Answer(AnswerError::Revoked { .. })))
                        && !ask.asked_for().is_empty()
                    {
                        continue;
                    }
                    let (credential, shown) = believed_own?;
                    // Two of them may be two customers: nobody comes back as both.
                    if relationship.replace(shown).is_some() {
                        return Err(AnswerError::from(DcqlError::AnsweredTwice { id: RELATIONSHIP.to_owned() }).into());
                    }
                    believed.push((id.as_str(), credential));
                    continue;
                }
                believed.push((id.as_str(), self.believe(question, met, id, presented, now).await?));
            }
        }
        // 8.6 and 14.9: what came back is measured by the query again; the wallet's matching counts for nothing.
        let mut candidates: Vec<(String, Vec<Candidate<'_>>)> = Vec::new();
        for (id, credential) in &believed {
            let format = query.credentials.iter().find(|q| q.id == *id).map_or("", |q| q.format.as_str());
            let candidate = Candidate {
                format,
                types: &credential.counts_as,
                holder_bound: credential.authentic.holder_bound,
                claims: &credential.authentic.claims,
                authority_key_ids: &credential.authority_key_ids,
            };
            match candidates.iter_mut().find(|(known, _)| known == id) {
                Some((_, several)) => several.push(candidate),
                None => candidates.push(((*id).to_owned(), vec![candidate])),
            }
        }
        let matched = query.evaluate(&candidates).map_err(AnswerError::from)?;
        // Each of them was held against the credential that signs it. One that none signs is authorised by nobody.
        let is_signed = |data: &String| matched.iter().any(|m| signs_with(data, m.id));
        if !transaction_data.iter().all(is_signed) {
            return Err(AnswerError::TransactionUnsigned.into());
        }
        let meant_by = self.asked_by(ask);
        let mut age = None;
        let mut names: Vec<&str> = Vec::new();
        let mut claims: Vec<Claims> = Vec::new();
        for m in matched.iter().filter(|m| !is_relationship(m.id)) {
            let credential =
                believed.iter().filter(|(id, _)| *id == m.id).nth(m.position).map(|(_, believed)| believed);
            let meant = meant_by.iter().find(|(id, _, _)| id == m.id);
            // An ask that was changed since it was asked cannot be judged.
            let (Some(credential), Some((_, wanted, one))) = (credential, meant) else {
                return Err(Refusal::NoSuchAsk.into());
            };
            let is_age = over.is_some() && wanted.id() == AGE;
            if is_age {
                age = age.or_else(|| m.claims.first());
            }
            // The date of birth was asked for to compute an age, and that is done: the value goes no further.
            let selected = || m.claims.iter().filter(|_| !is_age);
            let name = |claim: &ClaimQuery| {
                let path: Vec<&str> = claim.path.iter().map_while(Value::as_str).collect();
                one.name_of(&path)?.first().map(String::as_str)
            };
            // A claim that says no was shown, and opens no gate.
            let says_no = |values: &[&Value]| !values.is_empty() && values.iter().all(|value| *value == &json!(false));
            for name in selected().filter(|(_, values)| !says_no(values)).filter_map(|(claim, _)| name(claim)) {
                if !names.contains(&name) {
                    names.push(name);
                }
            }
            let selected: Vec<_> = selected().map(|(claim, _)| *claim).collect();
            claims.push(Claims::selected(wanted.id(), one, &credential.authentic, &selected));
        }
        if over.is_some_and(|years| !age.is_some_and(|(_, values)| ask::is_of_age(values, years, now))) {
            return Err(AnswerError::AgeNotReached.into());
        }
        let outcome = Established {
            over,
            shown: names.into_iter().map(str::to_owned).collect(),
            recognised: matched.iter().any(|m| is_relationship(m.id)),
        };
        let verified = Verified::of(ask.name().to_owned(), outcome, claims, device);
        Ok(verified.with_relationship(relationship))
    }

    /// What a declared ask asks for, by the ids of its credential queries.
    fn asked_by<'a>(&'a self, ask: &'a Ask) -> Vec<(String, &'a AskedFor, &'a Wanted)> {
        let can = |one: &Wanted| meta_of(one, &self.0.formats, self.0.trusted.configured()).is_some();
        let of = |wanted: &'a AskedFor| wanted.queries(can).map(move |(id, one)| (id, wanted, one));
        ask.asked_for().iter().flat_map(of).collect()
    }

    /// The type of the credential that this shop issues to its customers, an address below the mount: nobody else's
    /// credential counts as one.
    pub(super) fn relationship_type(&self) -> Url {
        self.address("/relationship")
    }

    /// The same for a credential that this shop issued itself. Its issuer is whoever holds one of our signing keys, the
    /// current one or an earlier one, and its status is what our own records say at this moment.
    async fn believe_own(
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
        let own_key = |issuer: &IssuerRef<'_>| {
            let IssuerRef::X5c { chain, .. } = issuer else { return Err(unknown()) };
            let is_leaf = |identity: &&Identity| chain.first().is_some_and(|leaf| leaf == identity.leaf().der());
            let identity = self.0.keys.identities().iter().find(is_leaf);
            Ok(identity.ok_or_else(unknown)?.key().public_key())
        };
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
        Ok((Believed { authentic, counts_as, authority_key_ids: Vec::new() }, shown))
    }

    /// `Unverified -> Authentic`, and its status: no step can be left out, and nothing is fetched before the issuer is
    /// trusted, no status before the signature holds.
    async fn believe(
        &self,
        question: &Question<'_>,
        met: Met<'_>,
        id: &str,
        presented: &Value,
        now: UnixTime,
    ) -> Result<Believed, Error> {
        let limits = &self.0.limits;
        let &Question { ask, query, transaction_data, .. } = question;
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
        let authentic = unverified.verify(&against).map_err(format_error)?;
        let counts_as = trust.counts_as(issuer, &authentic.types);
        // Rules are fetched from where a type says only if its issuer may issue it.
        let is_sd_jwt_vc = format.id() == SdJwtVc::new().id() && !counts_as.is_empty();
        if let Some(vct) = authentic.types.first().filter(|_| is_sd_jwt_vc) {
            self.check_type(id, vct, presented).await?;
        }
        if let Some(status) = &authentic.status {
            match self
                .status(&Vouched { trust: &trust, issuer, types: &counts_as, key: &issuer_key }, status, now)
                .await
            {
                Ok(Status::Valid) => {}
                Ok(Status::Invalid) => return Err(revoked(id, "revoked").into()),
                Ok(Status::Suspended) => return Err(revoked(id, "suspended").into()),
                Ok(Status::Other(number)) => return Err(revoked(id, &format!("status {number}")).into()),
                Err(source) if ask.status_policy() == StatusPolicy::AcceptUndetermined && !source.is_final() => {
                    tracing::warn!(credential = id, error = %source, "a status is unknown and accepted by policy");
                }
                Err(source) => return Err(AnswerError::StatusUnknown { credential: credential(), source }.into()),
            }
        }
        Ok(Believed { authentic, counts_as, authority_key_ids })
    }

    /// The key of an issuer that is known by its address: from its metadata, or the key set that they name.
    pub(super) async fn issuer_key(
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

    fn redirect_uri(&self, asked: &Asked, code: Option<&ResponseCode>) -> Option<String> {
        let code = code?;
        let mut url = self.address(&format!("/return/{}", asked.id.as_str()));
        // In the fragment: it reaches no server, no log and no Referer.
        url.set_fragment(Some(&format!("response_code={}", code.as_str())));
        Some(url.into())
    }

    pub(super) async fn presentation(&self, request: &RequestId) -> Result<(Presentation, Version), Error> {
        let stored = self.load_one(&presentation_key(request)).await?.ok_or(Refusal::NoSuchPresentation)?;
        Ok((stored.read::<Presentation>()?, stored.version))
    }

    pub(super) fn opened(&self, request: &RequestId, redeemed: &Redeemed) -> Result<Verified, Error> {
        let text = zeroize::Zeroizing::new(self.open(CLAIMS, &presentation_key(request), &redeemed.sealed)?);
        Verified::opened(&text, redeemed.asked.device)
            .map_err(|e| Error::Misuse(format!("a sealed answer cannot be read: {e}")))
    }

    async fn save(&self, request: &RequestId, next: &Presentation, version: Version) -> Result<(), StoreError> {
        let now = self.now();
        let write = put(presentation_key(request), next, Some(next.kept_until()), Expect::Version(version))?;
        self.0.store.commit(&[write], now).await?;
        self.tell(request);
        Ok(())
    }

    /// Commits an answer's end. A wrong answer that came between takes nothing from it but the version; any other loss
    /// means that the presentation was answered by another.
    async fn end(&self, request: &RequestId, next: &Presentation, mut version: Version) -> Result<(), Error> {
        for _ in 0..RACES_MAX {
            match self.save(request, next, version).await {
                Err(e) if lost_the_race(&e) => {
                    let (stored, now_at) = self.presentation(request).await?;
                    stored.answering(self.now())?;
                    version = now_at;
                }
                // Whether it happened can be read: no other answer has this code and these sealed claims.
                Err(e @ StoreError::Unknown(_)) => {
                    return match self.presentation(request).await? {
                        (stored, _) if stored == *next => Ok(()),
                        _ => Err(e.into()),
                    };
                }
                other => return Ok(other?),
            }
        }
        Err(busy())
    }

    pub(super) fn tell(&self, request: &RequestId) {
        // Nobody waiting is no error.
        let _ = self.0.changes.send(request.as_str().to_owned());
    }
}

/// Wakes when a presentation, or a session, may have changed. See [`Merchant::changes`].
#[derive(Debug)]
pub struct Changes {
    name: String,
    changes: broadcast::Receiver<String>,
}

impl Changes {
    /// Waits for the next hint.
    pub async fn next(&mut self) {
        loop {
            match self.changes.recv().await {
                Ok(changed) if changed == self.name => return,
                Ok(_) => {}
                // Some were missed: one of them may have been ours.
                Err(broadcast::error::RecvError::Lagged(_)) => return,
                // The merchant is gone; whoever waits will look by the clock.
                Err(broadcast::error::RecvError::Closed) => std::future::pending().await,
            }
        }
    }
}

/// What an answer is judged by.
struct Question<'a> {
    ask: &'a Ask,
    query: &'a Query,
    over: Option<u8>,
    transaction_data: &'a [String],
    device: Device,
}

/// How an answer came to us, for the formats to hold against.
#[derive(Clone, Copy)]
struct Met<'a> {
    channel: Channel<'a>,
    encryption_key: Option<[u8; 32]>,
    nonce: &'a str,
}

enum Checked {
    Holds(Verified),
    Declined(String),
}

/// How an answer ended a presentation.
struct Ended {
    /// What the wallet carries back to a browser on its device. That of a decline opens nothing.
    code: Option<ResponseCode>,
    declined: bool,
}

struct Believed {
    authentic: Authentic,
    counts_as: Vec<String>,
    authority_key_ids: Vec<String>,
}

/// The `kid` of the key that an answer is encrypted to: there is one a request, so its name says nothing.
const ENCRYPTION_KID: &str = "response";

pub(super) fn presentation_key(request: &RequestId) -> Key {
    Key::new(Presentation::KIND, request.as_str(), "")
}

/// Whether a path stays on our own origin wherever a browser resolves it.
fn is_own_path(path: &str) -> bool {
    // `//host` and `/\host` lead elsewhere, and browsers drop tabs and line breaks before they look.
    path.len() <= 2_048
        && path.starts_with('/')
        && !path.starts_with("//")
        && !path.contains('\\')
        && !path.chars().any(char::is_control)
}

fn revoked(credential: &str, status: &str) -> AnswerError {
    AnswerError::Revoked { credential: credential.to_owned(), status: status.to_owned() }
}

fn unsigned(error: JoseError) -> Error {
    Error::Misuse(format!("the signing key does not sign: {error}"))
}

fn busy() -> Error {
    Error::Unavailable { seam: "the store", source: "the same record changes too often".into() }
}

impl From<ResponseError> for Error {
    fn from(error: ResponseError) -> Self {
        Self::Answer(error.into())
    }
}
