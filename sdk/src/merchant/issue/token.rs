//! The token endpoint (OpenID4VCI 1.0, 6): codes and refresh tokens become access tokens that only the issuer's own
//! endpoints know.
//!
//! An access token is bound to the wallet's DPoP key, where it has one, and so is every refresh token: without a key there
//! is none. A refresh token is used once; a second time ends the whole grant, since two have it.

use super::{
    Issuer, IssuerProfile, Merchant, OFFERED, authorize::code_key, grant_key, put, receipt::offered_of, too_often,
};
use crate::{
    error::{Error, IssueError, ProofError},
    issuing::{
        Brings, CodeRecord, Consent, FIRST_S, GrantRecord, OFFER_S, OfferRecord, ReceiptName, RefreshRecord,
        SpentWalletProof, TOKEN_S, WalletTokenRecord,
    },
    merchant::{BrowserProof, RACES_MAX, proof::was_spent, recognise::is_race},
    protocol::{
        jose::{base64url_encode, sha256},
        openid4vci::{
            attestation::{AttestedClient, Believed},
            oauth::{CodeChallenge, Grant, OAuthError, TokenRequest},
        },
    },
    session::token_digest,
    store::{Expect, Key, Persisted, StoreError, Version, Write},
    time::UnixTime,
};

/// What a wallet sends to say who it is: the values of `OAuth-Client-Attestation` and `OAuth-Client-Attestation-PoP`.
#[derive(Clone, Copy, Default)]
pub struct WalletIdentity<'a> {
    /// The word of its provider.
    pub attestation: Option<&'a str>,
    /// Its own.
    pub proof: Option<&'a str>,
}

impl std::fmt::Debug for WalletIdentity<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("WalletIdentity([redacted])")
    }
}

/// Tokens for a wallet. No shop session, and no token of the shop's own pages: both sides refuse the other's.
pub struct WalletTokens {
    /// The access token, for the issuer's endpoints; this is the only place where it is.
    pub access_token: String,
    /// Whether it is bound to a key (`DPoP`), or is good for whoever has it (`Bearer`).
    pub bound: bool,
    /// How long it works, in seconds.
    pub expires_in_s: u64,
    /// What brings the next one, for a wallet with a key.
    pub refresh_token: Option<String>,
    /// The identifiers by which credentials are asked for, since the wallet asked by authorization details. They are also the
    /// names of their configurations.
    pub identifiers: Vec<String>,
    /// The scope.
    pub scope: &'static str,
}

impl std::fmt::Debug for WalletTokens {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("WalletTokens([redacted])")
    }
}

/// A wallet as far as it said who it is.
pub(super) struct Client {
    pub(super) client_id: Option<String>,
    pub(super) attested: Option<AttestedClient>,
}

impl Client {
    fn attested_key(&self) -> Option<String> {
        self.attested.as_ref().map(|client| client.key.thumbprint().to_string())
    }
}

/// What a grant begins with, and what was shown for it.
struct Beginning {
    grant: GrantRecord,
    details: Vec<String>,
    key: Key,
    version: Version,
    shown: Shown,
}

/// What is good for one grant.
enum Shown {
    Offer(OfferRecord),
    Code(CodeRecord),
}

impl Beginning {
    /// The write by which what was shown is used up, for the grant of this name.
    fn taken_by(&self, grant: &str) -> Result<Write, Error> {
        let (key, expect) = (self.key.clone(), Expect::Version(self.version));
        // Kept longer than it is good for, so that what comes twice is known.
        Ok(match &self.shown {
            Shown::Offer(offer) => {
                put(key, &offer.clone().taken_by(grant), Some(offer.expires_at.plus_s(OFFER_S)), expect)?
            }
            Shown::Code(code) => {
                let taken = CodeRecord { taken: Some(grant.to_owned()), ..code.clone() };
                put(key, &taken, Some(code.expires_at.plus_s(OFFER_S)), expect)?
            }
        })
    }
}

