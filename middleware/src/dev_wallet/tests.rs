//! The wallet over its routes, towards a shop that stands on a port of its own.

use axum::body::{Body, to_bytes};
use firsthand::{
    Ask, Device, Wanted,
    ask::PID,
    limits::Limits,
    merchant::{
        AskRequest, AskTogether, BrowserProof, Invitation, IssuerProfile, ProofRequest, Redemption, SessionGrant,
    },
    money::{Currency, Money, Quantity},
    order::Draft,
    presentation::{PresentationId, ResponseCode},
    protocol::{
        jose::{Jws, SigningKey, base64url_encode, sha256},
        status_list::StatusList,
        x509::Certificate,
    },
    rail::{Outcome, WalletRail, wallet::Payee},
    testing::{FakeExecutor, cast::ACCOUNT, wallet::Link},
};
use http::{HeaderMap, Method};
use serde_json::{Value, json};
use tower::ServiceExt;
use url::Url;

use super::{screen::CSP, *};

/// A development shop on a port of its own: its merchant fetches the status list from itself.
struct Shop {
    merchant: Merchant,
    router: Router,
    folder: std::path::PathBuf,
    server: tokio::task::JoinHandle<()>,
    browser: SigningKey,
}

impl Drop for Shop {
    fn drop(&mut self) {
        self.server.abort();
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}

impl Shop {
    async fn open() -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let origin = Url::parse(&format!("http://{address}")).unwrap();
        let folder = std::env::temp_dir().join(format!("firsthand-wallet-{}", address.port()));
        let merchant = Self::merchant(origin, &folder).await;
        let router: Router = crate::routes(&merchant);
        let served = router.clone().into_make_service_with_connect_info::<SocketAddr>();
        let server = tokio::spawn(async move { axum::serve(listener, served).await.unwrap() });
        let mut scalar = [0; 32];
        SystemEnv.fill(&mut scalar);
        Self { merchant, router, folder, server, browser: SigningKey::from_p256_scalar(&scalar).unwrap() }
    }

    async fn merchant(origin: Url, folder: &std::path::Path) -> Merchant {
        let name = Wanted::sd_jwt_vc(PID).claim(["given_name"]).claim(["address"]);
        let builder = Merchant::dev_at(origin, folder).await.unwrap();
        builder
            .ask(&Ask::new("age", "Wine is sold to adults").over(18))
            .ask(&Ask::new("address", "To send you what you order").credential("pid", name))
            .ask(&Ask::new("welcome", "So that we know you again").recognise())
            .relationship(IssuerProfile::Open)
            .ask(
                &Ask::new("pay", "To pay for what you order")
                    .payment(Wanted::sd_jwt_vc(ACCOUNT).claim(["masked_iban"])),
            )
            .wallet_rail(WalletRail::new(
                Payee::new("Weingut Sonnberg", "DE89370400440532013000").unwrap(),
                FakeExecutor::new(),
            ))
            .build()
            .unwrap()
    }

    /// Another merchant over the same folder.
    async fn restart(&mut self) {
        self.merchant = Self::merchant(self.merchant.origin().clone(), &self.folder).await;
        self.router = crate::routes(&self.merchant);
    }

    fn authority(&self) -> &str {
        self.merchant.origin().authority()
    }

    fn proof(&self, path: &str) -> BrowserProof {
        self.proof_of(path, None)
    }

    fn proof_with(&self, path: &str, token: &str) -> BrowserProof {
        self.proof_of(path, Some(token))
    }

    /// Fetches the result of a request that the wallet answered.
    async fn redeem(&self, id: &PresentationId, answer: Option<&Value>) -> SessionGrant {
        let uri = answer.map(|answer| Url::parse(answer["redirect_uri"].as_str().unwrap()).unwrap());
        let code: Option<ResponseCode> =
            uri.map(|uri| uri.fragment().unwrap().strip_prefix("response_code=").unwrap().parse().unwrap());
        let redemption = Redemption { presentation: id, response_code: code.as_ref() };
        self.merchant.redeem(&self.proof("/wallet/sessions"), &redemption).await.unwrap()
    }

