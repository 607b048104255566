//! What a keys file holds, for the person who runs the shop.

use url::Url;

use super::{KeysFile, file::FileIdentity};
use crate::{protocol::x509::Certificate, time::UnixTime};

/// How long before its end a certificate is worth a warning, in days: access authorities take their time.
const EXPIRY_WARNING_DAYS: u64 = 30;
const DAY_S: u64 = 24 * 60 * 60;

/// What is in a keys file, and what is wrong with it; a line for each. No secrets.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Report {
    /// What is there.
    pub facts: Vec<String>,
    /// What must be done before the shop can open.
    pub problems: Vec<String>,
    /// What should be done soon.
    pub warnings: Vec<String>,
}

impl KeysFile {
    /// Checks everything that can be checked without a wallet; `origin` is where the shop is.
    #[must_use]
    pub fn check(&self, origin: Option<&Url>, now: UnixTime) -> Report {
        let mut report = Report::default();
        if self.development_ca.is_some() {
            report.warnings.push("these keys are for development: they only start on this machine".to_owned());
        }
        let (certified, waiting): (Vec<_>, Vec<_>) =
            self.identities.iter().partition(|identity| !identity.chain.is_empty());
        for (age, identity) in certified.iter().enumerate() {
            report.identity(if age == 0 { "current" } else { "previous or next" }, identity, now);
        }
        for _ in &waiting {
            report.facts.push("signing key: waits for its certificate".to_owned());
        }
        match self.roots.len() {
            0 => {}
            count => report.facts.push(format!("root secrets: 1 current, {} previous", count - 1)),
        }
        if self.next_root.is_some() {
            let next = "next root secret: reads already; `firsthand keys rotate-root` makes it the current one, once all \
                        nodes were started with it";
            report.facts.push(next.to_owned());
        }
        if let Some(leaf) = certified.first().and_then(|identity| identity.chain.first()) {
            report.current(leaf, origin, now);
        }
        if let Err(error) = self.clone().into_keys() {
            report.problems.push(error.to_string());
        } else if !waiting.is_empty() {
            report.warnings.push(
                "a new signing key waits for its certificate: send its .csr to your access certificate authority"
                    .to_owned(),
            );
        }
        report
    }
}

impl Report {
    fn identity(&mut self, age: &str, identity: &FileIdentity, now: UnixTime) {
        for (position, certificate) in identity.chain.iter().enumerate() {
            let what = if position == 0 { format!("signing key, {age}") } else { "  issued by".to_owned() };
            let from = if now < certificate.not_before() {
                format!("from {} ", certificate.not_before())
            } else {
                String::new()
            };
            self.facts.push(format!(
                "{what}: {}, valid {from}until {}",
                certificate.subject(),
                certificate.not_after()
            ));
            if position == 0 {
                self.facts.push(format!("  host names: {}", listed(certificate.dns_names())));
                self.facts.push(format!("  authority: {}", certificate.issuer()));
            }
        }
    }

    fn current(&mut self, leaf: &Certificate, origin: Option<&Url>, now: UnixTime) {
        if now < leaf.not_before() {
            self.problems.push(format!("the certificate is not valid before {}", leaf.not_before()));
        }
        if now > leaf.not_after() {
            self.problems.push(format!("the certificate expired at {}: renew it", leaf.not_after()));
        } else if leaf.not_after().since_s(now) < EXPIRY_WARNING_DAYS * DAY_S {
            let days = leaf.not_after().since_s(now) / DAY_S;
            self.warnings.push(format!("the certificate expires in {days} days: renew it"));
        }
        if let Some(host) = origin.map(|origin| origin.host_str().unwrap_or_default())
            && !leaf.has_dns_name(host)
        {
            self.problems.push(format!(
                "the certificate is for {}, not for {host}: wallets that compare names refuse it",
                listed(leaf.dns_names())
            ));
        }
    }
}

fn listed(names: &[String]) -> String {
    if names.is_empty() { "none".to_owned() } else { names.join(", ") }
}
