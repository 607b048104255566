//! Money, what banks say of it, and who says that it came.

use std::{
    future::Future,
    pin::pin,
    task::{Context, Poll, Waker},
};

use firsthand::{
    Currency, CustomerId, Money, OrderId,
    merchant::RecoveryCode,
    money::{Quantity, Rate},
    protocol::webhook::{self, WebhookSecret},
    rail::{
        Iban, NoticeError, NoticeRequest, Psp, Rail, Reference, Statement,
        sepa::{Bic, CsvFormat},
    },
    time::Day,
};
use http::{HeaderMap, HeaderName, HeaderValue};

use super::{NOW, choice, line, text};

/// What is read as money is written as the same money.
pub(super) fn money(data: &[u8]) {
    let Some(text) = text(data) else { return };
    for code in ["EUR", "JPY", "KWD", text.get(..3).unwrap_or_default()] {
        let Ok(currency) = code.parse::<Currency>() else { continue };
        let Ok(money) = Money::parse(text, currency) else { continue };
        assert!(money.minor() >= 0 && money.decimal().len() < 24);
        assert_eq!(Money::parse(&money.decimal(), currency), Ok(money));
        let written = serde_json::to_value(money).unwrap();
        assert_eq!(serde_json::from_value::<Money>(written).unwrap(), money);
        // What another reader makes of it, where a float is exact enough to tell.
        let number: f64 = text.parse().expect("every amount is a number");
        let minor = money.minor() as f64
            / 10_f64.powi(i32::try_from(money.decimal().split_once('.').map_or(0, |(_, d)| d.len())).unwrap());
        assert!((number - minor).abs() <= number.abs() * 1e-9, "{text} was read as {}", money.decimal());
    }
    if let Ok(rate) = text.parse::<Rate>() {
        assert_eq!(rate.to_string().parse(), Ok(rate));
    }
    if let Ok(quantity) = text.parse::<Quantity>() {
        assert_eq!(quantity.to_string().parse(), Ok(quantity));
    }
}

/// Names and numbers are the same however often they are written, and are found again in what people write around them.
pub(super) fn identifiers(data: &[u8]) {
    let Some(text) = text(data) else { return };
    if let Ok(iban) = text.parse::<Iban>() {
        assert_eq!(iban.as_str().parse::<Iban>().as_ref(), Ok(&iban));
        assert!(!iban.masked().contains(&iban.as_str()[6..12]));
    }
    if let Ok(bic) = text.parse::<Bic>() {
        assert_eq!(bic.as_str().parse(), Ok(bic));
    }
    if let Ok(reference) = text.parse::<Reference>() {
        assert_eq!(reference.to_string().parse().as_ref(), Ok(&reference));
        assert_eq!(Reference::find_in(&reference.to_string()).as_ref(), Some(&reference));
    }
    if let Some(found) = Reference::find_in(text) {
        assert_eq!(found.to_string().parse(), Ok(found));
    }
    if let Ok(day) = text.parse::<Day>() {
        assert_eq!(Day::of(day.begins_at()), day);
    }
    if let Ok(order) = text.parse::<OrderId>() {
        assert_eq!(order.to_string(), text);
    }
    if let Ok(customer) = text.parse::<CustomerId>() {
        assert_eq!(customer.to_string(), text);
    }
    let _ = text.parse::<RecoveryCode>();
}

/// A statement that was read has no money in it that is not in the file.
fn books(statement: &Statement, file: &[u8]) {
    assert!(statement.movements().len() <= file.len());
    for movement in statement.movements() {
        assert!(movement.amount.minor() > 0, "a movement of nothing");
        assert!(movement.place >= 1 && movement.ordinal >= 1);
        assert!(movement.text.len() <= 900);
        if let Some((_, whole)) = &movement.part_of {
            assert!(whole.minor() >= movement.amount.minor(), "a part that is more than the whole");
        }
    }
}

