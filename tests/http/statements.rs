//! The merchant's bank: statements that book what arrived, files of what goes back, and everything in them that could book
//! money twice, for the wrong order, or not at all.

use firsthand::{
    Merchant,
    merchant::{Became, Booking, Order, StatementLine, Transfer, WaitsBecause},
    money::{Currency, Money},
    order::{BankAccount, OrderState, RefundReason, RefundState},
    rail::{
        Sepa, Statement,
        sepa::{LeftOutBecause, PainVersion},
    },
    store::{Memory, Store},
    testing::faulty::{Fault, Faulty},
    time::Day,
};
use firsthand_axum::testing::TestShop;

use crate::{
    made_statements::{Camt, Detail, Entry},
    orders::IBAN,
    probe::Ledger,
    xmllint,
};

/// Erika's account, as the entries have it.
const ERIKA: &str = "DE02120300000000202051";

fn euros(minor: i64) -> Money {
    Money::new(minor, Currency::EUR).unwrap()
}

fn day() -> Day {
    "2026-11-25".parse().unwrap()
}

fn shop_over(store: impl Store) -> TestShop {
    let sepa = Sepa::new("Weingut Müller & Söhne", IBAN).unwrap();
    TestShop::with(|builder| builder.store(store).rail(sepa))
}

fn shop() -> TestShop {
    shop_over(Memory::new())
}

/// An order for 14.80 that waits for its transfer.
async fn waiting(merchant: &Merchant) -> Order {
    let form = merchant.guest_form();
    let draft = firsthand::order::Draft::new(Currency::EUR).line(
        "tea",
        "Tea",
        euros(1480),
        firsthand::money::Quantity::new(1).unwrap(),
    );
    let placed = merchant.place_as_guest(draft, &form).await.unwrap().commit().await.unwrap();
    placed.order.pay("sepa").await.unwrap()
}

/// A statement that its schema accepts, as it is read.
#[track_caller]
fn read(camt: &Camt) -> Statement {
    let xml = camt.xml();
    xmllint::accepts(&camt.schema(), xml.as_bytes());
    Statement::read(xml.as_bytes()).unwrap()
}

fn statement(entries: &[Entry]) -> Statement {
    read(&Camt::statement(IBAN, entries.to_vec()))
}

fn notification(entries: &[Entry]) -> Statement {
    read(&Camt::statement(IBAN, entries.to_vec()).notification())
}

async fn import(merchant: &Merchant, statement: &Statement) -> Vec<Became> {
    let lines: Vec<StatementLine> = merchant.import_statement(statement).await.unwrap();
    lines.into_iter().map(|line| line.became).collect()
}

fn names(became: &[Became]) -> Vec<&'static str> {
    became.iter().map(Became::name).collect()
}

fn pays(order: &Order, name: &str) -> Entry {
    Entry::credit("14.80", name, Detail::saying(&format!("Bestellung {}", order.reference().printed())))
}

async fn stands(order: &Order, state: OrderState, cents: [i64; 4]) {
    let order = order.reload().await.unwrap();
    let ledger = order.ledger();
    let found = [ledger.received, ledger.settled().unwrap(), ledger.owed, ledger.refunded].map(Money::minor);
    assert_eq!((order.state(), found), (state, cents));
    assert!(ledger.is_balanced());
}

/// How many transfers wait, by why.
async fn waits(merchant: &Merchant) -> Vec<WaitsBecause> {
    merchant.unmatched_transfers(100).await.unwrap().into_iter().map(|transfer| transfer.why).collect()
}

// --- what arrived

