//! Whether a credential was revoked, as the given lists say.

use url::Url;

#[cfg(feature = "w3c")]
use super::credential::{did_key, published_key};
use super::{
    Captured,
    check::{Check, Failed},
};
#[cfg(feature = "mdoc")]
use crate::protocol::status_list::cwt::IdentifierList;
use crate::{
    ask::is_relationship,
    format::Authentic,
    protocol::{
        jose::PublicKey,
        status_list::{Status, StatusError, StatusList},
        status_ref::StatusRef,
    },
    trust::{IssuerId, TrustError},
};
#[cfg(feature = "w3c")]
use crate::{
    format::IssuerRef,
    protocol::vc::{
        bitstring::{Entry, SignedList},
        jwt::Issuer,
    },
    trust::Decision,
};

/// Who issued the credential, as far as lists about it are concerned.
struct Vouched<'a> {
    issuer: IssuerId,
    key: &'a PublicKey,
    types: Vec<String>,
}

impl Vouched<'_> {
    fn key_of(&self, captured: &Captured<'_>, chain: Option<&[Vec<u8>]>) -> Result<PublicKey, Failed> {
        let Captured { limits, now, trust, .. } = captured;
        Ok(trust.status_key(self.issuer, &self.types, chain, self.key, *now, limits)?)
    }
}

/// What the list of this credential says, for an issuer whose key is known.
pub(super) fn judge(
    captured: &Captured<'_>,
    id: &str,
    authentic: Option<&Authentic>,
    issuer: Option<(IssuerId, &PublicKey)>,
) -> Check {
    let Some(authentic) = authentic else { return Check::not_made("status", "the presentation does not hold") };
    let in_records = Check::not_made("status", "it stands in the records of the shop");
    if is_relationship(id) {
        return in_records;
    }
    if captured.own.iter().any(|one| one == id) {
        let named = authentic.status().is_some();
        let none = || Check::fails("status", "issuer_unknown", "a receipt of this shop names a list of this shop");
        return if named { in_records } else { none() };
    }
    let Some(status) = authentic.status() else { return Check::fact("status", "the credential has none") };
    let mut group = Check::group("status");
    let vouched = |(issuer, key)| Vouched { issuer, key, types: captured.trust.counts_as(issuer, authentic.types()) };
    let said = match (status, issuer.map(vouched).as_ref()) {
        (_, None) => Err(Check::not_made("token", "the issuer is not trusted")),
        (StatusRef::TokenList { uri, index }, Some(by)) => {
            group.push(Check::fact("list", uri));
            if captured.show_claims {
                group.push(Check::fact("entry", index));
            }
            read(captured, uri, |token| entry(captured, token, uri, *index, by))
        }
        #[cfg(feature = "mdoc")]
        (StatusRef::Identifier { uri, id }, Some(by)) => {
            group.push(Check::fact("list of identifiers", uri));
            read(captured, uri, |token| identifier(captured, token, uri, id, by))
        }
        #[cfg(feature = "w3c")]
        (StatusRef::Bitstring(entries), Some(by)) => {
            let read = |one: &Entry| Box::new(read(captured, &one.uri, |token| bitstring(captured, token, one, by)));
            let read: Vec<_> = entries.iter().map(read).collect();
            // What one list says is not undone by another that is not to be had.
            let is_over = read.iter().any(|said| matches!(said.as_ref(), Ok((_, status)) if *status != Status::Valid));
            for (one, said) in entries.iter().zip(read) {
                let mut of = Check::group(one.purpose.name());
                of.push(Check::fact("list", &one.uri));
                of.push(Check::fact("issuer of the list", format!("must be {}", one.issuer)));
                if captured.show_claims {
                    of.push(Check::fact("entry", one.index()));
                }
                tell(
                    &mut of,
                    match *said {
                        Err(_) if is_over => {
                            Err(Check::not_made("token", "another list says that it does not hold now"))
                        }
                        said => said,
                    },
                );
                group.push(of);
            }
            return group;
        }
    };
    tell(&mut group, said);
    group
}

