//! What an operator may look at of an answer that was refused: off, unless the merchant says so.

use std::{fmt, sync::Arc};

use serde_json::{Value, json};

use super::{BrowserRequest, Merchant, MerchantBuilder};
use crate::{
    ask::{AGE, Ask, Serves},
    error::Error,
    explain::{AgeAsked, Captured, Explanation},
    format::Format,
    limits::Limits,
    presentation::{Asked, AskedOne, Delivered, RequestId},
    protocol::{
        jose::{DecryptionKey, base64url_encode},
        openid4vp::{RequestPost, dc_api::Protocol},
    },
    time::UnixTime,
    trust::Trust,
};

/// A refused answer with everything that it takes to explain it. It is personal data: look, and do not keep it.
///
/// It borrows from the merchant, so that nothing is kept unless somebody writes it down.
pub struct Capture<'a> {
    /// The signed request object, or as JSON the requests that a browser was given.
    pub request: &'a str,
    /// The form that the wallet posted, or as JSON what the browser brought.
    pub response: &'a [u8],
    /// The key that the answer was to be encrypted to, if it was; of the requests in the words of documents, each has one.
    pub keys: &'a [DecryptionKey],
    /// When the answer came.
    pub at: UnixTime,
    /// The stable name of the check that the answer was refused for.
    pub code: &'static str,
    trust: &'a Trust,
    formats: &'a [Arc<dyn Format>],
    limits: &'a Limits,
    ages: Vec<AgeAsked>,
    own: Vec<String>,
    type_rules: bool,
    origin: Option<&'a str>,
}

impl Capture<'_> {
    /// Every check of it. What the merchant fetched is not here: where it was refused for its status, that check says so.
    #[must_use]
    pub fn explain(&self) -> Explanation {
        self.explain_with(&[])
    }

    /// The same with what the merchant could have fetched.
    pub(crate) fn explain_with(&self, fetched: &[bytes::Bytes]) -> Explanation {
        let mut captured = Captured::new(self.request.as_bytes(), self.response, self.trust, self.at)
            .formats(self.formats)
            .posted()
            .type_rules(self.type_rules)
            .limits(self.limits.clone());
        for key in self.keys {
            captured = captured.key(key);
        }
        if let Some(origin) = self.origin {
            captured = captured.origin(origin);
        }
        for document in fetched {
            captured = captured.issuer_document(document).status_list(document);
        }
        captured.ages(&self.ages).own(&self.own).explain()
    }

    /// The private keys as the command `firsthand explain` reads them, a JWK set. They open this answer and no other.
    #[must_use]
    pub fn key_jwks(&self) -> Value {
        let private = |key: &DecryptionKey| {
            let mut jwk = key.public_jwk();
            jwk.as_object_mut()?.insert("d".to_owned(), base64url_encode(key.scalar()).into());
            Some(jwk)
        };
        json!({ "keys": self.keys.iter().filter_map(private).collect::<Vec<_>>() })
    }
}

impl fmt::Debug for Capture<'_> {
    /// Without what was captured.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Capture").field("at", &self.at).field("code", &self.code).finish_non_exhaustive()
    }
}

