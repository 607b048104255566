//! A payment provider that declines, delays, repeats, reorders and lies: what the shop believes, and what becomes of the
//! money. Answers come from a real server on this machine, notices arrive by the real route.

use firsthand::{
    env::Env,
    merchant::Order,
    money::{Currency, Money, Quantity},
    order::{Draft, Happened, OrderId, OrderState},
    protocol::webhook::WebhookSecret,
    rail::{ActOutcome, Outcome, Psp, PspError},
    store::Memory,
    testing::{RailKind, rail_conformance},
    time::UnixTime,
};
use firsthand_axum::{
    CustomerLayer, routes,
    testing::{Browser, TestShop},
};
use http::{HeaderMap, HeaderValue, StatusCode};
use serde_json::{Value, json};
use url::Url;

use crate::{
    provider::{Clock, Provider, Wrong, signed},
    setting::refused,
};

const TEA: i64 = 1480;

fn euros(minor: i64) -> Money {
    Money::new(minor, Currency::EUR).unwrap()
}

/// A shop whose customers pay by the provider.
struct Paying {
    shop: TestShop,
    provider: Provider,
}

impl Paying {
    async fn with(usually: &'static str) -> Self {
        let clock = Clock::at(TestShop::new().merchant().now());
        let provider = Provider::start(clock, usually).await;
        let rail = provider.rail();
        let shop = TestShop::with(|builder| builder.store(Memory::new()).rail(rail));
        Self { shop, provider }
    }

    fn advance_s(&self, secs: u64) {
        self.shop.advance_s(secs);
        self.provider.clock.advance_s(secs);
    }

    /// A minute later, and housekeeping has been there.
    async fn later(&self) {
        self.advance_s(61);
        self.shop.merchant().bring_orders_up_to_date().await.unwrap();
    }

    /// A guest's order for one tea.
    async fn placed(&self) -> Order {
        let merchant = self.shop.merchant();
        let draft = Draft::new(Currency::EUR).line("tea", "Tea", euros(TEA), Quantity::new(1).unwrap());
        merchant.place_as_guest(draft, &merchant.guest_form()).await.unwrap().commit().await.unwrap().order
    }

    async fn paid(&self) -> Order {
        self.placed().await.pay("psp").await.unwrap()
    }

    fn browser(&self) -> Browser {
        let merchant = self.shop.merchant();
        Browser::new(&self.shop, routes(merchant).layer(CustomerLayer::new(merchant.clone())))
    }

    /// Posts a notice as it was signed.
    async fn tell(&self, notice: &(HeaderMap, Vec<u8>)) -> firsthand_axum::testing::Reply {
        self.browser().notice("psp", notice).await
    }

    /// Posts a notice that is the provider's own, and taken.
    async fn told(&self, message: &Value) {
        let reply = self.tell(&self.provider.notice(message)).await;
        assert_eq!(reply.status, StatusCode::NO_CONTENT, "{message}: {}", reply.text());
    }

    /// Asserts where an order stands, what of its price is here and owed back, and that the provider's books agree.
    async fn stands(&self, order: &Order, state: OrderState, received: i64, owed: i64) -> Order {
        let order = order.reload().await.unwrap();
        let found = (order.state(), order.ledger().received.minor(), order.ledger().owed.minor());
        assert_eq!(found, (state, received, owed), "{:?}", order.attempts());
        assert!(order.ledger().is_balanced());
        order
    }
}

/// A notice about a payment.
fn about(order: &Order, status: &str) -> Value {
    json!({
        "type": "payment", "order": order.id(), "attempt": 1, "amount": TEA, "currency": "EUR", "status": status,
    })
}

fn with(mut message: Value, member: &str, value: Value) -> Value {
    message[member] = value;
    message
}

fn capture(order: &Order, key: &str, amount: i64, status: &str) -> Value {
    with(with(with(about(order, status), "type", json!("capture")), "key", json!(key)), "amount", json!(amount))
}

async fn happened(order: &Order, what: fn(&Happened) -> bool) -> usize {
    order.events().await.unwrap().iter().filter(|event| what(&event.what)).count()
}

async fn contradictions(order: &Order) -> usize {
    happened(order, |what| matches!(what, Happened::Contradicted { .. })).await
}

