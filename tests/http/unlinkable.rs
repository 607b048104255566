//! Two shops compare what they hold. They share one root secret, and the same hundred people with the same wallet come to
//! both: they show a credential, take the shop's own one, and come back by it in another browser. Compared is all that the
//! shops write, log and say, down to what is encoded in it. What both have of one person and of nobody else would tie the
//! two together: it may be nothing but what that person chose to show.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, Mutex},
};

use axum::{
    Router,
    body::{Body, to_bytes},
    middleware::map_response,
    response::Response,
};
use firsthand::{
    Ask, Device,
    env::Env,
    merchant::{IssuerProfile, MerchantBuilder},
    protocol::jose::{SigningKey, base64url_decode},
    store::Memory,
    testing::{issuer::Credential, wallet::Wallet},
};
use firsthand_axum::testing::{Browser, TestShop, response_code};
use http::{Method, StatusCode};
use serde_json::{Value, json};

use crate::{
    privacy::Capture,
    probe::{Ledger, PID, answer},
    setting::app,
};

const PEOPLE: usize = 100;
/// What is shorter is no value: two numbers of three digits meet by chance.
const VALUE_BYTES_MIN: usize = 4;
/// How many people a short value may have in common by chance: a status index and a number to type are drawn from a million.
const CHANCE: usize = 2;
const LONG: usize = 8;

/// Whether the person shows both shops the same copy of a credential, or each its own.
#[derive(Clone, Copy, Debug)]
enum Copies {
    OnceOnly,
    Reused,
}

/// What one shop has of one person, as values.
type Values = BTreeSet<Vec<u8>>;

/// A shop, and all that it says.
struct Side {
    shop: TestShop,
    app: Router,
    said: Arc<Mutex<Vec<String>>>,
    ledger: Ledger<Memory>,
    written: usize,
    logged: Capture,
    lines: usize,
}

fn asks(builder: MerchantBuilder, ledger: &Ledger<Memory>) -> MerchantBuilder {
    let address = TestShop::address().keep("family_name", "To greet you", 86_400);
    let back = Ask::new("back", "To know you again").recognise();
    builder.relationship(IssuerProfile::Open).ask(&address).ask(&back).store(ledger.clone())
}

impl Side {
    fn new(logged: &Capture, make: impl FnOnce(&Ledger<Memory>) -> TestShop) -> Self {
        let ledger = Ledger::new(Memory::new());
        let (shop, said) = (make(&ledger), Arc::new(Mutex::new(Vec::new())));
        let heard = said.clone();
        let app = app(shop.merchant()).layer(map_response(move |response| heard_by(heard.clone(), response)));
        Self { shop, app, said, ledger, written: 0, logged: logged.clone(), lines: 0 }
    }

    /// A person's whole visit; what the shop has of it.
    async fn visit(&mut self, wallet: &Wallet) -> Values {
        let browser = || Browser::new(&self.shop, self.app.clone());
        let (mut first, mut wallet) = (browser(), wallet.clone());
        assert_eq!(shows(&mut first, "address", &wallet).await, StatusCode::OK);
        first.give_credential(&mut wallet).await;
        let code = first.signed(Method::POST, "/wallet/recovery-code", None).await;
        assert!(code.status.is_success() || code.code() == "step_up_needed", "{}", code.text());
        let card = Wallet::new().with_cards(&wallet);
        let mut second = browser();
        assert_eq!(shows(&mut second, "back", &card).await, StatusCode::OK);
        assert_eq!(first.get("/account").await.text(), second.get("/account").await.text());
        for path in ["/wallet/me", "/wallet/me/export", "/wallet/bindings", "/wallet/history", "/wallet/sessions"] {
            assert_eq!(second.get(path).await.status, StatusCode::OK, "{path}");
        }
        self.values()
    }

    /// What is new since the last time.
    fn values(&mut self) -> Values {
        let mut values = Values::new();
        for text in self.said.lock().unwrap().drain(..) {
            take_apart(&text, &mut values, 0);
        }
        let written = self.ledger.written();
        for (key, record) in &written[self.written..] {
            for text in [&key.partition, &key.sort, &record.body] {
                take_apart(text, &mut values, 0);
            }
        }
        self.written = written.len();
        let log = self.logged.text();
        let lines: Vec<&str> = log.lines().collect();
        for line in &lines[self.lines..] {
            take_apart(line, &mut values, 0);
        }
        self.lines = lines.len();
        values
    }
}

