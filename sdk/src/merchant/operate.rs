//! How a shop is run: what it counts, whether it can serve, and how it closes.

use std::{
    sync::atomic::{AtomicI64, Ordering},
    time::Duration,
};

use tokio::sync::watch;

use super::Merchant;
use crate::metrics::{Counters, Label, Text, labels};

/// How long a store may take to say that it is there, in seconds. A shop whose store takes longer serves nobody well.
const STORE_ANSWERS_WITHIN_S: u64 = 2;

/// What is counted of housekeeping, and whether the shop is closing.
#[derive(Debug)]
pub(super) struct Operated {
    done: Counters<Work>,
    failed: Counters<Work>,
    /// When each was last done, by the merchant's clock; 0 is never.
    done_at: [AtomicI64; Work::NAMES.len()],
    closing: watch::Sender<bool>,
}

impl Default for Operated {
    fn default() -> Self {
        Self {
            done: Counters::default(),
            failed: Counters::default(),
            done_at: std::array::from_fn(|_| AtomicI64::new(0)),
            closing: watch::Sender::new(false),
        }
    }
}

labels! {
    /// The parts of [housekeeping](Merchant::housekeeping).
    pub(super) enum Work {
        Orders => "orders",
        Expired => "expired",
        Checkouts => "checkouts",
        TrustLists => "trust_lists",
        Webhooks => "webhooks",
    }
}

/// What [`Merchant::readiness`] looks at.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Check {
    /// The store answers within two seconds.
    Store,
    /// Each published list of issuers is believed.
    TrustLists,
    /// Housekeeping, if this node does it, was done lately.
    Housekeeping,
    /// The shop is not closing.
    Open,
}

impl Check {
    /// A stable name.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Store => "store",
            Self::TrustLists => "trust_lists",
            Self::Housekeeping => "housekeeping",
            Self::Open => "open",
        }
    }
}

/// How a part stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Ready {
    /// As it should be.
    Yes,
    /// Something is missing, and customers are served all the same: somebody should look.
    Poorly,
    /// No customer should be sent here now.
    No,
}

impl Ready {
    /// A stable name.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Yes => "yes",
            Self::Poorly => "poorly",
            Self::No => "no",
        }
    }
}

/// Whether this node can serve customers.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Readiness {
    /// Each part and how it stands.
    pub checks: Vec<(Check, Ready)>,
}

impl Readiness {
    /// Whether customers should be sent here: no part says no.
    #[must_use]
    pub fn is_ready(&self) -> bool {
        self.checks.iter().all(|(_, ready)| *ready != Ready::No)
    }

    /// How one part stands.
    #[must_use]
    pub fn of(&self, check: Check) -> Option<Ready> {
        self.checks.iter().find(|(one, _)| *one == check).map(|(_, ready)| *ready)
    }
}

/// How long ago housekeeping may have been done last before it counts as standing still, in seconds: twenty rounds.
const STANDS_STILL_S: u64 = 10 * 60;

/// How housekeeping stands at this node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum House {
    /// It was done lately.
    Kept,
    /// It was never begun here: another node's work, or its first round is under way.
    Elsewhere,
    /// It stands still, or fails.
    Neglected,
}

impl Merchant {
    /// Whether this node can serve customers now, for a load balancer that asks every few seconds. It costs one read of the
    /// store.
    ///
    /// A store that does not answer, and a shop that closes, say [no](Ready::No); so does a published list of issuers that was
    /// never asked for, which is the first moment of a program. What everybody would suffer from alike, such as the outage of
    /// a list's publisher, says [poorly](Ready::Poorly) alone: it must not take all nodes away at once.
    pub async fn readiness(&self) -> Readiness {
        let store = if self.store_answers().await { Ready::Yes } else { Ready::No };
        let open = if self.is_closing() { Ready::No } else { Ready::Yes };
        let now = self.now();
        let lists = self.trust_lists();
        let is_believed = |until: Option<_>| until.is_some_and(|until| until > now);
        let lists = if lists.iter().any(|list| list.due_at.is_none()) {
            Ready::No
        } else if lists.iter().all(|list| is_believed(list.believed_until)) {
            Ready::Yes
        } else {
            Ready::Poorly
        };
        let house = if self.house() == House::Neglected { Ready::Poorly } else { Ready::Yes };
        Readiness {
            checks: vec![
                (Check::Store, store),
                (Check::TrustLists, lists),
                (Check::Housekeeping, house),
                (Check::Open, open),
            ],
        }
    }

