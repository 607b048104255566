//! Every page of the till, of orders and of the desk, in every state and in both languages.

mod after;

use axum::{
    http::{StatusCode, header},
    response::IntoResponse,
};
use http_body_util::BodyExt;

use super::{checkout, conflict, desk, order, orders};
use crate::shop::{
    Customer, Recipient,
    after::{AfterView, Thing},
    cart::{Cart, Short},
    catalogue::Product,
    database::{
        sales::{Buyer, Sale, Steps},
        stock::Stock,
    },
    delivery::{AddressForm, Delivery},
    desk::{
        AskedView, DeskOrders, DeskOwed, DeskSale, DeskView, KeptView, KeptWhat, Notice, PackView, TransferForm,
        UnmatchedView,
    },
    order::{
        AccountForm, CheckoutView, Door, Drawing, EventView, Happened, OrderLine, OrderSummary, OrderView, OwedBecause,
        OwedState, OwedView, Status, TransferView,
    },
    page::{CONTENT_SECURITY_POLICY, Page},
    view::View,
    words::{Language, Words},
};

/// What a stranger might put wherever text comes from outside.
const EVIL: &str = "\"><script>alert('1')</script>";

const LANGUAGES: [Language; 2] = [Language::English, Language::German];

async fn text(page: Page) -> String {
    let body = page.into_response().into_body().collect().await.unwrap().to_bytes();
    let text = String::from_utf8(body.to_vec()).unwrap();
    for inline in [" style=", " onclick=", "<style", "<script>", "javascript:"] {
        assert!(!text.contains(inline), "{inline} in {text}");
    }
    text
}

fn view(cart: &str, language: Language) -> View {
    let mut view = View::default().with(Cart::parse(cart));
    view.language = language;
    view
}

fn anna() -> Customer {
    Customer { id: "anna".to_owned(), adult: true, recipient: None }
}

fn recipient() -> Recipient {
    Recipient {
        name: "Anna Kowalska".to_owned(),
        lines: vec!["Am Alten Markt 1".to_owned(), "10115 Berlin".to_owned()],
        masked: false,
    }
}

fn transfer() -> TransferView {
    TransferView {
        payee: "Blatt und Rebe".to_owned(),
        iban: "DE89370400440532013000".to_owned(),
        amount_minor: 7180,
        reference: "RF18539007547034".to_owned(),
        due_s: 1_795_961_100,
        qr: Drawing::of_our_own("<svg viewBox=\"0 0 2 2\"><path d=\"M0 0h1v1z\"/></svg>".to_owned()),
        payto: "payto://iban/DE89370400440532013000?amount=EUR:71.80&message=RF18539007547034".to_owned(),
    }
}

fn placed(status: Status) -> OrderView {
    let line = |slug: &str, quantity, price_minor: i64| OrderLine {
        product: slug.to_owned(),
        name: format!("{slug} as sold"),
        quantity,
        price_minor,
        sum_minor: price_minor * i64::from(quantity),
    };
    OrderView {
        id: "o_00112233445566778899aabbccddeeff".to_owned(),
        number: "RF18539007547034".to_owned(),
        door: Door::Customer,
        placed_s: 1_795_356_300,
        lines: vec![line("sencha", 1, 1480), line("etna", 2, 2850)],
        total_minor: 7180,
        received_minor: 0,
        delivery: Delivery::Wallet(recipient()),
        status,
        transfer: matches!(status, Status::Paying | Status::PartlyPaid).then(transfer),
        may_cancel: matches!(
            status,
            Status::Placed | Status::Paying | Status::PartlyPaid | Status::Authorised | Status::Declined
        ),
        after: AfterView::default(),
        owed: Vec::new(),
        events: vec![
            EventView { at_s: 1_795_356_300, what: Happened::Placed },
            EventView { at_s: 1_795_356_301, what: Happened::TransferAwaited },
        ],
        wrong_account: None,
    }
}

fn owed(state: OwedState) -> OwedView {
    OwedView {
        id: "w1".to_owned(),
        amount_minor: 250,
        because: OwedBecause::TooMuch,
        state,
        account: (state != OwedState::NeedsAccount).then(|| "DE89 … 00".to_owned()),
    }
}

