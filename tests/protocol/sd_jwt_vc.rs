//! SD-JWT VC: the examples of the draft and of OpenID4VP, and presentations with one fault each.

use firsthand::{
    format::{
        Against, Authentic, Channel, Format, FormatError, IssuerRef, sd_jwt_vc::PROTOCOL_CLAIMS, sd_jwt_vc::SdJwtVc,
    },
    limits::Limits,
    protocol::{
        jose::{PublicKey, SigningKey},
        sd_jwt::{KeyBinding, SdJwt},
    },
    time::UnixTime,
};
use firsthand_tests::{Tally, vector, vector_files};
use serde_json::{Map, Value, json};

/// The shared key of the examples of RFC 9901, SD-JWT VC and OpenID4VP.
fn example_issuer() -> Value {
    vector("sd-jwt-vc/sd-jwt-vc/01.json")["issuer_public_jwk"].clone()
}

/// One case, whichever file it comes from.
struct Case<'a> {
    presentation: &'a Value,
    issuer_jwk: &'a Value,
    trusted_issuer: &'a str,
    vct: &'a str,
    aud: &'a str,
    nonce: &'a str,
    now: i64,
    max_age_s: u64,
    holder_binding: bool,
}

impl Case<'_> {
    /// The whole check, as a merchant makes it for an issuer whom it knows by metadata.
    fn verify(&self) -> Result<Authentic, String> {
        let limits = Limits::default();
        let code = |error: FormatError| error.code().to_owned();
        let unverified = SdJwtVc::new().parse(self.presentation, &limits).map_err(code)?;
        match unverified.issuer() {
            IssuerRef::Metadata { iss, .. } if iss == self.trusted_issuer => {}
            other => return Err(format!("untrusted issuer {other:?}")),
        }
        let authentic = unverified
            .verify(&Against {
                issuer_key: &PublicKey::from_jwk(self.issuer_jwk).map_err(|e| e.to_string())?,
                channel: Channel::Redirect { client_id: self.aud, response_uri: "https://verifier.example/post" },
                encryption_key: None,
                nonce: self.nonce,
                transaction_data: &[],
                holder_binding: self.holder_binding,
                now: UnixTime::from_secs(self.now),
                holder_proof_age_s: self.max_age_s,
                skew_s: 60,
                limits: &limits,
            })
            .map_err(code)?;
        if authentic.types().first().map(String::as_str) != Some(self.vct) {
            return Err(format!("another type: {:?}", authentic.types()));
        }
        Ok(authentic)
    }

    /// The processed payload with its protocol claims, below the format.
    fn processed(&self) -> Map<String, Value> {
        let limits = Limits::default();
        let signed = SdJwt::parse(self.presentation.as_str().unwrap(), &limits)
            .and_then(|sd_jwt| sd_jwt.verify(&PublicKey::from_jwk(self.issuer_jwk).unwrap(), &["dc+sd-jwt"], &limits))
            .unwrap();
        if !signed.has_key_binding() {
            return signed.into_claims();
        }
        let (audience, nonce, now) = (self.aud, self.nonce, UnixTime::from_secs(self.now));
        let expected =
            KeyBinding { audience, nonce, now, max_age_s: self.max_age_s, skew_s: 60, transaction_data: &[] };
        signed.verify_key_binding(&expected).unwrap()
    }
}

/// What a merchant may see of a processed payload.
fn without_protocol(payload: &Value) -> Value {
    let mut claims = payload.clone();
    for claim in PROTOCOL_CLAIMS {
        claims.as_object_mut().unwrap().remove(claim);
    }
    claims
}

#[test]
fn one_fault_each() {
    let mut tally = Tally::new("sd-jwt-vc-negative");
    for file in ["cases_es256.json", "cases_eddsa.json"] {
        for case in vector(&format!("sd-jwt-vc-negative/{file}")).as_array().unwrap() {
            let text = |name: &str| case[name].as_str().unwrap();
            let name = format!("{file} {}", text("name"));
            let input = Case {
                presentation: &case["presentation"],
                issuer_jwk: &case["issuer_public_jwk"],
                trusted_issuer: text("trusted_issuer"),
                vct: text("expected_vct"),
                aud: text("aud"),
                nonce: text("nonce"),
                now: case["now"].as_i64().unwrap(),
                max_age_s: case["kb_max_age"].as_u64().unwrap(),
                holder_binding: case["key_binding_required"].as_bool().unwrap(),
            };
            let got = input.verify();
            if let (Ok(authentic), Some(verified)) = (&got, case.get("verified")) {
                assert_eq!(&Value::Object(input.processed()), verified, "{name}");
                assert_eq!(authentic.claims(), &without_protocol(verified), "{name}");
            }
            tally.case(&name, text("expect"), got);
        }
    }
    tally.finish(170);
}

