//! The merchant: what a program sets up once, and the only code that calls a seam.
//!
//! Every step has one shape: load the record, take the transition, commit it together with what it causes.

use std::{collections::BTreeMap, sync::Arc};

use tokio::sync::broadcast;
use url::Url;

use self::operate::Work;
use crate::{
    ask::{Ask, AskError, AskedFor, Wanted, documents::RECEIPT},
    customer::{CustomerId, CustomerRecord},
    env::{Env, SystemEnv},
    error::{Error, Refusal, StatusUnknown},
    fetch::{Fetch, FetchError, address::is_loopback, any::AnyFetch, cached::Cache},
    format::{Format, sd_jwt_vc::SdJwtVc},
    keys::Keys,
    limits::Limits,
    presentation::query_of,
    protocol::{
        did::{Did, DidDocument},
        openid4vp::ResponseMode,
        registration::RegistrationCertificate,
        status_list::StatusList,
    },
    rail::{AnyRail, Rail, WalletRail},
    receipt::ReceiptIssuer,
    resolve::{DidResolver, ResolveError, any::AnyResolver},
    session::{Nonces, cookie::Challenges},
    store::{AnyStore, Expect, KEYS_MAX, Key, Persisted, Record, Store, StoreError, Stored, Version, Write},
    time::{UnixTime, Zone},
    trade::{AnyShipping, Shelf, Trade},
    trust::{Trust, TrustList},
};

mod bind;
mod capture;
mod client;
#[cfg(feature = "dev")]
pub mod dev;
pub mod dids;
pub mod doctor;
mod held;
mod issue;
mod leave;
mod legacy;
mod meet;
mod merge;
mod operate;
#[cfg(feature = "passkey")]
mod passkey;
mod present;
mod proof;
mod recognise;
mod recover;
mod registration;
mod resolve;
mod sealed;
mod sell;
mod status;
mod trusted;
mod types;

pub use bind::BindingView;
pub use capture::Capture;
pub use client::ClientIdPrefix;
pub use issue::{
    ConsentRequest, CredentialOffer, CredentialView, Issued, IssuerProfile, Pushed, ReceiptView, WalletAccess,
    WalletClient, WalletIdentity, WalletProviders, WalletTokens,
};
pub use leave::{
    Export, ExportedAccount, ExportedAdjustment, ExportedBinding, ExportedCheckout, ExportedCredential, ExportedEntry,
    ExportedLine, ExportedOrder, ExportedParcel, ExportedPart, ExportedPasskey, ExportedProof, ExportedSession,
    ExportedValue, ExportedWish, ExportedWithdrawal, Farewell,
};
pub use legacy::{AccountsMoved, Imported, LegacyAccount, LegacyProof, LinkedAccount};
pub use meet::{Desk, DeskLog, JoinOpened, JoinView, MeetingView, Opened, Operator};
pub use merge::MergeOffered;
pub use operate::{Check, Closing, Readiness, Ready};
#[cfg(feature = "passkey")]
pub use passkey::PasskeyView;
#[cfg(feature = "mdoc")]
pub use present::ReaderSession;
pub use present::{
    Answered, AskRequest, AskTogether, BrowserAnswered, BrowserRequest, Changes, Invitation, Standing, WalletLink,
};
pub use proof::{BrowserProof, ProofRequest};
pub use recognise::{CookieGrant, Customer, Ending, Recognised, Redemption, Refreshed, SessionGrant, SessionView};
pub use recover::{NotARecoveryCode, RecoveryCode};
pub use registration::{ByHand, RegistrationDraft};
pub use sell::{
    Adjusted, Basket, Became, Booking, Bought, Checkout, Committed, Completion, DeadWebhook, Delivered, Feed,
    FeedBatch, FeedEvent, GuestCheckout, GuestLink, GuestOrder, IdempotencyKey, NotAGuestLink, NotATransferId,
    NotAnIdempotencyKey, NotAnOrderCursor, OneTap, Order, OrderCursor, OrderPage, OrderQuery, Pending, Provisional,
    RecentProof, Refund, RefundFile, ShownReceipt, StatementLine, Tapped, Transfer, TransferId, Typed,
    UnmatchedTransfer, WEBHOOKS_MAX, WaitsBecause, Webhook,
};
pub use trusted::TrustListStanding;
pub use types::TypeMetadata;

/// A merchant's side of every relationship: made once by [`Merchant::builder`], cheap to clone.
#[derive(Clone)]
pub struct Merchant(Arc<Inner>);