    fn proof_of(&self, path: &str, token: Option<&str>) -> BrowserProof {
        let mut jti = [0; 16];
        SystemEnv.fill(&mut jti);
        let header = json!({"typ": "dpop+jwt", "jwk": self.browser.public_key().to_jwk()});
        let mut claims = json!({
            "jti": format!("{jti:?}"), "htm": "POST", "htu": self.merchant.origin().join(path).unwrap().as_str(),
            "iat": self.merchant.now(), "nonce": self.merchant.nonce(),
        });
        if let Some(token) = token {
            claims["ath"] = base64url_encode(&sha256(token.as_bytes())).into();
        }
        let proof = self.browser.sign_jws(header.as_object().unwrap(), &claims).unwrap();
        let request = ProofRequest { proof: &proof, method: "POST", path, access_token: token };
        self.merchant.check_proof(&request).unwrap()
    }

    async fn ask(&self, ask: &str, device: Device) -> Invitation {
        let proof = self.proof("/wallet/presentations");
        self.merchant.ask(&proof, &AskRequest { ask, device, return_to: None }).await.unwrap()
    }

    async fn refusal(&self, id: &PresentationId) -> Option<String> {
        self.merchant.standing(id, &self.proof("/wallet/presentations")).await.unwrap().last_refusal
    }

    async fn send(&self, request: http::request::Builder, body: String) -> (StatusCode, HeaderMap, String) {
        let request = request.body(Body::from(body)).unwrap();
        let response = self.router.clone().oneshot(request).await.unwrap();
        let (parts, body) = response.into_parts();
        let bytes = to_bytes(body, 1024 * 1024).await.unwrap();
        (parts.status, parts.headers, String::from_utf8(bytes.to_vec()).unwrap())
    }

    /// As the page's script would in a browser.
    async fn post(&self, path: &str, media_type: &str, body: String) -> (StatusCode, String) {
        let request = self.request(Method::POST, path).header("content-type", media_type);
        let (status, _, body) = self.send(request, body).await;
        (status, body)
    }

    async fn step(&self, step: &str, body: &Value) -> (StatusCode, Value) {
        let (status, body) = self.post(&format!("{WALLET_PATH}/{step}"), "application/json", body.to_string()).await;
        (status, serde_json::from_str(&body).unwrap())
    }

    fn request(&self, method: Method, path: &str) -> http::request::Builder {
        let request = http::Request::builder().method(method).uri(path).header("host", self.authority());
        request.header("sec-fetch-site", "same-origin").header("origin", format!("http://{}", self.authority()))
    }

    /// Fetches a request as the page does, and gives what every later step begins with.
    async fn fetch(&self, invitation: &Invitation) -> Value {
        let nonce = "a-nonce-of-the-wallet";
        let form = "application/x-www-form-urlencoded";
        let (status, object) =
            self.post(invitation.request_uri.as_ref().unwrap().path(), form, Link::form(nonce)).await;
        assert_eq!(status, StatusCode::OK, "{object}");
        json!({"link": invitation.wallet_uri, "object": object, "wallet_nonce": nonce})
    }

    /// Lets the page's script post what a step made.
    async fn deliver(&self, made: &Value) -> (StatusCode, Value) {
        let uri = Url::parse(made["response_uri"].as_str().unwrap()).unwrap();
        let form = made["form"].as_str().unwrap().to_owned();
        let (status, body) = self.post(uri.path(), "application/x-www-form-urlencoded", form).await;
        (status, serde_json::from_str(&body).unwrap())
    }

