//! Payments that a wallet authorises (EUDI TS12): what is signed is what was asked, once, for one order, and by what may sign;
//! what was signed is handed over once; and nothing is paid before somebody says that it is.

use axum::{Json, Router, extract::State, routing::post};
use firsthand::{
    Ask, Device, Merchant, Wanted,
    ask::AskError,
    merchant::{GuestOrder, MerchantBuilder, Order, TypeMetadata},
    money::{Currency, Money, Quantity},
    order::{Draft, Happened, OrderId, OrderState},
    protocol::{
        jose::{Jws, base64url_decode, base64url_encode, sha256},
        openid4vp::{ResponseMode, dc_api::Protocol},
    },
    rail::{
        Outcome, Sepa, WalletRail,
        wallet::{Evidence, Executor, Inquired, Payee},
    },
    store::{Memory, Store},
    testing::{
        FakeExecutor, Handling, RailKind,
        cast::{ACCOUNT, Cast},
        faulty::{self, Faulty},
        rail_conformance,
        wallet::{Fault, Request},
    },
};
use firsthand_axum::{
    BackOffice, CustomerLayer, Known, OperatorKey, Operators, Problem, routes,
    testing::{Asking, Browser, Reply, TestShop, response_code},
};
use http::{Method, StatusCode};
use serde_json::{Value, json};

use crate::{
    orders::IBAN,
    probe::{refused, standing},
};

pub fn pay() -> Ask {
    Ask::new("pay", "To pay for what you order").payment(Wanted::sd_jwt_vc(ACCOUNT).claim(["masked_iban"]))
}

/// A merchant who takes payments by wallet.
pub fn taking(builder: MerchantBuilder, bank: &FakeExecutor, types: TypeMetadata) -> MerchantBuilder {
    let rail = WalletRail::new(Payee::new("Weingut Sonnberg", IBAN).unwrap(), bank.clone()).instant();
    let sepa = Sepa::new("Weingut Sonnberg", IBAN).unwrap();
    builder.wallet_rail(rail).rail(sepa).ask(&pay()).type_metadata(types)
}

/// A shop that takes payments by wallet, and who executes them.
struct Till {
    shop: TestShop,
    bank: FakeExecutor,
}

impl Till {
    fn new() -> Self {
        Self::by(ResponseMode::DirectPostJwt, TypeMetadata::pinned(Cast::account_types()).unwrap())
    }

    fn by(mode: ResponseMode, types: TypeMetadata) -> Self {
        let bank = FakeExecutor::new();
        let set_up = |builder: MerchantBuilder| taking(builder.store(Memory::new()).response_mode(mode), &bank, types);
        Self { shop: TestShop::with(set_up), bank }
    }

    /// One where a code may be scanned by a wallet on another device.
    fn across_devices() -> Self {
        let bank = FakeExecutor::new();
        let types = TypeMetadata::pinned(Cast::account_types()).unwrap();
        let rail = WalletRail::new(Payee::new("Weingut Sonnberg", IBAN).unwrap(), bank.clone()).across_devices();
        let set_up =
            |builder: MerchantBuilder| builder.store(Memory::new()).wallet_rail(rail).ask(&pay()).type_metadata(types);
        Self { shop: TestShop::with(set_up), bank }
    }

    /// One whose store does as it is told, and may end at any call.
    fn over(store: impl Store) -> Self {
        let bank = FakeExecutor::new();
        let types = TypeMetadata::pinned(Cast::account_types()).unwrap();
        let shop = TestShop::with(|builder| taking(builder.store(store), &bank, types));
        Self { shop, bank }
    }

    /// The same after a restart.
    fn again(&self, store: impl Store) -> Self {
        let types = TypeMetadata::pinned(Cast::account_types()).unwrap();
        let shop = self.shop.again(|builder| taking(builder.store(store), &self.bank, types));
        Self { shop, bank: self.bank.clone() }
    }

    fn merchant(&self) -> &Merchant {
        self.shop.merchant()
    }

    fn browser(&self) -> Browser {
        let app = Router::new()
            .route("/checkout", post(checkout))
            .with_state(self.merchant().clone())
            .merge(routes(self.merchant()))
            .layer(CustomerLayer::new(self.merchant().clone()));
        Browser::new(&self.shop, app)
    }

    /// A guest's order of 21.50 euros.
    async fn guest_order(&self) -> GuestOrder {
        let placing = self.merchant().place_as_guest(wine(2150), &self.merchant().guest_form()).await.unwrap();
        placing.commit().await.unwrap()
    }

    async fn order(&self, id: &OrderId) -> Order {
        self.merchant().order(id).await.unwrap().expect("an order")
    }

    /// What the last attempt to pay an order came to, so far.
    async fn stands(&self, id: &OrderId) -> (OrderState, Option<Outcome>) {
        let order = self.order(id).await;
        (order.state(), order.attempts().last().and_then(|attempt| attempt.outcome.clone()))
    }

    /// Lets what is due be done by itself, so many seconds later.
    async fn later(&self, secs: u64) {
        self.shop.advance_s(secs);
        self.merchant().bring_orders_up_to_date().await.unwrap();
    }

