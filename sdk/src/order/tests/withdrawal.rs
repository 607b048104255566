//! The right of withdrawal: until when, from what, once; and the same with one thing wrong.

use super::{
    after::{DAY, adjustment, arrived, code, count, delivered, done, draft, of, paid, part, sent},
    *,
};

fn stands(order: &OrderRecord, now: UnixTime) -> Vec<(String, u32, Eligibility)> {
    order.withdrawal(now).lines.into_iter().map(|line| (line.item, line.left, line.stands)).collect()
}

fn standing(expected: [(&str, u32, Eligibility); 4]) -> Vec<(String, u32, Eligibility)> {
    expected.map(|(item, left, stands)| (item.to_owned(), left, stands)).to_vec()
}

#[test]
fn the_time_to_withdraw_begins_when_the_last_goods_arrived() {
    use Eligibility::{Exempt, Late, Open};
    let order = paid();
    // Before anything has arrived, goods can be withdrawn from however long it takes; content from when it was ordered.
    let open = standing([("tea", 3, Open), ("cup", 1, Open), ("book", 1, Open), ("cake", 0, Exempt)]);
    assert_eq!(stands(&order, NOW), open);
    let late_book = standing([("tea", 3, Open), ("cup", 1, Open), ("book", 0, Late), ("cake", 0, Exempt)]);
    assert_eq!(stands(&order, NOW.plus_s(400 * DAY)), late_book);
    // Content that the customer wished to have at once, once they have it.
    let order = sent(order, "book", &[part("book", 1)], NOW);
    let begun = standing([("tea", 3, Open), ("cup", 1, Open), ("book", 0, Exempt), ("cake", 0, Exempt)]);
    assert_eq!(stands(&order, NOW), begun);
    let order = sent(order, "1", &[part("tea", 3)], NOW);
    let order = delivered(order, "1", NOW);
    assert_eq!(order.withdrawal(NOW.plus_s(400 * DAY)).lines[0].until, None, "the cup is still to come");
    let order = sent(order, "2", &[part("cup", 1), part("cake", 1)], NOW.plus_s(400 * DAY));
    assert_eq!(order.withdrawal(NOW.plus_s(500 * DAY)).lines[0].until, None, "and is on its way");
    let order = delivered(order, "2", NOW);
    let until = order.withdrawal(NOW).lines[0].until.unwrap();
    assert_eq!(stands(&order, UnixTime::from_secs(until.as_secs() - 1)), begun);
    let over = standing([("tea", 0, Late), ("cup", 0, Late), ("book", 0, Exempt), ("cake", 0, Exempt)]);
    assert_eq!(stands(&order, until), over);
    assert!(!order.withdrawal(until).is_open() && order.withdrawal(until).all().is_empty());
}

#[test]
fn the_last_day_is_whole_wherever_the_customer_is_and_in_the_shop_and_no_weekend() {
    let until = |order: &OrderRecord| order.withdrawal(NOW).lines[0].until.unwrap().to_string();
    // Monday 23 November 2026, in Kiribati a day later: fourteen days, the noon after them, and the day of the shop
    // until its end.
    let monday = UnixTime::from_secs(1_795_435_200);
    assert_eq!(monday.to_string(), "2026-11-23T12:00:00Z");
    assert_eq!(until(&arrived(monday)), "2026-12-10T00:00:00Z");
    // Friday's end on a Saturday, Saturday's on a Sunday: both on the Monday.
    assert_eq!(until(&arrived(monday.plus_s(4 * DAY))), "2026-12-16T00:00:00Z");
    assert_eq!(until(&arrived(monday.plus_s(5 * DAY))), "2026-12-16T00:00:00Z");
    assert_eq!(until(&arrived(monday.plus_s(6 * DAY))), "2026-12-16T00:00:00Z");
    let longer = answered(paying(of(&draft().withdrawal_days(30))), Outcome::Paid);
    let longer = sent(longer, "1", &[part("tea", 3), part("cup", 1), part("cake", 1)], monday);
    assert_eq!(until(&delivered(longer, "1", monday)), "2026-12-26T00:00:00Z");
    // Midnight is the shop's, in winter and in summer, and no earlier than the last noon anywhere.
    let there = |zone: Zone, monday: UnixTime| {
        let mut order = arrived(monday);
        order.after.zone = zone;
        let until = order.withdrawal(NOW).lines[0].until.unwrap();
        assert!(zone.is_midnight(until));
        until.to_string()
    };
    assert_eq!(there(Zone::Cet, monday), "2026-12-09T23:00:00Z");
    assert_eq!(there(Zone::Eet, monday), "2026-12-09T22:00:00Z");
    assert_eq!(there(Zone::Wet, monday), "2026-12-10T00:00:00Z");
    // Over the change of the clocks on 28 March 2027.
    assert_eq!(there(Zone::Cet, monday.plus_s(16 * 7 * DAY)), "2027-03-31T22:00:00Z");
    // Less than the law says is what the law says.
    assert_eq!(of(&draft().withdrawal_days(3)).after, AfterSale::default());
    // A clock at the end of all time is no reason to panic.
    assert!(arrived(UnixTime::from_secs(i64::MAX)).withdrawal(NOW).lines[0].until.is_some());
}

