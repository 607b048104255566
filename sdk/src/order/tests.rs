//! Every state and every transition: what comes of it, and where the cents are.

mod after;
mod capture;
mod withdrawal;

use super::*;
use crate::{
    money::{Currency, Quantity},
    rail::{RefundOutcome, WalletRail},
};

const NOW: UnixTime = UnixTime::from_secs(1_795_348_800);
const TOTAL: i64 = 1_000;

fn eur(minor: i64) -> Money {
    Money::new(minor, Currency::EUR).unwrap()
}

fn order_of(minor: i64) -> OrderRecord {
    let draft = Draft::new(Currency::EUR).line("tea", "Tea", eur(minor), Quantity::new(1).unwrap());
    let placing = Placing {
        id: OrderId::from_random([7; 16]),
        reference: Reference::from_random([7; 8]),
        buyer: Buyer::Guest,
        proofs: Vec::new(),
        checkout: None,
        zone: Zone::Utc,
        at: NOW,
    };
    balanced(OrderRecord::placed(&draft, placing).unwrap()).order
}

/// The step, once its sums are right.
fn balanced(step: Step) -> Step {
    let Step { order, happened, owed, changed } = &step;
    assert!(order.ledger.is_balanced(), "{order:?}");
    let settled = order.ledger.settled().unwrap();
    assert!(settled <= order.total && order.outstanding().is_ok());
    // Where an order is over, paid or authorised is never a question of our time any more.
    let waits = order.state.is_open() && order.state != OrderState::Authorised;
    assert_eq!(order.expires_at.is_some(), waits, "{:?}", order.state);
    assert!(!happened.contains(&Happened::Paid) || order.state == OrderState::Paid);
    let is_split = happened.iter().any(|what| matches!(what, Happened::RefundTaken { .. }));
    assert!(changed.iter().all(|refund| {
        refund.state != RefundState::Owed || refund.tries > 0 || refund.sealed_account.is_some() || is_split
    }));
    for giving in owed {
        assert!(!giving.amount.is_zero() && giving.state == RefundState::Owed);
        let told = Happened::RefundOwed { key: giving.key.clone(), amount: giving.amount };
        assert!(happened.contains(&told), "{giving:?} is not told");
    }
    let in_doubt =
        order.attempts.iter().any(|attempt| attempt.is_in_doubt() || attempt.is_capturing() || attempt.holds())
            || !order.sending.is_empty();
    assert!(!in_doubt || order.inquire_at.is_some(), "nobody would ask: {order:?}");
    step
}

fn paying(order: OrderRecord) -> OrderRecord {
    balanced(order.paying("fake", 3600, NOW).unwrap().unwrap()).order
}

fn answered(order: OrderRecord, outcome: Outcome) -> OrderRecord {
    let attempt = order.last_attempt().unwrap().clone();
    balanced(order.answered(attempt.number, attempt.amount, outcome, NOW).unwrap().unwrap()).order
}

fn declined() -> Outcome {
    Outcome::Declined("no".into())
}

fn authorised() -> Outcome {
    Outcome::Authorised { until: Some(NOW.plus_s(7_000)) }
}

fn onward() -> Outcome {
    Outcome::Continue("https://rail.example/go".parse().unwrap())
}

/// Every state, and `Paying` as the rail is being asked and as it has left it open.
fn all() -> Vec<(&'static str, OrderRecord)> {
    let placed = order_of(TOTAL);
    let asked = paying(placed.clone());
    vec![
        ("placed", placed.clone()),
        ("asked", asked.clone()),
        ("open", answered(asked.clone(), Outcome::Pending)),
        ("authorised", answered(asked.clone(), authorised())),
        ("paid", answered(asked.clone(), Outcome::Paid)),
        ("declined", answered(asked.clone(), declined())),
        ("unknown", answered(asked, Outcome::Unknown)),
        ("cancelled", balanced(placed.clone().cancelled(NOW).unwrap().unwrap()).order),
        ("expired", balanced(placed.expired(NOW.plus_s(UNPAID_S)).unwrap().unwrap()).order),
    ]
}

fn in_state(name: &str) -> OrderRecord {
    all().into_iter().find(|(found, _)| *found == name).unwrap().1
}