/// Shows what an ask wants, and fetches the result.
async fn shows(browser: &mut Browser, ask: &str, wallet: &Wallet) -> StatusCode {
    let asking = browser.ask(ask, Device::SameDevice).await;
    let request = browser.wallet_reads(&asking).await;
    let answered = answer(browser, &request, wallet, &[]).await;
    assert_eq!(answered.status, StatusCode::OK, "{}", answered.text());
    browser.redeem(&json!({ "presentation": asking.id, "response_code": response_code(&answered) })).await.status
}

async fn heard_by(said: Arc<Mutex<Vec<String>>>, response: Response) -> Response {
    let (parts, body) = response.into_parts();
    let body = to_bytes(body, 1 << 20).await.unwrap();
    let headers = parts.headers.values().map(|value| String::from_utf8_lossy(value.as_bytes()).into_owned());
    said.lock().unwrap().extend(headers.chain([String::from_utf8_lossy(&body).into_owned()]));
    Response::from_parts(parts, Body::from(body))
}

/// All values in a text: of JSON its members, of anything else its words, and what these say in base64url, hex and base58.
fn take_apart(text: &str, values: &mut Values, depth: usize) {
    if depth > 8 || text.len() < VALUE_BYTES_MIN {
        return;
    }
    if let Ok(json @ (Value::Object(_) | Value::Array(_))) = serde_json::from_str(text) {
        take_json_apart(&json, values, depth);
        return;
    }
    if text.contains('%') {
        let decoded = percent_decoded(text);
        if decoded != text {
            take_apart(&decoded, values, depth + 1);
        }
    }
    let is_of_a_word = |c: char| c.is_alphanumeric() || matches!(c, '-' | '_');
    for word in text.split(|c: char| !is_of_a_word(c)).filter(|word| word.len() >= VALUE_BYTES_MIN) {
        if !values.insert(word.as_bytes().to_vec()) {
            continue;
        }
        let hex = word.len() % 2 == 0 && word.bytes().all(|byte| byte.is_ascii_hexdigit());
        let decoded = [
            base64url_decode(word).ok(),
            hex.then(|| {
                (0..word.len()).step_by(2).map(|at| u8::from_str_radix(&word[at..at + 2], 16).unwrap()).collect()
            }),
            word.strip_prefix('z').and_then(base58),
        ];
        for bytes in decoded.into_iter().flatten().filter(|bytes| bytes.len() >= VALUE_BYTES_MIN) {
            // A document in a DID has two bytes of a multicodec before it.
            for inner in [&bytes[..], &bytes[2..]] {
                match std::str::from_utf8(inner) {
                    Ok(text) => take_apart(text, values, depth + 1),
                    Err(_) => drop(values.insert(inner.to_vec())),
                }
            }
        }
    }
}

fn take_json_apart(json: &Value, values: &mut Values, depth: usize) {
    match json {
        Value::Object(members) => {
            for (name, value) in members {
                take_apart(name, values, depth + 1);
                take_json_apart(value, values, depth + 1);
            }
        }
        Value::Array(items) => items.iter().for_each(|item| take_json_apart(item, values, depth + 1)),
        Value::String(text) => take_apart(text, values, depth + 1),
        Value::Number(number) => take_apart(&number.to_string(), values, depth + 1),
        Value::Bool(_) | Value::Null => {}
    }
}

