//! The order on the hosted page, after the sale: what was sent and what goes back, the customer's own withdrawal in two
//! steps, and the receipt; for guests by plain forms, for customers signed; and everybody who is not let in.

use axum::Router;
use firsthand::{
    Merchant, Money,
    merchant::{GuestLink, IssuerProfile, Order, WalletClient},
    money::{Currency, Quantity},
    order::{Address, Adjustment, AdjustmentReason, Exemption, Parcel, Part},
    receipt::ReceiptIssuer,
    store::{Memory, Store},
    time::{Local, Zone},
    trade::{FlatRates, Item, Items, Shelf, Trade, Vat, Way},
};
use firsthand_axum::{
    CheckoutPage, CustomerLayer, Operations, routes,
    testing::{Browser, FakeRail, Reply, TestShop},
};
use http::{Method, StatusCode};

use crate::{
    checkouts::{HOME, filled},
    orders::fields,
    setting::refused,
};

const FORM: &str = "application/x-www-form-urlencoded";
const DAY_S: u64 = 24 * 3600;

/// A shop whose pages are all hosted.
pub struct Till {
    pub shop: TestShop,
    app: Router,
    pub operations: Operations,
}

fn euro(text: &str) -> Money {
    Money::parse(text, Currency::EUR).unwrap()
}

fn parts(item: &str, number: u32) -> Vec<Part> {
    vec![Part::new(item, Quantity::new(number).unwrap())]
}

impl Till {
    /// `with_receipts` for a shop that makes them and offers them to wallets.
    pub async fn open(with_receipts: bool) -> Self {
        Self::over(Memory::new(), with_receipts).await
    }

    pub async fn over(store: impl Store + Clone, with_receipts: bool) -> Self {
        let shelf = Shelf::new(store.clone());
        let items = [
            Item::new("tea", "Sencha <b>100 g</b>", euro("10.00")).sent(120),
            Item::new("cake", "Cake", euro("8.00")).sent(400).no_withdrawal(Exemption::Perishable),
        ];
        let trade = Trade::new(Currency::EUR, Items::new(items).unwrap())
            .inventory(shelf.clone())
            .shipping(FlatRates::new().way(Way::new("parcel", "Parcel", euro("4.90")), &["DE"], 20_000))
            .tax(Vat::within_prices("DE").rate("DE", "standard", "19".parse().unwrap()))
            .home("DE");
        let address = Address {
            name: "Test Shop GmbH".into(),
            street: "Weg 1".into(),
            postal_code: "10115".into(),
            locality: "Berlin".into(),
            country: "DE".into(),
        };
        let client = WalletClient {
            client_id: "https://wallet.example".into(),
            name: "A Wallet".into(),
            redirect_uris: vec!["https://wallet.example/cb".into()],
        };
        let shop = TestShop::with(|shop| {
            let shop = shop.store(store).rail(FakeRail::new()).trade(trade).time_zone(Zone::Cet);
            if !with_receipts {
                return shop;
            }
            shop.relationship(IssuerProfile::Open)
                .display_name("Test Shop")
                .wallet_client(client)
                .receipts(ReceiptIssuer::new(&address, "DE123456789").branch("web", "Test Shop"))
        });
        for item in ["tea", "cake"] {
            shelf.stock(item, 50, shop.merchant().now()).await.unwrap();
        }
        let page = CheckoutPage::new().shop("Blatt & Rebe").countries(&["DE"]);
        let layer = CustomerLayer::new(shop.merchant().clone()).checkout_page(page);
        let operations = layer.operations();
        let app = Router::new().merge(routes(shop.merchant())).layer(layer);
        Self { shop, app, operations }
    }

    fn merchant(&self) -> &Merchant {
        self.shop.merchant()
    }

    pub fn browser(&self) -> Browser {
        Browser::new(&self.shop, self.app.clone())
    }

