//! What a customer shows is nowhere but where it belongs: not in a log at any level, not in a refusal, not in what is
//! printed for debugging, and not in clear in any record. Values that occur nowhere else are planted in every claim, in
//! whole runs that are accepted and refused.

use std::{
    fmt,
    sync::{Arc, Mutex},
};

use firsthand::{
    Ask, Device, Verified, Wanted,
    ask::StatusPolicy,
    merchant::{GuestLink, Transfer},
    order::{BankAccount, Draft},
    rail::{Iban, NoticeRequest},
    store::{Memory, Sqlite},
    testing::wallet::{Fault, Wallet},
};
use firsthand_axum::{
    CustomerLayer, Known, Problem, routes,
    testing::{Browser, Reply, TestShop, response_code},
};
use http::StatusCode;
use serde_json::{Value, json};
use tracing::{
    Dispatch, Event, Id, Metadata, Subscriber,
    field::{Field, Visit},
    span::{Attributes, Record},
    subscriber::DefaultGuard,
};

use crate::{
    orders::{Selling, fields, ordered},
    probe::{Ledger, PID, Scribe, answer, browser, delivered, disclosure, form, payload, wallet_with},
};

/// What all planted values begin with.
pub const MARK: &str = "zqXj7Marker";
/// The account number that is planted: none can begin with [`MARK`].
const PAYERS_IBAN: &str = "GB82WEST12345698765432";

/// Everything that our crates log, at every level.
#[derive(Clone, Default)]
pub struct Capture(Arc<Mutex<Vec<String>>>, bool);

impl Capture {
    /// What others log as well, who are called by ours.
    pub fn everything() -> Self {
        Self(Arc::default(), true)
    }

    /// Hears what this thread logs, until it is dropped.
    pub fn hears(&self) -> (Dispatch, DefaultGuard) {
        // While there is one dispatcher in all, what another thread logs first is switched off for everybody: so there are two.
        let second = Dispatch::new(self.clone());
        (second, tracing::subscriber::set_default(self.clone()))
    }

    pub fn text(&self) -> String {
        self.0.lock().expect("lines").join("\n")
    }

    fn push(&self, line: String) {
        self.0.lock().expect("lines").push(line);
    }
}

struct Line(String);

impl Visit for Line {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.0.push_str(&format!(" {}={value:?}", field.name()));
    }
}

impl Subscriber for Capture {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        self.1 || metadata.target().starts_with("firsthand")
    }

    fn new_span(&self, span: &Attributes<'_>) -> Id {
        let mut line = Line(span.metadata().name().to_owned());
        span.record(&mut line);
        self.push(line.0);
        Id::from_u64(1)
    }

    fn record(&self, _: &Id, values: &Record<'_>) {
        let mut line = Line(String::new());
        values.record(&mut line);
        self.push(line.0);
    }

    fn record_follows_from(&self, _: &Id, _: &Id) {}

    fn event(&self, event: &Event<'_>) {
        let mut line = Line(event.metadata().level().to_string());
        event.record(&mut line);
        self.push(line.0);
    }

    fn enter(&self, _: &Id) {}

    fn exit(&self, _: &Id) {}
}

/// The planted values in every spelling in which they could hide: as they are, in base64url at each of the three offsets,
/// in hex.
fn spellings() -> Vec<String> {
    [spellings_of(MARK), spellings_of(PAYERS_IBAN)].concat()
}

fn spellings_of(text: &str) -> Vec<String> {
    let mut spellings = vec![text.to_owned(), text.to_lowercase(), text.bytes().map(|b| format!("{b:02x}")).collect()];
    for skip in 0..3 {
        let padded = [&vec![b' '; skip][..], text.as_bytes()].concat();
        let text = firsthand::protocol::jose::base64url_encode(&padded);
        // The characters that no neighbour reaches.
        spellings.push(text[4..text.len() - 4].to_owned());
    }
    spellings
}

pub fn assert_clean(what: &str, text: &str) {
    for spelling in spellings() {
        assert!(!text.contains(&spelling), "{what} holds {spelling}: {text}");
    }
}

