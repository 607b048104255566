//! What strangers do at the endpoints of requests and answers, and what is asked of wallets: rows of the attack
//! catalogue on requests and responses (OpenID4VP), and what happens when the shop changes between two steps.

use firsthand::{
    Ask, Device, Wanted,
    ask::Transaction,
    limits::Limits,
    merchant::ClientIdPrefix,
    protocol::openid4vp::ResponseMode,
    store::Memory,
    testing::{
        faulty::{self, Faulty},
        wallet::{Fault, Request, Wallet},
    },
    trust::Trust,
};
use firsthand_axum::testing::{Asking, Browser, Reply, TestShop, response_code};
use http::{Method, StatusCode};
use serde_json::{Map, Value, json};
use url::Url;

use crate::probe::{
    self, FORM, Ledger, Meeting, Scribe, answer, browser, clear_shop, delivered, form, moved, plain, refused, standing,
    wallet_with, why,
};

/// A shop with a store that tells.
fn told() -> (TestShop, Ledger<Memory>) {
    let store = Ledger::new(Memory::new());
    let inner = store.clone();
    (TestShop::with(|builder| builder.store(inner)), store)
}

fn path(url: &str) -> String {
    Url::parse(url).expect("a URL").path().to_owned()
}

async fn redeem(browser: &mut Browser, asking: &Asking, answer: &Reply) -> Reply {
    browser.redeem(&json!({ "presentation": asking.id, "response_code": response_code(answer) })).await
}

#[tokio::test]
async fn row_01_an_old_presentation_is_not_replayed() {
    let shop = clear_shop();
    let mut browser = browser(&shop);
    let (_, first) = delivered(&mut browser, "age").await;
    let wallet = &shop.persona("adult").wallet;
    let made = wallet.answer(&first, &wallet.choose(&first).unwrap(), &[], shop.clock()).unwrap();
    assert_eq!(browser.wallet_posts(&first, &made).await.status, StatusCode::OK);

    let (asking, second) = delivered(&mut browser, "age").await;
    assert_ne!(first.nonce, second.nonce);
    let replayed = made.replace(first.state.as_deref().unwrap(), second.state.as_deref().unwrap());
    let reply = browser.wallet_posts(&second, &replayed).await;
    assert_eq!(refused(&mut browser, &asking, &reply).await, "key_binding_nonce");
}

#[tokio::test]
async fn row_02_a_presentation_for_another_verifier_is_refused() {
    for (prefix, mode) in probe::shapes() {
        let shop = TestShop::with(|builder| builder.store(Memory::new()).client_id_prefix(prefix).response_mode(mode));
        let mut browser = browser(&shop);
        let (asking, mut request) = delivered(&mut browser, "age").await;
        let true_name = request.client_id.clone();
        // A relay forwards our nonce under its own name; also one that only differs in what a URL parser ignores.
        for name in ["x509_san_dns:evil.example", "x509_san_dns:shop.example.", &true_name.to_uppercase(), ""] {
            name.clone_into(&mut request.client_id);
            let reply = browser.wallet_answers(&request, "adult", &[]).await;
            assert_eq!(refused(&mut browser, &asking, &reply).await, "key_binding_audience", "{name}");
        }
    }
}

#[tokio::test]
async fn row_03_the_audience_without_its_prefix_is_refused() {
    for (prefix, mode) in probe::shapes() {
        let shop = TestShop::with(|builder| builder.store(Memory::new()).client_id_prefix(prefix).response_mode(mode));
        let mut browser = browser(&shop);
        let (asking, request) = delivered(&mut browser, "age").await;
        let reply = browser.wallet_answers(&request, "adult", &[Fault::AudienceWithoutPrefix]).await;
        assert_eq!(refused(&mut browser, &asking, &reply).await, "key_binding_audience");
    }
}

#[tokio::test]
async fn row_04_who_started_it_gets_nothing_of_another_persons_answer() {
    let shop = TestShop::new();
    let mut attacker = browser(&shop);
    let mut victim = attacker.another();
    let (asking, request) = delivered(&mut attacker, "age").await;
    let answered = victim.wallet_answers(&request, "adult", &[]).await;
    assert_eq!(answered.status, StatusCode::OK);

    // The attacker polls, and sees that there is an answer, but no code.
    let reply = attacker.get(&format!("/wallet/presentations/{}", asking.id)).await;
    assert_eq!(reply.json(), json!({ "state": "answered" }));
    let guessed = "A".repeat(43);
    for body in [json!({ "presentation": asking.id }), json!({ "presentation": asking.id, "response_code": guessed })] {
        let reply = attacker.redeem(&body).await;
        assert_eq!((reply.status, reply.code().as_str()), (StatusCode::FORBIDDEN, "wrong_response_code"));
    }
    // The victim's browser has the code and not the key: continue where you started.
    let reply = redeem(&mut victim, &asking, &answered).await;
    assert_eq!((reply.status, reply.code().as_str()), (StatusCode::FORBIDDEN, "other_browser"));
    assert_eq!(victim.get("/").await.text(), "");
    assert_eq!(attacker.get("/").await.text(), "");
}

