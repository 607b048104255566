//! How much of one kind a client, a key, a presentation, and all together may do in a minute, on one node.
//!
//! Counts of what was let in, in a window that begins anew: a limit is there to keep one from starving the others, not
//! to measure anybody, and it remembers nothing about anybody for longer.
//!
//! The memory is fixed, so nobody fills it with invented names and shuts out who comes after: names share counters (a
//! count-min sketch), each name has four of them, and the least one counts. To be refused without fault, a name would
//! have to meet names at their limit in all four, by a hash that nobody outside can compute.

use std::{
    collections::HashMap,
    hash::{BuildHasher, RandomState},
    net::IpAddr,
    num::NonZeroU32,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use firsthand::{
    error::Refusal,
    merchant::{BrowserProof, Recognised},
    presentation::RequestId,
    time::UnixTime,
};
use http::request::Parts;

use crate::problem::Problem;

/// The length of the window, in seconds.
const WINDOW_S: u64 = 60;
/// Counters of one row: as many as 16 bits of a hash can name.
const ROW: usize = 1 << 16;
/// Rows: as many as a 64-bit hash has parts of 16 bits. A table takes 1 MiB, once something is counted in it.
const ROWS: usize = 4;
/// Event streams that are open at once, on one node: each looks into the store every second.
const STREAMS_MAX: usize = 10_000;
/// Event streams of one key that are open at once: a few tabs.
const STREAMS_OF_A_KEY_MAX: usize = 4;
/// Streams about a session that are open at once, on one node: each looks into the store every five seconds.
const TABS_MAX: usize = 50_000;
/// Streams about a session of one key that are open at once: more tabs than a browser keeps connections for.
const TABS_OF_A_KEY_MAX: usize = 16;

/// What is counted, and how often in a window it may happen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum What {
    /// Any signed request of one key.
    Key,
    /// Any request that rests on one cookie.
    Cookie,
    /// Keys, and cookies, from one client address that were not seen before in this window.
    NewKeyByAddress,
    /// Asks of one key.
    AskByKey,
    /// Asks from one client address.
    AskByAddress,
    /// Asks of all.
    Ask,
    /// Wallet's calls for one presentation.
    Wallet,
    /// Wallet's calls from one client address.
    WalletByAddress,
    /// Event streams of presentations opened by one key.
    StreamByKey,
    /// Event streams of a session opened by one key.
    TabByKey,
    /// Notices from one client address.
    NoticeByAddress,
    /// Forms that no key signs, from one client address.
    FormByAddress,
    /// Numbers that customers type, from one client address.
    NumberByAddress,
    /// Joins that one key begins.
    JoinByKey,
    /// Joins from one client address.
    JoinByAddress,
    /// Joins of all.
    Join,
    /// Offers of one key.
    OfferByKey,
    /// Wallet's calls of the issuer, from one client address.
    IssuerByAddress,
    /// Wallet's calls of the issuer, of all.
    Issuer,
    /// Wrong numbers that were typed for offers, from one client address.
    GuessByAddress,
    /// Wrong numbers that were typed for offers, of all.
    Guess,
    /// Wrong words for a discount, from one client address.
    WordByAddress,
    /// Wrong words for a discount, of all.
    Word,
}

impl What {
    /// How many there are.
    const KINDS: usize = 23;