    /// A guest's order whose payment a wallet is asked for.
    async fn asked(&self, browser: &mut Browser) -> (GuestOrder, Asking, Request) {
        let placed = self.guest_order().await;
        let (asking, request) = asked_for(browser, &placed).await;
        (placed, asking, request)
    }

    /// The order as whoever runs the shop sees it.
    async fn order_page(&self, id: &OrderId) -> String {
        let key = OperatorKey::random();
        let office = BackOffice::new(self.merchant(), Operators::new().key("anna", key.digest()));
        let app = Router::new().nest_service("/merchant", office.routes());
        let basic = base64url_encode(format!("anna:{}", key.reveal()).as_bytes()).replace('-', "+").replace('_', "/");
        let headers = [("authorization", format!("Basic {basic}"))];
        let headers = headers.each_ref().map(|(name, value)| (*name, value.as_str()));
        let path = format!("/merchant/orders/{id}");
        Browser::new(&self.shop, app).plain(&Method::GET, &path, &headers, b"").await.text()
    }

    /// The same, authorised by Anna and redeemed.
    async fn authorised(&self, browser: &mut Browser) -> OrderId {
        let (placed, asking, request) = self.asked(browser).await;
        let reply = browser.wallet_answers(&request, "adult", &[]).await;
        let grant = redeemed(browser, &asking, &reply).await;
        assert_eq!(grant.status, StatusCode::OK, "{}", grant.text());
        placed.order.id().clone()
    }

    /// The codes of what was refused for an order.
    async fn refusals(&self, id: &OrderId) -> Vec<String> {
        let events = self.order(id).await.events().await.unwrap();
        let code = |what: Happened| match what {
            Happened::AuthorisationRefused { attempt: 1, code } => Some(code),
            _ => None,
        };
        events.into_iter().filter_map(|event| code(event.what)).collect()
    }
}

fn wine(cents: i64) -> Draft {
    let price = Money::new(cents, Currency::EUR).unwrap();
    Draft::new(Currency::EUR).line("riesling", "Riesling", price, Quantity::new(1).unwrap())
}

async fn checkout(State(merchant): State<Merchant>, known: Known) -> Result<Json<Value>, Problem> {
    let order = known.place(wine(1299), &known.form()).await?.commit().await?;
    let _ = merchant;
    Ok(Json(json!({ "order": order.id() })))
}

/// What a page sends to have an order paid.
fn body(asks: &str, order: &str, link: Option<&str>) -> Value {
    json!({ "ask": asks, "flow": "same_device", "payment": { "order": order, "link": link } })
}

pub async fn begun(browser: &mut Browser, body: &Value) -> Asking {
    let reply = browser.post_json("/wallet/presentations", body).await;
    assert_eq!(reply.status, StatusCode::CREATED, "{}", reply.text());
    let body = reply.json();
    let text = |name: &str| body[name].as_str().unwrap_or_default().to_owned();
    Asking { id: text("id"), wallet_uri: text("wallet_uri"), request_uri: text("request_uri"), body: body.clone() }
}

async fn asked_for(browser: &mut Browser, placed: &GuestOrder) -> (Asking, Request) {
    let asking = begun(browser, &body("pay", placed.order.id().as_str(), Some(placed.link.reveal()))).await;
    let request = browser.wallet_reads(&asking).await;
    (asking, request)
}

pub async fn redeemed(browser: &mut Browser, asking: &Asking, answer: &Reply) -> Reply {
    assert_eq!(answer.status, StatusCode::OK, "{}", answer.text());
    browser.redeem(&json!({ "presentation": asking.id, "response_code": response_code(answer) })).await
}

/// Transaction data as text.
fn decoded(data: &str) -> String {
    String::from_utf8(base64url_decode(data).unwrap()).unwrap()
}

