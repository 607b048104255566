//! After the sale, as operators and their programs do it: parcels, adjustments, withdrawals.

use firsthand::{
    money::Quantity,
    order::{AdjustmentReason, Draft, Exemption, Fulfilment, Line, Part},
};

use super::*;

/// What stands in a form.
type Fields = [(&'static str, &'static str)];

/// Three teas of 10.00 and a cake of 5.00 that nobody can give back, paid.
async fn sold(office: &Office) -> Order {
    let cake = Line::new("cake", "Cake", euros(500), Quantity::new(1).unwrap()).no_withdrawal(Exemption::Perishable);
    let draft = Draft::new(Currency::EUR).line("tea", "Sencha", euros(1000), Quantity::new(3).unwrap()).with(cake);
    office.placed(draft).await.pay(FakeRail::ID).await.unwrap()
}

fn teas(count: u32) -> Vec<Part> {
    vec![Part::new("tea", Quantity::new(count).unwrap())]
}

#[tokio::test]
async fn what_is_sent_is_marked_once_and_arrives_once() {
    let office = Office::new();
    let order = sold(&office).await;
    let path = path_of(&order);
    let page = office.look(&path).await.text();
    for says in [
        "Nothing was sent yet",
        "Mark as sent",
        "name=\"count/tea\" value=\"3\"",
        "3 × Sencha <small><code>tea</code></small>",
    ] {
        assert!(page.contains(says), "{says}: {page}");
    }
    let own = token(&page);
    let parcel = |teas| {
        [("form", own.as_str()), ("act", "sent"), ("sure", "yes"), ("count/tea", teas), ("carrier", "DHL")]
            .into_iter()
            .chain([("tracking", "00340"), ("link", "https://dhl.example/00340")])
            .collect::<Vec<_>>()
    };
    refused(&office.post(&path, &[("form", &own), ("act", "sent"), ("count/tea", "1")]).await, 422, "tick");
    for _ in 0..2 {
        went(&office.post(&path, &parcel("2")).await, &path, "parcel_sent");
    }
    refused(&office.post(&path, &parcel("1")).await, 409, "said before, and otherwise");
    let refusals: [(&Fields, u16, &str); 7] = [
        (&[], 422, "at least one item"),
        (&[("count/tea", "0"), ("count/cake", "")], 422, "at least one item"),
        (&[("count/tea", "x")], 422, "no number of things"),
        (&[("count/tea", "-1")], 422, "no number of things"),
        (&[("count/tea", "2")], 409, "more than there is left"),
        (&[("count/tea", "1"), ("link", "javascript:alert(1)")], 422, "begins with https"),
        (&[("count/tea", "1"), ("link", "dhl")], 422, "begins with https"),
    ];
    for (fields, status, words) in refusals {
        let fields: Vec<_> = [("act", "sent")].into_iter().chain(fields.iter().copied()).collect();
        refused(&office.act(&path, &fields).await, status, words);
    }
    let kept = office.act(&path, &[("act", "sent"), ("count/tea", "2"), ("carrier", "A & B")]).await.text();
    assert!(kept.contains("name=\"count/tea\" value=\"2\"") && kept.contains("value=\"A &amp; B\""), "{kept}");
    let sent = office.now(&order).await;
    assert_eq!(
        (sent.parcels().len(), sent.fulfilment(), sent.parcels()[0].lines.clone()),
        (1, Fulfilment::Partly, teas(2))
    );
    let page = office.look(&path).await.text();
    for says in
        ["Sent in part", "DHL", "00340", "href=\"https://dhl.example/00340\" rel=\"noreferrer\"", "Mark as arrived"]
    {
        assert!(page.contains(says), "{says}: {page}");
    }

    let key = sent.parcels()[0].key.clone();
    let arrived = [("act", "delivered"), ("parcel", key.as_str())];
    let own = token(&page);
    let unsure: Vec<_> = [("form", own.as_str())].into_iter().chain(arrived).collect();
    refused(&office.post(&path, &unsure).await, 422, "tick");
    refused(&office.act(&path, &[("act", "delivered"), ("parcel", "x")]).await, 404, "No such parcel");
    for _ in 0..2 {
        went(&office.act(&path, &arrived).await, &path, "parcel_delivered");
    }
    went(&office.act(&path, &[("act", "sent"), ("count/tea", "1"), ("count/cake", "1")]).await, &path, "parcel_sent");
    let page = office.look(&format!("{path}?said=parcel_sent")).await.text();
    assert!(page.contains("it has left the shop, and the customer sees it"));
    assert_eq!(page.matches("Mark as arrived").count(), 1, "the other one has");
    assert!(!page.contains("Mark as sent"), "nothing is left");
    let german = office.look_in(&path, "de").await.text();
    for says in ["Gesendet, Paket", "Angekommen, Paket", "Sendungsnummer"] {
        assert!(german.contains(says), "{says}");
    }

    let unpaid = office.placed(tea()).await;
    let path = path_of(&unpaid);
    assert!(!office.look(&path).await.text().contains("Mark as sent"));
    refused(&office.act(&path, &[("act", "sent"), ("count/tea", "1")]).await, 409, "nothing is sent yet");
}