/// What a transition comes to in each state: the next state, `same` if there is nothing to do, or the code of a refusal.
fn table(act: impl Fn(OrderRecord) -> Result<Option<Step>, OrderError>, expected: [(&str, &str); 9]) {
    for ((name, order), (expected_name, expected)) in all().into_iter().zip(expected) {
        assert_eq!(name, expected_name);
        let was = order.state;
        let found = match act(order) {
            Ok(Some(step)) => {
                let step = balanced(step);
                let over = matches!(was, OrderState::Paid | OrderState::Cancelled | OrderState::Expired);
                assert!(!over || step.order.state == was, "{name} is revived");
                // Without an event nothing has changed but when it is looked at again.
                if step.happened.is_empty() { "silent" } else { step.order.state.name() }
            }
            Ok(None) => "same",
            Err(error) => error.code(),
        };
        assert_eq!(found, expected, "from {name}");
    }
}

#[test]
fn paying_begins_where_nothing_is_under_way() {
    table(
        |order| order.paying("fake", 3600, NOW),
        [
            ("placed", "paying"),
            ("asked", "same"),
            ("open", "same"),
            ("authorised", "same"),
            ("paid", "already_paid"),
            ("declined", "paying"),
            ("unknown", "payment_in_doubt"),
            ("cancelled", "order_over"),
            ("expired", "order_over"),
        ],
    );
    table(
        |order| order.paying("sepa", 3600, NOW),
        [
            ("placed", "paying"),
            ("asked", "payment_under_way"),
            ("open", "payment_under_way"),
            ("authorised", "payment_under_way"),
            ("paid", "already_paid"),
            ("declined", "paying"),
            ("unknown", "payment_in_doubt"),
            ("cancelled", "order_over"),
            ("expired", "order_over"),
        ],
    );
}

#[test]
fn cancelling_is_for_whoever_is_not_in_the_middle_of_paying() {
    table(
        |order| order.cancelled(NOW),
        [
            ("placed", "cancelled"),
            ("asked", "payment_under_way"),
            ("open", "cancelled"),
            ("authorised", "cancelled"),
            ("paid", "already_paid"),
            ("declined", "cancelled"),
            ("unknown", "payment_in_doubt"),
            ("cancelled", "same"),
            ("expired", "order_over"),
        ],
    );
}

#[test]
fn an_order_expires_at_the_second_and_not_before() {
    let expected = |placed, open, declined| {
        [
            ("placed", placed),
            ("asked", "same"),
            ("open", open),
            ("authorised", "same"),
            ("paid", "same"),
            ("declined", declined),
            ("unknown", "same"),
            ("cancelled", "same"),
            ("expired", "same"),
        ]
    };
    table(|order| order.expired(NOW), expected("same", "same", "same"));
    table(|order| order.expired(NOW.plus_s(3599)), expected("same", "same", "same"));
    table(|order| order.expired(NOW.plus_s(3600)), expected("same", "expired", "expired"));
    table(|order| order.expired(NOW.plus_s(UNPAID_S - 1)), expected("same", "expired", "expired"));
    table(|order| order.expired(NOW.plus_s(UNPAID_S)), expected("expired", "expired", "expired"));
    // Whatever comes first sees that it is late, too.
    let late = NOW.plus_s(UNPAID_S);
    for name in ["placed", "open", "declined"] {
        let order = in_state(name);
        assert_eq!(order.clone().paying("fake", 9, late), Err(OrderError::Over(OrderState::Expired)), "{name}");
        assert_eq!(order.clone().cancelled(late), Err(OrderError::Over(OrderState::Expired)), "{name}");
        let step = balanced(order.received("t", eur(TOTAL), late).unwrap());
        assert_eq!((step.order.state, step.order.ledger.owed), (OrderState::Expired, eur(TOTAL)), "{name}");
    }
    // One second before, all of that counts.
    let step = balanced(in_state("placed").received("t", eur(TOTAL), NOW.plus_s(UNPAID_S - 1)).unwrap());
    assert_eq!(step.order.state, OrderState::Paid);
}

