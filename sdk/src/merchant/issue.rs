//! The shop issues a credential of its own into its customers' wallets (OpenID4VCI 1.0), and says which of them hold.
//!
//! The credential names its customer by an alias that is drawn for it alone, and the shop's DID for that customer: nothing
//! that anybody else could use. A wallet gets it by an offer on a page that only the customer sees: by a pre-authorised code
//! and a number that is typed from the page, or by an authorization code that the customer consents to in the browser that
//! the shop knows. Shown later, it recognises.

use std::sync::Mutex;

use base64::{Engine as _, prelude::BASE64_STANDARD};
use serde_json::{Map, Value, json};

use super::{
    BrowserProof, Customer, Merchant, MerchantBuilder, RACES_MAX, Recognised,
    held::{Act, Held, HeldBinding},
    lost_the_race, put,
    recognise::binding_key,
};
use crate::{
    customer::{Alias, BindingName, CustomerId, Rung},
    error::{Error, IssueError, Refusal},
    history::Happened,
    issuing::{
        BATCH_MAX, Brings, Consent, GrantRecord, IssuedRecord, OFFER_S, OfferRecord, REISSUE_AT_LEFT_S, ReceiptName,
    },
    protocol::{
        jose::base64url_encode,
        openid4vci::{
            CredentialFormat, HAIP_OFFER_ENDPOINT, OFFER_ENDPOINT, Offered,
            metadata::{self, Attested, Claim, Offering, SIGNED_METADATA_TYPE},
            oauth::may_be_registered,
            offer::{AuthorizationCode, Offer, PreAuthorized, TxCode, reference_link},
        },
        x509::Certificate,
    },
    store::{Expect, Key, Persisted, Write},
    time::UnixTime,
};

mod authorize;
mod credential;
mod nonce;
mod receipt;
mod status;
mod token;

pub use authorize::{ConsentRequest, Pushed};
pub use credential::{Issued, WalletAccess};
pub use receipt::ReceiptView;
pub(super) use status::revocation;
pub use token::{WalletIdentity, WalletTokens};

/// The credential by which a customer is recognised, by its scope, and the formats that a wallet may have it in. Each says the same of the same
/// customer, under an alias of its own.
const OFFERED: Offered<'_> = Offered {
    scope: "relationship",
    configurations: &[
        ("relationship", CredentialFormat::SdJwtVc),
        #[cfg(feature = "mdoc")]
        ("relationship_mdoc", CredentialFormat::Mdoc),
    ],
};
/// What stands in it.
const CLAIMS: [Claim; 2] =
    [Claim { path: "sub", mandatory: true, sd: "never" }, Claim { path: "shop_did", mandatory: false, sd: "allowed" }];
/// How long signed metadata hold, in seconds.
const METADATA_S: u64 = 24 * 3600;

/// Under which rules wallets get the credential.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum IssuerProfile {
    /// OpenID4VCI 1.0 as it is: any wallet that the customer hands the offer to. Tokens are bound to a wallet's key (DPoP)
    /// if the wallet can do that, and only then renewed.
    Open,
    /// The High Assurance Interoperability Profile 1.0: DPoP, and wallets and keys that a trusted provider attests.
    Haip,
}

/// A wallet that may begin with the authorization code: where it is answered, letter by letter.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WalletClient {
    /// The client identifier that it uses.
    pub client_id: String,
    /// What the consent page calls it.
    pub name: String,
    /// The addresses that it may be answered at.
    pub redirect_uris: Vec<String>,
}

/// Whose word about wallets and their keys counts.
#[derive(Clone, Debug, Default)]
pub struct WalletProviders(Vec<Certificate>);

impl WalletProviders {
    /// The roots of providers: certificates in PEM.
    ///
    /// # Errors
    /// [`Error::Misuse`] if the text holds none, or what is no certificate.
    pub fn from_pem(pem: &str) -> Result<Self, Error> {
        let roots = Certificate::from_pem(pem).map_err(|e| Error::Misuse(format!("the wallet providers: {e}")))?;
        if roots.is_empty() {
            return Err(Error::Misuse("the wallet providers: the text holds no certificate".into()));
        }
        Ok(Self(roots))
    }
}

