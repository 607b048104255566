//! Offers that are put together, and the states of a checkout.

use super::*;
use crate::{
    money::{Currency, MoneyError, Quantity, Rate},
    order::{Draft, FromCheckout, LineTax, Placing},
    time::Zone,
    trade::{Cut, Item, Levy, Way},
};

fn euro(text: &str) -> Money {
    Money::parse(text, Currency::EUR).unwrap()
}

fn rate(percent: &str) -> Rate {
    percent.parse().unwrap()
}

fn wished() -> Wishes {
    Wishes::new().item("tea", Quantity::new(2).unwrap()).item("book", Quantity::new(1).unwrap())
}

fn wishes() -> CheckedWishes {
    wished().checked().unwrap()
}

fn cart(wishes: &CheckedWishes) -> Cart {
    let items = [Item::new("tea", "Tea", euro("11.90")).sent(100), Item::new("book", "Book", euro("10.70"))];
    Cart::of(Currency::EUR, wishes, items.map(Some).to_vec())
}

fn known<'a>(is_customer: bool, proved: &'a (dyn Fn(&str) -> bool + Sync)) -> BuyerFacts<'a> {
    BuyerFacts { is_customer, proved, used: &|_| false }
}

fn codes(offering: &Offering) -> Vec<&str> {
    offering.messages.iter().map(|message| message.code.as_str()).collect()
}

#[test]
fn no_more_is_let_off_than_a_line_costs() {
    let (wishes, mut cart) = (wishes(), cart(&wishes()));
    let cuts = vec![
        Cut::new("Too much", vec![euro("20.00"), euro("99.00")]),
        Cut::new("And more", vec![euro("9.00")]),
        Cut::new("Nothing is left", vec![euro("1.00")]),
    ];
    cart.cut(cuts, &wishes, &known(true, &|_| false)).unwrap();
    let offering = cart.offering().unwrap();
    let reductions: Vec<_> = offering.reductions.iter().map(|it| (it.title.as_str(), it.amount)).collect();
    assert_eq!(reductions, [("Too much", euro("30.70")), ("And more", euro("3.80"))]);
    assert_eq!((offering.totals.discounts, offering.totals.total), (euro("34.50"), euro("0")));
    assert!(offering.totals.is_balanced());
}

#[test]
fn a_price_for_a_proof_is_offered_then_provisional_then_sure() {
    let student = || Cut::new("Students", vec![euro("5.00")]).for_proof("student");
    let no = |_: &str| false;
    let (plain, claiming) = (wishes(), wished().claims("student").checked().unwrap());

    let mut offered = cart(&plain);
    offered.cut(vec![student()], &plain, &known(true, &no)).unwrap();
    let offered = offered.offering().unwrap();
    assert_eq!((offered.offered[0].ask.as_str(), offered.totals.discounts), ("student", euro("0")));
    assert_eq!(offered.status(), Status::ReadyForComplete, "nobody has to prove what they do not want");

    let mut provisional = cart(&claiming);
    provisional.cut(vec![student()], &claiming, &known(true, &no)).unwrap();
    let provisional = provisional.offering().unwrap();
    assert_eq!((provisional.provisional, provisional.totals.discounts), (true, euro("5.00")));
    assert_eq!((provisional.status(), codes(&provisional)), (Status::RequiresEscalation, vec!["proof_needed"]));

    let mut sure = cart(&plain);
    sure.cut(vec![student()], &plain, &known(true, &|ask| ask == "student")).unwrap();
    let sure = sure.offering().unwrap();
    assert_eq!((sure.provisional, sure.totals.discounts), (false, euro("5.00")));
    assert_eq!((sure.status(), sure.needs), (Status::ReadyForComplete, vec!["student".to_owned()]));
}

#[test]
fn what_is_each_customer_s_once_is_no_guest_s() {
    let (wishes, cut) = (wished().code("Hello").checked().unwrap(), || {
        Cut::new("Welcome", vec![euro("1.00")]).by_code("Hello").using(Coupon::once_per_customer("hello").unwrap())
    });
    let mut guest = cart(&wishes);
    guest.cut(vec![cut()], &wishes, &known(false, &|_| false)).unwrap();
    let guest = guest.offering().unwrap();
    assert_eq!((codes(&guest), guest.totals.discounts), (vec!["discount_for_customers"], euro("0")));
    let mut customer = cart(&wishes);
    customer.cut(vec![cut()], &wishes, &known(true, &|_| false)).unwrap();
    assert_eq!(customer.offering().unwrap().coupons, [Coupon::once_per_customer("hello").unwrap()]);
    let mut again = cart(&wishes);
    let used = BuyerFacts { is_customer: true, proved: &|_| false, used: &|coupon| coupon.name() == "hello" };
    again.cut(vec![cut()], &wishes, &used).unwrap();
    assert_eq!(codes(&again.offering().unwrap()), ["discount_used"]);
}

