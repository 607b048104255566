//! After the sale: parcels, the right of withdrawal in two steps, and its acknowledgement, in both languages.

use super::{
    super::{desk, order, withdraw},
    *,
};
use crate::shop::after::{AcknowledgementView, ParcelView, Sent, Stands, Thing, WithdrawLine, WithdrawView};

const NOW: i64 = 1_795_356_300;

fn thing(product: &str, quantity: u32) -> Thing {
    Thing { product: product.to_owned(), name: format!("{product} as sold"), quantity }
}

fn parcel(arrived_s: Option<i64>) -> ParcelView {
    ParcelView {
        key: "p1".to_owned(),
        things: vec![thing("sencha", 1), thing("etna", 1)],
        carrier: Some("DHL".to_owned()),
        tracking: Some("00340434161094".to_owned()),
        link: Some("https://carrier.example/00340434161094".to_owned()),
        sent_s: NOW,
        arrived_s,
    }
}

fn line(product: &str, stands: Stands) -> WithdrawLine {
    WithdrawLine { thing: thing(product, 2), until_s: Some(NOW), stands, only_sealed: false }
}

fn received(due_minor: Option<i64>) -> AcknowledgementView {
    AcknowledgementView {
        key: "w1".to_owned(),
        at_s: NOW,
        things: vec![thing("etna", 2)],
        refund_by_s: NOW + 14 * 24 * 3600,
        due_minor,
    }
}

fn with(after: AfterView) -> OrderView {
    OrderView { after, ..placed(Status::Paid) }
}

#[tokio::test]
async fn a_parcel_can_be_followed() {
    for language in LANGUAGES {
        for (sent, arrived, words) in [
            (Sent::Partly, None, Words("A part is on its way.", "Ein Teil ist unterwegs.")),
            (Sent::All, None, Words("Sent on 22 November 2026", "Verschickt am 22. November 2026")),
            (Sent::Arrived, Some(NOW), Words("Arrived on 22 November 2026", "Angekommen am 22. November 2026")),
        ] {
            let after = AfterView { sent, parcels: vec![parcel(arrived)], ..AfterView::default() };
            let page = text(order(&view("", language), None, &with(after))).await;
            for part in [
                words.in_language(language),
                "DHL",
                "data-copy=\"00340434161094\"",
                "href=\"https://carrier.example/00340434161094\" rel=\"noreferrer\"",
            ] {
                assert!(page.contains(part), "{part} is missing in {page}");
            }
        }
    }
    let evil = ParcelView { carrier: Some(EVIL.to_owned()), tracking: Some(EVIL.to_owned()), ..parcel(None) };
    let after = AfterView { parcels: vec![evil], ..AfterView::default() };
    let page = text(order(&view("", Language::English), None, &with(after))).await;
    assert!(page.contains("&lt;script&gt;"), "{page}");
}

#[tokio::test]
async fn the_function_is_there_for_as_long_as_something_can_be_withdrawn_from() {
    for (language, label) in
        [(Language::English, "Withdraw from the contract here"), (Language::German, "Vertrag hier widerrufen")]
    {
        for (stands, is_there) in
            [(Stands::Open, true), (Stands::Exempt, false), (Stands::Late, false), (Stands::Gone, false)]
        {
            let after = AfterView { withdrawal: vec![line("etna", stands)], ..AfterView::default() };
            let page = text(order(&view("", language), None, &with(after))).await;
            assert_eq!(page.contains(label), is_there, "{stands:?}: {page}");
            assert_eq!(page.contains("/orders/o_00112233445566778899aabbccddeeff/withdraw\""), is_there);
            // Looking at it withdraws nothing.
            assert!(!page.contains("name=\"key\""), "{page}");
        }
    }
}

#[tokio::test]
async fn the_second_step_names_what_and_is_confirmed() {
    let sealed = WithdrawLine { only_sealed: true, ..line("pinot", Stands::Open) };
    let shown = WithdrawView {
        number: "RF18539007547034".to_owned(),
        path: "/o/AAECAwQFBgcICQoLDA0ODw".to_owned(),
        key: "w1".to_owned(),
        lines: vec![line("etna", Stands::Open), sealed, line("sencha", Stands::Exempt)],
        nothing_chosen: false,
    };
    for (language, words) in [
        (Language::English, ["Confirm withdrawal", "with its seal unbroken", "no right of withdrawal"]),
        (Language::German, ["Widerruf bestätigen", "mit unverletztem Siegel", "kein Widerrufsrecht"]),
    ] {
        let page = text(withdraw(&view("", language), None, &shown)).await;
        for part in words.into_iter().chain([
            "action=\"/o/AAECAwQFBgcICQoLDA0ODw/withdraw\"",
            "name=\"key\" value=\"w1\"",
            "name=\"of-etna\"",
            "name=\"of-pinot\"",
        ]) {
            assert!(page.contains(part), "{part} is missing in {page}");
        }
        assert!(!page.contains("name=\"of-sencha\"") && !page.contains("role=\"alert\""), "{page}");
        // Nothing is asked of anybody but from what.
        assert_eq!((page.matches("<input").count(), page.matches("<select").count()), (1, 2), "{page}");
        let again = WithdrawView { nothing_chosen: true, ..shown.clone() };
        assert!(text(withdraw(&view("", language), None, &again)).await.contains("role=\"alert\""));
    }
}

