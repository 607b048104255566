//! The checkout page of a shop that chose to have a cookie: whom it knows buys as themselves by plain forms without a script,
//! and no other site buys in their name.

use axum::Router;
use firsthand::{
    Merchant, Money,
    merchant::{GuestLink, OrderQuery},
    money::Currency,
    order::{Buyer, DeliverySource},
    store::Memory,
    testing::FakeRail,
    trade::{FlatRates, Item, Items, Shelf, Trade, Way},
};
use firsthand_axum::{
    CheckoutPage, CustomerLayer, routes,
    testing::{Browser, Reply, TestShop},
};
use http::{Method, StatusCode};

use crate::{
    checkouts::{HOME, filled},
    cookie::{self, NAME},
    setting::customer,
};

const ORIGIN: &str = "https://shop.example";
const FORM: &str = "application/x-www-form-urlencoded";

/// A shop with a till and a cookie.
struct Till {
    shop: TestShop,
    rail: FakeRail,
    shelf: Shelf,
}

impl Till {
    async fn open() -> Self {
        let (store, rail) = (Memory::new(), FakeRail::new());
        let shelf = Shelf::new(store.clone());
        let euro = |text| Money::parse(text, Currency::EUR).unwrap();
        let wine = Item::new("wine", "Riesling", euro("12.00")).sent(1_300).needs(&TestShop::age());
        let trade =
            Trade::new(Currency::EUR, Items::new([wine, Item::new("book", "A book as a file", euro("9.90"))]).unwrap())
                .inventory(shelf.clone())
                .shipping(FlatRates::new().way(Way::new("parcel", "Parcel", euro("4.90")), &["DE"], 20_000))
                .home("DE");
        let shop = TestShop::with(|shop| shop.store(store).rail(rail.clone()).trade(trade));
        for item in ["wine", "book"] {
            shelf.stock(item, 20, shop.merchant().now()).await.unwrap();
        }
        Self { shop, rail, shelf }
    }

    fn merchant(&self) -> &Merchant {
        self.shop.merchant()
    }

    fn app(&self, with_cookie: bool) -> Router {
        let layer = CustomerLayer::new(self.merchant().clone()).checkout_page(CheckoutPage::new().countries(&["DE"]));
        routes(self.merchant()).layer(if with_cookie { layer.host_cookie() } else { layer })
    }

    /// A browser whose customer has shown that they are an adult, and its cookie.
    async fn customer(&self) -> (Browser, String) {
        let mut browser = Browser::new(&self.shop, self.app(true));
        browser.sign_in("adult").await;
        let cookie = cookie::begin(&mut browser).await;
        (browser, cookie)
    }

    async fn left(&self, item: &str) -> u64 {
        self.shelf.count(item, self.merchant().now()).await.unwrap().left
    }
}

/// Types an address, or follows a link, without any script.
async fn looks(browser: &mut Browser, cookie: &str, path: &str) -> Reply {
    let cookie = format!("{NAME}={cookie}");
    let headers = [("cookie", cookie.as_str()), ("sec-fetch-mode", "navigate"), ("sec-fetch-site", "none")];
    browser.plain(&Method::GET, path, &headers, b"").await
}