fn summary(status: Status) -> OrderSummary {
    OrderSummary {
        id: "o_00112233445566778899aabbccddeeff".to_owned(),
        number: "RF18539007547034".to_owned(),
        placed_s: 1_795_356_300,
        things: 3,
        total_minor: 7180,
        received_minor: 5000,
        status,
    }
}

fn stock() -> Stock {
    crate::shop::catalogue::CATALOGUE
        .iter()
        .map(|product| (product.slug.to_owned(), if product.slug == "pinot" { 3 } else { 24 }))
        .collect()
}

fn quiet_desk() -> DeskView {
    DeskView {
        form: "form-1".to_owned(),
        notice: None,
        to_send: Vec::new(),
        open: Vec::new(),
        typed: TransferForm::default(),
        unmatched: Vec::new(),
        withdrawn: Vec::new(),
        owed: Vec::new(),
        files: Vec::new(),
        file_on: "2026-11-24".to_owned(),
        steps: [Buyer::Guest, Buyer::First, Buyer::Returning].map(|buyer| Steps {
            buyer,
            sales: 0,
            steps_wallet: 0,
            steps_form: 0,
        }),
        stock: stock(),
    }
}

fn busy_desk() -> DeskView {
    let owed = |state| DeskOwed {
        id: "w1".to_owned(),
        order: Some(("o_00112233445566778899aabbccddeeff".to_owned(), "RF18539007547034".to_owned())),
        amount_minor: 250,
        because: OwedBecause::TooMuch,
        state,
        payee: Some("Anna Kowalska".to_owned()),
        iban: (state != OwedState::NeedsAccount).then(|| "DE89370400440532013000".to_owned()),
        reference: "RF18539007547034".to_owned(),
        filed: state == OwedState::OnItsWay,
    };
    let steps = |buyer, sales, steps_wallet, steps_form| Steps { buyer, sales, steps_wallet, steps_form };
    DeskView {
        to_send: vec![PackView {
            order: summary(Status::Paid),
            things: vec![Thing { product: "sencha".to_owned(), name: "Sencha as sold".to_owned(), quantity: 2 }],
        }],
        open: [Status::Paying, Status::PartlyPaid, Status::Unknown, Status::Declined].map(summary).to_vec(),
        unmatched: vec![UnmatchedView {
            transfer: "2026112200017".to_owned(),
            amount_minor: 7180,
            reference: "tea for my aunt".to_owned(),
            payer: "Bert Brandt".to_owned(),
            payer_iban: Some("DE89370400440532013000".to_owned()),
            booked_s: 1_795_356_300,
            why: Some(Words("It may be booked already", "Sie ist vielleicht schon gebucht")),
        }],
        files: vec!["B0123456789ABCDEF01234567".to_owned()],
        owed: [OwedState::NeedsAccount, OwedState::Owed, OwedState::OnItsWay].map(owed).to_vec(),
        steps: [steps(Buyer::Guest, 4, 0, 5), steps(Buyer::First, 6, 11, 1), steps(Buyer::Returning, 3, 2, 0)],
        ..quiet_desk()
    }
}

fn a_sale() -> DeskSale {
    DeskSale {
        order: OrderView { received_minor: 7180, owed: vec![owed(OwedState::Owed)], ..placed(Status::Paid) },
        customer: Some("c_anna".to_owned()),
        form: "form-1".to_owned(),
        notice: None,
        may_send: true,
        refundable_minor: 7180,
        typed: String::new(),
        asked: vec![AskedView {
            ask: "age".to_owned(),
            purpose: "Wine is sold to adults".to_owned(),
            at_s: 1_795_356_300,
        }],
        kept: [
            (KeptWhat::Order, None),
            (KeptWhat::Address, Some(1_797_948_300)),
            (KeptWhat::Adult, None),
            (KeptWhat::Payer, None),
        ]
        .map(|(what, until_s)| KeptView { what, until_s })
        .to_vec(),
        sale: Some(Sale { buyer: Buyer::First, steps_wallet: 2, steps_form: 0 }),
    }
}

#[tokio::test]
async fn an_empty_basket_has_nothing_to_order() {
    for language in LANGUAGES {
        let page = text(checkout(&view("", language), None, &CheckoutView::default())).await;
        assert!(!page.contains("<form") && !page.contains("firsthand-button"), "{page}");
        assert!(page.contains("/#tea"), "{page}");
    }
}

