//! A wallet that begins by itself: it leads its owner to a page of the shop, which asks whether it may have the card.

use axum::{Router, extract::RawQuery, response::Html, routing::get};
use firsthand_axum::{
    Ask, CustomerLayer, Known, Merchant,
    merchant::{IssuerProfile, WalletClient},
    routes,
};
use serde_json::json;

use crate::{Browser, Storefront, installed, walk};

const WALLET: &str = "https://wallet.example";

async fn home(known: Option<Known>) -> Html<&'static str> {
    Html(match known {
        Some(_) => "<!doctype html><title>Shop</title><main data-firsthand>Welcome back.</main>",
        None => {
            "<!doctype html><title>Shop</title><script type=\"module\" src=\"/wallet/firsthand.js\"></script>
             <main data-firsthand>Hello, stranger. <firsthand-button ask=\"age\"></firsthand-button></main>"
        }
    })
}

/// Where the wallet is answered.
async fn answered(RawQuery(query): RawQuery) -> Html<String> {
    let said = query.unwrap_or_default();
    let what = if said.starts_with("code=") { "a code" } else { "a refusal" };
    Html(format!("<!doctype html><title>Wallet</title><p>The wallet got {what}.</p>"))
}

/// The shop, in this process.
async fn serve(at: &Storefront) {
    let age = Ask::new("age", "Wine is sold to adults").over(18);
    let client = WalletClient {
        client_id: WALLET.into(),
        name: "A Wallet".into(),
        redirect_uris: vec![format!("{}/callback", at.origin())],
    };
    let builder = Merchant::dev_at(at.origin().parse().unwrap(), at.folder.path()).await.unwrap();
    let merchant = builder.ask(&age).relationship(IssuerProfile::Open).wallet_client(client).build().unwrap();
    let app: Router = Router::new()
        .route("/", get(home))
        .route("/callback", get(answered))
        .merge(routes(&merchant))
        .layer(CustomerLayer::new(merchant));
    let address = at.origin().trim_start_matches("http://").replace("localhost", "127.0.0.1");
    let listener = tokio::net::TcpListener::bind(address).await.unwrap();
    tokio::spawn(async move { axum::serve(listener, app).await });
}

/// The wallet pushes its request, as it does before it opens the browser. Answers where it leads its owner.
async fn pushed(browser: &Browser, at: &Storefront) -> String {
    let form = json!({
        "response_type": "code", "client_id": WALLET, "redirect_uri": format!("{}/callback", at.origin()),
        "state": "a-state", "scope": "relationship", "code_challenge": "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM",
        "code_challenge_method": "S256",
    });
    let push = format!(
        "(await (await window.fetch('/wallet/issuer/par', {{ method: 'POST', body: new URLSearchParams({form}) }})).json()).request_uri"
    );
    let request_uri = browser.eval(&push).await.as_str().unwrap().to_owned();
    format!("/wallet/issuer/authorize?client_id={WALLET}&request_uri={request_uri}")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wallet_that_begins_by_itself_asks_its_owner_in_the_shop() {
    if !installed("consent to a wallet") {
        return;
    }
    let shop = Storefront::closed(None);
    serve(&shop).await;
    let browser = Browser::new(&shop).await;
    browser.open("/").await;
    let stranger = pushed(&browser, &shop).await;
    browser.open(&stranger).await;
    browser.sees("A wallet asks for your customer card").await;
    browser.sees("A Wallet").await;
    browser.sees("The shop does not know this browser.").await;
    browser.keeps_nothing().await;

    browser.open("/").await;
    walk::press_button(&browser).await;
    walk::to_wallet(&browser).await;
    walk::choose(&browser, "adult").await;
    walk::share(&browser).await;
    browser.sees("Welcome back.").await;
    for (answer, said) in [("No", "The wallet got a refusal."), ("Yes, it may", "The wallet got a code.")] {
        let place = pushed(&browser, &shop).await;
        browser.open(&place).await;
        browser.sees("A wallet asks for your customer card").await;
        browser.press_in("firsthand-consent", answer).await;
        browser.sees(said).await;
        // Back leads to a question that is over.
        browser.open(&place).await;
        browser.sees("This question is over").await;
        browser.open("/").await;
    }
    let place = pushed(&browser, &shop).await;
    browser.open(&place).await;
    browser.picture("consent").await;
    browser.leave().await;
}
