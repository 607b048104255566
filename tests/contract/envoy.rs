//! Who stands between a stranger's tool and the shop, and lends it what is beyond its reach: names of what there is, and
//! proofs by keys that the shop knows.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, Mutex, PoisonError},
};

use axum::{
    Router,
    body::Body,
    extract::{Request, State},
    response::Response,
};
use firsthand::protocol::dpop::content_digest;
use http::{HeaderValue, Uri, header};
use serde_json::{Map, Value};
use tokio::{
    net::TcpListener,
    sync::{mpsc, oneshot},
};

use crate::{
    document::OperationId,
    place::{Place, Sent, Walk, proof},
    walks::Ways,
};

/// What each operation was answered, and how often it was called.
type Told = BTreeMap<OperationId, (usize, BTreeSet<u16>)>;

pub struct Envoy {
    pub place: Arc<Place>,
    ways: Ways,
    told: Mutex<Told>,
}

/// A request, and where its answer goes.
pub type Call = (Request<Body>, oneshot::Sender<Response>);

/// What becomes of a request of the tool.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Turn {
    /// A request that goes well stands in for it.
    Lent,
    /// One that goes well, with its query, headers and body, and a proof of just that.
    Bent,
    /// Just as it is, by a key that nobody knows.
    Strange,
    /// Just as it is.
    Plain,
}

/// What the tool's own client says of the connection, and what the shop gets from the walk.
const NOT_TAKEN: [&str; 9] = [
    "accept",
    "accept-encoding",
    "authorization",
    "connection",
    "content-length",
    "cookie",
    "dpop",
    "host",
    "transfer-encoding",
];

impl Envoy {
    pub async fn new() -> Self {
        let place = Arc::new(Place::open().await);
        let ways = Ways::learn(&place).await;
        Self { place, ways, told: Mutex::default() }
    }

    /// Listens on loopback, says where, and hands on what comes: it is answered one after the other, so that it is the same each
    /// time.
    pub async fn listen(&self) -> (String, mpsc::Receiver<Call>) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = format!("http://{}", listener.local_addr().unwrap());
        let (calls, called) = mpsc::channel(1);
        let app = Router::new().fallback(pass).with_state(calls);
        tokio::spawn(async move { axum::serve(listener, app).await.unwrap() });
        (address, called)
    }

    /// The operations that went well in a walk.
    pub fn learned(&self) -> BTreeSet<OperationId> {
        self.ways.operations().cloned().collect()
    }

    pub fn told(&self) -> Told {
        self.told.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub async fn answer(&self, request: Request) -> Response {
        let mut asked = Sent::from(request).await;
        // What lies at the root of the origin is beyond the one address that the tool is given.
        let path = asked.uri.path();
        if let Some(at) = path.find("/.well-known/") {
            asked.uri = path[at..].parse().unwrap();
        }
        let Some(operation) = self.place.operation(&asked.method, &asked.uri) else {
            return self.place.answer(asked.request()).await;
        };
        let count = {
            let mut told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
            let (count, _) = told.entry(operation.clone()).or_default();
            *count += 1;
            *count - 1
        };
        // The time goes on: what was counted in a minute begins anew.
        self.place.shop.advance_s(7);
        let sent = match turn(count) {
            Turn::Plain => asked,
            Turn::Strange => self.strange(asked),
            lent => match self.ways.request(&self.place, &operation, count / 4).await {
                None => self.strange(asked),
                Some((_, own)) if lent == Turn::Lent => own,
                Some((walk, own)) => bent(&walk, own, asked),
            },
        };
        let response = self.place.answer(sent.request()).await;
        let mut told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
        told.entry(operation).or_default().1.insert(response.status().as_u16());
        response
    }

    /// Signed by somebody who was never here; an operator's program has the right key, and the wrong order.
    fn strange(&self, mut asked: Sent) -> Sent {
        if asked.uri.path().starts_with("/merchant/") {
            let key = format!("Bearer {}", self.place.anna.reveal());
            asked.headers.insert(header::AUTHORIZATION, HeaderValue::try_from(key).unwrap());
            return asked;
        }
        let browser = Walk::new(&self.place, None).browser();
        let mut claims = browser.claims(&asked.method, "/", Some(&asked.body));
        claims.insert("htu".into(), format!("https://shop.example{}", asked.uri.path()).into());
        claims.insert("nonce".into(), self.place.merchant().nonce().into());
        asked.headers.insert("dpop", HeaderValue::try_from(browser.sign(&claims)).unwrap());
        asked.headers.remove(header::AUTHORIZATION);
        asked
    }
}

/// The first of each operation goes well, so that one case is enough to see it.
const fn turn(count: usize) -> Turn {
    match count % 8 {
        0 | 4 => Turn::Lent,
        3 => Turn::Strange,
        7 => Turn::Plain,
        _ => Turn::Bent,
    }
}

/// A request that goes well, with what the tool says in it.
fn bent(walk: &Walk, own: Sent, asked: Sent) -> Sent {
    let mut sent = own.clone();
    let taken = asked.headers.iter().filter(|(name, _)| !NOT_TAKEN.contains(&name.as_str()));
    sent.headers.extend(taken.map(|(name, value)| (name.clone(), value.clone())));
    if let Some(query) = asked.uri.query() {
        sent.uri = format!("{}?{query}", own.uri.path()).parse::<Uri>().unwrap_or(own.uri);
    }
    if !asked.body.is_empty() {
        sent.body = asked.body;
    }
    sign_again(walk, &mut sent);
    sent
}

/// A proof of what is sent now, by the key that signed before.
pub fn sign_again(walk: &Walk, sent: &mut Sent) {
    let Some((header, mut claims)) = proof(&sent.headers) else { return };
    // A wallet's key for the issuer is its own; its proof says nothing of the body.
    let Some(key) = walk.key(&header["jwk"]) else { return };
    let digest = (!sent.body.is_empty()).then(|| Value::from(content_digest(&sent.body)));
    claims.remove("content_digest");
    claims.extend(digest.map(|digest| ("content_digest".to_owned(), digest)));
    let head: Map<String, Value> = header.as_object().cloned().unwrap_or_default();
    let signed = key.sign_jws(&head, &Value::Object(claims)).unwrap();
    sent.headers.insert("dpop", HeaderValue::try_from(signed).unwrap());
}

async fn pass(State(calls): State<mpsc::Sender<Call>>, request: Request<Body>) -> Response {
    let (answer, answered) = oneshot::channel();
    calls.send((request, answer)).await.unwrap();
    answered.await.unwrap()
}