/// What the builder was told about issuing.
#[derive(Debug, Default)]
pub(super) struct Relationship {
    profile: Option<IssuerProfile>,
    clients: Vec<WalletClient>,
    providers: WalletProviders,
    display_name: Option<String>,
    batch: Option<usize>,
}

/// The issuer, set up.
pub(super) struct Issuer {
    profile: IssuerProfile,
    clients: Vec<WalletClient>,
    providers: Vec<Certificate>,
    name: String,
    batch: usize,
    nonces: nonce::CredentialNonces,
    /// The status lists as this node published them last.
    served: Mutex<status::Served>,
    /// Who puts a status list together: one at a time, and whoever waits gets what was made meanwhile.
    listing: tokio::sync::Mutex<()>,
}

impl Relationship {
    /// Whether there is to be an issuer.
    pub(super) const fn issues(&self) -> bool {
        self.profile.is_some()
    }

    /// The issuer, if there is to be one.
    pub(super) fn build(self, host: &str, nonce_keys: &[[u8; 32]]) -> Result<Option<Issuer>, Error> {
        let misuse = |text: String| Err(Error::Misuse(text));
        let Some(profile) = self.profile else {
            if !self.clients.is_empty() || !self.providers.0.is_empty() || self.batch.is_some() {
                return misuse(
                    "wallet clients, providers and batches are for .relationship(..), which is missing".into(),
                );
            }
            return Ok(None);
        };
        if profile == IssuerProfile::Haip && self.providers.0.is_empty() {
            return misuse(
                "IssuerProfile::Haip believes wallets on the word of their providers: add .wallet_providers(..)".into(),
            );
        }
        for client in &self.clients {
            if client.client_id.is_empty() || client.redirect_uris.is_empty() {
                return misuse(format!("the wallet client {:?} needs a client id and an address", client.name));
            }
            if let Some(wrong) = client.redirect_uris.iter().find(|uri| !may_be_registered(uri)) {
                return misuse(format!("{wrong:?} cannot be the address of the wallet {:?}", client.name));
            }
        }
        let batch = self.batch.unwrap_or(1);
        if !(1..=BATCH_MAX).contains(&batch) {
            return misuse(format!("a batch of {batch} credentials must be one of 1 to {BATCH_MAX}"));
        }
        Ok(Some(Issuer {
            profile,
            clients: self.clients,
            providers: self.providers.0,
            name: self.display_name.unwrap_or_else(|| host.to_owned()),
            batch,
            nonces: nonce::CredentialNonces::new(nonce_keys),
            served: Mutex::default(),
            listing: tokio::sync::Mutex::default(),
        }))
    }
}

impl Issuer {
    const fn attested(&self) -> Attested {
        match self.profile {
            IssuerProfile::Haip => Attested::Must,
            IssuerProfile::Open if self.providers.is_empty() => Attested::No,
            IssuerProfile::Open => Attested::MayBe,
        }
    }

    /// Whether any wallet can ask for an authorization code.
    const fn has_code_flow(&self) -> bool {
        !self.clients.is_empty() || !self.providers.is_empty()
    }
}

impl MerchantBuilder {
    /// Issues a relationship credential to customers who want one: without this no wallet is served one.
    #[must_use]
    pub const fn relationship(mut self, profile: IssuerProfile) -> Self {
        self.relationship.profile = Some(profile);
        self
    }

    /// A wallet that may ask for an authorization code. Without any, wallets come by the code on the page alone.
    #[must_use]
    pub fn wallet_client(mut self, client: WalletClient) -> Self {
        self.relationship.clients.push(client);
        self
    }

    /// Whose word about wallets and their keys counts.
    #[must_use]
    pub fn wallet_providers(mut self, providers: WalletProviders) -> Self {
        self.relationship.providers.0.extend(providers.0);
        self
    }

    /// What the shop is called in a wallet; its host unless said here.
    #[must_use]
    pub fn display_name(mut self, name: impl Into<String>) -> Self {
        self.relationship.display_name = Some(name.into());
        self
    }

