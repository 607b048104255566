//! What a wallet, or who pretends to be one, puts into an answer: rows of the attack catalogue on envelopes, JOSE and
//! SD-JWT. Each is refused at once, for its own reason, and changes nothing; what it is bent from is accepted.

use firsthand::{
    ask::Wanted,
    protocol::{
        jose::{ContentEncryption, DecryptionKey, SigningKey, base64url_decode, base64url_encode},
        openid4vp::ResponseMode,
    },
    store::Memory,
    testing::{
        authority::{Authority, Leaf},
        issuer::Issuer,
        wallet::{Fault, Request, Wallet},
    },
    trust::Trust,
};
use firsthand_axum::testing::TestShop;
use http::StatusCode;
use serde_json::{Map, Value, json};
use url::{Url, form_urlencoded};

use crate::probe::{
    PID, Scribe, answer, bound, browser, clear_shop, delivered, disclosure, form, hold, payload, refused, wallet_with,
    why,
};

/// What a test makes of a request.
type Make<'a, T> = Box<dyn Fn(&Request) -> T + 'a>;

/// The compact JWE of a form.
fn ciphertext(form: &str) -> String {
    let mut pairs = form_urlencoded::parse(form.as_bytes());
    pairs.find(|(name, _)| name == "response").expect("an encrypted answer").1.into_owned()
}

fn response(jwe: &str) -> String {
    form_urlencoded::Serializer::new(String::new()).append_pair("response", jwe).finish()
}

/// A true answer with its JWE header bent.
fn with_header(shop: &TestShop, request: &Request, edit: impl FnOnce(&mut Map<String, Value>)) -> String {
    let wallet = &shop.persona("adult").wallet;
    let made = wallet.answer(request, &wallet.choose(request).unwrap(), &[], shop.clock()).unwrap();
    let jwe = ciphertext(&made);
    let (head, rest) = jwe.split_once('.').unwrap();
    let mut head: Map<String, Value> = serde_json::from_slice(&base64url_decode(head).unwrap()).unwrap();
    edit(&mut head);
    response(&format!("{}.{rest}", base64url_encode(Value::Object(head).to_string().as_bytes())))
}