impl Merchant {
    /// A wallet asks for tokens.
    ///
    /// # Errors
    /// [`IssueError`] with the check that failed; [`Error::Unavailable`].
    pub async fn wallet_token(
        &self,
        form: &[u8],
        identity: &WalletIdentity<'_>,
        dpop: Option<&BrowserProof>,
    ) -> Result<WalletTokens, Error> {
        let issuer = self.issuing()?;
        let request = TokenRequest::read(form, &self.offered(), &self.0.limits).map_err(IssueError::Message)?;
        let (client, mut spent) = self.client(issuer, identity, request.client_id.as_deref())?;
        match dpop {
            Some(proof) => spent.push(proof.spent(self.now())?),
            None if issuer.profile == IssuerProfile::Haip => return Err(IssueError::DpopMissing.into()),
            None => {}
        }
        for _ in 0..RACES_MAX {
            let now = self.now();
            let details = &request.asked.details;
            let answer = async {
                let begun = match &request.grant {
                    Grant::PreAuthorized { code, tx_code } => {
                        self.by_offer(code, tx_code.as_deref(), &client, dpop, now).await?
                    }
                    Grant::AuthorizationCode { code, redirect_uri, code_verifier } => {
                        let shown = (redirect_uri.as_deref(), code_verifier.as_deref());
                        self.by_code(code, shown, &client, dpop, now).await?
                    }
                    Grant::Refresh { token } => {
                        return self.refreshed(token, &client, dpop, details, &spent, now).await;
                    }
                };
                self.begin_grant(begun, details, &spent, now).await
            };
            match answer.await {
                Err(Error::Unavailable { source, .. }) if is_race(source.as_ref()) => {}
                other => return other,
            }
        }
        Err(too_often())
    }

    /// The grant of an offer's code, with the number that its owner typed. A wrong number is written down before anybody
    /// learns that it is wrong: however many are tried at once, five count.
    async fn by_offer(
        &self,
        code: &str,
        tx_code: Option<&str>,
        client: &Client,
        dpop: Option<&BrowserProof>,
        now: UnixTime,
    ) -> Result<Beginning, Error> {
        let key = super::offer_key(code);
        let stored = self.load_one(&key).await?.ok_or(IssueError::Grant)?;
        let offer: OfferRecord = stored.read()?;
        if !offer.is_open(now) {
            return Err(IssueError::Grant.into());
        }
        let tx_code = tx_code.ok_or(IssueError::TxCodeMissing)?;
        if !self.tx_digests(&key, tx_code).contains(&offer.tx_code) {
            let until = Some(offer.expires_at.plus_s(OFFER_S));
            let guessed = put(key, &offer.guessed_wrong(), until, Expect::Version(stored.version))?;
            self.0.store.commit(&[guessed], now).await?;
            return Err(IssueError::TxCodeWrong.into());
        }
        let grant = grant(offer.by.clone(), offer.receipt.clone(), client, dpop, now);
        Ok(Beginning { grant, details: Vec::new(), key, version: stored.version, shown: Shown::Offer(offer) })
    }

    /// The grant of an authorization code (RFC 6749, 4.1.3; RFC 7636, 4.6).
    async fn by_code(
        &self,
        code: &str,
        (redirect_uri, verifier): (Option<&str>, Option<&str>),
        client: &Client,
        dpop: Option<&BrowserProof>,
        now: UnixTime,
    ) -> Result<Beginning, Error> {
        let key = code_key(code);
        let stored = self.load_one(&key).await?.ok_or(IssueError::Grant)?;
        let consented: CodeRecord = stored.read()?;
        let request = &consented.request;
        let same_client = client.client_id.as_deref() == Some(request.client_id.as_str());
        let same_instance = request.attested == client.attested_key();
        if !same_client || !same_instance || redirect_uri != Some(request.redirect_uri.as_str()) {
            return Err(IssueError::Grant.into());
        }
        let challenge = CodeChallenge::parse(&request.code_challenge).ok_or(IssueError::CodeVerifier)?;
        if !verifier.is_some_and(|verifier| challenge.is_met_by(verifier)) {
            return Err(IssueError::CodeVerifier.into());
        }
        if let Some(grant) = &consented.taken {
            // Twice, and with the wallet's own secret: somebody else has what the wallet has (RFC 6749, 4.1.2).
            self.end_grant(grant).await?;
            return Err(IssueError::Grant.into());
        }
        if now >= consented.expires_at {
            return Err(IssueError::Grant.into());
        }
        // RFC 9449, 10: the key that the request named.
        if request.jkt.is_some() && request.jkt != dpop.map(|proof| proof.thumbprint().to_string()) {
            return Err(IssueError::DpopMissing.into());
        }
        let details = request.details.clone();
        let grant = grant(Some(consented.by.clone()), None, client, dpop, now);
        Ok(Beginning { grant, details, key, version: stored.version, shown: Shown::Code(consented) })
    }