#[tokio::test]
async fn the_rail_keeps_the_rules_of_rails() {
    let make = async |usually| Provider::start(Clock::at(UnixTime::from_secs(1_790_000_000)), usually).await.rail();
    rail_conformance(RailKind::Acts, async || make("paid").await).await;
    rail_conformance(RailKind::Acts, async || make("redirect").await).await;
    rail_conformance(RailKind::Authorises, async || make("authorised").await).await;
}

#[tokio::test]
async fn a_customer_goes_to_the_provider_and_comes_back_and_only_the_provider_is_believed() {
    let paying = Paying::with("redirect").await;
    let order = paying.paid().await;
    let Some(Outcome::Continue(address)) = order.attempts()[0].outcome.clone() else { panic!("{order:?}") };
    assert_eq!(address.as_str(), format!("https://pay.example/p/{}/1", order.id()));
    // Paying again is the same payment.
    assert_eq!(order.pay("psp").await.unwrap().attempts().len(), 1);
    assert_eq!(paying.provider.asked("payments"), 1);
    // The customer comes back without having paid, and says nothing that counts.
    let order = order.ask_rail().await.unwrap();
    assert_eq!(order.state(), OrderState::Paying);
    paying.provider.decide(order.id(), 1, "paid");
    let order = order.ask_rail().await.unwrap();
    assert_eq!((order.state(), order.ledger().received), (OrderState::Paid, euros(TEA)));
    let asked = paying.provider.asked("payments/status");
    order.ask_rail().await.unwrap();
    assert_eq!(paying.provider.asked("payments/status"), asked, "what is decided is not asked about");
    // The notice says it once more, and again, and what was before.
    for status in ["paid", "paid", "pending"] {
        paying.told(&about(&order, status)).await;
    }
    let order = paying.stands(&order, OrderState::Paid, TEA, 0).await;
    assert_eq!(contradictions(&order).await, 1);
}

#[tokio::test]
async fn a_notice_pays_and_a_declined_payment_is_tried_again() {
    let paying = Paying::with("redirect").await;
    paying.provider.next("declined");
    let order = paying.paid().await;
    assert_eq!(order.state(), OrderState::Declined);
    assert_eq!(order.attempts()[0].outcome, Some(Outcome::Declined("no_money".into())));
    let order = order.pay("psp").await.unwrap();
    let second = with(about(&order, "paid"), "attempt", json!(2));
    for _ in 0..3 {
        paying.told(&second).await;
    }
    paying.stands(&order, OrderState::Paid, TEA, 0).await;
    // The first one was paid after all: what comes twice is owed back.
    paying.told(&about(&order, "paid")).await;
    paying.stands(&order, OrderState::Paid, 2 * TEA, TEA).await;
}

/// Everything that is wrong with an answer but its truth.
fn lies() -> Vec<Wrong> {
    vec![
        Wrong::LostAfterDoing,
        Wrong::Status(500),
        Wrong::Status(409),
        Wrong::Status(302),
        Wrong::Unsigned,
        Wrong::OtherSecret,
        Wrong::SignedAt(-301),
        Wrong::SignedAt(301),
        Wrong::OtherQuestion,
        Wrong::Echo,
        Wrong::Twice,
        Wrong::NotJson,
        Wrong::TooLarge,
        Wrong::Member("amount", || json!(TEA - 1)),
        Wrong::Member("amount", || json!(1480.0)),
        Wrong::Member("amount", || json!("1480")),
        Wrong::Member("currency", || json!("USD")),
        Wrong::Member("currency", || json!("eur")),
        Wrong::Member("order", || json!(OrderId::from_random([9; 16]))),
        Wrong::Member("attempt", || json!(2)),
        Wrong::Member("key", || json!("another")),
        Wrong::Member("number", || json!(77)),
        Wrong::Member("status", || json!("surely")),
        Wrong::Member("status", || Value::Null),
        Wrong::Member("status", || json!(["paid"])),
    ]
}

