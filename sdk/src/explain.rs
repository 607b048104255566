//! Why an answer was refused: every check of one captured request and answer, with what was expected and what was found.
//!
//! A customer learns one opaque reason and an operator sees this tree. It is made by the functions that verify
//! answers, so it cannot say something else than the merchant said; it goes on where the merchant stopped, and what
//! depends on a check that failed is named as not checked. Nothing is fetched and no clock is read: documents of
//! issuers, status lists and the time are arguments.
//!
//! What a wallet sends is personal data. The tree names claims and does not show their values, unless
//! [`show_claims`](Captured::show_claims) was said; digests, nonces and keys are shortened.
//!
//! ```
//! use firsthand::{Trust, explain::Captured, time::UnixTime};
//!
//! # let (request, response) = (b"", b"");
//! let trust = Trust::new();
//! let explanation = Captured::new(request, response, &trust, UnixTime::from_secs(1_795_000_000)).explain();
//! println!("{explanation}");
//! ```

use std::{fmt, sync::Arc};

use serde::Serialize;

use crate::{
    format::{Format, sd_jwt_vc::SdJwtVc},
    limits::Limits,
    protocol::jose::DecryptionKey,
    time::UnixTime,
    trust::Trust,
};

mod chain;
mod check;
mod credential;
#[cfg(feature = "mdoc")]
mod iso_mdoc;
#[cfg(feature = "mdoc")]
mod mdoc;
mod query;
mod request;
mod response;
mod sd_jwt_vc;
mod status;
#[cfg(feature = "w3c")]
mod told;

pub use check::{Check, Verdict};

/// One request and its answer as they were captured, and what to judge them by.
#[derive(Clone)]
pub struct Captured<'a> {
    request: &'a [u8],
    response: &'a [u8],
    trust: &'a Trust,
    now: UnixTime,
    keys: Vec<&'a DecryptionKey>,
    origin: Option<&'a str>,
    formats: Vec<Arc<dyn Format>>,
    issuer_documents: Vec<&'a [u8]>,
    status_lists: Vec<&'a [u8]>,
    over: Option<u8>,
    /// The ages that were asked about, where it is known which claims say them.
    ages: Vec<AgeAsked>,
    /// The ids of the queries that a receipt of the shop itself answers.
    own: Vec<String>,
    show_claims: bool,
    /// Whether the answer is what was posted, whatever it looks like.
    posted: bool,
    /// Whether the merchant also checks the rules of types, whose documents are not here.
    type_rules: bool,
    limits: Limits,
}

/// An age that an ask demands, and the claims that say it.
#[derive(Clone, Debug)]
pub(crate) struct AgeAsked {
    pub(crate) years: u8,
    /// By the id of the query and the path, what says least first.
    pub(crate) claims: Vec<(String, Vec<String>)>,
}

impl<'a> Captured<'a> {
    /// A request and its answer, judged by whom `trust` believes as of `now`, the time when the answer came.
    ///
    /// The request is the signed request object, its claims as JSON, or the request of the Digital Credentials API as
    /// JSON: one of them, or `{"requests": [..]}` with all that the browser was given. The answer is the form that the wallet
    /// posted, the JWE in it, its decrypted content, `vp_token` alone, or what the browser brought, as JSON.
    #[must_use]
    pub fn new(request: &'a [u8], response: &'a [u8], trust: &'a Trust, now: UnixTime) -> Self {
        Self {
            request,
            response,
            trust,
            now,
            keys: Vec::new(),
            origin: None,
            formats: vec![
                Arc::new(SdJwtVc::new()),
                #[cfg(feature = "mdoc")]
                Arc::new(crate::format::mdoc::Mdoc::new()),
                #[cfg(feature = "w3c")]
                Arc::new(crate::format::jwt_vc::JwtVc::new()),
                #[cfg(feature = "w3c")]
                Arc::new(crate::format::ldp_vc::LdpVc::new()),
            ],
            issuer_documents: Vec::new(),
            status_lists: Vec::new(),
            over: None,
            ages: Vec::new(),
            own: Vec::new(),
            show_claims: false,
            posted: false,
            type_rules: false,
            limits: Limits::default(),
        }
    }

    /// With the key that the answer is encrypted to. Where a browser was given several requests, each has its own: say all
    /// of them.
    #[must_use]
    pub fn key(mut self, key: &'a DecryptionKey) -> Self {
        self.keys.push(key);
        self
    }

    /// With the origin of the page that asked by the Digital Credentials API, such as `https://shop.example`.
    #[must_use]
    pub const fn origin(mut self, origin: &'a str) -> Self {
        self.origin = Some(origin);
        self
    }

