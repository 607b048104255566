//! Whom the shop believes: published lists of issuers, who signs status lists, and what types demand of credentials.

use std::collections::{BTreeMap, BTreeSet};

use firsthand::{
    merchant::TypeMetadata,
    store::Memory,
    testing::{
        authority::{Authority, Leaf, certificate_pem},
        issuer::{Credential, Issuer},
        list::{lote, signed},
        wallet::Wallet,
    },
    trust::{Trust, TrustList},
};
use firsthand_axum::testing::TestShop;
use http::StatusCode;
use serde_json::{Value, json};
use url::Url;

use crate::probe::{self, PID, answer, delivered, refused};

/// An issuer of its own, and the root that it has.
fn issuer(shop: &TestShop, root: &Authority) -> Issuer {
    let (key, chain) = root.issue(&Leaf::new("Issuer", shop.merchant().now()));
    Issuer::new(key, chain, "https://other.example/status".parse().expect("a URL"))
}

/// A wallet with one credential of this type, for an adult.
fn wallet(shop: &TestShop, issuer: &Issuer, vct: &str, edit: impl FnOnce(&mut Credential)) -> Wallet {
    let holder = firsthand::protocol::jose::SigningKey::from_p256_scalar(&[7; 32]).expect("a key");
    let mut credential = Credential::new(vct, shop.merchant().now());
    credential.claims = json!({ "age_equal_or_over": { "18": true } }).as_object().cloned().expect("an object");
    credential.holder = Some(holder.public_key().clone());
    edit(&mut credential);
    let mut wallet = Wallet::new();
    wallet.hold(&issuer.issue(&credential, shop.clock()).expect("a credential"), holder).expect("a wallet");
    wallet
}

/// Shows it for the age, and says why it is refused; "" if it is not.
async fn why(shop: &TestShop, wallet: &Wallet) -> String {
    let mut browser = probe::browser(shop);
    let (asking, request) = delivered(&mut browser, "age").await;
    let reply = answer(&mut browser, &request, wallet, &[]).await;
    if reply.status == StatusCode::OK { String::new() } else { refused(&mut browser, &asking, &reply).await }
}

#[tokio::test]
async fn whom_a_published_list_names_may_answer_and_no_customer_waits_for_it() {
    let fresh = TestShop::new();
    let now = fresh.merchant().now();
    let (root, other) = (Authority::new("Germany", now), Authority::new("France", now));
    let (key, chain) = Authority::new("Publishers", now).issue(&Leaf::new("The Publisher", now));
    let url: Url = "https://trust.example/pid-providers.jwt".parse().expect("a URL");
    let list = TrustList::lote(url.clone(), &certificate_pem(&chain[0])).expect("a list");
    let list = list.types(TrustList::PID_ISSUANCE, &[PID]);
    let shop = fresh.again(|builder| builder.store(Memory::new()).trust_list(list));
    let publish = |sequence, root: &Authority| {
        let list = lote(sequence, now, &[(TrustList::PID_ISSUANCE, root.root_der())]);
        shop.network().serve(&url, "application/jose", signed(&list, &key, &chain).expect("a signature"));
    };
    publish(1, &root);
    let (german, french) = (issuer(&shop, &root), issuer(&shop, &other));
    let german = wallet(&shop, &german, PID, |_| {});
    let french = wallet(&shop, &french, PID, |_| {});

    assert_eq!(why(&shop, &german).await, "certificate_unknown_anchor");
    assert_eq!(shop.network().calls(&url), 0, "a customer fetches no list");
    shop.merchant().refresh_trust_lists().await;
    assert_eq!(why(&shop, &german).await, "");
    assert_eq!(why(&shop, &french).await, "certificate_unknown_anchor");
    // Whom the configuration names is believed beside the list.
    let mut browser = probe::browser(&shop);
    let (_, request) = delivered(&mut browser, "age").await;
    assert_eq!(browser.wallet_answers(&request, "adult", &[]).await.status, StatusCode::OK);

    shop.clock().advance_s(7 * 3600);
    publish(2, &other);
    assert_eq!(why(&shop, &german).await, "");
    assert_eq!(shop.network().calls(&url), 1);
    shop.merchant().refresh_trust_lists().await;
    assert_eq!(why(&shop, &german).await, "certificate_unknown_anchor");
    assert_eq!(why(&shop, &french).await, "");
    // The list says for how long; after that it is as if there were none.
    let until = shop.merchant().trust_lists()[0].believed_until.expect("a list");
    shop.clock().set(until);
    assert_eq!(why(&shop, &wallet(&shop, &issuer(&shop, &other), PID, |_| {})).await, "certificate_unknown_anchor");
}