/// A wallet with a marker in every claim.
pub fn marked(shop: &TestShop) -> Wallet {
    let claims = json!({
        "given_name": format!("{MARK}given"),
        "family_name": format!("{MARK}family"),
        "birthdate": format!("{MARK}birth"),
        "address": { "locality": format!("{MARK}town"), "street_address": format!("{MARK}street"), format!("{MARK}name"): 1 },
        "age_equal_or_over": { "18": true },
        "nationalities": [format!("{MARK}nation")],
    });
    wallet_with(shop, claims, |credential| {
        credential.plain.insert("sub".to_owned(), json!(format!("{MARK}sub")));
        credential.status_index = Some(100);
    })
}

fn shop_over(first: &TestShop, store: impl firsthand::store::Store) -> TestShop {
    let address = TestShop::address().keep("family_name", "To greet you", 86_400);
    let odd = Ask::new("odd", "To test")
        .credential("pid", Wanted::sd_jwt_vc(PID).claim(["nationalities"]).claim(["birthdate"]).claim(["given_name"]));
    first.bare(|builder| {
        builder.store(store).ask(&TestShop::age().status(StatusPolicy::AcceptUndetermined)).ask(&address).ask(&odd)
    })
}

/// The app, with a route that reads claims and prints them for debugging, as a careless merchant would.
fn app(shop: &TestShop, printed: &Arc<Mutex<String>>) -> axum::Router {
    let printed = printed.clone();
    axum::Router::new()
        .route(
            "/claims",
            axum::routing::get(move |known: Known| {
                let printed = printed.clone();
                async move {
                    let claims: Option<Verified> = known.claims(&TestShop::address()).await.map_err(Problem::from)?;
                    let customer = known.customer().await.map_err(Problem::from)?;
                    let shown = claims.as_ref().and_then(|c| c.claim("pid", &["given_name"])).cloned();
                    let text = format!(
                        "{claims:?} {claims:#?} {known:?} {customer:?} {:?}",
                        customer.kept().await.map_err(Problem::from)?
                    );
                    printed.lock().expect("text").push_str(&text);
                    Ok::<_, Problem>(axum::Json(shown))
                }
            }),
        )
        .merge(routes(shop.merchant()))
        .layer(CustomerLayer::new(shop.merchant().clone()))
}