#[tokio::test]
async fn what_a_wallet_signs_is_authorised_handed_over_and_paid_when_the_bank_says_so() {
    let till = Till::new();
    let mut browser = till.browser();
    let (placed, asking, request) = till.asked(&mut browser).await;
    let id = placed.order.id();
    assert_eq!(till.stands(id).await, (OrderState::Paying, Some(Outcome::Pending)));

    let [data] = request.transaction_data.as_slice() else { panic!("{:?}", request.transaction_data) };
    let said: Value = serde_json::from_str(&decoded(data)).unwrap();
    assert_eq!((&said["type"], &said["credential_ids"]), (&json!("urn:eudi:sca:payment:1"), &json!(["payment"])));
    assert_eq!(said["transaction_data_hashes_alg"], json!(["sha-256"]));
    let payload = &said["payload"];
    assert_eq!(payload["payee"], json!({ "name": "Weingut Sonnberg", "id": IBAN }));
    assert_eq!((&payload["currency"], &payload["sct_inst"]), (&json!("EUR"), &json!(true)));
    assert!(decoded(data).contains("\"amount\":21.50"), "{}", decoded(data));
    let name = payload["transaction_id"].as_str().unwrap();
    assert!(name.len() == 22 && !id.as_str().contains(name) && name != placed.order.reference().as_str(), "{name}");

    let reply = browser.wallet_answers(&request, "adult", &[]).await;
    assert_eq!(reply.status, StatusCode::OK, "{}", reply.text());
    assert_eq!(till.stands(id).await, (OrderState::Paying, Some(Outcome::Pending)), "whoever asked has to come back");
    assert_eq!(till.bank.calls(), 0);
    assert_eq!(redeemed(&mut browser, &asking, &reply).await.status, StatusCode::OK);
    assert_eq!(till.stands(id).await, (OrderState::Authorised, Some(Outcome::Authorised { until: None })));
    assert!(till.order(id).await.ledger().received.is_zero(), "what is authorised is not paid");

    // Who executes it has all that it takes to see what was signed.
    let evidence = till.bank.evidence(id, 1).expect("it was handed over");
    assert_eq!(till.order(id).await.evidence(1).await.unwrap().as_ref(), Some(&evidence), "and it is kept");
    assert_eq!((&evidence.transaction_data, &evidence.nonce), (data, &request.nonce));
    assert_eq!((evidence.amount.minor(), &evidence.audience), (2150, &request.client_id));
    let proof = evidence.presentation.rsplit('~').next().unwrap();
    let proof = Jws::parse(proof, till.merchant().limits()).unwrap();
    let claims = proof.unverified_claims();
    assert_eq!(claims["jti"], evidence.jti.as_str());
    assert_eq!(claims["transaction_data_hashes"], json!([base64url_encode(&sha256(data.as_bytes()))]));
    assert_eq!(claims["response_mode"], "direct_post.jwt");
    assert!(!format!("{evidence:?}").contains(&evidence.jti));

    till.later(60).await;
    assert_eq!(till.stands(id).await, (OrderState::Authorised, Some(Outcome::Authorised { until: None })));
    // Nobody can collect it: whoever runs the shop is offered nothing that cannot work, and told what is waited for.
    let page = till.order_page(id).await;
    assert!(page.contains("money that still comes is owed back, too"), "calling it off stops no bank: {page}");
    assert!(page.contains("Your bank or payment provider tells when the money is there"), "{page}");
    assert!(!page.contains("value=\"capture\"") && !page.contains("value=\"sent\""), "{page}");
    assert!(!till.order(id).await.is_to_be_captured());
    till.bank.decide(id, 1, Outcome::Paid);
    till.later(3600).await;
    assert_eq!(till.stands(id).await, (OrderState::Paid, Some(Outcome::Paid)));
    let page = till.order_page(id).await;
    assert!(page.contains("value=\"sent\"") && !page.contains("tells when the money is there"), "{page}");
    assert_eq!(till.bank.calls(), 1, "nothing is handed over twice");
    assert!(till.refusals(id).await.is_empty());
}

#[tokio::test]
async fn a_customer_proves_and_pays_with_one_answer() {
    let till = Till::new();
    let mut browser = till.browser();
    browser.sign_in("adult").await;
    let order = browser.post_json("/checkout", &json!({})).await.json()["order"].as_str().unwrap().to_owned();
    let asking = begun(&mut browser, &body("age address pay", &order, None)).await;
    let request = browser.wallet_reads(&asking).await;
    let ids: Vec<&str> = request.query.credentials.iter().map(|one| one.id.as_str()).collect();
    assert_eq!(ids, ["1-age_2-pid", "3-payment"]);
    let data: Value = serde_json::from_str(&decoded(&request.transaction_data[0])).unwrap();
    assert_eq!(data["credential_ids"], json!(["3-payment"]), "identification data sign no payment");
    let reply = browser.wallet_answers(&request, "adult", &[]).await;
    assert_eq!(redeemed(&mut browser, &asking, &reply).await.status, StatusCode::OK);
    let id: OrderId = order.parse().unwrap();
    assert_eq!(till.stands(&id).await, (OrderState::Authorised, Some(Outcome::Authorised { until: None })));
    let me = browser.get("/wallet/me").await.json();
    let proofs: Vec<&str> = me["proofs"].as_array().unwrap().iter().map(|one| one["ask"].as_str().unwrap()).collect();
    assert_eq!(proofs, ["age", "address"], "a payment is no proof");
    // A minor pays for nothing with the rest: all or nothing.
    let mut minor = till.browser();
    let placed = till.guest_order().await;
    let asks = body("age pay", placed.order.id().as_str(), Some(placed.link.reveal()));
    let asking = begun(&mut minor, &asks).await;
    let request = minor.wallet_reads(&asking).await;
    let reply = minor.wallet_answers(&request, "minor", &[]).await;
    assert_eq!(refused(&mut minor, &asking, &reply).await, "age_not_reached");
    assert_eq!(till.stands(placed.order.id()).await, (OrderState::Paying, Some(Outcome::Pending)));
    assert_eq!(till.refusals(placed.order.id()).await, ["age_not_reached"]);
}

