//! From the ask to an answer that holds: ask, request, answer, decline.

use std::{collections::BTreeMap, sync::Arc};

use serde_json::{Value, json};
use tokio::sync::broadcast;
use url::Url;

use super::{ClientIdPrefix, Inner, Merchant, RACES_MAX, lost_the_race, meta_of, proof::was_spent, put};
use crate::{
    ask::{Ask, Device, PAYMENT, RELATIONSHIP, Together, Wanted, is_relationship},
    error::{AnswerError, Error, Fault, ProofError, Refusal},
    format::{Channel, Format},
    merchant::{BrowserProof, Order},
    names::is_visible,
    order::NotAuthorised,
    presentation::{
        ANSWER_WITHIN_S, Answers, Asked, AskedOne, AskedPayment, Declined, Delivered, Delivery, ENCRYPTIONS,
        Presentation, PresentationId, RequestId, Requested, ResponseCode, State, query_of, signs_with,
        transaction_data,
    },
    protocol::{
        dcql::{Candidate, DcqlError, Query},
        jose::{DecryptionKey, JoseError},
        openid4vp::{
            Answer, ClientId, RequestObject, RequestPost, ResponseContext, ResponseError, ResponseMode,
            TransactionData, read_response, wallet_link, wallet_link_by_value,
        },
        registration::{RegistrationCertificate, types_in},
    },
    store::{Expect, Key, Persisted, StoreError, Version, Write},
    time::UnixTime,
};

mod believe;
mod dc_api;
#[cfg(feature = "mdoc")]
mod iso_mdoc;
mod shown;
#[cfg(feature = "mdoc")]
mod till;

pub use dc_api::{BrowserAnswered, BrowserRequest};
#[cfg(feature = "mdoc")]
pub use till::ReaderSession;

use self::shown::Shown;

/// What opens whichever wallet is installed (OpenID4VP 1.0, 13.1.2).
const SCHEME: &str = "openid4vp://";
/// What opens an age verification app (EU age verification, annex A.5).
const AGE_EU_SCHEME: &str = "av://";
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

/// What a browser asks for in one presentation.
#[derive(Clone, Copy, Debug)]
pub struct AskTogether<'a> {
    /// The names of declared asks, at most eight, each once.
    pub asks: &'a [&'a str],
    /// The order that is paid, for one of the asks that [is for payments](Ask::payment). Whether this browser may pay it is for
    /// the caller to know: it is the customer's own ([`Recognised::order`](super::Recognised::order)), or a guest has its link.
    pub payment: Option<&'a Order>,
    /// Where the wallet is expected.
    pub device: Device,
    /// The path of this shop to go to afterwards.
    pub return_to: Option<&'a str>,
}

