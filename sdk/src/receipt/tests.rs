//! Receipts of orders that took the steps of orders; each rule of the rulebook is broken once.

use super::*;
use crate::{
    money::{Quantity, Rate},
    order::{
        Address, Attempt, Buyer, Carriage, Draft, Happened, Ledger, Line, LineTax, OrderEvent, OrderId, OrderRecord,
        Placing, RefundReason, RefundRecord, RefundState, Settled, Source, Step,
    },
    rail::{Outcome, Reference},
    time::Zone,
};

const NOON: UnixTime = UnixTime::from_secs(1_795_348_800);

fn euro(text: &str) -> Money {
    Money::parse(text, Currency::EUR).unwrap()
}

fn tax(rate: &str, amount: &str, included: bool) -> LineTax {
    LineTax { rate: rate.parse::<Rate>().unwrap(), amount: euro(amount), included }
}

fn issuer() -> ReceiptIssuer {
    let address = Address {
        name: "Blatt & Rebe GmbH".into(),
        street: "Rebenweg 3".into(),
        postal_code: "67346".into(),
        locality: "Speyer".into(),
        country: "DE".into(),
    };
    ReceiptIssuer::new(&address, "DE123456789")
}

/// Two bottles with a reduction, a book and a parcel: 36.65.
fn draft() -> Draft {
    let wine = Line::new("wine", "Wine", euro("11.90"), Quantity::new(2).unwrap()).less(euro("3.80"));
    let book = Line::new("book", "Book", euro("10.70"), Quantity::new(1).unwrap());
    Draft::new(Currency::EUR)
        .with(wine.taxed(tax("19", "3.19", true)))
        .with(book.taxed(tax("7", "0.70", true)))
        .sent_by(Carriage {
            method: "parcel".into(),
            title: "Parcel".into(),
            amount: euro("5.95"),
            tax: Some(tax("19", "0.95", true)),
        })
}

/// An order with all that lies beside it.
struct Kept {
    order: OrderRecord,
    events: Vec<OrderEvent>,
    refunds: Vec<RefundRecord>,
}

impl Kept {
    fn of(draft: &Draft) -> Self {
        let placing = Placing {
            id: OrderId::from_random([1; 16]),
            reference: Reference::from_random([2; 8]),
            buyer: Buyer::Guest,
            proofs: Vec::new(),
            checkout: None,
            zone: Zone::Utc,
            at: NOON,
        };
        let step = OrderRecord::placed(draft, placing).unwrap();
        let mut kept = Self { order: step.order.clone(), events: Vec::new(), refunds: Vec::new() };
        kept.take(step, NOON);
        kept
    }

    fn take(&mut self, step: Step, at: UnixTime) {
        self.order = step.order;
        for what in step.happened {
            let number = u32::try_from(self.events.len()).unwrap() + 1;
            self.events.push(OrderEvent { order: self.order.id.clone(), number, at, what });
        }
        for refund in step.owed.into_iter().chain(step.changed) {
            self.refunds.retain(|known| known.key != refund.key);
            self.refunds.push(refund);
        }
    }

    fn transferred(mut self, amount: &str) -> Self {
        let step = self.order.clone().received("t", euro(amount), NOON.plus_s(60)).unwrap();
        self.take(step, NOON.plus_s(60));
        self
    }

    fn refunded(mut self, key: &str, amount: &str) -> Self {
        let at = NOON.plus_s(3600);
        let step = self.order.clone().refunded(key, euro(amount)).unwrap();
        let owed = step.owed.clone();
        self.take(step, at);
        for refund in owed {
            let refund = RefundRecord { sealed_account: Some("s".into()), ..refund };
            let step = self.order.clone().refund_sending(refund, at).unwrap();
            let sending = step.changed[0].clone();
            self.take(step, at);
            let done = self.order.clone().refund_answered(sending, 1, &crate::rail::RefundOutcome::Done, at);
            self.take(done.unwrap().unwrap(), at);
        }
        self
    }

    fn receipts_by(&self, issuer: &ReceiptIssuer) -> Result<Vec<Receipt>, ReceiptError> {
        let means = |rail: &str| if rail == "card" { Means::Card } else { Means::Other };
        Books { order: &self.order, events: &self.events, refunds: &self.refunds, issuer, means: &means }.receipts()
    }