#[tokio::test]
async fn row_119_a_statement_books_each_payment_once_whatever_file_tells_it() {
    let shop = shop();
    let merchant = shop.merchant();
    let (one, two) = (waiting(merchant).await, waiting(merchant).await);
    let structured = Entry { details: vec![Detail::structured(two.reference().as_str())], ..pays(&two, "B2") };
    let other = Entry::credit("3.00", "B3", Detail::saying("tea"));
    let entries = [pays(&one, "B1"), structured, other];
    let became = import(merchant, &notification(&entries[..2])).await;
    assert_eq!(became, [&one, &two].map(|order| Became::Booked { order: order.id().clone() }));
    // The statement of the day tells the same, and one more; then the whole file again.
    assert_eq!(names(&import(merchant, &statement(&entries)).await), ["known", "known", "waits"]);
    for again in [statement(&entries), notification(&entries), statement(&entries[1..])] {
        assert!(names(&import(merchant, &again).await).iter().all(|name| *name == "known"));
    }
    for order in [&one, &two] {
        stands(order, OrderState::Paid, [1480, 1480, 0, 0]).await;
    }
    let unmatched = merchant.unmatched_transfers(10).await.unwrap();
    assert_eq!((unmatched.len(), unmatched[0].text.as_str()), (1, "tea"));
    assert_eq!(unmatched[0].payer.as_ref().unwrap().iban().as_str(), ERIKA);
    // Typed by hand before, by the bank's name for it.
    let three = waiting(merchant).await;
    let id = "B9".parse().unwrap();
    let typed = Transfer { id, amount: euros(1480), text: three.reference().to_string(), payer: None };
    merchant.book_transfer(typed).await.unwrap().commit().await.unwrap();
    assert_eq!(names(&import(merchant, &statement(&[pays(&three, "B9")])).await), ["known"]);
    stands(&three, OrderState::Paid, [1480, 1480, 0, 0]).await;
}

#[tokio::test]
async fn a_payment_without_a_name_is_known_again_by_what_it_says() {
    let shop = shop();
    let merchant = shop.merchant();
    let order = waiting(merchant).await;
    let unnamed = pays(&order, "");
    // Two equal ones of a day are two, in every file that tells that day.
    for expected in [["booked", "booked"], ["known", "known"]] {
        let became = import(merchant, &statement(&[unnamed.clone(), unnamed.clone()])).await;
        assert_eq!(names(&became), expected);
    }
    stands(&order, OrderState::Paid, [2960, 1480, 1480, 0]).await;
    let next_day = Entry { day: "2026-11-24", ..unnamed.clone() };
    assert_eq!(names(&import(merchant, &statement(&[unnamed.clone(), next_day])).await), ["known", "booked"]);
    // An export of the same day without any name, and then a statement with names: the same money.
    let order = waiting(merchant).await;
    let csv = format!(
        "Auftragskonto;Buchungstag;Verwendungszweck;Kundenreferenz (End-to-End);Beguenstigter/Zahlungspflichtiger;\
         Kontonummer/IBAN;Betrag;Waehrung;Info\n{IBAN};23.11.26;{};;MUSTERMANN,ERIKA;{ERIKA};14,80;EUR;\n",
        order.reference()
    );
    let csv = Statement::read(csv.as_bytes()).unwrap();
    assert_eq!(names(&import(merchant, &csv).await), ["booked"]);
    for file in [statement(&[pays(&order, "B1")]), notification(&[pays(&order, "B1")]), csv] {
        assert_eq!(names(&import(merchant, &file).await), ["known"]);
    }
    stands(&order, OrderState::Paid, [1480, 1480, 0, 0]).await;
    // A second one in the statement is another payment.
    let became = import(merchant, &statement(&[pays(&order, "B1"), pays(&order, "B2")])).await;
    assert_eq!(names(&became), ["known", "booked"]);
    stands(&order, OrderState::Paid, [2960, 1480, 1480, 0]).await;
}

