//! A shop that chose to have a cookie: who gets it, what it opens, what it does not, and how a device is bound to it.

use axum::{
    Router,
    routing::{get, post},
};
use firsthand::{Device, merchant::BindingView, protocol::jose::SigningKey, store::Memory};
use firsthand_axum::{
    CustomerLayer, Known, Problem, Recent, routes,
    testing::{Browser, Reply, TestShop},
};
use http::{HeaderName, HeaderValue, Method, StatusCode};
use serde_json::{Value, json};

use crate::setting::{
    answered, customer, led_to, node, on_every_store, pages, refused, sessions, shop_and_store, signed_headers,
};

pub const NAME: &str = "__Host-firsthand";
const ORIGIN: &str = "https://shop.example";

/// The pages of a shop that renders everything on the server.
fn cookie_app(merchant: &firsthand::Merchant) -> Router {
    pages()
        .route("/payout", get(async |_: Recent<Known>| "ok").post(async |_: Recent<Known>| "ok"))
        .route("/session", get(async |known: Known| known.session().as_str().to_owned()))
        .route("/leave", post(leave))
        .merge(routes(merchant))
        .layer(CustomerLayer::new(merchant.clone()).host_cookie())
}

async fn leave(known: Known) -> Result<&'static str, Problem> {
    known.sign_out().await?;
    Ok("bye")
}

fn cookie_browser(shop: &TestShop) -> Browser {
    Browser::new(shop, cookie_app(shop.merchant()))
}

/// A browser that is known and has a cookie.
async fn with_cookie(shop: &TestShop) -> (Browser, String) {
    let mut browser = cookie_browser(shop);
    browser.sign_in("adult").await;
    let cookie = begin(&mut browser).await;
    (browser, cookie)
}

/// The script asks for the cookie.
pub async fn begin(browser: &mut Browser) -> String {
    let reply = browser.signed(Method::POST, "/wallet/cookie", None).await;
    assert_eq!(reply.status, StatusCode::NO_CONTENT, "{}", reply.text());
    set_by(&reply)
}

/// The value of the cookie that an answer sets.
fn set_by(reply: &Reply) -> String {
    let set: Vec<_> = reply.headers.get_all("set-cookie").iter().collect();
    assert_eq!(set.len(), 1, "{:?}", reply.headers);
    let pair = set[0].to_str().unwrap().split(';').next().unwrap();
    pair.strip_prefix(&format!("{NAME}=")).unwrap().to_owned()
}

pub fn clears(reply: &Reply) -> bool {
    let cleared = format!("{NAME}=; Secure; HttpOnly; SameSite=Lax; Path=/; Max-Age=0");
    reply.headers.get_all("set-cookie").iter().any(|set| *set == cleared)
}

/// A request by the cookie alone, as a browser sends it from a page of the shop.
async fn by_cookie(browser: &mut Browser, method: &Method, path: &str, cookie: &str) -> Reply {
    let cookie = format!("{NAME}={cookie}");
    let headers = [("cookie", cookie.as_str()), ("sec-fetch-site", "same-origin"), ("origin", ORIGIN)];
    browser.plain(method, path, &headers, &[]).await
}

async fn opens(browser: &mut Browser, cookie: &str) -> bool {
    by_cookie(browser, &Method::GET, "/", cookie).await.text() == "Welcome back"
}

/// A signed request that also carries the cookie.
async fn with_both(browser: &mut Browser, method: &Method, path: &str, cookie: &str) -> Reply {
    let proof = browser.sign(&browser.claims(method, path, None));
    let mut headers = signed_headers(browser, &proof, None);
    headers.insert("cookie", HeaderValue::try_from(format!("{NAME}={cookie}")).unwrap());
    browser.send(method, path, headers, &[]).await
}

#[tokio::test]
async fn no_shop_has_a_cookie_that_did_not_choose_one() {
    let shop = TestShop::new();
    let (mut chose, cookie) = with_cookie(&shop).await;
    let mut plain = led_to(&chose, shop.merchant());
    for path in ["/wallet/cookie", "/wallet/dbsc/registration", "/wallet/dbsc/refresh"] {
        refused(&plain.signed(Method::POST, path, None).await, 404, "no_cookie");
    }
    let reply = by_cookie(&mut plain, &Method::GET, "/", &cookie).await;
    assert_eq!((reply.text().as_str(), reply.headers.get("set-cookie")), ("Hello", None));
    assert!(plain.get("/").await.headers.get("firsthand-cookie").is_none());
    assert!(opens(&mut chose, &cookie).await);
}

