//! The credential endpoint, the deferred one, and notifications (OpenID4VCI 1.0, 8, 9 and 11).
//!
//! Everything that a new credential is stands in one commit: its binding, its entry in a status list, what is kept of it,
//! the use of its proof and of the token, and the customer's history. If that commit does not come back, or its outcome
//! is not known, the wallet is told to ask again later, by a name that holds the very credentials that were to be made:
//! asked again, the same ones are made or found.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use super::{
    Issuer, IssuerProfile, Merchant, grant_key, issued_key, lost_the_race,
    nonce::LIFETIME_S,
    put,
    receipt::offered_of,
    status::{self, Lists, Place},
    token::{spent, token_key},
    too_often,
};
use crate::{
    customer::{Alias, Binding, BindingName, CustomerId, CustomerRecord, Rung},
    error::{Error, IssueError, ProofError, Refusal},
    history::Happened,
    issuing::{
        Brings, CREDENTIAL_S, CREDENTIALS_MAX, Consent, GrantRecord, IssuedRecord, REQUESTS_MAX, SpentWalletProof,
        StatusEntry, WalletTokenRecord,
    },
    merchant::{
        BrowserProof, MERGES_MAX, RACES_MAX,
        bind::{BindingEntry, binding_entry},
        customer_key,
        held::{Held, HeldBinding},
        proof::was_spent,
        recognise::binding_key,
    },
    protocol::{
        did::Did,
        jose::{PublicKey, base64url_encode, sha256},
        openid4vci::{
            CredentialFormat,
            credential::{CredentialRequest, CredentialRequestError, Event, Notification, Wanted, read_deferred},
            proof::{self, ProofContext, ProvedKey},
        },
        sd_jwt::{
            Hash,
            issue::{Concealed, SALT_BYTES},
        },
    },
    receipt::Receipt,
    store::{Expect, Persisted, StoreError, Version, Write},
    time::UnixTime,
};

#[cfg(feature = "mdoc")]
use crate::protocol::mdoc::issue::{self, NewDocument, in_status_list};

/// What seals a deferred transaction to its grant.
const DEFERRED: &str = "deferred credential";
/// What seals the name of a notification to its grant.
const NOTIFICATION: &str = "credential notification";
/// When a wallet asks again, in seconds: a store is away for moments.
const INTERVAL_S: u64 = 5;
/// How long a deferred transaction can be asked for, in seconds.
const DEFERRED_S: u64 = 24 * 3600;
/// Digests of nothing, so that nobody sees whether there is something to disclose (RFC 9901, 4.2.5).
const DECOYS: usize = 2;
/// After how many entries that were taken one more status list is opened.
const TAKEN_MAX: usize = 3;
/// Times in credentials are rounded down to this, in seconds: those of a batch, and of everybody who came within the hour,
/// are the same (ARF, ISSU_36).
const ROUNDED_S: i64 = 3600;

/// What a wallet shows at the issuer's own endpoints.
#[derive(Clone, Copy)]
pub struct WalletAccess<'a> {
    /// The access token.
    pub token: &'a str,
    /// The proof by its key; none for a token that is bound to none.
    pub proof: Option<&'a BrowserProof>,
}

impl std::fmt::Debug for WalletAccess<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("WalletAccess([redacted])")
    }
}

/// What a wallet gets.
#[derive(Clone)]
pub enum Issued {
    /// Credentials, one for each key.
    Now {
        /// The credentials: SD-JWT VCs, or mdocs as `IssuerSigned` in base64url.
        credentials: Vec<String>,
        /// What the wallet calls them when it says what became of them.
        notification_id: String,
    },
    /// Nothing yet: to be asked for again.
    Later {
        /// By what name.
        transaction_id: String,
        /// When, in seconds.
        interval_s: u64,
    },
}

impl std::fmt::Debug for Issued {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Now { .. } => "Now([redacted])",
            Self::Later { .. } => "Later([redacted])",
        })
    }
}

/// A wallet whose token holds.
pub(super) struct Visitor {
    pub(super) token: WalletTokenRecord,
    token_version: Version,
    pub(super) grant: GrantRecord,
    grant_version: Version,
}

/// Credentials that are to be made.
#[derive(Serialize, Deserialize)]
pub(super) struct Batch {
    pub(super) format: CredentialFormat,
    pub(super) keys: Vec<NewKey>,
    until: UnixTime,
}

