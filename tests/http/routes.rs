//! The edges of our own routes: types, sizes, members, names, methods, and the files for browsers.

use firsthand::Device;
use firsthand_axum::testing::{Browser, Reply, TestShop};
use http::{Method, StatusCode};
use serde_json::json;

use crate::setting::{browser, refused};

const ASK: &str = r#"{"ask":"age","flow":"same_device"}"#;
const FORM: &str = "application/x-www-form-urlencoded";

/// A signed POST of this text, once more if a nonce is missing.
async fn post(browser: &mut Browser, path: &str, media_type: &str, body: &str) -> Reply {
    browser.signed(Method::POST, path, Some((media_type, body.as_bytes()))).await
}

/// A refusal after which a browser can go on: it brings the nonce of the next proof, and is in no cache.
#[track_caller]
fn refused_and_refreshed(reply: &Reply, status: u16, code: &str) {
    refused(reply, status, code);
    assert!(!reply.header("dpop-nonce").is_empty() && !reply.header("date").is_empty());
    assert_eq!(reply.header("cache-control"), "private, no-store");
}

#[tokio::test]
async fn bodies_have_the_type_that_they_should_have() {
    let shop = TestShop::new();
    let mut browser = browser(&shop);
    for path in ["/wallet/presentations", "/wallet/sessions"] {
        for media_type in ["text/plain", FORM, "application/jsonp", "application/json+x", "json", ""] {
            refused_and_refreshed(&post(&mut browser, path, media_type, ASK).await, 415, "unsupported_media_type");
        }
    }
    for media_type in
        ["application/json", "Application/JSON", "application/json; charset=utf-8", "application/json ;a=b"]
    {
        let reply = post(&mut browser, "/wallet/presentations", media_type, ASK).await;
        assert_eq!(reply.status, StatusCode::CREATED, "{media_type} {}", reply.text());
    }
    let asking = browser.ask("age", Device::SameDevice).await;
    for path in [asking.request_uri.clone(), asking.request_uri.replace("requests", "responses")] {
        let path = path.strip_prefix("https://shop.example").unwrap();
        for media_type in ["application/json", "text/plain", "multipart/form-data; boundary=x"] {
            let reply = browser.plain(&Method::POST, path, &[("content-type", media_type)], b"wallet_nonce=n").await;
            refused(&reply, 415, "unsupported_media_type");
        }
        refused(&browser.plain(&Method::POST, path, &[], b"wallet_nonce=n").await, 415, "unsupported_media_type");
    }
}

#[tokio::test]
async fn row_130_bodies_have_an_end() {
    let shop = TestShop::new();
    let mut browser = browser(&shop);
    let long =
        |bytes: usize| format!("{{\"ask\":\"age\",\"flow\":\"same_device\",\"x\":\"{}\"}}", "a".repeat(bytes - 41));
    assert_eq!(long(8 * 1024).len(), 8 * 1024);
    for path in ["/wallet/presentations", "/wallet/sessions"] {
        let reply = post(&mut browser, path, "application/json", &long(8 * 1024 + 1)).await;
        refused_and_refreshed(&reply, 413, "body_too_large");
    }
    let reply = post(&mut browser, "/wallet/presentations", "application/json", &long(8 * 1024)).await;
    assert_eq!(reply.status, StatusCode::CREATED, "{}", reply.text());

    let asking = browser.ask("age", Device::SameDevice).await;
    let fetched = asking.request_uri.strip_prefix("https://shop.example").unwrap();
    let answered = fetched.replace("requests", "responses");
    for (path, bytes) in [(fetched, 64 * 1024 + 1), (answered.as_str(), 256 * 1024 + 1)] {
        let reply = browser.plain(&Method::POST, path, &[("content-type", FORM)], &vec![b'a'; bytes]).await;
        refused(&reply, 413, "body_too_large");
    }
    for path in ["/wallet/me", "/wallet/sessions", "/wallet/sessions/current", "/wallet/device"] {
        let long = vec![b'a'; 3 * 1024 * 1024];
        let reply = browser.signed(Method::DELETE, path, Some(("application/json", &long))).await;
        refused_and_refreshed(&reply, 413, "body_too_large");
    }
}

