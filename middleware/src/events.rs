//! Streams in which a page learns what happens: how a presentation stands, and whether its session still does. Fetched by
//! script, since an `EventSource` carries no proof; they end by themselves, and the next one brings a new proof.

use std::{convert::Infallible, future::Future, time::Duration};

use axum::{
    body::{Body, Bytes},
    response::{IntoResponse, Response},
};
use firsthand::{
    Error, Merchant,
    merchant::{BrowserProof, Changes, Closing, Recognised, Standing},
    presentation::PresentationId,
};
use futures_util::stream;
use http::{HeaderValue, header};
use serde::Serialize;
use tokio::time::Instant;

use crate::{limit::OpenStream, problem::Problem, routes::StandingBody};

/// How often a silent stream says that it is there, so that no proxy closes it.
const SILENT_MAX: Duration = Duration::from_secs(15);

/// The stream of a presentation: every change of how it stands.
pub(crate) async fn of(
    merchant: &Merchant,
    id: PresentationId,
    proof: BrowserProof,
    open: OpenStream,
) -> Result<Response, Problem> {
    // Hints are collected before the first look, so that nothing falls between.
    let changes = merchant.changes(&id);
    let standing = merchant.standing(&id, &proof).await?;
    let first = event(&standing);
    let watch = PresentationWatch { merchant: merchant.clone(), id, proof, told: standing.clone() };
    let next = if standing.state.is_final() { Seen::Last(first) } else { Seen::Event(first) };
    Ok(follow(watch, changes, next, merchant.closing(), open))
}

/// The stream of a session: that it has ended, and that something happened to the customer's record.
pub(crate) fn of_session(merchant: &Merchant, recognised: Recognised, open: OpenStream) -> Response {
    // The stream is there at once, and the page knows that it is heard.
    let (changes, hello) = (recognised.changes(), Seen::Event(SILENCE.to_owned()));
    follow(SessionWatch { recognised, told: 0 }, changes, hello, merchant.closing(), open)
}

/// A line that says nothing (a comment, in the words of the format).
const SILENCE: &str = ":\n\n";

/// What a stream looks at.
trait Watch: Send + 'static {
    /// How long a stream lasts: a proof says who is there now, not for ever.
    const LASTS: Duration;
    /// How often it looks by the clock: another node may have done something, and tells nobody here.
    const LOOK_EVERY: Duration;
    /// How long it leaves the store alone after a look, whatever it is told meanwhile: when many things change at once,
    /// hints are lost, and everybody is told to look.
    const LOOK_AT_MOST_EVERY: Duration;

    /// Looks.
    fn look(&mut self) -> impl Future<Output = Seen> + Send;
}

/// What a look saw.
enum Seen {
    Nothing,
    Event(String),
    /// After which there is nothing to tell.
    Last(String),
    Gone,
}

struct PresentationWatch {
    merchant: Merchant,
    id: PresentationId,
    proof: BrowserProof,
    told: Standing,
}

impl Watch for PresentationWatch {
    const LASTS: Duration = Duration::from_secs(60);
    const LOOK_EVERY: Duration = Duration::from_secs(1);
    const LOOK_AT_MOST_EVERY: Duration = Duration::from_millis(200);

    async fn look(&mut self) -> Seen {
        match self.merchant.standing(&self.id, &self.proof).await {
            Ok(standing) if standing == self.told => Seen::Nothing,
            Ok(standing) => {
                let (event, is_final) = (event(&standing), standing.state.is_final());
                self.told = standing;
                if is_final { Seen::Last(event) } else { Seen::Event(event) }
            }
            // The store is away: the next look may find it.
            Err(Error::Unavailable { .. }) => Seen::Nothing,
            Err(_) => Seen::Gone,
        }
    }
}

fn event(standing: &Standing) -> String {
    let body = StandingBody { state: standing.state.name(), refused: standing.last_refusal.clone() };
    format!("event: state\ndata: {}\n\n", serde_json::to_string(&body).unwrap_or_default())
}

struct SessionWatch {
    recognised: Recognised,
    /// How many notices the page was told of.
    told: usize,
}

/// What a page is told of what happened to its customer's record.
#[derive(Serialize)]
struct NoticeBody {
    /// How many entries of the history are newer than the session: 20 are 20 or more.
    unseen: usize,
}

impl Watch for SessionWatch {
    // A page may lie open for a day; whoever was signed out is told within seconds all the same.
    const LASTS: Duration = Duration::from_secs(5 * 60);
    const LOOK_EVERY: Duration = Duration::from_secs(5);
    const LOOK_AT_MOST_EVERY: Duration = Duration::from_secs(1);

    async fn look(&mut self) -> Seen {
        // The store is away: the next look may find it.
        let Ok(stands) = self.recognised.still_stands().await else { return Seen::Nothing };
        if !stands {
            return Seen::Last("event: revoked\ndata: {}\n\n".to_owned());
        }
        match self.recognised.notices().await {
            Ok(unseen) if unseen != self.told => {
                self.told = unseen;
                let body = serde_json::to_string(&NoticeBody { unseen }).unwrap_or_default();
                Seen::Event(format!("event: notice\ndata: {body}\n\n"))
            }
            _ => Seen::Nothing,
        }
    }
}

fn follow<W: Watch>(watch: W, changes: Changes, next: Seen, closing: Closing, open: OpenStream) -> Response {
    let now = Instant::now();
    let follower = Follower {
        watch,
        changes,
        next,
        until: now + W::LASTS,
        silent_since: now,
        looked_at: now,
        ended: false,
        closing,
        _open: open,
    };
    let body = Body::from_stream(stream::unfold(follower, |mut follower| async move {
        let text = follower.next().await?;
        Some((Ok::<_, Infallible>(Bytes::from(text)), follower))
    }));
    ([(header::CONTENT_TYPE, HeaderValue::from_static("text/event-stream"))], body).into_response()
}

struct Follower<W> {
    watch: W,
    changes: Changes,
    next: Seen,
    until: Instant,
    silent_since: Instant,
    looked_at: Instant,
    ended: bool,
    /// A shop that closes waits for no stream: the page opens the next one elsewhere.
    closing: Closing,
    /// Counts as long as somebody listens.
    _open: OpenStream,
}

impl<W: Watch> Follower<W> {
    /// The next piece of the stream, or its end.
    async fn next(&mut self) -> Option<String> {
        while !self.ended {
            match std::mem::replace(&mut self.next, Seen::Nothing) {
                Seen::Nothing => {}
                Seen::Event(event) => {
                    self.silent_since = Instant::now();
                    return Some(event);
                }
                Seen::Last(event) => {
                    self.ended = true;
                    return Some(event);
                }
                Seen::Gone => return None,
            }
            let now = Instant::now();
            if now >= self.until {
                return None;
            }
            if now.duration_since(self.silent_since) >= SILENT_MAX {
                self.silent_since = now;
                return Some(SILENCE.to_owned());
            }
            let wait = tokio::time::timeout(W::LOOK_EVERY.min(self.until - now), self.changes.next());
            tokio::select! {
                _ = wait => {}
                () = self.closing.closed() => return None,
            }
            tokio::time::sleep_until(self.looked_at + W::LOOK_AT_MOST_EVERY).await;
            self.looked_at = Instant::now();
            self.next = self.watch.look().await;
        }
        None
    }
}
