//! The outbox: what happens to orders, sent to other programs as signed webhooks (Standard Webhooks 1.0.0).
//!
//! An entry is written in the commit of its event, one for each endpoint, and stays until the endpoint has taken it. Who
//! sends it moves it to the time at which somebody else may, in a commit, before anything leaves: any number of nodes send
//! side by side, and what a node that died had taken is sent again. So an event comes at least once, under one id; the order
//! in which events come is not promised, but each says its number. Of an order that came from a checkout nothing is told before
//! it is a sale; then everything is, from the beginning, by one entry for all that happened before.

use std::{fmt, future::Future, pin::Pin, task::Poll, time::Duration};

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use url::Url;

use super::{Pending, Plan, event_key};
use crate::{
    error::{Error, Refusal},
    fetch::{FetchError, FetchRequest, Post},
    merchant::{Merchant, lost_the_race, put},
    order::{OrderEvent, OrderId},
    protocol::{
        jose::{base64url_encode, sha256},
        webhook::{self, WebhookError, WebhookSecret},
    },
    store::{Expect, Key, Persisted, Prefix, SCAN_MAX, StoreError, Stored, Version, Write},
    time::UnixTime,
};

/// When an event is sent that was not taken, after the time before, in seconds: the schedule that the standard proposes.
/// Each time it is up to a fifth later, so that not all come back at once. After the last, it is a dead letter.
const RETRIES_S: [u64; 9] = [5, 5 * 60, 30 * 60, 2 * 3600, 5 * 3600, 10 * 3600, 14 * 3600, 20 * 3600, 24 * 3600];
/// How long an endpoint has to answer: the standard says 15 to 30 seconds.
const ANSWER: Duration = Duration::from_secs(15);
/// How long whoever sends has for one event, in seconds; then somebody else may send it.
const LEASE_S: u64 = 60;
/// How much of an answer is read, in bytes: nothing in it matters.
const ANSWER_BYTES_MAX: usize = 1024;
/// How many events one endpoint is sent in one go.
const BATCH: usize = 100;
/// How long an event waits for an endpoint at most, and a dead letter is kept, in seconds: 30 days.
const KEPT_S: u64 = 30 * 24 * 3600;
/// The most secrets of one endpoint.
const SECRETS_MAX: usize = 4;
/// How many events of an order's past become entries of their own in one commit.
const UNFOLDED: u32 = 32;

/// An endpoint that is told what happens to orders. An order that came from a checkout is told once it is a sale, and then from
/// `order.placed` on; nothing is told of one that never was.
///
/// Each event is a POST of JSON without personal data: `type` (such as `order.paid`), `timestamp`, and in `data` the
/// `order`, the event's `number` within it, and what `happened`. Whoever wants more asks for the order.
///
/// ```json
/// {
///   "type": "order.paid",
///   "timestamp": "2026-11-23T09:00:00Z",
///   "data": { "order": "o_00112233445566778899aabbccddeeff", "number": 5, "happened": {} }
/// }
/// ```
///
/// The id (`webhook-id`) is the order's and the number, the same for every attempt: whoever receives one remembers it, since an
/// event may come more than once, and takes events in any order by their numbers.
///
/// ```
/// use firsthand::{merchant::Webhook, protocol::webhook::WebhookSecret};
///
/// let url = "https://erp.example/hooks/orders".parse()?;
/// let secret: WebhookSecret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw".parse()?;
/// let webhook = Webhook::new("erp", url, [secret]).only(&["order.paid", "order.refunded"]);
/// # let _ = webhook;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone)]
pub struct Webhook {
    name: String,
    url: Url,
    secrets: Vec<WebhookSecret>,
    only: Vec<String>,
}

impl fmt::Debug for Webhook {
    /// Without its secrets, and its address but for the host: whoever knows a path may post to it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Webhook")
            .field("name", &self.name)
            .field("host", &self.url.host_str().unwrap_or_default())
            .field("secrets", &self.secrets.len())
            .finish_non_exhaustive()
    }
}

