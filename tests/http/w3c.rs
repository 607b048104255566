//! One ask, answered with W3C credentials: as JWTs of both data models and with Data Integrity proofs. What is bent is
//! refused at once and for its own reason.

use std::io::Write;

use firsthand::{
    Ask,
    ask::Wanted,
    protocol::{
        jose::{SigningKey, base64url_encode},
        openid4vp::ResponseMode,
        vc::{CONTEXT_V2, data_integrity::Suite},
    },
    store::Memory,
    testing::{
        w3c::{Asked, Credential, Fault, Held, Issuer, Secured},
        wallet::Request,
    },
    trust::Trust,
};
use firsthand_axum::testing::TestShop;
use flate2::{Compression, write::GzEncoder};
use http::StatusCode;
use serde_json::{Map, Value, json};
use url::Url;

use crate::probe::{browser, delivered, form, refused, standing};

const ALUMNI: &str = "https://www.w3.org/ns/credentials/examples#AlumniCredential";
const LIST: &str = "https://status.example/lists/3";

/// Every way in which the issuer of the tests secures a credential, with the name of the query that it answers.
const WAYS: [(Secured, &str); 4] = [
    (Secured::Jwt, "alumni"),
    (Secured::Jose, "alumni"),
    (Secured::Proof(Suite::EcdsaJcs2019), "alumni-2"),
    (Secured::Proof(Suite::EcdsaRdfc2019), "alumni-2"),
];

fn key(seed: u8) -> SigningKey {
    SigningKey::from_p256_scalar(&[seed; 32]).unwrap()
}

fn issuer() -> Issuer {
    Issuer::new(key(1))
}

fn ask() -> Ask {
    let wanted = Wanted::jwt_vc(ALUMNI).claim(["alumniOf"]).or(Wanted::ldp_vc(ALUMNI).claim(["alumniOf"]));
    Ask::new("alumni", "Those who learned here pay less").credential("alumni", wanted)
}

fn shop(mode: ResponseMode) -> TestShop {
    let trust = Trust::new().did(issuer().did().clone(), &[ALUMNI]).unwrap();
    TestShop::with(|builder| builder.store(Memory::new()).trust(trust).response_mode(mode).ask(&ask()))
}

fn credential(shop: &TestShop) -> Credential {
    let now = firsthand::env::Env::now(shop.clock());
    Credential::new("AlumniCredential", &json!({"alumniOf": "A school"}), now.minus_s(1000))
}

fn held(shop: &TestShop, secured: Secured) -> Held {
    issuer().issue(secured, &credential(shop), key(2)).unwrap()
}

fn presented(shop: &TestShop, held: &Held, request: &Request, faults: &[Fault]) -> Value {
    let now = firsthand::env::Env::now(shop.clock());
    held.present(Asked { nonce: &request.nonce, audience: &request.client_id, now }, faults).unwrap()
}

/// Answers with these faults; the code of the check that failed, or that it was accepted.
async fn outcome(shop: &TestShop, held: &Held, query: &str, faults: &[Fault]) -> String {
    let mut browser = browser(shop);
    let (asking, request) = delivered(&mut browser, "alumni").await;
    let form = form(&request, &json!({query: [presented(shop, held, &request, faults)]}));
    let reply = browser.wallet_posts(&request, &form).await;
    if reply.status == StatusCode::OK {
        assert_eq!(standing(&mut browser, &asking).await.0, "answered");
        return "accepted".to_owned();
    }
    refused(&mut browser, &asking, &reply).await
}

#[tokio::test]
async fn one_ask_is_answered_in_each_form_of_a_w3c_credential() {
    for mode in [ResponseMode::DirectPostJwt, ResponseMode::DirectPost] {
        let shop = shop(mode);
        for (secured, query) in WAYS {
            assert_eq!(outcome(&shop, &held(&shop, secured), query, &[]).await, "accepted", "{secured:?}");
        }
    }
}

#[tokio::test]
async fn a_wallet_is_told_what_is_read_of_w3c_credentials() {
    let shop = shop(ResponseMode::DirectPostJwt);
    let mut browser = browser(&shop);
    let (_, request) = delivered(&mut browser, "alumni").await;
    let asked: Vec<_> = request.query.credentials.iter().map(|one| (one.id.as_str(), one.format.as_str())).collect();
    assert_eq!(asked, [("alumni", "jwt_vc_json"), ("alumni-2", "ldp_vc")]);
    for one in &request.query.credentials {
        assert_eq!(json!(one.meta), json!({"type_values": [[ALUMNI]]}));
        assert_eq!(one.claims.as_ref().unwrap()[0].path, [json!("credentialSubject"), json!("alumniOf")]);
    }
}

