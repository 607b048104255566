//! The same presentations, checked by others: the crate `ssi` in turns with ours, and what is published for JavaScript
//! (`@sd-jwt/core`, `@owf/mdoc`, `jose`) in a process of its own on the same machine. Everybody knows the issuer's key
//! beforehand, and each stands over the bare cost of two signature checks where it runs.
//!
//! `cargo bench -p firsthand-tests --bench firsthand -- beside`; node and `npm ci --ignore-scripts` in `tests/interop` for
//! the others.

use std::{
    collections::HashMap,
    io::Write as _,
    path::Path,
    process::{Command, Stdio},
};

use firsthand::{
    Trust,
    ask::PID,
    env::{Env, SystemEnv},
    format::sd_jwt_vc::SdJwtVc,
    limits::Limits,
    protocol::jose::{
        ContentEncryption, DecryptionKey, SigningKey, base64url_decode, base64url_encode, encrypt, sha256,
    },
    testing::{
        Clock,
        authority::{Authority, Leaf},
        issuer::{Credential, Issuer},
    },
};
use serde_json::{Map, Value, json};
use tokio::runtime::Runtime;

use crate::{
    bare::Signature,
    formats::{CLIENT, NONCE, RESPONSE_URI, Shown},
    mdoc::{self, Presented},
    measure::{Effort, Subject, Table, Times, duration, in_turns},
};

/// What is shown of a person; the digests of all the others are in every credential.
const SHOWN: [&str; 3] = ["given_name", "family_name", "address"];

pub fn measure(table: &mut Table, effort: Effort, runtime: &Runtime) {
    // The others have the machine's clock.
    let clock = Clock::at(SystemEnv.now());
    let person = Person::new(&clock);
    let document = mdoc::presented(&clock, &["given_name", "family_name", "resident_address"]);
    let envelope = Envelope::of(&person);
    let (issuer, holder) = (&person.signatures[0], &person.signatures[1]);
    let [bare, sd_jwt, response, by_ssi, mdoc] = in_turns(
        effort,
        [
            Subject::again("two ES256 checks (aws-lc-rs)", || {
                issuer.check();
                holder.check();
            }),
            Subject::again("Firsthand, SD-JWT VC", || person.shown.verified()),
            Subject::again("Firsthand, direct_post.jwt with it", || {
                envelope.decrypted();
                person.shown.verified()
            }),
            Subject::again_async("ssi, SD-JWT", runtime, || by_ssi::verify(&person)),
            Subject::again("Firsthand, mdoc", || document.shown.verified()),
        ],
    );
    table.heading(
        "The same presentations, checked by others (issuer's key known)",
        &format!("{:<54}{:>12}{:>14}{:>16}", "", "median", "per s and core", "of two checks"),
    );
    for times in [&bare, &sd_jwt, &response, &by_ssi, &mdoc] {
        row(table, times, &bare);
    }
    match javascript(&person, &document, &envelope) {
        Err(why) => table.note(&format!("left out, JavaScript: {why}")),
        Ok(told) => {
            let bare_us = told[0]["processor_us"].as_f64().unwrap_or(f64::NAN);
            for one in &told {
                let us = one["processor_us"].as_f64().unwrap_or(f64::NAN);
                let name = one["name"].as_str().unwrap_or_default();
                table.note(&format!("{name:<54}{:>12}{:>14.0}{:>16.2}", duration(us / 1e6), 1e6 / us, bare_us / us));
            }
            table.note("  JavaScript: processor time of all threads of its process, by the system's account.");
        }
    }
    table.note(
        "  ssi checks the signatures, the disclosures, nonce, audience and sd_hash; no chain, no status, no query.",
    );
}

fn row(table: &mut Table, times: &Times, bare: &Times) {
    table.note(&format!(
        "{:<54}{:>12}{:>14.0}{:>16.2}",
        times.name,
        duration(times.median_s()),
        1.0 / times.median_s(),
        1.0 / times.ratio_to(bare)
    ));
}

/// Identification data, shown in part by its holder.
struct Person {
    shown: Shown<SdJwtVc>,
    text: String,
    issuer_jwk: Value,
    holder_jwk: Value,
    signatures: [Signature; 2],
}

impl Person {
    fn new(clock: &Clock) -> Self {
        let (now, limits) = (clock.now(), Limits::default());
        let authority = Authority::new("Utopia PID CA", now);
        let (key, chain) = authority.issue(&Leaf::new("Utopia PID", now));
        let issuer_key = key.public_key().clone();
        let holder = SigningKey::from_p256_scalar(&[9; 32]).expect("a key");
        let mut credential = Credential::new(PID, now.minus_s(60));
        credential.holder = Some(holder.public_key().clone());
        credential.claims = claims();
        let status_uri = "https://status.example/1".parse().expect("a URL");
        let issued = Issuer::new(key, chain, status_uri).issue(&credential, clock).expect("a credential");

        let mut parts = issued.split('~').filter(|part| !part.is_empty());
        let mut text = format!("{}~", parts.next().expect("a JWT"));
        for disclosure in parts {
            let disclosed: Value =
                serde_json::from_slice(&base64url_decode(disclosure).expect("base64url")).expect("a disclosure");
            // An address is disclosed with everything in it.
            let name = disclosed[1].as_str().unwrap_or_default();
            if SHOWN.contains(&name) || PARTS.contains(&name) {
                text.push_str(disclosure);
                text.push('~');
            }
        }
        let said = json!({
            "iat": now.minus_s(5), "aud": CLIENT, "nonce": NONCE,
            "sd_hash": base64url_encode(&sha256(text.as_bytes())),
        });
        let head = Map::from_iter([("typ".to_owned(), json!("kb+jwt"))]);
        let proof = holder.sign_jws(&head, &said).expect("a proof");
        let issuer_jwt = text.split('~').next().expect("a JWT").to_owned();
        let signatures = [Signature::of(&issuer_jwt, &issuer_key), Signature::of(&proof, holder.public_key())];
        text.push_str(&proof);
        let shown = Shown {
            format: SdJwtVc::new(),
            presented: json!(text),
            trust: Trust::new().roots(&authority.root_pem(), &[PID]).expect("a root"),
            documents: HashMap::new(),
            now,
            limits,
        };
        let (issuer_jwk, holder_jwk) = (issuer_key.to_jwk(), holder.public_key().to_jwk());
        let person = Self { shown, text, issuer_jwk, holder_jwk, signatures };
        assert_eq!(person.shown.verified().claims()["family_name"], "Adler");
        person
    }
}