#[tokio::test]
async fn row_05_a_response_code_works_once_and_shortly() {
    let shop = TestShop::new();
    let mut browser = browser(&shop);
    let (asking, request) = delivered(&mut browser, "age").await;
    let answered = browser.wallet_answers(&request, "adult", &[]).await;
    assert_eq!(redeem(&mut browser, &asking, &answered).await.status, StatusCode::OK);
    let again = redeem(&mut browser, &asking, &answered).await;
    assert_eq!((again.status, again.code().as_str()), (StatusCode::CONFLICT, "already_redeemed"));

    let (asking, request) = delivered(&mut browser, "age").await;
    let answered = browser.wallet_answers(&request, "adult", &[]).await;
    shop.advance_s(299);
    assert_eq!(standing(&mut browser, &asking).await.0, "answered");
    shop.advance_s(1);
    let late = redeem(&mut browser, &asking, &answered).await;
    assert!([StatusCode::GONE, StatusCode::NOT_FOUND].contains(&late.status), "{}", late.text());

    let page = plain(&browser, Method::GET, &format!("/wallet/return/{}", asking.id), FORM, b"").await;
    assert_eq!(page.status, StatusCode::OK);
    assert_eq!(page.header("referrer-policy"), "no-referrer");
    assert!(page.header("cache-control").contains("no-store"), "{:?}", page.headers);
}

#[tokio::test]
async fn row_06_a_code_to_scan_is_short_lived_works_once_and_is_limited() {
    let shop = TestShop::new();
    let mut browser = browser(&shop);
    let asking = browser.ask("age", Device::CrossDevice).await;
    assert!(asking.body["expires_in"].as_u64().unwrap() <= 300);
    let request = browser.wallet_reads(&asking).await;
    let answered = browser.wallet_answers(&request, "adult", &[]).await;
    assert_eq!((answered.status, answered.text().as_str()), (StatusCode::OK, "{}"), "the wallet carries nothing back");
    let again = browser.wallet_answers(&request, "adult", &[]).await;
    assert_eq!(again.code(), "already_answered");

    let mut other = browser.another();
    let reply = other.redeem(&json!({ "presentation": asking.id })).await;
    assert_eq!(reply.code(), "other_browser");
    let code = json!({ "presentation": asking.id, "response_code": "A".repeat(43) });
    assert_eq!(browser.redeem(&code).await.code(), "wrong_response_code");
    assert_eq!(browser.redeem(&json!({ "presentation": asking.id })).await.status, StatusCode::OK);

    let mut flood = browser.another();
    let mut statuses = Vec::new();
    while statuses.len() <= 1_200 && statuses.last() != Some(&StatusCode::TOO_MANY_REQUESTS) {
        let body = json!({ "ask": "age", "flow": "cross_device" });
        statuses.push(flood.post_json("/wallet/presentations", &body).await.status);
    }
    assert!(statuses.contains(&StatusCode::TOO_MANY_REQUESTS), "{statuses:?}");
}

#[tokio::test]
async fn row_07_a_result_is_not_read_by_guessing() {
    let shop = TestShop::new();
    let mut browser = browser(&shop);
    let (asking, request) = delivered(&mut browser, "age").await;
    let wallets_name = asking.request_uri.rsplit('/').next().unwrap().to_owned();
    assert_ne!(asking.id, wallets_name, "the wallet does not know the browser's name");
    assert!(!asking.wallet_uri.contains(&asking.id));
    browser.wallet_answers(&request, "adult", &[]).await;

    let mut other = browser.another();
    for (who, id) in [(&mut other, &asking.id), (&mut browser, &wallets_name)] {
        for path in [format!("/wallet/presentations/{id}"), format!("/wallet/presentations/{id}/events")] {
            let reply = who.get(&path).await;
            assert_eq!((reply.status, reply.code().as_str()), (StatusCode::NOT_FOUND, "no_such_presentation"));
        }
    }
    let unsigned = plain(&browser, Method::GET, &format!("/wallet/presentations/{}", asking.id), FORM, b"").await;
    assert_eq!(unsigned.status, StatusCode::UNAUTHORIZED);
}