    /// A guest who has ordered three teas and a cake, and the path of the order's page.
    async fn guest(&self) -> (Browser, String) {
        let mut guest = self.browser();
        let path = led_to(&guest.plain_form("/wallet/checkout", "item=tea&quantity=3&item=cake&quantity=1").await);
        let page = looked(&mut guest, &path).await.text();
        let mut with = HOME.to_vec();
        with.push(("rail", FakeRail::ID));
        assert_eq!(led_to(&guest.plain_form(&path, &filled(&page, "complete", &with)).await), path);
        let page = looked(&mut guest, &path).await.text();
        assert!(page.contains("Thank you for your order") && page.contains("It is paid."), "{page}");
        (guest, path)
    }

    /// The order of a guest's page.
    pub async fn order(&self, path: &str) -> Order {
        let link: GuestLink = path.rsplit('/').next().unwrap().parse().unwrap();
        self.merchant().guest_order(&link).await.unwrap()
    }

    async fn sent(&self, order: &Order, parcel: Parcel) {
        order.sent(parcel).await.unwrap().commit().await.unwrap();
    }
}

pub async fn looked(browser: &mut Browser, path: &str) -> Reply {
    browser.plain(&Method::GET, path, &[("sec-fetch-mode", "navigate")], b"").await
}

#[track_caller]
pub fn led_to(reply: &Reply) -> String {
    assert_eq!(reply.status, StatusCode::SEE_OTHER, "{}", reply.text());
    reply.header("location").to_owned()
}

#[track_caller]
fn shows(page: &str, wanted: &[&str]) {
    for part in wanted {
        assert!(page.contains(part), "{part} is missing in {page}");
    }
}

/// The value of a hidden field.
fn hidden(page: &str, name: &str) -> String {
    let (_, rest) = page.split_once(&format!("name=\"{name}\" value=\"")).expect("the field");
    rest.split('"').next().unwrap().to_owned()
}

/// A withdrawal's form, as one of its pages sends it.
pub fn form(page: &str, act: &str, items: &[(&str, &str)]) -> String {
    let key = hidden(page, "key");
    let mut sent = vec![("key", key.as_str())];
    for (item, quantity) in items {
        sent.extend([("item", *item), ("quantity", *quantity)]);
    }
    sent.push(("act", act));
    fields(&sent)
}

// --- parcels, and what goes back

#[tokio::test]
async fn parcels_are_followed_on_the_page() {
    let till = Till::open(false).await;
    let (mut guest, path) = till.guest().await;
    let page = looked(&mut guest, &path).await.text();
    assert!(!page.contains("Your parcels") && !page.contains("What goes back") && !page.contains("Receipt"), "{page}");

    let order = till.order(&path).await;
    let parcel = Parcel::new("1", parts("tea", 2))
        .carried_by("DHL & Söhne", Some("00340<b>".to_owned()))
        .tracked_at("https://carrier.example/?n=1&m=2".parse().unwrap());
    till.sent(&order, parcel).await;
    let page = looked(&mut guest, &path).await.text();
    shows(
        &page,
        &[
            "A part is on its way. It is paid.",
            "On its way since",
            "2 × Sencha &lt;b&gt;100 g&lt;/b&gt;",
            "DHL &amp; Söhne",
            "00340&lt;b&gt;",
            "<a class=\"button\" href=\"https://carrier.example/?n=1&amp;m=2\" rel=\"noopener noreferrer\"",
        ],
    );
    assert!(!page.contains("Arrived on") && !page.contains("<b>"), "{page}");

    let order = order.delivered("1").await.unwrap().commit().await.unwrap();
    let page = looked(&mut guest, &path).await.text();
    shows(&page, &["A part has arrived; the rest follows. It is paid.", "Arrived on <time datetime=\""]);
    let rest = [parts("tea", 1), parts("cake", 1)].concat();
    till.sent(&order, Parcel::new("2", rest)).await;
    let german = looked(&mut guest, &format!("{path}?lang=de")).await.text();
    shows(&german, &["Ein Teil ist angekommen; der Rest ist unterwegs. Sie ist bezahlt.", "Unterwegs seit", " Uhr<"]);
    order.delivered("2").await.unwrap().commit().await.unwrap();
    let page = looked(&mut guest, &path).await.text();
    shows(&page, &["It has arrived. It is paid.", "1 × Cake"]);

    // A time to withdraw ends with a whole day of the shop, and not at an hour that somebody would have to know.
    let ends = "<time datetime=\"2026-12-09T00:00:00+01:00\">";
    shows(&page, &[&format!("Until {ends}the end of 8 December 2026</time>.")]);
    let german = looked(&mut guest, &format!("{path}?lang=de")).await.text();
    shows(&german, &[&format!("Bis {ends}einschließlich 08.12.2026</time>.")]);
    let stated = looked(&mut guest, &format!("{path}/withdraw")).await.text();
    shows(&stated, &["the end of 8 December 2026"]);
    let end = Zone::Cet.ends(&"2026-12-08".parse().unwrap());
    till.shop.advance_s(end.since_s(till.merchant().now()) - 1);
    assert!(looked(&mut guest, &path).await.text().contains("Withdraw from the contract here"));
    till.shop.advance_s(1);
    assert!(!looked(&mut guest, &path).await.text().contains("Withdraw from the contract here"));
}

