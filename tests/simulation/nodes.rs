//! The nodes of the shop, each a router over the shared store, and the network between them and everybody else: it loses
//! requests, loses answers, and brings what it brought once more.

use std::{
    convert::Infallible,
    panic::AssertUnwindSafe,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use axum::{
    Router,
    body::{Body, Bytes},
    response::Response,
    routing::{get, post},
};
use firsthand::{
    Merchant,
    fetch::{Fetch, FetchError, FetchRequest, Fetched},
    testing::{FakeRail, TestShop},
    trade::Shelf,
};
use firsthand_axum::{CustomerLayer, Known, routes};
use futures_util::FutureExt;
use http::{HeaderMap, Method, Request, StatusCode, Uri};
use http_body_util::BodyExt;
use serde_json::Value;
use tokio::{sync::oneshot, task::AbortHandle};
use tower::{Service, ServiceExt};

use crate::{
    disk::{Disk, Flaw},
    till,
    world::{Life, REQUEST, World},
};

/// What a browser gets in place of an answer that never comes.
pub const LOST: u16 = 599;

/// A request as it goes over the wire, for whoever listens there.
#[derive(Clone, Debug)]
pub struct Sent {
    pub method: Method,
    pub uri: Uri,
    pub headers: HeaderMap,
    pub body: Bytes,
}

/// A node that runs.
struct Node {
    merchant: Merchant,
    app: Router,
    /// The requests that it serves.
    serving: Vec<AbortHandle>,
}

/// All nodes of the shop, and whoever listens on the way to them. A clone is the same.
#[derive(Clone)]
pub struct Nodes {
    pub world: World,
    pub shop: TestShop,
    pub rail: FakeRail,
    flaw: Option<Flaw>,
    running: Arc<Mutex<Vec<Option<Node>>>>,
}

/// The issuer's server, which signs its list when it is asked for it.
#[derive(Clone, Debug)]
struct Issuer(TestShop, World);

impl Fetch for Issuer {
    async fn fetch(&self, request: &FetchRequest) -> Result<Fetched, FetchError> {
        if request.url != *self.0.status_uri() {
            return Err(FetchError::Refused { reason: "nobody is there" });
        }
        let list = self.0.cast().status_list(self.1.now()).expect("an issuer that signs");
        Ok(Fetched {
            content_type: Some("application/statuslist+jwt".into()),
            body: list.into(),
            max_age_s: None,
            headers: HeaderMap::new(),
        })
    }
}

impl Nodes {
    /// So many nodes of this shop, none of which runs yet.
    pub fn new(base: &TestShop, world: &World, flaw: Option<Flaw>) -> Self {
        let (clock, count) = {
            let state = world.state();
            (state.clock.clone(), state.lives.len())
        };
        // What browsers know of the shop: its address, and the time.
        let shop = base.in_the_time_of(&clock, |builder| builder.store(world.state().memory.clone()));
        let running = Arc::new(Mutex::new((0..count).map(|_| None).collect()));
        Self { world: world.clone(), shop, rail: FakeRail::new(), flaw, running }
    }

    fn running(&self) -> MutexGuard<'_, Vec<Option<Node>>> {
        self.running.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The node as it runs; it starts with nothing in its memory, if it does not run.
    fn start(&self, node: usize) -> (Merchant, Router, Life) {
        let life = Life { node, number: self.world.state().lives[node] };
        let mut running = self.running();
        let there = running[node].get_or_insert_with(|| {
            let clock = self.world.state().clock.clone();
            let (disk, fetch) =
                (Disk::new(&self.world, life, self.flaw), Issuer(self.shop.clone(), self.world.clone()));
            let shelf = Shelf::new(disk.clone());
            let shop = self.shop.in_the_time_of(&clock, |builder| {
                builder
                    .store(disk)
                    .fetch(fetch)
                    .ask(&TestShop::age())
                    .ask(&TestShop::address())
                    .rail(self.rail.clone())
                    .trade(till::trade(shelf))
            });
            let merchant = shop.merchant().clone();
            Node { app: app(&merchant, &self.world), merchant, serving: Vec::new() }
        });
        (there.merchant.clone(), there.app.clone(), life)
    }

    /// Ends a node in the middle of whatever it does. The next request starts it anew.
    pub fn kill(&self, node: usize) {
        self.world.note(|| format!("node {node} ends, and starts anew"));
        self.world.ends(node);
        if let Some(ended) = self.running()[node].take() {
            ended.serving.iter().for_each(AbortHandle::abort);
        }
    }

    /// What the shop does by itself, on a node, until it is done or the node ends.
    pub async fn keep_house(&self, node: usize) {
        let (merchant, _, _) = self.start(node);
        let work = tokio::spawn(async move {
            let orders = merchant.bring_orders_up_to_date().await.map(drop);
            let checkouts = merchant.bring_checkouts_up_to_date().await.map(drop);
            [orders, checkouts]
        });
        if let Some(there) = &mut self.running()[node] {
            there.serving.push(work.abort_handle());
        }
        let Ok(done) = work.await else { return };
        let mut state = self.world.state();
        for error in done.into_iter().filter_map(Result::err) {
            state.note(|| format!("housekeeping on node {node}: {error}"));
            let excused = state.trouble && error.code() == "unavailable";
            state.oracle.must(excused, || format!("housekeeping: {error}"));
        }
    }

    /// The merchant of a node, to look at what there is.
    pub fn merchant(&self, node: usize) -> Merchant {
        self.start(node).0
    }

    /// A request is brought to a node. None if that one ends before it answers.
    async fn serve(&self, node: usize, sent: &Sent) -> Option<(StatusCode, HeaderMap, Bytes)> {
        let (_, app, life) = self.start(node);
        let number = self.world.state().arrives(sent, life);
        let mut request = Request::new(Body::from(sent.body.clone()));
        *request.method_mut() = sent.method.clone();
        *request.uri_mut() = sent.uri.clone();
        *request.headers_mut() = sent.headers.clone();
        let (answers, answered) = oneshot::channel();
        let world = self.world.clone();
        let serving = async move {
            let served = async {
                let (parts, body) = app.oneshot(request).await.unwrap_or_else(|never| match never {}).into_parts();
                let body = body.collect().await.expect("the whole body").to_bytes();
                (parts.status, parts.headers, body)
            };
            match AssertUnwindSafe(served).catch_unwind().await {
                Ok(answer) => drop(answers.send(answer)),
                Err(_) => world.state().oracle.broken(format!("request {number} panics")),
            }
        };
        let task = tokio::spawn(REQUEST.scope(number, serving));
        if let Some(there) = &mut self.running()[node] {
            there.serving.push(task.abort_handle());
        }
        let answer = answered.await.ok();
        let mut state = self.world.state();
        match &answer {
            Some((status, _, body)) => {
                let body: Value = serde_json::from_slice(body).unwrap_or_else(|_| text(body));
                state.answers(number, status.as_u16(), &body);
            }
            None => state.never_answers(number),
        }
        answer
    }

    /// What becomes of a request between a client and the shop.
    async fn carry(&self, request: Request<Body>) -> Response {
        let (parts, body) = request.into_parts();
        let body = body.collect().await.expect("the whole body").to_bytes();
        let sent = Sent { method: parts.method, uri: parts.uri, headers: parts.headers, body };
        self.deliver(sent).await
    }

    pub async fn deliver(&self, sent: Sent) -> Response {
        let lost = || {
            let mut response = Response::new(Body::empty());
            *response.status_mut() = StatusCode::from_u16(LOST).expect("a status");
            response
        };
        self.world.state().folk.overheard.push(sent.clone());
        self.world.turn(None).await;
        if self.world.mishap(25) {
            self.world.count("network: a request is lost");
            self.world.note(|| format!("the network loses {} {}", sent.method, sent.uri.path()));
            return lost();
        }
        let nodes = self.running().len();
        if self.world.mishap(40) {
            self.world.count("network: a request comes twice");
            let (again, this, node) = (sent.clone(), self.clone(), self.world.below(nodes));
            self.world.state().under_way += 1;
            tokio::spawn(async move {
                this.world.turn(None).await;
                this.world.note(|| format!("{} {} comes once more", again.method, again.uri.path()));
                this.serve(node, &again).await;
                this.world.state().under_way -= 1;
            });
        }
        let node = self.world.below(nodes);
        let answer = self.serve(node, &sent).await;
        self.world.turn(None).await;
        match answer {
            Some(_) if self.world.mishap(25) => {
                self.world.count("network: an answer is lost");
                self.world.note(|| format!("the network loses the answer to {} {}", sent.method, sent.uri.path()));
                lost()
            }
            Some((status, headers, body)) => {
                let mut response = Response::new(Body::from(body));
                (*response.status_mut(), *response.headers_mut()) = (status, headers);
                response
            }
            None => lost(),
        }
    }

    /// The shop as a client reaches it.
    pub fn wire(
        &self,
    ) -> impl Service<Request<Body>, Response = Response, Error = Infallible, Future: Send> + Clone + Send + Sync + 'static
    {
        let this = self.clone();
        tower::service_fn(move |request| {
            let this = this.clone();
            async move { Ok::<_, Infallible>(this.carry(request).await) }
        })
    }
}

/// What is no JSON is a text.
fn text(body: &Bytes) -> Value {
    Value::String(String::from_utf8_lossy(body).into_owned())
}

/// The merchant's own program: a page that says who is there, and a deed that must happen once.
fn app(merchant: &Merchant, world: &World) -> Router {
    let who = |known: Option<Known>| async move { known.map(|known| known.id().to_string()).unwrap_or_default() };
    let world = world.clone();
    let deed = move |known: Known| async move {
        let number = REQUEST.with(|number| *number);
        world.state().oracle.did(number);
        known.id().to_string()
    };
    Router::new()
        .route("/", get(who))
        .route("/deed", post(deed))
        .merge(routes(merchant))
        .layer(CustomerLayer::new(merchant.clone()))
}