#[test]
fn a_transfer_counts_where_an_order_is_open_and_is_owed_back_where_it_is_not() {
    for (name, order) in all() {
        let was = order.state;
        for (minor, is_whole) in [(1, false), (TOTAL - 1, false), (TOTAL, true), (TOTAL + 1, true), (9 * TOTAL, true)] {
            let before = order.ledger.received.minor();
            let step = balanced(order.clone().received("t", eur(minor), NOW).unwrap());
            let counts = if was.is_open() { minor.min(TOTAL) } else { 0 };
            let ledger = &step.order.ledger;
            assert_eq!(ledger.received, eur(before + minor), "{name}");
            assert_eq!(ledger.owed, eur(minor - counts), "{name} {minor}");
            assert_eq!(step.owed.iter().map(|giving| giving.amount.minor()).sum::<i64>(), minor - counts);
            assert!(
                step.owed
                    .iter()
                    .all(|g| (g.key.as_str(), g.reason, g.by)
                        == ("overpaid/t", RefundReason::Overpaid, Source::Transfer))
            );
            let expected = if was.is_open() && is_whole { OrderState::Paid } else { was };
            assert_eq!(step.order.state, expected, "{name} {minor}");
        }
        assert_eq!(order.clone().received("t", eur(0), NOW), Err(OrderError::NoAmount));
        let franc = Money::new(TOTAL, Currency::CHF).unwrap();
        assert!(matches!(order.received("t", franc, NOW), Err(OrderError::Money(MoneyError::OtherCurrency { .. }))));
    }
}

#[test]
fn an_answer_moves_the_order_once() {
    let (no, go) = (declined(), onward());
    let first = |outcome: Outcome| move |order: OrderRecord| order.answered(1, eur(TOTAL), outcome.clone(), NOW);
    let nobody = "no_such_attempt";
    let row = |asked, open, authorised, paid, declined, unknown| {
        [
            ("placed", nobody),
            ("asked", asked),
            ("open", open),
            ("authorised", authorised),
            ("paid", paid),
            ("declined", declined),
            ("unknown", unknown),
            ("cancelled", nobody),
            ("expired", nobody),
        ]
    };
    // What was decided is contradicted once; a decline that was paid after all is money that is here.
    table(first(Outcome::Paid), row("paid", "paid", "paid", "same", "paid", "paid"));
    table(first(no), row("declined", "declined", "declined", "paid", "same", "declined"));
    // What is promised stays so, whoever does not know, or says late what was before.
    table(first(Outcome::Unknown), row("unknown", "unknown", "silent", "paid", "declined", "silent"));
    table(first(Outcome::Pending), row("paying", "same", "silent", "paid", "declined", "paying"));
    table(first(authorised()), row("authorised", "authorised", "silent", "paid", "declined", "authorised"));
    table(first(go), row("paying", "paying", "silent", "paid", "declined", "paying"));
}

#[test]
fn an_answer_speaks_of_an_attempt_that_there_is_and_of_its_amount() {
    let order = in_state("asked");
    for attempt in [0, 2, u32::MAX] {
        let refused = order.clone().answered(attempt, eur(TOTAL), Outcome::Paid, NOW);
        assert_eq!(refused, Err(OrderError::NoSuchAttempt(attempt)));
    }
    for found in [eur(TOTAL - 1), eur(TOTAL + 1), eur(0), Money::new(TOTAL, Currency::CHF).unwrap()] {
        let refused = order.clone().answered(1, found, Outcome::Paid, NOW);
        assert_eq!(refused, Err(OrderError::OtherAmount { attempt: 1, expected: eur(TOTAL), found }));
    }
}

#[test]
fn a_rail_that_contradicts_itself_is_written_down_once_and_changes_nothing() {
    let paid = in_state("paid");
    let step = balanced(paid.clone().answered(1, eur(TOTAL), declined(), NOW).unwrap().unwrap());
    assert_eq!(step.happened, [Happened::Contradicted { attempt: 1, outcome: "declined: no".to_owned() }]);
    assert_eq!((step.order.state, &step.order.ledger), (OrderState::Paid, &paid.ledger));
    for outcome in [declined(), Outcome::Unknown, Outcome::Pending, Outcome::Paid] {
        assert_eq!(step.order.clone().answered(1, eur(TOTAL), outcome, NOW), Ok(None));
    }
}

