//! One captured answer of each format that holds, and others that do not, explained by the command as before.

use std::{
    fs,
    path::PathBuf,
    process::{Command, Output},
    sync::{Arc, Mutex},
};

use firsthand::{
    Ask, Device,
    ask::{Wanted, documents::MDL_NAMESPACE},
    env::Env,
    limits::Limits,
    merchant::MerchantBuilder,
    protocol::{
        cbor, cose,
        jose::{SigningKey, base64url_decode, encrypt},
        mdoc::{MDL, SessionTranscript},
        status_list::Published,
    },
    store::Memory,
    testing::{
        authority::Authority,
        mdoc::{Credential, Fault, Held, Issuer},
        wallet::Request,
    },
    trust::Trust,
};
use firsthand_axum::{
    routes,
    testing::{Browser, TestShop},
};
use firsthand_tests::{program::program, vectors};
use http::StatusCode;
use serde_json::{Value, json};
use url::form_urlencoded;

use crate::program::is_as_before;

const SHOWN: [(&str, &str); 2] = [(MDL_NAMESPACE, "family_name"), (MDL_NAMESPACE, "age_over_18")];

fn folder(format: &str) -> PathBuf {
    vectors("").parent().unwrap().join("explain").join(format)
}

/// The command over one answer of a folder: its `.out` is as before, and it says how it ended.
fn explained(format: &str, answer: &str, more: &[&str], accepted: bool) {
    let folder = folder(format);
    let at = fs::read_to_string(folder.join("at.txt")).unwrap();
    let types = fs::read_to_string(folder.join("type.txt")).unwrap();
    let mut command = Command::new(program());
    command
        .current_dir(&folder)
        .args(["explain", "--request", "request.txt", "--response"])
        .arg(answer.to_owned() + ".txt");
    command.args(["--key", "key.jwks", "--at", at.trim(), "--type", types.trim()]).args(more);
    let output: Output = command.output().unwrap();
    is_as_before(&folder.join(answer.to_owned() + ".out"), &output);
    assert_eq!(output.status.success(), accepted, "{format} {answer}");
}

#[test]
fn an_mdoc_is_explained_as_before() {
    let given = ["--trust", "roots", "--status-list", "index.cwt", "--status-list", "ids.cwt"];
    explained("mdoc", "accepted", &given, true);
    explained("mdoc", "refused", &given, false);
    explained("mdoc", "revoked", &given, false);
}

#[test]
fn an_answer_in_the_words_of_documents_is_explained_as_before() {
    let given = ["--trust", "roots", "--origin", "https://shop.example"];
    explained("org-iso-mdoc", "accepted", &given, true);
    explained("org-iso-mdoc", "refused", &given, false);
    explained("org-iso-mdoc", "unopened", &given, false);
}

/// What a shop refused last: its request, its keys, and when.
type Refused = Arc<Mutex<Option<(String, Value, i64)>>>;

/// A shop that keeps what it refuses.
fn keeping(set_up: impl FnOnce(MerchantBuilder) -> MerchantBuilder) -> (TestShop, Refused) {
    let refused: Refused = Arc::default();
    let into = refused.clone();
    let shop = TestShop::with(move |builder| {
        set_up(builder.store(Memory::new())).danger_capture(move |capture| {
            *into.lock().unwrap() = Some((capture.request.to_owned(), capture.key_jwks(), capture.at.as_secs()));
        })
    });
    (shop, refused)
}

fn write(format: &str, name: &str, bytes: impl AsRef<[u8]>) {
    fs::create_dir_all(folder(format).join("roots")).unwrap();
    fs::write(folder(format).join(name), bytes).unwrap();
}

fn written(format: &str, types: &str, refused: &Refused) {
    let (request, keys, at) = refused.lock().unwrap().take().unwrap();
    write(format, "request.txt", request);
    write(format, "key.jwks", keys.to_string());
    write(format, "at.txt", at.to_string());
    write(format, "type.txt", types);
}

/// The form of an answer with this `vp_token`.
fn form(request: &Request, vp_token: &Value) -> String {
    let (key, enc) = request.encryption.as_ref().unwrap();
    let payload = json!({ "vp_token": vp_token, "state": request.state }).to_string();
    let jwe = encrypt(payload.as_bytes(), key, *enc).unwrap();
    form_urlencoded::Serializer::new(String::new()).append_pair("response", &jwe).finish()
}

/// The right answer comes after the wrong ones, or nothing more would be taken.
async fn post(browser: &mut Browser, request: &Request, format: &str, name: &str, vp_token: &Value) {
    let form = form(request, vp_token);
    let reply = browser.wallet_posts(request, &form).await;
    assert_eq!(reply.status == StatusCode::OK, name == "accepted", "{name}: {}", reply.text());
    write(format, &format!("{name}.txt"), form);
}

