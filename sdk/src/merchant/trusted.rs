//! Whom the shop believes at this moment: what was configured, and what published lists say.
//!
//! Lists are fetched here and nowhere else, by [`Merchant::housekeeping`]; a customer's path only reads what is there. The
//! last good issue of each list is kept in the store, as it was signed, in parts that fit a record: the store is there
//! already, all nodes share it, and what comes out of it is verified again like what comes from the network.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};

use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use serde::{Deserialize, Serialize};
use url::Url;

use super::{Merchant, RACES_MAX, lost_the_race, operate::Work, put};
use crate::{
    protocol::trust_list::PublishedList,
    store::{Expect, Key, Persisted, StoreError, Version, Write},
    time::UnixTime,
    trust::{ListError, ListMark, Trust, TrustList},
};

/// How long after a failure a list is asked for again, in seconds: ten minutes. Its last good issue counts meanwhile.
const RETRY_S: u64 = 10 * 60;
/// Bytes of a list in one record: as text they are a third longer, and a record holds 256 KiB.
const PART_BYTES: usize = 150_000;
/// How long before the end of its time a list that is not replaced is spoken of, in seconds: three days.
const WARN_S: u64 = 3 * 24 * 3600;

/// How a published list stands on this node.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct TrustListStanding {
    /// Where it is.
    pub url: Url,
    /// The number of the issue that is believed, if one is.
    pub sequence: Option<u64>,
    /// When that was issued.
    pub issued_at: Option<UnixTime>,
    /// Until when it is believed: the end of its time and the merchant's grace.
    pub believed_until: Option<UnixTime>,
    /// How many issuers it brings.
    pub issuers: usize,
    /// When it is asked for next.
    pub due_at: Option<UnixTime>,
    /// The code of what went wrong when it was last asked for.
    pub problem: Option<String>,
}

/// What is believed, and what that is made of.
pub(super) struct Trusted {
    configured: Trust,
    lists: Vec<Watched>,
    current: RwLock<Current>,
    /// Held while lists are refreshed: two at once would fetch twice.
    refreshing: tokio::sync::Mutex<()>,
}

#[derive(Clone)]
struct Current {
    trust: Arc<Trust>,
    edition: u64,
    /// Until when this may be read: then a list is over.
    good_until: Option<UnixTime>,
}

struct Watched {
    list: TrustList,
    state: Mutex<State>,
}

/// What this node knows of a list.
#[derive(Clone, Default)]
struct State {
    believed: Option<Issue>,
    due_at: Option<UnixTime>,
    problem: Option<String>,
}

/// An issue of a list that was verified.
#[derive(Clone)]
struct Issue {
    published: Arc<PublishedList>,
    digest: String,
    until: UnixTime,
}

/// The last good issue of a list.
#[derive(Serialize, Deserialize)]
struct Kept {
    mark: ListMark,
    parts: usize,
    /// When some node last saw that it is still the newest.
    checked_at: UnixTime,
}

impl Persisted for Kept {
    const KIND: &'static str = "trust_list";
    const SCHEMA: u16 = 1;
}

/// A part of its bytes, base64url.
#[derive(Serialize, Deserialize)]
struct Part {
    bytes: String,
}

impl Persisted for Part {
    const KIND: &'static str = "trust_list_part";
    const SCHEMA: u16 = 1;
}

/// Why a list was not refreshed.
#[derive(Debug, thiserror::Error)]
enum Problem {
    #[error(transparent)]
    Fetch(#[from] crate::fetch::FetchError),
    #[error(transparent)]
    List(#[from] ListError),
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error("the records of the list do not fit together")]
    Parts,
}

impl Problem {
    fn code(&self) -> &'static str {
        match self {
            Self::Fetch(error) => error.code(),
            Self::List(error) => error.code(),
            Self::Store(error) => error.code(),
            Self::Parts => "trust_list_parts",
        }
    }
}

