//! mdocs: a library issues them and answers with them, and its verifier believes what we make.

use firsthand::{
    Ask,
    ask::{
        Wanted,
        documents::{AGE_EU, MDL, MDL_NAMESPACE, PID_MDOC},
    },
    env::Env,
    protocol::{
        jose::{SigningKey, base64url_encode},
        mdoc::SessionTranscript,
    },
    store::Memory,
    testing::mdoc::{Credential, Fault, Issuer, full_date},
    trust::Trust,
};
use firsthand_axum::testing::TestShop;
use rcgen::{PKCS_ECDSA_P256_SHA256, PKCS_ECDSA_P384_SHA384, PKCS_ECDSA_P521_SHA512, PKCS_ED25519};
use serde_json::{Value, json};

use crate::{
    foreign::{Door, Foreign, Open, WAYS, Way, is_installed, with},
    iaca::{COUNTRY, Iaca, Signer},
};

const PACKAGE: &str = "@owf/mdoc";

/// A shop that rents cars, and believes one state.
struct Rental {
    shop: TestShop,
    state: Iaca,
    wallet: Foreign,
    open: Open,
}

impl Rental {
    async fn new() -> Self {
        let world = TestShop::new();
        let state = Iaca::new("Utopia IACA", world.clock().now());
        let trust = Trust::new().roots(state.pem(), &[MDL, PID_MDOC, AGE_EU]).unwrap();
        let licence = Wanted::mdoc(MDL, MDL_NAMESPACE).claim(["family_name"]).claim(["birth_date"]).claim(["driving"]);
        let licence = Ask::new("licence", "To rent you a car").credential("licence", licence);
        let shop = world.bare(|builder| builder.store(Memory::new()).trust(trust).ask(&TestShop::age()).ask(&licence));
        let door = Door::new().await;
        let wallet = Foreign::start("mdoc.mjs", &shop, &door);
        let open = door.open(&shop);
        Self { shop, state, wallet, open }
    }

    /// Has the library issue a licence, with these differences.
    async fn issue(&mut self, differences: Value) {
        let namespaces = json!({MDL_NAMESPACE: {
            "family_name": "Mustermann", "birth_date": "1980-03-04", "driving": [{"vehicle_category_code": "B"}],
            "issuing_country": COUNTRY, "age_over_18": true, "age_over_21": true,
        }});
        let signer = self.state.signer(&PKCS_ECDSA_P256_SHA256, self.shop.clock().now());
        let command = json!({"command": "issue", "doctype": MDL, "namespaces": namespaces, "signer": signer.told()});
        let issued = self.wallet.does(&with(&command, &differences)).await;
        assert!(issued["issuer_signed"].is_string(), "{issued}");
    }

    /// A visit with nothing wrong.
    async fn visit(&mut self, way: Way, ask: &str) -> Result<Value, String> {
        self.open.visit(&mut self.wallet, way, ask, &json!({"command": "present"})).await
    }

    /// A visit with this wrong.
    async fn visit_with(&mut self, way: Way, wrong: &str) -> Result<Value, String> {
        self.open.visit(&mut self.wallet, way, "licence", &json!({"command": "present", "wrong": wrong})).await
    }
}

#[tokio::test]
async fn a_published_library_issues_mdocs_and_answers_with_them() {
    if !is_installed(PACKAGE) {
        return;
    }
    let mut rental = Rental::new().await;
    let now = rental.shop.clock().now();
    let kinds = [
        (&PKCS_ECDSA_P256_SHA256, "ES256", "ES256", "SHA-256"),
        (&PKCS_ECDSA_P384_SHA384, "ES384", "ES512", "SHA-384"),
        (&PKCS_ECDSA_P521_SHA512, "ES512", "EdDSA", "SHA-512"),
        (&PKCS_ED25519, "EdDSA", "ES384", "SHA-256"),
    ];
    for (key, algorithm, device, digest) in kinds {
        let signer = rental.state.signer(key, now);
        rental
            .issue(json!({"signer": signer.told(), "algorithm": algorithm, "device": device, "digest": digest}))
            .await;
        let licence = json!({
            "family_name": "Mustermann", "birth_date": "1980-03-04", "driving": [{"vehicle_category_code": "B"}],
        });
        for way in WAYS {
            let shown = rental.visit(way, "licence").await;
            assert_eq!(shown, Ok(json!({"licence": licence})), "{algorithm} {device} {way:?}");
        }
    }
}

