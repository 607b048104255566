//! Receipts: offered on an order's page to customers and to guests, taken by a wallet, shown again for what only buyers may
//! do; and everybody who tries to get, or to be, what they are not.

use std::sync::atomic::{AtomicU64, Ordering};

use axum::{
    Json, Router,
    extract::{Path, State},
    routing::{get, post},
};
use firsthand::{
    Ask, Device, Merchant, Trust,
    ask::documents::RECEIPT,
    env::Env,
    error::Refusal,
    limits::Limits,
    merchant::{GuestLink, GuestOrder, IssuerProfile, MerchantBuilder, Order, WalletClient},
    money::{Currency, Money, Quantity, Rate},
    order::{Address, Adjustment, AdjustmentReason, Carriage, Draft, Line, LineTax, Part},
    protocol::{
        jose::{Jws, PublicKey, SigningKey},
        openid4vci::oauth::CodeChallenge,
    },
    receipt::{Receipt, ReceiptIssuer},
    store::{Memory, Store},
    testing::{
        Clock,
        authority::{Authority, Leaf, certificate_pem},
        faulty::{Fault, Faulty},
        issuer::{Credential, Issuer},
        wallet::Wallet,
    },
    time::UnixTime,
};
use firsthand_axum::{
    CustomerLayer, Known, Problem, routes,
    testing::{Browser, FakeRail, Reply, TestShop, response_code},
};
use firsthand_tests::vector;
use http::{Method, StatusCode};
use serde_json::{Value, json};

use crate::{
    issuer::{text, told, visit},
    probe,
    setting::refused,
};

fn seller() -> ReceiptIssuer {
    let address = Address {
        name: "Test Shop GmbH".into(),
        street: "Weg 1".into(),
        postal_code: "10115".into(),
        locality: "Berlin".into(),
        country: "DE".into(),
    };
    ReceiptIssuer::new(&address, "DE123456789").branch("web", "Test Shop")
}

/// A receipt of this shop, and nothing about who shows it.
fn bought() -> Ask {
    Ask::new("bought", "Reviews are written by those who bought").receipt()
}

fn selling(builder: MerchantBuilder) -> MerchantBuilder {
    let client = WalletClient {
        client_id: "https://wallet.example".into(),
        name: "A Wallet".into(),
        redirect_uris: vec!["https://wallet.example/cb".into()],
    };
    builder
        .relationship(IssuerProfile::Open)
        .display_name("Test Shop")
        .wallet_client(client)
        .receipts(seller())
        .rail(FakeRail::new())
        .ask(&bought())
}

fn shop() -> TestShop {
    over(Memory::new())
}

fn over(store: impl Store) -> TestShop {
    TestShop::with(|builder| selling(builder.store(store)))
}

/// A browser of a shop whose order pages offer receipts, and that takes a review from whoever shows one.
fn browser(shop: &TestShop) -> Browser {
    let merchant = shop.merchant().clone();
    let app = Router::new()
        .route("/orders/{id}/receipts", get(receipts))
        .route("/orders/{id}/receipts/{number}/offers", post(offer))
        .route("/o/{link}/receipts/{number}/offers", post(guest_offer))
        .route("/reviews", post(review))
        .route("/reviews/{item}", post(review_of))
        .with_state(merchant.clone())
        .merge(routes(&merchant))
        .layer(CustomerLayer::new(merchant));
    Browser::new(shop, app)
}

async fn own(known: &Known, id: &str) -> Result<Order, Problem> {
    Ok(known.order(&id.parse().map_err(|_| Refusal::NoSuchOrder)?).await?)
}

async fn receipts(known: Known, Path(id): Path<String>) -> Result<Json<Vec<Receipt>>, Problem> {
    Ok(Json(own(&known, &id).await?.receipts().await?))
}

async fn offered(order: &Order, number: &str) -> Result<Json<Value>, Problem> {
    let offer = order.offer_receipt(number).await?;
    Ok(Json(json!({"uri": offer.uri, "by_reference_uri": offer.by_reference_uri, "tx_code": offer.tx_code})))
}

async fn offer(known: Known, Path((id, number)): Path<(String, String)>) -> Result<Json<Value>, Problem> {
    offered(&own(&known, &id).await?, &number).await
}

async fn guest_offer(
    State(merchant): State<Merchant>,
    Path((link, number)): Path<(String, String)>,
) -> Result<Json<Value>, Problem> {
    let link: GuestLink = link.parse().map_err(|_| Refusal::NoSuchOrder)?;
    offered(&merchant.guest_order(&link).await?, &number).await
}