struct Inner {
    origin: Url,
    /// Within what given-out things hold that are not stored: the origin, and the epoch of the store.
    within: String,
    mount: String,
    keys: Keys,
    trusted: trusted::Trusted,
    type_metadata: TypeMetadata,
    store: AnyStore,
    fetch: AnyFetch,
    env: Arc<dyn Env>,
    zone: Zone,
    formats: Vec<Arc<dyn Format>>,
    asks: BTreeMap<String, Ask>,
    wallets: Vec<WalletApp>,
    limits: Limits,
    prefix: ClientIdPrefix,
    /// What each ask is registered for, by its name.
    registrations: BTreeMap<String, RegistrationCertificate>,
    response_mode: ResponseMode,
    /// Whether queries name the authorities of the trust.
    names_authorities: bool,
    nonces: Nonces,
    challenges: Challenges,
    replays: proof::ReplayWindow,
    trade: Option<Trade>,
    rails: Vec<AnyRail>,
    /// The one of them by which wallets authorise payments.
    wallet_rail: Option<WalletRail>,
    /// Whether events are announced to the feed.
    feed: bool,
    /// Who is told of events.
    webhooks: Vec<Webhook>,
    /// The did:webvh of the shop, and its log.
    public_log: Option<(Did, String)>,
    issuer: Option<issue::Issuer>,
    /// Who sells, as it stands on receipts.
    receipts: Option<ReceiptIssuer>,
    /// Who is shown refused answers.
    capture: Option<capture::Hook>,
    status_lists: Cache<StatusList, StatusUnknown>,
    #[cfg(feature = "mdoc")]
    identifier_lists: Cache<crate::protocol::status_list::cwt::IdentifierList, StatusUnknown>,
    #[cfg(feature = "w3c")]
    bitstring_lists: Cache<crate::protocol::vc::bitstring::BitstringList, StatusUnknown>,
    issuer_documents: Cache<bytes::Bytes, FetchError>,
    did_documents: Cache<DidDocument, ResolveError>,
    did_resolver: Option<AnyResolver>,
    /// Names of requests that changed on this node, and of keys that ended: wakes who waits for them, without promising anything.
    changes: broadcast::Sender<String>,
    /// What is counted of housekeeping, and whether the shop is closing.
    operated: operate::Operated,
    #[cfg(feature = "dev")]
    development: Option<dev::Development>,
}

impl std::fmt::Debug for Merchant {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Merchant").field("origin", &self.0.origin.as_str()).finish_non_exhaustive()
    }
}

/// A wallet that the shop offers a link to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WalletApp {
    /// What the link says.
    pub name: String,
    /// Where it leads: a custom scheme such as `openid4vp://`, or an https address.
    pub authorization_endpoint: String,
}

/// Sets up a [`Merchant`]. What contradicts itself is an error of [`build`](Self::build), never of a request.
#[derive(Debug)]
pub struct MerchantBuilder {
    origin: Url,
    mount: String,
    keys: Option<Keys>,
    trust: Trust,
    trust_lists: Vec<TrustList>,
    type_metadata: TypeMetadata,
    store: Option<AnyStore>,
    fetch: Option<AnyFetch>,
    did_resolver: Option<AnyResolver>,
    env: Arc<dyn Env>,
    zone: Zone,
    formats: Vec<Arc<dyn Format>>,
    asks: Vec<Ask>,
    wallets: Vec<WalletApp>,
    limits: Limits,
    prefix: ClientIdPrefix,
    registrations: BTreeMap<String, String>,
    response_mode: ResponseMode,
    names_authorities: bool,
    trade: Option<Trade>,
    rails: Vec<AnyRail>,
    wallet_rail: Option<WalletRail>,
    feed: bool,
    webhooks: Vec<Webhook>,
    #[cfg(feature = "webvh")]
    webvh: Option<crate::webvh::WebvhLog>,
    relationship: issue::Relationship,
    receipts: Option<ReceiptIssuer>,
    capture: Option<capture::Hook>,
    #[cfg(feature = "dev")]
    development: Option<dev::Development>,
}

impl Merchant {
    /// Begins to set up a merchant at this public origin, such as `https://shop.example`: the only source of the
    /// addresses that wallets and browsers are told. `Host` and `X-Forwarded-*` are never read for it.
    #[must_use]
    pub fn builder(origin: Url) -> MerchantBuilder {
        MerchantBuilder {
            origin,
            mount: "/wallet".to_owned(),
            keys: None,
            trust: Trust::new(),
            trust_lists: Vec::new(),
            type_metadata: TypeMetadata::ignored(),
            store: None,
            fetch: None,
            did_resolver: None,
            env: Arc::new(SystemEnv),
            zone: Zone::Utc,
            formats: vec![
                Arc::new(SdJwtVc::new()),
                #[cfg(feature = "mdoc")]
                Arc::new(crate::format::mdoc::Mdoc::new()),
                #[cfg(feature = "w3c")]
                Arc::new(crate::format::jwt_vc::JwtVc::new()),
                #[cfg(feature = "w3c")]
                Arc::new(crate::format::ldp_vc::LdpVc::new()),
            ],
            asks: Vec::new(),
            wallets: Vec::new(),
            limits: Limits::default(),
            prefix: ClientIdPrefix::default(),
            registrations: BTreeMap::new(),
            response_mode: ResponseMode::DirectPostJwt,
            names_authorities: false,
            trade: None,
            rails: Vec::new(),
            wallet_rail: None,
            feed: false,
            webhooks: Vec::new(),
            #[cfg(feature = "webvh")]
            webvh: None,
            relationship: issue::Relationship::default(),
            receipts: None,
            capture: None,
            #[cfg(feature = "dev")]
            development: None,
        }
    }