fn licence(now: firsthand::time::UnixTime) -> Credential {
    Credential::new(MDL, now.minus_s(1000)).says(MDL_NAMESPACE, "family_name", "Adler").says(
        MDL_NAMESPACE,
        "age_over_18",
        true,
    )
}

#[tokio::test]
#[ignore = "writes the files that the other tests read"]
async fn capture_mdoc() {
    const LISTS: [&str; 2] = ["https://status.example/lists/3", "https://status.example/lists/4"];
    let now = TestShop::new().clock().now();
    let iaca = Authority::new("Utopia IACA", now);
    let trust = Trust::new().roots(&iaca.root_pem(), &[MDL]).unwrap();
    let wanted = Wanted::mdoc(MDL, MDL_NAMESPACE).claim(["family_name"]).claim(["age_over_18"]);
    let ask = Ask::new("licence", "To rent a car").credential("mdl", wanted);
    let (shop, refused) = keeping(|builder| builder.trust(trust).ask(&ask));
    let issuer = Issuer::below(&iaca, now);
    let published = Published { at: now, expires_at: now.plus_s(600), ttl_s: 300 };
    let index = issuer.status_list_token(LISTS[0], &published, &[8]).unwrap();
    let ids = issuer.identifier_list_token(LISTS[1], &published, &[b"revoked"]).unwrap();
    shop.network().serve(&LISTS[0].parse().unwrap(), "application/statuslist+cwt", index.clone());
    shop.network().serve(&LISTS[1].parse().unwrap(), "application/identifierlist+cwt", ids.clone());
    let held = |credential: &Credential| -> Held {
        issuer.issue(credential, SigningKey::from_p256_scalar(&[9; 32]).unwrap(), shop.clock()).unwrap()
    };
    let mut browser = Browser::new(&shop, routes(shop.merchant()));
    let asking = browser.ask("licence", Device::SameDevice).await;
    let request = browser.wallet_reads(&asking).await;
    let by_index = held(&licence(now).status_index(LISTS[0], 7));
    let by_id = held(&licence(now).status_id(LISTS[1], b"revoked"));
    for (name, held, faults) in [
        ("refused", &by_index, &[Fault::WrongNonce, Fault::ValueChanged][..]),
        ("revoked", &by_id, &[]),
        ("accepted", &by_index, &[]),
    ] {
        let presented = held.present(&request, &SHOWN, faults, shop.clock()).unwrap();
        post(&mut browser, &request, "mdoc", name, &json!({ "mdl": [presented] })).await;
    }
    written("mdoc", MDL, &refused);
    write("mdoc", "roots/iaca.pem", iaca.root_pem());
    write("mdoc", "index.cwt", index);
    write("mdoc", "ids.cwt", ids);
}

#[tokio::test]
#[ignore = "writes the files that the other tests read"]
async fn capture_in_the_words_of_documents() {
    const FORMAT: &str = "org-iso-mdoc";
    let now = TestShop::new().clock().now();
    let iaca = Authority::new("Utopia IACA", now);
    let trust = Trust::new().roots(&iaca.root_pem(), &[MDL]).unwrap();
    let wanted = Wanted::mdoc(MDL, MDL_NAMESPACE).claim(["family_name"]).claim(["age_over_18"]);
    let ask = Ask::new("licence", "To rent a car").credential("mdl", wanted);
    let (shop, refused) = keeping(|builder| builder.trust(trust).ask(&ask));
    let holder = SigningKey::from_p256_scalar(&[9; 32]).unwrap();
    let held = Issuer::below(&iaca, now).issue(&licence(now), holder, shop.clock()).unwrap();
    let mut browser = Browser::new(&shop, routes(shop.merchant()));
    let asking = browser.ask("licence", Device::SameDevice).await;
    let requests = browser.dc_requests(&asking).await.json();
    let of_documents = |one: &&Value| one["protocol"] == FORMAT;
    let data = &requests["requests"].as_array().unwrap().iter().find(of_documents).unwrap()["data"];
    let info = data["encryptionInfo"].as_str().unwrap();
    let limits = Limits::default();
    let bytes = base64url_decode(info).unwrap();
    let item = cbor::read(&bytes, &limits).unwrap();
    let parameters = item.array().unwrap()[1].map().unwrap();
    let recipient = cose::public_key(parameters.get("recipientPublicKey").unwrap()).unwrap();
    for (name, origin, faults) in [
        ("refused", "https://shop.example", &[Fault::ForeignDeviceKey, Fault::ValueChanged][..]),
        ("unopened", "https://another.example", &[]),
        ("accepted", "https://shop.example", &[]),
    ] {
        let session = SessionTranscript::annex_c(info, origin);
        let sealed = held.present_sealed(&session, &recipient, &SHOWN, faults, shop.clock()).unwrap();
        let data = json!({ "response": sealed });
        let reply = browser.dc_brings(&asking, FORMAT, &data).await;
        assert_eq!(reply.status == StatusCode::OK, name == "accepted", "{name}: {}", reply.text());
        write(FORMAT, &format!("{name}.txt"), json!({ "protocol": FORMAT, "data": data }).to_string());
    }
    written(FORMAT, MDL, &refused);
    write(FORMAT, "roots/iaca.pem", iaca.root_pem());
}