#[tokio::test]
async fn an_answer_that_is_not_to_be_believed_leaves_the_payment_in_doubt_and_is_not_asked_for_twice() {
    for wrong in lies() {
        let paying = Paying::with("paid").await;
        paying.provider.wrong(wrong);
        let order = paying.paid().await;
        paying.stands(&order, OrderState::Unknown, 0, 0).await;
        assert_eq!(order.pay("psp").await.unwrap_err().code(), "payment_in_doubt", "{wrong:?}");
        // Neither is what it says when it is asked, until it says what it should.
        paying.provider.wrong(wrong);
        paying.later().await;
        paying.stands(&order, OrderState::Unknown, 0, 0).await;
        paying.advance_s(61);
        paying.later().await;
        paying.stands(&order, OrderState::Paid, TEA, 0).await;
        assert_eq!((paying.provider.asked("payments"), paying.provider.refused()), (1, 0), "{wrong:?}");
        assert_eq!(paying.provider.taken(order.id()), (TEA, 0));
    }
}

#[tokio::test]
async fn a_payment_that_never_arrived_is_declined_and_cannot_arrive_later() {
    let paying = Paying::with("paid").await;
    paying.provider.wrong(Wrong::NeverArrived);
    let order = paying.paid().await;
    assert_eq!(order.state(), OrderState::Unknown);
    paying.later().await;
    let order = paying.stands(&order, OrderState::Declined, 0, 0).await;
    assert_eq!(order.attempts()[0].outcome, Some(Outcome::Declined("never_arrived".into())));
    assert_eq!(order.pay("psp").await.unwrap().state(), OrderState::Paid);
    assert_eq!(paying.provider.taken(order.id()), (TEA, 0));
}

#[tokio::test]
async fn nobody_is_sent_on_to_a_strangers_page() {
    let elsewhere: [fn() -> Value; 9] = [
        || json!("https://evil.example/p"),
        || json!("https://pay.example.evil.example/p"),
        || json!("https://pay.example@evil.example/p"),
        || json!("https://pay.example:22/p"),
        || json!("http://pay.example/p"),
        || json!("javascript:alert(1)//pay.example"),
        || json!("https://127.0.0.1/p"),
        || json!("//pay.example/p"),
        || Value::Null,
    ];
    for address in elsewhere {
        let paying = Paying::with("redirect").await;
        paying.provider.wrong(Wrong::Member("redirect", address));
        let order = paying.paid().await;
        assert_eq!(order.attempts()[0].outcome, Some(Outcome::Unknown), "{}", address());
    }
}

#[tokio::test]
async fn what_is_authorised_is_captured_in_parts_closed_short_and_refunded() {
    let paying = Paying::with("authorised").await;
    let order = paying.paid().await;
    assert_eq!((order.state(), order.expires_at()), (OrderState::Authorised, None));
    let order = order.capture(euros(500), "parcel-1").await.unwrap();
    let order = order.capture(euros(500), "parcel-1").await.unwrap();
    assert_eq!(paying.provider.asked("captures"), 1);
    assert_eq!(order.capture(euros(981), "parcel-2").await.unwrap_err().code(), "capture_too_large");
    assert_eq!(order.capture(euros(499), "parcel-1").await.unwrap_err().code(), "capture_differs");
    assert_eq!(order.capture(euros(1), "a/b").await.unwrap_err().code(), "capture_key");
    let order = paying.stands(&order, OrderState::Authorised, 500, 0).await;
    assert_eq!(order.refund(euros(1), "k").await.unwrap_err().code(), "order_not_paid");
    let order = order.close_short().await.unwrap().commit().await.unwrap();
    assert_eq!((order.state(), order.record().waived), (OrderState::Paid, euros(980)));
    assert_eq!(paying.provider.status(order.id(), 1), "authorised", "decided, and not told yet");
    order.release().await.unwrap();
    assert_eq!(paying.provider.status(order.id(), 1), "declined");
    assert_eq!(order.capture(euros(1), "late").await.unwrap_err().code(), "order_not_authorised");
    // Refunds draw on what was captured.
    assert_eq!(order.refund(euros(501), "k").await.unwrap_err().code(), "refund_too_large");
    order.refund(euros(500), "k").await.unwrap().commit().await.unwrap();
    let order = order.refunds().await.unwrap()[0].send().await.unwrap();
    assert_eq!(order.ledger().refunded, euros(500));
    assert_eq!(paying.provider.taken(order.id()), (500, 500));
}