/// Credentials that are to be made, and for whom.
#[derive(Clone, Copy)]
pub(super) struct Making<'a> {
    access: &'a WalletAccess<'a>,
    pub(super) visitor: &'a Visitor,
    pub(super) batch: &'a Batch,
    /// Whether the wallet was told to ask again.
    pub(super) later: bool,
}

/// What a credential says.
pub(super) enum Said<'a> {
    /// Who the shop is to this customer.
    Relationship {
        /// As a DID with its document.
        shop_did: &'a str,
    },
    /// What was bought.
    Receipt(&'a Receipt),
}

/// A key, what its credential is found by, and the name of the proof that brought it.
#[derive(Serialize, Deserialize)]
pub(super) struct NewKey {
    jwk: Value,
    pub(super) alias: Alias,
    proof: String,
}

impl NewKey {
    pub(super) fn key(&self) -> Result<PublicKey, Error> {
        PublicKey::from_jwk(&self.jwk).map_err(|e| Error::Misuse(format!("a key that was proved: {e}")))
    }

    /// As the key is called that shows the credential.
    fn did(&self) -> Result<String, Error> {
        Ok(Did::jwk(&self.key()?).as_str().to_owned())
    }
}

/// What a notification is about.
#[derive(Serialize, Deserialize)]
struct Notified {
    aliases: Vec<Alias>,
}

impl Merchant {
    /// A wallet asks for credentials: one for each key that it proves.
    ///
    /// # Errors
    /// [`IssueError`] with the check that failed; [`Error::Unavailable`] if nothing can be said.
    pub async fn issue_credentials(&self, access: &WalletAccess<'_>, body: &[u8]) -> Result<Issued, Error> {
        let issuer = self.issuing()?;
        let visitor = self.visitor(access).await?;
        let request = CredentialRequest::read(body, &self.0.limits).map_err(IssueError::Request)?;
        let refuse = |error: CredentialRequestError| Err(IssueError::Request(error).into());
        let named = &visitor.token.details;
        // A grant brings what was offered, and nothing else that is issued here.
        let offered = offered_of(visitor.grant.brings().ok_or(IssueError::Token)?);
        let (format, otherwise) = match &request.wanted {
            // "MUST NOT be used" where the token answer named identifiers (8.2).
            Wanted::Configuration(_) if !named.is_empty() => {
                (None, CredentialRequestError::Missing("credential_identifier"))
            }
            Wanted::Configuration(id) => (offered.format(id), CredentialRequestError::UnknownConfiguration),
            Wanted::Identifier(id) => {
                (offered.format(id).filter(|_| named.contains(id)), CredentialRequestError::UnknownIdentifier)
            }
        };
        let Some(format) = format else { return refuse(otherwise) };
        let now = self.now();
        let proved = self.proved(issuer, &visitor.grant, &request, now)?;
        if proved.len() > issuer.batch {
            return refuse(CredentialRequestError::TooManyKeys { found: proved.len(), limit: issuer.batch });
        }
        let keys = proved.into_iter().map(|proved| NewKey {
            jwk: proved.key.to_jwk(),
            alias: Alias::from_random(self.random()),
            // By key and nonce, not by its bytes: one signature has two texts.
            proof: base64url_encode(&sha256(format!("{}\0{}", proved.key.thumbprint(), proved.nonce).as_bytes())),
        });
        let batch = Batch { format, keys: keys.collect(), until: now.plus_s(DEFERRED_S) };
        match self.make(access, visitor, &batch, false).await {
            // The token and the proofs are in order, and the store is away, or cannot say what it did.
            Err((Error::Unavailable { source, .. }, grant)) => {
                tracing::warn!(error = %source, "a credential is deferred");
                let transaction_id = self.seal_token(DEFERRED, &grant, &batch)?;
                Ok(Issued::Later { transaction_id, interval_s: INTERVAL_S })
            }
            Err((error, _)) => Err(error),
            Ok(issued) => Ok(issued),
        }
    }