    /// The public origin.
    #[must_use]
    pub fn origin(&self) -> &Url {
        &self.0.origin
    }

    /// The countries that the shop sends to, as two letters, the one that most orders go to first; none where nothing says
    /// so ([`Shipping::countries`](crate::trade::Shipping::countries)).
    #[must_use]
    pub fn sends_to(&self) -> Vec<String> {
        let Some(trade) = &self.0.trade else { return Vec::new() };
        let mut countries = trade.shipping.as_ref().and_then(AnyShipping::countries).unwrap_or_default();
        countries.sort_by_key(|country| trade.home.as_ref() != Some(country));
        countries
    }

    /// The path under which the routes are mounted, without a slash at its end.
    #[must_use]
    pub fn mount(&self) -> &str {
        &self.0.mount
    }

    /// The bounds on what strangers send.
    #[must_use]
    pub fn limits(&self) -> &Limits {
        &self.0.limits
    }

    /// The ask of a name, if the merchant declared it.
    #[must_use]
    pub fn declared(&self, ask: &str) -> Option<&Ask> {
        self.0.asks.get(ask)
    }

    /// The asks that the merchant declared, by name.
    pub fn asks(&self) -> impl Iterator<Item = &Ask> {
        self.0.asks.values()
    }

    /// What answers an ask: for each credential that it wants, the alternatives that a wallet is asked for, the one that the
    /// merchant would rather have first. Left out is what no format of this merchant verifies, and what nobody vouches for whom
    /// it trusts.
    #[must_use]
    pub fn answerable<'a>(&self, ask: &'a Ask) -> Vec<(&'a AskedFor, Vec<&'a Wanted>)> {
        let asked = |one: &&Wanted| meta_of(one, &self.0.formats, self.0.trusted.configured()).is_some();
        ask.asked_for().iter().map(|wanted| (wanted, wanted.alternatives().iter().filter(asked).collect())).collect()
    }

    /// The time now, by the merchant's clock.
    #[must_use]
    pub fn now(&self) -> UnixTime {
        self.0.env.now()
    }

    /// The time zone of the shop, by which times and days are shown to people.
    #[must_use]
    pub fn time_zone(&self) -> Zone {
        self.0.zone
    }

    /// The development issuer and its people, if this is a development set-up.
    #[cfg(feature = "dev")]
    #[must_use]
    pub fn development(&self) -> Option<&dev::Development> {
        self.0.development.as_ref()
    }

    /// A customer by name, for the merchant's own pages and programs: `None` if there is none (any more). The name of a
    /// customer who turned out to be another one leads to that one.
    ///
    /// # Errors
    /// [`Error::Unavailable`] if the store does not answer.
    pub async fn customer(&self, id: &CustomerId) -> Result<Option<Customer>, Error> {
        let found = self.resolved(id).await?;
        Ok(found.map(|(id, record, _)| Customer::new(self.clone(), id, record)))
    }

    /// Follows a name to the record that it leads to by now.
    async fn resolved(&self, id: &CustomerId) -> Result<Option<(CustomerId, CustomerRecord, Version)>, Error> {
        let mut id = id.clone();
        // Whoever is merged into somebody who is merged again is written one step further each time.
        for _ in 0..MERGES_MAX {
            let Some(stored) = self.load_one(&customer_key(&id)).await? else { return Ok(None) };
            let record: CustomerRecord = stored.read()?;
            match record.merged_into {
                Some(into) => id = into,
                None => return Ok(Some((id, record, stored.version))),
            }
        }
        Err(Error::Misuse(format!("{id} is merged in a circle")))
    }

    /// Removes what has expired, and brings orders up to date, until the shop [closes](Self::close): a future that the program
    /// spawns and waits for at its end, such as with `tokio::spawn(merchant.clone().housekeeping())`.
    ///
    /// Spawn it. An expired record is absent for every reader at once, but it leaves the disk by this alone, two minutes
    /// later: the sealed claims of a visit, and a value whose time to be kept is over, would stay in the database and its
    /// backups. A payment that nobody knows about is asked about, and an unpaid order expires, by this alone as well. So
    /// are published [lists of issuers](crate::trust::TrustList) refreshed, and [webhooks](MerchantBuilder::webhook) sent.
    pub async fn housekeeping(self) {
        // Side by side: a publisher who does not answer holds up no order.
        tokio::join!(self.keep_house(), self.keep_checkouts(), self.keep_trust_lists(), self.keep_webhooks());
    }

    async fn keep_house(&self) {
        /// Often enough that a store stays small, seldom enough that nobody notices.
        const PAUSE: std::time::Duration = std::time::Duration::from_secs(30);
        /// Small enough not to hold up a customer's commit.
        const BATCH: usize = 500;
        while !self.is_closing() {
            let orders = self.bring_orders_up_to_date().await;
            self.did(Work::Orders, orders.is_ok());
            if let Err(error) = orders {
                tracing::warn!(%error, "orders were not brought up to date");
            }
            let swept = self.0.store.sweep(self.now(), BATCH).await;
            self.did(Work::Expired, swept.is_ok());
            match swept {
                // A full batch says that there is more.
                Ok(removed) if removed >= BATCH => tokio::task::yield_now().await,
                Ok(_) => self.pause(PAUSE).await,
                Err(error) => {
                    tracing::warn!(%error, "expired records were not removed");
                    self.pause(PAUSE).await;
                }
            }
        }
    }

    /// Beside the orders, so that an inventory which does not answer holds up no payment.
    async fn keep_checkouts(&self) {
        const PAUSE: std::time::Duration = std::time::Duration::from_secs(30);
        while self.0.trade.is_some() && !self.is_closing() {
            let checkouts = self.bring_checkouts_up_to_date().await;
            self.did(Work::Checkouts, checkouts.is_ok());
            if let Err(error) = checkouts {
                tracing::warn!(%error, "checkouts were not brought up to date");
            }
            self.pause(PAUSE).await;
        }
    }

    /// The absolute address of a path below the mount.
    fn address(&self, path: &str) -> Url {
        address(&self.0.origin, &self.0.mount, path)
    }

    /// Bytes that nobody can guess, of the shop's [`Env`]: also for what the program itself makes.
    #[must_use]
    pub fn random<const N: usize>(&self) -> [u8; N] {
        let mut bytes = [0; N];
        self.0.env.fill(&mut bytes);
        bytes
    }

    /// Commits; `false` if somebody else was first, and nothing of it happened.
    async fn commit_if_first(&self, writes: &[Write], at: UnixTime) -> Result<bool, Error> {
        match self.0.store.commit(writes, at).await {
            Ok(_) => Ok(true),
            Err(error) if lost_the_race(&error) => Ok(false),
            Err(error) => Err(error.into()),
        }
    }

    /// Commits, or says that somebody else was first.
    async fn commit_first(&self, writes: &[Write], at: UnixTime) -> Result<(), Error> {
        if self.commit_if_first(writes, at).await? { Ok(()) } else { Err(Refusal::Overtaken.into()) }
    }

    /// The records of these keys, in their order, however many they are.
    async fn load_all(&self, keys: &[Key]) -> Result<Vec<Option<Stored>>, Error> {
        let mut found = Vec::with_capacity(keys.len());
        for keys in keys.chunks(KEYS_MAX) {
            found.extend(self.0.store.load(keys, self.now()).await?);
        }
        Ok(found)
    }

    async fn load_one(&self, key: &Key) -> Result<Option<Stored>, Error> {
        let mut found = self.0.store.load(std::slice::from_ref(key), self.now()).await?;
        Ok(found.pop().flatten())
    }
}