/// The most asks in one presentation.
const TOGETHER_MAX: usize = 8;

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
        let AskRequest { ask, device, return_to } = *request;
        self.ask_together(browser, &AskTogether { asks: &[ask], payment: None, device, return_to }).await
    }

    /// A browser asks several things, and for a payment, in one presentation: a wallet shows one card for what stands in one.
    /// It is answered as a whole or not at all, and each ask is then worth what it would be worth alone: a proof of its own,
    /// claims that no other ask reads, what it keeps.
    ///
    /// A payment begins an attempt on the rail [`wallet`](crate::rail::wallet). What the wallet signed authorises it when this
    /// browser redeems the answer, and is then handed to whoever executes it. A wallet that declines, or cannot, declines the
    /// attempt: offer another rail.
    ///
    /// # Errors
    /// As [`Merchant::ask`]; [`Refusal::NotTogether`] for an ask that is asked by itself, or more than is registered in one
    /// certificate; [`Refusal::PaymentAsk`]; and what [`Order::pay`] refuses.
    pub async fn ask_together(&self, browser: &BrowserProof, request: &AskTogether<'_>) -> Result<Invitation, Error> {
        let declared = |name: &&str| self.declared(name).ok_or(Refusal::NoSuchAsk);
        let asks = request.asks.iter().map(declared).collect::<Result<Vec<_>, _>>()?;
        self.question(browser, &asks, request.payment, request.device, request.return_to).await
    }

    /// The browser that asked gives up: no wallet answers any more, and the attempt to pay is declined.
    ///
    /// # Errors
    /// [`Refusal::NoSuchPresentation`] also for another key; [`ProofError::Replayed`]; or where the presentation stands.
    pub async fn withdraw(&self, id: &PresentationId, browser: &BrowserProof) -> Result<(), Error> {
        let request = id.request();
        for _ in 0..RACES_MAX {
            let (presentation, version) = self.presentation(&request).await?;
            if presentation.asked().key != browser.key_name() {
                return Err(Refusal::NoSuchPresentation.into());
            }
            let now = self.now();
            let mut writes = vec![browser.spent(now)?];
            if let Some(payment) = &presentation.asked().payment {
                writes.extend(self.unauthorised(payment, NotAuthorised::GivenUp.as_str()).await?);
            }
            let next = Presentation::Declined(presentation.withdrawn(NotAuthorised::GivenUp.as_str(), now)?);
            writes.push(put(presentation_key(&request), &next, Some(next.kept_until()), Expect::Version(version))?);
            match self.0.store.commit(&writes, now).await {
                Err(e) if was_spent(&e) => return Err(ProofError::Replayed.into()),
                Err(e) if lost_the_race(&e) => {}
                other => {
                    other?;
                    self.tell(&request);
                    self.let_go_of(&next).await;
                    return Ok(());
                }
            }
        }
        Err(busy())
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
        self.question(browser, &[ask], None, device, return_to).await
    }

    async fn question(
        &self,
        browser: &BrowserProof,
        asks: &[&Ask],
        order: Option<&Order>,
        device: Device,
        return_to: Option<&str>,
    ) -> Result<Invitation, Error> {
        if !return_to.is_none_or(is_own_path) {
            return Err(Refusal::ReturnTo.into());
        }
        self.check_together(asks, order.is_some())?;
        // What recognises does so on this device alone: by a code between two devices such an ask would say nothing but that
        // somebody is a customer here.
        match device {
            Device::CrossDevice if asks.iter().any(|ask| ask.asked_for().is_empty()) => {
                return Err(Refusal::AcrossDevices.into());
            }
            Device::AtTheTill => return Err(Error::Misuse("no browser asks for a wallet at the till".into())),
            _ => {}
        }
        // A key that was signed out is opened again by a credential that recognises, so it may ask for one.
        if !asks.iter().any(|ask| ask.recognises())
            && let Some((binding, _)) = self.binding_of(browser).await?
            && binding.locked
        {
            return Err(Refusal::BindingLocked.into());
        }
        let now = self.now();
        let id = PresentationId::from_random(self.random());
        let mut query = self.query_of(asks);
        if let [one, _, ..] = asks {
            // What the asks want was checked, each by itself.
            let refused = |_| Refusal::NotTogether { ask: one.name().to_owned() };
            query.check(&self.0.limits).map_err(refused)?;
            self.registered_together(asks, &query)?;
        }
        if self.0.names_authorities {
            self.name_authorities(&mut query);
        }
        let misuse = |e: crate::protocol::openid4vp::RequestError| Error::Misuse(e.to_string());
        let together = self.together(asks);
        let mut signed = transaction_data(&together, asks, &query).map_err(misuse)?;
        let payment = match order {
            Some(order) => {
                self.wallet_rail()?.takes_from(device)?;
                Some(self.payment_to_ask(order).await?)
            }
            None => None,
        };
        if let Some(payment) = &payment {
            let pays = asks.iter().find(|ask| ask.is_payment()).ok_or(Refusal::PaymentAsk)?;
            let ids: Vec<&str> = together.answering(pays, PAYMENT).collect();
            // 128 random bits, which mean nothing to whoever reads the wallet's log (TS12, 5.3).
            let name = crate::protocol::jose::base64url_encode(&self.random::<16>());
            let payload = self.wallet_rail()?.payment(name, payment.amount, now);
            let payload = payload.map_err(|e| Error::Misuse(e.to_string()))?;
            signed.push(TransactionData::payment(&payment.kind, &ids, &payload, &query).map_err(misuse)?.into());
        }
        let request = id.request();
        let asked = Asked {
            id: id.clone(),
            asks: asks.iter().map(|ask| AskedOne { name: ask.name().to_owned(), over: ask.age() }).collect(),
            device,
            key: browser.key_name(),
            return_to: return_to.map(str::to_owned),
            client_id: self.client_id(asks, &request),
            query,
            transaction_data: signed,
            payment,
            at: now,
        };
        let mut presentation = Presentation::Requested(Requested { asked });
        if !presentation.asked().client_id.prefix().is_signed() {
            // What nobody fetches stands in the link, so it is made now.
            let age_eu = asks.iter().any(|ask| ask.is_age_eu());
            let mode = if age_eu { ResponseMode::DirectPost } else { self.0.response_mode };
            presentation = Presentation::Delivered(presentation.fetched(now, || self.delivery(mode, &request))?);
        }
        let record = put(presentation_key(&request), &presentation, Some(presentation.kept_until()), Expect::Absent)?;
        match self.0.store.commit(&[record, browser.spent(now)?], now).await {
            Ok(_) => self.invitation(id, &request, &presentation),
            Err(e) if was_spent(&e) => Err(ProofError::Replayed.into()),
            Err(e) => Err(e.into()),
        }
    }

    /// Whether these are asked in one question.
    fn check_together(&self, asks: &[&Ask], pays: bool) -> Result<(), Refusal> {
        let mut names: Vec<&str> = asks.iter().map(|ask| ask.name()).collect();
        names.sort_unstable();
        let twice = names.windows(2).any(|pair| matches!(pair, [one, other] if one == other));
        if asks.is_empty() || asks.len() > TOGETHER_MAX || twice {
            return Err(Refusal::NoSuchAsk);
        }
        // That one is asked by a scheme of its own, in clear.
        if let Some(alone) = asks.iter().find(|ask| ask.is_age_eu() && asks.len() > 1) {
            return Err(Refusal::NotTogether { ask: alone.name().to_owned() });
        }
        if asks.iter().filter(|ask| ask.is_payment()).count() != usize::from(pays) {
            return Err(Refusal::PaymentAsk);
        }
        Ok(())
    }

    /// That one certificate covers all of it, where any of the asks is certified: a wallet compares each with the whole question
    /// (ETSI TS 119 475, 5.2).
    fn registered_together(&self, asks: &[&Ask], query: &Query) -> Result<(), Refusal> {
        let certified = |ask: &&&Ask| self.0.registrations.contains_key(ask.name());
        match asks.iter().find(certified) {
            Some(ask) if self.registration_of(asks.iter().map(|ask| ask.name()), query).is_none() => {
                Err(Refusal::NotTogether { ask: ask.name().to_owned() })
            }
            _ => Ok(()),
        }
    }

    /// The first of the certificates of these asks that covers the question.
    fn registration_of<'a>(
        &self,
        mut asks: impl Iterator<Item = &'a str>,
        query: &Query,
    ) -> Option<&RegistrationCertificate> {
        asks.find_map(|ask| self.0.registrations.get(ask).filter(|one| one.covers(query).is_ok()))
    }

    /// What these asks ask for, in one query.
    fn query_of(&self, asks: &[&Ask]) -> Query {
        let meta = |one: &Wanted| meta_of(one, &self.0.formats, self.0.trusted.configured());
        query_of(asks, self.relationship_type().as_str(), meta)
    }

    /// What each credential of that query answers.
    pub(super) fn together<'a>(&self, asks: &[&'a Ask]) -> Together<'a> {
        Together::of(asks, |one| meta_of(one, &self.0.formats, self.0.trusted.configured()).is_some())
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
        let age_eu = asked.asks.iter().any(|ask| self.declared(&ask.name).is_some_and(Ask::is_age_eu));
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
    fn client_id(&self, asks: &[&Ask], request: &RequestId) -> ClientId {
        let Inner { prefix, origin, keys, .. } = &*self.0;
        let prefix = if asks.iter().any(|ask| ask.is_age_eu()) { &ClientIdPrefix::RedirectUri } else { prefix };
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
        if !post.wallet_nonce.as_deref().is_none_or(|nonce| is_visible(nonce, max)) {
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

    /// What others say of us, about this question.
    fn verifier_info(&self, asked: &Asked) -> Vec<Value> {
        let names = || asked.asks.iter().map(|ask| ask.name.as_str());
        let registration = match names().next() {
            // Its own was checked when the merchant was set up.
            Some(alone) if asked.asks.len() == 1 => self.0.registrations.get(alone),
            _ => self.registration_of(names(), &asked.query),
        };
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
        let scalar = self.open(DECRYPTION_KEY, &presentation_key(request), sealed)?;
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
            Ok(Checked::Holds(answers)) => {
                let code = match delivered.asked.device {
                    Device::SameDevice => Some(ResponseCode::from_random(self.random())),
                    Device::CrossDevice | Device::AtTheTill => None,
                };
                let text = answers.to_seal();
                let sealed = self.seal(CLAIMS, &presentation_key(request), &text);
                let answered = delivered.answered(code.as_ref(), sealed, now);
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
            let mut writes = Vec::new();
            if let Some(payment) = delivered.asked.payment.as_ref().filter(|_| wrong) {
                writes.extend(self.refused_for(payment, error.code()).await?);
            }
            let refused = Presentation::Delivered(delivered.refused(error.code(), wrong));
            match self.save_with(request, &refused, version, writes).await {
                Err(e) if lost_the_race(&e) => {}
                other => return Ok(other?),
            }
        }
        Err(busy())
    }

    /// Ends a presentation whose answer holds, and cannot authorise the payment that it was for.
    pub(super) async fn authorises_nothing(&self, request: &RequestId, error: &Error) -> Result<(), Error> {
        let (presentation, version) = self.presentation(request).await?;
        let Presentation::Answered(answered) = presentation else { return Ok(()) };
        let Some(payment) = answered.asked.payment.clone() else { return Ok(()) };
        let writes = self.refused_for(&payment, error.code()).await?;
        let next = Presentation::Declined(answered.declined(error.code().to_owned(), self.now()));
        Ok(self.save_with(request, &next, version, writes).await?)
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
            response_mode: delivered.delivery.response_mode.name(),
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
                let declared = |one: &AskedOne| Ok((self.declared(&one.name).ok_or(Refusal::NoSuchAsk)?, one.over));
                let asks = asked.asks.iter().map(declared).collect::<Result<Vec<_>, Error>>()?;
                let Asked { query, transaction_data, payment, device, .. } = asked;
                let payment = payment.as_ref();
                let question = Question { asks: &asks, query, transaction_data, payment, device: *device };
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
    ) -> Result<Answers, Error> {
        let &Question { asks, query, transaction_data, device, .. } = question;
        let together = self.together(&asks.iter().map(|(ask, _)| *ask).collect::<Vec<_>>());
        let mut believed = Vec::new();
        let mut relationship = None;
        for (id, presentations) in answer {
            for presented in presentations {
                if is_relationship(id) {
                    let believed_own = self.believe_own(query, met, id, presented, now).await;
                    // One that was revoked proves nothing, and takes nothing from what was asked beside it.
                    if matches!(believed_own, Err(Error::Answer(AnswerError::Revoked { .. })))
                        && !asks.iter().any(|(ask, _)| ask.asked_for().is_empty())
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
                // An ask that was changed since it was asked cannot be judged.
                let serves = together.query(id).map(|one| one.serves.as_slice()).ok_or(Refusal::NoSuchAsk)?;
                believed.push((id.as_str(), self.believe(question, serves, met, id, presented, now).await?));
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
        let shown = |id: &str, at: usize| {
            believed.iter().filter(|(known, _)| *known == id).nth(at).map(|(_, credential)| credential)
        };
        let recognised = matched.iter().any(|m| is_relationship(m.id));
        let mut answers = Vec::new();
        for (ask, over) in asks.iter().filter(|(ask, _)| !ask.is_payment()) {
            let mut answer = Shown::to(*over);
            for m in matched.iter().filter(|m| !is_relationship(m.id)) {
                let serves = together.query(m.id).map_or(&[][..], |one| &one.serves);
                let credential = shown(m.id, m.position).ok_or(Refusal::NoSuchAsk)?;
                for one in serves.iter().filter(|one| one.ask.name() == ask.name()) {
                    answer.take(one, serves.len() > 1, m, &credential.authentic);
                }
            }
            answers.push(answer.verified(ask, recognised && ask.recognises(), device, now)?);
        }
        let authorisation = believed.into_iter().find_map(|(_, credential)| credential.authorisation);
        Ok(Answers::of(answers, relationship).with_authorisation(authorisation))
    }

    /// The type of the credential that this shop issues to its customers, an address below the mount: nobody else's
    /// credential counts as one.
    pub(super) fn relationship_type(&self) -> Url {
        self.address("/relationship")
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

    /// What an answer says, which waits for the browser that asked.
    pub(super) fn opened(&self, request: &RequestId, sealed: &str) -> Result<Answers, Error> {
        let text = self.open(CLAIMS, &presentation_key(request), sealed)?;
        Answers::opened(&text).map_err(|e| Error::Misuse(format!("a sealed answer cannot be read: {e}")))
    }

    async fn save(&self, request: &RequestId, next: &Presentation, version: Version) -> Result<(), StoreError> {
        self.save_with(request, next, version, Vec::new()).await
    }

    /// Commits what a presentation is now, with what that means elsewhere.
    async fn save_with(
        &self,
        request: &RequestId,
        next: &Presentation,
        version: Version,
        mut writes: Vec<Write>,
    ) -> Result<(), StoreError> {
        let now = self.now();
        writes.push(put(presentation_key(request), next, Some(next.kept_until()), Expect::Version(version))?);
        self.0.store.commit(&writes, now).await?;
        self.tell(request);
        Ok(())
    }

    /// Commits an answer's end. A wrong answer that came between takes nothing from it but the version; any other loss
    /// means that the presentation was answered by another.
    async fn end(&self, request: &RequestId, next: &Presentation, mut version: Version) -> Result<(), Error> {
        for _ in 0..RACES_MAX {
            let mut writes = Vec::new();
            if let (Presentation::Declined(declined), Some(payment)) = (next, &next.asked().payment) {
                writes.extend(self.unauthorised(payment, &declined.reason).await?);
            }
            match self.save_with(request, next, version, writes).await {
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
                other => {
                    other?;
                    self.let_go_of(next).await;
                    return Ok(());
                }
            }
        }
        Err(busy())
    }

    /// What was held for a payment that nobody authorises goes back at once: the same customer may want it in another way.
    async fn let_go_of(&self, presentation: &Presentation) {
        if let (Presentation::Declined(_), Some(payment)) = (presentation, &presentation.asked().payment) {
            self.tell_inventory_by(&payment.order).await;
        }
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
    /// The asks as they are declared, each with the age that was asked about.
    asks: &'a [(&'a Ask, Option<u8>)],
    query: &'a Query,
    transaction_data: &'a [String],
    payment: Option<&'a AskedPayment>,
    device: Device,
}

/// How an answer came to us, for the formats to hold against.
#[derive(Clone, Copy)]
struct Met<'a> {
    channel: Channel<'a>,
    encryption_key: Option<[u8; 32]>,
    nonce: &'a str,
    /// How the answer was asked for, as the request calls it.
    response_mode: &'static str,
}

enum Checked {
    Holds(Answers),
    Declined(String),
}

/// How an answer ended a presentation.
struct Ended {
    /// What the wallet carries back to a browser on its device. That of a decline opens nothing.
    code: Option<ResponseCode>,
    declined: bool,
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