#[tokio::test]
async fn what_may_be_the_same_money_is_not_booked_and_not_lost() {
    let shop = shop();
    let merchant = shop.merchant();
    let order = waiting(merchant).await;
    import(merchant, &notification(&[pays(&order, "N1")])).await;
    // A bank that calls one payment otherwise in its statement.
    for _ in 0..2 {
        let became = import(merchant, &statement(&[pays(&order, "S1")])).await;
        assert!(matches!(became[..], [Became::Waits { why: WaitsBecause::MaybeSame, .. }] | [Became::Known]));
    }
    // A name that the bank used for another amount, or another order.
    let other = waiting(merchant).await;
    let more = Entry { amount: "14.81".to_owned(), ..pays(&order, "N1") };
    for file in [notification(&[more]), notification(&[pays(&other, "N1")])] {
        let became = import(merchant, &file).await;
        assert!(matches!(became[..], [Became::Waits { why: WaitsBecause::Differs, .. }]), "{became:?}");
        assert_eq!(names(&import(merchant, &file).await), ["known"]);
    }
    stands(&order, OrderState::Paid, [1480, 1480, 0, 0]).await;
    stands(&other, OrderState::Paying, [0; 4]).await;
    // Somebody looks: it is the same, it was sent back, or it was for that order.
    let waiting = merchant.unmatched_transfers(10).await.unwrap();
    assert_eq!(waiting.len(), 3);
    let name = |amount: i64, why| {
        let found = waiting.iter().find(|one| one.amount == euros(amount) && one.why == why);
        found.unwrap().name.clone()
    };
    let same = name(1480, WaitsBecause::MaybeSame);
    for _ in 0..2 {
        let settled = merchant.transfer_is_the_same(&same).await.unwrap().commit().await.unwrap();
        assert!(matches!(settled, Booking::Same));
    }
    assert_eq!(merchant.assign_transfer(&same, other.id()).await.unwrap_err().code(), "transfer_differs");
    let given = name(1480, WaitsBecause::Differs);
    merchant.assign_transfer(&given, other.id()).await.unwrap().commit().await.unwrap();
    assert_eq!(merchant.transfer_is_the_same(&given).await.unwrap_err().code(), "transfer_differs");
    stands(&other, OrderState::Paid, [1480, 1480, 0, 0]).await;
    let sent = name(1481, WaitsBecause::Differs);
    merchant.transfer_returned(&sent).await.unwrap().commit().await.unwrap();
    assert_eq!(waits(merchant).await, []);
}

#[tokio::test]
async fn a_batch_waits_until_its_parts_are_told_and_not_after() {
    let part = |order: &Order, name: &str| Detail {
        amount: "14.80".to_owned(),
        bank_name: name.to_owned(),
        ..Detail::saying(order.reference().as_str())
    };
    for parts_first in [false, true] {
        let shop = shop();
        let merchant = shop.merchant();
        let orders = [waiting(merchant).await, waiting(merchant).await];
        let details = vec![part(&orders[0], "D1"), part(&orders[1], "D2")];
        let batch = Entry { amount: "29.60".to_owned(), batch: "P".to_owned(), details, ..pays(&orders[0], "B1") };
        let whole = statement(&[Entry { details: Vec::new(), ..batch.clone() }]);
        let parts = notification(&[batch]);
        if parts_first {
            assert_eq!(names(&import(merchant, &parts).await), ["booked", "booked"]);
            assert_eq!(names(&import(merchant, &whole).await), ["known"]);
        } else {
            assert_eq!(names(&import(merchant, &whole).await), ["waits"]);
            assert_eq!(waits(merchant).await, [WaitsBecause::Batch]);
            assert_eq!(names(&import(merchant, &parts).await), ["booked", "booked"]);
        }
        assert_eq!(waits(merchant).await, []);
        for file in [&whole, &parts, &whole] {
            assert!(names(&import(merchant, file).await).iter().all(|name| *name == "known"));
        }
        for order in &orders {
            stands(order, OrderState::Paid, [1480, 1480, 0, 0]).await;
        }
        // The same name for another batch is another one.
        let other =
            Entry { amount: "30.00".to_owned(), batch: "P".to_owned(), details: Vec::new(), ..pays(&orders[0], "B1") };
        assert_eq!(names(&import(merchant, &statement(&[other])).await), ["waits"]);
    }
}

