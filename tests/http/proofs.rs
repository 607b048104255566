//! The proof of possession over HTTP: every check of RFC 9449, 4.3, the nonce, reuse, and the body.

use axum::body::Body;
use axum::extract::Request;
use firsthand::{
    Device, Error,
    env::Env,
    error::ProofError,
    merchant::ProofRequest,
    protocol::{
        dpop::content_digest,
        jose::{SigningKey, base64url_encode},
    },
};
use firsthand_axum::testing::{Browser, Reply, TestShop};
use http::{HeaderValue, Method, StatusCode};
use http_body_util::BodyExt;
use serde_json::{Map, Value, json};

use crate::setting::{
    app, bent, browser, led_to, node, node_with, on_every_store, refused, rotated_keys, send_claims, send_raw,
    shop_and_store, signed_headers,
};

/// Where proofs are checked by the layer, and where our own routes check them.
const PLACES: [(Method, &str); 3] =
    [(Method::GET, "/account"), (Method::POST, "/account"), (Method::GET, "/wallet/me")];

/// A browser that is known, and has a nonce.
async fn known(shop: &TestShop) -> Browser {
    let mut browser = browser(shop);
    browser.sign_in("adult").await;
    browser
}

#[tokio::test]
async fn every_kind_of_key_and_both_names_of_ed25519_work() {
    let shop = TestShop::new();
    let mut p256 = browser(&shop).with_p256();
    p256.sign_in("adult").await;
    let dids = p256.get("/wallet/me").await.json()["dids"].clone();
    assert!(dids[0].as_str().unwrap().starts_with("did:jwk:"), "{dids}");

    let mut ed25519 = known(&shop).await;
    let dids = ed25519.get("/wallet/me").await.json()["dids"].clone();
    assert!(dids[0].as_str().unwrap().starts_with("did:key:z6Mk"), "{dids}");
    for name in ["EdDSA", "Ed25519"] {
        let claims = ed25519.claims(&Method::GET, "/account", None);
        let head = json!({ "typ": "dpop+jwt", "alg": name, "jwk": ed25519.key.public_key().to_jwk() });
        let headers = signed_headers(&ed25519, &by_hand(&ed25519.key, &head, &claims), None);
        assert_eq!(ed25519.send(&Method::GET, "/account", headers, &[]).await.status, StatusCode::OK, "{name}");
    }
}

#[tokio::test]
async fn row_99_a_proof_needs_a_nonce_of_ours() {
    let shop = TestShop::new();
    let mut browser = known(&shop).await;
    for (method, path) in PLACES {
        for nonce in [None, Some("AAAA"), Some("x"), Some("")] {
            browser.nonce = nonce.map(str::to_owned);
            let reply = browser.signed_once(&method, path, None).await;
            refused(&reply, 401, "use_dpop_nonce");
            let challenge = "DPoP error=\"use_dpop_nonce\", algs=\"ES256 EdDSA Ed25519\"";
            assert_eq!(reply.header("www-authenticate"), challenge);
            assert_eq!(reply.header("date"), "Sun, 22 Nov 2026 12:00:00 GMT");
            assert_eq!(reply.header("cache-control"), "private, no-store");
            assert!(!reply.header("dpop-nonce").is_empty());
            // Once more, with what the answer brought.
            assert_eq!(browser.signed_once(&method, path, None).await.status, StatusCode::OK, "{method} {path}");
        }
    }
}

#[tokio::test]
async fn row_100_a_nonce_that_was_given_stays_required() {
    let shop = TestShop::new();
    let mut browser = known(&shop).await;
    assert!(browser.nonce.is_some());
    let claims = bent(&browser.claims(&Method::GET, "/account", None), "nonce", Value::Null);
    refused(&send_claims(&mut browser, &Method::GET, "/account", &claims).await, 401, "use_dpop_nonce");
}

#[tokio::test]
async fn row_99_a_nonce_lives_two_minutes_and_is_renewed_with_every_answer() {
    let shop = TestShop::new();
    let mut browser = known(&shop).await;
    let old = browser.nonce.clone();
    for (later_s, code, newer) in [(59, "", false), (60, "", true), (1, "use_dpop_nonce", true)] {
        shop.advance_s(later_s);
        browser.nonce.clone_from(&old);
        assert_eq!(browser.signed_once(&Method::GET, "/", None).await.code(), code, "{later_s}");
        assert_eq!(browser.nonce != old, newer, "the newest came with the answer");
    }
}

