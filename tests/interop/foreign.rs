//! Libraries in processes of their own, and a shop on loopback that they can reach.

use std::{
    env,
    path::PathBuf,
    process::{Command, Stdio},
};

use axum::{
    Json, Router,
    extract::{Path, State},
    routing::get,
};
use firsthand::{Device, Merchant, env::Env, testing::authority::certificate_pem};
use firsthand_axum::{
    CustomerLayer, Known, Problem, routes,
    testing::{Asking, Browser, TestShop},
};
use http::StatusCode;
use serde_json::{Value, json};
use tokio::{
    io::{AsyncBufReadExt, AsyncWriteExt, BufReader, Lines},
    net::TcpListener,
    process::{Child, ChildStdin, ChildStdout},
    task::JoinHandle,
};

fn folder() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("interop")
}

/// Whether the libraries are installed; says so if not.
pub fn is_installed(package: &str) -> bool {
    let runs =
        Command::new("node").arg("--version").stdout(Stdio::null()).status().is_ok_and(|status| status.success());
    if runs && folder().join("node_modules").join(package).is_dir() {
        return true;
    }
    println!("left out, for node or its packages are not installed (`npm ci` in tests/interop): {package}");
    assert_ne!(env::var("CI").as_deref(), Ok("true"), "node must be installed here: {package} was left out");
    false
}

/// Where a shop will listen.
pub struct Door {
    listener: TcpListener,
    /// Its address on loopback.
    pub address: String,
}

impl Door {
    /// A free port.
    pub async fn new() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = format!("http://{}", listener.local_addr().unwrap());
        Self { listener, address }
    }

    /// Opens the shop.
    pub fn open(self, shop: &TestShop) -> Open {
        let app = Router::new()
            .route("/claims/{ask}", get(claims))
            .with_state(shop.merchant().clone())
            .merge(routes(shop.merchant()))
            .layer(CustomerLayer::new(shop.merchant().clone()));
        let served = app.clone();
        let server = tokio::spawn(async move { axum::serve(self.listener, served).await.unwrap() });
        Open { browser: Browser::new(shop, app), server }
    }
}

/// What the customer has shown for an ask, by the name of the credential.
async fn claims(
    State(merchant): State<Merchant>,
    Path(ask): Path<String>,
    known: Known,
) -> Result<Json<Value>, Problem> {
    let ask = merchant.declared(&ask).expect("a declared ask");
    let verified = known.claims(ask).await?.expect("an answer");
    let shown = |id: &str| (id.to_owned(), verified.claims::<Value>(id).expect("JSON"));
    Ok(Json(ask.asked_for().iter().map(|wanted| shown(wanted.id())).collect()))
}