#[test]
fn a_withdrawal_is_a_statement_that_is_acknowledged_and_moves_no_money() {
    let order = arrived(NOW);
    let step = balanced(order.withdrawn_from(&[part("tea", 1), part("cup", 1)], "w1", NOW).unwrap().unwrap());
    assert!(matches!(&step.happened[..], [Happened::Withdrawn { key, lines }] if key == "w1" && lines.len() == 2));
    assert!(step.owed.is_empty());
    let order = step.order;
    assert!(order.awaits_settlement() && order.ledger.owed.is_zero());
    let acknowledged = &order.acknowledgements()[0];
    assert_eq!((acknowledged.at, acknowledged.state), (NOW, WithdrawalState::Due));
    assert_eq!(acknowledged.refund_by, NOW.plus_s(14 * DAY));
    let lines: Vec<_> = acknowledged.lines.iter().map(|line| (line.title.as_str(), line.quantity.count())).collect();
    assert_eq!(lines, [("CUP", 1), ("TEA", 1)]);
    let json = serde_json::to_string(acknowledged).unwrap();
    assert_eq!(serde_json::from_str::<Acknowledgement>(&json).unwrap(), *acknowledged);

    let again = |parts: &[Part], key: &str| code(order.clone().withdrawn_from(parts, key, NOW.plus_s(60)));
    assert_eq!(again(&[part("cup", 1), part("tea", 1)], "w1"), "same");
    assert_eq!(again(&[part("tea", 1)], "w1"), "key_differs");
    assert_eq!(again(&[part("tea", 2)], "w2"), "done");
    assert_eq!(again(&[part("tea", 3)], "w2"), "more_than_bought");
    assert_eq!(again(&[part("cup", 1)], "w2"), "more_than_bought");
    assert_eq!(again(&[part("cake", 1)], "w2"), "withdrawal_exempt");
    assert_eq!(again(&[part("book", 1)], "w2"), "withdrawal_exempt");
    assert_eq!(again(&[part("tea", 1), part("cake", 1)], "w2"), "withdrawal_exempt");
    assert_eq!(again(&[part("coffee", 1)], "w2"), "no_such_item");
    assert_eq!(again(&[], "w2"), "invalid_parts");
    assert_eq!(again(&[part("tea", 1)], "w 2"), "invalid_key");
    // The same things are not given up twice.
    let back = |number| adjustment("a", AdjustmentReason::Returned, &[part("tea", number)], 100);
    assert_eq!(code(order.clone().adjusted(&back(3), NOW)), "more_than_bought");
    assert_eq!(code(order.clone().adjusted(&back(2), NOW)), "done");
}

#[test]
fn a_withdrawal_in_time_counts_and_a_second_later_does_not() {
    let order = arrived(NOW);
    let until = order.withdrawal(NOW).lines[0].until.unwrap();
    let early = UnixTime::from_secs(until.as_secs() - 1);
    assert_eq!(code(order.clone().withdrawn_from(&[part("tea", 1)], "w", early)), "done");
    assert_eq!(code(order.clone().withdrawn_from(&[part("tea", 1)], "w", until)), "withdrawal_over");
    // Said in time and repeated late, it was said in time.
    let stated = done(order.withdrawn_from(&[part("tea", 1)], "w", early));
    assert_eq!(code(stated.withdrawn_from(&[part("tea", 1)], "w", until)), "same");
}