    const fn max(self) -> u32 {
        match self {
            // A page with its parts, many times over.
            Self::Key | Self::Cookie => 1_200,
            // A crowd behind the address of a mobile network.
            Self::NewKeyByAddress => 6_000,
            // More than any person clicks: what is left is a program.
            Self::AskByKey => 600,
            // A shop full of people behind one address.
            Self::AskByAddress => 1_200,
            // What one node writes, with room to spare for everything else.
            Self::Ask => 60_000,
            // Two fetches and five answers, several times over for a stumbling network.
            Self::Wallet => 60,
            // A fetch and an answer for each ask from there, and as much again.
            Self::WalletByAddress => 6_000,
            // One after the other, a minute each, in several tabs.
            Self::StreamByKey => 30,
            // One after the other, five minutes each, in several tabs, and every page that is opened begins one.
            Self::TabByKey => 240,
            // All orders of a day of sales, told by one payment provider in a minute.
            Self::NoticeByAddress => 6_000,
            // A shop full of people behind one address; each may leave an order behind, for good.
            Self::FormByAddress => 600,
            // A shop full of people behind one address, each with a number that was heard wrong; and not so many that one
            // address makes the numbers of all desks void in the two minutes that they live.
            Self::NumberByAddress => 30,
            // Whoever lets one expire takes another.
            Self::JoinByKey => 10,
            // A class that is at its computers.
            Self::JoinByAddress => 120,
            // Each leaves a record behind for minutes.
            Self::Join => 6_000,
            // A person tries a few wallets.
            Self::OfferByKey => 20,
            // A shop full of people behind one address, each with the half dozen calls that a credential takes.
            Self::IssuerByAddress => 3_000,
            // What one node signs, with room to spare for everything else.
            Self::Issuer => 30_000,
            // A shop full of people behind one address, some of whom mistype; whoever tries them all is stopped here.
            Self::GuessByAddress => 30,
            // Far above what one address may, so that a few of them stop nobody else. The rest is for a crowd of addresses:
            // each number is one of a million, and five of them end an offer.
            Self::Guess => 3_000,
            // A shop full of people behind one address, some of whom have the word of last spring.
            Self::WordByAddress => 30,
            // Far above what one address may; a word of 60 bits is not found by a crowd, either.
            Self::Word => 3_000,
        }
    }
}

#[derive(Debug, Default)]
pub(crate) struct Limiter {
    hasher: RandomState,
    /// One for each kind: what fills one leaves the others alone.
    tables: [Mutex<Table>; What::KINDS],
    /// Of presentations, and of sessions: many open pages keep nobody from proving something.
    streams: [Mutex<Streams>; 2],
    /// Among how many nodes a limit is divided; none for one.
    nodes: Option<NonZeroU32>,
}

/// The event streams of a kind.
#[derive(Clone, Copy, Debug)]
enum Stream {
    Presentation,
    Tab,
}

impl Stream {
    /// How many are open at once, in all and of one key.
    const fn max(self) -> (usize, usize) {
        match self {
            Self::Presentation => (STREAMS_MAX, STREAMS_OF_A_KEY_MAX),
            Self::Tab => (TABS_MAX, TABS_OF_A_KEY_MAX),
        }
    }
}

/// The event streams that are open.
#[derive(Debug, Default)]
struct Streams {
    open: usize,
    by_key: HashMap<[u8; 32], usize>,
}

/// The counts of one kind in one window.
#[derive(Debug, Default)]
struct Table {
    window: i64,
    /// All rows, one behind the other; empty until something is counted.
    counts: Vec<u32>,
}

/// Where a name is counted: a place in each row.
type Places = [usize; ROWS];

impl Table {
    /// How often a name was counted, at most: never less than it was.
    fn least(&self, places: &Places) -> u32 {
        places.iter().map(|place| self.counts.get(*place).copied().unwrap_or_default()).min().unwrap_or_default()
    }

    /// Counts a name once more. Only the least of its counters grow, so that names disturb each other as little as can
    /// be (conservative update).
    fn add(&mut self, places: &Places) {
        let count = self.least(places).saturating_add(1);
        if self.counts.is_empty() {
            // Pages of zeros as the system hands them out, which cost nothing until something is counted there.
            self.counts = vec![0; ROWS * ROW];
        }
        for place in places {
            if let Some(there) = self.counts.get_mut(*place) {
                *there = count.max(*there);
            }
        }
    }
}

impl Limiter {
    /// One of so many, each of which lets in its part.
    pub(crate) fn of_nodes(nodes: NonZeroU32) -> Self {
        Self { nodes: Some(nodes), ..Self::default() }
    }

    /// How often this node lets something in.
    fn max(&self, what: What) -> u32 {
        what.max().div_ceil(self.nodes.map_or(1, NonZeroU32::get))
    }

    /// The table of a kind in the window of this moment, and the places of a name in it.
    fn table(&self, what: What, name: &[u8], now: UnixTime) -> Option<(MutexGuard<'_, Table>, Places)> {
        let window = now.as_secs().div_euclid(WINDOW_S.cast_signed());
        let mut table = self.tables.get(what as usize)?.lock().unwrap_or_else(PoisonError::into_inner);
        if table.window != window {
            table.window = window;
            table.counts.fill(0);
        }
        let hash = self.hasher.hash_one(name);
        let places = std::array::from_fn(|row| row * ROW + (hash >> (16 * row)) as usize % ROW);
        Some((table, places))
    }