async fn review(State(merchant): State<Merchant>, known: Known) -> Result<String, Problem> {
    let shown = known.claims(&bought()).await?.ok_or(Refusal::NoSuchReceipt)?;
    let receipt = merchant.receipt_shown(&shown).await?;
    receipt.once("review").await?.commit().await?;
    Ok(receipt.order().id().to_string())
}

/// What was bought is said, too.
async fn review_of(
    State(merchant): State<Merchant>,
    Path(item): Path<String>,
    known: Known,
) -> Result<Json<Value>, Problem> {
    let shown = known.claims(&bought()).await?.ok_or(Refusal::NoSuchReceipt)?;
    let receipt = merchant.receipt_shown(&shown).await?;
    let bought = receipt.once_for("review", &item).await?.commit().await?;
    Ok(Json(json!({ "title": bought.title, "at": bought.at, "quantity": bought.quantity, "kept": bought.kept })))
}

fn euro(text: &str) -> Money {
    Money::parse(text, Currency::EUR).unwrap()
}

fn tax(rate: &str, amount: &str) -> LineTax {
    LineTax { rate: rate.parse::<Rate>().unwrap(), amount: euro(amount), included: true }
}

/// So many bottles, and a parcel.
fn draft(lines: usize) -> Draft {
    let wine = || Line::new("wine", "Wine", euro("11.90"), Quantity::new(1).unwrap()).taxed(tax("19", "1.90"));
    let book = Line::new("book", "Book", euro("10.70"), Quantity::new(1).unwrap()).taxed(tax("7", "0.70"));
    let carriage = Carriage {
        method: "parcel".into(),
        title: "Parcel".into(),
        amount: euro("5.95"),
        tax: Some(tax("19", "0.95")),
    };
    (0..lines).fold(Draft::new(Currency::EUR).with(book), |draft, _| draft.with(wine())).sent_by(carriage)
}

async fn placed(shop: &TestShop, lines: usize) -> GuestOrder {
    let form = shop.merchant().guest_form();
    shop.merchant().place_as_guest(draft(lines), &form).await.unwrap().commit().await.unwrap()
}

/// A guest's order that is paid, with the path of its page.
async fn paid(shop: &TestShop) -> (Order, String) {
    let guest = placed(shop, 1).await;
    let order = guest.order.pay(FakeRail::ID).await.unwrap();
    (order, format!("/o/{}", guest.link.reveal()))
}

async fn posted(browser: &mut Browser, path: &str) -> Reply {
    browser.plain(&Method::POST, path, &[], &[]).await
}

/// What the page of an order offers.
async fn offer_of(browser: &mut Browser, page: &str, number: &str) -> Value {
    let reply = posted(browser, &format!("{page}/receipts/{number}/offers")).await;
    assert_eq!(reply.status, StatusCode::OK, "{}", reply.text());
    reply.json()
}

/// A wallet takes what is offered.
async fn receive(browser: &Browser, wallet: &mut Wallet, offer: &Value) {
    let mut visit = visit(browser, text(offer, "uri")).await;
    visit.redeem(Some(text(offer, "tx_code"))).await.unwrap();
    assert_eq!(visit.refresh_token, None, "a receipt is issued once");
    wallet.collect(&mut visit).await.unwrap();
}

/// A wallet shows a receipt to somebody's browser.
async fn shows(browser: &mut Browser, wallet: &Wallet) -> Reply {
    let asking = browser.ask("bought", Device::SameDevice).await;
    let request = browser.wallet_reads(&asking).await;
    let choice = wallet.choose(&request).unwrap();
    let form = wallet.answer(&request, &choice, &[], browser.shop().clock()).unwrap();
    let answer = browser.wallet_posts(&request, &form).await;
    if answer.status != StatusCode::OK {
        return answer;
    }
    browser.redeem(&json!({ "presentation": asking.id, "response_code": response_code(&answer) })).await
}