#[tokio::test]
async fn what_goes_back_is_told_with_its_amount_and_how_far_it_is() {
    let till = Till::open(false).await;
    let (mut guest, path) = till.guest().await;
    let order = till.order(&path).await;
    let adjustment = Adjustment {
        key: "a".to_owned(),
        reason: AdjustmentReason::Damaged,
        lines: parts("tea", 1),
        amount: euro("2.50"),
    };
    order.adjust(adjustment).await.unwrap().commit().await.unwrap();
    let page = looked(&mut guest, &path).await.text();
    shows(
        &page,
        &[
            "It is paid. €2.50 goes back to you.",
            "What goes back",
            "Cheaper, as it is damaged",
            "<strong>€2.50</strong> goes back to you.",
        ],
    );
    for refund in till.merchant().open_refunds(10).await.unwrap() {
        refund.send().await.unwrap();
    }
    let page = looked(&mut guest, &path).await.text();
    shows(&page, &["It is paid. €2.50 was given back to you.", "<strong>€2.50</strong> was given back to you."]);

    // The rest of it, for no reason that the page knows.
    let rest = order.total().minus(euro("2.50")).unwrap();
    order.refund(rest, "rest").await.unwrap().commit().await.unwrap();
    let page = looked(&mut guest, &path).await.text();
    shows(&page, &["<h3>Refund</h3>", "goes back to you."]);
    for refund in till.merchant().open_refunds(10).await.unwrap() {
        refund.send().await.unwrap();
    }
    let german = looked(&mut guest, &format!("{path}?lang=de")).await.text();
    shows(&german, &["Was Sie bezahlt haben, wurde Ihnen zurückgezahlt.", "<h3>Erstattung</h3>", "2,50\u{a0}€"]);
    assert!(!german.contains("Sie ist bezahlt."), "{german}");
}

// --- the withdrawal