#[tokio::test]
async fn the_nonce_of_one_node_is_good_on_another_and_after_a_restart() {
    let (shop, store) = shop_and_store();
    let browser = known(&shop).await;
    let mut there = led_to(&browser, &node(&shop, store.clone()));
    for (method, path) in PLACES {
        assert_eq!(there.signed_once(&method, path, None).await.status, StatusCode::OK, "{method} {path}");
    }
    // A shop with other keys does not know it.
    let stranger = TestShop::new();
    let mut elsewhere = Browser::new(&stranger, app(stranger.merchant()));
    elsewhere.nonce = browser.nonce;
    refused(&elsewhere.signed_once(&Method::GET, "/", None).await, 401, "use_dpop_nonce");
}

#[tokio::test]
async fn a_new_root_secret_keeps_the_nonces_of_the_one_before() {
    let (shop, store) = shop_and_store();
    let [before, after] = rotated_keys(&shop).map(|keys| node_with(&shop, store.clone(), keys));
    let mut browser = Browser::new(&shop, app(&before));
    let asked = browser.post_json("/wallet/presentations", &json!({ "ask": "age", "flow": "cross_device" })).await;
    assert_eq!(asked.status, StatusCode::CREATED);

    let mut later = led_to(&browser, &after);
    let path = format!("/wallet/presentations/{}", asked.json()["id"].as_str().unwrap());
    assert_eq!(later.signed_once(&Method::GET, &path, None).await.status, StatusCode::OK);
    assert_ne!(later.nonce, browser.nonce, "the next nonce is the new root's");
    // A node that still runs with the old file does not know it, and says which one it wants.
    browser.nonce = later.nonce;
    refused(&browser.signed_once(&Method::GET, &path, None).await, 401, "use_dpop_nonce");
    assert_eq!(browser.signed_once(&Method::GET, &path, None).await.status, StatusCode::OK);
}

#[tokio::test]
async fn a_clock_two_hours_off_works_after_one_challenge() {
    for off_s in [2 * 3600, -2 * 3600] {
        let shop = TestShop::new();
        let mut browser = browser(&shop);
        browser.clock_off_s = off_s;
        let reply = browser.signed_once(&Method::GET, "/", None).await;
        refused(&reply, 401, "use_dpop_nonce");
        assert_eq!(reply.header("date"), "Sun, 22 Nov 2026 12:00:00 GMT", "the time is told");
        assert_eq!(browser.clock_off_s, 0);
        browser.clock_off_s = off_s;
        browser.sign_in("adult").await;
        assert_eq!(browser.get("/").await.text(), "Welcome back");
    }
}

#[tokio::test]
async fn row_132_a_servers_clock_that_goes_back_locks_nobody_out_for_long() {
    let shop = TestShop::new();
    let mut browser = known(&shop).await;
    let now = shop.clock().now();
    shop.clock().set(now.minus_s(3600));
    assert_eq!(browser.get("/").await.text(), "Welcome back", "one challenge later");
    shop.clock().set(now);
    assert_eq!(browser.get("/").await.text(), "Welcome back");
}