#[tokio::test]
async fn what_is_not_the_json_that_it_should_be_is_refused_with_a_nonce() {
    let shop = TestShop::new();
    let mut browser = browser(&shop);
    let deep = format!("{{\"ask\":\"age\",\"flow\":\"same_device\",\"x\":{}{}}}", "[".repeat(3_000), "]".repeat(3_000));
    for body in [
        "",
        "x",
        "{",
        "[]",
        "null",
        "7",
        "\"ask\"",
        "{}",
        "\u{feff}{\"ask\":\"age\",\"flow\":\"same_device\"}",
        r#"{"ask":"age","flow":"same_device"}x"#,
        r#"{"ask":"age","flow":"same_device",}"#,
        r#"{'ask':'age','flow':'same_device'}"#,
        r#"{"ask":"age","flow":"same_device","ask":"age"}"#,
        r#"{"ask":"address","flow":"same_device","\u0061sk":"age"}"#,
        r#"{"ask":"age","flow":"same_device","x":{"a":1,"a":2}}"#,
        r#"{"ask":"age","flow":"same_device","x":NaN}"#,
        r#"{"ask":"age","flow":"same_device","x":"\ud800"}"#,
        r#"{"ask":"age"}"#,
        r#"{"flow":"same_device"}"#,
        r#"{"ask":"age","flow":"sameDevice"}"#,
        r#"{"ask":"age","flow":"SAME_DEVICE"}"#,
        r#"{"ask":["age"],"flow":"same_device"}"#,
        r#"{"ask":null,"flow":"same_device"}"#,
        &deep,
    ] {
        let reply = post(&mut browser, "/wallet/presentations", "application/json", body).await;
        refused_and_refreshed(&reply, 400, "invalid_request");
    }
    for body in [
        "",
        "x",
        "[]",
        "null",
        r#"{"presentation":7}"#,
        r#"{"presentation":["x"]}"#,
        r#"{"response_code":"x"}"#,
        r#"{"presentation":"x","presentation":"x"}"#,
    ] {
        let reply = post(&mut browser, "/wallet/sessions", "application/json", body).await;
        refused_and_refreshed(&reply, 400, "invalid_request");
    }
    for (body, invalid_utf8) in [(&b"{\"ask\":\"\xff\",\"flow\":\"same_device\"}"[..], true), (ASK.as_bytes(), false)] {
        let reply = browser.signed(Method::POST, "/wallet/presentations", Some(("application/json", body))).await;
        assert_eq!(reply.status == StatusCode::BAD_REQUEST, invalid_utf8, "{}", reply.text());
    }
    // Members that we do not know are no reason to refuse: a newer script may send them.
    let reply = post(
        &mut browser,
        "/wallet/presentations",
        "application/json",
        r#"{"ask":"age","flow":"same_device","new":[1]}"#,
    );
    assert_eq!(reply.await.status, StatusCode::CREATED);
}

#[tokio::test]
async fn what_is_not_declared_is_not_asked() {
    let shop = TestShop::new();
    let mut browser = browser(&shop);
    for ask in ["", "Age", "age ", "name", "../age", "age\u{0}", "__proto__"] {
        let reply = browser.post_json("/wallet/presentations", &json!({ "ask": ask, "flow": "same_device" })).await;
        refused_and_refreshed(&reply, 404, "no_such_ask");
    }
}

#[tokio::test]
async fn row_129_a_name_that_is_foreign_answers_like_one_that_never_was() {
    let shop = TestShop::new();
    let mut browser = browser(&shop);
    let mut other = browser.another();
    let foreign = other.ask("age", Device::SameDevice).await;
    let absent = "A".repeat(43);
    let reply = browser.get(&format!("/wallet/presentations/{absent}")).await;
    refused_and_refreshed(&reply, 404, "no_such_presentation");
    for name in [
        foreign.id.as_str(),
        "x",
        "%00",
        "%2e%2e%2f",
        "%ff",
        &"A".repeat(42),
        &"A".repeat(44),
        &"a".repeat(4_000),
        &format!("{}%20", "A".repeat(42)),
    ] {
        let same = browser.get(&format!("/wallet/presentations/{name}")).await;
        assert_eq!((same.status, same.told()), (reply.status, reply.told()), "{name}");
        let events = browser.get(&format!("/wallet/presentations/{name}/events")).await;
        assert_eq!((events.status, events.told()), (reply.status, reply.told()), "{name}");
        if name == foreign.id {
            continue;
        }
        let redeemed = browser.redeem(&json!({ "presentation": name })).await;
        refused_and_refreshed(&redeemed, 404, "no_such_presentation");
        for (method, path) in [(Method::GET, "requests"), (Method::POST, "requests"), (Method::POST, "responses")] {
            let path = format!("/wallet/{path}/{name}");
            let reply = browser.plain(&method, &path, &[("content-type", FORM)], b"error=access_denied").await;
            refused(&reply, 404, "no_such_presentation");
        }
    }
}