#[test]
fn a_statement_asks_for_no_payment_and_calls_off_what_nobody_has_paid() {
    table(
        |order| order.withdrawn_from(&[part("tea", 1)], "w", NOW),
        [
            ("placed", "cancelled"),
            // What is being paid at this moment may be paid: then there is something to give back.
            ("asked", "paying"),
            ("open", "cancelled"),
            ("authorised", "cancelled"),
            ("paid", "paid"),
            ("declined", "cancelled"),
            ("unknown", "unknown"),
            ("cancelled", "order_over"),
            ("expired", "order_over"),
        ],
    );
    let over = done(in_state("placed").withdrawn_from(&[part("tea", 1)], "w", NOW));
    assert!(!over.awaits_settlement());
    assert_eq!(over.acknowledgements()[0].state, WithdrawalState::Settled);
    assert_eq!(code(over.withdrawn_from(&[part("tea", 1)], "w", NOW)), "same");
    // Where something is kept, or was sent, the order goes on.
    let order = done(of(&draft()).withdrawn_from(&[part("tea", 3)], "w", NOW));
    assert_eq!((order.state, order.awaits_settlement()), (OrderState::Placed, true));
    let order = sent(in_state("authorised"), "1", &[part("tea", 1)], NOW);
    let order = done(order.withdrawn_from(&[part("tea", 1)], "w", NOW));
    assert_eq!((order.state, order.awaits_settlement()), (OrderState::Authorised, true));
    assert_eq!(code(order.clone().withdrawal_settled("w", eur(1), NOW)), "order_not_paid");
    assert!(!done(order.withdrawal_settled("w", eur(0), NOW)).awaits_settlement());
    // What was paid of it goes back.
    let part_paid = done(in_state("open").received("t", eur(400), NOW).map(Some));
    let over = done(part_paid.withdrawn_from(&[part("tea", 1)], "w", NOW));
    assert_eq!((over.state, over.ledger.owed), (OrderState::Cancelled, eur(400)));
    let late = in_state("placed").withdrawn_from(&[part("tea", 1)], "w", NOW.plus_s(UNPAID_S));
    assert_eq!(code(late), "order_over");
}

#[test]
fn a_settled_withdrawal_owes_what_the_merchant_says_once() {
    let order = done(arrived(NOW).withdrawn_from(&[part("tea", 2)], "w", NOW));
    assert_eq!(order.withdrawal_worth("w"), Ok(eur(200)));
    assert_eq!(code(order.clone().withdrawal_settled("v", eur(200), NOW)), "no_such_withdrawal");
    assert_eq!(code(order.clone().withdrawal_settled("w", eur(1_301), NOW)), "refund_too_large");
    // Another decision may have the same key.
    let other = adjustment("w", AdjustmentReason::Returned, &[part("tea", 1)], 100);
    let order = done(order.adjusted(&other, NOW));
    let order = done(order.withdrawal_settled("w", eur(150), NOW));
    assert_eq!(order.ledger.owed, eur(250));
    assert!(!order.awaits_settlement());
    assert_eq!(order.acknowledgements()[0].state, WithdrawalState::Settled);
    assert_eq!(code(order.clone().withdrawal_settled("w", eur(150), NOW)), "same");
    assert_eq!(code(order.clone().withdrawal_settled("w", eur(151), NOW)), "key_differs");
    let all = adjustment("x", AdjustmentReason::Returned, &[part("tea", 1)], 0);
    assert_eq!(code(order.adjusted(&all, NOW)), "more_than_bought");
    // Worth nothing any more.
    let order = done(arrived(NOW).withdrawn_from(&[part("tea", 2)], "w", NOW));
    let order = done(order.withdrawal_settled("w", eur(0), NOW));
    assert!(order.ledger.owed.is_zero() && !order.awaits_settlement());
}

/// Three teas for 29.99, a cup of 5.00, and 4.90 for the delivery: 39.89, paid.
fn with_delivery() -> OrderRecord {
    let carriage = Carriage { method: "parcel".into(), title: "Parcel".into(), amount: eur(490), tax: None };
    let two = Draft::new(Currency::EUR)
        .with(Line::new("tea", "Tea", eur(1_000), count(3)).less(eur(1)))
        .line("cup", "Cup", eur(500), count(1))
        .sent_by(carriage);
    answered(paying(of(&two)), Outcome::Paid)
}

fn withdrawn(order: OrderRecord, key: &str, parts: &[Part]) -> OrderRecord {
    done(order.withdrawn_from(parts, key, NOW))
}

fn worth(order: &OrderRecord, key: &str) -> i64 {
    order.withdrawal_worth(key).unwrap().minor()
}