impl Webhook {
    /// An endpoint. `name` stands in records, 1 to 32 of `a-z`, `0-9` and `-`, and stays when the address changes. While
    /// secrets change there are two, the new one first, and every message is signed under both; at most four.
    #[must_use]
    pub fn new(name: &str, url: Url, secrets: impl IntoIterator<Item = WebhookSecret>) -> Self {
        Self { name: name.to_owned(), url, secrets: secrets.into_iter().collect(), only: Vec::new() }
    }

    /// Sends events of these types alone, such as `order.paid`: `order.` and the name of a
    /// [`Happened`](crate::order::Happened) in JSON.
    #[must_use]
    pub fn only(mut self, types: &[&str]) -> Self {
        self.only.extend(types.iter().map(|&kind| kind.to_owned()));
        self
    }

    /// Its name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// What contradicts itself.
    pub(in crate::merchant) fn check(&self, loopback: bool) -> Result<(), String> {
        let Self { name, url, secrets, only } = self;
        let plain = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
        if name.is_empty() || name.len() > 32 || !name.bytes().all(plain) {
            return Err(format!("the webhook's name {name:?} must be 1 to 32 of a-z, 0-9 and -"));
        }
        let here = loopback && url.scheme() == "http" && crate::fetch::address::is_loopback(url);
        let bare = url.username().is_empty() && url.password().is_none() && url.fragment().is_none();
        if !(url.scheme() == "https" || here) || !bare {
            return Err(format!("the webhook {name:?} must be at an https address without a user's name or fragment"));
        }
        if !(1..=SECRETS_MAX).contains(&secrets.len()) {
            return Err(format!("the webhook {name:?} needs 1 to {SECRETS_MAX} secrets"));
        }
        match only.iter().find(|kind| !kind.starts_with("order.")) {
            Some(kind) => Err(format!("the webhook {name:?} wants {kind:?}: types of events begin with `order.`")),
            None => Ok(()),
        }
    }

    fn wants(&self, event: &OrderEvent) -> bool {
        self.only.is_empty() || self.only.contains(&type_of(event).0)
    }

    /// What tells its address from another one.
    fn address_digest(&self) -> String {
        base64url_encode(&sha256(self.url.as_str().as_bytes()))
    }
}

/// An event that waits for an endpoint. When, its key says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Waiting {
    order: OrderId,
    number: u32,
    /// How often it was sent.
    tries: u32,
    /// Until when it waits at most.
    until: UnixTime,
    /// The first event that it stands for, if it stands for all from that one on: it becomes an entry for each before it is
    /// sent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    first: Option<u32>,
}

impl Waiting {
    /// An event that has not been sent.
    fn new(order: &OrderId, number: u32, now: UnixTime) -> Self {
        Self { order: order.clone(), number, tries: 0, until: now.plus_s(KEPT_S), first: None }
    }
}

impl Persisted for Waiting {
    const KIND: &'static str = "outbox";
    const SCHEMA: u16 = 1;
}

/// An event that an endpoint did not take: see [`Merchant::dead_webhooks`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct DeadWebhook {
    /// The name of the endpoint.
    pub endpoint: String,
    /// The order.
    pub order: OrderId,
    /// Which of its events.
    pub number: u32,
    /// How often it was sent.
    pub tries: u32,
    /// Why it was not taken the last time: the code of a [`FetchError`], a status as `status_500`, `disabled` or
    /// `unreadable`.
    pub why: String,
    /// When it was given up.
    pub died_at: UnixTime,
}

impl Persisted for DeadWebhook {
    const KIND: &'static str = "outbox_dead";
    const SCHEMA: u16 = 1;
}

/// An endpoint that is sent nothing.
#[derive(Serialize, Deserialize)]
struct Disabled {
    at: UnixTime,
    /// The address that said so: at another one it may be there.
    address: String,
}

