//! Whether a credential was revoked, as the given lists say.

use url::Url;

use super::{
    Captured,
    check::{Check, Failed},
};
#[cfg(feature = "mdoc")]
use crate::protocol::status_list::cwt::{self, IdentifierList, StatusCwt};
use crate::{
    ask::RELATIONSHIP,
    format::Authentic,
    protocol::{
        jose::PublicKey,
        status_list::{Status, StatusError, StatusList},
        status_ref::StatusRef,
    },
    trust::{IssuerId, TrustError},
};

/// What the list of this credential says, for an issuer whose key is known.
pub(super) fn judge(
    captured: &Captured<'_>,
    id: &str,
    authentic: Option<&Authentic>,
    issuer: Option<(IssuerId, &PublicKey)>,
) -> Check {
    let Some(authentic) = authentic else { return Check::not_made("status", "the presentation does not hold") };
    if id == RELATIONSHIP {
        return Check::not_made("status", "it stands in the records of the shop");
    }
    let Some(status) = authentic.status() else { return Check::fact("status", "the credential has none") };
    let mut group = Check::group("status");
    let said = match (status, issuer) {
        (_, None) => Err(Check::not_made("token", "the issuer is not trusted")),
        (StatusRef::TokenList { uri, index }, Some(issuer)) => {
            group.push(Check::fact("list", uri));
            if captured.show_claims {
                group.push(Check::fact("entry", index));
            }
            read(captured, uri, |token| entry(captured, token, uri, *index, issuer))
        }
        #[cfg(feature = "mdoc")]
        (StatusRef::Identifier { uri, id }, Some(issuer)) => {
            group.push(Check::fact("list of identifiers", uri));
            read(captured, uri, |token| identifier(captured, token, uri, id, issuer))
        }
        #[cfg(feature = "w3c")]
        (StatusRef::Bitstring(_), Some(_)) => Err(Check::not_made("token", "bitstrings are not read here")),
    };
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
    group
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
fn entry(
    captured: &Captured<'_>,
    token: &[u8],
    uri: &Url,
    index: u64,
    (issuer, key): (IssuerId, &PublicKey),
) -> Result<Said, Failed> {
    let Captured { limits, now, trust, .. } = captured;
    let list = match token {
        #[cfg(feature = "mdoc")]
        token if cwt::is_cwt(token) => {
            let token = StatusCwt::parse(token, limits).map_err(unread)?;
            let signer = trust.status_key(issuer, token.chain(), None, key, *now, limits).map_err(unsigned)?;
            StatusList::verify_cwt(token, &signer, uri, *now, limits).map_err(unread)?
        }
        token => {
            let text = std::str::from_utf8(token).unwrap_or_default().trim_ascii_end();
            let token = StatusList::parse(text, limits).map_err(unread)?;
            let header = token.header();
            let signer = trust.status_key(issuer, header.x5c.as_deref(), header.kid.as_deref(), key, *now, limits);
            StatusList::verify(token, &signer.map_err(unsigned)?, uri, *now, limits).map_err(unread)?
        }
    };
    let said = list.status(index).map_err(unread)?;
    Ok((format!("{} entries, fresh until {}", list.len(), list.fresh_until()), said))
}

/// Whether an identifier list names a credential.
#[cfg(feature = "mdoc")]
fn identifier(
    captured: &Captured<'_>,
    token: &[u8],
    uri: &Url,
    id: &[u8],
    (issuer, key): (IssuerId, &PublicKey),
) -> Result<Said, Failed> {
    let Captured { limits, now, trust, .. } = captured;
    let token = StatusCwt::parse(token, limits).map_err(unread)?;
    let signer = trust.status_key(issuer, token.chain(), None, key, *now, limits).map_err(unsigned)?;
    let list = IdentifierList::verify(token, &signer, uri, *now, limits).map_err(unread)?;
    let said = if list.contains(id) { Status::Invalid } else { Status::Valid };
    Ok((format!("fresh until {}", list.fresh_until()), said))
}

fn unread(error: StatusError) -> Failed {
    Failed::new(error.code(), error)
}

fn unsigned(error: TrustError) -> Failed {
    Failed::new(error.code(), error)
}