#[test]
fn a_declined_attempt_that_was_paid_after_all_counts_and_the_next_one_is_owed_back() {
    let order = paying(in_state("declined"));
    assert_eq!(order.last_attempt().unwrap().number, 2);
    let step = balanced(order.answered(1, eur(TOTAL), Outcome::Paid, NOW).unwrap().unwrap());
    assert_eq!(step.order.state, OrderState::Paid);
    // The second one is being asked for at this moment, and is paid as well.
    let step = balanced(step.order.answered(2, eur(TOTAL), Outcome::Paid, NOW).unwrap().unwrap());
    assert_eq!((step.order.ledger.received, step.order.ledger.owed), (eur(2 * TOTAL), eur(TOTAL)));
    assert_eq!((step.owed[0].key.as_str(), step.owed[0].by), ("overpaid/attempt-2", Source::Attempt(2)));
    assert_eq!(step.order.inquire_at, None, "nothing is in doubt any more");
}

#[test]
fn an_answer_that_comes_when_it_is_over_owes_its_money_back() {
    let late = NOW.plus_s(3600);
    let open = in_state("open");
    let over = [
        balanced(open.clone().cancelled(NOW).unwrap().unwrap()).order,
        balanced(open.expired(late).unwrap().unwrap()).order,
    ];
    for order in over {
        let was = order.state;
        let step = balanced(order.answered(1, eur(TOTAL), Outcome::Paid, late).unwrap().unwrap());
        assert_eq!((step.order.state, step.order.ledger.owed), (was, eur(TOTAL)));
        assert_eq!(step.owed[0].reason, RefundReason::Overpaid);
    }
    // An answer that was on its way when the time was over, and nobody had noticed, still counts.
    let step = balanced(in_state("asked").answered(1, eur(TOTAL), Outcome::Paid, late).unwrap().unwrap());
    assert_eq!(step.order.state, OrderState::Paid);
}

#[test]
fn an_order_is_tried_to_be_paid_so_often_and_no_more() {
    let mut order = order_of(TOTAL);
    for number in 1..=ATTEMPTS_MAX {
        order = answered(paying(order), declined());
        assert_eq!(order.attempts.len(), number);
    }
    assert_eq!(order.paying("fake", 3600, NOW), Err(OrderError::TooManyAttempts));
}

#[test]
fn an_attempt_asks_for_what_has_not_come_yet() {
    let order = balanced(in_state("placed").received("t", eur(300), NOW).unwrap()).order;
    let order = paying(order);
    assert_eq!(order.last_attempt().unwrap().amount, eur(700));
    // While it is asked for, more arrives by transfer.
    let order = balanced(order.received("u", eur(600), NOW).unwrap()).order;
    let step = balanced(order.answered(1, eur(700), Outcome::Paid, NOW).unwrap().unwrap());
    assert_eq!((step.order.state, step.order.ledger.owed), (OrderState::Paid, eur(600)));
    let settled = [(Source::Transfer, 900), (Source::Attempt(1), 100)];
    assert_eq!(step.order.ledger.settled, settled.map(|(by, minor)| Settled { by, amount: eur(minor) }));
}

#[test]
fn what_was_paid_of_an_order_that_ends_is_owed_back_the_way_it_came() {
    let part = balanced(in_state("placed").received("t", eur(400), NOW).unwrap()).order;
    let cancelled = balanced(part.clone().cancelled(NOW).unwrap().unwrap());
    let expired = balanced(part.expired(NOW.plus_s(UNPAID_S)).unwrap().unwrap());
    for step in [cancelled, expired] {
        assert_eq!(step.owed.len(), 1);
        let giving = &step.owed[0];
        let expected = ("ended/transfer", RefundReason::OrderEnded, Source::Transfer, eur(400));
        assert_eq!((giving.key.as_str(), giving.reason, giving.by, giving.amount), expected);
        assert!(step.order.ledger.settled.is_empty());
    }
}

