//! After the sale: what is sent, arrives and is taken back, and the same with one thing wrong.

use url::Url;

use super::*;

pub(super) const DAY: u64 = 24 * 3600;

pub(super) fn count(count: u32) -> Quantity {
    Quantity::new(count).unwrap()
}

pub(super) fn part(item: &str, number: u32) -> Part {
    Part::new(item, count(number))
}

/// Three teas of 1.00, a cup of 5.00, a book to download for 2.00 and a cake of 3.00 that goes bad: 13.00 in all.
pub(super) fn draft() -> Draft {
    let line = |item: &str, minor, number| Line::new(item, item.to_uppercase(), eur(minor), count(number));
    Draft::new(Currency::EUR)
        .with(line("tea", 100, 3))
        .with(line("cup", 500, 1))
        .with(line("book", 200, 1).intangible().no_withdrawal(Exemption::DigitalBegun))
        .with(line("cake", 300, 1).no_withdrawal(Exemption::Perishable))
}

pub(super) fn of(draft: &Draft) -> OrderRecord {
    let placing = Placing {
        id: OrderId::from_random([7; 16]),
        reference: Reference::from_random([7; 8]),
        buyer: Buyer::Guest,
        proofs: Vec::new(),
        checkout: None,
        zone: Zone::Utc,
        at: NOW,
    };
    OrderRecord::placed(draft, placing).unwrap().order
}

pub(super) fn paid() -> OrderRecord {
    answered(paying(of(&draft())), Outcome::Paid)
}

pub(super) fn code(found: Result<Option<Step>, OrderError>) -> &'static str {
    match found {
        Ok(Some(_)) => "done",
        Ok(None) => "same",
        Err(error) => error.code(),
    }
}

pub(super) fn done(found: Result<Option<Step>, OrderError>) -> OrderRecord {
    balanced(found.unwrap().unwrap()).order
}

pub(super) fn sent(order: OrderRecord, key: &str, parts: &[Part], now: UnixTime) -> OrderRecord {
    done(order.sent(&Parcel::new(key, parts.to_vec()), now))
}

pub(super) fn delivered(order: OrderRecord, key: &str, now: UnixTime) -> OrderRecord {
    done(order.delivered(key, now))
}

/// All of it in one parcel, and the book.
pub(super) fn arrived(now: UnixTime) -> OrderRecord {
    let order = sent(paid(), "1", &[part("tea", 3), part("cup", 1), part("cake", 1)], now);
    sent(delivered(order, "1", now), "book", &[part("book", 1)], now)
}

pub(super) fn adjustment(key: &str, reason: AdjustmentReason, lines: &[Part], minor: i64) -> Adjustment {
    Adjustment { key: key.to_owned(), reason, lines: lines.to_vec(), amount: eur(minor) }
}

#[test]
fn an_order_is_sent_in_parts_until_nothing_is_left() {
    let order = paid();
    assert_eq!((order.fulfilment(), order.unsent().len()), (Fulfilment::NotSent, 4));
    let order = sent(order, "1", &[part("tea", 2), part("cup", 1)], NOW);
    assert_eq!(order.fulfilment(), Fulfilment::Partly);
    assert_eq!(order.unsent(), [part("tea", 1), part("book", 1), part("cake", 1)]);
    let order = delivered(order, "1", NOW);
    assert_eq!(order.fulfilment(), Fulfilment::Partly);
    let order = sent(order, "2", &[part("cake", 1), part("tea", 1)], NOW);
    // What no parcel brings is there when it was sent.
    let step = order.sent(&Parcel::new("book", vec![part("book", 1)]), NOW).unwrap().unwrap();
    assert!(matches!(&step.happened[..], [Happened::Sent { .. }, Happened::Delivered { parcel }] if parcel == "book"));
    let order = balanced(step).order;
    assert_eq!((order.fulfilment(), order.unsent().len()), (Fulfilment::Sent, 0));
    let order = delivered(order, "2", NOW);
    assert_eq!((order.fulfilment(), &order.lines[..]), (Fulfilment::Delivered, draft().lines()));
    // With a thing that is carried, it arrives with that.
    let order = sent(paid(), "1", &[part("book", 1), part("cup", 1)], NOW);
    assert_eq!(order.after.parcels[0].delivered_at, None);
}