    /// How often a name was counted in this window.
    fn counted(&self, what: What, name: &[u8], now: UnixTime) -> u32 {
        self.table(what, name, now).map_or(0, |(table, places)| table.least(&places))
    }

    /// Counts a name, unless it is at its limit.
    fn count(&self, what: What, name: &[u8], now: UnixTime) -> Result<(), Refusal> {
        let Some((mut table, places)) = self.table(what, name, now) else { return Ok(()) };
        if table.least(&places) >= self.max(what) {
            return Err(too_many());
        }
        table.add(&places);
        Ok(())
    }

    /// Opens a stream of a key, unless it, or all together, have as many as they may.
    fn open(self: Arc<Self>, stream: Stream, key: &[u8; 32]) -> Result<OpenStream, Refusal> {
        let mut streams = self.streams(stream);
        let of_this_key = streams.by_key.get(key).copied().unwrap_or_default();
        let (max, of_a_key_max) = stream.max();
        if streams.open >= max || of_this_key >= of_a_key_max {
            return Err(too_many());
        }
        streams.open += 1;
        streams.by_key.insert(*key, of_this_key + 1);
        drop(streams);
        Ok(OpenStream { limiter: self, stream, key: *key })
    }

    fn streams(&self, stream: Stream) -> MutexGuard<'_, Streams> {
        let [presentations, tabs] = &self.streams;
        let streams = match stream {
            Stream::Presentation => presentations,
            Stream::Tab => tabs,
        };
        streams.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

const fn too_many() -> Refusal {
    Refusal::TooMany { retry_s: WINDOW_S }
}

/// A place among the open streams, until it is dropped.
#[derive(Debug)]
pub(crate) struct OpenStream {
    limiter: Arc<Limiter>,
    stream: Stream,
    key: [u8; 32],
}

impl Drop for OpenStream {
    fn drop(&mut self) {
        let mut streams = self.limiter.streams(self.stream);
        streams.open = streams.open.saturating_sub(1);
        match streams.by_key.get_mut(&self.key) {
            Some(open) if *open > 1 => *open -= 1,
            _ => drop(streams.by_key.remove(&self.key)),
        }
    }
}

/// The limits as they concern one request.
#[derive(Clone, Debug)]
pub(crate) struct Limits {
    limiter: Arc<Limiter>,
    address: Option<IpAddr>,
}

impl Limits {
    pub(crate) const fn new(limiter: Arc<Limiter>, address: Option<IpAddr>) -> Self {
        Self { limiter, address }
    }

    fn count(&self, what: What, name: &[u8]) -> Result<(), Problem> {
        Ok(self.limiter.count(what, name, now())?)
    }

    fn address(&self, what: What) -> Result<(), Problem> {
        self.network().map_or(Ok(()), |network| self.count(what, &network))
    }

    /// What a client address is counted as.
    fn network(&self) -> Option<Vec<u8>> {
        Some(match self.address? {
            // Whoever has an IPv6 address has 2^64 of them.
            IpAddr::V6(address) => address.octets().get(..8).unwrap_or_default().to_vec(),
            IpAddr::V4(address) => address.octets().to_vec(),
        })
    }

    /// A signed request.
    pub(crate) fn key(&self, proof: &BrowserProof) -> Result<(), Problem> {
        let key = proof.thumbprint();
        // Keys cost nothing: one address makes only so many of them.
        if self.limiter.counted(What::Key, key.as_bytes(), now()) == 0 {
            self.address(What::NewKeyByAddress)?;
        }
        self.count(What::Key, key.as_bytes())
    }

    /// A request that rests on a cookie, or on the name of a session that is bound to a device.
    pub(crate) fn cookie(&self, value: &str) -> Result<(), Problem> {
        // Texts cost nothing, either.
        if self.limiter.counted(What::Cookie, value.as_bytes(), now()) == 0 {
            self.address(What::NewKeyByAddress)?;
        }
        self.count(What::Cookie, value.as_bytes())
    }

