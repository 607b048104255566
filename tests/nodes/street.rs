//! A node with its sockets, and the way to it.

use std::{convert::Infallible, net::SocketAddr, time::Duration};

use axum::{Router, body::Body};
use firsthand::{Merchant, store::Postgres};
use firsthand_axum::{
    CustomerLayer, Operations, routes,
    testing::{Browser, TestShop},
};
use http::{Request, Uri};
use http_body_util::BodyExt;
use hyper_util::{
    client::legacy::{Client, connect::HttpConnector},
    rt::TokioExecutor,
};
use tokio::{net::TcpListener, sync::oneshot, task::JoinHandle};

use crate::setting::{node, pages};

/// One node of a shop: a merchant with a pool of its own, its customers' listener, and the one of whoever runs it.
pub struct Node {
    pub merchant: Merchant,
    pub address: SocketAddr,
    pub operations: SocketAddr,
    stop: oneshot::Sender<()>,
    serving: JoinHandle<()>,
    housekeeping: JoinHandle<()>,
}

impl Node {
    /// A node of this shop over the database of `url`, as a process of its own would be.
    pub async fn open(shop: &TestShop, url: &str) -> Self {
        let merchant = node(shop, Postgres::connect(url).await.unwrap());
        let layer = CustomerLayer::new(merchant.clone());
        let operations = serve_for_ever(layer.operations()).await;
        let app: Router = pages().merge(routes(&merchant)).layer(layer);
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let address = listener.local_addr().unwrap();
        let (stop, stopped) = oneshot::channel::<()>();
        let serving = tokio::spawn(async move {
            let stopped = async move { drop(stopped.await) };
            axum::serve(listener, app).with_graceful_shutdown(stopped).await.unwrap();
        });
        let housekeeping = tokio::spawn(merchant.clone().housekeeping());
        Self { merchant, address, operations, stop, serving, housekeeping }
    }

    /// As the README says: no longer ready, then a pause in which whoever sends customers here sees that, then no new ones, and
    /// whoever is served is served to the end.
    pub async fn close(self, pause: Duration) {
        self.merchant.close();
        tokio::time::sleep(pause).await;
        self.stop.send(()).unwrap();
        self.serving.await.unwrap();
        self.housekeeping.await.unwrap();
    }
}

async fn serve_for_ever(operations: Operations) -> SocketAddr {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move { axum::serve(listener, operations.router()).await });
    address
}

/// A client that has a new connection for each request, and sends nothing twice.
pub fn client() -> Client<HttpConnector, Body> {
    let mut client = Client::builder(TokioExecutor::new());
    client.pool_max_idle_per_host(0).retry_canceled_requests(false).build_http()
}

/// A browser in front of a node, with the key, session and nonce of another.
pub fn led_to(browser: &Browser, node: &Node) -> Browser {
    let mut there = at(browser.shop(), node);
    there.key = browser.key.clone();
    there.token.clone_from(&browser.token);
    there.nonce.clone_from(&browser.nonce);
    there
}

/// A browser that has never been here.
pub fn at(shop: &TestShop, node: &Node) -> Browser {
    at_address(shop, node.address)
}

/// The same, at an address.
pub fn at_address(shop: &TestShop, address: SocketAddr) -> Browser {
    let client = client();
    Browser::new(
        shop,
        tower::service_fn(move |mut request: Request<Body>| {
            let client = client.clone();
            async move {
                *request.uri_mut() = to(address.port(), request.uri());
                Ok::<_, Infallible>(client.request(request).await.expect("an answer"))
            }
        }),
    )
}

/// The address of a path at a port of this machine.
pub fn to(port: u16, path: &Uri) -> Uri {
    format!("http://127.0.0.1:{port}{path}").parse().unwrap()
}

/// What a listener says at a path.
pub async fn read(address: SocketAddr, path: &str) -> String {
    let request = Request::builder().uri(to(address.port(), &path.parse().unwrap())).body(Body::empty()).unwrap();
    let answer = client().request(request).await.unwrap();
    String::from_utf8(answer.into_body().collect().await.unwrap().to_bytes().to_vec()).unwrap()
}