#[tokio::test]
async fn row_101_a_proof_with_one_claim_wrong_is_refused() {
    let shop = TestShop::new();
    let mut browser = known(&shop).await;
    let now = shop.clock().now().as_secs();
    for (method, path) in PLACES {
        let own = format!("https://shop.example{path}");
        let other_method = if method == Method::GET { "POST" } else { "GET" };
        for (name, value, code) in [
            ("htm", json!(other_method), "invalid_dpop_proof"),
            ("htm", json!(method.as_str().to_lowercase()), "invalid_dpop_proof"),
            ("htm", json!(null), "invalid_dpop_proof"),
            ("htu", json!("https://shop.example/other"), "invalid_dpop_proof"),
            ("htu", json!(own.replace("https", "http")), "invalid_dpop_proof"),
            ("htu", json!(own.replace("shop.example", "evil.example")), "invalid_dpop_proof"),
            ("htu", json!(own.replace("shop.example", "shop.example:8443")), "invalid_dpop_proof"),
            ("htu", json!(own.replace("shop.example", "shop.example@evil.example")), "invalid_dpop_proof"),
            ("htu", json!(format!("{own}/")), "invalid_dpop_proof"),
            ("htu", json!(path), "invalid_dpop_proof"),
            ("htu", json!(null), "invalid_dpop_proof"),
            ("ath", json!(null), "invalid_dpop_proof"),
            ("ath", json!(base64url_encode(&[0; 32])), "invalid_dpop_proof"),
            ("jti", json!(null), "invalid_dpop_proof"),
            ("jti", json!(""), "invalid_dpop_proof"),
            ("jti", json!("j".repeat(257)), "invalid_dpop_proof"),
            ("jti", json!(7), "invalid_dpop_proof"),
            ("iat", json!(null), "invalid_dpop_proof"),
            ("iat", json!("now"), "invalid_dpop_proof"),
            // These two are told the time.
            ("iat", json!(now - 121), "use_dpop_nonce"),
            ("iat", json!(now + 31), "use_dpop_nonce"),
            ("nonce", json!(7), "invalid_dpop_proof"),
        ] {
            let claims = bent(&browser.claims(&method, path, None), name, value.clone());
            let reply = send_claims(&mut browser, &method, path, &claims).await;
            refused(&reply, 401, code);
            let challenge = format!("DPoP error=\"{code}\", algs=\"ES256 EdDSA Ed25519\"");
            assert_eq!(reply.header("www-authenticate"), challenge, "{method} {path} {name} {value}");
            assert!(!reply.header("dpop-nonce").is_empty() && !reply.header("date").is_empty());
        }
        for (name, value) in [
            ("htu", json!(format!("{own}?with=query#and-fragment"))),
            ("htu", json!(own.replace("https://shop.example", "HTTPS://SHOP.example:443"))),
            ("iat", json!(now - 120)),
            ("iat", json!(now + 30)),
            ("exp", json!(now + 60)),
        ] {
            let claims = bent(&browser.claims(&method, path, None), name, value.clone());
            let reply = send_claims(&mut browser, &method, path, &claims).await;
            assert_eq!(reply.status, StatusCode::OK, "{method} {path} {name} {value} {}", reply.text());
        }
    }
    let claims = browser.claims(&Method::GET, "/account", None);
    let reply = send_claims(&mut browser, &Method::GET, "/account?with=query", &claims).await;
    assert_eq!(reply.status, StatusCode::OK, "the query is no part of `htu`");
}

#[tokio::test]
async fn row_101_a_proof_with_one_thing_wrong_in_its_header_is_refused() {
    let shop = TestShop::new();
    let mut browser = known(&shop).await;
    let public = browser.key.public_key().to_jwk();
    let with = |name: &str, value: Value| {
        let mut jwk = public.clone();
        jwk[name] = value;
        jwk
    };
    let good = json!({ "typ": "dpop+jwt", "alg": "EdDSA", "jwk": public });
    let other = browser.another();
    for (method, path) in PLACES {
        for (name, value) in [
            ("typ", json!("JWT")),
            ("typ", json!("at+jwt")),
            ("typ", json!(null)),
            ("alg", json!("none")),
            ("alg", json!("HS256")),
            ("alg", json!("ES256")),
            ("alg", json!("RS256")),
            ("alg", json!("eddsa")),
            ("alg", json!(null)),
            ("jwk", json!(null)),
            ("jwk", json!({ "kty": "oct", "k": "AAAA" })),
            ("jwk", with("d", json!(base64url_encode(&[7; 32])))),
            ("jwk", with("x", json!(base64url_encode(&[7; 31])))),
            ("jwk", other.key.public_key().to_jwk()),
            ("crit", json!(["exp"])),
            ("b64", json!(false)),
        ] {
            let mut head = good.clone();
            head[name] = value.clone();
            if value.is_null() {
                head.as_object_mut().unwrap().remove(name);
            }
            let claims = browser.claims(&method, path, None);
            let proof = by_hand(&browser.key, &head, &claims);
            let headers = signed_headers(&browser, &proof, None);
            let reply = browser.send(&method, path, headers, &[]).await;
            assert_eq!((reply.status.as_u16(), reply.code().as_str()), (401, "invalid_dpop_proof"), "{name} {value}");
        }
    }
}