#[tokio::test]
async fn row_89_any_certificate_of_the_issuers_authority_signs_no_status_list() {
    let fresh = TestShop::new();
    let now = fresh.merchant().now();
    let root = Authority::new("Germany", now);
    let trust = Trust::new().roots(&root.root_pem(), &[PID]).expect("roots");
    let separate = Trust::new().roots_with_status(&root.root_pem(), &root.root_pem(), &[PID]).expect("roots");
    let own = issuer(&fresh, &root);
    let (key, chain) = root.issue(&Leaf::new("Somebody else under the same root", now));
    let other = own.clone().with_status_signer(key, chain);
    for (trust, signer, code) in [(&trust, &own, ""), (&trust, &other, "status_unknown"), (&separate, &other, "")] {
        let shop = fresh.again(|builder| builder.store(Memory::new()).trust(trust.clone()));
        let token = signer.status_list_token(now, 300, &BTreeSet::new()).expect("a token");
        shop.network().serve(signer.status_uri(), "application/statuslist+jwt", token);
        let shown = wallet(&shop, signer, PID, |credential| credential.status_index = Some(3));
        assert_eq!(why(&shop, &shown).await, code);
    }
}

/// Germany's identification data have a type of their own, and do not say that they are of the common one.
#[tokio::test]
async fn a_national_type_is_asked_for_and_counts_as_the_one_that_it_extends() {
    const GERMAN: &str = "urn:eudi:pid:de:1";
    let fresh = TestShop::new();
    let root = Authority::new("Germany", fresh.merchant().now());
    let trust = Trust::new().roots(&root.root_pem(), &[PID]).expect("roots");
    let issuer = issuer(&fresh, &root);
    for (trust, is_asked) in [(trust.clone().national(GERMAN, PID), true), (trust, false)] {
        let shop = fresh.again(|builder| builder.store(Memory::new()).trust(trust));
        let wallet = wallet(&shop, &issuer, GERMAN, |_| {});
        let mut browser = probe::browser(&shop);
        let (_, request) = delivered(&mut browser, "age").await;
        assert_eq!(wallet.choose(&request).is_ok(), is_asked);
        if is_asked {
            assert_eq!(why(&shop, &wallet).await, "");
        }
    }
}

#[tokio::test]
async fn an_issuer_whose_list_is_over_is_not_taken_at_its_word() {
    let shop = TestShop::new();
    let now = shop.merchant().now();
    let root = Authority::new("Germany", now);
    let trust = Trust::new().roots(&root.root_pem(), &[PID]).expect("roots");
    let shop = shop.again(|builder| builder.store(Memory::new()).trust(trust));
    let issuer = issuer(&shop, &root);
    let token = issuer.statuses_token(now, 3600, &BTreeMap::new()).expect("a token");
    shop.network().serve(issuer.status_uri(), "application/statuslist+jwt", token);
    let shown = wallet(&shop, &issuer, PID, |credential| credential.status_index = Some(3));
    assert_eq!(why(&shop, &shown).await, "");
    // The list is kept for an hour, and good for two; then its server is down, and no old one is served.
    shop.network().fail(issuer.status_uri());
    shop.clock().advance_s(3599);
    assert_eq!(why(&shop, &shown).await, "");
    shop.clock().advance_s(1);
    assert_eq!(why(&shop, &shown).await, "status_unknown");
}

fn document(vct: &str, claims: Value) -> Vec<u8> {
    json!({ "vct": vct, "claims": claims }).to_string().into_bytes()
}

#[tokio::test]
async fn the_rules_of_a_pinned_type_are_checked_and_no_others() {
    let fresh = TestShop::new();
    let issuer = fresh.cast().issuer();
    let shown = wallet(&fresh, issuer, PID, |_| {});
    let with = |claims: Value| {
        let policy = TypeMetadata::pinned([document(PID, claims)]).expect("a policy");
        fresh.again(|builder| builder.store(Memory::new()).type_metadata(policy))
    };
    for (claims, code) in [
        (json!([]), ""),
        (json!([{ "path": ["age_equal_or_over"], "sd": "always" }]), ""),
        (json!([{ "path": ["age_equal_or_over"], "sd": "never" }]), "type_claim_must_be_clear"),
        (json!([{ "path": ["vct"], "sd": "always" }]), "type_claim_must_be_disclosed"),
        (json!([{ "path": ["vct"], "mandatory": true }]), ""),
        (json!([{ "path": ["vct", "x"] }]), "type_claim_path"),
    ] {
        assert_eq!(why(&with(claims.clone()), &shown).await, code, "{claims}");
    }
    let extending = json!({ "vct": PID, "extends": "urn:example:base" }).to_string().into_bytes();
    let policy = TypeMetadata::pinned([extending]).expect("a policy").fetched();
    let shop = fresh.again(|builder| builder.store(Memory::new()).type_metadata(policy));
    assert_eq!(why(&shop, &shown).await, "type_metadata_missing");
    let policy = TypeMetadata::pinned([document("urn:example:other", json!([{ "path": ["x"], "mandatory": true }]))]);
    let shop = fresh.again(|builder| builder.store(Memory::new()).type_metadata(policy.expect("a policy")));
    assert_eq!(why(&shop, &shown).await, "");
    assert_eq!(shop.network().calls_in_all(), 0);
    assert!(TypeMetadata::pinned([document(PID, json!([])), document(PID, json!([]))]).is_err());
    assert!(TypeMetadata::pinned([b"{}".to_vec()]).is_err());
}

