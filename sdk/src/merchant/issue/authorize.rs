//! The authorization endpoint (OpenID4VCI 1.0, 5): a wallet pushes its request, and the customer consents in a browser that
//! the shop knows.

use super::{Issuer, Merchant, OFFERED, Recognised, WalletIdentity, lost_the_race, put, token::Client, too_often};
use crate::{
    customer::Rung,
    error::{Error, IssueError, ProofError},
    issuing::{CODE_S, CodeRecord, OfferRecord, PUSHED_S, PushedRecord},
    merchant::{BrowserProof, RACES_MAX, held::Act, proof::was_spent},
    protocol::{
        jose::base64url_encode,
        openid4vci::oauth::{
            PushedRequest, REQUEST_URI_PREFIX, may_be_registered, read_authorization_request, redirect,
        },
    },
    session::token_digest,
    store::{Expect, Key, Persisted, Write},
};

/// What a wallet gets for its request (RFC 9126, 2.2).
#[derive(Clone, PartialEq, Eq)]
pub struct Pushed {
    /// What it refers to the request by.
    pub request_uri: String,
    /// How long it has, in seconds.
    pub expires_in_s: u64,
}

impl std::fmt::Debug for Pushed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Pushed").field("expires_in_s", &self.expires_in_s).finish_non_exhaustive()
    }
}

/// What a customer is asked to consent to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConsentRequest {
    /// The name of the request.
    pub id: String,
    /// What the wallet is called.
    pub wallet: String,
    /// Where it is answered: the host, or the scheme of a wallet of its own with its colon.
    pub place: String,
}

impl Merchant {
    /// A wallet pushes its authorization request.
    ///
    /// # Errors
    /// [`IssueError`] with the check that failed; [`Error::Unavailable`].
    pub async fn push_authorization(
        &self,
        form: &[u8],
        identity: &WalletIdentity<'_>,
        dpop: Option<&BrowserProof>,
    ) -> Result<Pushed, Error> {
        let issuer = self.issuing()?;
        let request = PushedRequest::read(form, OFFERED, &self.0.limits).map_err(IssueError::Message)?;
        let now = self.now();
        let (client, mut writes) = self.client(issuer, identity, Some(&request.client_id))?;
        let (client_name, registered) = registered(issuer, &request.client_id, &client)?;
        // RFC 9700, 2.1: letter by letter.
        if !registered.iter().any(|uri| **uri == request.redirect_uri) {
            return Err(IssueError::RedirectUri.into());
        }
        let named = request.dpop_jkt.map(|thumbprint| thumbprint.to_string());
        let shown = dpop.map(|proof| proof.thumbprint().to_string());
        // RFC 9449, 10.1: both say the same, or they are a mistake.
        if named.is_some() && shown.is_some() && named != shown {
            return Err(IssueError::DpopMissing.into());
        }
        if let Some(proof) = dpop {
            writes.push(proof.spent(now)?);
        }
        let offer = match &request.issuer_state {
            None => None,
            Some(name) => match self.offer_named(name).await? {
                // A receipt is nothing to consent to: it comes by its code alone.
                Some((key, record, ..)) if record.is_open(now) && record.by.is_some() => Some(key.partition),
                _ => return Err(IssueError::Grant.into()),
            },
        };
        let name = base64url_encode(&self.random::<32>());
        let expires_at = now.plus_s(PUSHED_S);
        let record = PushedRecord {
            client_id: request.client_id,
            client_name,
            redirect_uri: request.redirect_uri,
            state: request.state,
            code_challenge: request.code_challenge.as_str().to_owned(),
            details: request.asked.details,
            offer,
            jkt: named.or(shown),
            attested: client.attested.map(|client| client.key.thumbprint().to_string()),
            expires_at,
        };
        writes.push(put(pushed_key(&name), &record, Some(expires_at), Expect::Absent)?);
        self.commit_wallet(&writes).await?;
        Ok(Pushed { request_uri: format!("{REQUEST_URI_PREFIX}{name}"), expires_in_s: PUSHED_S })
    }

    /// A browser is led here by a wallet: what it would be consenting to, for a page that asks. The page tells nothing of
    /// any customer, and changes nothing.
    ///
    /// # Errors
    /// [`IssueError::RequestUri`] if there is no such request, or not any more, or it is another wallet's: there is nobody
    /// to send an answer to.
    pub async fn authorization_request(&self, query: &str) -> Result<ConsentRequest, Error> {
        self.issuing()?;
        let (client_id, name) = read_authorization_request(query).map_err(IssueError::Message)?;
        let (_, record) = self.pushed(&name).await?;
        if record.client_id != client_id {
            return Err(IssueError::RequestUri.into());
        }
        Ok(consent_request(name, &record))
    }

    async fn pushed(&self, name: &str) -> Result<(Expect, PushedRecord), Error> {
        let stored = if name.len() <= 64 { self.load_one(&pushed_key(name)).await? } else { None };
        let stored = stored.ok_or(IssueError::RequestUri)?;
        Ok((Expect::Version(stored.version), stored.read()?))
    }
}

impl Recognised {
    /// What a wallet asks this customer to consent to.
    ///
    /// # Errors
    /// [`IssueError::RequestUri`], [`IssueError::OtherCustomer`] if the offer was made to somebody else, and what
    /// [`offer_relationship`](Self::offer_relationship) refuses.
    pub async fn consent_request(&self, name: &str) -> Result<ConsentRequest, Error> {
        let (_, record) = self.merchant().pushed(name).await?;
        self.may_consent(&record).await?;
        Ok(consent_request(name.to_owned(), &record))
    }

