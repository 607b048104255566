//! A receipt in somebody else's wallet, and back: what a published library reads of it, and the one claim that it shows.

use firsthand::{
    Ask,
    ask::documents::RECEIPT,
    merchant::IssuerProfile,
    money::{Currency, Money, Quantity, Rate},
    order::{Address, Draft, Line, LineTax},
    receipt::ReceiptIssuer,
    store::Memory,
};
use firsthand_axum::testing::{FakeRail, TestShop};
use serde_json::json;

use crate::foreign::{Door, Foreign, WAYS, is_installed};

#[tokio::test]
async fn a_published_wallet_library_gets_a_receipt_and_shows_its_number() {
    if !is_installed("@openid4vc/openid4vci") {
        return;
    }
    let address = Address {
        name: "Test Shop GmbH".into(),
        street: "Weg 1".into(),
        postal_code: "10115".into(),
        locality: "Berlin".into(),
        country: "DE".into(),
    };
    let bought = Ask::new("bought", "Reviews are written by those who bought").receipt();
    let shop = TestShop::with(|builder| {
        let builder = builder.store(Memory::new()).relationship(IssuerProfile::Open).display_name("Test Shop");
        builder.receipts(ReceiptIssuer::new(&address, "DE123456789")).rail(FakeRail::new()).ask(&bought)
    });
    let door = Door::new().await;
    let mut wallet = Foreign::start("wallet.mjs", &shop, &door);
    let open = door.open(&shop);

    let merchant = shop.merchant();
    let euro = |text: &str| Money::parse(text, Currency::EUR).unwrap();
    // One whose parts are shown one by one, and one that is too long for that.
    for lines in [1, 60] {
        let wine = || Line::new("wine", "Wine", euro("11.90"), Quantity::new(1).unwrap());
        let tax = LineTax { rate: Rate::from_hundredths(1900).unwrap(), amount: euro("1.90"), included: true };
        let draft = (0..lines).fold(Draft::new(Currency::EUR), |draft, _| draft.with(wine().taxed(tax)));
        let form = merchant.guest_form();
        let order = merchant.place_as_guest(draft, &form).await.unwrap().commit().await.unwrap().order;
        let order = order.pay(FakeRail::ID).await.unwrap();
        let receipt = order.receipt().await.unwrap();
        let offer = order.offer_receipt(&receipt.number).await.unwrap();
        let received = wallet
            .does(&json!({"command": "receive", "offer": offer.by_reference_uri, "tx_code": offer.tx_code}))
            .await;
        assert_eq!(received["token_type"], "DPoP", "{received}");
        let claims = &received["claims"];
        assert_eq!((&claims["iss"], &claims["vct"]), (&json!("https://shop.example"), &json!(RECEIPT)));
        for (name, value) in receipt.to_json().as_object().unwrap() {
            assert_eq!(&claims[name], value, "{name}");
        }
        let kept = order.receipts_in_wallets().await.unwrap();
        assert!(matches!(&kept[..], [one] if one.arrived), "it says that it has it");
        for way in WAYS {
            let shown = open.visit(&mut wallet, way, "bought", &json!({"command": "present"})).await.unwrap();
            assert_eq!(shown, json!({"receipt": {"receiptNumber": receipt.number}}), "{way:?}: that and nothing else");
        }
        order.revoke_receipt(&receipt.number).await.unwrap();
        let refused = open.visit(&mut wallet, WAYS[0], "bought", &json!({"command": "present"})).await;
        assert_eq!(refused.unwrap_err(), "credential_revoked");
    }
}