#[tokio::test]
async fn a_guest_withdraws_in_two_steps_and_keeps_the_acknowledgement() {
    let till = Till::open(false).await;
    let (mut guest, path) = till.guest().await;
    let page = looked(&mut guest, &path).await.text();
    let link = format!("<a class=\"button\" href=\"{path}/withdraw\">Withdraw from the contract here</a>");
    shows(&page, &[&link]);
    let german = looked(&mut guest, &format!("{path}?lang=de")).await.text();
    shows(&german, &[&format!("<a class=\"button\" href=\"{path}/withdraw?lang=de\">Vertrag widerrufen</a>")]);

    // From what: the tea, as the cake goes bad.
    let at = format!("{path}/withdraw");
    let first = looked(&mut guest, &at).await;
    assert_eq!((first.status, first.header("cache-control")), (StatusCode::OK, "private, no-store"));
    let first = first.text();
    shows(
        &first,
        &["The law gives no right of withdrawal here.", "value=\"3\" aria-describedby=\"quantity-0-left\"", "of 3"],
    );
    assert!(!first.contains("value=\"cake\"") && !first.contains("role=\"alert\""), "{first}");

    // What exactly: nothing has happened yet.
    let second = guest.plain_form(&at, &form(&first, "choose", &[("tea", "2")])).await;
    assert_eq!(second.status, StatusCode::OK);
    let second = second.text();
    shows(
        &second,
        &["2 × Sencha &lt;b&gt;100 g&lt;/b&gt;", ">Confirm withdrawal</button>", "name=\"item\" value=\"tea\""],
    );
    assert!(till.order(&path).await.acknowledgements().is_empty());
    let changed = guest.plain_form(&at, &form(&second, "change", &[("tea", "2")])).await.text();
    shows(&changed, &["value=\"2\" aria-describedby", ">Next: confirm</button>"]);

    // Confirmed, and pressed twice.
    let confirmed = form(&second, "confirm", &[("tea", "2")]);
    for _ in 0..2 {
        let done = led_to(&guest.plain_form(&at, &confirmed).await);
        assert_eq!(done, format!("{path}?said=withdrawn"));
    }
    let order = till.order(&path).await;
    let stated = order.acknowledgements();
    assert_eq!((stated.len(), stated[0].at), (1, till.merchant().now()));
    let page = looked(&mut guest, &format!("{path}?said=withdrawn")).await.text();
    shows(
        &page,
        &[
            "We have received your withdrawal.",
            "<h2 id=\"withdrawal\"",
            "2 × Sencha &lt;b&gt;100 g&lt;/b&gt;",
            "What is due to you goes back by",
            &format!("href=\"{path}/kept/withdrawal-1.txt\""),
            "Withdraw from the contract here",
        ],
    );
    let file = looked(&mut guest, &format!("{path}/kept/withdrawal-1.txt")).await;
    assert_eq!(file.header("content-type"), "text/plain; charset=utf-8");
    assert_eq!(file.header("content-disposition"), "attachment; filename=\"withdrawal-1.txt\"");
    assert_eq!(file.header("cache-control"), "private, no-store");
    let Local { hour, minute, .. } = Zone::Cet.local(till.merchant().now());
    let clock = format!("{hour:02}:{minute:02}");
    shows(
        &file.text(),
        &[
            "From: Blatt & Rebe",
            order.reference().as_str(),
            &format!("{clock} CET"),
            "2 × Sencha <b>100 g</b>",
            "goes back by",
        ],
    );
    let german = looked(&mut guest, &format!("{path}/kept/withdrawal-1.txt?lang=de")).await.text();
    shows(&german, &["Bestätigung über den Eingang eines Widerrufs", &format!("{clock} Uhr MEZ")]);
    for file in ["withdrawal-0.txt", "withdrawal-2.txt", "withdrawal-x.txt", "withdrawal-1.json", "receipt-1.json", "x"]
    {
        assert_eq!(looked(&mut guest, &format!("{path}/kept/{file}")).await.status, StatusCode::NOT_FOUND, "{file}");
    }

    // The last one, after which there is nothing to withdraw from, and nothing offers it.
    let first = looked(&mut guest, &at).await.text();
    assert_ne!(hidden(&first, "key"), hidden(&second, "key"));
    led_to(&guest.plain_form(&at, &form(&first, "confirm", &[("tea", "1")])).await);
    let page = looked(&mut guest, &path).await.text();
    assert!(!page.contains("Withdraw from the contract here") && page.contains("withdrawal-2.txt"), "{page}");
    assert_eq!(led_to(&looked(&mut guest, &at).await), path);
    // What was confirmed before is still that.
    led_to(&guest.plain_form(&at, &confirmed).await);
    assert_eq!(till.order(&path).await.acknowledgements().len(), 2);
}

