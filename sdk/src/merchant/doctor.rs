//! The doctor: what about a shop is wrong, or soon will be, before a customer finds out.
//!
//! Half of it the program knows of itself; the other half is looked at from outside, at the public origin, as browsers and
//! wallets come. Nothing is changed, but for one presentation that is asked for and expires.

use std::fmt;

use bytes::Bytes;
use serde_json::{Value, json};

use super::{ClientIdPrefix, Merchant, RENEW_WITHIN_S, operate::House};
use crate::{
    fetch::{FetchError, FetchRequest, Fetched, Post, RetryAfter, address::is_loopback},
    protocol::{
        dpop,
        jose::{SigningKey, base64url_encode},
    },
    time::UnixTime,
};

/// What a finding is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Part {
    /// The public address, and whether this shop answers there.
    Origin,
    /// The encryption of the connection.
    Tls,
    /// What stands in front of the program: whether it lets through what it must.
    Proxy,
    /// The time.
    Clock,
    /// Certificates and registrations, and until when they hold.
    Certificates,
    /// The keys file.
    Keys,
    /// The database.
    Store,
    /// Published lists of issuers.
    TrustLists,
    /// What the shop's own pages allow scripts.
    ContentSecurityPolicy,
    /// What removes expired records and brings orders up to date.
    Housekeeping,
}

impl Part {
    /// A stable name.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Origin => "origin",
            Self::Tls => "tls",
            Self::Proxy => "proxy",
            Self::Clock => "clock",
            Self::Certificates => "certificates",
            Self::Keys => "keys",
            Self::Store => "store",
            Self::TrustLists => "trust_lists",
            Self::ContentSecurityPolicy => "content_security_policy",
            Self::Housekeeping => "housekeeping",
        }
    }
}

/// How bad it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Severity {
    /// It is as it should be.
    Good,
    /// It could not be looked at from here.
    Unseen,
    /// It works, and will not for ever, or could be safer.
    Soon,
    /// Customers are refused, or worse.
    Wrong,
}

impl Severity {
    /// A stable name.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Good => "good",
            Self::Unseen => "unseen",
            Self::Soon => "soon",
            Self::Wrong => "wrong",
        }
    }
}

/// One thing that the doctor has looked at.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Finding {
    /// What it is about.
    pub part: Part,
    /// How bad it is.
    pub severity: Severity,
    /// What was found, in a sentence.
    pub what: String,
    /// What to do about it; empty if there is nothing to do.
    pub advice: String,
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({}): {}", self.severity.name(), self.part.name(), self.what)?;
        if self.advice.is_empty() { Ok(()) } else { write!(f, "; {}", self.advice) }
    }
}

/// How far two clocks may be apart, in seconds: half of what a browser's proof may be old.
const CLOCKS_APART_S: u64 = 30;
/// How much of a page is read, in bytes.
const PAGE_BYTES_MAX: usize = 1024 * 1024;
/// How much of an answer of our own routes is read, in bytes.
const ANSWER_BYTES_MAX: usize = 64 * 1024;

impl Merchant {
    /// Looks at the whole shop: what it knows of itself, and itself as [seen from outside](Self::doctor_outside). For the
    /// start of a program, a page of whoever runs it, or an alarm once a day; it takes some seconds if something is silent.
    pub async fn doctor(&self) -> Vec<Finding> {
        let mut seen = Seen(self.doctor_keys());
        let store = self.store_answers().await;
        seen.either(
            store,
            Part::Store,
            "the store answers",
            Severity::Wrong,
            "the store does not answer in time",
            "see whether the database runs, takes more connections, and has room on its disk; the log has the reason",
        );
        self.look_at_lists(&mut seen);
        self.look_at_house(&mut seen);
        let ask = self.asks().find(|ask| !ask.is_payment()).map(|ask| ask.name().to_owned());
        seen.0.extend(self.doctor_outside(ask.as_deref()).await);
        seen.0
    }

    /// Looks at the keys and certificates alone. It asks nobody.
    #[must_use]
    pub fn doctor_keys(&self) -> Vec<Finding> {
        let mut seen = Seen::default();
        self.look_at_certificates(&mut seen);
        self.look_at_keys(&mut seen);
        seen.0
    }

    /// Looks at the public origin from outside, as browsers and wallets come: whether it is this shop that answers there, with
    /// these keys; whether what stands in front lets a signed request through as it was sent; clocks and policies. `ask` is
    /// the name of an ask that the shop declares: a browser's question is asked with it, and expires.
    ///
    /// A shop behind an address of its own network cannot see itself: then the command `firsthand doctor` does it from
    /// elsewhere, with the same keys file.
    pub async fn doctor_outside(&self, ask: Option<&str>) -> Vec<Finding> {
        let mut seen = Seen::default();
        if is_loopback(self.origin()) {
            let what = format!("{} is this machine alone: nothing is looked at from outside", self.origin());
            seen.push(Part::Origin, Severity::Unseen, what, "");
            return seen.0;
        }
        if self.look_at_origin(&mut seen).await {
            self.look_through_proxy(&mut seen, ask).await;
            self.look_at_first_page(&mut seen).await;
        }
        seen.0
    }