#[tokio::test]
async fn row_119_what_is_no_income_is_never_booked_as_one() {
    let shop = shop();
    let merchant = shop.merchant();
    let order = waiting(merchant).await;
    let good = pays(&order, "B1");
    let returned = |text: &str| Detail { returned: "AC04", ..Detail::saying(text) };
    let reference = order.reference().as_str();
    let file = [
        Entry { status: "PDNG", ..good.clone() },
        Entry { status: "INFO", ..good.clone() },
        Entry { amount: "0.00".to_owned(), ..good.clone() },
        Entry { credit: false, ..good.clone() },
        Entry { reversal: true, credit: false, ..good.clone() },
        Entry { reversal: true, bank_name: "B6".to_owned(), ..good.clone() },
        Entry { bank_name: "B7".to_owned(), details: vec![returned(reference)], ..good.clone() },
        Entry { bank_name: "B8".to_owned(), details: Vec::new(), batch: "P".to_owned(), ..good.clone() },
        Entry { bank_name: "B9".to_owned(), currency: "CHF", ..good.clone() },
        Entry { bank_name: "B10".to_owned(), currency: "XXX", ..good.clone() },
    ];
    let waits_for = |became: &Became| match became {
        Became::Waits { why, .. } => Some(*why),
        _ => None,
    };
    let became = import(merchant, &statement(&file)).await;
    assert_eq!(became[0], Became::LeftOut(LeftOutBecause::NotBooked));
    assert_eq!(became[1], Became::LeftOut(LeftOutBecause::NotBooked));
    assert_eq!(became[2], Became::LeftOut(LeftOutBecause::Nothing));
    assert_eq!(became[3], Became::Outgoing);
    assert_eq!(became[4], Became::TakenBack { order: Some(order.id().clone()) });
    let whys: Vec<_> = became[5..9].iter().map(waits_for).collect();
    let expected = [WaitsBecause::CameBack, WaitsBecause::CameBack, WaitsBecause::Batch, WaitsBecause::NoOrder];
    assert_eq!(whys, expected.map(Some));
    assert_eq!(became[9], Became::LeftOut(LeftOutBecause::Currency));
    stands(&order, OrderState::Paying, [0; 4]).await;
    assert_eq!(waits(merchant).await.len(), 4);
    // What was pending is booked when the bank has booked it.
    assert_eq!(names(&import(merchant, &statement(&[good])).await), ["booked"]);
    // Too much, too late, in parts: as a transfer that was typed.
    let late = waiting(merchant).await;
    shop.advance_s(60 * 24 * 3600);
    assert_eq!(names(&import(merchant, &statement(&[pays(&late, "L1")])).await), ["booked"]);
    stands(&late, OrderState::Expired, [1480, 0, 1480, 0]).await;
}

#[tokio::test]
async fn a_statement_of_another_account_books_nothing() {
    let (shop, store) = {
        let store = Ledger::new(Memory::new());
        (shop_over(store.clone()), store)
    };
    let merchant = shop.merchant();
    let order = waiting(merchant).await;
    let other = read(&Camt::statement(ERIKA, vec![pays(&order, "B1")]));
    assert_eq!(merchant.import_statement(&other).await.unwrap_err().code(), "statement_other_account");
    assert_eq!((store.count("transfer"), store.count("movement")), (0, 0));
    let none = TestShop::with(|builder| builder.store(Memory::new()));
    let error = none.merchant().import_statement(&statement(&[])).await.unwrap_err();
    assert_eq!(error.code(), "no_such_rail");
    assert!(!format!("{other:?}").contains("Erika") && !format!("{:?}", other.movements()).contains(ERIKA));
}

// --- what goes back

/// Orders that are paid by transfer, and refunded whole.
async fn owed(merchant: &Merchant, count: usize) -> Vec<Order> {
    let mut orders = Vec::new();
    for number in 0..count {
        let order = waiting(merchant).await;
        import(merchant, &statement(&[pays(&order, &format!("P{number}{}", order.reference()))])).await;
        order.refund(euros(1480), "returned").await.unwrap().commit().await.unwrap();
        orders.push(order);
    }
    orders
}

async fn refund_of(order: &Order) -> firsthand::merchant::Refund {
    order.refunds().await.unwrap().remove(0)
}