#[tokio::test]
async fn row_84_a_proof_for_another_purpose_or_by_another_controller_is_refused() {
    let shop = shop(ResponseMode::DirectPostJwt);
    for (secured, query) in WAYS {
        let held = held(&shop, secured);
        let is_token = matches!(secured, Secured::Jwt | Secured::Jose);
        let signature = if is_token { "jose_signature" } else { "proof_signature" };
        let mut faults = vec![
            (Fault::WrongNonce, "holder_proof_nonce"),
            (Fault::WrongAudience, "holder_proof_audience"),
            (Fault::HolderProofInPast, "holder_proof_age"),
            (Fault::HolderProofInFuture, if is_token { "credential_not_yet_valid" } else { "proof_from_the_future" }),
            (Fault::HolderSignatureBroken, signature),
            (Fault::ForeignHolder, "holder_mismatch"),
            (Fault::ForeignHolderKey, signature),
            (Fault::OtherHolder, "holder_mismatch"),
            (Fault::NoPresentation, "holder_proof_missing"),
            (Fault::NoHolderProof, if is_token { "jose_unsupported_algorithm" } else { "holder_proof_missing" }),
            (Fault::TwoCredentials, "vp_credentials"),
            (Fault::NoCredential, "vp_credentials"),
        ];
        faults.push(if is_token {
            (Fault::InlineKey, "holder_key_unnamed")
        } else {
            (Fault::WrongPurpose, "proof_purpose")
        });
        for (fault, expected) in faults {
            assert_eq!(outcome(&shop, &held, query, &[fault]).await, expected, "{secured:?} {fault:?}");
        }
    }
}

#[tokio::test]
async fn row_86_a_presentation_is_worth_no_more_than_its_credential() {
    let shop = shop(ResponseMode::DirectPostJwt);
    for (secured, query) in WAYS {
        let held = held(&shop, secured);
        let is_token = matches!(secured, Secured::Jwt | Secured::Jose);
        let signature = if is_token { "jose_signature" } else { "proof_signature" };
        for fault in [Fault::IssuerSignatureBroken, Fault::ClaimChanged] {
            assert_eq!(outcome(&shop, &held, query, &[fault]).await, signature, "{secured:?} {fault:?}");
        }
        // Another issuer's, whom nobody trusts: it is not even resolved.
        let other = Issuer::new(key(5)).issue(secured, &credential(&shop), key(2)).unwrap();
        assert_eq!(outcome(&shop, &other, query, &[]).await, "issuer_unknown", "{secured:?}");
        // A credential of another type by the same issuer.
        let mut wrong = credential(&shop);
        wrong.kind = "ExampleDegreeCredential".to_owned();
        let wrong = issuer().issue(secured, &wrong, key(2)).unwrap();
        assert_eq!(outcome(&shop, &wrong, query, &[]).await, "credential_type_mismatch", "{secured:?}");
        let mut over = credential(&shop);
        over.expires_at = over.begins_at.plus_s(1);
        let over = issuer().issue(secured, &over, key(2)).unwrap();
        assert_eq!(outcome(&shop, &over, query, &[]).await, "credential_expired", "{secured:?}");
    }
    assert_eq!(shop.network().calls_in_all(), 0);
}

fn list(purpose: &str, revoked: &[u64]) -> Map<String, Value> {
    let mut bits = vec![0_u8; 16 * 1024];
    for index in revoked {
        bits[usize::try_from(index / 8).unwrap()] |= 0x80 >> (index % 8);
    }
    let mut gzip = GzEncoder::new(Vec::new(), Compression::best());
    gzip.write_all(&bits).unwrap();
    let list = json!({
        "@context": [CONTEXT_V2], "id": LIST, "type": ["VerifiableCredential", "BitstringStatusListCredential"],
        "issuer": issuer().did().as_str(), "validFrom": "2026-01-01T00:00:00Z", "validUntil": "2030-01-01T00:00:00Z",
        "credentialSubject": {
            "id": format!("{LIST}#list"), "type": "BitstringStatusList", "statusPurpose": purpose,
            "encodedList": format!("u{}", base64url_encode(&gzip.finish().unwrap())),
        },
    });
    list.as_object().unwrap().clone()
}