#[tokio::test]
async fn the_cookie_is_exactly_this_and_comes_only_after_recognition() {
    let shop = TestShop::new();
    let mut browser = cookie_browser(&shop);
    for reply in [
        browser.plain(&Method::GET, "/", &[], &[]).await,
        browser.plain(&Method::POST, "/wallet/cookie", &[], &[]).await,
        browser.signed(Method::POST, "/wallet/cookie", None).await,
        browser.get("/public").await,
    ] {
        assert!(reply.headers.get("set-cookie").is_none(), "{:?}", reply.headers);
    }
    let asking = browser.ask("age", Device::SameDevice).await;
    assert!(browser.get(&format!("/wallet/presentations/{}", asking.id)).await.headers.get("set-cookie").is_none());
    browser.sign_in("adult").await;
    let reply = browser.signed(Method::POST, "/wallet/cookie", None).await;
    assert_eq!(reply.status, StatusCode::NO_CONTENT);
    let value = set_by(&reply);
    assert_eq!(reply.header("set-cookie"), format!("{NAME}={value}; Secure; HttpOnly; SameSite=Lax; Path=/"));
    assert_eq!(value.split('.').map(str::len).collect::<Vec<_>>(), [22, 43], "a name, and 256 bits");
    assert_eq!(reply.header("cache-control"), "private, no-store");
    let challenge = reply.header("secure-session-registration").to_owned();
    let challenge = challenge.strip_prefix("(ES256);path=\"/wallet/dbsc/registration\";challenge=\"").unwrap();
    assert_eq!(challenge.strip_suffix('"').unwrap().len(), 32);
    assert!(opens(&mut browser, &value).await);
}

#[tokio::test]
async fn row_128_the_secret_of_a_cookie_stands_in_no_record() {
    let (shop, store) = shop_and_store();
    let (mut browser, cookie) = with_cookie(&shop).await;
    let (id, secret) = cookie.split_once('.').unwrap();
    assert!(!format!("{store:?}").contains(secret) && !browser.get("/wallet/sessions").await.text().contains(secret));
    for altered in [
        format!("{id}.{}", "A".repeat(43)),
        format!("{}.{secret}", "A".repeat(22)),
        cookie.to_lowercase(),
        secret.to_owned(),
        format!("{cookie}A"),
        id.to_owned(),
        String::new(),
        ".".to_owned(),
        "x".repeat(7_000),
    ] {
        assert!(!opens(&mut browser, &altered).await, "{altered}");
    }
    assert!(opens(&mut browser, &cookie).await);
}

#[tokio::test]
async fn the_first_byte_knows_the_customer_on_every_store() {
    on_every_store("a cookie", async |shop| {
        let (mut browser, cookie) = with_cookie(&shop).await;
        let id = customer(&mut browser).await;
        let navigation = [("cookie", format!("x=1; {NAME}={cookie}; y=2")), ("sec-fetch-mode", "navigate".into())];
        let navigation: Vec<(&str, &str)> = navigation.iter().map(|(name, value)| (*name, value.as_str())).collect();
        let account = browser.plain(&Method::GET, "/account", &navigation, &[]).await;
        assert_eq!((account.status, account.text()), (StatusCode::OK, id.to_string()));
        assert_eq!(account.header("cache-control"), "private, no-store");
        let vary: Vec<_> = account.headers.get_all("vary").iter().collect();
        assert_eq!(vary, ["Authorization, DPoP", "Cookie"]);
        // A form of the shop's own page, and a page behind a gate.
        assert_eq!(by_cookie(&mut browser, &Method::POST, "/account", &cookie).await.text(), id.to_string());
        assert_eq!(by_cookie(&mut browser, &Method::POST, "/wine", &cookie).await.text(), id.to_string());
        let session = by_cookie(&mut browser, &Method::GET, "/session", &cookie).await.text();
        assert_eq!(session, cookie.split('.').next().unwrap());
        // A redirect stays one: no script is there to follow it.
        let order = by_cookie(&mut browser, &Method::POST, "/order", &cookie).await;
        assert_eq!((order.status, order.header("location")), (StatusCode::SEE_OTHER, "/thanks"));
    })
    .await;
}

#[tokio::test]
async fn what_does_not_ask_for_the_customer_does_not_depend_on_the_cookie() {
    let shop = TestShop::new();
    let (mut browser, cookie) = with_cookie(&shop).await;
    for cookie in [cookie.as_str(), "unknown"] {
        let reply = by_cookie(&mut browser, &Method::GET, "/public", cookie).await;
        for header in ["cache-control", "vary", "set-cookie"] {
            assert_eq!(reply.header(header), "", "{header}");
        }
    }
    // Without a cookie a page that asks still depends on it.
    let reply = browser.plain(&Method::GET, "/", &[], &[]).await;
    assert!(reply.headers.get_all("vary").iter().any(|vary| vary == "Cookie"));
}

#[tokio::test]
async fn row_30_what_changes_something_by_the_cookie_comes_from_a_page_of_the_shop() {
    let shop = TestShop::new();
    let (mut browser, cookie) = with_cookie(&shop).await;
    let cookie = format!("{NAME}={cookie}");
    let sites = [None, Some("same-origin"), Some("same-site"), Some("cross-site"), Some("none"), Some("SAME-ORIGIN")];
    let origins = [None, Some(ORIGIN), Some("https://other.example"), Some("https://a.shop.example"), Some("null")];
    for method in ["GET", "HEAD", "OPTIONS", "POST", "PUT", "PATCH", "DELETE", "BREW"] {
        for site in sites {
            for origin in origins {
                let method = Method::from_bytes(method.as_bytes()).unwrap();
                let mut headers = vec![("cookie", cookie.as_str())];
                headers.extend(site.map(|site| ("sec-fetch-site", site)));
                headers.extend(origin.map(|origin| ("origin", origin)));
                let reply = browser.plain(&method, "/account", &headers, &[]).await;
                let from_here =
                    matches!((site, origin), (Some("same-origin"), None | Some(ORIGIN)) | (None, Some(ORIGIN)));
                if method.is_safe() || from_here {
                    assert_ne!(reply.status, StatusCode::FORBIDDEN, "{method} {site:?} {origin:?}");
                } else {
                    refused(&reply, 403, "cross_site");
                }
            }
        }
    }
    // What a browser's guest does without the cookie is none of this mode's affair.
    let reply = browser.plain(&Method::POST, "/echo", &[("sec-fetch-site", "cross-site")], b"x").await;
    assert_eq!(reply.text(), "x");
    // And a GET by name that leaves HTTP is no GET.
    let upgrade = [("cookie", cookie.as_str()), ("upgrade", "websocket"), ("origin", "https://a.shop.example")];
    refused(&browser.plain(&Method::GET, "/account", &upgrade, &[]).await, 403, "cross_site");
    let upgrade = [("cookie", cookie.as_str()), ("upgrade", "websocket"), ("origin", ORIGIN)];
    assert_eq!(browser.plain(&Method::GET, "/account", &upgrade, &[]).await.status, StatusCode::OK);
}