#[tokio::test]
async fn row_101_there_is_one_proof_and_it_is_whole() {
    let shop = TestShop::new();
    let mut browser = known(&shop).await;
    for (method, path) in PLACES {
        let proof = |browser: &Browser| browser.sign(&browser.claims(&method, path, None));
        let mut twice = signed_headers(&browser, &proof(&browser), None);
        twice.append("dpop", HeaderValue::try_from(proof(&browser)).unwrap());
        refused(&browser.send(&method, path, twice, &[]).await, 401, "invalid_dpop_proof");

        let whole = proof(&browser);
        let (signed, signature) = whole.rsplit_once('.').unwrap();
        let flipped = if signature.starts_with('A') { 'B' } else { 'A' };
        for text in [
            String::new(),
            "x".to_owned(),
            signed.to_owned(),
            format!("{signed}."),
            format!("{signed}.{flipped}{}", &signature[1..]),
            format!("{whole}="),
            format!("{whole}.x"),
            format!("{whole},{}", proof(&browser)),
            format!("DPoP {whole}"),
            format!("{whole}{}", "A".repeat(8 * 1024)),
        ] {
            let headers = signed_headers(&browser, &text, None);
            let reply = browser.send(&method, path, headers, &[]).await;
            refused(&reply, 401, "invalid_dpop_proof");
        }
        let mut not_text = signed_headers(&browser, "x", None);
        not_text.insert("dpop", HeaderValue::from_bytes(&[0xff, 0xfe]).unwrap());
        refused(&browser.send(&method, path, not_text, &[]).await, 401, "invalid_dpop_proof");
    }
}

#[tokio::test]
async fn row_102_a_token_needs_the_key_that_it_was_made_for() {
    let shop = TestShop::new();
    let mut owner = known(&shop).await;
    let mut thief = owner.another();
    thief.sign_in("national").await;
    let own = thief.token.replace(owner.token.clone().unwrap());
    for (method, path) in PLACES {
        let reply = thief.signed(method.clone(), path, None).await;
        refused(&reply, 401, "invalid_token");
        let challenge = "DPoP error=\"invalid_token\", algs=\"ES256 EdDSA Ed25519\"";
        assert_eq!(reply.header("www-authenticate"), challenge);
    }
    thief.token = own;
    assert_eq!(thief.get("/account").await.status, StatusCode::OK);
    assert_eq!(owner.get("/account").await.status, StatusCode::OK);
}

#[tokio::test]
async fn half_a_claim_is_no_claim() {
    let shop = TestShop::new();
    let mut browser = known(&shop).await;
    let token = browser.token.clone().unwrap();
    // A token without a proof, in any spelling of the scheme.
    for scheme in ["DPoP", "dpop", "DPOP"] {
        let headers = [("authorization", format!("{scheme} {token}"))];
        for path in ["/", "/account", "/wallet/me"] {
            let reply = browser.plain(&Method::GET, path, &[(headers[0].0, &headers[0].1)], &[]).await;
            refused(&reply, 401, "invalid_dpop_proof");
        }
    }
    // A bearer is not ours to judge, and opens nothing.
    let bearer = format!("Bearer {token}");
    assert_eq!(browser.plain(&Method::GET, "/", &[("authorization", &bearer)], &[]).await.text(), "Hello");
    // An `ath` without the token that it names.
    let claims = browser.claims(&Method::GET, "/", None);
    browser.token = None;
    refused(&send_claims(&mut browser, &Method::GET, "/", &claims).await, 401, "invalid_dpop_proof");
    // Anything but one plain token.
    for value in ["DPoP ", "DPoP", "DPoP a,b", "DPoP a b", "DPoP \u{e4}", &format!("DPoP {}", "a".repeat(513))] {
        let proof = browser.sign(&browser.claims(&Method::GET, "/", None));
        let mut headers = signed_headers(&browser, &proof, None);
        headers.insert("authorization", HeaderValue::from_bytes(value.as_bytes()).unwrap());
        let reply = browser.send(&Method::GET, "/", headers, &[]).await;
        assert_eq!(reply.status, StatusCode::UNAUTHORIZED, "{value:?} {}", reply.text());
    }
    let proof = browser.sign(&browser.claims(&Method::GET, "/", None));
    let mut headers = signed_headers(&browser, &proof, None);
    for _ in 0..2 {
        headers.append("authorization", HeaderValue::try_from(format!("DPoP {token}")).unwrap());
    }
    refused(&browser.send(&Method::GET, "/", headers, &[]).await, 401, "invalid_token");
}

