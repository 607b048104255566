//! The status lists that we publish (Token Status List): which entries belong to credentials, which to nobody, and what
//! everybody may see of them.
//!
//! Issuing writes no record that others write. A list has 2^17 entries, of which a secret seed makes half decoys; a new
//! credential takes an entry at random among the others, and the record of that entry must not be there yet. Who finds
//! entries taken again and again opens one more list. A revocation is a record of its own, and a list is put together from
//! those when it is asked for.
//!
//! Decoys live like credentials: each begins anew every 91 days, at a moment of its own, and one in two of them is "revoked"
//! at some time in between. So a quarter of the decoys is set at any moment, and an entry that changes tells nobody whether
//! a customer left. All of it comes from the seed: nothing is written for it, and every node says the same.

use std::{
    collections::BTreeMap,
    sync::{MutexGuard, PoisonError},
};

use super::{Issuer, Merchant, lost_the_race, put, too_often};
use crate::{
    customer::Alias,
    error::{Error, IssueError},
    issuing::{CREDENTIAL_S, IssuedRecord, RevokedEntry, StatusEntry, StatusListRecord, StatusLists},
    merchant::RACES_MAX,
    protocol::{
        jose::{base64url_decode, base64url_encode, sha256},
        status_list::{Published, Statuses, TYP},
    },
    store::{Expect, Key, Persisted, Prefix, Version, Write},
    time::UnixTime,
};

/// Entries of a list: 16 KiB, and less than that on the way.
const ENTRIES: u64 = 1 << 17;
/// One bit says all there is to say: it holds or it does not.
const BITS: u8 = 1;
/// How long a list is served as it was put together, in seconds.
const SERVED_S: u64 = 5 * 60;
/// How long a reader keeps it, in seconds.
const TTL_S: u64 = 15 * 60;
/// How long it may be used at all, in seconds.
const EXPIRES_S: u64 = 24 * 3600;
/// How long after its end an entry says what it said, in seconds; then somebody else may have it.
const AFTERWARDS_S: u64 = 24 * 3600;
/// How long a decoy lives, in seconds: as a credential does.
const DECOY_S: u64 = CREDENTIAL_S + AFTERWARDS_S;
/// Lists that there are at most: 65,000 credentials that hold in each.
const LISTS_MAX: u32 = 4_096;
/// How many revocations are read in one go.
const PAGE: usize = 1_000;

/// The lists as they were when somebody looked for an entry.
#[derive(Clone, Copy, Debug)]
pub(super) struct Lists {
    count: u32,
    version: Option<Version>,
}

/// An entry of one of the lists.
pub(in crate::merchant) struct Place {
    pub(super) list: u32,
    pub(super) index: u64,
}

impl Merchant {
    /// The status list of a number, signed: for everybody.
    ///
    /// # Errors
    /// [`IssueError::NotIssuing`]; [`IssueError::NoSuchList`]; [`Error::Unavailable`].
    pub async fn status_list(&self, number: u32) -> Result<String, Error> {
        let issuer = self.issuing()?;
        if let Some(token) = issuer.served().at(number, self.now()) {
            return Ok(token);
        }
        let stored = self.load_one(&list_key(number)).await?.ok_or(IssueError::NoSuchList)?;
        // Many ask at once when one has run out: one of them works for all.
        let _turn = issuer.listing.lock().await;
        let now = self.now();
        if let Some(token) = issuer.served().at(number, now) {
            return Ok(token);
        }
        let generation = issuer.served().generation;
        let decoys = Decoys::of(&stored.read()?)?;
        let mut statuses = Statuses::new(BITS, ENTRIES).ok_or_else(|| Error::Misuse("a list of no bits".into()))?;
        for index in 0..ENTRIES {
            if decoys.is_set(index, now) {
                statuses.set(index, 1);
            }
        }
        let all = Prefix { kind: RevokedEntry::KIND, partition: number.to_string(), sort: String::new() };
        let mut after: Option<String> = None;
        loop {
            let page = self.0.store.scan(&all, after.as_deref(), PAGE, now).await?;
            let full = page.len() == PAGE;
            for (key, _) in page {
                if let Ok(index) = key.sort.parse() {
                    statuses.set(index, 1);
                }
                after = Some(key.sort);
            }
            if !full {
                break;
            }
        }
        let published = Published { at: now, expires_at: now.plus_s(EXPIRES_S), ttl_s: TTL_S };
        let claims = statuses.claims(&self.status_uri(number), &published);
        let claims = claims.map_err(|e| Error::Misuse(format!("a status list cannot be packed: {e}")))?;
        let token = self.sign(TYP, &claims)?;
        issuer.served().publish(generation, number, now.plus_s(SERVED_S), &token);
        Ok(token)
    }

    /// Where a list is.
    pub(super) fn status_uri(&self, number: u32) -> url::Url {
        self.address(&format!("/status/{number}"))
    }