#[tokio::test]
async fn another_site_does_nothing_even_with_a_cookie_that_is_nobodys() {
    let shop = TestShop::new();
    let mut browser = cookie_browser(&shop);
    let headers =
        [("cookie", "__Host-firsthand=x"), ("sec-fetch-site", "cross-site"), ("origin", "https://other.example")];
    refused(&browser.plain(&Method::POST, "/echo", &headers, b"x").await, 403, "cross_site");
}

#[tokio::test]
async fn a_proof_counts_more_than_the_cookie_beside_it() {
    let shop = TestShop::new();
    let (mut browser, cookie) = with_cookie(&shop).await;
    let own = customer(&mut browser).await;
    let mut other = browser.another();
    other.sign_in("national").await;
    let theirs = customer(&mut other).await;
    assert_ne!(own, theirs);
    // Another customer's cookie in the browser of this one: the proof says who it is.
    assert_eq!(with_both(&mut other, &Method::GET, "/account", &cookie).await.text(), theirs.to_string());
    // And it needs no origin to be believed.
    assert_eq!(with_both(&mut other, &Method::POST, "/account", &cookie).await.text(), theirs.to_string());
    // A proof of nobody stays nobody's, a wrong one is refused, and half of a claim is, too.
    let mut nobody = browser.another();
    nobody.nonce.clone_from(&browser.nonce);
    assert_eq!(with_both(&mut nobody, &Method::GET, "/", &cookie).await.text(), "Hello");
    nobody.token = Some("A".repeat(43));
    refused(&with_both(&mut nobody, &Method::GET, "/", &cookie).await, 401, "invalid_token");
    let line = format!("{NAME}={cookie}");
    let half = [("cookie", line.as_str()), ("authorization", "DPoP abc")];
    refused(&browser.plain(&Method::GET, "/", &half, &[]).await, 401, "invalid_dpop_proof");
}

#[tokio::test]
async fn a_cookie_is_no_token_and_a_token_is_no_cookie() {
    let shop = TestShop::new();
    let (mut browser, cookie) = with_cookie(&shop).await;
    let token = browser.token.clone().unwrap();
    let (id, secret) = cookie.split_once('.').unwrap();
    for wrong in [token.clone(), format!("{id}.{token}")] {
        assert!(!opens(&mut browser, &wrong).await);
    }
    for wrong in [cookie.clone(), secret.to_owned(), format!("cookie.{id}")] {
        browser.token = Some(wrong);
        refused(&browser.get("/").await, 401, "invalid_token");
    }
    // Our own routes take a proof, whatever cookie comes along; reading events is the exception.
    for path in ["/wallet/me", "/wallet/sessions"] {
        refused(&by_cookie(&mut browser, &Method::GET, path, &cookie).await, 401, "invalid_dpop_proof");
        refused(&by_cookie(&mut browser, &Method::DELETE, path, &cookie).await, 401, "invalid_dpop_proof");
    }
    refused(&by_cookie(&mut browser, &Method::POST, "/wallet/cookie", &cookie).await, 401, "invalid_dpop_proof");
    assert!(opens(&mut browser, &cookie).await);
}

#[tokio::test]
async fn row_04_nobody_chooses_the_cookie_that_somebody_else_gets() {
    let shop = TestShop::new();
    let (mut browser, first) = with_cookie(&shop).await;
    // What came along is never taken over, and its successor is another one.
    let second = set_by(&with_both(&mut browser, &Method::POST, "/wallet/cookie", &first).await);
    let invented = format!("{}.{}", "B".repeat(22), "A".repeat(43));
    let third = set_by(&with_both(&mut browser, &Method::POST, "/wallet/cookie", &invented).await);
    assert!(first != second && second != third && third != invented);
    for (cookie, open) in [(&first, false), (&second, false), (&invented, false), (&third, true)] {
        assert_eq!(opens(&mut browser, cookie).await, open, "{cookie}");
    }
    // A cookie that somebody planted stays theirs: the customer who is recognised beside it gets their own.
    let mut victim = browser.another();
    victim.prove("age", "national").await;
    let own = set_by(&with_both(&mut victim, &Method::POST, "/wallet/cookie", &third).await);
    let id = customer(&mut victim).await;
    assert_eq!(by_cookie(&mut victim, &Method::GET, "/account", &own).await.text(), id.to_string());
    assert_ne!(by_cookie(&mut victim, &Method::GET, "/account", &third).await.text(), id.to_string());
    // Two cookies of one name are none: whoever planted the second chose nothing.
    for line in [format!("{NAME}={own}; {NAME}={third}"), format!("{NAME}={own};{NAME}={own}")] {
        let headers = [("cookie", line.as_str())];
        assert_eq!(victim.plain(&Method::GET, "/", &headers, &[]).await.text(), "Hello");
    }
    for name in ["firsthand", "__host-firsthand", "__Host-firsthand2", "x__Host-firsthand"] {
        let line = format!("{name}={own}");
        assert_eq!(victim.plain(&Method::GET, "/", &[("cookie", line.as_str())], &[]).await.text(), "Hello", "{name}");
    }
}