#[test]
fn whoever_keeps_nothing_gets_the_delivery_back_too_and_once() {
    let order = withdrawn(with_delivery(), "1", &[part("tea", 1)]);
    // 29.99 for three.
    assert_eq!(worth(&order, "1"), 1_000);
    let order = withdrawn(order, "2", &[part("tea", 2), part("cup", 1)]);
    assert_eq!((worth(&order, "1"), worth(&order, "2")), (1_000, 1_999 + 500 + 490), "39.89 in all");
    let cheaper = adjustment("a", AdjustmentReason::PriceCorrection, &[part("cup", 1)], 100);
    assert_eq!(code(order.clone().adjusted(&cheaper, NOW)), "more_than_bought", "nothing is kept");
    // Whichever is settled first, the other one's worth stays.
    let settled = done(order.clone().withdrawal_settled("2", eur(2_989), NOW));
    assert_eq!((worth(&settled, "1"), worth(&settled, "2")), (1_000, 2_989));
    let settled = done(order.withdrawal_settled("1", eur(900), NOW));
    assert_eq!((worth(&settled, "1"), worth(&settled, "2")), (900, 2_989));
    // What is kept came by that delivery.
    let order = withdrawn(withdrawn(with_delivery(), "1", &[part("tea", 3)]), "2", &[part("cup", 1)]);
    assert_eq!((worth(&order, "1"), worth(&order, "2")), (2_999, 990));
    assert_eq!(order.withdrawal_worth("3").unwrap_err().code(), "no_such_withdrawal");
}

#[test]
fn each_unit_is_worth_its_price_once() {
    let mut order = with_delivery();
    for key in ["1", "2", "3"] {
        order = withdrawn(order, key, &[part("tea", 1)]);
    }
    let worths: Vec<i64> = ["1", "2", "3"].iter().map(|key| worth(&order, key)).collect();
    assert_eq!(worths, [1_000, 999, 1_000], "29.99, and not three times 10.00");
    // What the shop took back before was paid back before.
    let back = adjustment("a", AdjustmentReason::Returned, &[part("tea", 1)], 1_000);
    let order = withdrawn(done(with_delivery().adjusted(&back, NOW)), "1", &[part("tea", 2), part("cup", 1)]);
    assert_eq!(worth(&order, "1"), 1_999 + 500 + 490);
    // Two lines of one item, and tax on top: from the first line on.
    let tax = LineTax { rate: "19".parse().unwrap(), amount: eur(19), included: false };
    let lines = Draft::new(Currency::EUR).with(Line::new("tea", "Tea", eur(100), count(1)).taxed(tax)).line(
        "tea",
        "Tea",
        eur(70),
        count(2),
    );
    let order = withdrawn(answered(paying(of(&lines)), Outcome::Paid), "1", &[part("tea", 2)]);
    let order = withdrawn(order, "2", &[part("tea", 1)]);
    assert_eq!((worth(&order, "1"), worth(&order, "2")), (119 + 70, 70));
}

#[test]
fn what_was_let_off_afterwards_does_not_go_back_twice() {
    let cheaper = |key: &str, parts: &[Part], minor| adjustment(key, AdjustmentReason::PriceCorrection, parts, minor);
    let order = done(with_delivery().adjusted(&cheaper("a", &[part("cup", 1)], 100), NOW));
    let order = withdrawn(order, "1", &[part("cup", 1)]);
    assert_eq!(worth(&order, "1"), 400);
    // One of three came damaged, and nobody knows which of them comes back: a third of it for each.
    let damaged = adjustment("b", AdjustmentReason::Damaged, &[part("tea", 1)], 300);
    let order = withdrawn(done(order.adjusted(&damaged, NOW)), "2", &[part("tea", 1)]);
    assert_eq!(worth(&order, "2"), 1_000 - 100);
    let order = withdrawn(order, "3", &[part("tea", 2)]);
    assert_eq!(worth(&order, "3"), 1_999 - 200 + 490);
    assert_eq!(worth(&order, "1") + worth(&order, "2") + worth(&order, "3"), 3_989 - 400);
    // Later it concerns what was kept until then alone, and several things by what they cost.
    let order = withdrawn(with_delivery(), "1", &[part("tea", 1)]);
    let later = cheaper("a", &[part("tea", 2), part("cup", 1)], 500);
    let order = done(order.adjusted(&later, NOW.plus_s(60)));
    assert_eq!(worth(&order, "1"), 1_000);
    let order = done(order.withdrawn_from(&[part("tea", 2), part("cup", 1)], "2", NOW.plus_s(90)));
    assert_eq!((worth(&order, "1"), worth(&order, "2")), (1_000, 2_989 - 500));
    // More was let off than it cost.
    let order = done(with_delivery().adjusted(&cheaper("a", &[part("cup", 1)], 700), NOW));
    assert_eq!(worth(&withdrawn(order, "1", &[part("cup", 1)]), "1"), 0);
}