    /// How many credentials a wallet may get at once, 1 to 4, each for a key of its own, to be shown in turn. One unless
    /// said here: only this shop asks for it, so showing the same one again tells nobody anything.
    #[must_use]
    pub const fn credential_batch(mut self, size: usize) -> Self {
        self.relationship.batch = Some(size);
        self
    }
}

/// What a customer hands to a wallet. The link is as good as a key until the offer ends: for the customer's eyes alone.
pub struct CredentialOffer {
    /// The offer in a link: for a wallet on this device.
    pub uri: String,
    /// The link to the offer: for a QR code.
    pub by_reference_uri: String,
    /// The six digits that the wallet asks its owner for. Shown on the page, and sent nowhere.
    pub tx_code: String,
    /// How long the offer can be taken, in seconds.
    pub expires_in_s: u64,
}

/// The largest code that shows an offer: version 15 of error level M holds 412 bytes.
const QR_VERSION_MAX: i16 = 15;

impl CredentialOffer {
    /// The link of [`by_reference_uri`](Self::by_reference_uri) as a QR code in SVG, for a page without a script. `None` for
    /// an origin so long that no wallet's camera would read it.
    #[must_use]
    pub fn qr_svg(&self) -> Option<String> {
        let code = crate::qr::code(self.by_reference_uri.as_bytes(), QR_VERSION_MAX)?;
        Some(crate::qr::svg(&code, "QR"))
    }
}

impl std::fmt::Debug for CredentialOffer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("CredentialOffer([redacted])")
    }
}

/// A relationship credential, as its customer sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CredentialView {
    /// The name by which it is revoked.
    pub alias: Alias,
    /// Since when.
    pub since: UnixTime,
    /// Until when.
    pub expires_at: UnixTime,
    /// Whether it is known to have arrived: its wallet said so, or showed it.
    pub confirmed: bool,
    /// Whether it was revoked.
    pub revoked: bool,
}

impl Merchant {
    /// Whether this shop issues relationship credentials.
    #[must_use]
    pub fn issues_relationship(&self) -> bool {
        self.0.issuer.is_some()
    }

    /// What the issuer says of itself (OpenID4VCI 1.0, 12.2.4).
    ///
    /// # Errors
    /// [`IssueError::NotIssuing`].
    pub fn issuer_metadata(&self) -> Result<Value, Error> {
        self.described(|issuer| issuer.metadata())
    }

    /// The same as a signed token, with the shop's certificates (12.2.3).
    ///
    /// # Errors
    /// [`IssueError::NotIssuing`].
    pub fn signed_issuer_metadata(&self) -> Result<String, Error> {
        let now = self.now();
        let claims = self.described(|issuer| issuer.signed_claims(now, now.plus_s(METADATA_S)))?;
        self.sign(SIGNED_METADATA_TYPE, &claims)
    }

    /// The keys that sign what is issued here, the current one and earlier ones (SD-JWT VC, "JWT VC Issuer Metadata"): for
    /// whoever has a receipt before them and knows this shop by its address.
    ///
    /// # Errors
    /// [`IssueError::NotIssuing`].
    pub fn issuer_keys(&self) -> Result<Value, Error> {
        self.issuing()?;
        let jwk = |identity: &crate::keys::Identity| {
            let key = identity.key().public_key();
            let mut jwk = key.to_jwk();
            if let Some(members) = jwk.as_object_mut() {
                let about =
                    [("kid", json!(key.thumbprint().to_string())), ("use", json!("sig")), ("alg", json!("ES256"))];
                members.extend(about.map(|(name, value)| (name.to_owned(), value)));
            }
            jwk
        };
        let keys: Vec<Value> = self.0.keys.identities().iter().map(jwk).collect();
        Ok(json!({"issuer": self.issuer_id(), "jwks": {"keys": keys}}))
    }

    /// What the authorization server says of itself (RFC 8414).
    ///
    /// # Errors
    /// [`IssueError::NotIssuing`].
    pub fn authorization_server_metadata(&self) -> Result<Value, Error> {
        self.described(|issuer| issuer.authorization_server())
    }

