use axum::{
    body::Body,
    http::{Request, StatusCode, header},
};
use base64::{Engine, engine::general_purpose::STANDARD};
use http_body_util::BodyExt;
use tower::ServiceExt;

use super::*;

/// The shop in a folder of its own, as it is on its first day.
async fn opened(folder: &std::path::Path, key: &OperatorKey) -> (Kiosk, Router) {
    let builder = Merchant::dev_at("http://localhost:8080".parse().unwrap(), folder).await.unwrap();
    let kiosk = Kiosk::open(builder).unwrap();
    kiosk.first_day().await.unwrap();
    let app = kiosk.clone().routes(key);
    (kiosk, app)
}

/// What came back: the status, where it leads, and the text.
async fn answer(app: &Router, request: axum::http::request::Builder, body: String) -> (StatusCode, String, String) {
    let answer = app.clone().oneshot(request.body(Body::from(body)).unwrap()).await.unwrap();
    let location = answer.headers().get(header::LOCATION).map(|to| to.to_str().unwrap().to_owned());
    let status = answer.status();
    let bytes = answer.into_body().collect().await.unwrap().to_bytes();
    (status, location.unwrap_or_default(), String::from_utf8(bytes.to_vec()).unwrap())
}

async fn get_page(app: &Router, path: &str) -> String {
    let (status, _, text) = answer(app, Request::get(path), String::new()).await;
    assert_eq!(status, StatusCode::OK, "{path}: {text}");
    text
}

/// Sends a form from a page of the shop, and answers where it leads.
async fn post(app: &Router, path: &str, key: Option<&OperatorKey>, fields: &[(String, String)]) -> String {
    let mut request = Request::post(path)
        .header(header::CONTENT_TYPE, "application/x-www-form-urlencoded")
        .header(header::ORIGIN, "http://localhost:8080")
        .header("sec-fetch-site", "same-origin");
    if let Some(key) = key {
        request = request.header(header::AUTHORIZATION, basic(key));
    }
    let (status, location, text) = answer(app, request, encoded(fields)).await;
    assert_eq!(status, StatusCode::SEE_OTHER, "{path}: {text}");
    location
}

async fn office(app: &Router, key: &OperatorKey, path: &str) -> String {
    let request = Request::get(path).header(header::AUTHORIZATION, basic(key));
    let (status, _, text) = answer(app, request, String::new()).await;
    assert_eq!(status, StatusCode::OK, "{path}: {text}");
    text
}

fn basic(key: &OperatorKey) -> String {
    format!("Basic {}", STANDARD.encode(format!("shop:{}", key.reveal())))
}

fn encoded(fields: &[(String, String)]) -> String {
    let byte = |b: u8| match b {
        b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'.' => char::from(b).to_string(),
        other => format!("%{other:02X}"),
    };
    let text = |text: &str| text.bytes().map(byte).collect::<String>();
    fields.iter().map(|(name, value)| format!("{}={}", text(name), text(value))).collect::<Vec<_>>().join("&")
}

/// The inputs of the form of a page in which `marker` stands, as they stand there, with what a customer types.
fn filled(page: &str, marker: &str, typed: &[(&str, &str)]) -> Vec<(String, String)> {
    let form =
        page.split("<form").skip(1).find(|form| form.contains(marker)).expect(marker).split("</form>").next().unwrap();
    let attribute = |tag: &str, name: &str| {
        let (_, rest) = tag.split_once(&format!(" {name}=\""))?;
        Some(rest.split('"').next()?.replace("&amp;", "&"))
    };
    let mut fields = Vec::new();
    for tag in form.split("<input").skip(1).map(|tag| tag.split('>').next().unwrap()) {
        let (name, kind) = (attribute(tag, "name").unwrap(), attribute(tag, "type").unwrap_or_default());
        if (kind != "radio" && kind != "checkbox") || tag.contains(" checked") {
            fields.push((name, attribute(tag, "value").unwrap_or_default()));
        }
    }
    for (name, text) in typed {
        fields.retain(|(there, _)| there != name);
        fields.push(((*name).to_owned(), (*text).to_owned()));
    }
    fields
}

