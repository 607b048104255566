//! What is authorised: captured in parts, given up, ended, taken back.

use super::*;

const DONE: ActOutcome = ActOutcome::Done;

fn no() -> ActOutcome {
    ActOutcome::Declined("no".into())
}

fn capturing(order: OrderRecord, key: &str, minor: i64) -> OrderRecord {
    balanced(order.capturing(key, eur(minor), NOW).unwrap().unwrap()).order
}

fn said(order: OrderRecord, key: &str, minor: i64, outcome: &ActOutcome) -> Option<Step> {
    order.capture_answered(1, key, eur(minor), outcome, NOW).unwrap().map(balanced)
}

/// A capture that was told and done.
fn captured(order: OrderRecord, key: &str, minor: i64) -> OrderRecord {
    said(capturing(order, key, minor), key, minor, &DONE).unwrap().order
}

fn ended(order: OrderRecord) -> OrderRecord {
    balanced(order.answered(1, eur(TOTAL), declined(), NOW).unwrap().unwrap()).order
}

fn idle(order: &OrderRecord) -> usize {
    order.idle_authorisations().count()
}

#[test]
fn only_what_is_authorised_is_captured() {
    let not = "order_not_authorised";
    let table_of = |minor: i64, authorised| {
        table(
            move |order| order.capturing("a", eur(minor), NOW),
            [
                ("placed", not),
                ("asked", not),
                ("open", not),
                ("authorised", authorised),
                ("paid", not),
                ("declined", not),
                ("unknown", not),
                ("cancelled", not),
                ("expired", not),
            ],
        );
    };
    table_of(1, "authorised");
    table_of(TOTAL, "authorised");
    table_of(TOTAL + 1, "capture_too_large");
    table_of(i64::MAX, "capture_too_large");
    table_of(0, "no_amount");
    let order = in_state("authorised");
    let franc = Money::new(1, Currency::CHF).unwrap();
    assert!(matches!(
        order.clone().capturing("a", franc, NOW),
        Err(OrderError::Money(MoneyError::OtherCurrency { .. }))
    ));
    for key in ["", "a/b", "a b", "é", &"k".repeat(65)] {
        assert_eq!(order.clone().capturing(key, eur(1), NOW), Err(OrderError::CaptureKey), "{key:?}");
    }
}

#[test]
fn captures_in_parts_pay_the_order_and_each_counts_once() {
    let order = captured(in_state("authorised"), "a", 300);
    assert_eq!((order.state, order.ledger.settled().unwrap()), (OrderState::Authorised, eur(300)));
    assert_eq!(order.ledger.settled, [Settled { by: Source::Attempt(1), amount: eur(300) }]);
    // Said again, by whom ever: nothing new.
    assert_eq!(said(order.clone(), "a", 300, &DONE), None);
    assert_eq!(order.clone().capturing("a", eur(300), NOW), Ok(None));
    assert_eq!(order.clone().capturing("a", eur(301), NOW), Err(OrderError::CaptureDiffers));
    // What is open counts as if it had happened.
    let order = capturing(order, "b", 400);
    let too_large = OrderError::CaptureTooLarge { asked: eur(301), left: eur(300) };
    assert_eq!(order.clone().capturing("c", eur(301), NOW), Err(too_large.clone()));
    let doubt = said(order.clone(), "b", 400, &ActOutcome::Unknown).unwrap().order;
    assert_eq!(doubt.clone().capturing("c", eur(301), NOW), Err(too_large));
    assert_eq!(said(doubt.clone(), "b", 400, &ActOutcome::Unknown).unwrap().happened, []);
    // Declined, there is room again; said to be done after all, it is money that is here.
    let order = said(doubt, "b", 400, &no()).unwrap().order;
    let order = captured(order, "c", 700);
    assert_eq!((order.state, idle(&order), order.inquire_at), (OrderState::Paid, 0, None));
    let step = said(order, "b", 400, &DONE).unwrap();
    assert_eq!((step.order.ledger.received, step.order.ledger.owed), (eur(1400), eur(400)));
    assert_eq!(step.owed[0].key, "overpaid/attempt-1/b");
}