    async fn begin_grant(
        &self,
        beginning: Beginning,
        asked_details: &[String],
        spent: &[Write],
        now: UnixTime,
    ) -> Result<WalletTokens, Error> {
        let grant = &beginning.grant;
        let name = base64url_encode(&self.random::<16>());
        let mut writes = spent.to_vec();
        let brings = grant.brings().ok_or(IssueError::Grant)?;
        if let Brings::Relationship(by) = brings {
            let (_, carried) = self.consenting(by).await?.ok_or(IssueError::Grant)?;
            writes.push(carried);
        }
        if asked_details.iter().any(|id| offered_of(brings).format(id).is_none()) {
            return Err(IssueError::Message(OAuthError::AuthorizationDetails).into());
        }
        writes.push(beginning.taken_by(&name)?);
        writes.push(put(grant_key(&name), grant, Some(grant.expires_at), Expect::Absent)?);
        // What the customer consented to stays what it is.
        let details = if beginning.details.is_empty() { asked_details } else { &beginning.details };
        let tokens = self.tokens(&name, grant, details, &mut writes, now)?;
        self.commit_wallet(&writes).await?;
        Ok(tokens)
    }

    /// The next tokens of a grant, for its refresh token.
    async fn refreshed(
        &self,
        token: &str,
        client: &Client,
        dpop: Option<&BrowserProof>,
        details: &[String],
        spent: &[Write],
        now: UnixTime,
    ) -> Result<WalletTokens, Error> {
        let key = refresh_key(token);
        let stored = self.load_one(&key).await?.ok_or(IssueError::Grant)?;
        let refresh: RefreshRecord = stored.read()?;
        let found = self.load_one(&grant_key(&refresh.grant)).await?.ok_or(IssueError::Grant)?;
        let grant: GrantRecord = found.read()?;
        // Whoever has not the wallet's keys changes nothing, not even by a token that was used.
        let same_wallet = grant.attested == client.attested_key()
            && (client.client_id.is_none() || client.client_id == grant.client_id);
        if !same_wallet || grant.jkt != dpop.map(|proof| proof.thumbprint().to_string()) {
            return Err(IssueError::Grant.into());
        }
        if refresh.used {
            self.end_grant(&refresh.grant).await?;
            return Err(IssueError::Grant.into());
        }
        if !grant.holds(now) || self.granting(&grant).await?.is_none() {
            return Err(IssueError::Grant.into());
        }
        if details.iter().any(|id| OFFERED.format(id).is_none()) {
            return Err(IssueError::Message(OAuthError::AuthorizationDetails).into());
        }
        let used = RefreshRecord { used: true, ..refresh.clone() };
        let mut writes = spent.to_vec();
        writes.push(put(key, &used, Some(grant.at_most()), Expect::Version(stored.version))?);
        writes.push(Write::check(grant_key(&refresh.grant), Expect::Version(found.version)));
        let tokens = self.tokens(&refresh.grant, &grant, details, &mut writes, now)?;
        self.commit_wallet(&writes).await?;
        Ok(tokens)
    }