#[tokio::test]
async fn a_guest_orders_tea_without_a_wallet() {
    let shown = CheckoutView { form: "form-1".to_owned(), ..CheckoutView::default() };
    for (language, button, total) in [
        (Language::English, "Place the order and pay by bank transfer", "€29.60"),
        (Language::German, "Zahlungspflichtig bestellen", "29,60\u{a0}€"),
    ] {
        let page = text(checkout(&view("senchax2", language), None, &shown)).await;
        for part in [
            button,
            total,
            "name=\"form\" value=\"form-1\"",
            "name=\"cart\" value=\"senchax2\"",
            "name=\"total\" value=\"29.60\"",
            "name=\"delivery\" value=\"typed\"",
            "autocomplete=\"shipping postal-code\"",
            "<option value=\"DE\" selected>",
            "<firsthand-button ask=\"address\">",
            "data-firsthand=\"till\"",
        ] {
            assert!(page.contains(part), "{part} is missing in {page}");
        }
        assert!(!page.contains("ask=\"age\"") && !page.contains("role=\"alert\""));
        assert_eq!(page.matches("<option ").count(), 27);
    }
}

#[tokio::test]
async fn wine_waits_for_the_age_and_tea_does_not_wait_for_wine() {
    for language in LANGUAGES {
        for customer in [None, Some(Customer { adult: false, ..anna() })] {
            let mixed =
                text(checkout(&view("senchax2.etnax1", language), customer.as_ref(), &CheckoutView::default())).await;
            assert!(mixed.contains("<firsthand-button ask=\"age\">") && !mixed.contains("<form"), "{mixed}");
            assert!(mixed.contains("href=\"/checkout?cart=senchax2\""), "{mixed}");
            let wine = text(checkout(&view("etnax1", language), customer.as_ref(), &CheckoutView::default())).await;
            assert!(wine.contains("<firsthand-button ask=\"age\">") && !wine.contains("<form"), "{wine}");
        }
        let adult = text(checkout(&view("etnax1", language), Some(&anna()), &CheckoutView::default())).await;
        assert!(!adult.contains("ask=\"age\"") && adult.contains("name=\"cart\" value=\"etnax1\""), "{adult}");
    }
}

#[tokio::test]
async fn an_address_from_a_wallet_is_shown_and_another_may_be_typed() {
    let own = Customer { recipient: Some(recipient()), ..anna() };
    let masked = Customer { recipient: Some(Recipient { masked: true, ..recipient() }), ..anna() };
    for (language, elsewhere) in [(Language::English, "another device"), (Language::German, "einem anderen Gerät")] {
        let page = text(checkout(&view("senchax1", language), Some(&own), &CheckoutView::default())).await;
        assert!(page.contains("Am Alten Markt 1") && page.contains("value=\"wallet\" checked"), "{page}");
        assert!(
            !page.contains("ask=\"address\"") && !page.contains(" required") && !page.contains(elsewhere),
            "{page}"
        );
        let page = text(checkout(&view("senchax1", language), Some(&masked), &CheckoutView::default())).await;
        assert!(page.contains(elsewhere), "{page}");
        let typed = CheckoutView { typed_wanted: true, ..CheckoutView::default() };
        let page = text(checkout(&view("senchax1", language), Some(&own), &typed)).await;
        assert!(page.contains("value=\"typed\" checked") && !page.contains("value=\"wallet\" checked"), "{page}");
    }
}

