//! One round: what is due is claimed, sent, and struck off, moved to later, or given up.

use std::time::Duration;

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::{
    BATCH, DeadWebhook, Delivered, Disabled, KEPT_S, Waiting, Webhook, dead_key, disabled_key, told_by, type_of,
};
use crate::{
    error::Error,
    fetch::{FetchError, FetchRequest, Post},
    merchant::{Merchant, lost_the_race, put, sell::event_key},
    order::OrderEvent,
    protocol::webhook,
    store::{Expect, Key, Persisted, Prefix, StoreError, Stored, Version, Write, due_at},
    time::UnixTime,
};

/// When an event is sent that was not taken, after the time before, in seconds: the schedule that the standard proposes.
/// Each time it is up to a fifth later, so that not all come back at once. After the last, it is a dead letter.
const RETRIES_S: [u64; 9] = [5, 5 * 60, 30 * 60, 2 * 3600, 5 * 3600, 10 * 3600, 14 * 3600, 20 * 3600, 24 * 3600];
/// The longest that an endpoint is left in peace because it asks for it (`Retry-After`), in seconds: as long as the longest pause
/// of the schedule.
const QUIET_S: u64 = 24 * 3600;
/// How long an endpoint has to answer: the standard says 15 to 30 seconds.
const ANSWER: Duration = Duration::from_secs(15);
/// How long whoever sends has for one event, in seconds; then somebody else may send it.
const LEASE_S: u64 = 60;
/// How much of an answer is read, in bytes: nothing in it matters.
const ANSWER_BYTES_MAX: usize = 1024;
/// How many events of an order's past become entries of their own in one commit.
const UNFOLDED: u32 = 32;

/// That an endpoint is sent nothing for a while, because it asked for that.
#[derive(Serialize, Deserialize)]
struct Quiet {
    /// The address that said so.
    address: String,
}

impl Persisted for Quiet {
    const KIND: &'static str = "webhook_quiet";
    const SCHEMA: u16 = 1;
}

/// What an attempt came to.
enum Sent {
    Taken,
    /// The next one may fare better.
    Refused(String),
    /// Whoever is there is not to be asked for now, or for so many seconds, if they say so.
    Overloaded(String, u64),
    Gone,
    /// There is nothing to send.
    Missing,
}

impl Merchant {
    /// One endpoint's part of a round.
    pub(super) async fn deliver_to(&self, webhook: &Webhook) -> Result<Delivered, Error> {
        let (begun, mut round) = (self.now(), Delivered::default());
        if self.is_quiet(webhook).await? {
            return Ok(round);
        }
        let found = self.due_for(webhook, begun).await?;
        let mut disabled = self.is_disabled(webhook).await?;
        for (key, stored) in found {
            if self.is_closing() {
                break;
            }
            let Some(waiting) = stored.read().ok().or_else(|| Waiting::of_key(&key, begun)) else {
                // Nothing can be made of it, and it must not hold up the others.
                tracing::error!(endpoint = webhook.name, "an entry of the outbox cannot be read, and is given up");
                let gone = [Write::delete(key, Expect::Version(stored.version))];
                round.dead += usize::from(self.commit_if_first(&gone, begun).await?);
                continue;
            };
            if disabled {
                round.dead += usize::from(self.give_up(webhook, &waiting, (key, stored.version), "disabled").await?);
                continue;
            }
            let Some((waiting, claimed)) = self.claim(webhook, &waiting, key, stored.version).await? else { continue };
            let (why, pause_s) = match self.send(webhook, &waiting).await? {
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
                Sent::Refused(why) => (why, None),
                Sent::Overloaded(why, for_s) => (why, Some(for_s)),
            };
            tracing::info!(endpoint = webhook.name, tries = waiting.tries, why, "a webhook was not taken");
            match self.later(webhook, &waiting, claimed, &why, pause_s.unwrap_or_default()).await? {
                true => round.later += 1,
                false => round.dead += 1,
            }
            if pause_s.is_some() {
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
            found.retain(|(key, _)| due_at(&key.sort).is_some_and(|due| due <= now));
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
        let (last, due) = (waiting.number.min(first.saturating_add(UNFOLDED - 1)), due_at(&key.sort));
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
        self.commit_if_first(&writes, self.now()).await?;
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
            Err(FetchError::Busy { status, after }) => {
                Sent::Overloaded(format!("status_{status}"), after.wait_s(self.now()).min(QUIET_S))
            }
            Err(FetchError::Status(status @ (429 | 502 | 503 | 504))) => {
                Sent::Overloaded(format!("status_{status}"), 0)
            }
            Err(FetchError::Status(status)) => Sent::Refused(format!("status_{status}")),
            Err(error) => Sent::Overloaded(error.code().to_owned(), 0),
        })
    }

    /// Whether an endpoint has asked to be left in peace until later.
    async fn is_quiet(&self, webhook: &Webhook) -> Result<bool, Error> {
        let Some(stored) = self.load_one(&quiet_key(&webhook.name)).await? else { return Ok(false) };
        Ok(stored.read::<Quiet>()?.address == webhook.address_digest())
    }

    /// Sends it again later, and nothing else before `quiet_s` seconds; `false` if that was the last time.
    async fn later(
        &self,
        webhook: &Webhook,
        waiting: &Waiting,
        claimed: (Key, Version),
        why: &str,
        quiet_s: u64,
    ) -> Result<bool, Error> {
        if quiet_s > 0 {
            let (now, quiet) = (self.now(), Quiet { address: webhook.address_digest() });
            let write = put(quiet_key(&webhook.name), &quiet, Some(now.plus_s(quiet_s)), Expect::Any)?;
            self.0.store.commit(&[write], now).await?;
        }
        let done = usize::try_from(waiting.tries).unwrap_or(usize::MAX).saturating_sub(1);
        let Some(wait_s) = RETRIES_S.get(done) else {
            self.give_up(webhook, waiting, claimed, why).await?;
            return Ok(false);
        };
        let wait_s = quiet_s.max(*wait_s);
        let later_s = u64::from(u16::from_be_bytes(self.random())) % (wait_s / 5 + 1);
        let now = self.now();
        let writes = [
            waiting.write(&webhook.name, now.plus_s(wait_s.saturating_add(later_s)), Expect::Any)?,
            Write::delete(claimed.0, Expect::Version(claimed.1)),
        ];
        self.commit_if_first(&writes, now).await?;
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
        self.commit_if_first(&writes, now).await
    }
}

/// The id of an event, the same for every endpoint and every time.
fn id_of(event: &OrderEvent) -> String {
    format!("{}-{}", event.order, event.number)
}

/// What is sent: thin, and without personal data, as the event is.
fn payload(event: &OrderEvent) -> String {
    let data = json!({ "order": event.order, "number": event.number, "happened": told_by(event) });
    json!({ "type": type_of(event), "timestamp": event.at.to_string(), "data": data }).to_string()
}

pub(super) fn quiet_key(endpoint: &str) -> Key {
    Key::new(Quiet::KIND, endpoint, "")
}