#[test]
fn only_what_was_paid_is_refunded() {
    let not_paid = "order_not_paid";
    table(
        |order| order.refunded("k", eur(1)).map(Some),
        [
            ("placed", not_paid),
            ("asked", not_paid),
            ("open", not_paid),
            ("authorised", not_paid),
            ("paid", "paid"),
            ("declined", not_paid),
            ("unknown", not_paid),
            ("cancelled", not_paid),
            ("expired", not_paid),
        ],
    );
    let paid = in_state("paid");
    assert_eq!(paid.clone().refunded("k", eur(0)), Err(OrderError::NoAmount));
    let (asked, left) = (eur(TOTAL + 1), eur(TOTAL));
    assert_eq!(paid.clone().refunded("k", asked), Err(OrderError::RefundTooLarge { asked, left }));
    let asked = eur(i64::MAX);
    assert_eq!(paid.clone().refunded("k", asked), Err(OrderError::RefundTooLarge { asked, left }));
    let franc = Money::new(1, Currency::CHF).unwrap();
    assert!(matches!(paid.clone().refunded("k", franc), Err(OrderError::Money(MoneyError::OtherCurrency { .. }))));

    let part = balanced(paid.refunded("a", eur(400)).unwrap()).order;
    let left = eur(600);
    assert_eq!(part.clone().refunded("b", eur(601)), Err(OrderError::RefundTooLarge { asked: eur(601), left }));
    let all = balanced(part.refunded("b", eur(600)).unwrap()).order;
    assert_eq!((all.state, all.ledger.owed), (OrderState::Paid, eur(TOTAL)), "refunded, it was paid all the same");
    assert_eq!(all.clone().refunded("c", eur(1)), Err(OrderError::RefundTooLarge { asked: eur(1), left: eur(0) }));
    // What arrives then is not for an order that still wants money.
    let late = balanced(all.received("t", eur(5), NOW).unwrap());
    assert_eq!(late.order.ledger.owed, eur(TOTAL + 5));
}

#[test]
fn a_refund_goes_back_by_every_way_that_the_money_came_the_latest_first() {
    let part = balanced(in_state("placed").received("t", eur(300), NOW).unwrap()).order;
    let paid = answered(paying(part), Outcome::Paid);
    let step = balanced(paid.refunded("k", eur(900)).unwrap());
    let found: Vec<_> = step.owed.iter().map(|g| (g.key.as_str(), g.amount.minor(), g.reason)).collect();
    assert_eq!(
        found,
        [("refund/k/attempt-1", 700, RefundReason::Requested), ("refund/k/transfer", 200, RefundReason::Requested)]
    );
    assert_eq!(step.order.ledger.settled, [Settled { by: Source::Transfer, amount: eur(100) }]);
}

/// A paid order that owes something back, which came by a rail.
fn owing() -> (OrderRecord, RefundRecord) {
    let mut step = balanced(in_state("paid").refunded("k", eur(400)).unwrap());
    (step.order, step.owed.remove(0))
}

/// What a step makes of an order and its one refund; an event alone leaves the refund as it is.
fn refund_of(step: Step) -> (OrderRecord, RefundRecord) {
    let mut step = balanced(step);
    assert_eq!(step.changed.len(), 1, "{step:?}");
    (step.order, step.changed.remove(0))
}

fn sending((order, refund): (OrderRecord, RefundRecord)) -> (OrderRecord, RefundRecord) {
    refund_of(order.refund_sending(refund, NOW).unwrap())
}

fn said(
    (order, refund): (OrderRecord, RefundRecord),
    tries: u32,
    outcome: &RefundOutcome,
) -> Option<(OrderRecord, RefundRecord)> {
    order.refund_answered(refund, tries, outcome, NOW).unwrap().map(refund_of)
}

fn refused() -> RefundOutcome {
    RefundOutcome::Declined("no".into())
}