/// Sends a form from a page of this site and origin.
async fn sends_from(
    browser: &mut Browser,
    cookie: &str,
    path: &str,
    from: &[(&'static str, &str)],
    form: &str,
) -> Reply {
    let cookie = format!("{NAME}={cookie}");
    let mut headers = vec![("cookie", cookie.as_str()), ("content-type", FORM), ("sec-fetch-mode", "navigate")];
    headers.extend(from);
    browser.plain(&Method::POST, path, &headers, form.as_bytes()).await
}

/// Sends a form from a page of the shop.
async fn sends(browser: &mut Browser, cookie: &str, path: &str, form: &str) -> Reply {
    sends_from(browser, cookie, path, &[("sec-fetch-site", "same-origin"), ("origin", ORIGIN)], form).await
}

#[track_caller]
fn led_to(reply: &Reply) -> String {
    assert_eq!(reply.status, StatusCode::SEE_OTHER, "{}", reply.text());
    reply.header("location").to_owned()
}

/// What was computed from the cookie is for nobody else.
#[track_caller]
fn is_private(reply: &Reply) {
    assert_eq!(reply.header("cache-control"), "private, no-store");
    assert!(reply.headers.get_all("vary").iter().any(|vary| vary == "Cookie"), "{:?}", reply.headers);
}

#[tokio::test]
async fn whom_the_cookie_knows_begins_changes_and_completes_as_themselves() {
    let till = Till::open().await;
    let (mut browser, cookie) = till.customer().await;
    let me = customer(&mut browser).await;
    let begun = sends(&mut browser, &cookie, "/wallet/checkout", "item=wine&quantity=1").await;
    is_private(&begun);
    let path = led_to(&begun);
    assert!(path.starts_with("/wallet/checkout/k_"), "theirs, and no guest's: {path}");
    let page = looks(&mut browser, &cookie, &path).await;
    assert_eq!(page.status, StatusCode::OK);
    is_private(&page);
    let page = page.text();
    assert!(page.contains("The shop knows you as its customer.") && page.contains("16.90"), "{page}");
    assert!(!page.contains("id=\"proofs\"") || !page.contains("Wine is sold"), "what was shown is not asked again");

    // Changed: two bottles, and where to. The address is there for the page.
    let more = [&HOME[..], &[("quantity", "2")]].concat();
    let updated = led_to(&sends(&mut browser, &cookie, &path, &filled(&page, "update", &more)).await);
    assert!(updated.ends_with("?said=updated"), "{updated}");
    let page = looks(&mut browser, &cookie, &updated).await.text();
    assert!(page.contains("28.90") && page.contains("value=\"Köln\""), "{page}");
    assert_eq!(till.rail.calls(), 0);

    // Completed, twice.
    let order = filled(&page, "complete", &[("rail", FakeRail::ID)]);
    let done = led_to(&sends(&mut browser, &cookie, &path, &order).await);
    let again = led_to(&sends(&mut browser, &cookie, &path, &order).await);
    assert_eq!((done.as_str(), again.as_str()), (path.as_str(), format!("{path}?said=ordered_already").as_str()));
    assert_eq!((till.rail.calls(), till.left("wine").await), (1, 18));
    let shown = looks(&mut browser, &cookie, &done).await;
    is_private(&shown);
    let shown = shown.text();
    assert!(shown.contains("Thank you for your order") && !shown.contains("Keep this address"), "{shown}");
    let orders = till.merchant().orders(&OrderQuery::new()).await.unwrap().orders;
    let [order] = orders.as_slice() else { panic!("{orders:?}") };
    assert_eq!(*order.buyer(), Buyer::Customer(me));
    assert_eq!(order.delivery().await.unwrap().unwrap().source(), DeliverySource::Typed);
    // By the order's own name, too; for whoever has the cookie alone.
    let by_name = format!("/wallet/checkout/{}", order.id());
    assert!(looks(&mut browser, &cookie, &by_name).await.text().contains("Thank you for your order"));
    let stranger = looks(&mut browser, "", &by_name).await.text();
    assert!(!stranger.contains("Thank you for your order") && stranger.contains("data-firsthand-page=\"shell\""));
}

#[tokio::test]
async fn row_30_no_other_site_buys_in_the_name_of_whom_the_cookie_knows() {
    let till = Till::open().await;
    let (mut browser, cookie) = till.customer().await;
    let path = led_to(&sends(&mut browser, &cookie, "/wallet/checkout", "item=book&quantity=1").await);
    let page = looks(&mut browser, &cookie, &path).await.text();
    let order = filled(&page, "complete", &[("rail", FakeRail::ID)]);
    let more = filled(&page, "update", &[("quantity", "7")]);
    for from in [
        &[("sec-fetch-site", "cross-site"), ("origin", "https://evil.example")][..],
        &[("sec-fetch-site", "same-site"), ("origin", "https://blog.shop.example")],
        &[("sec-fetch-site", "cross-site"), ("origin", "null")],
        &[("sec-fetch-site", "same-origin"), ("origin", "https://evil.example")],
        &[("origin", "http://shop.example")],
        &[("sec-fetch-site", "none")],
        &[],
    ] {
        for (path, form) in [
            (path.as_str(), &order),
            (&path, &more),
            (&path, &"act=untap".to_owned()),
            ("/wallet/checkout", &"item=book&quantity=9".to_owned()),
        ] {
            let reply = sends_from(&mut browser, &cookie, path, from, form).await;
            assert_eq!((reply.status, reply.code().as_str()), (StatusCode::FORBIDDEN, "cross_site"), "{from:?} {form}");
            assert!(!reply.text().contains("c_"), "it tells nothing of the customer");
        }
    }
    assert_eq!((till.rail.calls(), till.left("book").await), (0, 20));
    // Nothing has changed: the form that lay open completes it.
    assert_eq!(led_to(&sends(&mut browser, &cookie, &path, &order).await), path);
    assert_eq!(till.rail.calls(), 1);
}

#[tokio::test]
async fn a_cookie_opens_what_is_its_customers_and_nothing_else() {
    let till = Till::open().await;
    let (mut browser, cookie) = till.customer().await;
    let path = led_to(&sends(&mut browser, &cookie, "/wallet/checkout", "item=book&quantity=1").await);
    let page = looks(&mut browser, &cookie, &path).await.text();
    let order = filled(&page, "complete", &[("rail", FakeRail::ID)]);
    // Somebody else, and a cookie that is nobody's.
    let mut other = Browser::new(&till.shop, till.app(true));
    other.sign_in("national").await;
    let theirs = cookie::begin(&mut other).await;
    for sent in [looks(&mut other, &theirs, &path).await, sends(&mut other, &theirs, &path, "act=complete").await] {
        assert_eq!(sent.status, StatusCode::NOT_FOUND, "{}", sent.text());
    }
    let nobodys = format!("{}.{}", "A".repeat(22), "A".repeat(43));
    let shown = looks(&mut other, &nobodys, &path).await;
    assert!(!shown.text().contains("A book as a file") && cookie::clears(&shown), "{}", shown.text());
    assert_eq!(sends(&mut other, &nobodys, &path, &order).await.status, StatusCode::UNAUTHORIZED);
    // Whose cookie has ended buys as a guest; and in a shop that has none, everybody does.
    let guest = led_to(&sends(&mut other, &nobodys, "/wallet/checkout", "item=book&quantity=1").await);
    assert!(guest.rsplit('/').next().unwrap().parse::<GuestLink>().is_ok(), "{guest}");
    let mut plain = Browser::new(&till.shop, till.app(false));
    let ignored = led_to(&sends(&mut plain, &cookie, "/wallet/checkout", "item=book&quantity=1").await);
    assert!(ignored.rsplit('/').next().unwrap().parse::<GuestLink>().is_ok(), "{ignored}");
    assert!(!looks(&mut plain, &cookie, &path).await.text().contains("A book as a file"));
    assert_eq!(till.rail.calls(), 0);

    // What was begun as a guest, they take over by their cookie, and the link leads there no more.
    let shown = looks(&mut browser, &cookie, &guest).await.text();
    assert!(shown.contains("The shop knows you"), "{shown}");
    let taken = led_to(&sends(&mut browser, &cookie, &guest, "act=take_over").await);
    assert!(taken.starts_with("/wallet/checkout/k_") && taken.ends_with("?said=taken_over"), "{taken}");
    assert_eq!(looks(&mut browser, &cookie, &guest).await.status, StatusCode::NOT_FOUND);
    // Signed out, the cookie opens nothing any more.
    assert_eq!(browser.delete("/wallet/sessions/current").await.status, StatusCode::NO_CONTENT);
    assert!(!looks(&mut browser, &cookie, &path).await.text().contains("A book as a file"));
    assert_eq!(till.rail.calls(), 0);
}