#[tokio::test]
async fn an_order_that_is_called_off_holds_nothing_at_the_provider() {
    let paying = Paying::with("authorised").await;
    let order = paying.paid().await;
    order.cancel().await.unwrap().commit().await.unwrap();
    // The first telling is lost after it was done, or not at all; housekeeping goes on until it is known.
    paying.provider.wrong(Wrong::LostAfterDoing);
    paying.later().await;
    paying.advance_s(61);
    paying.later().await;
    assert_eq!(paying.provider.status(order.id(), 1), "declined");
    let order = paying.stands(&order, OrderState::Cancelled, 0, 0).await;
    assert_eq!(order.record().wake_at(), None, "nothing is left to be done");
    assert_eq!(paying.provider.asked("voids"), 1, "it was asked about, and not told again");

    let order = paying.paid().await;
    order.cancel().await.unwrap().commit().await.unwrap();
    paying.provider.next("declined");
    paying.later().await;
    assert_eq!(paying.provider.status(order.id(), 1), "authorised");
    paying.advance_s(61);
    paying.later().await;
    assert_eq!(paying.provider.status(order.id(), 1), "declined");
}

#[tokio::test]
async fn a_capture_whose_answer_is_not_to_be_believed_is_asked_about_and_counts_once() {
    for wrong in lies() {
        let paying = Paying::with("authorised").await;
        let order = paying.paid().await;
        paying.provider.wrong(wrong);
        let order = order.capture(euros(TEA), "all").await.unwrap();
        let open = order.attempts()[0].captures[0].outcome.clone();
        assert_eq!((open, order.state()), (Some(ActOutcome::Unknown), OrderState::Authorised), "{wrong:?}");
        // As long as nobody knows, it is neither tried again nor given up.
        assert_eq!(order.capture(euros(1), "more").await.unwrap_err().code(), "capture_too_large");
        assert_eq!(order.cancel().await.unwrap_err().code(), "payment_in_doubt");
        assert_eq!(order.close_short().await.unwrap_err().code(), "payment_in_doubt");
        paying.later().await;
        let order = paying.stands(&order, OrderState::Paid, TEA, 0).await;
        assert_eq!(paying.provider.asked("captures"), 1);
        // By notice, too, however often.
        for _ in 0..2 {
            paying.told(&capture(&order, "all", TEA, "done")).await;
        }
        paying.stands(&order, OrderState::Paid, TEA, 0).await;
    }
    let paying = Paying::with("authorised").await;
    let order = paying.paid().await;
    paying.provider.wrong(Wrong::NeverArrived);
    let order = order.capture(euros(TEA), "all").await.unwrap();
    paying.later().await;
    let order = paying.stands(&order, OrderState::Authorised, 0, 0).await;
    order.capture(euros(TEA), "again").await.unwrap();
    paying.stands(&order, OrderState::Paid, TEA, 0).await;
    assert_eq!(paying.provider.taken(order.id()), (TEA, 0));
}

#[tokio::test]
async fn a_refund_whose_answer_is_not_to_be_believed_is_made_once() {
    for wrong in lies() {
        let paying = Paying::with("paid").await;
        let order = paying.paid().await;
        order.refund(euros(400), "k").await.unwrap().commit().await.unwrap();
        paying.provider.wrong(wrong);
        let order = order.refunds().await.unwrap()[0].send().await.unwrap();
        assert!(order.ledger().refunded.is_zero(), "{wrong:?}");
        paying.later().await;
        let order = order.reload().await.unwrap();
        assert_eq!(order.ledger().refunded, euros(400), "{wrong:?}");
        assert_eq!((paying.provider.asked("refunds"), paying.provider.taken(order.id())), (1, (TEA, 400)));
    }
}

#[tokio::test]
async fn a_capture_that_takes_its_time_is_told_by_notice() {
    let paying = Paying::with("authorised").await;
    let order = paying.paid().await;
    paying.provider.next("under_way");
    let order = order.capture(euros(600), "p").await.unwrap();
    assert_eq!(order.attempts()[0].captures[0].outcome, Some(ActOutcome::UnderWay));
    paying.later().await;
    paying.stands(&order, OrderState::Authorised, 0, 0).await;
    paying.provider.decide_capture(order.id(), 1, "p", "done");
    paying.told(&capture(&order, "p", 600, "done")).await;
    let order = paying.stands(&order, OrderState::Authorised, 600, 0).await;
    // Declined after done: written down, once.
    for _ in 0..2 {
        paying.told(&capture(&order, "p", 600, "declined")).await;
    }
    let order = paying.stands(&order, OrderState::Authorised, 600, 0).await;
    assert_eq!(contradictions(&order).await, 1);
}