    fn look_at_certificates(&self, seen: &mut Seen) {
        let (now, leaf) = (self.now(), self.0.keys.identity().leaf());
        let signs = matches!(self.0.prefix, ClientIdPrefix::X509Hash | ClientIdPrefix::X509SanDns);
        if signs {
            if leaf.not_before() > now {
                let what = format!("the access certificate holds from {} on", leaf.not_before());
                seen.push(Part::Certificates, Severity::Wrong, what, "see whether this machine's clock is right");
            }
            let renew =
                "`firsthand keys rotate-signing`, send the request to your authority, then `keys add-certificate`";
            seen.ends("access certificate", leaf.not_after(), now, renew);
        }
        if let ClientIdPrefix::VerifierAttestation(attestation) = &self.0.prefix {
            seen.ends("verifier attestation", attestation.expires_at(), now, "ask whoever attested you for a new one");
        }
        for (ask, registration) in &self.0.registrations {
            if let Some(at) = registration.expires_at() {
                let what = format!("registration certificate of the ask {ask:?}");
                seen.ends(&what, at, now, "ask your registrar for a new one");
            }
        }
    }

    fn look_at_keys(&self, seen: &mut Seen) {
        let keys = &self.0.keys;
        if keys.are_development() {
            let advice = "make your own with `firsthand keys new` before you open";
            seen.push(Part::Keys, Severity::Soon, "the keys are for development".to_owned(), advice);
        }
        let (signing, roots) = (keys.identities().len(), keys.roots_len());
        let what = format!("{signing} signing certificates and {roots} root secrets, one of each current");
        seen.push(Part::Keys, Severity::Good, what, "");
    }

    fn look_at_house(&self, seen: &mut Seen) {
        let (severity, what, advice) = match self.house() {
            House::Kept => (Severity::Good, "expired records are removed, and orders brought up to date", ""),
            House::Elsewhere => (
                Severity::Unseen,
                "housekeeping was not done at this node",
                "one node at least does it: tokio::spawn(merchant.clone().housekeeping())",
            ),
            House::Neglected => (
                Severity::Wrong,
                "housekeeping was not done in the last ten minutes: expired records stay on the disk, and payments in doubt \
                 stay so",
                "the log says what failed",
            ),
        };
        seen.push(Part::Housekeeping, severity, what.to_owned(), advice);
    }

    fn look_at_lists(&self, seen: &mut Seen) {
        const SOON_S: u64 = 3 * 24 * 3600;
        let now = self.now();
        for list in self.trust_lists() {
            let (url, problem) = (&list.url, list.problem.as_deref().unwrap_or("nothing went wrong"));
            let advice =
                "see whether its publisher is reached, and whether the certificate that you gave still signs it";
            match list.believed_until {
                Some(until) if until > now && (list.problem.is_some() || until <= now.plus_s(SOON_S)) => {
                    let what = format!("{url} is believed until {until}, and was not replaced ({problem})");
                    seen.push(Part::TrustLists, Severity::Soon, what, advice);
                }
                Some(until) if until > now => {
                    let what = format!("{url} is believed until {until}, with {} issuers", list.issuers);
                    seen.push(Part::TrustLists, Severity::Good, what, "");
                }
                _ => {
                    let what = format!("{url} is not believed ({problem}): credentials of its issuers are refused");
                    seen.push(Part::TrustLists, Severity::Wrong, what, advice);
                }
            }
        }
    }

    /// Whether this shop answers at its origin.
    async fn look_at_origin(&self, seen: &mut Seen) -> bool {
        let origin = self.origin();
        let mut url = origin.clone();
        url.set_path("/.well-known/did.json");
        let request = FetchRequest::get(url.clone(), "application/did+json", ANSWER_BYTES_MAX);
        let answer = match self.0.fetch.fetch(&request).await {
            Ok(answer) => answer,
            Err(error) => {
                seen.unreachable(&url, &error);
                return false;
            }
        };
        let ours =
            serde_json::from_slice::<Value>(&answer.body).is_ok_and(|there| there == self.public_document().to_json());
        seen.either(
            ours,
            Part::Origin,
            "the shop answers at its origin, with these keys",
            Severity::Wrong,
            "another program, or one with other keys, answers at the origin",
            "lead the whole origin to this shop, /.well-known included, and start all nodes with the same keys file",
        );
        seen.push(Part::Tls, Severity::Good, format!("{origin} is reached by https with a certificate that holds"), "");
        if !answer.headers.contains_key("strict-transport-security") {
            let what = "Strict-Transport-Security is not sent: the first visit can be led to plain http".to_owned();
            seen.push(Part::Tls, Severity::Soon, what, "let what ends TLS send max-age=31536000");
        }
        self.look_at_clock(seen, &answer);
        ours
    }