#[test]
fn a_coupon_has_a_name() {
    for text in ["", "  ", "a\nb", &"a".repeat(513)] {
        assert_eq!(Coupon::once(text), Err(NotACouponName), "{text:?}");
        assert_eq!(Coupon::once_per_customer(text), Err(NotACouponName), "{text:?}");
    }
    assert!(Coupon::once("a".repeat(512)).is_ok());
}

#[test]
fn a_business_elsewhere_owes_the_tax_itself() {
    let (wishes, mut cart) = (wishes(), cart(&wishes()));
    let way = Way::new("parcel", "Parcel", euro("5.95"));
    cart.cut(vec![Cut::new("Off", vec![euro("2.38"), euro("1.07")])], &wishes, &known(true, &|_| false)).unwrap();
    cart.send(vec![way], None);
    assert_eq!(cart.classes(), ["standard", "standard", "standard"]);
    let reverse = |percent| Levy::ReverseCharge { included: Some(rate(percent)) };
    cart.tax(&[reverse("19"), reverse("7"), reverse("19")]).unwrap();
    let offering = cart.offering().unwrap();
    assert!(offering.reverse_charge);
    let sums = &offering.totals;
    assert_eq!((sums.lines, sums.discounts, sums.shipping), (euro("30.00"), euro("3.00"), euro("5.00")));
    assert_eq!((sums.tax, sums.total), (euro("0"), euro("32.00")));
    assert_eq!(
        sums.taxes.iter().map(|part| (part.rate, part.net, part.tax)).collect::<Vec<_>>(),
        [(Rate::ZERO, euro("32.00"), euro("0"))]
    );
    assert_eq!(offering.reductions[0].amount, euro("3.00"));
}

#[test]
fn tax_comes_on_top_or_is_within_also_of_the_way() {
    let mut cart = cart(&wishes());
    cart.send(vec![Way::new("parcel", "Parcel", euro("5.95"))], Some("balloon"));
    cart.tax(&[Levy::OnTop(rate("19")), Levy::None, Levy::Included(rate("19"))]).unwrap();
    let offering = cart.offering().unwrap();
    assert_eq!((offering.totals.tax, offering.totals.total), (euro("4.52"), euro("44.97")));
    let within = LineTax { rate: rate("19"), amount: euro("0.95"), included: true };
    assert_eq!(offering.carriage.as_ref().unwrap().tax, Some(within));
    assert_eq!(codes(&offering), ["way_changed"]);
    assert_eq!(offering.status(), Status::ReadyForComplete);
}

#[test]
fn sending_is_taxed_as_most_of_what_is_sent_where_it_says_so() {
    let parcel = || Way::new("parcel", "Parcel", euro("5.95"));
    for (tea, wine, book, class) in [(2, 1, 9, "food"), (1, 1, 1, "standard"), (1, 0, 0, "food"), (0, 1, 0, "standard")]
    {
        let mut wishes = Wishes::new();
        let mut items = Vec::new();
        for (count, item) in [
            (tea, Item::new("tea", "Tea", euro("9.00")).sent(100).taxed_as("food")),
            (wine, Item::new("wine", "Wine", euro("12.00")).sent(100)),
            (book, Item::new("book", "A book as a file", euro("10.00")).taxed_as("books")),
        ] {
            if let Ok(count) = Quantity::new(count) {
                wishes = wishes.item(&item.name, count);
                items.push(Some(item));
            }
        }
        let mut cart = Cart::of(Currency::EUR, &wishes.checked().unwrap(), items);
        cart.send(vec![parcel().taxed_as_goods(), parcel().taxed_as("sending")], None);
        assert_eq!(cart.classes().last().map(String::as_str), Some(class), "{tea} {wine} {book}");
        let taxes: Vec<String> = cart.offering().unwrap().ways.into_iter().map(|way| way.tax).collect();
        assert_eq!(taxes, [class, "sending"], "what is shown is what is taxed");
    }
    // Of equals it is the first; what is let off counts.
    let wishes = Wishes::new().item("tea", Quantity::new(1).unwrap()).item("wine", Quantity::new(1).unwrap());
    let wishes = wishes.checked().unwrap();
    let items = [
        Item::new("tea", "Tea", euro("9.00")).sent(100).taxed_as("food"),
        Item::new("wine", "Wine", euro("9.00")).sent(100),
    ];
    for (off, class) in [("0.00", "food"), ("0.01", "standard")] {
        let mut cart = Cart::of(Currency::EUR, &wishes, items.clone().map(Some).to_vec());
        cart.cut(vec![Cut::new("Off", vec![euro(off)])], &wishes, &known(true, &|_| false)).unwrap();
        cart.send(vec![parcel().taxed_as_goods()], None);
        assert_eq!(cart.classes().last().map(String::as_str), Some(class), "{off}");
    }
}