impl Trusted {
    pub(super) fn new(configured: Trust, lists: Vec<TrustList>) -> Self {
        let current = Current { trust: Arc::new(configured.clone()), edition: 0, good_until: None };
        let lists = lists.into_iter().map(|list| Watched { list, state: Mutex::default() }).collect();
        Self { configured, lists, current: RwLock::new(current), refreshing: tokio::sync::Mutex::default() }
    }

    /// What was configured, and what lists may say: it decides what is asked, which does not change with what they say.
    pub(super) const fn configured(&self) -> &Trust {
        &self.configured
    }

    /// What is believed at this time: one look at what is there, unless a list has just ended.
    fn at(&self, now: UnixTime) -> Arc<Trust> {
        let current = self.current.read().unwrap_or_else(PoisonError::into_inner).clone();
        match current.good_until {
            Some(until) if until <= now => self.rebuilt(now),
            _ => current.trust,
        }
    }

    /// Puts together what is believed now. A list that is over takes no part, whether or not anything was refreshed.
    fn rebuilt(&self, now: UnixTime) -> Arc<Trust> {
        let mut current = self.current.write().unwrap_or_else(PoisonError::into_inner);
        let mut entries = Vec::new();
        let mut good_until: Option<UnixTime> = None;
        for watched in &self.lists {
            let mut state = watched.state();
            let Some(issue) = &state.believed else { continue };
            if issue.until <= now {
                tracing::error!(
                    list = %watched.list.url(), until = %issue.until,
                    "a trust list is over, and nobody on it is believed any more: see why it is not refreshed"
                );
                state.believed = None;
                continue;
            }
            good_until = Some(good_until.map_or(issue.until, |until| until.min(issue.until)));
            entries.extend(watched.list.entries(&issue.published));
        }
        let edition = current.edition.saturating_add(1);
        let trust = Arc::new(self.configured.clone().with_lists(entries, edition));
        *current = Current { trust: Arc::clone(&trust), edition, good_until };
        trust
    }
}

impl Watched {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether it is time to ask for it.
    fn is_due(&self, now: UnixTime) -> bool {
        self.state().due_at.is_none_or(|at| at <= now)
    }

    fn standing(&self) -> TrustListStanding {
        let state = self.state().clone();
        let issue = state.believed.as_ref();
        TrustListStanding {
            url: self.list.url().clone(),
            sequence: issue.map(|issue| issue.published.sequence),
            issued_at: issue.map(|issue| issue.published.issued_at),
            believed_until: issue.map(|issue| issue.until),
            issuers: issue.map_or(0, |issue| self.list.entries(&issue.published).len()),
            due_at: state.due_at,
            problem: state.problem,
        }
    }
}

impl Merchant {
    /// Who is believed now.
    pub(super) fn trust(&self) -> Arc<Trust> {
        self.0.trusted.at(self.now())
    }

    /// How the published lists stand, in the order in which they were given.
    #[must_use]
    pub fn trust_lists(&self) -> Vec<TrustListStanding> {
        self.0.trusted.lists.iter().map(Watched::standing).collect()
    }

    /// Refreshes the published lists that are due: from the store, where another node or an earlier run left them, and
    /// from their publishers. [`housekeeping`](Self::housekeeping) does it all the time; a program that waits for this once
    /// before it serves believes everybody from its first customer on.
    ///
    /// What goes wrong is logged and stands in [`trust_lists`](Self::trust_lists): a publisher's outage stops no shop.
    pub async fn refresh_trust_lists(&self) {
        let trusted = &self.0.trusted;
        let _one_at_a_time = trusted.refreshing.lock().await;
        let mut is_new = false;
        for watched in &trusted.lists {
            if watched.is_due(self.now()) && !self.is_closing() {
                is_new |= self.refresh_list(watched).await;
            }
        }
        if is_new {
            trusted.rebuilt(self.now());
        }
    }