/// How a wallet is reached.
#[derive(Clone, Copy, Debug)]
pub enum Way {
    /// By a link on the same device.
    Link,
    /// By the browser, with one of its protocols.
    Browser(&'static str),
}

/// All of them.
pub const WAYS: [Way; 3] = [Way::Link, Way::Browser("openid4vp-v1-signed"), Way::Browser("openid4vp-v1-unsigned")];

/// A shop that listens, until it is dropped.
pub struct Open {
    /// A browser in front of it.
    pub browser: Browser,
    server: JoinHandle<()>,
}

impl Open {
    /// Somebody who was never here is asked for something, and their wallet carries out `command` with the request. What the
    /// shop then knows of them, or the code for which it refused the answer.
    pub async fn visit(&self, wallet: &mut Foreign, way: Way, ask: &str, command: &Value) -> Result<Value, String> {
        let mut browser = self.browser.another();
        let asking = browser.ask(ask, Device::SameDevice).await;
        let (status, body) = answered(&mut browser, wallet, way, &asking, command).await;
        if status != 200 {
            assert_eq!((status, &body["code"]), (400, &json!("answer_refused")), "{body}");
            let standing = browser.get(&format!("/wallet/presentations/{}", asking.id)).await.json();
            assert_eq!(standing["state"], "delivered");
            return Err(standing["refused"].as_str().unwrap().to_owned());
        }
        come_back(&mut browser, &asking, &body).await;
        let shown = browser.get(&format!("/claims/{ask}")).await;
        assert_eq!(shown.status, StatusCode::OK, "{}", shown.text());
        Ok(shown.json())
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        self.server.abort();
    }
}

/// A wallet carries out a command with what is asked; the shop's status and its words.
pub async fn answered(
    browser: &mut Browser,
    wallet: &mut Foreign,
    way: Way,
    asking: &Asking,
    command: &Value,
) -> (u64, Value) {
    match way {
        Way::Link => {
            let presented = wallet.does(&with(command, &json!({"link": asking.wallet_uri}))).await;
            (presented["status"].as_u64().unwrap_or_else(|| panic!("{presented}")), presented["body"].clone())
        }
        Way::Browser(protocol) => {
            let requests = browser.dc_requests(asking).await.json();
            let mut requests = requests["requests"].as_array().unwrap().iter();
            let request = requests.find(|one| one["protocol"] == protocol).expect("a request by this protocol");
            let origin = browser.shop().merchant().origin().origin().ascii_serialization();
            let data = wallet.does(&with(command, &json!({"data": request["data"], "origin": origin}))).await;
            assert!(data["response"].is_string(), "{data}");
            let brought = browser.dc_brings(asking, protocol, &data).await;
            (brought.status.as_u16().into(), brought.json())
        }
    }
}

/// Redeems an answer: with the code of the wallet's `redirect_uri`, or with the one that the browser itself was told.
pub async fn come_back(browser: &mut Browser, asking: &Asking, answered: &Value) {
    let in_fragment = answered["redirect_uri"].as_str().and_then(|uri| uri.split_once("#response_code="));
    let code = in_fragment.map(|(_, code)| code).or(answered["response_code"].as_str()).expect("a response code");
    let redeemed = browser.redeem(&json!({"presentation": asking.id, "response_code": code})).await;
    assert_eq!(redeemed.status, StatusCode::OK, "{}", redeemed.text());
}

/// A command with these members, too.
pub fn with(command: &Value, members: &Value) -> Value {
    let all = [command, members].into_iter().filter_map(Value::as_object).flatten();
    Value::Object(all.map(|(name, value)| (name.clone(), value.clone())).collect())
}

/// A script of `tests/interop` in a process of its own: one line of JSON for each command.
pub struct Foreign {
    stdin: ChildStdin,
    lines: Lines<BufReader<ChildStdout>>,
    _child: Child,
}

impl Foreign {
    /// Starts a script in the world of a shop: with its time, its address, and the root that wallets believe.
    pub fn start(script: &str, shop: &TestShop, door: &Door) -> Self {
        Self::start_with(script, shop, door, &[])
    }

    /// The same with something else that it should know.
    pub fn start_with(script: &str, shop: &TestShop, door: &Door, known: &[(&str, &str)]) -> Self {
        let mut child = tokio::process::Command::new("node")
            .arg(script)
            .current_dir(folder())
            .env("SHOP_ORIGIN", shop.merchant().origin().origin().ascii_serialization())
            .env("SHOP_ADDRESS", &door.address)
            .env("SHOP_NOW", shop.clock().now().as_secs().to_string())
            .env("SHOP_ROOT", certificate_pem(shop.access_root().der()))
            .envs(known.iter().copied())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        let stdin = child.stdin.take().unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        Self { stdin, lines, _child: child }
    }

    /// Carries out a command.
    pub async fn does(&mut self, command: &Value) -> Value {
        self.stdin.write_all(format!("{command}\n").as_bytes()).await.unwrap();
        let line = self.lines.next_line().await.unwrap().expect("the script ended");
        serde_json::from_str(&line).unwrap_or_else(|_| panic!("{line}"))
    }
}