#[tokio::test]
async fn a_guests_receipt_is_in_a_wallet_and_good_for_one_review() {
    let shop = shop();
    let (order, page) = paid(&shop).await;
    let mut guest = browser(&shop);
    let number = order.reference().as_str();
    let offer = offer_of(&mut guest, &page, number).await;
    assert!(text(&offer, "by_reference_uri").len() < 250, "fit for a QR code");
    let mut wallet = Wallet::new();
    receive(&guest, &mut wallet, &offer).await;

    let claims = wallet.holdings()[0].claims().clone();
    assert_eq!((&claims["iss"], &claims["vct"]), (&json!("https://shop.example"), &json!(RECEIPT)));
    assert_eq!(claims["attestation_legal_category"], "non-qualified-EAA");
    assert!(claims["cnf"]["jwk"]["x"].is_string() && claims["status"]["status_list"]["idx"].is_u64());
    assert!(claims["exp"].as_i64().unwrap() - claims["iat"].as_i64().unwrap() > 5 * 365 * 24 * 3600);
    assert!(claims.get("sub").is_none(), "nobody's name");
    let receipt = order.receipt().await.unwrap();
    for (name, value) in receipt.to_json().as_object().unwrap() {
        assert_eq!(&claims[name], value, "{name}");
    }
    let issued = order.receipts_in_wallets().await.unwrap();
    assert!(matches!(&issued[..], [one] if one.arrived && !one.revoked && one.number == number));

    // A browser that was never here, of nobody who is known: they bought, and that is all that is known.
    let mut reviewer = browser(&shop);
    let shown = shows(&mut reviewer, &wallet).await;
    assert_eq!(shown.status, StatusCode::OK, "{}", shown.text());
    let first = reviewer.signed(Method::POST, "/reviews", None).await;
    assert_eq!((first.status, first.text()), (StatusCode::OK, order.id().to_string()));
    refused(&reviewer.signed(Method::POST, "/reviews", None).await, 409, "receipt_used");
    // The same receipt in another wallet, shown by somebody else, is the same receipt.
    let mut other = Wallet::new();
    let offer = offer_of(&mut guest, &page, number).await;
    receive(&guest, &mut other, &offer).await;
    let mut second = browser(&shop);
    assert_eq!(shows(&mut second, &other).await.status, StatusCode::OK);
    refused(&second.signed(Method::POST, "/reviews", None).await, 409, "receipt_used");
    // For something else it is good.
    let verified = async { shop.merchant().order_by_reference(order.reference()).await };
    assert!(verified.await.unwrap().is_some());
}

#[tokio::test]
async fn whoever_shows_a_receipt_reviews_each_thing_that_they_kept_once() {
    let shop = shop();
    let guest = placed(&shop, 2).await;
    let (bought_at, order) = (shop.merchant().now(), guest.order.pay(FakeRail::ID).await.unwrap());
    let page = format!("/o/{}", guest.link.reveal());
    let mut buyer = browser(&shop);
    let offer = offer_of(&mut buyer, &page, order.reference().as_str()).await;
    let mut wallet = Wallet::new();
    receive(&buyer, &mut wallet, &offer).await;
    shop.advance_s(7 * 24 * 3600);
    // The book goes back before anybody reviews it.
    let book = Adjustment {
        key: "back".into(),
        reason: AdjustmentReason::Returned,
        lines: vec![Part::new("book", Quantity::new(1).unwrap())],
        amount: euro("10.70"),
    };
    order.adjust(book).await.unwrap().commit().await.unwrap();

    let mut reviewer = browser(&shop);
    assert_eq!(shows(&mut reviewer, &wallet).await.status, StatusCode::OK);
    let wine = reviewer.signed(Method::POST, "/reviews/wine", None).await;
    assert_eq!(wine.status, StatusCode::OK, "{}", wine.text());
    assert_eq!(wine.json(), json!({ "title": "Wine", "at": bought_at, "quantity": 2, "kept": 2 }));
    refused(&reviewer.signed(Method::POST, "/reviews/wine", None).await, 409, "receipt_used");
    refused(&reviewer.signed(Method::POST, "/reviews/book", None).await, 409, "not_bought");
    refused(&reviewer.signed(Method::POST, "/reviews/tea", None).await, 409, "not_bought");
    // Reviewed or not, the shop itself can still be.
    assert_eq!(reviewer.signed(Method::POST, "/reviews", None).await.status, StatusCode::OK);
    // Of an order whose money went back whole, nothing is reviewed.
    let (order, page) = paid(&shop).await;
    let offer = offer_of(&mut buyer, &page, order.reference().as_str()).await;
    let mut wallet = Wallet::new();
    receive(&buyer, &mut wallet, &offer).await;
    order.refund(order.total(), "all").await.unwrap().commit().await.unwrap();
    let mut reviewer = browser(&shop);
    assert_eq!(shows(&mut reviewer, &wallet).await.status, StatusCode::OK);
    refused(&reviewer.signed(Method::POST, "/reviews/wine", None).await, 409, "not_bought");
}