#[tokio::test]
async fn refunds_become_one_file_that_the_bank_takes_and_the_statement_confirms() {
    for (version, schema) in [(PainVersion::V09, "pain.001.001.09"), (PainVersion::V03, "pain.001.001.03")] {
        let shop = shop();
        let merchant = shop.merchant();
        assert_eq!(merchant.refund_file("f1", &day(), version).await.unwrap_err().code(), "nothing_owed");
        let orders = owed(merchant, 3).await;
        // One that the merchant has begun by hand is in it, one whose account nobody knows is not.
        refund_of(&orders[1]).await.send().await.unwrap();
        let unknown = waiting(merchant).await;
        let anonymous = Detail { iban: String::new(), ..Detail::saying(unknown.reference().as_str()) };
        import(merchant, &statement(&[Entry::credit("14.80", "A1", anonymous)])).await;
        unknown.refund(euros(1480), "returned").await.unwrap().commit().await.unwrap();

        let file = merchant.refund_file("f1", &day(), version).await.unwrap();
        assert_eq!((file.transfers(), file.total()), (3, euros(4440)));
        xmllint::accepts(schema, file.xml().as_bytes());
        for has in [
            "<NbOfTxs>3</NbOfTxs><CtrlSum>44.40</CtrlSum>",
            "<Nm>Weingut Mueller + Soehne</Nm>",
            "2026-11-25",
            IBAN,
            ERIKA,
        ] {
            assert!(file.xml().contains(has), "{has}");
        }
        assert!(!format!("{file:?}").contains(ERIKA) && !format!("{file:?}").contains("Erika"));
        // Asked for again it is the same, also after something else is owed; and nothing stands in two.
        let more = owed(merchant, 1).await;
        assert_eq!(merchant.refund_file("f1", &day(), version).await.unwrap(), file);
        assert_eq!(merchant.made_refund_file(file.id()).await.unwrap(), file);
        let other: Day = "2026-11-26".parse().unwrap();
        assert_eq!(merchant.refund_file("f1", &other, version).await.unwrap_err().code(), "refund_file_differs");
        let next = merchant.refund_file("f2", &other, version).await.unwrap();
        assert_eq!(next.transfers(), 1);
        assert_eq!(merchant.refund_file("f3", &day(), version).await.unwrap_err().code(), "nothing_owed");
        assert_eq!(merchant.refund_files(10).await.unwrap().len(), 2);
        assert_eq!(refund_of(&orders[0]).await.send().await.unwrap_err().code(), "already_refunded");

        // The bank carries it out, and says so, twice.
        let mut entries = Vec::new();
        for (number, order) in orders.iter().enumerate() {
            let end_to_end = refund_of(order).await.end_to_end().unwrap().to_owned();
            assert!(file.xml().contains(&format!("<EndToEndId>{end_to_end}</EndToEndId>")));
            entries.push(Entry::debit("14.80", &format!("D{number}"), &end_to_end));
        }
        let became = import(merchant, &statement(&entries)).await;
        assert_eq!(names(&became), ["refund_done"; 3]);
        assert_eq!(names(&import(merchant, &statement(&entries)).await), ["known"; 3]);
        for order in &orders {
            stands(order, OrderState::Paid, [1480, 0, 0, 1480]).await;
        }
        // One booked whole, with the name of its batch.
        let whole = Entry { batch: next.id().to_owned(), details: Vec::new(), ..Entry::debit("14.80", "D9", "") };
        assert_eq!(names(&import(merchant, &statement(&[whole])).await), ["refund_done"]);
        stands(&more[0], OrderState::Paid, [1480, 0, 0, 1480]).await;
        assert_eq!(merchant.open_refunds(10).await.unwrap().len(), 1);
    }
}