#[cfg(feature = "w3c")]
mod w3c {
    use std::io::Write;

    use firsthand::{
        protocol::{
            jose::base64url_encode,
            vc::{CONTEXT_V2, data_integrity::Suite},
        },
        testing::w3c::{Asked, Credential, Fault, Issuer, Secured},
    };
    use flate2::{Compression, write::GzEncoder};

    use super::*;

    const ALUMNI: &str = "https://www.w3.org/ns/credentials/examples#AlumniCredential";
    const LIST: &str = "https://status.example/lists/3";

    fn issuer() -> Issuer {
        Issuer::new(SigningKey::from_p256_scalar(&[1; 32]).unwrap())
    }

    fn of(format: &str) {
        let did = issuer().did().to_string();
        let given = ["--did", &did, "--status-list", "list.txt"];
        explained(format, "accepted", &given, true);
        explained(format, "refused", &given, false);
        explained(format, "revoked", &given, false);
    }

    #[test]
    fn a_credential_in_a_jwt_is_explained_as_before() {
        of("jwt_vc_json");
    }

    #[test]
    fn a_credential_with_a_data_integrity_proof_is_explained_as_before() {
        of("ldp_vc");
    }

    /// A list whose entry 7 is revoked.
    fn list() -> Value {
        let mut bits = vec![0_u8; 16 * 1024];
        bits[0] = 1;
        let mut gzip = GzEncoder::new(Vec::new(), Compression::best());
        gzip.write_all(&bits).unwrap();
        json!({
            "@context": [CONTEXT_V2], "id": LIST, "type": ["VerifiableCredential", "BitstringStatusListCredential"],
            "issuer": issuer().did().as_str(), "validFrom": "2026-01-01T00:00:00Z", "validUntil": "2030-01-01T00:00:00Z",
            "credentialSubject": {
                "id": format!("{LIST}#list"), "type": "BitstringStatusList", "statusPurpose": "revocation",
                "encodedList": format!("u{}", base64url_encode(&gzip.finish().unwrap())),
            },
        })
    }

    async fn capture(format: &str, wanted: Wanted, secured: Secured, faults: &[Fault]) {
        let trust = Trust::new().did(issuer().did().clone(), &[ALUMNI]).unwrap();
        let ask =
            Ask::new("alumni", "Those who learned here pay less").credential("alumni", wanted.claim(["alumniOf"]));
        let (shop, refused) = keeping(|builder| builder.trust(trust).ask(&ask));
        let now = shop.clock().now();
        let signed = issuer().secure(Secured::Jose, list().as_object().unwrap()).unwrap();
        let signed = signed.as_str().unwrap().to_owned();
        shop.network().serve(&LIST.parse().unwrap(), "application/vc+jwt", signed.clone());
        let mut browser = Browser::new(&shop, routes(shop.merchant()));
        let asking = browser.ask("alumni", Device::SameDevice).await;
        let request = browser.wallet_reads(&asking).await;
        for (name, index, faults) in [("refused", 8, faults), ("revoked", 7, &[][..]), ("accepted", 8, &[])] {
            let mut credential =
                Credential::new("AlumniCredential", &json!({"alumniOf": "A school"}), now.minus_s(1000));
            credential.status = Some(json!({
                "id": format!("{LIST}#{index}"), "type": "BitstringStatusListEntry", "statusPurpose": "revocation",
                "statusListIndex": index.to_string(), "statusListCredential": LIST,
            }));
            let holder = SigningKey::from_p256_scalar(&[2; 32]).unwrap();
            let held = issuer().issue(secured, &credential, holder).unwrap();
            let asked = Asked { nonce: &request.nonce, audience: &request.client_id, now };
            let presented = held.present(asked, faults).unwrap();
            post(&mut browser, &request, format, name, &json!({ "alumni": [presented] })).await;
        }
        written(format, ALUMNI, &refused);
        write(format, "list.txt", signed);
    }

    #[tokio::test]
    #[ignore = "writes the files that the other tests read"]
    async fn capture_w3c() {
        let faults = [Fault::WrongNonce, Fault::WrongAudience, Fault::ClaimChanged];
        capture("jwt_vc_json", Wanted::jwt_vc(ALUMNI), Secured::Jose, &faults).await;
        let faults = [Fault::WrongNonce, Fault::WrongPurpose, Fault::ClaimChanged];
        capture("ldp_vc", Wanted::ldp_vc(ALUMNI), Secured::Proof(Suite::EcdsaRdfc2019), &faults).await;
    }
}