#[tokio::test]
async fn a_customer_gets_the_receipt_of_their_own_order_alone() {
    let shop = shop();
    let mut customer = browser(&shop);
    customer.sign_in("adult").await;
    let (of_guest, _) = paid(&shop).await;
    let path = |order: &Order| format!("/orders/{}/receipts", order.id());
    refused(&customer.get(&path(&of_guest)).await, 404, "no_such_order");
    let theirs = format!("{}/{}/offers", path(&of_guest), of_guest.reference());
    refused(&customer.signed(Method::POST, &theirs, None).await, 404, "no_such_order");
    let mut nobody = browser(&shop);
    let wrong = format!("/o/{}/receipts/{}/offers", "A".repeat(22), of_guest.reference());
    refused(&posted(&mut nobody, &wrong).await, 404, "no_such_order");
}

#[tokio::test]
async fn there_is_no_receipt_before_the_money_and_none_of_another_number() {
    let shop = shop();
    let guest = placed(&shop, 1).await;
    let (page, number) = (format!("/o/{}", guest.link.reveal()), guest.order.reference().as_str().to_owned());
    let mut somebody = browser(&shop);
    let offers = |number: &str| format!("{page}/receipts/{number}/offers");
    refused(&posted(&mut somebody, &offers(&number)).await, 409, "receipt_not_paid");
    guest.order.pay(FakeRail::ID).await.unwrap();
    for other in ["RF18539007547034", &format!("{number}-1"), "x"] {
        refused(&posted(&mut somebody, &offers(other)).await, 404, "no_such_receipt");
    }
    // A number that is typed wrong five times ends the offer, as every other.
    let offer = offer_of(&mut somebody, &page, &number).await;
    let mut guesser = visit(&somebody, text(&offer, "uri")).await;
    for _ in 0..5 {
        assert!(guesser.redeem(Some("x")).await.is_err());
    }
    assert!(guesser.redeem(Some(text(&offer, "tx_code"))).await.is_err());
}

#[tokio::test]
async fn what_goes_back_has_a_receipt_that_names_the_first_and_revokes_nothing() {
    let shop = shop();
    let (order, page) = paid(&shop).await;
    let mut guest = browser(&shop);
    let mut first = Wallet::new();
    let offer = offer_of(&mut guest, &page, order.reference().as_str()).await;
    receive(&guest, &mut first, &offer).await;
    order.refund(euro("10.70"), "book").await.unwrap().commit().await.unwrap();
    assert_eq!(order.receipts().await.unwrap().len(), 1, "it is owed, and not back");
    shop.merchant().open_refunds(1).await.unwrap()[0].send().await.unwrap();

    let receipts = order.receipts().await.unwrap();
    let back = &receipts[1];
    assert_eq!(back.original.as_deref(), Some(order.reference().as_str()));
    let mut second = Wallet::new();
    let offer = offer_of(&mut guest, &page, &back.number).await;
    receive(&guest, &mut second, &offer).await;
    let claims = second.holdings()[0].claims();
    assert_eq!((&claims["type"], &claims["totalPriceIncVAT"]), (&json!("RETURN"), &json!(-1070)));
    assert_eq!(claims["originalReceiptNumber"], order.reference().as_str());

    // It proves that something went back, and writes no review.
    let mut reviewer = browser(&shop);
    assert_eq!(shows(&mut reviewer, &second).await.status, StatusCode::OK);
    refused(&reviewer.signed(Method::POST, "/reviews", None).await, 404, "no_such_receipt");
    let mut buyer = browser(&shop);
    assert_eq!(shows(&mut buyer, &first).await.status, StatusCode::OK);
    assert_eq!(buyer.signed(Method::POST, "/reviews", None).await.status, StatusCode::OK, "the first one holds");
}