const TYPED: [(&str, &str); 7] = [
    ("name", "Erika Mustermann"),
    ("street", "Heidestraße 17"),
    ("postal_code", "51147"),
    ("locality", "Köln"),
    ("country", "DE"),
    ("rail", "sepa"),
    ("act", "complete"),
];

#[tokio::test]
async fn a_guest_buys_pays_by_transfer_and_the_merchant_sees_it() {
    let folder = env::temp_dir().join(format!("firsthand-kiosk-{}", std::process::id()));
    let key = OperatorKey::random();
    let (kiosk, app) = opened(&folder, &key).await;
    for (item, there) in &kiosk.goods {
        let left = kiosk.shelf.count(&item.name, kiosk.merchant.now()).await.unwrap().left;
        assert_eq!(left, u64::from(*there), "{}", item.name);
    }

    let window = get_page(&app, "/?lang=de").await;
    assert!(window.contains("Was darf es sein?") && window.contains("12,00\u{a0}€"), "{window}");
    let mut basket = filled(&window, "/wallet/checkout", &[]);
    // Two jars of honey and a ticket: the fields stand in pairs.
    basket[1].1 = "2".to_owned();
    basket[5].1 = "1".to_owned();
    let path = post(&app, "/wallet/checkout?lang=de", None, &basket).await;
    let till = get_page(&app, &path).await;
    for part in
        [SHOP, "Honig vom Weinberg, 500 g", "Zahlungspflichtig bestellen", "Überweisung", "39,50\u{a0}€", "/?lang=de"]
    {
        assert!(till.contains(part), "{part} is missing in {till}");
    }
    assert!(!till.contains("Riesling 2025"), "{till}");
    let done = post(&app, &path, None, &filled(&till, "class=\"checkout\"", &TYPED)).await;
    let ordered = get_page(&app, &done).await;
    for part in ["Danke für Ihre Bestellung", "Wir warten auf Ihre Überweisung", "DE89 3704 0044 0532 0130 00", "Köln"]
    {
        assert!(ordered.contains(part), "{part} is missing in {ordered}");
    }

    // The merchant sees the order, and books the transfer when it comes.
    let (shut, _, _) = answer(&app, Request::get("/merchant"), String::new()).await;
    assert_eq!(shut, StatusCode::UNAUTHORIZED);
    let open = kiosk.merchant.open_orders(10).await.unwrap();
    let [order] = open.as_slice() else { panic!("{open:?}") };
    let seen = office(&app, &key, &format!("/merchant/orders/{}", order.id())).await;
    assert!(seen.contains("Honig vom Weinberg, 500 g") && seen.contains("Köln"), "{seen}");
    let reference = order.reference().to_string();
    let transfers = office(&app, &key, "/merchant/transfers").await;
    let typed = [
        ("id", "2026-11-23/1"),
        ("amount", "39,50"),
        ("text", reference.as_str()),
        ("payer", "Erika Mustermann"),
        ("iban", "AT61 1904 3002 3457 3201"),
    ];
    post(&app, "/merchant/transfers", Some(&key), &filled(&transfers, "value=\"book\"", &typed)).await;
    let orders = office(&app, &key, "/merchant/orders").await;
    assert!(orders.contains("39.50") && orders.to_lowercase().contains("paid"), "{orders}");
    assert!(get_page(&app, &done).await.contains("Sie ist bezahlt"));

    // After a restart everything is as it was: stock is not counted anew.
    drop((kiosk, app));
    let (kiosk, app) = opened(&folder, &key).await;
    let now = kiosk.merchant.now();
    let left = kiosk.shelf.count("honey", now).await.unwrap();
    assert_eq!((left.left, left.held), (38, 0));
    assert!(get_page(&app, &done).await.contains("Sie ist bezahlt"));
    assert!(get_page(&app, "/terms").await.contains("Right of withdrawal"));
    let _ = std::fs::remove_dir_all(&folder);
}