    /// The keys that a request proves.
    fn proved(
        &self,
        issuer: &Issuer,
        grant: &GrantRecord,
        request: &CredentialRequest,
        now: UnixTime,
    ) -> Result<Vec<ProvedKey>, Error> {
        let context = ProofContext {
            issuer: self.issuer_id(),
            client_id: grant.client_id.as_deref(),
            knows_nonce: &|nonce| issuer.nonces.knows(nonce, now),
            providers: &issuer.providers,
            attested: issuer.profile == IssuerProfile::Haip,
            now,
            limits: &self.0.limits,
        };
        Ok(proof::check(&request.proofs, &context).map_err(IssueError::Request)?)
    }

    /// A wallet asks again for what it was told to ask for later.
    ///
    /// # Errors
    /// [`IssueError::Transaction`] if there is no such transaction of this wallet, or it was handed out; as
    /// [`issue_credentials`](Self::issue_credentials).
    pub async fn deferred_credentials(&self, access: &WalletAccess<'_>, body: &[u8]) -> Result<Issued, Error> {
        self.issuing()?;
        let visitor = self.visitor(access).await?;
        let transaction_id = read_deferred(body, &self.0.limits).map_err(IssueError::Request)?;
        let batch: Option<Batch> = self.open_token(DEFERRED, &visitor.token.grant, &transaction_id);
        let batch = batch.ok_or(IssueError::Transaction)?;
        if self.now() >= batch.until {
            return Err(IssueError::Transaction.into());
        }
        match self.make(access, visitor, &batch, true).await {
            Err((Error::Unavailable { .. }, _)) => Ok(Issued::Later { transaction_id, interval_s: INTERVAL_S }),
            Err((error, _)) => Err(error),
            Ok(issued) => Ok(issued),
        }
    }

    /// A wallet says what became of credentials. Said twice is said once.
    ///
    /// # Errors
    /// [`IssueError`] with the check that failed; [`Error::Unavailable`].
    pub async fn credentials_notified(&self, access: &WalletAccess<'_>, body: &[u8]) -> Result<(), Error> {
        self.issuing()?;
        let visitor = self.visitor(access).await?;
        let notification = Notification::read(body, &self.0.limits).map_err(IssueError::Notification)?;
        let notified: Option<Notified> = self.open_token(NOTIFICATION, &visitor.token.grant, &notification.id);
        let notified = notified.ok_or(IssueError::NotificationId)?;
        if let Some(proof) = access.proof {
            self.commit_wallet(&[proof.spent(self.now())?]).await?;
        }
        if let Some(Brings::Receipt(name)) = visitor.grant.brings() {
            for alias in &notified.aliases {
                self.receipt_notified(name, alias, notification.event).await?;
            }
            return Ok(());
        }
        let (customer, _) = self.granting(&visitor.grant).await?.ok_or(IssueError::Token)?;
        for alias in &notified.aliases {
            match notification.event {
                Event::Accepted => self.accepted(&customer, alias).await?,
                // The wallet has it no more, or never had it: whoever shows it is somebody else.
                Event::Deleted | Event::Failure => {
                    match self.revoke(&customer, alias, Happened::CredentialDeleted).await {
                        // The customer was faster.
                        Err(Error::Refused(Refusal::NoSuchBinding)) => {}
                        other => drop(other?),
                    }
                }
            }
        }
        Ok(())
    }

    /// A wallet has a credential: its key is known, and from now on it counts among what the customer must show to add more.
    async fn accepted(&self, customer: &CustomerId, alias: &Alias) -> Result<(), Error> {
        let name = BindingName::credential(alias);
        for _ in 0..RACES_MAX {
            let held = self.held(customer).await.map_err(gone)?;
            let Some((found, issued)) = held.find(&name).and_then(|found| Some((found, found.issued.as_ref()?))) else {
                return Ok(());
            };
            if found.binding.did.is_some() || found.binding.locked {
                return Ok(());
            }
            let now = self.now();
            let until = found.binding.expires_at;
            let did = Some(issued.did.clone());
            let binding = Binding { did: did.clone(), ..found.binding.clone() };
            let entry = BindingEntry { did, rung: binding.rung, since: binding.since };
            let writes = [
                put(binding_key(name.as_str()), &binding, until, Expect::Version(found.version))?,
                put(binding_entry(customer, name.as_str()), &entry, until, Expect::Any)?,
                held.saved(&held.record)?,
                self.note_of_day(customer, Happened::CredentialAccepted, &format!("accepted {}", issued.grant), None)?,
            ];
            match self.0.store.commit(&writes, now).await {
                Err(e) if lost_the_race(&e) => {}
                Err(e) => return Err(e.into()),
                Ok(_) => return Ok(()),
            }
        }
        Err(too_often())
    }