fn entry(purpose: &str, index: u64) -> Value {
    json!({
        "id": format!("{LIST}#{index}"), "type": "BitstringStatusListEntry", "statusPurpose": purpose,
        "statusListIndex": index.to_string(), "statusListCredential": LIST,
    })
}

#[tokio::test]
async fn a_bitstring_status_list_is_its_own_issuers_and_says_who_is_revoked() {
    let url: Url = LIST.parse().unwrap();
    let with_status = |shop: &TestShop, secured, status: Value| {
        let mut credential = credential(shop);
        credential.status = Some(status);
        issuer().issue(secured, &credential, key(2)).unwrap()
    };
    for (signed, media_type) in
        [(Secured::Jose, "application/vc+jwt"), (Secured::Proof(Suite::EcdsaJcs2019), "application/vc")]
    {
        let shop = shop(ResponseMode::DirectPostJwt);
        let serve = |issuer: &Issuer, list: &Map<String, Value>| {
            let signed = issuer.secure(signed, list).unwrap();
            let body = signed.as_str().map_or_else(|| signed.to_string(), str::to_owned);
            shop.network().serve(&url, media_type, body);
        };
        serve(&issuer(), &list("revocation", &[7]));
        let of = |index| with_status(&shop, Secured::Proof(Suite::EcdsaRdfc2019), entry("revocation", index));
        assert_eq!(outcome(&shop, &of(8), "alumni-2", &[]).await, "accepted");
        assert_eq!(outcome(&shop, &of(7), "alumni-2", &[]).await, "credential_revoked");
        assert_eq!(outcome(&shop, &of(131_072), "alumni-2", &[]).await, "status_unknown");
        let as_token = with_status(&shop, Secured::Jose, entry("revocation", 7));
        assert_eq!(outcome(&shop, &as_token, "alumni", &[]).await, "credential_revoked");
        assert_eq!(shop.network().calls(&url), 1, "one list for everybody");
        // Whoever holds a revoked one cannot hide that from us, by a name that makes the same statement.
        let renamed = outcome(&shop, &of(7), "alumni-2", &[Fault::StatusRenamed]).await;
        assert_eq!(renamed, "ld_full_name");
        // Of two lists that are asked, one that is away hides nothing that the other says.
        let away = json!([{"id": format!("{LIST}#away"), "type": "BitstringStatusListEntry",
            "statusPurpose": "revocation", "statusListIndex": "8", "statusListCredential": format!("{LIST}-away")},
            entry("revocation", 7)]);
        let both = with_status(&shop, Secured::Jose, away);
        assert_eq!(outcome(&shop, &both, "alumni", &[]).await, "credential_revoked");
        // It is not fetched before the signature holds.
        shop.advance_s(24 * 3600);
        let broken = outcome(&shop, &of(8), "alumni-2", &[Fault::IssuerSignatureBroken]).await;
        assert_eq!((broken.as_str(), shop.network().calls(&url)), ("proof_signature", 1));

        for wrong in ["another issuer", "another key", "another purpose", "over", "offline"] {
            let shop = self::shop(ResponseMode::DirectPostJwt);
            let mut list = list("revocation", &[]);
            let mut signer = issuer();
            match wrong {
                "another issuer" => {
                    signer = Issuer::new(key(5));
                    list.insert("issuer".to_owned(), json!(signer.did().as_str()));
                }
                "another key" => signer = Issuer::new(key(5)),
                "another purpose" => list["credentialSubject"]["statusPurpose"] = json!("suspension"),
                "over" => _ = list.insert("validUntil".to_owned(), json!("2026-01-02T00:00:00Z")),
                _ => {}
            }
            let body = signer.secure(signed, &list).unwrap();
            let body = body.as_str().map_or_else(|| body.to_string(), str::to_owned);
            if wrong != "offline" {
                shop.network().serve(&url, media_type, body);
            }
            let held = with_status(&shop, Secured::Jose, entry("revocation", 8));
            assert_eq!(outcome(&shop, &held, "alumni", &[]).await, "status_unknown", "{wrong}");
        }
    }
}