    /// What the type of the credential means (SD-JWT VC, 6.2).
    ///
    /// # Errors
    /// [`IssueError::NotIssuing`].
    pub fn relationship_type_metadata(&self) -> Result<Value, Error> {
        let issuer = self.issuing()?;
        let kind = self.relationship_type();
        Ok(relationship(kind.as_str(), &names(issuer)).type_metadata())
    }

    /// A nonce for proofs of keys, good for ten minutes and for each key once. Stateless: every node knows it, also after a
    /// restart.
    ///
    /// # Errors
    /// [`IssueError::NotIssuing`].
    pub fn credential_nonce(&self) -> Result<String, Error> {
        Ok(self.issuing()?.nonces.make(self.now(), self.random()))
    }

    /// An offer by its name: what the link of a QR code leads to.
    ///
    /// # Errors
    /// [`IssueError::Grant`] if there is none, or not any more; [`IssueError::NotIssuing`].
    pub async fn credential_offer(&self, name: &str) -> Result<Value, Error> {
        let issuer = self.issuing()?;
        let Some((_, record, _, code)) = self.offer_named(name).await? else { return Err(IssueError::Grant.into()) };
        if !record.is_open(self.now()) {
            return Err(IssueError::Grant.into());
        }
        let brings = record.brings().ok_or(IssueError::Grant)?;
        Ok(self.offer(issuer, name, code, brings).to_json())
    }

    /// Revokes a credential of a customer, for good: it recognises nobody any more, browsers that came in by it are signed out,
    /// the list says so to everybody else, and the wallet that has it gets no other without a new offer.
    ///
    /// # Errors
    /// [`Refusal::NoSuchBinding`] if the customer has no such credential; [`Error::Unavailable`].
    pub async fn revoke_credential(&self, customer: &CustomerId, alias: &Alias) -> Result<(), Error> {
        let (customer, ..) = self.resolved(customer).await?.ok_or(Refusal::NoSuchBinding)?;
        let closed = self.revoke(&customer, alias, Happened::CredentialRevoked).await?;
        self.ended(&customer, &closed).await;
        Ok(())
    }

    /// Takes the credentials of a customer away who is leaving. Begun and not finished, it can be done again.
    pub(super) async fn take_credentials(&self, customer: &CustomerId) -> Result<(), Error> {
        for held in self.bindings_of(customer).await?.iter().filter(|held| held.issued.is_some()) {
            self.0.store.commit(&held.gone()?, self.now()).await?;
            self.lists_changed();
        }
        Ok(())
    }

    /// Closes the binding of a credential, sets its entry in the list and ends the grant that it came by, in one commit; the
    /// keys of browsers that are signed out by it. Done before is done.
    async fn revoke(&self, customer: &CustomerId, alias: &Alias, what: Happened) -> Result<Vec<String>, Error> {
        let name = BindingName::credential(alias);
        for _ in 0..RACES_MAX {
            let now = self.now();
            let held = match self.held(customer).await {
                Err(Error::Proof(_)) => return Err(Refusal::NoSuchBinding.into()),
                other => other?,
            };
            let target = held.find(&name).ok_or(Refusal::NoSuchBinding)?;
            if target.binding.locked {
                return Ok(Vec::new());
            }
            // A wallet that deletes it is no thief: what came in by it stays, and it may have another one.
            let is_theft = what == Happened::CredentialRevoked;
            let mut writes = vec![target.closed()?, held.saved(&held.record)?];
            let grant = target.issued.as_ref().map_or("", |issued| &issued.grant);
            writes.push(self.note_of_day(customer, what.clone(), &format!("{what:?} {grant}"), None)?);
            if let Some(issued) = &target.issued {
                writes.push(revocation(issued)?);
                match is_theft {
                    true => writes.push(Write::delete(grant_key(grant), Expect::Any)),
                    false => writes.extend(self.without(&held, &name, grant).await?),
                }
            }
            let mut closed = Vec::new();
            let came_by =
                |other: &&HeldBinding| other.binding.vouched_by.as_ref() == Some(&name) && !other.binding.locked;
            for other in held.bindings.iter().filter(|other| is_theft && came_by(other)) {
                writes.push(other.closed()?);
                closed.push(other.name.as_str().to_owned());
            }
            match self.0.store.commit(&writes, now).await {
                Err(e) if lost_the_race(&e) => {}
                Err(e) => return Err(e.into()),
                Ok(_) => {
                    self.lists_changed();
                    return Ok(closed);
                }
            }
        }
        Err(too_often())
    }