    /// The wallet that a token is of, if token and key agree.
    async fn visitor(&self, access: &WalletAccess<'_>) -> Result<Visitor, Error> {
        let now = self.now();
        let stored = self.load_one(&token_key(access.token)).await?.ok_or(IssueError::Token)?;
        let token: WalletTokenRecord = stored.read()?;
        let found = self.load_one(&grant_key(&token.grant)).await?.ok_or(IssueError::Token)?;
        let grant: GrantRecord = found.read()?;
        // RFC 9449, 7.1: a token that is bound to a key is worth nothing without it, and one that is not is no DPoP token.
        let same_key = grant.jkt == access.proof.map(|proof| proof.thumbprint().to_string());
        if now >= token.expires_at || !grant.holds(now) || !same_key {
            return Err(IssueError::Token.into());
        }
        Ok(Visitor { token, token_version: stored.version, grant, grant_version: found.version })
    }

    /// Makes credentials, or finds those that were made. With an error comes the grant, for whoever defers.
    async fn make(
        &self,
        access: &WalletAccess<'_>,
        visitor: Visitor,
        batch: &Batch,
        later: bool,
    ) -> Result<Issued, (Error, String)> {
        let grant = visitor.token.grant.clone();
        let mut visitor = visitor;
        let mut taken = 0;
        for _ in 0..2 * RACES_MAX {
            match self.try_make(access, &visitor, batch, later).await {
                Ok(issued) => return Ok(issued),
                Err(Error::Unavailable { source, .. }) => match source.downcast_ref::<StoreError>() {
                    Some(StoreError::Conflict(key)) if key.kind == StatusEntry::KIND => {
                        taken += 1;
                        if taken % TAKEN_MAX == 0 {
                            let opened = async { self.open_list(self.lists().await?).await };
                            opened.await.map_err(|e| (e, grant.clone()))?;
                        }
                    }
                    Some(e) if lost_the_race(e) => {
                        visitor = self.visitor(access).await.map_err(|e| (e, grant.clone()))?;
                    }
                    _ => return Err((Error::Unavailable { seam: "the store", source }, grant)),
                },
                Err(error) => return Err((error, grant)),
            }
        }
        Err((too_often(), grant))
    }

    async fn try_make(
        &self,
        access: &WalletAccess<'_>,
        visitor: &Visitor,
        batch: &Batch,
        later: bool,
    ) -> Result<Issued, Error> {
        let making = Making { access, visitor, batch, later };
        match visitor.grant.brings() {
            Some(Brings::Relationship(by)) => self.try_make_relationship(by, making).await,
            Some(Brings::Receipt(name)) => self.try_make_receipts(name, making).await,
            None => Err(IssueError::Token.into()),
        }
    }