    fn receipts(&self) -> Vec<Receipt> {
        self.receipts_by(&issuer()).unwrap()
    }
}

#[test]
fn a_purchase_says_every_line_every_tax_and_how_it_was_paid() {
    let kept = Kept::of(&draft()).transferred("36.65");
    let receipt = kept.receipts().remove(0);
    assert_eq!(receipt.check(), Ok(()));
    let json = receipt.to_json();
    assert_eq!(json["type"], "PURCHASE");
    assert_eq!(json["receiptNumber"], kept.order.reference.as_str());
    assert_eq!(json["receiptTimeStamp"], "2026-11-22T12:01:00Z");
    assert_eq!(json["totalPriceIncVAT"], 3665);
    assert_eq!(json["totalVATAmount"], 484);
    assert_eq!(json["totalPriceExcVAT"], 3181);
    let wine = serde_json::json!({
        "name": "Wine",
        "quantity": "2",
        "quantityCode": "H87",
        "unitPriceIncVAT": 1190,
        "totalAmountExcVAT": 1681,
        "totalAmountIncVAT": 2000,
        "vats": [{"VATRate": "19", "VATAmount": 319, "totalAmountExcVAT": 1681, "totalAmountIncVAT": 2000, "VATCode": "S"}],
        "discounts": [{"type": "DISCOUNT", "amount": 380}],
        "productId": "wine",
    });
    assert_eq!(json["products"][0], wine);
    assert_eq!(json["products"][2]["name"], "Parcel");
    let rates: Vec<_> = receipt.vats.iter().map(|vat| (vat.rate.as_str(), vat.net_minor, vat.vat_minor)).collect();
    assert_eq!(rates, [("19", 2181, 414), ("7", 1000, 70)]);
    assert_eq!(json["payments"], serde_json::json!([{"type": "CREDIT_TRANSFER", "amount": 3665}]));
    assert_eq!(json["merchant"]["companyID"], "DE123456789");
    assert_eq!(serde_json::from_value::<Receipt>(json).unwrap(), receipt, "it reads back");
    assert_eq!((receipt.decimal(3665), receipt.decimal(-5)), ("36.65".to_owned(), "-0.05".to_owned()));
}

#[test]
fn tax_on_top_is_in_the_total_and_in_the_price_of_one() {
    let desk = Line::new("desk", "Desk", euro("100"), Quantity::new(1).unwrap()).taxed(tax("19", "19", false));
    let kept = Kept::of(&Draft::new(Currency::EUR).with(desk)).transferred("119");
    let receipt = kept.receipts().remove(0);
    assert_eq!((receipt.net_minor, receipt.vat_minor, receipt.gross_minor), (10_000, 1_900, 11_900));
    assert_eq!(receipt.products[0].unit_minor, 11_900);
}

#[test]
fn what_goes_back_is_a_receipt_of_its_own_and_all_of_them_make_the_purchase() {
    let parts = ["10", "0.01", "20.02", "6.62"];
    let kept = parts.iter().enumerate().fold(Kept::of(&draft()).transferred("36.65"), |kept, (at, amount)| {
        kept.refunded(&format!("part-{at}"), amount)
    });
    let receipts = kept.receipts();
    let (sale, returns) = receipts.split_first().unwrap();
    assert_eq!(*sale, Kept::of(&draft()).transferred("36.65").receipts()[0], "the purchase stays what it was");
    assert_eq!(returns.len(), parts.len());
    for receipt in returns {
        assert_eq!((receipt.kind, receipt.original.as_ref()), (ReceiptKind::Return, Some(&sale.number)));
        assert!(receipt.number.starts_with(&format!("{}-", sale.number)));
        assert_eq!(receipt.products.iter().map(|product| &product.name).collect::<Vec<_>>()[0], "Refund");
    }
    let mut numbers: Vec<_> = receipts.iter().map(|receipt| &receipt.number).collect();
    numbers.dedup();
    assert_eq!(numbers.len(), receipts.len());
    let all = |part: fn(&Receipt) -> i64| receipts.iter().map(part).sum::<i64>();
    assert_eq!((all(|r| r.net_minor), all(|r| r.vat_minor), all(|r| r.gross_minor)), (0, 0, 0), "to the cent");
    for rate in ["19", "7"] {
        let of_rate: i64 =
            receipts.iter().flat_map(|r| &r.vats).filter(|vat| vat.rate == rate).map(|vat| vat.vat_minor).sum();
        assert_eq!(of_rate, 0, "{rate}");
    }
}