#[tokio::test]
async fn an_authorisation_that_ends_leaves_the_order_to_be_paid_otherwise_or_closes_it_short() {
    let paying = Paying::with("authorised").await;
    let (one, other) = (paying.paid().await, paying.paid().await);
    other.capture(euros(300), "p").await.unwrap();
    for order in [&one, &other] {
        paying.provider.decide(order.id(), 1, "declined");
    }
    // Nobody told us: it is asked about once a day.
    paying.advance_s(24 * 3600);
    paying.later().await;
    let one = paying.stands(&one, OrderState::Declined, 0, 0).await;
    let other = paying.stands(&other, OrderState::Paid, 300, 0).await;
    assert_eq!(other.record().waived, euros(1180));
    paying.provider.next("paid");
    assert_eq!(one.pay("psp").await.unwrap().state(), OrderState::Paid);

    // By notice, with an end that it told before.
    let order = paying.paid().await;
    let end = paying.provider.clock.now().plus_s(600);
    paying.told(&with(about(&order, "authorised"), "until", json!(end.as_secs()))).await;
    let order = order.reload().await.unwrap();
    assert_eq!((order.record().wake_at(), order.attempts()[0].authorised_until()), (Some(end), Some(end)));
    for _ in 0..2 {
        paying.told(&about(&order, "declined")).await;
    }
    paying.stands(&order, OrderState::Declined, 0, 0).await;
}

#[tokio::test]
async fn a_notice_counts_only_if_it_is_signed_new_and_about_what_there_is() {
    let paying = Paying::with("redirect").await;
    let order = paying.paid().await;
    let paid = about(&order, "paid");
    let (headers, body) = paying.provider.notice(&paid);
    let now = paying.provider.clock.now().as_secs();
    let without = |name: &str| {
        let mut headers = headers.clone();
        headers.remove(name);
        headers
    };
    let mut twice = headers.clone();
    twice.append("webhook-id", HeaderValue::from_static("another"));
    for (headers, body) in [
        (HeaderMap::new(), body.clone()),
        (without("webhook-signature"), body.clone()),
        (without("webhook-timestamp"), body.clone()),
        (without("webhook-id"), body.clone()),
        (twice, body.clone()),
        (signed(&[8; 32], "n", now, &body), body.clone()),
        (signed(&[7; 32], "n", now - 301, &body), body.clone()),
        (signed(&[7; 32], "n", now + 301, &body), body.clone()),
        (headers.clone(), with(paid.clone(), "amount", json!(1)).to_string().into_bytes()),
    ] {
        refused(&paying.tell(&(headers, body)).await, 401, "notice_not_authentic");
    }
    // Signed, and nothing that the contract has.
    for message in [
        json!([]),
        json!("paid"),
        with(paid.clone(), "type", json!("gift")),
        with(paid.clone(), "type", Value::Null),
        with(paid.clone(), "status", json!("surely")),
        with(paid.clone(), "amount", json!(1480.5)),
        with(paid.clone(), "amount", json!(-1480)),
        with(paid.clone(), "currency", json!("XXXX")),
        with(paid.clone(), "attempt", json!(-1)),
        with(paid.clone(), "order", json!("o_1")),
        with(capture(&order, "k", 1, "done"), "key", Value::Null),
        with(capture(&order, "k", 1, "done"), "key", json!("k".repeat(300))),
        with(paid.clone(), "type", json!("refund")),
        with(paid.clone(), "type", json!("taken_back")),
        with(about(&order, "redirect"), "redirect", json!("https://evil.example/")),
        with(about(&order, "authorised"), "until", json!("tomorrow")),
        with(paid.clone(), "padding", json!("x".repeat(17_000))),
    ] {
        refused(&paying.tell(&paying.provider.notice(&message)).await, 400, "notice_unreadable");
    }
    // The provider's, and about what there is not.
    let nowhere = json!(OrderId::from_random([9; 16]));
    for (message, status, code) in [
        (with(paid.clone(), "order", nowhere), 404, "no_such_order"),
        (with(paid.clone(), "attempt", json!(2)), 404, "no_such_attempt"),
        (with(paid.clone(), "amount", json!(TEA + 1)), 409, "other_amount"),
        (with(paid.clone(), "currency", json!("USD")), 409, "other_amount"),
        (capture(&order, "k", 1, "declined"), 404, "no_such_capture"),
        (capture(&order, "a/b", 1, "done"), 422, "capture_key"),
        (
            with(with(capture(&order, "none", 1, "done"), "type", json!("refund")), "number", json!(1)),
            404,
            "nothing_owed",
        ),
        (with(with(paid.clone(), "type", json!("taken_back")), "id", json!("a b")), 422, "capture_key"),
    ] {
        refused(&paying.tell(&paying.provider.notice(&message)).await, status, code);
    }
    paying.stands(&order, OrderState::Paying, 0, 0).await;
    // The same one, five minutes later, is too old; a new one counts.
    paying.advance_s(301);
    refused(&paying.tell(&(headers, body)).await, 401, "notice_not_authentic");
    paying.told(&paid).await;
    paying.stands(&order, OrderState::Paid, TEA, 0).await;
}