#[tokio::test]
async fn row_08_stray_posts_cost_one_look_up() {
    let (shop, store) = told();
    let mut browser = browser(&shop);
    let asking = browser.ask("age", Device::SameDevice).await;
    let early = path(&asking.request_uri).replace("/requests/", "/responses/");
    let (_, request) = delivered(&mut browser, "age").await;
    assert_eq!(browser.wallet_answers(&request, "adult", &[]).await.status, StatusCode::OK);
    let answered = request.response_uri.path().to_owned();
    let unknown = format!("/wallet/responses/{}", "A".repeat(43));
    let cases = [
        (unknown.as_str(), StatusCode::NOT_FOUND, 1),
        ("/wallet/responses/short", StatusCode::NOT_FOUND, 0),
        ("/wallet/responses/..%2F..%2Fme", StatusCode::NOT_FOUND, 0),
        (early.as_str(), StatusCode::CONFLICT, 1),
        (answered.as_str(), StatusCode::CONFLICT, 1),
    ];
    let junk = format!("response={}", "A".repeat(200_000));
    for (path, status, loads) in cases {
        let (read, written, fetched) = (store.loads(), store.written().len(), shop.network().calls_in_all());
        let reply = plain(&browser, Method::POST, path, FORM, junk.as_bytes()).await;
        assert_eq!(reply.status, status, "{path}: {}", reply.text());
        assert_eq!(store.loads() - read, loads, "{path}");
        assert_eq!((store.written().len(), shop.network().calls_in_all()), (written, fetched), "{path}");
    }
    // What is too large, or of another type, is not even looked up.
    let large = format!("response={}", "A".repeat(300 * 1024));
    for (media_type, body, status) in [
        (FORM, large.as_bytes(), StatusCode::PAYLOAD_TOO_LARGE),
        ("application/json", b"{}", StatusCode::UNSUPPORTED_MEDIA_TYPE),
        ("multipart/form-data; boundary=x", b"--x--", StatusCode::UNSUPPORTED_MEDIA_TYPE),
        ("text/plain", b"error=access_denied", StatusCode::UNSUPPORTED_MEDIA_TYPE),
        ("", b"error=access_denied", StatusCode::UNSUPPORTED_MEDIA_TYPE),
    ] {
        for path in [&unknown, &early, &early.replace("/responses/", "/requests/")] {
            let read = store.loads();
            assert_eq!(
                plain(&browser, Method::POST, path, media_type, body).await.status,
                status,
                "{path} {media_type}"
            );
            assert_eq!(store.loads(), read);
        }
    }
    // One presentation's flood is stopped; another's wallet goes on.
    let (_, other) = delivered(&mut browser, "age").await;
    let mut statuses = Vec::new();
    for _ in 0..=120 {
        statuses.push(plain(&browser, Method::POST, &early, FORM, b"state=x").await.status);
    }
    assert!(statuses.contains(&StatusCode::TOO_MANY_REQUESTS), "{statuses:?}");
    assert_eq!(browser.wallet_answers(&other, "adult", &[]).await.status, StatusCode::OK);
}

#[tokio::test]
async fn row_09_of_two_answers_at_once_one_counts() {
    let store = Meeting::of(2);
    let inner = store.clone();
    let shop = TestShop::with(|builder| builder.store(inner));
    let mut first = browser(&shop);
    let (asking, request) = delivered(&mut first, "age").await;
    let (mut one, mut two) = (first.clone(), first.clone());
    store.begin(2);
    let (a, b) = tokio::join!(one.wallet_answers(&request, "adult", &[]), two.wallet_answers(&request, "adult", &[]));
    let (won, lost) = if a.status == StatusCode::OK { (a, b) } else { (b, a) };
    assert_eq!(won.status, StatusCode::OK);
    assert_eq!((lost.status, lost.code().as_str()), (StatusCode::CONFLICT, "already_answered"));

    // And of two redemptions at once.
    let (mut one, mut two) = (first.clone(), first.clone());
    store.begin(2);
    let (a, b) = tokio::join!(redeem(&mut one, &asking, &won), redeem(&mut two, &asking, &won));
    let statuses = [a.status, b.status];
    assert!(statuses.contains(&StatusCode::OK) && statuses.contains(&StatusCode::CONFLICT), "{statuses:?}");
    for (kind, count) in [("session", 1), ("customer", 1), ("binding", 1), ("session_answer", 1)] {
        assert_eq!(store.ledger().count(kind), count, "{kind}");
    }
}

#[tokio::test]
async fn row_09_a_wrong_answer_at_the_same_time_takes_nothing_from_a_right_one() {
    for faults in [[vec![], vec![Fault::WrongNonce]], [vec![Fault::WrongNonce], vec![]]] {
        let store = Meeting::of(2);
        let inner = store.clone();
        let shop = TestShop::with(|builder| builder.store(inner));
        let mut first = browser(&shop);
        let (asking, request) = delivered(&mut first, "age").await;
        let (mut one, mut two) = (first.clone(), first.clone());
        store.begin(2);
        let (a, b) = tokio::join!(
            one.wallet_answers(&request, "adult", &faults[0]),
            two.wallet_answers(&request, "adult", &faults[1])
        );
        let (right, wrong) = if faults[0].is_empty() { (a, b) } else { (b, a) };
        assert_eq!(wrong.status, StatusCode::BAD_REQUEST);
        assert_eq!(right.status, StatusCode::OK, "{}", right.text());
        assert_eq!(redeem(&mut first, &asking, &right).await.status, StatusCode::OK);
    }
}