#[test]
fn all_of_it_goes_back_line_by_line() {
    let kept = Kept::of(&draft()).transferred("36.65").refunded("all", "36.65");
    let receipts = kept.receipts();
    let back = &receipts[1];
    assert_eq!(back.products.len(), 3);
    assert_eq!(back.products[0].gross_minor, -2000);
    assert_eq!(back.to_json()["payments"], serde_json::json!([{"type": "CREDIT_TRANSFER", "amount": -3665}]));
}

#[test]
fn what_came_too_much_stands_on_no_receipt() {
    let kept = Kept::of(&draft()).transferred("40");
    let mut kept = kept;
    let overpaid = kept.refunds[0].clone();
    assert_eq!(overpaid.reason, RefundReason::Overpaid);
    let step = kept.order.clone().refunded_by_hand(RefundRecord { state: RefundState::ByHand, ..overpaid }).unwrap();
    kept.take(step.unwrap(), NOON.plus_s(90));
    let receipts = kept.receipts();
    assert_eq!((receipts.len(), receipts[0].gross_minor), (1, 3665));
}

#[test]
fn what_was_never_collected_is_taken_off_by_rate() {
    let mut kept = Kept::of(&draft()).transferred("36.65");
    // Of a card, a part was captured and the rest given up.
    kept.order.ledger = Ledger {
        received: euro("20"),
        settled: vec![Settled { by: Source::Attempt(1), amount: euro("20") }],
        owed: euro("0"),
        refunded: euro("0"),
    };
    kept.order.waived = euro("16.65");
    kept.order.attempts = vec![Attempt {
        number: 1,
        rail: "card".into(),
        amount: euro("36.65"),
        begun_at: NOON,
        outcome: Some(Outcome::Paid),
        contradicted: false,
        captures: Vec::new(),
        void: None,
        taken_back: Vec::new(),
        lost: None,
    }];
    let receipt = kept.receipts().remove(0);
    assert_eq!((receipt.kind, receipt.gross_minor), (ReceiptKind::PurchaseAndReturn, 2000));
    assert_eq!(receipt.payments, [Paid { by: Means::Card, amount_minor: 2000 }]);
    let off: Vec<_> = receipt.products.iter().filter(|product| product.name == "Not charged").collect();
    assert_eq!(off.iter().map(|product| product.gross_minor).sum::<i64>(), -1665);
    // What a provider takes back later changes nothing about it, and is no return.
    let step = kept.order.clone().taken_back(1, "dispute", euro("20"), Vec::new()).unwrap().unwrap();
    kept.take(step, NOON.plus_s(99));
    assert_eq!(kept.receipts(), [receipt]);
}

#[test]
fn there_is_no_receipt_of_what_is_not_paid_or_says_no_tax() {
    let open = Kept::of(&draft());
    assert_eq!(open.receipts_by(&issuer()), Err(ReceiptError::NotPaid(OrderState::Placed)));
    let part = Kept::of(&draft()).transferred("10");
    assert_eq!(part.receipts_by(&issuer()).unwrap_err().code(), "receipt_not_paid");
    let over = Kept::of(&draft());
    let cancelled = over.order.clone().cancelled(NOON).unwrap().unwrap();
    let mut over = over;
    over.take(cancelled, NOON);
    assert_eq!(over.receipts_by(&issuer()), Err(ReceiptError::NotPaid(OrderState::Cancelled)));

    let tea = || Draft::new(Currency::EUR).line("tea", "Tea", euro("4"), Quantity::new(1).unwrap());
    let kept = Kept::of(&tea()).transferred("4");
    assert_eq!(kept.receipts_by(&issuer()), Err(ReceiptError::NoTax("tea".into())));
    let exempt = kept.receipts_by(&issuer().exempt()).unwrap().remove(0);
    let vat = serde_json::json!([
        {"VATRate": "0", "totalVATAmount": 0, "totalAmountExcVAT": 400, "totalAmountIncVAT": 400, "VATCode": "E"}
    ]);
    assert_eq!(exempt.to_json()["vats"], vat);
    // A rate of zero is said; of which kind it is, nobody knows.
    let zero = Line::new("book", "Book", euro("4"), Quantity::new(1).unwrap()).taxed(tax("0", "0", true));
    let zero = Kept::of(&Draft::new(Currency::EUR).with(zero)).transferred("4").receipts().remove(0);
    assert_eq!(zero.vats[0].code, None);
}