/// What came of a look at a list.
fn tell(group: &mut Check, said: Result<Said, Check>) {
    match said {
        Err(check) => group.push(check),
        Ok((token, said)) => {
            group.push(Check::holds("token").text(token));
            let revoked = |what: &str| Check::fails("entry", "credential_revoked", "it does not hold now").found(what);
            group.push(match said {
                Status::Valid => Check::holds("entry").text("valid"),
                Status::Invalid => revoked("revoked"),
                Status::Suspended => revoked("suspended"),
                Status::Other(number) => revoked(&format!("status {number}")),
            });
        }
    }
}

/// A status, and what to say of the token that it stands in.
type Said = (String, Status);

/// Reads the token that was given for a list: with one alone that one, so that its mistake is found.
#[expect(clippy::result_large_err, reason = "what is refused is printed, and made once for each answer")]
fn read(captured: &Captured<'_>, uri: &Url, read: impl Fn(&[u8]) -> Result<Said, Failed>) -> Result<Said, Check> {
    let failed = |Failed { code, why }| Check::fails("token", "status_unknown", format!("{why} ({code})"));
    match captured.status_lists.as_slice() {
        [] => Err(Check::not_made("token", "it is not given, and nothing is fetched here")),
        [only] => read(only).map_err(failed),
        several => several.iter().find_map(|token| read(token).ok()).ok_or_else(|| {
            Check::fails("token", "status_unknown", "none of those given is a list that holds").expected(uri)
        }),
    }
}

/// What an entry of a Token Status List says, as the merchant reads it.
fn entry(captured: &Captured<'_>, token: &[u8], uri: &Url, index: u64, by: &Vouched<'_>) -> Result<Said, Failed> {
    let list = StatusList::read(token, uri, captured.now, &captured.limits, |chain| by.key_of(captured, chain))?;
    let said = list.status(index)?;
    Ok((format!("{} entries, fresh until {}", list.len(), list.fresh_until()), said))
}

/// Whether an identifier list names a credential.
#[cfg(feature = "mdoc")]
fn identifier(captured: &Captured<'_>, token: &[u8], uri: &Url, id: &[u8], by: &Vouched<'_>) -> Result<Said, Failed> {
    let list = IdentifierList::read(token, uri, captured.now, &captured.limits, |chain| by.key_of(captured, chain))?;
    let said = if list.contains(id) { Status::Invalid } else { Status::Valid };
    Ok((format!("fresh until {}", list.fresh_until()), said))
}

/// What an entry of a Bitstring Status List says.
#[cfg(feature = "w3c")]
fn bitstring(captured: &Captured<'_>, token: &[u8], entry: &Entry, by: &Vouched<'_>) -> Result<Said, Failed> {
    let list = SignedList::parse(token, &captured.limits)?;
    let signer = match list.issuer() {
        Issuer::Chain { chain, .. } => by.key_of(captured, Some(chain))?,
        Issuer::Did { did, method } => list_key(captured, by, &IssuerRef::Did { did: did.as_str(), method })?,
        Issuer::Url { iss, kid } => list_key(captured, by, &IssuerRef::Metadata { iss, kid: kid.as_deref() })?,
    };
    let list = list.verify(&signer, &entry.uri, captured.now, &captured.limits)?;
    let said = list.status(entry)?;
    Ok((format!("fresh until {}", list.fresh_until()), said))
}

/// The key that signed a list of the same issuer.
#[cfg(feature = "w3c")]
fn list_key(captured: &Captured<'_>, by: &Vouched<'_>, named: &IssuerRef<'_>) -> Result<PublicKey, Failed> {
    let missing = || Failed::from(TrustError::KeyNotFound);
    match captured.trust.decide(named, captured.now, &captured.limits)? {
        Decision::Resolve { did, method, issuer } if issuer == by.issuer => {
            did_key(captured, &did, &method).1.ok_or_else(missing)
        }
        Decision::Fetch { iss, kid, issuer, .. } if issuer == by.issuer => {
            published_key(captured, &iss, kid.as_deref()).ok_or_else(missing)?
        }
        _ => Err(TrustError::StatusMechanism.into()),
    }
}

impl From<StatusError> for Failed {
    fn from(error: StatusError) -> Self {
        Self::new(error.code(), error)
    }
}

impl From<TrustError> for Failed {
    fn from(error: TrustError) -> Self {
        Self::new(error.code(), error)
    }
}
