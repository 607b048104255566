//! What a browser gets from us: it contacts nobody else, sets no cookie, and is small.

use std::{collections::BTreeSet, io::Write};

use firsthand_axum::{
    Device,
    testing::{Browser, TestShop, wallet::Fault},
};
use flate2::{Compression, write::GzEncoder};
use http::Method;

use crate::sources::{files, read, rust};

/// What each script may weigh on the wire.
const SCRIPTS_GZIPPED_MAX: [(&str, usize); 3] = [("firsthand.js", 20_000), ("account.js", 15_000), ("dc.js", 3_000)];

#[test]
fn nothing_that_is_served_names_another_host() {
    let served = files(
        &["middleware/src/web", "middleware/src/web.rs", "examples/existing-shop/src", "examples/storefront/src"],
        &[".js", ".css", ".html", ".svg", "web.rs", "meet.rs", "page.rs", "pages.rs", "picture.rs"],
    );
    assert!(served.len() >= 6, "{}", served.len());
    for source in served {
        // Names that are written as addresses, and fetched by nobody.
        let text = source.text.replace("http://www.w3.org/2000/svg", "").replace("http://www.w3.org/1999/xhtml", "");
        for forbidden in ["http://", "https://", "=\"//", "='//", "url(//", "@import", "@font-face", "wss://", "ws://"]
        {
            assert!(!text.contains(forbidden), "{} has {forbidden}", source.path);
        }
    }
}

#[test]
fn nobody_sets_or_reads_a_cookie() {
    for source in rust("sdk/src").iter().chain(&rust("middleware/src")) {
        // A shop that chose `host_cookie()` has one: read, set and cleared in one file, which no other shop reaches.
        if source.path == "middleware/src/cookie.rs" {
            continue;
        }
        let found = source.naming(&["SET_COOKIE", "COOKIE", "CookieJar"]);
        assert!(found.is_empty(), "{}", found.join("\n"));
        let text = source.text.split("#[cfg(test)]\nmod tests {").next().unwrap();
        let code: String = text.lines().filter(|line| !line.trim_start().starts_with(['/', '('])).collect();
        assert!(!code.to_ascii_lowercase().contains("set-cookie"), "{}", source.path);
    }
    assert!(read("middleware/src/layer.rs").contains("host_cookie: false,"), "no shop has a cookie unless it says so");
    for source in files(&["middleware/src/web", "examples/storefront/src"], &[".js"]) {
        for forbidden in ["document.cookie", "cookieStore", "localStorage"] {
            assert!(!source.text.contains(forbidden), "{} has {forbidden}", source.path);
        }
    }
}

#[test]
fn the_public_address_is_never_taken_from_a_request() {
    for source in rust("middleware/src").iter().filter(|source| !source.path.contains("/testing")) {
        let text = source.text.split("#[cfg(test)]\nmod tests {").next().unwrap();
        let code: String = text.lines().filter(|line| !line.trim_start().starts_with("//")).collect();
        let code = code.to_ascii_lowercase();
        for header in ["x-forwarded-host", "x-forwarded-proto", "x-original-host", "\"forwarded\"", "header::forwarded"]
        {
            assert!(!code.contains(header), "{} reads {header}", source.path);
        }
        // The development wallet compares `Host` with loopback, to refuse; nobody else looks at it.
        let may = source.path.contains("dev_wallet");
        assert!(may || !(code.contains("header::host") || code.contains("\"host\"")), "{} reads Host", source.path);
    }
}

#[tokio::test]
async fn the_scripts_are_small_and_work_under_a_strict_policy() {
    for (name, max) in SCRIPTS_GZIPPED_MAX {
        let script = served(&format!("/wallet/{name}")).await;
        let mut gzip = GzEncoder::new(Vec::new(), Compression::default());
        gzip.write_all(script.as_bytes()).unwrap();
        let weight = gzip.finish().unwrap().len();
        println!("{name}: {} bytes, {weight} gzipped", script.len());
        assert!(weight < max, "{name}: {weight} bytes gzipped, and {max} are allowed");
        for forbidden in ["eval(", "new Function", "innerHTML", "document.write", "setAttribute('style'", "import("] {
            // The one that the first loads where it is of use is named where it is loaded, for a policy's nonce and for readers.
            let script = script.replace("import('./dc.js')", "");
            assert!(!script.contains(forbidden), "{name} has {forbidden}");
        }
        // No build step: what is sent is what is written, without the lines that are comment.
        let written = read(&format!("middleware/src/web/{name}"));
        assert_eq!(script.lines().count(), written.lines().count());
        assert!(script.lines().zip(written.lines()).all(|(sent, written)| sent.is_empty() || sent == written));
    }
    // The first imports nothing, and exports what a page needs; the others import the first alone.
    let first = served("/wallet/firsthand.js").await;
    assert!(!first.lines().any(|line| line.starts_with("import ")) && first.contains("\nexport "));
    for other in ["account.js", "dc.js"] {
        let other = served(&format!("/wallet/{other}")).await;
        assert_eq!(other.matches(" from '").count(), other.matches(" from './firsthand.js';").count());
    }
}

/// A wallet follows no redirect, and must not be led to post its answer elsewhere (OpenID4VP 1.0, 8.2).
#[tokio::test]
async fn row_27_what_a_wallet_posts_to_never_redirects() {
    let shop = TestShop::new();
    let mut browser = browser(&shop);
    let asking = browser.ask("age", Device::SameDevice).await;
    let request = browser.wallet_reads(&asking).await;
    let form = [("content-type", "application/x-www-form-urlencoded")];
    let known = request.response_uri.path().to_owned();
    for path in [known.clone(), format!("{known}/"), known.replace("/responses", "//responses"), known.to_uppercase()] {
        for body in ["", "response=x", "error=access_denied"] {
            let reply = browser.plain(&Method::POST, &path, &form, body.as_bytes()).await;
            assert!(!reply.status.is_redirection() && reply.header("location").is_empty(), "{path} {body}");
        }
    }
}

#[tokio::test]
async fn row_129_a_wallet_is_told_the_same_whatever_was_wrong() {
    let shop = TestShop::new();
    let mut browser = browser(&shop);
    let mut told = BTreeSet::new();
    for fault in [Fault::WrongNonce, Fault::WrongAudience, Fault::WrongSdHash] {
        let asking = browser.ask("age", Device::SameDevice).await;
        let request = browser.wallet_reads(&asking).await;
        let reply = browser.wallet_answers(&request, "adult", &[fault]).await;
        assert_eq!(reply.status, 400);
        told.insert(reply.told());
    }
    assert_eq!(told.len(), 1, "{told:?}");
}

fn browser(shop: &TestShop) -> Browser {
    let app: axum::Router = firsthand_axum::routes(shop.merchant());
    Browser::new(shop, app.layer(firsthand_axum::CustomerLayer::new(shop.merchant().clone())))
}

/// A file as the router serves it.
async fn served(path: &str) -> String {
    use http_body_util::BodyExt;
    use tower::ServiceExt;

    let shop = TestShop::new();
    let app: axum::Router = firsthand_axum::routes(shop.merchant());
    let request = http::Request::get(path).body(axum::body::Body::empty()).unwrap();
    let answer = app.oneshot(request).await.unwrap();
    assert_eq!(answer.status(), 200, "{path}");
    assert!(!answer.headers().contains_key(http::header::SET_COOKIE));
    String::from_utf8(answer.into_body().collect().await.unwrap().to_bytes().to_vec()).unwrap()
}