/// Refused with this code.
async fn each(shop: &TestShop, cases: Vec<(&str, &str, Make<'_, String>)>) {
    for (name, code, make) in cases {
        assert_eq!(why(shop, "age", |request| make(request)).await, code, "{name}");
    }
}

// 1A: the envelope.

#[tokio::test]
async fn row_13_an_answer_in_clear_is_refused_where_encryption_was_asked() {
    let shop = TestShop::new();
    let mut browser = browser(&shop);
    let (asking, request) = delivered(&mut browser, "age").await;
    let reply = browser.wallet_answers(&request, "adult", &[Fault::PlainAnswer]).await;
    assert_eq!(refused(&mut browser, &asking, &reply).await, "response_unencrypted");
    // Both at once: nobody chooses the one that was not encrypted.
    let wallet = &shop.persona("adult").wallet;
    let choice = wallet.choose(&request).unwrap();
    let sealed = wallet.answer(&request, &choice, &[], shop.clock()).unwrap();
    let clear = wallet.answer(&request, &choice, &[Fault::PlainAnswer], shop.clock()).unwrap();
    let reply = browser.wallet_posts(&request, &format!("{sealed}&{clear}")).await;
    assert_eq!(refused(&mut browser, &asking, &reply).await, "response_mixed_parameters");
    // And encryption that was not asked for is no answer either.
    let clear_shop = clear_shop();
    let code = why(&clear_shop, "age", |request| response(&"A".repeat(request.nonce.len()))).await;
    assert_eq!(code, "state_missing");
}

#[tokio::test]
async fn row_14_encryption_proves_nothing() {
    let shop = TestShop::new();
    let mut browser = browser(&shop);
    // What an attacker saw once, encrypted anew to our true key.
    let wallet = &shop.persona("adult").wallet;
    let (_, old) = delivered(&mut browser, "age").await;
    let mut clear = old.clone();
    clear.encryption = None;
    let seen = wallet.answer(&clear, &wallet.choose(&clear).unwrap(), &[], shop.clock()).unwrap();
    let seen = form_urlencoded::parse(seen.as_bytes()).find(|(name, _)| name == "vp_token").unwrap().1.into_owned();
    let stolen: Value = serde_json::from_str(&seen).unwrap();
    assert_eq!(why(&shop, "age", |request| form(request, &stolen)).await, "key_binding_nonce");
    // And to a key of their own under the name of ours.
    let (asking, request) = delivered(&mut browser, "age").await;
    let reply = browser.wallet_answers(&request, "adult", &[Fault::ForeignEncryptionKey]).await;
    assert_eq!(refused(&mut browser, &asking, &reply).await, "jose_decryption");
}

#[tokio::test]
async fn row_15_what_is_in_an_encryption_is_not_believed_for_being_there() {
    let shop = TestShop::new();
    let none = format!("{}.{}.", base64url_encode(br#"{"alg":"none"}"#), base64url_encode(br#"{"vp_token":{}}"#));
    let nested = [none.as_str(), "", "[]", "null", "\"x\"", "{", "{\"vp_token\":{}} {}", "\u{feff}{}"];
    for content in nested {
        let code = why(&shop, "age", |request| payload(request, content.as_bytes(), &Value::Null)).await;
        assert!(["malformed_json", "response_not_an_object"].contains(&code.as_str()), "{content}: {code}");
    }
    // Raw claims beside no presentation.
    let claims = |request: &Request| {
        let content = json!({ "age_equal_or_over": { "18": true }, "vct": PID, "state": request.state });
        payload(request, content.to_string().as_bytes(), &Value::Null)
    };
    assert_eq!(why(&shop, "age", claims).await, "vp_token_missing");
}

#[tokio::test]
async fn row_16_18_only_the_encryption_that_was_offered() {
    let shop = TestShop::new();
    let with = |name: &'static str, value: Value| -> Make<'_, String> {
        let shop = shop.clone();
        Box::new(move |request| with_header(&shop, request, |head| drop(head.insert(name.to_owned(), value.clone()))))
    };
    let unsupported = "jose_unsupported_algorithm";
    let cases = vec![
        ("dir", with("alg", json!("dir"))),
        ("RSA1_5", with("alg", json!("RSA1_5"))),
        ("RSA-OAEP", with("alg", json!("RSA-OAEP"))),
        ("A128KW", with("alg", json!("ECDH-ES+A128KW"))),
        ("PBES2", with("alg", json!("PBES2-HS256+A128KW"))),
        ("none", with("alg", json!("none"))),
        ("lower case", with("alg", json!("ecdh-es"))),
        ("CBC", with("enc", json!("A128CBC-HS256"))),
        ("A192GCM", with("enc", json!("A192GCM"))),
        ("no enc", Box::new(|request: &Request| with_header(&shop, request, |head| drop(head.remove("enc"))))),
    ];
    for (name, make) in cases {
        let code = why(&shop, "age", |request| make(request)).await;
        assert!(code.starts_with("jose_"), "{name}: {code}");
        assert_ne!(code, "jose_decryption", "{name} is refused before any decryption");
    }
    let mut browser = browser(&shop);
    let (asking, request) = delivered(&mut browser, "age").await;
    let reply = browser.wallet_answers(&request, "adult", &[Fault::WrongContentEncryption]).await;
    assert_eq!(refused(&mut browser, &asking, &reply).await, unsupported);
    // Both that were offered work.
    for enc in [ContentEncryption::A128Gcm, ContentEncryption::A256Gcm] {
        let (_, mut request) = delivered(&mut browser, "age").await;
        request.encryption = request.encryption.map(|(key, _)| (key, enc));
        let reply = browser.wallet_answers(&request, "adult", &[]).await;
        assert_eq!(reply.status, StatusCode::OK, "{enc:?}: {}", reply.text());
    }
}

#[tokio::test]
async fn row_17_a_compressed_encryption_is_refused() {
    let shop = TestShop::new();
    let mut browser = browser(&shop);
    let (asking, request) = delivered(&mut browser, "age").await;
    let reply = browser.wallet_answers(&request, "adult", &[Fault::CompressedEncryption]).await;
    assert_eq!(refused(&mut browser, &asking, &reply).await, "jose_extension");
}

#[tokio::test]
async fn row_19_a_key_off_the_curve_or_a_private_one_is_refused() {
    let shop = TestShop::new();
    let other = DecryptionKey::from_scalar(&[7; 32], "x").unwrap();
    let zero = base64url_encode(&[0; 32]);
    let epks = [
        ("off the curve", json!({ "kty": "EC", "crv": "P-256", "x": zero, "y": zero })),
        ("another curve", json!({ "kty": "OKP", "crv": "X25519", "x": zero })),
        ("private", {
            let mut key = other.public_jwk();
            key["d"] = json!(base64url_encode(other.scalar()));
            key
        }),
        ("short", json!({ "kty": "EC", "crv": "P-256", "x": "AA", "y": "AA" })),
        ("text", json!("key")),
        ("none", Value::Null),
    ];
    for (name, epk) in epks {
        let code = why(&shop, "age", |request| {
            with_header(&shop, request, |head| drop(head.insert("epk".to_owned(), epk.clone())))
        });
        let code = code.await;
        assert!(code.starts_with("jose_"), "{name}: {code}");
    }
}

#[tokio::test]
async fn row_20_the_shape_of_the_answer() {
    for mode in [ResponseMode::DirectPostJwt, ResponseMode::DirectPost] {
        let shop = TestShop::with(|builder| builder.store(Memory::new()).response_mode(mode));
        let faults = [
            (Fault::UnknownQueryId, "credential_not_asked"),
            (Fault::PresentationOutsideArray, "vp_token_not_an_array"),
            (Fault::TwoPresentations, "credential_not_multiple"),
            (Fault::VpTokenIsString, "vp_token_not_an_object"),
            (Fault::DuplicateMember, "malformed_json"),
            (Fault::DeepJson, "malformed_json"),
        ];
        for (fault, code) in faults {
            let mut browser = browser(&shop);
            let (asking, request) = delivered(&mut browser, "age").await;
            let reply = browser.wallet_answers(&request, "adult", &[fault]).await;
            assert_eq!(refused(&mut browser, &asking, &reply).await, code, "{fault:?} {mode:?}");
        }
        let shapes = [
            (json!({}), "nothing_presented"),
            (json!([]), "vp_token_not_an_object"),
            (json!(null), "vp_token_not_an_object"),
            (json!({ "age": [] }), "vp_token_empty_array"),
            (json!({ "age": {} }), "vp_token_not_an_array"),
            (json!({ "age": [1] }), "vp_token_not_a_presentation"),
            (json!({ "age": [""] }), "vp_token_not_a_presentation"),
            (json!({ "age": [["a~"]] }), "vp_token_not_a_presentation"),
            (json!({ "AGE": ["a~"] }), "credential_not_asked"),
            (json!({ "age ": ["a~"] }), "credential_not_asked"),
        ];
        for (vp_token, code) in shapes {
            let got = why(&shop, "age", |request| form(request, &vp_token)).await;
            assert!(got == code || (vp_token == json!({}) && got.starts_with("credential_")), "{vp_token}: {got}");
        }
    }
}

#[tokio::test]
async fn row_21_what_comes_back_is_measured_by_the_query() {
    let shop = TestShop::new();
    let mut browser = browser(&shop);
    // Another type, by the same issuer.
    let mut wallet = wallet_with(&shop, json!({ "age_equal_or_over": { "18": true } }), |_| {});
    hold(&shop, &mut wallet, json!({ "age_equal_or_over": { "18": true } }), |other| {
        other.vct = "urn:example:library-card".to_owned();
    });
    let (asking, request) = delivered(&mut browser, "age").await;
    let reply = answer(&mut browser, &request, &wallet, &[Fault::WrongType]).await;
    assert_eq!(refused(&mut browser, &asking, &reply).await, "credential_type_mismatch");
    let reply = answer(&mut browser, &request, &wallet, &[Fault::MissingClaim]).await;
    assert!(refused(&mut browser, &asking, &reply).await.starts_with("claim_"));

    let (asking, request) = delivered(&mut browser, "address").await;
    let wallet = shop.persona("adult").wallet.clone();
    let reply = answer(&mut browser, &request, &wallet, &[Fault::MissingClaim]).await;
    assert_eq!(refused(&mut browser, &asking, &reply).await, "claim_missing");
    assert_eq!(answer(&mut browser, &request, &wallet, &[]).await.status, StatusCode::OK);
}

#[tokio::test]
async fn row_21_the_age_is_what_the_credential_says() {
    let shop = TestShop::new();
    let noon = shop.merchant().now();
    let cases = [
        (json!({ "age_equal_or_over": { "18": true } }), "ok"),
        (json!({ "age_equal_or_over": { "18": false } }), "age_not_reached"),
        (json!({ "age_equal_or_over": { "18": "true" } }), "age_not_reached"),
        (json!({ "age_equal_or_over": { "18": 1 } }), "age_not_reached"),
        (json!({ "age_over_18": true }), "ok"),
        (json!({ "age_over_18": false }), "age_not_reached"),
        (json!({ "birthdate": "2008-11-22" }), "ok"),
        (json!({ "birthdate": "2008-11-23" }), "age_not_reached"),
        (json!({ "birthdate": "22.11.1984" }), "age_not_reached"),
        (json!({ "birthdate": "1984" }), "age_not_reached"),
        (json!({ "birthdate": "2030-01-01" }), "age_not_reached"),
        (json!({ "birthdate": 19_840_517 }), "age_not_reached"),
        // Whoever shows that they are too young is not asked for another claim.
        (json!({ "age_equal_or_over": { "18": false }, "birthdate": "1984-05-17" }), "age_not_reached"),
    ];
    assert_eq!(noon.to_string().get(..10), Some("2026-11-22"));
    for (claims, expected) in cases {
        let wallet = wallet_with(&shop, claims.clone(), |_| {});
        let mut browser = browser(&shop);
        let (asking, request) = delivered(&mut browser, "age").await;
        let reply = answer(&mut browser, &request, &wallet, &[]).await;
        let got = match reply.status {
            StatusCode::OK => "ok".to_owned(),
            _ => refused(&mut browser, &asking, &reply).await,
        };
        assert_eq!(got, expected, "{claims}");
    }
    for persona in ["adult", "national", "rulebook"] {
        browser(&shop).sign_in(persona).await;
    }
    let mut browser = browser(&shop);
    let (asking, request) = delivered(&mut browser, "age").await;
    let reply = browser.wallet_answers(&request, "minor", &[]).await;
    assert_eq!(refused(&mut browser, &asking, &reply).await, "age_not_reached");
}

// 1B: JOSE.

#[tokio::test]
async fn row_31_to_36_the_header_chooses_nothing() {
    let shop = clear_shop();
    let scribe = Scribe::new(&shop);
    let claims = scribe.claims(&[]);
    scribe.accepted(claims.clone(), &[]).await;
    let issuer = shop.cast().issuer();

    // The issuer's JWT.
    let true_jwt = scribe.issued(claims.clone());
    let (_, body) = true_jwt.split_once('.').unwrap();
    let header = |edit: &dyn Fn(&mut Map<String, Value>)| {
        let head = base64url_decode(true_jwt.split('.').next().unwrap()).unwrap();
        let mut head: Map<String, Value> = serde_json::from_slice(&head).unwrap();
        edit(&mut head);
        base64url_encode(Value::Object(head).to_string().as_bytes())
    };
    let alg = |name: &'static str| {
        let head = header(&move |head| drop(head.insert("alg".to_owned(), json!(name))));
        format!("{head}.{body}")
    };
    let unsigned = |name: &'static str| {
        let head = header(&move |head| drop(head.insert("alg".to_owned(), json!(name))));
        format!("{head}.{}.", body.split('.').next().unwrap())
    };
    let signed =
        |header: Value| issuer.sign(header.as_object().unwrap(), &Value::Object(claims.clone())).expect("a signature");
    let foreign = SigningKey::from_p256_scalar(&[8; 32]).unwrap();
    let own_key = {
        // Signed with the key that it brings along.
        let header = json!({ "typ": "dc+sd-jwt", "jwk": foreign.public_key().to_jwk() });
        foreign.sign_jws(header.as_object().unwrap(), &Value::Object(claims.clone())).unwrap()
    };
    let jwts = [
        ("31 none", unsigned("none")),
        ("31 None", unsigned("None")),
        ("31 NONE with a signature", alg("NONE")),
        ("31 empty", alg("")),
        ("32 HMAC", alg("HS256")),
        ("32 RSA", alg("RS256")),
        ("32 another curve", alg("ES384")),
        ("33 its own key", own_key),
        ("33 jku", {
            let header = json!({ "typ": "dc+sd-jwt", "jku": "https://evil.example/jwks", "kid": "1" });
            foreign.sign_jws(header.as_object().unwrap(), &Value::Object(claims.clone())).unwrap()
        }),
        ("35 crit", signed(json!({ "crit": ["exp"], "exp": 1 }))),
        ("35 crit unknown", signed(json!({ "crit": ["x"], "x": 1 }))),
        ("35 crit empty", signed(json!({ "crit": [] }))),
        ("35 crit registered", signed(json!({ "crit": ["alg"] }))),
        ("36 b64", signed(json!({ "b64": false, "crit": ["b64"] }))),
        ("36 b64 alone", signed(json!({ "b64": false }))),
        ("39 status list", signed(json!({ "typ": "statuslist+jwt" }))),
        ("39 proof", signed(json!({ "typ": "dpop+jwt" }))),
        ("39 plain", signed(json!({ "typ": "JWT" }))),
        ("39 no text", signed(json!({ "typ": 1 }))),
        ("41 padding", true_jwt.replacen('.', "=.", 1)),
        ("41 space", true_jwt.replacen('.', " .", 1)),
        ("43 short signature", true_jwt[..true_jwt.len() - 4].to_owned()),
        ("43 zero signature", format!("{}.{}", true_jwt.rsplit_once('.').unwrap().0, base64url_encode(&[0; 64]))),
    ];
    for (name, jwt) in jwts {
        let code = why(&shop, "age", |request| scribe.form(request, &scribe.present(request, &jwt, &[]))).await;
        let expected = ["sd_jwt_issuer_jwt", "issuer_unnamed", "presentation_malformed"];
        assert!(expected.contains(&code.as_str()), "{name}: {code}");
    }
    // The holder's proof.
    let proofs: [(&str, Value); 8] = [
        ("35 crit", json!({ "typ": "kb+jwt", "crit": ["x"], "x": 1 })),
        ("35 crit empty", json!({ "typ": "kb+jwt", "crit": [] })),
        ("36 b64", json!({ "typ": "kb+jwt", "b64": false, "crit": ["b64"] })),
        ("39 dpop", json!({ "typ": "dpop+jwt" })),
        ("39 credential", json!({ "typ": "dc+sd-jwt" })),
        ("39 case", json!({ "typ": "KB+JWT+x" })),
        ("39 none", json!({})),
        ("39 no text", json!({ "typ": ["kb+jwt"] })),
    ];
    for (name, header) in proofs {
        let code = why(&shop, "age", |request| {
            let bound = bound(&true_jwt, &[]);
            let proof = scribe.sign(&header, scribe.proof_claims(request, &bound));
            scribe.form(request, &(bound + &proof))
        });
        assert_eq!(code.await, "key_binding_jwt", "{name}");
    }
    assert_eq!(shop.network().calls_in_all(), 0, "no address of a header was fetched");
}

#[tokio::test]
async fn row_34_a_chain_to_nobody_is_not_believed() {
    let shop = clear_shop();
    let scribe = Scribe::new(&shop);
    let now = scribe.now();
    let uri = shop.status_uri().clone();
    let nobody = Authority::new("Firsthand Development Issuer CA", now);
    let other = Authority::new("Nobody", now);
    let leaf = Leaf::new("Firsthand Development Issuer", now);
    let with = |authority: &Authority, leaf: &Leaf, edit: &dyn Fn(&mut Vec<Vec<u8>>)| {
        let (key, mut chain) = authority.issue(leaf);
        edit(&mut chain);
        Issuer::new(key, chain, uri.clone())
    };
    let cases = [
        ("of the same name", with(&nobody, &leaf, &|_| {})),
        ("with its root", with(&nobody, &leaf, &|chain| chain.push(nobody.root_der().to_vec()))),
        ("without certificates", with(&nobody, &leaf, &|chain| chain.clear())),
        ("no certificate", with(&nobody, &leaf, &|chain| *chain = vec![vec![1, 2, 3]])),
        ("another's leaf", with(&nobody, &leaf, &|chain| *chain = other.issue(&leaf).1)),
        ("too long", with(&nobody, &leaf, &|chain| *chain = vec![chain[0].clone(); 20])),
        ("expired", with(&nobody, &leaf.clone().valid(now.minus_s(200), now.minus_s(100)), &|_| {})),
    ];
    for (name, issuer) in cases {
        let jwt = issuer.sign(&Map::new(), &Value::Object(scribe.claims(&[]))).unwrap();
        let code = why(&shop, "age", |request| scribe.form(request, &scribe.present(request, &jwt, &[]))).await;
        assert!(!code.is_empty() && !code.starts_with("key_binding"), "{name}: {code}");
    }
}

#[tokio::test]
async fn row_37_a_time_of_the_wrong_type_is_no_missing_time() {
    let scribe = Scribe::new(&clear_shop());
    let wrong = [json!("1999999999"), json!(null), json!([]), json!({}), json!(true), json!(-1), json!(1e300)];
    for claim in ["exp", "nbf", "iat"] {
        for value in wrong.clone() {
            if value == json!(-1) && claim != "exp" {
                continue;
            }
            let code = scribe.why_claims(|claims| drop(claims.insert(claim.to_owned(), value.clone()))).await;
            assert!(code.starts_with("credential_"), "{claim} {value}: {code}");
        }
    }
    // And of the holder's proof.
    let shop = &scribe.shop;
    let jwt = scribe.issued(scribe.claims(&[]));
    for value in wrong.into_iter().chain([json!("now")]) {
        let code = why(shop, "age", |request| {
            let bound = bound(&jwt, &[]);
            let mut claims = scribe.proof_claims(request, &bound);
            claims.insert("iat".to_owned(), value.clone());
            let proof = scribe.sign(&json!({ "typ": "kb+jwt" }), claims);
            scribe.form(request, &(bound + &proof))
        });
        assert!(code.await.starts_with("key_binding_"), "{value}");
    }
}

#[tokio::test]
async fn row_38_names_are_compared_whole_and_as_text() {
    let shop = clear_shop();
    let scribe = Scribe::new(&shop);
    let jwt = scribe.issued(scribe.claims(&[]));
    let name = |request: &Request| request.client_id.clone();
    let audiences: Vec<(&str, Make<'_, Value>)> = vec![
        ("array", Box::new(move |request| json!([name(request)]))),
        ("longer", Box::new(move |request| json!(format!("{}/", name(request))))),
        ("shorter", Box::new(move |request| json!(&name(request)[..20]))),
        ("upper case", Box::new(move |request| json!(name(request).to_uppercase()))),
        ("object", Box::new(|_| json!({}))),
        ("null", Box::new(|_| json!(null))),
    ];
    for (what, audience) in audiences {
        let code = why(&shop, "age", |request| {
            let bound = bound(&jwt, &[]);
            let mut claims = scribe.proof_claims(request, &bound);
            claims.insert("aud".to_owned(), audience(request));
            let proof = scribe.sign(&json!({ "typ": "kb+jwt" }), claims);
            scribe.form(request, &(bound + &proof))
        });
        let code = code.await;
        assert!(["key_binding_audience", "key_binding_claim"].contains(&code.as_str()), "{what}: {code}");
    }
    for claim in ["aud", "nonce", "iat", "sd_hash"] {
        let code = why(&shop, "age", |request| {
            let bound = bound(&jwt, &[]);
            let mut claims = scribe.proof_claims(request, &bound);
            claims.remove(claim);
            let proof = scribe.sign(&json!({ "typ": "kb+jwt" }), claims);
            scribe.form(request, &(bound + &proof))
        });
        assert!(code.await.starts_with("key_binding_"), "{claim} is missing");
    }
}

#[tokio::test]
async fn row_40_a_member_twice_is_refused_also_in_other_letters() {
    let shop = clear_shop();
    let scribe = Scribe::new(&shop);
    let claims = Value::Object(scribe.claims(&[])).to_string();
    for (first, second) in [("\"vct\"", "\"vct\""), ("\"vct\"", "\"\\u0076ct\"")] {
        let doubled = claims.replacen('{', &format!("{{{first}:\"x\","), 1).replacen(
            "\"vct\":\"urn",
            &format!("{second}:\"urn"),
            1,
        );
        // No issuer signs such a text by accident, so the check must come before any use of it.
        let header = scribe.issued(scribe.claims(&[]));
        let header = header.split('.').next().unwrap().to_owned();
        let jwt = format!("{header}.{}.{}", base64url_encode(doubled.as_bytes()), base64url_encode(&[1; 64]));
        let code = why(&shop, "age", |request| scribe.form(request, &scribe.present(request, &jwt, &[]))).await;
        assert!(["sd_jwt_issuer_jwt", "presentation_malformed"].contains(&code.as_str()), "{code}");
    }
    let mut browser = browser(&shop);
    let (asking, request) = delivered(&mut browser, "age").await;
    let doubled = format!("{}&state=x", form(&request, &json!({ "age": ["a~"] })));
    let reply = browser.wallet_posts(&request, &doubled).await;
    assert_eq!(refused(&mut browser, &asking, &reply).await, "form_repeated_parameter");
}

#[tokio::test]
async fn row_42_another_spelling_of_a_signature_is_no_second_answer() {
    let shop = clear_shop();
    let mut browser = browser(&shop);
    let (_, request) = delivered(&mut browser, "age").await;
    let wallet = &shop.persona("adult").wallet;
    let choice = wallet.choose(&request).unwrap();
    // ECDSA signs differently each time: two texts, one nonce.
    let one = wallet.answer(&request, &choice, &[], shop.clock()).unwrap();
    let two = wallet.answer(&request, &choice, &[], shop.clock()).unwrap();
    assert_ne!(one, two);
    assert_eq!(browser.wallet_posts(&request, &one).await.status, StatusCode::OK);
    for form in [&two, &one] {
        let reply = browser.wallet_posts(&request, form).await;
        assert_eq!((reply.status, reply.code().as_str()), (StatusCode::CONFLICT, "already_answered"));
    }
}

#[tokio::test]
async fn row_45_to_47_a_holders_key_is_a_public_key_of_an_accepted_kind() {
    let scribe = Scribe::new(&clear_shop());
    let good = scribe.holder.public_key().to_jwk();
    let bent = |member: &str, value: Value| {
        let mut jwk = good.clone();
        jwk[member] = value;
        json!({ "jwk": jwk })
    };
    let zero = base64url_encode(&[0; 32]);
    let keys = [
        ("private", bent("d", json!(zero))),
        ("off the curve", bent("y", json!(zero))),
        ("another curve", bent("crv", json!("P-384"))),
        ("secp256k1", bent("crv", json!("secp256k1"))),
        ("RSA", json!({ "jwk": { "kty": "RSA", "n": "AQAB", "e": "AQAB" } })),
        ("a secret", json!({ "jwk": { "kty": "oct", "k": zero } })),
        ("a small-order point", json!({ "jwk": { "kty": "OKP", "crv": "Ed25519", "x": zero } })),
        ("by name", json!({ "kid": "1" })),
        ("by address", json!({ "jku": "https://evil.example/jwks", "kid": "1" })),
        ("two ways", json!({ "jwk": good, "kid": "1" })),
        ("text", json!("jwk")),
        ("nothing", json!({})),
        ("for encryption", bent("use", json!("enc"))),
    ];
    for (name, cnf) in keys {
        let mut claims = scribe.claims(&[]);
        claims.insert("cnf".to_owned(), cnf);
        let jwt = scribe.issued(claims);
        let mut browser = browser(&scribe.shop);
        let (asking, request) = delivered(&mut browser, "age").await;
        let form = scribe.form(&request, &scribe.present(&request, &jwt, &[]));
        let reply = browser.wallet_posts(&request, &form).await;
        if name == "two ways" && reply.status == StatusCode::OK {
            continue;
        }
        let code = refused(&mut browser, &asking, &reply).await;
        assert!(code.starts_with("holder_key") || code == "key_binding_jwt", "{name}: {code}");
    }
    let none = scribe.why_claims(|claims| drop(claims.remove("cnf"))).await;
    assert_eq!(none, "holder_key_missing");
    assert_eq!(scribe.shop.network().calls_in_all(), 0);
}

#[tokio::test]
async fn row_50_only_what_was_signed_counts() {
    let shop = clear_shop();
    let scribe = Scribe::new(&shop);
    let jwt = scribe.issued(scribe.claims(&[]));
    let code = why(&shop, "age", |request| {
        let presentation = scribe.present(request, &jwt, &[]);
        let object = json!({ "vct": PID, "age_equal_or_over": { "18": true }, "proof": { "jwt": presentation } });
        form(request, &json!({ "age": [object] }))
    });
    assert_eq!(code.await, "presentation_malformed");
}

// 1C: SD-JWT and SD-JWT VC.

#[tokio::test]
async fn row_51_to_54_the_holders_proof() {
    let shop = TestShop::new();
    for (fault, code) in [
        (Fault::NoHolderProof, "key_binding_missing"),
        (Fault::DisclosureAddedAfterProof, "sd_jwt_unreferenced_disclosure"),
        (Fault::WrongSdHash, "key_binding_sd_hash"),
        (Fault::ForeignHolderKey, "key_binding_jwt"),
        (Fault::HolderProofInPast, "key_binding_too_old"),
        (Fault::HolderProofInFuture, "key_binding_in_future"),
    ] {
        let mut browser = browser(&shop);
        let (asking, request) = delivered(&mut browser, "age").await;
        let reply = browser.wallet_answers(&request, "adult", &[fault]).await;
        assert_eq!(refused(&mut browser, &asking, &reply).await, code, "{fault:?}");
    }
    let clear = clear_shop();
    let scribe = Scribe::new(&clear);
    let (one, one_digest) = disclosure(&json!(["s1", "given_name", "Eve"]));
    let (two, two_digest) = disclosure(&json!(["s2", "family_name", "Evans"]));
    let jwt = scribe.issued(scribe.claims(&[one_digest, two_digest]));
    let both = [one.clone(), two.clone()];
    let over = |signed: &[String], sent: &[String]| {
        let (signed, sent) = (bound(&jwt, signed), bound(&jwt, sent));
        let scribe = &scribe;
        move |request: &Request| scribe.form(request, &(sent + &scribe.proof(request, &signed)))
    };
    let cases = [
        ("reordered", over(&both, &[two.clone(), one.clone()])),
        ("added", over(std::slice::from_ref(&one), &both)),
        ("removed", over(&both, &[one])),
    ];
    for (name, make) in cases {
        assert_eq!(why(&clear, "age", make).await, "key_binding_sd_hash", "{name}");
    }
    // The proof of another presentation of the same credential to the same shop.
    let code = why(&clear, "age", |request| {
        let mut earlier = request.clone();
        earlier.nonce = "an-earlier-nonce-of-the-same-shop-and-wallet".to_owned();
        let text = bound(&jwt, &[]);
        let proof = scribe.proof(&earlier, &text);
        scribe.form(request, &(text + &proof))
    });
    assert_eq!(code.await, "key_binding_nonce");
    // A key in the header of the proof is nobody's.
    let code = why(&clear, "age", |request| {
        let text = bound(&jwt, &[]);
        let foreign = SigningKey::from_p256_scalar(&[8; 32]).unwrap();
        let header = json!({ "typ": "kb+jwt", "jwk": foreign.public_key().to_jwk() });
        let claims = Value::Object(scribe.proof_claims(request, &text));
        let proof = foreign.sign_jws(header.as_object().unwrap(), &claims).unwrap();
        scribe.form(request, &(text + &proof))
    });
    assert_eq!(code.await, "key_binding_jwt");
}

#[tokio::test]
async fn row_55_to_60_disclosures() {
    let scribe = Scribe::new(&clear_shop());
    let (name, digest) = disclosure(&json!(["salt", "given_name", "Eve"]));
    scribe.accepted(scribe.claims(std::slice::from_ref(&digest)), std::slice::from_ref(&name)).await;
    scribe.accepted(scribe.claims(std::slice::from_ref(&digest)), &[]).await;

    // 55: a digest twice, in one place and in two.
    let code =
        scribe.why_disclosed(scribe.claims(&[digest.clone(), digest.clone()]), std::slice::from_ref(&name)).await;
    assert_eq!(code, "sd_jwt_duplicate_digest");
    let mut claims = scribe.claims(std::slice::from_ref(&digest));
    claims.insert("address".to_owned(), json!({ "_sd": [digest] }));
    assert_eq!(scribe.why_disclosed(claims, std::slice::from_ref(&name)).await, "sd_jwt_duplicate_digest");

    // 56: a disclosure that nothing names, twice, or below what was not disclosed.
    let code = scribe.why_disclosed(scribe.claims(&[]), std::slice::from_ref(&name)).await;
    assert_eq!(code, "sd_jwt_unreferenced_disclosure");
    let code = scribe.why_disclosed(scribe.claims(std::slice::from_ref(&digest)), &[name.clone(), name.clone()]).await;
    assert_eq!(code, "sd_jwt_duplicate_disclosure");
    let (_, parent) = disclosure(&json!(["salt", "address", { "_sd": [digest] }]));
    let code = scribe.why_disclosed(scribe.claims(&[parent]), std::slice::from_ref(&name)).await;
    assert_eq!(code, "sd_jwt_unreferenced_disclosure", "an orphan");

    // 57 to 60: what a disclosure may say.
    let cases = [
        (json!(["salt", "_sd", []]), "sd_jwt_reserved_name"),
        (json!(["salt", "...", "x"]), "sd_jwt_reserved_name"),
        (json!(["salt", "age_equal_or_over", { "18": true }]), "sd_jwt_shadowed_claim"),
        (json!(["salt", "iss", "x"]), "claim_must_not_be_disclosed"),
        (json!(["salt", "nbf", 1]), "claim_must_not_be_disclosed"),
        (json!(["salt", "status", {}]), "claim_must_not_be_disclosed"),
        (json!(["salt", "aka_vcts", ["x"]]), "claim_must_not_be_disclosed"),
        (json!(["salt", "vct#integrity", "x"]), "claim_must_not_be_disclosed"),
        (json!(["salt", "x"]), "sd_jwt_disclosure_form"),
        (json!(["salt"]), "sd_jwt_disclosure_form"),
        (json!(["salt", "a", "b", "c"]), "sd_jwt_disclosure_form"),
        (json!([1, "a", "b"]), "sd_jwt_disclosure_form"),
        (json!(["salt", 1, "b"]), "sd_jwt_disclosure_form"),
        (json!({ "salt": "a" }), "sd_jwt_disclosure_form"),
        (json!("salt"), "sd_jwt_disclosure_form"),
    ];
    for (content, code) in cases {
        let (text, digest) = disclosure(&content);
        assert_eq!(scribe.why_disclosed(scribe.claims(&[digest]), &[text]).await, code, "{content}");
    }
    for disclosed in ["exp", "cnf", "vct"] {
        let mut claims = scribe.claims(&[]);
        let value = claims.remove(disclosed).unwrap();
        let (text, digest) = disclosure(&json!(["salt", disclosed, value]));
        claims.insert("_sd".to_owned(), json!([digest]));
        let code = scribe.why_disclosed(claims, &[text]).await;
        assert!(
            ["claim_must_not_be_disclosed", "holder_key_disclosed", "credential_claim"].contains(&code.as_str()),
            "{disclosed}: {code}"
        );
    }
    // 58: two of one name.
    let (other, other_digest) = disclosure(&json!(["other salt", "given_name", "Adam"]));
    let code = scribe.why_disclosed(scribe.claims(&[digest, other_digest]), &[name, other]).await;
    assert_eq!(code, "sd_jwt_shadowed_claim");
    // 60: what is no JSON, no UTF-8, no base64url, or twice.
    for (bytes, code) in [
        (&b"[\"salt\",\"a\","[..], "sd_jwt_disclosure_json"),
        (b"[\"salt\",\"a\",\"\xff\"]", "sd_jwt_disclosure_json"),
        (b"[\"salt\",\"a\",{\"b\":1,\"b\":2}]", "sd_jwt_disclosure_json"),
    ] {
        let text = base64url_encode(bytes);
        let digest = base64url_encode(&firsthand::protocol::jose::sha256(text.as_bytes()));
        assert_eq!(scribe.why_disclosed(scribe.claims(&[digest]), &[text]).await, code);
    }
    for text in ["WyJz+A", "WyJzYWx0Il0=", "A"] {
        let digest = base64url_encode(&firsthand::protocol::jose::sha256(text.as_bytes()));
        let code = scribe.why_disclosed(scribe.claims(&[digest]), &[text.to_owned()]).await;
        assert_eq!(code, "sd_jwt_disclosure_encoding", "{text}");
    }
    assert_eq!(scribe.why_disclosed(scribe.claims(&[]), &[String::new()]).await, "sd_jwt_empty_disclosure");
}

#[tokio::test]
async fn a_claim_named_sd_is_refused() {
    let shop = TestShop::new();
    let claims = json!({ "_sd": "an issuer's mistake", "age_equal_or_over": { "18": true } });
    let wallet = wallet_with(&shop, claims, |_| {});
    let mut browser = browser(&shop);
    let (asking, request) = delivered(&mut browser, "age").await;
    let reply = answer(&mut browser, &request, &wallet, &[Fault::DisclosureNamedSd]).await;
    assert_eq!(refused(&mut browser, &asking, &reply).await, "sd_jwt_reserved_name");
}

#[tokio::test]
async fn row_61_a_weak_or_nested_hash_is_refused() {
    let scribe = Scribe::new(&clear_shop());
    for algorithm in
        [json!("md5"), json!("sha-1"), json!("SHA-256"), json!("sha-256 "), json!(256), json!(null), json!(["sha-256"])]
    {
        let code = scribe.why_claims(|claims| drop(claims.insert("_sd_alg".to_owned(), algorithm.clone()))).await;
        assert_eq!(code, "sd_jwt_hash_function", "{algorithm}");
    }
    let nested = scribe.why_claims(|claims| drop(claims.insert("a".to_owned(), json!({ "_sd_alg": "sha-256" })))).await;
    assert!(!nested.is_empty());
    let mut without = scribe.claims(&[]);
    without.remove("_sd_alg");
    scribe.accepted(without, &[]).await;
}

#[tokio::test]
async fn row_62_many_and_deep_disclosures_are_bounded() {
    let scribe = Scribe::new(&clear_shop());
    let made: Vec<(String, String)> =
        (0..257).map(|at| disclosure(&json!(["s", format!("claim_{at}"), "v"]))).collect();
    let (texts, digests): (Vec<String>, Vec<String>) = made.into_iter().unzip();
    scribe.accepted(scribe.claims(&digests[..256]), &texts[..256]).await;
    let code = scribe.why_disclosed(scribe.claims(&digests), &texts).await;
    assert_eq!(code, "sd_jwt_too_many_disclosures");
    // Each in the one before.
    let (mut texts, mut value) = (Vec::new(), json!("v"));
    let mut digest = String::new();
    for _ in 0..40 {
        let (text, its) = disclosure(&json!(["s", "a", value]));
        value = json!({ "_sd": [its] });
        texts.push(text);
        digest = its;
    }
    let code = scribe.why_disclosed(scribe.claims(&[digest]), &texts).await;
    assert_eq!(code, "sd_jwt_too_deep");
    let deep = (0..40).fold(json!("v"), |within, _| json!([within]));
    let code = scribe.why_claims(|claims| drop(claims.insert("deep".to_owned(), deep))).await;
    assert!(!code.is_empty());
}

#[tokio::test]
async fn row_63_a_type_is_compared_byte_for_byte() {
    let scribe = Scribe::new(&clear_shop());
    let types = [
        json!("URN:eudi:pid:1"),
        json!("urn:eudi:pid:1 "),
        json!("urn:eudi:pid:1/"),
        json!("urn:eudi:pid:10"),
        json!("urn:eudi:pid"),
        json!("urn:eudi:pid:%31"),
        json!([PID]),
        json!(null),
        json!(""),
        json!(1),
    ];
    for vct in types {
        let code = scribe.why_claims(|claims| drop(claims.insert("vct".to_owned(), vct.clone()))).await;
        assert!(["credential_type_mismatch", "credential_claim"].contains(&code.as_str()), "{vct}: {code}");
    }
    let none = scribe.why_claims(|claims| drop(claims.remove("vct"))).await;
    assert_eq!(none, "credential_claim");
    for aka in [json!(PID), json!([1]), json!({})] {
        let code = scribe.why_claims(|claims| {
            claims.insert("vct".to_owned(), json!("urn:example:other"));
            claims.insert("aka_vcts".to_owned(), aka.clone());
        });
        let code = code.await;
        assert!(["credential_type_mismatch", "credential_claim"].contains(&code.as_str()), "{aka}: {code}");
    }
    let mut claims = scribe.claims(&[]);
    claims.insert("vct".to_owned(), json!("urn:eudi:pid:fr:1"));
    claims.insert("aka_vcts".to_owned(), json!(["urn:example:x", PID]));
    scribe.accepted(claims, &[]).await;
}

#[tokio::test]
async fn row_64_a_type_counts_if_its_issuer_is_trusted_for_it() {
    const CARD: &str = "urn:example:card:1";
    let fresh = TestShop::new();
    let card =
        firsthand::Ask::new("card", "To see your card").credential("card", Wanted::sd_jwt_vc(CARD).claim(["number"]));
    // The shop's issuer is believed for identification data alone, and another one for cards.
    let cards = Trust::new().issuer("https://cards.example".parse().unwrap(), &[CARD]).unwrap();
    let shop = fresh.again(|builder| builder.store(Memory::new()).trust(cards).ask(&card));
    let wallet = wallet_with(&shop, json!({ "number": "1" }), |credential| credential.vct = CARD.to_owned());
    let mut browser_ = browser(&shop);
    let (asking, request) = delivered(&mut browser_, "card").await;
    let reply = answer(&mut browser_, &request, &wallet, &[]).await;
    assert_eq!(refused(&mut browser_, &asking, &reply).await, "credential_type_mismatch");
    // `aka_vcts` is what an issuer says of itself: it gives no trust.
    let both = wallet_with(&shop, json!({ "number": "1" }), |credential| credential.aka_vcts = vec![CARD.to_owned()]);
    let reply = answer(&mut browser_, &request, &both, &[]).await;
    assert_eq!(refused(&mut browser_, &asking, &reply).await, "credential_type_mismatch");

    // A national type counts where the trust says so, and nowhere else.
    let mapped =
        fresh.again(|builder| builder.store(Memory::new()).trust(Trust::new().national("urn:eudi:pid:at:1", PID)));
    for (shop, holds) in [(&fresh, false), (&mapped, true)] {
        let scribe = Scribe::new(shop);
        let mut browser = browser(shop);
        let (_, request) = delivered(&mut browser, "age").await;
        let mut written = scribe.claims(&[]);
        written.insert("vct".to_owned(), json!("urn:eudi:pid:at:1"));
        let jwt = scribe.issued(written);
        let form = scribe.form(&request, &scribe.present(&request, &jwt, &[]));
        assert_eq!(browser.wallet_posts(&request, &form).await.status.is_success(), holds);
    }
}

#[tokio::test]
async fn row_65_an_issuer_is_known_in_one_way_and_nobody_else_is_fetched() {
    let fresh = TestShop::new();
    let iss: Url = "https://pid.example".parse().unwrap();
    let metadata: Url = "https://pid.example/.well-known/jwt-vc-issuer".parse().unwrap();
    let key = SigningKey::from_p256_scalar(&[3; 32]).unwrap();
    let issuer = Issuer::by_metadata(key.clone(), iss.clone(), "k1", fresh.status_uri().clone());
    let trust = Trust::new().issuer(iss.clone(), &[PID]).unwrap();
    let shop = fresh.again(|builder| builder.store(Memory::new()).trust(trust).response_mode(ResponseMode::DirectPost));
    fresh.network().serve(&metadata, "application/json", issuer.metadata().unwrap().to_string());
    let scribe = Scribe::new(&shop);
    let signed = |issuer: &Issuer, iss: &str| {
        let mut claims = scribe.claims(&[]);
        claims.insert("iss".to_owned(), json!(iss));
        issuer.sign(&Map::new(), &Value::Object(claims)).unwrap()
    };
    let present = |jwt: String| {
        let scribe = &scribe;
        move |request: &Request| scribe.form(request, &scribe.present(request, &jwt, &[]))
    };
    let calls = || shop.network().calls_in_all();

    // Whom nobody trusts is never fetched, whatever the name looks like.
    for name in [
        "https://evil.example",
        "https://PID.example",
        "https://pid.example:443",
        "https://pid.example.evil.example",
        "https://pid.example/tenant",
        "http://pid.example",
        "",
        "did:web:pid.example",
        "https://127.0.0.1",
        "file:///etc/passwd",
    ] {
        let code = why(&shop, "age", present(signed(&issuer, name))).await;
        assert!(["issuer_unknown", "credential_claim", "issuer_unnamed"].contains(&code.as_str()), "{name}: {code}");
        assert_eq!(calls(), 0, "{name}");
    }
    // With certificates it speaks for nobody who is known by name.
    let other = shop.cast().issuer();
    assert_eq!(why(&shop, "age", present(signed(other, "https://pid.example"))).await, "issuer_key_mechanism");
    assert_eq!(calls(), 0);

    // By its name and its key: one fetch for many.
    for _ in 0..3 {
        let mut browser = browser(&shop);
        let (_, request) = delivered(&mut browser, "age").await;
        let form = present(signed(&issuer, "https://pid.example"))(&request);
        let reply = browser.wallet_posts(&request, &form).await;
        assert_eq!(reply.status, StatusCode::OK, "{}", reply.text());
    }
    assert_eq!((shop.network().calls(&metadata), calls()), (1, 1));
    // By another spelling of its name: what it publishes is not about that.
    let slash = signed(&issuer, "https://pid.example/");
    assert_eq!(why(&shop, "age", present(slash)).await, "issuer_metadata_issuer");
    // By its name and another key.
    let thief = Issuer::by_metadata(
        SigningKey::from_p256_scalar(&[4; 32]).unwrap(),
        iss.clone(),
        "k1",
        shop.status_uri().clone(),
    );
    assert_eq!(why(&shop, "age", present(signed(&thief, "https://pid.example"))).await, "sd_jwt_issuer_jwt");
    let unnamed = Issuer::by_metadata(key.clone(), iss, "k2", shop.status_uri().clone());
    assert_eq!(why(&shop, "age", present(signed(&unnamed, "https://pid.example"))).await, "issuer_key_not_found");
    assert_eq!(calls(), 1);

    // What is fetched must be this issuer's.
    let mut wrong = issuer.metadata().unwrap();
    wrong["issuer"] = json!("https://evil.example");
    let broken: [(&str, &str, String); 4] = [
        ("another issuer's", "issuer_metadata_issuer", wrong.to_string()),
        ("no JSON", "malformed_json", "<html>".to_owned()),
        ("no keys", "issuer_metadata", json!({ "issuer": "https://pid.example" }).to_string()),
        ("too large", "issuer_keys_unavailable", " ".repeat(100_000)),
    ];
    for (name, code, document) in broken {
        shop.advance_s(3601);
        shop.network().serve(&metadata, "application/json", document);
        let jwt = {
            let mut claims = scribe.claims(&[]);
            claims.insert("iss".to_owned(), json!("https://pid.example"));
            issuer.sign(&Map::new(), &Value::Object(claims)).unwrap()
        };
        assert_eq!(why(&shop, "age", present(jwt)).await, code, "{name}");
    }
}

#[tokio::test]
async fn an_untrusted_issuer_is_refused_before_anything_is_fetched() {
    let shop = TestShop::new();
    let mut browser = browser(&shop);
    let (asking, request) = delivered(&mut browser, "age").await;
    let reply = browser.wallet_answers(&request, "untrusted", &[]).await;
    assert_eq!(refused(&mut browser, &asking, &reply).await, "certificate_unknown_anchor");
    assert_eq!(shop.network().calls_in_all(), 0);
}

#[tokio::test]
async fn row_66_a_type_is_no_address_to_fetch() {
    let shop = clear_shop();
    let scribe = Scribe::new(&shop);
    let mut claims = scribe.claims(&[]);
    claims.insert("vct".to_owned(), json!("https://evil.example/type"));
    claims.insert("vct#integrity".to_owned(), json!("sha256-AAAA"));
    claims.insert("aka_vcts".to_owned(), json!([PID]));
    scribe.accepted(claims, &[]).await;
    assert_eq!(shop.network().calls_in_all(), 0);
}

#[tokio::test]
async fn row_67_the_times_of_a_credential() {
    let scribe = Scribe::new(&clear_shop());
    let now = scribe.now();
    let at = |claim: &'static str, time: firsthand::time::UnixTime| {
        scribe.why_claims(move |claims| drop(claims.insert(claim.to_owned(), json!(time))))
    };
    assert_eq!(at("exp", now.minus_s(61)).await, "credential_expired");
    assert_eq!(at("exp", now.minus_s(31_536_000)).await, "credential_expired");
    assert_eq!(at("nbf", now.plus_s(61)).await, "credential_not_yet_valid");
    for (claim, time) in [("exp", now.plus_s(1)), ("nbf", now.plus_s(59)), ("nbf", now)] {
        let mut claims = scribe.claims(&[]);
        claims.insert(claim.to_owned(), json!(time));
        scribe.accepted(claims, &[]).await;
    }
}