#[tokio::test]
async fn the_rules_of_a_type_are_fetched_by_policy_alone_once_its_issuer_is_trusted_for_it() {
    let vct: Url = "https://types.example/national-pid".parse().expect("a URL");
    let base: Url = "https://types.example/pid".parse().expect("a URL");
    let fresh = TestShop::new();
    let now = fresh.merchant().now();
    let (root, nobody) = (Authority::new("Germany", now), Authority::new("Nobody", now));
    let trust = Trust::new().roots(&root.root_pem(), &[PID]).expect("roots").national(vct.as_str(), PID);
    let shop = |policy: TypeMetadata| {
        fresh.again(|builder| builder.store(Memory::new()).trust(trust.clone()).type_metadata(policy))
    };
    let german = issuer(&fresh, &root);
    // As a wallet finds it: by the type that the shop asks for.
    let national = |issuer: &Issuer, edit: &dyn Fn(&mut Credential)| {
        wallet(&fresh, issuer, vct.as_str(), |credential| {
            credential.aka_vcts = vec![PID.to_owned()];
            edit(credential);
        })
    };
    let serve = |url: &Url, document: &Value| fresh.network().serve(url, "application/json", document.to_string());
    let shown = national(&german, &|_| {});
    let ignoring = shop(TypeMetadata::ignored());
    assert_eq!(why(&ignoring, &shown).await, "");
    assert_eq!(fresh.network().calls_in_all(), 0);

    let fetching = shop(TypeMetadata::default().fetched());
    let stranger = national(&issuer(&fresh, &nobody), &|_| {});
    assert_eq!(why(&fetching, &stranger).await, "certificate_unknown_anchor");
    assert_eq!(fresh.network().calls(&vct), 0, "nothing is fetched for a stranger");
    assert_eq!(why(&fetching, &shown).await, "type_metadata_unavailable");
    serve(&vct, &json!({ "vct": vct.as_str(), "extends": base.as_str() }));
    serve(&base, &json!({ "vct": base.as_str(), "claims": [{ "path": ["age_equal_or_over"], "sd": "always" }] }));
    fresh.clock().advance_s(6);
    for _ in 0..3 {
        assert_eq!(why(&fetching, &shown).await, "");
    }
    assert_eq!((fresh.network().calls(&vct), fresh.network().calls(&base)), (2, 1));

    // What it extends is no word of who may issue it, and a circle is refused.
    fresh.clock().advance_s(3601);
    serve(&base, &json!({ "vct": base.as_str(), "extends": vct.as_str() }));
    assert_eq!(why(&fetching, &national(&german, &|_| {})).await, "type_metadata_circular");
    fresh.clock().advance_s(3601);
    serve(&vct, &json!({ "vct": "https://types.example/other" }));
    assert_eq!(why(&fetching, &national(&german, &|_| {})).await, "type_metadata_other_type");
    // The credential may say which document is meant.
    fresh.clock().advance_s(3601);
    serve(&vct, &json!({ "vct": vct.as_str() }));
    let meant = |value: &'static str| {
        national(&german, &move |credential| drop(credential.plain.insert("vct#integrity".to_owned(), json!(value))))
    };
    assert_eq!(why(&fetching, &meant("sha256-AAAA")).await, "type_metadata_integrity");
    assert_eq!(why(&fetching, &national(&german, &|_| {})).await, "");
    fresh.network().serve(&vct, "application/json", vec![b' '; 300 * 1024]);
    fresh.clock().advance_s(3601);
    assert_eq!(why(&fetching, &national(&german, &|_| {})).await, "type_metadata_unavailable");
}