    /// A browser asks for something that there is.
    pub(crate) fn ask(&self, proof: &BrowserProof) -> Result<(), Problem> {
        self.count(What::AskByKey, proof.thumbprint().as_bytes())?;
        self.address(What::AskByAddress)?;
        self.count(What::Ask, &[])
    }

    /// A wallet calls, for a presentation that may not exist.
    pub(crate) fn wallet(&self, request: &RequestId) -> Result<(), Problem> {
        self.address(What::WalletByAddress)?;
        if self.limiter.counted(What::Wallet, request.as_str().as_bytes(), now()) >= self.limiter.max(What::Wallet) {
            return Err(too_many().into());
        }
        Ok(())
    }

    /// The presentation that a wallet calls for exists: from here on it has a name that is worth a count.
    pub(crate) fn wallet_found(&self, request: &RequestId) {
        // What has happened is not refused any more: the next call is.
        let _ = self.limiter.count(What::Wallet, request.as_str().as_bytes(), now());
    }

    /// Somebody who says that they are a rail. Not counted in all: a flood of forged notices would shut out the true ones.
    pub(crate) fn notice(&self) -> Result<(), Problem> {
        self.address(What::NoticeByAddress)
    }

    /// A form of somebody whom nobody knows.
    pub(crate) fn form(&self) -> Result<(), Problem> {
        self.address(What::FormByAddress)
    }

    /// A customer types a number. The store counts the wrong ones; this keeps one address from making all others wait.
    pub(crate) fn number(&self) -> Result<(), Problem> {
        self.address(What::NumberByAddress)
    }

    /// A browser that nobody knows asks to become somebody's.
    pub(crate) fn join(&self, proof: &BrowserProof) -> Result<(), Problem> {
        self.count(What::JoinByKey, proof.thumbprint().as_bytes())?;
        self.address(What::JoinByAddress)?;
        self.count(What::Join, &[])
    }

    /// A customer offers a credential to a wallet.
    pub(crate) fn offer(&self, proof: &BrowserProof) -> Result<(), Problem> {
        self.count(What::OfferByKey, proof.thumbprint().as_bytes())
    }

    /// A wallet calls the issuer.
    pub(crate) fn issuer(&self) -> Result<(), Problem> {
        self.address(What::IssuerByAddress)?;
        self.count(What::Issuer, &[])
    }

    /// Somebody types a number for an offer.
    pub(crate) fn may_guess(&self) -> Result<(), Problem> {
        self.below(What::GuessByAddress, What::Guess)
    }

    /// Whether this address, and all together, are below their limits: nothing is counted.
    fn below(&self, by_address: What, of_all: What) -> Result<(), Problem> {
        let is_at_limit = |what: What, name: &[u8]| self.limiter.counted(what, name, now()) >= self.limiter.max(what);
        let here = self.network().is_some_and(|network| is_at_limit(by_address, &network));
        if here || is_at_limit(of_all, &[]) {
            return Err(too_many().into());
        }
        Ok(())
    }

    /// It was a wrong one.
    pub(crate) fn guessed(&self) {
        // What has happened is not refused any more: the next one is.
        let _ = self.address(What::GuessByAddress);
        let _ = self.limiter.count(What::Guess, &[], now());
    }

    /// Somebody tries a word for a discount.
    pub(crate) fn may_try_word(&self) -> Result<(), Problem> {
        self.below(What::WordByAddress, What::Word)
    }

    /// So many were wrong ones.
    pub(crate) fn wrong_words(&self, count: usize) {
        for _ in 0..count {
            let _ = self.address(What::WordByAddress);
            let _ = self.limiter.count(What::Word, &[], now());
        }
    }

    /// A browser opens an event stream, which counts as open until what comes back is dropped.
    pub(crate) fn stream(&self, proof: &BrowserProof) -> Result<OpenStream, Problem> {
        let key = proof.thumbprint();
        self.count(What::StreamByKey, key.as_bytes())?;
        Ok(self.limiter.clone().open(Stream::Presentation, key.as_bytes())?)
    }