    fn look_at_clock(&self, seen: &mut Seen, answer: &Fetched) {
        let date = answer.headers.get("date").and_then(|date| date.to_str().ok()).and_then(RetryAfter::read);
        let Some(RetryAfter::At(there)) = date else {
            let what = "the answer has no Date, so clocks cannot be compared".to_owned();
            seen.push(Part::Clock, Severity::Unseen, what, "");
            return;
        };
        let apart = self.now().since_s(there).max(there.since_s(self.now()));
        let wrong = format!("this machine and the one that answers are {apart} seconds apart");
        seen.either(
            apart <= CLOCKS_APART_S,
            Part::Clock,
            "clocks agree",
            Severity::Wrong,
            &wrong,
            "let both follow the time (NTP): proofs and credentials hold for seconds and minutes",
        );
    }

    /// Asks as a browser does, and reads the question as a wallet does.
    async fn look_through_proxy(&self, seen: &mut Seen, ask: Option<&str>) {
        let Some(ask) = ask else {
            let what = "no ask was named, so no signed request was tried".to_owned();
            seen.push(Part::Proxy, Severity::Unseen, what, "");
            return;
        };
        let body = json!({ "ask": ask, "flow": "cross_device" }).to_string();
        let Some(request) = self.signed_post("/presentations", body) else {
            let what = "a key for a signed request could not be made".to_owned();
            seen.push(Part::Proxy, Severity::Unseen, what, "");
            return;
        };
        let url = request.url.clone();
        let answer = match self.0.fetch.fetch(&request).await {
            Ok(answer) => answer,
            Err(FetchError::Status(401)) => {
                let what = format!("a signed request to {url} came otherwise than it was sent");
                let advice = "let what stands in front pass the header DPoP on, and leave path and body as they are; if it \
                              does, compare keys file, origin and clock of this program with the shop's";
                seen.push(Part::Proxy, Severity::Wrong, what, advice);
                return;
            }
            Err(error) => {
                seen.unreachable(&url, &error);
                return;
            }
        };
        let private = answer.headers.get("cache-control").is_some_and(|value| value == "private, no-store");
        let what = "what stands in front changes Cache-Control of personal answers: a cache may give them to others";
        seen.either(
            private,
            Part::Proxy,
            "a signed request comes as it was sent, and its answer goes into no cache",
            Severity::Wrong,
            what,
            "let it pass Cache-Control and Vary on as they are",
        );
        let link = serde_json::from_slice::<Value>(&answer.body).ok();
        let link = link.as_ref().and_then(|body| body.get("request_uri")?.as_str()?.parse().ok());
        let Some(link) = link else { return };
        let request = FetchRequest::get(link, "application/oauth-authz-req+jwt", self.0.limits.response_bytes);
        match self.0.fetch.fetch(&request).await {
            Ok(_) => seen.push(Part::Proxy, Severity::Good, "a wallet can read what is asked".to_owned(), ""),
            Err(error) => seen.unreachable(&request.url, &error),
        }
    }

    /// A POST that a browser with a new key could have sent.
    fn signed_post(&self, path: &str, body: String) -> Option<FetchRequest> {
        let key = SigningKey::from_ed25519_seed(&self.random::<32>()).ok()?;
        let (url, jti, nonce) = (self.address(path), base64url_encode(&self.random::<16>()), self.nonce());
        let (iat, body) = (self.now(), Bytes::from(body));
        let making = dpop::Making { method: "POST", url: &url, jti: &jti, iat, nonce: &nonce, body: &body };
        let proof = dpop::make(&key, &making).ok()?;
        let post = Post { content_type: "application/json", headers: vec![("dpop", proof)], body };
        Some(FetchRequest::get(url, "application/json", ANSWER_BYTES_MAX).post(post))
    }

    async fn look_at_first_page(&self, seen: &mut Seen) {
        let mut request = FetchRequest::get(self.origin().clone(), "text/html", PAGE_BYTES_MAX);
        request.redirects_max = 3;
        let answer = match self.0.fetch.fetch(&request).await {
            Ok(answer) => answer,
            Err(error) => {
                let what = format!("the first page cannot be looked at: {error}");
                seen.push(Part::ContentSecurityPolicy, Severity::Unseen, what, "");
                return;
            }
        };
        let policies = answer.headers.get_all("content-security-policy").iter();
        let policies: Vec<&str> = policies.filter_map(|policy| policy.to_str().ok()).collect();
        let (what, advice) = match weakness(&policies) {
            None => {
                let what = "the first page lets no script in but those of the shop".to_owned();
                seen.push(Part::ContentSecurityPolicy, Severity::Good, what, "");
                return;
            }
            Some(weakness) => (format!("the first page's Content-Security-Policy {weakness}"), POLICY_ADVICE),
        };
        seen.push(Part::ContentSecurityPolicy, Severity::Soon, what, advice);
    }
}