    /// Refreshes one list, and says whether another issue of it is believed now.
    async fn refresh_list(&self, watched: &Watched) -> bool {
        let before = watched.state().believed.as_ref().map(|issue| issue.digest.clone());
        let outcome = self.newest_issue(watched).await;
        let now = self.now();
        let mut state = watched.state();
        let url = watched.list.url();
        let again_at = match outcome {
            Ok(checked_at) => {
                // Also when its time ends, which is when there is a next one.
                let end = state.believed.as_ref().map(|issue| issue.published.next_update);
                state.problem = None;
                if let Some(end) = end.filter(|end| *end <= now) {
                    tracing::warn!(list = %url, %end, "a trust list should have been replaced: it counts for its grace");
                    state.problem = Some("trust_list_overdue".to_owned());
                }
                let next = checked_at.plus_s(watched.list.refreshed_every_s());
                end.map_or(next, |end| next.min(end)).max(now.plus_s(RETRY_S.min(watched.list.refreshed_every_s())))
            }
            Err(problem) => {
                let until = state.believed.as_ref().map(|issue| issue.until);
                match until {
                    Some(until) if until <= now.plus_s(WARN_S) => tracing::error!(
                        list = %url, error = %problem, %until,
                        "a trust list is not refreshed and ends soon: then nobody on it is believed any more"
                    ),
                    Some(until) => {
                        tracing::warn!(list = %url, error = %problem, %until, "a trust list is not refreshed");
                    }
                    None => {
                        tracing::error!(list = %url, error = %problem, "a trust list is missing: nobody on it is believed");
                    }
                }
                state.problem = Some(problem.code().to_owned());
                now.plus_s(RETRY_S.min(watched.list.refreshed_every_s()))
            }
        };
        state.due_at = Some(again_at);
        before != state.believed.as_ref().map(|issue| issue.digest.clone())
    }

    /// The newest issue that is to be had. Says when it was last seen that there is no newer one.
    async fn newest_issue(&self, watched: &Watched) -> Result<UnixTime, Problem> {
        let list = &watched.list;
        for _ in 0..RACES_MAX {
            let kept = self.kept_list(list).await?;
            if let Some((kept, _)) = &kept {
                let is_known = watched.state().believed.as_ref().is_some_and(|known| known.digest == kept.mark.digest);
                // What was kept may be over by now, or signed by who is not believed any more: then it is as if it were not
                // there, but for its number.
                let loaded = if is_known { Ok(()) } else { self.load_list(watched, kept).await };
                let is_recent = kept.checked_at.plus_s(list.refreshed_every_s()) > self.now();
                match loaded {
                    Ok(()) if is_recent => return Ok(kept.checked_at),
                    Ok(()) => {}
                    Err(error @ Problem::Store(_)) => return Err(error),
                    Err(error) => tracing::warn!(list = %list.url(), %error, "the kept trust list cannot be used"),
                }
            }
            let fetched = self.0.fetch.fetch(&list.request(&self.0.limits)).await?;
            let now = self.now();
            let published = list.read(&fetched.body, now, &self.0.limits).map_err(ListError::from)?;
            list.follows(&published, kept.as_ref().map(|(kept, _)| &kept.mark))?;
            let mark = ListMark::of(&published, &fetched.body);
            match self.keep_list(list, kept, &mark, &fetched.body, now).await {
                // Another node was first: what it found may be newer.
                Err(e) if lost_the_race(&e) => continue,
                other => other?,
            }
            self.believe_list(watched, published, mark.digest);
            return Ok(now);
        }
        Err(Problem::Parts)
    }

    fn believe_list(&self, watched: &Watched, published: PublishedList, digest: String) {
        if published.unreadable > 0 {
            tracing::warn!(
                list = %watched.list.url(), left_out = published.unreadable,
                "a trust list has certificates that cannot be used"
            );
        }
        let until = watched.list.believed_until(&published);
        watched.state().believed = Some(Issue { published: Arc::new(published), digest, until });
    }