/// Whole runs, accepted and refused; the replies that anybody but the customer's own page sees.
async fn runs(browser: &mut Browser, shop: &TestShop, wallet: &Wallet) -> Vec<Reply> {
    let mut replies = Vec::new();
    for device in [Device::SameDevice, Device::CrossDevice] {
        for ask in ["age", "address", "odd"] {
            let asking = browser.ask(ask, device).await;
            let request = browser.wallet_reads(&asking).await;
            let answered = answer(browser, &request, wallet, &[]).await;
            assert_eq!(answered.status, StatusCode::OK, "{}", answered.text());
            let body = match device {
                Device::SameDevice => json!({ "presentation": asking.id, "response_code": response_code(&answered) }),
                Device::CrossDevice | Device::AtTheTill => json!({ "presentation": asking.id }),
            };
            replies.push(answered);
            replies.push(browser.redeem(&body).await);
            assert_eq!(replies.last().map(|reply| reply.status), Some(StatusCode::OK));
        }
    }
    for path in ["/wallet/me", "/wallet/sessions"] {
        replies.push(browser.get(path).await);
    }
    let faults = [
        Fault::WrongNonce,
        Fault::WrongAudience,
        Fault::HolderProofInPast,
        Fault::HolderSignatureBroken,
        Fault::ForeignHolderKey,
        Fault::WrongSdHash,
        Fault::NoHolderProof,
        Fault::TransactionDataExtra,
        Fault::IssuerSignatureBroken,
        Fault::UnreferencedDisclosure,
        Fault::DuplicateDisclosure,
        Fault::DisclosureNamedSd,
        Fault::DisclosureAddedAfterProof,
        Fault::MissingClaim,
        Fault::UnknownQueryId,
        Fault::PresentationOutsideArray,
        Fault::TwoPresentations,
        Fault::VpTokenIsString,
        Fault::DuplicateMember,
        Fault::DeepJson,
        Fault::WrongState,
        Fault::NoState,
        Fault::PlainAnswer,
        Fault::ForeignEncryptionKey,
        Fault::CompressedEncryption,
        Fault::WrongContentEncryption,
        Fault::OversizeBody,
    ];
    for ask in ["address", "age"] {
        for fault in faults {
            let (asking, request) = delivered(&mut browser.another(), ask).await;
            let reply = answer(browser, &request, wallet, &[fault]).await;
            assert!(reply.status.is_client_error(), "{fault:?}: {}", reply.text());
            replies.push(reply);
            replies.push(browser.get(&format!("/wallet/presentations/{}", asking.id)).await);
        }
    }
    // What only a hand could write: the value in places where a name or an id is expected.
    let scribe = Scribe::new(shop);
    let hidden = disclosure(&json!(["salt", MARK, MARK]));
    let odd_claims = |name: &str, value: Value| {
        let mut claims = scribe.claims(std::slice::from_ref(&hidden.1));
        claims.insert(name.to_owned(), value);
        claims
    };
    let odd = [
        odd_claims("age_equal_or_over", json!({ "18": MARK })),
        odd_claims("exp", json!(MARK)),
        odd_claims("vct", json!(format!("urn:{MARK}"))),
        odd_claims("aka_vcts", json!(MARK)),
        odd_claims("_sd_alg", json!(MARK)),
        odd_claims("status", json!({ "status_list": { "idx": 1, "uri": format!("https://{MARK}.example/{MARK}") } })),
        odd_claims("status", json!({ MARK: 1 })),
        odd_claims("cnf", json!({ "jwk": { "kty": MARK } })),
        odd_claims("iss", json!(format!("https://{MARK}.example"))),
        odd_claims("birthdate", json!(MARK)),
    ];
    for claims in odd {
        let (_, request) = delivered(browser, "age").await;
        let jwt = scribe.issued(claims);
        let presentation = scribe.present(&request, &jwt, std::slice::from_ref(&hidden.0));
        replies.push(browser.wallet_posts(&request, &scribe.form(&request, &presentation)).await);
    }
    let forms: [&dyn Fn(&firsthand::testing::wallet::Request) -> String; 6] = [
        &|request| form(request, &json!({ MARK: ["a~"] })),
        &|request| form(request, &json!({ "age": [MARK] })),
        &|request| payload(request, MARK.as_bytes(), &json!(MARK)),
        &|request| format!("{}&error_description={MARK}", request.error("access_denied")),
        &|request| format!("{}&error_description={MARK}", request.error(MARK)),
        &|_| format!("{MARK}={MARK}&{MARK}={MARK}"),
    ];
    for make in forms {
        let (asking, request) = delivered(&mut browser.another(), "age").await;
        let form = make(&request);
        replies.push(browser.wallet_posts(&request, &form).await);
        replies.push(browser.get(&format!("/wallet/presentations/{}", asking.id)).await);
    }
    replies
}

