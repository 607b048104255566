//! Wallets that we did not write: published libraries take our offer, get the credential, and show it to us again.
//!
//! They run on node, from `tests/interop`, where `npm ci` puts the versions of the lock file (`tests/run` does). Without them
//! the test is left out and says so; with `CI=true` that is a failure.

use std::{
    env,
    path::PathBuf,
    process::{Command, Stdio},
};

use firsthand::{Ask, Device, env::Env, merchant::IssuerProfile, store::Memory, testing::authority::certificate_pem};
use firsthand_axum::{
    CustomerLayer, routes,
    testing::{Browser, TestShop},
};
use http::{Method, StatusCode};
use serde_json::{Value, json};
use tokio::{
    io::{AsyncBufReadExt, AsyncWriteExt, BufReader, Lines},
    net::TcpListener,
    process::{Child, ChildStdin, ChildStdout},
};

fn folder() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("interop")
}

/// Whether the libraries are installed; says so if not.
fn is_installed(what: &str) -> bool {
    let runs =
        Command::new("node").arg("--version").stdout(Stdio::null()).status().is_ok_and(|status| status.success());
    if runs && folder().join("node_modules/@openid4vc/openid4vci").is_dir() {
        return true;
    }
    println!("left out, for node or its packages are not installed (`npm ci` in tests/interop): {what}");
    assert_ne!(env::var("CI").as_deref(), Ok("true"), "node must be installed here: {what} was left out");
    false
}

/// A wallet in a process of its own: one line of JSON for each command.
struct ForeignWallet {
    stdin: ChildStdin,
    lines: Lines<BufReader<ChildStdout>>,
    _child: Child,
}

impl ForeignWallet {
    fn start(shop: &TestShop, address: &str) -> Self {
        let mut child = tokio::process::Command::new("node")
            .arg("wallet.mjs")
            .current_dir(folder())
            .env("SHOP_ORIGIN", shop.merchant().origin().origin().ascii_serialization())
            .env("SHOP_ADDRESS", address)
            .env("SHOP_NOW", shop.clock().now().as_secs().to_string())
            .env("SHOP_ROOT", certificate_pem(shop.access_root().der()))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        let stdin = child.stdin.take().unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        Self { stdin, lines, _child: child }
    }

    async fn does(&mut self, command: Value) -> Value {
        self.stdin.write_all(format!("{command}\n").as_bytes()).await.unwrap();
        let line = self.lines.next_line().await.unwrap().expect("the wallet ended");
        serde_json::from_str(&line).unwrap_or_else(|_| panic!("{line}"))
    }
}

async fn id_of(browser: &mut Browser) -> String {
    let me = browser.get("/wallet/me").await;
    assert_eq!(me.status, StatusCode::OK, "{}", me.text());
    me.json()["id"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn a_published_wallet_library_gets_the_credential_and_shows_it() {
    if !is_installed("a published wallet library") {
        return;
    }
    let back = Ask::new("back", "To know you again").recognise();
    let shop = TestShop::with(|builder| {
        builder.store(Memory::new()).relationship(IssuerProfile::Open).display_name("Test Shop").ask(&back)
    });
    let app: axum::Router =
        axum::Router::new().merge(routes(shop.merchant())).layer(CustomerLayer::new(shop.merchant().clone()));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = format!("http://{}", listener.local_addr().unwrap());
    let served = app.clone();
    let server = tokio::spawn(async move { axum::serve(listener, served).await });

    let mut laptop = Browser::new(&shop, app);
    laptop.sign_in("adult").await;
    let id = id_of(&mut laptop).await;
    let mut wallet = ForeignWallet::start(&shop, &address);
    for by in ["uri", "by_reference_uri"] {
        let offer = laptop.signed(Method::POST, "/wallet/issuer/offers", None).await.json();
        let received =
            wallet.does(json!({"command": "receive", "offer": offer[by], "tx_code": offer["tx_code"]})).await;
        assert_eq!(received["token_type"], "DPoP", "{received}");
        assert_eq!(received["claims"]["iss"], "https://shop.example");
        assert_eq!(received["claims"]["vct"], "https://shop.example/wallet/relationship");

        // Another browser, which was never here.
        let mut phone = laptop.another();
        let asking = phone.ask("back", Device::SameDevice).await;
        let presented = wallet.does(json!({"command": "present", "link": asking.wallet_uri})).await;
        assert_eq!(presented["status"], 200, "{presented}");
        let redirect: url::Url = presented["body"]["redirect_uri"].as_str().unwrap().parse().unwrap();
        let code = redirect.fragment().and_then(|fragment| fragment.strip_prefix("response_code=")).unwrap();
        let redeemed = phone.redeem(&json!({"presentation": asking.id, "response_code": code})).await;
        assert_eq!(redeemed.status, StatusCode::OK, "{}", redeemed.text());
        assert_eq!(id_of(&mut phone).await, id);
        assert_eq!(phone.get("/wallet/bindings").await.json()["rung"], "relationship_credential");
        // What it showed lets it offer the next one.
        laptop = phone;
    }
    let wrong = laptop.signed(Method::POST, "/wallet/issuer/offers", None).await.json();
    let refused = wallet.does(json!({"command": "receive", "offer": wrong["uri"], "tx_code": "x"})).await;
    assert!(refused["error"].as_str().is_some_and(|error| error.contains("invalid_grant")), "{refused}");
    server.abort();
}