#[tokio::test]
async fn each_route_has_its_methods() {
    let shop = TestShop::new();
    let mut browser = browser(&shop);
    for (path, allowed) in [
        ("/wallet/presentations", "POST"),
        ("/wallet/presentations/x", "GET,HEAD,DELETE"),
        ("/wallet/presentations/x/events", "GET,HEAD"),
        ("/wallet/requests/x", "GET,HEAD,POST"),
        ("/wallet/responses/x", "POST"),
        ("/wallet/return/x", "GET,HEAD"),
        ("/wallet/sessions", "POST,GET,HEAD,DELETE"),
        ("/wallet/sessions/x", "DELETE"),
        ("/wallet/me", "GET,HEAD,DELETE"),
        ("/wallet/device", "DELETE,PUT"),
        ("/wallet/events", "GET,HEAD"),
        ("/wallet/cookie", "POST"),
        ("/wallet/dbsc/registration", "POST"),
        ("/wallet/dbsc/refresh", "POST"),
        ("/wallet/firsthand.js", "GET,HEAD"),
        ("/wallet/page.css", "GET,HEAD"),
    ] {
        let others = [Method::OPTIONS, Method::PUT, Method::PATCH, Method::TRACE];
        for method in others.into_iter().filter(|method| !allowed.split(',').any(|one| one == method.as_str())) {
            let reply = browser.plain(&method, path, &[("origin", "https://evil.example")], &[]).await;
            assert_eq!(reply.status, StatusCode::METHOD_NOT_ALLOWED, "{method} {path}");
            let mut says: Vec<&str> = reply.header("allow").split(',').collect();
            let mut expected: Vec<&str> = allowed.split(',').collect();
            says.sort_unstable();
            expected.sort_unstable();
            assert_eq!(says, expected, "{path}");
            assert!(!reply.headers.keys().any(|name| name.as_str().starts_with("access-control")), "{path}");
        }
    }
    for path in ["/wallet", "/wallet/", "/wallet/nothing", "/wallet/me/", "/wallet/me/more", "/wallet//me", "/walletme"]
    {
        assert_eq!(browser.get(path).await.status, StatusCode::NOT_FOUND, "{path}");
    }
}

#[tokio::test]
async fn a_head_answers_like_a_get_without_its_body() {
    let shop = TestShop::new();
    let mut browser = browser(&shop);
    let asking = browser.ask("age", Device::SameDevice).await;
    browser.sign_in("adult").await;
    let state = format!("/wallet/presentations/{}", asking.id);
    for path in ["/wallet/me", "/wallet/sessions", state.as_str(), "/", "/account"] {
        let (get, head) = (browser.get(path).await, browser.signed(Method::HEAD, path, None).await);
        assert_eq!((head.status, head.body.len()), (StatusCode::OK, 0), "{path}");
        for name in ["content-type", "cache-control", "vary"] {
            assert_eq!(head.header(name), get.header(name), "{path} {name}");
        }
    }
}