    /// The customer consents, or does not: the address that the browser goes to now, with a code or with the refusal. The
    /// code is good for one wallet, once, for a minute.
    ///
    /// # Errors
    /// As [`consent_request`](Self::consent_request); [`ProofError::Replayed`](crate::error::ProofError::Replayed).
    pub async fn consent(&self, proof: &BrowserProof, name: &str, allow: bool) -> Result<String, Error> {
        let merchant = self.merchant();
        for _ in 0..RACES_MAX {
            let now = merchant.now();
            let (expect, record) = merchant.pushed(name).await?;
            let mut writes = vec![Write::delete(pushed_key(name), expect), proof.spent(now)?];
            let code = base64url_encode(&merchant.random::<32>());
            if allow {
                writes.extend(self.may_consent(&record).await?);
                let expires_at = now.plus_s(CODE_S);
                let by = self.consents(now).await?;
                let consented = CodeRecord { by, request: record.clone(), taken: None, expires_at };
                // Kept longer than it is good for, so that a code that comes twice is known.
                writes.push(put(code_key(&code), &consented, Some(expires_at.plus_s(PUSHED_S)), Expect::Absent)?);
                writes.push(self.note_offered()?);
            }
            match merchant.0.store.commit(&writes, now).await {
                Err(e) if was_spent(&e) => {
                    return Err(ProofError::Replayed.into());
                }
                // Somebody else used the request, or took the offer.
                Err(e) if lost_the_race(&e) => continue,
                Err(e) => return Err(e.into()),
                Ok(_) => {}
            }
            let mut answer = match allow {
                true => vec![("code", code.as_str())],
                false => vec![("error", "access_denied")],
            };
            answer.extend(record.state.as_deref().map(|state| ("state", state)));
            // RFC 9207: whoever answers says who they are.
            answer.push(("iss", merchant.issuer_id()));
            return Ok(redirect(&record.redirect_uri, &answer));
        }
        Err(too_often())
    }

    /// Whether this session may let a wallet have the credential, and the write by which the offer is used up.
    async fn may_consent(&self, request: &PushedRecord) -> Result<Option<Write>, Error> {
        let merchant = self.merchant();
        self.may(Act::Add(Rung::RelationshipCredential)).await?;
        let Some(digest) = &request.offer else { return Ok(None) };
        let key = Key::new(OfferRecord::KIND, digest, "");
        let stored = merchant.load_one(&key).await?.ok_or(IssueError::Grant)?;
        let offer: OfferRecord = stored.read()?;
        if !offer.is_open(merchant.now()) {
            return Err(IssueError::Grant.into());
        }
        // "could have been injected by an attacker" (5.1.3): an offer is for the customer it was made to.
        let by = offer.by.as_ref().ok_or(IssueError::Grant)?;
        if merchant.resolved(&by.customer).await?.is_none_or(|(id, ..)| id != *self.id()) {
            return Err(IssueError::OtherCustomer.into());
        }
        if merchant.consenting(by).await?.is_none() {
            return Err(IssueError::Grant.into());
        }
        let until = Some(offer.expires_at.plus_s(PUSHED_S));
        Ok(Some(put(key, &offer.taken_by("code"), until, Expect::Version(stored.version))?))
    }
}

/// What a wallet is called, and where it may be answered: as the builder was told, and as its trusted provider says.
fn registered<'a>(
    issuer: &'a Issuer,
    client_id: &str,
    client: &'a Client,
) -> Result<(String, Vec<&'a String>), IssueError> {
    let known = issuer.clients.iter().find(|known| known.client_id == client_id);
    let attested = client.attested.as_ref();
    if known.is_none() && attested.is_none() {
        return Err(IssueError::Client);
    }
    let theirs = attested.iter().flat_map(|client| &client.redirect_uris);
    let addresses =
        known.iter().flat_map(|known| &known.redirect_uris).chain(theirs.filter(|uri| may_be_registered(uri)));
    let name = known.map(|known| known.name.clone()).or_else(|| attested?.name.clone());
    Ok((name.unwrap_or_else(|| client_id.to_owned()), addresses.collect()))
}

fn consent_request(id: String, record: &PushedRecord) -> ConsentRequest {
    let place = place_of(&record.redirect_uri);
    ConsentRequest { id, wallet: record.client_name.clone(), place }
}

/// Where a wallet is answered, as a person is told. What follows a scheme of its own is nobody's name: it says what the wallet
/// likes.
fn place_of(redirect_uri: &str) -> String {
    let Ok(url) = url::Url::parse(redirect_uri) else { return String::new() };
    match (url.scheme(), url.host_str()) {
        ("https" | "http", Some(host)) => host.to_owned(),
        (scheme, _) => format!("{scheme}:"),
    }
}

fn pushed_key(name: &str) -> Key {
    Key::new(PushedRecord::KIND, token_digest(name), "")
}

pub(super) fn code_key(code: &str) -> Key {
    Key::new(CodeRecord::KIND, token_digest(code), "")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wallet_of_its_own_scheme_borrows_no_hosts_name() {
        for (uri, place) in [
            ("https://wallet.example/cb", "wallet.example"),
            ("http://127.0.0.1:7777/cb", "127.0.0.1"),
            ("com.crook.app://bank.example/cb", "com.crook.app:"),
            ("com.crook.app:/bank.example", "com.crook.app:"),
        ] {
            assert_eq!(place_of(uri), place);
        }
    }
}