#[tokio::test]
async fn an_authorisation_with_one_thing_wrong_is_none() {
    let till = Till::new();
    let mut browser = till.browser();
    let faults = [
        (Fault::NoJti, "sca_jti"),
        (Fault::NoResponseMode, "sca_response_mode"),
        (Fault::WrongResponseMode, "sca_response_mode"),
        (Fault::NoFactors, "sca_amr_malformed"),
        (Fault::OneFactor, "sca_amr_one_category"),
        (Fault::SameCategoryTwice, "sca_amr_one_category"),
        (Fault::UnknownFactor, "sca_amr_unknown"),
        (Fault::TransactionDataMissing, "transaction_data_missing"),
        (Fault::TransactionDataExtra, "transaction_data_mismatch"),
        (Fault::WrongNonce, "key_binding_nonce"),
        (Fault::WrongAudience, "key_binding_audience"),
        (Fault::WrongSdHash, "key_binding_sd_hash"),
        (Fault::HolderProofInPast, "key_binding_too_old"),
        (Fault::NoHolderProof, "key_binding_missing"),
        // What is not of the type is this person's identification data, which sign nothing.
        (Fault::WrongType, "sca_not_an_sca_type"),
    ];
    let placed = till.guest_order().await;
    for (fault, code) in faults {
        let (asking, request) = asked_for(&mut browser, &placed).await;
        let reply = browser.wallet_answers(&request, "adult", &[fault]).await;
        let found = refused(&mut browser, &asking, &reply).await;
        assert_eq!(found, code, "{fault:?}");
        assert_eq!(till.refusals(placed.order.id()).await.last(), Some(&found), "it is written down");
    }
    for (persona, code) in [
        ("revoked", "credential_revoked"),
        ("suspended", "credential_revoked"),
        ("expired", "credential_expired"),
        ("untrusted", "certificate_unknown_anchor"),
    ] {
        let (asking, request) = asked_for(&mut browser, &placed).await;
        let reply = browser.wallet_answers(&request, persona, &[]).await;
        assert_eq!(refused(&mut browser, &asking, &reply).await, code, "{persona}");
    }
    assert_eq!(
        till.stands(placed.order.id()).await,
        (OrderState::Paying, Some(Outcome::Pending)),
        "one attempt, all along"
    );
    let (asking, request) = asked_for(&mut browser, &placed).await;
    let reply = browser.wallet_answers(&request, "adult", &[]).await;
    assert_eq!(redeemed(&mut browser, &asking, &reply).await.status, StatusCode::OK);
    assert_eq!(till.stands(placed.order.id()).await.1, Some(Outcome::Authorised { until: None }));
}

#[tokio::test]
async fn another_amount_currency_payee_or_order_is_not_the_one_signed() {
    let till = Till::new();
    let mut browser = till.browser();
    let (_, _, other) = till.asked(&mut browser).await;
    let placed = till.guest_order().await;
    let (asking, request) = asked_for(&mut browser, &placed).await;
    let bend = |from: &str, to: &str| {
        let text = decoded(&request.transaction_data[0]);
        assert!(text.contains(from), "{text}");
        base64url_encode(text.replace(from, to).as_bytes())
    };
    let signed = [
        bend("21.50", "2.15"),
        bend("\"EUR\"", "\"USD\""),
        bend("Weingut Sonnberg", "Somebody else"),
        other.transaction_data[0].clone(),
    ];
    for data in signed {
        let mut bent = request.clone();
        bent.transaction_data = vec![data];
        let reply = browser.wallet_answers(&bent, "adult", &[]).await;
        assert_eq!(refused(&mut browser, &asking, &reply).await, "transaction_data_mismatch");
    }
    // The same value in another spelling is not what was sent, either.
    let (asking, request) = asked_for(&mut browser, &placed).await;
    let mut bent = request.clone();
    bent.transaction_data =
        vec![base64url_encode(decoded(&request.transaction_data[0]).replace("21.50", "21.5").as_bytes())];
    let reply = browser.wallet_answers(&bent, "adult", &[]).await;
    assert_eq!(refused(&mut browser, &asking, &reply).await, "transaction_data_mismatch");
    assert_eq!(till.refusals(placed.order.id()).await, ["transaction_data_mismatch"; 5]);
    assert_eq!(till.bank.calls(), 0);
}