    /// A page opens the stream of its session, which counts as open until what comes back is dropped.
    pub(crate) fn tab(&self, recognised: &Recognised) -> Result<OpenStream, Problem> {
        let key = recognised.key_digest();
        self.count(What::TabByKey, &key)?;
        Ok(self.limiter.clone().open(Stream::Tab, &key)?)
    }
}

/// The wall clock, not the merchant's: a test that moves the time moves no flood.
fn now() -> UnixTime {
    firsthand::env::Env::now(&firsthand::env::SystemEnv)
}

/// The limits that the layer, or else the routes, left with a request.
pub(crate) fn of(parts: &Parts) -> Option<&Limits> {
    parts.extensions.get::<Limits>()
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOON: UnixTime = UnixTime::from_secs(1_795_000_000);

    #[test]
    fn one_name_does_not_starve_another() {
        let limiter = Limiter::default();
        for _ in 0..What::AskByKey.max() {
            assert_eq!(limiter.count(What::AskByKey, b"a", NOON), Ok(()));
        }
        assert!(limiter.count(What::AskByKey, b"a", NOON).is_err());
        assert_eq!(limiter.count(What::AskByKey, b"b", NOON), Ok(()));
        assert_eq!(limiter.count(What::Key, b"a", NOON), Ok(()));
        assert_eq!(limiter.count(What::AskByKey, b"a", NOON.plus_s(WINDOW_S)), Ok(()));
    }

    #[test]
    fn nodes_share_a_limit() {
        let limiter = Limiter::of_nodes(NonZeroU32::new(7).unwrap());
        let let_in = (0..1_000).take_while(|_| limiter.count(What::AskByKey, b"a", NOON).is_ok()).count();
        assert_eq!(let_in, 86, "a seventh of 600, and nothing is less than one");
        let limiter = Limiter::of_nodes(NonZeroU32::MAX);
        assert_eq!(limiter.count(What::Join, &[], NOON), Ok(()));
        assert!(limiter.count(What::Join, &[], NOON).is_err());
    }

    #[test]
    fn invented_names_shut_nobody_out_and_take_no_memory() {
        let limiter = Limiter::default();
        for name in 0..300_000_u32 {
            assert_eq!(limiter.count(What::Wallet, &name.to_be_bytes(), NOON), Ok(()), "{name}");
        }
        for newcomer in 0..100_u32 {
            for _ in 0..What::Wallet.max() / 2 {
                assert_eq!(limiter.count(What::Wallet, format!("newcomer {newcomer}").as_bytes(), NOON), Ok(()));
            }
        }
        let sizes = limiter.tables.iter().map(|table| table.lock().unwrap().counts.len());
        assert_eq!(sizes.sum::<usize>(), ROWS * ROW, "one table, of one size");
    }

    #[test]
    fn a_name_is_never_counted_too_low() {
        let limiter = Limiter::default();
        for round in 1..=3 {
            for name in 0..50_000_u32 {
                assert_eq!(limiter.count(What::Key, &name.to_be_bytes(), NOON), Ok(()));
                assert!(limiter.counted(What::Key, &name.to_be_bytes(), NOON) >= round);
            }
        }
        assert_eq!(limiter.counted(What::Key, &[0; 4], NOON.plus_s(WINDOW_S)), 0);
    }

    #[test]
    fn looking_is_not_counting() {
        let limiter = Limiter::default();
        assert_eq!(limiter.counted(What::Wallet, b"a", NOON), 0);
        assert_eq!(limiter.counted(What::Wallet, b"a", NOON), 0);
        assert!(limiter.tables.iter().all(|table| table.lock().unwrap().counts.is_empty()));
    }

    #[test]
    fn a_stream_is_counted_while_it_is_open() {
        let limiter = Arc::new(Limiter::default());
        let open = |key: usize| {
            let mut name = [0; 32];
            name[..8].copy_from_slice(&key.to_be_bytes());
            limiter.clone().open(Stream::Presentation, &name)
        };
        let mut of_one: Vec<_> = (0..STREAMS_OF_A_KEY_MAX).map(|_| open(0).unwrap()).collect();
        assert!(open(0).is_err());
        let other = open(1).unwrap();
        of_one.pop();
        of_one.push(open(0).unwrap());
        drop((of_one, other));
        assert!(limiter.streams(Stream::Presentation).by_key.is_empty(), "who is gone is forgotten");

        let all: Vec<_> = (0..STREAMS_MAX).map(|key| open(key).unwrap()).collect();
        assert!(open(STREAMS_MAX).is_err());
        drop(all);
        assert!(open(STREAMS_MAX).is_ok());
    }
}