    async fn try_make_relationship(&self, by: &Consent, making: Making<'_>) -> Result<Issued, Error> {
        let now = self.now();
        let Making { visitor, batch, later, .. } = making;
        let (customer, carried) = self.granting(&visitor.grant).await?.ok_or(IssueError::Token)?;
        // First, since it may be made now, with the customer's record.
        let shop_did = self.shop_did_for(&customer).await?;
        let said = Said::Relationship { shop_did: &shop_did };
        let held = self.held(&customer).await.map_err(gone)?;
        if later && let Some(issued) = self.made_before(&making, &said).await? {
            return Ok(issued);
        }
        let formerly = self.formerly(&by.customer, &customer).await?;
        // What a wallet renews was there since the customer let that wallet have it; and led to this customer since the merge.
        let since = if visitor.grant.used { visitor.grant.since } else { now };
        let merged = held.record.merged.iter().find(|merged| formerly.last() == Some(&merged.customer));
        let moved_at = merged.map(|merged| merged.at).filter(|at| *at >= since);
        let lists = self.lists().await?;
        let at = UnixTime::from_secs(now.as_secs().div_euclid(ROUNDED_S).saturating_mul(ROUNDED_S));
        let expires_at = at.plus_s(CREDENTIAL_S);

        let name = &visitor.token.grant;
        let mut writes = self.used(&making, expires_at, now)?;
        // Nobody forgets or merges the customer meanwhile, and two that come at once count each other.
        writes.push(held.saved(&held.record)?);
        writes.push(self.note_of_day(&customer, Happened::CredentialIssued, &format!("issued {name}"), None)?);
        writes.extend(carried);
        writes.extend(self.room_for(&held, by, name, batch.keys.len())?);
        let mut credentials = Vec::with_capacity(batch.keys.len());
        for new in &batch.keys {
            let issued = self.placed(&making, new, lists, (at, expires_at), &mut writes).await?;
            let name = BindingName::credential(&new.alias);
            // Its key is written down when it is shown: until then nobody knows that it arrived.
            let unseen = Binding::new(customer.clone(), Rung::RelationshipCredential, None, since);
            // A wallet of a record that became part of this one goes with it if the two are taken apart again.
            let (from, joined_at) = (formerly.clone(), by.joined_at);
            let binding = Binding { from, moved_at, joined_at, expires_at: Some(expires_at), ..unseen };
            let entry = BindingEntry { did: None, rung: binding.rung, since };
            credentials.push(self.credential(batch.format, new, &issued, &said)?);
            writes.push(put(binding_key(name.as_str()), &binding, Some(expires_at), Expect::Absent)?);
            writes.push(put(binding_entry(&customer, name.as_str()), &entry, Some(expires_at), Expect::Absent)?);
        }
        self.hand(&making, credentials, writes).await
    }

    /// The writes by which a token and its grant are used for credentials that end then.
    pub(super) fn used(&self, making: &Making<'_>, expires_at: UnixTime, now: UnixTime) -> Result<Vec<Write>, Error> {
        let &Making { access, visitor, batch, .. } = making;
        if visitor.token.requests >= REQUESTS_MAX {
            return Err(IssueError::TooMany.into());
        }
        let token = WalletTokenRecord { requests: visitor.token.requests + 1, ..visitor.token.clone() };
        let grant = visitor.grant.clone().used_for(batch.keys.len(), expires_at, now).ok_or(IssueError::TooMany)?;
        let mut writes = vec![
            put(token_key(access.token), &token, Some(token.expires_at), Expect::Version(visitor.token_version))?,
            put(grant_key(&token.grant), &grant, Some(grant.expires_at), Expect::Version(visitor.grant_version))?,
        ];
        if let Some(proof) = access.proof {
            writes.push(proof.spent(now)?);
        }
        Ok(writes)
    }

    /// A credential's entry in a status list, with the writes by which it is there; `times` are when it begins and ends.
    pub(super) async fn placed(
        &self,
        making: &Making<'_>,
        new: &NewKey,
        lists: Lists,
        (at, expires_at): (UnixTime, UnixTime),
        writes: &mut Vec<Write>,
    ) -> Result<IssuedRecord, Error> {
        let place = self.place(lists, writes).await?;
        let issued = IssuedRecord {
            grant: making.visitor.token.grant.clone(),
            list: place.list,
            index: place.index,
            at,
            expires_at,
            did: new.did()?,
            handed_later: making.later,
        };
        writes.push(put(issued_key(&new.alias), &issued, Some(expires_at), Expect::Absent)?);
        writes.push(status::entry(&place, &new.alias, expires_at)?);
        writes.push(spent(new.proof.clone(), self.now().plus_s(LIFETIME_S))?);
        Ok(issued)
    }

    /// Commits new credentials, and hands them out.
    pub(super) async fn hand(
        &self,
        making: &Making<'_>,
        credentials: Vec<String>,
        writes: Vec<Write>,
    ) -> Result<Issued, Error> {
        match self.0.store.commit(&writes, self.now()).await {
            Ok(_) => Ok(self.handed(&making.visitor.token.grant, making.batch, credentials)?),
            Err(e) if was_spent(&e) => Err(IssueError::Dpop(ProofError::Replayed).into()),
            Err(StoreError::Conflict(key)) if key.kind == SpentWalletProof::KIND => Err(IssueError::NonceUsed.into()),
            Err(e) => Err(e.into()),
        }
    }

