//! After the sale, through the shop's own routes: a parcel is sent and arrives, and what was in it is withdrawn from.

use super::*;

/// A guest who has bought three teas and paid for them: the path of the order's page, and the desk's.
async fn paid(shop: &Wired, browser: &mut Browser) -> (String, String) {
    let path = guest_buys(browser, "senchax3").await;
    let rf = reference(&page(browser, &path).await);
    assert_eq!(shop.book(&format!("B{rf}"), "44.40", &rf).await, "/merchant?said=paid");
    let link = path.strip_prefix("/o/").unwrap().parse().unwrap();
    let order = shop.till.merchant().guest_order(&link).await.unwrap();
    (path, format!("/merchant/orders/{}", order.id()))
}

/// What the desk says to a form.
async fn says(shop: &Wired, sale: &str, form: &str, fields: &str) -> String {
    let reply = shop.act(sale, &format!("{sale}/{form}"), fields).await;
    match reply.header("location").split_once("?said=") {
        Some((_, said)) => said.to_owned(),
        None => reply.status.to_string(),
    }
}

#[tokio::test]
async fn a_parcel_is_sent_followed_and_arrives() {
    let shop = Wired::new("parcel").await;
    let mut browser = shop.browser();
    let path = guest_buys(&mut browser, "senchax2").await;
    let link = path.strip_prefix("/o/").unwrap().parse().unwrap();
    let unpaid = format!("/merchant/orders/{}", shop.till.merchant().guest_order(&link).await.unwrap().id());
    let early = shop.act("/merchant", &format!("{unpaid}/parcels"), "of-sencha=1").await;
    assert_eq!(early.status.as_u16(), 422, "{}", early.text());
    assert!(!shop.look(&unpaid).await.contains("/parcels\""));

    let (path, sale) = paid(&shop, &mut browser).await;
    let dhl = "carrier=DHL&tracking=00340&link=https%3A%2F%2Fcarrier.example%2F00340";
    for (fields, expected) in [
        ("of-sencha=4", "422"),
        ("of-sencha=0", "422"),
        ("of-sencha=-1", "422"),
        ("of-sencha=99999999999", "422"),
        ("of-etna=1", "422"),
        ("", "422"),
        ("of-sencha=1&of-sencha=1", "422"),
        ("of-sencha=1&link=javascript%3Aalert(1)", "422"),
        ("of-sencha=1&link=nowhere", "422"),
    ] {
        assert!(says(&shop, &sale, "parcels", fields).await.starts_with(expected), "{fields}");
    }
    assert!(page(&mut browser, &path).await.contains("Paid. We are packing."));
    // Pressed twice, it is one parcel.
    let token = hidden(&shop.look(&sale).await, "form");
    let form = format!("form={token}&of-sencha=2&{dhl}");
    for _ in 0..2 {
        let reply = shop.desk(&Method::POST, &format!("{sale}/parcels"), shop.key.reveal(), &form, HERE).await;
        assert_eq!(reply.header("location"), format!("{sale}?said=parcel_sent"), "{}", reply.text());
    }
    let seen = page(&mut browser, &path).await;
    for part in ["A part is on its way.", "2 × ", "DHL", "href=\"https://carrier.example/00340\""] {
        assert!(seen.contains(part), "{part} is missing in {seen}");
    }
    assert_eq!(says(&shop, &sale, "parcels", "of-sencha=1").await, "parcel_sent");
    assert!(page(&mut browser, &path).await.contains("On its way."));
    assert!(says(&shop, &sale, "arrived", "parcel=nothing").await.starts_with("422"));
    for _ in 0..2 {
        let parcel = hidden(&shop.look(&sale).await, "parcel");
        assert_eq!(says(&shop, &sale, "arrived", &format!("parcel={parcel}")).await, "parcel_arrived");
    }
    assert!(page(&mut browser, &path).await.contains("It has arrived."));
    let (path, evil) = (format!("{sale}/parcels"), "https://evil.example");
    let there = shop.desk(&Method::POST, &path, shop.key.reveal(), &form, evil).await;
    assert_eq!(there.code(), "cross_site");
}