#[tokio::test]
async fn what_one_library_makes_in_three_documents_answers_one_ask_for_an_age() {
    if !is_installed(PACKAGE) {
        return;
    }
    let documents = [
        (AGE_EU, AGE_EU, json!({"age_over_18": true}), Ok(json!({"age": {}}))),
        (MDL, MDL_NAMESPACE, json!({"age_over_18": true}), Ok(json!({"age": {}}))),
        (MDL, MDL_NAMESPACE, json!({"birth_date": "2008-11-22"}), Ok(json!({"age": {}}))),
        (PID_MDOC, PID_MDOC, json!({"birth_date": "1980-03-04"}), Ok(json!({"age": {}}))),
        (AGE_EU, AGE_EU, json!({"age_over_18": false}), Err("age_not_reached".to_owned())),
        (PID_MDOC, PID_MDOC, json!({"birth_date": "2008-11-23"}), Err("age_not_reached".to_owned())),
    ];
    for (doctype, namespace, elements, outcome) in documents {
        let mut rental = Rental::new().await;
        let namespaces = json!({namespace: elements});
        rental.issue(json!({"doctype": doctype, "namespaces": namespaces})).await;
        assert_eq!(rental.visit(Way::Link, "age").await, outcome, "{namespaces}");
    }
}

#[tokio::test]
async fn what_is_wrong_with_a_foreign_mdoc_is_refused_for_that_reason() {
    if !is_installed(PACKAGE) {
        return;
    }
    let mut rental = Rental::new().await;
    rental.issue(json!({})).await;
    for way in WAYS {
        assert!(rental.visit(way, "licence").await.is_ok());
        let channel: &[&str] = match way {
            Way::Link => &["client_id", "response_uri"],
            Way::Browser(_) => &["origin"],
        };
        for wrong in [channel, &["nonce", "encryption_key", "device_key"]].concat() {
            assert_eq!(rental.visit_with(way, wrong).await, Err("mdoc_device_auth".to_owned()), "{way:?} {wrong}");
        }
        assert_eq!(rental.visit_with(way, "element").await, Err("mdoc_digest".to_owned()), "{way:?}");
    }
    let now = rental.shop.clock().now();
    let signer_of = |state: &Iaca| state.signer(&PKCS_ECDSA_P256_SHA256, now);
    let another_state = signer_of(&Iaca::new("Laputa IACA", now));
    let a_state_of_this_name = signer_of(&Iaca::new("Utopia IACA", now));
    let another_key = Signer { key: signer_of(&rental.state).key, ..signer_of(&rental.state) };
    let issued = [
        (json!({"begins_in_days": -9, "ends_in_days": -1}), "credential_expired"),
        (json!({"begins_in_days": 1, "ends_in_days": 9}), "credential_not_yet_valid"),
        (json!({"begins_in_days": -120}), "mdoc_signed_outside"),
        (json!({"signer": another_state.told()}), "certificate_unknown_anchor"),
        (json!({"signer": a_state_of_this_name.told()}), "certificate_key_identifier"),
        (json!({"signer": another_key.told()}), "mdoc_issuer_auth"),
    ];
    for (differences, code) in issued {
        rental.issue(differences.clone()).await;
        assert_eq!(rental.visit(Way::Link, "licence").await, Err(code.to_owned()), "{code}");
    }
    rental.issue(json!({})).await;
    assert!(rental.visit(Way::Link, "licence").await.is_ok());
}