#[tokio::test]
async fn one_authorisation_is_for_one_order_and_once() {
    let till = Till::new();
    let mut browser = till.browser();
    let (first, asking, request) = till.asked(&mut browser).await;
    let reply = browser.wallet_answers(&request, "adult", &[Fault::SameJti]).await;
    let code = json!({ "presentation": asking.id, "response_code": response_code(&reply) });
    assert_eq!(browser.redeem(&code).await.status, StatusCode::OK);
    assert_eq!(browser.redeem(&code).await.code(), "already_redeemed");
    assert_eq!(browser.wallet_answers(&request, "adult", &[]).await.code(), "already_redeemed");

    // The same authentication code for another order, and for the same again.
    let (second, asking, request) = till.asked(&mut browser).await;
    let reply = browser.wallet_answers(&request, "adult", &[Fault::SameJti]).await;
    let used = redeemed(&mut browser, &asking, &reply).await;
    assert_eq!((used.status, used.code().as_str()), (StatusCode::CONFLICT, "authorisation_used"));
    assert_eq!(
        till.stands(second.order.id()).await,
        (OrderState::Paying, Some(Outcome::Pending)),
        "nothing came of it"
    );
    assert!(till.bank.evidence(second.order.id(), 1).is_none());
    assert_eq!(till.refusals(second.order.id()).await, ["authorisation_used"], "but that it was tried");
    assert_eq!(standing(&mut browser, &asking).await, ("declined".to_owned(), "authorisation_used".to_owned()));
    // An answer of its own authorises it.
    let (asking, request) = asked_for(&mut browser, &second).await;
    let reply = browser.wallet_answers(&request, "adult", &[]).await;
    assert_eq!(redeemed(&mut browser, &asking, &reply).await.status, StatusCode::OK);
    // An order that is authorised is not asked for again.
    let again = body("pay", first.order.id().as_str(), Some(first.link.reveal()));
    let reply = browser.post_json("/wallet/presentations", &again).await;
    assert_eq!((reply.status, reply.code().as_str()), (StatusCode::CONFLICT, "payment_under_way"), "{}", reply.text());
    assert_eq!(till.bank.calls(), 2);
}

#[tokio::test]
async fn two_wallets_asked_for_one_attempt_pay_once() {
    let till = Till::new();
    let (mut one, mut other) = (till.browser(), till.browser());
    let placed = till.guest_order().await;
    let (first, request) = asked_for(&mut one, &placed).await;
    let (second, same) = asked_for(&mut other, &placed).await;
    let answers =
        (one.wallet_answers(&request, "adult", &[]).await, other.wallet_answers(&same, "national", &[]).await);
    assert_eq!(redeemed(&mut one, &first, &answers.0).await.status, StatusCode::OK);
    let late = redeemed(&mut other, &second, &answers.1).await;
    assert_eq!((late.status, late.code().as_str()), (StatusCode::CONFLICT, "payment_under_way"));
    assert_eq!(till.refusals(placed.order.id()).await, ["payment_under_way"]);
    assert_eq!(till.bank.calls(), 1);
}

/// A bank whose interface is away, and says so.
#[derive(Debug)]
struct Away;

impl Executor for Away {
    async fn submit(&self, _: &Evidence) -> Outcome {
        Outcome::Unknown
    }

    async fn inquire(&self, _: &OrderId, _: u32) -> Inquired {
        Inquired::Known(Outcome::Unknown)
    }
}

#[tokio::test]
async fn a_bank_that_cannot_tell_authorises_nothing_that_no_wallet_signed() {
    let types = TypeMetadata::pinned(Cast::account_types()).unwrap();
    let rail = WalletRail::new(Payee::new("Weingut Sonnberg", IBAN).unwrap(), Away);
    let set_up =
        |builder: MerchantBuilder| builder.store(Memory::new()).wallet_rail(rail).ask(&pay()).type_metadata(types);
    let till = Till { shop: TestShop::with(set_up), bank: FakeExecutor::new() };
    let mut browser = till.browser();
    let (placed, asking, request) = till.asked(&mut browser).await;
    let id = placed.order.id();
    let asked = till.order(id).await.ask_rail().await.unwrap();
    assert_eq!(asked.state(), OrderState::Paying);
    // What a wallet does sign stays authorised while the bank is away.
    let reply = browser.wallet_answers(&request, "adult", &[]).await;
    assert_eq!(redeemed(&mut browser, &asking, &reply).await.status, StatusCode::OK);
    till.later(3_600).await;
    assert_eq!(till.stands(id).await.0, OrderState::Authorised);

    let (unsigned, ..) = till.asked(&mut till.browser()).await;
    for _ in 0..40 {
        till.later(7_200).await;
        assert!(!matches!(till.stands(unsigned.order.id()).await.0, OrderState::Authorised | OrderState::Paid));
    }
    assert_eq!(till.stands(unsigned.order.id()).await.0, OrderState::Expired);
}

#[tokio::test]
async fn row_06_nobody_pays_by_a_code_unless_the_shop_says_so() {
    let till = Till::new();
    let mut browser = till.browser();
    let placed = till.guest_order().await;
    let mut scanned = body("pay", placed.order.id().as_str(), Some(placed.link.reveal()));
    scanned["flow"] = "cross_device".into();
    let reply = browser.post_json("/wallet/presentations", &scanned).await;
    assert_eq!((reply.status, reply.code().as_str()), (StatusCode::FORBIDDEN, "payment_across_devices"));
    // Nothing has begun, and another wallet can pay.
    assert_eq!(till.stands(placed.order.id()).await, (OrderState::Placed, None));
    asked_for(&mut browser, &placed).await;

    let till = Till::across_devices();
    let placed = till.guest_order().await;
    let mut scanned = body("pay", placed.order.id().as_str(), Some(placed.link.reveal()));
    scanned["flow"] = "cross_device".into();
    begun(&mut till.browser(), &scanned).await;
}

