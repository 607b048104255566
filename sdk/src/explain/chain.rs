//! Certificates, one by one: who, until when, and to which root.

use super::{Captured, check::Check};
use crate::{protocol::x509::Certificate, time::UnixTime};

/// What one certificate says, and whether it holds at this time.
pub(super) fn certificate(at: usize, der: &[u8], now: UnixTime) -> Check {
    let mut group = Check::group(format!("certificate {at}"));
    match Certificate::from_der(der) {
        Err(error) => group.push(Check::fails("form", error.code(), error)),
        Ok(certificate) => {
            group.push(Check::fact("subject", certificate.subject()));
            group.push(Check::fact("issuer", certificate.issuer()));
            group.push(validity(&certificate, now));
            group.push(match certificate.public_key() {
                Ok(key) => Check::fact("key", key.algorithm()),
                Err(error) => Check::fact("key", error),
            });
        }
    }
    group
}

/// The checks of a chain that its issuer sent, leaf first: each certificate, and the root that it leads to.
pub(super) fn chain(captured: &Captured<'_>, chain: &[Vec<u8>]) -> Vec<Check> {
    let now = captured.now;
    let shown = chain.iter().take(captured.limits.x5c_certificates);
    let mut checks: Vec<Check> = shown.enumerate().map(|(at, der)| certificate(at, der, now)).collect();
    let Some(last) = chain.last().and_then(|der| Certificate::from_der(der).ok()) else { return checks };
    // The same name may stand on several roots: one that has its key is the one that is meant.
    let named = || captured.trust.roots_iter().filter(|root| root.subject() == last.issuer());
    checks.push(match named().find(|root| last.is_issued_by(root)).or_else(|| named().next()) {
        Some(root) if last.is_issued_by(root) => {
            let mut group = Check::group("anchor");
            group.push(Check::holds("found").text(root.subject()));
            group.push(validity(root, now));
            group
        }
        Some(root) => Check::fails("anchor", "certificate_signature", "a trusted root has the name and another key")
            .found(root.subject()),
        None => Check::fails("anchor", "certificate_unknown_anchor", "no trusted root has the name of the issuer")
            .expected(last.issuer())
            .found(format!("{} other roots", captured.trust.roots_iter().count())),
    });
    checks
}

fn validity(certificate: &Certificate, now: UnixTime) -> Check {
    let (from, until) = (certificate.not_before(), certificate.not_after());
    let span = format!("{from} to {until}");
    if now < from {
        return Check::fails("validity", "certificate_not_yet_valid", "not yet").expected(span).found(now);
    }
    if now > until {
        return Check::fails("validity", "certificate_expired", "over").expected(span).found(now);
    }
    Check::holds("validity").text(span)
}
