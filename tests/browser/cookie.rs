//! A shop that renders everything on the server, and chose to have a cookie: in a real browser, at `http://localhost`, which
//! takes a `__Host-` cookie as if it were https.

use axum::{
    Router,
    response::{Html, Redirect},
    routing::{get, post},
};
use firsthand_axum::{Ask, CustomerLayer, Known, Merchant, Problem, routes};
use serde_json::{Value, json};

use crate::{Browser, Storefront, installed, walk};

async fn home(known: Option<Known>) -> Html<&'static str> {
    Html(match known {
        Some(_) => "<!doctype html><title>Shop</title><p>Welcome back, from the first byte.</p>",
        None => {
            "<!doctype html><title>Shop</title><p>Hello, stranger.</p><firsthand-button ask=\"age\"></firsthand-button>
             <script type=\"module\" src=\"/wallet/firsthand.js\"></script>"
        }
    })
}

async fn account(known: Known) -> Html<String> {
    Html(format!(
        "<!doctype html><title>Shop</title><p>This is {}.</p>
         <form method=\"post\" action=\"/leave\"><button>Sign out</button></form>",
        known.id()
    ))
}

async fn leave(known: Known) -> Result<Redirect, Problem> {
    known.sign_out().await?;
    Ok(Redirect::to("/"))
}

/// The shop, in this process.
async fn serve(at: &Storefront) {
    let age = Ask::new("age", "Wine is sold to adults").over(18);
    let merchant =
        Merchant::dev_at(at.origin().parse().unwrap(), at.folder.path()).await.unwrap().ask(&age).build().unwrap();
    let app: Router = Router::new()
        .route("/", get(home))
        .route("/account", get(account))
        .route("/leave", post(leave))
        .merge(routes(&merchant))
        .layer(CustomerLayer::new(merchant).host_cookie());
    let address = at.origin().trim_start_matches("http://").replace("localhost", "127.0.0.1");
    let listener = tokio::net::TcpListener::bind(address).await.unwrap();
    tokio::spawn(async move { axum::serve(listener, app).await });
}

async fn cookies(browser: &Browser) -> Vec<Value> {
    browser.cdp("Network.getAllCookies", json!({})).await["cookies"].as_array().unwrap().clone()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_shop_with_a_cookie_knows_its_customer_without_a_script() {
    if !installed("a shop with a cookie") {
        return;
    }
    let shop = Storefront::closed(None);
    serve(&shop).await;
    let browser = Browser::new(&shop).await;
    browser.open("/").await;
    browser.sees("Hello, stranger.").await;
    browser.keeps_nothing().await;
    walk::press_button(&browser).await;
    walk::to_wallet(&browser).await;
    walk::choose(&browser, "adult").await;
    walk::share(&browser).await;
    browser.wait("location.pathname === '/' && await (await import('/wallet/firsthand.js')).ready").await;

    // As the script does it once somebody is known.
    let status = "(await (await import('/wallet/firsthand.js')).fetch('/wallet/cookie', { method: 'POST' })).status";
    assert_eq!(browser.eval(status).await, json!(204));
    let kept = cookies(&browser).await;
    assert_eq!(kept.len(), 1, "{kept:?}");
    let cookie = &kept[0];
    let said = ["name", "domain", "path", "secure", "httpOnly", "sameSite", "session"].map(|name| cookie[name].clone());
    let meant = [
        json!("__Host-firsthand"),
        json!("localhost"),
        json!("/"),
        json!(true),
        json!(true),
        json!("Lax"),
        json!(true),
    ];
    assert_eq!(said, meant);
    assert_eq!(browser.eval("document.cookie").await, json!(""), "no script reads it");

    browser.cdp("Emulation.setScriptExecutionDisabled", json!({ "value": true })).await;
    browser.open("/").await;
    browser.sees("Welcome back, from the first byte.").await;
    browser.open("/account").await;
    browser.sees("This is c_").await;
    browser.press("Sign out").await;
    browser.sees("Hello, stranger.").await;
    assert_eq!(cookies(&browser).await, Vec::<Value>::new());
}