#[tokio::test]
async fn what_is_to_be_packed_stands_on_the_first_page_until_it_is_sent() {
    let office = Office::new();
    assert!(office.look("").await.text().contains("Nothing is to be sent."));
    assert!(office.look_in("", "de").await.text().contains("Es ist nichts zu versenden."));
    let order = sold(&office).await;
    office.placed(tea()).await;
    let today = office.look("").await.text();
    let (_, list) = today.split_once("<h2>To send</h2>").unwrap();
    let (list, _) = list.split_once("</section>").unwrap();
    for says in [
        "3 × Sencha <small><code>tea</code></small>, 1 × Cake <small><code>cake</code></small>",
        order.id().as_str(),
        &order.reference().printed(),
    ] {
        assert!(list.contains(says), "{says}: {list}");
    }
    assert_eq!(list.matches("<li>").count(), 1, "nobody has paid the other one");
    assert!(office.look_in("", "de").await.text().contains("<h2>Zu versenden</h2>"));
    let state = async || office.ask("/orders?state=paid").await["orders"][0]["fulfilment"].clone();
    assert_eq!(state().await, "not_sent");
    let path = path_of(&order);
    went(&office.act(&path, &[("act", "sent"), ("count/tea", "1")]).await, &path, "parcel_sent");
    assert_eq!(state().await, "partly");
    assert!(
        office
            .look("")
            .await
            .text()
            .contains("2 × Sencha <small><code>tea</code></small>, 1 × Cake <small><code>cake</code></small>")
    );
    went(&office.act(&path, &[("act", "sent"), ("count/tea", "2"), ("count/cake", "1")]).await, &path, "parcel_sent");
    assert_eq!(state().await, "sent");
    assert!(office.look("").await.text().contains("Nothing is to be sent."));

    // Those who have waited longest come first, and a list that is cut says so.
    let mut orders = Vec::new();
    for _ in 0..51 {
        orders.push(office.paid().await);
        office.shop.advance_s(1);
    }
    let today = office.look("").await.text();
    assert!(today.contains("There are more") && !today.contains(orders[50].id().as_str()), "{today}");
    assert!(today.find(orders[0].id().as_str()).unwrap() < today.find(orders[49].id().as_str()).unwrap());
    let path = path_of(&orders[0]);
    went(&office.act(&path, &[("act", "sent"), ("count/tea", "1")]).await, &path, "parcel_sent");
    let today = office.look("").await.text();
    assert!(!today.contains("There are more") && today.contains(orders[50].id().as_str()), "{today}");
}