#[tokio::test]
async fn a_grant_brings_what_was_offered_and_nothing_else() {
    let shop = shop();
    let (order, page) = paid(&shop).await;
    let mut guest = browser(&shop);
    let offer = offer_of(&mut guest, &page, order.reference().as_str()).await;
    let mut visit_1 = visit(&guest, text(&offer, "uri")).await;
    assert!(visit_1.offer.authorization_code.is_none() && visit_1.offer.configurations == ["receipt"]);
    let code = visit_1.offer.pre_authorized.clone().unwrap().code;
    let details = |id: &str| json!([{"type": "openid_credential", "credential_configuration_id": id}]).to_string();
    let token = |details: String| {
        let code = code.clone();
        let tx_code = text(&offer, "tx_code").to_owned();
        vec![
            ("grant_type", "urn:ietf:params:oauth:grant-type:pre-authorized_code".to_owned()),
            ("pre-authorized_code", code),
            ("tx_code", tx_code),
            ("authorization_details", details),
        ]
    };
    let wrong = token(details("relationship"));
    let wrong: Vec<(&str, &str)> = wrong.iter().map(|(name, value)| (*name, value.as_str())).collect();
    told(&visit_1.token(&wrong).await, 400, "invalid_authorization_details");
    visit_1.redeem(Some(text(&offer, "tx_code"))).await.unwrap();
    let key = SigningKey::from_p256_scalar(&[5; 32]).unwrap();
    let nonce = visit_1.nonce().await.unwrap();
    let proof = visit_1.proof(&key, &nonce).unwrap();
    let body = json!({"credential_configuration_id": "relationship", "proofs": {"jwt": [proof]}});
    told(&visit_1.credentials(&body).await, 400, "unknown_credential_configuration");

    // And a customer's grant brings no receipt.
    let mut customer = browser(&shop);
    customer.sign_in("adult").await;
    let card = customer.signed(Method::POST, "/wallet/issuer/offers", None).await.json();
    let mut visit_2 = visit(&customer, text(&card, "uri")).await;
    visit_2.redeem(Some(text(&card, "tx_code"))).await.unwrap();
    visit_2.configuration = Some("receipt".into());
    let proof = visit_2.proof(&key, &nonce).unwrap();
    let body = json!({"proofs": {"jwt": [proof]}});
    told(&visit_2.credentials(&body).await, 400, "unknown_credential_configuration");
    // Nobody consents to a receipt: its offer opens no other way in.
    let offer = offer_of(&mut guest.another(), &page, order.reference().as_str()).await;
    let name = text(&offer, "by_reference_uri").rsplit("%2F").next().unwrap().to_owned();
    let challenge = CodeChallenge::of(&"v".repeat(43));
    for (scope, state, error) in [("relationship", name.as_str(), "invalid_grant"), ("receipt", "", "invalid_scope")] {
        let mut form = vec![
            ("response_type", "code"),
            ("client_id", "https://wallet.example"),
            ("redirect_uri", "https://wallet.example/cb"),
            ("code_challenge", challenge.as_str()),
            ("code_challenge_method", "S256"),
            ("scope", scope),
        ];
        if !state.is_empty() {
            form.push(("issuer_state", state));
        }
        told(&visit_2.push(&form).await, 400, error);
    }
}

#[tokio::test]
async fn a_receipt_that_is_not_ours_or_was_revoked_shows_nothing() {
    let now = TestShop::new().clock().now();
    let authority = Authority::new("Another Shop CA", now);
    let (key, chain) = authority.issue(&Leaf::new("Another Shop", now));
    let trust = Trust::new().roots(&certificate_pem(authority.root_der()), &[RECEIPT]).unwrap();
    let shop = TestShop::with(|builder| selling(builder.store(Memory::new())).trust(trust));
    let (order, page) = paid(&shop).await;
    let identity = shop.keys().identity();
    let own_chain: Vec<Vec<u8>> = identity.chain().iter().map(|one| one.der().to_vec()).collect();
    let own = |uri: &str| Issuer::new(identity.key().clone(), own_chain.clone(), uri.parse().unwrap());
    let ours = own("https://shop.example/wallet/status/0");
    let elsewhere = own("https://other.example/wallet/status/0");
    let theirs = Issuer::new(key, chain, shop.status_uri().clone());
    let holder = || SigningKey::from_p256_scalar(&[7; 32]).unwrap();
    let forged = |issuer: &Issuer, vct: &str, index: Option<u64>| {
        let mut credential = Credential::new(vct, shop.clock().now());
        credential.holder = Some(holder().public_key().clone());
        credential.status_index = index;
        credential.claims.insert("receiptNumber".into(), order.reference().as_str().into());
        let mut wallet = Wallet::new();
        wallet.hold(&issuer.issue(&credential, shop.clock()).unwrap(), holder()).unwrap();
        wallet
    };
    let cases = [
        // Trusted for receipts, and not for ours.
        ("another shop's", forged(&theirs, RECEIPT, None), "issuer_unknown"),
        ("without a list", forged(&ours, RECEIPT, None), "issuer_unknown"),
        ("of another list", forged(&elsewhere, RECEIPT, Some(1)), "issuer_unknown"),
        ("of an entry that is nobody's", forged(&ours, RECEIPT, Some(1)), "credential_revoked"),
    ];
    for (name, wallet, code) in cases {
        let mut browser = browser(&shop);
        let asking = browser.ask("bought", Device::SameDevice).await;
        let request = browser.wallet_reads(&asking).await;
        let answer = probe::answer(&mut browser, &request, &wallet, &[]).await;
        assert_eq!(answer.status, StatusCode::BAD_REQUEST, "{name}");
        let standing = browser.signed(Method::GET, &format!("/wallet/presentations/{}", asking.id), None).await;
        assert_eq!(standing.json()["refused"], code, "{name}: {}", standing.text());
    }

    let mut guest = browser(&shop);
    let mut wallet = Wallet::new();
    let offer = offer_of(&mut guest, &page, order.reference().as_str()).await;
    receive(&guest, &mut wallet, &offer).await;
    assert_eq!(shows(&mut browser(&shop), &wallet).await.status, StatusCode::OK);
    assert_eq!(order.revoke_receipt("another").await.unwrap(), 0);
    assert_eq!(order.revoke_receipt(order.reference().as_str()).await.unwrap(), 1);
    assert_eq!(order.revoke_receipt(order.reference().as_str()).await.unwrap(), 0, "done is done");
    assert_eq!(shows(&mut browser(&shop), &wallet).await.status, StatusCode::BAD_REQUEST);
}