    async fn kept_list(&self, list: &TrustList) -> Result<Option<(Kept, Version)>, Problem> {
        let found = self.0.store.load(&[head_key(list)], self.now()).await?.pop().flatten();
        Ok(found.map(|stored| stored.read::<Kept>().map(|kept| (kept, stored.version))).transpose()?)
    }

    /// Believes what is kept, if it still holds.
    async fn load_list(&self, watched: &Watched, kept: &Kept) -> Result<(), Problem> {
        let list = &watched.list;
        let keys: Vec<Key> = part_keys(list, &kept.mark, kept.parts).collect();
        let mut bytes = Vec::new();
        for stored in self.0.store.load(&keys, self.now()).await? {
            let part: Part = stored.ok_or(Problem::Parts)?.read()?;
            bytes.extend(BASE64_URL_SAFE_NO_PAD.decode(part.bytes).map_err(|_| Problem::Parts)?);
        }
        let published = list.read(&bytes, self.now(), &self.0.limits).map_err(ListError::from)?;
        if ListMark::of(&published, &bytes) != kept.mark {
            return Err(Problem::Parts);
        }
        list.follows(&published, None)?;
        self.believe_list(watched, published, kept.mark.digest.clone());
        Ok(())
    }

    /// Keeps an issue in place of the last one, or notes that the last one is still the newest.
    async fn keep_list(
        &self,
        list: &TrustList,
        last: Option<(Kept, Version)>,
        mark: &ListMark,
        bytes: &[u8],
        now: UnixTime,
    ) -> Result<(), StoreError> {
        let parts: Vec<&[u8]> = bytes.chunks(PART_BYTES).collect();
        let head = Kept { mark: mark.clone(), parts: parts.len(), checked_at: now };
        let expect = last.as_ref().map_or(Expect::Absent, |(_, version)| Expect::Version(*version));
        let mut writes = vec![put(head_key(list), &head, None, expect)?];
        if last.as_ref().is_none_or(|(last, _)| last.mark.digest != mark.digest) {
            for (key, part) in part_keys(list, mark, parts.len()).zip(parts) {
                let part = Part { bytes: BASE64_URL_SAFE_NO_PAD.encode(part) };
                writes.push(put(key, &part, None, Expect::Any)?);
            }
            let old = last.iter().flat_map(|(last, _)| part_keys(list, &last.mark, last.parts));
            writes.extend(old.map(|key| Write::delete(key, Expect::Any)));
        }
        match self.0.store.commit(&writes, now).await {
            // Whether it happened shows at the next look; what was fetched holds either way.
            Err(StoreError::Unknown(error)) => {
                tracing::warn!(%error, "whether a trust list was kept is not known");
                Ok(())
            }
            other => other.map(|_| ()),
        }
    }

    /// Refreshes the published lists until the shop closes.
    pub(super) async fn keep_trust_lists(&self) {
        /// Nothing is asked for more often than every minute.
        const PAUSE: std::time::Duration = std::time::Duration::from_secs(30);
        while !self.0.trusted.lists.is_empty() && !self.is_closing() {
            self.refresh_trust_lists().await;
            let missed = self.trust_lists().iter().any(|list| list.problem.is_some());
            self.did(Work::TrustLists, !missed);
            self.pause(PAUSE).await;
        }
    }
}

fn head_key(list: &TrustList) -> Key {
    Key::new(Kept::KIND, list.name(), "")
}

