//! A payment that a published wallet library signs, by the rules of EUDI TS12 as its own script has them.

use firsthand::{
    Ask, Wanted,
    merchant::TypeMetadata,
    money::{Currency, Money, Quantity},
    order::Draft,
    protocol::jose::PublicKey,
    rail::{Outcome, WalletRail, wallet::Payee},
    store::Memory,
    testing::{
        FakeExecutor,
        cast::{ACCOUNT, Cast},
        issuer::Credential,
    },
};
use firsthand_axum::testing::{Asking, TestShop};
use http::StatusCode;
use serde_json::json;

use crate::foreign::{Door, Foreign, WAYS, answered, come_back, is_installed};

#[tokio::test]
async fn a_published_wallet_library_authorises_a_payment() {
    if !is_installed("@sd-jwt/core") {
        return;
    }
    let bank = FakeExecutor::new();
    let rail = WalletRail::new(Payee::new("Weingut Sonnberg", "DE89370400440532013000").unwrap(), bank.clone());
    let pay = Ask::new("pay", "To pay for what you order").payment(Wanted::sd_jwt_vc(ACCOUNT).claim(["masked_iban"]));
    let types = TypeMetadata::pinned(Cast::account_types()).unwrap();
    let shop = TestShop::with(|builder| builder.store(Memory::new()).ask(&pay).wallet_rail(rail).type_metadata(types));
    let door = Door::new().await;
    let mut wallet = Foreign::start("wallet.mjs", &shop, &door);
    let open = door.open(&shop);

    let holder = PublicKey::from_jwk(&wallet.does(&json!({ "command": "key" })).await).unwrap();
    let mut account = Credential::new(ACCOUNT, shop.merchant().now());
    account.holder = Some(holder);
    account.claims = json!({ "masked_iban": "DE** 30 00", "bic": "X" }).as_object().unwrap().clone();
    let issued = shop.cast().issuer().issue(&account, shop.clock()).unwrap();
    wallet.does(&json!({ "command": "hold", "credential": issued })).await;

    let mut browser = open.browser.clone();
    for way in WAYS {
        let price = Money::new(2150, Currency::EUR).unwrap();
        let draft = Draft::new(Currency::EUR).line("riesling", "Riesling", price, Quantity::new(1).unwrap());
        let merchant = shop.merchant();
        let placed = merchant.place_as_guest(draft, &merchant.guest_form()).await.unwrap().commit().await.unwrap();
        let payment = json!({ "order": placed.order.id(), "link": placed.link.reveal() });
        let body = json!({ "ask": "pay", "flow": "same_device", "payment": payment });
        for (left_out, code) in [
            ("jti", "sca_jti"),
            ("response_mode", "sca_response_mode"),
            ("amr", "sca_amr_malformed"),
            ("transaction_data_hashes", "transaction_data_missing"),
            ("nothing", ""),
        ] {
            let reply = browser.post_json("/wallet/presentations", &body).await;
            assert_eq!(reply.status, StatusCode::CREATED, "{}", reply.text());
            let made = reply.json();
            let text = |name: &str| made[name].as_str().unwrap_or_default().to_owned();
            let asking = Asking {
                id: text("id"),
                wallet_uri: text("wallet_uri"),
                request_uri: text("request_uri"),
                body: made.clone(),
            };
            let command = json!({ "command": "pay", "left_out": left_out });
            let (status, body) = answered(&mut browser, &mut wallet, way, &asking, &command).await;
            if code.is_empty() {
                assert_eq!(status, 200, "{way:?}: {body}");
                come_back(&mut browser, &asking, &body).await;
                continue;
            }
            assert_eq!((status, &body["code"]), (400, &json!("answer_refused")), "{way:?} {left_out}: {body}");
            let standing = browser.get(&format!("/wallet/presentations/{}", asking.id)).await.json();
            assert_eq!(standing["refused"], code, "{way:?} {left_out}");
        }
        let order = placed.order.reload().await.unwrap();
        assert_eq!(order.attempts()[0].outcome, Some(Outcome::Authorised { until: None }), "{way:?}");
        let evidence = bank.evidence(order.id(), 1).expect("it was handed over");
        assert!(!evidence.presentation.contains("bic"), "what nobody asked for is not shown");
    }
}