fn address(origin: &Url, mount: &str, path: &str) -> Url {
    let mut url = origin.clone();
    url.set_path(&format!("{mount}{path}"));
    url
}

/// Whether a commit failed because another was first: then everything is loaded and decided again.
fn lost_the_race(error: &StoreError) -> bool {
    matches!(error, StoreError::Conflict(_))
}

/// What the status lists of all issuers may take of memory: some hundred ordinary ones.
const STATUS_LISTS_BYTES: u64 = 64 * 1024 * 1024;
/// What the metadata and key sets of all issuers may take of memory.
const ISSUER_DOCUMENTS_BYTES: u64 = 8 * 1024 * 1024;
/// What the DID documents of all issuers may take of memory: those of a thousand.
const DID_DOCUMENTS_BYTES: u64 = 4 * 1024 * 1024;

/// How long before its end an access certificate is spoken of, in seconds: an authority takes its days.
const RENEW_WITHIN_S: u64 = 30 * 24 * 3600;

/// How many merges lead from a name to its record at most.
const MERGES_MAX: usize = 16;

/// How often a step that lost a race is tried again before it gives up.
const RACES_MAX: usize = 8;

fn customer_key(id: &CustomerId) -> Key {
    Key::new(CustomerRecord::KIND, id.as_str(), "")
}

fn put<T: Persisted>(key: Key, value: &T, expires_at: Option<UnixTime>, expect: Expect) -> Result<Write, StoreError> {
    Ok(Write::Put { key, record: Record::of(value, expires_at)?, expect })
}

impl MerchantBuilder {
    /// The path under which the routes are mounted; `/wallet` unless said here.
    #[must_use]
    pub fn mount(mut self, path: impl Into<String>) -> Self {
        self.mount = path.into();
        self
    }