#[test]
fn more_than_was_bought_and_what_was_not_is_not_sent() {
    let order = sent(paid(), "1", &[part("tea", 2)], NOW);
    for (parts, expected) in [
        (vec![part("tea", 1)], "done"),
        (vec![part("tea", 2)], "more_than_bought"),
        (vec![part("tea", 1_000_000)], "more_than_bought"),
        (vec![part("cup", 1), part("tea", 2)], "more_than_bought"),
        (vec![part("coffee", 1)], "no_such_item"),
        (vec![part("", 1)], "no_such_item"),
        (vec![part("tea", 1), part("tea", 1)], "invalid_parts"),
        (vec![], "invalid_parts"),
        (vec![part("tea", 1); 101], "invalid_parts"),
    ] {
        assert_eq!(code(order.clone().sent(&Parcel::new("2", parts.clone()), NOW)), expected, "{parts:?}");
    }
    assert!(serde_json::from_str::<Part>(r#"{"item":"tea","quantity":0}"#).is_err());
    assert!(serde_json::from_str::<Part>(r#"{"item":"tea","quantity":4294967296}"#).is_err());
    // Whoever has an older version reads what a newer one has written.
    let newer = serde_json::from_str::<Part>(r#"{"item":"tea","quantity":1,"price":1}"#).unwrap();
    assert_eq!(newer, Part::new("tea", Quantity::new(1).unwrap()));
}

#[test]
fn a_parcel_said_twice_is_one_and_another_under_its_key_is_none() {
    let parcel = Parcel::new("1", vec![part("tea", 1), part("cup", 1)]).carried_by("DHL", Some("00340".to_owned()));
    let link: Url = "https://carrier.example/00340".parse().unwrap();
    let parcel = parcel.tracked_at(link);
    let order = done(paid().sent(&parcel, NOW));
    let mut same = parcel.clone();
    same.lines.reverse();
    assert_eq!(code(order.clone().sent(&same, NOW.plus_s(9))), "same");
    for other in [
        Parcel { lines: vec![part("tea", 1)], ..parcel.clone() },
        Parcel { carrier: None, ..parcel.clone() },
        Parcel { tracking: Some("00341".to_owned()), ..parcel.clone() },
        Parcel { link: None, ..parcel.clone() },
    ] {
        assert_eq!(code(order.clone().sent(&other, NOW)), "key_differs", "{other:?}");
    }
    for (odd, expected) in [
        (Parcel { key: String::new(), ..parcel.clone() }, "invalid_key"),
        (Parcel { key: "a/b".to_owned(), ..parcel.clone() }, "invalid_key"),
        (Parcel { key: "x".repeat(65), ..parcel.clone() }, "invalid_key"),
        (Parcel { carrier: Some(" ".to_owned()), ..parcel.clone() }, "invalid_parcel"),
        (Parcel { carrier: Some("D\nHL".to_owned()), ..parcel.clone() }, "invalid_parcel"),
        (Parcel { tracking: Some("9".repeat(65)), ..parcel.clone() }, "invalid_parcel"),
        (Parcel { link: Some("javascript:alert(1)".parse().unwrap()), ..parcel.clone() }, "invalid_parcel"),
        (Parcel { link: Some("http://carrier.example/".parse().unwrap()), ..parcel }, "invalid_parcel"),
    ] {
        assert_eq!(code(paid().sent(&odd, NOW)), expected, "{odd:?}");
    }
}

#[test]
fn what_was_not_sent_does_not_arrive_and_what_arrived_arrived_once() {
    assert_eq!(code(paid().delivered("1", NOW)), "no_such_parcel");
    let order = sent(paid(), "1", &[part("tea", 1)], NOW);
    assert_eq!(code(order.clone().delivered("2", NOW)), "no_such_parcel");
    let order = delivered(order, "1", NOW.plus_s(5));
    assert_eq!(code(order.clone().delivered("1", NOW.plus_s(9))), "same");
    assert_eq!(order.after.parcels[0].delivered_at, Some(NOW.plus_s(5)));
}

#[test]
fn only_what_is_paid_or_promised_is_sent() {
    table(
        |order| order.sent(&Parcel::new("1", vec![part("tea", 1)]), NOW),
        [
            ("placed", "not_to_be_sent"),
            ("asked", "not_to_be_sent"),
            ("open", "not_to_be_sent"),
            ("authorised", "authorised"),
            ("paid", "paid"),
            ("declined", "not_to_be_sent"),
            ("unknown", "not_to_be_sent"),
            ("cancelled", "order_over"),
            ("expired", "order_over"),
        ],
    );
}

#[test]
fn what_was_sent_on_a_promise_is_not_called_off_and_stays_owed() {
    let order = sent(in_state("authorised"), "1", &[part("tea", 1)], NOW);
    assert_eq!(order.clone().cancelled(NOW).unwrap_err().code(), "already_sent");
    // The promise is broken, and the time to pay is over.
    let broken = answered(order, declined());
    assert_eq!(broken.clone().cancelled(NOW).unwrap_err().code(), "already_sent");
    assert!(broken.clone().expired(NOW.plus_s(400 * DAY)).unwrap().is_none());
    assert_eq!(delivered(broken.clone(), "1", NOW).state, OrderState::Declined);
    let paid = balanced(broken.received("b1", eur(1_300), NOW.plus_s(DAY)).unwrap()).order;
    assert_eq!(paid.state, OrderState::Paid, "what comes later pays it");
}

#[test]
fn what_a_wallet_authorised_is_sent_when_it_is_paid() {
    let order = balanced(of(&draft()).paying(WalletRail::ID, 3600, NOW).unwrap().unwrap()).order;
    let order = answered(order, Outcome::Pending);
    let order = balanced(order.authorised(WalletRail::ID, 1, eur(1_300), NOW).unwrap()).order;
    assert_eq!((order.state, order.may_be_sent()), (OrderState::Authorised, false));
    let parcel = Parcel::new("1", vec![part("tea", 1)]);
    assert_eq!(code(order.clone().sent(&parcel, NOW)), "not_to_be_sent");
    let paid = answered(order, Outcome::Paid);
    assert_eq!(code(paid.sent(&parcel, NOW)), "done");
}

#[test]
fn an_order_keeps_so_many_parcels_and_no_more() {
    let many = Draft::new(Currency::EUR).line("tea", "Tea", eur(1), count(1_000));
    let mut order = answered(paying(of(&many)), Outcome::Paid);
    for number in 0..PARCELS_MAX {
        let parcel = Parcel::new(number.to_string(), vec![part("tea", 1)]);
        order = balanced(order.sent(&parcel, NOW).unwrap().unwrap()).order;
    }
    assert_eq!(code(order.sent(&Parcel::new("more", vec![part("tea", 1)]), NOW)), "after_sale_full");
}

#[test]
fn the_largest_order_fits_into_a_record_and_nobody_takes_up_the_room_of_another() {
    let item = |number: usize| format!("\"{number:063}");
    let mut large = Draft::new(Currency::EUR);
    for number in 0..100 {
        large = large.with(Line::new(item(number), "\"".repeat(256), eur(1_000), count(1_000)));
    }
    let mut order = answered(paying(of(&large)), Outcome::Paid);
    let of_first = |number: usize| (0..number).map(|number| part(&item(number), 1)).collect::<Vec<Part>>();
    let link: Url = format!("https://carrier.example/{}", "x".repeat(230)).parse().unwrap();
    // The first names a hundred things, the next fifty one: that is as much as is kept of anything.
    for number in 0..=50 {
        let parts = of_first(if number == 0 { 100 } else { 1 });
        let key = format!("{number:064}");
        let parcel = Parcel::new(key.as_str(), parts.clone()).tracked_at(link.clone());
        let parcel = parcel.carried_by("\"".repeat(64), Some("\"".repeat(64)));
        let back = adjustment(&key, AdjustmentReason::Returned, &parts, 1);
        let steps: [&dyn Fn(OrderRecord) -> Result<Option<Step>, OrderError>; 3] =
            [&|order| order.sent(&parcel, NOW), &|order| order.withdrawn_from(&parts, &key, NOW), &|order| {
                order.adjusted(&back, NOW)
            }];
        for step in steps {
            if number == 50 {
                assert_eq!(code(step(order.clone())), "after_sale_full");
            } else {
                order = done(step(order));
            }
        }
    }
    assert_eq!(code(order.clone().sent(&Parcel::new("x", of_first(2)), NOW)), "after_sale_full");
    for key in order.acknowledgements().into_iter().map(|received| received.key) {
        order = done(order.withdrawal_settled(&key, eur(1), NOW));
    }
    let bytes = serde_json::to_string(&order).unwrap().len();
    assert!(bytes < crate::store::Record::BYTES_MAX * 9 / 10, "{bytes} bytes");
}

#[test]
fn an_adjustment_owes_its_refund_in_the_same_step() {
    use AdjustmentReason::{Damaged, NotSupplied, PriceCorrection, Returned, Withdrawn};

    let one = adjustment("a", Returned, &[part("tea", 2)], 200);
    let step = balanced(arrived(NOW).adjusted(&one, NOW).unwrap().unwrap());
    assert!(matches!(
        &step.happened[..],
        [Happened::Adjusted { reason: Returned, .. }, Happened::RefundOwed { amount, .. }]
            if *amount == eur(200)
    ));
    let [owed] = &step.owed[..] else { panic!("{:?}", step.owed) };
    assert!(owed.key.starts_with(&step.order.after.adjustments[0].refunds()), "{}", owed.key);
    let order = step.order;
    assert_eq!(order.ledger.owed, eur(200));
    assert_eq!(code(order.clone().adjusted(&one, NOW.plus_s(9))), "same");
    for other in [
        adjustment("a", Returned, &[part("tea", 2)], 199),
        adjustment("a", Damaged, &[part("tea", 2)], 200),
        adjustment("a", Returned, &[part("tea", 1)], 200),
    ] {
        assert_eq!(code(order.clone().adjusted(&other, NOW)), "key_differs", "{other:?}");
    }
    for (reason, parts, minor, expected) in [
        (Returned, vec![part("tea", 1)], 100, "done"),
        (Returned, vec![part("tea", 2)], 100, "more_than_bought"),
        (Returned, vec![part("tea", 1)], 0, "done"),
        (PriceCorrection, vec![part("tea", 1)], 0, "no_amount"),
        (PriceCorrection, vec![part("tea", 1)], 50, "done"),
        (Damaged, vec![part("tea", 2)], 50, "more_than_bought"),
        (NotSupplied, vec![part("tea", 1)], 50, "more_than_bought"),
        (Returned, vec![part("cup", 1)], 1_100, "done"),
        (Returned, vec![part("cup", 1)], 1_101, "refund_too_large"),
        (Returned, vec![part("coffee", 1)], 1, "no_such_item"),
        (Withdrawn, vec![part("tea", 1)], 1, "no_such_withdrawal"),
    ] {
        let other = adjustment("b", reason, &parts, minor);
        assert_eq!(code(order.clone().adjusted(&other, NOW)), expected, "{other:?}");
    }
    let francs = Adjustment { amount: Money::new(0, Currency::CHF).unwrap(), key: "b".into(), ..one };
    assert!(matches!(order.adjusted(&francs, NOW), Err(OrderError::Money(MoneyError::OtherCurrency { .. }))));
}

#[test]
fn a_thing_made_cheaper_can_still_be_given_back() {
    let cheaper = adjustment("a", AdjustmentReason::PriceCorrection, &[part("cup", 1)], 100);
    let order = done(arrived(NOW).adjusted(&cheaper, NOW));
    let back = adjustment("b", AdjustmentReason::Returned, &[part("cup", 1)], 400);
    let order = done(order.adjusted(&back, NOW));
    let again = adjustment("c", AdjustmentReason::PriceCorrection, &[part("cup", 1)], 100);
    assert_eq!(code(order.adjusted(&again, NOW)), "more_than_bought");
}

#[test]
fn what_the_shop_cannot_supply_is_not_sent_any_more() {
    let order = sent(paid(), "1", &[part("tea", 2), part("cup", 1), part("cake", 1), part("book", 1)], NOW);
    let missing = |number| adjustment("a", AdjustmentReason::NotSupplied, &[part("tea", number)], 100);
    assert_eq!(code(order.clone().adjusted(&missing(2), NOW)), "more_than_bought");
    let order = done(order.adjusted(&missing(1), NOW));
    assert_eq!(order.fulfilment(), Fulfilment::Sent);
    assert_eq!(code(order.sent(&Parcel::new("2", vec![part("tea", 1)]), NOW)), "more_than_bought");
}

#[test]
fn only_what_was_paid_goes_back_and_nothing_of_an_order_that_is_over() {
    for (minor, of_unpaid) in [(100, "order_not_paid"), (TOTAL + 1, "order_not_paid")] {
        let back = adjustment("a", AdjustmentReason::Returned, &[part("tea", 1)], minor);
        let of_paid = if minor > TOTAL { "refund_too_large" } else { "paid" };
        table(
            |order| order.adjusted(&back, NOW),
            [
                ("placed", of_unpaid),
                ("asked", of_unpaid),
                ("open", of_unpaid),
                ("authorised", of_unpaid),
                ("paid", of_paid),
                ("declined", of_unpaid),
                ("unknown", of_unpaid),
                ("cancelled", "order_over"),
                ("expired", "order_over"),
            ],
        );
    }
}

#[test]
fn an_adjustment_is_as_far_as_its_refunds() {
    use RefundState::{ByHand, Done, InDoubt, Owed, Sending};
    for (refunds, expected) in [
        (vec![], AdjustmentState::Done),
        (vec![Done, Done], AdjustmentState::Done),
        (vec![Done, Owed], AdjustmentState::Owed),
        (vec![Owed, Sending], AdjustmentState::Owed),
        (vec![Done, Sending], AdjustmentState::UnderWay),
        (vec![ByHand, Done], AdjustmentState::UnderWay),
        (vec![InDoubt], AdjustmentState::UnderWay),
    ] {
        assert_eq!(AdjustmentState::of(refunds.clone()), expected, "{refunds:?}");
    }
}

#[test]
fn an_order_from_before_is_read_and_written_as_it_was() {
    let order = order_of(TOTAL);
    let mut json = serde_json::to_value(&order).unwrap();
    assert!(json.get("after").is_none() && json["lines"][0].get("intangible").is_none());
    let read: OrderRecord = serde_json::from_value(json.clone()).unwrap();
    assert_eq!((read.after.withdrawal_days, &read), (14, &order));
    json["after"] = serde_json::json!({ "withdrawal_days": 30 });
    assert_eq!(serde_json::from_value::<OrderRecord>(json).unwrap().after.withdrawal_days, 30);
}