#[tokio::test]
async fn captures_that_nobody_asked_for_have_their_place_and_what_does_not_fit_is_written_down() {
    let paying = Paying::with("authorised").await;
    let order = paying.paid().await;
    // At the provider's own desk: it counts, once.
    for _ in 0..2 {
        paying.told(&capture(&order, "desk-1", 480, "done")).await;
    }
    let order = paying.stands(&order, OrderState::Authorised, 480, 0).await;
    assert_eq!(contradictions(&order).await, 0);
    assert_eq!(order.capture(euros(1001), "p").await.unwrap_err().code(), "capture_too_large");
    let other = paying.tell(&paying.provider.notice(&capture(&order, "desk-1", 481, "done"))).await;
    refused(&other, 409, "other_amount");
    // Captured twice, and more than was promised: the money is there, and goes back.
    paying.told(&capture(&order, "desk-2", TEA, "done")).await;
    let order = paying.stands(&order, OrderState::Paid, 480 + TEA, 480).await;
    assert_eq!(contradictions(&order).await, 1);

    // Captured after it was given up.
    let order = paying.paid().await;
    order.cancel().await.unwrap().commit().await.unwrap();
    order.release().await.unwrap();
    paying.told(&capture(&order, "desk", 200, "done")).await;
    let order = paying.stands(&order, OrderState::Cancelled, 200, 200).await;
    assert_eq!(contradictions(&order).await, 1);
    // And said to be paid whole, which it then is.
    paying.told(&about(&order, "paid")).await;
    paying.stands(&order, OrderState::Cancelled, TEA, TEA).await;

    // Out of order: captured before it was authorised.
    let paying = Paying::with("redirect").await;
    let order = paying.paid().await;
    paying.told(&capture(&order, "desk", TEA, "done")).await;
    paying.told(&about(&order, "authorised")).await;
    let order = paying.stands(&order, OrderState::Paid, TEA, 0).await;
    assert_eq!(order.record().wake_at(), None, "all of it is here: nothing is held");
}

#[tokio::test]
async fn a_customer_who_confirms_too_late_is_not_charged() {
    let paying = Paying::with("redirect").await;
    let order = paying.paid().await;
    paying.advance_s(3600);
    paying.later().await;
    let order = paying.stands(&order, OrderState::Expired, 0, 0).await;
    paying.provider.decide(order.id(), 1, "authorised");
    paying.told(&about(&order, "authorised")).await;
    paying.later().await;
    assert_eq!(paying.provider.status(order.id(), 1), "declined", "what nobody needs is given up");
    paying.stands(&order, OrderState::Expired, 0, 0).await;
}