#[tokio::test]
async fn whoever_is_recognised_anew_has_no_cookie_until_they_ask() {
    let shop = TestShop::new();
    let (mut browser, cookie) = with_cookie(&shop).await;
    let mut other = browser.another();
    let (asking, code) = answered(&mut other, "age", Device::SameDevice, "national").await;
    let body = json!({ "presentation": asking.id, "response_code": code }).to_string();
    let claims = other.claims(&Method::POST, "/wallet/sessions", Some(body.as_bytes()));
    let mut headers = signed_headers(&other, &other.sign(&claims), Some("application/json"));
    headers.insert("cookie", HeaderValue::try_from(format!("{NAME}={cookie}")).unwrap());
    let reply = other.send(&Method::POST, "/wallet/sessions", headers, body.as_bytes()).await;
    assert_eq!(reply.status, StatusCode::OK, "{}", reply.text());
    assert!(clears(&reply), "{:?}", reply.headers);
    other.token = Some(reply.json()["access_token"].as_str().unwrap().to_owned());
    assert!(opens(&mut browser, &cookie).await, "nobody asked for another one yet");
    // Once they ask, the browser has one cookie: that of whoever shared it has ended, and their key has not.
    let own = set_by(&with_both(&mut other, &Method::POST, "/wallet/cookie", &cookie).await);
    assert!(opens(&mut browser, &own).await && !opens(&mut browser, &cookie).await);
    assert_eq!(browser.get("/").await.text(), "Welcome back");
}

#[tokio::test]
async fn a_cookie_ends_with_its_key_and_the_browser_forgets_it() {
    for path in ["/wallet/sessions/current", "/wallet/sessions", "/wallet/device", "/wallet/me"] {
        let (shop, store) = shop_and_store();
        let (mut browser, cookie) = with_cookie(&shop).await;
        let reply = with_both(&mut browser, &Method::DELETE, path, &cookie).await;
        assert!(reply.status.is_success(), "{path}");
        assert!(clears(&reply), "{path}");
        assert_eq!(reply.headers.get_all("clear-site-data").iter().count(), 0, "the merchant's own cookies stay");
        let reply = by_cookie(&mut browser, &Method::GET, "/", &cookie).await;
        assert_eq!(reply.text(), "Hello", "{path}");
        assert!(clears(&reply) && reply.header("cache-control") == "private, no-store", "{path}");
        assert!(!format!("{store:?}").contains(&format!("cookie.{}", cookie.split('.').next().unwrap())), "{path}");
        refused(&by_cookie(&mut browser, &Method::POST, "/account", &cookie).await, 401, "invalid_dpop_proof");
    }
}

#[tokio::test]
async fn a_cookie_can_be_revoked_from_another_device_of_the_customer() {
    let shop = TestShop::new();
    let (mut browser, cookie) = with_cookie(&shop).await;
    let list = browser.get("/wallet/sessions").await.json();
    let entries = list["sessions"].as_array().unwrap();
    assert_eq!(entries.len(), 2, "the key's own, and the cookie's");
    let carried = entries.iter().find(|entry| entry["cookie"] == true).unwrap();
    assert_eq!(carried["id"], cookie.split('.').next().unwrap());
    let id = customer(&mut browser).await;
    let record = shop.merchant().customer(&id).await.unwrap().unwrap();
    record.revoke(&carried["id"].as_str().unwrap().parse().unwrap()).await.unwrap();
    assert!(!opens(&mut browser, &cookie).await);
    refused(&browser.get("/").await, 401, "invalid_token");
    let keys: Vec<BindingView> = record.bindings().await.unwrap();
    assert!(keys.iter().all(|key| key.locked));
}

#[tokio::test]
async fn a_recovery_leaves_no_cookie_of_the_browsers_that_it_signs_out() {
    let (shop, store) = shop_and_store();
    let (mut browser, cookie) = with_cookie(&shop).await;
    let id = customer(&mut browser).await;
    let record = shop.merchant().customer(&id).await.unwrap().unwrap();
    let code = record.hand_out_recovery_code().await.unwrap();
    let mut phone = browser.another();
    let reply = phone.post_json("/wallet/recovery", &json!({ "code": code.reveal() })).await;
    assert_eq!(reply.status, StatusCode::OK, "{}", reply.text());
    assert!(!opens(&mut browser, &cookie).await);
    refused(&browser.get("/").await, 401, "invalid_token");
    // Not even on the disk: should the key be opened again, nothing of before comes back with it.
    assert!(!format!("{store:?}").contains(&format!("cookie.{}", cookie.split('.').next().unwrap())));
    // Whoever came back by a code gets a cookie that says so.
    phone.token = Some(reply.json()["access_token"].as_str().unwrap().to_owned());
    let cookie = begin(&mut phone).await;
    let list = phone.get("/wallet/sessions").await.json();
    assert!(list["sessions"].as_array().unwrap().iter().all(|session| session["rung"] == "recovery_code"), "{list}");
    assert_eq!(by_cookie(&mut phone, &Method::GET, "/account", &cookie).await.text(), id.to_string());
}