    /// What this node has counted since it began, and what stands in it now, in the text that Prometheus reads.
    ///
    /// No sample is about a customer, an order or an amount.
    #[must_use]
    pub fn metrics(&self) -> Text {
        let (inner, mut text) = (&self.0, Text::default());
        let mut build = text.gauge("firsthand_build_info", "The version of the library.");
        build.sample(&[("version", env!("CARGO_PKG_VERSION"))], 1);

        let mut calls = text.counter("firsthand_store_calls_total", "Calls of the store, by how they ended.");
        for (call, outcome, count) in inner.store.calls().ended() {
            calls.sample(&[("call", call), ("outcome", outcome)], count);
        }
        let mut times = text.histogram("firsthand_store_call_seconds", "How long calls of the store took.");
        for (call, took) in inner.store.calls().took() {
            times.timings(&[("call", call)], took);
        }

        let what = "Fetches from other people's servers, by how they ended.";
        let mut fetches = text.counter("firsthand_fetches_total", what);
        for (call, outcome, count) in inner.fetch.calls().ended() {
            fetches.sample(&[("call", call), ("outcome", outcome)], count);
        }
        let mut times = text.histogram("firsthand_fetch_seconds", "How long fetches took.");
        for (call, took) in inner.fetch.calls().took() {
            times.timings(&[("call", call)], took);
        }

        if !inner.rails.is_empty() {
            let mut calls = text.counter("firsthand_rail_calls_total", "Calls of the rails, by what they said.");
            for rail in &inner.rails {
                for (call, outcome, count) in rail.calls().ended() {
                    calls.sample(&[("call", call), ("outcome", outcome), ("rail", rail.id())], count);
                }
            }
            let mut times = text.histogram("firsthand_rail_call_seconds", "How long calls of the rails took.");
            for rail in &inner.rails {
                for (call, took) in rail.calls().took() {
                    times.timings(&[("call", call), ("rail", rail.id())], took);
                }
            }
        }

        let operated = &inner.operated;
        let what = "Rounds of housekeeping, by how they ended.";
        let mut rounds = text.counter("firsthand_housekeeping_rounds_total", what);
        for (outcome, counted) in [("done", &operated.done), ("failed", &operated.failed)] {
            for (work, count) in counted.each() {
                rounds.sample(&[("work", work), ("outcome", outcome)], count);
            }
        }
        let what = "When each part of housekeeping was last done.";
        let mut last = text.gauge("firsthand_housekeeping_done_timestamp_seconds", what);
        for (work, at) in Work::NAMES.iter().zip(&operated.done_at) {
            match at.load(Ordering::Relaxed) {
                0 => {}
                at => last.sample(&[("work", *work)], at),
            }
        }

        let what = "When the certificate that signs requests ends.";
        let mut ends = text.gauge("firsthand_certificate_ends_timestamp_seconds", what);
        ends.sample(&[], inner.keys.identity().leaf().not_after().as_secs());
        let lists = self.trust_lists();
        if !lists.is_empty() {
            let what = "Until when a published list of issuers is believed; 0 if it is not.";
            let mut until = text.gauge("firsthand_trust_list_believed_until_timestamp_seconds", what);
            for list in &lists {
                let at = list.believed_until.map_or(0, crate::time::UnixTime::as_secs);
                until.sample(&[("list", list.url.as_str())], at);
            }
            let what = "How many issuers a published list brings.";
            let mut issuers = text.gauge("firsthand_trust_list_issuers", what);
            for list in &lists {
                issuers.sample(&[("list", list.url.as_str())], list.issuers);
            }
        }
        text
    }

    /// The shop closes: [housekeeping](Self::housekeeping) ends between two commits, open streams of events end, and
    /// [readiness](Self::readiness) says no. Requests are served as before, so that those that are under way come to their
    /// end. One of several nodes goes on listening until what stands in front has seen that it is not ready: then no request is
    /// without an answer. There is no way back.
    ///
    /// ```
    /// # async fn serve(_: impl Future<Output = ()>) {}
    /// # async fn asked_to_stop() {}
    /// # async fn program(merchant: firsthand::Merchant) {
    /// let housekeeping = tokio::spawn(merchant.clone().housekeeping());
    /// serve(async { asked_to_stop().await; merchant.close() }).await; // until the last request is answered
    /// housekeeping.await.ok(); // until the commit that is under way is done
    /// # }
    /// ```
    pub fn close(&self) {
        self.0.operated.closing.send_replace(true);
    }

    /// Whether the shop [closes](Self::close).
    #[must_use]
    pub fn is_closing(&self) -> bool {
        *self.0.operated.closing.borrow()
    }

    /// Waits until the shop closes, for workers of the program's own.
    #[must_use]
    pub fn closing(&self) -> Closing {
        Closing(self.0.operated.closing.subscribe())
    }

    /// Waits between two rounds of housekeeping, and not once the shop closes.
    pub(super) async fn pause(&self, pause: Duration) {
        let mut closing = self.closing();
        let _ = tokio::time::timeout(pause, closing.closed()).await;
    }

    /// Counts a round of housekeeping; not one that was broken off, for the shop closes.
    pub(super) fn did(&self, work: Work, is_done: bool) {
        let operated = &self.0.operated;
        if self.is_closing() {
            return;
        }
        let rounds = if is_done { &operated.done } else { &operated.failed };
        rounds.count(work);
        if let Some(at) = operated.done_at.get(work.place()).filter(|_| is_done) {
            at.store(self.now().as_secs(), Ordering::Relaxed);
        }
    }

    /// How what every shop needs stands at this node.
    pub(super) fn house(&self) -> House {
        let operated = &self.0.operated;
        let done_at = |work: Work| operated.done_at.get(work.place()).map_or(0, |at| at.load(Ordering::Relaxed));
        let needed = [Work::Orders, Work::Expired];
        let lately = |work: Work| done_at(work).saturating_add_unsigned(STANDS_STILL_S) > self.now().as_secs();
        if needed.iter().all(|work| lately(*work)) {
            House::Kept
        } else if needed.iter().all(|work| done_at(*work) == 0) && operated.failed.each().next().is_none() {
            House::Elsewhere
        } else {
            House::Neglected
        }
    }

    /// Whether the store answers in time.
    pub(super) async fn store_answers(&self) -> bool {
        let answers = self.0.store.answers(self.now(), Duration::from_secs(STORE_ANSWERS_WITHIN_S)).await;
        answers.inspect_err(|error| tracing::warn!(code = error.code(), %error, "the store does not answer")).is_ok()
    }
}

/// Tells that the shop closes. See [`Merchant::closing`].
#[derive(Clone, Debug)]
pub struct Closing(watch::Receiver<bool>);

impl Closing {
    /// Returns once the shop closes, or at once if it does so already.
    pub async fn closed(&mut self) {
        // Nobody can close it any more: then it is over.
        let _ = self.0.wait_for(|closing| *closing).await;
    }
}