#[tokio::test]
async fn the_files_for_browsers_are_kept_until_they_change() {
    let shop = TestShop::new();
    let mut browser = browser(&shop);
    for (path, media_type) in
        [("/wallet/firsthand.js", "text/javascript; charset=utf-8"), ("/wallet/page.css", "text/css; charset=utf-8")]
    {
        let reply = browser.plain(&Method::GET, path, &[], &[]).await;
        assert_eq!((reply.status, reply.header("content-type")), (StatusCode::OK, media_type));
        assert_eq!(reply.header("x-content-type-options"), "nosniff");
        assert_eq!(reply.header("cache-control"), "no-cache");
        assert_eq!(reply.header("vary"), "", "the same for everybody");
        assert!(reply.body.len() > 500);
        let etag = reply.header("etag").to_owned();
        assert!(etag.starts_with('"') && etag.ends_with('"') && etag.len() > 10, "{etag}");

        for known in [etag.clone(), format!("W/{etag}"), format!("\"other\", {etag}"), "*".to_owned()] {
            let fresh = browser.plain(&Method::GET, path, &[("if-none-match", &known)], &[]).await;
            assert_eq!((fresh.status, fresh.body.len()), (StatusCode::NOT_MODIFIED, 0), "{known}");
            assert_eq!(fresh.header("etag"), etag);
        }
        for other in ["\"other\"", "x", ""] {
            let again = browser.plain(&Method::GET, path, &[("if-none-match", other)], &[]).await;
            assert_eq!((again.status, &again.body), (StatusCode::OK, &reply.body), "{other}");
        }
        let head = browser.plain(&Method::HEAD, path, &[], &[]).await;
        assert_eq!((head.status, head.header("etag"), head.body.len()), (StatusCode::OK, etag.as_str(), 0));
    }
}

#[tokio::test]
async fn row_05_the_page_that_a_wallet_leads_back_to_is_the_same_for_everybody() {
    let shop = TestShop::new();
    let mut browser = browser(&shop);
    let asking = browser.ask("age", Device::SameDevice).await;
    let paths = [format!("/wallet/return/{}", asking.id), "/wallet/return/never-was".to_owned()];
    let mut pages = Vec::new();
    for path in &paths {
        let reply = browser.plain(&Method::GET, path, &[("sec-fetch-mode", "navigate")], &[]).await;
        assert_eq!(reply.status, StatusCode::OK);
        assert_eq!(reply.header("referrer-policy"), "no-referrer", "the address is a secret");
        assert_eq!(reply.header("cache-control"), "private, no-store");
        assert_eq!(reply.header("x-content-type-options"), "nosniff");
        let policy = reply.header("content-security-policy");
        assert!(policy.contains("default-src 'none'") && policy.contains("frame-ancestors 'none'"), "{policy}");
        assert!(!reply.text().contains(&asking.id));
        pages.push(reply.text());
    }
    assert_eq!(pages[0], pages[1]);
    let german = browser.plain(&Method::GET, &paths[0], &[("accept-language", "de")], &[]).await;
    assert!(german.text().contains("lang=\"de\""));
}

#[tokio::test]
async fn row_27_no_answer_to_a_wallet_is_a_redirect() {
    let shop = TestShop::new();
    let mut browser = browser(&shop);
    let (asking, _) = crate::setting::answered(&mut browser, "age", Device::SameDevice, "adult").await;
    let path = asking.request_uri.strip_prefix("https://shop.example").unwrap();
    let again = browser.plain(&Method::GET, path, &[], &[]).await;
    refused(&again, 409, "already_answered");
    assert_eq!(again.header("location"), "");
}

#[tokio::test]
async fn an_answer_to_an_ask_has_what_a_page_needs() {
    let shop = TestShop::new();
    let mut browser = browser(&shop);
    let reply = post(&mut browser, "/wallet/presentations", "application/json", ASK).await;
    assert_eq!(reply.status, StatusCode::CREATED);
    let body = reply.json();
    let mut members: Vec<&String> = body.as_object().unwrap().keys().collect();
    members.sort();
    assert_eq!(members, ["expires_in", "id", "request_uri", "wallet_uri", "wallets"]);
    assert_eq!(body["expires_in"], 300);
    assert_eq!(body["id"].as_str().unwrap().len(), 43, "256 bits");
    let uri = body["wallet_uri"].as_str().unwrap();
    assert!(uri.starts_with("openid4vp://?client_id=x509_hash%3A"), "{uri}");
    assert!(uri.contains("&request_uri=https%3A%2F%2Fshop.example%2Fwallet%2Frequests%2F"), "{uri}");
    assert!(uri.contains("&request_uri_method=post"), "{uri}");
    assert_eq!(body["wallets"][0]["name"], "Test Wallet");
    assert!(body["wallets"][0]["url"].as_str().unwrap().starts_with("https://wallet.example/authorize?client_id="));
}