    /// What becomes of a grant whose wallet lost a credential: nothing, as long as it has others.
    async fn without(&self, held: &Held, lost: &BindingName, grant: &str) -> Result<Option<Write>, Error> {
        let is_another = |other: &HeldBinding| {
            other.name != *lost && !other.binding.locked && other.issued.as_ref().is_some_and(|one| one.grant == grant)
        };
        if held.bindings.iter().any(is_another) {
            return Ok(None);
        }
        let Some(stored) = self.load_one(&grant_key(grant)).await? else { return Ok(None) };
        let unused = stored.read::<GrantRecord>()?.unused(self.now());
        Ok(Some(put(grant_key(grant), &unused, Some(unused.expires_at), Expect::Version(stored.version))?))
    }

    /// Ends a grant, and with it every token of it.
    async fn end_grant(&self, grant: &str) -> Result<(), Error> {
        self.0.store.commit(&[Write::delete(grant_key(grant), Expect::Any)], self.now()).await?;
        Ok(())
    }

    /// The customer of a consent, if the browser that it came by is theirs still, and the write that sees to it that it is.
    async fn consenting(&self, by: &Consent) -> Result<Option<(CustomerId, Write)>, Error> {
        let name = BindingName::browser_key(&by.key);
        let Some((customer, record, _)) = self.resolved(&by.customer).await? else { return Ok(None) };
        let Some((binding, version)) = self.binding(&name).await? else { return Ok(None) };
        let is_theirs = binding.customer == customer && by.is_carried_by(&binding) && !record.leaving;
        Ok(is_theirs.then(|| (customer, Write::check(binding_key(name.as_str()), Expect::Version(version)))))
    }

    /// The customer whose credentials a grant brings. Until it brought one, it is worth what the browser is that it came by:
    /// whoever signs that out takes everything back.
    async fn granting(&self, grant: &GrantRecord) -> Result<Option<(CustomerId, Option<Write>)>, Error> {
        let Some(Brings::Relationship(by)) = grant.brings() else { return Ok(None) };
        if !grant.used {
            return Ok(self.consenting(by).await?.map(|(customer, check)| (customer, Some(check))));
        }
        let found = self.resolved(&by.customer).await?;
        Ok(found.filter(|(_, record, _)| !record.leaving).map(|(customer, ..)| (customer, None)))
    }

    fn issuing(&self) -> Result<&Issuer, Error> {
        Ok(self.0.issuer.as_ref().ok_or(IssueError::NotIssuing)?)
    }

    /// The issuer's identifier: the origin without a slash at its end.
    fn issuer_id(&self) -> &str {
        self.0.origin.as_str().trim_end_matches('/')
    }

    fn described<T>(&self, describe: impl FnOnce(&metadata::Issuer<'_>) -> T) -> Result<T, Error> {
        let issuer = self.issuing()?;
        let endpoints = self.address("/issuer");
        let kind = self.relationship_type();
        let (names, receipt_names) = (names(issuer), receipt::names(issuer));
        let mut offerings = vec![relationship(kind.as_str(), &names)];
        offerings.extend(self.0.receipts.is_some().then(|| receipt::offering(&receipt_names)));
        Ok(describe(&metadata::Issuer {
            identifier: self.issuer_id(),
            endpoints: &endpoints,
            name: &issuer.name,
            offerings: &offerings,
            batch_size: issuer.batch,
            attested: issuer.attested(),
            code_flow: issuer.has_code_flow(),
        }))
    }

    /// A token of this shop, with the certificates that say who signed it.
    fn sign(&self, typ: &str, claims: &Value) -> Result<String, Error> {
        let signed = self.0.keys.identity().key().sign_jws(&self.header(typ), claims);
        signed.map_err(|e| Error::Misuse(format!("the shop's key does not sign: {e}")))
    }

    fn header(&self, typ: &str) -> Map<String, Value> {
        let chain = self.0.keys.identity().chain().iter().map(|one| BASE64_STANDARD.encode(one.der()));
        let x5c: Vec<String> = chain.collect();
        Map::from_iter([("typ".to_owned(), json!(typ)), ("x5c".to_owned(), json!(x5c))])
    }

    /// All that is issued here.
    fn offered(&self) -> Vec<Offered<'static>> {
        let receipts = self.0.receipts.is_some().then_some(receipt::RECEIPTS);
        [OFFERED].into_iter().chain(receipts).collect()
    }