#[test]
fn a_refund_is_done_once() {
    use RefundState::{ByHand, Done, InDoubt, Owed, Sending};
    let from = |state| match state {
        Owed => owing(),
        Sending => sending(owing()),
        InDoubt => said(sending(owing()), 1, &RefundOutcome::Unknown).unwrap(),
        ByHand => said(sending(owing()), 1, &RefundOutcome::ByHand).unwrap(),
        Done => said(sending(owing()), 1, &RefundOutcome::Done).unwrap(),
    };
    let outcomes =
        [RefundOutcome::Done, refused(), RefundOutcome::ByHand, RefundOutcome::UnderWay, RefundOutcome::Unknown];
    let asked = [Some(Done), Some(Owed), Some(ByHand), Some(InDoubt), Some(InDoubt)];
    let rows = [(Sending, asked), (InDoubt, asked), (ByHand, [Some(Done), None, None, None, None]), (Done, [None; 5])];
    for (state, expected) in rows {
        assert_eq!((from(state).1.state, from(state).1.tries), (state, 1));
        for (outcome, expected) in outcomes.iter().zip(expected) {
            let found = said(from(state), 1, outcome);
            assert_eq!(found.as_ref().map(|(_, refund)| refund.state), expected, "{state:?} {outcome:?}");
            let Some((order, refund)) = found else { continue };
            let (owed, back) = if refund.state == Done { (0, 400) } else { (400, 0) };
            assert_eq!((order.ledger.owed, order.ledger.refunded), (eur(owed), eur(back)), "{state:?} {outcome:?}");
            let on_its_way = matches!(refund.state, Sending | InDoubt);
            assert_eq!((order.sending.is_empty(), order.inquire_at.is_none()), (!on_its_way, !on_its_way));
        }
    }
    for state in [Owed, Sending, InDoubt, ByHand, Done] {
        let (order, refund) = from(state);
        let sent = order.clone().refund_sending(refund.clone(), NOW);
        assert_eq!(sent.err(), (state != Owed).then_some(OrderError::AlreadyRefunded), "{state:?}");
        let named = order.clone().account_named(refund.clone(), "sealed".to_owned());
        assert_eq!(named.is_ok(), state == Owed, "{state:?}");
        for was_sent in [true, false] {
            let decided = order.clone().refund_decided(refund.clone(), was_sent, NOW).map(refund_of);
            let expected = if was_sent { Done } else { Owed };
            match state {
                InDoubt => assert_eq!(decided.unwrap().1.state, expected),
                _ => assert_eq!(decided.unwrap_err(), OrderError::NotInDoubt, "{state:?}"),
            }
        }
        let by_hand = order.clone().refunded_by_hand(refund.clone());
        match state {
            Owed | ByHand => {
                let (order, refund) = refund_of(by_hand.unwrap().unwrap());
                assert_eq!((refund.state, order.ledger.owed, order.ledger.refunded), (Done, eur(0), eur(400)));
            }
            Sending | InDoubt => assert_eq!(by_hand, Err(OrderError::PaymentInDoubt)),
            Done => assert_eq!(by_hand, Ok(None), "said twice, it was done once"),
        }
        // A transfer is begun before it is made, so that its account stays.
        let transfer = RefundRecord { by: Source::Transfer, ..refund };
        let by_hand = order.refunded_by_hand(transfer);
        assert_eq!(by_hand == Err(OrderError::RefundNotBegun), state == Owed, "{state:?}");
    }
}

#[test]
fn an_answer_to_an_earlier_telling_counts_only_if_money_went_back() {
    let (order, refund) = sending(said(sending(owing()), 1, &refused()).unwrap());
    assert_eq!(refund.tries, 2);
    for outcome in [refused(), RefundOutcome::ByHand, RefundOutcome::UnderWay, RefundOutcome::Unknown] {
        for tries in [0, 1, 3] {
            assert_eq!(said((order.clone(), refund.clone()), tries, &outcome), None, "{tries} {outcome:?}");
        }
    }
    // The first one went through after all; and then the second one as well: that is written down, once.
    let (order, refund) = said((order, refund), 1, &RefundOutcome::Done).unwrap();
    assert_eq!((refund.state, order.ledger.refunded), (RefundState::Done, eur(400)));
    assert!(order.sending.is_empty());
    assert_eq!(said((order.clone(), refund.clone()), 1, &RefundOutcome::Done), None);
    let step = order.refund_answered(refund, 2, &RefundOutcome::Done, NOW).unwrap().unwrap();
    assert!(matches!(step.happened.as_slice(), [Happened::RefundContradicted { .. }]));
    let (order, refund) = refund_of(step);
    assert_eq!((refund.state, order.ledger.refunded), (RefundState::Done, eur(400)));
    assert_eq!(said((order, refund), 2, &RefundOutcome::Done), None);
}