/// Who is shown refused answers.
#[derive(Clone)]
pub(super) struct Hook(Arc<dyn Fn(&Capture<'_>) + Send + Sync>);

impl fmt::Debug for Hook {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Hook")
    }
}

impl MerchantBuilder {
    /// Shows every refused answer to `look`, with the key that opens it: to find out why wallets of one kind are refused.
    /// `look` runs before the wallet is told, so it must be quick.
    ///
    /// Dangerous, because answers are personal data and customers were told that a refused one is not kept. Log the
    /// [explanation](Capture::explain), which names claims without their values, and switch this off when you know.
    ///
    /// ```no_run
    /// # fn f(builder: firsthand::merchant::MerchantBuilder) -> firsthand::merchant::MerchantBuilder {
    /// builder.danger_capture(|capture| eprintln!("{}", capture.explain()))
    /// # }
    /// ```
    #[must_use]
    pub fn danger_capture(mut self, look: impl Fn(&Capture<'_>) + Send + Sync + 'static) -> Self {
        self.capture = Some(Hook(Arc::new(look)));
        self
    }
}

/// An answer that was refused, with the requests that it was to.
struct Refused<'a> {
    request: String,
    response: &'a [u8],
    keys: Vec<DecryptionKey>,
    origin: Option<&'a str>,
}

impl Merchant {
    /// Shows a refused answer to whoever asked for that.
    pub(super) fn show_refused(
        &self,
        id: &RequestId,
        delivered: &Delivered,
        response: &[u8],
        at: UnixTime,
        code: &'static str,
    ) {
        if self.0.capture.is_none() {
            return;
        }
        // What the wallet was told, but for a nonce of its own, which it alone compares, and without a cover.
        let request = if delivered.asked.client_id.prefix().is_signed() {
            self.signed_request(id, delivered, &RequestPost::default(), at)
        } else {
            self.with_request(id, delivered, None, at, |request| request.claims().to_string())
        };
        let key = self.decryption_key(id, &delivered.delivery);
        let made = request.and_then(|request| Ok((request, key?.into_iter().collect())));
        let refused = made.map(|(request, keys)| Refused { request, response, keys, origin: None });
        self.show(delivered, refused, at, code);
    }

    /// The same for an answer that a browser brought.
    pub(super) fn show_refused_of_browser(
        &self,
        id: &RequestId,
        delivered: &Delivered,
        protocol: Protocol,
        data: &Value,
        at: UnixTime,
        code: &'static str,
    ) {
        if self.0.capture.is_none() {
            return;
        }
        let given = delivered.browser.iter();
        let request = |one: BrowserRequest| json!({ "protocol": one.protocol, "data": one.data });
        let requests = given.clone().map(|one| self.browser_request(id, delivered, one, at).map(request));
        let requests: Result<Vec<Value>, Error> = requests.collect();
        let keys = given.filter(|one| one.protocol == protocol).map(|one| self.opened_key(id, &one.sealed_key));
        let made = requests.and_then(|requests| Ok((requests, keys.collect::<Result<_, _>>()?)));
        let response = json!({ "protocol": protocol, "data": data }).to_string();
        let origin = self.web_origin();
        let refused = made.map(|(requests, keys)| Refused {
            request: json!({ "requests": requests }).to_string(),
            response: response.as_bytes(),
            keys,
            origin: Some(&origin),
        });
        self.show(delivered, refused, at, code);
    }

    /// The queries that a receipt of this shop answers, and nobody else's.
    fn own_in(&self, asked: &Asked) -> Vec<String> {
        let asks: Vec<&Ask> = asked.asks.iter().filter_map(|one| self.declared(&one.name)).collect();
        let together = self.together(&asks);
        let own = together.queries.iter().filter(|query| query.serves.iter().any(Serves::is_own_receipt));
        own.map(|query| query.id.clone()).collect()
    }

    /// The ages that were asked about, and which claims say them.
    fn ages_in(&self, asked: &Asked) -> Vec<AgeAsked> {
        let asks: Vec<&Ask> = asked.asks.iter().filter_map(|one| self.declared(&one.name)).collect();
        let together = self.together(&asks);
        let said = |one: &AskedOne| {
            let mut claims = Vec::new();
            for query in &together.queries {
                for serves in query.serves.iter().filter(|it| it.ask.name() == one.name && it.asked_for.id() == AGE) {
                    let (all_of, one_of) = serves.wanted.paths();
                    claims.extend(all_of.into_iter().chain(one_of).map(|path| (query.id.clone(), path)));
                }
            }
            Some(AgeAsked { years: one.over?, claims })
        };
        asked.asks.iter().filter_map(said).collect()
    }

    fn show(&self, delivered: &Delivered, refused: Result<Refused<'_>, Error>, at: UnixTime, code: &'static str) {
        let Some(Hook(look)) = &self.0.capture else { return };
        let Ok(Refused { request, response, keys, origin }) = refused else {
            tracing::warn!(code, "a refused answer cannot be shown: its request cannot be made again");
            return;
        };
        let trust = self.trust();
        look(&Capture {
            request: &request,
            response,
            keys: &keys,
            at,
            code,
            trust: &trust,
            formats: &self.0.formats,
            limits: &self.0.limits,
            ages: self.ages_in(&delivered.asked),
            own: self.own_in(&delivered.asked),
            type_rules: !self.0.type_metadata.is_ignored(),
            origin,
        });
    }
}