#[tokio::test]
async fn only_a_type_that_says_so_signs_a_payment() {
    let [base, of_bank] = Cast::account_types();
    let bent = |document: &[u8], edit: &dyn Fn(&mut Value)| {
        let mut value: Value = serde_json::from_slice(document).unwrap();
        edit(&mut value);
        value.to_string().into_bytes()
    };
    // What extends another is bound to the very document of it: bent ones are without that.
    let loose = bent(&of_bank, &|it| drop(it.as_object_mut().unwrap().remove("extends#integrity")));
    let cases: [(Vec<Vec<u8>>, &str); 7] = [
        (vec![bent(&base, &|it| it["category"] = json!("urn:other")), loose.clone()], "sca_not_an_sca_type"),
        (
            vec![bent(&base, &|it| drop(it.as_object_mut().unwrap().remove("category"))), loose.clone()],
            "sca_not_an_sca_type",
        ),
        (vec![bent(&base, &|it| it["transaction_data_types"] = json!({})), loose.clone()], "sca_transaction_type"),
        (
            vec![
                bent(&base, &|it| {
                    it["transaction_data_types"]["urn:eudi:sca:payment:1"] =
                        json!({ "schema_uri": "urn:eudi:sca:emandate:1" })
                }),
                loose.clone(),
            ],
            "sca_transaction_type",
        ),
        // The nearest word counts: the bank's type signs nothing, whatever the one that it extends does.
        (vec![base.clone(), bent(&of_bank, &|it| it["transaction_data_types"] = json!({}))], "sca_transaction_type"),
        (vec![bent(&base, &|it| it["name"] = json!("another")), of_bank.clone()], "type_metadata_integrity"),
        // Nobody knows the bank's type.
        (vec![base.clone()], "sca_not_an_sca_type"),
    ];
    for (at, (documents, code)) in cases.into_iter().enumerate() {
        let till = Till::by(ResponseMode::DirectPost, TypeMetadata::pinned(documents).unwrap());
        let mut browser = till.browser();
        let (_, asking, request) = till.asked(&mut browser).await;
        let reply = browser.wallet_answers(&request, "adult", &[]).await;
        assert_eq!(refused(&mut browser, &asking, &reply).await, code, "case {at}");
    }
    let till = Till::by(ResponseMode::DirectPost, TypeMetadata::pinned([base, loose]).unwrap());
    till.authorised(&mut till.browser()).await;
}

#[tokio::test]
async fn a_shop_that_could_not_verify_a_payment_does_not_start() {
    let payee = || Payee::new("Weingut Sonnberg", IBAN).unwrap();
    let types = || TypeMetadata::pinned(Cast::account_types()).unwrap();
    let first = TestShop::new();
    let build = |rail: bool, known: bool| {
        let builder = Merchant::builder(first.merchant().origin().clone())
            .keys(first.keys().clone())
            .trust(first.cast().trust().unwrap())
            .fetch(first.network().clone())
            .store(Memory::new())
            .ask(&pay());
        let builder = if rail { builder.wallet_rail(WalletRail::new(payee(), FakeExecutor::new())) } else { builder };
        if known { builder.type_metadata(types()).build() } else { builder.build() }
    };
    assert!(build(true, true).is_ok());
    assert_eq!(build(false, true).unwrap_err().code(), "misuse");
    assert_eq!(build(true, false).unwrap_err().code(), "misuse");
    let identity = Ask::new("pay", "To pay").payment(Wanted::sd_jwt_vc("urn:eudi:pid:1"));
    assert_eq!(identity.check(), Err(AskError::Payment("pay".into())));
}

#[tokio::test]
async fn a_wallet_that_cannot_declines_the_attempt_and_the_shop_offers_another_rail() {
    for code in ["invalid_transaction_data", "access_denied"] {
        let till = Till::new();
        let mut browser = till.browser();
        let (placed, asking, request) = till.asked(&mut browser).await;
        let reply = browser.wallet_posts(&request, &request.error(code)).await;
        assert_eq!(reply.status, StatusCode::OK, "{}", reply.text());
        assert_eq!(standing(&mut browser, &asking).await, ("declined".to_owned(), code.to_owned()));
        let id = placed.order.id();
        assert_eq!(till.stands(id).await, (OrderState::Declined, Some(Outcome::Declined(code.into()))));
        let order = till.order(id).await.pay("sepa").await.unwrap();
        assert!(order.transfer().is_some());
        // Too late for the wallet.
        let reply = browser.wallet_answers(&request, "adult", &[]).await;
        assert_eq!(reply.code(), "declined");
        assert_eq!(till.bank.calls(), 0);
    }
}