#[tokio::test]
async fn a_published_verifier_believes_what_our_own_issuer_and_device_make() {
    if !is_installed(PACKAGE) {
        return;
    }
    let Rental { shop, state, mut wallet, .. } = Rental::new().await;
    let now = shop.clock().now();
    let signer = state.signer(&PKCS_ECDSA_P256_SHA256, now);
    let issuer = Issuer::new(SigningKey::from_pkcs8_der(&signer.key).unwrap(), vec![signer.certificate]);
    let licence = Credential::new(MDL, now)
        .says(MDL_NAMESPACE, "family_name", "Mustermann")
        .says(MDL_NAMESPACE, "birth_date", full_date("1980-03-04"))
        .says(MDL_NAMESPACE, "issuing_country", COUNTRY)
        .says(MDL_NAMESPACE, "age_over_18", true);

    let (client_id, response_uri) = ("x509_san_dns:shop.example", "https://shop.example/wallet/responses/1");
    let (origin, nonce, thumbprint) = ("https://shop.example", "a nonce of one request alone", [7; 32]);
    let encoded = base64url_encode(&thumbprint);
    let sessions = [
        (
            SessionTranscript::openid4vp(client_id, nonce, Some(&thumbprint), response_uri),
            json!({"client_id": client_id, "response_uri": response_uri, "thumbprint": encoded}),
        ),
        (
            SessionTranscript::openid4vp(client_id, nonce, None, response_uri),
            json!({"client_id": client_id, "response_uri": response_uri}),
        ),
        (SessionTranscript::dc_api(origin, nonce, Some(&thumbprint)), json!({"origin": origin, "thumbprint": encoded})),
        (SessionTranscript::dc_api(origin, nonce, None), json!({"origin": origin})),
    ];
    let asked = [(MDL_NAMESPACE, "birth_date"), (MDL_NAMESPACE, "issuing_country"), (MDL_NAMESPACE, "age_over_18")];
    let shown = json!({MDL_NAMESPACE: {"birth_date": "1980-03-04", "issuing_country": COUNTRY, "age_over_18": true}});
    let verdicts: [(&[Fault], &str); 6] = [
        (&[], ""),
        (&[Fault::ForeignDeviceKey], "Device signature must be valid"),
        (&[Fault::DeviceSignatureBroken], "Device signature must be valid"),
        (&[Fault::NoDeviceAuth], "Device Auth must contain"),
        (&[Fault::IssuerSignatureBroken], "Issuer auth signature is invalid"),
        (&[Fault::ValueChanged], "The calculated digest for org.iso.18013.5.1/age_over_18"),
    ];
    for device in [SigningKey::from_p256_scalar(&[9; 32]), SigningKey::from_ed25519_seed(&[9; 32])] {
        let held = issuer.issue(&licence, device.unwrap(), shop.clock()).unwrap();
        for (transcript, channel) in &sessions {
            for (faults, complaint) in verdicts {
                let response = held.device_response(transcript, &asked, faults, shop.clock()).unwrap();
                let response = json!({
                    "command": "verify", "device_response": base64url_encode(&response), "root": state.pem(), "nonce": nonce,
                });
                let verdict = wallet.does(&with(&response, channel)).await;
                if faults.is_empty() {
                    assert_eq!(verdict, json!({"failed": [], "documents": [{"doctype": MDL, "elements": shown}]}));
                    let elsewhere = wallet.does(&with(&response, &with(channel, &json!({"nonce": "another"})))).await;
                    assert_eq!(elsewhere["failed"], json!(["Device signature must be valid"]), "{channel}");
                } else {
                    let said = [&verdict["failed"][0], &verdict["error"]].map(|said| said.as_str().unwrap_or_default());
                    assert!(said.iter().any(|said| said.contains(complaint)), "{faults:?} {verdict}");
                }
            }
        }
    }
}