#[test]
fn examples_of_the_specifications() {
    let mut tally = Tally::new("sd-jwt-vc");
    let issuer_jwk = example_issuer();
    let mut examples = vector_files("sd-jwt-vc/sd-jwt-vc");
    examples.extend(vector_files("sd-jwt-vc/openid4vp"));
    for (name, example) in examples {
        let (proof, payload) = (&example["kb_jwt_payload"], &example["sd_jwt_payload"]);
        let input = Case {
            presentation: &example["sd_jwt_presentation"],
            issuer_jwk: &issuer_jwk,
            trusted_issuer: payload["iss"].as_str().unwrap(),
            vct: payload["vct"].as_str().unwrap(),
            aud: proof["aud"].as_str().unwrap(),
            nonce: proof["nonce"].as_str().unwrap(),
            now: proof["iat"].as_i64().unwrap(),
            max_age_s: 300,
            holder_binding: true,
        };
        let got = input.verify();
        let expected = without_protocol(&example["verified_contents"]);
        let same = got.as_ref().is_ok_and(|authentic| authentic.claims() == &expected);
        tally.holds(&name, same, || format!("opened to {got:?}"));
        tally.case(&format!("{name} for another"), "reject", Case { aud: "https://other.example", ..input }.verify());
    }
    for (name, block) in vector_files("sd-jwt-vc/draft-inline") {
        match block["section"].as_str().unwrap() {
            "JOSE Header" => {
                tally.holds(&name, block["json"]["typ"] == SdJwtVc::new().id(), || block["text"].to_string())
            }
            "JWT VC Issuer Metadata Response" => tally.left_out("issuer metadata: read with the trust, not here"),
            section if section.contains("Metadata") && block["json"].get("vct#integrity").is_none() => {
                tally.left_out("type metadata is optional by policy, and not processed");
            }
            _ => {
                let mut expected = vec![block["json"]["vct"].clone()];
                expected.extend(block["json"]["aka_vcts"].as_array().cloned().unwrap_or_default());
                let got = issued(&block["json"]);
                let types = got.as_ref().map(|authentic| json!(authentic.types()));
                tally.holds(&name, types == Ok(Value::Array(expected)), || format!("read as {got:?}"));
                let claims = got.as_ref().ok().map(Authentic::claims);
                tally.holds(&name, claims == Some(&without_protocol(&block["json"])), || format!("read as {got:?}"));
            }
        }
    }
    tally.finish(3 * 2 + 1 + 3 * 2 + 3);
}

/// A payload of the draft's text, signed by us and presented without holder binding.
fn issued(payload: &Value) -> Result<Authentic, String> {
    let key = SigningKey::from_p256_scalar(&[7; 32]).unwrap();
    let mut payload = payload.clone();
    payload["iss"] = json!("https://issuer.example");
    let header = json!({"typ": "dc+sd-jwt"});
    let jwt = key.sign_jws(header.as_object().unwrap(), &payload).unwrap();
    Case {
        presentation: &json!(format!("{jwt}~")),
        issuer_jwk: &key.public_key().to_jwk(),
        trusted_issuer: "https://issuer.example",
        vct: payload["vct"].as_str().unwrap(),
        aud: "x509_san_dns:shop.example",
        nonce: "n",
        now: 1_795_000_000,
        max_age_s: 300,
        holder_binding: false,
    }
    .verify()
}

#[test]
fn a_presentation_with_one_character_changed_or_lost_is_not_believed() {
    let case = &vector("sd-jwt-vc-negative/cases_es256.json")[0];
    let whole = case["presentation"].as_str().unwrap();
    let believed = |text: String| {
        let presentation = Value::String(text);
        Case {
            presentation: &presentation,
            issuer_jwk: &case["issuer_public_jwk"],
            trusted_issuer: case["trusted_issuer"].as_str().unwrap(),
            vct: case["expected_vct"].as_str().unwrap(),
            aud: case["aud"].as_str().unwrap(),
            nonce: case["nonce"].as_str().unwrap(),
            now: case["now"].as_i64().unwrap(),
            max_age_s: 300,
            holder_binding: true,
        }
        .verify()
        .is_ok()
    };
    assert!(believed(whole.to_owned()));
    for at in 0..whole.len() {
        let (before, rest) = whole.split_at(at);
        for other in ["A", "~", ".", "ß"] {
            if !rest.starts_with(other) {
                assert!(!believed(format!("{before}{other}{}", &rest[1..])), "{other} at {at}");
            }
        }
        assert!(!believed(format!("{before}{}", &rest[1..])), "without the character at {at}");
        assert!(!believed(before.to_owned()), "without what follows {at}");
    }
}