#[tokio::test(flavor = "current_thread")]
async fn planted_values_appear_nowhere() {
    let capture = Capture::everything();
    let _guard = capture.hears();
    let store = Ledger::new(Memory::new());
    let shop = shop_over(&TestShop::new(), store.clone());
    let wallet = marked(&shop);
    let printed = Arc::default();
    let mut browser = Browser::new(&shop, app(&shop, &printed));
    let replies = runs(&mut browser, &shop, &wallet).await;

    // The merchant reads the value, and only so.
    let (asking, request) = delivered(&mut browser, "address").await;
    let answered = answer(&mut browser, &request, &wallet, &[]).await;
    let body = json!({ "presentation": asking.id, "response_code": response_code(&answered) });
    assert_eq!(browser.redeem(&body).await.status, StatusCode::OK);
    let read = browser.get("/claims").await;
    assert_eq!(read.json(), json!(format!("{MARK}given")));
    let printed = printed.lock().expect("text").clone();
    assert!(printed.contains("Verified"), "{printed}");
    assert_clean("what is printed", &printed);
    assert_clean("the merchant", &format!("{:?} {:?}", shop.merchant(), request.client_id));

    // Somebody else with this browser: refused by name of the claim, not by its value.
    let other = wallet_with(
        &shop,
        json!({ "given_name": "Eve", "family_name": format!("{MARK}other"), "address": { "locality": "X" } }),
        |_| {},
    );
    let (asking, request) = delivered(&mut browser, "address").await;
    let answered = answer(&mut browser, &request, &other, &[]).await;
    let body = json!({ "presentation": asking.id, "response_code": response_code(&answered) });
    let contradicted = browser.redeem(&body).await;
    assert_eq!(contradicted.code(), "another_person");

    for reply in replies.iter().chain([&contradicted]) {
        assert_clean("a reply", &format!("{:?} {}", reply.headers, reply.text()));
    }
    let log = capture.text();
    assert!(log.contains("an answer is refused") && log.contains("the wallet declined"), "the capture hears nothing");
    assert_clean("the log", &log);
    let written = store.written();
    assert!(written.len() > 50);
    for (key, record) in written {
        assert_clean("a record", &format!("{key:?} {record:?} {}", record.body));
    }
}