    /// A new offer, and the write by which it is there.
    fn new_offer(&self, by: Option<Consent>, receipt: Option<ReceiptName>) -> Result<(CredentialOffer, Write), Error> {
        let issuer = self.issuing()?;
        let name = base64url_encode(&self.random::<32>());
        let code = base64url_encode(&self.0.keys.derive("pre-authorized code", name.as_bytes()));
        let key = offer_key(&code);
        let tx_code = six_digits(self.random());
        let expires_at = self.now().plus_s(OFFER_S);
        let record = OfferRecord {
            by,
            receipt,
            tx_code: self.tx_digests(&key, &tx_code).into_iter().next().unwrap_or_default(),
            wrong: 0,
            taken: None,
            expires_at,
        };
        let endpoint = match issuer.profile {
            IssuerProfile::Open => OFFER_ENDPOINT,
            IssuerProfile::Haip => HAIP_OFFER_ENDPOINT,
        };
        let misuse = |e| Error::Misuse(format!("the link to a wallet: {e}"));
        let reference = self.address(&format!("/issuer/offers/{name}"));
        let offered = self.offer(issuer, &name, code, record.brings().ok_or(IssueError::Grant)?);
        let offer = CredentialOffer {
            uri: offered.link(&self.wallet_here(endpoint)).map_err(misuse)?,
            by_reference_uri: reference_link(endpoint, &reference).map_err(misuse)?,
            tx_code,
            expires_in_s: OFFER_S,
        };
        // Kept a little longer, so that a code that comes twice is known.
        Ok((offer, put(key, &record, Some(expires_at.plus_s(OFFER_S)), Expect::Absent)?))
    }

    fn offer(&self, issuer: &Issuer, name: &str, code: String, brings: Brings<'_>) -> Offer {
        let offered = receipt::offered_of(brings);
        let tx_code = TxCode {
            text: false,
            length: Some(6),
            description: Some(format!("The number that {} shows beside the code", issuer.name)),
        };
        Offer {
            issuer: self.issuer_id().to_owned(),
            configurations: offered.configurations.iter().map(|(name, _)| (*name).to_owned()).collect(),
            pre_authorized: Some(PreAuthorized { code, tx_code: Some(tx_code) }),
            // Whoever brings it has still to be let in by the customer; a receipt asks for nobody's consent.
            authorization_code: (issuer.has_code_flow() && matches!(brings, Brings::Relationship(_)))
                .then(|| AuthorizationCode { issuer_state: Some(name.to_owned()) }),
        }
    }

    /// What opens a wallet on the customer's device: in a development set-up, the wallet that is there.
    fn wallet_here(&self, endpoint: &str) -> String {
        #[cfg(feature = "dev")]
        if self.development().is_some() {
            let mut wallet = self.origin().clone();
            wallet.set_path(super::dev::WALLET_PATH);
            return wallet.into();
        }
        endpoint.to_owned()
    }

    /// The offer of a name: its key, what is kept of it, and its code. The code comes from the name, under whichever root
    /// secret the offer was made.
    async fn offer_named(
        &self,
        name: &str,
    ) -> Result<Option<(Key, OfferRecord, crate::store::Version, String)>, Error> {
        if name.len() > 64 {
            return Ok(None);
        }
        for code in self.0.keys.derive_all("pre-authorized code", name.as_bytes()) {
            let code = base64url_encode(&code);
            let key = offer_key(&code);
            if let Some(stored) = self.load_one(&key).await? {
                return Ok(Some((key, stored.read()?, stored.version, code)));
            }
        }
        Ok(None)
    }