    /// Whether the credentials of a deferred transaction are made already: then they are signed again, for once.
    pub(super) async fn made_before(&self, making: &Making<'_>, said: &Said<'_>) -> Result<Option<Issued>, Error> {
        let &Making { access, visitor, batch, .. } = making;
        let now = self.now();
        let keys: Vec<_> = batch.keys.iter().map(|new| issued_key(&new.alias)).collect();
        let found = self.0.store.load(&keys, now).await?;
        let Some(found) = found.into_iter().collect::<Option<Vec<_>>>().filter(|found| !found.is_empty()) else {
            return Ok(None);
        };
        let mut writes: Vec<Write> = access.proof.map(|proof| proof.spent(now)).transpose()?.into_iter().collect();
        let mut credentials = Vec::with_capacity(found.len());
        for ((new, key), stored) in batch.keys.iter().zip(keys).zip(found) {
            let issued: IssuedRecord = stored.read()?;
            // "MUST invalidate the transaction_id after the Credential [..] has been obtained" (9.1).
            if issued.handed_later || issued.grant != visitor.token.grant {
                return Err(IssueError::Transaction.into());
            }
            let handed = IssuedRecord { handed_later: true, ..issued };
            credentials.push(self.credential(batch.format, new, &handed, said)?);
            writes.push(put(key, &handed, Some(handed.expires_at), Expect::Version(stored.version))?);
        }
        match self.0.store.commit(&writes, now).await {
            Ok(_) => Ok(Some(self.handed(&visitor.token.grant, batch, credentials)?)),
            Err(e) if was_spent(&e) => Err(IssueError::Dpop(ProofError::Replayed).into()),
            Err(e) => Err(e.into()),
        }
    }

    /// The records by which a customer's former name leads to the one of today, that name first.
    async fn formerly(&self, name: &CustomerId, today: &CustomerId) -> Result<Vec<CustomerId>, Error> {
        let mut names = Vec::new();
        let mut next = (name != today).then(|| name.clone());
        while let Some(name) = next.filter(|name| name != today && names.len() < MERGES_MAX) {
            let stored = self.load_one(&customer_key(&name)).await?;
            next =
                stored.map(|stored| stored.read::<CustomerRecord>()).transpose()?.and_then(|record| record.merged_into);
            names.push(name);
        }
        Ok(names)
    }

    /// The writes that make room for more credentials: a customer has a few at the same time. Revoked ones go, and of those
    /// that the same wallet got before the oldest, since it has newer ones; of others nothing is taken.
    fn room_for(&self, held: &Held, by: &Consent, grant: &str, more: usize) -> Result<Vec<Write>, Error> {
        let credentials = || held.bindings.iter().filter(|one| one.issued.is_some());
        let open = credentials().filter(|one| !one.binding.locked).count();
        let too_many = (open + more).saturating_sub(CREDENTIALS_MAX);
        let is_own =
            |one: &&HeldBinding| !one.binding.locked && one.issued.as_ref().is_some_and(|issued| issued.grant == grant);
        let mut own: Vec<_> = credentials().filter(is_own).collect();
        if too_many > own.len() {
            return Err(IssueError::TooMany.into());
        }
        own.sort_by_key(|one| one.issued.as_ref().map(|issued| issued.at));
        let dropped: Vec<_> =
            credentials().filter(|one| one.binding.locked).chain(own.into_iter().take(too_many)).collect();
        let mut writes = Vec::new();
        for one in &dropped {
            writes.extend(one.superseded()?);
        }
        let more = more.saturating_sub(dropped.len());
        let room = held.room_for(Rung::RelationshipCredential, more, self.0.limits.bindings, &by.key);
        writes.extend(room.map_err(|error| match error {
            Error::Refused(_) => IssueError::TooMany.into(),
            other => other,
        })?);
        Ok(writes)
    }

    fn handed(&self, grant: &str, batch: &Batch, credentials: Vec<String>) -> Result<Issued, Error> {
        let notified = Notified { aliases: batch.keys.iter().map(|new| new.alias.clone()).collect() };
        let notification_id = self.seal_token(NOTIFICATION, grant, &notified)?;
        Ok(Issued::Now { credentials, notification_id })
    }