#[tokio::test]
async fn what_a_wallet_deletes_is_revoked() {
    let shop = shop();
    let (order, page) = paid(&shop).await;
    let mut guest = browser(&shop);
    let offer = offer_of(&mut guest, &page, order.reference().as_str()).await;
    let mut visit = visit(&guest, text(&offer, "uri")).await;
    visit.redeem(Some(text(&offer, "tx_code"))).await.unwrap();
    let mut wallet = Wallet::new();
    wallet.collect(&mut visit).await.unwrap();
    for _ in 0..2 {
        assert_eq!(visit.notify("credential_deleted").await.status(), StatusCode::NO_CONTENT);
    }
    assert!(order.receipts_in_wallets().await.unwrap()[0].revoked);
    assert_eq!(shows(&mut browser(&shop), &wallet).await.status, StatusCode::BAD_REQUEST);
}

#[tokio::test]
async fn an_order_has_so_many_receipts_in_wallets_and_no_more() {
    let shop = TestShop::with(|builder| selling(builder.store(Memory::new())).credential_batch(4));
    let (order, page) = paid(&shop).await;
    let mut guest = browser(&shop);
    let number = order.reference().as_str();
    for _ in 0..8 {
        let offer = offer_of(&mut guest, &page, number).await;
        receive(&guest, &mut Wallet::new(), &offer).await;
    }
    assert_eq!(order.receipts_in_wallets().await.unwrap().len(), 32);
    let full = posted(&mut guest, &format!("{page}/receipts/{number}/offers")).await;
    refused(&full, 400, "too_many_credentials");
}

/// Whoever draws an entry of a status list here draws the same one several times.
#[derive(Debug)]
struct Stammering {
    clock: Clock,
    drawn: AtomicU64,
}

impl Env for Stammering {
    fn now(&self) -> UnixTime {
        self.clock.now()
    }

    fn fill(&self, bytes: &mut [u8]) {
        match <&mut [u8; 8]>::try_from(&mut *bytes) {
            Ok(entry) => *entry = (self.drawn.fetch_add(1, Ordering::SeqCst) / 8).to_be_bytes(),
            Err(_) => self.clock.fill(bytes),
        }
    }
}

#[tokio::test]
async fn credentials_that_are_issued_together_have_entries_of_their_own() {
    let env = Stammering { clock: Clock::at(shop().clock().now()), drawn: AtomicU64::new(0) };
    let shop = TestShop::with(|builder| selling(builder.store(Memory::new())).credential_batch(4).env(env));
    let (order, page) = paid(&shop).await;
    let mut guest = browser(&shop);
    let offer = offer_of(&mut guest, &page, order.reference().as_str()).await;
    receive(&guest, &mut Wallet::new(), &offer).await;
    assert_eq!(order.receipts_in_wallets().await.unwrap().len(), 4);
}

#[tokio::test]
async fn what_the_store_could_not_do_is_fetched_later_and_made_once() {
    for fault in [Fault::Lost, Fault::Done, Fault::Refused] {
        let store = Faulty::new(Memory::new());
        let shop = over(store.clone());
        let (order, page) = paid(&shop).await;
        let mut guest = browser(&shop);
        let key = SigningKey::from_p256_scalar(&[5; 32]).unwrap();
        let mut done = false;
        // Whichever call is the commit: tried from the first to the last.
        for after in 0..40 {
            let offer = offer_of(&mut guest, &page, order.reference().as_str()).await;
            let before = order.receipts_in_wallets().await.unwrap().len();
            let mut visit = visit(&guest, text(&offer, "uri")).await;
            visit.redeem(Some(text(&offer, "tx_code"))).await.unwrap();
            let nonce = visit.nonce().await.unwrap();
            let proof = visit.proof(&key, &nonce).unwrap();
            store.fail(after, fault);
            let answer = visit.credentials(&json!({"proofs": {"jwt": [proof]}})).await;
            if answer.status() != StatusCode::ACCEPTED {
                assert_eq!(answer.status(), StatusCode::SERVICE_UNAVAILABLE, "{fault:?} {after}");
                continue;
            }
            let transaction = serde_json::from_slice::<Value>(answer.body()).unwrap();
            let later = visit.deferred(text(&transaction, "transaction_id")).await;
            assert_eq!(later.status(), StatusCode::OK, "{fault:?} {}", String::from_utf8_lossy(later.body()));
            let answer: Value = serde_json::from_slice(later.body()).unwrap();
            let mut wallet = Wallet::new();
            wallet.hold(answer["credentials"][0]["credential"].as_str().unwrap(), key.clone()).unwrap();
            assert_eq!(order.receipts_in_wallets().await.unwrap().len(), before + 1, "{fault:?} {after}");
            assert_eq!(shows(&mut browser(&shop), &wallet).await.status, StatusCode::OK);
            done = true;
            break;
        }
        assert!(done, "{fault:?}: no commit was met");
    }
}