#[test]
fn a_capture_that_is_decided_stays_decided_and_a_contradiction_is_written_down_once() {
    let order = captured(in_state("authorised"), "a", 300);
    let step = said(order, "a", 300, &no()).unwrap();
    assert_eq!(step.happened, [Happened::Contradicted { attempt: 1, outcome: "captured: declined: no".to_owned() }]);
    for outcome in [no(), DONE, ActOutcome::Unknown, ActOutcome::UnderWay] {
        assert_eq!(said(step.order.clone(), "a", 300, &outcome), None, "{outcome:?}");
    }
    let order = step.order;
    let other = order.clone().capture_answered(1, "a", eur(299), &DONE, NOW);
    assert!(matches!(other, Err(OrderError::OtherAmount { .. })));
    assert_eq!(order.clone().capture_answered(2, "a", eur(300), &DONE, NOW), Err(OrderError::NoSuchAttempt(2)));
    assert_eq!(order.capture_answered(1, "z", eur(300), &no(), NOW), Err(OrderError::NoSuchCapture));
}

#[test]
fn a_capture_at_the_providers_own_desk_counts_and_one_beyond_the_promise_is_owed_back() {
    let order = said(in_state("authorised"), "desk", 300, &DONE).unwrap().order;
    assert_eq!((order.ledger.received, order.attempts[0].contradicted), (eur(300), false));
    let left = OrderError::CaptureTooLarge { asked: eur(701), left: eur(700) };
    assert_eq!(order.clone().capturing("a", eur(701), NOW), Err(left));
    let step = said(order, "more", 800, &DONE).unwrap();
    assert_eq!((step.order.state, step.order.ledger.owed), (OrderState::Paid, eur(100)));
    assert!(step.happened.iter().any(|what| matches!(what, Happened::Contradicted { .. })));
    // After the end, and after it was given up: the same.
    let cancelled = balanced(in_state("authorised").cancelled(NOW).unwrap().unwrap()).order;
    let told = balanced(cancelled.voiding(1, NOW).unwrap()).order;
    let given_up = balanced(told.void_answered(1, 1, &DONE, NOW).unwrap()).order;
    for (order, owed) in [(ended(in_state("authorised")), 0), (given_up, 200)] {
        let was = order.state;
        let step = said(order, "late", 200, &DONE).unwrap();
        assert_eq!((step.order.state, step.order.ledger.owed), (was, eur(owed)));
        assert!(step.order.attempts[0].contradicted);
    }
    let franc = Money::new(1, Currency::CHF).unwrap();
    for amount in [franc, eur(0)] {
        let refused = in_state("authorised").capture_answered(1, "x", amount, &DONE, NOW);
        assert!(matches!(refused, Err(OrderError::OtherAmount { .. })), "{amount}");
    }
}

#[test]
fn an_attempt_keeps_so_many_captures_and_no_more() {
    let mut order = in_state("authorised");
    for number in 0..CAPTURES_MAX {
        order = captured(order, &number.to_string(), 1);
    }
    assert_eq!(order.clone().capturing("more", eur(1), NOW), Err(OrderError::AttemptFull));
    assert_eq!(order.clone().capture_answered(1, "desk", eur(1), &DONE, NOW), Err(OrderError::AttemptFull));
    assert_eq!(balanced(order.closed_short(NOW).unwrap().unwrap()).order.waived, eur(TOTAL - 20));
}

#[test]
fn all_of_it_may_be_said_to_be_here_whatever_was_captured_before() {
    let order = capturing(captured(in_state("authorised"), "a", 300), "b", 200);
    let step = balanced(order.answered(1, eur(TOTAL), Outcome::Paid, NOW).unwrap().unwrap());
    assert_eq!((step.order.state, step.order.ledger.received), (OrderState::Paid, eur(TOTAL)));
    // The capture that was on its way was a part of it.
    let step = said(step.order, "b", 200, &DONE).unwrap();
    assert_eq!(step.order.ledger.received, eur(TOTAL));
    // So is one that nobody had heard of.
    let step = said(step.order, "desk", 100, &DONE).unwrap();
    assert_eq!(step.order.ledger.received, eur(TOTAL));
}