#[tokio::test]
async fn refunds_and_disputes_are_told_by_notice_and_nothing_goes_back_twice() {
    let paying = Paying::with("paid").await;
    let order = paying.paid().await;
    order.refund(euros(400), "k").await.unwrap().commit().await.unwrap();
    let refund = |amount: i64, number: u64| {
        let message = capture(&order, "refund/k/attempt-1", amount, "done");
        with(with(message, "type", json!("refund")), "number", json!(number))
    };
    // Before it was told, of another time than it was told, and of another amount.
    refused(&paying.tell(&paying.provider.notice(&refund(400, 1))).await, 404, "nothing_owed");
    paying.provider.next("under_way");
    let found = order.refunds().await.unwrap().remove(0);
    found.send().await.unwrap();
    for (amount, number, status, code) in
        [(400, 0, 404, "nothing_owed"), (400, 2, 404, "nothing_owed"), (401, 1, 409, "other_amount")]
    {
        refused(&paying.tell(&paying.provider.notice(&refund(amount, number))).await, status, code);
    }
    for _ in 0..2 {
        paying.told(&refund(400, 1)).await;
    }
    let order = order.reload().await.unwrap();
    assert_eq!((order.ledger().refunded, order.ledger().owed), (euros(400), euros(0)));

    // The customer disputes all of it: what had been given back cannot be taken once more from the ledger.
    let dispute = |id: &str, amount: i64| {
        let message = with(about(&order, "done"), "type", json!("taken_back"));
        with(with(message, "id", json!(id)), "amount", json!(amount))
    };
    for _ in 0..2 {
        paying.told(&dispute("d-1", TEA)).await;
    }
    refused(&paying.tell(&paying.provider.notice(&dispute("d-2", TEA + 1))).await, 409, "other_amount");
    let order = order.reload().await.unwrap();
    assert_eq!((order.state(), order.ledger().refunded), (OrderState::Paid, euros(TEA)));
    assert!(order.ledger().is_balanced());
    assert_eq!(happened(&order, |what| matches!(what, Happened::TakenBack { .. })).await, 1);
    assert_eq!(order.refund(euros(1), "more").await.unwrap_err().code(), "refund_too_large");
}

#[tokio::test]
async fn the_default_reaches_no_bridge_on_this_machine_and_other_keys_open_nothing() {
    let clock = Clock::at(TestShop::new().merchant().now());
    let provider = Provider::start(clock.clone(), "paid").await;
    let url = |text: &str| text.parse::<Url>().unwrap();
    let (back, notices) = (url("https://shop.example/paid"), url("https://shop.example/wallet/notices/psp"));
    let make = |base, secret| Psp::new(base, WebhookSecret::from_random([secret; 32]), back.clone(), notices.clone());
    let in_production = make(provider.base(), 7).unwrap().env(clock.clone());
    let other_key = make(provider.base(), 9).unwrap().env(clock.clone());
    let other_key = other_key.fetch(firsthand::fetch::Https::danger_loopback_http().unwrap());
    for (rail, refusals) in [(in_production, 0), (other_key.clone(), 1)] {
        let shop = TestShop::with(|builder| builder.store(Memory::new()).rail(rail));
        let paying = Paying { shop, provider: provider.clone() };
        assert_eq!(paying.paid().await.state(), OrderState::Unknown);
        assert_eq!((provider.asked("payments"), provider.refused()), (0, refusals));
    }
    // While a secret is changed, both are in use: the bridge believes the one that it has.
    let both = other_key.secret(WebhookSecret::from_random([7; 32]));
    let shop = TestShop::with(|builder| builder.store(Memory::new()).rail(both.clone()));
    let order = Paying { shop, provider: provider.clone() }.paid().await;
    assert_eq!(order.state(), OrderState::Paid);
    assert!(!format!("{both:?}").contains("[9, 9") && format!("{both:?}").contains("127.0.0.1"), "{both:?}");

    for wrong in [
        "http://bridge.example/",
        "https://10.0.0.1/",
        "https://a:b@bridge.example/",
        "https://bridge.example/#a",
        "https://bridge/",
    ] {
        let refused = make(url(wrong), 7);
        assert!(matches!(refused, Err(PspError::Address { place: "bridge", .. })), "{wrong}: {refused:?}");
    }
    let usd = Money::new(1, Currency::USD).unwrap();
    let euro_only = make(url("https://bridge.example/v1"), 7).unwrap().currencies([Currency::EUR]);
    let takes = |amount| firsthand::rail::Rail::takes(&euro_only, amount).is_ok();
    assert_eq!((takes(euros(1)), takes(usd), takes(euros(0))), (true, false, false));
}