#[tokio::test]
async fn wrong_quantities_are_told_beside_their_field_and_withdraw_nothing() {
    let till = Till::open(false).await;
    let (mut guest, path) = till.guest().await;
    let at = format!("{path}/withdraw");
    let page = looked(&mut guest, &at).await.text();
    for (items, said) in [
        (&[("tea", "4")][..], "At most 3."),
        (&[("tea", "two")], "A whole number, from 0."),
        (&[("tea", "-1")], "A whole number, from 0."),
        (&[("tea", "1.5")], "A whole number, from 0."),
        (&[("tea", "99999999999999999999")], "A whole number, from 0."),
        (&[("tea", "0")], "Choose at least one thing."),
        (&[("tea", "")], "Choose at least one thing."),
        (&[], "Choose at least one thing."),
        (&[("cake", "1")], "cannot be withdrawn from"),
        (&[("wine", "1")], "cannot be withdrawn from"),
        (&[("tea", "1"), ("wine", "<b>")], "A whole number, from 0."),
    ] {
        for act in ["choose", "confirm", "change"] {
            let reply = guest.plain_form(&at, &form(&page, act, items)).await;
            assert_eq!(reply.status, StatusCode::UNPROCESSABLE_ENTITY, "{act} {items:?}: {}", reply.text());
            let text = reply.text();
            if act == "confirm" && items.is_empty() || items.iter().all(|(_, typed)| matches!(*typed, "" | "0")) {
                shows(&text, &["role=\"alert\""]);
                continue;
            }
            shows(
                &text,
                &[
                    said,
                    "role=\"alert\"",
                    "href=\"#quantity-0\"",
                    "aria-describedby=\"quantity-0-left quantity-0-error\"",
                    "id=\"quantity-0-error\"",
                ],
            );
        }
    }
    // Twice the same, which no page sends.
    let twice = guest.plain_form(&at, &form(&page, "confirm", &[("tea", "1"), ("tea", "1")])).await;
    assert_eq!(twice.status, StatusCode::UNPROCESSABLE_ENTITY);
    let german = guest.plain_form(&format!("{at}?lang=de"), &form(&page, "choose", &[("tea", "4")])).await.text();
    shows(&german, &["Höchstens 3.", "Das ist noch nicht widerrufen", "Bitte prüfen:"]);
    assert!(till.order(&path).await.acknowledgements().is_empty());

    // Two tabs: the second says something else with the same key, and counts for nothing.
    led_to(&guest.plain_form(&at, &form(&page, "confirm", &[("tea", "1")])).await);
    let other = guest.plain_form(&at, &form(&page, "confirm", &[("tea", "2")])).await;
    assert_eq!(other.status, StatusCode::UNPROCESSABLE_ENTITY);
    let other = other.text();
    shows(&other, &["in another tab or window meanwhile", "of 2"]);
    assert_ne!(hidden(&other, "key"), hidden(&page, "key"));
    assert_eq!(till.order(&path).await.acknowledgements().len(), 1);

    // Too late: fifteen days and a weekend after it has arrived.
    let order = till.order(&path).await;
    till.sent(&order, Parcel::new("1", [parts("tea", 2), parts("cake", 1)].concat())).await;
    order.delivered("1").await.unwrap().commit().await.unwrap();
    shows(&looked(&mut guest, &path).await.text(), &["without giving a reason. Until <time"]);
    till.shop.advance_s(20 * DAY_S);
    assert!(!looked(&mut guest, &path).await.text().contains("Withdraw from the contract here"));
    let late = guest.plain_form(&at, &form(&other, "confirm", &[("tea", "2")])).await;
    assert_eq!(late.status, StatusCode::UNPROCESSABLE_ENTITY);
    shows(&late.text(), &["cannot be withdrawn from any more", "The time to withdraw is over."]);
    assert_eq!(till.order(&path).await.acknowledgements().len(), 1);
}