#[test]
fn all_worths_together_are_no_more_than_what_is_left() {
    // Something went back for no thing in particular.
    for refunded in [0, 1, 490, 2_000, 3_888, 3_989] {
        let mut order = with_delivery();
        if refunded > 0 {
            order = balanced(order.refunded("kind", eur(refunded)).unwrap()).order;
        }
        for (key, parts) in [("1", [part("tea", 1)]), ("2", [part("cup", 1)]), ("3", [part("tea", 2)])] {
            order = withdrawn(order, key, &parts);
        }
        let sum: i64 = ["1", "2", "3"].iter().map(|key| worth(&order, key)).sum();
        assert_eq!(sum, 3_989 - refunded, "{refunded}");
        // And so each can be settled for what it is worth.
        for key in ["2", "1", "3"] {
            let amount = order.withdrawal_worth(key).unwrap();
            order = done(order.withdrawal_settled(key, amount, NOW));
        }
        assert!(order.ledger.settled().unwrap().is_zero(), "{refunded}");
    }
    // What is not paid is worth nothing.
    let order = withdrawn(sent(in_state("authorised"), "1", &[part("tea", 1)], NOW), "w", &[part("tea", 1)]);
    assert_eq!(worth(&order, "w"), 0);
}

#[test]
fn what_is_withdrawn_from_before_it_left_need_not_leave() {
    let order = sent(paid(), "1", &[part("tea", 1), part("cake", 1), part("book", 1)], NOW);
    let order = done(order.withdrawn_from(&[part("tea", 1), part("cup", 1)], "w", NOW));
    assert_eq!(order.unsent(), [part("tea", 1)]);
    // It may be on its way already: that is no lie, and is written down.
    let order = sent(order, "2", &[part("tea", 2), part("cup", 1)], NOW);
    assert_eq!(order.fulfilment(), Fulfilment::Sent);
}

#[test]
fn an_exemption_holds_from_when_its_condition_is_met() {
    for (why, before, after_sent, after_delivered) in [
        (Exemption::MadeToMeasure, false, false, false),
        (Exemption::NoConsumer, false, false, false),
        (Exemption::SealedHygiene, true, true, true),
        (Exemption::SealedMedia, true, true, true),
        (Exemption::Mixed, true, true, true),
        (Exemption::DigitalBegun, true, false, false),
        (Exemption::ServicePerformed, true, true, false),
    ] {
        let line = Line::new("thing", "Thing", eur(100), count(2)).no_withdrawal(why);
        let order = answered(paying(of(&Draft::new(Currency::EUR).with(line))), Outcome::Paid);
        assert_eq!(order.withdrawal(NOW).is_open(), before, "{why:?}");
        let step = order.sent(&Parcel::new("1", vec![part("thing", 2)]), NOW).unwrap().unwrap();
        assert_eq!(step.order.withdrawal(NOW).is_open(), after_sent, "{why:?}");
        let step = step.order.delivered("1", NOW).unwrap().unwrap();
        assert_eq!(step.order.withdrawal(NOW).is_open(), after_delivered, "{why:?}");
        assert_eq!(serde_json::to_string(&why).unwrap(), format!("\"{}\"", why.name()));
    }
}

#[test]
fn one_item_on_several_lines_is_counted_together() {
    let line = |number| Line::new("tea", "Tea", eur(100), count(number));
    let two = Draft::new(Currency::EUR).with(line(2)).with(line(1).no_withdrawal(Exemption::MadeToMeasure));
    let order = answered(paying(of(&two)), Outcome::Paid);
    let order = done(order.sent(&Parcel::new("1", vec![part("tea", 3)]), NOW));
    let found = order.withdrawal(NOW);
    assert_eq!((found.lines.len(), found.lines[0].left), (1, 2));
    assert_eq!(code(order.clone().withdrawn_from(&[part("tea", 3)], "w", NOW)), "more_than_bought");
    assert_eq!(code(order.withdrawn_from(&[part("tea", 2)], "w", NOW)), "done");
}