#[tokio::test]
async fn a_refund_that_came_back_is_owed_again_and_to_nobody_until_named() {
    let shop = shop();
    let merchant = shop.merchant();
    let order = owed(merchant, 1).await.remove(0);
    let file = merchant.refund_file("f1", &day(), PainVersion::V09).await.unwrap();
    let end_to_end = refund_of(&order).await.end_to_end().unwrap().to_owned();
    let left = Entry::debit("14.80", "D1", &end_to_end);
    let back = |amount: &str, name: &str, returned| {
        let text = format!("Refund {}", &order.reference().as_str()[2..]);
        let detail = Detail { end_to_end: end_to_end.clone(), returned, ..Detail::saying(&text) };
        Entry::credit(amount, name, detail)
    };
    // Another amount, or a plain payment under its name: no customer's payment, and no return of it.
    for (entry, became) in [
        (Entry { amount: "14.79".to_owned(), ..left.clone() }, "refund_differs"),
        (back("14.79", "C1", "AC04"), "waits"),
        (back("14.80", "C2", ""), "waits"),
        (left.clone(), "refund_done"),
        (back("14.79", "C3", "AC04"), "waits"),
    ] {
        assert_eq!(names(&import(merchant, &statement(&[entry])).await), [became]);
    }
    stands(&order, OrderState::Paid, [1480, 0, 0, 1480]).await;
    for expected in ["refund_returned", "known"] {
        assert_eq!(names(&import(merchant, &statement(&[back("14.80", "C4", "AC04")])).await), [expected]);
        stands(&order, OrderState::Paid, [1480, 0, 1480, 0]).await;
    }
    // What the statement says of it once more is old, and the file is as it was.
    assert_eq!(names(&import(merchant, &statement(&[left])).await), ["known"]);
    assert_eq!(merchant.made_refund_file(file.id()).await.unwrap(), file);
    let refund = refund_of(&order).await;
    assert_eq!((refund.state(), refund.account().unwrap(), refund.end_to_end()), (RefundState::Owed, None, None));
    assert_eq!(merchant.open_refunds(10).await.unwrap().len(), 1);
    assert_eq!(merchant.refund_file("f2", &day(), PainVersion::V09).await.unwrap_err().code(), "nothing_owed");
    let named = BankAccount::new("Erika Mustermann", "GB82WEST12345698765432".parse().unwrap()).unwrap();
    refund.name_account(named).await.unwrap().commit().await.unwrap();
    let second = merchant.refund_file("f2", &day(), PainVersion::V09).await.unwrap();
    assert!(second.xml().contains("GB82WEST12345698765432") && !second.xml().contains(&end_to_end));
    let next = refund_of(&order).await.end_to_end().unwrap().to_owned();
    assert_eq!(names(&import(merchant, &statement(&[Entry::debit("14.80", "D2", &next)])).await), ["refund_done"]);
    stands(&order, OrderState::Paid, [1480, 0, 0, 1480]).await;
    let events = order.events().await.unwrap();
    let told = serde_json::to_string(&events).unwrap();
    assert!(told.contains("\"refund_returned\"") && told.contains("AC04") && !told.contains(ERIKA));
}

#[tokio::test]
async fn what_came_back_in_an_export_that_does_not_say_so_pays_no_order() {
    let shop = shop();
    let merchant = shop.merchant();
    let order = owed(merchant, 1).await.remove(0);
    let file = merchant.refund_file("f", &day(), PainVersion::V09).await.unwrap();
    let said = |tag: &str| file.xml().split(tag).nth(1).unwrap().split('<').next().unwrap().to_owned();
    let (text, end_to_end) = (said("<Ustrd>"), said("<EndToEndId>"));
    // Without a column for it, the end-to-end id stands in the text, if anywhere.
    let csv = format!(
        "IBAN Auftragskonto;Buchungstag;Name Zahlungsbeteiligter;IBAN Zahlungsbeteiligter;Verwendungszweck;Betrag;Waehrung\n\
         {IBAN};25.11.2026;Erika Mustermann;{ERIKA};RUECKUEBERWEISUNG AC04 EREF: {end_to_end} SVWZ: {text};14,80;EUR\n"
    );
    let became = import(merchant, &Statement::read(csv.as_bytes()).unwrap()).await;
    assert!(matches!(became[..], [Became::Waits { why: WaitsBecause::NoOrder, .. }]), "{became:?}");
    stands(&order, OrderState::Paid, [1480, 0, 1480, 0]).await;
}

#[tokio::test]
async fn a_file_that_the_bank_did_not_take_is_reopened_by_hand_and_twice_is_told() {
    let shop = shop();
    let merchant = shop.merchant();
    let order = owed(merchant, 1).await.remove(0);
    assert_eq!(refund_of(&order).await.reopen().await.unwrap_err().code(), "refund_not_in_file");
    merchant.refund_file("f1", &day(), PainVersion::V09).await.unwrap();
    let refund = refund_of(&order).await;
    let first = refund.end_to_end().unwrap().to_owned();
    refund.reopen().await.unwrap().commit().await.unwrap();
    merchant.refund_file("f2", &day(), PainVersion::V09).await.unwrap();
    let second = refund_of(&order).await.end_to_end().unwrap().to_owned();
    assert_ne!(first, second);
    // The bank carried both out after all.
    assert_eq!(names(&import(merchant, &statement(&[Entry::debit("14.80", "D1", &first)])).await), ["refund_done"]);
    for expected in ["refund_twice", "known"] {
        let became = import(merchant, &statement(&[Entry::debit("14.80", "D2", &second)])).await;
        assert_eq!(names(&became), [expected]);
    }
    stands(&order, OrderState::Paid, [1480, 0, 0, 1480]).await;
    // Said by hand before the statement does: done once.
    let order = owed(merchant, 1).await.remove(0);
    merchant.refund_file("f3", &day(), PainVersion::V09).await.unwrap();
    let refund = refund_of(&order).await;
    refund.sent_by_hand().await.unwrap().commit().await.unwrap();
    let left = Entry::debit("14.80", "D3", refund.end_to_end().unwrap());
    assert_eq!(names(&import(merchant, &statement(&[left])).await), ["known"]);
    stands(&order, OrderState::Paid, [1480, 0, 0, 1480]).await;
}

