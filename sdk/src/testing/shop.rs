//! A whole shop in memory: fixed time, an issuer that it believes, people with wallets, and no socket anywhere.

use std::sync::{
    Arc, Mutex, PoisonError,
    atomic::{AtomicI64, AtomicU64, Ordering},
};

use url::Url;

use super::{
    Network,
    authority::{Authority, Leaf, certificate_pem},
    cast::{Cast, Persona},
};
use crate::{
    ask::{Ask, PID, Wanted},
    env::Env,
    explain::Outcome,
    keys::{Keys, KeysFile},
    merchant::{Capture, Merchant, MerchantBuilder},
    protocol::{jose::SigningKey, x509::Certificate},
    store::Memory,
    time::UnixTime,
};

/// Where the shop is.
const HOST: &str = "shop.example";

/// A clock that is moved by hand, and randomness that no two shops share.
#[derive(Clone, Debug)]
pub struct Clock(Arc<ClockState>);

#[derive(Debug)]
struct ClockState {
    now: AtomicI64,
    drawn: AtomicU64,
    seed: [u8; 32],
}

impl Clock {
    /// A clock that shows this time.
    #[must_use]
    pub fn at(now: UnixTime) -> Self {
        let mut seed = [0; 32];
        crate::env::SystemEnv.fill(&mut seed);
        Self::seeded(now, seed)
    }

    /// The same, whose randomness is that of a seed: the same seed draws the same once more.
    #[must_use]
    pub fn seeded(now: UnixTime, seed: [u8; 32]) -> Self {
        Self(Arc::new(ClockState { now: AtomicI64::new(now.as_secs()), drawn: AtomicU64::new(0), seed }))
    }

    /// Moves the time.
    pub fn advance_s(&self, secs: u64) {
        self.set(self.now().plus_s(secs));
    }

    /// Sets the time, also back.
    pub fn set(&self, now: UnixTime) {
        self.0.now.store(now.as_secs(), Ordering::SeqCst);
    }
}

impl Env for Clock {
    fn now(&self) -> UnixTime {
        UnixTime::from_secs(self.0.now.load(Ordering::SeqCst))
    }

    fn fill(&self, bytes: &mut [u8]) {
        for chunk in bytes.chunks_mut(32) {
            let number = self.0.drawn.fetch_add(1, Ordering::SeqCst);
            let mut text = self.0.seed.to_vec();
            text.extend(number.to_be_bytes());
            for (to, from) in chunk.iter_mut().zip(crate::protocol::jose::sha256(&text)) {
                *to = from;
            }
        }
    }
}

/// A shop for tests: the merchant as in production, at `https://shop.example`, with two asks declared (`age`, over 18,
/// and `address`), a memory store, and everything that a wallet needs.
///
/// ```
/// use firsthand::testing::TestShop;
///
/// let shop = TestShop::new();
/// assert!(shop.merchant().declared("age").is_some());
/// shop.advance_s(3600);
/// ```
#[derive(Clone, Debug)]
pub struct TestShop(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    merchant: Merchant,
    clock: Clock,
    network: Network,
    cast: Arc<Cast>,
    access: Authority,
    access_root: Certificate,
    keys_file: KeysFile,
    keys: Keys,
    status_uri: Url,
    status: Mutex<()>,
}

/// The day on which every test begins: 2026-11-22, noon.
const FIRST_DAY: UnixTime = UnixTime::from_secs(1_795_348_800);

impl Default for TestShop {
    fn default() -> Self {
        Self::new()
    }
}

impl TestShop {
    /// A shop with a memory store.
    #[must_use]
    pub fn new() -> Self {
        Self::with(|builder| builder.store(Memory::default()))
    }

    /// A shop that is set up further: another store, another ask, another response mode. Needs a store.
    ///
    /// # Panics
    /// If the set-up contradicts itself.
    #[must_use]
    #[expect(clippy::expect_used, reason = "a test wants to stop at once, and nothing here comes from a stranger")]
    pub fn with(set_up: impl FnOnce(MerchantBuilder) -> MerchantBuilder) -> Self {
        let clock = Clock::at(FIRST_DAY);
        let origin = Url::parse(&format!("https://{HOST}")).expect("a URL");
        let status_uri = Url::parse("https://issuer.example/status/1").expect("a URL");
        let cast = Cast::new(status_uri.clone(), &clock).expect("issuers and people");
        let access = Authority::new("Test Access CA", clock.now());
        let access_root = Certificate::from_der(access.root_der()).expect("a certificate");
        let keys_file = keys_file(&access, &clock);
        let keys = Keys::from_pem(&keys_file.to_pem()).expect("keys");
        let network = Network::new();
        let builder = Merchant::builder(origin)
            .keys(keys.clone())
            .trust(cast.trust().expect("roots"))
            .fetch(network.clone())
            .env(clock.clone())
            .wallet("Test Wallet", "https://wallet.example/authorize")
            .danger_capture(is_explained(&network))
            .ask(&Self::age())
            .ask(&Self::address());
        let merchant = set_up(builder).build().expect("a shop");
        let shop = Self(Arc::new(Inner {
            merchant,
            clock,
            network,
            cast: Arc::new(cast),
            access_root,
            access,
            keys,
            keys_file,
            status_uri,
            status: Mutex::new(()),
        }));
        shop.publish_status_list();
        shop
    }