#[tokio::test]
async fn what_was_typed_wrong_comes_back_with_a_word_at_each_field() {
    let typed = AddressForm {
        name: EVIL.to_owned(),
        postal_code: "1011".to_owned(),
        place: "x".repeat(71),
        country: "FR".to_owned(),
        ..AddressForm::default()
    };
    let errors = typed.check().unwrap_err();
    let shown = CheckoutView { typed, errors, ..CheckoutView::default() };
    for (language, words) in [
        (Language::English, ["Which street?", "no such postal code", "At most 70 characters"]),
        (Language::German, ["Welche Straße?", "keine Postleitzahl", "höchstens 70 Zeichen"]),
    ] {
        let page = text(checkout(&view("senchax1", language), None, &shown)).await;
        assert!(words.iter().all(|word| page.contains(word)), "{page}");
        assert!(page.contains("role=\"alert\"") && page.contains("value=\"&quot;&gt;&lt;script&gt;"), "{page}");
        assert_eq!(page.matches("aria-invalid=\"true\"").count(), 3);
        assert!(page.contains("id=\"street-error\"") && page.contains("aria-describedby=\"street-error\""));
        assert!(page.contains("<option value=\"FR\" selected>"), "{page}");
        // Or the script would put an empty form in its place.
        assert!(!page.contains("data-firsthand=\"till\""), "{page}");
    }
    let odd = AddressForm { country: EVIL.to_owned(), ..AddressForm::default() };
    let shown = CheckoutView { errors: odd.check().unwrap_err(), typed: odd, ..CheckoutView::default() };
    let page = text(checkout(&view("senchax1", Language::English), None, &shown)).await;
    assert!(page.contains("countries of the European Union") && page.contains("Please choose"), "{page}");
}

#[tokio::test]
async fn what_is_not_there_is_said_and_left_out() {
    let shown = CheckoutView {
        shorts: vec![
            Short { product: Product::find("pinot").unwrap(), left: 3 },
            Short { product: Product::find("lapsang").unwrap(), left: 0 },
        ],
        ..CheckoutView::default()
    };
    for (language, words) in [
        (Language::English, ["only 3 are left", "is sold out"]),
        (Language::German, ["sind nur noch 3 da", "ist ausverkauft"]),
    ] {
        let page = text(checkout(&view("pinotx3", language), Some(&anna()), &shown)).await;
        assert!(words.iter().all(|word| page.contains(word)), "{page}");
    }
}

#[tokio::test]
async fn every_state_of_an_order_has_its_words() {
    for status in Status::ALL {
        let mut pages = Vec::new();
        for language in LANGUAGES {
            let page = text(order(&view("", language), Some(&anna()), &placed(status))).await;
            assert!(page.contains(status.words().in_language(language)), "{status:?}: {page}");
            assert!(page.contains("RF18 5390 0754 7034") && page.contains("Am Alten Markt 1"), "{page}");
            assert_eq!(page.contains("class=\"transfer\""), placed(status).transfer.is_some(), "{status:?}");
            assert_eq!(page.contains("/cancel\""), placed(status).may_cancel, "{status:?}");
            assert_eq!(page.contains("/retry\""), matches!(status, Status::Placed | Status::Declined), "{status:?}");
            pages.push(page);
        }
        assert_ne!(pages[0], pages[1]);
    }
    let unknown = text(order(&view("", Language::English), Some(&anna()), &placed(Status::Unknown))).await;
    assert!(unknown.contains("do not pay again"), "{unknown}");
}

#[tokio::test]
async fn a_transfer_can_be_scanned_opened_and_copied() {
    for (language, amount, copied) in
        [(Language::English, "€71.80", "71.80"), (Language::German, "71,80\u{a0}€", "71,80")]
    {
        let page = text(order(&view("", language), Some(&anna()), &placed(Status::Paying))).await;
        for part in [
            amount,
            "DE89 3704 0044 0532 0130 00",
            "data-copy=\"DE89370400440532013000\"",
            "data-copy=\"RF18539007547034\"",
            &format!("data-copy=\"{copied}\""),
            "href=\"payto://iban/DE89370400440532013000?amount=EUR:71.80&amp;message=RF18539007547034\"",
            "<svg viewBox=\"0 0 2 2\">",
            language.say("<time>29 November 2026", "<time>29. November 2026"),
        ] {
            assert!(page.contains(part), "{part} is missing in {page}");
        }
        let transfer = Some(TransferView { payto: format!("java{}alert(1)", "script:"), ..transfer() });
        let page = text(order(&view("", language), None, &OrderView { transfer, ..placed(Status::Paying) })).await;
        assert!(!page.contains("alert(1)"), "{page}");
    }
}