const POLICY_ADVICE: &str = "an injected script acts as the customer: see the policy in the README";

/// What a page's policies allow that they should not.
fn weakness(policies: &[&str]) -> Option<&'static str> {
    let directives = || policies.iter().flat_map(|policy| policy.split([';', ',']));
    let of = |wanted: &str| {
        directives().find_map(|directive| {
            let mut words = directive.split_ascii_whitespace();
            words.next().filter(|name| name.eq_ignore_ascii_case(wanted)).map(|_| words.collect::<Vec<_>>())
        })
    };
    let Some(scripts) = of("script-src").or_else(|| of("default-src")) else {
        return Some("says nothing of scripts");
    };
    let has = |word: &str| scripts.iter().any(|found| found.eq_ignore_ascii_case(word));
    let signed = scripts.iter().any(|word| word.starts_with("'nonce-") || word.starts_with("'sha"));
    if has("'unsafe-eval'") {
        Some("allows 'unsafe-eval'")
    } else if has("'unsafe-inline'") && !signed {
        Some("allows 'unsafe-inline' scripts")
    } else if has("*") || has("https:") || has("http:") || has("data:") {
        Some("allows scripts of any host")
    } else {
        None
    }
}

/// What was seen so far.
#[derive(Default)]
struct Seen(Vec<Finding>);

impl Seen {
    fn push(&mut self, part: Part, severity: Severity, what: String, advice: &str) {
        self.0.push(Finding { part, severity, what, advice: advice.to_owned() });
    }

    fn either(&mut self, is_good: bool, part: Part, good: &str, severity: Severity, bad: &str, advice: &str) {
        match is_good {
            true => self.push(part, Severity::Good, good.to_owned(), ""),
            false => self.push(part, severity, bad.to_owned(), advice),
        }
    }

    fn ends(&mut self, what: &str, at: UnixTime, now: UnixTime, advice: &str) {
        let (severity, what) = if at <= now {
            (Severity::Wrong, format!("the {what} has ended at {at}: wallets refuse us"))
        } else if at <= now.plus_s(RENEW_WITHIN_S) {
            (Severity::Soon, format!("the {what} ends at {at}"))
        } else {
            return self.push(Part::Certificates, Severity::Good, format!("the {what} holds until {at}"), "");
        };
        self.push(Part::Certificates, severity, what, advice);
    }

    /// Why something of our own is not reached.
    fn unreachable(&mut self, url: &url::Url, error: &FetchError) {
        let mut why = error.to_string();
        let mut source = std::error::Error::source(error);
        while let Some(cause) = source {
            why.push_str(&format!(": {cause}"));
            source = cause.source();
        }
        let (part, severity, advice) = match error {
            FetchError::Refused { .. } => (
                Part::Origin,
                Severity::Unseen,
                "from here the name leads to an address that is not public: run `firsthand doctor` from elsewhere",
            ),
            FetchError::Status(_) | FetchError::Busy { .. } | FetchError::TooManyRedirects { .. } => {
                (Part::Proxy, Severity::Wrong, "lead this address to the shop, without a redirect: wallets follow none")
            }
            _ => (
                Part::Tls,
                Severity::Wrong,
                "see whether the name leads here, the port is open, and the certificate is of this name, holds, and comes \
                 with its chain",
            ),
        };
        self.push(part, severity, format!("{url} is not reached: {why}"), advice);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_policy_is_weak_where_a_script_of_others_runs() {
        let good = "default-src 'none'; script-src 'self'; style-src 'unsafe-inline'";
        for (policies, expected) in [
            (&[good][..], None),
            (&["DEFAULT-SRC 'self'"], None),
            (&["script-src 'self' 'nonce-abc' 'unsafe-inline'"], None),
            (&[], Some("says nothing of scripts")),
            (&["frame-ancestors 'none'"], Some("says nothing of scripts")),
            (&["script-src 'self' 'unsafe-inline'"], Some("allows 'unsafe-inline' scripts")),
            (&["default-src 'self' 'Unsafe-Eval'"], Some("allows 'unsafe-eval'")),
            (&["script-src https:"], Some("allows scripts of any host")),
        ] {
            assert_eq!(weakness(policies), expected, "{policies:?}");
        }
    }
}
