//! What every rail must keep, as a suite that its author runs.
#![allow(clippy::panic, clippy::expect_used, reason = "a suite says what is wrong by failing")]

use http::HeaderMap;

use crate::{
    money::{Currency, Money},
    order::OrderId,
    rail::{
        ActOutcome, CaptureRequest, NoticeRequest, Outcome, PaymentRequest, Rail, Reference, RefundOutcome,
        RefundRequest,
    },
    time::UnixTime,
};

/// What a rail can promise by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum RailKind {
    /// It collects and gives back by itself, and knows what it did.
    Acts,
    /// It authorises, and collects when it is told to: in working order it says so at once.
    Authorises,
    /// It tells people what to do; the merchant says what was done.
    Instructs,
}

const NOW: UnixTime = UnixTime::from_secs(1_790_000_000);

/// Checks that a rail keeps the rules of [`Rail`]. `make` gives a rail in working order, which no test has used, each time
/// it is called.
///
/// ```
/// # use firsthand::{rail::Sepa, testing::{FakeRail, Mood, RailKind, rail_conformance}};
/// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
/// rail_conformance(RailKind::Acts, async || FakeRail::new()).await;
/// let authorising = async || {
///     let rail = FakeRail::new();
///     (0..20).for_each(|_| rail.next(Mood::Authorises));
///     rail
/// };
/// rail_conformance(RailKind::Authorises, authorising).await;
/// let sepa = Sepa::new("Weingut Sonnberg GmbH", "DE89370400440532013000").unwrap();
/// rail_conformance(RailKind::Instructs, async || sepa.clone()).await;
/// # });
/// ```
///
/// # Panics
/// At the first rule that is broken, with its name.
pub async fn rail_conformance<R: Rail>(kind: RailKind, make: impl AsyncFn() -> R) {
    has_a_name_and_patience(&make().await);
    refuses_what_it_cannot_collect(&make().await);
    said_twice_is_done_once(&make().await, kind).await;
    attempts_are_apart(&make().await).await;
    asking_executes_nothing(&make().await, kind).await;
    captures_nothing_that_is_not_authorised(&make().await, kind).await;
    if kind == RailKind::Authorises {
        captures_what_is_authorised_and_no_more(&make().await).await;
        gives_up_the_rest_for_good(&make().await).await;
        asking_captures_nothing(&make().await).await;
    }
    gives_back_once(&make().await, kind).await;
    believes_no_stranger(&make().await).await;
}

fn has_a_name_and_patience(rail: &impl Rail) {
    let plain = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
    let id = rail.id();
    assert!(
        (1..=16).contains(&id.len()) && id.bytes().all(plain),
        "a rail's name is 1 to 16 of a-z, 0-9 and -: {id:?}"
    );
    assert!(rail.patience_s() > 0, "a customer has time to pay");
}

fn refuses_what_it_cannot_collect(rail: &impl Rail) {
    assert!(rail.takes(Money::zero(Currency::EUR)).is_err(), "nothing cannot be collected");
    assert!(rail.takes(euros(1000)).is_ok() || rail.takes(dollars(1000)).is_ok(), "some amount can be collected");
}

async fn said_twice_is_done_once(rail: &impl Rail, kind: RailKind) {
    let payment = payment(1, 1);
    let (first, second) = (rail.pay(&payment).await, rail.pay(&payment).await);
    assert_eq!(first, second, "the same attempt said twice has the same outcome");
    assert_eq!(rail.inquire(&payment).await, first, "asked about, it is what it was said to be");
    match kind {
        RailKind::Acts => assert_ne!(first, Outcome::Unknown, "a rail in working order knows what it did"),
        RailKind::Authorises => assert!(is_authorised(&first), "a rail that authorises says so: {first:?}"),
        RailKind::Instructs => assert_eq!(first, Outcome::Pending, "a rail that instructs decides nothing"),
    }
}

async fn attempts_are_apart(rail: &impl Rail) {
    let (first, second) = (payment(1, 1), payment(1, 2));
    let was = rail.pay(&first).await;
    rail.pay(&second).await;
    assert_eq!(rail.inquire(&first).await, was, "another attempt changes nothing of the first");
    let other = rail.inquire(&payment(2, 1)).await;
    assert!(other != Outcome::Paid && !is_authorised(&other), "another order's attempt was not paid: {other:?}");
}

async fn asking_executes_nothing(rail: &impl Rail, kind: RailKind) {
    let payment = payment(3, 1);
    let asked = rail.inquire(&payment).await;
    assert!(asked != Outcome::Paid && !is_authorised(&asked), "asking pays nothing: {asked:?}");
    if kind != RailKind::Instructs && matches!(asked, Outcome::Declined(_)) {
        let late = rail.pay(&payment).await;
        assert!(matches!(late, Outcome::Declined(_)), "what was said to be declined is not paid afterwards: {late:?}");
    }
    let refund = refund(3, "r");
    let asked = rail.inquire_refund(&refund).await;
    assert_ne!(asked, RefundOutcome::Done, "asking gives nothing back");
    if matches!(asked, RefundOutcome::Declined(_)) {
        let late = rail.refund(&refund).await;
        assert!(matches!(late, RefundOutcome::Declined(_)), "what was said to be declined is not sent later: {late:?}");
    }
}