/// What a customer types, what their bank says of them, and where their money goes: nowhere but sealed.
#[tokio::test(flavor = "current_thread")]
async fn what_an_order_knows_of_people_appears_nowhere() {
    let capture = Capture::everything();
    let _guard = capture.hears();
    let store = Ledger::new(Memory::new());
    let selling = Selling::over(store.clone());
    let merchant = selling.shop.merchant().clone();
    let mut browser = selling.customer("adult").await;
    let (mut replies, mut printed) = (Vec::new(), String::new());
    let [street, name] = ["street", "name"].map(|part| format!("{MARK}{part}"));
    let typed = [
        ("item", "tea"),
        ("deliver", "typed"),
        ("name", name.as_str()),
        ("street", street.as_str()),
        ("postal_code", MARK),
        ("locality", MARK),
        ("country", "DE"),
    ];
    let with = |form: &str, name: &str, value: &str| {
        let mut sent: Vec<(&str, &str)> = typed.iter().filter(|(known, _)| *known != name).copied().collect();
        sent.extend([("form", form), (name, value)]);
        fields(&sent)
    };

    // Typed: refused for each of its parts, and taken.
    let form = browser.get("/checkout").await.text();
    let too_long = MARK.repeat(100);
    let broken = format!("{MARK}\r\n{MARK}");
    for (part, value) in [
        ("country", MARK),
        ("street", &too_long),
        ("locality", &broken),
        ("name", ""),
        ("quantity", MARK),
        ("shown", MARK),
        ("item", MARK),
    ] {
        let reply = browser.post_form("/checkout", &with(&form, part, value)).await;
        assert!(reply.status.is_client_error(), "{part}");
        replies.push(reply);
    }
    replies.push(browser.post_form("/checkout", &with(MARK, "quantity", "1")).await);
    assert_eq!(replies.last().map(Reply::code).as_deref(), Some("form_invalid"));
    let placed = browser.post_form("/checkout", &with(&form, "quantity", "1")).await;
    let id = ordered(&placed);
    replies.push(placed);
    replies.push(browser.post_form("/checkout", &with(&form, "street", MARK)).await);
    assert_eq!(replies.last().map(Reply::code).as_deref(), Some("form_used"));
    let guests = merchant.guest_form();
    let guest = browser.plain_form("/guest/checkout", &with(&guests, "quantity", "1")).await;
    let link = guest.json()["link"].as_str().unwrap().to_owned();

    // From the wallet: one with an address that cannot be one, and one with an address.
    let full = json!({
        "given_name": format!("{MARK}given"), "family_name": format!("{MARK}family"),
        "address": { "street_address": street, "postal_code": MARK, "locality": MARK, "country": "DE" },
    });
    for (wallet, status) in [(marked(&selling.shop), 422), (wallet_with(&selling.shop, full, |_| {}), 200)] {
        let mut browser = selling.browser();
        let (asking, request) = delivered(&mut browser, "address").await;
        let answered = answer(&mut browser, &request, &wallet, &[]).await;
        let body = json!({ "presentation": asking.id, "response_code": response_code(&answered) });
        assert_eq!(browser.redeem(&body).await.status, StatusCode::OK);
        let form = browser.get("/checkout").await.text();
        let sent = fields(&[("form", &form), ("item", "tea"), ("deliver", "wallet")]);
        let reply = browser.post_form("/checkout", &sent).await;
        assert_eq!(reply.status, status, "{}", reply.text());
        replies.push(reply);
    }

    // Money comes and goes.
    let order = selling.order(&id).await;
    browser.post_form(&format!("/orders/{id}/pay/sepa"), "").await;
    let payer = || BankAccount::new(format!("{MARK}payer"), PAYERS_IBAN.parse().unwrap()).unwrap();
    let transfer = |name: &str, minor: i64, text: String| Transfer {
        id: name.parse().unwrap(),
        amount: firsthand::money::Money::new(minor, firsthand::money::Currency::EUR).unwrap(),
        text,
        payer: Some(payer()),
    };
    for transfer in [
        transfer("1", 2_000, format!("{MARK} {}", order.reference())),
        transfer("2", 700, format!("{MARK} for the tea")),
        transfer("3", 700, format!("{} {MARK}", order.reference())),
    ] {
        printed.push_str(&format!("{transfer:?}"));
        let pending = merchant.book_transfer(transfer).await.unwrap();
        printed.push_str(&format!("{pending:?} {:?}", pending.preview()));
        pending.commit().await.unwrap();
    }
    for refused in
        [transfer("1", 2_000, MARK.to_owned()), transfer("4", 1, MARK.repeat(100)), transfer("5", 0, MARK.into())]
    {
        let error = merchant.book_transfer(refused).await.unwrap_err();
        printed.push_str(&format!("{error} {error:?}"));
        printed.push_str(&format!("{:?}", Problem::from(error)));
    }
    printed.push_str(&format!("{:?}", merchant.unmatched_transfers(10).await.unwrap()));
    let path = format!("/orders/{id}/destination");
    for (iban, name) in
        [(PAYERS_IBAN, too_long.as_str()), (MARK, MARK), (PAYERS_IBAN, broken.as_str()), (PAYERS_IBAN, MARK)]
    {
        replies.push(browser.post_form(&path, &fields(&[("iban", iban), ("name", name)])).await);
    }
    assert_eq!(replies.last().map(|reply| reply.status), Some(StatusCode::NOT_FOUND), "it goes back to who paid");
    for wrong in [MARK.to_owned(), format!("{PAYERS_IBAN}0"), PAYERS_IBAN.replace("82", "83")] {
        let error = wrong.parse::<Iban>().unwrap_err();
        printed.push_str(&format!("{error} {error:?}"));
    }
    replies.push(browser.post_form(&format!("/orders/{id}/address"), &with("", "country", MARK)).await);
    replies.push(browser.post_form(&format!("/orders/{id}/address"), &with("", "country", "DE")).await);
    assert_eq!(replies.last().map(|reply| reply.status), Some(StatusCode::OK));

    // Notices that somebody sends.
    let mut headers = http::HeaderMap::new();
    headers.insert("fake-rail-signature", http::HeaderValue::from_static(MARK));
    let request = NoticeRequest { headers: &headers, body: MARK.as_bytes(), now: merchant.now() };
    printed.push_str(&format!("{request:?}"));
    replies.push(browser.notice("fake", &(headers.clone(), MARK.into())).await);
    replies.push(browser.notice(MARK, &(headers, MARK.into())).await);

    // Whatever a careless program prints.
    let order = selling.order(&id).await;
    let delivered = order.delivery().await.unwrap().unwrap();
    assert_eq!(delivered.for_label().street, street);
    let giving = order.refunds().await.unwrap();
    assert_eq!(giving.len(), 2, "the excess of two transfers");
    let to = giving[0].account().unwrap().unwrap();
    assert_eq!(to.holder(), format!("{MARK}payer"));
    let guests_order = merchant.guest_order(&link.parse().unwrap()).await.unwrap();
    let draft = Draft::new(firsthand::money::Currency::EUR).deliver_to(delivered.for_label().clone());
    printed.push_str(&format!(
        "{order:#?} {delivered:?} {:?} {giving:?} {to:?} {:?} {:?} {:?} {guests_order:?} {draft:?} {:?} {:?}",
        delivered.for_page(),
        to.iban(),
        order.events().await.unwrap(),
        merchant.open_refunds(10).await.unwrap(),
        link.parse::<GuestLink>(),
        merchant,
    ));

    assert_clean("what is printed", &printed);
    for reply in &replies {
        assert_clean("a reply", &format!("{:?} {}", reply.headers, reply.text()));
    }
    let log = capture.text();
    assert!(log.contains("a notice is refused"), "the capture hears nothing: {log}");
    assert_clean("the log", &log);
    let written = store.written();
    assert!(written.len() > 50);
    for (key, record) in written {
        let text = format!("{key:?} {record:?} {}", record.body);
        assert_clean("a record", &text);
        // Who has the link has the order: it is in no record, log or print, and neither is a form that it is made of.
        for secret in [&link, &guests, &form] {
            assert!(!text.contains(secret.as_str()), "a record holds a capability: {text}");
        }
    }
    for secret in [&link, &guests, &form] {
        assert!(!log.contains(secret.as_str()) && !printed.contains(secret.as_str()));
    }
}