#[tokio::test]
async fn receipts_fit_the_published_schema_and_the_published_sample_our_rules() {
    let mut schema = vector("receipt/schema.json");
    let sample = vector("receipt/sample.json");
    assert_eq!(misfits(&schema, &schema, &sample, ""), Vec::<String>::new());
    let read: Receipt = serde_json::from_value(sample.clone()).unwrap();
    assert_eq!(read.check(), Ok(()));
    // The words that the walk knows bite.
    for (at, value) in [
        ("/iss", json!("http://issuer.example")),
        ("/currencyISOCode", json!("eur")),
        ("/totalVATAmount", json!(-1)),
        ("/payments/0/type", json!("CASH")),
        ("/products/0/quantity", json!(2)),
        ("/merchant/branch", json!({})),
        ("/vats", json!([])),
        ("/vct", json!("eu.we-build.ereceipt.2")),
        ("/more", json!(1)),
    ] {
        let mut bent = sample.clone();
        match bent.pointer_mut(at) {
            Some(found) => *found = value,
            None => drop(bent.as_object_mut().unwrap().insert(at.trim_start_matches('/').into(), value)),
        }
        assert!(!misfits(&schema, &schema, &bent, "").is_empty(), "{at}");
    }

    // No shop is handed a scheme's proof of a payment: the rulebook calls it optional (2.1), its schema does not.
    schema["required"].as_array_mut().unwrap().retain(|name| name != "verifications");
    let shop = shop();
    let mut guest = browser(&shop);
    for lines in [1, 99] {
        let placed = placed(&shop, lines).await;
        let (order, page) = (placed.order.pay(FakeRail::ID).await.unwrap(), format!("/o/{}", placed.link.reveal()));
        order.refund(euro("5"), "part").await.unwrap().commit().await.unwrap();
        for refund in shop.merchant().open_refunds(10).await.unwrap() {
            refund.send().await.unwrap();
        }
        for receipt in order.receipts().await.unwrap() {
            let offer = offer_of(&mut guest, &page, &receipt.number).await;
            let mut wallet = Wallet::new();
            receive(&guest, &mut wallet, &offer).await;
            let claims = wallet.holdings()[0].claims();
            assert_eq!(misfits(&schema, &schema, claims, ""), Vec::<String>::new(), "{claims}");
        }
    }
}

#[tokio::test]
async fn metadata_say_what_a_receipt_is() {
    let shop = shop();
    let mut somebody = browser(&shop);
    let issuer = somebody.plain(&Method::GET, "/.well-known/openid-credential-issuer", &[], &[]).await.json();
    let receipt = &issuer["credential_configurations_supported"]["receipt"];
    assert_eq!((&receipt["format"], &receipt["vct"]), (&json!("dc+sd-jwt"), &json!(RECEIPT)));
    assert!(receipt.get("scope").is_none(), "it comes by an offer alone");
    assert_eq!(receipt["credential_metadata"]["display"][1]["name"], "Beleg von Test Shop");
    let kind = somebody.plain(&Method::GET, "/wallet/receipt", &[], &[]).await;
    assert_eq!((kind.status, &kind.json()["vct"]), (StatusCode::OK, &json!(RECEIPT)));
    // Whoever knows the shop by its address finds the key that signs there.
    let published = somebody.plain(&Method::GET, "/.well-known/jwt-vc-issuer", &[], &[]).await.json();
    assert_eq!(published["issuer"], "https://shop.example");
    let (order, page) = paid(&shop).await;
    let offer = offer_of(&mut somebody, &page, order.reference().as_str()).await;
    let mut visit = visit(&somebody, text(&offer, "uri")).await;
    visit.redeem(Some(text(&offer, "tx_code"))).await.unwrap();
    Wallet::new().collect(&mut visit).await.unwrap();
    let credential = visit.answer["credentials"][0]["credential"].as_str().unwrap();
    let limits = Limits::default();
    let jws = Jws::parse(credential.split('~').next().unwrap(), &limits).unwrap();
    let keys = published["jwks"]["keys"].as_array().unwrap();
    let key = keys.iter().find(|key| key["kid"].as_str() == jws.header().kid.as_deref()).unwrap();
    let key = PublicKey::from_jwk(&json!({"kty": "EC", "crv": "P-256", "x": key["x"], "y": key["y"]})).unwrap();
    assert!(jws.verify(&key, &["dc+sd-jwt"]).is_ok());
    // A shop that issues none says nothing of them.
    let plain = TestShop::with(|builder| builder.store(Memory::new()).relationship(IssuerProfile::Open));
    let mut somebody = browser(&plain);
    assert_eq!(somebody.plain(&Method::GET, "/wallet/receipt", &[], &[]).await.status, StatusCode::NOT_FOUND);
    let issuer = somebody.plain(&Method::GET, "/.well-known/openid-credential-issuer", &[], &[]).await.json();
    assert!(issuer["credential_configurations_supported"].get("receipt").is_none());
}