#[tokio::test]
async fn the_acknowledgement_of_a_withdrawal_is_there_to_be_sent() {
    let office = Office::new();
    let order = sold(&office).await;
    let path = path_of(&order);
    // A letter whose key is not for an address as it is.
    order.withdraw(teas(2), "w?&#1").await.unwrap().commit().await.unwrap();
    let number = order.reference().printed();
    let english =
        format!("Received: 22 November 2026, 13:00 CET\nOrder: {number}\n\nYou have withdrawn from:\n2 × Sencha\n");
    let german =
        format!("Eingegangen: 22.11.2026, 13:00 Uhr MEZ\nBestellung: {number}\n\nWiderrufen haben Sie:\n2 × Sencha\n");
    let page = office.look(&path).await.text();
    let print = format!("{path}/acknowledgement?withdrawal=w%3F%26%231");
    assert!(page.contains(&english) && page.contains(&format!("href=\"/merchant{print}\"")), "{page}");
    assert!(office.look_in(&path, "de").await.text().contains(&german));
    let alone = office.look(&print).await.text();
    assert!(alone.contains(&english) && !alone.contains("<form"), "{alone}");
    assert!(office.look_in(&print, "de").await.text().contains("<h1>Bestätigung Ihres Widerrufs</h1>"));
    for (path, words) in [
        (format!("{path}/acknowledgement?withdrawal=x"), "no such withdrawal"),
        ("/orders/o_1/acknowledgement?withdrawal=w".to_owned(), "no such order"),
    ] {
        refused(&office.look(&path).await, 404, words);
    }
    let told = office.ask(&path).await["acknowledgements"].clone();
    assert_eq!((told[0]["key"].as_str(), told.as_array().unwrap().len()), (Some("w?&#1"), 1));
    assert!(told[0]["text_en"].as_str().unwrap().ends_with(&english), "{told}");
    assert!(told[0]["text_de"].as_str().unwrap().ends_with(&german), "{told}");
    let said = office.look(&format!("{path}?said=withdrawn")).await.text();
    assert!(said.contains("Send them the acknowledgement that stands below"), "{said}");
}