#[test]
fn closing_short_waives_the_rest_and_gives_it_up() {
    let authorised = in_state("authorised");
    assert_eq!(authorised.clone().closed_short(NOW), Err(OrderError::NothingCaptured));
    let open = capturing(authorised.clone(), "a", 300);
    assert_eq!(open.clone().closed_short(NOW), Err(OrderError::PaymentUnderWay));
    let doubt = said(open.clone(), "a", 300, &ActOutcome::UnderWay).unwrap().order;
    assert_eq!(doubt.closed_short(NOW), Err(OrderError::PaymentInDoubt));
    let step = balanced(said(open, "a", 300, &DONE).unwrap().order.closed_short(NOW).unwrap().unwrap());
    assert_eq!(step.happened, [Happened::ClosedShort { waived: eur(700) }, Happened::Paid]);
    let order = step.order;
    assert_eq!((order.state, order.waived, order.outstanding().unwrap()), (OrderState::Paid, eur(700), eur(0)));
    assert_eq!((idle(&order), order.wake_at()), (1, Some(NOW)));
    assert_eq!(order.clone().closed_short(NOW), Ok(None));
    // Refunds draw on what was captured.
    let too_large = OrderError::RefundTooLarge { asked: eur(301), left: eur(300) };
    assert_eq!(order.clone().refunded("k", eur(301)), Err(too_large));
    assert_eq!(balanced(order.refunded("k", eur(300)).unwrap()).owed[0].by, Source::Attempt(1));
    for name in ["placed", "asked", "open", "paid", "declined", "unknown", "cancelled", "expired"] {
        assert!(matches!(in_state(name).closed_short(NOW), Err(OrderError::NotAuthorised(_))), "{name}");
    }
}

#[test]
fn cancelling_gives_up_what_is_authorised_and_owes_back_what_was_captured() {
    let open = capturing(in_state("authorised"), "a", 300);
    assert_eq!(open.clone().cancelled(NOW), Err(OrderError::PaymentUnderWay));
    let step = balanced(said(open, "a", 300, &DONE).unwrap().order.cancelled(NOW).unwrap().unwrap());
    assert_eq!((step.order.state, step.order.ledger.owed), (OrderState::Cancelled, eur(300)));
    assert_eq!((step.owed[0].key.as_str(), step.order.wake_at()), ("ended/attempt-1", Some(NOW)));
    assert!(matches!(step.order.clone().capturing("b", eur(1), NOW), Err(OrderError::NotAuthorised(_))));

    // It is told from a committed record, and again only after a while.
    let told = balanced(step.order.voiding(1, NOW).unwrap()).order;
    assert_eq!(told.wake_at(), Some(NOW.plus_s(60)));
    assert_eq!(told.clone().voiding(1, NOW.plus_s(RAIL_ANSWER_S)), None);
    let doubt = balanced(told.clone().void_answered(1, 1, &ActOutcome::Unknown, NOW).unwrap()).order;
    let again = balanced(doubt.voiding(1, NOW.plus_s(60)).unwrap()).order;
    assert_eq!(again.attempts[0].void.as_ref().unwrap().tries, 2);
    assert_eq!(again.clone().void_answered(1, 1, &no(), NOW), None, "of an earlier telling");
    let done = balanced(again.void_answered(1, 1, &DONE, NOW).unwrap()).order;
    assert_eq!((idle(&done), done.wake_at()), (0, None));
    assert_eq!(done.clone().voiding(1, NOW), None);
    assert_eq!(done.clone().void_answered(1, 2, &no(), NOW), None);
    // It says later that it paid after all.
    let step = balanced(done.answered(1, eur(TOTAL), Outcome::Paid, NOW).unwrap().unwrap());
    assert_eq!(step.order.ledger.owed, eur(TOTAL));
    assert!(matches!(step.happened[0], Happened::Contradicted { .. }));
}

#[test]
fn nothing_is_given_up_that_is_needed() {
    for (name, order) in all() {
        assert_eq!(order.voiding(1, NOW), None, "{name}");
    }
}

#[test]
fn an_authorisation_that_nobody_needs_is_given_up_however_late_it_comes() {
    let late = NOW.plus_s(3600);
    let open = in_state("open");
    let paid = balanced(open.clone().received("t", eur(TOTAL), NOW).unwrap()).order;
    let cancelled = balanced(open.clone().cancelled(NOW).unwrap().unwrap()).order;
    let expired = balanced(open.expired(late).unwrap().unwrap()).order;
    for order in [paid, cancelled, expired] {
        let was = order.state;
        let step = balanced(order.answered(1, eur(TOTAL), authorised(), late).unwrap().unwrap());
        assert_eq!((step.order.state, idle(&step.order), step.order.wake_at()), (was, 1, Some(late)));
    }
    // What is authorised is paid by a transfer meanwhile.
    let step = balanced(in_state("authorised").received("t", eur(TOTAL), NOW).unwrap());
    assert_eq!((step.order.state, idle(&step.order), step.order.wake_at()), (OrderState::Paid, 1, Some(NOW)));
    // Not while a part of it is on its way.
    let open = capturing(in_state("authorised"), "a", 300);
    let order = balanced(open.received("t", eur(TOTAL), NOW).unwrap()).order;
    assert_eq!((order.state, order.clone().voiding(1, NOW)), (OrderState::Paid, None));
    let step = said(order, "a", 300, &DONE).unwrap();
    assert_eq!((step.order.ledger.owed, idle(&step.order)), (eur(300), 1));
}