#[tokio::test]
async fn a_guest_withdraws_in_two_steps_and_is_paid_back() {
    let shop = Wired::new("withdraw").await;
    let mut browser = shop.browser();
    let (path, sale) = paid(&shop, &mut browser).await;
    let step = format!("{path}/withdraw");
    assert!(page(&mut browser, &path).await.contains(&format!("href=\"{step}\"")));
    let key = hidden(&page(&mut browser, &step).await, "key");
    for (form, expected) in [
        (format!("key={key}"), 422),
        (format!("key={key}&of-sencha=0"), 422),
        (format!("key={key}&of-sencha=many"), 422),
        (format!("key={key}&of-sencha=4"), 409),
        (format!("key={key}&of-etna=1"), 409),
        ("of-sencha=1".to_owned(), 409),
    ] {
        assert_eq!(browser.plain_form(&step, &form).await.status.as_u16(), expected, "{form}");
    }
    // Another site cannot withdraw for anybody, and nobody from what they have no link to.
    let form = format!("key={key}&of-sencha=2");
    let headers = [("content-type", "application/x-www-form-urlencoded"), ("origin", "https://evil.example")];
    let reply = browser.plain(&Method::POST, &step, &headers, form.as_bytes()).await;
    assert_eq!(reply.code(), "cross_site");
    assert_eq!(browser.plain_form("/o/AAECAwQFBgcICQoLDA0ODw/withdraw", &form).await.status.as_u16(), 404);
    assert!(!page(&mut browser, &path).await.contains("id=\"withdrawn\""));

    for _ in 0..2 {
        let reply = browser.plain_form(&step, &form).await;
        assert_eq!((reply.status.as_u16(), reply.header("location")), (303, format!("{path}#withdrawn").as_str()));
    }
    assert_eq!(browser.plain_form(&step, &form.replace("=2", "=1")).await.status.as_u16(), 409);
    let seen = page(&mut browser, &path).await;
    for part in ["Your withdrawal", "2 × ", "download=\"withdrawal-RF", "What is due goes back by"] {
        assert!(seen.contains(part), "{part} is missing in {seen}");
    }
    assert_eq!(seen.matches("download=\"withdrawal-").count(), 1);

    // It moves no money until the merchant says how much.
    assert!(shop.look("/merchant").await.contains("You owe nobody."));
    assert!(shop.look("/merchant").await.contains(&sale));
    let due = shop.look(&sale).await;
    assert_eq!(hidden(&due, "withdrawal"), key);
    assert!(due.contains("name=\"amount\" value=\"29.60\""), "{due}");
    for (fields, expected) in [
        (format!("withdrawal={key}&amount=much"), "422"),
        (format!("withdrawal={key}&amount=44.41"), "422"),
        ("withdrawal=other&amount=29.60".to_owned(), "422"),
        (format!("withdrawal={key}&amount=29.60"), "withdrawal_settled"),
        (format!("withdrawal={key}&amount=29.60"), "withdrawal_settled"),
        (format!("withdrawal={key}&amount=29.50"), "422"),
    ] {
        assert!(says(&shop, &sale, "withdrawals", &fields).await.starts_with(expected), "{fields}");
    }
    assert!(shop.look("/merchant").await.contains("€29.60"));
    assert!(page(&mut browser, &path).await.contains("Settled."));
}

#[tokio::test]
async fn the_function_goes_when_the_time_is_over() {
    let shop = Wired::new("late").await;
    let mut browser = shop.browser();
    let (path, sale) = paid(&shop, &mut browser).await;
    assert_eq!(says(&shop, &sale, "parcels", "of-sencha=3").await, "parcel_sent");
    shop.shop.advance_s(60 * 24 * 3600);
    let step = format!("{path}/withdraw");
    assert!(page(&mut browser, &path).await.contains(&step), "on its way, nobody is late");
    let key = hidden(&page(&mut browser, &step).await, "key");
    let parcel = hidden(&shop.look(&sale).await, "parcel");
    assert_eq!(says(&shop, &sale, "arrived", &format!("parcel={parcel}")).await, "parcel_arrived");
    assert!(page(&mut browser, &path).await.contains(&step));
    shop.shop.advance_s(18 * 24 * 3600);
    assert!(!page(&mut browser, &path).await.contains(&step));
    assert_eq!(browser.plain_form(&step, &format!("key={key}&of-sencha=1")).await.status.as_u16(), 409);
}

#[tokio::test]
async fn a_customer_withdraws_from_their_own_order_alone() {
    let shop = Wired::new("own").await;
    let (mut anna, mut bert) = (shop.browser(), shop.browser());
    for browser in [&mut anna, &mut bert] {
        browser.sign_in("adult").await;
    }
    let form = form_of(&mut anna, "senchax2", ADDRESS).await;
    let path = placed(&anna.post_form("/checkout", &form).await);
    let step = format!("{path}/withdraw");
    assert_eq!(bert.get(&step).await.status.as_u16(), 404);
    assert_eq!(bert.post_form(&step, "key=w1&of-sencha=2").await.status.as_u16(), 404);
    let key = hidden(&anna.get(&step).await.text(), "key");
    let reply = anna.post_form(&step, &format!("key={key}&of-sencha=2")).await;
    assert!(reply.status.is_redirection() || reply.status.as_u16() == 204, "{}", reply.text());
    // Nobody has paid for it: it is called off, and stands on the shelf again.
    let seen = anna.get(&path).await.text();
    assert!(seen.contains("Cancelled.") && seen.contains("Your withdrawal"), "{seen}");
    shop.clear_away().await;
    assert_eq!(shop.left("sencha").await, 24);
}