    /// The lists that there are; the first is made when somebody needs it.
    pub(super) async fn lists(&self) -> Result<Lists, Error> {
        for _ in 0..RACES_MAX {
            if let Some(stored) = self.load_one(&lists_key()).await? {
                let lists: StatusLists = stored.read()?;
                return Ok(Lists { count: lists.count, version: Some(stored.version) });
            }
            self.open_list(Lists { count: 0, version: None }).await?;
        }
        Err(too_often())
    }

    /// One more list, unless somebody else has just opened one.
    pub(super) async fn open_list(&self, known: Lists) -> Result<(), Error> {
        if known.count >= LISTS_MAX {
            return Err(IssueError::TooMany.into());
        }
        let expect = known.version.map_or(Expect::Absent, Expect::Version);
        let record = StatusListRecord { seed: base64url_encode(&self.random::<32>()) };
        let writes = [
            put(lists_key(), &StatusLists { count: known.count + 1 }, None, expect)?,
            put(list_key(known.count), &record, None, Expect::Absent)?,
        ];
        match self.0.store.commit(&writes, self.now()).await {
            Err(e) if lost_the_race(&e) => Ok(()),
            Err(e) => Err(e.into()),
            Ok(_) => Ok(()),
        }
    }

    /// An entry of any of the lists, drawn at random, that is no decoy and that none of these writes takes: free, unless
    /// somebody else takes it first.
    pub(super) async fn place(&self, lists: Lists, writes: &[Write]) -> Result<Place, Error> {
        let list = u32::try_from(self.draw(lists.count.into())).unwrap_or(0);
        let stored = self.load_one(&list_key(list)).await?;
        let stored = stored.ok_or_else(|| Error::Misuse(format!("the status list {list} is gone")))?;
        let decoys = Decoys::of(&stored.read()?)?;
        loop {
            // Every second entry is one: this ends soon.
            let place = Place { list, index: self.draw(ENTRIES) };
            let key = entry_key(&place);
            // A batch that took one entry twice would be one commit that names a record twice.
            if !decoys.has(place.index) && writes.iter().all(|write| *write.key() != key) {
                return Ok(place);
            }
        }
    }

    /// The entry that a credential of ours names; `None` if that is in none of our lists.
    pub(in crate::merchant) fn own_place(&self, uri: &url::Url, index: u64) -> Option<Place> {
        let list: u32 = uri.as_str().rsplit_once('/')?.1.parse().ok()?;
        (self.status_uri(list) == *uri).then_some(Place { list, index })
    }

    /// Whether an entry is a credential's, and that holds: by our own records, at this moment.
    pub(in crate::merchant) async fn place_holds(&self, place: &Place) -> Result<bool, Error> {
        let revoked = Key::new(RevokedEntry::KIND, place.list.to_string(), place.index.to_string());
        let found = self.0.store.load(&[entry_key(place), revoked], self.now()).await?;
        Ok(matches!(&found[..], [Some(_), None]))
    }

    fn draw(&self, below: u64) -> u64 {
        u64::from_be_bytes(self.random()) % below.max(1)
    }

    /// A revocation on this node shows at once.
    pub(in crate::merchant) fn lists_changed(&self) {
        if let Some(issuer) = &self.0.issuer {
            issuer.served().forget();
        }
    }
}

impl Issuer {
    fn served(&self) -> MutexGuard<'_, Served> {
        self.served.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The lists as this node published them last.
#[derive(Default)]
pub(super) struct Served {
    /// Grows with each revocation on this node: what was read before one says nothing after it.
    generation: u64,
    /// By number, with the time until which they are served.
    lists: BTreeMap<u32, (UnixTime, String)>,
}

impl Served {
    fn at(&self, number: u32, now: UnixTime) -> Option<String> {
        let (until, token) = self.lists.get(&number)?;
        // A clock that was set back serves nothing of the future.
        (now < *until && *until <= now.plus_s(SERVED_S)).then(|| token.clone())
    }

    /// Serves a list, unless something was revoked since it was begun.
    fn publish(&mut self, generation: u64, number: u32, until: UnixTime, token: &str) {
        if generation == self.generation {
            self.lists.insert(number, (until, token.to_owned()));
        }
    }