    fn tokens(
        &self,
        name: &str,
        grant: &GrantRecord,
        details: &[String],
        writes: &mut Vec<Write>,
        now: UnixTime,
    ) -> Result<WalletTokens, Error> {
        let access_token = base64url_encode(&self.random::<32>());
        let expires_at = now.plus_s(TOKEN_S);
        let token = WalletTokenRecord { grant: name.to_owned(), details: details.to_vec(), requests: 0, expires_at };
        writes.push(put(token_key(&access_token), &token, Some(expires_at), Expect::Absent)?);
        let brings = grant.brings().ok_or(IssueError::Grant)?;
        // A receipt is issued once.
        let is_renewed = matches!(brings, Brings::Relationship(_)) && grant.jkt.is_some();
        let refresh_token = is_renewed.then(|| base64url_encode(&self.random::<32>()));
        if let Some(refresh_token) = &refresh_token {
            let refresh = RefreshRecord { grant: name.to_owned(), used: false };
            writes.push(put(refresh_key(refresh_token), &refresh, Some(grant.at_most()), Expect::Absent)?);
        }
        Ok(WalletTokens {
            access_token,
            bound: grant.jkt.is_some(),
            expires_in_s: TOKEN_S,
            refresh_token,
            identifiers: details.to_vec(),
            scope: offered_of(brings).scope,
        })
    }

    /// Who a wallet is, and the write that makes its proof good for one request.
    pub(super) fn client(
        &self,
        issuer: &Issuer,
        identity: &WalletIdentity<'_>,
        client_id: Option<&str>,
    ) -> Result<(Client, Vec<Write>), Error> {
        let must = issuer.profile == IssuerProfile::Haip;
        let (attestation, proof) = match (identity.attestation, identity.proof) {
            // Nobody's word counts: what a wallet says of itself is what its form says.
            _ if issuer.providers.is_empty() => return Ok((by_name(client_id), Vec::new())),
            (Some(attestation), Some(proof)) => (attestation, proof),
            (None, None) if !must => return Ok((by_name(client_id), Vec::new())),
            _ => return Err(IssueError::Client.into()),
        };
        let now = self.now();
        let believed = Believed { roots: &issuer.providers, now, limits: &self.0.limits };
        let attested =
            AttestedClient::check(attestation, proof, self.issuer_id(), &believed).map_err(IssueError::Attestation)?;
        if client_id.is_some_and(|client_id| client_id != attested.client_id) {
            return Err(IssueError::Client.into());
        }
        let name = base64url_encode(&sha256(format!("{}\0{}", attested.key.thumbprint(), attested.jti).as_bytes()));
        let spent = spent(name, attested.good_until)?;
        Ok((Client { client_id: Some(attested.client_id.clone()), attested: Some(attested) }, vec![spent]))
    }

    /// Commits what a wallet asked for; what it brought is good for once.
    pub(super) async fn commit_wallet(&self, writes: &[Write]) -> Result<(), Error> {
        match self.0.store.commit(writes, self.now()).await {
            Ok(_) => Ok(()),
            Err(e) if was_spent(&e) => Err(IssueError::Dpop(ProofError::Replayed).into()),
            Err(StoreError::Conflict(key)) if key.kind == SpentWalletProof::KIND => {
                Err(IssueError::AttestationReplayed.into())
            }
            Err(e) => Err(e.into()),
        }
    }
}

/// That something was used, until it would be refused for its age.
pub(super) fn spent(name: String, until: UnixTime) -> Result<Write, Error> {
    let key = Key::new(SpentWalletProof::KIND, name, "");
    Ok(put(key, &SpentWalletProof {}, Some(until.plus_s(60)), Expect::Absent)?)
}

fn grant(
    by: Option<Consent>,
    receipt: Option<ReceiptName>,
    client: &Client,
    dpop: Option<&BrowserProof>,
    now: UnixTime,
) -> GrantRecord {
    GrantRecord {
        by,
        receipt,
        client_id: client.client_id.clone(),
        jkt: dpop.map(|proof| proof.thumbprint().to_string()),
        attested: client.attested_key(),
        since: now,
        expires_at: now.plus_s(FIRST_S),
        used: false,
        counted: (now, 0),
    }
}

fn by_name(client_id: Option<&str>) -> Client {
    Client { client_id: client_id.map(str::to_owned), attested: None }
}

pub(super) fn token_key(token: &str) -> Key {
    Key::new(WalletTokenRecord::KIND, token_digest(token), "")
}

fn refresh_key(token: &str) -> Key {
    Key::new(RefreshRecord::KIND, token_digest(token), "")
}