    async fn share(&self, invitation: &Invitation, persona: &str) -> (StatusCode, Value) {
        let mut held = self.fetch(invitation).await;
        held["persona"] = json!(persona);
        let (status, made) = self.step("answer", &held).await;
        assert_eq!(status, StatusCode::OK, "{made}");
        self.deliver(&made).await
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_consent_screen_says_who_asks_and_what_each_person_would_show() {
    let shop = Shop::open().await;
    let invitation = shop.ask("age", Device::SameDevice).await;
    let held = shop.fetch(&invitation).await;
    let (status, consent) = shop.step("read", &held).await;
    assert_eq!(status, StatusCode::OK, "{consent}");
    let who = &consent["who"];
    assert_eq!(who["host"], shop.authority());
    assert_eq!(who["certified"], true);
    assert!(who["issuer"].as_str().unwrap().contains("Development Access CA"), "{who}");
    assert_eq!(consent["response_mode"], "direct_post.jwt");
    let person = |id: &str| consent["people"].as_array().unwrap().iter().find(|it| it["id"] == id).unwrap().clone();
    let line = |name, path, value| json!([{"name": name, "path": path, "value": value}]);
    let over = "At least 18 years old";
    for (id, kind, claims) in [
        ("adult", "Proof of age", line(over, "eu.europa.ec.av.1.age_over_18", json!(true))),
        ("minor", "Proof of age", line(over, "eu.europa.ec.av.1.age_over_18", json!(false))),
        ("rulebook", "Driving licence", line("Date of birth", "org.iso.18013.5.1.birth_date", json!("1984-05-17"))),
    ] {
        assert_eq!(person(id)["choices"][0]["shown"][0]["name"], kind);
        assert_eq!(person(id)["choices"][0]["shown"][0]["claims"], claims, "{id}");
    }
    let offered = |id: &str| {
        let choices = person(id)["choices"].as_array().unwrap().clone();
        let name = |choice: &Value| {
            let shown = &choice["shown"][0];
            format!("{}, {}", shown["name"].as_str().unwrap(), shown["format"].as_str().unwrap())
        };
        choices.iter().map(name).collect::<Vec<_>>()
    };
    assert_eq!(offered("adult"), [&DOCUMENTS[..], W3C].concat());
    let national = ["Proof of age, mdoc", "Driving licence, mdoc", "National identity, SD-JWT VC", "EU identity, mdoc"];
    assert_eq!(offered("national"), [&national[..], W3C].concat());
    assert_eq!(offered("rulebook"), DOCUMENTS[1..]);
    // Of what can only be shown whole, the person sees all.
    for at in DOCUMENTS.len()..DOCUMENTS.len() + W3C.len() {
        let shown = person("adult")["choices"][at]["shown"][0]["claims"].clone();
        let names: Vec<&str> = shown.as_array().unwrap().iter().map(|line| line["name"].as_str().unwrap()).collect();
        assert_eq!(names.len(), 7, "{shown}");
        assert!(["Family name", "Street", over].iter().all(|name| names.contains(name)), "{shown}");
    }
}

/// What shows how old the people are, what tells least first.
const DOCUMENTS: [&str; 4] =
    ["Proof of age, mdoc", "Driving licence, mdoc", "EU identity, SD-JWT VC", "EU identity, mdoc"];
/// And what else, behind it.
const W3C: &[&str] =
    if cfg!(feature = "w3c") { &["Driving licence, W3C, Data Integrity", "Driving licence, W3C, JWT"] } else { &[] };

#[tokio::test(flavor = "multi_thread")]
async fn a_person_answers_with_whichever_credential_they_choose() {
    let shop = Shop::open().await;
    let choices = DOCUMENTS.len() + W3C.len();
    for id in ["adult", "national", "minor", "revoked", "suspended", "expired", "untrusted"] {
        let expected = if matches!(id, "adult" | "national") { StatusCode::OK } else { StatusCode::BAD_REQUEST };
        for choice in 0..choices {
            let invitation = shop.ask("age", Device::SameDevice).await;
            let mut held = shop.fetch(&invitation).await;
            held["persona"] = json!(id);
            held["choice"] = json!(choice);
            let (status, made) = shop.step("answer", &held).await;
            assert_eq!(status, StatusCode::OK, "{id} {choice}: {made}");
            let (status, body) = shop.deliver(&made).await;
            assert_eq!(status, expected, "{id} {choice}: {body}");
        }
        let mut held = shop.fetch(&shop.ask("age", Device::SameDevice).await).await;
        held["persona"] = json!(id);
        held["choice"] = json!(choices);
        let (status, problem) = shop.step("answer", &held).await;
        assert_eq!((status, &problem["code"]), (StatusCode::BAD_REQUEST, &json!("unanswerable")), "{problem}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_address_is_shown_line_by_line_and_in_german_on_demand() {
    let shop = Shop::open().await;
    let held = shop.fetch(&shop.ask("address", Device::CrossDevice).await).await;
    let request = shop.request(Method::POST, "/_dev/wallet/read").header("content-type", "application/json");
    let (_, headers, body) = shop.send(request.header("accept-language", "de-AT,de;q=0.9"), held.to_string()).await;
    assert_eq!(headers[header::CACHE_CONTROL], "no-store");
    let consent: Value = serde_json::from_str(&body).unwrap();
    let shown = &consent["people"][0]["choices"][0]["shown"][0];
    assert_eq!(shown["name"], "EU-Identität");
    let names = shown["claims"].as_array().unwrap().iter().map(|line| line["name"].as_str().unwrap());
    let mut names: Vec<_> = names.collect();
    names.sort_unstable();
    assert_eq!(names, ["Land", "Ort", "Postleitzahl", "Straße", "Vorname"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_payment_is_shown_before_it_is_signed_and_answers_with_the_rest() {
    let shop = Shop::open().await;
    let price = Money::new(2150, Currency::EUR).unwrap();
    let draft = Draft::new(Currency::EUR).line("riesling", "Riesling", price, Quantity::new(1).unwrap());
    let placing = shop.merchant.place_as_guest(draft, &shop.merchant.guest_form()).await.unwrap();
    let order = placing.commit().await.unwrap().order;
    let (asks, device) = (["age", "address", "pay"], Device::SameDevice);
    let together = AskTogether { asks: &asks, payment: Some(&order), device, return_to: None };
    let invitation = shop.merchant.ask_together(&shop.proof("/wallet/presentations"), &together).await.unwrap();
    let held = shop.fetch(&invitation).await;
    let (status, consent) = shop.step("read", &held).await;
    assert_eq!(status, StatusCode::OK, "{consent}");
    let signed = &consent["transactions"][0];
    let payment = json!({ "payee": "Weingut Sonnberg", "amount": "21.50", "currency": "EUR" });
    assert_eq!((&signed["type"], &signed["payment"]), (&json!("urn:eudi:sca:payment:1"), &payment));
    let names: Vec<&str> =
        signed["members"].as_array().unwrap().iter().map(|line| line["name"].as_str().unwrap()).collect();
    assert_eq!(names, ["Transaction", "Begun", "Payee", "Payee's account", "Currency", "Amount"]);
    let adult = consent["people"].as_array().unwrap().iter().find(|it| it["id"] == "adult").unwrap();
    let shown = adult["choices"][0]["shown"].as_array().unwrap();
    let cards: Vec<&str> = shown.iter().map(|card| card["name"].as_str().unwrap()).collect();
    assert_eq!(cards, ["Proof of age", "EU identity", "Bank account"]);

    let (status, answer) = shop.share(&invitation, "adult").await;
    assert_eq!(status, StatusCode::OK, "{answer}");
    shop.redeem(&invitation.id, Some(&answer)).await;
    let order = order.reload().await.unwrap();
    assert_eq!(order.attempts()[0].outcome, Some(Outcome::Authorised { until: None }));
    assert!(order.evidence(1).await.unwrap().is_some());
}

#[tokio::test(flavor = "multi_thread")]
async fn everybody_has_the_outcome_that_they_should_have() {
    let shop = Shop::open().await;
    for id in ["adult", "national", "rulebook"] {
        let (status, body) = shop.share(&shop.ask("age", Device::SameDevice).await, id).await;
        assert_eq!(status, StatusCode::OK, "{id}: {body}");
        let back = Url::parse(body["redirect_uri"].as_str().unwrap()).unwrap();
        assert!(back.path().starts_with("/wallet/return/"), "{back}");
        assert!(back.fragment().is_some_and(|fragment| fragment.starts_with("response_code=")), "{back}");
    }
    let mut refusals = Vec::new();
    for id in ["minor", "revoked", "suspended", "expired", "untrusted"] {
        let invitation = shop.ask("age", Device::SameDevice).await;
        let (status, body) = shop.share(&invitation, id).await;
        assert_eq!((status, &body["code"]), (StatusCode::BAD_REQUEST, &json!("answer_refused")), "{id}: {body}");
        refusals.push((id, shop.refusal(&invitation.id).await.unwrap()));
        // The same request takes another person's answer.
        let (status, _) = shop.share(&invitation, "adult").await;
        assert_eq!(status, StatusCode::OK, "{id}");
    }
    let expected = [
        ("minor", "age_not_reached"),
        ("revoked", "credential_revoked"),
        ("suspended", "credential_revoked"),
        ("expired", "credential_expired"),
        ("untrusted", "certificate_unknown_anchor"),
    ];
    assert_eq!(refusals, expected.map(|(id, code)| (id, code.to_owned())));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_card_is_taken_with_the_number_and_recognises_its_holder_after_a_restart_too() {
    let mut shop = Shop::open().await;
    let invitation = shop.ask("age", Device::SameDevice).await;
    let (_, body) = shop.share(&invitation, "adult").await;
    let grant = shop.redeem(&invitation.id, Some(&body)).await;
    let customer = grant.customer.clone();
    let token = grant.access_token.reveal().to_owned();
    let known = shop.merchant.recognise(&shop.proof_with("/wallet/issuer/offers", &token), &token).await.unwrap();
    let offered = known.offer_relationship(&shop.proof_with("/wallet/issuer/offers", &token)).await.unwrap();
    assert!(offered.uri.starts_with(&format!("{}_dev/wallet?credential_offer=", shop.merchant.origin())));

    for link in [&offered.uri, &offered.by_reference_uri] {
        let (status, offer) = shop.step("offer", &json!({ "link": link })).await;
        assert_eq!((status, &offer["digits"]), (StatusCode::OK, &json!(6)), "{offer}");
        assert_eq!(offer["people"][0]["id"], "adult");
    }
    let take = |tx_code: &str| json!({"link": offered.uri, "persona": "adult", "tx_code": tx_code});
    let wrong = if offered.tx_code == "000000" { "000001" } else { "000000" };
    let (status, problem) = shop.step("receive", &take(wrong)).await;
    assert_eq!((status, &problem["code"]), (StatusCode::BAD_REQUEST, &json!("invalid_grant")), "{problem}");
    let (status, received) = shop.step("receive", &take(&offered.tx_code)).await;
    assert_eq!(status, StatusCode::OK, "{received}");
    let (status, problem) = shop.step("receive", &take(&offered.tx_code)).await;
    assert_eq!((status, &problem["code"]), (StatusCode::BAD_REQUEST, &json!("invalid_grant")), "{problem}");
    let elsewhere = offered.uri.replace(&shop.authority().replace(':', "%3A"), "other.example");
    assert_ne!(elsewhere, offered.uri);
    let (_, problem) = shop.step("offer", &json!({ "link": elsewhere })).await;
    assert_eq!(problem["code"], "another_shop", "{problem}");

    // The same wallet after a restart, and a browser that the shop has never seen.
    shop.restart().await;
    assert!(shop.merchant.development().unwrap().cards("adult") > 0);
    shop.browser = SigningKey::from_p256_scalar(&[9; 32]).unwrap();
    let invitation = shop.ask("welcome", Device::SameDevice).await;
    let held = shop.fetch(&invitation).await;
    let (_, consent) = shop.step("read", &held).await;
    assert_eq!(consent["people"][0]["choices"][0]["shown"][0]["name"], "Customer card", "{consent}");
    assert_eq!(consent["people"][1]["choices"], json!([]), "nobody else has one");
    let (status, body) = shop.share(&invitation, "adult").await;
    assert_eq!(status, StatusCode::OK, "{body}");
    assert_eq!(shop.redeem(&invitation.id, Some(&body)).await.customer, customer);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wallet_on_another_device_is_sent_nowhere_and_one_that_declines_is_sent_back() {
    let shop = Shop::open().await;
    let (status, body) = shop.share(&shop.ask("age", Device::CrossDevice).await, "adult").await;
    assert_eq!((status, body), (StatusCode::OK, json!({})));

    let invitation = shop.ask("age", Device::SameDevice).await;
    let held = shop.fetch(&invitation).await;
    let (_, made) = shop.step("decline", &held).await;
    assert!(made["form"].as_str().unwrap().starts_with("error=access_denied&state="), "{made}");
    let (status, body) = shop.deliver(&made).await;
    assert_eq!(status, StatusCode::OK, "{body}");
    assert!(body["redirect_uri"].is_string());
    let standing = shop.merchant.standing(&invitation.id, &shop.proof("/wallet/presentations")).await.unwrap();
    assert_eq!(standing.state.name(), "declined");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_that_does_not_hold_is_shown_to_nobody() {
    let shop = Shop::open().await;
    let held = shop.fetch(&shop.ask("age", Device::SameDevice).await).await;
    let other = Shop::open().await;
    let theirs = other.fetch(&other.ask("age", Device::SameDevice).await).await;
    let with = |member: &str, value: Value| {
        let mut held = held.clone();
        held[member] = value;
        held
    };
    let object = held["object"].as_str().unwrap();
    let broken = format!("{}A", object.trim_end_matches(|c: char| c.is_ascii_alphanumeric()));
    for (body, code) in [
        (with("wallet_nonce", json!("another")), "request_refused"),
        (with("wallet_nonce", Value::Null), "request_refused"),
        (with("object", json!(broken)), "request_refused"),
        (with("object", json!("")), "request_refused"),
        // Another development shop has another authority.
        (theirs, "request_refused"),
        (with("link", json!("openid4vp://?client_id=a")), "link_refused"),
        (with("link", json!(7)), "invalid_request"),
        (json!({}), "invalid_request"),
    ] {
        for step in ["read", "answer", "decline"] {
            let (status, problem) = shop.step(step, &body).await;
            assert_eq!((status, &problem["code"]), (StatusCode::BAD_REQUEST, &json!(code)), "{step} {problem}");
        }
    }
    let (status, problem) = shop.step("answer", &with("persona", json!("nobody"))).await;
    assert_eq!((status, &problem["code"]), (StatusCode::NOT_FOUND, &json!("no_such_persona")));
    let (status, _) = shop.step("read", &with("object", json!("a".repeat(200 * 1024)))).await;
    assert_eq!(status, StatusCode::PAYLOAD_TOO_LARGE);
    assert_eq!(
        shop.post("/_dev/wallet/read", "text/plain", held.to_string()).await.0,
        StatusCode::UNSUPPORTED_MEDIA_TYPE
    );
    assert_eq!(shop.step("read", &held).await.0, StatusCode::OK);
}

#[tokio::test(flavor = "multi_thread")]
async fn only_this_machine_and_only_its_own_page() {
    let shop = Shop::open().await;
    let host = shop.authority().to_owned();
    let own = format!("http://{host}");
    let port = host.rsplit(':').next().unwrap();
    let get = |path: &str| http::Request::builder().uri(path.to_owned());
    let paths = ["/_dev/wallet", "/_dev/wallet/wallet.js", "/_dev/wallet/wallet.css", "/_dev/issuer/status"];
    for path in paths {
        assert_eq!(shop.send(get(path).header("host", &host), String::new()).await.0, StatusCode::OK, "{path}");
        // HTTP/2 has the name in the address.
        assert_eq!(shop.send(get(&format!("{own}{path}")), String::new()).await.0, StatusCode::OK, "{path}");
        let wrong =
            ["attacker.example", "127.0.0.1", &format!("localhost:{port}"), &format!("{host}.attacker.example")];
        for wrong in wrong {
            let (status, _, body) = shop.send(get(path).header("host", wrong), String::new()).await;
            assert_eq!(status, StatusCode::FORBIDDEN, "{path} {wrong}");
            assert!(body.contains("wrong_host"), "{body}");
        }
        let twice = get(path).header("host", &host).header("host", "attacker.example");
        assert_eq!(shop.send(twice, String::new()).await.0, StatusCode::FORBIDDEN, "{path}");
        assert_eq!(shop.send(get(path), String::new()).await.0, StatusCode::FORBIDDEN, "{path} without a name");
        for (peer, expected) in [
            ("127.0.0.1:9", StatusCode::OK),
            ("[::ffff:127.0.0.1]:9", StatusCode::OK),
            ("[::1]:9", StatusCode::OK),
            ("192.168.1.7:9", StatusCode::FORBIDDEN),
            ("[2001:db8::1]:9", StatusCode::FORBIDDEN),
        ] {
            let peer = ConnectInfo::<SocketAddr>(peer.parse().unwrap());
            let request = get(path).header("host", &host).extension(peer);
            assert_eq!(shop.send(request, String::new()).await.0, expected, "{path} {peer:?}");
        }
    }
    let held = shop.fetch(&shop.ask("age", Device::SameDevice).await).await;
    for step in ["read", "answer", "decline"] {
        let post = || {
            let request = get(&format!("{WALLET_PATH}/{step}")).method(Method::POST).header("host", &host);
            request.header("content-type", "application/json")
        };
        let mut held = held.clone();
        held["persona"] = json!("adult");
        for (request, expected) in [
            (post(), StatusCode::OK),
            (post().header("sec-fetch-site", "same-origin").header("origin", &own), StatusCode::OK),
            (post().header("sec-fetch-site", "cross-site"), StatusCode::FORBIDDEN),
            (post().header("sec-fetch-site", "same-site").header("origin", &own), StatusCode::FORBIDDEN),
            (post().header("origin", "https://attacker.example"), StatusCode::FORBIDDEN),
            (post().header("origin", "null"), StatusCode::FORBIDDEN),
            (post().header("origin", format!("http://localhost:{port}")), StatusCode::FORBIDDEN),
        ] {
            assert_eq!(shop.send(request, held.to_string()).await.0, expected, "{step}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_status_list_is_the_issuers() {
    let shop = Shop::open().await;
    let (status, headers, token) = shop.send(shop.request(Method::GET, STATUS_PATH), String::new()).await;
    assert_eq!(
        (status, &headers[header::CONTENT_TYPE]),
        (StatusCode::OK, &HeaderValue::from_static("application/statuslist+jwt"))
    );
    let limits = Limits::default();
    let uri = shop.merchant.origin().join(STATUS_PATH).unwrap();
    let der = Jws::parse(&token, &limits).unwrap().header().x5c.clone().unwrap().remove(0);
    let key = Certificate::from_der(&der).unwrap().public_key().unwrap();
    let read = |uri: &Url| {
        let parsed = StatusList::parse(&token, &limits).unwrap();
        StatusList::verify(parsed, &key, uri, shop.merchant.now(), &limits)
    };
    assert!(read(&uri).is_ok());
    assert!(read(&uri.join("another").unwrap()).is_err());
    #[cfg(feature = "w3c")]
    {
        let path = firsthand::merchant::dev::BITSTRING_PATH;
        assert_eq!(shop.merchant.development().unwrap().cast().bitstring_uri().path(), path);
        let (status, headers, list) = shop.send(shop.request(Method::GET, path), String::new()).await;
        assert_eq!(
            (status, &headers[header::CONTENT_TYPE]),
            (StatusCode::OK, &HeaderValue::from_static("application/vc+jwt"))
        );
        assert_eq!(list.split('.').count(), 3, "{list}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_page_carries_no_inline_script_and_nothing_of_its_address() {
    let shop = Shop::open().await;
    for (query, language) in [("", "en"), ("?client_id=%3Cscript%3Ealert(1)&request_uri=x", "de")] {
        let request = shop.request(Method::GET, &format!("{WALLET_PATH}{query}")).header("accept-language", language);
        let (status, headers, html) = shop.send(request, String::new()).await;
        assert_eq!(status, StatusCode::OK);
        assert_eq!(headers[header::CONTENT_SECURITY_POLICY], CSP);
        assert_eq!(headers[header::CACHE_CONTROL], "private, no-store");
        assert_eq!(headers[header::REFERRER_POLICY], "no-referrer");
        assert_eq!(headers[header::X_CONTENT_TYPE_OPTIONS], "nosniff");
        assert!(html.contains(&format!("<html lang=\"{language}\">")));
        assert!(!html.contains("alert(1)") && !html.contains("<style") && !html.contains(" style="), "{html}");
        assert_eq!(html.matches("<script").count(), 1);
        assert_eq!(html.contains("id=\"open\""), query.is_empty());
    }
    // Markup out of text, by any of its doors.
    for door in ["innerHTML", "outerHTML", "insertAdjacentHTML", "document.write", "eval(", "setHTML", "Function("] {
        assert!(!SCRIPT.contains(door), "{door}");
    }
}

#[tokio::test]
async fn a_shop_that_is_no_development_set_up_has_no_such_wallet() {
    let router: Router = crate::routes(firsthand::testing::TestShop::new().merchant());
    for path in [WALLET_PATH, STATUS_PATH] {
        let request = http::Request::builder().uri(path).header("host", "shop.example").body(Body::empty()).unwrap();
        assert_eq!(router.clone().oneshot(request).await.unwrap().status(), StatusCode::NOT_FOUND);
    }
}