#[test]
fn an_authorisation_that_ends_leaves_the_order_declined_or_closed_short() {
    let order = ended(in_state("authorised"));
    assert_eq!((order.state, order.expires_at), (OrderState::Declined, Some(NOW.plus_s(UNPAID_S))));
    assert_eq!(paying(order).attempts.len(), 2);
    let order = ended(captured(in_state("authorised"), "a", 300));
    assert_eq!((order.state, order.waived), (OrderState::Paid, eur(700)));
    // While a capture is in doubt, nobody knows which.
    let open = ended(capturing(in_state("authorised"), "a", 300));
    assert_eq!(open.state, OrderState::Authorised);
    assert_eq!(open.clone().capturing("b", eur(1), NOW), Err(OrderError::AuthorisationEnded));
    assert_eq!(said(open.clone(), "a", 300, &no()).unwrap().order.state, OrderState::Declined);
    let order = said(open, "a", 300, &DONE).unwrap().order;
    assert_eq!((order.state, order.waived), (OrderState::Paid, eur(700)));
}

#[test]
fn an_authorisation_is_asked_about_when_it_ends_and_once_a_day() {
    let order = in_state("authorised");
    assert_eq!(order.wake_at(), Some(NOW.plus_s(7_000)));
    let end = NOW.plus_s(7_000);
    let step = balanced(order.answered(1, eur(TOTAL), authorised(), end).unwrap().unwrap());
    assert_eq!(step.order.wake_at(), Some(end.plus_s(60)), "its end is past, and it is asked again soon");
    let unlimited = answered(in_state("asked"), Outcome::Authorised { until: None });
    assert_eq!(unlimited.wake_at(), Some(NOW.plus_s(AUTHORISED_LOOK_S)));
    let far = answered(in_state("asked"), Outcome::Authorised { until: Some(NOW.plus_s(9_000_000)) });
    assert_eq!(far.wake_at(), Some(NOW.plus_s(AUTHORISED_LOOK_S)));
}

#[test]
fn the_merchant_decides_about_a_capture_in_doubt_alone() {
    let told = capturing(in_state("authorised"), "a", 300);
    assert_eq!(told.clone().capture_decided(1, "a", true, NOW), Err(OrderError::NotInDoubt), "it is being told");
    let doubt = said(told, "a", 300, &ActOutcome::Unknown).unwrap().order;
    assert_eq!(doubt.clone().capture_decided(1, "b", true, NOW), Err(OrderError::NoSuchCapture));
    assert_eq!(doubt.clone().capture_decided(2, "a", true, NOW), Err(OrderError::NoSuchAttempt(2)));
    let done = balanced(doubt.clone().capture_decided(1, "a", true, NOW).unwrap()).order;
    assert_eq!(done.ledger.received, eur(300));
    assert_eq!(done.capture_decided(1, "a", false, NOW), Err(OrderError::NotInDoubt));
    assert_eq!(balanced(doubt.capture_decided(1, "a", false, NOW).unwrap()).order.ledger.received, eur(0));
}

#[test]
fn what_a_provider_takes_back_is_not_given_back_again() {
    let step = balanced(in_state("paid").refunded("k", eur(500)).unwrap());
    let (order, owed) = (step.order, step.owed);
    // What had counted goes first; then what was owed: the customer has it.
    let step = balanced(order.clone().taken_back(1, "d", eur(TOTAL), owed.clone()).unwrap().unwrap());
    let gone = |minor| Happened::RefundTaken { key: owed[0].key.clone(), amount: eur(minor) };
    assert_eq!(step.happened[1..], [Happened::SendingStopped, gone(500)]);
    assert_eq!((step.changed[0].state, step.changed[0].amount), (RefundState::Done, eur(500)));
    let ledger = &step.order.ledger;
    assert_eq!((ledger.refunded, ledger.owed, step.order.attempts[0].lost), (eur(TOTAL), eur(0), None));
    assert_eq!(step.order.refund_sending(step.changed[0].clone(), NOW), Err(OrderError::AlreadyRefunded));
    // A part of what was owed: the rest is owed still, and what was decided is what it was.
    let left = TOTAL - 500;
    let step = balanced(order.clone().taken_back(1, "d", eur(left + 200), owed.clone()).unwrap().unwrap());
    let [rest, taken] = &step.changed[..] else { panic!("{:?}", step.changed) };
    assert_eq!((rest.state, rest.amount, &rest.key), (RefundState::Owed, eur(300), &owed[0].key));
    assert_eq!((taken.state, taken.amount), (RefundState::Done, eur(200)));
    assert!(taken.key.starts_with("refund/k/"), "{}", taken.key);
    assert_eq!(step.order.ledger.owed, eur(300));
    // Of one that is on its way nobody knows: what was taken beyond is lost, and if it fails it is not sent again.
    let sending = balanced(order.refund_sending(owed[0].clone(), NOW).unwrap());
    let refund = sending.changed[0].clone();
    let order = sending.order.taken_back(1, "d", eur(TOTAL), vec![refund.clone()]).unwrap().unwrap().order;
    assert_eq!((order.attempts[0].lost, order.ledger.owed), (Some(eur(500)), eur(500)));
    let failed = order.refund_answered(refund, 1, &RefundOutcome::Declined("no".into()), NOW).unwrap().unwrap();
    let (order, refund) = (failed.order, failed.changed[0].clone());
    assert_eq!(order.clone().refund_sending(refund.clone(), NOW), Err(OrderError::TakenAlready));
    assert!(order.refunded_by_hand(refund).unwrap().is_some(), "the books are closed by hand");
}

