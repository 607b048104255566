//! A new node takes the place of an old one while customers are in the shop, again and again, and none of them notices.

use std::{
    convert::Infallible,
    net::SocketAddr,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Duration,
};

use axum::body::Body;
use firsthand_axum::testing::{Browser, Reply, TestShop};
use firsthand_tests::postgres::{cluster, left_out};
use http::{Request, StatusCode};
use http_body_util::BodyExt;
use tokio::task::JoinSet;

use crate::{
    setting::{customer, sessions},
    street::{Node, client, to},
};

/// How often what stands in front looks who is ready.
const LOOK_EVERY: Duration = Duration::from_millis(50);
/// How long a node that closes still takes customers: a few looks, on a busy machine.
const PAUSE: Duration = Duration::from_millis(1_000);
const CUSTOMERS: usize = 6;
const TIMES: usize = 4;

/// What stands in front of the nodes: it sends each request to one of those that were ready when it looked.
#[derive(Clone, Default)]
struct Front {
    nodes: Arc<Mutex<Vec<(SocketAddr, SocketAddr)>>>,
    ready: Arc<Mutex<Vec<SocketAddr>>>,
    turn: Arc<AtomicU64>,
    by_node: Arc<Mutex<std::collections::BTreeMap<u16, u64>>>,
}

impl Front {
    fn knows(&self, node: &Node) {
        self.nodes.lock().unwrap().push((node.address, node.operations));
    }

    async fn look(self) {
        loop {
            let nodes = self.nodes.lock().unwrap().clone();
            let mut ready = Vec::new();
            for (address, operations) in nodes {
                let uri = to(operations.port(), &"/ready".parse().unwrap());
                let request = Request::builder().uri(uri).body(Body::empty()).unwrap();
                if client().request(request).await.is_ok_and(|answer| answer.status() == StatusCode::OK) {
                    ready.push(address);
                }
            }
            *self.ready.lock().unwrap() = ready;
            tokio::time::sleep(LOOK_EVERY).await;
        }
    }

    async fn is_ready(&self, node: &Node) {
        while !self.ready.lock().unwrap().contains(&node.address) {
            tokio::time::sleep(LOOK_EVERY).await;
        }
    }

    fn next(&self) -> SocketAddr {
        let ready = self.ready.lock().unwrap();
        assert!(!ready.is_empty(), "no node is ready");
        let turn = self.turn.fetch_add(1, Ordering::Relaxed) as usize;
        ready[turn % ready.len()]
    }

    /// A browser whose every request goes to the next node. One without an answer ends the test.
    fn browser(&self, shop: &TestShop) -> Browser {
        let (client, front) = (client(), self.clone());
        Browser::new(
            shop,
            tower::service_fn(move |mut request: Request<Body>| {
                let (client, address) = (client.clone(), front.next());
                *front.by_node.lock().unwrap().entry(address.port()).or_default() += 1;
                async move {
                    *request.uri_mut() = to(address.port(), request.uri());
                    let (method, uri) = (request.method().clone(), request.uri().clone());
                    let answer = client.request(request).await;
                    let answer = answer.unwrap_or_else(|error| panic!("{method} {uri} has no answer: {error:?}"));
                    let (parts, body) = answer.into_parts();
                    // An answer that breaks off is none.
                    let body = body.collect().await.unwrap_or_else(|e| panic!("{method} {uri} breaks off: {e}"));
                    Ok::<_, Infallible>(http::Response::from_parts(parts, Body::from(body.to_bytes())))
                }
            }),
        )
    }
}

fn served(answers: &AtomicU64, reply: Reply) -> Reply {
    answers.fetch_add(1, Ordering::Relaxed);
    assert!(!reply.status.is_server_error(), "{} {}", reply.status, reply.text());
    reply
}

/// Comes in, shows a wallet, looks around, leaves; and comes again as somebody new.
async fn shops(shop: TestShop, front: Front, closing: Arc<AtomicBool>, answers: Arc<AtomicU64>) -> u64 {
    let mut visits = 0;
    while !closing.load(Ordering::SeqCst) {
        let mut browser = front.browser(&shop);
        assert_eq!(served(&answers, browser.get("/").await).text(), "Hello");
        // Four requests, each of which must go well.
        browser.sign_in("adult").await;
        let id = customer(&mut browser).await;
        for _ in 0..8 {
            assert_eq!(served(&answers, browser.get("/").await).text(), "Welcome back");
            let posted = served(&answers, browser.post_form("/account", "").await);
            assert_eq!((posted.status, posted.text()), (StatusCode::OK, id.to_string()));
        }
        assert_eq!(sessions(&mut browser).await.len(), 1);
        let left = served(&answers, browser.delete("/wallet/sessions/current").await);
        assert_eq!(left.status, StatusCode::NO_CONTENT);
        let late = served(&answers, browser.signed_once(&http::Method::GET, "/account", None).await);
        assert_eq!(late.status, StatusCode::UNAUTHORIZED);
        visits += 1;
    }
    visits
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn nobody_notices_that_nodes_are_restarted_one_after_the_other() {
    let Some(cluster) = cluster() else { return left_out("a rolling restart") };
    let (shop, url, front) = (TestShop::new(), cluster.database(), Front::default());
    let looking = tokio::spawn(front.clone().look());
    let mut old = Node::open(&shop, &url).await;
    front.knows(&old);
    front.is_ready(&old).await;
    let (closing, answers) = (Arc::<AtomicBool>::default(), Arc::<AtomicU64>::default());
    let mut customers = JoinSet::new();
    for _ in 0..CUSTOMERS {
        customers.spawn(shops(shop.clone(), front.clone(), closing.clone(), answers.clone()));
    }
    for _ in 0..TIMES {
        tokio::time::sleep(Duration::from_millis(300)).await;
        // The new one first.
        let new = Node::open(&shop, &url).await;
        front.knows(&new);
        front.is_ready(&new).await;
        std::mem::replace(&mut old, new).close(PAUSE).await;
    }
    tokio::time::sleep(Duration::from_millis(300)).await;
    closing.store(true, Ordering::SeqCst);
    let visits: u64 = customers.join_all().await.iter().sum();
    looking.abort();
    old.close(Duration::ZERO).await;
    let by_node: Vec<u64> = front.by_node.lock().unwrap().values().copied().collect();
    println!(
        "{TIMES} rolling restarts under {CUSTOMERS} customers: {visits} whole visits, {} requests to {} nodes, none without an \
         answer, none answered by an error of ours",
        by_node.iter().sum::<u64>(),
        by_node.len(),
    );
    assert!(by_node.len() == TIMES + 1 && visits > 0 && answers.load(Ordering::Relaxed) > 0, "{by_node:?}");
}