#[tokio::test]
async fn what_is_taken_back_owes_its_refund_once() {
    let office = Office::new();
    let order = sold(&office).await;
    let path = path_of(&order);
    let own = token(&office.look(&path).await.text());
    let back = |amount| {
        let form = [("form", own.as_str()), ("act", "adjust"), ("sure", "yes")];
        let what = [("reason", "returned"), ("count/tea", "1"), ("amount", amount)];
        form.into_iter().chain(what).collect::<Vec<_>>()
    };
    for _ in 0..2 {
        went(&office.post(&path, &back("9,50")).await, &path, "adjusted");
    }
    refused(&office.post(&path, &back("9,51")).await, 409, "said before, and otherwise");
    assert_eq!(office.now(&order).await.ledger().owed, euros(950));
    let unsure =
        [("form", own.as_str()), ("act", "adjust"), ("reason", "returned"), ("count/tea", "1"), ("amount", "1")];
    refused(&office.post(&path, &unsure).await, 422, "tick");
    let refusals: [([&str; 3], u16, &str); 8] = [
        (["withdrawn", "1", "1"], 422, "nothing that can be done here"),
        (["", "1", "1"], 422, "nothing that can be done here"),
        (["damaged", "1", "0"], 422, "no amount"),
        (["damaged", "1", "ten"], 422, "no amount"),
        (["damaged", "1", "-1"], 422, "no amount"),
        (["damaged", "", "1"], 422, "at least one item"),
        (["returned", "3", "1"], 409, "more than there is left"),
        (["returned", "1", "25.51"], 409, "more than can be refunded"),
    ];
    for ([reason, count, amount], status, words) in refusals {
        let fields = [("act", "adjust"), ("reason", reason), ("count/tea", count), ("amount", amount)];
        refused(&office.act(&path, &fields).await, status, words);
    }
    // What cannot be supplied may cost nobody anything, and is not sent any more.
    let gone = [("act", "adjust"), ("reason", "not_supplied"), ("count/cake", "1"), ("amount", "0")];
    went(&office.act(&path, &gone).await, &path, "adjusted");
    let adjusted = office.now(&order).await.adjustments().await.unwrap();
    let reasons: Vec<AdjustmentReason> = adjusted.iter().map(|one| one.record.reason).collect();
    assert_eq!(reasons, [AdjustmentReason::Returned, AdjustmentReason::NotSupplied]);
    let page = office.look(&path).await.text();
    for says in ["Taken back", "EUR 9.50", "Cannot be supplied", "to be sent back"] {
        assert!(page.contains(says), "{says}: {page}");
    }
    assert!(office.look_in(&path, "de").await.text().contains("Zurückgenommen"));
    assert_eq!(office.ask("/refunds").await["refunds"].as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn a_withdrawal_is_shown_today_and_settled_on_its_order() {
    let office = Office::new();
    let order = sold(&office).await;
    let path = path_of(&order);
    assert!(!office.look("").await.text().contains("Withdrawals to be settled"));
    order.withdraw(teas(2), "w1").await.unwrap().commit().await.unwrap();
    let today = office.look("").await.text();
    for says in ["Withdrawals to be settled", "2 × Sencha", "pay back until", &order.reference().printed()] {
        assert!(today.contains(says), "{says}: {today}");
    }
    assert!(office.look_in("", "de").await.text().contains("Widerrufe, die abzurechnen sind"));
    let page = office.look(&path).await.text();
    assert!(page.contains("What was withdrawn from") && page.contains("name=\"amount\" value=\"20.00\""), "{page}");
    assert!(office.look_in(&path, "de").await.text().contains("name=\"amount\" value=\"20,00\""));

    let settle = |amount| [("act", "settle"), ("withdrawal", "w1"), ("amount", amount)];
    let own = token(&page);
    let unsure: Vec<_> = [("form", own.as_str())].into_iter().chain(settle("20")).collect();
    refused(&office.post(&path, &unsure).await, 422, "tick");
    refused(&office.act(&path, &settle("")).await, 422, "no amount");
    let beyond = office.act(&path, &settle("35.01")).await;
    refused(&beyond, 409, "more than can be refunded");
    assert!(beyond.text().contains("name=\"amount\" value=\"35.01\""));
    let nobodys = [("act", "settle"), ("withdrawal", "w2"), ("amount", "1")];
    refused(&office.act(&path, &nobodys).await, 404, "no such withdrawal");
    // Said again, it is settled so; otherwise, it is not.
    for _ in 0..2 {
        went(&office.act(&path, &settle("18,50")).await, &path, "settled");
    }
    refused(&office.act(&path, &settle("20")).await, 409, "said before, and otherwise");
    assert_eq!(office.now(&order).await.ledger().owed, euros(1850));
    assert!(!office.look("").await.text().contains("Withdrawals to be settled"));
    let page = office.look(&path).await.text();
    assert!(page.contains("Settled") && !page.contains("value=\"settle\""), "{page}");

    // By a letter.
    let letter = [("act", "withdraw"), ("count/tea", "1")];
    let own = token(&page);
    let unsure: Vec<_> = [("form", own.as_str())].into_iter().chain(letter).collect();
    refused(&office.post(&path, &unsure).await, 422, "tick");
    refused(&office.act(&path, &[("act", "withdraw")]).await, 422, "at least one item");
    refused(&office.act(&path, &[("act", "withdraw"), ("count/tea", "2")]).await, 409, "more than there is left");
    refused(&office.act(&path, &[("act", "withdraw"), ("count/cake", "1")]).await, 409, "no right to withdraw");
    went(&office.act(&path, &letter).await, &path, "withdrawn");
    assert_eq!(office.merchant().open_withdrawals(10).await.unwrap().len(), 1);

    let late = sold(&office).await;
    let path = path_of(&late);
    went(&office.act(&path, &[("act", "sent"), ("count/tea", "3"), ("count/cake", "1")]).await, &path, "parcel_sent");
    let key = office.now(&late).await.parcels()[0].key.clone();
    went(&office.act(&path, &[("act", "delivered"), ("parcel", &key)]).await, &path, "parcel_delivered");
    office.shop.advance_s(30 * 24 * 60 * 60);
    assert!(!office.look(&path).await.text().contains("The customer withdraws"));
    refused(&office.act(&path, &letter).await, 409, "time to withdraw from that is over");
}

#[tokio::test]
async fn a_program_does_it_after_the_sale() {
    let office = Office::new();
    let order = sold(&office).await;
    let path = path_of(&order);
    let amount = |minor: i64| json!({ "minor": minor, "currency": "EUR" });
    let part = |item: &str, quantity: u32| json!([{ "item": item, "quantity": quantity }]);
    let whole = office.ask(&path).await;
    assert_eq!(
        (whole["fulfilment"].as_str(), whole["unsent"][0].clone()),
        (Some("not_sent"), part("tea", 3)[0].clone())
    );
    assert!(whole.get("checkout").is_none() && whole["stock_missing"].as_array().unwrap().is_empty());

    let parcels = format!("{path}/parcels");
    let one = json!({ "key": "p1", "lines": part("tea", 1), "carrier": "DHL", "tracking": "1", "link": "https://dhl.example/1" });
    for _ in 0..2 {
        let sent = office.tell(&parcels, &one).await.json();
        assert_eq!(
            (sent["fulfilment"].as_str(), sent["parcels"].as_array().unwrap().len()),
            (Some("partly"), 1),
            "{sent}"
        );
    }
    let cases = [
        (json!({ "key": "p1", "lines": part("tea", 2) }), 409, "key_differs"),
        (json!({ "key": "p2", "lines": part("tea", 3) }), 409, "more_than_bought"),
        (json!({ "key": "p2", "lines": part("wine", 1) }), 422, "no_such_item"),
        (json!({ "key": "p2", "lines": [] }), 422, "invalid_parts"),
        (json!({ "key": "p2", "lines": part("tea", 0) }), 422, "count_unreadable"),
        (json!({ "key": "a/b", "lines": part("tea", 1) }), 422, "invalid_key"),
        (json!({ "key": "p2", "lines": part("tea", 1), "link": "x" }), 422, "invalid_parcel"),
        (json!({ "key": "p2", "lines": part("tea", 1), "link": "http://dhl.example" }), 422, "invalid_parcel"),
        (json!({ "lines": part("tea", 1) }), 400, "invalid_request"),
    ];
    for (body, status, code) in cases {
        let reply = office.tell(&parcels, &body).await;
        assert_eq!((reply.status.as_u16(), reply.code().as_str()), (status, code), "{body}");
    }
    // The rest, whatever it is; and said again, it is that parcel still.
    for _ in 0..2 {
        let sent = office.tell(&parcels, &json!({ "key": "rest" })).await.json();
        assert_eq!(
            (sent["fulfilment"].as_str(), sent["parcels"].as_array().unwrap().len()),
            (Some("sent"), 2),
            "{sent}"
        );
    }
    assert_eq!(office.tell(&parcels, &json!({ "key": "more" })).await.code(), "invalid_parts");
    for key in ["p1", "rest", "rest"] {
        let delivered = office.api(Method::POST, &format!("{parcels}/{key}/delivered"), None).await;
        assert_eq!(delivered.status, 200, "{}", delivered.text());
    }
    assert_eq!(office.api(Method::POST, &format!("{parcels}/p9/delivered"), None).await.code(), "no_such_parcel");
    assert_eq!(office.ask(&path).await["fulfilment"], "delivered");

    let adjustments = format!("{path}/adjustments");
    let cheaper = |key: &str, reason: &str, minor: i64| json!({ "key": key, "reason": reason, "lines": part("tea", 1), "amount": amount(minor) });
    for _ in 0..2 {
        let adjusted = office.tell(&adjustments, &cheaper("a", "damaged", 200)).await.json();
        assert_eq!(adjusted["adjustments"][0]["state"], "owed", "{adjusted}");
        assert_eq!((&adjusted["adjustments"][0]["reason"], &adjusted["owed"]), (&json!("damaged"), &amount(200)));
    }
    let cases = [
        (cheaper("a", "damaged", 201), 409, "key_differs"),
        (cheaper("b", "withdrawn", 1), 422, "reason_unknown"),
        (cheaper("b", "because", 1), 422, "reason_unknown"),
        (cheaper("b", "damaged", 0), 422, "no_amount"),
        (cheaper("b", "damaged", -1), 422, "amount_unreadable"),
        (cheaper("b", "returned", 3301), 409, "refund_too_large"),
        (cheaper("", "returned", 1), 422, "invalid_key"),
    ];
    for (body, status, code) in cases {
        let reply = office.tell(&adjustments, &body).await;
        assert_eq!((reply.status.as_u16(), reply.code().as_str()), (status, code), "{body}");
    }

    let withdrawals = format!("{path}/withdrawals");
    let letter = json!({ "key": "w", "lines": part("tea", 2) });
    for _ in 0..2 {
        let stated = office.tell(&withdrawals, &letter).await.json();
        // Two of three at 10.00, of which one was let off 2.00 for, and nobody knows which.
        assert_eq!(
            (&stated["withdrawals"][0]["state"], &stated["withdrawals"][0]["worth"]),
            (&json!("due"), &amount(2000 - 133))
        );
    }
    assert_eq!(office.tell(&withdrawals, &json!({ "key": "w", "lines": part("tea", 1) })).await.code(), "key_differs");
    assert_eq!(
        office.tell(&withdrawals, &json!({ "key": "v", "lines": part("cake", 1) })).await.code(),
        "withdrawal_exempt"
    );
    let open = office.ask("/withdrawals").await;
    assert_eq!(
        (open["withdrawals"][0]["order"].as_str(), open["withdrawals"][0]["key"].as_str()),
        (Some(order.id().as_str()), Some("w"))
    );
    let settle = format!("{withdrawals}/w/settle");
    assert_eq!(office.tell(&settle, &json!({ "amount": amount(3301) })).await.code(), "refund_too_large");
    assert_eq!(office.tell(&settle, &json!({ "amount": amount(-1) })).await.code(), "amount_unreadable");
    for _ in 0..2 {
        let settled = office.tell(&settle, &json!({ "amount": amount(1900) })).await.json();
        assert_eq!(
            (&settled["withdrawals"][0]["state"], &settled["owed"]),
            (&json!("settled"), &amount(2100)),
            "{settled}"
        );
        assert!(settled["withdrawals"][0].get("worth").is_none());
    }
    assert_eq!(office.tell(&settle, &json!({ "amount": amount(1901) })).await.code(), "key_differs");
    assert_eq!(
        office.tell(&format!("{withdrawals}/x/settle"), &json!({ "amount": amount(1) })).await.code(),
        "no_such_withdrawal"
    );
    assert!(office.ask("/withdrawals").await["withdrawals"].as_array().unwrap().is_empty());
    for act in ["parcels", "adjustments", "withdrawals"] {
        let body = match act {
            "parcels" => json!({ "key": "k" }),
            "adjustments" => cheaper("k", "damaged", 1),
            _ => letter.clone(),
        };
        assert_eq!(office.tell(&format!("/orders/x/{act}"), &body).await.code(), "no_such_order", "{act}");
    }
}