#[tokio::test]
async fn who_gives_up_pays_in_another_way() {
    let till = Till::new();
    let mut browser = till.browser();
    let (placed, asking, request) = till.asked(&mut browser).await;
    let id = placed.order.id();
    assert_eq!(till.order(id).await.pay("sepa").await.unwrap_err().code(), "payment_under_way");
    let path = format!("/wallet/presentations/{}", asking.id);
    assert_eq!(browser.another().delete(&path).await.code(), "no_such_presentation");
    assert_eq!(browser.delete(&path).await.status, StatusCode::NO_CONTENT);
    assert_eq!(browser.delete(&path).await.code(), "declined");
    assert_eq!(till.stands(id).await, (OrderState::Declined, Some(Outcome::Declined("withdrawn".into()))));
    assert_eq!(browser.wallet_answers(&request, "adult", &[]).await.code(), "declined");
    assert!(till.order(id).await.pay("sepa").await.is_ok());
    // What is not for a payment is given up as well.
    let asking = browser.ask("age", Device::SameDevice).await;
    assert_eq!(browser.delete(&format!("/wallet/presentations/{}", asking.id)).await.status, StatusCode::NO_CONTENT);
}

#[tokio::test]
async fn an_order_that_is_over_takes_no_authorisation() {
    let till = Till::new();
    let mut browser = till.browser();
    let (placed, asking, request) = till.asked(&mut browser).await;
    let reply = browser.wallet_answers(&request, "adult", &[]).await;
    till.order(placed.order.id()).await.cancel().await.unwrap().commit().await.unwrap();
    let late = redeemed(&mut browser, &asking, &reply).await;
    assert_eq!((late.status, late.code().as_str()), (StatusCode::CONFLICT, "order_over"), "{}", late.text());
    assert_eq!(till.refusals(placed.order.id()).await, ["order_over"]);
    assert_eq!(till.bank.calls(), 0);
}

#[tokio::test]
async fn nobody_pays_for_whoever_did_not_ask() {
    let till = Till::new();
    let mut browser = till.browser();
    let (placed, _) = (till.guest_order().await, till.guest_order().await);
    let (id, link) = (placed.order.id().as_str(), placed.link.reveal());
    let other = till.guest_order().await;
    let mut customer = till.browser();
    customer.sign_in("adult").await;
    let own = customer.post_json("/checkout", &json!({})).await.json()["order"].as_str().unwrap().to_owned();
    let refused = async |browser: &mut Browser, body: &Value| {
        let reply = browser.post_json("/wallet/presentations", body).await;
        (reply.status.as_u16(), reply.code())
    };
    let is = |status: u16, code: &str| (status, code.to_owned());
    assert_eq!(refused(&mut browser, &body("pay", id, Some(other.link.reveal()))).await, is(404, "no_such_order"));
    assert_eq!(refused(&mut browser, &body("pay", id, Some("x"))).await, is(404, "no_such_order"));
    assert_eq!(refused(&mut browser, &body("pay", "o_1", Some(link))).await, is(404, "no_such_order"));
    assert_eq!(refused(&mut browser, &body("pay", &own, None)).await, is(401, "not_known"));
    let mut stranger = till.browser();
    stranger.sign_in("national").await;
    assert_eq!(refused(&mut stranger, &body("pay", &own, None)).await, is(404, "no_such_order"));
    assert_eq!(refused(&mut customer, &body("pay", id, None)).await, is(404, "no_such_order"));
    // A payment and what asks for it belong together.
    assert_eq!(refused(&mut browser, &body("age", id, Some(link))).await, is(400, "payment_ask"));
    let bare = json!({ "ask": "pay", "flow": "same_device" });
    assert_eq!(refused(&mut browser, &bare).await, is(400, "payment_ask"));
    assert_eq!(till.stands(placed.order.id()).await, (OrderState::Placed, None), "nothing has begun");
    assert!(begun(&mut customer, &body("pay", &own, None)).await.id.len() == 43);
}

#[tokio::test]
async fn by_the_digital_credentials_api_a_payment_is_signed_for_that() {
    let till = Till::new();
    for protocol in Protocol::OPENID4VP {
        let mut browser = till.browser();
        let placed = till.guest_order().await;
        let asks = body("pay", placed.order.id().as_str(), Some(placed.link.reveal()));
        let asking = begun(&mut browser, &asks).await;
        let request = browser.dc_reads(&asking, protocol).await;
        let reply = browser.dc_answers(&asking, protocol, &request, "adult", &[Fault::WrongResponseMode]).await;
        assert_eq!(reply.code(), "answer_refused");
        assert_eq!(standing(&mut browser, &asking).await.1, "sca_response_mode");
        let reply = browser.dc_answers(&asking, protocol, &request, "adult", &[]).await;
        assert_eq!(reply.status, StatusCode::OK, "{}", reply.text());
        let code = reply.json()["response_code"].clone();
        let grant = browser.redeem(&json!({ "presentation": asking.id, "response_code": code })).await;
        assert_eq!(grant.status, StatusCode::OK, "{}", grant.text());
        assert_eq!(till.stands(placed.order.id()).await.1, Some(Outcome::Authorised { until: None }));
        let evidence = till.bank.evidence(placed.order.id(), 1).expect("it was handed over");
        assert_eq!(evidence.audience, "origin:https://shop.example");
    }
}