    /// The keys: who the shop is towards wallets, and the secret from which all others come.
    #[must_use]
    pub fn keys(mut self, keys: Keys) -> Self {
        self.keys = Some(keys);
        self
    }

    /// Which issuers are believed for what; may be called again to believe more.
    #[must_use]
    pub fn trust(mut self, trust: Trust) -> Self {
        self.trust = self.trust.and(trust);
        self
    }

    /// Also believes whom a published list names, for what the list was set up with.
    #[must_use]
    pub fn trust_list(mut self, list: TrustList) -> Self {
        self.trust_lists.push(list);
        self
    }

    /// Whether credentials are checked against the rules of their types; they are not unless said here.
    #[must_use]
    pub fn type_metadata(mut self, policy: TypeMetadata) -> Self {
        self.type_metadata = policy;
        self
    }

    /// Where records are kept.
    #[must_use]
    pub fn store(mut self, store: impl Store) -> Self {
        self.store = Some(AnyStore::new(store));
        self
    }

    /// How other people's servers are reached; the feature `https` brings the default.
    #[must_use]
    pub fn fetch(mut self, fetch: impl Fetch) -> Self {
        self.fetch = Some(AnyFetch::new(fetch));
        self
    }

    /// Who resolves the DIDs of issuers whose method is none of `key`, `jwk`, `peer`, `web` and, with the feature `webvh`,
    /// `webvh`.
    #[must_use]
    pub fn did_resolver(mut self, resolver: impl DidResolver) -> Self {
        self.did_resolver = Some(AnyResolver::new(resolver));
        self
    }

    /// Where the time and randomness come from; the system unless said here.
    #[must_use]
    pub fn env(mut self, env: impl Env) -> Self {
        self.env = Arc::new(env);
        self
    }

    /// The time zone of the shop: times on the merchant's and the customers' pages are written in it, and days begin and end
    /// by it, such as those of the book of orders and the last one of the time to withdraw.
    ///
    /// UTC unless said here, which pages say beside each time: the machine's own zone would be another on each server, and
    /// nothing else that the merchant says tells it for sure.
    #[must_use]
    pub const fn time_zone(mut self, zone: Zone) -> Self {
        self.zone = zone;
        self
    }

    /// Another credential format, in place of one of the same name.
    #[must_use]
    pub fn format(mut self, format: impl Format) -> Self {
        self.formats.retain(|f| f.id() != format.id());
        self.formats.push(Arc::new(format));
        self
    }

    /// Declares an ask: pages may begin what is declared, and nothing else.
    #[must_use]
    pub fn ask(mut self, ask: &Ask) -> Self {
        self.asks.push(ask.clone());
        self
    }

    /// Offers a link to a wallet. Without any, the link `openid4vp://` leads to whatever the customer has installed.
    #[must_use]
    pub fn wallet(mut self, name: impl Into<String>, authorization_endpoint: impl Into<String>) -> Self {
        let authorization_endpoint = authorization_endpoint.into();
        self.wallets.push(WalletApp { name: name.into(), authorization_endpoint });
        self
    }

    /// The bounds on what strangers send.
    #[must_use]
    pub fn limits(mut self, limits: Limits) -> Self {
        self.limits = limits;
        self
    }

    /// Which name the shop has towards wallets.
    #[must_use]
    pub fn client_id_prefix(mut self, prefix: ClientIdPrefix) -> Self {
        self.prefix = prefix;
        self
    }

    /// What the registrar certified of one ask (ETSI TS 119 475): wallets get it with the request. One for each ask;
    /// [`build`](Self::build) refuses an ask for more than is registered. `jwt` is the certificate as the registrar gives it
    /// out, a JWT; spaces and line breaks around it do not matter.
    #[must_use]
    pub fn registration(mut self, ask: &Ask, jwt: &str) -> Self {
        self.registrations.insert(ask.name().to_owned(), jwt.trim().to_owned());
        self
    }

    /// How wallets answer: encrypted (`direct_post.jwt`) unless said here.
    #[must_use]
    pub const fn response_mode(mut self, mode: ResponseMode) -> Self {
        self.response_mode = mode;
        self
    }

    /// Tells wallets under which roots an answer will be believed (`trusted_authorities` of type `aki`, OpenID4VP 1.0,
    /// 6.1.1.1), so that nobody shows a credential in vain.
    ///
    /// Left out unless said here: a wallet compares with the certificates that a credential happens to carry, and one that
    /// leaves out the certificate which names the root would offer nothing. What comes back is judged by the trust either
    /// way.
    #[must_use]
    pub const fn name_authorities(mut self) -> Self {
        self.names_authorities = true;
        self
    }

    /// A shelf in the store that was said before: stock is counted beside the shop's own records. Given to
    /// [`Trade::inventory`], and a clone to whoever counts.
    ///
    /// # Errors
    /// [`Error::Misuse`] if no store was said.
    pub fn shelf(&self) -> Result<Shelf, Error> {
        let missing = || Error::Misuse("no store to count stock in: say .store(..) before .shelf()".to_owned());
        Ok(Shelf::within(self.store.clone().ok_or_else(missing)?))
    }