impl Persisted for Disabled {
    const KIND: &'static str = "webhook_disabled";
    const SCHEMA: u16 = 1;
}

/// What became of a round: see [`Merchant::deliver_webhooks`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Delivered {
    /// How many events were taken.
    pub taken: usize,
    /// How many were not, and are sent again later.
    pub later: usize,
    /// How many were given up: they are dead letters now.
    pub dead: usize,
}

/// What an attempt came to.
enum Sent {
    Taken,
    /// The next one may fare better.
    Refused(String),
    /// Whoever is there is not to be asked for now.
    Overloaded(String),
    Gone,
    /// There is nothing to send.
    Missing,
}

impl Merchant {
    /// Sends what waits for the endpoints of the builder, those side by side: one round. A part of
    /// [`Merchant::housekeeping`]; any number of nodes may do it at once.
    ///
    /// An event that is not taken (any 2xx within 15 seconds) is sent again after 5 seconds, 5 and 30 minutes, and 2, 5, 10,
    /// 14, 20 and 24 hours, each up to a fifth later; then it is a dead letter. An endpoint that does not answer, or says 429,
    /// 502, 503 or 504, is left in peace for the rest of the round. One that says 410 is sent nothing from then on, until its
    /// address changes or [`Merchant::enable_webhook`]: what waits for it becomes dead letters. Redirects are not followed.
    ///
    /// # Errors
    /// [`Error::Unavailable`] if the store does not answer: what was taken may be sent once more.
    pub async fn deliver_webhooks(&self) -> Result<Delivered, Error> {
        let rounds = self.0.webhooks.iter().map(|webhook| Box::pin(self.deliver_to(webhook)) as Round<'_>);
        let mut all = Delivered::default();
        let mut failed = None;
        for round in side_by_side(rounds.collect()).await {
            match round {
                Ok(round) => {
                    all.taken += round.taken;
                    all.later += round.later;
                    all.dead += round.dead;
                }
                Err(error) => failed = Some(error),
            }
        }
        failed.map_or(Ok(all), Err)
    }

    /// The events that were given up, of all endpoints that are or were, up to `limit` (at most 1,000). They are kept for
    /// 30 days.
    ///
    /// # Errors
    /// [`Error::Unavailable`] if the store does not answer.
    pub async fn dead_webhooks(&self, limit: usize) -> Result<Vec<DeadWebhook>, Error> {
        let prefix = Prefix { kind: DeadWebhook::KIND, partition: String::new(), sort: String::new() };
        let found = self.0.store.scan(&prefix, None, limit.min(SCAN_MAX), self.now()).await?;
        found.into_iter().map(|(_, stored)| Ok(stored.read()?)).collect()
    }

    /// Sends an event once more, under the id that it has: a dead letter, or any other. It is sent in the next round, and as
    /// often as a new one.
    ///
    /// # Errors
    /// [`Refusal::NoSuchWebhook`] without such an endpoint; [`Refusal::NoSuchOrder`] without such an event.
    pub async fn replay_webhook(&self, endpoint: &str, order: &OrderId, number: u32) -> Result<Pending<()>, Error> {
        let input = (endpoint.to_owned(), order.clone(), number);
        Pending::new(self, input, |merchant, (endpoint, order, number)| async move {
            merchant.webhook(&endpoint)?;
            let is_sale = merchant.order(&order).await?.is_some_and(|order| order.record.is_confirmed());
            if !is_sale || merchant.load_one(&event_key(&order, number)).await?.is_none() {
                return Err(Refusal::NoSuchOrder.into());
            }
            let now = merchant.now();
            let waiting = Waiting::new(&order, number, now);
            let writes = vec![
                waiting.write(&endpoint, now, Expect::Any)?,
                Write::delete(dead_key(&endpoint, &order, number), Expect::Any),
            ];
            Ok(Plan { writes, value: (), witness: None, at: now })
        })
        .await
    }

    /// Whether an endpoint is sent events: not if it said that it is gone.
    ///
    /// # Errors
    /// [`Refusal::NoSuchWebhook`]; [`Error::Unavailable`].
    pub async fn is_webhook_enabled(&self, endpoint: &str) -> Result<bool, Error> {
        let webhook = self.webhook(endpoint)?;
        Ok(!self.is_disabled(webhook).await?)
    }

    /// An endpoint that said that it is gone is there again: what happens from now on is sent to it, and what waited is
    /// [replayed](Merchant::replay_webhook) by hand.
    ///
    /// # Errors
    /// As [`Merchant::is_webhook_enabled`].
    pub async fn enable_webhook(&self, endpoint: &str) -> Result<(), Error> {
        let name = self.webhook(endpoint)?.name.clone();
        self.0.store.commit(&[Write::delete(disabled_key(&name), Expect::Any)], self.now()).await?;
        Ok(())
    }

    /// Sends for ever.
    pub(in crate::merchant) async fn keep_webhooks(&self) {
        /// The first retry comes after five seconds.
        const PAUSE: Duration = Duration::from_secs(5);
        while !self.0.webhooks.is_empty() {
            match self.deliver_webhooks().await {
                Ok(round) if round.taken >= BATCH => tokio::task::yield_now().await,
                Ok(_) => tokio::time::sleep(PAUSE).await,
                Err(error) => {
                    tracing::warn!(%error, "webhooks were not delivered");
                    tokio::time::sleep(PAUSE).await;
                }
            }
        }
    }

    /// The entries of an event, written in its own commit.
    pub(super) fn outbox(&self, event: &OrderEvent) -> Result<Vec<Write>, Error> {
        let wanting = self.0.webhooks.iter().filter(|webhook| webhook.wants(event));
        let waiting = Waiting::new(&event.order, event.number, event.at);
        wanting.map(|webhook| waiting.write(&webhook.name, event.at, Expect::Any)).collect()
    }

    /// The entries of what happened to an order before anybody was told, one for each endpoint.
    pub(super) fn outbox_of_past(
        &self,
        order: &OrderId,
        first: u32,
        last: u32,
        at: UnixTime,
    ) -> Result<Vec<Write>, Error> {
        let waiting = Waiting { first: Some(first), ..Waiting::new(order, last, at) };
        self.0.webhooks.iter().map(|webhook| waiting.write(&webhook.name, at, Expect::Any)).collect()
    }

    fn webhook(&self, endpoint: &str) -> Result<&Webhook, Error> {
        Ok(self.0.webhooks.iter().find(|webhook| webhook.name == endpoint).ok_or(Refusal::NoSuchWebhook)?)
    }

    async fn is_disabled(&self, webhook: &Webhook) -> Result<bool, Error> {
        let Some(stored) = self.load_one(&disabled_key(&webhook.name)).await? else { return Ok(false) };
        Ok(stored.read::<Disabled>()?.address == webhook.address_digest())
    }

    /// One endpoint's part of a round.
    async fn deliver_to(&self, webhook: &Webhook) -> Result<Delivered, Error> {
        let (begun, mut round) = (self.now(), Delivered::default());
        let found = self.due_for(webhook, begun).await?;
        let mut disabled = self.is_disabled(webhook).await?;
        for (key, stored) in found {
            let Some(waiting) = stored.read().ok().or_else(|| Waiting::of_key(&key, begun)) else {
                // Nothing can be made of it, and it must not hold up the others.
                tracing::error!(endpoint = webhook.name, "an entry of the outbox cannot be read, and is given up");
                let gone = [Write::delete(key, Expect::Version(stored.version))];
                round.dead += usize::from(self.move_entry(&gone, begun).await?);
                continue;
            };
            if disabled {
                round.dead += usize::from(self.give_up(webhook, &waiting, (key, stored.version), "disabled").await?);
                continue;
            }
            let Some((waiting, claimed)) = self.claim(webhook, &waiting, key, stored.version).await? else { continue };
            let (why, pause) = match self.send(webhook, &waiting).await? {
                Sent::Taken => {
                    // Somebody else may have it by now, if the lease is over: then it comes once more.
                    self.0.store.commit(&[Write::delete(claimed.0, Expect::Any)], self.now()).await?;
                    round.taken += 1;
                    continue;
                }
                Sent::Gone => {
                    let gone = Disabled { at: self.now(), address: webhook.address_digest() };
                    let write = put(disabled_key(&webhook.name), &gone, None, Expect::Any)?;
                    self.0.store.commit(&[write], self.now()).await?;
                    tracing::warn!(
                        endpoint = webhook.name,
                        "the endpoint says that it is gone, and is sent nothing more"
                    );
                    disabled = true;
                    round.dead += usize::from(self.give_up(webhook, &waiting, claimed, "status_410").await?);
                    continue;
                }
                Sent::Missing => {
                    round.dead += usize::from(self.give_up(webhook, &waiting, claimed, "unreadable").await?);
                    continue;
                }
                Sent::Refused(why) => (why, false),
                Sent::Overloaded(why) => (why, true),
            };
            tracing::info!(endpoint = webhook.name, tries = waiting.tries, why, "a webhook was not taken");
            match self.later(webhook, &waiting, claimed, &why).await? {
                true => round.later += 1,
                false => round.dead += 1,
            }
            if pause {
                break;
            }
        }
        Ok(round)
    }

    /// What is due for an endpoint, each entry one event that it wants.
    async fn due_for(&self, webhook: &Webhook, now: UnixTime) -> Result<Vec<(Key, Stored)>, Error> {
        let prefix = Prefix { kind: Waiting::KIND, partition: webhook.name.clone(), sort: String::new() };
        loop {
            let mut found = self.0.store.scan(&prefix, None, BATCH, now).await?;
            found.retain(|(key, _)| due_of(key).is_some_and(|due| due <= now));
            let mut unfolded = false;
            for (key, stored) in &found {
                if let Ok(waiting @ Waiting { first: Some(first), .. }) = stored.read::<Waiting>() {
                    self.unfold(webhook, &waiting, first, (key, stored.version)).await?;
                    unfolded = true;
                }
            }
            if !unfolded {
                return Ok(found);
            }
        }
    }

    /// Makes of an entry for many events one for each that the endpoint wants; of so many at once as a commit takes.
    async fn unfold(
        &self,
        webhook: &Webhook,
        waiting: &Waiting,
        first: u32,
        (key, version): (&Key, Version),
    ) -> Result<(), Error> {
        let (last, due) = (waiting.number.min(first.saturating_add(UNFOLDED - 1)), due_of(key));
        let keys: Vec<Key> = (first..=last).map(|number| event_key(&waiting.order, number)).collect();
        let found = self.0.store.load(&keys, self.now()).await?;
        let mut writes = Vec::new();
        // The entry of its last event has the key that it has.
        let mut own = (last < waiting.number).then(|| Waiting { first: Some(last + 1), ..waiting.clone() });
        for (number, stored) in (first..=last).zip(found) {
            // One that cannot be read may be wanted.
            let wanted = |stored: &Stored| stored.read().map_or(true, |event: OrderEvent| webhook.wants(&event));
            if !stored.as_ref().is_some_and(wanted) {
                continue;
            }
            let one = Waiting { number, first: None, ..waiting.clone() };
            if number == waiting.number {
                own = Some(one);
            } else {
                writes.push(one.write(&webhook.name, due.unwrap_or(UnixTime::from_secs(0)), Expect::Any)?);
            }
        }
        let expect = Expect::Version(version);
        writes.push(match own {
            Some(own) => put(key.clone(), &own, Some(own.until), expect)?,
            None => Write::delete(key.clone(), expect),
        });
        self.move_entry(&writes, self.now()).await?;
        Ok(())
    }

    /// Takes an event for as long as sending takes; none if somebody else was first.
    async fn claim(
        &self,
        webhook: &Webhook,
        waiting: &Waiting,
        key: Key,
        version: Version,
    ) -> Result<Option<(Waiting, (Key, Version))>, Error> {
        let now = self.now();
        let waiting = Waiting { tries: waiting.tries.saturating_add(1), ..waiting.clone() };
        let put = waiting.write(&webhook.name, now.plus_s(LEASE_S), Expect::Absent)?;
        let claimed = put.key().clone();
        match self.0.store.commit(&[put, Write::delete(key, Expect::Version(version))], now).await {
            Ok(versions) => Ok(versions.into_iter().next().flatten().map(|version| (waiting, (claimed, version)))),
            // Nobody knows whether it is ours: it is sent when it is due again, wherever it stands.
            Err(error) if lost_the_race(&error) || matches!(error, StoreError::Unknown(_)) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    async fn send(&self, webhook: &Webhook, waiting: &Waiting) -> Result<Sent, Error> {
        let Some(stored) = self.load_one(&event_key(&waiting.order, waiting.number)).await? else {
            return Ok(Sent::Missing);
        };
        let Ok(event) = stored.read::<OrderEvent>() else {
            // A newer program on another node may read it.
            return Ok(Sent::Refused("unreadable".to_owned()));
        };
        let (id, at, body) = (id_of(&event), self.now(), Bytes::from(payload(&event)));
        let headers = vec![
            (webhook::ID, id.clone()),
            (webhook::TIMESTAMP, at.as_secs().to_string()),
            (webhook::SIGNATURE, webhook::sign(&webhook.secrets, &id, at, &body)),
        ];
        let post = Post { content_type: "application/json", headers, body };
        let request = FetchRequest::get(webhook.url.clone(), "*/*", ANSWER_BYTES_MAX).post(post);
        let request = FetchRequest { timeout: ANSWER, ..request };
        Ok(match self.0.fetch.fetch(&request).await {
            // It said 2xx before it said too much.
            Ok(_) | Err(FetchError::TooLarge { .. }) => Sent::Taken,
            Err(FetchError::Status(410)) => Sent::Gone,
            Err(FetchError::Status(status @ (429 | 502 | 503 | 504))) => Sent::Overloaded(format!("status_{status}")),
            Err(FetchError::Status(status)) => Sent::Refused(format!("status_{status}")),
            Err(error) => Sent::Overloaded(error.code().to_owned()),
        })
    }

    /// Sends it again later; `false` if that was the last time.
    async fn later(
        &self,
        webhook: &Webhook,
        waiting: &Waiting,
        claimed: (Key, Version),
        why: &str,
    ) -> Result<bool, Error> {
        let done = usize::try_from(waiting.tries).unwrap_or(usize::MAX).saturating_sub(1);
        let Some(wait_s) = RETRIES_S.get(done) else {
            self.give_up(webhook, waiting, claimed, why).await?;
            return Ok(false);
        };
        let later_s = u64::from(u16::from_be_bytes(self.random())) % (wait_s / 5 + 1);
        let now = self.now();
        let writes = [
            waiting.write(&webhook.name, now.plus_s(wait_s.saturating_add(later_s)), Expect::Any)?,
            Write::delete(claimed.0, Expect::Version(claimed.1)),
        ];
        self.move_entry(&writes, now).await?;
        Ok(true)
    }

    /// Makes a dead letter of it; `false` if somebody else has it.
    async fn give_up(
        &self,
        webhook: &Webhook,
        waiting: &Waiting,
        at: (Key, Version),
        why: &str,
    ) -> Result<bool, Error> {
        let now = self.now();
        let Waiting { order, number, tries, .. } = waiting.clone();
        let key = dead_key(&webhook.name, &order, number);
        let endpoint = webhook.name.clone();
        let dead = DeadWebhook { endpoint, order, number, tries, why: why.to_owned(), died_at: now };
        let writes =
            [put(key, &dead, Some(now.plus_s(KEPT_S)), Expect::Any)?, Write::delete(at.0, Expect::Version(at.1))];
        self.move_entry(&writes, now).await
    }

    /// Moves an entry, if it still is where it was read.
    async fn move_entry(&self, writes: &[Write], now: UnixTime) -> Result<bool, Error> {
        match self.0.store.commit(writes, now).await {
            Ok(_) => Ok(true),
            Err(error) if lost_the_race(&error) => Ok(false),
            Err(error) => Err(error.into()),
        }
    }
}

impl Waiting {
    /// An entry that cannot be read, as its key has it.
    fn of_key(key: &Key, now: UnixTime) -> Option<Self> {
        let mut parts = key.sort.split('/').skip(1);
        let (order, number): (OrderId, u32) = (parts.next()?.parse().ok()?, parts.next()?.parse().ok()?);
        Some(Self::new(&order, number, now))
    }

    /// The write by which it waits until this time.
    fn write(&self, endpoint: &str, due: UnixTime, expect: Expect) -> Result<Write, Error> {
        let sort = format!("{:020}/{}/{:010}", due.as_secs().max(0), self.order, self.number);
        Ok(put(Key::new(Self::KIND, endpoint, sort), self, Some(self.until), expect)?)
    }
}

type Round<'a> = Pin<Box<dyn Future<Output = Result<Delivered, Error>> + Send + 'a>>;

/// All of them, each going on while others wait.
async fn side_by_side(mut rounds: Vec<Round<'_>>) -> Vec<Result<Delivered, Error>> {
    let mut done = Vec::with_capacity(rounds.len());
    std::future::poll_fn(|context| {
        rounds.retain_mut(|round| match round.as_mut().poll(context) {
            Poll::Ready(result) => {
                done.push(result);
                false
            }
            Poll::Pending => true,
        });
        if rounds.is_empty() { Poll::Ready(()) } else { Poll::Pending }
    })
    .await;
    done
}

/// The id of an event, the same for every endpoint and every time.
fn id_of(event: &OrderEvent) -> String {
    format!("{}-{}", event.order, event.number)
}

/// The type of an event, and what it tells besides.
fn type_of(event: &OrderEvent) -> (String, Value) {
    match serde_json::to_value(&event.what) {
        Ok(Value::Object(members)) => {
            let told = members.into_iter().next();
            told.map_or_else(|| ("order.changed".to_owned(), json!({})), |(name, told)| (format!("order.{name}"), told))
        }
        Ok(Value::String(name)) => (format!("order.{name}"), json!({})),
        _ => ("order.changed".to_owned(), json!({})),
    }
}

/// What is sent: thin, and without personal data, as the event is.
fn payload(event: &OrderEvent) -> String {
    let (kind, happened) = type_of(event);
    let data = json!({ "order": event.order, "number": event.number, "happened": happened });
    json!({ "type": kind, "timestamp": event.at.to_string(), "data": data }).to_string()
}

fn due_of(key: &Key) -> Option<UnixTime> {
    key.sort.split('/').next()?.parse().ok().map(UnixTime::from_secs)
}

fn dead_key(endpoint: &str, order: &OrderId, number: u32) -> Key {
    Key::new(DeadWebhook::KIND, "", format!("{endpoint}/{order}/{number:010}"))
}

fn disabled_key(endpoint: &str) -> Key {
    Key::new(Disabled::KIND, endpoint, "")
}

impl From<WebhookError> for Error {
    /// While the merchant is set up: what others send is judged as what it is.
    fn from(error: WebhookError) -> Self {
        Self::Misuse(error.to_string())
    }
}
