//! The shop's own credential in somebody else's wallet: OpenID4VCI, and back by OpenID4VP.

use firsthand::{Ask, Device, merchant::IssuerProfile, store::Memory};
use firsthand_axum::testing::{Browser, TestShop};
use http::{Method, StatusCode};
use serde_json::json;

use crate::foreign::{Door, Foreign, WAYS, answered, come_back, is_installed};

async fn id_of(browser: &mut Browser) -> String {
    let me = browser.get("/wallet/me").await;
    assert_eq!(me.status, StatusCode::OK, "{}", me.text());
    me.json()["id"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn a_published_wallet_library_gets_the_credential_and_shows_it() {
    if !is_installed("@openid4vc/openid4vci") {
        return;
    }
    let back = Ask::new("back", "To know you again").recognise();
    let shop = TestShop::with(|builder| {
        builder.store(Memory::new()).relationship(IssuerProfile::Open).display_name("Test Shop").ask(&back)
    });
    let door = Door::new().await;
    let mut wallet = Foreign::start("wallet.mjs", &shop, &door);
    let open = door.open(&shop);

    let mut laptop = open.browser.clone();
    laptop.sign_in("adult").await;
    let id = id_of(&mut laptop).await;
    for by in ["uri", "by_reference_uri"] {
        let offer = laptop.signed(Method::POST, "/wallet/issuer/offers", None).await.json();
        let received =
            wallet.does(&json!({"command": "receive", "offer": offer[by], "tx_code": offer["tx_code"]})).await;
        assert_eq!(received["token_type"], "DPoP", "{received}");
        assert_eq!(received["claims"]["iss"], "https://shop.example");
        assert_eq!(received["claims"]["vct"], "https://shop.example/wallet/relationship");

        for way in WAYS {
            // Another browser, which was never here.
            let mut phone = laptop.another();
            let asking = phone.ask("back", Device::SameDevice).await;
            let (status, body) = answered(&mut phone, &mut wallet, way, &asking, &json!({"command": "present"})).await;
            assert_eq!(status, 200, "{body}");
            come_back(&mut phone, &asking, &body).await;
            assert_eq!(id_of(&mut phone).await, id);
            assert_eq!(phone.get("/wallet/bindings").await.json()["rung"], "relationship_credential");
            // What it showed lets it offer the next one.
            laptop = phone;
        }
    }
    let wrong = laptop.signed(Method::POST, "/wallet/issuer/offers", None).await.json();
    let refused = wallet.does(&json!({"command": "receive", "offer": wrong["uri"], "tx_code": "x"})).await;
    assert!(refused["error"].as_str().is_some_and(|error| error.contains("invalid_grant")), "{refused}");
}

#[tokio::test]
async fn a_published_wallet_library_gets_the_credential_as_an_mdoc_and_shows_it() {
    if !is_installed("@owf/mdoc") {
        return;
    }
    let back = Ask::new("back", "To know you again").recognise();
    let shop = TestShop::with(|builder| {
        builder.store(Memory::new()).relationship(IssuerProfile::Open).display_name("Test Shop").ask(&back)
    });
    let door = Door::new().await;
    let mut wallet = Foreign::start("mdoc.mjs", &shop, &door);
    let open = door.open(&shop);

    let mut laptop = open.browser.clone();
    laptop.sign_in("adult").await;
    let id = id_of(&mut laptop).await;
    let kind = "https://shop.example/wallet/relationship";
    let offer = laptop.signed(Method::POST, "/wallet/issuer/offers", None).await.json();
    let offer = json!({"command": "receive", "offer": offer["uri"], "tx_code": offer["tx_code"]});
    let received = wallet.does(&offer).await;
    assert_eq!(
        (&received["doctype"], &received["configuration"]["doctype"]),
        (&json!(kind), &json!(kind)),
        "{received}"
    );
    assert!(received["elements"]["sub"].is_string(), "{received}");

    for way in WAYS {
        for wrong in ["nonce", "element", "device_key"] {
            let mut stranger = laptop.another();
            let asking = stranger.ask("back", Device::SameDevice).await;
            let does = json!({"command": "present", "wrong": wrong});
            let (status, body) = answered(&mut stranger, &mut wallet, way, &asking, &does).await;
            assert_eq!((status, &body["code"]), (400, &json!("answer_refused")), "{wrong} {body}");
        }
        let mut phone = laptop.another();
        let asking = phone.ask("back", Device::SameDevice).await;
        let (status, body) = answered(&mut phone, &mut wallet, way, &asking, &json!({"command": "present"})).await;
        assert_eq!(status, 200, "{body}");
        come_back(&mut phone, &asking, &body).await;
        assert_eq!(id_of(&mut phone).await, id);
        assert_eq!(phone.get("/wallet/bindings").await.json()["rung"], "relationship_credential");
    }
}