#[tokio::test]
async fn the_merchants_own_page_signs_out_by_the_cookie() {
    let shop = TestShop::new();
    let (mut browser, cookie) = with_cookie(&shop).await;
    let reply = by_cookie(&mut browser, &Method::POST, "/leave", &cookie).await;
    assert_eq!(reply.text(), "bye");
    assert!(clears(&reply));
    assert!(!opens(&mut browser, &cookie).await);
    refused(&browser.get("/").await, 401, "invalid_token");
}

#[tokio::test]
async fn a_cookie_ends_idle_or_with_the_lifetime_of_the_session_that_asked() {
    const DAY_S: u64 = 24 * 3600;
    let shop = TestShop::new();
    let mut browser = cookie_browser(&shop);
    browser.sign_in("adult").await;
    for _ in 0..10 {
        shop.advance_s(DAY_S);
        browser.get("/").await;
    }
    let cookie = begin(&mut browser).await;
    for _ in 0..19 {
        shop.advance_s(DAY_S);
        assert!(opens(&mut browser, &cookie).await);
    }
    shop.advance_s(DAY_S);
    assert!(!opens(&mut browser, &cookie).await, "thirty days after the customer was recognised");

    let (mut browser, cookie) = with_cookie(&shop).await;
    shop.advance_s(7 * DAY_S - 1);
    assert!(opens(&mut browser, &cookie).await);
    shop.advance_s(7 * DAY_S);
    assert!(!opens(&mut browser, &cookie).await, "a week after its last use");
}

#[tokio::test]
async fn a_cookie_knows_what_its_session_knows_and_proves_nothing_anew() {
    let shop = TestShop::new();
    let (mut browser, cookie) = with_cookie(&shop).await;
    let payout = async |browser: &mut Browser, cookie: &str| by_cookie(browser, &Method::POST, "/payout", cookie).await;
    assert_eq!(payout(&mut browser, &cookie).await.text(), "ok");
    shop.advance_s(4 * 60);
    // Asking again, or using it, makes nothing fresher.
    let cookie = begin(&mut browser).await;
    assert_eq!(payout(&mut browser, &cookie).await.text(), "ok");
    shop.advance_s(61);
    refused(&payout(&mut browser, &cookie).await, 403, "step_up_needed");
    let cookie = begin(&mut browser).await;
    refused(&payout(&mut browser, &cookie).await, 403, "step_up_needed");
    // A key that comes back by itself shows no wallet.
    browser.token = None;
    browser.redeem(&json!({})).await;
    let cookie = begin(&mut browser).await;
    refused(&payout(&mut browser, &cookie).await, 403, "step_up_needed");
    // Who shows their wallet again gets a new cookie, and the old one ends without ever having been fresh.
    browser.sign_in("adult").await;
    refused(&payout(&mut browser, &cookie).await, 403, "step_up_needed");
    let fresh = begin(&mut browser).await;
    assert_eq!(payout(&mut browser, &fresh).await.text(), "ok");
    assert!(!opens(&mut browser, &cookie).await);
    // A wallet on another device is worth as little as it was.
    let mut other = browser.another();
    let asking = other.ask("age", Device::CrossDevice).await;
    let request = other.wallet_reads(&asking).await;
    other.wallet_answers(&request, "adult", &[]).await;
    other.redeem(&json!({ "presentation": asking.id })).await;
    let cookie = begin(&mut other).await;
    refused(&payout(&mut other, &cookie).await, 403, "step_up_needed");
    let list = other.get("/wallet/sessions").await.json();
    assert!(list["sessions"].as_array().unwrap().iter().all(|session| session["across_devices"] == true), "{list}");
}

#[tokio::test]
async fn the_script_hears_whether_a_cookie_came() {
    let shop = TestShop::new();
    let mut browser = cookie_browser(&shop);
    browser.sign_in("adult").await;
    assert_eq!(browser.get("/").await.header("firsthand-cookie"), "none");
    let cookie = begin(&mut browser).await;
    assert_eq!(with_both(&mut browser, &Method::GET, "/", &cookie).await.header("firsthand-cookie"), "there");
    assert_eq!(by_cookie(&mut browser, &Method::GET, "/", &cookie).await.header("firsthand-cookie"), "");
}