#[tokio::test]
async fn what_is_no_sd_jwt_is_refused() {
    let shop = clear_shop();
    let long = "A".repeat(140_000);
    for text in ["a", "~", "a~", "a.b.c", "a.b.c~", "....~", "~~~~", "\u{0}~", "ä.ö.ü~", long.as_str()] {
        let code = why(&shop, "age", |request| form(request, &json!({ "age": [text] }))).await;
        assert!(!code.is_empty(), "{text:.20}");
    }
}

#[tokio::test]
async fn a_form_that_is_none_is_refused() {
    let shop = TestShop::new();
    let many: String = (0..100).map(|at| format!("p{at}=x&")).collect();
    let cases: Vec<(&str, &str, Make<'_, String>)> = vec![
        ("empty", "response_missing", Box::new(|_| String::new())),
        ("no parameters", "response_missing", Box::new(|_| "&&&".to_owned())),
        ("broken encoding", "form_encoding", Box::new(|_| "response=%zz".to_owned())),
        ("no UTF-8", "form_encoding", Box::new(|_| "response=%ff".to_owned())),
        ("many", "form_too_many_parameters", Box::new(move |_| many.clone())),
        ("twice", "form_repeated_parameter", Box::new(|_| "response=a&response=b".to_owned())),
        ("twice in other letters", "form_repeated_parameter", Box::new(|_| "response=a&%72esponse=b".to_owned())),
        ("JSON", "response_missing", Box::new(|_| json!({ "response": "a" }).to_string())),
        ("no JWE", "jose_parts", Box::new(|_| "response=a.b".to_owned())),
        ("a JWS", "jose_parts", Box::new(|_| "response=a.b.c".to_owned())),
    ];
    each(&shop, cases).await;
    let mut browser = browser(&shop);
    let (_, request) = delivered(&mut browser, "age").await;
    let reply = browser.wallet_answers(&request, "adult", &[Fault::OversizeBody]).await;
    assert_eq!((reply.status, reply.code().as_str()), (StatusCode::PAYLOAD_TOO_LARGE, "body_too_large"));
    assert_eq!(browser.wallet_answers(&request, "adult", &[]).await.status, StatusCode::OK, "it was not counted");
}

#[tokio::test]
async fn every_fault_of_the_wallet_is_refused_in_both_modes() {
    for mode in [ResponseMode::DirectPostJwt, ResponseMode::DirectPost] {
        let shop = TestShop::with(|builder| builder.store(Memory::new()).response_mode(mode));
        let faults = [
            Fault::UnreferencedDisclosure,
            Fault::DuplicateDisclosure,
            Fault::DisclosureNamedSd,
            Fault::TransactionDataExtra,
            Fault::MissingClaim,
            Fault::WrongState,
            Fault::NoState,
        ];
        for fault in faults {
            let mut browser = browser(&shop);
            let (asking, request) = delivered(&mut browser, "age").await;
            let reply = browser.wallet_answers(&request, "adult", &[fault]).await;
            refused(&mut browser, &asking, &reply).await;
        }
    }
    let shop = TestShop::new();
    let (_, request) = delivered(&mut browser(&shop), "age").await;
    assert!(Wallet::new().choose(&request).is_err(), "a wallet without a credential declines");
}