#[test]
fn a_receipt_with_one_rule_broken_is_not_issued() {
    let receipts = Kept::of(&draft()).transferred("36.65").refunded("part", "5").receipts();
    let check = |at: usize, bend: fn(&mut Receipt), code: &str| {
        let mut bent = receipts[at].clone();
        bend(&mut bent);
        assert_eq!(bent.check().map_err(|error| error.code()), Err(code));
    };
    check(0, |it| it.net_minor += 1, "receipt_total");
    check(0, |it| it.vats[0].vat_minor += 1, "receipt_vat");
    check(0, |it| it.payments[0].amount_minor -= 1, "receipt_payments");
    check(0, |it| it.vats[0].net_minor += 1, "receipt_lines");
    check(0, |it| it.products[0].gross_minor += 1, "receipt_lines");
    check(0, |it| it.products[0].net_minor += 1, "receipt_lines");
    check(0, |it| it.products[0].vats[0].vat_minor += 1, "receipt_lines");
    check(0, |it| it.products[0].vats[0].gross_minor += 1, "receipt_lines");
    check(0, |it| it.products[0].unit_minor = -1, "receipt_sign");
    check(0, |it| it.products[0].discounts[0].amount_minor = -1, "receipt_sign");
    check(0, |it| it.kind = ReceiptKind::Return, "receipt_sign");
    check(0, |it| it.original = Some("RF".into()), "receipt_link");
    check(1, |it| it.kind = ReceiptKind::Purchase, "receipt_sign");
    check(1, |it| it.original = None, "receipt_link");
    check(1, |it| it.original = Some(it.number.clone()), "receipt_link");
    check(0, |it| it.products.clear(), "receipt_empty");
    check(0, |it| it.vats.clear(), "receipt_empty");
    check(0, |it| it.payments.clear(), "receipt_empty");
    // Numbers at the end of their range are counted, and do not wrap.
    check(0, |it| (it.net_minor, it.vat_minor) = (i64::MAX, i64::MAX), "receipt_total");
}

#[test]
fn a_seller_is_somebody() {
    assert_eq!(issuer().check(), Ok(()));
    assert_eq!(issuer().branch("", "Shop").check().unwrap_err().code(), "receipt_seller");
    assert_eq!(issuer().branch("web", "a\nb").check(), Err(ReceiptError::SellerText("branch's name")));
    let mut nowhere = issuer();
    nowhere.seller.address.country = "Germany".into();
    assert_eq!(nowhere.check(), Err(ReceiptError::Seller(AddressError::Country)));
}

#[test]
fn a_returned_transfer_that_came_back_stands_on_no_receipt_until_it_goes_again() {
    let mut kept = Kept::of(&draft()).transferred("36.65").refunded("part", "5");
    assert_eq!(kept.receipts().len(), 2);
    let done = kept.refunds.iter().position(|refund| refund.reason == RefundReason::Requested).unwrap();
    kept.refunds[done].state = RefundState::Owed;
    assert_eq!(kept.receipts().len(), 1);
    kept.refunds[done].state = RefundState::Done;
    let key = kept.refunds[done].key.clone();
    let number = u32::try_from(kept.events.len()).unwrap() + 1;
    let what = Happened::Refunded { key, amount: euro("5") };
    kept.events.push(OrderEvent { order: kept.order.id.clone(), number, at: NOON.plus_s(7200), what });
    let again = kept.receipts().remove(1);
    assert!(again.number.ends_with(&format!("-{number}")), "{}", again.number);
}