#[tokio::test]
async fn asking_for_a_cookie_is_replayed_by_nobody() {
    let shop = TestShop::new();
    let (mut browser, _) = with_cookie(&shop).await;
    let claims = browser.claims(&Method::POST, "/wallet/cookie", None);
    let headers = signed_headers(&browser, &browser.sign(&claims), None);
    let reply = browser.send(&Method::POST, "/wallet/cookie", headers.clone(), &[]).await;
    let cookie = set_by(&reply);
    let again = browser.send(&Method::POST, "/wallet/cookie", headers, &[]).await;
    refused(&again, 401, "invalid_dpop_proof");
    assert!(opens(&mut browser, &cookie).await, "and what it got stays");
    // Another key's token asks for nothing.
    let mut thief = browser.another();
    thief.token.clone_from(&browser.token);
    refused(&thief.signed(Method::POST, "/wallet/cookie", None).await, 401, "invalid_token");
}

#[tokio::test]
async fn many_sessions_of_the_key_leave_the_cookie_alone() {
    let shop = TestShop::new();
    let (mut browser, cookie) = with_cookie(&shop).await;
    for _ in 0..12 {
        shop.advance_s(1);
        browser.token = None;
        assert_eq!(browser.redeem(&json!({})).await.status, StatusCode::OK);
    }
    assert!(opens(&mut browser, &cookie).await);
    assert_eq!(sessions(&mut browser).await.len(), 9, "eight, and the cookie's");
}

/// A browser that binds sessions to its device, as the draft has it.
struct BoundDevice {
    key: SigningKey,
    cookie: String,
    session: String,
    challenge: String,
}

impl BoundDevice {
    fn proof(&self, challenge: &str) -> String {
        self.signed(&json!({"typ": "dbsc+jwt"}), challenge)
    }

    fn registering(&self, challenge: &str) -> String {
        self.signed(&json!({"typ": "dbsc+jwt", "jwk": self.key.public_key().to_jwk()}), challenge)
    }

    fn signed(&self, header: &Value, challenge: &str) -> String {
        self.key.sign_jws(header.as_object().unwrap(), &json!({ "jti": challenge })).unwrap()
    }

    async fn refresh(&self, browser: &mut Browser, proof: Option<&str>) -> Reply {
        refresh(browser, &self.session, proof).await
    }

    /// Takes what an answer brings.
    fn take(&mut self, reply: &Reply) {
        assert_eq!(reply.status, StatusCode::OK, "{}", reply.text());
        self.cookie = set_by(reply);
        self.challenge = challenge_of(reply);
    }
}

/// The challenge of an answer, which names a session.
fn challenge_of(reply: &Reply) -> String {
    let header = reply.header("secure-session-challenge");
    let (challenge, id) = header.strip_prefix('"').unwrap().split_once("\";id=\"").unwrap();
    assert_eq!(id.len(), 23, "{header}");
    challenge.to_owned()
}

async fn refresh(browser: &mut Browser, session: &str, proof: Option<&str>) -> Reply {
    let mut headers = vec![("sec-secure-session-id", format!("\"{session}\""))];
    headers.extend(proof.map(|proof| ("secure-session-response", format!("\"{proof}\""))));
    let headers: Vec<(&str, &str)> = headers.iter().map(|(name, value)| (*name, value.as_str())).collect();
    browser.plain(&Method::POST, "/wallet/dbsc/refresh", &headers, &[]).await
}

async fn register(browser: &mut Browser, cookie: &str, proof: &str) -> Reply {
    let (cookie, proof) = (format!("{NAME}={cookie}"), format!("\"{proof}\""));
    let headers = [("cookie", cookie.as_str()), ("secure-session-response", proof.as_str())];
    browser.plain(&Method::POST, "/wallet/dbsc/registration", &headers, &[]).await
}

/// A browser that was asked to bind its device: not done yet.
async fn to_bind(browser: &mut Browser) -> BoundDevice {
    let reply = browser.signed(Method::POST, "/wallet/cookie", None).await;
    let registration = reply.header("secure-session-registration").to_owned();
    let challenge = registration.split("challenge=\"").nth(1).unwrap().trim_end_matches('"').to_owned();
    let cookie = set_by(&reply);
    let session = cookie.split('.').next().unwrap().to_owned();
    BoundDevice { key: SigningKey::from_p256_scalar(&[7; 32]).unwrap(), cookie, session, challenge }
}

async fn bound(shop: &TestShop) -> (Browser, BoundDevice) {
    let mut browser = cookie_browser(shop);
    browser.sign_in("adult").await;
    let mut device = to_bind(&mut browser).await;
    let proof = device.registering(&device.challenge);
    let reply = register(&mut browser, &device.cookie.clone(), &proof).await;
    device.take(&reply);
    (browser, device)
}