    /// The same shop set up again, after a restart or as a second node: with its keys, clock, network and people, its
    /// two asks, and what `set_up` says. Needs a store.
    ///
    /// # Panics
    /// If the set-up contradicts itself.
    #[must_use]
    pub fn again(&self, set_up: impl FnOnce(MerchantBuilder) -> MerchantBuilder) -> Self {
        self.bare(|builder| set_up(builder.ask(&Self::age()).ask(&Self::address())))
    }

    /// The same without any ask: `set_up` declares those of the day.
    ///
    /// # Panics
    /// If the set-up contradicts itself.
    #[must_use]
    pub fn bare(&self, set_up: impl FnOnce(MerchantBuilder) -> MerchantBuilder) -> Self {
        self.in_the_time_of(&self.0.clock, set_up)
    }

    /// The same as [`bare`](Self::bare) with time and randomness of another clock: one shop, whose keys and people cost much
    /// to make, lives through many histories.
    ///
    /// # Panics
    /// If the set-up contradicts itself.
    #[must_use]
    #[expect(clippy::expect_used, reason = "a test wants to stop at once, and nothing here comes from a stranger")]
    pub fn in_the_time_of(&self, clock: &Clock, set_up: impl FnOnce(MerchantBuilder) -> MerchantBuilder) -> Self {
        let builder = Merchant::builder(self.merchant().origin().clone())
            .keys(self.0.keys.clone())
            .trust(self.0.cast.trust().expect("roots"))
            .fetch(self.0.network.clone())
            .env(clock.clone())
            .wallet("Test Wallet", "https://wallet.example/authorize")
            .danger_capture(is_explained(&self.0.network));
        Self(Arc::new(Inner {
            merchant: set_up(builder).build().expect("a shop"),
            clock: clock.clone(),
            network: self.0.network.clone(),
            cast: self.0.cast.clone(),
            access: self.0.access.clone(),
            access_root: self.0.access_root.clone(),
            keys_file: self.0.keys_file.clone(),
            keys: self.0.keys.clone(),
            status_uri: self.0.status_uri.clone(),
            status: Mutex::new(()),
        }))
    }

    /// A shop at `https://HOST` in the same world, whose keys have the same root secret: with the same clock, network and
    /// people, and what `set_up` says.
    ///
    /// # Panics
    /// If the set-up contradicts itself.
    #[must_use]
    #[expect(clippy::expect_used, reason = "a test wants to stop at once, and nothing here comes from a stranger")]
    pub fn elsewhere(&self, host: &str, set_up: impl FnOnce(MerchantBuilder) -> MerchantBuilder) -> Self {
        let mut keys_file = self.keys_file().clone();
        keys_file.add_signing_key().expect("a new key");
        certify(&mut keys_file, &self.0.access, host, self.0.clock.now());
        let keys = Keys::from_pem(&keys_file.to_pem()).expect("keys");
        let builder = Merchant::builder(Url::parse(&format!("https://{host}")).expect("a host"))
            .keys(keys.clone())
            .trust(self.0.cast.trust().expect("roots"))
            .fetch(self.0.network.clone())
            .env(self.0.clock.clone())
            .wallet("Test Wallet", "https://wallet.example/authorize")
            .danger_capture(is_explained(&self.0.network));
        Self(Arc::new(Inner {
            merchant: set_up(builder).build().expect("a shop"),
            clock: self.0.clock.clone(),
            network: self.0.network.clone(),
            cast: self.0.cast.clone(),
            access: self.0.access.clone(),
            access_root: self.0.access_root.clone(),
            keys_file,
            keys,
            status_uri: self.0.status_uri.clone(),
            status: Mutex::new(()),
        }))
    }

    /// The ask `age`.
    #[must_use]
    pub fn age() -> Ask {
        Ask::new("age", "Wine is sold to adults").over(18)
    }

    /// The ask `address`.
    #[must_use]
    pub fn address() -> Ask {
        let wanted = Wanted::sd_jwt_vc(PID).claim(["given_name"]).claim(["family_name"]).claim(["address"]);
        Ask::new("address", "To send you what you order").credential("pid", wanted)
    }

    /// The merchant.
    #[must_use]
    pub fn merchant(&self) -> &Merchant {
        &self.0.merchant
    }

    /// The time, and randomness.
    #[must_use]
    pub fn clock(&self) -> &Clock {
        &self.0.clock
    }

    /// The network, to serve from and to break.
    #[must_use]
    pub fn network(&self) -> &Network {
        &self.0.network
    }

    /// The issuer and the people.
    #[must_use]
    pub fn cast(&self) -> &Cast {
        &self.0.cast
    }

    /// One of the people.
    ///
    /// # Panics
    /// If there is nobody of that name: see [`Cast::personas`].
    #[must_use]
    pub fn persona(&self, id: &str) -> &Persona {
        match self.0.cast.persona(id) {
            Some(persona) => persona,
            None => {
                let known: Vec<&str> = self.0.cast.personas().iter().map(|p| p.id).collect();
                nobody(id, &known)
            }
        }
    }

