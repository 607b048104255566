//! The customer card as an mdoc: issued beside its twin, shown, refused. What both have in common stands in `issuer`.

use std::collections::BTreeSet;

use firsthand::{
    Device,
    env::Env,
    limits::Limits,
    protocol::{
        cbor::{self, EMBEDDED},
        cose::{self, Sign1},
        jose::{SigningKey, base64url_decode},
        openid4vci::offer::PRE_AUTHORIZED,
        openid4vp::ResponseMode,
        status_list::{Status, StatusList},
        x509::Certificate,
    },
    store::Memory,
    testing::{
        authority::{Authority, Leaf},
        collector::Collector,
        faulty::{self, Faulty},
        mdoc::{Credential, Fault, Held, Issuer},
        wallet::{self, Wallet},
    },
    time::UnixTime,
};
use firsthand_axum::testing::{Browser, Reply, TestShop, response_code};
use http::{Request, Response, StatusCode};
use serde_json::{Value, json};

use crate::{
    issuer::{known, offer, open, shop, shows, text, told, visit},
    probe::{self, form},
    setting::{customer, refused},
};

const CONFIGURATION: &str = "relationship_mdoc";
/// The document type and the name space: an address of this shop, as the type of the twin.
const KIND: &str = "https://shop.example/wallet/relationship";
const QUERY: &str = "relationship-2";

/// Gets the card as an mdoc for a browser whose customer is known.
async fn given(browser: &mut Browser) -> Wallet {
    let offered = offer(browser).await;
    let mut wallet = Wallet::new();
    let mut visit = visit(browser, text(&offered, "uri")).await;
    visit.redeem(Some(text(&offered, "tx_code"))).await.unwrap();
    visit.configuration = Some(CONFIGURATION.to_owned());
    wallet.collect(&mut visit).await.unwrap();
    wallet
}

fn says<'a>(wallet: &'a Wallet, at: usize, element: &str) -> &'a str {
    text(&wallet.holdings()[at].claims()[KIND], element)
}

/// What a wallet got, with what stands in its security object.
struct Issued {
    bytes: Vec<u8>,
    mso: Vec<u8>,
    chain: Vec<Vec<u8>>,
}

impl Issued {
    fn read(credential: &str) -> Self {
        let limits = Limits::default();
        let bytes = base64url_decode(credential).unwrap();
        let item = cbor::read(&bytes, &limits).unwrap();
        let auth = Sign1::from_item(item.map().unwrap().get("issuerAuth").unwrap(), &limits).unwrap();
        let chain = auth.header().x5chain.clone().unwrap();
        let leaf = Certificate::from_der(&chain[0]).unwrap();
        let payload = auth.verify(&leaf.public_key().unwrap()).unwrap();
        let mso = cbor::read(&payload, &limits).unwrap().embedded().unwrap().to_vec();
        Self { bytes, mso, chain }
    }