#[tokio::test]
async fn a_bound_cookie_is_told_as_the_draft_has_it_on_every_store() {
    on_every_store("a bound cookie", async |shop| {
        let mut browser = cookie_browser(&shop);
        browser.sign_in("adult").await;
        let mut device = to_bind(&mut browser).await;
        let (long, proof) = (device.cookie.clone(), device.registering(&device.challenge));
        let reply = register(&mut browser, &long, &proof).await;
        device.take(&reply);
        assert_eq!(
            reply.json(),
            json!({
                "session_identifier": device.session,
                "refresh_url": "/wallet/dbsc/refresh",
                "scope": { "origin": ORIGIN, "include_site": false },
                "credentials": [{ "type": "cookie", "name": NAME, "attributes": "Secure; HttpOnly; SameSite=Lax; Path=/" }],
            })
        );
        let set = format!("{NAME}={}; Secure; HttpOnly; SameSite=Lax; Path=/; Max-Age=600", device.cookie);
        assert_eq!(reply.header("set-cookie"), set);
        assert_eq!(reply.header("cross-origin-resource-policy"), "same-origin");
        assert_eq!(reply.header("cache-control"), "private, no-store");
        assert_eq!(device.cookie.split('.').next(), long.split('.').next(), "the same session");
        assert!(opens(&mut browser, &device.cookie).await && opens(&mut browser, &long).await, "under way");
        shop.advance_s(61);
        assert!(!opens(&mut browser, &long).await, "the long one is over");

        // Ten minutes at a time, and a minute for what is under way.
        shop.advance_s(599);
        assert!(opens(&mut browser, &device.cookie).await);
        shop.advance_s(1);
        assert!(!opens(&mut browser, &device.cookie).await);
        // The challenge that came with it is over by now, too: the browser gets another.
        let reply = device.refresh(&mut browser, Some(&device.proof(&device.challenge))).await;
        refused(&reply, 403, "device_proof_needed");
        assert!(reply.headers.get("set-cookie").is_none());
        let reply = device.refresh(&mut browser, Some(&device.proof(&challenge_of(&reply)))).await;
        device.take(&reply);
        assert!(reply.header("set-cookie").ends_with("; Max-Age=600"));
        assert!(opens(&mut browser, &device.cookie).await);
        // In time, the challenge that came along does at once.
        shop.advance_s(600);
        let reply = device.refresh(&mut browser, Some(&device.proof(&device.challenge))).await;
        device.take(&reply);
        assert!(opens(&mut browser, &device.cookie).await);
    })
    .await;
}

#[tokio::test]
async fn a_device_is_bound_by_nothing_but_its_own_proof_of_our_challenge() {
    let shop = TestShop::new();
    let mut browser = cookie_browser(&shop);
    browser.sign_in("adult").await;
    let device = to_bind(&mut browser).await;
    let stranger =
        BoundDevice { key: SigningKey::from_p256_scalar(&[8; 32]).unwrap(), ..to_bind(&mut browser.clone()).await };
    // The second asking ended the first: this one is about the second.
    let device = BoundDevice {
        cookie: stranger.cookie.clone(),
        challenge: stranger.challenge.clone(),
        session: stranger.session.clone(),
        ..device
    };
    let cookie = device.cookie.clone();
    let jwk = device.key.public_key().to_jwk();
    let plain = |text: Value| firsthand::protocol::jose::base64url_encode(text.to_string().as_bytes());
    let none = format!(
        "{}.{}.",
        plain(json!({"typ": "dbsc+jwt", "alg": "none", "jwk": jwk})),
        plain(json!({"jti": device.challenge}))
    );
    let edwards = SigningKey::from_ed25519_seed(&[7; 32]).unwrap();
    let header = json!({"typ": "dbsc+jwt", "jwk": edwards.public_key().to_jwk()});
    let edwards = edwards.sign_jws(header.as_object().unwrap(), &json!({"jti": device.challenge})).unwrap();
    for (why, proof) in [
        ("alg none", none),
        ("another algorithm", edwards),
        ("no key", device.proof(&device.challenge)),
        (
            "another's key",
            device.signed(&json!({"typ": "dbsc+jwt", "jwk": stranger.key.public_key().to_jwk()}), &device.challenge),
        ),
        ("another type", device.signed(&json!({"typ": "dpop+jwt", "jwk": jwk}), &device.challenge)),
        ("another challenge", device.registering("AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA")),
        ("a DPoP nonce", device.registering(&shop.merchant().nonce())),
        ("nothing", "x".to_owned()),
    ] {
        refused(&register(&mut browser, &cookie, &proof).await, 401, "invalid_device_proof");
        assert!(opens(&mut browser, &cookie).await, "{why}");
    }
    let line = format!("{NAME}={cookie}");
    let reply = browser.plain(&Method::POST, "/wallet/dbsc/registration", &[("cookie", &line)], &[]).await;
    refused(&reply, 401, "invalid_device_proof");
    let good = device.registering(&device.challenge);
    for nobody in ["unknown", &format!("{}.{}", "A".repeat(22), "A".repeat(43))] {
        refused(&register(&mut browser, nobody, &good).await, 401, "invalid_token");
    }
    // Another session's challenge, and one from too long ago.
    let mut other = browser.another();
    other.sign_in("national").await;
    let theirs = to_bind(&mut other).await;
    refused(
        &register(&mut browser, &cookie, &device.registering(&theirs.challenge)).await,
        401,
        "invalid_device_proof",
    );
    shop.advance_s(661);
    refused(&register(&mut browser, &cookie, &good).await, 401, "invalid_device_proof");
    assert!(opens(&mut browser, &cookie).await, "nothing was bound");
}