#[tokio::test]
async fn a_part_that_came_is_told_with_what_is_missing() {
    let part = OrderView {
        received_minor: 5000,
        transfer: Some(TransferView { amount_minor: 2180, ..transfer() }),
        ..placed(Status::PartlyPaid)
    };
    for (language, words) in [
        (Language::English, ["€50.00", "of €71.80", "Still to pay", "€21.80"]),
        (Language::German, ["50,00\u{a0}€", "von 71,80\u{a0}€", "Noch zu zahlen", "21,80\u{a0}€"]),
    ] {
        let page = text(order(&view("", language), Some(&anna()), &part)).await;
        assert!(words.iter().all(|word| page.contains(word)), "{page}");
    }
}

#[tokio::test]
async fn money_that_goes_back_is_told_and_asked_where_to() {
    for state in [OwedState::NeedsAccount, OwedState::Owed, OwedState::OnItsWay, OwedState::Done] {
        for language in LANGUAGES {
            let shown = OrderView { owed: vec![owed(state)], ..placed(Status::Expired) };
            let page = text(order(&view("", language), Some(&anna()), &shown)).await;
            assert!(page.contains(state.words().in_language(language)), "{page}");
            let asked = page.contains("/orders/o_00112233445566778899aabbccddeeff/account\"");
            assert_eq!(asked, state == OwedState::NeedsAccount, "{page}");
            assert_eq!(page.contains("DE89 … 00"), state != OwedState::NeedsAccount, "{page}");
        }
    }
    let wrong = OrderView {
        owed: vec![owed(OwedState::NeedsAccount)],
        wrong_account: Some(AccountForm { name: "Anna".to_owned(), iban: EVIL.to_owned() }),
        ..placed(Status::Paid)
    };
    let page = text(order(&view("", Language::English), Some(&anna()), &wrong)).await;
    assert!(page.contains("no name and IBAN") && page.contains("&lt;script&gt;"), "{page}");
}

#[tokio::test]
async fn a_guest_is_told_to_keep_the_link_and_acts_under_it() {
    let door = Door::Guest { link: "AAECAwQFBgcICQoLDA0ODw".to_owned(), origin: "https://shop.example".to_owned() };
    let shown = OrderView { door, owed: vec![owed(OwedState::NeedsAccount)], ..placed(Status::Paying) };
    for (language, words) in [(Language::English, "the only key"), (Language::German, "der einzige Schlüssel")] {
        let page = text(order(&view("", language), None, &shown)).await;
        for part in [
            words,
            "data-copy=\"https://shop.example/o/AAECAwQFBgcICQoLDA0ODw\"",
            "action=\"/o/AAECAwQFBgcICQoLDA0ODw/cancel\"",
            "konto@blatt-und-rebe.example",
        ] {
            assert!(page.contains(part), "{part} is missing in {page}");
        }
        assert!(!page.contains("/orders/o_") && !page.contains("name=\"iban\""), "{page}");
    }
}

#[tokio::test]
async fn where_a_parcel_goes_is_told_with_who_said_so() {
    let masked = Recipient { masked: true, ..recipient() };
    for (delivery, english, german) in [
        (Delivery::Wallet(recipient()), "Shown by a wallet", "Von einer Wallet gezeigt"),
        (Delivery::Wallet(masked), "only the first letters", "nur die ersten Buchstaben"),
        (Delivery::Typed(recipient()), "As it was typed", "wie sie getippt wurde"),
        (Delivery::Erased, "The address is erased", "Die Anschrift ist gelöscht"),
    ] {
        let shown = OrderView { delivery, ..placed(Status::Paid) };
        for (language, words) in [(Language::English, english), (Language::German, german)] {
            let page = text(order(&view("", language), Some(&anna()), &shown)).await;
            assert!(page.contains(words), "{page}");
        }
    }
}