    /// The root that a wallet believes when this shop asks.
    #[must_use]
    pub fn access_root(&self) -> &Certificate {
        &self.0.access_root
    }

    /// The merchant's keys, to build the same shop by hand.
    #[must_use]
    pub fn keys(&self) -> &Keys {
        &self.0.keys
    }

    /// The merchant's keys file.
    #[must_use]
    pub fn keys_file(&self) -> &KeysFile {
        &self.0.keys_file
    }

    /// The keys after a renewal: a new certificate for a new key, by the authority that wallets believe, and the old
    /// identity behind it.
    ///
    /// # Panics
    /// Never in practice.
    #[must_use]
    #[expect(clippy::expect_used, reason = "a test wants to stop at once, and nothing here comes from a stranger")]
    pub fn renewed_certificate(&self) -> Keys {
        let mut file = self.keys_file().clone();
        file.add_signing_key().expect("a new key");
        certify(&mut file, &self.0.access, HOST, self.0.clock.now());
        Keys::from_pem(&file.to_pem()).expect("keys")
    }

    /// The keys after a renewal of the root secret, with the old one behind the new one.
    ///
    /// # Panics
    /// Never in practice.
    #[must_use]
    #[expect(clippy::expect_used, reason = "a test wants to stop at once, and nothing here comes from a stranger")]
    pub fn renewed_root(&self) -> Keys {
        let mut file = self.keys_file().clone();
        let mut secret = [0; 32];
        self.0.clock.fill(&mut secret);
        file.add_root_secret(secret).expect("room for one more");
        Keys::from_pem(&file.to_pem()).expect("keys")
    }

    /// Where the issuer's status list is.
    #[must_use]
    pub fn status_uri(&self) -> &Url {
        &self.0.status_uri
    }

    /// Moves the time; the issuer publishes a status list of the new time.
    pub fn advance_s(&self, secs: u64) {
        self.0.clock.advance_s(secs);
        self.publish_status_list();
    }

    /// Serves the issuer's status list as of now.
    ///
    /// # Panics
    /// Never in practice.
    #[expect(clippy::expect_used, reason = "a test wants to stop at once, and nothing here comes from a stranger")]
    pub fn publish_status_list(&self) {
        let _one_at_a_time = self.0.status.lock().unwrap_or_else(PoisonError::into_inner);
        let token = self.0.cast.status_list(self.0.clock.now()).expect("a status list");
        #[cfg(feature = "w3c")]
        {
            let list = self.0.cast.bitstring_list(self.0.clock.now()).expect("a status list");
            self.0.network.serve(&self.0.cast.bitstring_uri(), "application/vc+jwt", list);
        }
        self.0.network.serve(&self.0.status_uri, "application/statuslist+jwt", token);
    }
}

#[expect(clippy::panic, reason = "a test that names nobody wants to stop at once")]
fn nobody(id: &str, known: &[&str]) -> ! {
    panic!("nobody is called {id:?}; there are {known:?}")
}

/// Whatever a test has refused is explained as it was refused: the first check that fails is the one that the merchant
/// names. Where nothing fails, the first check that was not made is of what nobody served, or of the shop's own records.
#[expect(clippy::panic, reason = "a test wants to stop at once")]
fn is_explained(network: &Network) -> impl Fn(&Capture<'_>) + Send + Sync + 'static {
    const LOOKED_UP: [&str; 6] = ["token", "metadata", "document", "the shop itself", "status", "rules of the type"];
    let network = network.clone();
    move |capture| {
        let explanation = capture.explain_with(&network.served());
        let agrees = match &explanation.outcome {
            Outcome::Refused { code, .. } => *code == capture.code,
            Outcome::Undecided { check, .. } => LOOKED_UP.contains(&check.as_str()),
            _ => false,
        };
        if !agrees {
            panic!("refused as {}, and explained otherwise:\n{explanation}", capture.code);
        }
    }
}

/// A keys file as a merchant has it: a certificate by somebody else's access authority, for the shop's host.
#[expect(clippy::expect_used, reason = "a test wants to stop at once, and nothing here comes from a stranger")]
fn keys_file(access: &Authority, clock: &Clock) -> KeysFile {
    let mut secret = [0; 32];
    clock.fill(&mut secret);
    let mut file = KeysFile::generate(secret).expect("a new key");
    certify(&mut file, access, HOST, clock.now());
    file
}

/// Installs a certificate for the key that waits for one.
#[expect(clippy::expect_used, reason = "a test wants to stop at once, and nothing here comes from a stranger")]
fn certify(file: &mut KeysFile, access: &Authority, host: &str, now: UnixTime) {
    let key = SigningKey::from_pkcs8_der(file.waiting_key().expect("a new key")).expect("a P-256 key");
    let leaf = Leaf::new("Test Shop", now).dns_name(host);
    let chain: String = access.certify(&leaf, key.public_key()).iter().map(|der| certificate_pem(der)).collect();
    file.install(&chain).expect("a chain of this key");
}