#[tokio::test]
async fn an_overpayment_goes_back_by_file_to_where_it_came_from() {
    let shop = shop();
    let merchant = shop.merchant();
    let order = waiting(merchant).await;
    let other = Detail { iban: "GB82WEST12345698765432".to_owned(), ..Detail::saying(order.reference().as_str()) };
    import(merchant, &statement(&[pays(&order, "B1"), Entry::credit("5.00", "B2", other)])).await;
    let file = merchant.refund_file("f", &day(), PainVersion::V09).await.unwrap();
    assert_eq!((file.transfers(), file.total()), (1, euros(500)));
    assert!(file.xml().contains("GB82WEST12345698765432") && !file.xml().contains(ERIKA));
    assert_eq!(refund_of(&order).await.reason(), RefundReason::Overpaid);
}

// --- crashes and races

/// Says it again until it is done.
macro_rules! insist {
    ($step:expr) => {
        loop {
            if let Ok(done) = $step.await {
                break done;
            }
        }
    };
}

#[tokio::test]
async fn an_import_and_a_file_that_broke_off_go_on_where_they_were() {
    for fault in [Fault::Done, Fault::Lost, Fault::Refused] {
        for call in 0.. {
            let store = Faulty::new(Memory::new());
            let shop = shop_over(store.clone());
            let merchant = shop.merchant();
            let orders = [waiting(merchant).await, waiting(merchant).await];
            let arrived = statement(&orders.each_ref().map(|order| pays(order, "")));
            let begun = store.calls();
            store.fail(call, fault);
            insist!(merchant.import_statement(&arrived));
            for order in &orders {
                insist!(async { order.refund(euros(1480), "returned").await?.commit().await });
            }
            let file = insist!(merchant.refund_file("f", &day(), PainVersion::V09));
            assert_eq!((file.transfers(), file.total()), (2, euros(2960)), "{fault:?} {call}");
            let mut left = Vec::new();
            for order in &orders {
                let refunds = insist!(order.refunds());
                left.push(Entry::debit("14.80", "", refunds[0].end_to_end().unwrap()));
            }
            insist!(merchant.import_statement(&statement(&left)));
            if store.calls() - begun <= call {
                break;
            }
            for order in &orders {
                stands(order, OrderState::Paid, [1480, 0, 0, 1480]).await;
                let events = order.events().await.unwrap();
                let told = |name: &str| serde_json::to_string(&events).unwrap().matches(name).count();
                assert_eq!((told("\"received\""), told("\"refund_filed\""), told("\"refunded\"")), (1, 1, 1));
            }
            assert_eq!(merchant.refund_file("f", &day(), PainVersion::V09).await.unwrap(), file);
        }
    }
}

#[tokio::test]
async fn many_at_once_book_each_payment_once() {
    let shop = shop();
    let merchant = shop.merchant();
    let mut orders = Vec::new();
    for _ in 0..4 {
        orders.push(waiting(merchant).await);
    }
    let entries: Vec<Entry> = orders.iter().map(|order| pays(order, "")).collect();
    let named: Vec<Entry> = orders.iter().zip(0..).map(|(order, n)| pays(order, &format!("N{n}"))).collect();
    let (one, two) = (statement(&entries), statement(&named));
    let all = tokio::join!(
        merchant.import_statement(&one),
        merchant.import_statement(&two),
        merchant.import_statement(&one),
        merchant.import_statement(&two)
    );
    for done in [all.0, all.1, all.2, all.3] {
        done.unwrap();
    }
    for order in &orders {
        stands(order, OrderState::Paid, [1480, 1480, 0, 0]).await;
    }
}
