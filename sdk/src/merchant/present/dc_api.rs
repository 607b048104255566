//! The browser's own way to a wallet: the Digital Credentials API (OpenID4VP 1.0, annex A).
//!
//! The page that asked gets one set of requests, one for each protocol, hands them to `navigator.credentials.get` and posts
//! what comes back. Each has a nonce and a key of its own: an answer to one is none to another.
//!
//! # Why such an answer counts as one of the same device
//!
//! [`Device`] says whether somebody can sit at the browser whose wallet did not mean to answer it. By a QR code that we
//! draw, somebody can: a picture travels, and a wallet at its other end cannot see where it was shown. Here the question does not
//! travel through the page. The browser takes it to a wallet, tells the wallet the origin that asks, and brings the answer
//! back into the tab that called; and where the wallet is on a phone beside a computer, browser and phone find each other by
//! radio before anything is said (the hybrid transport of CTAP 2.2), so the phone is where the browser is. Nobody can have
//! somebody else far away answer for them. The answer is then taken from the key that asked alone, over its signed
//! request, and redeemed with a code that nobody else is told, so it is at least as firmly that browser's as one that a
//! redirect brings back. Whether the phone or the computer held the credential is not told to us, and decides nothing.

use serde_json::{Value, json};

use super::{ANSWER_WITHIN_S, Checked, ENCRYPTIONS, Met, busy, lost_the_race, presentation_key, put, was_spent};
use crate::{
    ask::Device,
    error::{AnswerError, Error, ProofError, Refusal},
    format::Channel,
    merchant::{BrowserProof, Merchant, RACES_MAX},
    presentation::{
        Asked, BrowserDelivery, Delivered, Presentation, PresentationId, RequestId, ResponseCode, StepError,
    },
    protocol::openid4vp::dc_api::{DcContext, DcRequest, Protocol, RESPONSE_MODE, read_answer},
    store::Expect,
    time::UnixTime,
};

/// One request for `navigator.credentials.get({digital: {requests: [..]}})`.
#[derive(Clone, Debug)]
pub struct BrowserRequest {
    /// What the browser calls the way to ask.
    pub protocol: Protocol,
    /// What the wallet gets: an object.
    pub data: Value,
}

/// What came of an answer that the browser brought.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum BrowserAnswered {
    /// It holds. With this code the same browser redeems it, once.
    Answered(ResponseCode),
    /// The wallet or its owner said no.
    Declined,
}

impl Merchant {
    /// The browser that asked takes its question to a wallet itself. It gets a request for each protocol, with a nonce and a
    /// key of its own, made now; asked again, it gets the same.
    ///
    /// # Errors
    /// [`Refusal::NoSuchPresentation`] also for another key; [`Refusal::AcrossDevices`] for a question that was meant for a
    /// code; [`ProofError::Replayed`]; or where the presentation stands.
    pub async fn browser_requests(
        &self,
        id: &PresentationId,
        browser: &BrowserProof,
    ) -> Result<Vec<BrowserRequest>, Error> {
        let request = id.request();
        for _ in 0..RACES_MAX {
            let (presentation, version) = self.presentation(&request).await?;
            self.theirs(&presentation, browser)?;
            let now = self.now();
            let deliver = || self.delivery(self.0.response_mode, &request);
            let give = |asked: &Asked| self.given_to_browser(asked, &request);
            let delivered = presentation.given(now, deliver, give)?;
            let next = Presentation::Delivered(delivered.clone());
            let record = put(presentation_key(&request), &next, Some(next.kept_until()), Expect::Version(version))?;
            match self.0.store.commit(&[record, browser.spent(now)?], now).await {
                Err(e) if was_spent(&e) => return Err(ProofError::Replayed.into()),
                Err(e) if lost_the_race(&e) => continue,
                other => other?,
            };
            self.tell(&request);
            return delivered.browser.iter().map(|one| self.browser_request(&request, &delivered, one, now)).collect();
        }
        Err(busy())
    }

    /// The browser brings what a wallet answered: `data`, by `protocol`, as its promise held them. Whatever is wrong changes
    /// nothing but a count, as for [`Merchant::answer`].
    ///
    /// # Errors
    /// [`Error::Answer`] with the check that failed, [`Refusal::NoSuchPresentation`] also for another key,
    /// [`ProofError::Replayed`], or where the presentation stands.
    pub async fn browser_answer(
        &self,
        id: &PresentationId,
        browser: &BrowserProof,
        protocol: Protocol,
        data: &Value,
    ) -> Result<BrowserAnswered, Error> {
        let request = id.request();
        let (presentation, version) = self.presentation(&request).await?;
        self.theirs(&presentation, browser)?;
        let now = self.now();
        // What is over or answered is refused here, before any cryptography.
        let delivered = presentation.answering(now)?;
        // One proof is worth one look at an answer, whatever is seen.
        match self.0.store.commit(&[browser.spent(now)?], now).await {
            Err(e) if was_spent(&e) => return Err(ProofError::Replayed.into()),
            other => other?,
        };
        let checked = self.check_browser_answer(&request, &delivered, protocol, data, now).await;
        if let Err(Error::Answer(error)) = &checked {
            self.show_refused_of_browser(&request, &delivered, protocol, data, now, error.code());
        }
        let ended = self.take(&request, delivered, version, checked).await?;
        match ended.code {
            Some(code) if !ended.declined => Ok(BrowserAnswered::Answered(code)),
            _ => Ok(BrowserAnswered::Declined),
        }
    }

