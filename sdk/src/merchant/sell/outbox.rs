//! The outbox: what happens to orders, sent to other programs as signed webhooks (Standard Webhooks 1.0.0).
//!
//! An entry is written in the commit of its event, one for each endpoint, and stays until the endpoint has taken it. Who
//! sends it moves it to the time at which somebody else may, in a commit, before anything leaves: any number of nodes send
//! side by side, and what a node that died had taken is sent again. So an event comes at least once, under one id; the order
//! in which events come is not promised, but each says its number. Of an order that came from a checkout nothing is told before
//! it is a sale; then everything is, from the beginning, by one entry for all that happened before.

mod delivery;

use std::{fmt, future::Future, pin::Pin, task::Poll, time::Duration};

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use url::Url;

use self::delivery::quiet_key;
use super::{
    Pending, Plan, event_key,
    queue::{by_time, named},
};
use crate::{
    error::{Error, Refusal},
    merchant::{Merchant, operate::Work, put},
    order::{Happened, OrderEvent, OrderId},
    protocol::{
        jose::{base64url_encode, sha256},
        webhook::{WebhookError, WebhookSecret},
    },
    store::{Expect, Key, Persisted, Prefix, SCAN_MAX, Write},
    time::UnixTime,
};

/// How many events one endpoint is sent in one go.
const BATCH: usize = 100;
/// How long an event waits for an endpoint at most, and a dead letter is kept, in seconds: 30 days.
const KEPT_S: u64 = 30 * 24 * 3600;
/// The most endpoints: each of them adds a write to every commit in which something happens to an order.
pub const WEBHOOKS_MAX: usize = 8;
/// The most secrets of one endpoint.
const SECRETS_MAX: usize = 4;

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

    /// Sends events of these types alone, such as `order.paid`: `order.` and one of [`Happened::NAMES`].
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
        let is_one = |kind: &str| kind.strip_prefix("order.").is_some_and(|what| Happened::NAMES.contains(&what));
        match only.iter().find(|kind| !is_one(kind)) {
            Some(kind) => Err(format!("the webhook {name:?} wants {kind:?}, which never happens: see Happened::NAMES")),
            None => Ok(()),
        }
    }

    fn wants(&self, event: &OrderEvent) -> bool {
        self.only.is_empty() || self.only.contains(&type_of(event))
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
    /// Why it was not taken the last time: the code of a [`FetchError`](crate::fetch::FetchError), a status as `status_500`, `disabled` or
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

impl Merchant {
    /// Sends what waits for the endpoints of the builder, those side by side: one round. A part of
    /// [`Merchant::housekeeping`]; any number of nodes may do it at once.
    ///
    /// An event that is not taken (any 2xx within 15 seconds) is sent again after 5 seconds, 5 and 30 minutes, and 2, 5, 10,
    /// 14, 20 and 24 hours, each up to a fifth later; then it is a dead letter. An endpoint that does not answer, or says 429,
    /// 502, 503 or 504, is left in peace for the rest of the round; with 429 or 503 and a `Retry-After`, for as long as it asks,
    /// but a day at most. One that says 410 is sent nothing from then on, until its
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

    /// The endpoints of the builder, in the order in which they were given.
    pub fn webhooks(&self) -> impl Iterator<Item = &Webhook> {
        self.0.webhooks.iter()
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
    /// [replayed](Merchant::replay_webhook) by hand. One that asked to be left in peace for a while is sent what waits at once.
    ///
    /// # Errors
    /// As [`Merchant::is_webhook_enabled`].
    pub async fn enable_webhook(&self, endpoint: &str) -> Result<(), Error> {
        let name = self.webhook(endpoint)?.name.clone();
        let there_again = [disabled_key(&name), quiet_key(&name)].map(|key| Write::delete(key, Expect::Any));
        self.0.store.commit(&there_again, self.now()).await?;
        Ok(())
    }

    /// Sends until the shop closes.
    pub(in crate::merchant) async fn keep_webhooks(&self) {
        /// The first retry comes after five seconds.
        const PAUSE: Duration = Duration::from_secs(5);
        while !self.0.webhooks.is_empty() && !self.is_closing() {
            let round = self.deliver_webhooks().await;
            self.did(Work::Webhooks, round.is_ok());
            match round {
                Ok(round) if round.taken >= BATCH => tokio::task::yield_now().await,
                Ok(_) => self.pause(PAUSE).await,
                Err(error) => {
                    tracing::warn!(%error, "webhooks were not delivered");
                    self.pause(PAUSE).await;
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
}

impl Waiting {
    /// An entry that cannot be read, as its key has it.
    fn of_key(key: &Key, now: UnixTime) -> Option<Self> {
        let (order, number) = named(&key.sort)?.split_once('/')?;
        Some(Self::new(&order.parse().ok()?, number.parse().ok()?, now))
    }

    /// The write by which it waits until this time.
    fn write(&self, endpoint: &str, due: UnixTime, expect: Expect) -> Result<Write, Error> {
        let sort = by_time(due, format_args!("{}/{:010}", self.order, self.number));
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

/// The type of an event.
fn type_of(event: &OrderEvent) -> String {
    format!("order.{}", event.what.name())
}

/// What an event tells besides its type: an object, empty where there is nothing to tell.
fn told_by(event: &OrderEvent) -> Value {
    // What was read from JSON can be written as JSON.
    let mut told = serde_json::to_value(&event.what).unwrap_or_default();
    told.get_mut(event.what.name()).map_or_else(|| json!({}), Value::take)
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