/// Where a value is not what a schema says, for the words of JSON Schema that the published one uses.
fn misfits(root: &Value, schema: &Value, value: &Value, at: &str) -> Vec<String> {
    let mut wrong = Vec::new();
    for (word, said) in schema.as_object().unwrap() {
        let holds = match word.as_str() {
            "$schema" | "$id" | "$comment" | "$defs" | "title" | "description" | "version" => true,
            // Read with `if`, `additionalProperties` with `properties`.
            "then" | "additionalProperties" => true,
            "$ref" => {
                let target = root.pointer(said.as_str().unwrap().trim_start_matches('#')).unwrap();
                wrong.extend(misfits(root, target, value, at));
                true
            }
            "type" => match said.as_str().unwrap() {
                "object" => value.is_object(),
                "array" => value.is_array(),
                "string" => value.is_string(),
                "integer" => value.is_i64() || value.is_u64(),
                "number" => value.is_number(),
                other => panic!("a type {other}"),
            },
            "const" => value == said,
            "enum" => said.as_array().unwrap().contains(value),
            "minimum" => value.as_i64().is_none_or(|number| number >= said.as_i64().unwrap()),
            "minItems" => value.as_array().is_none_or(|all| all.len() as u64 >= said.as_u64().unwrap()),
            "pattern" => value.as_str().is_none_or(|text| {
                let capitals = |count| text.len() == count && text.bytes().all(|b| b.is_ascii_uppercase());
                match said.as_str().unwrap() {
                    "^https://" => text.starts_with("https://"),
                    "^[A-Z]{3}$" => capitals(3),
                    "^[A-Z]{2}$" => capitals(2),
                    other => panic!("a pattern {other}"),
                }
            }),
            "format" => value.as_str().is_none_or(|text| match said.as_str().unwrap() {
                "date-time" => text.len() == 20 && text.ends_with('Z') && text.as_bytes()[10] == b'T',
                "uri" => url::Url::parse(text).is_ok(),
                other => panic!("a format {other}"),
            }),
            "required" => {
                let members = value.as_object();
                let missing = |name: &&Value| members.is_some_and(|all| !all.contains_key(name.as_str().unwrap()));
                said.as_array().unwrap().iter().find(missing).is_none()
            }
            "properties" => {
                for (name, member) in value.as_object().into_iter().flatten() {
                    match said.get(name) {
                        Some(inner) => wrong.extend(misfits(root, inner, member, &format!("{at}/{name}"))),
                        None if schema.get("additionalProperties") == Some(&json!(false)) => {
                            wrong.push(format!("{at}/{name} is not in the schema"));
                        }
                        None => {}
                    }
                }
                true
            }
            "items" => {
                for (number, item) in value.as_array().into_iter().flatten().enumerate() {
                    wrong.extend(misfits(root, said, item, &format!("{at}/{number}")));
                }
                true
            }
            "allOf" => {
                said.as_array().unwrap().iter().for_each(|one| wrong.extend(misfits(root, one, value, at)));
                true
            }
            "if" => {
                if misfits(root, said, value, at).is_empty() {
                    wrong.extend(misfits(root, &schema["then"], value, at));
                }
                true
            }
            other => panic!("a word {other}"),
        };
        if !holds {
            wrong.push(format!("{at}: {word}"));
        }
    }
    wrong
}