#[tokio::test]
async fn forms_of_other_sites_and_whoever_lacks_the_link_withdraw_nothing() {
    let till = Till::open(true).await;
    let (mut guest, path) = till.guest().await;
    let at = format!("{path}/withdraw");
    let page = looked(&mut guest, &at).await.text();
    let confirmed = form(&page, "confirm", &[("tea", "3")]);
    for at in [at.as_str(), &format!("{path}/receipt")] {
        for (name, value) in [("origin", "https://other.example"), ("origin", "null"), ("sec-fetch-site", "cross-site")]
        {
            let headers = [("content-type", FORM), (name, value)];
            refused(&guest.plain(&Method::POST, at, &headers, confirmed.as_bytes()).await, 403, "cross_site");
        }
        refused(
            &guest.plain(&Method::POST, at, &[("content-type", FORM)], confirmed.as_bytes()).await,
            403,
            "cross_site",
        );
    }
    // A link with one letter changed, the order's own name, and nothing at all.
    let mut other = till.browser();
    other.sign_in("adult").await;
    let order = till.order(&path).await;
    let mut forged = path.clone();
    let last = forged.pop().unwrap();
    forged.push(if last == 'A' { 'E' } else { 'A' });
    for name in [forged.clone(), "/wallet/checkout/x".to_owned(), format!("/wallet/checkout/{}", order.id())] {
        for part in ["withdraw", "receipt", "kept/withdrawal-1.txt"] {
            let reply = other.get(&format!("{name}/{part}")).await;
            assert_eq!(reply.status, StatusCode::NOT_FOUND, "{name}/{part}: {}", reply.text());
        }
        for part in ["withdraw", "receipt"] {
            let reply = other.post_form(&format!("{name}/{part}"), &confirmed).await;
            assert_eq!(reply.status, StatusCode::NOT_FOUND, "{name}/{part}: {}", reply.text());
        }
    }
    // Nobody at all, at a customer's order: a page that signs, and no form goes through.
    let theirs = format!("/wallet/checkout/{}/withdraw", order.id());
    let shell = looked(&mut guest, &theirs).await;
    assert!(shell.text().contains("data-firsthand-page=\"shell\""), "{}", shell.text());
    let unsigned = guest.plain_form(&theirs, &confirmed).await;
    assert_eq!(unsigned.status, StatusCode::UNAUTHORIZED);
    assert!(till.order(&path).await.acknowledgements().is_empty());

    // A checkout that is no order yet leads to its own page.
    let open = led_to(&guest.plain_form("/wallet/checkout", "item=tea").await);
    for part in ["withdraw", "receipt"] {
        assert_eq!(led_to(&looked(&mut guest, &format!("{open}/{part}")).await), open);
        assert_eq!(led_to(&guest.plain_form(&format!("{open}/{part}"), &confirmed).await), open);
    }
}