#[tokio::test]
async fn everything_that_happened_stands_in_its_line() {
    let events = [
        Happened::Placed,
        Happened::TransferAwaited,
        Happened::Received(5000),
        Happened::Paid,
        Happened::Declined,
        Happened::AskedBank,
        Happened::Cancelled,
        Happened::Expired,
        Happened::Owed(250),
        Happened::SendingBack(250),
        Happened::SentBack(250),
        Happened::Sent,
        Happened::Arrived,
        Happened::Withdrawn,
        Happened::Adjusted,
        Happened::AddressErased,
        Happened::Other(EVIL.to_owned()),
    ];
    let events: Vec<_> = events.into_iter().map(|what| EventView { at_s: 1_795_356_300, what }).collect();
    let shown = OrderView { events: events.clone(), ..placed(Status::Paid) };
    for (language, words) in [
        (Language::English, ["€50.00 received", "€2.50 sent back", "The address was erased"]),
        (Language::German, ["50,00\u{a0}€ erhalten", "2,50\u{a0}€ zurückgezahlt", "Die Anschrift wurde gelöscht"]),
    ] {
        let page = text(order(&view("", language), Some(&anna()), &shown)).await;
        let history = page.split("class=\"history\"").nth(1).unwrap();
        assert_eq!(history.matches("<time>").count(), events.len());
        assert!(words.iter().all(|word| history.contains(word)) && !history.contains("<span></span>"), "{history}");
    }
}

#[tokio::test]
async fn my_orders_are_listed_or_said_to_be_none() {
    for (language, none) in [(Language::English, "None yet."), (Language::German, "Noch keine.")] {
        let page = text(orders(&view("", language), &anna(), &[], None)).await;
        assert!(page.contains(none) && !page.contains("order-list"), "{page}");
        let page = text(orders(&view("senchax1", language), &anna(), &Status::ALL.map(summary), Some("o_1"))).await;
        assert_eq!(page.matches("href=\"/orders/o_00112233445566778899aabbccddeeff?cart=senchax1\"").count(), 9);
        assert!(Status::ALL.iter().all(|status| page.contains(status.words().in_language(language))), "{page}");
        assert!(page.contains(language.say("received €50.00", "erhalten 50,00\u{a0}€")), "{page}");
    }
}

#[tokio::test]
async fn nothing_from_outside_becomes_markup_on_any_page() {
    let evil = || EVIL.to_owned();
    let recipient = Recipient { name: evil(), lines: vec![evil()], masked: false };
    let shown = OrderView {
        id: evil(),
        number: evil(),
        door: Door::Guest { link: evil(), origin: evil() },
        lines: vec![OrderLine { product: evil(), name: evil(), quantity: 1, price_minor: 1, sum_minor: 1 }],
        delivery: Delivery::Typed(recipient.clone()),
        transfer: Some(TransferView {
            payee: evil(),
            iban: evil(),
            reference: evil(),
            payto: format!("payto:{EVIL}"),
            ..transfer()
        }),
        owed: [OwedState::NeedsAccount, OwedState::Owed]
            .map(|state| OwedView { id: evil(), account: Some(evil()), ..owed(state) })
            .to_vec(),
        wrong_account: Some(AccountForm { name: evil(), iban: evil() }),
        ..placed(Status::Paying)
    };
    let customer = Customer { recipient: Some(recipient), ..anna() };
    let till = CheckoutView { form: evil(), ..CheckoutView::default() };
    let summaries = [OrderSummary { id: evil(), number: evil(), ..summary(Status::Paying) }];
    let mut busy = busy_desk();
    busy.form = evil();
    (busy.files, busy.file_on) = (vec![evil()], evil());
    busy.open = summaries.to_vec();
    busy.typed = TransferForm {
        form: evil(),
        transfer: evil(),
        amount: evil(),
        reference: evil(),
        payer: evil(),
        payer_iban: evil(),
    };
    for unmatched in &mut busy.unmatched {
        *unmatched = UnmatchedView {
            transfer: evil(),
            reference: evil(),
            payer: evil(),
            payer_iban: Some(evil()),
            ..unmatched.clone()
        };
    }
    for owed in &mut busy.owed {
        (owed.id, owed.reference) = (evil(), evil());
        (owed.order, owed.payee, owed.iban) = (Some((evil(), evil())), Some(evil()), Some(evil()));
    }
    let sale = DeskSale {
        order: shown.clone(),
        customer: Some(evil()),
        form: evil(),
        typed: evil(),
        asked: vec![AskedView { ask: evil(), purpose: evil(), at_s: 0 }],
        ..a_sale()
    };
    let view = view("senchax1", Language::English);
    for page in [
        checkout(&view, Some(&customer), &till),
        order(&view, None, &shown),
        order(&view, Some(&customer), &OrderView { status: Status::Declined, ..shown.clone() }),
        orders(&view, &customer, &summaries, Some(&evil())),
        conflict::form_used(&view, None, Some(EVIL)),
        conflict::form_expired(&view, None, EVIL),
        conflict::too_late(&view, None, EVIL),
        conflict::show_again(&view, None, EVIL, Words("why", "warum"), EVIL),
        desk::desk(&view, &busy),
        desk::orders(&view, &DeskOrders { orders: summaries.to_vec(), next: Some(evil()) }),
        desk::sale(&view, &sale),
    ] {
        let page = text(page).await;
        assert!(page.contains("&lt;script&gt;") && !page.contains("alert('1')</script>"), "{page}");
    }
}