async fn captures_nothing_that_is_not_authorised(rail: &impl Rail, kind: RailKind) {
    let never = rail.capture(&capture(5, "a", 1)).await;
    assert_ne!(never, ActOutcome::Done, "what was never paid is not captured");
    if kind != RailKind::Authorises {
        rail.pay(&payment(6, 1)).await;
        let paid = rail.capture(&capture(6, "a", 1234)).await;
        assert_ne!(paid, ActOutcome::Done, "what is paid, or not authorised, is not captured");
    }
}

async fn captures_what_is_authorised_and_no_more(rail: &impl Rail) {
    rail.pay(&payment(5, 1)).await;
    let part = capture(5, "a", 1000);
    for _ in 0..2 {
        assert_eq!(
            rail.capture(&part).await,
            ActOutcome::Done,
            "a part is captured, and said twice it is captured once"
        );
    }
    assert_eq!(rail.inquire_capture(&part).await, ActOutcome::Done, "asked about, it is what it was said to be");
    let other = rail.capture(&capture(5, "b", 235)).await;
    assert!(matches!(other, ActOutcome::Declined(_)), "no more is captured than was authorised: {other:?}");
    assert!(is_authorised(&rail.inquire(&payment(5, 1)).await), "the rest is still promised");
    assert_eq!(rail.capture(&capture(5, "c", 234)).await, ActOutcome::Done, "the rest is captured, to the last cent");
    let more = rail.capture(&capture(5, "d", 1)).await;
    assert!(matches!(more, ActOutcome::Declined(_)), "nothing is left: {more:?}");
}

async fn gives_up_the_rest_for_good(rail: &impl Rail) {
    let payment = payment(5, 1);
    rail.pay(&payment).await;
    let part = capture(5, "a", 1000);
    assert_eq!(rail.capture(&part).await, ActOutcome::Done);
    for _ in 0..2 {
        assert_eq!(rail.void(&payment).await, ActOutcome::Done, "the rest is given up, however often that is said");
    }
    let asked = rail.inquire(&payment).await;
    assert!(matches!(asked, Outcome::Declined(_)), "what was given up will not come: {asked:?}");
    let late = rail.capture(&capture(5, "b", 1)).await;
    assert!(matches!(late, ActOutcome::Declined(_)), "nothing is captured of what was given up: {late:?}");
    assert_eq!(rail.inquire_capture(&part).await, ActOutcome::Done, "what was captured stays so");
}

async fn asking_captures_nothing(rail: &impl Rail) {
    rail.pay(&payment(5, 1)).await;
    let asked = rail.inquire_capture(&capture(5, "a", 1000)).await;
    assert!(!matches!(asked, ActOutcome::Done | ActOutcome::UnderWay), "asking captures nothing: {asked:?}");
    if matches!(asked, ActOutcome::Declined(_)) {
        let late = rail.capture(&capture(5, "a", 1000)).await;
        assert!(
            matches!(late, ActOutcome::Declined(_)),
            "what was said to be declined is not captured later: {late:?}"
        );
    }
    assert_eq!(rail.capture(&capture(5, "b", 1234)).await, ActOutcome::Done, "all of it is still there to be captured");
}

async fn gives_back_once(rail: &impl Rail, kind: RailKind) {
    rail.pay(&payment(4, 1)).await;
    if kind == RailKind::Authorises {
        assert_eq!(rail.capture(&capture(4, "a", 1234)).await, ActOutcome::Done);
    }
    let refund = refund(4, "r");
    let (first, second) = (rail.refund(&refund).await, rail.refund(&refund).await);
    assert_eq!(first, second, "the same refund said twice has the same outcome");
    assert_eq!(rail.inquire_refund(&refund).await, first, "asked about, it is what it was said to be");
    if kind == RailKind::Instructs {
        assert_eq!(first, RefundOutcome::ByHand, "a rail that instructs gives nothing back by itself");
    }
}

async fn believes_no_stranger(rail: &impl Rail) {
    let long = vec![b'['; 100_000];
    for body in [&b""[..], b"{}", b"null", b"\xff\xfe", br#"{"order":"o_0","attempt":1,"outcome":"paid"}"#, &long] {
        let request = NoticeRequest { headers: &HeaderMap::new(), body, now: NOW };
        assert!(rail.notice(&request).await.is_err(), "an unsigned notice is refused");
    }
}

fn payment(order: u8, attempt: u32) -> PaymentRequest {
    let order = OrderId::from_random([order; 16]);
    PaymentRequest { order, attempt, amount: euros(1234), reference: Reference::from_random([7; 8]), begun_at: NOW }
}

fn capture(order: u8, key: &str, cents: i64) -> CaptureRequest {
    CaptureRequest { payment: payment(order, 1), key: key.to_owned(), amount: euros(cents) }
}

const fn is_authorised(outcome: &Outcome) -> bool {
    matches!(outcome, Outcome::Authorised { .. })
}

fn refund(order: u8, key: &str) -> RefundRequest {
    let order = OrderId::from_random([order; 16]);
    let reference = Reference::from_random([7; 8]);
    RefundRequest { order, key: key.to_owned(), number: 1, attempt: Some(1), amount: euros(1234), reference }
}

fn euros(cents: i64) -> Money {
    Money::new(cents, Currency::EUR).expect("an amount")
}

fn dollars(cents: i64) -> Money {
    Money::new(cents, Currency::USD).expect("an amount")
}