    /// What stands at a path of the security object, as JSON has it.
    fn at<T>(&self, path: &[&str], read: impl FnOnce(&cbor::Item<'_>) -> T) -> T {
        let limits = Limits::default();
        let mso = cbor::read(&self.mso, &limits).unwrap();
        let found = path.iter().fold(&mso, |item, name| item.map().unwrap().get(name).unwrap());
        read(found)
    }

    fn time(&self, name: &str) -> UnixTime {
        let text = self.at(&["validityInfo", name], |item| item.tagged(0).unwrap().text().unwrap().to_owned());
        assert!(text.ends_with(":00Z") && !text.contains('.'), "{text}");
        UnixTime::from_secs(text.parse::<jiff::Timestamp>().unwrap().as_second())
    }

    fn entry(&self) -> (String, u64) {
        let uri = self.at(&["status", "status_list", "uri"], |item| item.text().unwrap().to_owned());
        (uri, self.at(&["status", "status_list", "idx"], |item| item.integer().unwrap().try_into().unwrap()))
    }

    /// What the shop's own list says of it.
    async fn status(&self, browser: &Browser) -> Status {
        let (uri, index) = self.entry();
        let mut request = Request::new(Vec::new());
        *request.uri_mut() = uri.parse().unwrap();
        let response = browser.carry(request).await;
        let token = String::from_utf8(response.into_body()).unwrap();
        let limits = Limits::default();
        let parsed = StatusList::parse(&token, &limits).unwrap();
        let leaf = Certificate::from_der(&self.chain[0]).unwrap().public_key().unwrap();
        let now = browser.shop().clock().now();
        let list = StatusList::verify(parsed, &leaf, &uri.parse().unwrap(), now, &limits).unwrap();
        list.status(index).unwrap()
    }
}

fn credentials(answer: &Response<Vec<u8>>) -> Vec<String> {
    assert_eq!(answer.status(), StatusCode::OK, "{}", String::from_utf8_lossy(answer.body()));
    let body: Value = serde_json::from_slice(answer.body()).unwrap();
    body["credentials"].as_array().unwrap().iter().map(|one| text(one, "credential").to_owned()).collect()
}

/// A proof for a key of this scalar, under a new nonce.
async fn proof<S>(visit: &mut Collector<'_, S>, key: &SigningKey) -> String
where
    S: AsyncFnMut(Request<Vec<u8>>) -> Response<Vec<u8>>,
{
    let nonce = visit.nonce().await.unwrap();
    visit.proof(key, &nonce).unwrap()
}

#[tokio::test]
async fn the_card_comes_as_an_mdoc_and_recognises_as_its_twin_does() {
    let shop = shop();
    let mut laptop = known(&shop).await;
    let id = customer(&mut laptop).await;
    let wallet = given(&mut laptop).await;
    assert_eq!(wallet.holdings()[0].types(), [KIND]);
    assert!(!wallet.holdings()[0].claims().to_string().contains(id.as_str()), "the customer's name stays here");
    let own = shop.merchant().shop_did(&id).await.unwrap();
    assert_eq!(says(&wallet, 0, "shop_did"), own.long().as_str(), "who the shop is to this customer alone");

    let issued = Issued::read(&wallet.saved()[0].0);
    assert_eq!(issued.time("validUntil").since_s(issued.time("signed")), 90 * 24 * 3600);
    assert_eq!(issued.time("signed"), issued.time("validFrom"));
    assert_eq!(issued.time("signed").as_secs() % 3600, 0, "a time that many share");
    assert_eq!(issued.status(&laptop).await, Status::Valid);
    // HAIP 1.0, 6: the chain without its root, as wallets are asked with.
    let identity = shop.keys().identity();
    let own: Vec<Vec<u8>> = identity.chain().iter().map(|one| one.der().to_vec()).collect();
    assert_eq!(issued.chain, own);
    assert!(issued.chain.iter().all(|der| !Certificate::from_der(der).unwrap().is_self_signed()));

    let mut phone = laptop.another();
    let shown = shows(&mut phone, &wallet).await;
    assert_eq!(shown.status, StatusCode::OK, "{}", shown.text());
    assert_eq!(customer(&mut phone).await, id);
    assert_eq!(phone.get("/wallet/bindings").await.json()["rung"], "relationship_credential");
    let known = shop.merchant().customer(&id).await.unwrap().unwrap();
    let credentials = known.credentials().await.unwrap();
    assert_eq!(credentials.len(), 1);
    assert_eq!(credentials[0].alias.as_str(), says(&wallet, 0, "sub"));
    assert!(credentials[0].confirmed && !credentials[0].revoked);
    let history = laptop.get("/wallet/history").await.text();
    assert!(!history.contains("credential_new_key"), "{history}");
}

#[tokio::test]
async fn metadata_and_offer_name_both_formats() {
    let shop = shop();
    let mut laptop = known(&shop).await;
    let offered = offer(&mut laptop).await;
    let visit = visit(&laptop, text(&offered, "uri")).await;
    assert_eq!(visit.offer.configurations, ["relationship", CONFIGURATION]);
    let all = &visit.issuer["credential_configurations_supported"];
    let (twin, mdoc) = (&all["relationship"], &all[CONFIGURATION]);
    assert_eq!((&mdoc["format"], &mdoc["doctype"]), (&json!("mso_mdoc"), &json!(KIND)));
    assert_eq!(mdoc["doctype"], twin["vct"], "one type in two formats");
    assert_eq!(mdoc["credential_signing_alg_values_supported"], json!([-7]));
    assert_eq!(mdoc["cryptographic_binding_methods_supported"], json!(["cose_key"]));
    let claims = json!([{"path": [KIND, "sub"], "mandatory": true}, {"path": [KIND, "shop_did"]}]);
    assert_eq!(mdoc["credential_metadata"]["claims"], claims);
    for same in ["scope", "proof_types_supported"] {
        assert_eq!(mdoc[same], twin[same], "{same}");
    }
    for same in ["display", "credential_reuse_policy"] {
        assert_eq!(mdoc["credential_metadata"][same], twin["credential_metadata"][same], "{same}");
    }
}

#[tokio::test]
async fn one_question_asks_for_either_and_a_wallet_with_both_shows_one() {
    let shop = shop();
    let mut laptop = known(&shop).await;
    let id = customer(&mut laptop).await;
    let offered = offer(&mut laptop).await;
    let mut wallet = Wallet::new();
    let mut visit = visit(&laptop, text(&offered, "uri")).await;
    visit.redeem(Some(text(&offered, "tx_code"))).await.unwrap();
    wallet.collect(&mut visit).await.unwrap();
    visit.configuration = Some(CONFIGURATION.to_owned());
    wallet.collect(&mut visit).await.unwrap();
    let alias = wallet.holdings()[0].claims()["sub"].clone();
    assert_ne!(alias, says(&wallet, 1, "sub"), "another name");

    let mut phone = laptop.another();
    let asking = phone.ask("back", Device::SameDevice).await;
    let request = phone.wallet_reads(&asking).await;
    let query = serde_json::to_value(&request.query).unwrap();
    assert_eq!(query["credential_sets"], json!([{"options": [["relationship"], [QUERY]]}]));
    assert_eq!(query["credentials"][1]["meta"], json!({"doctype_value": KIND}));
    assert_eq!(query["credentials"][1]["claims"], json!([{"path": [KIND, "sub"]}]), "the DID stays hidden");
    let choices = wallet.choices(&request);
    assert_eq!(choices.iter().map(|one| one.shown()[0].query.as_str()).collect::<Vec<_>>(), ["relationship", QUERY]);

    for choice in choices {
        let mut phone = laptop.another();
        let asking = phone.ask("back", Device::SameDevice).await;
        let request = phone.wallet_reads(&asking).await;
        let form = wallet.answer(&request, &choice, &[], shop.clock()).unwrap();
        let answer = phone.wallet_posts(&request, &form).await;
        let body = json!({ "presentation": asking.id, "response_code": response_code(&answer) });
        assert_eq!(phone.redeem(&body).await.status, StatusCode::OK);
        assert_eq!(customer(&mut phone).await, id);
    }
}

#[tokio::test]
async fn a_wallet_that_asks_by_details_gets_what_it_named_and_nothing_beside() {
    let shop = shop();
    let mut laptop = known(&shop).await;
    let offered = offer(&mut laptop).await;
    let mut visit = visit(&laptop, text(&offered, "uri")).await;
    let code = visit.offer.pre_authorized.clone().unwrap().code;
    let ask = |id: &str| json!([{"type": "openid_credential", "credential_configuration_id": id}]).to_string();
    let parameters = |details: String| {
        vec![
            ("grant_type", PRE_AUTHORIZED.to_owned()),
            ("pre-authorized_code", code.clone()),
            ("tx_code", text(&offered, "tx_code").to_owned()),
            ("authorization_details", details),
        ]
    };
    let token = async |visit: &mut Collector<'_, _>, details: String| {
        let parameters = parameters(details);
        let parameters: Vec<_> = parameters.iter().map(|(name, value)| (*name, value.as_str())).collect();
        visit.token(&parameters).await
    };
    told(&token(&mut visit, ask("relationship_jwt")).await, 400, "invalid_authorization_details");
    let answer = token(&mut visit, ask(CONFIGURATION)).await;
    let body: Value = serde_json::from_slice(answer.body()).unwrap();
    let named = json!([{"type": "openid_credential", "credential_configuration_id": CONFIGURATION,
        "credential_identifiers": [CONFIGURATION]}]);
    assert_eq!((&body["authorization_details"], &body["scope"]), (&named, &json!("relationship")));
    visit.take_tokens(answer).unwrap();

    let key = SigningKey::from_p256_scalar(&[5; 32]).unwrap();
    let jwt = proof(&mut visit, &key).await;
    for (member, value, error) in [
        ("credential_identifier", "relationship", "unknown_credential_identifier"),
        ("credential_identifier", "relationship_jwt", "unknown_credential_identifier"),
        ("credential_configuration_id", CONFIGURATION, "invalid_credential_request"),
    ] {
        told(&visit.credentials(&json!({member: value, "proofs": {"jwt": [jwt]}})).await, 400, error);
    }
    let got = visit.credentials(&json!({"credential_identifier": CONFIGURATION, "proofs": {"jwt": [jwt]}})).await;
    Wallet::new().hold(&credentials(&got)[0], key).unwrap();
}

#[tokio::test]
async fn a_batch_of_mdocs_has_nothing_in_common() {
    let shop = TestShop::with(|builder| open(builder.store(Memory::new())).credential_batch(4));
    let mut laptop = known(&shop).await;
    let wallet = given(&mut laptop).await;
    let issued: Vec<Issued> = wallet.saved().iter().map(|(text, _)| Issued::read(text)).collect();
    let distinct = |of: &dyn Fn(usize) -> Vec<u8>| (0..4).map(of).collect::<BTreeSet<_>>().len();
    assert_eq!(issued.len(), 4);
    assert_eq!(distinct(&|at| says(&wallet, at, "sub").as_bytes().to_vec()), 4);
    assert_eq!(distinct(&|at| issued[at].at(&["deviceKeyInfo", "deviceKey"], |key| key.raw().to_vec())), 4);
    assert_eq!(distinct(&|at| issued[at].entry().1.to_be_bytes().to_vec()), 4);
    assert_eq!(distinct(&|at| says(&wallet, at, "shop_did").as_bytes().to_vec()), 1);
    let mut salts = BTreeSet::new();
    let mut digests = BTreeSet::new();
    for one in &issued {
        let limits = Limits::default();
        let item = cbor::read(&one.bytes, &limits).unwrap();
        let items = item.map().unwrap().get("nameSpaces").unwrap().map().unwrap().get(KIND).unwrap();
        for item in items.array().unwrap() {
            let item = cbor::read(item.tagged(EMBEDDED).unwrap().bytes().unwrap(), &limits).unwrap();
            salts.insert(item.map().unwrap().get("random").unwrap().bytes().unwrap().to_vec());
        }
        digests.extend(one.at(&["valueDigests", KIND], |of| {
            of.map().unwrap().iter().map(|(_, digest)| digest.bytes().unwrap().to_vec()).collect::<Vec<_>>()
        }));
        assert_eq!(one.status(&laptop).await, Status::Valid);
    }
    assert!(salts.iter().all(|salt| salt.len() == 32));
    assert_eq!((salts.len(), digests.len()), (8, 8), "also what says the same hides it anew");
}

#[tokio::test]
async fn the_device_key_is_the_one_that_was_proved() {
    let shop = shop();
    let mut laptop = known(&shop).await;
    let id = customer(&mut laptop).await;
    let offered = offer(&mut laptop).await;
    let wallet_side = laptop.clone();
    let mut visit = visit(&wallet_side, text(&offered, "uri")).await;
    visit.redeem(Some(text(&offered, "tx_code"))).await.unwrap();
    visit.configuration = Some(CONFIGURATION.to_owned());
    for key in [SigningKey::from_p256_scalar(&[5; 32]).unwrap(), SigningKey::from_ed25519_seed(&[5; 32]).unwrap()] {
        let jwt = proof(&mut visit, &key).await;
        let got = credentials(&visit.credentials(&json!({"proofs": {"jwt": [jwt]}})).await);
        let issued = Issued::read(&got[0]);
        let device = issued.at(&["deviceKeyInfo", "deviceKey"], |key| cose::public_key(key).unwrap());
        assert_eq!(device, *key.public_key());
        assert!(Wallet::new().hold(&got[0], SigningKey::from_p256_scalar(&[6; 32]).unwrap()).is_err());
        let mut wallet = Wallet::new();
        wallet.hold(&got[0], key.clone()).unwrap();
        let mut phone = laptop.another();
        assert_eq!(shows(&mut phone, &wallet).await.status, StatusCode::OK);
        assert_eq!(customer(&mut phone).await, id);
        // The same proof brings no second one.
        told(&visit.credentials(&json!({"proofs": {"jwt": [jwt]}})).await, 400, "invalid_nonce");
    }
}

/// Shows the card with one thing wrong; why it is refused.
async fn why(browser: &mut Browser, wallet: &Wallet, faults: &[wallet::Fault]) -> String {
    let mut browser = browser.another();
    let asking = browser.ask("back", Device::SameDevice).await;
    let request = browser.wallet_reads(&asking).await;
    let answer = probe::answer(&mut browser, &request, wallet, faults).await;
    refused(&answer, 400, "answer_refused");
    probe::standing(&mut browser, &asking).await.1
}

#[tokio::test]
async fn a_card_that_its_device_does_not_prove_recognises_nobody() {
    let shop = shop();
    let mut laptop = known(&shop).await;
    let wallet = given(&mut laptop).await;
    for (fault, code) in [
        (wallet::Fault::WrongNonce, "mdoc_device_auth"),
        (wallet::Fault::WrongAudience, "mdoc_device_auth"),
        (wallet::Fault::AudienceWithoutPrefix, "mdoc_device_auth"),
        (wallet::Fault::HolderSignatureBroken, "mdoc_device_auth"),
        (wallet::Fault::ForeignHolderKey, "mdoc_device_auth"),
        (wallet::Fault::NoHolderProof, "mdoc_no_device_auth"),
        (wallet::Fault::IssuerSignatureBroken, "mdoc_issuer_auth"),
        (wallet::Fault::MissingClaim, "credential_claim"),
    ] {
        assert_eq!(why(&mut laptop, &wallet, &[fault]).await, code, "{fault:?}");
    }
    assert_eq!(shows(&mut laptop.another(), &wallet).await.status, StatusCode::OK);
}

#[tokio::test]
async fn a_card_that_is_over_or_taken_back_recognises_nobody() {
    let shop = shop();
    let mut laptop = known(&shop).await;
    let id = customer(&mut laptop).await;
    let wallet = given(&mut laptop).await;
    let issued = Issued::read(&wallet.saved()[0].0);
    let mut thief = laptop.another();
    assert_eq!(shows(&mut thief, &wallet).await.status, StatusCode::OK);
    shop.merchant().revoke_credential(&id, &says(&wallet, 0, "sub").parse().unwrap()).await.unwrap();
    assert_eq!(issued.status(&laptop).await, Status::Invalid);
    assert_eq!(why(&mut laptop, &wallet, &[]).await, "credential_revoked");
    refused(&thief.get("/wallet/me").await, 401, "invalid_token");

    let mut other = laptop.another();
    other.sign_in("adult").await;
    let wallet = given(&mut other).await;
    shop.advance_s(90 * 24 * 3600 + 61);
    assert_eq!(why(&mut other, &wallet, &[]).await, "credential_expired");
}

/// Documents that say what ours says: the type, and the alias of a customer.
#[tokio::test]
async fn what_anybody_else_signs_as_an_mdoc_recognises_nobody_whatever_it_says() {
    let shop = shop();
    let mut laptop = known(&shop).await;
    let id = customer(&mut laptop).await;
    let wallet = given(&mut laptop).await;
    let alias = says(&wallet, 0, "sub");
    let ours = |keys: &firsthand::Keys| {
        let identity = keys.identity();
        let chain = identity.chain().iter().map(|certificate| certificate.der().to_vec()).collect();
        Issuer::new(identity.key().clone(), chain)
    };
    let now = shop.clock().now();
    let (own, gone) = (ours(shop.keys()), ours(&shop.renewed_certificate()));
    let stranger = Issuer::below(&Authority::new("Utopia IACA", now), now);
    // Our certificate, and a key of their own.
    let chain = shop.keys().identity().chain().iter().map(|one| one.der().to_vec()).collect();
    let thief = Issuer::new(SigningKey::from_p256_scalar(&[3; 32]).unwrap(), chain);
    let (key, chain) =
        Authority::new("Test Access CA", now).issue(&Leaf::new("Test Shop", now).dns_name("shop.example"));
    let namesake = Issuer::new(key, chain);
    let card = |kind: &str, alias: &str| Credential::new(kind, now).says(kind, "sub", alias);
    let mut over = card(KIND, alias);
    (over.signed, over.valid_from, over.valid_until) = (now.minus_s(600), now.minus_s(600), now.minus_s(61));
    let other_kind = "https://shop.example/wallet/employee";
    let cases: [(&str, &Issuer, Credential, &str); 9] = [
        ("a key that was rotated away", &gone, card(KIND, alias), "issuer_unknown"),
        ("an authority of documents", &stranger, card(KIND, alias), "issuer_unknown"),
        ("a certificate with our name", &namesake, card(KIND, alias), "issuer_unknown"),
        ("our certificate, and another key", &thief, card(KIND, alias), "mdoc_issuer_auth"),
        ("expired", &own, over, "credential_expired"),
        ("nobody's alias", &own, card(KIND, "AAAAAAAAAAAAAAAAAAAAAA"), "credential_revoked"),
        ("no alias", &own, card(KIND, "x"), "credential_claim"),
        ("another type of ours", &own, card(other_kind, alias), "credential_claim"),
        // As after moving to a new phone: an unknown key with a known alias.
        ("our own, with a new key", &own, card(KIND, alias), ""),
    ];
    for (name, issuer, credential, code) in cases {
        let holder = SigningKey::from_p256_scalar(&[9; 32]).unwrap();
        let held = issuer.issue(&credential, holder, shop.clock()).unwrap();
        let mut browser = laptop.another();
        let (answer, asking) = presents(&mut browser, &held, &credential.doc_type, &[]).await;
        if code.is_empty() {
            assert_eq!(answer.status, StatusCode::OK, "{name}: {}", answer.text());
            let body = json!({ "presentation": asking.id, "response_code": response_code(&answer) });
            assert_eq!(browser.redeem(&body).await.status, StatusCode::OK, "{name}");
            assert_eq!(customer(&mut browser).await, id, "{name}");
            let history = laptop.get("/wallet/history").await.text();
            assert!(history.contains("credential_new_key"), "{history}");
        } else {
            refused(&answer, 400, "answer_refused");
            assert_eq!(probe::standing(&mut browser, &asking).await.1, code, "{name}");
        }
    }
    // What the device does wrong, and the right one again.
    let holder = SigningKey::from_p256_scalar(&[9; 32]).unwrap();
    let held = own.issue(&card(KIND, alias), holder, shop.clock()).unwrap();
    for (fault, code) in [
        (Fault::ValueChanged, "mdoc_digest"),
        (Fault::OtherDocType, "mdoc_doc_type"),
        (Fault::DeviceMac, "mdoc_no_reader_key"),
        (Fault::DeviceElement, "mdoc_not_authorised"),
        (Fault::TwoDocuments, "mdoc_documents"),
        (Fault::WrongResponseUri, "mdoc_device_auth"),
        (Fault::WrongThumbprint, "mdoc_device_auth"),
        (Fault::DcApiSession, "mdoc_device_auth"),
    ] {
        let mut browser = laptop.another();
        let (answer, asking) = presents(&mut browser, &held, KIND, &[fault]).await;
        refused(&answer, 400, "answer_refused");
        assert_eq!(probe::standing(&mut browser, &asking).await.1, code, "{fault:?}");
    }
    let (answer, _) = presents(&mut laptop.another(), &held, KIND, &[]).await;
    assert_eq!(answer.status, StatusCode::OK, "{}", answer.text());
}

/// Shows an mdoc as the card.
async fn presents(
    browser: &mut Browser,
    held: &Held,
    namespace: &str,
    faults: &[Fault],
) -> (Reply, firsthand_axum::testing::Asking) {
    let asking = browser.ask("back", Device::SameDevice).await;
    let request = browser.wallet_reads(&asking).await;
    let presented = held.present(&request, &[(namespace, "sub")], faults, browser.shop().clock()).unwrap();
    (browser.wallet_posts(&request, &form(&request, &json!({ QUERY: [presented] }))).await, asking)
}

#[tokio::test]
async fn two_cards_at_once_may_be_two_people_and_are_nobodys() {
    let shop = TestShop::with(|builder| open(builder.store(Memory::new())).response_mode(ResponseMode::DirectPost));
    let mut one = known(&shop).await;
    let mdoc = given(&mut one).await;
    let mut other = known(&shop).await;
    let mut twin = Wallet::new();
    other.give_credential(&mut twin).await;
    for both in [false, true] {
        let mut browser = one.another();
        let asking = browser.ask("back", Device::SameDevice).await;
        let request = browser.wallet_reads(&asking).await;
        let shown = |wallet: &Wallet| {
            let choice = wallet.choose(&request).unwrap();
            let form = wallet.answer(&request, &choice, &[], shop.clock()).unwrap();
            let token = url::form_urlencoded::parse(form.as_bytes()).find(|(name, _)| name == "vp_token").unwrap().1;
            serde_json::from_str::<Value>(&token).unwrap()
        };
        let mut token = shown(&mdoc);
        if both {
            token["relationship"] = shown(&twin)["relationship"].clone();
        }
        let answer = browser.wallet_posts(&request, &form(&request, &token)).await;
        if both {
            refused(&answer, 400, "answer_refused");
            assert_eq!(probe::standing(&mut browser, &asking).await.1, "credential_answered_twice");
        } else {
            assert_eq!(answer.status, StatusCode::OK, "{}", answer.text());
        }
    }
}

#[tokio::test]
async fn an_mdoc_that_the_store_could_not_make_is_fetched_later_and_is_one() {
    for fault in [faulty::Fault::Lost, faulty::Fault::Done] {
        let store = Faulty::new(Memory::new());
        let shop = TestShop::with(|builder| open(builder.store(store.clone())));
        let mut laptop = known(&shop).await;
        let offered = offer(&mut laptop).await;
        let mut visit = visit(&laptop, text(&offered, "uri")).await;
        visit.redeem(Some(text(&offered, "tx_code"))).await.unwrap();
        visit.configuration = Some(CONFIGURATION.to_owned());
        let key = SigningKey::from_p256_scalar(&[5; 32]).unwrap();
        let mut deferred = None;
        for after in 0..40 {
            let jwt = proof(&mut visit, &key).await;
            store.fail(after, fault);
            let answer = visit.credentials(&json!({"proofs": {"jwt": [jwt]}})).await;
            if answer.status() == StatusCode::ACCEPTED {
                let body: Value = serde_json::from_slice(answer.body()).unwrap();
                deferred = Some(text(&body, "transaction_id").to_owned());
                break;
            }
            visit.refresh().await.unwrap();
        }
        let transaction = deferred.unwrap_or_else(|| panic!("{fault:?}: no commit was met"));
        let got = credentials(&visit.deferred(&transaction).await);
        assert_eq!(Issued::read(&got[0]).at(&["docType"], |kind| kind.text().unwrap().to_owned()), KIND);
        let mut wallet = Wallet::new();
        wallet.hold(&got[0], key).unwrap();
        assert_eq!(shows(&mut laptop.another(), &wallet).await.status, StatusCode::OK);
        told(&visit.deferred(&transaction).await, 400, "invalid_transaction_id");
    }
}