    /// With a credential format, in the place of one of the same identifier.
    #[must_use]
    pub fn format(mut self, format: impl Format) -> Self {
        self.formats.retain(|known| known.id() != format.id());
        self.formats.push(Arc::new(format));
        self
    }

    /// The answer is a form as it was posted, and nothing that somebody took out of one.
    pub(crate) const fn posted(mut self) -> Self {
        self.posted = true;
        self
    }

    /// The merchant also checks the rules of types.
    pub(crate) const fn type_rules(mut self, checked: bool) -> Self {
        self.type_rules = checked;
        self
    }

    pub(crate) fn formats(mut self, formats: &[Arc<dyn Format>]) -> Self {
        self.formats = formats.to_vec();
        self
    }

    /// With the metadata of an issuer that is trusted by its URL: the document that would be fetched.
    #[must_use]
    pub fn issuer_document(mut self, document: &'a [u8]) -> Self {
        self.issuer_documents.push(document);
        self
    }

    /// With a status list token that would be fetched.
    #[must_use]
    pub fn status_list(mut self, token: &'a [u8]) -> Self {
        self.status_lists.push(token);
        self
    }

    /// With the age that the ask demands.
    #[must_use]
    pub const fn over(mut self, years: u8) -> Self {
        self.over = Some(years);
        self
    }

    /// With the queries that only a receipt of the shop itself answers.
    pub(crate) fn own(mut self, ids: &[String]) -> Self {
        self.own = ids.to_vec();
        self
    }

    /// With the ages that the asks demand, as the merchant knows them.
    pub(crate) fn ages(mut self, ages: &[AgeAsked]) -> Self {
        self.ages = ages.to_vec();
        self
    }

    /// Shows the values of claims too: personal data.
    #[must_use]
    pub const fn show_claims(mut self) -> Self {
        self.show_claims = true;
        self
    }

    /// With other bounds than the usual ones.
    #[must_use]
    pub fn limits(mut self, limits: Limits) -> Self {
        self.limits = limits;
        self
    }

    /// Makes every check.
    #[must_use]
    pub fn explain(&self) -> Explanation {
        let (request, asked) = request::read(self);
        let (answer, declined) = match &asked {
            Some(asked) => response::judge(self, asked),
            None => {
                let mut answer = Check::group("answer");
                answer.push(Check::not_made("all of it", "the request cannot be read"));
                (answer, None)
            }
        };
        let answer = answer.concluded();
        let outcome = match (answer.first_failure(), declined, answer.skipped().next()) {
            (Some(Check { code: Some(code), name, .. }), _, _) => Outcome::Refused { code, check: name.clone() },
            (_, Some(code), _) => Outcome::Declined { code },
            (_, None, Some(skipped)) => {
                Outcome::Undecided { check: skipped.name.clone(), why: skipped.text.clone().unwrap_or_default() }
            }
            _ => Outcome::Accepted,
        };
        Explanation { outcome, request: request.concluded(), answer }
    }
}

impl fmt::Debug for Captured<'_> {
    /// Without what was captured: it is about a person.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Captured").field("now", &self.now).finish_non_exhaustive()
    }
}

/// Every check of one request and its answer. Its `Display` is the tree as text, of at most 100 characters a line.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Explanation {
    /// What became of the answer.
    pub outcome: Outcome,
    /// What a careful wallet checks of the request. It decides nothing here.
    pub request: Check,
    /// What the verifier checks of the answer.
    pub answer: Check,
}

/// What becomes of an answer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "verdict", rename_all = "snake_case")]
#[non_exhaustive]
pub enum Outcome {
    /// Every check was made and holds.
    Accepted,
    /// The wallet, or its user, declined.
    Declined {
        /// The wallet's error code.
        code: String,
    },
    /// A check fails.
    Refused {
        /// The stable name of the first one, which the verifier logs too.
        code: &'static str,
        /// What it is called in the tree.
        check: String,
    },
    /// Nothing fails, and not everything could be checked.
    Undecided {
        /// The first check that was not made.
        check: String,
        /// Why not.
        why: String,
    },
}

impl fmt::Display for Explanation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.outcome {
            Outcome::Accepted => writeln!(f, "accepted: every check holds")?,
            Outcome::Declined { code } => writeln!(f, "declined by the wallet: {code}")?,
            Outcome::Refused { code, check } => writeln!(f, "refused: {check} [{code}]")?,
            Outcome::Undecided { check, why } => writeln!(f, "nothing fails, but {check} was not checked: {why}")?,
        }
        write!(f, "\n{}\n{}", self.request, self.answer)
    }
}