#[test]
fn what_is_too_heavy_says_how_much_is_not() {
    for (grams, text) in [(500, "500 g"), (20_000, "20 kg"), (31_500, "31.5 kg"), (2_050, "2.05 kg")] {
        let mut cart = cart(&wishes());
        cart.not_sent_there(Some(grams));
        let offering = cart.offering().unwrap();
        assert_eq!((codes(&offering), offering.status()), (vec!["too_heavy"], Status::Incomplete));
        assert_eq!(offering.messages[0].text, format!("This is too heavy to be sent there at once: at most {text}."));
    }
    let mut cart = cart(&wishes());
    cart.not_sent_there(None);
    assert_eq!(codes(&cart.offering().unwrap()), ["not_sent_there"]);
}

#[test]
fn another_currency_is_no_price() {
    let francs = Item::new("tea", "Tea", Money::parse("1", Currency::CHF).unwrap());
    let wishes = Wishes::new().item("tea", Quantity::new(1).unwrap()).checked().unwrap();
    assert!(matches!(
        Cart::of(Currency::EUR, &wishes, vec![Some(francs)]).offering(),
        Err(MoneyError::OtherCurrency { .. })
    ));
}

const NOW: UnixTime = UnixTime::from_secs(1_000);

/// What is offered for the wishes.
fn offered() -> Offering {
    let mut cart = cart(&wishes());
    cart.send(vec![Way::new("parcel", "Parcel", euro("1.00"))], None);
    cart.offering().unwrap()
}

fn agreed() -> Agreed {
    Agreed {
        order: OrderId::from_random([1; 16]),
        reference: Reference::from_random([1; 8]),
        rail: Some("fake".into()),
        awaited: Awaited::default(),
        at: NOW,
    }
}

/// A checkout that was begun now.
fn begun() -> CheckoutRecord {
    let record = CheckoutRecord {
        id: CheckoutId::from_random([7; 16]),
        buyer: Buyer::Guest,
        guest: None,
        revision: 0,
        wishes: wishes(),
        address: None,
        so_far: None,
        offering: Offering::nothing(Currency::EUR),
        failed: Vec::new(),
        stage: Stage::Open,
        tries: 0,
        wrong_words: 0,
        begun_at: NOW,
        changed_at: NOW,
        operation: String::new(),
    };
    record.changed(wishes(), offered(), NOW).unwrap()
}

fn no() -> Message {
    Message::failed(MessageCode::OutOfStock, "no")
}

/// The order that was agreed to: free, and so a sale at once, or still to be paid.
fn its_order(is_free: bool) -> OrderRecord {
    let agreed = agreed();
    let price = if is_free { "0.00" } else { "9.90" };
    let from = FromCheckout {
        id: begun().id,
        coupons: Vec::new(),
        holds: false,
        vat_id: None,
        awaited: Awaited::default(),
        confirmed_at: None,
    };
    let draft = Draft::new(Currency::EUR).line("book", "A book", euro(price), Quantity::new(1).unwrap());
    let placing = Placing {
        id: agreed.order,
        reference: agreed.reference,
        buyer: Buyer::Guest,
        proofs: Vec::new(),
        checkout: Some(from),
        zone: Zone::Utc,
        at: NOW,
    };
    OrderRecord::placed(&draft, placing).unwrap().follow_checkout(false, NOW).unwrap().order
}