#[test]
fn so_many_refunds_are_on_their_way_at_once_and_no_more() {
    let mut order = in_state("paid");
    for number in 0..=SENDING_MAX {
        let mut step = balanced(order.refunded(&number.to_string(), eur(1)).unwrap());
        order = step.order;
        let begun = order.clone().refund_sending(step.owed.remove(0), NOW);
        if number == SENDING_MAX {
            assert_eq!(begun.unwrap_err(), OrderError::TooManyRefunds);
        } else {
            order = refund_of(begun.unwrap()).0;
        }
    }
}

#[test]
fn the_merchant_decides_about_an_attempt_in_doubt_alone() {
    for (name, order) in all() {
        for was_paid in [true, false] {
            let decided = order.clone().decided(1, was_paid, NOW);
            match (name, was_paid) {
                ("unknown", true) => assert_eq!(balanced(decided.unwrap()).order.state, OrderState::Paid),
                ("unknown", false) => assert_eq!(balanced(decided.unwrap()).order.state, OrderState::Declined),
                ("placed" | "cancelled" | "expired", _) => assert_eq!(decided, Err(OrderError::NoSuchAttempt(1))),
                _ => assert_eq!(decided, Err(OrderError::NotInDoubt), "{name}"),
            }
        }
    }
}

#[test]
fn what_is_in_doubt_is_asked_about_less_and_less_often() {
    let mut order = in_state("unknown");
    let mut now = NOW;
    let mut waits = Vec::new();
    for _ in 0..9 {
        let due = order.wake_at().unwrap();
        waits.push(due.since_s(now));
        now = due;
        order = balanced(order.answered(1, eur(TOTAL), Outcome::Unknown, now).unwrap().unwrap()).order;
    }
    assert_eq!(waits, [60, 120, 240, 480, 960, 1920, 3600, 3600, 3600]);
    // Its time is over by now; as long as nobody knows, that is not what it waits for.
    assert!(order.expires_at.unwrap() < now && order.wake_at().unwrap() > now);
    assert_eq!(order.clone().expired(now), Ok(None));
    let order = balanced(order.answered(1, eur(TOTAL), declined(), now).unwrap().unwrap()).order;
    assert_eq!(order.wake_at(), order.expires_at);
    assert_eq!(balanced(order.expired(now).unwrap().unwrap()).order.state, OrderState::Expired);
}

#[test]
fn more_than_can_be_counted_is_refused_and_changes_nothing() {
    let order = order_of(i64::MAX);
    let paid = balanced(order.clone().received("t", eur(i64::MAX), NOW).unwrap()).order;
    assert_eq!(paid.state, OrderState::Paid);
    assert_eq!(paid.clone().received("u", eur(1), NOW), Err(OrderError::Money(MoneyError::TooLarge)));
    let refunded = balanced(paid.refunded("k", eur(i64::MAX)).unwrap()).order;
    assert_eq!(refunded.received("u", eur(1), NOW), Err(OrderError::Money(MoneyError::TooLarge)));
    let order = balanced(paying(order).received("t", eur(1), NOW).unwrap()).order;
    let refused = order.answered(1, eur(i64::MAX), Outcome::Paid, NOW);
    assert_eq!(refused, Err(OrderError::Money(MoneyError::TooLarge)));
}

#[test]
fn an_address_that_is_none_leaves_the_attempt_in_doubt() {
    let long = format!("https://rail.example/{}", "x".repeat(4096)).parse().unwrap();
    assert_eq!(answered(in_state("asked"), Outcome::Continue(long)).state, OrderState::Unknown);
}

#[test]
fn an_address_is_changed_where_something_is_still_delivered() {
    for (name, order) in all() {
        let changed = order.address_changed();
        assert_eq!(changed.is_ok(), !matches!(name, "cancelled" | "expired"), "{name}");
    }
}

#[test]
fn an_order_id_is_read_strictly() {
    let id = OrderId::from_random([0xab; 16]);
    assert_eq!(id.as_str().parse(), Ok(id.clone()));
    assert_eq!(serde_json::from_value::<OrderId>(serde_json::to_value(&id).unwrap()).unwrap(), id);
    let upper = id.as_str().to_uppercase();
    for text in [
        "",
        "o_",
        "o_0",
        &id.as_str()[2..],
        &upper,
        &format!("{id}0"),
        &format!(" {id}"),
        "c_00000000000000000000000000000000",
    ] {
        assert_eq!(text.parse::<OrderId>(), Err(NotAnOrderId), "{text:?}");
    }
}