#[tokio::test]
async fn what_was_handed_over_is_asked_about_and_handed_over_again_only_if_it_never_arrived() {
    for (handling, calls) in [(Handling::Forgets, 1), (Handling::LosesIt, 2), (Handling::Says(Outcome::Pending), 1)] {
        let till = Till::new();
        till.bank.next(handling.clone());
        let id = till.authorised(&mut till.browser()).await;
        assert_eq!(
            till.stands(&id).await,
            (OrderState::Authorised, Some(Outcome::Authorised { until: None })),
            "{handling:?}"
        );
        assert_eq!(till.bank.calls(), 1);
        till.later(30).await;
        assert_eq!(till.bank.calls(), 1, "not before it is due: {handling:?}");
        till.later(60).await;
        till.later(600).await;
        assert_eq!(till.bank.calls(), calls, "{handling:?}");
        till.bank.decide(&id, 1, Outcome::Paid);
        till.later(3600).await;
        till.later(3600).await;
        assert_eq!(till.stands(&id).await, (OrderState::Paid, Some(Outcome::Paid)), "{handling:?}");
        assert_eq!(till.bank.calls(), calls, "{handling:?}");
    }
}

#[tokio::test]
async fn a_bank_that_declines_declines_the_attempt() {
    let till = Till::new();
    till.bank.next(Handling::Says(Outcome::Declined("no_funds".into())));
    let id = till.authorised(&mut till.browser()).await;
    assert_eq!(till.stands(&id).await, (OrderState::Declined, Some(Outcome::Declined("no_funds".into()))));
    assert!(till.order(&id).await.pay("sepa").await.is_ok());
}

#[tokio::test]
async fn what_was_called_off_before_it_was_handed_over_never_is() {
    let till = Till::new();
    till.bank.next(Handling::LosesIt);
    let id = till.authorised(&mut till.browser()).await;
    till.order(&id).await.cancel().await.unwrap().commit().await.unwrap();
    till.later(600).await;
    till.later(3600).await;
    assert_eq!(till.bank.calls(), 1);
    assert!(till.bank.evidence(&id, 1).is_none());
}

#[tokio::test(start_paused = true)]
async fn a_bank_that_never_answers_holds_up_nothing() {
    let till = Till::new();
    till.bank.next(Handling::Hangs);
    let id = till.authorised(&mut till.browser()).await;
    assert_eq!(till.stands(&id).await, (OrderState::Authorised, Some(Outcome::Authorised { until: None })));
    till.bank.decide(&id, 1, Outcome::Paid);
    till.later(120).await;
    assert_eq!((till.stands(&id).await.0, till.bank.calls()), (OrderState::Paid, 1));
    let metrics = till.shop.merchant().metrics().to_string();
    assert!(metrics.contains("{call=\"submit\",outcome=\"unanswered\",rail=\"wallet\"} 1\n"), "{metrics}");
    assert!(!metrics.contains("outcome=\"dropped\",rail="), "{metrics}");
}

/// Whatever call to the store fails while an answer is redeemed, and however: the payment is authorised once, handed over once
/// and counted once.
#[tokio::test]
async fn a_crash_at_any_moment_neither_loses_nor_doubles_a_payment() {
    for fault in [faulty::Fault::Crash, faulty::Fault::Done, faulty::Fault::Lost, faulty::Fault::Refused] {
        for call in 0.. {
            let store = Faulty::new(Memory::new());
            let till = Till::over(store.clone());
            let mut browser = till.browser();
            let (placed, asking, request) = till.asked(&mut browser).await;
            let reply = browser.wallet_answers(&request, "adult", &[]).await;
            let (id, before) = (placed.order.id(), store.calls());
            store.fail(call, fault);
            let first = redeemed(&mut browser, &asking, &reply).await;
            let has_failed = store.calls() > before + call;

            let till = till.again(store.inner().clone());
            let mut browser = crate::probe::moved(&browser, &till.shop);
            if first.status != StatusCode::OK {
                let second = redeemed(&mut browser, &asking, &reply).await;
                let is_known = second.code() == "already_redeemed";
                assert!(second.status == StatusCode::OK || is_known, "{fault:?} {call}: {}", second.text());
            }
            for wait in [61, 600, 3600] {
                till.later(wait).await;
            }
            assert_eq!(
                till.stands(id).await,
                (OrderState::Authorised, Some(Outcome::Authorised { until: None })),
                "{fault:?} {call}"
            );
            assert_eq!(till.bank.calls(), 1, "{fault:?} {call}");
            till.bank.decide(id, 1, Outcome::Paid);
            till.later(3600).await;
            till.later(3600).await;
            assert_eq!(till.stands(id).await, (OrderState::Paid, Some(Outcome::Paid)), "{fault:?} {call}");
            assert_eq!(till.order(id).await.ledger().received.minor(), 2150);
            if !has_failed {
                assert!(call > 10, "{call} calls");
                break;
            }
        }
    }
}

#[tokio::test]
async fn the_rail_keeps_the_rules_of_rails() {
    rail_conformance(RailKind::Instructs, async || {
        WalletRail::new(Payee::new("Weingut Sonnberg", IBAN).unwrap(), FakeExecutor::new())
    })
    .await;
}
