//! By whose clock the pages are written: the shop's, over midnight, and UTC's where the shop has said none.

use super::*;

/// Half past eleven in the evening in UTC, which is the next day in the shop.
const TO_MIDNIGHT_S: u64 = 11 * 3600 + 1800;

#[tokio::test]
async fn what_happens_after_midnight_happened_on_the_new_day() {
    let office = Office::new();
    let before = office.placed(tea()).await;
    office.shop.advance_s(TO_MIDNIGHT_S);
    assert_eq!(office.merchant().now().to_string(), "2026-11-22T23:30:00Z");
    let after = office.placed(tea()).await;
    let stamp = "<time datetime=\"2026-11-23T00:30:00+01:00\">";
    for path in ["", "/orders", &path_of(&after)] {
        let (english, german) = (office.look(path).await.text(), office.look_in(path, "de").await.text());
        assert!(english.contains(&format!("{stamp}23 November 2026, 00:30</time>")), "{path}: {english}");
        assert!(german.contains(&format!("{stamp}23.11.2026, 00:30 Uhr</time>")), "{path}: {german}");
        assert!(!english.contains("UTC") && !german.contains("UTC"), "{path}");
    }

    // The book of a day is that of the shop, and says by whose clock each moment is written.
    for (day, order, other) in [("2026-11-22", &before, &after), ("2026-11-23", &after, &before)] {
        let (csv, list) = (format!("/orders.csv?from={day}&to={day}"), format!("/orders?from={day}&to={day}"));
        let pages = [
            office.look(&csv).await.text(),
            office.api(Method::GET, &csv, None).await.text(),
            office.ask(&list).await.to_string(),
        ];
        for page in pages {
            let (is_there, is_not) = (order.reference().as_str(), other.reference().as_str());
            assert!(page.contains(is_there) && !page.contains(is_not), "{day}: {page}");
        }
    }
    assert!(office.look("/orders.csv").await.text().contains("\"2026-11-23T00:30:00+01:00\""));

    // Tomorrow, for a file of refunds, is the day after the shop's today.
    let order = before.pay(FakeRail::ID).await.unwrap();
    order.refund(euros(100), "broken").await.unwrap().commit().await.unwrap();
    let bank = office.look("/bank").await.text();
    assert!(bank.contains("name=\"on\" value=\"2026-11-24\""), "{bank}");
}

#[tokio::test]
async fn a_shop_that_has_said_no_zone_reads_utc_and_is_told_so() {
    let shop = TestShop::with(|builder| builder.store(Memory::new()).rail(FakeRail::new()));
    let key = OperatorKey::random();
    let pages = merchant_pages(shop.merchant(), Operators::new().key("anna", key.digest()));
    let app = Router::new().nest_service("/merchant", pages).layer(CustomerLayer::new(shop.merchant().clone()));
    let form = shop.merchant().guest_form();
    shop.merchant().place_as_guest(tea(), &form).await.unwrap().commit().await.unwrap();
    let headers =
        HeaderMap::from_iter([(http::header::AUTHORIZATION, HeaderValue::from_str(&Office::basic(&key)).unwrap())]);
    let page = Browser::new(&shop, app).send(&Method::GET, "/merchant/orders", headers, b"").await.text();
    let shown = "<time datetime=\"2026-11-22T12:00:00Z\">22 November 2026, 12:00 UTC</time>";
    assert!(page.contains(shown) && page.contains("days in UTC"), "{page}");
}