#[tokio::test]
async fn a_conflict_says_what_happened_and_leads_on() {
    let etna = Product::find("etna").unwrap();
    for language in LANGUAGES {
        let view = view("etnax1", language);
        let say = |english: &'static str, german: &'static str| language.say(english, german);
        for (page, status, words, onward) in [
            (
                conflict::price_changed(&view, None, Some(2850), 2950),
                StatusCode::CONFLICT,
                say("€29.50", "29,50\u{a0}€"),
                "/checkout?",
            ),
            (
                conflict::price_changed(&view, None, None, 2950),
                StatusCode::CONFLICT,
                say("It is now", "Er ist jetzt"),
                "/checkout?",
            ),
            (
                conflict::out_of_stock(&view, None, etna, 0),
                StatusCode::CONFLICT,
                say("is sold out", "ist ausverkauft"),
                "/checkout?",
            ),
            (
                conflict::out_of_stock(&view, None, etna, 2),
                StatusCode::CONFLICT,
                say("only 2 are left", "nur noch 2 da"),
                "/checkout?",
            ),
            (
                conflict::form_used(&view, None, Some("/orders/o_1")),
                StatusCode::CONFLICT,
                say("used already", "schon benutzt"),
                "/orders/o_1?",
            ),
            (
                conflict::form_used(&view, None, None),
                StatusCode::CONFLICT,
                say("used already", "schon benutzt"),
                "/checkout?",
            ),
            (
                conflict::form_expired(&view, None, "/checkout"),
                StatusCode::CONFLICT,
                say("too old", "zu alt"),
                "/checkout?",
            ),
            (
                conflict::too_late(&view, None, "/orders/o_1"),
                StatusCode::CONFLICT,
                say("moved on", "schon weiter"),
                "/orders/o_1?",
            ),
            (
                conflict::no_such_order(&view, None),
                StatusCode::NOT_FOUND,
                say("No such order", "Keine solche Bestellung"),
                "/?",
            ),
        ] {
            let response = page.into_response();
            assert_eq!(response.status(), status);
            assert_eq!(response.headers()[header::CACHE_CONTROL], "private, no-store");
            let body = response.into_body().collect().await.unwrap().to_bytes();
            let page = String::from_utf8(body.to_vec()).unwrap();
            assert!(page.contains(words) && page.contains(&format!("class=\"button\" href=\"{onward}")), "{page}");
        }
        let why = Words("An address is stored.", "Eine Anschrift wird gespeichert.");
        let page = text(conflict::show_again(&view, Some(&anna()), "address", why, "/orders/o_1")).await;
        assert!(page.contains("<firsthand-button ask=\"address\" return-to=\"/orders/o_1?cart=etnax1\">"), "{page}");
        assert!(page.contains(why.in_language(language)), "{page}");
    }
}

#[tokio::test]
async fn a_quiet_desk_says_that_it_is_quiet() {
    for (language, words) in [
        (Language::English, ["None: everything is paid.", "every transfer found its order", "You owe nobody."]),
        (Language::German, ["Keine: Alles ist bezahlt", "hat ihre Bestellung gefunden", "Sie schulden niemandem"]),
    ] {
        let page = text(desk::desk(&view("", language), &quiet_desk())).await;
        assert!(words.iter().all(|word| page.contains(word)), "{page}");
        assert!(page.contains("<td>–</td>"), "{page}");
        let full = DeskView {
            stock: crate::shop::catalogue::CATALOGUE.iter().map(|product| (product.slug.to_owned(), 24)).collect(),
            ..quiet_desk()
        };
        let page = text(desk::desk(&view("", language), &full)).await;
        assert!(page.contains(language.say("the shelves are full", "Die Regale sind voll")), "{page}");
        let none = DeskOrders { orders: Vec::new(), next: None };
        let page = text(desk::orders(&view("", language), &none)).await;
        assert!(page.contains(language.say("Nobody has bought", "Noch hat niemand")), "{page}");
    }
}