#[test]
fn what_nobody_pays_for_any_more_is_not_sent() {
    let parcel = |key: &str| Parcel::new(key, in_state("paid").unsent());
    let paid = in_state("paid");
    assert!(paid.may_be_sent() && !paid.waits_stopped());
    let disputed = paid.clone().taken_back(1, "d", eur(100), Vec::new()).unwrap().unwrap().order;
    let emptied = paid.clone().refunded("k", eur(TOTAL)).unwrap().order;
    let short = ended(captured(in_state("authorised"), "a", 300));
    assert_eq!((short.state, short.waived), (OrderState::Paid, eur(TOTAL - 300)));
    for order in [disputed, emptied, short] {
        assert!(!order.may_be_sent() && order.waits_stopped());
        assert_eq!(order.clone().sent(&parcel("1"), NOW), Err(AfterError::Stopped.into()));
        let allowed = order.sending_allowed().unwrap();
        assert_eq!(allowed.happened, [Happened::SendingAllowed]);
        assert!(allowed.order.clone().sent(&parcel("1"), NOW).unwrap().is_some());
        assert_eq!(allowed.order.sending_allowed(), None, "said twice");
    }
    // A part that goes back leaves the rest to be sent, and so does what the merchant waives by hand.
    assert!(paid.refunded("k", eur(100)).unwrap().order.may_be_sent());
}

#[test]
fn what_a_provider_takes_back_leaves_the_ledger_balanced() {
    let taken = |order: OrderRecord, id: &str, minor: i64| {
        order.taken_back(1, id, eur(minor), Vec::new()).map(|it| it.map(balanced))
    };
    let paid = in_state("paid");
    let step = taken(paid.clone(), "d1", 400).unwrap().unwrap();
    let event = Happened::TakenBack { attempt: 1, id: "d1".to_owned(), amount: eur(400), settled: eur(400) };
    assert_eq!(step.happened, [event, Happened::SendingStopped]);
    let order = step.order;
    assert_eq!((order.state, order.ledger.refunded, order.ledger.owed), (OrderState::Paid, eur(400), eur(0)));
    assert_eq!(taken(order.clone(), "d1", 400), Ok(None), "said twice, it happened once");
    // After a refund there is less to take from the ledger.
    let refunded = balanced(order.refunded("k", eur(500)).unwrap()).order;
    let step = taken(refunded, "d2", TOTAL).unwrap().unwrap();
    assert!(matches!(step.happened[0], Happened::TakenBack { settled, .. } if settled == eur(100)));
    assert_eq!((step.order.ledger.refunded, step.order.ledger.owed), (eur(500), eur(500)));
    // An open order does not collect it once more.
    let order = taken(captured(in_state("authorised"), "a", 300), "d", 200).unwrap().unwrap().order;
    assert_eq!((order.waived, order.outstanding().unwrap()), (eur(200), eur(700)));
    assert_eq!(captured(order, "b", 700).state, OrderState::Paid);

    assert_eq!(taken(paid.clone(), "d", 0), Err(OrderError::NoAmount));
    assert!(matches!(taken(paid.clone(), "d", TOTAL + 1), Err(OrderError::OtherAmount { .. })));
    assert_eq!(taken(paid.clone(), "a/b", 1), Err(OrderError::CaptureKey));
    assert_eq!(paid.taken_back(2, "d", eur(1), Vec::new()), Err(OrderError::NoSuchAttempt(2)));
}