#[tokio::test]
async fn the_acknowledgement_is_shown_and_kept_with_content_day_and_time() {
    for (language, words, file) in [
        (
            Language::English,
            ["Received on", "22 November 2026, 15:05<", "6 December 2026", "Save the acknowledgement"],
            "Received%20on%3A%2022%20November%202026%2C%2015%3A05%20CET%0A",
        ),
        (
            Language::German,
            ["Eingegangen am", "22. November 2026, 15:05 Uhr<", "6. Dezember 2026", "Eingangsbestätigung sichern"],
            "Eingegangen%20am%3A%2022%2E%20November%202026%2C%2015%3A05%20Uhr%20MEZ%0A",
        ),
    ] {
        let after = AfterView { acknowledgements: vec![received(Some(5700))], ..AfterView::default() };
        let page = text(order(&view("", language), None, &with(after))).await;
        assert!(words.iter().all(|word| page.contains(word)), "{page}");
        let saved = page.split("href=\"data:text/plain;charset=utf-8,").nth(1).unwrap().split('"').next().unwrap();
        for part in [file, "RF18%205390%200754%207034", "2%20%C3%97%20Etna"] {
            assert!(saved.contains(part), "{part} is missing in {saved}");
        }
        assert!(page.contains("download=\"withdrawal-RF18539007547034-w1.txt\""), "{page}");
    }
    let odd = Thing { product: "gone".to_owned(), name: EVIL.to_owned(), quantity: 1 };
    let after = AfterView {
        acknowledgements: vec![AcknowledgementView { things: vec![odd], ..received(None) }],
        ..AfterView::default()
    };
    let page = text(order(&view("", Language::English), None, &with(after))).await;
    assert!(page.contains("Settled.") && page.contains("%3Cscript%3E"), "{page}");
}

#[tokio::test]
async fn the_desk_sends_and_settles() {
    let after = AfterView {
        sent: Sent::Partly,
        parcels: vec![parcel(None), ParcelView { key: "p2".to_owned(), ..parcel(Some(NOW)) }],
        unsent: vec![thing("etna", 1)],
        acknowledgements: vec![received(Some(5700)), received(None)],
        ..AfterView::default()
    };
    let shown = DeskSale { order: with(after), ..a_sale() };
    for (language, amount) in [(Language::English, "57.00"), (Language::German, "57,00")] {
        let page = text(desk::sale(&view("", language), &shown)).await;
        let root = "action=\"/merchant/orders/o_00112233445566778899aabbccddeeff";
        assert_eq!(page.matches(&format!("{root}/arrived\"")).count(), 1, "{page}");
        assert_eq!(page.matches(&format!("{root}/withdrawals\"")).count(), 1, "{page}");
        assert_eq!(page.matches(&format!("{root}/parcels\"")).count(), 1, "{page}");
        for part in ["name=\"of-etna\" value=\"1\"", &format!("name=\"amount\" value=\"{amount}\"")] {
            assert!(page.contains(part), "{part} is missing in {page}");
        }
        // What nobody has promised to pay is not sent.
        let unpaid = DeskSale { may_send: false, ..shown.clone() };
        assert!(!text(desk::sale(&view("", language), &unpaid)).await.contains(&format!("{root}/parcels\"")));
    }
    let quiet = text(desk::desk(&view("", Language::English), &quiet_desk())).await;
    assert!(!quiet.contains("Withdrawals"), "{quiet}");
    let waiting = DeskView { withdrawn: vec![summary(Status::Paid)], ..quiet_desk() };
    let waiting = text(desk::desk(&view("", Language::English), &waiting)).await;
    assert!(waiting.contains("Withdrawals") && waiting.contains("/merchant/orders/o_0011"), "{waiting}");
}