#[tokio::test]
async fn a_customer_withdraws_signed_and_nobody_else_sees_it() {
    let till = Till::open(false).await;
    let (mut known, mut other) = (till.browser(), till.browser());
    known.sign_in("adult").await;
    other.sign_in("adult").await;
    let begun = known.post_form("/wallet/checkout", "item=tea&quantity=2").await;
    let path = begun.header("firsthand-location").to_owned();
    let mut with = HOME.to_vec();
    with.push(("rail", FakeRail::ID));
    let page = known.get(&path).await.text();
    known.post_form(&path, &filled(&page, "complete", &with)).await;
    shows(&known.get(&path).await.text(), &["It is paid.", "Withdraw from the contract here"]);
    let at = format!("{path}/withdraw");
    let page = known.get(&at).await;
    assert!(!page.header("dpop-nonce").is_empty());
    let second = known.post_form(&at, &form(&page.text(), "choose", &[("tea", "2")])).await;
    assert_eq!(second.status, StatusCode::OK, "{}", second.text());
    let confirmed = form(&second.text(), "confirm", &[("tea", "2")]);
    assert_eq!(other.post_form(&at, &confirmed).await.status, StatusCode::NOT_FOUND);
    let done = known.post_form(&at, &confirmed).await;
    assert_eq!(done.status, StatusCode::NO_CONTENT, "{}", done.text());
    assert_eq!(done.header("firsthand-location"), format!("{path}?said=withdrawn"));
    let file = known.get(&format!("{path}/kept/withdrawal-1.txt")).await;
    assert_eq!(file.status, StatusCode::OK);
    shows(&file.text(), &["2 × Sencha"]);
    assert_eq!(other.get(&format!("{path}/kept/withdrawal-1.txt")).await.status, StatusCode::NOT_FOUND);
    assert_eq!(till.merchant().open_withdrawals(10).await.unwrap().len(), 1, "it waits for the merchant");
}

// --- the receipt

#[tokio::test]
async fn receipts_are_printed_saved_and_put_into_a_wallet() {
    let till = Till::open(true).await;
    let (mut guest, path) = till.guest().await;
    let order = till.order(&path).await;
    let number = order.reference().as_str().to_owned();
    shows(&looked(&mut guest, &path).await.text(), &[&format!("href=\"{path}/receipt\"")]);
    let at = format!("{path}/receipt");
    let page = looked(&mut guest, &at).await.text();
    shows(
        &page,
        &[
            "What you bought",
            "Test Shop GmbH",
            "DE123456789",
            "Sencha &lt;b&gt;100 g&lt;/b&gt;",
            "€42.90",
            "19% VAT on",
            "Put it into my wallet",
            &format!("href=\"{path}/kept/receipt-{number}.json\""),
        ],
    );
    assert!(!page.contains("What went back"), "{page}");
    let saved = looked(&mut guest, &format!("{path}/kept/receipt-{number}.json")).await;
    assert_eq!(saved.header("content-type"), "application/json");
    assert_eq!(saved.header("content-disposition"), format!("attachment; filename=\"receipt-{number}.json\""));
    assert_eq!(saved.json(), order.receipt().await.unwrap().to_json());

    // An offer is made for one wallet, each time anew; another number is nobody's.
    let offered = guest.plain_form(&at, &fields(&[("key", &number)])).await;
    assert_eq!(offered.status, StatusCode::OK, "{}", offered.text());
    let offered = offered.text();
    shows(
        &offered,
        &["openid-credential-offer://", "A code for your wallet", "5 minutes, once", "Open my wallet here"],
    );
    let german = guest.plain_form(&format!("{at}?lang=de"), &fields(&[("key", &number)])).await.text();
    shows(&german, &["Ein Code für Ihre Wallet", "Ihre Wallet fragt nach", "42,90\u{a0}€"]);
    for other in ["RF18539007547034", "", "x"] {
        let reply = guest.plain_form(&at, &fields(&[("key", other)])).await;
        assert_eq!(reply.status, StatusCode::NOT_FOUND, "{other}");
    }

    // What goes back has a receipt of its own.
    order.refund(euro("10.00"), "tea").await.unwrap().commit().await.unwrap();
    for refund in till.merchant().open_refunds(10).await.unwrap() {
        refund.send().await.unwrap();
    }
    shows(&looked(&mut guest, &at).await.text(), &["What went back", "−€10.00", "Put it into my wallet"]);

    // A shop that makes none says nothing of them.
    let plain = Till::open(false).await;
    let (mut guest, path) = plain.guest().await;
    assert_eq!(led_to(&looked(&mut guest, &format!("{path}/receipt")).await), path);
    assert_eq!(led_to(&guest.plain_form(&format!("{path}/receipt"), "key=1").await), path);
}