    /// Whether this browser may bring the presentation to a wallet and back.
    fn theirs(&self, presentation: &Presentation, browser: &BrowserProof) -> Result<(), Error> {
        let asked = presentation.asked();
        // Who did not ask learns nothing, not even that there is something.
        if asked.key != browser.key_name() {
            return Err(Refusal::NoSuchPresentation.into());
        }
        // What a code led to is judged by what a code is worth, and this is worth more.
        if asked.device == Device::CrossDevice {
            return Err(Refusal::AcrossDevices.into());
        }
        Ok(())
    }

    fn given_to_browser(&self, asked: &Asked, request: &RequestId) -> Result<Vec<BrowserDelivery>, Error> {
        let give = |(protocol, credential)| {
            let (nonce, sealed_key) = (self.fresh_nonce(), self.sealed_key(request)?);
            Ok(BrowserDelivery { protocol, nonce, sealed_key, credential })
        };
        // A name that nobody signs under is none here: who asks is the origin.
        let signs = asked.client_id.prefix().is_signed();
        let spoken = Protocol::OPENID4VP.into_iter().filter(|protocol| signs || *protocol != Protocol::Signed);
        let alone = alone(asked).into_iter().map(|id| (Protocol::IsoMdoc, Some(id)));
        spoken.map(|protocol| (protocol, None)).chain(alone).map(give).collect()
    }

    pub(in crate::merchant) fn browser_request(
        &self,
        request: &RequestId,
        delivered: &Delivered,
        given: &BrowserDelivery,
        now: UnixTime,
    ) -> Result<BrowserRequest, Error> {
        let asked = &delivered.asked;
        #[cfg(feature = "mdoc")]
        if given.protocol == Protocol::IsoMdoc {
            return Ok(BrowserRequest {
                protocol: given.protocol,
                data: self.iso_mdoc_request(request, asked, given)?,
            });
        }
        let jwk = self.opened_key(request, &given.sealed_key)?.public_jwk();
        let object = DcRequest {
            nonce: &given.nonce,
            query: &asked.query,
            formats: &self.supported(&asked.query),
            transaction_data: &asked.transaction_data,
            encryption_jwk: &jwk,
            encryption_enc: &ENCRYPTIONS,
            verifier_info: &self.verifier_info(asked),
        };
        let data = match given.protocol {
            Protocol::Signed => {
                let origin = self.web_origin();
                let exp = asked.at.plus_s(ANSWER_WITHIN_S);
                let claims = object.claims(&asked.client_id, &[&origin], now, exp);
                json!({ "request": self.sign_request(&asked.client_id, &claims)? })
            }
            _ => Value::Object(object.parameters()),
        };
        Ok(BrowserRequest { protocol: given.protocol, data })
    }

    async fn check_browser_answer(
        &self,
        request: &RequestId,
        delivered: &Delivered,
        protocol: Protocol,
        data: &Value,
        now: UnixTime,
    ) -> Result<Checked, Error> {
        #[cfg(feature = "mdoc")]
        if protocol == Protocol::IsoMdoc {
            return self.check_iso_mdoc(request, delivered, data, now).await;
        }
        let given = delivered.browser.iter().find(|one| one.protocol == protocol).ok_or(StepError::NotDelivered)?;
        let key = self.opened_key(request, &given.sealed_key)?;
        let asked = &delivered.asked;
        let context = DcContext { key: &key, accepted: &ENCRYPTIONS, query: &asked.query, limits: &self.0.limits };
        let answer = read_answer(data, &context).map_err(AnswerError::from)?;
        let origin = self.web_origin();
        let met = Met {
            // A.4: whom the proof is for is our own origin, as the merchant configured it, also where the request was signed.
            channel: Channel::DcApi { origin: &origin },
            encryption_key: Some(*key.thumbprint().as_bytes()),
            nonce: &given.nonce,
            response_mode: RESPONSE_MODE,
        };
        self.check(asked, met, answer, now).await
    }

    /// Our origin as browsers write it, without a slash at its end: from the configuration, never from what somebody sent.
    pub(in crate::merchant) fn web_origin(&self) -> String {
        self.origin().origin().ascii_serialization()
    }
}

#[cfg(feature = "mdoc")]
use super::iso_mdoc::alone;

/// Without mdocs there is nothing to ask for in their own words.
#[cfg(not(feature = "mdoc"))]
const fn alone(_: &Asked) -> Vec<String> {
    Vec::new()
}
