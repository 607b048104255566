//! What one request may cost, whatever it holds: memory over what the shop has anyway, and time of a processor.
//!
//! Every operation is sent the worst that its limits let through: bodies of the largest size in every shape that readers
//! stumble over, long headers, queries and names. The allocator counts, and nothing else runs meanwhile.

#[path = "contract/document.rs"]
mod document;
#[path = "contract/envoy.rs"]
#[allow(dead_code, reason = "half of it is for a tool on the other side")]
mod envoy;
#[path = "support/statements.rs"]
mod made_statements;
#[path = "budgets/measure.rs"]
mod measure;
#[path = "contract/place.rs"]
#[allow(dead_code, reason = "half of it is for a tool on the other side")]
mod place;
#[path = "contract/walks.rs"]
#[allow(dead_code, reason = "half of it is for a tool on the other side")]
mod walks;
#[path = "budgets/worst.rs"]
mod worst;

use std::sync::Arc;

use http::{HeaderName, HeaderValue, header};

use crate::{
    envoy::sign_again,
    measure::{Bare, Cost, Table, measured},
    place::{Place, Sent, Walk},
    walks::Ways,
};

#[global_allocator]
static ALLOCATOR: peak_alloc::PeakAlloc = peak_alloc::PeakAlloc;

/// What reads files of megabytes, from operators alone.
const STATEMENTS: &str = "import_statement";

/// Memory of one request over what was there before it, in bytes.
const MEMORY_MAX: usize = 8 * 1024 * 1024;

#[tokio::test]
async fn no_request_costs_more_than_its_share() {
    let place = Arc::new(Place::open().await);
    let ways = Ways::learn(&place).await;
    let bare = Bare::measure();
    let mut table = Table::default();
    for operation in place.documents.iter().flat_map(|document| document.operations()) {
        let mut lent = Lent { place: &place, ways: &ways, id: &operation.id, now: None };
        let Some(well) = lent.take().await else {
            println!("{}: no walk goes there", operation.id);
            continue;
        };
        for (what, bent) in worst::heads(&well.1) {
            lent.send(&mut table, &what, bent).await;
        }
        // Files of a bank are large, and are handed in by an operator.
        let Some(kind) = operation.takes.as_ref().filter(|_| operation.id != STATEMENTS) else { continue };
        let size = lent.room().await;
        for (what, body) in worst::bodies(kind, &well.1.body, size) {
            let mut sent = well.1.clone();
            sent.body = body.into();
            lent.send(&mut table, &what, sent).await;
        }
    }
    for (what, sent) in worst::answers(&place).await {
        let cost = measured(&place, &sent).await;
        table.add("respond", &what, cost);
    }
    for (what, sent) in worst::statements(&place) {
        let cost = measured(&place, &sent).await;
        table.add(STATEMENTS, &what, cost);
    }
    table.print(&bare);
    table.hold(&bare, MEMORY_MAX);
}

/// A request of an operation that goes well, until it is used up.
struct Lent<'a> {
    place: &'a Arc<Place>,
    ways: &'a Ways,
    id: &'a String,
    now: Option<(Walk, Sent)>,
}

impl Lent<'_> {
    async fn take(&mut self) -> Option<(Walk, Sent)> {
        if self.now.is_none() {
            self.now = self.ways.request(self.place, self.id, 0).await;
        }
        self.now.clone()
    }

    /// Sends it in place of the request that goes well, signed by whom that one was.
    async fn send(&mut self, table: &mut Table, what: &str, bent: Sent) -> Option<Cost> {
        let (walk, well) = self.take().await?;
        let mut sent = bent;
        // Where it was the walk's own, the name and the key are of this walk.
        for name in ["dpop", "authorization"] {
            let name = HeaderName::from_static(name);
            if sent.headers.get(&name).is_some_and(|value| value.len() < worst::LONG) {
                let own = well.headers.get(&name).cloned();
                own.into_iter().for_each(|value| drop(sent.headers.insert(name.clone(), value)));
            }
        }
        sign_again(&walk, &mut sent);
        let cost = measured(self.place, &sent).await;
        if cost.status < 400 {
            // It may have been used up.
            self.now = None;
        }
        table.add(self.id, what, cost);
        Some(cost)
    }

    /// The largest body that is read.
    async fn room(&mut self) -> usize {
        let kib = |kib: usize| kib * 1024;
        for size in [
            kib(8192),
            kib(5120),
            kib(4096),
            kib(2048),
            kib(1024),
            kib(256),
            kib(128),
            kib(64),
            kib(32),
            kib(16),
            kib(8),
            kib(4),
        ] {
            let Some((walk, mut sent)) = self.take().await else { break };
            sent.body = vec![b' '; size].into();
            sent.headers.entry(header::CONTENT_TYPE).or_insert(HeaderValue::from_static("application/json"));
            sign_again(&walk, &mut sent);
            let status = self.place.answer(sent.request()).await.status();
            if status != 413 {
                self.now = None;
                return size;
            }
        }
        1024
    }
}