fn percent_decoded(text: &str) -> String {
    let mut parts = text.split('%');
    let mut bytes = parts.next().unwrap_or_default().as_bytes().to_vec();
    for part in parts {
        match part.get(..2).and_then(|hex| u8::from_str_radix(hex, 16).ok()) {
            Some(byte) => {
                bytes.push(byte);
                bytes.extend(part[2..].bytes());
            }
            None => bytes.extend(part.bytes()),
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

fn base58(text: &str) -> Option<Vec<u8>> {
    const ALPHABET: &str = "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz";
    let mut bytes: Vec<u8> = Vec::new();
    for letter in text.chars() {
        let mut carry = ALPHABET.find(letter)?;
        for byte in bytes.iter_mut().rev() {
            carry += usize::from(*byte) * 58;
            *byte = carry as u8;
            carry >>= 8;
        }
        while carry > 0 {
            bytes.insert(0, carry as u8);
            carry >>= 8;
        }
    }
    Some(bytes)
}

/// The wallet of a person, with a copy of a credential in it of which every value is theirs alone.
fn wallet(shop: &TestShop, person: usize) -> Wallet {
    let mut scalar = [0; 32];
    shop.clock().fill(&mut scalar);
    let holder = SigningKey::from_p256_scalar(&scalar).unwrap();
    let mut credential = Credential::new(PID, shop.merchant().now());
    credential.holder = Some(holder.public_key().clone());
    credential.claims = shown(person).into_iter().map(|(name, value)| (name.to_owned(), json!(value))).collect();
    credential.claims.insert("address".to_owned(), json!({ "locality": format!("Town-{person:04}") }));
    credential.claims.insert("birthdate".to_owned(), json!(format!("Birth-{person:04}")));
    credential.plain.insert("sub".to_owned(), json!(format!("Subject-{person:04}")));
    credential.status_index = Some(person as u64 + 100);
    let mut wallet = Wallet::new();
    wallet.hold(&shop.cast().issuer().issue(&credential, shop.clock()).unwrap(), holder).unwrap();
    wallet
}

fn shown(person: usize) -> BTreeMap<&'static str, String> {
    BTreeMap::from([("given_name", format!("Given-{person:04}")), ("family_name", format!("Family-{person:04}"))])
}

async fn compare(copies: Copies) {
    let logged = Capture::default();
    let _guard = tracing::subscriber::set_default(logged.clone());
    let first = TestShop::new();
    let mut here = Side::new(&logged, |ledger| first.bare(|builder| asks(builder, ledger)));
    let mut there = Side::new(&logged, |ledger| first.elsewhere("other.example", |builder| asks(builder, ledger)));
    let wallets: Vec<[Wallet; 2]> = (0..PEOPLE)
        .map(|person| {
            let one = wallet(&first, person);
            let other = match copies {
                Copies::OnceOnly => wallet(&first, person),
                Copies::Reused => one.clone(),
            };
            [one, other]
        })
        .collect();
    let mut found: [Vec<Values>; 2] = Default::default();
    // Nobody is at both at one time; when somebody came is no value that the shops chose.
    for (side, (shop, step_s)) in [(&mut here, 61), (&mut there, 97)].into_iter().enumerate() {
        first.advance_s(86_413);
        // With its first customer, a shop begins what it keeps of all together.
        shop.visit(&wallet(&first, PEOPLE + side)).await;
        for copies in &wallets {
            first.advance_s(step_s);
            found[side].push(shop.visit(&copies[side]).await);
        }
    }

    let mut owners: BTreeMap<&[u8], BTreeSet<usize>> = BTreeMap::new();
    for (person, value) in found
        .iter()
        .flat_map(|side| side.iter().enumerate().flat_map(|(at, all)| all.iter().map(move |value| (at, value))))
    {
        owners.entry(value).or_default().insert(person);
    }
    let mut by_chance = BTreeSet::new();
    for (person, (here, there)) in found[0].iter().zip(&found[1]).enumerate() {
        let own = |value: &&Vec<u8>| owners[value.as_slice()].len() == 1;
        let shared: Vec<&Vec<u8>> = here.intersection(there).filter(own).collect();
        let mut chosen = Values::new();
        for text in shown(person).into_values().chain([format!("Town-{person:04}")]) {
            take_apart(&text, &mut chosen, 0);
        }
        // The comparison sees what is there: the name that the person lets both shops keep.
        let kept = format!("Family-{person:04}").into_bytes();
        assert!(shared.contains(&&kept), "{copies:?}: what both were shown is not found");
        for value in shared.into_iter().filter(|value| !chosen.contains(*value)) {
            let text = String::from_utf8_lossy(value);
            assert!(value.len() < LONG, "{copies:?}: both shops have {text:?} of person {person}, and of nobody else");
            by_chance.insert(text.into_owned());
        }
    }
    assert!(by_chance.len() <= CHANCE, "{copies:?}: {by_chance:?}");
    println!("{copies:?}: {PEOPLE} people at two shops, {} values, by chance {by_chance:?}", owners.len());
}

#[tokio::test]
async fn two_shops_find_nothing_in_common_of_people_who_show_each_credential_once() {
    compare(Copies::OnceOnly).await;
}

#[tokio::test]
async fn two_shops_find_nothing_in_common_of_people_who_show_both_the_same_copy() {
    compare(Copies::Reused).await;
}

#[test]
fn the_comparison_sees_through_encodings() {
    let mut values = Values::new();
    let inner = json!({"kid": "deadbeef01", "nested": [{"number": 20_260_101}]}).to_string();
    let encoded = firsthand::protocol::jose::base64url_encode(inner.as_bytes());
    take_apart(&format!("https://a.example/?offer=%7B%22token%22%3A%22x.{encoded}.y%22%7D"), &mut values, 0);
    for value in [&b"20260101"[..], b"deadbeef01", &[0xde, 0xad, 0xbe, 0xef, 0x01], b"nested"] {
        assert!(values.contains(value), "{value:?}");
    }
}