/// A bank's file.
pub(super) fn statement(data: &[u8]) {
    let Ok(statement) = Statement::read(data) else { return };
    books(&statement, data);
    let again = Statement::read(data).expect("read a moment ago");
    assert!(again.movements() == statement.movements() && again.left_out() == statement.left_out());
}

/// A bank's file with columns that the merchant named.
pub(super) fn statement_csv(data: &[u8]) {
    let (form, file) = choice(data);
    let iban: Iban = "DE89370400440532013000".parse().unwrap();
    let mut format = CsvFormat::new("Date", "Amount").of(iban).text(&["Text"]).payer("Name", "Iban");
    if form & 1 == 1 {
        format = format.delimiter(',').point('.');
    }
    if form & 2 == 2 {
        format = format.direction("Direction", "D").pending("State", "P");
    }
    if let Ok(statement) = Statement::read_csv(file, &format) {
        books(&statement, file);
    }
}

/// A body with headers before it: name, colon, value; the signature is right if `webhook-signature` says `good`.
fn message(data: &[u8], secret: &WebhookSecret) -> (HeaderMap, Vec<u8>, bool) {
    let mut headers = HeaderMap::new();
    let mut rest = data;
    let mut good = false;
    for _ in 0..4 {
        let (header, after) = line(rest);
        let Some(at) = header.iter().position(|byte| *byte == b':') else { break };
        let (Ok(name), Ok(value)) = (HeaderName::from_bytes(&header[..at]), HeaderValue::from_bytes(&header[at + 1..]))
        else {
            break;
        };
        good |= name == webhook::SIGNATURE && value == "good";
        headers.append(name, value);
        rest = after;
    }
    let body = rest.to_vec();
    if good {
        let id = headers.get(webhook::ID).and_then(|id| id.to_str().ok()).unwrap_or("message").to_owned();
        let signature = webhook::sign(std::slice::from_ref(secret), &id, NOW, &body);
        headers.insert(webhook::ID, HeaderValue::from_str(&id).unwrap());
        headers.insert(webhook::TIMESTAMP, HeaderValue::from_str(&NOW.as_secs().to_string()).unwrap());
        headers.insert(webhook::SIGNATURE, HeaderValue::from_str(&signature).unwrap());
    }
    (headers, body, good)
}

/// Nobody is believed but who has the secret.
pub(super) fn webhook(data: &[u8]) {
    let secret = WebhookSecret::from_random([5; 32]);
    let (headers, body, good) = message(data, &secret);
    let others = [WebhookSecret::from_random([6; 32])];
    assert!(webhook::verify(&others, &headers, &body, NOW).is_err());
    match webhook::verify(std::slice::from_ref(&secret), &headers, &body, NOW) {
        Ok(id) => assert!(good && !id.contains('.')),
        Err(error) => assert!(!good || error.code() == "webhook_header", "{error}"),
    }
    if let Some(Ok(secret)) = text(data).map(str::parse::<WebhookSecret>) {
        assert!(secret.reveal().parse::<WebhookSecret>().is_ok());
    }
}

/// What a payment provider's bridge says.
pub(super) fn psp_notice(data: &[u8]) {
    let secret = WebhookSecret::from_random([5; 32]);
    let (headers, body, good) = message(data, &secret);
    let address = |path: &str| format!("https://bridge.example/{path}").parse().unwrap();
    let rail = Psp::new(address(""), secret, address("paid"), address("notices")).unwrap();
    let notice = now(rail.notice(&NoticeRequest { headers: &headers, body: &body, now: NOW }));
    match notice {
        Some(Ok(_)) => assert!(good),
        Some(Err(NoticeError::NotAuthentic)) | None => {}
        Some(Err(_)) => assert!(good, "what was not authentic was read"),
    }
}

/// What a future yields that waits for nothing.
fn now<T>(future: impl Future<Output = T>) -> Option<T> {
    match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(output) => Some(output),
        Poll::Pending => None,
    }
}