    /// How the shop sells: what checkouts are made of.
    #[must_use]
    pub fn trade(mut self, trade: Trade) -> Self {
        self.trade = Some(trade);
        self
    }

    /// A way to be paid. Orders name it by its [`id`](Rail::id).
    #[must_use]
    pub fn rail(mut self, rail: impl Rail) -> Self {
        self.rails.push(AnyRail::new(rail));
        self
    }

    /// The way to be paid by what the customer's wallet authorises: see [`ask_together`](Merchant::ask_together).
    #[must_use]
    pub fn wallet_rail(mut self, rail: WalletRail) -> Self {
        self.rails.push(AnyRail::new(rail.clone()));
        self.wallet_rail = Some(rail);
        self
    }

    /// Announces what happens to orders to the [`Feed`], for a worker that takes it: what nobody takes piles up.
    #[must_use]
    pub const fn feed(mut self) -> Self {
        self.feed = true;
        self
    }

    /// Tells another program what happens to orders: signed, at least once, and again until it is taken
    /// ([`Merchant::deliver_webhooks`]). At most [`WEBHOOKS_MAX`] programs.
    #[must_use]
    pub fn webhook(mut self, webhook: Webhook) -> Self {
        self.webhooks.push(webhook);
        self
    }

    /// Makes receipts of paid orders, in the name of this seller: [`Order::receipt`]. Where the shop also
    /// [issues](Self::relationship), wallets can have them as credentials ([`Order::offer_receipt`]), and asks can ask for
    /// one ([`Ask::receipt`]).
    #[must_use]
    pub fn receipts(mut self, issuer: ReceiptIssuer) -> Self {
        self.receipts = Some(issuer);
        self
    }

    /// Serves the history of the shop's public DID (did:webvh) beside its did:web: what the command `firsthand did` made.
    #[cfg(feature = "webvh")]
    #[must_use]
    pub fn webvh(mut self, log: crate::webvh::WebvhLog) -> Self {
        self.webvh = Some(log);
        self
    }

