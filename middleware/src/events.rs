//! The stream in which a waiting page learns how its presentation stands. Fetched by script, since an `EventSource`
//! carries no proof; it ends within a minute, and the next one brings a new proof.

use std::{convert::Infallible, time::Duration};

use axum::{
    body::{Body, Bytes},
    response::{IntoResponse, Response},
};
use firsthand::{
    Error, Merchant,
    merchant::{BrowserProof, Changes, Standing},
    presentation::PresentationId,
};
use futures_util::stream;
use http::{HeaderValue, header};
use tokio::time::Instant;

use crate::{limit::OpenStream, problem::Problem, routes::StandingBody};

/// How long a stream lasts: a proof says who is there now, not for ever.
const LASTS: Duration = Duration::from_secs(60);
/// How often a stream looks by the clock: another node may have taken the answer, and tells nobody here.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// How long a stream leaves the store alone after a look, whatever it is told meanwhile: when many presentations change
/// at once, hints are lost, and everybody is told to look.
const LOOK_AT_MOST_EVERY: Duration = Duration::from_millis(200);
/// How often a silent stream says that it is there, so that no proxy closes it.
const SILENT_MAX: Duration = Duration::from_secs(15);

pub(crate) async fn of(
    merchant: &Merchant,
    id: PresentationId,
    proof: BrowserProof,
    open: OpenStream,
) -> Result<Response, Problem> {
    // Hints are collected before the first look, so that nothing falls between.
    let changes = merchant.changes(&id);
    let standing = merchant.standing(&id, &proof).await?;
    let follower = Follower {
        merchant: merchant.clone(),
        id,
        proof,
        changes,
        next: Some(standing),
        told: None,
        until: Instant::now() + LASTS,
        silent_since: Instant::now(),
        looked_at: Instant::now(),
        _open: open,
    };
    let body = Body::from_stream(stream::unfold(follower, |mut follower| async move {
        let text = follower.next().await?;
        Some((Ok::<_, Infallible>(Bytes::from(text)), follower))
    }));
    Ok(([(header::CONTENT_TYPE, HeaderValue::from_static("text/event-stream"))], body).into_response())
}

struct Follower {
    merchant: Merchant,
    id: PresentationId,
    proof: BrowserProof,
    changes: Changes,
    next: Option<Standing>,
    told: Option<Standing>,
    until: Instant,
    silent_since: Instant,
    looked_at: Instant,
    /// Counts as long as somebody listens.
    _open: OpenStream,
}

impl Follower {
    /// The next piece of the stream, or its end.
    async fn next(&mut self) -> Option<String> {
        if self.told.as_ref().is_some_and(|told| told.state.is_final()) {
            return None;
        }
        loop {
            if let Some(standing) = self.next.take()
                && self.told.as_ref() != Some(&standing)
            {
                let event = event(&standing);
                self.told = Some(standing);
                self.silent_since = Instant::now();
                return Some(event);
            }
            let now = Instant::now();
            if now >= self.until {
                return None;
            }
            if now.duration_since(self.silent_since) >= SILENT_MAX {
                self.silent_since = now;
                return Some(":\n\n".to_owned());
            }
            let _ = tokio::time::timeout(LOOK_EVERY.min(self.until - now), self.changes.next()).await;
            tokio::time::sleep_until(self.looked_at + LOOK_AT_MOST_EVERY).await;
            self.looked_at = Instant::now();
            match self.merchant.standing(&self.id, &self.proof).await {
                Ok(standing) => self.next = Some(standing),
                // The store is away: the next look may find it.
                Err(Error::Unavailable { .. }) => {}
                Err(_) => return None,
            }
        }
    }
}

fn event(standing: &Standing) -> String {
    let body = StandingBody { state: standing.state.name(), refused: standing.last_refusal.clone() };
    format!("event: state\ndata: {}\n\n", serde_json::to_string(&body).unwrap_or_default())
}