    /// The keyed digests of a number that somebody types, under the current root secret first: six digits have no secret
    /// of their own.
    fn tx_digests(&self, offer: &Key, tx_code: &str) -> Vec<String> {
        let info = format!("{}\0{tx_code}", offer.partition);
        self.0.keys.derive_all("tx_code", info.as_bytes()).iter().map(|digest| base64url_encode(digest)).collect()
    }
}

impl Recognised {
    /// Offers the relationship credential to a wallet of this customer: one wallet, within five minutes. The number that
    /// goes with it is shown on the page that only the customer sees; typed wrong five times, or once this browser is signed
    /// out, the offer is over.
    ///
    /// # Errors
    /// [`Refusal::AcrossDevices`] for a session that a wallet on another device began; [`Refusal::StepUp`] if the customer
    /// has something stronger than a browser's key that was not shown in the last minutes; [`IssueError::NotIssuing`];
    /// [`ProofError::Replayed`](crate::error::ProofError::Replayed).
    pub async fn offer_relationship(&self, proof: &BrowserProof) -> Result<CredentialOffer, Error> {
        let merchant = self.merchant();
        merchant.issuing()?;
        let now = merchant.now();
        self.may(Act::Add(Rung::RelationshipCredential)).await?;
        let (offer, write) = merchant.new_offer(Some(self.consents(now).await?), None)?;
        merchant.commit_plain(&[write, proof.spent(now)?, self.note_offered()?], now).await?;
        Ok(offer)
    }

    fn note_offered(&self) -> Result<Write, Error> {
        let which = format!("offered {}", self.record().key);
        self.merchant().note_of_day(self.id(), Happened::CredentialOffered, &which, None)
    }

    async fn consents(&self, now: UnixTime) -> Result<Consent, Error> {
        let held = self.merchant().held(self.id()).await?;
        let acts = self.acts(&held);
        let customer = acts.and_then(|by| by.from.first()).unwrap_or_else(|| self.id()).clone();
        let joined_at = acts.and_then(|by| by.joined_at);
        Ok(Consent { customer, joined_at, key: self.record().key.clone(), at: now })
    }
}

impl Customer {
    /// The customer's relationship credentials.
    ///
    /// # Errors
    /// [`Error::Unavailable`] if the store does not answer.
    pub async fn credentials(&self) -> Result<Vec<CredentialView>, Error> {
        let held = self.merchant().bindings_of(self.id()).await?;
        let view = |held: HeldBinding| {
            let (alias, issued) = (held.name.alias()?, held.issued?);
            let (confirmed, revoked) = (held.binding.did.is_some(), held.binding.locked);
            Some(CredentialView { alias, since: issued.at, expires_at: issued.expires_at, confirmed, revoked })
        };
        Ok(held.into_iter().filter_map(view).collect())
    }
}

/// How the relationship credential is issued.
const fn relationship<'a>(kind: &'a str, names: &'a [(&'a str, String)]) -> Offering<'a> {
    Offering { offered: OFFERED, kind, names, claims: &CLAIMS, reissue_at_left_s: Some(REISSUE_AT_LEFT_S) }
}

fn names(issuer: &Issuer) -> [(&'static str, String); 2] {
    [("en", format!("Customer card of {}", issuer.name)), ("de", format!("Kundenkarte von {}", issuer.name))]
}

fn offer_key(code: &str) -> Key {
    Key::new(OfferRecord::KIND, crate::session::token_digest(code), "")
}

pub(super) fn grant_key(grant: &str) -> Key {
    Key::new(GrantRecord::KIND, grant, "")
}

pub(super) fn issued_key(alias: &Alias) -> Key {
    Key::new(IssuedRecord::KIND, alias.as_str(), "")
}

/// Six digits, each as likely as any other: of the 2^64 numbers that the bytes make, the millionth parts are equal but for
/// one in 2^44.
fn six_digits(bytes: [u8; 8]) -> String {
    format!("{:06}", u64::from_be_bytes(bytes) % 1_000_000)
}

fn too_often() -> Error {
    Error::Unavailable { seam: "the store", source: "the same credential changes too often".into() }
}