    fn forget(&mut self) {
        self.generation = self.generation.wrapping_add(1);
        self.lists.clear();
    }
}

/// The write by which an entry is a credential's, and nobody else's as long as it could be asked about.
pub(super) fn entry(place: &Place, alias: &Alias, expires_at: UnixTime) -> Result<Write, Error> {
    let until = Some(expires_at.plus_s(2 * AFTERWARDS_S));
    Ok(put(entry_key(place), &StatusEntry { alias: alias.clone() }, until, Expect::Absent)?)
}

/// The write by which a credential's entry says "invalid".
pub(in crate::merchant) fn revocation(issued: &IssuedRecord) -> Result<Write, Error> {
    let key = Key::new(RevokedEntry::KIND, issued.list.to_string(), issued.index.to_string());
    Ok(put(key, &RevokedEntry {}, Some(issued.expires_at.plus_s(AFTERWARDS_S)), Expect::Any)?)
}

/// Which entries of a list are decoys, and what they say.
struct Decoys {
    seed: Vec<u8>,
}

impl Decoys {
    fn of(record: &StatusListRecord) -> Result<Self, Error> {
        let seed = base64url_decode(&record.seed).map_err(|_| Error::Misuse("a status list has no seed".into()))?;
        Ok(Self { seed })
    }

    /// Whether an entry is a decoy: one in two is.
    fn has(&self, index: u64) -> bool {
        let [first, ..] = self.hash(index, None);
        first & 1 == 1
    }

    /// What a decoy says now.
    fn is_set(&self, index: u64, now: UnixTime) -> bool {
        let own = self.hash(index, None);
        let [first, ..] = own;
        if first & 1 == 0 {
            return false;
        }
        let life = i64::try_from(DECOY_S).unwrap_or(i64::MAX);
        let shifted = now.as_secs().saturating_add(i64::try_from(number(&own) % DECOY_S).unwrap_or(0));
        let (epoch, age) = (shifted.div_euclid(life), shifted.rem_euclid(life));
        // Half of them are revoked within their life, at any moment of it.
        let at = number(&self.hash(index, Some(epoch))) % (2 * DECOY_S);
        u64::try_from(age).unwrap_or(0) >= at
    }

    fn hash(&self, index: u64, epoch: Option<i64>) -> [u8; 32] {
        let mut text = self.seed.clone();
        text.extend(index.to_be_bytes());
        text.extend(epoch.map(i64::to_be_bytes).into_iter().flatten());
        sha256(&text)
    }
}

/// A number of the end of a hash: its beginning says something else.
fn number(hash: &[u8; 32]) -> u64 {
    hash.last_chunk::<8>().map_or(0, |bytes| u64::from_be_bytes(*bytes))
}

fn lists_key() -> Key {
    Key::new(StatusLists::KIND, "lists", "")
}

fn list_key(number: u32) -> Key {
    Key::new(StatusListRecord::KIND, number.to_string(), "")
}

/// A partition for each entry: a store that is split by partition spreads them.
fn entry_key(place: &Place) -> Key {
    Key::new(StatusEntry::KIND, format!("{}.{}", place.list, place.index), "")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn decoys_live_like_credentials_and_tell_nothing_by_their_number() {
        let decoys = Decoys { seed: vec![7; 32] };
        let noon = UnixTime::from_secs(1_795_000_000);
        let count = (0..ENTRIES).filter(|index| decoys.has(*index)).count();
        assert!((64_500..66_500).contains(&count), "{count} of 131072");
        for day in [0, 1, 30, 91, 400] {
            let now = noon.plus_s(day * 24 * 3600);
            let set = (0..ENTRIES).filter(|index| decoys.is_set(*index, now)).count();
            assert!((15_500..17_300).contains(&set), "a quarter of them on day {day}: {set}");
        }
        // Some change every day, in both directions: a real change is one of some hundreds.
        let tomorrow = noon.plus_s(24 * 3600);
        let (mut up, mut down) = (0, 0);
        for index in 0..ENTRIES {
            match (decoys.is_set(index, noon), decoys.is_set(index, tomorrow)) {
                (false, true) => up += 1,
                (true, false) => down += 1,
                _ => {}
            }
        }
        assert!(up > 250 && down > 250, "{up} {down}");
        assert!((0..ENTRIES).all(|index| decoys.has(index) || !decoys.is_set(index, noon)));
    }
    #[test]
    fn a_list_that_was_begun_before_a_revocation_is_served_to_nobody_after_it() {
        let noon = UnixTime::from_secs(1_795_000_000);
        let mut served = Served::default();
        let begun = served.generation;
        served.publish(begun, 0, noon.plus_s(SERVED_S), "before");
        assert_eq!(served.at(0, noon).as_deref(), Some("before"));
        assert_eq!(served.at(1, noon), None);
        assert_eq!(served.at(0, noon.plus_s(SERVED_S)), None, "it is over");
        assert_eq!(served.at(0, noon.minus_s(1)), None, "it is of the future");

        served.forget();
        assert_eq!(served.at(0, noon), None);
        served.publish(begun, 0, noon.plus_s(SERVED_S), "before");
        assert_eq!(served.at(0, noon), None);
        served.publish(served.generation, 0, noon.plus_s(SERVED_S), "after");
        assert_eq!(served.at(0, noon).as_deref(), Some("after"));
    }
}