/// Named by their content, so that parts of two issues never come together.
fn part_keys<'a>(list: &TrustList, mark: &'a ListMark, parts: usize) -> impl Iterator<Item = Key> + use<'a> {
    let name = list.name();
    (0..parts).map(move |at| Key::new(Part::KIND, name.clone(), format!("{} {at:02}", mark.digest)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        format::IssuerRef,
        protocol::jose::SigningKey,
        store::Memory,
        testing::{
            Network, TestShop,
            authority::{Authority, Leaf, certificate_pem},
            list::{lote, signed},
        },
    };

    const DAY_S: u64 = 24 * 3600;
    const PID: &str = "urn:eudi:pid:1";

    /// A publisher, two issuers that it may name, and a shop that believes it.
    struct Fixture {
        shop: TestShop,
        key: SigningKey,
        chain: Vec<Vec<u8>>,
        url: Url,
        germany: Authority,
        france: Authority,
    }

    impl Fixture {
        fn new() -> Self {
            let fresh = TestShop::new();
            let now = fresh.merchant().now();
            let (key, chain) = Authority::new("Publisher CA", now).issue(&Leaf::new("Publisher", now));
            let url: Url = "https://trust.example/pid.jwt".parse().unwrap();
            let (germany, france) = (Authority::new("DE", now), Authority::new("FR", now));
            let mut fixture = Self { shop: fresh, key, chain, url, germany, france };
            fixture.shop = fixture.restarted(Memory::new(), &fixture.list());
            fixture
        }

        fn list(&self) -> TrustList {
            let signer = certificate_pem(&self.chain[0]);
            TrustList::lote(self.url.clone(), &signer).unwrap().types(TrustList::PID_ISSUANCE, &[PID])
        }

        fn restarted(&self, store: Memory, list: &TrustList) -> TestShop {
            self.shop.again(|builder| builder.store(store).trust_list(list.clone()))
        }

        fn now(&self) -> UnixTime {
            self.shop.merchant().now()
        }

        fn network(&self) -> &Network {
            self.shop.network()
        }

        /// Publishes a list of these issuers.
        fn publish(&self, sequence: u64, issued_at: UnixTime, issuers: &[&Authority]) {
            let services: Vec<(&str, &[u8])> =
                issuers.iter().map(|issuer| (TrustList::PID_ISSUANCE, issuer.root_der())).collect();
            let list = signed(&lote(sequence, issued_at, &services), &self.key, &self.chain).unwrap();
            self.network().serve(&self.url, "application/jose", list);
        }

        fn believes(&self, issuer: &Authority) -> bool {
            believes(self.shop.merchant(), issuer)
        }

        async fn refreshed(&self) -> TrustListStanding {
            self.shop.merchant().refresh_trust_lists().await;
            self.shop.merchant().trust_lists().remove(0)
        }
    }

    /// Whether a credential of this issuer counts as identification data.
    fn believes(merchant: &Merchant, issuer: &Authority) -> bool {
        let now = merchant.now();
        let (_, chain) = issuer.issue(&Leaf::new("Issuer", now));
        let trust = merchant.trust();
        match trust.decide(&IssuerRef::X5c { chain: &chain, iss: None }, now, merchant.limits()) {
            Ok(crate::trust::Decision::Believed { issuer, .. }) => trust.counts_as(issuer, &[PID.to_owned()]) == [PID],
            _ => false,
        }
    }

    #[tokio::test]
    async fn whom_a_list_names_is_believed_until_it_names_them_no_more() {
        let f = Fixture::new();
        assert!(!f.believes(&f.germany), "nothing is fetched by building a merchant, or by asking");
        assert_eq!(f.network().calls_in_all(), 0);
        f.publish(1, f.now(), &[&f.germany, &f.france]);
        let standing = f.refreshed().await;
        assert_eq!((standing.sequence, standing.issuers, standing.problem), (Some(1), 1, None));
        assert!(f.believes(&f.germany) && f.believes(&f.france));
        // It is not asked for again before its time.
        f.publish(2, f.now(), &[&f.france]);
        f.shop.clock().advance_s(6 * 3600 - 1);
        assert_eq!(f.refreshed().await.sequence, Some(1));
        assert_eq!(f.network().calls(&f.url), 1);
        f.shop.clock().advance_s(1);
        assert_eq!(f.refreshed().await.sequence, Some(2));
        assert!(!f.believes(&f.germany) && f.believes(&f.france));
        assert_eq!(f.network().calls(&f.url), 2);
    }

    #[tokio::test]
    async fn an_older_list_another_list_or_another_signer_changes_nothing() {
        let f = Fixture::new();
        let begin = f.now();
        f.publish(5, begin, &[&f.france]);
        f.refreshed().await;
        let (stranger, strange) = Authority::new("Publisher CA", begin).issue(&Leaf::new("Publisher", begin));
        let services = [(TrustList::PID_ISSUANCE, f.germany.root_der())];
        let list = |sequence, at| lote(sequence, at, &services);
        let mut of_wallets = list(6, begin.plus_s(60));
        of_wallets["ListAndSchemeInformation"]["LoTEType"] =
            "http://uri.etsi.org/19602/LoTEType/EUWalletProvidersList".into();
        let mut expired = list(6, begin.plus_s(60));
        expired["ListAndSchemeInformation"]["NextUpdate"] = begin.minus_s(DAY_S).to_string().into();
        let ours = |list: &serde_json::Value| signed(list, &f.key, &f.chain).unwrap();
        for (name, text, code) in [
            ("a lower number", ours(&list(4, begin.plus_s(60))), "trust_list_rolled_back"),
            ("an older date", ours(&list(6, begin.minus_s(1))), "trust_list_rolled_back"),
            ("of wallets", ours(&of_wallets), "trust_list_other"),
            ("over", ours(&expired), "trust_list_expired"),
            ("of the future", ours(&list(6, begin.plus_s(2 * DAY_S))), "trust_list_from_the_future"),
            (
                "a stranger's",
                signed(&list(6, begin.plus_s(60)), &stranger, &strange).unwrap(),
                "certificate_unknown_anchor",
            ),
            ("in our name", signed(&list(6, begin.plus_s(60)), &stranger, &f.chain).unwrap(), "jose_signature"),
            ("cut off", ours(&list(6, begin.plus_s(60)))[..200].to_owned(), "jose_parts"),
            ("huge", "a".repeat(5 * 1024 * 1024), "fetch_too_large"),
        ] {
            f.network().serve(&f.url, "application/jose", text);
            f.shop.clock().set(begin.plus_s(6 * 3600 + 1));
            f.shop.merchant().0.trusted.lists[0].state().due_at = None;
            let standing = f.refreshed().await;
            assert_eq!(standing.problem.as_deref(), Some(code), "{name}");
            assert_eq!(standing.sequence, Some(5), "{name}");
            assert!(f.believes(&f.france) && !f.believes(&f.germany), "{name}");
        }
        // It is asked for again soon, and the next good one is taken.
        f.publish(6, begin.plus_s(60), &[&f.germany]);
        f.shop.clock().advance_s(RETRY_S);
        assert_eq!(f.refreshed().await.problem, None);
        assert!(!f.believes(&f.france) && f.believes(&f.germany));
    }

    #[tokio::test]
    async fn a_list_that_is_over_is_not_believed_whatever_became_of_the_housekeeping() {
        let f = Fixture::new();
        f.publish(1, f.now(), &[&f.germany]);
        let until = f.refreshed().await.believed_until.unwrap();
        assert_eq!(until, f.now().plus_s(31 * DAY_S), "its time, and a day of grace");
        f.network().fail(&f.url);
        f.shop.clock().set(until.minus_s(1));
        assert!(f.believes(&f.germany));
        assert_eq!(f.refreshed().await.problem.as_deref(), Some("fetch_failed"));
        assert!(f.believes(&f.germany), "an outage of the publisher stops no shop");
        f.shop.clock().set(until);
        assert!(!f.believes(&f.germany));
        f.publish(2, f.now(), &[&f.germany]);
        f.shop.clock().advance_s(RETRY_S);
        f.refreshed().await;
        assert!(f.believes(&f.germany));
    }

    #[tokio::test]
    async fn the_last_good_list_outlives_a_restart_and_is_checked_again() {
        let f = Fixture::new();
        let store = Memory::new();
        let first = f.restarted(store.clone(), &f.list());
        // As large as lists become: it takes several records.
        let many: Vec<Authority> = (0..8).map(|i| Authority::new(&format!("Issuer {i}"), f.now())).collect();
        let mut list = lote(3, f.now(), &[(TrustList::PID_ISSUANCE, f.germany.root_der())]);
        for authority in &many {
            let one = lote(3, f.now(), &[(TrustList::PID_ISSUANCE, authority.root_der())]);
            let mut entity = one["TrustedEntitiesList"][0].clone();
            entity["TrustedEntityInformation"]["notice"] = "x".repeat(50_000).into();
            list["TrustedEntitiesList"].as_array_mut().unwrap().push(entity);
        }
        let text = signed(&list, &f.key, &f.chain).unwrap();
        f.network().serve(&f.url, "application/jose", text.clone());
        first.merchant().refresh_trust_lists().await;
        assert!(believes(first.merchant(), &f.germany));

        let standing = |shop: &TestShop| shop.merchant().trust_lists().remove(0);
        // The publisher is down: what was kept is believed, without a fetch while it is recent, and with one after.
        f.network().fail(&f.url);
        let second = f.restarted(store.clone(), &f.list());
        assert!(!believes(second.merchant(), &f.germany));
        second.merchant().refresh_trust_lists().await;
        assert!(believes(second.merchant(), &f.germany) && believes(second.merchant(), &many[7]));
        assert_eq!((standing(&second).sequence, f.network().calls(&f.url)), (Some(3), 1));
        f.shop.clock().advance_s(7 * 3600);
        let third = f.restarted(store.clone(), &f.list());
        third.merchant().refresh_trust_lists().await;
        assert_eq!(standing(&third).problem.as_deref(), Some("fetch_failed"));
        assert!(believes(third.merchant(), &f.germany));

        // An older list is refused by a shop that has just begun, too.
        f.publish(2, f.now(), &[&f.france]);
        let fourth = f.restarted(store.clone(), &f.list());
        fourth.merchant().refresh_trust_lists().await;
        assert_eq!(standing(&fourth).problem.as_deref(), Some("trust_list_rolled_back"));
        assert!(believes(fourth.merchant(), &f.germany) && !believes(fourth.merchant(), &f.france));

        // Who is not believed to sign any more is not believed for what was kept either.
        let now = f.now();
        let (_, other) = Authority::new("Publisher CA", now).issue(&Leaf::new("Publisher", now));
        let strict = TrustList::lote(f.url.clone(), &certificate_pem(&other[0])).unwrap();
        let fifth = f.restarted(store.clone(), &strict.types(TrustList::PID_ISSUANCE, &[PID]));
        fifth.merchant().refresh_trust_lists().await;
        assert!(!believes(fifth.merchant(), &f.germany));

        // A newer one takes its place, and leaves nothing of the old one behind.
        f.publish(4, f.now(), &[&f.france]);
        let sixth = f.restarted(store.clone(), &f.list());
        sixth.merchant().refresh_trust_lists().await;
        assert!(believes(sixth.merchant(), &f.france) && !believes(sixth.merchant(), &f.germany));
        let prefix = crate::store::Prefix { kind: Part::KIND, partition: f.list().name(), sort: String::new() };
        let left = crate::store::Store::scan(&store, &prefix, None, 100, f.now()).await.unwrap();
        assert_eq!(left.len(), 1);
    }

    #[tokio::test]
    async fn two_nodes_share_what_one_has_fetched() {
        let f = Fixture::new();
        let store = Memory::new();
        let (one, other) = (f.restarted(store.clone(), &f.list()), f.restarted(store, &f.list()));
        f.publish(1, f.now(), &[&f.germany]);
        one.merchant().refresh_trust_lists().await;
        other.merchant().refresh_trust_lists().await;
        assert_eq!(f.network().calls(&f.url), 1);
        f.shop.clock().advance_s(6 * 3600);
        f.publish(2, f.now(), &[&f.france]);
        tokio::join!(one.merchant().refresh_trust_lists(), other.merchant().refresh_trust_lists());
        assert!(believes(one.merchant(), &f.france) && believes(other.merchant(), &f.france));
    }

    #[tokio::test]
    async fn a_status_list_is_signed_by_the_entitys_service_for_it() {
        let f = Fixture::new();
        let now = f.now();
        let status = Authority::new("DE status", now);
        let revocation = "http://uri.etsi.org/19602/SvcType/PID/Revocation";
        let services = [(TrustList::PID_ISSUANCE, f.germany.root_der()), (revocation, status.root_der())];
        let list = signed(&lote(1, now, &services), &f.key, &f.chain).unwrap();
        f.network().serve(&f.url, "application/jose", list);
        f.refreshed().await;
        let trust = f.shop.merchant().trust();
        let limits = f.shop.merchant().limits();
        let (_, chain) = f.germany.issue(&Leaf::new("Issuer", now));
        let decided = trust.decide(&IssuerRef::X5c { chain: &chain, iss: None }, now, limits).unwrap();
        let crate::trust::Decision::Believed { issuer, key, .. } = decided else { panic!("no chain") };
        let signer = |authority: &Authority| {
            let (_, chain) = authority.issue(&Leaf::new("Status", now));
            trust.status_key(issuer, &[], Some(&chain), &key, now, limits).map(|_| ()).map_err(|e| e.code())
        };
        assert_eq!(signer(&status), Ok(()));
        assert_eq!(signer(&f.germany), Err("certificate_unknown_anchor"));
        assert!(!f.believes(&status), "what is listed for revocation issues nothing");
    }

    #[tokio::test]
    async fn an_issuers_own_certificate_may_be_listed() {
        let f = Fixture::new();
        let now = f.now();
        let (_, chain) = Authority::new("Unknown", now).issue(&Leaf::new("Issuer", now));
        let list = lote(1, now, &[(TrustList::PID_ISSUANCE, &chain[0])]);
        f.network().serve(&f.url, "application/jose", signed(&list, &f.key, &f.chain).unwrap());
        f.refreshed().await;
        let trust = f.shop.merchant().trust();
        assert!(trust.decide(&IssuerRef::X5c { chain: &chain, iss: None }, now, f.shop.merchant().limits()).is_ok());
    }

    #[test]
    fn a_list_that_cannot_work_is_an_error_of_the_set_up() {
        let f = Fixture::new();
        let pem = certificate_pem(&f.chain[0]);
        for url in ["http://trust.example/list", "https://me@trust.example/list", "https://trust.example/#x"] {
            assert_eq!(TrustList::lote(url.parse().unwrap(), &pem).unwrap_err().code(), "trust_url", "{url}");
        }
        assert!(TrustList::lote(f.url.clone(), "").is_err());
        let build = |lists: &[TrustList]| {
            let builder = Merchant::builder("https://shop.example".parse().unwrap()).keys(f.shop.keys().clone());
            let builder = builder.store(Memory::new()).fetch(Network::new());
            lists.iter().fold(builder, |builder, list| builder.trust_list(list.clone())).ask(&TestShop::age()).build()
        };
        assert!(build(&[f.list()]).is_ok(), "a list alone may say who is believed");
        assert!(build(&[TrustList::lote(f.url.clone(), &pem).unwrap()]).is_err(), "no types");
        assert!(build(&[f.list(), f.list()]).is_err(), "twice");
        let authority = TrustList::lote(f.url.clone(), &f.germany.root_pem()).unwrap();
        let authority = authority.types(TrustList::PID_ISSUANCE, &[PID]);
        assert!(build(std::slice::from_ref(&authority)).is_err(), "anybody below the authority");
        assert!(build(&[authority.operator("Publisher", "EU")]).is_ok());
        assert!(build(&[]).is_err(), "nobody at all");
    }
}