#[tokio::test]
async fn row_10_a_request_is_served_again_until_it_is_answered() {
    let shop = TestShop::new();
    let mut browser = browser(&shop);
    let asking = browser.ask("age", Device::SameDevice).await;
    let first = browser.wallet_reads(&asking).await;
    shop.advance_s(200);
    let second = browser.wallet_reads(&asking).await;
    assert_eq!((&first.nonce, &first.state, &first.encryption), (&second.nonce, &second.state, &second.encryption));
    assert_eq!(browser.wallet_answers(&first, "adult", &[]).await.status, StatusCode::OK);
    let get = async |browser: &Browser| plain(browser, Method::GET, &path(&asking.request_uri), FORM, b"").await;
    assert_eq!(get(&browser).await.code(), "already_answered");

    let asking = browser.ask("age", Device::SameDevice).await;
    shop.advance_s(300);
    let late = plain(&browser, Method::GET, &path(&asking.request_uri), FORM, b"").await;
    assert_eq!((late.status, late.code().as_str()), (StatusCode::GONE, "presentation_expired"));
    shop.advance_s(600);
    let gone = plain(&browser, Method::GET, &path(&asking.request_uri), FORM, b"").await;
    assert_eq!(gone.status, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn row_11_a_wallet_nonce_is_echoed_or_refused() {
    let shop = TestShop::new();
    let mut browser = browser(&shop);
    let asking = browser.ask("age", Device::SameDevice).await;
    let path = path(&asking.request_uri);
    let longest = "n".repeat(512);
    for nonce in ["a", longest.as_str()] {
        let reply = plain(&browser, Method::POST, &path, FORM, format!("wallet_nonce={nonce}").as_bytes()).await;
        assert_eq!(reply.status, StatusCode::OK, "{}", reply.text());
    }
    let too_long = "n".repeat(513);
    for form in [
        "wallet_nonce=",
        &format!("wallet_nonce={too_long}"),
        "wallet_nonce=a+b",
        "wallet_nonce=a%0d%0ab",
        "wallet_nonce=%C3%A4",
        "wallet_nonce=%00",
        "wallet_nonce=a&wallet_nonce=b",
        "wallet_nonce=%zz",
    ] {
        let reply = plain(&browser, Method::POST, &path, FORM, form.as_bytes()).await;
        assert_eq!(reply.status, StatusCode::BAD_REQUEST, "{form}");
        assert!(!reply.text().contains(&too_long), "nothing is reflected");
    }
}

#[tokio::test]
async fn row_12_an_answer_counts_for_the_request_that_it_was_made_for() {
    for mode in [ResponseMode::DirectPostJwt, ResponseMode::DirectPost] {
        let shop = TestShop::with(|builder| builder.store(Memory::new()).response_mode(mode));
        let mut browser = browser(&shop);
        let (_, mine) = delivered(&mut browser, "age").await;
        let (asking, other) = delivered(&mut browser, "age").await;
        let wallet = &shop.persona("adult").wallet;
        let made = wallet.answer(&mine, &wallet.choose(&mine).unwrap(), &[], shop.clock()).unwrap();
        let reply = browser.wallet_posts(&other, &made).await;
        let code = refused(&mut browser, &asking, &reply).await;
        assert!(["state_mismatch", "jose_decryption"].contains(&code.as_str()), "{code}");
        for fault in [Fault::WrongState, Fault::NoState] {
            let reply = browser.wallet_answers(&other, "adult", &[fault]).await;
            assert!(refused(&mut browser, &asking, &reply).await.starts_with("state_"), "{fault:?}");
        }
        assert_eq!(browser.wallet_posts(&mine, &made).await.status, StatusCode::OK, "where it belongs it holds");
    }
}

#[tokio::test]
async fn row_23_an_answer_without_its_holder_knows_nobody() {
    let shop = TestShop::new();
    let mut browser = browser(&shop);
    let (asking, request) = delivered(&mut browser, "age").await;
    let reply = browser.wallet_answers(&request, "adult", &[Fault::NoHolderProof]).await;
    assert_eq!(refused(&mut browser, &asking, &reply).await, "key_binding_missing");
}

#[tokio::test]
async fn row_24_a_claim_identifies_nobody() {
    let shop = TestShop::new();
    let mut one = browser(&shop);
    let mut two = one.another();
    one.prove("address", "adult").await;
    two.prove("address", "adult").await;
    let (one, two) = (one.get("/").await.text(), two.get("/").await.text());
    assert!(!one.is_empty() && !two.is_empty());
    assert_ne!(one, two, "the same credential in another browser is another customer");
}

/// An ask of the merchant's own type of credential, with one transaction to sign.
fn payment(cents: u64) -> Ask {
    let details = json!({ "amount_minor": cents, "currency": "EUR", "payee": "shop.example" });
    payment_base()
        .transaction(Transaction::new("urn:example:payment", "card", details.as_object().unwrap().clone()))
        .expect("the merchant's own credential signs")
}

const CARD: &str = "urn:example:card:1";

fn payment_base() -> Ask {
    Ask::new("pay", "To pay").credential("card", Wanted::sd_jwt_vc(CARD).claim(["last_four"]))
}

fn paying_shop() -> (TestShop, Wallet) {
    let store = Memory::new();
    let first = TestShop::new();
    let (roots, status) = first.cast().roots_pem();
    let trust = Trust::new().roots_with_status(roots, status, &[CARD]).expect("roots");
    let shop = first.again(|builder| {
        builder.store(store).ask(&payment_base()).trust(trust).response_mode(ResponseMode::DirectPost)
    });
    let wallet = wallet_with(&shop, json!({ "last_four": "4242" }), |credential| credential.vct = CARD.to_owned());
    (shop, wallet)
}

/// The merchant asks with a transaction of this moment.
async fn asked_to_pay(shop: &TestShop, browser: &mut Browser, ask: &Ask) -> (Asking, Request) {
    // The routes begin declared asks; a transaction is the merchant's own handler's to begin.
    browser.get("/wallet/me").await;
    let claims = browser.claims(&Method::POST, "/pay", None);
    let proof = browser.sign(&claims);
    let request = firsthand::merchant::ProofRequest { proof: &proof, method: "POST", path: "/pay", access_token: None };
    let proof = shop.merchant().check_proof(&request).expect("a proof");
    let invitation = shop.merchant().ask_for(&proof, ask, Device::SameDevice, None).await.expect("an invitation");
    let asking = Asking {
        id: invitation.id.as_str().to_owned(),
        wallet_uri: invitation.wallet_uri,
        request_uri: invitation.request_uri.map(String::from).unwrap_or_default(),
        body: Value::Null,
    };
    let request = browser.wallet_reads(&asking).await;
    (asking, request)
}

#[tokio::test]
async fn row_26_transaction_data_are_signed_exactly_as_they_were_sent() {
    let (shop, wallet) = paying_shop();
    let mut browser = browser(&shop);
    let (asking, request) = asked_to_pay(&shop, &mut browser, &payment(1299)).await;
    assert_eq!(request.transaction_data.len(), 1);

    for (fault, code) in [
        (Fault::TransactionDataMissing, "transaction_data_missing"),
        (Fault::TransactionDataExtra, "transaction_data_mismatch"),
    ] {
        let reply = answer(&mut browser, &request, &wallet, &[fault]).await;
        assert_eq!(refused(&mut browser, &asking, &reply).await, code);
    }
    // Another amount, signed as well as any; the same value in another spelling.
    let (_, other) = asked_to_pay(&shop, &mut browser, &payment(1)).await;
    let decoded = firsthand::protocol::jose::base64url_decode(&request.transaction_data[0]).unwrap();
    let spelled = String::from_utf8(decoded).unwrap().replace(",", ", ");
    let respelled = firsthand::protocol::jose::base64url_encode(spelled.as_bytes());
    for data in [other.transaction_data[0].clone(), respelled] {
        let mut bent = request.clone();
        bent.transaction_data = vec![data];
        let reply = answer(&mut browser, &bent, &wallet, &[]).await;
        assert_eq!(refused(&mut browser, &asking, &reply).await, "transaction_data_mismatch");
    }
    assert_eq!(answer(&mut browser, &request, &wallet, &[]).await.status, StatusCode::OK);
    assert_eq!(answer(&mut browser, &request, &wallet, &[]).await.code(), "already_answered", "one use");
}

#[tokio::test]
async fn row_26_hashes_of_what_nobody_asked_for_are_refused() {
    let (shop, wallet) = paying_shop();
    let mut browser = browser(&shop);
    let (asking, request) = delivered(&mut browser, "pay").await;
    let reply = answer(&mut browser, &request, &wallet, &[Fault::TransactionDataExtra]).await;
    assert_eq!(refused(&mut browser, &asking, &reply).await, "transaction_data_unasked");
}

#[tokio::test]
async fn row_26_a_governments_credential_authorises_nothing() {
    for vct in ["urn:eudi:pid:1", "urn:eudi:pid:de:1", "urn:eudi:pid"] {
        let ask = Ask::new("pay", "To pay").credential("pid", Wanted::sd_jwt_vc(vct).claim(["given_name"]));
        assert!(ask.transaction(Transaction::new("urn:example:payment", "pid", Map::new())).is_err(), "{vct}");
    }
    let beside = Wanted::sd_jwt_vc(CARD).or_type("urn:eudi:pid:1").claim(["given_name"]);
    let ask = Ask::new("pay", "To pay").credential("card", beside);
    assert!(ask.transaction(Transaction::new("urn:example:payment", "card", Map::new())).is_err());
}

#[tokio::test]
async fn row_27_a_wallet_is_never_redirected() {
    let shop = TestShop::new();
    let mut browser = browser(&shop);
    let (_, request) = delivered(&mut browser, "age").await;
    let response = request.response_uri.path().to_owned();
    for path in [response.clone(), format!("{response}/"), response.replace("/wallet/", "/wallet//")] {
        for method in [Method::GET, Method::POST, Method::PUT, Method::HEAD] {
            let reply = plain(&browser, method.clone(), &path, FORM, b"state=x").await;
            assert!(!reply.status.is_redirection() && !reply.status.is_server_error(), "{method} {path}");
            assert_eq!(reply.header("location"), "");
        }
    }
}

#[tokio::test]
async fn row_28_a_wallets_error_ends_it_and_says_nothing_of_its_own() {
    for mode in [ResponseMode::DirectPostJwt, ResponseMode::DirectPost] {
        let (prefix, store) = (ClientIdPrefix::X509Hash, Ledger::new(Memory::new()));
        let inner = store.clone();
        let shop = TestShop::with(|builder| builder.store(inner).client_id_prefix(prefix).response_mode(mode));
        let mut browser = browser(&shop);
        let injected = "<script>alert(1)</script>";
        for (code, kept) in [("access_denied", "access_denied"), (injected, "other"), ("x\r\nSet-Cookie: a=b", "other")]
        {
            let (asking, request) = delivered(&mut browser, "age").await;
            let described = format!("{}&error_description=Anna%20Adler{}", request.error(code), "%3Cb%3E");
            let reply = browser.wallet_posts(&request, &described).await;
            assert_eq!(reply.status, StatusCode::OK, "{}", reply.text());
            assert!(reply.json()["redirect_uri"].as_str().is_some_and(|uri| uri.starts_with("https://shop.example/")));
            assert_eq!(standing(&mut browser, &asking).await, ("declined".to_owned(), kept.to_owned()));
            let redeemed = redeem(&mut browser, &asking, &reply).await;
            assert_eq!((redeemed.status, redeemed.code().as_str()), (StatusCode::FORBIDDEN, "declined"));
            assert_eq!(browser.wallet_answers(&request, "adult", &[]).await.code(), "declined", "it is burnt");
        }
        assert!(store.written().iter().all(|(_, record)| !record.body.contains("Adler") && !record.body.contains("<")));

        // An error needs the state, and goes alone.
        let (asking, request) = delivered(&mut browser, "age").await;
        for form in ["error=access_denied".to_owned(), format!("{}x", request.error("access_denied"))] {
            let reply = browser.wallet_posts(&request, &form).await;
            assert!(refused(&mut browser, &asking, &reply).await.starts_with("state_"), "{form}");
        }
        let both = format!("{}&vp_token=%7B%7D", request.error("access_denied"));
        let reply = browser.wallet_posts(&request, &both).await;
        refused(&mut browser, &asking, &reply).await;

        // On another device there is nowhere to go back to.
        let asking = browser.ask("age", Device::CrossDevice).await;
        let request = browser.wallet_reads(&asking).await;
        assert_eq!(browser.wallet_posts(&request, &request.error("access_denied")).await.text(), "{}");
    }
}

#[tokio::test]
async fn row_29_nobody_is_led_to_another_site() {
    let shop = TestShop::new();
    let mut browser = browser(&shop);
    let ask = |return_to: &str| json!({ "ask": "age", "flow": "same_device", "return_to": return_to });
    for bad in [
        "https://evil.example/",
        "//evil.example",
        "/\\evil.example",
        "\\\\evil.example",
        "javascript:alert(1)",
        "",
        "evil",
        "/\t/evil.example",
        "/a\r\nb",
        "/\u{0}",
    ] {
        let reply = browser.post_json("/wallet/presentations", &ask(bad)).await;
        assert_eq!((reply.status, reply.code().as_str()), (StatusCode::BAD_REQUEST, "invalid_return_to"), "{bad:?}");
    }
    for good in ["/", "/wine?a=b#c", "/a//b"] {
        assert_eq!(browser.post_json("/wallet/presentations", &ask(good)).await.status, StatusCode::CREATED, "{good}");
    }
}

#[tokio::test]
async fn row_30_another_site_starts_and_finishes_nothing() {
    let (shop, store) = told();
    let mut browser = browser(&shop);
    let (asking, request) = delivered(&mut browser, "age").await;
    let answered = browser.wallet_answers(&request, "adult", &[]).await;
    let body = json!({ "presentation": asking.id, "response_code": response_code(&answered) }).to_string();
    let before = store.written().len();
    for (path, body) in
        [("/wallet/presentations", r#"{"ask":"age","flow":"same_device"}"#), ("/wallet/sessions", &body)]
    {
        // What a form or a fetch of another site can send: no proof.
        for media_type in ["application/json", "text/plain", FORM] {
            let mut forged = browser.another();
            let headers = [("content-type", media_type), ("origin", "https://evil.example")];
            let reply = forged.plain(&Method::POST, path, &headers, body.as_bytes()).await;
            assert_eq!(reply.status, StatusCode::UNAUTHORIZED, "{path} {media_type}");
            assert_eq!(reply.header("access-control-allow-origin"), "");
        }
    }
    assert_eq!(store.written().len(), before);
    let page = plain(&browser, Method::GET, &format!("/wallet/return/{}", asking.id), FORM, b"").await;
    assert!(page.header("content-security-policy").contains("frame-ancestors 'none'"));
}

#[tokio::test]
async fn an_unredeemed_answer_leaves_nothing_but_its_own_record() {
    let (shop, store) = told();
    let mut browser = browser(&shop);
    let (asking, request) = delivered(&mut browser, "address").await;
    let kinds = |store: &Ledger<Memory>| store.records().keys().map(|key| key.kind).collect::<Vec<_>>();
    let before = kinds(&store);
    browser.wallet_answers(&request, "adult", &[Fault::WrongNonce]).await;
    assert_eq!(browser.wallet_answers(&request, "adult", &[]).await.status, StatusCode::OK);
    assert_eq!(kinds(&store), before, "no customer, no session, no binding");
    // And that is gone with its time.
    shop.advance_s(301);
    assert_eq!(browser.get(&format!("/wallet/presentations/{}", asking.id)).await.status, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn five_wrong_answers_are_enough_and_four_are_not() {
    let shop = TestShop::new();
    let mut browser = browser(&shop);
    for (wrong, right) in [(4, StatusCode::OK), (5, StatusCode::FORBIDDEN)] {
        let (asking, request) = delivered(&mut browser, "age").await;
        for _ in 0..wrong {
            let reply = browser.wallet_answers(&request, "adult", &[Fault::WrongNonce]).await;
            refused(&mut browser, &asking, &reply).await;
        }
        let reply = browser.wallet_answers(&request, "adult", &[]).await;
        assert_eq!(reply.status, right, "{}", reply.text());
        if right == StatusCode::FORBIDDEN {
            assert_eq!(reply.code(), "too_many_wrong_answers");
            // The owner of the browser asks again.
            browser.sign_in("adult").await;
        }
    }
}

#[tokio::test]
async fn a_renewed_certificate_strands_nobody() {
    for prefix in [ClientIdPrefix::X509Hash, ClientIdPrefix::X509SanDns] {
        let store = Memory::new();
        let inner = store.clone();
        let old = TestShop::with(|builder| builder.store(inner).client_id_prefix(prefix.clone()));
        let renewed = old.renewed_certificate();
        let new = old.again(|builder| builder.keys(renewed).store(store.clone()).client_id_prefix(prefix.clone()));
        // Renewed between the ask and the fetch, between the fetch and the answer, and between answer and redemption.
        for step in 0..3 {
            let at = |renewed_after: usize| if step < renewed_after { &new } else { &old };
            let mut browser = browser(&old);
            let asking = browser.ask("age", Device::SameDevice).await;
            let mut browser = moved(&browser, at(1));
            let request = browser.wallet_reads(&asking).await;
            let mut browser = moved(&browser, at(2));
            let again = browser.wallet_reads(&asking).await;
            assert_eq!((&request.client_id, &request.nonce), (&again.client_id, &again.nonce));
            let answered = browser.wallet_answers(&request, "adult", &[]).await;
            assert_eq!(answered.status, StatusCode::OK, "{prefix:?} {step}: {}", answered.text());
            let mut browser = moved(&browser, &new);
            assert_eq!(redeem(&mut browser, &asking, &answered).await.status, StatusCode::OK);
            assert_ne!(browser.get("/").await.text(), "");
        }
        let mut browser = browser(&new);
        browser.sign_in("adult").await;
    }
}

#[tokio::test]
async fn a_renewed_root_secret_strands_nobody() {
    let store = Memory::new();
    let inner = store.clone();
    let address = TestShop::address().keep("family_name", "To greet you", 86_400);
    let shop = TestShop::new();
    let old = shop.bare(|builder| builder.store(inner).ask(&address));
    let renewed = shop.renewed_root();
    let new = shop.bare(|builder| builder.keys(renewed).store(store).ask(&address));

    let mut browser = browser(&old);
    browser.prove("address", "adult").await;
    let known = browser.get("/").await.text();
    let (asking, request) = delivered(&mut browser, "address").await;
    let mut browser = moved(&browser, &new);
    assert_eq!(browser.get("/").await.text(), known, "the session goes on");
    let answered = browser.wallet_answers(&request, "adult", &[]).await;
    assert_eq!(answered.status, StatusCode::OK, "{}", answered.text());
    let redeemed = redeem(&mut browser, &asking, &answered).await;
    assert_eq!(redeemed.status, StatusCode::OK, "the same family name is no other person's: {}", redeemed.text());
    assert_eq!(browser.get("/").await.text(), known);
    let customer = new.merchant().customer(&known.parse().unwrap()).await.unwrap().unwrap();
    assert_eq!(customer.kept_value("family_name").await.unwrap(), Some(json!("Adler")));

    // And another person is still another person.
    let (asking, request) = delivered(&mut browser, "address").await;
    let answered = browser.wallet_answers(&request, "minor", &[]).await;
    let redeemed = redeem(&mut browser, &asking, &answered).await;
    assert_eq!((redeemed.status, redeemed.code().as_str()), (StatusCode::CONFLICT, "another_person"));
}

#[tokio::test]
async fn an_ask_that_is_no_longer_declared_is_refused_at_every_step() {
    let store = Memory::new();
    let inner = store.clone();
    let old = TestShop::with(|builder| builder.store(inner));
    let new = old.bare(|builder| builder.store(store).ask(&TestShop::address()));
    let mut before = browser(&old);
    let (asking, request) = delivered(&mut before, "age").await;
    let mut after = moved(&before, &new);
    let refused = after.wallet_answers(&request, "adult", &[]).await;
    assert_eq!((refused.status, refused.code().as_str()), (StatusCode::NOT_FOUND, "no_such_ask"));
    let answered = before.wallet_answers(&request, "adult", &[]).await;
    assert_eq!(redeem(&mut after, &asking, &answered).await.code(), "no_such_ask");
    assert_eq!(redeem(&mut before, &asking, &answered).await.status, StatusCode::OK, "nothing was lost");
    let begun = after.post_json("/wallet/presentations", &json!({ "ask": "age", "flow": "same_device" })).await;
    assert_eq!(begun.status, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn an_ask_that_was_changed_judges_what_it_asked() {
    let store = Memory::new();
    let inner = store.clone();
    let old = TestShop::with(|builder| builder.store(inner));
    let raised = Ask::new("age", "Spirits are sold from 21").over(21);
    let new = old.bare(|builder| builder.store(store).ask(&raised));
    let mut browser = browser(&old);
    let (asking, request) = delivered(&mut browser, "age").await;
    let mut browser = moved(&browser, &new);
    let answered = browser.wallet_answers(&request, "adult", &[]).await;
    assert_eq!(redeem(&mut browser, &asking, &answered).await.status, StatusCode::OK);
    let me = browser.get("/wallet/me").await.json();
    assert_eq!(me["proofs"][0]["outcome"], "over 18", "nobody said anything about 21");
}

#[tokio::test]
async fn a_clock_that_jumps_opens_nothing() {
    let shop = TestShop::new();
    let noon = shop.merchant().now();
    // Ahead: what was open is over, and says so.
    let mut browser = browser(&shop);
    let (_, request) = delivered(&mut browser, "age").await;
    shop.advance_s(2 * 3600);
    let late = browser.wallet_answers(&request, "adult", &[]).await;
    assert!(late.status.is_client_error(), "{}", late.text());
    // Back: the holder's proof is of the future, and a new request is answered like any other.
    shop.clock().set(noon.minus_s(2 * 3600));
    shop.publish_status_list();
    let reply = browser.wallet_answers(&request, "adult", &[Fault::HolderProofInFuture]).await;
    assert!(reply.status.is_client_error(), "{}", reply.text());
    shop.clock().set(noon);
    shop.publish_status_list();
    let (_, request) = delivered(&mut browser, "age").await;
    assert_eq!(browser.wallet_answers(&request, "adult", &[]).await.status, StatusCode::OK);
}

#[tokio::test]
async fn a_wallets_clock_may_be_off_by_a_minute() {
    let shop = clear_shop();
    let scribe = Scribe::new(&shop);
    for (off_s, holds) in [(-300, true), (-361, false), (60, true), (61, false)] {
        let mut browser = browser(&shop);
        let (_, request) = delivered(&mut browser, "age").await;
        let jwt = scribe.issued(scribe.claims(&[]));
        let bound = probe::bound(&jwt, &[]);
        let mut claims = scribe.proof_claims(&request, &bound);
        claims.insert("iat".to_owned(), json!(scribe.now().as_secs() + off_s));
        let proof = scribe.sign(&json!({ "typ": "kb+jwt" }), claims);
        let reply = browser.wallet_posts(&request, &scribe.form(&request, &(bound + &proof))).await;
        assert_eq!(reply.status.is_success(), holds, "{off_s}: {}", reply.text());
    }
}

#[tokio::test]
async fn a_store_that_is_down_is_nobodys_wrong_answer() {
    let store = Faulty::new(Memory::new());
    let inner = store.clone();
    let shop = TestShop::with(|builder| builder.store(inner));
    let mut browser = browser(&shop);
    let (asking, request) = delivered(&mut browser, "age").await;
    for _ in 0..6 {
        store.fail(0, faulty::Fault::Refused);
        let reply = browser.wallet_answers(&request, "adult", &[]).await;
        assert_eq!((reply.status, reply.code().as_str()), (StatusCode::SERVICE_UNAVAILABLE, "unavailable"));
    }
    assert_eq!(standing(&mut browser, &asking).await.0, "delivered");
    assert_eq!(browser.wallet_answers(&request, "adult", &[]).await.status, StatusCode::OK);
}

/// The limits of what a merchant may ask are checked when the shop is set up, not when a wallet answers.
#[tokio::test]
async fn row_22_a_query_without_bounds_is_refused_at_set_up() {
    let many = (0..=Limits::default().dcql_claims)
        .fold(Wanted::sd_jwt_vc("urn:eudi:pid:1"), |wanted, at| wanted.claim([format!("claim_{at}")]));
    let ask = Ask::new("many", "Too much").credential("pid", many);
    let shop = TestShop::new();
    let built = firsthand::Merchant::builder(shop.merchant().origin().clone())
        .keys(shop.keys().clone())
        .trust(shop.cast().trust().unwrap())
        .store(Memory::new())
        .fetch(shop.network().clone())
        .ask(&ask)
        .build();
    assert!(built.is_err());
    // And an answer with more presentations than a query may have is refused by its shape.
    let clear = clear_shop();
    let entries: Vec<Value> = (0..200).map(|_| json!("a~")).collect();
    assert_eq!(
        why(&clear, "age", |request| form(request, &json!({ "age": entries }))).await,
        "credential_not_multiple"
    );
}