/// The secrets of a session are no claims, and appear in no log and no record either.
#[tokio::test(flavor = "current_thread")]
async fn tokens_codes_and_keys_appear_nowhere() {
    let capture = Capture::everything();
    let _guard = capture.hears();
    let store = Ledger::new(Memory::new());
    let inner = store.clone();
    let shop = TestShop::with(|builder| builder.store(inner));
    let mut browser = browser(&shop);
    let (asking, request) = delivered(&mut browser, "age").await;
    let answered = answer(&mut browser, &request, &shop.persona("adult").wallet.clone(), &[]).await;
    let code = response_code(&answered);
    let redeemed = browser.redeem(&json!({ "presentation": asking.id, "response_code": code })).await;
    let token = redeemed.json()["access_token"].as_str().expect("a token").to_owned();
    browser.get("/").await;
    browser.delete("/wallet/sessions/current").await;
    let log = capture.text();
    let records: String = store.written().iter().map(|(key, record)| format!("{key:?}{}", record.body)).collect();
    for secret in [&code, &token] {
        assert!(!log.contains(secret.as_str()) && !records.contains(secret.as_str()));
    }
    assert!(!log.contains(&asking.id), "the browser's name of a presentation is a secret of that browser");
}

#[tokio::test]
async fn planted_values_are_in_no_file() {
    let folder = std::env::temp_dir().join(format!("firsthand-http-privacy-{}", std::process::id()));
    std::fs::create_dir_all(&folder).expect("a folder");
    let store = Sqlite::connect(&format!("sqlite:{}", folder.join("shop.db").display())).await.expect("a file");
    let shop = shop_over(&TestShop::new(), store);
    let wallet = marked(&shop);
    let mut browser = browser(&shop);
    for ask in ["age", "address", "odd"] {
        let (asking, request) = delivered(&mut browser, ask).await;
        let answered = answer(&mut browser, &request, &wallet, &[]).await;
        assert_eq!(answered.status, StatusCode::OK, "{}", answered.text());
        let body = json!({ "presentation": asking.id, "response_code": response_code(&answered) });
        assert_eq!(browser.redeem(&body).await.status, StatusCode::OK);
    }
    let mut bytes_in_all = 0;
    for entry in std::fs::read_dir(&folder).expect("the folder") {
        let bytes = std::fs::read(entry.expect("a file").path()).expect("bytes");
        bytes_in_all += bytes.len();
        for spelling in spellings() {
            let found = bytes.windows(spelling.len()).any(|window| window == spelling.as_bytes());
            assert!(!found, "a file holds {spelling}");
        }
    }
    assert!(bytes_in_all > 4_096);
    std::fs::remove_dir_all(&folder).expect("the folder");
}