#[test]
fn every_step_is_taken_from_where_it_begins_and_from_nowhere_else() {
    type Taken = Result<Option<CheckoutRecord>, CheckoutError>;
    type Taking = fn(CheckoutRecord) -> Taken;
    let order = || agreed().order;
    let stages = [
        Stage::Open,
        Stage::Holding(agreed()),
        Stage::Paying(agreed()),
        Stage::Completed { order: order() },
        Stage::Canceled,
    ];
    let steps: [(&str, Taking); 8] = [
        ("changed", |it| it.changed(wishes(), offered(), NOW).map(Some)),
        ("offered_anew", |it| it.offered_anew(offered(), no(), NOW).map(Some)),
        ("agreed", |it| {
            let (revision, total) = (it.revision, it.offering.totals.total);
            it.agreed(revision, total, agreed()).map(Some)
        }),
        ("paying", |it| it.paying(NOW).map(Some)),
        ("reopened", |it| it.reopened(no(), NOW).map(Some)),
        ("canceled", |it| it.canceled(NOW)),
        ("settled", |it| Ok(it.settled(&its_order(true), NOW))),
        ("settled by an open order", |it| Ok(it.settled(&its_order(false), NOW))),
    ];
    // By stage: where the step leads to, or what is said of it.
    let (progress, over) = ("checkout_in_progress", "checkout_over");
    let expected = [
        ["open", progress, progress, over, over],
        ["open", progress, progress, over, over],
        ["holding", progress, progress, over, over],
        ["checkout_not_there", "paying", "checkout_not_there", over, over],
        ["checkout_not_there", "open", "checkout_not_there", over, over],
        ["canceled", progress, progress, over, "nothing"],
        ["nothing", "nothing", "completed", "nothing", "nothing"],
        ["nothing"; 5],
    ];
    for ((name, step), expected) in steps.into_iter().zip(expected) {
        for (stage, expected) in stages.iter().zip(expected) {
            let record = CheckoutRecord { stage: stage.clone(), ..begun() };
            let found = match step(record.clone()) {
                Err(error) => error.code(),
                Ok(None) => "nothing",
                Ok(Some(next)) => {
                    assert_eq!(next.revision, record.revision + 1, "{name} from {stage:?}");
                    match next.stage {
                        Stage::Open => "open",
                        Stage::Holding(_) => "holding",
                        Stage::Paying(_) => "paying",
                        Stage::Completed { .. } => "completed",
                        Stage::Canceled => "canceled",
                    }
                }
            };
            assert_eq!(found, expected, "{name} from {stage:?}");
        }
    }
    // Another order says nothing about it.
    let mut other = its_order(true);
    other.id = OrderId::from_random([2; 16]);
    assert_eq!(CheckoutRecord { stage: Stage::Paying(agreed()), ..begun() }.settled(&other, NOW), None);
}

#[test]
fn a_checkout_changes_only_while_it_is_open_and_as_it_was_seen() {
    let (now, record) = (NOW, begun());
    let total = record.offering.totals.total;
    assert_eq!(record.clone().agreed(2, total, agreed()), Err(CheckoutError::Stale { said: 2, now: 1 }));
    let other = record.clone().agreed(1, euro("1"), agreed());
    assert_eq!(other, Err(CheckoutError::OtherTotal { said: euro("1"), now: total }));
    let holding = record.clone().agreed(1, total, agreed()).unwrap();
    assert_eq!((holding.status(), holding.expires_at()), (Status::CompleteInProgress, None));
    assert_eq!(holding.changeable(holding.revision), Err(CheckoutError::InProgress));
    assert_eq!(holding.clone().canceled(now), Err(CheckoutError::InProgress));
    let open = holding.reopened(no(), now).unwrap();
    assert_eq!((open.revision, open.status()), (3, Status::ReadyForComplete));
    let canceled = open.canceled(now).unwrap().unwrap();
    assert_eq!(canceled.changeable(canceled.revision), Err(CheckoutError::Over(Status::Canceled)));
    assert_eq!(canceled.expires_at(), Some(now.plus_s(OVER_S)));
    let text = serde_json::to_string(&canceled).unwrap();
    assert_eq!(serde_json::from_str::<CheckoutRecord>(&text).unwrap(), canceled);
}