    /// The merchant, ready to serve. Starts nothing.
    ///
    /// # Errors
    /// [`Error::Misuse`] for whatever is missing or contradicts itself, with what to do about it.
    pub fn build(self) -> Result<Merchant, Error> {
        let misuse = |text: String| Err(Error::Misuse(text));
        let origin = self.origin;
        let bare = origin.path() == "/"
            && origin.query().is_none()
            && origin.fragment().is_none()
            && origin.username().is_empty()
            && origin.password().is_none();
        if !bare || origin.host_str().is_none() {
            return misuse(format!("the origin {origin} must be a scheme and a host, such as https://shop.example"));
        }
        let loopback = is_loopback(&origin);
        #[cfg(feature = "dev")]
        let is_development = self.development.is_some();
        #[cfg(not(feature = "dev"))]
        let is_development = false;
        if !(origin.scheme() == "https" || (origin.scheme() == "http" && loopback && is_development)) {
            return misuse(format!("the origin {origin} must be https; http is for development on loopback"));
        }
        let Some(keys) = self.keys else {
            return misuse("no keys: make them with `firsthand keys new`, then .keys(Keys::from_pem_file(..)?)".into());
        };
        if (is_development || keys.are_development()) && !loopback {
            return misuse(format!(
                "{origin} is not a loopback address, but keys, issuer or wallet are for development: anybody could \
                 make such credentials; use keys of your own and .trust(..)"
            ));
        }
        if self.trust.is_loopback_allowed() && !loopback {
            return misuse(format!(
                "{origin} is not a loopback address, but the trust allows issuers over http of this machine: whatever \
                 runs here could be any issuer; leave out .danger_loopback()"
            ));
        }
        for (place, list) in self.trust_lists.iter().enumerate() {
            if !list.has_types() {
                return misuse(format!("the trust list {} is for no types: add .types(..)", list.url()));
            }
            if list.lacks_operator() {
                return misuse(format!(
                    "the trust list {} may be signed by whomever an authority certifies: name its publisher, .operator(..)",
                    list.url()
                ));
            }
            if self.trust_lists.iter().take(place).any(|other| other.name() == list.name()) {
                return misuse(format!("the trust list {} is there twice: name all types at one of them", list.url()));
            }
        }
        let mut trust = self.trust_lists.iter().fold(self.trust, Trust::expecting);
        let receipts = self.receipts.map(|issuer| issuer.at(origin.as_str()));
        if let Some(issuer) = &receipts {
            issuer.check()?;
        }
        if receipts.is_some() && self.relationship.issues() {
            trust = trust.issuing(RECEIPT);
        } else if let Some(ask) = self.asks.iter().find(|ask| ask.wants_receipt()) {
            return misuse(format!(
                "the ask {:?} is for receipts of this shop, which issues none: add .receipts(..) and .relationship(..)",
                ask.name()
            ));
        }
        #[cfg(feature = "webvh")]
        let public_log = match self.webvh {
            Some(log) => {
                log.check_origin(&origin).map_err(|error| Error::Misuse(error.to_string()))?;
                if !log.names(&keys) {
                    return misuse(format!(
                        "the log of {} has other keys than the keys file: add to it by `firsthand did`",
                        log.did()
                    ));
                }
                Some((log.did().clone(), log.as_str().to_owned()))
            }
            None => None,
        };
        #[cfg(not(feature = "webvh"))]
        let public_log = None;
        let Some(store) = self.store else {
            return misuse("no store: add .store(Memory::default()), Sqlite or Postgres".into());
        };
        let fetch = match self.fetch {
            Some(fetch) => fetch,
            None => default_fetch()?,
        };
        // A shop that only knows its own again needs nobody else's word.
        if trust.is_empty() && self.asks.iter().any(|ask| !ask.asked_for().is_empty()) {
            return misuse(
                "nobody is trusted who could answer what is asked: add .trust(Trust::from_pem_dir(..)?)".into(),
            );
        }
        if !(self.mount.starts_with('/') && self.mount.len() > 1 && !self.mount.ends_with('/'))
            || self.mount.bytes().any(|b| !(b.is_ascii_alphanumeric() || matches!(b, b'/' | b'-' | b'_' | b'.')))
        {
            return misuse(format!("the mount path {:?} must look like /wallet", self.mount));
        }
        let relationship = address(&origin, &self.mount, "/relationship").to_string();
        let mut asks = BTreeMap::new();
        for ask in self.asks {
            ask.check()?;
            let meta = |one: &Wanted| meta_of(one, &self.formats, &trust);
            let unanswerable = |wanted: &&AskedFor| wanted.queries(|one| meta(one).is_some()).next().is_none();
            if let Some(wanted) = ask.asked_for().iter().find(unanswerable) {
                let known = |one: &Wanted| self.formats.iter().any(|f| f.id() == one.format());
                let types = wanted.alternatives().iter().flat_map(Wanted::types).cloned().collect::<Vec<_>>();
                return misuse(match wanted.alternatives().iter().find(|one| !known(one)) {
                    Some(one) if !wanted.alternatives().iter().any(known) => {
                        format!(
                            "the ask {:?} wants the format {:?}, which is not set up: turn on the feature `w3c` or `mdoc`, \
                             or add .format(..)",
                            ask.name(),
                            one.format()
                        )
                    }
                    _ => format!(
                        "nobody is trusted for what the ask {:?} wants: name an issuer of one of {types:?} in .trust(..)",
                        ask.name()
                    ),
                });
            }
            for one in ask.asked_for().iter().flat_map(AskedFor::alternatives) {
                let is_read = self.formats.iter().any(|format| format.id() == one.format());
                if !is_read && one.types().iter().any(|kind| trust.vouches_for(kind)) {
                    let (ask, format) = (ask.name(), one.format());
                    tracing::warn!(ask, format, types = ?one.types(), "not asked for: the format's feature is off");
                }
            }
            let query = query_of(&[&ask], &relationship, meta);
            query
                .check(&self.limits)
                .map_err(|e| AskError::Query { name: ask.name().to_owned(), reason: e.to_string() })?;
            if let Some(twice) = asks.insert(ask.name().to_owned(), ask) {
                return Err(AskError::Twice(twice.name().to_owned()).into());
            }
        }
        for (place, rail) in self.rails.iter().enumerate() {
            let (id, plain) = (rail.id(), |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-');
            if id.is_empty() || id.len() > 16 || !id.bytes().all(plain) {
                return misuse(format!("the rail's name {id:?} must be 1 to 16 of a-z, 0-9 and -"));
            }
            if self.rails.iter().take(place).any(|other| other.id() == id) {
                return misuse(format!("two rails are named {id:?}"));
            }
        }
        self.trade.as_ref().map_or(Ok(()), |trade| trade.check(asks.values(), &self.rails))?;
        let payment = asks.values().find(|ask| ask.is_payment());
        match (payment, &self.wallet_rail) {
            (Some(ask), None) => {
                return misuse(format!(
                    "the ask {:?} is for payments: add .wallet_rail(..), which executes them",
                    ask.name()
                ));
            }
            (Some(ask), Some(_)) if self.type_metadata.is_ignored() => {
                return misuse(format!(
                    "the ask {:?} takes attestations that are known by the metadata of their types: add .type_metadata(..)",
                    ask.name()
                ));
            }
            _ => {}
        }
        if self.webhooks.len() > WEBHOOKS_MAX {
            let many = self.webhooks.len();
            return misuse(format!("{many} webhooks, and at most {WEBHOOKS_MAX} are told: let one of them pass it on"));
        }
        for (place, webhook) in self.webhooks.iter().enumerate() {
            webhook.check(loopback).map_err(Error::Misuse)?;
            if self.webhooks.iter().take(place).any(|other| other.name() == webhook.name()) {
                return misuse(format!("two webhooks are named {:?}", webhook.name()));
            }
        }
        let now = self.env.now();
        self.prefix.check(&origin, &keys, now)?;
        let mut registrations = BTreeMap::new();
        for (name, jwt) in self.registrations {
            let registration = RegistrationCertificate::parse(&jwt, &self.limits);
            let registration = registration.map_err(|error| {
                Error::Misuse(format!("the registration certificate of the ask {name:?} cannot be read: {error}"))
            })?;
            let Some(ask) = asks.get(&name) else {
                return misuse(format!("there is a registration certificate for the ask {name:?}, and no such ask"));
            };
            if ask.is_age_eu() || self.prefix == ClientIdPrefix::RedirectUri {
                return misuse(format!(
                    "the ask {name:?} is asked unsigned, so nothing would bind its registration certificate to this shop"
                ));
            }
            let covered =
                registration.covers(&query_of(&[ask], &relationship, |one| meta_of(one, &self.formats, &trust)));
            covered.map_err(|error| {
                Error::Misuse(format!("the ask {name:?} asks for more than is registered: {error}"))
            })?;
            if let Some(at) = registration.expires_at() {
                client::ends(&format!("registration certificate of the ask {name:?}"), at, now);
            }
            registrations.insert(name, registration);
        }
        // What is given out without being stored is taken within one epoch of the store alone.
        let within = match store.epoch() {
            0 => origin.to_string(),
            epoch => format!("{origin} {epoch}"),
        };
        let nonces = Nonces::new(&keys.derive_all("dpop nonce", within.as_bytes()));
        let nonce_keys = keys.derive_all("credential nonce", within.as_bytes());
        let issuer = self.relationship.build(origin.host_str().unwrap_or_default(), &nonce_keys)?;
        let challenges = Challenges::new(&keys.derive_all("dbsc challenge", within.as_bytes()));
        Ok(Merchant(Arc::new(Inner {
            nonces,
            challenges,
            origin,
            within,
            mount: self.mount,
            keys,
            trusted: trusted::Trusted::new(trust, self.trust_lists),
            type_metadata: self.type_metadata,
            store: store.by_clock(Arc::clone(&self.env)),
            fetch,
            env: self.env,
            zone: self.zone,
            formats: self.formats,
            asks,
            wallets: self.wallets,
            limits: self.limits,
            prefix: self.prefix,
            registrations,
            response_mode: self.response_mode,
            names_authorities: self.names_authorities,
            replays: proof::ReplayWindow::default(),
            trade: self.trade,
            rails: self.rails,
            wallet_rail: self.wallet_rail,
            feed: self.feed,
            webhooks: self.webhooks,
            public_log,
            issuer,
            receipts,
            capture: self.capture,
            status_lists: Cache::new(STATUS_LISTS_BYTES, StatusList::bytes),
            #[cfg(feature = "mdoc")]
            identifier_lists: Cache::new(STATUS_LISTS_BYTES, crate::protocol::status_list::cwt::IdentifierList::bytes),
            #[cfg(feature = "w3c")]
            bitstring_lists: Cache::new(STATUS_LISTS_BYTES, crate::protocol::vc::bitstring::BitstringList::bytes),
            issuer_documents: Cache::new(ISSUER_DOCUMENTS_BYTES, bytes::Bytes::len),
            did_documents: Cache::new(DID_DOCUMENTS_BYTES, |document| document.to_json().to_string().len()),
            did_resolver: self.did_resolver,
            changes: broadcast::channel(1_024).0,
            operated: operate::Operated::default(),
            #[cfg(feature = "dev")]
            development: self.development,
        })))
    }
}

/// How an alternative is asked for; `None` for what no set-up format reads, or nobody is believed for: an answer that will
/// be refused is not asked for.
fn meta_of(one: &Wanted, formats: &[Arc<dyn Format>], trust: &Trust) -> Option<serde_json::Value> {
    let format = formats.iter().find(|format| format.id() == one.format())?;
    if !one.types().iter().any(|kind| trust.vouches_for(kind)) {
        return None;
    }
    // A wallet that compares names does not know which national types extend this one.
    let types: Vec<String> = one.types().iter().chain(trust.extensions_of(one.types())).cloned().collect();
    Some(format.meta(&types))
}

#[cfg(feature = "https")]
fn default_fetch() -> Result<AnyFetch, Error> {
    crate::fetch::Https::new().map(AnyFetch::new).map_err(|e| Error::Misuse(format!("https cannot be set up: {e}")))
}

#[cfg(not(feature = "https"))]
fn default_fetch() -> Result<AnyFetch, Error> {
    Err(Error::Misuse("no fetch: enable the feature `https`, or add .fetch(..)".into()))
}