    /// The credential itself, as its format has it.
    pub(super) fn credential(
        &self,
        format: CredentialFormat,
        new: &NewKey,
        issued: &IssuedRecord,
        said: &Said<'_>,
    ) -> Result<String, Error> {
        match (said, format) {
            (Said::Relationship { shop_did }, CredentialFormat::SdJwtVc) => self.sd_jwt_vc(new, issued, shop_did),
            #[cfg(feature = "mdoc")]
            (Said::Relationship { shop_did }, CredentialFormat::Mdoc) => self.mdoc(new, issued, shop_did),
            (Said::Receipt(receipt), CredentialFormat::SdJwtVc) => self.receipt_vc(new, issued, receipt),
            // Deferred by a node that was built with it.
            (_, CredentialFormat::Mdoc) => Err(IssueError::Transaction.into()),
        }
    }

    fn sd_jwt_vc(&self, new: &NewKey, issued: &IssuedRecord, shop_did: &str) -> Result<String, Error> {
        let key = new.key()?;
        let place = Place { list: issued.list, index: issued.index };
        let claims = Map::from_iter([("shop_did".to_owned(), json!(shop_did))]);
        let plain = json!({
            "iss": self.issuer_id(),
            "vct": self.relationship_type().as_str(),
            "sub": new.alias,
            "iat": issued.at,
            "exp": issued.expires_at,
            "cnf": {"jwk": key.to_jwk()},
            "status": {"status_list": {"idx": place.index, "uri": self.status_uri(place.list).as_str()}},
        });
        let Value::Object(plain) = plain else { return Err(Error::Misuse("claims are no object".into())) };
        let mut salt = || self.random::<SALT_BYTES>();
        let concealed = Concealed::new(&claims, Hash::Sha256, DECOYS, &mut salt);
        let signed = concealed.sign(plain, &self.header("dc+sd-jwt"), self.0.keys.identity().key());
        signed.map_err(|e| Error::Misuse(format!("the shop's key does not sign: {e}")))
    }

    /// The twin as an mdoc (OpenID4VCI 1.0, A.2.4): an `IssuerSigned` in base64url.
    ///
    /// It is signed with the key and under the certificates that this shop asks wallets with (`x5chain` without the root, HAIP
    /// 1.0, 6), as the SD-JWT VC is. A certificate of a document signer would be one more that nobody looks at: no authority
    /// vouches for this type, only this shop asks for it, and it knows its own leaf. What is signed here cannot be taken for
    /// a token, nor for what a reader signs: COSE says what it is before everything else.
    #[cfg(feature = "mdoc")]
    fn mdoc(&self, new: &NewKey, issued: &IssuedRecord, shop_did: &str) -> Result<String, Error> {
        let identity = self.0.keys.identity();
        let kind = self.relationship_type();
        let says = |name: &str, value: &str| (kind.as_str().to_owned(), name.to_owned(), value.into());
        // A round time may lie before a certificate of the last hour: what a signer signs, it signs while it may.
        let at = issued.at.max(identity.leaf().not_before());
        let new_document = NewDocument {
            doc_type: kind.as_str(),
            elements: &[says("sub", new.alias.as_str()), says("shop_did", shop_did)],
            device_key: &new.key()?,
            signed: at,
            valid_from: at,
            valid_until: issued.expires_at,
            status: Some(in_status_list(&self.status_uri(issued.list), issued.index)),
            authorised: &[],
        };
        let chain: Vec<Vec<u8>> = identity.chain().iter().map(|one| one.der().to_vec()).collect();
        let signed = new_document.sign(identity.key(), &chain, &mut || self.random::<{ issue::SALT_BYTES }>());
        let signed = signed.map_err(|e| Error::Misuse(format!("the shop's key does not sign: {e}")))?;
        Ok(base64url_encode(&signed.encode()))
    }

    /// The shop's DID for a customer, with its document: what the credential tells its holder of us.
    async fn shop_did_for(&self, customer: &CustomerId) -> Result<String, Error> {
        match self.shop_did(customer).await {
            Ok(did) => Ok(did.long().to_string()),
            Err(Error::Refused(Refusal::NotRecognised)) => Err(IssueError::Token.into()),
            Err(error) => Err(error),
        }
    }
}

/// Whoever left gets nothing.
fn gone(error: Error) -> Error {
    match error {
        Error::Proof(ProofError::Token) => IssueError::Token.into(),
        other => other,
    }
}