#[tokio::test]
async fn a_busy_desk_shows_what_there_is_to_do() {
    for language in LANGUAGES {
        let page = text(desk::desk(&view("", language), &busy_desk())).await;
        for part in [
            "action=\"/merchant/transfers\"",
            "action=\"/merchant/unmatched\"",
            "action=\"/merchant/owed\"",
            "name=\"act\" value=\"assign\"",
            "name=\"act\" value=\"sent_back\"",
            "name=\"act\" value=\"carry_out\"",
            "name=\"act\" value=\"done\"",
            "tea for my aunt",
            "Bert Brandt",
            "href=\"/merchant/orders/o_00112233445566778899aabbccddeeff\"",
            language.say("1.8", "1,8"),
        ] {
            assert!(page.contains(part), "{part} is missing in {page}");
        }
        assert_eq!(page.matches("<form").count(), page.matches("name=\"form\" value=\"form-1\"").count());
        for notice in Notice::ALL {
            let page = text(desk::desk(&view("", language), &DeskView { notice: Some(notice), ..busy_desk() })).await;
            let role = if notice.is_trouble() { "role=\"alert\"" } else { "role=\"status\"" };
            assert!(page.contains(notice.words().in_language(language)) && page.contains(role), "{page}");
        }
    }
}

#[tokio::test]
async fn a_sale_tells_what_was_asked_and_what_is_kept_until_when() {
    for language in LANGUAGES {
        let page = text(desk::sale(&view("", language), &a_sale())).await;
        for part in [
            language.say("Because wine is sold to adults", "Weil Wein nur an Erwachsene verkauft wird"),
            "c_anna",
            KeptWhat::Address.words().in_language(language),
            language.say("Until 22 December 2026", "Bis 22. Dezember 2026"),
            language.say("In the books, as long as the law says", "In den Büchern, so lange das Gesetz es sagt"),
            language.say("Up to €71.80", "Bis zu 71,80\u{a0}€"),
            "/merchant/orders/o_00112233445566778899aabbccddeeff/refund",
            OwedState::Owed.words_for_merchant().in_language(language),
        ] {
            assert!(page.contains(part), "{part} is missing in {page}");
        }
        let bare = DeskSale {
            customer: None,
            refundable_minor: 0,
            asked: Vec::new(),
            kept: Vec::new(),
            sale: None,
            notice: Some(Notice::RefundTooLarge),
            ..a_sale()
        };
        let page = text(desk::sale(&view("", language), &bare)).await;
        for part in [
            language.say("a guest", "ein Gast"),
            language.say("There is nothing to refund", "Es gibt nichts zu erstatten"),
            language.say("No wallet was shown", "keine Wallet gezeigt"),
            Notice::RefundTooLarge.words().in_language(language),
        ] {
            assert!(page.contains(part), "{part} is missing in {page}");
        }
        assert!(!page.contains("<form"), "{page}");
    }
}

#[tokio::test]
async fn the_desk_loads_no_script_and_no_page_of_an_order_is_kept_by_a_cache() {
    let view = view("", Language::English);
    for page in [
        desk::desk(&view, &busy_desk()),
        desk::orders(&view, &DeskOrders { orders: Vec::new(), next: None }),
        desk::sale(&view, &a_sale()),
        order(&view, None, &placed(Status::Paying)),
        orders(&view, &anna(), &[], None),
        checkout(&view, None, &CheckoutView::default()),
    ] {
        let response = page.into_response();
        assert_eq!(response.headers()[header::CACHE_CONTROL], "private, no-store");
        assert_eq!(response.headers()[header::CONTENT_SECURITY_POLICY], CONTENT_SECURITY_POLICY);
    }
    for page in [desk::desk(&view, &busy_desk()), desk::sale(&view, &a_sale())] {
        let page = text(page).await;
        assert!(!page.contains("<script") && !page.contains("firsthand") && !page.contains("greeting"), "{page}");
    }
}