#[tokio::test]
async fn a_session_is_bound_once_and_for_good() {
    let shop = TestShop::new();
    let mut browser = cookie_browser(&shop);
    browser.sign_in("adult").await;
    let mut device = to_bind(&mut browser).await;
    let (long, first) = (device.cookie.clone(), device.registering(&device.challenge));
    let reply = register(&mut browser, &long, &first).await;
    device.take(&reply);
    // Replayed, or by a thief who has the cookie of before or of now: refused.
    let thief = BoundDevice {
        key: SigningKey::from_p256_scalar(&[9; 32]).unwrap(),
        cookie: String::new(),
        session: String::new(),
        challenge: String::new(),
    };
    for cookie in [&long, &device.cookie] {
        for proof in [&first, &device.registering(&device.challenge), &thief.registering(&device.challenge)] {
            refused(&register(&mut browser, cookie, proof).await, 409, "already_bound");
        }
    }
    // Whoever was bound once never has a long cookie again: the next one is short even before it is bound.
    let reply = browser.signed(Method::POST, "/wallet/cookie", None).await;
    assert!(reply.header("set-cookie").ends_with("; Max-Age=600"), "{:?}", reply.headers);
    let next = set_by(&reply);
    assert!(opens(&mut browser, &next).await && !opens(&mut browser, &device.cookie).await);
    shop.advance_s(661);
    assert!(!opens(&mut browser, &next).await);
    let again = browser.signed(Method::POST, "/wallet/cookie", None).await;
    assert!(again.header("set-cookie").ends_with("; Max-Age=600"));
}

#[tokio::test]
async fn a_bound_cookie_is_renewed_by_its_own_device_alone_and_each_challenge_once() {
    let shop = TestShop::new();
    let (mut browser, mut device) = bound(&shop).await;
    let wrong = BoundDevice {
        key: SigningKey::from_p256_scalar(&[9; 32]).unwrap(),
        cookie: String::new(),
        session: device.session.clone(),
        challenge: String::new(),
    };
    let plain = |text: Value| firsthand::protocol::jose::base64url_encode(text.to_string().as_bytes());
    let none =
        format!("{}.{}.", plain(json!({"typ": "dbsc+jwt", "alg": "none"})), plain(json!({"jti": device.challenge})));
    for (why, proof) in [
        ("the wrong key", wrong.proof(&device.challenge)),
        ("a key of its own choice", wrong.registering(&device.challenge)),
        ("the key shown again", device.registering(&device.challenge)),
        ("alg none", none),
        ("another type", device.signed(&json!({"typ": "JWT"}), &device.challenge)),
    ] {
        refused(&device.refresh(&mut browser, Some(&proof)).await, 401, "invalid_device_proof");
        assert!(opens(&mut browser, &device.cookie).await, "{why}");
    }
    // No proof, and proofs of challenges that are none of now: another one.
    let old = device.challenge.clone();
    for proof in [None, Some(device.proof("AAAA")), Some(device.proof(&shop.merchant().nonce()))] {
        refused(&device.refresh(&mut browser, proof.as_deref()).await, 403, "device_proof_needed");
    }
    let used = device.proof(&old);
    let (before, reply) = (device.cookie.clone(), device.refresh(&mut browser, Some(&used)).await);
    device.take(&reply);
    assert_ne!(before, device.cookie);
    // What was captured renews nothing a second time, nor does the challenge in a new proof.
    for replayed in [used, device.proof(&old)] {
        refused(&device.refresh(&mut browser, Some(&replayed)).await, 403, "device_proof_needed");
    }
    assert!(opens(&mut browser, &device.cookie).await);
    // The stolen cookie of before is over in a minute, whatever its thief does.
    shop.advance_s(61);
    assert!(!opens(&mut browser, &before).await && opens(&mut browser, &device.cookie).await);
}

#[tokio::test]
async fn only_a_session_that_is_bound_is_renewed_and_only_while_its_key_may() {
    let shop = TestShop::new();
    let (mut browser, device) = bound(&shop).await;
    let mut other = browser.another();
    other.sign_in("national").await;
    let unbound = to_bind(&mut other).await;
    let proof = device.proof(&device.challenge);
    for session in [unbound.session.as_str(), "AAAAAAAAAAAAAAAAAAAAAA", "x", &"A".repeat(500)] {
        refused(&refresh(&mut browser, session, Some(&proof)).await, 404, "no_such_session");
    }
    refused(&browser.plain(&Method::POST, "/wallet/dbsc/refresh", &[], &[]).await, 404, "no_such_session");
    let twice = format!("\"{}\"", device.session);
    let mut headers = http::HeaderMap::new();
    for _ in 0..2 {
        headers.append(HeaderName::from_static("sec-secure-session-id"), HeaderValue::try_from(&twice).unwrap());
    }
    refused(&browser.send(&Method::POST, "/wallet/dbsc/refresh", headers, &[]).await, 400, "invalid_request");
    // Signed out: the device proves itself in vain, and its browser forgets the session.
    browser.delete("/wallet/sessions/current").await;
    let reply = device.refresh(&mut browser, Some(&proof)).await;
    refused(&reply, 404, "no_such_session");
    assert!(reply.headers.get("set-cookie").is_none());
    assert!(!opens(&mut browser, &device.cookie).await);
}

#[tokio::test]
async fn another_node_goes_on_with_cookie_and_challenge() {
    let (shop, store): (TestShop, Memory) = shop_and_store();
    let (mut here, device) = bound(&shop).await;
    let elsewhere = node(&shop, store);
    let mut there = Browser::new(&shop, cookie_app(&elsewhere));
    assert!(opens(&mut there, &device.cookie).await);
    let reply = device.refresh(&mut there, Some(&device.proof(&device.challenge))).await;
    assert!(opens(&mut here, &set_by(&reply)).await);
}