/// The parts of an address.
const PARTS: [&str; 5] = ["street_address", "house_number", "postal_code", "locality", "country"];

fn claims() -> Map<String, Value> {
    let all = json!({
        "given_name": "Anna", "family_name": "Adler", "birthdate": "1984-05-17", "nationalities": ["DE"],
        "email": "anna@example.org", "phone_number": "+49 221 1234567", "sex": 2, "personal_administrative_number": "1",
        "address": {
            "street_address": "Lindenallee", "house_number": "12", "postal_code": "50667", "locality": "Köln", "country": "DE",
        },
    });
    all.as_object().cloned().unwrap_or_default()
}

/// The answer that it came in.
struct Envelope {
    key: DecryptionKey,
    scalar: [u8; 32],
    jwe: String,
    limits: Limits,
}

impl Envelope {
    fn of(person: &Person) -> Self {
        let scalar = [7; 32];
        let key = DecryptionKey::from_scalar(&scalar, "response").expect("a key");
        let payload = json!({ "vp_token": { "pid": [person.text] }, "state": "s" }).to_string();
        let jwe = encrypt(payload.as_bytes(), &key.public_jwk(), ContentEncryption::A256Gcm).expect("a JWE");
        Self { key, scalar, jwe, limits: Limits::default() }
    }

    fn decrypted(&self) {
        let clear = self.key.decrypt(&self.jwe, &[ContentEncryption::A256Gcm], &self.limits).expect("our own key");
        let read: Value = serde_json::from_slice(&clear).expect("JSON");
        assert!(read["vp_token"]["pid"][0].is_string());
    }
}

/// By the crate `ssi`, as its documentation does it.
#[cfg(feature = "w3c")]
mod by_ssi {
    use ssi::{
        JWK,
        claims::{VerificationParameters, sd_jwt::SdJwt},
    };

    use super::{CLIENT, NONCE, Person};

    pub async fn verify(person: &Person) {
        let issuer: JWK = serde_json::from_value(person.issuer_jwk.clone()).expect("a key");
        let presented = SdJwt::new(&person.text).expect("an SD-JWT");
        let by_issuer = VerificationParameters::from_resolver(issuer);
        let (revealed, holds) = presented.decode_reveal_verify_any(&by_issuer).await.expect("an SD-JWT");
        holds.expect("the issuer's signature");
        let holder = revealed.claims().private.get("cnf").and_then(|cnf| cnf.get("jwk")).expect("the holder's key");
        let holder: JWK = serde_json::from_value(holder.clone()).expect("a key");
        let proof = presented.decode_kb().expect("a proof").expect("a proof");
        let claims = &proof.signing_bytes.payload;
        assert!(claims.aud == CLIENT && claims.nonce.0 == NONCE && claims.sd_hash.verify(revealed.sd_alg, presented));
        let by_holder = VerificationParameters::from_resolver(holder);
        proof.verify(&by_holder).await.expect("a proof").expect("the holder's signature");
    }
}

#[cfg(not(feature = "w3c"))]
mod by_ssi {
    pub async fn verify(_: &super::Person) {}
}

/// What is published for JavaScript, told what to check.
fn javascript(person: &Person, document: &Presented, envelope: &Envelope) -> Result<Vec<Value>, String> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("interop");
    if !folder.join("node_modules").is_dir() {
        return Err("first `npm ci --ignore-scripts` in tests/interop".to_owned());
    }
    let told = json!({
        "sd_jwt": person.text, "nonce": NONCE, "client_id": CLIENT, "response_uri": RESPONSE_URI,
        "issuer": person.issuer_jwk, "holder": person.holder_jwk,
        "jwe": envelope.jwe, "d": base64url_encode(&envelope.scalar), "key": envelope.key.public_jwk(),
        "device_response": document.shown.presented, "transcript": base64url_encode(document.transcript.as_bytes()),
    });
    let started = Command::new("node")
        .arg("verify.mjs")
        .env("SHOP_NOW", person.shown.now.as_secs().to_string())
        .env("SHOP_ROOT", &document.root_pem)
        .current_dir(&folder)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn();
    let mut child = started.map_err(|e| format!("node: {e}"))?;
    if let Some(mut to) = child.stdin.take() {
        to.write_all(told.to_string().as_bytes()).map_err(|e| format!("node: {e}"))?;
    }
    let output = child.wait_with_output().map_err(|e| format!("node: {e}"))?;
    let lines = String::from_utf8_lossy(&output.stdout).into_owned();
    let told: Vec<Value> = lines.lines().filter_map(|line| serde_json::from_str(line).ok()).collect();
    if told.is_empty() { Err("node said nothing".to_owned()) } else { Ok(told) }
}