#[tokio::test]
async fn row_98_an_unsafe_proof_counts_once_on_every_node_and_after_a_restart() {
    let (shop, store) = shop_and_store();
    let mut browser = known(&shop).await;
    let body = json!({ "ask": "age", "flow": "same_device" }).to_string();
    for (method, path, body) in [
        (Method::POST, "/account", ""),
        (Method::DELETE, "/account", ""),
        (Method::POST, "/wallet/presentations", &body),
    ] {
        let mut claims = browser.claims(&method, path, Some(body.as_bytes()));
        if path.starts_with("/wallet") {
            claims.remove("ath");
        }
        let proof = browser.sign(&claims);
        let mut headers = signed_headers(&browser, &proof, (!body.is_empty()).then_some("application/json"));
        if path.starts_with("/wallet") {
            headers.remove("authorization");
        }
        let first = browser.send(&method, path, headers.clone(), body.as_bytes()).await;
        assert!(first.status.is_success(), "{method} {path} {}", first.text());
        let mut there = led_to(&browser, &node(&shop, store.clone()));
        let mut restarted = led_to(&browser, &node(&shop, store.clone()));
        for again in [&mut browser, &mut there, &mut restarted] {
            let reply = again.send(&method, path, headers.clone(), body.as_bytes()).await;
            refused(&reply, 401, "invalid_dpop_proof");
        }
        // Until it is too old anyway.
        shop.advance_s(119);
        assert!(!there.send(&method, path, headers.clone(), body.as_bytes()).await.status.is_success());
        shop.advance_s(2);
        refused(&there.send(&method, path, headers.clone(), body.as_bytes()).await, 401, "use_dpop_nonce");
        browser.get("/").await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn row_142_of_two_copies_of_one_request_at_once_one_acts() {
    on_every_store("two copies of one request at once", async |shop| {
        let mut browser = known(&shop).await;
        browser.get("/").await;
        for _ in 0..4 {
            let headers =
                signed_headers(&browser, &browser.sign(&browser.claims(&Method::POST, "/account", None)), None);
            let copies = [(browser.clone(), headers.clone()), (browser.clone(), headers)];
            let [first, second] = copies.map(|(mut browser, headers)| {
                tokio::spawn(async move { browser.send(&Method::POST, "/account", headers, &[]).await })
            });
            let mut statuses = [first.await.unwrap().status.as_u16(), second.await.unwrap().status.as_u16()];
            statuses.sort_unstable();
            assert_eq!(statuses, [200, 401]);
        }
    })
    .await;
}

#[tokio::test]
async fn row_98_a_safe_proof_counts_once_on_a_node() {
    let (shop, store) = shop_and_store();
    let mut browser = known(&shop).await;
    for (method, path) in [(Method::GET, "/account"), (Method::HEAD, "/account"), (Method::GET, "/wallet/me")] {
        let headers = signed_headers(&browser, &browser.sign(&browser.claims(&method, path, None)), None);
        assert_eq!(browser.send(&method, path, headers.clone(), &[]).await.status, StatusCode::OK);
        let again = browser.send(&method, path, headers.clone(), &[]).await;
        assert_eq!(again.status, StatusCode::UNAUTHORIZED, "{method} {path}");
        // On another node it counts once more: the accepted and written risk of reading.
        let mut there = led_to(&browser, &node(&shop, store.clone()));
        assert_eq!(there.send(&method, path, headers.clone(), &[]).await.status, StatusCode::OK);
        assert_eq!(there.send(&method, path, headers, &[]).await.status, StatusCode::UNAUTHORIZED);
    }
}

#[tokio::test]
async fn row_98_another_jti_alone_makes_another_proof() {
    // The signature is not what is remembered: the same claims signed anew are the same proof.
    let shop = TestShop::new();
    let mut browser = browser(&shop).with_p256();
    browser.sign_in("adult").await;
    let claims = browser.claims(&Method::POST, "/account", None);
    assert_eq!(send_claims(&mut browser, &Method::POST, "/account", &claims).await.status, StatusCode::OK);
    assert_ne!(browser.sign(&claims), browser.sign(&claims), "ECDSA signs differently each time");
    refused(&send_claims(&mut browser, &Method::POST, "/account", &claims).await, 401, "invalid_dpop_proof");
    // Another customer may have drawn the same name for a proof.
    let mut other = browser.another();
    other.sign_in("national").await;
    let same = bent(&other.claims(&Method::POST, "/account", None), "jti", claims["jti"].clone());
    assert_eq!(send_claims(&mut other, &Method::POST, "/account", &same).await.status, StatusCode::OK);
}

#[tokio::test]
async fn a_proof_that_was_refused_is_not_used_up() {
    let shop = TestShop::new();
    let mut browser = known(&shop).await;
    let proof = browser.sign(&browser.claims(&Method::POST, "/account", None));
    let headers = signed_headers(&browser, &proof, None);
    refused(&browser.send(&Method::POST, "/order", headers.clone(), &[]).await, 401, "invalid_dpop_proof");
    refused(&browser.send(&Method::DELETE, "/account", headers.clone(), &[]).await, 401, "invalid_dpop_proof");
    refused(&browser.send(&Method::POST, "/account", headers.clone(), b"body").await, 401, "invalid_dpop_proof");
    assert_eq!(browser.send(&Method::POST, "/account", headers, &[]).await.status, StatusCode::OK);
}

#[tokio::test]
async fn row_105_the_proof_names_the_body_that_the_merchants_handler_gets() {
    let shop = TestShop::new();
    let mut browser = known(&shop).await;
    let reply = browser.post_form("/echo", "item=tea&count=1").await;
    assert_eq!((reply.status, reply.text()), (StatusCode::OK, "item=tea&count=1".to_owned()));
    for digest in wrong_digests(b"item=tea&count=1") {
        let claims = bent(&browser.claims(&Method::POST, "/echo", None), "content_digest", digest.clone());
        let headers = signed_headers(&browser, &browser.sign(&claims), Some("application/x-www-form-urlencoded"));
        let reply = browser.send(&Method::POST, "/echo", headers, b"item=tea&count=1").await;
        assert_eq!((reply.status.as_u16(), reply.code().as_str()), (401, "invalid_dpop_proof"), "{digest}");
    }
    // No body needs no digest; a digest of nothing is one; and one that names another body is wrong.
    for (digest, good) in
        [(Value::Null, true), (json!(content_digest(b"")), true), (json!(content_digest(b"item=tea")), false)]
    {
        let claims = bent(&browser.claims(&Method::POST, "/echo", None), "content_digest", digest.clone());
        let reply = send_claims(&mut browser, &Method::POST, "/echo", &claims).await;
        assert_eq!(reply.status.is_success(), good, "{digest} {}", reply.text());
    }
}

#[tokio::test]
async fn row_105_whatever_changes_a_customer_names_its_body() {
    let shop = TestShop::new();
    let mut browser = known(&shop).await;
    for path in ["/wallet/sessions/current", "/wallet/sessions", "/wallet/device", "/wallet/me", "/account"] {
        for digest in wrong_digests(b"{}") {
            let claims = bent(&browser.claims(&Method::DELETE, path, None), "content_digest", digest.clone());
            let headers = signed_headers(&browser, &browser.sign(&claims), Some("application/json"));
            let reply = browser.send(&Method::DELETE, path, headers, b"{}").await;
            assert_eq!((reply.status.as_u16(), reply.code().as_str()), (401, "invalid_dpop_proof"), "{path} {digest}");
        }
    }
    assert_eq!(browser.get("/").await.text(), "Welcome back", "nothing happened");
    let reply = browser.signed(Method::DELETE, "/wallet/me", Some(("application/json", b"{}"))).await;
    assert_eq!(reply.status, StatusCode::OK, "{}", reply.text());
}

#[tokio::test]
async fn row_105_where_ordinary_clients_ask_and_redeem_the_digest_is_checked_if_it_is_there() {
    let shop = TestShop::new();
    let mut browser = browser(&shop);
    let ask = json!({ "ask": "age", "flow": "cross_device" }).to_string();
    let post = async |browser: &mut Browser, path: &str, digest: Value, body: &str| -> Reply {
        let claims = bent(&browser.claims(&Method::POST, path, None), "content_digest", digest);
        let headers = signed_headers(browser, &browser.sign(&claims), Some("application/json"));
        browser.send(&Method::POST, path, headers, body.as_bytes()).await
    };
    browser.get("/").await;
    for digest in wrong_digests(ask.as_bytes()).into_iter().filter(|digest| !digest.is_null()) {
        let reply = post(&mut browser, "/wallet/presentations", digest, &ask).await;
        refused(&reply, 401, "invalid_dpop_proof");
    }
    assert_eq!(post(&mut browser, "/wallet/presentations", Value::Null, &ask).await.status, StatusCode::CREATED);
    let digest = json!(content_digest(ask.as_bytes()));
    assert_eq!(post(&mut browser, "/wallet/presentations", digest, &ask).await.status, StatusCode::CREATED);

    let (asking, _) = crate::setting::answered(&mut browser, "age", Device::CrossDevice, "adult").await;
    let redemption = json!({ "presentation": asking.id }).to_string();
    for digest in wrong_digests(redemption.as_bytes()).into_iter().filter(|digest| !digest.is_null()) {
        refused(&post(&mut browser, "/wallet/sessions", digest, &redemption).await, 401, "invalid_dpop_proof");
    }
    assert_eq!(post(&mut browser, "/wallet/sessions", Value::Null, &redemption).await.status, StatusCode::OK);
    assert_eq!(post(&mut browser, "/wallet/sessions", json!(content_digest(b"{}")), "{}").await.status, StatusCode::OK);
}

#[tokio::test]
async fn row_103_host_and_forwarded_headers_steer_nothing() {
    let shop = TestShop::new();
    let mut browser = known(&shop).await;
    let app = app(shop.merchant());
    let forged = [
        ("host", "evil.example"),
        ("x-forwarded-host", "evil.example"),
        ("x-forwarded-proto", "http"),
        ("x-forwarded-prefix", "/evil"),
        ("x-original-url", "/evil"),
        ("x-rewrite-url", "/evil"),
        ("forwarded", "host=evil.example;proto=http"),
    ];
    let request = |browser: &Browser, claims: &Map<String, Value>, uri: &str, body: &str| {
        let mut request = Request::new(Body::from(body.to_owned()));
        *request.method_mut() = if body.is_empty() { Method::GET } else { Method::POST };
        *request.uri_mut() = uri.parse().unwrap();
        *request.headers_mut() = signed_headers(browser, &browser.sign(claims), Some("application/json"));
        for (name, value) in forged {
            request.headers_mut().insert(name, HeaderValue::from_static(value));
        }
        request
    };
    // The proof is for the configured origin, whatever the request says about hosts.
    for uri in ["/account", "https://evil.example/account"] {
        let good = browser.claims(&Method::GET, "/account", None);
        assert_eq!(send_raw(&app, request(&browser, &good, uri, "")).await.status, StatusCode::OK);
        for htu in ["https://evil.example/account", "http://shop.example/account", "https://evil.example/evil/account"]
        {
            let bad = bent(&browser.claims(&Method::GET, "/account", None), "htu", json!(htu));
            refused(&send_raw(&app, request(&browser, &bad, uri, "")).await, 401, "invalid_dpop_proof");
        }
    }
    // And so are the addresses that wallets and browsers are told.
    browser.token = None;
    let ask = json!({ "ask": "age", "flow": "same_device" }).to_string();
    let claims = browser.claims(&Method::POST, "/wallet/presentations", Some(ask.as_bytes()));
    let reply = send_raw(&app, request(&browser, &claims, "/wallet/presentations", &ask)).await;
    assert_eq!(reply.status, StatusCode::CREATED, "{}", reply.text());
    assert!(reply.json()["request_uri"].as_str().unwrap().starts_with("https://shop.example/wallet/requests/"));
    assert!(!reply.text().contains("evil"));
}

#[tokio::test]
async fn row_103_a_path_that_looks_like_an_address_is_a_path() {
    let shop = TestShop::new();
    let mut browser = known(&shop).await;
    for path in ["//evil.example/account", "/\\evil.example/account", "//evil.example:1/", "///", "//"] {
        for (htu, expected) in [
            (format!("https://shop.example{path}"), StatusCode::NOT_FOUND),
            (format!("https:{path}"), StatusCode::UNAUTHORIZED),
            ("https://evil.example/account".to_owned(), StatusCode::UNAUTHORIZED),
        ] {
            // Browsers write `/` for `\` before they sign or send.
            let htu = htu.replace('\\', "/");
            let claims = bent(&browser.claims(&Method::GET, "/", None), "htu", json!(htu));
            let reply = send_claims(&mut browser, &Method::GET, path, &claims).await;
            assert_eq!(reply.status, expected, "{path} {htu} {}", reply.text());
        }
    }
}

#[tokio::test]
async fn row_129_a_refused_proof_is_told_little_and_nothing_of_what_it_brought() {
    let shop = TestShop::new();
    let mut browser = known(&shop).await;
    let claims = browser.claims(&Method::GET, "/account", None);
    let markers = [
        ("htu", json!("https://shop.example/planted")),
        ("jti", json!("planted".repeat(99))),
        ("htm", json!("PLANTED")),
    ];
    for (name, value) in markers {
        let reply = send_claims(&mut browser, &Method::GET, "/account", &bent(&claims, name, value)).await;
        refused(&reply, 401, "invalid_dpop_proof");
        assert!(!reply.text().to_lowercase().contains("planted"), "{}", reply.text());
    }
}

#[tokio::test]
async fn a_body_that_takes_its_time_brings_no_proof_twice() {
    for (path, status) in [("/account", StatusCode::OK), ("/wallet/presentations", StatusCode::CREATED)] {
        for (slow_s, code) in
            [(0, "invalid_dpop_proof"), (60, "invalid_dpop_proof"), (200, "use_dpop_nonce"), (999, "use_dpop_nonce")]
        {
            let shop = TestShop::new();
            let browser = known(&shop).await;
            let app = app(shop.merchant());
            let text = json!({ "ask": "age", "flow": "same_device" }).to_string();
            let proof = browser.sign(&browser.claims(&Method::POST, path, Some(text.as_bytes())));
            // The headers arrive at once, the body so much later.
            let send = async |slow_s: u64| {
                let shop = shop.clone();
                let body = http_body_util::Full::new(axum::body::Bytes::from(text.clone())).map_frame(move |frame| {
                    shop.advance_s(slow_s);
                    frame
                });
                let mut request = Request::new(Body::new(body));
                *request.method_mut() = Method::POST;
                *request.uri_mut() = path.parse().unwrap();
                *request.headers_mut() = signed_headers(&browser, &proof, Some("application/json"));
                send_raw(&app, request).await
            };
            assert_eq!(send(0).await.status, status, "{path}");
            refused(&send(slow_s).await, 401, code);
        }
    }
}

#[tokio::test]
async fn a_proof_is_used_while_its_nonce_and_time_are_good() {
    for (later_s, good) in [(0, true), (119, true), (120, false), (10_000, false)] {
        let shop = TestShop::new();
        let browser = known(&shop).await;
        let merchant = shop.merchant();
        let proof = browser.sign(&browser.claims(&Method::POST, "/account", None));
        let request =
            ProofRequest { proof: &proof, method: "POST", path: "/account", access_token: browser.token.as_deref() };
        let proof = merchant.check_proof(&request).unwrap();
        shop.advance_s(later_s);
        let is_old = |error: Error| matches!(error, Error::Proof(ProofError::UseNonce));
        match good {
            true => {
                merchant.look_once(&proof).unwrap();
                merchant.spend(&proof).await.unwrap();
                assert!(matches!(merchant.spend(&proof).await, Err(Error::Proof(ProofError::Replayed))));
            }
            false => {
                assert!(is_old(merchant.look_once(&proof).unwrap_err()));
                assert!(is_old(merchant.spend(&proof).await.unwrap_err()));
                assert!(is_old(merchant.resume(&proof).await.unwrap_err()));
            }
        }
    }
}

/// Digests that do not name this body.
fn wrong_digests(body: &[u8]) -> Vec<Value> {
    let good = content_digest(body);
    vec![
        Value::Null,
        json!(""),
        json!(content_digest(b"another body")),
        json!(content_digest(b"")),
        json!(good.replace("sha-256", "sha-512")),
        json!(good.replace("sha-256", "SHA-256")),
        json!(good.trim_start_matches("sha-256=").to_owned()),
        json!(format!("{good}, {good}")),
        json!([good]),
    ]
}

/// A JWS whose header is exactly this.
fn by_hand(key: &SigningKey, head: &Value, claims: &Map<String, Value>) -> String {
    let encode = |value: &Value| base64url_encode(value.to_string().as_bytes());
    let signed = format!("{}.{}", encode(head), encode(&Value::Object(claims.clone())));
    let signature = key.sign(signed.as_bytes()).unwrap();
    format!("{signed}.{}", base64url_encode(&signature))
}
